/* SPDX-License-Identifier: MIT */
/* Bitmaps: the functions that walk whole maps. See lib/bitmap.h. */
#include "lib/bitmap.h"

/* Combines whole longs; the tail stays 0 because it is 0 in both sources, or is masked. */
void bitmap_and(unsigned long *to, const unsigned long *a, const unsigned long *b, size_t n)
{
    for (size_t k = 0; k < BITMAP_LONGS(n); k++)
        to[k] = a[k] & b[k];
}

void bitmap_or(unsigned long *to, const unsigned long *a, const unsigned long *b, size_t n)
{
    for (size_t k = 0; k < BITMAP_LONGS(n); k++)
        to[k] = a[k] | b[k];
}

void bitmap_andnot(unsigned long *to, const unsigned long *a, const unsigned long *b, size_t n)
{
    for (size_t k = 0; k < BITMAP_LONGS(n); k++)
        to[k] = a[k] & ~b[k];
}

/* The bits of long k that belong to a map of n bits. */
static unsigned long valid_bits(size_t k, size_t n)
{
    return k == BITMAP_LONGS(n) - 1 ? bitmap_last_mask(n) : ~0ul;
}

bool bitmap_equal(const unsigned long *a, const unsigned long *b, size_t n)
{
    for (size_t k = 0; k < BITMAP_LONGS(n); k++)
        if ((a[k] ^ b[k]) & valid_bits(k, n))
            return false;
    return true;
}

bool bitmap_empty(const unsigned long *bm, size_t n)
{
    for (size_t k = 0; k < BITMAP_LONGS(n); k++)
        if (bm[k] & valid_bits(k, n))
            return false;
    return true;
}

bool bitmap_intersects(const unsigned long *a, const unsigned long *b, size_t n)
{
    for (size_t k = 0; k < BITMAP_LONGS(n); k++)
        if (a[k] & b[k] & valid_bits(k, n))
            return true;
    return false;
}

bool bitmap_subset(const unsigned long *a, const unsigned long *of, size_t n)
{
    for (size_t k = 0; k < BITMAP_LONGS(n); k++)
        if (a[k] & ~of[k] & valid_bits(k, n))
            return false;
    return true;
}

/* Counts by parallel sums: no POPCNT is assumed and no libgcc is linked. */
static size_t long_weight(unsigned long x)
{
    x -= (x >> 1) & 0x5555555555555555ul;
    x = (x & 0x3333333333333333ul) + ((x >> 2) & 0x3333333333333333ul);
    x = (x + (x >> 4)) & 0x0f0f0f0f0f0f0f0ful;
    return x * 0x0101010101010101ul >> 56;
}

size_t bitmap_weight(const unsigned long *bm, size_t n)
{
    size_t w = 0;

    for (size_t k = 0; k < BITMAP_LONGS(n); k++)
        w += long_weight(bm[k] & valid_bits(k, n));
    return w;
}

/* The first bit at or after `from` that differs from `invert`'s. */
static size_t next_bit(const unsigned long *bm, size_t n, size_t from, unsigned long invert)
{
    size_t k = bitmap_long(from);
    unsigned long x;

    if (from >= n)
        return n;
    x = (bm[k] ^ invert) & (~0ul << (from % BITS_PER_LONG));
    while (!x) {
        if (++k >= BITMAP_LONGS(n))
            return n;
        x = bm[k] ^ invert;
    }
    from = k * BITS_PER_LONG + (size_t)__builtin_ctzl(x);
    return min(from, n);
}

size_t bitmap_next(const unsigned long *bm, size_t n, size_t from)
{
    return next_bit(bm, n, from, 0);
}

size_t bitmap_next_zero(const unsigned long *bm, size_t n, size_t from)
{
    return next_bit(bm, n, from, ~0ul);
}

/* The bits [from, to) of one long; to - from > 0, both within it or its end. */
static unsigned long range_mask(size_t from, size_t to)
{
    return (~0ul << (from % BITS_PER_LONG)) & (~0ul >> (-to % BITS_PER_LONG));
}

void bitmap_set_range(unsigned long *bm, size_t first, size_t count)
{
    size_t end = first + count;

    while (first < end) {
        size_t stop = min(ROUND_DOWN(first, BITS_PER_LONG) + BITS_PER_LONG, end);

        bm[bitmap_long(first)] |= range_mask(first, stop);
        first = stop;
    }
}

void bitmap_clear_range(unsigned long *bm, size_t first, size_t count)
{
    size_t end = first + count;

    while (first < end) {
        size_t stop = min(ROUND_DOWN(first, BITS_PER_LONG) + BITS_PER_LONG, end);

        bm[bitmap_long(first)] &= ~range_mask(first, stop);
        first = stop;
    }
}
