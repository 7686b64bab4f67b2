/* SPDX-License-Identifier: MIT */
/* memory/start: from a loader's map to tables and an allocator. Whatever the map is, no frame that
 * is in use is handed out, all other RAM is, and the hypervisor's mappings allow no more than they
 * must. The image is that of tests/host/image.c. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "boot/boot_info.h"
#include "lib/util.h"
#include "machine.h"
#include "memory/buddy.h"
#include "memory/layout.h"
#include "memory/map.h"
#include "memory/start.h"

#define MIB    (1ul << 20)
#define GIB    (1ul << 30)
#define IMAGE  (2 * MIB)
#define RECORD 32u

extern char __image_start[], __image_end[], __text_start[], __stubs_end[], __rodata_end[];
extern char __init_start[], __init_text_end[], __init_end[], __sealed_start[], __sealed_end[];
extern uint64_t boot_l4[], boot_l2[], boot_l2_image[];

static void ram(paddr_t start, paddr_t end, uint32_t type)
{
    boot_info.memory[boot_info.nr_memory++] =
        (struct boot_range){.start = start, .end = end, .type = type};
}

static void module(paddr_t start, paddr_t end)
{
    boot_info.module[boot_info.nr_modules++] = (struct boot_module){.start = start, .end = end};
}

/* As head.S leaves things. */
static void machine(size_t bytes)
{
    host_machine_init(bytes, 1);
    memset(&boot_info, 0, sizeof(boot_info));
    max_mfn = 0;
    memset(boot_l2_image, 0, PAGE_SIZE);
    for (unsigned i = 0; i < 8; i++)
        boot_l2_image[i] = (IMAGE + i * 2 * MIB) | PTE_P | PTE_RW | PTE_PSE;
    for (unsigned i = 0; i < 2048; i++)
        boot_l2[i] = i * 2 * MIB | PTE_P | PTE_RW | PTE_PSE;
    *(uint64_t *)host_ram(IMAGE + (paddr_t)((char *)boot_l4 - __image_start)) = 0x1000 | PTE_P;
}

static int setup(void **state)
{
    machine(64 * MIB);
    return 0;
}

static paddr_t image_end(void)
{
    return IMAGE + (paddr_t)(__image_end - __image_start);
}

/* ---- what must hold after every start ---- */

static void in_use(paddr_t start, paddr_t end)
{
    for (paddr_t p = ROUND_DOWN(start, PAGE_SIZE); p < end && p >> PAGE_SHIFT < max_mfn;
         p += PAGE_SIZE)
        if (buddy_is_free(mfn(p >> PAGE_SHIFT)))
            fail_msg("%#lx is in use, and free", p);
}

/* The tables of the hypervisor, and what their large pages back, but for the direct map. Returns
 * how many frames that is. */
static uint64_t tables_in_use(const uint64_t *t, unsigned level, uint64_t va)
{
    uint64_t n = 1;

    in_use(virt_to_paddr(t), virt_to_paddr(t) + PAGE_SIZE);
    for (unsigned i = 0; i < PT_ENTRIES; i++) {
        uint64_t at = va | (uint64_t)i << PT_SHIFT(level), p = t[i] & PTE_ADDR_MASK;

        if (!(t[i] & PTE_P) || (at >= HW_VA_DIRECT && at < HW_VA_DIRECT_END && level < 3))
            continue;
        if (t[i] & PTE_PSE) {
            in_use(p, p + (1ul << PT_SHIFT(level)));
            if (at < HW_VA_M2P_RO || at >= HW_VA_M2P_RO + GIB)
                n += 1ul << (PT_SHIFT(level) - PAGE_SHIFT);
        } else if (level > 1) {
            n += tables_in_use(paddr_to_virt(p), level - 1, at);
        }
    }
    return n;
}

static bool image_or_module(paddr_t p)
{
    bool is = p >= IMAGE && p < image_end();

    for (unsigned i = 0; i < boot_info.nr_modules; i++)
        is |= p + PAGE_SIZE > boot_info.module[i].start && p < boot_info.module[i].end;
    return is;
}

/* Frames above the first MiB that lie in RAM as a whole. */
static uint64_t frames_of_ram(bool all)
{
    uint64_t n = 0;

    for (unsigned i = 0; i < boot_info.nr_memory; i++) {
        const struct boot_range *r = &boot_info.memory[i];

        if (r->type != BOOT_RAM)
            continue;
        for (paddr_t p = ROUND_UP(max(r->start, MIB), PAGE_SIZE); p + PAGE_SIZE <= r->end;
             p += PAGE_SIZE)
            n += all || !image_or_module(p);
    }
    return n;
}

