/* SPDX-License-Identifier: MIT */
/* pv/pit.c: channel 2 and its gate as kernels use them to measure time, the latch, the three ways
 * to access a count, and nonsense. Intel 8254 datasheet. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>

#include "pv_fixture.h"

#define HZ 1193182ull

static struct pv_pit *p;

static int setup(void **state)
{
    host_machine_init(64 << 20, 1);
    host_memory_init();
    host_tsc_step = 0;
    host_tsc = 1000000;
    clock_init_hz(1000000000);
    p = pv_pit_create();
    return p ? 0 : -1;
}

static int teardown(void **state)
{
    heap_free(p);
    return 0;
}

/* Time passes: so many ticks, and a little. */
static void pass(uint64_t ticks)
{
    host_tsc += ticks * 1000000000 / HZ + 1;
}

static void load(uint8_t control, uint16_t count)
{
    pv_pit_write(p, 0x43, control);
    pv_pit_write(p, 0x42, (uint8_t)count);
    pv_pit_write(p, 0x42, (uint8_t)(count >> 8));
}

static unsigned read16(void)
{
    unsigned low = pv_pit_read(p, 0x42);

    return low | (unsigned)pv_pit_read(p, 0x42) << 8;
}

static bool out(void)
{
    return pv_pit_read(p, 0x61) & 0x20;
}

/* Linux's calibration: mode 0, gate open, wait for the output. */
static void output_rises_in_time(void **state)
{
    pv_pit_write(p, 0x61, 1);
    load(0xb0, 59659); /* 50 ms */
    assert_false(out());
    host_tsc += 49990000;
    assert_false(out());
    host_tsc += 20000;
    assert_true(out());
    host_tsc += 1ull << 40;
    assert_true(out()); /* and stays */
    load(0xb0, 59659);
    assert_false(out());
}

/* Also Linux's: the high byte while it counts down. */
static void counts_down(void **state)
{
    pv_pit_write(p, 0x61, 1);
    load(0xb0, 0xffff);
    assert_int_equal(read16(), 0xffff);
    pass(0x100);
    assert_int_equal(read16(), 0xffff - 0x100);
    pass(0x1000);
    assert_int_equal(read16(), 0xffff - 0x1100);
}

static void goes_round_in_mode_0(void **state)
{
    pv_pit_write(p, 0x61, 1);
    load(0xb0, 10);
    pass(12);
    assert_int_equal(read16(), 0xfffe);
}

static void gate_closed(void **state)
{
    pv_pit_write(p, 0x61, 0);
    load(0xb0, 100);
    pass(1000);
    assert_int_equal(read16(), 100);
    assert_false(out());
    pv_pit_write(p, 0x61, 1); /* now it starts */
    pass(50);
    assert_int_equal(read16(), 50);
    assert_false(out());
    pass(50);
    assert_true(out());
    /* The same again is no edge. */
    pv_pit_write(p, 0x61, 3);
    assert_true(out());
}

static void rate_and_square(void **state)
{
    unsigned high = 0;

    pv_pit_write(p, 0x61, 1);
    load(0xb4, 100); /* mode 2 */
    for (unsigned i = 0; i < 1000; i++) {
        unsigned n = read16();

        assert_true(n >= 1 && n <= 100);
        high += out();
        pass(1);
    }
    assert_true(high > 980 && high < 1000);
    load(0xb6, 100); /* mode 3 */
    high = 0;
    for (unsigned i = 0; i < 1000; i++) {
        unsigned n = read16();

        assert_true(n >= 1 && n <= 100);
        high += out();
        pass(1);
    }
    assert_true(high > 480 && high < 520);
}

/* The third bit of modes 2 and 3 does not count: 6 is 2 and 7 is 3. */
static void modes_6_and_7(void **state)
{
    pv_pit_write(p, 0x61, 1);
    load(0xbc, 100);
    pass(250);
    assert_int_equal(read16(), 50);
    load(0xbe, 100);
    pass(125);
    assert_int_equal(read16(), 50);
}

static void latched(void **state)
{
    pv_pit_write(p, 0x61, 1);
    load(0xb0, 0x1234);
    pv_pit_write(p, 0x43, 0x80);
    pass(0x200);
    assert_int_equal(read16(), 0x1234);
    assert_int_equal(read16(), 0x1034); /* once */
}

