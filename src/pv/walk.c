/* SPDX-License-Identifier: MIT */
/* Reading a guest's page tables, who may change whose, and whose translations to drop. */
#include "pv/mm.h"

#include "base/panic.h"
#include "domain/guest_copy.h"
#include "frame/p2m.h"
#include "memory/tlb.h"

/* ---- walking ---- */

int pv_find_l1e(struct vcpu *v, uint64_t va, mfn_t *l1, unsigned *index)
{
    struct domain *d = v->domain;
    mfn_t root = v->pv->in_kernel ? v->pv->kernel_l4 : v->pv->user_l4;
    uint64_t *pe;

    lock(&d->pv->mmu);
    pe = mm_walk(d, root, va, l1);
    unlock(&d->pv->mmu);
    if (!pe)
        return refuse(-EINVAL, "no L1 table maps %lx", va);
    *index = pt_index(va, 1);
    return 0;
}

bool pv_access_allowed(struct vcpu *v, uint64_t va, uint32_t error)
{
    struct domain *d = v->domain;
    mfn_t m = v->pv->in_kernel ? v->pv->kernel_l4 : v->pv->user_l4;
    uint64_t need = PTE_P | PTE_U | (error & PFEC_W ? PTE_RW : 0);
    bool ok = !(error & PFEC_RSVD) && !mfn_eq(m, INVALID_MFN) && guest_range_ok(va, 1);

    if (!ok)
        return false;
    lock(&d->pv->mmu);
    for (unsigned level = 4; level > 0 && ok; level--) {
        uint64_t e = read_once(((uint64_t *)mfn_to_virt(m))[pt_index(va, level)]);

        ok = (e & need) == need && !((error & PFEC_I) && (e & PTE_NX));
        m = pte_mfn(e);
    }
    unlock(&d->pv->mmu);
    return ok;
}

/* ---- locking ---- */

bool mm_yield(struct domain *d)
{
    bool preempt;

    unlock(&d->pv->mmu);
    preempt = hypercall_preempt();
    lock(&d->pv->mmu);
    return preempt;
}

int mm_drain_some(struct domain *d)
{
    int rc;

    while (unlikely((rc = frame_drain(&d->memory)) == -ERESTART))
        if (mm_yield(d))
            return rc;
    return rc;
}

int mm_target_drain(const struct mm_target *t)
{
    struct domain *d = t->page && t->page->pv ? t->page : current()->domain;
    int rc;

    ASSERT(d); /* the caller has one: no idle vCPU makes hypercalls */
    if (likely(!read_once(d->memory.drop_count)))
        return 0;
    lock(&d->pv->mmu);
    rc = mm_drain(d);
    unlock(&d->pv->mmu);
    return rc;
}

/* ---- whose ---- */

/* A domain other than the caller's, with a reference. */
static int foreign_get(domid_t id, struct domain **out)
{
    struct domain *d;

    if (!current()->domain->privileged)
        return refuse(-EPERM, "domain %u may not map domain %u", current()->domain->id, id);
    d = domain_get(id);
    if (!d)
        return refuse(-ESRCH, "no domain %u", id);
    *out = d;
    return 0;
}

int mm_target_get_foreign(struct mm_target *t, uint32_t foreigndom)
{
    struct domain *self = current()->domain;
    domid_t page = foreigndom & 0xffff, table = (foreigndom >> 16) - 1;
    int rc;

    t->table = t->page = self;
    t->owner = &self->memory;
    if (foreigndom >> 16 && table != self->id && table != DOMID_SELF) {
        rc = foreign_get(table, &t->table);
        if (rc)
            return rc;
    }
    if (!t->table->pv) {
        mm_target_put(t);
        return refuse(-EINVAL, "domain %u has no page tables of ours", table);
    }
    if (likely(page == DOMID_SELF || page == self->id))
        return 0;
    t->page = NULL;
    if (page == DOMID_IO) {
        t->owner = &frame_owner_io;
    } else if (page == DOMID_XEN && self->privileged) {
        t->owner = &frame_owner_xen;
    } else {
        rc = foreign_get(page, &t->page);
        if (rc) {
            mm_target_put(t);
            return rc;
        }
        t->owner = &t->page->memory;
    }
    return 0;
}

int mm_translate_foreign(const struct mm_target *t, uint64_t *pte, mfn_t *held)
{
    uint64_t gfn = pte_mfn(*pte).n;

    if (p2m_get(t->page->p2m, gfn, *pte & PTE_RW, held)) {
        *held = INVALID_MFN;
        return refuse(-EINVAL, "L1 entry: domain %u has no RAM at gfn %lx", t->page->id, gfn);
    }
    *pte = (*pte & ~PTE_ADDR_MASK) | held->n << PAGE_SHIFT;
    return 0;
}

void mm_target_put(struct mm_target *t)
{
    struct domain *self = current()->domain;

    if (t->table != self)
        domain_put(t->table);
    if (t->page && t->page != self)
        domain_put(t->page);
}

/* ---- whose translations ---- */

int mm_vcpu_cpus(struct domain *d, uint64_t va, struct cpu_mask *out)
{
    const struct cpu_mask dirty = cpu_mask_read(&d->memory.dirty_cpus);
    unsigned long want[BITMAP_LONGS(MAX_VCPUS)] = {0};
    struct vcpu *v;
    int rc = guest_read(want, va, BITMAP_LONGS(d->max_vcpus) * sizeof(long));

    if (rc)
        return refuse(rc, "vCPU mask at %lx", va);
    bitmap_zero(out->bits, MAX_CPUS);
    /* A vCPU that moves meanwhile loads cr3 there, which drops all. */
    for_each_vcpu (d, v) {
        unsigned cpu = read_once(v->unit.cpu);

        if (bitmap_test(want, v->id) && bitmap_test(dirty.bits, cpu))
            bitmap_set(out->bits, cpu);
    }
    return 0;
}
