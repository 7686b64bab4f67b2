/* SPDX-License-Identifier: MIT */
/* Tables that show themselves: linear page tables, by one's own and by another's frame.
 *
 * Cause: kernels map their tables through an entry that points to its own level, read-only; a chain
 * of such entries could make a loop that is never freed, or a writable view.
 * Steps: entries to the same table and to another one of the same level, at levels 2, 3 and 4; read
 * through them; change a table and look again; chains of two; give the tables up in each order.
 * Verdict: one step is allowed, read-only, and shows the entries; chains and writable ones are not;
 * afterwards every frame can be an ordinary page again.
 *
 * At level 4 Xen allows it and Argon does not: it would show the hypervisor's own tables as pages,
 * to which hypercalls, if not the guest itself, would have access. */
#include "lib/guest.h"

static pte_t *l4;

static void expect_plain(pte_t *table, const char *what)
{
    if (page_set_rw(table))
        expect_failed("%s is not an ordinary page afterwards", what);
}

static void check_self(void)
{
    pte_t *tables[3] = {mfn_to_virt(pte_mfn(*pte_lookup(l4, 3))),
                        mfn_to_virt(pte_mfn(*pte_lookup(l4, 4))), l4};

    for (int i = 0; i < 3; i++) {
        unsigned int slot = i == 2 ? 300 : 400;
        uint64_t entry = mfn_pte(virt_to_mfn(tables[i]), PTE_RO | PTE_US);
        long ret = mmu_set(&tables[i][slot], entry);

        if (ret && i == 2)
            continue;
        if (ret) {
            expect_failed("level %d in itself, read-only: %ld", i + 2, ret);
            continue;
        }
        expect(mmu_set(&tables[i][slot], entry | PTE_RW) < 0);
        expect_eq(tables[i][slot] & PTE_RW, 0);
        if (i == 2) {
            /* Through slot 300 four times is the L4 as a page. */
            unsigned long s = 300, va = 0xffff000000000000 | s << 39 | s << 30 | s << 21 | s << 12;
            volatile pte_t *seen = (pte_t *)va;

            expect_eq(seen[511], l4[511]);
            expect_eq(try_write((void *)&seen[5], 0), VEC_PF);
        }
        expect_eq(mmu_set(&tables[i][slot], 0), 0);
    }
}

static void check_other(unsigned int level)
{
    unsigned int pin = MMUEXT_PIN_L1_TABLE + level - 1;
    pte_t *a = table_alloc(), *b = table_alloc(), *c = table_alloc();

    need_eq(mmuext(pin, virt_to_mfn(a)), 0);
    need_eq(mmuext(pin, virt_to_mfn(b)), 0);
    need_eq(mmuext(pin, virt_to_mfn(c)), 0);
    expect_eq(mmu_set(&a[5], mfn_pte(virt_to_mfn(b), PTE_RO | PTE_US)), 0);
    expect(mmu_set(&b[5], mfn_pte(virt_to_mfn(a), PTE_RO | PTE_US)) < 0);
    expect(mmu_set(&b[5], mfn_pte(virt_to_mfn(c), PTE_RO | PTE_US)) < 0);
    expect(mmu_set(&c[5], mfn_pte(virt_to_mfn(a), PTE_RO | PTE_US)) < 0);
    expect_eq(mmu_set(&c[5], mfn_pte(virt_to_mfn(b), PTE_RO | PTE_US)), 0);
    expect(mmu_set(&a[6], mfn_pte(virt_to_mfn(b), PTE_TABLE)) < 0);
    /* The target goes first: it stays a table while it is shown. */
    expect_eq(mmuext(MMUEXT_UNPIN_TABLE, virt_to_mfn(b)), 0);
    expect(page_set_rw(b) < 0);
    expect_eq(mmu_set(&a[5], 0), 0);
    expect(page_set_rw(b) < 0);
    expect_eq(mmuext(MMUEXT_UNPIN_TABLE, virt_to_mfn(c)), 0); /* with its entry */
    expect_plain(b, "the target");
    expect_plain(c, "one that showed another");
    /* It has no linear entry any more and can be a target now. */
    expect_eq(mmuext(MMUEXT_UNPIN_TABLE, virt_to_mfn(a)), 0);
    expect_plain(a, "the first");
}

/* A self-reference does not keep a table alive for ever. */
static void check_end(unsigned int level)
{
    unsigned int pin = MMUEXT_PIN_L1_TABLE + level - 1;
    pte_t *a = page_alloc();

    a[5] = mfn_pte(virt_to_mfn(a), PTE_RO | PTE_US);
    need_eq(page_set_ro(a), 0);
    expect_eq(mmuext(pin, virt_to_mfn(a)), 0);
    expect_eq(mmuext(MMUEXT_UNPIN_TABLE, virt_to_mfn(a)), 0);
    expect_plain(a, "a table in itself");
    a[5] |= PTE_RW;
    need_eq(page_set_ro(a), 0);
    expect(mmuext(pin, virt_to_mfn(a)) < 0);
    expect_plain(a, "a table refused");
}

void test_main(void)
{
    l4 = kernel_l4();
    check_self();
    for (unsigned int level = 2; level <= 3; level++) {
        check_other(level);
        check_end(level);
    }
    test_pass();
}
