/* SPDX-License-Identifier: MIT */
/* Segments and stack of a PV vCPU: the bases of FS and GS, the kernel's stack, and the state of the
 * FPU flag TS. GS_BASE holds the base of the mode that runs, KERNEL_GS_BASE that of the other.
 * Public arch-x86/xen-x86_64.h (set_segment_base), xen.h (stack_switch); ABI.md 3.2. */
#include "cpu/cpu.h"
#include "domain/guest_copy.h"
#include "memory/layout.h"
#include "pv/internal.h"

/* With CR4.FSGSBASE the instructions; it is on only while the guest wants it. */
static bool fast_bases(const struct vcpu *v)
{
    return v->pv->cr4 & CR4_FSGSBASE;
}

uint64_t pv_fs_base(const struct vcpu *v)
{
    return fast_bases(v) ? hw_rdfsbase() : rdmsr(MSR_FS_BASE);
}

uint64_t pv_gs_base(const struct vcpu *v)
{
    return fast_bases(v) ? hw_rdgsbase() : rdmsr(MSR_GS_BASE);
}

void pv_set_fs_base(const struct vcpu *v, uint64_t base)
{
    if (fast_bases(v))
        hw_wrfsbase(base);
    else
        wrmsr(MSR_FS_BASE, base);
}

void pv_set_gs_base(const struct vcpu *v, uint64_t base)
{
    if (fast_bases(v))
        hw_wrgsbase(base);
    else
        wrmsr(MSR_GS_BASE, base);
}

/* Loads GS of user mode, whose base is the inactive one while the kernel runs. */
static void load_user_gs(struct vcpu *v, uint16_t sel)
{
    hw_swapgs();
    (void)load_gs_safe(sel); /* a selector that does not work gives a null one */
    hw_swapgs();
}

long pv_set_segment_base(uint32_t which, uint64_t base)
{
    struct vcpu *v = current();

    if (which < SEGBASE_GS_USER_SEL && !is_canonical(base))
        return refuse(-EINVAL, "segment base %u: %#lx is not canonical", which, base);
    switch (which) {
    case SEGBASE_FS:
        pv_set_fs_base(v, base);
        return 0;
    case SEGBASE_GS_USER:
        wrmsr(MSR_KERNEL_GS_BASE, base);
        return 0;
    case SEGBASE_GS_KERNEL:
        pv_set_gs_base(v, base);
        return 0;
    case SEGBASE_GS_USER_SEL: /* never fails: the guest could not answer it */
        load_user_gs(v, base);
        return 0;
    default:
        return refuse(-EINVAL, "segment base: no segment %u", which);
    }
}

long pv_stack_switch(uint64_t ss, uint64_t sp)
{
    struct pv_vcpu *pv = current()->pv;

    pv->kernel_ss = ss | 3;
    pv->kernel_sp = sp;
    return 0;
}

long pv_fpu_taskswitch(uint64_t set)
{
    struct pv_vcpu *pv = current()->pv;

    if (pv->ts == (set != 0))
        return 0;
    pv->ts = set != 0;
    if (set)
        write_cr0(read_cr0() | CR0_TS);
    else
        cpu_clts();
    return 0;
}

/* ---- reading descriptors ---- */

bool pv_read_descriptor(struct vcpu *v, uint16_t sel, uint64_t *desc)
{
    struct pv_vcpu *pv = v->pv;
    unsigned n = sel >> 3;
    mfn_t frame;

    if (sel & 4) {
        if (n >= pv->ldt_entries)
            return false;
        return guest_read(desc, pv->ldt_base + n * 8ul, sizeof(*desc)) == 0;
    }
    if (n >= GDT_GUEST_ENTRIES) {
        const uint64_t *page = mfn_to_virt(this_cpu(gdt_mfn));

        n -= GDT_GUEST_ENTRIES;
        if (n > (SEL_GUEST_CS64 - GDT_RESERVED_OFFSET) / 8)
            return false;
        *desc = page[n];
        return true;
    }
    if (n == 0 || n >= pv->gdt_entries)
        return false;
    n = index_nospec(n, GDT_GUEST_ENTRIES);
    frame = pv->gdt_frame[n / 512];
    *desc = read_once(((const uint64_t *)mfn_to_virt(frame))[n % 512]);
    return true;
}

unsigned pv_code_bits(struct vcpu *v, uint16_t cs)
{
    uint64_t desc;

    if (likely(cs == SEL_GUEST_CS64))
        return 64;
    if (!pv_read_descriptor(v, cs, &desc) || (desc & DESC_L))
        return 64;
    return desc & DESC_DB ? 32 : 16;
}
