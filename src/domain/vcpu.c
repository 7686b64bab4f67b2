/* SPDX-License-Identifier: MIT */
/* vCPUs: made, blocked and woken, their share of time accounted and their clock kept. */
#include "domain/domain.h"

#include "base/softirq.h"
#include "domain/guest_copy.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "memory/heap.h"
#include "time/clock.h"
#include "time/trace.h"

#define EMULATED_KHZ 1000000u /* unless told otherwise: a tick is a ns */

int vcpu_create(struct domain *d, unsigned id, struct vcpu **out)
{
    struct vcpu *v;
    int rc = 0;

    if (id >= d->max_vcpus)
        return refuse(-EINVAL, "vCPU %u of domain %u, which may have %u", id, d->id, d->max_vcpus);
    if (d->vcpu[id]) {
        *out = d->vcpu[id];
        return 0;
    }
    v = heap_zalloc(sizeof(*v));
    if (!v)
        return -ENOMEM;
    v->id = id;
    v->domain = d;
    v->pause = BIT(VCPU_DOWN_BIT) | (d->pause_count ? BIT(VCPU_PAUSED_BIT) : 0);
    v->info_mfn = INVALID_MFN;
    v->info = id < LEGACY_VCPUS ? (struct vcpu_info *)&d->shared_info->vcpu_info[id] : NULL;
    if (v->info)
        v->info->evtchn_upcall_mask = 1;
    lock_init(&v->runstate_lock, RANK_RUNSTATE, "runstate");
    v->runstate.state = RUNSTATE_offline;
    v->runstate.state_entry_time = time_now();
    rc = sched_unit_init(&v->unit, &d->sched, cpu_id());
    for (unsigned p = 0; !rc && p < DOMAIN_PARTS && domain_parts[p]; p++)
        if (domain_parts[p]->vcpu_init)
            rc = domain_parts[p]->vcpu_init(v);
    if (rc) {
        for (unsigned p = 0; p < DOMAIN_PARTS && domain_parts[p]; p++)
            if (domain_parts[p]->vcpu_free)
                domain_parts[p]->vcpu_free(v);
        sched_unit_destroy(&v->unit);
        heap_free(v);
        return rc;
    }
    d->vcpu[id] = v;
    *out = v;
    return 0;
}

/* Tells the scheduler what `pause` says. Who sets a bit and who clears one may come here in the
 * other order, so each looks again after it has spoken. */
static void tell_scheduler(struct vcpu *v)
{
    bool run;

    do {
        run = !__atomic_load_n(&v->pause, __ATOMIC_SEQ_CST);
        if (run)
            sched_wake(&v->unit);
        else
            sched_sleep(&v->unit);
    } while (run != !__atomic_load_n(&v->pause, __ATOMIC_SEQ_CST));
}

/* [RUNSTATE] */
static void runstate_set(struct vcpu *v, int state)
{
    uint64_t now;

    if (v->runstate.state == state)
        return;
    TRACE(TRC_SCHED_RUNSTATE_CHANGE | (v->runstate.state & 3u) << 8 | ((unsigned)state & 3) << 4,
          v->id | (uint32_t)v->domain->id << 16);
    now = time_now();
    v->runstate.time[v->runstate.state] += now - v->runstate.state_entry_time;
    v->runstate.state_entry_time = now;
    v->runstate.state = state;
}

/* [RUNSTATE] The reasons are read under the lock: the last who came left what is true now. */
static void runstate_wait(struct vcpu *v)
{
    uint32_t pause = __atomic_load_n(&v->pause, __ATOMIC_SEQ_CST);
    int state = RUNSTATE_runnable;

    if (pause & (BIT(VCPU_DOWN_BIT) | BIT(VCPU_PAUSED_BIT) | BIT(VCPU_CRASHED_BIT)))
        state = RUNSTATE_offline;
    else if (pause)
        state = RUNSTATE_blocked;
    runstate_set(v, state);
}

