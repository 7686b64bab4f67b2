/* SPDX-License-Identifier: MIT */
/* The log: one ring of text for the whole machine, and the consoles that show it. A message at or
 * below its threshold goes to both; the ring is what `xl dmesg` reads. Usable from the first
 * instruction in C on, in any context, NMI included (there only the ring, if the lock is taken). */
#pragma once

#include <stdarg.h>
#include "lib/list.h"
#include "lib/types.h"

enum log_level {
    LOG_ERROR,
    LOG_WARNING,
    LOG_INFO,
    LOG_DEBUG,
};

/* The hypervisor's own messages ("loglvl="), prefixed "(Argon) ". */
void log_print(enum log_level level, const char *fmt, ...) printf_like(2, 3);
/* A message is a whole line: the newline is added where it is missing. At most LOG_LINE bytes. */
#define LOG_LINE 512

/* Messages that a guest's doing caused ("guest_loglvl="): rate limited. */
void log_guest(enum log_level level, const char *fmt, ...) printf_like(2, 3);
/* Would such a message be shown at all? (Its rate is not looked at.) */
bool log_guest_enabled(enum log_level level);
/* Text as it is, without prefix, to the consoles only ("console_to_ring": to the ring too): what
 * domain 0 writes to its console. */
void log_raw(const char *text, size_t len);
void log_key(const char *fmt, ...)
    printf_like(1, 2); /* debug keys' and dumps' output: always shown */

#define log_error(...) log_print(LOG_ERROR, __VA_ARGS__)
#define log_warn(...)  log_print(LOG_WARNING, __VA_ARGS__)
#define log_info(...)  log_print(LOG_INFO, __VA_ARGS__)
#define log_debug(...) log_print(LOG_DEBUG, __VA_ARGS__)

/* A console: `write` must not log and may busy-wait. */
struct log_console {
    struct list link;
    const char *name;
    void (*write)(struct log_console *c, const char *text, size_t len);
};

/* A new console shows the ring's text first. */
void log_console_add(struct log_console *c);
void log_console_remove(struct log_console *c);

/* Copies up to `len` bytes of the ring from *index on to `buf`; *index moves past them. An index
 * that the ring has left behind starts at the oldest byte. Returns bytes copied. The index counts
 * all bytes ever logged. */
size_t log_read(uint32_t *index, char *buf, size_t len);
/* Forgets all text up to now (`xl dmesg -c`). */
void log_clear(void);
/* From panic: breaks the lock, shows everything, to every console. */
void log_force(void);
/* Called after text entered the ring, with any locks held, so it may but set a flag (that raises
 * VIRQ_CON_RING later); may be NULL. [I] */
extern void (*log_ring_notify)(void);
/* Nanoseconds since boot for the rate limit, NULL while there is no clock. [I] set by time/ */
extern uint64_t (*log_clock)(void);
