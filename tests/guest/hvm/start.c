/* SPDX-License-Identifier: MIT */
/* A PVH kernel finds what its start promises: a start info whose memory map, if it is of the form
 * that has one, holds the kernel; the hypervisor's CPUID leaves, a version by hypercall; and a
 * hypercall page, filled by an MSR, whose slots do the same.
 *
 * Cause: PHYS32_ENTRY. Verdict: all values are those of the public headers. */
#include "hvm/lib/hvm.h"

static char page[4096] __attribute__((aligned(4096)));

static long call_page(unsigned int nr, unsigned long a, unsigned long b)
{
    long rc;

    asm volatile("call *%1" : "=a"(rc) : "r"(page + 32 * nr), "D"(a), "S"(b) : "memory");
    return rc;
}

static void check_map(void)
{
    const struct hvm_memmap_table_entry *e = (void *)hvm_start_info->memmap_paddr;
    bool found = false;

    for (unsigned int i = 0; i < hvm_start_info->memmap_entries; i++)
        found = found || (e[i].type == XEN_HVM_MEMMAP_TYPE_RAM && e[i].addr <= 0x100000 &&
                          e[i].addr + e[i].size >= UL(_kernel_end));
    expect(found);
}

void test_main(void)
{
    struct cpuid l = cpuid(0x40000000, 0);
    long version = hc_xen_version(XENVER_version, NULL);

    expect_eq(hvm_start_info->magic, XEN_HVM_START_MAGIC_VALUE);
    if (hvm_start_info->version >= 1) /* Xen 4.17 gives its domain 0 the older form */
        check_map();

    expect_eq(l.b, XEN_CPUID_SIGNATURE_EBX);
    expect_eq(l.c, XEN_CPUID_SIGNATURE_ECX);
    expect_eq(l.d, XEN_CPUID_SIGNATURE_EDX);
    expect(l.a >= 0x40000004);
    expect_eq(cpuid(0x40000001, 0).a, version);
    l = cpuid(0x40000002, 0);
    expect_eq(l.a, 1);
    expect_eq(cpuid(0x40000004, 0).a & XEN_HVM_CPUID_VCPU_ID_PRESENT,
              XEN_HVM_CPUID_VCPU_ID_PRESENT);
    expect_eq(cpuid(0x40000004, 0).b, 0);
    expect(cpuid(1, 0).c & 1u << 31);            /* a hypervisor is there */
    expect(!(cpuid(0x80000001, 0).c & 1u << 2)); /* and no AMD-V inside */

    expect_eq(write_msr(l.b, UL(page)), NO_TRAP);
    expect_eq(call_page(__HYPERVISOR_xen_version, XENVER_version, 0), version);
    expect_eq((unsigned char)page[4095], 0xcc);
    expect_eq(write_msr(l.b, 0xfffffffff000), VEC_GP);

    expect_eq(hypercall0(63), -XEN_ENOSYS);
    expect_eq(hypercall0(__HYPERVISOR_mmu_update), -XEN_ENOSYS);
    expect_eq(hypercall0(__HYPERVISOR_iret), -XEN_ENOSYS);
    test_pass();
}
