/* SPDX-License-Identifier: MIT */
/*
 * lib/elf.c and lib/elfnote.c: an image with the notes of a Linux kernel, each way in which a
 * field can be wrong, and random damage (the sanitizers judge).
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <elf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <xen/elfnote.h>
#include <xen/features.h>

#include "lib/elfnote.h"

#define NOTES 256  /* offset of the notes */
#define TEXT  1024 /* offset of the code */
#define SIZE  1100

/* The image under test; `used` bytes of it exist. */
static uint8_t image[SIZE];
static size_t notes_len;

static void put_note(const char *name, uint32_t type, const void *desc, uint32_t desc_len)
{
    uint32_t name_len = (uint32_t)strlen(name) + 1;
    Elf64_Nhdr h = {name_len, desc_len, type};
    uint8_t *p = image + NOTES + notes_len;

    memcpy(p, &h, sizeof(h));
    memcpy(p + sizeof(h), name, name_len);
    p += sizeof(h) + ((name_len + 3) & ~3u);
    memcpy(p, desc, desc_len);
    notes_len = (size_t)(p - image - NOTES) + ((desc_len + 3) & ~3u);
}

static void put_number(uint32_t type, uint64_t v, uint32_t len)
{
    put_note("Xen", type, &v, len);
}

static void put_text(uint32_t type, const char *s)
{
    put_note("Xen", type, s, (uint32_t)strlen(s) + 1);
}

static Elf64_Ehdr *header(void)
{
    return (Elf64_Ehdr *)(void *)image;
}

static Elf64_Phdr *segment(int i)
{
    return (Elf64_Phdr *)(void *)(image + sizeof(Elf64_Ehdr)) + i;
}

/* Headers for one loaded segment and one of notes, whose contents follow by put_note(). */
static void start_image(void)
{
    memset(image, 0, sizeof(image));
    notes_len = 0;
    *header() = (Elf64_Ehdr){
        .e_ident = {0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, EV_CURRENT},
        .e_type = ET_EXEC,
        .e_machine = EM_X86_64,
        .e_version = 1,
        .e_entry = 0x1234,
        .e_phoff = sizeof(Elf64_Ehdr),
        .e_phentsize = sizeof(Elf64_Phdr),
        .e_phnum = 2,
    };
    *segment(0) = (Elf64_Phdr){
        .p_type = PT_LOAD,
        .p_flags = PF_R | PF_X,
        .p_offset = TEXT,
        .p_vaddr = 0xffffffff81000000,
        .p_paddr = 0x1000000,
        .p_filesz = SIZE - TEXT,
        .p_memsz = 0x2000,
    };
    *segment(1) = (Elf64_Phdr){.p_type = PT_NOTE, .p_offset = NOTES, .p_align = 4};
}

static void end_image(void)
{
    segment(1)->p_filesz = notes_len;
}

static void linux_image(void)
{
    uint64_t valid[2] = {1, 1};

    start_image();
    put_note("GNU", 3, "buildid", 7);
    put_text(XEN_ELFNOTE_GUEST_OS, "linux");
    put_text(XEN_ELFNOTE_GUEST_VERSION, "2.6");
    put_text(XEN_ELFNOTE_XEN_VERSION, "xen-3.0");
    put_number(XEN_ELFNOTE_VIRT_BASE, 0xffffffff80000000, 8);
    put_number(XEN_ELFNOTE_INIT_P2M, 0x8000000000, 8);
    put_number(XEN_ELFNOTE_ENTRY, 0xffffffff830791c0, 8);
    put_text(XEN_ELFNOTE_FEATURES, "!writable_page_tables|pae_pgdir_above_4gb|of_the_future");
    put_number(XEN_ELFNOTE_SUPPORTED_FEATURES, 0x8801, 4);
    put_text(XEN_ELFNOTE_PAE_MODE, "yes");
    put_text(XEN_ELFNOTE_LOADER, "generic");
    put_note("Xen", XEN_ELFNOTE_L1_MFN_VALID, valid, sizeof(valid));
    put_number(XEN_ELFNOTE_SUSPEND_CANCEL, 1, 4);
    put_number(XEN_ELFNOTE_MOD_START_PFN, 1, 8);
    put_number(XEN_ELFNOTE_HV_START_LOW, 0xffff800000000000, 8);
    put_number(XEN_ELFNOTE_PADDR_OFFSET, 0, 8);
    put_number(XEN_ELFNOTE_PHYS32_ENTRY, 0x1000850, 4);
    end_image();
}

