/* SPDX-License-Identifier: MIT */
/* The life of a CPU besides the first.
 *
 * Present CPUs have a number and an APIC id. One that is started (INIT, STARTUP: Intel SDM vol. 3A,
 * 8.4) gets its memory from the CPU that starts it, makes its own tables, compares its clock, is
 * online from then on, and goes idle. It never goes back: out of service it is not active any more,
 * so the scheduler gives it nothing, but it still serves flushes and other requests. */
#include "start/cpus.h"

#include "base/log.h"
#include "base/panic.h"
#include "base/param.h"
#include "cpu/cpu.h"
#include "cpu/topology.h"
#include "cpu/trampoline.h"
#include "domain/domain.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "memory/buddy.h"
#include "memory/heap.h"
#include "memory/map.h"
#include "memory/start.h"
#include "memory/tlb.h"
#include "platform/acpi.h"
#include "platform/irq.h"
#include "platform/lapic.h"
#include "start/watchdog.h"
#include "svm/start.h"
#include "time/clock.h"
#include "time/tsc_sync.h"

#define US           1000ull
#define INIT_NS      (200 * US)
#define STARTUP_NS   (10000 * US) /* until the second STARTUP is tried */
#define GIVE_UP_NS   (5000000 * US)
#define XAPIC_ID_MAX 254u /* 255 means all */

/* A CPU that starts makes its tables itself and has nobody to refuse to (docs/PANICS.md): so it is
 * started only with several times the frames that it takes, whatever other CPUs take meanwhile. */
#define CPU_START_FRAMES 1024u

static uint64_t max_cpus = MAX_CPUS;
static bool use_smt = true, no_smt;
PARAM_UINT("maxcpus", max_cpus);
PARAM_BOOL("smt", use_smt);
PARAM_BOOL("nosmt", no_smt);

static paddr_t low_page;   /* [I] where CPUs start */
static uint32_t called_in; /* [a] number of the CPU that came to C and is not online yet, or 0 */

/* ---- the new CPU ---- */

/* On its own empty stack, in the page tables of the trampoline. */
static noreturn void cpu_begin(void)
{
    unsigned me = cpu_id();

    write_cr3(hv_cr3());
    cpu_init_tables();
    lapic_init_cpu();
    lapic_timer_init_cpu();
    domain_cpu_init();
    svm_cpu_init();
    __atomic_store_n(&called_in, me, __ATOMIC_RELEASE);
    tsc_sync_target();
    bit_test_and_set_atomic(cpus_online.bits, me);
    /* Mappings that were changed while nobody asked this CPU to flush. */
    tlb_flush_local(TLB_ALL | TLB_GLOBAL, 0);
    __atomic_store_n(&called_in, 0, __ATOMIC_RELEASE);
    cpu_enter_idle();
}

/* ---- starting it ---- */

/* Its stacks with struct cpu_local on top, and its per-CPU data. Kept for ever. */
static int must_check make_memory(unsigned cpu)
{
    struct cpu_local *local;
    void *percpu;

    if (cpu_locals[cpu])
        return 0;
    if (buddy_free_frames() < CPU_START_FRAMES)
        return -ENOMEM;
    percpu = heap_alloc(percpu_size());
    local = percpu ? cpu_stacks_make(cpu) : NULL;
    if (!local) {
        heap_free(percpu);
        return -ENOMEM;
    }
    percpu_init(cpu, percpu);
    local->id = cpu;
    local->percpu_offset = percpu_offset[cpu];
    cpu_locals[cpu] = local;
    return 0;
}

static bool wait_for(uint32_t cpu, uint64_t ns)
{
    uint64_t end = time_now() + ns;

    while (__atomic_load_n(&called_in, __ATOMIC_ACQUIRE) != cpu) {
        if (time_now() > end)
            return false;
        lock_spin_poll();
        cpu_pause();
    }
    return true;
}

static bool wake(unsigned cpu)
{
    unsigned page = (unsigned)(low_page >> PAGE_SHIFT);
    uint32_t apic = cpu_apic_id[cpu];

    called_in = 0;
    trampoline_write(low_page, cpu_locals[cpu], cpu_begin);
    lapic_send_init(apic);
    (void)wait_for(cpu, INIT_NS);
    lapic_send_startup(apic, page);
    if (!wait_for(cpu, STARTUP_NS))
        lapic_send_startup(apic, page);
    if (wait_for(cpu, GIVE_UP_NS))
        return true;
    lapic_send_init(apic); /* wherever it is, it stays out */
    return false;
}

