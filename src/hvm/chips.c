/* SPDX-License-Identifier: MIT */
/* See chips.h. Interrupts: Intel SDM vol. 3A, 11.5.1 (LINT0), 11.6.2 (destinations), 11.11 (message
 * signalled interrupts). */
#include "hvm/chips.h"

#include "lib/errno.h"
#include "lib/string.h"
#include "memory/heap.h"

/* The lines are there if anything is that has one. */
#define NEED_LINES                                                                               \
    (XEN_X86_EMU_PIC | XEN_X86_EMU_IOAPIC | XEN_X86_EMU_PIT | XEN_X86_EMU_RTC | XEN_X86_EMU_PM | \
     XEN_X86_EMU_HPET)

#define LVT_MASKED  0x00010000u
#define LVT_MODE    0x00000700u
#define LVT_EXTINT  0x00000700u
#define DEST_ALL    0xffu
#define DEST_ALL_X2 (~0u)

#define MSI_BASE      0xfee00000ull
#define MSI_BASE_MASK 0xfff00000ull
#define MSI_DEST(a)   ((uint32_t)((a) >> 12 & 0xff))
#define MSI_REDIRECT  0x8u
#define MSI_LOGICAL   0x4u
#define MSI_DATA      0x000087ffu /* vector, delivery mode, trigger: as in an ICR */

#define CALLBACK_TYPE_SHIFT 56
#define CALLBACK_DEVICE(v)  ((unsigned)((v) >> 11 & 0x1f)) /* of devfn in bits 8-15 */
#define CALLBACK_PIN(v)     ((unsigned)((v)&3))

static struct hvm_chips *chips_of(const struct domain *d)
{
    return d->hvm_domain->chips;
}

/* ---- accesses ---- */

static uint32_t ones(unsigned bytes)
{
    return bytes == 4 ? ~0u : (1u << bytes * 8) - 1;
}

uint32_t hvm_port_in(struct domain *d, uint16_t port, unsigned bytes)
{
    const struct hvm_chips *c = chips_of(d);
    uint64_t val;

    if (c && vbus_read(&c->ports, port, bytes, &val))
        return (uint32_t)val;
    return ones(bytes);
}

void hvm_port_out(struct domain *d, uint16_t port, unsigned bytes, uint32_t val)
{
    const struct hvm_chips *c = chips_of(d);

    if (c)
        (void)vbus_write(&c->ports, port, bytes, val & ones(bytes));
}

bool hvm_chip_access(struct domain *d, uint64_t gpa, void *to, const void *from, unsigned bytes)
{
    const struct hvm_chips *c = chips_of(d);
    uint64_t val;

    if (!c || !vbus_claims(&c->memory, gpa))
        return false;
    for (unsigned at = 0, n; at < bytes; at += n) {
        n = min(bytes - at, 8u);
        if (to) {
            if (!vbus_read(&c->memory, gpa + at, n, &val))
                val = ~0ull;
            memcpy((char *)to + at, &val, n);
        }
        if (from) {
            val = 0;
            memcpy(&val, (const char *)from + at, n);
            (void)vbus_write(&c->memory, gpa + at, n, val);
        }
    }
    return true;
}

/* ---- interrupts ---- */

static bool message(void *owner, uint32_t icr, uint8_t dest)
{
    struct domain *d = owner;
    const struct vcpu *first = d->vcpu[0];

    /* The broadcast of eight bits; all local APICs are in one mode. */
    if (dest == DEST_ALL && !(icr & VLAPIC_ICR_LOGICAL) && first && vlapic_x2(&first->hvm->lapic))
        return hvm_ipi(d, icr | VLAPIC_ICR_ASSERT, DEST_ALL_X2);
    return hvm_ipi(d, icr | VLAPIC_ICR_ASSERT, dest);
}

static bool message_waits(void *owner, uint32_t icr, uint8_t dest)
{
    struct domain *d = owner;
    const struct vcpu *v;

    for_each_vcpu (d, v)
        if (v->hvm && vlapic_vector_waits(&v->hvm->lapic, (uint8_t)icr) &&
            vlapic_matches(&v->hvm->lapic, dest, icr & VLAPIC_ICR_LOGICAL))
            return true;
    return false;
}

/* The PICs' output is on LINT0 of all vCPUs, or on INTR where the local APIC is off. */
static bool takes_pic(const struct vcpu *v)
{
    const struct vlapic *l = &v->hvm->lapic;
    uint32_t lvt = vlapic_get(l, VLAPIC_LVT_LINT0);

    return !vlapic_hardware_enabled(l) || (lvt & (LVT_MASKED | LVT_MODE)) == LVT_EXTINT;
}

static void intr(void *owner, bool high)
{
    struct domain *d = owner;
    struct vcpu *v;

    for_each_vcpu (d, v)
        if (high && v->hvm && takes_pic(v))
            vcpu_kick(v);
}

static const struct virq_ops irq_ops = {
    .message = message, .intr = intr, .message_waits = message_waits};

bool hvm_pic_asks(const struct vcpu *v)
{
    const struct hvm_chips *c = chips_of(v->domain);

    return c && virq_intr(&c->irqs) && takes_pic(v);
}

int hvm_pic_acknowledge(struct vcpu *v)
{
    return virq_acknowledge(&chips_of(v->domain)->irqs);
}

void hvm_chips_eoi(struct domain *d, uint8_t vector)
{
    if (chips_of(d))
        virq_eoi(&chips_of(d)->irqs, vector);
}

