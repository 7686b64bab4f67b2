/* SPDX-License-Identifier: MIT */
/* pv/privileged: the corners of instructions that a PV kernel has carried out for it: registers
 * that are its own and those that are not, user mode, single steps, code that cannot be fetched.
 * The usual cases are in pv_trap.c. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "cpu/xstate.h"
#include "pv_fixture.h"

#define HANDLER (GUEST_KERNEL + 0x2000)

static uint64_t start;

static int setup(void **state)
{
    int rc = fx_setup(state);

    cpu_cr4 = CR4_PAE | CR4_OSFXSR | CR4_MCE;
    for (unsigned i = 0; i < 256; i++)
        fx_handler(i, HANDLER + 16 * i, false);
    start = fx_regs->rip;
    return rc;
}

/* The instruction raises #GP in the mode that runs; true: it was carried out. */
#define RUN(...)                                                                    \
    ({                                                                              \
        const uint8_t code_[] = {__VA_ARGS__};                                      \
        uint64_t rip_ = fx_regs->rip = fx_vcpu->pv->in_kernel ? start : GUEST_USER; \
        fx_code(code_, sizeof(code_));                                              \
        fx_regs->entry_vector = VEC_GP;                                             \
        fx_regs->error_code = 0;                                                    \
        pv_handle_trap(fx_regs);                                                    \
        fx_regs->rip == rip_ + sizeof(code_);                                       \
    })

static bool entered(unsigned vector)
{
    return fx_regs->rip == HANDLER + 16 * vector;
}

static void cr2_is_the_guests_own(void **state)
{
    write_cr2(0x99);
    fx_regs->rax = 0x123456789000;
    assert_true(RUN(0x0f, 0x22, 0xd0)); /* mov %rax, %cr2 */
    assert_int_equal(fx_vcpu->info->arch.cr2, 0x123456789000);
    assert_int_equal(read_cr2(), 0x99);
    fx_regs->rax = 0;
    assert_true(RUN(0x0f, 0x20, 0xd0));
    assert_int_equal(fx_regs->rax, 0x123456789000);
}

static void cr3_names_a_table_or_nothing_changes(void **state)
{
    const uint64_t bad[] = {0x5000, max_mfn << PAGE_SHIFT, 1ul << 63 | ROOT_KERNEL, ~0ul};

    for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
        fx_regs->rax = bad[i];
        assert_false(RUN(0x0f, 0x22, 0xd8));
        assert_true(entered(VEC_GP));
        assert_int_equal(fx_vcpu->pv->kernel_l4.n, ROOT_KERNEL >> PAGE_SHIFT);
        assert_int_equal(read_cr3(), ROOT_KERNEL);
    }
    /* The same again is a flush. */
    unsigned flushes = host_cpu()->flushes;

    fx_regs->rax = ROOT_KERNEL;
    assert_true(RUN(0x0f, 0x22, 0xd8));
    assert_int_equal(host_cpu()->flushes, flushes + 1);
}

/* The hypervisor's bits are neither seen nor changed: PCIDs are none of the guest's business. */
static void cr4(void **state)
{
    cpu_cr4 |= CR4_PCIDE | CR4_SMEP | CR4_SMAP | CR4_UMIP | CR4_PGE;
    assert_true(RUN(0x0f, 0x20, 0xe0));
    assert_int_equal(fx_regs->rax & (CR4_PCIDE | CR4_SMEP | CR4_SMAP | CR4_UMIP | CR4_PGE), 0);
    assert_true(fx_regs->rax & CR4_PAE);
    fx_regs->rax = CR4_TSD;
    assert_true(RUN(0x0f, 0x22, 0xe0));
    assert_int_equal(read_cr4() & (CR4_PCIDE | CR4_SMEP | CR4_SMAP | CR4_TSD),
                     CR4_PCIDE | CR4_SMEP | CR4_SMAP | CR4_TSD);
    assert_false(read_cr4() & CR4_UMIP); /* its kernel is in ring 3 */
    fx_regs->rax = 0;
    assert_true(RUN(0x0f, 0x22, 0xe0));
    assert_false(read_cr4() & CR4_TSD);
}

static void no_cr8(void **state)
{
    assert_false(RUN(0x44, 0x0f, 0x20, 0xc0)); /* mov %cr8, %rax */
    assert_true(entered(VEC_GP));
    assert_false(RUN(0x44, 0x0f, 0x22, 0xc0));
    assert_true(entered(VEC_GP));
}

static void debug_registers(void **state)
{
    fx_regs->rax = HV_VA_START;
    assert_false(RUN(0x0f, 0x23, 0xc0)); /* mov %rax, %dr0 */
    assert_true(entered(VEC_GP));
    fx_regs->rax = GUEST_USER;
    assert_true(RUN(0x0f, 0x23, 0xc0));
    fx_regs->rax = 0;
    assert_true(RUN(0x0f, 0x21, 0xc0));
    assert_int_equal(fx_regs->rax, GUEST_USER);
}

