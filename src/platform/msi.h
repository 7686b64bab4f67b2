/* SPDX-License-Identifier: MIT */
/* Message-signalled interrupts. PCI 3.0, 6.8; message format: Intel SDM vol. 3A, 11.11. */
#pragma once

#include "platform/irq.h"
#include "platform/pci.h"

/* Sets up one vector of the device's MSI-X table (`table_base`: machine address of the BAR that the
 * table lies in, as domain 0 knows it; 0: read the BAR), masked until irq_request. -ENODEV: the
 * device has no MSI-X; -EINVAL: no such entry, or the BAR is elsewhere; -EEXIST; -ENOMEM. */
int must_check msix_setup(struct pci_device *dev, unsigned index, paddr_t table_base,
                          struct irq **irq);
/* Sets up `count` vectors of MSI (1 without interrupt remapping). -ENODEV, -EEXIST, -ENOMEM;
 * -EINVAL: count is not 1. */
int must_check msi_setup(struct pci_device *dev, unsigned count, struct irq **irq);
/* Takes the vector down again and frees the descriptor. */
void msi_teardown(struct irq *irq);
/* All of a device. */
void msi_teardown_device(struct pci_device *dev);
/* The device lost its registers (reset, resume): writes all messages again (PHYSDEVOP_restore_msi).
 */
void msi_restore(struct pci_device *dev);

/* What domain 0 may do to MSI registers by configuration writes: a write of `size` bytes at
 * `offset` has *val adjusted so that it cannot change message or masks that we own. False: drop the
 * write. */
bool msi_filter_write(struct pci_device *dev, unsigned offset, unsigned size, uint32_t *val);
