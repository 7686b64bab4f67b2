/* SPDX-License-Identifier: MIT */
/* sysctl: the processors: where they are, what they can, how they are shared. All belong to
 * node 0. Public sysctl.h; ABI.md 2.2. */
#include "hypercall/control.h"

#include "cpu/policy.h"
#include "cpu/topology.h"
#include "hvm/hvm.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "memory/buddy.h"
#include "platform/lapic.h"

#define NO_DISTANCE  10u /* from a node to itself, in the units of ACPI's SLIT */
#define PCI_PER_CALL 4096u
#define PCI_NO_NODE  XEN_INVALID_NODE_ID

uint32_t control_sched_id(const struct sched_pool *p)
{
    return p->ops == &sched_null ? XEN_SCHEDULER_NULL : XEN_SCHEDULER_CREDIT2;
}

long sysctl_sched_id(struct xen_sysctl *op)
{
    op->u.sched_id.sched_id = control_sched_id(sched_pool0);
    return 0;
}

long sysctl_getcpuinfo(struct xen_sysctl *op)
{
    struct xen_sysctl_getcpuinfo *a = &op->u.getcpuinfo;
    uint32_t n = min(a->max_cpus, cpu_count);

    for (uint32_t i = 0; i < n; i++) {
        const xen_sysctl_cpuinfo_t info = {.idletime = domain_idle_time(i)};

        if (guest_write_at(handle_va(a->info), i, &info))
            return refuse(-EFAULT, "CPU information of CPU %u", i);
    }
    a->nr_cpus = n;
    return 0;
}

long sysctl_cputopoinfo(struct xen_sysctl *op)
{
    struct xen_sysctl_cputopoinfo *a = &op->u.cputopoinfo;
    uint64_t list = handle_va(a->cputopo);

    for (uint32_t i = 0; list && i < min(a->num_cpus, cpu_count); i++) {
        bool there = bitmap_test(cpus_present.bits, i);
        const xen_sysctl_cputopo_t t = {
            .core = there ? topology_core(cpu_apic_id[i]) : XEN_INVALID_CORE_ID,
            .socket = there ? topology_socket(cpu_apic_id[i]) : XEN_INVALID_SOCKET_ID,
            .node = there ? 0 : XEN_INVALID_NODE_ID,
        };

        if (guest_write_at(list, i, &t))
            return refuse(-EFAULT, "topology of CPU %u", i);
    }
    a->num_cpus = cpu_count;
    return 0;
}

long sysctl_numainfo(struct xen_sysctl *op)
{
    struct xen_sysctl_numainfo *a = &op->u.numainfo;
    const xen_sysctl_meminfo_t info = {
        .memsize = max_mfn << PAGE_SHIFT,
        .memfree = buddy_free_frames() << PAGE_SHIFT,
    };
    const uint32_t distance = NO_DISTANCE;

    if (a->num_nodes && handle_va(a->meminfo) && guest_write_at(handle_va(a->meminfo), 0, &info))
        return -EFAULT;
    if (a->num_nodes && handle_va(a->distance) &&
        guest_write_at(handle_va(a->distance), 0, &distance))
        return -EFAULT;
    a->num_nodes = 1;
    return 0;
}

/* The firmware's word on where devices are is not read: none has a node. */
long sysctl_pcitopoinfo(struct xen_sysctl *op)
{
    struct xen_sysctl_pcitopoinfo *a = &op->u.pcitopoinfo;
    const uint32_t node = PCI_NO_NODE;

    if (!handle_va(a->devs) || !handle_va(a->nodes))
        return refuse(-EINVAL, "PCI topology: no list");
    a->num_devs = min(a->num_devs, PCI_PER_CALL);
    for (uint32_t i = 0; i < a->num_devs; i++)
        if (guest_write_at(handle_va(a->nodes), i, &node))
            return -EFAULT;
    return 0;
}

/* ---- the scheduler ---- */

