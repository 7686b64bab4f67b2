/* SPDX-License-Identifier: MIT */
/* Physical interrupts of domains: see pirq.h.
 *
 * A `line` is an interrupt that some domain has mapped; it counts the domains that it came to and
 * that have not said yet that they served it. A level interrupt stays masked until that count is 0:
 * then irq_end() lets it come again. Edge interrupts and MSIs need no end.
 *
 * Tables and lines change under one lock. The handler takes it, notes whom to tell, with a
 * reference to each, and tells them without it: event channels have a lock of lower rank. */
#include "hypercall/physdev.h"
#include "hypercall/pirq.h"

#include "base/log.h"
#include "base/panic.h"
#include "base/refuse.h"
#include "lib/errno.h"
#include "memory/heap.h"
#include "platform/ioapic.h"

struct line_guest {
    struct domain *d;
    uint16_t pirq;
    bool in_flight; /* told, has not answered */
};

struct line {
    struct list link;       /* [PIRQ] in `lines` */
    struct irq *irq;        /* [I] */
    struct pci_device *dev; /* [I] of an MSI; NULL: a GSI */
    unsigned maps;          /* [PIRQ] table entries that name it */
    unsigned nr_guests;     /* [PIRQ] that have bound it */
    unsigned in_flight;     /* [PIRQ] guests of those */
    bool shareable;         /* [PIRQ] as the first that bound it said */
    struct line_guest guest[PIRQ_SHARED];
};

struct pirq { /* [PIRQ] */
    struct line *line;
    bool bound, reserved;
};

#define PIRQS_PER_PAGE (PAGE_SIZE / sizeof(struct pirq))
#define PIRQ_PAGES     DIV_ROUND_UP(PIRQ_MAX, PIRQS_PER_PAGE)

struct pirq_table {
    struct pirq *page[PIRQ_PAGES]; /* [PIRQ] grows only */
    bool dying;                    /* [PIRQ] nothing is mapped any more */
};

static struct lock pirq_lock = LOCK_INIT(RANK_PIRQ, "physical interrupts");
static struct list lines = LIST_INIT(lines); /* [PIRQ] */

/* ---- numbers ---- */

/* NULL: there is no such number, or nothing was ever there. */
static struct pirq *find_locked(struct domain *d, uint64_t n)
{
    struct pirq *page;

    if (!d->pirqs || n >= PIRQ_MAX)
        return NULL;
    n = index_nospec(n, PIRQ_MAX);
    page = d->pirqs->page[n / PIRQS_PER_PAGE];
    return page ? &page[n % PIRQS_PER_PAGE] : NULL;
}

static bool is_mapped(const struct pirq *p)
{
    return p && p->line;
}

/* The same, and makes room. */
static struct pirq *make_locked(struct domain *d, uint64_t n)
{
    struct pirq **page;

    if (!d->pirqs || n >= PIRQ_MAX)
        return NULL;
    page = &d->pirqs->page[index_nospec(n, PIRQ_MAX) / PIRQS_PER_PAGE];
    if (!*page)
        *page = heap_page();
    return find_locked(d, n);
}

static int must_check free_number_locked(struct domain *d)
{
    for (unsigned n = ioapic_gsi_count(); n < PIRQ_MAX; n++) {
        const struct pirq *p = make_locked(d, n);

        if (!p)
            return -ENOMEM;
        if (!p->line && !p->reserved)
            return (int)n;
    }
    return refuse(-ENOSPC, "domain %u has all of its %u PIRQs in use", d->id, PIRQ_MAX);
}

/* ---- lines ---- */

static struct line *line_of_gsi_locked(const struct irq *irq)
{
    struct line *l;

    list_for_each_entry (l, &lines, link)
        if (l->irq == irq)
            return l;
    return NULL;
}

static void handle(struct irq *irq, void *data)
{
    struct line *l = data;
    struct line_guest told[PIRQ_SHARED];
    unsigned n;

    lock(&pirq_lock);
    n = l->nr_guests;
    for (unsigned i = 0; i < n; i++) {
        if (irq->level && !l->guest[i].in_flight) {
            l->guest[i].in_flight = true;
            l->in_flight++;
        }
        told[i] = l->guest[i];
        __atomic_add_fetch(&told[i].d->refs, 1, __ATOMIC_RELAXED);
    }
    unlock(&pirq_lock);
    for (unsigned i = 0; i < n; i++) {
        event_send_pirq(told[i].d, told[i].pirq);
        domain_put(told[i].d);
    }
}

