/* SPDX-License-Identifier: MIT */
/* Event channels: 2-level and FIFO, virtual and physical interrupts. Public event_channel.h. */
#pragma once

#include "domain/domain.h"

/* d->events, v->events: made and freed with the domain; every port is closed when it dies. */
extern const struct domain_part event_part;

/* Raises a VIRQ: per-vCPU ones at `v`; global ones of domain 0. No effect if unbound. */
void event_send_vcpu_virq(struct vcpu *v, unsigned virq);
void event_send_global_virq(unsigned virq);
/* Global VIRQ `virq` goes to d from now on, until d dies. -EINVAL: not a global one; -ESRCH: d
 * is dying. */
int must_check event_set_virq_handler(struct domain *d, unsigned virq);
/* Raises physical interrupt `pirq` of d. */
void event_send_pirq(struct domain *d, unsigned pirq);
/* A port of d whose end is the hypervisor's, to be bound by `remote`: `fn` runs with d's vCPU when
 * the remote sends, with the sender's event lock held: it may wake vCPUs, not call this directory.
 * -ENOSPC, -ENOMEM, -ENOENT (no such vCPU). */
int must_check event_alloc_hypervisor_port(struct domain *d, unsigned vcpu, domid_t remote,
                                           void (*fn)(struct vcpu *v, uint32_t port),
                                           uint32_t *port);
/* Sends to the remote end. */
void event_notify_hypervisor_port(struct domain *d, uint32_t port);
void event_close_hypervisor_port(struct domain *d, uint32_t port);

/* Is the port pending? 1, 0; -EINVAL: no such port. */
int event_port_pending(struct domain *d, uint32_t port);
/* SCHEDOP_poll: v, current, waits for v->poll_port, or any port if that is 0, from now on. An event
 * that comes after this call ends it; so the caller looks at the ports after it. */
void event_poll_start(struct vcpu *v);
void event_poll_end(struct vcpu *v); /* v may run again */

/* v has a new vcpu_info: everything may be pending. */
void event_vcpu_info_moved(struct vcpu *v);

/* The hypercall; op is EVTCHNOP_*, arg the guest address of its structure. */
long event_channel_op(uint32_t cmd, uint64_t arg);

/* EVTCHNOP_send and _unmask for d. -EINVAL. */
int must_check event_send(struct domain *d, uint32_t port);
int must_check event_unmask(struct domain *d, uint32_t port);
/* EVTCHNOP_reset: closes all but the hypervisor's ports, back to 2-level. -ERESTART: call again. */
int must_check event_reset(struct domain *d);
/* The port that a physical interrupt is bound to, 0: none. */
int event_pirq_port(struct domain *d, unsigned pirq);

/* Physical interrupts, by the layer that knows devices. [I] set by start/. They are called with
 * d's event lock held and do not call this directory. */
struct event_pirq_ops {
    /* d binds pirq: route the interrupt to it. -EINVAL, -EPERM, -EBUSY. */
    int (*bind)(struct domain *d, unsigned pirq, bool shareable);
    void (*unbind)(struct domain *d, unsigned pirq);
    /* May be NULL. The port's vCPU changed: the interrupt had better come to where it runs. */
    void (*moved)(struct domain *d, unsigned pirq, struct vcpu *v);
};
extern const struct event_pirq_ops *event_pirq_ops;

void event_dump(struct domain *d); /* debug key */
