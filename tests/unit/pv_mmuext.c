/* SPDX-License-Identifier: MIT */
/* mmuext_op: pins, page-table bases, flushes, pages; with small budgets and preemption too. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "pvguest.h"
#include "lib/errno.h"

#define RW (PTE_P | PTE_RW | PTE_U | PTE_A | PTE_D)
#define RO (PTE_P | PTE_U | PTE_A | PTE_D)

static struct pvguest *g;

static int setup(void **state)
{
    pvg_machine(64u << 20, 2);
    pvg_seed = 1;
    pvg_preempt = pvg_abandon = 0;
    frame_budget = 4096;
    g = pvg_new(0, 256, true);
    pvg_run(g, 0);
    return 0;
}

static int teardown(void **state)
{
    int mistakes = frame_audit();

    pvg_free(g);
    mistakes += frame_audit();
    if (mistakes)
        print_message("%s", host_log());
    frame_budget = 4096;
    return mistakes != 0;
}

static void make_ro(unsigned pfn)
{
    assert_int_equal(pv_update_va_mapping(pvg_va(pfn), pte_make(g->mfn[pfn], RO), 0), 0);
}

/* pfn 30 is an L4, 31 its L3, 32 its L2, 33 to 33 + n - 1 its L1s, each mapping pfn 100 and on. */
static void build(unsigned n)
{
    uint64_t *l4 = pvg_page(g, 30), *l3 = pvg_page(g, 31), *l2 = pvg_page(g, 32);

    for (unsigned i = 30; i < 33 + n; i++)
        memset(pvg_page(g, i), 0, PAGE_SIZE);
    l4[1] = pte_make(g->mfn[31], RW);
    l3[2] = pte_make(g->mfn[32], RW);
    for (unsigned i = 0; i < n; i++) {
        uint64_t *l1 = pvg_page(g, 33 + i);

        l2[i] = pte_make(g->mfn[33 + i], RW);
        for (unsigned j = 0; j < 8; j++)
            l1[j * 60] = pte_make(g->mfn[100 + j], RW);
    }
    for (unsigned i = 30; i < 33 + n; i++)
        make_ro(i);
}

static void expect_none(unsigned n)
{
    for (unsigned i = 30; i < 33 + n; i++) {
        assert_int_equal(frame_type_of(g->mfn[i]), FRAME_NONE);
        assert_int_equal(frame_ref_count(g->mfn[i]), 2);
    }
    assert_int_equal(frame_type_count(g->mfn[100]), 1);
}

static void test_pin_and_unpin(void **state)
{
    build(3);
    assert_int_equal(pvg_ext(MMUEXT_PIN_L4_TABLE, g->mfn[30].n), 0);
    assert_int_equal(frame_type_of(g->mfn[30]), FRAME_L4);
    assert_int_equal(frame_type_of(g->mfn[31]), FRAME_L3);
    assert_int_equal(frame_type_of(g->mfn[32]), FRAME_L2);
    assert_int_equal(frame_type_of(g->mfn[33]), FRAME_L1);
    assert_int_equal(frame_type_count(g->mfn[100]), 4);
    assert_true(frame_is_pinned(g->mfn[30]));
    assert_false(frame_is_pinned(g->mfn[31]));
    assert_int_equal(((uint64_t *)pvg_page(g, 30))[L4_PERDOMAIN], g->d.memory.l4_perdomain);
    assert_int_equal(pvg_ext(MMUEXT_UNPIN_TABLE, g->mfn[30].n), 0);
    expect_none(3);
}

static void test_refused(void **state)
{
    build(1);
    assert_int_equal(pvg_ext(MMUEXT_UNPIN_TABLE, g->mfn[30].n), -EINVAL);
    assert_int_equal(pvg_ext(MMUEXT_PIN_L4_TABLE, g->mfn[30].n), 0);
    assert_int_equal(pvg_ext(MMUEXT_PIN_L4_TABLE, g->mfn[30].n), -EINVAL);
    assert_int_equal(pvg_ext(MMUEXT_PIN_L3_TABLE, g->mfn[30].n), -EBUSY);
    assert_int_equal(pvg_ext(MMUEXT_PIN_L1_TABLE, g->mfn[40].n), -EBUSY); /* writable */
    assert_int_equal(pvg_ext(MMUEXT_PIN_L1_TABLE, max_mfn), -EINVAL);
    assert_int_equal(pvg_ext(MMUEXT_PIN_L1_TABLE, ~0ul), -EINVAL);
    assert_int_equal(pvg_ext(MMUEXT_PIN_L1_TABLE, 0xb8), -EINVAL);
    assert_int_equal(pvg_ext(MMUEXT_PIN_L1_TABLE, g->d.pv->perdomain_mfn.n), -EINVAL);
    assert_int_equal(pvg_ext(MMUEXT_UNPIN_TABLE, ~0ul), -EINVAL);
    assert_int_equal(pvg_ext(MMUEXT_UNPIN_TABLE, g->mfn[31].n), -EINVAL);
    assert_int_equal(pvg_ext(MMUEXT_MARK_SUPER, g->mfn[31].n), -EOPNOTSUPP);
    assert_int_equal(pvg_ext(200, 0), -ENOSYS);
    assert_int_equal(pvg_ext(MMUEXT_UNPIN_TABLE, g->mfn[30].n), 0);
}