long sysctl_scheduler_op(struct xen_sysctl *op)
{
    struct xen_sysctl_scheduler_op *a = &op->u.scheduler_op;
    uint32_t us = a->u.sched_credit2.ratelimit_us;
    struct sched_pool *p = sched_pool_find(a->cpupool_id, true);

    if (!p)
        return refuse(-ESRCH, "no CPU pool %u", a->cpupool_id);
    if (p->ops != &sched_fair || a->sched_id != XEN_SCHEDULER_CREDIT2)
        return refuse(-EINVAL, "parameters of scheduler %u", a->sched_id);
    switch (a->cmd) {
    case XEN_SYSCTL_SCHEDOP_putinfo:
        return sched_pool_set_ratelimit(p, us * 1000ull)
                   ? refuse(-EINVAL, "rate limit of %u us", us)
                   : 0;
    case XEN_SYSCTL_SCHEDOP_getinfo:
        a->u.sched_credit2.ratelimit_us = (uint32_t)(read_once(p->ratelimit) / 1000);
        return 0;
    default:
        return refuse(-EINVAL, "scheduler operation %u", a->cmd);
    }
}

/* ---- features ---- */

long sysctl_get_cpu_levelling_caps(struct xen_sysctl *op)
{
    op->u.cpu_levelling_caps.caps = 0; /* every CPUID of a PV guest's kernel is ours to answer */
    return 0;
}

static bool no_such_guests(const struct cpu_policy *p)
{
    return !hvm_ops && (p == &policy_hvm_max || p == &policy_hvm_default);
}

long sysctl_get_cpu_featureset(struct xen_sysctl *op)
{
    static const struct cpu_policy *const which[] = {
        [XEN_SYSCTL_cpu_featureset_raw] = &policy_raw,
        [XEN_SYSCTL_cpu_featureset_host] = &policy_host,
        [XEN_SYSCTL_cpu_featureset_pv] = &policy_pv_default,
        [XEN_SYSCTL_cpu_featureset_hvm] = &policy_hvm_default,
        [XEN_SYSCTL_cpu_featureset_pv_max] = &policy_pv_max,
        [XEN_SYSCTL_cpu_featureset_hvm_max] = &policy_hvm_max,
    };
    struct xen_sysctl_cpu_featureset *a = &op->u.cpu_featureset;
    uint32_t words[FEATURE_WORDS], n = min(a->nr_features, (uint32_t)FEATURE_WORDS);
    const struct cpu_policy *p;
    bool enough = a->nr_features >= FEATURE_WORDS;

    if (a->index >= ARRAY_SIZE(which))
        return refuse(-EINVAL, "feature set %u", a->index);
    p = which[index_nospec(a->index, ARRAY_SIZE(which))];
    if (no_such_guests(p))
        return refuse(-EOPNOTSUPP, "feature set %u: no such guests", a->index);
    if (!handle_va(a->features)) {
        a->nr_features = FEATURE_WORDS;
        return 0;
    }
    cpu_policy_featureset(p, words);
    if (guest_write(handle_va(a->features), words, n * sizeof(words[0])))
        return -EFAULT;
    a->nr_features = n;
    return enough ? 0 : refuse(-ENOBUFS, "feature set: room for %u words", n);
}

long sysctl_get_cpu_policy(struct xen_sysctl *op)
{
    static const struct cpu_policy *const which[] = {
        [XEN_SYSCTL_cpu_policy_raw] = &policy_raw,
        [XEN_SYSCTL_cpu_policy_host] = &policy_host,
        [XEN_SYSCTL_cpu_policy_pv_max] = &policy_pv_max,
        [XEN_SYSCTL_cpu_policy_hvm_max] = &policy_hvm_max,
        [XEN_SYSCTL_cpu_policy_pv_default] = &policy_pv_default,
        [XEN_SYSCTL_cpu_policy_hvm_default] = &policy_hvm_default,
    };
    struct xen_sysctl_cpu_policy *a = &op->u.cpu_policy;
    const struct cpu_policy *p;

    if (a->_rsvd || a->index >= ARRAY_SIZE(which))
        return refuse(-EINVAL, "CPU policy %u, reserved %#x", a->index, a->_rsvd);
    p = which[index_nospec(a->index, ARRAY_SIZE(which))];
    if (no_such_guests(p))
        return refuse(-EOPNOTSUPP, "CPU policy %u: no such guests", a->index);
    return control_policy_write(p, handle_va(a->leaves), &a->nr_leaves, handle_va(a->msrs),
                                &a->nr_msrs);
}
