/* SPDX-License-Identifier: MIT */
/* Domains and their vCPUs: what every kind of guest has. The parts of one kind, and the parts that
 * one directory owns, hang here by pointer and are opened in that directory only.
 *
 * Keys: [I] set once at creation; [a] atomic; [p] this CPU's or current vCPU's only; [D] under the
 * domain's lock; [g] shared with the guest, hostile. */
#pragma once

#include <xen/xen.h>
#include <xen/vcpu.h>
#include <xen/sched.h>
#include "base/lock.h"
#include "base/refuse.h"
#include "base/softirq.h"
#include "frame/frame.h"
#include "hw/regs.h"
#include "lib/list.h"
#include "lib/range.h"
#include "sched/sched.h"
#include "time/clock.h"
#include "time/timer.h"

#define MAX_VCPUS    128u                 /* of one domain */
#define LEGACY_VCPUS XEN_LEGACY_MAX_VCPUS /* with a vcpu_info in shared_info */

struct evtchn_table; /* event/ */
struct evtchn_vcpu;  /* event/: FIFO control block and the like */
struct gnttab;       /* grant/ */
struct hvm_domain;   /* hvm/ */
struct p2m;          /* frame/p2m.h */
struct hvm_vcpu;     /* hvm/ */
struct pirq_table;   /* hypercall/ */
struct pv_domain;    /* pv/ */
struct pv_vcpu;      /* pv/ */

enum vcpu_pause_bits { /* why a vCPU does not run: bits of vcpu.pause, [a] */
    VCPU_DOWN_BIT,     /* not brought up, or VCPUOP_down */
    VCPU_BLOCKED_BIT,  /* waits for an event: SCHEDOP_block */
    VCPU_POLLING_BIT,  /* waits in SCHEDOP_poll */
    VCPU_PAUSED_BIT,   /* its domain is paused (any count > 0) or shut down */
    VCPU_CRASHED_BIT,
};

struct vcpu {
    uint32_t id;            /* [I] */
    struct domain *domain;  /* [I] */
    struct sched_unit unit; /* sched/ */
    uint32_t pause;         /* [a] vcpu_pause_bits; runnable iff 0 */
    bool initialised;       /* [D] has a context */

    struct regs regs;       /* registers while it does not run; while it runs they are in
                               cpu_local()->guest: use vcpu_regs() */
    struct vcpu_info *info; /* [D] in the direct map; [g] */
    mfn_t info_mfn;         /* [D] registered frame, INVALID_MFN: in shared_info or nowhere */
    bool info_registered;

    struct evtchn_vcpu *events; /* event/ */
    struct pv_vcpu *pv;         /* pv/; NULL for idle and HVM */
    struct hvm_vcpu *hvm;       /* hvm/; NULL for idle and PV */

    struct lock runstate_lock;          /* RANK_RUNSTATE */
    struct vcpu_runstate_info runstate; /* [RUNSTATE]; from running and to it by its CPU alone */
    uint64_t runstate_va;               /* [p] guest virtual address of its copy, 0: none */
    struct timer singleshot;            /* VCPUOP_set_singleshot_timer, set_timer_op */
    struct timer periodic;              /* VCPUOP_set_periodic_timer */
    uint64_t period;                    /* ns, 0: off */
    struct timer poll_timer;            /* SCHEDOP_poll's time out */
    uint32_t poll_port;                 /* [a] single port polled, 0: any of several */
    uint64_t time_info_va;              /* [p] VCPUOP_register_vcpu_time_memory_area */
    uint32_t pvclock_version;           /* [p] */
    bool areas_stale;                   /* [p] the two areas above could not be written last */
    bool nmi_pending;                   /* [a] VCPUOP_send_nmi */

    /* The hypercall in progress. [p] */
    bool continued; /* a continuation was made: leave rax alone */
    bool in_multicall;
    struct multicall_entry *mc; /* the copy of the entry being executed */
    struct refuse_ring refusals;
};

