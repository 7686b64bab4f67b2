/* SPDX-License-Identifier: MIT */
/* cpu/policy.c, policy_leaves.c, features.c: policies made from a processor of our invention, the
 * answer to CPUID, the serialised form, limits, and the option. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include <xen/xen.h>

#include "base/param.h"
#include "cpu/cpu.h"
#include "cpu/policy.h"
#include "cpu/xstate.h"
#include "lib/errno.h"
#include "lib/util.h"
#include "machine.h"

static void leaf(uint32_t l, uint32_t s, uint32_t a, uint32_t b, uint32_t c, uint32_t d)
{
    host_cpuid_set(l, s, (struct cpuid_leaf){a, b, c, d});
}

/* A processor that says it has everything. */
static int setup(void **state)
{
    host_machine_init(16 << 20, 1);
    leaf(0, 0, 0x16, 0x756e6547, 0x6c65746e, 0x49656e69);
    leaf(1, 0, 0x000506e3, 0x12100800, 0xffffffff, 0xffffffff);
    leaf(4, 0, 0x1c004121, 0x01c0003f, 0x3f, 0);
    leaf(4, 1, 0, 0, 0, 0);
    leaf(5, 0, 0x40, 0x40, 3, 0x11);
    leaf(7, 0, 5, 0xffffffff, 0xffffffff, 0xffffffff);
    leaf(7, 1, 0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff);
    leaf(7, 2, 0, 0, 0, 0xffffffff);
    leaf(0xa, 0, 0x07300404, 0, 0, 0x603);
    leaf(0xb, 0, 1, 2, 0x100, 0x12);
    leaf(0xb, 1, 4, 8, 0x201, 0x12);
    leaf(0xd, 0, 0x2ff, 0xa88, 0xa88, 0);
    leaf(0xd, 1, 0xf, 0xa88, 0x100, 0);
    leaf(0xd, 2, 0x100, 0x240, 0, 0);
    leaf(0xd, 3, 0x40, 0x3c0, 0, 0);
    leaf(0xd, 4, 0x40, 0x400, 0, 0);
    leaf(0xd, 5, 0x40, 0x440, 0, 0);
    leaf(0xd, 6, 0x200, 0x480, 0, 0);
    leaf(0xd, 7, 0x400, 0x680, 0, 0);
    leaf(0xd, 8, 0x80, 0, 1, 0);
    leaf(0xd, 9, 8, 0xa80, 0, 0);
    leaf(0x80000000, 0, 0x80000021, 0, 0, 0);
    leaf(0x80000001, 0, 0, 0, 0xffffffff, 0xffffffff);
    leaf(0x80000007, 0, 0, 0, 0, 0xffffffff);
    leaf(0x80000008, 0, 0x302e, 0xffffffff, 0, 0);
    leaf(0x80000021, 0, 0xffffffff, 0, 0xffffffff, 0);
    host_msr_set(MSR_ARCH_CAPABILITIES, 0xfffffffful);
    host_msr_set(MSR_PLATFORM_INFO, 1ul << 31 | 0x1234);
    cpu_detect();
    return 0;
}

static void widths_and_vendor(void **state)
{
    assert_int_equal(cpu_vendor, CPU_INTEL);
    assert_int_equal(cpu_paddr_bits, 46);
    assert_int_equal(cpu_pte_reserved, 0x000fc00000000000);
    assert_int_equal(policy_raw.family, 6);
    assert_int_equal(policy_raw.model, 0x5e);
    assert_true(cpu_has(X86_FEATURE_SMAP));
}

