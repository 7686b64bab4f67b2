/* SPDX-License-Identifier: MIT */
/* A world of whole domains for simulations: made of all their parts by the real code, scheduled by
 * the real scheduler on simulated CPUs, their kernels being what the world_do_* tables say. A call
 * goes by its number through the hypercall table, with arguments in the guest's memory; then comes
 * what an exit does: softirqs, events. In windows and at preemption points other CPUs make calls.
 *
 * A domain's frames are mapped at pvg_va(pfn). A guest may ruin itself: who cannot make calls any
 * more, crashed or shut down, is destroyed and another takes its place. */
#pragma once

#include "domain/domain.h"
#include "driver.h"
#include "lib/errno.h"
#include "machine.h"
#include "pvguest.h"

#define WORLD_DOMS   4u /* number 0 is domain 0 */
#define WORLD_CPUS   3u
#define WORLD_VCPUS  3u
#define WORLD_FRAMES 192u

enum world_pfn {
    PFN_L4,
    PFN_L3,
    PFN_L2,
    PFN_L1,
    PFN_USER_L4,
    PFN_STACK,
    PFN_CODE,
    PFN_ARG,                              /* two pages each vCPU: structures, and lists */
    PFN_FREE = PFN_ARG + 2 * WORLD_VCPUS, /* what may be spoilt */
    PFN_SPOIL_END = PFN_FREE + 24,        /* mostly these */
};

struct world_dom {
    struct domain *d; /* with a reference; NULL: none */
    mfn_t mfn[WORLD_FRAMES];
    struct {
        uint32_t handle;
        uint64_t at, dev;
    } map[24]; /* grants that it mapped */
    unsigned maps;
    struct { /* a call that was stopped half way, by vCPU */
        bool waits;
    } call[WORLD_VCPUS];
};

extern struct world_dom world[WORLD_DOMS];
extern struct world_dom world_hvm;    /* the fully virtual one: d alone */
extern __thread struct world_dom *me; /* whose vCPU is current */

/* CPUs are threads: what this program knows of a domain may be wrong the next moment, so it judges
 * only at rest. */
extern bool world_parallel;
#define world_flaw(...)                          \
    do {                                         \
        if (!world_parallel && !world_elsewhere) \
            sim_flaw(__VA_ARGS__);               \
    } while (0)
/* An argument of this step was to be read from any address: what the call did is not known. */
extern __thread bool world_elsewhere;

/* ---- choices ---- */
static inline bool chance(unsigned n)
{
    return pvg_random(n) == 0;
}
struct world_dom *any_dom(void);
/* Mostly a valid number of another domain, DOMID_SELF and nonsense at times. */
domid_t any_domid(void);
/* The domain that domain 0 is making, or 0. */
domid_t world_nursery(void);
unsigned any_pfn(void);
mfn_t any_mfn(struct world_dom *of);
/* Of a frame's words: mostly the first few. */
unsigned any_index(void);
uint64_t any_u64(void);
uint64_t any_flags(void);
uint64_t any_va(void);
/* n bytes of nonsense. */
void scramble(void *p, size_t n);

/* ---- the kernel that runs ---- */
/* Puts n bytes into the argument page; their address. A new call begins at its start. */
uint64_t put(const void *p, size_t n);
/* The same in the second page. */
uint64_t put_list(const void *p, size_t n);
void *list_page(void);
void *arg_at(uint64_t va);
/* How many there were, without those in multicalls. */
extern unsigned long world_calls;
long hcall(unsigned op, uint64_t a0, uint64_t a1, uint64_t a2, uint64_t a3);
/* The way out to the guest, here and now. */
void world_exit(void);
/* A call again that was stopped: the guest executes the instruction again. */
long hcall_again(void);
mfn_t world_l1e_mfn(struct world_dom *w, unsigned pfn);
uint64_t *world_l1e(struct world_dom *w, unsigned pfn);
/* As make_plain in random.c: the page is a plain writable one. */
bool make_plain(unsigned pfn);
/* A new frame at pfn, by populate_physmap. */
bool refresh(unsigned pfn);

/* ---- the world ---- */
void world_begin(void);
/* Who is dead is destroyed, and others take their places; nobody else does anything meanwhile. */
void world_revive(void);
/* How flushes and waits are served while one thread plays all CPUs; called by world_begin(). */
void world_alone(void);
/* All domains go, and others come. */
void world_again(void);
void world_end(void);
void world_audit(void);
/* Does d map m by a grant? */
bool world_still_granted(const struct domain *d, mfn_t m);
/* A CPU whose vCPU can make calls: true. */
bool world_choose(void);
/* What a CPU that runs meanwhile does: set by the program. */
extern void (*world_meanwhile)(void);
/* Of calls that others make in the middle of one. Such a one may not wait for its outer one. */
extern __thread unsigned world_depth;
/* Allocations may fail now. */
extern __thread bool world_may_fail;
/* world_heap.c: how many objects of the heap are out; `say` tells of those that are not old. */
unsigned world_heap_out(bool say);
void world_heap_reset(void);
void world_heap_old(void);

/* The room whose kind of call all CPUs mostly make, as world_step.c numbers them, or none of these:
 * so they meet. */
extern unsigned world_focus;
/* One step of the CPU's kernel, of any kind; and figures of all steps. */
void world_step(void);
void world_report(void);

struct world_kind {
    const char *name;
    long (*run)(void);
    unsigned weight;
};
/* Each ends with a weight of 0. */
extern const struct world_kind world_memory_kinds[], world_grant_kinds[], world_event_kinds[],
    world_control_kinds[], world_cpu_kinds[], world_tools_kinds[], world_hvm_kinds[],
    world_emulate_kinds[];
/* What runs is user mode: one exception or system call of it. */
void world_user_step(void);

/* ---- devices (world_devices.c) ---- */
#define WORLD_PCI_DEVICES 3u /* 00:01.0 and so on */
#define WORLD_MSIX_TABLE  0xfe000000u
bool world_devices(void);
/* EFI's system table is there; 0: it is not, 2: it is none. */
void world_efi(unsigned how);
/* Something interrupts this CPU. */
void world_interrupt(void);
/* All domains are gone: so goes what domain 0 told of the machine. */
void world_devices_forget(void);

/* ---- the fully virtual domain (world_hvm.c) ---- */
void world_hvm_machine(void);
bool world_hvm_live(domid_t id);
/* Its vCPU is current: one call. */
void world_hvm_step(void);
