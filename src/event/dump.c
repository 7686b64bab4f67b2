/* SPDX-License-Identifier: MIT */
/* The debug key that shows a domain's event channels. Only what is open is shown, and of that at
 * most as many lines as a console takes in a moment. */
#include "event/table.h"
#include "base/log.h"

#define DUMP_MAX 256u

static const char *const state_name[] = {
    [EVTCHNSTAT_closed] = "closed",      [EVTCHNSTAT_unbound] = "unbound",
    [EVTCHNSTAT_interdomain] = "domain", [EVTCHNSTAT_pirq] = "pirq",
    [EVTCHNSTAT_virq] = "virq",          [EVTCHNSTAT_ipi] = "ipi",
};

static void dump_port(struct domain *d, uint32_t port, const struct port *p)
{
    char flags[4] = {port_is_pending(d, port) ? 'p' : '-', port_is_masked(d, port) ? 'm' : '-',
                     p->hypervisor ? 'h' : '-', 0};

    if (p->state == EVTCHNSTAT_interdomain || p->state == EVTCHNSTAT_unbound)
        log_key("  %4u [%s] %-8s %u:%u vCPU %u", port, flags, state_name[p->state], p->remote_id,
                p->state == EVTCHNSTAT_interdomain ? p->peer : 0, p->vcpu);
    else
        log_key("  %4u [%s] %-8s %u vCPU %u", port, flags, state_name[p->state], p->peer, p->vcpu);
}

void event_dump(struct domain *d)
{
    struct evtchn_table *t = d->events;
    uint32_t port, shown = 0;
    struct vcpu *v;

    if (!t)
        return;
    lock(&t->lock);
    log_key("domain %u: event channels, %s, %zu of %u open", d->id, t->fifo ? "FIFO" : "2-level",
            bitmap_weight(t->used, t->limit) - 1, t->limit - 1);
    for_each_vcpu (d, v)
        fifo_vcpu_dump(v);
    bitmap_for_each (port, t->used, t->count < t->limit ? t->count : t->limit) {
        if (!port)
            continue;
        if (++shown > DUMP_MAX) {
            log_key("  and more");
            break;
        }
        dump_port(d, port, port_find(t, port));
    }
    unlock(&t->lock);
}
