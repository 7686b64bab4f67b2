/* SPDX-License-Identifier: MIT */
/* domctl: what a vCPU has in it: registers, extended state, MSRs. Each goes to a saved image and
 * comes back from one; tools look at it. Buffers are copied in or out while the domain is not
 * paused on their account, changes are made while it is. Public domctl.h; ABI.md 2.1, 5.3. */
#include "hypercall/control.h"

#include "cpu/xstate.h"
#include "hvm/hvm.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "memory/heap.h"
#include "pv/pv.h"

int control_vcpu(struct domain *d, uint32_t id, struct vcpu **out)
{
    if (id >= d->max_vcpus)
        return refuse(-EINVAL, "vCPU %u of domain %u, which may have %u", id, d->id, d->max_vcpus);
    *out = d->vcpu[index_nospec(id, d->max_vcpus)];
    return *out ? 0 : refuse(-ESRCH, "domain %u has no vCPU %u", d->id, id);
}

/* The same, of a paravirtual guest. */
static int pv_vcpu(struct domain *d, uint32_t id, struct vcpu **out)
{
    int rc = control_vcpu(d, id, out);

    if (!rc && !(*out)->pv)
        rc = refuse(-EOPNOTSUPP, "vCPU %u of domain %u is not paravirtual", id, d->id);
    return rc;
}

/* The same, of a guest whose registers have the form of vcpu_guest_context, of either kind. */
static int context_vcpu(struct domain *d, uint32_t id, struct vcpu **out)
{
    int rc = control_vcpu(d, id, out);

    return rc || (*out)->hvm ? rc : pv_vcpu(d, id, out);
}

/* ---- registers ---- */

/* d is paused. */
static long set_context(struct vcpu *v, const struct vcpu_guest_context *c)
{
    struct domain *d = v->domain;
    long rc;

    lock(&d->lock);
    rc = pv_vcpu_set_context(v, c);
    if (!rc)
        v->initialised = true;
    if (!rc && v->id == 0)
        domain_wallclock_update(d); /* builders clear the page that has it */
    unlock(&d->lock);
    if (rc)
        return rc;
    if (c->flags & VGCF_online)
        hypercall_vcpu_up(v);
    else
        vcpu_pause_set(v, VCPU_DOWN_BIT);
    return 0;
}

/* d is paused. Down first: nobody wakes it. */
static long reset_context(struct vcpu *v)
{
    struct domain *d = v->domain;
    long rc;

    vcpu_pause_set(v, VCPU_DOWN_BIT);
    lock(&d->lock);
    rc = pv_vcpu_reset(v);
    if (!rc)
        v->initialised = false;
    unlock(&d->lock);
    if (!rc) {
        timer_stop(&v->singleshot);
        timer_stop(&v->periodic);
        v->nmi_pending = false;
        vcpu_kick(v); /* it waits for nothing any more */
    }
    return rc;
}

long domctl_setvcpucontext(struct domain *d, struct xen_domctl *op)
{
    uint64_t va = handle_va(op->u.vcpucontext.ctxt);
    struct vcpu_guest_context *c = NULL;
    struct vcpu *v;
    long rc = context_vcpu(d, op->u.vcpucontext.vcpu, &v);

    if (rc)
        return rc;
    if (v->hvm && (!va || !v->initialised))
        return refuse(-EOPNOTSUPP, "vCPU %u of domain %u begins by its records", v->id, d->id);
    if (va) {
        c = heap_alloc(sizeof(*c));
        if (!c)
            return refuse(-ENOMEM, "no memory for a context");
        if (guest_read(c, va, sizeof(*c))) {
            heap_free(c);
            return -EFAULT;
        }
    }
    domain_pause(d);
    if (v->hvm)
        hvm_vcpu_set_context(v, c);
    else
        rc = c ? set_context(v, c) : reset_context(v);
    if (domain_unpause(d))
        rc = -EINVAL;
    heap_free(c);
    return rc;
}

long domctl_getvcpucontext(struct domain *d, struct xen_domctl *op)
{
    struct vcpu_guest_context *c;
    struct vcpu *v;
    long rc = context_vcpu(d, op->u.vcpucontext.vcpu, &v);

    if (rc == -ESRCH || (!rc && !v->initialised))
        return refuse(-ENODATA, "vCPU %u of domain %u has no context", op->u.vcpucontext.vcpu,
                      d->id);
    if (rc)
        return rc;
    c = heap_alloc(sizeof(*c));
    if (!c)
        return refuse(-ENOMEM, "no memory for a context");
    domain_pause(d);
    if (v->hvm)
        hvm_vcpu_get_context(v, c);
    else
        pv_vcpu_get_context(v, c);
    if (!(read_once(v->pause) & BIT(VCPU_DOWN_BIT)))
        c->flags |= VGCF_online;
    rc = domain_unpause(d);
    if (!rc && guest_write(handle_va(op->u.vcpucontext.ctxt), c, sizeof(*c)))
        rc = -EFAULT;
    heap_free(c);
    return rc;
}

