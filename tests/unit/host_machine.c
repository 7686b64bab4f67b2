/* SPDX-License-Identifier: MIT */
/* tests/host: the double itself: page walks, faults, MSRs, devices, bounded mappings. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "machine.h"
#include <string.h>

#include "lib/errno.h"
#include "memory/map.h"

static void guest_access(void **state)
{
    paddr_t next = 0x10000;
    char in[6000], out[6000];
    uint64_t v;

    host_machine_init(16 << 20, 1);
    write_cr3(0x1000);
    host_map_guest(0x1000, &next, 0x400000, 0x200000 | PTE_P | PTE_RW | PTE_U);
    host_map_guest(0x1000, &next, 0x401000, 0x300000 | PTE_P | PTE_RW | PTE_U);
    host_map_guest(0x1000, &next, 0x402000, 0x500000 | PTE_P | PTE_U);
    host_map_guest(0x1000, &next, 0x403000, 0x600000 | PTE_P | PTE_RW);
    memset(in, 0x5a, sizeof(in));
    assert_int_equal(hw_copy_to_guest(0x400800, in, sizeof(in)), 0);
    assert_int_equal(*(uint8_t *)host_ram(0x200800), 0x5a);
    assert_int_equal(*(uint8_t *)host_ram(0x300000), 0x5a);
    assert_int_equal(hw_copy_from_guest(out, 0x400800, sizeof(out)), 0);
    assert_memory_equal(in, out, sizeof(in));
    /* Up to the read-only page, and the supervisor's. */
    assert_int_equal(hw_copy_to_guest(0x401ff0, in, 32), 16);
    assert_int_equal(hw_copy_from_guest(out, 0x402ff0, 32), 16);
    assert_int_equal(hw_clear_guest(0x401fff, 2), 1);
    assert_int_equal(hw_read_guest_u64(0x402ffc, &v), -EFAULT);
    assert_int_equal(hw_write_guest_u64(0x402000, 1), -EFAULT);
    assert_int_equal(hw_write_guest_u64(0x400000, 77), 0);
    assert_int_equal(hw_read_guest_u64(0x400000, &v), 0);
    assert_int_equal(v, 77);
    assert_int_equal(hw_copy_from_guest(out, 0x800000000000, 1), 1);
}

static void registers(void **state)
{
    uint64_t v;

    assert_int_equal(rdmsr_safe(0x12345, &v), -EFAULT);
    assert_int_equal(wrmsr_safe(0x12345, 1), -EFAULT);
    host_msr_set(0x12345, 9);
    assert_int_equal(rdmsr(0x12345), 9);
    host_msr_remove(0x12345);
    assert_int_equal(rdmsr_safe(0x12345, &v), -EFAULT);
    wrmsr(MSR_FS_BASE, 5);
    assert_int_equal(hw_rdfsbase(), 5);
    assert_int_equal(in8(0x3f8), 0xff);
    assert_true(hw_cpuid(0, 0).a >= 7);
}

static void mappings(void **state)
{
    uint8_t *p;

    *(uint8_t *)host_ram(0x1234) = 42;
    p = map_device(0x1234, 3, 0);
    assert_int_equal(p[0], 42);
    p[1] = 43;
    unmap_device(p, 3);
    assert_int_equal(*(uint8_t *)host_ram(0x1235), 43);
    p = map_device(0xfee00000, 16, PTE_CACHE_UC);
    assert_int_equal(mmio_read32(p), 0xffffffff);
    unmap_device(p, 16);
    host_mmio_add(0xfee00000, 4096, (struct host_device){0});
    p = map_device(0xfee00000, 4096, PTE_CACHE_UC);
    mmio_write32(p + 16, 5);
    assert_int_equal(*(uint8_t *)host_mmio_memory(0xfee00010), 5);
    unmap_device(p, 4096);
    assert_int_equal(host_mappings, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(guest_access),
        cmocka_unit_test(registers),
        cmocka_unit_test(mappings),
    };
    return cmocka_run_group_tests_name("host_machine", tests, NULL, NULL);
}
