/* SPDX-License-Identifier: MIT */
/* pv/domain.c, besides what pv_context.c has: contexts that would leave the processor without page
 * tables, what a refused context leaves behind, and every field there and back. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>

#include "pv_fixture.h"

#define HANDLER (GUEST_KERNEL + 0x2000)

static struct vcpu_guest_context ctx, back;
static mfn_t l4, user_l4;

static int setup(void **state)
{
    int rc = fx_setup(state);

    fx_domain->memory.max_pages = 16;
    fx_vcpu->pv->kernel_l4 = fx_vcpu->pv->user_l4 = INVALID_MFN;
    cpu_local()->current = fx_idle;
    write_cr3(0);
    if (frame_alloc(&fx_domain->memory, 0, 0, &l4) ||
        frame_alloc(&fx_domain->memory, 0, 0, &user_l4))
        return -1;
    memset(&ctx, 0, sizeof(ctx));
    ctx.flags = VGCF_in_kernel;
    ctx.user_regs.rip = GUEST_KERNEL;
    ctx.ctrlreg[3] = l4.n << PAGE_SHIFT;
    return rc;
}

static void user_mode(void **state)
{
    ctx.flags = 0;
    ctx.ctrlreg[1] = user_l4.n << PAGE_SHIFT;
    assert_int_equal(pv_vcpu_set_context(fx_vcpu, &ctx), 0);
    assert_false(fx_vcpu->pv->in_kernel);
    assert_true(mfn_eq(fx_vcpu->pv->user_l4, user_l4));
    pv_vcpu_get_context(fx_vcpu, &back);
    assert_false(back.flags & VGCF_in_kernel);
    assert_int_equal(back.ctrlreg[1], ctx.ctrlreg[1]);
}

/* A user page table that is none, though not 0: user mode would run on nothing, and the processor
 * would not take that for cr3. */
static void user_mode_without_a_user_frame(void **state)
{
    static const uint64_t cr1[] = {1, 5, 0x18, 0xfff};

    for (unsigned i = 0; i < ARRAY_SIZE(cr1); i++) {
        ctx.flags = 0;
        ctx.ctrlreg[1] = cr1[i];
        assert_int_equal(pv_vcpu_set_context(fx_vcpu, &ctx), -EINVAL);
        assert_true(fx_vcpu->pv->in_kernel || !mfn_eq(fx_vcpu->pv->user_l4, INVALID_MFN));
    }
    /* A kernel may be without. */
    ctx.flags = VGCF_in_kernel;
    ctx.ctrlreg[1] = 5;
    assert_int_equal(pv_vcpu_set_context(fx_vcpu, &ctx), 0);
    assert_true(mfn_eq(fx_vcpu->pv->user_l4, INVALID_MFN));
}

/* Whatever is accepted can be run: the page tables of its mode are there. */
static void random_contexts(void **state)
{
    static const uint64_t frames[] = {0, 1, 0xfff, 0x1000, 0x5000, 1ul << 51, ~0ul, ~0xffful};
    unsigned taken = 0;

    srand(3);
    for (unsigned n = 0; n < 2000; n++) {
        const struct pv_vcpu *pv = fx_vcpu->pv;
        unsigned r = (unsigned)rand();

        ctx.flags = r & 1 ? VGCF_in_kernel : 0;
        ctx.ctrlreg[3] = r & 6 ? l4.n << PAGE_SHIFT : frames[r >> 8 & 7];
        ctx.ctrlreg[1] = r & 8 ? user_l4.n << PAGE_SHIFT : frames[r >> 12 & 7];
        ctx.gdt_ents = r & 0x10 ? (unsigned)rand() % 20000 : 0;
        ctx.ldt_ents = r & 0x20 ? (unsigned)rand() % 10000 : 0;
        ctx.debugreg[7] = r & 0x40 ? (uint64_t)rand() : 0;
        ctx.user_regs.rflags = (uint64_t)rand() << 3;
        ctx.user_regs.cs = (uint16_t)rand();
        if (pv_vcpu_set_context(fx_vcpu, &ctx))
            continue;
        taken++;
        assert_false(mfn_eq(pv->kernel_l4, INVALID_MFN));
        assert_true(pv->in_kernel || !mfn_eq(pv->user_l4, INVALID_MFN));
        assert_int_equal(fx_vcpu->regs.cs & 3, 3);
        assert_int_equal(fx_vcpu->regs.ss & 3, 3);
        assert_true(fx_vcpu->regs.rflags & RFLAGS_IF);
        assert_false(fx_vcpu->regs.rflags & (RFLAGS_IOPL | RFLAGS_VM));
    }
    assert_true(taken > 100);
}

