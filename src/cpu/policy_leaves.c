/* SPDX-License-Identifier: MIT */
/* A policy leaf by leaf: what CPUID answers, the serialised form that tools read and write, and
 * whether one policy lies within another. Intel SDM vol. 2A, CPUID; public arch-x86/cpuid.h. */
#include "cpu/policy.h"

#include "cpu/cpu.h"
#include "cpu/xstate.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "lib/util.h"

#include <xen/xen.h>

#define EXT_BASE 0x80000000u

/* Leaf 1, ECX and EDX. */
#define LEAF1_C_OSXSAVE (1u << 27)
#define LEAF7_C_OSPKE   (1u << 4)

/* ---- derived parts ---- */

static uint64_t policy_xcr0(const struct cpu_policy *p)
{
    uint64_t mask = 0;

    if (!(p->basic[1].c & 1u << (X86_FEATURE_XSAVE % 32)))
        return 0;
    mask = XCR0_X87 | XCR0_SSE;
    if (p->basic[1].c & 1u << (X86_FEATURE_AVX % 32))
        mask |= XCR0_AVX;
    if (p->feat[0].b & 1u << (X86_FEATURE_AVX512F % 32))
        mask |= XCR0_AVX512;
    return mask & xstate_mask;
}

static void recalculate_xstate(struct cpu_policy *p)
{
    uint64_t xcr0 = policy_xcr0(p);
    uint32_t features = p->xstate[1].a;

    for (unsigned i = 2; i < POLICY_XSTATE; i++)
        p->xstate[i] = xcr0 >> i & 1 ? policy_raw.xstate[i] : (struct cpuid_leaf){0};
    p->xstate[0] = p->xstate[1] = (struct cpuid_leaf){0};
    if (xcr0 == 0)
        return;
    p->xstate[0].a = (uint32_t)xcr0;
    p->xstate[0].d = (uint32_t)(xcr0 >> 32);
    p->xstate[0].c = xstate_size(xcr0);
    p->xstate[1].a = features;
}

void cpu_policy_recalculate(struct cpu_policy *p)
{
    recalculate_xstate(p);
    if (p->max_basic < 0xd && p->xstate[0].a)
        p->xstate[0].a = 0;
    p->basic[0].a = p->max_basic;
    p->ext[0].a = p->max_extended;
    p->feat[0].a = p->max_feat = min(p->max_feat, POLICY_FEAT - 1);
    /* AMD repeats some words of leaf 1 in the extended leaf. */
    if (cpu_vendor == CPU_AMD) {
        const uint32_t common = 0x0183f3ffu;

        p->ext[1].d = (p->ext[1].d & ~common) | (p->basic[1].d & common);
    }
}

/* ---- CPUID ---- */

static struct cpuid_leaf leaf1(const struct cpu_policy *p, const struct cpuid_dynamic *dyn)
{
    struct cpuid_leaf r = p->basic[1];

    r.b = (r.b & 0x00ffffffu) | dyn->apic_id << 24;
    r.c &= ~LEAF1_C_OSXSAVE;
    if (dyn->osxsave)
        r.c |= LEAF1_C_OSXSAVE;
    return r;
}

static struct cpuid_leaf xstate_leaf(const struct cpu_policy *p, uint32_t subleaf,
                                     const struct cpuid_dynamic *dyn)
{
    struct cpuid_leaf r;

    if (subleaf >= POLICY_XSTATE)
        return (struct cpuid_leaf){0};
    r = p->xstate[subleaf];
    if (p->xstate[0].a == 0)
        return (struct cpuid_leaf){0};
    if (subleaf == 0)
        r.b = xstate_size(dyn->xcr0);
    if (subleaf == 1 && (r.a & 0xa))
        r.b = xstate_compact_size(dyn->xcr0 | dyn->xss);
    return r;
}

static struct cpuid_leaf topology_leaf(const struct cpu_policy *p, uint32_t subleaf,
                                       const struct cpuid_dynamic *dyn)
{
    struct cpuid_leaf r = {.c = subleaf & 0xff, .d = dyn->apic_id};

    if (subleaf < POLICY_TOPOLOGY) {
        r = p->topology[subleaf];
        r.c = (r.c & ~0xffu) | (subleaf & 0xff);
        r.d = dyn->apic_id;
    }
    return r;
}

static struct cpuid_leaf basic_leaf(const struct cpu_policy *p, uint32_t leaf, uint32_t subleaf,
                                    const struct cpuid_dynamic *dyn)
{
    struct cpuid_leaf zero = {0};

    if (leaf > p->max_basic || leaf >= POLICY_BASIC)
        return zero;
    switch (leaf) {
    case 1:
        return leaf1(p, dyn);
    case 4:
        return subleaf < POLICY_CACHE ? p->cache[index_nospec(subleaf, POLICY_CACHE)] : zero;
    case 7:
        if (subleaf > p->max_feat || subleaf >= POLICY_FEAT)
            return zero;
        return p->feat[index_nospec(subleaf, POLICY_FEAT)];
    case 0xb:
        return topology_leaf(p, subleaf, dyn);
    case 0xd:
        return xstate_leaf(p, subleaf, dyn);
    default:
        return p->basic[index_nospec(leaf, POLICY_BASIC)];
    }
}

struct cpuid_leaf cpu_policy_cpuid(const struct cpu_policy *p, uint32_t leaf, uint32_t subleaf,
                                   const struct cpuid_dynamic *dyn)
{
    uint32_t n = leaf - EXT_BASE;

    if (leaf < 0x40000000u)
        return basic_leaf(p, leaf, subleaf, dyn);
    if (leaf < EXT_BASE || leaf > p->max_extended || n >= POLICY_EXTENDED)
        return (struct cpuid_leaf){0};
    return p->ext[index_nospec(n, POLICY_EXTENDED)];
}

