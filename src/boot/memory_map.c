/* SPDX-License-Identifier: MIT */
/* The firmware's memory map, put in order: boot_info.memory is sorted and free of overlaps.
 * Firmware may hand over anything: unsorted, overlapping, empty or wrapping ranges. */
#include "base/log.h"
#include "boot/boot.h"
#include "boot/boot_info.h"
#include "lib/string.h"
#include "lib/util.h"

#define RAW_MAX (BOOT_MEMORY / 2)

static struct boot_range raw[RAW_MAX];
static unsigned nr_raw;

void init_code boot_memory_add(paddr_t start, uint64_t len, uint32_t type)
{
    paddr_t end = start + len;

    if (end < start) /* beyond the last address */
        end = ~0ull & PAGE_MASK;
    if (start >= end)
        return;
    if (!type) /* no type of any specification; 0 is "nothing" here */
        type = BOOT_RESERVED;
    if (nr_raw == RAW_MAX) {
        log_warn("boot: the memory map has more than %u entries: %#lx-%#lx left out", RAW_MAX,
                 start, end);
        return;
    }
    if (type == BOOT_RAM) { /* whole frames only */
        start = ROUND_UP(start, PAGE_SIZE);
        end = ROUND_DOWN(end, PAGE_SIZE);
        if (start >= end)
            return;
    }
    raw[nr_raw++] = (struct boot_range){.start = start, .end = end, .type = type};
}

/* Which of two claims on the same bytes holds: anything over RAM, unusable over all. */
static bool wins(uint32_t a, uint32_t b)
{
    if (a == BOOT_UNUSABLE || b == BOOT_RAM)
        return true;
    return a != BOOT_RAM && b != BOOT_UNUSABLE && a >= b;
}

/* Appends [start, end), joining it to the last range where it continues that. RAM next to what is
 * none may begin or end inside a frame: that frame is not RAM. */
static void init_code append(paddr_t start, paddr_t end, uint32_t type)
{
    struct boot_range *last = &boot_info.memory[boot_info.nr_memory];

    if (type == BOOT_RAM) {
        start = ROUND_UP(start, PAGE_SIZE);
        end = ROUND_DOWN(end, PAGE_SIZE);
        if (start >= end)
            return;
    }
    if (boot_info.nr_memory && last[-1].end == start && last[-1].type == type)
        last[-1].end = end;
    else if (boot_info.nr_memory < BOOT_MEMORY) {
        *last = (struct boot_range){.start = start, .end = end, .type = type};
        boot_info.nr_memory++;
    }
}

void init_code boot_memory_finish(void)
{
    paddr_t at = 0;

    boot_info.nr_memory = 0;
    for (;;) {
        paddr_t next = ~0ull; /* the next border after `at` */
        uint32_t type = 0;    /* what covers `at` */

        for (unsigned i = 0; i < nr_raw; i++) {
            const struct boot_range *r = &raw[i];

            if (r->start > at)
                next = min(next, r->start);
            else if (r->end > at) {
                next = min(next, r->end);
                if (!type || wins(r->type, type))
                    type = r->type;
            }
        }
        if (type)
            append(at, next, type);
        if (next == ~0ull)
            break;
        at = next;
    }
    nr_raw = 0;
}
