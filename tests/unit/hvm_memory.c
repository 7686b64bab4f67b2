/* SPDX-License-Identifier: MIT */
/* hvm/memory.c: the walk of a guest's page tables in each mode of paging, its rights and bits, and
 * copies of hypercall arguments. AMD APM vol. 2, chapter 5. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "hvm_fixture.h"
#include "domain/guest_copy.h"

#define L4   0x10000u
#define L3   0x11000u
#define L2   0x12000u
#define L1   0x13000u
#define PAGE 0x20000u

#define FLAGS (PTE_P | PTE_RW | PTE_U)

static uint64_t gpa;
static uint32_t error;

static void entry8(uint64_t table, unsigned i, uint64_t e)
{
    *(uint64_t *)fx_ram(table + i * 8) = e;
}

static void entry4(uint64_t table, unsigned i, uint32_t e)
{
    *(uint32_t *)fx_ram(table + i * 4) = e;
}

static void mode(uint64_t cr0, uint64_t cr4, uint64_t efer, uint64_t cr3)
{
    fx_v->hvm->cr0 = cr0;
    fx_v->hvm->cr4 = cr4;
    fx_v->hvm->efer = efer;
    fx_hw.cr[3] = cr3;
}

static void long_mode(void)
{
    mode(CR0_PE | CR0_PG | CR0_WP, CR4_PAE, EFER_LME | EFER_LMA | EFER_NX, L4);
    entry8(L4, 0, L3 | FLAGS);
    entry8(L3, 0, L2 | FLAGS);
    entry8(L2, 0, L1 | FLAGS);
    entry8(L1, 5, PAGE | FLAGS);
}

static void test_no_paging(void **state)
{
    mode(CR0_PE, 0, 0, 0);
    assert_int_equal(hvm_translate(fx_v, 0x123456, HVM_WALK_WRITE, &gpa, &error), 0);
    assert_int_equal(gpa, 0x123456);
    assert_int_equal(hvm_translate(fx_v, 0x500123456, 0, &gpa, &error), 0);
    assert_int_equal(gpa, 0x123456);
}

static void test_long_mode(void **state)
{
    long_mode();
    assert_int_equal(hvm_translate(fx_v, 0x5abc, HVM_WALK_USER, &gpa, &error), 0);
    assert_int_equal(gpa, PAGE + 0xabc);
    assert_int_equal(*(uint64_t *)fx_ram(L1 + 40), PAGE | FLAGS | PTE_A);
    assert_int_equal(*(uint64_t *)fx_ram(L2), L1 | FLAGS | PTE_A);
    assert_int_equal(hvm_translate(fx_v, 0x5abc, HVM_WALK_WRITE, &gpa, &error), 0);
    assert_int_equal(*(uint64_t *)fx_ram(L1 + 40), PAGE | FLAGS | PTE_A | PTE_D);

    assert_int_equal(hvm_translate(fx_v, 0x6000, HVM_WALK_WRITE, &gpa, &error), -EFAULT);
    assert_int_equal(error, PFEC_W);
    assert_int_equal(hvm_translate(fx_v, 1ull << 47, 0, &gpa, &error), -EFAULT);
}

static void test_rights(void **state)
{
    long_mode();
    entry8(L1, 6, PAGE | PTE_P | PTE_U);
    entry8(L1, 7, PAGE | PTE_P | PTE_RW | PTE_NX);
    assert_int_equal(hvm_translate(fx_v, 0x6000, HVM_WALK_WRITE, &gpa, &error), -EFAULT);
    assert_int_equal(error, PFEC_P | PFEC_W);
    assert_int_equal(*(uint64_t *)fx_ram(L1 + 48), PAGE | PTE_P | PTE_U); /* untouched */
    fx_v->hvm->cr0 &= ~CR0_WP;
    assert_int_equal(hvm_translate(fx_v, 0x6000, HVM_WALK_WRITE, &gpa, &error), 0);
    assert_int_equal(hvm_translate(fx_v, 0x6000, HVM_WALK_WRITE | HVM_WALK_USER, &gpa, &error),
                     -EFAULT);
    assert_int_equal(hvm_translate(fx_v, 0x7000, HVM_WALK_USER, &gpa, &error), -EFAULT);
    assert_int_equal(error, PFEC_P | PFEC_U);
    assert_int_equal(hvm_translate(fx_v, 0x7000, HVM_WALK_FETCH, &gpa, &error), -EFAULT);
    assert_int_equal(error, PFEC_P | PFEC_I);
    fx_v->hvm->efer &= ~EFER_NX; /* now the bit is reserved */
    assert_int_equal(hvm_translate(fx_v, 0x7000, 0, &gpa, &error), -EFAULT);
    assert_int_equal(error, PFEC_P | PFEC_RSVD);
}

static void test_smep(void **state)
{
    long_mode();
    fx_v->hvm->cr4 |= CR4_SMEP;
    assert_int_equal(hvm_translate(fx_v, 0x5000, HVM_WALK_FETCH, &gpa, &error), -EFAULT);
    assert_int_equal(hvm_translate(fx_v, 0x5000, HVM_WALK_FETCH | HVM_WALK_USER, &gpa, &error), 0);
}

