/* SPDX-License-Identifier: MIT */
/* Attacks on the page tables: every way to a writable mapping of one, and every malformed
 * entry.
 *
 * Cause: a guest that can write its own page tables owns the machine.
 * Steps: map tables in use writable through each interface; link tables at the wrong level; a
 * table above itself, writable; superpages; reserved bits; foreign and absent frames.
 * Verdict: all refused, by all interfaces alike; the tables stay read-only; the machine goes
 * on. */
#include "lib/guest.h"

static pte_t *l1, *l2, *l3, *l4;
static volatile uint64_t *hole;
static pte_t *hole_pte;

/* An entry of L1 type must be refused by all three interfaces. */
static void refuse_l1(uint64_t entry, const char *what)
{
    long a = hc_update_va_mapping(UL(hole), entry, UVMF_INVLPG), b = mmu_set(hole_pte, entry);
    long c = mmu_set_cmd(hole_pte, entry, MMU_PT_UPDATE_PRESERVE_AD);
    long d = try_write(hole_pte, entry);

    if (a >= 0 || b >= 0 || c >= 0 || d != VEC_PF)
        expect_failed("%s: %ld %ld %ld %ld", what, a, b, c, d);
    expect_eq(*hole_pte, 0);
}

static void refuse(const volatile pte_t *pte, uint64_t entry, const char *what)
{
    uint64_t before = *pte;
    long ret = mmu_set(pte, entry);

    if (ret >= 0)
        expect_failed("%s: %ld", what, ret);
    expect_eq(*pte, before);
}

static void check_writable_tables(void)
{
    refuse_l1(mfn_pte(virt_to_mfn(l1), PTE_KERNEL), "L1 writable");
    refuse_l1(mfn_pte(virt_to_mfn(l2), PTE_KERNEL), "L2 writable");
    refuse_l1(mfn_pte(virt_to_mfn(l3), PTE_KERNEL), "L3 writable");
    refuse_l1(mfn_pte(virt_to_mfn(l4), PTE_KERNEL), "L4 writable");
    refuse_l1(mfn_pte(virt_to_mfn(l4), PTE_KERNEL | PTE_US), "L4 writable for user mode");
    refuse_l1(mfn_pte(virt_to_mfn(l1), PTE_P | PTE_RW | PTE_NX), "L1 writable, not executable");
    expect(page_set_rw(l1) < 0);
    expect(page_set_rw(l4) < 0);
    /* Read-only is fine, and turning such an entry writable by one bit is not. */
    expect_eq(mmu_set(hole_pte, mfn_pte(virt_to_mfn(l1), PTE_RO)), 0);
    expect_eq(*hole, l1[0]);
    refuse(hole_pte, mfn_pte(virt_to_mfn(l1), PTE_KERNEL), "RO to RW");
    trap_forget();
    asm volatile(TRY("lock orq $2, (%0)")::"r"(hole_pte) : "memory", "cc");
    expect_eq(last_trap.vector, VEC_PF);
    expect_eq(*hole_pte & PTE_RW, 0);
    expect_eq(mmu_set(hole_pte, 0), 0);
}

static void check_writable_then_table(void)
{
    pte_t *page = page_alloc();
    uint64_t entry = mfn_pte(virt_to_mfn(page), PTE_KERNEL);

    /* One of two mappings is still writable. */
    expect_eq(mmu_set(hole_pte, entry), 0);
    need_eq(page_set_ro(page), 0);
    expect(mmuext(MMUEXT_PIN_L1_TABLE, virt_to_mfn(page)) < 0);
    expect_eq(mmu_set(hole_pte, 0), 0);
    expect_eq(mmuext(MMUEXT_PIN_L1_TABLE, virt_to_mfn(page)), 0);
    refuse_l1(entry, "pinned L1 writable");
    expect_eq(mmuext(MMUEXT_UNPIN_TABLE, virt_to_mfn(page)), 0);
    expect_eq(mmu_set(hole_pte, entry), 0);
    expect_eq(mmu_set(hole_pte, 0), 0);
}

