/* SPDX-License-Identifier: MIT */
/* devices/vlapic and its timer against the manual: Intel SDM vol. 3A, chapter 11. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "machine.h"
#include "base/softirq.h"
#include "devices/vlapic.h"
#include "lib/errno.h"
#include "time/clock.h"

#define BASE   0xfee00000ull
#define ENABLE 0x800ull
#define EXTD   0x400ull

static struct vlapic l;
static unsigned wakes, sends, eois;
static uint32_t sent_icr, sent_dest;
static uint8_t ended;

static void wake(struct vlapic *x)
{
    wakes++;
}

static void send(struct vlapic *x, uint32_t icr, uint32_t dest)
{
    sends++;
    sent_icr = icr;
    sent_dest = dest;
}

static void eoi(struct vlapic *x, uint8_t vector)
{
    eois++;
    ended = vector;
}

static const struct vlapic_ops ops = {.wake = wake, .send = send, .eoi = eoi};

static void arm(uint64_t tsc, uint64_t delta_ns)
{
}

static void stop(void)
{
}

static const struct timer_device device = {"test", arm, stop};

/* Time goes on, and the timers that are due run. */
static void pass(uint64_t ns)
{
    host_tsc += ns;
    timer_interrupt();
    softirq_run();
}

static int setup(void **state)
{
    host_machine_init(1 << 20, 1);
    host_tsc_step = 0;
    host_tsc = 1000;
    clock_init_hz(1000000000);
    timer_start(&device);
    wakes = sends = eois = 0;
    vlapic_init(&l, &ops, NULL, 4);
    vlapic_write(&l, VLAPIC_SVR, 0x1ff);
    return 0;
}

static int teardown(void **state)
{
    vlapic_stop(&l);
    return 0;
}

/* Is it the one to deliver? Delivers it. */
static bool take(int vector)
{
    if (vlapic_pending(&l) != vector)
        return false;
    vlapic_acknowledge(&l, (uint8_t)vector);
    return true;
}

static void test_after_reset(void **state)
{
    vlapic_init(&l, &ops, NULL, 4);
    assert_int_equal(l.base, BASE | ENABLE);
    assert_int_equal(vlapic_read(&l, VLAPIC_ID), 4 << 24);
    assert_int_equal(vlapic_read(&l, VLAPIC_SVR), 0xff);
    assert_int_equal(vlapic_read(&l, VLAPIC_DFR), 0xffffffff);
    for (uint32_t r = VLAPIC_LVT_TIMER; r <= VLAPIC_LVT_ERROR; r += 0x10)
        assert_int_equal(vlapic_read(&l, r), 0x10000);
    vlapic_write(&l, VLAPIC_LVT_TIMER, 0x40); /* stays masked: software has not enabled it */
    assert_int_equal(vlapic_read(&l, VLAPIC_LVT_TIMER), 0x10040);
    vlapic_accept(&l, 0x50, false);
    assert_int_equal(vlapic_pending(&l), -1);
}

static void test_priorities(void **state)
{
    vlapic_accept(&l, 0x51, false);
    vlapic_accept(&l, 0x72, false);
    vlapic_write(&l, VLAPIC_TPR, 0x70);
    assert_int_equal(vlapic_pending(&l), -1);
    assert_int_equal(vlapic_read(&l, VLAPIC_PPR), 0x70);
    vlapic_write(&l, VLAPIC_TPR, 0x6f);
    assert_true(take(0x72));
    assert_int_equal(vlapic_read(&l, VLAPIC_PPR), 0x70); /* what is in service */
    assert_int_equal(vlapic_pending(&l), -1);
    vlapic_accept(&l, 0x7f, false); /* the same class waits */
    assert_int_equal(vlapic_pending(&l), -1);
    vlapic_accept(&l, 0x80, false);
    assert_true(take(0x80));
    vlapic_write(&l, VLAPIC_EOI, 0); /* of 0x80 */
    vlapic_write(&l, VLAPIC_EOI, 0); /* of 0x72 */
    assert_true(take(0x7f));
    vlapic_write(&l, VLAPIC_EOI, 0);
    assert_int_equal(vlapic_pending(&l), -1); /* TPR is still 0x6f */
    vlapic_set_cr8(&l, 4);
    assert_int_equal(vlapic_read(&l, VLAPIC_TPR), 0x40);
    assert_true(take(0x51));
    assert_false(vlapic_waits(&l));
    vlapic_write(&l, VLAPIC_TPR, 0x57);
    vlapic_set_cr8(&l, 5); /* the same: the lower half stays */
    assert_int_equal(vlapic_read(&l, VLAPIC_TPR), 0x57);
}

