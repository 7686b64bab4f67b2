/* SPDX-License-Identifier: MIT */
/* Setting up and taking down the MSIs of devices for pirq.c and physdev_map.c: the caller gets a
 * `struct irq` and sees nothing of messages and tables. The frames with an MSI-X table are made
 * read-only for guests as long as a vector of the device is in use. Public physdev.h. */
#include "hypercall/physdev.h"

#include "base/refuse.h"
#include "lib/errno.h"
#include "platform/msi.h"

#define MSIX_ENTRY_BYTES 16u

/* One operation on devices and their MSIs at a time: also guards pci_device.entries. */
static struct lock device_lock = LOCK_INIT(RANK_DEVICE, "devices");

locks_unchecked void physdev_lock(void)
{
    lock(&device_lock);
}

locks_unchecked void physdev_unlock(void)
{
    unlock(&device_lock);
}

static mfn_t table_first(const struct pci_device *dev)
{
    return mfn(dev->msix_table >> PAGE_SHIFT);
}

static mfn_t table_last(const struct pci_device *dev)
{
    return mfn((dev->msix_table + dev->msix_count * MSIX_ENTRY_BYTES - 1) >> PAGE_SHIFT);
}

void physdev_msi_teardown_locked(struct pci_device *dev, struct irq *irq)
{
    msi_teardown(irq);
    if (list_empty(&dev->entries) && dev->msix_table)
        domain_iomem_unprotect(table_first(dev), table_last(dev));
}

static int must_check setup_msix_locked(struct pci_device *dev, int index, uint64_t table_base,
                                        struct irq **irq)
{
    int rc;

    if (index < 0)
        return -EINVAL;
    rc = msix_setup(dev, (unsigned)index, table_base, irq);
    if (rc)
        return rc;
    rc = domain_iomem_protect(table_first(dev), table_last(dev));
    if (rc)
        physdev_msi_teardown_locked(dev, *irq);
    return rc;
}

int physdev_msi_setup_locked(struct pci_device *dev, int index, uint64_t table_base,
                             struct irq **irq)
{
    int rc;

    if (table_base)
        rc = setup_msix_locked(dev, index, table_base, irq);
    else
        rc = msi_setup(dev, 1, irq);
    return rc ? refuse(rc, "MSI entry %d of device %04x:%02x devfn %#x", index, dev->addr.segment,
                       dev->addr.bus, dev->addr.devfn)
              : 0;
}

void physdev_msi_teardown(struct pci_device *dev, struct irq *irq)
{
    lock(&device_lock);
    physdev_msi_teardown_locked(dev, irq);
    unlock(&device_lock);
}
