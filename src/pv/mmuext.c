/* SPDX-License-Identifier: MIT */
/* mmuext_op: pins, page-table bases, flushes and the like. Public xen.h, "MMU extended operations";
 * ABI.md 2.5. One function a command; -ERESTART from it: not done, call again. */
#include "pv/mm.h"

#include "base/panic.h"
#include "cpu/xpti.h"
#include "domain/guest_copy.h"
#include "lib/string.h"
#include "memory/tlb.h"

/* ---- page-table bases ---- */

/* Puts table `m` in the place of *base (INVALID_MFN: none). -ERESTART too while what others left to
 * drop is not dropped: there is room for one tree. */
static int base_replace(struct vcpu *v, mfn_t *base, mfn_t m)
{
    struct domain *d = v->domain;
    mfn_t old = *base;
    int rc = frame_drain(&d->memory);

    if (!rc && !mfn_eq(m, INVALID_MFN))
        rc = frame_get_l4(m, &d->memory);
    if (rc)
        return rc;
    *base = m;
    xpti_forget(); /* a number that comes again may be another table */
    if (v == current()) {
        if (base == &v->pv->kernel_l4)
            pv_load_cr3(v);
        else if (tlb_pcid)
            /* Going to user mode drops nothing; the hidden table is made anew. */
            hw_invpcid(INVPCID_CONTEXT, PCID_REAL(0), 0);
    }
    /* Now that no CPU uses it. What hangs below may be left to drain. */
    if (!mfn_eq(old, INVALID_MFN) && frame_put_table(old))
        return 0;
    return 0;
}

int pv_new_kernel_l4(struct vcpu *v, mfn_t m)
{
    struct domain *d = v->domain;
    int rc = 0;

    lock(&d->pv->mmu);
    if (mfn_eq(m, v->pv->kernel_l4) && v == current())
        pv_load_cr3(v); /* the same again: a flush */
    else
        rc = base_replace(v, &v->pv->kernel_l4, m);
    unlock(&d->pv->mmu);
    return rc;
}

int pv_new_user_l4(struct vcpu *v, mfn_t m)
{
    struct domain *d = v->domain;
    int rc = 0;

    if (m.n == 0)
        m = INVALID_MFN;
    lock(&d->pv->mmu);
    if (!mfn_eq(m, v->pv->user_l4))
        rc = base_replace(v, &v->pv->user_l4, m);
    unlock(&d->pv->mmu);
    return rc;
}

static int op_new_baseptr(struct mm_target *t, const struct mmuext_op *op)
{
    if (op->arg1.mfn == ~0ul)
        return refuse(-EINVAL, "NEW_BASEPTR: no frame");
    return pv_new_kernel_l4(current(), mfn(op->arg1.mfn));
}

static int op_new_user_baseptr(struct mm_target *t, const struct mmuext_op *op)
{
    if (op->arg1.mfn == ~0ul)
        return refuse(-EINVAL, "NEW_USER_BASEPTR: no frame");
    return pv_new_user_l4(current(), mfn(op->arg1.mfn));
}

/* ---- pins ---- */

static int op_pin(struct mm_target *t, const struct mmuext_op *op)
{
    enum frame_type level = FRAME_L1 + (op->cmd - MMUEXT_PIN_L1_TABLE);
    int rc;

    lock(&t->page->pv->mmu);
    rc = frame_pin(t->owner, mfn(op->arg1.mfn), level);
    unlock(&t->page->pv->mmu);
    return rc;
}

static int op_unpin(struct mm_target *t, const struct mmuext_op *op)
{
    int rc;

    lock(&t->page->pv->mmu);
    rc = frame_unpin(t->owner, mfn(op->arg1.mfn));
    unlock(&t->page->pv->mmu);
    return rc;
}

/* ---- flushes ---- */

static int op_flush_local(struct mm_target *t, const struct mmuext_op *op)
{
    tlb_flush_local(op->cmd == MMUEXT_INVLPG_LOCAL ? TLB_VA : TLB_ALL, op->arg1.linear_addr);
    return 0;
}

static int op_flush_multi(struct mm_target *t, const struct mmuext_op *op)
{
    struct cpu_mask cpus;
    int rc = mm_vcpu_cpus(current()->domain, op->arg2.src_mfn /* vcpumask */, &cpus);

    if (rc)
        return rc;
    tlb_flush_mask(&cpus, op->cmd == MMUEXT_INVLPG_MULTI ? TLB_VA : TLB_ALL, op->arg1.linear_addr);
    return 0;
}

static int op_flush_all(struct mm_target *t, const struct mmuext_op *op)
{
    struct cpu_mask cpus = cpu_mask_read(&current()->domain->memory.dirty_cpus);

    tlb_flush_mask(&cpus, op->cmd == MMUEXT_INVLPG_ALL ? TLB_VA : TLB_ALL, op->arg1.linear_addr);
    return 0;
}

static int op_flush_cache(struct mm_target *t, const struct mmuext_op *op)
{
    if (!current()->domain->memory.any_cache)
        return refuse(-EPERM, "FLUSH_CACHE: domain %u drives no devices", current()->domain->id);
    hw_wbinvd();
    return 0;
}

/* ---- the rest ---- */

