/* SPDX-License-Identifier: MIT */
/* boot/multiboot: what both kinds of loader leave, true and lying. Loader memory is the simulated
 * RAM; lying lengths end in a line of the log, never in an endless loop or beyond 4 GiB. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "machine.h"
#include "boot/boot.h"
#include "boot/boot_info.h"
#include "boot/multiboot.h"

#define INFO    0x10000u
#define MODS    0x11000u
#define MAP     0x12000u
#define STRINGS 0x40000u

static uint32_t strings_at, tags_at;

static int fresh(void **state)
{
    host_machine_init(64 << 20, 1);
    host_log();
    strings_at = STRINGS;
    tags_at = INFO + sizeof(struct mb2_info);
    return 0;
}

static uint32_t put_string(const char *s)
{
    uint32_t at = strings_at;

    strcpy(host_ram(at), s);
    strings_at += (uint32_t)strlen(s) + 1;
    return at;
}

static bool logged(const char *what)
{
    return strstr(host_log(), what) != NULL;
}

/* ---- Multiboot 1 ---- */

static struct mb1_info *mb1(void)
{
    return host_ram(INFO);
}

static void mb1_module(uint32_t start, uint32_t end, const char *line)
{
    struct mb1_module *m = host_ram(MODS);

    mb1()->flags |= MB1_INFO_MODULES;
    mb1()->mods_addr = MODS;
    m[mb1()->mods_count++] = (struct mb1_module){start, end, line ? put_string(line) : 0, 0};
}

static void mb1_range(uint64_t addr, uint64_t len, uint32_t type)
{
    struct mb1_memory *e = host_ram(MAP + mb1()->mmap_length);

    mb1()->flags |= MB1_INFO_MEMORY_MAP;
    mb1()->mmap_addr = MAP;
    *e = (struct mb1_memory){20, addr, len, type};
    mb1()->mmap_length += sizeof(*e);
}

static void mb1_all(void **state)
{
    mb1()->flags = MB1_INFO_CMDLINE | MB1_INFO_LOADER | MB1_INFO_FRAMEBUFFER;
    mb1()->cmdline = put_string("/boot/argon.gz  com1=115200 -- quiet");
    mb1()->loader_name = put_string("qemu");
    mb1_module(0x100000, 0x200000, "/boot/vmlinuz root=/dev/sda1 ro");
    mb1_module(0x200000, 0x1ff000, "initrd");
    mb1_module(0x300000, 0x301000, NULL);
    mb1_range(0x100000, 0x100000, BOOT_RAM);
    mb1_range(0, 0xa0000, BOOT_RAM);
    mb1()->framebuffer_addr = 0x1fd000000;
    mb1()->framebuffer_pitch = 4096;
    mb1()->framebuffer_width = 1024;
    mb1()->framebuffer_height = 768;
    mb1()->framebuffer_bpp = 32;
    mb1()->framebuffer_type = MB_FRAMEBUFFER_RGB;
    memcpy(mb1()->color_info, "\x10\x08\x08\x07\x00\x06", 6);
    boot_read(MB1_BOOT_MAGIC, INFO);

    assert_string_equal(boot_info.loader, "qemu");
    assert_false(boot_info.multiboot2);
    assert_string_equal(boot_info.cmdline, "com1=115200 -- quiet");
    assert_int_equal(boot_info.nr_modules, 3);
    assert_string_equal(boot_info.module[0].cmdline, "root=/dev/sda1 ro");
    assert_int_equal(boot_info.module[0].start, 0x100000);
    assert_int_equal(boot_info.module[0].end, 0x200000);
    assert_int_equal(boot_info.module[1].end, 0x200000); /* not below its start */
    assert_string_equal(boot_info.module[1].cmdline, "");
    assert_string_equal(boot_info.module[2].cmdline, "");
    assert_int_equal(boot_info.nr_memory, 2);
    assert_int_equal(boot_info.memory[1].end, 0x200000);
    assert_int_equal(boot_info.framebuffer.base, 0x1fd000000);
    assert_int_equal(boot_info.framebuffer.width, 1024);
    assert_int_equal(boot_info.framebuffer.red_pos, 16);
    assert_int_equal(boot_info.framebuffer.blue_size, 6);
    assert_string_equal(host_log(), "");
}

