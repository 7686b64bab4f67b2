/* SPDX-License-Identifier: MIT */
/* hvm/inject.c: what is delivered first, what becomes a double or triple fault, and what has to
 * wait for a window. AMD APM vol. 2, 8.5 and table 8-3. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "hvm_fixture.h"

#define VECTOR 0xf3

static const struct hvm_event *delivered(void)
{
    hvm_deliver(fx_v);
    return &fx_hw.injected;
}

static void upcall_by_vector(void)
{
    fx_d->hvm_domain->param[HVM_PARAM_CALLBACK_IRQ] =
        (uint64_t)HVM_PARAM_CALLBACK_TYPE_VECTOR << 56 | VECTOR;
    fx_v->info->evtchn_upcall_pending = 1;
}

static void lapic_vector(uint8_t vector)
{
    vlapic_write(&fx_v->hvm->lapic, VLAPIC_SVR, 0x1ff);
    vlapic_accept(&fx_v->hvm->lapic, vector, false);
}

static void test_nothing(void **state)
{
    fx_hw.can_take = true;
    hvm_deliver(fx_v);
    assert_int_equal(fx_hw.injections, 0);
    assert_int_equal(fx_hw.windows, 0);
    assert_false(hvm_event_waits(fx_v));
}

static void test_the_order(void **state)
{
    fx_hw.can_take = true;
    lapic_vector(0x50);
    upcall_by_vector();
    fx_v->nmi_pending = true;
    hvm_inject_exception(fx_v, VEC_GP, 0x18);
    assert_int_equal(delivered()->type, HVM_EVENT_EXCEPTION);
    assert_int_equal(fx_hw.injected.vector, VEC_GP);
    assert_true(fx_hw.injected.has_error);
    assert_int_equal(fx_hw.injected.error, 0x18);
    assert_int_equal(delivered()->type, HVM_EVENT_NMI);
    assert_false(fx_v->nmi_pending);
    assert_int_equal(delivered()->vector, VECTOR);
    fx_v->info->evtchn_upcall_pending = 0;
    assert_int_equal(delivered()->vector, 0x50);
    assert_false(hvm_event_waits(fx_v));
    assert_int_equal(fx_hw.injections, 4);
}

static void test_windows(void **state)
{
    fx_hw.can_take = false;
    fx_v->nmi_pending = true;
    lapic_vector(0x50);
    hvm_deliver(fx_v);
    assert_int_equal(fx_hw.injections, 0);
    assert_int_equal(fx_hw.windows, 2); /* for the NMI, and for the interrupt */
    assert_true(fx_v->nmi_pending);
    assert_true(fx_hw.watch); /* its priority may fall */
    assert_true(hvm_event_waits(fx_v));
    upcall_by_vector();
    hvm_deliver(fx_v);
    assert_int_equal(fx_hw.injections, 0);
    assert_int_equal(fx_v->info->evtchn_upcall_pending, 1);
}

/* The mask in vcpu_info is for paravirtual guests. */
static void test_the_mask_does_not_count(void **state)
{
    fx_hw.can_take = true;
    upcall_by_vector();
    fx_v->info->evtchn_upcall_mask = 1;
    assert_int_equal(delivered()->vector, VECTOR);
}

static void test_priority_of_the_lapic(void **state)
{
    fx_hw.can_take = true;
    lapic_vector(0x50);
    vlapic_write(&fx_v->hvm->lapic, VLAPIC_TPR, 0x60);
    hvm_deliver(fx_v);
    assert_int_equal(fx_hw.injections, 0);
    assert_int_equal(fx_hw.tpr, 6);
    assert_true(fx_hw.watch);
    vlapic_set_cr8(&fx_v->hvm->lapic, 0);
    assert_int_equal(delivered()->vector, 0x50);
    assert_false(fx_hw.watch);
}

static void test_double_faults(void **state)
{
    static const struct {
        uint8_t first, second, result;
    } t[] = {
        {VEC_GP, VEC_GP, VEC_DF}, {VEC_GP, VEC_PF, VEC_PF}, {VEC_PF, VEC_GP, VEC_DF},
        {VEC_PF, VEC_PF, VEC_DF}, {VEC_DB, VEC_GP, VEC_GP}, {VEC_DE, VEC_SS, VEC_DF},
        {VEC_NP, VEC_UD, VEC_UD},
    };

    for (unsigned i = 0; i < ARRAY_SIZE(t); i++) {
        fx_v->hvm->pending.type = HVM_EVENT_NONE;
        hvm_inject_exception(fx_v, t[i].first, 0);
        hvm_inject_exception(fx_v, t[i].second, 1);
        assert_int_equal(fx_v->hvm->pending.vector, t[i].result);
        if (t[i].result == VEC_DF)
            assert_int_equal(fx_v->hvm->pending.error, 0);
    }
    assert_false(fx_d->shutting_down);
    fx_v->hvm->pending.type = HVM_EVENT_NONE;
    hvm_inject_exception(fx_v, VEC_DF, 0);
    hvm_inject_exception(fx_v, VEC_PF, 0);
    assert_true(fx_d->shutting_down);
    assert_int_equal(fx_d->shutdown_code, SHUTDOWN_crash);
}

static void test_page_fault(void **state)
{
    hvm_inject_page_fault(fx_v, 0x123456, PFEC_W);
    assert_int_equal(fx_hw.cr[2], 0x123456);
    assert_int_equal(delivered()->error, PFEC_W);
}

/* HVMOP_set_evtchn_upcall_vector: by the local APIC, and so with its priority. */
static void test_upcall_by_the_lapic(void **state)
{
    fx_hw.can_take = true;
    vlapic_write(&fx_v->hvm->lapic, VLAPIC_SVR, 0x1ff);
    hvm_upcall(fx_v); /* none is set */
    assert_false(vlapic_waits(&fx_v->hvm->lapic));
    fx_v->hvm->upcall_vector = 0x70;
    hvm_upcall(fx_v);
    assert_int_equal(delivered()->vector, 0x70);
}

/* An upcall is said once. A kernel asks for them before it switches its local APIC on. */
static void test_an_upcall_before_the_lapic_is_on(void **state)
{
    fx_hw.can_take = true;
    fx_v->hvm->upcall_vector = 0x70;
    hvm_upcall(fx_v);
    assert_int_equal(delivered()->type, HVM_EVENT_NONE);
    vlapic_write(&fx_v->hvm->lapic, VLAPIC_SVR, 0x1ff);
    assert_int_equal(delivered()->vector, 0x70);
}

/* Nor does INIT lose it, which empties the local APIC. */
static void test_an_upcall_before_init(void **state)
{
    fx_hw.can_take = true;
    fx_v->hvm->upcall_vector = 0x70;
    fx_v->info->evtchn_upcall_pending = 1;
    hvm_upcall(fx_v);
    fx_v->hvm->init_pending = true;
    hvm_take_init(fx_v);
    vlapic_write(&fx_v->hvm->lapic, VLAPIC_SVR, 0x1ff);
    assert_int_equal(delivered()->vector, 0x70);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FX_TEST(test_nothing),
        FX_TEST(test_the_order),
        FX_TEST(test_windows),
        FX_TEST(test_the_mask_does_not_count),
        FX_TEST(test_priority_of_the_lapic),
        FX_TEST(test_double_faults),
        FX_TEST(test_page_fault),
        FX_TEST(test_upcall_by_the_lapic),
        FX_TEST(test_an_upcall_before_the_lapic_is_on),
        FX_TEST(test_an_upcall_before_init),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
