/* SPDX-License-Identifier: MIT */
/* Mapping and unmapping of granted frames: map_grant_ref, unmap_grant_ref, unmap_and_replace.
 * Public grant_table.h; ABI.md 2.9.
 *
 * Unmapping goes in batches: the entries of a batch are removed, then all CPUs that may know them
 * flush, and only then the references are given up and the guest is told. */
#include "grant/table.h"
#include "domain/continuation.h"
#include "domain/guest_copy.h"
#include "memory/heap.h"
#include "memory/tlb.h"

#define BATCH 32u

#define KINDS (GNTMAP_host_map | GNTMAP_device_map)

static const struct grant_map_ops *ops_of(const struct domain *d)
{
    return d->hvm ? NULL : grant_map_ops_pv;
}

/* ---- handles ---- */

static struct mapping *mapping_at(struct gnttab *t, uint32_t handle)
{
    return &t->mapping[handle / MAPPINGS_PER_CHUNK][handle % MAPPINGS_PER_CHUNK];
}

static bool add_chunk(struct gnttab *t)
{
    struct mapping *m;

    if (t->mappings >= t->max_mappings)
        return false;
    m = heap_zalloc(MAPPINGS_PER_CHUNK * sizeof(*m));
    if (!m)
        return false;
    t->mapping[t->mappings / MAPPINGS_PER_CHUNK] = m;
    for (uint32_t i = MAPPINGS_PER_CHUNK; i-- > 0;) {
        m[i].ref = t->free;
        t->free = t->mappings + i;
    }
    t->mappings += MAPPINGS_PER_CHUNK;
    return true;
}

/* A handle, whose record is free and nobody else's; NO_HANDLE. */
static uint32_t handle_alloc(struct gnttab *t)
{
    uint32_t handle;

    lock(&t->map_lock);
    if (t->free == NO_HANDLE && !add_chunk(t))
        refuse(-ENOSPC, "grant map: all %u handles are in use", t->mappings);
    handle = t->free;
    if (handle != NO_HANDLE)
        t->free = mapping_at(t, handle)->ref;
    unlock(&t->map_lock);
    return handle;
}

/* [M] */
static void handle_free_locked(struct gnttab *t, uint32_t handle)
{
    struct mapping *m = mapping_at(t, handle);

    *m = (struct mapping){.ref = t->free};
    t->free = handle;
}

static void handle_free(struct gnttab *t, uint32_t handle)
{
    lock(&t->map_lock);
    handle_free_locked(t, handle);
    unlock(&t->map_lock);
}

/* ---- map ---- */

/* The uses of one mapping: host, device, or both. */
static unsigned uses(uint32_t flags)
{
    return !!(flags & GNTMAP_host_map) + !!(flags & GNTMAP_device_map);
}

static void end_uses(struct domain *r, mfn_t frame, uint32_t ref, bool write, unsigned n)
{
    for (; n; n--) {
        grant_frame_put(frame, write);
        grant_release(r, ref, write);
    }
}

/* The frame of the first use once more, whatever the granter calls by its number since. */
static int frame_get_again(struct domain *r, mfn_t m, bool write)
{
    int rc = write ? frame_get_writable(m, &r->memory) : frame_get(m, &r->memory);

    return rc ? GNTST_bad_page : GNTST_okay;
}

static int begin_uses(struct domain *d, struct domain *r, const struct gnttab_map_grant_ref *a,
                      mfn_t *frame)
{
    bool write = !(a->flags & GNTMAP_readonly);

    for (unsigned i = 0; i < uses(a->flags); i++) {
        const struct active *g;
        int rc = grant_acquire(r, a->ref, d->id, write, false, &g);

        if (!rc) {
            rc = i ? frame_get_again(r, *frame, write) : grant_frame_get(r, g->gfn, write, frame);
            if (rc)
                grant_release(r, a->ref, write);
        }
        if (rc) {
            end_uses(r, *frame, a->ref, write, i);
            return rc == GNTST_bad_page ? GNTST_general_error : rc;
        }
    }
    return GNTST_okay;
}

static int map_into(struct domain *d, struct domain *r, struct gnttab_map_grant_ref *a,
                    uint32_t handle)
{
    struct gnttab *t = d->grants;
    struct mapping *m;
    mfn_t frame = INVALID_MFN;
    int rc;

    rc = begin_uses(d, r, a, &frame);
    if (rc)
        return rc;
    if (a->flags & GNTMAP_host_map &&
        ops_of(d)->map(current(), a->host_addr, frame, a->flags) != 0) {
        end_uses(r, frame, a->ref, !(a->flags & GNTMAP_readonly), uses(a->flags));
        return GNTST_bad_virt_addr;
    }
    lock(&t->map_lock);
    m = mapping_at(t, handle);
    *m = (struct mapping){.granter = r, .frame = frame, .ref = a->ref, .flags = a->flags};
    unlock(&t->map_lock);
    a->handle = handle;
    a->dev_bus_addr = frame.n << PAGE_SHIFT;
    return GNTST_okay;
}