/* Fields whose flag is not set are not looked at, whatever is in them. */
static void mb1_no_flags(void **state)
{
    memset(mb1(), 0xff, sizeof(struct mb1_info));
    mb1()->flags = 0;
    boot_read(MB1_BOOT_MAGIC, INFO);
    assert_string_equal(boot_info.loader, "an unnamed loader");
    assert_string_equal(boot_info.cmdline, "");
    assert_int_equal(boot_info.nr_modules, 0);
    assert_int_equal(boot_info.nr_memory, 0);
    assert_int_equal(boot_info.framebuffer.base, 0);
}

static void mb1_text_screen(void **state)
{
    mb1()->flags = MB1_INFO_FRAMEBUFFER;
    mb1()->framebuffer_addr = 0xb8000;
    mb1()->framebuffer_type = 2;
    boot_read(MB1_BOOT_MAGIC, INFO);
    assert_int_equal(boot_info.framebuffer.base, 0);
}

static void mb1_four_billion_modules(void **state)
{
    for (unsigned i = 0; i < 12; i++)
        mb1_module(i << 20, (i + 1) << 20, "kernel x");
    mb1()->mods_count = ~0u;
    boot_read(MB1_BOOT_MAGIC, INFO);
    assert_int_equal(boot_info.nr_modules, BOOT_MODULES);
    assert_int_equal(boot_info.module[7].start, 7 << 20);
    assert_true(logged("more than 8 modules"));
    /* The list runs out of the loader's memory. */
    mb1()->mods_addr = ~0u - 3;
    boot_read(MB1_BOOT_MAGIC, INFO);
    assert_int_equal(boot_info.nr_modules, 0);
}

static void mb1_map_lies(void **state)
{
    struct mb1_memory *e = host_ram(MAP);

    /* Longer entries than ours are stepped over. */
    mb1_range(0, 0xa0000, BOOT_RAM);
    mb1_range(0, 0, 0);
    e->size = 24;
    *(struct mb1_memory *)(void *)((char *)e + 28) =
        (struct mb1_memory){20, 0x100000, 0x1000, BOOT_RAM};
    mb1()->mmap_length = 28 + 24;
    boot_read(MB1_BOOT_MAGIC, INFO);
    assert_int_equal(boot_info.nr_memory, 2);
    /* An entry that is too short says nothing, and where the next one is neither. */
    e->size = 4;
    boot_read(MB1_BOOT_MAGIC, INFO);
    assert_int_equal(boot_info.nr_memory, 0);
    assert_true(logged("entry of 4 bytes"));
    /* Half an entry at the end. */
    e->size = 20;
    mb1()->mmap_length = 23;
    boot_read(MB1_BOOT_MAGIC, INFO);
    assert_int_equal(boot_info.nr_memory, 0);
    /* Size and length of 4 GiB. */
    e->size = ~0u;
    mb1()->mmap_length = ~0u;
    boot_read(MB1_BOOT_MAGIC, INFO);
    assert_int_equal(boot_info.nr_memory, 1);
}

static void long_strings(void **state)
{
    static char text[BOOT_CMDLINE + 100];

    memset(text, 'a', sizeof(text) - 1);
    text[4] = ' ';
    mb1()->flags = MB1_INFO_CMDLINE;
    mb1()->cmdline = put_string(text);
    boot_read(MB1_BOOT_MAGIC, INFO);
    assert_int_equal(strlen(boot_info.cmdline), BOOT_CMDLINE - 1);
    assert_true(logged("the command line is longer than 2047 bytes"));
    text[5 + BOOT_CMDLINE - 1] = 0; /* exactly as long as may be */
    mb1()->cmdline = put_string(text);
    boot_read(MB1_BOOT_MAGIC, INFO);
    assert_int_equal(strlen(boot_info.cmdline), BOOT_CMDLINE - 1);
    assert_string_equal(host_log(), "");
    /* Modules whose strings do not fit all. */
    for (unsigned i = 0; i < 5; i++)
        mb1_module(i << 20, (i + 1) << 20, text);
    boot_read(MB1_BOOT_MAGIC, INFO);
    assert_int_equal(boot_info.nr_modules, 5);
    for (unsigned i = 0; i < 4; i++)
        assert_int_equal(strlen(boot_info.module[i].cmdline), BOOT_CMDLINE - 1);
    assert_string_equal(boot_info.module[4].cmdline, "");
    assert_true(logged("no room for the string"));
    /* A string without an end. */
    memset(host_ram(0x100000), 'b', 0x10000);
    mb1()->loader_name = 0x100000;
    mb1()->flags |= MB1_INFO_LOADER;
    boot_read(MB1_BOOT_MAGIC, INFO);
    assert_string_equal(boot_info.loader, "");
    assert_int_equal(strlen(boot_info.module[0].cmdline), BOOT_CMDLINE - 1);
}

