/* SPDX-License-Identifier: MIT */
/* base/log: the ring's text, thresholds, rate limit, consoles, and entry from inside a console. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "machine.h"
#include <string.h>

#include "base/lock.h"
#include "base/log.h"
#include "base/param.h"

static char shown[200000];
static size_t shown_len;
static unsigned notified;
static uint64_t now;

static void console_write(struct log_console *c, const char *text, size_t len)
{
    memcpy(shown + shown_len, text, len);
    shown_len += len;
    shown[shown_len] = 0;
}

/* As an NMI would: logs while this CPU holds the log's lock. */
static void reentrant_write(struct log_console *c, const char *text, size_t len)
{
    static bool done;

    console_write(c, text, len);
    if (!done) {
        done = true;
        log_info("from within");
        log_raw("lost", 4);
    }
}

static void notify(void)
{
    notified++;
}

static uint64_t clock(void)
{
    return now;
}

static void lines_and_prefix(void **state)
{
    host_log();
    log_ring_notify = notify;
    log_info("number %d", 5);
    log_error("has its own newline\n");
    assert_string_equal(host_log(), "(Argon) number 5\n(Argon) has its own newline\n");
    assert_int_equal(notified, 2);
    log_ring_notify = NULL;
}

static void overlong_line_is_cut(void **state)
{
    char text[2 * LOG_LINE];
    size_t len;

    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = 0;
    host_log();
    log_info("%s", text);
    len = strlen(host_log());
    host_log();
    log_info("%s", text);
    assert_int_equal(len, LOG_LINE);
    assert_int_equal(host_log()[LOG_LINE - 1], '\n');
}

static void thresholds(void **state)
{
    host_log();
    param_parse("loglvl=warning");
    log_info("dropped");
    log_warn("kept");
    assert_string_equal(host_log(), "(Argon) kept\n");
    param_parse("loglvl=none");
    log_error("dropped");
    assert_string_equal(host_log(), "");
    param_parse("loglvl=all");
    log_debug("kept");
    assert_string_equal(host_log(), "(Argon) kept\n");
    param_parse("loglvl=warnings loglvl=all/ loglvl=/all loglvl no-loglvl guest_loglvl=x");
    host_log();
    log_debug("still all");
    assert_string_equal(host_log(), "(Argon) still all\n");
}

static void guests_are_limited(void **state)
{
    unsigned lines = 0;
    const char *p;

    param_parse("guest_loglvl=none/debug");
    assert_true(log_guest_enabled(LOG_DEBUG));
    log_clock = clock;
    now = 1000000000000ull;
    host_log();
    for (int i = 0; i < 1000; i++)
        log_guest(LOG_DEBUG, "spam");
    for (p = host_log(); (p = strchr(p, '\n')) != NULL; p++)
        lines++;
    assert_in_range(lines, 1, 20);
    now += 600000000;
    log_guest(LOG_DEBUG, "again");
    p = host_log();
    assert_string_equal(p, "(Argon) 990 messages suppressed\n(Argon) again\n");
    /* Without a clock nothing is refilled, and nothing divides by zero. */
    log_clock = NULL;
    for (int i = 0; i < 1000; i++)
        log_guest(LOG_DEBUG, "spam");
    assert_string_equal(host_log(), "");
    param_parse("guest_loglvl=none");
    assert_false(log_guest_enabled(LOG_ERROR));
    param_parse("guest_loglvl=all");
    log_guest(LOG_DEBUG, "unlimited");
    assert_string_equal(host_log(), "(Argon) unlimited\n");
}

static void reader_left_behind(void **state)
{
    uint32_t index = 0, ahead;
    char buf[100];
    size_t total = 0, n;

    log_clear();
    for (int i = 0; i < 10000; i++)
        log_info("line %d", i);
    while ((n = log_read(&index, buf, sizeof(buf))) != 0) {
        assert_true(n <= sizeof(buf));
        total += n;
    }
    assert_int_equal(total, 65536);
    assert_int_equal(log_read(&index, buf, sizeof(buf)), 0);
    /* An index from the future, as a guest may give, starts at the oldest byte. */
    ahead = index + 1000;
    assert_int_equal(log_read(&ahead, buf, sizeof(buf)), sizeof(buf));
    assert_int_equal(ahead, index - 65536 + sizeof(buf));
    log_clear();
    ahead = index - 10;
    assert_int_equal(log_read(&ahead, buf, sizeof(buf)), 0);
    assert_int_equal(ahead, index);
    log_info("new");
    assert_int_equal(log_read(&ahead, buf, 4), 4);
    assert_memory_equal(buf, "(Arg", 4);
}

static void consoles(void **state)
{
    struct log_console a = {.name = "a", .write = console_write};
    struct log_console b = {.name = "b", .write = reentrant_write};

    log_clear();
    log_info("before");
    log_console_add(&a);
    assert_string_equal(shown, "(Argon) before\n");
    log_info("after");
    assert_string_equal(shown, "(Argon) before\n(Argon) after\n");
    host_log();
    log_raw("guest\n", 6);
    assert_non_null(strstr(shown, "guest\n"));
    assert_string_equal(host_log(), "");
    log_console_remove(&a);
    log_clear();
    shown_len = 0;
    log_console_add(&b);
    log_info("outer");
    assert_string_equal(shown, "(Argon) outer\n(Argon) from within\n");
    param_parse("console_to_ring");
    host_log();
    log_raw("guest\n", 6);
    assert_string_equal(host_log(), "guest\n");
    log_console_remove(&b);
}

static void forced(void **state)
{
    struct log_console a = {.name = "a", .write = console_write};

    param_parse("loglvl=none");
    log_console_add(&a);
    shown_len = 0;
    log_force();
    log_debug("shown after all");
    assert_string_equal(shown, "(Argon) shown after all\n");
    log_console_remove(&a);
    lock_checks_reset();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_and_prefix),
        cmocka_unit_test(overlong_line_is_cut),
        cmocka_unit_test(thresholds),
        cmocka_unit_test(guests_are_limited),
        cmocka_unit_test(reader_left_behind),
        cmocka_unit_test(consoles),
        cmocka_unit_test(forced),
    };
    return cmocka_run_group_tests_name("base_log", tests, NULL, NULL);
}
