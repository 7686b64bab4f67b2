/* SPDX-License-Identifier: MIT */
/* Where things lie in domain 0. In its virtual space, from virt_base on and in this order:
 *
 *     kernel | initrd, unless it may be given by frame | p2m, unless it has an address of its own |
 *     start info | page tables | stack | at least 512 KiB of room, up to a multiple of 4 MiB
 *
 * Behind that, not mapped: the initrd's frames, then the p2m's with the tables that map it. */
#include "base/panic.h"
#include "boot/boot_info.h"
#include "lib/elf.h"
#include "memory/buddy.h"
#include "start/dom0.h"

#define PAD     (512ul << 10)
#define V_ALIGN (4ul << 20)
#define L1_SPAN (1ul << 21)
#define L2_SPAN (1ul << 30)
#define L3_SPAN (1ul << 39)
#define V_MAX   (2 * L2_SPAN) /* more than any kernel maps at its start */
#define INITRD_PAGES(b) \
    ((b)->initrd ? DIV_ROUND_UP((b)->initrd->end - (b)->initrd->start, PAGE_SIZE) : 0)

static uint64_t init_code page_up(uint64_t n)
{
    return ROUND_UP(n, PAGE_SIZE);
}

/* Pieces of size `span` that [start, end) touches; it is not empty. */
static uint64_t init_code spans(uint64_t start, uint64_t end, uint64_t span)
{
    return (end - 1) / span - start / span + 1;
}

/* Tables that map [start, end): L1s, L2s, L3s. */
static uint64_t init_code tables_for(uint64_t start, uint64_t end)
{
    return spans(start, end, L1_SPAN) + spans(start, end, L2_SPAN) + spans(start, end, L3_SPAN);
}

/* Says that [v_base, v_base + len) is too much before anything is reckoned with it. */
static void init_code check_fits(const struct dom0 *b, uint64_t len)
{
    if (len > V_MAX || b->v_base + len < b->v_base)
        fatal("domain 0's kernel and initial RAM disk do not fit into its address space");
}

static void init_code layout_tail(struct dom0 *b, uint64_t v)
{
    b->v_start_info = v;
    b->v_tables = v + PAGE_SIZE;
    /* The tables map themselves: enlarge until they fit. */
    for (b->nr_tables = 4;; b->nr_tables++) {
        b->v_stack = b->v_tables + b->nr_tables * PAGE_SIZE;
        b->v_end = ROUND_UP(b->v_stack + PAGE_SIZE + PAD, V_ALIGN);
        check_fits(b, b->v_end - b->v_base);
        if (1 + tables_for(b->v_base, b->v_end) <= b->nr_tables)
            break;
    }
}

void init_code dom0_layout(struct dom0 *b)
{
    const struct xen_notes *n = &b->notes;
    uint64_t first, end, v, p2m_bytes = b->nr_pages * sizeof(uint64_t), pfn;

    if (!elf_load_bounds(&b->elf, &first, &end))
        fatal("domain 0's kernel has nothing to load");
    if (first < n->paddr_offset || end - n->paddr_offset > b->nr_pages << PAGE_SHIFT)
        fatal("domain 0's kernel wants to lie at %#lx-%#lx, beyond its memory; raise dom0_mem",
              first, end);
    b->v_base = n->virt_base;
    if (!IS_ALIGNED(b->v_base, V_ALIGN))
        fatal("domain 0's kernel has an unusable virtual base %#lx", b->v_base);
    b->v_kernel_start = b->v_base + first - n->paddr_offset;
    b->v_kernel_end = b->v_base + end - n->paddr_offset;
    check_fits(b, end - n->paddr_offset);
    v = page_up(b->v_kernel_end);
    if (b->initrd && !n->mod_start_pfn) {
        b->v_initrd = v;
        v += INITRD_PAGES(b) * PAGE_SIZE;
    }
    if (!n->has_init_p2m) {
        b->v_p2m = v;
        v += page_up(p2m_bytes);
    }
    check_fits(b, v - b->v_base);
    layout_tail(b, v);

    pfn = dom0_pfn_of(b, b->v_end);
    if (b->initrd && n->mod_start_pfn) {
        b->initrd_pfn = pfn;
        pfn += INITRD_PAGES(b);
    } else if (b->initrd) {
        b->initrd_pfn = dom0_pfn_of(b, b->v_initrd);
    }
    if (n->has_init_p2m) {
        b->v_p2m = n->init_p2m;
        if (!IS_ALIGNED(b->v_p2m, PAGE_SIZE) || b->v_p2m + p2m_bytes < b->v_p2m)
            fatal("domain 0's kernel wants its p2m at the unusable address %#lx", b->v_p2m);
        b->p2m_pfn = pfn;
        b->nr_p2m_pages =
            page_up(p2m_bytes) / PAGE_SIZE + tables_for(b->v_p2m, b->v_p2m + p2m_bytes);
        pfn += b->nr_p2m_pages;
    } else {
        b->p2m_pfn = dom0_pfn_of(b, b->v_p2m);
    }
    if (pfn > b->nr_pages)
        fatal("too little memory: domain 0 needs %lu MiB to start and gets %lu; raise dom0_mem",
              pfn >> 8, b->nr_pages >> 8);
}

