/* SPDX-License-Identifier: MIT */
/* The sub-operations of the event_channel_op hypercall. Public event_channel.h; ABI.md 2.10 for the
 * errors that kernels and tools depend on.
 *
 * A connection needs both tables (table.h), so bind_interdomain locks a pair. Sending takes the
 * sender's lock alone. */
#include "event/table.h"
#include "domain/continuation.h"
#include "domain/guest_copy.h"
#include "memory/heap.h"

/* The domain an operation is about, with a reference: the caller's, or any if it may. */
static int target(struct domain *caller, domid_t id, struct domain **out)
{
    struct domain *d = domain_get(id);

    if (!d)
        return refuse(-ESRCH, "no domain %u", id);
    if (d != caller && !caller->privileged) {
        domain_put(d);
        return refuse(-EPERM, "event channels of domain %u", id);
    }
    *out = d;
    return 0;
}

static domid_t resolve(const struct domain *caller, domid_t id)
{
    return id == DOMID_SELF ? caller->id : id;
}

long port_report(struct domain *d, uint32_t port, uint64_t arg, const void *a, size_t n)
{
    if (likely(!guest_write(arg, a, n)))
        return 0;
    /* What nobody was told of is taken back; the guest may have closed it, by guessing. */
    return port_close(d, port, true) ? -EFAULT : refuse(-EFAULT, "result at %lx", arg);
}

/* ---- making ---- */

static long op_alloc_unbound(struct domain *caller, uint64_t arg)
{
    struct evtchn_alloc_unbound a;
    struct domain *d;
    uint32_t port;
    long rc;

    if (guest_read(&a, arg, sizeof(a)))
        return -EFAULT;
    rc = target(caller, a.dom, &d);
    if (rc)
        return rc;
    lock(&d->events->lock);
    rc = port_alloc(d, &port);
    if (!rc) {
        struct port *p = port_find(d->events, port);

        p->state = EVTCHNSTAT_unbound;
        p->remote_id = resolve(caller, a.remote_dom);
    }
    unlock(&d->events->lock);
    if (!rc) {
        a.port = port;
        rc = port_report(d, port, arg, &a, sizeof(a));
    }
    domain_put(d);
    return rc;
}

/* Connects a new port of d with r's port; both are locked. */
static int connect(struct domain *d, struct domain *r, uint32_t remote_port, uint32_t *out)
{
    struct port *p, *q = port_find(r->events, remote_port);
    uint32_t port;
    int rc;

    if (!q || q->state != EVTCHNSTAT_unbound || q->remote_id != d->id)
        return refuse(-EINVAL, "event channel %u of domain %u does not wait for domain %u",
                      remote_port, r->id, d->id);
    rc = port_alloc(d, &port);
    if (rc)
        return rc;
    p = port_find(d->events, port);
    p->state = q->state = EVTCHNSTAT_interdomain;
    p->remote = r;
    p->remote_id = r->id;
    p->peer = remote_port;
    q->remote = d;
    q->peer = port;
    /* The peer may have sent while nobody was there. */
    port_raise(d, p, port);
    *out = port;
    return 0;
}

static long op_bind_interdomain(struct domain *d, uint64_t arg)
{
    struct evtchn_bind_interdomain a;
    struct domain *r;
    uint32_t port = 0;
    long rc;

    if (guest_read(&a, arg, sizeof(a)))
        return -EFAULT;
    r = domain_get(a.remote_dom);
    if (!r)
        return refuse(-ESRCH, "no domain %u", a.remote_dom);
    lock_pair(&d->events->lock, &r->events->lock);
    rc = connect(d, r, a.remote_port, &port);
    unlock_pair(&d->events->lock, &r->events->lock);
    domain_put(r);
    if (rc)
        return rc;
    a.local_port = port;
    return port_report(d, port, arg, &a, sizeof(a));
}

