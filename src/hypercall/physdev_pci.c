/* SPDX-License-Identifier: MIT */
/* What domain 0 tells of PCI: which devices there are, where configuration space is mapped, that a
 * device lost its registers. Four generations of the same call. Public physdev.h; ABI.md 2.6. */
#include "hypercall/physdev.h"

#include "base/refuse.h"
#include "domain/guest_copy.h"
#include "hypercall/pirq.h"
#include "lib/errno.h"
#include "platform/msi.h"

static long add(struct pci_address a, bool extfn, bool virtfn, struct pci_address physfn)
{
    int rc;

    physdev_lock();
    rc = pci_device_add(a, extfn, virtfn, physfn);
    physdev_unlock();
    return rc ? refuse(rc, "new device %04x:%02x devfn %#x", a.segment, a.bus, a.devfn) : 0;
}

static int must_check unknown(struct pci_address a)
{
    return refuse(-ENODEV, "%04x:%02x devfn %#x: not a known device", a.segment, a.bus, a.devfn);
}

/* First its PIRQs go, whoever has them, then the device, unless a new one was mapped meanwhile. */
static long remove_device(struct pci_address a)
{
    struct pci_device *dev;
    int rc;

    physdev_lock();
    dev = pci_device_find(a);
    physdev_unlock();
    if (!dev)
        return unknown(a);
    pirq_unmap_device(dev);
    physdev_lock();
    dev = pci_device_find(a);
    if (!dev)
        rc = unknown(a);
    else if (!list_empty(&dev->entries))
        rc = refuse(-EBUSY, "%04x:%02x devfn %#x: an MSI was mapped", a.segment, a.bus, a.devfn);
    else
        rc = pci_device_remove(a);
    physdev_unlock();
    return rc;
}

static long restore(struct pci_address a)
{
    struct pci_device *dev;
    int rc = 0;

    physdev_lock();
    dev = pci_device_find(a);
    if (dev)
        msi_restore(dev);
    else
        rc = unknown(a);
    physdev_unlock();
    return rc;
}

/* ---- bus and devfn of segment 0 ---- */

static int must_check read_old(uint64_t arg, struct pci_address *a)
{
    struct physdev_manage_pci m;

    if (guest_read(&m, arg, sizeof(m)))
        return -EFAULT;
    *a = (struct pci_address){0, m.bus, m.devfn};
    return 0;
}

long physdev_manage_pci_add(struct domain *d, uint64_t arg)
{
    struct pci_address a;
    int rc = read_old(arg, &a);

    return rc ? rc : add(a, false, false, a);
}

long physdev_manage_pci_remove(struct domain *d, uint64_t arg)
{
    struct pci_address a;
    int rc = read_old(arg, &a);

    return rc ? rc : remove_device(a);
}

long physdev_restore_msi(struct domain *d, uint64_t arg)
{
    struct pci_address a;
    int rc = read_old(arg, &a);

    return rc ? rc : restore(a);
}

long physdev_manage_pci_add_ext(struct domain *d, uint64_t arg)
{
    struct physdev_manage_pci_ext m;

    if (guest_read(&m, arg, sizeof(m)))
        return -EFAULT;
    return add((struct pci_address){0, m.bus, m.devfn}, m.is_extfn, m.is_virtfn,
               (struct pci_address){0, m.physfn.bus, m.physfn.devfn});
}

/* ---- with a segment ---- */

static int must_check read_device(uint64_t arg, struct pci_address *a)
{
    struct physdev_pci_device p;

    if (guest_read(&p, arg, sizeof(p)))
        return -EFAULT;
    *a = (struct pci_address){p.seg, p.bus, p.devfn};
    return 0;
}

/* The proximity domain in optarr is not read: memory is one node. */
long physdev_pci_device_add(struct domain *d, uint64_t arg)
{
    struct physdev_pci_device_add p;

    if (guest_read(&p, arg, offsetof(struct physdev_pci_device_add, optarr)))
        return -EFAULT;
    return add((struct pci_address){p.seg, p.bus, p.devfn}, p.flags & XEN_PCI_DEV_EXTFN,
               p.flags & XEN_PCI_DEV_VIRTFN,
               (struct pci_address){p.seg, p.physfn.bus, p.physfn.devfn});
}

long physdev_pci_device_remove(struct domain *d, uint64_t arg)
{
    struct pci_address a;
    int rc = read_device(arg, &a);

    return rc ? rc : remove_device(a);
}

long physdev_restore_msi_ext(struct domain *d, uint64_t arg)
{
    struct pci_address a;
    int rc = read_device(arg, &a);

    return rc ? rc : restore(a);
}

/* The device's memory will not move (prepare), or may again (release). Argon reads the BAR when a
 * vector is set up, so there is nothing to remember; but the device must be one with MSI-X. */
static long announce_msix(uint64_t arg)
{
    struct pci_device *dev;
    struct pci_address a;
    int rc = read_device(arg, &a);

    if (rc)
        return rc;
    physdev_lock();
    dev = pci_device_find(a);
    if (!dev || !dev->msix_cap)
        rc =
            refuse(-ENODEV, "%04x:%02x devfn %#x: no device with MSI-X", a.segment, a.bus, a.devfn);
    physdev_unlock();
    return rc;
}

long physdev_prepare_msix(struct domain *d, uint64_t arg)
{
    return announce_msix(arg);
}

long physdev_release_msix(struct domain *d, uint64_t arg)
{
    return announce_msix(arg);
}

/* A region that the firmware did not reserve is not used, and what is used stays so. */
long physdev_pci_mmcfg_reserved(struct domain *d, uint64_t arg)
{
    struct physdev_pci_mmcfg_reserved m;
    int rc;

    if (guest_read(&m, arg, sizeof(m)))
        return -EFAULT;
    if (m.start_bus > m.end_bus || m.flags & ~XEN_PCI_MMCFG_RESERVED)
        return refuse(-EINVAL, "configuration space of buses %u to %u, flags %#x", m.start_bus,
                      m.end_bus, m.flags);
    if (!(m.flags & XEN_PCI_MMCFG_RESERVED))
        return 0;
    rc = pci_mmcfg_add(m.address, m.segment, m.start_bus, m.end_bus);
    return rc ? refuse(rc, "configuration space at %#lx", m.address) : 0;
}