/* ---- the serialised form ---- */

struct emitter {
    int (*emit)(void *data, uint32_t leaf, uint32_t subleaf, const struct cpuid_leaf *l);
    void *data;
};

static int emit_array(const struct emitter *e, uint32_t leaf, const struct cpuid_leaf *l,
                      unsigned n)
{
    int rc = 0;

    for (unsigned i = 0; i < n && !rc; i++)
        rc = e->emit(e->data, leaf, i, &l[i]);
    return rc;
}

static int emit_basic(const struct emitter *e, const struct cpu_policy *p, unsigned leaf)
{
    switch (leaf) {
    case 4:
        return emit_array(e, leaf, p->cache, POLICY_CACHE);
    case 7:
        return emit_array(e, leaf, p->feat, min(p->max_feat + 1, POLICY_FEAT));
    case 0xb:
        return emit_array(e, leaf, p->topology, POLICY_TOPOLOGY);
    case 0xd:
        return emit_array(e, leaf, p->xstate, POLICY_XSTATE);
    default:
        return e->emit(e->data, leaf, XEN_CPUID_NO_SUBLEAF, &p->basic[leaf]);
    }
}

int cpu_policy_for_each_leaf(const struct cpu_policy *p,
                             int (*emit)(void *data, uint32_t leaf, uint32_t subleaf,
                                         const struct cpuid_leaf *l),
                             void *data)
{
    const struct emitter e = {emit, data};
    int rc = 0;

    for (unsigned i = 0; i < POLICY_BASIC && i <= p->max_basic && !rc; i++)
        rc = emit_basic(&e, p, i);
    if (!rc)
        rc = emit(data, 0x40000000u, XEN_CPUID_NO_SUBLEAF, &p->hypervisor_limit);
    if (!rc)
        rc = emit(data, 0x40000100u, XEN_CPUID_NO_SUBLEAF, &(struct cpuid_leaf){0});
    for (unsigned i = 0; i < POLICY_EXTENDED && EXT_BASE + i <= p->max_extended && !rc; i++)
        rc = emit(data, EXT_BASE + i, XEN_CPUID_NO_SUBLEAF, &p->ext[i]);
    return rc;
}

static int set_basic(struct cpu_policy *p, uint32_t leaf, uint32_t subleaf,
                     const struct cpuid_leaf *l)
{
    static const struct {
        uint32_t leaf, count, offset;
    } arrays[] = {
        {4, POLICY_CACHE, offsetof(struct cpu_policy, cache)},
        {7, POLICY_FEAT, offsetof(struct cpu_policy, feat)},
        {0xb, POLICY_TOPOLOGY, offsetof(struct cpu_policy, topology)},
        {0xd, POLICY_XSTATE, offsetof(struct cpu_policy, xstate)},
    };

    for (unsigned i = 0; i < ARRAY_SIZE(arrays); i++) {
        if (arrays[i].leaf != leaf)
            continue;
        if (subleaf >= arrays[i].count)
            return -ERANGE;
        ((struct cpuid_leaf *)((char *)p + arrays[i].offset))[subleaf] = *l;
        if (leaf == 7 && subleaf == 0)
            p->max_feat = l->a;
        return 0;
    }
    if (subleaf != XEN_CPUID_NO_SUBLEAF)
        return -ERANGE;
    p->basic[leaf] = *l;
    if (leaf == 0)
        p->max_basic = l->a;
    return 0;
}

int cpu_policy_set_leaf(struct cpu_policy *p, uint32_t leaf, uint32_t subleaf,
                        const struct cpuid_leaf *l)
{
    if (leaf < POLICY_BASIC)
        return set_basic(p, leaf, subleaf, l);
    if (subleaf != XEN_CPUID_NO_SUBLEAF)
        return -ERANGE;
    if (leaf == 0x40000000u) {
        p->hypervisor_limit = *l;
        return 0;
    }
    if (leaf == 0x40000100u)
        return 0;
    if (leaf < EXT_BASE || leaf - EXT_BASE >= POLICY_EXTENDED)
        return -ERANGE;
    p->ext[leaf - EXT_BASE] = *l;
    if (leaf == EXT_BASE)
        p->max_extended = l->a;
    return 0;
}

/* ---- within limits ---- */

void cpu_policy_limit(struct cpu_policy *p, const struct cpu_policy *max)
{
    uint32_t words[FEATURE_WORDS], max_words[FEATURE_WORDS];

    cpu_policy_featureset(p, words);
    cpu_policy_featureset(max, max_words);
    for (unsigned i = 0; i < FEATURE_WORDS; i++)
        words[i] &= max_words[i];
    cpu_features_sanitise(words);
    cpu_policy_set_featureset(p, words);
    cpu_policy_recalculate(p);
}

int cpu_policy_compatible(const struct cpu_policy *max, const struct cpu_policy *guest,
                          uint32_t *leaf, uint32_t *subleaf, uint32_t *msr)
{
    *leaf = *subleaf = *msr = ~0u;
    if (guest->max_basic > max->max_basic) {
        *leaf = 0;
        return -EINVAL;
    }
    if (guest->max_feat > max->max_feat) {
        *leaf = 7;
        *subleaf = 0;
        return -EINVAL;
    }
    if (guest->max_extended > max->max_extended) {
        *leaf = EXT_BASE;
        return -EINVAL;
    }
    if (guest->platform_info & ~max->platform_info) {
        *msr = MSR_PLATFORM_INFO;
        return -EINVAL;
    }
    if (guest->arch_caps & ~max->arch_caps) {
        *msr = MSR_ARCH_CAPABILITIES;
        return -EINVAL;
    }
    return 0;
}
