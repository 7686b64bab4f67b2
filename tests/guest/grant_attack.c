/* SPDX-License-Identifier: MIT */
/* Grants that are turned against the page tables and against the bookkeeping.
 *
 * Cause: a grant map changes an entry of a page table past mmu_update, and its undoing trusts what
 * it finds there. Steps: grant page tables, descriptor tables, the grant table, frames that are
 * nobody's; map at addresses without L1, in the hypervisor's range, by entries that are no L1
 * entries; overwrite, move and copy the entry of a mapping, then unmap it; unmap twice, with
 * another's handle, at another address; change the grant while it is mapped; transfer a mapped
 * page; many mappings of one page. Verdict: each is refused in its status; a mapping can be undone
 * exactly once; no table is ever writable; at the end nothing is in use. */
#include "lib/guest.h"

#define REF 9

static grant_entry_v1_t *table;
static uint64_t *page, *hole;
static pte_t *hole_pte;
static domid_t self; /* the test runs as domain 0, and as a guest */

static void find_self(void)
{
    struct evtchn_alloc_unbound a = {.dom = DOMID_SELF, .remote_dom = DOMID_SELF};
    struct evtchn_status s = {.dom = DOMID_SELF};

    need_eq(hc_event_channel_op(EVTCHNOP_alloc_unbound, &a), 0);
    s.port = a.port;
    need_eq(hc_event_channel_op(EVTCHNOP_status, &s), 0);
    need_eq(s.status, EVTCHNSTAT_unbound);
    self = s.u.unbound.dom;
}

static void offer(unsigned int ref, uint16_t flags, unsigned long mfn)
{
    table[ref].domid = self;
    table[ref].frame = mfn;
    barrier();
    table[ref].flags = flags;
}

static int16_t map_at(uint64_t at, unsigned int flags, unsigned int ref, grant_handle_t *handle)
{
    struct gnttab_map_grant_ref m = {
        .host_addr = at, .flags = GNTMAP_host_map | flags, .ref = ref, .dom = self};

    need_eq(hc_grant_table_op(GNTTABOP_map_grant_ref, &m, 1), 0);
    if (handle)
        *handle = m.handle;
    return m.status;
}

static int16_t unmap_at(uint64_t at, grant_handle_t handle)
{
    struct gnttab_unmap_grant_ref u = {.host_addr = at, .handle = handle};

    need_eq(hc_grant_table_op(GNTTABOP_unmap_grant_ref, &u, 1), 0);
    return u.status;
}

static void setup(void)
{
    unsigned long frames[1] = {0};
    struct gnttab_setup_table s = {.dom = DOMID_SELF, .nr_frames = 1};
    pte_t *pte;

    find_self();
    set_xen_guest_handle(s.frame_list, frames);
    need_eq(hc_grant_table_op(GNTTABOP_setup_table, &s, 1), 0);
    need_eq(s.status, 0);
    table = hole_alloc();
    pte = pte_lookup(table, 1);
    need_eq(mmu_set(pte, mfn_pte(frames[0], PTE_KERNEL)), 0);
    hole = hole_alloc();
    hole_pte = pte_lookup(hole, 1);
    page = page_alloc();
}

static void check_frames(void)
{
    pte_t *pinned = table_alloc();
    uint64_t *gdt = page_alloc();
    unsigned long gdt_frame = virt_to_mfn(gdt);

    need_eq(mmuext(MMUEXT_PIN_L2_TABLE, virt_to_mfn(pinned)), 0);
    need_eq(page_set_ro(gdt), 0);
    need_eq(hc_set_gdt(&gdt_frame, 512), 0);
    offer(REF, GTF_permit_access, virt_to_mfn(pinned));
    expect(map_at(UL(hole), 0, REF, NULL) < 0);
    offer(REF, GTF_permit_access, virt_to_mfn(kernel_l4()));
    expect(map_at(UL(hole), 0, REF, NULL) < 0);
    offer(REF, GTF_permit_access, gdt_frame);
    expect(map_at(UL(hole), 0, REF, NULL) < 0);
    offer(REF, GTF_permit_access, 0x7fffffff);
    expect(map_at(UL(hole), 0, REF, NULL) < 0);
    offer(REF, GTF_permit_access, 0xfee00);
    expect(map_at(UL(hole), 0, REF, NULL) < 0);
    expect_eq(table[REF].flags, GTF_permit_access);
    expect_eq(*hole_pte, 0);
    need_eq(hc_set_gdt(&gdt_frame, 0), 0);
    need_eq(mmuext(MMUEXT_UNPIN_TABLE, virt_to_mfn(pinned)), 0);
}

