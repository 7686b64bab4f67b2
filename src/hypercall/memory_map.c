/* SPDX-License-Identifier: MIT */
/* Memory maps in the form of the BIOS call E820: a domain's own, which its builder set, and the
 * machine's for the domain that has the devices. Public memory.h; ABI.md 2.4, 3.4. */
#include <xen/memory.h>
#include "boot/boot_info.h"
#include "hypercall/memory.h"
#include "memory/heap.h"

#define MAP_MAX 1024u /* entries that a builder may set */

struct packed map_entry {
    uint64_t start, len;
    uint32_t type;
};
_Static_assert(sizeof(struct map_entry) == 20, "E820");

/* ---- a domain's own ---- */

long memory_map_get(uint32_t op, uint64_t start, uint64_t arg)
{
    struct domain *d = current()->domain;
    struct xen_memory_map a;
    long rc;

    if (guest_read(&a, arg, sizeof(a)))
        return -EFAULT;
    lock(&d->lock);
    if (!d->memory_map) {
        rc = refuse(-ENOSYS, "domain %u has no memory map", d->id);
    } else {
        a.nr_entries = min(a.nr_entries, d->memory_map_entries);
        rc = guest_write(handle_va(a.buffer), d->memory_map,
                         a.nr_entries * sizeof(struct map_entry));
    }
    unlock(&d->lock);
    return rc ? rc : guest_write(arg, &a, sizeof(a));
}

long memory_map_set(uint32_t op, uint64_t start, uint64_t arg)
{
    struct xen_foreign_memory_map a;
    void *map, *old;
    size_t size;
    struct domain *d;
    long rc;

    if (guest_read(&a, arg, sizeof(a)))
        return -EFAULT;
    if (a.map.nr_entries > MAP_MAX)
        return refuse(-EINVAL, "memory map of %u entries", a.map.nr_entries);
    if (!current()->domain->privileged)
        return refuse(-EPERM, "memory map of domain %u", a.domid);
    rc = memory_domain(a.domid, &d);
    if (rc)
        return rc;
    size = a.map.nr_entries * sizeof(struct map_entry);
    map = size ? heap_alloc(size) : NULL;
    if (size && !map) {
        rc = refuse(-ENOMEM, "memory map of %u entries", a.map.nr_entries);
    } else if (size && guest_read(map, handle_va(a.map.buffer), size)) {
        heap_free(map);
        rc = -EFAULT;
    } else {
        lock(&d->lock);
        old = d->memory_map;
        d->memory_map = map;
        d->memory_map_entries = a.map.nr_entries;
        unlock(&d->lock);
        heap_free(old);
    }
    domain_put(d);
    return rc;
}

/* ---- the machine's ---- */

struct writer {
    uint64_t buffer; /* guest address, 0: only count */
    uint32_t room, n;
    int rc;
};

static void emit(struct writer *w, uint64_t start, uint64_t end, uint32_t type)
{
    struct map_entry e = {.start = start, .len = end - start, .type = type};

    if (start >= end || w->rc)
        return;
    if (w->buffer) {
        if (w->n >= w->room)
            w->rc = refuse(-EINVAL, "machine memory map: room for %u entries", w->room);
        else
            w->rc = guest_write_at(w->buffer, w->n, &e);
    }
    w->n++;
}

/* What the firmware says nothing of is free for devices' registers, but for the frames that the
 * domain may not map: interrupt controllers, and the window where messages go that are interrupts.
 * The kernel must not put a device there: they become reserved ranges. */
static void emit_gap(struct writer *w, const struct range_set *allowed, uint64_t start,
                     uint64_t end)
{
    uint64_t first = DIV_ROUND_UP(start, PAGE_SIZE), last = end >> PAGE_SHIFT;

    while (first < last) {
        struct range r;

        /* Beyond the last range that is allowed there is nothing. */
        if (!range_set_next(allowed, first, &r))
            return;
        emit(w, first << PAGE_SHIFT, min(r.first, last) << PAGE_SHIFT, BOOT_RESERVED);
        if (r.last >= last)
            return;
        first = r.last + 1;
    }
}

long memory_map_machine(uint32_t op, uint64_t start, uint64_t arg)
{
    struct domain *d = current()->domain;
    struct xen_memory_map a;
    struct writer w;
    uint64_t at = 0;

    if (!d->privileged && !d->hardware)
        return refuse(-EPERM, "machine memory map for domain %u", d->id);
    if (guest_read(&a, arg, sizeof(a)))
        return -EFAULT;
    w = (struct writer){.buffer = handle_va(a.buffer), .room = a.nr_entries};
    for (unsigned i = 0; i < boot_info.nr_memory; i++) {
        const struct boot_range *r = &boot_info.memory[i];

        emit_gap(&w, &d->iomem, at, r->start);
        emit(&w, r->start, r->end, r->type);
        at = r->end;
    }
    emit_gap(&w, &d->iomem, at, 1ull << 52);
    if (w.rc)
        return w.rc;
    a.nr_entries = w.n;
    return guest_write(arg, &a, sizeof(a));
}
