/* SPDX-License-Identifier: MIT */
/* The domctl hypercall: what the tools do to domains. Its table, who may call, and whom an
 * operation may meet. Public domctl.h; ABI.md 2.1. */
#include "hypercall/control.h"

#include "lib/errno.h"

static long not_supported(struct domain *d, struct xen_domctl *op)
{
    return refuse(-EOPNOTSUPP, "domctl %u is not supported", op->cmd);
}

static long no_driver(struct domain *d, struct xen_domctl *op)
{
    return refuse(-ENODEV, "domctl %u: there is no driver", op->cmd);
}

enum domctl_flags {
    REPLY = 1,     /* the structure goes back: replies() */
    NOT_SELF = 2,  /* -EINVAL for the caller's own domain */
    NO_DOMAIN = 4, /* `domain` is not (or not yet) the number of one */
};

struct domctl_call {
    domctl_fn *fn;
    unsigned flags;
};

static const struct domctl_call calls[] = {
    [XEN_DOMCTL_createdomain] = {domctl_createdomain, REPLY | NO_DOMAIN},
    [XEN_DOMCTL_destroydomain] = {domctl_destroydomain, NOT_SELF},
    [XEN_DOMCTL_pausedomain] = {domctl_pausedomain, NOT_SELF},
    [XEN_DOMCTL_unpausedomain] = {domctl_unpausedomain, 0},
    [XEN_DOMCTL_getdomaininfo] = {domctl_getdomaininfo, REPLY | NO_DOMAIN},
    [XEN_DOMCTL_setvcpuaffinity] = {domctl_setvcpuaffinity, REPLY},
    [XEN_DOMCTL_shadow_op] = {domctl_shadow_op, 0},
    [XEN_DOMCTL_max_mem] = {domctl_max_mem, 0},
    [XEN_DOMCTL_setvcpucontext] = {domctl_setvcpucontext, NOT_SELF},
    [XEN_DOMCTL_getvcpucontext] = {domctl_getvcpucontext, NOT_SELF},
    [XEN_DOMCTL_getvcpuinfo] = {domctl_getvcpuinfo, REPLY},
    [XEN_DOMCTL_max_vcpus] = {domctl_max_vcpus, NOT_SELF},
    [XEN_DOMCTL_scheduler_op] = {domctl_scheduler_op, REPLY},
    [XEN_DOMCTL_setdomainhandle] = {domctl_setdomainhandle, 0},
    [XEN_DOMCTL_irq_permission] = {domctl_irq_permission, 0},
    [XEN_DOMCTL_iomem_permission] = {domctl_iomem_permission, 0},
    [XEN_DOMCTL_ioport_permission] = {domctl_ioport_permission, 0},
    [XEN_DOMCTL_hypercall_init] = {domctl_hypercall_init, 0},
    [XEN_DOMCTL_settimeoffset] = {domctl_settimeoffset, 0},
    [XEN_DOMCTL_getvcpuaffinity] = {domctl_getvcpuaffinity, REPLY},
    [XEN_DOMCTL_resumedomain] = {domctl_resumedomain, NOT_SELF},
    [XEN_DOMCTL_sendtrigger] = {domctl_sendtrigger, 0},
    [XEN_DOMCTL_subscribe] = {domctl_subscribe, 0},
    [XEN_DOMCTL_gethvmcontext] = {domctl_gethvmcontext, REPLY | NOT_SELF},
    [XEN_DOMCTL_sethvmcontext] = {domctl_sethvmcontext, NOT_SELF},
    [XEN_DOMCTL_set_address_size] = {domctl_set_address_size, 0},
    [XEN_DOMCTL_get_address_size] = {domctl_get_address_size, REPLY},
    [XEN_DOMCTL_assign_device] = {not_supported, 0},
    [XEN_DOMCTL_memory_mapping] = {domctl_memory_mapping, 0},
    [XEN_DOMCTL_ioport_mapping] = {not_supported, 0},
    [XEN_DOMCTL_set_ext_vcpucontext] = {domctl_set_ext_vcpucontext, NOT_SELF},
    [XEN_DOMCTL_get_ext_vcpucontext] = {domctl_get_ext_vcpucontext, REPLY | NOT_SELF},
    [XEN_DOMCTL_test_assign_device] = {not_supported, NO_DOMAIN},
    [XEN_DOMCTL_deassign_device] = {not_supported, 0},
    [XEN_DOMCTL_get_device_group] = {not_supported, 0},
    [XEN_DOMCTL_gethvmcontext_partial] = {domctl_gethvmcontext_partial, REPLY | NOT_SELF},
    [XEN_DOMCTL_gettscinfo] = {domctl_gettscinfo, REPLY},
    [XEN_DOMCTL_settscinfo] = {domctl_settscinfo, NOT_SELF},
    [XEN_DOMCTL_getpageframeinfo3] = {domctl_getpageframeinfo3, 0},
    [XEN_DOMCTL_setvcpuextstate] = {domctl_setvcpuextstate, NOT_SELF},
    [XEN_DOMCTL_getvcpuextstate] = {domctl_getvcpuextstate, REPLY | NOT_SELF},
    [XEN_DOMCTL_set_virq_handler] = {domctl_set_virq_handler, 0},
    [XEN_DOMCTL_setnodeaffinity] = {domctl_setnodeaffinity, 0},
    [XEN_DOMCTL_getnodeaffinity] = {domctl_getnodeaffinity, REPLY},
    [XEN_DOMCTL_psr_cmt_op] = {no_driver, 0},
    [XEN_DOMCTL_monitor_op] = {not_supported, 0},
    [XEN_DOMCTL_get_vcpu_msrs] = {domctl_get_vcpu_msrs, REPLY | NOT_SELF},
    [XEN_DOMCTL_set_vcpu_msrs] = {domctl_set_vcpu_msrs, REPLY | NOT_SELF},
    [XEN_DOMCTL_psr_alloc] = {no_driver, 0},
    [XEN_DOMCTL_get_cpu_policy] = {domctl_get_cpu_policy, REPLY},
    [XEN_DOMCTL_set_cpu_policy] = {domctl_set_cpu_policy, REPLY | NOT_SELF},
    [XEN_DOMCTL_vmtrace_op] = {not_supported, 0},
    [XEN_DOMCTL_get_paging_mempool_size] = {domctl_get_paging_mempool_size, REPLY},
    [XEN_DOMCTL_set_paging_mempool_size] = {domctl_set_paging_mempool_size, 0},
};

