/* SPDX-License-Identifier: MIT */
/* What a frame is used as: promotion to page table or page of descriptors, and the way back.
 * Public xen.h, "Page-table updates": a page is never writable and a page table at once.
 *
 * A table is validated entry by entry, depth first; each entry takes a reference and a use of what
 * it maps. The first `progress` entries of a table that is PARTIAL have done so. A validation
 * whose budget ends leaves such tables behind and is simply begun again: it goes on where they
 * are. A table that loses its last use (or fails validation) is put on its owner's list, and
 * drop_run() gives back its entries from the last to the first, again with a budget. Nothing else
 * happens to page tables of that owner until the list is empty (frame_drain), so:
 *   - the list holds one chain: at most the three levels of a failed validation, and under the
 *     last of them one table a level and one more a level by a linear map: FRAME_DROP_MAX;
 *   - nobody meets a table that is being dropped, but the lock-free writable_get(): "busy". */
#include "frame/table.h"

int frame_budget = 4096;
bool (*frame_descriptor_ok)(uint64_t *desc) sealed;

/* ---- the use as writable, when it is not the straight case ---- */

static void wait_a_moment(void)
{
    if (lock_spin_poll)
        lock_spin_poll(); /* whoever holds the frame may wait for our flush */
    cpu_pause();
}

/* The frame has no use and CPUs may still know it as a table: takes it, flushes, lets it go. */
static bool unstale(struct frame *f, uint64_t w)
{
    struct frame_owner *o = frame_owner_find(read_once(f->refs) >> REF_OWNER_SHIFT);

    if (!__atomic_compare_exchange_n(&f->type, &w, TYPE_LOCKED, false, __ATOMIC_SEQ_CST,
                                     __ATOMIC_RELAXED))
        return false;
    frame_flush(f, o);
    __atomic_store_n(&f->type, 0, __ATOMIC_SEQ_CST);
    return true;
}

int writable_get_slow(struct frame *f)
{
    for (;;) {
        uint64_t w = read_once(f->type), count = w & TYPE_COUNT;

        if (w & TYPE_LOCKED) {
            wait_a_moment();
        } else if (w & TYPE_PARTIAL || count >= TYPE_COUNT_MAX ||
                   (count && (w & TYPE_KIND) != TYPE_WRITABLE)) {
            return -EBUSY;
        } else if (w & TYPE_STALE) {
            unstale(f, w);
        } else {
            /* Unused, last of all as NONE or WRITABLE; or writable since we looked. */
            ASSERT(count || type_kind(w) == FRAME_NONE || type_kind(w) == FRAME_WRITABLE);
            if (__atomic_compare_exchange_n(&f->type, &w, TYPE_WRITABLE | (count + 1), false,
                                            __ATOMIC_SEQ_CST, __ATOMIC_RELAXED))
                return 0;
        }
    }
}

int frame_get_writable(mfn_t m, struct frame_owner *o)
{
    struct frame *f = frame_at(m);
    int rc;

    if (!f || ref_get(f, o, REF_FOREIGN))
        return refuse(-EINVAL, "frame %lx does not belong to domain %u", m.n, o->domid);
    rc = writable_get(f);
    if (rc) {
        ref_put(f);
        return refuse(rc, "frame %lx is in use as %u, not writable", m.n, frame_type_of(m));
    }
    return 0;
}

void frame_put_writable(mfn_t m)
{
    struct frame *f = frame_of(m);

    frame_stamp(f);
    writable_put(f);
    ref_put(f);
}

/* ---- pages of descriptors: no lock but TYPE_LOCKED ---- */

static bool descriptors_ok(struct frame *f)
{
    uint64_t *desc = mfn_to_virt(frame_mfn(f));

    for (unsigned i = 0; i < PT_ENTRIES; i++)
        if (!frame_descriptor_ok || !frame_descriptor_ok(&desc[i]))
            return false;
    return true;
}

