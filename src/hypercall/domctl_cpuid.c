/* SPDX-License-Identifier: MIT */
/* domctl: which processor a domain sees: CPUID and its MSRs, the width of its addresses, its time
 * stamp counter. Public domctl.h; ABI.md 2.1. */
#include "hypercall/control.h"

#include "cpu/policy.h"
#include "hvm/hvm.h"
#include "lib/errno.h"
#include "memory/heap.h"
#include "pv/pv.h"
#include "time/clock.h"

#define ADDRESS_BITS 64u

/* ---- CPUID ---- */

static struct cpu_policy *policy_of(struct domain *d)
{
    return d->hvm ? d->hvm_domain->policy : d->pv ? d->pv->policy : NULL;
}

long domctl_get_cpu_policy(struct domain *d, struct xen_domctl *op)
{
    struct xen_domctl_cpu_policy *a = &op->u.cpu_policy;

    if (!policy_of(d))
        return refuse(-EOPNOTSUPP, "CPU policy of domain %u", d->id);
    return control_policy_write(policy_of(d), handle_va(a->leaves), &a->nr_leaves,
                                handle_va(a->msrs), &a->nr_msrs);
}

/* The lists change a copy; d gets it if nothing speaks against it. */
static long change_policy(struct domain *d, struct cpu_policy *p, struct xen_domctl_cpu_policy *a)
{
    const struct cpu_policy *most = d->hvm ? &policy_hvm_max : &policy_pv_max;
    int rc = control_policy_read(p, a);

    if (rc)
        return rc;
    rc = cpu_policy_compatible(most, p, &a->err_leaf, &a->err_subleaf, &a->err_msr);
    if (rc)
        return refuse(rc, "CPU policy: leaf %#x, subleaf %#x, MSR %#x", a->err_leaf, a->err_subleaf,
                      a->err_msr);
    cpu_policy_limit(p, most);
    *policy_of(d) = *p;
    return 0;
}

long domctl_set_cpu_policy(struct domain *d, struct xen_domctl *op)
{
    struct cpu_policy *p;
    bool created;
    long rc;

    lock(&d->lock);
    created = d->created;
    unlock(&d->lock);
    if (created)
        return refuse(-EEXIST, "domain %u runs: its CPU policy stays", d->id);
    if (!policy_of(d))
        return refuse(-EOPNOTSUPP, "CPU policy of domain %u", d->id);
    p = heap_alloc(sizeof(*p));
    if (!p)
        return refuse(-ENOMEM, "no memory for a CPU policy");
    *p = *policy_of(d);
    rc = change_policy(d, p, &op->u.cpu_policy);
    heap_free(p);
    return rc;
}

/* ---- addresses ---- */

long domctl_set_address_size(struct domain *d, struct xen_domctl *op)
{
    if (d->hvm)
        return refuse(-EOPNOTSUPP, "domain %u chooses the width of its addresses itself", d->id);
    if (op->u.address_size.size != ADDRESS_BITS)
        return refuse(-EINVAL, "addresses of %u bits", op->u.address_size.size);
    return 0;
}

long domctl_get_address_size(struct domain *d, struct xen_domctl *op)
{
    op->u.address_size.size = ADDRESS_BITS;
    return 0;
}

/* ---- the time stamp counter ---- */

enum {
    TSC_DEFAULT,
    TSC_ALWAYS,
    TSC_NEVER
}; /* is it emulated */

long domctl_gettscinfo(struct domain *d, struct xen_domctl *op)
{
    struct xen_domctl_tsc_info *a = &op->u.tsc_info;

    a->tsc_mode = d->tsc.mode;
    a->gtsc_khz = d->tsc.khz ? d->tsc.khz : (uint32_t)(time_tsc_hz / 1000);
    a->incarnation = d->tsc.incarnation;
    a->elapsed_nsec = time_now() - d->tsc.zero_ns;
    return 0;
}

/* By default a guest that comes from a machine whose counter runs at another speed has its reads
 * emulated: the frequency that it found at its start stays. */
long domctl_settscinfo(struct domain *d, struct xen_domctl *op)
{
    const struct xen_domctl_tsc_info *a = &op->u.tsc_info;
    bool other_speed;

    if (a->tsc_mode > TSC_NEVER)
        return refuse(-EINVAL, "TSC mode %u", a->tsc_mode);
    other_speed = a->gtsc_khz && a->gtsc_khz != (uint32_t)(time_tsc_hz / 1000);
    if (d->hvm && (a->tsc_mode == TSC_ALWAYS || other_speed))
        return refuse(-EOPNOTSUPP, "TSC of domain %u is the processor's", d->id);
    domain_pause(d);
    lock(&d->lock);
    d->tsc.mode = a->tsc_mode;
    d->tsc.incarnation = a->incarnation;
    domain_tsc_set(d, a->tsc_mode == TSC_ALWAYS || (a->tsc_mode == TSC_DEFAULT && other_speed),
                   a->gtsc_khz, a->elapsed_nsec);
    unlock(&d->lock);
    return domain_unpause(d);
}
