/* SPDX-License-Identifier: MIT */
/* pv/trap.c, privileged.c, msr.c, cpuid.c: exceptions of guest code, as the entry path hands them
 * over. The simulated processor does not execute: each test puts the instruction in memory and says
 * which exception it raised. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "pv_fixture.h"

#define HANDLER (GUEST_KERNEL + 0x2000)

static int setup(void **state)
{
    int rc = fx_setup(state);

    cpu_efer = EFER_SCE | EFER_LME | EFER_LMA | EFER_NX;
    for (unsigned i = 0; i < 256; i++)
        fx_handler(i, HANDLER + 16 * i, false);
    return rc;
}

static void raise(unsigned vector, uint32_t error)
{
    fx_regs->entry_vector = vector;
    fx_regs->error_code = error;
    pv_handle_trap(fx_regs);
}

#define CODE(...)                              \
    do {                                       \
        const uint8_t code_[] = {__VA_ARGS__}; \
        fx_code(code_, sizeof(code_));         \
    } while (0)

static bool entered(unsigned vector)
{
    return fx_regs->rip == HANDLER + 16 * vector;
}

static const uint64_t *frame(void)
{
    return fx_memory(fx_regs->rsp);
}

static void forced_cpuid(void **state)
{
    uint64_t rip = fx_regs->rip;

    CODE(0x0f, 0x0b, 'x', 'e', 'n', 0x0f, 0xa2);
    fx_regs->rax = 0xffffffff40000000;
    raise(VEC_UD, 0);
    assert_int_equal(fx_regs->rip, rip + 7);
    assert_int_equal(fx_regs->rax, 0x40000005);
    assert_int_equal(fx_regs->rbx, 0x566e6558);
    assert_int_equal(fx_regs->rcx, 0x65584d4d);
    assert_int_equal(fx_regs->rdx, 0x4d4d566e);
}

static void undefined_is_the_guests(void **state)
{
    uint64_t rip = fx_regs->rip;

    CODE(0x0f, 0x0b, 'x', 'e', 'n', 0x0f, 0xa3);
    raise(VEC_UD, 0);
    assert_true(entered(VEC_UD));
    assert_int_equal(frame()[2], rip);
}

static void cpuid_leaves(void **state)
{
    struct pv_vcpu *pv = fx_vcpu->pv;
    struct cpuid_leaf r = pv_cpuid(fx_vcpu, 0x40000001, 0, PV_CPUID_FORCED);

    assert_int_equal(r.a, 4 << 16 | 17);
    assert_int_equal(pv_cpuid(fx_vcpu, 0x40000002, 0, PV_CPUID_FORCED).a, 1);
    assert_int_equal(pv_cpuid(fx_vcpu, 0x40000002, 0, PV_CPUID_FORCED).c & 1, 1);
    assert_int_equal(pv_cpuid(fx_vcpu, 0x40000003, 2, PV_CPUID_FORCED).a, 1000000);
    assert_int_equal(pv_cpuid(fx_vcpu, 0x40000005, 0, PV_CPUID_FORCED).b, cpu_paddr_bits);
    assert_int_equal(pv_cpuid(fx_vcpu, 0x40000006, 0, PV_CPUID_FORCED).a, 0);
    assert_int_equal(pv_cpuid(fx_vcpu, 0x40000100, 0, PV_CPUID_FORCED).a, 0);
    /* OSXSAVE before the kernel has set it: for the forced form in kernel mode only. */
    assert_true(pv_cpuid(fx_vcpu, 1, 0, PV_CPUID_FORCED).c & 1u << 27);
    assert_false(pv_cpuid(fx_vcpu, 1, 0, PV_CPUID_FAULTED).c & 1u << 27);
    pv->in_kernel = false;
    assert_false(pv_cpuid(fx_vcpu, 1, 0, PV_CPUID_FORCED).c & 1u << 27);
    pv->cr4 |= CR4_OSXSAVE;
    assert_true(pv_cpuid(fx_vcpu, 1, 0, PV_CPUID_FAULTED).c & 1u << 27);
    pv->in_kernel = true;
    /* The policy's own limit. */
    fx_domain->pv->policy->hypervisor_limit.a = 0x40000002;
    assert_int_equal(pv_cpuid(fx_vcpu, 0x40000000, 0, PV_CPUID_FORCED).a, 0x40000002);
    assert_int_equal(pv_cpuid(fx_vcpu, 0x40000003, 2, PV_CPUID_FORCED).a, 0);
}

