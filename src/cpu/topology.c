/* SPDX-License-Identifier: MIT */
/* Thread, core and socket of an APIC id. The newer leaves say how many bits of it each has; older
 * processors say how many there are of each, and the bits follow from that. Caches say how many
 * APIC ids share them. */
#include "cpu/topology.h"

#include "cpu/cpu.h"
#include "cpu/policy.h"
#include "hw/ops.h"
#include "lib/util.h"

#define LEAF_FEATURES  1u
#define LEAF_CACHES    4u
#define LEAF_TOPOLOGY  0xbu
#define LEAF_AMD_SIZES 0x80000008u
#define LEAF_AMD_CACHE 0x8000001du /* as leaf 4 */
#define LEAF_AMD_PLACE 0x8000001eu
#define EXTENDED_FIRST 0x80000000u
#define TYPE_SMT       1u
#define TYPE_CORE      2u
#define LEVELS         4u
#define HTT            (1u << 28) /* leaf 1, edx: more than one logical processor */
#define BITS_MAX       31u
#define CACHE_LIST     8u /* caches that a leaf may tell of */
#define CLUSTER_BITS   4u /* at most: a lock that more CPUs share would be waited for */

static unsigned smt_bits, socket_shift, cluster_shift; /* [I] */

/* The bits that numbers below n take. */
static unsigned bits_for(unsigned n)
{
    unsigned bits = 0;

    while (bits < BITS_MAX && 1u << bits < n)
        bits++;
    return bits;
}

/* Leaf 0xb: each level says how far to shift for the next. */
static bool by_levels(void)
{
    bool any = false;

    if (hw_cpuid(0, 0).a < LEAF_TOPOLOGY)
        return false;
    for (unsigned level = 0; level < LEVELS; level++) {
        struct cpuid_leaf l = hw_cpuid(LEAF_TOPOLOGY, level);
        unsigned type = l.c >> 8 & 0xff, shift = l.a & 31;

        if (!type || !(l.b & 0xffff))
            break;
        any = true;
        if (type == TYPE_SMT)
            smt_bits = shift;
        socket_shift = shift;
    }
    return any;
}

static void by_amd_leaves(unsigned logical)
{
    uint32_t last = hw_cpuid(EXTENDED_FIRST, 0).a;
    unsigned bits = 0;

    if (last >= LEAF_AMD_PLACE)
        smt_bits = bits_for((hw_cpuid(LEAF_AMD_PLACE, 0).b >> 8 & 0xff) + 1);
    if (last >= LEAF_AMD_SIZES)
        bits = hw_cpuid(LEAF_AMD_SIZES, 0).c >> 12 & 0xf;
    socket_shift = bits ? bits : bits_for(logical);
}

static void by_counts(unsigned logical)
{
    unsigned cores = 1;

    if (hw_cpuid(0, 0).a >= LEAF_CACHES)
        cores = (hw_cpuid(LEAF_CACHES, 0).a >> 26) + 1;
    smt_bits = bits_for(DIV_ROUND_UP(logical, cores));
    socket_shift = smt_bits + bits_for(cores);
}

/* How many APIC ids share the cache of the highest level, 0: nothing says it. */
static unsigned sharing_cache(uint32_t leaf)
{
    unsigned highest = 0, sharing = 0;

    for (unsigned i = 0; i < CACHE_LIST; i++) {
        struct cpuid_leaf l = hw_cpuid(leaf, i);
        unsigned level = l.a >> 5 & 7;

        if (!(l.a & 0x1f)) /* no more */
            break;
        if (level > highest) {
            highest = level;
            sharing = (l.a >> 14 & 0xfff) + 1;
        }
    }
    return sharing;
}

static void find_clusters(void)
{
    unsigned sharing = 0;

    if (cpu_vendor != CPU_AMD && hw_cpuid(0, 0).a >= LEAF_CACHES)
        sharing = sharing_cache(LEAF_CACHES);
    else if (cpu_vendor == CPU_AMD && hw_cpuid(EXTENDED_FIRST, 0).a >= LEAF_AMD_CACHE)
        sharing = sharing_cache(LEAF_AMD_CACHE);
    cluster_shift = sharing ? bits_for(sharing) : socket_shift;
    cluster_shift = max(min(cluster_shift, CLUSTER_BITS), smt_bits);
}

static void find_places(void)
{
    struct cpuid_leaf l = hw_cpuid(LEAF_FEATURES, 0);
    unsigned logical = l.d & HTT ? max(l.b >> 16 & 0xff, 1u) : 1;

    if (by_levels())
        return;
    if (cpu_vendor == CPU_AMD)
        by_amd_leaves(logical);
    else
        by_counts(logical);
    socket_shift = max(socket_shift, smt_bits);
}

void topology_detect(void)
{
    smt_bits = socket_shift = 0;
    find_places();
    find_clusters();
}

unsigned topology_thread(uint32_t apic_id)
{
    return apic_id & ((1u << smt_bits) - 1);
}

unsigned topology_core(uint32_t apic_id)
{
    return (apic_id & ((1u << socket_shift) - 1)) >> smt_bits;
}

unsigned topology_socket(uint32_t apic_id)
{
    return apic_id >> socket_shift;
}

uint32_t topology_core_key(uint32_t apic_id)
{
    return apic_id >> smt_bits;
}

uint32_t topology_cluster_key(uint32_t apic_id)
{
    return apic_id >> cluster_shift;
}
