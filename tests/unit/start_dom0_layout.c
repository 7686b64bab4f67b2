/* SPDX-License-Identifier: MIT */
/* start/dom0_layout: the order of the initial mapping, what lies behind it, and its frames; kernels
 * that ask for the impossible end in a clear line. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "dom0_fixture.h"

#define MIB(n) ((uint64_t)(n) << 8) /* in frames */
#define BASE   0xffffffff80000000ul

/* Everything lies in order, aligned, inside the mapping, and the mapping inside the memory. */
static void check_layout(void)
{
    uint64_t v = b->v_kernel_end, need;

    assert_true(b->v_base <= b->v_kernel_start && b->v_kernel_start < b->v_kernel_end);
    if (b->v_initrd) {
        assert_true(b->v_initrd >= v);
        v = b->v_initrd + (b->initrd->end - b->initrd->start);
    }
    if (!b->notes.has_init_p2m) {
        assert_true(b->v_p2m >= v);
        v = b->v_p2m + b->nr_pages * 8;
        assert_int_equal(b->p2m_pfn, dom0_pfn_of(b, b->v_p2m));
    }
    assert_true(b->v_start_info >= v);
    assert_int_equal(b->v_tables, b->v_start_info + PAGE_SIZE);
    assert_int_equal(b->v_stack, b->v_tables + b->nr_tables * PAGE_SIZE);
    assert_true(b->v_end >= b->v_stack + PAGE_SIZE + (512 << 10));
    assert_true(IS_ALIGNED(b->v_end, 4ul << 20));
    assert_true(IS_ALIGNED(b->v_initrd | b->v_start_info | b->v_stack, PAGE_SIZE));
    assert_true(dom0_pfn_of(b, b->v_end) <= b->nr_pages);
    /* L4, and a table of each level for each piece that is touched. */
    need = 1;
    for (unsigned shift = 21; shift <= 39; shift += 9)
        need += ((b->v_end - 1) >> shift) - (b->v_base >> shift) + 1;
    assert_true(b->nr_tables >= need);
    if (b->initrd && !b->v_initrd)
        assert_true(b->initrd_pfn >= dom0_pfn_of(b, b->v_end));
    if (b->notes.has_init_p2m) {
        assert_true(b->p2m_pfn >= dom0_pfn_of(b, b->v_end));
        assert_true(b->p2m_pfn + b->nr_p2m_pages <= b->nr_pages);
    }
}

static void like_linux(void **state)
{
    fix_machine(256);
    fix_add_initrd((5 << 20) + 123);
    fix_linux(MIB(128), 0x2000000);
    dom0_layout(b);
    check_layout();
    assert_int_equal(b->v_kernel_start, BASE + 0x1000000);
    assert_int_equal(b->v_kernel_end, BASE + 0x3000000);
    assert_int_equal(b->v_initrd, 0);
    assert_int_equal(b->initrd_pfn, dom0_pfn_of(b, b->v_end));
    assert_int_equal(b->p2m_pfn, b->initrd_pfn + 5 * 256 + 1);
    assert_int_equal(b->v_p2m, 0x8000000000);
    /* 64 frames of p2m, an L1, L2 and L3. */
    assert_int_equal(b->nr_p2m_pages, 64 + 3);
}

static void all_in_the_mapping(void **state)
{
    fix_machine(256);
    fix_add_initrd((5 << 20) + 123);
    fix_linux(MIB(128), 0x2000001);
    b->notes.has_init_p2m = b->notes.mod_start_pfn = false;
    dom0_layout(b);
    check_layout();
    assert_int_equal(b->v_initrd, BASE + 0x3001000);
    assert_int_equal(b->initrd_pfn, 0x3001);
    assert_int_equal(b->v_p2m, b->v_initrd + (5 * 256 + 1) * PAGE_SIZE);
}

static void many_sizes(void **state)
{
    fix_machine(64);
    for (uint64_t size = 1; size < 900ul << 20; size = size * 5 / 3 + 4095)
        for (unsigned kind = 0; kind < 4; kind++) {
            memset(b, 0, sizeof(*b));
            fix_linux(MIB(2048), size);
            b->notes.has_init_p2m = kind & 1;
            b->notes.mod_start_pfn = kind & 2;
            fix_initrd = (struct boot_module){.start = 0x100000, .end = 0x100000 + size / 3};
            b->initrd = fix_initrd.end > fix_initrd.start ? &fix_initrd : NULL;
            dom0_layout(b);
            check_layout();
        }
}

/* The mapping begins below a border of 512 GiB: it needs two tables of level 3. */
static void across_an_l3(void **state)
{
    fix_machine(64);
    fix_linux(MIB(128), 0x2000000);
    b->notes.virt_base = 0x8000000000 - (20 << 20);
    b->notes.init_p2m = 0x10000000000 - (16 << 12);
    dom0_layout(b);
    check_layout();
    assert_int_equal(b->nr_p2m_pages, 64 + 6);
}

static bool refused(const char *why)
{
    bool panicked = host_panics(dom0_layout(b));

    return fix_logged(why) && panicked;
}

