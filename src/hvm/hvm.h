/* SPDX-License-Identifier: MIT */
/* Fully virtual guests: the state that only they have, what this directory offers to the layers
 * above, and what it asks of the processor's virtualisation: `struct hvm_ops`, the one seam between
 * it and AMD-V (svm/). Nothing here knows a vendor.
 *
 * The life of a stay: hvm_loop() does pending work, gives the guest what waits for it
 * (hvm/inject.c), and calls ops->run. That enters the guest and comes back when the processor left
 * it; the back end says what happened by the functions below (hvm_cpuid_exit, hvm_hypercall, ...),
 * and the loop begins anew. A vCPU's general registers, rip, rsp, rflags and rax are in
 * cpu_local()->guest between stays, as those of every guest; the rest is the back end's. */
#pragma once

#include "cpu/policy.h"
#include "devices/vlapic.h"
#include "domain/domain.h"
#include "emulate/emulate.h"
#include "frame/p2m.h"

#include <xen/hvm/params.h>

/* Segments by number: enum emul_seg, and these. */
#define HVM_SEG_GDTR 6u
#define HVM_SEG_LDTR 7u
#define HVM_SEG_IDTR 8u
#define HVM_SEG_TR   9u
#define HVM_SEGS     10u

enum hvm_event_type {
    HVM_EVENT_NONE,
    HVM_EVENT_INTERRUPT,
    HVM_EVENT_NMI,
    HVM_EVENT_EXCEPTION,
    HVM_EVENT_SOFT, /* INT n: rip is behind the instruction */
};

struct hvm_event {
    enum hvm_event_type type;
    uint8_t vector;
    bool has_error;
    uint32_t error;
};

struct svm_vcpu;  /* svm/ */
struct hvm_chips; /* hvm/chips.h */

#define HVM_MTRR_FIXED 11u
#define HVM_MTRR_VAR   16u /* registers: eight ranges */

/* [p] except where said: touched by the vCPU itself, or while it does not run. */
struct hvm_vcpu {
    struct svm_vcpu *svm; /* [I] the back end's */

    /* As the guest wrote them; what the processor gets may differ (hvm/control.c). */
    uint64_t cr0, cr4, efer;
    uint64_t dr[4]; /* while not loaded */

    struct hvm_event pending; /* to be delivered first at the next entry */
    bool nmi_masked;          /* until its handler's IRET */
    bool shut_down;           /* a triple fault was reported */
    bool init_pending;        /* [a] an INIT has come */
    bool wait_for_sipi;       /* [a] stopped until a SIPI comes */
    uint32_t sipi;            /* [a] its vector and SIPI_CAME */
    uint8_t upcall_vector;    /* HVMOP_set_evtchn_upcall_vector, 0: none */

    struct vlapic lapic;

    struct xstate *xstate;
    uint64_t xcr0, xcr0_accum;
    uint64_t tsc_aux;
    uint64_t mtrr_def, mtrr_fixed[HVM_MTRR_FIXED], mtrr_var[HVM_MTRR_VAR];
};

struct hvm_domain {
    struct p2m p2m; /* domain.p2m points here */
    struct cpu_policy *policy;
    uint64_t param[HVM_NR_PARAMS]; /* [D] */
    uint32_t emulated;             /* [I] XEN_X86_EMU_* */
    struct hvm_chips *chips;       /* [I] hvm/chips.h, NULL: none but local APICs */
};

/* ---- what a back end does; v is current unless said otherwise ---- */
struct hvm_ops {
    const char *name;
    /* Its part of a vCPU, in the state after reset. -ENOMEM. v does not run. */
    int (*vcpu_init)(struct vcpu *v);
    void (*vcpu_free)(struct vcpu *v);
    /* Back to the state after reset. v does not run. */
    void (*reset)(struct vcpu *v);
    /* v comes to this CPU, and leaves it. */
    void (*load)(struct vcpu *v);
    void (*save)(struct vcpu *v);
    /* One stay, and telling of its end. */
    void (*run)(struct vcpu *v);

