/* SPDX-License-Identifier: MIT */
/* Physical address spaces of fully virtual guests: what an entry holds, large pages and their
 * splitting, the end; and that translations go when entries do. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "pvguest.h"
#include "frame/p2m.h"
#include "lib/errno.h"
#include "memory/buddy.h"
#include "memory/heap.h"
#include "memory/tlb.h"

static struct frame_owner o, other;
static struct p2m p;
static uint64_t heap_before;

static void audit_count(void)
{
    if (p.owner)
        p2m_audit(&p);
}

static struct frame_audit_source source = {.name = "p2m", .count = audit_count};
static const struct frame_owner_ops ops;

static int setup(void **state)
{
    pvg_machine(64u << 20, 1);
    frame_audit_register(&source);
    frame_owner_init(&o, 1, &ops);
    frame_owner_init(&other, 2, &ops);
    o.max_pages = other.max_pages = 10000;
    heap_before = heap_frames();
    if (p2m_init(&p, &o, 100))
        return -1;
    return frame_audit() != 0;
}

static int teardown(void **state)
{
    int mistakes = (int)frame_audit();

    while (p2m_release(&p))
        ;
    mistakes += p.pages == 0;
    p2m_free(&p);
    p.owner = NULL;
    o.dying = other.dying = true;
    while (frame_owner_release_all(&o) || frame_owner_release_all(&other))
        ;
    mistakes += !frame_owner_is_empty(&o) + (heap_frames() > heap_before + 2);
    frame_owner_destroy(&o);
    frame_owner_destroy(&other);
    return mistakes;
}

static mfn_t frames(struct frame_owner *owner, unsigned order)
{
    mfn_t m;

    assert_int_equal(frame_alloc(owner, order, 0, &m), 0);
    return m;
}

static void assert_there(uint64_t gfn, mfn_t want, enum p2m_type type)
{
    mfn_t m;

    assert_int_equal(p2m_lookup(&p, gfn, &m), type);
    if (type != P2M_NONE)
        assert_int_equal(m.n, want.n);
}

static void test_a_page(void **state)
{
    mfn_t m = frames(&o, 0), got;

    assert_there(5, m, P2M_NONE);
    assert_int_equal(p2m_get(&p, 5, false, &got), -EINVAL);
    assert_int_equal(p2m_map(&p, 5, m, 0, P2M_RAM), 0);
    assert_there(5, m, P2M_RAM);
    assert_there(4, m, P2M_NONE);
    assert_int_equal(frame_ref_count(m), 2);
    assert_int_equal(p2m_get(&p, 5, true, &got), 0);
    assert_int_equal(frame_ref_count(m), 3);
    frame_put(got);
    /* Released while it is mapped: it lives on until the entry goes. */
    assert_int_equal(frame_release(&o, m), 0);
    assert_int_equal(o.pages, 1);
    assert_int_equal(p2m_unmap(&p, 5, 0), 0);
    assert_int_equal(o.pages, 0);
    assert_there(5, m, P2M_NONE);
    assert_int_equal(p2m_unmap(&p, 5, 0), 0); /* nothing there: fine */
}

static void test_read_only(void **state)
{
    mfn_t m = frames(&o, 0), got;
    const uint64_t *root = mfn_to_virt(p.root);

    assert_int_equal(p2m_map(&p, 7, m, 0, P2M_RAM_RO), 0);
    assert_int_equal(p2m_get(&p, 7, true, &got), -EINVAL);
    assert_int_equal(p2m_get(&p, 7, false, &got), 0);
    frame_put(got);
    /* The processor sees it so too. */
    root = mfn_to_virt(pte_mfn(root[0]));
    root = mfn_to_virt(pte_mfn(root[0]));
    root = mfn_to_virt(pte_mfn(root[0]));
    assert_int_equal(root[7] & (PTE_P | PTE_RW | PTE_U), PTE_P | PTE_U);
}

static void test_replaced(void **state)
{
    mfn_t a = frames(&o, 0), b = frames(&o, 0);

    assert_int_equal(p2m_map(&p, 1, a, 0, P2M_RAM), 0);
    assert_int_equal(p2m_map(&p, 1, b, 0, P2M_RAM), 0);
    assert_there(1, b, P2M_RAM);
    assert_int_equal(frame_ref_count(a), 1);
    assert_int_equal(frame_ref_count(b), 2);
    assert_int_equal(p2m_map(&p, 1, b, 0, P2M_RAM), 0); /* the same again */
    assert_int_equal(frame_ref_count(b), 2);
}