/* The time stamp counter as the domain sees it: XEN_DOMCTL_settscinfo. */
struct domain_tsc {
    bool emulated; /* else the processor's; the rest says how it counts */
    uint32_t mode, incarnation;
    uint32_t khz;            /* 0: never set, the processor's */
    uint64_t zero_ns;        /* system time when it was 0 */
    uint64_t per_ns_32;      /* ticks a ns, times 2^32 */
    struct time_scale scale; /* back to ns: mul and shift */
};

enum domain_state {
    DOMAIN_ALIVE,
    DOMAIN_DYING, /* teardown goes on */
    DOMAIN_DEAD,  /* torn down; frames may still be mapped by others */
};

/* SCHEDOP_watchdog: shuts the domain down if it is not set anew in time. */
#define DOMAIN_WATCHDOGS 2u
struct domain_watchdog {
    struct timer timer;
    struct domain *domain; /* [D] */
    bool used;             /* [D] */
    bool armed;            /* [a] the timer holds a reference to the domain */
};

struct domain {
    struct list link;          /* [DOMLIST] ascending id; unlinked: not in the list */
    struct domain *same_hash;  /* [DOMLIST] the next with the same hash of its number */
    domid_t id;                /* [I] */
    enum domain_state state;   /* [D] */
    uint32_t refs;             /* [a] freed at 0 */
    struct lock lock;          /* RANK_DOMAIN: [D] */
    struct frame_owner memory; /* frame/ */
    struct task empty_task;    /* runs when `memory` is empty; holds a reference while queued */

    struct sched_group sched; /* sched/: weight, cap, CPU pool */
    struct vcpu **vcpu;       /* [I] max_vcpus pointers, NULL until made */
    uint32_t max_vcpus;       /* [I] */
    bool privileged;          /* [I] may control others */
    bool hardware;            /* [I] owns the devices: domain 0 */
    bool hvm;                 /* [I] */

    struct shared_info *shared_info; /* [I] a shared heap page; [g] */
    struct evtchn_table *events;     /* [I] event/ */
    struct gnttab *grants;           /* [I] grant/ */
    struct pirq_table *pirqs;        /* [I] hypercall/pirq.c */
    struct pv_domain *pv;            /* [I] pv/ */
    struct hvm_domain *hvm_domain;   /* [I] hvm/ */
    struct p2m *p2m;                 /* [I] of a fully virtual domain, else NULL */

    uint32_t pause_count;          /* [D] by controllers */
    bool shutting_down, shut_down; /* [D] */
    uint8_t shutdown_code;         /* [D] SHUTDOWN_* */
    uint32_t suspend_port;         /* [D] its event channel that says "suspended", 0: none */
    bool created;                  /* [D] ran already: its CPU policy stays */
    uint64_t vm_assist;            /* [a] bit n: VMASST_TYPE n */
    struct domain_tsc tsc;         /* [D] changed only while it is paused */
    void *memory_map;              /* [D] XENMEM_set_memory_map: E820 entries, in the heap */
    uint32_t memory_map_entries;   /* [D] */
    struct domain_watchdog watchdog[DOMAIN_WATCHDOGS];
    xen_domain_handle_t handle; /* [D] */
    int64_t time_offset_s;      /* [D] of its wall clock */

    struct range_set ioports, iomem, irqs; /* [D] what the domain may touch; iomem in frames */
};

/* ---- finding ---- */

extern struct domain *domain0;
extern struct list domain_list; /* [DOMLIST] nobody else walks it: for_each_domain() */
/* Puts d in the list, or takes it out. -EEXIST: one of that number is there. For domain.c, and for
 * tests that make domains by hand. */
int must_check domain_list_add(struct domain *d);
void domain_list_del(struct domain *d);
/* Empties it, for a new machine in host tests. */
void domain_list_reset(void);

static always_inline struct vcpu *current(void)
{
    return cpu_local()->current;
}

static inline bool vcpu_is_idle(const struct vcpu *v)
{
    return v->unit.idle;
}

/* The registers of v, which is current or does not run. */
static inline struct regs *vcpu_regs(struct vcpu *v)
{
    return v == current() ? &cpu_local()->guest : &v->regs;
}

