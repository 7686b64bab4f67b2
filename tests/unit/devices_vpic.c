/* SPDX-License-Identifier: MIT */
/* devices/vpic against the data sheet: Intel 8259A. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "devices/vpic.h"
#include "lib/errno.h"

#define MASTER 0
#define SLAVE  1

#define EOI         0x20
#define EOI_OF(n)   (0x60 | (n))
#define ROTATE_EOI  0xa0
#define BOTTOM(n)   (0xc0 | (n))
#define READ_IRR    0x0a
#define READ_ISR    0x0b
#define POLL        0x0c
#define SPECIAL     0x68
#define NOT_SPECIAL 0x48

static struct vpic p;
static unsigned rises, falls;

static void output(void *owner, bool high)
{
    if (high)
        rises++;
    else
        falls++;
}

static void start(unsigned chip, uint8_t icw4)
{
    vpic_write(&p, chip, 0, 0x11);
    vpic_write(&p, chip, 1, chip == MASTER ? 0x20 : 0x28);
    vpic_write(&p, chip, 1, chip == MASTER ? 0x04 : 0x02);
    vpic_write(&p, chip, 1, icw4);
}

static int setup(void **state)
{
    p = (struct vpic){.output = output};
    vpic_reset(&p);
    start(MASTER, 1);
    start(SLAVE, 1);
    rises = falls = 0;
    return 0;
}

static void pulse(unsigned irq)
{
    vpic_input(&p, irq, true);
    vpic_input(&p, irq, false);
}

static uint8_t isr(unsigned chip)
{
    vpic_write(&p, chip, 0, READ_ISR);
    return vpic_read(&p, chip, 0);
}

static uint8_t irr(unsigned chip)
{
    vpic_write(&p, chip, 0, READ_IRR);
    return vpic_read(&p, chip, 0);
}

static void test_edge(void **state)
{
    vpic_input(&p, 1, true);
    assert_true(vpic_pending(&p));
    assert_int_equal(rises, 1);
    assert_int_equal(irr(MASTER), 2);
    assert_int_equal(vpic_acknowledge(&p), 0x21);
    assert_false(vpic_pending(&p));
    assert_int_equal(falls, 1);
    assert_int_equal(irr(MASTER), 0);
    assert_int_equal(isr(MASTER), 2);
    vpic_write(&p, MASTER, 0, EOI);
    assert_int_equal(isr(MASTER), 0);
    assert_false(vpic_pending(&p)); /* still high, but no edge */
    vpic_input(&p, 1, true);
    assert_false(vpic_pending(&p));
    vpic_input(&p, 1, false);
    vpic_input(&p, 1, true);
    assert_true(vpic_pending(&p));
}

static void test_level(void **state)
{
    vpic_write_elcr(&p, MASTER, 0xff);
    vpic_write_elcr(&p, SLAVE, 0xff);
    assert_int_equal(vpic_read_elcr(&p, MASTER), 0xf8);
    assert_int_equal(vpic_read_elcr(&p, SLAVE), 0xde);
    vpic_input(&p, 5, true);
    assert_int_equal(vpic_acknowledge(&p), 0x25);
    assert_int_equal(irr(MASTER), 0x20); /* follows the input */
    vpic_write(&p, MASTER, 0, EOI);
    assert_true(vpic_pending(&p));
    vpic_input(&p, 5, false);
    assert_false(vpic_pending(&p));
    vpic_input(&p, 5, true);
    vpic_write_elcr(&p, MASTER, 0); /* an edge again, of which none came */
    assert_false(vpic_pending(&p));
}

