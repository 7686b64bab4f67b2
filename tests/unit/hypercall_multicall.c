/* SPDX-License-Identifier: MIT */
/* hypercall/multicall: order, results of entries that fail, lists that fault in the middle, and
 * calls that are preempted between entries and within one. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include <xen/memory.h>
#include <xen/version.h>

#include "guest.h"
#include "hypercall/hypercall.h"
#include "hypercall/ops.h"
#include "lib/errno.h"

#define LIST    1u /* the page of the list; 64 entries */
#define ENTRIES 64u
#define VERSION 0x40011ul
#define RIP     0x5000ul

static struct guest *g;
static struct multicall_entry *list;
static unsigned continued;

static int setup(void **state)
{
    guest_machine(1);
    g = guest_new(5, 1, false);
    guest_be(g, 0);
    list = guest_page(g, LIST);
    continued = 0;
    return 0;
}

static int teardown(void **state)
{
    guest_preempt = 0;
    guest_kill(g);
    assert_int_equal(frame_audit(), 0);
    return 0;
}

static void entry(unsigned i, unsigned op, uint64_t a0, uint64_t a1)
{
    list[i] = (struct multicall_entry){.op = op, .result = 0x5a5a, .args = {a0, a1}};
}

/* As the guest would execute it, again and again until it is done. */
static long call(uint64_t va, uint32_t n)
{
    struct vcpu *v = current();
    struct regs *r = vcpu_regs(v);
    long rc;

    r->rax = __HYPERVISOR_multicall;
    r->rdi = va;
    r->rsi = n;
    do {
        r->rip = RIP;
        v->continued = false;
        rc = multicall(r->rdi, (uint32_t)r->rsi);
        guest_exit();
        assert_false(v->in_multicall);
        assert_null(v->mc);
        if (v->continued) {
            assert_int_equal(r->rip, RIP - 2);
            assert_int_equal(r->rax, __HYPERVISOR_multicall);
            assert_true(++continued < 10000);
        }
    } while (v->continued);
    return rc;
}

static void each_has_its_result(void **state)
{
    entry(0, __HYPERVISOR_xen_version, XENVER_version, 0);
    entry(1, 63, 1, 2);
    entry(2, __HYPERVISOR_xen_version, XENVER_get_features, HV_VA_START);
    entry(3, __HYPERVISOR_xen_version, XENVER_pagesize, 0);
    entry(4, 0, 0, 0);
    assert_int_equal(call(guest_va(LIST), 4), 0);
    assert_int_equal(list[0].result, VERSION);
    assert_int_equal((long)list[1].result, -ENOSYS);
    assert_int_equal((long)list[2].result, -EFAULT);
    assert_int_equal(list[3].result, 4096);
    assert_int_equal(list[4].result, 0x5a5a);
    assert_int_equal(list[1].args[1], 2); /* nothing but the result is written */
    assert_int_equal(call(guest_va(LIST), 0), 0);
}

/* The second entry is what the first wrote there. */
static void in_order_through_memory(void **state)
{
    entry(0, __HYPERVISOR_xen_version, XENVER_version, 0);
    entry(1, __HYPERVISOR_xen_version, XENVER_guest_handle,
          guest_va(LIST) + 2 * sizeof(*list) + offsetof(struct multicall_entry, args));
    entry(2, __HYPERVISOR_xen_version, XENVER_pagesize, 1); /* 1: would be refused */
    memset(&list[2].args, 0xff, sizeof(list[2].args));
    memset(g->d->handle, 0, sizeof(g->d->handle));
    g->d->handle[0] = XENVER_pagesize;
    assert_int_equal(call(guest_va(LIST), 3), 0);
    assert_int_equal(list[2].result, 4096);
}

static void not_within_itself(void **state)
{
    entry(0, __HYPERVISOR_multicall, guest_va(LIST), 1);
    entry(1, __HYPERVISOR_iret, 0, 0);
    entry(2, __HYPERVISOR_xen_version, XENVER_version, 0);
    assert_int_equal(call(guest_va(LIST), 3), 0);
    assert_int_equal((long)list[0].result, -EINVAL);
    assert_int_equal((long)list[1].result, -EINVAL);
    assert_int_equal(list[2].result, VERSION);
}

static void numbers_beyond_all(void **state)
{
    static const uint64_t ops[] = {64, 1ul << 32 | __HYPERVISOR_xen_version, ~0ul, 1ul << 63};

    for (unsigned i = 0; i < ARRAY_SIZE(ops); i++) {
        entry(0, 0, 0, 0);
        list[0].op = ops[i];
        assert_int_equal(call(guest_va(LIST), 1), 0);
        assert_int_equal((long)list[0].result, -ENOSYS);
    }
}

static void lists_elsewhere(void **state)
{
    entry(0, __HYPERVISOR_xen_version, XENVER_version, 0);
    assert_int_equal(call(HV_VA_START, 1), -EFAULT);
    assert_int_equal(call(HV_VA_START - 8, 1), -EFAULT);
    assert_int_equal(call(1ul << 63, 1), -EFAULT);
    assert_int_equal(call(0, 1), -EFAULT);
    assert_int_equal(call(guest_va(LIST), ~0u), -EFAULT);
    assert_int_equal(list[0].result, 0x5a5a); /* too long: nothing is done */
}