static void check_places(void)
{
    pte_t *l2 = mfn_to_virt(pte_mfn(*pte_lookup(hole, 3)));

    offer(REF, GTF_permit_access, virt_to_mfn(page));
    expect(map_at(0xffff830000000000, 0, REF, NULL) < 0);
    expect(map_at(0x8000000000000000, 0, REF, NULL) < 0);
    expect(map_at(0x1000, 0, REF, NULL) < 0); /* no L1 table */
    expect(map_at(virt_to_maddr(&l2[511]), GNTMAP_contains_pte, REF, NULL) < 0);
    expect(map_at(virt_to_maddr(page), GNTMAP_contains_pte, REF, NULL) < 0);
    expect(map_at(virt_to_maddr(hole_pte) + 4, GNTMAP_contains_pte, REF, NULL) < 0);
    expect(map_at(0x7fffffff000, GNTMAP_contains_pte, REF, NULL) < 0);
    expect(map_at(0xfee00000, GNTMAP_contains_pte, REF, NULL) < 0);
    expect(map_at(UL(hole), 0, 0xffffffff, NULL) < 0);
    expect_eq(table[REF].flags, GTF_permit_access);
    expect_eq(l2[511], 0);
}

static void check_undo(void)
{
    uint64_t *other = hole_alloc();
    grant_handle_t a, b;

    need_eq(map_at(UL(hole), 0, REF, &a), GNTST_okay);
    need_eq(map_at(UL(other), GNTMAP_readonly, REF, &b), GNTST_okay);
    expect(unmap_at(UL(other), a) < 0); /* not there */
    expect(unmap_at(UL(hole) + PAGE_SIZE * 4, a) < 0);
    expect(unmap_at(UL(hole), 0xffff) < 0);
    expect(unmap_at(UL(hole), 0xffffffff) < 0);
    expect(unmap_at(0xffff830000000000, a) < 0);
    *hole = 5; /* it is all still there */
    expect_eq(*other, 5);
    expect_eq(try_write(other, 6), VEC_PF);
    expect_eq(unmap_at(UL(other), b), GNTST_okay);
    expect_eq(table[REF].flags & (GTF_reading | GTF_writing), GTF_reading | GTF_writing);
    expect_eq(unmap_at(UL(hole), a), GNTST_okay);
    expect(unmap_at(UL(hole), a) < 0);
    expect_eq(table[REF].flags, GTF_permit_access);
}

/* The entry of a mapping is the guest's to change. */
static void check_entry(void)
{
    grant_handle_t handle;
    pte_t *pinned = table_alloc();

    need_eq(map_at(UL(hole), 0, REF, &handle), GNTST_okay);
    expect_eq(mmu_set(hole_pte, 0), 0);
    expect(unmap_at(UL(hole), handle) <= 0);
    /* Whatever it said, the page must have no use left that nobody can end: withdraw and see. */
    offer(REF, 0, 0);
    need_eq(page_set_ro(page), 0);
    offer(REF, GTF_permit_access, virt_to_mfn(page));
    need_eq(page_set_rw(page), 0);

    need_eq(mmuext(MMUEXT_PIN_L1_TABLE, virt_to_mfn(pinned)), 0);
    if (map_at(UL(hole), 0, REF, &handle) == GNTST_okay) {
        expect_eq(mmu_set(hole_pte, mfn_pte(virt_to_mfn(pinned), PTE_RO)), 0);
        expect(unmap_at(UL(hole), handle) < 0); /* another frame is mapped there */
        expect_eq(*hole_pte & PTE_ADDR, mfn_pte(virt_to_mfn(pinned), 0));
        expect(mmu_set(hole_pte, *hole_pte | PTE_RW) < 0);
        expect_eq(mmu_set(hole_pte, 0), 0);
    }
    need_eq(mmuext(MMUEXT_UNPIN_TABLE, virt_to_mfn(pinned)), 0);
}

static void check_many(void)
{
    static grant_handle_t handles[64];
    static uint64_t *holes[64];

    offer(REF + 1, GTF_permit_access, virt_to_mfn(page));
    for (int i = 0; i < 64; i++) {
        holes[i] = hole_alloc();
        need_eq(map_at(UL(holes[i]), i % 2 ? GNTMAP_readonly : 0, REF + 1, &handles[i]),
                GNTST_okay);
    }
    *holes[62] = 0x77;
    for (int i = 0; i < 64; i++)
        expect_eq(*holes[i], 0x77);
    expect(mmuext(MMUEXT_PIN_L1_TABLE, virt_to_mfn(page)) < 0);
    table[REF + 1].frame = virt_to_mfn(kernel_l4()); /* while it is in use */
    for (int i = 0; i < 64; i++) {
        expect_eq(*holes[i], 0x77);
        expect_eq(unmap_at(UL(holes[i]), handles[i]), GNTST_okay);
        expect_eq(try_read(holes[i], NULL), VEC_PF);
    }
    expect_eq(table[REF + 1].flags, GTF_permit_access);
}

void test_main(void)
{
    setup();
    check_frames();
    check_places();
    check_undo();
    check_entry();
    check_many();
    test_pass();
}
