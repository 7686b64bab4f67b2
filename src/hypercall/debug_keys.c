/* SPDX-License-Identifier: MIT */
/* The debug keys: each shows one part of the hypervisor's state. They run between two guests'
 * instructions, never in the middle of a hypercall, so what they see is whole; other CPUs go on
 * meanwhile, but for the audit, which holds all domains. docs/DEBUG-KEYS.md shows what they print.
 */
#include "hypercall/debug_keys.h"

#include "base/log.h"
#include "base/refuse.h"
#include "base/symbols.h"
#include "event/event.h"
#include "grant/grant.h"
#include "hypercall/control.h"
#include "hypercall/pirq.h"
#include "lib/printf.h"
#include "memory/buddy.h"
#include "memory/heap.h"
#include "platform/clocks.h"
#include "platform/ioapic.h"
#include "platform/power.h"
#include "pv/pv.h"
#include "time/clock.h"

#define SECOND 1000000000ul

/* ---- domains ---- */

static const char *const state_name[] = {"alive", "dying", "dead"};
static const char *const runstate_name[] = {
    [RUNSTATE_running] = "running",
    [RUNSTATE_runnable] = "waits for a CPU",
    [RUNSTATE_blocked] = "blocked",
    [RUNSTATE_offline] = "off",
};

static void show_vcpu(const struct vcpu *v)
{
    const struct vcpu_runstate_info *r = &v->runstate;
    uint32_t pause = read_once(v->pause);

    log_key("  vCPU %u: CPU %u, %s%s%s%s%s%s; ran %lu ms; events %s, %s", v->id, v->unit.cpu,
            runstate_name[r->state & 3], pause & BIT(VCPU_DOWN_BIT) ? ", down" : "",
            pause & BIT(VCPU_POLLING_BIT) ? ", polls" : "",
            pause & BIT(VCPU_PAUSED_BIT) ? ", paused" : "",
            pause & BIT(VCPU_CRASHED_BIT) ? ", crashed" : "",
            sched_whole(&v->unit)->pin >= 0 ? ", pinned" : "", r->time[RUNSTATE_running] / 1000000,
            v->info && read_once(v->info->evtchn_upcall_pending) ? "pending" : "none",
            v->info && read_once(v->info->evtchn_upcall_mask) ? "masked" : "open");
}

static void key_domains(void)
{
    struct domain *d;
    struct vcpu *v;

    for_each_domain (d) {
        log_key("domain %u: %s%s%s%s; %u references; paused %u times; vm_assist %#lx", d->id,
                state_name[d->state], d->privileged ? ", privileged" : "",
                d->hardware ? ", drives the hardware" : "", d->shut_down ? ", shut down" : "",
                d->refs, d->pause_count, d->vm_assist);
        for_each_vcpu (d, v)
            show_vcpu(v);
    }
}

static void key_events(void)
{
    struct domain *d;

    for_each_domain (d)
        event_dump(d);
}

static void key_grants(void)
{
    struct domain *d;

    for_each_domain (d)
        grant_dump(d);
}

static void key_refusals(void)
{
    struct domain *d;
    struct vcpu *v;

    for_each_domain (d) {
        for_each_vcpu (d, v) {
            if (!v->refusals.next)
                continue;
            log_key("domain %u vCPU %u: %u calls refused; the last:", d->id, v->id,
                    v->refusals.next);
            refuse_dump_ring(&v->refusals);
        }
    }
}

static void key_refusal_sites(void)
{
    log_key("refusals by place, since the start:");
    refuse_dump_sites();
}

/* ---- memory ---- */

static void key_memory(void)
{
    struct domain *d;
    char limit[24];

    for_each_domain (d) {
        fmt_snprintf(limit, sizeof(limit), "at most %lu", d->memory.max_pages);
        log_key("domain %u: %lu pages, %s, %lu shared by Argon, %lu promised", d->id,
                d->memory.pages, d->memory.max_pages > max_mfn ? "no limit" : limit,
                d->memory.heap_pages, d->memory.claim);
    }
}

static void key_heap(void)
{
    log_key("memory: %lu of %lu pages free, %lu in the heap, %lu promised", buddy_free_frames(),
            buddy_total_frames(), heap_frames(), frame_claims());
}

/* All domains stand still meanwhile: the vCPU that is current does, since it is here. No domain is
 * made or ended under the control lock; who waited for it here might be waited for. */
