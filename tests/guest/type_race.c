/* SPDX-License-Identifier: MIT */
/* Two vcpus on two processors that want one frame for two uses at the same moment.
 *
 * Cause: type, count and translations of a frame are looked at and changed by both.
 * Steps: while one pins and unpins a page as a table, the other maps it writable and writes through
 * it, through a mapping that it does not flush, and through one that the first takes away; both pin
 * and unpin the same tree; one links what the other unlinks; one flips an L1 entry that the other
 * reads.
 * Verdict: no write ever reaches a table, each operation is done or refused, and at the end every
 * frame is free for any use.
 * Options: dom0_max_vcpus=2 guest_loglvl=none
 * Machine: -smp 2
 */
#include "lib/second.h"

#define ROUNDS 300u

static uint64_t *page, *hole;
static pte_t *hole_pte, *l2;
static unsigned long frame;
static volatile unsigned int way, stop, written, mapped, theirs;

enum {
    REMAP,
    STALE,
    PIN_BOTH,
    LINK,
    NR_WAYS
};

static void remap(void)
{
    while (!stop) {
        if (hc_update_va_mapping(UL(hole), mfn_pte(frame, PTE_KERNEL), UVMF_INVLPG) == 0) {
            mapped++;
            hole[5] = 0;
            hc_update_va_mapping(UL(hole), 0, way == STALE ? UVMF_NONE : UVMF_INVLPG);
        }
        theirs++;
    }
}

static void pin_too(void)
{
    while (!stop) {
        if (mmuext(MMUEXT_PIN_L1_TABLE, frame) == 0) {
            mapped++;
            mmuext(MMUEXT_UNPIN_TABLE, frame);
        }
        theirs++;
    }
}

static void link_too(void)
{
    while (!stop) {
        if (mmu_set(&l2[509], mfn_pte(frame, PTE_TABLE)) == 0)
            mapped++;
        mmu_set(&l2[509], 0);
        theirs++;
    }
}

static void second(void)
{
    if (way == PIN_BOTH)
        pin_too();
    else if (way == LINK)
        link_too();
    else
        remap();
}

/* Our side: a table, as often as we get it; while it is one, nobody writes it. */
static unsigned int pins(void)
{
    unsigned int got = 0;

    for (unsigned int i = 0; i < ROUNDS || (theirs < 50 && i < 100 * ROUNDS); i++) {
        if (mmuext(MMUEXT_PIN_L1_TABLE, frame))
            continue;
        got++;
        if (page[5])
            written++;
        if (page_set_rw(page) == 0)
            expect_failed("a pinned table can be mapped writable");
        expect_eq(mmuext(MMUEXT_UNPIN_TABLE, frame), 0);
        if (i % 8 == 0)
            hc_sched_op(SCHEDOP_yield, NULL);
    }
    return got;
}

void test_main(void)
{
    unsigned int got;

    hole = hole_alloc();
    hole_pte = pte_lookup(hole, 1);
    page = page_alloc();
    frame = virt_to_mfn(page);
    need_eq(page_set_ro(page), 0);
    l2 = mfn_to_virt(pte_mfn(*pte_lookup(hole, 3)));
    for (way = 0; way < NR_WAYS; way++) {
        stop = mapped = theirs = 0;
        second_start(second);
        got = pins();
        stop = 1;
        expect(second_wait());
        if (!got || !mapped)
            expect_failed("way %u: %u pins, %u mappings in %u tries", way, got, mapped, theirs);
        mmu_set(&l2[509], 0);
        expect_eq(*hole_pte, 0);
        expect_eq(page_set_rw(page), 0);
        expect_eq(page_set_ro(page), 0);
    }
    expect_eq(written, 0);
    test_pass();
}