static long op_bind_ipi(struct domain *d, uint64_t arg)
{
    struct evtchn_bind_ipi a;
    uint32_t port;
    long rc;

    if (guest_read(&a, arg, sizeof(a)))
        return -EFAULT;
    if (!event_vcpu(d, a.vcpu))
        return refuse(-ENOENT, "IPI: no vCPU %u", a.vcpu);
    lock(&d->events->lock);
    rc = port_alloc(d, &port);
    if (!rc) {
        struct port *p = port_find(d->events, port);

        p->state = EVTCHNSTAT_ipi;
        p->vcpu = (uint16_t)a.vcpu;
    }
    unlock(&d->events->lock);
    if (rc)
        return rc;
    a.port = port;
    return port_report(d, port, arg, &a, sizeof(a));
}

/* ---- using ---- */

int event_send(struct domain *d, uint32_t port)
{
    struct evtchn_table *t = d->events;
    struct port *p, *q;
    int rc = 0;

    lock(&t->lock);
    p = port_find(t, port);
    if (unlikely(!p || p->hypervisor)) {
        rc = refuse(-EINVAL, "send: event channel %u is beyond %u or not the guest's", port,
                    t->count);
        goto out;
    }
    switch (p->state) {
    case EVTCHNSTAT_interdomain:
        q = port_find(p->remote->events, p->peer);
        if (unlikely(q->hypervisor))
            q->consumer(p->remote->vcpu[q->vcpu], p->peer);
        else
            port_raise(p->remote, q, p->peer);
        break;
    case EVTCHNSTAT_ipi:
        port_raise(d, p, port);
        break;
    case EVTCHNSTAT_unbound:
        break; /* nobody there: lost */
    default:
        rc = refuse(-EINVAL, "send: event channel %u is in state %u", port, p->state);
    }
out:
    unlock(&t->lock);
    return rc;
}

static long op_send(struct domain *d, uint64_t arg)
{
    struct evtchn_send a;

    if (guest_read(&a, arg, sizeof(a)))
        return -EFAULT;
    return event_send(d, a.port);
}

static long op_close(struct domain *d, uint64_t arg)
{
    struct evtchn_close a;

    if (guest_read(&a, arg, sizeof(a)))
        return -EFAULT;
    return port_close(d, a.port, true);
}

static int status_of(const struct port *p, struct evtchn_status *a)
{
    if (p->hypervisor)
        return refuse(-EACCES, "status: event channel %u is the hypervisor's", a->port);
    a->status = p->state;
    a->vcpu = p->vcpu;
    switch (p->state) {
    case EVTCHNSTAT_unbound:
        a->u.unbound.dom = p->remote_id;
        break;
    case EVTCHNSTAT_interdomain:
        a->u.interdomain.dom = p->remote->id;
        a->u.interdomain.port = p->peer;
        break;
    case EVTCHNSTAT_pirq:
        a->u.pirq = p->peer;
        break;
    case EVTCHNSTAT_virq:
        a->u.virq = p->peer;
        break;
    }
    return 0;
}

static long op_status(struct domain *caller, uint64_t arg)
{
    struct evtchn_status a;
    struct domain *d;
    struct port *p;
    long rc;

    if (guest_read(&a, arg, sizeof(a)))
        return -EFAULT;
    rc = target(caller, a.dom, &d);
    if (rc)
        return rc;
    lock(&d->events->lock);
    p = port_find(d->events, a.port);
    rc = p ? status_of(p, &a) : refuse(-EINVAL, "status: no event channel %u", a.port);
    unlock(&d->events->lock);
    domain_put(d);
    if (rc)
        return rc;
    return guest_write(arg, &a, sizeof(a));
}

