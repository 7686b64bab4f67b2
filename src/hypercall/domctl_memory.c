/* SPDX-License-Identifier: MIT */
/* domctl: how much memory a domain may have, what its frames are, which devices' memory, ports and
 * interrupts it may use. Public domctl.h; ABI.md 2.1. */
#include "hypercall/control.h"

#include "hvm/hvm.h"
#include "lib/errno.h"
#include "pv/pv.h"

#define FRAMES_PER_CALL 1024u
#define IOPORTS         0x10000u

long domctl_max_mem(struct domain *d, struct xen_domctl *op)
{
    uint64_t pages = op->u.max_mem.max_memkb >> (PAGE_SHIFT - 10);

    lock(&d->memory.lock);
    d->memory.max_pages = pages;
    unlock(&d->memory.lock);
    return 0;
}

/* ---- frames ---- */

static uint64_t frame_info(struct domain *d, uint64_t n)
{
    static const uint32_t table[] = {
        [FRAME_L1] = XEN_DOMCTL_PFINFO_L1TAB,
        [FRAME_L2] = XEN_DOMCTL_PFINFO_L2TAB,
        [FRAME_L3] = XEN_DOMCTL_PFINFO_L3TAB,
        [FRAME_L4] = XEN_DOMCTL_PFINFO_L4TAB,
    };
    enum frame_type type;
    uint64_t info = XEN_DOMCTL_PFINFO_NOTAB;
    mfn_t m;

    if (domain_get_frame(d, n, false, &m))
        return XEN_DOMCTL_PFINFO_XTAB;
    type = frame_type_of(m);
    if (type >= FRAME_L1 && type <= FRAME_L4)
        info = table[type] | (frame_is_pinned(m) ? XEN_DOMCTL_PFINFO_LPINTAB : 0);
    frame_put(m);
    return info;
}

long domctl_getpageframeinfo3(struct domain *d, struct xen_domctl *op)
{
    const struct xen_domctl_getpageframeinfo3 *a = &op->u.getpageframeinfo3;
    uint64_t va = handle_va(a->array), n;

    if (a->num > FRAMES_PER_CALL)
        return refuse(-E2BIG, "types of %lu frames", a->num);
    for (uint64_t i = 0; i < a->num; i++) {
        if (guest_read_at(&n, va, i))
            return -EFAULT;
        n = frame_info(d, n);
        if (guest_write_at(va, i, &n))
            return -EFAULT;
    }
    return 0;
}

long domctl_hypercall_init(struct domain *d, struct xen_domctl *op)
{
    uint64_t n = op->u.hypercall_init.gmfn;
    mfn_t m;
    int rc = domain_get_writable(d, n, &m);

    if (rc)
        return refuse(rc == -EBUSY ? -EPERM : -EINVAL, "hypercall page in frame %#lx", n);
    if (d->hvm)
        hvm_hypercall_page_fill(mfn_to_virt(m));
    else
        pv_hypercall_page_fill(mfn_to_virt(m));
    frame_put_writable(m);
    return 0;
}

/* Paravirtual guests are not live-migrated: nothing logs what they write. */
long domctl_shadow_op(struct domain *d, struct xen_domctl *op)
{
    if (op->u.shadow_op.op == XEN_DOMCTL_SHADOW_OP_OFF)
        return 0;
    return refuse(-EOPNOTSUPP, "shadow operation %u", op->u.shadow_op.op);
}

/* The pages that a fully virtual guest's nested page tables may take. */
long domctl_get_paging_mempool_size(struct domain *d, struct xen_domctl *op)
{
    if (!d->p2m)
        return refuse(-EOPNOTSUPP, "domain %u has page tables of its own", d->id);
    lock(&d->p2m->lock);
    op->u.paging_mempool.size = d->p2m->max_pages << PAGE_SHIFT;
    unlock(&d->p2m->lock);
    return 0;
}

long domctl_set_paging_mempool_size(struct domain *d, struct xen_domctl *op)
{
    uint64_t bytes = op->u.paging_mempool.size, pages = bytes >> PAGE_SHIFT;
    int rc = 0;

    if (!d->p2m)
        return refuse(-EOPNOTSUPP, "domain %u has page tables of its own", d->id);
    if (!IS_ALIGNED(bytes, PAGE_SIZE) || pages > UINT32_MAX)
        return refuse(-EINVAL, "nested page tables of %lu bytes", bytes);
    lock(&d->p2m->lock);
    if (pages < d->p2m->pages)
        rc = refuse(-EBUSY, "nested page tables: %lu pages, %lu in use", pages, d->p2m->pages);
    else
        d->p2m->max_pages = pages;
    unlock(&d->p2m->lock);
    return rc;
}

/* A paravirtual guest maps device memory itself. */
long domctl_memory_mapping(struct domain *d, struct xen_domctl *op)
{
    const struct xen_domctl_memory_mapping *a = &op->u.memory_mapping;

    if (!a->nr_mfns || a->first_mfn + a->nr_mfns - 1 < a->first_mfn)
        return refuse(-EINVAL, "mapping of %lu frames from %#lx", a->nr_mfns, a->first_mfn);
    if (d->hvm)
        return refuse(-EOPNOTSUPP, "device memory for domain %u", d->id);
    return 0;
}

/* ---- devices ---- */

/* Nobody gives what he has not himself. */
static long permit(struct domain *d, struct range_set *set, const struct range_set *own,
                   uint64_t first, uint64_t last, bool allow)
{
    long rc;

    if (allow && !range_set_contains(own, first, last))
        return refuse(-EPERM, "permission for %#lx-%#lx, which the caller has not", first, last);
    lock(&d->lock);
    rc = allow ? range_set_add(set, first, last) : range_set_remove(set, first, last);
    unlock(&d->lock);
    return rc;
}

long domctl_iomem_permission(struct domain *d, struct xen_domctl *op)
{
    const struct xen_domctl_iomem_permission *a = &op->u.iomem_permission;
    uint64_t last = a->first_mfn + a->nr_mfns - 1;

    if (!a->nr_mfns || last < a->first_mfn)
        return refuse(-EINVAL, "permission for %lu frames from %#lx", a->nr_mfns, a->first_mfn);
    return permit(d, &d->iomem, &current()->domain->iomem, a->first_mfn, last, a->allow_access);
}

long domctl_ioport_permission(struct domain *d, struct xen_domctl *op)
{
    const struct xen_domctl_ioport_permission *a = &op->u.ioport_permission;

    if (a->first_port >= IOPORTS || a->nr_ports > IOPORTS - a->first_port)
        return refuse(-EINVAL, "permission for %u ports from %#x", a->nr_ports, a->first_port);
    if (!a->nr_ports)
        return 0;
    return permit(d, &d->ioports, &current()->domain->ioports, a->first_port,
                  a->first_port + a->nr_ports - 1, a->allow_access);
}

long domctl_irq_permission(struct domain *d, struct xen_domctl *op)
{
    const struct xen_domctl_irq_permission *a = &op->u.irq_permission;

    return permit(d, &d->irqs, &current()->domain->irqs, a->pirq, a->pirq, a->allow_access);
}
