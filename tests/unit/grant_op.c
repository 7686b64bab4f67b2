/* SPDX-License-Identifier: MIT */
/* grant/: mapping, unmapping, copying and transferring between two domains, versions 1 and 2, the
 * limits, deaths in either order; and random calls of guests that scribble over their tables. The
 * audit after each test checks every reference. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include <xen/grant_table.h>
#include "guest.h"
#include "grant/grant.h"
#include "lib/errno.h"

static struct guest *dom0, *domu, *third;
static struct grant_entry_v1 *v1; /* domu's table */
static union grant_entry_v2 *v2;
static grant_status_t *status;

/* Runs a grant_table_op of the current vCPU on `n` structures in page 0, continuations included. */
static long call(uint32_t cmd, void *a, size_t size, unsigned n)
{
    struct guest *g = current()->domain == dom0->d   ? dom0
                      : current()->domain == domu->d ? domu
                                                     : third;
    struct vcpu *v = current();
    uint64_t va = guest_va(0);
    long rc;

    memcpy(guest_page(g, 0), a, size * n);
    v->continued = false;
    rc = grant_table_op(cmd, va, n);
    while (v->continued) {
        struct regs *r = vcpu_regs(v);

        guest_exit();
        v->continued = false;
        rc = grant_table_op((uint32_t)r->rdi, r->rsi, (uint32_t)r->rdx);
    }
    memcpy(a, guest_page(g, 0), size * n);
    return rc;
}
#define CALL(cmd, a) call(GNTTABOP_##cmd, (a), sizeof(*(a)), 1)

static void *setup_table(struct guest *g, unsigned frames)
{
    struct gnttab_setup_table a = {.dom = DOMID_SELF, .nr_frames = frames};

    guest_be(g, 0);
    set_xen_guest_handle(a.frame_list, (xen_pfn_t *)guest_va(1));
    assert_int_equal(CALL(setup_table, &a), 0);
    assert_int_equal(a.status, GNTST_okay);
    return mfn_to_virt(mfn(*(uint64_t *)guest_page(g, 1)));
}

static int setup(void **state)
{
    guest_machine(2);
    dom0 = guest_new(0, 1, true);
    domu = guest_new(5, 1, false);
    third = guest_new(7, 1, false);
    v1 = setup_table(domu, 1);
    guest_be(dom0, 0);
    return 0;
}

static int setup_v2(void **state)
{
    struct gnttab_set_version a = {.version = 2};
    struct gnttab_get_status_frames s = {.dom = DOMID_SELF, .nr_frames = 1};

    setup(state);
    guest_be(domu, 0);
    assert_int_equal(CALL(set_version, &a), 0);
    set_xen_guest_handle(s.frame_list, (uint64_t *)guest_va(1));
    assert_int_equal(CALL(get_status_frames, &s), 0);
    assert_int_equal(s.status, GNTST_okay);
    v2 = (void *)v1;
    status = mfn_to_virt(mfn(*(uint64_t *)guest_page(domu, 1)));
    guest_be(dom0, 0);
    return 0;
}

static int teardown(void **state)
{
    assert_int_equal(frame_audit(), 0);
    guest_kill(dom0);
    assert_int_equal(frame_audit(), 0);
    guest_kill(domu);
    guest_kill(third);
    assert_int_equal(frame_audit(), 0);
    return 0;
}

/* domu grants its page to `to`. */
static void grant(uint32_t ref, unsigned page, domid_t to, uint16_t flags)
{
    v1[ref] = (struct grant_entry_v1){
        .flags = GTF_permit_access | flags, .domid = to, .frame = (uint32_t)domu->mfn[page].n};
}

static struct gnttab_map_grant_ref map(uint32_t ref, uint64_t va, uint32_t flags)
{
    struct gnttab_map_grant_ref a = {.host_addr = va, .flags = flags, .ref = ref, .dom = 5};

    assert_int_equal(CALL(map_grant_ref, &a), 0);
    return a;
}

