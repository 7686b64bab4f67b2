/* SPDX-License-Identifier: MIT */
/* Division of 128-bit numbers, which gcc calls by this name: freestanding code has no libgcc. Bit
 * by bit: for rare conversions of time, not for fast paths. */
#include "lib/types.h"

typedef unsigned __int128 uint128_t;

uint128_t __udivti3(uint128_t n, uint128_t d);

uint128_t __udivti3(uint128_t n, uint128_t d)
{
    uint128_t quotient = 0, rest = 0;

    for (int bit = 127; bit >= 0; bit--) {
        rest = rest << 1 | (n >> bit & 1);
        if (rest >= d) {
            rest -= d;
            quotient |= (uint128_t)1 << bit;
        }
    }
    return quotient;
}
