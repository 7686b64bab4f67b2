/* SPDX-License-Identifier: MIT */
/* Writes of a guest kernel to L1 tables that are mapped read-only: which instructions, which
 * widths, what is refused; and read-only device pages. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "pvguest.h"
#include "lib/errno.h"
#include "lib/string.h"

#define RW      (PTE_P | PTE_RW | PTE_U | PTE_A | PTE_D)
#define RO      (PTE_P | PTE_U | PTE_A | PTE_D)
#define ERROR   (PFEC_P | PFEC_W | PFEC_U)
#define CODE_AT 2048u

static struct pvguest *g;
static struct regs *r;

static int setup(void **state)
{
    pvg_machine(64u << 20, 1);
    pvg_preempt = 0;
    g = pvg_new(0, 256, true);
    pvg_run(g, 0);
    r = &cpu_local()->guest;
    return 0;
}

static int teardown(void **state)
{
    int mistakes = frame_audit();

    pvg_free(g);
    mistakes += frame_audit();
    if (mistakes)
        print_message("%s", host_log());
    return mistakes != 0;
}

/* The instruction at rip; rbx is where it writes. */
static bool execute(const char *code, size_t len, uint64_t cr2)
{
    memcpy((char *)pvg_page(g, pvg_arg_pfn) + CODE_AT, code, len);
    r->rip = pvg_va(pvg_arg_pfn) + CODE_AT;
    r->rflags = RFLAGS_IF | RFLAGS_MBS;
    r->rbx = cr2;
    return pv_ptwr_fault(current(), cr2, ERROR);
}
#define EXECUTE(code, cr2) execute(code, sizeof(code) - 1, cr2)

/* The guest's address of the entry of pfn in its direct map. */
static uint64_t entry_va(unsigned pfn)
{
    return pvg_va(3 + pfn / PT_ENTRIES) + pfn % PT_ENTRIES * 8;
}

static void test_mov(void **state)
{
    uint64_t *pe = pvg_l1e(g, 20), start;

    r->rax = pte_make(g->mfn[21], PTE_P | PTE_RW | PTE_G);
    start = pvg_va(pvg_arg_pfn) + CODE_AT;
    assert_true(EXECUTE("\x48\x89\x03", entry_va(20)));
    assert_int_equal(r->rip, start + 3);
    assert_int_equal(*pe, pte_make(g->mfn[21], PTE_P | PTE_RW | PTE_U));
    assert_int_equal(frame_type_count(g->mfn[20]), 0);
    assert_int_equal(frame_type_count(g->mfn[21]), 2);
    r->rax = 0;
    assert_true(EXECUTE("\x48\x89\x03", entry_va(20)));
    assert_int_equal(*pe, 0);
}

