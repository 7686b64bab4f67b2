/* SPDX-License-Identifier: MIT */
/*
 * The local APIC. One set of register numbers serves both modes: MMIO offset n << 4, MSR 0x800 + n.
 * Intel SDM vol. 3A, chapter 11 (11.4 local APIC, 11.6 IPIs, 11.12 x2APIC).
 *
 * Interrupts stay off while a command is written, so that the two halves of the xAPIC's command
 * register cannot be torn.
 */
#include "platform/lapic.h"
#include "base/log.h"
#include "base/param.h"
#include "base/panic.h"
#include "hw/ops.h"
#include "lib/errno.h"
#include "lib/util.h"
#include "memory/map.h"
#include "platform/vectors.h"

#define LAPIC_SIZE 4096

/* Registers, 11.4.1 table 11-1, as offset >> 4. */
#define REG_ID         0x02
#define REG_VERSION    0x03
#define REG_TPR        0x08
#define REG_EOI        0x0b
#define REG_LDR        0x0d
#define REG_DFR        0x0e
#define REG_SPURIOUS   0x0f
#define REG_ISR        0x10 /* 8 words */
#define REG_ERROR      0x28
#define REG_LVT_CMCI   0x2f
#define REG_ICR        0x30
#define REG_ICR_HIGH   0x31
#define REG_LVT_TIMER  0x32
#define REG_LVT_THERM  0x33
#define REG_LVT_PERF   0x34
#define REG_LVT_LINT0  0x35
#define REG_LVT_LINT1  0x36
#define REG_LVT_ERROR  0x37
#define REG_TIMER_INIT 0x38
#define REG_TIMER_NOW  0x39
#define REG_TIMER_DIV  0x3e
#define REG_SELF_IPI   0x3f /* x2APIC only */

#define VERSION_LVTS(v)   ((((v) >> 16) & 0xff) + 1)
#define SPURIOUS_ENABLE   0x100u
#define LVT_MASKED        0x10000u
#define LVT_NMI           0x400u
#define LVT_TSC_DEADLINE  0x40000u
#define TIMER_DIVIDE_BY_1 0xbu
#define DFR_FLAT          0xffffffffu

#define ICR_FIXED   0x000u
#define ICR_NMI     0x400u
#define ICR_INIT    0x500u
#define ICR_STARTUP 0x600u
#define ICR_PENDING 0x1000u /* xAPIC only */
#define ICR_ASSERT  0x4000u
#define ICR_LEVEL   0x8000u

#define CPUID_1_ECX_X2APIC       (1u << 21)
#define CPUID_1_ECX_TSC_DEADLINE (1u << 24)
#define CPUID_1_EDX_APIC         (1u << 9)

#define SEND_SPIN_MAX   1000000u
#define CALIBRATE_TIMES 3
#define CALIBRATE_NS    10000000ull
#define NS_PER_SEC      1000000000ull

uint32_t cpu_apic_id[MAX_CPUS];

static uint8_t *mmio;
static bool x2apic;
static uint64_t timer_hz;        /* 0: TSC deadline mode */
static uint64_t timer_per_ns_32; /* ticks in a ns, times 2^32 */
static bool use_x2apic, use_tsc_deadline = true;
PARAM_BOOL("x2apic", use_x2apic);
PARAM_BOOL("tsc_deadline", use_tsc_deadline);

static uint32_t get(unsigned reg)
{
    return x2apic ? (uint32_t)rdmsr(MSR_X2APIC_BASE + reg) : mmio_read32(mmio + reg * 16);
}

static void set(unsigned reg, uint32_t val)
{
    if (x2apic)
        wrmsr(MSR_X2APIC_BASE + reg, val);
    else
        mmio_write32(mmio + reg * 16, val);
}

/* ---- start-up ---- */

