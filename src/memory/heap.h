/* SPDX-License-Identifier: MIT */
/* The hypervisor's heap: objects by size class from whole frames; above half a page, whole blocks
 * of frames from the buddy allocator. Addresses lie in the direct map. */
#pragma once

#include "lib/types.h"

/* NULL if memory is short. Aligned to 16, and to the size where that is a power of two up to a
 * page; at least a page: page aligned. */
void *heap_alloc(size_t size) must_check;
void *heap_zalloc(size_t size) must_check;
void heap_free(void *p); /* NULL is fine */

/* One zeroed frame, and back. */
void *heap_page(void) must_check;
void heap_page_free(void *p);

/* Frames the heap holds. */
uint64_t heap_frames(void);
/* Forgets every object, for a new machine in host tests. */
void heap_reset(void);
