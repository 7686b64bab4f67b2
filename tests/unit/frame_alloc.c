/* SPDX-License-Identifier: MIT */
/* How frames come and go: limits, claims, release, shared pages, the end of an owner. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "pvguest.h"
#include "frame/table.h"
#include "memory/buddy.h"
#include "memory/heap.h"

static struct frame_owner a, b;
static unsigned empties, unlocked;

static void owner_empty(struct frame_owner *o)
{
    empties++;
    unlocked += !lock_held(&o->lock); /* it could be destroyed meanwhile */
}

static const struct frame_owner_ops ops = {.empty = owner_empty};

static int setup(void **state)
{
    pvg_machine(16u << 20, 1);
    frame_budget = 4096;
    empties = unlocked = 0;
    frame_owner_init(&a, 1, &ops);
    frame_owner_init(&b, 2, &ops);
    a.max_pages = b.max_pages = 100;
    return frame_audit() != 0;
}

static int teardown(void **state)
{
    int mistakes = frame_audit();

    a.dying = b.dying = true;
    while (frame_owner_release_all(&a) || frame_owner_release_all(&b))
        ;
    if (!frame_owner_is_empty(&a) || !frame_owner_is_empty(&b) || frame_audit())
        mistakes++;
    mistakes += unlocked;
    frame_owner_destroy(&a);
    frame_owner_destroy(&b);
    if (mistakes)
        print_message("%s", host_log());
    return mistakes;
}

static void test_alloc_and_release(void **state)
{
    uint64_t free = buddy_free_frames();
    mfn_t m;

    assert_int_equal(frame_alloc(&a, 3, 0, &m), 0);
    assert_int_equal(a.pages, 8);
    assert_int_equal(buddy_free_frames(), free - 8);
    for (unsigned i = 0; i < 8; i++) {
        assert_ptr_equal(frame_owner_of(mfn(m.n + i)), &a);
        assert_int_equal(frame_ref_count(mfn(m.n + i)), 1);
        assert_int_equal(M2P[m.n + i], INVALID_M2P_ENTRY);
    }
    assert_int_equal(frame_audit(), 0);
    assert_int_equal(frame_release(&b, m), -EINVAL);
    for (unsigned i = 0; i < 8; i++) {
        frame_m2p_set(mfn(m.n + i), 7);
        assert_int_equal(frame_release(&a, mfn(m.n + i)), 0);
        assert_int_equal(frame_release(&a, mfn(m.n + i)), -EINVAL);
        assert_int_equal(M2P[m.n + i], INVALID_M2P_ENTRY);
    }
    assert_int_equal(buddy_free_frames(), free);
    assert_int_equal(empties, 1);
    assert_int_equal(frame_release(&a, mfn(max_mfn)), -EINVAL);
    assert_int_equal(frame_release(&a, mfn(0xb8)), -EINVAL);
}

static void test_held_by_others(void **state)
{
    mfn_t m;

    assert_int_equal(frame_alloc(&a, 0, 0, &m), 0);
    assert_int_equal(frame_get(m, &b), -EINVAL);
    assert_int_equal(frame_get_writable(m, &a), 0);
    frame_put_writable(m); /* the audit knows of no holder */
    assert_int_equal(frame_audit(), 0);
    assert_int_equal(frame_get(m, &a), 0);
    assert_int_equal(frame_release(&a, m), 0);
    assert_int_equal(a.pages, 1);
    assert_int_equal(frame_release(&a, m), -EINVAL);
    assert_int_equal(empties, 0);
    frame_put(m);
    assert_int_equal(a.pages, 0);
    assert_int_equal(frame_get(m, &a), -EINVAL);
    assert_int_equal(empties, 1);
}

static void test_zeroed(void **state)
{
    mfn_t m;

    assert_int_equal(frame_alloc(&a, 0, 0, &m), 0);
    memset(mfn_to_virt(m), 0x5a, PAGE_SIZE);
    assert_int_equal(frame_release(&a, m), 0);
    for (unsigned i = 0; i < 100; i++) {
        assert_int_equal(frame_alloc(&b, 0, 0, &m), 0);
        for (unsigned j = 0; j < PAGE_SIZE / 8; j++)
            assert_int_equal(((uint64_t *)mfn_to_virt(m))[j], 0);
    }
}

/* Frames that were taken out of the allocator before need not be there a second time. */
static void test_adopt_the_last_frames(void **state)
{
    mfn_t big, first, m;

    a.max_pages = b.max_pages = ~0ull;
    assert_int_equal(buddy_alloc(4, 0, &first), 0);
    assert_int_equal(buddy_alloc(10, 0, &big), 0);
    while (buddy_free_frames() > 512 && !frame_alloc(&b, 0, 0, &m))
        ;
    assert_int_equal(frame_adopt(&a, big, 1024), 0);
    assert_ptr_equal(frame_owner_of(mfn(big.n + 1023)), &a);
    assert_int_equal(a.pages, 1024);
    a.max_pages = a.pages + 15;
    assert_int_equal(frame_adopt(&a, first, 16), -E2BIG);
    a.max_pages++;
    assert_int_equal(frame_adopt(&a, first, 16), 0);
}

static void test_limits(void **state)
{
    mfn_t m;

    assert_int_equal(frame_alloc(&a, 7, 0, &m), -E2BIG);
    assert_int_equal(frame_alloc(&a, 6, 0, &m), 0);
    assert_int_equal(frame_alloc(&a, 6, 0, &m), -E2BIG);
    assert_int_equal(frame_alloc(&a, 60, 0, &m), -EINVAL);
    a.max_pages = ~0ull;
    assert_int_equal(frame_alloc(&a, 18, 0, &m), -ENOMEM);
    assert_int_equal(frame_alloc(&a, 0, 16, &m), -ENOMEM); /* below 64 KiB there is none */
    assert_int_equal(a.pages, 64);
    a.dying = true;
    assert_int_equal(frame_alloc(&a, 0, 0, &m), -EINVAL);
}

