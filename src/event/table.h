/* SPDX-License-Identifier: MIT */
/* A domain's event-channel ports, opened in this directory only.
 *
 * The lock of a table guards its ports. A connection between two domains is made and broken with
 * both tables locked; so whoever holds either sees both ends of it, and may raise an event at the
 * other end, whose fields it only reads. Hence, once a port is closed, nobody is raising an event
 * on it, and the pages that FIFO events are written to may go. */
#pragma once

#include "event/event.h"
#include "lib/bitmap.h"
#include "lib/errno.h"

#define EVENT_PIRQS 4096u

typedef void event_consumer_fn(struct vcpu *v, uint32_t port);

/* [E]: under the table's lock; a connected port: under that of either end. */
struct port {
    uint8_t state;               /* [E] EVTCHNSTAT_* */
    uint8_t priority;            /* [a] FIFO: 0 highest to 15 */
    bool raised;                 /* [a] FIFO: pending, but its event word does not exist yet */
    bool hypervisor;             /* [E] ours: the guest's calls do not touch it */
    uint16_t vcpu;               /* [a] which vCPU is told */
    domid_t remote_id;           /* [E] unbound: who may connect; interdomain: who did */
    uint32_t peer;               /* [E] interdomain: the other port; the VIRQ; the PIRQ */
    uint32_t queue;              /* [a] FIFO: vCPU << 8 | priority where it was linked last */
    struct domain *remote;       /* [E] interdomain; kept alive by the connection */
    event_consumer_fn *consumer; /* [E] hypervisor: runs when the other end sends */
};
_Static_assert(sizeof(struct port) == 32, "128 ports a page");

#define PORTS_PER_PAGE (PAGE_SIZE / sizeof(struct port))

struct evtchn_table {
    struct lock lock;                   /* RANK_EVENT */
    struct port **page;                 /* [I] pointers [E], NULL beyond `count` */
    unsigned long *used;                /* [E] bitmap of `limit` ports; port 0 is never free */
    uint32_t count;                     /* [E] ports that have a record: those below it */
    uint32_t limit;                     /* [I] no port at or above */
    uint32_t hint;                      /* [E] no port below is free */
    bool dying;                         /* [E] no new ports */
    struct fifo *fifo;                  /* [a] NULL: 2-level */
    BITMAP_DECLARE(polling, MAX_VCPUS); /* [a] vCPUs that may be in SCHEDOP_poll */
    uint32_t *pirq[EVENT_PIRQS / 1024]; /* [E] pages: the port of each PIRQ, 0: none */
};

struct evtchn_vcpu {
    uint32_t virq[NR_VIRQS]; /* [E] the port of each VIRQ, 0: none; global ones at vCPU 0 */
    struct fifo_vcpu *fifo;  /* [a] its control block; NULL: none */
};

/* ---- table.c ---- */

/* The record of `port`, NULL if out of range. */
struct port *port_find(struct evtchn_table *t, uint32_t port);
/* A free port; the caller sets its state before it unlocks. -ENOSPC, -ENOMEM, -ESRCH dying. */
int must_check port_alloc(struct domain *d, uint32_t *out);
/* Back to the free ones, with its pending bit cleared. */
void port_free(struct domain *d, struct port *p, uint32_t port);
/* Ends whatever the port is. Takes the lock of d, and of the domain at the other end. `guest`: not
 * if it is the hypervisor's. -EINVAL: not open. */
int must_check port_close(struct domain *d, uint32_t port, bool guest);
/* Closes all, without those of the hypervisor if `guest`; -ERESTART: call again. */
int must_check port_close_all(struct domain *d, bool guest);

/* Raises an event on a port of d; the lock of either end is held. */
void port_raise(struct domain *d, struct port *p, uint32_t port);
/* Tells v to look at its events. */
void vcpu_upcall(struct vcpu *v);
/* The port became pending: ends SCHEDOP_poll of those that wait for it. */
void port_wake_pollers(struct domain *d, uint32_t port);
bool port_is_pending(struct domain *d, uint32_t port);
bool port_is_masked(struct domain *d, uint32_t port);

/* v, made and with event state; NULL otherwise. */
static inline struct vcpu *event_vcpu(struct domain *d, uint32_t id)
{
    return id < d->max_vcpus ? d->vcpu[index_nospec(id, d->max_vcpus)] : NULL;
}

/* ---- two_level.c ---- */

void two_level_raise(struct domain *d, uint32_t port, struct vcpu *v);
void two_level_unmask(struct domain *d, uint32_t port, struct vcpu *v);
void two_level_clear(struct domain *d, uint32_t port);
bool two_level_pending(struct domain *d, uint32_t port);
bool two_level_masked(struct domain *d, uint32_t port);

/* ---- fifo.c; the table is locked except for fifo_raise ---- */

void fifo_raise(struct domain *d, struct port *p, uint32_t port, struct vcpu *v);
void fifo_unmask(struct domain *d, struct port *p, uint32_t port, struct vcpu *v);
void fifo_clear(struct domain *d, struct port *p, uint32_t port);
bool fifo_pending(struct domain *d, uint32_t port);
bool fifo_masked(struct domain *d, uint32_t port);
/* Still in a queue of the guest: must not be given out again. */
bool fifo_busy(struct domain *d, uint32_t port);
/* EVTCHNOP_init_control, _expand_array. */
int must_check fifo_init_control(struct domain *d, struct evtchn_init_control *a);
int must_check fifo_expand_array(struct domain *d, uint64_t gfn);
/* All ports are closed: gives up the guest's pages, back to 2-level. */
void fifo_destroy(struct domain *d);
void fifo_vcpu_dump(const struct vcpu *v);
/* Tells frame_audit of the guests' pages that are in use here. */
void fifo_audit_init(void);

/* ---- virq.c, pirq.c ---- */

bool virq_is_global(uint32_t virq);
long op_bind_virq(struct domain *d, uint64_t arg);
void virq_unbind(struct domain *d, const struct port *p);
/* d is going: its global VIRQs are domain 0's again. */
void virq_forget_handler(struct domain *d);
long op_bind_pirq(struct domain *d, uint64_t arg);
void pirq_unbind(struct domain *d, const struct port *p);
/* Writes back the result of an operation that made `port`; closes it again if that faults. */
long port_report(struct domain *d, uint32_t port, uint64_t arg, const void *a, size_t n);
