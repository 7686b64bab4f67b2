/* SPDX-License-Identifier: MIT */
/* Foreign mappings and page types: what domain 0 maps writable is no page table of the other.
 *
 * Cause: a builder writes page tables as plain memory, then has them validated; a mapping that is
 * left over could change them afterwards.
 * Steps: with a second domain: pin while a writable foreign mapping is left; map its tables, read
 * only and writable, when pinned; tables that hold frames of domain 0, of the hypervisor, of
 * nobody, or entries with forbidden bits, or hypervisor slots of their own; a table of domain 0
 * used by the other. Verdict: all such tables are refused, what was validated on the way is given
 * back, and a good tree is accepted behind every bad one. */
#include "lib/domu.h"

static domid_t id;
static unsigned long mfn[8];
static const char *last = "nothing";
static pte_t *t[8]; /* our writable windows on them */

static void open_all(void)
{
    for (int i = 0; i < 8; i++)
        if (map_foreign(id, t[i], mfn[i], PTE_KERNEL))
            test_error("frame %d cannot be mapped for writing after %s", i, last);
}

static void close_all(void)
{
    for (int i = 0; i < 8; i++)
        need_eq(page_unmap(t[i]), 0);
}

/* 0: L4, 1: L3, 2: L2, 3: L1, 4: a page that the L1 maps, 5-7: spare */
static void build(void)
{
    open_all();
    for (int i = 0; i < 8; i++)
        memset(t[i], 0, PAGE_SIZE);
    t[0][511] = mfn_pte(mfn[1], PTE_TABLE);
    t[1][510] = mfn_pte(mfn[2], PTE_TABLE);
    t[2][0] = mfn_pte(mfn[3], PTE_TABLE);
    t[3][5] = mfn_pte(mfn[4], PTE_KERNEL);
}

static long pin(unsigned int cmd, unsigned long frame)
{
    struct mmuext_op op = {.cmd = cmd, .arg1.mfn = frame};

    return hc_mmuext_op(&op, 1, NULL, id);
}

static void expect_good(const char *after)
{
    long ret;

    build();
    close_all();
    ret = pin(MMUEXT_PIN_L4_TABLE, mfn[0]);
    last = after;
    if (ret)
        expect_failed("a good tree after %s: %ld", after, ret);
    else
        expect_eq(pin(MMUEXT_UNPIN_TABLE, mfn[0]), 0);
}

/* One entry of a good tree is bad. */
static void refuse(int level, unsigned int slot, uint64_t entry, const char *what)
{
    build();
    t[level][slot] = entry;
    close_all();
    if (pin(MMUEXT_PIN_L4_TABLE, mfn[0]) >= 0) {
        expect_failed("%s: accepted", what);
        pin(MMUEXT_UNPIN_TABLE, mfn[0]);
    }
    last = what;
    expect_good(what);
}

static void check_mapped(void)
{
    for (int i = 0; i < 4; i++) {
        build();
        close_all();
        need_eq(map_foreign(id, t[i], mfn[i], PTE_KERNEL), 0);
        if (pin(MMUEXT_PIN_L4_TABLE, mfn[0]) >= 0)
            expect_failed("pinned while table %d is writable here", i);
        need_eq(page_unmap(t[i]), 0);
        need_eq(map_foreign(id, t[i], mfn[i], PTE_RO), 0);
        expect_eq(pin(MMUEXT_PIN_L4_TABLE, mfn[0]), 0);
        expect(map_foreign(id, t[5], mfn[i], PTE_KERNEL) < 0);
        expect(mmu_set(pte_lookup(t[i], 1), mfn_pte(mfn[i], PTE_KERNEL)) < 0);
        expect_eq(try_write(t[i], 0), VEC_PF);
        need_eq(page_unmap(t[i]), 0);
        expect_eq(pin(MMUEXT_PIN_L4_TABLE, mfn[0]), -XEN_EINVAL); /* twice */
        expect_eq(pin(MMUEXT_UNPIN_TABLE, mfn[0]), 0);
    }
}

