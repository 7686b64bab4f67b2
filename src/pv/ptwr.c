/* SPDX-License-Identifier: MIT */
/* Writes of a guest kernel to its own page tables: an L1 table is mapped read-only, the kernel
 * writes all the same, and the write is carried out as an update of that entry ("writable page
 * tables": VMASST_TYPE_writable_pagetables; ABI.md 3.8). Any instruction that the emulator knows
 * will do, with 1 to 8 bytes within one entry. A locked one stays atomic against the processor's
 * own setting of A and D. Writes to read-only device pages are dropped. */
#include "pv/internal.h"
#include "pv/mm.h"

#include "domain/guest_copy.h"
#include "emulate/emulate.h"
#include "lib/string.h"

struct ptwr {
    struct vcpu *v;
    uint64_t page; /* the address of the page that faulted */
    mfn_t target;  /* the frame it maps */
    bool device;   /* no RAM: writes are dropped */
};

/* ---- callbacks of the emulator ---- */

static enum emul_result ptwr_fetch(struct emul_ctxt *c, uint64_t linear, void *buf,
                                   unsigned int bytes)
{
    return guest_read(buf, linear, bytes) ? EMUL_UNHANDLEABLE : EMUL_OKAY;
}

static enum emul_result ptwr_read(struct emul_ctxt *c, enum emul_seg seg, uint64_t linear,
                                  void *buf, unsigned int bytes)
{
    return guest_read(buf, linear, bytes) ? EMUL_UNHANDLEABLE : EMUL_OKAY;
}

/* `bytes` at byte `shift / 8` of an entry, put into `whole`. */
static uint64_t merge(uint64_t whole, uint64_t part, unsigned shift, unsigned bytes)
{
    uint64_t mask = bytes == 8 ? ~0ull : ((1ull << (8 * bytes)) - 1) << shift;

    return (whole & ~mask) | ((part << shift) & mask);
}

/* The update; with `old`, only if the bytes are those. Takes the lock: guest memory was read
 * before. That the address still maps the frame does not matter: it is an L1 of this domain. */
static enum emul_result ptwr_update(struct ptwr *p, uint64_t linear, void *old, const void *new,
                                    unsigned int bytes)
{
    struct frame_owner *o = &p->v->domain->memory;
    struct lock *l = &p->v->domain->pv->mmu;
    unsigned shift = (linear & 7) * 8;
    uint64_t *pe, is, val = 0, part = 0;
    int rc;

    if ((linear & PAGE_MASK) != p->page || bytes > 8 || (linear & 7) + bytes > 8)
        return EMUL_UNHANDLEABLE;
    if (p->device)
        return EMUL_OKAY;
    memcpy(&val, new, bytes);
    if (old)
        memcpy(&part, old, bytes);

    lock(l);
    if (unlikely(!frame_is_l1(p->target, o))) {
        unlock(l);
        return EMUL_RETRY; /* no table any more: perhaps it is writable now */
    }
    pe = (uint64_t *)mfn_to_virt(p->target) + ((linear & ~PAGE_MASK) >> 3);
    is = read_once(*pe);
    val = merge(is, val, shift, bytes);
    if (old) {
        is = merge(is, part, shift, bytes);
        rc = frame_l1_cmpxchg(o, o, pe, &is, val);
    } else {
        rc = frame_l1_update(o, o, pe, val, 0);
    }
    unlock(l);

    if (old && rc == -EAGAIN) {
        is >>= shift;
        memcpy(old, &is, bytes);
        return EMUL_CMPXCHG_FAILED;
    }
    return rc ? EMUL_UNHANDLEABLE : EMUL_OKAY;
}

static enum emul_result ptwr_write(struct emul_ctxt *c, enum emul_seg seg, uint64_t linear,
                                   const void *buf, unsigned int bytes)
{
    return ptwr_update(c->data, linear, NULL, buf, bytes);
}

static enum emul_result ptwr_cmpxchg(struct emul_ctxt *c, enum emul_seg seg, uint64_t linear,
                                     void *old, const void *new, unsigned int bytes, bool locked)
{
    return ptwr_update(c->data, linear, locked ? old : NULL, new, bytes);
}

static enum emul_result ptwr_segment(struct emul_ctxt *c, enum emul_seg seg,
                                     struct emul_segment *out)
{
    /* Asked for FS and GS only: in 64-bit mode the others have no base. */
    *out = (struct emul_segment){.limit = ~0u};
    out->base = rdmsr(seg == EMUL_SEG_FS ? MSR_FS_BASE : MSR_GS_BASE);
    return EMUL_OKAY;
}

static const struct emul_ops ptwr_ops = {
    .fetch = ptwr_fetch,
    .read = ptwr_read,
    .write = ptwr_write,
    .cmpxchg = ptwr_cmpxchg,
    .read_segment = ptwr_segment,
};

/* ---- the fault ---- */

