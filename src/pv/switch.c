/* SPDX-License-Identifier: MIT */
/* Entering and leaving a CPU: everything of a PV vCPU that lives in the processor besides its
 * general registers. Extended state is saved and restored each time: registers left behind for
 * later would show one guest's secrets to the next under speculation.
 *
 * The descriptor tables of the hypervisor are this CPU's own page (cpu/init.c); while a PV vCPU
 * runs, GDTR points at its window of slot L4_PERDOMAIN, where the same page stands behind the
 * guest's frames. So GDTR leaves the window before cr3 leaves the domain. */
#include "base/softirq.h"
#include "cpu/cpu.h"
#include "cpu/spec.h"
#include "cpu/xpti.h"
#include "cpu/xstate.h"
#include "lib/errno.h"
#include "memory/map.h"
#include "memory/tlb.h"
#include "pv/internal.h"

/* What this CPU's registers hold, so that they are written only when they change. */
struct switch_state {
    struct domain *domain; /* whose translations may be here; its dirty_cpus has this CPU */
    uint64_t spec_ctrl;
    bool cpuid_faulting;
};
static DEFINE_PER_CPU(struct switch_state, switch_state);

/* ---- control registers ---- */

uint64_t pv_cr4_guest_mask(const struct domain *d)
{
    const struct cpu_policy *p = d->pv->policy;
    uint64_t mask = CR4_TSD | CR4_DE;

    if (p->feat[0].b & 1u << (X86_FEATURE_FSGSBASE % 32))
        mask |= CR4_FSGSBASE;
    if (p->basic[1].c & 1u << (X86_FEATURE_XSAVE % 32))
        mask |= CR4_OSXSAVE;
    return mask;
}

/* OSXSAVE stays on, since the hypervisor needs it; UMIP off, since PV kernels are in ring 3. */
uint64_t pv_cr4_for(const struct vcpu *v)
{
    uint64_t cr4 = cpu_cr4 & ~(CR4_TSD | CR4_DE | CR4_FSGSBASE | CR4_UMIP);

    cr4 |= v->pv->cr4 & (CR4_TSD | CR4_DE | CR4_FSGSBASE);
    return v->domain->tsc.emulated ? cr4 | CR4_TSD : cr4;
}

uint64_t pv_cr4_view(const struct vcpu *v)
{
    const uint64_t hidden = CR4_VMXE | CR4_SMEP | CR4_SMAP | CR4_UMIP | CR4_PCIDE | CR4_LA57 |
                            CR4_PKE | CR4_PGE | CR4_PSE;
    uint64_t mask = pv_cr4_guest_mask(v->domain);

    return (cpu_cr4 & ~(hidden | CR4_TSD | CR4_DE | CR4_FSGSBASE | CR4_OSXSAVE)) |
           (v->pv->cr4 & mask);
}

void pv_cr4_write(struct vcpu *v, uint64_t val)
{
    v->pv->cr4 = val & pv_cr4_guest_mask(v->domain);
    write_cr4(pv_cr4_for(v));
}

static void load_cr4(const struct vcpu *v)
{
    uint64_t cr4 = pv_cr4_for(v);

    if (read_cr4() != cr4)
        write_cr4(cr4);
}

/* Those of its mode. Without PCIDs this drops what is not global. */
static void load_tables(struct vcpu *v)
{
    const struct pv_vcpu *pv = v->pv;
    mfn_t l4 = pv->in_kernel ? pv->kernel_l4 : pv->user_l4;

    if (likely(!xpti_active)) {
        write_cr3(l4.n << PAGE_SHIFT);
    } else if (v->domain->hardware ? spec_xpti_dom0 : spec_xpti_domu) {
        xpti_load(l4, pv->in_kernel);
    } else {
        xpti_unload();
        write_cr3(l4.n << PAGE_SHIFT);
    }
}

