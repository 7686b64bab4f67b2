/* SPDX-License-Identifier: MIT */
/* devices/vhpet against the specification: IA-PC HPET 1.0a. */
#include "devices_clock.h"

#include "devices/vhpet.h"

#define MS     1000000ull
#define TICKS  (MS / VHPET_NS) /* of the counter in a millisecond */
#define ENABLE 1
#define LEGACY 2
#define LEVEL  0x2
#define INT    0x4
#define PERIOD 0x8
#define SETVAL 0x40
#define BITS32 0x100
#define PIN(n) ((uint64_t)(n) << 9)

static struct vhpet h;
static uint64_t present;

static int setup(void **state)
{
    clock_setup();
    present = 1;
    vhpet_init(&h, &irqs, &timer_mode, &present);
    vhpet_attach(&h, &memory);
    open_pin(20, false);
    open_pin(21, true);
    open_pin(2, false);
    open_pin(8, false);
    return 0;
}

static int teardown(void **state)
{
    vhpet_stop(&h);
    assert_int_equal(timer_next(), UINT64_MAX);
    return 0;
}

static uint64_t get(uint32_t reg)
{
    uint64_t val;

    assert_true(vbus_read(&memory, VHPET_BASE + reg, 8, &val));
    return val;
}

static void set(uint32_t reg, uint64_t val)
{
    assert_true(vbus_write(&memory, VHPET_BASE + reg, 8, val));
}

static void set32(uint32_t reg, uint32_t val)
{
    assert_true(vbus_write(&memory, VHPET_BASE + reg, 4, val));
}

static void test_capabilities(void **state)
{
    uint64_t val = get(0);

    assert_int_equal(val >> 32, 16000000); /* fs */
    assert_int_equal(val & 0xff, 1);
    assert_int_equal(val >> 8 & 0x1f, 2);
    assert_true(val & 1 << 13);
    assert_true(val & 1 << 15);
    set(0, 0);
    assert_int_equal(get(0), val);
    for (unsigned n = 0; n < 3; n++) {
        set(0x100 + n * 0x20, ~0ull);
        assert_int_equal(get(0x100 + n * 0x20), 0x00f000000000017eull);
        assert_int_equal(get(0x110 + n * 0x20), 0); /* no FSB route */
    }
    assert_int_equal(get(0x160), 0); /* a fourth there is not */
    set(0x160, ~0ull);
    assert_int_equal(get(0x3f8), 0);
    present = 0;
    assert_false(vbus_read(&memory, VHPET_BASE, 8, &val));
    assert_false(vbus_write(&memory, VHPET_BASE, 8, val));
}

static void test_counter(void **state)
{
    uint64_t val;

    pass(MS);
    assert_int_equal(get(0xf0), 0); /* halted */
    set(0xf0, 1ull << 40);
    set(0x10, ENABLE);
    pass(MS);
    assert_int_equal(get(0xf0), (1ull << 40) + TICKS);
    set(0xf0, 0); /* not while it counts */
    assert_int_equal(get(0xf0), (1ull << 40) + TICKS);
    assert_true(vbus_read(&memory, VHPET_BASE + 0xf4, 4, &val));
    assert_int_equal(val, 1u << 8);
    assert_true(vbus_read(&memory, VHPET_BASE + 0xf5, 1, &val));
    assert_int_equal(val, 1);
    set(0x10, 0);
    pass(MS);
    assert_int_equal(get(0xf0), (1ull << 40) + TICKS);
    set32(0xf4, 7); /* by halves */
    set32(0xf0, 9);
    assert_int_equal(get(0xf0), 7ull << 32 | 9);
    assert_true(vbus_write(&memory, VHPET_BASE + 0xf0, 2, 1)); /* not by less */
    assert_int_equal(get(0xf0), 7ull << 32 | 9);
}

static void test_one_shot(void **state)
{
    set(0x100, INT | PIN(20));
    set(0x108, 3 * TICKS);
    pass(10 * MS); /* the counter is halted */
    set(0x10, ENABLE);
    pass(2 * MS);
    assert_int_equal(by_pin(20), 0);
    pass(MS);
    assert_int_equal(by_pin(20), 1);
    pass(1000 * SECOND);
    assert_int_equal(by_pin(20), 0);
    set(0x108, get(0xf0) + TICKS);
    set(0x100, PIN(20)); /* no interrupt wanted */
    pass(2 * MS);
    assert_int_equal(by_pin(20), 0);
    assert_int_equal(get(0x20), 0); /* edges leave no status */
}

/* Of 32 bits: again when the counter has gone round. */
static void test_one_shot_32(void **state)
{
    set(0x100, INT | BITS32 | PIN(20));
    set(0xf0, 0xfffffff000000000);
    set(0x108, 0x123400000000 + TICKS);
    assert_int_equal(get(0x108), TICKS);
    set(0x10, ENABLE);
    pass(MS);
    assert_int_equal(by_pin(20), 1);
    pass(68 * SECOND);
    assert_int_equal(by_pin(20), 0);
    pass(SECOND);
    assert_int_equal(by_pin(20), 1);
}

