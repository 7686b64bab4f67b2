/* SPDX-License-Identifier: MIT */
/* pv/cpuid: what domain 0's kernel may see of the real processor and nobody else does, and the
 * leaves about time. What a policy hides is tested with cpu/policy. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "pv_fixture.h"

#define EIST    (1u << (X86_FEATURE_EIST % 32))
#define MONITOR (1u << (X86_FEATURE_MONITOR % 32))
#define MTRR    (1u << (X86_FEATURE_MTRR % 32))
#define PCID    (1u << (X86_FEATURE_PCID % 32))
#define INVPCID (1u << (X86_FEATURE_INVPCID % 32))
#define VMX     (1u << (X86_FEATURE_VMX % 32))

/* The processor has all of it. */
static int setup(void **state)
{
    int rc = fx_setup(state);

    policy_raw.basic[1].c = policy_raw.basic[1].d = policy_raw.feat[0].b = ~0u;
    policy_raw.basic[5] = (struct cpuid_leaf){1, 2, 3, 4};
    fx_domain->hardware = true;
    return rc;
}

static struct cpuid_leaf ask(uint32_t leaf, enum pv_cpuid_how how)
{
    return pv_cpuid(fx_vcpu, leaf, 0, how);
}

static void domain_0s_kernel(void **state)
{
    struct cpuid_leaf r = ask(1, PV_CPUID_FORCED);

    /* It drives frequencies and idle states by these. MWAIT shows in the plain CPUID only, with
     * its leaf, so that the kernel does not take it for its own idle loop. */
    assert_int_equal(r.c & (EIST | MONITOR), EIST);
    assert_int_equal(r.d & MTRR, MTRR);
    assert_int_equal(ask(1, PV_CPUID_FAULTED).c & (EIST | MONITOR), EIST | MONITOR);
    assert_int_equal(ask(5, PV_CPUID_FAULTED).d, 4);
    assert_int_equal(ask(5, PV_CPUID_FORCED).d, 0);
    /* And no more than these. */
    for (unsigned how = PV_CPUID_FORCED; how <= PV_CPUID_FAULTED; how++) {
        assert_int_equal(ask(1, how).c & (PCID | VMX), 0);
        assert_int_equal(ask(7, how).b & INVPCID, 0);
    }
}

static void nobody_else(void **state)
{
    fx_vcpu->pv->in_kernel = false;
    for (unsigned how = PV_CPUID_FORCED; how <= PV_CPUID_FAULTED; how++) {
        assert_int_equal(ask(1, how).c & (EIST | MONITOR), 0);
        assert_int_equal(ask(1, how).d & MTRR, 0);
        assert_int_equal(ask(5, how).d, 0);
    }
    fx_vcpu->pv->in_kernel = true;
    fx_domain->hardware = false;
    for (unsigned how = PV_CPUID_FORCED; how <= PV_CPUID_FAULTED; how++) {
        assert_int_equal(ask(1, how).c & (EIST | MONITOR), 0);
        assert_int_equal(ask(1, how).d & MTRR, 0);
        assert_int_equal(ask(5, how).d, 0);
    }
}

/* What the processor lacks is not made up. */
static void not_there(void **state)
{
    policy_raw.basic[1].c = policy_raw.basic[1].d = 0;
    assert_int_equal(ask(1, PV_CPUID_FAULTED).c & (EIST | MONITOR), 0);
    assert_int_equal(ask(1, PV_CPUID_FAULTED).d & MTRR, 0);
}

static void apic_ids(void **state)
{
    assert_int_equal(ask(1, PV_CPUID_FORCED).b >> 24, 0);
    fx_vcpu->id = 5;
    assert_int_equal(ask(1, PV_CPUID_FORCED).b >> 24, 10);
    fx_vcpu->id = 0;
}

static void time_leaves(void **state)
{
    struct cpuid_leaf r = pv_cpuid(fx_vcpu, 0x40000003, 0, PV_CPUID_FORCED);
    struct domain_tsc *t = &fx_domain->tsc;

    assert_int_equal(r.a & 1, 0);
    assert_int_equal(r.c, 1000000); /* kHz */
    *t = (struct domain_tsc){
        .emulated = true,
        .khz = 2000000,
        .zero_ns = 0x123456789a,
        .incarnation = 7,
        .scale = {.mul = 1u << 31, .shift = 1},
    };
    r = pv_cpuid(fx_vcpu, 0x40000003, 0, PV_CPUID_FORCED);
    assert_int_equal(r.a & 1, 1);
    assert_int_equal(r.c, 2000000);
    assert_int_equal(r.d, 7);
    r = pv_cpuid(fx_vcpu, 0x40000003, 1, PV_CPUID_FORCED);
    assert_int_equal(r.a, 0x3456789a);
    assert_int_equal(r.b, 0x12);
    /* An emulated TSC has a scale of its own. */
    assert_int_equal(r.c, 1u << 31);
    assert_int_equal(r.d, 1);
    t->emulated = false;
    r = pv_cpuid(fx_vcpu, 0x40000003, 1, PV_CPUID_FORCED);
    assert_int_equal(r.c, time_scale.mul);
    assert_int_equal((int8_t)r.d, time_scale.shift);
    r = pv_cpuid(fx_vcpu, 0x40000003, 3, PV_CPUID_FORCED);
    assert_int_equal(r.a | r.b | r.c | r.d, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(domain_0s_kernel, setup), cmocka_unit_test_setup(nobody_else, setup),
        cmocka_unit_test_setup(not_there, setup),        cmocka_unit_test_setup(apic_ids, setup),
        cmocka_unit_test_setup(time_leaves, setup),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
