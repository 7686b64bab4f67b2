/* SPDX-License-Identifier: MIT */
/* Where upper rooms are made known to lower ones: every upcall of the hypervisor is a pointer that
 * is set here, once. */
#pragma once

void hooks_install(void);      /* traps, interrupts between CPUs, the console */
void hooks_init_domains(void); /* the parts of domains, the scheduler, this CPU's idle vCPU */
