/* SPDX-License-Identifier: MIT */
/* The ways into the hypervisor and out of it.
 *
 * Guests run in ring 3, the hypervisor in ring 0 with interrupts off. The guest's registers always
 * lie at cpu_local()->guest, at the top of the CPU's stack: RSP0 and the SYSCALL stub point there.
 * Entries from the hypervisor itself (an interrupt in a window or in idle, a fault with a fix-up)
 * push a frame wherever the stack is and return to it. NMI, #DF and #MC have stacks of their own and
 * return to the hypervisor through their own frame, so they are safe at any instruction there. A
 * return to a guest may fault, for its descriptors change as other vCPUs of it please: so what comes
 * from ring 3 by NMI or #DB moves to where guests' frames are, and leaves as all else does.
 *
 * SYSCALL does not switch stacks: a stub for each CPU does (cpu/init.c writes it), and goes to
 * hypercall/syscall.S.
 * GS is never used by the hypervisor, so there is no SWAPGS on these paths. */
#include "asm_offsets.h"
#include "cpu/entry_macros.h"

    /* No value of the guest stays where code could use it under speculation. */
    .macro clear_saved_registers
    xor %ebx, %ebx
    xor %ebp, %ebp
    xor %r12d, %r12d
    xor %r13d, %r13d
    xor %r14d, %r14d
    xor %r15d, %r15d
    .endm

    .macro clear_scratch_registers
    xor %esi, %esi
    xor %edx, %edx
    xor %ecx, %ecx
    xor %r8d, %r8d
    xor %r9d, %r9d
    xor %r10d, %r10d
    xor %r11d, %r11d
    .endm

    .macro restore_registers
    pop %r15
    pop %r14
    pop %r13
    pop %r12
    pop %rbp
    pop %rbx
    pop %r11
    pop %r10
    pop %r9
    pop %r8
    pop %rax
    pop %rcx
    pop %rdx
    pop %rsi
    pop %rdi
    .endm

    /* All code that runs while a guest's page tables may be loaded: cpu/xpti.c maps this section. */
    .section .text.entry, "ax"

/* ---- the way out ---- */

    .balign 64
    .globl exit_to_guest, exit_slow, exit_iret
    .hidden exit_to_guest, exit_slow, exit_iret
exit_to_guest:
    /* %rsp = &cpu_local()->guest. One word of work, and the current vCPU's pending events. */
    cmpl $0, CPU_WORK(%rsp)
    jne exit_slow
    mov CPU_UPCALL(%rsp), %rax
    cmpw $1, (%rax) /* pending, and not masked */
    je exit_slow
exit_iret:
    leave_to_guest %rax, exit_refill
    restore_registers
    add $8, %rsp
    .globl guest_iret
    .hidden guest_iret
guest_iret:
    iretq

    /* It has looked at events last: not again. Another vCPU of the guest could make each look find
     * one, and each would put a frame on the stack, with interrupts off. */
exit_slow:
    mov %rsp, %rdi
    call guest_exit_work
    cmpl $0, CPU_WORK(%rsp)
    jne exit_slow
    jmp exit_iret

exit_refill:
    call xpti_refill
    jmp exit_refill_done

/* ---- exceptions and interrupts ---- */

/* The 32 exception stubs, 16 bytes each: entry_exceptions + 16 * vector. */
    .globl entry_exceptions
    .hidden entry_exceptions
    .balign 16
entry_exceptions:
    .set vector, 0
    .rept 32
    .balign 16
    .if (VECTORS_WITH_ERROR >> vector) & 1
    movl $vector, 4(%rsp)
    .else
    pushq $0
    movb $vector, 4(%rsp)
    .endif
    jmp entry_exception
    .set vector, vector + 1
    .endr

entry_exception:
    save_registers
    clac_site
    cld
    mov %rsp, %rdi
    testb $3, REGS_CS(%rsp)
    jz from_hypervisor
    enter_from_guest
    clear_saved_registers
    clear_scratch_registers
    call trap_from_guest
    jmp exit_to_guest

    /* The IRET to a guest faults with the guest's tables loaded. */
from_hypervisor:
    enter_from_anywhere
    call trap_from_hypervisor
    leave_to_anywhere
    restore_registers
    add $8, %rsp
    iretq

