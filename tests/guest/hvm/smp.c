/* SPDX-License-Identifier: MIT */
/* A second fully virtual CPU starts by INIT and SIPI in real mode, goes to 64-bit mode, and the two
 * send each other interrupts; another INIT stops it, and another SIPI starts it anew.
 *
 * Story: its code is copied below 1 MiB. Verdict: it counts its starts, and the interrupts arrive.
 * Options: dom0_max_vcpus=2 */
#include "hvm/lib/hvm.h"

#define APIC  0xfee00000ul
#define EOI   0x0b0
#define SVR   0x0f0
#define ICR   0x300
#define ICR2  0x310
#define PLACE 0x8000ul

extern const char ap_code[], ap_code_end[];
extern volatile uint32_t ap_starts;
void ap_main(void);

static volatile unsigned int on_first, on_second;
static volatile bool second_ready;

static void put(unsigned int reg, uint32_t val)
{
    *(volatile uint32_t *)(APIC + reg) = val;
}

static void ipi(uint32_t dest, uint32_t icr)
{
    put(ICR2, dest << 24);
    put(ICR, icr);
}

static bool first_interrupt(struct regs *regs)
{
    on_first++;
    put(EOI, 0);
    return true;
}

static bool second_interrupt(struct regs *regs)
{
    on_second++;
    put(EOI, 0);
    ipi(0, 0x61);
    return true;
}

void ap_main(void)
{
    trap_init(); /* the IDT is a register of each CPU */
    put(SVR, 0x1ff);
    second_ready = true;
    for (;;)
        asm volatile("sti; hlt" ::: "memory");
}

/* Up to a generous number of turns: no clock is needed for a verdict. */
#define wait_for(cond)                                                \
    do {                                                              \
        for (unsigned long i_ = 0; i_ < 100000000ul && !(cond); i_++) \
            asm volatile("pause" ::: "memory");                       \
        expect(cond);                                                 \
    } while (0)

static void start_second(uint32_t id)
{
    second_ready = false;
    ipi(id, 0x4500); /* INIT */
    ipi(id, 0x4600 | PLACE >> 12);
    wait_for(second_ready);
}

void test_main(void)
{
    uint32_t id = 2; /* APIC ids go up by two */

    memcpy((void *)PLACE, ap_code, (unsigned long)(ap_code_end - ap_code));
    trap_hook(0x61, first_interrupt);
    trap_hook(0x62, second_interrupt);
    put(SVR, 0x1ff);
    start_second(id);
    expect_eq(ap_starts, 1);
    ipi(id, 0x4600 | PLACE >> 12); /* a SIPI to one that runs does nothing */
    for (unsigned int n = 1; n <= 5; n++) {
        ipi(id, 0x4062);
        asm volatile("sti" ::: "memory");
        wait_for(on_first == n);
        asm volatile("cli" ::: "memory");
        expect_eq(on_second, n);
    }
    expect_eq(ap_starts, 1);
    start_second(id);
    expect_eq(ap_starts, 2);
    ipi(0, 0xc4062); /* all but itself */
    asm volatile("sti" ::: "memory");
    wait_for(on_first == 6);
    asm volatile("cli" ::: "memory");
    test_pass();
}

/* Position: PLACE. */
asm(".section .rodata\n"
    ".globl ap_code, ap_code_end\n"
    "ap_code:\n"
    ".code16\n"
    "    cli\n"
    "    mov %cs, %ax\n"
    "    mov %ax, %ds\n"
    "    lgdtl ap_gdtr - ap_code\n"
    "    mov $0x620, %eax\n"
    "    mov %eax, %cr4\n"
    "    mov $boot_l4, %eax\n"
    "    mov %eax, %cr3\n"
    "    mov $0xc0000080, %ecx\n"
    "    mov $0x901, %eax\n"
    "    xor %edx, %edx\n"
    "    wrmsr\n"
    "    mov $0x80010011, %eax\n"
    "    mov %eax, %cr0\n"
    "    ljmpl $0x08, $ap_long\n"
    "ap_gdtr:\n"
    "    .word 5 * 8 - 1\n"
    "    .long boot_gdt\n"
    "ap_code_end:\n"
    ".text\n"
    ".code64\n"
    "ap_long:\n"
    "    mov $0x10, %eax\n"
    "    mov %eax, %ds\n"
    "    mov %eax, %es\n"
    "    mov %eax, %ss\n"
    "    mov $ap_stack + 16384, %rsp\n"
    "    lock incl ap_starts\n"
    "    call ap_main\n"
    ".bss\n"
    ".balign 16\n"
    "ap_stack: .space 16384\n"
    ".globl ap_starts\n"
    "ap_starts: .space 4\n"
    ".text\n");
