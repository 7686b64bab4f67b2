/* SPDX-License-Identifier: MIT */
/* What the assembly of all entries shares. Assembler macros, for .S files only. */
#ifdef __ASSEMBLER__
#include "cpu/spec_site.h"

/* clang-format off */
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

    /* A jump over what follows, up to `end`: two bytes that cpu/init.c makes a NOP on processors
     * that need what follows. */
    .macro spec_site kind, end
773:    .byte 0xeb, \end - 774f
774:
    .pushsection .spec_sites, "a"
    .long 773b - .
    .long \kind
    .popsection
    .endm

    /* The predictor of returns knows nothing but calls of ours, 32 of them. Writes flags and ecx. */
    .macro fill_rsb
    mov $16, %ecx
781:
    call 783f
782:    pause
    lfence
    jmp 782b
783:    call 785f
784:    pause
    lfence
    jmp 784b
785:    dec %ecx
    jnz 781b
    add $(32 * 8), %rsp
    .endm

    /* From a guest: %rsp = &cpu_local()->guest, registers saved. Nothing but the pages of entry is
     * mapped before this, and nothing returns. Writes flags and rcx. */
    .macro enter_from_guest
    spec_site SPEC_SITE_ENTRY, 793f
    spec_site SPEC_SITE_XPTI, 791f
    mov CPU_HV_CR3(%rsp), %rcx
    test %rcx, %rcx /* 0: a domain on its own tables */
    jz 791f
    mov %rcx, %cr3
791:
    spec_site SPEC_SITE_RSB, 792f
    fill_rsb
792:
793:
    .endm

    /* The last thing that looks at the hypervisor's memory before the guest's registers are loaded:
     * %rsp = &cpu_local()->guest. By way of `refill`, which comes back to `refill`_done, if the tables
     * are to be made new first. A mark that comes meanwhile is left for the next time: otherwise a
     * guest could keep us here; see cpu/xpti.h for why it can wait. Writes flags and `scratch`. */
    .macro leave_to_guest scratch, refill
    spec_site SPEC_SITE_EXIT, 796f
    spec_site SPEC_SITE_XPTI, 794f
    cmpl $0, CPU_SHADOW_STALE(%rsp)
    jne \refill
\refill\()_done:
    mov CPU_EXIT_CR3(%rsp), \scratch
    test \scratch, \scratch
    jz 794f
    mov \scratch, %cr3
794:
    spec_site SPEC_SITE_VERW, 795f
    verw CPU_VERW_SELECTOR(%rsp) /* with microcode that says MD_CLEAR: empties the buffers */
795:
796:
    .endm

    /* In the middle of anything: if the tables of the guest are loaded, those of the hypervisor are
     * loaded and rbx remembers the guest's; else rbx = 0. Bit 63, by which a load keeps what the
     * TLB has, does not come back from CR3. Writes flags, rax and rcx. */
    .macro enter_from_anywhere
    spec_site SPEC_SITE_XPTI, 797f
    mov %rsp, %rcx
    or $(CPU_BLOCK_SIZE - 1), %rcx /* the last byte of cpu_local() */
    mov CPU_EXIT_CR3 - CPU_LOCAL_SIZE + 1(%rcx), %rbx
    mov %cr3, %rax
    xor %rbx, %rax
    shl %rax
    jnz 789f
    mov CPU_HV_CR3 - CPU_LOCAL_SIZE + 1(%rcx), %rax
    mov %rax, %cr3
    jmp 797f
789:    xor %ebx, %ebx
797:
    .endm

    /* Writes flags and rcx. */
    .macro leave_to_anywhere
    spec_site SPEC_SITE_VERW, 799f
    mov %rsp, %rcx
    or $(CPU_BLOCK_SIZE - 1), %rcx
    verw CPU_VERW_SELECTOR - CPU_LOCAL_SIZE + 1(%rcx)
799:
    spec_site SPEC_SITE_XPTI, 798f
    test %rbx, %rbx
    jz 798f
    mov %rbx, %cr3
798:
    .endm
/* clang-format on */
#endif
