/* SPDX-License-Identifier: MIT */
/* cpu/topology: what the leaves of several kinds of processors say of an APIC id. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "machine.h"
#include "cpu/cpu.h"
#include "cpu/topology.h"

static void leaf(uint32_t n, uint32_t sub, uint32_t a, uint32_t b, uint32_t c, uint32_t d)
{
    host_cpuid_set(n, sub, (struct cpuid_leaf){.a = a, .b = b, .c = c, .d = d});
}

static void check(uint32_t apic, unsigned socket, unsigned core, unsigned thread)
{
    assert_int_equal(topology_socket(apic), socket);
    assert_int_equal(topology_core(apic), core);
    assert_int_equal(topology_thread(apic), thread);
}

static int fresh(void **state)
{
    host_machine_init(1 << 20, 1);
    cpu_vendor = CPU_INTEL;
    return 0;
}

static void one_thread(void **state)
{
    leaf(0, 0, 1, 0, 0, 0);
    leaf(1, 0, 0, 0x00ff0000, 0, 0); /* no HTT: the count means nothing */
    topology_detect();
    check(0, 0, 0, 0);
    check(3, 3, 0, 0);
}

/* Three cores of two threads take two bits and one. */
static void by_levels(void **state)
{
    leaf(0, 0, 0xd, 0, 0, 0);
    leaf(1, 0, 0, 6 << 16, 0, 1 << 28);
    leaf(0xb, 0, 1, 2, 1 << 8, 0);
    leaf(0xb, 1, 3, 6, 2 << 8 | 1, 0);
    topology_detect();
    check(5, 0, 2, 1);
    check(8, 1, 0, 0);
    check(0x1fd, 0x3f, 2, 1);
}

/* A die within the package is part of the socket. */
static void more_levels(void **state)
{
    leaf(0, 0, 0xd, 0, 0, 0);
    leaf(0xb, 0, 1, 2, 1 << 8, 0);
    leaf(0xb, 1, 4, 16, 2 << 8 | 1, 0);
    leaf(0xb, 2, 6, 64, 5 << 8 | 2, 0);
    topology_detect();
    check(0x7f, 1, 0x1f, 1);
}

static void by_counts(void **state)
{
    leaf(0, 0, 4, 0, 0, 0);
    leaf(1, 0, 0, 8 << 16, 0, 1 << 28);
    leaf(4, 0, 3u << 26, 0, 0, 0); /* four cores, so two threads */
    topology_detect();
    check(7, 0, 3, 1);
    check(13, 1, 2, 1);
    leaf(0, 0, 2, 0, 0, 0); /* one core of hyper-threads */
    leaf(1, 0, 0, 2 << 16, 0, 1 << 28);
    topology_detect();
    check(3, 1, 0, 1);
}

static void amd(void **state)
{
    cpu_vendor = CPU_AMD;
    leaf(0, 0, 1, 0, 0, 0);
    leaf(1, 0, 0, 8 << 16, 0, 1 << 28);
    leaf(0x80000000u, 0, 0x8000001eu, 0, 0, 0);
    leaf(0x80000008u, 0, 0, 0, 4 << 12 | 7, 0);
    leaf(0x8000001eu, 0, 0, 1 << 8, 0, 0);
    topology_detect();
    check(0x1b, 1, 5, 1);
    leaf(0x80000000u, 0, 0x80000008u, 0, 0, 0); /* before there were threads */
    leaf(0x80000008u, 0, 0, 0, 7, 0);
    topology_detect();
    check(0x1b, 3, 3, 0);
}

static bool together(uint32_t a, uint32_t b)
{
    return topology_cluster_key(a) == topology_cluster_key(b);
}

/* The cache of the highest level counts, whatever order the leaf has. */
static void clusters(void **state)
{
    leaf(0, 0, 0xd, 0, 0, 0);
    leaf(0xb, 0, 1, 2, 1 << 8, 0);
    leaf(0xb, 1, 6, 64, 2 << 8 | 1, 0);
    leaf(4, 0, 1u << 14 | 1 << 5 | 1, 0, 0, 0);
    leaf(4, 1, 7u << 14 | 3 << 5 | 3, 0, 0, 0); /* eight share level 3 */
    leaf(4, 2, 1u << 14 | 2 << 5 | 3, 0, 0, 0);
    topology_detect();
    assert_true(together(0, 7));
    assert_false(together(7, 8));
    assert_int_equal(topology_core_key(6), topology_core_key(7));
    assert_int_not_equal(topology_core_key(7), topology_core_key(8));
    leaf(4, 1, 0xfffu << 14 | 3 << 5 | 3, 0, 0, 0); /* more than should share a lock */
    topology_detect();
    assert_true(together(0x10, 0x1f));
    assert_false(together(0x0f, 0x10));
    leaf(4, 0, 0 << 14 | 1 << 5 | 1, 0, 0, 0); /* not even a core's threads: nonsense */
    leaf(4, 1, 0, 0, 0, 0);
    topology_detect();
    assert_true(together(2, 3));
    assert_false(together(1, 2));
}

/* AMD has a leaf of its own; without it those of a socket are together. */
static void clusters_of_amd(void **state)
{
    cpu_vendor = CPU_AMD;
    leaf(0, 0, 0xd, 0, 0, 0);
    leaf(0xb, 0, 1, 2, 1 << 8, 0);
    leaf(0xb, 1, 3, 8, 2 << 8 | 1, 0);
    leaf(4, 0, 0xfffu << 14 | 3 << 5 | 3, 0, 0, 0);
    leaf(0x80000000u, 0, 0x8000001du, 0, 0, 0);
    leaf(0x8000001du, 0, 5u << 14 | 3 << 5 | 3, 0, 0, 0); /* six take as much as eight */
    topology_detect();
    assert_true(together(0, 7));
    assert_false(together(7, 8));
    leaf(0x8000001du, 0, 1u << 14 | 2 << 5 | 3, 0, 0, 0);
    topology_detect();
    assert_false(together(1, 2));
    leaf(0x80000000u, 0, 0x80000008u, 0, 0, 0);
    topology_detect();
    assert_true(together(0, 7));
    assert_false(together(7, 8));
}

/* Whatever a leaf says, no shift is beyond the number. */
static void nonsense(void **state)
{
    leaf(0, 0, 0xd, 0, 0, 0);
    leaf(0xb, 0, 0xffffffff, 0xffff, 1 << 8, 0);
    topology_detect();
    (void)topology_core(~0u);
    cpu_vendor = CPU_AMD;
    leaf(0, 0, 1, 0, 0, 0);
    leaf(0x80000000u, 0, ~0u, 0, 0, 0);
    leaf(0x80000008u, 0, ~0u, ~0u, ~0u, ~0u);
    leaf(0x8000001eu, 0, ~0u, ~0u, ~0u, ~0u);
    topology_detect();
    (void)topology_core(~0u);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(one_thread, fresh),  cmocka_unit_test_setup(by_levels, fresh),
        cmocka_unit_test_setup(more_levels, fresh), cmocka_unit_test_setup(by_counts, fresh),
        cmocka_unit_test_setup(amd, fresh),         cmocka_unit_test_setup(nonsense, fresh),
        cmocka_unit_test_setup(clusters, fresh),    cmocka_unit_test_setup(clusters_of_amd, fresh),
    };
    return cmocka_run_group_tests_name("cpu_topology", tests, NULL, NULL);
}
