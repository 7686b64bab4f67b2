/* SPDX-License-Identifier: MIT */
/* How frames come to an owner and go again.
 *
 * A frame is linked into its owner's list from allocation until its last reference has gone. It is
 * given back to the buddy allocator only after every CPU that may know a translation to it has
 * flushed: whoever allocates it next need not think of the past. */
#include "frame/table.h"

#include <xen/xen.h>
#include "memory/buddy.h"

static uint64_t claimed; /* [a] sum of all owners' claims */

/* ---- the owner's lists ---- */

/* [PAGE_OWNER] */
static void list_add(uint32_t *head, uint32_t n)
{
    FRAMES[n].prev = 0;
    FRAMES[n].next = *head;
    if (*head)
        FRAMES[*head].prev = n;
    *head = n;
}

/* [PAGE_OWNER] */
static void list_del(uint32_t *head, uint32_t n)
{
    struct frame *f = &FRAMES[n];

    if (f->next)
        FRAMES[f->next].prev = f->prev;
    if (f->prev)
        FRAMES[f->prev].next = f->next;
    else
        *head = f->next;
    f->next = f->prev = 0;
}

void frame_flush(struct frame *f, const struct frame_owner *o)
{
    struct cpu_mask mask =
        cpu_mask_read(read_once(f->refs) & REF_FOREIGN ? &cpus_online : &o->dirty_cpus);

    if (cpu_mask_empty(&mask))
        return;
    tlb_filter(&mask, read_once(f->stamp));
    if (!cpu_mask_empty(&mask))
        tlb_flush_mask(&mask, TLB_ALL, 0);
}

/* n goes back to the allocator, at once or with others of a dead owner: *run are frames that have
 * to be given back now. [PAGE_OWNER] */
static void gather(struct frame_owner *o, uint32_t n, struct frame_run *run)
{
    *run = (struct frame_run){n, 1};
    if (!o->gathering)
        return;
    if (o->run.n && n + 1 == o->run.first) {
        o->run.first = n;
        o->run.n++;
        run->n = 0;
    } else { /* the other way round: the next is more likely to go with this one */
        struct frame_run old = o->run;

        o->run = *run;
        *run = old;
    }
}

/* The last reference has gone: nobody can get the frame any more. */
void frame_free(struct frame *f)
{
    uint64_t refs = f->refs;
    struct frame_owner *o = frame_owner_find(refs >> REF_OWNER_SHIFT);
    uint32_t n = frame_mfn(f).n;
    struct frame_run run = {0};
    bool last;

    BUG_ON(!o || f->type & (TYPE_PARTIAL | TYPE_PINNED | TYPE_LOCKED) || refs & REF_ALLOCATED);
    BUG_ON((f->type & TYPE_COUNT) != (refs & REF_HEAP ? 1 : 0));
    frame_flush(f, o);

    lock(&o->lock);
    if (refs & REF_HEAP) {
        list_del(&o->first_heap, n);
        o->heap_pages--;
    } else {
        if (o->cursor == n)
            o->cursor = f->next;
        list_del(&o->first, n);
        o->pages--;
        gather(o, n, &run);
    }
    /* Others may be about to look whether it is theirs. */
    write_once(f->type, 0);
    write_once(f->refs, REF_RAM | (uint64_t)DOMID_INVALID << REF_OWNER_SHIFT);
    frame_m2p_set(mfn(n), INVALID_M2P_ENTRY);
    last = o->pages == 0 && o->heap_pages == 0;
    if (last && o->ops->empty)
        o->ops->empty(o);
    unlock(&o->lock); /* the owner may be gone from here on */

    if (run.n)
        buddy_free_range(mfn(run.first), run.n);
}

/* ---- allocation ---- */

/* Are n frames free that nobody else was promised? [PAGE_OWNER] */
static bool unclaimed(const struct frame_owner *o, uint64_t n)
{
    return buddy_free_frames() >= n + (read_once(claimed) - o->claim);
}

