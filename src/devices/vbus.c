/* SPDX-License-Identifier: MIT */
/* See vbus.h. An access that is wider than the chip, of an odd length, or goes over the end of a
 * range comes in parts, as a bus of that width makes them. */
#include "devices/vbus.h"

#include "base/panic.h"
#include "lib/util.h"

struct vbus_range *vbus_add(struct vbus *b, uint64_t base, uint32_t bytes,
                            const struct vbus_ops *ops, void *chip)
{
    struct vbus_range *r = &b->range[b->count];

    ASSERT(b->count < VBUS_RANGES);
    *r = (struct vbus_range){base, bytes, ops, chip};
    b->count++;
    return r;
}

void vbus_move(struct vbus_range *r, uint64_t base)
{
    write_once(r->base, base);
}

static const struct vbus_range *find(const struct vbus *b, uint64_t addr, uint32_t *offset)
{
    for (unsigned i = 0; i < b->count; i++) {
        uint64_t at = addr - read_once(b->range[i].base);

        if (at < b->range[i].bytes) {
            *offset = (uint32_t)at;
            return &b->range[i];
        }
    }
    return NULL;
}

bool vbus_claims(const struct vbus *b, uint64_t addr)
{
    uint32_t offset;

    return find(b, addr, &offset);
}

static uint64_t ones(unsigned bytes)
{
    return bytes >= 8 ? ~0ull : BIT(bytes * 8) - 1;
}

/* The next part of `left` bytes: a power of two that the chip takes. */
static unsigned part(const struct vbus_range *r, unsigned left)
{
    unsigned n = r ? r->ops->width : 1;

    while (n > left)
        n /= 2;
    return n;
}

bool vbus_read(const struct vbus *b, uint64_t addr, unsigned bytes, uint64_t *val)
{
    *val = 0;
    for (unsigned at = 0, n; at < bytes; at += n) {
        uint32_t offset;
        const struct vbus_range *r = find(b, addr + at, &offset);
        uint64_t piece = 0;

        n = part(r, bytes - at);
        if (!r || !r->ops->read(r->chip, offset, n, &piece)) {
            if (!at)
                return false;
            piece = ~0ull;
        }
        *val |= (piece & ones(n)) << at * 8;
    }
    return true;
}

bool vbus_write(const struct vbus *b, uint64_t addr, unsigned bytes, uint64_t val)
{
    bool all = true;

    for (unsigned at = 0, n; at < bytes; at += n) {
        uint32_t offset;
        const struct vbus_range *r = find(b, addr + at, &offset);

        n = part(r, bytes - at);
        if (!r || !r->ops->write(r->chip, offset, n, val >> at * 8 & ones(n)))
            all = false;
    }
    return all;
}