/* The forms of its operand: each stores r9 or rdx at the entry of pfn 20. */
static void test_mov_forms(void **state)
{
    static const struct {
        unsigned len;
        char code[9];
    } form[] = {
        {3, "\x4c\x89\x0b"},                     /* mov %r9,(%rbx) */
        {4, "\x4c\x89\x4b\xf8"},                 /* mov %r9,-8(%rbx) */
        {7, "\x4c\x89\x8b\x00\x10\x00\x00"},     /* mov %r9,0x1000(%rbx) */
        {4, "\x4d\x89\x0c\x24"},                 /* mov %r9,(%r12) */
        {4, "\x4d\x89\x0c\xec"},                 /* mov %r9,(%r12,%rbp,8) */
        {5, "\x4f\x89\x4c\x2c\xf0"},             /* mov %r9,-16(%r12,%r13) */
        {4, "\x4d\x89\x4d\x00"},                 /* mov %r9,0(%r13) */
        {7, "\x4c\x89\x0d\x00\x00\x00\x00"},     /* mov %r9,disp(%rip) */
        {8, "\x4e\x89\x0c\x2d\x00\x00\x00\x00"}, /* mov %r9,(,%r13): no base */
        {4, "\x65\x4c\x89\x0b"},                 /* mov %r9,%gs:(%rbx) */
        {3, "\x4c\x87\x0b"},                     /* xchg */
    };
    uint64_t *pe = pvg_l1e(g, 20), at = entry_va(20);

    for (unsigned i = 0; i < ARRAY_SIZE(form); i++) {
        uint64_t val = pte_make(g->mfn[21 + i], RW);
        uint64_t rip = pvg_va(pvg_arg_pfn) + CODE_AT;
        int32_t disp = (int32_t)(at - (rip + 7));

        memcpy((char *)pvg_page(g, pvg_arg_pfn) + CODE_AT, form[i].code, 9);
        if (i == 7)
            memcpy((char *)pvg_page(g, pvg_arg_pfn) + CODE_AT + 3, &disp, 4);
        memset(r, 0, sizeof(*r));
        r->rip = rip;
        r->rflags = RFLAGS_IF | RFLAGS_MBS | RFLAGS_RF;
        r->r9 = val;
        r->rbx = i == 1 ? at + 8 : i == 2 ? at - 0x1000 : at;
        r->r12 = i == 4 ? at - 24 : i == 5 ? at - 32 : at;
        r->rbp = 3;
        r->r13 = i == 5 ? 48 : at;
        r->rsp = 0x1000; /* never an index */
        assert_true(pv_ptwr_fault(current(), at, ERROR));
        if (*pe != val)
            print_message("form %u\n", i);
        assert_int_equal(*pe, val);
        assert_int_equal(r->rip, rip + form[i].len);
        assert_false(r->rflags & RFLAGS_RF);
    }
    /* The processor says another address than the instruction: it was changed meanwhile. */
    r->rbx = at + 8;
    r->r9 = 0;
    memcpy((char *)pvg_page(g, pvg_arg_pfn) + CODE_AT, form[0].code, 9);
    r->rip = pvg_va(pvg_arg_pfn) + CODE_AT;
    assert_true(pv_ptwr_fault(current(), at, ERROR));
    assert_int_not_equal(*pe, 0);
    assert_int_equal(pe[1], 0);
}

static void test_refused(void **state)
{
    uint64_t *pe = pvg_l1e(g, 20), before = *pe;

    r->rax = pte_make(g->mfn[0], RW);
    assert_false(EXECUTE("\x48\x89\x03", entry_va(20)));
    assert_int_equal(*pe, before);
    assert_int_equal(r->rip, pvg_va(pvg_arg_pfn) + CODE_AT);
    /* Half of that entry. */
    assert_int_equal(g->mfn[0].n << PAGE_SHIFT >> 32, 0);
    r->rax = g->mfn[0].n << PAGE_SHIFT | RW;
    assert_false(EXECUTE("\x89\x03", entry_va(20)));
    assert_int_equal(*pe, before);
}

static void test_partial(void **state)
{
    uint64_t *pe = pvg_l1e(g, 20);
    uint64_t low = *pe & 0xffffffff;

    /* The low byte: no longer writable. */
    r->rax = (low & 0xff & ~PTE_RW);
    assert_true(EXECUTE("\x88\x03", entry_va(20)));
    assert_int_equal(*pe, pte_make(g->mfn[20], RO));
    assert_int_equal(frame_type_count(g->mfn[20]), 0);
    /* The high half: NX. */
    r->rax = 0x80000000;
    assert_true(EXECUTE("\x89\x03", entry_va(20) + 4));
    assert_int_equal(*pe, pte_make(g->mfn[20], RO | PTE_NX));
    /* The low half: another frame, and NX stays. */
    r->rax = pte_make(g->mfn[22], RW);
    assert_true(EXECUTE("\x89\x03", entry_va(20)));
    assert_int_equal(*pe, pte_make(g->mfn[22], RW | PTE_NX));
    /* Across two entries: not ours to do. */
    assert_false(EXECUTE("\x89\x03", entry_va(20) + 6));
}