/* ---- Multiboot 2 ---- */

static struct mb2_info *mb2(void)
{
    return host_ram(INFO);
}

/* A tag of `len` bytes behind its head, and the end tag behind it. */
static struct mb2_tag *put_tag(uint32_t type, const void *body, uint32_t len)
{
    struct mb2_tag *t = host_ram(tags_at), *end;

    *t = (struct mb2_tag){type, (uint32_t)sizeof(*t) + len};
    memcpy(t + 1, body, len);
    tags_at += ROUND_UP(t->size, 8u);
    end = host_ram(tags_at);
    *end = (struct mb2_tag){MB2_TAG_END, 8};
    mb2()->total_size = tags_at + 8 - INFO;
    return t;
}

static struct mb2_tag *put_module(uint32_t start, uint32_t end, const char *line)
{
    uint8_t body[512];
    uint32_t len = (uint32_t)strlen(line) + 1;

    memcpy(body, &start, 4);
    memcpy(body + 4, &end, 4);
    memcpy(body + 8, line, len);
    return put_tag(MB2_TAG_MODULE, body, 8 + len);
}

static struct mb2_mmap *put_map(unsigned n, uint32_t entry_size)
{
    static uint8_t body[4096];
    struct mb2_mmap *map;

    memset(body, 0, sizeof(body));
    for (unsigned i = 0; i < n; i++) {
        struct mb2_mmap_entry e = {0x100000 * (uint64_t)i, 0x1000, BOOT_RAM, 0};

        memcpy(body + 8 + i * entry_size, &e, sizeof(e));
    }
    map = (void *)put_tag(MB2_TAG_MMAP, body, 8 + n * entry_size);
    map->entry_size = entry_size;
    return map;
}

static void mb2_all(void **state)
{
    struct mb2_framebuffer fb = {.addr = 0xc0000000,
                                 .pitch = 3200,
                                 .width = 800,
                                 .height = 600,
                                 .bpp = 32,
                                 .type = MB_FRAMEBUFFER_RGB,
                                 .color_info = {16, 8, 8, 8, 0, 8}};
    uint64_t efi = 0x7f00ba98;
    char rsdp[36] = "RSD PTR ";

    put_tag(MB2_TAG_CMDLINE, "console=vga", 12);
    put_tag(MB2_TAG_LOADER, "GRUB 2.06", 10);
    put_tag(99, "what the future brings", 23);
    put_module(0x1000000, 0x1800000, "kernel of mine");
    put_map(3, 24);
    put_tag(MB2_TAG_FRAMEBUFFER, &fb.addr, sizeof(fb) - sizeof(fb.tag));
    put_tag(MB2_TAG_EFI64, &efi, 8);
    rsdp[8] = 2;
    put_tag(MB2_TAG_ACPI_NEW, rsdp, 36);
    rsdp[8] = 1;
    put_tag(MB2_TAG_ACPI_OLD, rsdp, 20); /* does not replace the new one */
    boot_read(MB2_BOOT_MAGIC, INFO);

    assert_true(boot_info.multiboot2);
    assert_string_equal(boot_info.cmdline, "console=vga");
    assert_string_equal(boot_info.loader, "GRUB 2.06");
    assert_int_equal(boot_info.nr_modules, 1);
    assert_int_equal(boot_info.module[0].end, 0x1800000);
    assert_string_equal(boot_info.module[0].cmdline, "kernel of mine");
    assert_int_equal(boot_info.nr_memory, 3);
    assert_int_equal(boot_info.memory[2].start, 0x200000);
    assert_int_equal(boot_info.framebuffer.base, 0xc0000000);
    assert_int_equal(boot_info.framebuffer.green_pos, 8);
    assert_int_equal(boot_info.efi_system_table, efi);
    assert_int_equal(boot_info.rsdp_copy_len, 36);
    assert_int_equal(boot_info.rsdp_copy[8], 2);
    assert_string_equal(host_log(), "");
}

