/* SPDX-License-Identifier: MIT */
/* Grant tables within one domain: set up, map, unmap, copy, versions, and refusals.
 *
 * Cause: all device data between domains moves through grants; one domain granting to itself
 * shows every rule but the isolation.
 * Steps: query and set up the table; grant a page to ourselves, map it writable and read-only,
 * at an address and at an entry; copy by reference and by frame; switch versions; bad
 * references, handles, domains, sizes.
 * Verdict: data arrives, in-use bits appear and go, statuses (not hypercall errors) name each
 * refusal. */
#include "lib/guest.h"

static grant_entry_v1_t *table;
static uint64_t *shared_page;
static volatile uint64_t *window;

#define REF 10

static void set_up(void)
{
    struct gnttab_query_size q = {.dom = DOMID_SELF};
    struct gnttab_setup_table s = {.dom = DOMID_SELF, .nr_frames = 1};
    xen_pfn_t frames[1] = {0};

    expect_eq(hc_grant_table_op(GNTTABOP_query_size, &q, 1), 0);
    expect_eq(q.status, GNTST_okay);
    expect(q.max_nr_frames >= 1);
    set_xen_guest_handle(s.frame_list, frames);
    expect_eq(hc_grant_table_op(GNTTABOP_setup_table, &s, 1), 0);
    expect_eq(s.status, GNTST_okay);
    table = hole_alloc();
    need_eq(hc_update_va_mapping(UL(table), mfn_pte(frames[0], PTE_KERNEL), UVMF_INVLPG), 0);
    s.nr_frames = q.max_nr_frames + 1;
    expect_eq(hc_grant_table_op(GNTTABOP_setup_table, &s, 1), 0);
    expect_eq(s.status, GNTST_general_error);
    s = (struct gnttab_setup_table){.dom = 77, .nr_frames = 1};
    expect_eq(hc_grant_table_op(GNTTABOP_setup_table, &s, 1), 0);
    expect_eq(s.status, GNTST_bad_domain);
}

static void grant(unsigned int ref, uint16_t flags)
{
    table[ref].frame = virt_to_mfn(shared_page);
    table[ref].domid = 0;
    barrier();
    table[ref].flags = flags;
    barrier();
}

static struct gnttab_map_grant_ref map(uint64_t addr, uint32_t flags, grant_ref_t ref, domid_t dom)
{
    struct gnttab_map_grant_ref m = {.host_addr = addr, .flags = flags, .ref = ref, .dom = dom};

    expect_eq(hc_grant_table_op(GNTTABOP_map_grant_ref, &m, 1), 0);
    return m;
}

static long unmap(uint64_t addr, grant_handle_t handle)
{
    struct gnttab_unmap_grant_ref u = {.host_addr = addr, .handle = handle};

    expect_eq(hc_grant_table_op(GNTTABOP_unmap_grant_ref, &u, 1), 0);
    return u.status;
}

static void check_map(void)
{
    struct gnttab_map_grant_ref m;

    grant(REF, GTF_permit_access);
    shared_page[3] = 33;
    m = map(UL(window), GNTMAP_host_map, REF, 0);
    expect_eq(m.status, GNTST_okay);
    expect_eq(m.dev_bus_addr, virt_to_mfn(shared_page) << PAGE_SHIFT);
    expect_eq(window[3], 33);
    window[4] = 44;
    expect_eq(shared_page[4], 44);
    expect_eq(table[REF].flags, GTF_permit_access | GTF_reading | GTF_writing);
    expect(unmap(UL(window) + PAGE_SIZE, m.handle) != GNTST_okay); /* not where it is mapped */
    expect_eq(unmap(UL(window), m.handle), GNTST_okay);
    expect_eq(table[REF].flags, GTF_permit_access);
    expect_eq(try_read(window, NULL), VEC_PF);
    expect_eq(unmap(UL(window), m.handle), GNTST_bad_handle);

    m = map(UL(window), GNTMAP_host_map | GNTMAP_readonly, REF, 0);
    expect_eq(m.status, GNTST_okay);
    expect_eq(table[REF].flags, GTF_permit_access | GTF_reading);
    expect_eq(window[3], 33);
    expect_eq(try_write(window, 1), VEC_PF);
    expect_eq(unmap(UL(window), m.handle), GNTST_okay);

    /* At the machine address of the entry. */
    m = map(virt_to_maddr(pte_lookup(window, 1)), GNTMAP_host_map | GNTMAP_contains_pte, REF, 0);
    expect_eq(m.status, GNTST_okay);
    expect_eq(window[4], 44);
    expect_eq(unmap(virt_to_maddr(pte_lookup(window, 1)), m.handle), GNTST_okay);
    expect_eq(try_read(window, NULL), VEC_PF);
}

