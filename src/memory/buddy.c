/* SPDX-License-Identifier: MIT */
/* A buddy allocator. A free block of 2^order frames is known by the state byte of its first frame
 * and sits in the list of its zone and order; the list runs through the free frames themselves.
 * Zone z holds the frames whose number has z significant bits, so "below 2^n" is "zone at most n";
 * no block crosses a zone. */
#include "memory/buddy.h"

#include "base/lock.h"
#include "base/panic.h"
#include "lib/errno.h"
#include "lib/list.h"
#include "memory/layout.h"

#define ZONES      41
#define STATE_FREE 0x80 /* | order: first frame of a free block */

uint64_t max_mfn;

static struct lock buddy_lock = LOCK_INIT(RANK_BUDDY, "buddy");
static uint8_t *state;      /* [BUDDY] one byte a frame */
static uint64_t state_size; /* [I] */
static uint64_t free_frames, total_frames;
static struct list blocks[ZONES][BUDDY_ORDERS];
static uint32_t nonempty[ZONES]; /* bit n: blocks[zone][n] has some */

static unsigned zone_of(uint64_t n)
{
    return n ? 64 - (unsigned)__builtin_clzll(n) : 0;
}

static void block_insert(uint64_t n, unsigned order)
{
    unsigned z = zone_of(n);

    state[n] = STATE_FREE | (uint8_t)order;
    list_add(&blocks[z][order], mfn_to_virt(mfn(n)));
    nonempty[z] |= 1u << order;
}

static void block_remove(uint64_t n, unsigned order)
{
    unsigned z = zone_of(n);

    state[n] = 0;
    list_del(mfn_to_virt(mfn(n)));
    if (list_empty(&blocks[z][order]))
        nonempty[z] &= ~(1u << order);
}

void buddy_init(uint8_t *state_bytes, uint64_t max)
{
    state = state_bytes;
    state_size = max;
    free_frames = total_frames = 0;
    for (unsigned z = 0; z < ZONES; z++) {
        nonempty[z] = 0;
        for (unsigned o = 0; o < BUDDY_ORDERS; o++)
            list_init(&blocks[z][o]);
    }
}

/* The highest zone that may serve the request and has a block that is large enough. */
static bool find_block(unsigned order, unsigned top_zone, unsigned *zone, unsigned *found)
{
    for (unsigned z = top_zone + 1; z-- > 0;) {
        uint32_t fit = nonempty[z] & ~((1u << order) - 1);

        if (fit) {
            *zone = z;
            *found = (unsigned)__builtin_ctz(fit);
            return true;
        }
    }
    return false;
}

int buddy_alloc(unsigned order, unsigned addr_bits, mfn_t *out)
{
    unsigned zone, have;
    unsigned top = addr_bits == 0 || addr_bits >= ZONES - 1 + PAGE_SHIFT ? ZONES - 1
                   : addr_bits <= PAGE_SHIFT                             ? 0
                                                                         : addr_bits - PAGE_SHIFT;
    uint64_t n;

    if (order >= BUDDY_ORDERS)
        return -ENOMEM;
    lock(&buddy_lock);
    if (!find_block(order, top, &zone, &have)) {
        unlock(&buddy_lock);
        return -ENOMEM;
    }
    n = virt_to_mfn(blocks[zone][have].next).n;
    block_remove(n, have);
    while (have > order) { /* keep the upper half, give the lower back */
        have--;
        block_insert(n, have);
        n += 1ull << have;
    }
    free_frames -= 1ull << order;
    unlock(&buddy_lock);
    *out = mfn(n);
    return 0;
}

static bool covers(uint64_t n)
{
    for (unsigned o = 0; o < BUDDY_ORDERS; o++) {
        uint64_t head = n & ~((1ull << o) - 1);

        if (read_once(state[head]) == (STATE_FREE | o))
            return true;
    }
    return false;
}

bool buddy_is_free(mfn_t m)
{
    bool yes;

    if (m.n >= state_size)
        return false;
    lock(&buddy_lock);
    yes = covers(m.n);
    unlock(&buddy_lock);
    return yes;
}

static void free_locked(uint64_t n, unsigned order)
{
    ASSERT(!covers(n));
    free_frames += 1ull << order;
    while (order + 1 < BUDDY_ORDERS) {
        uint64_t other = n ^ (1ull << order);

        if (other >= state_size || read_once(state[other]) != (STATE_FREE | order) ||
            zone_of(other) != zone_of(n))
            break;
        block_remove(other, order);
        n &= ~(1ull << order);
        order++;
    }
    block_insert(n, order);
}

void buddy_free(mfn_t m, unsigned order)
{
    ASSERT(IS_ALIGNED(m.n, 1ull << order) && m.n + (1ull << order) <= state_size);
    lock(&buddy_lock);
    free_locked(m.n, order);
    unlock(&buddy_lock);
}

void buddy_add(mfn_t first, mfn_t end)
{
    lock(&buddy_lock);
    for (uint64_t n = first.n; n < end.n;) {
        unsigned order = n ? (unsigned)__builtin_ctzll(n) : BUDDY_ORDERS - 1;

        order = min(order, BUDDY_ORDERS - 1u);
        while (n + (1ull << order) > end.n || zone_of(n + (1ull << order) - 1) != zone_of(n))
            order--;
        free_locked(n, order);
        total_frames += 1ull << order;
        n += 1ull << order;
    }
    unlock(&buddy_lock);
}

uint64_t buddy_free_frames(void)
{
    return read_once(free_frames);
}

uint64_t buddy_total_frames(void)
{
    return read_once(total_frames);
}

void buddy_tag(mfn_t m, uint8_t tag)
{
    ASSERT(!(tag & STATE_FREE));
    write_once(state[m.n], tag); /* its owner tags it; others look at it under the lock */
}

uint8_t buddy_tag_of(mfn_t m)
{
    return state[m.n];
}