static void mb2_old_then_new_rsdp(void **state)
{
    put_tag(MB2_TAG_ACPI_OLD, "RSD PTR old.........", 20);
    put_tag(MB2_TAG_ACPI_NEW, "RSD PTR new.........................tail", 40);
    boot_read(MB2_BOOT_MAGIC, INFO);
    assert_int_equal(boot_info.rsdp_copy_len, 36);
    assert_memory_equal(boot_info.rsdp_copy, "RSD PTR new", 11);
}

static void mb2_nothing(void **state)
{
    for (uint32_t total = 0; total <= 16; total++) {
        mb2()->total_size = total;
        boot_read(MB2_BOOT_MAGIC, INFO);
        assert_int_equal(boot_info.nr_modules, 0);
        assert_string_equal(boot_info.loader, "an unnamed loader");
    }
}

/* A size near 2^32 once made the walk stand still. */
static void mb2_tag_size_wraps(void **state)
{
    static const uint32_t sizes[] = {0, 7, 0x100000, 0x7fffffff, 0xfffffff8, 0xfffffff9, ~0u};

    for (unsigned i = 0; i < ARRAY_SIZE(sizes); i++) {
        struct mb2_tag *t;

        fresh(NULL);
        put_module(0x100000, 0x200000, "first");
        t = put_module(0x200000, 0x300000, "second");
        put_module(0x300000, 0x400000, "third");
        t->size = sizes[i];
        boot_read(MB2_BOOT_MAGIC, INFO);
        assert_int_equal(boot_info.nr_modules, 1);
        assert_true(logged("it and the rest are left out"));
    }
}

/* A tag that ends before its fixed part says nothing; the next one is read. */
static void mb2_short_tags(void **state)
{
    static const uint32_t types[] = {MB2_TAG_MODULE, MB2_TAG_MMAP, MB2_TAG_FRAMEBUFFER,
                                     MB2_TAG_EFI64};

    for (unsigned i = 0; i < ARRAY_SIZE(types); i++) {
        fresh(NULL);
        put_tag(types[i], "\1\1\1\1\1\1\1", 7);
        put_tag(MB2_TAG_LOADER, "loader", 7);
        boot_read(MB2_BOOT_MAGIC, INFO);
        assert_int_equal(boot_info.nr_modules, 0);
        assert_int_equal(boot_info.nr_memory, 0);
        assert_int_equal(boot_info.framebuffer.base, 0);
        assert_int_equal(boot_info.efi_system_table, 0);
        assert_string_equal(boot_info.loader, "loader");
        assert_true(logged("has only 15 bytes"));
    }
    put_tag(MB2_TAG_ACPI_NEW, "", 0);
    put_tag(MB2_TAG_CMDLINE, "", 0);
    boot_read(MB2_BOOT_MAGIC, INFO);
    assert_int_equal(boot_info.rsdp_copy_len, 0);
    assert_string_equal(boot_info.cmdline, "");
}

/* The string ends with its tag, NUL or not. */
static void mb2_string_without_end(void **state)
{
    put_tag(MB2_TAG_CMDLINE, "abcdefgh", 8);
    put_tag(MB2_TAG_LOADER, "GRUBGRUB", 8);
    put_tag(MB2_TAG_MODULE, "\0\0\1\0\0\0\2\0modulexx", 16);
    boot_read(MB2_BOOT_MAGIC, INFO);
    assert_string_equal(boot_info.cmdline, "abcdefgh");
    assert_string_equal(boot_info.loader, "GRUBGRUB");
    assert_string_equal(boot_info.module[0].cmdline, "modulexx");
}

