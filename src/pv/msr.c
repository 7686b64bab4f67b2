/* SPDX-License-Identifier: MIT */
/* Model-specific registers as a PV guest's kernel sees them: a table of what it may read and write.
 * What is not in the table is #GP. ABI.md 3.7; Intel SDM vol. 4; AMD APM vol. 2, appendix A. */
#include <xen/domctl.h>
#include "cpu/cpu.h"
#include "cpu/spec.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "memory/layout.h"
#include "pv/internal.h"
#include "time/clock.h"

struct msr_rule {
    uint32_t first, last;
    int (*read)(struct vcpu *v, uint32_t index, uint64_t *val); /* NULL: #GP */
    int (*write)(struct vcpu *v, uint32_t index, uint64_t val); /* NULL: #GP */
};

/* ---- readers and writers that many have in common ---- */

static int read_zero(struct vcpu *v, uint32_t index, uint64_t *val)
{
    *val = 0;
    return 0;
}

static int read_host(struct vcpu *v, uint32_t index, uint64_t *val)
{
    return rdmsr_safe(index, val) ? -EPERM : 0;
}

static int write_ignored(struct vcpu *v, uint32_t index, uint64_t val)
{
    return 0;
}

/* ---- one by one ---- */

static int read_tsc(struct vcpu *v, uint32_t index, uint64_t *val)
{
    *val = pv_rdtsc(v);
    return 0;
}

static int read_apic_base(struct vcpu *v, uint32_t index, uint64_t *val)
{
    *val = 0xfee00000ul | APIC_BASE_ENABLE | (v->id == 0 ? APIC_BASE_BSP : 0);
    return 0;
}

static int read_efer(struct vcpu *v, uint32_t index, uint64_t *val)
{
    *val = cpu_efer & ~EFER_SVME;
    return 0;
}

static int write_efer(struct vcpu *v, uint32_t index, uint64_t val)
{
    return val == (cpu_efer & ~EFER_SVME) ? 0 : -EPERM;
}

static int read_pat(struct vcpu *v, uint32_t index, uint64_t *val)
{
    *val = PAT_VALUE;
    return 0;
}

static int write_pat(struct vcpu *v, uint32_t index, uint64_t val)
{
    return val == PAT_VALUE ? 0 : -EPERM;
}

static int read_fs_base(struct vcpu *v, uint32_t index, uint64_t *val)
{
    *val = pv_fs_base(v);
    return 0;
}

static int write_fs_base(struct vcpu *v, uint32_t index, uint64_t val)
{
    if (!is_canonical(val))
        return -EPERM;
    pv_set_fs_base(v, val);
    return 0;
}

static int read_gs_base(struct vcpu *v, uint32_t index, uint64_t *val)
{
    *val = pv_gs_base(v);
    return 0;
}

static int write_gs_base(struct vcpu *v, uint32_t index, uint64_t val)
{
    if (!is_canonical(val))
        return -EPERM;
    pv_set_gs_base(v, val);
    return 0;
}

static int read_kernel_gs_base(struct vcpu *v, uint32_t index, uint64_t *val)
{
    *val = rdmsr(MSR_KERNEL_GS_BASE);
    return 0;
}

static int write_kernel_gs_base(struct vcpu *v, uint32_t index, uint64_t val)
{
    if (!is_canonical(val))
        return -EPERM;
    wrmsr(MSR_KERNEL_GS_BASE, val);
    return 0;
}

#define MISC_ENABLE_PERF_MON     (1ull << 7)
#define MISC_ENABLE_BTS_UNAVAIL  (1ull << 11)
#define MISC_ENABLE_PEBS_UNAVAIL (1ull << 12)
#define MISC_ENABLE_MONITOR      (1ull << 18)

/* No performance counters, no tracing, no MWAIT. */
static int read_misc_enable(struct vcpu *v, uint32_t index, uint64_t *val)
{
    if (rdmsr_safe(index, val))
        return -EPERM;
    *val &= ~(MISC_ENABLE_PERF_MON | MISC_ENABLE_MONITOR);
    *val |= MISC_ENABLE_BTS_UNAVAIL | MISC_ENABLE_PEBS_UNAVAIL;
    return 0;
}

