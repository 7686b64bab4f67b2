/* SPDX-License-Identifier: MIT */
/* CPUID as a fully virtual guest sees it: its policy, and the leaves by which it finds out where it
 * is. Public arch-x86/cpuid.h. */
#include "cpu/cpu.h"
#include "cpu/xstate.h"
#include "hvm/hvm.h"

#include <xen/arch-x86/cpuid.h>

#define HV_BASE     0x40000000u
#define HV_LAST     5u
#define HV_MSR_BASE 0x40000000u

static struct cpuid_leaf hypervisor_leaf(const struct vcpu *v, uint32_t n)
{
    uint32_t limit = v->domain->hvm_domain->policy->hypervisor_limit.a & 0xff;
    uint32_t last = limit ? min(HV_LAST, limit) : HV_LAST;

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
        return (struct cpuid_leaf){.a = 1, .b = HV_MSR_BASE};
    case 4:
        return (struct cpuid_leaf){
            .a = XEN_HVM_CPUID_VCPU_ID_PRESENT | XEN_HVM_CPUID_DOMID_PRESENT |
                 XEN_HVM_CPUID_UPCALL_VECTOR,
            .b = v->id,
            .c = v->domain->id,
        };
    case 5:
        return (struct cpuid_leaf){.b = cpu_paddr_bits};
    default:
        return (struct cpuid_leaf){0};
    }
}

struct cpuid_leaf hvm_cpuid(struct vcpu *v, uint32_t leaf, uint32_t subleaf)
{
    const struct hvm_vcpu *h = v->hvm;
    const struct cpuid_dynamic dyn = {
        .osxsave = h->cr4 & CR4_OSXSAVE,
        .apic_id = v->id * 2,
        .xcr0 = h->xcr0,
    };

    struct cpuid_leaf l;

    if (leaf - HV_BASE < 0x100)
        return hypervisor_leaf(v, leaf - HV_BASE);
    l = cpu_policy_cpuid(v->domain->hvm_domain->policy, leaf, subleaf, &dyn);
    if (leaf == 1 && !vlapic_hardware_enabled(&h->lapic))
        l.d &= ~(1u << (X86_FEATURE_APIC % 32));
    return l;
}