/* A table deep in the tree is wrong: nothing is left behind. */
static void test_bad_tree(void **state)
{
    build(3);
    ((uint64_t *)pvg_page(g, 35))[511] = pte_make(g->mfn[0], RW);
    assert_int_equal(pvg_ext(MMUEXT_PIN_L4_TABLE, g->mfn[30].n), -EBUSY);
    assert_int_equal(frame_audit(), 0);
    assert_int_equal(pvg_ext(MMUEXT_TLB_FLUSH_LOCAL, 0), 0);
    expect_none(3);
    /* The tree itself writable through itself. */
    ((uint64_t *)pvg_page(g, 35))[511] = pte_make(g->mfn[31], RW);
    assert_int_equal(pvg_ext(MMUEXT_PIN_L4_TABLE, g->mfn[30].n), -EBUSY);
    ((uint64_t *)pvg_page(g, 35))[511] = pte_make(g->mfn[31], RO);
    assert_int_equal(pvg_ext(MMUEXT_PIN_L4_TABLE, g->mfn[30].n), 0);
    assert_int_equal(pvg_ext(MMUEXT_UNPIN_TABLE, g->mfn[30].n), 0);
}

static void test_preempted(void **state)
{
    struct mmuext_op op[2] = {{.cmd = MMUEXT_PIN_L4_TABLE}, {.cmd = MMUEXT_UNPIN_TABLE}};
    unsigned done;

    build(40);
    op[0].arg1.mfn = op[1].arg1.mfn = g->mfn[30].n;
    frame_budget = 70;
    pvg_preempt = 1;
    pvg_continued = 0;
    assert_int_equal(pvg_mmuext(op, 1, &done, DOMID_SELF), 0);
    assert_int_equal(done, 1);
    assert_true(pvg_continued >= 30);
    assert_int_equal(frame_audit(), 0);
    assert_int_equal(frame_type_count(g->mfn[100]), 41);
    assert_int_equal(pvg_mmuext(op + 1, 1, &done, DOMID_SELF), 0);
    assert_int_equal(done, 1);
    expect_none(40);
    /* One call that does both; and a wrong one in the middle. */
    assert_int_equal(pvg_mmuext(op, 2, &done, DOMID_SELF), 0);
    assert_int_equal(done, 2);
    op[1].arg1.mfn = g->mfn[31].n;
    assert_int_equal(pvg_mmuext(op, 2, &done, DOMID_SELF), -EINVAL);
    assert_int_equal(done, 1);
    op[1].arg1.mfn = g->mfn[30].n;
    assert_int_equal(pvg_mmuext(op + 1, 1, &done, DOMID_SELF), 0);
    expect_none(40);
}

/* The guest never comes back to its call; then it dies. */
static void test_abandoned(void **state)
{
    struct mmuext_op op = {.cmd = MMUEXT_PIN_L4_TABLE};

    build(20);
    op.arg1.mfn = g->mfn[30].n;
    frame_budget = 200;
    pvg_preempt = pvg_abandon = 1;
    assert_int_equal(pvg_mmuext(&op, 1, NULL, DOMID_SELF), -ERESTART);
    assert_int_equal(frame_audit(), 0);
    assert_int_equal(frame_type_of(g->mfn[30]), FRAME_NONE);
    assert_int_equal(pvg_update(pvg_maddr(pvg_l1e(g, 20)), pte_make(g->mfn[30], RW)), -EBUSY);
    /* Its parts are tables of their own right. */
    assert_int_equal(frame_type_of(g->mfn[33]), FRAME_L1);
}

static void test_abandoned_drop(void **state)
{
    struct mmuext_op op = {.cmd = MMUEXT_PIN_L4_TABLE};

    build(20);
    op.arg1.mfn = g->mfn[30].n;
    assert_int_equal(pvg_mmuext(&op, 1, NULL, DOMID_SELF), 0);
    frame_budget = 200;
    pvg_preempt = pvg_abandon = 1;
    op.cmd = MMUEXT_UNPIN_TABLE;
    assert_int_equal(pvg_mmuext(&op, 1, NULL, DOMID_SELF), -ERESTART);
    assert_true(g->d.memory.drop_count > 0);
    assert_int_equal(frame_audit(), 0);
    /* The next operation has to finish it first. */
    pvg_abandon = 0;
    op.cmd = MMUEXT_TLB_FLUSH_LOCAL;
    assert_int_equal(pvg_mmuext(&op, 1, NULL, DOMID_SELF), 0);
    assert_int_equal(g->d.memory.drop_count, 0);
    expect_none(20);
}

