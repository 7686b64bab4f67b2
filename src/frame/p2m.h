/* SPDX-License-Identifier: MIT */
/* The physical address space of a fully virtual guest: nested page tables from its frame numbers
 * (gfn) to the machine's, in the format of AMD's nested paging (APM vol. 2, 15.25), which is that
 * of ordinary page tables with every entry a user's.
 *
 * An entry that maps RAM, or a page of the hypervisor's that is shared with the guest, holds one
 * reference to each of its frames; the mapping of a grant or a device holds none. Tables change
 * under `lock`; they are read without it and freed only with the whole, so a reader sees the old
 * entry or the new one. Whoever reads one and means to touch the frame takes a reference of its own
 * (p2m_get). */
#pragma once

#include "frame/frame.h"

enum p2m_type { /* kept in bits 9-11 of an entry, which the processor ignores */
    P2M_NONE,
    P2M_RAM,
    P2M_RAM_RO,
    P2M_DEVICE,   /* device memory that the guest may reach */
    P2M_GRANT_RW, /* somebody else's frame, mapped by a grant */
    P2M_GRANT_RO,
};

struct p2m {
    struct lock lock;          /* RANK_PV */
    struct frame_owner *owner; /* [I] */
    mfn_t root;                /* [I] the top table, for the VMCB */
    uint64_t pages;            /* [lock] tables there are */
    uint64_t max_pages;        /* [lock] tables there may be */
    uint64_t top;              /* [lock] no gfn beyond it was ever mapped */
    bool flush;                /* [lock] entries were taken away since p2m_flush */
};

/* The largest gfn that can be named, exclusive. */
#define P2M_GFNS (1ull << 36)

/* An empty space. -ENOMEM. */
int must_check p2m_init(struct p2m *p, struct frame_owner *o, uint64_t max_pages);
/* All entries of a domain that is being torn down; -ERESTART: call again. */
int must_check p2m_release(struct p2m *p);
/* The tables; no entry is left. */
void p2m_free(struct p2m *p);

/* From now on gfn..gfn + 2^order - 1 are the frames from m, of that type; what was there goes.
 * order 0, 9 or 18; gfn and m are aligned to it. RAM: -EINVAL if a frame is not the owner's.
 * -ENOMEM: no page for a table. Under `lock`. */
int must_check p2m_map(struct p2m *p, uint64_t gfn, mfn_t m, unsigned order, enum p2m_type t);
/* From now on there is nothing. -ENOMEM: a larger page could not be split. Under `lock`. */
int must_check p2m_unmap(struct p2m *p, uint64_t gfn, unsigned order);
/* Ends a series of changes: no CPU translates by old entries any more. Under `lock`. */
void p2m_flush(struct p2m *p);

/* What is there now. Without the lock the answer may be old. */
enum p2m_type p2m_lookup(const struct p2m *p, uint64_t gfn, mfn_t *m);
/* The frame of RAM at gfn, with a reference; -EINVAL: there is none, or `write` and it is
 * read-only. */
int must_check p2m_get(const struct p2m *p, uint64_t gfn, bool write, mfn_t *m);

/* For frame_audit(): tells what the entries hold. */
void p2m_audit(const struct p2m *p);
