/* SPDX-License-Identifier: MIT */
/* A second vcpu that runs a function of the test in kernel mode, on the same page tables, with
 * events masked. Tests that use it ask for ` * Options: dom0_max_vcpus=2`. */
#ifndef GUEST_LIB_SECOND_H
#define GUEST_LIB_SECOND_H

#include "lib/guest.h"

/* Starts main() on vcpu 1, which goes down when it returns. Skips the test when there is none. */
void second_start(void (*main)(void));
/* Until it is down again; false after two seconds. */
bool second_wait(void);
/* Until *what is at least want, with yields; expects it within two seconds. */
void wait_until(const volatile unsigned int *what, unsigned int want);
unsigned int second_bind_ipi(void);
extern vcpu_info_t *second_info;

#endif
