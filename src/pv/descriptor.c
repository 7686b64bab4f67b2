/* SPDX-License-Identifier: MIT */
/* Descriptor tables of a PV guest. Its GDT and LDT are frames of its own that it cannot write (type
 * FRAME_SEGDESC), whose every entry was checked: a guest gets segments of ring 3, and nothing that
 * the processor would take for a gate or a task. They are shown to the processor through the
 * vCPU's window in slot L4_PERDOMAIN; LDT pages when they are first used.
 *
 * Intel SDM vol. 3A, 3.4.5; ABI.md 3.2. */
#include "domain/guest_copy.h"
#include "memory/heap.h"
#include "memory/layout.h"
#include "memory/tlb.h"
#include "pv/internal.h"

#define LDT_PAGES    16u
#define LDT_FIRST    16u /* page of the window */
#define WINDOW_FLAGS (PTE_P | PTE_RW | PTE_A | PTE_D | PTE_NX)
#define PER_PAGE     512u

/* An entry that is not present does nothing. Of those that are, code and data of ring 3 are
 * harmless: the hypervisor is protected by pages. Everything else is a gate or a system segment. */
bool pv_descriptor_ok(uint64_t *desc)
{
    if (!(*desc & DESC_P))
        return true;
    if (!(*desc & DESC_S))
        return false;
    *desc |= DESC_DPL3;
    return true;
}

/* ---- frames of descriptors ---- */

static int segdesc_get(struct domain *d, mfn_t m)
{
    int rc = frame_get(m, &d->memory);

    if (rc)
        return rc;
    rc = frame_get_type(m, FRAME_SEGDESC);
    if (rc)
        frame_put(m);
    return rc;
}

static void segdesc_put(mfn_t m)
{
    frame_put_type(m);
    frame_put(m);
}

/* An empty page: what a GDT window shows beyond the guest's entries, so that a selector there is
 * #GP and not a page fault. [I] */
static void *no_descriptors;

int pv_descriptor_init(void)
{
    if (!no_descriptors)
        no_descriptors = heap_page();
    return no_descriptors ? 0 : -ENOMEM;
}

static uint64_t window_pte(mfn_t m)
{
    if (mfn_eq(m, INVALID_MFN))
        return pte_make(virt_to_mfn(no_descriptors), PTE_P | PTE_A | PTE_NX);
    return pte_make(m, WINDOW_FLAGS);
}

static void window_flush(const struct vcpu *v)
{
    if (v == current())
        tlb_flush_local(TLB_ALL, 0);
}

/* ---- GDT ---- */

void pv_gdt_drop(struct vcpu *v)
{
    struct pv_vcpu *pv = v->pv;

    for (unsigned i = 0; i < GDT_GUEST_FRAMES; i++) {
        mfn_t old = pv->gdt_frame[i];

        pv->gdt_frame[i] = INVALID_MFN;
        pv_perdomain_set(v, i, window_pte(INVALID_MFN));
        if (!mfn_eq(old, INVALID_MFN))
            segdesc_put(old);
    }
    pv->gdt_entries = 0;
}

int pv_gdt_set(struct vcpu *v, const uint64_t *frames, unsigned entries)
{
    struct pv_vcpu *pv = v->pv;
    unsigned n = DIV_ROUND_UP(entries, PER_PAGE);

    if (entries > GDT_GUEST_ENTRIES)
        return refuse(-EINVAL, "GDT of %u entries", entries);
    for (unsigned i = 0; i < n; i++) {
        int rc = segdesc_get(v->domain, mfn(frames[i]));

        if (rc) {
            while (i-- > 0)
                segdesc_put(mfn(frames[i]));
            return refuse(-EINVAL, "GDT: a frame cannot hold descriptors");
        }
    }
    pv_gdt_drop(v);
    for (unsigned i = 0; i < n; i++) {
        pv->gdt_frame[i] = mfn(frames[i]);
        pv_perdomain_set(v, i, window_pte(pv->gdt_frame[i]));
    }
    pv->gdt_entries = entries;
    window_flush(v);
    return 0;
}

long pv_set_gdt(uint64_t frame_list, uint32_t entries)
{
    uint64_t frames[GDT_GUEST_FRAMES];
    unsigned n = DIV_ROUND_UP(entries, PER_PAGE);

    if (entries > GDT_GUEST_ENTRIES)
        return refuse(-EINVAL, "GDT of %u entries", entries);
    if (guest_read(frames, frame_list, n * sizeof(frames[0])))
        return refuse(-EFAULT, "GDT: list of frames at %#lx", frame_list);
    return pv_gdt_set(current(), frames, entries);
}

