/* SPDX-License-Identifier: MIT */
/* A tree of page tables that is refused late, again and again, while timer events cut in.
 *
 * Cause: validation may stop half way and go on later; what it took until then must be given back
 * when it fails, and must not be usable meanwhile.
 * Steps: sixteen full L1 tables below an L2, L3 and L4; one bad entry in the last table, in the
 * middle, or at an upper level; pin, by a hypercall and in a multicall; look at each table of the
 * tree afterwards; then mend the entry and pin.
 * Verdict: refused with the bad entry, accepted without; after each refusal every frame of the tree
 * can be mapped writable. */
#include "lib/guest.h"

#define TABLES 16

static pte_t *l4, *l3, *l2, *l1[TABLES], *all[TABLES + 3];

static void build(void)
{
    unsigned long data = virt_to_mfn(page_alloc());

    l4 = all[TABLES] = page_alloc();
    l3 = all[TABLES + 1] = page_alloc();
    l2 = all[TABLES + 2] = page_alloc();
    l4[5] = mfn_pte(virt_to_mfn(l3), PTE_TABLE);
    l3[5] = mfn_pte(virt_to_mfn(l2), PTE_TABLE);
    for (int t = 0; t < TABLES; t++) {
        l1[t] = all[t] = page_alloc();
        l2[t * 7] = mfn_pte(virt_to_mfn(l1[t]), PTE_TABLE);
        for (int i = 0; i < 512; i++)
            l1[t][i] = mfn_pte(data, i % 2 ? PTE_KERNEL : PTE_RO);
    }
}

static void set_all(bool writable)
{
    for (int t = 0; t < TABLES + 3; t++) {
        long ret = writable ? page_set_rw(all[t]) : page_set_ro(all[t]);

        if (ret)
            expect_failed("table %d of the tree is still in use: %ld", t, ret);
    }
}

static long pin(bool batched)
{
    struct mmuext_op op = {.cmd = MMUEXT_PIN_L4_TABLE, .arg1.mfn = virt_to_mfn(l4)};
    struct multicall_entry call = {.op = __HYPERVISOR_mmuext_op,
                                   .args = {UL(&op), 1, 0, DOMID_SELF}};

    if (!batched)
        return hc_mmuext_op(&op, 1, NULL, DOMID_SELF);
    need_eq(hc_multicall(&call, 1), 0);
    return call.result;
}

static void refuse(pte_t *pte, uint64_t bad, const char *what)
{
    uint64_t good = *pte;

    for (int batched = 0; batched < 2; batched++) {
        *pte = bad;
        set_all(false);
        if (pin(batched) >= 0) {
            expect_failed("%s: accepted", what);
            mmuext(MMUEXT_UNPIN_TABLE, virt_to_mfn(l4));
        }
        set_all(true);
        *pte = good;
        set_all(false);
        expect_eq(pin(batched), 0);
        expect(page_set_rw(l1[TABLES - 1]) < 0);
        expect_eq(mmuext(MMUEXT_UNPIN_TABLE, virt_to_mfn(l4)), 0);
        set_all(true);
    }
}

void test_main(void)
{
    struct vcpu_set_periodic_timer timer = {.period_ns = 1000000};
    unsigned int port = event_bind_virq(VIRQ_TIMER);

    build();
    need_eq(event_unmask(port), 0);
    need_eq(hc_vcpu_op(VCPUOP_set_periodic_timer, 0, &timer), 0);
    events_enable();
    refuse(&l1[TABLES - 1][511], mfn_pte(virt_to_mfn(l4), PTE_KERNEL), "the L4 writable, last");
    refuse(&l1[TABLES - 1][511], mfn_pte(virt_to_mfn(l1[0]), PTE_KERNEL), "the first L1 writable");
    refuse(&l1[TABLES / 2][100], mfn_pte(0x7fffffff, PTE_RO), "a frame beyond memory");
    refuse(&l1[0][0], mfn_pte(virt_to_mfn(l1[0]), PTE_KERNEL), "an L1 writable in itself");
    refuse(&l2[511], mfn_pte(virt_to_mfn(l3), PTE_TABLE), "an L3 below the L2");
    refuse(&l2[510], l2[0] | PTE_PSE, "a superpage");
    refuse(&l3[511], mfn_pte(virt_to_mfn(l1[3]), PTE_TABLE), "an L1 below the L3");
    refuse(&l4[511], mfn_pte(virt_to_mfn(l2), PTE_TABLE), "an L2 below the L4");
    expect(event_count[port] > 0);
    test_pass();
}
