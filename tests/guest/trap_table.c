/* SPDX-License-Identifier: MIT */
/* set_trap_table: replacing, clearing, bad addresses and bad memory.
 *
 * Cause: the table's addresses and selectors come from the guest and are later jumped to.
 * Steps: install, replace one entry, clear all and install again; addresses that are not
 * canonical; selectors with the wrong RPL; lists that end in unmapped memory.
 * Verdict: good entries work, bad ones are refused with -EINVAL, unreadable lists with -EFAULT,
 * and the entries before a bad one stay. */
#include "lib/guest.h"

static unsigned int seen_a, seen_b;

static bool on_ud(struct regs *regs)
{
    regs->rip += 2;
    seen_a++;
    return true;
}

static bool on_other(struct regs *regs)
{
    regs->rip += 2;
    seen_b++;
    return true;
}

void test_main(void)
{
    struct trap_info *list, ti[3] = {{0}};

    trap_hook(VEC_UD, on_ud);
    trap_hook(200, on_other);
    asm volatile("ud2" ::: "memory");
    expect_eq(seen_a, 1);

    /* #UD now arrives at the stub of vector 200. */
    expect_eq(trap_set(VEC_UD, 0, trap_stub(200)), 0);
    asm volatile("ud2" ::: "memory");
    expect_eq(seen_a, 1);
    expect_eq(seen_b, 1);

    /* A NULL table clears everything; then the usual one comes back. */
    expect_eq(hc_set_trap_table(NULL), 0);
    trap_init();
    asm volatile("ud2" ::: "memory");
    expect_eq(seen_a, 2);

    /* Selectors lose their RPL: any value of it gives kernel mode. */
    for (unsigned int rpl = 0; rpl < 4; rpl++) {
        ti[0] = (struct trap_info){VEC_UD, 0, (FLAT_KERNEL_CS & ~3) | rpl, trap_stub(VEC_UD)};
        expect_eq(hc_set_trap_table(ti), 0);
        asm volatile("ud2" ::: "memory");
        expect_eq(seen_a, 3 + rpl);
    }

    /* A bad address is refused, what came before it counts. */
    ti[0] = (struct trap_info){VEC_UD, 0, FLAT_KERNEL_CS, trap_stub(200)};
    ti[1] = (struct trap_info){VEC_BP, 0, FLAT_KERNEL_CS, 0x8000000000000000};
    expect_eq(hc_set_trap_table(ti), -XEN_EINVAL);
    asm volatile("ud2" ::: "memory");
    expect_eq(seen_b, 2);

    list = (struct trap_info *)((char *)page_alloc() + PAGE_SIZE) - 1;
    need_eq(page_unmap(list + 1), 0);
    *list = (struct trap_info){VEC_UD, 0, FLAT_KERNEL_CS, trap_stub(VEC_UD)};
    expect_eq(hc_set_trap_table(list), -XEN_EFAULT);
    asm volatile("ud2" ::: "memory");
    expect_eq(seen_a, 7);
    expect_eq(hc_set_trap_table((void *)0xffff830000000000), -XEN_EFAULT);
    test_pass();
}
