/* SPDX-License-Identifier: MIT */
/* What the files of pv/ that deal with page tables offer to one another.
 *
 * A domain's page tables change only under its pv_domain.mmu ([PV] in frame/frame.h): entries, and
 * frames becoming and ceasing to be tables. Guest memory is never read or written under it. Long
 * work gives the lock up (mm_yield) and may end the hypercall with a continuation. */
#pragma once

#include "domain/continuation.h"
#include "pv/pv.h"

/* Requests of mmu_update and mmuext_op that are fetched, and done, in one go under the lock. */
#define MM_CHUNK 32u
/* In `count` of mmu_update and mmuext_op: a continuation; *pdone counts on. */
#define MM_PREEMPTED 0x80000000u

/* The two domains of a call: whose tables, whose frames. References are held to those that are not
 * the caller's. */
struct mm_target {
    struct domain *table, *page; /* `page` is NULL for DOMID_IO and DOMID_XEN */
    struct frame_owner *owner;   /* of frames */
};

/* `foreigndom` of mmu_update: bits 0-15 frames, bits 16-31 tables (0: the caller's, else domain
 * plus one). -ESRCH, -EPERM; -EINVAL no PV domain. */
int must_check mm_target_get_foreign(struct mm_target *t, uint32_t foreigndom);
void mm_target_put(struct mm_target *t);

static inline int must_check mm_target_get(struct mm_target *t, uint32_t foreigndom)
{
    struct domain *self = current()->domain;

    if (unlikely(foreigndom != DOMID_SELF))
        return mm_target_get_foreign(t, foreigndom);
    *t = (struct mm_target){.table = self, .page = self, .owner = &self->memory};
    return 0;
}

/* Gives up the lock for a moment. True: the call should be continued later. Locked again anyway. */
bool must_check mm_yield(struct domain *d) needs_lock(&d->pv->mmu);
/* Drops what waits to be dropped: 0, or -ERESTART: continue the call. Under the lock. */
int must_check mm_drain_some(struct domain *d) needs_lock(&d->pv->mmu);
static inline int must_check mm_drain(struct domain *d) needs_lock(&d->pv->mmu)
{
    return likely(!d->memory.drop_count) ? 0 : mm_drain_some(d);
}
/* The same for the owner of the frames that an operation is about: what a refused table of his left
 * behind may hold one of them. Takes the lock. */
int must_check mm_target_drain(const struct mm_target *t);

/* Frames of a fully virtual domain are named by its own numbers: *pte gets the machine's. *held:
 * the frame, with a reference that keeps it until the entry has its own, or INVALID_MFN. -EINVAL.
 */
int must_check mm_translate_foreign(const struct mm_target *t, uint64_t *pte, mfn_t *held);
static inline int must_check mm_translate(const struct mm_target *t, uint64_t *pte, mfn_t *held)
{
    *held = INVALID_MFN;
    if (likely(!t->owner->translated || !(*pte & PTE_P)))
        return 0;
    return mm_translate_foreign(t, pte, held);
}
static inline void mm_translate_end(mfn_t held)
{
    if (unlikely(!mfn_eq(held, INVALID_MFN)))
        frame_put(held);
}

/* The L1 entry that maps va in the tables at `l4`, NULL: there is none, or va is the hypervisor's.
 * Under the lock; *l1 is the frame of the L1. */
static inline uint64_t *mm_walk(const struct domain *d, mfn_t l4, uint64_t va, mfn_t *l1)
{
    mfn_t m = l4;

    if (unlikely(!guest_range_ok(va, 1) || mfn_eq(l4, INVALID_MFN)))
        return NULL;
    for (unsigned level = 4; level > 1; level--) {
        uint64_t e = ((uint64_t *)mfn_to_virt(m))[pt_index(va, level)];

        if (unlikely(!(e & PTE_P)))
            return NULL;
        m = pte_mfn(e);
    }
    /* By way of a linear map it may be an upper table. */
    if (unlikely(!frame_is_l1(m, &d->memory)))
        return NULL;
    *l1 = m;
    return (uint64_t *)mfn_to_virt(m) + pt_index(va, 1);
}

/* CPUs that may hold translations of the vCPUs in the guest's bitmap at `va`; -EFAULT. */
int must_check mm_vcpu_cpus(struct domain *d, uint64_t va, struct cpu_mask *out);
