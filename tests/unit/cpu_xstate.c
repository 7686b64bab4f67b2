/* SPDX-License-Identifier: MIT */
/* cpu/xstate.c, besides what cpu_spec.c has: MXCSR of images that come in, what a component in its
 * initial state shows, sizes, and processors without XSAVE. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "pv_fixture.h"
#include "cpu/xstate.h"

static struct xstate *x;

static int setup(void **state)
{
    int rc = fx_setup(state);

    return rc ? rc : xstate_alloc(&x);
}

static int teardown(void **state)
{
    xstate_free(x);
    return 0;
}

static uint32_t mxcsr_after(uint32_t mxcsr)
{
    static uint8_t fx[FXSAVE_BYTES];

    memcpy(fx + 24, &mxcsr, sizeof(mxcsr));
    xstate_set_fxsave(x, fx);
    xstate_get_fxsave(x, fx);
    memcpy(&mxcsr, fx + 24, sizeof(mxcsr));
    return mxcsr;
}

/* "Denormals are zeros" is a bit that a program sets for good. What is reserved never gets in:
 * FXRSTOR would fault. */
static void mxcsr(void **state)
{
    assert_int_equal(mxcsr_after(MXCSR_DEFAULT), MXCSR_DEFAULT);
    assert_int_equal(mxcsr_after(0x9fc0), 0x9fc0);
    assert_int_equal(mxcsr_after(0xffffffff), 0xffff);
}

/* XSAVE may leave what was there in a component that is in its initial state. */
static void initial_states_show_nothing(void **state)
{
    uint8_t *image = (uint8_t *)(uintptr_t)xstate_image(x), fx[FXSAVE_BYTES];
    uint64_t bv = 0;

    memset(image, 0x66, FXSAVE_BYTES);
    memcpy(image + XSAVE_HEADER, &bv, sizeof(bv));
    xstate_get_fxsave(x, fx);
    assert_int_equal(fx[0] | fx[1] << 8, FCW_DEFAULT);
    for (unsigned i = 2; i < 24; i++)
        assert_int_equal(fx[i], 0);
    for (unsigned i = 32; i < 416; i++)
        assert_int_equal(fx[i], 0);
    bv = XCR0_SSE;
    memcpy(image + XSAVE_HEADER, &bv, sizeof(bv));
    xstate_get_fxsave(x, fx);
    assert_int_equal(fx[32], 0);
    assert_int_equal(fx[160], 0x66);
}

static void sizes(void **state)
{
    assert_int_equal(xstate_size(XCR0_DEFAULT), XSAVE_MIN);
    assert_int_equal(xstate_compact_size(XCR0_DEFAULT), XSAVE_MIN);
    assert_int_equal(xstate_size(0), XSAVE_MIN);
    assert_true(xstate_size(xstate_mask) == xstate_bytes);
    assert_true(xstate_size(1ull << 63) == XSAVE_MIN); /* no such component */
}

static void images_in(void **state)
{
    static uint8_t image[PAGE_SIZE];
    uint64_t bv = XCR0_DEFAULT;

    memset(image, 0, sizeof(image));
    memcpy(image + XSAVE_HEADER, &bv, sizeof(bv));
    memset(image + 160, 0x21, 16);
    assert_int_equal(xstate_set_image(x, image, XSAVE_MIN, bv), 0);
    assert_int_equal(((const uint8_t *)xstate_image(x))[160], 0x21);
    /* Longer than ours: the rest is not looked at. */
    assert_int_equal(xstate_set_image(x, image, sizeof(image), bv), 0);
    /* Refused, the image is as it was. */
    image[160] = 0x22;
    image[XSAVE_HEADER + 16] = 1;
    assert_int_equal(xstate_set_image(x, image, XSAVE_MIN, bv), -EINVAL);
    assert_int_equal(((const uint8_t *)xstate_image(x))[160], 0x21);
    assert_int_equal(xstate_set_image(x, image, 0, bv), -EINVAL);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(mxcsr),
        TEST(initial_states_show_nothing),
        TEST(sizes),
        TEST(images_in),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
