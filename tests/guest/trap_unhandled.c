/* SPDX-License-Identifier: MIT */
/* An exception without a handler ends the domain.
 *
 * Cause: there is nowhere to deliver it to.
 * Steps: clear the trap table, then #DE in kernel mode.
 * Verdict: the hypervisor reports a crash of domain 0; it does not loop, hang or go down
 * itself. */
#include "lib/guest.h"

void test_main(void)
{
    need_eq(hc_set_trap_table(NULL), 0);
    test_expect_crash();
    asm volatile("xor %%ecx, %%ecx; div %%ecx" ::: "rax", "rcx", "rdx", "cc");
    test_fail("went on after #DE without a handler");
}
