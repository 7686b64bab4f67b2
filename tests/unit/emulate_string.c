/* SPDX-License-Identifier: MIT */
/*
 * What differential testing cannot reach: strings with budgets and faults in the middle, single
 * steps, races that are lost, writes that fault, branches.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "emulate_guest.h"

static void test_string_ports(void **state)
{
    struct emul_ctxt c = GUEST("\xf3\x6f");

    regs.rcx = 2;
    memcpy(memory + 0x100, "\x01\x02\x03\x04\x05\x06\x07\x08", 8);
    retires(&c, 2, "out 80/4=4030201 out 80/4=8070605 ");
    assert_int_equal(regs.rsi, 0x5108);
    assert_int_equal(regs.rcx, 0);
    assert_int_equal(c.retire.reps, 2);
    c = GUEST("\x66\x6d");
    retires(&c, 2, "in 80/2 ");
    assert_memory_equal(memory + 0x200, "\x21\x43", 2);
    assert_int_equal(regs.rdi, 0x5202);
    c = GUEST("\x6c"); /* downwards */
    regs.rflags |= RFLAGS_DF;
    retires(&c, 1, "in 80/1 ");
    assert_int_equal(regs.rdi, 0x51ff);
}

static void test_ins_does_not_read_what_it_cannot_store(void **state)
{
    struct emul_ctxt c = GUEST("\x6d");

    write_limit = 0x5200;
    expect_exception(&c, VEC_PF);
    assert_int_equal(c.event.cr2, 0x5200);
}

static void test_string_keeps_whole_elements_when_it_faults(void **state)
{
    struct emul_ctxt c = GUEST("\xf3\x48\xab");

    write_limit = 0x5218;
    regs.rcx = 100;
    assert_int_equal(emul_instruction(&c), EMUL_EXCEPTION);
    assert_int_equal(c.event.vector, VEC_PF);
    assert_int_equal(c.event.cr2, 0x5218);
    assert_int_equal(regs.rip, RIP);
    assert_int_equal(regs.rcx, 97);
    assert_int_equal(regs.rdi, 0x5218);
    assert_int_equal(c.retire.reps, 3);
}

static void test_string_budget(void **state)
{
    struct emul_ctxt c = GUEST("\xf3\xaa");

    c.max_reps = 10;
    regs.rcx = 25;
    assert_int_equal(emul_instruction(&c), EMUL_RETRY);
    assert_int_equal(regs.rip, RIP);
    assert_int_equal(regs.rcx, 15);
    assert_int_equal(emul_instruction(&c), EMUL_RETRY);
    assert_int_equal(emul_instruction(&c), EMUL_OKAY);
    assert_int_equal(regs.rcx, 0);
    assert_int_equal(regs.rdi, 0x5219);
    assert_int_equal(regs.rip, RIP + 2);
    c = GUEST("\xf3\xaa"); /* exactly the budget */
    c.max_reps = 10;
    regs.rcx = 10;
    retires(&c, 2, "");
    c = GUEST("\xf3\xaa"); /* nothing at all */
    regs.rcx = 0;
    regs.rdi = 1ull << 63;
    retires(&c, 2, "");
    assert_int_equal(c.retire.reps, 0);
}

static void test_refusal_after_progress_is_a_retry(void **state)
{
    struct emul_ctxt c = GUEST("\xf3\x6e");

    regs.rcx = 3;
    regs.rsi = 0x5ffe; /* the third byte is not there */
    assert_int_equal(emul_instruction(&c), EMUL_EXCEPTION);
    assert_int_equal(regs.rcx, 1);
    c = GUEST("\xf3\xa4");
    regs.rcx = 300;
    regs.rdi = 0x5300;
    ops.write = NULL;
    assert_int_equal(emul_instruction(&c), EMUL_UNHANDLEABLE);
    assert_int_equal(regs.rcx, 300);
}

static void test_single_step(void **state)
{
    struct emul_ctxt c = GUEST("\x90");

    regs.rflags |= RFLAGS_TF;
    assert_int_equal(emul_instruction(&c), EMUL_OKAY);
    assert_true(c.retire.singlestep);
    assert_true(regs.rflags & RFLAGS_TF);
    c = GUEST("\xf3\xaa"); /* a trap after each element, rip staying until the last */
    regs.rflags |= RFLAGS_TF;
    regs.rcx = 2;
    assert_int_equal(emul_instruction(&c), EMUL_OKAY);
    assert_true(c.retire.singlestep);
    assert_int_equal(regs.rip, RIP);
    assert_int_equal(regs.rcx, 1);
    assert_int_equal(emul_instruction(&c), EMUL_OKAY);
    assert_int_equal(regs.rip, RIP + 2);
}

static void test_lost_race_is_computed_again(void **state)
{
    uint64_t val = 5;
    struct emul_ctxt c = GUEST("\xf0\x48\x01\x03");

    memcpy(memory, &val, 8);
    regs.rax = 1;
    losses = 2;
    retires(&c, 4, "locked locked locked ");
    memcpy(&val, memory, 8);
    assert_int_equal(val, 0x206);

    c = GUEST("\x48\x87\x03"); /* xchg is locked without a prefix */
    losses = 1;
    retires(&c, 3, "locked locked ");
    c = GUEST("\x48\x0f\xba\x2b\x05"); /* bts without a lock */
    retires(&c, 5, "plain ");

    c = GUEST("\xf0\x48\x01\x03"); /* never wins: back to the guest */
    losses = 1000;
    assert_int_equal(emul_instruction(&c), EMUL_RETRY);
    assert_int_equal(regs.rip, RIP);
    assert_int_equal(regs.rflags, RFLAGS_MBS | RFLAGS_RF);
}

