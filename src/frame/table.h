/* SPDX-License-Identifier: MIT */
/* The record of a frame, and the lock-free half of its rules: references, and the use as writable.
 *
 * refs   owner, flags and count in one word, so that "one more reference if it is yours" is one
 *        compare-and-exchange. Count 0: the frame is nobody's and nobody can get it; the owner part
 *        changes only then.
 * type   what the frame is used as, and how often. Anybody may get and put FRAME_WRITABLE at any
 *        time. A frame becomes and stops being a page table only under the [PV] lock of its owner:
 *        so a validated table stays one as long as that lock is held. In between (validation or
 *        teardown in progress or interrupted) it is PARTIAL with count 0, which everybody else
 *        takes for "busy", and the state itself holds one reference.
 * stamp  the flush clock when an entry that maps the frame was last removed. Before the frame is
 *        used as something else, or by somebody else, the CPUs that have not emptied their
 *        translation caches since then must. An entry is exchanged (a full barrier) before the
 *        clock is read: a CPU that flushes later sees the new entry. */
#pragma once

#include "base/panic.h"
#include "base/refuse.h"
#include "cpu/spec.h"
#include "frame/frame.h"
#include "lib/errno.h"
#include "lib/util.h"
#include "memory/tlb.h"

struct frame {
    uint64_t refs;       /* [a] REF_* */
    uint64_t type;       /* [a] TYPE_* */
    uint32_t next, prev; /* [PAGE_OWNER] in the owner's list, 0 ends */
    uint32_t stamp;      /* [a] rises only */
    uint16_t progress;   /* [PV] PARTIAL: entries below this one hold references */
    int16_t linear;      /* [PV] > 0: entries of other tables of this level that map it;
                            < 0: its own entries that map such a table. Never both: no chains */
};
_Static_assert(sizeof(struct frame) == 32, "the frame table's size is 1/128 of RAM");

#define REF_COUNT       0x00000000ffffffffull
#define REF_COUNT_MAX   0x00000000fffffff0ull
#define REF_RAM         (1ull << 40) /* constant: RAM, not a device */
#define REF_ALLOCATED   (1ull << 41) /* the allocation's own reference is there */
#define REF_HEAP        (1ull << 42) /* a page of the hypervisor's, shared */
#define REF_FOREIGN     (1ull << 43) /* was mapped by others than the owner: any CPU may know it */
#define REF_OWNER_SHIFT 48
#define REF_OWNER       (0xffffull << REF_OWNER_SHIFT)

#define TYPE_COUNT     0x00000000ffffffffull
#define TYPE_COUNT_MAX 0x00000000fffffff0ull
#define TYPE_SHIFT     32
#define TYPE_KIND      (7ull << TYPE_SHIFT) /* enum frame_type; with count 0: the last one */
#define TYPE_VALID     (1ull << 36)         /* tables, SEGDESC: content was checked */
#define TYPE_PARTIAL   (1ull << 37)         /* tables: validation or teardown is half way */
#define TYPE_PINNED    (1ull << 38)
#define TYPE_LOCKED    (1ull << 39) /* SEGDESC, or stale: one CPU decides; wait */
#define TYPE_STALE     (1ull << 40) /* with kind NONE: CPUs may still read it as a table */

#define TYPE_OF(t)    ((uint64_t)(t) << TYPE_SHIFT)
#define TYPE_WRITABLE TYPE_OF(FRAME_WRITABLE)
#define TYPE_L1_VALID (TYPE_OF(FRAME_L1) | TYPE_VALID)

#define FRAMES ((struct frame *)HW_VA_FRAMES)

/* The record of a frame of RAM, by a number that may come from a guest; NULL: there is none. */
static inline struct frame *frame_at(mfn_t m)
{
    struct frame *f;

    if (unlikely(m.n >= max_mfn))
        return NULL;
    f = &FRAMES[index_nospec(m.n, max_mfn)];
    return likely(read_once(f->refs) & REF_RAM) ? f : NULL;
}

/* By a number that is in our own data, or in an entry that holds a reference. */
static inline struct frame *frame_of(mfn_t m)
{
    return &FRAMES[m.n];
}

static inline mfn_t frame_mfn(const struct frame *f)
{
    return mfn(f - FRAMES);
}

static inline unsigned type_kind(uint64_t w)
{
    return (w & TYPE_KIND) >> TYPE_SHIFT;
}

static inline bool kind_is_table(unsigned kind)
{
    return kind >= FRAME_L1 && kind <= FRAME_L4;
}

/* What the refs word of o's frames says. */
static inline uint64_t owner_key(const struct frame_owner *o)
{
    return (uint64_t)o->domid << REF_OWNER_SHIFT | REF_RAM;
}

