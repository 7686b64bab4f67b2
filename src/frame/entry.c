/* SPDX-License-Identifier: MIT */
/* The rules for one entry of a page table, and its replacement. ABI.md 3.8; Intel SDM vol. 3A,
 * 4.5 for the bits.
 *
 * Everything here runs under the [PV] lock of the table's owner, so nobody else changes an entry:
 * only the processor does, which sets A and D. An entry that is given up is exchanged first, then
 * what it held is put; see frame_stamp() for why it must be an exchange. */
#include "frame/table.h"

#include "cpu/cpu.h"
#include "cpu/xpti.h"
#include "memory/map.h"

/* ---- bits ---- */

#define GRANT_MARKS   (PTE_GRANT | PTE_GRANT_RW)
#define UPPER_IGNORED (PTE_PWT | PTE_PCD) /* the walker reads tables as write-back, always */

bool entry_flags_bad(unsigned level, uint64_t e)
{
    uint64_t bad = cpu_pte_reserved | PTE_PKEY;

    if (level > 1)
        bad |= PTE_PSE | PTE_G;
    return e & bad;
}

/* ---- L1 ---- */

/* What the processor would cache (write-back, -through, -protected) is made uncached. */
static uint64_t device_cache(uint64_t e)
{
    switch (e & PTE_CACHE_MASK) {
    case 0:
    case PTE_PWT:
    case PTE_PAT | PTE_PWT:
        return (e & ~PTE_CACHE_MASK) | PTE_PCD | PTE_PWT;
    default:
        return e;
    }
}

static int device_get(struct frame_owner *to, struct frame_owner *po, mfn_t m, uint64_t *e)
{
    struct frame_owner *o = po == &frame_owner_io ? to : po;
    bool ro = false;
    int rc;

    if (!o->ops || !o->ops->may_map_device)
        return refuse(-EPERM, "L1 entry: domain %u maps no devices", o->domid);
    rc = o->ops->may_map_device(o, m, &ro);
    if (rc)
        return refuse(rc, "L1 entry: domain %u may not map device frame %lx", o->domid, m.n);
    if (ro)
        *e &= ~PTE_RW;
    *e = device_cache(*e);
    return 0;
}

int l1_entry_get(struct frame_owner *to, struct frame_owner *po, uint64_t *e)
{
    mfn_t m = pte_mfn(*e);
    struct frame *f = frame_at(m);

    if (unlikely(entry_flags_bad(1, *e)))
        return refuse(-EINVAL, "L1 entry: %lx has reserved bits", *e);
    *e = (*e & ~(PTE_G | GRANT_MARKS)) | PTE_U;
    if (unlikely(!f))
        return device_get(to, po, m, e);
    if (!to->any_cache)
        *e &= ~PTE_CACHE_MASK;
    if (unlikely(ref_get(f, po, to == po ? 0 : REF_FOREIGN)))
        return refuse(-EINVAL, "L1 entry: frame %lx does not belong to domain %u", m.n, po->domid);
    if (*e & PTE_RW && unlikely(writable_get(f))) {
        ref_put(f);
        return refuse(-EBUSY, "L1 entry: frame %lx is in use as %u, not writable", m.n,
                      frame_type_of(m));
    }
    return 0;
}

void l1_entry_put(uint64_t e)
{
    struct frame *f = frame_at(pte_mfn(e));

    if (unlikely(!f || e & PTE_GRANT))
        return;
    frame_stamp(f);
    if (e & PTE_RW)
        writable_put(f);
    ref_put(f);
}

/* Stores `e`, in the way that the caller of an update wants. */
struct store {
    unsigned flags;   /* FRAME_PRESERVE_AD: the old A and D are added */
    uint64_t *expect; /* if not NULL: only if the entry is this; it gets what the entry is */
};

/* True if it is done; *old gets what was there. */
static inline bool entry_store(uint64_t *pe, uint64_t e, const struct store *how, uint64_t *old)
{
    if (likely(!how->flags && !how->expect)) {
        *old = __atomic_exchange_n(pe, e, __ATOMIC_SEQ_CST);
        return true;
    }
    if (how->expect) {
        *old = *how->expect;
        return __atomic_compare_exchange_n(pe, how->expect, e, false, __ATOMIC_SEQ_CST,
                                           __ATOMIC_RELAXED);
    }
    *old = read_once(*pe);
    while (!__atomic_compare_exchange_n(pe, old, e | (*old & (PTE_A | PTE_D)), true,
                                        __ATOMIC_SEQ_CST, __ATOMIC_RELAXED))
        ;
    return true;
}

