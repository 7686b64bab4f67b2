/* SPDX-License-Identifier: MIT */
/* The physical interrupts of domains: a number of the domain's own (PIRQ) for a GSI or an MSI. A
 * PIRQ is mapped (it names an interrupt) by physdev_op, then bound to an event channel by event/.
 * GSIs keep their number where it is free; MSIs get numbers above. */
#pragma once

#include "domain/domain.h"
#include "event/event.h"
#include "platform/irq.h"
#include "platform/pci.h"

#define PIRQ_MAX    4096u
#define PIRQ_ANY    (-1)
#define PIRQ_SHARED 8u /* domains that may share one level interrupt */

/* d->pirqs: made and freed with the domain. Released after event_part: no PIRQ is bound then. */
extern const struct domain_part pirq_part;
extern const struct event_pirq_ops pirq_event_ops;

/* Maps GSI `gsi` as *pirq (PIRQ_ANY: chosen, and told). Mapped so before: 0. -EINVAL: no such GSI,
 * or PIRQ is another interrupt; -EEXIST: the GSI is another PIRQ; -ENOSPC, -ENOMEM. */
int must_check pirq_map_gsi(struct domain *d, unsigned gsi, int *pirq);
/* Maps the MSI `irq` of dev as *pirq; the PIRQ owns it then. -EINVAL, -ENOSPC, -ENOMEM: it does
 * not.
 */
int must_check pirq_map_msi(struct domain *d, struct irq *irq, struct pci_device *dev, int *pirq);
/* Unmaps; a binding ends silently, an MSI is taken down. -EINVAL: not mapped. */
int must_check pirq_unmap(struct domain *d, int pirq);
/* All PIRQs of all domains that are MSIs of dev. */
void pirq_unmap_device(const struct pci_device *dev);
/* Keeps a free number for an MSI: it, or -ENOSPC, -ENOMEM. */
int must_check pirq_reserve(struct domain *d);

/* The guest has served it. -EINVAL: no such number. */
int must_check pirq_eoi(struct domain *d, uint32_t pirq);
/* XENIRQSTAT_*; -EINVAL: no such number. */
int must_check pirq_status(struct domain *d, uint32_t pirq, uint32_t *flags);

void pirq_dump(struct domain *d); /* debug key */