/* Counts and the place of a mistake go back with some errors too. */
static bool replies(const struct xen_domctl *op, unsigned flags, long rc)
{
    return (flags & REPLY) && (!rc || rc == -ENOBUFS || op->cmd == XEN_DOMCTL_set_cpu_policy ||
                               op->cmd == XEN_DOMCTL_set_vcpu_msrs);
}

/* Under the control lock. */
static long execute(const struct domctl_call *call, struct xen_domctl *op)
{
    struct domain *d = NULL;
    long rc;

    if (!(call->flags & NO_DOMAIN)) {
        d = domain_get(op->domain);
        if (!d)
            return refuse(-ESRCH, "domctl %u: no domain %u", op->cmd, op->domain);
    }
    if ((call->flags & NOT_SELF) && d == current()->domain)
        rc = refuse(-EINVAL, "domctl %u of the caller's own domain", op->cmd);
    else
        rc = call->fn(d, op);
    if (d)
        domain_put(d);
    return rc;
}

long domctl(uint64_t arg)
{
    const struct domctl_call *call;
    struct xen_domctl op;
    long rc;

    if (guest_read(&op, arg, sizeof(op)))
        return -EFAULT;
    if (op.interface_version != XEN_DOMCTL_INTERFACE_VERSION)
        return refuse(-EACCES, "domctl of interface version %#x", op.interface_version);
    if (!current()->domain->privileged)
        return refuse(-EPERM, "domctl %u of domain %u", op.cmd, current()->domain->id);
    if (op.cmd >= ARRAY_SIZE(calls) || !calls[index_nospec(op.cmd, ARRAY_SIZE(calls))].fn)
        return refuse(-ENOSYS, "domctl %u", op.cmd);
    call = &calls[index_nospec(op.cmd, ARRAY_SIZE(calls))];
    rc = -ERESTART;
    if (control_enter()) {
        rc = execute(call, &op);
        control_leave();
    }
    if (rc == -ERESTART) {
        (void)!hypercall_preempt();
        return hypercall_continue_with(__HYPERVISOR_domctl, arg);
    }
    if (replies(&op, call->flags, rc) && guest_write(arg, &op, sizeof(op)))
        rc = -EFAULT;
    return rc;
}
