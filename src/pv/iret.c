/* SPDX-License-Identifier: MIT */
/* The iret hypercall: the way from a handler of the guest kernel back to what was interrupted, in
 * user or kernel mode. In one step it takes all registers of the frame, sets the event mask from
 * IF, and lets NMIs in again; the exit path then looks for events that wait: that is why the guest
 * does not use the instruction. Public arch-x86/xen-x86_64.h; ABI.md 3.5. */
#include "base/softirq.h"
#include "domain/guest_copy.h"
#include "pv/internal.h"

/* What a frame may set; the rest is the hypervisor's or the event mask. */
#define IRET_FLAGS                                                                       \
    (RFLAGS_CF | RFLAGS_PF | RFLAGS_AF | RFLAGS_ZF | RFLAGS_SF | RFLAGS_TF | RFLAGS_DF | \
     RFLAGS_OF | RFLAGS_NT | RFLAGS_RF | RFLAGS_AC | RFLAGS_ID)

long pv_iret(void)
{
    struct vcpu *v = current();
    struct regs *regs = &cpu_local()->guest;
    struct pv_vcpu *pv = v->pv;
    struct iret_context c;

    if (unlikely(v->in_multicall))
        return refuse(-EINVAL, "iret inside a multicall");
    if (unlikely(guest_read(&c, regs->rsp, sizeof(c)) != 0)) {
        domain_crash(v->domain, "iret: cannot read the frame at %lx", regs->rsp);
        return 0;
    }
    if ((c.cs & 3) == 3) {
        if (unlikely(mfn_eq(pv->user_l4, INVALID_MFN))) {
            domain_crash(v->domain, "iret to user mode without user page tables");
            return 0;
        }
        pv_toggle_mode(v);
    }
    if (v->domain->vm_assist & BIT(VMASST_TYPE_architectural_iopl))
        pv->iopl = (c.rflags & RFLAGS_IOPL) >> 12;

    regs->rip = c.rip;
    regs->cs = c.cs | 3;
    regs->rflags = (c.rflags & IRET_FLAGS) | RFLAGS_IF | RFLAGS_MBS;
    regs->rsp = c.rsp;
    regs->ss = c.ss | 3;
    regs->rax = c.rax;
    if (c.flags & VGCF_in_syscall) {
        regs->rcx = c.rip; /* as SYSRET leaves them */
        regs->r11 = regs->rflags;
    } else {
        regs->rcx = c.rcx;
        regs->r11 = c.r11;
    }
    regs->entry_vector = 0; /* all registers count: not by SYSRET */
    pv->nmi_masked = false;
    if (v->nmi_pending)
        softirq_raise(SOFTIRQ_GUEST);
    write_once(v->info->evtchn_upcall_mask, !(c.rflags & RFLAGS_IF));
    return (long)c.rax;
}