static void test_level_and_end(void **state)
{
    vlapic_accept(&l, 0x61, true);
    vlapic_accept(&l, 0x62, false);
    assert_true(take(0x62));
    vlapic_write(&l, VLAPIC_EOI, 0);
    assert_int_equal(eois, 0);
    assert_true(take(0x61));
    vlapic_write(&l, VLAPIC_EOI, 0);
    assert_int_equal(eois, 1);
    assert_int_equal(ended, 0x61);
    vlapic_write(&l, VLAPIC_EOI, 0); /* of nothing */
    assert_int_equal(eois, 1);
}

static void test_send(void **state)
{
    vlapic_write(&l, VLAPIC_ICR2, 0x07ffffff);
    vlapic_write(&l, VLAPIC_ICR, 0x50 | VLAPIC_ICR_LOGICAL | 0x1000);
    assert_int_equal(sends, 1);
    assert_int_equal(sent_dest, 7);
    assert_int_equal(sent_icr, 0x50 | VLAPIC_ICR_LOGICAL);
    assert_int_equal(vlapic_read(&l, VLAPIC_ICR) & 0x1000, 0); /* is never busy */
    vlapic_write(&l, VLAPIC_ICR, 0x0f);                        /* no such vector */
    assert_int_equal(sends, 1);
    vlapic_write(&l, VLAPIC_ICR, VLAPIC_ICR_NMI); /* has none */
    assert_int_equal(sends, 2);
}

static void test_errors(void **state)
{
    vlapic_write(&l, VLAPIC_LVT_ERROR, 0x33);
    vlapic_accept(&l, 5, false);
    assert_true(take(0x33));
    assert_int_equal(vlapic_read(&l, VLAPIC_ESR), 0);   /* not before it is written */
    assert_int_equal(vlapic_read(&l, 0x0c0 - 0x10), 0); /* EOI: cannot be read */
    vlapic_write(&l, VLAPIC_ESR, 0);
    assert_int_equal(vlapic_read(&l, VLAPIC_ESR), 0xc0);
    vlapic_write(&l, VLAPIC_ESR, 0);
    assert_int_equal(vlapic_read(&l, VLAPIC_ESR), 0);
}

static void test_software_disable(void **state)
{
    vlapic_write(&l, VLAPIC_LVT_TIMER, 0x40);
    vlapic_accept(&l, 0x50, false);
    vlapic_write(&l, VLAPIC_SVR, 0xff);
    assert_int_equal(vlapic_read(&l, VLAPIC_LVT_TIMER), 0x10040);
    assert_int_equal(vlapic_pending(&l), -1);
    vlapic_write(&l, VLAPIC_SVR, 0x1ff);
    assert_int_equal(vlapic_pending(&l), 0x50); /* what waited is still there */
}

static void test_destinations(void **state)
{
    assert_true(vlapic_matches(&l, 4, false));
    assert_false(vlapic_matches(&l, 5, false));
    assert_true(vlapic_matches(&l, 0xff, false));
    vlapic_write(&l, VLAPIC_LDR, 0x24ffffff);
    assert_int_equal(vlapic_read(&l, VLAPIC_LDR), 0x24000000);
    assert_true(vlapic_matches(&l, 0x04, true)); /* flat: any bit in common */
    assert_false(vlapic_matches(&l, 0x18, true));
    vlapic_write(&l, VLAPIC_DFR, 0);
    assert_true(vlapic_matches(&l, 0x26, true)); /* cluster 2, members 4 and 2 */
    assert_false(vlapic_matches(&l, 0x16, true));
    assert_true(vlapic_matches(&l, 0xff, true));
    assert_int_equal(vlapic_set_base(&l, BASE | ENABLE | EXTD), 0);
    assert_true(vlapic_matches(&l, 1u << 4, true)); /* cluster 0, member 4 */
    assert_false(vlapic_matches(&l, 1u << 16 | 1u << 4, true));
    assert_true(vlapic_matches(&l, ~0u, false));
    assert_false(vlapic_matches(&l, 0xff, false));
}

