/* SPDX-License-Identifier: MIT */
/* The audit: what the records say of every frame, against what can be counted.
 *
 * Counted are: the references and uses of the entries of all page tables, of pins, allocations,
 * shared pages and half-done tables (here), and of what other layers hold (the registered sources:
 * cr3, descriptor frames, grant mappings). Checked besides: that each table's entries are such as
 * the rules let in, the hypervisor's slots of each L4, the owners' lists and sums, the marks of the
 * buddy allocator, and the M2P of frames that nobody owns. Keep it true: a rule of table.h that is
 * not checked here does not exist. */
#include "frame/table.h"

#include <xen/xen.h>
#include "base/log.h"
#include "cpu/cpu.h"
#include "memory/buddy.h"
#include "memory/heap.h"
#include "memory/map.h"

#define REPORTS 20u /* mistakes that are told; all are counted */

struct tally {
    uint32_t refs, uses;
    int16_t linear;
    uint8_t kind;    /* enum frame_type of the uses counted */
    bool mixed : 1;  /* of several */
    bool listed : 1; /* met in an owner's list */
    bool dropping : 1;
};

static struct tally *tally; /* one a frame, during an audit */
static struct frame_audit_source *sources sealed;
static unsigned mistakes;

/* mistake("fmt", ...) counts, and tells the first ones. */
#define mistake(...)                        \
    do {                                    \
        if (mistakes++ < REPORTS)           \
            log_key("audit: " __VA_ARGS__); \
    } while (0)

void frame_audit_register(struct frame_audit_source *s)
{
    for (const struct frame_audit_source *each = sources; each; each = each->next)
        if (each == s)
            return;
    s->next = sources;
    sources = s;
}

/* ---- counting ---- */

void frame_audit_ref(mfn_t m)
{
    if (m.n >= max_mfn)
        mistake("a reference to frame %lx, which is beyond RAM", m.n);
    else
        tally[m.n].refs++;
}

void frame_audit_use(mfn_t m, enum frame_type t)
{
    frame_audit_ref(m);
    if (m.n >= max_mfn)
        return;
    if (tally[m.n].uses && tally[m.n].kind != t)
        tally[m.n].mixed = true;
    tally[m.n].kind = t;
    tally[m.n].uses++;
}

static void count_l1_entry(mfn_t table, unsigned i, uint64_t e, const struct frame_owner *o)
{
    struct frame *f = frame_at(pte_mfn(e));

    if (entry_flags_bad(1, e) || !(e & PTE_U) || e & PTE_G)
        mistake("L1 %lx[%u]: %lx has flags that no entry may have", table.n, i, e);
    if (!f) {
        if (e & PTE_GRANT)
            mistake("L1 %lx[%u]: %lx is a grant of no RAM", table.n, i, e);
        return; /* a device */
    }
    if (!o->any_cache && e & PTE_CACHE_MASK && !(e & PTE_GRANT))
        mistake("L1 %lx[%u]: %lx chooses caching", table.n, i, e);
    if (e & PTE_GRANT) {
        /* The grant's holder counts it; here it must only be true. */
        uint64_t w = f->type;

        if (!(f->refs & REF_COUNT))
            mistake("L1 %lx[%u]: grant of frame %lx, which is free", table.n, i, pte_mfn(e).n);
        if (e & PTE_RW && !(e & PTE_GRANT_RW))
            mistake("L1 %lx[%u]: %lx may be written, its grant not", table.n, i, e);
        if (e & (PTE_RW | PTE_GRANT_RW) && ((w & TYPE_KIND) != TYPE_WRITABLE || !(w & TYPE_COUNT)))
            mistake("L1 %lx[%u]: writable grant of frame %lx, which is %u", table.n, i,
                    pte_mfn(e).n, type_kind(w));
    } else if (e & PTE_RW) {
        frame_audit_use(pte_mfn(e), FRAME_WRITABLE);
    } else {
        frame_audit_ref(pte_mfn(e));
    }
    if (!frame_owned_by(f, o) && !(f->refs & REF_FOREIGN))
        mistake("L1 %lx[%u]: maps foreign frame %lx, which does not know", table.n, i,
                pte_mfn(e).n);
}

