/* SPDX-License-Identifier: MIT */
/* First instructions, trap and callback stubs, and the two ways back out: the iret hypercall and
 * the switch to guest user mode.
 *
 * Every entry from the hypervisor finds rcx, r11, [error code], rip, cs, rflags, rsp, ss on the
 * stack. The stubs take rcx and r11 back, make the frame uniform (error code 0 where there is none),
 * add the vector and all registers, and call trap_dispatch(struct regs *). struct regs in guest.h
 * has the same order. Vectors 0-255 are traps; 256 event, 257 failsafe, 258 syscall, 259 syscall32,
 * 260 sysenter, 261 NMI callback. */
#include <xen/xen.h>

    .section .text.entry, "ax", @progbits
    .globl _start
_start:
    rdtsc
    mov %eax, entry_tsc(%rip)
    mov %edx, entry_tsc+4(%rip)
    mov %rsp, boot_rsp(%rip)
    pushf
    pop boot_rflags(%rip)
    mov %rsi, start_info(%rip)
    mov %rbx, boot_regs+0(%rip)
    mov %rcx, boot_regs+8(%rip)
    mov %rdi, boot_regs+16(%rip)
    mov %rbp, boot_regs+24(%rip)
    mov %r8, boot_regs+32(%rip)
    mov %r9, boot_regs+40(%rip)
    mov %r10, boot_regs+48(%rip)
    mov %r11, boot_regs+56(%rip)
    mov %r12, boot_regs+64(%rip)
    mov %r13, boot_regs+72(%rip)
    mov %r14, boot_regs+80(%rip)
    mov %r15, boot_regs+88(%rip)
    cld
    lea boot_stack_top(%rip), %rsp
    xor %ebp, %ebp
    call guest_main
1:  jmp 1b

    .text

    .macro save_regs
    push %rax
    push %rcx
    push %rdx
    push %rbx
    push %rbp
    push %rsi
    push %rdi
    push %r8
    push %r9
    push %r10
    push %r11
    push %r12
    push %r13
    push %r14
    push %r15
    .endm

    .macro restore_regs
    pop %r15
    pop %r14
    pop %r13
    pop %r12
    pop %r11
    pop %r10
    pop %r9
    pop %r8
    pop %rdi
    pop %rsi
    pop %rbp
    pop %rbx
    pop %rdx
    pop %rcx
    pop %rax
    .endm

    .macro stub vec, error
    .balign 16
    pop %rcx
    pop %r11
    .if !\error
    push $0
    .endif
    push $\vec
    jmp trap_common
    .endm

    .balign 16
    .globl trap_stubs
trap_stubs:
    .set n, 0
    .rept 262
    .if n == 8 || (n >= 10 && n <= 14) || n == 17 || n == 21 || n == 29 || n == 30
    stub n, 1
    .else
    stub n, 0
    .endif
    .set n, n + 1
    .endr
    .balign 16

trap_common:
    save_regs
    cld
    mov %rsp, %rdi
    mov %rsp, %rbx
    and $-16, %rsp
    call trap_dispatch
    mov %rbx, %rsp

    /* void regs_return(struct regs *): leave to the context that rsp points to. */
regs_out:
    restore_regs
    add $16, %rsp
    push $0
    push %rcx
    push %r11
    push %rax
    mov $__HYPERVISOR_iret, %eax
    syscall
    ud2

    .globl regs_return
regs_return:
    mov %rdi, %rsp
    jmp regs_out

    /* void user_enter(struct regs *): run guest user mode; comes back by user_leave(). Uses the frame
     * up, so it is a copy at the top of the stack that kernel entries use. */
    .globl user_enter
user_enter:
    push %rbx
    push %rbp
    push %r12
    push %r13
    push %r14
    push %r15
    mov %rsp, user_saved_rsp(%rip)
    jmp regs_return

    /* void user_leave(void): resume after user_enter(). */
    .globl user_leave
user_leave:
    mov user_saved_rsp(%rip), %rsp
    pop %r15
    pop %r14
    pop %r13
    pop %r12
    pop %rbp
    pop %rbx
    ret

    /* long hypercall_page_call(nr, a1, a2): by the slot of the hypercall page. */
    .globl hypercall_page_call
hypercall_page_call:
    mov %rdi, %rax
    shl $5, %rax
    add $hypercall_page, %rax
    mov %rsi, %rdi
    mov %rdx, %rsi
    jmp *%rax

    .bss
    .balign 4096
    .globl boot_stack_top
    .space 65536
boot_stack_top:
    .globl exit_stack_top
    .space 32768 - 22 * 8
    .globl exit_frame
exit_frame: .space 22 * 8
exit_stack_top:
user_saved_rsp: .quad 0
    .globl entry_tsc, boot_rsp, boot_rflags, boot_regs, start_info
entry_tsc: .quad 0
boot_rsp: .quad 0
boot_rflags: .quad 0
boot_regs: .space 96
start_info: .quad 0

    .balign 4096
    .section .text.hypercall_page, "ax", @progbits
    .balign 4096
    .globl hypercall_page
hypercall_page: .space 4096

    .section .note.GNU-stack, "", @progbits