static void test_x2apic(void **state)
{
    uint64_t v;

    assert_int_equal(vlapic_read_msr(&l, 2, &v), -EPERM);
    assert_int_equal(vlapic_set_base(&l, BASE | EXTD), -EPERM);
    assert_int_equal(vlapic_set_base(&l, BASE | ENABLE | 1), -EPERM);
    assert_int_equal(vlapic_set_base(&l, BASE | ENABLE | EXTD), 0);
    assert_int_equal(vlapic_read_msr(&l, 2, &v), 0);
    assert_int_equal(v, 4);
    assert_int_equal(vlapic_read_msr(&l, 0xd, &v), 0);
    assert_int_equal(v, 1u << 4);
    assert_int_equal(vlapic_write_msr(&l, 0xd, 1), -EPERM); /* read-only now */
    assert_int_equal(vlapic_read_msr(&l, 0xe, &v), -EPERM); /* DFR is gone */
    assert_int_equal(vlapic_read_msr(&l, 0x31, &v), -EPERM);
    assert_int_equal(vlapic_write_msr(&l, 0x30, 0x1234500000050ull), 0);
    assert_int_equal(sent_dest, 0x12345);
    assert_int_equal(vlapic_read_msr(&l, 0x30, &v), 0);
    assert_int_equal(v, 0x1234500000050ull);
    assert_int_equal(vlapic_write_msr(&l, 0x3f, 0x77), 0);
    assert_int_equal(sent_icr & (VLAPIC_ICR_SHORTHAND | 0xff), VLAPIC_ICR_SELF | 0x77);
    assert_int_equal(vlapic_write_msr(&l, 0xb, 1), -EPERM);
    assert_int_equal(vlapic_write_msr(&l, 8, 1ull << 32), -EPERM);
    assert_int_equal(vlapic_read_msr(&l, 0x40, &v), -EPERM);
    assert_int_equal(vlapic_set_base(&l, BASE | ENABLE), -EPERM);
    assert_int_equal(vlapic_set_base(&l, BASE), 0); /* off, and forgets all */
    assert_int_equal(vlapic_get(&l, VLAPIC_SVR), 0xff);
    assert_int_equal(vlapic_set_base(&l, BASE | ENABLE | EXTD), -EPERM);
}

static void test_one_shot(void **state)
{
    vlapic_write(&l, VLAPIC_TDCR, 0xb); /* by 1: 10 ns a tick */
    vlapic_write(&l, VLAPIC_LVT_TIMER, 0x40);
    vlapic_write(&l, VLAPIC_TMICT, 1000);
    assert_int_equal(vlapic_read(&l, VLAPIC_TMCCT), 1000);
    pass(4000);
    assert_int_equal(vlapic_read(&l, VLAPIC_TMCCT), 600);
    assert_int_equal(vlapic_pending(&l), -1);
    pass(6000);
    assert_true(take(0x40));
    vlapic_write(&l, VLAPIC_EOI, 0);
    assert_int_equal(vlapic_read(&l, VLAPIC_TMCCT), 0);
    pass(20000);
    assert_int_equal(vlapic_pending(&l), -1);
}

static void test_divisors(void **state)
{
    static const struct {
        uint32_t code, by;
    } t[] = {{0, 2}, {1, 4}, {2, 8}, {3, 16}, {8, 32}, {9, 64}, {0xa, 128}, {0xb, 1}};

    for (unsigned i = 0; i < ARRAY_SIZE(t); i++) {
        vlapic_write(&l, VLAPIC_TDCR, t[i].code);
        vlapic_write(&l, VLAPIC_TMICT, 1000);
        host_tsc += 10 * VLAPIC_BUS_NS * t[i].by;
        assert_int_equal(vlapic_read(&l, VLAPIC_TMCCT), 990);
    }
}

