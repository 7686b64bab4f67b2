/* SPDX-License-Identifier: MIT */
/* The simulated machine of the host build, as tests see it. tests/host/README tells the story. */
#pragma once

#include <setjmp.h>

#include "hw/ops.h"

#define HOST_CPUS 128

/* A machine with this RAM at physical 0 and CPUs that are present and online, all registers and
 * memory as after reset; what was there before is gone. Every program starts with 64 MiB and one
 * CPU without calling it. */
void host_machine_init(size_t ram_bytes, unsigned cpus);
extern size_t host_ram_bytes;

/* From now on this thread is CPU n. */
void host_cpu_select(unsigned n);

/* ---- the processor ---- */

struct host_cpu {
    uint64_t cr[5], dr[8];
    uint64_t fs_base, gs_base, gs_kernel, xcr0;
    uint16_t ds, es, fs, gs, ldt, tr;
    struct table_register gdt, idt;
    bool interrupts;        /* EFLAGS.IF */
    uint64_t tsc_adjust;    /* its TSC is ahead of host_tsc by this */
    unsigned flushes;       /* CR3 loads without NOFLUSH and full flushes */
    unsigned invalidations; /* INVLPG */
    uint8_t xstate[4096];
    struct cpu_local *local;
};
extern struct host_cpu host_cpus[HOST_CPUS];
struct host_cpu *host_cpu(void); /* the selected one */

extern uint64_t host_tsc; /* grows by host_tsc_step with each read or pause */
extern uint64_t host_tsc_step;

/* An MSR of the selected CPU; host_msr_remove makes its access fault. Access to one that does not
 * exist ends the test, but for the _safe functions. */
void host_msr_set(uint32_t msr, uint64_t val);
void host_msr_remove(uint32_t msr);
/* Called before each access of a present MSR, if not NULL. */
extern void (*host_msr_hook)(uint32_t msr, bool write, uint64_t *val);
void host_cpuid_set(uint32_t leaf, uint32_t subleaf, struct cpuid_leaf val);
/* Called where the hypervisor opens an interrupt window or goes idle. */
extern void (*host_window_hook)(void);

/* ---- expected panics ---- */

extern jmp_buf *host_stop_jump;

/* Runs the statement; true if it panicked (or stopped the CPU). Lock checks start afresh then. */
#define host_panics(statement)               \
    ({                                       \
        jmp_buf host_jump_;                  \
        volatile bool host_panicked_ = true; \
        host_stop_jump = &host_jump_;        \
        if (!setjmp(host_jump_)) {           \
            statement;                       \
            host_panicked_ = false;          \
        }                                    \
        host_stop_jump = NULL;               \
        host_panicked_;                      \
    })
/* Text the log has got since the last call, NUL-terminated; valid until the next. */
const char *host_log(void);

/* ---- memory ---- */

/* The byte at a physical address, which must be RAM. */
void *host_ram(paddr_t p);
/* Enters a 4 KiB page into the page tables at the L4 `root`; tables on the way are made in the
 * frames from *next_table on (user, writable). For tests of guest access. */
void host_map_guest(paddr_t root, paddr_t *next_table, uint64_t va, uint64_t pte);

/* Gives all RAM from 1 MiB on to the allocator, as start-up does; after host_machine_init. */
void host_memory_init(void);

/* ---- translations ---- */

/* If set, guest memory is reached through a TLB for each CPU that remembers pages, with PCIDs and
 * global pages, until an instruction drops them: what is not flushed is seen. Off after
 * host_machine_init. */
extern bool host_tlb;
/* Does the selected CPU remember the page for this PCID? *pte gets what it remembers. */
bool host_tlb_find(unsigned pcid, uint64_t va, uint64_t *pte);

/* For the files of this directory: `global`: those too. */
#define HOST_TLB_ANY ~0u
void host_tlb_reset(void);
void host_tlb_fill(unsigned pcid, uint64_t va, uint64_t pte);
void host_tlb_drop(unsigned pcid, bool global);
void host_tlb_drop_page(unsigned pcid, uint64_t va, bool global);

/* ---- devices ---- */

struct host_device {
    uint64_t (*read)(void *data, uint64_t at, unsigned size); /* at: port, or offset in the range */
    void (*write)(void *data, uint64_t at, unsigned size, uint64_t val);
    void *data;
};

/* Ports first to last; ports without a device read all ones. */
void host_port_add(uint16_t first, uint16_t last, struct host_device dev);
/* Device memory at physical base; map_device() then gives a pointer whose mmio_* accesses come
 * here. Both functions NULL: plain memory, reached with host_mmio_memory(). */
void host_mmio_add(paddr_t base, size_t len, struct host_device dev);
void *host_mmio_memory(paddr_t base);
/* Mappings by map_device() that were not undone. */
extern unsigned host_mappings;

/* For the files of this directory. */
void host_devices_reset(void);
