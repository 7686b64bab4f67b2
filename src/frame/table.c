/* SPDX-License-Identifier: MIT */
/* The frame table as a whole: start-up, who the owners are, and simple questions about a frame.
 * The rules of the records are in frame/table.h. */
#include "frame/table.h"

#include <xen/xen.h>

struct frame_owner frame_owner_io = {.domid = DOMID_IO};
struct frame_owner frame_owner_xen = {.domid = DOMID_XEN};

/* Owners by number; [I] while they own anything. */
static struct frame_owner *owners[DOMID_FIRST_RESERVED];

struct frame_owner *frame_owner_find(uint16_t domid)
{
    if (domid < DOMID_FIRST_RESERVED)
        return __atomic_load_n(&owners[domid], __ATOMIC_ACQUIRE);
    if (domid == DOMID_XEN)
        return &frame_owner_xen;
    if (domid == DOMID_IO)
        return &frame_owner_io;
    return NULL;
}

bool frame_owner_known(uint16_t domid)
{
    return frame_owner_find(domid) != NULL;
}

void frame_owner_init(struct frame_owner *o, uint16_t domid, const struct frame_owner_ops *ops)
{
    memset(o, 0, sizeof(*o));
    o->domid = domid;
    o->ops = ops;
    lock_init(&o->lock, RANK_PAGE_OWNER, "pages");
    if (domid < DOMID_FIRST_RESERVED)
        __atomic_store_n(&owners[domid], o, __ATOMIC_RELEASE);
}

void frame_owner_destroy(struct frame_owner *o)
{
    lock(&o->lock); /* who freed the last frame may still hold it */
    ASSERT(o->pages == 0 && o->heap_pages == 0);
    unlock(&o->lock);
    if (o->claim)
        BUG_ON(frame_claim(o, 0) != 0);
    if (o->domid < DOMID_FIRST_RESERVED)
        __atomic_store_n(&owners[o->domid], NULL, __ATOMIC_RELEASE);
}

size_t frame_table_size(uint64_t max)
{
    return max * sizeof(struct frame);
}

void frame_table_init(uint64_t max)
{
    static const struct frame_owner_ops no_ops;

    frame_owner_init(&frame_owner_io, DOMID_IO, &no_ops);
    frame_owner_init(&frame_owner_xen, DOMID_XEN, &no_ops);
    for (uint64_t i = 0; i < max; i++) {
        FRAMES[i] = (struct frame){.refs = (uint64_t)DOMID_INVALID << REF_OWNER_SHIFT};
        M2P[i] = INVALID_M2P_ENTRY;
    }
}

void frame_table_add_ram(mfn_t first, mfn_t end)
{
    for (uint64_t i = first.n; i < min(end.n, max_mfn); i++)
        FRAMES[i].refs |= REF_RAM;
}

struct frame_owner *frame_owner_of(mfn_t m)
{
    struct frame *f = frame_at(m);

    return f ? frame_owner_find(read_once(f->refs) >> REF_OWNER_SHIFT) : NULL;
}

bool frame_is_ram(mfn_t m)
{
    return frame_at(m) != NULL;
}

int frame_get(mfn_t m, struct frame_owner *o)
{
    struct frame *f = frame_at(m);

    if (!f || ref_get(f, o, REF_FOREIGN))
        return refuse(-EINVAL, "frame %lx does not belong to domain %u", m.n, o->domid);
    return 0;
}

int frame_m2p_update(mfn_t m, struct frame_owner *o, uint64_t gfn)
{
    struct frame *f = frame_at(m);

    if (!f || ref_get(f, o, 0))
        return refuse(-EINVAL, "M2P: frame %lx does not belong to domain %u", m.n, o->domid);
    frame_m2p_set(m, gfn);
    ref_put(f);
    return 0;
}

void frame_put(mfn_t m)
{
    frame_stamp(frame_of(m));
    ref_put(frame_of(m));
}

enum frame_type frame_type_of(mfn_t m)
{
    struct frame *f = frame_at(m);
    uint64_t w = f ? read_once(f->type) : 0;

    /* A table that nobody checked (or that is being taken apart) is not one yet (any more). */
    return (w & TYPE_COUNT) == 0 ? FRAME_NONE : type_kind(w);
}

bool frame_is_pinned(mfn_t m)
{
    struct frame *f = frame_at(m);

    return f && read_once(f->type) & TYPE_PINNED;
}

uint32_t frame_ref_count(mfn_t m)
{
    struct frame *f = frame_at(m);

    return f ? read_once(f->refs) & REF_COUNT : 0;
}

uint32_t frame_type_count(mfn_t m)
{
    struct frame *f = frame_at(m);

    return f ? read_once(f->type) & TYPE_COUNT : 0;
}

bool frame_is_l1(mfn_t m, const struct frame_owner *o)
{
    struct frame *f = frame_at(m);

    return f && frame_owned_by(f, o) &&
           (read_once(f->type) & (TYPE_KIND | TYPE_VALID)) == TYPE_L1_VALID;
}
