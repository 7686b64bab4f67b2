/* SPDX-License-Identifier: MIT */
/* hvm/chips.c and chips_state.c: chips at the ports and addresses of a domain, their interrupts on
 * the way to its vCPUs, and their state among its records. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#define FX_VCPUS    2
#define FX_EMULATED (XEN_X86_EMU_ALL & ~XEN_X86_EMU_VPCI)
#include "hvm_fixture.h"
#include "hvm/chips.h"
#include "time/timer.h"

#define LINT0_EXTINT 0x700
#define LINT0_MASKED 0x10700
#define PM_V0        0x1f40
#define PM_V1        0xb000

static struct vcpu *second;

static void arm(uint64_t tsc, uint64_t delta_ns)
{
}

static void stop(void)
{
}

static void out(uint16_t port, uint8_t val)
{
    hvm_port_out(fx_d, port, 1, val);
}

static uint8_t in(uint16_t port)
{
    return (uint8_t)hvm_port_in(fx_d, port, 1);
}

static struct vlapic *lapic(const struct vcpu *v)
{
    return &v->hvm->lapic;
}

static void memory_write(uint64_t gpa, uint32_t val)
{
    assert_true(hvm_chip_access(fx_d, gpa, NULL, &val, 4));
}

static uint32_t memory_read(uint64_t gpa)
{
    uint32_t val;

    assert_true(hvm_chip_access(fx_d, gpa, &val, NULL, 4));
    return val;
}

static void set_pin(unsigned pin, uint32_t high, uint32_t low)
{
    memory_write(VIOAPIC_BASE, 0x11 + 2 * pin);
    memory_write(VIOAPIC_BASE + 0x10, high);
    memory_write(VIOAPIC_BASE, 0x10 + 2 * pin);
    memory_write(VIOAPIC_BASE + 0x10, low);
}

static int setup(void **state)
{
    static const uint8_t start[][2] = {{0x20, 0x11}, {0x21, 0x20}, {0x21, 4}, {0x21, 1},
                                       {0xa0, 0x11}, {0xa1, 0x28}, {0xa1, 2}, {0xa1, 1}};
    static const struct timer_device device = {"test", arm, stop};

    if (fx_setup(state) || vcpu_create(fx_d, 1, &second))
        return -1;
    timer_start(&device);
    for (unsigned i = 0; i < FX_VCPUS; i++)
        vlapic_write(lapic(fx_d->vcpu[i]), VLAPIC_SVR, 0x1ff);
    for (unsigned i = 0; i < ARRAY_SIZE(start); i++)
        out(start[i][0], start[i][1]);
    fx_hw.can_take = true;
    return 0;
}

static void line(unsigned irq, bool high)
{
    assert_int_equal(virq_set_isa(&fx_d->hvm_domain->chips->irqs, irq, high), 0);
}

static bool takes(struct vcpu *v, uint8_t vector)
{
    if (vlapic_pending(lapic(v)) != vector)
        return false;
    vlapic_acknowledge(lapic(v), vector);
    vlapic_write(lapic(v), VLAPIC_EOI, 0);
    return true;
}

static void test_pic_by_lint0(void **state)
{
    vlapic_write(lapic(fx_v), VLAPIC_LVT_LINT0, LINT0_MASKED);
    line(3, true);
    assert_false(hvm_event_waits(fx_v));
    vlapic_write(lapic(fx_v), VLAPIC_LVT_LINT0, LINT0_EXTINT);
    assert_true(hvm_event_waits(fx_v));
    assert_false(hvm_event_waits(second));
    fx_hw.can_take = false;
    hvm_deliver(fx_v);
    assert_int_equal(fx_hw.windows, 1);
    fx_hw.can_take = true;
    vlapic_accept(lapic(fx_v), 0xf0, false);
    hvm_deliver(fx_v); /* before anything of the local APIC's own */
    assert_int_equal(fx_hw.injected.type, HVM_EVENT_INTERRUPT);
    assert_int_equal(fx_hw.injected.vector, 0x23);
    hvm_deliver(fx_v);
    assert_int_equal(fx_hw.injected.vector, 0xf0);
    assert_int_equal(fx_hw.injections, 2);
    assert_int_equal(hvm_pic_acknowledge(fx_v), -1);
}

static void test_pic_wakes_a_halted_vcpu(void **state)
{
    vlapic_write(lapic(fx_v), VLAPIC_LVT_LINT0, LINT0_EXTINT);
    vcpu_pause_set(fx_v, VCPU_BLOCKED_BIT);
    line(3, true);
    assert_false(fx_v->pause & BIT(VCPU_BLOCKED_BIT));
}

