/* SPDX-License-Identifier: MIT */
/* The local APIC that a fully virtual vCPU sees: xAPIC registers in memory, x2APIC registers as
 * MSRs, a timer in one-shot, periodic and TSC-deadline mode. Intel SDM vol. 3A, chapter 11; AMD APM
 * vol. 2, chapter 16.
 *
 * Registers belong to the vCPU; only vectors arrive from elsewhere, by vlapic_accept(). */
#pragma once

#include "lib/types.h"
#include "time/timer.h"

/* Offsets of registers. */
#define VLAPIC_ID        0x020u
#define VLAPIC_VERSION   0x030u
#define VLAPIC_TPR       0x080u
#define VLAPIC_PPR       0x0a0u
#define VLAPIC_EOI       0x0b0u
#define VLAPIC_LDR       0x0d0u
#define VLAPIC_DFR       0x0e0u
#define VLAPIC_SVR       0x0f0u
#define VLAPIC_ISR       0x100u
#define VLAPIC_TMR       0x180u
#define VLAPIC_IRR       0x200u
#define VLAPIC_ESR       0x280u
#define VLAPIC_ICR       0x300u
#define VLAPIC_ICR2      0x310u
#define VLAPIC_LVT_TIMER 0x320u
#define VLAPIC_LVT_LINT0 0x350u
#define VLAPIC_LVT_ERROR 0x370u
#define VLAPIC_TMICT     0x380u
#define VLAPIC_TMCCT     0x390u
#define VLAPIC_TDCR      0x3e0u
#define VLAPIC_SELF_IPI  0x3f0u /* x2APIC only */

#define VLAPIC_ICR_MODE      0x00000700u
#define VLAPIC_ICR_FIXED     0x00000000u
#define VLAPIC_ICR_LOWEST    0x00000100u
#define VLAPIC_ICR_NMI       0x00000400u
#define VLAPIC_ICR_INIT      0x00000500u
#define VLAPIC_ICR_STARTUP   0x00000600u
#define VLAPIC_ICR_LOGICAL   0x00000800u
#define VLAPIC_ICR_ASSERT    0x00004000u
#define VLAPIC_ICR_LEVEL     0x00008000u
#define VLAPIC_ICR_SHORTHAND 0x000c0000u
#define VLAPIC_ICR_SELF      0x00040000u
#define VLAPIC_ICR_ALL       0x00080000u
#define VLAPIC_ICR_OTHERS    0x000c0000u

/* A tick of the timer's bus: the frequency that a guest finds out, 100 MHz. */
#define VLAPIC_BUS_NS 10u

struct vlapic;

/* What the chip asks of the machine around it. */
struct vlapic_ops {
    /* A vector may wait that was not there before. From any CPU. */
    void (*wake)(struct vlapic *l);
    /* The guest sends what the ICR says; dest is 8 bits, in x2APIC mode 32. */
    void (*send)(struct vlapic *l, uint32_t icr, uint32_t dest);
    /* The end of a level-triggered interrupt: whoever raised it may raise it again. May be NULL. */
    void (*eoi)(struct vlapic *l, uint8_t vector);
};

#define VLAPIC_REGS (0x400u / 4)

struct vlapic {
    const struct vlapic_ops *ops; /* [I] */
    void *owner;                  /* [I] for ops */
    uint32_t id;                  /* [I] APIC id */
    uint64_t base;                /* MSR APIC_BASE */
    uint32_t reg[VLAPIC_REGS];    /* by offset / 4; IRR and TMR: [a] */
    uint32_t errors;              /* [a] what ESR shows at its next write */
    bool waiting;                 /* [a] false: IRR is empty */
    struct timer timer;
    bool timer_fired;      /* [a] its time has come; what follows is the vCPU's to do */
    uint64_t timer_from;   /* ns: when the count began */
    uint64_t tsc_deadline; /* 0: not armed */
};

