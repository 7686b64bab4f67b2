/* SPDX-License-Identifier: MIT */
/* Long hypercalls stop now and then, let the rest of the machine run, and go on: the guest executes
 * the same call again with rewritten arguments. ABI.md 1.1. */
#pragma once

#include "domain/domain.h"

/* Opens a window for interrupts; true if something else should run before this call goes on
 * (softirqs, or an event for the current vCPU). Costs some ten instructions: call it once in some
 * hundred steps. In host tests it says true as the test wants. */
bool hypercall_preempt(void);

/* Makes the current call happen again as `op` with these arguments; returns a value to return from
 * the hypercall function (the dispatcher then leaves the registers alone). */
long hypercall_continue(unsigned op, unsigned nargs, const uint64_t *args);

#define hypercall_continue_with(op, ...)                              \
    hypercall_continue((op), ARRAY_SIZE(((uint64_t[]){__VA_ARGS__})), \
                       (const uint64_t[]){__VA_ARGS__})