static void first_instruction_of_linux(void **state)
{
    memset(fx_vcpu->pv->trap, 0, sizeof(fx_vcpu->pv->trap));
    CODE(0x0f, 0x30); /* wrmsr GS_BASE, before any handler is there */
    fx_regs->rcx = MSR_GS_BASE;
    fx_regs->rax = 0x82345678;
    fx_regs->rdx = 0xffffffff;
    raise(VEC_GP, 0);
    assert_false(fx_domain->shutting_down);
    assert_int_equal(rdmsr(MSR_GS_BASE), 0xffffffff82345678);
}

static void msr_not_canonical(void **state)
{
    CODE(0x0f, 0x30);
    fx_regs->rcx = MSR_KERNEL_GS_BASE;
    fx_regs->rdx = 0x80000000;
    raise(VEC_GP, 0);
    assert_true(entered(VEC_GP));
    assert_int_equal(frame()[2], 0);
}

static void msr_unknown(void **state)
{
    uint64_t rip = fx_regs->rip;

    CODE(0x0f, 0x32);
    fx_regs->rcx = 0x12345678;
    raise(VEC_GP, 0);
    assert_true(entered(VEC_GP));
    fx_vcpu->pv->trap[VEC_GP].address = 0;
    fx_regs->rip = rip;
    fx_regs->rax = fx_regs->rdx = 7;
    raise(VEC_GP, 0);
    assert_int_equal(fx_regs->rip, rip + 2);
    assert_int_equal(fx_regs->rax, 0);
    assert_false(fx_domain->shutting_down);
}

static void msr_table(void **state)
{
    uint64_t val;

    assert_true(pv_msr_rules_sorted());
    assert_int_equal(pv_rdmsr(fx_vcpu, MSR_PAT, &val), 0);
    assert_int_equal(val, 0x0000050100070406);
    assert_int_equal(pv_wrmsr(fx_vcpu, MSR_PAT, val), 0);
    assert_int_equal(pv_wrmsr(fx_vcpu, MSR_PAT, 0), -EPERM);
    assert_int_equal(pv_rdmsr(fx_vcpu, MSR_APIC_BASE, &val), 0);
    assert_int_equal(val, 0xfee00900);
    assert_int_equal(pv_rdmsr(fx_vcpu, MSR_EFER, &val), 0);
    assert_int_equal(pv_wrmsr(fx_vcpu, MSR_EFER, val), 0);
    assert_int_equal(pv_wrmsr(fx_vcpu, MSR_EFER, val ^ EFER_NX), -EPERM);
    assert_int_equal(pv_rdmsr(fx_vcpu, MSR_PERF_CAPABILITIES, &val), 0);
    assert_int_equal(val, 0);
    assert_int_equal(pv_wrmsr(fx_vcpu, MSR_LSTAR, 0), -EPERM);
    assert_int_equal(pv_rdmsr(fx_vcpu, MSR_LSTAR, &val), -EPERM);
    assert_int_equal(pv_wrmsr(fx_vcpu, MSR_SPEC_CTRL, 0), -EPERM); /* not in the policy */
    assert_int_equal(pv_wrmsr(fx_vcpu, MSR_MISC_FEATURES, 1), -EPERM);
    assert_int_equal(pv_rdmsr(fx_vcpu, MSR_NB_CFG, &val), 0);
    assert_int_equal(pv_wrmsr(fx_vcpu, 0xffffffff, 0), -EPERM);
    assert_int_equal(pv_wrmsr(fx_vcpu, 0, 0), -EPERM);
}