/* Opens a copy of exactly `size` bytes, so that a read beyond it is caught. */
static int collect(size_t size, struct xen_notes *x, const char **why)
{
    uint8_t *copy = malloc(size ? size : 1);
    struct elf elf;
    uint64_t first, end;
    int rc;

    *why = NULL;
    memcpy(copy, image, size);
    rc = elf_open(&elf, copy, size, why);
    if (!rc) {
        struct elf_segment s;
        unsigned int i = 0;
        volatile uint8_t sum = 0;

        while (elf_load_next(&elf, &i, &s))
            for (uint64_t k = 0; k < s.file_size; k++)
                sum += s.data[k];
        elf_load_bounds(&elf, &first, &end);
        rc = xen_notes_collect(&elf, x, why);
    }
    free(copy);
    return rc;
}

static void expect_linux_notes(const struct xen_notes *x)
{
    assert_int_equal(x->entry, 0xffffffff830791c0);
    assert_true(x->has_entry && x->has_virt_base && x->has_init_p2m && x->has_hv_start_low);
    assert_int_equal(x->virt_base, 0xffffffff80000000);
    assert_int_equal(x->init_p2m, 0x8000000000);
    assert_int_equal(x->hv_start_low, 0xffff800000000000);
    assert_int_equal(x->paddr_offset, 0);
    assert_true(x->has_phys32_entry);
    assert_int_equal(x->phys32_entry, 0x1000850);
    assert_false(x->has_hypercall_page);
    assert_true(x->mod_start_pfn && x->suspend_cancel && !x->bsd_symtab);
    assert_int_equal(x->pae_mode, XEN_PAE_YES);
    assert_int_equal(x->l1_mfn_valid_mask, 1);
    assert_int_equal(x->l1_mfn_valid_value, 1);
    assert_int_equal(x->features_required, 1u << XENFEAT_writable_page_tables);
    assert_int_equal(x->features_supported, 0x8801 | 1u << XENFEAT_pae_pgdir_above_4gb);
    assert_string_equal(x->guest_os, "linux");
    assert_string_equal(x->guest_version, "2.6");
    assert_string_equal(x->xen_version, "xen-3.0");
    assert_string_equal(x->loader, "generic");
    assert_false(x->present & 1u << XEN_ELFNOTE_HYPERCALL_PAGE);
    assert_true(x->present & 1u << XEN_ELFNOTE_PADDR_OFFSET);
}

static void linux_notes(void **state)
{
    struct xen_notes x;
    const char *why;

    linux_image();
    assert_int_equal(collect(SIZE, &x, &why), 0);
    expect_linux_notes(&x);
}

static void notes_in_sections(void **state)
{
    struct xen_notes x;
    const char *why;
    Elf64_Shdr s = {.sh_type = SHT_NOTE, .sh_offset = NOTES};

    linux_image();
    segment(1)->p_type = PT_NULL;
    s.sh_size = notes_len;
    assert_int_equal(collect(SIZE, &x, &why), -ENOENT);
    header()->e_shnum = 1;
    header()->e_shoff = 900;
    header()->e_shentsize = sizeof(s);
    memcpy(image + 900, &s, sizeof(s));
    assert_int_equal(collect(SIZE, &x, &why), 0);
    expect_linux_notes(&x);
    header()->e_shoff = SIZE - sizeof(s) + 1;
    assert_int_equal(collect(SIZE, &x, &why), -ENOEXEC);
    assert_string_equal(why, "elf: section headers lie outside the image");
}

static void segments(void **state)
{
    struct elf elf;
    struct elf_segment s;
    unsigned int i = 0;
    uint64_t first, end;
    const char *why;

    linux_image();
    segment(1)->p_type = PT_LOAD;
    segment(1)->p_paddr = 0x800000;
    segment(1)->p_memsz = 0x10000;
    segment(1)->p_flags = PF_R | PF_W;
    assert_int_equal(elf_open(&elf, image, SIZE, &why), 0);
    assert_int_equal(elf.entry, 0x1234);
    assert_true(elf_load_next(&elf, &i, &s));
    assert_ptr_equal(s.data, image + TEXT);
    assert_int_equal(s.file_size, SIZE - TEXT);
    assert_int_equal(s.mem_size, 0x2000);
    assert_true(s.executable && !s.writable);
    assert_true(elf_load_next(&elf, &i, &s));
    assert_true(s.writable && !s.executable);
    assert_false(elf_load_next(&elf, &i, &s));
    assert_true(elf_load_bounds(&elf, &first, &end));
    assert_int_equal(first, 0x800000);
    assert_int_equal(end, 0x1002000);
}

static void expect_refused(const char *reason)
{
    struct xen_notes x;
    const char *why;

    assert_int_equal(collect(SIZE, &x, &why), -ENOEXEC);
    assert_string_equal(why, reason);
    linux_image();
}

