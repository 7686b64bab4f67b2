/* SPDX-License-Identifier: MIT */
/* The first sign of life: a PV kernel without any note beyond the plain ones is built as domain
 * 0.
 *
 * Cause: the builder contract (public header xen.h, "Initial start-of-day memory layout").
 * Steps: look at the registers of the first instruction, start_info, the p2m and the M2P.
 * Verdict: everything is as the header promises. */
#include "lib/guest.h"

static void check_registers(void)
{
    unsigned long stack = start_info->pt_base + start_info->nr_pt_frames * PAGE_SIZE;

    for (unsigned int i = 0; i < 12; i++)
        expect_eq(boot_regs[i], 0);
    expect_eq(boot_rsp, stack + PAGE_SIZE);
    expect_eq(boot_rflags & 0x244d55, 0x200 & 0x244d55);
}

static void check_start_info(void)
{
    extern char _kernel_end[];

    expect(strncmp(start_info->magic, "xen-3.0-x86_64", 14) == 0);
    expect_eq(start_info->flags & (SIF_PRIVILEGED | SIF_INITDOMAIN),
              SIF_PRIVILEGED | SIF_INITDOMAIN);
    expect(start_info->nr_pages > 1024);
    expect_eq(start_info->shared_info & (PAGE_SIZE - 1), 0);
    expect_eq(start_info->mod_start, 0);
    expect_eq(start_info->mod_len, 0);
    expect(start_info->mfn_list >= UL(_kernel_end));
    expect(UL(start_info) >= start_info->mfn_list + 8 * start_info->nr_pages);
    expect(start_info->pt_base > UL(start_info));
}

static void check_p2m(void)
{
    for (unsigned long pfn = 0; pfn < start_info->nr_pages; pfn++)
        if (mfn_to_pfn(pfn_to_mfn(pfn)) != pfn)
            test_fail("pfn %lu has mfn %#lx, whose M2P entry is %#lx", pfn, pfn_to_mfn(pfn),
                      mfn_to_pfn(pfn_to_mfn(pfn)));
}

/* 512 KiB at least behind the boot stack, the end on a 4 MiB boundary, all of it mapped to its own
 * frame, page tables read-only. */
static void check_mapping(void)
{
    unsigned long va = VIRT_BASE, stack;
    unsigned long pt_end = start_info->pt_base + start_info->nr_pt_frames * PAGE_SIZE;
    pte_t *pte;

    for (;; va += PAGE_SIZE) {
        pte = pte_lookup((void *)va, 1);
        if (!pte || !(*pte & PTE_P))
            break;
        if (va >= start_info->pt_base && va < pt_end)
            expect_eq(*pte & PTE_RW, 0);
        else if (va != UL(shared_info))
            expect_eq(*pte & PTE_RW, PTE_RW);
        if (va != UL(shared_info))
            expect_eq(pte_mfn(*pte), virt_to_mfn(va));
    }
    stack = pt_end;
    expect_eq(va & 0x3fffff, 0);
    expect(va >= stack + PAGE_SIZE + 0x80000);
}

void test_main(void)
{
    printf("hello from domain 0: %lu pages, magic %s, flags %#x, cmdline '%s'\n",
           start_info->nr_pages, start_info->magic, start_info->flags,
           (char *)start_info->cmd_line);
    printf("kernel %#lx, p2m %#lx, start_info %#lx, pt_base %#lx + %lu, rsp %#lx, rflags %#lx\n",
           VIRT_BASE + 0x100000, start_info->mfn_list, UL(start_info), start_info->pt_base,
           start_info->nr_pt_frames, boot_rsp, boot_rflags);
    check_registers();
    check_start_info();
    check_p2m();
    check_mapping();
    test_pass();
}