static void test_locked(void **state)
{
    uint64_t *pe = pvg_l1e(g, 20), before = *pe;

    /* lock cmpxchg %rcx,(%rbx): another value there. */
    r->rax = before ^ PTE_A;
    r->rcx = 0;
    assert_true(EXECUTE("\xf0\x48\x0f\xb1\x0b", entry_va(20)));
    assert_int_equal(*pe, before);
    assert_int_equal(r->rax, before);
    assert_false(r->rflags & RFLAGS_ZF);
    /* The right one. */
    r->rcx = pte_make(g->mfn[23], RO);
    assert_true(EXECUTE("\xf0\x48\x0f\xb1\x0b", entry_va(20)));
    assert_int_equal(*pe, pte_make(g->mfn[23], RO));
    assert_true(r->rflags & RFLAGS_ZF);
    /* lock btrq $5,(%rbx): accessed. */
    assert_true(EXECUTE("\xf0\x48\x0f\xba\x33\x05", entry_va(20)));
    assert_int_equal(*pe, pte_make(g->mfn[23], RO & ~PTE_A));
    assert_true(r->rflags & RFLAGS_CF);
    /* xchg: get and clear. */
    r->rax = 0;
    assert_true(EXECUTE("\x48\x87\x03", entry_va(20)));
    assert_int_equal(r->rax, pte_make(g->mfn[23], RO & ~PTE_A));
    assert_int_equal(*pe, 0);
    /* To make a page table writable, not even so. */
    r->rax = pte_make(g->mfn[1], RW);
    assert_false(EXECUTE("\x48\x87\x03", entry_va(20)));
    assert_int_equal(*pe, 0);
}

static void test_string(void **state)
{
    r->rdi = entry_va(30);
    r->rcx = 10;
    r->rax = 0;
    r->rbx = 0;
    memcpy((char *)pvg_page(g, pvg_arg_pfn) + CODE_AT, "\xf3\x48\xab", 3); /* rep stosq */
    r->rip = pvg_va(pvg_arg_pfn) + CODE_AT;
    r->rflags = RFLAGS_IF | RFLAGS_MBS;
    assert_true(pv_ptwr_fault(current(), r->rdi, ERROR));
    assert_int_equal(r->rcx, 0);
    for (unsigned pfn = 30; pfn < 40; pfn++)
        assert_int_equal(*pvg_l1e(g, pfn), 0);
}

static void test_not_wanted(void **state)
{
    uint64_t before = *pvg_l1e(g, 20);

    r->rax = 0;
    /* An upper table is not written for the guest. */
    assert_false(EXECUTE("\x48\x89\x03", pvg_va(2) + 800));
    assert_false(EXECUTE("\x48\x89\x03", pvg_va(0) + 8));
    /* Nothing is mapped, or it is writable anyway. */
    assert_false(EXECUTE("\x48\x89\x03", 0x1000));
    assert_false(EXECUTE("\x48\x89\x03", HW_VA_DIRECT));
    assert_false(EXECUTE("\x48\x89\x03", pvg_va(40)));
    /* A read, or not present. */
    assert_false(pv_ptwr_fault(current(), entry_va(20), PFEC_P | PFEC_U));
    assert_false(pv_ptwr_fault(current(), entry_va(20), PFEC_W | PFEC_U));
    /* The guest did not ask for it. */
    g->d.vm_assist = 0;
    assert_false(EXECUTE("\x48\x89\x03", entry_va(20)));
    assert_int_equal(*pvg_l1e(g, 20), before);
}

static void test_device(void **state)
{
    assert_int_equal(pv_update_va_mapping(pvg_va(40), pte_make(mfn(0xb9), RW), 0), 0);
    assert_int_equal(*pvg_l1e(g, 40), pte_make(mfn(0xb9), RO | PTE_CACHE_UC));
    r->rax = 0x1234;
    memset(host_ram(0xb9000), 0x55, 16);
    assert_true(EXECUTE("\x48\x89\x03", pvg_va(40)));
    assert_int_equal(r->rip, pvg_va(pvg_arg_pfn) + CODE_AT + 3);
    assert_int_equal(*(uint64_t *)host_ram(0xb9000), 0x5555555555555555);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_mov, setup, teardown),
        cmocka_unit_test_setup_teardown(test_mov_forms, setup, teardown),
        cmocka_unit_test_setup_teardown(test_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(test_partial, setup, teardown),
        cmocka_unit_test_setup_teardown(test_locked, setup, teardown),
        cmocka_unit_test_setup_teardown(test_string, setup, teardown),
        cmocka_unit_test_setup_teardown(test_not_wanted, setup, teardown),
        cmocka_unit_test_setup_teardown(test_device, setup, teardown),
    };

    return cmocka_run_group_tests_name("pv_ptwr", tests, NULL, NULL);
}
