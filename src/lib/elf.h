/* SPDX-License-Identifier: MIT */
/*
 * Reading of untrusted ELF64 images for x86-64: System V ABI, chapter 4 "Object Files" and its
 * AMD64 supplement. elf_open() checks everything once; what the other functions hand out lies
 * within the image. The image need not be aligned.
 */
#pragma once

#include "lib/types.h"

struct elf {
    const uint8_t *image;
    size_t size;
    uint64_t entry; /* virtual address */
    uint16_t segments, sections;
    const uint8_t *segment_table, *section_table; /* within the image, of entries as in elf.c */
};

/* A PT_LOAD segment. data[file_size], then zeros to mem_size. No sum of these overflows. */
struct elf_segment {
    const uint8_t *data;
    uint64_t file_size, mem_size;
    uint64_t vaddr, paddr;
    bool writable, executable;
};

/* A note. The name is not terminated and name_len counts its NUL if it has one. */
struct elf_note {
    const char *name;
    uint32_t name_len;
    uint32_t type;
    const uint8_t *desc;
    uint32_t desc_len;
};

/* Where a walk over notes is; private to elf.c. */
struct elf_note_walk {
    const struct elf *elf;
    const uint8_t *p, *end;
    unsigned int next;
    bool sections;
    uint8_t align;
};

/*
 * Checks the image: header, tables, and that the contents of every loaded segment and every note
 * lie within it. -ENOEXEC with the reason in *why. The image has to stay while elf is used.
 */
int must_check elf_open(struct elf *elf, const void *image, size_t size, const char **why);

/*
 * The next PT_LOAD segment at or after index *i, which moves behind it; start with 0. False when
 * there are no more.
 */
bool elf_load_next(const struct elf *elf, unsigned int *i, struct elf_segment *out);

/* The lowest and the end address of all PT_LOAD segments, physical. False if there are none. */
bool elf_load_bounds(const struct elf *elf, uint64_t *first, uint64_t *end);

/*
 * Walks over all notes, of the PT_NOTE segments or of the SHT_NOTE sections. A note that runs out
 * of its segment ends that segment.
 */
void elf_notes_begin(struct elf_note_walk *walk, const struct elf *elf, bool sections);
bool elf_notes_next(struct elf_note_walk *walk, struct elf_note *out);