void pv_load_cr3(struct vcpu *v)
{
    load_tables(v);
    /* After the load: until then the processor may still walk the tables that go. */
    if (unlikely(tlb_pcid))
        tlb_flush_cpu();
}

void pv_toggle_mode(struct vcpu *v)
{
    hw_swapgs();
    v->pv->in_kernel = !v->pv->in_kernel;
    load_tables(v);
    if (unlikely(v->areas_stale) && v->pv->in_kernel)
        vcpu_areas_update(v);
}

int pv_xsetbv(struct vcpu *v, uint64_t val)
{
    struct pv_vcpu *pv = v->pv;
    const struct cpuid_leaf *l = &v->domain->pv->policy->xstate[0];
    bool ts = pv->ts;

    if (!(pv->cr4 & CR4_OSXSAVE) || !xstate_xcr0_ok(val, l->a | (uint64_t)l->d << 32))
        return refuse(-EPERM, "xsetbv %#lx", val);
    /* What was never enabled may hold values of others: the image has it in its initial state. */
    if (ts)
        cpu_clts();
    xstate_save(pv->xstate, pv->xcr0_accum);
    pv->xcr0 = val;
    pv->xcr0_accum |= val;
    xstate_restore(pv->xstate, pv->xcr0_accum, pv->xcr0);
    if (ts)
        write_cr0(read_cr0() | CR0_TS);
    return 0;
}

/* ---- descriptor tables and segments ---- */

void pv_load_ldt(const struct vcpu *v)
{
    uint64_t *slot = mfn_to_virt(this_cpu(gdt_mfn));
    uint64_t base = pv_ldt_va(v), limit = v->pv->ldt_entries * 8ul - 1;

    if (v->pv->ldt_entries == 0) {
        hw_lldt(0);
        return;
    }
    slot += (SEL_LDT - GDT_RESERVED_OFFSET) / 8;
    slot[0] = (limit & 0xffff) | (base & 0xffffff) << 16 | 0x82ull << 40 |
              (limit >> 16 & 0xf) << 48 | (base >> 24 & 0xff) << 56;
    slot[1] = base >> 32;
    hw_lldt(SEL_LDT);
}

/* The hypervisor's own table, at its place in the direct map. */
static void load_own_gdt(void)
{
    hw_lgdt(&(struct table_register){
        .limit = GDT_LIMIT,
        .base = (uintptr_t)mfn_to_virt(this_cpu(gdt_mfn)) - GDT_RESERVED_OFFSET,
    });
}

static void save_segments(struct pv_vcpu *pv, const struct vcpu *v)
{
    uint64_t active = pv_gs_base(v), other = rdmsr(MSR_KERNEL_GS_BASE);

    pv->ds = read_ds();
    pv->es = read_es();
    pv->fs = read_fs();
    pv->gs = read_gs();
    pv->fs_base = pv_fs_base(v);
    pv->gs_base_kernel = pv->in_kernel ? active : other;
    pv->gs_base_user = pv->in_kernel ? other : active;
}

/* Selectors that are null on both sides, the usual case of 64-bit guests, need no load. */
static void load_segments(struct pv_vcpu *pv, struct vcpu *v)
{
    bool failed = false;

    if (unlikely(pv->ds | read_ds()))
        failed |= load_ds_safe(pv->ds) != 0;
    if (unlikely(pv->es | read_es()))
        failed |= load_es_safe(pv->es) != 0;
    if (unlikely(pv->fs | read_fs()))
        failed |= load_fs_safe(pv->fs) != 0;
    if (unlikely(pv->gs | read_gs()))
        failed |= load_gs_safe(pv->gs) != 0;
    pv_set_fs_base(v, pv->fs_base);
    pv_set_gs_base(v, pv->in_kernel ? pv->gs_base_kernel : pv->gs_base_user);
    wrmsr(MSR_KERNEL_GS_BASE, pv->in_kernel ? pv->gs_base_user : pv->gs_base_kernel);
    if (unlikely(failed)) {
        pv->failsafe_sel[0] = pv->ds;
        pv->failsafe_sel[1] = pv->es;
        pv->failsafe_sel[2] = pv->fs;
        pv->failsafe_sel[3] = pv->gs;
        pv->failsafe_pending = true;
    }
}

