/* SPDX-License-Identifier: MIT */
/* From the boot loader's 32-bit protected mode to C in long mode. Multiboot 0.6.96, 3.2; Multiboot 2
 * 2.0, 3.3. The image may lie at any 2 MiB boundary below 4 GiB: until paging is on, addresses are
 * %esi (where the image begins) plus an offset that the linker script gives the name sym_off. */
#include "asm_offsets.h"

#define MB1_MAGIC 0x1badb002
#define MB1_FLAGS 0x00000003 /* modules page aligned, memory information */
#define MB2_MAGIC 0xe85250d6
#define MB2_ARCH  0          /* i386 */

    .section .boot.header, "ax"
    .code32
    .globl start
start:
    jmp entry32

    .balign 4
    .long MB1_MAGIC, MB1_FLAGS, -(MB1_MAGIC + MB1_FLAGS)

    .balign 8
mb2_header:
    .long MB2_MAGIC, MB2_ARCH, mb2_end - mb2_header
    .long -(MB2_MAGIC + MB2_ARCH + (mb2_end - mb2_header))
    .balign 8
    .short 1, 0 /* information request: basic memory, memory map */
    .long 16, 4, 6
    .balign 8
    .short 6, 0 /* modules page aligned */
    .long 8
    .balign 8
    .short 10, 1 /* relocatable, optional: 2 MiB to 4 GiB, aligned to 2 MiB, as high as possible */
    .long 24, 0x200000, 0xffffffff, 0x200000, 2
    .balign 8
    .short 4, 1 /* console: an EGA text mode will do */
    .long 12, 2
    .balign 8
    .short 5, 1 /* frame buffer, any size */
    .long 20, 0, 0, 0
    .balign 8
    .short 0, 0
    .long 8
mb2_end:

    .section .boot.text, "ax"
    .code32
entry32:
    cli
    cld
    /* Where are we? A call needs four bytes of stack: borrow them from the loader's information. */
    mov (%ebx), %edx
    lea 4(%ebx), %esp
    call 1f
1:  pop %esi
    mov %edx, (%ebx)
    sub $here_off, %esi
    lea boot_stack_off(%esi), %esp
    mov %eax, %ebp /* the loader's magic number */
    .globl boot_here
    .set boot_here, 1b

    /* CPUID there? Long mode, NX, PAE, SSE2? */
    pushf
    pop %eax
    mov %eax, %ecx
    xor $RFLAGS_ID, %eax
    push %eax
    popf
    pushf
    pop %eax
    xor %ecx, %eax
    lea msg_cpuid_off(%esi), %edi
    test $RFLAGS_ID, %eax
    jz fatal32
    push %ebx
    mov $0x80000000, %eax
    cpuid
    lea msg_lm_off(%esi), %edi
    cmp $0x80000001, %eax
    jb 2f
    mov $0x80000001, %eax
    cpuid
    bt $29, %edx
    jnc 2f
    lea msg_nx_off(%esi), %edi
    bt $20, %edx
    jnc 2f
    jmp 3f
2:  jmp fatal32
3:  pop %ebx

    /* Page tables: physical 0-4 GiB one to one and at the direct map, the image at its address. */
    lea boot_l2_off(%esi), %edi
    mov $0x83 | (1 << 8), %eax /* present, writable, 2 MiB, global */
    xor %ecx, %ecx
4:  mov %eax, (%edi, %ecx, 8)
    movl $0, 4(%edi, %ecx, 8)
    add $0x200000, %eax
    inc %ecx
    cmp $2048, %ecx
    jb 4b

    lea boot_l2_off + 0x67(%esi), %eax /* present, writable, user, accessed, dirty */
    lea boot_l3_low_off(%esi), %edi
    lea boot_l3_direct_off(%esi), %edx
    mov $4, %ecx
5:  mov %eax, (%edi)
    movl $0, 4(%edi)
    mov %eax, (%edx)
    movl $0x80000000, 4(%edx) /* the direct map is not executable */
    add $8, %edi
    add $8, %edx
    add $0x1000, %eax
    dec %ecx
    jnz 5b

    lea 0x1e3(%esi), %eax /* the image: present, writable, A, D, 2 MiB, global; from %esi on */
    lea boot_l2_image_off(%esi), %edi
    mov $8, %ecx