    /* State: of v, current or not running. Segments by number, attributes as struct emul_segment.
     */
    void (*get_segment)(const struct vcpu *v, unsigned seg, struct emul_segment *s);
    void (*set_segment)(struct vcpu *v, unsigned seg, const struct emul_segment *s);
    uint64_t (*get_cr)(const struct vcpu *v, unsigned nr); /* 2, 3 */
    void (*set_cr)(struct vcpu *v, unsigned nr, uint64_t val);
    uint64_t (*get_dr)(const struct vcpu *v, unsigned nr); /* 6, 7 */
    void (*set_dr)(struct vcpu *v, unsigned nr, uint64_t val);
    uint8_t (*get_cpl)(const struct vcpu *v);
    /* cr0, cr4 and efer of struct hvm_vcpu have changed. */
    void (*update_control)(struct vcpu *v);
    /* MSRs that the processor switches: false: not one of them. */
    bool (*get_msr)(const struct vcpu *v, uint32_t index, uint64_t *val);
    bool (*set_msr)(struct vcpu *v, uint32_t index, uint64_t val);

    /* Could an interrupt (an NMI) be delivered at the next entry? */
    bool (*can_take)(const struct vcpu *v, enum hvm_event_type t);
    /* Is delivered at the next entry, before the first instruction. */
    void (*inject)(struct vcpu *v, const struct hvm_event *e);
    /* The priority that the guest starts with as CR8; `watch`: leave the guest when it writes it,
     * else run() tells the local APIC what it has become. */
    void (*set_tpr)(struct vcpu *v, uint8_t tpr, bool watch);
    /* Leave the guest as soon as it could take an interrupt; NMI: after its IRET. */
    void (*request_window)(struct vcpu *v, enum hvm_event_type t);
};
/* [I] NULL: this machine has no fully virtual guests. */
extern const struct hvm_ops *hvm_ops;

/* ---- life (hvm/domain.c) ---- */
extern const struct domain_part hvm_part;
/* The registers of a PVH guest's first vCPU (public arch-x86/hvm/start_info.h): 32-bit protected
 * mode without paging, at `entry`, with the address of the start info in ebx. */
void hvm_vcpu_reset(struct vcpu *v); /* as after INIT; v is between stays, or does not run */
void hvm_vcpu_start_pvh(struct vcpu *v, uint32_t entry, uint32_t start_info);

/* ---- running (hvm/run.c) ---- */
void hvm_switch_to(struct vcpu *v);
void hvm_switch_from(struct vcpu *v);
noreturn void hvm_loop(void);

/* ---- ends of a stay (hvm/exit.c); each moves rip on itself where the guest is to go on ---- */
void hvm_cpuid_exit(struct vcpu *v);
void hvm_msr_exit(struct vcpu *v, bool write);
void hvm_halt_exit(struct vcpu *v);
void hvm_port_exit(struct vcpu *v, uint16_t port, unsigned bytes, bool in);
void hvm_xsetbv_exit(struct vcpu *v);
void hvm_hypercall_exit(struct vcpu *v);
/* An access to guest-physical `gpa` for which nested tables have no entry. */
void hvm_memory_exit(struct vcpu *v, uint64_t gpa, bool write);
void hvm_triple_fault(struct vcpu *v);
/* Executes the guest's present instruction: accesses to devices, control registers, strings of
 * ports. */
void hvm_emulate(struct vcpu *v);

/* ---- events (hvm/inject.c) ---- */
void hvm_inject_exception(struct vcpu *v, uint8_t vector, uint32_t error);
void hvm_inject_page_fault(struct vcpu *v, uint64_t cr2, uint32_t error);
/* Before an entry: the most urgent thing that waits. */
void hvm_deliver(struct vcpu *v);