static void test_pic_without_a_local_apic(void **state)
{
    assert_int_equal(vlapic_set_base(lapic(fx_v), 0xfee00000), 0);
    line(3, true);
    hvm_deliver(fx_v);
    assert_int_equal(fx_hw.injected.vector, 0x23);
}

static void test_ioapic(void **state)
{
    set_pin(5, 2u << 24, 0x50 | VIOAPIC_LEVEL); /* to APIC 2: the second */
    line(5, true);
    assert_int_equal(vlapic_pending(lapic(fx_v)), -1);
    assert_true(takes(second, 0x50)); /* its end tells the IO-APIC, where the line is high */
    assert_true(takes(second, 0x50));
    line(5, false);
    assert_true(takes(second, 0x50));
    assert_int_equal(vlapic_pending(lapic(second)), -1);
    set_pin(6, 4u << 24, 0x51 | VIOAPIC_LEVEL); /* to nobody */
    line(6, true);
    assert_int_equal(memory_read(VIOAPIC_BASE + 0x10) & 0x4000, 0);
}

/* Of those that match, the one that does what is least important. */
static void test_lowest_priority(void **state)
{
    set_pin(5, 0xffu << 24, 0x50 | VLAPIC_ICR_LOWEST);
    vlapic_write(lapic(fx_v), VLAPIC_TPR, 0x30);
    line(5, true);
    line(5, false);
    assert_true(takes(second, 0x50));
    vlapic_write(lapic(second), VLAPIC_TPR, 0x40);
    line(5, true);
    assert_true(takes(fx_v, 0x50));
    assert_int_equal(vlapic_pending(lapic(second)), -1);
    vlapic_write(lapic(fx_v), VLAPIC_SVR, 0xff); /* that one does not take any */
    line(5, false);
    line(5, true);
    assert_true(takes(second, 0x50));
}

static void test_messages(void **state)
{
    assert_int_equal(hvm_msi(fx_d, 0xfee02000, 0x0061), 0);
    assert_true(takes(second, 0x61));
    assert_int_equal(hvm_msi(fx_d, 0xfeeff000, 0x0062), 0);
    assert_true(takes(fx_v, 0x62) && takes(second, 0x62));
    vlapic_write(lapic(fx_v), VLAPIC_LDR, 1u << 24);
    vlapic_write(lapic(second), VLAPIC_LDR, 2u << 24);
    assert_int_equal(hvm_msi(fx_d, 0xfee02004, 0x0063), 0); /* logical */
    assert_true(takes(second, 0x63));
    assert_int_equal(hvm_msi(fx_d, 0xfee0300c, 0x0064), 0); /* redirection: to one of both */
    assert_int_equal(takes(fx_v, 0x64) + takes(second, 0x64), 1);
    assert_int_equal(hvm_msi(fx_d, 0xfee00000, 0x0400), 0);
    assert_true(fx_v->nmi_pending);
    assert_int_equal(hvm_msi(fx_d, 0xfed00000, 0x61), -EINVAL);
    assert_int_equal(hvm_msi(fx_d, 0x1fee00000, 0x61), -EINVAL);
}

/* The broadcast of a message with eight bits reaches local APICs with 32. */
static void test_broadcast_to_x2apics(void **state)
{
    for (unsigned i = 0; i < FX_VCPUS; i++)
        assert_int_equal(vlapic_set_base(lapic(fx_d->vcpu[i]), lapic(fx_d->vcpu[i])->base | 0x400),
                         0);
    assert_int_equal(hvm_msi(fx_d, 0xfeeff000, 0x62), 0);
    assert_int_equal(vlapic_pending(lapic(fx_v)), 0x62);
    assert_int_equal(vlapic_pending(lapic(second)), 0x62);
}

static void test_ports(void **state)
{
    struct regs *r = &cpu_local()->guest;

    r->rax = 0x1122334455667788;
    out(0x21, 0x5a);
    hvm_port_exit(fx_v, 0x21, 1, true);
    assert_int_equal(r->rax, 0x112233445566775a);
    hvm_port_exit(fx_v, 0x21, 2, true); /* the port behind it is nobody's */
    assert_int_equal(r->rax, 0x112233445566ff5a);
    hvm_port_exit(fx_v, 0x21, 4, true);
    assert_int_equal(r->rax, 0xffffff5a);
    r->rax = 0xffa5;
    hvm_port_exit(fx_v, 0xa1, 1, false);
    assert_int_equal(in(0xa1), 0xa5);
    assert_int_equal(in(0x3f8), 0xff);
    assert_int_equal(hvm_port_in(fx_d, 0x3f8, 4), 0xffffffff);
}