void grant_map_one(struct domain *d, struct gnttab_map_grant_ref *a)
{
    struct domain *r;
    uint32_t handle;

    if (!(a->flags & KINDS) || !ops_of(d)) {
        refuse(-EINVAL, "grant map: flags %x", a->flags);
        a->status = GNTST_bad_gntref;
        return;
    }
    r = domain_get(a->dom);
    if (!r || !r->grants || read_once(r->state) != DOMAIN_ALIVE) {
        refuse(-ESRCH, "grant map: no domain %u", a->dom);
        a->status = GNTST_bad_domain;
        goto out;
    }
    handle = handle_alloc(d->grants);
    if (handle == NO_HANDLE) {
        a->status = GNTST_no_space;
        goto out;
    }
    a->status = (int16_t)map_into(d, r, a, handle);
    if (a->status == GNTST_okay)
        return; /* the reference to r is the mapping's now */
    handle_free(d->grants, handle);
out:
    if (r)
        domain_put(r);
}

/* ---- unmap ---- */

struct unmap {
    uint64_t host_addr, dev_bus_addr, new_addr;
    uint32_t handle;
    int status;
    uint32_t taken; /* GNTMAP_*_map: what this call undoes */
    mfn_t frame;
    struct domain *granter;
    uint32_t ref, flags;
};

/* Takes what is to be unmapped out of the record, so that nobody else unmaps it too. */
static int take(struct gnttab *t, struct unmap *u)
{
    uint32_t want =
        (u->host_addr ? GNTMAP_host_map : 0) | (u->dev_bus_addr ? GNTMAP_device_map : 0);
    struct mapping *m = NULL;
    int rc = GNTST_okay;

    lock(&t->map_lock);
    if (u->handle < t->mappings)
        m = mapping_at(t, (uint32_t)index_nospec(u->handle, t->mappings));
    if (!m || !(m->flags & KINDS)) {
        refuse(-EINVAL, "grant unmap: handle %u is not in use", u->handle);
        rc = GNTST_bad_handle;
    } else if (u->dev_bus_addr && u->dev_bus_addr >> PAGE_SHIFT != m->frame.n) {
        refuse(-EINVAL, "grant unmap: handle %u is frame %lx, not %lx", u->handle, m->frame.n,
               u->dev_bus_addr >> PAGE_SHIFT);
        rc = GNTST_general_error;
    } else {
        u->frame = m->frame;
        u->granter = m->granter;
        u->ref = m->ref;
        u->flags = m->flags;
        u->taken = m->flags & want;
        m->flags &= ~u->taken;
        m->busy++;
    }
    unlock(&t->map_lock);
    return rc;
}

/* The taken is undone, or `back` in place. Frees the record after its last mapping. */
static void settle(struct gnttab *t, const struct unmap *u, uint32_t back)
{
    struct mapping *m;
    bool last;

    lock(&t->map_lock);
    m = mapping_at(t, u->handle);
    m->flags |= back;
    last = --m->busy == 0 && !(m->flags & KINDS);
    if (last)
        handle_free_locked(t, u->handle);
    unlock(&t->map_lock);
    if (last)
        domain_put(u->granter);
}

/* First half: the entry is removed. True if the rest waits for the flush. */
static bool unmap_begin(struct domain *d, struct unmap *u)
{
    u->status = take(d->grants, u);
    if (u->status)
        return false;
    if (u->taken & GNTMAP_host_map &&
        ops_of(d)->unmap(current(), u->host_addr, u->frame, u->flags, u->new_addr)) {
        u->status = GNTST_general_error;
        settle(d->grants, u, u->taken);
        return false;
    }
    if (!u->taken)
        settle(d->grants, u, 0);
    return u->taken;
}

/* Second half: no CPU knows the entry any more. */
static void unmap_end(struct domain *d, const struct unmap *u)
{
    end_uses(u->granter, u->frame, u->ref, !(u->flags & GNTMAP_readonly), uses(u->taken));
    settle(d->grants, u, 0);
}

static void unmap_all(struct domain *d, struct unmap *u, unsigned n)
{
    uint64_t waiting = 0;

    for (unsigned i = 0; i < n; i++)
        if (unmap_begin(d, &u[i]))
            waiting |= BIT(i);
    if (!waiting)
        return;
    tlb_flush_mask(&d->memory.dirty_cpus, TLB_ALL, 0);
    for (unsigned i = 0; i < n; i++)
        if (waiting & BIT(i))
            unmap_end(d, &u[i]);
}

/* Works through the guest's array in batches: `decode` reads element i into *u, `report` writes its
 * status. How the array goes on is said by a continuation. */
struct batch_ops {
    uint32_t cmd;
    size_t size; /* of an element */
    int (*decode)(uint64_t uop, uint32_t i, struct unmap *u);
    int (*report)(uint64_t uop, uint32_t i, int status);
};