/* ---- LDT ---- */

void pv_ldt_drop(struct vcpu *v)
{
    struct pv_vcpu *pv = v->pv;

    for (unsigned i = 0; i < LDT_PAGES; i++) {
        mfn_t old = pv->ldt_frame[i];

        if (mfn_eq(old, INVALID_MFN))
            continue;
        pv->ldt_frame[i] = INVALID_MFN;
        pv_perdomain_set(v, LDT_FIRST + i, 0);
        segdesc_put(old);
    }
}

int pv_set_ldt(struct vcpu *v, uint64_t base, uint32_t entries)
{
    struct pv_vcpu *pv = v->pv;

    if (entries > LDT_PAGES * PER_PAGE)
        return refuse(-EINVAL, "LDT of %u entries", entries);
    if (!IS_ALIGNED(base, PAGE_SIZE) || (entries && !guest_range_ok(base, entries * 8ul)))
        return refuse(-EINVAL, "LDT at %#lx", base);
    if (pv->ldt_entries == 0 && entries == 0)
        return 0;
    pv_ldt_drop(v);
    pv->ldt_base = base;
    pv->ldt_entries = entries;
    window_flush(v);
    if (v == current())
        pv_load_ldt(v);
    return 0;
}

/* The frame that the guest kernel's tables map at va, with a reference and type SEGDESC. */
static int ldt_frame_get(struct vcpu *v, uint64_t va, mfn_t *out)
{
    struct domain *d = v->domain;
    mfn_t table = v->pv->kernel_l4;
    int rc = -EINVAL;

    lock(&d->pv->mmu);
    for (unsigned level = 4; level > 0; level--) {
        const uint64_t *t = mfn_to_virt(table);
        uint64_t e = read_once(t[pt_index(va, level)]);

        if ((e & (PTE_P | PTE_U)) != (PTE_P | PTE_U) || (level > 1 && (e & PTE_PSE)))
            goto out;
        table = pte_mfn(e);
    }
    rc = segdesc_get(d, table);
    *out = table;
out:
    unlock(&d->pv->mmu);
    return rc;
}

bool pv_map_ldt_page(struct vcpu *v, uint64_t offset)
{
    struct pv_vcpu *pv = v->pv;
    unsigned i = offset >> PAGE_SHIFT;
    mfn_t m;

    if (i >= LDT_PAGES || i * PER_PAGE >= pv->ldt_entries || !mfn_eq(pv->ldt_frame[i], INVALID_MFN))
        return false;
    if (ldt_frame_get(v, pv->ldt_base + i * PAGE_SIZE, &m))
        return false;
    pv->ldt_frame[i] = m;
    pv_perdomain_set(v, LDT_FIRST + i, window_pte(m));
    return true;
}

/* ---- one descriptor ---- */

static void store_descriptor(mfn_t m, unsigned offset, uint64_t desc)
{
    uint64_t *page = mfn_to_virt(m);

    __atomic_store_n(&page[offset / sizeof(*page)], desc, __ATOMIC_RELAXED);
}

long pv_update_descriptor(uint64_t maddr, uint64_t desc)
{
    struct domain *d = current()->domain;
    mfn_t m = mfn(maddr >> PAGE_SHIFT);
    int rc;

    if (!IS_ALIGNED(maddr, sizeof(desc)))
        return refuse(-EINVAL, "descriptor at %#lx", maddr);
    if (!pv_descriptor_ok(&desc))
        return refuse(-EINVAL, "descriptor %#lx is not for guests", desc);
    rc = frame_get(m, &d->memory);
    if (rc)
        return refuse(-EINVAL, "descriptor: frame %#lx is not the domain's", m.n);
    if (frame_type_of(m) == FRAME_SEGDESC)
        rc = frame_get_type(m, FRAME_SEGDESC);
    else
        rc = frame_get_type(m, FRAME_WRITABLE);
    if (!rc) {
        store_descriptor(m, maddr & ~PAGE_MASK, desc);
        frame_put_type(m);
    }
    frame_put(m);
    return rc ? refuse(-EINVAL, "descriptor: frame %#lx is in other use", m.n) : 0;
}
