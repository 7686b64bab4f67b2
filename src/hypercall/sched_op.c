/* SPDX-License-Identifier: MIT */
/* The sched_op hypercall: giving the CPU away, waiting for events, shutting down, watchdogs. Public
 * sched.h; ABI.md 2.11.
 *
 * A vCPU that waits is taken off its CPU on the way out of the hypercall, which has returned 0
 * already. So each wait first says that it waits and then looks whether there is a reason not to:
 * who raises an event does the two in the other order. */
#include "hypercall/part.h"
#include "domain/guest_copy.h"
#include "event/event.h"
#include "time/clock.h"
#include "time/trace.h"

#define POLL_PORTS 128u

static long op_yield(struct vcpu *v, uint64_t arg)
{
    TRACE(TRC_SCHED_YIELD, v->domain->id, v->id);
    sched_unit_yield();
    return 0;
}

static long op_block(struct vcpu *v, uint64_t arg)
{
    struct vcpu_info *info = v->info;

    if (!info)
        return refuse(-EINVAL, "block: vCPU %u has no vcpu_info", v->id);
    __atomic_store_n(&info->evtchn_upcall_mask, 0, __ATOMIC_SEQ_CST);
    if (vcpu_event_pending(v))
        return 0;
    TRACE(TRC_SCHED_BLOCK, v->domain->id, v->id);
    vcpu_pause_set(v, VCPU_BLOCKED_BIT);
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    if (vcpu_event_pending(v))
        vcpu_pause_clear(v, VCPU_BLOCKED_BIT);
    return 0;
}

static long op_shutdown(struct vcpu *v, uint64_t arg)
{
    struct sched_shutdown a;

    if (guest_read(&a, arg, sizeof(a)))
        return -EFAULT;
    if (a.reason > SHUTDOWN_MAX)
        return refuse(-EINVAL, "shutdown for reason %u", a.reason);
    domain_shutdown(v->domain, (uint8_t)a.reason);
    return 0;
}

static long op_shutdown_code(struct vcpu *v, uint64_t arg)
{
    struct domain *d = v->domain;
    struct sched_shutdown a;

    if (guest_read(&a, arg, sizeof(a)))
        return -EFAULT;
    if (a.reason > SHUTDOWN_MAX)
        return refuse(-EINVAL, "shutdown code %u", a.reason);
    lock(&d->lock);
    if (!d->shutting_down)
        d->shutdown_code = (uint8_t)a.reason;
    unlock(&d->lock);
    return 0;
}

static long op_remote_shutdown(struct vcpu *v, uint64_t arg)
{
    struct sched_remote_shutdown a;
    struct domain *d;
    long rc = 0;

    if (guest_read(&a, arg, sizeof(a)))
        return -EFAULT;
    d = domain_get(a.domain_id);
    if (!d)
        return refuse(-ESRCH, "remote shutdown: no domain %u", a.domain_id);
    if (!v->domain->privileged || d == v->domain)
        rc = refuse(-EPERM, "remote shutdown of domain %u", d->id);
    else if (a.reason > SHUTDOWN_MAX)
        rc = refuse(-EINVAL, "remote shutdown for reason %u", a.reason);
    else
        domain_shutdown(d, (uint8_t)a.reason);
    domain_put(d);
    return rc;
}

/* ---- poll ---- */

void sched_op_poll_timed_out(void *data)
{
    event_poll_end(data);
}

/* Is there a reason not to wait? 1, 0, or -EINVAL for a port that does not exist. */
static int poll_ready(struct vcpu *v, const evtchn_port_t *ports, unsigned n)
{
    if (vcpu_event_pending(v))
        return 1;
    for (unsigned i = 0; i < n; i++) {
        int pending = event_port_pending(v->domain, ports[i]);

        if (pending < 0)
            return refuse(pending, "poll: no event channel %u", ports[i]);
        if (pending)
            return 1;
    }
    return 0;
}

static long op_poll(struct vcpu *v, uint64_t arg)
{
    struct sched_poll a;
    evtchn_port_t ports[POLL_PORTS];
    int rc;

    if (guest_read(&a, arg, sizeof(a)))
        return -EFAULT;
    if (a.nr_ports > POLL_PORTS)
        return refuse(-EINVAL, "poll of %u event channels", a.nr_ports);
    if (guest_read(ports, handle_va(a.ports), a.nr_ports * sizeof(ports[0])))
        return -EFAULT;

    timer_stop(&v->poll_timer);
    write_once(v->poll_port, a.nr_ports == 1 ? ports[0] : 0);
    event_poll_start(v);
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    rc = poll_ready(v, ports, a.nr_ports);
    if (rc) {
        event_poll_end(v);
        return min(rc, 0);
    }
    if (a.timeout)
        timer_set(&v->poll_timer, a.timeout);
    return 0;
}

/* ---- watchdogs ---- */

