/* SPDX-License-Identifier: MIT */
/* A buddy allocator. A free block of 2^order frames is known by the state byte of its first frame
 * and sits in the list of its zone and order; the list runs through the free frames themselves.
 * Zone z holds the frames whose number has z significant bits, so "below 2^n" is "zone at most n";
 * no block crosses a zone.
 *
 * A frame that comes back is dirty: idle CPUs zero it (buddy_scrub), and whoever allocates it
 * earlier does. Which frames are zero is known for each frame, not for a block, so blocks join and
 * split whatever is in them. What was never allocated is left alone until it is. */
#include "memory/buddy.h"

#include "base/lock.h"
#include "base/panic.h"
#include "lib/errno.h"
#include "lib/list.h"
#include "lib/string.h"
#include "memory/layout.h"

#define ZONES       41
#define STATE_FREE  0x80 /* | order: first frame of a free block */
#define STATE_DIRTY 0x40 /* free, and to be zeroed */
#define STATE_CLEAN 0x20 /* free: zero but for the list's node; allocated: was zero then */
#define STATE_LOW   0x1f /* order, or the owner's tag */

#define WORD_FRAMES  8u /* states looked at in one step */
#define EACH(state)  (0x0101010101010101ull * (state))
#define SCRUB_FRAMES 4096u /* looked at in one call */

uint64_t max_mfn;

static struct lock buddy_lock = LOCK_INIT(RANK_BUDDY, "buddy");
static uint8_t *state;      /* [BUDDY] one byte a frame */
static uint64_t state_size; /* [I] */
static uint64_t free_frames, total_frames;
static uint64_t dirty_frames, scrub_at; /* [BUDDY] how many there are; where to look for them */
static struct list blocks[ZONES][BUDDY_ORDERS];
static uint32_t nonempty[ZONES]; /* bit n: blocks[zone][n] has some */

static unsigned zone_of(uint64_t n)
{
    return n ? 64 - (unsigned)__builtin_clzll(n) : 0;
}

static inline bool is_block(uint64_t n, unsigned order)
{
    return (read_once(state[n]) & (STATE_FREE | STATE_LOW)) == (STATE_FREE | order);
}

static void block_insert(uint64_t n, unsigned order)
{
    unsigned z = zone_of(n);

    state[n] |= STATE_FREE | (uint8_t)order;
    list_add(&blocks[z][order], mfn_to_virt(mfn(n)));
    nonempty[z] |= 1u << order;
}

static void block_remove(uint64_t n, unsigned order)
{
    unsigned z = zone_of(n);

    state[n] &= STATE_DIRTY | STATE_CLEAN;
    list_del(mfn_to_virt(mfn(n))); /* leaves zeros: a clean frame is clean again */
    if (list_empty(&blocks[z][order]))
        nonempty[z] &= ~(1u << order);
}

void buddy_init(uint8_t *state_bytes, uint64_t max)
{
    state = state_bytes;
    state_size = max;
    free_frames = total_frames = dirty_frames = scrub_at = 0;
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

/* ---- the contents of frames ---- */

/* n of them, freed just now. */
static void mark_dirty(uint64_t first, uint64_t n)
{
    if (!dirty_frames)
        scrub_at = first;
    dirty_frames += n;
    memset(&state[first], STATE_DIRTY, n);
}

/* A block that goes to its owner: what is dirty stays so without being ours to zero. */
static void unmark_dirty(uint64_t first, uint64_t n)
{
    typedef uint64_t __attribute__((__may_alias__, __aligned__(1))) states_t;
    uint64_t i = first, end = first + n;

    if (!dirty_frames)
        return;
    for (; IS_ALIGNED(i, WORD_FRAMES) && i + WORD_FRAMES <= end; i += WORD_FRAMES) {
        states_t *w = (states_t *)&state[i];

        if (*w & EACH(STATE_DIRTY)) {
            dirty_frames -= (((*w & EACH(STATE_DIRTY)) >> 6) * EACH(1)) >> 56;
            *w &= ~EACH(STATE_DIRTY);
        }
    }
    for (; i < end; i++) {
        dirty_frames -= state[i] & STATE_DIRTY ? 1 : 0;
        state[i] &= (uint8_t)~STATE_DIRTY;
    }
}

void buddy_zero(mfn_t m, uint64_t n)
{
    for (uint64_t i = m.n; i < m.n + n; i++)
        if (!(state[i] & STATE_CLEAN))
            hw_clear_page(mfn_to_virt(mfn(i)));
}

bool buddy_scrub(void)
{
    uint64_t left = SCRUB_FRAMES;
    bool more;

    if (!read_once(dirty_frames) || !lock_try(&buddy_lock))
        return false;
    while (left && dirty_frames && !(state[scrub_at] & STATE_DIRTY)) {
        scrub_at = scrub_at + 1 < state_size ? scrub_at + 1 : 0;
        left--;
    }
    if (left && dirty_frames) {
        struct list *node = mfn_to_virt(mfn(scrub_at)), keep = *node;

        hw_clear_page(node);
        if (state[scrub_at] & STATE_FREE)
            *node = keep;
        state[scrub_at] ^= STATE_DIRTY | STATE_CLEAN;
        dirty_frames--;
    }
    more = dirty_frames != 0;
    unlock(&buddy_lock);
    return more;
}

/* ---- blocks in and out ---- */

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
    unmark_dirty(n, 1ull << order);
    unlock(&buddy_lock);
    *out = mfn(n);
    return 0;
}

static bool covers(uint64_t n)
{
    for (unsigned o = 0; o < BUDDY_ORDERS; o++) {
        uint64_t head = n & ~((1ull << o) - 1);

        if (is_block(head, o))
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
    free_frames += 1ull << order;
    while (order + 1 < BUDDY_ORDERS) {
        uint64_t other = n ^ (1ull << order);

        if (other >= state_size || !is_block(other, order) || zone_of(other) != zone_of(n))
            break;
        block_remove(other, order);
        n &= ~(1ull << order);
        order++;
    }
    block_insert(n, order);
}

/* [first, end) in the largest blocks that fit. */
static void free_range_locked(uint64_t first, uint64_t end)
{
    for (uint64_t n = first; n < end;) {
        unsigned order = n ? (unsigned)__builtin_ctzll(n) : BUDDY_ORDERS - 1;

        order = min(order, BUDDY_ORDERS - 1u);
        while (n + (1ull << order) > end || zone_of(n + (1ull << order) - 1) != zone_of(n))
            order--;
        free_locked(n, order);
        n += 1ull << order;
    }
}

void buddy_free(mfn_t m, unsigned order)
{
    ASSERT(IS_ALIGNED(m.n, 1ull << order));
    buddy_free_range(m, 1ull << order);
}

void buddy_free_range(mfn_t m, uint64_t n)
{
    ASSERT(m.n + n <= state_size);
    lock(&buddy_lock);
    for (uint64_t i = m.n; i < m.n + n; i++)
        ASSERT(!covers(i));
    mark_dirty(m.n, n);
    free_range_locked(m.n, m.n + n);
    unlock(&buddy_lock);
}

void buddy_add(mfn_t first, mfn_t end)
{
    lock(&buddy_lock);
    free_range_locked(first.n, end.n);
    total_frames += end.n - first.n;
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
    ASSERT(!(tag & ~STATE_LOW));
    write_once(state[m.n], tag); /* its owner tags it; others look at it under the lock */
}

uint8_t buddy_tag_of(mfn_t m)
{
    return state[m.n] & STATE_LOW;
}
