/* SPDX-License-Identifier: MIT */
/* A fully virtual guest's memory: from linear addresses through its own page tables (AMD APM vol.
 * 2, chapter 5), from guest-physical ones through the p2m. */
#include "domain/guest_copy.h"
#include "hvm/hvm.h"
#include "lib/errno.h"
#include "lib/string.h"

/* ---- guest-physical ---- */

/* A frame of RAM with a reference and its address, NULL: none. */
static char *frame_at_gpa(struct domain *d, uint64_t gpa, bool write, mfn_t *m)
{
    if (p2m_get(&d->hvm_domain->p2m, gpa >> PAGE_SHIFT, write, m))
        return NULL;
    return (char *)mfn_to_virt(*m) + (gpa & ~PAGE_MASK);
}

int hvm_read_physical(struct domain *d, uint64_t gpa, void *dst, size_t n)
{
    mfn_t m;
    const char *from = frame_at_gpa(d, gpa, false, &m);

    if (!from)
        return -EFAULT;
    memcpy(dst, from, n);
    frame_put(m);
    return 0;
}

int hvm_write_physical(struct domain *d, uint64_t gpa, const void *src, size_t n)
{
    mfn_t m;
    char *to = frame_at_gpa(d, gpa, true, &m);

    if (!to)
        return -EFAULT;
    memcpy(to, src, n);
    frame_put(m);
    return 0;
}

/* ---- the guest's page tables ---- */

struct walk {
    struct vcpu *v;
    unsigned how;
    unsigned entry_bytes; /* 4 or 8 */
    uint64_t reserved;    /* bits of an entry that must be 0 */
    bool writable, user, executable;
};

/* Reads the entry at gpa and marks it accessed (and dirty, if it is the last of a write). */
static int entry_read(const struct walk *w, uint64_t gpa, uint64_t *e)
{
    int rc;

    *e = 0;
    rc = hvm_read_physical(w->v->domain, gpa, e, w->entry_bytes);
    return rc;
}

/* A bit more in an entry that still is what it was; if it is not, the next access sets it. */
static void entry_mark(const struct walk *w, uint64_t gpa, uint64_t e, uint64_t bits)
{
    mfn_t m;
    char *p;

    if ((e & bits) == bits)
        return;
    p = frame_at_gpa(w->v->domain, gpa, true, &m);
    if (!p)
        return;
    /* Little endian: the flags are in the entry's first half in either form. */
    __atomic_compare_exchange_n((uint32_t *)(void *)p, &(uint32_t){(uint32_t)e},
                                (uint32_t)(e | bits), false, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED);
    frame_put(m);
}

static void narrow(struct walk *w, uint64_t e)
{
    w->writable = w->writable && (e & PTE_RW);
    w->user = w->user && (e & PTE_U);
    w->executable = w->executable && !(e & PTE_NX);
}

static bool allowed(const struct walk *w)
{
    const struct hvm_vcpu *h = w->v->hvm;

    if ((w->how & HVM_WALK_USER) && !w->user)
        return false;
    if ((w->how & HVM_WALK_FETCH) && (h->efer & EFER_NX) && !w->executable)
        return false;
    if ((w->how & HVM_WALK_FETCH) && (h->cr4 & CR4_SMEP) && !(w->how & HVM_WALK_USER) && w->user)
        return false;
    if ((w->how & HVM_WALK_WRITE) && !w->writable)
        return !(w->how & HVM_WALK_USER) && !(h->cr0 & CR0_WP);
    return true;
}

static uint32_t error_code(const struct walk *w, bool present, bool reserved)
{
    return (present ? PFEC_P : 0) | (reserved ? PFEC_RSVD : 0) |
           (w->how & HVM_WALK_WRITE ? PFEC_W : 0) | (w->how & HVM_WALK_USER ? PFEC_U : 0) |
           ((w->how & HVM_WALK_FETCH) && (w->v->hvm->efer & EFER_NX) ? PFEC_I : 0);
}

/* One shape for all modes: tables from `level` down, 2^bits entries each, the top one at `table`.
 */
