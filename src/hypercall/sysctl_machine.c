/* SPDX-License-Identifier: MIT */
/* sysctl: what may be changed of the machine while it runs: which CPUs are in service. The rest
 * cannot be here: frames stay, idle is by HLT, no patch is ever loaded. What is asked is answered;
 * what is to be changed is done if it is so already, and refused else. Public sysctl.h. */
#include "hypercall/control.h"

#include "cpu/topology.h"
#include "event/event.h"
#include "frame/frame.h"
#include "platform/lapic.h"

#define QUERY_FRAMES 65536u /* of one call */
#define MAX_CSTATE   1u     /* HLT */
#define OF_STATE     0u     /* pm_op.cpuid: the deepest C-state, or the deepest of its variants */
#define OF_SUBSTATE  1u

const struct cpu_service_ops *cpu_service_ops sealed;

/* ---- processors ---- */

long control_cpu_service(uint32_t cpu, bool online)
{
    bool active;
    int rc;

    if (cpu >= MAX_CPUS || !bitmap_test(cpus_present.bits, index_nospec(cpu, MAX_CPUS)))
        return refuse(-EINVAL, "there is no CPU %u", cpu);
    cpu = (uint32_t)index_nospec(cpu, MAX_CPUS);
    active = bitmap_test(cpus_active.bits, cpu);
    if (online && active)
        return refuse(-EEXIST, "CPU %u is online", cpu);
    if (!online && !active)
        return refuse(-EINVAL, "CPU %u is offline", cpu);
    if (!online && cpu == 0)
        return refuse(-EINVAL, "CPU 0 stays online");
    if (!cpu_service_ops)
        return refuse(-EOPNOTSUPP, "CPU %u stays as it is", cpu);
    rc = online ? cpu_service_ops->online(cpu) : cpu_service_ops->offline(cpu);
    if (!rc)
        event_send_global_virq(VIRQ_PCPU_STATE); /* domain 0's kernel asks which are there */
    return rc;
}

/* All threads of cores that are not the first. */
static long smt_service(bool online)
{
    bool any = false;
    unsigned cpu;
    long rc = 0;

    bitmap_for_each (cpu, cpus_present.bits, MAX_CPUS) {
        if (!topology_thread(cpu_apic_id[cpu]))
            continue;
        any = true;
        if (!rc && bitmap_test(cpus_active.bits, cpu) != online)
            rc = control_cpu_service(cpu, online);
    }
    return any ? rc : refuse(-EOPNOTSUPP, "cores of this machine have one thread each");
}

long sysctl_cpu_hotplug(struct xen_sysctl *op)
{
    const struct xen_sysctl_cpu_hotplug *a = &op->u.cpu_hotplug;

    switch (a->op) {
    case XEN_SYSCTL_CPU_HOTPLUG_ONLINE:
    case XEN_SYSCTL_CPU_HOTPLUG_OFFLINE:
        return control_cpu_service(a->cpu, a->op == XEN_SYSCTL_CPU_HOTPLUG_ONLINE);
    case XEN_SYSCTL_CPU_HOTPLUG_SMT_ENABLE:
    case XEN_SYSCTL_CPU_HOTPLUG_SMT_DISABLE:
        return smt_service(a->op == XEN_SYSCTL_CPU_HOTPLUG_SMT_ENABLE);
    default:
        return refuse(-EOPNOTSUPP, "CPU hot plug: operation %u", a->op);
    }
}

/* ---- memory and power ---- */

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
