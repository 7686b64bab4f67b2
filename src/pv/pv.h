/* SPDX-License-Identifier: MIT */
/* Paravirtual guests: the state that only they have, and what the files of this directory offer to
 * one another and to the layers above. 64-bit guests: kernel and user both run in ring 3, each on
 * page tables of its own. ABI.md 3; public arch-x86/xen.h and xen-x86_64.h. */
#pragma once

#include "domain/domain.h"
#include "hw/desc.h"

struct pv_callback {
    uint64_t address; /* 0: none */
    bool mask_events;
};

struct pv_trap {
    uint64_t address; /* 0: none */
    uint16_t cs;
    uint8_t dpl;
    bool mask_events;
} packed aligned(4); /* so that 256 of them and the rest fit in a page */

/* [p] except where said: touched by the vCPU itself, or while it does not run. */
struct pv_vcpu {
    bool in_kernel;  /* guest kernel mode: which page tables, which GS base, which stack */
    bool ts;         /* guest's view of CR0.TS */
    uint8_t iopl;    /* virtual, 0-3 */
    bool nmi_masked; /* until iret */

    mfn_t kernel_l4; /* typed and referenced; what cr3 holds in kernel mode */
    mfn_t user_l4;   /* the same in user mode; INVALID_MFN: none */

    uint64_t kernel_sp; /* stack_switch */
    uint16_t kernel_ss;
    struct pv_callback event, failsafe, syscall, syscall32, sysenter, nmi;
    struct pv_trap trap[256];

    mfn_t gdt_frame[GDT_GUEST_FRAMES]; /* typed SEGDESC; INVALID_MFN beyond gdt_entries */
    uint16_t gdt_entries;
    uint64_t ldt_base;    /* guest virtual */
    uint16_t ldt_entries; /* 0: no LDT */
    mfn_t ldt_frame[16];  /* typed SEGDESC, mapped on first use; INVALID_MFN: not mapped */

    uint16_t ds, es, fs, gs; /* while off CPU */
    uint64_t fs_base;
    uint64_t gs_base_kernel, gs_base_user; /* while off CPU; on CPU: GS_BASE and KERNEL_GS_BASE,
                                              the active one in GS_BASE */
    uint64_t cr4;                          /* guest's view of the bits it controls */
    uint64_t dr[4], dr6, dr7;
    uint64_t dr7_emul; /* I/O breakpoints: emulated accesses only */

    uint64_t iobmp; /* guest virtual address of the I/O bitmap, 0: none */
    uint32_t iobmp_ports;

    struct xstate *xstate; /* cpu/xstate.h; saved extended state while not loaded */
    uint64_t xcr0, xcr0_accum;
    uint64_t msr_misc_features, msr_spec_ctrl, msr_tsc_aux; /* guest's values */
    uint32_t dr_mask[4];      /* AMD: which address bits DR0-3 ignore */
    bool io_breakpoint_hit;   /* the access being emulated met one of dr7_emul */
    bool failsafe_pending;    /* selectors that could not be loaded: tell the guest on exit */
    uint16_t failsafe_sel[4]; /* ds, es, fs, gs as they should have been */
    int context_refused;      /* a context was, for this reason; its tables are being given up */
};

struct pv_domain {
    uint64_t *perdomain_l3; /* the domain's slot L4_PERDOMAIN: GDT and LDT windows of each vCPU */
    mfn_t perdomain_mfn;
    struct lock mmu;           /* RANK_PV */
    struct cpu_policy *policy; /* cpu/policy.h: what CPUID and MSRs show */
    bool msr_relaxed;          /* unknown MSRs read 0 and ignore writes */
    bool cpuid_faulting;       /* CPUID of its user space faults too */
    uint32_t cf8;              /* [a] PCI configuration address latched by the domain */
    uint8_t cmos_index;        /* [a] */
    struct lock chip;          /* RANK_CHIP: the PIT that the domain sees */
    struct pv_pit *pit;        /* pv/pit.c; NULL unless it drives devices */
};

/* Per-vCPU window in slot L4_PERDOMAIN: 16 pages of GDT (14 of the guest, Argon's own at 14), then
 * 16 of LDT. */
#define PERDOMAIN_VCPU_PAGES 32u
static inline uint64_t pv_gdt_va(const struct vcpu *v)
{
    return HW_VA_PERDOMAIN + v->id * (PERDOMAIN_VCPU_PAGES * PAGE_SIZE);
}
static inline uint64_t pv_ldt_va(const struct vcpu *v)
{
    return pv_gdt_va(v) + 16 * PAGE_SIZE;
}

