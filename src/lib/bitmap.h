/* SPDX-License-Identifier: MIT */
/*
 * Bitmaps in arrays of unsigned long, bit 0 lowest. `n` is the number of bits of the map, indices
 * are below it. Bits from n to the end of the last long are kept 0 by every function here, and
 * ignored by those that read. Not atomic but for the two functions that say so.
 */
#pragma once

#include "lib/string.h"
#include "lib/util.h"

#define BITS_PER_LONG           (8 * sizeof(unsigned long))
#define BITMAP_LONGS(n)         (((n) + BITS_PER_LONG - 1) / BITS_PER_LONG)
#define BITMAP_DECLARE(name, n) unsigned long name[BITMAP_LONGS(n)]

#define bitmap_long(i) ((i) / BITS_PER_LONG)
#define bitmap_mask(i) (1ul << ((i) % BITS_PER_LONG))

/* The bits that count in the last long of a map of n bits (n > 0). */
static inline unsigned long bitmap_last_mask(size_t n)
{
    return ~0ul >> (-n % BITS_PER_LONG);
}

static inline void bitmap_zero(unsigned long *bm, size_t n)
{
    memset(bm, 0, BITMAP_LONGS(n) * sizeof(long));
}

static inline void bitmap_fill(unsigned long *bm, size_t n)
{
    if (!n)
        return;
    memset(bm, 0xff, BITMAP_LONGS(n) * sizeof(long));
    bm[BITMAP_LONGS(n) - 1] = bitmap_last_mask(n);
}

static inline void bitmap_copy(unsigned long *to, const unsigned long *from, size_t n)
{
    memmove(to, from, BITMAP_LONGS(n) * sizeof(long));
}

static inline void bitmap_set(unsigned long *bm, size_t i)
{
    bm[bitmap_long(i)] |= bitmap_mask(i);
}

static inline void bitmap_clear(unsigned long *bm, size_t i)
{
    bm[bitmap_long(i)] &= ~bitmap_mask(i);
}

static inline bool bitmap_test(const unsigned long *bm, size_t i)
{
    return bm[bitmap_long(i)] & bitmap_mask(i);
}

/* Atomic and sequentially consistent; the old value of the bit. */
static inline bool bit_test_and_set_atomic(unsigned long *bm, size_t i)
{
    return __atomic_fetch_or(&bm[bitmap_long(i)], bitmap_mask(i), __ATOMIC_SEQ_CST) &
           bitmap_mask(i);
}

static inline bool bit_test_and_clear_atomic(unsigned long *bm, size_t i)
{
    return __atomic_fetch_and(&bm[bitmap_long(i)], ~bitmap_mask(i), __ATOMIC_SEQ_CST) &
           bitmap_mask(i);
}

/* to may be a or b. */
void bitmap_and(unsigned long *to, const unsigned long *a, const unsigned long *b, size_t n);
void bitmap_or(unsigned long *to, const unsigned long *a, const unsigned long *b, size_t n);
void bitmap_andnot(unsigned long *to, const unsigned long *a, const unsigned long *b, size_t n);

bool bitmap_equal(const unsigned long *a, const unsigned long *b, size_t n);
bool bitmap_empty(const unsigned long *bm, size_t n);
bool bitmap_intersects(const unsigned long *a, const unsigned long *b, size_t n);
bool bitmap_subset(const unsigned long *a, const unsigned long *of, size_t n);

/* The number of bits that are set. */
size_t bitmap_weight(const unsigned long *bm, size_t n);

/* The first set (clear) bit at or after `from`, or n if there is none. */
size_t bitmap_next(const unsigned long *bm, size_t n, size_t from);
size_t bitmap_next_zero(const unsigned long *bm, size_t n, size_t from);

static inline size_t bitmap_first(const unsigned long *bm, size_t n)
{
    return bitmap_next(bm, n, 0);
}

/* Sets (clears) the `count` bits from `first`. */
void bitmap_set_range(unsigned long *bm, size_t first, size_t count);
void bitmap_clear_range(unsigned long *bm, size_t first, size_t count);

/* i, an integer variable, takes each set bit of the map in rising order. */
#define bitmap_for_each(i, bm, n) \
    for ((i) = bitmap_next(bm, n, 0); (i) < (n); (i) = bitmap_next(bm, n, (i) + 1))
