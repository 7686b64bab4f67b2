/* SPDX-License-Identifier: MIT */
/* What the files of memory_op share. Each sub-operation gets the extent to go on with, which a
 * continuation keeps in the upper bits of the command. Public memory.h; ABI.md 2.4. */
#pragma once

#include "base/refuse.h"
#include "domain/continuation.h"
#include "domain/guest_copy.h"
#include "hypercall/ops.h"

/* Bits of `cmd` that name the operation; the rest is the extent to go on with. */
#define MEMORY_OP_BITS  6
#define MEMORY_OP_MASK  ((1u << MEMORY_OP_BITS) - 1)
#define MEMORY_OP_START (UINT32_MAX >> MEMORY_OP_BITS) /* the largest that fits */

typedef long memory_fn(uint32_t op, uint64_t start, uint64_t arg);

/* The domain that `id` names, with a reference, if the caller may work on it: itself, or any if it
 * is privileged. -ESRCH, -EPERM. */
int must_check memory_domain(domid_t id, struct domain **out);
/* The largest order of extents that the caller may use. */
unsigned memory_max_order(void);
/* Frames that were just allocated to d get M2P entries, from `gfn` on. Another vCPU of d may have
 * guessed and released them: those are passed over, for they may be somebody else's by now. */
void memory_name_frames(struct domain *d, mfn_t m, unsigned order, uint64_t gfn);
/* Goes on later with extent `start`. */
long memory_continue(uint32_t op, uint64_t start, uint64_t arg);

/* reservation.c */
memory_fn memory_increase_reservation, memory_decrease_reservation, memory_populate_physmap,
    memory_claim_pages;
/* exchange.c */
memory_fn memory_exchange;
/* memory_map.c */
memory_fn memory_map_get, memory_map_set, memory_map_machine;
/* resource.c */
memory_fn memory_acquire_resource, memory_machphys_mapping, memory_machphys_mfn_list;
/* physmap.c */
memory_fn memory_add_to_physmap, memory_remove_from_physmap;
/* RAM from m on, just allocated to d, is what d calls gfn; what was there goes back. -ENOMEM. */
int must_check physmap_populate(struct domain *d, uint64_t gfn, mfn_t m, unsigned order);
/* The RAM at gfn goes back. -EINVAL: there is none. */
int must_check physmap_decrease(struct domain *d, uint64_t gfn);
