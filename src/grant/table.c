/* SPDX-License-Identifier: MIT */
/* The pages of a grant table: made, grown, given to the guest, taken away at its end. Public
 * grant_table.h. */
#include "grant/table.h"
#include "base/panic.h"
#include "lib/string.h"
#include "memory/heap.h"
#include "memory/layout.h"

int grant_domain(domid_t id, struct domain **out)
{
    struct domain *d = domain_get(id);

    if (!d || !d->grants) {
        refuse(-ESRCH, "grant table: no domain %u", id);
        if (d)
            domain_put(d);
        return GNTST_bad_domain;
    }
    if (d != current()->domain && !current()->domain->privileged) {
        refuse(-EPERM, "grant table of domain %u", id);
        domain_put(d);
        return GNTST_permission_denied;
    }
    *out = d;
    return GNTST_okay;
}

/* ---- growing ---- */

int grant_grow_status(struct domain *d, uint32_t frames)
{
    struct gnttab *t = d->grants;
    uint32_t wanted = DIV_ROUND_UP(frames, (uint32_t)FRAMES_PER_STATUS);

    while (t->status_frames < wanted) {
        void *page = heap_page();

        if (!page)
            return refuse(-ENOMEM, "grant table: no memory for status frame %u", t->status_frames);
        frame_share(&d->memory, page, true);
        t->status[t->status_frames++] = page;
    }
    return 0;
}

int grant_grow(struct domain *d, uint32_t frames)
{
    struct gnttab *t = d->grants;
    int rc;

    if (frames <= t->frames)
        return 0;
    if (frames > t->max_frames)
        return refuse(-EINVAL, "grant table: %u frames, limit %u", frames, t->max_frames);
    if (d->state != DOMAIN_ALIVE)
        return refuse(-EINVAL, "grant table: domain %u is dying", d->id);
    if (t->version == 2) {
        rc = grant_grow_status(d, frames);
        if (rc)
            return rc;
    }
    while (t->frames < frames) {
        void *page = heap_page();

        if (t->active_frames == t->frames) {
            t->active[t->frames] = heap_zalloc(V1_PER_FRAME * sizeof(struct active));
            t->active_frames += t->active[t->frames] != NULL;
        }
        if (!page || t->active_frames == t->frames) {
            heap_page_free(page);
            return refuse(-ENOMEM, "grant table: no memory for frame %u", t->frames);
        }
        frame_share(&d->memory, page, true);
        t->shared[t->frames++] = page;
    }
    return 0;
}

static int find_frame(struct domain *d, bool status, uint32_t idx, mfn_t *out)
{
    struct gnttab *t = d->grants;
    int rc;

    if (!status) {
        if (idx >= t->max_frames)
            return refuse(-EINVAL, "grant table: frame %u, limit %u", idx, t->max_frames);
        rc = grant_grow(d, idx + 1);
        if (!rc)
            *out = virt_to_mfn(t->shared[index_nospec(idx, t->frames)]);
        return rc;
    }
    if (t->version != 2 || idx >= grant_frames_max(d, true))
        return refuse(-EINVAL, "grant table: status frame %u, version %u", idx, t->version);
    rc = grant_grow(d, min((idx + 1) * (uint32_t)FRAMES_PER_STATUS, t->max_frames));
    if (!rc)
        *out = virt_to_mfn(t->status[index_nospec(idx, t->status_frames)]);
    return rc;
}

int grant_frame(struct domain *d, bool status, uint32_t idx, mfn_t *out)
{
    int rc;

    lock(&d->grants->lock);
    rc = find_frame(d, status, idx, out);
    unlock(&d->grants->lock);
    return rc;
}

uint32_t grant_frames_max(struct domain *d, bool status)
{
    uint32_t n = d->grants->max_frames;

    return status ? DIV_ROUND_UP(n, (uint32_t)FRAMES_PER_STATUS) : n;
}

/* ---- versions ---- */

/* Is any grant in use but for the reserved ones? */
static bool in_use(struct gnttab *t)
{
    for (uint32_t ref = RESERVED_ENTRIES; ref < grant_count(t); ref++) {
        const struct active *a = active_at(t, ref);

        if (a->readers || a->writers)
            return true;
    }
    return false;
}

/* A reserved entry, in the terms of v2, with the marks of its status word. */
struct saved {
    union grant_entry_v2 entry;
    grant_status_t status;
};

#define MARKS (GTF_reading | GTF_writing)

static void save_entries(struct gnttab *t, struct saved *s)
{
    for (uint32_t i = 0; i < RESERVED_ENTRIES; i++) {
        s[i] = (struct saved){0};
        if (t->version == 2) {
            s[i].entry = *entry_v2(t, i);
            s[i].status = *status_at(t, i);
        } else {
            const struct grant_entry_v1 *e = entry_v1(t, i);

            s[i].entry.full_page.hdr.flags = e->flags & (uint16_t)~MARKS;
            s[i].entry.full_page.hdr.domid = e->domid;
            s[i].entry.full_page.frame = e->frame;
            s[i].status = e->flags & MARKS;
        }
    }
}

/* Can v1 say it? */
static bool fits_v1(const struct saved *s)
{
    uint16_t flags = s->entry.hdr.flags;

    return (flags & GTF_type_mask) == GTF_invalid ||
           ((flags & GTF_type_mask) == GTF_permit_access && !(flags & GTF_sub_page) &&
            s->entry.full_page.frame <= UINT32_MAX);
}

