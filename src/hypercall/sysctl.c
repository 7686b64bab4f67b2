/* SPDX-License-Identifier: MIT */
/* The sysctl hypercall: what the tools ask of the whole machine. Its table, and who may call.
 * Public sysctl.h; ABI.md 2.2. */
#include "hypercall/control.h"

#include "lib/errno.h"

/* What this machine (or Argon) has not. */
static long no_driver(struct xen_sysctl *op)
{
    return refuse(-ENODEV, "sysctl %u: there is no driver", op->cmd);
}

static long not_supported(struct xen_sysctl *op)
{
    return refuse(-EOPNOTSUPP, "sysctl %u is not supported", op->cmd);
}

struct sysctl_call {
    sysctl_fn *fn;
    bool reply; /* the structure goes back, if there was no error or -ENOBUFS */
};

static const struct sysctl_call calls[] = {
    [XEN_SYSCTL_readconsole] = {sysctl_readconsole, true},
    [XEN_SYSCTL_tbuf_op] = {sysctl_tbuf_op, true},
    [XEN_SYSCTL_physinfo] = {sysctl_physinfo, true},
    [XEN_SYSCTL_sched_id] = {sysctl_sched_id, true},
    [XEN_SYSCTL_getdomaininfolist] = {sysctl_getdomaininfolist, true},
    [XEN_SYSCTL_debug_keys] = {sysctl_debug_keys, false},
    [XEN_SYSCTL_getcpuinfo] = {sysctl_getcpuinfo, true},
    [XEN_SYSCTL_availheap] = {sysctl_availheap, true},
    [XEN_SYSCTL_get_pmstat] = {no_driver, false},
    [XEN_SYSCTL_cpu_hotplug] = {sysctl_cpu_hotplug, false},
    [XEN_SYSCTL_pm_op] = {sysctl_pm_op, true},
    [XEN_SYSCTL_page_offline_op] = {sysctl_page_offline_op, false},
    [XEN_SYSCTL_cputopoinfo] = {sysctl_cputopoinfo, true},
    [XEN_SYSCTL_numainfo] = {sysctl_numainfo, true},
    [XEN_SYSCTL_cpupool_op] = {sysctl_cpupool_op, true},
    [XEN_SYSCTL_scheduler_op] = {sysctl_scheduler_op, true},
    [XEN_SYSCTL_coverage_op] = {not_supported, false},
    [XEN_SYSCTL_psr_cmt_op] = {no_driver, false},
    [XEN_SYSCTL_pcitopoinfo] = {sysctl_pcitopoinfo, true},
    [XEN_SYSCTL_psr_alloc] = {not_supported, false},
    [XEN_SYSCTL_get_cpu_levelling_caps] = {sysctl_get_cpu_levelling_caps, true},
    [XEN_SYSCTL_get_cpu_featureset] = {sysctl_get_cpu_featureset, true},
    [XEN_SYSCTL_livepatch_op] = {sysctl_livepatch_op, true},
    [XEN_SYSCTL_get_cpu_policy] = {sysctl_get_cpu_policy, true},
};

long sysctl(uint64_t arg)
{
    const struct sysctl_call *call;
    struct xen_sysctl op;
    long rc;

    if (guest_read(&op, arg, sizeof(op)))
        return -EFAULT;
    if (op.interface_version != XEN_SYSCTL_INTERFACE_VERSION)
        return refuse(-EACCES, "sysctl of interface version %#x", op.interface_version);
    if (!current()->domain->privileged)
        return refuse(-EPERM, "sysctl %u of domain %u", op.cmd, current()->domain->id);
    if (op.cmd >= ARRAY_SIZE(calls) || !calls[index_nospec(op.cmd, ARRAY_SIZE(calls))].fn)
        return refuse(-ENOSYS, "sysctl %u", op.cmd);
    call = &calls[index_nospec(op.cmd, ARRAY_SIZE(calls))];
    if (!control_enter()) {
        (void)!hypercall_preempt();
        return hypercall_continue_with(__HYPERVISOR_sysctl, arg);
    }
    rc = call->fn(&op);
    control_leave();
    if (rc == -ERESTART)
        return hypercall_continue_with(__HYPERVISOR_sysctl, arg);
    if ((!rc || rc == -ENOBUFS) && call->reply && guest_write(arg, &op, sizeof(op)))
        rc = -EFAULT;
    return rc;
}
