/* SPDX-License-Identifier: MIT */
/* The processor as Argon found it, and each CPU's own tables. */
#pragma once

#include "base/percpu.h"
#include "cpu/features.h"

struct gate;
extern struct gate cpu_idt[256]; /* of all CPUs; page aligned */

/* Host features, the order and bit positions of the public featureset words (cpu/features.h). */
extern uint32_t cpu_host_words[FEATURE_WORDS]; /* [I] */
static inline bool cpu_has(unsigned feature)
{
    return cpu_host_words[feature / 32] >> (feature % 32) & 1;
}

extern uint64_t cpu_cr4;          /* [I] CR4 while the hypervisor runs, without the guest's bits */
extern uint64_t cpu_efer;         /* [I] */
extern unsigned cpu_paddr_bits;   /* [I] physical address width */
extern uint64_t cpu_pte_reserved; /* [I] PTE address bits beyond the width, and NX if absent */
extern bool cpu_smap;             /* [I] SMAP is on; the copies of hw/ open it */

enum cpu_vendor {
    CPU_OTHER,
    CPU_INTEL,
    CPU_AMD, /* and Hygon */
};
extern enum cpu_vendor cpu_vendor;

/* Boot CPU: finds features, vendor, widths; says what is missing and stops without it. */
void cpu_detect(void);
/* This CPU, after spec_init(): GDT, TSS with IST stacks, IDT, MSRs of SYSCALL, PAT, CR0, CR4, EFER,
 * hidden page tables. The boot CPU also patches the code as spec_init() decided. */
void cpu_init_tables(void);

/* Maps the block of stacks of another CPU, zeroed, its guards left out; its cpu_local, or NULL if
 * memory is short (then it may be called again). */
struct cpu_local *cpu_stacks_make(unsigned cpu) must_check;
/* Boot CPU, whose block is in the image: takes the guards out of it. */
void cpu_stacks_guard(void);
/* The name of the stack of this CPU whose guard `va` is in, or NULL. */
const char *cpu_stacks_overflowed(uint64_t va);

/* What RDTSCP and RDPID are to show on this CPU. */
void cpu_tsc_aux_load(uint32_t value);

/* Descriptor page of this CPU that goes into page 14 of each vCPU's GDT window. */
DECLARE_PER_CPU(mfn_t, gdt_mfn);
/* Interrupt stack pointer and so on never change: the frame is always at cpu_local()->guest. */

/* Ends in the guest whose registers are in cpu_local()->guest; runs pending work first. */
noreturn void cpu_return_to_guest(void);
/* The same for a fully virtual guest: ends in hvm_loop() with an empty stack. */
noreturn void cpu_enter_hvm(void);
/* Ends in the idle loop with an empty stack. */
noreturn void cpu_enter_idle(void);
