/* SPDX-License-Identifier: MIT */
/* hypercall/dispatch and names: every number there is, and every one there is not. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include <xen/version.h>
#include <xen/xen.h>

#include "guest.h"
#include "hypercall/hypercall.h"
#include "lib/errno.h"

#define NOBODYS 63u /* public xen.h ends at 55 */

static struct guest *g;

static int setup(void **state)
{
    guest_machine(1);
    g = guest_new(5, 1, false);
    guest_be(g, 0);
    return 0;
}

static int teardown(void **state)
{
    guest_kill(g);
    return 0;
}

/* What a PV guest's kernel of today cannot do without: ABI.md 1.2. */
static const uint8_t needed[] = {
    __HYPERVISOR_set_trap_table,
    __HYPERVISOR_mmu_update,
    __HYPERVISOR_set_gdt,
    __HYPERVISOR_stack_switch,
    __HYPERVISOR_fpu_taskswitch,
    __HYPERVISOR_platform_op,
    __HYPERVISOR_set_debugreg,
    __HYPERVISOR_get_debugreg,
    __HYPERVISOR_update_descriptor,
    __HYPERVISOR_memory_op,
    __HYPERVISOR_multicall,
    __HYPERVISOR_update_va_mapping,
    __HYPERVISOR_set_timer_op,
    __HYPERVISOR_xen_version,
    __HYPERVISOR_console_io,
    __HYPERVISOR_grant_table_op,
    __HYPERVISOR_vm_assist,
    __HYPERVISOR_update_va_mapping_otherdomain,
    __HYPERVISOR_iret,
    __HYPERVISOR_vcpu_op,
    __HYPERVISOR_set_segment_base,
    __HYPERVISOR_mmuext_op,
    __HYPERVISOR_nmi_op,
    __HYPERVISOR_sched_op,
    __HYPERVISOR_callback_op,
    __HYPERVISOR_event_channel_op,
    __HYPERVISOR_physdev_op,
};

/* Old forms that nobody calls any more, and numbers that were never given. */
static const uint8_t never[] = {
    __HYPERVISOR_sched_op_compat,
    __HYPERVISOR_event_channel_op_compat,
    __HYPERVISOR_physdev_op_compat,
    11,
    47,
    48,
    49,
    50,
    51,
    52,
    53,
    54,
    55,
    56,
    57,
    58,
    59,
    60,
    61,
    62,
    63,
};

static void there(void **state)
{
    for (unsigned i = 0; i < ARRAY_SIZE(needed); i++)
        if (hypercall_table[needed[i]] == hypercall_table[NOBODYS])
            fail_msg("no hypercall %u", needed[i]);
}

static void not_there(void **state)
{
    for (unsigned i = 0; i < ARRAY_SIZE(never); i++)
        assert_int_equal(hypercall_call(never[i], 1, 2, 3, 4, 5, 6), -ENOSYS);
}

/* No two share a function but those that do not exist, and none is missing. */
static void one_function_each(void **state)
{
    for (unsigned i = 0; i < HYPERCALLS; i++) {
        assert_non_null(hypercall_table[i]);
        for (unsigned j = 0; j < i; j++)
            if (hypercall_table[i] == hypercall_table[j])
                assert_ptr_equal(hypercall_table[i], hypercall_table[NOBODYS]);
        if (hypercall_table[i] == hypercall_table[NOBODYS])
            assert_int_equal(hypercall_call(i, 0, 0, 0, 0, 0, 0), -ENOSYS);
    }
}

static void beyond_the_table(void **state)
{
    static const uint64_t ops[] = {64, 65, 128, 1ul << 32, 1ul << 32 | 17, 1ul << 63 | 17, ~0ul};

    for (unsigned i = 0; i < ARRAY_SIZE(ops); i++)
        assert_int_equal(hypercall_call(ops[i], XENVER_version, 0, 0, 0, 0, 0), -ENOSYS);
}

/* Arguments that are 32 bits wide in the ABI: what is above is not looked at. */
static void arguments_are_cut(void **state)
{
    const uint64_t junk = 0xdead00000000ul;

    assert_int_equal(hypercall_call(17, junk | XENVER_version, 0, 0, 0, 0, 0), 4 << 16 | 17);
    assert_int_equal(hypercall_call(__HYPERVISOR_vm_assist, junk | VMASST_CMD_enable,
                                    junk | VMASST_TYPE_writable_pagetables, 0, 0, 0, 0),
                     0);
    assert_int_equal(g->d->vm_assist, BIT(VMASST_TYPE_writable_pagetables));
    assert_int_equal(hypercall_call(__HYPERVISOR_vcpu_op, junk | 3, junk, 0, 0, 0, 0), 1);
    assert_int_equal(hypercall_call(__HYPERVISOR_multicall, guest_va(1), junk, 0, 0, 0, 0), 0);
}

static void all_that_exist_have_names(void **state)
{
    for (unsigned i = 0; i < HYPERCALLS; i++)
        if (hypercall_table[i] != hypercall_table[NOBODYS])
            assert_non_null(hypercall_name(i));
    assert_string_equal(hypercall_name(17), "xen_version");
    assert_string_equal(hypercall_name(32), "event_channel_op");
    assert_null(hypercall_name(11));
    assert_null(hypercall_name(NOBODYS));
    assert_null(hypercall_name(~0u));
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(there),
        TEST(not_there),
        TEST(one_function_each),
        TEST(beyond_the_table),
        TEST(arguments_are_cut),
        TEST(all_that_exist_have_names),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