static void user_mode_has_no_privilege(void **state)
{
    CODE(0x0f, 0x32);
    fx_user();
    memcpy(fx_memory(fx_regs->rip), "\x0f\x32", 2);
    fx_regs->rcx = MSR_EFER;
    raise(VEC_GP, 0);
    assert_true(entered(VEC_GP));
    assert_true(fx_vcpu->pv->in_kernel);
}

static void control_registers(void **state)
{
    uint64_t rip = fx_regs->rip;

    fx_vcpu->pv->ts = true;
    CODE(0x0f, 0x20, 0xc0); /* mov %cr0, %rax */
    raise(VEC_GP, 0);
    assert_int_equal(fx_regs->rip, rip + 3);
    assert_true(fx_regs->rax & CR0_TS);
    assert_true(fx_regs->rax & CR0_PG);
    fx_regs->rip = rip;
    CODE(0x0f, 0x06); /* clts */
    raise(VEC_GP, 0);
    assert_false(fx_vcpu->pv->ts);
    fx_regs->rip = rip;
    CODE(0x0f, 0x22, 0xc0); /* mov %rax, %cr0: paging off */
    fx_regs->rax = CR0_PE;
    raise(VEC_GP, 0);
    assert_true(entered(VEC_GP));
    fx_regs->rip = rip;
    CODE(0x0f, 0x22, 0xe0); /* mov %rax, %cr4: only the guest's bits count */
    fx_regs->rax = CR4_VMXE | CR4_DE | CR4_SMEP | CR4_PGE;
    raise(VEC_GP, 0);
    assert_int_equal(fx_regs->rip, rip + 3);
    assert_int_equal(fx_vcpu->pv->cr4, CR4_DE);
    assert_false(pv_cr4_for(fx_vcpu) & CR4_VMXE);
    fx_regs->rip = rip;
    CODE(0x0f, 0x20, 0xd8); /* mov %cr3, %rax */
    raise(VEC_GP, 0);
    assert_int_equal(fx_regs->rax, ROOT_KERNEL);
}

static void not_emulated_stays_a_fault(void **state)
{
    static const uint8_t codes[][3] = {
        {0xf4, 0, 0},       /* hlt */
        {0x0f, 0x01, 0x38}, /* invlpg (%rax) */
        {0x0f, 0x01, 0x10}, /* lgdt (%rax) */
        {0x0f, 0x00, 0xd0}, /* lldt %ax */
        {0x0f, 0x01, 0xf8}, /* swapgs */
        {0x8b, 0x00, 0x90}, /* mov (%rax), %eax: not canonical, say */
    };
    uint64_t rip = fx_regs->rip;

    for (unsigned i = 0; i < ARRAY_SIZE(codes); i++) {
        fx_regs->rip = rip;
        fx_code(codes[i], sizeof(codes[i]));
        raise(VEC_GP, 0);
        assert_true(entered(VEC_GP));
        assert_int_equal(frame()[3], rip);
    }
}

static void cli_needs_iopl(void **state)
{
    uint64_t rip = fx_regs->rip;

    CODE(0xfa);
    raise(VEC_GP, 0);
    assert_true(entered(VEC_GP));
    fx_regs->rip = rip;
    fx_vcpu->pv->iopl = 1;
    raise(VEC_GP, 0);
    assert_int_equal(fx_regs->rip, rip + 1);
    assert_true(fx_regs->rflags & RFLAGS_IF);
}

static void software_interrupts(void **state)
{
    uint64_t rip = fx_regs->rip;

    CODE(0xcd, 0x21);
    fx_vcpu->pv->trap[0x21].dpl = 1;
    raise(VEC_GP, 0x21 * 16 + 2); /* the error code of QEMU before 8.0 */
    assert_true(entered(0x21));
    assert_int_equal(frame()[2], rip + 2);
    /* Without the right, the fault, with the code that it should have had. */
    fx_regs->rip = rip;
    fx_vcpu->pv->trap[0x21].dpl = 0;
    raise(VEC_GP, 0x21 * 16 + 2);
    assert_true(entered(VEC_GP));
    assert_int_equal(frame()[2], 0x21 << 3 | 2);
    assert_int_equal(frame()[3], rip);
    /* An external event's is not an instruction. */
    fx_regs->rip = rip;
    fx_vcpu->pv->trap[0x21].dpl = 3;
    raise(VEC_GP, 0x21 * 8 + 3);
    assert_true(entered(VEC_GP));
}

