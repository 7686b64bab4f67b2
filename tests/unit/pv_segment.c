/* SPDX-License-Identifier: MIT */
/* pv/segment.c and perdomain.c: bases by either way of access, the FPU flag, descriptors that
 * selectors name at every border of the tables, and the domain's own slot of the address space. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "pv_fixture.h"
#include "memory/buddy.h"

static void bases_by_msr_and_by_instruction(void **state)
{
    for (unsigned fast = 0; fast < 2; fast++) {
        fx_vcpu->pv->cr4 = fast ? CR4_FSGSBASE : 0;
        assert_int_equal(pv_set_segment_base(SEGBASE_FS, 0x1000 + fast), 0);
        assert_int_equal(pv_set_segment_base(SEGBASE_GS_KERNEL, 0x2000 + fast), 0);
        assert_int_equal(pv_set_segment_base(SEGBASE_GS_USER, 0x3000 + fast), 0);
        assert_int_equal(pv_fs_base(fx_vcpu), 0x1000 + fast);
        assert_int_equal(pv_gs_base(fx_vcpu), 0x2000 + fast);
        pv_toggle_mode(fx_vcpu);
        assert_int_equal(pv_gs_base(fx_vcpu), 0x3000 + fast);
        pv_toggle_mode(fx_vcpu);
        assert_int_equal(pv_gs_base(fx_vcpu), 0x2000 + fast);
    }
}

static void bases_refused(void **state)
{
    static const uint64_t bad[] = {1ul << 47, 1ul << 63, HV_VA_START - 1};

    for (uint32_t which = SEGBASE_FS; which <= SEGBASE_GS_KERNEL; which++) {
        assert_int_equal(pv_set_segment_base(which, 0x1234), 0);
        for (unsigned i = 0; i < ARRAY_SIZE(bad); i++)
            assert_int_equal(pv_set_segment_base(which, bad[i]), -EINVAL);
        assert_int_equal(pv_set_segment_base(which, ~0ul), 0); /* canonical */
    }
    assert_int_equal(pv_set_segment_base(SEGBASE_GS_USER_SEL + 1, 0), -EINVAL);
    assert_int_equal(pv_set_segment_base(~0u, 0), -EINVAL);
}

/* Loading the user's selector leaves the kernel's base alone. */
static void user_selector(void **state)
{
    assert_int_equal(pv_set_segment_base(SEGBASE_GS_KERNEL, 0x2345), 0);
    assert_int_equal(pv_set_segment_base(SEGBASE_GS_USER_SEL, 0), 0);
    assert_int_equal(pv_gs_base(fx_vcpu), 0x2345);
    assert_true(fx_vcpu->pv->in_kernel);
}

static void stack_and_fpu(void **state)
{
    assert_int_equal(pv_stack_switch(0x18, 0x1234), 0);
    assert_int_equal(fx_vcpu->pv->kernel_ss, 0x1b); /* ring 3, always */
    assert_int_equal(fx_vcpu->pv->kernel_sp, 0x1234);
    assert_int_equal(pv_fpu_taskswitch(1ul << 40), 0); /* any value but 0 */
    assert_true(fx_vcpu->pv->ts);
    assert_true(read_cr0() & CR0_TS);
    assert_int_equal(pv_fpu_taskswitch(0), 0);
    assert_false(fx_vcpu->pv->ts);
    assert_false(read_cr0() & CR0_TS);
}

static void no_tables(void **state)
{
    uint64_t desc;

    assert_false(pv_read_descriptor(fx_vcpu, 0, &desc));
    assert_false(pv_read_descriptor(fx_vcpu, 3, &desc));
    assert_false(pv_read_descriptor(fx_vcpu, 8, &desc));
    assert_false(pv_read_descriptor(fx_vcpu, 4, &desc)); /* LDT */
    assert_false(pv_read_descriptor(fx_vcpu, 0xfffc, &desc));
}

static void guests_gdt(void **state)
{
    uint64_t *gdt = heap_page(), *second = heap_page(), desc = 0;

    fx_vcpu->pv->gdt_frame[0] = virt_to_mfn(gdt);
    fx_vcpu->pv->gdt_frame[1] = virt_to_mfn(second);
    fx_vcpu->pv->gdt_entries = 513;
    gdt[1] = 111;
    gdt[511] = 222;
    second[0] = 333;
    second[1] = 444;
    assert_true(pv_read_descriptor(fx_vcpu, 1 << 3 | 3, &desc));
    assert_int_equal(desc, 111);
    assert_true(pv_read_descriptor(fx_vcpu, 511 << 3, &desc));
    assert_int_equal(desc, 222);
    assert_true(pv_read_descriptor(fx_vcpu, 512 << 3, &desc));
    assert_int_equal(desc, 333);
    assert_false(pv_read_descriptor(fx_vcpu, 513 << 3, &desc));
    assert_false(pv_read_descriptor(fx_vcpu, 0 << 3 | 2, &desc)); /* null */
    fx_vcpu->pv->gdt_entries = 0;
}

/* The hypervisor's part: what is for guests, nothing behind it. */
static void our_gdt(void **state)
{
    uint64_t *page = mfn_to_virt(this_cpu(gdt_mfn)), desc;

    page[(SEL_GUEST_CS64 - GDT_RESERVED_OFFSET) / 8] = 0x77;
    assert_true(pv_read_descriptor(fx_vcpu, SEL_GUEST_CS64, &desc));
    assert_int_equal(desc, 0x77);
    for (uint32_t sel = (SEL_GUEST_CS64 | 7) + 1; sel < 0x10000; sel += 8)
        assert_false(pv_read_descriptor(fx_vcpu, (uint16_t)(sel & ~4u), &desc));
}

