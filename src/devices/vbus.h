/* SPDX-License-Identifier: MIT */
/* Which chip answers at an address: a table of the ports of a domain, and one of its device memory.
 * Ranges are added while the domain is made; afterwards only vbus_move() changes them.
 *
 * What no chip claims is for the next in line: a device model, or an open bus. */
#pragma once

#include "lib/types.h"

struct vbus_ops {
    /* `bytes` is 1, 2, 4 or 8 and at most `width`; `offset` is within the range, the access perhaps
     * not quite. False: not this chip's after all, whatever it noted of it. */
    bool (*read)(void *chip, uint32_t offset, unsigned bytes, uint64_t *val);
    bool (*write)(void *chip, uint32_t offset, unsigned bytes, uint64_t val);
    uint8_t width; /* wider accesses come in parts */
};

struct vbus_range {
    uint64_t base;              /* [a] */
    uint32_t bytes;             /* [I] */
    const struct vbus_ops *ops; /* [I] */
    void *chip;                 /* [I] */
};

#define VBUS_RANGES 10
struct vbus {
    struct vbus_range range[VBUS_RANGES]; /* [I] but for their bases */
    unsigned count;                       /* [I] */
};

struct vbus_range *vbus_add(struct vbus *b, uint64_t base, uint32_t bytes,
                            const struct vbus_ops *ops, void *chip);
void vbus_move(struct vbus_range *r, uint64_t base);

/* Is `addr` a chip's? */
bool vbus_claims(const struct vbus *b, uint64_t addr);
/* 1 to 8 bytes at `addr`. False: no chip claims the first of them. Bytes behind that nobody claims
 * read as ones. */
bool vbus_read(const struct vbus *b, uint64_t addr, unsigned bytes, uint64_t *val);
/* False: some part of it is (also) for the next in line. */
bool vbus_write(const struct vbus *b, uint64_t addr, unsigned bytes, uint64_t val);
