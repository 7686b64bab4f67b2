/* SPDX-License-Identifier: MIT */
/* Per-CPU data. DEFINE_PER_CPU(type, name) places a master copy in its own section; each CPU has a
 * copy of the section, and cpu_local()->percpu_offset leads from the master to it. */
#pragma once

#include "hw/ops.h"
#include "lib/bitmap.h"

#define MAX_CPUS 128

#define PER_CPU_SECTION             __attribute__((__section__("percpu"), used))
#define DEFINE_PER_CPU(type, name)  PER_CPU_SECTION __typeof__(type) percpu_##name
#define DECLARE_PER_CPU(type, name) extern __typeof__(type) percpu_##name

/* Offset of each CPU's copy; [I] set before the CPU comes up. */
extern uintptr_t percpu_offset[MAX_CPUS];

#define per_cpu_ptr(name, cpu) \
    ((__typeof__(&percpu_##name))((uintptr_t)&percpu_##name + percpu_offset[cpu]))
#define per_cpu(name, cpu) (*per_cpu_ptr(name, cpu))
#define this_cpu_ptr(name) \
    ((__typeof__(&percpu_##name))((uintptr_t)&percpu_##name + cpu_local()->percpu_offset))
#define this_cpu(name) (*this_cpu_ptr(name))

/* Number of the CPU that executes this, 0 to MAX_CPUS - 1. */
static inline unsigned cpu_id(void)
{
    return cpu_local()->id;
}

struct cpu_mask {
    unsigned long bits[BITMAP_LONGS(MAX_CPUS)];
};

/* A mask that others change, as it is now. */
static inline struct cpu_mask cpu_mask_read(const struct cpu_mask *m)
{
    struct cpu_mask now;

    for (unsigned i = 0; i < ARRAY_SIZE(now.bits); i++)
        now.bits[i] = read_once(m->bits[i]);
    return now;
}

static inline bool cpu_mask_empty(const struct cpu_mask *m)
{
    unsigned long any = 0;

    for (unsigned i = 0; i < ARRAY_SIZE(m->bits); i++)
        any |= m->bits[i];
    return !any;
}

/* Each a part of the one before. */
extern struct cpu_mask cpus_present;           /* [a] known, and not found unusable */
extern struct cpu_mask cpus_online;            /* [a] running, for good: they serve requests */
extern struct cpu_mask cpus_active;            /* [a] in service: the scheduler may use them */
extern unsigned cpu_count;                     /* [I] highest CPU number + 1 */
extern struct cpu_local *cpu_locals[MAX_CPUS]; /* [I] set before the CPU comes up */

#define for_each_cpu(i) bitmap_for_each (i, cpus_online.bits, MAX_CPUS)

/* Bytes of one copy of the per-CPU section. */
size_t percpu_size(void);
/* Starts the copy at `mem` (percpu_size() bytes, 64-byte aligned) as CPU `cpu`'s, from the master.
 */
void percpu_init(unsigned cpu, void *mem);
