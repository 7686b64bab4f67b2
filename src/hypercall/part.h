/* SPDX-License-Identifier: MIT */
/* What the files of this directory tell part.c of the timers they own. */
#pragma once

#include "hypercall/ops.h"

/* Handlers of vcpu.singleshot, .periodic and .poll_timer; the data is the vCPU. */
void vcpu_op_singleshot_fired(void *data);
void vcpu_op_periodic_fired(void *data);
#define PERIOD_DEFAULT 10000000u /* ns: a vCPU ticks so until it says otherwise, ABI.md 3.6 */
void sched_op_poll_timed_out(void *data);
void sched_op_watchdogs_stop(struct domain *d);