static void start(void)
{
    uint64_t taken, map = 0;

    memory_start(RECORD);
    in_use(0, MIB);
    in_use(IMAGE, image_end());
    for (unsigned i = 0; i < boot_info.nr_modules; i++)
        in_use(boot_info.module[i].start, boot_info.module[i].end);
    for (mfn_t m = mfn(0); m.n < max_mfn; m.n++)
        if (buddy_is_free(m) && !memory_is_ram(m))
            fail_msg("frame %#lx is free, and no RAM", m.n);
    /* All is free that is not the image, a module, tables, the state of the allocator, or the L1s
     * of the image. hv_l4 is in the image; tables of the direct map are counted above level 3. */
    taken = tables_in_use(hv_l4, 4, 0) - 1;
    for (uint64_t va = HW_VA_DIRECT; va < HW_VA_DIRECT_END; va += GIB) {
        uint64_t e4 = hv_l4[pt_index(va, 4)], *l3;

        if (!(e4 & PTE_P))
            continue;
        l3 = paddr_to_virt(e4 & PTE_ADDR_MASK);
        map += l3[pt_index(va, 3)] & PTE_P;
    }
    taken += DIV_ROUND_UP(max_mfn, PAGE_SIZE) +
             DIV_ROUND_UP((size_t)(__image_end - __image_start), 2 * MIB);
    assert_int_equal(buddy_free_frames(), frames_of_ram(false) - taken);
    assert_true(map <= 16);
}

static uint64_t image_pte(const char *at)
{
    uint64_t off = (uint64_t)(at - __image_start), e = boot_l2_image[off / (2 * MIB)];
    const uint64_t *l1 = paddr_to_virt(e & PTE_ADDR_MASK);

    assert_true(e & PTE_P);
    assert_false(e & PTE_PSE);
    in_use(e & PTE_ADDR_MASK, (e & PTE_ADDR_MASK) + PAGE_SIZE);
    return l1[off / PAGE_SIZE % PT_ENTRIES];
}

/* ---- tests ---- */

static void a_small_machine(void **state)
{
    ram(0, 0x9fc00, BOOT_RAM);
    ram(0xf0000, 0x100000, BOOT_RESERVED);
    ram(MIB, 64 * MIB, BOOT_RAM);
    module(8 * MIB, 10 * MIB + 123);
    module(20 * MIB + 1, 20 * MIB + 2); /* all of its one page */
    start();
    assert_int_equal(max_mfn, 64 * MIB >> PAGE_SHIFT);
    assert_int_equal(boot_info.image_start, IMAGE);
    assert_int_equal(boot_info.image_end, image_end());
    assert_int_equal(hv_l4[0], 0);
    for (unsigned slot = L4_HV_FIRST; slot <= L4_HV_LAST; slot++)
        assert_int_equal(hv_l4[slot] & PTE_P, slot != L4_PERDOMAIN);
    assert_true(buddy_is_free(mfn(MIB >> PAGE_SHIFT)));
    assert_true(buddy_is_free(mfn((10 * MIB >> PAGE_SHIFT) + 1)));
    assert_true(buddy_is_free(mfn((20 * MIB >> PAGE_SHIFT) - 1)));
}

static void the_image_is_never_writable_and_executable(void **state)
{
    ram(MIB, 64 * MIB, BOOT_RAM);
    start();
    for (const char *p = __image_start; p < __image_end; p += PAGE_SIZE) {
        bool text =
            (p >= __text_start && p < __stubs_end) || (p >= __init_start && p < __init_text_end);
        uint64_t pte = image_pte(p), want = PTE_P | PTE_A | PTE_D | PTE_G;

        want |= text ? 0 : p < __rodata_end ? PTE_NX : PTE_NX | PTE_RW;
        assert_int_equal(pte, (IMAGE + (paddr_t)(p - __image_start)) | want);
    }
    /* What head.S mapped beyond the image is gone. */
    for (size_t i = DIV_ROUND_UP((size_t)(__image_end - __image_start), 2 * MIB); i < 8; i++)
        assert_int_equal(boot_l2_image[i], 0);
    assert_int_equal(image_pte(__image_end - PAGE_SIZE) & PTE_P, PTE_P);
}

