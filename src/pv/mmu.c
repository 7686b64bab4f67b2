/* SPDX-License-Identifier: MIT */
/* mmu_update and update_va_mapping: a guest changes entries of its page tables. Public xen.h,
 * "Page-table updates"; ABI.md 2.5.
 *
 * Requests are fetched in chunks, then done under the lock of the tables' owner. The rules of an
 * entry are in frame/entry.c; here is who may do what to whom, the count of what was done, and
 * the flush that the caller asks for. */
#include "pv/mm.h"

#include "domain/guest_copy.h"
#include "memory/tlb.h"

/* ---- mmu_update ---- */

static int machphys_update(struct mm_target *t, mfn_t m, uint64_t gfn)
{
    if (t->owner->translated)
        return refuse(-EPERM, "M2P: domain %u has no entries of its own", t->owner->domid);
    return frame_m2p_update(m, t->owner, gfn);
}

/* One request. -ERESTART: not done. Under the lock. */
static inline int update_one(struct mm_target *t, const struct mmu_update *u)
{
    mfn_t m = mfn(u->ptr >> PAGE_SHIFT), held = INVALID_MFN;
    unsigned index = (u->ptr & ~PAGE_MASK) / sizeof(uint64_t), flags = 0;
    uint64_t val = u->val;
    int rc = 0;

    switch (u->ptr & 3) {
    case MMU_MACHPHYS_UPDATE:
        return machphys_update(t, m, u->val);
    case MMU_PT_UPDATE_PRESERVE_AD:
        flags = FRAME_PRESERVE_AD;
        break;
    default:
        break;
    }
    if ((u->ptr & 7) > 3)
        return refuse(-ENOSYS, "mmu_update: address %lx: no such command", u->ptr);
    if ((u->ptr & 3) != MMU_PT_UPDATE_NO_TRANSLATE)
        rc = mm_translate(t, &val, &held);
    if (likely(!rc)) {
        rc = frame_pt_update(&t->table->memory, t->owner, m, index, val, flags);
        mm_translate_end(held);
    }
    return rc;
}

/* Many tables are made or dropped since others could run: they can now. -ERESTART: they must. */
static int breathe(struct domain *d) needs_lock(&d->pv->mmu)
{
    d->memory.spent = 0;
    return mm_yield(d) ? -ERESTART : 0;
}

/* Does up to n requests; *done gets how many. -ERESTART: continue the call. */
static int update_chunk(struct mm_target *t, const struct mmu_update *u, unsigned n, unsigned *done)
{
    struct domain *d = t->table;
    int rc;

    lock(&d->pv->mmu);
    rc = mm_drain(d);
    for (*done = 0; *done < n && !rc;) {
        rc = update_one(t, &u[*done]);
        if (likely(!rc)) {
            ++*done;
            if (unlikely(d->memory.spent >= (unsigned)frame_budget))
                rc = breathe(d);
        } else if (rc == -ERESTART && !mm_yield(d)) {
            rc = 0;
        }
    }
    if (!rc)
        rc = mm_drain(d);
    unlock(&d->pv->mmu);
    return rc;
}

/* Fetches requests from `va` on, as many of n as fit; at least one, or -EFAULT. */
static int fetch_chunk(struct mmu_update *u, uint64_t va, unsigned *n)
{
    if (likely(!guest_read(u, va, *n * sizeof(*u))))
        return 0;
    *n = 1; /* one by one up to the bad page */
    return guest_read(u, va, sizeof(*u)) ? refuse(-EFAULT, "requests at %lx", va) : 0;
}

static int updates_run(struct mm_target *t, uint64_t ureqs, uint32_t count, uint32_t *done)
{
    struct mmu_update u[MM_CHUNK];
    int rc = mm_target_drain(t);

    if (rc)
        return rc;
    do {
        unsigned n = min(count - *done, MM_CHUNK), did;

        if (n) {
            rc = fetch_chunk(u, ureqs + *done * sizeof(*u), &n);
            if (rc)
                return rc;
        }
        rc = update_chunk(t, u, n, &did);
        *done += did;
        if (rc)
            return rc;
    } while (*done < count && !hypercall_preempt());
    return *done < count ? -ERESTART : 0;
}

