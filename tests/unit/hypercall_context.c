/* SPDX-License-Identifier: MIT */
/* hypercall/domctl_context.c: extended contexts, extended state, MSRs and whole contexts through
 * the caller's memory: sizes that are asked for, buffers that do not fit or are not there. What may
 * be in them is tests/unit/pv_context.c's. Also whom a suspended domain tells. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "cpu/cpu.h"
#include "guest.h"
#include "hypercall/control.h"
#include "lib/errno.h"
#include "memory/heap.h"
#include "pv/pv.h"
#include "time/clock.h"

#define CALL_PAGE 0
#define DATA_PAGE 1 /* and those behind it */
#define DATA      ((void *)guest_va(DATA_PAGE))
#define NOWHERE   ((void *)HV_VA_START)

static struct guest *dom0, *domu;
static struct xen_domctl op;

static int set_up(void **state)
{
    const struct domain_config c = {.id = 5};
    struct vcpu *v;

    guest_machine(1);
    cpu_detect();
    this_cpu(gdt_mfn) = virt_to_mfn(heap_page());
    dom0 = guest_new(0, 1, true);
    domu = guest_new(5, 2, false);
    if (pv_part.domain_init(domu->d, &c))
        return -1;
    for_each_vcpu (domu->d, v)
        if (pv_part.vcpu_init(v))
            return -1;
    domain_pause(domu->d); /* as the tools do */
    guest_be(dom0, 0);
    memset(&op, 0, sizeof(op));
    op.interface_version = XEN_DOMCTL_INTERFACE_VERSION;
    return 0;
}

static int tear_down(void **state)
{
    struct vcpu *v;

    domain_suspended = NULL;
    for_each_vcpu (domu->d, v)
        pv_part.vcpu_free(v);
    pv_part.domain_free(domu->d);
    guest_kill(dom0);
    guest_kill(domu);
    return 0;
}

static long call(uint32_t cmd)
{
    long rc;

    op.cmd = cmd;
    op.domain = 5;
    current()->continued = false;
    memcpy(guest_page(dom0, CALL_PAGE), &op, sizeof(op));
    rc = domctl(guest_va(CALL_PAGE));
    memcpy(&op, guest_page(dom0, CALL_PAGE), sizeof(op));
    return rc;
}

static void extended_context(void **state)
{
    struct xen_domctl_ext_vcpucontext *e = &op.u.ext_vcpucontext;

    domu->d->vcpu[1]->pv->sysenter.address = 0x1234;
    e->vcpu = 1;
    assert_int_equal(call(XEN_DOMCTL_get_ext_vcpucontext), 0);
    assert_int_equal(e->size, 64);
    assert_int_equal(e->sysenter_callback_eip, 0x1234);
    e->sysenter_callback_eip = 0x5678;
    assert_int_equal(call(XEN_DOMCTL_set_ext_vcpucontext), 0);
    assert_int_equal(domu->d->vcpu[1]->pv->sysenter.address, 0x5678);
    e->size = 0;
    assert_int_equal(call(XEN_DOMCTL_set_ext_vcpucontext), -EINVAL);
    e->vcpu = 2;
    assert_int_equal(call(XEN_DOMCTL_get_ext_vcpucontext), -EINVAL);
    assert_int_equal(call(XEN_DOMCTL_set_ext_vcpucontext), -EINVAL);
    assert_int_equal(domu->d->pause_count, 1);
}

static long state_call(uint32_t cmd, uint64_t size, void *buffer)
{
    op.u.vcpuextstate.vcpu = 0;
    op.u.vcpuextstate.size = size;
    op.u.vcpuextstate.buffer.p = buffer;
    return call(cmd);
}

