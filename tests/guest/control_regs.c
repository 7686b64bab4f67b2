/* SPDX-License-Identifier: MIT */
/* Control registers, clts, cli and sti, as a PV kernel executes them at CPL 3.
 *
 * Cause: kernels still use the instructions in places; the hypervisor emulates them from #GP.
 * Steps: read and write CR0, CR2, CR3, CR4; change bits that are not the guest's; cli and sti
 * at both virtual I/O privilege levels; the same from user mode is tested elsewhere.
 * Verdict: the guest's own view comes back; CR0 changes beyond TS are #GP; foreign CR4 bits do
 * not stick. */
#include "lib/guest.h"

#define READ_CR(n)                                                    \
    ({                                                                \
        uint64_t v_ = 0;                                              \
        trap_forget();                                                \
        asm volatile(TRY("mov %%cr" #n ", %0") : "+r"(v_)::"memory"); \
        v_;                                                           \
    })
#define WRITE_CR(n, val)                                                       \
    ({                                                                         \
        trap_forget();                                                         \
        asm volatile(TRY("mov %0, %%cr" #n)::"r"((uint64_t)(val)) : "memory"); \
        last_trap.vector;                                                      \
    })

#define CR0_TS 8ul

static void check_cr0(void)
{
    uint64_t cr0 = READ_CR(0);

    expect_eq(last_trap.vector, NO_TRAP);
    expect_eq(cr0 & 0x80010001, 0x80010001); /* PG WP PE */
    expect_eq(WRITE_CR(0, cr0 | CR0_TS), NO_TRAP);
    expect_eq(READ_CR(0) & CR0_TS, CR0_TS);
    expect_eq(try_insn("fnop"), VEC_NM);
    expect_eq(WRITE_CR(0, cr0 | CR0_TS), NO_TRAP);
    expect_eq(try_insn("clts"), NO_TRAP);
    expect_eq(READ_CR(0) & CR0_TS, 0);
    expect_eq(try_insn("fnop"), NO_TRAP);
    expect_eq(WRITE_CR(0, cr0 ^ 0x80000000), VEC_GP);
    expect_eq(WRITE_CR(0, cr0 ^ 0x10000), VEC_GP);
    expect_eq(WRITE_CR(0, 0), VEC_GP);
    expect_eq(READ_CR(0) & ~CR0_TS, cr0 & ~CR0_TS);
}

static void check_cr2(void)
{
    void *hole = hole_alloc();

    expect_eq(try_read(hole, NULL), VEC_PF);
    expect_eq(READ_CR(2), UL(hole));
    expect_eq(WRITE_CR(2, 0x5678), NO_TRAP);
    expect_eq(vcpu_info->arch.cr2, 0x5678);
    expect_eq(READ_CR(2), 0x5678);
}

static void check_cr3(void)
{
    uint64_t cr3 = READ_CR(3);
    unsigned long plain = virt_to_mfn(page_alloc());

    expect_eq(last_trap.vector, NO_TRAP);
    expect_eq(cr3 >> PAGE_SHIFT, virt_to_mfn(kernel_l4()));
    expect_eq(WRITE_CR(3, cr3), NO_TRAP);
    expect_eq(WRITE_CR(3, plain << PAGE_SHIFT), VEC_GP);
    expect_eq(READ_CR(3), cr3);
}

static void check_cr4(void)
{
    uint64_t cr4 = READ_CR(4), now;

    expect_eq(last_trap.vector, NO_TRAP);
    expect_eq(cr4 & (1ul << 5), 1ul << 5); /* PAE */
    expect_eq(WRITE_CR(4, cr4 ^ 1ul << 5), NO_TRAP);
    expect_eq(READ_CR(4), cr4);
    expect_eq(WRITE_CR(4, cr4 | 1ul << 2), NO_TRAP); /* TSD: rdtsc is then emulated */
    now = READ_CR(4);
    expect_eq(now, cr4 | 1ul << 2);
    expect_eq(try_insn("push %%rax; push %%rdx; rdtsc; pop %%rdx; pop %%rax"), NO_TRAP);
    expect_eq(WRITE_CR(4, cr4), NO_TRAP);
    expect_eq(WRITE_CR(4, cr4 | 1ul << 3), NO_TRAP); /* DE */
    expect_eq(READ_CR(4), cr4 | 1ul << 3);
    expect_eq(WRITE_CR(4, cr4), NO_TRAP);
    expect_eq(WRITE_CR(4, cr4 ^ 1ul << 20), NO_TRAP); /* SMEP */
    expect_eq(READ_CR(4), cr4);
}

static void check_interrupt_flag(void)
{
    struct physdev_set_iopl iopl = {.iopl = 0};

    expect_eq(hc_physdev_op(PHYSDEVOP_set_iopl, &iopl), 0);
    expect_eq(try_insn("cli"), VEC_GP);
    expect_eq(try_insn("sti"), VEC_GP);
    iopl.iopl = 1;
    expect_eq(hc_physdev_op(PHYSDEVOP_set_iopl, &iopl), 0);
    expect_eq(try_insn("cli"), NO_TRAP);
    expect_eq(try_insn("sti"), NO_TRAP);
    iopl.iopl = 4;
    expect_eq(hc_physdev_op(PHYSDEVOP_set_iopl, &iopl), -XEN_EINVAL);
}

void test_main(void)
{
    check_cr0();
    check_cr2();
    check_cr3();
    check_cr4();
    check_interrupt_flag();
    expect(READ_CR(8) == 0 || last_trap.vector == VEC_GP || last_trap.vector == VEC_UD);
    test_pass();
}
