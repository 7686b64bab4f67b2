/* SPDX-License-Identifier: MIT */
/*
 * Privileged instructions and ports: what they ask of their callbacks and leave in the registers,
 * who may execute them, and that a missing or refusing callback leaves everything as it was.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "emulate_guest.h"

static void test_control_registers(void **state)
{
    struct emul_ctxt c = GUEST("\x0f\x20\xc1"); /* mov cr0, rcx */

    retires(&c, 3, "cr0? ");
    assert_int_equal(regs.rcx, 0x1234567880050038 | CR0_TS);
    c = GUEST("\x0f\x22\xd9"); /* mov rcx, cr3 */
    retires(&c, 3, "cr3=cccccccc00000010 ");
    c = GUEST("\x44\x0f\x20\xc0"); /* cr8 */
    retires(&c, 4, "cr8? ");
    c = GUEST("\x0f\x06"); /* clts */
    retires(&c, 2, "cr0? cr0=1234567880050030 ");
    c = GUEST("\x0f\x21\xf1");
    retires(&c, 3, "dr6? ");
    assert_int_equal(regs.rcx, 0xffff0ff0);
    c = GUEST("\x0f\x23\xf9");
    retires(&c, 3, "dr7=cccccccc00000010 ");
    c = GUEST("\x0f\x20\xc1"); /* 32-bit: half a register */
    c.bits = 32;
    regs.rip = 0x1000;
    assert_int_equal(emul_instruction(&c), EMUL_OKAY);
    assert_int_equal(regs.rcx, 0x80050038 | CR0_TS);
}

static void test_msr_tsc_cpuid(void **state)
{
    struct emul_ctxt c = GUEST("\x0f\x32");

    regs.rcx = 0xccccccccc0000080;
    retires(&c, 2, "msrc0000080? ");
    assert_int_equal(regs.rax, 0x55667788);
    assert_int_equal(regs.rdx, 0x11223344);
    c = GUEST("\x0f\x30");
    retires(&c, 2, "msr10=8000000001 ");
    c = GUEST("\x0f\x31");
    retires(&c, 2, "tsc ");
    assert_int_equal(regs.rax, 0x55667788);
    assert_int_equal(regs.rdx, 0x11223344);
    assert_int_equal(regs.rcx, 0xcccccccc00000010);
    c = GUEST("\x0f\x01\xf9");
    retires(&c, 3, "tsc ");
    assert_int_equal(regs.rcx, 0xabcd);
    c = GUEST("\x0f\xa2");
    retires(&c, 2, "cpuid 1,10 ");
    assert_int_equal(regs.rax, 1);
    assert_int_equal(regs.rbx, 2);
    assert_int_equal(regs.rcx, 3);
    assert_int_equal(regs.rdx, 4);
    c = GUEST("\x0f\x01\xd1");
    retires(&c, 3, "xcr10=8000000001 ");
}

static void test_caches_and_interrupts(void **state)
{
    struct emul_ctxt c = GUEST("\x0f\x08");

    retires(&c, 2, "cache0 ");
    c = GUEST("\x0f\x09");
    retires(&c, 2, "cache1 ");
    c = GUEST("\xf3\x0f\x09");
    retires(&c, 3, "cache2 ");
    c = GUEST("\x0f\x01\x3b");
    retires(&c, 3, "invlpg 5000 ");
    c = GUEST("\x0f\x01\x3b"); /* not canonical: nothing to do */
    regs.rbx = 1ull << 63;
    retires(&c, 3, "");
    c = GUEST("\xf4");
    retires(&c, 1, "hlt ");
    c = GUEST("\xfa");
    retires(&c, 1, "if=0 ");
    c = GUEST("\xfb");
    retires(&c, 1, "if=1 ");
    assert_true(c.retire.sti_shadow);
    assert_int_equal(regs.rflags & RFLAGS_IF, 0); /* the callback's to change */
    c = GUEST("\xfb");
    regs.rflags |= RFLAGS_IF;
    retires(&c, 1, "if=1 ");
    assert_false(c.retire.sti_shadow);
}

static const char *const privileged[] = {
    "\x0f\x20\xc1", "\x0f\x22\xd9", "\x0f\x06\x90", "\x0f\x21\xf1", "\x0f\x23\xf9",
    "\x0f\x32\x90", "\x0f\x30\x90", "\x0f\x01\xd1", "\x0f\x08\x90", "\x0f\x09\x90",
    "\x0f\x01\x3b", "\xf4\x90\x90", "\xfa\x90\x90", "\xfb\x90\x90",
};

static void test_privilege(void **state)
{
    struct emul_ctxt c;
    unsigned int i, cpl;

    for (i = 0; i < ARRAY_SIZE(privileged); i++)
        for (cpl = 1; cpl <= 3; cpl++) {
            c = guest(privileged[i], 3);
            c.cpl = cpl;
            expect_exception(&c, VEC_GP);
        }
    c = GUEST("\xfa");
    c.cpl = c.iopl = 3;
    retires(&c, 1, "if=0 ");
    c = GUEST("\x0f\x31"); /* the callback decides */
    c.cpl = 3;
    retires(&c, 2, "tsc ");
}

