/* SPDX-License-Identifier: MIT */
/* hypercall/console_io: domain 0's text goes out as it is, others' tamed and under their name; what
 * was typed is read once, in order, and never more than there is room for. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "guest.h"
#include "base/log.h"
#include "base/param.h"
#include "event/event.h"
#include "hypercall/console_io.h"
#include "hypercall/ops.h"
#include "lib/bitmap.h"
#include "lib/errno.h"

static struct guest *dom0, *domu;
static char out[65536];
static size_t out_len;

static void console_write(struct log_console *c, const char *s, size_t n)
{
    assert_true(out_len + n < sizeof(out));
    memcpy(out + out_len, s, n);
    out_len += n;
    out[out_len] = 0;
}

static struct log_console console = {.name = "test", .write = console_write};

static int setup(void **state)
{
    static bool added;

    guest_machine(1);
    dom0 = guest_new(0, 1, true);
    domu = guest_new(5, 1, false);
    guest_be(dom0, 0);
    if (!added)
        log_console_add(&console);
    added = true;
    memset(guest_page(dom0, 1), 'z', PAGE_SIZE); /* what is left of another test's input */
    while (console_io(CONSOLEIO_read, 128, guest_va(2)) > 0)
        ;
    out_len = 0;
    return 0;
}

static int teardown(void **state)
{
    guest_kill(dom0);
    guest_kill(domu);
    return 0;
}

/* Until it is done, as the guest would. */
static long write_all(struct guest *g, const void *text, uint32_t n)
{
    struct vcpu *v = current();
    struct regs *r = vcpu_regs(v);
    unsigned again = 0;
    long rc;

    memcpy(guest_page(g, 3), text, n);
    r->rdi = CONSOLEIO_write;
    r->rsi = n;
    r->rdx = guest_va(3);
    do {
        v->continued = false;
        rc = console_io((uint32_t)r->rdi, (uint32_t)r->rsi, r->rdx);
        guest_exit();
        assert_true(++again < 1000);
    } while (v->continued);
    return rc;
}

static void domain0_writes_bytes(void **state)
{
    static const char text[] = "one\n\033[31mred\t\377\r\ntail without an end";

    assert_int_equal(write_all(dom0, text, sizeof(text) - 1), 0);
    assert_int_equal(out_len, sizeof(text) - 1);
    assert_memory_equal(out, text, out_len);
    assert_int_equal(console_io(CONSOLEIO_write, 0, 0), 0);
}

static void preempted(void **state)
{
    char text[PAGE_SIZE];

    for (unsigned i = 0; i < sizeof(text); i++)
        text[i] = (char)('a' + i % 23);
    guest_preempt = 1;
    assert_int_equal(write_all(dom0, text, sizeof(text)), 0);
    assert_int_equal(out_len, sizeof(text));
    assert_memory_equal(out, text, sizeof(text)); /* nothing twice, nothing lost */
}

static void write_faults(void **state)
{
    assert_int_equal(console_io(CONSOLEIO_write, 1, 0x1000), -EFAULT);
    assert_int_equal(console_io(CONSOLEIO_write, ~0u, HV_VA_START), -EFAULT);
    assert_int_equal(console_io(CONSOLEIO_write, 1, 1ul << 63), -EFAULT);
    assert_int_equal(out_len, 0);
    assert_int_equal(console_io(2, 1, guest_va(1)), -ENOSYS);
    assert_int_equal(console_io(~0u, 1, guest_va(1)), -ENOSYS);
}

/* Each of the guest's lines is a line of the log, and names its domain: a guest cannot make one
 * that looks like another's or ours. */
static void guests_lines(void **state)
{
    static const char text[] = "hello\n(XEN) \033[2Jforged\r\n\n\tend";
    const char *log;

    guest_be(domu, 0);
    param_parse("guest_loglvl=all");
    host_log();
    assert_int_equal(write_all(domu, text, sizeof(text) - 1), 0);
    log = host_log();
    assert_non_null(strstr(log, "domain 5: hello\n"));
    assert_non_null(strstr(log, "domain 5: (XEN) [2Jforged\n"));
    assert_non_null(strstr(log, "domain 5: end\n"));
    assert_null(strchr(log, '\033'));
}

static void read_once_and_in_order(void **state)
{
    const char *page = guest_page(dom0, 2);

    assert_int_equal(console_io(CONSOLEIO_read, 16, guest_va(2)), 0);
    for (const char *s = "typed text"; *s; s++)
        console_input(*s);
    assert_int_equal(console_io(CONSOLEIO_read, 5, guest_va(2)), 5);
    assert_memory_equal(page, "typed", 5);
    assert_int_equal(console_io(CONSOLEIO_read, 0, guest_va(2)), 0);
    assert_int_equal(console_io(CONSOLEIO_read, ~0u, guest_va(2)), 5);
    assert_memory_equal(page, " text", 5);
    assert_int_equal(console_io(CONSOLEIO_read, 16, guest_va(2)), 0);
}

static void more_than_is_kept(void **state)
{
    const char *page = guest_page(dom0, 2);

    for (unsigned round = 0; round < 5; round++) {
        unsigned n = 0;

        for (unsigned i = 0; i < 4500; i++)
            console_input((char)(i % 251));
        memset(guest_page(dom0, 2), 0x7e, PAGE_SIZE);
        /* Of a long paste the first 4096 stay, and come in pieces. */
        while (console_io(CONSOLEIO_read, 4096, guest_va(2)) == 128) {
            for (unsigned i = 0; i < 128; i++, n++)
                assert_int_equal(page[i], (char)(n % 251));
            assert_int_equal(page[128], 0x7e);
        }
        assert_int_equal(n, 4096);
    }
}

static void typing_raises_the_virq(void **state)
{
    struct evtchn_bind_virq a = {.virq = VIRQ_CONSOLE};

    memcpy(guest_page(dom0, 0), &a, sizeof(a));
    assert_int_equal(event_channel_op(EVTCHNOP_bind_virq, guest_va(0)), 0);
    memcpy(&a, guest_page(dom0, 0), sizeof(a));
    assert_false(bitmap_test(dom0->d->shared_info->evtchn_pending, a.port));
    console_input('x');
    assert_true(bitmap_test(dom0->d->shared_info->evtchn_pending, a.port));
}

static void who_may_read(void **state)
{
    console_input('s');
    guest_be(domu, 0);
    assert_int_equal(console_io(CONSOLEIO_read, 16, guest_va(2)), -EPERM);
    guest_be(dom0, 0);
    assert_int_equal(console_io(CONSOLEIO_read, 16, guest_va(2)), 1);
}

/* A buffer that is not there costs no keys. */
static void input_survives_a_fault(void **state)
{
    console_input('k');
    assert_int_equal(console_io(CONSOLEIO_read, 16, 0x1000), -EFAULT);
    assert_int_equal(console_io(CONSOLEIO_read, 16, HV_VA_START), -EFAULT);
    assert_int_equal(console_io(CONSOLEIO_read, 16, guest_va(2)), 1);
    assert_int_equal(*(char *)guest_page(dom0, 2), 'k');
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(domain0_writes_bytes),   TEST(preempted),
        TEST(write_faults),           TEST(guests_lines),
        TEST(read_once_and_in_order), TEST(more_than_is_kept),
        TEST(typing_raises_the_virq), TEST(who_may_read),
        TEST(input_survives_a_fault),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