static void test_periodic(void **state)
{
    vlapic_write(&l, VLAPIC_TDCR, 0xb);
    vlapic_write(&l, VLAPIC_LVT_TIMER, 0x20041);
    vlapic_write(&l, VLAPIC_TMICT, 10000); /* 100 us */
    for (int i = 0; i < 3; i++) {
        pass(100000);
        assert_true(take(0x41));
        vlapic_write(&l, VLAPIC_EOI, 0);
    }
    pass(1000000); /* ten at once are one */
    assert_true(take(0x41));
    vlapic_write(&l, VLAPIC_EOI, 0);
    assert_int_equal(vlapic_pending(&l), -1);
    pass(100000);
    assert_true(take(0x41));
    vlapic_write(&l, VLAPIC_TMICT, 0);
    vlapic_write(&l, VLAPIC_EOI, 0);
    pass(1000000);
    assert_int_equal(vlapic_pending(&l), -1);
    /* A guest that asks for a tick each 10 ns does not get them all. */
    vlapic_write(&l, VLAPIC_TMICT, 1);
    assert_true(timer_next() >= time_now() + 10000);
}

static void test_deadline(void **state)
{
    vlapic_set_deadline(&l, host_tsc + 10); /* not in that mode */
    assert_int_equal(vlapic_deadline(&l), 0);
    vlapic_write(&l, VLAPIC_LVT_TIMER, 0x40042);
    vlapic_set_deadline(&l, host_tsc + 5000);
    assert_int_equal(vlapic_deadline(&l), host_tsc + 5000);
    vlapic_write(&l, VLAPIC_TMICT, 7); /* does nothing in this mode */
    pass(4000);
    assert_int_equal(vlapic_pending(&l), -1);
    pass(1000);
    assert_true(take(0x42));
    assert_int_equal(vlapic_deadline(&l), 0);
    vlapic_write(&l, VLAPIC_EOI, 0);
    vlapic_set_deadline(&l, ~0ull); /* very far: it does not come round */
    pass(1ull << 40);
    assert_int_equal(vlapic_pending(&l), -1);
    vlapic_write(&l, VLAPIC_LVT_TIMER, 0x42); /* another mode disarms */
    assert_int_equal(timer_next(), UINT64_MAX);
}

/* The handler runs anywhere, the registers are the vCPU's: what it set meanwhile counts. */
static void test_set_anew_when_its_time_has_come(void **state)
{
    vlapic_write(&l, VLAPIC_TDCR, 0xb);
    vlapic_write(&l, VLAPIC_LVT_TIMER, 0x41);
    vlapic_write(&l, VLAPIC_TMICT, 100);
    pass(1000);
    assert_int_equal(wakes, 1);
    vlapic_write(&l, VLAPIC_TMICT, 500); /* before it looked */
    assert_int_equal(vlapic_pending(&l), -1);
    pass(4999);
    assert_int_equal(vlapic_pending(&l), -1);
    pass(1);
    assert_true(take(0x41));
    vlapic_write(&l, VLAPIC_EOI, 0);
    pass(1000000);
    assert_int_equal(vlapic_pending(&l), -1);

    vlapic_write(&l, VLAPIC_LVT_TIMER, 0x40042);
    vlapic_set_deadline(&l, host_tsc + 1000);
    pass(1000);
    vlapic_set_deadline(&l, 0);
    assert_int_equal(vlapic_pending(&l), -1);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_after_reset),
        T(test_priorities),
        T(test_level_and_end),
        T(test_send),
        T(test_errors),
        T(test_x2apic),
        T(test_software_disable),
        T(test_destinations),
        T(test_one_shot),
        T(test_divisors),
        T(test_periodic),
        T(test_deadline),
        T(test_set_anew_when_its_time_has_come),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
