/* SPDX-License-Identifier: MIT */
/* AMD-V: switched on for each CPU, and the control block of each vCPU. AMD APM vol. 2, chapter 15.
 *
 * Translations of guests are tagged with an ASID. A vCPU gets a new one when it comes to another
 * CPU and when that CPU has emptied its translation cache since (memory/tlb.h): so nothing stale is
 * left without flushing anything. When a CPU's ASIDs are used up, all begin anew behind one flush.
 */
#include "svm/svm.h"

#include "base/log.h"
#include "base/panic.h"
#include "cpu/cpu.h"
#include "cpu/spec.h"
#include "hw/svm.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "memory/buddy.h"
#include "memory/heap.h"
#include "memory/tlb.h"
#include "svm/start.h"

#define IOPM_ORDER  2 /* 12 KiB are used: of the fourth page nothing */
#define MSRPM_ORDER 1

#define LEAF_SVM         0x8000000au
#define SVM_NESTED_PAGES 1u

struct svm_cpu {
    paddr_t host;        /* what VMLOAD brings back after a stay */
    uint32_t generation; /* of ASIDs; rises */
    uint32_t next_asid;
};
static DEFINE_PER_CPU(struct svm_cpu, svm_cpu);

static uint32_t asids;      /* [I] 1 to asids - 1 are for guests */
static paddr_t iopm, msrpm; /* [I] of all guests */

/* ---- one CPU ---- */

/* Those that VMLOAD and VMSAVE switch: no exit. */
static const uint32_t msr_direct[] = {
    MSR_STAR, MSR_LSTAR, MSR_CSTAR, MSR_SYSCALL_MASK, MSR_FS_BASE, MSR_GS_BASE, MSR_KERNEL_GS_BASE,
};

/* Two bits an MSR, read and write; 0x800 bytes for each of three ranges. APM vol. 2, 15.11. */
static void msrpm_allow(uint8_t *map, uint32_t msr)
{
    unsigned base = msr >= 0xc0010000u ? 0x1000 : msr >= 0xc0000000u ? 0x800 : 0;
    unsigned bit = (msr & 0x1fff) * 2;

    map[base + bit / 8] &= (uint8_t) ~(3u << bit % 8);
}

static int maps_make(void)
{
    mfn_t io, msr;

    if (buddy_alloc(IOPM_ORDER, 0, &io))
        return -ENOMEM;
    if (buddy_alloc(MSRPM_ORDER, 0, &msr)) {
        buddy_free(io, IOPM_ORDER);
        return -ENOMEM;
    }
    memset(mfn_to_virt(io), 0xff, PAGE_SIZE << IOPM_ORDER);
    memset(mfn_to_virt(msr), 0xff, PAGE_SIZE << MSRPM_ORDER);
    for (unsigned i = 0; i < ARRAY_SIZE(msr_direct); i++)
        msrpm_allow(mfn_to_virt(msr), msr_direct[i]);
    iopm = io.n << PAGE_SHIFT;
    msrpm = msr.n << PAGE_SHIFT;
    return 0;
}

/* Why not, or NULL. */
static const char *missing(void)
{
    uint64_t cr;

    if (!cpu_has(X86_FEATURE_SVM))
        return "the processor has none";
    if (rdmsr_safe(MSR_VM_CR, &cr) == 0 && (cr & VM_CR_SVMDIS))
        return "the firmware has switched it off";
    if (!(hw_cpuid(LEAF_SVM, 0).d & SVM_NESTED_PAGES))
        return "it is without nested paging";
    return NULL;
}

void svm_cpu_init(void)
{
    struct svm_cpu *c = this_cpu_ptr(svm_cpu);
    void *save, *host;

    if (!hvm_ops)
        return;
    save = heap_page();
    host = heap_page();
    BUG_ON(!save || !host);
    wrmsr(MSR_EFER, rdmsr(MSR_EFER) | EFER_SVME);
    wrmsr(MSR_VM_HSAVE_PA, virt_to_paddr(save));
    c->host = virt_to_paddr(host);
    hw_vmsave(c->host);
    c->generation = 1;
    c->next_asid = 1;
}

