/* SPDX-License-Identifier: MIT */
/* Pages of the hypervisor's that tools map: acquire_resource, and where the machine-to-physical
 * table is. Public memory.h; ABI.md 2.4. */
#include <xen/memory.h>
#include "grant/grant.h"
#include "hypercall/memory.h"
#include "memory/map.h"

#define PREEMPT_FRAMES 32u

#define M2P_ENTRIES_PER_2M ((2ul << 20) / sizeof(uint64_t))

long memory_machphys_mapping(uint32_t op, uint64_t start, uint64_t arg)
{
    struct xen_machphys_mapping a = {
        .v_start = HW_VA_M2P_RO,
        .v_end = __MACH2PHYS_VIRT_END,
        .max_mfn = max_mfn - 1,
    };

    if (current()->domain->hvm)
        return refuse(-ENOSYS, "the M2P table is not in this domain's address space");
    return guest_write(arg, &a, sizeof(a));
}

/* The table's memory comes in aligned blocks of 2 MiB, each mapped by one entry; false: there are
 * no more. */
static bool m2p_block(uint64_t i, mfn_t *out)
{
    unsigned level;
    uint64_t pte =
        i * M2P_ENTRIES_PER_2M < max_mfn ? map_lookup(HW_VA_M2P + (i << PT_SHIFT(2)), &level) : 0;

    if (!pte || level != 2)
        return false;
    *out = pte_mfn(pte);
    return true;
}

/* Tools read it as frames of DOMID_XEN. */
void memory_machphys_share(void)
{
    mfn_t m;

    for (uint64_t i = 0; m2p_block(i, &m); i++)
        for (unsigned n = 0; n < PT_ENTRIES; n++)
            frame_share(&frame_owner_xen, mfn_to_virt(mfn(m.n + n)), false);
}

long memory_machphys_mfn_list(uint32_t op, uint64_t start, uint64_t arg)
{
    uint64_t blocks = DIV_ROUND_UP(max_mfn, M2P_ENTRIES_PER_2M);
    struct xen_machphys_mfn_list a;

    if (guest_read(&a, arg, sizeof(a)))
        return -EFAULT;
    a.nr_extents = (unsigned)min((uint64_t)a.max_extents, blocks);
    for (uint64_t i = 0; i < a.nr_extents; i++) {
        mfn_t m = mfn(0);

        if (!m2p_block(i, &m))
            m = mfn(0);
        if (guest_write_at(handle_va(a.extent_start), i, &m.n))
            return -EFAULT;
    }
    return guest_write(arg, &a, sizeof(a));
}

/* ---- acquire_resource ---- */

/* How many frames the resource can have; 0: there is no such. */
static uint32_t resource_size(struct domain *d, const struct xen_mem_acquire_resource *a)
{
    if (a->type != XENMEM_resource_grant_table)
        return 0;
    if (a->id == XENMEM_resource_grant_table_id_shared)
        return grant_frames_max(d, false);
    if (a->id == XENMEM_resource_grant_table_id_status)
        return grant_frames_max(d, true);
    return 0;
}

static long acquire(struct domain *d, uint32_t op, uint64_t start, uint64_t arg,
                    const struct xen_mem_acquire_resource *a)
{
    bool status = a->id == XENMEM_resource_grant_table_id_status;

    for (uint64_t i = start; i < a->nr_frames; i++) {
        mfn_t m;
        int rc;

        if (i != start && i % PREEMPT_FRAMES == 0 && hypercall_preempt())
            return memory_continue(op, i, arg);
        rc = grant_frame(d, status, (uint32_t)(a->frame + i), &m);
        if (rc)
            return rc;
        if (guest_write_at(handle_va(a->frame_list), i, &m.n))
            return -EFAULT;
    }
    return 0;
}

long memory_acquire_resource(uint32_t op, uint64_t start, uint64_t arg)
{
    struct xen_mem_acquire_resource a;
    struct domain *d;
    uint32_t size;
    long rc;

    if (guest_read(&a, arg, sizeof(a)))
        return -EFAULT;
    if (a.pad)
        return refuse(-EINVAL, "resource: padding is %x", a.pad);
    if (!current()->domain->privileged)
        return refuse(-EPERM, "resource of domain %u", a.domid);
    if (current()->domain->p2m) /* its list would name places for them */
        return refuse(-EOPNOTSUPP, "resource for a translated domain");
    if (a.domid == DOMID_SELF)
        return refuse(-ESRCH, "resource of the caller itself");
    if (a.type > XENMEM_resource_vmtrace_buf) /* the one error that libxc has another way for */
        return refuse(-EOPNOTSUPP, "resource of type %u", a.type);
    rc = memory_domain(a.domid, &d);
    if (rc)
        return rc;
    size = resource_size(d, &a);
    if (d == current()->domain) {
        rc = refuse(-EPERM, "resource of the caller itself");
    } else if (!size) {
        rc = refuse(-EINVAL, "resource of type %u, id %u", a.type, a.id);
    } else if (!handle_va(a.frame_list)) {
        if (a.nr_frames) {
            rc = refuse(-EINVAL, "resource: %u frames and no list", a.nr_frames);
        } else {
            a.nr_frames = size;
            rc = guest_write(arg, &a, sizeof(a));
        }
    } else if (a.frame > size || a.nr_frames > size - a.frame) {
        rc = refuse(-EINVAL, "resource: frames %lu and %u more of %u", a.frame, a.nr_frames, size);
    } else {
        rc = acquire(d, op, start, arg, &a);
    }
    domain_put(d);
    return rc;
}
