/* SPDX-License-Identifier: MIT */
/* The hypercalls that this directory executes itself: one function each, with the arguments as the
 * guest gave them. Each returns what the guest gets: a result, or a negative errno. */
#pragma once

#include "domain/domain.h"

/* What a domain has on account of these: timers of its vCPUs, registered vcpu_info frames,
 * watchdogs, memory map. */
extern const struct domain_part hypercall_part;

long memory_op(uint64_t cmd, uint64_t arg);
/* Start-up: the frames of the machine-to-physical table become DOMID_XEN's, to be read. */
void memory_machphys_share(void);
long sched_op(uint32_t cmd, uint64_t arg);
long vcpu_op(uint32_t cmd, uint32_t vcpuid, uint64_t arg);
/* Brings up a vCPU that has its registers, and starts the ticks it did not stop. Once the domain
 * runs its lock is held: who looks whether it is up decides under it. */
void hypercall_vcpu_up(struct vcpu *v);
long set_timer_op(uint64_t ns);
long xen_version(uint32_t cmd, uint64_t arg);
long console_io(uint32_t cmd, uint32_t count, uint64_t va);
long vm_assist(uint32_t cmd, uint32_t type);
long multicall(uint64_t va, uint32_t count);
long physdev_op(uint32_t cmd, uint64_t arg);
long platform_op(uint64_t arg);
long sysctl(uint64_t arg);
long domctl(uint64_t arg);
long hypfs_op(uint32_t cmd, uint64_t path, uint64_t path_len, uint64_t buf, uint64_t buf_len);
long hvm_op(uint32_t cmd, uint64_t arg);
