/* SPDX-License-Identifier: MIT */
/* Instructions that may fault on a guest's value, each with its fix-up in .ex_table: a pair of
 * 32-bit offsets, relative to themselves, of the instruction and of where to go on.
 * Calling convention: System V AMD64. */

#define EFAULT 14

.macro fixup from, to
    .pushsection .ex_table, "a"
    .balign 4
    .long \from - .
    .long \to - .
    .popsection
.endm

/* SMAP: STAC and CLAC are three bytes of NOP until cpu/ knows that the processor has them. */
.macro stac_site
771:    .byte 0x0f, 0x1f, 0x00
    .pushsection .smap_sites, "a"
    .long 771b - .
    .long 0xcb
    .popsection
.endm
.macro clac_site
772:    .byte 0x0f, 0x1f, 0x00
    .pushsection .smap_sites, "a"
    .long 772b - .
    .long 0xca
    .popsection
.endm

.macro function name
    .globl \name
    .hidden \name
    .type \name, @function
    .balign 16
\name:
.endm

    .text

/* int rdmsr_safe(uint32_t msr, uint64_t *val) */
function rdmsr_safe
    mov %edi, %ecx
1:  rdmsr
    shl $32, %rdx
    or %rdx, %rax
    mov %rax, (%rsi)
    xor %eax, %eax
    jmp __x86_return_thunk
    fixup 1b, return_efault

/* int wrmsr_safe(uint32_t msr, uint64_t val) */
function wrmsr_safe
    mov %edi, %ecx
    mov %esi, %eax
    mov %rsi, %rdx
    shr $32, %rdx
1:  wrmsr
    xor %eax, %eax
    jmp __x86_return_thunk
    fixup 1b, return_efault

/* int xsetbv_safe(uint32_t index, uint64_t val) */
function xsetbv_safe
    mov %edi, %ecx
    mov %esi, %eax
    mov %rsi, %rdx
    shr $32, %rdx
1:  xsetbv
    xor %eax, %eax
    jmp __x86_return_thunk
    fixup 1b, return_efault

/* int xrstor_safe(const void *area, uint64_t mask) */
function xrstor_safe
    mov %esi, %eax
    mov %rsi, %rdx
    shr $32, %rdx
1:  xrstor64 (%rdi)
    xor %eax, %eax
    jmp __x86_return_thunk
    fixup 1b, return_efault

/* int fxrstor_safe(const void *area) */
function fxrstor_safe
1:  fxrstor64 (%rdi)
    xor %eax, %eax
    jmp __x86_return_thunk
    fixup 1b, return_efault

.macro load_selector seg
function load_\seg\()_safe
1:  mov %edi, %\seg
    xor %eax, %eax
    jmp __x86_return_thunk
2:  xor %eax, %eax
    mov %eax, %\seg
    mov $-EFAULT, %eax
    jmp __x86_return_thunk
    fixup 1b, 2b
.endm

load_selector ds
load_selector es
load_selector fs
load_selector gs

/* Guest memory. Only the instruction between STAC and CLAC touches it. Results: bytes not copied.
 * QEMU counts one instruction a byte of REP MOVSB: whole words first. */

/* size_t hw_copy_from_guest(void *dst, uint64_t va, size_t n)
 * size_t hw_copy_to_guest(uint64_t va, const void *src, size_t n) */
function hw_copy_from_guest
    jmp copy_either
function hw_copy_to_guest
copy_either:
    mov %rdx, %rcx
    and $7, %edx
    shr $3, %rcx
    stac_site
1:  rep movsq
    mov %edx, %ecx
    test %ecx, %ecx
    jz 3f
2:  rep movsb
3:  clac_site
    mov %rcx, %rax
    jmp __x86_return_thunk
4:  lea (%rdx, %rcx, 8), %rcx  /* words that are left, and the rest */
    jmp 3b
    fixup 1b, 4b
    fixup 2b, 3b

/* size_t hw_clear_guest(uint64_t va, size_t n) */
function hw_clear_guest
    mov %rsi, %rcx
    xor %eax, %eax
    mov %esi, %edx
    and $7, %edx
    shr $3, %rcx
    stac_site
1:  rep stosq
    mov %edx, %ecx
2:  rep stosb
3:  clac_site
    mov %rcx, %rax
    jmp __x86_return_thunk
4:  lea (%rdx, %rcx, 8), %rcx
    jmp 3b
    fixup 1b, 4b
    fixup 2b, 3b

/* int hw_read_guest_u64(uint64_t va, uint64_t *val) */
function hw_read_guest_u64
    stac_site
1:  mov (%rdi), %rdx
    clac_site
    mov %rdx, (%rsi)
    xor %eax, %eax
    jmp __x86_return_thunk
    fixup 1b, return_efault

/* int hw_write_guest_u64(uint64_t va, uint64_t val) */
function hw_write_guest_u64
    stac_site
1:  mov %rsi, (%rdi)
    clac_site
    xor %eax, %eax
    jmp __x86_return_thunk
    fixup 1b, return_efault

return_efault:
    clac_site
    mov $-EFAULT, %eax
    jmp __x86_return_thunk

/* Thunks of -mindirect-branch=thunk-extern and -mfunction-return=thunk-extern. They start as plain
 * branches; cpu/ writes the speculation-safe forms over them where the processor needs them: the
 * space is there. Intel "Retpoline", AMD "Software techniques for managing speculation". */
    .section .text.thunks, "ax"
.macro indirect_thunk reg
    .globl __x86_indirect_thunk_\reg
    .hidden __x86_indirect_thunk_\reg
    .balign 32
__x86_indirect_thunk_\reg:
    jmp *%\reg
    .balign 32, 0xcc
    .pushsection .indirect_thunks, "a"
    .long __x86_indirect_thunk_\reg - .
    .popsection
.endm
    .irp reg, rax, rbx, rcx, rdx, rsi, rdi, rbp, r8, r9, r10, r11, r12, r13, r14, r15
    indirect_thunk \reg
    .endr

    .globl __x86_return_thunk
    .hidden __x86_return_thunk
    .balign 32
__x86_return_thunk:
    ret
    int3
    .balign 32, 0xcc

    .section .note.GNU-stack, "", @progbits
