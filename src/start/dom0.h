/* SPDX-License-Identifier: MIT */
/* Building domain 0: its size, its kernel, its memory, its first page tables, its first registers.
 * ABI.md 3.3 and 3.4. Each step panics with one clear line: without domain 0 there is no machine.
 */
#pragma once

#include "domain/domain.h"
#include "lib/elf.h"
#include "lib/elfnote.h"

/* A piece of domain 0's memory: frames [mfn, mfn + count) are its frames [pfn, pfn + count). */
struct extent {
    uint64_t pfn, count;
    mfn_t mfn;
};
#define DOM0_EXTENTS 4096u

struct dom0 {
    struct domain *d;
    const struct boot_module *kernel, *initrd; /* initrd may be NULL */
    struct elf elf;
    struct xen_notes notes;
    void *image; /* the kernel's ELF file, decompressed */
    mfn_t image_mfn;
    unsigned image_order;
    bool image_owned; /* from the allocator: to be given back */

    uint64_t nr_pages, max_pages;
    struct extent extent[DOM0_EXTENTS];
    unsigned nr_extents;

    /* Guest virtual addresses, in order. */
    uint64_t v_base; /* where frame 0 would be */
    uint64_t v_kernel_start, v_kernel_end;
    uint64_t v_initrd, v_p2m, v_start_info, v_tables, v_stack, v_end;
    uint64_t nr_tables;
    /* Frames outside the initial mapping. */
    uint64_t initrd_pfn, p2m_pfn, nr_p2m_pages;
};

/* "dom0_mem=" against what is free: nr_pages and max_pages. */
void dom0_size(struct dom0 *b);
unsigned dom0_vcpus(void); /* "dom0_max_vcpus=" */
extern bool dom0_pvh;      /* [I] "dom0=pvh" */
/* The module's kernel into `image`, `elf` and `notes`. */
void dom0_load_kernel(struct dom0 *b);
/* Addresses of everything, by the kernel's wishes. */
void dom0_layout(struct dom0 *b);
/* Frames for pages 0 to nr_pages - 1. */
void dom0_populate(struct dom0 *b);
/* Page tables of the initial mapping and of the p2m; gives the L4's frame. */
mfn_t dom0_make_tables(struct dom0 *b);

/* Where page `pfn` lies. */
mfn_t dom0_mfn(const struct dom0 *b, uint64_t pfn);
void *dom0_page(const struct dom0 *b, uint64_t pfn);
static inline uint64_t dom0_pfn_of(const struct dom0 *b, uint64_t va)
{
    return (va - b->v_base) >> PAGE_SHIFT;
}

/* dom0_pvh.c: all that is different for such a domain 0, from its memory on. */
void dom0_build_pvh(struct dom0 *b);

/* All of it: domain 0 is ready to run. */
void dom0_build(void);
