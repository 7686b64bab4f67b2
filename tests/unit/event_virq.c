/* SPDX-License-Identifier: MIT */
/* event/virq.c, pirq.c, two_level.c and dump.c, besides what event_op.c has: every VIRQ, every bit
 * of the 2-level bitmaps, PIRQs at the borders of their pages, and what the debug key shows. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "guest.h"
#include "event/event.h"
#include "event/table.h"

static struct guest *dom0, *domu;

static int setup(void **state)
{
    guest_machine(1);
    dom0 = guest_new(0, 2, true);
    domu = guest_new(5, 2, false);
    guest_be(domu, 0);
    event_pirq_ops = NULL;
    return 0;
}

static int teardown(void **state)
{
    guest_kill(domu);
    guest_kill(dom0);
    assert_int_equal(frame_audit(), 0);
    return 0;
}

static long bind(struct guest *g, uint32_t virq, uint32_t vcpu, uint32_t *port)
{
    struct evtchn_bind_virq a = {.virq = virq, .vcpu = vcpu};
    long rc;

    memcpy(guest_page(g, 0), &a, sizeof(a));
    rc = event_channel_op(EVTCHNOP_bind_virq, guest_va(0));
    memcpy(&a, guest_page(g, 0), sizeof(a));
    *port = a.port;
    return rc;
}

static bool is_per_vcpu(uint32_t virq) /* public xen.h */
{
    return virq == VIRQ_TIMER || virq == VIRQ_DEBUG || virq == VIRQ_XENOPROF || virq == VIRQ_XENPMU;
}

static void every_virq(void **state)
{
    uint32_t port, one;

    for (uint32_t virq = 0; virq < NR_VIRQS; virq++) {
        assert_int_equal(virq_is_global(virq), !is_per_vcpu(virq));
        assert_int_equal(bind(domu, virq, 0, &port), 0);
        assert_int_equal(bind(domu, virq, 0, &one), -EEXIST);
        if (is_per_vcpu(virq)) {
            assert_int_equal(bind(domu, virq, 1, &one), 0);
            assert_int_not_equal(port, one);
            event_send_vcpu_virq(domu->d->vcpu[1], virq);
            assert_true(two_level_pending(domu->d, one));
            assert_false(two_level_pending(domu->d, port));
            assert_int_equal(bind(domu, virq, 2, &one), -ENOENT);
            assert_int_equal(event_set_virq_handler(domu->d, virq), -EINVAL);
            continue;
        }
        assert_int_equal(bind(domu, virq, 1, &one), -EINVAL);
        event_send_global_virq(virq); /* domain 0's: not ours */
        assert_false(two_level_pending(domu->d, port));
        assert_int_equal(event_set_virq_handler(domu->d, virq), 0);
        event_send_global_virq(virq);
        assert_true(two_level_pending(domu->d, port));
    }
    assert_int_equal(bind(domu, NR_VIRQS, 0, &port), -EINVAL);
    assert_int_equal(bind(domu, ~0u, 0, &port), -EINVAL);
    assert_int_equal(event_set_virq_handler(domu->d, NR_VIRQS), -EINVAL);
    assert_int_equal(event_set_virq_handler(domu->d, ~0u), -EINVAL);
}

/* Else the handler would stay behind when the domain is freed. */
static void no_handler_that_dies(void **state)
{
    domu->d->events->dying = true;
    assert_int_equal(event_set_virq_handler(domu->d, VIRQ_CONSOLE), -ESRCH);
    domu->d->events->dying = false;
}

/* Raise, mask, unmask, clear: each port's own bits and selector, and no others. */
static void two_level_bits(void **state)
{
    static const uint32_t ports[] = {1, 63, 64, 127, 2048, 4032, 4095};
    struct shared_info *s = domu->d->shared_info;
    struct vcpu *v = domu->d->vcpu[1];
    struct vcpu_info *info = v->info;

    for (unsigned i = 0; i < ARRAY_SIZE(ports); i++) {
        uint32_t p = ports[i];

        memset(s->evtchn_pending, 0, sizeof(s->evtchn_pending));
        memset(s->evtchn_mask, 0, sizeof(s->evtchn_mask));
        info->evtchn_pending_sel = 0;
        info->evtchn_upcall_pending = 0;
        bitmap_set(s->evtchn_mask, p);
        two_level_raise(domu->d, p, v);
        assert_true(two_level_pending(domu->d, p) && two_level_masked(domu->d, p));
        assert_int_equal(bitmap_weight(s->evtchn_pending, EVTCHN_2L_NR_CHANNELS), 1);
        assert_int_equal(info->evtchn_pending_sel, 0);
        assert_int_equal(info->evtchn_upcall_pending, 0);
        two_level_unmask(domu->d, p, v);
        assert_false(two_level_masked(domu->d, p));
        assert_int_equal(info->evtchn_pending_sel, 1ul << (p / 64));
        assert_int_equal(info->evtchn_upcall_pending, 1);
        info->evtchn_upcall_pending = 0;
        two_level_unmask(domu->d, p, v); /* it was not masked */
        assert_int_equal(info->evtchn_upcall_pending, 0);
        two_level_clear(domu->d, p);
        assert_false(two_level_pending(domu->d, p));
    }
    assert_int_equal(domu->d->vcpu[0]->info->evtchn_pending_sel, 0);
}

