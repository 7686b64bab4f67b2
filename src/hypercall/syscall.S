/* SPDX-License-Identifier: MIT */
/* SYSCALL of a guest: a hypercall if it came from guest kernel mode. The CPU's stub (cpu/init.c) has
 * switched to the stack whose top is cpu_local()->guest and pushed SS, RSP and RFLAGS.
 *
 * The whole frame is saved, since any hypercall may end in another vCPU; but where it does not, the
 * way out restores only what this path and C functions may have changed: r12-r15 are still the
 * guest's, rcx and r11 are SYSRET's. A call that rewrites the frame (iret, an event, a context) says
 * so by another entry_vector, and leaves by IRET.
 *
 * Arguments stay in their registers from the guest to the function; only r10 moves to rcx. */
#include "asm_offsets.h"
#include "cpu/entry_macros.h"

    .macro push_frame cs
    push $\cs
    push %rcx
    pushq $0
    movl $ENTRY_SYSCALL, 4(%rsp)
    save_registers
    .endm

    .section .text.entry, "ax"
    .globl entry_syscall, entry_syscall32
    .hidden entry_syscall, entry_syscall32
    .balign 64
entry_syscall:
    push_frame SEL_GUEST_CS64
    enter_from_guest
    mov CPU_CURRENT(%rsp), %rbx
    mov VCPU_PV(%rbx), %rbp
    cmpb $0, PV_IN_KERNEL(%rbp)
    je from_user
    movb $0, VCPU_CONTINUED(%rbx)
    mov %eax, VCPU_CALL(%rbx)
    cmp $HYPERCALLS, %rax
    jae no_such_call
    sbb %rcx, %rcx /* all ones: under speculation too, an index beyond the table becomes 0 */
    and %rcx, %rax
    mov hypercall_calls(%rip), %rcx
    mov (%rcx, %rax, 8), %rax
    mov %r10, %rcx
    xor %ebp, %ebp /* the end of backtraces */
    call __x86_indirect_thunk_rax
    cmpb $0, VCPU_CONTINUED(%rbx)
    jne exit_to_guest
    mov %rax, REGS_RAX(%rsp)

syscall_exit:
    cmpl $0, CPU_WORK(%rsp)
    jne exit_slow
    mov CPU_UPCALL(%rsp), %rcx
    cmpw $1, (%rcx) /* an event is pending, and not masked */
    je exit_slow
    cmpl $ENTRY_SYSCALL, REGS_VECTOR(%rsp)
    jne exit_iret
    mov REGS_RIP(%rsp), %rcx
    test %rcx, %rcx /* canonical for sure in the upper half; SYSRET must not see others */
    jns exit_iret
    leave_to_guest %r11, syscall_refill
    mov REGS_RBX(%rsp), %rbx
    mov REGS_RBP(%rsp), %rbp
    mov REGS_R10(%rsp), %r10
    mov REGS_R9(%rsp), %r9
    mov REGS_R8(%rsp), %r8
    mov REGS_RDX(%rsp), %rdx
    mov REGS_RSI(%rsp), %rsi
    mov REGS_RDI(%rsp), %rdi
    mov REGS_RFLAGS(%rsp), %r11
    mov REGS_RSP(%rsp), %rsp
    sysretq

no_such_call:
    mov $-38, %rax /* -ENOSYS */
    mov %rax, REGS_RAX(%rsp)
    jmp syscall_exit

syscall_refill:
    call xpti_refill
    mov REGS_RAX(%rsp), %rax
    mov REGS_RIP(%rsp), %rcx
    jmp syscall_refill_done

/* From compatibility mode (AMD): never a hypercall. */
entry_syscall32:
    push_frame SEL_GUEST_CS32
    enter_from_guest
from_user:
    mov %rsp, %rdi
    xor %ebp, %ebp
    call hypercall_from_user
    jmp exit_to_guest

    .section .note.GNU-stack, "", @progbits