static void guests_ldt(void **state)
{
    uint64_t *ldt = fx_memory(GUEST_KERNEL + PAGE_SIZE), desc = 0;

    fx_vcpu->pv->ldt_base = GUEST_KERNEL + PAGE_SIZE;
    fx_vcpu->pv->ldt_entries = 10;
    ldt[0] = 111; /* no null selector here */
    ldt[9] = 999;
    assert_true(pv_read_descriptor(fx_vcpu, 4, &desc));
    assert_int_equal(desc, 111);
    assert_true(pv_read_descriptor(fx_vcpu, 9 << 3 | 7, &desc));
    assert_int_equal(desc, 999);
    assert_false(pv_read_descriptor(fx_vcpu, 10 << 3 | 4, &desc));
    fx_vcpu->pv->ldt_base = 0x123000; /* not mapped */
    assert_false(pv_read_descriptor(fx_vcpu, 4, &desc));
}

static void code_size(void **state)
{
    uint64_t *gdt = heap_page();

    fx_vcpu->pv->gdt_frame[0] = virt_to_mfn(gdt);
    fx_vcpu->pv->gdt_entries = 8;
    gdt[1] = DESC_P | DESC_S | DESC_TYPE_CODE | DESC_DPL3 | DESC_L;
    gdt[2] = DESC_P | DESC_S | DESC_TYPE_CODE | DESC_DPL3 | DESC_DB;
    gdt[3] = DESC_P | DESC_S | DESC_TYPE_CODE | DESC_DPL3;
    assert_int_equal(pv_code_bits(fx_vcpu, SEL_GUEST_CS64), 64);
    assert_int_equal(pv_code_bits(fx_vcpu, 0x0b), 64);
    assert_int_equal(pv_code_bits(fx_vcpu, 0x13), 32);
    assert_int_equal(pv_code_bits(fx_vcpu, 0x1b), 16);
    fx_vcpu->pv->gdt_entries = 0;
}

/* ---- the domain's slot ---- */

static uint64_t *entry(const struct vcpu *v, unsigned page)
{
    uint64_t va = pv_gdt_va(v) + page * PAGE_SIZE, *t = v->domain->pv->perdomain_l3;

    for (unsigned level = 3; level > 1; level--) {
        uint64_t e = t[pt_index(va, level)];

        assert_true(e & PTE_P);
        assert_false(e & PTE_U); /* no guest reads or writes it */
        t = mfn_to_virt(pte_mfn(e));
    }
    return &t[pt_index(va, 1)];
}

static void windows_do_not_overlap(void **state)
{
    struct vcpu other = {.id = 511, .domain = fx_domain}, next = {.id = 1, .domain = fx_domain};

    assert_int_equal(pv_perdomain_vcpu_init(&other), 0);
    assert_int_equal(pv_perdomain_vcpu_init(&next), 0);
    assert_int_equal(pv_ldt_va(&next), pv_gdt_va(&next) + 0x10000);
    assert_int_equal(pv_gdt_va(&next), pv_gdt_va(fx_vcpu) + 0x20000);
    for (unsigned page = 0; page < PERDOMAIN_VCPU_PAGES; page++) {
        pv_perdomain_set(fx_vcpu, page, 0x1000 + page);
        pv_perdomain_set(&next, page, 0x2000 + page);
        pv_perdomain_set(&other, page, 0x3000 + page);
    }
    for (unsigned page = 0; page < PERDOMAIN_VCPU_PAGES; page++) {
        assert_int_equal(*entry(fx_vcpu, page), 0x1000 + page);
        assert_int_equal(*entry(&next, page), 0x2000 + page);
        assert_int_equal(*entry(&other, page), 0x3000 + page);
    }
    assert_int_equal(pte_mfn(fx_domain->memory.l4_perdomain).n, fx_domain->pv->perdomain_mfn.n);
    assert_false(fx_domain->memory.l4_perdomain & PTE_U);
}

static void slot_is_given_back(void **state)
{
    struct vcpu *v = fx_vcpu;
    uint64_t before = buddy_free_frames();

    /* What domain_create() and vcpu_create() made is freed; then a new one is made the same. */
    pv_perdomain_free(fx_domain);
    assert_true(buddy_free_frames() >= before);
    assert_null(fx_domain->pv->perdomain_l3);
    assert_int_equal(fx_domain->memory.l4_perdomain, 0);
    pv_perdomain_free(fx_domain); /* twice: nothing */
    before = buddy_free_frames();
    assert_int_equal(pv_perdomain_init(fx_domain), 0);
    assert_int_equal(pv_perdomain_vcpu_init(v), 0);
    pv_perdomain_free(fx_domain);
    assert_int_equal(buddy_free_frames(), before);
    assert_int_equal(pv_perdomain_init(fx_domain), 0);
    assert_int_equal(pv_perdomain_vcpu_init(v), 0);
}

#define TEST(f) cmocka_unit_test_setup(f, fx_setup)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(bases_by_msr_and_by_instruction),
        TEST(bases_refused),
        TEST(user_selector),
        TEST(stack_and_fpu),
        TEST(no_tables),
        TEST(guests_gdt),
        TEST(our_gdt),
        TEST(guests_ldt),
        TEST(code_size),
        TEST(windows_do_not_overlap),
        TEST(slot_is_given_back),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
