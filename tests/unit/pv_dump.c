/* SPDX-License-Identifier: MIT */
/* pv/dump: what a crash shows, for whom, and that page tables and registers full of nonsense are
 * survived: the dump runs when nothing can be trusted any more. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pvguest.h"
#include "base/param.h"

#define STACK 40 /* pfn */

static struct pvguest *g;
static struct regs *r;

static void begin(domid_t id)
{
    pvg_machine(64u << 20, 1);
    pvg_seed = 1;
    g = pvg_new(id, 256, id == 0);
    g->d.hardware = id == 0;
    pvg_run(g, 0);
    r = vcpu_regs(&g->v[0]);
    memset(r, 0, sizeof(*r));
    (void)host_log();
}

static int set_up(void **state)
{
    begin(0);
    return 0;
}

static int tear_down(void **state)
{
    pvg_free(g);
    return 0;
}

static const char *dump(void)
{
    pv_crash_dump(&g->v[0]);
    return host_log();
}

static void shows_registers_stack_and_tables(void **state)
{
    uint64_t *stack = pvg_page(g, STACK);
    const char *text;
    char want[64];

    for (unsigned i = 0; i < PAGE_SIZE / 8; i++)
        stack[i] = 0x1111000000000000 + i;
    r->rip = pvg_va(30) + 0x123;
    r->rsp = pvg_va(STACK) + 16;
    r->rbx = 0xabcdef;
    r->entry_vector = VEC_PF;
    text = dump();
    assert_non_null(strstr(text, "Domain 0 vCPU 0, in kernel mode"));
    assert_non_null(strstr(text, "rbx 0000000000abcdef"));
    assert_non_null(strstr(text, "1111000000000002 1111000000000003 1111000000000004 "
                                 "1111000000000005\n"));
    assert_non_null(strstr(text, "1111000000000021\n"));
    assert_null(strstr(text, "1111000000000022"));
    assert_non_null(strstr(text, "Page tables for rip"));
    assert_non_null(strstr(text, "Page tables for cr2"));
    snprintf(want, sizeof(want), "pfn %x\n", 30);
    assert_non_null(strstr(text, want));
    snprintf(want, sizeof(want), "%016lx  PWU", *pvg_l1e(g, 30));
    assert_non_null(strstr(text, want));
    /* Near the end of what is mapped: as much as there is. */
    r->rsp = pvg_va(255) + PAGE_SIZE - 8;
    r->entry_vector = VEC_GP;
    text = dump();
    assert_non_null(strstr(text, "Guest stack"));
    assert_null(strstr(text, "cr2 00000000000000"
                             "00, L4"));
}

static void nonsense(void **state)
{
    static const uint64_t odd[] = {
        0,          1,          7,     HV_VA_START, HV_VA_START - 8, HV_VA_END - 4,
        1ull << 47, 1ull << 63, ~0ull, ~7ull,       0x7fffffffffff,  HV_VA_START + 0x1000,
    };
    uint64_t *l4 = pvg_page(g, 0);

    for (unsigned i = 0; i < ARRAY_SIZE(odd); i++) {
        r->rip = r->rsp = odd[i];
        r->entry_vector = VEC_PF;
        assert_non_null(strstr(dump(), "Guest stack"));
    }
    /* The hypervisor's memory is not shown: our own data behind its slots. */
    r->rsp = HV_VA_START;
    assert_non_null(strstr(dump(), "(ends here)"));
    /* Entries that lead out of RAM. */
    r->rsp = pvg_va(STACK);
    for (uint64_t e = 0x1000; e < 1ull << 52; e <<= 1) {
        uint64_t was = l4[pt_index(r->rsp, 4)];

        l4[pt_index(r->rsp, 4)] = ((64ull << 20) + e) | PTE_P;
        (void)dump();
        l4[pt_index(r->rsp, 4)] = was;
    }
    /* No tables at all. */
    mfn_t was = g->pvv[0].kernel_l4;

    g->pvv[0].kernel_l4 = INVALID_MFN;
    assert_non_null(strstr(dump(), "(ends here)"));
    g->pvv[0].kernel_l4 = was;
}

static void random_tables(void **state)
{
    uint64_t *table[] = {pvg_page(g, 1), pvg_page(g, 2), pvg_page(g, 3)};
    uint64_t was[3][PT_ENTRIES];

    srand(5);
    for (unsigned t = 0; t < 3; t++)
        memcpy(was[t], table[t], PAGE_SIZE);
    for (unsigned n = 0; n < 3000; n++) {
        for (unsigned t = 0; t < 3; t++)
            table[t][rand() % 512] =
                (uint64_t)rand() << 33 ^ (uint64_t)rand() << 12 ^ (uint64_t)(rand() & 0xfff);
        r->rsp = pvg_va((unsigned)rand() % 512) + (unsigned)rand() % 4096;
        r->rip = pvg_va((unsigned)rand() % 512);
        (void)dump();
    }
    for (unsigned t = 0; t < 3; t++)
        memcpy(table[t], was[t], PAGE_SIZE);
}

static void others_only_on_request(void **state)
{
    pvg_free(g);
    begin(5);
    r->rsp = pvg_va(STACK);
    assert_string_equal(dump(), "");
    param_parse("guest_loglvl=debug");
    assert_non_null(strstr(dump(), "Domain 5 vCPU 0"));
    param_parse("guest_loglvl=warning");
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(shows_registers_stack_and_tables),
        TEST(nonsense),
        TEST(random_tables),
        TEST(others_only_on_request),
    };

    return cmocka_run_group_tests_name("pv/dump", tests, NULL, NULL);
}