static void beyond_the_bitmaps(void **state)
{
    struct shared_info *s = domu->d->shared_info, before = *s;
    static const uint32_t ports[] = {4096, 4097, 131071, 1u << 31, ~0u};

    for (unsigned i = 0; i < ARRAY_SIZE(ports); i++) {
        two_level_raise(domu->d, ports[i], domu->d->vcpu[0]);
        two_level_unmask(domu->d, ports[i], domu->d->vcpu[0]);
        two_level_clear(domu->d, ports[i]);
        assert_false(two_level_pending(domu->d, ports[i]));
        assert_false(two_level_masked(domu->d, ports[i]));
    }
    assert_memory_equal(s, &before, sizeof(before));
}

/* ---- PIRQs ---- */

static unsigned bound, unbound;

static int pirq_bind(struct domain *d, unsigned pirq, bool shareable)
{
    bound = pirq;
    return 0;
}

static void pirq_unbind_op(struct domain *d, unsigned pirq)
{
    unbound = pirq;
}

static const struct event_pirq_ops pirq_ops = {.bind = pirq_bind, .unbind = pirq_unbind_op};

static void pirqs_at_borders(void **state)
{
    static const uint32_t pirqs[] = {0, 1, 1023, 1024, 2047, 4095};
    uint32_t port[ARRAY_SIZE(pirqs)];

    event_pirq_ops = &pirq_ops;
    for (unsigned i = 0; i < ARRAY_SIZE(pirqs); i++) {
        struct evtchn_bind_pirq a = {.pirq = pirqs[i]};

        assert_int_equal(event_pirq_port(domu->d, pirqs[i]), 0);
        memcpy(guest_page(domu, 0), &a, sizeof(a));
        assert_int_equal(event_channel_op(EVTCHNOP_bind_pirq, guest_va(0)), 0);
        memcpy(&a, guest_page(domu, 0), sizeof(a));
        port[i] = a.port;
        assert_int_equal(bound, pirqs[i]);
    }
    for (unsigned i = 0; i < ARRAY_SIZE(pirqs); i++) {
        assert_int_equal(event_pirq_port(domu->d, pirqs[i]), port[i]);
        event_send_pirq(domu->d, pirqs[i]);
        for (unsigned j = 0; j < ARRAY_SIZE(pirqs); j++)
            assert_int_equal(two_level_pending(domu->d, port[j]), j <= i);
    }
    /* A result that cannot be told: the port is closed again. */
    unbound = ~0u;
    {
        struct evtchn_bind_pirq a = {.pirq = 77};
        paddr_t next = domu->root + PAGE_SIZE;

        memcpy(guest_page(domu, 1), &a, sizeof(a));
        host_map_guest(domu->root, &next, guest_va(1), pte_make(domu->mfn[1], PTE_P | PTE_U));
        assert_int_equal(event_channel_op(EVTCHNOP_bind_pirq, guest_va(1)), -EFAULT);
        assert_int_equal(unbound, 77);
        assert_int_equal(event_pirq_port(domu->d, 77), 0);
    }
    assert_int_equal(event_pirq_port(domu->d, 4096), 0);
    assert_int_equal(event_pirq_port(domu->d, ~0u), 0);
    event_send_pirq(domu->d, 4096);
}

/* ---- the debug key ---- */

static void dump_shows_what_is_open(void **state)
{
    uint32_t port;
    const char *log;

    assert_int_equal(bind(domu, VIRQ_TIMER, 1, &port), 0);
    event_send_vcpu_virq(domu->d->vcpu[1], VIRQ_TIMER);
    bitmap_set(domu->d->shared_info->evtchn_mask, port);
    host_log();
    event_dump(domu->d);
    log = host_log();
    assert_non_null(strstr(log, "domain 5: event channels, 2-level, 1 of"));
    assert_non_null(strstr(log, "[pm-] virq"));
    assert_non_null(strstr(log, "vCPU 1"));
    assert_null(strstr(log, "and more"));
}

static void dump_has_an_end(void **state)
{
    struct evtchn_alloc_unbound a = {.dom = DOMID_SELF, .remote_dom = 0};
    unsigned lines = 0;
    const char *log;

    for (unsigned i = 0; i < 300; i++) {
        memcpy(guest_page(domu, 0), &a, sizeof(a));
        assert_int_equal(event_channel_op(EVTCHNOP_alloc_unbound, guest_va(0)), 0);
    }
    host_log();
    event_dump(domu->d);
    log = host_log();
    assert_non_null(strstr(log, "300 of"));
    assert_non_null(strstr(log, "and more"));
    for (const char *p = log; (p = strstr(p, "unbound")); p++)
        lines++;
    assert_int_equal(lines, 256);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(every_virq),           TEST(two_level_bits),          TEST(beyond_the_bitmaps),
        TEST(pirqs_at_borders),     TEST(dump_shows_what_is_open), TEST(dump_has_an_end),
        TEST(no_handler_that_dies),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