/* A reference to the domain, NULL if there is none with that number. DOMID_SELF: the caller's. */
struct domain *domain_get(domid_t id);
/* The same for the lowest number that is not below `id`. */
struct domain *domain_get_from(domid_t id);
void domain_put(struct domain *d);
/* The first domain (NULL), or the one that follows `d`, with a reference, and without d's. */
struct domain *domain_next(struct domain *d);

/* All domains in the order of their numbers, each with a reference while it has its turn. Domains
 * may come and go meanwhile. No lock of RANK_DOMLIST or higher rank is held, and who leaves the
 * loop early has d to put. */
#define for_each_domain(d) for ((d) = domain_next(NULL); (d); (d) = domain_next(d))
/* All vCPUs that were made; `v` is NULL where not. */
#define for_each_vcpu(d, v)                          \
    for (unsigned i_ = 0; i_ < (d)->max_vcpus; i_++) \
        if (((v) = (d)->vcpu[i_]) != NULL)

/* ---- life ---- */

struct domain_config {
    domid_t id;
    bool privileged, hardware, hvm;
    uint32_t max_vcpus;
    uint32_t max_evtchn_port;
    uint32_t max_grant_frames, max_maptrack_frames, max_grant_version;
    uint32_t emulated; /* fully virtual: its chips, XEN_X86_EMU_* */
    xen_domain_handle_t handle;
};
/* -ENOMEM, -EINVAL, -EEXIST. The domain is paused once and has no vCPUs. */
int must_check domain_create(const struct domain_config *c, struct domain **out);
int must_check vcpu_create(struct domain *d, unsigned id, struct vcpu **out);
/* Tears down; -ERESTART: call again. */
int must_check domain_destroy(struct domain *d);

void domain_pause(struct domain *d);             /* counted; waits until no vCPU runs */
int must_check domain_unpause(struct domain *d); /* -EINVAL below zero */
/* The domain is paused or shut down: waits until none of its vCPUs but the caller's runs. No lock.
 */
void domain_wait_stopped(struct domain *d);
/* A domain that shut down goes on: after a suspension that was called off. */
void domain_resume(struct domain *d);
/* The guest shut down or crashed: all its vCPUs stop; domain 0: the machine does. */
void domain_shutdown(struct domain *d, uint8_t code);
/* Ends a guest that did what cannot be answered. One line with the reason, registers at
 * guest_loglvl=debug. The vCPU does not run guest code again; the caller returns normally. */
void domain_crash(struct domain *d, const char *fmt, ...) printf_like(2, 3);

/* ---- the parts of other layers ---- */

/* A part of every domain (event channels, grants) or of one kind (paravirtual): its directory makes
 * and unmakes it. Each function may be NULL. */
struct domain_part {
    const char *name;
    int (*domain_init)(struct domain *d, const struct domain_config *c);
    int (*vcpu_init)(struct vcpu *v);
    /* Gives up what it holds of the guest's or of others; -ERESTART: call again. */
    int (*domain_release)(struct domain *d);
    void (*vcpu_free)(struct vcpu *v);
    void (*domain_free)(struct domain *d);
};
#define DOMAIN_PARTS 8
/* In the order of making; released in the same order, freed in the opposite. [I] */
extern const struct domain_part *domain_parts[DOMAIN_PARTS];

/* What a kind of guest does when a vCPU enters and leaves a CPU. [I] */
struct guest_switch_ops {
    void (*from)(struct vcpu *v);
    void (*to)(struct vcpu *v); /* v is current, its registers are in cpu_local()->guest */
    /* cr3 and so on for a CPU that has nothing to run. */
    void (*idle)(void);
};
extern const struct guest_switch_ops *guest_switch_ops;

