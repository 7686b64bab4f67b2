/* SPDX-License-Identifier: MIT */
/* Model-specific registers of a fully virtual guest: a table of what there is, and what the back
 * end switches. All else is #GP. AMD APM vol. 2, appendix A; Intel SDM vol. 4; vol. 3A, 12.11
 * (MTRRs). */
#include "cpu/cpu.h"
#include "cpu/xstate.h"
#include "hvm/hvm.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "memory/layout.h"

#define MSR_HYPERCALL_PAGE 0x40000000u
#define MTRR_CAP           (HVM_MTRR_VAR / 2 | 1u << 8 | 1u << 10) /* fixed ranges, WC */

struct rule {
    uint32_t first, last;
    int (*read)(struct vcpu *v, uint32_t n, uint64_t *val); /* n: index - first */
    int (*write)(struct vcpu *v, uint32_t n, uint64_t val); /* NULL: #GP */
};

static int read_zero(struct vcpu *v, uint32_t n, uint64_t *val)
{
    *val = 0;
    return 0;
}

static int write_ignored(struct vcpu *v, uint32_t n, uint64_t val)
{
    return 0;
}

static int read_tsc(struct vcpu *v, uint32_t n, uint64_t *val)
{
    *val = rdtsc();
    return 0;
}

static int read_apic_base(struct vcpu *v, uint32_t n, uint64_t *val)
{
    *val = v->hvm->lapic.base;
    return 0;
}

static int write_apic_base(struct vcpu *v, uint32_t n, uint64_t val)
{
    return vlapic_set_base(&v->hvm->lapic, val);
}

static int read_x2apic(struct vcpu *v, uint32_t n, uint64_t *val)
{
    return vlapic_read_msr(&v->hvm->lapic, n, val);
}

static int write_x2apic(struct vcpu *v, uint32_t n, uint64_t val)
{
    return vlapic_write_msr(&v->hvm->lapic, n, val);
}

static int read_tsc_deadline(struct vcpu *v, uint32_t n, uint64_t *val)
{
    *val = vlapic_deadline(&v->hvm->lapic);
    return 0;
}

static int write_tsc_deadline(struct vcpu *v, uint32_t n, uint64_t val)
{
    vlapic_set_deadline(&v->hvm->lapic, val);
    return 0;
}

static int read_efer(struct vcpu *v, uint32_t n, uint64_t *val)
{
    *val = v->hvm->efer;
    return 0;
}

static int write_efer(struct vcpu *v, uint32_t n, uint64_t val)
{
    return hvm_write_efer(v, val);
}

static int read_tsc_aux(struct vcpu *v, uint32_t n, uint64_t *val)
{
    *val = v->hvm->tsc_aux;
    return 0;
}

static int write_tsc_aux(struct vcpu *v, uint32_t n, uint64_t val)
{
    if (val >> 32 || !cpu_has(X86_FEATURE_RDTSCP))
        return -EPERM;
    v->hvm->tsc_aux = val;
    cpu_tsc_aux_load((uint32_t)val);
    return 0;
}

/* ---- memory types: kept and told again; nested paging with write-back RAM needs none of them ----
 */

static bool memory_type_ok(uint64_t t)
{
    return t == 0 || t == 1 || (t >= 4 && t <= 6);
}

static int read_mtrr_cap(struct vcpu *v, uint32_t n, uint64_t *val)
{
    *val = MTRR_CAP;
    return 0;
}

static int read_mtrr_def(struct vcpu *v, uint32_t n, uint64_t *val)
{
    *val = v->hvm->mtrr_def;
    return 0;
}

static int write_mtrr_def(struct vcpu *v, uint32_t n, uint64_t val)
{
    if (val & ~0xcffull || !memory_type_ok(val & 0xff))
        return -EPERM;
    v->hvm->mtrr_def = val;
    return 0;
}

static int read_mtrr_var(struct vcpu *v, uint32_t n, uint64_t *val)
{
    *val = v->hvm->mtrr_var[index_nospec(n, HVM_MTRR_VAR)];
    return 0;
}

static int write_mtrr_var(struct vcpu *v, uint32_t n, uint64_t val)
{
    uint64_t reserved = ~((1ull << cpu_paddr_bits) - 1) | (n & 1 ? 0x7ffull : 0xf00ull);

    if (val & reserved || (!(n & 1) && !memory_type_ok(val & 0xff)))
        return -EPERM;
    v->hvm->mtrr_var[index_nospec(n, HVM_MTRR_VAR)] = val;
    return 0;
}

static int write_fixed(struct vcpu *v, uint32_t i, uint64_t val)
{
    for (unsigned n = 0; n < 8; n++)
        if (!memory_type_ok(val >> n * 8 & 0xff))
            return -EPERM;
    v->hvm->mtrr_fixed[index_nospec(i, HVM_MTRR_FIXED)] = val;
    return 0;
}

static int read_mtrr_fixed(struct vcpu *v, uint32_t n, uint64_t *val)
{
    *val = v->hvm->mtrr_fixed[0];
    return 0;
}

