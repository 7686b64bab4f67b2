/* SPDX-License-Identifier: MIT */
/* The life of domains: made of parts, found by number, paused, shut down, torn down.
 *
 * A domain is freed when its last reference goes. The list holds one until the domain is dead and
 * owns no frame any more (frame/ says so by the owner's `empty`). */
#include "domain/domain.h"

#include "base/log.h"
#include "base/panic.h"
#include "base/softirq.h"
#include "cpu/spec.h"
#include "frame/p2m.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "lib/printf.h"
#include "memory/heap.h"
#include "time/clock.h"

#define PERMISSION_RANGES 64u /* in each of ioports, iomem, irqs */

struct domain *domain0;
struct list domain_list = LIST_INIT(domain_list);
const struct domain_part *domain_parts[DOMAIN_PARTS] sealed;
void (*domain_machine_shutdown)(uint8_t code) sealed;
void (*domain_crash_dump)(struct vcpu *v) sealed;
void (*domain_suspended)(struct domain *d, uint32_t port) sealed;
void (*domain_state_changed)(void) sealed;

#define BUCKETS 256u
static struct domain *by_id[BUCKETS]; /* [DOMLIST] those in the list, by the hash of their number */

/* [DOMLIST] */
#define for_each_listed(d) list_for_each_entry (d, &domain_list, link)

static struct lock domlist_lock = LOCK_INIT(RANK_DOMLIST, "domain list");

/* ---- finding ---- */

/* [DOMLIST] */
static struct domain *find(domid_t id)
{
    struct domain *d = by_id[id % BUCKETS];

    while (d && d->id != id)
        d = d->same_hash;
    return d;
}

/* In ascending order; a new one is most often the last. */
int domain_list_add(struct domain *d)
{
    struct domain **bucket = &by_id[d->id % BUCKETS];
    struct list *after;
    int rc = 0;

    lock(&domlist_lock);
    if (find(d->id)) {
        rc = -EEXIST;
    } else {
        for (after = domain_list.prev; after != &domain_list; after = after->prev)
            if (container_of(after, struct domain, link)->id < d->id)
                break;
        list_add(after, &d->link);
        d->same_hash = *bucket;
        *bucket = d;
    }
    unlock(&domlist_lock);
    return rc;
}

/* [DOMLIST] */
static void list_del_locked(struct domain *d)
{
    struct domain **at = &by_id[d->id % BUCKETS];

    while (*at != d)
        at = &(*at)->same_hash;
    *at = d->same_hash;
    list_del_init(&d->link);
}

void domain_list_del(struct domain *d)
{
    lock(&domlist_lock);
    list_del_locked(d);
    unlock(&domlist_lock);
}

void domain_list_reset(void)
{
    list_init(&domain_list);
    memset(by_id, 0, sizeof(by_id));
}

struct domain *domain_get(domid_t id)
{
    struct domain *found;

    if (id == DOMID_SELF) {
        found = current()->domain;
        __atomic_add_fetch(&found->refs, 1, __ATOMIC_RELAXED);
        return found;
    }
    lock(&domlist_lock);
    found = find(id);
    if (found)
        __atomic_add_fetch(&found->refs, 1, __ATOMIC_RELAXED);
    unlock(&domlist_lock);
    return found;
}

struct domain *domain_get_from(domid_t id)
{
    struct domain *d, *found;

    lock(&domlist_lock);
    found = find(id);
    if (!found) {
        for_each_listed(d)
        {
            if (d->id > id) {
                found = d;
                break;
            }
        }
    }
    if (found)
        __atomic_add_fetch(&found->refs, 1, __ATOMIC_RELAXED);
    unlock(&domlist_lock);
    return found;
}

/* Nobody asks any more after a domain whose last reference has gone. */
static const struct frame_owner_ops owner_gone;

static void domain_free(struct domain *d)
{
    write_once(d->memory.ops, &owner_gone);
    for (unsigned p = DOMAIN_PARTS; p-- > 0;) {
        const struct domain_part *part = domain_parts[p];

        for (unsigned i = 0; part && part->vcpu_free && d->vcpu && i < d->max_vcpus; i++)
            if (d->vcpu[i])
                part->vcpu_free(d->vcpu[i]);
        if (part && part->domain_free)
            part->domain_free(d);
    }
    for (unsigned i = 0; d->vcpu && i < d->max_vcpus; i++) {
        if (d->vcpu[i])
            sched_unit_destroy(&d->vcpu[i]->unit);
        heap_free(d->vcpu[i]);
    }
    sched_group_destroy(&d->sched);
    if (d->shared_info && frame_unshare(&d->memory, d->shared_info))
        BUG();
    frame_owner_destroy(&d->memory);
    heap_free(d->ioports.r);
    heap_free(d->iomem.r);
    heap_free(d->irqs.r);
    heap_page_free(d->shared_info);
    heap_free(d->vcpu);
    heap_free(d);
}

