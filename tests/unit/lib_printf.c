/* SPDX-License-Identifier: MIT */
/* lib/printf.c: every combination of flags against libc's snprintf, and the ends of the buffer. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "lib/printf.h"

#pragma GCC diagnostic ignored "-Wformat-nonliteral"
#pragma GCC diagnostic ignored "-Wformat-truncation"

#define SAME(...)                                                   \
    do {                                                            \
        char own_[128], libc_[128];                                 \
        int own_n_ = fmt_snprintf(own_, sizeof(own_), __VA_ARGS__); \
        int libc_n_ = snprintf(libc_, sizeof(libc_), __VA_ARGS__);  \
        assert_string_equal(own_, libc_);                           \
        assert_int_equal(own_n_, libc_n_);                          \
    } while (0)

static const char *const widths[] = {"", "1", "8", "20", ".0", ".1", ".7", "12.5", "5.12", "20.0"};

/* Calls same(format) for "%", each subset of the flags, each width, and the given tail. */
static void each_format(const char *tail, void (*same)(const char *format))
{
    for (unsigned int flags = 0; flags < 32; flags++) {
        for (size_t w = 0; w < sizeof(widths) / sizeof(widths[0]); w++) {
            char f[32] = "%";

            for (unsigned int i = 0; i < 5; i++)
                if (flags & (1u << i))
                    strncat(f, &"-0+ #"[i], 1);
            strcat(f, widths[w]);
            strcat(f, tail);
            same(f);
        }
    }
}

static void same_int(const char *f)
{
    static const int values[] = {0, 1, -1, 127, 128, -129, 40000, 1234567, INT_MAX, INT_MIN};

    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++)
        SAME(f, values[i]);
}

static void same_long(const char *f)
{
    static const long values[] = {0, 1, -1, 1l << 40, LONG_MAX, LONG_MIN};

    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++)
        SAME(f, values[i]);
}

static void same_string(const char *f)
{
    SAME(f, "");
    SAME(f, "abc");
    SAME(f, "a longer text than all widths here");
}

static void integers(void **state)
{
    static const char *const shorts[] = {"d",  "i",  "u",  "x",   "X",   "o",  "hd",
                                         "hu", "hx", "ho", "hhd", "hhx", "hhu"};
    static const char *const longs[] = {"ld", "lu", "lx", "lX", "lo", "lld", "llu",
                                        "zu", "zd", "jd", "jx", "td", "llo"};

    for (size_t i = 0; i < sizeof(shorts) / sizeof(shorts[0]); i++)
        each_format(shorts[i], same_int);
    for (size_t i = 0; i < sizeof(longs) / sizeof(longs[0]); i++)
        each_format(longs[i], same_long);
}

static void texts(void **state)
{
    each_format("s", same_string);
    SAME("[%c|%3c|%-3c]", 'a', 'b', 'c');
    SAME("%s %d%% %s", "at", 50, "now");
    SAME("%*d|%-*d|%*d", 6, 1, 6, 2, -6, 3);
    SAME("%.*s|%.*s|%*.*s", 2, "abc", -1, "abc", 5, 1, "xyz");
    SAME("%p", (void *)0x1234abcdul);
    SAME("%20p|%-20p", (void *)0x10ul, (void *)0x20ul);
    SAME("plain");
}

static void null_string_is_shown(void **state)
{
    char b[16];
    const char *volatile none = NULL;

    assert_int_equal(fmt_snprintf(b, sizeof(b), "<%s>", none), 8);
    assert_string_equal(b, "<(null)>");
}

static void zero_pointer_is_shown_as_a_number(void **state)
{
    char b[8];

    assert_int_equal(fmt_snprintf(b, sizeof(b), "%p", NULL), 3);
    assert_string_equal(b, "0x0");
}

static void unterminated_string_with_precision(void **state)
{
    char raw[3] = {'a', 'b', 'c'}, b[8];

    assert_int_equal(fmt_snprintf(b, sizeof(b), "%.3s", raw), 3);
    assert_string_equal(b, "abc");
}

static void buffer_end(void **state)
{
    char b[8];

    for (size_t size = 0; size <= 7; size++) {
        memset(b, 'Z', sizeof(b));
        assert_int_equal(fmt_snprintf(b, size, "ab%d", 345), 5);
        for (size_t i = 0; i < size; i++)
            assert_int_equal(b[i], i < size - 1 && i < 5 ? "ab345"[i] : i <= 5 ? 0 : 'Z');
        for (size_t i = size; i < sizeof(b); i++)
            assert_int_equal(b[i], 'Z');
    }
    assert_int_equal(fmt_snprintf(NULL, 0, "%200d", 1), 200);
}

static void unknown_conversions_are_shown(void **state)
{
    static const char *const odd[] = {"%", "%y", "a%-5", "%.", "%ll", "%5.3", "%f|"};
    char b[16];

    for (size_t i = 0; i < sizeof(odd) / sizeof(odd[0]); i++) {
        fmt_snprintf(b, sizeof(b), odd[i]);
        assert_string_equal(b, odd[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(integers),
        cmocka_unit_test(texts),
        cmocka_unit_test(null_string_is_shown),
        cmocka_unit_test(zero_pointer_is_shown_as_a_number),
        cmocka_unit_test(unterminated_string_with_precision),
        cmocka_unit_test(buffer_end),
        cmocka_unit_test(unknown_conversions_are_shown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
