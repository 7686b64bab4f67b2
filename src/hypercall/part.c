/* SPDX-License-Identifier: MIT */
/* What hypercalls of this directory leave behind in a domain, from its making to its end: the
 * timers of each vCPU, the frames of registered vcpu_infos, watchdogs, the memory map. */
#include "hypercall/part.h"
#include "memory/heap.h"

/* A registered vcpu_info is the hypervisor's use of a guest's frame. */
static void audit_count(void)
{
    struct domain *d;
    struct vcpu *v;

    for_each_domain (d)
        for_each_vcpu (d, v)
            if (v->info_registered)
                frame_audit_use(v->info_mfn, FRAME_WRITABLE);
}

static int domain_init_part(struct domain *d, const struct domain_config *c)
{
    static struct frame_audit_source source sealed = {.name = "vcpu_info", .count = audit_count};
    static bool known;

    if (!__atomic_exchange_n(&known, true, __ATOMIC_RELAXED))
        frame_audit_register(&source);
    return 0;
}

static int vcpu_init(struct vcpu *v)
{
    timer_init(&v->singleshot, vcpu_op_singleshot_fired, v);
    timer_init(&v->periodic, vcpu_op_periodic_fired, v);
    timer_init(&v->poll_timer, sched_op_poll_timed_out, v);
    v->period = PERIOD_DEFAULT;
    return 0;
}

static void stop_timers(struct vcpu *v)
{
    if (!v->singleshot.fn) /* vcpu_init was never called */
        return;
    write_once(v->period, 0);
    timer_kill(&v->singleshot);
    timer_kill(&v->periodic);
    timer_kill(&v->poll_timer);
}

/* No vCPU runs, and no event is raised any more. */
static int release(struct domain *d)
{
    struct vcpu *v;

    sched_op_watchdogs_stop(d);
    for_each_vcpu (d, v) {
        stop_timers(v);
        if (!v->info_registered)
            continue;
        __atomic_store_n(&v->info, NULL, __ATOMIC_SEQ_CST);
        v->info_registered = false;
        frame_put_writable(v->info_mfn);
        v->info_mfn = INVALID_MFN;
    }
    return 0;
}

static void domain_free(struct domain *d)
{
    heap_free(d->memory_map);
    d->memory_map = NULL;
}

const struct domain_part hypercall_part = {
    .name = "hypercalls",
    .domain_init = domain_init_part,
    .vcpu_init = vcpu_init,
    .domain_release = release,
    .vcpu_free = stop_timers,
    .domain_free = domain_free,
};