/* The entry goes on mapping the same frame: only flags change, and with PTE_RW the use. */
static inline int l1_same_frame(struct frame_owner *to, struct frame_owner *po, uint64_t *pe,
                                uint64_t old, uint64_t e, const struct store *how)
{
    mfn_t m = pte_mfn(e);
    struct frame *f = frame_at(m);
    bool uses = !(old & PTE_GRANT); /* the entry itself holds reference and use */
    int rc;

    if (unlikely(!f)) {
        if (e & ~old & PTE_RW) {
            rc = device_get(to, po, m, &e);
            if (rc)
                return rc;
        }
        return entry_store(pe, device_cache(e), how, &old) ? 0 : -EAGAIN;
    }
    e |= old & PTE_GRANT ? old & GRANT_MARKS : 0;
    if (!to->any_cache)
        e &= ~PTE_CACHE_MASK;
    if (e & ~old & PTE_RW) {
        if (!uses && !(old & PTE_GRANT_RW))
            return refuse(-EPERM, "L1 entry: frame %lx is granted read-only", m.n);
        if (uses && writable_get(f))
            return refuse(-EBUSY, "L1 entry: frame %lx is in use as %u, not writable", m.n,
                          frame_type_of(m));
    }
    if (unlikely(!entry_store(pe, e, how, &old))) {
        if (e & ~old & PTE_RW && uses)
            writable_put(f); /* never stored: no translation */
        return -EAGAIN;
    }
    if (old & ~e & PTE_RW && uses) {
        frame_stamp(f);
        writable_put(f);
    }
    return 0;
}

int absent_entry_refused(uint64_t e)
{
    return refuse(-EINVAL, "absent entry %lx names memory, which leaks by L1TF", e);
}

static inline int l1_update(struct frame_owner *to, struct frame_owner *po, uint64_t *pe,
                            uint64_t val, const struct store *how)
{
    uint64_t old = read_once(*pe);
    int rc;

    if (val & PTE_P) {
        if (old & PTE_P && ((old ^ val) & PTE_ADDR_MASK) == 0) {
            if (entry_flags_bad(1, val))
                return refuse(-EINVAL, "L1 entry: %lx has reserved bits", val);
            return l1_same_frame(to, po, pe, old, (val & ~(PTE_G | GRANT_MARKS)) | PTE_U, how);
        }
        rc = l1_entry_get(to, po, &val);
        if (unlikely(rc))
            return rc;
    } else {
        rc = absent_entry_check(to, val);
        if (unlikely(rc))
            return rc;
    }
    if (unlikely(!entry_store(pe, val, how, &old))) {
        if (val & PTE_P)
            l1_entry_put(val);
        return -EAGAIN;
    }
    if (old & PTE_P)
        l1_entry_put(old);
    return 0;
}

int frame_l1_update(struct frame_owner *to, struct frame_owner *po, uint64_t *pe, uint64_t val,
                    unsigned flags)
{
    return l1_update(to, po, pe, val, &(struct store){.flags = flags});
}

int frame_l1_cmpxchg(struct frame_owner *to, struct frame_owner *po, uint64_t *pe, uint64_t *old,
                     uint64_t val)
{
    uint64_t is = read_once(*pe);

    if (is != *old) {
        *old = is;
        return -EAGAIN;
    }
    return l1_update(to, po, pe, val, &(struct store){.expect = old});
}

void frame_l1_set_grant(uint64_t *pe, uint64_t val)
{
    uint64_t old = __atomic_exchange_n(pe, val, __ATOMIC_SEQ_CST);

    ASSERT(!(val & PTE_P) || val & PTE_GRANT);
    if (old & PTE_P)
        l1_entry_put(old);
}

/* ---- L2 to L4 ---- */

void l4_fill(struct frame_owner *o, uint64_t *l4)
{
    for (unsigned i = L4_HV_FIRST; i <= L4_HV_LAST; i++)
        write_once(l4[i], i == L4_PERDOMAIN ? o->l4_perdomain : hv_l4[i]);
}

/* A table that maps one of its own level ("linear page tables"): read-only, so the guest sees its
 * entries as data. An entry to itself holds nothing. One to another holds a reference and a use,
 * and no table is both mapped so and maps so: no rings, and no chains to take apart. An L4 would
 * show the hypervisor's tables as pages, to which its own copies from guest memory have access. */
static int linear_get(struct frame_owner *o, struct frame *table, unsigned level, struct frame *to,
                      uint64_t e)
{
    if (e & PTE_RW)
        return refuse(-EINVAL, "L%u entry: linear map of %lx is not read-only", level,
                      pte_mfn(e).n);
    if (level == 4)
        return refuse(-EINVAL, "L4 entry: linear map of L4 %lx", pte_mfn(e).n);
    if (to == table)
        return 0;
    if (table->linear > 0 || to->linear < 0 || to->linear == INT16_MAX)
        return refuse(-EBUSY, "L%u entry: a chain of linear maps by %lx", level, pte_mfn(e).n);
    if (ref_get(to, o, 0))
        return refuse(-EINVAL, "L%u entry: frame %lx is not domain %u's", level, pte_mfn(e).n,
                      o->domid);
    __atomic_fetch_add(&to->type, 1, __ATOMIC_SEQ_CST);
    table->linear--;
    to->linear++;
    return 0;
}

