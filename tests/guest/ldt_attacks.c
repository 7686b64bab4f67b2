/* SPDX-License-Identifier: MIT */
/* LDTs over memory that is not fit to be one.
 *
 * Cause: an LDT is named by an address and looked at when a selector is used, so what lies there
 * can change in between.
 * Steps: sizes and addresses at each limit; an LDT over nothing, over a page table, over a writable
 * page, over another's frame, over bad descriptors; its page mapped writable, unmapped, freed or
 * updated while it is in use; two pages of which the second is bad.
 * Verdict: bad sizes and addresses are refused at once, a bad page when it is used, by an
 * exception; a page in use is never writable. */
#include "lib/domu.h"

#define DATA  0x00cff2000000ffffull
#define RING0 0x00cf92000000ffffull
#define GATE  0x0000ee00e0330000ull /* an interrupt gate, DPL 3 */

static uint64_t *ldt; /* two pages at consecutive addresses */

static long set_ldt(unsigned long address, unsigned int entries)
{
    struct mmuext_op op = {.cmd = MMUEXT_SET_LDT};

    op.arg1.linear_addr = address;
    op.arg2.nr_ents = entries;
    return hc_mmuext_op(&op, 1, NULL, DOMID_SELF);
}

/* The vector of a load through entry n of the LDT. */
static long load(unsigned int n)
{
    trap_forget();
    asm volatile(TRY("mov %0, %%ds")::"r"(n << 3 | 7));
    asm volatile("mov %0, %%ds" ::"r"(0));
    return last_trap.vector;
}

static void check_limits(void)
{
    expect_eq(set_ldt(UL(ldt), 8193), -XEN_EINVAL);
    expect_eq(set_ldt(UL(ldt), 0xffffffff), -XEN_EINVAL);
    expect_eq(set_ldt(UL(ldt) + 8, 16), -XEN_EINVAL);
    expect_eq(set_ldt(0x0000800000000000, 16), -XEN_EINVAL);
    expect_eq(set_ldt(0xffff830000000000, 16), -XEN_EINVAL);
    expect_eq(load(0), VEC_GP);
    expect_eq(last_trap.error, 4);
    expect_eq(set_ldt(UL(ldt), 8192), 0);
    expect_eq(set_ldt(0, 0), 0);
}

static void expect_unfit(const char *what)
{
    long vector;

    need_eq(set_ldt(UL(ldt), 1024), 0);
    vector = load(1);
    if (vector != VEC_PF && vector != VEC_GP)
        expect_failed("%s: vector %ld", what, vector);
    expect_eq(set_ldt(0, 0), 0);
}

static void check_unfit(void)
{
    pte_t *pte = pte_lookup(ldt, 1);
    unsigned long own = virt_to_mfn(ldt), foreign;
    domid_t id = domu_create_empty();

    expect_unfit("a writable page");
    need_eq(page_set_ro(ldt), 0);
    expect_eq(load(1), VEC_GP); /* there is none now */
    need_eq(mmu_set(pte, mfn_pte(virt_to_mfn(kernel_l4()), PTE_RO)), 0);
    expect_unfit("a page table");
    need_eq(mmu_set(pte, start_info->shared_info | PTE_RO), 0);
    expect_unfit("shared_info");
    need_eq(mmu_set(pte, mfn_pte(0xb8, PTE_RO)), 0);
    expect_unfit("the screen");
    domu_populate(id, &foreign, 1);
    need_eq(map_foreign(id, ldt, foreign, PTE_RO), 0);
    expect_unfit("a frame of another domain");
    need_eq(mmu_set(pte, 0), 0);
    need_eq(domctl_plain(XEN_DOMCTL_destroydomain, id), 0);
    expect_unfit("nothing");
    need_eq(mmu_set(pte, mfn_pte(own, PTE_KERNEL)), 0);
}

static void check_contents(void)
{
    ldt[1] = DATA;
    ldt[2] = RING0;
    ldt[3] = GATE;
    need_eq(page_set_ro(ldt), 0);
    expect_unfit("a gate in the page");
    need_eq(page_set_rw(ldt), 0);
    ldt[3] = 0;
    need_eq(page_set_ro(ldt), 0);
    need_eq(set_ldt(UL(ldt), 1024), 0);
    expect_eq(load(1), NO_TRAP);
    expect_eq(load(2), NO_TRAP);
    expect_eq(ldt[2] >> 45 & 3, 3);
    expect_eq(load(3), VEC_GP);
    expect_eq(last_trap.error, 3 << 3 | 4);
}

/* The page is in use from check_contents() on. */
static void check_in_use(void)
{
    uint64_t *hole = hole_alloc();

    expect(page_set_rw(ldt) < 0);
    expect(hc_update_va_mapping(UL(hole), mfn_pte(virt_to_mfn(ldt), PTE_KERNEL), 0) < 0);
    expect_eq(try_write(&ldt[4], RING0), VEC_PF);
    expect(mmuext(MMUEXT_PIN_L1_TABLE, virt_to_mfn(ldt)) < 0);
    expect(hc_update_descriptor(virt_to_maddr(&ldt[4]), GATE) < 0);
    expect_eq(hc_update_descriptor(virt_to_maddr(&ldt[4]), DATA), 0);
    expect_eq(load(4), NO_TRAP);
    /* The second page is bad, and does not disturb the first. */
    expect(load(512 + 1) != NO_TRAP);
    expect_eq(load(4), NO_TRAP);
    need_eq(page_set_ro(ldt + 512), 0);
    expect_eq(hc_update_descriptor(virt_to_maddr(&ldt[512 + 1]), DATA), 0);
    expect_eq(load(512 + 1), NO_TRAP);
    expect_eq(load(1023), VEC_GP);
    expect_eq(set_ldt(UL(ldt), 5), 0);
    expect_eq(load(4), NO_TRAP);
    expect_eq(load(5), VEC_GP);
    expect_eq(set_ldt(0, 0), 0);
    expect_eq(load(4), VEC_GP);
    expect_eq(page_set_rw(ldt), 0); /* of no use any more */
    expect_eq(page_set_rw(ldt + 512), 0);
}

void test_main(void)
{
    ldt = page_alloc();
    need_eq(UL(page_alloc()), UL(ldt) + PAGE_SIZE);
    check_limits();
    check_unfit();
    check_contents();
    check_in_use();
    test_pass();
}