static void check_map_refusals(void)
{
    struct gnttab_map_grant_ref m;

    expect_eq(map(UL(window), GNTMAP_host_map, 0x7fffffff, 0).status, GNTST_bad_gntref);
    expect_eq(map(UL(window), GNTMAP_host_map, REF, 77).status, GNTST_bad_domain);
    expect_eq(map(UL(window), GNTMAP_host_map, REF + 1, 0).status, GNTST_general_error);
    expect_eq(map(UL(window), 0, REF, 0).status, GNTST_bad_gntref);
    expect(map(0xffff830000000000, GNTMAP_host_map, REF, 0).status < 0);
    expect(map(0x1000, GNTMAP_host_map, REF, 0).status < 0);
    expect_eq(table[REF].flags, GTF_permit_access); /* nothing left behind */
    grant(REF, GTF_permit_access | GTF_readonly);
    expect_eq(map(UL(window), GNTMAP_host_map, REF, 0).status, GNTST_general_error);
    m = map(UL(window), GNTMAP_host_map | GNTMAP_readonly, REF, 0);
    expect_eq(m.status, GNTST_okay);
    expect_eq(unmap(UL(window), m.handle), GNTST_okay);
    expect_eq(unmap(UL(window), 0x7fffffff), GNTST_bad_handle);
    table[REF].domid = 5;
    barrier();
    expect_eq(map(UL(window), GNTMAP_host_map | GNTMAP_readonly, REF, 0).status,
              GNTST_general_error);
    grant(REF, GTF_permit_access);
    table[REF].frame = 0xfffffff;
    expect(map(UL(window), GNTMAP_host_map, REF, 0).status < 0);
    table[REF].frame = virt_to_mfn(kernel_l4());
    expect(map(UL(window), GNTMAP_host_map, REF, 0).status < 0); /* a page table, writable */
    grant(REF, GTF_permit_access);
    expect(hc_grant_table_op(GNTTABOP_map_grant_ref, (void *)8, 1) < 0);
    expect_eq(hc_grant_table_op(99, &m, 1), -XEN_ENOSYS);
    expect_eq(hc_grant_table_op(GNTTABOP_map_grant_ref, NULL, 0), 0);
}

static long copy(grant_ref_t sref, void *sframe, unsigned int soff, grant_ref_t dref, void *dframe,
                 unsigned int doff, unsigned int len)
{
    struct gnttab_copy c = {.len = len};

    c.source.domid = c.dest.domid = DOMID_SELF;
    c.source.offset = soff;
    c.dest.offset = doff;
    if (sframe)
        c.source.u.gmfn = virt_to_mfn(sframe);
    else
        c.source.u.ref = sref, c.source.domid = 0, c.flags |= GNTCOPY_source_gref;
    if (dframe)
        c.dest.u.gmfn = virt_to_mfn(dframe);
    else
        c.dest.u.ref = dref, c.dest.domid = 0, c.flags |= GNTCOPY_dest_gref;
    expect_eq(hc_grant_table_op(GNTTABOP_copy, &c, 1), 0);
    return c.status;
}

static void check_copy(void)
{
    uint64_t *local = page_alloc();

    grant(REF, GTF_permit_access);
    shared_page[0] = 0x1234;
    expect_eq(copy(REF, NULL, 0, 0, local, 8, 8), GNTST_okay);
    expect_eq(local[1], 0x1234);
    expect_eq(local[0] | local[2], 0);
    local[511] = 0x77;
    expect_eq(copy(0, local, 4088, REF, NULL, 4088, 8), GNTST_okay);
    expect_eq(shared_page[511], 0x77);
    expect_eq(copy(0, local, 0, 0, shared_page, 0, 4096), GNTST_okay);
    expect_eq(memcmp(local, shared_page, PAGE_SIZE), 0);
    expect_eq(table[REF].flags, GTF_permit_access);
    expect_eq(copy(REF, NULL, 1, 0, local, 0, 4096), GNTST_bad_copy_arg);
    expect_eq(copy(REF, NULL, 4090, 0, local, 0, 8), GNTST_bad_copy_arg);
    expect_eq(copy(REF + 1, NULL, 0, 0, local, 0, 8), GNTST_general_error);
    expect_eq(copy(0x7fffffff, NULL, 0, 0, local, 0, 8), GNTST_bad_gntref);
    expect(copy(0, local, 0, 0, kernel_l4(), 0, 8) < 0);
    grant(REF, GTF_permit_access | GTF_readonly);
    expect_eq(copy(0, local, 0, REF, NULL, 0, 8), GNTST_general_error);
    expect_eq(copy(REF, NULL, 0, 0, local, 0, 8), GNTST_okay);
    table[REF].flags = 0;
}

static long set_version(uint32_t v)
{
    struct gnttab_set_version op = {.version = v};
    long ret = hc_grant_table_op(GNTTABOP_set_version, &op, 1);

    if (!ret)
        expect_eq(op.version, v);
    return ret;
}

static void check_versions(void)
{
    struct gnttab_get_version get = {.dom = DOMID_SELF};
    union grant_entry_v2 *v2 = (void *)table;
    struct gnttab_map_grant_ref m;

    expect_eq(hc_grant_table_op(GNTTABOP_get_version, &get, 1), 0);
    expect_eq(get.version, 1);
    expect_eq(set_version(3), -XEN_EINVAL);
    grant(REF, GTF_permit_access);
    m = map(UL(window), GNTMAP_host_map, REF, 0);
    expect_eq(set_version(2), -XEN_EBUSY); /* a grant is mapped */
    expect_eq(unmap(UL(window), m.handle), GNTST_okay);
    table[REF].flags = 0;
    grant(1, GTF_permit_access);
    expect_eq(set_version(2), 0);
    expect_eq(v2[1].full_page.frame, virt_to_mfn(shared_page));
    expect_eq(v2[1].hdr.flags, GTF_permit_access);
    v2[REF].full_page.frame = virt_to_mfn(shared_page);
    v2[REF].hdr.domid = 0;
    barrier();
    v2[REF].hdr.flags = GTF_permit_access;
    barrier();
    m = map(UL(window), GNTMAP_host_map, REF, 0);
    expect_eq(m.status, GNTST_okay);
    expect_eq(window[511], 0x77);
    expect_eq(unmap(UL(window), m.handle), GNTST_okay);
    v2[REF].hdr.flags = 0;
    barrier();
    expect_eq(set_version(1), 0);
    expect_eq(table[1].frame, virt_to_mfn(shared_page));
}

void test_main(void)
{
    shared_page = page_alloc();
    window = hole_alloc();
    set_up();
    check_map();
    check_map_refusals();
    check_copy();
    check_versions();
    test_pass();
}