/* An armed watchdog holds a reference to its domain. */
static void watchdog_fired(void *data)
{
    struct domain_watchdog *w = data;
    struct domain *d = w->domain;

    domain_shutdown(d, SHUTDOWN_watchdog);
    if (__atomic_exchange_n(&w->armed, false, __ATOMIC_SEQ_CST))
        domain_put(d);
}

static void watchdog_arm(struct domain *d, struct domain_watchdog *w, uint32_t seconds)
{
    if (!w->domain) {
        w->domain = d;
        timer_init(&w->timer, watchdog_fired, w);
    }
    if (!__atomic_exchange_n(&w->armed, true, __ATOMIC_SEQ_CST))
        __atomic_fetch_add(&d->refs, 1, __ATOMIC_RELAXED);
    timer_set(&w->timer, time_now() + seconds * 1000000000ull);
}

static void watchdog_disarm(struct domain *d, struct domain_watchdog *w)
{
    timer_stop(&w->timer);
    if (__atomic_exchange_n(&w->armed, false, __ATOMIC_SEQ_CST))
        domain_put(d); /* never the last one: d is the caller's */
    w->used = false;
}

static long watchdog(struct domain *d, const struct sched_watchdog *a)
{
    struct domain_watchdog *w;

    if (a->id) {
        w = &d->watchdog[index_nospec(a->id - 1, DOMAIN_WATCHDOGS)];
        if (!w->used)
            return refuse(-EINVAL, "watchdog %u is not set", a->id);
        if (a->timeout)
            watchdog_arm(d, w, a->timeout);
        else
            watchdog_disarm(d, w);
        return 0;
    }
    for (unsigned i = 0; i < DOMAIN_WATCHDOGS; i++) {
        w = &d->watchdog[i];
        if (!w->used) {
            w->used = true;
            watchdog_arm(d, w, a->timeout);
            return i + 1;
        }
    }
    return refuse(-EEXIST, "all %u watchdogs are in use", DOMAIN_WATCHDOGS);
}

void sched_op_watchdogs_stop(struct domain *d)
{
    for (unsigned i = 0; i < DOMAIN_WATCHDOGS; i++) {
        struct domain_watchdog *w = &d->watchdog[i];

        if (!w->used)
            continue;
        lock(&d->lock);
        watchdog_disarm(d, w);
        unlock(&d->lock);
        timer_kill(&w->timer); /* the handler may be under way, and it looks at the domain */
    }
}

static long op_watchdog(struct vcpu *v, uint64_t arg)
{
    struct domain *d = v->domain;
    struct sched_watchdog a;
    long rc;

    if (guest_read(&a, arg, sizeof(a)))
        return -EFAULT;
    if (a.id > DOMAIN_WATCHDOGS || (!a.id && !a.timeout))
        return refuse(-EINVAL, "watchdog %u, time out %u", a.id, a.timeout);
    lock(&d->lock);
    rc = watchdog(d, &a);
    unlock(&d->lock);
    return rc;
}

/* ---- the table ---- */

static long op_pin_override(struct vcpu *v, uint64_t arg)
{
    struct sched_pin_override a;
    int pin = sched_whole(&v->unit)->pin;

    if (!v->domain->hardware)
        return refuse(-EPERM, "pin override: domain %u has no hardware", v->domain->id);
    if (guest_read(&a, arg, sizeof(a)))
        return -EFAULT;
    if (a.pcpu >= MAX_CPUS || (a.pcpu >= 0 && !bitmap_test(cpus_active.bits, (size_t)a.pcpu)))
        return refuse(-EINVAL, "pin override: no CPU %d", a.pcpu);
    if (a.pcpu >= 0 && pin >= 0 && pin != a.pcpu)
        return refuse(-EBUSY, "pin override: vCPU %u is pinned to CPU %d", v->id, pin);
    if (sched_pin(&v->unit, a.pcpu))
        return refuse(-EINVAL, "pin override: CPU %d is in another pool", a.pcpu);
    return 0;
}

static long (*const ops[])(struct vcpu *v, uint64_t arg) = {
    [SCHEDOP_yield] = op_yield,
    [SCHEDOP_block] = op_block,
    [SCHEDOP_shutdown] = op_shutdown,
    [SCHEDOP_poll] = op_poll,
    [SCHEDOP_remote_shutdown] = op_remote_shutdown,
    [SCHEDOP_shutdown_code] = op_shutdown_code,
    [SCHEDOP_watchdog] = op_watchdog,
    [SCHEDOP_pin_override] = op_pin_override,
};

long sched_op(uint32_t cmd, uint64_t arg)
{
    if (cmd >= ARRAY_SIZE(ops))
        return refuse(-ENOSYS, "sched_op %u", cmd);
    return ops[index_nospec(cmd, ARRAY_SIZE(ops))](current(), arg);
}