static void bad_headers(void **state)
{
    linux_image();
    header()->e_ident[1] = 'e';
    expect_refused("elf: no ELF magic");
    header()->e_ident[EI_CLASS] = ELFCLASS32;
    expect_refused("elf: 32-bit image");
    header()->e_ident[EI_DATA] = ELFDATA2MSB;
    expect_refused("elf: not a little-endian ELF64 image of version 1");
    header()->e_machine = EM_386;
    expect_refused("elf: not for x86-64");
    header()->e_type = ET_REL;
    expect_refused("elf: not executable");
    header()->e_phentsize = 32;
    expect_refused("elf: no program headers of the known size");
    header()->e_phnum = 65535;
    expect_refused("elf: program headers lie outside the image");
    header()->e_phoff = ~0ull - 50;
    expect_refused("elf: program headers lie outside the image");
    segment(0)->p_filesz++;
    expect_refused("elf: segment lies outside the image");
    segment(0)->p_offset = ~0ull;
    expect_refused("elf: segment lies outside the image");
    segment(1)->p_filesz = SIZE;
    expect_refused("elf: segment lies outside the image");
    segment(0)->p_memsz = 1;
    expect_refused("elf: segment is larger in the image than in memory");
    segment(0)->p_paddr = ~0ull - 0x1000;
    expect_refused("elf: segment wraps round the address space");
    segment(0)->p_vaddr = ~0ull - 0x1000;
    expect_refused("elf: segment wraps round the address space");
}

static void segment_that_ends_at_the_top_is_good(void **state)
{
    struct xen_notes x;
    const char *why;

    linux_image();
    segment(0)->p_vaddr = -0x2000ull;
    assert_int_equal(collect(SIZE, &x, &why), 0);
}

static void bad_notes(void **state)
{
    struct xen_notes x;
    const char *why;

    start_image();
    put_number(XEN_ELFNOTE_ENTRY, 1, 2);
    end_image();
    assert_int_equal(collect(SIZE, &x, &why), -EINVAL);

    start_image();
    put_text(XEN_ELFNOTE_FEATURES, "dom0|!of_the_future");
    end_image();
    assert_int_equal(collect(SIZE, &x, &why), -EOPNOTSUPP);

    start_image();
    put_text(XEN_ELFNOTE_GUEST_OS, "a name of more than fifteen bytes");
    put_note("Xen", XEN_ELFNOTE_LOADER, "", 0);
    put_note("Xen", XEN_ELFNOTE_L1_MFN_VALID, "12345678", 8);
    put_note("Xen", XEN_ELFNOTE_FEATURES, "!dom0||x", 5); /* not terminated */
    put_number(77, 1, 4);
    end_image();
    segment(1)->p_filesz += 8; /* trailing bytes are no note */
    assert_int_equal(collect(SIZE, &x, &why), 0);
    assert_string_equal(x.guest_os, "a name of more ");
    assert_int_equal(x.features_required, 1u << XENFEAT_dom0);
    assert_int_equal(x.l1_mfn_valid_mask, 0);
}

static void truncated_anywhere(void **state)
{
    struct xen_notes x;
    const char *why;

    linux_image();
    for (size_t n = 0; n < SIZE; n++) {
        assert_int_equal(collect(n, &x, &why), -ENOEXEC);
        assert_non_null(why);
    }
    /* Notes cut at any byte: what is whole before the cut is found. */
    for (size_t n = notes_len; n-- > 0;) {
        segment(1)->p_filesz = n;
        if (collect(SIZE, &x, &why))
            assert_true(n < 64);
    }
}

static void random_damage(void **state)
{
    for (int i = 0; i < 20000; i++) {
        struct xen_notes x;
        const char *why;

        linux_image();
        header()->e_shnum = 1;
        header()->e_shoff = 900;
        header()->e_shentsize = sizeof(Elf64_Shdr);
        memcpy(image + 900, &(Elf64_Shdr){.sh_type = SHT_NOTE, .sh_offset = NOTES, .sh_size = 64},
               sizeof(Elf64_Shdr));
        for (int k = rand() % 4; k >= 0; k--) {
            size_t at = (size_t)rand() % 1000;

            image[at] = rand() & 1 ? (uint8_t)rand() : image[at] ^ (uint8_t)(1u << (rand() & 7));
        }
        if (collect(SIZE, &x, &why))
            assert_non_null(why);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(linux_notes),
        cmocka_unit_test(notes_in_sections),
        cmocka_unit_test(segments),
        cmocka_unit_test(bad_headers),
        cmocka_unit_test(segment_that_ends_at_the_top_is_good),
        cmocka_unit_test(bad_notes),
        cmocka_unit_test(truncated_anywhere),
        cmocka_unit_test(random_damage),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
