/* SPDX-License-Identifier: MIT */
/* Guest user mode: its own L4 with three pages, entered by the iret hypercall with RPL 3 in CS,
 * left by any trap or syscall. Kernel entries use a stack of their own, so that the caller of
 * user_run() is not overwritten, and user_leave() is a jump back to it. */
#include "lib/guest.h"

extern char exit_stack_top[];
extern struct regs exit_frame; /* the top of that stack */
pte_t *user_l4;
uint64_t *user_data;
bool user_running;
static struct regs exit_regs;

void user_init(const void *from, const void *to)
{
    pte_t *l3 = page_alloc(), *l2 = page_alloc(), *l1 = page_alloc();
    void *code = page_alloc(), *stack = page_alloc();

    user_l4 = page_alloc();
    user_data = page_alloc();
    memcpy(code, from, UL(to) - UL(from));
    l1[(USER_CODE >> 12) & 511] = mfn_pte(virt_to_mfn(code), PTE_RO | PTE_US);
    l1[(USER_DATA >> 12) & 511] = mfn_pte(virt_to_mfn(user_data), PTE_KERNEL | PTE_US);
    l1[((USER_STACK >> 12) & 511) - 1] = mfn_pte(virt_to_mfn(stack), PTE_KERNEL | PTE_US);
    l2[(USER_CODE >> 21) & 511] = mfn_pte(virt_to_mfn(l1), PTE_TABLE);
    l3[(USER_CODE >> 30) & 511] = mfn_pte(virt_to_mfn(l2), PTE_TABLE);
    user_l4[(USER_CODE >> 39) & 511] = mfn_pte(virt_to_mfn(l3), PTE_TABLE);
    need_eq(page_set_ro(code), 0);
    need_eq(page_set_ro(l1), 0);
    need_eq(page_set_ro(l2), 0);
    need_eq(page_set_ro(l3), 0);
    need_eq(page_set_ro(user_l4), 0);
    need_eq(mmuext(MMUEXT_PIN_L4_TABLE, virt_to_mfn(user_l4)), 0);
    need_eq(mmuext(MMUEXT_NEW_USER_BASEPTR, virt_to_mfn(user_l4)), 0);
    need_eq(hc_stack_switch(FLAT_KERNEL_SS, UL(exit_stack_top)), 0);
}

void user_regs(struct regs *regs)
{
    memset(regs, 0, sizeof(*regs));
    regs->rip = USER_CODE;
    regs->cs = FLAT_USER_CS64;
    regs->ss = FLAT_USER_SS64;
    regs->rsp = USER_STACK;
    regs->rflags = 0x202;
}

void user_trap(struct regs *regs)
{
    exit_regs = *regs;
    user_leave();
}

void user_run(struct regs *regs)
{
    exit_frame = *regs;
    user_running = true;
    user_enter(&exit_frame);
    barrier();
    user_running = false;
    *regs = exit_regs;
}
