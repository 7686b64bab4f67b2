/* SPDX-License-Identifier: MIT */
/* XENMEM_exchange: a paravirtual guest gives frames and gets as many others, contiguous or low
 * enough for a device. Public memory.h, struct xen_memory_exchange.
 *
 * The work goes chunk by chunk, a chunk being one extent of the larger order: its input is read and
 * checked, its output allocated, and only then the input is released; so a chunk is exchanged
 * wholly or not at all. For its output the domain may exceed its limit meanwhile. Progress is in
 * nr_exchanged, in the guest's structure. */
#include <xen/memory.h>
#include "hypercall/memory.h"
#include "memory/heap.h"

struct exchange {
    struct domain *d;
    uint64_t in_list, out_list;
    unsigned in_order, out_order, order; /* order: of a chunk */
    unsigned addr_bits;
    mfn_t *in;  /* first frames of the input extents of a chunk */
    mfn_t *out; /* the same of the output */
    uint64_t *gpfn;
};

static uint64_t in_extents(const struct exchange *x)
{
    return 1ull << (x->order - x->in_order);
}

static uint64_t out_extents(const struct exchange *x)
{
    return 1ull << (x->order - x->out_order);
}

/* Is the frame the domain's, and used by nobody but for belonging to it? */
static int check_frame(struct domain *d, mfn_t m)
{
    int rc = frame_get(m, &d->memory);

    if (rc)
        return refuse(rc, "exchange: frame %lx is not domain %u's", m.n, d->id);
    if (frame_ref_count(m) > 2)
        rc = refuse(-EINVAL, "exchange: frame %lx is in use", m.n);
    frame_put(m);
    return rc;
}

static int read_chunk(struct exchange *x, uint64_t chunk)
{
    for (uint64_t i = 0; i < in_extents(x); i++) {
        uint64_t base;

        if (guest_read_at(&base, x->in_list, chunk * in_extents(x) + i))
            return -EFAULT;
        if (base >= max_mfn)
            return refuse(-EINVAL, "exchange: no frame %lx", base);
        x->in[i] = mfn(base);
        for (uint64_t j = 0; j < 1ull << x->in_order; j++) {
            int rc = check_frame(x->d, mfn(base + j));

            if (rc)
                return rc;
        }
    }
    for (uint64_t i = 0; i < out_extents(x); i++)
        if (guest_read_at(&x->gpfn[i], x->out_list, chunk * out_extents(x) + i))
            return -EFAULT;
    return 0;
}

/* Frames whose number the guest never learned; it may have guessed and released them. */
static void release(struct exchange *x, mfn_t m, unsigned order)
{
    for (uint64_t i = 0; i < 1ull << order; i++)
        if (frame_release(&x->d->memory, mfn(m.n + i)))
            break;
}

static int allocate_chunk(struct exchange *x)
{
    /* Each vCPU may be exchanging a chunk. */
    uint64_t beyond = (uint64_t)x->d->max_vcpus << x->order;

    for (uint64_t i = 0; i < out_extents(x); i++) {
        int rc = frame_alloc_beyond(&x->d->memory, x->out_order, x->addr_bits, beyond, &x->out[i]);

        if (rc) {
            while (i--)
                release(x, x->out[i], x->out_order);
            return rc;
        }
    }
    return 0;
}

/* Gives up the input: how many frames went. */
static uint64_t release_input(struct exchange *x)
{
    uint64_t gone = 0;

    for (uint64_t i = 0; i < in_extents(x); i++)
        for (uint64_t j = 0; j < 1ull << x->in_order; j++) {
            mfn_t m = mfn(x->in[i].n + j);

            if (frame_get(m, &x->d->memory))
                continue;
            frame_m2p_set(m, INVALID_M2P_ENTRY);
            if (!frame_release(&x->d->memory, m))
                gone++;
            frame_put(m);
        }
    return gone;
}