static void test_large_pages(void **state)
{
    long_mode();
    entry8(L2, 1, 0x200000 | FLAGS | PTE_PSE);
    entry8(L3, 1, 0x40000000ull | FLAGS | PTE_PSE);
    assert_int_equal(hvm_translate(fx_v, 0x3fffff, 0, &gpa, &error), 0);
    assert_int_equal(gpa, 0x3fffff);
    assert_int_equal(hvm_translate(fx_v, 0x52345678, 0, &gpa, &error), 0);
    assert_int_equal(gpa, 0x52345678);
}

static void test_pae(void **state)
{
    mode(CR0_PE | CR0_PG, CR4_PAE, 0, L3 + 32);
    entry8(L3 + 32, 3, L2 | PTE_P); /* has no other rights */
    entry8(L2, 511, L1 | FLAGS);
    entry8(L1, 511, PAGE | FLAGS);
    entry8(L2, 0, 0x200000 | FLAGS | PTE_PSE);
    assert_int_equal(hvm_translate(fx_v, 0xfffff123, HVM_WALK_WRITE | HVM_WALK_USER, &gpa, &error),
                     0);
    assert_int_equal(gpa, PAGE + 0x123);
    assert_int_equal(*(uint64_t *)fx_ram(L3 + 32 + 24), L2 | PTE_P); /* is not marked */
    assert_int_equal(hvm_translate(fx_v, 0xc0123456, 0, &gpa, &error), 0);
    assert_int_equal(gpa, 0x323456);
    assert_int_equal(hvm_translate(fx_v, 0x1000, 0, &gpa, &error), -EFAULT);
}

static void test_two_levels(void **state)
{
    mode(CR0_PE | CR0_PG, 0, 0, L2 | 0x18); /* PWT and PCD do not matter */
    entry4(L2, 1023, L1 | FLAGS);
    entry4(L1, 1, PAGE | FLAGS);
    entry4(L2, 1, 0x00402000 | FLAGS | PTE_PSE); /* bits 32-39 of the address from bit 13 on */
    assert_int_equal(hvm_translate(fx_v, 0xffc01008, HVM_WALK_WRITE, &gpa, &error), 0);
    assert_int_equal(gpa, PAGE + 8);
    assert_int_equal(*(uint32_t *)fx_ram(L1 + 4), PAGE | FLAGS | PTE_A | PTE_D);
    assert_int_equal(*(uint32_t *)fx_ram(L1 + 8), 0); /* the next entry is untouched */
    /* Without PSE the entry names a table. */
    assert_int_equal(hvm_translate(fx_v, 0x400000, 0, &gpa, &error), -EFAULT);
    fx_v->hvm->cr4 |= CR4_PSE;
    assert_int_equal(hvm_translate(fx_v, 0x412345, 0, &gpa, &error), 0);
    assert_int_equal(gpa, 0x100000000ull + 0x412345);
}

static void test_tables_outside_ram(void **state)
{
    long_mode();
    fx_hw.cr[3] = (uint64_t)FX_FRAMES << PAGE_SHIFT;
    assert_int_equal(hvm_translate(fx_v, 0x5000, 0, &gpa, &error), -EFAULT);
    fx_hw.cr[3] = L4;
    entry8(L4, 1, 0x000ffffffffff000ull | FLAGS);
    assert_int_equal(hvm_translate(fx_v, 1ull << 39, 0, &gpa, &error), -EFAULT);
    /* A table that is its own entry, on all levels: an answer, and no loop. */
    entry8(L4, 2, L4 | FLAGS);
    assert_int_equal(
        hvm_translate(fx_v, 2ull << 39 | 2ull << 30 | 2ull << 21 | 2ull << 12, 0, &gpa, &error), 0);
    assert_int_equal(gpa, L4);
}

static void test_copies(void **state)
{
    char buf[8192];

    long_mode();
    entry8(L1, 6, (PAGE + 0x5000) | FLAGS); /* the next page lies elsewhere */
    memset(buf, 0x5a, sizeof(buf));
    assert_int_equal(guest_write(0x5ff0, buf, 32), 0);
    assert_int_equal(*(char *)fx_ram(PAGE + 0xfff), 0x5a);
    assert_int_equal(*(char *)fx_ram(PAGE + 0x500f), 0x5a);
    assert_int_equal(*(char *)fx_ram(PAGE + 0x5010), 0);
    assert_int_equal(guest_read(buf, 0x5000, 8192), 0);
    assert_int_equal(buf[0xff0], 0x5a);
    assert_int_equal(buf[0x100f], 0x5a);
    assert_int_equal(buf[0x1010], 0);
    assert_int_equal(guest_clear(0x5ff8, 16), 0);
    assert_int_equal(*(char *)fx_ram(PAGE + 0xff7), 0x5a);
    assert_int_equal(*(char *)fx_ram(PAGE + 0xff8), 0);
    assert_int_equal(guest_read(buf, 0x6ff8, 16), -EFAULT);
    assert_int_equal(guest_write(0xffff800000000000ull, buf, 8), -EFAULT);
    /* Mapped, but no RAM is there. */
    entry8(L1, 7, 0x80000000ull | FLAGS);
    assert_int_equal(guest_read(buf, 0x7000, 8), -EFAULT);
    assert_int_equal(guest_write(0x7000, buf, 8), -EFAULT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FX_TEST(test_no_paging),  FX_TEST(test_long_mode),          FX_TEST(test_rights),
        FX_TEST(test_smep),       FX_TEST(test_large_pages),        FX_TEST(test_pae),
        FX_TEST(test_two_levels), FX_TEST(test_tables_outside_ram), FX_TEST(test_copies),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
