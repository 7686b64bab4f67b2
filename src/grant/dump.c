/* SPDX-License-Identifier: MIT */
/* The debug key that shows a domain's grants in use and its mappings of others'. */
#include "grant/table.h"
#include "base/log.h"

#define DUMP_MAX 128u

void grant_dump(struct domain *d)
{
    struct gnttab *t = d->grants;
    uint32_t shown = 0;

    if (!t)
        return;
    lock(&t->lock);
    log_key("domain %u: grant table v%u, %u of %u frames", d->id, t->version, t->frames,
            t->max_frames);
    for (uint32_t ref = 0; ref < grant_count(t) && shown < DUMP_MAX; ref++) {
        const struct active *a = active_at(t, ref);

        if (!a->readers && !a->writers)
            continue;
        log_key("  grant %u: frame %lx to domain %u, %u readers, %u writers", ref, a->gfn,
                a->grantee, a->readers, a->writers);
        shown++;
    }
    unlock(&t->lock);
    lock(&t->map_lock);
    for (uint32_t i = 0; i < t->mappings && shown < DUMP_MAX; i++) {
        const struct mapping *m = &t->mapping[i / MAPPINGS_PER_CHUNK][i % MAPPINGS_PER_CHUNK];

        if (!m->flags || !m->granter)
            continue;
        log_key("  handle %u: grant %u of domain %u, frame %lx, flags %x", i, m->ref,
                m->granter->id, m->frame.n, m->flags);
        shown++;
    }
    unlock(&t->map_lock);
}
