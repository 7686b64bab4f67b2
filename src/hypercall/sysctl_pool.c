/* SPDX-License-Identifier: MIT */
/* sysctl: CPU pools: which CPUs share out the domains of which pool. Pools are made and destroyed
 * under the lock of control operations alone, so a pointer to one holds as long as that. Public
 * sysctl.h (XEN_SYSCTL_cpupool_op). */
#include "hypercall/control.h"

#include "lib/list.h"

#define ANY XEN_SYSCTL_CPUPOOL_PAR_ANY

static int find(uint32_t id, struct sched_pool **out)
{
    *out = sched_pool_find(id, true);
    return *out ? 0 : refuse(-ENOENT, "no CPU pool %u", id);
}

static long pool_create(struct xen_sysctl_cpupool_op *a)
{
    const struct sched_ops *policy = &sched_fair;
    struct sched_pool *p;
    uint32_t id = 0;
    int rc;

    if (a->sched_id == XEN_SCHEDULER_NULL)
        policy = &sched_null;
    else if (a->sched_id != XEN_SCHEDULER_CREDIT2)
        return refuse(-ENOENT, "CPU pool: no scheduler %u", a->sched_id);
    if (a->cpupool_id == ANY)
        while (sched_pool_find(id, true))
            id++;
    else
        id = a->cpupool_id;
    rc = sched_pool_create(id, policy, &p);
    if (rc)
        return refuse(rc, "CPU pool %u", id);
    a->cpupool_id = id;
    return 0;
}

static long pool_destroy(struct xen_sysctl_cpupool_op *a)
{
    struct sched_pool *p;
    int rc = find(a->cpupool_id, &p);

    if (!rc && sched_pool_destroy(p))
        rc = refuse(-EBUSY, "CPU pool %u has domains or CPUs", a->cpupool_id);
    return rc;
}

static uint32_t pool_domains(const struct sched_pool *p)
{
    struct domain *d;
    uint32_t n = 0;

    for (uint32_t id = 0; id < DOMID_FIRST_RESERVED && (d = domain_get_from((domid_t)id)); id++) {
        n += d->sched.pool == p;
        id = d->id;
        domain_put(d);
    }
    return n;
}

static long pool_info(struct xen_sysctl_cpupool_op *a)
{
    const struct sched_pool *p = sched_pool_find(a->cpupool_id, false);

    if (!p)
        return refuse(-ENOENT, "no CPU pool from %u on", a->cpupool_id);
    a->cpupool_id = p->id;
    a->sched_id = control_sched_id(p);
    a->n_dom = pool_domains(p);
    return control_mask_write(&a->cpumap, &p->cpus);
}

/* The CPU that is asked for, or for "any" the first of `among`. */
static int choose_cpu(uint32_t cpu, const struct cpu_mask *among, uint32_t *out)
{
    if (cpu == ANY)
        cpu = (uint32_t)bitmap_first(among->bits, MAX_CPUS);
    if (cpu >= MAX_CPUS || !bitmap_test(cpus_present.bits, cpu))
        return refuse(-EINVAL, "CPU pools: no CPU %u", cpu);
    *out = (uint32_t)index_nospec(cpu, MAX_CPUS);
    return 0;
}

static long pool_add_cpu(struct xen_sysctl_cpupool_op *a)
{
    struct cpu_mask free;
    struct sched_pool *p;
    uint32_t cpu;
    int rc;

    sched_free_cpus(&free);
    rc = choose_cpu(a->cpu, &free, &cpu);
    if (!rc)
        rc = find(a->cpupool_id, &p);
    if (!rc)
        rc = sched_pool_add_cpu(p, cpu);
    return rc ? refuse(rc, "CPU %u into CPU pool %u", a->cpu, a->cpupool_id) : 0;
}

static long pool_remove_cpu(struct xen_sysctl_cpupool_op *a)
{
    struct sched_pool *p;
    uint32_t cpu;
    int rc = find(a->cpupool_id, &p);

    if (!rc)
        rc = choose_cpu(a->cpu, &p->cpus, &cpu);
    if (!rc)
        rc = sched_pool_remove_cpu(p, cpu);
    if (rc == -ENOENT && p)
        rc = -EADDRNOTAVAIL; /* it is in another */
    return rc ? refuse(rc, "CPU %u out of CPU pool %u", a->cpu, a->cpupool_id) : 0;
}

static long pool_move_domain(struct xen_sysctl_cpupool_op *a)
{
    struct domain *d = domain_get((domid_t)a->domid);
    struct sched_pool *p;
    int rc;

    if (!d)
        return refuse(-ESRCH, "no domain %u", a->domid);
    rc = find(a->cpupool_id, &p);
    if (!rc && d->hardware && p != sched_pool0)
        rc = refuse(-EINVAL, "domain 0 stays in CPU pool 0");
    if (!rc && sched_group_move(&d->sched, p))
        rc = refuse(-EBUSY, "CPU pool %u has no CPU", a->cpupool_id);
    domain_put(d);
    return rc;
}

static long pool_free_cpus(struct xen_sysctl_cpupool_op *a)
{
    struct cpu_mask free;

    sched_free_cpus(&free);
    return control_mask_write(&a->cpumap, &free);
}

long sysctl_cpupool_op(struct xen_sysctl *op)
{
    static long (*const ops[])(struct xen_sysctl_cpupool_op * a) = {
        [XEN_SYSCTL_CPUPOOL_OP_CREATE] = pool_create,
        [XEN_SYSCTL_CPUPOOL_OP_DESTROY] = pool_destroy,
        [XEN_SYSCTL_CPUPOOL_OP_INFO] = pool_info,
        [XEN_SYSCTL_CPUPOOL_OP_ADDCPU] = pool_add_cpu,
        [XEN_SYSCTL_CPUPOOL_OP_RMCPU] = pool_remove_cpu,
        [XEN_SYSCTL_CPUPOOL_OP_MOVEDOMAIN] = pool_move_domain,
        [XEN_SYSCTL_CPUPOOL_OP_FREEINFO] = pool_free_cpus,
    };
    struct xen_sysctl_cpupool_op *a = &op->u.cpupool_op;
    uint32_t i = a->op;

    if (i >= ARRAY_SIZE(ops) || !ops[index_nospec(i, ARRAY_SIZE(ops))])
        return refuse(-ENOSYS, "CPU pool operation %u", i);
    return ops[index_nospec(i, ARRAY_SIZE(ops))](a);
}
