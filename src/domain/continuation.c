/* SPDX-License-Identifier: MIT */
/* Preemption points and continuations of hypercalls: ABI.md 1.1. */
#include "domain/continuation.h"

#include "base/panic.h"
#include "base/softirq.h"

/* The instruction that the guest executes again. */
#define SYSCALL_BYTES 2u
#define VMCALL_BYTES  3u

bool hypercall_preempt(void)
{
    interrupts_window();
    return softirq_pending() || vcpu_event_pending(current());
}

/* In a multicall the rewritten call goes back into the guest's entry, by the caller. */
static long continue_multicall(struct vcpu *v, unsigned op, unsigned nargs, const uint64_t *args)
{
    v->mc->op = op;
    for (unsigned i = 0; i < nargs; i++)
        v->mc->args[i] = args[i];
    return 0;
}

long hypercall_continue(unsigned op, unsigned nargs, const uint64_t *args)
{
    struct vcpu *v = current();
    struct regs *r = vcpu_regs(v);
    uint64_t *const place[] = {&r->rdi, &r->rsi, &r->rdx, &r->r10, &r->r8, &r->r9};

    BUG_ON(nargs > ARRAY_SIZE(place));
    v->continued = true;
    if (v->in_multicall)
        return continue_multicall(v, op, nargs, args);
    r->rax = op;
    for (unsigned i = 0; i < nargs; i++)
        *place[i] = args[i];
    r->rip -= v->domain->hvm ? VMCALL_BYTES : SYSCALL_BYTES;
    return 0;
}
