/* SPDX-License-Identifier: MIT */
/* domain/: what stays true at the end of a domain's life. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "guest.h"
#include "lib/errno.h"

static struct guest *dom0, *domu;

static int setup(void **state)
{
    guest_machine(1);
    dom0 = guest_new(0, 1, true);
    domu = guest_new(5, 1, false);
    guest_be(dom0, 0);
    return 0;
}

static int teardown(void **state)
{
    guest_kill(domu);
    guest_kill(dom0);
    return 0;
}

static bool paused(const struct vcpu *v)
{
    return v->pause & BIT(VCPU_PAUSED_BIT);
}

static void test_pause_counts(void **state)
{
    const struct vcpu *v = domu->d->vcpu[0];

    domain_pause(domu->d);
    domain_pause(domu->d);
    assert_true(paused(v));
    assert_int_equal(domain_unpause(domu->d), 0);
    assert_true(paused(v));
    assert_int_equal(domain_unpause(domu->d), 0);
    assert_false(paused(v));
    assert_int_equal(domain_unpause(domu->d), -EINVAL);
}

/* Its page tables go: whoever unpauses a dying domain must not make it run. */
static void test_the_dying_stay_paused(void **state)
{
    const struct vcpu *v = domu->d->vcpu[0];

    __atomic_fetch_add(&domu->d->refs, 1, __ATOMIC_RELAXED);
    while (domain_destroy(domu->d) == -ERESTART)
        ;
    assert_true(paused(v));
    while (domain_unpause(domu->d) == 0)
        ;
    assert_true(paused(v));
    domain_put(domu->d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_pause_counts, setup, teardown),
        cmocka_unit_test_setup_teardown(test_the_dying_stay_paused, setup, teardown),
    };

    return cmocka_run_group_tests_name("domain_life", tests, NULL, NULL);
}
