/* SPDX-License-Identifier: MIT */
/* CPUs one at a time: the compiler calls these functions at every atomic and marked access of the
 * sources, as it would ThreadSanitizer's; here the seed says whether another CPU goes on. So every
 * order of such accesses can happen, and the same seed gives the same. A CPU that spins always
 * gives its turn away. */
#include <semaphore.h>
#include <stdbool.h>
#include <stdlib.h>

#include "threads.h"

#define CPUS      16u
#define SPINS_MAX 1000000u /* in a round */

static sem_t turn[CPUS];
static bool inside[CPUS], started;
static unsigned cpus, running, entered;
static uint64_t state;
static __thread bool mine; /* this thread takes part */
static __thread unsigned self, spins;

static uint32_t random_below(uint32_t n)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (uint32_t)(state >> 16) % n;
}

void threads_begin(uint64_t seed, unsigned n)
{
    state = seed | 1;
    cpus = n;
    entered = 0;
    for (unsigned i = 0; i < n; i++) {
        if (!started)
            sem_init(&turn[i], 0, 0);
        inside[i] = true;
    }
    started = true;
    running = random_below(n);
}

void threads_enter(unsigned n)
{
    mine = true;
    self = n;
    spins = 0;
    /* The last to come starts the one that the seed chose. */
    if (__atomic_add_fetch(&entered, 1, __ATOMIC_SEQ_CST) == cpus)
        sem_post(&turn[running]);
    sem_wait(&turn[n]);
}

static unsigned other(void)
{
    unsigned n = random_below(cpus);

    while (!inside[n] || n == self)
        n = (n + 1) % cpus;
    return n;
}

static bool anybody(void)
{
    for (unsigned i = 0; i < cpus; i++)
        if (inside[i] && i != self)
            return true;
    return false;
}

void threads_leave(unsigned n)
{
    mine = false;
    inside[n] = false;
    if (anybody())
        sem_post(&turn[other()]);
}

static void give(void)
{
    if (!anybody())
        return;
    sem_post(&turn[other()]);
    sem_wait(&turn[self]);
}

bool threads_alone(void)
{
    return true;
}

static inline void at(void)
{
    if (mine && random_below(24) == 0)
        give();
}

/* Linked in the place of the double's. */
void __real_cpu_pause(void);
void __wrap_cpu_pause(void);
void __wrap_cpu_pause(void)
{
    /* Whoever it waits for has had its turn often enough. */
    if (mine && ++spins > SPINS_MAX)
        abort();
    if (mine)
        give();
    __real_cpu_pause();
}

/* ---- what the compiler calls ---- */

#define NOTHING(name, ...)  \
    void name(__VA_ARGS__); \
    void name(__VA_ARGS__)  \
    {                       \
    }
NOTHING(__tsan_init, void)
NOTHING(__tsan_func_entry, void *p)
NOTHING(__tsan_func_exit, void)
NOTHING(__tsan_read_range, void *p, unsigned long n)
NOTHING(__tsan_write_range, void *p, unsigned long n)
NOTHING(__tsan_vptr_update, void **p, void *v)

#define ACCESSES(n)                             \
    NOTHING(__tsan_read##n, void *p)            \
    NOTHING(__tsan_write##n, void *p)           \
    NOTHING(__tsan_unaligned_read##n, void *p)  \
    NOTHING(__tsan_unaligned_write##n, void *p) \
    void __tsan_volatile_read##n(void *p);      \
    void __tsan_volatile_read##n(void *p)       \
    {                                           \
        at();                                   \
    }                                           \
    void __tsan_volatile_write##n(void *p);     \
    void __tsan_volatile_write##n(void *p)      \
    {                                           \
        at();                                   \
    }
ACCESSES(1)
ACCESSES(2)
ACCESSES(4)
ACCESSES(8)
ACCESSES(16)

#define FETCH(bits, type, name, builtin)                                    \
    type __tsan_atomic##bits##_##name(volatile type *p, type v, int order); \
    type __tsan_atomic##bits##_##name(volatile type *p, type v, int order)  \
    {                                                                       \
        at();                                                               \
        return builtin(p, v, __ATOMIC_SEQ_CST);                             \
    }

#define ATOMICS(bits, type)                                                                       \
    type __tsan_atomic##bits##_load(const volatile type *p, int order);                           \
    type __tsan_atomic##bits##_load(const volatile type *p, int order)                            \
    {                                                                                             \
        at();                                                                                     \
        return __atomic_load_n(p, __ATOMIC_SEQ_CST);                                              \
    }                                                                                             \
    void __tsan_atomic##bits##_store(volatile type *p, type v, int order);                        \
    void __tsan_atomic##bits##_store(volatile type *p, type v, int order)                         \
    {                                                                                             \
        at();                                                                                     \
        __atomic_store_n(p, v, __ATOMIC_SEQ_CST);                                                 \
    }                                                                                             \
    FETCH(bits, type, exchange, __atomic_exchange_n)                                              \
    FETCH(bits, type, fetch_add, __atomic_fetch_add)                                              \
    FETCH(bits, type, fetch_sub, __atomic_fetch_sub)                                              \
    FETCH(bits, type, fetch_and, __atomic_fetch_and)                                              \
    FETCH(bits, type, fetch_or, __atomic_fetch_or)                                                \
    FETCH(bits, type, fetch_xor, __atomic_fetch_xor)                                              \
    int __tsan_atomic##bits##_compare_exchange_strong(volatile type *p, type *old, type v,        \
                                                      int order, int fail);                       \
    int __tsan_atomic##bits##_compare_exchange_strong(volatile type *p, type *old, type v,        \
                                                      int order, int fail)                        \
    {                                                                                             \
        at();                                                                                     \
        return __atomic_compare_exchange_n(p, old, v, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST); \
    }                                                                                             \
    int __tsan_atomic##bits##_compare_exchange_weak(volatile type *p, type *old, type v,          \
                                                    int order, int fail);                         \
    int __tsan_atomic##bits##_compare_exchange_weak(volatile type *p, type *old, type v,          \
                                                    int order, int fail)                          \
    {                                                                                             \
        return __tsan_atomic##bits##_compare_exchange_strong(p, old, v, order, fail);             \
    }
ATOMICS(8, uint8_t)
ATOMICS(16, uint16_t)
ATOMICS(32, uint32_t)
ATOMICS(64, uint64_t)

void __tsan_atomic_thread_fence(int order);
void __tsan_atomic_thread_fence(int order)
{
    at();
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
}
NOTHING(__tsan_atomic_signal_fence, int order)
