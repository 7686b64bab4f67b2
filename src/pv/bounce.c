/* SPDX-License-Identifier: MIT */
/* Into the guest's handlers: the frame that an exception, an event or a system call leaves on the
 * guest kernel's stack.
 *
 * From the lowest address: rcx, r11, [error code | ds, es, fs, gs], rip, cs, rflags, rsp, ss. The
 * frame starts on the kernel's stack if user mode was interrupted, else below rsp, from an address
 * aligned to 16 downwards. The saved cs has RPL 0 where the kernel was interrupted, and the old
 * event mask in its byte 4; the saved rflags shows the mask as IF. Public arch-x86/xen.h;
 * ABI.md 3.5.
 */
#include "base/softirq.h"
#include "domain/guest_copy.h"
#include "pv/internal.h"
#include "time/trace.h"

#define FRAME_WORDS_MAX 11

struct bounce {
    uint64_t address;
    const char *what; /* for the message if there is no handler */
    unsigned number;
    bool mask_events;
    bool clear_df;
    unsigned extras; /* words between r11 and rip */
    uint64_t extra[4];
};

/* Flags that the guest never has set on entry to a handler. */
#define BOUNCE_FLAGS_CLEAR                                                                  \
    (RFLAGS_TF | RFLAGS_IOPL | RFLAGS_NT | RFLAGS_RF | RFLAGS_VM | RFLAGS_AC | RFLAGS_VIF | \
     RFLAGS_VIP)

/* The flags as the guest sees them: IF is the event mask, IOPL the virtual one. */
static uint64_t flags_image(const struct vcpu *v, uint64_t rflags, bool masked)
{
    uint64_t image = rflags & ~(RFLAGS_IF | RFLAGS_IOPL);

    if (!masked)
        image |= RFLAGS_IF;
    if (v->domain->vm_assist & BIT(VMASST_TYPE_architectural_iopl))
        image |= (uint64_t)v->pv->iopl << 12;
    return image;
}

static void bounce(struct vcpu *v, struct regs *regs, const struct bounce *b)
{
    struct pv_vcpu *pv = v->pv;
    uint64_t frame[FRAME_WORDS_MAX], *w = frame, sp;
    bool masked = read_once(v->info->evtchn_upcall_mask) != 0;
    uint64_t cs = regs->cs;

    if (unlikely(b->address == 0)) {
        domain_crash(v->domain, "no handler for %s %u at %04x:%lx", b->what, b->number, regs->cs,
                     regs->rip);
        return;
    }
    if (pv->in_kernel) {
        sp = regs->rsp;
        cs &= ~3ull;
    } else {
        sp = pv->kernel_sp;
        pv_toggle_mode(v);
    }
    *w++ = regs->rcx;
    *w++ = regs->r11;
    for (unsigned i = 0; i < b->extras; i++)
        *w++ = b->extra[i];
    *w++ = regs->rip;
    *w++ = cs | (uint64_t)masked << 32;
    *w++ = flags_image(v, regs->rflags, masked);
    *w++ = regs->rsp;
    *w++ = regs->ss;

    sp = (sp & ~15ull) - (uint64_t)(w - frame) * sizeof(*w);
    if (unlikely(guest_write(sp, frame, (w - frame) * sizeof(*w)) != 0)) {
        domain_crash(v->domain, "no stack at %lx for %s %u", sp, b->what, b->number);
        return;
    }
    if (b->mask_events)
        write_once(v->info->evtchn_upcall_mask, 1);
    regs->rip = b->address;
    regs->cs = SEL_GUEST_CS64;
    regs->rflags &= ~(BOUNCE_FLAGS_CLEAR | (b->clear_df ? RFLAGS_DF : 0));
    regs->rflags |= RFLAGS_IF | RFLAGS_MBS;
    regs->rsp = sp;
    regs->ss = SEL_GUEST_SS;
}

static void inject(struct vcpu *v, unsigned vector, uint32_t error)
{
    const struct pv_trap *t = &v->pv->trap[vector & 0xff];
    struct bounce b = {
        .address = t->address,
        .what = "exception",
        .number = vector,
        .mask_events = t->mask_events,
    };

    if (vector < 32 && (VECTORS_WITH_ERROR >> vector & 1)) {
        b.extras = 1;
        b.extra[0] = error;
    }
    bounce(v, &cpu_local()->guest, &b);
}

