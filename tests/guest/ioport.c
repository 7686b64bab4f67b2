/* SPDX-License-Identifier: MIT */
/* Port input and output from the kernel and, by I/O bitmap and privilege level, from user mode.
 *
 * Cause: domain 0 drives its devices, but the interrupt controllers and timers are the
 * hypervisor's.
 * Steps: access at virtual IOPL 0 and 1; a harmless port; the denied ones (PIC, PIT, the
 * console's UART); each width; string instructions; user mode with and without bitmap.
 * Verdict: #GP without right; denied input reads all ones and output is lost; the rest works. */
#include "lib/guest.h"

extern char user_begin[], user_end[];
asm(".section .rodata; user_begin: in (%dx), %al; ud2; user_end: .text");

static uint32_t in_value;

static long in8(uint16_t port)
{
    uint8_t v = 0x5a;

    trap_forget();
    asm volatile(TRY("inb %%dx, %%al") : "+a"(v) : "d"(port));
    in_value = v;
    return last_trap.vector;
}

static long in16(uint16_t port)
{
    uint16_t v = 0x5a5a;

    trap_forget();
    asm volatile(TRY("inw %%dx, %%ax") : "+a"(v) : "d"(port));
    in_value = v;
    return last_trap.vector;
}

static long in32(uint16_t port)
{
    uint32_t v = 0x5a5a5a5a;

    trap_forget();
    asm volatile(TRY("inl %%dx, %%eax") : "+a"(v) : "d"(port));
    in_value = v;
    return last_trap.vector;
}

static long out8(uint16_t port, uint8_t v)
{
    trap_forget();
    asm volatile(TRY("outb %%al, %%dx")::"a"(v), "d"(port));
    return last_trap.vector;
}

static void set_iopl(unsigned int level)
{
    struct physdev_set_iopl iopl = {.iopl = level};

    need_eq(hc_physdev_op(PHYSDEVOP_set_iopl, &iopl), 0);
}

static void check_kernel(void)
{
    static const uint16_t denied[] = {0x20, 0x21, 0xa0, 0xa1, 0x40, 0x41, 0x3f8, 0x3fd};
    uint8_t buf[4] = {0};
    void *p = buf;
    unsigned long n = 4;

    set_iopl(0);
    expect_eq(in8(0x80), VEC_GP);
    expect_eq(out8(0x80, 0), VEC_GP);
    set_iopl(1);
    expect_eq(out8(0x80, 0x12), NO_TRAP);
    expect_eq(in8(0x80), NO_TRAP);
    for (unsigned int i = 0; i < sizeof(denied) / sizeof(*denied); i++) {
        expect_eq(in8(denied[i]), NO_TRAP);
        if (in_value != 0xff)
            expect_failed("port %#x reads %#x", denied[i], in_value);
        expect_eq(out8(denied[i], 0xff), NO_TRAP);
    }
    expect_eq(in16(0x20), NO_TRAP);
    expect_eq(in_value, 0xffff);
    expect_eq(in32(0x3f8), NO_TRAP);
    expect_eq(in_value, 0xffffffff);
    asm volatile("rep insb" : "+D"(p), "+c"(n) : "d"(0x20) : "memory");
    expect_eq(n, 0);
    expect_eq(UL(p), UL(buf) + 4);
    expect_eq(buf[0] & buf[1] & buf[2] & buf[3], 0xff);
}

/* The index of PCI configuration space is kept for each domain; host bridge of the q35: 8086:29c0.
 */
static void check_pci(void)
{
    trap_forget();
    asm volatile(TRY("outl %%eax, %%dx")::"a"(0x80000000u), "d"(0xcf8));
    expect_eq(last_trap.vector, NO_TRAP);
    expect_eq(in32(0xcf8), NO_TRAP);
    expect_eq(in_value, 0x80000000);
    expect_eq(in32(0xcfc), NO_TRAP);
    expect_eq(in_value & 0xffff, 0x8086);
    expect_eq(in16(0xcfc), NO_TRAP);
    expect_eq(in_value, 0x8086);
    expect_eq(in8(0xcfd), NO_TRAP);
    expect_eq(in_value, 0x80);
}

static void check_user(void)
{
    static uint8_t bitmap[8192];
    struct physdev_set_iobitmap op = {.nr_ports = 65536};
    struct regs regs;

    user_init(user_begin, user_end);
    set_iopl(1);
    user_regs(&regs);
    regs.rdx = 0x80;
    user_run(&regs);
    expect_eq(regs.vector, VEC_GP);
    expect_eq(regs.rip, USER_CODE);

    set_iopl(3);
    user_regs(&regs);
    regs.rdx = 0x80;
    user_run(&regs);
    expect_eq(regs.vector, VEC_UD);

    set_iopl(1);
    memset(bitmap, 0xff, sizeof(bitmap));
    bitmap[0x80 / 8] &= ~1;
    set_xen_guest_handle(op.bitmap, bitmap);
    expect_eq(hc_physdev_op(PHYSDEVOP_set_iobitmap, &op), 0);
    user_regs(&regs);
    regs.rdx = 0x80;
    user_run(&regs);
    expect_eq(regs.vector, VEC_UD);
    user_regs(&regs);
    regs.rdx = 0x81;
    user_run(&regs);
    expect_eq(regs.vector, VEC_GP);
    op.nr_ports = 65537;
    expect_eq(hc_physdev_op(PHYSDEVOP_set_iobitmap, &op), -XEN_EINVAL);
}

void test_main(void)
{
    check_kernel();
    check_pci();
    check_user();
    test_pass();
}