static void count_upper_entry(mfn_t table, unsigned level, unsigned i, uint64_t e,
                              const struct frame_owner *o)
{
    mfn_t m = pte_mfn(e);
    struct frame *f = frame_at(m);

    if (entry_flags_bad(level, e) || !(e & PTE_U) || e & (PTE_PWT | PTE_PCD))
        mistake("L%u %lx[%u]: %lx has flags that no entry may have", level, table.n, i, e);
    if (!f || !frame_owned_by(f, o)) {
        mistake("L%u %lx[%u]: table %lx is not domain %u's", level, table.n, i, m.n, o->domid);
        return;
    }
    if (mfn_eq(m, table) || type_kind(f->type) == level) { /* linear */
        if (e & PTE_RW || level == 4)
            mistake("L%u %lx[%u]: linear map %lx", level, table.n, i, e);
        if (mfn_eq(m, table))
            return;
        tally[table.n].linear--;
        tally[m.n].linear++;
        frame_audit_use(m, level);
        return;
    }
    frame_audit_use(m, level - 1);
}

/* The hypervisor's slots of a validated L4. */
static void check_l4(mfn_t m, const uint64_t *l4, const struct frame_owner *o)
{
    for (unsigned i = L4_HV_FIRST; i <= L4_HV_LAST; i++) {
        uint64_t want = i == L4_PERDOMAIN ? o->l4_perdomain : hv_l4[i];

        if ((l4[i] ^ want) & ~(PTE_A | PTE_D))
            mistake("L4 %lx[%u]: %lx where the hypervisor has %lx", m.n, i, l4[i], want);
    }
}

static void count_table(mfn_t m, const struct frame *f, const struct frame_owner *o)
{
    const uint64_t *pt = mfn_to_virt(m);
    unsigned level = type_kind(f->type), n = f->type & TYPE_VALID ? PT_ENTRIES : f->progress;

    for (unsigned i = 0; i < n; i++) {
        if (!(pt[i] & PTE_P) || (level == 4 && l4_slot_is_ours(i)))
            continue;
        if (level == 1)
            count_l1_entry(m, i, pt[i], o);
        else
            count_upper_entry(m, level, i, pt[i], o);
    }
    if (level == 4 && f->type & TYPE_VALID)
        check_l4(m, pt, o);
}

static void count_descriptors(mfn_t m)
{
    const uint64_t *desc = mfn_to_virt(m);

    for (unsigned i = 0; i < PT_ENTRIES; i++) {
        uint64_t d = desc[i];

        if (!frame_descriptor_ok || !frame_descriptor_ok(&d) || d != desc[i]) {
            mistake("descriptors %lx[%u]: %lx would not be let in", m.n, i, desc[i]);
            return;
        }
    }
}

/* What the frame's own record stands for. */
static void count_frame(mfn_t m, const struct frame *f)
{
    const struct frame_owner *o = frame_owner_of(m);
    unsigned kind = type_kind(f->type);

    if (!o) {
        mistake("frame %lx has %lx references and no owner", m.n,
                (unsigned long)(f->refs & REF_COUNT));
        return;
    }
    if (f->refs & REF_ALLOCATED)
        frame_audit_ref(m);
    if (f->refs & REF_HEAP) {
        tally[m.n].uses++; /* the one that is never put */
        tally[m.n].kind = kind;
        if (kind != FRAME_WRITABLE && kind != FRAME_NONE)
            mistake("shared page %lx is %u", m.n, kind);
    }
    if (f->type & TYPE_PINNED)
        frame_audit_use(m, kind);
    if (f->type & TYPE_PARTIAL)
        frame_audit_ref(m);
    if (kind_is_table(kind) && f->type & (TYPE_VALID | TYPE_PARTIAL))
        count_table(m, f, o);
    if (kind == FRAME_SEGDESC && f->type & TYPE_COUNT)
        count_descriptors(m);
}

/* ---- checking ---- */

static void check_unowned(mfn_t m, const struct frame *f)
{
    const struct tally *t = &tally[m.n];

    if (f->refs >> REF_OWNER_SHIFT != DOMID_INVALID ||
        f->refs & (REF_ALLOCATED | REF_HEAP | REF_FOREIGN))
        mistake("frame %lx is free, but its record says %lx", m.n, f->refs);
    if (f->type)
        mistake("frame %lx is free, but its use is %lx", m.n, f->type);
    if (t->refs)
        mistake("frame %lx is free, but %u references are held", m.n, t->refs);
    if (t->listed)
        mistake("frame %lx is free, but in a list", m.n);
    if (M2P[m.n] != INVALID_M2P_ENTRY)
        mistake("frame %lx is free, but M2P says %lx", m.n, M2P[m.n]);
}

