/* SPDX-License-Identifier: MIT */
/* The table of upcalls. */
#include "start/hooks.h"

#include "base/log.h"
#include "base/panic.h"
#include "base/softirq.h"
#include "cpu/traps.h"
#include "domain/guest_copy.h"
#include "event/event.h"
#include "grant/grant.h"
#include "hypercall/control.h"
#include "hypercall/debug_keys.h"
#include "hypercall/hypercall.h"
#include "hypercall/ops.h"
#include "hypercall/pirq.h"
#include "hvm/hvm.h"
#include "memory/tlb.h"
#include "platform/irq.h"
#include "platform/lapic.h"
#include "platform/power.h"
#include "platform/uart.h"
#include "platform/vectors.h"
#include "pv/pv.h"
#include "start/cpus.h"
#include "start/watchdog.h"
#include "time/timer.h"
#include "time/trace.h"

#include "base/param.h"

static bool noreboot;
PARAM_BOOL("noreboot", noreboot);

/* ---- traps ---- */

static void guest_iret_failed(unsigned vector, uint32_t error)
{
    pv_iret_failed(current(), vector, error);
}

static const struct trap_ops trap_ops_pv = {
    .guest = pv_handle_trap,
    .mend_fault = pv_mend_hypervisor_fault,
    .guest_iret_failed = guest_iret_failed,
    .interrupt = irq_dispatch,
    .nmi = watchdog_nmi,
};

/* ---- between CPUs ---- */

static void kick(unsigned cpu)
{
    lapic_send_ipi(cpu, VECTOR_KICK);
}

static void kicked(void)
{
    /* cpu_local()->work is looked at on the way out. */
}

static void send_flush(const struct cpu_mask *mask)
{
    lapic_send_ipi_mask(mask, VECTOR_TLB);
}

/* ---- the end of the machine ---- */

static noreturn void stop_or_reboot(void)
{
    if (noreboot) {
        log_key("Stopped (noreboot).\n");
        stop_all();
    }
    power_reboot();
}

/* A crash that domain 0 reports itself; domain_crash() has shown it when it was Argon's finding. */
static void show_crash(struct vcpu *v)
{
    if (v->pv && v->domain->hardware && !(read_once(v->pause) & BIT(VCPU_CRASHED_BIT)))
        pv_crash_dump(v);
}

/* Linux switches off through XENPF_enter_acpi_sleep; what comes here as "poweroff" is its halt, or
 * a machine that cannot be switched off. */
static void machine_shutdown(uint8_t code)
{
    switch (code) {
    case SHUTDOWN_poweroff:
        log_key("domain 0 halted: the machine stands still and may be switched off");
        stop_all();
    case SHUTDOWN_reboot:
        log_info("domain 0 restarts the machine");
        power_reboot();
    case SHUTDOWN_watchdog:
        log_error("domain 0's watchdog fired: it hung");
        break;
    default:
        log_error("domain 0 crashed");
        show_crash(current());
        break;
    }
    stop_or_reboot();
}

void hooks_install(void)
{
    trap_ops = &trap_ops_pv;
    irq_vector_set(VECTOR_KICK, kicked);
    irq_vector_set(VECTOR_TLB, tlb_serve);
    softirq_kick = kick;
    tlb_ipi = send_flush;
    lock_spin_poll = tlb_serve;
    panic_stop_others = lapic_send_nmi_others;
    softirq_register(SOFTIRQ_CONSOLE, console_softirq);
    log_ring_notify = console_ring_changed;
    uart_receive = console_receive;
}

/* ---- domains ---- */

static const struct cpu_service_ops cpu_service = {
    .online = cpus_online_one,
    .offline = cpus_offline_one,
};

static void exit_work(void)
{
    if (!vcpu_is_idle(current()) && !current()->domain->hvm)
        pv_exit_work(current());
}

static void switch_from(struct vcpu *v)
{
    if (v->domain->hvm)
        hvm_switch_from(v);
    else
        pv_switch_from(v);
}

/* A fully virtual vCPU's address space is not the hypervisor's, which goes to its own tables. */
static void switch_to(struct vcpu *v)
{
    if (v->domain->hvm) {
        pv_switch_idle();
        hvm_switch_to(v);
    } else {
        pv_switch_to(v);
    }
}

static const struct guest_switch_ops switch_ops = {
    .from = switch_from,
    .to = switch_to,
    .idle = pv_switch_idle,
};

static void crash_dump(struct vcpu *v)
{
    if (v->pv)
        pv_crash_dump(v);
}

static struct refuse_ring *current_ring(void)
{
    struct vcpu *v = current();

    return v ? &v->refusals : NULL;
}

static void suspended(struct domain *d, uint32_t port)
{
    if (event_send(d, port))
        return; /* the guest closed its channel: the tools hear of it by VIRQ_DOM_EXC */
}

static void state_changed(void)
{
    event_send_global_virq(VIRQ_DOM_EXC);
}

void hooks_init_domains(void)
{
    domain_parts[0] = &event_part;
    domain_parts[1] = &pirq_part;
    domain_parts[2] = &hypercall_part;
    domain_parts[3] = &grant_part;
    domain_parts[4] = &pv_part;
    event_pirq_ops = &pirq_event_ops;
    domain_parts[5] = &hvm_part;
    guest_switch_ops = &switch_ops;
    guest_memory_hvm = &hvm_guest_memory;
    hvm_hypercall_call = hypercall_of_hvm;
    cpu_service_ops = &cpu_service;
    vcpu_upcall_hvm = hvm_upcall;
    domain_machine_shutdown = machine_shutdown;
    domain_crash_dump = crash_dump;
    domain_suspended = suspended;
    domain_state_changed = state_changed;
    trace_half_full = sysctl_trace_half_full;
    refuse_current_ring = current_ring;
    refuse_call_name = hypercall_name;
    pv_mm_init();
    softirq_register(SOFTIRQ_GUEST, exit_work);
    domain_init();
    domain_cpu_init();
}
