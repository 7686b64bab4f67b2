/* SPDX-License-Identifier: MIT */
/* Memory at start-up: from the loader's map to a working allocator. */
#pragma once

#include "lib/types.h"

/* Builds the hypervisor's address space and hands all free RAM to the allocator. `record` is the
 * size of one frame's record in the frame table. Needs boot_info; panics if there is too little. */
void memory_start(size_t record);
/* RAM that start-up needed and nobody needs any more (a module, .init): to the allocator. Whole
 * frames inside [start, end). */
void memory_give(paddr_t start, paddr_t end);
/* What is `sealed` (lib/types.h) becomes read only. */
void memory_seal(void);
/* The image's start-up part; the caller runs none of it any more. */
void memory_give_init(void);
/* A page of RAM below 640 KiB that nobody uses, 0: there is none. The first MiB is in no allocator.
 */
paddr_t memory_low_page(void);
/* Is the frame RAM by the firmware's map? */
bool memory_is_ram(mfn_t m);
