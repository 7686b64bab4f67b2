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

#define LOADER_END (1ull << 32)

static size_t strings_used;

/* The loader's memory: physical below 4 GiB, at the direct map. */
static const void *loader_memory(uint64_t paddr)
{
    return (const void *)(uintptr_t)(HW_VA_DIRECT + paddr);
}

/* A string of the loader's, of which at most `room` bytes are its. */
struct text {
    const char *s;
    size_t room;
};

static struct text init_code text_at(uint32_t paddr)
{
    return (struct text){loader_memory(paddr), LOADER_END - paddr};
}

static const char *init_code keep_string(struct text t)
{
    size_t len = strnlen(t.s, min(t.room, sizeof(boot_info.strings)));
    char *to = boot_info.strings + strings_used;

    if (len + 1 > sizeof(boot_info.strings) - strings_used) {
        log_warn("boot: no room for the string \"%.*s...\": left out", (int)min(len, (size_t)40),
                 t.s);
        return "";
    }
    memcpy(to, t.s, len);
    to[len] = 0;
    strings_used += len + 1;
    return to;
}

/* False if there is no room for it. */
static bool init_code add_module(paddr_t start, paddr_t end, struct text cmdline)
{
    struct boot_module *m = &boot_info.module[boot_info.nr_modules];

    if (boot_info.nr_modules == BOOT_MODULES) {
        log_warn("boot: more than %u modules: those behind are left out", BOOT_MODULES);
        return false;
    }
    boot_info.nr_modules++;
    m->start = start;
    m->end = max(start, end);
    m->cmdline = keep_string(cmdline);
    return true;
}

static void init_code set_cmdline(struct text t)
{
    size_t len = strnlen(t.s, min(t.room, (size_t)BOOT_CMDLINE));

    if (len == BOOT_CMDLINE) {
        log_warn("boot: the command line is longer than %u bytes: the rest is left out",
                 BOOT_CMDLINE - 1);
        len--;
    }
    memcpy(boot_info.cmdline, t.s, len);
    boot_info.cmdline[len] = 0;
}

/* Multiboot 1 passes "path arguments"; QEMU and GRUB both put the path first. */
static struct text init_code skip_path(struct text t)
{
    for (; t.room && *t.s && *t.s != ' '; t.s++)
        t.room--;
    for (; t.room && *t.s == ' '; t.s++)
        t.room--;
    return t;
}

static void init_code mb1_read_memory(const struct mb1_info *info)
{
    uint64_t at = info->mmap_addr, end = min(at + info->mmap_length, LOADER_END);

    while (at + sizeof(struct mb1_memory) <= end) {
        const struct mb1_memory *e = loader_memory(at);

        if (e->size < sizeof(*e) - sizeof(e->size)) {
            log_warn("boot: the memory map has an entry of %u bytes: the rest is left out",
                     e->size);
            return;
        }
        boot_memory_add(e->addr, e->len, e->type);
        at += (uint64_t)e->size + sizeof(e->size);
    }
}

