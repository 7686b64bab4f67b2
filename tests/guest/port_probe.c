/* SPDX-License-Identifier: MIT */
/* Every port, read in each width, and what belongs to the hypervisor written as well.
 *
 * Cause: domain 0 has nearly all ports, and the few that are not its own must not be reached by a
 * wider access beside them, nor by a string instruction.
 * Steps: at virtual IOPL 1 read all ports in bytes, the lower ones in words and longs; write the
 * interrupt controllers, the timer and the hypervisor's serial line by accesses that begin before
 * them; without the privilege, and from user mode with a bitmap of all ports, again.
 * Verdict: no fault where we may, #GP where we may not, and timer, console and events go on. */
#include "lib/guest.h"

extern char user_begin[], user_end[], u_in[], u_out[];
asm(".section .rodata; user_begin: u_in: inb %dx, %al; ud2; u_out: outb %al, %dx; ud2;"
    "user_end: .text");

/* Reads of these have effects on the machine that we live on: the keyboard, the disk and DMA. */
static bool is_odd(unsigned int port)
{
    return port == 0x60 || port == 0x64 || (port >= 0x1f0 && port < 0x1f8) ||
           (port >= 0x170 && port < 0x178);
}

static long in(unsigned int width, uint16_t port, uint32_t *v)
{
    uint32_t value = 0;

    trap_forget();
    switch (width) {
    case 1:
        asm volatile(TRY("inb %%dx, %%al") : "+a"(value) : "d"(port));
        break;
    case 2:
        asm volatile(TRY("inw %%dx, %%ax") : "+a"(value) : "d"(port));
        break;
    default:
        asm volatile(TRY("inl %%dx, %%eax") : "+a"(value) : "d"(port));
    }
    *v = value;
    return last_trap.vector;
}

static void check_reads(void)
{
    uint32_t v;

    for (unsigned int port = 0; port < 0x10000; port += port < 0x1000 ? 1 : 61)
        if (!is_odd(port) && in(1, port, &v) != NO_TRAP)
            expect_failed("inb %#x: vector %ld", port, last_trap.vector);
    for (unsigned int port = 0; port < 0x400; port++)
        for (unsigned int width = 2; width <= 4; width += 2)
            if (!is_odd(port) && !is_odd(port + 1) && !is_odd(port + 2) && !is_odd(port + 3) &&
                in(width, port, &v) != NO_TRAP)
                expect_failed("in %#x, width %u: vector %ld", port, width, last_trap.vector);
    /* Beyond the last port, an access of the processor is #GP or ones; ours must not wrap. */
    expect(in(4, 0xffff, &v) == VEC_GP || v == 0xffffffff);
    expect_eq(in(1, 0x20, &v), NO_TRAP);
    expect_eq(v & 0xff, 0xff);
    expect_eq(in(2, 0x20, &v), NO_TRAP);
    expect_eq(v & 0xffff, 0xffff);
    expect_eq(in(4, 0x3f8, &v), NO_TRAP); /* the console's UART */
    expect_eq(v, 0xffffffff);
}

static void check_writes(void)
{
    static const uint16_t ports[] = {0x1e,  0x1f,  0x20,  0x21,  0x3e,  0x3f, 0x40,
                                     0x41,  0x43,  0x9e,  0x9f,  0xa0,  0xa1, 0x3f5,
                                     0x3f6, 0x3f7, 0x3f8, 0x3f9, 0x3fb, 0x3fc};
    static uint32_t zeros[4];

    for (unsigned int i = 0; i < sizeof(ports) / sizeof(*ports); i++) {
        const void *from = zeros;
        unsigned long n = 4;

        if (ports[i] >= 0x3f8 || (ports[i] >= 0x20 && ports[i] != 0x3e && ports[i] != 0x9e &&
                                  ports[i] != 0x3f5 && ports[i] != 0x3f6))
            asm volatile("outb %%al, %%dx" ::"a"(0), "d"(ports[i]));
        asm volatile("outw %%ax, %%dx" ::"a"(0), "d"(ports[i]));
        asm volatile("outl %%eax, %%dx" ::"a"(0), "d"(ports[i]));
        asm volatile("rep outsl" : "+S"(from), "+c"(n) : "d"(ports[i]));
    }
}

static void check_denied(void)
{
    struct physdev_set_iopl iopl = {.iopl = 0};
    struct physdev_set_iobitmap bitmap = {.nr_ports = 65536};
    uint8_t *all = page_alloc(); /* two pages of zeros: all ports */
    struct regs regs;
    uint32_t v;

    page_alloc();
    need_eq(hc_physdev_op(PHYSDEVOP_set_iopl, &iopl), 0);
    for (unsigned int port = 0; port < 0x10000; port += 257)
        if (in(1, port, &v) != VEC_GP)
            expect_failed("inb %#x at IOPL 0: vector %ld", port, last_trap.vector);
    user_regs(&regs);
    regs.rdx = 0x80;
    user_run(&regs);
    expect_eq(regs.vector, VEC_GP);
    set_xen_guest_handle(bitmap.bitmap, all);
    need_eq(hc_physdev_op(PHYSDEVOP_set_iobitmap, &bitmap), 0);
    user_regs(&regs);
    regs.rdx = 0x80;
    user_run(&regs);
    expect_eq(regs.vector, VEC_UD);
    user_regs(&regs);
    regs.rdx = 0x20; /* the bitmap does not give what we have not */
    user_run(&regs);
    expect_eq(regs.vector, VEC_UD);
    expect_eq(regs.rax & 0xff, 0xff);
    user_regs(&regs);
    regs.rip += u_out - user_begin;
    regs.rdx = 0x3f8;
    regs.rax = '#';
    user_run(&regs);
    expect_eq(regs.vector, VEC_UD);
    bitmap.nr_ports = 65537;
    expect_eq(hc_physdev_op(PHYSDEVOP_set_iobitmap, &bitmap), -XEN_EINVAL);
    bitmap.nr_ports = 0;
    expect_eq(hc_physdev_op(PHYSDEVOP_set_iobitmap, &bitmap), 0);
    user_regs(&regs);
    regs.rdx = 0x80;
    user_run(&regs);
    expect_eq(regs.vector, VEC_GP);
}

void test_main(void)
{
    struct physdev_set_iopl iopl = {.iopl = 1};

    user_init(user_begin, user_end);
    need_eq(hc_physdev_op(PHYSDEVOP_set_iopl, &iopl), 0);
    check_reads();
    check_writes();
    expect_timer();
    check_denied();
    test_pass();
}
