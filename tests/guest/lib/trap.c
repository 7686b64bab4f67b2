/* SPDX-License-Identifier: MIT */
/* Trap table, callbacks and their dispatch: hook of the vector first, then (for guest user mode)
 * the end of user_run(), then the exception table, then a dump and ERROR. */
#include "lib/guest.h"

struct ex_entry {
    uint64_t from, to;
};
extern const struct ex_entry ex_table_start[], ex_table_end[];
void trap_dispatch(struct regs *regs);

struct trap_record last_trap = {.vector = NO_TRAP};
static trap_hook_t hooks[NR_VECTORS];

void trap_forget(void)
{
    memset(&last_trap, 0, sizeof(last_trap));
    last_trap.vector = NO_TRAP;
    barrier();
}

void trap_hook(unsigned int vector, trap_hook_t hook)
{
    hooks[vector] = hook;
}

void regs_print(const struct regs *r)
{
    printf("vector %lu error %#lx cr2 %#lx rip %#lx cs %#lx rflags %#lx rsp %#lx ss %#lx\n",
           r->vector, r->error, vcpu_info ? vcpu_info->arch.cr2 : 0, r->rip, r->cs, r->rflags,
           r->rsp, r->ss);
    printf("rax %#lx rbx %#lx rcx %#lx rdx %#lx rsi %#lx rdi %#lx rbp %#lx\n", r->rax, r->rbx,
           r->rcx, r->rdx, r->rsi, r->rdi, r->rbp);
    printf("r8 %#lx r9 %#lx r10 %#lx r11 %#lx r12 %#lx r13 %#lx r14 %#lx r15 %#lx\n", r->r8, r->r9,
           r->r10, r->r11, r->r12, r->r13, r->r14, r->r15);
}

static void record(const struct regs *regs)
{
    last_trap.vector = regs->vector;
    last_trap.error = regs->error;
    last_trap.cr2 = vcpu_info ? vcpu_info->arch.cr2 : 0;
    last_trap.rip = regs->rip;
    last_trap.cs = regs->cs;
    last_trap.rflags = regs->rflags;
    last_trap.rsp = regs->rsp;
    last_trap.count++;
}

void trap_dispatch(struct regs *regs)
{
    const struct ex_entry *e;

    if (regs->vector != VEC_EVENT)
        record(regs);
    if (hooks[regs->vector] && hooks[regs->vector](regs))
        return;
    if (regs->vector == VEC_EVENT) {
        event_upcall(regs);
        return;
    }
    if (user_running && (regs->cs & 3) == 3)
        user_trap(regs);
    for (e = ex_table_start; e < ex_table_end; e++) {
        if (e->from == regs->rip) {
            regs->rip = e->to;
            return;
        }
    }
    regs_print(regs);
    test_error("unexpected trap %lu at %#lx", regs->vector, regs->rip);
}

long trap_set(unsigned int vector, unsigned int flags, unsigned long address)
{
    struct trap_info ti[2] = {{vector, flags, FLAT_KERNEL_CS, address}, {0}};

    return hc_set_trap_table(ti);
}

static void callback(unsigned int type, unsigned int flags, unsigned int vector)
{
    struct callback_register cb = {.type = type, .flags = flags, .address = trap_stub(vector)};

    hc_callback_op(CALLBACKOP_register, &cb);
}

/* Every vector gets its stub; int3 and int 0x80 may come from user mode, as on Linux. */
void trap_init(void)
{
    static struct trap_info table[257];

    for (unsigned int v = 0; v < 256; v++) {
        table[v].vector = v;
        table[v].flags = v == VEC_BP || v == VEC_OF || v == 0x80 ? 3 : 0;
        table[v].cs = FLAT_KERNEL_CS;
        table[v].address = trap_stub(v);
    }
    if (hc_set_trap_table(table))
        test_error("set_trap_table failed");
    callback(CALLBACKTYPE_event, 0, VEC_EVENT);
    callback(CALLBACKTYPE_failsafe, CALLBACKF_mask_events, VEC_FAILSAFE);
    callback(CALLBACKTYPE_syscall, CALLBACKF_mask_events, VEC_SYSCALL);
    callback(CALLBACKTYPE_syscall32, CALLBACKF_mask_events, VEC_SYSCALL32);
    callback(CALLBACKTYPE_sysenter, CALLBACKF_mask_events, VEC_SYSENTER);
    callback(CALLBACKTYPE_nmi, CALLBACKF_mask_events, VEC_NMI_CALLBACK);
}

long try_read(const volatile void *p, uint64_t *val)
{
    uint64_t v = 0;

    trap_forget();
    asm volatile(TRY("mov (%1), %0") : "+r"(v) : "r"(p) : "memory");
    if (val)
        *val = v;
    return last_trap.vector;
}

long try_write(volatile void *p, uint64_t val)
{
    trap_forget();
    asm volatile(TRY("mov %0, (%1)")::"r"(val), "r"(p) : "memory");
    return last_trap.vector;
}
