/* SPDX-License-Identifier: MIT */
/* The FIFO ABI: one 32-bit event word for each port, in pages that the guest provides, and for each
 * vCPU a control block with the heads of 16 queues, one a priority. The public event_channel.h
 * names the bits; the links of a queue run through the event words.
 *
 * Raising an event sets PENDING; if the port is neither MASKED nor LINKED it is linked at the tail
 * of its queue: LINKED is set, and its number goes into the LINK field of the last word, or into
 * the head if the queue has run empty, and then READY gets the queue's bit. The guest takes from
 * the head: it clears LINKED and LINK at once, and what it finds in LINK is the next head. So a
 * tail without LINKED has been taken, and the queue is empty.
 *
 * All words are the guest's and change at any time. The last port of each queue is noted on our
 * side; no number is ever read back from the guest to go anywhere, and each loop is bounded, so a
 * guest that scribbles loses its own events and nothing else.
 *
 * `fifo_vcpu.lock` keeps those who add to the queues of a vCPU apart. */
#include "event/table.h"
#include "base/log.h"
#include "base/panic.h"
#include "memory/heap.h"

#define PENDING (1u << EVTCHN_FIFO_PENDING)
#define MASKED  (1u << EVTCHN_FIFO_MASKED)
#define LINKED  (1u << EVTCHN_FIFO_LINKED)
#define BUSY    (1u << EVTCHN_FIFO_BUSY)
#define LINK    ((uint32_t)EVTCHN_FIFO_LINK_MASK)

#define WORDS_PER_PAGE (PAGE_SIZE / sizeof(event_word_t))
#define ARRAY_PAGES    (EVTCHN_FIFO_NR_CHANNELS / WORDS_PER_PAGE)

/* How often a guest may change a word under our hands before we ask it to wait, and after. */
#define LINK_TRIES 4

struct fifo {
    event_word_t *page[ARRAY_PAGES]; /* [a] guest frames, in the direct map; NULL: not given yet */
    uint32_t pages;                  /* [E] */
};

struct fifo_vcpu {
    struct lock lock;                          /* RANK_EVENT_QUEUE */
    mfn_t frame;                               /* [I] of the control block */
    struct evtchn_fifo_control_block *control; /* [I] */
    uint32_t tail[EVTCHN_FIFO_MAX_QUEUES];     /* the port linked last, 0: none */
};

/* The event word of a port, NULL while there is no page for it. */
static event_word_t *word_of(const struct fifo *f, uint32_t port)
{
    uint32_t page = port / WORDS_PER_PAGE;
    event_word_t *words;

    if (unlikely(page >= ARRAY_PAGES))
        return NULL;
    words = __atomic_load_n(&f->page[index_nospec(page, ARRAY_PAGES)], __ATOMIC_ACQUIRE);
    return words ? &words[port % WORDS_PER_PAGE] : NULL;
}

static struct fifo *fifo_of(const struct domain *d)
{
    return __atomic_load_n(&d->events->fifo, __ATOMIC_ACQUIRE);
}

static struct fifo_vcpu *fifo_vcpu_of(const struct vcpu *v)
{
    return __atomic_load_n(&v->events->fifo, __ATOMIC_ACQUIRE);
}

/* ---- linking ---- */

/* One attempt after the other to write `port` into the LINK field of a linked word: 1, 0 if it is
 * not linked, -EAGAIN if the guest was always quicker. */
