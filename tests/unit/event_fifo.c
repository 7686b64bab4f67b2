/* SPDX-License-Identifier: MIT */
/* event/fifo: queues as a guest's kernel takes them apart, priorities, moves between vCPUs, what is
 * pending before its word exists; and guests that scribble over words and control blocks. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "guest.h"
#include "event/event.h"
#include "lib/errno.h"

#define CONTROL(cpu) (1 + (cpu)) /* pages of the guest */
#define ARRAY        3
#define LINKED       (1u << EVTCHN_FIFO_LINKED)
#define PENDING      (1u << EVTCHN_FIFO_PENDING)
#define MASKED       (1u << EVTCHN_FIFO_MASKED)

static struct guest *dom0, *domu;

#define CALL(g, cmd, a)                                      \
    ({                                                       \
        long rc_;                                            \
        memcpy(guest_page(g, 0), (a), sizeof(*(a)));         \
        rc_ = event_channel_op(EVTCHNOP_##cmd, guest_va(0)); \
        memcpy((a), guest_page(g, 0), sizeof(*(a)));         \
        rc_;                                                 \
    })

static event_word_t *word(unsigned port)
{
    return (event_word_t *)guest_page(domu, ARRAY) + port;
}

static struct evtchn_fifo_control_block *control(unsigned cpu)
{
    return guest_page(domu, CONTROL(cpu));
}

static long init_control(unsigned cpu, uint32_t offset)
{
    struct evtchn_init_control a = {
        .control_gfn = domu->mfn[CONTROL(cpu)].n, .offset = offset, .vcpu = cpu};
    long rc = CALL(domu, init_control, &a);

    if (!rc)
        assert_int_equal(a.link_bits, EVTCHN_FIFO_LINK_BITS);
    return rc;
}

static long expand(unsigned page)
{
    struct evtchn_expand_array a = {.array_gfn = domu->mfn[page].n};

    return CALL(domu, expand_array, &a);
}

static int setup(void **state)
{
    guest_machine(2);
    dom0 = guest_new(0, 2, true);
    domu = guest_new(5, 2, false);
    guest_be(domu, 0);
    return 0;
}

static int setup_fifo(void **state)
{
    setup(state);
    assert_int_equal(init_control(0, 0), 0);
    assert_int_equal(init_control(1, 0), 0);
    assert_int_equal(expand(ARRAY), 0);
    return 0;
}

static int teardown(void **state)
{
    assert_int_equal(frame_audit(), 0);
    guest_kill(domu);
    guest_kill(dom0);
    assert_int_equal(frame_audit(), 0);
    return 0;
}

/* An event of the guest to itself: a port bound to `cpu`. */
static uint32_t new_ipi(unsigned cpu)
{
    struct evtchn_bind_ipi a = {.vcpu = cpu};

    assert_int_equal(CALL(domu, bind_ipi, &a), 0);
    return a.port;
}

static long send(uint32_t port)
{
    return event_send(domu->d, port);
}

/* The guest's half, as the public header has it: takes the next event of a queue, 0 if none. */
static uint32_t take(unsigned cpu, unsigned queue)
{
    static uint32_t head[2][EVTCHN_FIFO_MAX_QUEUES];
    uint32_t *h = &head[cpu][queue], port;
    event_word_t old;

    if (!(control(cpu)->ready & 1u << queue))
        return 0;
    if (!*h)
        *h = control(cpu)->head[queue];
    port = *h;
    if (!port)
        return 0;
    old = *word(port);
    *word(port) = old & ~(LINKED | EVTCHN_FIFO_LINK_MASK);
    *h = old & EVTCHN_FIFO_LINK_MASK;
    if (!*h)
        control(cpu)->ready &= ~(1u << queue);
    *word(port) &= ~PENDING;
    return port;
}

static void test_order(void **state)
{
    uint32_t port[20];

    for (unsigned i = 0; i < 20; i++)
        port[i] = new_ipi(0);
    for (unsigned round = 0; round < 3; round++) {
        for (unsigned i = 0; i < 20; i++)
            assert_int_equal(send(port[(i * 7) % 20]), 0);
        assert_int_equal(send(port[3]), 0); /* is there already */
        assert_int_equal(control(0)->ready, 1u << EVTCHN_FIFO_PRIORITY_DEFAULT);
        assert_int_equal(domu->d->vcpu[0]->info->evtchn_upcall_pending, 1);
        for (unsigned i = 0; i < 20; i++)
            assert_int_equal(take(0, EVTCHN_FIFO_PRIORITY_DEFAULT), port[(i * 7) % 20]);
        assert_int_equal(control(0)->ready, 0);
    }
}

static void test_one_port_again_and_again(void **state)
{
    uint32_t port = new_ipi(1);

    for (unsigned i = 0; i < 10; i++) {
        domu->d->vcpu[1]->info->evtchn_upcall_pending = 0;
        assert_int_equal(send(port), 0);
        assert_int_equal(domu->d->vcpu[1]->info->evtchn_upcall_pending, 1);
        assert_int_equal(*word(port) & EVTCHN_FIFO_LINK_MASK, 0); /* not behind itself */
        assert_int_equal(take(1, EVTCHN_FIFO_PRIORITY_DEFAULT), port);
    }
}

static void test_priorities(void **state)
{
    uint32_t a = new_ipi(0), b = new_ipi(0);
    struct evtchn_set_priority p = {.port = a, .priority = 2};

    assert_int_equal(CALL(domu, set_priority, &p), 0);
    assert_int_equal(send(a), 0);
    assert_int_equal(send(b), 0);
    assert_int_equal(control(0)->ready, 1u << 2 | 1u << EVTCHN_FIFO_PRIORITY_DEFAULT);
    assert_int_equal(take(0, 2), a);
    assert_int_equal(take(0, EVTCHN_FIFO_PRIORITY_DEFAULT), b);
    p.priority = 16;
    assert_int_equal(CALL(domu, set_priority, &p), -EINVAL);
    p = (struct evtchn_set_priority){.port = 5000};
    assert_int_equal(CALL(domu, set_priority, &p), -EINVAL);
}

static void test_masked(void **state)
{
    uint32_t port = new_ipi(0);
    struct evtchn_unmask u = {.port = port};

    *word(port) |= MASKED;
    assert_int_equal(send(port), 0);
    assert_int_equal(*word(port), PENDING | MASKED);
    assert_int_equal(control(0)->ready, 0);
    assert_int_equal(CALL(domu, unmask, &u), 0);
    assert_int_equal(*word(port), PENDING | LINKED);
    assert_int_equal(take(0, EVTCHN_FIFO_PRIORITY_DEFAULT), port);
    assert_int_equal(CALL(domu, unmask, &u), 0);
    assert_int_equal(control(0)->ready, 0);
}

/* The last port of one queue moves to another; then the first gets an event. */
static void test_last_port_moves(void **state)
{
    struct evtchn_alloc_unbound a = {.dom = DOMID_SELF, .remote_dom = 5};
    struct evtchn_bind_interdomain b = {.remote_dom = DOMID_SELF};
    struct evtchn_bind_vcpu move;
    const unsigned q = EVTCHN_FIFO_PRIORITY_DEFAULT;
    uint32_t other = new_ipi(0);

    assert_int_equal(CALL(domu, alloc_unbound, &a), 0);
    b.remote_port = a.port;
    assert_int_equal(CALL(domu, bind_interdomain, &b), 0);
    assert_int_equal(take(0, q), b.local_port);
    assert_int_equal(send(b.local_port), 0); /* raises a.port at vCPU 0 */
    assert_int_equal(take(0, q), a.port);
    move = (struct evtchn_bind_vcpu){.port = a.port, .vcpu = 1};
    assert_int_equal(CALL(domu, bind_vcpu, &move), 0);
    assert_int_equal(send(b.local_port), 0);
    assert_int_equal(send(other), 0);
    /* Each in its own queue, none behind the other. */
    assert_int_equal(control(0)->head[q], other);
    assert_int_equal(control(1)->head[q], a.port);
    assert_int_equal(take(1, q), a.port);
    assert_int_equal(take(1, q), 0);
    assert_int_equal(take(0, q), other);
}

static void test_raised_before_the_word_exists(void **state)
{
    struct evtchn_bind_virq v = {.virq = VIRQ_TIMER, .vcpu = 0};

    assert_int_equal(CALL(domu, bind_virq, &v), 0);
    event_send_vcpu_virq(domu->d->vcpu[0], VIRQ_TIMER); /* 2-level */
    assert_int_equal(init_control(0, 64), 0);
    assert_int_equal(expand(ARRAY), 0);
    assert_int_equal(*word(v.port), PENDING | LINKED);
    /* With the ABI switched and no page. */
    v = (struct evtchn_bind_virq){.virq = VIRQ_DEBUG, .vcpu = 0};
    for (unsigned i = 0; i < 1023; i++)
        new_ipi(0);
    assert_int_equal(CALL(domu, bind_virq, &v), 0);
    assert_true(v.port >= 1024);
    event_send_vcpu_virq(domu->d->vcpu[0], VIRQ_DEBUG);
    assert_int_equal(event_port_pending(domu->d, v.port), 0);
    assert_int_equal(expand(ARRAY + 1), 0);
    assert_int_equal(event_port_pending(domu->d, v.port), 1);
}

static void test_bad_pages(void **state)
{
    struct evtchn_init_control a = {.control_gfn = dom0->mfn[1].n};
    struct evtchn_expand_array e = {.array_gfn = domu->mfn[1].n};
    struct evtchn_set_priority p = {.port = new_ipi(0)};

    assert_int_equal(CALL(domu, expand_array, &e), -EOPNOTSUPP);
    assert_int_equal(CALL(domu, set_priority, &p), -ENOSYS);
    assert_int_equal(CALL(domu, init_control, &a), -EINVAL); /* another's */
    a.control_gfn = ~0ull;
    assert_int_equal(CALL(domu, init_control, &a), -EINVAL);
    a.control_gfn = 1ull << 40;
    assert_int_equal(CALL(domu, init_control, &a), -EINVAL);
    assert_int_equal(init_control(0, 4), -EINVAL);
    assert_int_equal(init_control(0, PAGE_SIZE - 64), -EINVAL);
    assert_int_equal(init_control(0, ~0u - 7), -EINVAL);
    assert_int_equal(init_control(2, 0), -ENOENT);
    assert_int_equal(init_control(0, PAGE_SIZE - 72), 0);
    assert_int_equal(init_control(0, 0), -EINVAL); /* twice */
    e.array_gfn = dom0->mfn[1].n;
    assert_int_equal(CALL(domu, expand_array, &e), -EINVAL);
}

static void test_reset_gives_the_pages_back(void **state)
{
    struct evtchn_reset r = {.dom = DOMID_SELF};
    uint32_t refs = frame_ref_count(domu->mfn[ARRAY]);

    new_ipi(0);
    assert_int_equal(CALL(domu, reset, &r), 0);
    assert_int_equal(frame_ref_count(domu->mfn[ARRAY]), refs - 1);
    assert_int_equal(frame_type_count(domu->mfn[CONTROL(0)]), 0);
    assert_int_equal(send(new_ipi(0)), 0); /* 2-level again */
    assert_int_equal(domu->d->shared_info->evtchn_pending[0], 2);
    assert_int_equal(init_control(1, 0), 0); /* and FIFO again */
}

/* A closed port that is still in a queue is not given out. */
static void test_busy_port(void **state)
{
    uint32_t port = new_ipi(0), next;
    struct evtchn_close c = {.port = port};

    assert_int_equal(send(port), 0);
    assert_int_equal(CALL(domu, close, &c), 0);
    next = new_ipi(0);
    assert_int_not_equal(next, port);
    assert_int_equal(take(0, EVTCHN_FIFO_PRIORITY_DEFAULT), port);
    assert_int_equal(new_ipi(0), port);
}

/* All words claim to be linked: the search for a free port ends. */
static void test_all_busy(void **state)
{
    struct evtchn_bind_ipi a = {.vcpu = 0};

    assert_int_equal(expand(ARRAY + 1), 0);
    assert_int_equal(expand(ARRAY + 2), 0);
    for (unsigned i = 0; i < 3; i++)
        memset(guest_page(domu, ARRAY + i), 0xff, PAGE_SIZE);
    assert_int_equal(CALL(domu, bind_ipi, &a), -ENOSPC);
}

/* Words and control blocks of all kinds of nonsense, set between the calls. */
static void test_scribbling(void **state)
{
    uint32_t port[64];

    srand(11);
    for (unsigned i = 0; i < 64; i++)
        port[i] = new_ipi(i % 2);
    for (unsigned n = 0; n < 30000; n++) {
        uint32_t *w = guest_page(domu, (unsigned)(CONTROL(0) + rand() % 3));
        struct evtchn_set_priority p = {.port = port[rand() % 64],
                                        .priority = (unsigned)rand() % 16};
        struct evtchn_unmask u = {.port = port[rand() % 64]};

        w[rand() % 1024] = (uint32_t)rand() * 2654435761u;
        w[rand() % 80] = (uint32_t)(rand() % 80) | (rand() % 2 ? LINKED : 0);
        switch (rand() % 4) {
        case 0:
            CALL(domu, set_priority, &p);
            break;
        case 1:
            CALL(domu, unmask, &u);
            break;
        default:
            assert_int_equal(send(port[rand() % 64]), 0);
        }
    }
}

/* The same by another CPU, at the same time. */
static volatile bool scribble;

static void *scribbler(void *data)
{
    uint64_t x = 88172645463325252ull;

    while (scribble) {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        __atomic_store_n((uint32_t *)guest_page(domu, CONTROL(0) + (unsigned)(x % 3)) +
                             (x >> 8) % 128,
                         (uint32_t)(x >> 20), __ATOMIC_RELAXED);
    }
    return NULL;
}

static void test_scribbling_meanwhile(void **state)
{
    uint32_t port[64];
    pthread_t thread;

    for (unsigned i = 0; i < 64; i++)
        port[i] = new_ipi(i % 2);
    scribble = true;
    assert_int_equal(pthread_create(&thread, NULL, scribbler, NULL), 0);
    for (unsigned n = 0; n < 100000; n++)
        assert_int_equal(send(port[n * 31 % 64]), 0);
    scribble = false;
    pthread_join(thread, NULL);
}

#define TEST(fn, start) cmocka_unit_test_setup_teardown(fn, start, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_order, setup_fifo),
        TEST(test_one_port_again_and_again, setup_fifo),
        TEST(test_priorities, setup_fifo),
        TEST(test_masked, setup_fifo),
        TEST(test_last_port_moves, setup_fifo),
        TEST(test_raised_before_the_word_exists, setup),
        TEST(test_bad_pages, setup),
        TEST(test_reset_gives_the_pages_back, setup_fifo),
        TEST(test_busy_port, setup_fifo),
        TEST(test_all_busy, setup_fifo),
        TEST(test_scribbling, setup_fifo),
        TEST(test_scribbling_meanwhile, setup_fifo),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
