/* SPDX-License-Identifier: MIT */
/* devices/vpm: ACPI specification, 4.8.3.1 and 4.8.3.3; public hvm/ioreq.h for the ports. */
#include "devices_clock.h"

#include "devices/vpm.h"

#define V0  0x1f40
#define V1  0xb000
#define PIN 9

static struct vpm p;

static int setup(void **state)
{
    clock_setup();
    vpm_init(&p, &irqs);
    vpm_attach(&p, &ports);
    open_pin(PIN, true);
    return 0;
}

static int teardown(void **state)
{
    vpm_stop(&p);
    assert_int_equal(timer_next(), UINT64_MAX);
    return 0;
}

static uint32_t read(uint16_t port, unsigned bytes)
{
    uint64_t val;

    assert_true(vbus_read(&ports, port, bytes, &val));
    return (uint32_t)val;
}

static void test_timer(void **state)
{
    uint32_t first = read(V0 + 8, 4), second;

    pass(SECOND);
    second = read(V0 + 8, 4);
    assert_in_range(second - first, VPM_HZ - 1, VPM_HZ + 1);
    assert_int_equal(read(V0 + 9, 1), second >> 8 & 0xff);
    assert_true(vbus_write(&ports, V0 + 8, 4, 0)); /* is read-only */
    assert_int_equal(read(V0 + 8, 4), second);
}

/* The top bit changes every 2^31 ticks: ten minutes. */
static void test_overflow(void **state)
{
    pass(599 * SECOND);
    assert_int_equal(read(V0, 2), 0);
    pass(SECOND);
    assert_int_equal(read(V0, 2), 1);
    assert_int_equal(by_pin(PIN), 0);
    vbus_write(&ports, V0, 2, 1);
    assert_int_equal(read(V0, 2), 0);
    vbus_write(&ports, V0 + 2, 2, 1);
    pass(599 * SECOND);
    assert_int_equal(by_pin(PIN), 0);
    pass(SECOND);
    assert_int_equal(by_pin(PIN), 1);
    assert_int_equal(read(V0, 2), 1);
    vbus_write(&ports, V0, 2, 1);
    virq_eoi(&irqs, 0x40 + PIN);
    assert_int_equal(by_pin(PIN), 0);
    pass(600 * SECOND);
    assert_int_equal(by_pin(PIN), 1);
}

static void test_buttons(void **state)
{
    vpm_press_power(&p);
    assert_int_equal(read(V0, 2), 0x100);
    assert_int_equal(by_pin(PIN), 0);
    vbus_write(&ports, V0 + 2, 2, 0x300);
    assert_int_equal(by_pin(PIN), 1);
    vpm_press_sleep(&p);
    assert_int_equal(read(V0 + 1, 1), 3);
    vbus_write(&ports, V0 + 1, 1, 1); /* one of them, by its byte */
    assert_int_equal(read(V0, 2), 0x200);
    virq_eoi(&irqs, 0x40 + PIN);
    assert_int_equal(by_pin(PIN), 1);      /* the other still asks */
    vbus_write(&ports, V0, 4, 0x03000200); /* both registers at once */
    assert_int_equal(read(V0, 4), 0x03000000);
    virq_eoi(&irqs, 0x40 + PIN);
    assert_int_equal(by_pin(PIN), 0);
}

static void test_enable(void **state)
{
    vbus_write(&ports, V0 + 2, 2, 0xffff);
    assert_int_equal(read(V0 + 2, 2), 0x0721);
    vbus_write(&ports, V0 + 3, 1, 0);
    assert_int_equal(read(V0 + 2, 2), 0x0021);
    vbus_write(&ports, V0, 2, 0xffff);
    assert_int_equal(read(V0, 4), 0x00210000);
}

static void test_place(void **state)
{
    uint64_t val;

    assert_false(vbus_read(&ports, V1, 2, &val));
    vpm_locate(&p, 1);
    assert_int_equal(read(V1, 2), 0);
    assert_false(vbus_read(&ports, V0, 2, &val));
    assert_false(vbus_read(&ports, V1 + 4, 2, &val)); /* PM1a_CNT */
    assert_false(vbus_write(&ports, V1 + 4, 2, 0x2000));
    vpm_locate(&p, 0);
    assert_int_equal(read(V0, 2), 0);
}

static void test_saved(void **state)
{
    struct hvm_hw_pmtimer r;

    vpm_press_power(&p);
    vbus_write(&ports, V0 + 2, 2, 1);
    pass(100 * SECOND);
    vpm_save(&p, &r);
    assert_int_equal(r.pm1a_sts, 0x100);
    assert_int_equal(r.pm1a_en, 1);
    assert_int_equal(r.tmr_val, read(V0 + 8, 4));
    r.tmr_val = 0x7fffffff;
    r.pm1a_en = 0x101;
    assert_int_equal(vpm_check(&r), 0);
    vpm_load(&p, &r);
    assert_int_equal(by_pin(PIN), 1);
    assert_in_range(read(V0 + 8, 4), 0x7fffffff, 0x80000000);
    assert_int_equal(read(V0, 2), 0x100);
    pass(1000);
    assert_int_equal(read(V0, 2), 0x101);
    r.tmr_val = 0;
    assert_int_equal(vpm_check(&r), 0);
    vpm_load(&p, &r);
    assert_int_equal(read(V0 + 8, 4), 0);
    r.pm1a_sts = 0x2;
    assert_int_equal(vpm_check(&r), -EINVAL);
    r.pm1a_sts = 0;
    r.pm1a_en = 0x8000;
    assert_int_equal(vpm_check(&r), -EINVAL);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_timer),  T(test_overflow), T(test_buttons),
        T(test_enable), T(test_place),    T(test_saved),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