void domain_put(struct domain *d)
{
    if (__atomic_sub_fetch(&d->refs, 1, __ATOMIC_ACQ_REL) == 0)
        domain_free(d);
}

struct domain *domain_next(struct domain *d)
{
    struct domain *next = domain_get_from(d ? d->id + 1 : 0);

    if (d)
        domain_put(d);
    return next;
}

int domain_get_frame(struct domain *d, uint64_t gfn, bool write, mfn_t *m)
{
    int rc;

    *m = mfn(gfn);
    if (!d->p2m)
        return write ? frame_get_writable(*m, &d->memory) : frame_get(*m, &d->memory);
    rc = p2m_get(d->p2m, gfn, write, m);
    if (rc || !write)
        return rc;
    rc = frame_get_writable(*m, &d->memory);
    frame_put(*m);
    return rc;
}

/* ---- making ---- */

static int permissions_init(struct domain *d)
{
    struct range_set *sets[] = {&d->ioports, &d->iomem, &d->irqs};

    for (unsigned i = 0; i < ARRAY_SIZE(sets); i++) {
        struct range *r = heap_zalloc(PERMISSION_RANGES * sizeof(*r));

        if (!r)
            return -ENOMEM;
        range_set_init(sets[i], r, PERMISSION_RANGES);
    }
    return 0;
}

static int may_map_device(struct frame_owner *o, mfn_t m, bool *ro)
{
    const struct domain *d = container_of(o, struct domain, memory);

    *ro = domain_iomem_protected(m);
    return range_set_contains(&d->iomem, m.n, m.n) ? 0 : -EPERM;
}

/* The last frame of a dead domain has gone: so may the domain. */
static void domain_empty(void *data)
{
    struct domain *d = data;
    bool last;

    lock(&domlist_lock);
    last = read_once(d->state) == DOMAIN_DEAD && !list_empty(&d->link);
    if (last)
        list_del_locked(d);
    unlock(&domlist_lock);
    if (last) {
        if (domain_state_changed)
            domain_state_changed();
        domain_put(d); /* the list's */
    }
    domain_put(d); /* the task's */
}

/* With any lock held, as that of somebody's page tables whose entry was the last reference. So what
 * is put here must not be the last: the task takes over the reference that is made for it, or,
 * where it is queued already, has one of its own. */
static void owner_empty(struct frame_owner *o)
{
    struct domain *d = container_of(o, struct domain, memory);
    uint32_t refs = __atomic_load_n(&d->refs, __ATOMIC_RELAXED);

    do {
        if (!refs)
            return; /* domain_free() is at work */
    } while (!__atomic_compare_exchange_n(&d->refs, &refs, refs + 1, true, __ATOMIC_RELAXED,
                                          __ATOMIC_RELAXED));
    while (!task_queue(&d->empty_task)) {
        refs = __atomic_load_n(&d->refs, __ATOMIC_RELAXED);
        if (refs > 1 && __atomic_compare_exchange_n(&d->refs, &refs, refs - 1, true,
                                                    __ATOMIC_RELEASE, __ATOMIC_RELAXED))
            return;
    }
}

static const struct frame_owner_ops domain_owner_ops = {
    .may_map_device = may_map_device,
    .empty = owner_empty,
};

int domain_create(const struct domain_config *c, struct domain **out)
{
    struct domain *d;
    int rc = -ENOMEM;

    if (!c->max_vcpus || c->max_vcpus > MAX_VCPUS)
        return refuse(-EINVAL, "a domain of %u vCPUs", c->max_vcpus);
    if (frame_owner_known(c->id)) /* before the new owner takes the place of the old */
        return refuse(-EEXIST, "there is a domain %u, or what is left of it", c->id);
    d = heap_zalloc(sizeof(*d));
    if (!d)
        return -ENOMEM;
    d->id = c->id;
    d->refs = 1;
    d->privileged = c->privileged;
    d->hardware = c->hardware;
    d->hvm = c->hvm;
    d->max_vcpus = c->max_vcpus;
    d->pause_count = 1;
    d->empty_task = (struct task){.fn = domain_empty, .data = d};
    memcpy(d->handle, c->handle, sizeof(d->handle));
    list_init(&d->link);
    lock_init(&d->lock, RANK_DOMAIN, "domain");
    sched_group_init(&d->sched);
    frame_owner_init(&d->memory, d->id, &domain_owner_ops);
    d->memory.translated = c->hvm;
    d->memory.absent_checked = !c->hvm && (c->hardware ? spec_l1tf_dom0 : spec_l1tf_domu);

    d->vcpu = heap_zalloc(c->max_vcpus * sizeof(d->vcpu[0]));
    d->shared_info = heap_page();
    if (d->vcpu && d->shared_info)
        rc = permissions_init(d);
    if (!rc)
        frame_share(&d->memory, d->shared_info, true);
    for (unsigned p = 0; !rc && p < DOMAIN_PARTS && domain_parts[p]; p++)
        if (domain_parts[p]->domain_init)
            rc = domain_parts[p]->domain_init(d, c);
    if (!rc)
        rc = domain_list_add(d);
    if (rc) {
        domain_free(d);
        return rc;
    }
    *out = d;
    return 0;
}