int table_entry_get(struct frame_owner *o, struct frame *table, unsigned level, uint64_t *e,
                    int *left)
{
    mfn_t m = pte_mfn(*e);
    struct frame *f = frame_at(m);
    uint64_t w;
    int rc;

    if (entry_flags_bad(level, *e))
        return refuse(-EINVAL, "L%u entry: %lx has reserved bits", level, *e);
    *e = (*e & ~UPPER_IGNORED) | PTE_U;
    if (!f || !frame_owned_by(f, o))
        return refuse(-EINVAL, "L%u entry: table %lx is not domain %u's", level, m.n, o->domid);
    w = read_once(f->type);
    if (f == table || (w & (TYPE_KIND | TYPE_VALID)) == (TYPE_OF(level) | TYPE_VALID))
        return (w & TYPE_COUNT) >= TYPE_COUNT_MAX ? -EBUSY : linear_get(o, table, level, f, *e);
    if (ref_get(f, o, 0))
        return refuse(-EINVAL, "L%u entry: table %lx has gone", level, m.n);
    rc = table_get(o, f, level - 1, left);
    if (rc)
        ref_put(f);
    if (rc && rc != -ERESTART)
        refuse(rc, "L%u entry: table %lx is not fit, or in use as %u", level, m.n,
               frame_type_of(m));
    return rc;
}

void table_entry_put(struct frame_owner *o, struct frame *table, unsigned level, uint64_t e)
{
    struct frame *f = frame_of(pte_mfn(e));

    if (f == table)
        return;
    if (type_kind(read_once(f->type)) == level) {
        table->linear++;
        f->linear--;
    }
    frame_stamp(f);
    table_put(o, f);
    ref_put(f);
}

/* Before what the old entry held is put: see cpu/xpti.h. */
static void upper_store(struct frame_owner *o, unsigned level, uint64_t *pe, uint64_t e,
                        const struct store *how, uint64_t *old)
{
    entry_store(pe, e, how, old);
    if (level == 4)
        xpti_l4_changed(&o->dirty_cpus);
}

static int upper_update(struct frame_owner *o, struct frame *table, unsigned level, unsigned index,
                        uint64_t val, unsigned flags)
{
    uint64_t *pe = (uint64_t *)mfn_to_virt(frame_mfn(table)) + index, old = read_once(*pe);
    const struct store how = {.flags = flags};
    int left = frame_budget, rc;

    if (level == 4 && l4_slot_is_ours(index))
        return val == old ? 0 : refuse(-EINVAL, "L4 entry: slot %u is the hypervisor's", index);
    if (val & PTE_P) {
        if (old & PTE_P && ((old ^ val) & PTE_ADDR_MASK) == 0) {
            bool linear = type_kind(read_once(frame_of(pte_mfn(old))->type)) == level;

            if (entry_flags_bad(level, val) || (linear && val & PTE_RW))
                return refuse(-EINVAL, "L%u entry: %lx is not allowed", level, val);
            upper_store(o, level, pe, (val & ~UPPER_IGNORED) | PTE_U, &how, &old);
            return 0;
        }
        rc = table_entry_get(o, table, level, &val, &left);
        o->spent += (unsigned)(frame_budget - left);
        if (rc)
            return rc;
    } else {
        rc = absent_entry_check(o, val);
        if (rc)
            return rc;
    }
    upper_store(o, level, pe, val, &how, &old);
    if (old & PTE_P)
        table_entry_put(o, table, level, old);
    return 0;
}

/* ---- any frame ---- */

/* No table: just memory of the owner's. */
static int plain_write(struct frame_owner *o, struct frame *f, unsigned index, uint64_t val,
                       unsigned flags)
{
    const struct store how = {.flags = flags};
    uint64_t old;

    if (ref_get(f, o, 0))
        return refuse(-EINVAL, "page-table write: frame %lx has gone", frame_mfn(f).n);
    if (writable_get(f)) {
        ref_put(f);
        return refuse(-EINVAL, "page-table write: frame %lx is in use as %u", frame_mfn(f).n,
                      frame_type_of(frame_mfn(f)));
    }
    entry_store((uint64_t *)mfn_to_virt(frame_mfn(f)) + index, val, &how, &old);
    writable_put(f);
    ref_put(f);
    return 0;
}

int frame_pt_update(struct frame_owner *to, struct frame_owner *po, mfn_t m, unsigned index,
                    uint64_t val, unsigned flags)
{
    struct frame *f = frame_at(m);
    uint64_t w;
    int rc;

    if (unlikely(!f || !frame_owned_by(f, to)))
        return refuse(-EINVAL, "page-table write: frame %lx is not domain %u's", m.n, to->domid);
    w = read_once(f->type);
    index &= PT_ENTRIES - 1;
    if (likely((w & (TYPE_KIND | TYPE_VALID)) == TYPE_L1_VALID))
        return frame_l1_update(to, po, (uint64_t *)mfn_to_virt(m) + index, val, flags);
    rc = frame_drain(to);
    if (rc)
        return rc;
    w = read_once(f->type); /* the dropped may have held it */
    if (kind_is_table(type_kind(w)) && w & TYPE_VALID)
        return upper_update(to, f, type_kind(w), index, val, flags);
    return plain_write(to, f, index, val, flags);
}
