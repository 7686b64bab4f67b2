/* SPDX-License-Identifier: MIT */
/* What stands where in the physical address space of a fully virtual domain: add_to_physmap and
 * remove_from_physmap of memory_op, and the translated halves of reservations. Public memory.h;
 * ABI.md 2.4. */
#include <xen/memory.h>
#include "frame/p2m.h"
#include "grant/grant.h"
#include "hypercall/memory.h"

/* The frame at gfn goes: RAM back to the allocator, a page of the hypervisor's out of sight. */
static int empty_place(struct domain *d, uint64_t gfn)
{
    mfn_t m;
    enum p2m_type t = p2m_lookup(d->p2m, gfn, &m);
    int rc;

    if (t == P2M_NONE)
        return 0;
    rc = p2m_unmap(d->p2m, gfn, 0);
    /* A shared page of the heap is not the domain's to give back: it stays, unseen. */
    if (!rc && t == P2M_RAM && frame_release(&d->memory, m))
        return 0;
    return rc;
}

int physmap_populate(struct domain *d, uint64_t gfn, mfn_t m, unsigned order)
{
    int rc = 0;

    lock(&d->p2m->lock);
    for (uint64_t i = 0; !rc && i < 1ull << order; i++)
        rc = empty_place(d, gfn + i);
    /* In the largest pages there are: 2 MiB, or 4 KiB. */
    if (order >= 9 && IS_ALIGNED(gfn, 512))
        for (uint64_t i = 0; !rc && i < 1ull << order; i += 512)
            rc = p2m_map(d->p2m, gfn + i, mfn(m.n + i), 9, P2M_RAM);
    else
        for (uint64_t i = 0; !rc && i < 1ull << order; i++)
            rc = p2m_map(d->p2m, gfn + i, mfn(m.n + i), 0, P2M_RAM);
    for (uint64_t i = 0; rc && i < 1ull << order; i++) { /* all of it, or none */
        mfn_t there;

        if (p2m_lookup(d->p2m, gfn + i, &there) != P2M_NONE && p2m_unmap(d->p2m, gfn + i, 0))
            break; /* the frames live as long as the entries */
    }
    p2m_flush(d->p2m);
    unlock(&d->p2m->lock);
    return rc;
}

int physmap_decrease(struct domain *d, uint64_t gfn)
{
    mfn_t m;
    int rc;

    lock(&d->p2m->lock);
    if (p2m_lookup(d->p2m, gfn, &m) != P2M_RAM)
        rc = refuse(-EINVAL, "decrease: no RAM at gfn %lx", gfn);
    else
        rc = p2m_unmap(d->p2m, gfn, 0);
    p2m_flush(d->p2m);
    unlock(&d->p2m->lock);
    return rc ? rc : frame_release(&d->memory, m);
}

/* ---- add_to_physmap ---- */

/* Status frames of grants are the hypervisor's to write. */
static int source_frame(struct domain *d, const struct xen_add_to_physmap *a, mfn_t *m,
                        enum p2m_type *t)
{
    bool status = a->space == XENMAPSPACE_grant_table && (a->idx & XENMAPIDX_grant_table_status);

    *t = status ? P2M_RAM_RO : P2M_RAM;
    switch (a->space) {
    case XENMAPSPACE_shared_info:
        if (a->idx)
            return refuse(-EINVAL, "physmap: shared info page %lu", a->idx);
        *m = virt_to_mfn(d->shared_info);
        return 0;
    case XENMAPSPACE_grant_table:
        return grant_frame(d, status, (uint32_t)(a->idx & ~XENMAPIDX_grant_table_status), m);
    default:
        return refuse(-ENOSYS, "physmap: space %u", a->space);
    }
}

/* A page of RAM moves to another place. */
static int move_ram(struct domain *d, uint64_t from, uint64_t to)
{
    mfn_t m;
    int rc = p2m_get(d->p2m, from, true, &m);

    if (rc)
        return refuse(rc, "physmap: no RAM at gfn %lx", from);
    if (from != to) {
        rc = empty_place(d, to);
        if (!rc)
            rc = p2m_map(d->p2m, to, m, 0, P2M_RAM);
        if (!rc)
            rc = p2m_unmap(d->p2m, from, 0);
        if (!rc)
            frame_m2p_set(m, to);
    }
    frame_put(m);
    return rc;
}

/* Such a page is in one place at a time. */
static int place_page(struct domain *d, uint64_t gfn, mfn_t m, enum p2m_type t)
{
    uint64_t old = M2P[m.n];
    mfn_t there;
    int rc = 0;

    if (old != INVALID_M2P_ENTRY && p2m_lookup(d->p2m, old, &there) != P2M_NONE && mfn_eq(there, m))
        rc = p2m_unmap(d->p2m, old, 0);
    if (!rc)
        rc = empty_place(d, gfn);
    if (!rc)
        rc = p2m_map(d->p2m, gfn, m, 0, t);
    if (!rc)
        frame_m2p_set(m, gfn);
    return rc;
}

long memory_add_to_physmap(uint32_t op, uint64_t start, uint64_t arg)
{
    struct xen_add_to_physmap a;
    struct domain *d;
    mfn_t m;
    long rc;

    if (guest_read(&a, arg, sizeof(a)))
        return -EFAULT;
    rc = memory_domain(a.domid, &d);
    if (rc)
        return rc;
    if (!d->p2m) {
        rc = refuse(-EACCES, "physmap: domain %u is not translated", d->id);
    } else {
        lock(&d->p2m->lock);
        if (a.space == XENMAPSPACE_gmfn) {
            rc = move_ram(d, a.idx, a.gpfn);
        } else {
            enum p2m_type t;

            rc = source_frame(d, &a, &m, &t);
            if (!rc)
                rc = place_page(d, a.gpfn, m, t);
        }
        p2m_flush(d->p2m);
        unlock(&d->p2m->lock);
    }
    domain_put(d);
    return rc;
}

long memory_remove_from_physmap(uint32_t op, uint64_t start, uint64_t arg)
{
    struct xen_remove_from_physmap a;
    struct domain *d;
    mfn_t m;
    long rc;

    if (guest_read(&a, arg, sizeof(a)))
        return -EFAULT;
    rc = memory_domain(a.domid, &d);
    if (rc)
        return rc;
    if (!d->p2m) {
        rc = refuse(-EACCES, "physmap: domain %u is not translated", d->id);
    } else {
        lock(&d->p2m->lock);
        if (p2m_lookup(d->p2m, a.gpfn, &m) == P2M_NONE)
            rc = refuse(-ENOENT, "physmap: nothing at gfn %lx", a.gpfn);
        else
            rc = p2m_unmap(d->p2m, a.gpfn, 0);
        p2m_flush(d->p2m);
        unlock(&d->p2m->lock);
    }
    domain_put(d);
    return rc;
}