/* 8254: a second latch command before the count is read is ignored. */
static void latched_twice(void **state)
{
    pv_pit_write(p, 0x61, 1);
    load(0xb0, 0x1234);
    pv_pit_write(p, 0x43, 0x80);
    pass(0x100);
    pv_pit_write(p, 0x43, 0x80);
    assert_int_equal(read16(), 0x1234);
    load(0xb0, 0x1234);
    pv_pit_write(p, 0x43, 0x80);
    assert_int_equal(pv_pit_read(p, 0x42), 0x34);
    pass(0x180);
    pv_pit_write(p, 0x43, 0x80); /* between the two bytes */
    assert_int_equal(pv_pit_read(p, 0x42), 0x12);
}

static void single_bytes(void **state)
{
    pv_pit_write(p, 0x61, 1);
    pv_pit_write(p, 0x43, 0x90); /* low byte only */
    pv_pit_write(p, 0x42, 200);
    assert_int_equal(pv_pit_read(p, 0x42), 200);
    pass(10);
    assert_int_equal(pv_pit_read(p, 0x42), 190);
    pv_pit_write(p, 0x43, 0xa0); /* high byte only */
    pv_pit_write(p, 0x42, 0x20);
    assert_int_equal(pv_pit_read(p, 0x42), 0x20);
    pass(0x101);
    assert_int_equal(pv_pit_read(p, 0x42), 0x1e);
}

/* Half a count is no count; a control word starts the pair anew. */
static void half_a_count(void **state)
{
    pv_pit_write(p, 0x61, 1);
    load(0xb0, 1000);
    pv_pit_write(p, 0x42, 7);
    pv_pit_write(p, 0x43, 0xb0);
    pv_pit_write(p, 0x42, 0xe8);
    pv_pit_write(p, 0x42, 3);
    assert_int_equal(read16(), 1000);
}

static void zero_is_65536(void **state)
{
    pv_pit_write(p, 0x61, 1);
    load(0xb0, 0);
    pass(0x8000);
    assert_int_equal(read16(), 0x8000);
    assert_false(out());
    pass(0x8000);
    assert_true(out());
}

static void others_do_not_exist(void **state)
{
    pv_pit_write(p, 0x61, 1);
    load(0xb0, 500);
    pv_pit_write(p, 0x43, 0x34); /* channel 0 */
    pv_pit_write(p, 0x43, 0x74); /* channel 1 */
    pv_pit_write(p, 0x43, 0xc2); /* read back */
    assert_int_equal(pv_pit_read(p, 0x43), 0xff);
    pass(100);
    assert_int_equal(read16(), 400);
    /* Port 61: gate and data are kept, the rest is not. */
    pv_pit_write(p, 0x61, 0xff);
    assert_int_equal(pv_pit_read(p, 0x61) & 0xcf, 3);
}

static void refresh_toggles(void **state)
{
    unsigned changes = 0;
    uint8_t before = pv_pit_read(p, 0x61) & 0x10;

    for (unsigned i = 0; i < 100; i++) {
        uint8_t now;

        host_tsc += 15000;
        now = pv_pit_read(p, 0x61) & 0x10;
        changes += now != before;
        before = now;
    }
    assert_int_equal(changes, 100);
}

/* Every mode and count, at any time: no division by nothing, no shift too far. */
static void nonsense(void **state)
{
    static const uint16_t ports[] = {0x42, 0x43, 0x61};

    srand(5);
    for (unsigned i = 0; i < 200000; i++) {
        uint16_t port = ports[(unsigned)rand() % 3];

        if (rand() % 2)
            pv_pit_write(p, port, (uint8_t)rand());
        else
            (void)pv_pit_read(p, port);
        host_tsc += (uint64_t)rand() << (rand() % 28);
    }
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(output_rises_in_time),
        TEST(counts_down),
        TEST(goes_round_in_mode_0),
        TEST(gate_closed),
        TEST(rate_and_square),
        TEST(modes_6_and_7),
        TEST(latched),
        TEST(latched_twice),
        TEST(single_bytes),
        TEST(half_a_count),
        TEST(zero_is_65536),
        TEST(others_do_not_exist),
        TEST(refresh_toggles),
        TEST(nonsense),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
