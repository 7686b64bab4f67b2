/* SPDX-License-Identifier: MIT */
/* hvm/emulate.c and hvm/msr.c: instructions that leave the guest, executed on a machine in which a
 * local APIC and nothing else answers; and what MSRs take. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "hvm_fixture.h"

#define CODE 0x1000u
#define HOLE ((uint64_t)FX_FRAMES << PAGE_SHIFT)
#define APIC 0xfee00000u

static struct regs *regs(void)
{
    return &cpu_local()->guest;
}

static int setup(void **state)
{
    if (fx_setup(state))
        return -1;
    hvm_vcpu_start_pvh(fx_v, CODE, 0);
    *regs() = fx_v->regs;
    vlapic_write(&fx_v->hvm->lapic, VLAPIC_SVR, 0x1ff);
    return 0;
}

/* Executes these bytes, in 32-bit mode without paging. */
static void execute(const void *code, size_t n)
{
    memcpy(fx_ram(CODE), code, n);
    regs()->rip = CODE;
    hvm_emulate(fx_v);
}
#define EXECUTE(...)                           \
    do {                                       \
        const uint8_t code_[] = {__VA_ARGS__}; \
        execute(code_, sizeof(code_));         \
    } while (0)

static void assert_done(unsigned bytes)
{
    assert_int_equal(regs()->rip, CODE + bytes);
    assert_int_equal(fx_v->hvm->pending.type, HVM_EVENT_NONE);
    assert_false(fx_d->shutting_down);
}

static void test_the_open_bus(void **state)
{
    regs()->rbx = HOLE;
    regs()->rax = 0;
    EXECUTE(0x8b, 0x03); /* mov (%ebx), %eax */
    assert_done(2);
    assert_int_equal(regs()->rax, 0xffffffff);
    EXECUTE(0x89, 0x03); /* mov %eax, (%ebx) */
    assert_done(2);
}

/* Half in RAM, half in the hole. */
static void test_across_the_end_of_ram(void **state)
{
    *(uint16_t *)fx_ram(HOLE - 2) = 0x1234;
    regs()->rbx = HOLE - 2;
    EXECUTE(0x8b, 0x03);
    assert_done(2);
    assert_int_equal(regs()->rax, 0xffff1234);
    regs()->rax = 0xaabbccdd;
    EXECUTE(0x89, 0x03);
    assert_int_equal(*(uint16_t *)fx_ram(HOLE - 2), 0xccdd);
}

static void test_the_lapic(void **state)
{
    regs()->rbx = APIC + VLAPIC_TPR;
    regs()->rax = 0x30;
    EXECUTE(0x89, 0x03);
    assert_done(2);
    assert_int_equal(vlapic_cr8(&fx_v->hvm->lapic), 3);
    EXECUTE(0x8a, 0x0b); /* mov (%ebx), %cl */
    assert_int_equal(regs()->rcx & 0xff, 0x30);
    EXECUTE(0x88, 0x03);       /* a byte: goes nowhere */
    EXECUTE(0x83, 0x03, 0x10); /* addl $0x10, (%ebx) */
    assert_done(3);
    assert_int_equal(vlapic_cr8(&fx_v->hvm->lapic), 4);
    /* Moved or off, the page is a hole. */
    assert_int_equal(hvm_wrmsr(fx_v, MSR_APIC_BASE, 0xfed00000ull | 0x900), 0);
    EXECUTE(0x8b, 0x03);
    assert_int_equal(regs()->rax, 0xffffffff);
}

static void test_string_to_the_hole(void **state)
{
    regs()->rdi = HOLE - 8;
    regs()->rcx = 4;
    regs()->rax = 0x55555555;
    EXECUTE(0xf3, 0xab); /* rep stosl */
    assert_done(2);
    assert_int_equal(regs()->rcx, 0);
    assert_int_equal(*(uint32_t *)fx_ram(HOLE - 4), 0x55555555);
}

static void test_control_registers(void **state)
{
    regs()->rax = CR4_PAE;
    EXECUTE(0x0f, 0x22, 0xe0); /* mov %eax, %cr4 */
    assert_done(3);
    assert_int_equal(fx_v->hvm->cr4, CR4_PAE);
    regs()->rax = CR0_PG;
    EXECUTE(0x0f, 0x22, 0xc0); /* mov %eax, %cr0 */
    assert_int_equal(regs()->rip, CODE);
    assert_int_equal(fx_v->hvm->pending.vector, VEC_GP);
    fx_v->hvm->pending.type = HVM_EVENT_NONE;
    regs()->rax = CR0_PE | CR0_TS;
    EXECUTE(0x0f, 0x22, 0xc0);
    EXECUTE(0x0f, 0x20, 0xc1); /* mov %cr0, %ecx */
    assert_int_equal(regs()->rcx, CR0_PE | CR0_TS | CR0_ET);
}

/* Its own page tables do not map what it writes. */
static void test_page_fault(void **state)
{
    fx_v->hvm->cr0 |= CR0_PG;
    fx_hw.cr[3] = 0x8000;
    *(uint32_t *)fx_ram(0x8000) = 0x9000 | PTE_P | PTE_RW | PTE_U;
    *(uint32_t *)fx_ram(0x9004) = CODE | PTE_P | PTE_RW | PTE_U;
    regs()->rbx = 0x5000;
    EXECUTE(0x89, 0x03);
    assert_int_equal(fx_v->hvm->pending.vector, VEC_PF);
    assert_int_equal(fx_v->hvm->pending.error, PFEC_W);
    assert_int_equal(fx_hw.cr[2], 0x5000);
    assert_int_equal(regs()->rip, CODE);
}

