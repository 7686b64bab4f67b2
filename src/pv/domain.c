/* SPDX-License-Identifier: MIT */
/* The life of a PV domain's own part, and the whole context of a vCPU at once: what the builder, a
 * kernel that starts another CPU, and a restored image hand over. Public arch-x86/xen.h (struct
 * vcpu_guest_context); ABI.md 3.3. */
#include "base/log.h"
#include "cpu/cpu.h"
#include "cpu/xstate.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "memory/heap.h"
#include "memory/layout.h"
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

static void part_domain_free(struct domain *d)
{
    if (!d->pv)
        return;
    pv_perdomain_free(d);
    heap_free(d->pv->pit);
    heap_free(d->pv->policy);
    heap_free(d->pv);
    d->pv = NULL;
}

static void part_vcpu_free(struct vcpu *v)
{
    if (!v->pv)
        return;
    xstate_free(v->pv->xstate);
    heap_free(v->pv);
    v->pv = NULL;
}

static int part_domain_init(struct domain *d, const struct domain_config *config)
{
    struct pv_domain *pv;

    if (d->hvm)
        return 0;
    pv = heap_zalloc(sizeof(*pv));
    if (!pv)
        return -ENOMEM;
    d->pv = pv;
    lock_init(&pv->mmu, RANK_PV, "page tables");
    lock_init(&pv->chip, RANK_CHIP, "domain's PIT");
    pv->policy = heap_alloc(sizeof(*pv->policy));
    pv->pit = d->hardware ? pv_pit_create() : NULL;
    if (!pv->policy || (d->hardware && !pv->pit))
        goto fail;
    *pv->policy = policy_pv_default;
    if (d->hardware) { /* sees the counter as it is: nobody will move it */
        pv->policy->ext[7].d = policy_pv_max.ext[7].d;
        pv->policy->arch_caps = policy_pv_max.arch_caps;
    }
    if (pv_descriptor_init() || pv_perdomain_init(d))
        goto fail;
    return 0;
fail:
    part_domain_free(d);
    return -ENOMEM;
}

static int part_vcpu_init(struct vcpu *v)
{
    struct pv_vcpu *pv;
    int rc;

    if (v->domain->hvm)
        return 0;
    pv = heap_zalloc(sizeof(*pv));
    if (!pv)
        return -ENOMEM;
    v->pv = pv;
    pv->in_kernel = true;
    pv->kernel_l4 = pv->user_l4 = INVALID_MFN;
    for (unsigned i = 0; i < ARRAY_SIZE(pv->gdt_frame); i++)
        pv->gdt_frame[i] = INVALID_MFN;
    for (unsigned i = 0; i < ARRAY_SIZE(pv->ldt_frame); i++)
        pv->ldt_frame[i] = INVALID_MFN;
    pv->dr6 = DR6_DEFAULT;
    pv->dr7 = DR7_DEFAULT;
    pv->xcr0 = pv->xcr0_accum = XCR0_DEFAULT;
    rc = xstate_alloc(&pv->xstate);
    if (!rc)
        rc = pv_perdomain_vcpu_init(v);
    if (rc) {
        part_vcpu_free(v);
        return rc;
    }
    pv_gdt_drop(v); /* the window shows a table without entries */
    return 0;
}

static int part_domain_release(struct domain *d)
{
    struct vcpu *v;

    if (!d->pv)
        return 0;
    for_each_vcpu (d, v) {
        if (!v->pv)
            continue;
        pv_gdt_drop(v);
        pv_ldt_drop(v);
        v->pv->ldt_entries = 0;
    }
    return pv_mm_destroy(d);
}

const struct domain_part pv_part = {
    .name = "pv",
    .domain_init = part_domain_init,
    .vcpu_init = part_vcpu_init,
    .domain_release = part_domain_release,
    .vcpu_free = part_vcpu_free,
    .domain_free = part_domain_free,
};

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

static int context_frames(struct vcpu *v, const struct vcpu_guest_context *c)
{
    int rc = pv_new_kernel_l4(v, context_mfn(c->ctrlreg[3]));

    if (!rc)
        rc = pv_new_user_l4(v, context_mfn(c->ctrlreg[1]));
    if (!rc)
        rc = pv_gdt_set(v, c->gdt_frames, c->gdt_ents);
    if (!rc)
        rc = pv_set_ldt(v, c->ldt_base, c->ldt_ents);
    return rc;
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
    struct pv_vcpu *pv = v->pv;
    int rc = context_check(v, c);

    if (rc)
        return rc;
    memset(pv->dr, 0, sizeof(pv->dr));
    pv->dr7 = DR7_DEFAULT;
    pv->cr4 = c->ctrlreg[4] & pv_cr4_guest_mask(v->domain); /* DE allows port breakpoints */
    for (unsigned i = 0; i < 8 && !rc; i++)
        if (i != 4 && i != 5)
            rc = pv_debugreg_set(v, i, c->debugreg[i]);
    if (rc)
        return -EINVAL;
    rc = context_frames(v, c);
    if (rc)
        return rc;
    memset(pv->trap, 0, sizeof(pv->trap));
    for (unsigned i = 0; i < ARRAY_SIZE(c->trap_ctxt); i++) {
        if (c->trap_ctxt[i].address == 0)
            continue;
        rc = pv_set_trap(v, &c->trap_ctxt[i]);
        if (rc)
            return rc;
    }
    context_state(v, c);
    context_registers(v, c);
    if (v->id == 0)
        v->domain->vm_assist = c->vm_assist & KNOWN_ASSISTS;
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
    c->ctrlreg[1] = mfn_eq(pv->user_l4, INVALID_MFN) ? 0 : pv->user_l4.n << PAGE_SHIFT;
    c->ctrlreg[3] = pv->kernel_l4.n << PAGE_SHIFT;
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
