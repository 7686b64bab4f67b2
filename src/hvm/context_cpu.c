/* SPDX-License-Identifier: MIT */
/* What the records of a fully virtual vCPU say: general registers, extended state, memory types,
 * its local APIC. Each structure may lie unaligned and is copied first. Public arch-x86/hvm/save.h.
 */
#include "base/panic.h"
#include "cpu/xstate.h"
#include "hvm/context.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "memory/layout.h"

/* ---- registers ---- */

#define SEGMENT(number, name)                                                                   \
    {                                                                                           \
        number, offsetof(struct hvm_hw_cpu, name##_sel),                                        \
            offsetof(struct hvm_hw_cpu, name##_arbytes),                                        \
            offsetof(struct hvm_hw_cpu, name##_limit), offsetof(struct hvm_hw_cpu, name##_base) \
    }
static const struct {
    unsigned number;
    uint16_t sel, attr, limit, base; /* offsets */
} segments[] = {
    SEGMENT(EMUL_SEG_CS, cs), SEGMENT(EMUL_SEG_DS, ds),    SEGMENT(EMUL_SEG_ES, es),
    SEGMENT(EMUL_SEG_FS, fs), SEGMENT(EMUL_SEG_GS, gs),    SEGMENT(EMUL_SEG_SS, ss),
    SEGMENT(HVM_SEG_TR, tr),  SEGMENT(HVM_SEG_LDTR, ldtr),
};

static const struct {
    uint32_t msr;
    uint16_t at;
} msrs[] = {
    {MSR_SYSENTER_CS, offsetof(struct hvm_hw_cpu, sysenter_cs)},
    {MSR_SYSENTER_ESP, offsetof(struct hvm_hw_cpu, sysenter_esp)},
    {MSR_SYSENTER_EIP, offsetof(struct hvm_hw_cpu, sysenter_eip)},
    {MSR_KERNEL_GS_BASE, offsetof(struct hvm_hw_cpu, shadow_gs)},
    {MSR_LSTAR, offsetof(struct hvm_hw_cpu, msr_lstar)},
    {MSR_STAR, offsetof(struct hvm_hw_cpu, msr_star)},
    {MSR_CSTAR, offsetof(struct hvm_hw_cpu, msr_cstar)},
    {MSR_SYSCALL_MASK, offsetof(struct hvm_hw_cpu, msr_syscall_mask)},
};

/* Numbers of pending_type: Intel SDM vol. 3C, 25.8.3; APM vol. 2, 15.20 has the same. */
static const uint8_t event_number[] = {
    [HVM_EVENT_INTERRUPT] = 0,
    [HVM_EVENT_NMI] = 2,
    [HVM_EVENT_EXCEPTION] = 3,
    [HVM_EVENT_SOFT] = 4,
};

static uint32_t *u32_at(struct hvm_hw_cpu *c, uint16_t at)
{
    return (uint32_t *)(void *)((char *)c + at);
}

static uint64_t *u64_at(struct hvm_hw_cpu *c, uint16_t at)
{
    return (uint64_t *)(void *)((char *)c + at);
}

static void general_get(const struct regs *r, struct hvm_hw_cpu *c)
{
    c->rax = r->rax, c->rbx = r->rbx, c->rcx = r->rcx, c->rdx = r->rdx;
    c->rbp = r->rbp, c->rsi = r->rsi, c->rdi = r->rdi, c->rsp = r->rsp;
    c->r8 = r->r8, c->r9 = r->r9, c->r10 = r->r10, c->r11 = r->r11;
    c->r12 = r->r12, c->r13 = r->r13, c->r14 = r->r14, c->r15 = r->r15;
    c->rip = r->rip, c->rflags = r->rflags;
}

static void general_set(struct regs *r, const struct hvm_hw_cpu *c)
{
    *r = (struct regs){
        .rax = c->rax,
        .rbx = c->rbx,
        .rcx = c->rcx,
        .rdx = c->rdx,
        .rbp = c->rbp,
        .rsi = c->rsi,
        .rdi = c->rdi,
        .rsp = c->rsp,
        .r8 = c->r8,
        .r9 = c->r9,
        .r10 = c->r10,
        .r11 = c->r11,
        .r12 = c->r12,
        .r13 = c->r13,
        .r14 = c->r14,
        .r15 = c->r15,
        .rip = c->rip,
        .rflags = c->rflags | RFLAGS_MBS,
    };
}

static void segments_get(const struct vcpu *v, struct hvm_hw_cpu *c)
{
    struct emul_segment s;

    for (unsigned i = 0; i < ARRAY_SIZE(segments); i++) {
        hvm_ops->get_segment(v, segments[i].number, &s);
        *u32_at(c, segments[i].sel) = s.sel;
        *u32_at(c, segments[i].attr) = s.attr;
        *u32_at(c, segments[i].limit) = s.limit;
        *u64_at(c, segments[i].base) = s.base;
    }
    hvm_ops->get_segment(v, HVM_SEG_GDTR, &s);
    c->gdtr_base = s.base;
    c->gdtr_limit = s.limit;
    hvm_ops->get_segment(v, HVM_SEG_IDTR, &s);
    c->idtr_base = s.base;
    c->idtr_limit = s.limit;
}

static void segments_set(struct vcpu *v, struct hvm_hw_cpu *c)
{
    struct emul_segment s;

    for (unsigned i = 0; i < ARRAY_SIZE(segments); i++) {
        s = (struct emul_segment){
            .sel = (uint16_t)*u32_at(c, segments[i].sel),
            .attr = (uint16_t)*u32_at(c, segments[i].attr),
            .limit = *u32_at(c, segments[i].limit),
            .base = *u64_at(c, segments[i].base),
        };
        hvm_ops->set_segment(v, segments[i].number, &s);
    }
    s = (struct emul_segment){.base = c->gdtr_base, .limit = c->gdtr_limit};
    hvm_ops->set_segment(v, HVM_SEG_GDTR, &s);
    s = (struct emul_segment){.base = c->idtr_base, .limit = c->idtr_limit};
    hvm_ops->set_segment(v, HVM_SEG_IDTR, &s);
}

void hvm_cpu_get(struct vcpu *v, void *record)
{
    const struct hvm_vcpu *h = v->hvm;
    struct hvm_hw_cpu *c = record;

    xstate_get_fxsave(h->xstate, c->fpu_regs);
    c->flags = XEN_X86_FPU_INITIALISED;
    general_get(&v->regs, c);
    segments_get(v, c);
    for (unsigned i = 0; i < ARRAY_SIZE(msrs); i++)
        if (!hvm_ops->get_msr(v, msrs[i].msr, u64_at(c, msrs[i].at)))
            *u64_at(c, msrs[i].at) = 0;
    c->cr0 = h->cr0;
    c->cr2 = hvm_ops->get_cr(v, 2);
    c->cr3 = hvm_ops->get_cr(v, 3);
    c->cr4 = h->cr4;
    c->dr0 = h->dr[0], c->dr1 = h->dr[1], c->dr2 = h->dr[2], c->dr3 = h->dr[3];
    c->dr6 = hvm_ops->get_dr(v, 6);
    c->dr7 = hvm_ops->get_dr(v, 7);
    c->msr_efer = h->efer;
    c->msr_tsc_aux = h->tsc_aux;
    c->tsc = rdtsc();
    if (h->pending.type != HVM_EVENT_NONE) {
        c->pending_vector = h->pending.vector;
        c->pending_type = event_number[h->pending.type] & 7;
        c->pending_error_valid = h->pending.has_error;
        c->pending_valid = 1;
        c->error_code = h->pending.error;
    }
}

static enum hvm_event_type event_type(const struct hvm_hw_cpu *c)
{
    for (unsigned t = HVM_EVENT_INTERRUPT; t <= HVM_EVENT_SOFT; t++)
        if (event_number[t] == c->pending_type)
            return t;
    return HVM_EVENT_NONE;
}

int hvm_cpu_check(struct vcpu *v, const void *record, uint32_t length)
{
    struct hvm_hw_cpu c;
    int rc;

    memcpy(&c, record, sizeof(c));
    rc = hvm_check_control(v, c.cr0, c.cr3, c.cr4, c.msr_efer);
    if (rc)
        return rc;
    if (c.dr6 >> 32 || c.dr7 >> 32)
        return refuse(-EINVAL, "dr6 %#lx, dr7 %#lx", c.dr6, c.dr7);
    for (unsigned i = 0; i < ARRAY_SIZE(segments); i++)
        if (!is_canonical(*u64_at(&c, segments[i].base)) || *u32_at(&c, segments[i].attr) >> 12)
            return refuse(-EINVAL, "segment %u: base %#lx, attributes %#x", segments[i].number,
                          *u64_at(&c, segments[i].base), *u32_at(&c, segments[i].attr));
    for (unsigned i = 0; i < ARRAY_SIZE(msrs); i++)
        if (msrs[i].msr != MSR_STAR && !is_canonical(*u64_at(&c, msrs[i].at)))
            return refuse(-EINVAL, "MSR %#x = %#lx", msrs[i].msr, *u64_at(&c, msrs[i].at));
    if (!is_canonical(c.gdtr_base) || !is_canonical(c.idtr_base) || c.msr_tsc_aux >> 32)
        return refuse(-EINVAL, "GDT at %#lx, IDT at %#lx, TSC_AUX %#lx", c.gdtr_base, c.idtr_base,
                      c.msr_tsc_aux);
    if (c.pending_valid && event_type(&c) == HVM_EVENT_NONE)
        return refuse(-EINVAL, "pending event of type %u", c.pending_type);
    return 0;
}

void hvm_cpu_set(struct vcpu *v, const void *record, uint32_t length)
{
    struct hvm_vcpu *h = v->hvm;
    struct hvm_hw_cpu c;

    memcpy(&c, record, sizeof(c));
    if (c.flags & XEN_X86_FPU_INITIALISED)
        xstate_set_fxsave(h->xstate, c.fpu_regs);
    general_set(&v->regs, &c);
    segments_set(v, &c);
    for (unsigned i = 0; i < ARRAY_SIZE(msrs); i++)
        (void)hvm_ops->set_msr(v, msrs[i].msr, *u64_at(&c, msrs[i].at));
    h->cr0 = c.cr0 | CR0_ET;
    h->cr4 = c.cr4;
    h->efer = c.msr_efer;
    hvm_ops->set_cr(v, 2, c.cr2);
    hvm_ops->set_cr(v, 3, c.cr3);
    h->dr[0] = c.dr0, h->dr[1] = c.dr1, h->dr[2] = c.dr2, h->dr[3] = c.dr3;
    hvm_ops->set_dr(v, 6, c.dr6);
    hvm_ops->set_dr(v, 7, c.dr7);
    h->tsc_aux = c.msr_tsc_aux;
    h->pending = (struct hvm_event){.type = HVM_EVENT_NONE};
    if (c.pending_valid)
        h->pending = (struct hvm_event){
            .type = event_type(&c),
            .vector = c.pending_vector,
            .has_error = c.pending_error_valid,
            .error = c.error_code,
        };
    hvm_ops->update_control(v);
    __atomic_store_n(&h->wait_for_sipi, false, __ATOMIC_SEQ_CST);
    v->initialised = true;
    vcpu_pause_clear(v, VCPU_DOWN_BIT);
}

/* ---- the same in the form of paravirtual guests ---- */

static uint16_t selector(const struct vcpu *v, unsigned seg)
{
    struct emul_segment s;

    hvm_ops->get_segment(v, seg, &s);
    return s.sel;
}

void hvm_vcpu_get_context(const struct vcpu *v, struct vcpu_guest_context *c)
{
    const struct hvm_vcpu *h = v->hvm;
    struct emul_segment s;

    memset(c, 0, sizeof(*c));
    xstate_get_fxsave(h->xstate, &c->fpu_ctxt);
    c->flags = VGCF_i387_valid | (hvm_ops->get_cpl(v) == 0 ? VGCF_in_kernel : 0);
    memcpy(&c->user_regs, &v->regs, sizeof(v->regs));
    c->user_regs.entry_vector = 0;
    c->user_regs.cs = selector(v, EMUL_SEG_CS);
    c->user_regs.ss = selector(v, EMUL_SEG_SS);
    c->user_regs.ds = selector(v, EMUL_SEG_DS);
    c->user_regs.es = selector(v, EMUL_SEG_ES);
    c->user_regs.fs = selector(v, EMUL_SEG_FS);
    c->user_regs.gs = selector(v, EMUL_SEG_GS);
    hvm_ops->get_segment(v, EMUL_SEG_FS, &s);
    c->fs_base = s.base;
    hvm_ops->get_segment(v, EMUL_SEG_GS, &s);
    c->gs_base_user = s.base;
    c->ctrlreg[0] = h->cr0;
    c->ctrlreg[2] = hvm_ops->get_cr(v, 2);
    c->ctrlreg[3] = hvm_ops->get_cr(v, 3);
    c->ctrlreg[4] = h->cr4;
    memcpy(c->debugreg, h->dr, sizeof(h->dr));
    c->debugreg[6] = hvm_ops->get_dr(v, 6);
    c->debugreg[7] = hvm_ops->get_dr(v, 7);
}

void hvm_vcpu_set_context(struct vcpu *v, const struct vcpu_guest_context *c)
{
    struct regs *r = &v->regs;
    const struct cpu_user_regs *u = &c->user_regs;

    r->rax = u->rax, r->rbx = u->rbx, r->rcx = u->rcx, r->rdx = u->rdx;
    r->rbp = u->rbp, r->rsi = u->rsi, r->rdi = u->rdi, r->rsp = u->rsp;
    r->r8 = u->r8, r->r9 = u->r9, r->r10 = u->r10, r->r11 = u->r11;
    r->r12 = u->r12, r->r13 = u->r13, r->r14 = u->r14, r->r15 = u->r15;
    r->rip = u->rip, r->rflags = u->rflags | RFLAGS_MBS;
}

/* ---- extended state ---- */

static uint64_t xcr0_allowed(const struct vcpu *v)
{
    const struct cpuid_leaf *l = &v->domain->hvm_domain->policy->xstate[0];

    return xstate_mask & (l->a | (uint64_t)l->d << 32);
}

#define XSAVE_AT offsetof(struct hvm_hw_cpu_xsave, save_area)

uint32_t hvm_xsave_length(const struct vcpu *v)
{
    return xstate_mask ? (uint32_t)XSAVE_AT + xstate_size(v->hvm->xcr0_accum) : 0;
}

void hvm_xsave_get(struct vcpu *v, void *record)
{
    const struct hvm_vcpu *h = v->hvm;
    const uint64_t head[] = {xcr0_allowed(v), h->xcr0, h->xcr0_accum};

    _Static_assert(sizeof(head) == XSAVE_AT, "public hvm/save.h");
    memcpy(record, head, sizeof(head));
    memcpy((char *)record + XSAVE_AT, xstate_image(h->xstate), xstate_size(h->xcr0_accum));
}

/* The image is looked at again when it is taken over; what it asks for is checked here. */
int hvm_xsave_check(struct vcpu *v, const void *record, uint32_t length)
{
    uint64_t head[3], bv, allowed = xcr0_allowed(v);
    struct hvm_hw_cpu_xsave_hdr hdr;

    if (length < sizeof(struct hvm_hw_cpu_xsave))
        return refuse(-EINVAL, "extended state of %u bytes", length);
    memcpy(head, record, sizeof(head));
    memcpy(&hdr, (const char *)record + offsetof(struct hvm_hw_cpu_xsave, save_area.xsave_hdr),
           sizeof(hdr));
    if (!xstate_xcr0_ok(head[1], allowed) || !xstate_xcr0_ok(head[2], allowed | XCR0_DEFAULT) ||
        (head[1] & ~head[2]))
        return refuse(-EINVAL, "extended state: XCR0 %#lx, %#lx of %#lx", head[1], head[2],
                      allowed);
    bv = hdr.xstate_bv | (hdr.xcomp_bv ? ~0ull : 0); /* in the standard form, not compacted */
    for (unsigned i = 0; i < ARRAY_SIZE(hdr.reserved); i++)
        bv |= hdr.reserved[i] ? ~0ull : 0;
    if (bv & ~head[2] || length < XSAVE_AT + xstate_size(head[2]))
        return refuse(-EINVAL, "extended state: components %#lx of %#lx in %u bytes", bv, head[2],
                      length);
    return 0;
}

void hvm_xsave_set(struct vcpu *v, const void *record, uint32_t length)
{
    struct hvm_vcpu *h = v->hvm;
    uint64_t head[3];

    memcpy(head, record, sizeof(head));
    if (xstate_set_image(h->xstate, (const char *)record + XSAVE_AT, length - XSAVE_AT, head[2]))
        BUG();
    h->xcr0 = head[1];
    h->xcr0_accum = head[2] | XCR0_DEFAULT;
}

/* ---- memory types ---- */

void hvm_mtrr_get(struct vcpu *v, void *record)
{
    const struct hvm_vcpu *h = v->hvm;
    struct hvm_hw_mtrr *m = record;

    if (!hvm_ops->get_msr(v, MSR_PAT, &m->msr_pat_cr))
        m->msr_pat_cr = 0;
    memcpy(m->msr_mtrr_var, h->mtrr_var, sizeof(m->msr_mtrr_var));
    memcpy(m->msr_mtrr_fixed, h->mtrr_fixed, sizeof(m->msr_mtrr_fixed));
    m->msr_mtrr_def_type = h->mtrr_def;
    if (hvm_rdmsr(v, MSR_MTRRCAP, &m->msr_mtrr_cap))
        m->msr_mtrr_cap = 0;
}

/* The registers by number. */
static const struct {
    uint32_t first, n;
    uint16_t at;
} mtrr_ranges[] = {
    {MSR_PAT, 1, offsetof(struct hvm_hw_mtrr, msr_pat_cr)},
    {MSR_MTRR_PHYSBASE0, HVM_MTRR_VAR, offsetof(struct hvm_hw_mtrr, msr_mtrr_var)},
    {0x250, 1, offsetof(struct hvm_hw_mtrr, msr_mtrr_fixed[0])},
    {0x258, 2, offsetof(struct hvm_hw_mtrr, msr_mtrr_fixed[1])},
    {0x268, 8, offsetof(struct hvm_hw_mtrr, msr_mtrr_fixed[3])},
};

static int mtrr_write(struct vcpu *v, const struct hvm_hw_mtrr *m)
{
    uint64_t val;

    for (unsigned r = 0; r < ARRAY_SIZE(mtrr_ranges); r++)
        for (unsigned i = 0; i < mtrr_ranges[r].n; i++) {
            memcpy(&val, (const char *)m + mtrr_ranges[r].at + i * sizeof(val), sizeof(val));
            if (hvm_wrmsr(v, mtrr_ranges[r].first + i, val))
                return -EINVAL;
        }
    return hvm_wrmsr(v, MSR_MTRR_DEF_TYPE, m->msr_mtrr_def_type) ? -EINVAL : 0;
}

/* By writing them, and what was there again: nobody looks while the domain is paused. */
int hvm_mtrr_check(struct vcpu *v, const void *record, uint32_t length)
{
    struct hvm_hw_mtrr m, old;
    int rc;

    memcpy(&m, record, sizeof(m));
    hvm_mtrr_get(v, &old);
    rc = mtrr_write(v, &m);
    if (mtrr_write(v, &old))
        BUG();
    return rc;
}

void hvm_mtrr_set(struct vcpu *v, const void *record, uint32_t length)
{
    struct hvm_hw_mtrr m;

    memcpy(&m, record, sizeof(m));
    if (mtrr_write(v, &m))
        BUG();
}

/* ---- the local APIC ---- */

void hvm_lapic_get(struct vcpu *v, void *record)
{
    const struct vlapic *l = &v->hvm->lapic;
    struct hvm_hw_lapic *a = record;

    a->apic_base_msr = l->base;
    a->disabled = !vlapic_hardware_enabled(l) ? 2 : !vlapic_enabled(l);
    a->tdt_msr = vlapic_deadline(l);
}

int hvm_lapic_check(struct vcpu *v, const void *record, uint32_t length)
{
    struct hvm_hw_lapic a;

    memcpy(&a, record, sizeof(a));
    return vlapic_base_ok(a.apic_base_msr) ? 0 : refuse(-EINVAL, "APIC_BASE %#lx", a.apic_base_msr);
}

void hvm_lapic_set(struct vcpu *v, const void *record, uint32_t length)
{
    struct hvm_hw_lapic a;

    memcpy(&a, record, sizeof(a));
    vlapic_set_mode(&v->hvm->lapic, a.apic_base_msr, a.tdt_msr);
}

void hvm_lapic_regs_get(struct vcpu *v, void *record)
{
    memcpy(record, v->hvm->lapic.reg, sizeof(v->hvm->lapic.reg));
}

/* Any value can be written to each. */
int hvm_lapic_regs_check(struct vcpu *v, const void *record, uint32_t length)
{
    return 0;
}

void hvm_lapic_regs_set(struct vcpu *v, const void *record, uint32_t length)
{
    uint32_t reg[VLAPIC_REGS];

    memcpy(reg, record, sizeof(reg));
    vlapic_set_registers(&v->hvm->lapic, reg);
}
