/* SPDX-License-Identifier: MIT */
/* domctl: the life of domains, from their making to their end. Public domctl.h; ABI.md 2.1. */
#include "hypercall/control.h"

#include "base/panic.h"
#include "event/event.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "hvm/chips.h"
#include "pv/pv.h"

#define GRANT_FRAMES_MAX  64
#define MAPTRACK_MAX      1024
#define MSR_RELAXED       1u /* arch.misc_flags */
#define EVTCHN_PORT_LIMIT (EVTCHN_FIFO_NR_CHANNELS - 1u)

/* Flags that mean nothing for a paravirtual guest, and those of a fully virtual one. */
#define FLAGS_PV  (XEN_DOMCTL_CDF_s3_integrity | XEN_DOMCTL_CDF_oos_off | XEN_DOMCTL_CDF_xs_domain)
#define FLAGS_HVM (XEN_DOMCTL_CDF_hvm | XEN_DOMCTL_CDF_hap)

/* ---- making ---- */

/* Numbers are given in turn, so that one that was just freed is not soon another's. */
static int choose_id(domid_t asked, domid_t *out)
{
    static uint32_t last; /* under the control lock */

    if (asked > 0 && asked < DOMID_FIRST_RESERVED) {
        *out = asked;
        return 0;
    }
    for (uint32_t i = 1; i < DOMID_FIRST_RESERVED; i++) {
        uint32_t id = (last + i) % DOMID_FIRST_RESERVED;

        if (id && !frame_owner_known((domid_t)id)) {
            last = id;
            *out = (domid_t)id;
            return 0;
        }
    }
    return refuse(-ENOMEM, "all numbers of domains are in use");
}

static int create_check_kind(const struct xen_domctl_createdomain *a)
{
    if (a->flags & ~(FLAGS_PV | FLAGS_HVM))
        return refuse(-EINVAL, "create: flags %#x", a->flags);
    if (!(a->flags & FLAGS_HVM))
        return a->arch.emulation_flags
                   ? refuse(-EOPNOTSUPP, "create: emulation of %#x", a->arch.emulation_flags)
                   : 0;
    if (!hvm_ops)
        return refuse(-EINVAL, "create: this machine has no fully virtual guests");
    if ((a->flags & FLAGS_HVM) != FLAGS_HVM)
        return refuse(-EINVAL, "create: flags %#x; there is no shadow paging", a->flags);
    if (a->arch.emulation_flags != XEN_X86_EMU_LAPIC)
        return refuse(-EOPNOTSUPP, "create: emulation of %#x", a->arch.emulation_flags);
    return 0;
}

static int create_check(const struct xen_domctl_createdomain *a)
{
    unsigned version = XEN_DOMCTL_GRANT_version(a->grant_opts);
    int rc = create_check_kind(a);

    if (rc)
        return rc;
    if (a->iommu_opts)
        return refuse(-EINVAL, "create: IOMMU options %#x without IOMMU", a->iommu_opts);
    if (a->vmtrace_size)
        return refuse(-EINVAL, "create: trace of %u bytes", a->vmtrace_size);
    if (a->arch.misc_flags & ~MSR_RELAXED)
        return refuse(-EINVAL, "create: flags %#x", a->arch.misc_flags);
    if ((a->grant_opts & ~XEN_DOMCTL_GRANT_version_mask) || version < 1 || version > 2)
        return refuse(-EINVAL, "create: grant options %#x", a->grant_opts);
    if (a->max_grant_frames == 0 || a->max_grant_frames > GRANT_FRAMES_MAX ||
        a->max_maptrack_frames > MAPTRACK_MAX)
        return refuse(-EINVAL, "create: %d grant frames, %d maptrack frames", a->max_grant_frames,
                      a->max_maptrack_frames);
    return 0;
}

