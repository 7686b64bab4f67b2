/* SPDX-License-Identifier: MIT */
/* See virq.h. Everything that can move a line ends in update(), which computes all lines and tells
 * the controllers what has changed. */
#include "devices/virq.h"

#include "base/refuse.h"
#include "hw/nospec.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "lib/util.h"

#define PCI_PINS    4u
#define PCI_DEVICES 32u
#define LEGACY      (BIT(VIRQ_PIT) | BIT(VIRQ_RTC))
/* ISA lines that no device model drives. */
#define NOT_MODEL (BIT(VIRQ_PIT) | BIT(VIRQ_CASCADE) | BIT(VIRQ_RTC))

static unsigned pin_of(unsigned line)
{
    return line == VIRQ_PIT ? 2 : line;
}

unsigned virq_pci_line(unsigned device, unsigned pin)
{
    return VIRQ_ISA + (device * PCI_PINS + device / 8 + pin) % (VIRQ_LINES - VIRQ_ISA);
}

/* The lines that PCI pins hold, over the router too. */
static uint64_t pci_lines(const struct virqs *q)
{
    uint64_t lines = 0;

    for (unsigned half = 0; half < 2; half++)
        for (uint64_t pins = q->pci[half]; pins; pins &= pins - 1) {
            unsigned n = half * 64 + (unsigned)__builtin_ctzll(pins);
            unsigned device = n / PCI_PINS, pin = n % PCI_PINS;

            lines |= BIT(virq_pci_line(device, pin));
            if (q->route[(device + pin) % VIRQ_LINKS])
                lines |= BIT(q->route[(device + pin) % VIRQ_LINKS]);
        }
    return lines;
}

static uint64_t lines(const struct virqs *q)
{
    uint64_t all = q->source[VIRQ_CHIP];

    if (q->legacy_replaced)
        all &= ~LEGACY;
    for (unsigned s = 0; s < VIRQ_SOURCES; s++)
        all |= s == VIRQ_CHIP ? 0 : q->source[s];
    return all | pci_lines(q);
}

static void input(struct virqs *q, unsigned line, bool high)
{
    if (q->has_pic && line < VIRQ_ISA)
        vpic_input(&q->pic, line, high);
    if (q->has_ioapic && line != VIRQ_CASCADE)
        vioapic_input(&q->ioapic, pin_of(line), high);
}

static void update(struct virqs *q)
{
    uint64_t now = lines(q), changed = now ^ q->high;

    q->high = now;
    for (; changed; changed &= changed - 1) {
        unsigned line = (unsigned)__builtin_ctzll(changed);

        input(q, line, now >> line & 1);
    }
}

/* After loading: the controllers learn the levels; the edges were before. */
static void resync(struct virqs *q)
{
    uint64_t pins;

    q->high = lines(q);
    pins = (q->high & ~(BIT(VIRQ_PIT) | BIT(VIRQ_CASCADE))) |
           (q->high & BIT(VIRQ_PIT) ? BIT(pin_of(VIRQ_PIT)) : 0);
    if (q->has_pic)
        vpic_resync(&q->pic, (uint16_t)q->high);
    if (q->has_ioapic)
        vioapic_resync(&q->ioapic, pins);
}

void virq_set(struct virqs *q, enum virq_source s, unsigned line, bool high)
{
    uint64_t bit = BIT(index_nospec(line, VIRQ_LINES));

    lock(&q->lock);
    if (high)
        q->source[s] |= bit;
    else
        q->source[s] &= ~bit;
    update(q);
    unlock(&q->lock);
}

void virq_pulse(struct virqs *q, enum virq_source s, unsigned line)
{
    uint64_t bit = BIT(index_nospec(line, VIRQ_LINES));

    lock(&q->lock);
    if (!(q->high & bit) && !(s == VIRQ_CHIP && q->legacy_replaced && (bit & LEGACY))) {
        input(q, line, true);
        input(q, line, false);
    }
    unlock(&q->lock);
}

void virq_replace_legacy(struct virqs *q, bool replace)
{
    lock(&q->lock);
    q->legacy_replaced = replace;
    update(q);
    unlock(&q->lock);
}

int virq_set_isa(struct virqs *q, unsigned irq, bool high)
{
    if (irq >= VIRQ_ISA)
        return refuse(-EINVAL, "ISA line %u", irq);
    virq_set(q, VIRQ_MODEL, irq, high);
    return 0;
}

