/* SPDX-License-Identifier: MIT */
/* platform/acpi: tables as firmware makes them, and tables that lie in every field. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "machine.h"
#include "lib/errno.h"
#include "platform/acpi.h"

#define RSDP     0xf0010u
#define XSDT     0x10000u
#define RSDT     0x11000u
#define MADT     0x12000u
#define FADT     0x13000u
#define HPET     0x14000u
#define MCFG     0x15000u
#define OVERSIZE 0x16000u

static uint8_t *at(paddr_t p)
{
    return host_ram(p);
}

static void put(paddr_t p, unsigned size, uint64_t v)
{
    memcpy(at(p), &v, size);
}

static void set_checksum(paddr_t p, size_t len, unsigned where)
{
    uint8_t s = 0;

    at(p)[where] = 0;
    for (size_t i = 0; i < len; i++)
        s = (uint8_t)(s + at(p)[i]);
    at(p)[where] = (uint8_t)-s;
}

static void finish(paddr_t p, uint32_t len)
{
    put(p + 4, 4, len);
    set_checksum(p, len, 9);
}

static void table(paddr_t p, const char *signature, uint32_t len)
{
    memset(at(p), 0, len);
    memcpy(at(p), signature, 4);
    finish(p, len);
}

static void make_rsdp(paddr_t p, uint64_t xsdt, uint32_t rsdt)
{
    memset(at(p), 0, 36);
    memcpy(at(p), "RSD PTR ", 8);
    at(p)[15] = xsdt ? 2 : 0;
    put(p + 16, 4, rsdt);
    put(p + 20, 4, 36);
    put(p + 24, 8, xsdt);
    set_checksum(p, 20, 8);
    set_checksum(p, 36, 32);
}

/* Two CPUs, one IO-APIC, the timer's override, one level override. */
static uint32_t make_madt(void)
{
    static const uint8_t entries[] = {
        0,  8,  0, 0,   1, 0, 0,    0,                             /* CPU, APIC id 0 */
        0,  8,  1, 4,   1, 0, 0,    0,                             /* CPU, APIC id 4 */
        0,  8,  2, 6,   0, 0, 0,    0,                             /* not enabled */
        0,  8,  3, 255, 0, 0, 0,    0,                             /* filler */
        9,  16, 0, 0,   0, 1, 0,    0,    1,  0, 0, 0, 9, 0, 0, 0, /* x2APIC id 256, uid 9 */
        9,  16, 0, 0,   4, 0, 0,    0,    1,  0, 0, 0, 1, 0, 0, 0, /* id 4 again */
        1,  12, 8, 0,   0, 0, 0xc0, 0xfe, 0,  0, 0, 0,             /* IO-APIC 8 */
        2,  10, 0, 0,   2, 0, 0,    0,    0,  0,                   /* 0 -> 2 */
        2,  10, 0, 9,   9, 0, 0,    0,    15, 0,                   /* 9: level, low */
        2,  10, 0, 99,  9, 0, 0,    0,    15, 0,                   /* no such ISA interrupt */
        77, 4,  1, 2,                                              /* a type of the future */
    };

    memset(at(MADT), 0, 0x1000);
    memcpy(at(MADT), "APIC", 4);
    put(MADT + 36, 4, 0xfee00000);
    put(MADT + 40, 4, 1);
    memcpy(at(MADT + 44), entries, sizeof(entries));
    finish(MADT, 44 + sizeof(entries));
    return 44 + sizeof(entries);
}

static void make_fadt(uint32_t len)
{
    table(FADT, "FACP", 276);
    put(FADT + 36, 4, 0x1f000);
    put(FADT + 46, 2, 9);
    put(FADT + 56, 4, 0x600);
    put(FADT + 64, 4, 0x604);
    put(FADT + 76, 4, 0x608);
    at(FADT)[88] = 4;
    at(FADT)[89] = 2;
    at(FADT)[91] = 4;
    put(FADT + 112, 4, 1u << 8 | 1u << 10);
    at(FADT)[116] = 1; /* reset: port cf9 */
    at(FADT)[117] = 8;
    put(FADT + 120, 8, 0xcf9);
    at(FADT)[128] = 15;
    finish(FADT, len);
}

static void make_all(void)
{
    host_machine_init(4 << 20, 1);
    make_rsdp(RSDP, XSDT, RSDT);
    table(XSDT, "XSDT", 36 + 5 * 8);
    put(XSDT + 36, 8, MADT);
    put(XSDT + 44, 8, FADT);
    put(XSDT + 52, 8, HPET);
    put(XSDT + 60, 8, MCFG);
    put(XSDT + 68, 8, OVERSIZE);
    finish(XSDT, 36 + 5 * 8);
    make_madt();
    make_fadt(276);
    table(HPET, "HPET", 56);
    put(HPET + 44, 8, 0xfed00000);
    finish(HPET, 56);
    table(MCFG, "MCFG", 60);
    put(MCFG + 44, 8, 0xb0000000);
    at(MCFG)[55] = 255;
    finish(MCFG, 60);
    table(OVERSIZE, "DMAR", 48);
}

