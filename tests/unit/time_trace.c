/* SPDX-License-Identifier: MIT */
/* time/trace and hypercall/sysctl_trace: records as the public header has them, classes and CPUs
 * that are not wanted, rings that are full and go round, a reader that writes nonsense, and the
 * operations of the tools. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "guest.h"
#include "hypercall/control.h"
#include "hypercall/hypercall.h"
#include "lib/errno.h"
#include "memory/buddy.h"
#include "time/trace.h"

#define CALL_PAGE  0
#define DATA_PAGE  1
#define PAGES      2u
#define RING_BYTES (PAGES * PAGE_SIZE - sizeof(struct t_buf))
#define EVENT      (TRC_SCHED_MIN + 7)

static struct guest *dom0;
static struct xen_sysctl op;

static long call(uint32_t cmd)
{
    long rc;

    op.interface_version = XEN_SYSCTL_INTERFACE_VERSION;
    op.cmd = XEN_SYSCTL_tbuf_op;
    op.u.tbuf_op.cmd = cmd;
    memcpy(guest_page(dom0, CALL_PAGE), &op, sizeof(op));
    rc = sysctl(guest_va(CALL_PAGE));
    memcpy(&op, guest_page(dom0, CALL_PAGE), sizeof(op));
    return rc;
}

static long call_size(uint32_t pages)
{
    op.u.tbuf_op.size = pages;
    return call(XEN_SYSCTL_TBUFOP_set_size);
}

/* One process, one set of rings: they are made by the first test, and emptied by the others. */
static int set_up(void **state)
{
    static bool made;

    if (!made) {
        guest_machine(2);
        dom0 = guest_new(0, 2, true);
        made = true;
    }
    guest_be(dom0, 0);
    memset(&op, 0, sizeof(op));
    return 0;
}

static const uint16_t *table(void)
{
    assert_int_equal(call(XEN_SYSCTL_TBUFOP_get_info), 0);
    assert_true(op.u.tbuf_op.buffer_mfn != 0);
    return mfn_to_virt(mfn(op.u.tbuf_op.buffer_mfn));
}

static void *ring_page(unsigned cpu, unsigned page)
{
    const uint16_t *t = table();

    return mfn_to_virt(mfn(((const uint32_t *)(const void *)t)[t[1 + cpu] + page]));
}

static struct t_buf *ring(unsigned cpu)
{
    return ring_page(cpu, 0);
}

/* The n-th word from byte `at` of CPU 0's ring on, which goes round. */
static uint32_t word(uint32_t at, unsigned n)
{
    uint32_t byte = (at + 4 * n) % RING_BYTES + sizeof(struct t_buf);

    return ((uint32_t *)ring_page(0, byte / PAGE_SIZE))[byte % PAGE_SIZE / 4];
}

static void empty(void)
{
    ring(0)->cons = ring(0)->prod;
}

static uint32_t waiting(void)
{
    return (uint32_t)((ring(0)->prod + 2 * RING_BYTES - ring(0)->cons) % (2 * RING_BYTES));
}

static void want(uint32_t events)
{
    op.u.tbuf_op.evt_mask = events;
    assert_int_equal(call(XEN_SYSCTL_TBUFOP_set_evt_mask), 0);
}

static mfn_t taken[1 << 16];
static unsigned nr_taken;

static void take_frames(unsigned but)
{
    while (buddy_free_frames() > but)
        assert_int_equal(buddy_alloc(0, 0, &taken[nr_taken++]), 0);
}

static void give_frames(void)
{
    while (nr_taken)
        buddy_free(taken[--nr_taken], 0);
}