static void int80_has_a_gate(void **state)
{
    fx_user();
    fx_vcpu->pv->trap[0x80].dpl = 3;
    fx_regs->rip += 2;
    raise(0x80, 0);
    assert_true(entered(0x80));
    assert_int_equal(frame()[2], GUEST_USER + 0x22);
    fx_user();
    fx_vcpu->pv->trap[0x80].dpl = 0;
    fx_regs->rip = GUEST_USER + 0x22;
    raise(0x80, 0);
    assert_true(entered(VEC_GP));
    assert_int_equal(frame()[3], GUEST_USER + 0x20);
}

static void page_fault_modes(void **state)
{
    *host_cr(2) = 0x123000;
    raise(VEC_PF, PFEC_U);
    assert_true(entered(VEC_PF));
    assert_int_equal(frame()[2], 0); /* the kernel's: not user */
    assert_int_equal(fx_vcpu->info->arch.cr2, 0x123000);
    fx_user();
    *host_cr(2) = 0x456000;
    raise(VEC_PF, PFEC_U | PFEC_W);
    assert_true(entered(VEC_PF));
    assert_int_equal(frame()[2], PFEC_U | PFEC_W);
}

static void spurious_fault_is_tried_again(void **state)
{
    uint64_t rip = fx_regs->rip;

    *host_cr(2) = GUEST_KERNEL + 0x5000;
    raise(VEC_PF, PFEC_U | PFEC_P);
    assert_int_equal(fx_regs->rip, rip);
}

static void iretq_under_smap(void **state)
{
    uint64_t *stack = fx_memory(GUEST_KERNEL + 0x6000);

    CODE(0x48, 0xcf);
    fx_regs->rsp = GUEST_KERNEL + 0x6000;
    stack[0] = GUEST_KERNEL + 0x99;
    stack[1] = 0xe033;
    stack[2] = RFLAGS_CF | RFLAGS_IOPL | RFLAGS_VM | RFLAGS_MBS;
    stack[3] = GUEST_KERNEL + 0x6800;
    stack[4] = 0xe02b;
    *host_cr(2) = fx_regs->rsp;
    raise(VEC_PF, PFEC_P);
    assert_int_equal(fx_regs->rip, GUEST_KERNEL + 0x99);
    assert_int_equal(fx_regs->rsp, GUEST_KERNEL + 0x6800);
    assert_int_equal(fx_regs->rflags, RFLAGS_CF | RFLAGS_IF | RFLAGS_MBS);
    /* To ring 0: nobody can. */
    fx_regs->rip = GUEST_KERNEL + 0x10;
    fx_regs->rsp = GUEST_KERNEL + 0x6000;
    stack[1] = 0xe008;
    raise(VEC_PF, PFEC_P);
    assert_true(entered(VEC_GP));
    assert_int_equal(frame()[2], 0xe008);
}

static void far_return_under_smap(void **state)
{
    uint64_t *stack = fx_memory(GUEST_KERNEL + 0x6000);

    CODE(0x48, 0xca, 0x10, 0x00);
    fx_regs->rsp = GUEST_KERNEL + 0x6000;
    stack[0] = GUEST_KERNEL + 0x99;
    stack[1] = 0xe033;
    *host_cr(2) = fx_regs->rsp;
    raise(VEC_PF, PFEC_P);
    assert_int_equal(fx_regs->rip, GUEST_KERNEL + 0x99);
    assert_int_equal(fx_regs->rsp, GUEST_KERNEL + 0x6000 + 16 + 16);
}

static void no_fpu(void **state)
{
    (void)pv_fpu_taskswitch(1);
    assert_true(read_cr0() & CR0_TS);
    raise(VEC_NM, 0);
    assert_true(entered(VEC_NM));
    assert_false(fx_vcpu->pv->ts); /* cleared for the handler */
    assert_false(read_cr0() & CR0_TS);
}

