/* SPDX-License-Identifier: MIT */
/* platform/ioapic.c: the order of writes to an entry, pins on several chips, registers as domain 0
 * may see them. Intel 82093AA datasheet, 3.2. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>

#include "machine.h"
#include "lib/errno.h"
#include "lib/util.h"
#include "platform/ioapic.h"

#define FIRST  0xfec00000u
#define SECOND 0xfec01000u
#define BAD    0xfec02000u

struct chip {
    uint32_t select, pins, reg[0x10 + 2 * 240];
    unsigned writes, live_halves; /* the destination changed under a live entry */
};

static struct chip chip1 = {.pins = 24}, chip2 = {.pins = 8}, bad;

static uint64_t chip_read(void *data, uint64_t at, unsigned size)
{
    struct chip *c = data;

    if (at != 0x10)
        return c->select;
    return c->select == 1 ? 0x20 | (c->pins - 1) << 16 : c->reg[c->select];
}

static void chip_write(void *data, uint64_t at, unsigned size, uint64_t val)
{
    struct chip *c = data;

    if (at == 0) {
        c->select = (uint32_t)val;
        return;
    }
    assert_true(c->select < ARRAY_SIZE(c->reg));
    if (c->select >= 0x10 && (c->select & 1) && c->reg[c->select] != (uint32_t)val &&
        !(c->reg[c->select - 1] & 0x10000))
        c->live_halves++;
    c->reg[c->select] = (uint32_t)val;
    c->writes++;
}

static struct host_device device(struct chip *c)
{
    return (struct host_device){chip_read, chip_write, c};
}

static int setup(void **state)
{
    host_machine_init(64 << 20, 1);
    host_memory_init();
    host_mmio_add(FIRST, 0x20, device(&chip1));
    host_mmio_add(SECOND, 0x20, device(&chip2));
    host_mmio_add(BAD, 0x20, device(&bad));
    for (unsigned i = 0; i < 24; i++) { /* as the firmware left it: live */
        chip1.reg[0x10 + 2 * i] = 0x30 + i;
        chip1.reg[0x11 + 2 * i] = 7u << 24;
    }
    if (ioapic_add(1, FIRST, 0) || ioapic_add(2, SECOND, 24))
        return -1;
    return 0;
}

static void all_start_masked(void **state)
{
    for (unsigned i = 0; i < 24; i++)
        assert_int_equal(chip1.reg[0x10 + 2 * i], 0x10000);
    assert_int_equal(chip1.live_halves, 0);
    assert_int_equal(ioapic_gsi_count(), 32);
    assert_true(ioapic_has_gsi(31));
    assert_false(ioapic_has_gsi(32));
    assert_false(ioapic_has_gsi(~0u));
    assert_int_equal(ioapic_address(0), FIRST);
    assert_int_equal(ioapic_address(1), SECOND);
    assert_int_equal(ioapic_address(2), 0);
}

static void refused_chips(void **state)
{
    unsigned mappings = host_mappings;

    bad.pins = 8;
    assert_int_equal(ioapic_add(3, BAD, 31), -EINVAL); /* the last pin of another's */
    assert_int_equal(ioapic_add(3, BAD, 0), -EINVAL);
    assert_int_equal(ioapic_add(3, BAD, 0x10000), -EINVAL);
    assert_int_equal(ioapic_add(3, BAD, ~0u - 3), -EINVAL);
    bad.pins = 241;
    assert_int_equal(ioapic_add(3, BAD, 100), -EINVAL);
    assert_int_equal(host_mappings, mappings);
    assert_int_equal(bad.writes, 0);
    assert_int_equal(ioapic_gsi_count(), 32);
}

static void an_entry(void **state)
{
    struct ioapic_route r = {0x61, true, true, false, 3}, back;

    ioapic_set(26, r);
    assert_int_equal(chip2.reg[0x10 + 2 * 2], 0xa061);
    assert_int_equal(chip2.reg[0x11 + 2 * 2], 3u << 24);
    back = ioapic_get(26);
    assert_int_equal(back.vector, 0x61);
    assert_int_equal(back.apic_id, 3);
    assert_true(back.level && back.active_low && !back.masked);
    ioapic_mask(26, true);
    assert_int_equal(chip2.reg[0x14], 0x1a061);
    chip2.writes = 0;
    ioapic_mask(26, true); /* nothing to do */
    assert_int_equal(chip2.writes, 0);
    ioapic_mask(26, false);
    assert_int_equal(chip2.reg[0x14], 0xa061);
    ioapic_mask_all();
    for (unsigned i = 0; i < 8; i++)
        assert_true(chip2.reg[0x10 + 2 * i] & 0x10000);
    assert_true(host_panics(ioapic_mask(32, true)));
}

/* Live, masked, another destination, in any order: the destination never changes under an entry
 * that could deliver. */
static void never_half_of_a_live_entry(void **state)
{
    srand(1);
    for (unsigned i = 0; i < 2000; i++) {
        struct ioapic_route r = {
            .vector = (uint8_t)rand(), .masked = rand() % 2, .apic_id = (unsigned)rand() % 256};
        unsigned gsi = (unsigned)rand() % 32;

        ioapic_set(gsi, r);
        if (rand() % 2)
            ioapic_mask(gsi, rand() % 2);
    }
    assert_int_equal(chip1.live_halves, 0);
    assert_int_equal(chip2.live_halves, 0);
}

static void registers(void **state)
{
    uint32_t val;

    assert_int_equal(ioapic_read_register(FIRST, 1, &val), 0);
    assert_int_equal(val >> 16, 23);
    assert_int_equal(ioapic_read_register(FIRST, 0, &val), 0);
    assert_int_equal(ioapic_read_register(FIRST, 2, &val), 0);
    assert_int_equal(ioapic_read_register(FIRST, 3, &val), -EINVAL);
    assert_int_equal(ioapic_read_register(FIRST, 0xf, &val), -EINVAL);
    assert_int_equal(ioapic_read_register(FIRST, 0x3f, &val), 0);
    assert_int_equal(ioapic_read_register(FIRST, 0x40, &val), -EINVAL);
    assert_int_equal(ioapic_read_register(SECOND, 0x20, &val), -EINVAL);
    assert_int_equal(ioapic_read_register(SECOND, ~0u, &val), -EINVAL);
    assert_int_equal(ioapic_read_register(FIRST + 0x10, 1, &val), -EINVAL);
    assert_int_equal(ioapic_read_register(BAD, 1, &val), -EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_start_masked), cmocka_unit_test(refused_chips),
        cmocka_unit_test(an_entry),         cmocka_unit_test(never_half_of_a_live_entry),
        cmocka_unit_test(registers),
    };

    return cmocka_run_group_tests(tests, setup, NULL);
}