static void sizes(void **state)
{
    uint64_t before = buddy_free_frames();

    assert_int_equal(call(XEN_SYSCTL_TBUFOP_get_info), 0);
    assert_int_equal(op.u.tbuf_op.buffer_mfn, 0);
    assert_int_equal(op.u.tbuf_op.size, 0);
    assert_int_equal(call(XEN_SYSCTL_TBUFOP_enable), -EINVAL);
    assert_int_equal(call(XEN_SYSCTL_TBUFOP_disable), 0);
    assert_int_equal(call(9), -EINVAL);
    assert_int_equal(call_size(0), -EINVAL);
    for (unsigned left = 0; left < 5; left++) { /* the table and four pages are needed */
        take_frames(left);
        assert_int_equal(call_size(PAGES), -ENOMEM);
        assert_int_equal(buddy_free_frames(), left);
        give_frames();
    }
    assert_int_equal(buddy_free_frames(), before);
    assert_int_equal(call_size(PAGES), 0);
    assert_int_equal(call_size(PAGES), -EINVAL);
    assert_int_equal(table()[0], PAGES);
    assert_int_equal(op.u.tbuf_op.size, PAGE_SIZE);
    assert_int_equal(frame_audit(), 0);
    /* Domain 0 may write the rings, and not the table. */
    assert_int_equal(frame_type_of(virt_to_mfn(ring(0))), FRAME_WRITABLE);
    assert_int_equal(frame_type_of(virt_to_mfn(ring_page(1, 1))), FRAME_WRITABLE);
    assert_int_equal(frame_type_of(virt_to_mfn(table())), FRAME_NONE);
}

static void records(void **state)
{
    uint32_t at = ring(0)->prod;

    TRACE(EVENT, 1);
    assert_int_equal(ring(0)->prod, at); /* off */
    want(TRC_SCHED);
    assert_int_equal(call(XEN_SYSCTL_TBUFOP_enable), 0);
    empty();
    at = ring(0)->prod;
    TRACE(EVENT, 0x11, TRACE_LONG(0x123456789abcdef0));
    assert_int_equal(waiting(), 6 * 4);
    assert_int_equal(word(at, 0), EVENT | 3u << TRACE_EXTRA_SHIFT | 1u << 31);
    assert_int_equal(word(at, 1) | (uint64_t)word(at, 2) << 32, rdtsc());
    assert_int_equal(word(at, 3), 0x11);
    assert_int_equal(word(at, 4), 0x9abcdef0);
    assert_int_equal(word(at, 5), 0x12345678);
    TRACE(EVENT);
    assert_int_equal(word(at, 6), EVENT | 1u << 31);
    assert_int_equal(waiting(), 9 * 4);
    assert_int_equal(call(XEN_SYSCTL_TBUFOP_disable), 0);
    empty();
    TRACE(EVENT);
    assert_int_equal(waiting(), 0);
}

static void what_is_not_wanted(void **state)
{
    uint8_t *mask = guest_page(dom0, DATA_PAGE);

    assert_int_equal(call(XEN_SYSCTL_TBUFOP_enable), 0);
    want(TRC_SCHED_MIN);
    empty();
    TRACE(TRC_SCHED_WAKE, 1, 2); /* another sub-class */
    TRACE(TRC_PV_TRAP, 1);       /* another class */
    assert_int_equal(waiting(), 0);
    TRACE(EVENT);
    assert_int_equal(waiting(), 3 * 4);
    mask[0] = 2;
    op.u.tbuf_op.cpu_mask.nr_bits = 8;
    op.u.tbuf_op.cpu_mask.bitmap.p = (void *)guest_va(DATA_PAGE);
    assert_int_equal(call(XEN_SYSCTL_TBUFOP_set_cpu_mask), 0);
    TRACE(EVENT);
    assert_int_equal(waiting(), 3 * 4);
    mask[0] = 3;
    op.u.tbuf_op.cpu_mask.nr_bits = 8;
    op.u.tbuf_op.cpu_mask.bitmap.p = (void *)guest_va(DATA_PAGE);
    assert_int_equal(call(XEN_SYSCTL_TBUFOP_set_cpu_mask), 0);
    op.u.tbuf_op.cpu_mask.bitmap.p = (void *)HV_VA_START;
    assert_int_equal(call(XEN_SYSCTL_TBUFOP_set_cpu_mask), -EFAULT);
}

