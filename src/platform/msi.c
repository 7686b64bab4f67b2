/* SPDX-License-Identifier: MIT */
/*
 * MSI and MSI-X. The messages are ours: domain 0 asks for a vector and never sees or writes a
 * message. PCI 3.0, 6.8.1 (MSI), 6.8.2 (MSI-X).
 *
 * One irq chip for each of the two; struct msi_entry is its data. An MSI without a mask bit cannot
 * be masked at the device: its enable bit serves instead, which loses an interrupt that comes while
 * masked, as the specification has it.
 */
#include "platform/msi.h"
#include "base/panic.h"
#include "hw/ops.h"
#include "lib/errno.h"
#include "lib/util.h"
#include "memory/heap.h"
#include "memory/map.h"
#include "platform/lapic.h"

/* MSI capability. */
#define MSI_CONTROL      2
#define MSI_ADDRESS      4
#define MSI_ADDRESS_HIGH 8
#define MSI_DATA(wide)   ((wide) ? 12u : 8u)
#define MSI_MASK(wide)   ((wide) ? 16u : 12u)
#define CONTROL_ENABLE   0x0001u
#define CONTROL_MULTIPLE 0x0070u
#define CONTROL_64BIT    0x0080u
#define CONTROL_MASKABLE 0x0100u

/* MSI-X capability and table. */
#define MSIX_CONTROL        2
#define MSIX_TABLE          4
#define MSIX_PBA            8
#define MSIX_BIR            7u
#define MSIX_CONTROL_MASK   0x4000u
#define MSIX_CONTROL_ENABLE 0x8000u
#define MSIX_ENTRY_SIZE     16
#define MSIX_ENTRY_DATA     8
#define MSIX_ENTRY_CONTROL  12
#define MSIX_ENTRY_MASKED   1u

#define BARS      6
#define BAR_IO    1u
#define BAR_64BIT 4u
#define BAR_TYPE  6u

#define MESSAGE_ADDRESS    0xfee00000u
#define MESSAGE_DEST_SHIFT 12

struct msi_entry {
    struct list link; /* [caller] in pci_device.entries */
    struct pci_device *dev;
    struct irq *irq;
    bool msix;
    unsigned index;   /* in the MSI-X table */
    uint8_t *table;   /* MSI-X: its mapped entry */
    uint64_t address; /* [irq] the message */
    uint32_t data;    /* [irq] */
    bool masked;      /* [irq] */
};

static uint16_t control_read(const struct pci_device *d, unsigned cap)
{
    return (uint16_t)pci_read(d->addr, cap + MSI_CONTROL, 2);
}

static void control_write(const struct pci_device *d, unsigned cap, uint16_t val)
{
    pci_write(d->addr, cap + MSI_CONTROL, 2, val);
}

/* ---- MSI ---- */

static void msi_mask_bit(const struct pci_device *d, uint16_t control, bool masked)
{
    unsigned at = d->msi_cap + MSI_MASK(control & CONTROL_64BIT);
    uint32_t bits = pci_read(d->addr, at, 4);

    pci_write(d->addr, at, 4, masked ? bits | 1 : bits & ~1u);
}

static void msi_set_masked(struct irq *irq, bool masked)
{
    struct msi_entry *e = irq->chip_data;
    const struct pci_device *d = e->dev;
    uint16_t control = control_read(d, d->msi_cap);

    e->masked = masked;
    if (control & CONTROL_MASKABLE) {
        msi_mask_bit(d, control, masked);
        masked = false;
    }
    control &= (uint16_t) ~(CONTROL_MULTIPLE | CONTROL_ENABLE);
    if (!masked && e->address)
        control |= CONTROL_ENABLE;
    control_write(d, d->msi_cap, control);
}

static void msi_write_message(struct msi_entry *e)
{
    const struct pci_device *d = e->dev;
    uint16_t control = control_read(d, d->msi_cap);
    bool wide = control & CONTROL_64BIT, hold = (control & CONTROL_MASKABLE) && !e->masked;

    /* Half a new message would go to a vector that nobody expects there. */
    if (hold)
        msi_mask_bit(d, control, true);
    pci_write(d->addr, d->msi_cap + MSI_ADDRESS, 4, (uint32_t)e->address);
    if (wide)
        pci_write(d->addr, d->msi_cap + MSI_ADDRESS_HIGH, 4, (uint32_t)(e->address >> 32));
    pci_write(d->addr, d->msi_cap + MSI_DATA(wide), 2, e->data);
    if (hold)
        msi_mask_bit(d, control, false);
}

