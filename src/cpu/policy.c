/* SPDX-License-Identifier: MIT */
/* How the CPU policies are made: the raw one from the processor, the host's from what Argon keeps
 * of it, and those of PV guests from the host's by what a PV guest can use. The letters in
 * arch-x86/cpufeatureset.h say which features that are: A everybody, S only with hardware help, H
 * only with nested paging (so not for PV), small letters not by default.
 *
 * Intel SDM vol. 2A, CPUID; AMD APM vol. 3, appendix E; ABI.md 3.7. */
#include "cpu/policy.h"

#include "base/log.h"
#include "base/param.h"
#include "cpu/cpu.h"
#include "cpu/xstate.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "lib/strutil.h"

struct cpu_policy policy_raw, policy_host, policy_pv_max, policy_pv_default;
struct cpu_policy policy_hvm_max, policy_hvm_default;

/* ---- feature words and the registers that hold them ---- */

void cpu_policy_featureset(const struct cpu_policy *p, uint32_t words[FEATURE_WORDS])
{
    words[0] = p->basic[1].d;
    words[1] = p->basic[1].c;
    words[2] = p->ext[1].d;
    words[3] = p->ext[1].c;
    words[4] = p->xstate[1].a;
    words[5] = p->feat[0].b;
    words[6] = p->feat[0].c;
    words[7] = p->ext[7].d;
    words[8] = p->ext[8].b;
    words[9] = p->feat[0].d;
    words[10] = p->feat[1].a;
    words[11] = p->ext[0x21].a;
    words[12] = p->feat[1].b;
    words[13] = p->feat[2].d;
    words[14] = p->feat[1].c;
    words[15] = p->feat[1].d;
    words[16] = (uint32_t)p->arch_caps;
    words[17] = (uint32_t)(p->arch_caps >> 32);
    words[18] = p->ext[0x21].c;
}

void cpu_policy_set_featureset(struct cpu_policy *p, const uint32_t words[FEATURE_WORDS])
{
    p->basic[1].d = words[0];
    p->basic[1].c = words[1];
    p->ext[1].d = words[2];
    p->ext[1].c = words[3];
    p->xstate[1].a = words[4];
    p->feat[0].b = words[5];
    p->feat[0].c = words[6];
    p->ext[7].d = words[7];
    p->ext[8].b = words[8];
    p->feat[0].d = words[9];
    p->feat[1].a = words[10];
    p->ext[0x21].a = words[11];
    p->feat[1].b = words[12];
    p->feat[2].d = words[13];
    p->feat[1].c = words[14];
    p->feat[1].d = words[15];
    p->arch_caps = words[16] | (uint64_t)words[17] << 32;
    p->ext[0x21].c = words[18];
}

static bool word_has(const uint32_t words[FEATURE_WORDS], unsigned f)
{
    return words[f / 32] >> (f % 32) & 1;
}

static void word_set(uint32_t words[FEATURE_WORDS], unsigned f, bool on)
{
    if (on)
        words[f / 32] |= 1u << (f % 32);
    else
        words[f / 32] &= ~(1u << (f % 32));
}

bool cpu_policy_has(const struct cpu_policy *p, unsigned feature)
{
    uint32_t words[FEATURE_WORDS];

    cpu_policy_featureset(p, words);
    return word_has(words, feature);
}

/* ---- the raw policy ---- */

static void detect_basic(struct cpu_policy *p)
{
    p->max_basic = hw_cpuid(0, 0).a;
    for (unsigned i = 0; i < POLICY_BASIC && i <= p->max_basic; i++)
        if (i != 4 && i != 7 && i != 0xb && i != 0xd)
            p->basic[i] = hw_cpuid(i, 0);
    for (unsigned i = 0; p->max_basic >= 4 && i < POLICY_CACHE; i++) {
        p->cache[i] = hw_cpuid(4, i);
        if ((p->cache[i].a & 0x1f) == 0)
            break;
    }
    if (p->max_basic >= 7) {
        p->feat[0] = hw_cpuid(7, 0);
        p->max_feat = p->feat[0].a;
        for (unsigned i = 1; i < POLICY_FEAT && i <= p->max_feat; i++)
            p->feat[i] = hw_cpuid(7, i);
    }
    for (unsigned i = 0; p->max_basic >= 0xb && i < POLICY_TOPOLOGY; i++)
        p->topology[i] = hw_cpuid(0xb, i);
}

