/* SPDX-License-Identifier: MIT */
/* The p2m list at an address of the kernel's choice (note INIT_P2M), as Linux asks for.
 *
 * Cause: big domains have p2m lists that do not fit behind the kernel image.
 * Steps: compare mfn_list with the note, walk the list, and find its frames by first_p2m_pfn.
 * Verdict: the list is mapped where asked, from the frames that start_info names. */
#include "lib/guest.h"

#define P2M_BASE 0x8000000000ul

void test_main(void)
{
    unsigned long used = (start_info->nr_pages * 8 + PAGE_SIZE - 1) / PAGE_SIZE;
    pte_t *pte;

    expect_eq(start_info->mfn_list, P2M_BASE);
    expect(start_info->nr_p2m_frames >= used);
    for (unsigned long pfn = 0; pfn < start_info->nr_pages; pfn++)
        if (mfn_to_pfn(pfn_to_mfn(pfn)) != pfn)
            test_fail("pfn %lu has mfn %#lx, whose M2P entry is %#lx", pfn, pfn_to_mfn(pfn),
                      mfn_to_pfn(pfn_to_mfn(pfn)));

    /* The tables above the list lie outside the initial mapping: only the top level is looked at.
     */
    pte = pte_lookup((void *)P2M_BASE, 4);
    expect(pte && (*pte & PTE_P));
    expect(mfn_to_pfn(pte_mfn(*pte)) >= start_info->first_p2m_pfn);
    expect(mfn_to_pfn(pte_mfn(*pte)) < start_info->first_p2m_pfn + start_info->nr_p2m_frames);
    test_pass();
}