static int unmap(uint32_t handle, uint64_t va, uint64_t bus)
{
    struct gnttab_unmap_grant_ref a = {.host_addr = va, .dev_bus_addr = bus, .handle = handle};

    assert_int_equal(CALL(unmap_grant_ref, &a), 0);
    return a.status;
}

static void test_map_unmap(void **state)
{
    struct gnttab_map_grant_ref a, b;

    grant(9, 4, 0, 0);
    a = map(9, 0x1000, GNTMAP_host_map);
    assert_int_equal(a.status, GNTST_okay);
    assert_int_equal(a.dev_bus_addr, domu->mfn[4].n << PAGE_SHIFT);
    assert_non_null(guest_map_find(dom0->d, 0x1000));
    assert_int_equal(v1[9].flags, GTF_permit_access | GTF_reading | GTF_writing);
    assert_int_equal(frame_type_of(domu->mfn[4]), FRAME_WRITABLE);
    b = map(9, 0x2000, GNTMAP_host_map | GNTMAP_readonly);
    assert_int_equal(b.status, GNTST_okay);
    assert_int_equal(frame_audit(), 0);

    assert_int_equal(unmap(a.handle, 0x3000, 0), GNTST_general_error); /* not there */
    assert_int_equal(unmap(a.handle, 0x1000, 0), GNTST_okay);
    assert_int_equal(unmap(a.handle, 0x1000, 0), GNTST_bad_handle);
    assert_int_equal(v1[9].flags, GTF_permit_access | GTF_reading);
    assert_int_equal(unmap(b.handle, 0x2000, 0), GNTST_okay);
    assert_int_equal(v1[9].flags, GTF_permit_access);
    assert_int_equal(frame_type_count(domu->mfn[4]), 0);
    assert_int_equal(frame_ref_count(domu->mfn[4]), 1);
}

static void test_host_and_device(void **state)
{
    struct gnttab_map_grant_ref a;
    uint64_t bus;

    grant(9, 4, 0, 0);
    a = map(9, 0x1000, GNTMAP_host_map | GNTMAP_device_map);
    assert_int_equal(a.status, GNTST_okay);
    bus = a.dev_bus_addr;
    assert_int_equal(frame_ref_count(domu->mfn[4]), 3);
    assert_int_equal(unmap(a.handle, 0, bus + PAGE_SIZE), GNTST_general_error);
    assert_int_equal(unmap(a.handle, 0x1000, 0), GNTST_okay);
    assert_int_equal(frame_ref_count(domu->mfn[4]), 2);
    assert_int_equal(frame_audit(), 0);
    assert_int_equal(unmap(a.handle, 0x1000, bus), GNTST_okay); /* host was undone before */
    assert_int_equal(frame_ref_count(domu->mfn[4]), 1);
    assert_int_equal(unmap(a.handle, 0, bus), GNTST_bad_handle);
}

static void test_refusals(void **state)
{
    struct gnttab_map_grant_ref a = {.dom = 99, .flags = GNTMAP_host_map};

    grant(9, 4, 7, 0);
    assert_int_equal(map(9, 0x1000, GNTMAP_host_map).status, GNTST_general_error); /* another's */
    grant(9, 4, 0, GTF_readonly);
    assert_int_equal(map(9, 0x1000, GNTMAP_host_map).status, GNTST_general_error);
    assert_int_equal(v1[9].flags, GTF_permit_access | GTF_readonly);
    assert_int_equal(map(9, 0, 0).status, GNTST_bad_gntref); /* of no kind */
    assert_int_equal(map(512, 0, GNTMAP_host_map).status, GNTST_bad_gntref);
    assert_int_equal(map(~0u, 0, GNTMAP_host_map).status, GNTST_bad_gntref);
    v1[9] = (struct grant_entry_v1){GTF_permit_access, 0, (uint32_t)third->mfn[1].n};
    assert_int_equal(map(9, 0, GNTMAP_host_map).status, GNTST_general_error);
    assert_int_equal(v1[9].flags, GTF_permit_access);
    v1[9].frame = 0xffffffff;
    assert_int_equal(map(9, 0, GNTMAP_host_map).status, GNTST_general_error);
    assert_int_equal(CALL(map_grant_ref, &a), 0);
    assert_int_equal(a.status, GNTST_bad_domain);
    /* The page tables say no: all is as it was. */
    grant(9, 4, 0, 0);
    guest_map_fail = 1;
    assert_int_equal(map(9, 0x1000, GNTMAP_host_map).status, GNTST_bad_virt_addr);
    assert_int_equal(v1[9].flags, GTF_permit_access);
    assert_int_equal(frame_ref_count(domu->mfn[4]), 1);
    assert_int_equal(unmap(12345678, 0x1000, 0), GNTST_bad_handle);
}

