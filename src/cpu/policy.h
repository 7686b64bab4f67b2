/* SPDX-License-Identifier: MIT */
/* CPU policies: everything that CPUID (and the MSRs beside it) say to somebody. Four are made at
 * start: what the processor says (raw), what Argon uses of it (host), the most that a PV guest may
 * have (pv_max) and what it gets unless told otherwise (pv_default). A domain has a copy.
 *
 * A policy holds static values only. What changes while a guest runs (OSXSAVE, the APIC id, sizes
 * that follow xcr0) is filled in by cpu_policy_cpuid().
 *
 * Intel SDM vol. 2A, CPUID; AMD APM vol. 3, appendix E; public arch-x86/cpuid.h; ABI.md 3.7. */
#pragma once

#include "cpu/features.h"
#include "hw/ops.h"

#define POLICY_BASIC    0x0eu /* leaves 0-0xd */
#define POLICY_CACHE    6u    /* subleaves of leaf 4 */
#define POLICY_FEAT     3u    /* subleaves of leaf 7 */
#define POLICY_TOPOLOGY 2u    /* subleaves of leaf 0xb */
#define POLICY_XSTATE   63u   /* subleaves of leaf 0xd */
#define POLICY_EXTENDED 0x22u /* leaves 0x80000000-0x80000021 */

struct cpu_policy {
    uint32_t max_basic, max_feat, max_extended;
    uint32_t family, model;
    struct cpuid_leaf basic[POLICY_BASIC]; /* 4, 7, 0xb, 0xd here unused */
    struct cpuid_leaf cache[POLICY_CACHE];
    struct cpuid_leaf feat[POLICY_FEAT];
    struct cpuid_leaf topology[POLICY_TOPOLOGY];
    struct cpuid_leaf xstate[POLICY_XSTATE];
    struct cpuid_leaf ext[POLICY_EXTENDED];
    struct cpuid_leaf hypervisor_limit; /* a: highest leaf of ours, 0: all */
    uint64_t arch_caps;                 /* MSR_ARCH_CAPABILITIES, if the feature is there */
    uint64_t platform_info;             /* MSR_PLATFORM_INFO: bit 31, CPUID faulting */
};

#define PLATFORM_INFO_CPUID_FAULTING (1ull << 31)

extern struct cpu_policy policy_raw, policy_host, policy_pv_max, policy_pv_default;
/* Zeros while AMD-V and VT-x do not serve guests. */
extern struct cpu_policy policy_hvm_max, policy_hvm_default;

/* ---- start-up ---- */
void cpu_policy_detect(void); /* fills policy_raw */
/* From the words that the host uses: host, pv_max and pv_default. */
void cpu_policy_calculate(const uint32_t host[FEATURE_WORDS]);

/* ---- feature words ---- */
void cpu_policy_featureset(const struct cpu_policy *p, uint32_t words[FEATURE_WORDS]);
void cpu_policy_set_featureset(struct cpu_policy *p, const uint32_t words[FEATURE_WORDS]);
bool cpu_policy_has(const struct cpu_policy *p, unsigned feature);
/* Removes what depends on features that are not in `words`. */
void cpu_features_sanitise(uint32_t words[FEATURE_WORDS]);
/* Mends the parts of a policy that follow from others: sizes of leaf 0xd, limits, family. */
void cpu_policy_recalculate(struct cpu_policy *p);
/* Takes away the features that `max` has not and what depends on them, and mends the rest. */
void cpu_policy_limit(struct cpu_policy *p, const struct cpu_policy *max);
/* Is each limit of `guest` (leaves, MSRs; not features) within `max`? 0, or -EINVAL with the leaf
 * and subleaf (or the MSR, else ~0) that is not. */
int must_check cpu_policy_compatible(const struct cpu_policy *max, const struct cpu_policy *guest,
                                     uint32_t *leaf, uint32_t *subleaf, uint32_t *msr);

/* ---- the answer to CPUID ---- */
struct cpuid_dynamic {
    bool osxsave;     /* OSXSAVE as the guest is to see it */
    uint32_t apic_id; /* of the vCPU */
    uint64_t xcr0;    /* live */
    uint64_t xss;
};
/* Leaves below 0x40000000 and from 0x80000000; zeros beyond the limits. */
struct cpuid_leaf cpu_policy_cpuid(const struct cpu_policy *p, uint32_t leaf, uint32_t subleaf,
                                   const struct cpuid_dynamic *dyn);

/* ---- the serialised form: get_cpu_policy, set_cpu_policy ---- */
#define POLICY_LEAVES_MAX                                                          \
    (POLICY_BASIC + POLICY_CACHE + POLICY_FEAT + POLICY_TOPOLOGY + POLICY_XSTATE + \
     POLICY_EXTENDED + 2u)
#define POLICY_MSRS 2u
struct xen_cpuid_leaf;
struct xen_msr_entry;
/* Calls emit for each leaf in ascending order; stops at its first error, which comes back. */
int must_check cpu_policy_for_each_leaf(const struct cpu_policy *p,
                                        int (*emit)(void *data, uint32_t leaf, uint32_t subleaf,
                                                    const struct cpuid_leaf *l),
                                        void *data);
/* Puts a leaf into a policy; -ERANGE: there is no such leaf in ours. */
int must_check cpu_policy_set_leaf(struct cpu_policy *p, uint32_t leaf, uint32_t subleaf,
                                   const struct cpuid_leaf *l);