static int segdesc_get(struct frame_owner *o, struct frame *f)
{
    for (;;) {
        uint64_t w = read_once(f->type), count = w & TYPE_COUNT;
        bool ok;

        if (w & TYPE_LOCKED) {
            wait_a_moment();
            continue;
        }
        if (count && type_kind(w) == FRAME_SEGDESC && count < TYPE_COUNT_MAX) {
            if (__atomic_compare_exchange_n(&f->type, &w, w + 1, false, __ATOMIC_SEQ_CST,
                                            __ATOMIC_RELAXED))
                return 0;
            continue;
        }
        if (count || w & TYPE_PARTIAL)
            return -EBUSY;
        if (!__atomic_compare_exchange_n(&f->type, &w, TYPE_OF(FRAME_SEGDESC) | TYPE_LOCKED, false,
                                         __ATOMIC_SEQ_CST, __ATOMIC_RELAXED))
            continue;
        frame_flush(f, o);
        ok = descriptors_ok(f);
        __atomic_store_n(&f->type, ok ? TYPE_OF(FRAME_SEGDESC) | TYPE_VALID | 1 : 0,
                         __ATOMIC_SEQ_CST);
        return ok ? 0 : -EINVAL;
    }
}

static void segdesc_put(struct frame *f)
{
    uint64_t w = read_once(f->type), to;

    do {
        ASSERT(type_kind(w) == FRAME_SEGDESC && w & TYPE_COUNT);
        to = (w & TYPE_COUNT) == 1 ? TYPE_STALE : w - 1;
        frame_stamp(f);
    } while (
        !__atomic_compare_exchange_n(&f->type, &w, to, true, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED));
}

/* ---- validation of page tables; under [PV] ---- */

static void drop_push(struct frame_owner *o, struct frame *f)
{
    BUG_ON(o->drop_count >= FRAME_DROP_MAX);
    o->drop[o->drop_count++] = frame_mfn(f).n;
}

/* Most of an L1 is empty: is none of these eight entries present? */
static inline bool none_present(const uint64_t *pt)
{
    return !((pt[0] | pt[1] | pt[2] | pt[3] | pt[4] | pt[5] | pt[6] | pt[7]) & PTE_P);
}

static int l1_validate(struct frame_owner *o, struct frame *f)
{
    uint64_t *pt = mfn_to_virt(frame_mfn(f));

    for (unsigned i = 0; i < PT_ENTRIES; i++) {
        uint64_t e;
        int rc;

        if (i % 8 == 0 && !o->absent_checked && none_present(&pt[i])) {
            i += 7;
            continue;
        }
        e = pt[i];
        rc = e & PTE_P ? l1_entry_get(o, o, &e) : absent_entry_check(o, e);
        if (rc) {
            f->progress = i;
            return rc;
        }
        pt[i] = e;
    }
    f->progress = PT_ENTRIES;
    return 0;
}

static int upper_validate(struct frame_owner *o, struct frame *f, unsigned level, int *left)
{
    uint64_t *pt = mfn_to_virt(frame_mfn(f));

    for (unsigned i = f->progress; i < PT_ENTRIES; i++) {
        uint64_t e = pt[i];
        int rc = 0;

        f->progress = i;
        if (level == 4 && l4_slot_is_ours(i))
            continue;
        if (e & PTE_P)
            rc = --*left <= 0 ? -ERESTART : table_entry_get(o, f, level, &e, left);
        else
            rc = absent_entry_check(o, e);
        if (rc)
            return rc;
        pt[i] = e;
    }
    f->progress = PT_ENTRIES;
    if (level == 4)
        l4_fill(o, pt);
    return 0;
}

/* Makes the unused frame PARTIAL, whatever it was. */
static int table_begin(struct frame_owner *o, struct frame *f, unsigned level)
{
    uint64_t w = read_once(f->type);

    if (level == 4 && !o->l4_perdomain)
        return -EINVAL;
    for (;;) {
        if (w & TYPE_LOCKED) {
            wait_a_moment();
            w = read_once(f->type);
            continue;
        }
        if (w & (TYPE_COUNT | TYPE_PARTIAL))
            return -EBUSY;
        if (__atomic_compare_exchange_n(&f->type, &w, TYPE_OF(level) | TYPE_PARTIAL, false,
                                        __ATOMIC_SEQ_CST, __ATOMIC_RELAXED))
            break;
    }
    ref_add(f); /* the state's own */
    f->progress = 0;
    f->linear = 0;
    /* Nobody gets it as writable now; who had it so and did not flush, must before we look. */
    if (type_kind(w) != FRAME_NONE || w & TYPE_STALE)
        frame_flush(f, o);
    return 0;
}

