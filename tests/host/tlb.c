/* SPDX-License-Identifier: MIT */
/* The translation caches of the simulated processors: 4 KiB pages with their PCID, of which nothing
 * is forgotten unless the processor has to (SDM vol. 3A, 4.10). machine.c fills and drops. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "machine.h"

#define ENTRIES 256u

struct entry {
    bool used;
    unsigned pcid;
    uint64_t page, pte;
};

bool host_tlb;
static struct entry cache[HOST_CPUS][ENTRIES];

static struct entry *find(unsigned pcid, uint64_t va)
{
    struct entry *e = cache[cpu_local()->id];

    for (unsigned i = 0; i < ENTRIES; i++)
        if (e[i].used && e[i].page == va / PAGE_SIZE && (e[i].pcid == pcid || e[i].pte & PTE_G))
            return &e[i];
    return NULL;
}

bool host_tlb_find(unsigned pcid, uint64_t va, uint64_t *pte)
{
    const struct entry *e = find(pcid, va);

    if (e)
        *pte = e->pte;
    return e != NULL;
}

void host_tlb_fill(unsigned pcid, uint64_t va, uint64_t pte)
{
    struct entry *e = cache[cpu_local()->id];

    if (!(host_cpu()->cr[4] & CR4_PGE))
        pte &= ~PTE_G;
    for (unsigned i = 0; i < ENTRIES; i++)
        if (!e[i].used) {
            e[i] = (struct entry){true, pcid, va / PAGE_SIZE, pte};
            return;
        }
    fputs("host machine: more pages than the TLB has entries\n", stderr);
    abort();
}

void host_tlb_reset(void)
{
    host_tlb = false;
    memset(cache, 0, sizeof(cache));
}

void host_tlb_drop(unsigned pcid, bool global)
{
    struct entry *e = cache[cpu_local()->id];

    for (unsigned i = 0; host_tlb && i < ENTRIES; i++)
        if ((pcid == HOST_TLB_ANY || e[i].pcid == pcid) && (global || !(e[i].pte & PTE_G)))
            e[i].used = false;
}

void host_tlb_drop_page(unsigned pcid, uint64_t va, bool global)
{
    struct entry *e = cache[cpu_local()->id];

    for (unsigned i = 0; host_tlb && i < ENTRIES; i++)
        if (e[i].page == va / PAGE_SIZE && (e[i].pte & PTE_G ? global : e[i].pcid == pcid))
            e[i].used = false;
}