static void test_cmpxchg_that_loses_says_so(void **state)
{
    uint64_t val = 5;
    struct emul_ctxt c = GUEST("\xf0\x48\x0f\xb1\x0b");

    memcpy(memory, &val, 8);
    regs.rax = 5;
    losses = 1;
    retires(&c, 5, "locked ");
    assert_int_equal(regs.rax, 0x105);
    assert_int_equal(regs.rflags & RFLAGS_ZF, 0);

    c = GUEST("\xf0\x48\x0f\xc7\x0b");
    memset(memory, 0, 16);
    regs.rax = regs.rdx = 0;
    losses = 1;
    retires(&c, 5, "locked ");
    assert_int_equal(regs.rax, 0x100);
    assert_int_equal(regs.rdx, 0);
    assert_int_equal(regs.rflags & RFLAGS_ZF, 0);

    c = GUEST("\x48\x0f\xc7\x4b\x08"); /* 16 bytes need alignment */
    expect_exception(&c, VEC_GP);
}

static void test_write_fault_changes_nothing(void **state)
{
    static const char *const cases[] = {"\x48\x89\x03\x90", "\x8f\x03\x90\x90", "\xff\x33\x90\x90",
                                        "\x0f\x94\x03\x90", "\xe8\x01\x02\x03"};
    struct emul_ctxt c;
    unsigned int i;

    for (i = 0; i < ARRAY_SIZE(cases); i++) {
        c = guest(cases[i], 4);
        write_limit = 0;
        expect_exception(&c, VEC_PF);
    }
}

static void test_branches(void **state)
{
    struct emul_ctxt c = GUEST("\xeb\xfe");
    uint64_t val;

    assert_int_equal(emul_instruction(&c), EMUL_OKAY);
    assert_int_equal(regs.rip, RIP);
    c = GUEST("\xe8\x00\x01\x00\x00");
    assert_int_equal(emul_instruction(&c), EMUL_OKAY);
    assert_int_equal(regs.rip, RIP + 0x105);
    assert_int_equal(regs.rsp, 0x57f8);
    memcpy(&val, memory + 0x7f8, 8);
    assert_int_equal(val, RIP + 5);
    c = GUEST("\xc2\x10\x00");
    regs.rsp = 0x5000;
    val = 0x1234;
    memcpy(memory, &val, 8);
    assert_int_equal(emul_instruction(&c), EMUL_OKAY);
    assert_int_equal(regs.rip, 0x1234);
    assert_int_equal(regs.rsp, 0x5018);
    c = GUEST("\xff\xe0"); /* to a non-canonical address */
    regs.rax = 1ull << 63;
    expect_exception(&c, VEC_GP);
    c = GUEST("\xff\xd0");
    regs.rax = 1ull << 63;
    expect_exception(&c, VEC_GP);
    c = GUEST("\xe2\x10");
    regs.rcx = 1;
    retires(&c, 2, "");
    assert_int_equal(regs.rcx, 0);
    c = GUEST("\xe2\x10");
    regs.rcx = 0;
    assert_int_equal(emul_instruction(&c), EMUL_OKAY);
    assert_int_equal(regs.rip, RIP + 0x12);
    assert_int_equal(regs.rcx, ~0ull);
    c = GUEST("\x67\xe3\x10"); /* jecxz */
    regs.rcx = 1ull << 32;
    assert_int_equal(emul_instruction(&c), EMUL_OKAY);
    assert_int_equal(regs.rip, RIP + 0x13);
    c = GUEST("\xe0\x10"); /* loopne with ZF */
    regs.rflags |= RFLAGS_ZF;
    retires(&c, 2, "");
}

static void test_branch_beyond_the_code_limit(void **state)
{
    struct emul_ctxt c = GUEST("\xe9\x00\x00\xff\x00");

    c.bits = 32;
    regs.rip = 0x1000;
    expect_exception(&c, VEC_GP);
    c = GUEST("\x66\xe9\x00\x10"); /* 16-bit operand size cuts ip */
    c.bits = 32;
    regs.rip = 0x2f000;
    assert_int_equal(emul_instruction(&c), EMUL_OKAY);
    assert_int_equal(regs.rip, 0x0004);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_string_ports),
        cmocka_unit_test(test_ins_does_not_read_what_it_cannot_store),
        cmocka_unit_test(test_string_keeps_whole_elements_when_it_faults),
        cmocka_unit_test(test_string_budget),
        cmocka_unit_test(test_refusal_after_progress_is_a_retry),
        cmocka_unit_test(test_single_step),
        cmocka_unit_test(test_lost_race_is_computed_again),
        cmocka_unit_test(test_cmpxchg_that_loses_says_so),
        cmocka_unit_test(test_write_fault_changes_nothing),
        cmocka_unit_test(test_branches),
        cmocka_unit_test(test_branch_beyond_the_code_limit),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