/* ---- pause ---- */

static void pause_all(struct domain *d)
{
    struct vcpu *v;

    for_each_vcpu (d, v)
        vcpu_pause_set(v, VCPU_PAUSED_BIT);
}

void domain_wait_stopped(struct domain *d)
{
    struct vcpu *v;

    for_each_vcpu (d, v)
        if (v != current())
            sched_sleep_sync(&v->unit);
}

static void resume_all_locked(struct domain *d)
{
    struct vcpu *v;

    if (d->pause_count || d->shutting_down || d->state != DOMAIN_ALIVE)
        return;
    for_each_vcpu (d, v)
        vcpu_pause_clear(v, VCPU_PAUSED_BIT);
}

void domain_pause(struct domain *d)
{
    lock(&d->lock);
    d->pause_count++;
    pause_all(d);
    unlock(&d->lock);
    domain_wait_stopped(d);
}

int domain_unpause(struct domain *d)
{
    int rc = 0;

    lock(&d->lock);
    if (d->pause_count == 0)
        rc = refuse(-EINVAL, "unpause of domain %u, which is not paused", d->id);
    else
        d->pause_count--;
    if (!rc)
        resume_all_locked(d);
    unlock(&d->lock);
    return rc;
}

void domain_resume(struct domain *d)
{
    lock(&d->lock);
    d->shutting_down = d->shut_down = false;
    resume_all_locked(d);
    unlock(&d->lock);
}

/* ---- the end ---- */

void domain_shutdown(struct domain *d, uint8_t code)
{
    uint32_t port = 0;
    bool first;

    if (d->hardware) {
        if (domain_machine_shutdown)
            domain_machine_shutdown(code);
    }
    lock(&d->lock);
    first = !d->shutting_down;
    if (first) {
        d->shutting_down = true;
        d->shut_down = true;
        d->shutdown_code = code;
        port = code == SHUTDOWN_suspend ? d->suspend_port : 0;
        pause_all(d);
    }
    unlock(&d->lock);
    if (port && domain_suspended)
        domain_suspended(d, port);
    if (first && domain_state_changed)
        domain_state_changed();
}

void domain_crash(struct domain *d, const char *fmt, ...)
{
    struct vcpu *v = current();
    char why[160];
    va_list args;

    va_start(args, fmt);
    fmt_vsnprintf(why, sizeof(why), fmt, args);
    va_end(args);
    if (d->shutting_down)
        return;
    log_guest(LOG_ERROR, "domain %u crashed on vCPU %u: %s", d->id, v->domain == d ? v->id : 0u,
              why);
    if (v->domain == d) {
        vcpu_pause_set(v, VCPU_CRASHED_BIT);
        if (domain_crash_dump)
            domain_crash_dump(v);
    }
    domain_shutdown(d, SHUTDOWN_crash);
}

int domain_destroy(struct domain *d)
{
    int rc = 0;

    if (d->state == DOMAIN_DEAD)
        return 0;
    if (d->state == DOMAIN_ALIVE) {
        domain_pause(d);
        lock(&d->lock);
        write_once(d->state, DOMAIN_DYING);
        unlock(&d->lock);
        lock(&d->memory.lock);
        d->memory.dying = true;
        unlock(&d->memory.lock);
    }
    for (unsigned p = 0; !rc && p < DOMAIN_PARTS && domain_parts[p]; p++)
        if (domain_parts[p]->domain_release)
            rc = domain_parts[p]->domain_release(d);
    if (!rc)
        rc = frame_owner_release_all(&d->memory);
    if (rc)
        return rc;
    lock(&d->lock);
    write_once(d->state, DOMAIN_DEAD);
    unlock(&d->lock);
    if (domain_state_changed)
        domain_state_changed();
    if (frame_owner_is_empty(&d->memory))
        owner_empty(&d->memory);
    return 0;
}

void domain_wallclock_update(struct domain *d)
{
    struct wallclock w = wallclock_get();
    struct shared_info *s = d->shared_info;
    uint64_t sec = w.sec + (uint64_t)d->time_offset_s;
    uint32_t version = s->wc_version & ~1u;

    write_once(s->wc_version, version + 1);
    __atomic_thread_fence(__ATOMIC_RELEASE);
    s->wc_sec = (uint32_t)sec;
    s->wc_nsec = w.nsec;
    s->wc_sec_hi = (uint32_t)(sec >> 32);
    __atomic_thread_fence(__ATOMIC_RELEASE);
    write_once(s->wc_version, version + 2);
}
