/* SPDX-License-Identifier: MIT */
/* Device memory that no guest may write, whoever it belongs to: tables of MSI-X vectors, whose
 * messages are Argon's. Mappings made before a frame was protected stay as they are; domain 0, who
 * may have made one, is trusted with the device anyway. */
#include "domain/domain.h"
#include "lib/errno.h"

#define PROTECTED_RANGES 256u

static struct lock protect_lock = LOCK_INIT(RANK_CHIP, "protected device memory");
static struct range ranges[PROTECTED_RANGES];
static struct range_set protected = {.r = ranges, .cap = PROTECTED_RANGES}; /* [CHIP] */

int domain_iomem_protect(mfn_t first, mfn_t last)
{
    int rc;

    lock(&protect_lock);
    rc = range_set_add(&protected, first.n, last.n);
    unlock(&protect_lock);
    return rc ? refuse(rc, "too many ranges of protected device memory, at frame %#lx", first.n)
              : 0;
}

void domain_iomem_unprotect(mfn_t first, mfn_t last)
{
    lock(&protect_lock);
    if (range_set_remove(&protected, first.n, last.n))
        (void)0; /* no room to split a range: it stays protected */
    unlock(&protect_lock);
}

bool domain_iomem_protected(mfn_t m)
{
    bool found;

    lock(&protect_lock);
    found = range_set_contains(&protected, m.n, m.n);
    unlock(&protect_lock);
    return found;
}