/* *done: the chunk is exchanged, whatever is returned. */
static int exchange_chunk(struct exchange *x, uint64_t chunk, bool *done)
{
    uint64_t gone;
    int rc = read_chunk(x, chunk);

    *done = false;
    if (rc)
        return rc;
    rc = allocate_chunk(x);
    gone = rc ? 0 : release_input(x);
    if (rc)
        return rc;
    if (gone != 1ull << x->order) {
        /* A frame was twice in the list, or another vCPU released it just now. The guest gets
         * nothing for the others. */
        for (uint64_t i = 0; i < out_extents(x); i++)
            release(x, x->out[i], x->out_order);
        return refuse(-EINVAL, "exchange: %lu frames for %lu", gone, 1ul << x->order);
    }
    *done = true;
    for (uint64_t i = 0; i < out_extents(x); i++) {
        memory_name_frames(x->d, x->out[i], x->out_order, x->gpfn[i]);
        if (guest_write_at(x->out_list, chunk * out_extents(x) + i, &x->out[i].n))
            rc = -EFAULT;
    }
    return rc;
}

static int decode(struct exchange *x, const struct xen_memory_exchange *a)
{
    unsigned limit = min(memory_max_order(), 12u);

    if (a->in.domid != a->out.domid)
        return refuse(-EINVAL, "exchange: domains %u and %u", a->in.domid, a->out.domid);
    if (a->in.extent_order > limit || a->out.extent_order > limit)
        return refuse(-EPERM, "exchange: orders %u and %u", a->in.extent_order,
                      a->out.extent_order);
    if (a->in.nr_extents > MEMORY_OP_START || a->out.nr_extents > MEMORY_OP_START ||
        a->in.nr_extents << a->in.extent_order != a->out.nr_extents << a->out.extent_order)
        return refuse(-EINVAL, "exchange: %lu of order %u for %lu of order %u", a->in.nr_extents,
                      a->in.extent_order, a->out.nr_extents, a->out.extent_order);
    if (a->nr_exchanged > a->in.nr_extents)
        return refuse(-EINVAL, "exchange: %lu of %lu are done", a->nr_exchanged, a->in.nr_extents);
    x->in_list = handle_va(a->in.extent_start);
    x->out_list = handle_va(a->out.extent_start);
    x->in_order = a->in.extent_order;
    x->out_order = a->out.extent_order;
    x->order = max(x->in_order, x->out_order);
    x->addr_bits = XENMEMF_get_address_bits(a->out.mem_flags);
    if (x->addr_bits >= 64 || (x->addr_bits && max_mfn << PAGE_SHIFT <= 1ull << x->addr_bits))
        x->addr_bits = 0;
    if (x->addr_bits && x->addr_bits <= PAGE_SHIFT)
        return refuse(-ENOMEM, "exchange: frames of %u bits", x->addr_bits);
    return 0;
}

static long run(struct exchange *x, struct xen_memory_exchange *a, uint64_t arg)
{
    unsigned shift = x->order - x->in_order;
    uint64_t chunks = a->in.nr_extents >> shift, first = a->nr_exchanged >> shift, i = first;
    long rc = 0;

    while (i < chunks && !rc) {
        bool done;

        if (i != first && hypercall_preempt()) {
            rc = -ERESTART;
            break;
        }
        rc = exchange_chunk(x, i, &done);
        i += done;
    }
    a->nr_exchanged = i << shift;
    if (guest_write(arg + offsetof(struct xen_memory_exchange, nr_exchanged), &a->nr_exchanged,
                    sizeof(a->nr_exchanged)))
        return -EFAULT;
    return rc;
}

long memory_exchange(uint32_t op, uint64_t start, uint64_t arg)
{
    struct xen_memory_exchange a;
    struct exchange x;
    long rc;

    if (guest_read(&a, arg, sizeof(a)))
        return -EFAULT;
    rc = decode(&x, &a);
    if (rc)
        return rc;
    rc = memory_domain(a.in.domid, &x.d);
    if (rc)
        return rc;
    if (x.d->hvm) {
        domain_put(x.d);
        return refuse(-EOPNOTSUPP, "exchange: domain is translated");
    }
    x.in = heap_alloc(in_extents(&x) * sizeof(*x.in));
    x.out = heap_alloc(out_extents(&x) * sizeof(*x.out));
    x.gpfn = heap_alloc(out_extents(&x) * sizeof(*x.gpfn));
    rc = x.in && x.out && x.gpfn ? run(&x, &a, arg) : refuse(-ENOMEM, "exchange: no memory");
    heap_free(x.in);
    heap_free(x.out);
    heap_free(x.gpfn);
    domain_put(x.d);
    return rc == -ERESTART ? memory_continue(op, 0, arg) : rc;
}
