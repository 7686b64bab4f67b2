/* SPDX-License-Identifier: MIT */
/* What must be true of a world at rest, besides what frame_audit() counts: the uses of each grant
 * are those of the mappings that there are; each connection of event channels has two ends; each
 * domain has as many references as there are holders. */
#include <stdio.h>

#include "base/softirq.h"
#include "event/table.h"
#include "grant/table.h"
#include "world.h"

/* ---- grants ---- */

static unsigned uses(const struct mapping *m)
{
    return !!(m->flags & GNTMAP_host_map) + !!(m->flags & GNTMAP_device_map);
}

static struct mapping *mapping_at(const struct gnttab *t, uint32_t i)
{
    return &t->mapping[i / MAPPINGS_PER_CHUNK][i % MAPPINGS_PER_CHUNK];
}

/* Uses of r's grant by mappings of all domains; of ref ~0 the mappings themselves. */
static void count_mappings(const struct domain *r, uint32_t ref, uint32_t *readers,
                           uint32_t *writers, uint32_t *mappings)
{
    struct domain *d;

    *readers = *writers = *mappings = 0;
    list_for_each_entry (d, &domain_list, link)
        for (uint32_t i = 0; d->grants && i < d->grants->mappings; i++) {
            const struct mapping *m = mapping_at(d->grants, i);

            if (m->granter != r || !uses(m))
                continue;
            ++*mappings;
            if (m->busy)
                sim_flaw("handle %u of domain %u is busy at rest", i, d->id);
            if (m->ref != ref)
                continue;
            if (active_at(((struct domain *)r)->grants, ref)->grantee != d->id)
                sim_flaw("grant %u of domain %u is for domain %u and mapped by %u", ref, r->id,
                         active_at(((struct domain *)r)->grants, ref)->grantee, d->id);
            if (m->flags & GNTMAP_readonly)
                *readers += uses(m);
            else
                *writers += uses(m);
        }
}

/* Each handle is in use or free. */
static void audit_handles(struct domain *d, const struct gnttab *t)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < t->mappings; i++)
        n += uses(mapping_at(t, i)) != 0;
    for (uint32_t i = t->free; i != NO_HANDLE && n <= t->mappings; i = mapping_at(t, i)->ref)
        n++;
    if (n != t->mappings)
        sim_flaw("domain %u: %u of %u handles are in use or free", d->id, n, t->mappings);
}

static void audit_grants(struct domain *d)
{
    struct gnttab *t = d->grants;
    uint32_t readers, writers, all;

    for (uint32_t ref = 0; ref < min(grant_count(t), 64u); ref++) {
        const struct active *a = active_at(t, ref);

        count_mappings(d, ref, &readers, &writers, &all);
        if (a->readers != readers || a->writers != writers)
            sim_flaw("grant %u of domain %u: %u readers, %u writers; counted are %u and %u", ref,
                     d->id, a->readers, a->writers, readers, writers);
    }
    audit_handles(d, t);
    if (lock_held(&t->lock) || t->lock.ticket != t->lock.serving ||
        t->map_lock.ticket != t->map_lock.serving)
        sim_flaw("domain %u: the lock of its grants is held at rest", d->id);
}

bool world_still_granted(const struct domain *d, mfn_t m)
{
    for (uint32_t i = 0; d->grants && i < d->grants->mappings; i++) {
        const struct mapping *e = mapping_at(d->grants, i);

        if (e->flags & GNTMAP_host_map && mfn_eq(e->frame, m))
            return true;
    }
    return false;
}

/* ---- events ---- */

