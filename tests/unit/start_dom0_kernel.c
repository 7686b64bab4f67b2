/* SPDX-License-Identifier: MIT */
/* start/dom0_kernel: a module that is a kernel for us, and each way in which it may be none; all
 * end in one clear line. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <xen/elfnote.h>
#include <xen/features.h>

#include "dom0_fixture.h"

#define AT    0x200000u /* where the loader left it */
#define NOTES 0x200u

static struct boot_module module;
static uint32_t notes_len;

static uint8_t *file(void)
{
    return host_ram(AT);
}

static void put_note(uint32_t type, const void *desc, uint32_t len)
{
    Elf64_Nhdr h = {4, len, type};
    uint8_t *p = file() + NOTES + notes_len;

    memcpy(p, &h, sizeof(h));
    memcpy(p + sizeof(h), "Xen", 4);
    memcpy(p + sizeof(h) + 4, desc, len);
    notes_len += (uint32_t)sizeof(h) + 4 + ROUND_UP(len, 4u);
}

static void put_number(uint32_t type, uint64_t v)
{
    put_note(type, &v, 8);
}

static void begin(void)
{
    fix_machine(16);
    fix_elf(file(), 0xffffffff81000000, 0x1000000, 0x2000);
    notes_len = 0;
    module = (struct boot_module){.start = AT, .end = AT + 0x1000, .cmdline = ""};
    b->kernel = &module;
}

static void end(void)
{
    Elf64_Phdr p = {.p_type = PT_NOTE, .p_offset = NOTES, .p_filesz = notes_len, .p_align = 4};

    memcpy(file() + sizeof(Elf64_Ehdr) + sizeof(p), &p, sizeof(p));
    ((Elf64_Ehdr *)(void *)file())->e_phnum = 2;
}

static void begin_good(void)
{
    begin();
    put_note(XEN_ELFNOTE_GUEST_OS, "linux", 6);
    put_number(XEN_ELFNOTE_VIRT_BASE, 0xffffffff80000000);
    put_number(XEN_ELFNOTE_ENTRY, 0xffffffff81000000);
}

static void refused(const char *why)
{
    const char *text;

    assert_true(host_panics(dom0_load_kernel(b)));
    text = host_log();
    if (!strstr(text, why))
        fail_msg("\"%s\" is not in: %s", why, text);
}

static void good(void **state)
{
    begin_good();
    end();
    dom0_load_kernel(b);
    assert_false(b->image_owned);
    assert_ptr_equal(b->image, file());
    assert_int_equal(b->notes.entry, 0xffffffff81000000);
    assert_int_equal(b->notes.virt_base, 0xffffffff80000000);
    assert_string_equal(host_log(), "");
}

static void another_system(void **state)
{
    begin_good();
    put_note(XEN_ELFNOTE_GUEST_OS, "mini-os", 8);
    end();
    dom0_load_kernel(b);
    assert_true(fix_logged("not Linux but \"mini-os\""));
}

static void no_kernel(void **state)
{
    begin();
    memset(file(), 0, 0x1000);
    refused("is none");
    begin_good();
    end();
    for (uint64_t len = 0; len < 0x440; len++) { /* cut anywhere */
        module.end = AT + len;
        assert_true(host_panics(dom0_load_kernel(b)));
    }
    host_log();
}

static void notes(void **state)
{
    begin();
    refused("no Xen notes");
    begin();
    put_note(XEN_ELFNOTE_GUEST_OS, "linux", 6);
    end();
    refused("no Xen entry point");
    begin_good();
    put_note(XEN_ELFNOTE_PAE_MODE, "no", 3);
    end();
    refused("page tables");
    begin_good();
    put_number(XEN_ELFNOTE_HV_START_LOW, HV_VA_START + 1);
    end();
    refused("addresses that are Argon's");
    begin_good();
    put_number(XEN_ELFNOTE_HV_START_LOW, HV_VA_START);
    end();
    dom0_load_kernel(b);
    begin_good();
    put_note(XEN_ELFNOTE_FEATURES, "auto_translated_physmap", 24);
    end();
    dom0_load_kernel(b); /* supported only */
    begin_good();
    put_note(XEN_ELFNOTE_FEATURES, "!auto_translated_physmap", 25);
    end();
    refused("requires features");
    begin_good();
    put_note(XEN_ELFNOTE_FEATURES, "!of_the_future", 15);
    end();
    refused("cannot run here");
    begin_good();
    put_note(XEN_ELFNOTE_FEATURES, "!writable_page_tables|pae_pgdir_above_4gb", 42);
    end();
    dom0_load_kernel(b); /* as Linux says */
}

/* Compressed kernels: the payload's place is in the boot protocol's header. */
static void bzimage(const void *payload, uint32_t len)
{
    uint8_t *h;

    begin();
    h = file();
    memset(h, 0, 0x1000);
    h[0x1f1] = 1; /* one sector of setup code behind the first */
    h[0x1fe] = 0x55;
    h[0x1ff] = 0xaa;
    memcpy(h + 0x202, "HdrS", 4);
    h[0x206] = 0x0d;
    h[0x207] = 0x02;
    h[0x211] = 1;               /* loaded high */
    memcpy(h + 0x24c, &len, 4); /* payload_offset 0 */
    memcpy(h + 0x400, payload, len);
    module.end = AT + 0x400 + len;
}

static void damaged_bzimage(void **state)
{
    static const uint8_t gzip[] = {0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0,
                                   3,    7,    7, 7, 7, 7, 7, 7, 7, /* nonsense and a sum */
                                   0,    0x20, 0, 0};
    uint8_t vast[sizeof(gzip)];
    uint64_t free_frames;

    bzimage(gzip, sizeof(gzip));
    free_frames = buddy_free_frames();
    refused("cannot be decompressed");
    assert_int_equal(buddy_free_frames(), free_frames - 2); /* 0x2000 bytes, the size it claims */
    memcpy(vast, gzip, sizeof(gzip));
    memcpy(vast + sizeof(gzip) - 4, "\0\0\0\x10", 4); /* 256 MiB: more than there is */
    bzimage(vast, sizeof(vast));
    refused("too little memory to decompress");
    memcpy(vast + sizeof(gzip) - 4, "\0\0\0\xf0", 4);
    bzimage(vast, sizeof(vast));
    refused("it is damaged");
    bzimage("not any compression there is", 28);
    refused("is none");
}

static noinline bool loads(void)
{
    return !host_panics(dom0_load_kernel(b));
}

static void by_chance(void **state)
{
    uint32_t seed = 1;
    unsigned good_ones = 0;

    for (unsigned round = 0; round < 500; round++) {
        begin_good();
        end();
        for (unsigned i = 0; i < 3; i++) {
            seed = seed * 1664525 + 1013904223;
            file()[(seed >> 8) % 0x2a0] = (uint8_t)(seed >> 24);
        }
        good_ones += loads();
    }
    assert_true(good_ones > 0 && good_ones < 500);
    host_log();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good),  cmocka_unit_test(another_system),  cmocka_unit_test(no_kernel),
        cmocka_unit_test(notes), cmocka_unit_test(damaged_bzimage), cmocka_unit_test(by_chance),
    };

    return cmocka_run_group_tests_name("start_dom0_kernel", tests, NULL, NULL);
}
