/* SPDX-License-Identifier: MIT */
/* sysctl: what may be changed of the machine while it runs, and cannot be here: CPUs and frames
 * stay, idle is by HLT, no patch is ever loaded. What is asked is answered; what is to be changed
 * is done if it is so already, and refused else. Public sysctl.h. */
#include "hypercall/control.h"

#include "frame/frame.h"

#define QUERY_FRAMES 65536u /* of one call */
#define MAX_CSTATE   1u     /* HLT */
#define OF_STATE     0u     /* pm_op.cpuid: the deepest C-state, or the deepest of its variants */
#define OF_SUBSTATE  1u

long sysctl_cpu_hotplug(struct xen_sysctl *op)
{
    const struct xen_sysctl_cpu_hotplug *a = &op->u.cpu_hotplug;
    bool smt =
        a->op == XEN_SYSCTL_CPU_HOTPLUG_SMT_ENABLE || a->op == XEN_SYSCTL_CPU_HOTPLUG_SMT_DISABLE;

    if (!smt && (a->cpu >= MAX_CPUS || !bitmap_test(cpus_present.bits, a->cpu)))
        return refuse(-EINVAL, "there is no CPU %u", a->cpu);
    if (a->op == XEN_SYSCTL_CPU_HOTPLUG_ONLINE && bitmap_test(cpus_online.bits, a->cpu))
        return refuse(-EEXIST, "CPU %u is online", a->cpu);
    if (a->op == XEN_SYSCTL_CPU_HOTPLUG_OFFLINE && !a->cpu)
        return refuse(-EINVAL, "CPU 0 stays online");
    return refuse(-EOPNOTSUPP, "hot plug of CPU %u, operation %u", a->cpu, a->op);
}

long sysctl_page_offline_op(struct xen_sysctl *op)
{
    const struct xen_sysctl_page_offline_op *a = &op->u.page_offline;
    const uint32_t online = PG_OFFLINE_STATUS_ONLINE;

    if (a->cmd != sysctl_query_page_offline)
        return refuse(-EOPNOTSUPP, "frames %#x to %#x: operation %u", a->start, a->end, a->cmd);
    if (a->end < a->start || a->end - a->start >= QUERY_FRAMES)
        return refuse(-EINVAL, "state of frames %#x to %#x", a->start, a->end);
    for (uint32_t i = 0; i <= a->end - a->start; i++) {
        if (!frame_is_ram(mfn(a->start + (uint64_t)i)))
            return refuse(-EINVAL, "frame %#x is no RAM", a->start + i);
        if (guest_write_at(handle_va(a->status), i, &online))
            return -EFAULT;
    }
    return 0;
}

static long set_max_cstate(const struct xen_sysctl_pm_op *a)
{
    if (a->cpuid == OF_STATE && a->u.set_max_cstate < MAX_CSTATE)
        return refuse(-EINVAL, "idle without HLT");
    return a->cpuid <= OF_SUBSTATE ? 0 : refuse(-EINVAL, "C-state limit %u", a->cpuid);
}

long sysctl_pm_op(struct xen_sysctl *op)
{
    static uint32_t smt_saves; /* [control] each core has one thread, so it is so anyway */
    struct xen_sysctl_pm_op *a = &op->u.pm_op;
    uint32_t before = smt_saves;

    switch (a->cmd) {
    case XEN_SYSCTL_pm_op_get_max_cstate:
        a->u.get_max_cstate = a->cpuid == OF_STATE ? MAX_CSTATE : XEN_SYSCTL_CX_UNLIMITED;
        return a->cpuid <= OF_SUBSTATE ? 0 : refuse(-EINVAL, "C-state limit %u", a->cpuid);
    case XEN_SYSCTL_pm_op_set_max_cstate:
        return set_max_cstate(a);
    case XEN_SYSCTL_pm_op_set_sched_opt_smt:
        smt_saves = !!a->u.set_sched_opt_smt;
        a->u.set_sched_opt_smt = before;
        return 0;
    default:
        return refuse(-ENODEV, "power management %#x: there is no driver", a->cmd);
    }
}

long sysctl_livepatch_op(struct xen_sysctl *op)
{
    struct xen_sysctl_livepatch_op *a = &op->u.livepatch;
    const struct xen_livepatch_name *name =
        a->cmd == XEN_SYSCTL_LIVEPATCH_GET ? &a->u.get.name : &a->u.action.name;

    if (a->pad)
        return refuse(-EINVAL, "live patch: padding %#x", a->pad);
    switch (a->cmd) {
    case XEN_SYSCTL_LIVEPATCH_LIST:
        if (a->u.list.pad)
            return refuse(-EINVAL, "live patch list: padding %#x", a->u.list.pad);
        a->u.list.version = a->u.list.nr = 0;
        a->u.list.name_total_size = a->u.list.metadata_total_size = 0;
        return 0;
    case XEN_SYSCTL_LIVEPATCH_GET:
    case XEN_SYSCTL_LIVEPATCH_ACTION:
        if (!name->size || name->size > XEN_LIVEPATCH_NAME_SIZE)
            return refuse(-EINVAL, "live patch: a name of %u bytes", name->size);
        return refuse(-ENOENT, "there is no live patch");
    default:
        return refuse(-EOPNOTSUPP, "live patch: operation %u", a->cmd);
    }
}