static void test_array_and_batches(void **state)
{
    struct gnttab_map_grant_ref m[50] = {{0}};
    struct gnttab_unmap_grant_ref u[50] = {{0}};

    for (unsigned i = 0; i < 50; i++) {
        grant(20 + i, i % 20 + 5, 0, 0);
        m[i] = (struct gnttab_map_grant_ref){
            .host_addr = 0x1000 * i, .flags = GNTMAP_host_map, .ref = 20 + i, .dom = 5};
    }
    m[33].ref = 1000; /* one of them is wrong */
    guest_preempt = 1;
    assert_int_equal(call(GNTTABOP_map_grant_ref, m, sizeof(m[0]), 50), 0);
    for (unsigned i = 0; i < 50; i++) {
        assert_int_equal(m[i].status, i == 33 ? GNTST_bad_gntref : GNTST_okay);
        u[i] = (struct gnttab_unmap_grant_ref){.host_addr = i ? m[i].host_addr : 0x40000000,
                                               .handle = m[i].handle};
    }
    u[33].handle = 999;
    assert_int_equal(frame_audit(), 0);
    assert_int_equal(call(GNTTABOP_unmap_grant_ref, u, sizeof(u[0]), 50), 0);
    for (unsigned i = 0; i < 50; i++)
        assert_int_equal(u[i].status, i == 33  ? GNTST_bad_handle
                                      : i == 0 ? GNTST_general_error
                                               : GNTST_okay);
    guest_preempt = 0;
    for (unsigned i = 1; i < 50; i++)
        assert_int_equal(v1[20 + i].flags & (GTF_reading | GTF_writing), 0);
}

static void test_flush_before_unmap_returns(void **state)
{
    struct gnttab_map_grant_ref a;
    unsigned flushes;

    grant(9, 4, 0, 0);
    a = map(9, 0x1000, GNTMAP_host_map);
    bitmap_set(dom0->d->memory.dirty_cpus.bits, 1);
    flushes = host_cpus[1].flushes;
    assert_int_equal(unmap(a.handle, 0x1000, 0), GNTST_okay);
    assert_true(host_cpus[1].flushes > flushes);
}

static void test_handles_run_out(void **state)
{
    unsigned n = 0;

    grant(9, 4, 0, 0);
    while (map(9, 0, GNTMAP_device_map | GNTMAP_readonly).status == GNTST_okay)
        n++;
    assert_int_equal(n, 4 * 256);
    assert_int_equal(map(9, 0, GNTMAP_device_map).status, GNTST_no_space);
    assert_int_equal(unmap(77, 0, domu->mfn[4].n << PAGE_SHIFT), GNTST_okay);
    assert_int_equal(map(9, 0, GNTMAP_device_map).handle, 77);
}

static void test_mapper_dies(void **state)
{
    grant(9, 4, 0, 0);
    for (unsigned i = 0; i < 40; i++)
        map(9, 0x1000 * i, GNTMAP_host_map | GNTMAP_device_map);
    guest_preempt = 1;
    guest_kill(dom0);
    guest_preempt = 0;
    assert_int_equal(v1[9].flags, GTF_permit_access);
    assert_int_equal(frame_ref_count(domu->mfn[4]), 1);
    dom0 = guest_new(0, 1, true);
}

