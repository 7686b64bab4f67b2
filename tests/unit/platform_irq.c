/* SPDX-License-Identifier: MIT */
/* platform/irq, ioapic, lapic, i8259: routes in the chip, the flow of edge and level, moving,
 * sharing of vectors, spurious ones. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "machine.h"
#include "lib/errno.h"
#include "platform/acpi.h"
#include "platform/i8259.h"
#include "platform/ioapic.h"
#include "platform/irq.h"
#include "platform/lapic.h"

#define IOAPIC1 0xfec00000u
#define IOAPIC2 0xfec10000u
#define LAPIC   0xfee00000u

struct chip {
    uint32_t select, pins;
    uint32_t reg[0x10 + 2 * 240];
};

static struct chip chip1 = {.pins = 24}, chip2 = {.pins = 4}, dead;
static uint32_t lapic[256];
static unsigned eois;
static unsigned handled, handled_cpu;
static struct irq *end_in_handler;

static uint64_t ioapic_reg_read(void *data, uint64_t at, unsigned size)
{
    struct chip *c = data;

    assert_int_equal(size, 4);
    if (at != 0x10)
        return c->select;
    if (!c->pins)
        return 0xffffffff;
    if (c->select == 1)
        return 0x20 | (c->pins - 1) << 16;
    return c->reg[c->select];
}

static void ioapic_reg_write(void *data, uint64_t at, unsigned size, uint64_t val)
{
    struct chip *c = data;

    if (at == 0)
        c->select = (uint32_t)val;
    else if (at == 0x10)
        c->reg[c->select] = (uint32_t)val;
}

static uint64_t lapic_reg_read(void *data, uint64_t at, unsigned size)
{
    if (at == 0x20)
        return (uint64_t)(cpu_id() * 2) << 24;
    if (at == 0x30)
        return 0x50014;
    return lapic[at >> 4];
}

static void lapic_reg_write(void *data, uint64_t at, unsigned size, uint64_t val)
{
    assert_int_equal(at % 16, 0);
    if (at == 0xb0)
        eois++;
    lapic[at >> 4] = (uint32_t)val;
}

static uint32_t route(struct chip *c, unsigned pin)
{
    return c->reg[0x10 + 2 * pin];
}

static uint32_t route_high(struct chip *c, unsigned pin)
{
    return c->reg[0x11 + 2 * pin];
}

static void handler(struct irq *irq, void *data)
{
    assert_ptr_equal(data, &handled);
    assert_false(lock_held(&irq->lock));
    handled++;
    handled_cpu = cpu_id();
    if (end_in_handler)
        irq_end(end_in_handler);
}

static int set_up(void **state)
{
    host_machine_init(16 << 20, 3);
    host_memory_init();
    host_mmio_add(LAPIC, 4096, (struct host_device){lapic_reg_read, lapic_reg_write, NULL});
    host_mmio_add(IOAPIC1, 4096, (struct host_device){ioapic_reg_read, ioapic_reg_write, &chip1});
    host_mmio_add(IOAPIC2, 4096, (struct host_device){ioapic_reg_read, ioapic_reg_write, &chip2});
    host_mmio_add(0xfec20000, 4096, (struct host_device){ioapic_reg_read, ioapic_reg_write, &dead});
    if (lapic_init(LAPIC))
        return -1;
    for (unsigned n = 1; n < 3; n++) {
        host_cpu_select(n);
        lapic_init_cpu();
    }
    host_cpu_select(0);
    if (ioapic_add(1, IOAPIC1, 0) || ioapic_add(2, IOAPIC2, 30))
        return -1;
    acpi_info.nr_overrides = 3;
    acpi_info.override[0] = (struct acpi_override){0, 2, false, false};
    acpi_info.override[1] = (struct acpi_override){9, 9, true, true};
    acpi_info.override[2] = (struct acpi_override){10, 200, true, true};
    i8259_disable();
    return irq_init();
}

static void chips(void **state)
{
    uint32_t v;

    assert_int_equal(cpu_apic_id[2], 4);
    assert_int_equal(lapic[0xf], 0x1ff);
    assert_int_equal(ioapic_gsi_count(), 34);
    assert_true(ioapic_has_gsi(23));
    assert_false(ioapic_has_gsi(24));
    assert_true(ioapic_has_gsi(33));
    assert_false(ioapic_has_gsi(34));
    assert_true(route(&chip1, 5) & 0x10000);
    /* Not answering, overlapping, too far. */
    assert_int_equal(ioapic_add(3, 0xfec20000, 50), -EINVAL);
    assert_int_equal(ioapic_add(3, IOAPIC2, 23), -EINVAL);
    assert_int_equal(ioapic_add(3, IOAPIC2, 0x10000), -EINVAL);
    assert_int_equal(ioapic_address(1), IOAPIC2);
    assert_int_equal(ioapic_address(2), 0);
    assert_int_equal(ioapic_read_register(IOAPIC1, 1, &v), 0);
    assert_int_equal(v, 0x170020);
    assert_int_equal(ioapic_read_register(IOAPIC1, 0x10 + 48, &v), -EINVAL);
    assert_int_equal(ioapic_read_register(IOAPIC1, 3, &v), -EINVAL);
    assert_int_equal(ioapic_read_register(IOAPIC1 + 8, 1, &v), -EINVAL);
    assert_true(host_panics(ioapic_get(24)));
}

