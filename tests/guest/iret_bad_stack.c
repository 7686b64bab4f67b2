/* SPDX-License-Identifier: MIT */
/* An iret hypercall whose frame cannot be read ends the domain.
 *
 * Cause: the frame is at the guest's stack pointer, which may point anywhere.
 * Steps: iret with the stack pointer in the hypervisor's hole.
 * Verdict: the hypervisor reports a crash of domain 0. */
#include "lib/guest.h"

void test_main(void)
{
    test_expect_crash();
    asm volatile("mov %0, %%rsp; mov $23, %%eax; syscall" ::"r"(0xffff830000001000) : "memory");
    test_fail("went on after iret from a stack inside the hypervisor");
}
