/* SPDX-License-Identifier: MIT */
/* How a PV guest maps a granted frame: the entry that maps an address of its kernel's address
 * space, or the entry at a machine address (GNTMAP_contains_pte). Public grant_table.h.
 *
 * The entry carries PTE_GRANT: reference and use belong to the grant, not to it, and frame/ never
 * gives them back when the guest overwrites the entry. The caller flushes before it tells the guest
 * that a mapping is gone, and before it gives up what the grant held. */
#include "grant/grant.h"
#include "pv/mm.h"

#include <xen/grant_table.h>
#include "cpu/cpu.h"
#include "lib/errno.h"

/* The entry that host_addr and flags name; NULL: there is none. Under the lock. */
static uint64_t *entry_at(struct vcpu *v, uint64_t host_addr, uint32_t flags)
{
    struct domain *d = v->domain;
    mfn_t l1 = mfn(host_addr >> PAGE_SHIFT);

    if (!(flags & GNTMAP_contains_pte))
        return mm_walk(d, v->pv->kernel_l4, host_addr, &l1);
    if (host_addr & 7 || !frame_is_l1(l1, &d->memory))
        return NULL;
    return (uint64_t *)((char *)mfn_to_virt(l1) + (host_addr & ~PAGE_MASK));
}

static int map(struct vcpu *v, uint64_t host_addr, mfn_t m, uint32_t flags)
{
    struct domain *d = v->domain;
    uint64_t e = pte_make(m, PTE_P | PTE_U | PTE_A | PTE_D | PTE_GRANT), *pe;

    e |= (uint64_t)(flags >> _GNTMAP_guest_avail0) << 9 & PTE_AVAIL;
    e |= PTE_NX & ~cpu_pte_reserved;
    if (!(flags & GNTMAP_readonly))
        e |= PTE_RW | PTE_GRANT_RW;
    lock(&d->pv->mmu);
    pe = entry_at(v, host_addr, flags);
    if (pe)
        frame_l1_set_grant(pe, e);
    unlock(&d->pv->mmu);
    return pe ? 0 : refuse(-EINVAL, "grant map: no L1 entry at %lx", host_addr);
}

/* Is the entry one that a mapping of m with these flags made? A read-only and a writable mapping
 * of one frame are not to be taken for one another: the writable entry would outlive its use. */
static bool made_by(uint64_t e, mfn_t m, uint32_t flags)
{
    uint64_t marks = PTE_P | PTE_GRANT | (flags & GNTMAP_readonly ? 0 : PTE_GRANT_RW);

    return (e & (PTE_P | PTE_GRANT | PTE_GRANT_RW)) == marks && mfn_eq(pte_mfn(e), m);
}

static int unmap(struct vcpu *v, uint64_t host_addr, mfn_t m, uint32_t flags, uint64_t new_addr)
{
    struct domain *d = v->domain;
    uint64_t *pe, *from = NULL, old;
    int rc = 0;

    lock(&d->pv->mmu);
    pe = entry_at(v, host_addr, flags);
    old = pe ? read_once(*pe) : 0;
    if (!pe || !made_by(old, m, flags))
        rc = refuse(-EINVAL, "grant unmap: %lx does not map frame %lx", host_addr, m.n);
    else if (new_addr && flags & GNTMAP_contains_pte)
        rc = refuse(-EINVAL, "grant unmap: new address %lx with an entry", new_addr);
    else if (new_addr && !(from = entry_at(v, new_addr, 0)))
        rc = refuse(-EINVAL, "grant unmap: no L1 entry at %lx", new_addr);
    if (!rc) {
        /* What the other entry holds moves here with it; the grant's entry held nothing. */
        uint64_t e = from && from != pe ? __atomic_exchange_n(from, 0, __ATOMIC_SEQ_CST) : 0;

        __atomic_exchange_n(pe, e, __ATOMIC_SEQ_CST);
    }
    unlock(&d->pv->mmu);
    return rc;
}

static const struct grant_map_ops ops = {.map = map, .unmap = unmap};

const struct grant_map_ops *grant_map_ops_pv sealed = &ops;
