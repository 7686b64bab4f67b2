/* SPDX-License-Identifier: MIT */
/*
 * Sets of 64-bit numbers as inclusive ranges: permissions on ports, memory and interrupts, memory
 * maps. The ranges are sorted, disjoint and never adjacent (adjacent ones are joined), so a set
 * has one form and a range is contained iff one entry holds it. The caller gives the array.
 *
 * Who changes a set holds its lock, if others may change it too. Who asks need not: a question is
 * asked again if the set was changed meanwhile, so it is answered as before or after each change,
 * never from halves of two. A walk, `for (i = 0; i < set->n; i++) set->r[i]`, needs the lock.
 */
#pragma once

#include "lib/types.h"

struct range {
    uint64_t first, last; /* both included */
};

struct range_set {
    struct range *r;
    unsigned int n, cap;
    unsigned int changes; /* odd while one is under way */
};

/* An empty set in an array of cap entries. */
static inline void range_set_init(struct range_set *set, struct range *array, unsigned int cap)
{
    *set = (struct range_set){.r = array, .cap = cap};
}

/*
 * Adds (removes) first..last, whatever of it is in the set already. -EINVAL if first > last,
 * -ENOSPC if the array has no room for one more range; the set is unchanged then. Adding what
 * joins a neighbour and removing what splits nothing always succeed.
 */
int must_check range_set_add(struct range_set *set, uint64_t first, uint64_t last);
int must_check range_set_remove(struct range_set *set, uint64_t first, uint64_t last);

/* Is all (any) of first..last in the set? False if first > last. */
bool range_set_contains(const struct range_set *set, uint64_t first, uint64_t last);
bool range_set_overlaps(const struct range_set *set, uint64_t first, uint64_t last);

/*
 * The part of the set at or after `from` that comes first: its range, cut to begin at `from` if it
 * begins before. False if there is none.
 */
bool range_set_next(const struct range_set *set, uint64_t from, struct range *out);
