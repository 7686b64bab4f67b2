/* SPDX-License-Identifier: MIT */
/* Entries that are not present and name memory all the same.
 *
 * Cause: a processor with L1 Terminal Fault goes on under speculation with the address of an entry
 * that is not present, and reads whatever of it is in its cache: of the hypervisor, of anybody.
 * Steps: with the check on for domains other than 0, such a domain writes entries without P of
 * level 1 and 2 that name frames of its own, of domain 0, of the hypervisor: by mmu_update, by
 * update_va_mapping, by a plain store, within a table that it pins; and the same with an address
 * bit on top that the cache does not have. Then entries without an address. Verdict: none of the
 * first is ever in a table; whether the call is refused or the domain is ended (Xen built without
 * shadow page tables does that) is the hypervisor's choice. The others go in.
 *
 * Options: pv-l1tf=domu
 */
#include "lib/domu.h"

#define BEYOND (1ul << 48) /* above the address bits of any processor's cache */

enum way {
    UPDATE,
    UPDATE_L2,
    VA_MAPPING,
    STORE,
    PIN,
    NR_WAYS,
};

static const char *const name[NR_WAYS] = {
    [UPDATE] = "mmu_update",
    [UPDATE_L2] = "mmu_update of an L2",
    [VA_MAPPING] = "update_va_mapping",
    [STORE] = "a store",
    [PIN] = "a pinned table",
};

static volatile struct {
    enum way way;
    uint64_t entry;     /* 0: of a page of its own */
    unsigned long slot; /* in its address space, where it tries */
    long result;
    bool tried;
} plan __attribute__((aligned(64)));

/* In the second domain. */
static void attempt(void)
{
    uint64_t entry = plan.entry;
    pte_t *table, *slot;

    hc_vm_assist(VMASST_CMD_enable, VMASST_TYPE_writable_pagetables);
    if (!entry)
        entry = mfn_pte(virt_to_mfn(page_alloc()), PTE_RW | PTE_A | PTE_D);
    if (plan.way == PIN) {
        table = page_alloc();
        table[7] = entry;
        slot = &table[7];
        need_eq(page_set_ro(table), 0);
        plan.slot = UL(slot);
        plan.result = mmuext(MMUEXT_PIN_L1_TABLE, virt_to_mfn(table));
    } else {
        void *hole = hole_alloc();

        slot = plan.way == UPDATE_L2 ? &pte_lookup((void *)VIRT_BASE, 2)[400] : pte_lookup(hole, 1);
        plan.slot = UL(slot);
        switch (plan.way) {
        case VA_MAPPING:
            plan.result = hc_update_va_mapping(UL(hole), entry, 0);
            break;
        case STORE:
            plan.result = try_write(slot, entry) == NO_TRAP ? 0 : -1;
            break;
        default:
            plan.result = mmu_set(slot, entry);
            break;
        }
    }
    plan.tried = true;
}

static struct domu d;
static char *window;

/* Maps a page of the second domain in turn; its own window is closed, since it would keep tables
 * from being pinned. */
static volatile void *see(unsigned long va)
{
    unsigned long frame = d.mfn[(va - UL(_kernel_start)) / PAGE_SIZE];

    need_eq(page_unmap(window), 0);
    need_eq(map_foreign(d.id, window, frame, PTE_RO), 0);
    return window + va % PAGE_SIZE;
}

/* What the entry is after a second domain tried; *accepted, or it was refused or ended. */
static uint64_t result_of(enum way way, uint64_t entry, bool *accepted)
{
    uint64_t got;
    long end;

    domu_create(&d, attempt);
    domu_view(&d, &plan)->way = way;
    domu_view(&d, &plan)->entry = entry;
    domu_close(&d);
    need_eq(domctl_plain(XEN_DOMCTL_unpausedomain, d.id), 0);
    end = domu_wait(&d);
    need_eq(end == SHUTDOWN_poweroff || end == SHUTDOWN_crash, true);
    plan = *(typeof(&plan))see(UL(&plan));
    if (end == SHUTDOWN_poweroff)
        need_eq(plan.tried, true);
    need_eq(plan.slot != 0, true);
    *accepted = end == SHUTDOWN_poweroff && plan.result == 0;
    got = *(volatile uint64_t *)see(plan.slot);
    need_eq(page_unmap(window), 0);
    domu_destroy(&d);
    return got;
}

static void expect_kept_out(enum way way, uint64_t entry, const char *whose)
{
    bool accepted;
    uint64_t got = result_of(way, entry, &accepted);

    if (accepted || (way != PIN && got != 0))
        expect_failed("an absent entry that names %s, by %s: %s, and is %#lx", whose, name[way],
                      accepted ? "accepted" : "refused", got);
}

static void expect_taken(enum way way, uint64_t entry)
{
    bool accepted;
    uint64_t got = result_of(way, entry, &accepted);

    if (!accepted || got != entry)
        expect_failed("entry %#lx by %s: %s, and is %#lx", entry, name[way],
                      accepted ? "accepted" : "refused", got);
}

void test_main(void)
{
    unsigned long ours = virt_to_mfn(page_alloc());

    window = hole_alloc();
    for (enum way way = 0; way < NR_WAYS; way++) {
        expect_kept_out(way, 0, "a frame of its own");
        expect_taken(way, PTE_RW | PTE_D | 1ul << 9);
    }
    expect_kept_out(UPDATE, mfn_pte(ours, PTE_RW), "a frame of domain 0");
    expect_kept_out(VA_MAPPING, mfn_pte(1, 0), "the first MiB");
    expect_kept_out(PIN, mfn_pte(ours, PTE_RW | PTE_PSE | PTE_NX), "a frame of domain 0");
    expect_kept_out(UPDATE, mfn_pte(ours, PTE_RW) | BEYOND, "a frame of domain 0, and more");
    expect_kept_out(PIN, mfn_pte(ours, PTE_RW) | BEYOND, "a frame of domain 0, and more");
    test_pass();
}
