/* SPDX-License-Identifier: MIT */
/* hypercall/console_switch and debug_keys: where typed characters go, sequences that are broken
 * off, more keys than are kept; what the keys show; the signal that the log has grown. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "guest.h"
#include "base/log.h"
#include "base/param.h"
#include "base/softirq.h"
#include "event/event.h"
#include "hypercall/debug_keys.h"
#include "hypercall/hypercall.h"
#include "hypercall/ops.h"
#include "hypercall/pirq.h"
#include "lib/errno.h"
#include "platform/power.h"

#define CTRL_A 1

static struct guest *dom0, *domu;

static int set_up(void **state)
{
    guest_machine(2);
    softirq_register(SOFTIRQ_CONSOLE, console_softirq);
    log_ring_notify = console_ring_changed;
    refuse_call_name = hypercall_name;
    dom0 = guest_new(0, 2, true);
    domu = guest_new(5, 1, false);
    guest_be(dom0, 0);
    guest_exit();
    (void)host_log();
    return 0;
}

static int tear_down(void **state)
{
    log_ring_notify = NULL;
    guest_kill(dom0);
    guest_kill(domu);
    return 0;
}

static void type(const char *s)
{
    while (*s)
        console_receive(*s++);
}

/* What domain 0 can read. */
static const char *read_input(void)
{
    static char buf[256];
    long n = console_io(CONSOLEIO_read, 200, guest_va(0));

    assert_in_range(n, 0, 200);
    memcpy(buf, guest_page(dom0, 0), (size_t)n);
    buf[n] = 0;
    return buf;
}

/* What key c prints. */
static const char *key(char c)
{
    (void)host_log();
    console_key(c);
    assert_string_equal(host_log(), "");
    guest_exit();
    return host_log();
}

/* The tests are their vCPUs past the scheduler, which must not find any to run after the audit. */
static void take_vcpus_down(void)
{
    struct guest *each[] = {dom0, domu};
    struct vcpu *v;

    for (unsigned i = 0; i < 2; i++)
        for_each_vcpu (each[i]->d, v)
            __atomic_fetch_or(&v->pause, 1u << VCPU_DOWN_BIT, __ATOMIC_SEQ_CST);
}

static void input_is_switched(void **state)
{
    type("one\x01two\x01\x01!");
    assert_string_equal(read_input(), "one\x01two\x01\x01!");
    assert_string_equal(host_log(), "");
    type("\x01\x01");
    assert_string_equal(read_input(), "");
    type("\x01");
    assert_non_null(strstr(host_log(), "input goes to Argon"));
    type("q");
    assert_string_equal(read_input(), "");
    guest_exit();
    assert_non_null(strstr(host_log(), "domain 5"));
    type("\x01\x01q"); /* broken off: the control characters are no keys */
    guest_exit();
    assert_non_null(strstr(host_log(), "domain 5"));
    type("\x01\x01\x01");
    assert_non_null(strstr(host_log(), "input goes to domain 0"));
    type("\x01\x01\x01\x01\x01\x01x");
    assert_string_equal(read_input(), "x");
}

static void more_keys_than_are_kept(void **state)
{
    unsigned lines = 0;
    const char *s;

    for (unsigned i = 0; i < 1000; i++)
        console_key('?');
    guest_exit();
    for (s = host_log(); (s = strstr(s, "no debug key")) != NULL; s++)
        lines++;
    assert_int_equal(lines, 16);
    /* Characters that say nothing. */
    for (int c = -128; c <= ' '; c++)
        assert_string_equal(key((char)c), "");
}

static void keys_show(void **state)
{
    static const struct {
        char key;
        const char *text;
    } expected[] = {
        {'h', " q: domains and vCPUs"},
        {'q', "vCPU 1: CPU"},
        {'r', "CPU 1: idle"},
        {'a', "CPU 0:"},
        {'t', "system time"},
        {'e', "domain 5: event channels"},
        {'g', "domain 5: grant table"},
        {'m', "domain 5: 32 pages, at most 128"},
        {'H', "in the heap"},
        {'i', "domain 5: PIRQs"},
        {'f', "event_channel_op: -EINVAL:"},
        {'F', "event/"},
        {'x', "no mistake"},
        {'d', "CPU 1: idle"},
    };

    take_vcpus_down();
    current()->refusals.call = __HYPERVISOR_event_channel_op;
    assert_int_equal(event_unmask(dom0->d, ~0u), -EINVAL);
    for (unsigned i = 0; i < ARRAY_SIZE(expected); i++)
        if (!strstr(key(expected[i].key), expected[i].text))
            fail_msg("the key %c does not show '%s'", expected[i].key, expected[i].text);
    assert_non_null(strstr(key('*'), "no mistake"));
    /* The audit held all domains, and let go. */
    assert_int_equal(dom0->d->pause_count, 0);
    assert_int_equal(domu->d->pause_count, 0);
}

static void every_listed_key_exists(void **state)
{
    char list[4096];

    take_vcpus_down();
    strncpy(list, key('h'), sizeof(list) - 1);
    for (char *line = strtok(list, "\n"); line; line = strtok(NULL, "\n")) {
        char c = line[strlen("(Argon)  ")];

        if (strncmp(line, "(Argon)  ", 9) || line[10] != ':' || c == 'R' || c == '0')
            continue;
        assert_null(strstr(key(c), "no debug key"));
    }
}

static void restart(void **state)
{
    assert_true(host_panics(({
        console_key('R');
        guest_exit();
    })));
}

static void log_growth_is_signalled(void **state)
{
    struct evtchn_bind_virq a = {.virq = VIRQ_CON_RING};
    unsigned long *pending = &dom0->d->shared_info->evtchn_pending[0];

    memcpy(guest_page(dom0, 0), &a, sizeof(a));
    assert_int_equal(event_channel_op(EVTCHNOP_bind_virq, guest_va(0)), 0);
    memcpy(&a, guest_page(dom0, 0), sizeof(a));
    guest_exit();
    *pending = 0;
    log_info("a line");
    assert_int_equal(*pending, 0); /* not yet: any lock may be held */
    guest_exit();
    assert_int_equal(*pending, 1ul << a.port);
    *pending = 0;
    guest_exit();
    assert_int_equal(*pending, 0);
}

static void switch_option(void **state)
{
    param_parse("conswitch=bx");
    console_receive('?');
    guest_exit();
    assert_non_null(strstr(host_log(), "? is no debug key"));
    type("\x02\x02\x02");
    type("\x01\x01\x01");
    assert_string_equal(read_input(), "\x01\x01\x01");
    param_parse("conswitch=A conswitch=aa conswitch=");
    type("\x02\x02\x02");
    assert_non_null(strstr(host_log(), "Argon's debug keys"));
    type("\x02\x02\x02");
    param_parse("no-conswitch");
    type("\x02\x02\x02");
    assert_string_equal(read_input(), "\x02\x02\x02");
    param_parse("conswitch=a");
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(input_is_switched),
        TEST(more_keys_than_are_kept),
        TEST(keys_show),
        TEST(every_listed_key_exists),
        TEST(log_growth_is_signalled),
        TEST(switch_option),
        TEST(restart),
    };

    return cmocka_run_group_tests_name("hypercall/debug_keys", tests, NULL, NULL);
}
