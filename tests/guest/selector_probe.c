/* SPDX-License-Identifier: MIT */
/* Every selector there is, loaded into every segment register.
 *
 * Cause: the hypervisor's own code, data, TSS and LDT descriptors are in the same GDT, and the
 * guest knows their numbers.
 * Steps: all 8192 entries of the GDT by LAR, LSL, VERR and loads of DS; those that can be loaded
 * into ES, FS, GS, SS too; far jumps and calls to each that is code; the same for an absent LDT.
 * Verdict: nothing but null and flat ring 3 segments; nothing else changes the mode, and #GP names
 * the selector. */
#include "lib/guest.h"

#define DPL(ar)     ((ar) >> 13 & 3)
#define IS_CODE(ar) (((ar)&0x1800) == 0x1800)
#define IS_USER(ar) ((ar)&0x1000)

static bool lar(unsigned int selector, uint32_t *rights)
{
    bool good;

    asm volatile("lar %2, %1; setz %0" : "=q"(good), "=r"(*rights) : "r"(selector) : "cc");
    return good;
}

static bool load(unsigned int selector)
{
    trap_forget();
    asm volatile(TRY("mov %0, %%ds")::"r"(selector));
    asm volatile("mov %0, %%ds" ::"r"(0));
    if (last_trap.vector != NO_TRAP && last_trap.error != (selector & ~3u))
        expect_failed("selector %#x: #GP names %#lx", selector, last_trap.error);
    return last_trap.vector == NO_TRAP;
}

static void check_loadable(unsigned int selector, uint32_t rights)
{
    uint16_t back;

    if (DPL(rights) != 3 || !IS_USER(rights))
        expect_failed("selector %#x has rights %#x and can be loaded", selector, rights);
    asm volatile("mov %1, %%es; mov %%es, %0; mov %2, %%es" : "=r"(back) : "r"(selector), "r"(0));
    expect_eq(back, selector);
    trap_forget();
    asm volatile(TRY("mov %0, %%fs")::"r"(selector));
    asm volatile(TRY("mov %0, %%gs")::"r"(selector));
    asm volatile("mov %0, %%fs; mov %0, %%gs" ::"r"(0));
    expect_eq(last_trap.vector, NO_TRAP);
}

/* A far jump that must not arrive in a ring other than 3; RPL as given. */
static void jump(unsigned int selector)
{
    struct __attribute__((packed)) {
        uint64_t offset;
        uint16_t cs;
    } to = {0, selector};
    uint16_t cs = 0;

    trap_forget();
    asm volatile("lea 1f(%%rip), %%rax; mov %%rax, %1; " TRY(
                     "rex.W ljmp *%1") "1: mov %%cs, %0;"
                                       "pushq %2; lea 2f(%%rip), %%rax; pushq %%rax; lretq; 2:"
                 : "=r"(cs), "+m"(to)
                 : "i"(FLAT_KERNEL_CS | 3)
                 : "rax", "memory", "cc");
    if ((cs & 3) != 3)
        expect_failed("a far jump to %#x runs at level %u", selector, cs & 3);
}

void test_main(void)
{
    unsigned int loaded = 0, code = 0;
    uint32_t rights;

    for (unsigned int n = 0; n < 0x10000; n += 8) {
        unsigned int selector = n | 3;

        if (lar(selector, &rights) && (DPL(rights) != 3))
            expect_failed("selector %#x is visible with rights %#x", selector, rights);
        if (!lar(selector, &rights)) {
            if ((n & 0x1ff8) == 0 && n && load(selector)) /* a sample */
                expect_failed("selector %#x cannot be seen but loaded", selector);
            continue;
        }
        if (IS_CODE(rights))
            code++;
        if (load(selector)) {
            loaded++;
            check_loadable(selector, rights);
        }
    }
    expect(loaded >= 2);
    expect(code >= 2);
    /* The hypervisor's own entries follow the guest's 14 pages: each alone. */
    for (unsigned int n = FIRST_RESERVED_GDT_BYTE; n < FIRST_RESERVED_GDT_BYTE + 0x100; n += 8) {
        if ((n | 3) == FLAT_USER_CS32)
            continue; /* compatibility mode is no place for us */
        jump(n);
        jump(n | 3);
    }
    jump(0);
    jump(8);
    for (unsigned int n = 4; n < 0x100; n += 8) { /* no LDT */
        expect(!lar(n | 3, &rights));
        expect(!load(n | 3));
    }
    test_pass();
}
