/* SPDX-License-Identifier: MIT */
/*
 * Device interrupts: descriptors, vectors, dispatch. See irq.h for the flow.
 *
 * vector_irq[v] of a CPU names the descriptor that vector v leads to there; it is changed under
 * irq_table_lock, and read without it by dispatch, which then checks under irq->lock that the
 * descriptor still comes this way. When an interrupt moves, its old vector is kept until the first
 * one has arrived at the new place: one may still be on its way.
 */
#include "platform/irq.h"
#include "base/log.h"
#include "base/panic.h"
#include "lib/errno.h"
#include "memory/heap.h"
#include "platform/acpi.h"
#include "platform/i8259.h"
#include "platform/ioapic.h"
#include "platform/lapic.h"

#define ISA_IRQS      16u
#define MSI_CHUNK     64u
#define SPURIOUS_TOLD 10u

struct vector_table {
    struct irq *irq[256];
    unsigned next; /* where the search for a free vector goes on */
};

static DEFINE_PER_CPU(struct vector_table, vectors);
static struct lock irq_table_lock = LOCK_INIT(RANK_CHIP, "vectors");
static void (*fixed[256 - VECTOR_FIXED])(void) sealed; /* [I] */

static struct irq *gsis; /* [I] gsi_count of them */
static unsigned gsi_count;
static unsigned isa_gsi[ISA_IRQS];

static struct lock msi_lock = LOCK_INIT(RANK_CHIP, "free MSIs");
static struct list free_msis = LIST_INIT(free_msis); /* [msi_lock] */
static unsigned msi_count;                           /* [msi_lock] */
static uint32_t spurious;                            /* [a] */

/* ---- vectors ---- */

static int vector_alloc(struct irq *irq, unsigned cpu)
{
    struct vector_table *t = per_cpu_ptr(vectors, cpu);
    const unsigned range = VECTOR_DYNAMIC_LAST - VECTOR_DYNAMIC + 1;
    int found = -ENOSPC;

    lock(&irq_table_lock);
    for (unsigned n = 0; n < range; n++) {
        /* Steps of 16 spread them over the priority classes. */
        unsigned slot = (t->next + n) % range;
        unsigned v = VECTOR_DYNAMIC + slot % 12 * 16 + slot / 12;

        if (t->irq[v] || v == VECTOR_LINUX_SYSCALL || v == VECTOR_PV32_HYPERCALL)
            continue;
        t->next = (slot + 1) % range;
        write_once(t->irq[v], irq);
        found = (int)v;
        break;
    }
    unlock(&irq_table_lock);
    return found;
}

static void vector_free(unsigned cpu, unsigned vector)
{
    lock(&irq_table_lock);
    write_once(per_cpu_ptr(vectors, cpu)->irq[vector], NULL);
    unlock(&irq_table_lock);
}

static void old_vector_free(struct irq *irq)
{
    if (irq->old_vector)
        vector_free(irq->old_cpu, irq->old_vector);
    irq->old_vector = 0;
}

/* ---- IO-APIC pins ---- */

static void gsi_set_masked(struct irq *irq, bool masked)
{
    ioapic_mask(irq->number, masked);
}

static void gsi_set_target(struct irq *irq, uint32_t apic_id, unsigned vector)
{
    struct ioapic_route r = ioapic_get(irq->number);

    r.apic_id = apic_id;
    r.vector = (uint8_t)vector;
    ioapic_set(irq->number, r);
}

static const struct irq_chip gsi_chip = {"IO-APIC", gsi_set_masked, gsi_set_target};

static void gsi_configure(struct irq *irq, bool level, bool active_low)
{
    struct ioapic_route r = ioapic_get(irq->number);

    r.level = irq->level = level;
    r.active_low = active_low;
    ioapic_set(irq->number, r);
    irq->configured = true;
}

/* ISA interrupts are edge, active high, and arrive on the GSI of the same number, but for those
 * that the MADT names. ACPI 6.4, 5.2.12.5. */
static void isa_init(void)
{
    for (unsigned i = 0; i < ISA_IRQS; i++)
        isa_gsi[i] = i;
    for (unsigned i = 0; i < acpi_info.nr_overrides; i++) {
        const struct acpi_override *o = &acpi_info.override[i];
        struct irq *irq = irq_of_gsi(o->gsi);

        isa_gsi[o->isa_irq] = o->gsi;
        if (!irq)
            log_warn("ACPI: ISA interrupt %u goes to GSI %u, which no IO-APIC has", o->isa_irq,
                     o->gsi);
        else if (!irq->configured)
            gsi_configure(irq, o->level, o->active_low);
    }
}

