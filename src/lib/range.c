/* SPDX-License-Identifier: MIT */
/* Sets of 64-bit numbers as sorted, disjoint, inclusive ranges. See lib/range.h. */
#include "lib/range.h"
#include "lib/string.h"
#include "lib/util.h"

#include "lib/errno.h"

/* The index of the first range whose last element is at or after x (n if none). */
static unsigned int find(const struct range_set *set, uint64_t x)
{
    unsigned int lo = 0, hi = set->n;

    while (lo < hi) {
        unsigned int mid = lo + (hi - lo) / 2;

        if (set->r[mid].last < x)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

/* Replaces the `old` ranges from index i by the `count` given ones. */
static int splice(struct range_set *set, unsigned int i, unsigned int old, const struct range *with,
                  unsigned int count)
{
    if (count > old && set->cap - set->n < count - old)
        return -ENOSPC;
    memmove(set->r + i + count, set->r + i + old, (set->n - i - old) * sizeof(*set->r));
    for (unsigned int k = 0; k < count; k++)
        set->r[i + k] = with[k];
    set->n = set->n - old + count;
    return 0;
}

int range_set_add(struct range_set *set, uint64_t first, uint64_t last)
{
    struct range joined = {first, last};
    unsigned int i, end;

    if (first > last)
        return -EINVAL;
    /* From the first range that touches or follows `first`, to behind the last that touches. */
    i = end = find(set, first ? first - 1 : 0);
    while (end < set->n && (last == UINT64_MAX || set->r[end].first <= last + 1)) {
        joined.first = min(joined.first, set->r[end].first);
        joined.last = max(joined.last, set->r[end].last);
        end++;
    }
    return splice(set, i, end - i, &joined, 1);
}

int range_set_remove(struct range_set *set, uint64_t first, uint64_t last)
{
    struct range rest[2];
    unsigned int i, end, count = 0;

    if (first > last)
        return -EINVAL;
    i = end = find(set, first);
    while (end < set->n && set->r[end].first <= last)
        end++;
    if (end == i)
        return 0;
    if (set->r[i].first < first)
        rest[count++] = (struct range){set->r[i].first, first - 1};
    if (set->r[end - 1].last > last)
        rest[count++] = (struct range){last + 1, set->r[end - 1].last};
    return splice(set, i, end - i, rest, count);
}

bool range_set_contains(const struct range_set *set, uint64_t first, uint64_t last)
{
    unsigned int i = find(set, first);

    return first <= last && i < set->n && set->r[i].first <= first && last <= set->r[i].last;
}

bool range_set_overlaps(const struct range_set *set, uint64_t first, uint64_t last)
{
    unsigned int i = find(set, first);

    return first <= last && i < set->n && set->r[i].first <= last;
}

bool range_set_next(const struct range_set *set, uint64_t from, struct range *out)
{
    unsigned int i = find(set, from);

    if (i == set->n)
        return false;
    *out = (struct range){max(set->r[i].first, from), set->r[i].last};
    return true;
}
