/* SPDX-License-Identifier: MIT */
/* The table of a domain's ports: finding, giving out, raising, closing. Public event_channel.h.
 *
 * Records come in pages, made in order when the first port of a page is given out and kept until
 * the domain is freed. A bitmap says which ports are free, so a search is short however the guest
 * opens and closes. */
#include "event/table.h"
#include "base/panic.h"
#include "domain/continuation.h"
#include "memory/heap.h"

/* A guest can claim that closed ports are still linked in its queues; we look at so many of them
 * before we say there is none. */
#define BUSY_TRIES 1024u

struct port *port_find(struct evtchn_table *t, uint32_t port)
{
    uint32_t count = t->count;

    if (unlikely(port >= count))
        return NULL;
    port = (uint32_t)index_nospec(port, count);
    return &t->page[port / PORTS_PER_PAGE][port % PORTS_PER_PAGE];
}

static uint32_t limit_now(const struct evtchn_table *t)
{
    return t->fifo ? t->limit : min(t->limit, (uint32_t)EVTCHN_2L_NR_CHANNELS);
}

static int grow_to(struct evtchn_table *t, uint32_t port)
{
    while (port >= t->count) {
        struct port *page = heap_page();

        if (!page)
            return refuse(-ENOMEM, "no memory for event channel %u", port);
        t->page[t->count / PORTS_PER_PAGE] = page;
        t->count += PORTS_PER_PAGE;
    }
    return 0;
}

int port_alloc(struct domain *d, uint32_t *out)
{
    struct evtchn_table *t = d->events;
    uint32_t limit = limit_now(t), port = t->hint, tries = 0;
    struct port *p;
    int rc;

    lock_assert(&t->lock);
    if (t->dying)
        return refuse(-ESRCH, "domain %u is dying: no new event channels", d->id);
    port = t->hint = (uint32_t)bitmap_next_zero(t->used, limit, port);
    while (port < limit && t->fifo && fifo_busy(d, port)) {
        if (++tries == BUSY_TRIES)
            return refuse(-ENOSPC, "%u closed event channels are still linked", tries);
        port = (uint32_t)bitmap_next_zero(t->used, limit, port + 1);
    }
    if (port >= limit)
        return refuse(-ENOSPC, "all %u event channels are in use", limit);
    rc = grow_to(t, port);
    if (rc)
        return rc;
    bitmap_set(t->used, port);
    p = port_find(t, port);
    *p = (struct port){.priority = EVTCHN_FIFO_PRIORITY_DEFAULT, .queue = p->queue};
    *out = port;
    return 0;
}

void port_free(struct domain *d, struct port *p, uint32_t port)
{
    struct evtchn_table *t = d->events;

    /* What is left pending would be an event of whoever gets the port next. */
    if (t->fifo)
        fifo_clear(d, p, port);
    else
        two_level_clear(d, port);
    p->state = EVTCHNSTAT_closed;
    p->hypervisor = p->raised = false;
    p->consumer = NULL;
    p->remote = NULL;
    bitmap_clear(t->used, port);
    t->hint = min(t->hint, port);
}

/* ---- raising ---- */

void vcpu_upcall(struct vcpu *v)
{
    struct vcpu_info *info = __atomic_load_n(&v->info, __ATOMIC_ACQUIRE);

    if (info && !__atomic_exchange_n(&info->evtchn_upcall_pending, 1, __ATOMIC_SEQ_CST))
        vcpu_wake_for_event(v);
}

void port_raise(struct domain *d, struct port *p, uint32_t port)
{
    struct vcpu *v = d->vcpu[read_once(p->vcpu)];

    if (d->events->fifo)
        fifo_raise(d, p, port, v);
    else
        two_level_raise(d, port, v);
}

