/* SPDX-License-Identifier: MIT */
/* domain/switch with the real scheduler and the real pv/switch: what is the vCPU's goes with it
 * and comes back with it, nothing of it stays for the next one, and the time it waits is booked
 * under the reason it waits for. Two domains with one vCPU each share one CPU with idle. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/softirq.h"
#include "cpu/xpti.h"
#include "memory/tlb.h"
#include "pv_fixture.h"

static const struct guest_switch_ops ops = {
    .from = pv_switch_from, .to = pv_switch_to, .idle = pv_switch_idle};

static struct domain *other_domain;
static struct vcpu *a, *b;

/* Both are down; the CPU is idle. */
static int setup(void **state)
{
    static domid_t id = 1000;
    struct domain_config c = {.id = ++id, .max_vcpus = 1};

    if (fx_setup(state))
        return -1;
    a = fx_vcpu;
    if (domain_create(&c, &other_domain) || vcpu_create(other_domain, 0, &b))
        return -1;
    b->pv->kernel_l4 = mfn(ROOT_USER >> PAGE_SHIFT);
    b->pv->in_kernel = true;
    guest_switch_ops = &ops;
    cpu_local()->current = fx_idle;
    write_cr3(hv_cr3());
    vcpu_runstate_enter(fx_idle);
    host_tsc_step = 0;
    for (unsigned i = 0; i < sizeof(a->regs) / 8; i++) {
        ((uint64_t *)&a->regs)[i] = 0xa000 + i;
        ((uint64_t *)&b->regs)[i] = 0xb000 + i;
    }
    return 0;
}

/* The scheduler, as on the way out of a hypercall. */
static void schedule(void)
{
    softirq_raise(SOFTIRQ_SCHEDULE);
    softirq_run();
}

static void make_ready(struct vcpu *v)
{
    vcpu_pause_clear(v, VCPU_DOWN_BIT);
    vcpu_pause_clear(v, VCPU_BLOCKED_BIT);
    vcpu_pause_clear(v, VCPU_PAUSED_BIT);
}

static void wake(struct vcpu *v)
{
    make_ready(v);
    schedule();
}

static void stop(struct vcpu *v, enum vcpu_pause_bits why)
{
    vcpu_pause_set(v, why);
    schedule();
}

/* ---- tests ---- */

static void registers_go_with_the_vcpu(void **state)
{
    struct regs *r = &cpu_local()->guest, want;

    wake(a);
    assert_ptr_equal(current(), a);
    assert_memory_equal(r, &a->regs, sizeof(*r));
    assert_ptr_equal(cpu_local()->upcall, a->info);
    r->rip = 0x1234;
    r->rax = 0x5678;
    want = *r;
    make_ready(b);
    stop(a, VCPU_BLOCKED_BIT);
    assert_ptr_equal(current(), b);
    assert_memory_equal(&a->regs, &want, sizeof(want));
    assert_int_equal(r->rip, b->regs.rip);
    assert_ptr_equal(cpu_local()->upcall, b->info);
    stop(b, VCPU_BLOCKED_BIT);
    wake(a);
    assert_memory_equal(r, &want, sizeof(want));
}

static void idle_has_nothing_of_a_guest(void **state)
{
    wake(a);
    assert_int_equal(read_cr3(), ROOT_KERNEL);
    assert_true(bitmap_test(fx_domain->memory.dirty_cpus.bits, 0));
    a->info->evtchn_upcall_pending = 1;
    stop(a, VCPU_BLOCKED_BIT);
    assert_ptr_equal(current(), fx_idle);
    /* Nothing is pending for idle, whatever is for the guest. */
    assert_int_equal(*cpu_local()->upcall, 0);
    assert_int_equal(read_cr3(), hv_cr3());
    /* It flushed as it left: nobody has to interrupt it for this domain. */
    assert_false(bitmap_test(fx_domain->memory.dirty_cpus.bits, 0));
}