int lapic_init(paddr_t base)
{
    struct cpuid_leaf c = hw_cpuid(1, 0);
    uint64_t apic_base;

    if (!(c.d & CPUID_1_EDX_APIC))
        return -ENODEV;
    apic_base = rdmsr(MSR_APIC_BASE);
    if (!base)
        base = apic_base & PTE_ADDR_MASK;
    x2apic = (apic_base & APIC_BASE_X2APIC) || (use_x2apic && (c.c & CPUID_1_ECX_X2APIC));
    if (!x2apic) {
        mmio = map_device(base, LAPIC_SIZE, PTE_CACHE_UC);
        if (!mmio)
            return -ENOMEM;
    }
    lapic_init_cpu();
    log_info("local APIC: %s mode, id %u, version %#x", x2apic ? "x2APIC" : "xAPIC", lapic_id(),
             get(REG_VERSION) & 0xff);
    return 0;
}

void lapic_init_cpu(void)
{
    uint64_t base = rdmsr(MSR_APIC_BASE) | APIC_BASE_ENABLE;
    uint32_t lvts;

    /* From off to x2APIC leads over xAPIC mode: 11.12.5. */
    wrmsr(MSR_APIC_BASE, base);
    if (x2apic)
        wrmsr(MSR_APIC_BASE, base | APIC_BASE_X2APIC);
    lvts = VERSION_LVTS(get(REG_VERSION));
    set(REG_TPR, 0);
    if (!x2apic) {
        set(REG_DFR, DFR_FLAT);
        set(REG_LDR, 0);
    }
    set(REG_SPURIOUS, SPURIOUS_ENABLE | VECTOR_SPURIOUS);
    set(REG_LVT_TIMER, LVT_MASKED | VECTOR_TIMER);
    set(REG_LVT_LINT0, LVT_MASKED);
    set(REG_LVT_LINT1, LVT_NMI);
    if (lvts > 4)
        set(REG_LVT_PERF, LVT_MASKED);
    if (lvts > 5)
        set(REG_LVT_THERM, LVT_MASKED);
    if (lvts > 6)
        set(REG_LVT_CMCI, LVT_MASKED);
    set(REG_ERROR, 0);
    set(REG_LVT_ERROR, VECTOR_ERROR);
    /* What the firmware left in service. An APIC has at most two in service per priority class. */
    for (unsigned n = 0; n < 32; n++)
        lapic_eoi();
    cpu_apic_id[cpu_id()] = lapic_id();
}

uint32_t lapic_id(void)
{
    uint32_t id = get(REG_ID);

    return x2apic ? id : id >> 24;
}

bool lapic_x2apic(void)
{
    return x2apic;
}

void lapic_eoi(void)
{
    set(REG_EOI, 0);
}

bool lapic_in_service(unsigned vector)
{
    return get(REG_ISR + vector / 32) & (1u << vector % 32);
}

uint32_t lapic_error(void)
{
    /* A write makes the register take over what has gathered: 11.5.3. */
    set(REG_ERROR, 0);
    return get(REG_ERROR);
}

/* ---- interprocessor interrupts ---- */

static void send(uint32_t apic_id, uint32_t command)
{
    if (x2apic) {
        /* The MSR write is not serialising: what the other CPU is to see comes first. */
        __atomic_thread_fence(__ATOMIC_SEQ_CST);
        wrmsr(MSR_X2APIC_BASE + REG_ICR, (uint64_t)apic_id << 32 | command);
        return;
    }
    for (unsigned n = 0; (get(REG_ICR) & ICR_PENDING) && n < SEND_SPIN_MAX; n++)
        cpu_pause();
    set(REG_ICR_HIGH, apic_id << 24);
    set(REG_ICR, command);
}

void lapic_send_ipi(unsigned cpu, unsigned vector)
{
    send(cpu_apic_id[cpu], ICR_FIXED | ICR_ASSERT | vector);
}

void lapic_send_ipi_mask(const struct cpu_mask *mask, unsigned vector)
{
    unsigned cpu;

    bitmap_for_each (cpu, mask->bits, MAX_CPUS)
        lapic_send_ipi(cpu, vector);
}

void lapic_send_ipi_self(unsigned vector)
{
    if (x2apic)
        set(REG_SELF_IPI, vector);
    else
        lapic_send_ipi(cpu_id(), vector);
}

void lapic_send_nmi(unsigned cpu)
{
    send(cpu_apic_id[cpu], ICR_NMI | ICR_ASSERT);
}