static int read_platform_info(struct vcpu *v, uint32_t index, uint64_t *val)
{
    *val = v->domain->pv->policy->platform_info;
    return cpu_vendor == CPU_INTEL ? 0 : -EPERM;
}

static int read_arch_caps(struct vcpu *v, uint32_t index, uint64_t *val)
{
    const struct cpu_policy *p = v->domain->pv->policy;

    if (!(p->feat[0].d & 1u << (X86_FEATURE_ARCH_CAPS % 32)))
        return -EPERM;
    *val = p->arch_caps;
    return 0;
}

static int read_misc_features(struct vcpu *v, uint32_t index, uint64_t *val)
{
    if (!(v->domain->pv->policy->platform_info & PLATFORM_INFO_CPUID_FAULTING))
        return -EPERM;
    *val = v->pv->msr_misc_features;
    return 0;
}

static int write_misc_features(struct vcpu *v, uint32_t index, uint64_t val)
{
    if (!(v->domain->pv->policy->platform_info & PLATFORM_INFO_CPUID_FAULTING) ||
        (val & ~MISC_FEATURES_CPUID_FAULT))
        return -EPERM;
    v->pv->msr_misc_features = val; /* the hardware faults for every guest already */
    return 0;
}

static bool has_feature(const struct vcpu *v, unsigned feature)
{
    return cpu_policy_has(v->domain->pv->policy, feature);
}

static int read_spec_ctrl(struct vcpu *v, uint32_t index, uint64_t *val)
{
    if (!has_feature(v, X86_FEATURE_IBRSB))
        return -EPERM;
    *val = v->pv->msr_spec_ctrl;
    return 0;
}

static int write_spec_ctrl(struct vcpu *v, uint32_t index, uint64_t val)
{
    uint64_t allowed = SPEC_CTRL_IBRS | SPEC_CTRL_STIBP;

    if (!has_feature(v, X86_FEATURE_IBRSB))
        return -EPERM;
    if (has_feature(v, X86_FEATURE_SSBD))
        allowed |= SPEC_CTRL_SSBD;
    if (has_feature(v, X86_FEATURE_INTEL_PSFD))
        allowed |= SPEC_CTRL_PSFD;
    if (val & ~allowed)
        return -EPERM;
    v->pv->msr_spec_ctrl = val;
    if (v == current())
        pv_load_msrs(v);
    return 0;
}

static int write_pred_cmd(struct vcpu *v, uint32_t index, uint64_t val)
{
    if (!has_feature(v, X86_FEATURE_IBRSB) && !has_feature(v, X86_FEATURE_IBPB))
        return -EPERM;
    if (val & ~PRED_CMD_IBPB)
        return -EPERM;
    if (val)
        wrmsr(MSR_PRED_CMD, val);
    return 0;
}

static int read_tsc_aux(struct vcpu *v, uint32_t index, uint64_t *val)
{
    *val = v->pv->msr_tsc_aux;
    return has_feature(v, X86_FEATURE_RDTSCP) ? 0 : -EPERM;
}

static int write_tsc_aux(struct vcpu *v, uint32_t index, uint64_t val)
{
    if (!has_feature(v, X86_FEATURE_RDTSCP) || val > 0xffffffffu)
        return -EPERM;
    v->pv->msr_tsc_aux = val;
    if (v == current())
        pv_load_msrs(v);
    return 0;
}

/* Machine check: the hypervisor handles it; a guest sees no banks. */
static int read_mcg_cap(struct vcpu *v, uint32_t index, uint64_t *val)
{
    *val = 0;
    return 0;
}

static int read_amd(struct vcpu *v, uint32_t index, uint64_t *val)
{
    *val = 0;
    return cpu_vendor == CPU_AMD ? 0 : -EPERM;
}

static int read_amd_host(struct vcpu *v, uint32_t index, uint64_t *val)
{
    return cpu_vendor == CPU_AMD && rdmsr_safe(index, val) == 0 ? 0 : -EPERM;
}

static int write_amd(struct vcpu *v, uint32_t index, uint64_t val)
{
    return cpu_vendor == CPU_AMD ? 0 : -EPERM;
}