/* ---- life (pv/domain.c) ---- */
extern const struct domain_part pv_part;
/* pv/perdomain.c: makes the slot L4_PERDOMAIN, v's window in it, and frees all; -ENOMEM. */
int must_check pv_perdomain_init(struct domain *d);
int must_check pv_perdomain_vcpu_init(struct vcpu *v);
void pv_perdomain_free(struct domain *d);
/* Sets the PERDOMAIN window's entry `page` (0-31) of v; flushing is the caller's. */
void pv_perdomain_set(struct vcpu *v, unsigned page, uint64_t pte);

/* ---- contexts (pv/context.c): v does not run; those that change it, under [D] ---- */
/* setvcpucontext, VCPUOP_initialise and the builder: checks and takes a whole context. cr3 in the
 * context is in public format. -EINVAL, -EBUSY; -EOPNOTSUPP: other tables than those of a vCPU that
 * has a context; -ERESTART: call again. All but the last leave v as it was. */
int must_check pv_vcpu_set_context(struct vcpu *v, const struct vcpu_guest_context *c);
/* The same back, for getvcpucontext. */
void pv_vcpu_get_context(struct vcpu *v, struct vcpu_guest_context *c);
/* Takes the context away: no page tables, no handlers. -ERESTART: call again. */
int must_check pv_vcpu_reset(struct vcpu *v);
struct xen_domctl_ext_vcpucontext;
void pv_vcpu_get_ext(struct vcpu *v, struct xen_domctl_ext_vcpucontext *e);
int must_check pv_vcpu_set_ext(struct vcpu *v, const struct xen_domctl_ext_vcpucontext *e);
/* Extended state as getvcpuextstate hands it out: the image is a standard XSAVE area. */
struct pv_xstate {
    uint64_t xcr0, xcr0_accum;
    uint8_t image[];
};
/* Bytes of v's; 0: it cannot have any beside its context's. */
size_t pv_vcpu_xstate_size(const struct vcpu *v);
uint64_t pv_vcpu_xstate_mask(const struct vcpu *v); /* components that v may enable */
void pv_vcpu_get_xstate(const struct vcpu *v, struct pv_xstate *x);
/* `size` bytes in all, 16 or more. -EINVAL: not a state of v, which stays as it is. */
int must_check pv_vcpu_set_xstate(struct vcpu *v, const struct pv_xstate *x, size_t size);
/* MSRs that v keeps and that are not 0, at most PV_MSRS; and back: all, or -EINVAL with *n the one
 * at fault. */
#define PV_MSRS 7u
struct xen_domctl_vcpu_msr;
unsigned pv_vcpu_get_msrs(struct vcpu *v, struct xen_domctl_vcpu_msr *msrs);
int must_check pv_vcpu_set_msrs(struct vcpu *v, const struct xen_domctl_vcpu_msr *msrs,
                                unsigned *n);

/* ---- context switch (pv/switch.c): hardware <-> struct pv_vcpu; interrupts off ---- */
void pv_switch_from(struct vcpu *v); /* saves selectors, bases, debug registers, extended state */
void pv_switch_to(struct vcpu *v);   /* GDT, LDT, cr3, cr4, selectors (failsafe), bases, dr */
void pv_switch_idle(void);           /* nothing runs here: the hypervisor's own cr3 */
/* Kernel to user or back: the other GS base and the other L4. v is current. */
void pv_toggle_mode(struct vcpu *v);
/* cr3 for the mode the vCPU is in; loads it (flushes non-global entries). */
void pv_load_cr3(struct vcpu *v);

/* ---- exceptions and events into the guest (pv/bounce.c) ---- */
/* Enters the guest's handler for `vector`: builds the frame on its stack now. Crashes the domain if
 * there is no handler or no stack. `error` is used where the vector has one. */
void pv_inject_trap(struct vcpu *v, unsigned vector, uint32_t error);
void pv_inject_page_fault(struct vcpu *v, uint64_t cr2, uint32_t error);
void pv_deliver_event(struct vcpu *v); /* the event callback; upcall mask set */
/* SYSCALL from user mode; regs->cs tells 64-bit from compatibility mode. */
void pv_deliver_syscall(struct vcpu *v, struct regs *regs);
/* The failsafe callback: sel is ds, es, fs, gs as they should be. */
void pv_deliver_failsafe(struct vcpu *v, const uint16_t sel[4]);
/* The IRET to the frame at cpu_local()->guest faulted: the guest gets that fault itself. */
void pv_iret_failed(struct vcpu *v, unsigned vector, uint32_t error);

/* ---- entries (pv/trap.c), called by cpu/ for exceptions that came from a PV guest ---- */
void pv_handle_trap(
    struct regs *regs); /* entry_vector, error_code set; cr2 still in the register */
