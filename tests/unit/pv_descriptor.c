/* SPDX-License-Identifier: MIT */
/* pv/descriptor.c: which descriptors a guest may have, by table; the GDT and its frames. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "pv_fixture.h"

static const struct {
    const char *what;
    uint64_t desc;
    bool ok;
    uint64_t becomes;
} cases[] = {
    {"null", 0, true, 0},
    {"64-bit code, DPL 0", 0x00af9a000000ffff, true, 0x00affa000000ffff},
    {"64-bit code, DPL 3", 0x00affb000000ffff, true, 0x00affb000000ffff},
    {"data, DPL 0", 0x00cf92000000ffff, true, 0x00cff2000000ffff},
    {"data, DPL 1", 0x00cfb2000000ffff, true, 0x00cff2000000ffff},
    {"32-bit code, DPL 2", 0x00cfda000000ffff, true, 0x00cffa000000ffff},
    {"conforming code", 0x00cf9e000000ffff, true, 0x00cffe000000ffff},
    {"expand-down data", 0x00cf96000000ffff, true, 0x00cff6000000ffff},
    {"not present", 0x00af1a000000ffff, true, 0x00af1a000000ffff},
    {"not present TSS", 0x0000090000000067, true, 0x0000090000000067},
    {"LDT", 0x0000820000000fff, false, 0},
    {"TSS", 0x0000890000000067, false, 0},
    {"busy TSS", 0x00008b0000000067, false, 0},
    {"call gate to ring 0", 0xffff8c00e0081234, false, 0},
    {"call gate, DPL 3", 0x0000ec00e0330000, false, 0},
    {"interrupt gate", 0x0000ee00e0080000, false, 0},
    {"trap gate", 0x0000ef00e0080000, false, 0},
    {"task gate", 0x0000e50000400000, false, 0},
};

static void rules(void **state)
{
    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
        uint64_t d = cases[i].desc;

        if (pv_descriptor_ok(&d) != cases[i].ok)
            fail_msg("%s", cases[i].what);
        if (cases[i].ok && d != cases[i].becomes)
            fail_msg("%s becomes %lx", cases[i].what, d);
    }
}

/* Whatever the bits, what passes cannot be a gate or of another ring. */
static void rules_at_random(void **state)
{
    uint64_t x = 88172645463325252ull;

    for (unsigned i = 0; i < 200000; i++) {
        uint64_t d;

        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        d = x;
        if (!pv_descriptor_ok(&d))
            continue;
        assert_true(!(d & DESC_P) || ((d & DESC_S) && (d & DESC_DPL3) == DESC_DPL3));
        assert_int_equal(d & ~DESC_DPL3, x & ~DESC_DPL3);
    }
}

static mfn_t guest_frame(void)
{
    mfn_t m;

    assert_int_equal(frame_alloc(&fx_domain->memory, 0, 0, &m), 0);
    return m;
}

static int setup(void **state)
{
    int rc = fx_setup(state);

    fx_domain->memory.max_pages = 16;
    pv_mm_init();
    return rc;
}

static void gdt_frames(void **state)
{
    mfn_t a = guest_frame(), b = guest_frame();
    uint64_t frames[2] = {a.n, b.n};
    uint64_t desc;

    ((uint64_t *)mfn_to_virt(a))[2] = 0x00af9a000000ffff;
    assert_int_equal(pv_gdt_set(fx_vcpu, frames, 513), 0);
    assert_int_equal(frame_type_of(a), FRAME_SEGDESC);
    assert_int_equal(frame_type_of(b), FRAME_SEGDESC);
    /* Mended in place. */
    assert_int_equal(((uint64_t *)mfn_to_virt(a))[2], 0x00affa000000ffff);
    assert_true(pv_read_descriptor(fx_vcpu, 0x10, &desc));
    assert_int_equal(desc, 0x00affa000000ffff);
    assert_true(pv_read_descriptor(fx_vcpu, 512 * 8, &desc));
    assert_false(pv_read_descriptor(fx_vcpu, 513 * 8, &desc));
    assert_false(pv_read_descriptor(fx_vcpu, 3, &desc));
    /* The guest cannot write them now. */
    assert_int_equal(frame_get_writable(a, &fx_domain->memory), -EBUSY);
    assert_int_equal(pv_gdt_set(fx_vcpu, frames, 0), 0);
    assert_int_equal(frame_get_writable(a, &fx_domain->memory), 0);
    frame_put_writable(a);
}

