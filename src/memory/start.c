/* SPDX-License-Identifier: MIT */
/* Memory at start-up. On entry head.S has mapped physical 0-4 GiB one to one and at the direct map,
 * and the image, all writable and executable. On return: slots 256-271 as memory/layout.h has them,
 * W^X for the image, and every free frame of RAM in the allocator. */
#include "memory/start.h"

#include "base/log.h"
#include "base/panic.h"
#include "boot/boot_info.h"
#include "lib/string.h"
#include "memory/buddy.h"
#include "memory/layout.h"
#include "memory/map.h"
#include "memory/tlb.h"

#define LOW_END (640ul << 10) /* of what an 8086 has */
#define MB2     (2ul << 20)
#define GB1     (1ul << 30)

#define PTE_TABLE  (PTE_P | PTE_RW | PTE_U | PTE_A | PTE_D)
#define PTE_KERNEL (PTE_P | PTE_A | PTE_D | PTE_G)

extern char __image_start[], __image_end[], __text_start[], __stubs_end[], __rodata_end[];
extern char __init_start[], __init_text_end[], __init_end[], __sealed_start[], __sealed_end[];
extern uint64_t boot_l4[], boot_l2[], boot_l2_image[];

/* What must not be handed out: the image, modules, and what early_alloc took. */
static struct boot_range reserved[BOOT_MODULES + 16];
static unsigned nr_reserved;

/* Joins it to a range that it borders on from below: what early_alloc takes goes downwards. */
static void init_code reserve(paddr_t start, paddr_t end)
{
    start = ROUND_DOWN(start, PAGE_SIZE);
    end = ROUND_UP(end, PAGE_SIZE);
    for (unsigned i = 0; i < nr_reserved; i++)
        if (end == reserved[i].start) {
            reserved[i].start = start;
            return;
        }
    BUG_ON(nr_reserved == ARRAY_SIZE(reserved));
    reserved[nr_reserved++] = (struct boot_range){.start = start, .end = end};
}

bool memory_is_ram(mfn_t m)
{
    for (unsigned i = 0; i < boot_info.nr_memory; i++) {
        const struct boot_range *r = &boot_info.memory[i];

        if (m.n < r->start >> PAGE_SHIFT)
            return false;
        if (m.n < r->end >> PAGE_SHIFT && r->type == BOOT_RAM)
            return true;
    }
    return false;
}

/* The reserved range with the highest end that [start, end) meets, or NULL. */
static const struct boot_range *init_code conflict(paddr_t start, paddr_t end)
{
    const struct boot_range *found = NULL;

    for (unsigned i = 0; i < nr_reserved; i++)
        if (reserved[i].start < end && start < reserved[i].end &&
            (!found || reserved[i].start < found->start))
            found = &reserved[i];
    return found;
}

/* Takes `size` zeroed bytes, aligned, from as high as possible below `limit`. */
static paddr_t init_code early_alloc(size_t size, size_t align, paddr_t limit)
{
    for (unsigned i = boot_info.nr_memory; i-- > 0;) {
        const struct boot_range *r = &boot_info.memory[i];
        paddr_t end = min(r->end, limit);

        if (r->type != BOOT_RAM)
            continue;
        while (end >= size && ROUND_DOWN(end - size, align) >= max(r->start, (paddr_t)MB2)) {
            paddr_t start = ROUND_DOWN(end - size, align);
            const struct boot_range *c = conflict(start, start + size);

            if (!c) {
                reserve(start, start + size);
                memset(paddr_to_virt(start), 0, size);
                return start;
            }
            end = c->start;
        }
    }
    fatal("too little memory: no %zu KiB in one piece below %lu MiB for Argon itself", size >> 10,
          limit >> 20);
}

static uint64_t *init_code early_table(uint64_t *e)
{
    if (!(*e & PTE_P))
        *e = early_alloc(PAGE_SIZE, PAGE_SIZE, 4 * GB1) | PTE_TABLE;
    return paddr_to_virt(*e & PTE_ADDR_MASK);
}

/* The entry of `level` that maps va, with the tables above it made. */
static uint64_t *init_code early_entry(uint64_t va, unsigned level)
{
    uint64_t *t = hv_l4;

    for (unsigned l = 4; l > level; l--)
        t = early_table(&t[pt_index(va, l)]);
    return &t[pt_index(va, level)];
}

/* Backs [va, va + size) with new zeroed memory in 2 MiB pages; returns its physical address. */
static paddr_t init_code early_map_table(uint64_t va, size_t size, uint64_t flags)
{
    paddr_t p = early_alloc(ROUND_UP(size, MB2), MB2, 4 * GB1);

    for (size_t off = 0; off < size; off += MB2)
        *early_entry(va + off, 2) = (p + off) | PTE_PSE | flags;
    return p;
}

static void init_code map_direct(void)
{
    /* Above 4 GiB: RAM in 2 MiB pages. */
    for (unsigned i = 0; i < boot_info.nr_memory; i++) {
        const struct boot_range *r = &boot_info.memory[i];

        if (r->type != BOOT_RAM)
            continue;
        for (paddr_t p = max(ROUND_DOWN(r->start, MB2), (paddr_t)(4 * GB1)); p < r->end; p += MB2)
            *early_entry(HW_VA_DIRECT + p, 2) = p | PTE_PSE | PTE_KERNEL | PTE_RW | PTE_NX;
    }
    /* Below: head.S mapped all of it; what is not RAM must not be reachable by speculation. */
    for (paddr_t p = MB2; p < 4 * GB1; p += MB2) {
        bool ram = false;

        for (unsigned i = 0; i < boot_info.nr_memory; i++)
            ram |= boot_info.memory[i].start < p + MB2 && p < boot_info.memory[i].end &&
                   boot_info.memory[i].type == BOOT_RAM;
        if (!ram)
            boot_l2[p / MB2] = 0;
    }
}

