/* SPDX-License-Identifier: MIT */
/* The hvm_op hypercall: parameters of fully virtual domains. Public hvm/hvm_op.h and params.h;
 * ABI.md 2.7 and 4.5. */
#include <xen/hvm/hvm_op.h>
#include "domain/guest_copy.h"
#include "hvm/chips.h"
#include "hypercall/ops.h"
#include "lib/errno.h"

#define BY_GUEST_SET 1u /* a guest may set its own */
#define BY_GUEST_GET 2u
#define ONCE         4u /* not changed any more once it is not zero */
#define BY_TOOLS     8u /* exists */

static const uint8_t rights[HVM_NR_PARAMS] = {
    [HVM_PARAM_CALLBACK_IRQ] = BY_GUEST_SET | BY_GUEST_GET | BY_TOOLS,
    [HVM_PARAM_STORE_PFN] = BY_GUEST_GET | BY_TOOLS,
    [HVM_PARAM_STORE_EVTCHN] = BY_GUEST_SET | BY_GUEST_GET | BY_TOOLS,
    [HVM_PARAM_IOREQ_PFN] = ONCE | BY_TOOLS,
    [HVM_PARAM_BUFIOREQ_PFN] = ONCE | BY_TOOLS,
    [HVM_PARAM_VIRIDIAN] = ONCE | BY_TOOLS,
    [HVM_PARAM_TIMER_MODE] = BY_TOOLS,
    [HVM_PARAM_HPET_ENABLED] = BY_TOOLS,
    [HVM_PARAM_IDENT_PT] = BY_TOOLS,
    [HVM_PARAM_ACPI_S_STATE] = BY_TOOLS,
    [HVM_PARAM_VM86_TSS] = BY_GUEST_SET | BY_GUEST_GET | BY_TOOLS,
    [HVM_PARAM_VPT_ALIGN] = BY_TOOLS,
    [HVM_PARAM_CONSOLE_PFN] = BY_GUEST_GET | BY_TOOLS,
    [HVM_PARAM_CONSOLE_EVTCHN] = BY_GUEST_SET | BY_GUEST_GET | BY_TOOLS,
    [HVM_PARAM_ACPI_IOPORTS_LOCATION] = BY_GUEST_SET | BY_GUEST_GET | BY_TOOLS,
    [HVM_PARAM_PAGING_RING_PFN] = BY_TOOLS,
    [HVM_PARAM_MONITOR_RING_PFN] = BY_TOOLS,
    [HVM_PARAM_SHARING_RING_PFN] = BY_TOOLS,
    [HVM_PARAM_TRIPLE_FAULT_REASON] = BY_TOOLS,
    [HVM_PARAM_IOREQ_SERVER_PFN] = ONCE | BY_TOOLS,
    [HVM_PARAM_NR_IOREQ_SERVER_PAGES] = ONCE | BY_TOOLS,
    [HVM_PARAM_VM_GENERATION_ID_ADDR] = BY_GUEST_SET | BY_GUEST_GET | BY_TOOLS,
    [HVM_PARAM_ALTP2M] = BY_GUEST_GET | ONCE | BY_TOOLS,
    [HVM_PARAM_X87_FIP_WIDTH] = BY_GUEST_SET | BY_GUEST_GET | BY_TOOLS,
    [HVM_PARAM_VM86_TSS_SIZED] = BY_GUEST_SET | BY_GUEST_GET | BY_TOOLS,
    [HVM_PARAM_MCA_CAP] = ONCE | BY_TOOLS,
};

/* May the caller do this to d? `right`: what a guest needs for itself. */
static int check(const struct domain *d, uint32_t index, unsigned right)
{
    if (!d->hvm)
        return refuse(-EINVAL, "parameters of domain %u, which is not fully virtual", d->id);
    if (index >= HVM_NR_PARAMS || !rights[index_nospec(index, HVM_NR_PARAMS)])
        return refuse(-EINVAL, "there is no parameter %u", index);
    if (d == current()->domain && !d->privileged &&
        !(rights[index_nospec(index, HVM_NR_PARAMS)] & right))
        return refuse(-EPERM, "parameter %u is not the guest's", index);
    return 0;
}

