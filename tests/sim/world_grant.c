/* SPDX-License-Identifier: MIT */
/* What the kernels of the world do with grants: they write entries, of both versions, into their
 * tables at any time, map, copy and transfer by those of others. */
#include <string.h>

#include "grant/table.h"
#include "world.h"

#define REFS 24u

/* ---- the granting side ---- */

static uint16_t any_grant_flags(void)
{
    static const uint16_t types[] = {GTF_permit_access, GTF_permit_access,   GTF_permit_access,
                                     GTF_permit_access, GTF_accept_transfer, GTF_transitive,
                                     GTF_invalid};
    uint16_t flags = types[pvg_random(ARRAY_SIZE(types))];

    if (chance(4))
        flags |= GTF_readonly;
    if (chance(8))
        flags |= GTF_sub_page;
    if (chance(16))
        flags ^= 1u << pvg_random(16);
    return flags;
}

static void write_v2(union grant_entry_v2 *e, uint16_t flags, domid_t to, mfn_t m)
{
    e->hdr.flags = 0;
    e->hdr.domid = to;
    e->full_page.frame = m.n;
    if (flags & GTF_sub_page) {
        e->sub_page.page_off = (uint16_t)pvg_random(chance(8) ? 0x10000 : PAGE_SIZE);
        e->sub_page.length = (uint16_t)pvg_random(chance(8) ? 0x10000 : 300);
    }
    if ((flags & GTF_type_mask) == GTF_transitive) {
        e->transitive.trans_domid = any_domid();
        e->transitive.gref = pvg_random(REFS);
    }
    e->hdr.flags = flags;
}

/* The guest has its table mapped: it writes there as it likes. */
static long do_grant(void)
{
    struct gnttab *t = me->d->grants;
    uint32_t ref = pvg_random(REFS);
    domid_t to = any_domid();
    uint16_t flags = any_grant_flags();
    mfn_t m = chance(16) ? any_mfn(me) : me->mfn[any_pfn()];

    if (!t->frames || chance(200)) {
        struct gnttab_setup_table a = {.dom = DOMID_SELF, .nr_frames = 1 + pvg_random(3)};

        set_xen_guest_handle(a.frame_list, (xen_pfn_t *)pvg_va(PFN_STACK));
        return hcall(__HYPERVISOR_grant_table_op, GNTTABOP_setup_table, put(&a, sizeof(a)), 1, 0);
    }
    if (ref >= grant_count(t))
        return -EINVAL;
    if (t->version == 1) {
        struct grant_entry_v1 *e = entry_v1(t, ref);

        e->flags = 0;
        e->domid = to;
        e->frame = (uint32_t)m.n;
        e->flags = flags;
    } else {
        write_v2(entry_v2(t, ref), flags, to, m);
        if (chance(64) && !world_parallel) /* it may go just now */
            *status_at(t, ref) = (uint16_t)pvg_random(0x10000);
    }
    return 0;
}

static long op(unsigned cmd, const void *a, size_t n, unsigned count)
{
    return hcall(__HYPERVISOR_grant_table_op, cmd, put(a, n), count, 0);
}

static bool in_use(struct gnttab *t, uint32_t ref)
{
    return ref < grant_count(t) && (active_at(t, ref)->readers || active_at(t, ref)->writers);
}

static bool grants_in_use(struct gnttab *t)
{
    for (uint32_t ref = RESERVED_ENTRIES; ref < REFS; ref++)
        if (in_use(t, ref))
            return true;
    return false;
}

static long swap(const struct gnttab_swap_grant_ref *a)
{
    struct gnttab *t = me->d->grants;
    bool used = a->ref_a != a->ref_b && (in_use(t, a->ref_a) || in_use(t, a->ref_b));
    struct world_dom *w = me;
    uint64_t va = put(a, sizeof(*a));
    long rc = hcall(__HYPERVISOR_grant_table_op, GNTTABOP_swap_grant_ref, va, 1, 0);

    if (used && !rc && me == w && va == pvg_va(PFN_ARG + 2 * current()->id) &&
        !((struct gnttab_swap_grant_ref *)arg_at(va))->status)
        world_flaw("grants %u and %u were swapped in use", a->ref_a, a->ref_b);
    return rc;
}

