/* SPDX-License-Identifier: MIT */
/* What the files of physdev_op share: one function a sub-operation. */
#pragma once

#include <xen/xen.h>
#include <xen/physdev.h>
#include "domain/domain.h"
#include "platform/irq.h"
#include "platform/pci.h"

typedef long physdev_fn(struct domain *d, uint64_t arg);

/* physdev_map.c */
physdev_fn physdev_map_pirq, physdev_unmap_pirq, physdev_get_free_pirq;
/* physdev_pci.c */
physdev_fn physdev_manage_pci_add, physdev_manage_pci_remove, physdev_manage_pci_add_ext,
    physdev_pci_device_add, physdev_pci_device_remove, physdev_pci_mmcfg_reserved,
    physdev_restore_msi, physdev_restore_msi_ext, physdev_prepare_msix, physdev_release_msix;

/* physdev_msi.c */
/* Around everything that finds a device and works on it. No lock of higher rank is held. */
void physdev_lock(void);
void physdev_unlock(void);
/* One vector of the device: of its MSI-X table if `table_base` is not 0, else its MSI. -ENODEV,
 * -EINVAL, -EEXIST, -ENOMEM, -ENOSPC. */
int must_check physdev_msi_setup_locked(struct pci_device *dev, int index, uint64_t table_base,
                                        struct irq **irq);
void physdev_msi_teardown_locked(struct pci_device *dev, struct irq *irq);
/* The same, and takes the lock. */
void physdev_msi_teardown(struct pci_device *dev, struct irq *irq);
