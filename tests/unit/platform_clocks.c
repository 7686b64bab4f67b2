/* SPDX-License-Identifier: MIT */
/* platform/clocks: HPET, PM timer, PIT, the choice among them; the local APIC's timer. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "machine.h"
#include "base/param.h"
#include "platform/acpi.h"
#include "platform/clocks.h"
#include "platform/lapic.h"
#include "platform/vectors.h"

#define HPET     0xfed00000u
#define LAPIC    0xfee00000u
#define TSC_HZ   2000000000ull
#define APIC_HZ  62500000ull
#define PMT_PORT 0x608

static uint32_t hpet_regs[256], lapic_regs[256];
static bool hpet_dead, pmt_dead, pit_dead;
static uint64_t lapic_started;
static uint8_t port61;
static unsigned pit_half;
static uint16_t pit_latched;

static uint64_t ticks(uint64_t hz)
{
    host_tsc += 300;
    return (uint64_t)((unsigned __int128)host_tsc * hz / TSC_HZ);
}

static uint64_t hpet_read(void *data, uint64_t at, unsigned size)
{
    if (at == 0xf0)
        return hpet_dead || !(hpet_regs[4] & 1) ? 5 : (uint32_t)ticks(14318180);
    return hpet_regs[at / 4];
}

static void hpet_write(void *data, uint64_t at, unsigned size, uint64_t val)
{
    hpet_regs[at / 4] = (uint32_t)val;
}

static uint64_t pmt_read(void *data, uint64_t port, unsigned size)
{
    assert_int_equal(size, 4);
    return pmt_dead ? 7 : ticks(3579545) & 0xffffff;
}

static uint64_t pit_read(void *data, uint64_t port, unsigned size)
{
    if (port == 0x61)
        return port61;
    if (pit_dead || !(port61 & 1))
        return 0;
    return (uint8_t)(pit_latched >> (pit_half++ % 2 * 8));
}

static void pit_write(void *data, uint64_t port, unsigned size, uint64_t val)
{
    if (port == 0x61)
        port61 = (uint8_t)val;
    if (port == 0x43 && val == 0x80) {
        pit_latched = (uint16_t)(0 - ticks(1193182));
        pit_half = 0;
    }
}

static uint64_t lapic_read(void *data, uint64_t at, unsigned size)
{
    if (at == 0x30)
        return 0x50014;
    if (at == 0x390)
        return lapic_regs[0x38] - (uint32_t)(ticks(APIC_HZ) - lapic_started);
    return lapic_regs[at >> 4];
}

static void lapic_write(void *data, uint64_t at, unsigned size, uint64_t val)
{
    lapic_regs[at >> 4] = (uint32_t)val;
    if (at == 0x380)
        lapic_started = ticks(APIC_HZ);
}

static void fresh(void)
{
    host_machine_init(1 << 20, 1);
    memset(hpet_regs, 0, sizeof(hpet_regs));
    hpet_regs[0] = 0x8086a201;
    hpet_regs[1] = 69841279; /* fs */
    hpet_regs[0x100 / 4] = 4;
    hpet_regs[4] = 2;
    host_mmio_add(HPET, 1024, (struct host_device){hpet_read, hpet_write, NULL});
    host_mmio_add(LAPIC, 4096, (struct host_device){lapic_read, lapic_write, NULL});
    host_port_add(PMT_PORT, PMT_PORT + 3, (struct host_device){pmt_read, NULL, NULL});
    host_port_add(0x40, 0x43, (struct host_device){pit_read, pit_write, NULL});
    host_port_add(0x61, 0x61, (struct host_device){pit_read, pit_write, NULL});
    hpet_dead = pmt_dead = pit_dead = false;
    memset(&acpi_info, 0, sizeof(acpi_info));
    acpi_info.hpet_address = HPET;
    acpi_info.pm_timer = (struct acpi_register){true, true, 32, PMT_PORT};
}

