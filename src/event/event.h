/* SPDX-License-Identifier: MIT */
/* Event channels: 2-level and FIFO, virtual and physical interrupts. Public event_channel.h. */
#pragma once

#include "domain/domain.h"

/* Makes and frees d->events; -ENOMEM. */
int must_check event_init(struct domain *d, uint32_t max_port);
int must_check event_vcpu_init(struct vcpu *v);
/* Closes every port; -ERESTART: call again. */
int must_check event_destroy(struct domain *d);
void event_free(struct domain *d);
void event_vcpu_free(struct vcpu *v);

/* Raises a VIRQ: per-vCPU ones at `v`; global ones of domain 0. No effect if unbound. */
void event_send_vcpu_virq(struct vcpu *v, unsigned virq);
void event_send_global_virq(unsigned virq);
/* Raises physical interrupt `pirq` of d. */
void event_send_pirq(struct domain *d, unsigned pirq);
/* A port between d and the hypervisor: `fn` runs when d sends to it. */
int must_check event_alloc_hypervisor_port(struct domain *d, unsigned vcpu, domid_t remote,
                                           void (*fn)(struct vcpu *v, uint32_t port),
                                           uint32_t *port);
void event_notify_hypervisor_port(struct domain *d, uint32_t port);
/* Is the port pending (and not masked for `unmasked`)? For SCHEDOP_poll. -EINVAL: no such port. */
int event_port_pending(struct domain *d, uint32_t port);

/* v has a new vcpu_info: everything may be pending. */
void event_vcpu_info_moved(struct vcpu *v);

/* The hypercall; op is EVTCHNOP_*, arg the guest address of its structure. */
long event_channel_op(uint32_t cmd, uint64_t arg);

/* Physical interrupts, by the layer that knows devices. [I] set by start/. */
struct event_pirq_ops {
    /* d binds pirq: route the interrupt to it. -EINVAL, -EPERM, -EBUSY. */
    int (*bind)(struct domain *d, unsigned pirq, bool shareable);
    void (*unbind)(struct domain *d, unsigned pirq);
    /* The guest unmasked the port of a pirq or said EOI. */
    void (*eoi)(struct domain *d, unsigned pirq);
};
extern const struct event_pirq_ops *event_pirq_ops;

void event_dump(struct domain *d); /* debug key */