static void the_mask_of_cpus_and_the_tlb(void **state)
{
    uint64_t pte;
    char c;

    host_tlb = true;
    wake(a);
    assert_int_equal(hw_copy_from_guest(&c, GUEST_KERNEL, 1), 0);
    assert_true(host_tlb_find(0, GUEST_KERNEL, &pte));
    make_ready(b);
    stop(a, VCPU_BLOCKED_BIT);
    assert_int_equal(read_cr3(), ROOT_USER);
    assert_true(bitmap_test(other_domain->memory.dirty_cpus.bits, 0));
    assert_false(bitmap_test(fx_domain->memory.dirty_cpus.bits, 0));
    assert_false(host_tlb_find(0, GUEST_KERNEL, &pte));
    assert_int_equal(hw_copy_from_guest(&c, GUEST_KERNEL, 1), 1);
}

/* With PCIDs a load of CR3 drops nothing by itself, and both guests use the same ones. */
static void with_pcids(void **state)
{
    uint64_t pte, *l4 = heap_page(), cr4 = cpu_cr4;
    char c;

    assert_non_null(l4);
    xpti_active = spec_xpti_domu = tlb_pcid = host_tlb = true;
    xpti_cpu_init(l4);
    cpu_cr4 = (read_cr4() & ~CR4_PGE) | CR4_PCIDE;
    write_cr4(cpu_cr4);
    wake(a);
    assert_int_equal(read_cr3(), ROOT_KERNEL | PCID_REAL(1));
    assert_int_equal(hw_copy_from_guest(&c, GUEST_KERNEL, 1), 0);
    make_ready(b);
    stop(a, VCPU_BLOCKED_BIT);
    assert_int_equal(read_cr3(), ROOT_USER | PCID_REAL(1));
    assert_int_equal(hw_copy_from_guest(&c, GUEST_KERNEL, 1), 1);
    assert_int_equal(hw_copy_from_guest(&c, GUEST_USER, 1), 0);
    stop(b, VCPU_BLOCKED_BIT);
    assert_int_equal(read_cr3(), hv_cr3());
    for (unsigned pcid = 0; pcid < PCID_COUNT; pcid++)
        assert_false(host_tlb_find(pcid, GUEST_USER, &pte));
    xpti_active = spec_xpti_domu = tlb_pcid = false;
    xpti_unload();
    cpu_cr4 = cr4;
}

static void the_processors_state(void **state)
{
    a->pv->fs_base = 0x1000;
    a->pv->gs_base_kernel = 0x2000;
    a->pv->gs_base_user = 0x3000;
    a->pv->dr[1] = 0x4000;
    a->pv->dr7 = 0x400 | 4 | 1u << 20;
    a->pv->cr4 = CR4_TSD;
    a->pv->ts = true;
    b->pv->fs_base = 0x9000;
    wake(a);
    assert_int_equal(rdmsr(MSR_FS_BASE), 0x1000);
    assert_int_equal(rdmsr(MSR_GS_BASE), 0x2000);
    assert_int_equal(rdmsr(MSR_KERNEL_GS_BASE), 0x3000);
    assert_int_equal(read_dr1(), 0x4000);
    assert_int_equal(read_dr7(), a->pv->dr7);
    assert_true(read_cr4() & CR4_TSD);
    assert_true(read_cr0() & CR0_TS);
    assert_int_equal(host_cpu()->gdt.base, pv_gdt_va(a));
    /* The guest changes what it may without us. */
    memset(host_cpu()->xstate, 0x5a, 512);
    wrmsr(MSR_FS_BASE, 0x1111);
    host_cpu()->ds = host_cpu()->es = SEL_GUEST_SS;

    make_ready(b);
    stop(a, VCPU_BLOCKED_BIT);
    assert_ptr_equal(current(), b);
    for (unsigned i = 32; i < 512; i++)
        if (host_cpu()->xstate[i] == 0x5a)
            fail_msg("byte %u of the registers of another", i);
    assert_int_equal(rdmsr(MSR_FS_BASE), 0x9000);
    assert_int_equal(rdmsr(MSR_KERNEL_GS_BASE), 0);
    assert_int_equal(read_ds(), 0);
    assert_false(read_dr7() & DR7_ENABLES);
    assert_false(read_cr4() & CR4_TSD);
    assert_false(read_cr0() & CR0_TS);
    assert_int_equal(host_cpu()->gdt.base, pv_gdt_va(b));
    memset(host_cpu()->xstate, 0xb5, 512);

    stop(b, VCPU_BLOCKED_BIT);
    wake(a);
    assert_int_equal(host_cpu()->xstate[200], 0x5a);
    assert_int_equal(rdmsr(MSR_FS_BASE), 0x1111);
    assert_int_equal(read_ds(), SEL_GUEST_SS);
    assert_int_equal(read_dr1(), 0x4000);
    assert_true(read_dr7() & DR7_ENABLES);
    assert_true(read_cr4() & CR4_TSD);
}