static void check_all(void)
{
    const struct acpi_info *a = &acpi_info;

    assert_true(a->present);
    assert_int_equal(a->nr_cpus, 4);
    assert_int_equal(a->cpu[1].apic_id, 4);
    assert_int_equal(a->cpu[1].acpi_id, 1);
    assert_true(a->cpu[1].enabled);
    assert_false(a->cpu[2].enabled);
    assert_int_equal(a->cpu[3].apic_id, 256);
    assert_int_equal(a->cpu[3].acpi_id, 9);
    assert_int_equal(a->nr_ioapics, 1);
    assert_int_equal(a->ioapic[0].address, 0xfec00000);
    assert_int_equal(a->nr_overrides, 2);
    assert_int_equal(a->override[0].gsi, 2);
    assert_false(a->override[0].level);
    assert_true(a->override[1].level && a->override[1].active_low);
    assert_true(a->has_8259);
    assert_int_equal(a->lapic_address, 0xfee00000);
    assert_true(a->pm_timer.present && a->pm_timer.io && a->pm_timer_32bit);
    assert_int_equal(a->pm_timer.address, 0x608);
    assert_int_equal(a->pm1a_control.address, 0x604);
    assert_int_equal(a->pm1a_control.width, 16);
    assert_false(a->pm1b_control.present);
    assert_int_equal(a->reset.address, 0xcf9);
    assert_int_equal(a->reset_value, 15);
    assert_int_equal(a->sci, 9);
    assert_int_equal(a->hpet_address, 0xfed00000);
    assert_int_equal(a->nr_mcfg, 1);
    assert_int_equal(a->mcfg[0].bus_last, 255);
    assert_int_equal(a->dmar, OVERSIZE);
    assert_int_equal(a->ivrs, 0);
}

static void good(void **state)
{
    uint8_t copy[36];
    paddr_t address;
    uint32_t length;

    make_all();
    assert_int_equal(acpi_init(0, NULL, 0), 0); /* found in the BIOS area */
    check_all();
    assert_int_equal(acpi_find_table("HPET", &address, &length), 0);
    assert_int_equal(address, HPET);
    assert_int_equal(length, 56);
    assert_int_equal(acpi_find_table("NONE", &address, &length), -ENOENT);
    memcpy(copy, at(RSDP), 36);
    memset(at(RSDP), 0, 36);
    assert_int_equal(acpi_init(0, copy, 36), 0);
    check_all();
    make_rsdp(0x9000, XSDT, 0);
    assert_int_equal(acpi_init(0x9000, NULL, 0), 0);
    check_all();
    make_rsdp(0x9fc00, XSDT, 0);
    put(0x40e, 2, 0x9fc0);
    assert_int_equal(acpi_init(0, NULL, 0), 0);
    check_all();
    assert_int_equal(host_mappings, 0);
}

static void old_rsdt(void **state)
{
    make_all();
    table(RSDT, "RSDT", 44);
    put(RSDT + 36, 4, MADT);
    put(RSDT + 40, 4, HPET);
    finish(RSDT, 44);
    make_rsdp(RSDP, 0, RSDT);
    assert_int_equal(acpi_init(0, NULL, 0), 0);
    assert_int_equal(acpi_info.nr_cpus, 4);
    assert_false(acpi_info.has_fadt);
    /* An XSDT that is none: back to the RSDT. */
    make_rsdp(RSDP, MCFG, RSDT);
    assert_int_equal(acpi_init(0, NULL, 0), 0);
    assert_int_equal(acpi_info.nr_cpus, 4);
}

static void no_root(void **state)
{
    make_all();
    at(RSDP)[8]++;
    assert_int_equal(acpi_init(0, NULL, 0), -ENOENT);
    assert_false(acpi_info.present);
    assert_int_equal(acpi_info.nr_cpus, 0);
    make_rsdp(RSDP, 0, 0);
    assert_int_equal(acpi_init(~0ull - 3, NULL, 0), -ENOENT);
    make_rsdp(RSDP, ~0ull - 7, 0xfffffff0);
    assert_int_equal(acpi_init(0, NULL, 0), -ENOENT);
    make_all();
    put(XSDT + 4, 4, 35);
    assert_int_equal(acpi_init(0, NULL, 0), -ENOENT);
    put(XSDT + 4, 4, ~0u);
    assert_int_equal(acpi_init(0, NULL, 0), -ENOENT);
    assert_int_equal(acpi_init(0, at(RSDP), 10), -ENOENT);
    assert_int_equal(host_mappings, 0);
}

