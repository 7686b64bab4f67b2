/* SPDX-License-Identifier: MIT */
/*
 * Ticket locks: fair, and two words. See base/lock.h for the order; debug builds keep, for each
 * CPU, the locks that it holds and panic on a lock taken against the order, twice, or with
 * interrupts on.
 */
#include "base/lock.h"
#include "base/panic.h"
#include "base/percpu.h"

void (*lock_spin_poll)(void) sealed;

#if defined(ARGON_DEBUG) || defined(ARGON_HOST)

#define HELD_MAX 16

/* Not per-CPU data, which does not exist yet when the first locks are taken. */
static struct held {
    const struct lock *lock[HELD_MAX];
    unsigned count;
} held[MAX_CPUS];

static bool checks_off; /* [a] since a lock was broken by a panic */

void lock_check_order(const struct lock *l, bool equal)
{
    const struct held *h = &held[cpu_id()];

    if (checks_off)
        return;
    BUG_ON(interrupts_enabled());
    for (unsigned i = 0; i < h->count; i++) {
        const struct lock *o = h->lock[i];

        if (o == l)
            panic("lock %s taken twice", l->name);
        if (o->rank > l->rank || (o->rank == l->rank && !equal))
            panic("lock %s (rank %u) taken under %s (rank %u)", l->name, l->rank, o->name, o->rank);
    }
}

void lock_note_taken(const struct lock *l)
{
    struct held *h = &held[cpu_id()];

    if (checks_off)
        return;
    if (h->count == HELD_MAX)
        panic("more than %u locks held", HELD_MAX);
    h->lock[h->count++] = l;
}

void lock_note_released(const struct lock *l)
{
    struct held *h = &held[cpu_id()];

    if (checks_off)
        return;
    for (unsigned i = h->count; i-- > 0;) {
        if (h->lock[i] == l) {
            for (h->count--; i < h->count; i++)
                h->lock[i] = h->lock[i + 1];
            return;
        }
    }
    panic("lock %s released by CPU%u, which does not hold it", l->name, cpu_id());
}

static void note_broken(void)
{
    __atomic_store_n(&checks_off, true, __ATOMIC_RELAXED);
}

void lock_checks_reset(void)
{
    checks_off = false;
    for (unsigned i = 0; i < MAX_CPUS; i++)
        held[i].count = 0;
}

#else

static inline void note_broken(void)
{
}

#endif

void lock_wait(const struct lock *l, uint32_t mine)
{
    while (__atomic_load_n(&l->serving, __ATOMIC_ACQUIRE) != mine) {
        if (lock_spin_poll)
            lock_spin_poll();
        cpu_pause();
    }
}

void lock_init(struct lock *l, enum lock_rank rank, const char *name)
{
    *l = (struct lock)LOCK_INIT(rank, name);
}

locks_unchecked bool lock_try(struct lock *l)
{
    /* Pairs with the release in unlock, as in lock_acquire(). */
    uint32_t mine = __atomic_load_n(&l->serving, __ATOMIC_ACQUIRE);

    /* Succeeds only when the ticket we would draw is the one being served. */
    if (!__atomic_compare_exchange_n(&l->ticket, &mine, mine + 1, false, __ATOMIC_ACQUIRE,
                                     __ATOMIC_RELAXED))
        return false;
    l->owner = (int16_t)(cpu_id() + 1);
    lock_note_taken(l);
    return true;
}

bool lock_held(const struct lock *l)
{
    return read_once(l->owner) == (int16_t)(cpu_id() + 1);
}

locks_unchecked void lock_pair(struct lock *a, struct lock *b)
{
    struct lock *first = a < b ? a : b, *second = a < b ? b : a;

    lock(first);
    if (first == second)
        return;
    lock_check_order(second, true);
    lock_acquire(second);
}

locks_unchecked void unlock_pair(struct lock *a, struct lock *b)
{
    unlock(a);
    if (a != b)
        unlock(b);
}

void lock_break(struct lock *l)
{
    note_broken();
    l->owner = 0;
    __atomic_store_n(&l->serving, __atomic_load_n(&l->ticket, __ATOMIC_RELAXED), __ATOMIC_RELEASE);
}