static struct line_guest *guest_locked(struct line *l, const struct domain *d, unsigned pirq)
{
    for (unsigned i = 0; i < l->nr_guests; i++)
        if (l->guest[i].d == d && l->guest[i].pirq == pirq)
            return &l->guest[i];
    return NULL;
}

static void served_locked(struct line *l, struct line_guest *g)
{
    if (!g->in_flight)
        return;
    g->in_flight = false;
    if (--l->in_flight == 0)
        irq_end(l->irq);
}

static void unbind_locked(struct domain *d, unsigned pirq, struct pirq *p)
{
    struct line *l = p->line;
    struct line_guest *g = guest_locked(l, d, pirq);

    p->bound = false;
    served_locked(l, g);
    *g = l->guest[--l->nr_guests];
    if (l->nr_guests == 0)
        irq_release(l->irq);
}

/* ---- for event/ ---- */

static int bind_locked(struct domain *d, unsigned pirq, struct pirq *p, bool shareable)
{
    struct line *l = p->line;
    int rc;

    if (p->bound)
        return refuse(-EEXIST, "PIRQ %u of domain %u is bound", pirq, d->id);
    if (l->nr_guests && !(l->shareable && shareable))
        return refuse(-EBUSY, "PIRQ %u of domain %u: another has it and will not share", pirq,
                      d->id);
    if (l->nr_guests == PIRQ_SHARED)
        return refuse(-EBUSY, "PIRQ %u of domain %u: %u share it already", pirq, d->id,
                      PIRQ_SHARED);
    l->guest[l->nr_guests] = (struct line_guest){.d = d, .pirq = (uint16_t)pirq};
    if (l->nr_guests++ == 0) {
        l->shareable = shareable;
        rc = irq_request(l->irq, handle, l);
        if (rc) {
            l->nr_guests = 0;
            return refuse(rc, "PIRQ %u of domain %u: Argon's own interrupt, or no vector", pirq,
                          d->id);
        }
    }
    p->bound = true;
    return 0;
}

static int bind(struct domain *d, unsigned pirq, bool shareable)
{
    struct pirq *p;
    int rc;

    lock(&pirq_lock);
    p = find_locked(d, pirq);
    if (is_mapped(p))
        rc = bind_locked(d, pirq, p, shareable);
    else if (!range_set_contains(&d->irqs, pirq, pirq))
        rc = refuse(-EPERM, "PIRQ %u is not for domain %u", pirq, d->id);
    else
        rc = refuse(-EINVAL, "PIRQ %u of domain %u is not mapped", pirq, d->id);
    unlock(&pirq_lock);
    return rc;
}

/* The mapping may have gone before: then there is nothing left to do. */
static void unbind(struct domain *d, unsigned pirq)
{
    struct pirq *p;

    lock(&pirq_lock);
    p = find_locked(d, pirq);
    if (is_mapped(p) && p->bound)
        unbind_locked(d, pirq, p);
    unlock(&pirq_lock);
}

static void moved(struct domain *d, unsigned pirq, struct vcpu *v)
{
    struct pirq *p;

    lock(&pirq_lock);
    p = find_locked(d, pirq);
    if (is_mapped(p) && p->bound && irq_set_cpu(p->line->irq, v->unit.cpu))
        log_debug("PIRQ %u of domain %u stays on its CPU: no vector is free", pirq, d->id);
    unlock(&pirq_lock);
}

const struct event_pirq_ops pirq_event_ops = {.bind = bind, .unbind = unbind, .moved = moved};

/* ---- mapping ---- */

/* A line for `irq`; NULL: no memory. */
static struct line *line_make_locked(struct irq *irq, struct pci_device *dev)
{
    struct line *l = heap_zalloc(sizeof(*l));

    if (!l)
        return NULL;
    l->irq = irq;
    l->dev = dev;
    list_add_tail(&lines, &l->link);
    return l;
}