/* What the machine does when domain 0 shuts down (SHUTDOWN_*); does not return. [I] */
extern void (*domain_machine_shutdown)(uint8_t code);
/* Registers, stack and page-table walk of a crashed vCPU, by its kind. [I] may be NULL */
extern void (*domain_crash_dump)(struct vcpu *v);
/* The domain is suspended: says so on d's event channel `port`. [I] may be NULL */
extern void (*domain_suspended)(struct domain *d, uint32_t port);
/* Sent to whoever watches domains end: VIRQ_DOM_EXC. [I] may be NULL */
extern void (*domain_state_changed)(void);

/* Nanoseconds that CPU `cpu` had nothing to run. */
uint64_t domain_idle_time(unsigned cpu);

/* Start-up: the idle vCPU of this CPU becomes current; the scheduler's hooks. */
void domain_init(void);
void domain_cpu_init(void);

/* The frame that d calls `gfn` (a paravirtual domain: the machine frame itself), with a reference
 * and, with `write`, a use as writable, which frame_put() or frame_put_writable() gives back:
 * -EINVAL, -EBUSY. */
int must_check domain_get_frame(struct domain *d, uint64_t gfn, bool write, mfn_t *m);
static inline int must_check domain_get_writable(struct domain *d, uint64_t gfn, mfn_t *m)
{
    return domain_get_frame(d, gfn, true, m);
}

/* ---- device memory (device_memory.c) ---- */

/* From now on guests may only map frames first..last read-only; -ENOSPC. And the opposite. */
int must_check domain_iomem_protect(mfn_t first, mfn_t last);
void domain_iomem_unprotect(mfn_t first, mfn_t last);
bool domain_iomem_protected(mfn_t m);

/* ---- time stamp counter ---- */

/* It counts from `elapsed_ns` on with `khz` (0: as usual), emulated or not. d is paused. */
void domain_tsc_set(struct domain *d, bool emulated, uint32_t khz, uint64_t elapsed_ns);
/* Its value at system time `ns`, if it is emulated. */
static inline uint64_t domain_tsc_at(const struct domain *d, uint64_t ns)
{
    return (uint64_t)((unsigned __int128)(ns - d->tsc.zero_ns) * d->tsc.per_ns_32 >> 32);
}

/* ---- vCPU states ---- */

/* Sets or clears a reason not to run, and tells the scheduler. */
void vcpu_pause_set(struct vcpu *v, enum vcpu_pause_bits bit);
void vcpu_pause_clear(struct vcpu *v, enum vcpu_pause_bits bit);
static inline bool vcpu_is_up(const struct vcpu *v)
{
    return !(__atomic_load_n(&v->pause, __ATOMIC_SEQ_CST) & BIT(VCPU_DOWN_BIT));
}
/* Takes v down until another vCPU brings it up. After the last nobody could: the domain is off. */
void vcpu_down(struct vcpu *v);
/* Something happened for v: ends block or poll, and interrupts the CPU where it runs. */
void vcpu_kick(struct vcpu *v);
/* The same when an event channel became pending; a fully virtual guest may want an interrupt of its
 * local APIC for it. */
void vcpu_wake_for_event(struct vcpu *v);
extern void (*vcpu_upcall_hvm)(struct vcpu *v); /* [I] hvm/'s */
/* Is an event pending that v's mask lets through? */
bool vcpu_event_pending(const struct vcpu *v);

/* v enters this CPU, or leaves it for the state that its reasons not to run give. */
void vcpu_runstate_enter(struct vcpu *v);
void vcpu_runstate_leave(struct vcpu *v);
/* A copy of one moment, without holes; the returned system time is that moment. */
uint64_t vcpu_runstate_get(struct vcpu *v, struct vcpu_runstate_info *r);
/* Nanoseconds that v ran until now. */
uint64_t vcpu_run_time(struct vcpu *v);
/* Writes pvclock into v's vcpu_info and registered area; v is current. */
void vcpu_time_update(struct vcpu *v);
/* The areas at virtual addresses are the guest kernel's, and cannot be written while the page
 * tables of its user mode are loaded: called for areas_stale when those of its kernel are. v is
 * current. */
void vcpu_areas_update(struct vcpu *v);
void domain_wallclock_update(struct domain *d);
