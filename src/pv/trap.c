/* SPDX-License-Identifier: MIT */
/* Exceptions that a PV guest raised: some are the hypervisor's own business (an instruction that
 * only ring 0 may execute, a page table the guest writes to, an LDT page not yet mapped), the rest
 * go to the guest's handler.
 *
 * Intel SDM vol. 3A, 6.15; ABI.md 3.5, 3.7, 3.8. */
#include "cpu/xpti.h"
#include "domain/guest_copy.h"
#include "lib/string.h"
#include "memory/layout.h"
#include "pv/internal.h"
#include "time/trace.h"

/* ---- page faults ---- */

static bool in_ldt_window(const struct vcpu *v, uint64_t va)
{
    return va - pv_ldt_va(v) < 16 * PAGE_SIZE;
}

bool pv_mend_hypervisor_fault(uint64_t cr2, uint32_t error)
{
    struct vcpu *v = current();

    if (!v || !v->pv)
        return false;
    if (in_ldt_window(v, cr2))
        return !(error & PFEC_P) && pv_map_ldt_page(v, cr2 - pv_ldt_va(v));
    return guest_range_ok(cr2, 1) && (error & PFEC_P) && pv_access_allowed(v, cr2, error | PFEC_U);
}

/* QEMU reads the stack of IRET and of far RET at CPL 3 with the rights of ring 0, so with SMAP it
 * faults there as no processor does. The instruction is completed here: at one privilege level it
 * is a load of rip, cs, flags, rsp and ss. */
struct far_return {
    unsigned word; /* bytes of a stack slot */
    bool iret;
    unsigned release; /* bytes RET frees beyond */
};

static bool far_return_decode(struct vcpu *v, const struct regs *regs, struct far_return *r)
{
    uint8_t code[4] = {0};
    unsigned i = 0, bits = pv_code_bits(v, regs->cs);

    for (unsigned n = sizeof(code); n > 0; n--)
        if (guest_read(code, regs->rip, n) == 0)
            break;
    *r = (struct far_return){.word = 4};
    if (bits == 64 && code[0] >= 0x48 && code[0] <= 0x4f) { /* REX.W */
        r->word = 8;
        i = 1;
    }
    if (bits == 16)
        return false;
    r->iret = code[i] == 0xcf;
    if (code[i] == 0xca)
        r->release = code[i + 1] | code[i + 2] << 8;
    return r->iret || code[i] == 0xcb || code[i] == 0xca;
}

static bool complete_far_return(struct vcpu *v, struct regs *regs)
{
    const uint64_t flags = RFLAGS_CF | RFLAGS_PF | RFLAGS_AF | RFLAGS_ZF | RFLAGS_SF | RFLAGS_TF |
                           RFLAGS_DF | RFLAGS_OF | RFLAGS_NT | RFLAGS_RF | RFLAGS_AC | RFLAGS_ID;
    uint64_t slot[5] = {0};
    struct far_return r;
    unsigned n;

    if (!far_return_decode(v, regs, &r))
        return false;
    n = !r.iret ? 2 : pv_code_bits(v, regs->cs) == 64 ? 5 : 3;
    for (unsigned i = 0; i < n; i++)
        if (guest_read(&slot[i], regs->rsp + i * r.word, r.word))
            return false;
    if ((slot[1] & 3) != 3) { /* nobody returns to more privilege */
        pv_inject_trap(v, VEC_GP, slot[1] & 0xfffc);
        return true;
    }
    regs->rip = slot[0];
    regs->cs = slot[1];
    regs->rsp += n * r.word + r.release;
    if (r.iret)
        regs->rflags = (slot[2] & flags) | (regs->rflags & RFLAGS_IF) | RFLAGS_MBS | RFLAGS_IF;
    if (n == 5) {
        regs->rsp = slot[3];
        regs->ss = slot[4] | 3;
    }
    return true;
}

static void handle_page_fault(struct vcpu *v, struct regs *regs)
{
    uint64_t cr2 = read_cr2(), rip = regs->rip;
    uint32_t error = regs->error_code;

    if (unlikely(!(error & PFEC_U))) {
        /* The processor's own accesses: descriptor tables, and QEMU's returns. */
        if (in_ldt_window(v, cr2)) {
            if (pv_map_ldt_page(v, cr2 - pv_ldt_va(v)))
                return;
            cr2 = v->pv->ldt_base + (cr2 - pv_ldt_va(v));
        } else if (guest_range_ok(cr2, 1) && (error & PFEC_P) && !(error & (PFEC_W | PFEC_I)) &&
                   complete_far_return(v, regs)) {
            return;
        }
    } else if (v->pv->in_kernel && (error & PFEC_P) && guest_range_ok(cr2, 1)) {
        if ((error & (PFEC_W | PFEC_RSVD | PFEC_I)) == PFEC_W && pv_ptwr_fault(v, cr2, error)) {
            TRACE(TRC_PV_PTWR_EMULATION | TRC_64_FLAG, 0, 0, TRACE_LONG(cr2), TRACE_LONG(rip));
            return;
        }
        /* A stale translation faulted; the processor dropped it with the fault. */
        if (pv_access_allowed(v, cr2, error))
            return;
    } else if (!(error & PFEC_P) && xpti_stale() && pv_access_allowed(v, cr2, error)) {
        return; /* another CPU has filled a slot of the L4 whose copy we ran on */
    }
    if (v->pv->in_kernel)
        error &= ~PFEC_U;
    else
        error |= PFEC_U;
    pv_inject_page_fault(v, cr2, error);
}