static void detect_xstate(struct cpu_policy *p)
{
    uint64_t states;

    if (p->max_basic < 0xd)
        return;
    p->xstate[0] = hw_cpuid(0xd, 0);
    p->xstate[1] = hw_cpuid(0xd, 1);
    states = p->xstate[0].a | (uint64_t)p->xstate[0].d << 32;
    states |= p->xstate[1].c | (uint64_t)p->xstate[1].d << 32;
    for (unsigned i = 2; i < POLICY_XSTATE; i++)
        if (states >> i & 1)
            p->xstate[i] = hw_cpuid(0xd, i);
}

static void family_model(struct cpu_policy *p)
{
    uint32_t a = p->basic[1].a;

    p->family = a >> 8 & 0xf;
    p->model = a >> 4 & 0xf;
    if (p->family == 0xf)
        p->family += a >> 20 & 0xff;
    if (p->family == 6 || p->family >= 0xf)
        p->model |= a >> 12 & 0xf0;
}

void cpu_policy_detect(void)
{
    struct cpu_policy *p = &policy_raw;
    struct cpuid_leaf l = hw_cpuid(0x80000000u, 0);

    memset(p, 0, sizeof(*p));
    detect_basic(p);
    detect_xstate(p);
    family_model(p);
    if (l.a >> 16 == 0x8000) {
        p->max_extended = l.a;
        for (unsigned i = 0; i < POLICY_EXTENDED && i <= (l.a & 0xffff); i++)
            p->ext[i] = hw_cpuid(0x80000000u + i, 0);
    }
    if (p->feat[0].d & 1u << 29 && rdmsr_safe(MSR_ARCH_CAPABILITIES, &p->arch_caps))
        p->arch_caps = 0;
    if (cpu_vendor == CPU_INTEL && rdmsr_safe(MSR_PLATFORM_INFO, &p->platform_info))
        p->platform_info = 0;
    p->platform_info &= PLATFORM_INFO_CPUID_FAULTING;
}

/* ---- what PV guests may have ---- */