static void restore_entries(struct gnttab *t, const struct saved *s)
{
    for (uint32_t i = 0; i < RESERVED_ENTRIES; i++) {
        if (t->version == 2) {
            *entry_v2(t, i) = s[i].entry;
            *status_at(t, i) = s[i].status;
        } else {
            *entry_v1(t, i) = (struct grant_entry_v1){
                .flags = s[i].entry.hdr.flags | s[i].status,
                .domid = s[i].entry.hdr.domid,
                .frame = (uint32_t)s[i].entry.full_page.frame,
            };
        }
    }
}

/* All or none: the guest may have some mapped. */
static int drop_status(struct domain *d)
{
    struct gnttab *t = d->grants;
    uint32_t n;

    for (n = t->status_frames; n; n--) {
        int rc = frame_unshare(&d->memory, t->status[n - 1]);

        if (rc) {
            for (; n < t->status_frames; n++)
                frame_share(&d->memory, t->status[n], true);
            return rc;
        }
    }
    while (t->status_frames)
        heap_page_free(t->status[--t->status_frames]);
    return 0;
}

static int change_version(struct domain *d, uint32_t version)
{
    struct saved saved[RESERVED_ENTRIES];
    struct gnttab *t = d->grants;
    int rc = 0;

    if (t->version == version)
        return 0;
    if (in_use(t))
        return refuse(-EBUSY, "grant table: version %u with grants in use", version);
    if (version == 2)
        rc = grant_grow_status(d, t->frames);
    if (!rc && t->frames) {
        save_entries(t, saved);
        for (uint32_t i = 0; version == 1 && i < RESERVED_ENTRIES; i++)
            if (!fits_v1(&saved[i]))
                return refuse(-EINVAL, "grant table: entry %u has no form in version 1", i);
    }
    if (!rc && version == 1)
        rc = drop_status(d);
    if (rc)
        return rc;
    /* The reserved entries' state of use has the same place in both. */
    t->version = version;
    for (uint32_t i = 0; i < t->frames; i++)
        memset(t->shared[i], 0, PAGE_SIZE);
    for (uint32_t i = 0; i < t->status_frames; i++)
        memset(t->status[i], 0, PAGE_SIZE);
    if (t->frames)
        restore_entries(t, saved);
    return 0;
}

int grant_change_version(struct domain *d, uint32_t version)
{
    int rc;

    if (version != 1 && version != 2)
        return refuse(-EINVAL, "grant table: version %u", version);
    if (version > d->grants->max_version)
        return refuse(-ENOSYS, "grant table: version %u, limit %u", version,
                      d->grants->max_version);
    lock(&d->grants->lock);
    rc = change_version(d, version);
    unlock(&d->grants->lock);
    return rc;
}

/* ---- life ---- */

/* The domain is freed only after everybody has unmapped its pages. */
static void page_free(struct domain *d, void *page)
{
    if (frame_unshare(&d->memory, page))
        BUG();
    heap_page_free(page);
}

static void table_free(struct domain *d)
{
    struct gnttab *t = d->grants;

    if (!t)
        return;
    for (uint32_t i = 0; i < t->frames; i++) /* NOLINT: no frames without the array of them */
        page_free(d, t->shared[i]);          /* NOLINT */
    for (uint32_t i = 0; i < t->status_frames; i++)
        page_free(d, t->status[i]); /* NOLINT: the same */
    for (uint32_t i = 0; t->active && i < t->active_frames; i++)
        heap_free(t->active[i]);
    for (uint32_t i = 0; t->mapping && i < t->mappings / MAPPINGS_PER_CHUNK; i++)
        heap_free(t->mapping[i]);
    heap_free(t->shared);
    heap_free(t->status);
    heap_free(t->active);
    heap_free(t->mapping);
    heap_free(t);
    d->grants = NULL;
}

static int table_init(struct domain *d, const struct domain_config *c)
{
    struct gnttab *t = heap_zalloc(sizeof(*t));

    grant_audit_init();
    if (!t)
        return -ENOMEM;
    d->grants = t;
    lock_init(&t->lock, RANK_GRANT, "grant table");
    lock_init(&t->map_lock, RANK_MAPTRACK, "grant mappings");
    t->version = 1;
    t->max_version = c->max_grant_version ? c->max_grant_version : 2;
    t->max_frames = min(max(c->max_grant_frames, 1u), GRANT_FRAMES_LIMIT);
    t->max_mappings = min(c->max_maptrack_frames, MAPTRACK_FRAMES_LIMIT) * MAPPINGS_PER_CHUNK;
    t->free = NO_HANDLE;
    t->shared = heap_zalloc(t->max_frames * sizeof(t->shared[0]));
    t->status = heap_zalloc(grant_frames_max(d, true) * sizeof(t->status[0]));
    t->active = heap_zalloc(t->max_frames * sizeof(t->active[0]));
    t->mapping = heap_zalloc(max(t->max_mappings / MAPPINGS_PER_CHUNK, 1u) * sizeof(t->mapping[0]));
    if (t->shared && t->status && t->active && t->mapping)
        return 0;
    table_free(d);
    return -ENOMEM;
}

const struct domain_part grant_part = {
    .name = "grants",
    .domain_init = table_init,
    .domain_release = grant_release_mappings,
    .domain_free = table_free,
};
