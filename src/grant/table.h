/* SPDX-License-Identifier: MIT */
/* A domain's grant table, and its list of what it has mapped of others'; opened here only.
 *
 * Granting side. The guest's entries lie in pages shared with it and may change at any time. For
 * each entry there is a `struct active` on our side: as long as somebody uses the grant, what the
 * entry said when the use began is kept there, and the entry (v1) or its status word (v2) shows
 * GTF_reading and GTF_writing. Under the table's lock.
 *
 * Mapping side. A handle names a `struct mapping`, with up to one host and one device mapping; each
 * of these is one use of the grant, and holds one reference to the frame (a use as writable, if it
 * may be written) as well as, together, one to the granting domain, whose table thus outlives its
 * death. Under the mapping side's lock.
 *
 * Page-table entries are written with neither held: pv/ takes its own lock, which is an outer one.
 */
#pragma once

#include <xen/grant_table.h>
#include "base/refuse.h"
#include "grant/grant.h"
#include "lib/errno.h"

#define V1_PER_FRAME       (PAGE_SIZE / sizeof(struct grant_entry_v1))
#define V2_PER_FRAME       (PAGE_SIZE / sizeof(union grant_entry_v2))
#define STATUS_PER_FRAME   (PAGE_SIZE / sizeof(grant_status_t))
#define FRAMES_PER_STATUS  (STATUS_PER_FRAME / V2_PER_FRAME)
#define MAPPINGS_PER_CHUNK 256u /* what a "maptrack frame" of the toolstack's limit is good for */
/* Whatever the toolstack asks for. */
#define GRANT_FRAMES_LIMIT    65536u
#define MAPTRACK_FRAMES_LIMIT 65536u
#define RESERVED_ENTRIES      GNTTAB_NR_RESERVED_ENTRIES

/* [G] while users are there: what the entry said. */
struct active {
    uint64_t gfn;       /* not transitive */
    uint32_t trans_ref; /* transitive: whose grant it really is */
    domid_t trans_domid;
    domid_t grantee;
    uint16_t start, length;    /* of the part that is granted */
    uint16_t readers, writers; /* together UINT16_MAX at most */
    bool sub_page, transitive;
};
_Static_assert(sizeof(struct active) == 32, "four pages of these for a frame of grants");

struct mapping {
    struct domain *granter; /* [M] holds a reference while `flags` is not 0 */
    mfn_t frame;            /* [M] */
    uint32_t ref;           /* [M] in use: of the granter's table; free: the next free handle */
    uint32_t flags;         /* [M] GNTMAP_*; neither host nor device map: free, or being undone */
    uint32_t busy;          /* [M] calls that undo a part of it just now */
};

struct gnttab {
    struct lock lock;       /* RANK_GRANT: [G] */
    uint32_t version;       /* [G] 1 or 2 */
    uint32_t max_version;   /* [I] */
    uint32_t frames;        /* [G] */
    uint32_t max_frames;    /* [I] */
    uint32_t status_frames; /* [G] */
    void **shared;          /* [I] pointers [G]: pages, the guest's view */
    grant_status_t **status;
    struct active **active; /* V1_PER_FRAME for each shared page */
    uint32_t active_frames; /* [G] of `active` */

    struct lock map_lock;     /* RANK_MAPTRACK: [M] */
    struct mapping **mapping; /* [I] pointers [M] */
    uint32_t mappings;        /* [M] handles that have a record */
    uint32_t max_mappings;    /* [I] */
    uint32_t free;            /* [M] first free handle, or NO_HANDLE */
    uint32_t cursor;          /* teardown */
};
#define NO_HANDLE (~0u)

static inline uint32_t grant_count(const struct gnttab *t)
{
    return t->frames * (uint32_t)(t->version == 1 ? V1_PER_FRAME : V2_PER_FRAME);
}

static inline struct active *active_at(struct gnttab *t, uint32_t ref)
{
    return t->version == 1 ? &t->active[ref / V1_PER_FRAME][ref % V1_PER_FRAME]
                           : &t->active[ref / V2_PER_FRAME][ref % V2_PER_FRAME];
}

static inline struct grant_entry_v1 *entry_v1(struct gnttab *t, uint32_t ref)
{
    return &((struct grant_entry_v1 *)t->shared[ref / V1_PER_FRAME])[ref % V1_PER_FRAME];
}

static inline union grant_entry_v2 *entry_v2(struct gnttab *t, uint32_t ref)
{
    return &((union grant_entry_v2 *)t->shared[ref / V2_PER_FRAME])[ref % V2_PER_FRAME];
}

static inline grant_status_t *status_at(struct gnttab *t, uint32_t ref)
{
    return &t->status[ref / STATUS_PER_FRAME][ref % STATUS_PER_FRAME];
}

/* ---- table.c ---- */

/* The domain of an operation on tables, with a reference: GNTST_okay, bad_domain, or
 * permission_denied if the caller may only work on its own. */
int must_check grant_domain(domid_t id, struct domain **out);
/* At least so many frames; [G]. -EINVAL beyond the limit, -ENOMEM. */
int must_check grant_grow(struct domain *d, uint32_t frames);
/* Status frames for that many frames of v2. */
int must_check grant_grow_status(struct domain *d, uint32_t frames);
/* -EINVAL, -ENOSYS beyond the domain's limit, -EBUSY, -ENOMEM. */
int must_check grant_change_version(struct domain *d, uint32_t version);

/* ---- entry.c; all give GNTST_* ---- */

/* Begins a use of r's grant `ref` by the domain `grantee`. *out: what is granted, with the frame;
 * but for the counts it stays as it is as long as the use lasts.
 * A transitive grant only where `transitive` allows it; it has no frame. Takes r's lock. */
int must_check grant_acquire(struct domain *r, uint32_t ref, domid_t grantee, bool write,
                             bool transitive, const struct active **out);
/* Ends it. */
void grant_release(struct domain *r, uint32_t ref, bool write);

/* A reference to the frame that d calls `gfn`, as writable if `write`, and back. GNTST_bad_page. */
int must_check grant_frame_get(struct domain *d, uint64_t gfn, bool write, mfn_t *m);
void grant_frame_put(mfn_t m, bool write);

/* ---- the operations: each does one element of the array; see op.c ---- */

void grant_map_one(struct domain *d, struct gnttab_map_grant_ref *a);
long grant_unmap_batch(uint64_t uop, uint32_t count);
long grant_replace_batch(uint64_t uop, uint32_t count);
int must_check grant_copy_one(struct domain *d, const struct gnttab_copy *a);
int must_check grant_transfer_one(struct domain *d, const struct gnttab_transfer *a);

/* ---- map.c ---- */

int must_check grant_release_mappings(struct domain *d);
void grant_audit_init(void);
