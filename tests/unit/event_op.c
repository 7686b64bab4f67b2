/* SPDX-License-Identifier: MIT */
/* event/: the sub-operations of event_channel_op over the 2-level ABI, with two domains. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "guest.h"
#include "event/event.h"
#include "lib/bitmap.h"
#include "lib/errno.h"

static struct guest *dom0, *domu;

/* Calls as the current vCPU, with the structure in page 0. */
#define CALL(g, cmd, a)                                      \
    ({                                                       \
        long rc_;                                            \
        memcpy(guest_page(g, 0), (a), sizeof(*(a)));         \
        rc_ = event_channel_op(EVTCHNOP_##cmd, guest_va(0)); \
        memcpy((a), guest_page(g, 0), sizeof(*(a)));         \
        rc_;                                                 \
    })

static int setup(void **state)
{
    guest_machine(1);
    dom0 = guest_new(0, 2, true);
    domu = guest_new(5, 2, false);
    guest_be(dom0, 0);
    return 0;
}

static int teardown(void **state)
{
    guest_kill(domu);
    guest_kill(dom0);
    assert_int_equal(frame_audit(), 0);
    return 0;
}

static uint32_t alloc_unbound(struct guest *caller, domid_t dom, domid_t remote)
{
    struct evtchn_alloc_unbound a = {.dom = dom, .remote_dom = remote};

    assert_int_equal(CALL(caller, alloc_unbound, &a), 0);
    return a.port;
}

static uint32_t bind_interdomain(struct guest *g, domid_t remote, uint32_t port)
{
    struct evtchn_bind_interdomain a = {.remote_dom = remote, .remote_port = port};

    assert_int_equal(CALL(g, bind_interdomain, &a), 0);
    return a.local_port;
}

static uint32_t status_of(struct guest *g, uint32_t port, struct evtchn_status *a)
{
    *a = (struct evtchn_status){.dom = DOMID_SELF, .port = port};
    assert_int_equal(CALL(g, status, a), 0);
    return a->status;
}

static bool is_pending(struct guest *g, uint32_t port)
{
    return bitmap_test(g->d->shared_info->evtchn_pending, port);
}

static long send(struct guest *g, uint32_t port)
{
    struct evtchn_send a = {.port = port};

    return CALL(g, send, &a);
}

static long do_close(struct guest *g, uint32_t port)
{
    struct evtchn_close a = {.port = port};

    return CALL(g, close, &a);
}

static void test_connect_send_close(void **state)
{
    struct vcpu_info *info = domu->d->vcpu[0]->info;
    struct evtchn_status s;
    uint32_t far = alloc_unbound(dom0, 5, 0), near = bind_interdomain(dom0, 5, far);

    assert_true(is_pending(dom0, near)); /* at once */
    assert_false(is_pending(domu, far));
    assert_int_equal(status_of(dom0, near, &s), EVTCHNSTAT_interdomain);
    assert_int_equal(s.u.interdomain.dom, 5);
    assert_int_equal(s.u.interdomain.port, far);

    info->evtchn_upcall_pending = 0;
    info->evtchn_pending_sel = 0;
    assert_int_equal(send(dom0, near), 0);
    assert_true(is_pending(domu, far));
    assert_int_equal(info->evtchn_upcall_pending, 1);
    assert_int_equal(info->evtchn_pending_sel, 1ul << (far / 64));
    /* Again while it is pending: nothing. */
    info->evtchn_upcall_pending = 0;
    assert_int_equal(send(dom0, near), 0);
    assert_int_equal(info->evtchn_upcall_pending, 0);

    assert_int_equal(do_close(dom0, near), 0);
    assert_false(is_pending(dom0, near));
    assert_int_equal(send(dom0, near), -EINVAL);
    guest_be(domu, 0);
    assert_int_equal(status_of(domu, far, &s), EVTCHNSTAT_unbound);
    assert_int_equal(s.u.unbound.dom, 0);
    assert_int_equal(send(domu, far), 0); /* nobody there */
    guest_be(dom0, 0);
    assert_int_equal(bind_interdomain(dom0, 5, far), near); /* again, and the lowest port */
}

static void test_masked_and_unmask(void **state)
{
    struct vcpu_info *info = domu->d->vcpu[0]->info;
    uint32_t far = alloc_unbound(dom0, 5, 0), near = bind_interdomain(dom0, 5, far);
    struct evtchn_unmask u = {.port = far};

    bitmap_set(domu->d->shared_info->evtchn_mask, far);
    info->evtchn_upcall_pending = 0;
    assert_int_equal(send(dom0, near), 0);
    assert_true(is_pending(domu, far));
    assert_int_equal(info->evtchn_upcall_pending, 0);
    assert_int_equal(info->evtchn_pending_sel, 0);
    guest_be(domu, 0);
    assert_int_equal(CALL(domu, unmask, &u), 0);
    assert_int_equal(info->evtchn_upcall_pending, 1);
    assert_false(bitmap_test(domu->d->shared_info->evtchn_mask, far));
    u.port = 0;
    assert_int_equal(CALL(domu, unmask, &u), -EINVAL);
    u.port = 5000;
    assert_int_equal(CALL(domu, unmask, &u), -EINVAL);
}

static void test_loopback(void **state)
{
    uint32_t a = alloc_unbound(dom0, DOMID_SELF, DOMID_SELF), b;

    b = bind_interdomain(dom0, DOMID_SELF, a);
    assert_true(is_pending(dom0, b));
    assert_int_equal(send(dom0, b), 0);
    assert_true(is_pending(dom0, a));
    assert_int_equal(do_close(dom0, a), 0);
    assert_int_equal(do_close(dom0, b), 0);
}

static void test_who_may(void **state)
{
    struct evtchn_alloc_unbound a = {.dom = 0, .remote_dom = 5};
    struct evtchn_bind_interdomain b = {.remote_dom = 0};
    struct evtchn_status s = {.dom = 0, .port = 1};
    struct evtchn_reset r = {.dom = 0};

    b.remote_port = alloc_unbound(dom0, DOMID_SELF, 7); /* for another */
    guest_be(domu, 0);
    assert_int_equal(CALL(domu, alloc_unbound, &a), -EPERM);
    assert_int_equal(CALL(domu, status, &s), -EPERM);
    assert_int_equal(CALL(domu, reset, &r), -EPERM);
    assert_int_equal(CALL(domu, bind_interdomain, &b), -EINVAL);
    b.remote_port = 100000;
    assert_int_equal(CALL(domu, bind_interdomain, &b), -EINVAL);
    b.remote_dom = 99;
    assert_int_equal(CALL(domu, bind_interdomain, &b), -ESRCH);
    a.dom = 99;
    assert_int_equal(CALL(domu, alloc_unbound, &a), -ESRCH);
    guest_be(dom0, 0);
    r.dom = 5;
    assert_int_equal(CALL(dom0, reset, &r), -EINVAL); /* not paused */
}

static void test_virq(void **state)
{
    struct evtchn_bind_virq a = {.virq = VIRQ_TIMER, .vcpu = 1}, b = {.virq = VIRQ_CONSOLE};
    struct evtchn_bind_vcpu move;
    struct evtchn_status s;

    assert_int_equal(CALL(dom0, bind_virq, &a), 0);
    assert_int_equal(CALL(dom0, bind_virq, &a), -EEXIST);
    assert_int_equal(status_of(dom0, a.port, &s), EVTCHNSTAT_virq);
    assert_int_equal(s.vcpu, 1);
    assert_int_equal(s.u.virq, VIRQ_TIMER);
    event_send_vcpu_virq(dom0->d->vcpu[0], VIRQ_TIMER); /* not bound there */
    assert_false(is_pending(dom0, a.port));
    event_send_vcpu_virq(dom0->d->vcpu[1], VIRQ_TIMER);
    assert_true(is_pending(dom0, a.port));
    assert_int_equal(dom0->d->vcpu[1]->info->evtchn_upcall_pending, 1);
    assert_int_equal(dom0->d->vcpu[0]->info->evtchn_upcall_pending, 0);

    move = (struct evtchn_bind_vcpu){.port = a.port, .vcpu = 0};
    assert_int_equal(CALL(dom0, bind_vcpu, &move), -EINVAL);

    assert_int_equal(CALL(dom0, bind_virq, &b), 0);
    move = (struct evtchn_bind_vcpu){.port = b.port, .vcpu = 1};
    assert_int_equal(CALL(dom0, bind_vcpu, &move), 0);
    event_send_global_virq(VIRQ_CONSOLE);
    assert_true(is_pending(dom0, b.port));
    assert_int_equal(do_close(dom0, b.port), 0); /* though it moved */
    assert_int_equal(CALL(dom0, bind_virq, &b), 0);

    b.virq = NR_VIRQS;
    assert_int_equal(CALL(dom0, bind_virq, &b), -EINVAL);
    b = (struct evtchn_bind_virq){.virq = VIRQ_CONSOLE, .vcpu = 1};
    assert_int_equal(CALL(dom0, bind_virq, &b), -EINVAL);
    b = (struct evtchn_bind_virq){.virq = VIRQ_DEBUG, .vcpu = 2};
    assert_int_equal(CALL(dom0, bind_virq, &b), -ENOENT);
}

static void test_virq_handler_dies(void **state)
{
    struct evtchn_bind_virq a = {.virq = VIRQ_DOM_EXC}, b = {.virq = VIRQ_DOM_EXC};

    assert_int_equal(CALL(dom0, bind_virq, &a), 0);
    guest_be(domu, 0);
    assert_int_equal(CALL(domu, bind_virq, &b), 0);
    guest_be(dom0, 0);
    assert_int_equal(event_set_virq_handler(domu->d, VIRQ_TIMER), -EINVAL);
    assert_int_equal(event_set_virq_handler(domu->d, VIRQ_DOM_EXC), 0);
    event_send_global_virq(VIRQ_DOM_EXC);
    assert_true(is_pending(domu, b.port));
    assert_false(is_pending(dom0, a.port));
    guest_kill(domu);
    event_send_global_virq(VIRQ_DOM_EXC);
    assert_true(is_pending(dom0, a.port));
    domu = guest_new(6, 1, false);
}

static void test_ipi(void **state)
{
    struct evtchn_bind_ipi a = {.vcpu = 1}, bad = {.vcpu = 2};
    struct evtchn_bind_vcpu move;

    assert_int_equal(CALL(dom0, bind_ipi, &bad), -ENOENT);
    assert_int_equal(CALL(dom0, bind_ipi, &a), 0);
    assert_int_equal(send(dom0, a.port), 0);
    assert_true(is_pending(dom0, a.port));
    assert_int_equal(dom0->d->vcpu[1]->info->evtchn_upcall_pending, 1);
    move = (struct evtchn_bind_vcpu){.port = a.port, .vcpu = 0};
    assert_int_equal(CALL(dom0, bind_vcpu, &move), -EINVAL);
}

/* ---- physical interrupts ---- */

static unsigned bound, unbound;

static int pirq_bind(struct domain *d, unsigned pirq, bool shareable)
{
    bound = pirq;
    return pirq == 13 ? -EBUSY : 0;
}

static void pirq_unbind(struct domain *d, unsigned pirq)
{
    unbound = pirq;
}

static const struct event_pirq_ops pirq_ops = {.bind = pirq_bind, .unbind = pirq_unbind};

static void test_pirq(void **state)
{
    struct evtchn_bind_pirq a = {.pirq = 9}, bad = {.pirq = 13};

    event_pirq_ops = NULL;
    assert_int_equal(CALL(dom0, bind_pirq, &a), -EPERM);
    event_pirq_ops = &pirq_ops;
    assert_int_equal(CALL(dom0, bind_pirq, &a), 0);
    assert_int_equal(bound, 9);
    assert_int_equal(CALL(dom0, bind_pirq, &a), -EEXIST);
    assert_int_equal(CALL(dom0, bind_pirq, &bad), -EBUSY);
    assert_int_equal(event_pirq_port(dom0->d, 13), 0);
    bad.pirq = 1u << 30;
    assert_int_equal(CALL(dom0, bind_pirq, &bad), -EINVAL);
    assert_int_equal(event_pirq_port(dom0->d, 9), a.port);
    event_send_pirq(dom0->d, 10);
    event_send_pirq(dom0->d, ~0u);
    event_send_pirq(dom0->d, 9);
    assert_true(is_pending(dom0, a.port));
    assert_int_equal(send(dom0, a.port), -EINVAL);
    assert_int_equal(do_close(dom0, a.port), 0);
    assert_int_equal(unbound, 9);
    assert_int_equal(event_pirq_port(dom0->d, 9), 0);
}

/* ---- the hypervisor's ports ---- */

static unsigned consumed;

static void consumer(struct vcpu *v, uint32_t port)
{
    assert_ptr_equal(v, domu->d->vcpu[1]);
    consumed++;
}

static void test_hypervisor_port(void **state)
{
    struct evtchn_status s = {.dom = DOMID_SELF};
    uint32_t port, near;

    assert_int_equal(event_alloc_hypervisor_port(domu->d, 7, 0, consumer, &port), -ENOENT);
    assert_int_equal(event_alloc_hypervisor_port(domu->d, 1, 0, consumer, &port), 0);
    near = bind_interdomain(dom0, 5, port);
    assert_int_equal(send(dom0, near), 0);
    assert_int_equal(consumed, 1);
    assert_false(is_pending(domu, port));
    dom0->d->shared_info->evtchn_pending[0] = 0;
    event_notify_hypervisor_port(domu->d, port);
    assert_true(is_pending(dom0, near));
    /* The guest cannot touch it. */
    guest_be(domu, 0);
    s.port = port;
    assert_int_equal(send(domu, port), -EINVAL);
    assert_int_equal(do_close(domu, port), -EINVAL);
    assert_int_equal(CALL(domu, status, &s), -EACCES);
    guest_be(dom0, 0);
    assert_int_equal(do_close(dom0, near), 0);
    event_notify_hypervisor_port(domu->d, port);
    event_close_hypervisor_port(domu->d, port);
    event_close_hypervisor_port(domu->d, port);
}

/* ---- limits and faults ---- */

static void test_all_ports(void **state)
{
    struct evtchn_alloc_unbound a = {.dom = DOMID_SELF, .remote_dom = 0};
    struct evtchn_reset r = {.dom = DOMID_SELF};
    long rc = 0;
    unsigned n = 0;

    while ((rc = CALL(dom0, alloc_unbound, &a)) == 0)
        n++;
    assert_int_equal(rc, -ENOSPC);
    assert_int_equal(n, EVTCHN_2L_NR_CHANNELS - 1);
    assert_int_equal(do_close(dom0, 77), 0);
    assert_int_equal(alloc_unbound(dom0, DOMID_SELF, 0), 77);
    guest_preempt = 3;
    for (n = 0;; n++) {
        dom0->d->vcpu[0]->continued = false;
        assert_int_equal(CALL(dom0, reset, &r), 0);
        guest_exit();
        if (!dom0->d->vcpu[0]->continued)
            break;
    }
    guest_preempt = 0;
    assert_true(n > 5);
    assert_int_equal(alloc_unbound(dom0, DOMID_SELF, 0), 1);
}

static void test_faults(void **state)
{
    const uint64_t bad[] = {
        0, guest_va(GUEST_FRAMES), 0xffff800000000000ul, 0xffff830000000000ul, 1ul << 47, ~0ul - 2};

    for (unsigned cmd = 0; cmd <= EVTCHNOP_set_priority; cmd++)
        for (unsigned i = 0; i < ARRAY_SIZE(bad); i++)
            assert_int_equal(event_channel_op(cmd, bad[i]), -EFAULT);
    assert_int_equal(event_channel_op(14, guest_va(0)), -ENOSYS);
    assert_int_equal(event_channel_op(~0u, guest_va(0)), -ENOSYS);
}

/* A port whose number could not be told is taken back. */
static void test_fault_of_the_result(void **state)
{
    uint64_t *table = host_ram(dom0->root);
    struct evtchn_bind_ipi a = {.vcpu = 1};
    uint64_t *pte;

    memcpy(guest_page(dom0, 0), &a, sizeof(a));
    for (unsigned level = 4; level > 1; level--)
        table = host_ram(table[pt_index(guest_va(0), level)] & PTE_ADDR_MASK);
    pte = &table[pt_index(guest_va(0), 1)];
    *pte &= ~PTE_RW;
    assert_int_equal(event_channel_op(EVTCHNOP_bind_ipi, guest_va(0)), -EFAULT);
    *pte |= PTE_RW;
    assert_int_equal(alloc_unbound(dom0, DOMID_SELF, 0), 1);
}

static void test_peer_dies(void **state)
{
    uint32_t far = alloc_unbound(dom0, 5, 0), near = bind_interdomain(dom0, 5, far);
    struct evtchn_status s;

    guest_kill(domu);
    guest_be(dom0, 0);
    assert_int_equal(status_of(dom0, near, &s), EVTCHNSTAT_unbound);
    assert_int_equal(send(dom0, near), 0);
    domu = guest_new(6, 1, false);
    guest_be(dom0, 0);
}

static void test_poll_wakes(void **state)
{
    struct vcpu *v = domu->d->vcpu[1];
    uint32_t far = alloc_unbound(dom0, 5, 0), near = bind_interdomain(dom0, 5, far);

    bitmap_set(domu->d->shared_info->evtchn_mask, far);
    v->poll_port = far + 1;
    event_poll_start(v);
    assert_int_equal(send(dom0, near), 0);
    assert_true(v->pause & BIT(VCPU_POLLING_BIT)); /* another port */
    domu->d->shared_info->evtchn_pending[0] = 0;
    v->poll_port = far;
    assert_int_equal(send(dom0, near), 0);
    assert_false(v->pause & BIT(VCPU_POLLING_BIT));
    assert_int_equal(event_port_pending(domu->d, far), 1);
    assert_int_equal(event_port_pending(domu->d, 0), -EINVAL);
    assert_int_equal(event_port_pending(domu->d, 1u << 20), -EINVAL);
}

static void test_dump(void **state)
{
    bind_interdomain(dom0, 5, alloc_unbound(dom0, 5, 0));
    host_log();
    event_dump(domu->d);
    assert_non_null(strstr(host_log(), "2-level, 1 of"));
}

/* Random calls with random numbers, from both sides; then all is taken apart. */
static void test_random_calls(void **state)
{
    srand(7);
    for (unsigned n = 0; n < 40000; n++) {
        struct guest *g = rand() % 2 ? dom0 : domu;
        uint32_t *words;

        guest_be(g, (unsigned)rand() % 2);
        words = guest_page(g, 0);
        for (unsigned i = 0; i < 8; i++)
            words[i] = (uint32_t)rand() % (rand() % 4 ? 24 : 70000);
        if (rand() % 2)
            words[0] = rand() % 2 ? DOMID_SELF : 5;
        if (rand() % 3 == 0)
            words[0] = (rand() % 2 ? 5u : 0) | (rand() % 2 ? 5u << 16 : 0);
        if (event_channel_op((uint32_t)rand() % 15, guest_va(0)) == 0)
            guest_exit();
    }
    guest_be(dom0, 0);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_connect_send_close),
        TEST(test_masked_and_unmask),
        TEST(test_loopback),
        TEST(test_who_may),
        TEST(test_virq),
        TEST(test_virq_handler_dies),
        TEST(test_ipi),
        TEST(test_pirq),
        TEST(test_hypervisor_port),
        TEST(test_all_ports),
        TEST(test_faults),
        TEST(test_fault_of_the_result),
        TEST(test_peer_dies),
        TEST(test_poll_wakes),
        TEST(test_dump),
        TEST(test_random_calls),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
