/* SPDX-License-Identifier: MIT */
/* A model of what the processors remember: now and then one CPU touches an address and keeps the
 * translation, and the tables on the way, until it flushes everything. At no time may a CPU
 * remember a writable translation to a page table or page of descriptors, any translation to a
 * frame that has changed hands, or a table on the way that the guest may write to now. */
#pragma once

#include <stdint.h>

#define TLB_MODEL_CPUS 4u

void tlb_model_reset(void);
/* The processor's walk of the address by this CPU, with what cr3 holds. */
void tlb_model_touch(uint64_t va);
/* The present vCPU's own window (GDT, LDT), which the hypervisor's tables map. */
void tlb_model_check(void);
