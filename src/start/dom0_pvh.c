/* SPDX-License-Identifier: MIT */
/* Domain 0 as a PVH guest ("dom0=pvh"): a kernel with the note PHYS32_ENTRY, in RAM from address 0
 * on, started in 32-bit protected mode. For small kernels: it gets no devices and no ACPI tables.
 * Public arch-x86/hvm/start_info.h; ABI.md 4.1.
 *
 *     kernel where it wants to lie | start info, module list, memory map, command line: a page |
 *     initial RAM disk */
#include <xen/arch-x86/hvm/start_info.h>
#include "base/log.h"
#include "base/panic.h"
#include "boot/boot_info.h"
#include "frame/p2m.h"
#include "hvm/hvm.h"
#include "hypercall/ops.h"
#include "lib/string.h"
#include "lib/strutil.h"
#include "start/dom0.h"

/* RAM ends before the place of the local APIC and the IO-APIC. */
#define PAGES_MAX (0xf0000000ul >> PAGE_SHIFT)

/* The page behind the kernel. */
struct start_page {
    struct hvm_start_info info;
    struct hvm_modlist_entry module;
    struct hvm_memmap_table_entry map;
    char cmdline[2048];
};
_Static_assert(sizeof(struct start_page) <= PAGE_SIZE, "one page");

/* Copies to guest-physical memory. */
static void init_code put(const struct dom0 *b, uint64_t at, const void *from, uint64_t n)
{
    while (n) {
        uint64_t piece = min(n, PAGE_SIZE - (at & ~PAGE_MASK));

        memcpy((char *)dom0_page(b, at >> PAGE_SHIFT) + (at & ~PAGE_MASK), from, piece);
        from = (const char *)from + piece;
        at += piece;
        n -= piece;
    }
}

static void init_code map_memory(struct dom0 *b)
{
    struct p2m *p = b->d->p2m;
    int rc = 0;

    lock(&p->lock);
    for (unsigned i = 0; i < b->nr_extents; i++) {
        const struct extent *e = &b->extent[i];

        for (uint64_t n = 0; !rc && n < e->count;) {
            uint64_t gfn = e->pfn + n, m = e->mfn.n + n;
            bool large = IS_ALIGNED(gfn | m, 512) && e->count - n >= 512;

            rc = p2m_map(p, gfn, mfn(m), large ? 9 : 0, P2M_RAM);
            n += large ? 512 : 1;
        }
    }
    unlock(&p->lock);
    if (rc)
        fatal("too little memory for domain 0's nested page tables");
}

/* The first page behind the kernel. */
static uint64_t init_code load_kernel(const struct dom0 *b)
{
    uint64_t first, end, entry = b->notes.phys32_entry;
    struct elf_segment s;

    if (!b->notes.has_phys32_entry)
        fatal("domain 0's kernel has no PVH entry point, which dom0=pvh needs");
    if (!elf_load_bounds(&b->elf, &first, &end) || end > b->nr_pages << PAGE_SHIFT)
        fatal("domain 0's kernel wants to lie beyond its memory; raise dom0_mem");
    if (entry < first || entry >= end)
        fatal("domain 0's kernel has its PVH entry point at %#lx, outside itself", entry);
    for (unsigned i = 0; elf_load_next(&b->elf, &i, &s);)
        put(b, s.paddr, s.data, min(s.file_size, s.mem_size)); /* the rest is zero */
    return ROUND_UP(end, PAGE_SIZE);
}

static uint64_t init_code load_start_info(const struct dom0 *b, uint64_t at)
{
    static struct start_page page init_data;
    uint64_t initrd = at + PAGE_SIZE, len = b->initrd ? b->initrd->end - b->initrd->start : 0;

    if (initrd + len > b->nr_pages << PAGE_SHIFT)
        fatal("domain 0's initial RAM disk does not fit into its memory; raise dom0_mem");
    page.info = (struct hvm_start_info){
        .magic = XEN_HVM_START_MAGIC_VALUE,
        .version = 1,
        .flags = SIF_PRIVILEGED | SIF_INITDOMAIN,
        .nr_modules = len ? 1 : 0,
        .modlist_paddr = at + offsetof(struct start_page, module),
        .cmdline_paddr = at + offsetof(struct start_page, cmdline),
        .memmap_paddr = at + offsetof(struct start_page, map),
        .memmap_entries = 1,
    };
    page.module = (struct hvm_modlist_entry){.paddr = initrd, .size = len};
    page.map = (struct hvm_memmap_table_entry){
        .size = b->nr_pages << PAGE_SHIFT,
        .type = XEN_HVM_MEMMAP_TYPE_RAM,
    };
    if (strlcpy(page.cmdline, b->kernel->cmdline, sizeof(page.cmdline)) >= sizeof(page.cmdline))
        log_warn("domain 0's command line is longer than %zu bytes: the rest is left out",
                 sizeof(page.cmdline) - 1);
    put(b, at, &page, sizeof(page));
    if (len)
        put(b, initrd, paddr_to_virt(b->initrd->start), len);
    return at;
}

void init_code dom0_build_pvh(struct dom0 *b)
{
    const struct boot_module *initrd = b->initrd;
    struct vcpu *v = b->d->vcpu[0];
    uint64_t at;

    b->nr_pages = min(b->nr_pages, PAGES_MAX);
    b->initrd = NULL; /* is copied: its frames lie anywhere */
    dom0_populate(b);
    b->initrd = initrd;
    map_memory(b);
    at = load_start_info(b, load_kernel(b));
    hvm_vcpu_start_pvh(v, (uint32_t)b->notes.phys32_entry, (uint32_t)at);
    v->initialised = true;
    hypercall_vcpu_up(v);
    log_info("domain 0: PVH kernel \"%s\", %lu MiB, %u vCPUs, entry %#lx", b->notes.guest_os,
             b->nr_pages >> 8, b->d->max_vcpus, b->notes.phys32_entry);
}