/* ---- MSI-X ---- */

static void msix_set_masked(struct irq *irq, bool masked)
{
    struct msi_entry *e = irq->chip_data;

    e->masked = masked;
    mmio_write32(e->table + MSIX_ENTRY_CONTROL, masked ? MSIX_ENTRY_MASKED : 0);
    /* The write has reached the device when this returns. */
    (void)mmio_read32(e->table + MSIX_ENTRY_CONTROL);
}

static void msix_write_message(struct msi_entry *e)
{
    /* "Undefined if changed while unmasked": 6.8.3.5. */
    mmio_write32(e->table + MSIX_ENTRY_CONTROL, MSIX_ENTRY_MASKED);
    mmio_write32(e->table, (uint32_t)e->address);
    mmio_write32(e->table + 4, (uint32_t)(e->address >> 32));
    mmio_write32(e->table + MSIX_ENTRY_DATA, e->data);
    mmio_write32(e->table + MSIX_ENTRY_CONTROL, e->masked ? MSIX_ENTRY_MASKED : 0);
}

static void set_target(struct irq *irq, uint32_t apic_id, unsigned vector)
{
    struct msi_entry *e = irq->chip_data;

    /* Fixed delivery, physical destination, edge. Ids above 255 need interrupt remapping. */
    ASSERT(apic_id < 256);
    e->address = MESSAGE_ADDRESS | apic_id << MESSAGE_DEST_SHIFT;
    e->data = vector;
    if (e->msix)
        msix_write_message(e);
    else
        msi_write_message(e);
}

static const struct irq_chip msi_chip = {"MSI", msi_set_masked, set_target};
static const struct irq_chip msix_chip = {"MSI-X", msix_set_masked, set_target};

/* The machine address in a memory BAR, 0 if it is none. */
static paddr_t read_bar(struct pci_address a, unsigned bar)
{
    uint32_t low;
    uint64_t high = 0;

    if (bar >= BARS)
        return 0;
    low = pci_read(a, PCI_BAR0 + 4 * bar, 4);
    if ((low & BAR_IO) || low == ~0u)
        return 0;
    if ((low & BAR_TYPE) == BAR_64BIT) {
        if (bar + 1 >= BARS)
            return 0;
        high = pci_read(a, PCI_BAR0 + 4 * (bar + 1), 4);
    }
    return high << 32 | (low & ~15u);
}

/* Finds the table in the device's BARs, once. */
static int find_table(struct pci_device *d, paddr_t table_base)
{
    uint32_t table = pci_read(d->addr, d->msix_cap + MSIX_TABLE, 4);
    uint32_t pba = pci_read(d->addr, d->msix_cap + MSIX_PBA, 4);
    paddr_t bar = read_bar(d->addr, table & MSIX_BIR);

    /* A virtual function's BARs are its physical function's: only domain 0 knows them. */
    if (d->virtfn)
        bar = table_base;
    if (!bar || (table_base && table_base != bar))
        return -EINVAL;
    d->msix_table = bar + (table & ~MSIX_BIR);
    d->msix_pba = d->virtfn ? 0 : read_bar(d->addr, pba & MSIX_BIR);
    if (d->msix_pba)
        d->msix_pba += pba & ~MSIX_BIR;
    return 0;
}

/* ---- entries ---- */

static struct msi_entry *find_entry(const struct pci_device *d, bool msix, unsigned index)
{
    struct msi_entry *e;

    list_for_each_entry (e, &d->entries, link)
        if (e->msix == msix && e->index == index)
            return e;
    return NULL;
}

static int entry_create(struct pci_device *d, bool msix, unsigned index, struct msi_entry **out)
{
    struct msi_entry *e = heap_zalloc(sizeof(*e));

    if (!e)
        return -ENOMEM;
    e->dev = d;
    e->msix = msix;
    e->index = index;
    e->masked = true;
    e->irq = irq_msi_get(msix ? &msix_chip : &msi_chip, e);
    if (!e->irq) {
        heap_free(e);
        return -ENOMEM;
    }
    *out = e;
    return 0;
}

