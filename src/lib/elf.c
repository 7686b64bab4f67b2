/* SPDX-License-Identifier: MIT */
/* Reading of untrusted ELF64 images; see lib/elf.h. */
#include "lib/elf.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "lib/util.h"

struct elf_header {
    uint8_t magic[4], class, data, version, os_abi, abi_version, pad[7];
    uint16_t type, machine;
    uint32_t object_version;
    uint64_t entry, segment_offset, section_offset;
    uint32_t flags;
    uint16_t header_size, segment_size, segments, section_size, sections, names;
};

struct segment_header {
    uint32_t type, flags;
    uint64_t offset, vaddr, paddr, file_size, mem_size, align;
};

struct section_header {
    uint32_t name, type;
    uint64_t flags, addr, offset, size;
    uint32_t link, info;
    uint64_t align, entry_size;
};

struct note_header {
    uint32_t name_len, desc_len, type;
};

_Static_assert(sizeof(struct elf_header) == 64, "ELF64 header");
_Static_assert(sizeof(struct segment_header) == 56, "ELF64 program header");
_Static_assert(sizeof(struct section_header) == 64, "ELF64 section header");

#define CLASS_32       1
#define CLASS_64       2
#define DATA_LSB       1
#define TYPE_EXEC      2
#define TYPE_DYN       3
#define MACHINE_X86_64 62
#define SEGMENT_LOAD   1
#define SEGMENT_NOTE   4
#define SEGMENT_X      1
#define SEGMENT_W      2
#define SECTION_NOTE   7

static int fail(const char **why, const char *reason)
{
    *why = reason;
    return -ENOEXEC;
}

/* Does [offset, offset + len) lie within the image? */
static bool within(const struct elf *elf, uint64_t offset, uint64_t len)
{
    return offset <= elf->size && len <= elf->size - offset;
}

static struct segment_header get_segment(const struct elf *elf, unsigned int i)
{
    struct segment_header s;

    memcpy(&s, elf->segment_table + i * sizeof(s), sizeof(s));
    return s;
}

static struct section_header get_section(const struct elf *elf, unsigned int i)
{
    struct section_header s;

    memcpy(&s, elf->section_table + i * sizeof(s), sizeof(s));
    return s;
}

static int check_segments(const struct elf *elf, const char **why)
{
    for (unsigned int i = 0; i < elf->segments; i++) {
        struct segment_header s = get_segment(elf, i);
        uint64_t end;

        if (s.type != SEGMENT_LOAD && s.type != SEGMENT_NOTE)
            continue;
        if (!within(elf, s.offset, s.file_size))
            return fail(why, "elf: segment lies outside the image");
        if (s.type == SEGMENT_NOTE)
            continue;
        if (s.file_size > s.mem_size)
            return fail(why, "elf: segment is larger in the image than in memory");
        if (__builtin_add_overflow(s.paddr, s.mem_size, &end) ||
            (s.mem_size && __builtin_add_overflow(s.vaddr, s.mem_size - 1, &end)))
            return fail(why, "elf: segment wraps round the address space");
    }
    return 0;
}

static int check_sections(const struct elf *elf, const char **why)
{
    for (unsigned int i = 0; i < elf->sections; i++) {
        struct section_header s = get_section(elf, i);

        if (s.type == SECTION_NOTE && !within(elf, s.offset, s.size))
            return fail(why, "elf: section lies outside the image");
    }
    return 0;
}