static inline bool frame_owned_by(const struct frame *f, const struct frame_owner *o)
{
    return ((read_once(f->refs) ^ owner_key(o)) & (REF_OWNER | REF_RAM)) == 0;
}

struct frame_owner *frame_owner_find(uint16_t domid);

/* ---- references ---- */

/* `set`: 0 or REF_FOREIGN. */
static inline int must_check ref_get(struct frame *f, const struct frame_owner *o, uint64_t set)
{
    uint64_t key = owner_key(o), w = read_once(f->refs);

    do {
        if (unlikely((w ^ key) & (REF_OWNER | REF_RAM)))
            return -EINVAL;
        if (unlikely((w & REF_COUNT) - 1 >= REF_COUNT_MAX - 1)) /* 0, or too many */
            return -EINVAL;
    } while (!__atomic_compare_exchange_n(&f->refs, &w, (w + 1) | set, true, __ATOMIC_SEQ_CST,
                                          __ATOMIC_RELAXED));
    return 0;
}

/* One more where one is held. */
static inline void ref_add(struct frame *f)
{
    __atomic_fetch_add(&f->refs, 1, __ATOMIC_SEQ_CST);
}

void frame_free(struct frame *f);

static inline void ref_put(struct frame *f)
{
    if (unlikely((__atomic_sub_fetch(&f->refs, 1, __ATOMIC_SEQ_CST) & REF_COUNT) == 0))
        frame_free(f);
}

/* An entry that maps the frame has been removed just now. */
static inline void frame_stamp(struct frame *f)
{
    uint32_t now = tlb_clock(), old = read_once(f->stamp);

    while ((int32_t)(now - old) > 0 &&
           !__atomic_compare_exchange_n(&f->stamp, &old, now, true, __ATOMIC_SEQ_CST,
                                        __ATOMIC_RELAXED))
        ;
}

/* Makes sure that no CPU knows a translation from before the frame's stamp. */
void frame_flush(struct frame *f, const struct frame_owner *o);

/* ---- FRAME_WRITABLE ---- */

int must_check writable_get_slow(struct frame *f);

/* The caller holds a reference. */
static inline int must_check writable_get(struct frame *f)
{
    uint64_t w = read_once(f->type);

    /* Kind WRITABLE and no flag: the count may be anything. */
    while (likely((w & ~TYPE_COUNT) == TYPE_WRITABLE && (w & TYPE_COUNT) < TYPE_COUNT_MAX))
        if (likely(__atomic_compare_exchange_n(&f->type, &w, w + 1, true, __ATOMIC_SEQ_CST,
                                               __ATOMIC_RELAXED)))
            return 0;
    return writable_get_slow(f);
}

/* The stamp was set since the entry was removed. */
static inline void writable_put(struct frame *f)
{
    uint64_t w maybe_unused = __atomic_sub_fetch(&f->type, 1, __ATOMIC_SEQ_CST);

    ASSERT((w & TYPE_KIND) == TYPE_WRITABLE && (w & TYPE_COUNT) <= TYPE_COUNT_MAX);
}

/* ---- tables: frame/type.c; under [PV] ---- */

/* One more use as a table of `level`; validates if it is not one. `left`: entries that may still
 * be looked at. */
int must_check table_get(struct frame_owner *o, struct frame *f, unsigned level, int *left);
/* One use less; the last one puts the frame on the owner's list of tables to drop. */
void table_put(struct frame_owner *o, struct frame *f);
int must_check drop_run(struct frame_owner *o, int *left);

/* ---- entries: frame/entry.c ---- */

/* An entry that is not present: 0, or -EINVAL where o must not have it, because a processor with
 * L1TF would use its address bits under speculation (Intel "L1 Terminal Fault", cpu/spec.h). */
int must_check absent_entry_refused(uint64_t e);
static inline int must_check absent_entry_check(const struct frame_owner *o, uint64_t e)
{
    return likely(!o->absent_checked || spec_l1tf_pte_ok(e, max_mfn << PAGE_SHIFT))
               ? 0
               : absent_entry_refused(e);
}
/* Takes what the entry needs, and mends it: *e is then what the table shall hold. */
int must_check l1_entry_get(struct frame_owner *to, struct frame_owner *po, uint64_t *e);
void l1_entry_put(uint64_t e);
int must_check table_entry_get(struct frame_owner *o, struct frame *table, unsigned level,
                               uint64_t *e, int *left);
void table_entry_put(struct frame_owner *o, struct frame *table, unsigned level, uint64_t e);
/* Would the entry of that level be refused for its flags alone? */
bool entry_flags_bad(unsigned level, uint64_t e);

static inline bool l4_slot_is_ours(unsigned i)
{
    return i >= L4_HV_FIRST && i <= L4_HV_LAST;
}
/* The hypervisor's slots of an L4 of o. */
void l4_fill(struct frame_owner *o, uint64_t *l4);
