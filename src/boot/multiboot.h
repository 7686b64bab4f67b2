/* SPDX-License-Identifier: MIT */
/* The structures of both Multiboot specifications: 0.6.96, 3.3 and 2.0, 3.6. */
#pragma once

#include "lib/types.h"

#define MB1_BOOT_MAGIC 0x2badb002
#define MB2_BOOT_MAGIC 0x36d76289

#define MB1_INFO_CMDLINE     BIT(2)
#define MB1_INFO_MODULES     BIT(3)
#define MB1_INFO_MEMORY_MAP  BIT(6)
#define MB1_INFO_LOADER      BIT(9)
#define MB1_INFO_FRAMEBUFFER BIT(12)

struct packed mb1_info {
    uint32_t flags, mem_lower, mem_upper, boot_device, cmdline;
    uint32_t mods_count, mods_addr;
    uint32_t syms[4];
    uint32_t mmap_length, mmap_addr;
    uint32_t drives_length, drives_addr, config_table, loader_name, apm_table;
    uint32_t vbe_control_info, vbe_mode_info;
    uint16_t vbe_mode, vbe_interface_seg, vbe_interface_off, vbe_interface_len;
    uint64_t framebuffer_addr;
    uint32_t framebuffer_pitch, framebuffer_width, framebuffer_height;
    uint8_t framebuffer_bpp, framebuffer_type;
    uint8_t color_info[6];
};

struct packed mb1_module {
    uint32_t start, end, string, reserved;
};

struct packed mb1_memory {
    uint32_t size; /* of the rest */
    uint64_t addr, len;
    uint32_t type;
};

#define MB2_TAG_END         0
#define MB2_TAG_CMDLINE     1
#define MB2_TAG_LOADER      2
#define MB2_TAG_MODULE      3
#define MB2_TAG_MMAP        6
#define MB2_TAG_FRAMEBUFFER 8
#define MB2_TAG_EFI64       12
#define MB2_TAG_ACPI_OLD    14
#define MB2_TAG_ACPI_NEW    15
#define MB2_TAG_EFI_MMAP    17

struct packed mb2_info {
    uint32_t total_size, reserved;
};

struct packed mb2_tag {
    uint32_t type, size;
};

struct packed mb2_module {
    struct mb2_tag tag;
    uint32_t start, end;
    char string[];
};

struct packed mb2_mmap {
    struct mb2_tag tag;
    uint32_t entry_size, entry_version;
};

struct packed mb2_mmap_entry {
    uint64_t addr, len;
    uint32_t type, reserved;
};

struct packed mb2_framebuffer {
    struct mb2_tag tag;
    uint64_t addr;
    uint32_t pitch, width, height;
    uint8_t bpp, type, reserved[2];
    uint8_t color_info[6]; /* type 1: red position, size, green..., blue... */
};

#define MB_FRAMEBUFFER_RGB 1