/* Values that this version can serve. */
static int value_check(uint32_t index, uint64_t value)
{
    bool bad = false;

    switch (index) {
    case HVM_PARAM_TIMER_MODE:
        bad = value > HVMPTM_one_missed_tick_pending;
        break;
    case HVM_PARAM_ACPI_IOPORTS_LOCATION:
        bad = value > 1;
        break;
    case HVM_PARAM_VIRIDIAN:
    case HVM_PARAM_ALTP2M:
    case HVM_PARAM_MCA_CAP:
        bad = value != 0;
        break;
    default:
        break;
    }
    return bad ? refuse(-EINVAL, "parameter %u = %#lx", index, value) : 0;
}

static int param_set(struct domain *d, const struct xen_hvm_param *a)
{
    uint64_t *p;
    int rc = check(d, a->index, BY_GUEST_SET);

    if (!rc)
        rc = value_check(a->index, a->value);
    if (rc)
        return rc;
    p = &d->hvm_domain->param[index_nospec(a->index, HVM_NR_PARAMS)];
    lock(&d->lock);
    if (rights[a->index] & ONCE && *p && *p != a->value)
        rc = refuse(-EEXIST, "parameter %u is %#lx already", a->index, *p);
    else
        write_once(*p, a->value);
    if (!rc)
        hvm_chips_param(d, a->index, a->value);
    unlock(&d->lock);
    return rc;
}

static int param_get(struct domain *d, struct xen_hvm_param *a)
{
    int rc = check(d, a->index, BY_GUEST_GET);

    if (!rc)
        a->value = read_once(d->hvm_domain->param[index_nospec(a->index, HVM_NR_PARAMS)]);
    return rc;
}

static long op_param(uint32_t cmd, uint64_t arg)
{
    struct xen_hvm_param a;
    struct domain *d;
    long rc;

    if (guest_read(&a, arg, sizeof(a)))
        return -EFAULT;
    d = domain_get(a.domid);
    if (!d)
        return refuse(-ESRCH, "parameters of domain %u: there is none", a.domid);
    if (d != current()->domain && !current()->domain->privileged)
        rc = refuse(-EPERM, "parameters of domain %u", d->id);
    else if (cmd == HVMOP_set_param)
        rc = param_set(d, &a);
    else
        rc = param_get(d, &a);
    domain_put(d);
    if (!rc && cmd == HVMOP_get_param)
        rc = guest_write(arg, &a, sizeof(a));
    return rc;
}

/* Events of that vCPU come as an interrupt of its local APIC from now on. */
static long op_upcall_vector(uint64_t arg)
{
    const struct domain *d = current()->domain;
    struct xen_hvm_evtchn_upcall_vector a;
    struct vcpu *v = NULL;

    if (guest_read(&a, arg, sizeof(a)))
        return -EFAULT;
    if (!d->hvm || a.vector < 0x10)
        return refuse(-EINVAL, "upcall vector %u", a.vector);
    if (a.vcpu < d->max_vcpus)
        v = d->vcpu[index_nospec(a.vcpu, d->max_vcpus)];
    if (!v)
        return refuse(-ENOENT, "upcall vector of vCPU %u: there is none", a.vcpu);
    write_once(v->hvm->upcall_vector, a.vector);
    if (v->info && read_once(v->info->evtchn_upcall_pending))
        hvm_upcall(v);
    return 0;
}

long hvm_op(uint32_t cmd, uint64_t arg)
{
    switch (cmd) {
    case HVMOP_set_param:
    case HVMOP_get_param:
        return op_param(cmd, arg);
    case HVMOP_set_evtchn_upcall_vector:
        return op_upcall_vector(arg);
    case HVMOP_pagetable_dying:
        return refuse(-EINVAL, "pagetable_dying: page tables are not shadowed");
    default:
        return refuse(-ENOSYS, "hvm_op %u", cmd);
    }
}