static int try_link(event_word_t *word, uint32_t port)
{
    event_word_t w = __atomic_load_n(word, __ATOMIC_SEQ_CST);

    for (unsigned i = 0; i < LINK_TRIES; i++) {
        if (!(w & LINKED))
            return 0;
        if (__atomic_compare_exchange_n(word, &w, (w & ~(BUSY | LINK)) | port, false,
                                        __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
            return 1;
    }
    return -EAGAIN;
}

/* Links `port` behind the word, false if that is in no queue any more. */
static bool link_behind(event_word_t *word, uint32_t port)
{
    int rc = try_link(word, port);

    if (likely(rc >= 0))
        return rc;
    /* A guest that sees BUSY leaves the word alone until it is clear. */
    __atomic_fetch_or(word, BUSY, __ATOMIC_SEQ_CST);
    rc = try_link(word, port);
    if (rc <= 0)
        __atomic_fetch_and(word, ~BUSY, __ATOMIC_SEQ_CST);
    return rc > 0;
}

/* The port moves to another queue, and is in none now: its old queue must not take it for its last,
 * as it will be linked in the new one. */
static noinline void leave_queue(struct domain *d, uint32_t port, uint32_t queue)
{
    struct vcpu *v = event_vcpu(d, queue >> 8);
    struct fifo_vcpu *fv = v ? fifo_vcpu_of(v) : NULL;
    uint32_t *tail;

    if (!fv)
        return;
    lock(&fv->lock);
    tail = &fv->tail[queue % EVTCHN_FIFO_MAX_QUEUES];
    if (*tail == port)
        *tail = 0;
    unlock(&fv->lock);
}

/* Puts a pending port in line. */
static void link_port(struct domain *d, struct port *p, uint32_t port, event_word_t *word,
                      struct vcpu *v)
{
    struct fifo *f = fifo_of(d);
    struct fifo_vcpu *fv = fifo_vcpu_of(v);
    uint32_t priority = read_once(p->priority), queue = v->id << 8 | priority, old, tail;
    bool behind = false;

    /* A vCPU without a control block hears nothing; the port stays pending. */
    if (unlikely(!fv))
        return;
    old = read_once(p->queue);
    if (unlikely(old != queue)) {
        leave_queue(d, port, old);
        write_once(p->queue, queue);
    }
    lock(&fv->lock);
    if (__atomic_fetch_or(word, LINKED, __ATOMIC_SEQ_CST) & LINKED) {
        unlock(&fv->lock); /* another was quicker */
        return;
    }
    tail = fv->tail[priority];
    /* A port that was the last and has been taken leaves an empty queue; it must not be linked
     * behind itself. */
    if (tail && tail != port)
        behind = link_behind(word_of(f, tail), port);
    if (!behind)
        write_once(fv->control->head[priority], port);
    fv->tail[priority] = port;
    unlock(&fv->lock);

    if (!behind && !(__atomic_fetch_or(&fv->control->ready, 1u << priority, __ATOMIC_SEQ_CST) &
                     (1u << priority)))
        vcpu_upcall(v);
}

void fifo_raise(struct domain *d, struct port *p, uint32_t port, struct vcpu *v)
{
    event_word_t *word = word_of(fifo_of(d), port), old;

    if (unlikely(!word)) {
        __atomic_store_n(&p->raised, true, __ATOMIC_SEQ_CST);
        /* The page may have come just now, and who brought it may not have seen `raised`. */
        word = word_of(fifo_of(d), port);
        if (!word || !__atomic_exchange_n(&p->raised, false, __ATOMIC_SEQ_CST))
            return;
    }
    old = __atomic_fetch_or(word, PENDING, __ATOMIC_SEQ_CST);
    if (!(old & (MASKED | LINKED)))
        link_port(d, p, port, word, v);
    if (!(old & PENDING))
        port_wake_pollers(d, port);
}

void fifo_unmask(struct domain *d, struct port *p, uint32_t port, struct vcpu *v)
{
    event_word_t *word = word_of(fifo_of(d), port), old;

    if (!word)
        return;
    old = __atomic_fetch_and(word, ~MASKED, __ATOMIC_SEQ_CST);
    if ((old & PENDING) && !(old & LINKED))
        link_port(d, p, port, word, v);
}

void fifo_clear(struct domain *d, struct port *p, uint32_t port)
{
    event_word_t *word = word_of(fifo_of(d), port);

    p->raised = false;
    if (word)
        __atomic_fetch_and(word, ~PENDING, __ATOMIC_SEQ_CST);
}

bool fifo_pending(struct domain *d, uint32_t port)
{
    event_word_t *word = word_of(fifo_of(d), port);

    return word && (__atomic_load_n(word, __ATOMIC_SEQ_CST) & PENDING);
}

bool fifo_masked(struct domain *d, uint32_t port)
{
    event_word_t *word = word_of(fifo_of(d), port);

    return !word || (__atomic_load_n(word, __ATOMIC_SEQ_CST) & MASKED);
}

bool fifo_busy(struct domain *d, uint32_t port)
{
    event_word_t *word = word_of(fifo_of(d), port);

    return word && (__atomic_load_n(word, __ATOMIC_SEQ_CST) & LINKED);
}

/* ---- set-up ---- */

/* From 2-level to FIFO: what is pending will be so in the event words, once they are there. */
static int switch_abi(struct domain *d)
{
    struct evtchn_table *t = d->events;
    struct fifo *f = heap_zalloc(sizeof(*f));

    if (!f)
        return refuse(-ENOMEM, "no memory for the FIFO event array");
    for (uint32_t port = 1; port < min(t->count, (uint32_t)EVTCHN_2L_NR_CHANNELS); port++) {
        struct port *p = port_find(t, port);

        if (p->state != EVTCHNSTAT_closed && two_level_pending(d, port))
            __atomic_store_n(&p->raised, true, __ATOMIC_SEQ_CST);
    }
    __atomic_store_n(&t->fifo, f, __ATOMIC_RELEASE);
    return 0;
}

int fifo_init_control(struct domain *d, struct evtchn_init_control *a)
{
    struct vcpu *v = event_vcpu(d, a->vcpu);
    struct fifo_vcpu *fv;
    mfn_t m;
    int rc;

    if (!v)
        return refuse(-ENOENT, "no vCPU %u", a->vcpu);
    if (a->offset > PAGE_SIZE - sizeof(*fv->control) || a->offset % 8)
        return refuse(-EINVAL, "FIFO control block at offset %x", a->offset);
    if (v->events->fifo)
        return refuse(-EINVAL, "vCPU %u has a FIFO control block", v->id);
    if (d->events->dying)
        return refuse(-ESRCH, "domain %u is dying", d->id);
    fv = heap_zalloc(sizeof(*fv));
    if (!fv)
        return refuse(-ENOMEM, "no memory for a FIFO control block");
    rc = domain_get_writable(d, a->control_gfn, &m);
    if (rc)
        goto free;
    if (!d->events->fifo) {
        rc = switch_abi(d);
        if (rc)
            goto put;
    }
    lock_init(&fv->lock, RANK_EVENT_QUEUE, "event queue");
    fv->frame = m;
    fv->control = (void *)((char *)mfn_to_virt(fv->frame) + a->offset);
    __atomic_store_n(&v->events->fifo, fv, __ATOMIC_RELEASE);
    a->link_bits = EVTCHN_FIFO_LINK_BITS;
    return 0;

put:
    frame_put_writable(m);
free:
    heap_free(fv);
    return rc;
}

int fifo_expand_array(struct domain *d, uint64_t gfn)
{
    struct evtchn_table *t = d->events;
    struct fifo *f = t->fifo;
    uint32_t first;
    mfn_t m;
    int rc;

    if (!f)
        return refuse(-EOPNOTSUPP, "event array without a FIFO control block");
    if (f->pages == ARRAY_PAGES)
        return refuse(-ENOSPC, "the event array has all its %u pages", f->pages);
    if (t->dying)
        return refuse(-ESRCH, "domain %u is dying", d->id);
    rc = domain_get_writable(d, gfn, &m);
    if (rc)
        return rc;
    first = f->pages * WORDS_PER_PAGE;
    __atomic_store_n(&f->page[f->pages++], mfn_to_virt(m), __ATOMIC_SEQ_CST);
    for (uint32_t port = first; port < min(first + (uint32_t)WORDS_PER_PAGE, t->count); port++) {
        struct port *p = port_find(t, port);

        if (__atomic_exchange_n(&p->raised, false, __ATOMIC_SEQ_CST))
            port_raise(d, p, port);
    }
    return 0;
}

void fifo_destroy(struct domain *d)
{
    struct fifo *f = d->events->fifo;
    struct vcpu *v;

    lock_assert(&d->events->lock);
    if (!f)
        return;
    __atomic_store_n(&d->events->fifo, NULL, __ATOMIC_RELEASE);
    for_each_vcpu (d, v) {
        struct fifo_vcpu *fv = v->events->fifo;

        if (!fv)
            continue;
        __atomic_store_n(&v->events->fifo, NULL, __ATOMIC_RELEASE);
        frame_put_writable(fv->frame);
        heap_free(fv);
    }
    for (uint32_t i = 0; i < f->pages; i++)
        frame_put_writable(virt_to_mfn(f->page[i]));
    heap_free(f);
}

static void audit_count(void)
{
    struct domain *d;
    struct vcpu *v;

    for_each_domain (d) {
        struct fifo *f = d->events ? d->events->fifo : NULL;

        for (uint32_t i = 0; f && i < f->pages; i++)
            frame_audit_use(virt_to_mfn(f->page[i]), FRAME_WRITABLE);
        for_each_vcpu (d, v)
            if (v->events && v->events->fifo)
                frame_audit_use(v->events->fifo->frame, FRAME_WRITABLE);
    }
}

void fifo_audit_init(void)
{
    static struct frame_audit_source source sealed = {.name = "event channels",
                                                      .count = audit_count};
    static bool known;

    if (!__atomic_exchange_n(&known, true, __ATOMIC_RELAXED))
        frame_audit_register(&source);
}

void fifo_vcpu_dump(const struct vcpu *v)
{
    const struct fifo_vcpu *fv = fifo_vcpu_of(v);

    if (!fv)
        return;
    log_key("  vCPU %u: FIFO control block in frame %lx, ready %x", v->id, fv->frame.n,
            read_once(fv->control->ready));
    for (unsigned i = 0; i < EVTCHN_FIFO_MAX_QUEUES; i++)
        if (fv->tail[i])
            log_key("    priority %u: head %u, tail %u", i, read_once(fv->control->head[i]),
                    fv->tail[i]);
}