static void the_list_ends_before_its_count(void **state)
{
    struct multicall_entry *last = guest_page(g, GUEST_FRAMES - 1);

    list = last + ENTRIES - 2;
    entry(0, __HYPERVISOR_xen_version, XENVER_version, 0);
    entry(1, __HYPERVISOR_xen_version, XENVER_pagesize, 0);
    assert_int_equal(call(guest_va(GUEST_FRAMES) - 2 * sizeof(*list), 3), -EFAULT);
    assert_int_equal(list[0].result, VERSION);
    assert_int_equal(list[1].result, 4096);
}

static void a_list_that_cannot_be_written(void **state)
{
    paddr_t next = g->root + PAGE_SIZE; /* all tables are there */

    entry(0, __HYPERVISOR_vm_assist, VMASST_CMD_enable, VMASST_TYPE_writable_pagetables);
    entry(1, __HYPERVISOR_vm_assist, VMASST_CMD_enable, VMASST_TYPE_architectural_iopl);
    host_map_guest(g->root, &next, guest_va(LIST), pte_make(g->mfn[LIST], PTE_P | PTE_U));
    assert_int_equal(call(guest_va(LIST), 2), -EFAULT);
    assert_int_equal(g->d->vm_assist,
                     BIT(VMASST_TYPE_writable_pagetables)); /* it went no further */
}

static void preempted_between_entries(void **state)
{
    for (unsigned i = 0; i < ENTRIES; i++)
        entry(i, __HYPERVISOR_xen_version, i % 2 ? XENVER_pagesize : XENVER_version, 0);
    guest_preempt = 3;
    assert_int_equal(call(guest_va(LIST), ENTRIES), 0);
    assert_true(continued >= ENTRIES / 3 - 1 && continued < ENTRIES / 2);
    for (unsigned i = 0; i < ENTRIES; i++)
        assert_int_equal(list[i].result, i % 2 ? 4096 : VERSION);
}

/* At least one entry is done each time, even if something always waits. */
static void an_event_that_stays(void **state)
{
    struct vcpu_info *info = g->d->vcpu[0]->info;

    info->evtchn_upcall_mask = 0;
    info->evtchn_upcall_pending = 1;
    for (unsigned i = 0; i < 5; i++)
        entry(i, __HYPERVISOR_xen_version, XENVER_version, 0);
    assert_int_equal(call(guest_va(LIST), 5), 0);
    assert_int_equal(continued, 4);
    for (unsigned i = 0; i < 5; i++)
        assert_int_equal(list[i].result, VERSION);
}

/* A reservation of 60 frames, in the middle of other entries, is preempted again and again: it
 * gets all of them, once, and the others run once. */
static void preempted_within_an_entry(void **state)
{
    struct xen_memory_reservation r = {.nr_extents = 60, .domid = DOMID_SELF};
    uint64_t *extents = guest_page(g, 3), pages = g->d->memory.pages;

    for (unsigned at = 0; at < 3; at++) { /* the first, the middle and the last entry */
        continued = 0;
        for (unsigned i = 0; i < 3; i++)
            entry(i, __HYPERVISOR_xen_version, XENVER_version, 0);
        for (unsigned i = 0; i < r.nr_extents; i++)
            extents[i] = 1000 + i;
        r.extent_start.p = (void *)guest_va(3);
        memcpy(guest_page(g, 2), &r, sizeof(r));
        entry(at, __HYPERVISOR_memory_op, XENMEM_populate_physmap, guest_va(2));
        guest_preempt = 1;
        assert_int_equal(call(guest_va(LIST), 3), 0);
        assert_true(continued >= 3);
        assert_int_equal(g->d->memory.pages, pages + 60);
        for (unsigned i = 0; i < 3; i++)
            assert_int_equal(list[i].result, i == at ? 60 : VERSION);
        for (unsigned i = 0; i < 60; i++)
            assert_int_equal(M2P[extents[i]], 1000 + i);
        /* And back, the same way. */
        entry(at, __HYPERVISOR_memory_op, XENMEM_decrease_reservation, guest_va(2));
        assert_int_equal(call(guest_va(LIST), 3), 0);
        assert_int_equal(list[at].result, 60);
        assert_int_equal(g->d->memory.pages, pages);
    }
}

/* What a list of chance does is the guest's; ours is to come back, and in a sound state. */
static void random_lists(void **state)
{
    static const uint8_t ops[] = {
        __HYPERVISOR_memory_op,
        __HYPERVISOR_multicall,
        __HYPERVISOR_xen_version,
        __HYPERVISOR_console_io,
        __HYPERVISOR_grant_table_op,
        __HYPERVISOR_vm_assist,
        __HYPERVISOR_event_channel_op,
        __HYPERVISOR_platform_op,
        49,
        60,
    };

    srand(11);
    for (unsigned n = 0; n < 3000; n++) {
        unsigned count = (unsigned)rand() % ENTRIES;

        continued = 0;
        guest_preempt = (unsigned)rand() % 4;
        for (unsigned i = 0; i < count; i++) {
            entry(i, ops[(unsigned)rand() % ARRAY_SIZE(ops)], (unsigned)rand() % 32,
                  guest_va(4 + (unsigned)rand() % 4) + (unsigned)rand() % 4 * 1024);
            list[i].args[2] = (unsigned)rand() % 16;
        }
        (void)call(guest_va(LIST), count);
        host_log();
    }
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(each_has_its_result),
        TEST(in_order_through_memory),
        TEST(not_within_itself),
        TEST(numbers_beyond_all),
        TEST(lists_elsewhere),
        TEST(the_list_ends_before_its_count),
        TEST(a_list_that_cannot_be_written),
        TEST(preempted_between_entries),
        TEST(an_event_that_stays),
        TEST(preempted_within_an_entry),
        TEST(random_lists),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