/* ---- frames ---- */

static void init_code add_extent(struct dom0 *b, uint64_t pfn, mfn_t m, uint64_t count)
{
    if (b->nr_extents == DOM0_EXTENTS)
        fatal("domain 0's memory is in too many pieces");
    if (frame_adopt(&b->d->memory, m, count))
        fatal("domain 0 cannot have the frames %#lx-%#lx", m.n, m.n + count);
    for (uint64_t i = 0; i < count; i++)
        frame_m2p_set(mfn(m.n + i), pfn + i);
    b->extent[b->nr_extents++] = (struct extent){.pfn = pfn, .count = count, .mfn = m};
}

/* Frames for [pfn, end), in pieces as large as there are. */
static void init_code populate_range(struct dom0 *b, uint64_t pfn, uint64_t end)
{
    while (pfn < end) {
        unsigned order = min(63u - (unsigned)__builtin_clzll(end - pfn), BUDDY_ORDERS - 1u);
        mfn_t m;

        while (buddy_alloc(order, 0, &m))
            if (order-- == 0)
                fatal("too little memory for domain 0: %lu of %lu MiB found", pfn >> 8,
                      b->nr_pages >> 8);
        add_extent(b, pfn, m, 1ull << order);
        pfn += 1ull << order;
    }
}

void init_code dom0_populate(struct dom0 *b)
{
    uint64_t initrd_end = b->initrd_pfn + INITRD_PAGES(b);

    b->d->memory.max_pages = max(b->max_pages, b->nr_pages);
    if (b->initrd) {
        if (b->initrd->start & ~PAGE_MASK)
            fatal("the boot loader has put the initial RAM disk at %#lx: it must lie at a page's "
                  "beginning",
                  b->initrd->start);
        populate_range(b, 0, b->initrd_pfn);
        /* The loader's copy becomes domain 0's: nothing is moved. */
        add_extent(b, b->initrd_pfn, mfn(b->initrd->start >> PAGE_SHIFT), INITRD_PAGES(b));
        populate_range(b, initrd_end, b->nr_pages);
    } else {
        populate_range(b, 0, b->nr_pages);
    }
}

mfn_t init_code dom0_mfn(const struct dom0 *b, uint64_t pfn)
{
    unsigned low = 0, high = b->nr_extents;

    while (low < high) { /* extents are in the order of their pages */
        unsigned mid = (low + high) / 2;
        const struct extent *e = &b->extent[mid];

        if (pfn < e->pfn)
            high = mid;
        else if (pfn >= e->pfn + e->count)
            low = mid + 1;
        else
            return mfn(e->mfn.n + (pfn - e->pfn));
    }
    fatal("page %#lx of domain 0 has no frame", pfn);
}

void *init_code dom0_page(const struct dom0 *b, uint64_t pfn)
{
    return mfn_to_virt(dom0_mfn(b, pfn));
}
