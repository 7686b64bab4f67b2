/* SPDX-License-Identifier: MIT */
/* How the threads of threads.c take turns: not at all (free.c), or by the seed (interleave.c). */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* A round of n CPUs begins. */
void threads_begin(uint64_t seed, unsigned n);
/* This thread, CPU n, takes part from now on; and no more. */
void threads_enter(unsigned n);
void threads_leave(unsigned n);
/* Does nobody else run while this thread makes no atomic access of the sources? */
bool threads_alone(void);
