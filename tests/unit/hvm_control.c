/* SPDX-License-Identifier: MIT */
/* hvm/control.c: which writes of control registers are #GP, and what the others leave. AMD APM
 * vol. 2, 3.1 and 14.6. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "hvm_fixture.h"

/* As a PVH guest starts. */
static int protected_mode(void **state)
{
    if (fx_setup(state))
        return -1;
    hvm_vcpu_start_pvh(fx_v, 0x100000, 0x5000);
    return 0;
}

static void to_long_mode(void)
{
    assert_int_equal(hvm_write_cr4(fx_v, CR4_PAE), 0);
    assert_int_equal(hvm_write_efer(fx_v, EFER_LME), 0);
    assert_int_equal(hvm_write_cr0(fx_v, CR0_PE | CR0_PG), 0);
}

static void test_start(void **state)
{
    assert_int_equal(fx_v->regs.rip, 0x100000);
    assert_int_equal(fx_v->regs.rbx, 0x5000);
    assert_int_equal(fx_v->regs.rflags, RFLAGS_MBS);
    assert_int_equal(fx_v->hvm->cr0, CR0_PE | CR0_ET);
    assert_int_equal(hvm_code_bits(fx_v), 32);
    assert_int_equal(fx_hw.seg[EMUL_SEG_CS].attr, 0xc9b);
    assert_int_equal(fx_hw.seg[HVM_SEG_TR].limit, 0x67);
}

static void test_cr0(void **state)
{
    assert_int_equal(hvm_write_cr0(fx_v, CR0_PG), -EPERM);
    assert_int_equal(hvm_write_cr0(fx_v, CR0_PE | CR0_NW), -EPERM);
    assert_int_equal(hvm_write_cr0(fx_v, CR0_PE | 1ull << 32), -EPERM);
    assert_int_equal(fx_v->hvm->cr0, CR0_PE | CR0_ET);
    assert_int_equal(hvm_write_cr0(fx_v, CR0_PE | CR0_NW | CR0_CD), 0);
    assert_int_equal(fx_v->hvm->cr0, CR0_PE | CR0_ET | CR0_NW | CR0_CD);
    assert_int_equal(hvm_write_cr0(fx_v, 0), 0);
    assert_int_equal(hvm_code_bits(fx_v), 16);
}

static void test_into_long_mode_and_out(void **state)
{
    assert_int_equal(hvm_write_efer(fx_v, EFER_LME), 0);
    assert_int_equal(hvm_write_cr0(fx_v, CR0_PE | CR0_PG), -EPERM); /* without PAE */
    assert_int_equal(fx_v->hvm->efer, EFER_LME);
    to_long_mode();
    assert_int_equal(fx_v->hvm->efer, EFER_LME | EFER_LMA);
    assert_int_equal(hvm_code_bits(fx_v), 32); /* compatibility mode */
    assert_int_equal(hvm_write_cr4(fx_v, 0), -EPERM);
    assert_int_equal(hvm_write_efer(fx_v, 0), -EPERM);
    fx_hw.seg[EMUL_SEG_CS].attr |= EMUL_SEG_ATTR_L;
    assert_int_equal(hvm_code_bits(fx_v), 64);
    assert_int_equal(hvm_write_cr0(fx_v, CR0_PE), -EPERM);
    fx_hw.seg[EMUL_SEG_CS].attr &= (uint16_t)~EMUL_SEG_ATTR_L;
    assert_int_equal(hvm_write_cr0(fx_v, CR0_PE), 0);
    assert_int_equal(fx_v->hvm->efer, EFER_LME);
}

static void test_cr4_follows_the_policy(void **state)
{
    assert_int_equal(hvm_write_cr4(fx_v, CR4_SMEP), -EPERM);
    assert_int_equal(hvm_write_cr4(fx_v, CR4_VMXE), -EPERM);
    fx_d->hvm_domain->policy->feat[0].b |= 1u << (X86_FEATURE_SMEP % 32);
    assert_int_equal(hvm_write_cr4(fx_v, CR4_SMEP | CR4_PAE), 0);
    assert_int_equal(fx_v->hvm->cr4, CR4_SMEP | CR4_PAE);
}

static void test_pcide(void **state)
{
    fx_d->hvm_domain->policy->basic[1].c |= 1u << (X86_FEATURE_PCID % 32);
    assert_int_equal(hvm_write_cr4(fx_v, CR4_PAE | CR4_PCIDE), -EPERM); /* not in long mode */
    to_long_mode();
    fx_hw.cr[3] = 5;
    assert_int_equal(hvm_write_cr4(fx_v, CR4_PAE | CR4_PCIDE), -EPERM);
    fx_hw.cr[3] = 0x5000;
    assert_int_equal(hvm_write_cr4(fx_v, CR4_PAE | CR4_PCIDE), 0);
}

static void test_efer(void **state)
{
    assert_int_equal(hvm_write_efer(fx_v, EFER_SVME), -EPERM);
    assert_int_equal(hvm_write_efer(fx_v, 1ull << 40), -EPERM);
    assert_int_equal(hvm_write_efer(fx_v, EFER_SCE | EFER_NX | EFER_LMA), 0);
    assert_int_equal(fx_v->hvm->efer, EFER_SCE | EFER_NX); /* LMA is the processor's */
}

static void test_cr3(void **state)
{
    unsigned updates = fx_hw.updates;

    assert_int_equal(hvm_write_cr3(fx_v, 0x7000), 0);
    assert_int_equal(fx_hw.cr[3], 0x7000);
    assert_true(fx_hw.updates > updates); /* translations go */
    to_long_mode();
    assert_int_equal(hvm_write_cr3(fx_v, 1ull << 60), -EPERM);
    assert_int_equal(fx_hw.cr[3], 0x7000);
}

#define T(f) cmocka_unit_test_setup_teardown(f, protected_mode, fx_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_start),
        T(test_cr0),
        T(test_into_long_mode_and_out),
        T(test_cr4_follows_the_policy),
        T(test_pcide),
        T(test_efer),
        T(test_cr3),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