static void pv_never_has(void **state)
{
    static const unsigned hidden[] = {
        X86_FEATURE_VME,        X86_FEATURE_PSE,          X86_FEATURE_PSE36,
        X86_FEATURE_PGE,        X86_FEATURE_MTRR,         X86_FEATURE_X2APIC,
        X86_FEATURE_TSC_ADJUST, X86_FEATURE_PCID,         X86_FEATURE_SMEP,
        X86_FEATURE_SMAP,       X86_FEATURE_UMIP,         X86_FEATURE_PKU,
        X86_FEATURE_XSAVES,     X86_FEATURE_TSC_DEADLINE, X86_FEATURE_VMX,
        X86_FEATURE_SVM,        X86_FEATURE_CET_SS,       X86_FEATURE_CET_IBT,
        X86_FEATURE_PAGE1GB,    X86_FEATURE_INVPCID,      X86_FEATURE_MPX,
        X86_FEATURE_MONITOR,    X86_FEATURE_CR8_LEGACY,   X86_FEATURE_IBRS,
        X86_FEATURE_AMD_STIBP,
    };

    for (unsigned i = 0; i < ARRAY_SIZE(hidden); i++) {
        if (cpu_policy_has(&policy_pv_max, hidden[i]))
            fail_msg("feature %u", hidden[i]);
        assert_false(cpu_policy_has(&policy_pv_default, hidden[i]));
    }
    /* Bit 16 of leaf 7 ECX is LA57, which has no name in 4.17: unknown bits are never passed. */
    assert_false(policy_pv_max.feat[0].c >> 16 & 1);
    assert_false(policy_pv_max.feat[1].d & ~(1u << 18));
}

static void pv_has(void **state)
{
    static const unsigned visible[] = {
        X86_FEATURE_MCE,    X86_FEATURE_APIC,  X86_FEATURE_PAT,        X86_FEATURE_NX,
        X86_FEATURE_RDTSCP, X86_FEATURE_XSAVE, X86_FEATURE_FSGSBASE,   X86_FEATURE_XSAVEOPT,
        X86_FEATURE_AVX2,   X86_FEATURE_IBRSB, X86_FEATURE_STIBP,      X86_FEATURE_SSBD,
        X86_FEATURE_XSAVEC, X86_FEATURE_AVX,   X86_FEATURE_HYPERVISOR, X86_FEATURE_SYSCALL,
        X86_FEATURE_LM,
    };

    for (unsigned i = 0; i < ARRAY_SIZE(visible); i++)
        if (!cpu_policy_has(&policy_pv_default, visible[i]))
            fail_msg("feature %u", visible[i]);
    assert_true(cpu_policy_has(&policy_pv_max, X86_FEATURE_ITSC));
    assert_false(cpu_policy_has(&policy_pv_default, X86_FEATURE_ITSC));
    assert_int_equal(policy_pv_max.max_basic, 0xd);
    assert_int_equal(policy_pv_max.basic[0xa].a, 0);
}

static struct cpuid_leaf ask(uint32_t l, uint32_t s, const struct cpuid_dynamic *dyn)
{
    return cpu_policy_cpuid(&policy_pv_default, l, s, dyn);
}

static void dynamic_parts(void **state)
{
    struct cpuid_dynamic dyn = {.apic_id = 6, .xcr0 = 3};
    struct cpuid_leaf r = ask(1, 0, &dyn);

    assert_int_equal(r.b >> 24, 6);
    assert_int_equal(r.b & 0xffffff, 0x100800);
    assert_false(r.c & 1u << 27);
    dyn.osxsave = true;
    assert_true(ask(1, 0, &dyn).c & 1u << 27);
    assert_int_equal(ask(0xb, 1, &dyn).d, 6);
    assert_int_equal(ask(0xb, 7, &dyn).c, 7);
    assert_int_equal(ask(0xd, 0, &dyn).b, 576);
    dyn.xcr0 = 7;
    assert_int_equal(ask(0xd, 0, &dyn).b, 832);
    dyn.xcr0 = 0xe7;
    assert_int_equal(ask(0xd, 0, &dyn).b, 0xa80);
    assert_int_equal(ask(0xd, 1, &dyn).b, 576 + 0x100 + 0x40 + 0x200 + 0x400);
}