/* ---- MSRs ---- */

void pv_load_msrs(const struct vcpu *v)
{
    const struct pv_vcpu *pv = v->pv;
    struct switch_state *s = this_cpu_ptr(switch_state);
    uint64_t spec = pv->msr_spec_ctrl ? pv->msr_spec_ctrl & spec_ctrl_guest_mask() : 0;
    bool faulting = policy_host.platform_info & PLATFORM_INFO_CPUID_FAULTING;

    cpu_tsc_aux_load((uint32_t)pv->msr_tsc_aux);
    if (s->spec_ctrl != spec) {
        wrmsr(MSR_SPEC_CTRL, spec);
        s->spec_ctrl = spec;
    }
    if (faulting && !s->cpuid_faulting) {
        wrmsr(MSR_MISC_FEATURES, MISC_FEATURES_CPUID_FAULT);
        s->cpuid_faulting = true;
    }
}

/* ---- address spaces ---- */

/* Translations of the domain that ran here go, and it need not ask this CPU to flush any more. */
static void leave_domain(struct switch_state *s)
{
    tlb_flush_cpu();
    bit_test_and_clear_atomic(s->domain->memory.dirty_cpus.bits, cpu_id());
    s->domain = NULL;
}

void pv_switch_idle(void)
{
    struct switch_state *s = this_cpu_ptr(switch_state);

    if (!s->domain)
        return;
    write_cr3(hv_cr3());
    leave_domain(s);
}

static void enter_domain(struct vcpu *v, struct switch_state *s)
{
    struct domain *d = v->domain;

    xpti_forget();
    if (s->domain == d) {
        pv_load_cr3(v);
        return;
    }
    bit_test_and_set_atomic(d->memory.dirty_cpus.bits, cpu_id());
    load_tables(v);
    if (s->domain)
        leave_domain(s);
    s->domain = d;
    spec_domain_switch();
}

/* ---- both ways ---- */

void pv_switch_from(struct vcpu *v)
{
    struct pv_vcpu *pv = v->pv;

    save_segments(pv, v);
    if (unlikely(pv->dr7 & DR7_ENABLES))
        write_dr7(DR7_DEFAULT);
    if (unlikely(pv->ts))
        cpu_clts();
    xstate_save(pv->xstate, pv->xcr0_accum);
    if (pv->ldt_entries)
        hw_lldt(0);
    load_own_gdt();
}

void pv_switch_to(struct vcpu *v)
{
    struct pv_vcpu *pv = v->pv;
    struct switch_state *s = this_cpu_ptr(switch_state);

    pv_perdomain_set(v, GDT_GUEST_FRAMES,
                     pte_make(this_cpu(gdt_mfn), PTE_P | PTE_RW | PTE_A | PTE_D | PTE_NX));
    load_cr4(v);
    enter_domain(v, s);
    hw_lgdt(&(struct table_register){.limit = GDT_LIMIT, .base = pv_gdt_va(v)});
    if (pv->ldt_entries)
        pv_load_ldt(v);
    load_segments(pv, v);
    if (unlikely(pv->dr7 & DR7_ENABLES))
        pv_debug_load(v);
    xstate_restore(pv->xstate, pv->xcr0_accum, pv->xcr0);
    if (unlikely(pv->ts))
        write_cr0(read_cr0() | CR0_TS);
    pv_load_msrs(v);
    /* The failsafe callback may wait since this vCPU was here last, if it left before its exit. */
    if (v->nmi_pending || pv->failsafe_pending)
        softirq_raise(SOFTIRQ_GUEST);
}
