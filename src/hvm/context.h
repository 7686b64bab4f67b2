/* SPDX-License-Identifier: MIT */
/* The kinds of records of a vCPU (context_cpu.c), for context.c: `get` fills one, which is zero;
 * `check` says -EINVAL, or that `set` cannot fail. v does not run. */
#pragma once

#include "hvm/hvm.h"

#include <xen/hvm/save.h>

typedef void record_get_fn(struct vcpu *v, void *record);
typedef int record_check_fn(struct vcpu *v, const void *record, uint32_t length);
typedef void record_set_fn(struct vcpu *v, const void *record, uint32_t length);

record_get_fn hvm_cpu_get, hvm_xsave_get, hvm_mtrr_get, hvm_lapic_get, hvm_lapic_regs_get;
record_check_fn hvm_cpu_check, hvm_xsave_check, hvm_mtrr_check, hvm_lapic_check,
    hvm_lapic_regs_check;
record_set_fn hvm_cpu_set, hvm_xsave_set, hvm_mtrr_set, hvm_lapic_set, hvm_lapic_regs_set;

/* 0: there is no such state. */
uint32_t hvm_xsave_length(const struct vcpu *v);
