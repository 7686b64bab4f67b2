/* SPDX-License-Identifier: MIT */
/* Data that moves by the hypervisor's hands: GNTTABOP_copy, between frames named by grants or, the
 * caller's own, by number; and GNTTABOP_transfer. Public grant_table.h; ABI.md 2.9.
 *
 * Both ends of a copy are held (the grants marked as used, the frames referenced) while the bytes
 * move, with no lock held. A transitive grant leads to one of a third domain, which must be an
 * ordinary one: both are held. */
#include "grant/table.h"
#include "memory/layout.h"

struct end {
    bool write;
    mfn_t frame; /* with a reference, if `holds` */
    bool holds;
    struct domain *domain[2]; /* whose grants are held: the one named, and the one it leads to */
    uint32_t ref[2];
};

static void end_put(struct end *e)
{
    if (e->holds)
        grant_frame_put(e->frame, e->write);
    for (unsigned i = ARRAY_SIZE(e->domain); i-- > 0;)
        if (e->domain[i]) {
            grant_release(e->domain[i], e->ref[i], e->write);
            domain_put(e->domain[i]);
        }
}

/* Begins the use of one grant; step 0, or 1 for what a transitive grant leads to. */
static int hold_grant(struct end *e, unsigned step, domid_t id, uint32_t ref, domid_t grantee,
                      const struct active **g)
{
    struct domain *r = domain_get(id);
    int rc;

    if (!r || !r->grants) {
        if (r)
            domain_put(r);
        refuse(-ESRCH, "grant copy: no domain %u", id);
        return GNTST_bad_domain;
    }
    rc = grant_acquire(r, ref, grantee, e->write, true, g);
    if (rc) {
        domain_put(r);
        return rc;
    }
    e->domain[step] = r;
    e->ref[step] = ref;
    return GNTST_okay;
}

static int hold_by_grant(struct end *e, domid_t caller, const struct gnttab_copy_ptr *p,
                         uint16_t len)
{
    struct domain *owner;
    const struct active *g;
    int rc = hold_grant(e, 0, p->domid, p->u.ref, caller, &g);

    if (!rc && g->transitive) {
        if (g->trans_domid == DOMID_SELF) { /* would be the caller, not the granter */
            refuse(-EINVAL, "grant copy: grant %u leads to nobody", p->u.ref);
            return GNTST_general_error;
        }
        rc = hold_grant(e, 1, g->trans_domid, g->trans_ref, e->domain[0]->id, &g);
        if (!rc && g->transitive) {
            refuse(-EINVAL, "grant copy: grant %u leads to another that leads on", p->u.ref);
            rc = GNTST_general_error;
        }
    }
    if (rc)
        return rc;
    if (p->offset < g->start || p->offset + len > g->start + g->length) {
        refuse(-EINVAL, "grant copy: bytes %u and %u more, granted are %u and %u", p->offset, len,
               g->start, g->length);
        return GNTST_general_error;
    }
    owner = e->domain[1] ? e->domain[1] : e->domain[0];
    return grant_frame_get(owner, g->gfn, e->write, &e->frame);
}

static int hold(struct domain *d, struct end *e, const struct gnttab_copy_ptr *p, bool by_grant,
                uint16_t len)
{
    int rc;

    if (by_grant) {
        rc = hold_by_grant(e, d->id, p, len);
    } else if (p->domid != DOMID_SELF && p->domid != d->id) {
        refuse(-EPERM, "grant copy: frame %lx of domain %u without a grant", p->u.gmfn, p->domid);
        rc = GNTST_permission_denied;
    } else {
        rc = grant_frame_get(d, p->u.gmfn, e->write, &e->frame);
    }
    e->holds = rc == GNTST_okay;
    return rc;
}

int grant_copy_one(struct domain *d, const struct gnttab_copy *a)
{
    struct end from = {.write = false}, to = {.write = true};
    int rc;

    if (a->source.offset + a->len > PAGE_SIZE || a->dest.offset + a->len > PAGE_SIZE) {
        refuse(-EINVAL, "grant copy: %u bytes from %u to %u", a->len, a->source.offset,
               a->dest.offset);
        return GNTST_bad_copy_arg;
    }
    rc = hold(d, &from, &a->source, a->flags & GNTCOPY_source_gref, a->len);
    if (!rc)
        rc = hold(d, &to, &a->dest, a->flags & GNTCOPY_dest_gref, a->len);
    if (!rc)
        hw_copy((char *)mfn_to_virt(to.frame) + a->dest.offset,
                (const char *)mfn_to_virt(from.frame) + a->source.offset, a->len);
    end_put(&to);
    end_put(&from);
    return rc;
}

