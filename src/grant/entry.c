/* SPDX-License-Identifier: MIT */
/* The protocol of grant entries between the hypervisor and the domain that owns them. Public
 * grant_table.h, "Introducing a valid entry" and "Invalidating".
 *
 * v1: flags and grantee are one word of 32 bits; GTF_reading and GTF_writing are set by
 * compare-and-exchange of the whole word, so they are set on what was checked. The guest ends a
 * grant by exchanging the flags of an entry that shows neither.
 *
 * v2: they are in a status word that only the hypervisor sets. It sets them first and reads the
 * entry after; the guest clears the entry first and reads the status after. So one of the two sees
 * the other.
 *
 * A guest that changes an entry in use deceives itself: what was read once is what counts. */
#include "grant/table.h"

/* How often the guest may change the word under our hands. */
#define TRIES 5

union header {
    struct {
        uint16_t flags;
        domid_t domid;
    };
    uint32_t word;
};

static int check_header(union header h, domid_t grantee, bool write, uint32_t ref)
{
    unsigned type = h.flags & GTF_type_mask;

    if ((type != GTF_permit_access && type != GTF_transitive) || h.domid != grantee) {
        refuse(-EPERM, "grant %u: flags %x for domain %u, wanted by %u", ref, h.flags, h.domid,
               grantee);
        return GNTST_general_error;
    }
    if (write && h.flags & GTF_readonly) {
        refuse(-EPERM, "grant %u is read-only", ref);
        return GNTST_general_error;
    }
    return GNTST_okay;
}

/* Checks the entry and shows that it is used: *h is what was checked. */
static int mark_v1(struct gnttab *t, uint32_t ref, domid_t grantee, bool write, union header *h)
{
    uint32_t *word = (uint32_t *)(void *)entry_v1(t, ref);

    h->word = __atomic_load_n(word, __ATOMIC_SEQ_CST);
    for (unsigned i = 0; i < TRIES; i++) {
        union header marked = *h;
        int rc = check_header(*h, grantee, write, ref);

        if (rc)
            return rc;
        if ((h->flags & GTF_type_mask) != GTF_permit_access)
            return GNTST_general_error; /* v1 has no other */
        marked.flags |= GTF_reading | (write ? GTF_writing : 0);
        if (__atomic_compare_exchange_n(word, &h->word, marked.word, false, __ATOMIC_SEQ_CST,
                                        __ATOMIC_SEQ_CST))
            return GNTST_okay;
    }
    refuse(-EAGAIN, "grant %u: the entry does not hold still", ref);
    return GNTST_general_error;
}

static int mark_v2(struct gnttab *t, uint32_t ref, domid_t grantee, bool write, union header *h)
{
    uint16_t set = GTF_reading | (write ? GTF_writing : 0), before;
    int rc;

    before = __atomic_fetch_or(status_at(t, ref), set, __ATOMIC_SEQ_CST);
    h->word = __atomic_load_n((uint32_t *)(void *)entry_v2(t, ref), __ATOMIC_SEQ_CST);
    rc = check_header(*h, grantee, write, ref);
    if (rc)
        __atomic_fetch_and(status_at(t, ref), (uint16_t) ~(set & ~before), __ATOMIC_SEQ_CST);
    return rc;
}

static int mark(struct gnttab *t, uint32_t ref, domid_t grantee, bool write, union header *h)
{
    return t->version == 1 ? mark_v1(t, ref, grantee, write, h)
                           : mark_v2(t, ref, grantee, write, h);
}

static void unmark(struct gnttab *t, uint32_t ref, uint16_t clear)
{
    uint16_t *word;

    word = t->version == 1 ? &entry_v1(t, ref)->flags : status_at(t, ref);
    __atomic_fetch_and(word, (uint16_t)~clear, __ATOMIC_SEQ_CST);
}

