/* SPDX-License-Identifier: MIT */
/* cpu/spec.c, xstate.c: which processors need what, the options, and images of extended state. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "base/param.h"
#include "cpu/cpu.h"
#include "cpu/policy.h"
#include "cpu/spec.h"
#include "cpu/xstate.h"
#include "hw/pte.h"
#include "lib/errno.h"
#include "machine.h"

void host_memory_init(void);

#define INTEL 0x756e6547, 0x6c65746e, 0x49656e69

static void machine(uint32_t signature, uint32_t leaf7_edx, uint64_t arch_caps)
{
    host_machine_init(16 << 20, 1);
    host_memory_init();
    host_cpuid_set(0, 0, (struct cpuid_leaf){0xd, INTEL});
    host_cpuid_set(1, 0, (struct cpuid_leaf){signature, 0, 0x76f83203, 0x178bfbff});
    host_cpuid_set(7, 0, (struct cpuid_leaf){0, 0x209c01a9, 0, leaf7_edx});
    host_msr_set(MSR_ARCH_CAPABILITIES, arch_caps);
    cpu_detect();
    spec_init();
}

static int amd(void **state)
{
    host_machine_init(16 << 20, 1);
    host_memory_init();
    cpu_detect();
    spec_init();
    return 0;
}

static void intel_without_fixes(void **state)
{
    machine(0x000306c3, 1u << 26 | 1u << 10, 0);
    assert_true(spec_xpti_dom0 && spec_xpti_domu);
    assert_true(spec_l1tf_domu);
    assert_false(spec_l1tf_dom0);
    assert_true(spec_verw);
    assert_true(spec_ibpb);
}

static void intel_with_fixes(void **state)
{
    machine(0x000806f8, 1u << 26 | 1u << 29 | 1u << 10, 1 | 1 << 5);
    assert_false(spec_xpti_dom0 || spec_xpti_domu || spec_l1tf_domu || spec_verw);
}

static void atoms_never_had_it(void **state)
{
    machine(0x000106ca, 0, 0);
    assert_false(spec_xpti_domu);
}

static void amd_has_none(void **state)
{
    assert_false(spec_xpti_dom0 || spec_xpti_domu || spec_l1tf_domu || spec_verw);
}

/* SMEP keeps ring 0 out of the code that a guest's calls predict returns to. */
static void returns_filled_without_smep(void **state)
{
    machine(0x000306c3, 0, 0);
    assert_false(spec_rsb);
    host_cpuid_set(7, 0, (struct cpuid_leaf){0, 0x209c0129, 0, 0});
    cpu_detect();
    spec_init();
    assert_true(spec_rsb);
}

static bool warned_of(const char *what)
{
    const char *log = host_log();

    return strstr(log, what) && strstr(log, "guests must be trusted");
}

/* The log announces what is in force and warns of what is not. */
static void the_log_is_honest(void **state)
{
    machine(0x00050654, 0, 0); /* Skylake, and microcode without VERW */
    (void)host_log();
    spec_init();
    assert_true(warned_of("VERW"));
    spec_init();
    assert_true(warned_of("Retbleed"));
    spec_init();
    assert_non_null(strstr(host_log(), "(XPTI): domain 0 yes, others yes"));
    machine(0x000806f8, 1u << 26 | 1u << 29 | 1u << 10, 1 | 1 << 5);
    (void)host_log();
    spec_init();
    assert_null(strstr(host_log(), "Retbleed"));
    spec_init();
    assert_false(warned_of("VERW"));
}

static void options(void **state)
{
    param_parse("xpti=dom0=yes,domu=no pv-l1tf=dom0 spec-ctrl=bti-thunk=lfence,no-rsb");
    spec_init();
    assert_true(spec_xpti_dom0);
    assert_false(spec_xpti_domu);
    assert_true(spec_l1tf_dom0);
    assert_int_equal(spec_thunk, SPEC_THUNK_LFENCE);
    assert_false(spec_rsb);
    param_parse("xpti pv-l1tf=no");
    spec_init();
    assert_true(spec_xpti_dom0 && spec_xpti_domu);
    assert_false(spec_l1tf_dom0 || spec_l1tf_domu);
    param_parse("spec-ctrl=no");
    spec_init();
    assert_false(spec_xpti_dom0 || spec_xpti_domu || spec_rsb || spec_ibpb);
    assert_int_equal(spec_thunk, SPEC_THUNK_JMP);
}

static void the_log_is_honest_about_options(void **state)
{
    param_parse("spec-ctrl=ibrs xpti=no");
    machine(0x00050654, 1u << 26, 0);
    (void)host_log();
    spec_init();
    assert_true(warned_of("IBRS"));
    spec_init();
    assert_non_null(strstr(host_log(), "(XPTI): domain 0 no, others no"));
}

static void options_that_are_wrong(void **state)
{
    static const char *const bad[] = {
        "spec-ctrl=nonsense",
        "spec-ctrl=bti-thunk=goto",
        "spec-ctrl=ibpb=maybe",
        "xpti=dom7",
        "pv-l1tf=dom0=perhaps",
        "spec-ctrl=no-",
        "spec-ctrl=ibpb=aaaaaaaaaaaaaaaa",
    };

    for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        (void)host_log();
        param_parse(bad[i]);
        if (!*host_log())
            fail_msg("%s", bad[i]);
    }
}