static uint64_t spent(struct vcpu *v, int in)
{
    struct vcpu_runstate_info r;
    uint64_t now = vcpu_runstate_get(v, &r);

    return r.time[in] + (r.state == in ? now - r.state_entry_time : 0);
}

static void time_is_booked(void **state)
{
    static const struct {
        enum vcpu_pause_bits why;
        int state;
    } waits[] = {
        {VCPU_BLOCKED_BIT, RUNSTATE_blocked},
        {VCPU_PAUSED_BIT, RUNSTATE_offline},
        {VCPU_DOWN_BIT, RUNSTATE_offline},
    };
    uint64_t idle = domain_idle_time(0);

    for (unsigned i = 0; i < ARRAY_SIZE(waits); i++) {
        uint64_t ran, waited;

        wake(a);
        ran = spent(a, RUNSTATE_running);
        waited = spent(a, waits[i].state);
        assert_int_equal(a->runstate.state, RUNSTATE_running);
        assert_int_equal(domain_idle_time(0), idle);
        host_tsc += 1000;
        assert_int_equal(spent(a, RUNSTATE_running), ran + 1000);
        stop(a, waits[i].why);
        assert_int_equal(a->runstate.state, waits[i].state);
        host_tsc += 70;
        assert_int_equal(spent(a, RUNSTATE_running), ran + 1000);
        assert_int_equal(spent(a, waits[i].state), waited + 70);
        idle += 70;
        assert_int_equal(domain_idle_time(0), idle);
    }
    /* One that could run and does not is neither. */
    wake(a);
    make_ready(b);
    host_tsc += 2 * SCHED_SLICE;
    schedule();
    assert_ptr_equal(current(), b);
    assert_int_equal(a->runstate.state, RUNSTATE_runnable);
    assert_int_equal(domain_idle_time(0), idle);
    assert_int_equal(domain_idle_time(1), 0);
}

static void the_clock_page_is_new(void **state)
{
    uint32_t version = a->info->time.version;

    host_tsc += 12345;
    wake(a);
    assert_int_not_equal(a->info->time.version, version);
    assert_int_equal(a->info->time.version & 1, 0);
    assert_int_equal(a->info->time.system_time, time_now());
}

static unsigned guest_work;

static void count(void)
{
    guest_work++;
}

static void an_nmi_that_waited(void **state)
{
    softirq_register(SOFTIRQ_GUEST, count);
    guest_work = 0;
    wake(a);
    assert_int_equal(guest_work, 0);
    stop(a, VCPU_BLOCKED_BIT);
    a->nmi_pending = true;
    wake(a);
    assert_int_equal(guest_work, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(registers_go_with_the_vcpu, setup),
        cmocka_unit_test_setup(idle_has_nothing_of_a_guest, setup),
        cmocka_unit_test_setup(the_mask_of_cpus_and_the_tlb, setup),
        cmocka_unit_test_setup(with_pcids, setup),
        cmocka_unit_test_setup(the_processors_state, setup),
        cmocka_unit_test_setup(time_is_booked, setup),
        cmocka_unit_test_setup(the_clock_page_is_new, setup),
        cmocka_unit_test_setup(an_nmi_that_waited, setup),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