static void choice(void **state)
{
    fresh();
    assert_string_equal(platform_clock_init()->name, "HPET");
    assert_in_range(platform_clock->hz, 14318179, 14318181);
    assert_int_equal(hpet_regs[0x100 / 4] & 4, 0); /* its interrupt is off */
    assert_int_equal(hpet_regs[4] & 3, 1);
    fresh();
    hpet_dead = true;
    assert_string_equal(platform_clock_init()->name, "ACPI PM timer");
    assert_int_equal(platform_clock->bits, 24);
    assert_non_null(strstr(host_log(), "does not count"));
    fresh();
    hpet_regs[1] = 200000000; /* slower than the specification allows */
    pmt_dead = true;
    assert_string_equal(platform_clock_init()->name, "PIT");
    fresh();
    param_parse("clocksource=pit");
    assert_string_equal(platform_clock_init()->name, "PIT");
    param_parse("clocksource=acpi");
    assert_string_equal(platform_clock_init()->name, "ACPI PM timer");
    param_parse("clocksource=");
    fresh();
    hpet_regs[1] = 0;
    pmt_dead = pit_dead = true;
    assert_null(platform_clock_init());
    platform_delay(1000); /* ends all the same */
}

static void absent(void **state)
{
    fresh();
    assert_null(hpet_init(0));
    assert_null(hpet_init(HPET + 4));
    assert_null(hpet_init(0xfed80000)); /* floating: all ones */
    acpi_info.pm_timer.io = false;
    assert_null(pmtimer_init());
    acpi_info.pm_timer = (struct acpi_register){true, true, 32, 0xffff};
    assert_null(pmtimer_init());
}

static void delays(void **state)
{
    static const char *const names[] = {"clocksource=hpet", "clocksource=acpi", "clocksource=pit"};

    for (unsigned i = 0; i < 3; i++) {
        uint64_t start;

        fresh();
        param_parse(names[i]);
        assert_non_null(platform_clock_init());
        start = host_tsc;
        platform_delay(100000000); /* longer than the PIT's period */
        assert_in_range(host_tsc - start, TSC_HZ / 10, TSC_HZ / 10 + TSC_HZ / 1000);
    }
    param_parse("clocksource=");
}

static void apic_timer(void **state)
{
    const struct timer_device *d;

    fresh();
    (void)platform_clock_init();
    assert_int_equal(lapic_init(0), 0); /* where the MSR says */
    d = lapic_timer_init(platform_clock);
    assert_string_equal(d->name, "local APIC");
    d->arm(0, 1000000); /* 1 ms */
    assert_in_range(lapic_regs[0x38], 62400, 62600);
    assert_int_equal(lapic_regs[0x32], VECTOR_TIMER);
    d->arm(0, 0);
    assert_int_equal(lapic_regs[0x38], 1);
    d->arm(0, UINT64_MAX);
    assert_int_equal(lapic_regs[0x38], UINT32_MAX);
    d->stop();
    assert_int_equal(lapic_regs[0x38], 0);
}

static void deadline_timer(void **state)
{
    const struct timer_device *d;
    struct cpuid_leaf l;

    fresh();
    l = hw_cpuid(1, 0);
    l.c |= 1u << 24;
    host_cpuid_set(1, 0, l);
    assert_int_equal(lapic_init(LAPIC), 0);
    d = lapic_timer_init(NULL);
    assert_string_equal(d->name, "TSC deadline");
    assert_int_equal(lapic_regs[0x32], VECTOR_TIMER | 0x40000);
    d->arm(12345, 10);
    assert_int_equal(rdmsr(MSR_TSC_DEADLINE), 12345);
    d->arm(0, 0);
    assert_int_equal(rdmsr(MSR_TSC_DEADLINE), 1);
    d->stop();
    assert_int_equal(rdmsr(MSR_TSC_DEADLINE), 0);
}

static void x2apic_mode(void **state)
{
    fresh();
    host_msr_set(MSR_APIC_BASE, LAPIC | APIC_BASE_ENABLE | APIC_BASE_X2APIC);
    for (uint32_t msr = 0x800; msr < 0x840; msr++)
        host_msr_set(msr, 0);
    host_msr_set(0x802, 0x12345);
    host_msr_set(0x803, 0x50014);
    host_msr_remove(0x80e); /* not there in this mode */
    host_msr_remove(0x831);
    assert_int_equal(lapic_init(LAPIC), 0);
    assert_true(lapic_x2apic());
    assert_int_equal(cpu_apic_id[0], 0x12345);
    lapic_send_ipi(0, 0xf9);
    assert_int_equal(rdmsr(0x830), 0x12345000040f9ull);
    lapic_send_ipi_self(0xf9);
    assert_int_equal(rdmsr(0x83f), 0xf9);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(choice),         cmocka_unit_test(absent),
        cmocka_unit_test(delays),         cmocka_unit_test(apic_timer),
        cmocka_unit_test(deadline_timer), cmocka_unit_test(x2apic_mode),
    };
    return cmocka_run_group_tests_name("platform_clocks", tests, NULL, NULL);
}
