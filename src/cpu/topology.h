/* SPDX-License-Identifier: MIT */
/* What an APIC id says of a processor's place: thread within core within socket. The same fields on
 * all processors of a machine. Intel SDM vol. 3A, 8.9; AMD APM vol. 3, appendix E.3.1, E.4.7,
 * E.4.15. */
#pragma once

#include "lib/types.h"

/* From the boot CPU's CPUID: where the fields lie. */
void topology_detect(void);
unsigned topology_thread(uint32_t apic_id);
unsigned topology_core(uint32_t apic_id); /* within its socket */
unsigned topology_socket(uint32_t apic_id);
/* The same for the threads of a core, and no others. */
uint32_t topology_core_key(uint32_t apic_id);
/* The same for processors that share the cache of the highest level, up to 16 of them; a core's
 * threads always do. Leaf 4, AMD's 0x8000001D; where there is none, for those of a socket. */
uint32_t topology_cluster_key(uint32_t apic_id);
