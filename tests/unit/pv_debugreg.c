/* SPDX-License-Identifier: MIT */
/* pv/debugreg.c: whose addresses may be watched, which controls are refused, what reaches the
 * processor and when, and breakpoints on ports. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>

#include "pv_fixture.h"

#define LOCAL(n)     (1ul << 2 * (n))
#define GLOBAL(n)    (2ul << 2 * (n))
#define RW(n, x)     ((uint64_t)(x) << (16 + 4 * (n)))
#define LENGTH(n, x) ((uint64_t)(x) << (18 + 4 * (n)))
#define ON_PORT      2u

static uint64_t get(unsigned reg)
{
    uint64_t val = 0;

    assert_int_equal(pv_debugreg_get(fx_vcpu, reg, &val), 0);
    return val;
}

static void addresses(void **state)
{
    static const uint64_t good[] = {0, GUEST_USER, GUEST_KERNEL, (1ul << 47) - 1, HV_VA_END, ~0ul};
    static const uint64_t bad[] = {HV_VA_START, HV_VA_END - 1,   1ul << 47,
                                   1ul << 63,   HV_VA_START - 1, HV_VA_START + (1ul << 40)};

    for (unsigned reg = 0; reg < 4; reg++) {
        for (unsigned i = 0; i < ARRAY_SIZE(good); i++) {
            assert_int_equal(pv_debugreg_set(fx_vcpu, reg, good[i]), 0);
            assert_int_equal(get(reg), good[i]);
        }
        for (unsigned i = 0; i < ARRAY_SIZE(bad); i++)
            assert_int_equal(pv_debugreg_set(fx_vcpu, reg, bad[i]), -EPERM);
        assert_int_equal(get(reg), ~0ul);
    }
}

/* Nothing reaches the processor until something is enabled; then all of it does. */
static void loaded_when_enabled(void **state)
{
    *host_dr(0) = *host_dr(1) = 0x77;
    assert_int_equal(pv_debugreg_set(fx_vcpu, 1, GUEST_KERNEL), 0);
    assert_int_equal(*host_dr(1), 0x77);
    assert_int_equal(pv_debugreg_set(fx_vcpu, 7, LOCAL(1)), 0);
    assert_int_equal(*host_dr(1), GUEST_KERNEL);
    assert_int_equal(*host_dr(0), 0); /* not another's */
    assert_int_equal(*host_dr(7), DR7_DEFAULT | LOCAL(1));
    assert_int_equal(pv_debugreg_set(fx_vcpu, 0, GUEST_USER), 0); /* at once now */
    assert_int_equal(*host_dr(0), GUEST_USER);
    assert_int_equal(pv_debugreg_set(fx_vcpu, 7, 0), 0);
    assert_int_equal(*host_dr(7), DR7_DEFAULT);
}

static void another_vcpu_is_not_loaded(void **state)
{
    cpu_local()->current = fx_idle;
    *host_dr(0) = *host_dr(7) = 0x77;
    assert_int_equal(pv_debugreg_set(fx_vcpu, 7, LOCAL(0)), 0);
    assert_int_equal(pv_debugreg_set(fx_vcpu, 0, GUEST_USER), 0);
    assert_int_equal(*host_dr(0), 0x77);
    assert_int_equal(*host_dr(7), 0x77);
    assert_int_equal(get(7), DR7_DEFAULT | LOCAL(0));
}

static void controls(void **state)
{
    assert_int_equal(pv_debugreg_set(fx_vcpu, 7, 0x2000), -EPERM); /* GD */
    assert_int_equal(pv_debugreg_set(fx_vcpu, 7, 1ul << 32), -EINVAL);
    assert_int_equal(pv_debugreg_set(fx_vcpu, 6, 1ul << 32), -EINVAL);
    /* Execution is one byte long; disabled, it does not matter. */
    assert_int_equal(pv_debugreg_set(fx_vcpu, 7, LOCAL(2) | LENGTH(2, 3)), -EPERM);
    assert_int_equal(pv_debugreg_set(fx_vcpu, 7, LENGTH(2, 3)), 0);
    assert_int_equal(pv_debugreg_set(fx_vcpu, 7, GLOBAL(2) | RW(2, 1) | LENGTH(2, 3)), 0);
    assert_int_equal(get(7), DR7_DEFAULT | GLOBAL(2) | RW(2, 1) | LENGTH(2, 3));
    /* Refused, nothing changes. */
    assert_int_equal(pv_debugreg_set(fx_vcpu, 7, LOCAL(0) | RW(0, ON_PORT)), -EPERM);
    assert_int_equal(get(7), DR7_DEFAULT | GLOBAL(2) | RW(2, 1) | LENGTH(2, 3));
    /* Reserved bits read as the processor has them. */
    assert_int_equal(pv_debugreg_set(fx_vcpu, 7, 0xd800), 0);
    assert_int_equal(get(7), DR7_DEFAULT);
    assert_int_equal(pv_debugreg_set(fx_vcpu, 6, 0), 0);
    assert_int_equal(get(6), DR6_DEFAULT);
    assert_int_equal(pv_debugreg_set(fx_vcpu, 6, 0xffffffff), 0);
    assert_int_equal(get(6), 0xffffefff);
}