int elf_open(struct elf *elf, const void *image, size_t size, const char **why)
{
    struct elf_header h;
    int rc;

    *elf = (struct elf){.image = image, .size = size};
    if (size < sizeof(h))
        return fail(why, "elf: image is smaller than a header");
    memcpy(&h, image, sizeof(h));
    if (memcmp(h.magic, "\177ELF", 4) != 0)
        return fail(why, "elf: no ELF magic");
    if (h.class == CLASS_32)
        return fail(why, "elf: 32-bit image");
    if (h.class != CLASS_64 || h.data != DATA_LSB || h.version != 1)
        return fail(why, "elf: not a little-endian ELF64 image of version 1");
    if (h.machine != MACHINE_X86_64)
        return fail(why, "elf: not for x86-64");
    if (h.type != TYPE_EXEC && h.type != TYPE_DYN)
        return fail(why, "elf: not executable");
    if (!h.segments || h.segment_size != sizeof(struct segment_header))
        return fail(why, "elf: no program headers of the known size");
    if (!within(elf, h.segment_offset, (uint64_t)h.segments * sizeof(struct segment_header)))
        return fail(why, "elf: program headers lie outside the image");
    if (h.sections &&
        (h.section_size != sizeof(struct section_header) ||
         !within(elf, h.section_offset, (uint64_t)h.sections * sizeof(struct section_header))))
        return fail(why, "elf: section headers lie outside the image");
    elf->entry = h.entry;
    elf->segments = h.segments;
    elf->segment_table = elf->image + h.segment_offset;
    elf->sections = h.sections;
    elf->section_table = h.sections ? elf->image + h.section_offset : NULL;
    rc = check_segments(elf, why);
    return rc ? rc : check_sections(elf, why);
}

bool elf_load_next(const struct elf *elf, unsigned int *i, struct elf_segment *out)
{
    while (*i < elf->segments) {
        struct segment_header s = get_segment(elf, (*i)++);

        if (s.type != SEGMENT_LOAD || s.mem_size == 0)
            continue;
        *out = (struct elf_segment){
            .data = elf->image + s.offset,
            .file_size = s.file_size,
            .mem_size = s.mem_size,
            .vaddr = s.vaddr,
            .paddr = s.paddr,
            .writable = s.flags & SEGMENT_W,
            .executable = s.flags & SEGMENT_X,
        };
        return true;
    }
    return false;
}

bool elf_load_bounds(const struct elf *elf, uint64_t *first, uint64_t *end)
{
    struct elf_segment s;
    unsigned int i = 0;
    bool any = false;

    while (elf_load_next(elf, &i, &s)) {
        *first = any ? min(*first, s.paddr) : s.paddr;
        *end = any ? max(*end, s.paddr + s.mem_size) : s.paddr + s.mem_size;
        any = true;
    }
    return any;
}

void elf_notes_begin(struct elf_note_walk *walk, const struct elf *elf, bool sections)
{
    *walk = (struct elf_note_walk){.elf = elf, .sections = sections};
}

/* Notes are padded to 4 bytes, but to 8 in a segment that is itself so aligned. */
static uint8_t note_align(uint64_t align)
{
    return align == 8 ? 8 : 4;
}

/* Moves the walk to the next segment or section of notes. */
static bool next_container(struct elf_note_walk *w)
{
    const struct elf *elf = w->elf;

    while (w->next < (w->sections ? elf->sections : elf->segments)) {
        unsigned int i = w->next++;

        if (w->sections) {
            struct section_header s = get_section(elf, i);

            if (s.type != SECTION_NOTE)
                continue;
            w->p = elf->image + s.offset;
            w->end = w->p + s.size;
            w->align = note_align(s.align);
        } else {
            struct segment_header s = get_segment(elf, i);

            if (s.type != SEGMENT_NOTE)
                continue;
            w->p = elf->image + s.offset;
            w->end = w->p + s.file_size;
            w->align = note_align(s.align);
        }
        return true;
    }
    return false;
}

bool elf_notes_next(struct elf_note_walk *w, struct elf_note *out)
{
    for (;;) {
        struct note_header h;
        uint64_t left = (uint64_t)(w->end - w->p), desc, end;

        if (left < sizeof(h)) {
            if (!next_container(w))
                return false;
            continue;
        }
        memcpy(&h, w->p, sizeof(h));
        desc = ROUND_UP(sizeof(h) + (uint64_t)h.name_len, w->align);
        end = desc + h.desc_len;
        if (end > left) {
            w->p = w->end;
            continue;
        }
        *out = (struct elf_note){
            .name = (const char *)w->p + sizeof(h),
            .name_len = h.name_len,
            .type = h.type,
            .desc = w->p + desc,
            .desc_len = h.desc_len,
        };
        w->p += min(ROUND_UP(end, (uint64_t)w->align), left);
        return true;
    }
}
