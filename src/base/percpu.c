/* SPDX-License-Identifier: MIT */
/* Per-CPU data: the copies of the section, and which CPUs there are. The boot CPU uses the master
 * copy (offset 0) until it gets its own, so nothing per CPU may be changed for good before that. */
#include "base/percpu.h"
#include "base/panic.h"
#include "lib/string.h"

extern char __start_percpu[] __attribute__((weak)), __stop_percpu[] __attribute__((weak));

uintptr_t percpu_offset[MAX_CPUS];
struct cpu_mask cpus_present;
struct cpu_mask cpus_online;
struct cpu_mask cpus_active;
unsigned cpu_count;
struct cpu_local *cpu_locals[MAX_CPUS];

size_t percpu_size(void)
{
    return ROUND_UP((size_t)(__stop_percpu - __start_percpu), (size_t)64);
}

void percpu_init(unsigned cpu, void *mem)
{
    size_t used = (size_t)(__stop_percpu - __start_percpu);

    BUG_ON(cpu >= MAX_CPUS || !IS_ALIGNED((uintptr_t)mem, 64));
    if (used)
        memcpy(mem, __start_percpu, used);
    memset((char *)mem + used, 0, percpu_size() - used);
    percpu_offset[cpu] = (uintptr_t)mem - (uintptr_t)__start_percpu;
}
