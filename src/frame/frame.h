/* SPDX-License-Identifier: MIT */
/* The truth about every machine frame: owner, references, type and type count. Only src/frame/
 * changes them; frame_audit() recomputes them.
 *
 * A frame of RAM belongs to nobody (free, or the hypervisor's) or to one owner. A reference keeps
 * it from being freed; a type reference keeps its type. A frame is a page table of level 1-4, a
 * page of descriptors, writable, or has no type; two of these never at once: so a guest can never
 * write a page that the processor reads as a page table. Public xen.h, "Page-table updates". */
#pragma once

#include "base/lock.h"
#include "base/percpu.h"
#include "lib/types.h"
#include "memory/layout.h"

enum frame_type {
    FRAME_NONE,
    FRAME_L1,
    FRAME_L2,
    FRAME_L3,
    FRAME_L4,
    FRAME_SEGDESC,
    FRAME_WRITABLE,
};

/* The longest chain of tables dropped at once: see frame/type.c. */
#define FRAME_DROP_MAX 12

/* A granted frame's L1 entry: the grant holds reference and type, the entry none. The bit is one
 * that hardware ignores; what a guest writes never keeps it. */
#define PTE_GRANT (1ull << 52)
/* With it: the mapping's handle holds a use as writable, whether the entry has PTE_RW now or not.
 * So that the end of such a handle takes away such an entry, and never leaves one behind. */
#define PTE_GRANT_RW (1ull << 53)

/* One frame's record; opaque outside src/frame/. 32 bytes (frame/table.h). */
struct frame;

struct frame_run {
    uint32_t first, n;
};

/* Who owns frames: part of struct domain, and the two owners that are not domains. */
struct frame_owner {
    uint16_t domid;      /* [I] */
    bool dying;          /* [PAGE_OWNER] no more frames are assigned */
    bool translated;     /* [I] fully virtual: names frames by its own p2m */
    struct lock lock;    /* RANK_PAGE_OWNER */
    uint32_t first;      /* [PAGE_OWNER] list of its RAM frames by number, 0 ends */
    uint32_t first_heap; /* [PAGE_OWNER] list of hypervisor pages shared with it */
    uint64_t pages;      /* [PAGE_OWNER] frames of RAM it owns */
    uint64_t heap_pages; /* [PAGE_OWNER] */
    uint64_t max_pages;  /* [PAGE_OWNER] limit for `pages` */
    uint64_t claim;      /* [PAGE_OWNER] frames promised and not yet taken */
    /* CPUs that may hold its translations; [a] */
    struct cpu_mask dirty_cpus;
    bool any_cache;        /* [I] may choose the caching of its RAM: it drives devices */
    bool absent_checked;   /* [I] its entries that are not present must not name RAM (L1TF) */
    uint64_t l4_perdomain; /* [I] entry of slot L4_PERDOMAIN in its L4s; 0: it has no page tables */
    uint32_t cursor;       /* [PAGE_OWNER] where frame_owner_release_all goes on */
    bool gathering;        /* [PAGE_OWNER] it is at work: */
    struct frame_run run;  /* [PAGE_OWNER] then frames that are to be given back together */
    /* Page tables that lost their last use and still hold references of their entries, innermost
     * last; [PV] empty before any operation on page tables begins: frame_drain. */
    uint32_t drop[FRAME_DROP_MAX];
    unsigned drop_count; /* [PV] */
    unsigned spent; /* [PV] entries looked at in tables made and dropped; the caller takes it back
                       to 0 when it has let others run */
    const struct frame_owner_ops *ops; /* [I] */
};

/* What frame/ must ask of the layers above. */
struct frame_owner_ops {
    /* May the owner map this frame that is not RAM of any domain (device memory)? 0: may, -EPERM;
     * *ro set if only read-only: the entry loses PTE_RW then. NULL: it may not. */
    int (*may_map_device)(struct frame_owner *o, mfn_t m, bool *ro);
    /* The last reference of the owner's last frame has gone, of shared pages too. May be NULL. Any
     * lock may be held, o->lock is, so it but notes it for later. May come again if frames come
     * again. */
    void (*empty)(struct frame_owner *o);
};

extern struct frame_owner frame_owner_io;  /* DOMID_IO: device memory */
extern struct frame_owner frame_owner_xen; /* DOMID_XEN: what the hypervisor lets guests read */

/* Makes `o` known under its number, which no other live owner has; all else zero. */
void frame_owner_init(struct frame_owner *o, uint16_t domid, const struct frame_owner_ops *ops);
/* Forgets it; it owns nothing any more. */
void frame_owner_destroy(struct frame_owner *o);
/* Is there an owner of that number? It lives as long as anything of its domain does. */
bool frame_owner_known(uint16_t domid);

