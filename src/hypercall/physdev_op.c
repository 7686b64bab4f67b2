/* SPDX-License-Identifier: MIT */
/* physdev_op: interrupts and PCI devices as the kernel that drives them sees them, and the I/O
 * privilege of the calling vCPU. The few that any guest may call are marked. Public physdev.h;
 * ABI.md 2.6. */
#include "hypercall/physdev.h"

#include "base/refuse.h"
#include "domain/guest_copy.h"
#include "hypercall/ops.h"
#include "hypercall/pirq.h"
#include "lib/errno.h"
#include "platform/ioapic.h"
#include "pv/pv.h"

#define IOPORTS 65536u

/* ---- interrupts ---- */

static long op_eoi(struct domain *d, uint64_t arg)
{
    struct physdev_eoi a;

    if (guest_read(&a, arg, sizeof(a)))
        return -EFAULT;
    return pirq_eoi(d, a.irq);
}

static long op_irq_status_query(struct domain *d, uint64_t arg)
{
    struct physdev_irq_status_query a;
    int rc;

    if (guest_read(&a, arg, sizeof(a)))
        return -EFAULT;
    rc = pirq_status(d, a.irq, &a.flags);
    return rc ? rc : guest_write(arg, &a, sizeof(a));
}

/* The page that says which PIRQs need an end is not offered, in either version: the status of a
 * PIRQ does not change while it is bound, so asking once tells as much. */
static long op_pirq_eoi_gmfn(struct domain *d, uint64_t arg)
{
    return refuse(-ENOSYS, "a page of PIRQs that need an end is not offered");
}

static long op_setup_gsi(struct domain *d, uint64_t arg)
{
    struct physdev_setup_gsi a;
    int rc;

    if (guest_read(&a, arg, sizeof(a)))
        return -EFAULT;
    if (a.gsi < 0)
        return refuse(-EINVAL, "set-up of GSI %d", a.gsi);
    rc = irq_gsi_setup((unsigned)a.gsi, a.triggering != 0, a.polarity != 0);
    return rc ? refuse(rc, "set-up of GSI %d as trigger %u, polarity %u", a.gsi, a.triggering,
                       a.polarity)
              : 0;
}

/* Vectors are Argon's own matter: the guest gets one that means nothing. */
static long op_alloc_irq_vector(struct domain *d, uint64_t arg)
{
    struct physdev_irq a;

    if (guest_read(&a, arg, sizeof(a)))
        return -EFAULT;
    if (!irq_of_gsi(a.irq))
        return refuse(-EINVAL, "a vector for GSI %u, which is not there", a.irq);
    a.vector = a.irq;
    return guest_write(arg, &a, sizeof(a));
}

static long op_free_irq_vector(struct domain *d, uint64_t arg)
{
    struct physdev_irq a;

    if (guest_read(&a, arg, sizeof(a)))
        return -EFAULT;
    return irq_of_gsi(a.irq) ? 0 : refuse(-EINVAL, "no GSI %u", a.irq);
}

static long op_apic_read(struct domain *d, uint64_t arg)
{
    struct physdev_apic a;

    if (guest_read(&a, arg, sizeof(a)))
        return -EFAULT;
    if (ioapic_read_register(a.apic_physbase, a.reg, &a.value))
        return refuse(-EINVAL, "no register %#x of an IO-APIC at %#lx", a.reg, a.apic_physbase);
    return guest_write(arg, &a, sizeof(a));
}

/* The routes are Argon's: what the guest writes has no effect. */
static long op_apic_write(struct domain *d, uint64_t arg)
{
    struct physdev_apic a;
    uint32_t old;

    if (guest_read(&a, arg, sizeof(a)))
        return -EFAULT;
    if (ioapic_read_register(a.apic_physbase, a.reg, &old))
        return refuse(-EINVAL, "no register %#x of an IO-APIC at %#lx", a.reg, a.apic_physbase);
    return 0;
}

/* ---- I/O privilege of the vCPU ---- */

static long op_set_iopl(struct domain *d, uint64_t arg)
{
    struct physdev_set_iopl a;

    if (guest_read(&a, arg, sizeof(a)))
        return -EFAULT;
    if (a.iopl > 3)
        return refuse(-EINVAL, "I/O privilege level %u", a.iopl);
    current()->pv->iopl = (uint8_t)a.iopl;
    return 0;
}