static void wrong_checksum_is_one_warning(void **state)
{
    const char *log;

    make_all();
    at(MADT)[9]++;
    host_log();
    assert_int_equal(acpi_init(0, NULL, 0), 0);
    check_all();
    log = strstr(host_log(), "table APIC at 0x12000 has a wrong checksum\n");
    assert_non_null(log);
    assert_null(strstr(strchr(log, '\n'), "checksum"));
}

static void entry_of_length_zero_ends(void **state)
{
    make_all();
    at(MADT)[44 + 8 + 1] = 0;
    host_log();
    assert_int_equal(acpi_init(0, NULL, 0), 0);
    assert_int_equal(acpi_info.nr_cpus, 1);
    assert_non_null(strstr(host_log(), "MADT entry at offset 52 claims 0 bytes"));
    at(MADT)[44 + 8 + 1] = 255;
    assert_int_equal(acpi_init(0, NULL, 0), 0);
    assert_int_equal(acpi_info.nr_cpus, 1);
    /* Entries shorter than their type. */
    make_all();
    at(MADT)[44 + 1] = 7;
    at(MADT)[44 + 7] = 33;
    at(MADT)[44 + 8] = 1;
    assert_int_equal(acpi_init(0, NULL, 0), 0);
    assert_int_equal(acpi_info.nr_cpus, 0);
}

static void too_many(void **state)
{
    uint32_t len = 44;

    make_all();
    for (unsigned i = 0; i < 300; i++, len += 16) {
        memset(at(MADT + len), 0, 16);
        at(MADT + len)[0] = 9;
        at(MADT + len)[1] = 16;
        put(MADT + len + 4, 4, 1000 + i);
    }
    for (unsigned i = 0; i < 40; i++, len += 12)
        memcpy(at(MADT + len), "\1\14\0\0\0\0\300\376\0\0\0\0", 12);
    for (unsigned i = 0; i < 40; i++, len += 10)
        memcpy(at(MADT + len), "\2\12\0\1\1\0\0\0\0\0", 10);
    finish(MADT, len);
    put(XSDT + 36, 8, MADT);
    /* The neighbours were overwritten; they may lie, but not harm. */
    (void)!acpi_init(0, NULL, 0);
    assert_int_equal(acpi_info.nr_cpus, ACPI_CPUS);
    assert_int_equal(acpi_info.nr_ioapics, ACPI_IOAPICS);
    assert_int_equal(acpi_info.nr_overrides, ACPI_OVERRIDES);
}

static void short_and_strange_tables(void **state)
{
    make_all();
    for (uint32_t len = 36; len < 276; len++) {
        make_fadt(len);
        assert_int_equal(acpi_init(0, NULL, 0), 0);
        assert_true(acpi_info.has_fadt);
    }
    make_fadt(100);
    assert_int_equal(acpi_init(0, NULL, 0), 0);
    assert_true(acpi_info.pm_timer.present);
    assert_false(acpi_info.reset.present);
    /* A register in a space that we do not know, ports beyond 64 KiB. */
    make_fadt(276);
    at(FADT)[208] = 7;
    put(FADT + 212, 8, 0x1000);
    put(FADT + 76, 4, 0x12345);
    finish(FADT, 276);
    assert_int_equal(acpi_init(0, NULL, 0), 0);
    assert_false(acpi_info.pm_timer.present);
    /* MCFG: crooked base, buses backwards, half an entry. */
    make_all();
    put(MCFG + 44, 8, 0xb0001000);
    assert_int_equal(acpi_init(0, NULL, 0), 0);
    assert_int_equal(acpi_info.nr_mcfg, 0);
    make_all();
    at(MCFG)[54] = 9;
    at(MCFG)[55] = 8;
    assert_int_equal(acpi_init(0, NULL, 0), 0);
    assert_int_equal(acpi_info.nr_mcfg, 0);
    make_all();
    finish(MCFG, 59);
    assert_int_equal(acpi_init(0, NULL, 0), 0);
    assert_int_equal(acpi_info.nr_mcfg, 0);
    assert_int_equal(host_mappings, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good),
        cmocka_unit_test(old_rsdt),
        cmocka_unit_test(no_root),
        cmocka_unit_test(wrong_checksum_is_one_warning),
        cmocka_unit_test(entry_of_length_zero_ends),
        cmocka_unit_test(too_many),
        cmocka_unit_test(short_and_strange_tables),
    };
    return cmocka_run_group_tests_name("platform_acpi", tests, NULL, NULL);
}
