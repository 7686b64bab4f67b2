/* SPDX-License-Identifier: MIT */
/* memory/tlb: what is flushed where, the clock and its filter, requests that meet, and CPUs as
 * threads that flush each other without end. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <pthread.h>
#include <string.h>

#include "machine.h"
#include "memory/tlb.h"

#define CPUS 4u

static unsigned ipis;
static struct cpu_mask last_mask;

/* Each target serves at once. */
static void serve_others(const struct cpu_mask *mask)
{
    unsigned me = cpu_id(), cpu;

    ipis++;
    last_mask = *mask;
    bitmap_for_each (cpu, mask->bits, MAX_CPUS) {
        host_cpu_select(cpu);
        tlb_serve();
    }
    host_cpu_select(me);
}

static int fresh(void **state)
{
    host_machine_init(1 << 20, CPUS);
    tlb_ipi = serve_others;
    ipis = 0;
    return 0;
}

static struct cpu_mask mask_of(unsigned bits)
{
    struct cpu_mask m = {{0}};

    m.bits[0] = bits;
    return m;
}

static void flushes_are(unsigned a, unsigned b, unsigned c, unsigned d)
{
    const unsigned want[CPUS] = {a, b, c, d};

    for (unsigned i = 0; i < CPUS; i++)
        assert_int_equal(host_cpus[i].flushes, want[i]);
}

static void local(void **state)
{
    uint32_t before = tlb_clock();

    write_cr3(0x5000);
    host_cpu()->flushes = 0;
    tlb_flush_local(TLB_VA, 0x1000);
    assert_int_equal(host_cpu()->invalidations, 1);
    assert_int_equal(tlb_clock(), before); /* one page is no full flush */
    flushes_are(0, 0, 0, 0);
    tlb_flush_local(TLB_ALL, 0);
    assert_int_equal(read_cr3(), 0x5000);
    tlb_flush_local(TLB_ALL | TLB_GLOBAL, 0);
    flushes_are(2, 0, 0, 0);
    assert_true((int32_t)(tlb_clock() - before) > 0);
}

static void only_the_mask(void **state)
{
    struct cpu_mask m = mask_of(0xa); /* 1, 3 */

    tlb_flush_mask(&m, TLB_ALL, 0);
    flushes_are(0, 1, 0, 1);
    assert_int_equal(ipis, 1);
    assert_int_equal(last_mask.bits[0], 0xa);
    m = mask_of(0x3); /* this one and 1 */
    tlb_flush_mask(&m, TLB_ALL | TLB_GLOBAL, 0);
    flushes_are(1, 2, 0, 1);
    assert_int_equal(last_mask.bits[0], 0x2); /* no interrupt to oneself */
    m = mask_of(0x1);
    tlb_flush_mask(&m, TLB_ALL, 0);
    m = mask_of(0);
    tlb_flush_mask(&m, TLB_ALL, 0);
    assert_int_equal(ipis, 2);
    flushes_are(2, 2, 0, 1);
    /* One page. */
    m = mask_of(0xf);
    tlb_flush_mask(&m, TLB_VA, 0x7000);
    for (unsigned i = 0; i < CPUS; i++)
        assert_int_equal(host_cpus[i].invalidations, 1);
    flushes_are(2, 2, 0, 1);
}

static void offline_cpus_are_left_out(void **state)
{
    struct cpu_mask m = mask_of(0xf);

    bitmap_clear(cpus_online.bits, 2);
    tlb_flush_mask(&m, TLB_ALL, 0);
    flushes_are(1, 1, 0, 1);
    assert_int_equal(last_mask.bits[0], 0xa);
    bitmap_set(m.bits, MAX_CPUS - 1);
    tlb_flush_mask(&m, TLB_ALL, 0);
    flushes_are(2, 2, 0, 2);
}

static void serve_without_request(void **state)
{
    tlb_serve();
    tlb_serve();
    flushes_are(0, 0, 0, 0);
    assert_int_equal(host_cpu()->invalidations, 0);
}

/* ---- the clock ---- */

static void filter(void **state)
{
    struct cpu_mask all = mask_of(0xf), m;
    uint32_t stamp;

    tlb_flush_mask(&all, TLB_ALL, 0);
    stamp = tlb_clock(); /* a frame is freed now: nobody has flushed since */
    m = all;
    tlb_filter(&m, stamp);
    assert_int_equal(m.bits[0], 0xf);
    host_cpu_select(2);
    tlb_flush_local(TLB_ALL, 0);
    host_cpu_select(0);
    m = all;
    tlb_filter(&m, stamp);
    assert_int_equal(m.bits[0], 0xb);
    m = mask_of(0x5);
    tlb_filter(&m, stamp);
    assert_int_equal(m.bits[0], 0x1); /* only takes away */
    /* A single page does not count. */
    m = mask_of(0x2);
    tlb_flush_mask(&m, TLB_VA, 0x1000);
    tlb_filter(&m, stamp);
    assert_int_equal(m.bits[0], 0x2);
    tlb_flush_mask(&m, TLB_ALL, 0);
    tlb_filter(&m, stamp);
    assert_int_equal(m.bits[0], 0);
    /* Later stamps are not covered by earlier flushes. */
    m = all;
    tlb_filter(&m, tlb_clock());
    assert_int_equal(m.bits[0], 0xf);
}

