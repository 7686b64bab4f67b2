/* SPDX-License-Identifier: MIT */
/* domctl: vCPUs: where they run and how much. Public domctl.h; ABI.md 2.1. */
#include "hypercall/control.h"

#include "base/softirq.h"
#include "hvm/chips.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "memory/heap.h"
#include "pv/pv.h"

long domctl_sendtrigger(struct domain *d, struct xen_domctl *op)
{
    const struct xen_domctl_sendtrigger *a = &op->u.sendtrigger;
    struct vcpu *v;
    int rc;

    if (a->vcpu >= d->max_vcpus)
        return refuse(-ESRCH, "trigger for vCPU %u of domain %u", a->vcpu, d->id);
    rc = control_vcpu(d, a->vcpu, &v);
    if (rc)
        return rc;
    switch (a->trigger) {
    case XEN_DOMCTL_SENDTRIGGER_NMI:
        if (!__atomic_exchange_n(&v->nmi_pending, true, __ATOMIC_SEQ_CST)) {
            vcpu_kick(v);
            softirq_raise_on(read_once(v->unit.cpu), SOFTIRQ_GUEST);
        }
        return 0;
    case XEN_DOMCTL_SENDTRIGGER_POWER:
    case XEN_DOMCTL_SENDTRIGGER_SLEEP:
        if (d->hvm)
            return hvm_press_button(d, a->trigger == XEN_DOMCTL_SENDTRIGGER_SLEEP);
        return refuse(-EINVAL, "trigger %u: domain %u has no such button", a->trigger, d->id);
    default:
        return refuse(-ENOSYS, "trigger %u", a->trigger);
    }
}

/* ---- where and how much ---- */

long domctl_getvcpuinfo(struct domain *d, struct xen_domctl *op)
{
    struct xen_domctl_getvcpuinfo *a = &op->u.getvcpuinfo;
    struct vcpu *v;
    uint32_t pause;
    int rc = control_vcpu(d, a->vcpu, &v);

    if (rc)
        return rc;
    pause = read_once(v->pause);
    a->online = !(pause & BIT(VCPU_DOWN_BIT));
    a->blocked = !!(pause & BIT(VCPU_BLOCKED_BIT));
    a->running = read_once(v->unit.running);
    a->cpu_time = vcpu_run_time(v);
    a->cpu = read_once(v->unit.cpu);
    return 0;
}

static int read_affinity(const struct xen_domctl_vcpuaffinity *a, struct cpu_mask *hard,
                         struct cpu_mask *soft)
{
    int rc = 0;

    if (a->flags & XEN_VCPUAFFINITY_HARD)
        rc = control_mask_read(&a->cpumap_hard, hard);
    if (!rc && (a->flags & XEN_VCPUAFFINITY_SOFT))
        rc = control_mask_read(&a->cpumap_soft, soft);
    return rc;
}

static int write_affinity(const struct xen_domctl_vcpuaffinity *a, const struct cpu_mask *hard,
                          const struct cpu_mask *soft)
{
    int rc = 0;

    if (a->flags & XEN_VCPUAFFINITY_HARD)
        rc = control_mask_write(&a->cpumap_hard, hard);
    if (!rc && (a->flags & XEN_VCPUAFFINITY_SOFT))
        rc = control_mask_write(&a->cpumap_soft, soft);
    return rc;
}

static int affinity_check(const struct xen_domctl_vcpuaffinity *a)
{
    unsigned known = XEN_VCPUAFFINITY_HARD | XEN_VCPUAFFINITY_SOFT | XEN_VCPUAFFINITY_FORCE;

    if ((a->flags & ~known) || !(a->flags & (XEN_VCPUAFFINITY_HARD | XEN_VCPUAFFINITY_SOFT)))
        return refuse(-EINVAL, "affinity: flags %#x", a->flags);
    return 0;
}

long domctl_setvcpuaffinity(struct domain *d, struct xen_domctl *op)
{
    struct xen_domctl_vcpuaffinity *a = &op->u.vcpuaffinity;
    struct cpu_mask hard, soft;
    struct vcpu *v;
    int rc = affinity_check(a);

    if (!rc)
        rc = control_vcpu(d, a->vcpu, &v);
    if (rc)
        return rc;
    hard = sched_whole(&v->unit)->hard;
    soft = sched_whole(&v->unit)->soft;
    rc = read_affinity(a, &hard, &soft);
    if (rc)
        return rc;
    if (sched_set_affinity(&v->unit, &hard, &soft))
        return refuse(-EINVAL, "affinity of vCPU %u of domain %u: no CPU", v->id, d->id);
    bitmap_and(hard.bits, hard.bits, d->sched.pool->cpus.bits, MAX_CPUS);
    bitmap_and(soft.bits, soft.bits, hard.bits, MAX_CPUS);
    return write_affinity(a, &hard, &soft);
}

long domctl_getvcpuaffinity(struct domain *d, struct xen_domctl *op)
{
    const struct xen_domctl_vcpuaffinity *a = &op->u.vcpuaffinity;
    struct vcpu *v;
    int rc = affinity_check(a);

    if (!rc)
        rc = control_vcpu(d, a->vcpu, &v);
    return rc ? rc : write_affinity(a, &sched_whole(&v->unit)->hard, &sched_whole(&v->unit)->soft);
}

long domctl_scheduler_op(struct domain *d, struct xen_domctl *op)
{
    struct xen_domctl_scheduler_op *a = &op->u.scheduler_op;
    struct xen_domctl_sched_credit2 *p = &a->u.credit2;
    struct sched_group *g = &d->sched;

    if (a->sched_id != control_sched_id(g->pool))
        return refuse(-EINVAL, "parameters of scheduler %u", a->sched_id);
    if (a->sched_id == XEN_SCHEDULER_NULL)
        return a->cmd == XEN_DOMCTL_SCHEDOP_putinfo || a->cmd == XEN_DOMCTL_SCHEDOP_getinfo
                   ? 0
                   : refuse(-EINVAL, "scheduler operation %u", a->cmd);
    switch (a->cmd) {
    case XEN_DOMCTL_SCHEDOP_putinfo:
        /* 0: as it is; a cap of all ones the same. */
        return sched_group_set(g, p->weight ? p->weight : g->weight,
                               p->cap != UINT16_MAX ? p->cap : g->cap);
    case XEN_DOMCTL_SCHEDOP_getinfo:
        p->weight = (uint16_t)g->weight;
        p->cap = (uint16_t)g->cap;
        return 0;
    default:
        return refuse(-EINVAL, "scheduler operation %u", a->cmd);
    }
}

/* There is one node. */
long domctl_setnodeaffinity(struct domain *d, struct xen_domctl *op)
{
    struct cpu_mask nodes;

    if (control_mask_read(&op->u.nodeaffinity.nodemap, &nodes))
        return -EFAULT;
    if (!bitmap_test(nodes.bits, 0))
        return refuse(-EINVAL, "domain %u on no node that there is", d->id);
    return 0;
}

long domctl_getnodeaffinity(struct domain *d, struct xen_domctl *op)
{
    const struct cpu_mask nodes = {.bits = {1}};

    return control_mask_write(&op->u.nodeaffinity.nodemap, &nodes);
}
