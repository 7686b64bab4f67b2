/* SPDX-License-Identifier: MIT */
/* hvm/context_cpu.c: a record of extended state that is accepted can be taken over, whatever is in
 * it; SDM vol. 1, 13.4.2. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <xen/hvm/save.h>

#include "cpu/xstate.h"
#include "hvm/context.h"
#include "hvm_fixture.h"

static char record[8192];
static uint32_t length;

/* A record as it is saved, with x87 and SSE state. */
static int setup(void **state)
{
    xstate_mask = XCR0_DEFAULT;
    xstate_bytes = xstate_size(XCR0_DEFAULT);
    if (fx_setup(state))
        return -1;
    fx_d->hvm_domain->policy->xstate[0].a = XCR0_DEFAULT;
    fx_v->hvm->xcr0 = fx_v->hvm->xcr0_accum = XCR0_DEFAULT;
    length = hvm_xsave_length(fx_v);
    if (!length || length > sizeof(record))
        return -1;
    hvm_xsave_get(fx_v, record);
    return 0;
}

static uint64_t *header(unsigned i)
{
    return (uint64_t *)(record + offsetof(struct hvm_hw_cpu_xsave, save_area.xsave_hdr)) + i;
}

static void what_is_saved_comes_back(void **state)
{
    assert_int_equal(hvm_xsave_check(fx_v, record, length), 0);
    hvm_xsave_set(fx_v, record, length);
}

/* Each bit of each word of the header: refused, or taken over. */
static void each_bit_of_the_header(void **state)
{
    for (unsigned i = 0; i < 8; i++)
        for (unsigned bit = 0; bit < 64; bit++) {
            uint64_t was = *header(i);

            *header(i) ^= 1ull << bit;
            if (hvm_xsave_check(fx_v, record, length) == 0)
                hvm_xsave_set(fx_v, record, length);
            else
                assert_true(i > 0 || bit > 1); /* x87 and SSE are there */
            *header(i) = was;
        }
    *header(1) = 1; /* compacted */
    assert_int_equal(hvm_xsave_check(fx_v, record, length), -EINVAL);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, fx_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(what_is_saved_comes_back),
        T(each_bit_of_the_header),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