/* Is there something for v to wake up for? */
bool hvm_event_waits(const struct vcpu *v);
/* An event channel of v is pending: what it takes besides waking it. */
void hvm_upcall(struct vcpu *v);

/* ---- interrupts between vCPUs (hvm/ipi.c) ---- */
extern const struct vlapic_ops hvm_lapic_ops;
/* One message, as the low half of an ICR says it. */
void hvm_message(struct vcpu *v, uint32_t icr);
/* To whom a destination matches; of lowest priority: to one. False: to nobody that takes
 * interrupts. */
bool hvm_ipi(struct domain *d, uint32_t icr, uint32_t dest);
/* v, current, has an INIT pending or waits for its SIPI: it stops, or starts. */
void hvm_take_init(struct vcpu *v);

/* ---- control registers (hvm/control.c): 0, or -EPERM: #GP ---- */
int must_check hvm_write_cr0(struct vcpu *v, uint64_t val);
int must_check hvm_write_cr3(struct vcpu *v, uint64_t val);
int must_check hvm_write_cr4(struct vcpu *v, uint64_t val);
int must_check hvm_write_efer(struct vcpu *v, uint64_t val);
int must_check hvm_xsetbv(struct vcpu *v, uint64_t val);
/* Would v's registers of these values be such as a guest can reach? -EINVAL. v does not run. */
int must_check hvm_check_control(const struct vcpu *v, uint64_t cr0, uint64_t cr3, uint64_t cr4,
                                 uint64_t efer);
/* Width of the code segment: 16, 32, 64. */
uint8_t hvm_code_bits(const struct vcpu *v);

/* ---- MSRs and CPUID: 0, or -EPERM: #GP ---- */
int must_check hvm_rdmsr(struct vcpu *v, uint32_t index, uint64_t *val);
int must_check hvm_wrmsr(struct vcpu *v, uint32_t index, uint64_t val);
struct cpuid_leaf hvm_cpuid(struct vcpu *v, uint32_t leaf, uint32_t subleaf);

/* ---- memory (hvm/memory.c) ---- */
#define HVM_WALK_WRITE 1u
#define HVM_WALK_USER  2u
#define HVM_WALK_FETCH 4u
/* The guest-physical address behind linear `va` by v's page tables, accessed and dirty bits set as
 * the processor would: 0; -EFAULT with the error code of the page fault. */
int must_check hvm_translate(struct vcpu *v, uint64_t va, unsigned how, uint64_t *gpa,
                             uint32_t *error);
/* Guest-physical memory, not beyond its page: -EFAULT where there is no RAM (or not writable). */
int must_check hvm_read_physical(struct domain *d, uint64_t gpa, void *dst, size_t n);
int must_check hvm_write_physical(struct domain *d, uint64_t gpa, const void *src, size_t n);
/* What guest_copy.h uses for hypercall arguments: bytes NOT copied. */
extern const struct guest_memory_ops hvm_guest_memory;

/* ---- state as records (hvm/context.c; public hvm/save.h); d is paused ---- */
/* All of d's records, one after the other with their descriptors, into buf (NULL: count): bytes. */
size_t hvm_context_get(struct domain *d, void *buf);
/* Checks all records in buf, then takes them over. -EINVAL: nothing was. */
int must_check hvm_context_set(struct domain *d, const void *buf, size_t bytes);

/* The same registers in the form of paravirtual guests, for tools that look or change a result: of
 * what comes in, general registers, rip and flags are taken. v does not run. */
struct vcpu_guest_context;
void hvm_vcpu_get_context(const struct vcpu *v, struct vcpu_guest_context *c);
void hvm_vcpu_set_context(struct vcpu *v, const struct vcpu_guest_context *c);

/* The hypercall page (MSR): one slot of 32 bytes for each. */
void hvm_hypercall_page_fill(void *page);

/* hypercall/'s: executes the call in the registers of the current vCPU; [I] set by start/. */
extern long (*hvm_hypercall_call)(uint64_t op, const uint64_t args[6]);
