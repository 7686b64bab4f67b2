/* SPDX-License-Identifier: MIT */
/* A virtual local APIC as it was saved: its mode first, then its registers. Intel SDM vol. 3A,
 * 11.4.1. What a guest can write goes in as a guest writes it. */
#include "devices/vlapic.h"
#include "lib/util.h"

#define APIC_BASE_KNOWN (0x000ffffffffff000ull | 0x100 | APIC_BASE_X2 | APIC_BASE_ON)
#define APIC_BASE_X2    0x400ull
#define APIC_BASE_ON    0x800ull
#define VECTORS_NONE    0xffffu /* of the first word: exceptions' */

bool vlapic_base_ok(uint64_t base)
{
    return !(base & ~APIC_BASE_KNOWN) && !((base & APIC_BASE_X2) && !(base & APIC_BASE_ON));
}

void vlapic_set_mode(struct vlapic *l, uint64_t base, uint64_t deadline)
{
    l->base = base;
    vlapic_reset(l, false);
    l->tsc_deadline = deadline; /* armed when the timer's mode is known */
}

void vlapic_set_registers(struct vlapic *l, const uint32_t reg[VLAPIC_REGS])
{
    /* SVR first: entries of the LVT stay masked while it has the APIC off. */
    static const uint32_t plain[] = {
        VLAPIC_SVR,
        VLAPIC_TPR,
        VLAPIC_LVT_TIMER,
        VLAPIC_LVT_TIMER + 0x10,
        VLAPIC_LVT_TIMER + 0x20,
        VLAPIC_LVT_TIMER + 0x30,
        VLAPIC_LVT_TIMER + 0x40,
        VLAPIC_LVT_ERROR,
        VLAPIC_TDCR,
    };
    uint64_t deadline = l->tsc_deadline;

    for (unsigned i = 0; i < ARRAY_SIZE(plain); i++)
        vlapic_write(l, plain[i], reg[plain[i] / 4]);
    if (!vlapic_x2(l)) { /* there they follow from the id */
        vlapic_write(l, VLAPIC_LDR, reg[VLAPIC_LDR / 4]);
        vlapic_write(l, VLAPIC_DFR, reg[VLAPIC_DFR / 4]);
    }
    for (uint32_t at = VLAPIC_ISR; at < VLAPIC_ESR; at += 0x10) {
        uint32_t first = at == VLAPIC_ISR || at == VLAPIC_TMR || at == VLAPIC_IRR;

        *vlapic_reg(l, at) = reg[at / 4] & (first ? ~VECTORS_NONE : ~0u);
    }
    __atomic_store_n(&l->waiting, true, __ATOMIC_SEQ_CST);
    if (deadline)
        vlapic_set_deadline(l, deadline);
    else
        vlapic_write(l, VLAPIC_TMICT, reg[VLAPIC_TMICT / 4]);
}
