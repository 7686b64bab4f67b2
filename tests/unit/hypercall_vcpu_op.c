/* SPDX-License-Identifier: MIT */
/* hypercall/vcpu_op for paravirtual vCPUs: a vCPU gets a context once and only whole, comes up and
 * goes down, and its vcpu_info moves to a frame of the guest's. Timers and waiting are tested with
 * sched_op. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "event/event.h"
#include "hypercall/ops.h"
#include "pv_fixture.h"

#define ARG GUEST_KERNEL /* the context takes two pages */

static struct domain *d;
static struct vcpu *boss, *second, *far; /* numbers 0, 1 and 33 */
static struct vcpu_guest_context *ctx;
static mfn_t l4, frame;

static int setup(void **state)
{
    struct domain_config c = {.max_vcpus = 34, .max_evtchn_port = 100};
    static domid_t id = 2000;

    if (fx_setup(state))
        return -1;
    c.id = ++id;
    domain_parts[1] = &event_part;
    domain_parts[2] = &hypercall_part;
    if (domain_create(&c, &d) || vcpu_create(d, 0, &boss) || vcpu_create(d, 1, &second) ||
        vcpu_create(d, 33, &far))
        return -1;
    d->memory.max_pages = 16;
    boss->pv->kernel_l4 = mfn(ROOT_KERNEL >> PAGE_SHIFT);
    boss->pv->in_kernel = true;
    boss->initialised = true;
    cpu_local()->current = boss;
    pv_load_cr3(boss);
    vcpu_pause_clear(boss, VCPU_DOWN_BIT);
    if (frame_alloc(&d->memory, 0, 0, &l4) || frame_alloc(&d->memory, 0, 0, &frame))
        return -1;
    ctx = fx_memory(ARG);
    memset(ctx, 0, sizeof(*ctx));
    ctx->flags = VGCF_in_kernel;
    ctx->user_regs.rip = GUEST_KERNEL + 0x77;
    ctx->user_regs.cs = SEL_GUEST_CS64;
    ctx->user_regs.ss = SEL_GUEST_SS;
    ctx->ctrlreg[3] = l4.n << PAGE_SHIFT;
    ctx->kernel_ss = SEL_GUEST_SS;
    return 0;
}

static void who(void **state)
{
    assert_int_equal(vcpu_op(VCPUOP_is_up, 2, 0), -ENOENT); /* was not made */
    assert_int_equal(vcpu_op(VCPUOP_is_up, 34, 0), -ENOENT);
    assert_int_equal(vcpu_op(VCPUOP_is_up, ~0u, 0), -ENOENT);
    assert_int_equal(vcpu_op(1000, 1, 0), -ENOSYS);
    assert_int_equal(vcpu_op(VCPUOP_get_physid, 1, ARG), -EINVAL);
    assert_int_equal(vcpu_op(VCPUOP_is_up, 0, 0), 1);
    assert_int_equal(vcpu_op(VCPUOP_is_up, 1, 0), 0);
}

static void a_context_once(void **state)
{
    assert_int_equal(vcpu_op(VCPUOP_up, 1, 0), -EINVAL); /* it has none */
    assert_int_equal(vcpu_op(VCPUOP_initialise, 1, HV_VA_START), -EFAULT);
    assert_int_equal(vcpu_op(VCPUOP_initialise, 1, GUEST_KERNEL + 15 * PAGE_SIZE), -EFAULT);
    assert_false(second->initialised);
    assert_int_equal(vcpu_op(VCPUOP_initialise, 1, ARG), 0);
    assert_true(second->initialised);
    assert_true(mfn_eq(second->pv->kernel_l4, l4));
    assert_int_equal(second->regs.rip, GUEST_KERNEL + 0x77);
    /* It does not run by that. */
    assert_int_equal(vcpu_op(VCPUOP_is_up, 1, 0), 0);
    assert_int_equal(vcpu_op(VCPUOP_up, 1, 0), 0);
    assert_int_equal(vcpu_op(VCPUOP_is_up, 1, 0), 1);
    ctx->user_regs.rip = 1;
    assert_int_equal(vcpu_op(VCPUOP_initialise, 1, ARG), -EEXIST);
    assert_int_equal(vcpu_op(VCPUOP_initialise, 0, ARG), -EEXIST); /* the caller */
    assert_int_equal(second->regs.rip, GUEST_KERNEL + 0x77);
}

/* A context that is refused leaves the vCPU without one: it can be tried again. */
static void a_context_that_lies(void **state)
{
    const paddr_t bad[] = {0, ROOT_KERNEL, max_mfn << PAGE_SHIFT};

    for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
        ctx->ctrlreg[3] = bad[i];
        assert_int_equal(vcpu_op(VCPUOP_initialise, 1, ARG), -EINVAL);
        assert_false(second->initialised);
        assert_int_equal(vcpu_op(VCPUOP_up, 1, 0), -EINVAL);
        assert_int_equal(vcpu_op(VCPUOP_is_up, 1, 0), 0);
    }
    ctx->ctrlreg[3] = l4.n << PAGE_SHIFT;
    assert_int_equal(vcpu_op(VCPUOP_initialise, 1, ARG), 0);
}