static void test_bases(void **state)
{
    uint64_t *l4 = pvg_page(g, 30);

    build(1);
    l4[pt_index(PVG_DIRECT, 4)] = ((uint64_t *)pvg_page(g, 0))[pt_index(PVG_DIRECT, 4)];
    assert_int_equal(pvg_ext(MMUEXT_NEW_BASEPTR, g->mfn[40].n), -EBUSY);
    assert_int_equal(pvg_ext(MMUEXT_NEW_BASEPTR, ~0ul), -EINVAL);
    /* No L4: what it maps is no L3, down to the pages that are writable. */
    assert_int_equal(pvg_ext(MMUEXT_NEW_BASEPTR, g->mfn[31].n), -EBUSY);
    assert_int_equal(host_cpu()->cr[3], g->mfn[0].n << PAGE_SHIFT);
    assert_int_equal(pvg_ext(MMUEXT_NEW_BASEPTR, g->mfn[30].n), 0);
    assert_int_equal(host_cpu()->cr[3], g->mfn[30].n << PAGE_SHIFT);
    assert_int_equal(frame_type_count(g->mfn[30]), 1);
    /* What is loaded stays a table though it was never pinned. */
    assert_int_equal(pvg_update(pvg_maddr(pvg_l1e(g, 30)), pte_make(g->mfn[30], RW)), -EBUSY);
    assert_int_equal(pvg_ext(MMUEXT_NEW_USER_BASEPTR, g->mfn[30].n), 0);
    assert_int_equal(frame_type_count(g->mfn[30]), 2);
    assert_int_equal(pvg_ext(MMUEXT_NEW_BASEPTR, g->mfn[0].n), 0);
    assert_int_equal(pvg_ext(MMUEXT_NEW_BASEPTR, g->mfn[0].n), 0);
    assert_int_equal(frame_type_count(g->mfn[30]), 1);
    assert_int_equal(pvg_ext(MMUEXT_NEW_USER_BASEPTR, 0), 0);
    assert_true(mfn_eq(g->v[0].pv->user_l4, INVALID_MFN));
    assert_int_equal(frame_type_of(g->mfn[30]), FRAME_NONE);
}

/* Several vCPUs give up their tables at once, none of which anybody else holds: one tree after the
 * other, or the list of what is to be dropped runs over. */
static void test_bases_of_many(void **state)
{
    struct vcpu *a = &g->v[0], *b = &g->v[1];
    int rc;

    build(20);
    memset(pvg_page(g, 60), 0, PAGE_SIZE);
    make_ro(60);
    assert_int_equal(pv_new_user_l4(a, g->mfn[30]), 0);
    assert_int_equal(pv_new_user_l4(b, g->mfn[60]), 0);
    frame_budget = 70;
    assert_int_equal(pv_new_user_l4(a, INVALID_MFN), 0);
    assert_true(g->d.memory.drop_count > 0);
    assert_int_equal(pv_new_user_l4(b, INVALID_MFN), -ERESTART);
    assert_true(mfn_eq(b->pv->user_l4, g->mfn[60]));
    while ((rc = pv_new_user_l4(b, INVALID_MFN)) == -ERESTART)
        ;
    assert_int_equal(rc, 0);
    frame_budget = 4096;
    assert_int_equal(pvg_ext(MMUEXT_TLB_FLUSH_LOCAL, 0), 0);
    expect_none(20);
}

static void test_flushes(void **state)
{
    struct mmuext_op op = {.cmd = MMUEXT_TLB_FLUSH_MULTI};
    unsigned flushes, invalidations;

    host_cpu_select(1);
    pvg_run(g, 1);
    flushes = host_cpu()->flushes;
    invalidations = host_cpu()->invalidations;
    host_cpu_select(0);
    *(uint64_t *)pvg_page(g, 60) = 2;
    op.arg2.src_mfn = pvg_va(60); /* vcpumask */
    assert_int_equal(pvg_mmuext(&op, 1, NULL, DOMID_SELF), 0);
    assert_int_equal(host_cpus[1].flushes, flushes + 1);
    op.cmd = MMUEXT_INVLPG_MULTI;
    assert_int_equal(pvg_mmuext(&op, 1, NULL, DOMID_SELF), 0);
    assert_int_equal(host_cpus[1].invalidations, invalidations + 1);
    *(uint64_t *)pvg_page(g, 60) = ~3ull; /* none that exists */
    assert_int_equal(pvg_mmuext(&op, 1, NULL, DOMID_SELF), 0);
    assert_int_equal(host_cpus[1].invalidations, invalidations + 1);
    op.arg2.src_mfn = HW_VA_DIRECT;
    assert_int_equal(pvg_mmuext(&op, 1, NULL, DOMID_SELF), -EFAULT);
    assert_int_equal(pvg_ext(MMUEXT_INVLPG_ALL, pvg_va(20)), 0);
    assert_int_equal(host_cpus[1].invalidations, invalidations + 2);
    assert_int_equal(pvg_ext(MMUEXT_FLUSH_CACHE, 0), -EPERM);
    host_cpu_select(1);
    cpu_local()->current = NULL;
    host_cpu_select(0);
}

