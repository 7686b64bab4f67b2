/* SPDX-License-Identifier: MIT */
/* lib/div128: quotients at the edges and by chance, judged by the property that defines them (gcc's
 * own division would call the function under test). */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

typedef unsigned __int128 uint128_t;

uint128_t __udivti3(uint128_t n, uint128_t d);

static uint128_t u128(uint64_t high, uint64_t low)
{
    return (uint128_t)high << 64 | low;
}

static void check_is(uint128_t n, uint128_t d, uint128_t q)
{
    assert_true(__udivti3(n, d) == q);
}

/* n = q * d + rest with rest < d, and q * d does not overflow. */
static void check_property(uint128_t n, uint128_t d)
{
    uint128_t q = __udivti3(n, d), product;

    assert_false(__builtin_mul_overflow(q, d, &product));
    assert_true(product <= n);
    assert_true(n - product < d);
}

static void edges(void **state)
{
    const uint128_t most = ~(uint128_t)0, top = (uint128_t)1 << 127;

    check_is(0, 1, 0);
    check_is(0, most, 0);
    check_is(1, 1, 1);
    check_is(6, 7, 0);
    check_is(7, 7, 1);
    check_is(most, 1, most);
    check_is(most, most, 1);
    check_is(most - 1, most, 0);
    check_is(most, top, 1); /* the rest passes bit 127 */
    check_is(most, top + 1, 1);
    check_is(top, 2, (uint128_t)1 << 126);
    check_is(top - 1, top, 0);
    check_is(u128(1, 0), 1ull << 32, 1ull << 32);
    check_is(u128(1, 0), u128(1, 0), 1);
    check_is(most, ~0ull, u128(1, 1));
    check_is(u128(1, 0), 3, 0x5555555555555555);
    /* As clocks use it: 2^32 * 10^9 / Hz, and ns * 2^64 / ns. */
    check_is((uint128_t)1000000000 << 32, 3000000000, 1431655765);
    check_is(u128(1000000000, 0), 2000000000, 1ull << 63);
}

static uint64_t seed = 1;

static uint64_t random64(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed;
}

static uint128_t random128(void)
{
    return u128(random64(), random64()) >> (random64() % 128);
}

static void by_chance(void **state)
{
    for (unsigned i = 0; i < 20000; i++) {
        uint128_t n = random128(), d = random128();

        if (!d)
            d = 1;
        check_property(n, d);
        check_property(d, n ? n : 1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(edges),
        cmocka_unit_test(by_chance),
    };

    return cmocka_run_group_tests_name("lib_div128", tests, NULL, NULL);
}