static void xstate_is_what_argon_switches(void **state)
{
    struct cpuid_dynamic dyn = {.xcr0 = 3};
    struct cpuid_leaf r = ask(0xd, 0, &dyn);

    assert_int_equal(xstate_mask, 0xe7); /* no MPX, no PKRU */
    assert_int_equal(r.a, 0xe7);
    assert_int_equal(r.c, 0xa80);
    assert_int_equal(ask(0xd, 9, &dyn).a, 0);
    assert_int_equal(ask(0xd, 8, &dyn).a, 0);
    assert_int_equal(ask(0xd, 63, &dyn).a, 0);
    assert_int_equal(ask(0xd, ~0u, &dyn).a, 0);
}

static void beyond_the_limits_are_zeros(void **state)
{
    const struct cpuid_dynamic dyn = {0};
    static const uint32_t leaves[] = {0xe,        0x14,       0x3fffffff, 0x40000000,
                                      0x7fffffff, 0x80000022, 0xffffffff};

    for (unsigned i = 0; i < ARRAY_SIZE(leaves); i++) {
        struct cpuid_leaf r = ask(leaves[i], 0, &dyn);

        assert_int_equal(r.a | r.b | r.c | r.d, 0);
    }
    assert_int_equal(ask(4, 6, &dyn).a, 0);
    assert_int_equal(ask(7, 3, &dyn).a, 0);
    assert_int_equal(ask(7, ~0u, &dyn).d, 0);
}

static void dependencies(void **state)
{
    uint32_t words[FEATURE_WORDS];

    memset(words, 0xff, sizeof(words));
    words[X86_FEATURE_XSAVE / 32] &= ~(1u << (X86_FEATURE_XSAVE % 32));
    cpu_features_sanitise(words);
    assert_false(words[1] & 1u << (X86_FEATURE_AVX % 32));
    assert_false(words[5] & 1u << (X86_FEATURE_AVX512F % 32));
    assert_false(words[5] & 1u << (X86_FEATURE_AVX512BW % 32));
    assert_false(words[4] & 1u << (X86_FEATURE_XSAVEC % 32));
    assert_true(words[1] & 1u << (X86_FEATURE_SSE4_2 % 32));
}

/* ---- the serialised form ---- */

struct collected {
    uint32_t leaf[POLICY_LEAVES_MAX], subleaf[POLICY_LEAVES_MAX];
    struct cpuid_leaf l[POLICY_LEAVES_MAX];
    unsigned n, limit;
};

static int collect(void *data, uint32_t l, uint32_t s, const struct cpuid_leaf *v)
{
    struct collected *c = data;

    if (c->n == c->limit)
        return -ENOBUFS;
    c->leaf[c->n] = l;
    c->subleaf[c->n] = s;
    c->l[c->n++] = *v;
    return 0;
}

static void there_and_back(void **state)
{
    static struct collected c;
    static struct cpu_policy copy;

    c = (struct collected){.limit = POLICY_LEAVES_MAX};
    assert_int_equal(cpu_policy_for_each_leaf(&policy_pv_max, collect, &c), 0);
    for (unsigned i = 1; i < c.n; i++)
        assert_true(c.leaf[i] > c.leaf[i - 1] ||
                    (c.leaf[i] == c.leaf[i - 1] && c.subleaf[i] == c.subleaf[i - 1] + 1));
    memset(&copy, 0, sizeof(copy));
    for (unsigned i = 0; i < c.n; i++)
        assert_int_equal(cpu_policy_set_leaf(&copy, c.leaf[i], c.subleaf[i], &c.l[i]), 0);
    copy.arch_caps = policy_pv_max.arch_caps;
    copy.platform_info = policy_pv_max.platform_info;
    copy.family = policy_pv_max.family;
    copy.model = policy_pv_max.model;
    assert_memory_equal(&copy, &policy_pv_max, sizeof(copy));
    c.limit = 3;
    c.n = 0;
    assert_int_equal(cpu_policy_for_each_leaf(&policy_pv_max, collect, &c), -ENOBUFS);
}

