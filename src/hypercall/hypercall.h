/* SPDX-License-Identifier: MIT */
/* The hypercall table. Each entry decodes its registers and calls the function of the directory
 * that owns the matter. ABI.md 1.2; public xen.h for the numbers. */
#pragma once

#include "domain/domain.h"

/* Executes hypercall `op` for the current vCPU; result or negative errno; -ENOSYS for numbers that
 * do not exist. Sets up the refusal ring. Multicall calls it for each entry. */
long hypercall_call(uint64_t op, uint64_t a0, uint64_t a1, uint64_t a2, uint64_t a3, uint64_t a4,
                    uint64_t a5);
/* The same for hvm/: hvm_hypercall_call. */
long hypercall_of_hvm(uint64_t op, const uint64_t args[6]);
/* The same by number from syscall.S, which has checked it against HYPERCALLS. */
#define HYPERCALLS 64
typedef long (*hypercall_fn)(uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t);
extern const hypercall_fn hypercall_table[HYPERCALLS];
/* The table that is used: the one above, or while hypercalls are traced one that records each
 * first. [a] */
extern const hypercall_fn *hypercall_calls;
void hypercall_trace(bool on);
/* SYSCALL in guest user mode: the guest kernel's system call. */
void hypercall_from_user(struct regs *regs);
/* From the exit path, while there is pending work or an event to deliver. */
void guest_exit_work(void);
/* Its name without "__HYPERVISOR_", NULL if it has none: refuse_call_name. */
const char *hypercall_name(uint32_t op);