/* After a change of v's reasons. Of one that runs, the switch keeps the state: it may run on though
 * it was to stop. */
static void runstate_update(struct vcpu *v)
{
    lock(&v->runstate_lock);
    if (v->runstate.state != RUNSTATE_running)
        runstate_wait(v);
    unlock(&v->runstate_lock);
}

void vcpu_pause_set(struct vcpu *v, enum vcpu_pause_bits bit)
{
    uint32_t before = __atomic_fetch_or(&v->pause, 1u << bit, __ATOMIC_SEQ_CST);

    runstate_update(v);
    if (before)
        return;
    if (bit != VCPU_BLOCKED_BIT && bit != VCPU_POLLING_BIT)
        TRACE(TRC_SCHED_SLEEP, v->domain->id, v->id);
    tell_scheduler(v);
}

void vcpu_pause_clear(struct vcpu *v, enum vcpu_pause_bits bit)
{
    uint32_t before = __atomic_fetch_and(&v->pause, ~(1u << bit), __ATOMIC_SEQ_CST);

    if (before != 1u << bit)
        return;
    runstate_update(v);
    TRACE(TRC_SCHED_WAKE, v->domain->id, v->id);
    tell_scheduler(v);
}

void vcpu_down(struct vcpu *v)
{
    struct domain *d = v->domain;
    struct vcpu *other;
    bool last = true;

    lock(&d->lock);
    for_each_vcpu (d, other)
        last = last && (other == v || !vcpu_is_up(other));
    if (!last)
        vcpu_pause_set(v, VCPU_DOWN_BIT);
    unlock(&d->lock);
    if (last)
        domain_shutdown(d, SHUTDOWN_poweroff);
}

void vcpu_kick(struct vcpu *v)
{
    /* The current vCPU too: it may be on its way out to block. */
    if (read_once(v->pause) & (1u << VCPU_BLOCKED_BIT))
        vcpu_pause_clear(v, VCPU_BLOCKED_BIT);
    if (read_once(v->pause) & (1u << VCPU_POLLING_BIT))
        vcpu_pause_clear(v, VCPU_POLLING_BIT);
    if (v == current())
        return; /* its exit path looks */
    if (read_once(v->unit.running) && read_once(v->unit.cpu) != cpu_id())
        softirq_kick(v->unit.cpu);
}

void (*vcpu_upcall_hvm)(struct vcpu *v) sealed;

void vcpu_wake_for_event(struct vcpu *v)
{
    if (unlikely(v->hvm))
        vcpu_upcall_hvm(v);
    vcpu_kick(v);
}

bool vcpu_event_pending(const struct vcpu *v)
{
    const struct vcpu_info *i = v->info;

    /* A fully virtual guest masks by its interrupt flag. */
    return i && read_once(i->evtchn_upcall_pending) &&
           (v->domain->hvm || !read_once(i->evtchn_upcall_mask));
}

/* The guest's copy: by the protocol with XEN_RUNSTATE_UPDATE if the guest asked for it. False:
 * there is an area, but not in the page tables that are loaded. */
static bool runstate_write(struct vcpu *v)
{
    uint64_t va = v->runstate_va, entry_va;
    struct vcpu_runstate_info r;

    if (!va)
        return true;
    lock(&v->runstate_lock); /* one moment's: whoever wakes it changes it too */
    r = v->runstate;
    unlock(&v->runstate_lock);
    if (!(read_once(v->domain->vm_assist) & BIT(VMASST_TYPE_runstate_update_flag)))
        return !guest_write(va, &r, sizeof(r));
    entry_va = va + offsetof(struct vcpu_runstate_info, state_entry_time);
    r.state_entry_time |= XEN_RUNSTATE_UPDATE;
    if (guest_write(entry_va, &r.state_entry_time, sizeof(r.state_entry_time)) ||
        guest_write(va, &r, sizeof(r)))
        return false;
    r.state_entry_time &= ~XEN_RUNSTATE_UPDATE;
    return !guest_write(entry_va, &r.state_entry_time, sizeof(r.state_entry_time));
}

