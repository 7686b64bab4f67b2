/* SPDX-License-Identifier: MIT */
/* Memory that is promised: claims, limits, and a machine that runs out.
 *
 * Cause: a builder claims memory so that another one cannot take it meanwhile.
 * Steps: claim for a domain what there is, what there is not, twice, less than it has, more than it
 * may have; populate from a claim and around it; drop it; die with one; populate beyond the limit
 * of a domain, and beyond the memory of the machine; the resources of a domain.
 * Verdict: what is claimed is not free for others and is outstanding; all of it comes back. */
#include "lib/domu.h"

static long claim(domid_t id, uint64_t pages)
{
    struct xen_memory_reservation r = {.nr_extents = pages, .domid = id};

    return hc_memory_op(XENMEM_claim_pages, &r);
}

static uint64_t outstanding(void)
{
    struct xen_sysctl op = {0};

    need_eq(sysctl(&op, XEN_SYSCTL_physinfo), 0);
    return op.u.physinfo.outstanding_pages;
}

static void set_max(domid_t id, uint64_t pages)
{
    struct xen_domctl op = {0};

    op.u.max_mem.max_memkb = pages * 4;
    need_eq(domctl(&op, XEN_DOMCTL_max_mem, id), 0);
}

/* n single frames; how many there were. */
static long populate(domid_t id, unsigned int n, unsigned int order)
{
    static unsigned long list[512];
    struct xen_memory_reservation r = {.nr_extents = n, .extent_order = order, .domid = id};

    for (unsigned int i = 0; i < n; i++)
        list[i] = (unsigned long)i << order;
    set_xen_guest_handle(r.extent_start, list);
    return hc_memory_op(XENMEM_populate_physmap, &r);
}

static void check_claims(void)
{
    domid_t a = domu_create_empty(), b = domu_create_empty();
    uint64_t all = free_pages_settled();

    set_max(a, all * 2);
    set_max(b, all * 2);
    expect_eq(outstanding(), 0);
    expect_eq(claim(a, all * 2 + 1), -XEN_EINVAL); /* more than it may have */
    expect_eq(claim(a, all + 4096), -XEN_ENOMEM);
    expect_eq(claim(0x7123, 1), -XEN_EINVAL);
    expect_eq(claim(a, all - 100), 0);
    expect_eq(outstanding(), all - 100);
    expect_eq(claim(a, 200), -XEN_EINVAL); /* has one */
    expect_eq(claim(b, 200), -XEN_ENOMEM);
    expect(populate(b, 200, 0) <= 100); /* the rest is promised */
    expect_eq(populate(a, 512, 0), 512);
    expect_eq(outstanding(), all - 100 - 512);
    expect_eq(claim(a, 0), 0);
    expect_eq(outstanding(), 0);
    expect_eq(claim(a, 512), -XEN_EINVAL); /* it has as much */
    expect_eq(claim(a, 1000), 0);
    expect_eq(outstanding(), 1000 - 512);
    expect_eq(populate(b, 64, 0), 64);
    expect_eq(domctl_plain(XEN_DOMCTL_destroydomain, a), 0);
    expect_eq(outstanding(), 0);
    expect_eq(domctl_plain(XEN_DOMCTL_destroydomain, b), 0);
}

static void check_limits(void)
{
    domid_t a = domu_create_empty();
    struct xen_domctl_getdomaininfo info;

    set_max(a, 10);
    expect_eq(populate(a, 20, 0), 10);
    set_max(a, 5); /* below what it has */
    expect_eq(populate(a, 1, 0), 0);
    need_eq(domain_info(a, &info), 0);
    expect_eq(info.tot_pages, 10);
    set_max(a, ~0ul >> 14);
    expect_eq(populate(a, 1, 19), 0);  /* larger than anybody may ask for */
    while (populate(a, 512, 0) == 512) /* all there is */
        ;
    expect_eq(populate(a, 1, 0), 0);
    expect(free_pages() < 512);
    expect_eq(domctl_plain(XEN_DOMCTL_destroydomain, a), 0);
}

static long acquire(domid_t id, unsigned int type, unsigned int res, unsigned int n, void *list)
{
    struct xen_mem_acquire_resource r = {.domid = id, .type = type, .id = res, .nr_frames = n};

    r.frame_list.p = list;
    return hc_memory_op(XENMEM_acquire_resource, &r);
}

static void check_resources(void)
{
    struct xen_mem_acquire_resource r = {.type = XENMEM_resource_grant_table, .pad = 1};
    static unsigned long mfns[4096] = {1, 2, 3, 4};
    domid_t a = domu_create_empty();

    r.domid = a;
    expect_eq(hc_memory_op(XENMEM_acquire_resource, &r), -XEN_EINVAL);
    r.pad = 0;
    expect_eq(hc_memory_op(XENMEM_acquire_resource, &r), 0);
    expect(r.nr_frames >= 4);
    expect_eq(acquire(0x7123, XENMEM_resource_grant_table, 0, 1, mfns), -XEN_ESRCH);
    expect_eq(acquire(DOMID_SELF, XENMEM_resource_grant_table, 0, 1, mfns), -XEN_ESRCH);
    expect_eq(acquire(0, XENMEM_resource_grant_table, 0, 1, mfns), -XEN_EPERM);
    expect_eq(acquire(a, XENMEM_resource_ioreq_server, 0, 1, mfns), -XEN_EINVAL);
    expect_eq(acquire(a, 99, 0, 1, mfns), -XEN_EOPNOTSUPP);
    expect_eq(acquire(a, XENMEM_resource_grant_table, 7, 1, mfns), -XEN_EINVAL);
    expect_eq(acquire(a, XENMEM_resource_grant_table, 0, r.nr_frames + 1, mfns), -XEN_EINVAL);
    expect_eq(acquire(a, XENMEM_resource_grant_table, 0, 0xffffffff, mfns), -XEN_EINVAL);
    expect_eq(acquire(a, XENMEM_resource_grant_table, 0, 2, mfns), 0);
    expect(mfns[0] != mfns[1]);
    expect_eq(acquire(a, XENMEM_resource_grant_table, 0, 2, (void *)8), -XEN_EFAULT);
    expect_eq(domctl_plain(XEN_DOMCTL_destroydomain, a), 0);
}

void test_main(void)
{
    domid_t a = domu_create_empty(), b = domu_create_empty();
    uint64_t want;

    expect_eq(domctl_plain(XEN_DOMCTL_destroydomain, a), 0);
    expect_eq(domctl_plain(XEN_DOMCTL_destroydomain, b), 0);
    want = free_pages_settled();
    check_claims();
    expect_eq(free_pages_settled(), want);
    check_limits();
    expect_eq(free_pages_settled(), want);
    check_resources();
    expect_eq(free_pages_settled(), want);
    test_pass();
}
