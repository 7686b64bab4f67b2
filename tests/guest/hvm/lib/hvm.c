/* SPDX-License-Identifier: MIT */
/* Traps and memory of a fully virtual test kernel: see hvm.h. */
#include "hvm/lib/hvm.h"

struct ex_entry {
    uint64_t from, to;
};
extern const struct ex_entry ex_table_start[], ex_table_end[];
void trap_dispatch(struct regs *regs);

struct trap_record last_trap = {.vector = NO_TRAP};
static trap_hook_t hooks[256];
static struct {
    uint16_t low, selector;
    uint8_t ist, type;
    uint16_t mid;
    uint32_t high, zero;
} idt[256];

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

void trap_dispatch(struct regs *regs)
{
    last_trap = (struct trap_record){
        .vector = (long)regs->vector,
        .error = regs->error,
        .cr2 = read_cr2(),
        .rip = regs->rip,
        .cs = regs->cs,
        .rflags = regs->rflags,
        .rsp = regs->rsp,
        .count = last_trap.count + 1,
    };
    if (hooks[regs->vector] && hooks[regs->vector](regs))
        return;
    for (const struct ex_entry *e = ex_table_start; e < ex_table_end; e++) {
        if (e->from == regs->rip) {
            regs->rip = e->to;
            return;
        }
    }
    test_error("unexpected trap %lu, error %#lx, at %#lx, cr2 %#lx", regs->vector, regs->error,
               regs->rip, last_trap.cr2);
}

void trap_init(void)
{
    struct {
        uint16_t limit;
        uint64_t base;
    } __attribute__((packed)) idtr = {sizeof(idt) - 1, UL(idt)};

    for (unsigned int v = 0; v < 256; v++) {
        uint64_t at = trap_stub(v);

        idt[v].low = (uint16_t)at;
        idt[v].selector = 0x08;
        idt[v].type = 0x8e;
        idt[v].mid = (uint16_t)(at >> 16);
        idt[v].high = (uint32_t)(at >> 32);
    }
    asm volatile("lidt %0" ::"m"(idtr));
}

void memory_init(void)
{
}

/* Behind the kernel and what the builder put behind that. */
uint64_t first_free_frame(void)
{
    return 0x4000000 >> PAGE_SHIFT;
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