int virq_set_pci(struct virqs *q, unsigned device, unsigned pin, bool high)
{
    unsigned n = device * PCI_PINS + pin;
    uint64_t *half;

    if (device >= PCI_DEVICES || pin >= PCI_PINS)
        return refuse(-EINVAL, "pin %u of PCI device %u", pin, device);
    half = &q->pci[index_nospec(n / 64, 2)];
    lock(&q->lock);
    *half = (*half & ~BIT(n % 64)) | (uint64_t)high << n % 64;
    update(q);
    unlock(&q->lock);
    return 0;
}

int virq_set_link(struct virqs *q, unsigned link, unsigned irq)
{
    if (link >= VIRQ_LINKS || irq >= VIRQ_ISA)
        return refuse(-EINVAL, "PCI link %u to ISA line %u", link, irq);
    lock(&q->lock);
    q->route[index_nospec(link, VIRQ_LINKS)] = (uint8_t)irq;
    update(q);
    unlock(&q->lock);
    return 0;
}

bool virq_waits(struct virqs *q, unsigned line)
{
    bool waits = false;
    uint64_t e;

    lock(&q->lock);
    e = q->has_ioapic ? q->ioapic.hw.redirtbl[pin_of(line)].bits : VIOAPIC_MASKED;
    if (!(e & VIOAPIC_MASKED))
        waits = q->ops->message_waits(q->owner, (uint32_t)e & VIOAPIC_MESSAGE, (uint8_t)(e >> 56));
    else if (q->has_pic && line < VIRQ_ISA)
        waits = vpic_waits(&q->pic, line);
    unlock(&q->lock);
    return waits;
}

/* ---- to the processors ---- */

bool virq_intr(const struct virqs *q)
{
    return q->has_pic && read_once(q->pic.chip[0].int_output);
}

int virq_acknowledge(struct virqs *q)
{
    int vector = -1;

    lock(&q->lock);
    if (vpic_pending(&q->pic))
        vector = vpic_acknowledge(&q->pic);
    unlock(&q->lock);
    return vector;
}

void virq_eoi(struct virqs *q, uint8_t vector)
{
    if (!q->has_ioapic)
        return;
    lock(&q->lock);
    vioapic_eoi(&q->ioapic, vector);
    unlock(&q->lock);
}

/* ---- the guest's accesses ---- */

/* `offset` of a range whose base tells the chip: see attach. */
static bool pic_access(struct virqs *q, unsigned chip, uint32_t port, uint64_t *in, uint64_t out)
{
    lock(&q->lock);
    if (in)
        *in = vpic_read(&q->pic, chip, port);
    else
        vpic_write(&q->pic, chip, port, (uint8_t)out);
    unlock(&q->lock);
    return true;
}

static bool read_master(void *q, uint32_t port, unsigned bytes, uint64_t *val)
{
    return pic_access(q, 0, port, val, 0);
}

static bool write_master(void *q, uint32_t port, unsigned bytes, uint64_t val)
{
    return pic_access(q, 0, port, NULL, val);
}

static bool read_slave(void *q, uint32_t port, unsigned bytes, uint64_t *val)
{
    return pic_access(q, 1, port, val, 0);
}

static bool write_slave(void *q, uint32_t port, unsigned bytes, uint64_t val)
{
    return pic_access(q, 1, port, NULL, val);
}

static bool read_elcr(void *data, uint32_t chip, unsigned bytes, uint64_t *val)
{
    struct virqs *q = data;

    lock(&q->lock);
    *val = vpic_read_elcr(&q->pic, chip);
    unlock(&q->lock);
    return true;
}

static bool write_elcr(void *data, uint32_t chip, unsigned bytes, uint64_t val)
{
    struct virqs *q = data;

    lock(&q->lock);
    vpic_write_elcr(&q->pic, chip, (uint8_t)val);
    unlock(&q->lock);
    return true;
}

/* Registers are 32 bits wide; of narrower accesses, reads get their part and writes go nowhere. */
static bool read_ioapic(void *data, uint32_t offset, unsigned bytes, uint64_t *val)
{
    struct virqs *q = data;

    lock(&q->lock);
    *val = vioapic_read(&q->ioapic, offset & ~3u) >> offset % 4 * 8;
    unlock(&q->lock);
    return true;
}

static bool write_ioapic(void *data, uint32_t offset, unsigned bytes, uint64_t val)
{
    struct virqs *q = data;

    if (bytes < 4 && (offset & ~3u)) /* but the index is a byte, and often written as one */
        return true;
    lock(&q->lock);
    vioapic_write(&q->ioapic, offset, (uint32_t)val);
    unlock(&q->lock);
    return true;
}

