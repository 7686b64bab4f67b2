/* SPDX-License-Identifier: MIT */
/* hvm/ipi.c: who gets a message between local APICs, and how a vCPU stops and starts by INIT and
 * SIPI. Intel SDM vol. 3A, 9.4.4 and 11.6. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#define FX_VCPUS 3
#include "hvm_fixture.h"

static struct vcpu *second, *third;

static int setup(void **state)
{
    if (fx_setup(state) || vcpu_create(fx_d, 1, &second) || vcpu_create(fx_d, 2, &third))
        return -1;
    for (unsigned i = 0; i < 3; i++)
        vlapic_write(&fx_d->vcpu[i]->hvm->lapic, VLAPIC_SVR, 0x1ff);
    return 0;
}

static bool has(struct vcpu *v, uint8_t vector)
{
    return vlapic_pending(&v->hvm->lapic) == vector;
}

static void send(uint32_t icr, uint32_t dest)
{
    vlapic_write(&fx_v->hvm->lapic, VLAPIC_ICR2, dest << 24);
    vlapic_write(&fx_v->hvm->lapic, VLAPIC_ICR, icr);
}

static void test_destinations(void **state)
{
    send(0x50, 2); /* APIC ids are twice the number */
    assert_true(has(second, 0x50));
    assert_false(has(third, 0x50));
    send(0x51, 3); /* nobody */
    send(0x52 | VLAPIC_ICR_OTHERS, 0);
    assert_true(has(second, 0x52) && has(third, 0x52));
    assert_int_equal(vlapic_pending(&fx_v->hvm->lapic), -1);
    send(0x53 | VLAPIC_ICR_ALL, 0);
    assert_true(has(fx_v, 0x53) && has(second, 0x53) && has(third, 0x53));
    send(0x54 | VLAPIC_ICR_SELF, 0);
    assert_true(has(fx_v, 0x54) && has(second, 0x53));
    send(0x55, 0xff);
    assert_true(has(fx_v, 0x55) && has(second, 0x55) && has(third, 0x55));
}

static void test_lowest_priority_goes_to_one(void **state)
{
    unsigned n = 0;

    send(0x60 | VLAPIC_ICR_LOWEST, 0xff);
    for (unsigned i = 0; i < 3; i++)
        n += has(fx_d->vcpu[i], 0x60);
    assert_int_equal(n, 1);
}

static void test_nmi(void **state)
{
    send(VLAPIC_ICR_NMI, 4);
    assert_true(third->nmi_pending);
    assert_false(second->nmi_pending);
}

/* As hvm_loop() does when v gets the CPU. */
static void turn(struct vcpu *v)
{
    cpu_local()->current = v;
    hvm_take_init(v);
    cpu_local()->current = fx_v;
}

static bool down(const struct vcpu *v)
{
    return v->pause & BIT(VCPU_DOWN_BIT);
}

static void test_a_start(void **state)
{
    struct regs *r = &cpu_local()->guest;

    assert_true(second->hvm->wait_for_sipi && down(second));
    assert_false(fx_v->hvm->wait_for_sipi);
    send(VLAPIC_ICR_INIT | VLAPIC_ICR_ASSERT, 2);
    assert_true(down(second));
    send(VLAPIC_ICR_STARTUP | VLAPIC_ICR_ASSERT | 0x9a, 2);
    assert_false(down(second));
    turn(second);
    assert_false(second->hvm->wait_for_sipi);
    assert_false(down(second));
    assert_int_equal(fx_hw.seg[EMUL_SEG_CS].base, 0x9a000);
    assert_int_equal(fx_hw.seg[EMUL_SEG_CS].sel, 0x9a00);
    assert_int_equal(r->rip, 0);
    assert_true(second->initialised);
    assert_true(down(third));

    /* It runs: another SIPI is nothing to it. */
    send(VLAPIC_ICR_STARTUP | VLAPIC_ICR_ASSERT | 0x10, 2);
    assert_int_equal(second->hvm->sipi, 0);
}

static void test_init_stops(void **state)
{
    send(VLAPIC_ICR_STARTUP | 0x10, 2);
    turn(second);
    second->hvm->cr4 = CR4_PAE;
    vlapic_write(&second->hvm->lapic, VLAPIC_SVR, 0x1ff);
    send(VLAPIC_ICR_INIT | VLAPIC_ICR_LEVEL, 2); /* not asserted: nothing */
    assert_false(second->hvm->init_pending);
    send(VLAPIC_ICR_INIT | VLAPIC_ICR_LEVEL | VLAPIC_ICR_ASSERT, 2);
    assert_true(second->hvm->init_pending);
    turn(second);
    assert_true(second->hvm->wait_for_sipi && down(second));
    assert_int_equal(second->hvm->cr4, 0);
    assert_false(vlapic_enabled(&second->hvm->lapic));
    send(0x50, 2); /* not while its APIC is off */
    assert_int_equal(vlapic_pending(&second->hvm->lapic), -1);
}

/* The SIPI overtakes the vCPU that has not stopped yet. */
static void test_sipi_before_the_stop(void **state)
{
    send(VLAPIC_ICR_STARTUP | 0x10, 2);
    turn(second);
    send(VLAPIC_ICR_INIT | VLAPIC_ICR_ASSERT, 2);
    send(VLAPIC_ICR_STARTUP | 0x20, 2);
    turn(second);
    assert_false(down(second));
    assert_int_equal(fx_hw.seg[EMUL_SEG_CS].base, 0x20000);
}

/* HLT without interrupts: such a vCPU is down, and so is the domain with its last. */
static void test_halted_for_good(void **state)
{
    send(VLAPIC_ICR_STARTUP | 0x10, 2);
    turn(second);
    fx_v->pause = 0; /* it is up, as a builder leaves it */
    cpu_local()->current = second;
    cpu_local()->guest.rflags = RFLAGS_MBS | RFLAGS_IF;
    hvm_halt_exit(second); /* sleeps */
    assert_false(down(second));
    cpu_local()->guest.rflags = RFLAGS_MBS;
    second->nmi_pending = true;
    hvm_halt_exit(second); /* something will wake it */
    assert_false(down(second));
    second->nmi_pending = false;
    hvm_halt_exit(second);
    assert_true(down(second));
    assert_false(fx_d->shutting_down);
    cpu_local()->current = fx_v;
    send(0x50, 2);
    assert_true(down(second));
    send(VLAPIC_ICR_INIT | VLAPIC_ICR_ASSERT, 2);
    assert_true(down(second));
    send(VLAPIC_ICR_STARTUP | 0x20, 2);
    assert_false(down(second));
    turn(second);
    assert_int_equal(fx_hw.seg[EMUL_SEG_CS].base, 0x20000);
    vcpu_pause_set(second, VCPU_DOWN_BIT);
    fx_v->hvm->init_pending = true; /* the first needs no SIPI, and keeps none for later */
    hvm_message(fx_v, VLAPIC_ICR_STARTUP | 0x20);
    hvm_take_init(fx_v);
    assert_int_equal(fx_v->hvm->sipi, 0);
    cpu_local()->guest.rflags = RFLAGS_MBS;
    hvm_halt_exit(fx_v);
    assert_true(fx_d->shutting_down);
    assert_int_equal(fx_d->shutdown_code, SHUTDOWN_poweroff);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, fx_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_destinations),
        T(test_lowest_priority_goes_to_one),
        T(test_nmi),
        T(test_a_start),
        T(test_init_stops),
        T(test_sipi_before_the_stop),
        T(test_halted_for_good),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
