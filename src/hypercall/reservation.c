/* SPDX-License-Identifier: MIT */
/* Memory that comes and goes: increase_reservation, decrease_reservation, populate_physmap and
 * claim_pages of memory_op. Public memory.h; ABI.md 2.4.
 *
 * The first three return how many extents are done, from the first of the list on, and never an
 * error: a guest reads the count. Why it stopped short is in the refusals. */
#include <xen/memory.h>
#include "hypercall/memory.h"

/* Frames between two looks at whether something else should run; a power of two. Larger extents
 * have one after each. */
#define PREEMPT_FRAMES 32u

struct reservation {
    struct domain *d;
    uint64_t list;      /* guest address of the extents, 0: none */
    uint64_t nr;        /* extents in all */
    unsigned order;     /* of each */
    unsigned addr_bits; /* 0: any */
};

/* Does one extent: `base` is its number in the list before and after. */
typedef int extent_fn(const struct reservation *r, uint64_t *base);

static int take_back(struct domain *d, mfn_t m, unsigned order)
{
    int rc = 0;

    for (uint64_t i = 0; i < 1ull << order && !rc; i++)
        rc = frame_release(&d->memory, mfn(m.n + i));
    return rc;
}

static int increase(const struct reservation *r, uint64_t *base)
{
    mfn_t m;
    int rc = frame_alloc(&r->d->memory, r->order, r->addr_bits, &m);

    if (!rc)
        *base = m.n;
    return rc;
}

static int populate(const struct reservation *r, uint64_t *base)
{
    uint64_t first = *base;
    mfn_t m;
    int rc = frame_alloc_named(&r->d->memory, r->order, r->addr_bits, first, &m);

    if (rc)
        return rc;
    if (!r->d->p2m) {
        *base = m.n;
        return 0;
    }
    rc = physmap_populate(r->d, first, m, r->order);
    if (rc && take_back(r->d, m, r->order))
        refuse(rc, "populate: frames from %lx were released by another vCPU", m.n);
    return rc;
}

/* A frame that the guest still maps stays alive, nameless, until it is not mapped any more. */
static int decrease_frame(struct domain *d, mfn_t m)
{
    int rc = frame_get(m, &d->memory);

    if (rc)
        return refuse(rc, "decrease: frame %lx is not domain %u's", m.n, d->id);
    if (frame_is_pinned(m)) {
        rc = refuse(-EBUSY, "decrease: frame %lx is a pinned page table", m.n);
    } else {
        /* Before the frame may be somebody else's. */
        frame_m2p_set(m, INVALID_M2P_ENTRY);
        rc = frame_release(&d->memory, m);
    }
    frame_put(m);
    return rc;
}

static int decrease(const struct reservation *r, uint64_t *base)
{
    int rc = 0;

    if (r->d->p2m) {
        for (uint64_t i = 0; i < 1ull << r->order && !rc; i++)
            rc = physmap_decrease(r->d, *base + i);
        return rc;
    }
    if (*base > max_mfn)
        return refuse(-EINVAL, "decrease: no frame %lx", *base);
    for (uint64_t i = 0; i < 1ull << r->order && !rc; i++)
        rc = decrease_frame(r->d, mfn(*base + i));
    return rc;
}

/* Works through the list from `start`; what to return. `in`, `out`: the list is read, written. */
static long run(const struct reservation *r, uint32_t op, uint64_t start, uint64_t arg,
                extent_fn *fn, bool in, bool out)
{
    for (uint64_t i = start; i < r->nr; i++) {
        uint64_t base = 0;

        if (i != start && (i << r->order) % PREEMPT_FRAMES == 0 && hypercall_preempt())
            return memory_continue(op, i, arg);
        if (in && guest_read_at(&base, r->list, i))
            return (long)i;
        if (fn(r, &base))
            return (long)i;
        if (out && guest_write_at(r->list, i, &base)) {
            /* Frames that nobody knows of. Only what just came can be taken back. */
            if (take_back(r->d, mfn(base), r->order))
                refuse(-EFAULT, "extent %lu: frame %lx cannot be told", i, base);
            return (long)i;
        }
    }
    return (long)r->nr;
}

