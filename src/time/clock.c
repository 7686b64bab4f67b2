/* SPDX-License-Identifier: MIT */
/*
 * Calibration of the TSC, system time, wall clock.
 *
 * The TSC is measured against the platform's clock over ROUNDS windows, and the middle result is
 * taken: a window that was stretched (an SMI, an emulator that lost its host CPU) spoils only
 * itself. Each end of a window is read between two readings of the TSC, which bounds its error.
 */
#include "time/clock.h"
#include "base/log.h"
#include "base/param.h"
#include "lib/errno.h"
#include "lib/util.h"

#define NS_PER_SEC 1000000000ull
#define NS_MAX     (1ull << 62) /* 146 years */
#define ROUNDS     5
#define WINDOW_NS  10000000ull
#define READ_TRIES 5
#define HZ_MIN     1000000ull /* what an emulator may come down to */
#define HZ_MAX     (1ull << 35)
#define DEFAULT_HZ NS_PER_SEC
#define ROUND_PPM  50 /* results this close to a round number of MHz are taken for it */

#define CPUID_TSC     0x15u
#define CPUID_APM     0x80000007u
#define APM_INVARIANT (1u << 8)

struct time_scale time_scale;
uint64_t time_tsc_hz;
static uint64_t tsc_per_ns_32; /* TSC ticks per ns, 32.32 */
static struct wallclock wallclock;
static uint32_t wallclock_seq; /* [a] odd while wallclock is written */
static bool tsc_invariant_wanted = true;
PARAM_BOOL("tsc_stable", tsc_invariant_wanted);

/* One reading of both clocks: the reference, and the TSC halfway around it. The tightest of several
 * tries counts. */
static void read_both(const struct clock_source *c, uint64_t *count, uint64_t *tsc)
{
    uint64_t best = ~0ull;

    for (unsigned n = 0; n < READ_TRIES; n++) {
        uint64_t before = rdtsc_ordered(), now = c->read(), after = rdtsc_ordered();

        if (after - before < best) {
            best = after - before;
            *count = now;
            *tsc = before + best / 2;
        }
    }
}

static uint64_t measure(const struct clock_source *c)
{
    uint64_t mask = c->bits < 64 ? (1ull << c->bits) - 1 : ~0ull;
    uint64_t window = (uint64_t)((unsigned __int128)c->hz * WINDOW_NS / NS_PER_SEC);
    uint64_t start, start_tsc, end, end_tsc;

    read_both(c, &start, &start_tsc);
    do {
        cpu_pause();
        read_both(c, &end, &end_tsc);
    } while (((end - start) & mask) < window);
    return (uint64_t)((unsigned __int128)(end_tsc - start_tsc) * c->hz / ((end - start) & mask));
}

static uint64_t measure_middle(const struct clock_source *c)
{
    uint64_t hz[ROUNDS] = {0};

    for (unsigned n = 0; n < ROUNDS; n++) {
        uint64_t v = measure(c);
        unsigned at = n;

        for (; at > 0 && hz[at - 1] > v; at--)
            hz[at] = hz[at - 1];
        hz[at] = v;
    }
    return hz[ROUNDS / 2];
}

/* Crystal and ratio of leaf 0x15, where both are given. Intel SDM vol. 3B, 18.7.3. */
static uint64_t cpuid_hz(void)
{
    struct cpuid_leaf l;

    if (hw_cpuid(0, 0).a < CPUID_TSC)
        return 0;
    l = hw_cpuid(CPUID_TSC, 0);
    return l.a && l.b ? (uint64_t)l.c * l.b / l.a : 0;
}

static bool invariant(void)
{
    return hw_cpuid(0x80000000, 0).a >= CPUID_APM && (hw_cpuid(CPUID_APM, 0).d & APM_INVARIANT);
}

/* An emulator's TSC runs at exactly so many MHz (-icount: 1000): the last digits are our error. */
static uint64_t round_hz(uint64_t hz)
{
    uint64_t mhz = (hz + 500000) / 1000000 * 1000000;
    uint64_t off = hz > mhz ? hz - mhz : mhz - hz;

    return mhz == NS_PER_SEC && off * 1000000 < hz * ROUND_PPM ? mhz : hz;
}

static uint64_t clock_of_log(void)
{
    return time_now();
}

