/* SPDX-License-Identifier: MIT */
/* Trace records: what happened when, in a ring of each CPU that a tool of domain 0 (`xentrace`)
 * reads while it is filled. Public trace.h.
 *
 * A ring has one writer, its CPU with interrupts off, and one reader. Reader and writer share the
 * ring's pages, header included; but the writer keeps its own position and believes of the header
 * only `cons`, fetched once and checked. So a reader that writes nonsense loses records, and
 * nothing else. While tracing is off a trace point costs a load and a branch. */
#pragma once

#include <xen/xen.h>
#include <xen/trace.h>
#include "base/percpu.h"

/* The classes and sub-classes of events that are recorded (TRC_*); 0: tracing is off. [a] */
extern uint32_t trace_events;
/* The CPUs that record. [a] */
extern struct cpu_mask trace_cpus;

/* Records an event with the time and up to TRACE_EXTRA_MAX words, if its class and sub-class are
 * wanted. Anywhere but in NMIs; takes no lock. */
void trace_record(uint32_t event, unsigned words, const uint32_t *data) cold;

/* TRACE(event, word...). */
#define TRACE(event, ...)                                                        \
    do {                                                                         \
        if (unlikely(read_once(trace_events))) {                                 \
            const uint32_t trace_data_[] = {0, ##__VA_ARGS__};                   \
            trace_record((event), ARRAY_SIZE(trace_data_) - 1, trace_data_ + 1); \
        }                                                                        \
    } while (0)
/* A 64-bit value as two words. */
#define TRACE_LONG(x) (uint32_t)(x), (uint32_t)((uint64_t)(x) >> 32)

/* Once for each CPU, before tracing begins: its ring is `pages` zeroed frames of the direct map.
 * The list stays. */
void trace_ring_set(unsigned cpu, const uint32_t *mfns, unsigned pages);
/* Called by a task when a ring has become half full; [I], may be NULL. */
extern void (*trace_half_full)(void);
