/* SPDX-License-Identifier: MIT */
/* The whole context of a PV vCPU at once: what the builder, a kernel that starts another CPU, and a
 * restored image hand over, and what a saved image takes along. Public arch-x86/xen.h (struct
 * vcpu_guest_context), domctl.h; ABI.md 2.1, 3.3.
 *
 * A context is taken as a whole or not at all. Page tables and descriptor frames come with the
 * first one only; until the vCPU has it, what a call that is to be continued has got already is
 * kept. */
#include <xen/domctl.h>
#include "base/panic.h"
#include "cpu/cpu.h"
#include "cpu/xstate.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "pv/internal.h"

/* Flags a context may set. */
#define CONTEXT_FLAGS                                                                    \
    (RFLAGS_CF | RFLAGS_PF | RFLAGS_AF | RFLAGS_ZF | RFLAGS_SF | RFLAGS_TF | RFLAGS_DF | \
     RFLAGS_OF | RFLAGS_NT | RFLAGS_RF | RFLAGS_AC | RFLAGS_ID)
#define KNOWN_ASSISTS                                                              \
    (BIT(VMASST_TYPE_4gb_segments) | BIT(VMASST_TYPE_4gb_segments_notify) |        \
     BIT(VMASST_TYPE_writable_pagetables) | BIT(VMASST_TYPE_pae_extended_cr3) |    \
     BIT(VMASST_TYPE_architectural_iopl) | BIT(VMASST_TYPE_runstate_update_flag) | \
     BIT(VMASST_TYPE_m2p_strict))

/* ---- contexts ---- */

/* cr3 in public format, of a 64-bit guest: the frame number shifted; frame 0 is none. */
static mfn_t context_mfn(uint64_t cr3)
{
    return mfn(cr3 >> PAGE_SHIFT);
}

static int context_check(const struct vcpu *v, const struct vcpu_guest_context *c)
{
    const uint64_t must_be_canonical[] = {
        c->user_regs.rip, c->event_callback_eip, c->failsafe_callback_eip, c->syscall_callback_eip,
        c->fs_base,       c->gs_base_kernel,     c->gs_base_user,
    };

    for (unsigned i = 0; i < ARRAY_SIZE(must_be_canonical); i++)
        if (!is_canonical(must_be_canonical[i]))
            return refuse(-EINVAL, "context: address %#lx (%u) is not canonical",
                          must_be_canonical[i], i);
    for (unsigned i = 0; i < ARRAY_SIZE(c->trap_ctxt); i++)
        if (!is_canonical(c->trap_ctxt[i].address))
            return refuse(-EINVAL, "context: trap %u is not canonical", i);
    if (c->gdt_ents > GDT_GUEST_ENTRIES || c->ldt_ents > 8192)
        return refuse(-EINVAL, "context: GDT of %lu, LDT of %lu entries", c->gdt_ents, c->ldt_ents);
    if (c->ldt_ents &&
        (!IS_ALIGNED(c->ldt_base, PAGE_SIZE) || !guest_range_ok(c->ldt_base, c->ldt_ents * 8)))
        return refuse(-EINVAL, "context: LDT at %#lx", c->ldt_base);
    if (context_mfn(c->ctrlreg[3]).n == 0)
        return refuse(-EINVAL, "context: no page tables");
    if (!(c->flags & VGCF_in_kernel) && context_mfn(c->ctrlreg[1]).n == 0)
        return refuse(-EINVAL, "context: user mode without user page tables");
    return 0;
}

static uint64_t context_cr3(mfn_t m)
{
    return mfn_eq(m, INVALID_MFN) ? 0 : m.n << PAGE_SHIFT;
}

/* Of a vCPU that has a context, tables stay: they are changed by the guest's own calls. */
static int context_same_tables(const struct vcpu *v, const struct vcpu_guest_context *c)
{
    const struct pv_vcpu *pv = v->pv;
    bool same = c->ctrlreg[3] == context_cr3(pv->kernel_l4) &&
                c->ctrlreg[1] == context_cr3(pv->user_l4) && c->gdt_ents == pv->gdt_entries &&
                c->ldt_ents == pv->ldt_entries && (!c->ldt_ents || c->ldt_base == pv->ldt_base);

    for (unsigned i = 0; same && i < DIV_ROUND_UP(c->gdt_ents, 512u); i++)
        same = c->gdt_frames[i] == pv->gdt_frame[i].n;
    return same ? 0 : refuse(-EOPNOTSUPP, "context: other tables for vCPU %u, which runs", v->id);
}

