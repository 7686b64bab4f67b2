/* SPDX-License-Identifier: MIT */
/* A second domain, made by the test with the control hypercalls as libxc would (public domctl.h,
 * sysctl.h, memory.h). It starts as a copy of the test's own image at the same virtual addresses,
 * with page tables and start_info of its own, and runs a function of the test: all of lib/ works
 * there too. Its expectations that fail are failures of the test. The test sees all of its frames
 * through a window. */
#ifndef GUEST_LIB_DOMU_H
#define GUEST_LIB_DOMU_H

#include <stdint.h>
#include <xen/domctl.h>
#include <xen/sysctl.h>
#include "lib/guest.h"

#define DOMU_PAGES_MAX 256

struct domu {
    domid_t id;
    unsigned int nr_pages;
    unsigned long mfn[DOMU_PAGES_MAX];
    unsigned long shared_info; /* its frame */
    unsigned long cr3;         /* frame of its L4 */
    char *view;                /* our window on it, from _kernel_start on; holes when closed */
    bool open;
};

/* One domctl on domain id; *op goes in and out. */
long domctl(struct xen_domctl *op, uint32_t cmd, domid_t id);
/* A domctl without more arguments. */
long domctl_plain(uint32_t cmd, domid_t id);
long sysctl(struct xen_sysctl *op, uint32_t cmd);
/* Pages that no domain has; the second waits until those that come back later have done so. */
uint64_t free_pages(void);
uint64_t free_pages_settled(void);
/* 0, or -XEN_ESRCH when there is no domain of just this number. */
long domain_info(domid_t id, struct xen_domctl_getdomaininfo *info);

/* What createdomain accepts: one vCPU, no devices. */
void domu_config(struct xen_domctl_createdomain *c);
/* An empty domain of that kind, paused, with one vCPU without a context and room for 4 MiB. */
domid_t domu_create_empty(void);
/* n frames of domain id, numbered from pfn 256 on. */
void domu_populate(domid_t id, unsigned long *mfns, unsigned int n);
/* mmu_update of one of our own entries with frames of domain id; the hypercall's result. */
long map_foreign(domid_t id, volatile void *va, unsigned long mfn, uint64_t flags);
/* The registers that domu_create() gives vCPU 0. */
void domu_context(const struct domu *d, void (*start)(void), struct vcpu_guest_context *c);
/* A whole domain that will run start(); still paused. The window is open. */
void domu_create(struct domu *d, void (*start)(void));
/* Closes the window. */
void domu_close(struct domu *d);
/* Where we see its copy of an object of the image. */
#define domu_view(d, p) ((typeof(&*(p)))((d)->view + (UL(p) - UL(_kernel_start))))
/* Lets it run until it has shut down; the reason, or -1 after two seconds. */
long domu_wait(struct domu *d);
/* unpause, domu_wait() and the failures of its expectations. */
long domu_run(struct domu *d);
/* Closes the window and waits until the number of a destroyed domain is free. */
void domu_gone(struct domu *d);
/* Destroys, and domu_gone(). */
void domu_destroy(struct domu *d);

extern char _kernel_start[], _kernel_end[];

#endif
