/* SPDX-License-Identifier: MIT */
/* What the processor can do: the words of the public featureset as CPUID gives them ("raw"), what
 * Argon uses of it ("host"), the vendor, and the width of addresses.
 *
 * Intel SDM vol. 2A, CPUID; AMD APM vol. 3, appendix E; public arch-x86/cpufeatureset.h. */
#include "base/log.h"
#include "base/panic.h"
#include "base/param.h"
#include "cpu/cpu.h"
#include "cpu/policy.h"
#include "cpu/spec.h"
#include "cpu/xstate.h"
#include "hw/ops.h"
#include "lib/string.h"

enum cpu_vendor cpu_vendor;
unsigned cpu_paddr_bits = 36;
uint64_t cpu_pte_reserved;

/* Decided by cpu_init_tables(). */
uint64_t cpu_cr4;
uint64_t cpu_efer;
bool cpu_smap;
DEFINE_PER_CPU(mfn_t, gdt_mfn);

uint32_t cpu_host_words[FEATURE_WORDS];

static void host_clear(unsigned feature)
{
    cpu_host_words[feature / 32] &= ~(1u << (feature % 32));
}

/* Options "smap", "smep" and so on: a feature the processor has is not used. */
static bool use_smap = true, use_smep = true, use_xsave = true, use_fsgsbase = true;
PARAM_BOOL("smap", use_smap);
PARAM_BOOL("smep", use_smep);
PARAM_BOOL("xsave", use_xsave);
PARAM_BOOL("fsgsbase", use_fsgsbase);

static void apply_options(void)
{
    if (!use_smap)
        host_clear(X86_FEATURE_SMAP);
    if (!use_smep)
        host_clear(X86_FEATURE_SMEP);
    if (!use_xsave)
        host_clear(X86_FEATURE_XSAVE);
    if (!use_fsgsbase)
        host_clear(X86_FEATURE_FSGSBASE);
}

static enum cpu_vendor vendor_of(const struct cpuid_leaf *l)
{
    char name[12];

    memcpy(name, &l->b, 4);
    memcpy(name + 4, &l->d, 4);
    memcpy(name + 8, &l->c, 4);
    if (memcmp(name, "GenuineIntel", 12) == 0)
        return CPU_INTEL;
    if (memcmp(name, "AuthenticAMD", 12) == 0 || memcmp(name, "HygonGenuine", 12) == 0)
        return CPU_AMD;
    return CPU_OTHER;
}

static void require(unsigned feature, const char *name)
{
    if (!cpu_has(feature))
        fatal("this processor has no %s, which Argon needs", name);
}

void cpu_detect(void)
{
    struct cpuid_leaf basic = hw_cpuid(0, 0);

    cpu_vendor = vendor_of(&basic);
    cpu_policy_detect();
    cpu_policy_featureset(&policy_raw, cpu_host_words);
    apply_options();

    require(X86_FEATURE_LM, "long mode");
    require(X86_FEATURE_NX, "no-execute pages");
    require(X86_FEATURE_SYSCALL, "SYSCALL");
    require(X86_FEATURE_CX8, "CMPXCHG8B");
    require(X86_FEATURE_FXSR, "FXSAVE");
    require(X86_FEATURE_SSE2, "SSE2");
    require(X86_FEATURE_APIC, "local APIC");
    require(X86_FEATURE_MSR, "RDMSR");

    if (policy_raw.max_extended >= 0x80000008u)
        cpu_paddr_bits = policy_raw.ext[8].a & 0xff;
    if (cpu_paddr_bits < 32 || cpu_paddr_bits > 52)
        cpu_paddr_bits = 36;
    cpu_pte_reserved = 0x000ffffffffff000ull & ~((1ull << cpu_paddr_bits) - 1);

    xstate_detect();
    spec_detect();
    cpu_policy_calculate(cpu_host_words);
    log_info("CPU: family %#x, model %#x, stepping %u, %u address bits", policy_raw.family,
             policy_raw.model, policy_raw.basic[1].a & 15, cpu_paddr_bits);
}
