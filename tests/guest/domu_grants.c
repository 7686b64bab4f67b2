/* SPDX-License-Identifier: MIT */
/* Grants between two domains: what is offered can be used, as long as it is offered, and no more.
 *
 * Cause: all data between domains moves through grants, and each side may lie or die.
 * Steps: a second domain offers a page writable, one read-only, one to somebody else, one page
 * table and one that is nothing; domain 0 maps and copies; the offer is withdrawn while it is
 * mapped; the domain is destroyed while it is mapped.
 * Verdict: read-only stays read-only, the wrong offers are refused in their status, the in-use
 * bits are set exactly while mapped, and the frame outlives its domain until it is unmapped. */
#include "lib/domu.h"

#define REF_RW     8
#define REF_RO     9
#define REF_OTHER  10
#define REF_TABLE  11
#define REF_NOBODY 12

static unsigned char data[4096] __attribute__((aligned(4096)));
static volatile uint16_t flags_seen;
static volatile int stage;
static struct domu d;
static grant_entry_v1_t *table; /* its grant table, seen from here */

/* In the second domain: waits until it is told to end. */
static void idle(void)
{
    while (stage == 0)
        hc_sched_op(SCHEDOP_yield, NULL);
}

static void offer(unsigned int ref, uint16_t flags, domid_t to, unsigned long mfn)
{
    table[ref].domid = to;
    table[ref].frame = mfn;
    barrier();
    table[ref].flags = flags;
}

static unsigned long data_mfn(void)
{
    return d.mfn[(UL(data) - UL(_kernel_start)) / PAGE_SIZE];
}

/* As libxl does to seed the console's grant. */
static void table_open(void)
{
    struct xen_mem_acquire_resource r = {
        .domid = d.id, .type = XENMEM_resource_grant_table, .nr_frames = 1};
    unsigned long mfn = 0;

    set_xen_guest_handle(r.frame_list, &mfn);
    need_eq(hc_memory_op(XENMEM_acquire_resource, &r), 0);
    table = hole_alloc();
    need_eq(map_foreign(d.id, table, mfn, PTE_KERNEL), 0);
}

static struct gnttab_map_grant_ref map(void *at, unsigned int ref, unsigned int flags)
{
    struct gnttab_map_grant_ref m = {
        .host_addr = UL(at), .flags = GNTMAP_host_map | flags, .ref = ref, .dom = d.id};

    need_eq(hc_grant_table_op(GNTTABOP_map_grant_ref, &m, 1), 0);
    return m;
}

static int16_t unmap(void *at, grant_handle_t handle)
{
    struct gnttab_unmap_grant_ref u = {.host_addr = UL(at), .handle = handle};

    need_eq(hc_grant_table_op(GNTTABOP_unmap_grant_ref, &u, 1), 0);
    return u.status;
}

static int16_t copy(unsigned int ref, void *page, bool to_grant, unsigned int offset,
                    unsigned int len)
{
    struct gnttab_copy c = {.len = len};
    struct gnttab_copy c_to = {.len = len};

    c.source.u.ref = ref;
    c.source.domid = d.id;
    c.source.offset = offset;
    c.dest.u.gmfn = virt_to_mfn(page);
    c.dest.domid = DOMID_SELF;
    c.flags = GNTCOPY_source_gref;
    c_to.source.u.gmfn = virt_to_mfn(page);
    c_to.source.domid = DOMID_SELF;
    c_to.dest.u.ref = ref;
    c_to.dest.domid = d.id;
    c_to.dest.offset = offset;
    c_to.flags = GNTCOPY_dest_gref;
    if (to_grant)
        c = c_to;
    need_eq(hc_grant_table_op(GNTTABOP_copy, &c, 1), 0);
    return c.status;
}

