/* SPDX-License-Identifier: MIT */
/* cpu/xpti.c: which copy of an L4 a CPU leaves by, what is in it, and when it is made anew. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "cpu/xpti.h"
#include "hw/pte.h"
#include "lib/util.h"
#include "machine.h"
#include "memory/heap.h"
#include "memory/layout.h"

#define OURS 0xfeed000000000001ull /* what the hypervisor shows in its slots */

static uint64_t *l4[3];

static uint64_t *page(void)
{
    uint64_t *p = heap_page();

    assert_non_null(p);
    return p;
}

static void cpu_start(unsigned n)
{
    uint64_t *base;

    host_cpu_select(n);
    base = page();
    for (unsigned i = L4_HV_FIRST; i <= L4_HV_LAST; i++)
        base[i] = OURS + i;
    xpti_cpu_init(base);
}

static int setup(void **state)
{
    host_machine_init(16 << 20, 2);
    host_memory_init();
    for (unsigned t = 0; t < ARRAY_SIZE(l4); t++) {
        l4[t] = page();
        for (unsigned i = 0; i < PT_ENTRIES; i++)
            l4[t][i] = (t + 1) << 20 | i << 1 | PTE_P;
    }
    cpu_start(1);
    cpu_start(0);
    xpti_active = true;
    return 0;
}

static int teardown(void **state)
{
    xpti_active = false;
    return 0;
}

/* As entry.S leaves: the tables that the guest would run on. */
static const uint64_t *leave(void)
{
    unsigned rounds = 0;

    while (cpu_local()->shadow_stale) {
        assert_true(rounds++ < 2);
        xpti_refill();
    }
    return cpu_local()->exit_cr3 ? paddr_to_virt(cpu_local()->exit_cr3) : NULL;
}

static void same_but_ours(const uint64_t *copy, const uint64_t *of)
{
    for (unsigned i = 0; i < PT_ENTRIES; i++) {
        bool ours = i >= L4_HV_FIRST && i <= L4_HV_LAST && i != L4_PERDOMAIN;

        if (copy[i] != (ours ? OURS + i : of[i]))
            fail_msg("slot %u: %#lx", i, copy[i]);
    }
}

static void shows_the_guest_and_hides_us(void **state)
{
    xpti_load(virt_to_mfn(l4[0]), 1);
    assert_int_equal(cpu_local()->hv_cr3, virt_to_paddr(l4[0]));
    same_but_ours(leave(), l4[0]);
    assert_int_not_equal(cpu_local()->exit_cr3, cpu_local()->hv_cr3);
}

static void two_modes_keep_their_copies(void **state)
{
    const uint64_t *kernel, *user;

    xpti_load(virt_to_mfn(l4[0]), 1);
    kernel = leave();
    xpti_load(virt_to_mfn(l4[1]), 0);
    user = leave();
    assert_ptr_not_equal(kernel, user);
    same_but_ours(user, l4[1]);
    /* Back again: nothing is copied, and the copy is right all the same. */
    xpti_load(virt_to_mfn(l4[0]), 1);
    assert_false(xpti_stale());
    same_but_ours(leave(), l4[0]);
}

static void another_table_is_copied(void **state)
{
    xpti_load(virt_to_mfn(l4[0]), 1);
    (void)leave();
    xpti_load(virt_to_mfn(l4[2]), 1);
    same_but_ours(leave(), l4[2]);
}

static void a_number_that_comes_again_is_copied(void **state)
{
    xpti_load(virt_to_mfn(l4[0]), 1);
    (void)leave();
    l4[0][3] = 0x7777001; /* freed, and made a table again */
    xpti_forget();
    xpti_load(virt_to_mfn(l4[0]), 1);
    same_but_ours(leave(), l4[0]);
}

static void changes_reach_both_copies_of_all_cpus(void **state)
{
    struct cpu_mask both = {{3}};

    for (unsigned cpu = 0; cpu < 2; cpu++) {
        host_cpu_select(cpu);
        xpti_load(virt_to_mfn(l4[0]), 0);
        (void)leave();
        xpti_load(virt_to_mfn(l4[0]), 1);
        (void)leave();
        assert_false(xpti_stale());
    }
    l4[0][300] = 0;
    xpti_l4_changed(&both);
    for (unsigned cpu = 0; cpu < 2; cpu++) {
        host_cpu_select(cpu);
        assert_true(xpti_stale());
        same_but_ours(leave(), l4[0]);
        xpti_load(virt_to_mfn(l4[0]), 0);
        same_but_ours(leave(), l4[0]);
    }
}

static void only_the_cpus_named(void **state)
{
    struct cpu_mask first = {{1}};

    for (unsigned cpu = 0; cpu < 2; cpu++) {
        host_cpu_select(cpu);
        xpti_load(virt_to_mfn(l4[0]), 1);
        (void)leave();
    }
    xpti_l4_changed(&first);
    assert_false(xpti_stale());
    host_cpu_select(0);
    assert_true(xpti_stale());
}

static void unloaded_it_keeps_the_guests_tables(void **state)
{
    xpti_load(virt_to_mfn(l4[0]), 1);
    (void)leave();
    xpti_unload();
    xpti_forget();
    assert_null(leave());
    assert_int_equal(cpu_local()->hv_cr3, 0);
    xpti_load(virt_to_mfn(l4[0]), 1);
    same_but_ours(leave(), l4[0]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(shows_the_guest_and_hides_us, setup, teardown),
        cmocka_unit_test_setup_teardown(two_modes_keep_their_copies, setup, teardown),
        cmocka_unit_test_setup_teardown(another_table_is_copied, setup, teardown),
        cmocka_unit_test_setup_teardown(a_number_that_comes_again_is_copied, setup, teardown),
        cmocka_unit_test_setup_teardown(changes_reach_both_copies_of_all_cpus, setup, teardown),
        cmocka_unit_test_setup_teardown(only_the_cpus_named, setup, teardown),
        cmocka_unit_test_setup_teardown(unloaded_it_keeps_the_guests_tables, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