static void debug_exception(void **state)
{
    uint64_t rip = fx_regs->rip;

    *host_dr(6) = DR6_DEFAULT | DR6_BS;
    raise(VEC_DB, 0);
    assert_true(entered(VEC_DB));
    assert_int_equal(fx_vcpu->pv->dr6, DR6_DEFAULT | DR6_BS);
    assert_int_equal(read_dr6(), DR6_DEFAULT);
    /* Single step over an emulated instruction. */
    fx_vcpu->pv->dr6 = DR6_DEFAULT;
    fx_regs->rip = rip;
    fx_regs->rflags |= RFLAGS_TF;
    CODE(0x0f, 0x06);
    raise(VEC_GP, 0);
    assert_true(entered(VEC_DB));
    assert_int_equal(frame()[2], rip + 2);
    assert_int_equal(fx_vcpu->pv->dr6, DR6_DEFAULT | DR6_BS);
}

static void xsetbv(void **state)
{
    uint64_t rip = fx_regs->rip;

    CODE(0x0f, 0x01, 0xd1);
    fx_vcpu->pv->cr4 |= CR4_OSXSAVE;
    fx_regs->rax = 7;
    raise(VEC_GP, 0);
    assert_int_equal(fx_regs->rip, rip + 3);
    assert_int_equal(fx_vcpu->pv->xcr0, 7);
    assert_int_equal(fx_vcpu->pv->xcr0_accum, 7);
    for (unsigned i = 0; i < 3; i++) {
        static const uint64_t bad[] = {0, 5, 0x207};

        fx_regs->rip = rip;
        fx_regs->rax = bad[i];
        raise(VEC_GP, 0);
        assert_true(entered(VEC_GP));
    }
    fx_regs->rip = rip;
    fx_regs->rax = 3;
    fx_regs->rcx = 1;
    raise(VEC_GP, 0);
    assert_true(entered(VEC_GP));
    assert_int_equal(fx_vcpu->pv->xcr0, 7);
}

static void segment_bases(void **state)
{
    assert_int_equal(pv_set_segment_base(SEGBASE_FS, 0x1234), 0);
    assert_int_equal(rdmsr(MSR_FS_BASE), 0x1234);
    assert_int_equal(pv_set_segment_base(SEGBASE_GS_KERNEL, 0x2345), 0);
    assert_int_equal(pv_set_segment_base(SEGBASE_GS_USER, 0x3456), 0);
    assert_int_equal(rdmsr(MSR_GS_BASE), 0x2345);
    assert_int_equal(rdmsr(MSR_KERNEL_GS_BASE), 0x3456);
    assert_int_equal(pv_set_segment_base(SEGBASE_FS, 1ul << 63), -EINVAL);
    assert_int_equal(pv_set_segment_base(SEGBASE_GS_USER_SEL, 0xffff), 0); /* always */
    assert_int_equal(pv_set_segment_base(4, 0), -EINVAL);
    pv_toggle_mode(fx_vcpu);
    assert_int_equal(rdmsr(MSR_GS_BASE), 0x3456);
}

#define TEST(f) cmocka_unit_test_setup(f, setup)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(forced_cpuid),
        TEST(undefined_is_the_guests),
        TEST(cpuid_leaves),
        TEST(first_instruction_of_linux),
        TEST(msr_not_canonical),
        TEST(msr_unknown),
        TEST(msr_table),
        TEST(user_mode_has_no_privilege),
        TEST(control_registers),
        TEST(not_emulated_stays_a_fault),
        TEST(cli_needs_iopl),
        TEST(software_interrupts),
        TEST(int80_has_a_gate),
        TEST(page_fault_modes),
        TEST(spurious_fault_is_tried_again),
        TEST(iretq_under_smap),
        TEST(far_return_under_smap),
        TEST(no_fpu),
        TEST(debug_exception),
        TEST(xsetbv),
        TEST(segment_bases),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
