/* SPDX-License-Identifier: MIT */
/* What sysctl and domctl, the calls of the tools, share. Each operation works on a copy of the
 * caller's structure; `reply` says that it goes back. Both calls hold one lock, which is tried: who
 * does not get it continues later, so no lock is waited for and a window may be opened meanwhile.
 * Public sysctl.h and domctl.h; ABI.md 2.1 and 2.2. */
#pragma once

#include <xen/domctl.h>
#include <xen/sysctl.h>
#include "base/percpu.h"
#include "base/refuse.h"
#include "domain/continuation.h"
#include "domain/guest_copy.h"
#include "hypercall/ops.h"

struct cpu_policy;

/* One tool at a time; false: somebody else has it. */
bool must_check control_enter(void);
void control_leave(void);

/* Putting CPUs into service and out of it: start/cpus.h. [I] NULL: they stay as they are */
struct cpu_service_ops {
    int (*online)(unsigned cpu);
    int (*offline)(unsigned cpu);
};
extern const struct cpu_service_ops *cpu_service_ops;
/* Under the control lock. */
long control_cpu_service(uint32_t cpu, bool online);

/* What the tools know of a domain. */
void control_domain_info(struct domain *d, struct xen_domctl_getdomaininfo *info);
/* XEN_SCHEDULER_*: tools know schedulers by number, and ours by the one with the same parameters.
 */
uint32_t control_sched_id(const struct sched_pool *p);

/* A vCPU of d. -EINVAL: there cannot be one; -ESRCH: not made. */
int must_check control_vcpu(struct domain *d, uint32_t id, struct vcpu **out);

/* Bitmaps of processors (or nodes) in the guest's memory, of any length: what it has no room for is
 * left out, what we do not know of is 0. -EFAULT. */
int must_check control_mask_write(const struct xenctl_bitmap *b, const struct cpu_mask *m);
int must_check control_mask_read(const struct xenctl_bitmap *b, struct cpu_mask *m);

/* The policy as leaves and MSRs, each list only if there is one (`leaves`, `msrs` not 0); the
 * counts are room, then what was (or would be) written. -ENOBUFS, -EFAULT. */
int must_check control_policy_write(const struct cpu_policy *p, uint64_t leaves,
                                    uint32_t *nr_leaves, uint64_t msrs, uint32_t *nr_msrs);
/* The opposite: changes p by the lists. -EFAULT; -ERANGE with the leaf or MSR at fault. */
int must_check control_policy_read(struct cpu_policy *p, struct xen_domctl_cpu_policy *a);

/* ---- sysctl ---- */
typedef long sysctl_fn(struct xen_sysctl *op);
/* sysctl_info.c */
sysctl_fn sysctl_readconsole, sysctl_physinfo, sysctl_getdomaininfolist, sysctl_debug_keys,
    sysctl_availheap;
/* sysctl_cpu.c */
sysctl_fn sysctl_sched_id, sysctl_getcpuinfo, sysctl_cputopoinfo, sysctl_numainfo,
    sysctl_pcitopoinfo, sysctl_scheduler_op, sysctl_get_cpu_featureset, sysctl_get_cpu_policy,
    sysctl_get_cpu_levelling_caps;
/* sysctl_pool.c */
sysctl_fn sysctl_cpupool_op;
/* sysctl_machine.c */
sysctl_fn sysctl_cpu_hotplug, sysctl_page_offline_op, sysctl_pm_op, sysctl_livepatch_op;
/* sysctl_trace.c; the first is trace_half_full's. */
void sysctl_trace_half_full(void);
sysctl_fn sysctl_tbuf_op;

/* ---- domctl ---- */
/* d is the domain that the structure names, with a reference. */
typedef long domctl_fn(struct domain *d, struct xen_domctl *op);
/* domctl_life.c */
domctl_fn domctl_createdomain, domctl_destroydomain, domctl_pausedomain, domctl_unpausedomain,
    domctl_resumedomain, domctl_getdomaininfo, domctl_max_vcpus, domctl_setdomainhandle,
    domctl_settimeoffset, domctl_set_virq_handler, domctl_subscribe;
/* domctl_vcpu.c */
domctl_fn domctl_getvcpuinfo, domctl_setvcpuaffinity, domctl_getvcpuaffinity, domctl_scheduler_op,
    domctl_sendtrigger, domctl_setnodeaffinity, domctl_getnodeaffinity;
/* domctl_context.c */
domctl_fn domctl_setvcpucontext, domctl_getvcpucontext, domctl_set_ext_vcpucontext,
    domctl_get_ext_vcpucontext, domctl_setvcpuextstate, domctl_getvcpuextstate,
    domctl_set_vcpu_msrs, domctl_get_vcpu_msrs;
/* domctl_memory.c */
domctl_fn domctl_max_mem, domctl_getpageframeinfo3, domctl_hypercall_init, domctl_iomem_permission,
    domctl_ioport_permission, domctl_irq_permission, domctl_shadow_op, domctl_memory_mapping,
    domctl_get_paging_mempool_size, domctl_set_paging_mempool_size;
/* domctl_hvm.c */
domctl_fn domctl_gethvmcontext, domctl_sethvmcontext, domctl_gethvmcontext_partial;
/* domctl_cpuid.c */
domctl_fn domctl_get_cpu_policy, domctl_set_cpu_policy, domctl_set_address_size,
    domctl_get_address_size, domctl_settscinfo, domctl_gettscinfo;