static void test_memory(void **state)
{
    uint8_t wide[16];
    uint32_t val;

    assert_int_equal(memory_read(VHPET_BASE), 0xffffffff); /* not switched on */
    assert_false(hvm_chip_access(fx_d, 0xfee00000, &val, NULL, 4));
    fx_d->hvm_domain->param[HVM_PARAM_HPET_ENABLED] = 1;
    assert_true(hvm_chip_access(fx_d, VHPET_BASE, wide, NULL, 16));
    assert_int_equal(wide[1], 0xa2);
    assert_int_equal(wide[12], 0);
}

static void pending(bool yes)
{
    fx_v->info->evtchn_upcall_pending = yes;
    hvm_deliver(fx_v);
}

static uint64_t callback(uint64_t type, uint64_t val)
{
    return fx_d->hvm_domain->param[HVM_PARAM_CALLBACK_IRQ] = type << 56 | val;
}

static void test_callback_by_line(void **state)
{
    const struct virqs *q = &fx_d->hvm_domain->chips->irqs;

    callback(HVM_PARAM_CALLBACK_TYPE_GSI, 20);
    pending(true);
    assert_int_equal(q->high, BIT(20));
    callback(HVM_PARAM_CALLBACK_TYPE_PCI_INTX, 3u << 11 | 1);
    assert_true(hvm_event_waits(fx_v)); /* it has to move */
    pending(true);
    assert_int_equal(q->high, BIT(29));
    pending(false);
    assert_int_equal(q->high, 0);
    callback(HVM_PARAM_CALLBACK_TYPE_GSI, 48); /* no such line */
    pending(true);
    assert_int_equal(q->high, 0);
    callback(HVM_PARAM_CALLBACK_TYPE_GSI, 20);
    pending(true);
    callback(0, 0);
    pending(true);
    assert_int_equal(q->high, 0);
}

static void test_buttons_and_their_ports(void **state)
{
    assert_int_equal(hvm_press_button(fx_d, false), 0);
    assert_int_equal(hvm_press_button(fx_d, true), 0);
    assert_int_equal(hvm_port_in(fx_d, PM_V0, 2), 0x300);
    hvm_chips_param(fx_d, HVM_PARAM_ACPI_IOPORTS_LOCATION, 1);
    assert_int_equal(hvm_port_in(fx_d, PM_V0, 2), 0xffff);
    assert_int_equal(hvm_port_in(fx_d, PM_V1, 2), 0x300);
}

static void test_records(void **state)
{
    static uint8_t buf[16384], again[16384];
    size_t n = hvm_context_get(fx_d, NULL);
    struct hvm_save_descriptor bad = {HVM_SAVE_CODE(PIC), 2, HVM_SAVE_LENGTH(PIC)};

    out(0x21, 0x77);
    out(0x70, 0x05);
    set_pin(5, 0, 0x50);
    hvm_chips_time_offset(fx_d, -7200);
    assert_in_range(n, 2000, sizeof(buf));
    assert_int_equal(hvm_context_get(fx_d, buf), n);
    out(0x21, 0);
    set_pin(5, 0, 0x66);
    assert_int_equal(hvm_context_set(fx_d, buf, n), 0);
    assert_int_equal(in(0x21), 0x77);
    assert_int_equal(memory_read(VIOAPIC_BASE + 0x10), 0x50);
    assert_int_equal(fx_d->hvm_domain->chips->rtc.hw.rtc_offset, -7200);
    assert_int_equal(hvm_context_get(fx_d, again), n);
    /* A third PIC: nothing of the list is taken over. */
    out(0x21, 0x11);
    memcpy(buf + n - sizeof(bad), &bad, sizeof(bad));
    memset(buf + n, 0, 64);
    assert_int_equal(hvm_context_set(fx_d, buf, n + 8 + sizeof(bad)), -EINVAL);
    assert_int_equal(in(0x21), 0x11);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, fx_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_pic_by_lint0),
        T(test_pic_wakes_a_halted_vcpu),
        T(test_pic_without_a_local_apic),
        T(test_ioapic),
        T(test_lowest_priority),
        T(test_messages),
        T(test_broadcast_to_x2apics),
        T(test_ports),
        T(test_memory),
        T(test_callback_by_line),
        T(test_buttons_and_their_ports),
        T(test_records),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