static void test_granter_dies_first(void **state)
{
    struct gnttab_map_grant_ref a;
    mfn_t m = domu->mfn[4];
    struct domain *d;

    grant(9, 4, 0, 0);
    a = map(9, 0x1000, GNTMAP_host_map);
    guest_kill(domu);
    guest_be(dom0, 0);
    d = domain_get(5); /* still there: one frame is mapped */
    assert_non_null(d);
    assert_int_equal(d->memory.pages, 1);
    assert_int_equal(frame_audit(), 0);
    domain_put(d);
    assert_int_equal(map(9, 0x2000, GNTMAP_host_map).status, GNTST_bad_domain);
    assert_int_equal(unmap(a.handle, 0x1000, 0), GNTST_okay);
    assert_null(frame_owner_of(m));
    guest_exit(); /* the domain is freed by a task */
    assert_null(domain_get(5));
    domu = guest_new(6, 1, false);
}

/* ---- copy ---- */

static int copy(struct gnttab_copy a)
{
    assert_int_equal(CALL(copy, &a), 0);
    return a.status;
}

static void test_copy(void **state)
{
    struct gnttab_copy a = {.source = {.u.ref = 9, .domid = 5, .offset = 100},
                            .dest = {.u.gmfn = dom0->mfn[3].n, .domid = DOMID_SELF, .offset = 7},
                            .len = 50,
                            .flags = GNTCOPY_source_gref};
    struct gnttab_copy b = a;

    grant(9, 4, 0, GTF_readonly);
    for (unsigned i = 0; i < PAGE_SIZE; i++)
        ((uint8_t *)guest_page(domu, 4))[i] = (uint8_t)(i * 7);
    assert_int_equal(copy(a), GNTST_okay);
    assert_memory_equal((char *)guest_page(dom0, 3) + 7, (char *)guest_page(domu, 4) + 100, 50);
    assert_int_equal(((char *)guest_page(dom0, 3))[57], 0);
    assert_int_equal(v1[9].flags, GTF_permit_access | GTF_readonly);

    b.len = PAGE_SIZE - 99;
    assert_int_equal(copy(b), GNTST_bad_copy_arg);
    b = a;
    b.dest.u.gmfn = third->mfn[1].n;
    assert_int_equal(copy(b), GNTST_bad_page);
    b.dest.domid = 7;
    assert_int_equal(copy(b), GNTST_permission_denied);
    b = a;
    b.source.domid = 99;
    assert_int_equal(copy(b), GNTST_bad_domain);
    b = (struct gnttab_copy){.source = {.u.gmfn = dom0->mfn[3].n, .domid = DOMID_SELF},
                             .dest = {.u.ref = 9, .domid = 5},
                             .len = 8,
                             .flags = GNTCOPY_dest_gref};
    assert_int_equal(copy(b), GNTST_general_error); /* read-only */
    grant(9, 4, 0, 0);
    assert_int_equal(copy(b), GNTST_okay);
    assert_memory_equal(guest_page(domu, 4), guest_page(dom0, 3), 8);
    assert_int_equal(v1[9].flags, GTF_permit_access);
}

static void test_copy_sub_page(void **state)
{
    struct gnttab_copy a = {.source = {.u.ref = 9, .domid = 5, .offset = 100},
                            .dest = {.u.gmfn = dom0->mfn[3].n, .domid = DOMID_SELF},
                            .len = 50,
                            .flags = GNTCOPY_source_gref};

    v2[9].sub_page.hdr = (struct grant_entry_header){GTF_permit_access | GTF_sub_page, 0};
    v2[9].sub_page.page_off = 100;
    v2[9].sub_page.length = 50;
    v2[9].sub_page.frame = domu->mfn[4].n;
    assert_int_equal(copy(a), GNTST_okay);
    a.len = 51;
    assert_int_equal(copy(a), GNTST_general_error);
    a.len = 10;
    a.source.offset = 99;
    assert_int_equal(copy(a), GNTST_general_error);
    v2[9].sub_page.page_off = 4000;
    v2[9].sub_page.length = 97;
    a.source.offset = 4000;
    assert_int_equal(copy(a), GNTST_general_error);
    assert_int_equal(status[9], 0);
    /* Not to be mapped. */
    v2[9].sub_page.length = 96;
    assert_int_equal(map(9, 0x1000, GNTMAP_host_map).status, GNTST_general_error);
    assert_int_equal(status[9], 0);
}