static void check_map(void *at)
{
    volatile uint64_t *p = at;
    struct gnttab_map_grant_ref m = map(at, REF_RW, 0);

    expect_eq(m.status, GNTST_okay);
    expect_eq(table[REF_RW].flags & (GTF_reading | GTF_writing), GTF_reading | GTF_writing);
    *p = 0x1234;
    expect_eq(*(uint64_t *)domu_view(&d, data), 0x1234);
    expect_eq(unmap(at, m.handle), GNTST_okay);
    expect_eq(table[REF_RW].flags & (GTF_reading | GTF_writing), 0);
    expect_eq(try_read(p, NULL), VEC_PF);
    expect_eq(unmap(at, m.handle), GNTST_bad_handle);

    m = map(at, REF_RO, 0);
    expect(m.status < 0); /* not for writing */
    m = map(at, REF_RO, GNTMAP_readonly);
    expect_eq(m.status, GNTST_okay);
    expect_eq(table[REF_RO].flags & (GTF_reading | GTF_writing), GTF_reading);
    expect_eq(*p, 0x1234);
    expect_eq(try_write(p, 1), VEC_PF);
    expect(mmu_set(pte_lookup(at, 1), mfn_pte(data_mfn(), PTE_KERNEL)) < 0);
    expect_eq(unmap(at, m.handle), GNTST_okay);
}

static void check_refused(void *at)
{
    expect(map(at, REF_OTHER, 0).status < 0);
    expect(map(at, REF_NOBODY, 0).status < 0);
    expect(map(at, 100000, 0).status < 0);
    expect(map(at, REF_TABLE, 0).status < 0);
    expect_eq(table[REF_TABLE].flags & (GTF_reading | GTF_writing), 0);
    expect_eq(try_read(at, NULL), VEC_PF);
}

static void check_copy(void)
{
    unsigned char *page = page_alloc();

    memset(page, 0x5a, PAGE_SIZE);
    expect_eq(copy(REF_RW, page, true, 0, 4096), GNTST_okay);
    expect_eq(domu_view(&d, data)[4095], 0x5a);
    expect(copy(REF_RO, page, true, 0, 16) < 0);
    memset(page, 0, PAGE_SIZE);
    expect_eq(copy(REF_RO, page, false, 4095, 1), GNTST_okay);
    expect_eq(page[0], 0x5a);
    expect_eq(page[1], 0);
    expect_eq(copy(REF_RW, page, false, 4095, 2), GNTST_bad_copy_arg);
    expect_eq(copy(REF_RW, page, false, 4096, 1), GNTST_bad_copy_arg);
    expect(copy(REF_TABLE, page, true, 0, 8) < 0);
    expect(copy(REF_OTHER, page, false, 0, 8) < 0);
}

static void check_end(void *at)
{
    struct gnttab_map_grant_ref m = map(at, REF_RW, 0);
    struct xen_domctl_getdomaininfo info;

    expect_eq(m.status, GNTST_okay);
    offer(REF_RW, 0, 0, 0); /* withdrawn without asking */
    *(volatile uint64_t *)at = 0x4321;
    expect_eq(*(uint64_t *)domu_view(&d, data), 0x4321);
    domu_close(&d);
    need_eq(page_unmap(table), 0);
    expect_eq(domctl_plain(XEN_DOMCTL_destroydomain, d.id), 0);
    sleep_ms(30);
    expect_eq(domain_info(d.id, &info), 0); /* its frame is still here */
    expect(info.flags & XEN_DOMINF_dying);
    expect_eq(*(volatile uint64_t *)at, 0x4321);
    expect_eq(unmap(at, m.handle), GNTST_okay);
    domu_gone(&d);
}

static void life(void *at)
{
    domu_create(&d, idle);
    table_open();
    need_eq(domctl_plain(XEN_DOMCTL_unpausedomain, d.id), 0);
    offer(REF_RW, GTF_permit_access, 0, data_mfn());
    offer(REF_RO, GTF_permit_access | GTF_readonly, 0, data_mfn());
    offer(REF_OTHER, GTF_permit_access, 0x7123, data_mfn());
    offer(REF_TABLE, GTF_permit_access, 0, d.cr3);
    check_map(at);
    check_refused(at);
    check_copy();
    check_end(at);
}

void test_main(void)
{
    void *at = hole_alloc();
    uint64_t want;

    life(at); /* our own bookkeeping grows here */
    want = free_pages_settled();
    life(at);
    expect_eq(free_pages_settled(), want);
    test_pass();
}