static void key_audit(void)
{
    struct domain *d;
    unsigned mistakes;

    if (!control_enter()) {
        log_key("frame audit: a tool's call is under way, try again");
        return;
    }
    for_each_domain (d)
        domain_pause(d);
    mistakes = frame_audit();
    for_each_domain (d)
        if (domain_unpause(d))
            log_key("domain %u was not paused", d->id);
    control_leave();
    if (mistakes == 0)
        log_key("frame audit: %lu frames, no mistake", max_mfn);
    else if (mistakes == ~0u)
        log_key("frame audit: too little memory for it");
    else
        log_key("frame audit: %u mistakes", mistakes);
}

/* ---- the machine ---- */

static void key_interrupts(void)
{
    struct domain *d;

    log_key("interrupts:");
    irq_dump();
    for_each_domain (d) {
        log_key("domain %u: PIRQs", d->id);
        pirq_dump(d);
    }
}

static void key_clocks(void)
{
    uint64_t now = time_now();

    log_key("system time %lu.%09lu s; TSC %lu Hz%s; platform clock %s; UTC %lu s since 1970",
            now / SECOND, now % SECOND, time_tsc_hz, time_scale.stable ? ", stable" : "",
            platform_clock ? platform_clock->name : "none", wallclock_now());
}

static void key_registers(void)
{
    unsigned cpu;

    for_each_cpu (cpu) {
        struct vcpu *v = read_once(cpu_locals[cpu]->current);

        if (vcpu_is_idle(v))
            log_key("CPU %u%s: idle", cpu, cpu == cpu_id() ? " (this one)" : "");
        else
            log_key("CPU %u%s: domain %u vCPU %u", cpu, cpu == cpu_id() ? " (this one)" : "",
                    v->domain->id, v->id);
    }
    if (!vcpu_is_idle(current()) && current()->pv)
        pv_vcpu_dump(current());
}

static void key_domain0(void)
{
    struct vcpu *v;

    for_each_vcpu (domain0, v) {
        if (v != current() && read_once(v->unit.running))
            log_key("domain 0 vCPU %u: runs on CPU %u", v->id, v->unit.cpu);
        else if (v->initialised && v->pv)
            pv_vcpu_dump(v);
    }
}

static void key_reboot(void)
{
    log_key("restart by debug key");
    power_reboot();
}

/* ---- the table ---- */

static void key_help(void), key_all(void);

struct debug_key {
    char key;
    bool quiet; /* not part of '*' */
    void (*fn)(void);
    const char *what;
};

static const struct debug_key keys[] = {
    {'h', true, key_help, "this list"},
    {'*', true, key_all, "everything below that only shows"},
    {'q', false, key_domains, "domains and vCPUs"},
    {'0', false, key_domain0, "registers of domain 0"},
    {'d', false, key_registers, "what the CPUs run, registers of this one's guest"},
    {'r', false, sched_dump, "run queues"},
    {'a', false, timer_dump, "timers"},
    {'t', false, key_clocks, "clocks"},
    {'e', false, key_events, "event channels"},
    {'g', false, key_grants, "grants"},
    {'m', false, key_memory, "memory of domains"},
    {'H', false, key_heap, "free memory and the heap"},
    {'i', false, key_interrupts, "interrupts and PIRQs"},
    {'z', false, ioapic_dump, "IO-APICs"},
    {'f', false, key_refusals, "the last hypercalls that failed, and why"},
    {'F', false, key_refusal_sites, "how often each reason to refuse occurred"},
    {'x', false, key_audit, "audit of all frames"},
    {'R', true, key_reboot, "reboot the machine"},
};

static void key_help(void)
{
    log_key("debug keys:");
    for (unsigned i = 0; i < ARRAY_SIZE(keys); i++)
        log_key(" %c: %s", keys[i].key, keys[i].what);
}

static void key_all(void)
{
    for (unsigned i = 0; i < ARRAY_SIZE(keys); i++)
        if (!keys[i].quiet)
            keys[i].fn();
}

void debug_key_run(char c)
{
    for (unsigned i = 0; i < ARRAY_SIZE(keys); i++) {
        if (keys[i].key == c) {
            keys[i].fn();
            return;
        }
    }
    if (c > ' ' && c < 0x7f)
        log_key("%c is no debug key: h lists them", c);
}
