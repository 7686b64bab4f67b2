/* SPDX-License-Identifier: MIT */
/* Domains for tests of the hypercalls above domain/: made by domain_create() from the real parts
 * (event channels, grants, hypercalls), with some frames mapped at GUEST_VA. Their page tables are
 * plain memory that only the simulated processor knows, so there is no paravirtual part; a map of
 * granted frames is a list here. The scheduler and the timers are the real ones; interrupts and
 * exits happen when the test calls guest_exit(). */
#pragma once

#include "domain/domain.h"
#include "machine.h"

#define GUEST_VA     0x10000000ul
#define GUEST_FRAMES 32u

struct guest {
    struct domain *d;
    paddr_t root;
    mfn_t mfn[GUEST_FRAMES]; /* by page */
};

/* A machine with `cpus` CPUs, each idle, and no domains. CPU 0 is selected; the clock stands still
 * but for host_tsc, in ns. */
void guest_machine(unsigned cpus);
/* A domain with `vcpus` vCPUs that are up, but not running. */
struct guest *guest_new(domid_t id, unsigned vcpus, bool privileged);
/* From now on hypercalls on this CPU come from that vCPU (past the scheduler). */
void guest_be(struct guest *g, unsigned vcpu);
/* Nobody is current: the idle vCPU of this CPU. */
void guest_be_idle(void);
/* What happens between a hypercall and the guest: softirqs. */
void guest_exit(void);
/* Ends the domain, continuations and all, and forgets it. */
void guest_kill(struct guest *g);

static inline uint64_t guest_va(unsigned page)
{
    return GUEST_VA + page * PAGE_SIZE;
}
/* The same memory as the test sees it. */
static inline void *guest_page(struct guest *g, unsigned page)
{
    return mfn_to_virt(g->mfn[page]);
}

/* The limit of the grant table of the guests that are made from now on. */
extern unsigned guest_grant_frames;
/* Makes hypercall_preempt() say yes each n-th time, 0: never. */
extern unsigned guest_preempt;

/* The fake map of granted frames, instead of pv/grant_map.c. */
#define GUEST_MAPS 64u
struct guest_map {
    struct domain *d;
    uint64_t va;
    mfn_t m;
    uint32_t flags;
};
extern struct guest_map guest_maps[GUEST_MAPS];
struct guest_map *guest_map_find(struct domain *d, uint64_t va);
extern unsigned guest_map_fail; /* the next so many maps and unmaps fail */
