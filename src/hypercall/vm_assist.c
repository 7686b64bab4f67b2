/* SPDX-License-Identifier: MIT */
/* vm_assist: peculiarities that a domain switches on for itself. Public xen.h, VMASST_*. */
#include "hypercall/ops.h"
#include "lib/errno.h"

#define ASSISTS_PV                                                                 \
    (BIT(VMASST_TYPE_4gb_segments) | BIT(VMASST_TYPE_4gb_segments_notify) |        \
     BIT(VMASST_TYPE_writable_pagetables) | BIT(VMASST_TYPE_pae_extended_cr3) |    \
     BIT(VMASST_TYPE_architectural_iopl) | BIT(VMASST_TYPE_runstate_update_flag) | \
     BIT(VMASST_TYPE_m2p_strict))
#define ASSISTS_HVM BIT(VMASST_TYPE_runstate_update_flag)

long vm_assist(uint32_t cmd, uint32_t type)
{
    struct domain *d = current()->domain;
    uint64_t valid = d->hvm ? ASSISTS_HVM : ASSISTS_PV;

    if (type >= 64 || !(valid & BIT(type)))
        return refuse(-EINVAL, "vm_assist type %u", type);
    switch (cmd) {
    case VMASST_CMD_enable:
        __atomic_or_fetch(&d->vm_assist, BIT(type), __ATOMIC_RELAXED);
        return 0;
    case VMASST_CMD_disable:
        __atomic_and_fetch(&d->vm_assist, ~BIT(type), __ATOMIC_RELAXED);
        return 0;
    default:
        return -ENOSYS;
    }
}