static int op_set_ldt(struct mm_target *t, const struct mmuext_op *op)
{
    return pv_set_ldt(current(), op->arg1.linear_addr, op->arg2.nr_ents);
}

static int op_clear_page(struct mm_target *t, const struct mmuext_op *op)
{
    mfn_t m = mfn(op->arg1.mfn);
    int rc = frame_get_writable(m, t->owner);

    if (rc)
        return rc;
    memset(mfn_to_virt(m), 0, PAGE_SIZE);
    frame_put_writable(m);
    return 0;
}

static int op_copy_page(struct mm_target *t, const struct mmuext_op *op)
{
    mfn_t to = mfn(op->arg1.mfn), from = mfn(op->arg2.src_mfn);
    int rc = frame_get(from, t->owner);

    if (rc)
        return rc;
    rc = frame_get_writable(to, t->owner);
    if (!rc) {
        memmove(mfn_to_virt(to), mfn_to_virt(from), PAGE_SIZE);
        frame_put_writable(to);
    }
    frame_put(from);
    return rc;
}

static const struct {
    int (*run)(struct mm_target *t, const struct mmuext_op *op);
    bool foreign; /* may name frames of another domain */
} ops[] = {
    [MMUEXT_PIN_L1_TABLE] = {op_pin, true},
    [MMUEXT_PIN_L2_TABLE] = {op_pin, true},
    [MMUEXT_PIN_L3_TABLE] = {op_pin, true},
    [MMUEXT_PIN_L4_TABLE] = {op_pin, true},
    [MMUEXT_UNPIN_TABLE] = {op_unpin, true},
    [MMUEXT_NEW_BASEPTR] = {op_new_baseptr, false},
    [MMUEXT_TLB_FLUSH_LOCAL] = {op_flush_local, false},
    [MMUEXT_INVLPG_LOCAL] = {op_flush_local, false},
    [MMUEXT_TLB_FLUSH_MULTI] = {op_flush_multi, false},
    [MMUEXT_INVLPG_MULTI] = {op_flush_multi, false},
    [MMUEXT_TLB_FLUSH_ALL] = {op_flush_all, false},
    [MMUEXT_INVLPG_ALL] = {op_flush_all, false},
    [MMUEXT_FLUSH_CACHE] = {op_flush_cache, false},
    [MMUEXT_SET_LDT] = {op_set_ldt, false},
    [MMUEXT_NEW_USER_BASEPTR] = {op_new_user_baseptr, false},
    [MMUEXT_CLEAR_PAGE] = {op_clear_page, true},
    [MMUEXT_COPY_PAGE] = {op_copy_page, true},
};

/* ---- the hypercall ---- */

static int op_run(struct mm_target *t, const struct mmuext_op *op)
{
    unsigned cmd = index_nospec(op->cmd, ARRAY_SIZE(ops));

    if (op->cmd >= ARRAY_SIZE(ops) || !ops[cmd].run)
        return refuse(op->cmd <= MMUEXT_UNMARK_SUPER ? -EOPNOTSUPP : -ENOSYS,
                      "mmuext_op: command %u", op->cmd);
    if (t->page != current()->domain) {
        if (!ops[cmd].foreign)
            return refuse(-EPERM, "mmuext_op: command %u for another domain", op->cmd);
        if (!t->page || !t->page->pv)
            return refuse(-EINVAL, "mmuext_op: command %u for no PV domain", op->cmd);
    }
    return ops[cmd].run(t, op);
}

static int ops_run(struct mm_target *t, uint64_t uops, uint32_t count, uint32_t *done)
{
    int rc = mm_target_drain(t);

    while (!rc && *done < count) {
        struct mmuext_op op;

        if (guest_read_at(&op, uops, *done))
            return refuse(-EFAULT, "operations at %lx", uops);
        rc = op_run(t, &op);
        if (!rc) {
            ++*done;
            rc = mm_target_drain(t);
        } else if (rc == -ERESTART && !hypercall_preempt()) {
            rc = 0;
        }
        /* A pin may take as long as all the others of a chunk. */
        if (!rc && *done < count && (*done % MM_CHUNK == 0 || op.cmd <= MMUEXT_UNPIN_TABLE) &&
            hypercall_preempt())
            rc = -ERESTART;
    }
    return rc;
}

long pv_mmuext_op(uint64_t uops, uint32_t count, uint64_t pdone, uint32_t foreigndom)
{
    uint32_t before = 0, done = 0;
    struct mm_target t;
    int rc;

    if (unlikely(count & MM_PREEMPTED)) {
        count &= ~MM_PREEMPTED;
        if (pdone && guest_read(&before, pdone, sizeof(before)))
            return refuse(-EFAULT, "count at %lx", pdone);
    }
    rc = mm_target_get(&t, foreigndom & 0xffff);
    if (!rc) {
        rc = ops_run(&t, uops, count, &done);
        mm_target_put(&t);
    }
    before += done;
    if (pdone && guest_write(pdone, &before, sizeof(before)))
        return refuse(-EFAULT, "count at %lx", pdone);
    if (rc == -ERESTART)
        return hypercall_continue_with(__HYPERVISOR_mmuext_op,
                                       uops + done * sizeof(struct mmuext_op),
                                       (count - done) | MM_PREEMPTED, pdone, foreigndom);
    return rc;
}