static void test_registers_that_do_not_exist(void **state)
{
    static const char *const undefined[] = {
        "\x0f\x20\xc8",
        "\x0f\x22\xe8",
        "\x0f\x20\xf0",
        "\x0f\x20\xf8",
    };
    struct emul_ctxt c;
    unsigned int i;

    for (i = 0; i < ARRAY_SIZE(undefined); i++) {
        c = guest(undefined[i], 3);
        c.cpl = 3; /* comes before the privilege */
        expect_exception(&c, VEC_UD);
    }
    c = GUEST("\x44\x0f\x20\xc8"); /* cr9 */
    expect_exception(&c, VEC_UD);
    c = GUEST("\x44\x0f\x21\xc0"); /* dr8 */
    expect_exception(&c, VEC_UD);
    c = GUEST("\x66\x0f\x01\xd1");
    expect_exception(&c, VEC_UD);
}

/* Without callbacks nothing can be done; with refusing ones nothing must be changed. */
static void test_missing_and_refusing_callbacks(void **state)
{
    static const char *const more[] = {
        "\x0f\x31\x90", "\x0f\x01\xf9", "\x0f\xa2\x90", "\xec\x90\x90",
        "\xef\x90\x90", "\x6c\x90\x90", "\x6f\x90\x90", "\xf3\x6e\x90",
    };
    const unsigned int n = ARRAY_SIZE(privileged);
    struct regs before;
    struct emul_ctxt c;
    unsigned int i;

    for (i = 0; i < n + ARRAY_SIZE(more); i++) {
        c = guest(i < n ? privileged[i] : more[i - n], 3);
        ops = (struct emul_ops){0};
        before = regs;
        assert_int_equal(emul_instruction(&c), EMUL_UNHANDLEABLE);
        assert_memory_equal(&regs, &before, sizeof(regs));

        c = guest(i < n ? privileged[i] : more[i - n], 3);
        answer = i & 1 ? EMUL_RETRY : EMUL_UNHANDLEABLE;
        assert_int_equal(emul_instruction(&c), answer);
        assert_memory_equal(&regs, &before, sizeof(regs));
    }
}

static void test_memory_callbacks_missing(void **state)
{
    static const char *const cases[] = {"\x89\x03\x90", "\x8b\x03\x90", "\x01\x03\x90",
                                        "\xff\x33\x90", "\x87\x03\x90", "\xab\x90\x90"};
    struct regs before;
    struct emul_ctxt c;
    unsigned int i;

    for (i = 0; i < ARRAY_SIZE(cases); i++) {
        c = guest(cases[i], 3);
        ops = (struct emul_ops){0};
        before = regs;
        assert_int_equal(emul_instruction(&c), EMUL_UNHANDLEABLE);
        assert_memory_equal(&regs, &before, sizeof(regs));
    }
    c = GUEST("\xf0\x01\x03"); /* a lock needs cmpxchg */
    ops.cmpxchg = NULL;
    assert_int_equal(emul_instruction(&c), EMUL_UNHANDLEABLE);
    c = GUEST("\x87\x03"); /* so does xchg */
    ops.cmpxchg = NULL;
    assert_int_equal(emul_instruction(&c), EMUL_UNHANDLEABLE);
    c = GUEST("\x01\x03"); /* without, a write does */
    ops.cmpxchg = NULL;
    memset(memory, 0, 8);
    retires(&c, 2, "");
    assert_int_equal(memory[0], 1);
}

static void test_ports(void **state)
{
    struct emul_ctxt c = GUEST("\xec");

    retires(&c, 1, "in 80/1 ");
    assert_int_equal(regs.rax, 0xaaaaaaaa00000021);
    c = GUEST("\x66\xed");
    retires(&c, 2, "in 80/2 ");
    assert_int_equal(regs.rax, 0xaaaaaaaa00004321);
    c = GUEST("\xed");
    retires(&c, 1, "in 80/4 ");
    assert_int_equal(regs.rax, 0x87654321);
    c = GUEST("\x48\xed"); /* still 4 bytes */
    retires(&c, 2, "in 80/4 ");
    c = GUEST("\xe5\xfe");
    retires(&c, 2, "in fe/4 ");
    c = GUEST("\xe6\x71");
    retires(&c, 2, "out 71/1=1 ");
    c = GUEST("\xef");
    retires(&c, 1, "out 80/4=1 ");
    c = GUEST("\xef"); /* the bitmap allows 80 */
    c.cpl = 3;
    retires(&c, 1, "check 80/4 out 80/4=1 ");
    c = GUEST("\xe6\x71"); /* and refuses 71 */
    c.cpl = 3;
    assert_int_equal(emul_instruction(&c), EMUL_EXCEPTION);
    assert_int_equal(c.event.vector, VEC_GP);
    c = GUEST("\xef");
    c.cpl = 3;
    ops.check_io = NULL;
    expect_exception(&c, VEC_GP);
}

static void test_selector_is_stored(void **state)
{
    struct emul_ctxt c = GUEST("\x8c\xd8"); /* mov ds, eax */

    retires(&c, 2, "");
    assert_int_equal(regs.rax, 0x28);
    c = GUEST("\x8c\xf0"); /* segment register 6 */
    expect_exception(&c, VEC_UD);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_control_registers),
        cmocka_unit_test(test_msr_tsc_cpuid),
        cmocka_unit_test(test_caches_and_interrupts),
        cmocka_unit_test(test_privilege),
        cmocka_unit_test(test_registers_that_do_not_exist),
        cmocka_unit_test(test_missing_and_refusing_callbacks),
        cmocka_unit_test(test_memory_callbacks_missing),
        cmocka_unit_test(test_ports),
        cmocka_unit_test(test_selector_is_stored),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