static void clock_wraps(void **state)
{
    struct cpu_mask m = mask_of(0x3);
    uint32_t stamp;

    tlb_now = 0xfffffffe;
    tlb_flush_mask(&m, TLB_ALL, 0); /* ...ff and 0 */
    tlb_now = 0xffffffff;
    tlb_flush_local(TLB_ALL, 0);
    assert_int_equal(tlb_clock(), 0);
    stamp = 0xfffffffe;
    tlb_filter(&m, stamp);
    assert_int_equal(m.bits[0], 0);
    m = mask_of(0x1);
    tlb_filter(&m, 0);
    assert_int_equal(m.bits[0], 0x1);
}

/* ---- requests that meet ---- */

static void request_from_another(unsigned from, unsigned flags, uint64_t va);

static struct {
    bool armed;
    unsigned flags;
    uint64_t va;
} second;

/* CPU 1's interrupt is late: CPU 2 asks the same before it serves. */
static void late(const struct cpu_mask *mask)
{
    if (second.armed) {
        second.armed = false;
        request_from_another(2, second.flags, second.va);
    }
    serve_others(mask);
}

static void request_from_another(unsigned from, unsigned flags, uint64_t va)
{
    struct cpu_mask m = mask_of(0x2);
    unsigned me = cpu_id();

    host_cpu_select(from);
    tlb_flush_mask(&m, flags, va);
    host_cpu_select(me);
}

static void two_wishes(void **state)
{
    static const struct {
        unsigned flags[2];
        uint64_t va[2];
        unsigned flushes, invalidations;
    } cases[] = {
        {{TLB_VA, TLB_VA}, {0x1000, 0x1000}, 0, 1}, /* the same */
        {{TLB_VA, TLB_VA}, {0x1000, 0x2000}, 1, 0}, /* two pages: all of it */
        {{TLB_VA, TLB_ALL}, {0x1000, 0}, 1, 0},     {{TLB_ALL, TLB_VA}, {0, 0x1000}, 1, 0},
        {{TLB_ALL, TLB_ALL}, {0, 0}, 1, 0},
    };

    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
        fresh(NULL);
        tlb_ipi = late;
        second.armed = true;
        second.flags = cases[i].flags[1];
        second.va = cases[i].va[1];
        request_from_another(0, cases[i].flags[0], cases[i].va[0]);
        assert_false(second.armed);
        assert_int_equal(host_cpus[1].flushes, cases[i].flushes);
        assert_int_equal(host_cpus[1].invalidations, cases[i].invalidations);
    }
}

/* ---- threads ---- */

#define ROUNDS 3000u

static bool stop;
static uint32_t finished;
static uint32_t versions[CPUS];  /* [a] what each CPU has changed last */
static unsigned seen_late[CPUS]; /* by thread: a flush that had returned but was not seen */

static void no_interrupt(const struct cpu_mask *mask)
{
}

/* Flushes others at once with them, while they serve from their own waits only. */
static void *flusher(void *data)
{
    unsigned me = (unsigned)(uintptr_t)data;
    uint32_t x = me + 1;

    host_cpu_select(me);
    for (unsigned n = 0; n < ROUNDS; n++) {
        struct cpu_mask m, left;
        uint32_t stamp;

        x = x * 1664525 + 1013904223;
        m = mask_of((x >> 12) & ((1u << CPUS) - 1));
        stamp = tlb_clock();
        tlb_flush_mask(&m, x & 1 ? TLB_ALL : TLB_ALL | TLB_GLOBAL, 0);
        left = m;
        tlb_filter(&left, stamp);
        if (!bitmap_empty(left.bits, MAX_CPUS))
            seen_late[me]++; /* returned, but somebody has not flushed */
        __atomic_store_n(&versions[me], n, __ATOMIC_RELAXED);
        if (x >> 30 == 0)
            tlb_serve();
    }
    __atomic_fetch_add(&finished, 1, __ATOMIC_SEQ_CST);
    while (!__atomic_load_n(&stop, __ATOMIC_SEQ_CST)) {
        tlb_serve();
        cpu_pause();
    }
    return NULL;
}

static void all_against_all(void **state)
{
    pthread_t thread[CPUS];

    tlb_ipi = no_interrupt;
    stop = false;
    finished = 0;
    for (uintptr_t i = 0; i < CPUS; i++)
        assert_int_equal(pthread_create(&thread[i], NULL, flusher, (void *)i), 0);
    while (__atomic_load_n(&finished, __ATOMIC_SEQ_CST) < CPUS)
        cpu_pause();
    __atomic_store_n(&stop, true, __ATOMIC_SEQ_CST);
    for (unsigned i = 0; i < CPUS; i++) {
        pthread_join(thread[i], NULL);
        assert_int_equal(seen_late[i], 0);
        assert_int_equal(versions[i], ROUNDS - 1);
        assert_true(host_cpus[i].flushes > 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(local, fresh),
        cmocka_unit_test_setup(only_the_mask, fresh),
        cmocka_unit_test_setup(offline_cpus_are_left_out, fresh),
        cmocka_unit_test_setup(serve_without_request, fresh),
        cmocka_unit_test_setup(filter, fresh),
        cmocka_unit_test_setup(clock_wraps, fresh),
        cmocka_unit_test_setup(two_wishes, fresh),
        cmocka_unit_test_setup(all_against_all, fresh),
    };

    return cmocka_run_group_tests_name("memory_tlb", tests, NULL, NULL);
}
