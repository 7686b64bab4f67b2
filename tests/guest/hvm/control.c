/* SPDX-License-Identifier: MIT */
/* Control registers and EFER answer as a processor's do: what is reserved or impossible is #GP and
 * changes nothing, what is allowed is read back.
 *
 * Cause: each write leaves the guest, and is done by the hypervisor. NW without CD, which is #GP on
 * a processor and on Argon (tests/unit/hvm_control.c), ends the guest on Xen 4.17: VMRUN refuses
 * it. */
#include "hvm/lib/hvm.h"

#define CR0_CD    (1ul << 30)
#define CR0_PG    (1ul << 31)
#define CR0_PE    1ul
#define CR0_TS    8ul
#define CR4_PAE   0x20ul
#define CR4_PGE   0x80ul
#define CR4_VMXE  0x2000ul
#define MSR_EFER  0xc0000080u
#define EFER_SCE  1ul
#define EFER_LME  0x100ul
#define EFER_SVME 0x1000ul

void test_main(void)
{
    uint64_t cr0 = read_cr0(), cr4 = read_cr4(), efer, val;

    expect_eq(write_cr0(cr0 | CR0_TS), NO_TRAP);
    expect_eq(read_cr0(), cr0 | CR0_TS);
    asm volatile("clts");
    expect_eq(read_cr0(), cr0);
    expect_eq(write_cr0(cr0 & ~CR0_PE), VEC_GP);
    expect_eq(write_cr0(cr0 & ~CR0_PG), VEC_GP); /* in 64-bit mode */
    expect_eq(write_cr0(cr0 | 1ul << 32), VEC_GP);
    expect_eq(read_cr0(), cr0);
    expect_eq(write_cr0(cr0 | CR0_CD), NO_TRAP);
    expect_eq(read_cr0(), cr0 | CR0_CD);
    expect_eq(write_cr0(cr0), NO_TRAP);

    expect_eq(write_cr4(cr4 ^ CR4_PGE), NO_TRAP);
    expect_eq(read_cr4(), cr4 ^ CR4_PGE);
    expect_eq(write_cr4(cr4), NO_TRAP);
    expect_eq(write_cr4(cr4 & ~CR4_PAE), VEC_GP);
    expect_eq(write_cr4(cr4 | CR4_VMXE), VEC_GP);
    expect_eq(write_cr4(cr4 | 1ul << 40), VEC_GP);
    expect_eq(read_cr4(), cr4);

    need_eq(read_msr(MSR_EFER, &efer), NO_TRAP);
    expect(!(efer & EFER_SVME));
    expect_eq(write_msr(MSR_EFER, efer & ~EFER_LME), VEC_GP);
    expect_eq(write_msr(MSR_EFER, efer | 1ul << 60), VEC_GP);
    expect_eq(write_msr(MSR_EFER, efer ^ EFER_SCE), NO_TRAP);
    expect_eq(read_msr(MSR_EFER, &val), NO_TRAP);
    expect_eq(val, efer ^ EFER_SCE);
    expect_eq(write_msr(MSR_EFER, efer), NO_TRAP);
    test_pass();
}
