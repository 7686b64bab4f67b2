/* SPDX-License-Identifier: MIT */
/* Control registers, EFER and XCR0 of a fully virtual guest: what a write checks and changes. AMD
 * APM vol. 2, 3.1 and 14.6. */
#include "cpu/cpu.h"
#include "cpu/xstate.h"
#include "hvm/hvm.h"
#include "lib/errno.h"
#include "memory/layout.h"

#define CR0_DEFINED                                                                            \
    (CR0_PE | CR0_MP | CR0_EM | CR0_TS | CR0_ET | CR0_NE | CR0_WP | CR0_AM | CR0_NW | CR0_CD | \
     CR0_PG)
#define EFER_ALLOWED (EFER_SCE | EFER_LME | EFER_LMA | EFER_NX)
#define CR4_ALWAYS                                                                            \
    (CR4_VME | CR4_PVI | CR4_TSD | CR4_DE | CR4_PSE | CR4_PAE | CR4_MCE | CR4_PGE | CR4_PCE | \
     CR4_OSFXSR | CR4_OSXMMEXCPT)

uint8_t hvm_code_bits(const struct vcpu *v)
{
    struct emul_segment cs;

    if (!(v->hvm->cr0 & CR0_PE) || cpu_local()->guest.rflags & RFLAGS_VM)
        return 16;
    hvm_ops->get_segment(v, EMUL_SEG_CS, &cs);
    if ((v->hvm->efer & EFER_LMA) && (cs.attr & EMUL_SEG_ATTR_L))
        return 64;
    return cs.attr & EMUL_SEG_ATTR_DB ? 32 : 16;
}

int hvm_write_cr0(struct vcpu *v, uint64_t val)
{
    struct hvm_vcpu *h = v->hvm;

    if (val >> 32 || ((val & CR0_PG) && !(val & CR0_PE)) || ((val & CR0_NW) && !(val & CR0_CD)))
        return refuse(-EPERM, "cr0 %#lx", val);
    if ((val & CR0_PG) && !(h->cr0 & CR0_PG) && (h->efer & EFER_LME)) {
        struct emul_segment cs;

        hvm_ops->get_segment(v, EMUL_SEG_CS, &cs);
        if (!(h->cr4 & CR4_PAE) || (cs.attr & EMUL_SEG_ATTR_L))
            return refuse(-EPERM, "long mode without PAE, or from a 64-bit segment");
        h->efer |= EFER_LMA;
    }
    if (!(val & CR0_PG) && (h->cr0 & CR0_PG) && (h->efer & EFER_LMA)) {
        if (hvm_code_bits(v) == 64)
            return refuse(-EPERM, "paging off in 64-bit mode");
        h->efer &= ~EFER_LMA;
    }
    h->cr0 = (val & CR0_DEFINED) | CR0_ET;
    hvm_ops->update_control(v);
    return 0;
}

int hvm_write_cr3(struct vcpu *v, uint64_t val)
{
    if ((v->hvm->efer & EFER_LMA) && val >> cpu_paddr_bits)
        return refuse(-EPERM, "cr3 %#lx", val);
    hvm_ops->set_cr(v, 3, val);
    hvm_ops->update_control(v); /* translations go */
    return 0;
}

static uint64_t cr4_allowed(const struct vcpu *v)
{
    static const struct {
        uint16_t feature;
        uint32_t bit;
    } by_feature[] = {
        {X86_FEATURE_UMIP, CR4_UMIP},  {X86_FEATURE_FSGSBASE, CR4_FSGSBASE},
        {X86_FEATURE_PCID, CR4_PCIDE}, {X86_FEATURE_XSAVE, CR4_OSXSAVE},
        {X86_FEATURE_SMEP, CR4_SMEP},  {X86_FEATURE_SMAP, CR4_SMAP},
    };
    uint64_t bits = CR4_ALWAYS;

    for (unsigned i = 0; i < ARRAY_SIZE(by_feature); i++)
        if (cpu_policy_has(v->domain->hvm_domain->policy, by_feature[i].feature))
            bits |= by_feature[i].bit;
    return bits;
}

int hvm_write_cr4(struct vcpu *v, uint64_t val)
{
    struct hvm_vcpu *h = v->hvm;

    if (val & ~cr4_allowed(v))
        return refuse(-EPERM, "cr4 %#lx, allowed are %#lx", val, cr4_allowed(v));
    if ((h->efer & EFER_LMA) && !(val & CR4_PAE))
        return refuse(-EPERM, "PAE off in long mode");
    if ((val & CR4_PCIDE) && !(h->cr4 & CR4_PCIDE) &&
        (!(h->efer & EFER_LMA) || (hvm_ops->get_cr(v, 3) & CR3_PCID_MASK)))
        return refuse(-EPERM, "PCIDE outside long mode, or with a PCID loaded");
    h->cr4 = val;
    hvm_ops->update_control(v);
    return 0;
}

int hvm_write_efer(struct vcpu *v, uint64_t val)
{
    struct hvm_vcpu *h = v->hvm;

    if (val & ~EFER_ALLOWED)
        return refuse(-EPERM, "EFER %#lx", val);
    if (((val ^ h->efer) & EFER_LME) && (h->cr0 & CR0_PG))
        return refuse(-EPERM, "EFER.LME changed while paging");
    h->efer = (val & ~EFER_LMA) | (h->efer & EFER_LMA);
    hvm_ops->update_control(v);
    return 0;
}

int hvm_check_control(const struct vcpu *v, uint64_t cr0, uint64_t cr3, uint64_t cr4, uint64_t efer)
{
    bool lma = efer & EFER_LMA;

    if ((cr0 & ~CR0_DEFINED) || ((cr0 & CR0_PG) && !(cr0 & CR0_PE)) ||
        ((cr0 & CR0_NW) && !(cr0 & CR0_CD)))
        return refuse(-EINVAL, "cr0 %#lx", cr0);
    if ((cr4 & ~cr4_allowed(v)) || ((cr4 & CR4_PCIDE) && !lma))
        return refuse(-EINVAL, "cr4 %#lx, allowed are %#lx", cr4, cr4_allowed(v));
    if ((efer & ~EFER_ALLOWED) || lma != ((efer & EFER_LME) && (cr0 & CR0_PG)))
        return refuse(-EINVAL, "EFER %#lx with cr0 %#lx", efer, cr0);
    if (lma && (!(cr4 & CR4_PAE) || cr3 >> cpu_paddr_bits))
        return refuse(-EINVAL, "long mode with cr4 %#lx, cr3 %#lx", cr4, cr3);
    return 0;
}

int hvm_xsetbv(struct vcpu *v, uint64_t val)
{
    struct hvm_vcpu *h = v->hvm;
    const struct cpuid_leaf *l = &v->domain->hvm_domain->policy->xstate[0];

    if (!(h->cr4 & CR4_OSXSAVE) || !xstate_xcr0_ok(val, l->a | (uint64_t)l->d << 32))
        return refuse(-EPERM, "xsetbv %#lx", val);
    /* What was never enabled may hold values of others: the image has it in its initial state. */
    xstate_save(h->xstate, h->xcr0_accum);
    h->xcr0 = val;
    h->xcr0_accum |= val;
    xstate_restore(h->xstate, h->xcr0_accum, h->xcr0);
    return 0;
}
