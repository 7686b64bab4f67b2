/* SPDX-License-Identifier: MIT */
/* pv/bounce.c: frames byte for byte, the switch of stacks and address spaces, the event mask, and
 * what happens where there is no handler or no stack. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "pv_fixture.h"

#define HANDLER (GUEST_KERNEL + 0x2000)

static const uint64_t *frame(void)
{
    return fx_memory(fx_regs->rsp);
}

static void check_entry(uint64_t handler)
{
    assert_int_equal(fx_regs->rip, handler);
    assert_int_equal(fx_regs->cs, SEL_GUEST_CS64);
    assert_int_equal(fx_regs->ss, SEL_GUEST_SS);
    assert_true(fx_regs->rflags & RFLAGS_IF);
    assert_false(fx_regs->rflags &
                 (RFLAGS_TF | RFLAGS_NT | RFLAGS_RF | RFLAGS_VM | RFLAGS_AC | RFLAGS_IOPL));
}

static void from_kernel_without_error(void **state)
{
    struct regs before;

    fx_regs->rcx = 0x1111;
    fx_regs->r11 = 0x2222;
    fx_regs->rflags |= RFLAGS_TF | RFLAGS_AC | RFLAGS_NT | RFLAGS_RF | RFLAGS_DF | RFLAGS_CF;
    before = *fx_regs;
    fx_handler(VEC_DE, HANDLER, false);
    pv_inject_trap(fx_vcpu, VEC_DE, 99);
    check_entry(HANDLER);
    assert_true(fx_regs->rflags & RFLAGS_DF);
    assert_int_equal(fx_regs->rsp, (before.rsp & ~15ul) - 7 * 8);
    assert_int_equal(frame()[0], 0x1111);
    assert_int_equal(frame()[1], 0x2222);
    assert_int_equal(frame()[2], before.rip);
    assert_int_equal(frame()[3], SEL_GUEST_CS64 & ~3u); /* RPL 0: the kernel */
    assert_int_equal(frame()[4], before.rflags);
    assert_int_equal(frame()[5], before.rsp);
    assert_int_equal(frame()[6], SEL_GUEST_SS);
    assert_int_equal(fx_vcpu->info->evtchn_upcall_mask, 0);
    assert_int_equal(fx_regs->rcx, 0x1111);
}

static void from_user_with_error(void **state)
{
    struct regs before;

    fx_user();
    fx_regs->cs = 0x33;
    fx_regs->ss = 0x2b;
    fx_vcpu->info->evtchn_upcall_mask = 1;
    before = *fx_regs;
    fx_handler(VEC_GP, HANDLER, true);
    assert_int_equal(read_cr3(), ROOT_USER);
    pv_inject_trap(fx_vcpu, VEC_GP, 0xabcd);
    check_entry(HANDLER);
    assert_true(fx_vcpu->pv->in_kernel);
    assert_int_equal(read_cr3(), ROOT_KERNEL);
    assert_int_equal(fx_regs->rsp, KERNEL_STACK - 8 * 8);
    assert_int_equal(frame()[2], 0xabcd);
    assert_int_equal(frame()[3], before.rip);
    assert_int_equal(frame()[4], 0x33ul | 1ul << 32); /* RPL 3, and the old mask */
    assert_int_equal(frame()[5], before.rflags & ~RFLAGS_IF);
    assert_int_equal(frame()[6], before.rsp);
    assert_int_equal(frame()[7], 0x2b);
    assert_int_equal(fx_vcpu->info->evtchn_upcall_mask, 1);
}

static void page_fault_stores_address(void **state)
{
    fx_handler(VEC_PF, HANDLER, true);
    pv_inject_page_fault(fx_vcpu, 0xdead000, PFEC_W);
    check_entry(HANDLER);
    assert_int_equal(fx_vcpu->info->arch.cr2, 0xdead000);
    assert_int_equal(frame()[2], PFEC_W);
    assert_int_equal(fx_vcpu->info->evtchn_upcall_mask, 1);
}

static void event_masks(void **state)
{
    fx_vcpu->pv->event = (struct pv_callback){HANDLER, true};
    fx_user();
    pv_deliver_event(fx_vcpu);
    check_entry(HANDLER);
    assert_int_equal(fx_vcpu->info->evtchn_upcall_mask, 1);
    assert_true(frame()[4] & RFLAGS_IF); /* it was open before */
}

static void iopl_is_shown_on_request(void **state)
{
    fx_handler(VEC_DE, HANDLER, false);
    fx_vcpu->pv->iopl = 2;
    pv_inject_trap(fx_vcpu, VEC_DE, 0);
    assert_int_equal(frame()[4] & RFLAGS_IOPL, 0);
    fx_domain->vm_assist = BIT(VMASST_TYPE_architectural_iopl);
    pv_inject_trap(fx_vcpu, VEC_DE, 0);
    assert_int_equal(frame()[4] & RFLAGS_IOPL, 2 << 12);
}