static void test_a_large_page_splits(void **state)
{
    mfn_t m = frames(&o, 9), one = frames(&o, 0);
    uint64_t pages = p.pages;

    assert_int_equal(p2m_map(&p, 512, m, 9, P2M_RAM), 0);
    assert_int_equal(p.pages, pages + 2); /* no table of single pages */
    assert_there(512, m, P2M_RAM);
    assert_there(1023, mfn(m.n + 511), P2M_RAM);
    assert_int_equal(frame_ref_count(mfn(m.n + 511)), 2);
    assert_int_equal(p2m_unmap(&p, 600, 0), 0);
    assert_int_equal(p.pages, pages + 3);
    assert_there(600, m, P2M_NONE);
    assert_there(601, mfn(m.n + 89), P2M_RAM);
    assert_int_equal(frame_ref_count(mfn(m.n + 88)), 1);
    assert_int_equal(frame_ref_count(mfn(m.n + 89)), 2);
    assert_int_equal(p2m_map(&p, 600, one, 0, P2M_RAM), 0);
    assert_int_equal(frame_audit(), 0);
    /* And a large one over the pieces: the table stays, for readers may be in it. */
    assert_int_equal(p2m_map(&p, 512, m, 9, P2M_RAM), 0);
    assert_int_equal(p.pages, pages + 3);
    assert_there(600, mfn(m.n + 88), P2M_RAM);
    assert_int_equal(frame_ref_count(one), 1);
    assert_int_equal(p2m_unmap(&p, 512, 9), 0);
    assert_there(512, m, P2M_NONE);
    assert_int_equal(frame_ref_count(m), 1);
}

static void test_refusals(void **state)
{
    mfn_t foreign = frames(&other, 0), mine = frames(&o, 9);

    assert_int_equal(p2m_map(&p, 1, foreign, 0, P2M_RAM), -EINVAL);
    assert_int_equal(frame_ref_count(foreign), 1);
    assert_there(1, foreign, P2M_NONE);
    assert_int_equal(p2m_map(&p, 1, mine, 9, P2M_RAM), -EINVAL); /* alignment */
    assert_int_equal(p2m_map(&p, 512, mfn(mine.n + 1), 9, P2M_RAM), -EINVAL);
    assert_int_equal(p2m_map(&p, P2M_GFNS, mine, 0, P2M_RAM), -EINVAL);
    assert_int_equal(p2m_map(&p, 0, mine, 5, P2M_RAM), -EINVAL);
    assert_int_equal(p2m_unmap(&p, ~0ull, 0), -EINVAL);
    assert_there(~0ull, mine, P2M_NONE);
    /* One frame of many is not the owner's: none keeps a reference. */
    assert_int_equal(frame_release(&o, mfn(mine.n + 511)), 0);
    assert_int_equal(p2m_map(&p, 512, mine, 9, P2M_RAM), -EINVAL);
    assert_int_equal(frame_ref_count(mine), 1);
}

static void test_no_pages_for_tables(void **state)
{
    mfn_t m = frames(&o, 9);

    assert_int_equal(p2m_map(&p, 512, m, 9, P2M_RAM), 0);
    p.max_pages = p.pages;
    assert_int_equal(p2m_map(&p, 1ull << 30, m, 0, P2M_RAM), -ENOMEM);
    assert_int_equal(p2m_unmap(&p, 513, 0), -ENOMEM); /* cannot be split */
    assert_there(513, mfn(m.n + 1), P2M_RAM);
    assert_int_equal(frame_ref_count(m), 2);
    assert_int_equal(p2m_unmap(&p, 512, 9), 0);
}

static void test_flush_only_after_removal(void **state)
{
    mfn_t m = frames(&o, 0);
    uint32_t clock;

    bitmap_set(o.dirty_cpus.bits, 0);
    assert_int_equal(p2m_map(&p, 3, m, 0, P2M_RAM), 0);
    clock = tlb_clock();
    p2m_flush(&p);
    assert_int_equal(tlb_clock(), clock); /* nothing was there before */
    assert_int_equal(p2m_unmap(&p, 3, 0), 0);
    p2m_flush(&p);
    assert_int_equal(tlb_clock(), clock + 1);
    p2m_flush(&p);
    assert_int_equal(tlb_clock(), clock + 1);
}

static void test_grants_hold_nothing(void **state)
{
    mfn_t m = frames(&other, 0), got;

    assert_int_equal(p2m_map(&p, 9, m, 0, P2M_GRANT_RW), 0);
    assert_there(9, m, P2M_GRANT_RW);
    assert_int_equal(frame_ref_count(m), 1);
    assert_int_equal(p2m_get(&p, 9, false, &got), -EINVAL); /* not the guest's RAM */
    assert_int_equal(p2m_unmap(&p, 9, 0), 0);
    assert_int_equal(frame_ref_count(m), 1);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_a_page),
        T(test_read_only),
        T(test_replaced),
        T(test_a_large_page_splits),
        T(test_refusals),
        T(test_no_pages_for_tables),
        T(test_flush_only_after_removal),
        T(test_grants_hold_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
