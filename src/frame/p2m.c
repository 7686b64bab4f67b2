/* SPDX-License-Identifier: MIT */
/* See p2m.h. */
#include "frame/p2m.h"

#include "frame/table.h"
#include "memory/heap.h"

#define LEVELS      4u
#define TYPE_AT     9u
#define ENTRY_TYPE  PTE_AVAIL
#define TABLE_FLAGS (PTE_P | PTE_RW | PTE_U | PTE_A)
/* Entries that are taken away between two looks at whether something else should run. */
#define RELEASE_BUDGET 512u

static const uint64_t type_flags[] = {
    [P2M_RAM] = PTE_P | PTE_RW | PTE_U,
    [P2M_RAM_RO] = PTE_P | PTE_U,
    [P2M_DEVICE] = PTE_P | PTE_RW | PTE_U | PTE_CACHE_UC,
    [P2M_GRANT_RW] = PTE_P | PTE_RW | PTE_U,
    [P2M_GRANT_RO] = PTE_P | PTE_U,
};

static enum p2m_type entry_type(uint64_t e)
{
    return (e & ENTRY_TYPE) >> TYPE_AT;
}

static bool holds_references(uint64_t e)
{
    return entry_type(e) == P2M_RAM || entry_type(e) == P2M_RAM_RO;
}

static uint64_t entry_make(mfn_t m, unsigned level, enum p2m_type t)
{
    return pte_make(m, type_flags[t] | (uint64_t)t << TYPE_AT | (level > 1 ? PTE_PSE : 0));
}

/* A leaf maps something; else it is a table, or 0. Tables have no type. */
static bool is_leaf(uint64_t e)
{
    return e & ENTRY_TYPE;
}

static uint64_t *table_of(uint64_t e)
{
    return mfn_to_virt(pte_mfn(e));
}

static unsigned index_at(uint64_t gfn, unsigned level)
{
    return pt_index(gfn << PAGE_SHIFT, level);
}

static uint64_t *table_make(struct p2m *p)
{
    uint64_t *t = p->pages < p->max_pages ? heap_page() : NULL;

    if (t)
        p->pages++;
    return t;
}

/* 4-KiB pages under an entry of a level, 1 to 4. */
static uint64_t level_pages(unsigned level)
{
    BUG_ON(level == 0 || level > LEVELS);
    return 1ull << (PT_SHIFT(level) - PAGE_SHIFT);
}

/* The frames of a leaf lose the entry's reference. */
static void leaf_put(struct p2m *p, uint64_t e, unsigned level)
{
    p->flush = true;
    if (!holds_references(e))
        return;
    for (uint64_t i = 0; i < level_pages(level); i++) {
        struct frame *f = frame_of(mfn(pte_mfn(e).n + i));

        frame_stamp(f);
        ref_put(f);
    }
}

/* Takes back everything below a table; the table itself goes on living, empty. */
static int table_clear(struct p2m *p, uint64_t *t, unsigned level, unsigned *left)
{
    for (unsigned i = 0; i < PT_ENTRIES; i++) {
        uint64_t e = t[i];
        int rc = 0;

        if (!e)
            continue;
        if (*left == 0)
            return -ERESTART;
        if (is_leaf(e)) {
            uint64_t n = level_pages(level);

            __atomic_store_n(&t[i], 0, __ATOMIC_SEQ_CST);
            leaf_put(p, e, level);
            *left -= (unsigned)min((uint64_t)*left, n);
            continue;
        }
        rc = table_clear(p, table_of(e), level - 1, left);
        if (rc)
            return rc;
    }
    return 0;
}

static void tables_free(struct p2m *p, uint64_t *t, unsigned level)
{
    for (unsigned i = 0; level > 1 && i < PT_ENTRIES; i++)
        if (t[i] && !is_leaf(t[i]))
            tables_free(p, table_of(t[i]), level - 1);
    heap_page_free(t);
    p->pages--;
}

/* The same mapping in entries of the level below. */
static int split(struct p2m *p, uint64_t *pe, unsigned level)
{
    uint64_t e = *pe, *t = table_make(p);

    if (!t)
        return refuse(-ENOMEM, "p2m: no page for a table, %lu of %lu in use", p->pages,
                      p->max_pages);
    for (unsigned i = 0; i < PT_ENTRIES; i++)
        t[i] = entry_make(mfn(pte_mfn(e).n + i * level_pages(level - 1)), level - 1, entry_type(e));
    __atomic_store_n(pe, pte_make(virt_to_mfn(t), TABLE_FLAGS), __ATOMIC_RELEASE);
    p->flush = true;
    return 0;
}

/* The entry of `level` for gfn, tables made and larger pages split on the way. NULL in *out:
 * nothing is there, and `make` is false. */
static int descend(struct p2m *p, uint64_t gfn, unsigned level, bool make, uint64_t **out)
{
    uint64_t *t = mfn_to_virt(p->root);

    *out = NULL;
    for (unsigned l = LEVELS; l > level; l--) {
        uint64_t *pe = &t[index_at(gfn, l)];

        if (!*pe) {
            uint64_t *below = make ? table_make(p) : NULL;

            if (!make)
                return 0;
            if (!below)
                return refuse(-ENOMEM, "p2m: no page for a table, %lu of %lu in use", p->pages,
                              p->max_pages);
            __atomic_store_n(pe, pte_make(virt_to_mfn(below), TABLE_FLAGS), __ATOMIC_RELEASE);
        } else if (is_leaf(*pe)) {
            int rc = split(p, pe, l);

            if (rc)
                return rc;
        }
        t = table_of(*pe);
    }
    *out = &t[index_at(gfn, level)];
    return 0;
}

