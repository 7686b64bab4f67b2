/* SPDX-License-Identifier: MIT */
/* pv/iret.c: every register of the frame, the modes, the event mask, and frames that lie. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "pv_fixture.h"

static struct iret_context *put(uint64_t flags, uint64_t cs, uint64_t rflags)
{
    struct iret_context *c;

    fx_regs->rsp = KERNEL_STACK - 0x200;
    fx_regs->entry_vector = ENTRY_SYSCALL;
    c = fx_memory(fx_regs->rsp);
    *c = (struct iret_context){
        .rax = 0xa,
        .r11 = 0xb,
        .rcx = 0xc,
        .flags = flags,
        .rip = GUEST_USER + 0x77,
        .cs = cs,
        .rflags = rflags,
        .rsp = USER_STACK - 16,
        .ss = 0x2b,
    };
    return c;
}

static void to_user(void **state)
{
    put(0, 0x33, RFLAGS_IF | RFLAGS_CF);
    fx_vcpu->info->evtchn_upcall_mask = 1;
    assert_int_equal(pv_iret(), 0xa);
    assert_false(fx_vcpu->pv->in_kernel);
    assert_int_equal(read_cr3(), ROOT_USER);
    assert_int_equal(fx_regs->rax, 0xa);
    assert_int_equal(fx_regs->r11, 0xb);
    assert_int_equal(fx_regs->rcx, 0xc);
    assert_int_equal(fx_regs->rip, GUEST_USER + 0x77);
    assert_int_equal(fx_regs->cs, 0x33);
    assert_int_equal(fx_regs->ss, 0x2b);
    assert_int_equal(fx_regs->rsp, USER_STACK - 16);
    assert_int_equal(fx_regs->rflags, RFLAGS_IF | RFLAGS_CF | RFLAGS_MBS);
    assert_int_equal(fx_vcpu->info->evtchn_upcall_mask, 0);
    /* rcx and r11 count: the way out must not be SYSRET. */
    assert_int_not_equal(fx_regs->entry_vector, ENTRY_SYSCALL);
}

static void to_kernel(void **state)
{
    put(0, 0xe030, 0);
    (void)pv_iret();
    assert_true(fx_vcpu->pv->in_kernel);
    assert_int_equal(read_cr3(), ROOT_KERNEL);
    assert_int_equal(fx_regs->cs, SEL_GUEST_CS64);
    assert_int_equal(fx_vcpu->info->evtchn_upcall_mask, 1);
    assert_true(fx_regs->rflags & RFLAGS_IF); /* the real one is always on */
}

static void flags_of_the_hypervisor_stay(void **state)
{
    put(0, 0x33, ~0ull);
    (void)pv_iret();
    assert_false(fx_regs->rflags & (RFLAGS_IOPL | RFLAGS_VM | RFLAGS_VIF | RFLAGS_VIP));
    assert_int_equal(fx_regs->rflags >> 22, 0);
    assert_int_equal(fx_vcpu->pv->iopl, 0);
}

static void iopl_comes_with_the_assist(void **state)
{
    fx_domain->vm_assist = BIT(VMASST_TYPE_architectural_iopl);
    put(0, 0x33, 3 << 12);
    (void)pv_iret();
    assert_int_equal(fx_vcpu->pv->iopl, 3);
    assert_false(fx_regs->rflags & RFLAGS_IOPL);
}

static void in_syscall_leaves_rcx_and_r11(void **state)
{
    put(VGCF_in_syscall, 0x33, RFLAGS_IF);
    (void)pv_iret();
    assert_int_equal(fx_regs->rcx, fx_regs->rip);
    assert_int_equal(fx_regs->r11, fx_regs->rflags);
}

static void to_user_without_tables(void **state)
{
    fx_vcpu->pv->user_l4 = INVALID_MFN;
    put(0, 0x33, RFLAGS_IF);
    (void)pv_iret();
    assert_true(fx_domain->shutting_down);
    assert_true(fx_vcpu->pv->in_kernel);
    fx_vcpu->pv->user_l4 = mfn(2);
}

static void frame_that_is_not_there(void **state)
{
    put(0, 0x33, RFLAGS_IF);
    fx_regs->rsp = GUEST_KERNEL + GUEST_PAGES * PAGE_SIZE - 16;
    (void)pv_iret();
    assert_true(fx_domain->shutting_down);
}

static void frame_in_the_hypervisor(void **state)
{
    put(0, 0x33, RFLAGS_IF);
    fx_regs->rsp = HV_VA_START;
    (void)pv_iret();
    assert_true(fx_domain->shutting_down);
}

static void nmi_comes_in_again(void **state)
{
    fx_vcpu->pv->nmi_masked = true;
    put(0, 0x33, RFLAGS_IF);
    (void)pv_iret();
    assert_false(fx_vcpu->pv->nmi_masked);
}

static void inside_a_multicall(void **state)
{
    put(0, 0x33, RFLAGS_IF);
    fx_vcpu->in_multicall = true;
    assert_true(pv_iret() < 0);
    assert_true(fx_vcpu->pv->in_kernel);
    fx_vcpu->in_multicall = false;
}

#define TEST(f) cmocka_unit_test_setup(f, fx_setup)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(to_user),
        TEST(to_kernel),
        TEST(flags_of_the_hypervisor_stay),
        TEST(iopl_comes_with_the_assist),
        TEST(in_syscall_leaves_rcx_and_r11),
        TEST(to_user_without_tables),
        TEST(frame_that_is_not_there),
        TEST(frame_in_the_hypervisor),
        TEST(nmi_comes_in_again),
        TEST(inside_a_multicall),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