static void test_unknown_instruction(void **state)
{
    fx_d->shutting_down = false;
    EXECUTE(0x0f, 0x0b); /* ud2 */
    assert_int_equal(fx_v->hvm->pending.vector, VEC_UD);
}

static void test_msrs(void **state)
{
    uint64_t v;

    assert_int_equal(hvm_rdmsr(fx_v, MSR_MTRRCAP, &v), 0);
    assert_int_equal(v & 0xff, 8);
    assert_int_equal(hvm_wrmsr(fx_v, MSR_MTRRCAP, 0), -EPERM);
    assert_int_equal(hvm_wrmsr(fx_v, MSR_NB_CFG, 1ull << 46), 0); /* is not there, and not missed */
    assert_int_equal(hvm_rdmsr(fx_v, MSR_NB_CFG, &v), 0);
    assert_int_equal(v, 0);
    assert_int_equal(hvm_wrmsr(fx_v, MSR_MTRR_DEF_TYPE, 0xc00), 0);
    assert_int_equal(hvm_wrmsr(fx_v, MSR_MTRR_DEF_TYPE, 0xc02), -EPERM); /* no such type */
    assert_int_equal(hvm_wrmsr(fx_v, MSR_MTRR_DEF_TYPE, 0x1000), -EPERM);
    assert_int_equal(hvm_rdmsr(fx_v, MSR_MTRR_DEF_TYPE, &v), 0);
    assert_int_equal(v, 0xc00);
    assert_int_equal(hvm_wrmsr(fx_v, 0x250, 0x0606060606060606ull), 0);
    assert_int_equal(hvm_wrmsr(fx_v, 0x26f, 0x0606060606060602ull), -EPERM);
    assert_int_equal(hvm_wrmsr(fx_v, 0x26f, 0x0505050505050505ull), 0);
    assert_int_equal(hvm_rdmsr(fx_v, 0x26f, &v), 0);
    assert_int_equal(v, 0x0505050505050505ull);
    assert_int_equal(hvm_rdmsr(fx_v, 0x250, &v), 0);
    assert_int_equal(v, 0x0606060606060606ull);
    assert_int_equal(hvm_wrmsr(fx_v, MSR_MTRR_PHYSBASE0 + 1, 1ull << 60), -EPERM);
    assert_int_equal(hvm_wrmsr(fx_v, MSR_LSTAR, 1ull << 47), -EPERM);
    assert_int_equal(hvm_wrmsr(fx_v, MSR_LSTAR, 0x1000), 0);
    assert_int_equal(hvm_rdmsr(fx_v, MSR_LSTAR, &v), 0);
    assert_int_equal(v, 0x1000);
    assert_int_equal(hvm_rdmsr(fx_v, MSR_VIRT_SPEC_CTRL, &v), -EPERM);
    assert_int_equal(hvm_wrmsr(fx_v, 0x12345678, 0), -EPERM);
}

static void test_hypercall_page(void **state)
{
    const uint8_t *page = fx_ram(0x3000);

    assert_int_equal(hvm_wrmsr(fx_v, 0x40000000, 0x3001), -EPERM);
    assert_int_equal(hvm_wrmsr(fx_v, 0x40000000, HOLE), -EPERM);
    assert_int_equal(hvm_wrmsr(fx_v, 0x40000000, 0x3000), 0);
    assert_int_equal(page[0], 0xb8); /* mov $0, %eax */
    assert_int_equal(page[17 * 32 + 1], 17);
    assert_int_equal(page[17 * 32 + 8], 0xc3);
    assert_int_equal(page[__HYPERVISOR_iret * 32], 0x0f); /* ud2 */
    assert_int_equal(page[4095], 0xcc);
}

static void test_halt(void **state)
{
    cpu_local()->guest.rflags = RFLAGS_IF;
    hvm_halt_exit(fx_v);
    assert_true(fx_v->pause & BIT(VCPU_BLOCKED_BIT));
    vcpu_kick(fx_v);
    assert_false(fx_v->pause & BIT(VCPU_BLOCKED_BIT));
    vlapic_accept(&fx_v->hvm->lapic, 0x50, false);
    hvm_halt_exit(fx_v); /* what waits already is not slept over */
    assert_false(fx_v->pause & BIT(VCPU_BLOCKED_BIT));
}

static long last_op;
static uint64_t last_args[6];

static long call(uint64_t op, const uint64_t args[6])
{
    last_op = (long)op;
    memcpy(last_args, args, sizeof(last_args));
    return -7;
}

static void test_hypercalls(void **state)
{
    hvm_hypercall_call = call;
    last_op = -1;
    fx_v->hvm->efer = EFER_LMA;
    fx_hw.seg[EMUL_SEG_CS].attr |= EMUL_SEG_ATTR_L;
    *regs() = (struct regs){.rax = 29, .rdi = 1, .rsi = 2, .rdx = 3, .r10 = 4, .r8 = 5, .r9 = 6};
    hvm_hypercall_exit(fx_v);
    assert_int_equal(last_op, 29);
    for (unsigned i = 0; i < 6; i++)
        assert_int_equal(last_args[i], i + 1);
    assert_int_equal((long)regs()->rax, -7);
    fx_hw.cpl = 3;
    last_op = -1;
    hvm_hypercall_exit(fx_v);
    assert_int_equal(last_op, -1);
    assert_int_equal((long)regs()->rax, -EPERM);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, fx_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_the_open_bus),        T(test_across_the_end_of_ram),
        T(test_the_lapic),           T(test_string_to_the_hole),
        T(test_control_registers),   T(test_page_fault),
        T(test_unknown_instruction), T(test_msrs),
        T(test_hypercall_page),      T(test_halt),
        T(test_hypercalls),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
