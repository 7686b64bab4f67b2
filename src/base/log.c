/* SPDX-License-Identifier: MIT */
/*
 * The log: a ring of text and the consoles.
 *
 * `written` counts the bytes that ever entered the ring, `shown` those that the consoles had. Who
 * holds the lock puts its text into the ring and then shows everything from `shown` on. Who finds
 * the lock held by this very CPU (an NMI, or a fault inside a console) only writes into the ring:
 * the interrupted holder, or the next one, shows it.
 */
#include "base/log.h"
#include "base/lock.h"
#include "base/param.h"
#include "hw/ops.h"
#include "lib/errno.h"
#include "lib/printf.h"
#include "lib/string.h"
#include "lib/util.h"

#define RING_SIZE 65536u
#define PREFIX    "(Argon) "

/* Guests' messages: a burst, then one per interval. */
#define RATE_BURST       10u
#define RATE_INTERVAL_NS 500000000ull

/* Messages below `lower` are shown, those from `lower` up to below `upper` are rate limited, the
 * others dropped. Values are levels + 1, so that 0 stands for none. */
struct threshold {
    unsigned lower, upper;
};

struct rate {
    unsigned tokens;
    unsigned suppressed;
    uint64_t last;
};

static struct lock log_lock = LOCK_INIT(RANK_LOG, "log");
static char ring[RING_SIZE];
static uint32_t written, shown, cleared; /* [log_lock], but see above */
static struct list consoles = LIST_INIT(consoles);
static struct threshold own_level = {LOG_INFO + 1, LOG_INFO + 1};
static struct threshold guest_level = {0, LOG_WARNING + 1};
static struct rate own_rate = {.tokens = RATE_BURST}, guest_rate = {.tokens = RATE_BURST};
static bool console_to_ring;
PARAM_BOOL("console_to_ring", console_to_ring);

void (*log_ring_notify)(void) sealed;
uint64_t (*log_clock)(void) sealed;

/* ---- thresholds ---- */

static const struct {
    const char *name;
    unsigned value;
} level_names[] = {
    {"none", 0},
    {"error", LOG_ERROR + 1},
    {"warning", LOG_WARNING + 1},
    {"info", LOG_INFO + 1},
    {"all", LOG_DEBUG + 1},
    {"debug", LOG_DEBUG + 1},
};

static int parse_level(const char **s, unsigned *level)
{
    for (unsigned i = 0; i < ARRAY_SIZE(level_names); i++) {
        size_t len = strlen(level_names[i].name);

        if (!strncmp(*s, level_names[i].name, len) && ((*s)[len] == 0 || (*s)[len] == '/')) {
            *level = level_names[i].value;
            *s += len;
            return 0;
        }
    }
    return -EINVAL;
}

static int parse_threshold(const char *value, struct threshold *t)
{
    struct threshold new;
    int rc = parse_level(&value, &new.lower);

    if (rc)
        return rc;
    new.upper = new.lower;
    if (*value == '/') {
        value++;
        rc = parse_level(&value, &new.upper);
        if (rc)
            return rc;
    }
    if (*value)
        return -EINVAL;
    new.upper = max(new.upper, new.lower);
    /* Others may be about to say something: by the old values or the new ones. */
    write_once(t->lower, new.lower);
    write_once(t->upper, new.upper);
    return 0;
}

static const char *level_name(unsigned level)
{
    unsigned i = 0;

    while (level_names[i].value != level)
        i++;
    return level_names[i].name;
}

static void show_threshold(const struct threshold *t, char *text, size_t size)
{
    fmt_snprintf(text, size, "%s/%s", level_name(t->lower), level_name(t->upper));
}

static int param_loglvl(const char *value, bool negated)
{
    return negated ? -EINVAL : parse_threshold(value, &own_level);
}

static void show_loglvl(char *text, size_t size)
{
    show_threshold(&own_level, text, size);
}
PARAM_RUNTIME("loglvl", param_loglvl, show_loglvl);

static int param_guest_loglvl(const char *value, bool negated)
{
    return negated ? -EINVAL : parse_threshold(value, &guest_level);
}

static void show_guest_loglvl(char *text, size_t size)
{
    show_threshold(&guest_level, text, size);
}
PARAM_RUNTIME("guest_loglvl", param_guest_loglvl, show_guest_loglvl);

/* A token bucket; without a clock only the first burst passes. */
static bool rate_allows(struct rate *r)
{
    uint64_t now = log_clock ? log_clock() : 0;

    if (now > r->last) {
        uint64_t fresh = (now - r->last) / RATE_INTERVAL_NS;

        if (r->tokens + fresh >= RATE_BURST) {
            r->tokens = RATE_BURST;
            r->last = now;
        } else {
            r->tokens += fresh;
            r->last += fresh * RATE_INTERVAL_NS;
        }
    }
    if (!r->tokens) {
        r->suppressed++;
        return false;
    }
    r->tokens--;
    return true;
}