#define DR_MASK_BITS 0xffffffffull

static int read_dr_mask(struct vcpu *v, uint32_t index, uint64_t *val)
{
    unsigned n = index == MSR_DR0_MASK ? 0 : index - MSR_DR1_MASK + 1;

    *val = v->pv->dr_mask[n & 3];
    return has_feature(v, X86_FEATURE_DBEXT) ? 0 : -EPERM;
}

static int write_dr_mask(struct vcpu *v, uint32_t index, uint64_t val)
{
    unsigned n = index == MSR_DR0_MASK ? 0 : index - MSR_DR1_MASK + 1;

    if (!has_feature(v, X86_FEATURE_DBEXT) || (val & ~DR_MASK_BITS))
        return -EPERM;
    v->pv->dr_mask[n & 3] = val;
    if (v == current() && (v->pv->dr7 & DR7_ENABLES))
        pv_debug_load(v);
    return 0;
}

/* Sorted by number: looked up by halving. */
static const struct msr_rule rules[] = {
    {MSR_TSC, MSR_TSC, read_tsc, NULL},
    {MSR_PLATFORM_ID, MSR_PLATFORM_ID, read_host, NULL},
    {MSR_APIC_BASE, MSR_APIC_BASE, read_apic_base, NULL},
    {MSR_SPEC_CTRL, MSR_SPEC_CTRL, read_spec_ctrl, write_spec_ctrl},
    {MSR_PRED_CMD, MSR_PRED_CMD, NULL, write_pred_cmd},
    {MSR_UCODE_WRITE, MSR_UCODE_WRITE, NULL, write_ignored},
    {MSR_UCODE_REV, MSR_UCODE_REV, read_host, write_ignored},
    {MSR_PLATFORM_INFO, MSR_PLATFORM_INFO, read_platform_info, NULL},
    {MSR_MPERF, MSR_APERF, NULL, write_ignored},
    {MSR_MTRRCAP, MSR_MTRRCAP, read_host, NULL},
    {MSR_ARCH_CAPABILITIES, MSR_ARCH_CAPABILITIES, read_arch_caps, NULL},
    {MSR_MISC_FEATURES, MSR_MISC_FEATURES, read_misc_features, write_misc_features},
    {MSR_MCG_CAP, MSR_MCG_CAP, read_mcg_cap, NULL},
    {MSR_MCG_STATUS, MSR_MCG_STATUS, read_zero, write_ignored},
    {MSR_PERF_STATUS, MSR_PERF_STATUS, read_host, NULL},
    {MSR_PERF_CTL, MSR_PERF_CTL, read_host, write_ignored},
    {MSR_THERM_CONTROL, MSR_THERM_CONTROL, read_host, write_ignored},
    {MSR_THERM_STATUS, MSR_THERM_STATUS, read_host, write_ignored},
    {MSR_MISC_ENABLE, MSR_MISC_ENABLE, read_misc_enable, write_ignored},
    {MSR_PACKAGE_THERM_STATUS, MSR_PACKAGE_THERM_STATUS, read_host, NULL},
    {MSR_DEBUGCTL, MSR_DEBUGCTL, read_zero, write_ignored},
    {MSR_PAT, MSR_PAT, read_pat, write_pat},
    {MSR_PERF_CAPABILITIES, MSR_PERF_CAPABILITIES, read_zero, NULL},
    {MSR_RAPL_UNIT, MSR_RAPL_UNIT, read_host, NULL},
    {MSR_EFER, MSR_EFER, read_efer, write_efer},
    {MSR_FS_BASE, MSR_FS_BASE, read_fs_base, write_fs_base},
    {MSR_GS_BASE, MSR_GS_BASE, read_gs_base, write_gs_base},
    {MSR_KERNEL_GS_BASE, MSR_KERNEL_GS_BASE, read_kernel_gs_base, write_kernel_gs_base},
    {MSR_TSC_AUX, MSR_TSC_AUX, read_tsc_aux, write_tsc_aux},
    {MSR_SYSCFG, MSR_SYSCFG, read_amd_host, NULL},
    {MSR_HWCR, MSR_HWCR, read_amd_host, write_amd},
    {MSR_NB_CFG, MSR_NB_CFG, read_amd, write_amd},
    {MSR_PATCH_LOADER, MSR_PATCH_LOADER, NULL, write_amd},
    {MSR_MMIO_CONF, MSR_MMIO_CONF, read_amd, write_amd},
    {MSR_PSTATE_LIMIT, MSR_PSTATE_DEF7, read_amd, write_amd},
    {MSR_DR1_MASK, MSR_DR1_MASK + 2, read_dr_mask, write_dr_mask},
    {MSR_DR0_MASK, MSR_DR0_MASK, read_dr_mask, write_dr_mask},
};