static void test_copy_transitive(void **state)
{
    struct gnttab_copy a = {.source = {.u.ref = 9, .domid = 5},
                            .dest = {.u.gmfn = dom0->mfn[3].n, .domid = DOMID_SELF},
                            .len = 50,
                            .flags = GNTCOPY_source_gref};
    struct grant_entry_v1 *t = setup_table(third, 1);

    guest_be(dom0, 0);
    memset(guest_page(third, 4), 0x5a, PAGE_SIZE);
    t[8] = (struct grant_entry_v1){GTF_permit_access, 5, (uint32_t)third->mfn[4].n};
    v2[9].transitive.hdr = (struct grant_entry_header){GTF_transitive, 0};
    v2[9].transitive.trans_domid = 7;
    v2[9].transitive.gref = 8;
    assert_int_equal(copy(a), GNTST_okay);
    assert_memory_equal(guest_page(dom0, 3), guest_page(third, 4), 50);
    assert_int_equal(status[9], 0);
    assert_int_equal(t[8].flags, GTF_permit_access);
    assert_int_equal(map(9, 0x1000, GNTMAP_host_map).status, GNTST_general_error);
    t[8].domid = 0; /* to us, but not to the one in between */
    assert_int_equal(copy(a), GNTST_general_error);
    v2[9].transitive.trans_domid = 5; /* to itself, round and round */
    v2[9].transitive.gref = 9;
    assert_int_equal(copy(a), GNTST_general_error);
    v2[9].transitive.trans_domid = DOMID_SELF;
    assert_int_equal(copy(a), GNTST_general_error);
    assert_int_equal(status[9], 0);
}

/* ---- the table ---- */

static void test_v2_map(void **state)
{
    struct gnttab_map_grant_ref a;

    v2[200].full_page.hdr = (struct grant_entry_header){GTF_permit_access, 0};
    v2[200].full_page.frame = domu->mfn[4].n;
    a = map(200, 0x1000, GNTMAP_host_map);
    assert_int_equal(a.status, GNTST_okay);
    assert_int_equal(status[200], GTF_reading | GTF_writing);
    assert_int_equal(v2[200].full_page.hdr.flags, GTF_permit_access);
    assert_int_equal(unmap(a.handle, 0x1000, 0), GNTST_okay);
    assert_int_equal(status[200], 0);
    v2[200].full_page.hdr.domid = 9;
    assert_int_equal(map(200, 0x1000, GNTMAP_host_map).status, GNTST_general_error);
    assert_int_equal(status[200], 0);
}

static void test_versions(void **state)
{
    struct gnttab_set_version s = {.version = 3};
    struct gnttab_get_version get = {.dom = 5};
    struct gnttab_map_grant_ref a;

    grant(1, 4, 0, 0);
    grant(20, 5, 0, 0);
    a = map(1, 0x1000, GNTMAP_host_map); /* a reserved one, in use */
    guest_be(domu, 0);
    assert_int_equal(CALL(set_version, &s), -EINVAL);
    assert_int_equal(s.version, 1);
    s.version = 2;
    assert_int_equal(CALL(set_version, &s), 0);
    v2 = (void *)v1;
    assert_int_equal(v2[1].full_page.hdr.flags, GTF_permit_access);
    assert_int_equal(v2[1].full_page.frame, domu->mfn[4].n);
    assert_int_equal(v2[20].full_page.hdr.flags, 0);
    guest_be(dom0, 0);
    assert_int_equal(CALL(get_version, &get), 0);
    assert_int_equal(get.version, 2);
    v2[20].full_page.hdr = (struct grant_entry_header){GTF_permit_access, 0};
    v2[20].full_page.frame = domu->mfn[5].n;
    assert_int_equal(map(20, 0x2000, GNTMAP_host_map).status, GNTST_okay);
    guest_be(domu, 0);
    s.version = 1;
    assert_int_equal(CALL(set_version, &s), -EBUSY);
    guest_be(dom0, 0);
    assert_int_equal(unmap(a.handle + 1, 0x2000, 0), GNTST_okay);
    guest_be(domu, 0);
    s.version = 1;
    assert_int_equal(CALL(set_version, &s), 0);
    assert_int_equal(v1[1].flags, GTF_permit_access | GTF_reading | GTF_writing);
    guest_be(dom0, 0);
    assert_int_equal(unmap(a.handle, 0x1000, 0), GNTST_okay);
    assert_int_equal(v1[1].flags, GTF_permit_access);
}