/* Takes n frames off the owner's allowance, which is larger by `beyond` this time; `to_take` of
 * them are still in the allocator. */
static int reserve(struct frame_owner *o, uint64_t n, uint64_t to_take, uint64_t beyond,
                   uint64_t *from_claim)
{
    uint64_t want;
    int rc = 0;

    lock(&o->lock);
    want = o->pages + n;
    if (o->dying)
        rc = refuse(-EINVAL, "frames: domain %u is dying", o->domid);
    else if (want > beyond && want - beyond > o->max_pages)
        rc = refuse(-E2BIG, "frames: domain %u has %lu of %lu and wants %lu", o->domid, o->pages,
                    o->max_pages, n);
    else if (to_take && !unclaimed(o, to_take))
        rc = refuse(-ENOMEM, "frames: domain %u wants %lu, %lu are free", o->domid, n,
                    buddy_free_frames());
    if (!rc) {
        *from_claim = min(to_take, o->claim);
        o->claim -= *from_claim;
        o->pages += n;
        __atomic_fetch_sub(&claimed, *from_claim, __ATOMIC_RELAXED);
    }
    unlock(&o->lock);
    return rc;
}

static void unreserve(struct frame_owner *o, uint64_t n, uint64_t from_claim)
{
    lock(&o->lock);
    o->pages -= n;
    o->claim += from_claim;
    __atomic_fetch_add(&claimed, from_claim, __ATOMIC_RELAXED);
    unlock(&o->lock);
}

/* Makes n free frames, already on the owner's account, its own, named `gfn` and on if that is not
 * INVALID_M2P_ENTRY: false if it is dying by now. */
static bool assign(struct frame_owner *o, mfn_t m, uint64_t n, uint64_t gfn)
{
    uint64_t key = owner_key(o) | REF_ALLOCATED | 1, step = gfn == INVALID_M2P_ENTRY ? 0 : 1;
    uint32_t next;
    bool dying;

    lock(&o->lock);
    dying = o->dying;
    next = o->first;
    for (uint64_t i = m.n; i < m.n + n && !dying; i++, gfn += step) {
        struct frame *f = &FRAMES[i];

        ASSERT((read_once(f->refs) & (REF_COUNT | REF_RAM)) == REF_RAM && f->type == 0);
        f->progress = 0;
        f->linear = 0;
        f->next = next;
        f->prev = i + 1 < m.n + n ? (uint32_t)i + 1 : 0;
        frame_m2p_set(mfn(i), gfn);
        __atomic_store_n(&f->refs, key, __ATOMIC_RELEASE);
        next = (uint32_t)i;
    }
    if (!dying) {
        if (o->first)
            FRAMES[o->first].prev = (uint32_t)m.n;
        o->first = next;
    }
    unlock(&o->lock);
    return !dying;
}

/* With windows, for a large block takes long. */
static void zero(mfn_t m, uint64_t n)
{
    const uint64_t piece = 512;

    for (uint64_t i = 0; i < n; i += piece) {
        if (i)
            interrupts_window();
        buddy_zero(mfn(m.n + i), min(n - i, piece));
    }
}

static int alloc(struct frame_owner *o, unsigned order, unsigned addr_bits, uint64_t beyond,
                 uint64_t gfn, mfn_t *out)
{
    uint64_t n = 1ull << order, from_claim;
    mfn_t m;
    int rc;

    if (order >= BUDDY_ORDERS)
        return refuse(-EINVAL, "frames: order %u", order);
    rc = reserve(o, n, n, beyond, &from_claim);
    if (rc)
        return rc;
    rc = buddy_alloc(order, addr_bits, &m);
    if (rc) {
        unreserve(o, n, from_claim);
        return refuse(rc, "frames: no block of order %u below 2^%u", order, addr_bits);
    }
    zero(m, n);
    if (!assign(o, m, n, gfn)) {
        unreserve(o, n, from_claim);
        buddy_free(m, order);
        return refuse(-EINVAL, "frames: domain %u is dying", o->domid);
    }
    *out = m;
    return 0;
}