/* On a stack of its own, error code pushed: the frame of an entry from ring 3 moves to where guests'
 * frames are, and the stack with it. Changes flags alone. */
    .macro move_to_guest_frame
    push %rax
    mov %rsp, %rax
    or $(CPU_BLOCK_SIZE - 1), %rax
    sub $(CPU_LOCAL_SIZE - 1 - CPU_GUEST_END), %rax
    .irp from, 48, 40, 32, 24, 16, 8, 0 /* ss to error code, and rax */
    pushq \from(%rsp)
    popq \from - 56(%rax)
    .endr
    lea -56(%rax), %rsp
    pop %rax
    .endm

/* #DB has a stack of its own: after MOV SS the processor may hold it back until a SYSCALL is done,
 * and raise it in ring 0 on whatever stack the guest chose. */
    .globl entry_debug
    .hidden entry_debug
entry_debug:
    pushq $0
    movb $1, 4(%rsp)
    testb $3, 16(%rsp)
    jnz 1f
    save_registers
    clac_site
    cld
    mov %rsp, %rdi
    jmp from_hypervisor
1:  move_to_guest_frame
    jmp entry_exception

/* Interrupt stubs for vectors 32-255, 16 bytes each. */
    .globl entry_interrupts
    .hidden entry_interrupts
    .balign 16
entry_interrupts:
    .set vector, 32
    .rept 224
    .balign 16
    pushq $0
    movb $vector, 4(%rsp)
    jmp entry_interrupt
    .set vector, vector + 1
    .endr

entry_interrupt:
    save_registers
    clac_site
    cld
    mov %rsp, %rdi
    testb $3, REGS_CS(%rsp)
    jz 1f
    enter_from_guest
    clear_saved_registers
    clear_scratch_registers
    call trap_interrupt
    jmp exit_to_guest
1:  call trap_interrupt
    restore_registers
    add $8, %rsp
    iretq

/* From a guest: on the guest's frame. NMIs stay blocked until the IRET at the end, or that of an
 * interrupt if this CPU idles before. */
    .globl entry_nmi
    .hidden entry_nmi
entry_nmi:
    pushq $0
    movb $2, 4(%rsp)
    testb $3, 16(%rsp)
    jz nmi_in_hypervisor
    move_to_guest_frame
    save_registers
    clac_site
    cld
    mov %rsp, %rdi
    enter_from_guest
    clear_saved_registers
    clear_scratch_registers
    call trap_nmi
    jmp exit_to_guest

/* NMI in the hypervisor, #DF, #MC: on their own stacks, back through their own frame. */
    .macro own_stack handler
    save_registers
    clac_site
    cld
    clear_saved_registers
    enter_from_anywhere
    spec_site SPEC_SITE_RSB, 799f
    fill_rsb
799:
    mov %rsp, %rdi
    call \handler
    leave_to_anywhere
    restore_registers
    add $8, %rsp
    iretq
    .endm
nmi_in_hypervisor:
    own_stack trap_nmi

    .globl entry_double_fault, entry_machine_check
    .hidden entry_double_fault, entry_machine_check
entry_double_fault:
    movb $8, 4(%rsp)
    own_stack trap_double_fault
entry_machine_check:
    pushq $0
    movb $18, 4(%rsp)
    own_stack trap_machine_check

/* ---- ends of a context switch ---- */

/* The stack is emptied: %rsp = &cpu_local()->guest. */
    .macro empty_stack
    or $(CPU_BLOCK_SIZE - 1), %rsp
    sub $(CPU_LOCAL_SIZE - 1), %rsp
    .endm

    .globl cpu_return_to_guest, cpu_enter_idle, cpu_enter_hvm
    .hidden cpu_return_to_guest, cpu_enter_idle, cpu_enter_hvm
cpu_return_to_guest:
    empty_stack
    jmp exit_to_guest

cpu_enter_idle:
    empty_stack
    and $-16, %rsp
    push $0
    push $0
    xor %ebp, %ebp
    call idle_loop
    ud2

cpu_enter_hvm:
    empty_stack
    and $-16, %rsp
    push $0
    push $0
    xor %ebp, %ebp
    call hvm_loop
    ud2

    .section .note.GNU-stack, "", @progbits