static void gdt_refused_changes_nothing(void **state)
{
    mfn_t good = guest_frame(), gate = guest_frame(), written = guest_frame();
    uint64_t frames[2] = {good.n, gate.n};

    ((uint64_t *)mfn_to_virt(gate))[511] = 0x0000ec00e0330000;
    assert_int_equal(pv_gdt_set(fx_vcpu, frames, 1), 0);
    assert_int_equal(pv_gdt_set(fx_vcpu, frames, 1024), -EINVAL);
    assert_int_equal(fx_vcpu->pv->gdt_entries, 1);
    frames[1] = written.n;
    assert_int_equal(frame_get_writable(written, &fx_domain->memory), 0);
    assert_int_equal(pv_gdt_set(fx_vcpu, frames, 1024), -EINVAL);
    frame_put_writable(written);
    frames[1] = max_mfn + 5;
    assert_int_equal(pv_gdt_set(fx_vcpu, frames, 1024), -EINVAL);
    frames[1] = 0; /* the hypervisor's */
    assert_int_equal(pv_gdt_set(fx_vcpu, frames, 1024), -EINVAL);
    assert_int_equal(pv_gdt_set(fx_vcpu, frames, GDT_GUEST_ENTRIES + 1), -EINVAL);
    assert_int_equal(frame_type_count(good), 1);
    assert_int_equal(pv_gdt_set(fx_vcpu, frames, 0), 0);
    assert_int_equal(frame_type_count(good), 0);
}

static void gdt_list_of_frames(void **state)
{
    assert_int_equal(pv_set_gdt(GUEST_KERNEL, GDT_GUEST_ENTRIES + 1), -EINVAL);
    assert_int_equal(pv_set_gdt(0xffff880000000000, 1), -EFAULT);
    *(uint64_t *)fx_memory(GUEST_KERNEL) = guest_frame().n;
    assert_int_equal(pv_set_gdt(GUEST_KERNEL, 5), 0);
    assert_int_equal(fx_vcpu->pv->gdt_entries, 5);
}

static void one_descriptor(void **state)
{
    mfn_t a = guest_frame();
    uint64_t *page = mfn_to_virt(a), maddr = a.n << PAGE_SHIFT;

    assert_int_equal(pv_update_descriptor(maddr + 8, 0x00cf92000000ffff), 0);
    assert_int_equal(page[1], 0x00cff2000000ffff);
    assert_int_equal(pv_update_descriptor(maddr + 4, 0), -EINVAL);
    assert_int_equal(pv_update_descriptor(maddr + 8, 0x0000ec00e0330000), -EINVAL);
    assert_int_equal(pv_update_descriptor(0x1000, 0), -EINVAL);
    assert_int_equal(pv_update_descriptor(max_mfn << PAGE_SHIFT, 0), -EINVAL);
    assert_int_equal(page[1], 0x00cff2000000ffff);
    assert_int_equal(frame_type_count(a), 0);
}

static void ldt_pages_on_first_use(void **state)
{
    mfn_t a = guest_frame();
    paddr_t next = 0x20000;

    host_map_guest(ROOT_KERNEL, &next, GUEST_KERNEL + 0x100000,
                   (a.n << PAGE_SHIFT) | PTE_P | PTE_U);
    assert_int_equal(pv_set_ldt(fx_vcpu, GUEST_KERNEL + 0x100000, 600), 0);
    assert_true(mfn_eq(fx_vcpu->pv->ldt_frame[0], INVALID_MFN));
    assert_true(pv_map_ldt_page(fx_vcpu, 0x10));
    assert_true(mfn_eq(fx_vcpu->pv->ldt_frame[0], a));
    assert_int_equal(frame_type_of(a), FRAME_SEGDESC);
    assert_false(pv_map_ldt_page(fx_vcpu, 0x10));          /* there already */
    assert_false(pv_map_ldt_page(fx_vcpu, PAGE_SIZE));     /* nothing mapped in the guest */
    assert_false(pv_map_ldt_page(fx_vcpu, 2 * PAGE_SIZE)); /* beyond the entries */
    assert_false(pv_map_ldt_page(fx_vcpu, 16 * PAGE_SIZE));
    assert_int_equal(pv_set_ldt(fx_vcpu, 0, 0), 0);
    assert_int_equal(frame_type_count(a), 0);
}

static void ldt_refused(void **state)
{
    assert_int_equal(pv_set_ldt(fx_vcpu, GUEST_KERNEL, 8193), -EINVAL);
    assert_int_equal(pv_set_ldt(fx_vcpu, GUEST_KERNEL + 8, 1), -EINVAL);
    assert_int_equal(pv_set_ldt(fx_vcpu, HV_VA_START, 1), -EINVAL);
    assert_int_equal(pv_set_ldt(fx_vcpu, 0x7ffffffff000, 513), -EINVAL);
    assert_int_equal(pv_set_ldt(fx_vcpu, 0xfffffffffffff000, 513), -EINVAL);
    assert_int_equal(fx_vcpu->pv->ldt_entries, 0);
}

#define TEST(f) cmocka_unit_test_setup(f, setup)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(rules),
        TEST(rules_at_random),
        TEST(gdt_frames),
        TEST(gdt_refused_changes_nothing),
        TEST(gdt_list_of_frames),
        TEST(one_descriptor),
        TEST(ldt_pages_on_first_use),
        TEST(ldt_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