/* Never theirs: needs rings, paging or devices that a PV guest has not, or has from Argon. */
static const uint16_t pv_hidden[] = {
    X86_FEATURE_VME,
    X86_FEATURE_PSE,
    X86_FEATURE_PGE,
    X86_FEATURE_MTRR,
    X86_FEATURE_PSE36,
    X86_FEATURE_DS,
    X86_FEATURE_TM1,
    X86_FEATURE_PBE,
    X86_FEATURE_DTES64,
    X86_FEATURE_MONITOR,
    X86_FEATURE_DSCPL,
    X86_FEATURE_VMX,
    X86_FEATURE_SMX,
    X86_FEATURE_EIST,
    X86_FEATURE_TM2,
    X86_FEATURE_XTPR,
    X86_FEATURE_PDCM,
    X86_FEATURE_PCID,
    X86_FEATURE_DCA,
    X86_FEATURE_X2APIC,
    X86_FEATURE_PAGE1GB,
    X86_FEATURE_TSC_DEADLINE,
    X86_FEATURE_SVM,
    X86_FEATURE_EXTAPIC,
    X86_FEATURE_OSVW,
    X86_FEATURE_IBS,
    X86_FEATURE_SKINIT,
    X86_FEATURE_WDT,
    X86_FEATURE_LWP,
    X86_FEATURE_NODEID_MSR,
    X86_FEATURE_TOPOEXT,
    X86_FEATURE_MONITORX,
    X86_FEATURE_XSAVES,
    X86_FEATURE_TSC_ADJUST,
    X86_FEATURE_SGX,
    X86_FEATURE_SMEP,
    X86_FEATURE_INVPCID,
    X86_FEATURE_PQM,
    X86_FEATURE_MPX,
    X86_FEATURE_PQE,
    X86_FEATURE_SMAP,
    X86_FEATURE_PROC_TRACE,
    X86_FEATURE_UMIP,
    X86_FEATURE_PKU,
    X86_FEATURE_OSPKE,
    X86_FEATURE_CET_SS,
    X86_FEATURE_ENQCMD,
    X86_FEATURE_HW_PSTATE,
    X86_FEATURE_CPB,
    X86_FEATURE_EFRO,
    X86_FEATURE_WBNOINVD,
    X86_FEATURE_IBRS,
    X86_FEATURE_AMD_STIBP,
    X86_FEATURE_IBRS_ALWAYS,
    X86_FEATURE_STIBP_ALWAYS,
    X86_FEATURE_IBRS_FAST,
    X86_FEATURE_IBRS_SAME_MODE,
    X86_FEATURE_NO_LMSL,
    X86_FEATURE_AMD_PPIN,
    X86_FEATURE_AMD_SSBD,
    X86_FEATURE_VIRT_SSBD,
    X86_FEATURE_PSFD,
    X86_FEATURE_SRBDS_CTRL,
    X86_FEATURE_TSX_FORCE_ABORT,
    X86_FEATURE_HYBRID,
    X86_FEATURE_CET_IBT,
    X86_FEATURE_L1D_FLUSH,
    X86_FEATURE_CORE_CAPS,
    X86_FEATURE_AUTO_IBRS,
    X86_FEATURE_INTEL_PPIN,
    X86_FEATURE_IPRED_CTRL,
    X86_FEATURE_RRSBA_CTRL,
    X86_FEATURE_BHI_CTRL,
    X86_FEATURE_CET_SSS,
    X86_FEATURE_CR8_LEGACY,
    X86_FEATURE_SRSO_MSR_FIX,
};

/* Theirs if somebody asks, not by default. */
static const uint16_t pv_on_request[] = {
    X86_FEATURE_ITSC,     X86_FEATURE_HLE,       X86_FEATURE_RTM,
    X86_FEATURE_MOVDIRI,  X86_FEATURE_MOVDIR64B, X86_FEATURE_AVX512_VP2INTERSECT,
    X86_FEATURE_TSXLDTRK,
};

/* Bits that this version has names for, word by word: the others could mean anything. */
static void known_features(uint32_t words[FEATURE_WORDS])
{
    static const uint16_t known[] = {
#undef XEN_CPUFEATURE
#define XEN_CPUFEATURE(name, value) (value),
#include <xen/arch-x86/cpufeatureset.h>
#undef XEN_CPUFEATURE
    };

    memset(words, 0, FEATURE_WORDS * sizeof(*words));
    for (unsigned i = 0; i < ARRAY_SIZE(known); i++)
        word_set(words, known[i], true);
}

/* What is useless, or wrong, without another. The table is in an order such that one pass is
 * enough: what depends on a thing comes after it. */