long domctl_createdomain(struct domain *none, struct xen_domctl *op)
{
    const struct xen_domctl_createdomain *a = &op->u.createdomain;
    struct domain_config c = {
        .hvm = a->flags & XEN_DOMCTL_CDF_hvm,
        .emulated = a->arch.emulation_flags,
        .max_vcpus = a->max_vcpus,
        .max_evtchn_port = min(a->max_evtchn_port, EVTCHN_PORT_LIMIT),
        .max_grant_frames = GRANT_FRAMES_MAX,
        .max_maptrack_frames = MAPTRACK_MAX,
        .max_grant_version = XEN_DOMCTL_GRANT_version(a->grant_opts),
    };
    struct sched_pool *pool = sched_pool_find(a->cpupool_id, true);
    struct domain *d;
    int rc = create_check(a);

    if (rc)
        return rc;
    if (!pool || bitmap_empty(pool->cpus.bits, MAX_CPUS))
        return refuse(-EINVAL, "create: no CPU pool %u, or one without CPUs", a->cpupool_id);
    if (a->max_grant_frames > 0)
        c.max_grant_frames = (uint32_t)a->max_grant_frames;
    if (a->max_maptrack_frames >= 0)
        c.max_maptrack_frames = (uint32_t)a->max_maptrack_frames;
    memcpy(c.handle, a->handle, sizeof(c.handle));
    rc = choose_id(op->domain, &c.id);
    if (!rc)
        rc = domain_create(&c, &d);
    if (rc)
        return rc;
    if (sched_group_move(&d->sched, pool))
        BUG(); /* CPUs leave pools by control operations only */
    if (d->pv)
        d->pv->msr_relaxed = a->arch.misc_flags & MSR_RELAXED;
    lock(&d->lock);
    domain_wallclock_update(d);
    if (d->hvm)
        hvm_chips_time_offset(d, d->time_offset_s);
    unlock(&d->lock);
    op->domain = d->id;
    return 0;
}

long domctl_max_vcpus(struct domain *d, struct xen_domctl *op)
{
    struct vcpu *v;
    int rc = 0;

    if (op->u.max_vcpus.max != d->max_vcpus)
        return refuse(-EINVAL, "domain %u was made for %u vCPUs, not %u", d->id, d->max_vcpus,
                      op->u.max_vcpus.max);
    for (unsigned i = 0; i < d->max_vcpus && !rc; i++)
        rc = vcpu_create(d, i, &v);
    return rc;
}

/* ---- running ---- */

long domctl_pausedomain(struct domain *d, struct xen_domctl *op)
{
    domain_pause(d);
    return 0;
}

long domctl_unpausedomain(struct domain *d, struct xen_domctl *op)
{
    lock(&d->lock);
    d->created = true;
    unlock(&d->lock);
    return domain_unpause(d);
}

long domctl_resumedomain(struct domain *d, struct xen_domctl *op)
{
    domain_resume(d);
    return 0;
}

/* The tools hear of a suspension by the guest's own channel to them; 0: they do not. */
long domctl_subscribe(struct domain *d, struct xen_domctl *op)
{
    lock(&d->lock);
    d->suspend_port = op->u.subscribe.port;
    unlock(&d->lock);
    return 0;
}

long domctl_destroydomain(struct domain *d, struct xen_domctl *op)
{
    return domain_destroy(d); /* -ERESTART: called again */
}

/* ---- what it is ---- */

long domctl_getdomaininfo(struct domain *none, struct xen_domctl *op)
{
    struct domain *d;

    if (op->domain >= DOMID_FIRST_RESERVED)
        return refuse(-EINVAL, "information on domain %u", op->domain);
    d = domain_get_from(op->domain);
    if (!d)
        return refuse(-ESRCH, "no domain from %u on", op->domain);
    control_domain_info(d, &op->u.getdomaininfo);
    op->domain = d->id;
    domain_put(d);
    return 0;
}

long domctl_setdomainhandle(struct domain *d, struct xen_domctl *op)
{
    lock(&d->lock);
    memcpy(d->handle, op->u.setdomainhandle.handle, sizeof(d->handle));
    unlock(&d->lock);
    return 0;
}

long domctl_settimeoffset(struct domain *d, struct xen_domctl *op)
{
    lock(&d->lock);
    d->time_offset_s = op->u.settimeoffset.time_offset_seconds;
    domain_wallclock_update(d);
    unlock(&d->lock);
    return 0;
}

long domctl_set_virq_handler(struct domain *d, struct xen_domctl *op)
{
    return event_set_virq_handler(d, op->u.set_virq_handler.virq);
}
