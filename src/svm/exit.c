/* SPDX-License-Identifier: MIT */
/* Why the processor left a guest, told to hvm/. AMD APM vol. 2, 15.6 to 15.14 and appendix C.
 *
 * Instructions whose exit says all have a fixed length here; their bytes are not looked at, for
 * prefixes change nothing but where the next one begins: with the processor's own word (NRIP save)
 * that is exact, without it a guest that puts prefixes before CPUID skews itself alone. */
#include "base/log.h"
#include "base/panic.h"
#include "cpu/cpu.h"
#include "svm/svm.h"

#define LENGTH_CPUID   2u
#define LENGTH_HLT     1u
#define LENGTH_MSR     2u
#define LENGTH_INVD    2u
#define LENGTH_VMMCALL 3u
#define LENGTH_XSETBV  3u

#define IOIO_IN          (1ull << 0)
#define IOIO_STRING      (1ull << 2)
#define IOIO_BYTES(info) ((unsigned)((info) >> 4 & 7))
#define IOIO_PORT(info)  ((uint16_t)((info) >> 16))

static void skip(const struct vmcb *b, unsigned length)
{
    struct regs *r = &cpu_local()->guest;

    r->rip = b->next_rip ? b->next_rip : r->rip + length;
    if (!(b->efer & EFER_LMA) || !(b->cs.attr & EMUL_SEG_ATTR_L))
        r->rip = (uint32_t)r->rip;
    r->rflags &= ~RFLAGS_RF;
}

/* What was being delivered when the exit came is delivered again. */
static void redeliver(struct vcpu *v, uint64_t info)
{
    struct hvm_event *e = &v->hvm->pending;

    if (likely(!(info & EVENT_VALID)))
        return;
    e->vector = info & EVENT_VECTOR;
    e->has_error = info & EVENT_ERROR;
    e->error = (uint32_t)(info >> EVENT_CODE_SHIFT);
    switch (info & EVENT_TYPE) {
    case EVENT_INTR:
        e->type = HVM_EVENT_INTERRUPT;
        break;
    case EVENT_NMI:
        e->type = HVM_EVENT_NMI;
        break;
    case EVENT_EXCEPTION:
        /* INT3 and INTO are instructions: they are executed again. */
        if (e->vector != VEC_BP && e->vector != VEC_OF)
            e->type = HVM_EVENT_EXCEPTION;
        break;
    default:
        break; /* INT n: rip is still at it */
    }
}

static void exception_exit(struct vcpu *v, const struct vmcb *b, unsigned vector)
{
    if (vector == VEC_MC)
        panic("machine check while domain %u ran", v->domain->id);
    hvm_inject_exception(v, (uint8_t)vector, (uint32_t)b->exit_info1);
}

static void port_exit(struct vcpu *v, const struct vmcb *b)
{
    uint64_t info = b->exit_info1;

    if (info & IOIO_STRING) {
        hvm_emulate(v);
        return;
    }
    cpu_local()->guest.rip = b->exit_info2;
    cpu_local()->guest.rflags &= ~RFLAGS_RF;
    hvm_port_exit(v, IOIO_PORT(info), IOIO_BYTES(info), info & IOIO_IN);
}

static void nmi_done_exit(struct vcpu *v, struct vmcb *b)
{
    /* The IRET itself has not run yet: an NMI that waits comes behind it, if a window opens. */
    v->hvm->nmi_masked = false;
    b->intercept[INTERCEPT_3] &= ~INTERCEPT_3_OF(EXIT_IRET);
}

static void window_exit(struct vmcb *b)
{
    b->vintr &= ~(VINTR_IRQ | VINTR_IGN_TPR | VINTR_PRIO(15));
    b->intercept[INTERCEPT_3] &= ~INTERCEPT_3_OF(EXIT_VINTR);
}

void svm_exit(struct vcpu *v, struct svm_vcpu *s)
{
    struct vmcb *b = s->vmcb;
    uint64_t code = b->exit_code;

    b->event_inj = 0;
    redeliver(v, b->exit_int_info);
    switch (code) {
    case EXIT_INTR:
    case EXIT_NMI: /* taken by the hypervisor's own handler when GIF was set */
    case EXIT_SMI:
    case EXIT_INIT:
        break;
    case EXIT_VINTR:
        window_exit(b);
        break;
    case EXIT_IRET:
        nmi_done_exit(v, b);
        break;
    case EXIT_CPUID:
        skip(b, LENGTH_CPUID);
        hvm_cpuid_exit(v);
        break;
    case EXIT_HLT:
        skip(b, LENGTH_HLT);
        b->shadow = 0;
        hvm_halt_exit(v);
        break;
    case EXIT_MSR:
        skip(b, LENGTH_MSR);
        hvm_msr_exit(v, b->exit_info1 & 1);
        break;
    case EXIT_VMMCALL:
        skip(b, LENGTH_VMMCALL);
        hvm_hypercall_exit(v);
        break;
    case EXIT_XSETBV:
        skip(b, LENGTH_XSETBV);
        hvm_xsetbv_exit(v);
        break;
    case EXIT_INVD:
    case EXIT_WBINVD:
        skip(b, LENGTH_INVD); /* RAM is cached write-back and no device is the guest's */
        break;
    case EXIT_IOIO:
        port_exit(v, b);
        break;
    case EXIT_NPF:
        hvm_memory_exit(v, b->exit_info2, b->exit_info1 & NPF_WRITE);
        break;
    case EXIT_SHUTDOWN:
        hvm_triple_fault(v);
        break;
    case EXIT_INVALID:
        domain_crash(v->domain, "the processor refused its state: cr0 %lx cr4 %lx efer %lx", b->cr0,
                     b->cr4, b->efer);
        break;
    case EXIT_CR0_READ:
    case EXIT_CR0_WRITE:
    case EXIT_CR4_WRITE:
    case EXIT_CR8_WRITE:
        hvm_emulate(v);
        break;
    case EXIT_DR0_READ ... EXIT_DR15_WRITE:
        svm_load_debug(v, s);
        break;
    case EXIT_RDPMC: /* the counters tell of others */
        hvm_inject_exception(v, VEC_GP, 0);
        break;
    case EXIT_EXCEPTION ... EXIT_EXCEPTION + 31:
        exception_exit(v, b, code - EXIT_EXCEPTION);
        break;
    default: /* VMRUN and the rest of AMD-V, MONITOR: not there */
        hvm_inject_exception(v, VEC_UD, 0);
        break;
    }
}
