/* SPDX-License-Identifier: MIT */
/* Start-up's first step: the loader's information into boot_info. */
#pragma once

#include "hw/ops.h"
#include "lib/types.h"

/* `magic` says which protocol, `info` is the physical address of its data. Panics on neither. */
void boot_read(uint32_t magic, uint32_t info);

/* One range of the firmware's map, in any order, overlapping or not. */
void boot_memory_add(paddr_t start, uint64_t len, uint32_t type);
/* Sorts the ranges; where they overlap the less usable type wins; RAM is cut to whole frames. */
void boot_memory_finish(void);
