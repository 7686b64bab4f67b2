/* SPDX-License-Identifier: MIT */
/* For tests of start/dom0_*: a machine, a bare domain 0, and a made-up kernel image. */
#pragma once

#include <elf.h>
#include <stdlib.h>
#include <string.h>

#include "machine.h"
#include "boot/boot_info.h"
#include "memory/buddy.h"
#include "memory/layout.h"
#include "start/dom0.h"

#define FIX_TEXT 0x400u /* offset of the segment's bytes */

static struct dom0 *b;
static struct domain fix_domain;
static struct boot_module fix_initrd;
static uint8_t fix_image[0x1000];
static const struct frame_owner_ops fix_ops;

/* An ELF with one segment at physical paddr. */
static inline void fix_elf(void *to, uint64_t vaddr, uint64_t paddr, uint64_t mem_size)
{
    Elf64_Ehdr h = {
        .e_ident = {0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, EV_CURRENT},
        .e_type = ET_EXEC,
        .e_machine = EM_X86_64,
        .e_version = 1,
        .e_entry = vaddr,
        .e_phoff = sizeof(h),
        .e_ehsize = sizeof(h),
        .e_phentsize = sizeof(Elf64_Phdr),
        .e_phnum = 1,
    };
    Elf64_Phdr p = {
        .p_type = PT_LOAD,
        .p_flags = PF_R | PF_X,
        .p_offset = FIX_TEXT,
        .p_vaddr = vaddr,
        .p_paddr = paddr,
        .p_filesz = min(mem_size, (uint64_t)64),
        .p_memsz = mem_size,
    };

    memcpy(to, &h, sizeof(h));
    memcpy((char *)to + sizeof(h), &p, sizeof(p));
}

/* Linux as it comes: base at -2 GiB, text at 16 MiB, p2m at an address of its own. */
static inline void fix_linux(uint64_t nr_pages, uint64_t mem_size)
{
    const char *why;

    memset(fix_image, 0, sizeof(fix_image));
    fix_elf(fix_image, 0xffffffff81000000, 0x1000000, mem_size);
    if (elf_open(&b->elf, fix_image, sizeof(fix_image), &why))
        abort();
    b->notes.virt_base = 0xffffffff80000000;
    b->notes.has_virt_base = b->notes.has_init_p2m = b->notes.mod_start_pfn = true;
    b->notes.init_p2m = 0x8000000000;
    b->nr_pages = nr_pages;
    b->max_pages = nr_pages;
}

static inline void fix_machine(size_t mib)
{
    host_machine_init(mib << 20, 1);
    host_memory_init();
    host_log();
    frame_table_init(max_mfn);
    frame_table_add_ram(mfn(256), mfn(max_mfn));
    free(b);
    b = calloc(1, sizeof(*b));
    if (!b)
        abort();
    memset(&fix_domain, 0, sizeof(fix_domain));
    frame_owner_init(&fix_domain.memory, 0, &fix_ops);
    b->d = &fix_domain;
}

/* An initial RAM disk as the loader leaves it: in frames that the allocator does not have. */
static inline void fix_add_initrd(size_t len)
{
    uint64_t frames = DIV_ROUND_UP(len, PAGE_SIZE);
    unsigned order = 0;
    mfn_t m;

    while (1ull << order < frames)
        order++;
    if (buddy_alloc(order, 0, &m))
        abort();
    for (uint64_t i = frames; i < 1ull << order; i++)
        buddy_free(mfn(m.n + i), 0);
    fix_initrd.start = m.n << PAGE_SHIFT;
    fix_initrd.end = fix_initrd.start + len;
    b->initrd = &fix_initrd;
}

static inline bool fix_logged(const char *what)
{
    return strstr(host_log(), what) != NULL;
}