static void overrides(void **state)
{
    assert_int_equal(irq_isa_to_gsi(0), 2);
    assert_int_equal(irq_isa_to_gsi(1), 1);
    assert_non_null(strstr(host_log(), "GSI 200, which no IO-APIC has"));
    assert_int_equal(route(&chip1, 9) & 0xa000, 0xa000);
    assert_int_equal(irq_gsi_setup(9, false, false), -EEXIST);
    assert_int_equal(irq_gsi_setup(17, true, true), 0);
    assert_int_equal(irq_gsi_setup(17, true, true), -EEXIST);
    assert_int_equal(irq_gsi_setup(25, true, true), -EINVAL);
    assert_int_equal(irq_gsi_setup(~0u, true, true), -EINVAL);
    assert_null(irq_of_gsi(24));
}

static void edge(void **state)
{
    struct irq *irq = irq_of_gsi(4);

    assert_int_equal(irq_request(irq, handler, &handled), 0);
    assert_int_equal(irq_request(irq, handler, &handled), -EBUSY);
    assert_int_equal(route(&chip1, 4), irq->vector);
    assert_int_equal(route_high(&chip1, 4), 0);
    eois = handled = 0;
    irq_dispatch(irq->vector);
    assert_int_equal(handled, 1);
    assert_int_equal(eois, 1);
    assert_int_equal(route(&chip1, 4) & 0x10000, 0);
    irq_end(irq); /* no effect */
    irq_mask(irq);
    assert_true(route(&chip1, 4) & 0x10000);
    irq_unmask(irq);
    assert_false(route(&chip1, 4) & 0x10000);
    irq_release(irq);
    irq_release(irq);
    assert_true(route(&chip1, 4) & 0x10000);
}

static void level(void **state)
{
    struct irq *irq = irq_of_gsi(17);

    assert_int_equal(irq_request(irq, handler, &handled), 0);
    handled = eois = 0;
    irq_dispatch(irq->vector);
    assert_int_equal(handled, 1);
    assert_int_equal(eois, 1);
    assert_true(route(&chip1, 17) & 0x10000);
    /* Masked by its owner meanwhile: the end does not unmask. */
    irq_mask(irq);
    irq_end(irq);
    assert_true(route(&chip1, 17) & 0x10000);
    irq_unmask(irq);
    assert_false(route(&chip1, 17) & 0x10000);
    end_in_handler = irq;
    irq_dispatch(irq->vector);
    end_in_handler = NULL;
    assert_false(route(&chip1, 17) & 0x10000);
    /* Unmask during the wait leaves it to the end. */
    irq_dispatch(irq->vector);
    irq_mask(irq);
    irq_unmask(irq);
    assert_true(route(&chip1, 17) & 0x10000);
    irq_end(irq);
    assert_false(route(&chip1, 17) & 0x10000);
    irq_release(irq);
}

