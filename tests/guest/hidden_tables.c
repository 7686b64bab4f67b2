/* SPDX-License-Identifier: MIT */
/* Hidden page tables: a guest runs on a copy of its L4 without the hypervisor in it.
 *
 * Cause: what is mapped can be read under speculation on processors with Meltdown.
 * Steps: read all over the hypervisor's range and look at the error code of #PF; change slots of
 * the loaded L4 and of the user L4 and use them at once; load another L4 and come back; give an L4
 * up, change it as plain memory, and load it again.
 * Verdict: nothing but the M2P, the entry code and a few pages beside it is present; a change of an
 * L4 is seen by the next instruction.
 * Options: xpti=yes
 */
#include "lib/guest.h"

#define SLOT      5u
#define SLOT_BASE ((unsigned long)SLOT << 39)
#define SLOT2     300u
#define STEP      (1ul << 26)

extern char user_begin[], user_end[], u_read[];

asm(".section .rodata\n"
    "user_begin:\n"
    "u_read: mov (%rdi), %rax; ud2\n"
    "user_end:\n"
    ".text\n");

static struct regs regs;

/* An L3 that maps the page `p` at the beginning of its slot. */
static uint64_t make_slot(void *p)
{
    pte_t *l1 = table_alloc(), *l2 = table_alloc(), *l3 = table_alloc();

    need_eq(mmu_set(&l1[0], mfn_pte(virt_to_mfn(p), PTE_KERNEL | PTE_US)), 0);
    need_eq(mmu_set(&l2[0], mfn_pte(virt_to_mfn(l1), PTE_TABLE)), 0);
    need_eq(mmu_set(&l3[0], mfn_pte(virt_to_mfn(l2), PTE_TABLE)), 0);
    return mfn_pte(virt_to_mfn(l3), PTE_TABLE);
}

/* Absent, not only forbidden: bit 0 of the error code says which. */
static void hidden(unsigned long va)
{
    expect_eq(try_read((void *)va, NULL), VEC_PF);
    if (last_trap.error & 1)
        expect_failed("%#lx is present: error %#lx", va, (unsigned long)last_trap.error);
}

static void check_hidden(void)
{
    for (unsigned long slot = 257; slot < 272; slot++) {
        if (slot == 259)
            continue;
        for (unsigned long off = STEP / 2; off < 1ul << 30; off += STEP)
            hidden(0xffff000000000000ul | slot << 39 | off);
    }
    /* All that can be read there is our own M2P. */
    expect_eq(mfn_to_pfn(pfn_to_mfn(10)), 10);
}

static void check_change(unsigned int slot, uint64_t a, uint64_t b)
{
    unsigned long va = (slot >= 256 ? 0xffff000000000000ul : 0) | (unsigned long)slot << 39;
    pte_t *l4 = kernel_l4();
    uint64_t v = 0;

    expect_eq(try_read((void *)va, NULL), VEC_PF);
    need_eq(mmu_set(&l4[slot], a), 0);
    expect_eq(try_read((void *)va, &v), NO_TRAP);
    expect_eq(v, 0xaaaa);
    need_eq(mmu_set(&l4[slot], b), 0);
    mmuext(MMUEXT_TLB_FLUSH_LOCAL, 0);
    expect_eq(try_read((void *)va, &v), NO_TRAP);
    expect_eq(v, 0xbbbb);
    need_eq(mmu_set(&l4[slot], 0), 0);
    mmuext(MMUEXT_TLB_FLUSH_LOCAL, 0);
    expect_eq(try_read((void *)va, NULL), VEC_PF);
}

/* Another L4 with the same content but for SLOT; there and back, and once more after it was no L4
 * for a while and its slot was changed by a plain store. */
static void check_other_l4(uint64_t a, uint64_t b)
{
    pte_t *l4 = kernel_l4(), *other = page_alloc();
    unsigned long first = virt_to_mfn(l4), second = virt_to_mfn(other);
    uint64_t v = 0;

    for (unsigned int round = 0; round < 2; round++) {
        memcpy(other, l4, PAGE_SIZE);
        memset(&other[256], 0, 16 * sizeof(pte_t));
        other[SLOT] = round ? b : a;
        need_eq(page_set_ro(other), 0);
        need_eq(mmuext(MMUEXT_NEW_BASEPTR, second), 0);
        expect_eq(try_read((void *)SLOT_BASE, &v), NO_TRAP);
        expect_eq(v, round ? 0xbbbb : 0xaaaa);
        need_eq(mmuext(MMUEXT_NEW_BASEPTR, first), 0);
        expect_eq(try_read((void *)SLOT_BASE, NULL), VEC_PF);
        need_eq(page_set_rw(other), 0);
    }
}

static void user_reads(unsigned int vector, uint64_t value)
{
    user_regs(&regs);
    regs.rip = USER_CODE + (u_read - user_begin);
    regs.rdi = SLOT_BASE;
    user_run(&regs);
    expect_eq(regs.vector, vector);
    if (vector == VEC_UD)
        expect_eq(regs.rax, value);
}

static void check_user(uint64_t a, uint64_t b)
{
    user_init(user_begin, user_end);
    user_reads(VEC_PF, 0);
    need_eq(mmu_set(&user_l4[SLOT], a), 0);
    user_reads(VEC_UD, 0xaaaa);
    user_reads(VEC_UD, 0xaaaa);
    need_eq(mmu_set(&user_l4[SLOT], b), 0);
    mmuext(MMUEXT_TLB_FLUSH_LOCAL, 0);
    user_reads(VEC_UD, 0xbbbb);
    need_eq(mmu_set(&user_l4[SLOT], 0), 0);
    mmuext(MMUEXT_TLB_FLUSH_LOCAL, 0);
    user_reads(VEC_PF, 0);
}

/* The user L4 is given up and taken again with another content, and user mode is not entered
 * between. */
static void check_user_again(uint64_t a)
{
    unsigned long mfn = virt_to_mfn(user_l4);

    user_reads(VEC_PF, 0);
    need_eq(mmuext(MMUEXT_NEW_USER_BASEPTR, 0), 0);
    need_eq(mmuext(MMUEXT_UNPIN_TABLE, mfn), 0);
    need_eq(page_set_rw(user_l4), 0);
    user_l4[SLOT] = a;
    need_eq(page_set_ro(user_l4), 0);
    need_eq(mmuext(MMUEXT_NEW_USER_BASEPTR, mfn), 0);
    user_reads(VEC_UD, 0xaaaa);
}

void test_main(void)
{
    uint64_t *first = page_alloc(), *second = page_alloc(), a, b;

    first[0] = 0xaaaa;
    second[0] = 0xbbbb;
    a = make_slot(first);
    b = make_slot(second);
    check_hidden();
    check_change(SLOT, a, b);
    check_change(SLOT2, a, b);
    check_other_l4(a, b);
    check_user(a, b);
    check_user_again(a);
    test_pass();
}