/* Decodes and checks; false: nothing can be done. */
static bool decode(struct reservation *r, uint64_t start, uint64_t arg, bool list_needed)
{
    struct xen_memory_reservation a;

    if (guest_read(&a, arg, sizeof(a)))
        return false;
    *r = (struct reservation){
        .list = handle_va(a.extent_start),
        .nr = a.nr_extents,
        .order = a.extent_order,
        .addr_bits = XENMEMF_get_address_bits(a.mem_flags),
    };
    if (r->nr > MEMORY_OP_START || start >= r->nr) {
        if (r->nr > MEMORY_OP_START)
            refuse(-E2BIG, "memory: %lu extents", r->nr);
        return false;
    }
    if (list_needed && !r->list) {
        refuse(-EFAULT, "memory: no list of extents");
        return false;
    }
    if (r->order > memory_max_order()) {
        refuse(-EPERM, "memory: extents of order %u", r->order);
        return false;
    }
    if (a.mem_flags & XENMEMF_populate_on_demand) {
        refuse(-EINVAL, "memory: populate on demand");
        return false;
    }
    /* A limit that all RAM lies below is none. */
    if (r->addr_bits && (r->addr_bits >= 64 || max_mfn << PAGE_SHIFT <= 1ull << r->addr_bits))
        r->addr_bits = 0;
    if (r->addr_bits && r->addr_bits <= PAGE_SHIFT) {
        refuse(-EINVAL, "memory: frames of %u bits", r->addr_bits);
        return false;
    }
    return !memory_domain(a.domid, &r->d);
}

long memory_increase_reservation(uint32_t op, uint64_t start, uint64_t arg)
{
    struct reservation r;
    long rc;

    if (!decode(&r, start, arg, false))
        return (long)start;
    rc = r.d->p2m ? (long)start : run(&r, op, start, arg, increase, false, r.list != 0);
    domain_put(r.d);
    return rc;
}

long memory_decrease_reservation(uint32_t op, uint64_t start, uint64_t arg)
{
    struct reservation r;
    long rc;

    if (!decode(&r, start, arg, true))
        return (long)start;
    rc = run(&r, op, start, arg, decrease, true, false);
    domain_put(r.d);
    return rc;
}

long memory_populate_physmap(uint32_t op, uint64_t start, uint64_t arg)
{
    struct reservation r;
    long rc;

    if (!decode(&r, start, arg, true))
        return (long)start;
    rc = run(&r, op, start, arg, populate, true, !r.d->p2m);
    domain_put(r.d);
    return rc;
}

long memory_claim_pages(uint32_t op, uint64_t start, uint64_t arg)
{
    struct xen_memory_reservation a;
    struct domain *d;
    uint64_t pages;
    long rc;

    if (guest_read(&a, arg, sizeof(a)))
        return -EFAULT;
    if (!current()->domain->privileged)
        return refuse(-EPERM, "claim for domain %u", a.domid);
    if (handle_va(a.extent_start) || a.extent_order || a.mem_flags)
        return refuse(-EINVAL, "claim: list, order %u or flags %x", a.extent_order, a.mem_flags);
    if (memory_domain(a.domid, &d))
        return refuse(-EINVAL, "claim for domain %u, which is not there", a.domid);
    /* The claim names the whole size of the domain; what it has is part of that. */
    pages = read_once(d->memory.pages);
    if (a.nr_extents && a.nr_extents <= pages)
        rc = refuse(-EINVAL, "claim: domain %u has %lu of %lu frames", d->id, pages, a.nr_extents);
    else
        rc = frame_claim(&d->memory, a.nr_extents ? a.nr_extents - pages : 0);
    domain_put(d);
    return rc;
}
