/* SPDX-License-Identifier: MIT */
/* There are no page tables of the hypervisor here: memory/map.c is left out. */
#include "memory/map.h"

uint64_t map_lookup(uint64_t va, unsigned *level)
{
    *level = 4;
    return 0;
}