static noinline void wake_pollers(struct domain *d, uint32_t port)
{
    unsigned i;

    bitmap_for_each (i, d->events->polling, MAX_VCPUS) {
        struct vcpu *v = d->vcpu[i];
        uint32_t wanted;

        /* A bit without the state was left by a poll that ended otherwise. Only the vCPU clears it,
         * which may be on its way into the next poll just now. */
        if (!(__atomic_load_n(&v->pause, __ATOMIC_SEQ_CST) & BIT(VCPU_POLLING_BIT)))
            continue;
        wanted = read_once(v->poll_port);
        if (!wanted || wanted == port)
            event_poll_end(v);
    }
}

void port_wake_pollers(struct domain *d, uint32_t port)
{
    const unsigned long *polling = d->events->polling;
    unsigned long any = 0;

    /* Pairs with event_poll_start, as the port was made pending before. */
    for (unsigned i = 0; i < BITMAP_LONGS(MAX_VCPUS); i++)
        any |= __atomic_load_n(&polling[i], __ATOMIC_SEQ_CST);
    if (unlikely(any))
        wake_pollers(d, port);
}

void event_poll_start(struct vcpu *v)
{
    vcpu_pause_set(v, VCPU_POLLING_BIT);
    bit_test_and_set_atomic(v->domain->events->polling, v->id);
}

void event_poll_end(struct vcpu *v)
{
    bit_test_and_clear_atomic(v->domain->events->polling, v->id);
    vcpu_pause_clear(v, VCPU_POLLING_BIT);
}

bool port_is_pending(struct domain *d, uint32_t port)
{
    return d->events->fifo ? fifo_pending(d, port) : two_level_pending(d, port);
}

bool port_is_masked(struct domain *d, uint32_t port)
{
    return d->events->fifo ? fifo_masked(d, port) : two_level_masked(d, port);
}

int event_port_pending(struct domain *d, uint32_t port)
{
    struct evtchn_table *t = d->events;
    int rc = -EINVAL;

    lock(&t->lock);
    if (port && port_find(t, port))
        rc = port_is_pending(d, port);
    unlock(&t->lock);
    return rc;
}

void event_vcpu_info_moved(struct vcpu *v)
{
    struct vcpu_info *info = v->info;

    __atomic_store_n(&info->evtchn_pending_sel, ~0ul, __ATOMIC_SEQ_CST);
    __atomic_store_n(&info->evtchn_upcall_pending, 1, __ATOMIC_SEQ_CST);
    vcpu_wake_for_event(v);
}

/* ---- closing ---- */

/* Locks d's table, and with it that of the domain at the other end of `port`, if there is one. The
 * other comes back in *remote, with a reference, or NULL. */
static locks_unchecked struct port *lock_both_ends(struct domain *d, uint32_t port,
                                                   struct domain **remote)
{
    struct evtchn_table *t = d->events;
    struct domain *r = NULL;

    for (;;) {
        struct port *p;
        struct domain *now;

        if (r)
            lock_pair(&t->lock, &r->events->lock);
        else
            lock(&t->lock);
        p = port_find(t, port);
        now = p && p->state == EVTCHNSTAT_interdomain && p->remote != d ? p->remote : NULL;
        if (now == r) {
            *remote = r;
            return p;
        }
        /* The connection holds the other domain's event state, this reference all of it. */
        if (now)
            __atomic_fetch_add(&now->refs, 1, __ATOMIC_RELAXED);
        if (r) {
            unlock_pair(&t->lock, &r->events->lock);
            domain_put(r);
        } else {
            unlock(&t->lock);
        }
        r = now;
    }
}

static locks_unchecked void unlock_both_ends(struct domain *d, struct domain *remote)
{
    if (!remote) {
        unlock(&d->events->lock);
        return;
    }
    unlock_pair(&d->events->lock, &remote->events->lock);
    domain_put(remote);
}

static void disconnect(struct domain *d, struct port *p)
{
    struct port *q = port_find(p->remote->events, p->peer);

    ASSERT(q && q->state == EVTCHNSTAT_interdomain && q->remote == d);
    q->state = EVTCHNSTAT_unbound;
    q->remote_id = d->id;
    q->remote = NULL;
}