static void audit_port(struct domain *d, uint32_t n, const struct port *p)
{
    const struct port *q;

    if ((p->state != EVTCHNSTAT_closed) != (n && bitmap_test(d->events->used, n)))
        sim_flaw("event channel %u of domain %u is %u, and the map says otherwise", n, d->id,
                 p->state);
    switch (p->state) {
    case EVTCHNSTAT_interdomain:
        q = p->remote && p->remote->events ? port_find(p->remote->events, p->peer) : NULL;
        if (!q || q->state != EVTCHNSTAT_interdomain || q->remote != d || q->peer != n)
            sim_flaw("event channel %u of domain %u has no other end", n, d->id);
        break;
    case EVTCHNSTAT_virq: {
        const struct vcpu *v = d->vcpu[virq_is_global(p->peer) ? 0 : p->vcpu];

        if (!v || v->events->virq[p->peer] != n)
            sim_flaw("event channel %u of domain %u is VIRQ %u, which does not know", n, d->id,
                     p->peer);
        break;
    }
    case EVTCHNSTAT_pirq:
        if (event_pirq_port(d, p->peer) != (int)n)
            sim_flaw("event channel %u of domain %u is PIRQ %u, which does not know", n, d->id,
                     p->peer);
        break;
    }
    if (p->vcpu >= d->max_vcpus)
        sim_flaw("event channel %u of domain %u is for vCPU %u", n, d->id, p->vcpu);
    if (p->state == EVTCHNSTAT_closed && (p->remote || p->consumer))
        sim_flaw("event channel %u of domain %u is closed and has an end", n, d->id);
}

static void audit_events(struct domain *d)
{
    struct evtchn_table *t = d->events;
    struct vcpu *v;

    for (uint32_t n = 1; n < t->count; n++)
        audit_port(d, n, port_find(t, n));
    for_each_vcpu (d, v)
        for (unsigned i = 0; i < NR_VIRQS; i++) {
            const struct port *p = port_find(t, v->events->virq[i]);

            if (v->events->virq[i] && (!p || p->state != EVTCHNSTAT_virq || p->peer != i))
                sim_flaw("VIRQ %u of domain %u is at event channel %u, which is not", i, d->id,
                         v->events->virq[i]);
        }
    if (t->lock.ticket != t->lock.serving)
        sim_flaw("domain %u: the lock of its event channels is held at rest", d->id);
}

/* ---- domains ---- */

static void audit_refs(struct domain *d)
{
    uint32_t readers, writers, expected, mappings;
    const struct vcpu *v;

    if ((d->state != DOMAIN_ALIVE) != d->memory.dying)
        sim_flaw("domain %u is in state %u, and its memory knows otherwise", d->id, d->state);
    for_each_vcpu (d, v)
        if (d->pause_count && !(v->pause & BIT(VCPU_PAUSED_BIT)))
            sim_flaw("vCPU %u of domain %u, paused %u times, may run", v->id, d->id,
                     d->pause_count);
    for_each_vcpu (d, v)
        if (v->info && (uintptr_t)v->info % PAGE_SIZE > PAGE_SIZE - sizeof(*v->info))
            sim_flaw("vCPU %u of domain %u: vcpu_info at offset %lx", v->id, d->id,
                     (unsigned long)((uintptr_t)v->info % PAGE_SIZE));
    count_mappings(d, ~0u, &readers, &writers, &mappings);
    expected = 1 + mappings; /* the list's own */
    for (unsigned i = 0; i < WORLD_DOMS; i++)
        expected += world[i].d == d;
    expected += world_hvm.d == d;
    for (unsigned i = 0; i < DOMAIN_WATCHDOGS; i++)
        expected += d->watchdog[i].armed;
    if (read_once(d->refs) != expected)
        sim_flaw("domain %u has %u references, counted are %u", d->id, d->refs, expected);
    if (d->lock.ticket != d->lock.serving || (d->pv && d->pv->mmu.ticket != d->pv->mmu.serving) ||
        d->memory.lock.ticket != d->memory.lock.serving)
        sim_flaw("domain %u: a lock is held at rest", d->id);
}

void world_audit(void)
{
    unsigned here = cpu_id();
    struct domain *d;

    /* What other CPUs were told to do, they have done. */
    for (unsigned cpu = 0; cpu < WORLD_CPUS; cpu++) {
        host_cpu_select(cpu);
        softirq_run();
    }
    host_cpu_select(here);
    if (frame_audit()) {
        sim_flaw("the audit disagrees");
        fputs(host_log(), stderr);
    }
    list_for_each_entry (d, &domain_list, link) {
        if (d->grants)
            audit_grants(d);
        if (d->events)
            audit_events(d);
        audit_refs(d);
    }
}