int frame_alloc(struct frame_owner *o, unsigned order, unsigned addr_bits, mfn_t *out)
{
    return alloc(o, order, addr_bits, 0, INVALID_M2P_ENTRY, out);
}

int frame_alloc_named(struct frame_owner *o, unsigned order, unsigned addr_bits, uint64_t gfn,
                      mfn_t *out)
{
    return alloc(o, order, addr_bits, 0, gfn, out);
}

int frame_alloc_beyond(struct frame_owner *o, unsigned order, unsigned addr_bits, uint64_t beyond,
                       mfn_t *out)
{
    return alloc(o, order, addr_bits, beyond, INVALID_M2P_ENTRY, out);
}

int frame_adopt(struct frame_owner *o, mfn_t m, uint64_t n)
{
    uint64_t from_claim;
    int rc = reserve(o, n, 0, 0, &from_claim);

    if (!rc && !assign(o, m, n, INVALID_M2P_ENTRY)) {
        unreserve(o, n, from_claim);
        rc = refuse(-EINVAL, "frames: domain %u is dying", o->domid);
    }
    return rc;
}

int frame_release(struct frame_owner *o, mfn_t m)
{
    struct frame *f = frame_at(m);
    uint64_t key = owner_key(o) | REF_ALLOCATED, w = f ? read_once(f->refs) : 0;

    do {
        if (!f || (w ^ key) & (REF_OWNER | REF_RAM | REF_ALLOCATED | REF_HEAP))
            return refuse(-EINVAL, "release: frame %lx is not domain %u's", m.n, o->domid);
        /* The allocation's reference is still counted: ref_put() takes it off. */
    } while (!__atomic_compare_exchange_n(&f->refs, &w, w & ~REF_ALLOCATED, true, __ATOMIC_SEQ_CST,
                                          __ATOMIC_RELAXED));
    ref_put(f);
    return 0;
}

int frame_claim(struct frame_owner *o, uint64_t frames)
{
    int rc = 0;

    lock(&o->lock);
    if (!frames) {
        __atomic_fetch_sub(&claimed, o->claim, __ATOMIC_RELAXED);
        o->claim = 0;
    } else if (o->claim) {
        rc = refuse(-EINVAL, "claim: domain %u has one of %lu", o->domid, o->claim);
    } else if (frames > o->max_pages || o->pages > o->max_pages - frames) {
        rc = refuse(-EINVAL, "claim: %lu frames beyond domain %u's limit", frames, o->domid);
    } else if (__atomic_add_fetch(&claimed, frames, __ATOMIC_SEQ_CST) > buddy_free_frames()) {
        __atomic_fetch_sub(&claimed, frames, __ATOMIC_RELAXED);
        rc = refuse(-ENOMEM, "claim: %lu frames, %lu are free", frames, buddy_free_frames());
    } else {
        o->claim = frames;
    }
    unlock(&o->lock);
    return rc;
}

uint64_t frame_claims(void)
{
    return read_once(claimed);
}

/* ---- pages of the hypervisor's: REF_ALLOCATED is the sharing's own reference ---- */

void frame_share(struct frame_owner *o, void *page, bool writable)
{
    mfn_t m = virt_to_mfn(page);
    struct frame *f = frame_of(m);

    ASSERT((f->refs & (REF_COUNT | REF_RAM)) == REF_RAM && f->type == 0);
    lock(&o->lock);
    list_add(&o->first_heap, m.n);
    o->heap_pages++;
    frame_m2p_set(m, INVALID_M2P_ENTRY);
    /* The one use goes with the frame: no guest can make it anything else. */
    f->type = TYPE_OF(writable ? FRAME_WRITABLE : FRAME_NONE) | 1;
    __atomic_store_n(&f->refs, owner_key(o) | REF_HEAP | REF_ALLOCATED | 1, __ATOMIC_RELEASE);
    unlock(&o->lock);
}