int hvm_msi(struct domain *d, uint64_t addr, uint32_t data)
{
    uint32_t icr = (data & MSI_DATA) | (addr & MSI_LOGICAL ? VLAPIC_ICR_LOGICAL : 0);

    if ((addr & ~0xfffffull) != (MSI_BASE & MSI_BASE_MASK))
        return refuse(-EINVAL, "message to %#lx", addr);
    if ((addr & MSI_REDIRECT) && (icr & VLAPIC_ICR_MODE) == VLAPIC_ICR_FIXED)
        icr |= VLAPIC_ICR_LOWEST;
    (void)message(d, icr, (uint8_t)MSI_DEST(addr));
    return 0;
}

/* ---- event channels by a line ---- */

/* The parameter, if it wants a line up now; else 0. */
static uint64_t callback_wanted(const struct vcpu *v)
{
    uint64_t via = read_once(v->domain->hvm_domain->param[HVM_PARAM_CALLBACK_IRQ]);
    uint64_t type = via >> CALLBACK_TYPE_SHIFT;

    return (type == HVM_PARAM_CALLBACK_TYPE_GSI || type == HVM_PARAM_CALLBACK_TYPE_PCI_INTX) &&
                   vcpu_event_pending(v)
               ? via
               : 0;
}

bool hvm_callback_changes(const struct vcpu *v)
{
    const struct hvm_chips *c = chips_of(v->domain);

    return c && v->id == 0 && callback_wanted(v) != c->callback;
}

static void callback_set(struct hvm_chips *c, uint64_t via, bool high)
{
    uint64_t line = via & ((1ull << CALLBACK_TYPE_SHIFT) - 1);

    if (via >> CALLBACK_TYPE_SHIFT == HVM_PARAM_CALLBACK_TYPE_PCI_INTX) {
        if (virq_set_pci(&c->irqs, CALLBACK_DEVICE(via), CALLBACK_PIN(via), high))
            return; /* all values of the fields are pins */
    } else if (line && line < VIRQ_LINES) {
        virq_set(&c->irqs, VIRQ_CALLBACK, (unsigned)line, high);
    }
}

void hvm_callback_update(struct vcpu *v)
{
    struct hvm_chips *c = chips_of(v->domain);

    if (!hvm_callback_changes(v))
        return;
    if (c->callback)
        callback_set(c, c->callback, false);
    c->callback = callback_wanted(v);
    if (c->callback)
        callback_set(c, c->callback, true);
}

/* ---- tools ---- */

void hvm_chips_param(struct domain *d, uint32_t index, uint64_t val)
{
    struct hvm_chips *c = chips_of(d);

    if (c && index == HVM_PARAM_ACPI_IOPORTS_LOCATION && (c->present & XEN_X86_EMU_PM))
        vpm_locate(&c->pm, val != 0);
}

void hvm_chips_time_offset(struct domain *d, int64_t seconds)
{
    struct hvm_chips *c = chips_of(d);

    if (c && (c->present & XEN_X86_EMU_RTC))
        vrtc_set_offset(&c->rtc, seconds);
}

int hvm_press_button(struct domain *d, bool sleep)
{
    struct hvm_chips *c = chips_of(d);

    if (!c || !(c->present & XEN_X86_EMU_PM))
        return refuse(-EINVAL, "domain %u has no buttons", d->id);
    if (sleep)
        vpm_press_sleep(&c->pm);
    else
        vpm_press_power(&c->pm);
    return 0;
}

/* ---- life ---- */

int hvm_chips_create(struct domain *d)
{
    struct hvm_domain *h = d->hvm_domain;
    const uint64_t *mode = &h->param[HVM_PARAM_TIMER_MODE];
    uint32_t present = h->emulated;
    struct hvm_chips *c;

    if (!(present & NEED_LINES))
        return 0;
    c = heap_zalloc(sizeof(*c));
    if (!c)
        return -ENOMEM;
    c->present = present;
    virq_init(&c->irqs, &irq_ops, d, present & XEN_X86_EMU_PIC, present & XEN_X86_EMU_IOAPIC);
    virq_attach(&c->irqs, &c->ports, &c->memory);
    if (present & XEN_X86_EMU_PIT) {
        vpit_init(&c->pit, &c->irqs, mode);
        vpit_attach(&c->pit, &c->ports);
    }
    if (present & XEN_X86_EMU_RTC) {
        vrtc_init(&c->rtc, &c->irqs, mode);
        vrtc_attach(&c->rtc, &c->ports);
    }
    if (present & XEN_X86_EMU_HPET) {
        vhpet_init(&c->hpet, &c->irqs, mode, &h->param[HVM_PARAM_HPET_ENABLED]);
        vhpet_attach(&c->hpet, &c->memory);
    }
    if (present & XEN_X86_EMU_PM) {
        vpm_init(&c->pm, &c->irqs);
        vpm_attach(&c->pm, &c->ports);
    }
    h->chips = c;
    return 0;
}

void hvm_chips_stop(struct domain *d)
{
    struct hvm_chips *c = d->hvm_domain ? chips_of(d) : NULL;

    if (!c)
        return;
    vpit_stop(&c->pit);
    vrtc_stop(&c->rtc);
    vhpet_stop(&c->hpet);
    vpm_stop(&c->pm);
}

void hvm_chips_free(struct domain *d)
{
    hvm_chips_stop(d);
    heap_free(chips_of(d));
    d->hvm_domain->chips = NULL;
}
