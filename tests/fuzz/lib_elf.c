/* SPDX-License-Identifier: MIT */
/* An arbitrary image as a kernel: every byte that is handed out must be readable. */
#include <stdlib.h>
#include <string.h>

#include "lib/bzimage.h"
#include "lib/elfnote.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static volatile uint8_t sum;

static void touch(const uint8_t *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        sum += p[i];
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct elf elf;
    struct elf_segment s;
    struct elf_note note;
    struct elf_note_walk walk;
    struct xen_notes notes;
    const char *why = NULL;
    unsigned int i = 0;
    uint64_t first = 0, end = 0;

    if (elf_open(&elf, data, size, &why)) {
        if (!why)
            abort();
        return 0;
    }
    while (elf_load_next(&elf, &i, &s)) {
        touch(s.data, s.file_size);
        if (s.file_size > s.mem_size || s.paddr + s.mem_size < s.paddr)
            abort();
    }
    if (elf_load_bounds(&elf, &first, &end) && first >= end)
        abort();
    for (int sections = 0; sections < 2; sections++) {
        elf_notes_begin(&walk, &elf, sections);
        while (elf_notes_next(&walk, &note)) {
            touch((const uint8_t *)note.name, note.name_len);
            touch(note.desc, note.desc_len);
        }
    }
    if (xen_notes_collect(&elf, &notes, &why) == 0) {
        if (strlen(notes.guest_os) > 15 || strlen(notes.loader) > 15 ||
            notes.features_required & ~notes.features_supported)
            abort();
    } else if (!why) {
        abort();
    }
    return 0;
}
