/* SPDX-License-Identifier: MIT */
/* The 2-level ABI: a pending and a mask bit for each port in shared_info, one selector bit for each
 * 64 ports in vcpu_info, one byte that says there is something. Public xen.h, struct shared_info.
 *
 * The guest clears from the top down and looks again after it has cleared; each step here is an
 * atomic that orders all, from the bottom up, so one of the two sees the other. The whole of it is
 * the guest's memory: nothing read from it is used but as a truth value.
 *
 * A port of the hypervisor that outlived a reset from FIFO may be beyond the bitmaps: it has no
 * bits, and the guest hears nothing of it. */
#include "event/table.h"

#define SELECTOR(port) ((port) / BITS_PER_LONG)

static bool has_bits(uint32_t port)
{
    return port < EVTCHN_2L_NR_CHANNELS;
}

static void select_and_upcall(uint32_t port, struct vcpu *v)
{
    struct vcpu_info *info = __atomic_load_n(&v->info, __ATOMIC_ACQUIRE);

    if (info && !bit_test_and_set_atomic(&info->evtchn_pending_sel, SELECTOR(port)))
        vcpu_upcall(v);
}

void two_level_raise(struct domain *d, uint32_t port, struct vcpu *v)
{
    struct shared_info *s = d->shared_info;

    if (!has_bits(port) || bit_test_and_set_atomic(s->evtchn_pending, port))
        return;
    if (!two_level_masked(d, port))
        select_and_upcall(port, v);
    port_wake_pollers(d, port);
}

void two_level_unmask(struct domain *d, uint32_t port, struct vcpu *v)
{
    struct shared_info *s = d->shared_info;

    if (has_bits(port) && bit_test_and_clear_atomic(s->evtchn_mask, port) &&
        two_level_pending(d, port))
        select_and_upcall(port, v);
}

void two_level_clear(struct domain *d, uint32_t port)
{
    if (has_bits(port))
        bit_test_and_clear_atomic(d->shared_info->evtchn_pending, port);
}

bool two_level_pending(struct domain *d, uint32_t port)
{
    return has_bits(port) &&
           (__atomic_load_n(&d->shared_info->evtchn_pending[bitmap_long(port)], __ATOMIC_SEQ_CST) &
            bitmap_mask(port));
}

bool two_level_masked(struct domain *d, uint32_t port)
{
    return has_bits(port) &&
           (__atomic_load_n(&d->shared_info->evtchn_mask[bitmap_long(port)], __ATOMIC_SEQ_CST) &
            bitmap_mask(port));
}
