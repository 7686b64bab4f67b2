/* SPDX-License-Identifier: MIT */
/* How another CPU comes from real mode to C: a page of code below 1 MiB, made anew for each CPU,
 * and page tables in which that page alone is mapped one to one, executable and not writable. */
#pragma once

#include "hw/cpu_local.h"

/* Writes the page at `page` for a CPU that will begin with `entry` on the empty stack of `cpu`, in
 * page tables that it leaves at once. One CPU at a time. */
void trampoline_write(paddr_t page, const struct cpu_local *cpu, noreturn void (*entry)(void));