/* First use: the rest of the entry, each field read once. */
static int read_entry(struct gnttab *t, uint32_t ref, union header h, struct active *a)
{
    *a = (struct active){.grantee = h.domid, .length = PAGE_SIZE};
    if (t->version == 1) {
        a->gfn = read_once(entry_v1(t, ref)->frame);
    } else if ((h.flags & GTF_type_mask) == GTF_transitive) {
        union grant_entry_v2 *e = entry_v2(t, ref);

        a->transitive = true;
        a->trans_domid = read_once(e->transitive.trans_domid);
        a->trans_ref = read_once(e->transitive.gref);
        a->gfn = INVALID_MFN.n;
    } else if (h.flags & GTF_sub_page) {
        union grant_entry_v2 *e = entry_v2(t, ref);

        a->sub_page = true;
        a->start = read_once(e->sub_page.page_off);
        a->length = read_once(e->sub_page.length);
        a->gfn = read_once(e->sub_page.frame);
        if (a->start >= PAGE_SIZE || a->length > PAGE_SIZE - a->start) {
            refuse(-EINVAL, "grant %u: bytes %u and %u more of a page", ref, a->start, a->length);
            return GNTST_general_error;
        }
    } else {
        a->gfn = read_once(entry_v2(t, ref)->full_page.frame);
    }
    return GNTST_okay;
}

static int acquire_locked(struct gnttab *t, uint32_t ref, domid_t grantee, bool write,
                          bool transitive, const struct active **out)
{
    struct active *a;
    union header h;
    bool first;
    int rc;

    if (ref >= grant_count(t)) {
        refuse(-EINVAL, "grant %u beyond the table of %u", ref, grant_count(t));
        return GNTST_bad_gntref;
    }
    ref = (uint32_t)index_nospec(ref, grant_count(t));
    a = active_at(t, ref);
    first = !a->readers && !a->writers;
    if (!first && (a->grantee != grantee || a->readers + a->writers >= UINT16_MAX)) {
        refuse(-EPERM, "grant %u is used by domain %u, %u times", ref, a->grantee,
               a->readers + a->writers);
        return GNTST_general_error;
    }
    if (first || (write && !a->writers)) {
        rc = mark(t, ref, grantee, write, &h);
        if (rc)
            return rc;
    }
    if (first) {
        rc = read_entry(t, ref, h, a);
        if (rc) {
            unmark(t, ref, GTF_reading | GTF_writing);
            return rc;
        }
    }
    if (!transitive && (a->transitive || a->sub_page)) {
        if (first)
            unmark(t, ref, GTF_reading | GTF_writing);
        else if (write && !a->writers)
            unmark(t, ref, GTF_writing);
        refuse(-EPERM, "grant %u is of a part of a page, or transitive", ref);
        return GNTST_general_error;
    }
    if (write)
        a->writers++;
    else
        a->readers++;
    *out = a;
    return GNTST_okay;
}

int grant_acquire(struct domain *r, uint32_t ref, domid_t grantee, bool write, bool transitive,
                  const struct active **out)
{
    int rc;

    lock(&r->grants->lock);
    rc = acquire_locked(r->grants, ref, grantee, write, transitive, out);
    unlock(&r->grants->lock);
    return rc;
}

void grant_release(struct domain *r, uint32_t ref, bool write)
{
    struct gnttab *t = r->grants;
    struct active *a;

    lock(&t->lock);
    a = active_at(t, ref);
    if (write)
        a->writers--;
    else
        a->readers--;
    if (!a->readers && !a->writers)
        unmark(t, ref, GTF_reading | GTF_writing);
    else if (write && !a->writers)
        unmark(t, ref, GTF_writing);
    unlock(&t->lock);
}

int grant_frame_get(struct domain *d, uint64_t gfn, bool write, mfn_t *m)
{
    int rc = domain_get_frame(d, gfn, write, m);

    if (!rc)
        return GNTST_okay;
    refuse(rc, "grant: frame %lx is not domain %u's, or not to be written", gfn, d->id);
    return GNTST_bad_page;
}

void grant_frame_put(mfn_t m, bool write)
{
    if (write)
        frame_put_writable(m);
    else
        frame_put(m);
}