void vlapic_init(struct vlapic *l, const struct vlapic_ops *ops, void *owner, uint32_t id);
/* As after INIT (keeps the base address and mode), or after power-on. */
void vlapic_reset(struct vlapic *l, bool power_on);
/* Its timer will not fire any more. */
void vlapic_stop(struct vlapic *l);

static inline bool vlapic_x2(const struct vlapic *l)
{
    return l->base & 0x400;
}
/* Switched on by APIC_BASE, and by the guest in SVR. */
bool vlapic_hardware_enabled(const struct vlapic *l);
bool vlapic_enabled(const struct vlapic *l);

/* ---- the guest's accesses ---- */

/* xAPIC: `offset` in the page; what is reserved reads 0 and raises an error in ESR. */
uint32_t vlapic_read(struct vlapic *l, uint32_t offset);
void vlapic_write(struct vlapic *l, uint32_t offset, uint32_t val);
/* x2APIC: MSR 0x800 + n. -EPERM: #GP. */
int must_check vlapic_read_msr(struct vlapic *l, uint32_t n, uint64_t *val);
int must_check vlapic_write_msr(struct vlapic *l, uint32_t n, uint64_t val);
/* MSR APIC_BASE; -EPERM: #GP. */
int must_check vlapic_set_base(struct vlapic *l, uint64_t val);
/* MSR TSC_DEADLINE: reads 0 outside its mode, writes there do nothing. */
uint64_t vlapic_deadline(const struct vlapic *l);
void vlapic_set_deadline(struct vlapic *l, uint64_t tsc);
/* CR8: the upper half of TPR. */
uint8_t vlapic_cr8(const struct vlapic *l);
void vlapic_set_cr8(struct vlapic *l, uint8_t val);

/* ---- interrupts ---- */

/* A message for this APIC: a vector becomes pending. Any CPU. */
void vlapic_accept(struct vlapic *l, uint8_t vector, bool level);
/* The same for what is said once only: while the guest has it switched off the vector waits. */
void vlapic_hold(struct vlapic *l, uint8_t vector);
/* Is a message to `dest` for it? */
bool vlapic_matches(const struct vlapic *l, uint32_t dest, bool logical);
/* Does `vector` wait in it to be taken? */
bool vlapic_vector_waits(const struct vlapic *l, uint8_t vector);
/* The least that an interrupt must be above to be taken: PPR. */
uint32_t vlapic_priority(const struct vlapic *l);
/* The vector to deliver now, above the priority of what is in service; -1: none. */
int vlapic_pending(struct vlapic *l);
/* Does any vector wait, whatever the priority? */
bool vlapic_waits(struct vlapic *l);
/* It is delivered: now in service. */
void vlapic_acknowledge(struct vlapic *l, uint8_t vector);

/* ---- saved and restored (vlapic_state.c); the vCPU does not run ---- */

/* Is this a value of MSR APIC_BASE? */
bool vlapic_base_ok(uint64_t base);
/* As after INIT in that mode; then the registers as they were read. */
void vlapic_set_mode(struct vlapic *l, uint64_t base, uint64_t deadline);
void vlapic_set_registers(struct vlapic *l, const uint32_t reg[VLAPIC_REGS]);

/* vlapic_timer.c, for vlapic.c: registers of the timer were written. */
void vlapic_timer_init(struct vlapic *l);
void vlapic_timer_start(struct vlapic *l);
void vlapic_timer_due(struct vlapic *l);
void vlapic_timer_mode(struct vlapic *l, uint32_t old_lvt);
uint32_t vlapic_timer_count(const struct vlapic *l);

static inline uint32_t *vlapic_reg(struct vlapic *l, uint32_t offset)
{
    return &l->reg[offset / 4];
}

static inline uint32_t vlapic_get(const struct vlapic *l, uint32_t offset)
{
    return __atomic_load_n(&l->reg[offset / 4], __ATOMIC_RELAXED);
}
