/* SPDX-License-Identifier: MIT */
/* The verdict of a test, exactly one line, and the way out of the machine; and guest_main(), which
 * the entry code calls, that makes the place ready for test_main(). */
#include <stdarg.h>
#include "lib/guest.h"

void guest_main(void);

static bool finished, passed;
bool unwatched;
unsigned int failures;
char first_failure[400];

void machine_exit(void)
{
    struct sched_shutdown reboot = {.reason = SHUTDOWN_reboot};

    if (unwatched && !passed)
        reboot.reason = SHUTDOWN_crash;
    for (;;)
        hc_sched_op(SCHEDOP_shutdown, &reboot);
}

static void finish(const char *verdict, const char *reason)
{
    if (finished)
        machine_exit();
    finished = true;
    if (*reason)
        printf("Test result: %s: %s\n", verdict, reason);
    else
        printf("Test result: %s\n", verdict);
    passed = strncmp(verdict, "PASS", 5) == 0;
    machine_exit();
}

void expect_failed(const char *fmt, ...)
{
    char text[sizeof(first_failure)];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    printf("  %s\n", text);
    if (!failures++)
        memcpy(first_failure, text, sizeof(text));
    if (failures == 30)
        finish("FAIL", first_failure);
}

void test_pass(void)
{
    if (failures)
        finish("FAIL", first_failure);
    finish("PASS", "");
    machine_exit();
}

void test_skip(const char *reason)
{
    finish("SKIP", reason);
    machine_exit();
}

void test_fail(const char *fmt, ...)
{
    char text[400];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    finish("FAIL", text);
    machine_exit();
}

void test_error(const char *fmt, ...)
{
    char text[400];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    finish("ERROR", text);
    machine_exit();
}

void test_expect_crash(void)
{
    printf("Test expects: CRASH\n");
}

void guest_main(void)
{
    trap_init();
    memory_init();
    test_main();
    test_error("test_main returned");
}