static void test_priorities(void **state)
{
    pulse(6);
    pulse(3);
    assert_int_equal(vpic_acknowledge(&p), 0x23);
    assert_false(vpic_pending(&p)); /* 6 is below what is in service */
    pulse(1);
    assert_int_equal(vpic_acknowledge(&p), 0x21); /* nested */
    vpic_write(&p, MASTER, 0, EOI);
    assert_int_equal(isr(MASTER), 8); /* the highest has ended */
    vpic_write(&p, MASTER, 0, EOI_OF(3));
    assert_int_equal(vpic_acknowledge(&p), 0x26);
    vpic_write(&p, MASTER, 0, EOI);
    vpic_write(&p, MASTER, 0, EOI); /* of nothing */
    assert_int_equal(isr(MASTER), 0);
}

static void test_masks(void **state)
{
    vpic_write(&p, MASTER, 1, 0x08);
    assert_int_equal(vpic_read(&p, MASTER, 1), 0x08);
    pulse(3);
    assert_false(vpic_pending(&p));
    assert_false(vpic_waits(&p, 3));
    vpic_write(&p, MASTER, 1, 0); /* was latched */
    assert_true(vpic_pending(&p));
    assert_true(vpic_waits(&p, 3));
    vpic_write(&p, MASTER, 1, 8);
    assert_int_equal(vpic_acknowledge(&p), 0x27); /* it has gone meanwhile */
    assert_int_equal(isr(MASTER), 0);
}

static void test_cascade(void **state)
{
    vpic_input(&p, 2, true); /* nothing but the slave is there */
    assert_false(vpic_pending(&p));
    pulse(12);
    assert_true(vpic_pending(&p));
    assert_int_equal(irr(MASTER), 4);
    assert_int_equal(vpic_acknowledge(&p), 0x2c);
    assert_int_equal(isr(MASTER), 4);
    assert_int_equal(isr(SLAVE), 0x10);
    pulse(8); /* higher within the slave, but the master is busy with the slave */
    assert_false(vpic_pending(&p));
    vpic_write(&p, SLAVE, 0, EOI);
    vpic_write(&p, MASTER, 0, EOI);
    assert_int_equal(vpic_acknowledge(&p), 0x28);
    vpic_write(&p, SLAVE, 0, EOI);
    vpic_write(&p, MASTER, 0, EOI);
    pulse(15);
    vpic_write(&p, SLAVE, 1, 0x80);
    assert_false(vpic_pending(&p));
}

static void test_special_fully_nested(void **state)
{
    start(MASTER, 0x11);
    pulse(12);
    assert_int_equal(vpic_acknowledge(&p), 0x2c);
    pulse(8);
    assert_true(vpic_pending(&p));
    assert_int_equal(vpic_acknowledge(&p), 0x28);
    pulse(3); /* of the others the master's own order holds */
    assert_int_equal(isr(MASTER), 4);
}

static void test_rotation(void **state)
{
    pulse(4);
    assert_int_equal(vpic_acknowledge(&p), 0x24);
    vpic_write(&p, MASTER, 0, ROTATE_EOI); /* 4 is at the bottom now, 5 on top */
    pulse(4);
    pulse(0);
    pulse(6);
    assert_int_equal(vpic_acknowledge(&p), 0x26);
    vpic_write(&p, MASTER, 0, EOI);
    assert_int_equal(vpic_acknowledge(&p), 0x20);
    vpic_write(&p, MASTER, 0, EOI);
    assert_int_equal(vpic_acknowledge(&p), 0x24);
    vpic_write(&p, MASTER, 0, EOI);
    vpic_write(&p, MASTER, 0, BOTTOM(7)); /* as after the start */
    pulse(7);
    pulse(0);
    assert_int_equal(vpic_acknowledge(&p), 0x20);
}

static void test_automatic_end(void **state)
{
    start(MASTER, 3);
    pulse(2 + 1);
    assert_int_equal(vpic_acknowledge(&p), 0x23);
    assert_int_equal(isr(MASTER), 0);
    vpic_write(&p, MASTER, 0, 0x80); /* rotate then */
    pulse(3);
    assert_int_equal(vpic_acknowledge(&p), 0x23);
    pulse(3);
    pulse(4);
    assert_int_equal(vpic_acknowledge(&p), 0x24);
}