static long do_table(void)
{
    struct gnttab *t = me->d->grants;
    uint64_t list[8] = {0};
    long rc;

    switch (pvg_random(8)) {
    case 0:
    case 1: {
        struct gnttab_setup_table a = {.dom = any_domid(), .nr_frames = pvg_random(5)};

        set_xen_guest_handle(a.frame_list, (xen_pfn_t *)put_list(list, sizeof(list)));
        return op(GNTTABOP_setup_table, &a, sizeof(a), 1);
    }
    case 2: {
        struct gnttab_query_size a = {.dom = any_domid()};

        return op(GNTTABOP_query_size, &a, sizeof(a), 1 + chance(16));
    }
    case 3: {
        struct gnttab_set_version a = {.version = chance(8) ? pvg_random(5) : 1 + pvg_random(2)};
        bool used;

        /* Maps the frame that would go. */
        if (t->status_frames && chance(3)) {
            struct world_dom *w = me;

            (void)hcall(__HYPERVISOR_update_va_mapping, pvg_va(any_pfn()),
                        pte_make(virt_to_mfn(t->status[0]), PTE_P | PTE_RW), 0, 0);
            if (me != w)
                return -ERESTART;
        }
        used = grants_in_use(t) && a.version != t->version;
        rc = op(GNTTABOP_set_version, &a, sizeof(a), 1);

        if (used && !rc)
            world_flaw("the version has changed to %u with grants in use", a.version);
        return rc;
    }
    case 4: {
        struct gnttab_get_version a = {.dom = any_domid()};

        return op(GNTTABOP_get_version, &a, sizeof(a), 1);
    }
    case 5: {
        struct gnttab_get_status_frames a = {.dom = any_domid(), .nr_frames = pvg_random(3)};

        set_xen_guest_handle(a.frame_list, (uint64_t *)put_list(list, sizeof(list)));
        return op(GNTTABOP_get_status_frames, &a, sizeof(a), 1);
    }
    case 6: {
        struct gnttab_swap_grant_ref a = {.ref_a = pvg_random(REFS), .ref_b = pvg_random(REFS)};

        if (chance(8))
            a.ref_b = (uint32_t)any_u64();
        return swap(&a);
    }
    default: {
        uint8_t a[64];

        scramble(a, sizeof(a));
        return op(chance(2) ? GNTTABOP_cache_flush : pvg_random(16), a, sizeof(a),
                  chance(8) ? (unsigned)any_u64() : 1);
    }
    }
}

/* ---- the mapping side ---- */

/* A grant that somebody made for us, if one can be found. */
static void any_ref(domid_t *dom, uint32_t *ref)
{
    *dom = any_domid();
    *ref = pvg_random(REFS);
    for (unsigned i = 0; i < 24; i++) {
        struct world_dom *w = any_dom();
        struct gnttab *t = w->d ? w->d->grants : NULL;
        uint32_t r = pvg_random(REFS);

        if (!t || r >= grant_count(t))
            continue;
        if ((t->version == 1 ? entry_v1(t, r)->domid : entry_v2(t, r)->hdr.domid) == me->d->id) {
            *dom = w->d->id;
            *ref = r;
            return;
        }
    }
}

/* What a grant says, if it is not in use: its first use goes by that. */
static bool fresh_grant(domid_t dom, uint32_t ref, union grant_entry_v2 *out)
{
    struct domain *d, *r = NULL;
    struct gnttab *t;

    if (dom == DOMID_SELF)
        dom = me->d->id;
    list_for_each_entry (d, &domain_list, link)
        if (d->id == dom)
            r = d;
    t = r ? r->grants : NULL;
    if (world_parallel || !t || ref >= grant_count(t) || active_at(t, ref)->readers ||
        active_at(t, ref)->writers)
        return false;
    memset(out, 0, sizeof(*out));
    if (t->version == 1) {
        out->hdr.flags = entry_v1(t, ref)->flags & (uint16_t)~GTF_sub_page;
        out->hdr.domid = entry_v1(t, ref)->domid;
        out->full_page.frame = entry_v1(t, ref)->frame;
    } else {
        *out = *entry_v2(t, ref);
    }
    return true;
}