long domctl_get_ext_vcpucontext(struct domain *d, struct xen_domctl *op)
{
    struct vcpu *v;
    long rc = pv_vcpu(d, op->u.ext_vcpucontext.vcpu, &v);

    if (rc)
        return rc;
    domain_pause(d);
    pv_vcpu_get_ext(v, &op->u.ext_vcpucontext);
    return domain_unpause(d);
}

long domctl_set_ext_vcpucontext(struct domain *d, struct xen_domctl *op)
{
    struct vcpu *v;
    long rc = pv_vcpu(d, op->u.ext_vcpucontext.vcpu, &v);

    if (rc)
        return rc;
    domain_pause(d);
    rc = pv_vcpu_set_ext(v, &op->u.ext_vcpucontext);
    return domain_unpause(d) ? -EINVAL : rc;
}

/* ---- extended state ---- */

long domctl_getvcpuextstate(struct domain *d, struct xen_domctl *op)
{
    struct xen_domctl_vcpuextstate *a = &op->u.vcpuextstate;
    uint64_t va = handle_va(a->buffer), room = a->size;
    struct pv_xstate *x;
    struct vcpu *v;
    long rc = pv_vcpu(d, a->vcpu, &v);

    if (rc)
        return rc;
    x = heap_alloc(sizeof(*x) + xstate_bytes);
    if (!x)
        return refuse(-ENOMEM, "no memory for extended state");
    domain_pause(d);
    a->size = pv_vcpu_xstate_size(v);
    a->xfeature_mask = pv_vcpu_xstate_mask(v);
    if (a->size)
        pv_vcpu_get_xstate(v, x);
    rc = domain_unpause(d);
    if (!rc && room && va) { /* else a question for the size */
        if (room != a->size)
            rc = refuse(-EINVAL, "extended state of %lu bytes, room for %lu", a->size, room);
        else
            rc = guest_write(va, x, room);
    }
    heap_free(x);
    return rc;
}

long domctl_setvcpuextstate(struct domain *d, struct xen_domctl *op)
{
    const struct xen_domctl_vcpuextstate *a = &op->u.vcpuextstate;
    struct pv_xstate *x;
    struct vcpu *v;
    long rc = pv_vcpu(d, a->vcpu, &v);

    if (rc)
        return rc;
    if (a->size < sizeof(*x) || a->size > sizeof(*x) + xstate_bytes)
        return refuse(-EINVAL, "extended state of %lu bytes", a->size);
    x = heap_alloc(a->size);
    if (!x)
        return refuse(-ENOMEM, "no memory for extended state");
    if (guest_read(x, handle_va(a->buffer), a->size)) {
        rc = -EFAULT;
    } else {
        domain_pause(d);
        rc = pv_vcpu_set_xstate(v, x, a->size);
        if (domain_unpause(d))
            rc = -EINVAL;
    }
    heap_free(x);
    return rc;
}

/* ---- MSRs ---- */

long domctl_get_vcpu_msrs(struct domain *d, struct xen_domctl *op)
{
    struct xen_domctl_vcpu_msrs *a = &op->u.vcpu_msrs;
    struct xen_domctl_vcpu_msr msrs[PV_MSRS];
    uint32_t room = a->msr_count;
    struct vcpu *v;
    long rc = pv_vcpu(d, a->vcpu, &v);

    if (rc)
        return rc;
    a->msr_count = PV_MSRS;
    if (!handle_va(a->msrs))
        return 0;
    memset(msrs, 0, sizeof(msrs));
    domain_pause(d);
    a->msr_count = pv_vcpu_get_msrs(v, msrs);
    rc = domain_unpause(d);
    if (rc)
        return rc;
    if (room < a->msr_count)
        return refuse(-ENOBUFS, "room for %u MSRs of %u", room, a->msr_count);
    return guest_write(handle_va(a->msrs), msrs, a->msr_count * sizeof(msrs[0]));
}

long domctl_set_vcpu_msrs(struct domain *d, struct xen_domctl *op)
{
    struct xen_domctl_vcpu_msrs *a = &op->u.vcpu_msrs;
    struct xen_domctl_vcpu_msr msrs[PV_MSRS];
    struct vcpu *v;
    long rc = pv_vcpu(d, a->vcpu, &v);

    if (rc)
        return rc;
    if (a->msr_count > PV_MSRS)
        return refuse(-EINVAL, "%u MSRs", a->msr_count);
    if (guest_read(msrs, handle_va(a->msrs), a->msr_count * sizeof(msrs[0])))
        return -EFAULT;
    domain_pause(d);
    rc = pv_vcpu_set_msrs(v, msrs, &a->msr_count);
    return domain_unpause(d) ? -EINVAL : rc;
}