static void error_interrupt(void)
{
    static uint32_t told;
    uint32_t status = lapic_error();

    if (__atomic_fetch_add(&told, 1, __ATOMIC_RELAXED) < SPURIOUS_TOLD)
        log_warn("CPU %u: local APIC error %#x", cpu_id(), status);
}

int irq_init(void)
{
    irq_vector_set(VECTOR_ERROR, error_interrupt);
    gsi_count = ioapic_gsi_count();
    gsis = heap_zalloc(max(gsi_count, 1u) * sizeof(*gsis));
    if (!gsis)
        return -ENOMEM;
    for (unsigned i = 0; i < gsi_count; i++) {
        lock_init(&gsis[i].lock, RANK_IRQ, "irq");
        gsis[i].chip = &gsi_chip;
        gsis[i].number = i;
        gsis[i].masked = true;
    }
    isa_init();
    return 0;
}

struct irq *irq_of_gsi(unsigned gsi)
{
    return gsi < gsi_count && ioapic_has_gsi(gsi) ? &gsis[gsi] : NULL;
}

unsigned irq_isa_to_gsi(unsigned isa_irq)
{
    return isa_gsi[isa_irq & (ISA_IRQS - 1)];
}

int irq_gsi_setup(unsigned gsi, bool level, bool active_low)
{
    struct irq *irq = irq_of_gsi(gsi);
    int rc = 0;

    if (!irq)
        return -EINVAL;
    lock(&irq->lock);
    if (irq->configured)
        rc = -EEXIST;
    else
        gsi_configure(irq, level, active_low);
    unlock(&irq->lock);
    return rc;
}

/* ---- MSI descriptors ---- */

static bool msi_grow(void)
{
    struct irq *chunk = heap_zalloc(MSI_CHUNK * sizeof(*chunk));

    if (!chunk)
        return false;
    lock(&msi_lock);
    for (unsigned i = 0; i < MSI_CHUNK; i++) {
        lock_init(&chunk[i].lock, RANK_IRQ, "irq");
        chunk[i].number = msi_count++;
        list_add_tail(&free_msis, &chunk[i].link);
    }
    unlock(&msi_lock);
    return true;
}

struct irq *irq_msi_get(const struct irq_chip *chip, void *chip_data)
{
    struct irq *irq = NULL;

    for (;;) {
        lock(&msi_lock);
        if (!list_empty(&free_msis)) {
            irq = list_first_entry(&free_msis, struct irq, link);
            list_del(&irq->link);
        }
        unlock(&msi_lock);
        if (irq || !msi_grow())
            break;
    }
    if (irq) {
        irq->chip = chip;
        irq->chip_data = chip_data;
        irq->masked = true;
        irq->count = 0;
    }
    return irq;
}

void irq_msi_put(struct irq *irq)
{
    irq_release(irq);
    lock(&msi_lock);
    list_add_tail(&free_msis, &irq->link);
    unlock(&msi_lock);
}

/* ---- requests ---- */

int irq_request(struct irq *irq, irq_handler handler, void *data)
{
    int vector;

    lock(&irq->lock);
    vector = irq->handler ? -EBUSY : vector_alloc(irq, cpu_id());
    if (vector < 0) {
        unlock(&irq->lock);
        return vector;
    }
    irq->handler = handler;
    irq->data = data;
    irq->cpu = cpu_id();
    irq->vector = (unsigned)vector;
    irq->pending_end = false;
    irq->masked = false;
    irq->configured = true;
    irq->chip->set_target(irq, cpu_apic_id[irq->cpu], irq->vector);
    irq->chip->set_masked(irq, false);
    unlock(&irq->lock);
    return 0;
}

void irq_release(struct irq *irq)
{
    lock(&irq->lock);
    if (irq->handler) {
        irq->chip->set_masked(irq, true);
        irq->masked = true;
        irq->pending_end = false;
        irq->handler = NULL;
        old_vector_free(irq);
        vector_free(irq->cpu, irq->vector);
        irq->vector = 0;
    }
    unlock(&irq->lock);
}

void irq_synchronize(struct irq *irq)
{
    while (__atomic_load_n(&irq->running, __ATOMIC_ACQUIRE)) {
        if (lock_spin_poll)
            lock_spin_poll();
        cpu_pause();
    }
}

void irq_mask(struct irq *irq)
{
    lock(&irq->lock);
    if (!irq->masked && irq->handler && !irq->pending_end)
        irq->chip->set_masked(irq, true);
    irq->masked = true;
    unlock(&irq->lock);
}

void irq_unmask(struct irq *irq)
{
    lock(&irq->lock);
    if (irq->masked && irq->handler && !irq->pending_end)
        irq->chip->set_masked(irq, false);
    irq->masked = false;
    unlock(&irq->lock);
}

