/* SPDX-License-Identifier: MIT */
/* devices/virq and devices/vbus: which pin leads where, by the public headers and the firmware's
 * tables, and the registers of the controllers at their addresses. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "machine.h"
#include "devices/virq.h"
#include "lib/errno.h"
#include "lib/util.h"

static struct virqs q;
static struct vbus ports, memory;
static unsigned messages, intrs;
static uint32_t last_icr, waiting;

static bool message(void *owner, uint32_t icr, uint8_t dest)
{
    messages++;
    last_icr = icr;
    return true;
}

static void intr(void *owner, bool high)
{
    intrs += high;
}

static bool message_waits(void *owner, uint32_t icr, uint8_t dest)
{
    return waiting && (icr & 0xff) == waiting;
}

static const struct virq_ops ops = {message, intr, message_waits};

static void out(uint16_t port, uint8_t val)
{
    assert_true(vbus_write(&ports, port, 1, val));
}

static uint8_t in(uint16_t port)
{
    uint64_t val;

    assert_true(vbus_read(&ports, port, 1, &val));
    return (uint8_t)val;
}

static void start_pics(void)
{
    static const uint8_t words[][2] = {{0x20, 0x11}, {0x21, 0x20}, {0x21, 4}, {0x21, 1},
                                       {0xa0, 0x11}, {0xa1, 0x28}, {0xa1, 2}, {0xa1, 1}};

    for (unsigned i = 0; i < ARRAY_SIZE(words); i++)
        out(words[i][0], words[i][1]);
}

static void set_pin(unsigned pin, uint32_t low)
{
    assert_true(vbus_write(&memory, VIOAPIC_BASE, 4, 0x10 + 2 * pin));
    assert_true(vbus_write(&memory, VIOAPIC_BASE + 0x10, 4, low));
}

static int setup(void **state)
{
    host_machine_init(1 << 20, 1);
    memset(&ports, 0, sizeof(ports));
    memset(&memory, 0, sizeof(memory));
    virq_init(&q, &ops, NULL, true, true);
    virq_attach(&q, &ports, &memory);
    start_pics();
    messages = intrs = waiting = 0;
    return 0;
}

static void end(unsigned irq)
{
    if (irq >= 8)
        out(0xa0, 0x20);
    out(0x20, 0x20);
}

static void test_isa(void **state)
{
    for (unsigned irq = 1; irq < 16; irq++) {
        if (irq == VIRQ_CASCADE)
            continue;
        set_pin(irq, 0x40 + irq);
        messages = 0;
        assert_int_equal(virq_set_isa(&q, irq, true), 0);
        assert_int_equal(virq_acknowledge(&q), 0x20 + irq);
        assert_int_equal(messages, 1);
        assert_int_equal(last_icr, 0x40 + irq);
        assert_int_equal(virq_set_isa(&q, irq, false), 0);
        end(irq);
        assert_int_equal(virq_acknowledge(&q), -1);
    }
    assert_int_equal(virq_set_isa(&q, 16, true), -EINVAL);
}

/* The timer is on pin 2 of the IO-APIC, and 0 of the PIC. */
static void test_timer(void **state)
{
    set_pin(2, 0x50);
    virq_pulse(&q, VIRQ_CHIP, VIRQ_PIT);
    assert_int_equal(messages, 1);
    assert_true(virq_waits(&q, 0) == false);
    waiting = 0x50;
    assert_true(virq_waits(&q, 0));
    set_pin(2, 0x50 | VIOAPIC_MASKED);
    assert_true(virq_waits(&q, 0)); /* the PIC's */
    assert_int_equal(virq_acknowledge(&q), 0x20);
    assert_false(virq_waits(&q, 0));
    end(0);
    virq_replace_legacy(&q, true);
    virq_pulse(&q, VIRQ_CHIP, VIRQ_PIT);
    assert_false(virq_intr(&q));
    virq_pulse(&q, VIRQ_HPET, VIRQ_PIT);
    assert_true(virq_intr(&q));
}

static void test_replaced_level(void **state)
{
    virq_set(&q, VIRQ_CHIP, VIRQ_RTC, true);
    virq_replace_legacy(&q, true);
    assert_int_equal(q.high, 0);
    virq_replace_legacy(&q, false);
    assert_int_equal(q.high, BIT(VIRQ_RTC));
}

static void test_shared_line(void **state)
{
    virq_set(&q, VIRQ_CHIP, VIRQ_SCI, true);
    assert_int_equal(virq_set_isa(&q, VIRQ_SCI, true), 0);
    virq_set(&q, VIRQ_CHIP, VIRQ_SCI, false);
    assert_int_equal(q.high, BIT(VIRQ_SCI));
    assert_int_equal(virq_set_isa(&q, VIRQ_SCI, false), 0);
    assert_int_equal(q.high, 0);
}