static void check_type(mfn_t m, const struct frame *f)
{
    const struct tally *t = &tally[m.n];
    uint64_t w = f->type, count = w & TYPE_COUNT;
    unsigned kind = type_kind(w);

    if (t->uses != count)
        mistake("frame %lx is used %lu times as %u, counted are %u", m.n, (unsigned long)count,
                kind, t->uses);
    if (t->mixed || (t->uses && t->kind != kind))
        mistake("frame %lx is %u, but used as %u%s", m.n, kind, t->kind, t->mixed ? " too" : "");
    if (w & TYPE_LOCKED)
        mistake("frame %lx is locked", m.n);
    if (w & TYPE_PARTIAL && (count || !kind_is_table(kind) || w & (TYPE_VALID | TYPE_PINNED)))
        mistake("frame %lx is half a table, but its use is %lx", m.n, w);
    if (!(w & TYPE_VALID) != !(count && kind >= FRAME_L1 && kind <= FRAME_SEGDESC))
        mistake("frame %lx: validity and use %lx", m.n, w);
    if (w & TYPE_STALE && (kind != FRAME_NONE || count))
        mistake("frame %lx: stale and use %lx", m.n, w);
    if (t->dropping && !(w & TYPE_PARTIAL))
        mistake("frame %lx is to be dropped, but its use is %lx", m.n, w);
    if (kind_is_table(kind) && w & (TYPE_VALID | TYPE_PARTIAL) && t->linear != f->linear)
        mistake("frame %lx: %d linear maps, counted are %d", m.n, f->linear, t->linear);
}

static void check_frame(mfn_t m, const struct frame *f)
{
    const struct tally *t = &tally[m.n];

    if (!(f->refs & REF_RAM)) {
        if (f->refs & ~REF_OWNER || f->type || t->refs)
            mistake("frame %lx is no RAM, but has record %lx %lx", m.n, f->refs, f->type);
        return;
    }
    if (!(f->refs & REF_COUNT)) {
        check_unowned(m, f);
        return;
    }
    if (buddy_is_free(m))
        mistake("frame %lx is in use and in the allocator", m.n);
    if (t->refs != (f->refs & REF_COUNT))
        mistake("frame %lx has %lu references, counted are %u", m.n,
                (unsigned long)(f->refs & REF_COUNT), t->refs);
    if (!t->listed)
        mistake("frame %lx is in no list", m.n);
    check_type(m, f);
}

/* ---- owners ---- */

static void walk_list(const struct frame_owner *o, uint32_t first, uint64_t want, uint64_t heap)
{
    uint32_t prev = 0;
    uint64_t n = 0;

    for (uint32_t i = first; i; prev = i, i = FRAMES[i].next, n++) {
        if (i >= max_mfn || tally[i].listed) {
            mistake("domain %u: frame %x is beyond RAM, or twice in lists", o->domid, i);
            return;
        }
        tally[i].listed = true;
        if (!frame_owned_by(&FRAMES[i], o) || (FRAMES[i].refs & REF_HEAP) != heap)
            mistake("domain %u: lists frame %x with record %lx", o->domid, i, FRAMES[i].refs);
        if (FRAMES[i].prev != prev)
            mistake("domain %u: list is broken before frame %x", o->domid, i);
    }
    if (n != want)
        mistake("domain %u: %lu frames in a list of %lu", o->domid, n, want);
}

static uint64_t check_owner(const struct frame_owner *o)
{
    walk_list(o, o->first, o->pages, 0);
    walk_list(o, o->first_heap, o->heap_pages, REF_HEAP);
    for (unsigned i = 0; i < o->drop_count; i++) {
        uint32_t n = o->drop[i];

        if (n >= max_mfn || tally[n].dropping || !frame_owned_by(&FRAMES[n], o))
            mistake("domain %u: drops frame %x", o->domid, n);
        else
            tally[n].dropping = true;
    }
    return o->claim;
}

static void check_owners(void)
{
    uint64_t claims = 0;

    for (unsigned i = 0; i < DOMID_FIRST_RESERVED; i++)
        if (frame_owner_find(i))
            claims += check_owner(frame_owner_find(i));
    claims += check_owner(&frame_owner_xen);
    if (claims != frame_claims())
        mistake("owners claim %lu frames, together %lu", claims, frame_claims());
}

unsigned frame_audit(void)
{
    mistakes = 0;
    tally = heap_zalloc(max_mfn * sizeof(*tally));
    if (!tally) {
        log_key("audit: no memory for %lu frames", max_mfn);
        return ~0u;
    }
    check_owners();
    for (uint64_t i = 0; i < max_mfn; i++)
        if (FRAMES[i].refs & REF_COUNT)
            count_frame(mfn(i), &FRAMES[i]);
    for (struct frame_audit_source *s = sources; s; s = s->next)
        s->count();
    for (uint64_t i = 0; i < max_mfn; i++)
        check_frame(mfn(i), &FRAMES[i]);
    heap_free(tally);
    tally = NULL;
    if (mistakes)
        log_key("audit: %u mistakes in %lu frames", mistakes, max_mfn);
    return mistakes;
}
