/* SPDX-License-Identifier: MIT */
/* update_va_mapping: the entry behind a virtual address, with each kind of flush.
 *
 * Cause: the quickest way to change one mapping; kernels use it for their own and for user
 * addresses.
 * Steps: map and unmap with every flag; addresses without an L1 table, in the hypervisor's
 * hole, not canonical; bad frames; the old translation must be gone where a flush was asked
 * for.
 * Verdict: the new mapping is what the next access sees; bad addresses are -EINVAL. */
#include "lib/guest.h"

void test_main(void)
{
    uint64_t *a = page_alloc(), *b = page_alloc();
    volatile uint64_t *hole = hole_alloc();
    static const unsigned long flags[] = {UVMF_TLB_FLUSH, UVMF_INVLPG, UVMF_TLB_FLUSH | UVMF_ALL,
                                          UVMF_INVLPG | UVMF_ALL};
    static unsigned long mask = 1;

    *a = 0xa;
    *b = 0xb;
    for (unsigned int i = 0; i < sizeof(flags) / sizeof(*flags); i++) {
        expect_eq(hc_update_va_mapping(UL(hole), mfn_pte(virt_to_mfn(a), PTE_RO), flags[i]), 0);
        expect_eq(*hole, 0xa);
        expect_eq(hc_update_va_mapping(UL(hole), mfn_pte(virt_to_mfn(b), PTE_RO), flags[i]), 0);
        expect_eq(*hole, 0xb);
        expect_eq(hc_update_va_mapping(UL(hole), 0, flags[i]), 0);
        expect_eq(try_read(hole, NULL), VEC_PF);
    }

    /* A set of vcpus by pointer, for both kinds of flush; an unreadable one. */
    expect_eq(hc_update_va_mapping(UL(hole), mfn_pte(virt_to_mfn(a), PTE_RO),
                                   UVMF_TLB_FLUSH | UVMF_MULTI | UL(&mask)),
              0);
    expect_eq(hc_update_va_mapping(UL(hole), mfn_pte(virt_to_mfn(b), PTE_RO),
                                   UVMF_INVLPG | UVMF_MULTI | UL(&mask)),
              0);
    expect_eq(*hole, 0xb);

    /* No flush asked: absent to present needs none. */
    expect_eq(hc_update_va_mapping(UL(hole), 0, UVMF_INVLPG), 0);
    expect_eq(hc_update_va_mapping(UL(hole), mfn_pte(virt_to_mfn(a), PTE_KERNEL), UVMF_NONE), 0);
    *hole = 0xaa;
    expect_eq(*a, 0xaa);

    /* A page offset in the address does not matter. */
    expect_eq(hc_update_va_mapping(UL(hole) + 0x123, 0, UVMF_INVLPG), 0);
    expect_eq(try_read(hole, NULL), VEC_PF);

    expect_eq(hc_update_va_mapping(0xffff900000000000, 0, UVMF_NONE), -XEN_EINVAL);
    expect_eq(hc_update_va_mapping(0x1000, 0, UVMF_NONE), -XEN_EINVAL);
    expect_eq(hc_update_va_mapping(0xffff820000000000, 0, UVMF_NONE), -XEN_EINVAL);
    expect_eq(hc_update_va_mapping(0xffff800000000000, 0, UVMF_NONE), -XEN_EINVAL);
    expect_eq(hc_update_va_mapping(0xffff82d080200000, 0, UVMF_NONE), -XEN_EINVAL);
    expect_eq(hc_update_va_mapping(0x8000000000000000, 0, UVMF_NONE), -XEN_EINVAL);
    expect_eq(hc_update_va_mapping(UL(hole), mfn_pte(0xfffffffffful, PTE_RO), UVMF_NONE),
              -XEN_EINVAL);
    expect(hc_update_va_mapping(UL(hole), mfn_pte(0xfee00, PTE_RO), UVMF_NONE) < 0);
    expect_eq(try_read(hole, NULL), VEC_PF);
    test_pass();
}
