/* SPDX-License-Identifier: MIT */
/* Sets of 64-bit numbers as sorted, disjoint, inclusive ranges. See lib/range.h. */
#include "lib/range.h"
#include "lib/util.h"

#include "lib/errno.h"

/* ---- entries, which may change while somebody asks ---- */

static struct range entry(const struct range_set *set, unsigned int i)
{
    return (struct range){__atomic_load_n(&set->r[i].first, __ATOMIC_RELAXED),
                          __atomic_load_n(&set->r[i].last, __ATOMIC_RELAXED)};
}

static void entry_set(struct range_set *set, unsigned int i, struct range r)
{
    __atomic_store_n(&set->r[i].first, r.first, __ATOMIC_RELAXED);
    __atomic_store_n(&set->r[i].last, r.last, __ATOMIC_RELAXED);
}

static unsigned int count_of(const struct range_set *set)
{
    return __atomic_load_n(&set->n, __ATOMIC_RELAXED);
}

/* A question begins: the state that it asks of. */
static unsigned int ask(const struct range_set *set)
{
    unsigned int changes;

    do {
        changes = __atomic_load_n(&set->changes, __ATOMIC_ACQUIRE);
    } while (changes & 1);
    return changes;
}

/* Was the set as it is now when the question began? */
static bool answered(const struct range_set *set, unsigned int changes)
{
    __atomic_thread_fence(__ATOMIC_ACQUIRE);
    return __atomic_load_n(&set->changes, __ATOMIC_RELAXED) == changes;
}

static void change(struct range_set *set)
{
    __atomic_thread_fence(__ATOMIC_RELEASE);
    __atomic_store_n(&set->changes, set->changes + 1, __ATOMIC_RELAXED);
    __atomic_thread_fence(__ATOMIC_RELEASE);
}

/* The index of the first range whose last element is at or after x (n if none). */
static unsigned int find(const struct range_set *set, uint64_t x)
{
    unsigned int lo = 0, hi = count_of(set);

    while (lo < hi) {
        unsigned int mid = lo + (hi - lo) / 2;

        if (entry(set, mid).last < x)
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
    change(set);
    if (count > old)
        for (unsigned int k = set->n; k-- > i + old;)
            entry_set(set, k + count - old, set->r[k]);
    else
        for (unsigned int k = i + old; k < set->n; k++)
            entry_set(set, k + count - old, set->r[k]);
    for (unsigned int k = 0; k < count; k++)
        entry_set(set, i + k, with[k]);
    __atomic_store_n(&set->n, set->n - old + count, __ATOMIC_RELAXED);
    change(set);
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

/* The entry at or after x; false if there is none. */
static bool lookup(const struct range_set *set, uint64_t x, struct range *r)
{
    unsigned int changes, i;
    bool found;

    do {
        changes = ask(set);
        i = find(set, x);
        found = i < count_of(set);
        *r = found ? entry(set, i) : (struct range){0, 0};
    } while (!answered(set, changes));
    return found;
}

bool range_set_contains(const struct range_set *set, uint64_t first, uint64_t last)
{
    struct range r;

    return first <= last && lookup(set, first, &r) && r.first <= first && last <= r.last;
}

bool range_set_overlaps(const struct range_set *set, uint64_t first, uint64_t last)
{
    struct range r;

    return first <= last && lookup(set, first, &r) && r.first <= last;
}

bool range_set_next(const struct range_set *set, uint64_t from, struct range *out)
{
    if (!lookup(set, from, out))
        return false;
    out->first = max(out->first, from);
    return true;
}
