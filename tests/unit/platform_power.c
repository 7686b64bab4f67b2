/* SPDX-License-Identifier: MIT */
/* platform/power: domain 0's values, the S5 package, the order of reset methods. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "machine.h"
#include "base/panic.h"
#include "base/param.h"
#include "lib/errno.h"
#include "platform/acpi.h"
#include "platform/power.h"

#define DSDT 0x20000u

static char trace[256];

static uint64_t port_read(void *data, uint64_t port, unsigned size)
{
    return port == 0x604 ? 1 : 0;
}

static void port_write(void *data, uint64_t port, unsigned size, uint64_t val)
{
    char line[32];

    snprintf(line, sizeof(line), "%lx=%lx/%u ", port, val, size);
    strncat(trace, line, sizeof(trace) - strlen(trace) - 1);
}

static void fresh(void)
{
    host_machine_init(4 << 20, 1);
    host_port_add(0, 0xffff, (struct host_device){port_read, port_write, NULL});
    memset(&acpi_info, 0, sizeof(acpi_info));
    acpi_info.pm1a_control = (struct acpi_register){true, true, 16, 0x604};
    *trace = 0;
}

static void from_domain0(void **state)
{
    fresh();
    assert_int_equal(power_enter_sleep(3, 0x2400, 0, false), -EINVAL);
    assert_int_equal(power_enter_sleep(5, 0x1400, 0, false), -EINVAL);
    assert_int_equal(power_enter_sleep(5, 0x12400, 0, false), -EINVAL);
    assert_int_equal(power_enter_sleep(5, 0x24, 0, true), -ENODEV);
    assert_string_equal(trace, "");
    assert_true(host_panics((void)!power_enter_sleep(5, 0x3401, 0x3401, false)));
    assert_string_equal(trace, "604=1401/2 604=3401/2 ");
    fresh();
    acpi_info.pm1a_control.present = false;
    assert_int_equal(power_enter_sleep(5, 0x2000, 0, false), -ENODEV);
    acpi_info.sleep_control = (struct acpi_register){true, true, 8, 0x700};
    acpi_info.sleep_status = (struct acpi_register){true, true, 8, 0x701};
    assert_int_equal(power_enter_sleep(5, 0x04, 0, true), -EINVAL);
    assert_true(host_panics((void)!power_enter_sleep(5, 0x34, 0x80, true)));
    assert_string_equal(trace, "701=80/1 700=34/1 ");
}

static void put_dsdt(const uint8_t *body, uint32_t len, uint32_t claimed)
{
    memset(host_ram(DSDT), 0, 0x1000);
    memcpy(host_ram(DSDT), "DSDT", 4);
    memcpy(host_ram(DSDT + 4), &claimed, 4);
    memcpy(host_ram(DSDT + 36), body, len);
    acpi_info.dsdt = DSDT;
}

static void s5_package(void **state)
{
    static const uint8_t good[] = {8, '_', 'S', '5', '_', 0x12, 6, 4, 10, 5, 10, 6, 0, 0};
    static const uint8_t ones[] = {8, '_', 'S', '5', '_', 0x12, 6, 4, 1, 0, 0, 0};
    static const uint8_t odd[] = {8, '_', 'S', '5', '_', 0x12, 6, 4, 10, 9, 0, 0};

    fresh();
    put_dsdt(good, sizeof(good), 36 + sizeof(good));
    power_init();
    acpi_info.pm1b_control = (struct acpi_register){true, true, 16, 0x606};
    assert_true(host_panics(power_off()));
    assert_string_equal(trace, "604=1401/2 606=1801/2 604=3401/2 606=3801/2 ");
    fresh();
    put_dsdt(ones, sizeof(ones), 36 + sizeof(ones));
    power_init();
    assert_true(host_panics(power_off()));
    assert_string_equal(trace, "604=401/2 604=2401/2 ");
    /* Cut at every byte, impossible types, absurd lengths: halts without touching anything. */
    for (volatile uint32_t cut = 0; cut < 10; cut++) {
        fresh();
        put_dsdt(good, sizeof(good), 36 + cut);
        power_init();
        assert_true(host_panics(power_off()));
        assert_string_equal(trace, "");
    }
    fresh();
    put_dsdt(odd, sizeof(odd), 36 + sizeof(odd));
    power_init();
    assert_true(host_panics(power_off()));
    assert_string_equal(trace, "");
    fresh();
    put_dsdt(good, sizeof(good), ~0u);
    power_init();
    assert_true(host_panics(power_off()));
    assert_string_equal(trace, "");
}

static void reset_order(void **state)
{
    fresh();
    acpi_info.reset = (struct acpi_register){true, true, 8, 0xcf9};
    acpi_info.reset_value = 15;
    power_init();
    assert_true(host_panics(power_reboot()));
    assert_string_equal(trace, "cf9=f/1 cf9=f/1 cf9=2/1 cf9=6/1 64=fe/1 ");
    fresh();
    param_parse("reboot=kbd");
    assert_true(host_panics(power_reboot()));
    assert_string_equal(trace, "64=fe/1 cf9=2/1 cf9=6/1 64=fe/1 ");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(from_domain0),
        cmocka_unit_test(s5_package),
        cmocka_unit_test(reset_order),
    };
    return cmocka_run_group_tests_name("platform_power", tests, NULL, NULL);
}