/* ---- start-up ---- */

/* The frame table and the M2P are mapped and zeroed: makes all frames nobody's, and not RAM. */
void frame_table_init(uint64_t max);
/* [first, end) is RAM: free, the hypervisor's or a domain's, but never a device. */
void frame_table_add_ram(mfn_t first, mfn_t end);

/* Bytes of the frame table for `max` frames (at HW_VA_FRAMES; mapped and zeroed by memory/). */
size_t frame_table_size(uint64_t max);

/* ---- allocation ---- */

/* Promises `frames` more to o: others' allocations leave them alone. 0 gives up the promise.
 * -ENOMEM not so many free; -EINVAL one is there already, or beyond max_pages. */
int must_check frame_claim(struct frame_owner *o, uint64_t frames);
uint64_t frame_claims(void); /* of all owners together */
/* 2^order frames for the owner: zeroed, one reference each (the allocation's own), M2P entries
 * INVALID. No lock is held: it opens windows. addr_bits: below 2^addr_bits, 0 any. -ENOMEM; -E2BIG
 * beyond max_pages; -EINVAL dying. */
int must_check frame_alloc(struct frame_owner *o, unsigned order, unsigned addr_bits, mfn_t *out);
/* The same with M2P entries of gfn and on. */
int must_check frame_alloc_named(struct frame_owner *o, unsigned order, unsigned addr_bits,
                                 uint64_t gfn, mfn_t *out);
/* As frame_alloc, with a limit that is larger by `beyond`, for a caller that gives frames back at
 * once. */
int must_check frame_alloc_beyond(struct frame_owner *o, unsigned order, unsigned addr_bits,
                                  uint64_t beyond, mfn_t *out);
/* Gives the owner `n` frames that are nobody's and not in the allocator, as they are: what the boot
 * loader left in them stays. For start-up. -E2BIG, -ENOMEM, -EINVAL as frame_alloc. */
int must_check frame_adopt(struct frame_owner *o, mfn_t m, uint64_t n);
/* Drops the allocation's own reference: the frame is freed when the others have gone. -EINVAL if
 * the frame is not the owner's or was released before. */
int must_check frame_release(struct frame_owner *o, mfn_t m);
/* Does it own nothing, no shared page either? */
static inline bool frame_owner_is_empty(const struct frame_owner *o)
{
    return read_once(o->pages) == 0 && read_once(o->heap_pages) == 0;
}
/* Releases all frames of a dying owner: pins, tables left half way, the allocations' references,
 * and ends the sharing of pages.
 * 0: nothing is left that the owner itself holds (others may still hold frames); -ERESTART: call
 * again. Under [PV] for PV guests. */
int must_check frame_owner_release_all(struct frame_owner *o);
/* Makes a page of the hypervisor's heap visible to the owner as a frame (shared info, grant
 * frames): `writable` or read-only. The heap keeps it. */
void frame_share(struct frame_owner *o, void *page, bool writable);
/* Ends that: 0, or -EBUSY while somebody has it mapped (references are left). 0 too if
 * frame_owner_release_all() did it: then the page is nobody's once the owner is `empty`. */
int must_check frame_unshare(struct frame_owner *o, void *page);

/* The machine-to-physical table. `m` must be below max_mfn. */
static inline void frame_m2p_set(mfn_t m, uint64_t gfn)
{
    write_once(M2P[m.n], gfn);
}

/* The same for a frame of o, which it may not be: -EINVAL. */
int must_check frame_m2p_update(mfn_t m, struct frame_owner *o, uint64_t gfn);

/* ---- references ---- */

/* The owner, without a reference: NULL if none; valid only as long as something pins it. */
struct frame_owner *frame_owner_of(mfn_t m);
bool frame_is_ram(mfn_t m); /* below max_mfn and RAM: has a frame record */
/* One more reference, if the frame belongs to `o`: 0, -EINVAL. */
int must_check frame_get(mfn_t m, struct frame_owner *o);
void frame_put(mfn_t m);
/* One more use as `t` of a frame to which the caller holds a reference: 0; -EBUSY used otherwise;
 * -EINVAL content is not valid as that table; -ERESTART: its budget is used up in the middle of
 * validation (the frame keeps the progress): let go of [PV], see hypercall_preempt, call again.
 * Page tables are validated for the frame's owner, under that owner's [PV] lock; FRAME_NONE is
 * -EINVAL. */
