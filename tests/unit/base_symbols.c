/* SPDX-License-Identifier: MIT */
/* base/symbols: look-up in a table of our own, at every address around each border. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "machine.h"
#include "base/symbols.h"

/* Instead of the empty table of the host build. */
#define BASE 0xffff828000000000ul
const uint64_t symbol_table_base = BASE;
const uint32_t symbol_table_count = 4;
const uint32_t symbol_table_end = 0x100;
const uint32_t symbol_table_offset[] = {0x10, 0x20, 0x21, 0x80};
const uint32_t symbol_table_name[] = {0, 6, 8, 13};
const char symbol_table_names[] = "first\0b\0long\0last";

static void every_address(void **state)
{
    for (uint64_t off = 0; off < 0x120; off++) {
        uint64_t start = 1, size = 1;
        const char *name = symbol_lookup(BASE + off, &start, &size);
        unsigned i = off < 0x20 ? 0 : off < 0x21 ? 1 : off < 0x80 ? 2 : 3;

        if (off < 0x10 || off >= 0x100) {
            assert_null(name);
            continue;
        }
        assert_string_equal(name, symbol_table_names + symbol_table_name[i]);
        assert_int_equal(start, BASE + symbol_table_offset[i]);
        assert_true(off >= start - BASE && off < start - BASE + size);
        assert_int_equal(start + size - BASE, i < 3 ? symbol_table_offset[i + 1] : 0x100);
    }
    assert_null(symbol_lookup(0, NULL, NULL));
    assert_null(symbol_lookup(BASE - 1, NULL, NULL));
    assert_null(symbol_lookup(~0ull, NULL, NULL));
    assert_null(symbol_lookup(BASE + (1ull << 32) + 0x20, NULL, NULL));
    assert_string_equal(symbol_lookup(BASE + 0x20, NULL, NULL), "b");
}

static void text(void **state)
{
    char buf[64], small[8];

    symbol_format(BASE + 0x22, buf, sizeof(buf));
    assert_string_equal(buf, "long+0x1/0x5f");
    symbol_format(BASE + 0x100, buf, sizeof(buf));
    assert_string_equal(buf, "0xffff828000000100");
    memset(small, 'x', sizeof(small));
    symbol_format(BASE + 0x22, small, 6);
    assert_string_equal(small, "long+");
    assert_int_equal(small[6], 'x');
}

static void by_number(void **state)
{
    uint64_t addr = 0;

    assert_string_equal(symbol_at(0, &addr), "first");
    assert_int_equal(addr, BASE + 0x10);
    assert_string_equal(symbol_at(3, &addr), "last");
    assert_int_equal(addr, BASE + 0x80);
    assert_null(symbol_at(4, &addr));
    assert_null(symbol_at(~0u, &addr));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_address),
        cmocka_unit_test(text),
        cmocka_unit_test(by_number),
    };

    return cmocka_run_group_tests_name("base_symbols", tests, NULL, NULL);
}