static void moved(void **state)
{
    struct irq *irq = irq_of_gsi(31);
    unsigned old;

    assert_int_equal(irq_request(irq, handler, &handled), 0);
    old = irq->vector;
    assert_int_equal(irq_set_cpu(irq, 2), 0);
    assert_int_equal(irq_set_cpu(irq, 2), 0);
    assert_int_equal(route_high(&chip2, 1), 4u << 24);
    handled = 0;
    irq_dispatch(old); /* was on its way */
    assert_int_equal(handled, 1);
    host_cpu_select(2);
    irq_dispatch(irq->vector);
    assert_int_equal(handled, 2);
    assert_int_equal(handled_cpu, 2);
    host_cpu_select(0);
    host_log();
    irq_dispatch(old); /* now nobody's */
    assert_int_equal(handled, 2);
    assert_non_null(strstr(host_log(), "spurious"));
    assert_int_equal(irq_set_cpu(irq, 1), 0);
    assert_int_equal(irq_set_cpu(irq, 0), 0);
    irq_release(irq);
    irq_synchronize(irq);
    host_cpu_select(2);
    irq_dispatch(0x40);
    assert_int_equal(handled, 2);
    host_cpu_select(0);
}

static unsigned msi_masked, msi_targets;

static void msi_set_masked(struct irq *irq, bool masked)
{
    msi_masked = masked;
}

static void msi_set_target(struct irq *irq, uint32_t apic_id, unsigned vector)
{
    assert_true(vector >= VECTOR_DYNAMIC && vector <= VECTOR_DYNAMIC_LAST);
    assert_true(vector != 0x80 && vector != 0x82);
    msi_targets++;
}

static void vectors_run_out(void **state)
{
    static const struct irq_chip chip = {"test", msi_set_masked, msi_set_target};
    static struct irq *all[400];
    unsigned n;

    for (n = 0; n < 400; n++) {
        all[n] = irq_msi_get(&chip, NULL);
        assert_non_null(all[n]);
        if (irq_request(all[n], handler, &handled))
            break;
    }
    assert_int_equal(n, 190); /* 192 without the guests' two */
    assert_int_equal(irq_request(all[n], handler, &handled), -ENOSPC);
    /* Elsewhere there are more. */
    host_cpu_select(1);
    assert_int_equal(irq_request(all[n], handler, &handled), 0);
    assert_int_equal(irq_set_cpu(all[n], 0), -ENOSPC);
    assert_int_equal(all[n]->cpu, 1);
    host_cpu_select(0);
    handled = 0;
    for (unsigned v = 0x20; v < 0xf0; v++)
        irq_dispatch(v);
    assert_int_equal(handled, 190);
    for (unsigned i = 0; i <= n; i++)
        irq_msi_put(all[i]);
    for (unsigned v = 0x20; v < 0xf0; v++)
        irq_dispatch(v);
    assert_int_equal(handled, 190);
}

static unsigned fixed_calls;

static void fixed(void)
{
    fixed_calls++;
}

static void fixed_and_spurious(void **state)
{
    irq_vector_set(VECTOR_TIMER, fixed);
    eois = 0;
    irq_dispatch(VECTOR_TIMER);
    assert_int_equal(fixed_calls, 1);
    assert_int_equal(eois, 1);
    irq_dispatch(VECTOR_SPURIOUS); /* not in service: no EOI */
    assert_int_equal(eois, 1);
    lapic[0x10 + 0xf3 / 32] |= 1u << 0xf3 % 32;
    irq_dispatch(0xf3);
    assert_int_equal(eois, 2);
    irq_dispatch(VECTOR_8259 + 7);
    irq_dispatch(VECTOR_8259 + 15);
    assert_true(host_panics(irq_vector_set(0x40, fixed)));
    irq_dump();
    ioapic_dump();
}

static void ipis(void **state)
{
    struct cpu_mask mask = {{0}};

    lapic_send_ipi(2, VECTOR_KICK);
    assert_int_equal(lapic[0x31], 4u << 24);
    assert_int_equal(lapic[0x30], 0x4000 | VECTOR_KICK);
    bitmap_set(mask.bits, 1);
    lapic_send_ipi_mask(&mask, VECTOR_TLB);
    assert_int_equal(lapic[0x31], 2u << 24);
    lapic_send_startup(4, 8);
    assert_int_equal(lapic[0x30], 0x4608);
    lapic_send_nmi_others();
    assert_int_equal(lapic[0x31], 4u << 24);
    assert_int_equal(lapic[0x30], 0x4400);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(overrides),
        cmocka_unit_test(chips),
        cmocka_unit_test(edge),
        cmocka_unit_test(level),
        cmocka_unit_test(moved),
        cmocka_unit_test(vectors_run_out),
        cmocka_unit_test(fixed_and_spurious),
        cmocka_unit_test(ipis),
    };
    return cmocka_run_group_tests_name("platform_irq", tests, set_up, NULL);
}
