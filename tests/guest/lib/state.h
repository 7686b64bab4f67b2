/* SPDX-License-Identifier: MIT */
/* The registers that no entry saves and every switch has to: vectors and x87, segment bases, debug
 * registers. Filled from a number and compared with it, to see whose are in the processor. */
#ifndef GUEST_LIB_STATE_H
#define GUEST_LIB_STATE_H

#include "lib/guest.h"

/* On this vcpu: x87 and SSE, and AVX if there is any (XCR0 of a PV guest starts with x87 alone). */
void vector_enable(void);
void vector_fill(uint64_t pattern);
bool vector_same(uint64_t pattern);

/* FS, GS and user GS base, DR0 to DR3. Those of 0 are what a vcpu starts with. */
void bases_fill(unsigned int n);
bool bases_same(unsigned int n);

#endif
