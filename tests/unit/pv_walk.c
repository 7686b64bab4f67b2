/* SPDX-License-Identifier: MIT */
/* pv/walk: what a guest's tables say of an address, level by level, who may change whose tables,
 * and which CPUs a mask of vCPUs means. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "hypercall/ops.h"
#include "lib/errno.h"
#include "memory/layout.h"
#include "pv/internal.h"
#include "pv/mm.h"
#include "pvguest.h"

#define RW (PTE_P | PTE_RW | PTE_U | PTE_A | PTE_D)
#define RO (PTE_P | PTE_U | PTE_A | PTE_D)

static struct pvguest *g;
static struct vcpu *v;

static int setup(void **state)
{
    pvg_machine(64u << 20, 2);
    pvg_seed = 1;
    pvg_preempt = pvg_abandon = 0;
    g = pvg_new(0, 64, true);
    pvg_run(g, 0);
    v = current();
    return 0;
}

static int teardown(void **state)
{
    int mistakes = frame_audit();

    pvg_free(g);
    return mistakes != 0;
}

/* The entry of `level` that maps pfn in the guest's direct map: its pfns 0 to 3 are L4 to L1. */
static uint64_t *entry(unsigned level, unsigned pfn)
{
    return (uint64_t *)pvg_page(g, 4 - level) + pt_index(pvg_va(pfn), level);
}

static void finds_the_entry(void **state)
{
    unsigned index;
    mfn_t l1;

    assert_int_equal(pv_find_l1e(v, pvg_va(20) + 0x123, &l1, &index), 0);
    assert_true(mfn_eq(l1, g->mfn[3]));
    assert_int_equal(index, 20);
    /* The entry itself need not be present. */
    assert_int_equal(pv_update_va_mapping(pvg_va(20), 0, 0), 0);
    assert_int_equal(pv_find_l1e(v, pvg_va(20), &l1, &index), 0);
    for (unsigned level = 2; level <= 4; level++) {
        uint64_t was = *entry(level, 20);

        *entry(level, 20) &= ~PTE_P;
        assert_int_equal(pv_find_l1e(v, pvg_va(20), &l1, &index), -EINVAL);
        *entry(level, 20) = was;
    }
    assert_int_equal(pv_find_l1e(v, HW_VA_DIRECT, &l1, &index), -EINVAL);
    assert_int_equal(pv_find_l1e(v, HV_VA_START, &l1, &index), -EINVAL);
    assert_int_equal(pv_find_l1e(v, 1ul << 47, &l1, &index), -EINVAL);
    v->pv->in_kernel = false; /* without tables for user mode */
    assert_int_equal(pv_find_l1e(v, pvg_va(20), &l1, &index), -EINVAL);
    v->pv->in_kernel = true;
}

/* By an entry that leads back to the L2 itself, an "L1" is reached that is none. */
static void a_linear_map_is_no_l1(void **state)
{
    uint64_t *e = (uint64_t *)pvg_page(g, 2) + 300;
    unsigned index;
    mfn_t l1;

    assert_int_equal(pvg_update(pvg_maddr(e), pte_make(g->mfn[2], RO)), 0);
    assert_int_equal(pv_find_l1e(v, PVG_DIRECT + (300ul << 21), &l1, &index), -EINVAL);
    assert_int_equal(pvg_update(pvg_maddr(e), 0), 0);
}

static void rights_of_all_levels(void **state)
{
    static const struct {
        uint64_t clear, set;
        bool read, write, fetch;
    } cases[] = {
        {0, 0, true, true, true},        {PTE_RW, 0, true, false, true},
        {PTE_U, 0, false, false, false}, {PTE_P, 0, false, false, false},
        {0, PTE_NX, true, true, false},  {PTE_RW, PTE_NX, true, false, false},
    };

    for (unsigned level = 1; level <= 4; level++)
        for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
            uint64_t was = *entry(level, 20), va = pvg_va(20) + 8;

            *entry(level, 20) = (was & ~cases[i].clear) | cases[i].set;
            assert_int_equal(pv_access_allowed(v, va, PFEC_U), cases[i].read);
            assert_int_equal(pv_access_allowed(v, va, PFEC_U | PFEC_P), cases[i].read);
            assert_int_equal(pv_access_allowed(v, va, PFEC_U | PFEC_W), cases[i].write);
            assert_int_equal(pv_access_allowed(v, va, PFEC_U | PFEC_I), cases[i].fetch);
            *entry(level, 20) = was;
        }
    assert_false(pv_access_allowed(v, pvg_va(20), PFEC_U | PFEC_RSVD));
    assert_false(pv_access_allowed(v, HW_VA_DIRECT, PFEC_U));
    assert_false(pv_access_allowed(v, 1ul << 47, PFEC_U));
    v->pv->in_kernel = false;
    assert_false(pv_access_allowed(v, pvg_va(20), PFEC_U));
    v->pv->user_l4 = g->mfn[0];
    assert_true(pv_access_allowed(v, pvg_va(20), PFEC_U));
    v->pv->user_l4 = INVALID_MFN;
    v->pv->in_kernel = true;
}

/* ---- whose ---- */

