/* SPDX-License-Identifier: MIT */
/* A vCPU's state in its control block, for hvm/. AMD APM vol. 2, 15.5 and 15.20, appendix B. */
#include "svm/svm.h"

static struct vmcb *vmcb_of(const struct vcpu *v)
{
    return v->hvm->svm->vmcb;
}

static struct vmcb_segment *segment_of(const struct vcpu *v, unsigned seg)
{
    struct vmcb *b = vmcb_of(v);
    struct vmcb_segment *const by_number[HVM_SEGS] = {
        [EMUL_SEG_ES] = &b->es,    [EMUL_SEG_CS] = &b->cs,    [EMUL_SEG_SS] = &b->ss,
        [EMUL_SEG_DS] = &b->ds,    [EMUL_SEG_FS] = &b->fs,    [EMUL_SEG_GS] = &b->gs,
        [HVM_SEG_GDTR] = &b->gdtr, [HVM_SEG_LDTR] = &b->ldtr, [HVM_SEG_IDTR] = &b->idtr,
        [HVM_SEG_TR] = &b->tr,
    };

    return by_number[seg];
}

void svm_get_segment(const struct vcpu *v, unsigned seg, struct emul_segment *s)
{
    const struct vmcb_segment *from = segment_of(v, seg);

    *s = (struct emul_segment){
        .sel = from->sel,
        .attr = from->attr,
        .limit = from->limit,
        .base = from->base,
    };
}

void svm_set_segment(struct vcpu *v, unsigned seg, const struct emul_segment *s)
{
    *segment_of(v, seg) = (struct vmcb_segment){
        .sel = s->sel,
        .attr = s->attr,
        .limit = s->limit,
        .base = s->base,
    };
    if (seg == EMUL_SEG_SS)
        vmcb_of(v)->cpl = (s->attr & EMUL_SEG_ATTR_DPL) >> 5;
}

uint64_t svm_get_cr(const struct vcpu *v, unsigned nr)
{
    return nr == 2 ? vmcb_of(v)->cr2 : vmcb_of(v)->cr3;
}

void svm_set_cr(struct vcpu *v, unsigned nr, uint64_t val)
{
    if (nr == 2)
        vmcb_of(v)->cr2 = val;
    else
        vmcb_of(v)->cr3 = val;
}

uint64_t svm_get_dr(const struct vcpu *v, unsigned nr)
{
    return nr == 6 ? vmcb_of(v)->dr6 : vmcb_of(v)->dr7;
}

void svm_set_dr(struct vcpu *v, unsigned nr, uint64_t val)
{
    if (nr == 6)
        vmcb_of(v)->dr6 = val;
    else
        vmcb_of(v)->dr7 = val;
}

uint8_t svm_get_cpl(const struct vcpu *v)
{
    return vmcb_of(v)->cpl;
}

/* The guest may not switch off caches: its CD and NW are remembered, and it reads them back. */
void svm_update_control(struct vcpu *v)
{
    const struct hvm_vcpu *h = v->hvm;
    struct vmcb *b = vmcb_of(v);

    b->cr0 = (h->cr0 & ~(CR0_CD | CR0_NW)) | CR0_ET;
    b->cr4 = h->cr4;
    b->efer = h->efer | EFER_SVME;
    if (h->cr0 == b->cr0)
        b->intercept[INTERCEPT_CR] &= ~1u;
    else
        b->intercept[INTERCEPT_CR] |= 1u;
    h->svm->asid_of_cpu = 0; /* a change of mode empties the cache */
}

/* ---- MSRs ---- */

static uint64_t *msr_of(const struct vcpu *v, uint32_t index)
{
    struct vmcb *b = vmcb_of(v);

    switch (index) {
    case MSR_STAR:
        return &b->star;
    case MSR_LSTAR:
        return &b->lstar;
    case MSR_CSTAR:
        return &b->cstar;
    case MSR_SYSCALL_MASK:
        return &b->sfmask;
    case MSR_FS_BASE:
        return &b->fs.base;
    case MSR_GS_BASE:
        return &b->gs.base;
    case MSR_KERNEL_GS_BASE:
        return &b->kernel_gs_base;
    case MSR_SYSENTER_CS:
        return &b->sysenter_cs;
    case MSR_SYSENTER_ESP:
        return &b->sysenter_esp;
    case MSR_SYSENTER_EIP:
        return &b->sysenter_eip;
    case MSR_PAT:
        return &b->g_pat;
    default:
        return NULL;
    }
}

bool svm_get_msr(const struct vcpu *v, uint32_t index, uint64_t *val)
{
    const uint64_t *p = msr_of(v, index);

    if (p)
        *val = *p;
    return p;
}

bool svm_set_msr(struct vcpu *v, uint32_t index, uint64_t val)
{
    uint64_t *p = msr_of(v, index);

    if (p)
        *p = val;
    return p;
}

/* ---- events ---- */

bool svm_can_take(const struct vcpu *v, enum hvm_event_type t)
{
    const struct vmcb *b = vmcb_of(v);

    if (b->event_inj & EVENT_VALID || b->shadow & 1)
        return false;
    return t == HVM_EVENT_NMI ? !v->hvm->nmi_masked : cpu_local()->guest.rflags & RFLAGS_IF;
}

void svm_inject(struct vcpu *v, const struct hvm_event *e)
{
    static const uint64_t type[] = {
        [HVM_EVENT_INTERRUPT] = EVENT_INTR,
        [HVM_EVENT_NMI] = EVENT_NMI,
        [HVM_EVENT_EXCEPTION] = EVENT_EXCEPTION,
        [HVM_EVENT_SOFT] = EVENT_SOFT,
    };
    struct vmcb *b = vmcb_of(v);

    b->event_inj = EVENT_VALID | type[e->type] | e->vector;
    if (e->has_error)
        b->event_inj |= EVENT_ERROR | (uint64_t)e->error << EVENT_CODE_SHIFT;
    if (e->type == HVM_EVENT_NMI) {
        v->hvm->nmi_masked = true;
        b->intercept[INTERCEPT_3] |= INTERCEPT_3_OF(EXIT_IRET);
    }
}

/* CR8 is virtual: the processor keeps it here while V_INTR_MASKING is on. */
void svm_set_tpr(struct vcpu *v, uint8_t tpr, bool watch)
{
    struct vmcb *b = vmcb_of(v);

    b->vintr = (b->vintr & ~VINTR_TPR) | tpr;
    /* QEMU 7.2 ends when a guest writes CR8 while a virtual interrupt waits. */
    if (watch || b->vintr & VINTR_IRQ)
        b->intercept[INTERCEPT_CR] |= INTERCEPT_CR_WRITE(8);
    else
        b->intercept[INTERCEPT_CR] &= ~INTERCEPT_CR_WRITE(8);
}

/* An interrupt: a virtual one of our own that the processor would take, and exits instead. An NMI
 * waits for IRET, whose exit is on whenever NMIs are masked; behind a shadow, the same trick. */
void svm_request_window(struct vcpu *v, enum hvm_event_type t)
{
    struct vmcb *b = vmcb_of(v);

    if (t == HVM_EVENT_NMI && v->hvm->nmi_masked)
        return;
    b->vintr |= VINTR_IRQ | VINTR_IGN_TPR | VINTR_PRIO(15);
    b->intercept[INTERCEPT_3] |= INTERCEPT_3_OF(EXIT_VINTR);
}
