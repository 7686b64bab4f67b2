/* SPDX-License-Identifier: MIT */
/* Grant tables v1 and v2: frames that a domain lets another map or copy. Public grant_table.h. */
#pragma once

#include "domain/domain.h"

/* d->grants: made and freed with the domain; what it has mapped of others is given up when it
 * dies. */
extern const struct domain_part grant_part;

/* The hypercall: `uop` is the guest address of `count` structures. */
long grant_table_op(uint32_t cmd, uint64_t uop, uint32_t count);

/* Frame `idx` of d's table (shared, or status frames with `status`), growing the table; for
 * acquire_resource and add_to_physmap. -EINVAL beyond the limit, -ENOMEM. */
int must_check grant_frame(struct domain *d, bool status, uint32_t idx, mfn_t *out);

/* How a kind of guest maps a granted frame into itself; chosen by d->hvm. PV: pv/grant_map.c. */
struct grant_map_ops {
    /* Maps `m` (flags GNTMAP_*) where host_addr says. The page-table entry takes no reference of
     * its own: the grant code holds reference and type. -EINVAL and the like -> GNTST_*. */
    int (*map)(struct vcpu *v, uint64_t host_addr, mfn_t m, uint32_t flags);
    int (*unmap)(struct vcpu *v, uint64_t host_addr, mfn_t m, uint32_t flags, uint64_t new_addr);
};
extern const struct grant_map_ops *grant_map_ops_pv;

/* The most frames that d's table, or its status frames, can have. */
uint32_t grant_frames_max(struct domain *d, bool status);

void grant_dump(struct domain *d); /* debug key */

/* How domains come to have a grant table. */
extern const struct domain_part grant_part;