static long op_set_iobitmap(struct domain *d, uint64_t arg)
{
    struct physdev_set_iobitmap a;
    struct pv_vcpu *pv = current()->pv;

    if (guest_read(&a, arg, sizeof(a)))
        return -EFAULT;
    if (a.nr_ports > IOPORTS || !guest_range_ok(handle_va(a.bitmap), (a.nr_ports + 7) / 8))
        return refuse(-EINVAL, "a bitmap of %u ports at %#lx", a.nr_ports, handle_va(a.bitmap));
    pv->iobmp = handle_va(a.bitmap);
    pv->iobmp_ports = a.nr_ports;
    return 0;
}

static long op_dbgp(struct domain *d, uint64_t arg)
{
    return -ENOSYS; /* no USB debug port is used */
}

/* ---- dispatch ---- */

struct physdev_call {
    physdev_fn *fn;
    enum {
        ANYBODY,
        PRIVILEGED,
        HARDWARE
    } who;
};

static const struct physdev_call calls[] = {
    [PHYSDEVOP_irq_status_query] = {op_irq_status_query, ANYBODY},
    [PHYSDEVOP_set_iopl] = {op_set_iopl, ANYBODY},
    [PHYSDEVOP_set_iobitmap] = {op_set_iobitmap, ANYBODY},
    [PHYSDEVOP_apic_read] = {op_apic_read, HARDWARE},
    [PHYSDEVOP_apic_write] = {op_apic_write, HARDWARE},
    [PHYSDEVOP_alloc_irq_vector] = {op_alloc_irq_vector, HARDWARE},
    [PHYSDEVOP_free_irq_vector] = {op_free_irq_vector, HARDWARE},
    [PHYSDEVOP_eoi] = {op_eoi, ANYBODY},
    [PHYSDEVOP_map_pirq] = {physdev_map_pirq, PRIVILEGED},
    [PHYSDEVOP_unmap_pirq] = {physdev_unmap_pirq, PRIVILEGED},
    [PHYSDEVOP_manage_pci_add] = {physdev_manage_pci_add, HARDWARE},
    [PHYSDEVOP_manage_pci_remove] = {physdev_manage_pci_remove, HARDWARE},
    [PHYSDEVOP_pirq_eoi_gmfn_v1] = {op_pirq_eoi_gmfn, ANYBODY},
    [PHYSDEVOP_restore_msi] = {physdev_restore_msi, HARDWARE},
    [PHYSDEVOP_manage_pci_add_ext] = {physdev_manage_pci_add_ext, HARDWARE},
    [PHYSDEVOP_setup_gsi] = {op_setup_gsi, HARDWARE},
    [PHYSDEVOP_get_free_pirq] = {physdev_get_free_pirq, ANYBODY},
    [PHYSDEVOP_pci_mmcfg_reserved] = {physdev_pci_mmcfg_reserved, HARDWARE},
    [PHYSDEVOP_pci_device_add] = {physdev_pci_device_add, HARDWARE},
    [PHYSDEVOP_pci_device_remove] = {physdev_pci_device_remove, HARDWARE},
    [PHYSDEVOP_restore_msi_ext] = {physdev_restore_msi_ext, HARDWARE},
    [PHYSDEVOP_pirq_eoi_gmfn_v2] = {op_pirq_eoi_gmfn, ANYBODY},
    [PHYSDEVOP_dbgp_op] = {op_dbgp, HARDWARE},
    [PHYSDEVOP_prepare_msix] = {physdev_prepare_msix, HARDWARE},
    [PHYSDEVOP_release_msix] = {physdev_release_msix, HARDWARE},
};

long physdev_op(uint32_t cmd, uint64_t arg)
{
    const struct physdev_call *call = &calls[index_nospec(cmd, ARRAY_SIZE(calls))];
    struct domain *d = current()->domain;

    if (cmd >= ARRAY_SIZE(calls) || !call->fn)
        return refuse(-ENOSYS, "physdev operation %u", cmd);
    if ((call->who == HARDWARE && !d->hardware) || (call->who == PRIVILEGED && !d->privileged))
        return refuse(-EPERM, "physdev operation %u of domain %u", cmd, d->id);
    return call->fn(d, arg);
}