/* ---- a vCPU's control block ---- */

static void segment_reset(struct vmcb_segment *s, uint16_t attr)
{
    *s = (struct vmcb_segment){.attr = attr, .limit = 0xffff};
}

/* APM vol. 2, 14.1.3: the state after reset. */
static void vmcb_reset(struct vmcb *b, const struct vcpu *v)
{
    b->intercept[INTERCEPT_CR] = INTERCEPT_CR_WRITE(0) | INTERCEPT_CR_WRITE(4);
    b->intercept[INTERCEPT_DR] = INTERCEPT_DR_ALL;
    /* An #AC or #DB that its own delivery raises again would keep the processor for ever. */
    b->intercept[INTERCEPT_EXC] = 1u << VEC_MC | 1u << VEC_AC | 1u << VEC_DB;
    b->intercept[INTERCEPT_3] =
        INTERCEPT_3_OF(EXIT_INTR) | INTERCEPT_3_OF(EXIT_NMI) | INTERCEPT_3_OF(EXIT_SMI) |
        INTERCEPT_3_OF(EXIT_RDPMC) | INTERCEPT_3_OF(EXIT_INIT) | INTERCEPT_3_OF(EXIT_CPUID) |
        INTERCEPT_3_OF(EXIT_INVD) | INTERCEPT_3_OF(EXIT_HLT) | INTERCEPT_3_OF(EXIT_INVLPGA) |
        INTERCEPT_3_OF(EXIT_IOIO) | INTERCEPT_3_OF(EXIT_MSR) | INTERCEPT_3_OF(EXIT_SHUTDOWN);
    b->intercept[INTERCEPT_4] =
        INTERCEPT_4_OF(EXIT_VMRUN) | INTERCEPT_4_OF(EXIT_VMMCALL) | INTERCEPT_4_OF(EXIT_VMLOAD) |
        INTERCEPT_4_OF(EXIT_VMSAVE) | INTERCEPT_4_OF(EXIT_STGI) | INTERCEPT_4_OF(EXIT_CLGI) |
        INTERCEPT_4_OF(EXIT_SKINIT) | INTERCEPT_4_OF(EXIT_WBINVD) | INTERCEPT_4_OF(EXIT_MONITOR) |
        INTERCEPT_4_OF(EXIT_MWAIT) | INTERCEPT_4_OF(EXIT_XSETBV);
    b->iopm = iopm;
    b->msrpm = msrpm;
    b->vintr = VINTR_MASKING;
    b->nested = 1;
    b->nested_cr3 = v->domain->hvm_domain->p2m.root.n << PAGE_SHIFT;
    b->g_pat = 0x0007040600070406ull;

    segment_reset(&b->es, 0x93);
    segment_reset(&b->ss, 0x93);
    segment_reset(&b->ds, 0x93);
    segment_reset(&b->fs, 0x93);
    segment_reset(&b->gs, 0x93);
    segment_reset(&b->cs, 0x9b);
    b->cs.sel = 0xf000;
    b->cs.base = 0xffff0000;
    segment_reset(&b->gdtr, 0);
    segment_reset(&b->idtr, 0);
    segment_reset(&b->ldtr, 0x82);
    segment_reset(&b->tr, 0x8b);
    b->efer = EFER_SVME;
    b->cr0 = CR0_ET;
    b->dr6 = 0xffff0ff0;
    b->dr7 = 0x400;
}

static int vcpu_init(struct vcpu *v)
{
    struct svm_vcpu *s = heap_zalloc(sizeof(*s));

    if (!s)
        return -ENOMEM;
    s->vmcb = heap_page();
    if (!s->vmcb) {
        heap_free(s);
        return -ENOMEM;
    }
    vmcb_reset(s->vmcb, v);
    v->hvm->svm = s;
    return 0;
}

static void reset(struct vcpu *v)
{
    struct vmcb *b = v->hvm->svm->vmcb;

    memset(b, 0, sizeof(*b));
    vmcb_reset(b, v);
    v->hvm->svm->asid_of_cpu = 0;
}