/* Where `*pirq` is to name `irq`; chooses if it is PIRQ_ANY. */
static int must_check choose_locked(struct domain *d, int *pirq, int preferred, struct pirq **out)
{
    int n = *pirq;

    if (n == PIRQ_ANY && preferred != PIRQ_ANY) {
        struct pirq *p = make_locked(d, (unsigned)preferred);

        if (p && !p->line && !p->reserved)
            n = preferred;
    }
    if (n == PIRQ_ANY)
        n = free_number_locked(d);
    if (n == -ENOMEM || n == -ENOSPC)
        return n;
    if (n < 0 || (unsigned)n >= PIRQ_MAX)
        return refuse(-EINVAL, "PIRQ %d: they go to %u", n, PIRQ_MAX - 1);
    *out = make_locked(d, (unsigned)n);
    if (!*out)
        return -ENOMEM;
    *pirq = n;
    return 0;
}

/* The number under which d has the line, PIRQ_ANY if it has not. */
static int number_locked(struct domain *d, const struct line *l)
{
    for (unsigned n = 0; n < PIRQ_MAX; n++) {
        const struct pirq *p = find_locked(d, n);

        if (!p)
            n |= PIRQS_PER_PAGE - 1; /* the whole page is empty */
        else if (p->line == l)
            return (int)n;
    }
    return PIRQ_ANY;
}

static int map_locked(struct domain *d, struct irq *irq, struct pci_device *dev, int preferred,
                      int *pirq)
{
    struct line *l = dev ? NULL : line_of_gsi_locked(irq);
    int rc, had = l ? number_locked(d, l) : PIRQ_ANY;
    struct pirq *p = NULL;

    if (!d->pirqs || d->pirqs->dying)
        return refuse(-ESRCH, "domain %u is dying, or has no PIRQs", d->id);
    if (had != PIRQ_ANY && (*pirq == PIRQ_ANY || *pirq == had)) {
        *pirq = had;
        return 0;
    }
    if (had != PIRQ_ANY)
        return refuse(-EEXIST, "GSI %u of domain %u is PIRQ %u already", irq->number, d->id, had);
    rc = choose_locked(d, pirq, preferred, &p);
    if (rc)
        return rc;
    if (p->line)
        return refuse(-EINVAL, "PIRQ %u of domain %u is another interrupt", *pirq, d->id);
    if (!l)
        l = line_make_locked(irq, dev);
    if (!l)
        return -ENOMEM;
    l->maps++;
    *p = (struct pirq){.line = l};
    return 0;
}

int pirq_map_gsi(struct domain *d, unsigned gsi, int *pirq)
{
    struct irq *irq = irq_of_gsi(gsi);
    int rc;

    if (!irq)
        return refuse(-EINVAL, "there is no GSI %u", gsi);
    lock(&pirq_lock);
    rc = map_locked(d, irq, NULL, (int)gsi, pirq);
    unlock(&pirq_lock);
    return rc;
}

int pirq_map_msi(struct domain *d, struct irq *irq, struct pci_device *dev, int *pirq)
{
    int rc;

    lock(&pirq_lock);
    rc = map_locked(d, irq, dev, PIRQ_ANY, pirq);
    unlock(&pirq_lock);
    return rc;
}

/* Takes the entry out; gives the line if nobody has it any more. */
static struct line *take_out_locked(struct domain *d, unsigned pirq, struct pirq *p)
{
    struct line *l = p->line;

    if (p->bound)
        unbind_locked(d, pirq, p);
    *p = (struct pirq){0};
    if (--l->maps)
        return NULL;
    list_del_init(&l->link);
    return l;
}

/* No lock is held: waits for the handler. */
static void line_free(struct line *l)
{
    if (!l)
        return;
    irq_synchronize(l->irq);
    if (l->dev)
        physdev_msi_teardown(l->dev, l->irq);
    heap_free(l);
}

int pirq_unmap(struct domain *d, int pirq)
{
    struct line *l = NULL;
    struct pirq *p;
    int rc = 0;

    lock(&pirq_lock);
    p = find_locked(d, pirq < 0 ? PIRQ_MAX : (unsigned)pirq);
    if (is_mapped(p))
        l = take_out_locked(d, (unsigned)pirq, p);
    else if (p && p->reserved)
        p->reserved = false;
    else
        rc = refuse(-EINVAL, "PIRQ %d of domain %u is not mapped", pirq, d->id);
    unlock(&pirq_lock);
    line_free(l);
    return rc;
}