static uint64_t init_code image_flags(uint64_t va)
{
    if (va >= (uintptr_t)__text_start && va < (uintptr_t)__stubs_end)
        return 0;
    if (va >= (uintptr_t)__init_start && va < (uintptr_t)__init_text_end)
        return 0;
    if (va < (uintptr_t)__rodata_end)
        return PTE_NX;
    return PTE_NX | PTE_RW;
}

/* The image in 4 KiB pages, each with the least that it needs. */
static void init_code map_image(void)
{
    for (uint64_t va = (uintptr_t)__image_start; va < (uintptr_t)__image_end; va += MB2) {
        uint64_t *l1 = paddr_to_virt(early_alloc(PAGE_SIZE, PAGE_SIZE, 4 * GB1));

        for (unsigned i = 0; i < PT_ENTRIES; i++) {
            uint64_t page = va + i * PAGE_SIZE;

            if (page < (uintptr_t)__image_end)
                l1[i] = (boot_info.image_start + (page - (uintptr_t)__image_start)) | PTE_KERNEL |
                        image_flags(page);
        }
        boot_l2_image[(va - (uintptr_t)__image_start) / MB2] = virt_to_paddr(l1) | PTE_TABLE;
    }
    for (unsigned i = DIV_ROUND_UP((size_t)(__image_end - __image_start), MB2); i < 8; i++)
        boot_l2_image[i] = 0;
}

static void init_code find_limits(void)
{
    for (unsigned i = 0; i < boot_info.nr_memory; i++)
        if (boot_info.memory[i].type == BOOT_RAM &&
            boot_info.memory[i].end <= HW_VA_DIRECT_END - HW_VA_DIRECT)
            max_mfn = boot_info.memory[i].end >> PAGE_SHIFT;
    if (!max_mfn)
        fatal("the boot loader gave no memory map");
}

static void init_code give_all(void)
{
    for (unsigned i = 0; i < boot_info.nr_memory; i++) {
        const struct boot_range *r = &boot_info.memory[i];
        paddr_t at = max(r->start, (paddr_t)(1ul << 20)); /* the first MiB stays for firmware and
                                                             the start of other CPUs */
        while (r->type == BOOT_RAM && at < r->end) {
            const struct boot_range *c = conflict(at, r->end);
            paddr_t end = c ? max(c->start, at) : r->end;

            memory_give(at, end);
            at = c ? c->end : r->end;
        }
    }
}

void init_code memory_start(size_t record)
{
    paddr_t m2p;
    size_t m2p_size;

    boot_info.image_start = boot_l2_image[0] & PTE_ADDR_MASK;
    boot_info.image_end = boot_info.image_start + (paddr_t)(__image_end - __image_start);
    hv_l4 = paddr_to_virt(boot_info.image_start + (paddr_t)((char *)boot_l4 - __image_start));
    find_limits();
    nr_reserved = 0;
    reserve(boot_info.image_start, boot_info.image_end);
    for (unsigned i = 0; i < boot_info.nr_modules; i++)
        reserve(boot_info.module[i].start, boot_info.module[i].end);

    for (unsigned slot = L4_HV_FIRST; slot <= L4_HV_LAST; slot++)
        if (slot != L4_PERDOMAIN)
            early_table(&hv_l4[slot]);
    map_direct();
    m2p_size = max_mfn * sizeof(uint64_t);
    m2p = early_map_table(HW_VA_M2P, m2p_size, PTE_KERNEL | PTE_RW | PTE_NX);
    for (size_t off = 0; off < m2p_size; off += MB2)
        *early_entry(HW_VA_M2P_RO + off, 2) =
            (m2p + off) | PTE_PSE | PTE_P | PTE_A | PTE_D | PTE_U | PTE_NX;
    early_map_table(HW_VA_FRAMES, max_mfn * record, PTE_KERNEL | PTE_RW | PTE_NX);
    map_image();
    buddy_init(paddr_to_virt(early_alloc(max_mfn, PAGE_SIZE, 4 * GB1)), max_mfn);
    hv_l4[0] = 0; /* nothing of the hypervisor is below the guest's line any more */
    tlb_flush_cpu();
    memset(M2P, 0xff, ROUND_UP(m2p_size, MB2));
    give_all();
}

paddr_t init_code memory_low_page(void)
{
    for (paddr_t p = LOW_END; (p -= PAGE_SIZE) != 0;)
        if (memory_is_ram(mfn(p >> PAGE_SHIFT)) && !conflict(p, p + PAGE_SIZE))
            return p;
    return 0;
}

void memory_give(paddr_t start, paddr_t end)
{
    start = ROUND_UP(start, PAGE_SIZE);
    end = ROUND_DOWN(end, PAGE_SIZE);
    if (start < end)
        buddy_add(mfn(start >> PAGE_SHIFT), mfn(end >> PAGE_SHIFT));
}

void memory_seal(void)
{
    unsigned level;

    for (uint64_t va = (uintptr_t)__sealed_start; va < (uintptr_t)__sealed_end; va += PAGE_SIZE)
        map_set(va, map_lookup(va, &level) & ~PTE_RW);
}

void memory_give_init(void)
{
    paddr_t base = boot_info.image_start;

    for (uint64_t va = (uintptr_t)__init_start; va < (uintptr_t)__init_end; va += PAGE_SIZE)
        map_set(va, 0);
    memory_give(base + (paddr_t)(__init_start - __image_start),
                base + (paddr_t)(__init_end - __image_start));
}