static void test_claims(void **state)
{
    uint64_t free = buddy_free_frames();
    mfn_t m;

    a.max_pages = b.max_pages = ~0ull;
    assert_int_equal(frame_claim(&a, free + 1), -ENOMEM);
    assert_int_equal(frame_claims(), 0);
    assert_int_equal(frame_claim(&a, free - 10), 0);
    assert_int_equal(frame_claim(&a, 1), -EINVAL);
    assert_int_equal(frame_claim(&b, 11), -ENOMEM);
    assert_int_equal(frame_alloc(&b, 4, 0, &m), -ENOMEM);
    assert_int_equal(frame_alloc(&b, 3, 0, &m), 0);
    assert_int_equal(frame_alloc(&a, 4, 0, &m), 0); /* its own */
    assert_int_equal(a.claim, free - 26);
    assert_int_equal(frame_claims(), free - 26);
    assert_int_equal(frame_alloc(&a, 18, 0, &m), -ENOMEM);
    assert_int_equal(frame_claims(), free - 26); /* not lost in failure */
    assert_int_equal(frame_claim(&a, 0), 0);
    assert_int_equal(frame_claims(), 0);
    assert_int_equal(frame_alloc(&b, 4, 0, &m), 0);
    a.max_pages = 100;
    assert_int_equal(frame_claim(&a, 90), -EINVAL);
}

static void test_shared_pages(void **state)
{
    void *rw = heap_page(), *ro = heap_page();
    mfn_t mrw = virt_to_mfn(rw), mro = virt_to_mfn(ro);

    frame_share(&a, rw, true);
    frame_share(&a, ro, false);
    assert_int_equal(a.heap_pages, 2);
    assert_int_equal(frame_audit(), 0);
    assert_int_equal(frame_get_writable(mro, &a), -EBUSY);
    assert_int_equal(frame_get_writable(mrw, &b), -EINVAL);
    assert_int_equal(frame_release(&a, mrw), -EINVAL);
    assert_int_equal(frame_get_writable(mrw, &a), 0);
    assert_int_equal(frame_unshare(&a, rw), -EBUSY);
    assert_int_equal(frame_unshare(&a, ro), 0);
    assert_int_equal(frame_unshare(&a, ro), 0);
    /* The owner dies; somebody still maps the page. */
    a.dying = true;
    assert_int_equal(frame_owner_release_all(&a), 0);
    assert_false(frame_owner_is_empty(&a));
    assert_int_equal(empties, 0);
    frame_put_writable(mrw);
    assert_true(frame_owner_is_empty(&a));
    assert_int_equal(empties, 1);
    assert_int_equal(frame_unshare(&a, rw), 0);
    heap_page_free(rw);
    heap_page_free(ro);
}

static void test_end_in_steps(void **state)
{
    unsigned steps = 1;
    mfn_t m;

    for (unsigned i = 0; i < 90; i++)
        assert_int_equal(frame_alloc(&a, 0, 0, &m), 0);
    assert_int_equal(frame_get(m, &a), 0);
    a.dying = true;
    frame_budget = 10;
    while (frame_owner_release_all(&a) == -ERESTART)
        steps++;
    frame_budget = 4096;
    assert_true(steps >= 9);
    assert_int_equal(a.pages, 1);
    assert_int_equal(empties, 0);
    frame_put(m);
    assert_int_equal(a.pages, 0);
    assert_int_equal(empties, 1);
}

static void test_descriptor_pages(void **state)
{
    mfn_t m;

    assert_int_equal(frame_alloc(&a, 0, 0, &m), 0);
    frame_descriptor_ok = NULL;
    assert_int_equal(frame_get_type(m, FRAME_SEGDESC), -EINVAL);
    assert_int_equal(frame_type_of(m), FRAME_NONE);
    pv_mm_init();
    assert_int_equal(frame_get_type(m, FRAME_SEGDESC), 0);
    assert_int_equal(frame_get_type(m, FRAME_SEGDESC), 0);
    assert_int_equal(frame_get_writable(m, &a), -EBUSY);
    frame_put_type(m);
    assert_int_equal(frame_get_writable(m, &a), -EBUSY);
    frame_put_type(m);
    assert_int_equal(frame_get_writable(m, &a), 0);
    assert_int_equal(frame_get_type(m, FRAME_SEGDESC), -EBUSY);
    frame_put_writable(m);
    assert_int_equal(frame_get_type(m, FRAME_NONE), -EINVAL);
    assert_int_equal(frame_get_type(m, FRAME_L4), -EINVAL); /* such an owner has no tables */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_alloc_and_release, setup, teardown),
        cmocka_unit_test_setup_teardown(test_held_by_others, setup, teardown),
        cmocka_unit_test_setup_teardown(test_zeroed, setup, teardown),
        cmocka_unit_test_setup_teardown(test_adopt_the_last_frames, setup, teardown),
        cmocka_unit_test_setup_teardown(test_limits, setup, teardown),
        cmocka_unit_test_setup_teardown(test_claims, setup, teardown),
        cmocka_unit_test_setup_teardown(test_shared_pages, setup, teardown),
        cmocka_unit_test_setup_teardown(test_end_in_steps, setup, teardown),
        cmocka_unit_test_setup_teardown(test_descriptor_pages, setup, teardown),
    };

    return cmocka_run_group_tests_name("frame_alloc", tests, NULL, NULL);
}
