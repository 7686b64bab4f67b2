/* SPDX-License-Identifier: MIT */
/* What an APIC id says of a processor's place: thread within core within socket. The same fields on
 * all processors of a machine. Intel SDM vol. 3A, 8.9; AMD APM vol. 3, appendix E.3.1, E.4.7. */
#pragma once

#include "lib/types.h"

/* From the boot CPU's CPUID: where the fields lie. */
void topology_detect(void);
unsigned topology_thread(uint32_t apic_id);
unsigned topology_core(uint32_t apic_id); /* within its socket */
unsigned topology_socket(uint32_t apic_id);