static bool range_bad(uint64_t gfn, unsigned order)
{
    return gfn >= P2M_GFNS || (order != 0 && order != 9 && order != 18) ||
           !IS_ALIGNED(gfn, 1ull << order);
}

/* Takes away what entry `pe` of `level` maps, a whole table of smaller pages too. */
static void entry_clear(struct p2m *p, uint64_t *pe, unsigned level)
{
    uint64_t e = *pe;
    unsigned all = ~0u;

    if (!e)
        return;
    if (is_leaf(e)) {
        __atomic_store_n(pe, 0, __ATOMIC_SEQ_CST);
        leaf_put(p, e, level);
    } else if (table_clear(p, table_of(e), level - 1, &all)) {
        BUG();
    }
}

static int references_take(struct p2m *p, mfn_t m, uint64_t n)
{
    for (uint64_t i = 0; i < n; i++) {
        int rc = frame_get(mfn(m.n + i), p->owner);

        if (!rc)
            continue;
        while (i-- > 0)
            frame_put(mfn(m.n + i));
        return refuse(rc, "p2m: frame %lx is not domain %u's", m.n, p->owner->domid);
    }
    return 0;
}

int p2m_map(struct p2m *p, uint64_t gfn, mfn_t m, unsigned order, enum p2m_type t)
{
    uint64_t e = entry_make(m, order / 9 + 1, t), *pe;
    unsigned level = order / 9 + 1;
    int rc;

    if (range_bad(gfn, order) || !IS_ALIGNED(m.n, 1ull << order))
        return refuse(-EINVAL, "p2m: gfn %lx and frame %lx of order %u", gfn, m.n, order);
    rc = descend(p, gfn, level, true, &pe);
    /* A table that is there stays: it may be in use by readers. */
    if (!rc && level > 1 && *pe && !is_leaf(*pe)) {
        entry_clear(p, pe, level);
        for (uint64_t i = 0; !rc && i < PT_ENTRIES; i++)
            rc = p2m_map(p, gfn + (i << (order - 9)), mfn(m.n + (i << (order - 9))), order - 9, t);
        return rc;
    }
    if (!rc && holds_references(e))
        rc = references_take(p, m, 1ull << order);
    if (rc)
        return rc;
    entry_clear(p, pe, level);
    __atomic_store_n(pe, e, __ATOMIC_SEQ_CST);
    p->top = max(p->top, gfn + level_pages(level) - 1);
    return 0;
}

int p2m_unmap(struct p2m *p, uint64_t gfn, unsigned order)
{
    uint64_t *pe;
    int rc;

    if (range_bad(gfn, order))
        return refuse(-EINVAL, "p2m: gfn %lx of order %u", gfn, order);
    rc = descend(p, gfn, order / 9 + 1, false, &pe);
    if (!rc && pe)
        entry_clear(p, pe, order / 9 + 1);
    return rc;
}

void p2m_flush(struct p2m *p)
{
    if (!p->flush)
        return;
    p->flush = false;
    tlb_flush_mask(&p->owner->dirty_cpus, TLB_ALL, 0);
}

enum p2m_type p2m_lookup(const struct p2m *p, uint64_t gfn, mfn_t *m)
{
    const uint64_t *t = mfn_to_virt(p->root);

    *m = INVALID_MFN;
    if (gfn >= P2M_GFNS)
        return P2M_NONE;
    for (unsigned level = LEVELS; level > 0; level--) {
        uint64_t e = __atomic_load_n(&t[index_at(gfn, level)], __ATOMIC_ACQUIRE);

        if (is_leaf(e)) {
            uint64_t below = gfn & (level_pages(level) - 1);

            *m = mfn(pte_mfn(e).n + below);
            return entry_type(e);
        }
        if (!e)
            return P2M_NONE;
        t = table_of(e);
    }
    return P2M_NONE;
}

int p2m_get(const struct p2m *p, uint64_t gfn, bool write, mfn_t *m)
{
    enum p2m_type t = p2m_lookup(p, gfn, m);

    if (t != P2M_RAM && !(t == P2M_RAM_RO && !write))
        return -EINVAL;
    return frame_get(*m, p->owner);
}

int p2m_init(struct p2m *p, struct frame_owner *o, uint64_t max_pages)
{
    uint64_t *root;

    lock_init(&p->lock, RANK_PV, "p2m");
    p->max_pages = max_pages;
    root = table_make(p);
    if (!root)
        return -ENOMEM;
    p->owner = o; /* who has one has tables to free */
    p->root = virt_to_mfn(root);
    return 0;
}

int p2m_release(struct p2m *p)
{
    unsigned left = RELEASE_BUDGET;
    int rc;

    lock(&p->lock);
    rc = table_clear(p, mfn_to_virt(p->root), LEVELS, &left);
    p2m_flush(p);
    unlock(&p->lock);
    return rc;
}

void p2m_free(struct p2m *p)
{
    tables_free(p, mfn_to_virt(p->root), LEVELS);
    BUG_ON(p->pages);
}

static void audit_table(const uint64_t *t, unsigned level)
{
    for (unsigned i = 0; i < PT_ENTRIES; i++) {
        if (!t[i])
            continue;
        if (!is_leaf(t[i])) {
            audit_table(table_of(t[i]), level - 1);
            continue;
        }
        for (uint64_t n = 0; holds_references(t[i]) && n < level_pages(level); n++)
            frame_audit_ref(mfn(pte_mfn(t[i]).n + n));
    }
}

void p2m_audit(const struct p2m *p)
{
    audit_table(mfn_to_virt(p->root), LEVELS);
}
