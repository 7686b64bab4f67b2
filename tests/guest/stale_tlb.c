/* SPDX-License-Identifier: MIT */
/* A translation that was not flushed, and a frame that changes its use under it.
 *
 * Cause: a guest may leave out the flush after it took a mapping away; the processor still writes
 * through it then. Once the frame is a page table, a descriptor table or another's, it must not.
 * Steps: write through a mapping so that it is cached; take it, or its right to write, away without
 * flush; make the frame a page table of each level, a GDT, a page of nobody, by each interface;
 * write again. The same with a whole L1 table replaced above the mapping.
 * Verdict: the write faults, always, and the frame does not change. */
#include "lib/domu.h"

/* No entry of any table, so that a store through a read-only view of one is not carried out. */
#define REFUSED 0x7fffffff067ul

static uint64_t *hole;
static pte_t *hole_pte;
static uint64_t *page;
static unsigned long frame;

/* A fresh page, mapped writable at `hole` too, the translation of which is cached. */
static void prepare(void)
{
    page = page_alloc();
    frame = virt_to_mfn(page);
    need_eq(hc_update_va_mapping(UL(hole), mfn_pte(frame, PTE_KERNEL), UVMF_INVLPG), 0);
    need_eq(page_set_ro(page), 0);
    hole[7] = 0;
    expect_eq(try_write(&hole[7], 0), NO_TRAP);
}

static void expect_fault(const char *what)
{
    long vector = try_write(&hole[7], REFUSED);

    if (vector != VEC_PF)
        expect_failed("%s: the old translation can be written", what);
    expect_eq(page[7], 0);
}

static void check_tables(void)
{
    static const unsigned int pins[] = {MMUEXT_PIN_L1_TABLE, MMUEXT_PIN_L2_TABLE,
                                        MMUEXT_PIN_L3_TABLE, MMUEXT_PIN_L4_TABLE};

    for (unsigned int i = 0; i < 4; i++) {
        for (int ro = 0; ro < 2; ro++) {
            prepare();
            need_eq(mmu_set(hole_pte, ro ? mfn_pte(frame, PTE_RO) : 0), 0);
            expect_eq(mmuext(pins[i], frame), 0);
            expect_fault(ro ? "pin, made read-only" : "pin");
            expect_eq(mmuext(MMUEXT_UNPIN_TABLE, frame), 0);
            need_eq(mmu_set(hole_pte, 0), 0);
        }
    }
}

static void check_batch(void)
{
    struct mmu_update u[2];
    pte_t *l2 = mfn_to_virt(pte_mfn(*pte_lookup(hole, 3)));

    /* The change and the link in one call. */
    prepare();
    u[0] = (struct mmu_update){virt_to_maddr(hole_pte), 0};
    u[1] = (struct mmu_update){virt_to_maddr(&l2[511]), mfn_pte(frame, PTE_TABLE)};
    expect_eq(hc_mmu_update(u, 2, NULL, DOMID_SELF), 0);
    expect_fault("linked as L1");
    need_eq(mmu_set(&l2[511], 0), 0);
}

static void check_descriptors(void)
{
    prepare();
    need_eq(mmu_set(hole_pte, 0), 0);
    expect_eq(hc_set_gdt(&frame, 512), 0);
    expect_fault("GDT");
    expect_eq(hc_set_gdt(&frame, 0), 0);
}

static void check_released(void)
{
    struct xen_memory_reservation r = {.nr_extents = 1, .domid = DOMID_SELF};
    domid_t id = domu_create_empty();
    unsigned long theirs[64];
    uint64_t v;

    prepare();
    need_eq(mmu_set(hole_pte, 0), 0);
    need_eq(mmu_set(pte_lookup(page, 1), 0), 0);
    set_xen_guest_handle(r.extent_start, &frame);
    need_eq(hc_memory_op(XENMEM_decrease_reservation, &r), 1);
    domu_populate(id, theirs, 64);
    expect_eq(try_write(&hole[7], REFUSED), VEC_PF);
    expect_eq(try_read(&page[7], &v), VEC_PF);
    expect_eq(domctl_plain(XEN_DOMCTL_destroydomain, id), 0);
}

/* The mapping is two levels below the entry that goes. */
static void check_upper(void)
{
    pte_t *l2 = mfn_to_virt(pte_mfn(*pte_lookup(hole, 3))), *l1 = page_alloc();
    uint64_t *far = (uint64_t *)((UL(hole) & ~0x3ffffffful) + 510ul * 0x200000);

    prepare();
    need_eq(mmu_set(hole_pte, 0), 0);
    l1[0] = mfn_pte(frame, PTE_KERNEL);
    need_eq(page_set_ro(l1), 0);
    need_eq(mmu_set(&l2[510], mfn_pte(virt_to_mfn(l1), PTE_TABLE)), 0);
    expect_eq(try_write(&far[7], 0), NO_TRAP);
    need_eq(mmu_set(&l2[510], 0), 0); /* the table is none now, and its entry no mapping */
    expect_eq(mmuext(MMUEXT_PIN_L1_TABLE, frame), 0);
    expect_eq(try_write(&far[7], REFUSED), VEC_PF);
    expect_eq(page[7], 0);
    expect_eq(mmuext(MMUEXT_UNPIN_TABLE, frame), 0);
}

void test_main(void)
{
    hole = hole_alloc();
    hole_pte = pte_lookup(hole, 1);
    check_tables();
    check_batch();
    check_descriptors();
    check_released();
    check_upper();
    test_pass();
}