static void vcpu_free(struct vcpu *v)
{
    if (!v->hvm->svm)
        return;
    heap_page_free(v->hvm->svm->vmcb);
    heap_free(v->hvm->svm);
    v->hvm->svm = NULL;
}

/* ---- a stay ---- */

static void asid_renew(struct svm_vcpu *s, struct svm_cpu *c)
{
    s->vmcb->tlb_control = 0;
    if (s->asid_of_cpu == cpu_id() + 1 && s->generation == c->generation &&
        s->stamp == tlb_cpu_stamp())
        return;
    if (c->next_asid >= asids) {
        c->generation++;
        c->next_asid = 1;
        s->vmcb->tlb_control = TLB_CONTROL_ALL;
    }
    s->vmcb->asid = c->next_asid++;
    s->asid_of_cpu = cpu_id() + 1;
    s->generation = c->generation;
    s->stamp = tlb_cpu_stamp();
}

static void run(struct vcpu *v)
{
    struct svm_vcpu *s = v->hvm->svm;
    struct svm_cpu *c = this_cpu_ptr(svm_cpu);
    struct vmcb *b = s->vmcb;
    struct regs *r = &cpu_local()->guest;

    asid_renew(s, c);
    b->rax = r->rax;
    b->rip = r->rip;
    b->rsp = r->rsp;
    b->rflags = r->rflags | RFLAGS_MBS;
    svm_enter(virt_to_paddr(b), c->host, r);
    r->rax = b->rax;
    r->rip = b->rip;
    r->rsp = b->rsp;
    r->rflags = b->rflags;
    vlapic_set_cr8(&v->hvm->lapic, b->vintr & VINTR_TPR);
    svm_exit(v, s);
}

/* DR0-3 are loaded when the guest touches them, or has a breakpoint on. */
static void load(struct vcpu *v)
{
    struct svm_vcpu *s = v->hvm->svm;

    if (s->vmcb->dr7 & 0xff)
        svm_load_debug(v, s);
}

static void save(struct vcpu *v)
{
    struct svm_vcpu *s = v->hvm->svm;

    if (!s->dr_loaded)
        return;
    v->hvm->dr[0] = read_dr0();
    v->hvm->dr[1] = read_dr1();
    v->hvm->dr[2] = read_dr2();
    v->hvm->dr[3] = read_dr3();
    s->dr_loaded = false;
    s->vmcb->intercept[INTERCEPT_DR] = INTERCEPT_DR_ALL;
}

void svm_load_debug(struct vcpu *v, struct svm_vcpu *s)
{
    write_dr0(v->hvm->dr[0]);
    write_dr1(v->hvm->dr[1]);
    write_dr2(v->hvm->dr[2]);
    write_dr3(v->hvm->dr[3]);
    s->dr_loaded = true;
    s->vmcb->intercept[INTERCEPT_DR] = 0;
}

static const struct hvm_ops svm_ops = {
    .name = "AMD-V",
    .vcpu_init = vcpu_init,
    .vcpu_free = vcpu_free,
    .reset = reset,
    .load = load,
    .save = save,
    .run = run,
    .get_segment = svm_get_segment,
    .set_segment = svm_set_segment,
    .get_cr = svm_get_cr,
    .set_cr = svm_set_cr,
    .get_dr = svm_get_dr,
    .set_dr = svm_set_dr,
    .get_cpl = svm_get_cpl,
    .update_control = svm_update_control,
    .get_msr = svm_get_msr,
    .set_msr = svm_set_msr,
    .can_take = svm_can_take,
    .inject = svm_inject,
    .set_tpr = svm_set_tpr,
    .request_window = svm_request_window,
};

void svm_start(void)
{
    const char *why = missing();

    if (why) {
        log_debug("no AMD-V: %s", why);
        return;
    }
    asids = hw_cpuid(LEAF_SVM, 0).b;
    if (asids < 2 || maps_make()) {
        log_warn("no AMD-V: %s", asids < 2 ? "it has no ASIDs" : "too little memory");
        return;
    }
    hvm_ops = &svm_ops;
    log_info("AMD-V with nested paging, %u ASIDs", asids);
}
