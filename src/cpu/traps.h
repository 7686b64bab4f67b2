/* SPDX-License-Identifier: MIT */
/* Exceptions and interrupts, after entry.S has saved the registers. */
#pragma once

#include "hw/regs.h"

/* What the layers above do with entries. [I] set by start/. */
struct trap_ops {
    /* An exception that came from guest code. */
    void (*guest)(struct regs *regs);
    /* A page fault of the hypervisor at a guest's address; true: try again. */
    bool (*mend_fault)(uint64_t cr2, uint32_t error);
    /* The IRET to the guest failed: its frame is in cpu_local()->guest. */
    void (*guest_iret_failed)(unsigned vector, uint32_t error);
    void (*interrupt)(unsigned vector);
    /* NMI: on its own stack, at any instruction; true if somebody wanted it. */
    bool (*nmi)(struct regs *regs);
};
extern const struct trap_ops *trap_ops;

/* Called by entry.S. */
void trap_from_guest(struct regs *regs);
void trap_from_hypervisor(struct regs *regs);
void trap_interrupt(struct regs *regs);
void trap_nmi(struct regs *regs);
void trap_double_fault(struct regs *regs);
void trap_machine_check(struct regs *regs);

/* Where the fix-up table says that a fault at rip goes on; 0: nowhere. */
uint64_t trap_fixup(uint64_t rip);