int table_get(struct frame_owner *o, struct frame *f, unsigned level, int *left)
{
    uint64_t w = read_once(f->type);
    int rc;

    if (likely((w & (TYPE_KIND | TYPE_VALID)) == (TYPE_OF(level) | TYPE_VALID))) {
        if ((w & TYPE_COUNT) >= TYPE_COUNT_MAX)
            return -EBUSY;
        __atomic_fetch_add(&f->type, 1, __ATOMIC_SEQ_CST);
        return 0;
    }
    if (read_once(o->dying))
        return -EINVAL; /* frame_owner_release_all() has passed or will */
    if ((w & (TYPE_KIND | TYPE_PARTIAL)) != (TYPE_OF(level) | TYPE_PARTIAL)) {
        rc = table_begin(o, f, level);
        if (rc)
            return rc;
    }
    if (level == 1) {
        if ((*left -= PT_ENTRIES / 8) <= 0)
            return -ERESTART;
        rc = l1_validate(o, f);
    } else {
        rc = upper_validate(o, f, level, left);
    }
    if (rc == -ERESTART)
        return rc;
    if (rc) {
        drop_push(o, f);
        return rc;
    }
    __atomic_store_n(&f->type, TYPE_OF(level) | TYPE_VALID | 1, __ATOMIC_SEQ_CST);
    ref_put(f);
    return 0;
}

/* ---- and back ---- */

void table_put(struct frame_owner *o, struct frame *f)
{
    uint64_t w = read_once(f->type);

    ASSERT(w & TYPE_VALID && w & TYPE_COUNT && kind_is_table(type_kind(w)));
    if ((w & TYPE_COUNT) > 1) {
        __atomic_fetch_sub(&f->type, 1, __ATOMIC_SEQ_CST);
        return;
    }
    ref_add(f); /* the state's own */
    __atomic_store_n(&f->type, (w & TYPE_KIND) | TYPE_PARTIAL, __ATOMIC_SEQ_CST);
    drop_push(o, f);
}

/* All entries are given back. */
static void drop_done(struct frame_owner *o, struct frame *f)
{
    ASSERT(f->linear == 0);
    o->drop_count--;
    frame_stamp(f);
    __atomic_store_n(&f->type, TYPE_STALE, __ATOMIC_SEQ_CST);
    ref_put(f);
}

static void l1_drop(struct frame *f)
{
    const uint64_t *pt = mfn_to_virt(frame_mfn(f));

    for (unsigned i = 0; i < f->progress; i++) {
        if (i % 8 == 0 && none_present(&pt[i]))
            i += 7;
        else if (pt[i] & PTE_P)
            l1_entry_put(pt[i]);
    }
    f->progress = 0;
}

int drop_run(struct frame_owner *o, int *left)
{
    while (o->drop_count) {
        unsigned depth = o->drop_count;
        struct frame *f = frame_of(mfn(o->drop[depth - 1]));
        const uint64_t *pt = mfn_to_virt(frame_mfn(f));
        unsigned level = type_kind(f->type);

        if (level == 1) {
            if ((*left -= PT_ENTRIES / 8) <= 0)
                return -ERESTART;
            l1_drop(f);
        }
        while (f->progress && o->drop_count == depth) {
            unsigned i = f->progress - 1;

            if (pt[i] & PTE_P && !(level == 4 && l4_slot_is_ours(i))) {
                if (--*left <= 0)
                    return -ERESTART;
                table_entry_put(o, f, level, pt[i]);
            }
            f->progress = i;
        }
        if (o->drop_count == depth)
            drop_done(o, f);
    }
    return 0;
}

int frame_drain(struct frame_owner *o)
{
    int left = frame_budget, rc;

    if (likely(!o->drop_count))
        return 0;
    rc = drop_run(o, &left);
    o->spent += (unsigned)(frame_budget - left);
    return rc;
}

/* ---- the public face ---- */