static long run_batches(const struct batch_ops *ops, uint64_t uop, uint32_t count)
{
    struct domain *d = current()->domain;
    struct unmap u[BATCH];

    for (uint32_t i = 0; i < count; i += BATCH) {
        unsigned n = min(count - i, BATCH);
        long rc = 0;

        if (i && hypercall_preempt())
            return hypercall_continue_with(__HYPERVISOR_grant_table_op, ops->cmd,
                                           uop + i * ops->size, count - i);
        for (unsigned j = 0; j < n; j++) {
            u[j] = (struct unmap){0};
            if (ops->decode(uop, i + j, &u[j])) {
                rc = -EFAULT;
                n = j; /* what was read is done all the same */
            }
        }
        unmap_all(d, u, n);
        for (unsigned j = 0; j < n; j++)
            if (ops->report(uop, i + j, u[j].status))
                rc = -EFAULT;
        if (rc)
            return rc;
    }
    return 0;
}

static int unmap_decode(uint64_t uop, uint32_t i, struct unmap *u)
{
    struct gnttab_unmap_grant_ref a;
    int rc = guest_read_at(&a, uop, i);

    if (!rc) {
        u->host_addr = a.host_addr;
        u->dev_bus_addr = a.dev_bus_addr;
        u->handle = a.handle;
    }
    return rc;
}

static int unmap_report(uint64_t uop, uint32_t i, int status)
{
    int16_t s = (int16_t)status;

    return guest_write(uop + i * sizeof(struct gnttab_unmap_grant_ref) +
                           offsetof(struct gnttab_unmap_grant_ref, status),
                       &s, sizeof(s));
}

long grant_unmap_batch(uint64_t uop, uint32_t count)
{
    static const struct batch_ops batch = {
        .cmd = GNTTABOP_unmap_grant_ref,
        .size = sizeof(struct gnttab_unmap_grant_ref),
        .decode = unmap_decode,
        .report = unmap_report,
    };

    return run_batches(&batch, uop, count);
}

static int replace_decode(uint64_t uop, uint32_t i, struct unmap *u)
{
    struct gnttab_unmap_and_replace a;
    int rc = guest_read_at(&a, uop, i);

    if (!rc) {
        u->host_addr = a.host_addr;
        u->new_addr = a.new_addr;
        u->handle = a.handle;
    }
    return rc;
}

static int replace_report(uint64_t uop, uint32_t i, int status)
{
    int16_t s = (int16_t)status;

    return guest_write(uop + i * sizeof(struct gnttab_unmap_and_replace) +
                           offsetof(struct gnttab_unmap_and_replace, status),
                       &s, sizeof(s));
}

long grant_replace_batch(uint64_t uop, uint32_t count)
{
    static const struct batch_ops batch = {
        .cmd = GNTTABOP_unmap_and_replace,
        .size = sizeof(struct gnttab_unmap_and_replace),
        .decode = replace_decode,
        .report = replace_report,
    };

    return run_batches(&batch, uop, count);
}

/* ---- the end of the mapping domain, and the audit ---- */

int grant_release_mappings(struct domain *d)
{
    struct gnttab *t = d->grants;
    uint32_t done = 0;

    if (!t)
        return 0;
    /* Its page tables may still name the frames, but nobody will walk them any more. */
    tlb_flush_mask(&d->memory.dirty_cpus, TLB_ALL, 0);
    for (; t->cursor < t->mappings; t->cursor++) {
        struct mapping *m = mapping_at(t, t->cursor);
        struct unmap u = {
            .handle = t->cursor, .host_addr = 1, .dev_bus_addr = m->frame.n << PAGE_SHIFT};

        if (!(m->flags & KINDS))
            continue;
        if (++done % BATCH == 0 && hypercall_preempt())
            return -ERESTART;
        /* Frame 0 has no bus address to name it by. */
        if (!u.dev_bus_addr)
            u.dev_bus_addr = 1;
        if (!take(t, &u))
            unmap_end(d, &u);
    }
    return 0;
}

static void audit_domain(struct gnttab *t)
{
    for (uint32_t i = 0; i < t->mappings; i++) {
        const struct mapping *m = mapping_at(t, i);

        for (unsigned n = uses(m->flags); n; n--) {
            if (m->flags & GNTMAP_readonly)
                frame_audit_ref(m->frame);
            else
                frame_audit_use(m->frame, FRAME_WRITABLE);
        }
    }
}

static void audit_count(void)
{
    struct domain *d;

    for_each_domain (d)
        if (d->grants)
            audit_domain(d->grants);
}

void grant_audit_init(void)
{
    static struct frame_audit_source source sealed = {.name = "grants", .count = audit_count};
    static bool known;

    if (!__atomic_exchange_n(&known, true, __ATOMIC_RELAXED))
        frame_audit_register(&source);
}
