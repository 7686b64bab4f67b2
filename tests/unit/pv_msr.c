/* SPDX-License-Identifier: MIT */
/* pv/msr.c, besides what pv_trap.c has: every rule's readers and writers under both vendors, with
 * and without the feature that each belongs to. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>

#include "pv_fixture.h"

static int setup(void **state)
{
    int rc = fx_setup(state);

    cpu_efer = EFER_SCE | EFER_LME | EFER_LMA | EFER_NX;
    return rc;
}

static void allow(unsigned feature, bool on)
{
    uint32_t words[FEATURE_WORDS];

    cpu_policy_featureset(fx_domain->pv->policy, words);
    words[feature / 32] &= ~(1u << feature % 32);
    if (on)
        words[feature / 32] |= 1u << feature % 32;
    cpu_policy_set_featureset(fx_domain->pv->policy, words);
}

#define WRITE(index, val) pv_wrmsr(fx_vcpu, (index), (val))

static uint64_t value(uint32_t index)
{
    uint64_t val = 0x5a5a;

    assert_int_equal(pv_rdmsr(fx_vcpu, index, &val), 0);
    return val;
}

static bool refused(uint32_t index)
{
    uint64_t val;
    int rc = pv_rdmsr(fx_vcpu, index, &val);

    assert_true(rc == 0 || rc == -EPERM);
    return rc;
}

static void spec_ctrl(void **state)
{
    allow(X86_FEATURE_IBRSB, false);
    assert_int_equal(WRITE(MSR_SPEC_CTRL, 1), -EPERM);
    assert_true(refused(MSR_SPEC_CTRL));
    allow(X86_FEATURE_IBRSB, true);
    allow(X86_FEATURE_SSBD, false);
    allow(X86_FEATURE_INTEL_PSFD, false);
    host_msr_set(MSR_SPEC_CTRL, 0);
    assert_int_equal(WRITE(MSR_SPEC_CTRL, 3), 0);
    assert_int_equal(value(MSR_SPEC_CTRL), 3);
    for (unsigned bit = 2; bit < 64; bit++)
        assert_int_equal(WRITE(MSR_SPEC_CTRL, 1ul << bit), -EPERM);
    allow(X86_FEATURE_SSBD, true);
    assert_int_equal(WRITE(MSR_SPEC_CTRL, 4), 0);
    assert_int_equal(WRITE(MSR_SPEC_CTRL, 0x80), -EPERM);
    assert_int_equal(value(MSR_SPEC_CTRL), 4);
}

static void pred_cmd(void **state)
{
    allow(X86_FEATURE_IBRSB, false);
    allow(X86_FEATURE_IBPB, false);
    assert_int_equal(WRITE(MSR_PRED_CMD, 1), -EPERM);
    allow(X86_FEATURE_IBPB, true);
    host_msr_set(MSR_PRED_CMD, 0x77);
    assert_int_equal(WRITE(MSR_PRED_CMD, 0), 0);
    assert_int_equal(rdmsr(MSR_PRED_CMD), 0x77); /* nothing asked, nothing done */
    assert_int_equal(WRITE(MSR_PRED_CMD, 1), 0);
    assert_int_equal(rdmsr(MSR_PRED_CMD), 1);
    assert_int_equal(WRITE(MSR_PRED_CMD, 2), -EPERM);
    assert_true(refused(MSR_PRED_CMD)); /* write only */
}

static void tsc_aux(void **state)
{
    allow(X86_FEATURE_RDTSCP, false);
    assert_int_equal(WRITE(MSR_TSC_AUX, 1), -EPERM);
    assert_true(refused(MSR_TSC_AUX));
    allow(X86_FEATURE_RDTSCP, true);
    host_msr_set(MSR_TSC_AUX, 0);
    assert_int_equal(WRITE(MSR_TSC_AUX, 0xffffffff), 0);
    assert_int_equal(value(MSR_TSC_AUX), 0xffffffff);
    assert_int_equal(WRITE(MSR_TSC_AUX, 1ul << 32), -EPERM);
    assert_int_equal(value(MSR_TSC_AUX), 0xffffffff);
}

static void cpuid_faulting(void **state)
{
    fx_domain->pv->policy->platform_info = 0;
    assert_int_equal(WRITE(MSR_MISC_FEATURES, 0), -EPERM);
    assert_true(refused(MSR_MISC_FEATURES));
    fx_domain->pv->policy->platform_info = PLATFORM_INFO_CPUID_FAULTING;
    assert_int_equal(WRITE(MSR_MISC_FEATURES, 1), 0);
    assert_int_equal(value(MSR_MISC_FEATURES), 1);
    assert_int_equal(WRITE(MSR_MISC_FEATURES, 2), -EPERM);
    cpu_vendor = CPU_INTEL;
    assert_int_equal(value(MSR_PLATFORM_INFO), PLATFORM_INFO_CPUID_FAULTING);
    assert_int_equal(WRITE(MSR_PLATFORM_INFO, 0), -EPERM);
    cpu_vendor = CPU_AMD;
    assert_true(refused(MSR_PLATFORM_INFO));
}

static void arch_capabilities(void **state)
{
    allow(X86_FEATURE_ARCH_CAPS, false);
    assert_true(refused(MSR_ARCH_CAPABILITIES));
    allow(X86_FEATURE_ARCH_CAPS, true);
    fx_domain->pv->policy->arch_caps = 0x123;
    assert_int_equal(value(MSR_ARCH_CAPABILITIES), 0x123);
    assert_int_equal(WRITE(MSR_ARCH_CAPABILITIES, 0x123), -EPERM);
}

