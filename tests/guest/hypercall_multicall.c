/* SPDX-License-Identifier: MIT */
/* Multicalls: every entry runs and has its own result.
 *
 * Cause: kernels batch the hypercalls of a context switch; one failing entry must not stop the
 * rest.
 * Steps: a batch with good, failing and unknown entries; nesting; empty, huge and unreadable
 * batches; a batch that rewrites an entry that is still to come.
 * Verdict: results per entry, 0 for the whole, -EINVAL for nesting, -EFAULT for bad memory. */
#include "lib/guest.h"

static struct multicall_entry calls[40];

static void set(unsigned int i, unsigned long op, unsigned long a, unsigned long b, unsigned long c)
{
    calls[i] = (struct multicall_entry){.op = op, .result = 0x1234, .args = {a, b, c}};
}

static void check_mixed(void)
{
    set(0, __HYPERVISOR_xen_version, XENVER_version, 0, 0);
    set(1, __HYPERVISOR_xen_version, 99, 0, 0);
    set(2, 63, 0, 0, 0);
    set(3, __HYPERVISOR_vcpu_op, VCPUOP_is_up, 0, 0);
    set(4, __HYPERVISOR_vcpu_op, VCPUOP_is_up, 5000, 0);
    set(5, __HYPERVISOR_fpu_taskswitch, 0, 0, 0);
    set(6, __HYPERVISOR_sched_op, SCHEDOP_yield, 0, 0);
    set(7, __HYPERVISOR_xen_version, XENVER_extraversion, 8, 0);
    set(8, ~0ul, 0, 0, 0);
    set(9, __HYPERVISOR_xen_version, XENVER_pagesize, 0, 0);
    set(10, 0, 0, 0, 0);
    expect_eq(hc_multicall(calls, 10), 0);
    expect_eq(calls[0].result, (4 << 16) | 17);
    expect_eq(calls[1].result, -XEN_ENOSYS);
    expect_eq(calls[2].result, -XEN_ENOSYS);
    expect_eq(calls[3].result, 1);
    expect_eq(calls[4].result, -XEN_ENOENT);
    expect_eq(calls[5].result, 0);
    expect_eq(calls[6].result, 0);
    expect_eq(calls[7].result, -XEN_EFAULT);
    expect_eq(calls[8].result, -XEN_ENOSYS);
    expect_eq(calls[9].result, 4096);
    expect_eq(calls[10].result, 0x1234);
}

static void check_nested(void)
{
    set(0, __HYPERVISOR_multicall, UL(&calls[2]), 1, 0);
    set(1, __HYPERVISOR_xen_version, XENVER_version, 0, 0);
    set(2, __HYPERVISOR_xen_version, XENVER_version, 0, 0);
    expect_eq(hc_multicall(calls, 2), 0);
    expect_eq(calls[0].result, -XEN_EINVAL);
    expect_eq(calls[1].result, (4 << 16) | 17);
    expect_eq(calls[2].result, 0x1234);
}

static void check_bad_memory(void)
{
    char *page = page_alloc(), *hole = hole_alloc();
    struct multicall_entry *last = (void *)(hole - sizeof(*last));

    need_eq(hole - page, PAGE_SIZE);
    expect_eq(hc_multicall(calls, 0), 0);
    expect_eq(hc_multicall(hole, 1), -XEN_EFAULT);
    expect_eq(hc_multicall((void *)0xffff830000000000, 1), -XEN_EFAULT);
    expect_eq(hc_multicall((void *)0x8000000000000000, 1), -XEN_EFAULT);
    *last = (struct multicall_entry){.op = __HYPERVISOR_xen_version, .result = 0x1234};
    expect_eq(hc_multicall(last, 2), -XEN_EFAULT);
    expect_eq(last->result, (4 << 16) | 17);
}

/* Entry 0 writes the features into entry 1 before that is looked at. */
static void check_fetched_late(void)
{
    set(1, 0, 0, 0, 0);
    set(0, __HYPERVISOR_xen_version, XENVER_get_features, UL(&calls[1]), 0);
    calls[1].op = 0; /* submap_idx 0, submap follows in the upper half */
    expect_eq(hc_multicall(calls, 2), 0);
    expect_eq(calls[0].result, 0);
    expect(calls[1].op >> 32 != 0);
    expect_eq(calls[1].result, -XEN_ENOSYS);
}

static void check_long(void)
{
    for (unsigned int i = 0; i < 40; i++)
        set(i, __HYPERVISOR_xen_version, i % 2 ? XENVER_version : XENVER_pagesize, 0, 0);
    expect_eq(hc_multicall(calls, 40), 0);
    for (unsigned int i = 0; i < 40; i++)
        expect_eq(calls[i].result, i % 2 ? (4 << 16) | 17 : 4096);
}

void test_main(void)
{
    check_mixed();
    check_nested();
    check_bad_memory();
    check_fetched_late();
    check_long();
    test_pass();
}