void time_scale_set(struct time_scale *s, uint64_t hz)
{
    uint64_t mul;
    int shift = 0;

    /* mul / 2^32 * 2^shift = 1e9 / hz, with the highest bit of mul set for precision. */
    for (uint64_t scaled = hz; scaled <= NS_PER_SEC; scaled <<= 1)
        shift++;
    for (uint64_t scaled = hz; scaled > 2 * NS_PER_SEC; scaled >>= 1)
        shift--;
    if (shift > 0)
        mul = (uint64_t)(((unsigned __int128)NS_PER_SEC << 32) / ((unsigned __int128)hz << shift));
    else
        mul = (uint64_t)(((unsigned __int128)NS_PER_SEC << (32 - shift)) / hz);
    s->mul = mul > UINT32_MAX ? UINT32_MAX : (uint32_t)mul;
    s->shift = (int8_t)shift;
}

void clock_init_hz(uint64_t hz)
{
    time_scale_set(&time_scale, hz);
    time_scale.stable = invariant() && tsc_invariant_wanted;
    time_tsc_hz = hz;
    tsc_per_ns_32 = (uint64_t)(((unsigned __int128)hz << 32) / NS_PER_SEC);
    time_scale.tsc_base = rdtsc_ordered();
    log_clock = clock_of_log;
}

void clock_init(const struct clock_source *reference)
{
    uint64_t hz = reference ? round_hz(measure_middle(reference)) : cpuid_hz();

    if (hz < HZ_MIN || hz > HZ_MAX) {
        log_warn("TSC of %lu Hz cannot be, taken for %llu Hz", hz, DEFAULT_HZ);
        hz = DEFAULT_HZ;
    }
    clock_init_hz(hz);
    log_info("TSC: %lu.%03lu MHz%s", hz / 1000000, hz / 1000 % 1000,
             time_scale.stable ? ", invariant" : "");
    if (!invariant())
        log_warn("the TSC is not invariant: time may drift when the CPU changes its speed");
}

uint64_t time_ns_to_tsc(uint64_t ns)
{
    unsigned __int128 delta = ((unsigned __int128)ns * tsc_per_ns_32) >> 32;
    uint64_t tsc;

    if (ns > NS_MAX || delta > UINT64_MAX - time_scale.tsc_base)
        return UINT64_MAX;
    tsc = time_scale.tsc_base + (uint64_t)delta;
    /* The two scales are rounded each on its own: what is missing then takes one or two steps. */
    for (unsigned n = 0; n < 8 && time_tsc_to_ns(tsc) < ns; n++) {
        uint64_t missing = ns - time_tsc_to_ns(tsc);

        tsc += (uint64_t)(((unsigned __int128)missing * tsc_per_ns_32) >> 32) + 1;
    }
    return tsc;
}

/* ---- wall clock: a sequence lock of one writer at a time (domain 0's hypercall) ---- */

struct wallclock wallclock_get(void)
{
    struct wallclock w;
    uint32_t seq;

    do {
        seq = __atomic_load_n(&wallclock_seq, __ATOMIC_ACQUIRE);
        w.sec = __atomic_load_n(&wallclock.sec, __ATOMIC_RELAXED);
        w.nsec = __atomic_load_n(&wallclock.nsec, __ATOMIC_RELAXED);
        __atomic_thread_fence(__ATOMIC_ACQUIRE);
    } while ((seq & 1) || seq != __atomic_load_n(&wallclock_seq, __ATOMIC_RELAXED));
    return w;
}

int wallclock_set(uint64_t sec, uint32_t nsec, uint64_t system_ns)
{
    uint64_t system_sec = system_ns / NS_PER_SEC;
    uint32_t system_nsec = (uint32_t)(system_ns % NS_PER_SEC);
    uint32_t seq;

    if (nsec >= NS_PER_SEC)
        return -EINVAL;
    if (nsec < system_nsec) {
        if (!sec)
            return -EINVAL;
        sec--;
        nsec += (uint32_t)NS_PER_SEC;
    }
    if (sec < system_sec)
        return -EINVAL;
    /* Two writers: the second waits for an even number. */
    do
        seq = __atomic_load_n(&wallclock_seq, __ATOMIC_RELAXED) & ~1u;
    while (!__atomic_compare_exchange_n(&wallclock_seq, &seq, seq + 1, false, __ATOMIC_ACQUIRE,
                                        __ATOMIC_RELAXED));
    __atomic_thread_fence(__ATOMIC_RELEASE);
    __atomic_store_n(&wallclock.sec, sec - system_sec, __ATOMIC_RELAXED);
    __atomic_store_n(&wallclock.nsec, nsec - system_nsec, __ATOMIC_RELAXED);
    __atomic_store_n(&wallclock_seq, seq + 2, __ATOMIC_RELEASE);
    return 0;
}

uint64_t wallclock_now(void)
{
    struct wallclock w = wallclock_get();

    return w.sec + (w.nsec + time_now()) / NS_PER_SEC;
}
