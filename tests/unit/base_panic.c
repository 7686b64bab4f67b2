/* SPDX-License-Identifier: MIT */
/* base/panic and base/symbols: the message, hooks, the backtrace's bounds, look-up of names. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "machine.h"
#include <string.h>

#include "base/log.h"
#include "base/panic.h"
#include "base/symbols.h"

/* Three functions, instead of the empty table. */
const uint64_t symbol_table_base = 0xffff828000001000ul;
const uint32_t symbol_table_count = 3;
const uint32_t symbol_table_end = 0x300;
const uint32_t symbol_table_offset[3] = {0, 0x10, 0x200};
const uint32_t symbol_table_name[3] = {0, 6, 11};
const char symbol_table_names[] = "start\0main\0end";

static unsigned dumps;

static void dump(void)
{
    dumps++;
}

static void message(void **state)
{
    const char *log;

    panic_dump = dump;
    host_log();
    assert_true(host_panics(panic("things are %s", "bad")));
    log = host_log();
    assert_non_null(strstr(log, "Panic on CPU 0: things are bad"));
    assert_int_equal(dumps, 1);
    assert_true(host_panics(BUG_ON(1 + 1 == 2)));
    assert_non_null(strstr(host_log(), "BUG: 1 + 1 == 2 at "));
    assert_false(host_panics(ASSERT(true)));
    assert_true(host_panics(ASSERT(dumps == 0)));
}

static void dump_panics(void)
{
    panic("again");
}

static void panic_in_panic(void **state)
{
    panic_dump = dump_panics;
    assert_true(host_panics(panic("first")));
    panic_dump = NULL;
}

static unsigned stops;

static void stop_others(void)
{
    stops++;
}

static void see_from_both(void)
{
    assert_false(stop_begun()); /* the one that panics goes on to print */
    host_cpu_select(1);
    assert_true(stop_begun());
    host_cpu_select(0);
}

static void others_are_stopped(void **state)
{
    host_machine_init(1 << 20, 2);
    panic_stop_others = stop_others;
    panic_dump = see_from_both;
    host_log();
    assert_true(host_panics(panic("first")));
    assert_int_equal(stops, 1);
    panic_dump = NULL;
    host_log();
    assert_true(host_panics(stop_all()));
    assert_int_equal(stops, 2);
    assert_string_equal(host_log(), "");
    panic_stop_others = NULL;
}

static void backtrace(void **state)
{
    uint64_t *stack = (uint64_t *)cpu_local() - 64;
    struct regs r = {.rip = 0xffff828000001205ul, .rbp = (uint64_t)stack};
    const char *log;

    stack[0] = (uint64_t)&stack[8];
    stack[1] = 0xffff828000001014ul;
    stack[8] = (uint64_t)&stack[8]; /* points to itself: must end */
    stack[9] = 0xffff828000001000ul;
    host_log();
    assert_true(host_panics(panic_at(&r, "fault")));
    log = host_log();
    assert_non_null(strstr(log, "end+0x5/0x100"));
    assert_non_null(strstr(log, "main+0x4/0x1f0"));
    assert_non_null(strstr(log, "start+0/0x10"));
    /* Pointers that lead out of the stack, or are crooked. */
    r.rbp = 8;
    assert_true(host_panics(panic_at(&r, "fault")));
    r.rbp = (uint64_t)cpu_local() - 8;
    assert_true(host_panics(panic_at(&r, "fault")));
    r.rbp = (uint64_t)stack + 1;
    assert_true(host_panics(panic_at(&r, "fault")));
}

static void lookup(void **state)
{
    uint64_t start, size, addr;
    char buf[32];

    assert_null(symbol_lookup(symbol_table_base - 1, &start, &size));
    assert_null(symbol_lookup(symbol_table_base + 0x300, &start, &size));
    assert_null(symbol_lookup(0, NULL, NULL));
    assert_string_equal(symbol_lookup(symbol_table_base, &start, &size), "start");
    assert_int_equal(size, 0x10);
    assert_string_equal(symbol_lookup(symbol_table_base + 0x1ff, &start, &size), "main");
    assert_int_equal(start, symbol_table_base + 0x10);
    assert_string_equal(symbol_lookup(symbol_table_base + 0x2ff, NULL, NULL), "end");
    symbol_format(5, buf, sizeof(buf));
    assert_string_equal(buf, "0x5");
    assert_string_equal(symbol_at(1, &addr), "main");
    assert_int_equal(addr, symbol_table_base + 0x10);
    assert_null(symbol_at(3, &addr));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(message),
        cmocka_unit_test(panic_in_panic),
        cmocka_unit_test(others_are_stopped),
        cmocka_unit_test(backtrace),
        cmocka_unit_test(lookup),
    };
    return cmocka_run_group_tests_name("base_panic", tests, NULL, NULL);
}
