/* SPDX-License-Identifier: MIT */
/* The memory_op hypercall: its table, and the questions that need no file of their own. Public
 * memory.h; ABI.md 2.4. */
#include <xen/memory.h>
#include "frame/p2m.h"
#include "hypercall/memory.h"

int memory_domain(domid_t id, struct domain **out)
{
    struct domain *d = domain_get(id);

    if (!d)
        return refuse(-ESRCH, "memory: no domain %u", id);
    if (d != current()->domain && !current()->domain->privileged) {
        domain_put(d);
        return refuse(-EPERM, "memory of domain %u", id);
    }
    *out = d;
    return 0;
}

unsigned memory_max_order(void)
{
    const struct domain *d = current()->domain;

    return d->privileged ? 18 : d->hardware ? 12 : 9;
}

void memory_name_frames(struct domain *d, mfn_t m, unsigned order, uint64_t gfn)
{
    for (uint64_t i = 0; i < 1ull << order; i++)
        if (frame_m2p_update(mfn(m.n + i), &d->memory, gfn + i))
            continue;
}

long memory_continue(uint32_t op, uint64_t start, uint64_t arg)
{
    return hypercall_continue_with(__HYPERVISOR_memory_op, op | start << MEMORY_OP_BITS, arg);
}

static long maximum_ram_page(uint32_t op, uint64_t start, uint64_t arg)
{
    return (long)(max_mfn - 1);
}

/* current_reservation, maximum_reservation, maximum_gpfn. */
static long domain_size(uint32_t op, uint64_t start, uint64_t arg)
{
    struct xen_memory_domain a;
    struct domain *d;
    uint64_t n = 0;
    long rc;

    if (guest_read(&a, arg, sizeof(a)))
        return -EFAULT;
    rc = memory_domain(a.domid, &d);
    if (rc)
        return rc;
    switch (op) {
    case XENMEM_current_reservation:
        n = read_once(d->memory.pages);
        break;
    case XENMEM_maximum_reservation:
        /* Kernels take what is not a plausible count for "no limit". */
        n = min(read_once(d->memory.max_pages), (uint64_t)UINT32_MAX);
        break;
    case XENMEM_maximum_gpfn:
        /* A paravirtual guest: its own word for the size of its p2m table. */
        n = d->p2m ? read_once(d->p2m->top) : read_once(d->shared_info->arch.max_pfn) - 1;
        break;
    }
    domain_put(d);
    return (long)(n & INT64_MAX);
}

static long sharing_pages(uint32_t op, uint64_t start, uint64_t arg)
{
    return 0; /* no frames are shared behind the guests' backs */
}

/* What is for guests whose frames are named through a p2m. */
static long translated_only(uint32_t op, uint64_t start, uint64_t arg)
{
    return refuse(-EACCES, "memory_op %u: domain is not translated", op);
}

/* Populate on demand: no domain has places that wait for memory, so no target asks for more. */
static long pod_target(uint32_t op, uint64_t start, uint64_t arg)
{
    struct xen_pod_target a;
    struct domain *d;
    long rc;

    if (guest_read(&a, arg, sizeof(a)))
        return -EFAULT;
    if (!current()->domain->privileged)
        return refuse(-EPERM, "populate-on-demand target of domain %u", a.domid);
    rc = memory_domain(a.domid, &d);
    if (rc)
        return rc;
    a.tot_pages = read_once(d->memory.pages);
    a.pod_cache_pages = a.pod_entries = 0;
    rc = d->p2m ? guest_write(arg, &a, sizeof(a))
                : refuse(-EINVAL, "memory_op %u: domain is not translated", op);
    domain_put(d);
    return rc;
}

static long not_supported(uint32_t op, uint64_t start, uint64_t arg)
{
    return refuse(-EOPNOTSUPP, "memory_op %u is not supported", op);
}

/* No region of memory is tied to a device. */
static long reserved_device_memory(uint32_t op, uint64_t start, uint64_t arg)
{
    struct xen_reserved_device_memory_map a;

    if (guest_read(&a, arg, sizeof(a)))
        return -EFAULT;
    if (a.flags & ~XENMEM_RDM_ALL)
        return refuse(-EINVAL, "reserved device memory: flags %x", a.flags);
    a.nr_entries = 0;
    return guest_write(arg, &a, sizeof(a));
}

static memory_fn *const ops[] = {
    [XENMEM_increase_reservation] = memory_increase_reservation,
    [XENMEM_decrease_reservation] = memory_decrease_reservation,
    [XENMEM_maximum_ram_page] = maximum_ram_page,
    [XENMEM_current_reservation] = domain_size,
    [XENMEM_maximum_reservation] = domain_size,
    [XENMEM_machphys_mfn_list] = memory_machphys_mfn_list,
    [XENMEM_populate_physmap] = memory_populate_physmap,
    [XENMEM_add_to_physmap] = memory_add_to_physmap,
    [XENMEM_memory_map] = memory_map_get,
    [XENMEM_machine_memory_map] = memory_map_machine,
    [XENMEM_exchange] = memory_exchange,
    [XENMEM_machphys_mapping] = memory_machphys_mapping,
    [XENMEM_set_memory_map] = memory_map_set,
    [XENMEM_maximum_gpfn] = domain_size,
    [XENMEM_remove_from_physmap] = memory_remove_from_physmap,
    [XENMEM_set_pod_target] = pod_target,
    [XENMEM_get_pod_target] = pod_target,
    [XENMEM_get_sharing_freed_pages] = sharing_pages,
    [XENMEM_get_sharing_shared_pages] = sharing_pages,
    [XENMEM_paging_op] = not_supported,
    [XENMEM_access_op] = not_supported,
    [XENMEM_sharing_op] = not_supported,
    [XENMEM_add_to_physmap_batch] = translated_only,
    [XENMEM_claim_pages] = memory_claim_pages,
    [XENMEM_machphys_compat_mfn_list] = not_supported,
    [XENMEM_get_vnumainfo] = not_supported,
    [XENMEM_reserved_device_memory_map] = reserved_device_memory,
    [XENMEM_acquire_resource] = memory_acquire_resource,
};

/* What has progress in the upper bits of the command. */
static bool continues(uint32_t op)
{
    return op == XENMEM_increase_reservation || op == XENMEM_decrease_reservation ||
           op == XENMEM_populate_physmap || op == XENMEM_acquire_resource;
}

long memory_op(uint64_t cmd, uint64_t arg)
{
    uint32_t op = cmd & MEMORY_OP_MASK;
    uint64_t start = (uint32_t)cmd >> MEMORY_OP_BITS;
    memory_fn *fn = op < ARRAY_SIZE(ops) ? ops[index_nospec(op, ARRAY_SIZE(ops))] : NULL;

    if (!fn)
        return refuse(-ENOSYS, "memory_op %u", op);
    if (start && !continues(op))
        return refuse(-EINVAL, "memory_op %u has no progress of %lu", op, start);
    return fn(op, start, arg);
}