/* What does not fit is lost and counted; how many comes first when there is room again. */
static void full(void **state)
{
    unsigned fit = RING_BYTES / (4 * 4), n;
    uint32_t at;

    want(TRC_ALL);
    empty();
    for (n = 0; n < fit + 5; n++)
        TRACE(EVENT, n);
    assert_int_equal(waiting(), fit * 4 * 4);
    ring(0)->cons = (ring(0)->cons + 4 * 4 * 4) % (2 * RING_BYTES);
    at = ring(0)->prod;
    TRACE(EVENT, n);
    assert_int_equal(word(at, 0), TRC_LOST_RECORDS | 4u << TRACE_EXTRA_SHIFT | 1u << 31);
    assert_int_equal(word(at, 3), 5);
    assert_int_equal(word(at, 7), EVENT | 1u << TRACE_EXTRA_SHIFT | 1u << 31);
    assert_int_equal(word(at, 10), n);
}

static void round_and_round(void **state)
{
    empty();
    TRACE(EVENT); /* after those that were lost before */
    for (unsigned n = 0; n < 100000; n++) {
        uint32_t at = ring(0)->prod;
        unsigned words = (unsigned)rand() % (TRACE_EXTRA_MAX + 1);
        uint32_t data[TRACE_EXTRA_MAX];

        for (unsigned i = 0; i < TRACE_EXTRA_MAX; i++)
            data[i] = (uint32_t)rand();
        empty();
        trace_record(EVENT, words, data);
        assert_int_equal(waiting(), (3 + words) * 4);
        assert_int_equal(word(at, 0), EVENT | words << TRACE_EXTRA_SHIFT | 1u << 31);
        for (unsigned i = 0; i < words; i++)
            assert_int_equal(word(at, 3 + i), data[i]);
    }
}

/* Whatever stands in the header, records stay in the ring and the writer's place is its own. */
static void reader_writes_nonsense(void **state)
{
    static const uint32_t nonsense[] = {~0u, 2 * RING_BYTES, 0x80000000, 3, 1};

    for (unsigned i = 0; i < 100000; i++) {
        ring(0)->cons = rand() % 2 ? nonsense[i % ARRAY_SIZE(nonsense)] : (uint32_t)rand();
        ring(0)->prod = (uint32_t)rand();
        TRACE(EVENT, i, i, i);
    }
    /* One of these leaves room, and then the writer says where it is. */
    ring(0)->prod = ~0u;
    for (unsigned i = 0; i < 4; i++) {
        ring(0)->cons = i * (RING_BYTES / 8 * 4);
        TRACE(EVENT, 1);
    }
    assert_true(ring(0)->prod < 2 * RING_BYTES);
    assert_int_equal(frame_audit(), 0);
}

static unsigned told;

static void count(void)
{
    told++;
}

static void half_full(void **state)
{
    void (*was)(void) = trace_half_full;

    trace_half_full = count;
    empty();
    TRACE(EVENT);
    for (unsigned n = 0; n < RING_BYTES; n += 3 * 4)
        TRACE(EVENT);
    softirq_run();
    assert_int_equal(told, 1);
    empty();
    TRACE(EVENT);
    for (unsigned n = 0; n < RING_BYTES; n += 3 * 4)
        TRACE(EVENT);
    softirq_run();
    assert_int_equal(told, 2);
    trace_half_full = was;
}

static void hypercalls(void **state)
{
    uint32_t at;

    want(TRC_PV);
    empty();
    at = ring(0)->prod;
    current()->refusals.call = __HYPERVISOR_xen_version;
    assert_int_equal(hypercall_call(__HYPERVISOR_xen_version, 0, 0, 0, 0, 0, 0), 4 << 16 | 17);
    assert_int_equal(word(at, 0), TRC_PV_HYPERCALL_V2 | 7u << TRACE_EXTRA_SHIFT | 1u << 31);
    assert_int_equal(word(at, 3) & 0xfffff, __HYPERVISOR_xen_version);
    want(TRC_SCHED);
    assert_ptr_equal(hypercall_calls, hypercall_table);
    empty();
    hypercall_call(__HYPERVISOR_xen_version, 0, 0, 0, 0, 0, 0);
    assert_int_equal(waiting(), 0);
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup(fn, set_up)
    const struct CMUnitTest tests[] = {
        TEST(sizes),
        TEST(records),
        TEST(what_is_not_wanted),
        TEST(full),
        TEST(half_full),
        TEST(round_and_round),
        TEST(hypercalls),
        TEST(reader_writes_nonsense),
    };

    return cmocka_run_group_tests_name("time/trace", tests, NULL, NULL);
}