/* The kernel reads the TSC whatever TSD says; its processes do not. */
static void the_tsc(void **state)
{
    fx_vcpu->pv->cr4 |= CR4_TSD;
    fx_vcpu->pv->msr_tsc_aux = 0x77;
    assert_true(RUN(0x0f, 0x31));
    assert_true(RUN(0x0f, 0x01, 0xf9)); /* rdtscp */
    assert_int_equal(fx_regs->rcx, 0x77);
    fx_user();
    assert_false(RUN(0x0f, 0x31));
    assert_true(entered(VEC_GP));
    fx_user();
    fx_vcpu->pv->cr4 &= ~CR4_TSD;
    assert_true(RUN(0x0f, 0x31));
}

static void cpuid_that_faults(void **state)
{
    fx_regs->rax = 0x40000000;
    assert_true(RUN(0x0f, 0xa2));
    assert_int_equal(fx_regs->rbx, 0x566e6558); /* "XenV" */
    fx_vcpu->pv->msr_misc_features = MISC_FEATURES_CPUID_FAULT;
    fx_regs->rax = 0x40000000;
    assert_true(RUN(0x0f, 0xa2)); /* the kernel's never does */
    fx_user();
    assert_false(RUN(0x0f, 0xa2));
    assert_true(entered(VEC_GP));
    assert_true(fx_vcpu->pv->in_kernel);
}

static void nothing_for_processes(void **state)
{
    static const uint8_t codes[][3] = {
        {0x0f, 0x20, 0xc0}, {0x0f, 0x22, 0xc0}, {0x0f, 0x22, 0xd8}, {0x0f, 0x22, 0xe0},
        {0x0f, 0x23, 0xc0}, {0x0f, 0x21, 0xf8}, {0x0f, 0x06, 0x90}, {0x0f, 0x09, 0x90},
        {0x0f, 0x30, 0x90}, {0x0f, 0x32, 0x90}, {0x0f, 0x01, 0xd1}, {0xfa, 0x90, 0x90},
        {0xec, 0x90, 0x90},
    };
    bool ts = fx_vcpu->pv->ts = true;

    for (unsigned i = 0; i < ARRAY_SIZE(codes); i++) {
        fx_user();
        fx_regs->rax = fx_regs->rcx = fx_regs->rdx = 0;
        if (RUN(codes[i][0], codes[i][1], codes[i][2]) || !entered(VEC_GP))
            fail_msg("%02x %02x %02x was carried out", codes[i][0], codes[i][1], codes[i][2]);
        assert_true(fx_vcpu->pv->in_kernel);
    }
    assert_int_equal(fx_vcpu->pv->ts, ts);
}

static void a_single_step(void **state)
{
    fx_regs->rflags |= RFLAGS_TF;
    (void)RUN(0x0f, 0x06); /* clts */
    assert_true(entered(VEC_DB));
    assert_true(fx_vcpu->pv->dr6 & DR6_BS);
    assert_int_equal(((const uint64_t *)fx_memory(fx_regs->rsp))[2], start + 2);
}

/* The instruction runs into a page that is not there: that is its fault. */
static void code_at_the_edge(void **state)
{
    uint64_t last = GUEST_KERNEL + GUEST_PAGES * PAGE_SIZE;

    /* Whole, though eight bytes cannot be read. */
    memcpy(fx_memory(last - 2), "\x0f\x06", 2);
    fx_vcpu->pv->ts = true;
    fx_regs->rip = last - 2;
    fx_regs->entry_vector = VEC_GP;
    pv_handle_trap(fx_regs);
    assert_int_equal(fx_regs->rip, last);
    assert_false(fx_vcpu->pv->ts);
    fx_regs->rip = last - 1;
    *(uint8_t *)fx_memory(last - 1) = 0x0f;
    fx_regs->entry_vector = VEC_GP;
    pv_handle_trap(fx_regs);
    assert_true(entered(VEC_PF));
    assert_int_equal(fx_vcpu->info->arch.cr2, last);
}

static void xsetbv_of_another_register(void **state)
{
    fx_vcpu->pv->cr4 |= CR4_OSXSAVE;
    fx_regs->rcx = 1;
    fx_regs->rax = 3;
    fx_regs->rdx = 0;
    assert_false(RUN(0x0f, 0x01, 0xd1));
    assert_true(entered(VEC_GP));
    fx_regs->rcx = 0;
    fx_regs->rax = 3;
    assert_true(RUN(0x0f, 0x01, 0xd1));
    assert_int_equal(fx_vcpu->pv->xcr0, XCR0_X87 | XCR0_SSE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(cr2_is_the_guests_own, setup),
        cmocka_unit_test_setup(cr3_names_a_table_or_nothing_changes, setup),
        cmocka_unit_test_setup(cr4, setup),
        cmocka_unit_test_setup(no_cr8, setup),
        cmocka_unit_test_setup(debug_registers, setup),
        cmocka_unit_test_setup(the_tsc, setup),
        cmocka_unit_test_setup(cpuid_that_faults, setup),
        cmocka_unit_test_setup(nothing_for_processes, setup),
        cmocka_unit_test_setup(a_single_step, setup),
        cmocka_unit_test_setup(code_at_the_edge, setup),
        cmocka_unit_test_setup(xsetbv_of_another_register, setup),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