static void four_and_five(void **state)
{
    uint64_t val;

    assert_int_equal(pv_debugreg_set(fx_vcpu, 5, LOCAL(0)), 0);
    assert_int_equal(get(7), DR7_DEFAULT | LOCAL(0));
    assert_int_equal(get(5), DR7_DEFAULT | LOCAL(0));
    assert_int_equal(get(4), DR6_DEFAULT);
    fx_vcpu->pv->cr4 |= CR4_DE;
    for (unsigned reg = 4; reg < 6; reg++) {
        assert_int_equal(pv_debugreg_set(fx_vcpu, reg, 0), -ENODEV);
        assert_int_equal(pv_debugreg_get(fx_vcpu, reg, &val), -ENODEV);
    }
    assert_int_equal(pv_debugreg_set(fx_vcpu, 8, 0), -ENODEV);
    assert_int_equal(pv_debugreg_get(fx_vcpu, ~0u, &val), -ENODEV);
}

static void ports_stay_out_of_the_processor(void **state)
{
    fx_vcpu->pv->cr4 |= CR4_DE;
    assert_int_equal(pv_debugreg_set(fx_vcpu, 7, LOCAL(0) | RW(0, ON_PORT) | LOCAL(1)), 0);
    assert_int_equal(get(7), DR7_DEFAULT | LOCAL(0) | RW(0, ON_PORT) | LOCAL(1));
    assert_int_equal(*host_dr(7), DR7_DEFAULT | LOCAL(1));
    assert_int_equal(pv_debugreg_set(fx_vcpu, 7, LOCAL(0) | LOCAL(1)), 0);
    assert_int_equal(fx_vcpu->pv->dr7_emul, 0);
}

static bool hit(uint16_t port, unsigned bytes)
{
    bool was;

    fx_vcpu->pv->dr6 = DR6_DEFAULT;
    fx_vcpu->pv->io_breakpoint_hit = false;
    pv_debug_port_access(fx_vcpu, port, bytes);
    was = fx_vcpu->pv->io_breakpoint_hit;
    assert_int_equal(fx_vcpu->pv->dr6, was ? DR6_DEFAULT | 8 : DR6_DEFAULT);
    return was;
}

static void port_accesses(void **state)
{
    static const unsigned width[] = {1, 2, 8, 4}; /* by the length field */

    fx_vcpu->pv->cr4 |= CR4_DE;
    assert_int_equal(pv_debugreg_set(fx_vcpu, 3, 0x100), 0);
    for (unsigned len = 0; len < 4; len++) {
        assert_int_equal(pv_debugreg_set(fx_vcpu, 7, GLOBAL(3) | RW(3, ON_PORT) | LENGTH(3, len)),
                         0);
        for (unsigned port = 0xf0; port < 0x110; port++)
            for (unsigned bytes = 1; bytes <= 4; bytes *= 2)
                assert_int_equal(hit((uint16_t)port, bytes),
                                 port < 0x100 + width[len] && port + bytes > 0x100);
    }
    /* Not enabled, or far beyond the ports: nothing. */
    assert_int_equal(pv_debugreg_set(fx_vcpu, 7, RW(3, ON_PORT)), 0);
    assert_false(hit(0x100, 1));
    assert_int_equal(pv_debugreg_set(fx_vcpu, 3, ~0ul), 0);
    assert_int_equal(pv_debugreg_set(fx_vcpu, 7, GLOBAL(3) | RW(3, ON_PORT) | LENGTH(3, 2)), 0);
    assert_false(hit(0x100, 4));
}

static void hypercalls(void **state)
{
    assert_int_equal(pv_set_debugreg(0, GUEST_USER), 0);
    assert_int_equal(pv_get_debugreg(0), GUEST_USER);
    assert_int_equal(pv_set_debugreg(0, HV_VA_START), -EPERM);
    assert_int_equal(pv_set_debugreg(~0u, 0), -ENODEV);
    assert_int_equal(pv_get_debugreg(8), -ENODEV);
}

/* Whatever a guest writes: no breakpoint in the hypervisor, no port, no GD is ever loaded. */
static void by_chance(void **state)
{
    static const uint64_t base[] = {0, GUEST_USER, GUEST_KERNEL, HV_VA_START, HV_VA_END, 1ul << 47};

    srand(4);
    for (unsigned i = 0; i < 100000; i++) {
        uint64_t dr7;

        if (rand() % 16 == 0)
            pv_cr4_write(fx_vcpu, rand() % 2 ? CR4_DE : 0);
        if (rand() % 2) {
            if (pv_debugreg_set(fx_vcpu, (unsigned)rand() % 10,
                                base[(unsigned)rand() % 6] + (uint64_t)(rand() % 64 - 32)))
                continue;
        } else if (pv_debugreg_set(fx_vcpu, 7, (uint64_t)rand() << 1 ^ (uint64_t)rand())) {
            continue;
        }
        dr7 = *host_dr(7);
        assert_false(dr7 & 0x2000);
        for (unsigned n = 0; n < 4; n++) {
            if (!(dr7 >> 2 * n & 3))
                continue;
            assert_int_not_equal(dr7 >> (16 + 4 * n) & 3, ON_PORT);
            assert_true(guest_range_ok(*host_dr(n) & ~7ul, 8));
        }
    }
}

#define TEST(f) cmocka_unit_test_setup(f, fx_setup)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(addresses),     TEST(loaded_when_enabled), TEST(another_vcpu_is_not_loaded),
        TEST(controls),      TEST(four_and_five),       TEST(ports_stay_out_of_the_processor),
        TEST(port_accesses), TEST(hypercalls),          TEST(by_chance),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