/* It has been used so: was it granted so? */
static void check_use(const struct world_dom *w, const union grant_entry_v2 *e, uint32_t ref,
                      bool write)
{
    if ((e->hdr.flags & GTF_type_mask) != GTF_permit_access &&
        (e->hdr.flags & GTF_type_mask) != GTF_transitive)
        world_flaw("grant %u grants nothing, flags %x, and was used", ref, e->hdr.flags);
    else if (write && e->hdr.flags & GTF_readonly)
        world_flaw("grant %u is read-only and was used to write", ref);
    else if (w == me && e->hdr.domid != me->d->id)
        world_flaw("grant %u is for domain %u and domain %u used it", ref, e->hdr.domid, me->d->id);
}

static void note_mapping(struct world_dom *w, const struct gnttab_map_grant_ref *a)
{
    if (a->status || w->maps >= ARRAY_SIZE(w->map))
        return;
    w->map[w->maps].handle = a->handle;
    w->map[w->maps].at = a->flags & GNTMAP_host_map ? a->host_addr : 0;
    w->map[w->maps++].dev = a->flags & GNTMAP_device_map ? a->dev_bus_addr : 0;
}

static long do_map(void)
{
    unsigned n = chance(4) ? 1 + pvg_random(20) : 1;
    struct gnttab_map_grant_ref a[20];
    struct world_dom *w = me;
    union grant_entry_v2 e;
    uint64_t va;
    bool fresh;
    long rc;

    for (unsigned i = 0; i < n; i++) {
        unsigned pfn = any_pfn();

        memset(&a[i], 0, sizeof(a[i]));
        any_ref(&a[i].dom, &a[i].ref);
        a[i].flags = chance(6) ? GNTMAP_device_map : GNTMAP_host_map;
        if (chance(8))
            a[i].flags |= GNTMAP_device_map;
        if (chance(2))
            a[i].flags |= GNTMAP_readonly;
        a[i].host_addr = pvg_va(pfn);
        if (chance(4)) {
            a[i].flags |= GNTMAP_contains_pte;
            a[i].host_addr = chance(8) ? (me->mfn[any_pfn()].n << PAGE_SHIFT) + 8 * any_index()
                                       : virt_to_paddr(world_l1e(me, pfn));
        }
        if (chance(32))
            a[i].flags ^= 1u << pvg_random(32);
    }
    va = put_list(a, n * sizeof(*a));
    /* One alone is done without others in between. */
    fresh = n == 1 && fresh_grant(a[0].dom, a[0].ref, &e);
    rc = hcall(__HYPERVISOR_grant_table_op, GNTTABOP_map_grant_ref, va, n, 0);
    if (fresh && !rc && me == w && !((struct gnttab_map_grant_ref *)arg_at(va))->status &&
        va == pvg_va(PFN_ARG + 2 * current()->id + 1))
        check_use(w, &e, a[0].ref, !(a[0].flags & GNTMAP_readonly));
    for (unsigned i = 0; i < n && !rc && me == w; i++)
        note_mapping(w, arg_at(va + i * sizeof(*a)));
    return rc;
}

static long do_unmap(void)
{
    struct gnttab_unmap_grant_ref a[3];
    unsigned n = 1 + pvg_random(3);

    for (unsigned i = 0; i < n; i++) {
        unsigned k = me->maps ? pvg_random(me->maps) : 0;

        memset(&a[i], 0, sizeof(a[i]));
        a[i].handle = pvg_random(chance(4) ? 300 : 8);
        if (me->maps && !chance(8)) {
            a[i].handle = me->map[k].handle;
            a[i].host_addr = me->map[k].at;
            a[i].dev_bus_addr = chance(2) ? me->map[k].dev : 0;
            if (chance(12))
                a[i].host_addr = any_va();
            else if (!chance(8))
                me->map[k] = me->map[--me->maps];
        }
    }
    return hcall(__HYPERVISOR_grant_table_op, GNTTABOP_unmap_grant_ref, put_list(a, n * sizeof(*a)),
                 n, 0);
}

static long do_replace(void)
{
    struct gnttab_unmap_and_replace a = {.handle = pvg_random(8)};
    unsigned k = me->maps ? pvg_random(me->maps) : 0;

    if (me->maps) {
        a.handle = me->map[k].handle;
        a.host_addr = me->map[k].at;
        me->map[k] = me->map[--me->maps];
    }
    a.new_addr = chance(8) ? 0 : pvg_va(any_pfn());
    return op(GNTTABOP_unmap_and_replace, &a, sizeof(a), 1);
}

