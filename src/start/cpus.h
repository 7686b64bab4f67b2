/* SPDX-License-Identifier: MIT */
/* All CPUs but the boot CPU: found, started, taken out of service and put back ("maxcpus=", "smt",
 * "nosmt"). */
#pragma once

#include "base/percpu.h"

/* Boot CPU, as the last thing before domain 0: numbers the CPUs of the MADT (the boot CPU is 0, the
 * others follow in the table's order) and starts those that are wanted. */
void cpus_start(void);

/* Puts a present CPU that is not active into service: -EIO: does not start; -ENOMEM; -EOPNOTSUPP:
 * CPUs are scheduled by cores. One call at a time. */
int must_check cpus_online_one(unsigned cpu);
/* An active one, but CPU 0, goes out of service: it sleeps, runs no guest, takes no device
 * interrupts, and serves what other CPUs ask of it. -EBUSY: it is the last of its pool.
 * -EOPNOTSUPP: CPUs are scheduled by cores. -ERESTART: a vCPU, maybe the caller's, is still there,
 * call again. One call at a time. */
int must_check cpus_offline_one(unsigned cpu);
