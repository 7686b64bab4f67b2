/* SPDX-License-Identifier: MIT */
/* The hypercall page: a kernel whose ELF notes ask for it finds it filled at its first
 * instruction.
 *
 * Cause: kernels before about Linux 6.1.121, and those of other systems, call through this
 * page.
 * Steps: make hypercalls through their slots, with callee-saved registers watched; look at the
 * unused end of each slot.
 * Verdict: all 128 slots are there, lose nothing but rax, and end in int3. */
#include "lib/guest.h"

static void check_slot_keeps_registers(void)
{
    unsigned long rcx = 0x1111, r11 = 0x2222, rdi = XENVER_version, rsi = 0;
    register unsigned long r11v asm("r11") = r11;
    long ret;

    asm volatile("call *%[slot]"
                 : "=a"(ret), "+c"(rcx), "+r"(r11v), "+D"(rdi), "+S"(rsi)
                 : [slot] "r"(hypercall_page + 32 * __HYPERVISOR_xen_version)
                 : "memory");
    r11 = r11v;
    expect_eq(ret, hc_xen_version(XENVER_version, NULL));
    expect_eq(rcx, 0x1111);
    expect_eq(r11, 0x2222);
    expect_eq(rdi, XENVER_version);
    expect_eq(rsi, 0);
}

void test_main(void)
{
    expect_eq(hypercall_page_call(__HYPERVISOR_xen_version, XENVER_version, 0),
              hc_xen_version(XENVER_version, NULL));
    expect_eq(hypercall_page_call(__HYPERVISOR_xen_version, XENVER_pagesize, 0), 4096);
    expect_eq(hypercall_page_call(__HYPERVISOR_sched_op, SCHEDOP_yield, 0), 0);
    expect_eq(hypercall_page_call(11, 0, 0), -XEN_ENOSYS);
    expect_eq(hypercall_page_call(127, 0, 0), -XEN_ENOSYS);
    check_slot_keeps_registers();
    for (unsigned int nr = 0; nr < PAGE_SIZE / 32; nr++)
        if (nr != __HYPERVISOR_iret)
            expect_eq((unsigned char)hypercall_page[nr * 32 + 31], 0xcc);
    test_pass();
}
