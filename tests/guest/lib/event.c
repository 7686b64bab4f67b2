/* SPDX-License-Identifier: MIT */
/* Event channels of the 2-level kind on vcpu 0, and the pvclock. The upcall clears upcall_pending,
 * takes the selector word by xchg, and clears and counts each pending port that is not masked. */
#include "lib/guest.h"

unsigned int event_count[4096];
unsigned int event_upcalls;
event_hook_t event_hook;

static void handle_pending(void)
{
    unsigned long sel, bits;

    vcpu_info->evtchn_upcall_pending = 0;
    sel = __atomic_exchange_n(&vcpu_info->evtchn_pending_sel, 0, __ATOMIC_SEQ_CST);
    for (; sel; sel &= sel - 1) {
        unsigned int word = __builtin_ctzl(sel);

        bits = shared_info->evtchn_pending[word] & ~shared_info->evtchn_mask[word];
        for (; bits; bits &= bits - 1) {
            unsigned int port = word * 64 + __builtin_ctzl(bits);

            event_clear(port);
            event_count[port]++;
            if (event_hook)
                event_hook(port);
        }
    }
}

void event_upcall(struct regs *regs)
{
    event_upcalls++;
    handle_pending();
}

/* Any hypercall delivers what became pending before the mask was cleared. */
void events_enable(void)
{
    barrier();
    vcpu_info->evtchn_upcall_mask = 0;
    barrier();
    if (vcpu_info->evtchn_upcall_pending)
        hc_xen_version(XENVER_version, NULL);
}

void events_disable(void)
{
    vcpu_info->evtchn_upcall_mask = 1;
    barrier();
}

bool event_pending(unsigned int port)
{
    barrier();
    return shared_info->evtchn_pending[port / 64] >> (port % 64) & 1;
}

void event_clear(unsigned int port)
{
    __atomic_and_fetch(&shared_info->evtchn_pending[port / 64], ~(1ul << (port % 64)),
                       __ATOMIC_SEQ_CST);
}

void event_mask(unsigned int port)
{
    __atomic_or_fetch(&shared_info->evtchn_mask[port / 64], 1ul << (port % 64), __ATOMIC_SEQ_CST);
}

long event_unmask(unsigned int port)
{
    struct evtchn_unmask op = {.port = port};

    return hc_event_channel_op(EVTCHNOP_unmask, &op);
}

long event_send(unsigned int port)
{
    struct evtchn_send op = {.port = port};

    return hc_event_channel_op(EVTCHNOP_send, &op);
}

long event_close(unsigned int port)
{
    struct evtchn_close op = {.port = port};

    return hc_event_channel_op(EVTCHNOP_close, &op);
}

unsigned int event_bind_ipi(void)
{
    struct evtchn_bind_ipi op = {.vcpu = 0};

    need_eq(hc_event_channel_op(EVTCHNOP_bind_ipi, &op), 0);
    event_mask(op.port);
    return op.port;
}

unsigned int event_bind_virq(unsigned int virq)
{
    struct evtchn_bind_virq op = {.virq = virq, .vcpu = 0};

    need_eq(hc_event_channel_op(EVTCHNOP_bind_virq, &op), 0);
    event_mask(op.port);
    return op.port;
}

unsigned int event_alloc_self(void)
{
    struct evtchn_alloc_unbound op = {.dom = DOMID_SELF, .remote_dom = DOMID_SELF};

    need_eq(hc_event_channel_op(EVTCHNOP_alloc_unbound, &op), 0);
    return op.port;
}

/* Public header xen.h, struct vcpu_time_info. */
uint64_t time_now(void)
{
    volatile struct vcpu_time_info *t = &vcpu_info->time;
    uint64_t delta, base;
    uint32_t version;

    do {
        version = t->version & ~1u;
        barrier();
        delta = rdtsc() - t->tsc_timestamp;
        delta = t->tsc_shift < 0 ? delta >> -t->tsc_shift : delta << t->tsc_shift;
        base = t->system_time + (uint64_t)(((unsigned __int128)delta * t->tsc_to_system_mul) >> 32);
        barrier();
    } while (version != t->version);
    return base;
}

void sleep_ms(unsigned int ms)
{
    struct sched_poll poll = {.timeout = time_now() + ms * 1000000ul};

    hc_sched_op(SCHEDOP_poll, &poll);
}

void expect_timer(void)
{
    unsigned int port = event_bind_virq(VIRQ_TIMER), n;
    uint64_t when = time_now() + 2000000;

    hc_vcpu_op(VCPUOP_stop_periodic_timer, 0, NULL);
    need_eq(event_unmask(port), 0);
    n = event_count[port];
    need_eq(hc_set_timer_op(when), 0);
    events_enable();
    while (event_count[port] == n && time_now() < when + 1000000000)
        hc_sched_op(SCHEDOP_block, NULL);
    events_disable();
    expect(event_count[port] > n);
    expect(time_now() >= when);
    need_eq(event_close(port), 0);
}
