/* SPDX-License-Identifier: MIT */
/* What the files of physdev_op share: one function a sub-operation. */
#pragma once

#include <xen/xen.h>
#include <xen/physdev.h>
#include "domain/domain.h"

typedef long physdev_fn(struct domain *d, uint64_t arg);

/* physdev_map.c */
physdev_fn physdev_map_pirq, physdev_unmap_pirq, physdev_get_free_pirq;
/* physdev_pci.c */
physdev_fn physdev_manage_pci_add, physdev_manage_pci_remove, physdev_manage_pci_add_ext,
    physdev_pci_device_add, physdev_pci_device_remove, physdev_pci_mmcfg_reserved,
    physdev_restore_msi, physdev_restore_msi_ext, physdev_prepare_msix, physdev_release_msix;
