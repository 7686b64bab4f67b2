/* SPDX-License-Identifier: MIT */
/* Virtual interrupts: those of each vCPU, and the global ones, which have a port at vCPU 0 of every
 * domain that binds them and are raised at one domain: domain 0, or the one that the toolstack set.
 * Public xen.h, VIRQ_*. */
#include "event/table.h"
#include "domain/guest_copy.h"

static struct lock handler_lock = LOCK_INIT(RANK_EVENT_HANDLER, "virq handlers");
static struct domain *handler[NR_VIRQS]; /* [handler_lock] NULL: domain 0 */

bool virq_is_global(uint32_t virq)
{
    return virq != VIRQ_TIMER && virq != VIRQ_DEBUG && virq != VIRQ_XENOPROF && virq != VIRQ_XENPMU;
}

static int bind(struct domain *d, struct evtchn_bind_virq *a)
{
    struct vcpu *v = event_vcpu(d, a->vcpu);
    struct port *p;
    uint32_t port;
    int rc;

    if (!v)
        return refuse(-ENOENT, "VIRQ %u: no vCPU %u", a->virq, a->vcpu);
    if (v->events->virq[a->virq])
        return refuse(-EEXIST, "VIRQ %u of vCPU %u is bound to event channel %u", a->virq, a->vcpu,
                      v->events->virq[a->virq]);
    rc = port_alloc(d, &port);
    if (rc)
        return rc;
    p = port_find(d->events, port);
    p->state = EVTCHNSTAT_virq;
    p->vcpu = (uint16_t)a->vcpu;
    p->peer = a->virq;
    v->events->virq[a->virq] = a->port = port;
    return 0;
}

long op_bind_virq(struct domain *d, uint64_t arg)
{
    struct evtchn_bind_virq a;
    long rc;

    if (guest_read(&a, arg, sizeof(a)))
        return -EFAULT;
    if (a.virq >= NR_VIRQS)
        return refuse(-EINVAL, "no VIRQ %u", a.virq);
    a.virq = (uint32_t)index_nospec(a.virq, NR_VIRQS);
    if (virq_is_global(a.virq) && a.vcpu)
        return refuse(-EINVAL, "global VIRQ %u on vCPU %u", a.virq, a.vcpu);
    lock(&d->events->lock);
    rc = bind(d, &a);
    unlock(&d->events->lock);
    return rc ? rc : port_report(d, a.port, arg, &a, sizeof(a));
}

void virq_unbind(struct domain *d, const struct port *p)
{
    /* A global one may have moved to another vCPU; its place is vCPU 0. */
    struct vcpu *v = d->vcpu[virq_is_global(p->peer) ? 0 : p->vcpu];

    v->events->virq[p->peer] = 0;
}

/* Raises the VIRQ that has its place at v. */
static void raise(struct vcpu *v, unsigned virq)
{
    struct domain *d = v->domain;
    uint32_t port;

    if (!read_once(v->events->virq[virq]))
        return;
    lock(&d->events->lock);
    port = v->events->virq[virq];
    if (port)
        port_raise(d, port_find(d->events, port), port);
    unlock(&d->events->lock);
}

void event_send_vcpu_virq(struct vcpu *v, unsigned virq)
{
    if (v->events)
        raise(v, virq);
}

void event_send_global_virq(unsigned virq)
{
    struct domain *d;

    lock(&handler_lock);
    d = handler[virq] ? handler[virq] : domain0;
    if (d && d->vcpu && d->vcpu[0])
        event_send_vcpu_virq(d->vcpu[0], virq);
    unlock(&handler_lock);
}

int event_set_virq_handler(struct domain *d, unsigned virq)
{
    int rc = 0;

    if (virq >= NR_VIRQS || !virq_is_global(virq))
        return refuse(-EINVAL, "VIRQ %u is not a global one", virq);
    if (!d->vcpu[0])
        return refuse(-EINVAL, "domain %u has no vCPU", d->id);
    lock(&handler_lock);
    /* Who dies forgets itself once, after it has said so. */
    if (read_once(d->events->dying))
        rc = refuse(-ESRCH, "VIRQ %u: domain %u is dying", virq, d->id);
    else
        handler[virq] = d == domain0 ? NULL : d;
    unlock(&handler_lock);
    return rc;
}

void virq_forget_handler(struct domain *d)
{
    lock(&handler_lock);
    for (unsigned i = 0; i < NR_VIRQS; i++)
        if (handler[i] == d)
            handler[i] = NULL;
    unlock(&handler_lock);
}
