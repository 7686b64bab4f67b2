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

/* One frame's record; opaque outside src/frame/. 32 bytes (frame/table.h). */
struct frame;

/* Who owns frames: part of struct domain, and the two owners that are not domains. */
struct frame_owner {
    uint16_t domid;      /* [I] */
    bool dying;          /* [PAGE_OWNER] no more frames are assigned */
    bool translated;     /* [I] frames are named by gfn (HVM): no M2P games; later */
    struct lock lock;    /* RANK_PAGE_OWNER */
    uint32_t first;      /* [PAGE_OWNER] list of its RAM frames by number, 0 ends */
    uint32_t first_heap; /* [PAGE_OWNER] list of hypervisor pages shared with it */
    uint64_t pages;      /* [PAGE_OWNER] frames of RAM it owns */
    uint64_t heap_pages; /* [PAGE_OWNER] */
    uint64_t max_pages;  /* [PAGE_OWNER] limit for `pages` */
    uint64_t claim;      /* [PAGE_OWNER] frames promised and not yet taken */
    /* CPUs that may hold its translations; [a] */
    struct cpu_mask dirty_cpus;
    const struct frame_owner_ops *ops; /* [I] */
};

/* What frame/ must ask of the layers above. */
struct frame_owner_ops {
    /* May the owner map this frame that is not RAM of any domain (device memory)? 0: may, -EPERM;
     * *flags gets PTE bits to force (caching), *ro set if only read-only. */
    int (*may_map_device)(struct frame_owner *o, mfn_t m, bool *ro);
    /* The last reference of the owner's last frame has gone. */
    void (*empty)(struct frame_owner *o);
};

extern struct frame_owner frame_owner_io;  /* DOMID_IO: device memory */
extern struct frame_owner frame_owner_xen; /* DOMID_XEN: what the hypervisor lets guests read */

void frame_owner_init(struct frame_owner *o, uint16_t domid, const struct frame_owner_ops *ops);

/* ---- start-up ---- */

/* Bytes of the frame table for `max` frames (at HW_VA_FRAMES; mapped and zeroed by memory/). */
size_t frame_table_size(uint64_t max);

/* ---- allocation ---- */

#define FRAME_ALLOC_ANY 0u
/* 2^order frames for the owner: zeroed, one reference each (the allocation's own), M2P entries
 * INVALID. addr_bits: below 2^addr_bits, 0 any. -ENOMEM; -E2BIG beyond max_pages; -EINVAL dying. */
int must_check frame_alloc(struct frame_owner *o, unsigned order, unsigned addr_bits, mfn_t *out);
/* Drops the allocation's own reference: the frame is freed when the others have gone. -EINVAL if
 * the frame is not the owner's or was released before. */
int must_check frame_release(struct frame_owner *o, mfn_t m);
/* Makes a page of the hypervisor's heap visible to the owner as a frame (shared info, grant
 * frames): `writable` or read-only. The heap keeps it. */
void frame_share(struct frame_owner *o, void *page, bool writable);
/* Ends that: 0, or -EBUSY while the guest has it mapped (references are left). */
int must_check frame_unshare(struct frame_owner *o, void *page);

/* ---- references ---- */

/* The owner, without a reference: NULL if none; valid only as long as something pins it. */
struct frame_owner *frame_owner_of(mfn_t m);
bool frame_is_ram(mfn_t m); /* below max_mfn and RAM: has a frame record */
/* One more reference, if the frame belongs to `o`: 0, -EINVAL. */
int must_check frame_get(mfn_t m, struct frame_owner *o);
void frame_put(mfn_t m);
/* One more use as `t`: 0; -EBUSY used otherwise; -EINVAL content is not valid as that table;
 * -ERESTART: preempted in the middle of validation, call again (frame keeps the progress). Page
 * tables are validated for the frame's owner (or `o` for foreign...: see frame/type.h). */
int must_check frame_get_type(mfn_t m, enum frame_type t);
void frame_put_type(mfn_t m);
/* The same for page tables, where the teardown of a large tree may stop: 0 or -ERESTART. */
int must_check frame_put_type_preemptible(mfn_t m);
/* Reference and type in one, for RAM that becomes writable to somebody: 0, -EINVAL, -EBUSY. */
int must_check frame_get_writable(mfn_t m, struct frame_owner *o);
void frame_put_writable(mfn_t m);

enum frame_type frame_type_of(mfn_t m); /* a snapshot, for dumps and getpageframeinfo3 */

/* ---- audit ---- */

/* Recomputes owners, references, types and counts of all frames from page tables, pins, grant maps
 * and lists, and compares. Returns the number of mistakes; logs the first few with log_key. The
 * machine must be quiet (host tests; debug key with other CPUs held). */
unsigned frame_audit(void);
