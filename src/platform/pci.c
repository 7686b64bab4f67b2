/* SPDX-License-Identifier: MIT */
/*
 * Configuration space and the records of devices.
 *
 * Memory-mapped space is used where it is known, because the ports reach only 256 bytes of segment
 * 0; it is mapped bus by bus as buses are touched (1 MiB each). PCI 3.0, 3.2.2.3.2 (CF8), PCI
 * Express 3.0, 7.2.2 (ECAM).
 */
#include "platform/pci.h"
#include "base/lock.h"
#include "base/log.h"
#include "hw/ops.h"
#include "lib/errno.h"
#include "lib/util.h"
#include "memory/heap.h"
#include "memory/map.h"
#include "platform/acpi.h"
#include "platform/msi.h"

#define PORT_ADDRESS 0xcf8
#define PORT_DATA    0xcfc

#define CF8_ENABLE      0x80000000u
#define CF8_BUS(v)      (((v) >> 16) & 0xff)
#define CF8_DEVFN(v)    (((v) >> 8) & 0xff)
#define CF8_REGISTER(v) ((v)&0xfc)
#define CF8_EXTENDED(v) (((v) >> 24) & 0xf) /* AMD: register bits 8-11 */

#define CONFIG_SIZE      256u
#define CONFIG_SIZE_ECAM 4096u
#define BUS_SIZE         (1u << 20)
#define BUSES            256u
#define REGIONS          16
#define CAPS_MAX         48u /* as many as fit behind the header */
#define CAPS_FIRST       0x40u
#define HEADER_MULTI     0x80u
#define MSIX_CONTROL     2
#define MSIX_SIZE_MASK   0x7ffu

struct region {
    paddr_t base;
    uint16_t segment;
    uint8_t first, last;
    uint8_t **bus; /* [cf8_lock] mapped buses, indexed from 0 */
};

static struct lock config_lock = LOCK_INIT(RANK_CHIP, "PCI configuration");
static struct lock pci_lock = LOCK_INIT(RANK_PCI, "PCI devices");
static struct list devices = LIST_INIT(devices); /* [pci_lock] */
static struct region regions[REGIONS];           /* entries below nr_regions: [I] */
static unsigned nr_regions;                      /* [a] */

/* ---- configuration space ---- */

static struct region *find_region(struct pci_address a)
{
    unsigned n = __atomic_load_n(&nr_regions, __ATOMIC_ACQUIRE);

    for (unsigned i = 0; i < n; i++)
        if (regions[i].segment == a.segment && a.bus >= regions[i].first &&
            a.bus <= regions[i].last)
            return &regions[i];
    return NULL;
}

int pci_mmcfg_add(paddr_t base, uint16_t segment, uint8_t first, uint8_t last)
{
    struct region *r;
    int rc = 0;

    if (!base || base % BUS_SIZE || first > last)
        return -EINVAL;
    lock(&pci_lock);
    for (unsigned i = 0; i < nr_regions; i++)
        if (regions[i].segment == segment && first <= regions[i].last && last >= regions[i].first) {
            rc = regions[i].base == base ? 0 : -EINVAL;
            goto out;
        }
    r = &regions[nr_regions];
    rc = -ENOMEM;
    if (nr_regions == REGIONS)
        goto out;
    *r = (struct region){.base = base, .segment = segment, .first = first, .last = last};
    r->bus = heap_zalloc(BUSES * sizeof(*r->bus));
    if (!r->bus)
        goto out;
    __atomic_store_n(&nr_regions, nr_regions + 1, __ATOMIC_RELEASE);
    rc = 0;
out:
    unlock(&pci_lock);
    return rc;
}

bool pci_mmcfg_contains(paddr_t address, struct pci_address *addr, unsigned *offset)
{
    for (unsigned i = 0; i < nr_regions; i++) {
        const struct region *r = &regions[i];
        paddr_t at = address - r->base;

        if (address < r->base || at / BUS_SIZE < r->first || at / BUS_SIZE > r->last)
            continue;
        *addr = (struct pci_address){r->segment, (uint8_t)(at / BUS_SIZE),
                                     (uint8_t)(at / CONFIG_SIZE_ECAM)};
        *offset = at % CONFIG_SIZE_ECAM;
        return true;
    }
    return false;
}

