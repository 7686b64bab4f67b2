/* SPDX-License-Identifier: MIT */
/* A model of what the processors remember: now and then one CPU touches an address and keeps the
 * translation, and the tables on the way, until it flushes everything. At no time may a CPU
 * remember a writable translation to a page table or page of descriptors, any translation to a
 * frame that has changed hands, or a table on the way that the guest may write to now. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define TLB_MODEL_CPUS 4u

struct domain;

/* CPUs are threads; see world.h. */
extern bool world_parallel;

void tlb_model_reset(void);
/* If not NULL: does the domain map the frame by a grant still? Else none may be remembered. */
extern bool (*tlb_model_granted)(const struct domain *d, uint64_t frame);
/* The processor's walk of the address by this CPU, with what cr3 holds. */
void tlb_model_touch(uint64_t va);
void tlb_model_check(void);
