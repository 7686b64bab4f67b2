/* SPDX-License-Identifier: MIT */
/* CPUID as a PV guest sees it: its policy, what changes while it runs, and the leaves by which it
 * finds out where it is. Public arch-x86/cpuid.h; ABI.md 3.7. */
#include "cpu/cpu.h"
#include "pv/internal.h"
#include "time/clock.h"

#include <xen/arch-x86/cpuid.h>

#define HV_BASE     0x40000000u
#define HV_LAST     5u
#define HV_MSR_BASE 0x40000000u

#define TIME_VTSC     1u
#define TIME_RELIABLE 2u
#define TIME_RDTSCP   4u

#define LEAF1_C_MONITOR (1u << (X86_FEATURE_MONITOR % 32))
#define LEAF1_C_EIST    (1u << (X86_FEATURE_EIST % 32))
#define LEAF1_D_MTRR    (1u << (X86_FEATURE_MTRR % 32))

static struct cpuid_leaf time_leaf(const struct domain *d, uint32_t subleaf)
{
    struct cpuid_leaf r = {0};
    const struct domain_tsc *t = &d->tsc;
    const struct time_scale *scale = t->emulated ? &t->scale : &time_scale;
    uint32_t khz = (uint32_t)(time_tsc_hz / 1000);

    switch (subleaf) {
    case 0:
        r.a = (t->emulated ? TIME_VTSC : 0) | (time_scale.stable ? TIME_RELIABLE : 0) |
              (cpu_has(X86_FEATURE_RDTSCP) ? TIME_RDTSCP : 0);
        r.b = t->mode;
        r.c = t->emulated ? t->khz : khz;
        r.d = t->incarnation;
        break;
    case 1:
        r.a = (uint32_t)t->zero_ns;
        r.b = (uint32_t)(t->zero_ns >> 32);
        r.c = scale->mul;
        r.d = (uint32_t)(uint8_t)scale->shift;
        break;
    case 2:
        r.a = khz;
        break;
    default:
        break;
    }
    return r;
}

static struct cpuid_leaf hypervisor_leaf(const struct domain *d, uint32_t n, uint32_t subleaf)
{
    uint32_t last = HV_LAST;

    if (d->pv->policy->hypervisor_limit.a & 0xff)
        last = min(last, d->pv->policy->hypervisor_limit.a & 0xff);
    if (n > last)
        return (struct cpuid_leaf){0};
    switch (n) {
    case 0:
        return (struct cpuid_leaf){
            .a = HV_BASE + last,
            .b = XEN_CPUID_SIGNATURE_EBX,
            .c = XEN_CPUID_SIGNATURE_ECX,
            .d = XEN_CPUID_SIGNATURE_EDX,
        };
    case 1:
        return (struct cpuid_leaf){.a = 4u << 16 | 17};
    case 2:
        return (struct cpuid_leaf){
            .a = 1, /* one hypercall page */
            .b = HV_MSR_BASE,
            .c = XEN_CPUID_FEAT1_MMU_PT_UPDATE_PRESERVE_AD,
        };
    case 3:
        return time_leaf(d, subleaf);
    case 5:
        return (struct cpuid_leaf){.b = cpu_paddr_bits};
    default:
        return (struct cpuid_leaf){0};
    }
}

/* Domain 0's kernel manages the processor's power by bits of the real one. */
static void show_host(struct vcpu *v, uint32_t leaf, enum pv_cpuid_how how, struct cpuid_leaf *r)
{
    if (!v->domain->hardware || !v->pv->in_kernel)
        return;
    if (leaf == 1) {
        r->c |= policy_raw.basic[1].c & LEAF1_C_EIST;
        r->d |= policy_raw.basic[1].d & LEAF1_D_MTRR;
        if (how == PV_CPUID_FAULTED)
            r->c |= policy_raw.basic[1].c & LEAF1_C_MONITOR;
    }
    if (leaf == 5 && how == PV_CPUID_FAULTED)
        *r = policy_raw.basic[5];
}

struct cpuid_leaf pv_cpuid(struct vcpu *v, uint32_t leaf, uint32_t subleaf, enum pv_cpuid_how how)
{
    struct domain *d = v->domain;
    const struct cpu_policy *p = d->pv->policy;
    struct cpuid_dynamic dyn = {.apic_id = v->id * 2, .xcr0 = v->pv->xcr0};
    struct cpuid_leaf r;

    if (leaf - HV_BASE < 0x100)
        return hypervisor_leaf(d, leaf - HV_BASE, subleaf);
    /* A PV kernel looks at OSXSAVE before it can have set it, and would do without XSAVE. */
    dyn.osxsave = (v->pv->cr4 & CR4_OSXSAVE) || (how == PV_CPUID_FORCED && v->pv->in_kernel &&
                                                 (p->basic[1].c & 1u << (X86_FEATURE_XSAVE % 32)));
    r = cpu_policy_cpuid(p, leaf, subleaf, &dyn);
    show_host(v, leaf, how, &r);
    return r;
}