static const struct msr_rule *rule_of(uint32_t index)
{
    const struct msr_rule *r = rules;

    /* The first whose last number is not below the index: halving what is left, without branches
     * to mispredict. */
    for (unsigned n = ARRAY_SIZE(rules); n > 1; n -= n / 2)
        r = r[n / 2 - 1].last < index ? r + n / 2 : r;
    return r->first <= index && index <= r->last ? r : NULL;
}

int pv_rdmsr(struct vcpu *v, uint32_t index, uint64_t *val)
{
    const struct msr_rule *r = rule_of(index);

    if (!r || !r->read)
        return refuse(-EPERM, "rdmsr %#x", index);
    return r->read(v, index, val);
}

int pv_wrmsr(struct vcpu *v, uint32_t index, uint64_t val)
{
    const struct msr_rule *r = rule_of(index);
    int rc = r && r->write ? r->write(v, index, val) : -EPERM;

    return rc ? refuse(rc, "wrmsr %#x = %#lx", index, val) : 0;
}

bool pv_msr_rules_sorted(void)
{
    for (unsigned i = 0; i < ARRAY_SIZE(rules); i++)
        if (rules[i].first > rules[i].last || (i && rules[i].first <= rules[i - 1].last))
            return false;
    return true;
}

/* ---- those that a saved vCPU takes along ---- */

static const uint32_t kept[PV_MSRS] = {
    MSR_SPEC_CTRL, MSR_MISC_FEATURES, MSR_TSC_AUX,      MSR_DR0_MASK,
    MSR_DR1_MASK,  MSR_DR1_MASK + 1,  MSR_DR1_MASK + 2,
};

unsigned pv_vcpu_get_msrs(struct vcpu *v, struct xen_domctl_vcpu_msr *msrs)
{
    unsigned n = 0;

    for (unsigned i = 0; i < PV_MSRS; i++) {
        uint64_t val;

        if (rule_of(kept[i])->read(v, kept[i], &val) == 0 && val)
            msrs[n++] = (struct xen_domctl_vcpu_msr){.index = kept[i], .value = val};
    }
    return n;
}

static int write_kept(struct vcpu *v, const struct xen_domctl_vcpu_msr *m)
{
    for (unsigned i = 0; i < PV_MSRS; i++)
        if (kept[i] == m->index)
            return m->reserved ? -EINVAL : rule_of(m->index)->write(v, m->index, m->value);
    return -EINVAL;
}

int pv_vcpu_set_msrs(struct vcpu *v, const struct xen_domctl_vcpu_msr *msrs, unsigned *n)
{
    struct pv_vcpu *pv = v->pv;
    const uint64_t misc = pv->msr_misc_features, spec = pv->msr_spec_ctrl, aux = pv->msr_tsc_aux;
    uint32_t mask[ARRAY_SIZE(pv->dr_mask)];

    memcpy(mask, pv->dr_mask, sizeof(mask));
    for (unsigned i = 0; i < *n; i++) {
        if (!write_kept(v, &msrs[i]))
            continue;
        pv->msr_misc_features = misc;
        pv->msr_spec_ctrl = spec;
        pv->msr_tsc_aux = aux;
        memcpy(pv->dr_mask, mask, sizeof(mask));
        *n = i;
        return refuse(-EINVAL, "vCPU %u: MSR %#x = %#lx", v->id, msrs[i].index, msrs[i].value);
    }
    return 0;
}

uint64_t pv_rdtsc(struct vcpu *v)
{
    return v->domain->tsc.emulated ? domain_tsc_at(v->domain, time_now()) : rdtsc();
}