static void only_amd_has(void **state)
{
    static const uint32_t msrs[] = {MSR_NB_CFG, MSR_MMIO_CONF, MSR_PSTATE_LIMIT, MSR_PSTATE_DEF7};

    for (unsigned i = 0; i < ARRAY_SIZE(msrs); i++) {
        host_msr_set(msrs[i], 0x77);
        cpu_vendor = CPU_AMD;
        assert_int_equal(value(msrs[i]), 0);
        assert_int_equal(WRITE(msrs[i], 5), 0);
        assert_int_equal(rdmsr(msrs[i]), 0x77);
        cpu_vendor = CPU_INTEL;
        assert_true(refused(msrs[i]));
        assert_int_equal(WRITE(msrs[i], 5), -EPERM);
    }
    host_msr_set(MSR_HWCR, 0x99);
    assert_true(refused(MSR_HWCR));
    cpu_vendor = CPU_AMD;
    assert_int_equal(value(MSR_HWCR), 0x99);
    host_msr_remove(MSR_HWCR);
    assert_true(refused(MSR_HWCR)); /* the processor has none */
}

static void misc_enable(void **state)
{
    host_msr_remove(MSR_MISC_ENABLE);
    assert_true(refused(MSR_MISC_ENABLE));
    host_msr_set(MSR_MISC_ENABLE, ~0ul);
    assert_false(value(MSR_MISC_ENABLE) & (1ul << 7 | 1ul << 18));
    host_msr_set(MSR_MISC_ENABLE, 1);
    assert_int_equal(value(MSR_MISC_ENABLE), 1 | 3ul << 11);
    assert_int_equal(WRITE(MSR_MISC_ENABLE, ~0ul), 0);
    assert_int_equal(rdmsr(MSR_MISC_ENABLE), 1); /* ignored */
}

static void address_masks(void **state)
{
    static const uint32_t msrs[] = {MSR_DR0_MASK, MSR_DR1_MASK, MSR_DR1_MASK + 1, MSR_DR1_MASK + 2};

    allow(X86_FEATURE_DBEXT, false);
    assert_int_equal(WRITE(MSR_DR0_MASK, 0), -EPERM);
    assert_true(refused(MSR_DR0_MASK));
    allow(X86_FEATURE_DBEXT, true);
    for (unsigned i = 0; i < 4; i++)
        assert_int_equal(WRITE(msrs[i], 0xff0 + i), 0);
    for (unsigned i = 0; i < 4; i++)
        assert_int_equal(value(msrs[i]), 0xff0 + i);
    assert_int_equal(WRITE(MSR_DR0_MASK, 1ul << 32), -EPERM);
    assert_true(refused(MSR_DR1_MASK - 1));
    assert_true(refused(MSR_DR1_MASK + 3));
}

static void boot_processor(void **state)
{
    assert_int_equal(value(MSR_APIC_BASE), 0xfee00900);
    fx_vcpu->id = 1;
    assert_int_equal(value(MSR_APIC_BASE), 0xfee00800);
    fx_vcpu->id = 0;
    assert_int_equal(WRITE(MSR_APIC_BASE, 0xfee00900), -EPERM);
}

static void time_stamp(void **state)
{
    struct vcpu_time_info *t = &fx_vcpu->info->time;

    host_tsc_step = 0;
    domain_tsc_set(fx_domain, true, 0, 0);
    host_tsc += 5000;
    assert_int_equal(value(MSR_TSC), 5000); /* ns */
    /* It goes on where it was, at its own speed, and the clock page says the same. */
    domain_tsc_set(fx_domain, true, 2500000, 1000000000);
    host_tsc += 1000;
    vcpu_time_update(fx_vcpu);
    assert_int_equal(value(MSR_TSC), 2500002500ull);
    assert_int_equal(t->tsc_timestamp, 2500002500ull);
    assert_int_equal(t->system_time, time_now());
    assert_int_equal(((2500ull << 8) >> (8 - t->tsc_shift)) * t->tsc_to_system_mul >> 32, 999);
    domain_tsc_set(fx_domain, false, 2500000, 0);
    vcpu_time_update(fx_vcpu);
    assert_int_equal(t->tsc_to_system_mul, time_scale.mul);
    assert_int_equal(t->tsc_timestamp, host_tsc);
    assert_int_equal(value(MSR_TSC), host_tsc);
    assert_int_equal(WRITE(MSR_TSC, 0), -EPERM);
}

/* No write to a number that is not the guest's changes the processor. */
static void nothing_else_is_written(void **state)
{
    static const uint32_t msrs[] = {
        MSR_LSTAR,     MSR_STAR,    MSR_EFER, MSR_PAT, MSR_APIC_BASE, MSR_DEBUGCTL,
        MSR_UCODE_REV, MSR_MTRRCAP, 0x174,    0x175,   0x176,
    };

    for (unsigned i = 0; i < ARRAY_SIZE(msrs); i++) {
        host_msr_set(msrs[i], 0x1234567);
        for (unsigned bit = 0; bit < 64; bit++)
            assert_true(WRITE(msrs[i], 1ul << bit) <= 0);
        assert_int_equal(rdmsr(msrs[i]), 0x1234567);
    }
}

#define TEST(f) cmocka_unit_test_setup(f, setup)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(spec_ctrl),
        TEST(pred_cmd),
        TEST(tsc_aux),
        TEST(cpuid_faulting),
        TEST(arch_capabilities),
        TEST(only_amd_has),
        TEST(misc_enable),
        TEST(address_masks),
        TEST(boot_processor),
        TEST(time_stamp),
        TEST(nothing_else_is_written),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