static void check_levels(void)
{
    pte_t *spare_l1 = table_alloc(), *spare_l2 = table_alloc();
    unsigned long plain = virt_to_mfn(page_alloc());

    need_eq(mmuext(MMUEXT_PIN_L1_TABLE, virt_to_mfn(spare_l1)), 0);
    need_eq(mmuext(MMUEXT_PIN_L2_TABLE, virt_to_mfn(spare_l2)), 0);
    refuse(&l2[511], mfn_pte(virt_to_mfn(spare_l2), PTE_TABLE), "L2 below L2");
    refuse(&l3[5], mfn_pte(virt_to_mfn(spare_l1), PTE_TABLE), "L1 below L3");
    refuse(&l4[5], mfn_pte(virt_to_mfn(spare_l1), PTE_TABLE), "L1 below L4");
    refuse(&l4[5], mfn_pte(virt_to_mfn(spare_l2), PTE_TABLE), "L2 below L4");
    refuse(&l2[511], mfn_pte(plain, PTE_TABLE), "writable page below L2");
    refuse(&l3[5], mfn_pte(plain, PTE_TABLE), "writable page below L3");
    refuse(&l4[5], mfn_pte(plain, PTE_TABLE), "writable page below L4");
    expect_eq(mmu_set(&l2[511], mfn_pte(virt_to_mfn(spare_l1), PTE_TABLE)), 0);
    expect_eq(mmu_set(&l2[511], 0), 0);
}

/* A table may point to itself from its own level only read-only. */
static void check_loops(void)
{
    refuse(&l4[5], mfn_pte(virt_to_mfn(l4), PTE_TABLE), "L4 in itself, writable");
    refuse(&l3[5], mfn_pte(virt_to_mfn(l3), PTE_TABLE), "L3 in itself, writable");
    refuse(&l2[511], mfn_pte(virt_to_mfn(l2), PTE_TABLE), "L2 in itself, writable");
    refuse(&l3[5], mfn_pte(virt_to_mfn(l4), PTE_TABLE), "L4 below L3");
    refuse(&l1[511], mfn_pte(virt_to_mfn(l1), PTE_TABLE), "L1 in itself, writable");
}

static void check_malformed(void)
{
    unsigned long plain = virt_to_mfn(page_alloc());
    unsigned long spare = virt_to_mfn(table_alloc());

    refuse(&l2[511], mfn_pte(plain & ~511ul, PTE_KERNEL | PTE_US | PTE_PSE), "2 MiB page");
    refuse(&l2[511], mfn_pte(plain & ~511ul, PTE_P | PTE_PSE), "2 MiB page, read-only");
    refuse(&l3[5], mfn_pte(0, PTE_KERNEL | PTE_US | PTE_PSE), "1 GiB page");
    refuse(&l4[5], mfn_pte(spare, PTE_TABLE | PTE_PSE), "PSE in L4");
    refuse_l1(mfn_pte(plain, PTE_KERNEL) | 1ul << 50, "address bit 50");
    refuse_l1(mfn_pte(0x7fffffffful, PTE_RO), "frame beyond memory");
    refuse_l1(mfn_pte(0xfffffffffful, PTE_RO), "last frame");
    refuse(&l2[511], mfn_pte(0x7fffffffful, PTE_TABLE), "L2 with a frame beyond memory");
    refuse(&l2[511], mfn_pte(spare, PTE_TABLE) | 1ul << 50, "L2 with address bit 50");
}

void test_main(void)
{
    hole = hole_alloc();
    hole_pte = pte_lookup(hole, 1);
    l4 = kernel_l4();
    l3 = mfn_to_virt(pte_mfn(*pte_lookup(hole, 4)));
    l2 = mfn_to_virt(pte_mfn(*pte_lookup(hole, 3)));
    l1 = mfn_to_virt(pte_mfn(*pte_lookup(hole, 2)));
    need_eq(hc_vm_assist(VMASST_CMD_enable, VMASST_TYPE_writable_pagetables), 0);
    check_writable_tables();
    check_writable_then_table();
    check_levels();
    check_loops();
    check_malformed();
    test_pass();
}
