/* SPDX-License-Identifier: MIT */
/*
 * The end: the message, where we were, how we came there; then the machine stops, so that it can be
 * read.
 *
 * The first CPU that panics stops the others by NMI and prints; others that panic meanwhile stop
 * silently, and a second panic of the same CPU goes straight to the end. Backtraces follow the
 * frame pointers, which all code has, and never leave the stack block of this CPU.
 */
#include <stdarg.h>

#include "base/panic.h"
#include "base/log.h"
#include "base/percpu.h"
#include "base/symbols.h"
#include "lib/printf.h"

#define BACKTRACE_MAX 32
#define STOP_PAUSES   10000

void (*panic_dump)(void) sealed;
void (*panic_stop_others)(void) sealed;

static uint32_t panicking; /* [a] CPU + 1 of the first */

/* Another CPU panicked first: silence. A second panic of the same CPU: straight to the end. */
static bool first_panic(void)
{
    uint32_t nobody = 0, me = cpu_id() + 1;

    if (__atomic_compare_exchange_n(&panicking, &nobody, me, false, __ATOMIC_RELAXED,
                                    __ATOMIC_RELAXED))
        return true;
    if (nobody != me)
        cpu_stop();
    return false;
}

bool stop_begun(void)
{
    uint32_t who = __atomic_load_n(&panicking, __ATOMIC_RELAXED);

    return who && who != cpu_id() + 1;
}

void panic_reset(void)
{
    panicking = 0;
}

/* They are given the time to finish the line that they print. */
static void stop_others(void)
{
    if (!panic_stop_others)
        return;
    panic_stop_others();
    for (unsigned n = 0; n < STOP_PAUSES; n++)
        cpu_pause();
}

void stop_all(void)
{
    interrupts_disable();
    if (first_panic())
        stop_others();
    cpu_stop();
}

static void print_code(uint64_t addr)
{
    char name[80];

    symbol_format(addr, name, sizeof(name));
    log_key("    [%016lx] %s", addr, name);
}

void backtrace_print(uint64_t pc, uint64_t fp)
{
    uint64_t end = (uint64_t)cpu_local(), start = end + sizeof(struct cpu_local) - CPU_BLOCK_SIZE;

    print_code(pc);
    for (unsigned n = 0; n < BACKTRACE_MAX; n++) {
        const uint64_t *frame = (const uint64_t *)fp;

        if (fp < start || fp > end - 16 || fp % 8 || !cpu_block_has(fp) || !cpu_block_has(fp + 8) ||
            !frame[1])
            break;
        print_code(frame[1]);
        if (frame[0] <= fp)
            break;
        fp = frame[0];
    }
}

void regs_print(const struct regs *r)
{
    char name[80];

    symbol_format(r->rip, name, sizeof(name));
    log_key("rip %04x:%016lx %s", r->cs, r->rip, name);
    log_key("rsp %04x:%016lx rflags %08lx entry %#x error %#x", r->ss, r->rsp, r->rflags,
            r->entry_vector, r->error_code);
    log_key("rax %016lx rbx %016lx rcx %016lx", r->rax, r->rbx, r->rcx);
    log_key("rdx %016lx rsi %016lx rdi %016lx", r->rdx, r->rsi, r->rdi);
    log_key("rbp %016lx r8  %016lx r9  %016lx", r->rbp, r->r8, r->r9);
    log_key("r10 %016lx r11 %016lx r12 %016lx", r->r10, r->r11, r->r12);
    log_key("r13 %016lx r14 %016lx r15 %016lx", r->r13, r->r14, r->r15);
    log_key("cr0 %016lx cr2 %016lx cr3 %016lx cr4 %08lx", read_cr0(), read_cr2(), read_cr3(),
            read_cr4());
}

static void printf_like(1, 0) announce(const char *fmt, va_list args)
{
    char text[256];

    log_force();
    fmt_vsnprintf(text, sizeof(text), fmt, args);
    log_key("****************************************");
    log_key("Panic on CPU %u: %s", cpu_id(), text);
}

void panic(const char *fmt, ...)
{
    va_list args;

    interrupts_disable();
    if (first_panic()) {
        stop_others();
        va_start(args, fmt);
        announce(fmt, args);
        va_end(args);
        backtrace_print((uint64_t)__builtin_return_address(0),
                        *(const uint64_t *)__builtin_frame_address(0));
        if (panic_dump)
            panic_dump();
        log_key("****************************************");
    }
    cpu_stop();
}

void fatal(const char *fmt, ...)
{
    char text[256];
    va_list args;

    interrupts_disable();
    va_start(args, fmt);
    fmt_vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    log_force();
    log_key("Cannot start: %s. Stopped.", text);
    cpu_stop();
}

void panic_at(const struct regs *r, const char *fmt, ...)
{
    va_list args;

    interrupts_disable();
    if (first_panic()) {
        stop_others();
        va_start(args, fmt);
        announce(fmt, args);
        va_end(args);
        regs_print(r);
        backtrace_print(r->rip, r->rbp);
        if (panic_dump)
            panic_dump();
        log_key("****************************************");
    }
    cpu_stop();
}
