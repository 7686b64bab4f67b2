/* SPDX-License-Identifier: MIT */
/* IO-APICs. Registers are reached through an index: one lock for all chips. Intel 82093AA
 * datasheet, 3.1 and 3.2. */
#include "platform/ioapic.h"
#include "base/lock.h"
#include "base/log.h"
#include "base/panic.h"
#include "hw/ops.h"
#include "lib/errno.h"
#include "lib/util.h"
#include "memory/heap.h"
#include "memory/map.h"

#define CHIPS_MAX 16
#define PINS_MAX  240
#define CHIP_SIZE 0x20

#define SELECT 0x00
#define WINDOW 0x10

#define REG_ID       0x00
#define REG_VERSION  0x01
#define REG_ROUTE(n) (0x10 + 2 * (n))

#define VERSION_PINS(v) ((((v) >> 16) & 0xff) + 1)

/* Redirection entry. */
#define ROUTE_ACTIVE_LOW 0x2000u
#define ROUTE_LEVEL      0x8000u
#define ROUTE_MASKED     0x10000u
#define ROUTE_DEST_SHIFT 24 /* in the high word */

struct chip {
    paddr_t address;
    uint8_t *regs;
    uint32_t gsi_base;
    unsigned pins;
    uint8_t id;
    struct ioapic_route *routes;
};

static struct lock ioapic_lock = LOCK_INIT(RANK_CHIP, "IO-APIC");
static struct chip chips[CHIPS_MAX];
static unsigned nr_chips;

static uint32_t get(const struct chip *c, unsigned reg)
{
    mmio_write32(c->regs + SELECT, reg);
    return mmio_read32(c->regs + WINDOW);
}

static void set(const struct chip *c, unsigned reg, uint32_t val)
{
    mmio_write32(c->regs + SELECT, reg);
    mmio_write32(c->regs + WINDOW, val);
}

static uint32_t low_word(const struct ioapic_route *r)
{
    return r->vector | (r->active_low ? ROUTE_ACTIVE_LOW : 0) | (r->level ? ROUTE_LEVEL : 0) |
           (r->masked ? ROUTE_MASKED : 0);
}

static void write_route(const struct chip *c, unsigned pin)
{
    const struct ioapic_route *r = &c->routes[pin];

    /* Never a live entry with half of the old one: it may be live now, whatever it is to be. */
    set(c, REG_ROUTE(pin), low_word(r) | ROUTE_MASKED);
    set(c, REG_ROUTE(pin) + 1, r->apic_id << ROUTE_DEST_SHIFT);
    if (!r->masked)
        set(c, REG_ROUTE(pin), low_word(r));
}

static struct chip *find(unsigned gsi)
{
    for (unsigned i = 0; i < nr_chips; i++)
        if (gsi >= chips[i].gsi_base && gsi - chips[i].gsi_base < chips[i].pins)
            return &chips[i];
    return NULL;
}

/* Another chip with pins in [base, base + pins)? */
static bool overlaps(uint32_t base, unsigned pins)
{
    for (unsigned i = 0; i < nr_chips; i++)
        if (base < chips[i].gsi_base + chips[i].pins && chips[i].gsi_base < base + pins)
            return true;
    return false;
}

int ioapic_add(uint8_t id, paddr_t address, uint32_t gsi_base)
{
    struct chip *c = &chips[nr_chips];
    uint32_t version;

    if (nr_chips == CHIPS_MAX)
        return -ENOMEM;
    *c = (struct chip){.address = address, .gsi_base = gsi_base, .id = id};
    c->regs = map_device(address, CHIP_SIZE, PTE_CACHE_UC);
    if (!c->regs)
        return -ENOMEM;
    version = get(c, REG_VERSION);
    c->pins = VERSION_PINS(version);
    if (version == ~0u || c->pins > PINS_MAX || gsi_base > 0xffff || overlaps(gsi_base, c->pins)) {
        log_warn("IO-APIC %u at %#lx: version %#x, GSIs from %u: not used", id, address, version,
                 gsi_base);
        unmap_device(c->regs, CHIP_SIZE);
        return -EINVAL;
    }
    c->routes = heap_zalloc(c->pins * sizeof(*c->routes));
    if (!c->routes) {
        unmap_device(c->regs, CHIP_SIZE);
        return -ENOMEM;
    }
    lock(&ioapic_lock);
    for (unsigned pin = 0; pin < c->pins; pin++) {
        c->routes[pin] = (struct ioapic_route){.masked = true};
        write_route(c, pin);
    }
    nr_chips++;
    unlock(&ioapic_lock);
    log_info("IO-APIC %u at %#lx: GSI %u-%u", id, address, gsi_base, gsi_base + c->pins - 1);
    return 0;
}

unsigned ioapic_gsi_count(void)
{
    unsigned count = 0;

    for (unsigned i = 0; i < nr_chips; i++)
        count = max(count, chips[i].gsi_base + chips[i].pins);
    return count;
}

bool ioapic_has_gsi(unsigned gsi)
{
    return find(gsi) != NULL;
}

struct ioapic_route ioapic_get(unsigned gsi)
{
    struct chip *c = find(gsi);
    struct ioapic_route r;

    BUG_ON(!c);
    lock(&ioapic_lock);
    r = c->routes[gsi - c->gsi_base];
    unlock(&ioapic_lock);
    return r;
}

void ioapic_set(unsigned gsi, struct ioapic_route route)
{
    struct chip *c = find(gsi);

    BUG_ON(!c || route.apic_id > 0xff);
    lock(&ioapic_lock);
    c->routes[gsi - c->gsi_base] = route;
    write_route(c, gsi - c->gsi_base);
    unlock(&ioapic_lock);
}

void ioapic_mask(unsigned gsi, bool masked)
{
    struct chip *c = find(gsi);
    struct ioapic_route *r;

    BUG_ON(!c);
    lock(&ioapic_lock);
    r = &c->routes[gsi - c->gsi_base];
    if (r->masked != masked) {
        r->masked = masked;
        set(c, REG_ROUTE(gsi - c->gsi_base), low_word(r));
        /* The write has reached the chip when this returns. */
        (void)mmio_read32(c->regs + WINDOW);
    }
    unlock(&ioapic_lock);
}

void ioapic_mask_all(void)
{
    for (unsigned i = 0; i < nr_chips; i++)
        for (unsigned pin = 0; pin < chips[i].pins; pin++)
            ioapic_mask(chips[i].gsi_base + pin, true);
}

int ioapic_read_register(paddr_t address, uint32_t reg, uint32_t *val)
{
    for (unsigned i = 0; i < nr_chips; i++) {
        struct chip *c = &chips[i];

        if (c->address != address)
            continue;
        if (reg > 2 && (reg < REG_ROUTE(0) || reg >= REG_ROUTE(c->pins)))
            return -EINVAL;
        lock(&ioapic_lock);
        *val = get(c, reg);
        unlock(&ioapic_lock);
        return 0;
    }
    return -EINVAL;
}

paddr_t ioapic_address(unsigned n)
{
    return n < nr_chips ? chips[n].address : 0;
}

void ioapic_dump(void)
{
    for (unsigned i = 0; i < nr_chips; i++)
        for (unsigned pin = 0; pin < chips[i].pins; pin++) {
            const struct ioapic_route *r = &chips[i].routes[pin];

            if (r->vector)
                log_key("  GSI %3u: vector %#x APIC %u %s %s%s", chips[i].gsi_base + pin, r->vector,
                        r->apic_id, r->level ? "level" : "edge", r->active_low ? "low" : "high",
                        r->masked ? " masked" : "");
        }
}