static void targets(void **state)
{
    struct pvguest *other = pvg_new(7, 32, false);
    struct mm_target t;
    uint32_t refs;

    pvg_run(g, 0);
    refs = other->d.refs;
    assert_int_equal(mm_target_get(&t, DOMID_SELF), 0);
    assert_ptr_equal(t.table, &g->d);
    assert_ptr_equal(t.page, &g->d);
    assert_ptr_equal(t.owner, &g->d.memory);
    mm_target_put(&t);
    /* Its frames into our tables; our frames into its tables; both its. */
    assert_int_equal(mm_target_get(&t, 7), 0);
    assert_ptr_equal(t.table, &g->d);
    assert_ptr_equal(t.page, &other->d);
    assert_int_equal(other->d.refs, refs + 1);
    mm_target_put(&t);
    assert_int_equal(mm_target_get(&t, 8u << 16 | DOMID_SELF), 0);
    assert_ptr_equal(t.table, &other->d);
    assert_ptr_equal(t.page, &g->d);
    mm_target_put(&t);
    assert_int_equal(mm_target_get(&t, 8u << 16 | 7), 0);
    assert_int_equal(other->d.refs, refs + 2);
    mm_target_put(&t);
    assert_int_equal(other->d.refs, refs);
    assert_int_equal(mm_target_get(&t, DOMID_IO), 0);
    assert_ptr_equal(t.owner, &frame_owner_io);
    assert_null(t.page);
    mm_target_put(&t);
    assert_int_equal(mm_target_get(&t, DOMID_XEN), 0);
    assert_ptr_equal(t.owner, &frame_owner_xen);
    mm_target_put(&t);
    /* A refusal keeps no reference to the first when the second is none. */
    assert_int_equal(mm_target_get(&t, 99), -ESRCH);
    assert_int_equal(mm_target_get(&t, 100u << 16 | 7), -ESRCH);
    assert_int_equal(mm_target_get(&t, 8u << 16 | 99), -ESRCH);
    other->d.memory.translated = true;
    assert_int_equal(mm_target_get(&t, 8u << 16 | 7), 0);
    mm_target_put(&t);
    other->d.memory.translated = false;
    other->d.pv = NULL;
    assert_int_equal(mm_target_get(&t, 8u << 16 | DOMID_SELF), -EINVAL);
    other->d.pv = &other->pvd;
    assert_int_equal(other->d.refs, refs);
    /* One that is not privileged reaches its own, and devices if it has any. */
    pvg_run(other, 0);
    assert_int_equal(mm_target_get(&t, 7), 0);
    mm_target_put(&t);
    assert_int_equal(mm_target_get(&t, DOMID_IO), 0);
    mm_target_put(&t);
    assert_int_equal(mm_target_get(&t, 0), -EPERM);
    assert_int_equal(mm_target_get(&t, DOMID_XEN), -EPERM);
    assert_int_equal(mm_target_get(&t, 1u << 16 | DOMID_SELF), -EPERM);
    pvg_run(g, 0);
    pvg_free(other);
}

/* ---- whose translations ---- */

static void masks_of_vcpus(void **state)
{
    uint64_t *mask = pvg_page(g, 30);
    struct cpu_mask cpus;

    host_cpu_select(1);
    pvg_run(g, 1);
    host_cpu_select(0);
    *mask = 1;
    assert_int_equal(mm_vcpu_cpus(&g->d, pvg_va(30), &cpus), 0);
    assert_int_equal(cpus.bits[0], 1);
    *mask = 2;
    assert_int_equal(mm_vcpu_cpus(&g->d, pvg_va(30), &cpus), 0);
    assert_int_equal(cpus.bits[0], 2);
    *mask = ~0ul;
    assert_int_equal(mm_vcpu_cpus(&g->d, pvg_va(30), &cpus), 0);
    assert_int_equal(cpus.bits[0], 3);
    *mask = ~3ul; /* none that it has */
    assert_int_equal(mm_vcpu_cpus(&g->d, pvg_va(30), &cpus), 0);
    assert_int_equal(cpus.bits[0], 0);
    /* A CPU that has flushed since is left alone. */
    *mask = 3;
    bitmap_clear(g->d.memory.dirty_cpus.bits, 1);
    assert_int_equal(mm_vcpu_cpus(&g->d, pvg_va(30), &cpus), 0);
    assert_int_equal(cpus.bits[0], 1);
    bitmap_set(g->d.memory.dirty_cpus.bits, 1);
    assert_int_equal(mm_vcpu_cpus(&g->d, HW_VA_DIRECT, &cpus), -EFAULT);
    assert_int_equal(mm_vcpu_cpus(&g->d, 0, &cpus), -EFAULT);
    host_cpu_select(1);
    cpu_local()->current = NULL;
    host_cpu_select(0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(finds_the_entry, setup, teardown),
        cmocka_unit_test_setup_teardown(a_linear_map_is_no_l1, setup, teardown),
        cmocka_unit_test_setup_teardown(rights_of_all_levels, setup, teardown),
        cmocka_unit_test_setup_teardown(targets, setup, teardown),
        cmocka_unit_test_setup_teardown(masks_of_vcpus, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
