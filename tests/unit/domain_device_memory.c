/* SPDX-License-Identifier: MIT */
/* domain/device_memory: what is protected, what is again not, and a full table. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "machine.h"
#include "domain/domain.h"
#include "lib/errno.h"

static void protect(void **state)
{
    assert_false(domain_iomem_protected(mfn(0xfec00)));
    assert_int_equal(domain_iomem_protect(mfn(0xfec00), mfn(0xfec02)), 0);
    assert_int_equal(domain_iomem_protect(mfn(0xfec02), mfn(0xfec03)), 0); /* some twice */
    assert_false(domain_iomem_protected(mfn(0xfebff)));
    for (uint64_t n = 0xfec00; n <= 0xfec03; n++)
        assert_true(domain_iomem_protected(mfn(n)));
    assert_false(domain_iomem_protected(mfn(0xfec04)));
    domain_iomem_unprotect(mfn(0xfec01), mfn(0xfec01));
    assert_true(domain_iomem_protected(mfn(0xfec00)));
    assert_false(domain_iomem_protected(mfn(0xfec01)));
    assert_true(domain_iomem_protected(mfn(0xfec02)));
    domain_iomem_unprotect(mfn(0), mfn(~0ull));
    assert_false(domain_iomem_protected(mfn(0xfec00)));
    assert_int_not_equal(domain_iomem_protect(mfn(5), mfn(4)), 0);
    assert_false(domain_iomem_protected(mfn(5)));
}

static void full(void **state)
{
    uint64_t n = 0;

    while (!domain_iomem_protect(mfn(0x1000 + 4 * n), mfn(0x1002 + 4 * n)))
        n++;
    assert_true(n >= 64);
    assert_int_equal(domain_iomem_protect(mfn(1), mfn(1)), -ENOSPC);
    assert_false(domain_iomem_protected(mfn(1)));
    assert_int_equal(domain_iomem_protect(mfn(0x1003), mfn(0x1003)), 0); /* joins two */
    assert_int_equal(domain_iomem_protect(mfn(1), mfn(1)), 0);
    /* What cannot be split stays protected rather than not. */
    domain_iomem_unprotect(mfn(0x1009), mfn(0x1009));
    assert_true(domain_iomem_protected(mfn(0x1009)));
    domain_iomem_unprotect(mfn(0x1008), mfn(0x100a));
    assert_false(domain_iomem_protected(mfn(0x1009)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(protect),
        cmocka_unit_test(full),
    };

    return cmocka_run_group_tests_name("domain_device_memory", tests, NULL, NULL);
}