void virq_attach(struct virqs *q, struct vbus *ports, struct vbus *memory)
{
    static const struct vbus_ops master = {read_master, write_master, 1};
    static const struct vbus_ops slave = {read_slave, write_slave, 1};
    static const struct vbus_ops elcr = {read_elcr, write_elcr, 1};
    static const struct vbus_ops ioapic = {read_ioapic, write_ioapic, 4};

    if (q->has_pic) {
        vbus_add(ports, 0x20, 2, &master, q);
        vbus_add(ports, 0xa0, 2, &slave, q);
        vbus_add(ports, 0x4d0, 2, &elcr, q);
    }
    if (q->has_ioapic)
        vbus_add(memory, VIOAPIC_BASE, VIOAPIC_BYTES, &ioapic, q);
}

void virq_init(struct virqs *q, const struct virq_ops *ops, void *owner, bool pic, bool ioapic)
{
    memset(q, 0, sizeof(*q));
    lock_init(&q->lock, RANK_VIRQ, "interrupt lines");
    q->ops = ops;
    q->owner = owner;
    q->has_pic = pic;
    q->has_ioapic = ioapic;
    q->pic.output = ops->intr;
    q->ioapic.message = ops->message;
    q->pic.owner = q->ioapic.owner = owner;
    vpic_reset(&q->pic);
    vioapic_reset(&q->ioapic);
}

/* ---- saved state ---- */

void virq_save_pic(struct virqs *q, unsigned chip, struct hvm_hw_vpic *r)
{
    lock(&q->lock);
    *r = q->pic.chip[chip & 1];
    unlock(&q->lock);
}

void virq_load_pic(struct virqs *q, unsigned chip, const struct hvm_hw_vpic *r)
{
    lock(&q->lock);
    vpic_load(&q->pic, chip, r);
    resync(q);
    unlock(&q->lock);
}

void virq_save_ioapic(struct virqs *q, struct hvm_hw_vioapic *r)
{
    lock(&q->lock);
    *r = q->ioapic.hw;
    unlock(&q->lock);
}

void virq_load_ioapic(struct virqs *q, const struct hvm_hw_vioapic *r)
{
    lock(&q->lock);
    vioapic_load(&q->ioapic, r);
    resync(q);
    unlock(&q->lock);
}

void virq_save_isa(struct virqs *q, struct hvm_hw_isa_irqs *r)
{
    lock(&q->lock);
    r->pad[0] = q->source[VIRQ_MODEL];
    unlock(&q->lock);
}

int virq_check_isa(const struct hvm_hw_isa_irqs *r)
{
    return r->pad[0] >> VIRQ_ISA ? refuse(-EINVAL, "ISA lines %#lx", r->pad[0]) : 0;
}

void virq_load_isa(struct virqs *q, const struct hvm_hw_isa_irqs *r)
{
    lock(&q->lock);
    q->source[VIRQ_MODEL] = r->pad[0] & ~NOT_MODEL;
    resync(q);
    unlock(&q->lock);
}

void virq_save_pci(struct virqs *q, struct hvm_hw_pci_irqs *r)
{
    lock(&q->lock);
    memcpy(r->pad, q->pci, sizeof(q->pci));
    unlock(&q->lock);
}

void virq_load_pci(struct virqs *q, const struct hvm_hw_pci_irqs *r)
{
    lock(&q->lock);
    memcpy(q->pci, r->pad, sizeof(q->pci));
    resync(q);
    unlock(&q->lock);
}

void virq_save_link(struct virqs *q, struct hvm_hw_pci_link *r)
{
    memset(r, 0, sizeof(*r));
    lock(&q->lock);
    memcpy(r->route, q->route, sizeof(q->route));
    unlock(&q->lock);
}

int virq_check_link(const struct hvm_hw_pci_link *r)
{
    for (unsigned i = 0; i < VIRQ_LINKS; i++)
        if (r->route[i] >= VIRQ_ISA)
            return refuse(-EINVAL, "PCI link %u to ISA line %u", i, r->route[i]);
    return 0;
}

void virq_load_link(struct virqs *q, const struct hvm_hw_pci_link *r)
{
    lock(&q->lock);
    memcpy(q->route, r->route, sizeof(q->route));
    resync(q);
    unlock(&q->lock);
}
