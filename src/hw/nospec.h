/* SPDX-License-Identifier: MIT */
/* Spectre v1: bounding an index under speculation. */
#pragma once

#include "lib/types.h"

/* An index from a guest, already checked to be below `size`, is forced below it under speculation
 * too: the mask is all ones iff index < size. Intel's guidance on bounds check bypass. */
static inline uint64_t index_nospec(uint64_t index, uint64_t size)
{
    uint64_t mask;

    asm volatile("cmp %1, %2; sbb %0, %0" : "=r"(mask) : "r"(size), "r"(index) : "cc");
    return index & mask;
}