static void tables_of_frames(void **state)
{
    unsigned level;
    uint64_t rw, ro;

    ram(MIB, 64 * MIB, BOOT_RAM);
    M2P[5] = 1;
    start();
    rw = map_lookup(HW_VA_M2P, &level);
    assert_int_equal(level, 2);
    assert_int_equal(rw & ~PTE_ADDR_MASK,
                     PTE_P | PTE_A | PTE_D | PTE_G | PTE_PSE | PTE_RW | PTE_NX);
    ro = map_lookup(HW_VA_M2P_RO, &level);
    assert_int_equal(level, 2);
    assert_int_equal(ro & PTE_ADDR_MASK, rw & PTE_ADDR_MASK);
    /* Guests read it; not global, since user mode of hidden tables shares the address. */
    assert_int_equal(ro & ~PTE_ADDR_MASK, PTE_P | PTE_A | PTE_D | PTE_U | PTE_PSE | PTE_NX);
    assert_int_equal(map_lookup(HW_VA_FRAMES, &level) & (PTE_P | PTE_RW | PTE_NX | PTE_U),
                     PTE_P | PTE_RW | PTE_NX);
    assert_int_not_equal(map_lookup(HW_VA_FRAMES, &level) & PTE_ADDR_MASK, rw & PTE_ADDR_MASK);
    for (uint64_t i = 0; i < max_mfn; i++)
        assert_true(M2P[i] == INVALID_M2P_ENTRY);
}

static void only_ram_is_in_the_direct_map(void **state)
{
    unsigned level;

    machine(6 * GIB);
    ram(MIB, 256 * MIB, BOOT_RAM);
    ram(256 * MIB, 3 * GIB, BOOT_RESERVED);
    ram(3 * GIB, 3 * GIB + 3 * MIB, BOOT_RAM);
    ram(3 * GIB + 3 * MIB, 4 * GIB, BOOT_RESERVED);
    ram(4 * GIB, 5 * GIB + 5 * MIB, BOOT_RAM);
    ram(5 * GIB + 100 * MIB, 6 * GIB, BOOT_RAM);
    start();
    assert_int_equal(max_mfn, 6 * GIB >> PAGE_SHIFT);
    for (uint64_t p = 2 * MIB; p < 4 * GIB; p += 2 * MIB)
        assert_int_equal(boot_l2[p / (2 * MIB)] & PTE_P,
                         p < 256 * MIB || (p >= 3 * GIB && p < 3 * GIB + 4 * MIB));
    for (uint64_t p = 4 * GIB; p < 6 * GIB; p += 2 * MIB) {
        bool there = p < 5 * GIB + 6 * MIB || p >= 5 * GIB + 100 * MIB;

        assert_int_equal(map_lookup(HW_VA_DIRECT + p, &level),
                         there ? p | PTE_P | PTE_A | PTE_D | PTE_G | PTE_PSE | PTE_RW | PTE_NX : 0);
        if (there)
            assert_int_equal(level, 2);
    }
    /* Of the page at the end of a range in the middle of 2 MiB only RAM is given away. */
    assert_false(buddy_is_free(mfn((5 * GIB + 5 * MIB) >> PAGE_SHIFT)));
}

/* Ranges that do not end at pages, that are shorter than one, modules that touch each other, the
 * end of RAM, the image, and no RAM at all. */
static void odd_maps(void **state)
{
    ram(0, 0x1000, BOOT_RAM);
    ram(0x9fc00, 0xa0000, BOOT_RAM);
    ram(MIB + 0x800, 5 * MIB + 0xa00, BOOT_RAM);
    ram(5 * MIB + 0xa00, 5 * MIB + 0xb00, BOOT_RAM);
    ram(5 * MIB + 0xb00, 6 * MIB, BOOT_ACPI);
    ram(6 * MIB, 40 * MIB, BOOT_RAM);
    ram(40 * MIB, 41 * MIB, 77);
    ram(41 * MIB, 64 * MIB - 1, BOOT_RAM);
    module(image_end(), image_end() + PAGE_SIZE);
    module(image_end() + PAGE_SIZE, image_end() + 3 * PAGE_SIZE);
    module(39 * MIB + 0x234, 41 * MIB + 0x10);
    module(63 * MIB, 64 * MIB);
    module(40 * MIB + 0x2000, 40 * MIB + 0x3000);
    start();
    assert_false(buddy_is_free(mfn(MIB >> PAGE_SHIFT)));
    assert_true(buddy_is_free(mfn((MIB >> PAGE_SHIFT) + 1)));
    assert_int_equal(max_mfn, (64 * MIB - 1) >> PAGE_SHIFT);
}