/* A status frame that the guest has mapped keeps the table as it is, the other status frames too:
 * they are written at each use of a grant. */
static void test_status_is_mapped(void **state)
{
    struct gnttab_set_version s = {.version = 2};
    mfn_t m, first, second;

    guest_kill(third);
    guest_grant_frames = 16;
    third = guest_new(7, 1, false);
    guest_grant_frames = 8;
    guest_be(third, 0);
    assert_int_equal(CALL(set_version, &s), 0);
    assert_int_equal(grant_frame(third->d, false, 15, &m), 0);
    assert_int_equal(grant_frame(third->d, true, 0, &first), 0);
    assert_int_equal(grant_frame(third->d, true, 1, &second), 0);
    assert_int_equal(frame_get(first, &third->d->memory), 0); /* as an entry that maps it */
    s.version = 1;
    assert_int_equal(CALL(set_version, &s), -EBUSY);
    assert_int_equal(s.version, 2);
    assert_ptr_equal(frame_owner_of(second), &third->d->memory);
    assert_int_equal(grant_frame(third->d, true, 1, &m), 0);
    assert_true(mfn_eq(m, second));
    frame_put(first);
    s.version = 1;
    assert_int_equal(CALL(set_version, &s), 0);
    assert_null(frame_owner_of(second));
    guest_be(dom0, 0);
}

static void test_sizes(void **state)
{
    struct gnttab_query_size q = {.dom = 5};
    struct gnttab_setup_table s = {.dom = DOMID_SELF, .nr_frames = 9};
    mfn_t m;

    assert_int_equal(CALL(query_size, &q), 0);
    assert_int_equal(q.nr_frames, 1);
    assert_int_equal(q.max_nr_frames, 8);
    assert_int_equal(CALL(setup_table, &s), 0);
    assert_int_equal(s.status, GNTST_general_error);
    s = (struct gnttab_setup_table){.dom = DOMID_SELF, .nr_frames = 1};
    assert_int_equal(CALL(setup_table, &s), -EFAULT); /* no list */
    assert_int_equal(grant_frame(domu->d, false, 7, &m), 0);
    assert_int_equal(CALL(query_size, &q), 0);
    assert_int_equal(q.nr_frames, 8);
    assert_int_equal(grant_frame(domu->d, false, 8, &m), -EINVAL);
    assert_int_equal(grant_frame(domu->d, true, 0, &m), -EINVAL);
    guest_be(domu, 0);
    q.dom = 0;
    assert_int_equal(CALL(query_size, &q), 0);
    assert_int_equal(q.status, GNTST_permission_denied);
    q.dom = 99;
    assert_int_equal(CALL(query_size, &q), 0);
    assert_int_equal(q.status, GNTST_bad_domain);
    assert_int_equal(grant_table_op(GNTTABOP_query_size, guest_va(0), 2), -EINVAL);
    assert_int_equal(grant_table_op(13, guest_va(0), 1), -ENOSYS);
    assert_int_equal(grant_table_op(GNTTABOP_copy, guest_va(0), 1u << 31), -EINVAL);
    assert_int_equal(grant_table_op(GNTTABOP_copy, 0x1000, 1), -EFAULT);
}

