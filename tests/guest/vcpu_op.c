/* SPDX-License-Identifier: MIT */
/* vcpu_op: who is up, the runstate area, moving vcpu_info, NMI, and vcpus that are not there.
 *
 * Cause: Linux asks 8192 vcpus whether they are up, and stalls when its moved vcpu_info is not
 * primed.
 * Steps: is_up, runstate by call and by area, register_vcpu_info wrong and right and twice,
 * time area, NMI to ourselves.
 * Verdict: -ENOENT for absent ones; areas kept up to date; events continue in the new
 * vcpu_info.
 * Options: dom0_max_vcpus=1 */
#include "lib/guest.h"

static unsigned int nmis;

static bool on_nmi(struct regs *regs)
{
    nmis++;
    return true;
}

static void check_presence(void)
{
    expect_eq(hc_vcpu_op(VCPUOP_is_up, 0, NULL), 1);
    for (unsigned int i = 1; i < 8192; i += i < 64 ? 1 : 509)
        if (hc_vcpu_op(VCPUOP_is_up, i, NULL) != -XEN_ENOENT)
            expect_failed("is_up(%u) is %ld", i, hc_vcpu_op(VCPUOP_is_up, i, NULL));
    expect_eq(hc_vcpu_op(VCPUOP_is_up, 0xffffffff, NULL), -XEN_ENOENT);
    expect_eq(hc_vcpu_op(VCPUOP_up, 1, NULL), -XEN_ENOENT);
    expect_eq(hc_vcpu_op(99, 0, NULL), -XEN_ENOSYS);
    expect_eq(hc_vcpu_op(99, 1, NULL), -XEN_ENOENT);
    expect_eq(hc_vcpu_op(VCPUOP_up, 0, NULL), 0);
}

static void check_runstate(void)
{
    static struct vcpu_runstate_info area, now;
    struct vcpu_register_runstate_memory_area reg = {0};
    uint64_t before;

    set_xen_guest_handle(reg.addr.h, &area);
    expect_eq(hc_vcpu_op(VCPUOP_register_runstate_memory_area, 0, &reg), 0);
    expect_eq(area.state, RUNSTATE_running);
    expect(area.state_entry_time != 0);
    expect_eq(hc_vcpu_op(VCPUOP_get_runstate_info, 0, &now), 0);
    expect_eq(now.state, RUNSTATE_running);
    before = now.time[RUNSTATE_running];
    hc_sched_op(SCHEDOP_yield, NULL);
    expect_eq(hc_vcpu_op(VCPUOP_get_runstate_info, 0, &now), 0);
    expect(now.time[RUNSTATE_running] > before);

    /* Blocked for 50 ms: shown in the area when we are back. */
    before = area.time[RUNSTATE_blocked];
    {
        struct vcpu_set_singleshot_timer t = {.timeout_abs_ns = time_now() + 50000000};
        unsigned int port = event_bind_virq(VIRQ_TIMER);

        hc_vcpu_op(VCPUOP_stop_periodic_timer, 0, NULL);
        event_unmask(port);
        expect_eq(hc_vcpu_op(VCPUOP_set_singleshot_timer, 0, &t), 0);
        expect_eq(hc_sched_op(SCHEDOP_block, NULL), 0);
        events_disable();
        event_close(port);
    }
    barrier();
    expect_eq(area.state, RUNSTATE_running);
    expect(area.time[RUNSTATE_blocked] >= before + 5000000);
    expect(area.state_entry_time <= time_now());
    set_xen_guest_handle(reg.addr.h, (void *)0xffff830000000000);
    expect_eq(hc_vcpu_op(VCPUOP_register_runstate_memory_area, 0, &reg), -XEN_EFAULT);
}

static void check_vcpu_info(void)
{
    char *page = page_alloc();
    struct vcpu_register_vcpu_info reg = {.mfn = virt_to_mfn(page), .offset = PAGE_SIZE - 32};
    unsigned int port = event_bind_ipi(), seen;
    vcpu_info_t *new = (void *)(page + 256);

    expect_eq(hc_vcpu_op(VCPUOP_register_vcpu_info, 0, &reg), -XEN_ENXIO);
    reg.offset = 256;
    reg.mfn = 0xffffffffful;
    expect_eq(hc_vcpu_op(VCPUOP_register_vcpu_info, 0, &reg), -XEN_EINVAL);
    reg.mfn = virt_to_mfn(kernel_l4());
    expect_eq(hc_vcpu_op(VCPUOP_register_vcpu_info, 0, &reg), -XEN_EINVAL);
    reg.mfn = virt_to_mfn(page);
    vcpu_info->arch.cr2 = 0x4321;
    expect_eq(hc_vcpu_op(VCPUOP_register_vcpu_info, 0, &reg), 0);
    expect_eq(new->evtchn_upcall_mask, 1);
    expect_eq(new->evtchn_upcall_pending, 1); /* so that nothing is lost in the move */
    expect_eq(new->evtchn_pending_sel, ~0ul);
    expect_eq(new->arch.cr2, 0x4321);
    expect_eq(hc_vcpu_op(VCPUOP_register_vcpu_info, 0, &reg), -XEN_EINVAL);

    vcpu_info = new;
    event_unmask(port);
    events_enable();
    expect_eq(new->evtchn_pending_sel, 0);
    seen = event_count[port];
    expect_eq(event_send(port), 0);
    expect_eq(event_count[port], seen + 1);
    expect(new->time.tsc_to_system_mul != 0);
    expect(time_now() > 0);
    expect_eq(try_read(hole_alloc(), NULL), VEC_PF);
    expect(new->arch.cr2 != 0x4321); /* page faults report here now */
    events_disable();
}

static void check_time_area(void)
{
    static struct vcpu_time_info area;
    struct vcpu_register_time_memory_area reg = {0};

    set_xen_guest_handle(reg.addr.h, &area);
    expect_eq(hc_vcpu_op(VCPUOP_register_vcpu_time_memory_area, 0, &reg), 0);
    expect_eq(area.version & 1, 0);
    expect_eq(area.tsc_to_system_mul, vcpu_info->time.tsc_to_system_mul);
}

void test_main(void)
{
    check_presence();
    check_runstate();
    check_vcpu_info();
    check_time_area();
    trap_hook(VEC_NMI, on_nmi);
    trap_hook(VEC_NMI_CALLBACK, on_nmi);
    expect_eq(hc_vcpu_op(VCPUOP_send_nmi, 0, NULL), 0);
    expect_eq(nmis, 1);
    expect_eq(hc_vcpu_op(VCPUOP_send_nmi, 0, NULL), 0);
    expect_eq(nmis, 2);
    test_pass();
}
