/* SPDX-License-Identifier: MIT */
/* Counts that no list can have, and continuation marks that the hypervisor never gave.
 *
 * Cause: long calls keep their progress in the guest's own registers and structures, where the
 * guest can write what it likes.
 * Steps: each call with a list with the greatest counts and with counts whose size in bytes wraps;
 * progress beyond the end, progress of calls that were not begun; done counts in bad memory; lists
 * that end in a hole in the middle of an entry.
 * Verdict: it ends, at once, with an error or with what could be done; nothing beyond is done. */
#include "lib/guest.h"

#define PREEMPTED 0x80000000u

static uint64_t *page; /* before a hole */

static void check_mmu(void)
{
    struct mmu_update *u = (struct mmu_update *)((char *)page + PAGE_SIZE) - 2;
    pte_t *pte = pte_lookup(page, 1);
    unsigned int done = 99;

    u[0] = u[1] = (struct mmu_update){virt_to_maddr(pte), *pte};
    expect_eq(hc_mmu_update(u, 0x7fffffff, &done, DOMID_SELF), -XEN_EFAULT);
    expect_eq(done, 2);
    done = 99;
    expect_eq(hc_mmu_update(u, 0xffffffff, &done, DOMID_SELF), -XEN_EFAULT);
    done = 5;
    expect_eq(hc_mmu_update(u, 2 | PREEMPTED, &done, DOMID_SELF), 0); /* as if five were done */
    expect_eq(done, 7);
    expect_eq(hc_mmu_update(NULL, 0, NULL, DOMID_SELF), 0);
}

static void check_mmuext(void)
{
    struct mmuext_op *op = (struct mmuext_op *)((char *)page + PAGE_SIZE) - 1;
    unsigned int done = 99;

    op->cmd = MMUEXT_TLB_FLUSH_LOCAL;
    expect_eq(hc_mmuext_op(op, 0x7fffffff, &done, DOMID_SELF), -XEN_EFAULT);
    expect_eq(done, 1);
    done = 3;
    expect_eq(hc_mmuext_op(op, 1 | PREEMPTED, &done, DOMID_SELF), 0);
    expect_eq(done, 4);
    expect(hc_mmuext_op(op, 0xffffffff, &done, DOMID_SELF) < 0);
}

static void check_multicall(void)
{
    struct multicall_entry *e = (struct multicall_entry *)((char *)page + PAGE_SIZE) - 1;

    memset(e, 0, sizeof(*e));
    e->op = __HYPERVISOR_xen_version;
    expect_eq(hc_multicall(e, 100000), -XEN_EFAULT);
    expect_eq(e->result, 4 << 16 | 17);
    expect(hc_multicall(e, 0xffffffff) < 0);
    expect(hc_multicall(e, 0x7fffffff) < 0);
}

static void check_memory(void)
{
    struct xen_memory_reservation r = {.domid = DOMID_SELF};
    uint64_t *list = (uint64_t *)((char *)page + PAGE_SIZE) - 1;

    *list = 0x7fffffff; /* no frame */
    set_xen_guest_handle(r.extent_start, list);
    r.nr_extents = ~0ul;
    expect_eq(hc_memory_op(XENMEM_decrease_reservation, &r), 0);
    r.nr_extents = ~0ul >> 6;
    expect_eq(hc_memory_op(XENMEM_decrease_reservation, &r), 0);
    r.nr_extents = 1;
    /* Progress in bits 6 and up: further than the list is long. */
    expect_eq(hc_memory_op(XENMEM_decrease_reservation | 5 << 6, &r), 5);
    expect_eq(hc_memory_op(XENMEM_populate_physmap | 1 << 6, &r), 1);
    r.extent_order = 63;
    expect_eq(hc_memory_op(XENMEM_populate_physmap, &r), 0);
    r.extent_order = 0xffffffff;
    expect_eq(hc_memory_op(XENMEM_populate_physmap, &r), 0);
    expect_eq(*list, 0x7fffffff);
    expect(hc_memory_op(XENMEM_maximum_ram_page | 7 << 6, NULL) < 0);
    expect_eq(hc_memory_op(62, &r), -XEN_ENOSYS);
}

static void check_exchange(void)
{
    struct xen_memory_exchange x = {0};
    uint64_t in[2] = {virt_to_mfn(page), ~0ul}, out[2] = {1, 2};

    set_xen_guest_handle(x.in.extent_start, in);
    set_xen_guest_handle(x.out.extent_start, out);
    x.in.domid = x.out.domid = DOMID_SELF;
    x.in.nr_extents = 1;
    x.out.nr_extents = 2; /* as many frames out as in */
    expect_eq(hc_memory_op(XENMEM_exchange, &x), -XEN_EINVAL);
    x.in.nr_extents = ~0ul;
    x.out.nr_extents = ~0ul;
    expect(hc_memory_op(XENMEM_exchange, &x) < 0);
    x.in.nr_extents = x.out.nr_extents = 1;
    x.nr_exchanged = 2; /* further than the list */
    expect_eq(hc_memory_op(XENMEM_exchange, &x), -XEN_EINVAL);
    x.nr_exchanged = ~0ul;
    expect_eq(hc_memory_op(XENMEM_exchange, &x), -XEN_EINVAL);
    expect_eq(out[0], 1);
    expect_eq(virt_to_mfn(page), mfn_pte(in[0], 0) >> PAGE_SHIFT);
}

static void check_grants(void)
{
    struct gnttab_query_size *q = (struct gnttab_query_size *)((char *)page + PAGE_SIZE) - 1;
    long ret;

    memset(q, 0, sizeof(*q));
    q->dom = DOMID_SELF;
    expect(hc_grant_table_op(GNTTABOP_query_size, q, 2) < 0); /* one at a time */
    expect_eq(hc_grant_table_op(GNTTABOP_query_size, q, 1), 0);
    ret = hc_grant_table_op(GNTTABOP_map_grant_ref, q, 0x7fffffff);
    expect(ret == -XEN_EFAULT);
    expect(hc_grant_table_op(GNTTABOP_map_grant_ref, q, 0xffffffff) < 0);
    expect(hc_grant_table_op(GNTTABOP_copy | 0xfffff000, q, 1) < 0); /* a continuation's mark */
    expect(hc_grant_table_op(99, q, 1) < 0);
}

static void check_others(void)
{
    struct sched_poll poll = {.nr_ports = 129};
    evtchn_port_t ports[2] = {1, 0x7fffffff};

    set_xen_guest_handle(poll.ports, ports);
    expect_eq(hc_sched_op(SCHEDOP_poll, &poll), -XEN_EINVAL);
    poll.nr_ports = 0xffffffff;
    expect_eq(hc_sched_op(SCHEDOP_poll, &poll), -XEN_EINVAL);
    poll.nr_ports = 2;
    poll.timeout = 1;
    expect_eq(hc_sched_op(SCHEDOP_poll, &poll), -XEN_EINVAL); /* no such port */
    expect(hc_set_gdt(page, 0xffffffff) < 0);
    expect(hc_set_gdt(page, 8193) < 0);
    expect_eq(hc_console_io(CONSOLEIO_write, 0xffffffff, page + 511), -XEN_EFAULT);
    expect_eq(hc_console_io(CONSOLEIO_read, 0, page), 0);
}

void test_main(void)
{
    page = page_alloc();
    need_eq(UL(hole_alloc()), UL(page) + PAGE_SIZE);
    check_mmu();
    check_mmuext();
    check_multicall();
    check_memory();
    check_exchange();
    check_grants();
    check_others();
    test_pass();
}
