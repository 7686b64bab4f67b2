/* SPDX-License-Identifier: MIT */
/* An exception whose frame cannot be written ends the domain.
 *
 * Cause: the frame goes to the guest's stack pointer, which may point anywhere.
 * Steps: set the stack pointer to an address in the hypervisor's hole, then ud2.
 * Verdict: the hypervisor reports a crash of domain 0, and nothing was written there. */
#include "lib/guest.h"

void test_main(void)
{
    test_expect_crash();
    asm volatile("mov %0, %%rsp; ud2" ::"r"(0xffff830000001000) : "memory");
    test_fail("went on with a stack inside the hypervisor");
}