/* Gives up page tables and descriptors; -ERESTART: call again. */
static int tables_drop(struct vcpu *v)
{
    int rc = pv_new_kernel_l4(v, INVALID_MFN);

    if (!rc)
        rc = pv_new_user_l4(v, INVALID_MFN);
    if (rc)
        return rc;
    pv_gdt_drop(v);
    pv_ldt_drop(v);
    v->pv->ldt_entries = 0;
    return 0;
}

/* A context that was refused half way: first what it got goes back, then the caller hears why. */
static int context_undo(struct vcpu *v)
{
    int rc = tables_drop(v);

    if (!rc) {
        rc = v->pv->context_refused;
        v->pv->context_refused = 0;
    }
    return rc;
}

static int context_tables(struct vcpu *v, const struct vcpu_guest_context *c)
{
    int rc;

    if (v->pv->context_refused)
        return context_undo(v);
    rc = pv_new_kernel_l4(v, context_mfn(c->ctrlreg[3]));
    if (!rc)
        rc = pv_new_user_l4(v, context_mfn(c->ctrlreg[1]));
    if (!rc)
        rc = pv_gdt_set(v, c->gdt_frames, c->gdt_ents);
    if (!rc)
        rc = pv_set_ldt(v, c->ldt_base, c->ldt_ents);
    if (!rc || rc == -ERESTART)
        return rc;
    v->pv->context_refused = rc;
    return context_undo(v);
}

/* What a context that is refused must not have changed. */
struct debug_state {
    uint64_t dr[4], dr6, dr7, dr7_emul, cr4;
};

static struct debug_state debug_save(const struct pv_vcpu *pv)
{
    return (struct debug_state){
        .dr = {pv->dr[0], pv->dr[1], pv->dr[2], pv->dr[3]},
        .dr6 = pv->dr6,
        .dr7 = pv->dr7,
        .dr7_emul = pv->dr7_emul,
        .cr4 = pv->cr4,
    };
}

static void debug_restore(struct pv_vcpu *pv, const struct debug_state *s)
{
    memcpy(pv->dr, s->dr, sizeof(pv->dr));
    pv->dr6 = s->dr6;
    pv->dr7 = s->dr7;
    pv->dr7_emul = s->dr7_emul;
    pv->cr4 = s->cr4;
}

static int context_debug(struct vcpu *v, const struct vcpu_guest_context *c)
{
    struct pv_vcpu *pv = v->pv;

    debug_restore(pv, &(struct debug_state){
                          .dr6 = DR6_DEFAULT,
                          .dr7 = DR7_DEFAULT,
                          /* DE allows port breakpoints */
                          .cr4 = c->ctrlreg[4] & pv_cr4_guest_mask(v->domain),
                      });
    for (unsigned i = 0; i < 8; i++)
        if (i != 4 && i != 5 && pv_debugreg_set(v, i, c->debugreg[i]))
            return -EINVAL;
    return 0;
}

static void context_traps(struct vcpu *v, const struct vcpu_guest_context *c)
{
    memset(v->pv->trap, 0, sizeof(v->pv->trap));
    for (unsigned i = 0; i < ARRAY_SIZE(c->trap_ctxt); i++)
        if (c->trap_ctxt[i].address != 0 && pv_set_trap(v, &c->trap_ctxt[i]))
            BUG(); /* the addresses were checked */
}

static void context_registers(struct vcpu *v, const struct vcpu_guest_context *c)
{
    struct regs *r = &v->regs;

    memcpy(r, &c->user_regs, sizeof(*r));
    r->entry_vector = r->error_code = 0;
    r->cs |= 3;
    r->ss |= 3;
    r->rflags = (r->rflags & CONTEXT_FLAGS) | RFLAGS_IF | RFLAGS_MBS;
    r->pad0 = 0;
    r->saved_upcall_mask = 0;
    memset(r->pad1, 0, sizeof(r->pad1));
    memset(r->pad2, 0, sizeof(r->pad2));
}

static void context_state(struct vcpu *v, const struct vcpu_guest_context *c)
{
    struct pv_vcpu *pv = v->pv;

    pv->in_kernel = c->flags & VGCF_in_kernel;
    pv->iopl = (c->user_regs.rflags & RFLAGS_IOPL) >> 12;
    pv->ts = c->ctrlreg[0] & CR0_TS;
    pv->kernel_ss = c->kernel_ss | 3;
    pv->kernel_sp = c->kernel_sp;
    pv->event = (struct pv_callback){c->event_callback_eip, true};
    pv->failsafe =
        (struct pv_callback){c->failsafe_callback_eip, c->flags & VGCF_failsafe_disables_events};
    pv->syscall =
        (struct pv_callback){c->syscall_callback_eip, c->flags & VGCF_syscall_disables_events};
    pv->ds = c->user_regs.ds;
    pv->es = c->user_regs.es;
    pv->fs = c->user_regs.fs;
    pv->gs = c->user_regs.gs;
    pv->fs_base = c->fs_base;
    pv->gs_base_kernel = c->gs_base_kernel;
    pv->gs_base_user = c->gs_base_user;
    if (c->flags & VGCF_i387_valid)
        xstate_set_fxsave(pv->xstate, &c->fpu_ctxt);
    else
        xstate_reset(pv->xstate);
}