/* The mapped register, NULL if the device's bus has none. */
static uint8_t *ecam(struct pci_address a, unsigned offset)
{
    struct region *r = find_region(a);
    uint8_t *bus, *old = NULL;

    if (!r)
        return NULL;
    bus = __atomic_load_n(&r->bus[a.bus], __ATOMIC_ACQUIRE);
    if (!bus) {
        bus = map_device(r->base + (paddr_t)a.bus * BUS_SIZE, BUS_SIZE, PTE_CACHE_UC);
        if (!bus)
            return NULL;
        /* Another CPU may have been quicker. */
        if (!__atomic_compare_exchange_n(&r->bus[a.bus], &old, bus, false, __ATOMIC_ACQ_REL,
                                         __ATOMIC_ACQUIRE)) {
            unmap_device(bus, BUS_SIZE);
            bus = old;
        }
    }
    return bus + (unsigned)a.devfn * CONFIG_SIZE_ECAM + offset;
}

static uint32_t all_ones(unsigned size)
{
    return size == 4 ? ~0u : (1u << 8 * size) - 1;
}

static bool access_ok(unsigned offset, unsigned size)
{
    return (size == 1 || size == 2 || size == 4) && offset % size == 0 && offset < CONFIG_SIZE_ECAM;
}

static uint32_t port_read(uint32_t cf8, unsigned at, unsigned size)
{
    uint32_t v;

    lock(&config_lock);
    out32(PORT_ADDRESS, cf8);
    v = size == 1   ? in8((uint16_t)(PORT_DATA + at))
        : size == 2 ? in16((uint16_t)(PORT_DATA + at))
                    : in32((uint16_t)(PORT_DATA + at));
    unlock(&config_lock);
    return v;
}

static void port_write(uint32_t cf8, unsigned at, unsigned size, uint32_t val)
{
    lock(&config_lock);
    out32(PORT_ADDRESS, cf8);
    if (size == 1)
        out8((uint16_t)(PORT_DATA + at), (uint8_t)val);
    else if (size == 2)
        out16((uint16_t)(PORT_DATA + at), (uint16_t)val);
    else
        out32((uint16_t)(PORT_DATA + at), val);
    unlock(&config_lock);
}

static uint32_t cf8_of(struct pci_address a, unsigned offset)
{
    return CF8_ENABLE | (uint32_t)a.bus << 16 | (uint32_t)a.devfn << 8 | (offset & 0xfc);
}

uint32_t pci_read(struct pci_address a, unsigned offset, unsigned size)
{
    uint8_t *p;

    if (!access_ok(offset, size))
        return all_ones(size == 1 || size == 2 ? size : 4);
    if (a.segment == 0 && offset < CONFIG_SIZE)
        return port_read(cf8_of(a, offset), offset & 3, size);
    p = ecam(a, offset);
    if (!p)
        return all_ones(size);
    return size == 1 ? mmio_read8(p) : size == 2 ? mmio_read16(p) : mmio_read32(p);
}

void pci_write(struct pci_address a, unsigned offset, unsigned size, uint32_t val)
{
    uint8_t *p;

    if (!access_ok(offset, size))
        return;
    if (a.segment == 0 && offset < CONFIG_SIZE) {
        port_write(cf8_of(a, offset), offset & 3, size, val);
        return;
    }
    p = ecam(a, offset);
    if (!p)
        return;
    if (size == 1)
        mmio_write8(p, (uint8_t)val);
    else if (size == 2)
        mmio_write16(p, (uint16_t)val);
    else
        mmio_write32(p, val);
}

uint32_t pci_cf8_read(uint32_t cf8, unsigned at, unsigned size)
{
    if (at > 3 || !access_ok(at, size))
        return all_ones(size == 1 || size == 2 ? size : 4);
    return port_read(cf8, at, size);
}

void pci_cf8_write(uint32_t cf8, unsigned at, unsigned size, uint32_t val)
{
    if (at <= 3 && access_ok(at, size))
        port_write(cf8, at, size, val);
}

bool pci_cf8_decode(uint32_t cf8, struct pci_address *addr, unsigned *offset)
{
    if (!(cf8 & CF8_ENABLE))
        return false;
    *addr = (struct pci_address){0, CF8_BUS(cf8), CF8_DEVFN(cf8)};
    *offset = CF8_EXTENDED(cf8) << 8 | CF8_REGISTER(cf8);
    return true;
}

