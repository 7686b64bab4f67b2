/* SPDX-License-Identifier: MIT */
/* base/refuse: the record, its text, the counters, the ring. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "machine.h"
#include <string.h>

#include "base/log.h"
#include "base/param.h"
#include "base/refuse.h"
#include "lib/errno.h"

static struct refuse_ring ring;

static struct refuse_ring *current_ring(void)
{
    return &ring;
}

static const char *call_name(uint32_t call)
{
    return call == 20 ? "grant_table_op" : NULL;
}

static int fails(unsigned a, uint64_t b, int c)
{
    return refuse(-EINVAL, "a %u of %#lx and %d", a, b, c);
}

static void record(void **state)
{
    char text[200], cut[12];

    refuse_current_ring = current_ring;
    ring.call = 20;
    assert_int_equal(fails(7, 0x123456789abcull, -3), -EINVAL);
    assert_int_equal(ring.next, 1);
    refuse_format(&ring.entry[0], text, sizeof(text));
    assert_non_null(strstr(text, "hypercall 20: -EINVAL: a 7 of 0x123456789abc and -3 ("));
    refuse_call_name = call_name;
    refuse_format(&ring.entry[0], text, sizeof(text));
    assert_true(!strncmp(text, "grant_table_op: -EINVAL: a 7", 28));
    refuse_format(&ring.entry[0], cut, sizeof(cut));
    assert_string_equal(cut, "grant_table");
}

static void ring_keeps_the_last(void **state)
{
    const char *log;

    for (unsigned i = 0; i < 100; i++)
        assert_int_equal(fails(i, 0, 0), -EINVAL);
    host_log();
    refuse_dump_ring(&ring);
    log = host_log();
    assert_null(strstr(log, "a 83 of"));
    assert_non_null(strstr(log, "a 84 of"));
    assert_non_null(strstr(log, "a 99 of"));
    refuse_dump_sites();
    assert_non_null(strstr(host_log(), " 101  tests/unit/base_refuse.c"));
}

/* Its vCPU runs on another CPU, and its calls fail faster than text comes: the dump ended never. */
static const char *refuses_meanwhile(uint32_t call)
{
    if (ring.next < 1000)
        (void)fails(7, 0, 0);
    return "call";
}

static void dump_of_a_ring_that_grows(void **state)
{
    uint32_t next = ring.next;

    refuse_call_name = refuses_meanwhile;
    refuse_dump_ring(&ring);
    assert_in_range(ring.next, next, next + REFUSE_KEPT);
    refuse_call_name = NULL;
}

static void without_vcpu(void **state)
{
    refuse_current_ring = NULL;
    assert_int_equal(refuse(-EPERM, "no arguments"), -EPERM);
    param_parse("guest_loglvl=all");
    host_log();
    assert_int_equal(refuse(-EPERM, "no arguments"), -EPERM);
    assert_non_null(strstr(host_log(), "no call: -EPERM: no arguments"));
}

static void names(void **state)
{
    assert_string_equal(errno_name(1), "EPERM");
    assert_string_equal(errno_name(22), "EINVAL");
    assert_string_equal(errno_name(0), "E?");
    assert_string_equal(errno_name(-1), "E?");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(record),
        cmocka_unit_test(ring_keeps_the_last),
        cmocka_unit_test(dump_of_a_ring_that_grows),
        cmocka_unit_test(without_vcpu),
        cmocka_unit_test(names),
    };
    return cmocka_run_group_tests_name("base_refuse", tests, NULL, NULL);
}