static const struct {
    uint16_t feature, needs;
} depends[] = {
    {X86_FEATURE_XSAVEOPT, X86_FEATURE_XSAVE},
    {X86_FEATURE_XSAVEC, X86_FEATURE_XSAVE},
    {X86_FEATURE_XGETBV1, X86_FEATURE_XSAVE},
    {X86_FEATURE_XSAVES, X86_FEATURE_XSAVE},
    {X86_FEATURE_AVX, X86_FEATURE_XSAVE},
    {X86_FEATURE_MPX, X86_FEATURE_XSAVE},
    {X86_FEATURE_PKU, X86_FEATURE_XSAVE},
    {X86_FEATURE_LWP, X86_FEATURE_XSAVE},
    {X86_FEATURE_SSE3, X86_FEATURE_SSE2},
    {X86_FEATURE_SSSE3, X86_FEATURE_SSE3},
    {X86_FEATURE_SSE4_1, X86_FEATURE_SSSE3},
    {X86_FEATURE_SSE4_2, X86_FEATURE_SSE4_1},
    {X86_FEATURE_SSE4A, X86_FEATURE_SSE3},
    {X86_FEATURE_AESNI, X86_FEATURE_SSE2},
    {X86_FEATURE_PCLMULQDQ, X86_FEATURE_SSE2},
    {X86_FEATURE_SHA, X86_FEATURE_SSE2},
    {X86_FEATURE_GFNI, X86_FEATURE_SSE2},
    {X86_FEATURE_FMA, X86_FEATURE_AVX},
    {X86_FEATURE_FMA4, X86_FEATURE_AVX},
    {X86_FEATURE_F16C, X86_FEATURE_AVX},
    {X86_FEATURE_XOP, X86_FEATURE_AVX},
    {X86_FEATURE_AVX2, X86_FEATURE_AVX},
    {X86_FEATURE_VAES, X86_FEATURE_AVX},
    {X86_FEATURE_VPCLMULQDQ, X86_FEATURE_AVX},
    {X86_FEATURE_AVX_VNNI, X86_FEATURE_AVX},
    {X86_FEATURE_AVX512F, X86_FEATURE_AVX2},
    {X86_FEATURE_AVX512DQ, X86_FEATURE_AVX512F},
    {X86_FEATURE_AVX512_IFMA, X86_FEATURE_AVX512F},
    {X86_FEATURE_AVX512PF, X86_FEATURE_AVX512F},
    {X86_FEATURE_AVX512ER, X86_FEATURE_AVX512F},
    {X86_FEATURE_AVX512CD, X86_FEATURE_AVX512F},
    {X86_FEATURE_AVX512BW, X86_FEATURE_AVX512F},
    {X86_FEATURE_AVX512VL, X86_FEATURE_AVX512F},
    {X86_FEATURE_AVX512_VNNI, X86_FEATURE_AVX512F},
    {X86_FEATURE_AVX512_VPOPCNTDQ, X86_FEATURE_AVX512F},
    {X86_FEATURE_AVX512_4VNNIW, X86_FEATURE_AVX512F},
    {X86_FEATURE_AVX512_4FMAPS, X86_FEATURE_AVX512F},
    {X86_FEATURE_AVX512_VP2INTERSECT, X86_FEATURE_AVX512F},
    {X86_FEATURE_AVX512_VBMI, X86_FEATURE_AVX512BW},
    {X86_FEATURE_AVX512_VBMI2, X86_FEATURE_AVX512BW},
    {X86_FEATURE_AVX512_BITALG, X86_FEATURE_AVX512BW},
    {X86_FEATURE_AVX512_BF16, X86_FEATURE_AVX512BW},
    {X86_FEATURE_AVX512_FP16, X86_FEATURE_AVX512BW},
    {X86_FEATURE_STIBP, X86_FEATURE_IBRSB},
    {X86_FEATURE_SSBD, X86_FEATURE_IBRSB},
    {X86_FEATURE_INTEL_PSFD, X86_FEATURE_IBRSB},
    {X86_FEATURE_TSXLDTRK, X86_FEATURE_RTM},
};

void cpu_features_sanitise(uint32_t words[FEATURE_WORDS])
{
    for (unsigned i = 0; i < ARRAY_SIZE(depends); i++)
        if (!word_has(words, depends[i].needs))
            word_set(words, depends[i].feature, false);
}

/* ---- "cpuid=" ---- */

static uint32_t asked_on[FEATURE_WORDS], asked_off[FEATURE_WORDS];

