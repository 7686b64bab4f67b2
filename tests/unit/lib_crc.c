/* SPDX-License-Identifier: MIT */
/* lib/crc.c: published check values, and the bit-by-bit definition of the CRCs. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>

#include "lib/crc.h"

static const char nine[] = "123456789";

static void check_values(void **state)
{
    assert_true(crc32(0, nine, 9) == 0xcbf43926u);
    assert_true(crc64(0, nine, 9) == 0x995dc9bbdf1939faull);
    assert_true(crc32(0, nine, 0) == 0);
    assert_true(xxh64(nine, 0) == 0xef46db3751d8e999ull);
    assert_true(xxh64("a", 1) == 0xd24ec4f1a98c6e5bull);
    assert_true(xxh64("abc", 3) == 0x44bc2cf5ad770999ull);
    assert_true(xxh64("Call me Ishmael. Some years ago--never mind how long precisely-", 63) ==
                0x02a2e85470d6fd96ull);
}

static uint64_t bitwise(const uint8_t *p, size_t n, uint64_t poly, uint64_t ones)
{
    uint64_t crc = ones;

    for (; n; n--, p++) {
        crc ^= *p;
        for (int k = 0; k < 8; k++)
            crc = crc & 1 ? crc >> 1 ^ poly : crc >> 1;
    }
    return crc ^ ones;
}

static void agree_with_the_definition(void **state)
{
    uint8_t data[64];

    for (int i = 0; i < 2000; i++) {
        size_t n = (size_t)rand() % sizeof(data), cut = n ? (size_t)rand() % n : 0;

        for (size_t k = 0; k < n; k++)
            data[k] = (uint8_t)rand();
        assert_true(crc32(crc32(0, data, cut), data + cut, n - cut) ==
                    bitwise(data, n, 0xedb88320u, 0xffffffffu));
        assert_true(crc64(crc64(0, data, cut), data + cut, n - cut) ==
                    bitwise(data, n, 0xc96c5795d7870f42ull, ~0ull));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(check_values),
        cmocka_unit_test(agree_with_the_definition),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