int msix_setup(struct pci_device *d, unsigned index, paddr_t table_base, struct irq **irq)
{
    struct msi_entry *e;
    uint16_t control;
    int rc;

    if (!d->msix_cap)
        return -ENODEV;
    if (index >= d->msix_count)
        return -EINVAL;
    if (find_entry(d, true, index) || find_entry(d, false, 0))
        return -EEXIST;
    rc = find_table(d, table_base);
    if (rc)
        return rc;
    rc = entry_create(d, true, index, &e);
    if (rc)
        return rc;
    e->table = map_device(d->msix_table + index * MSIX_ENTRY_SIZE, MSIX_ENTRY_SIZE, PTE_CACHE_UC);
    if (!e->table) {
        irq_msi_put(e->irq);
        heap_free(e);
        return -ENOMEM;
    }
    msix_set_masked(e->irq, true);
    control = control_read(d, d->msix_cap);
    control_write(d, d->msix_cap, (control | MSIX_CONTROL_ENABLE) & (uint16_t)~MSIX_CONTROL_MASK);
    list_add_tail(&d->entries, &e->link);
    *irq = e->irq;
    return 0;
}

int msi_setup(struct pci_device *d, unsigned count, struct irq **irq)
{
    struct msi_entry *e;
    int rc;

    if (!d->msi_cap)
        return -ENODEV;
    if (count != 1)
        return -EINVAL;
    if (!list_empty(&d->entries))
        return -EEXIST;
    rc = entry_create(d, false, 0, &e);
    if (rc)
        return rc;
    msi_set_masked(e->irq, true);
    list_add_tail(&d->entries, &e->link);
    *irq = e->irq;
    return 0;
}

void msi_teardown(struct irq *irq)
{
    struct msi_entry *e = irq->chip_data;
    struct pci_device *d = e->dev;

    irq_release(irq);
    irq->chip->set_masked(irq, true);
    list_del(&e->link);
    if (e->msix) {
        unmap_device(e->table, MSIX_ENTRY_SIZE);
        if (list_empty(&d->entries))
            control_write(d, d->msix_cap,
                          control_read(d, d->msix_cap) & (uint16_t)~MSIX_CONTROL_ENABLE);
    } else {
        control_write(d, d->msi_cap, control_read(d, d->msi_cap) & (uint16_t)~CONTROL_ENABLE);
    }
    irq_msi_put(irq);
    heap_free(e);
}

void msi_teardown_device(struct pci_device *d)
{
    while (!list_empty(&d->entries))
        msi_teardown(list_first_entry(&d->entries, struct msi_entry, link)->irq);
}

void msi_restore(struct pci_device *d)
{
    struct msi_entry *e;
    bool msix = false;

    list_for_each_entry (e, &d->entries, link) {
        lock(&e->irq->lock);
        if (e->msix) {
            msix = true;
            msix_write_message(e);
        } else {
            if (e->address)
                msi_write_message(e);
            msi_set_masked(e->irq, e->masked);
        }
        unlock(&e->irq->lock);
    }
    if (msix)
        control_write(d, d->msix_cap,
                      (control_read(d, d->msix_cap) | MSIX_CONTROL_ENABLE) &
                          (uint16_t)~MSIX_CONTROL_MASK);
}

/* ---- what domain 0 writes ---- */

/* Bytes of a capability that hold messages and masks. */
static bool in_range(unsigned offset, unsigned size, unsigned start, unsigned len)
{
    return offset < start + len && start < offset + size;
}

/* Replaces the bits of `mask`, 16 bits at `at`, by those the register has. */
static void keep_bits(const struct pci_device *d, unsigned at, uint16_t mask, unsigned offset,
                      unsigned size, uint32_t *val)
{
    uint32_t present = pci_read(d->addr, at, 2);

    for (unsigned i = 0; i < 2; i++) {
        unsigned byte = at + i;
        uint32_t m = (uint32_t)(mask >> 8 * i & 0xff), p = present >> 8 * i & m;

        if (byte < offset || byte >= offset + size)
            continue;
        *val &= ~(m << 8 * (byte - offset));
        *val |= p << 8 * (byte - offset);
    }
}

bool msi_filter_write(struct pci_device *d, unsigned offset, unsigned size, uint32_t *val)
{
    if (d->msi_cap) {
        uint16_t control = control_read(d, d->msi_cap);
        bool wide = control & CONTROL_64BIT;
        unsigned end = control & CONTROL_MASKABLE ? MSI_MASK(wide) + 4 : MSI_DATA(wide) + 2;

        if (in_range(offset, size, d->msi_cap + MSI_ADDRESS, end - MSI_ADDRESS))
            return false;
        keep_bits(d, d->msi_cap + MSI_CONTROL, CONTROL_ENABLE | CONTROL_MULTIPLE, offset, size,
                  val);
    }
    if (d->msix_cap)
        keep_bits(d, d->msix_cap + MSIX_CONTROL, MSIX_CONTROL_ENABLE | MSIX_CONTROL_MASK, offset,
                  size, val);
    return true;
}