static void extended_state(void **state)
{
    uint64_t size;

    assert_int_equal(state_call(XEN_DOMCTL_getvcpuextstate, 0, NULL), 0);
    size = op.u.vcpuextstate.size;
    if (!size)
        skip();
    assert_true(size >= 592 && op.u.vcpuextstate.xfeature_mask & 1);
    assert_int_equal(state_call(XEN_DOMCTL_getvcpuextstate, size - 1, DATA), -EINVAL);
    assert_int_equal(state_call(XEN_DOMCTL_getvcpuextstate, ~0ull, DATA), -EINVAL);
    assert_int_equal(state_call(XEN_DOMCTL_getvcpuextstate, size, NOWHERE), -EFAULT);
    assert_int_equal(state_call(XEN_DOMCTL_getvcpuextstate, size, DATA), 0);
    assert_int_equal(((uint64_t *)guest_page(dom0, DATA_PAGE))[0], 3);
    assert_int_equal(state_call(XEN_DOMCTL_setvcpuextstate, size, DATA), 0);
    assert_int_equal(state_call(XEN_DOMCTL_setvcpuextstate, size, NOWHERE), -EFAULT);
    assert_int_equal(state_call(XEN_DOMCTL_setvcpuextstate, 15, DATA), -EINVAL);
    assert_int_equal(state_call(XEN_DOMCTL_setvcpuextstate, 0, DATA), -EINVAL);
    assert_int_equal(state_call(XEN_DOMCTL_setvcpuextstate, 1ull << 40, DATA), -EINVAL);
    ((uint64_t *)guest_page(dom0, DATA_PAGE))[1] = ~0ull;
    assert_int_equal(state_call(XEN_DOMCTL_setvcpuextstate, size, DATA), -EINVAL);
    assert_int_equal(domu->d->pause_count, 1);
}

static long msr_call(uint32_t cmd, uint32_t n, void *list)
{
    op.u.vcpu_msrs.vcpu = 0;
    op.u.vcpu_msrs.msr_count = n;
    op.u.vcpu_msrs.msrs.p = list;
    return call(cmd);
}

static void msrs(void **state)
{
    struct xen_domctl_vcpu_msr *m = guest_page(dom0, DATA_PAGE);

    assert_int_equal(msr_call(XEN_DOMCTL_get_vcpu_msrs, 0, NULL), 0);
    assert_int_equal(op.u.vcpu_msrs.msr_count, PV_MSRS);
    assert_int_equal(msr_call(XEN_DOMCTL_get_vcpu_msrs, PV_MSRS, DATA), 0);
    assert_int_equal(op.u.vcpu_msrs.msr_count, 0);
    domu->d->vcpu[0]->pv->msr_tsc_aux = 5;
    assert_int_equal(msr_call(XEN_DOMCTL_get_vcpu_msrs, 0, DATA), -ENOBUFS);
    assert_int_equal(op.u.vcpu_msrs.msr_count, 1);
    assert_int_equal(msr_call(XEN_DOMCTL_get_vcpu_msrs, 1, NOWHERE), -EFAULT);
    assert_int_equal(msr_call(XEN_DOMCTL_get_vcpu_msrs, 1, DATA), 0);
    assert_int_equal(m->index, MSR_TSC_AUX);
    assert_int_equal(m->value, 5);
    m->value = 6;
    assert_int_equal(msr_call(XEN_DOMCTL_set_vcpu_msrs, 1, DATA), 0);
    assert_int_equal(domu->d->vcpu[0]->pv->msr_tsc_aux, 6);
    m[1] = (struct xen_domctl_vcpu_msr){.index = MSR_EFER};
    assert_int_equal(msr_call(XEN_DOMCTL_set_vcpu_msrs, 2, DATA), -EINVAL);
    assert_int_equal(op.u.vcpu_msrs.msr_count, 1); /* the one at fault */
    assert_int_equal(msr_call(XEN_DOMCTL_set_vcpu_msrs, PV_MSRS + 1, DATA), -EINVAL);
    assert_int_equal(msr_call(XEN_DOMCTL_set_vcpu_msrs, ~0u, DATA), -EINVAL);
    assert_int_equal(msr_call(XEN_DOMCTL_set_vcpu_msrs, 1, NOWHERE), -EFAULT);
}

static long context_call(uint32_t cmd, void *ctxt)
{
    op.u.vcpucontext.vcpu = 1;
    op.u.vcpucontext.ctxt.p = ctxt;
    return call(cmd);
}

