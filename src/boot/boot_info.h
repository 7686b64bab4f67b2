/* SPDX-License-Identifier: MIT */
/* What the boot loader told us, one form for all loaders. Filled by boot/multiboot.c while the
 * loader's own structures are still in place, then the only truth. */
#pragma once

#include "lib/types.h"

#define BOOT_MODULES 8
#define BOOT_MEMORY  256
#define BOOT_CMDLINE 2048

enum boot_memory_type { /* the numbers of the BIOS call E820 */
    BOOT_RAM = 1,
    BOOT_RESERVED = 2,
    BOOT_ACPI = 3,
    BOOT_NVS = 4,
    BOOT_UNUSABLE = 5,
};

struct boot_range {
    paddr_t start, end; /* end: first byte after */
    uint32_t type;      /* enum boot_memory_type, or another number from the firmware */
};

struct boot_module {
    paddr_t start, end;
    const char *cmdline; /* into boot_info.strings */
};

struct boot_framebuffer {
    paddr_t base; /* 0: none */
    uint32_t pitch, width, height;
    uint8_t bpp;
    uint8_t red_pos, red_size, green_pos, green_size, blue_pos, blue_size;
};

struct boot_info {
    const char *loader; /* "GRUB 2.06", "qemu" */
    bool multiboot2;
    char cmdline[BOOT_CMDLINE];
    struct boot_range memory[BOOT_MEMORY]; /* sorted, not overlapping */
    unsigned nr_memory;
    struct boot_module module[BOOT_MODULES];
    unsigned nr_modules;
    struct boot_framebuffer framebuffer;
    paddr_t rsdp;          /* a copy of the ACPI root pointer's address, 0: look for it */
    uint8_t rsdp_copy[36]; /* Multiboot 2 hands over a copy; valid if rsdp_copy_len */
    unsigned rsdp_copy_len;
    paddr_t efi_system_table;       /* 0: BIOS */
    paddr_t image_start, image_end; /* where Argon itself lies */
    char strings[8192];
};

extern struct boot_info boot_info;