static void system_call(void **state)
{
    fx_vcpu->pv->syscall = (struct pv_callback){HANDLER, true};
    fx_user();
    fx_regs->rcx = fx_regs->rip;
    fx_regs->r11 = 0x246;
    fx_regs->rflags |= RFLAGS_DF;
    pv_deliver_syscall(fx_vcpu, fx_regs);
    check_entry(HANDLER);
    assert_false(fx_regs->rflags & RFLAGS_DF);
    assert_int_equal(frame()[0], GUEST_USER + 0x20);
    assert_int_equal(frame()[1], 0x246);
    assert_int_equal(frame()[2], GUEST_USER + 0x20);
    assert_int_equal(frame()[3], SEL_GUEST_CS64);
}

static void system_call_without_callback_is_undefined(void **state)
{
    fx_handler(VEC_UD, HANDLER, false);
    fx_user();
    pv_deliver_syscall(fx_vcpu, fx_regs);
    check_entry(HANDLER);
    assert_int_equal(frame()[2], GUEST_USER + 0x20 - 2);
}

static void system_call_of_compatibility_mode(void **state)
{
    fx_vcpu->pv->syscall32 = (struct pv_callback){HANDLER + 64, false};
    fx_user();
    fx_regs->cs = SEL_GUEST_CS32;
    pv_deliver_syscall(fx_vcpu, fx_regs);
    check_entry(HANDLER + 64);
    assert_int_equal(frame()[3], SEL_GUEST_CS32);
}

static void failsafe_frame(void **state)
{
    const uint16_t sel[4] = {0x11, 0x22, 0x33, 0x44};
    uint64_t rip = fx_regs->rip;

    fx_vcpu->pv->failsafe = (struct pv_callback){HANDLER, true};
    pv_deliver_failsafe(fx_vcpu, sel);
    check_entry(HANDLER);
    for (unsigned i = 0; i < 4; i++)
        assert_int_equal(frame()[2 + i], sel[i]);
    assert_int_equal(frame()[6], rip);
    assert_int_equal(fx_vcpu->info->evtchn_upcall_mask, 1);
}

static void software_interrupt_has_no_error_code(void **state)
{
    uint64_t rip = fx_regs->rip;

    fx_handler(VEC_GP, HANDLER, false);
    pv_inject_software_interrupt(fx_vcpu, VEC_GP);
    assert_int_equal(frame()[2], rip);
}

static void no_handler_is_the_end(void **state)
{
    pv_inject_trap(fx_vcpu, VEC_DE, 0);
    assert_true(fx_domain->shutting_down);
}

static void no_stack_is_the_end(void **state)
{
    fx_handler(VEC_DE, HANDLER, false);
    fx_regs->rsp = GUEST_KERNEL + 0x20; /* the frame would begin before the mapping */
    pv_inject_trap(fx_vcpu, VEC_DE, 0);
    assert_true(fx_domain->shutting_down);
}

static void hypervisor_is_no_stack(void **state)
{
    fx_handler(VEC_DE, HANDLER, false);
    fx_regs->rsp = HV_VA_START + 0x1000;
    pv_inject_trap(fx_vcpu, VEC_DE, 0);
    assert_true(fx_domain->shutting_down);
}

static void nmi_waits_for_iret(void **state)
{
    fx_handler(VEC_NMI, HANDLER, true);
    fx_vcpu->nmi_pending = true;
    pv_exit_work(fx_vcpu);
    check_entry(HANDLER);
    assert_true(fx_vcpu->pv->nmi_masked);
    fx_regs->rip = GUEST_KERNEL;
    fx_vcpu->nmi_pending = true;
    pv_exit_work(fx_vcpu);
    assert_int_equal(fx_regs->rip, GUEST_KERNEL);
    assert_true(fx_vcpu->nmi_pending);
}

#define TEST(f) cmocka_unit_test_setup(f, fx_setup)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(from_kernel_without_error),
        TEST(from_user_with_error),
        TEST(page_fault_stores_address),
        TEST(event_masks),
        TEST(iopl_is_shown_on_request),
        TEST(system_call),
        TEST(system_call_without_callback_is_undefined),
        TEST(system_call_of_compatibility_mode),
        TEST(failsafe_frame),
        TEST(software_interrupt_has_no_error_code),
        TEST(no_handler_is_the_end),
        TEST(no_stack_is_the_end),
        TEST(hypervisor_is_no_stack),
        TEST(nmi_waits_for_iret),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