/* A page fault in the hypervisor at an address of the current guest (guest copy, PERDOMAIN LDT
 * window): true if it was mended and the instruction is to be tried again. */
bool pv_mend_hypervisor_fault(uint64_t cr2, uint32_t error);
/* Before returning to the guest, if softirq GUEST asks: NMI, pending exit work. */
void pv_exit_work(struct vcpu *v);

/* ---- page tables (pv/mmu.c, pv/mmuext.c, pv/ptwr.c) ---- */
long pv_mmu_update(uint64_t ureqs, uint32_t count, uint64_t pdone, uint32_t foreigndom);
long pv_mmuext_op(uint64_t uops, uint32_t count, uint64_t pdone, uint32_t foreigndom);
long pv_update_va_mapping(uint64_t va, uint64_t pte, uint64_t flags);
long pv_update_va_mapping_otherdomain(uint64_t va, uint64_t pte, uint64_t flags, domid_t domid);
/* A write fault at cr2 of the guest kernel on a read-only page: emulates it if it hits an L1 table
 * (or read-only device page). True if done (or an exception was injected). */
bool pv_ptwr_fault(struct vcpu *v, uint64_t cr2, uint32_t error);
/* Loads a new kernel L4 (cr3 write, NEW_BASEPTR): checks, types, switches. 0 or negative errno;
 * -ERESTART: not done, call again after hypercall_preempt(). INVALID_MFN (v not running): none.
 * Takes [PV]. */
int must_check pv_new_kernel_l4(struct vcpu *v, mfn_t m);
int must_check pv_new_user_l4(struct vcpu *v, mfn_t m); /* mfn 0 or INVALID_MFN: none */
/* The guest's L1 entry that maps va in the address space v is in, with the frame of the L1: a
 * snapshot. -EINVAL: there is none. Takes [PV]. */
int must_check pv_find_l1e(struct vcpu *v, uint64_t va, mfn_t *l1, unsigned *index);
/* Would the tables, as they are now, let the access through that faulted with `error`? */
bool pv_access_allowed(struct vcpu *v, uint64_t va, uint32_t error);
/* Says to frame_audit what PV guests hold: cr3, GDT and LDT frames. Once, at start; also sets
 * frame_descriptor_ok. */
void pv_mm_init(void);
/* The end: d is dying, its vCPUs do not run and hold no descriptor frames. Drops cr3 and all page
 * tables, releases all frames. -ERESTART: call again. Takes [PV]. */
int must_check pv_mm_destroy(struct domain *d);
/* Maps or unmaps a granted frame: pv/grant_map.c sets grant_map_ops_pv. Marked PTE_GRANT. */

/* ---- descriptor tables (pv/descriptor.c) ---- */
long pv_set_gdt(uint64_t frame_list, uint32_t entries);
long pv_update_descriptor(uint64_t maddr, uint64_t desc);
int must_check pv_set_ldt(struct vcpu *v, uint64_t base, uint32_t entries);
/* Maps the LDT page that an access at `offset` of the window needs. */
bool pv_map_ldt_page(struct vcpu *v, uint64_t offset);
/* May a guest have this descriptor? Mends DPL; false: refuse. For validation of SEGDESC frames. */
bool pv_descriptor_ok(uint64_t *desc);

/* ---- the rest of the guest's interface: one function a hypercall ---- */
long pv_set_trap_table(uint64_t traps);
/* Fills a hypercall page: 128 slots of 32 bytes. ABI.md 1.1 */
void pv_hypercall_page_fill(void *page);
long pv_stack_switch(uint64_t ss, uint64_t sp);
long pv_fpu_taskswitch(uint64_t set);
long pv_set_segment_base(uint32_t which, uint64_t base);
long pv_set_debugreg(uint32_t reg, uint64_t value);
long pv_get_debugreg(uint32_t reg);
long pv_iret(void);
long pv_callback_op(uint32_t cmd, uint64_t arg);
long pv_set_callbacks(uint64_t event, uint64_t failsafe, uint64_t syscall);
long pv_nmi_op(uint32_t cmd, uint64_t arg);

/* ---- dumps (pv/dump.c): no lock is taken; v is current or does not run ---- */
/* Registers, callbacks and the top of the stack. */
void pv_vcpu_dump(struct vcpu *v);
/* domain_crash_dump: that, and the page tables for rip, rsp and cr2. Of domain 0 always, of others
 * at guest_loglvl=debug. */
void pv_crash_dump(struct vcpu *v);

/* How domains come to be paravirtual: init, vCPU init, release, free. */
extern const struct domain_part pv_part;
