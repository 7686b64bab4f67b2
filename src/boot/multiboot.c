/* SPDX-License-Identifier: MIT */
/* Reads what a Multiboot loader left into boot_info. Everything below 4 GiB is mapped at the direct
 * map. The loader's data is trusted as far as its author is: lengths are checked so that a mistake
 * ends in a clear line, not in a fault. */
#include "boot/multiboot.h"

#include "base/log.h"
#include "base/panic.h"
#include "boot/boot.h"
#include "boot/boot_info.h"
#include "lib/string.h"
#include "lib/strutil.h"
#include "lib/util.h"

struct boot_info boot_info;

static size_t strings_used;

/* The loader's memory: physical below 4 GiB, at the direct map. */
static const void *loader_memory(uint64_t paddr)
{
    return (const void *)(uintptr_t)(HW_VA_DIRECT + paddr);
}

static const char *init_code keep_string(const char *s)
{
    size_t len = strnlen(s, sizeof(boot_info.strings)) + 1;
    char *to = boot_info.strings + strings_used;

    if (len > sizeof(boot_info.strings) - strings_used) {
        log_warn("boot: no room for the string \"%.40s...\": left out", s);
        return "";
    }
    memcpy(to, s, len);
    strings_used += len;
    return to;
}

static void init_code add_module(paddr_t start, paddr_t end, const char *cmdline)
{
    struct boot_module *m = &boot_info.module[boot_info.nr_modules];

    if (boot_info.nr_modules == BOOT_MODULES) {
        log_warn("boot: more than %u modules: \"%.40s\" left out", BOOT_MODULES, cmdline);
        return;
    }
    boot_info.nr_modules++;
    m->start = start;
    m->end = max(start, end);
    m->cmdline = keep_string(cmdline);
}

static void init_code set_cmdline(const char *s)
{
    if (strnlen(s, BOOT_CMDLINE) == BOOT_CMDLINE)
        log_warn("boot: the command line is longer than %u bytes: the rest is left out",
                 BOOT_CMDLINE - 1);
    strlcpy(boot_info.cmdline, s, BOOT_CMDLINE);
}

/* Multiboot 1 passes "path arguments"; QEMU and GRUB both put the path first. */
static const char *init_code skip_path(const char *s)
{
    while (*s && *s != ' ')
        s++;
    while (*s == ' ')
        s++;
    return s;
}

static void init_code mb1_read_memory(const struct mb1_info *info)
{
    for (uint64_t off = 0; off + sizeof(struct mb1_memory) <= info->mmap_length;) {
        const struct mb1_memory *e = loader_memory((uint64_t)info->mmap_addr + off);

        boot_memory_add(e->addr, e->len, e->type);
        off += (uint64_t)e->size + sizeof(e->size);
    }
}

static void init_code set_framebuffer(uint64_t addr, uint32_t pitch, uint32_t width,
                                      uint32_t height, uint8_t bpp, const uint8_t color[6])
{
    boot_info.framebuffer = (struct boot_framebuffer){
        .base = addr,
        .pitch = pitch,
        .width = width,
        .height = height,
        .bpp = bpp,
        .red_pos = color[0],
        .red_size = color[1],
        .green_pos = color[2],
        .green_size = color[3],
        .blue_pos = color[4],
        .blue_size = color[5],
    };
}

static void init_code mb1_read(const struct mb1_info *info)
{
    if (info->flags & MB1_INFO_LOADER)
        boot_info.loader = keep_string(loader_memory(info->loader_name));
    if (info->flags & MB1_INFO_CMDLINE)
        set_cmdline(skip_path(loader_memory(info->cmdline)));
    if (info->flags & MB1_INFO_MODULES)
        for (uint32_t i = 0; i < info->mods_count; i++) {
            const struct mb1_module *m = loader_memory(info->mods_addr + i * sizeof(*m));
            const char *line = m->string ? loader_memory(m->string) : "";

            add_module(m->start, m->end, skip_path(line));
        }
    if (info->flags & MB1_INFO_MEMORY_MAP)
        mb1_read_memory(info);
    if (info->flags & MB1_INFO_FRAMEBUFFER && info->framebuffer_type == MB_FRAMEBUFFER_RGB)
        set_framebuffer(info->framebuffer_addr, info->framebuffer_pitch, info->framebuffer_width,
                        info->framebuffer_height, info->framebuffer_bpp, info->color_info);
}

static void init_code mb2_read_memory(const struct mb2_mmap *mmap)
{
    if (mmap->entry_size < sizeof(struct mb2_mmap_entry))
        return;
    for (uint32_t off = sizeof(*mmap); off + mmap->entry_size <= mmap->tag.size;
         off += mmap->entry_size) {
        const struct mb2_mmap_entry *e = (const void *)((const char *)mmap + off);

        boot_memory_add(e->addr, e->len, e->type);
    }
}

static void init_code mb2_read_tag(const struct mb2_tag *tag)
{
    const char *body = (const char *)(tag + 1);

    switch (tag->type) {
    case MB2_TAG_CMDLINE:
        set_cmdline(body);
        break;
    case MB2_TAG_LOADER:
        boot_info.loader = keep_string(body);
        break;
    case MB2_TAG_MODULE: {
        const struct mb2_module *m = (const void *)tag;

        add_module(m->start, m->end, m->string);
        break;
    }
    case MB2_TAG_MMAP:
        mb2_read_memory((const void *)tag);
        break;
    case MB2_TAG_FRAMEBUFFER: {
        const struct mb2_framebuffer *f = (const void *)tag;

        if (f->type == MB_FRAMEBUFFER_RGB)
            set_framebuffer(f->addr, f->pitch, f->width, f->height, f->bpp, f->color_info);
        break;
    }
    case MB2_TAG_EFI64:
        memcpy(&boot_info.efi_system_table, body, 8);
        break;
    case MB2_TAG_ACPI_OLD:
    case MB2_TAG_ACPI_NEW:
        if (boot_info.rsdp_copy_len == 0 || tag->type == MB2_TAG_ACPI_NEW) {
            boot_info.rsdp_copy_len =
                min(tag->size - (uint32_t)sizeof(*tag), (uint32_t)sizeof(boot_info.rsdp_copy));
            memcpy(boot_info.rsdp_copy, body, boot_info.rsdp_copy_len);
        }
        break;
    default:
        break;
    }
}

static void init_code mb2_read(const struct mb2_info *info)
{
    boot_info.multiboot2 = true;
    for (uint32_t off = sizeof(*info); off + sizeof(struct mb2_tag) <= info->total_size;) {
        const struct mb2_tag *tag = (const void *)((const char *)info + off);

        if (tag->type == MB2_TAG_END || tag->size < sizeof(*tag))
            break;
        mb2_read_tag(tag);
        off += ROUND_UP(tag->size, 8u);
    }
}

void init_code boot_read(uint32_t magic, uint32_t info)
{
    boot_info.loader = "an unnamed loader";
    if (magic == MB1_BOOT_MAGIC)
        mb1_read(loader_memory(info));
    else if (magic == MB2_BOOT_MAGIC)
        mb2_read(loader_memory(info));
    else
        fatal("not started by a Multiboot loader (magic %#x): use GRUB's multiboot2, or multiboot",
              magic);
    boot_memory_finish();
}
