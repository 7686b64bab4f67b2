/* SPDX-License-Identifier: MIT */
/* First look at exceptions and interrupts: who caused it? The guest: its layer answers. The
 * hypervisor: a fix-up, or the end. Intel SDM vol. 3A, chapter 6. */
#include "cpu/traps.h"

#include "base/log.h"
#include "base/panic.h"
#include "base/percpu.h"
#include "cpu/cpu.h"

const struct trap_ops *trap_ops sealed;

struct fixup {
    int32_t from, to; /* relative to themselves */
};
extern const struct fixup __start_ex_table[], __stop_ex_table[];
extern const char guest_iret[];

static const char *const vector_name[32] = {
    "divide error",
    "debug",
    "NMI",
    "breakpoint",
    "overflow",
    "bound range",
    "invalid opcode",
    "no FPU",
    "double fault",
    "segment overrun",
    "invalid TSS",
    "segment not present",
    "stack fault",
    "general protection",
    "page fault",
    "spurious",
    "x87 error",
    "alignment check",
    "machine check",
    "SIMD error",
    "virtualization",
    "control protection",
};

uint64_t trap_fixup(uint64_t rip)
{
    for (const struct fixup *f = __start_ex_table; f < __stop_ex_table; f++)
        if ((uintptr_t)&f->from + (int64_t)f->from == rip)
            return (uintptr_t)&f->to + (int64_t)f->to;
    return 0;
}

void trap_from_guest(struct regs *regs)
{
    trap_ops->guest(regs);
}

/* The frame was pushed over the general registers that had just been restored from
 * cpu_local()->guest; they are in `regs`, the rest is still in place. */
static noreturn void iret_failed(const struct regs *regs)
{
    struct regs *guest = &cpu_local()->guest;
    unsigned vector = regs->entry_vector;
    uint32_t error = regs->error_code;
    struct regs copy = *regs;

    copy.rip = guest->rip;
    copy.cs = guest->cs;
    copy.rflags = guest->rflags;
    copy.rsp = guest->rsp;
    copy.ss = guest->ss;
    *guest = copy;
    guest->entry_vector = vector;
    trap_ops->guest_iret_failed(vector, error);
    cpu_return_to_guest();
}

void trap_from_hypervisor(struct regs *regs)
{
    unsigned vector = regs->entry_vector;
    uint64_t fixup;

    if (vector == VEC_DB) {
        /* A watched address of the guest touched on its behalf, or MOV SS before SYSCALL. */
        write_dr6(0xffff0ff0);
        regs->rflags &= ~RFLAGS_TF;
        return;
    }
    if (vector == VEC_PF) {
        uint64_t cr2 = read_cr2();

        if (trap_ops && trap_ops->mend_fault(cr2, regs->error_code))
            return;
    }
    if (regs->rip == (uintptr_t)guest_iret)
        iret_failed(regs);
    fixup = trap_fixup(regs->rip);
    if (fixup) {
        regs->rip = fixup;
        return;
    }
    if (vector == VEC_PF)
        panic_at(regs, "page fault in the hypervisor at %#lx, error %#x", read_cr2(),
                 regs->error_code);
    panic_at(regs, "%s (vector %u) in the hypervisor, error %#x",
             vector < 32 && vector_name[vector] ? vector_name[vector] : "exception", vector,
             regs->error_code);
}

void trap_interrupt(struct regs *regs)
{
    unsigned vector = regs->entry_vector;

    if (unlikely(vector == VEC_INT80 || vector == VEC_INT82))
        trap_ops->guest(regs); /* INT n of a guest; no device gets these vectors */
    else
        trap_ops->interrupt(vector);
}

void trap_nmi(struct regs *regs)
{
    if (stop_begun())
        cpu_stop();
    if (!trap_ops || !trap_ops->nmi || !trap_ops->nmi(regs))
        log_warn("NMI without a known cause at %#lx", regs->rip);
}

void trap_double_fault(struct regs *regs)
{
    const char *stack = cpu_stacks_overflowed(read_cr2());

    if (stack)
        panic_at(regs, "the %s stack overflowed", stack);
    panic_at(regs, "double fault");
}

void trap_machine_check(struct regs *regs)
{
    panic_at(regs, "machine check, MCG_STATUS %#lx", rdmsr(MSR_MCG_STATUS));
}