int pv_vcpu_set_context(struct vcpu *v, const struct vcpu_guest_context *c)
{
    const struct debug_state old = debug_save(v->pv);
    int rc = context_check(v, c);

    if (!rc && v->initialised)
        rc = context_same_tables(v, c);
    if (!rc)
        rc = context_debug(v, c);
    if (!rc && !v->initialised)
        rc = context_tables(v, c);
    if (rc) {
        debug_restore(v->pv, &old);
        return rc;
    }
    context_traps(v, c);
    context_state(v, c);
    context_registers(v, c);
    if (v->id == 0)
        v->domain->vm_assist = c->vm_assist & KNOWN_ASSISTS;
    return 0;
}

/* As it was made; the frame of its vcpu_info and its timers stay. */
int pv_vcpu_reset(struct vcpu *v)
{
    struct pv_vcpu *pv = v->pv;
    int rc = tables_drop(v);

    if (rc)
        return rc;
    debug_restore(pv, &(struct debug_state){.dr6 = DR6_DEFAULT, .dr7 = DR7_DEFAULT});
    memset(pv->trap, 0, sizeof(pv->trap));
    pv->event = pv->failsafe = pv->syscall = pv->syscall32 = pv->sysenter = pv->nmi =
        (struct pv_callback){0};
    pv->in_kernel = true;
    pv->ts = pv->nmi_masked = pv->failsafe_pending = pv->io_breakpoint_hit = false;
    pv->iopl = 0;
    pv->iobmp = pv->iobmp_ports = 0;
    pv->xcr0 = pv->xcr0_accum = XCR0_DEFAULT;
    pv->msr_misc_features = pv->msr_spec_ctrl = pv->msr_tsc_aux = 0;
    memset(pv->dr_mask, 0, sizeof(pv->dr_mask));
    xstate_reset(pv->xstate);
    pv->context_refused = 0;
    return 0;
}

static void get_traps(const struct pv_vcpu *pv, struct vcpu_guest_context *c)
{
    for (unsigned i = 0; i < ARRAY_SIZE(c->trap_ctxt); i++) {
        const struct pv_trap *t = &pv->trap[i];

        c->trap_ctxt[i] = (struct trap_info){
            .vector = i,
            .flags = t->dpl | (t->mask_events ? 4 : 0),
            .cs = t->cs,
            .address = t->address,
        };
    }
}

void pv_vcpu_get_context(struct vcpu *v, struct vcpu_guest_context *c)
{
    const struct pv_vcpu *pv = v->pv;

    memset(c, 0, sizeof(*c));
    xstate_get_fxsave(pv->xstate, &c->fpu_ctxt);
    c->flags = VGCF_i387_valid | (pv->in_kernel ? VGCF_in_kernel : 0) |
               (pv->failsafe.mask_events ? VGCF_failsafe_disables_events : 0) |
               (pv->syscall.mask_events ? VGCF_syscall_disables_events : 0);
    memcpy(&c->user_regs, &v->regs, sizeof(v->regs));
    c->user_regs.entry_vector = 0;
    c->user_regs.rflags = (v->regs.rflags & ~RFLAGS_IOPL) | (uint64_t)pv->iopl << 12;
    c->user_regs.ds = pv->ds;
    c->user_regs.es = pv->es;
    c->user_regs.fs = pv->fs;
    c->user_regs.gs = pv->gs;
    get_traps(pv, c);
    c->ldt_base = pv->ldt_base;
    c->ldt_ents = pv->ldt_entries;
    for (unsigned i = 0; i < GDT_GUEST_FRAMES && i * 512u < pv->gdt_entries; i++)
        c->gdt_frames[i] = pv->gdt_frame[i].n;
    c->gdt_ents = pv->gdt_entries;
    c->kernel_ss = pv->kernel_ss;
    c->kernel_sp = pv->kernel_sp;
    c->ctrlreg[0] =
        CR0_PG | CR0_WP | CR0_NE | CR0_ET | CR0_MP | CR0_PE | CR0_AM | (pv->ts ? CR0_TS : 0);
    c->ctrlreg[1] = context_cr3(pv->user_l4);
    c->ctrlreg[3] = context_cr3(pv->kernel_l4);
    c->ctrlreg[4] = pv_cr4_view(v);
    memcpy(c->debugreg, pv->dr, sizeof(pv->dr));
    c->debugreg[6] = pv->dr6;
    c->debugreg[7] = pv->dr7 | pv->dr7_emul;
    c->event_callback_eip = pv->event.address;
    c->failsafe_callback_eip = pv->failsafe.address;
    c->syscall_callback_eip = pv->syscall.address;
    c->vm_assist = v->domain->vm_assist;
    c->fs_base = pv->fs_base;
    c->gs_base_kernel = pv->gs_base_kernel;
    c->gs_base_user = pv->gs_base_user;
}

