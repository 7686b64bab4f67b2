/* SPDX-License-Identifier: MIT */
/* The vcpu_op hypercall, and set_timer_op: bringing vCPUs up and down, the memory they share with
 * the guest, their timers. Public vcpu.h; ABI.md 2.12. */
#include "hypercall/part.h"
#include "base/softirq.h"
#include "domain/continuation.h"
#include "domain/guest_copy.h"
#include "event/event.h"
#include "lib/string.h"
#include "memory/heap.h"
#include "pv/pv.h"
#include "time/clock.h"

#define PERIOD_MIN 1000000ull /* ns */

/* ---- up and down ---- */

static long op_initialise(struct vcpu *v, uint64_t arg)
{
    struct domain *d = v->domain;
    struct vcpu_guest_context *c;
    long rc;

    if (d->hvm)
        return refuse(-EOPNOTSUPP, "initialise: vCPU %u is not paravirtual", v->id);
    if (v->id >= LEGACY_VCPUS && !v->info_registered)
        return refuse(-EINVAL, "initialise: vCPU %u has no vcpu_info", v->id);
    c = heap_alloc(sizeof(*c));
    if (!c)
        return refuse(-ENOMEM, "no memory for a context");
    if (guest_read(c, arg, sizeof(*c))) {
        rc = -EFAULT;
    } else {
        lock(&d->lock);
        if (v->initialised)
            rc = refuse(-EEXIST, "vCPU %u has a context", v->id);
        else
            rc = pv_vcpu_set_context(v, c);
        if (!rc)
            v->initialised = true;
        unlock(&d->lock);
    }
    heap_free(c);
    if (rc == -ERESTART)
        return hypercall_continue_with(__HYPERVISOR_vcpu_op, VCPUOP_initialise, v->id, arg);
    return rc;
}

void hypercall_vcpu_up(struct vcpu *v)
{
    uint64_t period = read_once(v->period);

    if (period)
        timer_set(&v->periodic, time_now() + period);
    vcpu_pause_clear(v, VCPU_DOWN_BIT);
}

static long op_up(struct vcpu *v, uint64_t arg)
{
    struct domain *d = v->domain;
    bool ready;

    lock(&d->lock);
    ready = v->initialised;
    if (ready)
        hypercall_vcpu_up(v);
    unlock(&d->lock);
    return ready ? 0 : refuse(-EINVAL, "up: vCPU %u has no context", v->id);
}

static long op_down(struct vcpu *v, uint64_t arg)
{
    vcpu_down(v);
    return 0;
}

static long op_is_up(struct vcpu *v, uint64_t arg)
{
    return vcpu_is_up(v);
}

static long op_send_nmi(struct vcpu *v, uint64_t arg)
{
    if (!__atomic_exchange_n(&v->nmi_pending, true, __ATOMIC_SEQ_CST)) {
        vcpu_kick(v);
        softirq_raise_on(read_once(v->unit.cpu), SOFTIRQ_GUEST);
    }
    return 0;
}

static long op_get_physid(struct vcpu *v, uint64_t arg)
{
    return refuse(-EINVAL, "vCPU %u is not tied to a processor", v->id);
}

/* ---- shared memory ---- */

/* The new place takes over the old one's contents. Then everything is marked pending: an event that
 * was raised at the old place meanwhile has its bit in the lower level, and the guest looks. */
static int move_info(struct vcpu *v, const struct vcpu_register_vcpu_info *a)
{
    struct domain *d = v->domain;
    struct vcpu_info *info;
    mfn_t m;

    if (v->info_registered)
        return refuse(-EINVAL, "vcpu_info of vCPU %u is registered", v->id);
    if (v != current() && vcpu_is_up(v))
        return refuse(-EINVAL, "vcpu_info of vCPU %u, which is up", v->id);
    if (domain_get_writable(d, a->mfn, &m))
        return -EINVAL;
    info = (void *)((char *)mfn_to_virt(m) + a->offset);
    if (v->id < LEGACY_VCPUS && v->info) {
        memmove(info, v->info, sizeof(*info)); /* both may be in shared_info */
    } else {
        memset(info, 0, sizeof(*info));
        info->evtchn_upcall_mask = 1;
    }
    v->info_mfn = m;
    v->info_registered = true;
    __atomic_store_n(&v->info, info, __ATOMIC_SEQ_CST);
    if (v == current())
        cpu_local()->upcall = (uint64_t *)info;
    event_vcpu_info_moved(v);
    return 0;
}

static long op_register_vcpu_info(struct vcpu *v, uint64_t arg)
{
    struct vcpu_register_vcpu_info a;
    long rc;

    if (guest_read(&a, arg, sizeof(a)))
        return -EFAULT;
    if (a.offset > PAGE_SIZE - sizeof(struct vcpu_info) || a.offset % 8)
        return refuse(-ENXIO, "vcpu_info at offset %x", a.offset);
    lock(&v->domain->lock);
    rc = move_info(v, &a);
    unlock(&v->domain->lock);
    if (!rc && v == current())
        vcpu_time_update(v);
    return rc;
}

static long op_get_runstate_info(struct vcpu *v, uint64_t arg)
{
    struct vcpu_runstate_info r;
    uint64_t now = vcpu_runstate_get(v, &r);

    /* The state it is in lasts up to this moment. */
    r.time[r.state] += now - r.state_entry_time;
    return guest_write(arg, &r, sizeof(r));
}

