/* SPDX-License-Identifier: MIT */
/* The first instructions of another CPU: from real mode, where STARTUP leaves it, to C in long mode.
 * Never run here: cpu/trampoline.c copies it to a page below 1 MiB, and fills in the words at its
 * end. Intel SDM vol. 3A, 8.4.4 (start-up), 9.8.5 (long mode). */
#include "asm_offsets.h"

/* Selectors of the table at the end. */
#define CODE32 8
#define DATA   16
#define CODE64 24

#define AT(symbol) (symbol - trampoline)

    .section .rodata, "a"
    .globl trampoline, trampoline_words, trampoline_end
    .hidden trampoline, trampoline_words, trampoline_end
    .balign 16
    .code16
trampoline:
    cli
    cld
    mov %cs, %ax
    mov %ax, %ds
    movzwl %ax, %esi
    shl $4, %esi /* the page */
    lgdtl AT(gdt_register)
    mov $BOOT_CR0_PE, %eax /* and caches on: INIT leaves CD and NW set */
    mov %eax, %cr0
    ljmpl *AT(far32)

    .code32
protected:
    mov $DATA, %eax
    mov %eax, %ds
    mov %eax, %ss
    mov $BOOT_CR4, %eax
    mov %eax, %cr4
    mov AT(cr3)(%esi), %eax
    mov %eax, %cr3
    mov $MSR_EFER, %ecx
    rdmsr
    or $BOOT_EFER, %eax
    wrmsr
    mov $BOOT_CR0, %eax
    mov %eax, %cr0
    ljmpl *AT(far64)(%esi)

    .code64
long_mode:
    xor %eax, %eax
    mov %eax, %ds
    mov %eax, %es
    mov %eax, %fs
    mov %eax, %gs
    mov AT(stack)(%rsi), %rsp
    xor %ebp, %ebp /* the end of backtraces */
    push %rbp
    push %rbp
    mov AT(entry)(%rsi), %rax
    jmp *%rax

/* struct trampoline_words */
    .balign 8
trampoline_words:
stack: .quad 0
entry: .quad 0
cr3:   .long 0
far32: .long AT(protected) /* the page is added */
       .short CODE32
far64: .long AT(long_mode)
       .short CODE64
gdt_register:
       .short 4 * 8 - 1
       .long AT(gdt)
    .balign 8
gdt:   .quad 0, 0x00cf9b000000ffff, DESC_HV_DATA_, DESC_HV_CS64_
trampoline_end:

    .section .note.GNU-stack, "", @progbits