static const struct {
    const char *name;
    uint16_t feature;
} feature_names[] = {
#define XEN_CPUFEATURE(name, value) {#name, (value)},
#include <xen/arch-x86/cpufeatureset.h>
#undef XEN_CPUFEATURE
};

/* Names are compared without case, and '-' is '_'. */
static bool name_is(const char *name, const char *word, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        char c = word[i] == '-' ? '_' : word[i];

        if (c >= 'a' && c <= 'z')
            c -= 'a' - 'A';
        if (name[i] != c)
            return false;
    }
    return name[len] == '\0';
}

static bool feature_by_name(const char *word, size_t len, unsigned *feature)
{
    for (unsigned i = 0; i < ARRAY_SIZE(feature_names); i++) {
        if (name_is(feature_names[i].name, word, len)) {
            *feature = feature_names[i].feature;
            return true;
        }
    }
    return false;
}

/* "cpuid=no-avx2,rdrand": features that guests (and Argon) are to have or not to have. */
static int parse_cpuid(const char *value, bool negated)
{
    int rc = negated ? -EINVAL : 0;

    while (*value) {
        const char *end = strchr(value, ',');
        size_t len = end ? (size_t)(end - value) : strlen(value);
        bool off = len > 3 && memcmp(value, "no-", 3) == 0;
        unsigned f;

        if (feature_by_name(value + (off ? 3 : 0), len - (off ? 3 : 0), &f))
            word_set(off ? asked_off : asked_on, f, true);
        else
            rc = -EINVAL;
        value += len + (end ? 1 : 0);
    }
    return rc;
}
PARAM_CUSTOM("cpuid", parse_cpuid);

/* ---- the other policies ---- */

static void set_masked(struct cpu_policy *p, uint32_t words[FEATURE_WORDS])
{
    cpu_features_sanitise(words);
    cpu_policy_set_featureset(p, words);
    cpu_policy_recalculate(p);
}

static void make_pv_max(const uint32_t host[FEATURE_WORDS])
{
    uint32_t words[FEATURE_WORDS], known[FEATURE_WORDS];
    struct cpu_policy *p = &policy_pv_max;

    known_features(known);
    *p = policy_host;
    for (unsigned i = 0; i < FEATURE_WORDS; i++)
        words[i] = host[i] & known[i];
    for (unsigned i = 0; i < ARRAY_SIZE(pv_hidden); i++)
        word_set(words, pv_hidden[i], false);
    /* Intel's names for AMD's controls: one set of MSR bits, so a PV guest sees Intel's. */
    if (word_has(host, X86_FEATURE_IBPB) && !word_has(host, X86_FEATURE_IBRSB))
        word_set(words, X86_FEATURE_IBPB, true);
    word_set(words, X86_FEATURE_HYPERVISOR, true);
    word_set(words, X86_FEATURE_OSXSAVE, false); /* dynamic */
    p->basic[5] = p->basic[6] = p->basic[0xa] = (struct cpuid_leaf){0};
    p->max_basic = min(p->max_basic, POLICY_BASIC - 1);
    p->max_extended = min(p->max_extended, 0x80000000u + POLICY_EXTENDED - 1);
    set_masked(p, words);
}