/* ---- transfer ---- */

/* The recipient's entry, which waits for a frame of ours, becomes committed to it: *gfn is where it
 * wants the frame. */
static int commit(struct domain *r, uint32_t ref, domid_t giver, uint64_t *gfn)
{
    struct gnttab *t = r->grants;
    struct grant_entry_header *h;
    uint32_t want = GTF_accept_transfer | (uint32_t)giver << 16, old;
    int rc = GNTST_okay;

    lock(&t->lock);
    if (ref >= grant_count(t)) {
        rc = GNTST_bad_gntref;
    } else {
        ref = (uint32_t)index_nospec(ref, grant_count(t));
        h = t->version == 1 ? (void *)entry_v1(t, ref) : &entry_v2(t, ref)->hdr;
        old = want;
        if (!__atomic_compare_exchange_n((uint32_t *)(void *)h, &old, want | GTF_transfer_committed,
                                         false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
            rc = GNTST_general_error;
        *gfn = t->version == 1 ? read_once(entry_v1(t, ref)->frame)
                               : read_once(entry_v2(t, ref)->full_page.frame);
    }
    unlock(&t->lock);
    if (rc)
        refuse(-EINVAL, "transfer: grant %u of domain %u does not wait for domain %u", ref, r->id,
               giver);
    return rc;
}

/* Cannot fail: the table may have shrunk or changed its version meanwhile; then nobody is told. */
static void complete(struct domain *r, uint32_t ref, mfn_t m)
{
    struct gnttab *t = r->grants;
    uint16_t *flags;

    lock(&t->lock);
    if (ref < grant_count(t)) {
        if (t->version == 1) {
            flags = &entry_v1(t, ref)->flags;
            write_once(entry_v1(t, ref)->frame, (uint32_t)m.n);
        } else {
            flags = &entry_v2(t, ref)->hdr.flags;
            write_once(entry_v2(t, ref)->full_page.frame, m.n);
        }
        __atomic_fetch_or(flags, GTF_transfer_completed, __ATOMIC_SEQ_CST);
    }
    unlock(&t->lock);
}

/* The frame's contents go to a frame of the recipient's, and the frame back to the allocator: what
 * a frame's new owner sees is the same as if the frame itself had changed hands. */
static int transfer_to(struct domain *d, struct domain *r, const struct gnttab_transfer *a)
{
    mfn_t from = mfn(a->mfn), to;
    uint64_t gfn = 0;
    int rc = commit(r, a->ref, d->id, &gfn);

    if (!rc && frame_alloc(&r->memory, 0, 0, &to))
        rc = GNTST_general_error;
    if (!rc) {
        hw_copy(mfn_to_virt(to), mfn_to_virt(from), PAGE_SIZE);
        if (frame_m2p_update(to, &r->memory, gfn))
            return GNTST_okay; /* the recipient guessed it, and has released it */
        complete(r, a->ref, to);
    }
    return rc;
}

int grant_transfer_one(struct domain *d, const struct gnttab_transfer *a)
{
    struct domain *r;
    mfn_t m;
    int rc;

    if (d->p2m) {
        refuse(-EOPNOTSUPP, "transfer: domain %u is translated", d->id);
        return GNTST_general_error;
    }
    if (grant_frame_get(d, a->mfn, false, &m))
        return GNTST_bad_page;
    if (frame_ref_count(m) > 2) {
        refuse(-EBUSY, "transfer: frame %lx is in use", m.n);
        frame_put(m);
        return GNTST_bad_page;
    }
    r = domain_get(a->domid);
    if (!r || !r->grants || r == d || r->p2m) {
        refuse(-ESRCH, "transfer to domain %u", a->domid);
        rc = GNTST_bad_domain;
    } else {
        rc = transfer_to(d, r, a);
    }
    /* The giver loses the frame, whatever the end (public header). */
    frame_m2p_set(m, INVALID_M2P_ENTRY);
    if (frame_release(&d->memory, m))
        rc = GNTST_bad_page;
    frame_put(m);
    if (r)
        domain_put(r);
    return rc;
}
