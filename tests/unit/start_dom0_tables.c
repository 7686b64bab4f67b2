/* SPDX-License-Identifier: MIT */
/* start/dom0_tables: every page of the initial mapping is there, with the right frame and rights;
 * nothing else is; no table is used twice or lies outside its room. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "dom0_fixture.h"

#define MIB(n) ((uint64_t)(n) << 8) /* in frames */

static unsigned tables_seen, pages_seen;

static bool is_table_page(uint64_t pfn)
{
    uint64_t first = dom0_pfn_of(b, b->v_tables), p2m = b->p2m_pfn + DIV_ROUND_UP(b->nr_pages, 512);

    return (pfn >= first && pfn < first + b->nr_tables) ||
           (b->notes.has_init_p2m && pfn >= p2m && pfn < b->p2m_pfn + b->nr_p2m_pages);
}

static void check_page(uint64_t va, uint64_t e)
{
    uint64_t pfn = M2P[pte_mfn(e).n];

    pages_seen++;
    assert_int_equal(e & (PTE_P | PTE_U), PTE_P | PTE_U);
    if (va >= b->v_base && va < b->v_end) {
        uint64_t first = dom0_pfn_of(b, b->v_tables);

        assert_int_equal(pfn, dom0_pfn_of(b, va));
        assert_int_equal(!(e & PTE_RW), pfn >= first && pfn < first + b->nr_tables);
    } else {
        assert_true(va >= b->v_p2m);
        assert_int_equal(pfn, b->p2m_pfn + (va - b->v_p2m) / PAGE_SIZE);
        assert_true(pfn < b->p2m_pfn + DIV_ROUND_UP(b->nr_pages, 512));
        assert_true(e & PTE_RW);
    }
}

static void walk(mfn_t table, unsigned level, uint64_t va)
{
    const uint64_t *t = mfn_to_virt(table);

    tables_seen++;
    assert_true(is_table_page(M2P[table.n]));
    for (unsigned i = 0; i < PT_ENTRIES; i++) {
        uint64_t at = va + ((uint64_t)i << PT_SHIFT(level));

        if (level == 4 && i >= 256)
            at |= 0xffff000000000000;
        if (!t[i])
            continue;
        assert_false(t[i] & PTE_PSE);
        if (level == 1)
            check_page(at, t[i]);
        else
            walk(pte_mfn(t[i]), level - 1, at);
    }
}

static void build_and_check(void)
{
    uint64_t p2m = b->notes.has_init_p2m ? DIV_ROUND_UP(b->nr_pages, 512) : 0;
    mfn_t l4;

    dom0_layout(b);
    dom0_populate(b);
    /* What is in the frames before is of no account. */
    for (uint64_t pfn = 0; pfn < b->nr_pages; pfn++)
        memset(dom0_page(b, pfn), 0xa5, PAGE_SIZE);
    l4 = dom0_make_tables(b);
    assert_int_equal(M2P[l4.n], dom0_pfn_of(b, b->v_tables));
    tables_seen = pages_seen = 0;
    walk(l4, 4, 0);
    assert_int_equal(pages_seen, (b->v_end - b->v_base) / PAGE_SIZE + p2m);
    assert_true(tables_seen <= b->nr_tables + b->nr_p2m_pages - p2m);
    /* Spare tables are empty; the stack behind them was left alone. */
    for (uint64_t i = 0; i < b->nr_tables; i++) {
        const uint64_t *t = dom0_page(b, dom0_pfn_of(b, b->v_tables) + i);

        assert_int_not_equal(t[0], 0xa5a5a5a5a5a5a5a5);
    }
    assert_int_equal(*(uint64_t *)dom0_page(b, dom0_pfn_of(b, b->v_stack)), 0xa5a5a5a5a5a5a5a5);
    assert_int_equal(*(uint64_t *)dom0_page(b, dom0_pfn_of(b, b->v_start_info)),
                     0xa5a5a5a5a5a5a5a5);
    assert_int_equal(*(uint64_t *)dom0_page(b, b->p2m_pfn), 0xa5a5a5a5a5a5a5a5);
}

static void like_linux(void **state)
{
    fix_machine(128);
    fix_add_initrd(100000);
    fix_linux(MIB(80) + 3, 0x1000000);
    build_and_check();
}

static void p2m_in_the_mapping(void **state)
{
    fix_machine(128);
    fix_add_initrd(100000);
    fix_linux(MIB(80), 0x1000000);
    b->notes.has_init_p2m = b->notes.mod_start_pfn = false;
    build_and_check();
}

/* The tables once reached into the stack. */
static void across_an_l3(void **state)
{
    fix_machine(128);
    fix_linux(MIB(80), 0x1000000);
    b->notes.virt_base = 0x10000000000 - (20 << 20);
    b->notes.init_p2m = 0x8000000000 - (16 << 12);
    build_and_check();
}

static void low_base(void **state)
{
    fix_machine(128);
    fix_linux(MIB(80), 0x1000000);
    b->notes.virt_base = 0;
    build_and_check();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(like_linux),
        cmocka_unit_test(p2m_in_the_mapping),
        cmocka_unit_test(across_an_l3),
        cmocka_unit_test(low_base),
    };

    return cmocka_run_group_tests_name("start_dom0_tables", tests, NULL, NULL);
}