static int rebind(struct domain *d, uint32_t port, struct vcpu *v)
{
    struct port *p = port_find(d->events, port);

    if (!p || p->hypervisor)
        return refuse(-EINVAL, "bind_vcpu: event channel %u is not the guest's", port);
    switch (p->state) {
    case EVTCHNSTAT_virq:
        if (!virq_is_global(p->peer))
            return refuse(-EINVAL, "bind_vcpu: VIRQ %u belongs to its vCPU", p->peer);
        break;
    case EVTCHNSTAT_pirq:
        if (event_pirq_ops && event_pirq_ops->moved)
            event_pirq_ops->moved(d, p->peer, v);
        break;
    case EVTCHNSTAT_unbound:
    case EVTCHNSTAT_interdomain:
        break;
    default:
        return refuse(-EINVAL, "bind_vcpu: event channel %u is in state %u", port, p->state);
    }
    write_once(p->vcpu, (uint16_t)v->id);
    return 0;
}

static long op_bind_vcpu(struct domain *d, uint64_t arg)
{
    struct evtchn_bind_vcpu a;
    struct vcpu *v;
    long rc;

    if (guest_read(&a, arg, sizeof(a)))
        return -EFAULT;
    v = event_vcpu(d, a.vcpu);
    if (!v)
        return refuse(-ENOENT, "bind_vcpu: no vCPU %u", a.vcpu);
    lock(&d->events->lock);
    rc = rebind(d, a.port, v);
    unlock(&d->events->lock);
    return rc;
}

int event_unmask(struct domain *d, uint32_t port)
{
    struct evtchn_table *t = d->events;
    struct port *p;
    int rc = 0;

    lock(&t->lock);
    p = port_find(t, port);
    if (!p || !port) {
        rc = refuse(-EINVAL, "unmask: no event channel %u", port);
    } else {
        struct vcpu *v = d->vcpu[p->vcpu];

        if (t->fifo)
            fifo_unmask(d, p, port, v);
        else
            two_level_unmask(d, port, v);
    }
    unlock(&t->lock);
    return rc;
}

static long op_unmask(struct domain *d, uint64_t arg)
{
    struct evtchn_unmask a;

    if (guest_read(&a, arg, sizeof(a)))
        return -EFAULT;
    return event_unmask(d, a.port);
}

/* ---- all at once ---- */

int event_reset(struct domain *d)
{
    struct evtchn_table *t = d->events;
    int rc = port_close_all(d, true);
    size_t port;

    if (rc)
        return rc;
    lock(&t->lock);
    /* Another vCPU may have opened one since: it keeps the FIFO ABI until it closes that. What is
     * open by now is that one or the hypervisor's, of which there are few. */
    bitmap_for_each (port, t->used, t->limit) {
        const struct port *p = port_find(t, (uint32_t)port);

        if (p->state != EVTCHNSTAT_closed && !p->hypervisor) {
            unlock(&t->lock);
            return -ERESTART;
        }
    }
    fifo_destroy(d);
    unlock(&t->lock);
    return 0;
}

static long op_reset(struct domain *caller, uint64_t arg)
{
    struct evtchn_reset a;
    struct domain *d;
    long rc;

    if (guest_read(&a, arg, sizeof(a)))
        return -EFAULT;
    rc = target(caller, a.dom, &d);
    if (rc)
        return rc;
    if (d != caller && !d->pause_count)
        rc = refuse(-EINVAL, "reset: domain %u is not paused", d->id);
    else
        rc = event_reset(d);
    domain_put(d);
    if (rc == -ERESTART)
        return hypercall_continue_with(__HYPERVISOR_event_channel_op, EVTCHNOP_reset, arg);
    return rc;
}

/* ---- FIFO ---- */

static long op_init_control(struct domain *d, uint64_t arg)
{
    struct evtchn_init_control a;
    long rc;

    if (guest_read(&a, arg, sizeof(a)))
        return -EFAULT;
    lock(&d->events->lock);
    rc = fifo_init_control(d, &a);
    unlock(&d->events->lock);
    return rc ? rc : guest_write(arg, &a, sizeof(a));
}

static long op_expand_array(struct domain *d, uint64_t arg)
{
    struct evtchn_expand_array a;
    long rc;

    if (guest_read(&a, arg, sizeof(a)))
        return -EFAULT;
    lock(&d->events->lock);
    rc = fifo_expand_array(d, a.array_gfn);
    unlock(&d->events->lock);
    return rc;
}