static void what_is_ram(void **state)
{
    ram(0, 0x9f000, BOOT_RAM);
    ram(0xf0000, 0x100000, BOOT_RESERVED);
    ram(MIB, 30 * MIB, BOOT_RAM);
    ram(30 * MIB, 31 * MIB, BOOT_NVS);
    ram(31 * MIB, 64 * MIB, BOOT_RAM);
    assert_true(memory_is_ram(mfn(0)));
    assert_true(memory_is_ram(mfn(0x9e)));
    assert_false(memory_is_ram(mfn(0x9f)));
    assert_false(memory_is_ram(mfn(0xf0)));
    assert_true(memory_is_ram(mfn(0x100)));
    assert_false(memory_is_ram(mfn(30 * MIB >> PAGE_SHIFT)));
    assert_true(memory_is_ram(mfn(31 * MIB >> PAGE_SHIFT)));
    assert_false(memory_is_ram(mfn(64 * MIB >> PAGE_SHIFT)));
    assert_false(memory_is_ram(mfn(~0ul >> PAGE_SHIFT)));
}

static void too_little(void **state)
{
    assert_true(host_panics(memory_start(RECORD)));
    assert_non_null(strstr(host_log(), "no memory map"));

    machine(64 * MIB);
    ram(MIB, 64 * MIB, BOOT_RESERVED);
    assert_true(host_panics(memory_start(RECORD)));
    assert_non_null(strstr(host_log(), "no memory map"));

    /* The image is there, and hardly more. */
    machine(64 * MIB);
    ram(MIB, image_end() + 4 * PAGE_SIZE, BOOT_RAM);
    assert_true(host_panics(memory_start(RECORD)));
    assert_non_null(strstr(host_log(), "too little memory"));

    /* A module has taken the rest; one page less is as bad. */
    machine(64 * MIB);
    ram(MIB, 64 * MIB, BOOT_RAM);
    module(image_end(), 64 * MIB - PAGE_SIZE);
    assert_true(host_panics(memory_start(RECORD)));
    assert_non_null(strstr(host_log(), "too little memory"));
}

static void given_back(void **state)
{
    uint64_t free;
    unsigned level;

    ram(MIB, 64 * MIB, BOOT_RAM);
    module(8 * MIB + 1, 10 * MIB - 1);
    start();
    free = buddy_free_frames();
    /* Only whole frames of what is given. */
    memory_give(8 * MIB + 1, 10 * MIB - 1);
    assert_int_equal(buddy_free_frames(), free + (2 * MIB >> PAGE_SHIFT) - 2);
    assert_false(buddy_is_free(mfn(8 * MIB >> PAGE_SHIFT)));
    memory_give(10 * MIB - PAGE_SIZE + 1, 10 * MIB - 1);
    assert_int_equal(buddy_free_frames(), free + (2 * MIB >> PAGE_SHIFT) - 2);

    /* What is sealed can still be read; the part for start-up is mapped nowhere, and free. */
    for (const char *p = __image_start; p < __image_end; p += PAGE_SIZE)
        if (map_frame((uintptr_t)p, mfn((IMAGE + (paddr_t)(p - __image_start)) >> PAGE_SHIFT),
                      PTE_P | PTE_RW))
            fail();
    free = buddy_free_frames();
    memory_seal();
    memory_give_init();
    assert_int_equal(buddy_free_frames(), free + (uint64_t)(__init_end - __init_start) / PAGE_SIZE);
    for (const char *p = __image_start; p < __image_end; p += PAGE_SIZE) {
        bool init = p >= __init_start && p < __init_end;
        bool sealed_page = p >= __sealed_start && p < __sealed_end;

        assert_int_equal(map_lookup((uintptr_t)p, &level) & (PTE_P | PTE_RW), init ? 0
                                                                              : sealed_page
                                                                                  ? PTE_P
                                                                                  : PTE_P | PTE_RW);
        assert_int_equal(buddy_is_free(mfn((IMAGE + (paddr_t)(p - __image_start)) >> PAGE_SHIFT)),
                         init);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_small_machine, setup),
        cmocka_unit_test_setup(the_image_is_never_writable_and_executable, setup),
        cmocka_unit_test_setup(tables_of_frames, setup),
        cmocka_unit_test_setup(only_ram_is_in_the_direct_map, setup),
        cmocka_unit_test_setup(odd_maps, setup),
        cmocka_unit_test_setup(what_is_ram, setup),
        cmocka_unit_test_setup(too_little, setup),
        cmocka_unit_test_setup(given_back, setup),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
