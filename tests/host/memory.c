/* SPDX-License-Identifier: MIT */
/* The real allocator over the simulated RAM. In a file of its own, so that tests without memory do
 * not link it. */
#include <stdlib.h>

#include "machine.h"
#include "memory/buddy.h"
#include "memory/heap.h"
#include "memory/layout.h"

void host_memory_init(void)
{
    static uint8_t *state;
    uint64_t frames = host_ram_bytes >> PAGE_SHIFT;

    free(state);
    state = calloc(1, frames);
    if (!state)
        abort();
    heap_reset();
    max_mfn = frames;
    buddy_init(state, frames);
    /* The first MiB is left to what tests put at fixed addresses. */
    buddy_add(mfn(256), mfn(frames));
}