6:  mov %eax, (%edi)
    movl $0, 4(%edi)
    add $0x200000, %eax
    add $8, %edi
    dec %ecx
    jnz 6b
    lea boot_l2_image_off + 0x67(%esi), %eax
    mov %eax, boot_l3_image_off(%esi)
    lea boot_l3_low_off + 0x67(%esi), %eax
    mov %eax, boot_l4_off(%esi)
    lea boot_l3_image_off + 0x67(%esi), %eax
    mov %eax, (boot_l4_off + 261 * 8)(%esi)
    lea boot_l3_direct_off + 0x67(%esi), %eax
    mov %eax, (boot_l4_off + 262 * 8)(%esi)

    mov $BOOT_CR4, %eax
    mov %eax, %cr4
    lea boot_l4_off(%esi), %eax
    mov %eax, %cr3
    mov $MSR_EFER, %ecx
    rdmsr
    or $BOOT_EFER, %eax
    wrmsr
    mov $BOOT_CR0, %eax
    mov %eax, %cr0

    lea boot_gdt_off(%esi), %eax
    mov %eax, (boot_gdt_reg_off + 2)(%esi)
    lgdt boot_gdt_reg_off(%esi)
    lea entry64_off(%esi), %eax
    push $8
    push %eax
    lret

/* %edi: the message. To COM1, as the firmware left it or set to 115200 8n1, and to the screen. */
fatal32:
    mov $0x3fb, %dx
    mov $0x80, %al
    out %al, %dx
    mov $0x3f8, %dx
    mov $1, %al
    out %al, %dx
    inc %dx
    xor %al, %al
    out %al, %dx
    mov $0x3fb, %dx
    mov $3, %al
    out %al, %dx
    mov $0xb8000, %ebx
7:  mov (%edi), %al
    test %al, %al
    jz 9f
    mov %al, (%ebx)
    movb $0x0f, 1(%ebx)
    add $2, %ebx
    mov %al, %ah
    mov $0x3fd, %dx
    mov $0x10000, %ecx
8:  in %dx, %al
    test $0x20, %al
    loopz 8b
    mov $0x3f8, %dx
    mov %ah, %al
    out %al, %dx
    inc %edi
    jmp 7b
9:  cli
    hlt
    jmp 9b

    .code64
entry64:
    movabs $entry_high, %rax
    jmp *%rax

    .section .boot.rodata, "a"
    .globl msg_cpuid, msg_lm, msg_nx
msg_cpuid: .asciz "\r\nArgon: this processor has no CPUID instruction; a 64-bit one is needed. Stopped.\r\n"
msg_lm:    .asciz "\r\nArgon: this processor has no long mode (64 bit); choose a 64-bit one. Stopped.\r\n"
msg_nx:    .asciz "\r\nArgon: this processor has no NX, or the firmware hides it; enable it there. Stopped.\r\n"
    .balign 16
    .globl boot_gdt, boot_gdt_reg, entry64
boot_gdt:
    .quad 0, DESC_HV_CS64_, DESC_HV_DATA_
boot_gdt_reg:
    .short 23
    .long 0
    .short 0

    .section .init.text, "ax"
    .code64
entry_high:
    mov $16, %eax
    mov %eax, %ss
    xor %eax, %eax
    mov %eax, %ds
    mov %eax, %es
    mov %eax, %fs
    mov %eax, %gs
    lea boot_cpu_block + CPU_BLOCK_SIZE - CPU_LOCAL_SIZE(%rip), %rsp
    and $-16, %rsp
    push $0
    push $0 /* the end of every backtrace */
    mov %ebp, %edi /* the loader's magic number */
    mov %ebx, %esi /* and its information, physical */
    xor %ebp, %ebp
    call start_main
    ud2

    .section .boot.bss, "aw", @nobits
    .balign 4096
    .globl boot_l4, boot_l3_low, boot_l3_direct, boot_l3_image, boot_l2, boot_l2_image, boot_stack
boot_l4:        .skip 4096
boot_l3_low:    .skip 4096
boot_l3_direct: .skip 4096
boot_l3_image:  .skip 4096
boot_l2:        .skip 4 * 4096
boot_l2_image:  .skip 4096
    .skip 512
boot_stack:

    .section .note.GNU-stack, "", @progbits