long pv_mmu_update(uint64_t ureqs, uint32_t count, uint64_t pdone, uint32_t foreigndom)
{
    uint32_t before = 0, done = 0;
    struct mm_target t;
    int rc;

    if (unlikely(count & MM_PREEMPTED)) {
        count &= ~MM_PREEMPTED;
        if (pdone && guest_read(&before, pdone, sizeof(before)))
            return refuse(-EFAULT, "count at %lx", pdone);
    }
    rc = mm_target_get(&t, foreigndom);
    if (!rc) {
        rc = updates_run(&t, ureqs, count, &done);
        mm_target_put(&t);
    }
    before += done;
    if (pdone && guest_write(pdone, &before, sizeof(before)))
        return refuse(-EFAULT, "count at %lx", pdone);
    if (rc == -ERESTART)
        return hypercall_continue_with(__HYPERVISOR_mmu_update,
                                       ureqs + done * sizeof(struct mmu_update),
                                       (count - done) | MM_PREEMPTED, pdone, foreigndom);
    return rc;
}

/* ---- update_va_mapping ---- */

/* The flush that `flags` asks for. The entry is changed by now: an error tells of the flush only,
 * of a bitmap that cannot be read, and then all are flushed. */
static int va_flush(struct domain *d, uint64_t va, uint64_t flags)
{
    unsigned what = (flags & UVMF_FLUSHTYPE_MASK) == UVMF_INVLPG ? TLB_VA : TLB_ALL;
    uint64_t bitmap = flags & ~(uint64_t)UVMF_FLUSHTYPE_MASK;
    struct cpu_mask cpus;
    int rc = 0;

    if (bitmap == UVMF_LOCAL) {
        tlb_flush_local(what, va);
        return 0;
    }
    if (bitmap != UVMF_ALL)
        rc = mm_vcpu_cpus(d, bitmap, &cpus);
    if (bitmap == UVMF_ALL || rc)
        cpus = cpu_mask_read(&d->memory.dirty_cpus);
    tlb_flush_mask(&cpus, what, va);
    return rc;
}

static int va_update(struct vcpu *v, struct frame_owner *owner, uint64_t va, uint64_t pte)
{
    struct domain *d = v->domain;
    uint64_t *pe;
    mfn_t l1;
    int rc;

    lock(&d->pv->mmu);
    /* What a refused table left behind may hold the frame. */
    rc = unlikely(d->memory.drop_count) ? mm_drain(d) : 0;
    if (unlikely(rc)) {
        unlock(&d->pv->mmu);
        return rc;
    }
    pe = mm_walk(d, v->pv->kernel_l4, va, &l1);
    rc = likely(pe) ? frame_l1_update(&d->memory, owner, pe, pte, 0)
                    : refuse(-EINVAL, "update_va_mapping: no L1 table maps %lx", va);
    unlock(&d->pv->mmu);
    return rc;
}

long pv_update_va_mapping(uint64_t va, uint64_t pte, uint64_t flags)
{
    struct vcpu *v = current();
    int rc;

    if (unlikely((flags & UVMF_FLUSHTYPE_MASK) == UVMF_FLUSHTYPE_MASK))
        return refuse(-EINVAL, "update_va_mapping: flags %lx", flags);
    rc = va_update(v, &v->domain->memory, va, pte);
    if (unlikely(rc == -ERESTART))
        return hypercall_continue_with(__HYPERVISOR_update_va_mapping, va, pte, flags);
    if (!rc && flags & UVMF_FLUSHTYPE_MASK)
        rc = va_flush(v->domain, va, flags);
    return rc;
}

long pv_update_va_mapping_otherdomain(uint64_t va, uint64_t pte, uint64_t flags, domid_t domid)
{
    struct vcpu *v = current();
    uint64_t entry = pte;
    struct mm_target t;
    mfn_t held = INVALID_MFN;
    int rc;

    if ((flags & UVMF_FLUSHTYPE_MASK) == UVMF_FLUSHTYPE_MASK)
        return refuse(-EINVAL, "update_va_mapping: flags %lx", flags);
    rc = mm_target_get(&t, domid);
    if (rc)
        return rc;
    rc = mm_target_drain(&t);
    if (!rc)
        rc = mm_translate(&t, &entry, &held);
    if (!rc) {
        rc = va_update(v, t.owner, va, entry);
        mm_translate_end(held);
    }
    mm_target_put(&t);
    if (unlikely(rc == -ERESTART))
        return hypercall_continue_with(__HYPERVISOR_update_va_mapping_otherdomain, va, pte, flags,
                                       domid);
    if (!rc && flags & UVMF_FLUSHTYPE_MASK)
        rc = va_flush(v->domain, va, flags);
    return rc;
}
