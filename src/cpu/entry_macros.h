/* SPDX-License-Identifier: MIT */
/* What the assembly of all entries shares. Assembler macros, for .S files only. */
/* clang-format off */
#ifdef __ASSEMBLER__
    .macro clac_site
772:    .byte 0x0f, 0x1f, 0x00
    .pushsection .smap_sites, "a"
    .long 772b - .
    .long 0xca
    .popsection
    .endm

    /* Below the error code, the order of struct regs. */
    .macro save_registers
    push %rdi
    push %rsi
    push %rdx
    push %rcx
    push %rax
    push %r8
    push %r9
    push %r10
    push %r11
    push %rbx
    push %rbp
    push %r12
    push %r13
    push %r14
    push %r15
    .endm
#endif
