/* SPDX-License-Identifier: MIT */
/* Ports and device memory of the simulated machine, and the double of map_device(): what the
 * hypervisor's tables map is not there in a process. Mapped RAM is a copy of exactly the asked
 * length, so that the address sanitizer sees every access beyond it; it is copied back when it is
 * unmapped. */
#include <stdio.h>
#include <stdlib.h>

#include "machine.h"
#include "lib/string.h"
#include "memory/map.h"

#define DEVICES  64
#define MAPPINGS 1024

struct range {
    uint64_t first, last;
    struct host_device dev;
    uint8_t *memory;
};

struct mapping {
    uint8_t *p;
    size_t len;
    paddr_t base;
    bool copy; /* of RAM, or floating: freed when unmapped */
};

unsigned host_mappings;
static struct range ports[DEVICES], mmio[DEVICES];
static unsigned port_count, mmio_count;
static struct mapping mappings[MAPPINGS];

static noreturn void die(const char *why, uint64_t what)
{
    fprintf(stderr, "host machine: %s %#lx\n", why, what);
    abort();
}

void host_devices_reset(void)
{
    for (unsigned i = 0; i < mmio_count; i++)
        free(mmio[i].memory);
    for (unsigned i = 0; i < MAPPINGS; i++)
        if (mappings[i].copy)
            free(mappings[i].p);
    memset(mappings, 0, sizeof(mappings));
    port_count = mmio_count = host_mappings = 0;
}

/* ---- ports ---- */

void host_port_add(uint16_t first, uint16_t last, struct host_device dev)
{
    if (port_count == DEVICES)
        die("too many port devices:", first);
    ports[port_count++] = (struct range){first, last, dev, NULL};
}

static struct host_device *port_device(uint16_t port)
{
    /* The latest first, so that a test can put one over another. */
    for (unsigned i = port_count; i-- > 0;)
        if (port >= ports[i].first && port <= ports[i].last)
            return &ports[i].dev;
    return NULL;
}

static uint64_t port_read(uint16_t port, unsigned size)
{
    struct host_device *d = port_device(port);

    return d && d->read ? d->read(d->data, port, size) : ~0ull;
}

static void port_write(uint16_t port, unsigned size, uint64_t val)
{
    struct host_device *d = port_device(port);

    if (d && d->write)
        d->write(d->data, port, size, val);
}

uint8_t in8(uint16_t port)
{
    return (uint8_t)port_read(port, 1);
}

uint16_t in16(uint16_t port)
{
    return (uint16_t)port_read(port, 2);
}

uint32_t in32(uint16_t port)
{
    return (uint32_t)port_read(port, 4);
}

void out8(uint16_t port, uint8_t v)
{
    port_write(port, 1, v);
}

void out16(uint16_t port, uint16_t v)
{
    port_write(port, 2, v);
}

void out32(uint16_t port, uint32_t v)
{
    port_write(port, 4, v);
}

/* ---- device memory ---- */

void host_mmio_add(paddr_t base, size_t len, struct host_device dev)
{
    if (mmio_count == DEVICES)
        die("too many devices:", base);
    mmio[mmio_count++] = (struct range){base, base + len - 1, dev, calloc(1, len)};
}

void *host_mmio_memory(paddr_t base)
{
    for (unsigned i = 0; i < mmio_count; i++)
        if (base >= mmio[i].first && base <= mmio[i].last)
            return mmio[i].memory + (base - mmio[i].first);
    die("no device at", base);
}

static struct range *mmio_range(const volatile void *p)
{
    for (unsigned i = mmio_count; i-- > 0;)
        if ((const uint8_t *)p >= mmio[i].memory &&
            (const uint8_t *)p <= mmio[i].memory + (mmio[i].last - mmio[i].first))
            return &mmio[i];
    return NULL;
}

static uint64_t mmio_read(const volatile void *p, unsigned size)
{
    struct range *r = mmio_range(p);
    uint64_t val = 0;

    if ((uintptr_t)p % size)
        die("unaligned device read at", (uintptr_t)p);
    if (r && r->dev.read)
        return r->dev.read(r->dev.data, (uint64_t)((const uint8_t *)p - r->memory), size);
    memcpy(&val, (const void *)p, size);
    return val;
}

static void mmio_write(volatile void *p, unsigned size, uint64_t val)
{
    struct range *r = mmio_range(p);

    if ((uintptr_t)p % size)
        die("unaligned device write at", (uintptr_t)p);
    if (r && r->dev.write)
        r->dev.write(r->dev.data, (uint64_t)((uint8_t *)p - r->memory), size, val);
    else
        memcpy((void *)p, &val, size);
}

uint8_t mmio_read8(const volatile void *p)
{
    return (uint8_t)mmio_read(p, 1);
}

uint16_t mmio_read16(const volatile void *p)
{
    return (uint16_t)mmio_read(p, 2);
}

uint32_t mmio_read32(const volatile void *p)
{
    return (uint32_t)mmio_read(p, 4);
}

uint64_t mmio_read64(const volatile void *p)
{
    return mmio_read(p, 8);
}

void mmio_write8(volatile void *p, uint8_t v)
{
    mmio_write(p, 1, v);
}

void mmio_write16(volatile void *p, uint16_t v)
{
    mmio_write(p, 2, v);
}

void mmio_write32(volatile void *p, uint32_t v)
{
    mmio_write(p, 4, v);
}

void mmio_write64(volatile void *p, uint64_t v)
{
    mmio_write(p, 8, v);
}

/* ---- memory/map.h ---- */

void *map_device(paddr_t base, size_t len, uint64_t cache)
{
    struct mapping *m = mappings;

    while (m < mappings + MAPPINGS && m->p)
        m++;
    if (m == mappings + MAPPINGS || !len)
        return NULL;
    *m = (struct mapping){.len = len, .base = base};
    for (unsigned i = mmio_count; i-- > 0;)
        if (base >= mmio[i].first && base <= mmio[i].last) {
            if (base + len - 1 > mmio[i].last)
                die("mapping runs beyond the device at", base);
            m->p = mmio[i].memory + (base - mmio[i].first);
        }
    if (!m->p) {
        m->copy = true;
        m->p = malloc(len);
        if (!m->p)
            return NULL;
        memset(m->p, 0xff, len);
        if (base < host_ram_bytes)
            memcpy(m->p, host_ram(base), min(len, host_ram_bytes - base));
    }
    host_mappings++;
    return m->p;
}

void unmap_device(void *p, size_t len)
{
    struct mapping *m = mappings;

    while (m < mappings + MAPPINGS && (m->p != p || m->len != len))
        m++;
    if (m == mappings + MAPPINGS)
        die("unmapped what was not mapped:", (uintptr_t)p);
    if (m->copy) {
        if (m->base < host_ram_bytes)
            memcpy(host_ram(m->base), m->p, min(len, host_ram_bytes - m->base));
        free(m->p);
    }
    *m = (struct mapping){0};
    host_mappings--;
}