int frame_get_type(mfn_t m, enum frame_type t)
{
    struct frame *f = frame_at(m);
    struct frame_owner *o = frame_owner_of(m);
    int left = frame_budget, rc;

    if (!f || !o || t == FRAME_NONE || t > FRAME_WRITABLE)
        return refuse(-EINVAL, "frame %lx cannot be used as %u", m.n, t);
    if (t == FRAME_WRITABLE) {
        rc = writable_get(f);
    } else if (t == FRAME_SEGDESC) {
        rc = segdesc_get(o, f);
    } else {
        rc = drop_run(o, &left);
        if (!rc)
            rc = table_get(o, f, t, &left);
    }
    if (rc == -ERESTART || !rc)
        return rc;
    return refuse(rc, "frame %lx cannot be used as %u, it is %u", m.n, t, frame_type_of(m));
}

int frame_put_type_preemptible(mfn_t m)
{
    struct frame *f = frame_of(m);
    struct frame_owner *o;

    switch (type_kind(read_once(f->type))) {
    case FRAME_WRITABLE:
        frame_stamp(f);
        writable_put(f);
        return 0;
    case FRAME_SEGDESC:
        segdesc_put(f);
        return 0;
    default:
        o = frame_owner_of(m);
        table_put(o, f);
        return frame_drain(o);
    }
}

void frame_put_type(mfn_t m)
{
    struct frame_owner *o = frame_owner_of(m);
    int rc = frame_put_type_preemptible(m);

    while (rc == -ERESTART)
        rc = frame_drain(o);
}

/* The budgeted way to a reference and a use as a table. */
static int table_take(struct frame_owner *o, mfn_t m, unsigned level)
{
    struct frame *f = frame_at(m);
    int left = frame_budget, rc;

    rc = drop_run(o, &left);
    if (rc)
        return rc;
    if (read_once(o->dying)) /* frame_owner_release_all() has passed or will */
        return refuse(-EINVAL, "L%u table: domain %u is dying", level, o->domid);
    if (!f || ref_get(f, o, 0))
        return refuse(-EINVAL, "L%u table: frame %lx does not belong to domain %u", level, m.n,
                      o->domid);
    rc = table_get(o, f, level, &left);
    if (rc)
        ref_put(f);
    if (rc && rc != -ERESTART)
        refuse(rc, "L%u table: frame %lx is not fit, or in use as %u", level, m.n,
               frame_type_of(m));
    return rc;
}

int frame_get_l4(mfn_t m, struct frame_owner *o)
{
    return table_take(o, m, 4);
}

int frame_put_table(mfn_t m)
{
    struct frame *f = frame_of(m);
    struct frame_owner *o = frame_owner_of(m);

    table_put(o, f);
    ref_put(f);
    return frame_drain(o);
}

int frame_pin(struct frame_owner *o, mfn_t m, enum frame_type level)
{
    int rc = table_take(o, m, level);

    if (rc)
        return rc;
    if (__atomic_fetch_or(&frame_of(m)->type, TYPE_PINNED, __ATOMIC_SEQ_CST) & TYPE_PINNED) {
        /* The pin's own use stays, so this is not the last one. */
        table_put(o, frame_of(m));
        ref_put(frame_of(m));
        return refuse(-EINVAL, "pin: frame %lx is pinned already", m.n);
    }
    return 0;
}

int frame_unpin(struct frame_owner *o, mfn_t m)
{
    struct frame *f = frame_at(m);
    int left = frame_budget, rc;

    rc = drop_run(o, &left);
    if (rc)
        return rc;
    /* A reference, or it may be another's, and pinned, when the pin is taken off. */
    if (!f || ref_get(f, o, 0))
        return refuse(-EINVAL, "unpin: frame %lx does not belong to domain %u", m.n, o->domid);
    if (__atomic_fetch_and(&f->type, ~TYPE_PINNED, __ATOMIC_SEQ_CST) & TYPE_PINNED) {
        table_put(o, f);
        ref_put(f);
    } else {
        rc = refuse(-EINVAL, "unpin: frame %lx is not pinned", m.n);
    }
    ref_put(f);
    return rc;
}