static int walk_tables(struct walk *w, uint64_t va, uint64_t table, unsigned level, uint64_t *gpa,
                       uint32_t *error)
{
    const unsigned bits = w->entry_bytes == 8 ? 9 : 10;
    const bool pae = w->entry_bytes == 8 && !(w->v->hvm->efer & EFER_LMA);

    for (;; level--) {
        unsigned shift = PAGE_SHIFT + bits * (level - 1);
        uint64_t index = va >> shift & ((1u << bits) - 1), at, e;
        bool page, pdpte = pae && level == 3;

        if (pdpte)
            index &= 3;
        at = table + index * w->entry_bytes;
        if (entry_read(w, at, &e) || !(e & PTE_P)) {
            *error = error_code(w, false, false);
            return -EFAULT;
        }
        page = level == 1 || (!pdpte && level <= (w->entry_bytes == 8 ? 3u : 2u) && (e & PTE_PSE) &&
                              (w->entry_bytes == 8 || w->v->hvm->cr4 & CR4_PSE));
        if (e & w->reserved || (page && level == 3 && pae)) {
            *error = error_code(w, true, true);
            return -EFAULT;
        }
        if (!pdpte)
            narrow(w, e);
        if (!page) {
            if (!pdpte)
                entry_mark(w, at, e, PTE_A);
            table = e & (w->entry_bytes == 8 ? PTE_ADDR_MASK : 0xfffff000ull);
            continue;
        }
        if (!allowed(w)) {
            *error = error_code(w, true, false);
            return -EFAULT;
        }
        entry_mark(w, at, e, PTE_A | (w->how & HVM_WALK_WRITE ? PTE_D : 0));
        *gpa = e & (w->entry_bytes == 8 ? PTE_ADDR_MASK : 0xfffff000ull);
        *gpa &= ~((1ull << shift) - 1);
        if (w->entry_bytes == 4 && level == 2) /* PSE-36: bits 13-20 are address bits 32-39 */
            *gpa |= (e >> 13 & 0xff) << 32;
        *gpa |= va & ((1ull << shift) - 1);
        return 0;
    }
}

int hvm_translate(struct vcpu *v, uint64_t va, unsigned how, uint64_t *gpa, uint32_t *error)
{
    const struct hvm_vcpu *h = v->hvm;
    uint64_t cr3;
    struct walk w = {
        .v = v,
        .how = how,
        .entry_bytes = h->cr4 & CR4_PAE ? 8 : 4,
        .writable = true,
        .user = true,
        .executable = true,
    };

    if (!(h->cr0 & CR0_PG)) {
        *gpa = va & 0xffffffffull;
        return 0;
    }
    cr3 = hvm_ops->get_cr(v, 3);
    if (w.entry_bytes == 8 && !(h->efer & EFER_NX))
        w.reserved = PTE_NX;
    if (h->efer & EFER_LMA) {
        if (!is_canonical(va)) {
            *error = error_code(&w, false, false);
            return -EFAULT;
        }
        return walk_tables(&w, va, cr3 & PTE_ADDR_MASK, 4, gpa, error);
    }
    va &= 0xffffffffull;
    return w.entry_bytes == 8 ? walk_tables(&w, va, cr3 & 0xffffffe0ull, 3, gpa, error)
                              : walk_tables(&w, va, cr3 & 0xfffff000ull, 2, gpa, error);
}

/* ---- hypercall arguments ---- */

/* Page by page; the kernel's own rights, whatever SMAP says of pages of its user mode. */
static size_t copy(uint64_t va, void *to, const void *from, size_t n)
{
    struct vcpu *v = current();

    while (n) {
        size_t piece = min(n, PAGE_SIZE - (va & ~PAGE_MASK));
        uint64_t gpa;
        uint32_t error;

        if (hvm_translate(v, va, to ? 0 : HVM_WALK_WRITE, &gpa, &error))
            return n;
        if (to ? hvm_read_physical(v->domain, gpa, to, piece)
               : hvm_write_physical(v->domain, gpa, from, piece))
            return n;
        va += piece;
        n -= piece;
        to = to ? (char *)to + piece : NULL;
        from = from ? (const char *)from + piece : NULL;
    }
    return 0;
}

static size_t copy_from(void *dst, uint64_t va, size_t n)
{
    return copy(va, dst, NULL, n);
}

static size_t copy_to(uint64_t va, const void *src, size_t n)
{
    return copy(va, NULL, src, n);
}

static size_t clear(uint64_t va, size_t n)
{
    static const char zeros[256];

    while (n) {
        size_t piece = min(n, sizeof(zeros)), left = copy_to(va, zeros, piece);

        if (left)
            return n - (piece - left);
        va += piece;
        n -= piece;
    }
    return 0;
}

const struct guest_memory_ops hvm_guest_memory = {
    .copy_from = copy_from,
    .copy_to = copy_to,
    .clear = clear,
};
