/* SPDX-License-Identifier: MIT */
/* The context switch. The registers of the vCPU that runs lie in cpu_local()->guest, where the exit
 * path takes them; all others' in their struct vcpu. */
#include "domain/guest_copy.h"

#include "base/log.h"
#include "base/panic.h"
#include "base/softirq.h"
#include "cpu/cpu.h"
#include "cpu/topology.h"
#include "memory/buddy.h"
#include "memory/heap.h"
#include "memory/map.h"
#include "platform/lapic.h"
#include "time/clock.h"
#include "time/trace.h"

const struct guest_switch_ops *guest_switch_ops sealed;
const struct guest_memory_ops *guest_memory_hvm sealed;

/* The idle "domain": owns the idle vCPUs, is in no list and has no memory. */
static struct domain idle_domain = {.id = DOMID_IDLE, .refs = 1};
static DEFINE_PER_CPU(struct vcpu *, idle_vcpu);
static uint64_t no_upcall; /* what cpu_local()->upcall points at where there is no vcpu_info */

static struct vcpu *vcpu_of(struct sched_unit *u)
{
    return container_of(u, struct vcpu, unit);
}

static void enter(struct cpu_local *cpu, struct vcpu *next)
{
    cpu->current = next;
    if (vcpu_is_idle(next)) {
        vcpu_runstate_enter(next);
        cpu->upcall = &no_upcall;
        guest_switch_ops->idle();
        return;
    }
    cpu->guest = next->regs;
    cpu->upcall = next->info ? (uint64_t *)(void *)next->info : &no_upcall;
    guest_switch_ops->to(next);
    vcpu_runstate_enter(next);
    vcpu_time_update(next);
}

static void switch_to(struct sched_unit *prev_unit, struct sched_unit *next_unit)
{
    struct cpu_local *cpu = cpu_local();
    struct vcpu *prev = vcpu_of(prev_unit), *next = vcpu_of(next_unit);

    ASSERT(cpu->current == prev);
    TRACE(TRC_SCHED_SWITCH, prev->domain->id, prev->id, next->domain->id, next->id);
    if (!vcpu_is_idle(prev)) {
        vcpu_runstate_leave(prev);
        prev->regs = cpu->guest;
        guest_switch_ops->from(prev);
    } else {
        vcpu_runstate_leave(prev);
    }
    enter(cpu, next);
    sched_switched(prev_unit);
#ifndef ARGON_HOST
    if (vcpu_is_idle(next))
        cpu_enter_idle();
    if (next->domain->hvm)
        cpu_enter_hvm();
    cpu_return_to_guest();
#endif
}

static const struct sched_upcalls sched_upcalls_domain = {.switch_to = switch_to};

void domain_init(void)
{
    sched_init(&sched_upcalls_domain);
}

/* CPUs that share a cache have one number; numbers have no holes. All CPUs have theirs before the
 * second one starts. */
static unsigned cluster_of(unsigned cpu)
{
    uint32_t key = topology_cluster_key(cpu_apic_id[cpu]);
    unsigned n = 0;

    for (unsigned i = 0; topology_cluster_key(cpu_apic_id[i]) != key; i++) {
        unsigned first = 0;

        while (topology_cluster_key(cpu_apic_id[first]) != topology_cluster_key(cpu_apic_id[i]))
            first++;
        n += first == i;
    }
    return n;
}

void domain_cpu_init(void)
{
    struct vcpu *idle = heap_zalloc(sizeof(*idle));

    BUG_ON(!idle);
    idle->domain = &idle_domain;
    idle->id = cpu_id();
    idle->info_mfn = INVALID_MFN;
    lock_init(&idle->runstate_lock, RANK_RUNSTATE, "runstate");
    this_cpu(idle_vcpu) = idle;
    cpu_local()->current = idle;
    cpu_local()->upcall = &no_upcall;
    sched_cpu_init(cpu_id(), cluster_of(cpu_id()), &idle->unit);
}

uint64_t domain_idle_time(unsigned cpu)
{
    return bitmap_test(cpus_online.bits, cpu) ? vcpu_run_time(per_cpu(idle_vcpu, cpu)) : 0;
}

/* What a CPU does when no vCPU wants it; entered on an empty stack by cpu_enter_idle(). */
void idle_loop(void);
void idle_loop(void)
{
    for (;;) {
        softirq_run();
        if (softirq_pending())
            continue;
        if (buddy_scrub())
            interrupts_window();
        else
            cpu_idle_halt();
    }
}