static long op_set_priority(struct domain *d, uint64_t arg)
{
    struct evtchn_set_priority a;
    struct evtchn_table *t = d->events;
    struct port *p;
    long rc = 0;

    if (guest_read(&a, arg, sizeof(a)))
        return -EFAULT;
    lock(&t->lock);
    p = port_find(t, a.port);
    if (!p)
        rc = refuse(-EINVAL, "priority: no event channel %u", a.port);
    else if (!t->fifo)
        rc = refuse(-ENOSYS, "priority: 2-level event channels have none");
    else if (a.priority > EVTCHN_FIFO_PRIORITY_MIN)
        rc = refuse(-EINVAL, "priority %u of event channel %u", a.priority, a.port);
    else
        write_once(p->priority, (uint8_t)a.priority);
    unlock(&t->lock);
    return rc;
}

/* ---- ports of the hypervisor ---- */

int event_alloc_hypervisor_port(struct domain *d, unsigned vcpu, domid_t remote,
                                event_consumer_fn *fn, uint32_t *out)
{
    int rc;

    if (!event_vcpu(d, vcpu))
        return refuse(-ENOENT, "no vCPU %u", vcpu);
    lock(&d->events->lock);
    rc = port_alloc(d, out);
    if (!rc) {
        struct port *p = port_find(d->events, *out);

        p->state = EVTCHNSTAT_unbound;
        p->remote_id = remote;
        p->vcpu = (uint16_t)vcpu;
        p->hypervisor = true;
        p->consumer = fn;
    }
    unlock(&d->events->lock);
    return rc;
}

void event_notify_hypervisor_port(struct domain *d, uint32_t port)
{
    struct port *p;

    lock(&d->events->lock);
    p = port_find(d->events, port);
    /* The other end may not be there, or not any more. */
    if (p && p->hypervisor && p->state == EVTCHNSTAT_interdomain)
        port_raise(p->remote, port_find(p->remote->events, p->peer), p->peer);
    unlock(&d->events->lock);
}

void event_close_hypervisor_port(struct domain *d, uint32_t port)
{
    struct port *p;
    bool ours;

    lock(&d->events->lock);
    p = port_find(d->events, port);
    ours = p && p->hypervisor;
    unlock(&d->events->lock);
    if (ours && port_close(d, port, false))
        return;
}

/* ---- the table of operations ---- */

static long (*const ops[])(struct domain *d, uint64_t arg) = {
    [EVTCHNOP_bind_interdomain] = op_bind_interdomain,
    [EVTCHNOP_bind_virq] = op_bind_virq,
    [EVTCHNOP_bind_pirq] = op_bind_pirq,
    [EVTCHNOP_close] = op_close,
    [EVTCHNOP_send] = op_send,
    [EVTCHNOP_status] = op_status,
    [EVTCHNOP_alloc_unbound] = op_alloc_unbound,
    [EVTCHNOP_bind_ipi] = op_bind_ipi,
    [EVTCHNOP_bind_vcpu] = op_bind_vcpu,
    [EVTCHNOP_unmask] = op_unmask,
    [EVTCHNOP_reset] = op_reset,
    [EVTCHNOP_init_control] = op_init_control,
    [EVTCHNOP_expand_array] = op_expand_array,
    [EVTCHNOP_set_priority] = op_set_priority,
};

long event_channel_op(uint32_t cmd, uint64_t arg)
{
    struct domain *d = current()->domain;

    /* Ahead of the indirect call: sending is what is done most. */
    if (likely(cmd == EVTCHNOP_send))
        return op_send(d, arg);
    if (cmd >= ARRAY_SIZE(ops))
        return refuse(-ENOSYS, "event_channel_op %u", cmd);
    return ops[index_nospec(cmd, ARRAY_SIZE(ops))](d, arg);
}
