/* SPDX-License-Identifier: MIT */
/* PHYSDEVOP_map_pirq and its opposite: an interrupt of the machine gets a number in a domain. For
 * an MSI that means that the device's vector is set up: domain 0 never composes a message. Public
 * physdev.h; ABI.md 2.6 and 3.4. */
#include "hypercall/physdev.h"

#include "base/refuse.h"
#include "domain/guest_copy.h"
#include "hypercall/pirq.h"
#include "lib/errno.h"

static int must_check target(domid_t id, struct domain **d)
{
    *d = domain_get(id);
    return *d ? 0 : refuse(-ESRCH, "there is no domain %u", id);
}

static long map_gsi(struct domain *caller, struct domain *d, struct physdev_map_pirq *a)
{
    if (a->index < 0 || !irq_of_gsi((unsigned)a->index))
        return refuse(-EINVAL, "map of GSI %d, which is not there", a->index);
    if (!range_set_contains(&caller->irqs, (unsigned)a->index, (unsigned)a->index))
        return refuse(-EPERM, "map of GSI %d: domain %u may not use it", a->index, caller->id);
    return pirq_map_gsi(d, (unsigned)a->index, &a->pirq);
}

static long map_msi_locked(struct domain *d, struct physdev_map_pirq *a, struct pci_address addr,
                           struct irq **irq)
{
    struct pci_device *dev = pci_device_find(addr);
    int rc;

    if (!dev)
        return refuse(-ENODEV, "MSI of %04x:%02x devfn %#x: not a known device", addr.segment,
                      addr.bus, addr.devfn);
    rc = physdev_msi_setup_locked(dev, a->entry_nr, a->table_base, irq);
    if (rc)
        return rc;
    rc = pirq_map_msi(d, *irq, dev, &a->pirq);
    if (rc)
        physdev_msi_teardown_locked(dev, *irq);
    return rc;
}

static long map_msi(struct domain *d, struct physdev_map_pirq *a, uint16_t segment)
{
    struct pci_address addr = {segment, (uint8_t)a->bus, (uint8_t)a->devfn};
    struct irq *irq;
    long rc;

    physdev_lock();
    rc = map_msi_locked(d, a, addr, &irq);
    physdev_unlock();
    return rc;
}

/* Several vectors of plain MSI need interrupt remapping: the guest is told that it can have one. */
static long map_multi_msi(struct domain *d, struct physdev_map_pirq *a, uint16_t segment)
{
    int count = a->entry_nr;

    if (a->table_base || count < 1)
        return refuse(-EINVAL, "a block of %d MSIs", count);
    a->entry_nr = count == 1 ? 0 : 1;
    if (count > 1)
        return refuse(-EOPNOTSUPP, "a block of %d MSIs: one at a time", count);
    return map_msi(d, a, segment);
}

static long map(struct domain *caller, struct domain *d, struct physdev_map_pirq *a)
{
    uint16_t segment = (uint16_t)((uint32_t)a->bus >> 16);

    switch (a->type) {
    case MAP_PIRQ_TYPE_GSI:
        return map_gsi(caller, d, a);
    case MAP_PIRQ_TYPE_MSI:
        return map_msi(d, a, 0);
    case MAP_PIRQ_TYPE_MSI_SEG:
        return map_msi(d, a, segment);
    case MAP_PIRQ_TYPE_MULTI_MSI:
        return map_multi_msi(d, a, segment);
    default:
        return refuse(-EINVAL, "map of an interrupt of type %d", a->type);
    }
}

long physdev_map_pirq(struct domain *caller, uint64_t arg)
{
    struct physdev_map_pirq a;
    struct domain *d;
    long rc;

    if (guest_read(&a, arg, sizeof(a)))
        return -EFAULT;
    rc = target(a.domid, &d);
    if (rc)
        return rc;
    rc = map(caller, d, &a);
    domain_put(d);
    if (rc && a.type != MAP_PIRQ_TYPE_MULTI_MSI)
        return rc;
    return guest_write(arg, &a, sizeof(a)) ? -EFAULT : rc;
}

long physdev_unmap_pirq(struct domain *caller, uint64_t arg)
{
    struct physdev_unmap_pirq a;
    struct domain *d;
    long rc;

    if (guest_read(&a, arg, sizeof(a)))
        return -EFAULT;
    rc = target(a.domid, &d);
    if (rc)
        return rc;
    rc = pirq_unmap(d, a.pirq);
    domain_put(d);
    return rc;
}

long physdev_get_free_pirq(struct domain *d, uint64_t arg)
{
    struct physdev_get_free_pirq a;
    int pirq;

    if (guest_read(&a, arg, sizeof(a)))
        return -EFAULT;
    if (a.type != MAP_PIRQ_TYPE_MSI)
        return refuse(-EINVAL, "a free PIRQ for type %d", a.type);
    if (!d->privileged)
        return refuse(-EPERM, "a free PIRQ for domain %u", d->id);
    pirq = pirq_reserve(d);
    if (pirq < 0)
        return pirq;
    a.pirq = (uint32_t)pirq;
    return guest_write(arg, &a, sizeof(a));
}