/* One that failed once may be anywhere, with its memory: it is not present any more. */
static int must_check start_one(unsigned cpu)
{
    int rc = make_memory(cpu);

    if (rc) {
        log_error("CPU %u (APIC id %#x) is left out: too little memory", cpu, cpu_apic_id[cpu]);
        return rc;
    }
    if (!wake(cpu)) {
        bitmap_clear(cpus_present.bits, cpu);
        log_error("CPU %u (APIC id %#x) does not start and is left out", cpu, cpu_apic_id[cpu]);
        return -EIO;
    }
    if (!tsc_sync_source(cpu))
        log_warn("CPU %u: time may go backwards when a vCPU comes to it or leaves it", cpu);
    while (__atomic_load_n(&called_in, __ATOMIC_ACQUIRE) == cpu)
        cpu_pause();
    return 0;
}

int cpus_online_one(unsigned cpu)
{
    int rc = 0;

    if (sched_threads() > 1 && !bitmap_test(cpus_active.bits, cpu))
        return refuse(-EOPNOTSUPP, "CPU %u: with sched-gran=core no CPU comes or goes", cpu);
    if (!bitmap_test(cpus_online.bits, cpu)) {
        rc = start_one(cpu);
        if (!rc && domain0) /* at start-up watchdog_start() follows */
            watchdog_add(cpu);
    }
    if (!rc) {
        bit_test_and_set_atomic(cpus_active.bits, cpu);
        sched_cpu_restore(cpu);
    }
    return rc;
}

/* ---- out of service ---- */

int cpus_offline_one(unsigned cpu)
{
    int rc = sched_cpu_remove(cpu);

    if (rc == -EOPNOTSUPP)
        return refuse(rc, "CPU %u: with sched-gran=core no CPU comes or goes", cpu);
    if (rc == -EBUSY)
        return refuse(rc, "CPU %u is the last of its pool", cpu);
    if (rc)
        return rc; /* whoever runs there leaves on his way out, the caller too */
    bit_test_and_clear_atomic(cpus_active.bits, cpu);
    irq_leave_cpu(cpu, 0);
    return 0;
}

/* ---- at start-up ---- */

static bool init_code is_wanted(uint32_t apic_id)
{
    return (use_smt && !no_smt) || topology_thread(apic_id) == 0;
}

/* The present ones get numbers, the wanted ones are started: in two passes, for a line about one
 * CPU says how many there are. */
static void init_code number_all(void)
{
    for (unsigned i = 0; i < acpi_info.nr_cpus; i++) {
        const struct acpi_cpu *c = &acpi_info.cpu[i];

        if (!c->enabled || c->apic_id == cpu_apic_id[0])
            continue;
        if (!lapic_x2apic() && c->apic_id > XAPIC_ID_MAX) {
            log_warn("the CPU with APIC id %#x is left out: it needs x2APIC mode", c->apic_id);
        } else if (cpu_count == MAX_CPUS) {
            log_warn("the CPU with APIC id %#x is left out: there are %u already", c->apic_id,
                     MAX_CPUS);
        } else {
            cpu_apic_id[cpu_count] = c->apic_id;
            bitmap_set(cpus_present.bits, cpu_count++);
        }
    }
}

static void init_code start_cores(void)
{
    uint32_t key[MAX_CPUS];

    for (unsigned cpu = 0; cpu < MAX_CPUS; cpu++)
        key[cpu] = topology_core_key(cpu_apic_id[cpu]);
    sched_start_cores(key);
}

void init_code cpus_start(void)
{
    unsigned cpu, started = 1;

    number_all();
    low_page = memory_low_page();
    if (!low_page && cpu_count > 1) {
        log_warn("no page below 640 KiB is free: the other CPUs cannot be started");
        bitmap_zero(cpus_present.bits, MAX_CPUS);
        bitmap_set(cpus_present.bits, 0);
    }
    bitmap_for_each (cpu, cpus_present.bits, MAX_CPUS) {
        if (cpu == 0 || started >= max_cpus || !is_wanted(cpu_apic_id[cpu]))
            continue;
        if (!cpus_online_one(cpu))
            started++;
    }
    start_cores();
    if (cpu_count > 1)
        log_info("%u of %zu CPUs are in service", started,
                 bitmap_weight(cpus_present.bits, MAX_CPUS));
}
