/* SPDX-License-Identifier: MIT */
/* Events come as an interrupt of the vector that HVM_PARAM_CALLBACK_IRQ names: at once when
 * interrupts are on, after STI when they were off, and out of HLT; vcpu_info tells which.
 *
 * Story: shared info is placed at a frame of the guest's, an IPI port and a timer are bound.
 * Verdict: each raises the upcall exactly once. */
#include "hvm/lib/hvm.h"

#define VECTOR 0xf3

static volatile unsigned int upcalls;
static shared_info_t *shared;

static bool upcall(struct regs *regs)
{
    upcalls++;
    shared->vcpu_info[0].evtchn_upcall_pending = 0;
    shared->vcpu_info[0].evtchn_pending_sel = 0;
    for (unsigned int i = 0; i < 64; i++)
        shared->evtchn_pending[i] = 0;
    return true;
}

static void place_shared_info(void)
{
    struct xen_add_to_physmap map = {
        .domid = DOMID_SELF,
        .space = XENMAPSPACE_shared_info,
        .gpfn = first_free_frame(),
    };

    need_eq(hc_memory_op(XENMEM_add_to_physmap, &map), 0);
    shared = (void *)(map.gpfn << PAGE_SHIFT);
}

static uint64_t now(void)
{
    const vcpu_time_info_t *t = &shared->vcpu_info[0].time;
    uint64_t delta = rdtsc() - t->tsc_timestamp;

    delta = t->tsc_shift < 0 ? delta >> -t->tsc_shift : delta << t->tsc_shift;
    return t->system_time + (uint64_t)((unsigned __int128)delta * t->tsc_to_system_mul >> 32);
}

void test_main(void)
{
    struct evtchn_bind_ipi ipi = {.vcpu = 0};
    struct evtchn_bind_virq timer = {.virq = VIRQ_TIMER, .vcpu = 0};
    struct vcpu_set_singleshot_timer shot = {0};
    struct xen_hvm_param via = {
        .domid = DOMID_SELF,
        .index = HVM_PARAM_CALLBACK_IRQ,
        .value = (uint64_t)HVM_PARAM_CALLBACK_TYPE_VECTOR << 56 | VECTOR,
    };
    struct evtchn_send send;

    place_shared_info();
    trap_hook(VECTOR, upcall);
    need_eq(hc_hvm_op(HVMOP_set_param, &via), 0);
    via.value = 0;
    expect_eq(hc_hvm_op(HVMOP_get_param, &via), 0);
    expect_eq(via.value & 0xff, VECTOR);

    need_eq(hc_event_channel_op(EVTCHNOP_bind_ipi, &ipi), 0);
    send.port = ipi.port;
    need_eq(hc_event_channel_op(EVTCHNOP_send, &send), 0);
    expect_eq(upcalls, 0); /* interrupts are off */
    asm volatile("sti; nop; nop" ::: "memory");
    expect_eq(upcalls, 1);
    need_eq(hc_event_channel_op(EVTCHNOP_send, &send), 0);
    expect_eq(upcalls, 2);

    /* Behind STI lies one instruction more: the wake-up of HLT is not lost there. */
    asm volatile("cli");
    need_eq(hc_event_channel_op(EVTCHNOP_send, &send), 0);
    asm volatile("sti; hlt" ::: "memory");
    expect_eq(upcalls, 3);

    need_eq(hc_event_channel_op(EVTCHNOP_bind_virq, &timer), 0);
    asm volatile("cli");
    shot.timeout_abs_ns = now() + 2000000;
    need_eq(hc_vcpu_op(VCPUOP_stop_periodic_timer, 0, NULL), 0);
    need_eq(hc_vcpu_op(VCPUOP_set_singleshot_timer, 0, &shot), 0);
    asm volatile("sti; hlt; cli" ::: "memory");
    expect_eq(upcalls, 4);
    expect(now() >= shot.timeout_abs_ns);
    test_pass();
}