/* Is cr2 a page that we write to on the guest's behalf? */
static bool ptwr_wanted(struct ptwr *p, uint64_t cr2)
{
    struct domain *d = p->v->domain;
    uint64_t *pe, e;
    bool wanted;
    mfn_t l1;

    lock(&d->pv->mmu);
    pe = mm_walk(d, p->v->pv->kernel_l4, cr2, &l1);
    e = pe ? read_once(*pe) : 0;
    p->page = cr2 & PAGE_MASK;
    p->target = pte_mfn(e);
    p->device = !frame_is_ram(p->target);
    wanted = (e & (PTE_P | PTE_RW)) == PTE_P &&
             (p->device || (read_once(d->vm_assist) & BIT(VMASST_TYPE_writable_pagetables) &&
                            frame_is_l1(p->target, &d->memory)));
    unlock(&d->pv->mmu);
    return wanted;
}

/* ---- the usual instruction, without the emulator ---- */

#define FETCH_BYTES 16u /* at least the longest form below */

/* `mov %reg, mem` of 8 bytes without prefixes but REX: 89 /r. What it stores where; 0: it is
 * something else. Else its length. Intel SDM vol. 2A, 2.1 and 2.2.1. */
static unsigned decode_mov(const struct regs *regs, const uint8_t *b, uint64_t *val, uint64_t *at)
{
    struct regs *r = (struct regs *)regs; /* regs_gpr() is for writers too */
    uint8_t rex = b[0], mod = b[2] >> 6, rm = b[2] & 7;
    unsigned len = 3;
    int32_t disp = 0;

    if ((rex & 0xf8) != 0x48 || b[1] != 0x89 || mod == 3) /* REX.W */
        return 0;
    *val = *regs_gpr(r, (b[2] >> 3 & 7) | (rex & 4) << 1);
    *at = 0;
    if (rm == 4) {
        uint8_t sib = b[len++], index = (sib >> 3 & 7) | (rex & 2) << 2;

        rm = sib & 7;
        if (index != 4)
            *at = *regs_gpr(r, index) << (sib >> 6);
        if (rm == 5 && mod == 0)
            return 0; /* no base */
    } else if (rm == 5 && mod == 0) {
        memcpy(&disp, b + len, 4);
        *at = r->rip + len + 4 + disp;
        return len + 4;
    }
    *at += *regs_gpr(r, rm | (rex & 1) << 3);
    if (mod == 1) {
        disp = (int32_t)((uint32_t)b[len++] << 24) >> 24; /* sign extended */
    } else if (mod == 2) {
        memcpy(&disp, b + len, 4);
        len += 4;
    }
    *at += disp;
    return len;
}

/* True: a whole entry was written by the usual instruction, and it is done. False: nothing is. */
static bool ptwr_mov(struct vcpu *v, uint64_t cr2)
{
    struct domain *d = v->domain;
    struct regs *regs = vcpu_regs(v);
    uint64_t val, at, *pe, e = 0;
    uint8_t code[FETCH_BYTES];
    bool done = false;
    unsigned len;
    mfn_t l1;

    if (cr2 & 7 || guest_read(code, regs->rip, sizeof(code)))
        return false;
    len = decode_mov(regs, code, &val, &at);
    if (!len || at != cr2 || !(read_once(d->vm_assist) & BIT(VMASST_TYPE_writable_pagetables)))
        return false;
    lock(&d->pv->mmu);
    pe = mm_walk(d, v->pv->kernel_l4, cr2, &l1);
    if (pe)
        e = read_once(*pe);
    if ((e & (PTE_P | PTE_RW)) == PTE_P && frame_is_l1(pte_mfn(e), &d->memory)) {
        pe = (uint64_t *)((char *)mfn_to_virt(pte_mfn(e)) + (cr2 & ~PAGE_MASK));
        done = frame_l1_update(&d->memory, &d->memory, pe, val, 0) == 0;
    }
    unlock(&d->pv->mmu);
    if (done)
        pv_retire(v, regs, len);
    return done;
}

static bool ptwr_emulate(struct vcpu *v, uint64_t cr2)
{
    struct ptwr p = {.v = v};
    struct emul_ctxt c = {
        .regs = vcpu_regs(v), .ops = &ptwr_ops, .data = &p, .bits = 64, .cpl = 3, .max_reps = 64};

    if (!ptwr_wanted(&p, cr2))
        return false;
    switch (emul_instruction(&c)) {
    case EMUL_OKAY:
        if (unlikely(c.retire.singlestep))
            pv_retire(v, c.regs, 0);
        return true;
    case EMUL_RETRY:
        return true;
    case EMUL_EXCEPTION:
        if (c.event.vector == VEC_PF)
            pv_inject_page_fault(v, c.event.cr2, c.event.error);
        else
            pv_inject_trap(v, c.event.vector, c.event.error);
        return true;
    default:
        return false;
    }
}

bool pv_ptwr_fault(struct vcpu *v, uint64_t cr2, uint32_t error)
{
    if ((error & (PFEC_P | PFEC_W | PFEC_RSVD | PFEC_I)) != (PFEC_P | PFEC_W))
        return false;
    return ptwr_mov(v, cr2) || ptwr_emulate(v, cr2);
}