static void check_entries(void)
{
    unsigned long ours = virt_to_mfn(page_alloc()), table = virt_to_mfn(kernel_l4());

    refuse(3, 9, mfn_pte(ours, PTE_KERNEL), "a frame of domain 0, writable");
    refuse(3, 511, mfn_pte(ours, PTE_RO), "a frame of domain 0, read-only");
    refuse(2, 9, mfn_pte(table, PTE_TABLE), "a page table of domain 0");
    refuse(3, 9, mfn_pte(mfn[3], PTE_KERNEL), "an L1 writable in itself");
    refuse(3, 9, mfn_pte(mfn[0], PTE_KERNEL), "the L4 writable");
    refuse(3, 9, mfn_pte(0xfee00, PTE_KERNEL), "the local APIC");
    refuse(3, 9, mfn_pte(0xb8, PTE_KERNEL), "the screen");
    refuse(3, 9, mfn_pte(0x7fffffff, PTE_KERNEL), "a frame beyond memory");
    refuse(3, 9, mfn_pte(mfn[5], PTE_KERNEL) | 1ul << 50, "a reserved bit");
    refuse(2, 9, mfn_pte(mfn[5] & ~511ul, PTE_TABLE | PTE_PSE), "a superpage");
    refuse(1, 9, mfn_pte(mfn[3], PTE_TABLE), "an L1 below an L3");
    refuse(0, 9, mfn_pte(mfn[2], PTE_TABLE), "an L2 below an L4");
    refuse(0, 9, mfn_pte(mfn[0], PTE_TABLE), "an L4 in itself, writable");
    refuse(2, 511, mfn_pte(mfn[4], PTE_TABLE), "a writable page as L1");
}

/* What is in the hypervisor's slots is replaced or refused, but never used. */
static void check_slots(void)
{
    uint64_t v;

    build();
    t[0][256] = mfn_pte(mfn[1], PTE_TABLE);
    t[0][261] = mfn_pte(mfn[5], PTE_TABLE);
    t[0][271] = mfn_pte(virt_to_mfn(kernel_l4()), PTE_TABLE);
    close_all();
    if (pin(MMUEXT_PIN_L4_TABLE, mfn[0]) == 0) {
        need_eq(map_foreign(id, t[0], mfn[0], PTE_RO), 0);
        expect_eq(try_read(&t[0][261], &v), NO_TRAP);
        expect(pte_mfn(v) != mfn[5]);
        expect(pte_mfn(t[0][271]) != virt_to_mfn(kernel_l4()));
        need_eq(page_unmap(t[0]), 0);
        expect_eq(pin(MMUEXT_UNPIN_TABLE, mfn[0]), 0);
    }
    expect_good("the hypervisor's slots");
}

void test_main(void)
{
    id = domu_create_empty();
    domu_populate(id, mfn, 8);
    for (int i = 0; i < 8; i++)
        t[i] = hole_alloc();
    expect_good("nothing");
    check_mapped();
    check_entries();
    check_slots();
    expect_eq(pin(MMUEXT_PIN_L4_TABLE, virt_to_mfn(kernel_l4())), -XEN_EINVAL);
    expect(map_foreign(id, t[0], virt_to_mfn(kernel_l4()), PTE_RO) < 0);
    expect(map_foreign(DOMID_SELF, t[0], mfn[0], PTE_RO) < 0);
    expect(map_foreign(0x7123, t[0], mfn[0], PTE_RO) < 0);
    /* Death with a pinned tree. */
    build();
    close_all();
    expect_eq(pin(MMUEXT_PIN_L4_TABLE, mfn[0]), 0);
    expect_eq(domctl_plain(XEN_DOMCTL_destroydomain, id), 0);
    sleep_ms(30);
    expect_eq(domain_info(id, NULL), -XEN_ESRCH);
    test_pass();
}