/* The first number under which d has an MSI of the device, PIRQ_ANY if there is none. */
static int number_of_device(struct domain *d, const struct pci_device *dev)
{
    int found = PIRQ_ANY;

    lock(&pirq_lock);
    for (unsigned n = 0; n < PIRQ_MAX && found == PIRQ_ANY; n++) {
        const struct pirq *p = find_locked(d, n);

        if (!p)
            n |= PIRQS_PER_PAGE - 1; /* the whole page is empty */
        else if (p->line && p->line->dev == dev)
            found = (int)n;
    }
    unlock(&pirq_lock);
    return found;
}

void pirq_unmap_device(const struct pci_device *dev)
{
    struct domain *d;
    int n;

    for_each_domain (d)
        while ((n = number_of_device(d, dev)) != PIRQ_ANY)
            if (pirq_unmap(d, n))
                log_warn("PIRQ %d of domain %u went by itself", n, d->id);
}

int pirq_reserve(struct domain *d)
{
    int n;

    lock(&pirq_lock);
    n = free_number_locked(d);
    if (n >= 0)
        find_locked(d, (unsigned)n)->reserved = true;
    unlock(&pirq_lock);
    return n;
}

/* ---- service ---- */

int pirq_eoi(struct domain *d, uint32_t pirq)
{
    struct line_guest *g;
    struct pirq *p;

    if (pirq >= PIRQ_MAX)
        return refuse(-EINVAL, "end of PIRQ %u: they go to %u", pirq, PIRQ_MAX - 1);
    lock(&pirq_lock);
    p = find_locked(d, pirq);
    if (is_mapped(p) && p->bound) {
        g = guest_locked(p->line, d, pirq);
        served_locked(p->line, g);
    }
    unlock(&pirq_lock);
    return 0;
}

int pirq_status(struct domain *d, uint32_t pirq, uint32_t *flags)
{
    struct pirq *p;

    if (pirq >= PIRQ_MAX)
        return refuse(-EINVAL, "status of PIRQ %u: they go to %u", pirq, PIRQ_MAX - 1);
    *flags = 0;
    lock(&pirq_lock);
    p = find_locked(d, pirq);
    if (is_mapped(p)) {
        *flags |= read_once(p->line->irq->level) ? XENIRQSTAT_needs_eoi : 0;
        *flags |= p->bound && p->line->shareable ? XENIRQSTAT_shared : 0;
    }
    unlock(&pirq_lock);
    return 0;
}

void pirq_dump(struct domain *d)
{
    lock(&pirq_lock);
    for (unsigned n = 0; n < PIRQ_MAX; n++) {
        const struct pirq *p = find_locked(d, n);

        if (!p)
            n |= PIRQS_PER_PAGE - 1;
        else if (p->line)
            log_key("  PIRQ %4u: %s %3u %s%s%s", n, p->line->dev ? "MSI" : "GSI",
                    p->line->irq->number, p->line->irq->level ? "level" : "edge",
                    p->bound ? ", bound" : "", p->line->in_flight ? ", in flight" : "");
    }
    unlock(&pirq_lock);
}

/* ---- life ---- */

static int init(struct domain *d, const struct domain_config *c)
{
    if (!c->hvm)
        d->pirqs = heap_zalloc(sizeof(*d->pirqs));
    return d->pirqs || c->hvm ? 0 : -ENOMEM;
}

static int release(struct domain *d)
{
    lock(&pirq_lock);
    if (d->pirqs)
        d->pirqs->dying = true;
    unlock(&pirq_lock);
    for (unsigned n = 0; d->pirqs && n < PIRQ_MAX; n++) {
        struct line *l = NULL;
        struct pirq *p;

        lock(&pirq_lock);
        p = find_locked(d, n);
        if (is_mapped(p))
            l = take_out_locked(d, n, p);
        unlock(&pirq_lock);
        line_free(l);
        if (!p)
            n |= PIRQS_PER_PAGE - 1;
    }
    return 0;
}

static void free_table(struct domain *d)
{
    if (!d->pirqs)
        return;
    for (unsigned i = 0; i < PIRQ_PAGES; i++)
        heap_page_free(d->pirqs->page[i]);
    heap_free(d->pirqs);
    d->pirqs = NULL;
}

const struct domain_part pirq_part = {
    .name = "physical interrupts",
    .domain_init = init,
    .domain_release = release,
    .domain_free = free_table,
};