/* Those without a vcpu_info in the shared page have to bring one. */
static void beyond_the_shared_page(void **state)
{
    struct vcpu_register_vcpu_info a = {.mfn = frame.n, .offset = 0x40};

    assert_null(far->info);
    assert_int_equal(vcpu_op(VCPUOP_initialise, 33, ARG), -EINVAL);
    memcpy(ctx + 1, &a, sizeof(a));
    memset(mfn_to_virt(frame), 0x55, PAGE_SIZE);
    assert_int_equal(vcpu_op(VCPUOP_register_vcpu_info, 33, ARG + sizeof(*ctx)), 0);
    assert_ptr_equal(far->info, (char *)mfn_to_virt(frame) + 0x40);
    /* Empty, but for the look that is due after the move; nothing of what lay there counts. */
    assert_int_equal(far->info->evtchn_upcall_mask, 1);
    assert_int_equal(far->info->time.system_time, 0);
    assert_int_equal(vcpu_op(VCPUOP_initialise, 33, ARG), 0);
}

static void the_info_moves_once(void **state)
{
    struct vcpu_register_vcpu_info *a = (void *)ctx;

    *a = (struct vcpu_register_vcpu_info){.mfn = frame.n, .offset = PAGE_SIZE - 63};
    assert_int_equal(vcpu_op(VCPUOP_register_vcpu_info, 0, ARG), -ENXIO);
    a->offset = 4;
    assert_int_equal(vcpu_op(VCPUOP_register_vcpu_info, 0, ARG), -ENXIO);
    a->offset = PAGE_SIZE - 64;
    a->mfn = ROOT_KERNEL >> PAGE_SHIFT; /* not its own */
    assert_int_equal(vcpu_op(VCPUOP_register_vcpu_info, 0, ARG), -EINVAL);
    a->mfn = ~0ul;
    assert_int_equal(vcpu_op(VCPUOP_register_vcpu_info, 0, ARG), -EINVAL);
    assert_int_equal(vcpu_op(VCPUOP_register_vcpu_info, 0, 0), -EFAULT);
    assert_false(boss->info_registered);
    a->mfn = frame.n;
    boss->info->arch.cr2 = 0x1234;
    assert_int_equal(vcpu_op(VCPUOP_register_vcpu_info, 0, ARG), 0);
    assert_ptr_equal(boss->info, (char *)mfn_to_virt(frame) + PAGE_SIZE - 64);
    assert_int_equal(boss->info->arch.cr2, 0x1234);
    assert_int_equal(boss->info->evtchn_upcall_pending, 1);
    assert_ptr_equal(cpu_local()->upcall, boss->info);
    assert_int_equal(vcpu_op(VCPUOP_register_vcpu_info, 0, ARG), -EINVAL);
    /* Of another vCPU only while that is down. */
    second->initialised = true;
    assert_int_equal(vcpu_op(VCPUOP_up, 1, 0), 0);
    a->offset = 0;
    assert_int_equal(vcpu_op(VCPUOP_register_vcpu_info, 1, ARG), -EINVAL);
}

static void up_and_down(void **state)
{
    second->initialised = true;
    assert_int_equal(vcpu_op(VCPUOP_up, 1, 0), 0);
    assert_int_equal(vcpu_op(VCPUOP_down, 1, 0), 0);
    assert_int_equal(vcpu_op(VCPUOP_is_up, 1, 0), 0);
    assert_false(d->shutting_down);
    /* Down already: nothing happens. */
    assert_int_equal(vcpu_op(VCPUOP_down, 1, 0), 0);
    assert_false(d->shutting_down);
    /* The last one switches the domain off. */
    assert_int_equal(vcpu_op(VCPUOP_down, 0, 0), 0);
    assert_true(d->shutting_down);
}

static void an_nmi_waits_once(void **state)
{
    assert_int_equal(vcpu_op(VCPUOP_send_nmi, 1, 0), 0);
    assert_true(second->nmi_pending);
    assert_int_equal(vcpu_op(VCPUOP_send_nmi, 1, 0), 0);
    assert_true(second->nmi_pending);
}

static void areas(void **state)
{
    struct vcpu_register_runstate_memory_area *r = (void *)ctx;

    r->addr.p = HV_VA_START;
    assert_int_equal(vcpu_op(VCPUOP_register_runstate_memory_area, 0, ARG), -EFAULT);
    assert_int_equal(vcpu_op(VCPUOP_register_vcpu_time_memory_area, 0, ARG), -EFAULT);
    assert_int_equal(boss->runstate_va, 0);
    /* An address that is not mapped by now is taken: it is written when it is. */
    r->addr.p = 0x100000;
    assert_int_equal(vcpu_op(VCPUOP_register_runstate_memory_area, 0, ARG), 0);
    assert_int_equal(boss->runstate_va, 0x100000);
    r->addr.p = 0;
    assert_int_equal(vcpu_op(VCPUOP_register_runstate_memory_area, 0, ARG), 0);
    assert_int_equal(boss->runstate_va, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(who, setup),
        cmocka_unit_test_setup(a_context_once, setup),
        cmocka_unit_test_setup(a_context_that_lies, setup),
        cmocka_unit_test_setup(beyond_the_shared_page, setup),
        cmocka_unit_test_setup(the_info_moves_once, setup),
        cmocka_unit_test_setup(up_and_down, setup),
        cmocka_unit_test_setup(an_nmi_waits_once, setup),
        cmocka_unit_test_setup(areas, setup),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