static void init_code mb1_read_modules(const struct mb1_info *info)
{
    uint64_t at = info->mods_addr;

    for (uint32_t i = 0; i < info->mods_count; i++, at += sizeof(struct mb1_module)) {
        const struct mb1_module *m = loader_memory(at);

        if (at + sizeof(*m) > LOADER_END ||
            !add_module(m->start, m->end,
                        m->string ? skip_path(text_at(m->string)) : (struct text){"", 1}))
            return;
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
        boot_info.loader = keep_string(text_at(info->loader_name));
    if (info->flags & MB1_INFO_CMDLINE)
        set_cmdline(skip_path(text_at(info->cmdline)));
    if (info->flags & MB1_INFO_MODULES)
        mb1_read_modules(info);
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
    for (uint64_t off = sizeof(*mmap); off + mmap->entry_size <= mmap->tag.size;
         off += mmap->entry_size) {
        const struct mb2_mmap_entry *e = (const void *)((const char *)mmap + off);

        boot_memory_add(e->addr, e->len, e->type);
    }
}

/* The tag's size up to the end of its fixed part. */
static uint32_t init_code mb2_least(uint32_t type)
{
    switch (type) {
    case MB2_TAG_MODULE:
        return sizeof(struct mb2_module);
    case MB2_TAG_MMAP:
        return sizeof(struct mb2_mmap);
    case MB2_TAG_FRAMEBUFFER:
        return offsetof(struct mb2_framebuffer, reserved);
    case MB2_TAG_EFI64:
        return sizeof(struct mb2_tag) + sizeof(uint64_t);
    default:
        return sizeof(struct mb2_tag);
    }
}

static void init_code mb2_read_tag(const struct mb2_tag *tag)
{
    const char *body = (const char *)(tag + 1);
    size_t len = tag->size - sizeof(*tag);

    switch (tag->type) {
    case MB2_TAG_CMDLINE:
        set_cmdline((struct text){body, len});
        break;
    case MB2_TAG_LOADER:
        boot_info.loader = keep_string((struct text){body, len});
        break;
    case MB2_TAG_MODULE: {
        const struct mb2_module *m = (const void *)tag;

        add_module(m->start, m->end, (struct text){m->string, tag->size - sizeof(*m)});
        break;
    }
    case MB2_TAG_MMAP:
        mb2_read_memory((const void *)tag);
        break;
    case MB2_TAG_FRAMEBUFFER: {
        const struct mb2_framebuffer *f = (const void *)tag;

        if (f->type == MB_FRAMEBUFFER_RGB && tag->size >= sizeof(*f))
            set_framebuffer(f->addr, f->pitch, f->width, f->height, f->bpp, f->color_info);
        break;
    }
    case MB2_TAG_EFI64:
        memcpy(&boot_info.efi_system_table, body, 8);
        break;
    case MB2_TAG_ACPI_OLD:
    case MB2_TAG_ACPI_NEW:
        if (boot_info.rsdp_copy_len == 0 || tag->type == MB2_TAG_ACPI_NEW) {
            boot_info.rsdp_copy_len = (unsigned)min(len, sizeof(boot_info.rsdp_copy));
            memcpy(boot_info.rsdp_copy, body, boot_info.rsdp_copy_len);
        }
        break;
    default:
        break;
    }
}

static void init_code mb2_read(uint32_t paddr)
{
    const struct mb2_info *info = loader_memory(paddr);
    uint64_t end = min((uint64_t)info->total_size, LOADER_END - paddr);

    boot_info.multiboot2 = true;
    for (uint64_t off = sizeof(*info); off + sizeof(struct mb2_tag) <= end;) {
        const struct mb2_tag *tag = (const void *)((const char *)info + off);

        if (tag->type == MB2_TAG_END)
            break;
        if (tag->size < sizeof(*tag) || tag->size > end - off) {
            log_warn("boot: the loader's tag of type %u has %u bytes: it and the rest are left out",
                     tag->type, tag->size);
            break;
        }
        if (tag->size >= mb2_least(tag->type))
            mb2_read_tag(tag);
        else
            log_warn("boot: the loader's tag of type %u has only %u bytes: left out", tag->type,
                     tag->size);
        off += ROUND_UP((uint64_t)tag->size, 8);
    }
}

void init_code boot_read(uint32_t magic, uint32_t info)
{
    memset(&boot_info, 0, sizeof(boot_info));
    boot_info.loader = "an unnamed loader";
    strings_used = 0;
    if (magic == MB1_BOOT_MAGIC)
        mb1_read(loader_memory(info));
    else if (magic == MB2_BOOT_MAGIC)
        mb2_read(info);
    else
        fatal("not started by a Multiboot loader (magic %#x): use GRUB's multiboot2, or multiboot",
              magic);
    boot_memory_finish();
}