static void test_pci(void **state)
{
    assert_int_equal(virq_pci_line(3, 0), 28);
    assert_int_equal(virq_pci_line(8, 1), 16 + 2);
    assert_int_equal(virq_pci_line(31, 3), 16 + 2);
    set_pin(28, 0x60 | VIOAPIC_LEVEL);
    out(0x4d1, 0x0c); /* lines 10 and 11 are levels */
    assert_int_equal(virq_set_link(&q, 3, 10), 0);
    assert_int_equal(virq_set_pci(&q, 3, 0, true), 0);
    assert_int_equal(messages, 1);
    assert_int_equal(virq_acknowledge(&q), 0x2a);
    end(10);
    assert_int_equal(virq_set_pci(&q, 11, 0, true), 0); /* on the same link */
    assert_int_equal(virq_set_pci(&q, 3, 0, false), 0);
    assert_int_equal(virq_acknowledge(&q), 0x2a); /* still high */
    end(10);
    assert_int_equal(virq_set_link(&q, 3, 11), 0);
    assert_int_equal(virq_acknowledge(&q), 0x2b);
    end(11);
    assert_int_equal(virq_set_link(&q, 3, 0), 0); /* disabled */
    assert_false(virq_intr(&q));
    virq_eoi(&q, 0x60);
    assert_int_equal(messages, 1); /* its own line is low */
    assert_int_equal(virq_set_pci(&q, 32, 0, true), -EINVAL);
    assert_int_equal(virq_set_pci(&q, 0, 4, true), -EINVAL);
    assert_int_equal(virq_set_link(&q, 4, 1), -EINVAL);
    assert_int_equal(virq_set_link(&q, 0, 16), -EINVAL);
}

static void test_ports(void **state)
{
    uint64_t val;

    out(0x21, 0x5a);
    out(0xa1, 0xa5);
    assert_int_equal(in(0x21), 0x5a);
    assert_int_equal(in(0xa1), 0xa5);
    out(0x4d0, 0xff);
    assert_int_equal(in(0x4d0), 0xf8);
    assert_false(vbus_read(&ports, 0x22, 1, &val));
    assert_false(vbus_write(&ports, 0x1f, 2, 0));
    assert_true(vbus_read(&ports, 0x21, 4, &val)); /* the rest is open */
    assert_int_equal(val, 0xffffff5a);
    assert_true(vbus_write(&ports, 0x20, 2, 0x330b)); /* two commands: read ISR; the mask */
    assert_int_equal(in(0x21), 0x33);
}

static void test_memory(void **state)
{
    uint64_t val;

    assert_true(vbus_write(&memory, VIOAPIC_BASE, 1, 1)); /* the index as a byte */
    assert_true(vbus_read(&memory, VIOAPIC_BASE + 0x10, 4, &val));
    assert_int_equal(val, 0x002f0011);
    assert_true(vbus_read(&memory, VIOAPIC_BASE + 0x12, 1, &val));
    assert_int_equal(val, 0x2f);
    assert_true(vbus_read(&memory, VIOAPIC_BASE, 8, &val));
    assert_int_equal(val, 1);
    assert_true(vbus_write(&memory, VIOAPIC_BASE, 4, 0x10));
    assert_true(vbus_write(&memory, VIOAPIC_BASE + 0x10, 2, 0)); /* half a register */
    assert_true(vbus_read(&memory, VIOAPIC_BASE + 0x10, 4, &val));
    assert_int_equal(val, VIOAPIC_MASKED);
    assert_true(vbus_read(&memory, VIOAPIC_BASE + 0xfff, 1, &val));
    assert_false(vbus_read(&memory, VIOAPIC_BASE + 0x1000, 1, &val));
}

static void test_saved(void **state)
{
    struct hvm_hw_vpic pic[2];
    struct hvm_hw_vioapic ioapic;
    struct hvm_hw_isa_irqs isa;
    struct hvm_hw_pci_irqs pci;
    struct hvm_hw_pci_link link;

    set_pin(28, 0x60 | VIOAPIC_LEVEL);
    set_pin(5, 0x45);
    assert_int_equal(virq_set_pci(&q, 3, 0, true), 0);
    assert_int_equal(virq_set_link(&q, 3, 10), 0);
    assert_int_equal(virq_set_isa(&q, 5, true), 0);
    for (unsigned chip = 0; chip < 2; chip++)
        virq_save_pic(&q, chip, &pic[chip]);
    virq_save_ioapic(&q, &ioapic);
    virq_save_isa(&q, &isa);
    virq_save_pci(&q, &pci);
    virq_save_link(&q, &link);
    assert_int_equal(isa.pad[0], 1u << 5);
    assert_int_equal(pci.pad[0], 1u << 12);
    assert_int_equal(link.route[3], 10);

    virq_init(&q, &ops, NULL, true, true);
    messages = 0;
    for (unsigned chip = 0; chip < 2; chip++) {
        assert_int_equal(vpic_check(chip, &pic[chip]), 0);
        virq_load_pic(&q, chip, &pic[chip]);
    }
    assert_int_equal(vioapic_check(&ioapic), 0);
    virq_load_ioapic(&q, &ioapic);
    virq_load_pci(&q, &pci);
    assert_int_equal(virq_check_isa(&isa), 0);
    virq_load_isa(&q, &isa);
    assert_int_equal(virq_check_link(&link), 0);
    virq_load_link(&q, &link);
    assert_int_equal(messages, 0); /* all of it was sent before */
    assert_int_equal(virq_acknowledge(&q), 0x2a);
    end(10);
    assert_int_equal(virq_acknowledge(&q), 0x25);
    virq_eoi(&q, 0x60);
    assert_int_equal(messages, 1);

    isa.pad[0] = 0x10000;
    assert_int_equal(virq_check_isa(&isa), -EINVAL);
    isa.pad[0] = 0x0105; /* no device model's: the timer, the cascade, the clock */
    assert_int_equal(virq_check_isa(&isa), 0);
    virq_load_isa(&q, &isa);
    assert_int_equal(q.source[VIRQ_MODEL], 0);
    link.route[0] = 16;
    assert_int_equal(virq_check_link(&link), -EINVAL);
}

#define T(f) cmocka_unit_test_setup(f, setup)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_isa), T(test_timer), T(test_replaced_level), T(test_shared_line),
        T(test_pci), T(test_ports), T(test_memory),         T(test_saved),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
