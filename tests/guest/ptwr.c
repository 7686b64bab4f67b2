/* SPDX-License-Identifier: MIT */
/* Writable page tables: plain stores to a read-only mapped L1 table are carried out as checked
 * updates.
 *
 * Cause: kernels change page table entries with ordinary instructions, locked and partial ones
 * too.
 * Steps: on a table in use, every kind of store that a compiler or kernel emits, to present and
 * absent entries; the same on an L2 table; stores of bad entries.
 * Verdict: each does what the instruction means, flags and registers included; an L2 write or a
 * bad entry gives #PF. The old translation lives until the kernel flushes it. */
#include "lib/guest.h"

static volatile pte_t *pte;
static volatile uint64_t *window; /* what pte maps */
static uint64_t pa, pb;

#define WINDOW_IS(v)                                  \
    do {                                              \
        mmuext_addr(MMUEXT_INVLPG_LOCAL, UL(window)); \
        expect_eq(*window, v);                        \
    } while (0)

static void check_stores(void)
{
    uint64_t old;

    *pte = pa;
    WINDOW_IS(0xa);
    *pte = pb;
    WINDOW_IS(0xb);
    old = __atomic_exchange_n(pte, pa, __ATOMIC_SEQ_CST);
    expect_eq(old & ~PTE_HV & ~PTE_A & ~PTE_D, pb & ~PTE_A & ~PTE_D);
    WINDOW_IS(0xa);
    old = *pte;
    expect(__atomic_compare_exchange_n(pte, &old, pb, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST));
    WINDOW_IS(0xb);
    old = pa;
    expect(!__atomic_compare_exchange_n(pte, &old, pa, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST));
    expect_eq(old, *pte);
    WINDOW_IS(0xb);
    /* An immediate store: C7 /0 with a sign-extended 32-bit value. */
    asm volatile("movq $0, (%0)" ::"r"(pte) : "memory");
    expect_eq(*pte, 0);
    expect_eq(mmuext_addr(MMUEXT_INVLPG_LOCAL, UL(window)), 0);
    expect_eq(try_read(window, NULL), VEC_PF);
}

static void check_bit_ops(void)
{
    bool was;

    *pte = pa & ~PTE_RW;
    asm volatile("lock orq %1, (%0)" ::"r"(pte), "r"(PTE_RW) : "memory", "cc");
    expect_eq(*pte & PTE_RW, PTE_RW);
    asm volatile("lock andq %1, (%0)" ::"r"(pte), "r"(~PTE_RW) : "memory", "cc");
    expect_eq(*pte & PTE_RW, 0);
    asm volatile("lock btsq $9, (%1)" : "=@ccc"(was) : "r"(pte) : "memory");
    expect(!was);
    expect_eq(*pte >> 9 & 1, 1);
    asm volatile("lock btsq $9, (%1)" : "=@ccc"(was) : "r"(pte) : "memory");
    expect(was);
    asm volatile("lock btrq %2, (%1)" : "=@ccc"(was) : "r"(pte), "r"(9ul) : "memory");
    expect(was);
    expect_eq(*pte >> 9 & 1, 0);
    asm volatile("btcq $10, (%1)" : "=@ccc"(was) : "r"(pte) : "memory");
    expect_eq(*pte >> 10 & 1, 1);
    asm volatile("lock andl %1, (%0)" ::"r"(pte), "r"(~(uint32_t)0x400) : "memory", "cc");
    expect_eq(*pte >> 10 & 1, 0);
    asm volatile("lock xorq %1, (%0)" ::"r"(pte), "r"(0x800ul) : "memory", "cc");
    expect_eq(*pte >> 11 & 1, 1);
    asm volatile("addq %1, (%0)" ::"r"(pte), "r"(-0x800l) : "memory", "cc");
    expect_eq(*pte >> 11 & 1, 0);
    WINDOW_IS(0xa);
}

