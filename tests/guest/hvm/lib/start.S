/* SPDX-License-Identifier: MIT */
/* The first instructions of a PVH test kernel: from 32-bit protected mode without paging (public
 * arch-x86/hvm/start_info.h) to 64-bit mode with the first 4 GiB mapped one to one, and the entries
 * of its IDT. */
#include <xen/elfnote.h>
#include "lib/notes.h"

    note XEN_ELFNOTE_GUEST_OS, .asciz "argon-hvm-test"
    note XEN_ELFNOTE_GUEST_VERSION, .asciz "1"
    note XEN_ELFNOTE_XEN_VERSION, .asciz "xen-3.0"
    note XEN_ELFNOTE_LOADER, .asciz "generic"
    note XEN_ELFNOTE_PHYS32_ENTRY, .long _start
    note XEN_ELFNOTE_SUPPORTED_FEATURES, .long 0x8801

#define CR0_PG_WP 0x80010000
#define CR4_BITS  0x620 /* PAE, OSFXSR, OSXMMEXCPT */
#define MSR_EFER  0xc0000080
#define EFER_BITS 0x901 /* SCE, LME, NX */

    .section .text.entry, "ax", @progbits
    .code32
    .globl _start
_start:
    mov %ebx, hvm_start_info
    mov $CR4_BITS, %eax
    mov %eax, %cr4
    mov $boot_l4, %eax
    mov %eax, %cr3
    mov $MSR_EFER, %ecx
    rdmsr
    or $EFER_BITS, %eax
    wrmsr
    mov %cr0, %eax
    or $CR0_PG_WP, %eax
    mov %eax, %cr0
    lgdt boot_gdtr
    ljmp $0x08, $1f
    .code64
1:  mov $0x10, %eax
    mov %eax, %ds
    mov %eax, %es
    mov %eax, %ss
    xor %eax, %eax
    mov %eax, %fs
    mov %eax, %gs
    mov $boot_stack_top, %rsp
    xor %ebp, %ebp
    cld
    call guest_main
2:  jmp 2b

    .macro stub vec, error
    .balign 16
    .if !\error
    push $0
    .endif
    push $\vec
    jmp trap_common
    .endm

    .text
    .balign 16
    .globl trap_stubs
trap_stubs:
    .set n, 0
    .rept 256
    .if n == 8 || (n >= 10 && n <= 14) || n == 17 || n == 21 || n == 29 || n == 30
    stub n, 1
    .else
    stub n, 0
    .endif
    .set n, n + 1
    .endr
    .balign 16

    /* The order of struct regs in guest.h. */
trap_common:
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
    cld
    mov %rsp, %rdi
    mov %rsp, %rbx
    and $-16, %rsp
    call trap_dispatch
    mov %rbx, %rsp
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
    add $16, %rsp
    iretq

    .data
    .balign 16
    .globl boot_gdt
boot_gdt:
    .quad 0
    .quad 0x00af9b000000ffff /* 0x08: 64-bit code */
    .quad 0x00cf93000000ffff /* 0x10: data */
    .quad 0x00cf9b000000ffff /* 0x18: 32-bit code */
    .quad 0x000f9b000000ffff /* 0x20: 16-bit code */
    .globl boot_gdtr
boot_gdtr:
    .word 5 * 8 - 1
    .quad boot_gdt
    .globl hvm_start_info
hvm_start_info:
    .quad 0

    .balign 4096
    .globl boot_l4, boot_l3, boot_l2
boot_l4:
    .quad boot_l3 + 0x63
    .fill 511, 8, 0
boot_l3:
    .quad boot_l2 + 0x63, boot_l2 + 0x1063, boot_l2 + 0x2063, boot_l2 + 0x3063
    .fill 508, 8, 0
boot_l2:
    .set page, 0
    .rept 2048
    .quad (page << 21) + 0xe3
    .set page, page + 1
    .endr

    .bss
    .balign 4096
    .space 32768
boot_stack_top:

    .section .note.GNU-stack, "", @progbits
