/* SPDX-License-Identifier: MIT */
/* Registers of two domains that run in turns on one processor.
 *
 * Cause: what one domain leaves in the vector registers, in the bases or in the debug registers is
 * seen by the next, if a switch leaves it out: keys, addresses, a breakpoint that stops the other.
 * Steps: domain 0 and a second domain fill all of these with patterns of their own, yield to each
 * other, and look; domain 0 watches a word at an address where the second domain writes its own.
 * Verdict: each always finds its own, and only domain 0 is stopped.
 */
#include "lib/domu.h"
#include "lib/state.h"

#define ROUNDS   300u
#define WATCH    (1u << 0 | 1u << 16 | 3u << 18) /* DR0: four bytes, when written */
#define DR7_NONE 0x400u

static volatile unsigned int rounds, wrong_vectors, wrong_bases, stops;
static volatile unsigned int watched __attribute__((aligned(4)));

static bool on_db(struct regs *regs)
{
    stops++;
    return true;
}

static void round_of(unsigned int who)
{
    uint64_t pattern = 0x1111111111111111ul * (rounds % 15 + 1) + who;
    unsigned int n = 2 * rounds + who + 2;

    vector_fill(pattern);
    bases_fill(n);
    hc_sched_op(SCHEDOP_yield, NULL);
    wrong_vectors += !vector_same(pattern);
    wrong_bases += !bases_same(n);
    rounds++;
}

static void other(void)
{
    trap_hook(VEC_DB, on_db);
    vector_enable();
    while (rounds < ROUNDS) {
        round_of(1);
        watched = rounds;
    }
}

static struct domu d;

void test_main(void)
{
    struct xen_domctl_getdomaininfo info = {0};
    unsigned int expected = 0;

    vector_enable();
    domu_create(&d, other);
    trap_hook(VEC_DB, on_db);
    need_eq(domctl_plain(XEN_DOMCTL_unpausedomain, d.id), 0);
    while (!(info.flags & XEN_DOMINF_shutdown) && rounds < 100 * ROUNDS) {
        round_of(0);
        hc_set_debugreg(0, UL(&watched));
        hc_set_debugreg(7, DR7_NONE | WATCH);
        hc_sched_op(SCHEDOP_yield, NULL);
        watched = rounds;
        hc_set_debugreg(7, DR7_NONE);
        expected++;
        need_eq(domain_info(d.id, &info), 0);
    }
    expect_eq(domu_wait(&d), SHUTDOWN_poweroff);
    expect_eq(*domu_view(&d, &rounds), ROUNDS);
    expect_eq(*domu_view(&d, &wrong_vectors), 0);
    expect_eq(*domu_view(&d, &wrong_bases), 0);
    expect_eq(*domu_view(&d, &stops), 0);
    expect_eq(wrong_vectors, 0);
    expect_eq(wrong_bases, 0);
    expect_eq(stops, expected);
    /* They did take turns. */
    expect(rounds > ROUNDS / 20);
    domu_destroy(&d);
    test_pass();
}