/* Traps are in the order of their vectors, and one that is not named there is gone. */
static void a_new_context_forgets_the_old(void **state)
{
    ctx.trap_ctxt[3] = (struct trap_info){3, 3, SEL_GUEST_CS64, HANDLER};
    ctx.debugreg[0] = GUEST_KERNEL;
    ctx.debugreg[7] = 1;
    ctx.failsafe_callback_eip = HANDLER;
    assert_int_equal(pv_vcpu_set_context(fx_vcpu, &ctx), 0);
    assert_int_equal(fx_vcpu->pv->trap[3].address, HANDLER);
    assert_int_equal(fx_vcpu->pv->dr7 & 0xff, 1);
    memset(ctx.trap_ctxt, 0, sizeof(ctx.trap_ctxt));
    memset(ctx.debugreg, 0, sizeof(ctx.debugreg));
    ctx.failsafe_callback_eip = 0;
    assert_int_equal(pv_vcpu_set_context(fx_vcpu, &ctx), 0);
    assert_int_equal(fx_vcpu->pv->trap[3].address, 0);
    assert_int_equal(fx_vcpu->pv->dr[0], 0);
    assert_int_equal(fx_vcpu->pv->dr7, DR7_DEFAULT);
    assert_int_equal(fx_vcpu->pv->failsafe.address, 0);
}

static void control_registers(void **state)
{
    ctx.ctrlreg[0] = CR0_TS;
    ctx.ctrlreg[4] = CR4_DE | CR4_VMXE | CR4_SMEP;
    ctx.debugreg[7] = 0x20001; /* a port: with CR4.DE only */
    assert_int_equal(pv_vcpu_set_context(fx_vcpu, &ctx), 0);
    assert_true(fx_vcpu->pv->ts);
    assert_int_equal(fx_vcpu->pv->cr4, CR4_DE);
    pv_vcpu_get_context(fx_vcpu, &back);
    assert_true(back.ctrlreg[0] & CR0_TS);
    assert_true(back.ctrlreg[0] & CR0_PG);
    assert_true(back.ctrlreg[4] & CR4_DE);
    assert_false(back.ctrlreg[4] & (CR4_VMXE | CR4_SMEP));
    assert_int_equal(back.debugreg[7] & 0x20001, 0x20001);
    ctx.ctrlreg[4] = 0;
    assert_int_equal(pv_vcpu_set_context(fx_vcpu, &ctx), -EINVAL);
}

static void floating_point(void **state)
{
    uint8_t *fx = (uint8_t *)&ctx.fpu_ctxt;
    const uint8_t *out = (const uint8_t *)&back.fpu_ctxt;

    ctx.flags |= VGCF_i387_valid;
    memset(fx + 160, 0x42, 16); /* xmm0 */
    fx[0] = 0x7f;
    fx[1] = 0x02;
    fx[24] = 0x80;
    fx[25] = 0x1f;
    assert_int_equal(pv_vcpu_set_context(fx_vcpu, &ctx), 0);
    pv_vcpu_get_context(fx_vcpu, &back);
    assert_memory_equal(out + 160, fx + 160, 16);
    assert_int_equal(out[0] | out[1] << 8, 0x27f);
    ctx.flags &= ~VGCF_i387_valid; /* then it starts from reset */
    assert_int_equal(pv_vcpu_set_context(fx_vcpu, &ctx), 0);
    pv_vcpu_get_context(fx_vcpu, &back);
    assert_int_equal(out[160], 0);
    assert_int_equal(out[0] | out[1] << 8, 0x37f);
}

/* The event mask is in vcpu_info; in the frame's byte beside cs would be another's. */
static void holes_show_nothing(void **state)
{
    memset(&ctx.user_regs, 0xff, sizeof(ctx.user_regs));
    ctx.user_regs.rip = GUEST_KERNEL;
    assert_int_equal(pv_vcpu_set_context(fx_vcpu, &ctx), 0);
    memset(&back, 0xaa, sizeof(back));
    pv_vcpu_get_context(fx_vcpu, &back);
    assert_int_equal(back.user_regs.entry_vector, 0);
    assert_int_equal(back.user_regs.saved_upcall_mask, 0);
    for (unsigned i = 0; i < ARRAY_SIZE(back.gdt_frames); i++)
        assert_int_equal(back.gdt_frames[i], 0);
}

#define TEST(f) cmocka_unit_test_setup(f, setup)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(user_mode),          TEST(user_mode_without_a_user_frame),
        TEST(random_contexts),    TEST(a_new_context_forgets_the_old),
        TEST(control_registers),  TEST(floating_point),
        TEST(holes_show_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
