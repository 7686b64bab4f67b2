/* SPDX-License-Identifier: MIT */
/*
 * lib/string.c and lib/strutil.c. The host build links libc's string functions, so ours are
 * compiled in here under other names and compared with libc's call by call.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "lib/errno.h"

#include "lib/strutil.h"

#define memcpy  own_memcpy
#define memmove own_memmove
#define memset  own_memset
#define memcmp  own_memcmp
#define strlen  own_strlen
#define strnlen own_strnlen
#define strcmp  own_strcmp
#define strncmp own_strncmp
#define strchr  own_strchr
#include "../../src/lib/string.c"
#undef memcpy
#undef memmove
#undef memset
#undef memcmp
#undef strlen
#undef strnlen
#undef strcmp
#undef strncmp
#undef strchr

static int sign(int x)
{
    return (x > 0) - (x < 0);
}

static void fill_random(unsigned char *p, size_t n)
{
    while (n--)
        *p++ = (unsigned char)rand();
}

static void copies_agree_with_libc(void **state)
{
    unsigned char src[256], a[256], b[256];

    for (int i = 0; i < 20000; i++) {
        size_t n = (size_t)rand() % 100, from = (size_t)rand() % 128, to = (size_t)rand() % 128;

        fill_random(src, sizeof(src));
        memcpy(a, src, sizeof(a));
        memcpy(b, src, sizeof(b));
        assert_ptr_equal(own_memmove(a + to, a + from, n), a + to);
        memmove(b + to, b + from, n);
        assert_memory_equal(a, b, sizeof(a));
        own_memcpy(a + to, src + from, n);
        memcpy(b + to, src + from, n);
        assert_memory_equal(a, b, sizeof(a));
        own_memset(a + from, (int)to, n);
        memset(b + from, (int)to, n);
        assert_memory_equal(a, b, sizeof(a));
    }
}

static void compares_agree_with_libc(void **state)
{
    for (int i = 0; i < 20000; i++) {
        unsigned char a[40], b[40];
        size_t n = (size_t)rand() % 40;

        fill_random(a, sizeof(a));
        memcpy(b, a, sizeof(a));
        if (rand() & 3)
            b[rand() % 40] ^= 1u << (rand() & 7);
        assert_int_equal(sign(own_memcmp(a, b, n)), sign(memcmp(a, b, n)));
        a[rand() % 40] = b[39] = a[39] = 0;
        assert_int_equal(sign(own_strcmp((char *)a, (char *)b)),
                         sign(strcmp((char *)a, (char *)b)));
        assert_int_equal(sign(own_strncmp((char *)a, (char *)b, n)),
                         sign(strncmp((char *)a, (char *)b, n)));
        assert_int_equal(own_strlen((char *)a), strlen((char *)a));
        assert_int_equal(own_strnlen((char *)a, n), strnlen((char *)a, n));
        assert_ptr_equal(own_strchr((char *)a, a[n]), strchr((char *)a, a[n]));
        assert_ptr_equal(own_strchr((char *)a, 0x101), strchr((char *)a, 1));
    }
}

static void strlcpy_cuts_and_terminates(void **state)
{
    char b[8] = "xxxxxxx";

    assert_int_equal(strlcpy(b, "abc", 0), 3);
    assert_string_equal(b, "xxxxxxx");
    assert_int_equal(strlcpy(b, "abc", 3), 3);
    assert_string_equal(b, "ab");
    assert_int_equal(strlcpy(b, "abcdefg", 8), 7);
    assert_string_equal(b, "abcdefg");
    assert_int_equal(strlcpy(b, "abcdefghij", 8), 10);
    assert_string_equal(b, "abcdefg");
}

static void expect_uint(const char *text, unsigned int base, int rc, uint64_t value, size_t used)
{
    const char *s = text;
    uint64_t v = 77;

    assert_int_equal(parse_uint(&s, base, &v), rc);
    assert_int_equal(v, rc ? 77 : value);
    assert_int_equal(s - text, rc ? 0 : used);
}

static void numbers(void **state)
{
    expect_uint("0", 0, 0, 0, 1);
    expect_uint("0x", 0, 0, 0, 1);
    expect_uint("0xg", 16, 0, 0, 1);
    expect_uint("0x1fZ", 0, 0, 31, 4);
    expect_uint("0X1F", 16, 0, 31, 4);
    expect_uint("1F", 16, 0, 31, 2);
    expect_uint("0x10", 10, 0, 0, 1);
    expect_uint("0178", 0, 0, 15, 3);
    expect_uint("zz", 36, 0, 35 * 36 + 35, 2);
    expect_uint("18446744073709551615,", 0, 0, UINT64_MAX, 20);
    expect_uint("18446744073709551616", 0, -ERANGE, 0, 0);
    expect_uint("0x10000000000000000", 0, -ERANGE, 0, 0);
    expect_uint("", 0, -EINVAL, 0, 0);
    expect_uint("-1", 0, -EINVAL, 0, 0);
    expect_uint(" 1", 0, -EINVAL, 0, 0);
}

static void expect_size(const char *text, char unit, int rc, uint64_t value, size_t used)
{
    const char *s = text;
    uint64_t v = 77;

    assert_int_equal(parse_size(&s, unit, &v), rc);
    assert_int_equal(v, rc ? 77 : value);
    assert_int_equal(s - text, rc ? 0 : used);
}

static void sizes(void **state)
{
    expect_size("4096", 'B', 0, 4096, 4);
    expect_size("4096", 'K', 0, 4096 << 10, 4);
    expect_size("2M,", 'K', 0, 2 << 20, 2);
    expect_size("2g:x", 'K', 0, 2ull << 30, 2);
    expect_size("16777215T", 'B', 0, 16777215ull << 40, 9);
    expect_size("16777216T", 'B', -ERANGE, 0, 0);
    expect_size("7b", 'T', 0, 7, 2);
    expect_size("M", 'B', -EINVAL, 0, 0);
    expect_size("1", '?', -EINVAL, 0, 0);
    /* 'B' is no hexadecimal suffix: it is a digit. */
    expect_size("0x1BM", 'B', 0, 0x1bull << 20, 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(copies_agree_with_libc),
        cmocka_unit_test(compares_agree_with_libc),
        cmocka_unit_test(strlcpy_cuts_and_terminates),
        cmocka_unit_test(numbers),
        cmocka_unit_test(sizes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