/* Never a fully virtual guest's: what would need support that is not there. */
static const uint16_t hvm_hidden[] = {
    X86_FEATURE_DS,        X86_FEATURE_TM1,          X86_FEATURE_PBE,      X86_FEATURE_DTES64,
    X86_FEATURE_MONITOR,   X86_FEATURE_DSCPL,        X86_FEATURE_VMX,      X86_FEATURE_SMX,
    X86_FEATURE_EIST,      X86_FEATURE_TM2,          X86_FEATURE_XTPR,     X86_FEATURE_PDCM,
    X86_FEATURE_DCA,       X86_FEATURE_TSC_DEADLINE, X86_FEATURE_SVM,      X86_FEATURE_EXTAPIC,
    X86_FEATURE_OSVW,      X86_FEATURE_IBS,          X86_FEATURE_SKINIT,   X86_FEATURE_WDT,
    X86_FEATURE_LWP,       X86_FEATURE_NODEID_MSR,   X86_FEATURE_TOPOEXT,  X86_FEATURE_MONITORX,
    X86_FEATURE_XSAVES,    X86_FEATURE_TSC_ADJUST,   X86_FEATURE_SGX,      X86_FEATURE_PQM,
    X86_FEATURE_MPX,       X86_FEATURE_PQE,          X86_FEATURE_PKU,      X86_FEATURE_OSPKE,
    X86_FEATURE_CET_SS,    X86_FEATURE_CET_IBT,      X86_FEATURE_ENQCMD,   X86_FEATURE_HW_PSTATE,
    X86_FEATURE_CPB,       X86_FEATURE_EFRO,         X86_FEATURE_X2APIC,   X86_FEATURE_INVPCID,
    X86_FEATURE_IBRSB,     X86_FEATURE_STIBP,        X86_FEATURE_SSBD,     X86_FEATURE_IBPB,
    X86_FEATURE_IBRS,      X86_FEATURE_AMD_STIBP,    X86_FEATURE_AMD_SSBD, X86_FEATURE_VIRT_SSBD,
    X86_FEATURE_ARCH_CAPS, X86_FEATURE_PROC_TRACE,
};

/* What a fully virtual guest may have, if the processor can have such guests; and it gets that. */
static void make_hvm(const uint32_t host[FEATURE_WORDS])
{
    uint32_t words[FEATURE_WORDS], known[FEATURE_WORDS];
    struct cpu_policy *p = &policy_hvm_max;

    if (!word_has(host, X86_FEATURE_SVM))
        return;
    known_features(known);
    *p = policy_host;
    for (unsigned i = 0; i < FEATURE_WORDS; i++)
        words[i] = host[i] & known[i];
    for (unsigned i = 0; i < ARRAY_SIZE(hvm_hidden); i++)
        word_set(words, hvm_hidden[i], false);
    word_set(words, X86_FEATURE_HYPERVISOR, true);
    word_set(words, X86_FEATURE_X2APIC, true); /* of the virtual APIC */
    word_set(words, X86_FEATURE_TSC_DEADLINE, true);
    word_set(words, X86_FEATURE_OSXSAVE, false); /* dynamic */
    p->basic[5] = p->basic[6] = p->basic[0xa] = (struct cpuid_leaf){0};
    p->max_basic = min(p->max_basic, POLICY_BASIC - 1);
    p->max_extended = min(p->max_extended, 0x80000009u);
    set_masked(p, words);
    policy_hvm_default = *p;
}

static void make_pv_default(void)
{
    uint32_t words[FEATURE_WORDS], max_words[FEATURE_WORDS];
    struct cpu_policy *p = &policy_pv_default;

    *p = policy_pv_max;
    cpu_policy_featureset(&policy_pv_max, max_words);
    memcpy(words, max_words, sizeof(words));
    for (unsigned i = 0; i < ARRAY_SIZE(pv_on_request); i++)
        word_set(words, pv_on_request[i], false);
    for (unsigned i = 0; i < FEATURE_WORDS; i++)
        words[i] = ((words[i] | asked_on[i]) & max_words[i]) & ~asked_off[i];
    word_set(words, X86_FEATURE_HYPERVISOR, true);
    set_masked(p, words);
}

void cpu_policy_calculate(const uint32_t host[FEATURE_WORDS])
{
    uint32_t words[FEATURE_WORDS];

    for (unsigned i = 0; i < FEATURE_WORDS; i++)
        words[i] = host[i] & ~asked_off[i];
    policy_host = policy_raw;
    set_masked(&policy_host, words);
    make_pv_max(words);
    make_pv_default();
    make_hvm(words);
}