static void hostile(void **state)
{
    fix_machine(64);
    fix_linux(MIB(128), 0x2000000);
    b->notes.virt_base = BASE + 0x1000;
    assert_true(refused("unusable virtual base"));
    fix_linux(MIB(128), 0x2000000);
    b->notes.paddr_offset = 0x1000001;
    assert_true(refused("beyond its memory"));
    fix_linux(MIB(128), MIB(113) << PAGE_SHIFT);
    b->notes.paddr_offset = 0;
    assert_true(refused("beyond its memory"));
    fix_linux(MIB(128), 110ul << 20); /* the tables do not fit behind it */
    b->notes.paddr_offset = 0;
    b->initrd = NULL;
    fix_initrd = (struct boot_module){.start = 0x100000, .end = 0x900000};
    b->initrd = &fix_initrd;
    assert_true(refused("raise dom0_mem"));
    fix_linux(MIB(128), 0x2000000);
    b->notes.init_p2m = 0x8000000800;
    assert_true(refused("wants its p2m at the unusable address 0x8000000800"));
    b->notes.init_p2m = 0xffffffffffff0000;
    assert_true(refused("wants its p2m at"));
    /* Nothing to load. */
    fix_linux(MIB(128), 0x2000000);
    ((Elf64_Phdr *)(void *)(fix_image + sizeof(Elf64_Ehdr)))->p_type = PT_NULL;
    assert_true(refused("nothing to load"));
}

/* A loader need not align modules. Domain 0 gets whole frames: it would find its RAM disk moved. */
static void a_ram_disk_off_its_page(void **state)
{
    fix_machine(64);
    fix_linux(MIB(48), 0x100000);
    fix_add_initrd(5000);
    assert_int_equal(b->initrd->start & ~PAGE_MASK, 0);
    fix_initrd.start += 0x10;
    dom0_layout(b);
    assert_true(host_panics(dom0_populate(b)));
    assert_true(fix_logged("must lie at a page's beginning"));
}

/* These made the reckoning of the tables endless. */
static void mapping_beyond_the_last_address(void **state)
{
    fix_machine(64);
    b->initrd = NULL;
    fix_linux(MIB(128), 0x2000000);
    b->notes.virt_base = 0xffffffffffc00000;
    assert_true(refused("do not fit into its address space"));
    fix_linux(MIB(8192), 0x2000000);
    fix_initrd = (struct boot_module){.start = 0, .end = 2100ul << 20};
    b->initrd = &fix_initrd;
    b->notes.mod_start_pfn = false;
    assert_true(refused("do not fit into its address space"));
    fix_linux(1ull << 29, 0x2000000); /* a p2m of 4 GiB */
    b->initrd = NULL;
    b->notes.has_init_p2m = false;
    assert_true(refused("do not fit into its address space"));
}

/* ---- frames ---- */

static void check_frames(void)
{
    uint64_t pfn = 0;

    for (unsigned i = 0; i < b->nr_extents; i++) {
        assert_int_equal(b->extent[i].pfn, pfn);
        pfn += b->extent[i].count;
    }
    assert_int_equal(pfn, b->nr_pages);
    assert_int_equal(fix_domain.memory.pages, b->nr_pages);
    for (pfn = 0; pfn < b->nr_pages; pfn++) {
        mfn_t m = dom0_mfn(b, pfn);

        assert_int_equal(M2P[m.n], pfn); /* so no frame is there twice */
        assert_ptr_equal(frame_owner_of(m), &fix_domain.memory);
        assert_false(buddy_is_free(m));
        assert_ptr_equal(dom0_page(b, pfn), mfn_to_virt(m));
    }
    assert_true(host_panics(dom0_mfn(b, b->nr_pages)));
    assert_true(host_panics(dom0_mfn(b, ~0ull)));
    host_log();
}

static void populate(void **state)
{
    for (unsigned with = 0; with < 2; with++) {
        fix_machine(256);
        if (with)
            fix_add_initrd((5 << 20) + 123);
        fix_linux(MIB(128) + 77, 0x2000000);
        dom0_layout(b);
        dom0_populate(b);
        check_frames();
        assert_true(with || !b->initrd);
        if (with) /* not moved */
            assert_int_equal(dom0_mfn(b, b->initrd_pfn).n, fix_initrd.start >> PAGE_SHIFT);
    }
}

static void populate_from_pieces(void **state)
{
    static mfn_t held[65536];
    unsigned n = 0, given = 0;

    fix_machine(256);
    fix_linux(MIB(88), 0x2000000);
    dom0_layout(b);
    /* 80 MiB in large blocks, more as every second frame only. */
    while (buddy_free_frames() > MIB(80))
        assert_int_equal(buddy_alloc(0, 0, &held[n++]), 0);
    for (unsigned i = 0; i < n && given < 3000; i++)
        if (held[i].n % 2) {
            buddy_free(held[i], 0);
            given++;
        }
    dom0_populate(b);
    check_frames();
    assert_true(b->nr_extents > 2000);
    /* Too many pieces. */
    fix_machine(256);
    fix_linux(MIB(64), 0x2000000);
    dom0_layout(b);
    for (n = 0; buddy_free_frames(); n++)
        assert_int_equal(buddy_alloc(0, 0, &held[n]), 0);
    for (unsigned i = 0; i < n; i++)
        if (held[i].n % 2)
            buddy_free(held[i], 0);
    assert_true(host_panics(dom0_populate(b)));
    assert_true(fix_logged("in too many pieces"));
}

static void populate_too_little(void **state)
{
    fix_machine(64);
    fix_linux(MIB(96), 0x2000000);
    dom0_layout(b);
    assert_true(host_panics(dom0_populate(b)));
    assert_true(fix_logged("too little memory for domain 0"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(like_linux),
        cmocka_unit_test(all_in_the_mapping),
        cmocka_unit_test(many_sizes),
        cmocka_unit_test(across_an_l3),
        cmocka_unit_test(hostile),
        cmocka_unit_test(a_ram_disk_off_its_page),
        cmocka_unit_test(mapping_beyond_the_last_address),
        cmocka_unit_test(populate),
        cmocka_unit_test(populate_from_pieces),
        cmocka_unit_test(populate_too_little),
    };

    return cmocka_run_group_tests_name("start_dom0_layout", tests, NULL, NULL);
}