int port_close(struct domain *d, uint32_t port, bool guest)
{
    struct domain *remote;
    struct port *p = lock_both_ends(d, port, &remote);
    int rc = 0;

    if (!p || p->state == EVTCHNSTAT_closed) {
        rc = refuse(-EINVAL, "event channel %u of domain %u is not open", port, d->id);
        goto out;
    }
    if (guest && p->hypervisor) {
        rc = refuse(-EINVAL, "event channel %u of domain %u is the hypervisor's", port, d->id);
        goto out;
    }
    switch (p->state) {
    case EVTCHNSTAT_interdomain:
        disconnect(d, p);
        break;
    case EVTCHNSTAT_virq:
        virq_unbind(d, p);
        break;
    case EVTCHNSTAT_pirq:
        pirq_unbind(d, p);
        break;
    }
    port_free(d, p, port);
out:
    unlock_both_ends(d, remote);
    return rc;
}

int port_close_all(struct domain *d, bool guest)
{
    struct evtchn_table *t = d->events;
    uint32_t done = 0;

    for (uint32_t port = 1; port < t->count; port++) {
        struct port *p;
        bool close;

        lock(&t->lock);
        port = (uint32_t)bitmap_next(t->used, t->limit, port);
        p = port < t->limit ? port_find(t, port) : NULL;
        close = p && p->state != EVTCHNSTAT_closed && !(guest && p->hypervisor);
        unlock(&t->lock);
        if (port >= t->limit)
            break;
        /* Somebody else may have closed it meanwhile: just as well. */
        if (close && port_close(d, port, guest))
            continue;
        if (++done % 64 == 0 && hypercall_preempt())
            return -ERESTART;
    }
    return 0;
}

/* ---- life ---- */

static int table_init(struct domain *d, const struct domain_config *c)
{
    uint32_t limit = min(c->max_evtchn_port, (uint32_t)EVTCHN_FIFO_NR_CHANNELS - 1) + 1;
    struct evtchn_table *t = heap_zalloc(sizeof(*t));

    fifo_audit_init();
    if (!t)
        return -ENOMEM;
    t->limit = limit;
    t->page = heap_zalloc(DIV_ROUND_UP(limit, PORTS_PER_PAGE) * sizeof(t->page[0]));
    t->used = heap_zalloc(BITMAP_LONGS(limit) * sizeof(long));
    if (!t->page || !t->used || grow_to(t, 0)) {
        heap_free(t->page);
        heap_free(t->used);
        heap_free(t);
        return -ENOMEM;
    }
    lock_init(&t->lock, RANK_EVENT, "event channels");
    bitmap_set(t->used, 0);
    d->events = t;
    return 0;
}

static int vcpu_init(struct vcpu *v)
{
    v->events = heap_zalloc(sizeof(*v->events));
    return v->events ? 0 : -ENOMEM;
}

static int table_release(struct domain *d)
{
    struct evtchn_table *t = d->events;
    int rc;

    if (!t)
        return 0;
    lock(&t->lock);
    t->dying = true;
    unlock(&t->lock);
    virq_forget_handler(d);
    rc = port_close_all(d, false);
    if (rc)
        return rc;
    lock(&t->lock);
    fifo_destroy(d);
    unlock(&t->lock);
    return 0;
}

static void table_free(struct domain *d)
{
    struct evtchn_table *t = d->events;

    if (!t)
        return;
    for (uint32_t i = 0; i < t->count / PORTS_PER_PAGE; i++)
        heap_page_free(t->page[i]);
    for (unsigned i = 0; i < ARRAY_SIZE(t->pirq); i++)
        heap_page_free(t->pirq[i]);
    heap_free(t->page);
    heap_free(t->used);
    heap_free(t);
    d->events = NULL;
}

static void vcpu_free(struct vcpu *v)
{
    heap_free(v->events);
    v->events = NULL;
}

const struct domain_part event_part = {
    .name = "event channels",
    .domain_init = table_init,
    .vcpu_init = vcpu_init,
    .domain_release = table_release,
    .vcpu_free = vcpu_free,
    .domain_free = table_free,
};