/* The word of TRC_PV_TRAP: vector in 15 bits, "has an error code", the error code. */
static uint32_t trap_word(unsigned vector, uint32_t error)
{
    bool has_error = vector < 32 && (VECTORS_WITH_ERROR >> vector & 1);

    return (vector & 0x7fff) | has_error << 15 | (has_error ? error << 16 : 0);
}

void pv_inject_trap(struct vcpu *v, unsigned vector, uint32_t error)
{
    TRACE(TRC_PV_TRAP | TRC_64_FLAG, TRACE_LONG(cpu_local()->guest.rip), trap_word(vector, error));
    inject(v, vector, error);
}

void pv_inject_page_fault(struct vcpu *v, uint64_t cr2, uint32_t error)
{
    TRACE(TRC_PV_PAGE_FAULT | TRC_64_FLAG, TRACE_LONG(cpu_local()->guest.rip), TRACE_LONG(cr2),
          error);
    v->info->arch.cr2 = cr2;
    inject(v, VEC_PF, error);
}

void pv_inject_software_interrupt(struct vcpu *v, unsigned vector)
{
    const struct pv_trap *t = &v->pv->trap[vector & 0xff];
    struct bounce b = {
        .address = t->address,
        .what = "interrupt",
        .number = vector,
        .mask_events = t->mask_events,
    };

    bounce(v, &cpu_local()->guest, &b);
}

void pv_deliver_event(struct vcpu *v)
{
    struct bounce b = {
        .address = v->pv->event.address, .what = "event callback", .mask_events = true};

    bounce(v, &cpu_local()->guest, &b);
}

void pv_deliver_failsafe(struct vcpu *v, const uint16_t sel[4])
{
    struct bounce b = {
        .address = v->pv->failsafe.address,
        .what = "failsafe callback",
        .mask_events = v->pv->failsafe.mask_events,
        .extras = 4,
        .extra = {sel[0], sel[1], sel[2], sel[3]},
    };

    bounce(v, &cpu_local()->guest, &b);
}

void pv_iret_failed(struct vcpu *v, unsigned vector, uint32_t error)
{
    pv_inject_trap(v, vector, error);
}

void pv_deliver_syscall(struct vcpu *v, struct regs *regs)
{
    const struct pv_callback *cb = regs->cs == SEL_GUEST_CS32 ? &v->pv->syscall32 : &v->pv->syscall;
    struct bounce b = {
        .address = cb->address,
        .what = "system call",
        .mask_events = cb->mask_events,
        .clear_df = true,
    };

    if (cb->address == 0) {
        regs->rip -= 2; /* the fault is at the instruction */
        pv_inject_trap(v, VEC_UD, 0);
        return;
    }
    bounce(v, regs, &b);
}

void pv_deliver_sysenter(struct vcpu *v, struct regs *regs)
{
    struct bounce b = {
        .address = v->pv->sysenter.address,
        .what = "system call",
        .mask_events = v->pv->sysenter.mask_events,
        .clear_df = true,
    };

    if (b.address == 0)
        pv_inject_trap(v, VEC_GP, 0);
    else
        bounce(v, regs, &b);
}

/* An NMI waits until the handler of the last one has left by iret. */
static void deliver_nmi(struct vcpu *v)
{
    struct pv_vcpu *pv = v->pv;

    if (pv->nmi_masked || !__atomic_exchange_n(&v->nmi_pending, false, __ATOMIC_SEQ_CST))
        return;
    if (pv->trap[VEC_NMI].address == 0)
        return;
    pv->nmi_masked = true;
    pv_inject_trap(v, VEC_NMI, 0);
}

void pv_exit_work(struct vcpu *v)
{
    struct pv_vcpu *pv = v->pv;

    if (pv->failsafe_pending) {
        pv->failsafe_pending = false;
        if (pv->failsafe.address != 0)
            pv_deliver_failsafe(v, pv->failsafe_sel);
    }
    if (v->nmi_pending)
        deliver_nmi(v);
}