void vcpu_runstate_enter(struct vcpu *v)
{
    lock(&v->runstate_lock);
    runstate_set(v, RUNSTATE_running);
    unlock(&v->runstate_lock);
    if (!runstate_write(v))
        v->areas_stale = true;
}

void vcpu_runstate_leave(struct vcpu *v)
{
    lock(&v->runstate_lock);
    runstate_wait(v);
    unlock(&v->runstate_lock);
    if (!runstate_write(v))
        v->areas_stale = true;
}

uint64_t vcpu_runstate_get(struct vcpu *v, struct vcpu_runstate_info *r)
{
    uint64_t now;

    lock(&v->runstate_lock);
    memcpy(r, &v->runstate, sizeof(*r)); /* holes too: they are zero */
    now = time_now();
    unlock(&v->runstate_lock);
    return max(now, r->state_entry_time);
}

uint64_t vcpu_run_time(struct vcpu *v)
{
    struct vcpu_runstate_info r;
    uint64_t now = vcpu_runstate_get(v, &r), ns = r.time[RUNSTATE_running];

    return r.state == RUNSTATE_running ? ns + now - r.state_entry_time : ns;
}

static bool time_area_write(const struct vcpu *v, struct vcpu_time_info t)
{
    if (!v->time_info_va)
        return true;
    t.version--;
    if (guest_write(v->time_info_va, &t, sizeof(t)))
        return false;
    t.version++;
    return !guest_write(v->time_info_va, &t.version, sizeof(t.version));
}

void domain_tsc_set(struct domain *d, bool emulated, uint32_t khz, uint64_t elapsed_ns)
{
    struct domain_tsc *t = &d->tsc;

    if (!khz)
        khz = emulated ? EMULATED_KHZ : (uint32_t)(time_tsc_hz / 1000);
    t->emulated = emulated;
    t->khz = khz;
    t->zero_ns = time_now() - elapsed_ns;
    t->per_ns_32 = ((uint64_t)khz << 32) / 1000000;
    time_scale_set(&t->scale, khz * 1000ull);
}

/* pvclock: public xen.h, struct vcpu_time_info. The scale never changes while the domain runs;
 * version and stamp do, so that the guest sees an update at least at each entry. */
void vcpu_time_update(struct vcpu *v)
{
    struct vcpu_time_info *t, copy;
    const struct domain_tsc *d_tsc = &v->domain->tsc;
    const struct time_scale *scale = d_tsc->emulated ? &d_tsc->scale : &time_scale;
    uint64_t tsc = rdtsc(), ns = time_tsc_to_ns(tsc);

    v->pvclock_version = (v->pvclock_version + 2) & ~1u;
    copy = (struct vcpu_time_info){
        .version = v->pvclock_version,
        .tsc_timestamp = d_tsc->emulated ? domain_tsc_at(v->domain, ns) : tsc,
        .system_time = ns,
        .tsc_to_system_mul = scale->mul,
        .tsc_shift = scale->shift,
        .flags = time_scale.stable ? XEN_PVCLOCK_TSC_STABLE_BIT : 0,
    };
    if (v->info) {
        t = &v->info->time;
        write_once(t->version, copy.version - 1);
        __atomic_thread_fence(__ATOMIC_RELEASE);
        t->tsc_timestamp = copy.tsc_timestamp;
        t->system_time = copy.system_time;
        t->tsc_to_system_mul = copy.tsc_to_system_mul;
        t->tsc_shift = copy.tsc_shift;
        t->flags = copy.flags;
        __atomic_thread_fence(__ATOMIC_RELEASE);
        write_once(t->version, copy.version);
    }
    if (!time_area_write(v, copy))
        v->areas_stale = true;
}

void vcpu_areas_update(struct vcpu *v)
{
    (void)runstate_write(v);
    vcpu_time_update(v);
    v->areas_stale = false; /* what is not there now either waits for the next change */
}