/* ---- what struct vcpu_guest_context has no room for ---- */

void pv_vcpu_get_ext(struct vcpu *v, struct xen_domctl_ext_vcpucontext *e)
{
    const struct pv_vcpu *pv = v->pv;

    *e = (struct xen_domctl_ext_vcpucontext){
        .vcpu = v->id,
        .size = sizeof(*e),
        .syscall32_callback_eip = pv->syscall32.address,
        .sysenter_callback_eip = pv->sysenter.address,
        .syscall32_callback_cs = SEL_GUEST_CS64,
        .sysenter_callback_cs = SEL_GUEST_CS64,
        .syscall32_disables_events = pv->syscall32.mask_events,
        .sysenter_disables_events = pv->sysenter.mask_events,
    };
}

int pv_vcpu_set_ext(struct vcpu *v, const struct xen_domctl_ext_vcpucontext *e)
{
    struct pv_vcpu *pv = v->pv;

    if (e->size < offsetof(struct xen_domctl_ext_vcpucontext, mcg_cap))
        return refuse(-EINVAL, "extended context of %u bytes", e->size);
    if (!is_canonical(e->syscall32_callback_eip) || !is_canonical(e->sysenter_callback_eip))
        return refuse(-EINVAL, "extended context: callbacks %#lx, %#lx are not canonical",
                      e->syscall32_callback_eip, e->sysenter_callback_eip);
    pv->syscall32 = (struct pv_callback){e->syscall32_callback_eip, e->syscall32_disables_events};
    pv->sysenter = (struct pv_callback){e->sysenter_callback_eip, e->sysenter_disables_events};
    return 0;
}

static uint64_t xcr0_allowed(const struct vcpu *v)
{
    const struct cpuid_leaf *l = &v->domain->pv->policy->xstate[0];

    return xstate_mask & (l->a | (uint64_t)l->d << 32);
}

size_t pv_vcpu_xstate_size(const struct vcpu *v)
{
    return xcr0_allowed(v) ? sizeof(struct pv_xstate) + xstate_size(v->pv->xcr0_accum) : 0;
}

uint64_t pv_vcpu_xstate_mask(const struct vcpu *v)
{
    return xcr0_allowed(v);
}

void pv_vcpu_get_xstate(const struct vcpu *v, struct pv_xstate *x)
{
    x->xcr0 = v->pv->xcr0;
    x->xcr0_accum = v->pv->xcr0_accum;
    memcpy(x->image, xstate_image(v->pv->xstate), xstate_size(x->xcr0_accum));
}

int pv_vcpu_set_xstate(struct vcpu *v, const struct pv_xstate *x, size_t size)
{
    struct pv_vcpu *pv = v->pv;
    uint64_t allowed = xcr0_allowed(v), accum = x->xcr0_accum | XCR0_DEFAULT;

    if (!x->xcr0_accum && !x->xcr0) /* never enabled any: the legacy state says it all */
        return 0;
    if (!xstate_xcr0_ok(x->xcr0, allowed) || !xstate_xcr0_ok(x->xcr0_accum, allowed) ||
        (x->xcr0 & ~x->xcr0_accum))
        return refuse(-EINVAL, "extended state: XCR0 %#lx, %#lx of %#lx", x->xcr0, x->xcr0_accum,
                      allowed);
    if (size < sizeof(*x) + xstate_size(x->xcr0_accum))
        return refuse(-EINVAL, "extended state of %zu bytes", size);
    if (xstate_set_image(pv->xstate, x->image, size - sizeof(*x), accum))
        return refuse(-EINVAL, "extended state: header");
    pv->xcr0 = x->xcr0;
    pv->xcr0_accum = accum;
    return 0;
}
