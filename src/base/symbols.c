/* SPDX-License-Identifier: MIT */
/* Look-up in the table of function names. */
#include "base/symbols.h"
#include "lib/printf.h"

const char *symbol_lookup(uint64_t addr, uint64_t *start, uint64_t *size)
{
    uint64_t offset = addr - symbol_table_base;
    uint32_t lo = 0, hi = symbol_table_count, end;

    if (!hi || addr < symbol_table_base + symbol_table_offset[0] || offset >= symbol_table_end)
        return NULL;
    /* Invariant: offset[lo] <= offset < offset[hi]. */
    while (hi - lo > 1) {
        uint32_t mid = lo + (hi - lo) / 2;

        if (symbol_table_offset[mid] <= offset)
            lo = mid;
        else
            hi = mid;
    }
    end = hi < symbol_table_count ? symbol_table_offset[hi] : symbol_table_end;
    if (start)
        *start = symbol_table_base + symbol_table_offset[lo];
    if (size)
        *size = end - symbol_table_offset[lo];
    return symbol_table_names + symbol_table_name[lo];
}

void symbol_format(uint64_t addr, char *buf, size_t len)
{
    uint64_t start, size;
    const char *name = symbol_lookup(addr, &start, &size);

    if (name)
        fmt_snprintf(buf, len, "%s+%#lx/%#lx", name, addr - start, size);
    else
        fmt_snprintf(buf, len, "%#lx", addr);
}

const char *symbol_at(uint32_t index, uint64_t *addr)
{
    if (index >= symbol_table_count)
        return NULL;
    *addr = symbol_table_base + symbol_table_offset[index];
    return symbol_table_names + symbol_table_name[index];
}