int must_check frame_get_type(mfn_t m, enum frame_type t);
/* Page tables: under [PV]; all that hangs below is dropped before it returns. */
void frame_put_type(mfn_t m);
/* The same, where the teardown of a large tree may stop: the use is gone in any case; -ERESTART:
 * call frame_drain until it is 0, before anything else is done with page tables of the owner. */
int must_check frame_put_type_preemptible(mfn_t m);
/* Goes on with the tables that lost their last use: 0 none is left; -ERESTART. Under [PV]. */
int must_check frame_drain(struct frame_owner *o);
/* Entries that one call looks at before it says -ERESTART. Tests make it small. */
extern int frame_budget;

/* Reference and type in one, for RAM that becomes writable to somebody: 0, -EINVAL, -EBUSY. */
int must_check frame_get_writable(mfn_t m, struct frame_owner *o);
void frame_put_writable(mfn_t m);
/* Reference and FRAME_L4 for cr3: 0, -EINVAL, -EBUSY, -ERESTART. Under [PV]. */
int must_check frame_get_l4(mfn_t m, struct frame_owner *o);
/* Gives both back; see frame_put_type_preemptible. */
int must_check frame_put_table(mfn_t m);

/* A pin: a reference and a use that last until it is taken away. Under [PV]. -EINVAL: not the
 * owner's, not valid, pinned already (not pinned); -EBUSY; -ERESTART. After frame_unpin: drain. */
int must_check frame_pin(struct frame_owner *o, mfn_t m, enum frame_type level);
int must_check frame_unpin(struct frame_owner *o, mfn_t m);

enum frame_type frame_type_of(mfn_t m); /* a snapshot, for dumps and getpageframeinfo3 */
bool frame_is_pinned(mfn_t m);          /* likewise */
uint32_t frame_ref_count(mfn_t m);      /* likewise: all references, the allocation's included */
uint32_t frame_type_count(mfn_t m);     /* likewise */
/* Is it a validated L1 of o? Under o's [PV] that stays so. */
bool frame_is_l1(mfn_t m, const struct frame_owner *o);

/* ---- page-table entries: frame/entry.c; all under the [PV] of `to` ---- */

#define FRAME_PRESERVE_AD 1u /* A and D of the old entry are kept, atomically */

/* Writes entry `index` of the table `m` of `to`, whatever its level: checks the value, takes what
 * the new entry needs, stores it, gives back what the old one held. An L1 entry may map frames of
 * `po` (to itself: device memory that `to` may map as well; &frame_owner_io: only that). A frame
 * that is no table is just written. 0; -EINVAL, -EPERM, -EBUSY; -ERESTART as frame_get_type: not
 * done; after 0 there may be tables to drain. */
int must_check frame_pt_update(struct frame_owner *to, struct frame_owner *po, mfn_t m,
                               unsigned index, uint64_t val, unsigned flags);
/* The same for a validated L1 of `to`, by the address of the entry in the direct map. */
int must_check frame_l1_update(struct frame_owner *to, struct frame_owner *po, uint64_t *pe,
                               uint64_t val, unsigned flags);
/* Only if the entry still is *old, in one step: else -EAGAIN, and *old gets what it is. */
int must_check frame_l1_cmpxchg(struct frame_owner *to, struct frame_owner *po, uint64_t *pe,
                                uint64_t *old, uint64_t val);
/* Grants: puts `val` (with PTE_GRANT, or 0 to end the mapping) into the L1 entry as it is, giving
 * back what the old one held if that was not a grant's. */
void frame_l1_set_grant(uint64_t *pe, uint64_t val);

/* A page of descriptors becomes FRAME_SEGDESC if this accepts (and mends) each; [I] set by pv/. */
extern bool (*frame_descriptor_ok)(uint64_t *desc);

/* ---- audit ---- */

/* Recomputes owners, references, types and counts of all frames from page tables, pins, grant maps
 * and lists, and compares. Returns the number of mistakes; logs the first few with log_key. The
 * machine must be quiet (host tests; debug key with other CPUs held). ~0u: no memory to do it. */
unsigned frame_audit(void);

/* Who else holds references: cr3 and descriptor frames (pv/), grant mappings (grant/), ... Each
 * `count` function says what it holds by the two functions below. Registered at start; a second
 * time does nothing. */
struct frame_audit_source {
    struct frame_audit_source *next;
    const char *name;
    void (*count)(void);
};
void frame_audit_register(struct frame_audit_source *s);
void frame_audit_ref(mfn_t m);                    /* one reference */
void frame_audit_use(mfn_t m, enum frame_type t); /* one reference and one use as t */
