/* SPDX-License-Identifier: MIT */
/* hypercall/vm_assist: which peculiarities exist, and that each is switched alone. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "guest.h"
#include "hypercall/ops.h"
#include "lib/errno.h"

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
    g->d->hvm = false;
    guest_kill(g);
    return 0;
}

static void switch_each(uint64_t valid)
{
    uint64_t all = 0;

    for (unsigned type = 0; type < 70; type++) {
        bool ok = type < 64 && (valid >> type & 1);

        assert_int_equal(vm_assist(VMASST_CMD_enable, type), ok ? 0 : -EINVAL);
        if (ok)
            all |= 1ul << type;
        assert_int_equal(g->d->vm_assist, all);
    }
    assert_int_equal(all, valid);
    for (unsigned type = 0; type < 70; type++) {
        bool ok = type < 64 && (valid >> type & 1);

        assert_int_equal(vm_assist(VMASST_CMD_disable, type), ok ? 0 : -EINVAL);
        if (ok)
            all &= ~(1ul << type);
        assert_int_equal(g->d->vm_assist, all);
    }
}

/* Public xen.h: 0 to 3, 4 (architectural_iopl), 5 (runstate), 32 (m2p_strict). */
static void of_pv(void **state)
{
    switch_each(0x3f | 1ul << 32);
}

static void of_hvm(void **state)
{
    g->d->hvm = true;
    switch_each(1ul << 5);
}

static void refused(void **state)
{
    assert_int_equal(vm_assist(VMASST_CMD_enable, VMASST_TYPE_writable_pagetables), 0);
    assert_int_equal(vm_assist(2, VMASST_TYPE_writable_pagetables), -ENOSYS);
    assert_int_equal(vm_assist(~0u, VMASST_TYPE_writable_pagetables), -ENOSYS);
    assert_int_equal(vm_assist(VMASST_CMD_enable, ~0u), -EINVAL);
    assert_int_equal(vm_assist(VMASST_CMD_enable, 64 + VMASST_TYPE_architectural_iopl), -EINVAL);
    assert_int_equal(g->d->vm_assist, BIT(VMASST_TYPE_writable_pagetables));
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {TEST(of_pv), TEST(of_hvm), TEST(refused)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