static void test_special_mask(void **state)
{
    pulse(1);
    assert_int_equal(vpic_acknowledge(&p), 0x21);
    pulse(6);
    assert_false(vpic_pending(&p));
    vpic_write(&p, MASTER, 0, SPECIAL);
    assert_false(vpic_pending(&p));
    vpic_write(&p, MASTER, 1, 2); /* what is in service holds no one back while it is masked */
    assert_int_equal(vpic_acknowledge(&p), 0x26);
    vpic_write(&p, MASTER, 0, EOI); /* not of the masked one */
    assert_int_equal(isr(MASTER), 2);
    vpic_write(&p, MASTER, 0, NOT_SPECIAL);
    pulse(6);
    assert_false(vpic_pending(&p));
}

static void test_poll(void **state)
{
    vpic_write(&p, MASTER, 0, POLL);
    assert_int_equal(vpic_read(&p, MASTER, 0), 0);
    pulse(9);
    vpic_write(&p, MASTER, 0, POLL);
    assert_int_equal(vpic_read(&p, MASTER, 0), 0x82);
    vpic_write(&p, SLAVE, 0, POLL);
    assert_int_equal(vpic_read(&p, SLAVE, 1), 0x81); /* at either address */
    assert_int_equal(isr(SLAVE), 2);
    assert_int_equal(vpic_read(&p, SLAVE, 1), 0); /* the mask again */
    assert_false(vpic_pending(&p));
}

/* A single chip, without ICW3 or ICW4. */
static void test_start(void **state)
{
    start(MASTER, 0x13);
    pulse(4);
    vpic_write(&p, MASTER, 1, 0xff);
    vpic_write(&p, MASTER, 0, 0x12);
    vpic_write(&p, MASTER, 1, 0x77);
    assert_int_equal(vpic_read(&p, MASTER, 1), 0); /* nothing is masked */
    vpic_write(&p, MASTER, 1, 0x10);               /* a mask already */
    assert_int_equal(vpic_read(&p, MASTER, 1), 0x10);
    assert_false(vpic_pending(&p)); /* and the edge is forgotten */
    pulse(0);
    assert_int_equal(vpic_acknowledge(&p), 0x70); /* five bits of the vector are the guest's */
    assert_int_equal(isr(MASTER), 1);             /* no automatic end any more */
}

static void test_load(void **state)
{
    struct hvm_hw_vpic r, bad;

    vpic_input(&p, 6, true);
    r = p.chip[MASTER];
    vpic_reset(&p);
    assert_int_equal(vpic_check(MASTER, &r), 0);
    vpic_load(&p, MASTER, &r);
    vpic_resync(&p, 1u << 6);
    assert_int_equal(vpic_acknowledge(&p), 0x26);
    vpic_write(&p, MASTER, 0, EOI);
    assert_false(vpic_pending(&p));
    bad = r;
    bad.is_master = 0;
    assert_int_equal(vpic_check(MASTER, &bad), -EINVAL);
    assert_int_equal(vpic_check(SLAVE, &r), -EINVAL);
    assert_int_equal(vpic_check(2, &r), -EINVAL);
    bad = r;
    bad.priority_add = 8;
    assert_int_equal(vpic_check(MASTER, &bad), -EINVAL);
    bad = r;
    bad.irq_base = 0x21;
    assert_int_equal(vpic_check(MASTER, &bad), -EINVAL);
    bad = r;
    bad.init_state = 4;
    assert_int_equal(vpic_check(MASTER, &bad), -EINVAL);
}

#define T(f) cmocka_unit_test_setup(f, setup)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_edge),         T(test_level),         T(test_masks),
        T(test_priorities),   T(test_cascade),       T(test_special_fully_nested),
        T(test_start),        T(test_automatic_end), T(test_poll),
        T(test_special_mask), T(test_load),          T(test_rotation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