static void any_end(struct gnttab_copy_ptr *p, bool by_ref)
{
    uint32_t ref;

    p->domid = chance(8) ? any_domid() : DOMID_SELF;
    p->u.gmfn = any_mfn(me).n;
    if (by_ref) {
        any_ref(&p->domid, &ref);
        p->u.ref = ref;
    }
    p->offset = (uint16_t)(chance(4) ? pvg_random(0x1100) : 0);
}

/* One end of a copy that was done, by a grant as it was before. */
static void check_end(const struct world_dom *w, const union grant_entry_v2 *e,
                      const struct gnttab_copy_ptr *p, unsigned len, bool write)
{
    check_use(w, e, p->u.ref, write);
    if (e->hdr.flags & GTF_sub_page && (e->hdr.flags & GTF_type_mask) == GTF_permit_access &&
        w->d &&
        (p->offset < e->sub_page.page_off ||
         p->offset + len > e->sub_page.page_off + e->sub_page.length))
        world_flaw("bytes %u and %u more were copied by grant %u of bytes %u and %u more",
                   p->offset, len, p->u.ref, e->sub_page.page_off, e->sub_page.length);
}

static long do_copy(void)
{
    struct gnttab_copy a = {.flags = (uint16_t)pvg_random(chance(16) ? 8 : 4)};
    union grant_entry_v2 from, to;
    struct world_dom *w = me;
    bool from_fresh, to_fresh;
    uint64_t va;
    long rc;

    any_end(&a.source, a.flags & GNTCOPY_source_gref);
    any_end(&a.dest, a.flags & GNTCOPY_dest_gref);
    a.len = (uint16_t)pvg_random(chance(4) ? 0x1100 : 64);
    from_fresh =
        a.flags & GNTCOPY_source_gref && fresh_grant(a.source.domid, a.source.u.ref, &from);
    to_fresh = a.flags & GNTCOPY_dest_gref && fresh_grant(a.dest.domid, a.dest.u.ref, &to);
    if (from_fresh && from.hdr.flags & GTF_sub_page && chance(2)) {
        a.source.offset = from.sub_page.page_off;
        a.len = (uint16_t)pvg_random(from.sub_page.length + 20u);
    }
    va = put(&a, sizeof(a));
    rc = hcall(__HYPERVISOR_grant_table_op, GNTTABOP_copy, va, 1, 0);
    if (rc || me != w || ((struct gnttab_copy *)arg_at(va))->status ||
        va != pvg_va(PFN_ARG + 2 * current()->id))
        return rc;
    if (a.source.offset + a.len > PAGE_SIZE || a.dest.offset + a.len > PAGE_SIZE)
        world_flaw("%u bytes were copied from %u to %u of a page", a.len, a.source.offset,
                   a.dest.offset);
    if (from_fresh)
        check_end(w, &from, &a.source, a.len, false);
    if (to_fresh)
        check_end(w, &to, &a.dest, a.len, true);
    return 0;
}

static long do_transfer(void)
{
    struct gnttab_transfer a = {0};
    unsigned pfn = any_pfn();
    struct world_dom *w = me;
    uint64_t va;
    bool used;
    long rc;

    if (!chance(4)) {
        (void)hcall(__HYPERVISOR_update_va_mapping, pvg_va(pfn), 0, 0, 0);
        if (me != w)
            return -ERESTART;
    }
    any_ref(&a.domid, &a.ref);
    a.mfn = chance(16) ? any_mfn(me).n : me->mfn[pfn].n;
    used = frame_ref_count(mfn(a.mfn)) > 1;
    va = put(&a, sizeof(a));
    rc = hcall(__HYPERVISOR_grant_table_op, GNTTABOP_transfer, va, 1, 0);
    if (used && !rc && me == w && va == pvg_va(PFN_ARG + 2 * current()->id) &&
        !((struct gnttab_transfer *)arg_at(va))->status)
        world_flaw("frame %lx was transferred in use", (unsigned long)a.mfn);
    return rc;
}

const struct world_kind world_grant_kinds[] = {
    {"grant", do_grant, 12},      {"grant table", do_table, 4},
    {"grant map", do_map, 10},    {"grant unmap", do_unmap, 8},
    {"replace", do_replace, 2},   {"copy", do_copy, 6},
    {"transfer", do_transfer, 3}, {NULL, NULL, 0},
};
