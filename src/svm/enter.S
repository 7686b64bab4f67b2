/* SPDX-License-Identifier: MIT */
/* One stay in a guest: from CLGI, behind which nothing interrupts, to STGI. AMD APM vol. 2, 15.5.
 *
 * VMRUN and the exit save and load rax, rsp, rip, rflags and the segments that ring 0 needs;
 * VMLOAD and VMSAVE the rest of the segments and the MSRs of SYSCALL; the general registers are
 * ours. Interrupts are let through by RFLAGS.IF during the stay alone (V_INTR_MASKING): they end
 * it, and wait for the hypervisor's next window. */
#include "asm_offsets.h"
#include "cpu/entry_macros.h"

    .text
    /* void svm_enter(paddr_t vmcb, paddr_t host, struct regs *regs) */
    .globl svm_enter
    .hidden svm_enter
    .type svm_enter, @function
svm_enter:
    push %rbx
    push %rbp
    push %r12
    push %r13
    push %r14
    push %r15
    push %rsi
    push %rdx
    clgi
    sti
    mov %rdi, %rax
    mov REGS_R15(%rdx), %r15
    mov REGS_R14(%rdx), %r14
    mov REGS_R13(%rdx), %r13
    mov REGS_R12(%rdx), %r12
    mov REGS_R11(%rdx), %r11
    mov REGS_R10(%rdx), %r10
    mov REGS_R9(%rdx), %r9
    mov REGS_R8(%rdx), %r8
    mov REGS_RBP(%rdx), %rbp
    mov REGS_RBX(%rdx), %rbx
    mov REGS_RCX(%rdx), %rcx
    mov REGS_RSI(%rdx), %rsi
    mov REGS_RDI(%rdx), %rdi
    mov REGS_RDX(%rdx), %rdx
    vmload %rax
    vmrun %rax
    vmsave %rax
    push %rdi
    mov 8(%rsp), %rdi
    mov %r15, REGS_R15(%rdi)
    mov %r14, REGS_R14(%rdi)
    mov %r13, REGS_R13(%rdi)
    mov %r12, REGS_R12(%rdi)
    mov %r11, REGS_R11(%rdi)
    mov %r10, REGS_R10(%rdi)
    mov %r9, REGS_R9(%rdi)
    mov %r8, REGS_R8(%rdi)
    mov %rbp, REGS_RBP(%rdi)
    mov %rbx, REGS_RBX(%rdi)
    mov %rcx, REGS_RCX(%rdi)
    mov %rdx, REGS_RDX(%rdi)
    mov %rsi, REGS_RSI(%rdi)
    pop REGS_RDI(%rdi)
    mov 8(%rsp), %rax
    vmload %rax
    spec_site SPEC_SITE_RSB, 1f /* the guest has filled the predictor of returns */
    fill_rsb
1:
    cli
    stgi
    /* No value of the guest stays where code could use it under speculation. */
    xor %edx, %edx
    xor %ecx, %ecx
    xor %esi, %esi
    xor %edi, %edi
    xor %r8d, %r8d
    xor %r9d, %r9d
    xor %r10d, %r10d
    xor %r11d, %r11d
    add $16, %rsp
    pop %r15
    pop %r14
    pop %r13
    pop %r12
    pop %rbp
    pop %rbx
    jmp __x86_return_thunk

    .section .note.GNU-stack, "", @progbits
