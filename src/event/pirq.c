/* SPDX-License-Identifier: MIT */
/* Physical interrupts as event channels. Which interrupt a PIRQ is, and its masking, is the matter
 * of the layer that sets event_pirq_ops; here is but the port. Public event_channel.h. */
#include "event/table.h"
#include "domain/guest_copy.h"
#include "memory/heap.h"

const struct event_pirq_ops *event_pirq_ops sealed;

/* Where the port of the PIRQ is kept; NULL if there is no page for it. */
static uint32_t *slot(struct evtchn_table *t, unsigned pirq)
{
    uint32_t *page;

    if (pirq >= EVENT_PIRQS)
        return NULL;
    pirq = (unsigned)index_nospec(pirq, EVENT_PIRQS);
    page = t->pirq[pirq / 1024];
    return page ? &page[pirq % 1024] : NULL;
}

static int bind(struct domain *d, struct evtchn_bind_pirq *a)
{
    struct evtchn_table *t = d->events;
    uint32_t *place, port;
    struct port *p;
    int rc;

    if (!t->pirq[a->pirq / 1024])
        t->pirq[a->pirq / 1024] = heap_page();
    place = slot(t, a->pirq);
    if (!place)
        return refuse(-ENOMEM, "no memory for PIRQ %u", a->pirq);
    if (*place)
        return refuse(-EEXIST, "PIRQ %u is bound to event channel %u", a->pirq, *place);
    rc = port_alloc(d, &port);
    if (rc)
        return rc;
    p = port_find(t, port);
    p->state = EVTCHNSTAT_pirq;
    p->peer = a->pirq;
    *place = a->port = port;
    rc = event_pirq_ops->bind(d, a->pirq, a->flags & BIND_PIRQ__WILL_SHARE);
    if (rc) {
        *place = 0;
        port_free(d, p, port);
    }
    return rc;
}

long op_bind_pirq(struct domain *d, uint64_t arg)
{
    struct evtchn_bind_pirq a;
    long rc;

    if (guest_read(&a, arg, sizeof(a)))
        return -EFAULT;
    if (a.pirq >= EVENT_PIRQS)
        return refuse(-EINVAL, "no PIRQ %u", a.pirq);
    a.pirq = (uint32_t)index_nospec(a.pirq, EVENT_PIRQS);
    if (!event_pirq_ops)
        return refuse(-EPERM, "PIRQ %u: no physical interrupts", a.pirq);
    lock(&d->events->lock);
    rc = bind(d, &a);
    unlock(&d->events->lock);
    return rc ? rc : port_report(d, a.port, arg, &a, sizeof(a));
}

void pirq_unbind(struct domain *d, const struct port *p)
{
    *slot(d->events, p->peer) = 0;
    event_pirq_ops->unbind(d, p->peer);
}

void event_send_pirq(struct domain *d, unsigned pirq)
{
    struct evtchn_table *t = d->events;
    uint32_t *place;

    lock(&t->lock);
    place = slot(t, pirq);
    if (place && *place)
        port_raise(d, port_find(t, *place), *place);
    unlock(&t->lock);
}

int event_pirq_port(struct domain *d, unsigned pirq)
{
    uint32_t *place;
    int port;

    lock(&d->events->lock);
    place = slot(d->events, pirq);
    port = place ? (int)*place : 0;
    unlock(&d->events->lock);
    return port;
}