static void l1tf_entries(void **state)
{
    const paddr_t end = 4ul << 30;

    assert_true(spec_l1tf_pte_ok(0, end));
    assert_true(spec_l1tf_pte_ok(0x1000 | PTE_P, end));
    assert_false(spec_l1tf_pte_ok(0x1000, end));
    assert_false(spec_l1tf_pte_ok(end - 0x1000, end));
    assert_true(spec_l1tf_pte_ok(end, end));
    assert_true(spec_l1tf_pte_ok(0x000ffffffffff000, end)); /* inverted, as Linux does */
    /* Bits that the cache does not have do not save it. */
    assert_false(spec_l1tf_pte_ok(0x1000 | 1ull << cpu_paddr_bits, end));
    assert_false(spec_l1tf_pte_ok(0x1000 | 1ull << 51, end));
    assert_false(spec_l1tf_pte_ok(1ull << 51, end));
    assert_true(spec_l1tf_pte_ok(end | 1ull << 51, end));
}

static void thunks(void **state)
{
    static const uint8_t rax[] = {0xff, 0xe0}, r11[] = {0x41, 0xff, 0xe3},
                         bad[] = {0x90, 0x90, 0x90};
    uint8_t code[SPEC_THUNK_BYTES];

    assert_int_equal(spec_thunk_write(SPEC_THUNK_JMP, r11, code), 0);
    assert_memory_equal(code, r11, 3);
    assert_int_equal(code[3], 0xcc);
    assert_int_equal(spec_thunk_write(SPEC_THUNK_LFENCE, rax, code), 0);
    assert_memory_equal(code, "\x0f\xae\xe8\xff\xe0\xcc", 6);
    assert_int_equal(spec_thunk_write(SPEC_THUNK_RETPOLINE, r11, code), 0);
    assert_memory_equal(code, "\xe8\x07\0\0\0\xf3\x90\x0f\xae\xe8\xeb\xf9\x4c\x89\x1c\x24\xc3\xcc",
                        18);
    assert_int_equal(spec_thunk_write(SPEC_THUNK_JMP, bad, code), -EINVAL);
}

/* ---- extended state ---- */

static void round_trip(void **state)
{
    struct xstate *x;
    uint8_t fx[512];

    assert_int_equal(xstate_mask, 7);
    assert_int_equal(xstate_bytes, 832);
    assert_int_equal(xstate_alloc(&x), 0);
    memset(host_cpu()->xstate, 0x5a, 832);
    memset(host_cpu()->xstate + XSAVE_HEADER, 0, 64);
    xstate_save(x, 7);
    memset(host_cpu()->xstate, 0, 832);
    xstate_restore(x, 7, 3);
    assert_int_equal(host_cpu()->xstate[700], 0x5a);
    assert_int_equal(host_cpu()->xcr0, 3);
    xstate_get_fxsave(x, fx);
    assert_int_equal(fx[100], 0x5a);
    xstate_reset(x);
    xstate_get_fxsave(x, fx);
    assert_int_equal(fx[0] | fx[1] << 8, FCW_DEFAULT);
    assert_int_equal(fx[24] | fx[25] << 8, MXCSR_DEFAULT);
    assert_int_equal(fx[100], 0);
    xstate_free(x);
}

static void images_that_lie(void **state)
{
    static uint8_t image[832];
    struct xstate *x;
    uint64_t bv = 7;

    assert_int_equal(xstate_alloc(&x), 0);
    memset(image, 0, sizeof(image));
    memcpy(image + 512, &bv, 8);
    memset(image + 24, 0xff, 4); /* reserved bits of MXCSR */
    assert_int_equal(xstate_set_image(x, image, sizeof(image), 7), 0);
    assert_int_equal(((const uint32_t *)xstate_image(x))[6], 0xffff);
    assert_int_equal(xstate_set_image(x, image, sizeof(image), 3), -EINVAL);
    assert_int_equal(xstate_set_image(x, image, 575, 7), -EINVAL);
    assert_int_equal(xstate_set_image(x, image, 831, 7), -EINVAL);
    image[520] = 1; /* XCOMP_BV */
    assert_int_equal(xstate_set_image(x, image, sizeof(image), 7), -EINVAL);
    image[520] = 0;
    image[575] = 1;
    assert_int_equal(xstate_set_image(x, image, sizeof(image), 7), -EINVAL);
    image[575] = 0;
    bv = 1ull << 63 | 7;
    memcpy(image + 512, &bv, 8);
    assert_int_equal(xstate_set_image(x, image, sizeof(image), ~0ull), -EINVAL);
    xstate_free(x);
}

static void xcr0_values(void **state)
{
    static const struct {
        uint64_t val;
        bool ok;
    } cases[] = {
        {0, false},    {1, true},     {2, false},   {3, true},      {5, false},    {7, true},
        {0x27, false}, {0xe3, false}, {0xe7, true}, {0x107, false}, {0xe5, false},
    };

    for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        if (xstate_xcr0_ok(cases[i].val, 0xe7) != cases[i].ok)
            fail_msg("%lx", cases[i].val);
    assert_false(xstate_xcr0_ok(7, 3));
}

#define TEST(f) cmocka_unit_test_setup(f, amd)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(intel_without_fixes),
        TEST(intel_with_fixes),
        TEST(atoms_never_had_it),
        TEST(the_log_is_honest),
        TEST(returns_filled_without_smep),
        TEST(amd_has_none),
        TEST(l1tf_entries),
        TEST(thunks),
        TEST(round_trip),
        TEST(images_that_lie),
        TEST(xcr0_values),
        TEST(options_that_are_wrong),
        TEST(options), /* from here on they stay */
        TEST(the_log_is_honest_about_options),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
