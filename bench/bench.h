/* SPDX-License-Identifier: MIT */
/* How an operation is timed: RUNS times with the TSC, `BENCH name min avg` on the console.
 *
 * Under QEMU's -icount shift=0 the TSC counts executed instructions, so the numbers repeat to the
 * digit. The cost of an empty bracket is taken off. Include it after the library's header. */
#ifndef BENCH_H
#define BENCH_H

#define RUNS 200

static uint64_t empty; /* an empty bracket */
static uint64_t best, total;

static void record(unsigned int i, uint64_t ticks)
{
    ticks -= empty;
    best = i && best < ticks ? best : ticks;
    total = (i ? total : 0) + ticks;
}

/* Times op, each time after prepare, which is not timed. */
#define BENCH(name, prepare, op)                                \
    do {                                                        \
        for (unsigned int i_ = 0; i_ < RUNS; i_++) {            \
            uint64_t start_;                                    \
            prepare;                                            \
            start_ = rdtsc();                                   \
            op;                                                 \
            record(i_, rdtsc() - start_);                       \
        }                                                       \
        printf("BENCH %s %lu %lu\n", name, best, total / RUNS); \
    } while (0)

/* Once. */
#define BENCH_ONCE(name, op)                             \
    do {                                                 \
        uint64_t start_ = rdtsc();                       \
        op;                                              \
        record(0, rdtsc() - start_);                     \
        printf("BENCH %s %lu %lu\n", name, best, total); \
    } while (0)

static void bench_begin(void)
{
    for (unsigned int i = 0; i < RUNS; i++) {
        uint64_t start = rdtsc(), ticks = rdtsc() - start;

        empty = i && empty < ticks ? empty : ticks;
    }
}

#endif
