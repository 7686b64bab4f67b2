/* SPDX-License-Identifier: MIT */
/* The empty table of names that the first link and the host build get. In a file of its own, so
 * that no reader of the table is compiled with its size in view. */
#include "base/symbols.h"

#define weak __attribute__((weak))

const uint64_t symbol_table_base weak = 0;
const uint32_t symbol_table_count weak = 0;
const uint32_t symbol_table_end weak = 0;
const uint32_t symbol_table_offset[1] weak = {0};
const uint32_t symbol_table_name[1] weak = {0};
const char symbol_table_names[1] weak = "";