/* ---- software interrupts and privileged instructions ---- */

#define ERROR_IDT 2u /* in a selector error code: the index is that of the IDT */

/* INT n through a gate of ring 0. The vector is taken from the instruction: QEMU before 8.0 gives
 * a wrong one in the error code. */
static bool software_interrupt(struct vcpu *v, struct regs *regs)
{
    const struct pv_trap *t;
    uint8_t code[2];
    unsigned vector;

    if (guest_read(code, regs->rip, sizeof(code)) || code[0] != 0xcd)
        return false;
    vector = code[1];
    t = &v->pv->trap[index_nospec(vector, 256)];
    if (t->address == 0 || t->dpl < (v->pv->in_kernel ? 1 : 3)) {
        pv_inject_trap(v, VEC_GP, vector << 3 | ERROR_IDT);
        return true;
    }
    regs->rip += 2;
    pv_inject_software_interrupt(v, vector);
    return true;
}

static bool is_sysenter(const struct regs *regs)
{
    uint8_t code[2];

    return guest_read(code, regs->rip, sizeof(code)) == 0 && code[0] == 0x0f && code[1] == 0x34;
}

static void handle_general_protection(struct vcpu *v, struct regs *regs)
{
    uint32_t error = regs->error_code;
    uint64_t rip = regs->rip;

    if ((error & 3) == ERROR_IDT && software_interrupt(v, regs))
        return;
    if (error == 0) {
        if (pv_emulate_privileged(v, regs)) {
            TRACE(TRC_PV_EMULATE_PRIVOP | TRC_64_FLAG, TRACE_LONG(rip));
            return;
        }
        if (!v->pv->in_kernel && is_sysenter(regs)) {
            pv_deliver_sysenter(v, regs);
            return;
        }
    }
    pv_inject_trap(v, VEC_GP, error);
}

/* "ud2; .ascii "xen"; cpuid": a CPUID that every processor lets us answer. Public cpuid.h and
 * arch-x86/xen.h (XEN_EMULATE_PREFIX). */
static const uint8_t forced_cpuid[7] = {0x0f, 0x0b, 'x', 'e', 'n', 0x0f, 0xa2};

static void handle_invalid_opcode(struct vcpu *v, struct regs *regs)
{
    uint8_t code[sizeof(forced_cpuid)];

    if (guest_read(code, regs->rip, sizeof(code)) == 0 &&
        memcmp(code, forced_cpuid, sizeof(code)) == 0) {
        struct cpuid_leaf l = pv_cpuid(v, regs->rax, regs->rcx, PV_CPUID_FORCED);

        regs->rax = l.a;
        regs->rbx = l.b;
        regs->rcx = l.c;
        regs->rdx = l.d;
        TRACE(TRC_PV_FORCED_INVALID_OP | TRC_64_FLAG, TRACE_LONG(regs->rip));
        pv_retire(v, regs, sizeof(code));
        return;
    }
    pv_inject_trap(v, VEC_UD, 0);
}

/* ---- the others ---- */

static void handle_no_fpu(struct vcpu *v, struct regs *regs)
{
    /* CR0.TS is set only where the guest wants this exception, which clears it. */
    cpu_clts();
    if (v->pv->ts) {
        v->pv->ts = false;
        pv_inject_trap(v, VEC_NM, 0);
    }
}

static void handle_debug(struct vcpu *v, struct regs *regs)
{
    uint64_t dr6 = read_dr6();

    write_dr6(DR6_DEFAULT);
    v->pv->dr6 = (v->pv->dr6 & ~0xful) | (dr6 & ~DR6_DEFAULT) | DR6_DEFAULT;
    pv_inject_trap(v, VEC_DB, 0);
}

void pv_retire(struct vcpu *v, struct regs *regs, unsigned len)
{
    regs->rip += len;
    regs->rflags &= ~RFLAGS_RF;
    if (unlikely(regs->rflags & RFLAGS_TF)) {
        v->pv->dr6 |= DR6_BS | DR6_DEFAULT;
        pv_inject_trap(v, VEC_DB, 0);
    }
}

static void handle_software_gate(struct vcpu *v, struct regs *regs)
{
    unsigned vector = regs->entry_vector;
    const struct pv_trap *t = &v->pv->trap[index_nospec(vector & 0xff, 256)];

    if (t->address == 0 || t->dpl < (v->pv->in_kernel ? 1 : 3)) {
        regs->rip -= 2;
        pv_inject_trap(v, VEC_GP, vector << 3 | ERROR_IDT);
        return;
    }
    pv_inject_software_interrupt(v, vector);
}

void pv_handle_trap(struct regs *regs)
{
    struct vcpu *v = current();
    unsigned vector = regs->entry_vector;

    switch (vector) {
    case VEC_PF:
        handle_page_fault(v, regs);
        break;
    case VEC_GP:
        handle_general_protection(v, regs);
        break;
    case VEC_UD:
        handle_invalid_opcode(v, regs);
        break;
    case VEC_NM:
        handle_no_fpu(v, regs);
        break;
    case VEC_DB:
        handle_debug(v, regs);
        break;
    default:
        if (vector < 32)
            pv_inject_trap(v, vector, regs->error_code);
        else
            handle_software_gate(v, regs);
        break;
    }
}
