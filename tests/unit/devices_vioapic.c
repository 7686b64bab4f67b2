/* SPDX-License-Identifier: MIT */
/* devices/vioapic against the data sheet: Intel 82093AA. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "devices/vioapic.h"
#include "lib/errno.h"
#include "lib/util.h"

#define MASKED VIOAPIC_MASKED
#define LEVEL  VIOAPIC_LEVEL

static struct vioapic a;
static unsigned messages;
static uint32_t last_icr;
static uint8_t last_dest;
static bool takes;

static bool message(void *owner, uint32_t icr, uint8_t dest)
{
    messages++;
    last_icr = icr;
    last_dest = dest;
    return takes;
}

static int setup(void **state)
{
    a = (struct vioapic){.message = message};
    vioapic_reset(&a);
    messages = 0;
    takes = true;
    return 0;
}

static void write(unsigned reg, uint32_t val)
{
    vioapic_write(&a, 0, reg);
    vioapic_write(&a, 0x10, val);
}

static uint32_t read(unsigned reg)
{
    vioapic_write(&a, 0, reg);
    return vioapic_read(&a, 0x10);
}

static void set_pin(unsigned pin, uint32_t low)
{
    write(0x11 + 2 * pin, 0xab000000);
    write(0x10 + 2 * pin, low);
}

static void test_registers(void **state)
{
    assert_int_equal(read(1), 0x002f0011);
    assert_int_equal(read(0x10), MASKED);
    assert_int_equal(read(0x10 + 95), 0);
    write(0, 0xffffffff);
    assert_int_equal(read(0), 0x0f000000);
    assert_int_equal(read(2), 0x0f000000); /* the arbitration id is loaded with it */
    write(1, 0);
    assert_int_equal(read(1), 0x002f0011);
    write(0x10 + 94, 0xffffffff);
    write(0x10 + 95, 0xffffffff);
    assert_int_equal(read(0x10 + 94), 0x0001afff);
    assert_int_equal(read(0x10 + 95), 0xff000000);
    write(0x10 + 96, 0);
    write(0xff, 0);
    assert_int_equal(read(0x10 + 96), 0);
    assert_int_equal(read(3), 0);
    vioapic_write(&a, 0x40, 0x33); /* this version has no EOI register */
    assert_int_equal(vioapic_read(&a, 0x40), 0);
    assert_int_equal(vioapic_read(&a, 0), 3);
}

static void test_edge(void **state)
{
    vioapic_input(&a, 4, true); /* masked: lost */
    set_pin(4, 0x0831);
    assert_int_equal(messages, 0);
    vioapic_input(&a, 4, false);
    vioapic_input(&a, 4, true);
    assert_int_equal(messages, 1);
    assert_int_equal(last_icr, 0x0831);
    assert_int_equal(last_dest, 0xab);
    vioapic_input(&a, 4, true);
    assert_int_equal(messages, 1);
    vioapic_input(&a, 4, false);
    vioapic_input(&a, 4, true);
    assert_int_equal(messages, 2); /* waits for no end */
    assert_int_equal(read(0x18) & 0x4000, 0);
}

static void test_level(void **state)
{
    set_pin(20, 0x41 | LEVEL | MASKED);
    vioapic_input(&a, 20, true);
    assert_int_equal(messages, 0);
    set_pin(20, 0x41 | LEVEL);
    assert_int_equal(messages, 1);
    assert_int_equal(read(0x10 + 40), 0x4041 | LEVEL); /* Remote IRR */
    vioapic_input(&a, 20, false);
    vioapic_input(&a, 20, true);
    set_pin(20, 0x41 | LEVEL);
    assert_int_equal(messages, 1);
    vioapic_eoi(&a, 0x42);
    assert_int_equal(messages, 1);
    vioapic_eoi(&a, 0x41); /* still high */
    assert_int_equal(messages, 2);
    vioapic_input(&a, 20, false);
    vioapic_eoi(&a, 0x41);
    assert_int_equal(messages, 2);
    assert_int_equal(read(0x10 + 40), 0x41 | LEVEL);
}

/* One that nobody takes is not waited for. */
static void test_level_refused(void **state)
{
    takes = false;
    set_pin(20, 0x41 | LEVEL);
    vioapic_input(&a, 20, true);
    assert_int_equal(messages, 1);
    assert_int_equal(read(0x10 + 40), 0x41 | LEVEL);
    takes = true;
    set_pin(20, 0x42 | LEVEL);
    assert_int_equal(read(0x10 + 40), 0x4042 | LEVEL);
}

/* Software that turns an entry to edge and back frees it of an end that got lost. */
static void test_edge_clears_remote_irr(void **state)
{
    set_pin(20, 0x41 | LEVEL);
    vioapic_input(&a, 20, true);
    set_pin(20, 0x41 | MASKED);
    assert_int_equal(read(0x10 + 40), 0x41 | MASKED);
    set_pin(20, 0x41 | LEVEL);
    assert_int_equal(messages, 2);
}

static void test_nmi_is_an_edge(void **state)
{
    set_pin(3, 0x0400 | LEVEL);
    vioapic_input(&a, 3, true);
    assert_int_equal(messages, 1);
    assert_int_equal(read(0x16) & 0x4000, 0);
}

static void test_load(void **state)
{
    struct hvm_hw_vioapic r, bad;

    set_pin(7, 0x50);
    set_pin(30, 0x60 | LEVEL);
    vioapic_input(&a, 30, true);
    r = a.hw;
    vioapic_reset(&a);
    messages = 0;
    r.redirtbl[7].bits |= 0x4000; /* an edge has none */
    r.redirtbl[8].bits = ~0ull;
    assert_int_equal(vioapic_check(&r), 0);
    vioapic_load(&a, &r);
    vioapic_resync(&a, BIT(30) | BIT(7));
    assert_int_equal(messages, 0); /* was sent before */
    assert_int_equal(read(0x10 + 14), 0x50);
    assert_int_equal(read(0x10 + 16), 0x0001afff);
    assert_int_equal(read(0x10 + 17), 0xff000000);
    vioapic_eoi(&a, 0x60);
    assert_int_equal(messages, 1);
    vioapic_resync(&a, ~0ull);
    bad = r;
    bad.base_address += 0x1000;
    assert_int_equal(vioapic_check(&bad), -EINVAL);
    bad = r;
    bad.ioregsel = 0x100;
    assert_int_equal(vioapic_check(&bad), -EINVAL);
    bad = r;
    bad.id = 16;
    assert_int_equal(vioapic_check(&bad), -EINVAL);
}

#define T(f) cmocka_unit_test_setup(f, setup)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_registers),     T(test_edge), T(test_edge_clears_remote_irr), T(test_level),
        T(test_level_refused), T(test_load), T(test_nmi_is_an_edge),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
