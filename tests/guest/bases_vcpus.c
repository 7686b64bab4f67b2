/* SPDX-License-Identifier: MIT */
/* Segment bases and debug registers of two vcpus that take turns.
 *
 * Cause: bases are loaded only where they differ, debug registers only while a breakpoint is on;
 * one that is left out shows a thread the data of another, or stops it where it has no breakpoint.
 * Steps: each vcpu sets bases and debug registers of its own, yields, and looks; one watches a word
 * that both write; each goes through null selectors in FS and GS at times, which clear a base.
 * Verdict: each finds its own; only the one that watches is stopped, and each time.
 *
 * Options: dom0_max_vcpus=2
 */
#include "lib/second.h"
#include "lib/state.h"

#define ROUNDS   300u
#define WATCH    (1u << 0 | 1u << 16 | 3u << 18) /* DR0: four bytes, when written */
#define DR7_NONE 0x400u

static volatile unsigned int wrong[2], stops, watched __attribute__((aligned(4)));

static bool on_db(struct regs *regs)
{
    stops++;
    return true;
}

/* The base goes with the selector; then it comes again. */
static void reload(unsigned int n)
{
    asm volatile("mov %0, %%fs; mov %0, %%gs" ::"r"(0));
    bases_fill(n);
}

static void work(unsigned int who)
{
    for (unsigned int i = 1; i <= ROUNDS; i++) {
        unsigned int n = 2 * i + who, before;

        bases_fill(n);
        hc_sched_op(SCHEDOP_yield, NULL);
        if (i % 7 == 3)
            reload(n);
        if (i % 5 == 2)
            hc_sched_op(SCHEDOP_yield, NULL);
        wrong[who] += !bases_same(n);
        if (who == 0) {
            hc_set_debugreg(0, UL(&watched));
            hc_set_debugreg(7, DR7_NONE | WATCH);
        }
        hc_sched_op(SCHEDOP_yield, NULL);
        before = stops;
        watched = n;
        wrong[who] += stops - before != (who == 0);
        if (who == 0)
            hc_set_debugreg(7, DR7_NONE);
    }
}

static void second(void)
{
    work(1);
}

void test_main(void)
{
    trap_hook(VEC_DB, on_db);
    second_start(second);
    work(0);
    expect(second_wait());
    expect_eq(stops, ROUNDS);
    expect_eq(wrong[0], 0);
    expect_eq(wrong[1], 0);
    test_pass();
}