static void test_pages(void **state)
{
    struct mmuext_op op = {.cmd = MMUEXT_COPY_PAGE};

    memset(pvg_page(g, 40), 0x5a, PAGE_SIZE);
    op.arg1.mfn = g->mfn[41].n;
    op.arg2.src_mfn = g->mfn[40].n;
    assert_int_equal(pvg_mmuext(&op, 1, NULL, DOMID_SELF), 0);
    assert_memory_equal(pvg_page(g, 41), pvg_page(g, 40), PAGE_SIZE);
    op.arg1.mfn = g->mfn[0].n;
    assert_int_equal(pvg_mmuext(&op, 1, NULL, DOMID_SELF), -EBUSY);
    op.arg1.mfn = g->mfn[41].n;
    op.arg2.src_mfn = g->d.pv->perdomain_mfn.n;
    assert_int_equal(pvg_mmuext(&op, 1, NULL, DOMID_SELF), -EINVAL);
    assert_int_equal(pvg_ext(MMUEXT_CLEAR_PAGE, g->mfn[40].n), 0);
    assert_int_equal(*(uint64_t *)pvg_page(g, 40), 0);
    assert_int_equal(pvg_ext(MMUEXT_CLEAR_PAGE, g->mfn[3].n), -EBUSY);
}

static void test_foreign_pins(void **state)
{
    struct pvguest *other = pvg_new(3, 64, false);
    struct mmuext_op op = {.cmd = MMUEXT_PIN_L1_TABLE};

    op.arg1.mfn = other->mfn[30].n;
    pvg_run(other, 0);
    assert_int_equal(pv_update_va_mapping(pvg_va(30), 0, 0), 0);
    assert_int_equal(pvg_mmuext(&op, 1, NULL, 0), -EPERM);
    pvg_run(g, 0);
    assert_int_equal(pvg_mmuext(&op, 1, NULL, DOMID_SELF), -EINVAL);
    assert_int_equal(pvg_mmuext(&op, 1, NULL, 3), 0);
    assert_true(frame_is_pinned(other->mfn[30]));
    op.cmd = MMUEXT_UNPIN_TABLE;
    assert_int_equal(pvg_mmuext(&op, 1, NULL, 3), 0);
    assert_int_equal(pvg_mmuext(&op, 1, NULL, 77), -ESRCH);
    op.cmd = MMUEXT_NEW_BASEPTR;
    assert_int_equal(pvg_mmuext(&op, 1, NULL, 3), -EPERM);
    op.cmd = MMUEXT_PIN_L1_TABLE;
    assert_int_equal(pvg_mmuext(&op, 1, NULL, DOMID_IO), -EINVAL);
    /* A dying domain gets no new tables. */
    other->d.memory.dying = true;
    assert_int_equal(pvg_mmuext(&op, 1, NULL, 3), -EINVAL);
    /* Nor new pins of those it has. */
    op.arg1.mfn = other->mfn[3].n;
    assert_int_equal(frame_type_of(other->mfn[3]), FRAME_L1);
    assert_int_equal(pvg_mmuext(&op, 1, NULL, 3), -EINVAL);
    assert_false(frame_is_pinned(other->mfn[3]));
    pvg_free(other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_pin_and_unpin, setup, teardown),
        cmocka_unit_test_setup_teardown(test_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(test_bad_tree, setup, teardown),
        cmocka_unit_test_setup_teardown(test_preempted, setup, teardown),
        cmocka_unit_test_setup_teardown(test_abandoned, setup, teardown),
        cmocka_unit_test_setup_teardown(test_abandoned_drop, setup, teardown),
        cmocka_unit_test_setup_teardown(test_bases, setup, teardown),
        cmocka_unit_test_setup_teardown(test_bases_of_many, setup, teardown),
        cmocka_unit_test_setup_teardown(test_flushes, setup, teardown),
        cmocka_unit_test_setup_teardown(test_pages, setup, teardown),
        cmocka_unit_test_setup_teardown(test_foreign_pins, setup, teardown),
    };

    return cmocka_run_group_tests_name("pv_mmuext", tests, NULL, NULL);
}
