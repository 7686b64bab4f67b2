/* SPDX-License-Identifier: MIT */
/* What the files of pv/ that deal with instructions and exceptions offer to one another. Everything
 * here works on the current vCPU; `regs` is cpu_local()->guest. */
#pragma once

#include "cpu/policy.h"
#include "pv/pv.h"

/* ---- bounce.c ---- */
/* `int n`: the handler of `vector`, never an error code; rip already behind the instruction. */
void pv_inject_software_interrupt(struct vcpu *v, unsigned vector);
/* SYSENTER met #GP in user mode: the callback, or #GP. */
void pv_deliver_sysenter(struct vcpu *v, struct regs *regs);

/* ---- callbacks.c ---- */
struct trap_info;
int must_check pv_set_trap(struct vcpu *v, const struct trap_info *t);

/* ---- trap.c ---- */
/* The instruction of `len` bytes is done: steps over it, and raises #DB where TF was set. */
void pv_retire(struct vcpu *v, struct regs *regs, unsigned len);

/* ---- privileged.c ---- */
/* Emulates the instruction at rip that met #GP. True: done, or an exception was injected. */
bool pv_emulate_privileged(struct vcpu *v, struct regs *regs);

/* ---- msr.c: 0, or -EPERM where the guest is to get #GP ---- */
int must_check pv_rdmsr(struct vcpu *v, uint32_t index, uint64_t *val);
int must_check pv_wrmsr(struct vcpu *v, uint32_t index, uint64_t val);
/* What RDTSC gives the guest. */
uint64_t pv_rdtsc(struct vcpu *v);
#define MISC_FEATURES_CPUID_FAULT 1ull
/* For tests: is the table in order? */
bool pv_msr_rules_sorted(void);

/* ---- cpuid.c ---- */
enum pv_cpuid_how {
    PV_CPUID_FORCED,  /* the prefix, or the emulator of HVM calls: a kernel that knows us */
    PV_CPUID_FAULTED, /* an ordinary CPUID that the processor made fault */
};
struct cpuid_leaf pv_cpuid(struct vcpu *v, uint32_t leaf, uint32_t subleaf, enum pv_cpuid_how how);

/* ---- io.c ---- */
/* Is the virtual IOPL high enough for the mode that runs? */
bool pv_iopl_ok(const struct vcpu *v);
/* May the code that runs now use these ports: virtual IOPL, else the I/O bitmap. */
bool pv_io_allowed(struct vcpu *v, uint16_t port, unsigned bytes);
/* The access itself, each byte where the domain has the port: else all ones, or nothing. */
uint32_t pv_io_read(struct vcpu *v, uint16_t port, unsigned bytes);
void pv_io_write(struct vcpu *v, uint16_t port, unsigned bytes, uint32_t val);

/* ---- pit.c: ports 42, 43 and 61 of domain 0 ---- */
struct pv_pit;
struct pv_pit *pv_pit_create(void);
uint8_t pv_pit_read(struct pv_pit *p, uint16_t port);
void pv_pit_write(struct pv_pit *p, uint16_t port, uint8_t val);

/* ---- segment.c ---- */
/* Bases of the segments that are loaded: of the vCPU that runs. */
uint64_t pv_fs_base(const struct vcpu *v);
uint64_t pv_gs_base(const struct vcpu *v);
void pv_set_fs_base(const struct vcpu *v, uint64_t base);
void pv_set_gs_base(const struct vcpu *v, uint64_t base);
/* The 8-byte descriptor that `sel` names in the guest's GDT or LDT; false: there is none. */
bool pv_read_descriptor(struct vcpu *v, uint16_t sel, uint64_t *desc);
/* Code size of selector cs: 64, 32 or 16. */
unsigned pv_code_bits(struct vcpu *v, uint16_t cs);

/* Bits of an 8-byte descriptor: Intel SDM vol. 3A, 3.4.5. */
#define DESC_TYPE_CODE (1ull << 43)
#define DESC_S         (1ull << 44)
#define DESC_DPL3      (3ull << 45)
#define DESC_P         (1ull << 47)
#define DESC_L         (1ull << 53)
#define DESC_DB        (1ull << 54)
#define DESC_G         (1ull << 55)

/* ---- debugreg.c: 0; -ENODEV: no such register; -EPERM, -EINVAL: not for guests ---- */
int must_check pv_debugreg_set(struct vcpu *v, unsigned reg, uint64_t val);
int must_check pv_debugreg_get(struct vcpu *v, unsigned reg, uint64_t *val);
/* Loads all of v's into the processor. */
void pv_debug_load(const struct vcpu *v);
/* An emulated port access: notes the breakpoints that it meets. */
void pv_debug_port_access(struct vcpu *v, uint16_t port, unsigned bytes);
/* DR6 as it is when nothing happened. */
#define DR6_DEFAULT 0xffff0ff0ul
#define DR6_BS      0x4000ul
#define DR7_DEFAULT 0x400ul
#define DR7_ENABLES 0xfful /* L0 G0 ... L3 G3 */

/* ---- descriptor.c ---- */
int must_check pv_descriptor_init(void); /* once or more often; -ENOMEM */
/* Replaces the GDT; -EINVAL: nothing changed. v is current or does not run. */
int must_check pv_gdt_set(struct vcpu *v, const uint64_t *frames, unsigned entries);
void pv_gdt_drop(struct vcpu *v);
void pv_ldt_drop(struct vcpu *v);

/* ---- switch.c ---- */
/* LDTR for v, which is current. */
void pv_load_ldt(const struct vcpu *v);
/* Guest-controlled bits of CR4, those that the policy allows. */
uint64_t pv_cr4_guest_mask(const struct domain *d);
/* CR4 for hardware while v runs. */
uint64_t pv_cr4_for(const struct vcpu *v);
/* The view of CR4 that the guest may read. */
uint64_t pv_cr4_view(const struct vcpu *v);
/* XSETBV of the guest; v is current. -EPERM. */
int must_check pv_xsetbv(struct vcpu *v, uint64_t val);
/* MSRs that hold v's values while it runs, written only if they differ; v is current. */
void pv_load_msrs(const struct vcpu *v);
/* Guest writes CR4: bits it controls are taken, the rest silently not. */
void pv_cr4_write(struct vcpu *v, uint64_t val);
