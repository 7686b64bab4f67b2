/* SPDX-License-Identifier: MIT */
/* Threads as they come, for ThreadSanitizer; what it is not to look at. */
#include "threads.h"

void threads_begin(uint64_t seed, unsigned n)
{
}

void threads_enter(unsigned n)
{
}

void threads_leave(unsigned n)
{
}

bool threads_alone(void)
{
    return false;
}

/* The processor and guests' memory: what guests and walkers do there is no race of ours. */
const char *__tsan_default_suppressions(void);
const char *__tsan_default_suppressions(void)
{
    return "race:guest_access\n"
           "race:hw_copy\n"
           "race:op_copy_page\n"
           "race:op_clear_page\n"
           "race:rate_allows\n"; /* how often a line is logged */
}

/* read_once() and write_once() are volatile: marked accesses, whose races are meant. */
#define MARKED(n)                           \
    void __tsan_volatile_read##n(void *p);  \
    void __tsan_volatile_read##n(void *p)   \
    {                                       \
    }                                       \
    void __tsan_volatile_write##n(void *p); \
    void __tsan_volatile_write##n(void *p)  \
    {                                       \
    }
MARKED(1)
MARKED(2)
MARKED(4)
MARKED(8)
MARKED(16)