int frame_unshare(struct frame_owner *o, void *page)
{
    struct frame *f = frame_of(virt_to_mfn(page));
    uint64_t w = read_once(f->refs);

    do {
        if (!(w & REF_HEAP) || !frame_owned_by(f, o))
            return 0; /* frame_owner_release_all() did it */
        if ((w & REF_COUNT) != 1)
            return refuse(-EBUSY, "unshare: frame %lx has %u users", frame_mfn(f).n,
                          (uint32_t)(w & REF_COUNT) - 1);
        /* Nobody gets it from here on. */
    } while (!__atomic_compare_exchange_n(&f->refs, &w, (w & ~REF_ALLOCATED) - 1, true,
                                          __ATOMIC_SEQ_CST, __ATOMIC_RELAXED));
    frame_free(f);
    return 0;
}

/* The first shared page whose sharing was not ended; it is then. */
static struct frame *next_shared(struct frame_owner *o)
{
    struct frame *f = NULL;

    lock(&o->lock);
    for (uint32_t n = o->first_heap; n && !f; n = FRAMES[n].next)
        if (__atomic_fetch_and(&FRAMES[n].refs, ~REF_ALLOCATED, __ATOMIC_SEQ_CST) & REF_ALLOCATED)
            f = &FRAMES[n];
    unlock(&o->lock);
    return f;
}

static void unshare_all(struct frame_owner *o)
{
    struct frame *f;

    while ((f = next_shared(o)) != NULL)
        ref_put(f);
}

/* ---- the end of an owner ---- */

/* Takes the allocation's own reference over, or one more if it has gone: false if all have. */
static bool hold(struct frame *f)
{
    uint64_t w = read_once(f->refs), want;

    do {
        if (!(w & REF_COUNT))
            return false;
        want = w & REF_ALLOCATED ? w & ~REF_ALLOCATED : w + 1;
    } while (
        !__atomic_compare_exchange_n(&f->refs, &w, want, true, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED));
    return true;
}

/* Holds the frame at the cursor and moves the cursor on; NULL at the list's end. */
static struct frame *next_frame(struct frame_owner *o)
{
    struct frame *f = NULL;

    lock(&o->lock);
    while (o->cursor && !f) {
        f = &FRAMES[o->cursor];
        o->cursor = f->next;
        if (!hold(f))
            f = NULL; /* on its way out */
    }
    unlock(&o->lock);
    return f;
}

static int release_some(struct frame_owner *o)
{
    int left = frame_budget, rc;

    for (;;) {
        struct frame *f;
        uint64_t w;

        rc = drop_run(o, &left);
        if (rc)
            return rc;
        if (left-- <= 0)
            return -ERESTART;
        f = next_frame(o);
        if (!f) {
            unshare_all(o);
            return 0;
        }
        w = read_once(f->type);
        if (w & TYPE_PINNED) {
            if (frame_unpin(o, frame_mfn(f)))
                BUG();
        } else if (w & TYPE_PARTIAL) {
            BUG_ON(o->drop_count >= FRAME_DROP_MAX);
            o->drop[o->drop_count++] = frame_mfn(f).n;
        }
        ref_put(f);
    }
}

int frame_owner_release_all(struct frame_owner *o)
{
    struct frame_run run;
    int rc;

    lock(&o->lock);
    if (!o->cursor) /* a new round */
        o->cursor = o->first;
    o->gathering = true;
    unlock(&o->lock);
    rc = release_some(o);
    lock(&o->lock);
    o->gathering = false;
    run = o->run;
    o->run.n = 0;
    unlock(&o->lock);
    if (run.n)
        buddy_free_range(mfn(run.first), run.n);
    return rc;
}