static int write_mtrr_fixed(struct vcpu *v, uint32_t n, uint64_t val)
{
    return write_fixed(v, 0, val);
}

static int read_mtrr_fixed16(struct vcpu *v, uint32_t n, uint64_t *val)
{
    *val = v->hvm->mtrr_fixed[1 + n];
    return 0;
}

static int write_mtrr_fixed16(struct vcpu *v, uint32_t n, uint64_t val)
{
    return write_fixed(v, 1 + n, val);
}

static int read_mtrr_fixed4(struct vcpu *v, uint32_t n, uint64_t *val)
{
    *val = v->hvm->mtrr_fixed[3 + n];
    return 0;
}

static int write_mtrr_fixed4(struct vcpu *v, uint32_t n, uint64_t val)
{
    return write_fixed(v, 3 + n, val);
}

/* ---- the hypercall page: the guest names a frame, and finds it filled ---- */

static int write_hypercall_page(struct vcpu *v, uint32_t n, uint64_t val)
{
    mfn_t m;

    if (val & ~PAGE_MASK)
        return refuse(-EPERM, "hypercall page %lu: there is one", val & ~PAGE_MASK);
    if (p2m_get(&v->domain->hvm_domain->p2m, val >> PAGE_SHIFT, true, &m))
        return refuse(-EPERM, "hypercall page at %lx, where there is no RAM", val);
    hvm_hypercall_page_fill(mfn_to_virt(m));
    frame_put(m);
    return 0;
}

static const struct rule rules[] = {
    {MSR_TSC, MSR_TSC, read_tsc, write_ignored},
    {MSR_APIC_BASE, MSR_APIC_BASE, read_apic_base, write_apic_base},
    {MSR_X2APIC_BASE, MSR_X2APIC_BASE + 0x3f, read_x2apic, write_x2apic},
    {MSR_TSC_DEADLINE, MSR_TSC_DEADLINE, read_tsc_deadline, write_tsc_deadline},
    {MSR_MTRRCAP, MSR_MTRRCAP, read_mtrr_cap, NULL},
    {MSR_UCODE_REV, MSR_UCODE_REV, read_zero, write_ignored},
    {MSR_MCG_CAP, MSR_MCG_STATUS, read_zero, write_ignored},
    {MSR_DEBUGCTL, MSR_DEBUGCTL, read_zero, write_ignored},
    {MSR_MTRR_PHYSBASE0, MSR_MTRR_PHYSBASE0 + HVM_MTRR_VAR - 1, read_mtrr_var, write_mtrr_var},
    {0x250, 0x250, read_mtrr_fixed, write_mtrr_fixed},
    {0x258, 0x259, read_mtrr_fixed16, write_mtrr_fixed16},
    {0x268, 0x26f, read_mtrr_fixed4, write_mtrr_fixed4},
    {MSR_MTRR_DEF_TYPE, MSR_MTRR_DEF_TYPE, read_mtrr_def, write_mtrr_def},
    {MSR_HYPERCALL_PAGE, MSR_HYPERCALL_PAGE, read_zero, write_hypercall_page},
    {MSR_EFER, MSR_EFER, read_efer, write_efer},
    {MSR_TSC_AUX, MSR_TSC_AUX, read_tsc_aux, write_tsc_aux},
    {MSR_SYSCFG, MSR_SYSCFG, read_zero, NULL},
    {MSR_HWCR, MSR_HWCR, read_zero, write_ignored},
    {MSR_NB_CFG, MSR_NB_CFG, read_zero, write_ignored}, /* kernels set bits of it without care */
};

static const struct rule *rule_for(uint32_t index)
{
    for (unsigned i = 0; i < ARRAY_SIZE(rules); i++)
        if (index >= rules[i].first && index <= rules[i].last)
            return &rules[i];
    return NULL;
}

int hvm_rdmsr(struct vcpu *v, uint32_t index, uint64_t *val)
{
    const struct rule *r = rule_for(index);

    if (r)
        return r->read(v, index - r->first, val);
    if (hvm_ops->get_msr(v, index, val))
        return 0;
    return refuse(-EPERM, "rdmsr %#x", index);
}

static bool value_ok(uint32_t index, uint64_t val)
{
    switch (index) {
    case MSR_LSTAR:
    case MSR_CSTAR:
    case MSR_FS_BASE:
    case MSR_GS_BASE:
    case MSR_KERNEL_GS_BASE:
    case MSR_SYSENTER_ESP:
    case MSR_SYSENTER_EIP:
        return is_canonical(val);
    case MSR_PAT:
        for (unsigned n = 0; n < 8; n++)
            if (!memory_type_ok(val >> n * 8 & 0xff) && (val >> n * 8 & 0xff) != 7)
                return false;
        return true;
    default:
        return true;
    }
}

int hvm_wrmsr(struct vcpu *v, uint32_t index, uint64_t val)
{
    const struct rule *r = rule_for(index);

    if (r && r->write)
        return r->write(v, index - r->first, val);
    if (!r && value_ok(index, val) && hvm_ops->set_msr(v, index, val))
        return 0;
    return refuse(-EPERM, "wrmsr %#x = %#lx", index, val);
}