static void check_partial(void)
{
    volatile uint32_t *half = (volatile uint32_t *)pte;
    volatile uint8_t *byte = (volatile uint8_t *)pte;
    uint64_t before;

    /* The two halves of an entry, the way a 32-bit kernel or an optimiser would do it. */
    *pte = 0;
    half[1] = pa >> 32;
    half[0] = pa;
    WINDOW_IS(0xa);
    half[1] |= 1u << 31; /* NX */
    expect_eq(*pte >> 63, 1);
    half[1] &= ~(1u << 31);
    before = *pte;
    byte[0] &= ~(uint8_t)PTE_RW;
    expect_eq(*pte, before & ~PTE_RW);
    asm volatile("lock orb %1, (%0)" ::"r"(pte), "q"((uint8_t)PTE_RW) : "memory", "cc");
    expect_eq(*pte, before);
    asm volatile("lock andb $0xfd, 0(%0)" ::"r"(pte) : "memory", "cc");
    expect_eq(*pte, before & ~PTE_RW);
    *(volatile uint16_t *)pte |= PTE_RW;
    expect_eq(*pte, before);
    half[0] = 0;
    half[1] = 0;
    expect_eq(*pte, 0);
}

static void check_wide(void)
{
    static uint64_t source[2];
    uint64_t old = 0;
    const void *s = source;
    volatile void *d = pte;
    bool equal;

    *pte = pa;
    old = *pte;
    asm volatile("lock cmpxchg8b (%[p])"
                 : "=@ccz"(equal)
                 : [p] "r"(pte), "a"((uint32_t)old), "d"((uint32_t)(old >> 32)), "b"((uint32_t)pb),
                   "c"((uint32_t)(pb >> 32))
                 : "memory");
    expect(equal);
    WINDOW_IS(0xb);
    source[0] = pa;
    asm volatile("movsq" : "+S"(s), "+D"(d)::"memory");
    expect_eq(UL(d), UL(pte) + 8);
    expect_eq(UL(s), UL(source) + 8);
    WINDOW_IS(0xa);
    d = pte;
    asm volatile("stosq" : "+D"(d) : "a"(pb) : "memory");
    expect_eq(UL(d), UL(pte) + 8);
    WINDOW_IS(0xb);
    *pte = 0;
}

/* What an update by hypercall would refuse is refused here by #PF. */
static void check_bad_entries(void)
{
    pte_t *l1 = (pte_t *)(UL(pte) & ~(PAGE_SIZE - 1));
    pte_t *l2 = pte_lookup(window, 2);

    *pte = 0;
    expect_eq(try_write(pte, mfn_pte(virt_to_mfn(l1), PTE_KERNEL)), VEC_PF);
    expect_eq(last_trap.error, 3);
    expect_eq(last_trap.cr2, UL(pte));
    expect_eq(*pte, 0);
    expect_eq(try_write(pte, mfn_pte(0xffffffffful, PTE_RO)), VEC_PF);
    expect_eq(*pte, 0);
    expect_eq(try_write(l2, *l2), VEC_PF);
    expect_eq(last_trap.error, 3);
    expect_eq(try_write(kernel_l4(), 0), VEC_PF);
    expect_eq(try_write(kernel_l4() + 256, 0), VEC_PF);
}

void test_main(void)
{
    uint64_t *a = page_alloc(), *b = page_alloc();

    *a = 0xa;
    *b = 0xb;
    pa = mfn_pte(virt_to_mfn(a), PTE_KERNEL);
    pb = mfn_pte(virt_to_mfn(b), PTE_KERNEL);
    window = hole_alloc();
    pte = pte_lookup(window, 1);
    need_eq(hc_vm_assist(VMASST_CMD_enable, VMASST_TYPE_writable_pagetables), 0);
    check_stores();
    check_bit_ops();
    check_partial();
    check_wide();
    check_bad_entries();
    test_pass();
}