static void mb2_map_lies(void **state)
{
    struct mb2_mmap *map = put_map(4, 40); /* longer entries */

    boot_read(MB2_BOOT_MAGIC, INFO);
    assert_int_equal(boot_info.nr_memory, 4);
    map->tag.size -= 1; /* the last one is not all there */
    boot_read(MB2_BOOT_MAGIC, INFO);
    assert_int_equal(boot_info.nr_memory, 3);
    map->tag.size += 1;
    for (uint32_t size = 0; size < 24; size++) {
        map->entry_size = size;
        boot_read(MB2_BOOT_MAGIC, INFO);
        assert_int_equal(boot_info.nr_memory, 0);
    }
    /* A size near 2^32 once walked backwards. */
    for (uint32_t less = 1; less < 100; less++) {
        map->entry_size = 0u - less;
        boot_read(MB2_BOOT_MAGIC, INFO);
        assert_int_equal(boot_info.nr_memory, 0);
    }
}

static void mb2_too_many_modules(void **state)
{
    for (unsigned i = 0; i < 20; i++)
        put_module(i << 20, (i + 1) << 20, "m");
    put_tag(MB2_TAG_LOADER, "behind them", 12);
    boot_read(MB2_BOOT_MAGIC, INFO);
    assert_int_equal(boot_info.nr_modules, BOOT_MODULES);
    assert_true(logged("more than 8 modules"));
    assert_string_equal(boot_info.loader, "behind them");
}

/* ---- neither, and damage ---- */

static void unknown_magic(void **state)
{
    assert_true(host_panics(boot_read(0x12345678, INFO)));
    assert_true(logged("not started by a Multiboot loader (magic 0x12345678)"));
    assert_true(host_panics(boot_read(0, 0)));
}

static void damage(void **state)
{
    uint32_t seed = 1;

    for (unsigned round = 0; round < 3000; round++) {
        fresh(NULL);
        put_module(0x1000000, 0x1800000, "kernel of mine");
        put_map(10, 24);
        put_tag(MB2_TAG_CMDLINE, "console=vga", 12);
        for (unsigned i = 0; i < 4; i++) {
            seed = seed * 1664525 + 1013904223;
            ((uint8_t *)host_ram(INFO))[(seed >> 8) % 400] = (uint8_t)(seed >> 24);
        }
        boot_read(MB2_BOOT_MAGIC, INFO);
        for (unsigned i = 0; i < boot_info.nr_modules; i++) {
            assert_true(boot_info.module[i].start <= boot_info.module[i].end);
            assert_true(strlen(boot_info.module[i].cmdline) < 512);
        }
        for (unsigned i = 0; i < boot_info.nr_memory; i++)
            assert_true(boot_info.memory[i].start < boot_info.memory[i].end);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(mb1_all, fresh),
        cmocka_unit_test_setup(mb1_no_flags, fresh),
        cmocka_unit_test_setup(mb1_text_screen, fresh),
        cmocka_unit_test_setup(mb1_four_billion_modules, fresh),
        cmocka_unit_test_setup(mb1_map_lies, fresh),
        cmocka_unit_test_setup(long_strings, fresh),
        cmocka_unit_test_setup(mb2_all, fresh),
        cmocka_unit_test_setup(mb2_old_then_new_rsdp, fresh),
        cmocka_unit_test_setup(mb2_nothing, fresh),
        cmocka_unit_test_setup(mb2_tag_size_wraps, fresh),
        cmocka_unit_test_setup(mb2_short_tags, fresh),
        cmocka_unit_test_setup(mb2_string_without_end, fresh),
        cmocka_unit_test_setup(mb2_map_lies, fresh),
        cmocka_unit_test_setup(mb2_too_many_modules, fresh),
        cmocka_unit_test_setup(unknown_magic, fresh),
        cmocka_unit_test_setup(damage, fresh),
    };

    return cmocka_run_group_tests_name("boot_multiboot", tests, NULL, NULL);
}