static void test_swap(void **state)
{
    struct gnttab_swap_grant_ref s = {.ref_a = 9, .ref_b = 10};
    struct gnttab_map_grant_ref a;

    grant(9, 4, 0, 0);
    guest_be(domu, 0);
    assert_int_equal(CALL(swap_grant_ref, &s), 0);
    assert_int_equal(s.status, GNTST_okay);
    assert_int_equal(v1[9].flags, 0);
    assert_int_equal(v1[10].frame, domu->mfn[4].n);
    s.ref_b = 512;
    assert_int_equal(CALL(swap_grant_ref, &s), 0);
    assert_int_equal(s.status, GNTST_bad_gntref);
    guest_be(dom0, 0);
    a = map(10, 0x1000, GNTMAP_host_map);
    guest_be(domu, 0);
    s.ref_b = 10;
    assert_int_equal(CALL(swap_grant_ref, &s), 0);
    assert_int_equal(s.status, GNTST_eagain);
    guest_be(dom0, 0);
    assert_int_equal(unmap(a.handle, 0x1000, 0), GNTST_okay);
}

static void test_transfer(void **state)
{
    struct gnttab_transfer t = {.mfn = dom0->mfn[20].n, .domid = 5, .ref = 11};
    uint64_t before = domu->d->memory.pages, ours = dom0->d->memory.pages;
    mfn_t m;

    memset(guest_page(dom0, 20), 0x77, PAGE_SIZE);
    v1[11] = (struct grant_entry_v1){GTF_accept_transfer, 0, 1234};
    assert_int_equal(CALL(transfer, &t), 0);
    assert_int_equal(t.status, GNTST_okay);
    assert_int_equal(v1[11].flags,
                     GTF_accept_transfer | GTF_transfer_committed | GTF_transfer_completed);
    m = mfn(v1[11].frame);
    assert_ptr_equal(frame_owner_of(m), &domu->d->memory);
    assert_int_equal(M2P[m.n], 1234);
    assert_int_equal(((uint8_t *)mfn_to_virt(m))[100], 0x77);
    assert_int_equal(domu->d->memory.pages, before + 1);
    assert_int_equal(dom0->d->memory.pages, ours - 1);

    t = (struct gnttab_transfer){.mfn = domu->mfn[3].n, .domid = 5, .ref = 11};
    assert_int_equal(CALL(transfer, &t), 0);
    assert_int_equal(t.status, GNTST_bad_page); /* not ours */
    t = (struct gnttab_transfer){.mfn = dom0->mfn[21].n, .domid = 5, .ref = 11};
    assert_int_equal(CALL(transfer, &t), 0);
    assert_int_equal(t.status, GNTST_general_error); /* used up */
}

static void test_dump(void **state)
{
    struct gnttab_dump_table a = {.dom = 5};

    grant(9, 4, 0, 0);
    map(9, 0x1000, GNTMAP_host_map);
    host_log();
    assert_int_equal(CALL(dump_table, &a), 0);
    assert_non_null(strstr(host_log(), "grant 9: frame"));
    guest_be(domu, 0);
    a.dom = DOMID_SELF;
    assert_int_equal(CALL(dump_table, &a), 0);
    assert_int_equal(a.status, GNTST_permission_denied);
    guest_be(dom0, 0);
}

/* ---- nonsense ---- */

static void test_random(void **state)
{
    struct guest *all[] = {dom0, domu, third};

    setup_table(dom0, 2);
    setup_table(third, 2);
    srand(3);
    for (unsigned n = 0; n < 60000; n++) {
        struct guest *g = all[rand() % 3];
        uint32_t *w, cmd = (uint32_t)rand() % 13;
        mfn_t table;

        guest_be(g, 0);
        w = guest_page(g, 0);
        for (unsigned i = 0; i < 32; i++)
            w[i] = (uint32_t)rand() % (rand() % 3 ? 16 : 4096);
        if (cmd == GNTTABOP_map_grant_ref) {
            struct gnttab_map_grant_ref *a = (void *)w;

            a->host_addr = (uint64_t)(rand() % 20) << PAGE_SHIFT;
            a->dom = (domid_t)(rand() % 3 ? 5 : 7);
        } else if (cmd == GNTTABOP_unmap_grant_ref) {
            struct gnttab_unmap_grant_ref *a = (void *)w;

            a->host_addr = (uint64_t)(rand() % 20) << PAGE_SHIFT;
            a->dev_bus_addr = rand() % 2 ? domu->mfn[rand() % 32].n << PAGE_SHIFT : 0;
        } else if (cmd == GNTTABOP_copy) {
            struct gnttab_copy *a = (void *)w;

            a->source.domid = (domid_t)(rand() % 2 ? 5 : 7);
            a->dest.domid = (domid_t)(rand() % 2 ? 5 : 7);
            a->flags = 3;
        } else if (cmd == GNTTABOP_transfer) {
            continue; /* it would give the pages that this test needs away */
        }
        if (grant_table_op(cmd, guest_va(0), 1) == 0)
            guest_exit();
        /* The granting side writes what it likes into its table. */
        g = rand() % 2 ? domu : third;
        if (!grant_frame(g->d, false, (uint32_t)rand() % 2, &table)) {
            uint32_t *e = (uint32_t *)mfn_to_virt(table) + rand() % 64 * 2;

            e[0] = (uint32_t)(rand() % 4) | (uint32_t)(rand() % 2 ? 0 : rand() % 512) |
                   (uint32_t)(rand() % 2 ? 0 : 7) << 16;
            e[1] = (uint32_t)g->mfn[2 + rand() % 20].n;
        }
        if (n % 10000 == 0)
            assert_int_equal(frame_audit(), 0);
    }
    guest_be(dom0, 0);
}

