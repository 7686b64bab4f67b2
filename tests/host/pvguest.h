/* SPDX-License-Identifier: MIT */
/* A paravirtual guest for host tests: a domain made by hand whose page tables lie in simulated RAM,
 * and a way to call the page-table hypercalls as its kernel would, continuations included.
 *
 * Frame table, M2P and allocator are the real ones. All its frames are mapped at
 * PVG_DIRECT + pfn * 4 KiB: pfn 0 is the L4, then L3, L2 and the L1s, which are read-only there;
 * the rest is writable. */
#pragma once

#include "domain/domain.h"
#include "machine.h"
#include "pv/pv.h"

#define PVG_DIRECT 0xffff888000000000ul
#define PVG_VCPUS  2u
#define PVG_MAX    1024u /* frames */

struct pvguest {
    struct domain d;
    struct vcpu *vcpus[PVG_VCPUS];
    struct vcpu v[PVG_VCPUS];
    struct pv_vcpu pvv[PVG_VCPUS];
    struct pv_domain pvd;
    unsigned frames, tables; /* tables: pfn 0 to tables - 1 */
    mfn_t mfn[PVG_MAX];      /* by pfn */
};

/* The machine anew: RAM, frame table, M2P, an hv_l4; `cpus` of which CPU 0 is selected. Flushes of
 * other CPUs are served at once. */
void pvg_machine(size_t ram_bytes, unsigned cpus);
struct pvguest *pvg_new(domid_t id, unsigned frames, bool privileged);
/* It gives up all that it holds; others may still map its frames. */
void pvg_kill(struct pvguest *g);
/* The same, and forgets it: nobody maps its frames. */
void pvg_free(struct pvguest *g);
/* Vcpu n of it runs on this CPU from now on, in kernel mode. */
void pvg_run(struct pvguest *g, unsigned n);

static inline uint64_t pvg_va(unsigned pfn)
{
    return PVG_DIRECT + pfn * PAGE_SIZE;
}
static inline void *pvg_page(struct pvguest *g, unsigned pfn)
{
    return mfn_to_virt(g->mfn[pfn]);
}
/* The entry of pfn in its direct map. */
uint64_t *pvg_l1e(struct pvguest *g, unsigned pfn);
static inline uint64_t pvg_maddr(const uint64_t *pe)
{
    return virt_to_paddr(pe);
}

/* The calls of the running vCPU. Arguments go through a page of its own, pvg_arg_pfn + its
 * number; `continued` counts. */
extern unsigned pvg_arg_pfn; /* of every guest: plain writable frames */
extern __thread unsigned pvg_continued;
long pvg_mmu_update(const struct mmu_update *u, unsigned n, unsigned *done, uint32_t foreigndom);
long pvg_mmuext(const struct mmuext_op *op, unsigned n, unsigned *done, uint32_t foreigndom);
/* One of each. */
long pvg_update(uint64_t ptr, uint64_t val);
long pvg_ext(unsigned cmd, uint64_t mfn);
/* Says true to hypercall_preempt once in n, by chance; 0: never. */
extern unsigned pvg_preempt;
/* And once in n such times the guest never comes back to the call: it returns -ERESTART then. */
extern unsigned pvg_abandon;
uint32_t pvg_random(uint32_t below);
/* If not NULL: asked first, false: it has no more (fuzzers). */
extern bool (*pvg_random_source)(uint32_t *out);
extern __thread uint64_t pvg_seed;
