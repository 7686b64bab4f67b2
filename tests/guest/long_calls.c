/* SPDX-License-Identifier: MIT */
/* Long operations: they may be interrupted and continued, but nobody can tell from the results.
 *
 * Cause: a hypercall that runs too long is stopped and re-executed with what is left, also
 * inside a multicall, while events come in.
 * Steps: with a fast periodic timer running, mmu_update of thousands of requests, a multicall
 * of thousands, pinning and unpinning a tree of full tables, each alone and within a multicall,
 * and each with a mistake in the middle.
 * Verdict: all results, counts and effects are complete; timer events keep arriving. */
#include "lib/guest.h"

#define REQUESTS 4096
#define TABLES   24

static struct mmu_update reqs[REQUESTS];
static struct multicall_entry calls[REQUESTS];
static pte_t *pages[64];

static void check_mmu_update(void)
{
    unsigned long frame = virt_to_mfn(page_alloc());
    unsigned int done;

    for (unsigned int i = 0; i < 64; i++)
        pages[i] = pte_lookup(hole_alloc(), 1);
    for (unsigned int i = 0; i < REQUESTS; i++)
        reqs[i] = (struct mmu_update){virt_to_maddr(pages[i % 64]),
                                      i / 64 % 2 ? 0 : mfn_pte(frame, PTE_KERNEL)};
    expect_eq(hc_mmu_update(reqs, REQUESTS, &done, DOMID_SELF), 0);
    expect_eq(done, REQUESTS);
    expect_eq(*pages[0], 0);
    expect_eq(hc_mmu_update(reqs, REQUESTS - 64, &done, DOMID_SELF), 0);
    expect_eq(done, REQUESTS - 64);
    for (unsigned int i = 0; i < 64; i++)
        expect_eq(pte_mfn(*pages[i]), frame);
    reqs[3000].val = mfn_pte(0xfffffffffful, PTE_RO);
    expect(hc_mmu_update(reqs, REQUESTS, &done, DOMID_SELF) < 0);
    expect_eq(done, 3000);
    reqs[3000].val = 0;
}

static void check_multicall(void)
{
    unsigned int done = 0;

    for (unsigned int i = 0; i < REQUESTS; i++)
        calls[i] = (struct multicall_entry){
            .op = __HYPERVISOR_xen_version, .result = 1, .args = {i % 3 ? XENVER_version : 99}};
    calls[100] = (struct multicall_entry){.op = __HYPERVISOR_mmu_update,
                                          .args = {UL(reqs), REQUESTS, UL(&done), DOMID_SELF}};
    expect_eq(hc_multicall(calls, REQUESTS), 0);
    for (unsigned int i = 0; i < REQUESTS; i++)
        if (i != 100)
            expect_eq(calls[i].result, i % 3 ? (4 << 16) | 17 : -XEN_ENOSYS);
    expect_eq(calls[100].result, 0);
    expect_eq(done, REQUESTS);
}

static void check_pin(void)
{
    pte_t *l2 = page_alloc(), *l1[TABLES];
    unsigned long plain = virt_to_mfn(page_alloc());
    struct mmuext_op ops[2] = {{.cmd = MMUEXT_PIN_L2_TABLE, .arg1.mfn = virt_to_mfn(l2)},
                               {.cmd = MMUEXT_UNPIN_TABLE, .arg1.mfn = virt_to_mfn(l2)}};
    unsigned int done;

    for (unsigned int t = 0; t < TABLES; t++) {
        l1[t] = page_alloc();
        for (unsigned int i = 0; i < 512; i++)
            l1[t][i] = mfn_pte(plain, PTE_KERNEL);
        need_eq(page_set_ro(l1[t]), 0);
        l2[t * 3] = mfn_pte(virt_to_mfn(l1[t]), PTE_TABLE);
    }
    need_eq(page_set_ro(l2), 0);
    for (unsigned int n = 0; n < 20; n++) {
        expect_eq(hc_mmuext_op(ops, 2, &done, DOMID_SELF), 0);
        expect_eq(done, 2);
        calls[0] = (struct multicall_entry){.op = __HYPERVISOR_mmuext_op,
                                            .args = {UL(&ops[0]), 1, UL(&done), DOMID_SELF}};
        calls[1] = (struct multicall_entry){.op = __HYPERVISOR_mmuext_op,
                                            .args = {UL(&ops[1]), 1, UL(&done), DOMID_SELF}};
        expect_eq(hc_multicall(calls, 2), 0);
        expect_eq(calls[0].result, 0);
        expect_eq(calls[1].result, 0);
    }

    /* A bad entry near the end: the whole is refused and all that was taken is given back. */
    need_eq(page_set_rw(l1[TABLES - 1]), 0);
    l1[TABLES - 1][511] = mfn_pte(0xfffffffffful, PTE_RO);
    need_eq(page_set_ro(l1[TABLES - 1]), 0);
    expect(hc_mmuext_op(ops, 1, &done, DOMID_SELF) < 0);
    expect_eq(done, 0);
    expect_eq(page_set_rw(l2), 0);
    for (unsigned int t = 0; t < TABLES; t++)
        expect_eq(page_set_rw(l1[t]), 0);
}

void test_main(void)
{
    struct vcpu_set_periodic_timer t = {.period_ns = 1000000};
    unsigned int port = event_bind_virq(VIRQ_TIMER);

    need_eq(hc_vcpu_op(VCPUOP_set_periodic_timer, 0, &t), 0);
    event_unmask(port);
    events_enable();
    for (unsigned int n = 0; n < 4; n++) {
        check_mmu_update();
        check_multicall();
    }
    check_pin();
    printf("%u timer events\n", event_count[port]);
    expect(event_count[port] > 0);
    test_pass();
}