static long op_register_runstate(struct vcpu *v, uint64_t arg)
{
    struct vcpu_register_runstate_memory_area a;
    struct vcpu_runstate_info r;
    bool written maybe_unused;

    if (guest_read(&a, arg, sizeof(a)))
        return -EFAULT;
    if (a.addr.p && !guest_range_ok(a.addr.p, sizeof(r)))
        return refuse(-EFAULT, "runstate area at %lx", a.addr.p);
    write_once(v->runstate_va, a.addr.p);
    if (!a.addr.p)
        return 0;
    (void)vcpu_runstate_get(v, &r);
    /* The area is at hand only while v's page tables are loaded; if v is another, ours may do. What
     * faults now is written when v runs. */
    written = !guest_write(a.addr.p, &r, sizeof(r));
    return 0;
}

static long op_register_time(struct vcpu *v, uint64_t arg)
{
    struct vcpu_register_time_memory_area a;

    if (guest_read(&a, arg, sizeof(a)))
        return -EFAULT;
    if (a.addr.p && !guest_range_ok(a.addr.p, sizeof(struct vcpu_time_info)))
        return refuse(-EFAULT, "time area at %lx", a.addr.p);
    write_once(v->time_info_va, a.addr.p);
    if (v == current())
        vcpu_time_update(v);
    return 0;
}

/* ---- timers ---- */

void vcpu_op_singleshot_fired(void *data)
{
    event_send_vcpu_virq(data, VIRQ_TIMER);
}

void vcpu_op_periodic_fired(void *data)
{
    struct vcpu *v = data;
    uint64_t period = read_once(v->period);

    if (!period || !vcpu_is_up(v))
        return;
    event_send_vcpu_virq(v, VIRQ_TIMER);
    timer_set(&v->periodic, time_now() + period);
}

/* A timer works on the CPU where its vCPU was when it was set. */
static void vcpu_timer_set(struct timer *t, struct vcpu *v, uint64_t ns)
{
    if (v == current() && read_once(t->cpu) != cpu_id())
        timer_move(t, cpu_id());
    timer_set(t, ns);
}

static long op_set_periodic_timer(struct vcpu *v, uint64_t arg)
{
    struct vcpu_set_periodic_timer a;

    if (guest_read(&a, arg, sizeof(a)))
        return -EFAULT;
    if (a.period_ns < PERIOD_MIN || a.period_ns > INT64_MAX)
        return refuse(-EINVAL, "periodic timer: %lu ns", a.period_ns);
    write_once(v->period, a.period_ns);
    vcpu_timer_set(&v->periodic, v, time_now() + a.period_ns);
    return 0;
}

static long op_stop_periodic_timer(struct vcpu *v, uint64_t arg)
{
    write_once(v->period, 0);
    timer_stop(&v->periodic);
    return 0;
}

static long op_set_singleshot_timer(struct vcpu *v, uint64_t arg)
{
    struct vcpu_set_singleshot_timer a;

    if (v != current())
        return refuse(-EINVAL, "single-shot timer of vCPU %u, which is another", v->id);
    if (guest_read(&a, arg, sizeof(a)))
        return -EFAULT;
    /* VCPU_SSHOTTMR_future is ignored, as Xen 4.17 does: one in the past fires at once. */
    vcpu_timer_set(&v->singleshot, v, a.timeout_abs_ns);
    return 0;
}

static long op_stop_singleshot_timer(struct vcpu *v, uint64_t arg)
{
    if (v != current())
        return refuse(-EINVAL, "single-shot timer of vCPU %u, which is another", v->id);
    timer_stop(&v->singleshot);
    return 0;
}

long set_timer_op(uint64_t ns)
{
    struct vcpu *v = current();

    if (!ns)
        return op_stop_singleshot_timer(v, 0);
    vcpu_timer_set(&v->singleshot, v, ns);
    return 0;
}

/* ---- the table ---- */

static long (*const ops[])(struct vcpu *v, uint64_t arg) = {
    [VCPUOP_initialise] = op_initialise,
    [VCPUOP_up] = op_up,
    [VCPUOP_down] = op_down,
    [VCPUOP_is_up] = op_is_up,
    [VCPUOP_get_runstate_info] = op_get_runstate_info,
    [VCPUOP_register_runstate_memory_area] = op_register_runstate,
    [VCPUOP_set_periodic_timer] = op_set_periodic_timer,
    [VCPUOP_stop_periodic_timer] = op_stop_periodic_timer,
    [VCPUOP_set_singleshot_timer] = op_set_singleshot_timer,
    [VCPUOP_stop_singleshot_timer] = op_stop_singleshot_timer,
    [VCPUOP_register_vcpu_info] = op_register_vcpu_info,
    [VCPUOP_send_nmi] = op_send_nmi,
    [VCPUOP_get_physid] = op_get_physid,
    [VCPUOP_register_vcpu_time_memory_area] = op_register_time,
};

long vcpu_op(uint32_t cmd, uint32_t vcpuid, uint64_t arg)
{
    struct domain *d = current()->domain;
    struct vcpu *v = NULL;

    if (vcpuid < d->max_vcpus)
        v = d->vcpu[index_nospec(vcpuid, d->max_vcpus)];
    if (!v)
        return -ENOENT; /* kernels ask for every number at boot: not worth a note */
    if (cmd >= ARRAY_SIZE(ops))
        return refuse(-ENOSYS, "vcpu_op %u", cmd);
    return ops[index_nospec(cmd, ARRAY_SIZE(ops))](v, arg);
}