/* ---- ring and consoles ---- */

static void ring_put(const char *text, size_t len)
{
    while (len) {
        uint32_t at = __atomic_load_n(&written, __ATOMIC_RELAXED) % RING_SIZE;
        size_t n = min(len, (size_t)(RING_SIZE - at));

        memcpy(ring + at, text, n);
        __atomic_fetch_add(&written, n, __ATOMIC_RELEASE);
        text += n;
        len -= n;
    }
}

/* The oldest byte that can still be read. */
static uint32_t ring_start(void)
{
    return written - cleared > RING_SIZE ? written - RING_SIZE : cleared;
}

static void console_show(struct log_console *c, uint32_t from, uint32_t to)
{
    while (from != to) {
        uint32_t at = from % RING_SIZE, n = min(to - from, RING_SIZE - at);

        c->write(c, ring + at, n);
        from += n;
    }
}

static void show_new(void)
{
    struct log_console *c;

    /* Again while an NMI's text comes in behind our back. */
    while (shown != __atomic_load_n(&written, __ATOMIC_ACQUIRE)) {
        uint32_t end = written;

        if (end - shown > RING_SIZE)
            shown = end - RING_SIZE;
        list_for_each_entry (c, &consoles, link)
            console_show(c, shown, end);
        shown = end;
    }
}

/* Whether the ring and the consoles are ours now; else this CPU holds them further down its
 * stack. */
static locks_unchecked bool log_enter(void) tries_lock(&log_lock)
{
    if (lock_held(&log_lock))
        return false;
    lock(&log_lock);
    return true;
}

static void emit(const char *text, size_t len)
{
    bool owner = log_enter();

    ring_put(text, len);
    if (owner) {
        show_new();
        unlock(&log_lock);
    }
    if (log_ring_notify)
        log_ring_notify();
}

static void printf_like(1, 0) emit_line(const char *fmt, va_list args)
{
    char line[LOG_LINE];
    size_t prefix = sizeof(PREFIX) - 1, len;

    memcpy(line, PREFIX, prefix);
    len = prefix + fmt_vsnprintf(line + prefix, sizeof(line) - prefix, fmt, args);
    /* Room for the newline where the text was cut. */
    len = min(len, sizeof(line) - 1);
    if (line[len - 1] != '\n')
        line[len++] = '\n';
    emit(line, len);
}

static void printf_like(1, 2) emit_format(const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    emit_line(fmt, args);
    va_end(args);
}

static void printf_like(4, 0) print_at(const struct threshold *t, struct rate *r,
                                       enum log_level level, const char *fmt, va_list args)
{
    if (level >= read_once(t->upper))
        return;
    if (level >= read_once(t->lower)) {
        unsigned before = r->suppressed;

        if (!rate_allows(r))
            return;
        if (before) {
            r->suppressed = 0;
            emit_format("%u messages suppressed", before);
        }
    }
    emit_line(fmt, args);
}

/* ---- public ---- */

void log_print(enum log_level level, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    print_at(&own_level, &own_rate, level, fmt, args);
    va_end(args);
}

void log_guest(enum log_level level, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    print_at(&guest_level, &guest_rate, level, fmt, args);
    va_end(args);
}

bool log_guest_enabled(enum log_level level)
{
    return level < read_once(guest_level.upper);
}

void log_key(const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    emit_line(fmt, args);
    va_end(args);
}

void log_raw(const char *text, size_t len)
{
    struct log_console *c;

    if (console_to_ring) {
        emit(text, len);
        return;
    }
    if (!log_enter())
        return;
    show_new();
    list_for_each_entry (c, &consoles, link)
        c->write(c, text, len);
    unlock(&log_lock);
}

void log_console_add(struct log_console *c)
{
    lock(&log_lock);
    show_new();
    console_show(c, ring_start(), shown);
    list_add_tail(&consoles, &c->link);
    unlock(&log_lock);
}

void log_console_remove(struct log_console *c)
{
    lock(&log_lock);
    list_del(&c->link);
    unlock(&log_lock);
}

size_t log_read(uint32_t *index, char *buf, size_t len)
{
    size_t done = 0;
    uint32_t start;

    lock(&log_lock);
    start = ring_start();
    if (written - *index > written - start)
        *index = start;
    while (done < len && *index != written) {
        uint32_t at = *index % RING_SIZE;
        uint32_t n = min(written - *index, RING_SIZE - at);

        n = min((size_t)n, len - done);
        memcpy(buf + done, ring + at, n);
        *index += n;
        done += n;
    }
    unlock(&log_lock);
    return done;
}

void log_clear(void)
{
    lock(&log_lock);
    cleared = written;
    unlock(&log_lock);
}

void log_force(void)
{
    lock_break(&log_lock);
    own_level = guest_level = (struct threshold){LOG_DEBUG + 1, LOG_DEBUG + 1};
    lock(&log_lock);
    show_new();
    unlock(&log_lock);
}