/* As Linux programs it: the comparator with VAL_SET, then the period. */
static void test_periodic(void **state)
{
    set(0x10, ENABLE);
    pass(MS);
    set(0x100, INT | PERIOD | SETVAL | BITS32 | PIN(20));
    set32(0x108, (uint32_t)(get(0xf0) + 2 * TICKS));
    assert_int_equal(get(0x100) & SETVAL, 0);
    set32(0x108, (uint32_t)TICKS);
    pass(MS);
    assert_int_equal(by_pin(20), 0);
    for (int i = 0; i < 100; i++) {
        pass(MS);
        assert_int_equal(by_pin(20), 1);
        assert_int_equal(get(0x108), get(0xf0) + TICKS); /* moves on by itself */
    }
    set(0x10, 0);
    pass(10 * MS);
    assert_int_equal(by_pin(20), 0);
    set(0x10, ENABLE);
    pass(10 * MS);
    assert_int_equal(by_pin(20), 10);
}

static void test_period_of_64_bits(void **state)
{
    set(0xf0, 1ull << 50);
    set(0x100, INT | PERIOD | SETVAL | PIN(20));
    set(0x108, (1ull << 50) + 5 * TICKS);
    set(0x108, 3 * TICKS);
    set(0x10, ENABLE);
    pass(5 * MS);
    assert_int_equal(by_pin(20), 1);
    assert_int_equal(get(0x108), (1ull << 50) + 8 * TICKS);
    pass(30 * MS);
    assert_int_equal(by_pin(20), 10);
    set(0x100, INT | PERIOD | SETVAL | PIN(20)); /* longer than a vtick takes at once */
    set(0x108, get(0xf0) + TICKS);
    set(0x108, 1ull << 44);
    pass(MS);
    assert_int_equal(by_pin(20), 1);
    pass((1ull << 44) * VHPET_NS);
    assert_int_equal(by_pin(20), 1);
    set(0x108, ~0ull);
    pass(SECOND);
    set(0x108, 0); /* no period: it does not flood */
    pass(SECOND);
    assert_true(by_pin(20) <= 1);
}

static void test_level(void **state)
{
    set(0x120, INT | LEVEL | PERIOD | SETVAL | PIN(21));
    set(0x128, TICKS);
    set(0x10, ENABLE);
    pass(MS);
    assert_int_equal(by_pin(21), 1);
    assert_int_equal(get(0x20), 2);
    virq_eoi(&irqs, 0x40 + 21); /* not served: comes again */
    assert_int_equal(by_pin(21), 1);
    set(0x20, 5); /* others' */
    assert_int_equal(get(0x20), 2);
    set(0x20, 2);
    assert_int_equal(get(0x20), 0);
    virq_eoi(&irqs, 0x40 + 21);
    assert_int_equal(by_pin(21), 0);
    pass(MS);
    assert_int_equal(by_pin(21), 1);
    set(0x120, LEVEL | PERIOD | PIN(21));
    assert_int_equal(irqs.high, 0);
    set(0x120, INT | LEVEL | PERIOD | PIN(22)); /* the line moves with the route */
    assert_int_equal(irqs.high, 1u << 22);
    set(0x10, 0);
    assert_int_equal(irqs.high, 0);
}

static void test_legacy(void **state)
{
    set(0x100, INT); /* no route */
    set(0x108, TICKS);
    set(0x120, INT | PIN(20));
    set(0x128, TICKS);
    set(0x10, ENABLE | LEGACY);
    assert_true(irqs.legacy_replaced);
    pass(MS);
    assert_int_equal(by_pin(2), 1);
    assert_int_equal(by_pin(8), 1);
    assert_int_equal(by_pin(20), 0);
    set(0x10, LEGACY); /* only while it is on */
    assert_false(irqs.legacy_replaced);
}

static void test_routes(void **state)
{
    set(0x100, PIN(23));
    assert_int_equal(get(0x100) & 0x3e00, PIN(23));
    set(0x100, PIN(2)); /* none of its routes: reads back what it was */
    assert_int_equal(get(0x100) & 0x3e00, PIN(23));
}

static void test_saved(void **state)
{
    struct hvm_hw_hpet r, bad;

    set(0x10, ENABLE);
    set(0x100, INT | PERIOD | SETVAL | PIN(20));
    set(0x108, get(0xf0) + 2 * TICKS);
    set(0x108, TICKS);
    pass(5 * MS);
    by_pin(20);
    vhpet_save(&h, &r);
    assert_int_equal(r.mc64, get(0xf0));
    assert_int_equal(r.period[0], TICKS);
    assert_int_equal(r.timers[0].cmp, get(0xf0) + TICKS);
    vhpet_stop(&h);
    vhpet_init(&h, &irqs, &timer_mode, &present);
    pass(77 * MS);
    assert_int_equal(vhpet_check(&r), 0);
    vhpet_load(&h, &r);
    assert_int_equal(get(0xf0), r.mc64);
    pass(10 * MS);
    assert_int_equal(by_pin(20), 10);
    bad = r;
    bad.capability ^= 1ull << 40;
    assert_int_equal(vhpet_check(&bad), -EINVAL);
    bad = r;
    bad.config = 4;
    assert_int_equal(vhpet_check(&bad), -EINVAL);
    bad = r;
    bad.isr = 8;
    assert_int_equal(vhpet_check(&bad), -EINVAL);
    bad = r;
    bad.timers[1].config |= 1 << 15;
    assert_int_equal(vhpet_check(&bad), -EINVAL);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_capabilities),      T(test_counter), T(test_one_shot), T(test_one_shot_32),
        T(test_periodic),          T(test_level),   T(test_legacy),   T(test_routes),
        T(test_period_of_64_bits), T(test_saved),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
