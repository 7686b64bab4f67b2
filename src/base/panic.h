/* SPDX-License-Identifier: MIT */
/* Statements about our own code, and the end. A guest must never be able to cause either. */
#pragma once

#include "lib/types.h"

/* Prints the message, the registers and a backtrace with symbols, then stops the machine. Does
 * not return. */
noreturn void panic(const char *fmt, ...) printf_like(1, 2) cold;

/* Start-up cannot go on for a reason that lies in the machine, the boot loader's files or the
 * command line: one line that says which and what to do, then the machine stands still. The message
 * has no full stop. */
noreturn void fatal(const char *fmt, ...) printf_like(1, 2) cold;

/* The same as panic() for a fault: the registers and the backtrace are those of `r`. */
struct regs;
noreturn void panic_at(const struct regs *r, const char *fmt, ...) printf_like(2, 3) cold;

/* Stops all CPUs, without a word. */
noreturn void stop_all(void) cold;
/* Has a CPU begun to panic, or to stop all? From an NMI: then this CPU is to stop. */
bool stop_begun(void);
/* Host builds: nobody ever panicked. */
void panic_reset(void);

/* Hooks, each may be NULL. [I] panic_dump prints more after the message (start/); panic_stop_others
 * halts the other CPUs (cpu/). */
extern void (*panic_dump)(void);
extern void (*panic_stop_others)(void);

/* Prints a frame with log_key(); `backtrace_print` follows the frame pointers from `fp` through the
 * stack of this CPU, starting with the address `pc`. */
void regs_print(const struct regs *r);
void backtrace_print(uint64_t pc, uint64_t fp);

#define BUG() panic("BUG at %s:%d", __FILE__, __LINE__)
#define BUG_ON(cond)                                              \
    do {                                                          \
        if (unlikely(cond))                                       \
            panic("BUG: %s at %s:%d", #cond, __FILE__, __LINE__); \
    } while (0)

/* Debug builds (make DEBUG=1, and every host build) check; release builds do not. */
#if defined(ARGON_DEBUG) || defined(ARGON_HOST)
#define ASSERT(cond) BUG_ON(!(cond))
#else
#define ASSERT(cond) ((void)sizeof(!(cond)))
#endif