void lapic_send_nmi_others(void)
{
    unsigned cpu;

    if (!x2apic && !mmio)
        return;
    for_each_cpu (cpu)
        if (cpu != cpu_id())
            lapic_send_nmi(cpu);
}

void lapic_send_init(uint32_t apic_id)
{
    send(apic_id, ICR_INIT | ICR_ASSERT | ICR_LEVEL);
}

void lapic_send_startup(uint32_t apic_id, unsigned page)
{
    ASSERT(page < 256);
    send(apic_id, ICR_STARTUP | ICR_ASSERT | page);
}

/* ---- timer ---- */

static void deadline_arm(uint64_t tsc, uint64_t delta_ns)
{
    /* 0 would disarm it. */
    wrmsr(MSR_TSC_DEADLINE, tsc ? tsc : 1);
}

static void deadline_stop(void)
{
    wrmsr(MSR_TSC_DEADLINE, 0);
}

static void oneshot_arm(uint64_t tsc, uint64_t delta_ns)
{
    /* Rounded up: an alarm that comes early is one more. */
    unsigned __int128 ticks = ((unsigned __int128)delta_ns * timer_per_ns_32 >> 32) + 1;

    set(REG_TIMER_INIT, ticks > UINT32_MAX ? UINT32_MAX : (uint32_t)ticks);
}

static void oneshot_stop(void)
{
    set(REG_TIMER_INIT, 0);
}

static const struct timer_device deadline_device = {"TSC deadline", deadline_arm, deadline_stop};
static const struct timer_device oneshot_device = {"local APIC", oneshot_arm, oneshot_stop};

/* Counts down for a while by the reference clock. */
static uint64_t measure_once(const struct clock_source *c)
{
    uint64_t mask = c->bits < 64 ? (1ull << c->bits) - 1 : ~0ull;
    uint64_t wanted = max(c->hz * CALIBRATE_NS / NS_PER_SEC, 1ull), passed = 0, last;
    uint32_t start, end;

    set(REG_TIMER_INIT, ~0u);
    last = c->read();
    start = get(REG_TIMER_NOW);
    while (passed < wanted) {
        uint64_t now = c->read();

        passed += (now - last) & mask;
        last = now;
    }
    end = get(REG_TIMER_NOW);
    set(REG_TIMER_INIT, 0);
    return (uint64_t)((unsigned __int128)(start - end) * c->hz / passed);
}

/* A delay in the middle makes the result too high, and alarms late: the lowest of several counts.
 */
static uint64_t measure(const struct clock_source *c)
{
    uint64_t hz = measure_once(c);

    for (unsigned n = 1; n < CALIBRATE_TIMES; n++)
        hz = min(hz, measure_once(c));
    return hz;
}

void lapic_timer_init_cpu(void)
{
    set(REG_TIMER_DIV, TIMER_DIVIDE_BY_1);
    if (timer_hz) {
        set(REG_LVT_TIMER, VECTOR_TIMER);
        return;
    }
    set(REG_LVT_TIMER, VECTOR_TIMER | LVT_TSC_DEADLINE);
    /* The mode has to be set before the first deadline is: 11.5.4.1. */
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
}

const struct timer_device *lapic_timer_init(const struct clock_source *reference)
{
    if (use_tsc_deadline && (hw_cpuid(1, 0).c & CPUID_1_ECX_TSC_DEADLINE)) {
        timer_hz = 0;
    } else {
        set(REG_TIMER_DIV, TIMER_DIVIDE_BY_1);
        timer_hz = reference ? measure(reference) : 0;
        if (!timer_hz) {
            log_warn("local APIC timer cannot be measured, taken for 1 GHz");
            timer_hz = NS_PER_SEC;
        }
    }
    timer_per_ns_32 = (uint64_t)(((unsigned __int128)timer_hz << 32) / NS_PER_SEC);
    lapic_timer_init_cpu();
    if (timer_hz)
        log_info("timer: local APIC, %lu Hz", timer_hz);
    else
        log_info("timer: TSC deadline");
    return timer_hz ? &oneshot_device : &deadline_device;
}