/* The granting guest changes its entries while they are mapped, copied and unmapped. */
static volatile bool scribble;

static void *scribbler(void *data)
{
    uint64_t x = 88172645463325252ull;

    while (scribble) {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        __atomic_store_n((uint32_t *)(void *)&v1[9],
                         x % 8 ? GTF_permit_access | (uint32_t)(x >> 8) % 512 : (uint32_t)(x >> 20),
                         __ATOMIC_RELAXED);
        __atomic_store_n(&v1[9].frame, (uint32_t)domu->mfn[(x >> 40) % 32].n, __ATOMIC_RELAXED);
    }
    return NULL;
}

static void test_scribbling_meanwhile(void **state)
{
    unsigned mapped = 0, copied = 0;
    pthread_t thread;

    scribble = true;
    assert_int_equal(pthread_create(&thread, NULL, scribbler, NULL), 0);
    /* As long as it takes until both went well at times, with the other thread in between. */
    for (unsigned n = 0; n < 30000 || mapped < 100 || copied < 100; n++) {
        struct gnttab_map_grant_ref a;
        struct gnttab_copy c = {.source = {.u.gmfn = dom0->mfn[3].n, .domid = DOMID_SELF},
                                .dest = {.u.ref = 9, .domid = 5},
                                .len = 8,
                                .flags = GNTCOPY_dest_gref};

        if (n % 64 == 0)
            sched_yield();
        a = map(9, 0x1000, GNTMAP_host_map | GNTMAP_device_map);
        if (n % 2)
            copied += copy(c) == GNTST_okay;
        if (a.status == GNTST_okay) {
            mapped++;
            assert_int_equal(unmap(a.handle, 0x1000, a.dev_bus_addr), GNTST_okay);
        }
    }
    scribble = false;
    pthread_join(thread, NULL);
    assert_int_equal(frame_audit(), 0);
    for (unsigned i = 0; i < GUEST_FRAMES; i++)
        assert_int_equal(frame_ref_count(domu->mfn[i]), 1);
}

#define TEST(fn, start) cmocka_unit_test_setup_teardown(fn, start, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_map_unmap, setup),
        TEST(test_host_and_device, setup),
        TEST(test_refusals, setup),
        TEST(test_array_and_batches, setup),
        TEST(test_flush_before_unmap_returns, setup),
        TEST(test_handles_run_out, setup),
        TEST(test_mapper_dies, setup),
        TEST(test_granter_dies_first, setup),
        TEST(test_copy, setup),
        TEST(test_copy_sub_page, setup_v2),
        TEST(test_copy_transitive, setup_v2),
        TEST(test_v2_map, setup_v2),
        TEST(test_versions, setup),
        TEST(test_status_is_mapped, setup),
        TEST(test_sizes, setup),
        TEST(test_swap, setup),
        TEST(test_transfer, setup),
        TEST(test_dump, setup),
        TEST(test_random, setup),
        TEST(test_scribbling_meanwhile, setup),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
