/* SPDX-License-Identifier: MIT */
/* The double of src/hw/ops.h for the host build: the same names over a simulated machine, whose
 * state tests reach through tests/host/machine.h. */
#pragma once

#include "hw/cpu_local.h"
#include "hw/desc.h"
#include "hw/msr.h"
#include "hw/nospec.h"
#include "hw/pte.h"
#include "hw/regs.h"

/* Regions of the hypervisor's address space: memory of this process, reserved at start. */
extern uintptr_t host_va_m2p_ro, host_va_m2p, host_va_frames, host_va_perdomain, host_va_vmap,
    host_va_direct;
extern uintptr_t host_va_direct_end;

#define HW_VA_M2P_RO     host_va_m2p_ro
#define HW_VA_M2P        host_va_m2p
#define HW_VA_FRAMES     host_va_frames
#define HW_VA_PERDOMAIN  host_va_perdomain
#define HW_VA_VMAP       host_va_vmap
#define HW_VA_DIRECT     host_va_direct
#define HW_VA_DIRECT_END host_va_direct_end

/* ---- this CPU ---- */

extern __thread struct cpu_local *host_cpu_local;

static inline struct cpu_local *cpu_local(void)
{
    return host_cpu_local;
}

void cpu_pause(void);
noreturn void cpu_stop(void);
void hw_triple_fault(void);
void interrupts_disable(void);
void interrupts_enable(void);
void interrupts_window(void);
void cpu_idle_halt(void);
bool interrupts_enabled(void);
uint64_t rdtsc(void);
uint64_t rdtsc_ordered(void);

static inline void cpu_lfence(void)
{
}

struct cpuid_leaf {
    uint32_t a, b, c, d;
};

struct cpuid_leaf hw_cpuid(uint32_t leaf, uint32_t subleaf);

/* ---- model-specific and control registers ---- */

uint64_t rdmsr(uint32_t msr);
void wrmsr(uint32_t msr, uint64_t val);
int must_check rdmsr_safe(uint32_t msr, uint64_t *val);
int must_check wrmsr_safe(uint32_t msr, uint64_t val);
int must_check xsetbv_safe(uint32_t index, uint64_t val);

uint64_t *host_cr(unsigned n);
uint64_t *host_dr(unsigned n);

#define HW_REGISTER(kind, n)                       \
    static inline uint64_t read_##kind##n(void)    \
    {                                              \
        return *host_##kind(n);                    \
    }                                              \
    static inline void write_##kind##n(uint64_t v) \
    {                                              \
        *host_##kind(n) = v;                       \
    }
HW_REGISTER(cr, 0)
HW_REGISTER(cr, 2)
HW_REGISTER(dr, 0)
HW_REGISTER(dr, 1)
HW_REGISTER(dr, 2)
HW_REGISTER(dr, 3)
HW_REGISTER(dr, 6)
HW_REGISTER(dr, 7)

uint64_t read_cr3(void);
void write_cr3(uint64_t v);
uint64_t read_cr4(void);
void write_cr4(uint64_t v);
void cpu_clts(void);

/* ---- translation cache and caches ---- */

void hw_invlpg(uint64_t va);
void hw_invpcid(uint64_t type, uint64_t pcid, uint64_t va);
void hw_wbinvd(void);
void hw_copy(void *to, const void *from, size_t n);
void hw_clear_page(void *page);

/* ---- descriptor tables and segments ---- */

void hw_lgdt(const struct table_register *t);
void hw_lidt(const struct table_register *t);
void hw_lldt(uint16_t sel);
void hw_ltr(uint16_t sel);
uint16_t read_ds(void);
uint16_t read_es(void);
uint16_t read_fs(void);
uint16_t read_gs(void);
int load_ds_safe(uint16_t sel);
int load_es_safe(uint16_t sel);
int load_fs_safe(uint16_t sel);
int load_gs_safe(uint16_t sel);
void hw_swapgs(void);
uint64_t hw_rdfsbase(void);
uint64_t hw_rdgsbase(void);
void hw_wrfsbase(uint64_t v);
void hw_wrgsbase(uint64_t v);

/* ---- ports and device memory ---- */

uint8_t in8(uint16_t port);
uint16_t in16(uint16_t port);
uint32_t in32(uint16_t port);
void out8(uint16_t port, uint8_t v);
void out16(uint16_t port, uint16_t v);
void out32(uint16_t port, uint32_t v);
uint8_t mmio_read8(const volatile void *p);
uint16_t mmio_read16(const volatile void *p);
uint32_t mmio_read32(const volatile void *p);
uint64_t mmio_read64(const volatile void *p);
void mmio_write8(volatile void *p, uint8_t v);
void mmio_write16(volatile void *p, uint16_t v);
void mmio_write32(volatile void *p, uint32_t v);
void mmio_write64(volatile void *p, uint64_t v);

/* ---- extended state ---- */

uint64_t hw_xgetbv(uint32_t index);
void hw_xsave(void *area, uint64_t mask);
void hw_fxsave(void *area);
void hw_fninit(void);
int must_check xrstor_safe(const void *area, uint64_t mask);
int must_check fxrstor_safe(const void *area);

/* ---- guest memory: a walk of the page tables at the simulated cr3 ---- */

size_t must_check hw_copy_from_guest(void *dst, uint64_t va, size_t n);
size_t must_check hw_copy_to_guest(uint64_t va, const void *src, size_t n);
size_t must_check hw_clear_guest(uint64_t va, size_t n);
int must_check hw_read_guest_u64(uint64_t va, uint64_t *val);
int must_check hw_write_guest_u64(uint64_t va, uint64_t val);