void irq_end(struct irq *irq)
{
    lock(&irq->lock);
    if (irq->pending_end) {
        irq->pending_end = false;
        if (!irq->masked && irq->handler)
            irq->chip->set_masked(irq, false);
    }
    unlock(&irq->lock);
}

int irq_set_cpu(struct irq *irq, unsigned cpu)
{
    int vector = 0;

    lock(&irq->lock);
    if (irq->handler && irq->cpu != cpu) {
        vector = vector_alloc(irq, cpu);
        if (vector > 0) {
            old_vector_free(irq);
            irq->old_cpu = irq->cpu;
            irq->old_vector = irq->vector;
            irq->cpu = cpu;
            irq->vector = (unsigned)vector;
            irq->chip->set_target(irq, cpu_apic_id[cpu], irq->vector);
        }
    }
    unlock(&irq->lock);
    return vector < 0 ? vector : 0;
}

void irq_leave_cpu(unsigned cpu, unsigned to)
{
    for (unsigned v = VECTOR_DYNAMIC; v <= VECTOR_DYNAMIC_LAST; v++) {
        struct irq *irq = read_once(per_cpu_ptr(vectors, cpu)->irq[v]);

        if (irq && read_once(irq->cpu) == cpu && irq_set_cpu(irq, to))
            log_warn("CPU %u: no vector is free for interrupt %u of CPU %u", to, irq->number, cpu);
    }
}

/* ---- dispatch ---- */

void irq_vector_set(unsigned vector, void (*fn)(void))
{
    ASSERT(vector >= VECTOR_FIXED && vector < 256);
    fixed[vector - VECTOR_FIXED] = fn;
}

static void dispatch_spurious(unsigned vector)
{
    /* Only what is in service wants an EOI: the spurious vector itself never is. */
    if (lapic_in_service(vector))
        lapic_eoi();
    if (__atomic_fetch_add(&spurious, 1, __ATOMIC_RELAXED) < SPURIOUS_TOLD)
        log_warn("CPU %u: spurious interrupt, vector %#x", cpu_id(), vector);
}

/* Whether the interrupt that came is one to handle; notes its arrival. */
static bool arrive(struct irq *irq, unsigned vector)
{
    unsigned cpu = cpu_id();

    if (!irq->handler)
        return false;
    if (irq->cpu == cpu && irq->vector == vector) {
        old_vector_free(irq);
        return true;
    }
    return irq->old_vector == vector && irq->old_cpu == cpu;
}

static void dispatch_device(struct irq *irq, unsigned vector)
{
    irq_handler handler = NULL;
    void *data = NULL;

    lock(&irq->lock);
    if (arrive(irq, vector)) {
        irq->count++;
        if (irq->level) {
            irq->pending_end = true;
            irq->chip->set_masked(irq, true);
        }
        handler = irq->handler;
        data = irq->data;
        __atomic_fetch_add(&irq->running, 1, __ATOMIC_RELAXED);
    }
    lapic_eoi();
    unlock(&irq->lock);
    if (!handler) {
        dispatch_spurious(vector);
        return;
    }
    handler(irq, data);
    /* Pairs with the acquire in irq_synchronize. */
    __atomic_fetch_sub(&irq->running, 1, __ATOMIC_RELEASE);
}

void irq_dispatch(unsigned vector)
{
    struct irq *irq;

    if (vector >= VECTOR_FIXED && fixed[vector - VECTOR_FIXED]) {
        lapic_eoi();
        fixed[vector - VECTOR_FIXED]();
        return;
    }
    irq = read_once(this_cpu_ptr(vectors)->irq[vector & 0xff]);
    if (irq)
        dispatch_device(irq, vector);
    else if (vector >= VECTOR_8259 && vector < VECTOR_8259 + 16)
        i8259_spurious(vector);
    else
        dispatch_spurious(vector);
}

static void dump_one(const struct irq *irq, const char *kind)
{
    if (irq->handler)
        log_key("  %s %3u: CPU %u vector %#x count %lu%s%s", kind, irq->number, irq->cpu,
                irq->vector, irq->count, irq->masked ? " masked" : "",
                irq->pending_end ? " waits for its end" : "");
}

void irq_dump(void)
{
    unsigned cpu;

    for (unsigned i = 0; i < gsi_count; i++)
        dump_one(&gsis[i], "GSI");
    for_each_cpu (cpu)
        for (unsigned v = 0; v < 256; v++) {
            const struct irq *irq = per_cpu_ptr(vectors, cpu)->irq[v];

            if (irq && irq->chip != &gsi_chip)
                dump_one(irq, "MSI");
        }
    log_key("  spurious: %u", spurious);
}