unsigned pci_find_capability(struct pci_address a, uint8_t id)
{
    unsigned at;

    if (pci_read(a, PCI_VENDOR, 2) == 0xffff || !(pci_read(a, PCI_STATUS, 2) & PCI_STATUS_CAPS))
        return 0;
    at = pci_read(a, PCI_CAP_POINTER, 1) & 0xfc;
    for (unsigned n = 0; n < CAPS_MAX && at >= CAPS_FIRST; n++) {
        uint32_t header = pci_read(a, at, 2);

        if ((header & 0xff) == 0xff)
            return 0;
        if ((header & 0xff) == id)
            return at;
        at = header >> 8 & 0xfc;
    }
    return 0;
}

/* ---- devices ---- */

static bool same(struct pci_address a, struct pci_address b)
{
    return a.segment == b.segment && a.bus == b.bus && a.devfn == b.devfn;
}

static struct pci_device *find(struct pci_address a)
{
    struct pci_device *d;

    list_for_each_entry (d, &devices, link)
        if (same(d->addr, a))
            return d;
    return NULL;
}

struct pci_device *pci_device_find(struct pci_address a)
{
    struct pci_device *d;

    lock(&pci_lock);
    d = find(a);
    unlock(&pci_lock);
    return d;
}

int pci_device_add(struct pci_address a, bool extfn, bool virtfn, struct pci_address physfn)
{
    struct pci_device *d;

    if (pci_device_find(a))
        return 0;
    /* A virtual function has no vendor id of its own. */
    if (!virtfn && pci_read(a, PCI_VENDOR, 2) == 0xffff)
        return -ENODEV;
    d = heap_zalloc(sizeof(*d));
    if (!d)
        return -ENOMEM;
    d->addr = a;
    d->extfn = extfn;
    d->virtfn = virtfn;
    d->physfn = physfn;
    for (unsigned i = 0; i < 3; i++)
        d->class[i] = (uint8_t)pci_read(a, PCI_CLASS + 1 + i, 1);
    d->msi_cap = (uint16_t)pci_find_capability(a, PCI_CAP_MSI);
    d->msix_cap = (uint16_t)pci_find_capability(a, PCI_CAP_MSIX);
    if (d->msix_cap)
        d->msix_count =
            (uint16_t)((pci_read(a, d->msix_cap + MSIX_CONTROL, 2) & MSIX_SIZE_MASK) + 1);
    list_init(&d->entries);
    lock(&pci_lock);
    if (find(a)) {
        unlock(&pci_lock);
        heap_free(d);
        return 0;
    }
    list_add_tail(&devices, &d->link);
    unlock(&pci_lock);
    return 0;
}

int pci_device_remove(struct pci_address a)
{
    struct pci_device *d = pci_device_find(a);

    if (!d)
        return -ENODEV;
    msi_teardown_device(d);
    lock(&pci_lock);
    list_del(&d->link);
    unlock(&pci_lock);
    heap_free(d);
    return 0;
}

static void scan_device(uint8_t bus, unsigned device)
{
    struct pci_address a = {0, bus, (uint8_t)(device << 3)};
    unsigned functions;

    if (pci_read(a, PCI_VENDOR, 2) == 0xffff)
        return;
    functions = pci_read(a, PCI_HEADER_TYPE, 1) & HEADER_MULTI ? 8 : 1;
    for (unsigned f = 0; f < functions; f++) {
        int rc;

        a.devfn = (uint8_t)(device << 3 | f);
        rc = pci_device_add(a, false, false, (struct pci_address){0});
        if (rc && rc != -ENODEV)
            log_warn("PCI %02x:%02x.%u: not recorded: %d", bus, device, f, rc);
    }
}

void pci_scan(void)
{
    for (unsigned i = 0; i < acpi_info.nr_mcfg; i++) {
        const struct acpi_mcfg_region *r = &acpi_info.mcfg[i];
        int rc = pci_mmcfg_add(r->base, r->segment, r->bus_first, r->bus_last);

        if (rc)
            log_warn("PCI: MCFG region at %#lx is not used: %d", r->base, rc);
    }
    for (unsigned bus = 0; bus < BUSES; bus++)
        for (unsigned device = 0; device < 32; device++)
            scan_device((uint8_t)bus, device);
}