static void bad_leaves(void **state)
{
    static struct cpu_policy p;
    struct cpuid_leaf l = {1, 2, 3, 4};

    assert_int_equal(cpu_policy_set_leaf(&p, 0xe, XEN_CPUID_NO_SUBLEAF, &l), -ERANGE);
    assert_int_equal(cpu_policy_set_leaf(&p, 4, POLICY_CACHE, &l), -ERANGE);
    assert_int_equal(cpu_policy_set_leaf(&p, 7, XEN_CPUID_NO_SUBLEAF, &l), -ERANGE);
    assert_int_equal(cpu_policy_set_leaf(&p, 0xd, 63, &l), -ERANGE);
    assert_int_equal(cpu_policy_set_leaf(&p, 1, 0, &l), -ERANGE);
    assert_int_equal(cpu_policy_set_leaf(&p, 0x80000022, XEN_CPUID_NO_SUBLEAF, &l), -ERANGE);
    assert_int_equal(cpu_policy_set_leaf(&p, 0x50000000, XEN_CPUID_NO_SUBLEAF, &l), -ERANGE);
}

static void limits(void **state)
{
    static struct cpu_policy p;
    uint32_t l, s, m;

    p = policy_pv_default;
    assert_int_equal(cpu_policy_compatible(&policy_pv_max, &p, &l, &s, &m), 0);
    p.max_basic = 0x16;
    assert_int_equal(cpu_policy_compatible(&policy_pv_max, &p, &l, &s, &m), -EINVAL);
    assert_int_equal(l, 0);
    p = policy_pv_default;
    p.arch_caps = ~0ull;
    assert_int_equal(cpu_policy_compatible(&policy_pv_max, &p, &l, &s, &m), -EINVAL);
    assert_int_equal(m, MSR_ARCH_CAPABILITIES);
}

/* Whatever tools ask for, a guest gets what there is for guests. */
static void features_within_limits(void **state)
{
    static struct cpu_policy p;
    uint32_t words[FEATURE_WORDS], max_words[FEATURE_WORDS];

    p = policy_pv_default;
    memset(words, 0xff, sizeof(words));
    cpu_policy_set_featureset(&p, words);
    cpu_policy_limit(&p, &policy_pv_max);
    cpu_policy_featureset(&p, words);
    cpu_policy_featureset(&policy_pv_max, max_words);
    assert_memory_equal(words, max_words, sizeof(words));
    words[X86_FEATURE_AVX / 32] &= ~(1u << X86_FEATURE_AVX % 32);
    cpu_policy_set_featureset(&p, words);
    cpu_policy_limit(&p, &policy_pv_max);
    assert_false(cpu_policy_has(&p, X86_FEATURE_AVX2)); /* needs the one taken away */
    assert_true(cpu_policy_has(&p, X86_FEATURE_SSE2));
}

static void option(void **state)
{
    param_parse("cpuid=no-avx2,no-rdrand");
    setup(NULL);
    assert_false(cpu_policy_has(&policy_pv_default, X86_FEATURE_AVX2));
    assert_false(cpu_policy_has(&policy_pv_default, X86_FEATURE_AVX512F));
    assert_false(cpu_policy_has(&policy_pv_max, X86_FEATURE_RDRAND));
    assert_true(cpu_policy_has(&policy_pv_default, X86_FEATURE_AVX));
}

static void option_unknown_is_reported(void **state)
{
    (void)host_log();
    param_parse("cpuid=bogus");
    assert_non_null(strstr(host_log(), "cpuid"));
}

#define TEST(f) cmocka_unit_test_setup(f, setup)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(widths_and_vendor),
        TEST(pv_never_has),
        TEST(pv_has),
        TEST(dynamic_parts),
        TEST(xstate_is_what_argon_switches),
        TEST(beyond_the_limits_are_zeros),
        TEST(dependencies),
        TEST(there_and_back),
        TEST(bad_leaves),
        TEST(limits),
        TEST(features_within_limits),
        TEST(option_unknown_is_reported),
        TEST(option), /* last: options stay */
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
