/* SPDX-License-Identifier: MIT */
/* Locks and their order.
 *
 * The hypervisor runs with interrupts off but for windows that it opens itself (interrupts_window,
 * idle), and no lock is held in a window: so one kind of lock serves for all. While it spins, a CPU
 * serves TLB shoot-downs of others through `lock_spin_poll`, so a holder may wait for a flush.
 *
 * Every lock has a rank; a CPU takes locks in rising rank only (equal rank: never two, except by
 * lock_pair, in the order of addresses). Debug builds check. */
#pragma once

#include "base/panic.h"
#include "base/percpu.h"

/* The one order. Outer first. */
enum lock_rank {
    RANK_DOMCTL,        /* control operations, one at a time */
    RANK_DOMLIST,       /* the list of domains, writers */
    RANK_DOMAIN,        /* a domain's life and vCPU states */
    RANK_PV,            /* a PV domain's page tables: update operations of one domain */
    RANK_DEVICE,        /* set-up of devices and their MSIs, one operation at a time */
    RANK_GRANT,         /* a domain's grant table */
    RANK_MAPTRACK,      /* what a domain has mapped of others' grants */
    RANK_EVENT_HANDLER, /* which domain gets the global VIRQs */
    RANK_EVENT,         /* a domain's event channels */
    RANK_EVENT_QUEUE,   /* the FIFO event queues of a vCPU */
    RANK_PIRQ,          /* physical interrupts and who has them */
    RANK_PCI,           /* PCI devices, configuration space */
    RANK_VCHIP,         /* a timer chip of a fully virtual domain */
    RANK_VIRQ,          /* its interrupt lines, PICs and IO-APIC */
    RANK_PAGE_OWNER,    /* a domain's list of pages and their count */
    RANK_POOL,          /* CPU pools, groups and units in them */
    RANK_SCHED,         /* the run queues of a cluster of CPUs */
    RANK_CAP,           /* a group's budget of CPU time */
    RANK_TIMER,         /* a CPU's timers */
    RANK_RUNSTATE,      /* a vCPU's state and the times it spent in each */
    RANK_MAPPINGS,      /* the hypervisor's page tables */
    RANK_HEAP,
    RANK_BUDDY,
    RANK_IRQ,  /* an interrupt and its vectors */
    RANK_CHIP, /* IO-APIC, RTC, PIT: registers with an index */
    RANK_FLUSH,
    RANK_LOG, /* last: one may log anywhere */
    RANK_COUNT,
};

/* What clang checks (-Wthread-safety): on each path through a function the locks that it takes are
 * given back, once, unless it says here that it takes, tries, drops or needs one. A function that
 * returns with the lock of an object that it finds cannot say so: it is `locks_unchecked`, and its
 * callers use lock_assert(). */
#ifdef __clang__
#define lockable          __attribute__((capability("lock")))
#define takes_lock(...)   __attribute__((acquire_capability(__VA_ARGS__)))
#define tries_lock(...)   __attribute__((try_acquire_capability(true, __VA_ARGS__)))
#define drops_lock(...)   __attribute__((release_capability(__VA_ARGS__)))
#define needs_lock(...)   __attribute__((requires_capability(__VA_ARGS__)))
#define asserts_lock(...) __attribute__((assert_capability(__VA_ARGS__)))
#define locks_unchecked   __attribute__((no_thread_safety_analysis))
#else
#define lockable
#define takes_lock(...)
#define tries_lock(...)
#define drops_lock(...)
#define needs_lock(...)
#define asserts_lock(...)
#define locks_unchecked
#endif

struct lockable lock {
    uint32_t ticket;  /* [a] next ticket to hand out */
    uint32_t serving; /* [a] */
    uint8_t rank;
    int16_t owner; /* CPU + 1 while held, for checks and dumps */
    const char *name;
};

#define LOCK_INIT(rank_, name_)          \
    {                                    \
        .rank = (rank_), .name = (name_) \
    }

/* What debug and host builds note and check of each lock that is taken and given back. `equal`: the
 * second lock of a pair may have the rank of the first. */
#if defined(ARGON_DEBUG) || defined(ARGON_HOST)
void lock_check_order(const struct lock *l, bool equal);
void lock_note_taken(const struct lock *l);
void lock_note_released(const struct lock *l);
#else
static inline void lock_check_order(const struct lock *l, bool equal)
{
}

static inline void lock_note_taken(const struct lock *l)
{
}

static inline void lock_note_released(const struct lock *l)
{
}
#endif

void lock_init(struct lock *l, enum lock_rank rank, const char *name);
/* Until the ticket `mine` is served. */
void lock_wait(const struct lock *l, uint32_t mine);

static inline void lock_acquire(struct lock *l)
{
    uint32_t mine = __atomic_fetch_add(&l->ticket, 1, __ATOMIC_RELAXED);

    if (unlikely(__atomic_load_n(&l->serving, __ATOMIC_ACQUIRE) != mine))
        lock_wait(l, mine);
    l->owner = (int16_t)(cpu_id() + 1);
    lock_note_taken(l);
}

static inline locks_unchecked void lock(struct lock *l) takes_lock(l)
{
    lock_check_order(l, false);
    lock_acquire(l);
}

static inline locks_unchecked void unlock(struct lock *l) drops_lock(l)
{
    lock_note_released(l);
    l->owner = 0;
    __atomic_store_n(&l->serving, l->serving + 1, __ATOMIC_RELEASE);
}

bool lock_try(struct lock *l) must_check tries_lock(l);
bool lock_held(const struct lock *l); /* by this CPU */
static inline void lock_assert(const struct lock *l) asserts_lock(l)
{
    ASSERT(lock_held(l));
}
/* Two locks of one rank; a == b takes it once. */
void lock_pair(struct lock *a, struct lock *b) takes_lock(a, b);
void unlock_pair(struct lock *a, struct lock *b) drops_lock(a, b);
/* From panic only: makes the lock free whoever holds it. */
void lock_break(struct lock *l);

/* Called while spinning; memory/tlb.c sets it. [I] */
extern void (*lock_spin_poll)(void);

/* Debug and host builds: forgets the notes of who holds what (a test that met a panic). */
void lock_checks_reset(void);