/* Gone and back again: a vCPU without a context has none to give. */
static void reset(void **state)
{
    struct vcpu *v = domu->d->vcpu[1];

    v->initialised = true;
    v->nmi_pending = true;
    assert_int_equal(context_call(XEN_DOMCTL_getvcpucontext, DATA), 0);
    assert_int_equal(context_call(XEN_DOMCTL_setvcpucontext, NULL), 0);
    assert_false(v->initialised || v->nmi_pending);
    assert_true(v->pause & BIT(VCPU_DOWN_BIT));
    assert_int_equal(context_call(XEN_DOMCTL_getvcpucontext, DATA), -ENODATA);
    assert_int_equal(context_call(XEN_DOMCTL_setvcpucontext, NULL), 0);
    assert_int_equal(context_call(XEN_DOMCTL_setvcpucontext, NOWHERE), -EFAULT);
    op.u.vcpucontext.vcpu = 2;
    assert_int_equal(call(XEN_DOMCTL_setvcpucontext), -EINVAL);
    assert_int_equal(domu->d->pause_count, 1);
}

static unsigned told;

static void suspended(struct domain *d, uint32_t port)
{
    assert_ptr_equal(d, domu->d);
    told = port;
}

/* Only a suspension is told on the channel, and only once. */
static void subscription(void **state)
{
    domain_suspended = suspended;
    told = 0;
    domain_shutdown(domu->d, SHUTDOWN_suspend);
    assert_int_equal(told, 0);
    domain_resume(domu->d);
    op.u.subscribe.port = 7;
    assert_int_equal(call(XEN_DOMCTL_subscribe), 0);
    domain_shutdown(domu->d, SHUTDOWN_poweroff);
    assert_int_equal(told, 0);
    domain_shutdown(domu->d, SHUTDOWN_suspend);
    assert_int_equal(told, 0);
    domain_resume(domu->d);
    domain_shutdown(domu->d, SHUTDOWN_suspend);
    assert_int_equal(told, 7);
}

static long tsc(uint32_t mode, uint32_t khz, uint64_t elapsed)
{
    op.u.tsc_info.tsc_mode = mode;
    op.u.tsc_info.gtsc_khz = khz;
    op.u.tsc_info.elapsed_nsec = elapsed;
    op.u.tsc_info.incarnation = 3;
    return call(XEN_DOMCTL_settscinfo);
}

/* From a machine of another speed, the counter goes on as it was there. */
static void time_stamp_counter(void **state)
{
    struct domain *d = domu->d;

    assert_int_equal(call(XEN_DOMCTL_gettscinfo), 0);
    assert_int_equal(op.u.tsc_info.gtsc_khz, 1000000); /* the machine's */
    assert_int_equal(tsc(0, 1000000, 77), 0);
    assert_false(d->tsc.emulated);
    assert_int_equal(tsc(0, 2000000, 500), 0);
    assert_true(d->tsc.emulated);
    assert_int_equal(domain_tsc_at(d, time_now()), 1000);
    host_tsc += 100;
    assert_int_equal(call(XEN_DOMCTL_gettscinfo), 0);
    assert_int_equal(op.u.tsc_info.elapsed_nsec, 600);
    assert_int_equal(op.u.tsc_info.gtsc_khz, 2000000);
    assert_int_equal(op.u.tsc_info.incarnation, 3);
    assert_int_equal(tsc(2, 2000000, 500), 0);
    assert_false(d->tsc.emulated);
    assert_int_equal(tsc(1, 0, 0), 0);
    assert_true(d->tsc.emulated);
    assert_int_equal(tsc(1, 1, ~0ull), 0);
    assert_int_equal(tsc(1, ~0u, 1), 0);
    assert_int_equal(tsc(3, 0, 0), -EINVAL);
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(extended_context), TEST(extended_state),     TEST(msrs), TEST(reset),
        TEST(subscription),     TEST(time_stamp_counter),
    };

    return cmocka_run_group_tests_name("hypercall/domctl_context", tests, NULL, NULL);
}
