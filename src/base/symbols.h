/* SPDX-License-Identifier: MIT */
/* Names of the functions in the image, for backtraces and the kernel's /proc/xen/xensyms. The table
 * is made from a first link by tools/gensyms and linked in the second; without it there are no
 * names and addresses are shown as numbers. */
#pragma once

#include "lib/types.h"

/* Made by tools/gensyms; sorted by address. */
extern const uint64_t symbol_table_base; /* the address that offsets count from */
extern const uint32_t symbol_table_count;
extern const uint32_t symbol_table_end;      /* offset of the end of the code */
extern const uint32_t symbol_table_offset[]; /* of each symbol */
extern const uint32_t symbol_table_name[];   /* index of its name in symbol_table_names */
extern const char symbol_table_names[];

/* The function that contains addr: its name, or NULL; its start and size come back if not NULL. */
const char *symbol_lookup(uint64_t addr, uint64_t *start, uint64_t *size);
/* Writes "name+0x12/0x40", or "0x..." if addr lies in no function. */
void symbol_format(uint64_t addr, char *buf, size_t len);
/* The name and address of symbol number `index`, or NULL past the last. */
const char *symbol_at(uint32_t index, uint64_t *addr);
