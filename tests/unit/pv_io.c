/* SPDX-License-Identifier: MIT */
/* pv/io.c: virtual IOPL and the I/O bitmap, ports that the domain has and has not, accesses across
 * both, and the ports that are shared with the hypervisor. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "pv_fixture.h"

static struct {
    uint64_t at[16];
    unsigned size[16];
    uint64_t val[16];
    unsigned n;
} seen;

static uint64_t port_read(void *data, uint64_t at, unsigned size)
{
    seen.at[seen.n] = at;
    seen.size[seen.n++] = size;
    return 0x44332211u >> (8 * (at & 3));
}

static void port_write(void *data, uint64_t at, unsigned size, uint64_t val)
{
    seen.at[seen.n] = at;
    seen.val[seen.n] = val;
    seen.size[seen.n++] = size;
}

static int setup(void **state)
{
    static struct range ranges[8];
    int rc = fx_setup(state);

    memset(&seen, 0, sizeof(seen));
    host_port_add(0x300, 0x30f, (struct host_device){port_read, port_write, NULL});
    range_set_init(&fx_domain->ioports, ranges, ARRAY_SIZE(ranges));
    fx_vcpu->pv->iopl = 1;
    return rc;
}

static void allow(uint16_t first, uint16_t last)
{
    assert_int_equal(range_set_add(&fx_domain->ioports, first, last), 0);
}

static void iopl(void **state)
{
    struct pv_vcpu *pv = fx_vcpu->pv;

    for (unsigned level = 0; level < 4; level++) {
        pv->iopl = level;
        assert_int_equal(pv_iopl_ok(fx_vcpu), level >= 1);
        pv->in_kernel = false;
        assert_int_equal(pv_iopl_ok(fx_vcpu), level == 3);
        pv->in_kernel = true;
    }
    pv->iopl = 0;
    fx_domain->vm_assist = BIT(VMASST_TYPE_architectural_iopl);
    assert_true(pv_iopl_ok(fx_vcpu));
}

static void bitmap(void **state)
{
    uint8_t *map = fx_memory(GUEST_KERNEL + 0x3000);

    memset(map, 0xff, 0x100);
    map[0x80 / 8] = 0x7e; /* 80 and 87 are free */
    map[0x88 / 8] = 0xfe; /* 88 too */
    fx_vcpu->pv->iobmp = GUEST_KERNEL + 0x3000;
    fx_vcpu->pv->iobmp_ports = 0x100;
    fx_user(); /* the bitmap lies in the kernel's address space */
    assert_true(pv_io_allowed(fx_vcpu, 0x80, 1));
    assert_false(pv_io_allowed(fx_vcpu, 0x80, 2));
    assert_false(pv_io_allowed(fx_vcpu, 0x81, 1));
    assert_true(pv_io_allowed(fx_vcpu, 0x87, 2));
    assert_false(pv_io_allowed(fx_vcpu, 0x87, 4));
    map[0xf8 / 8] = 0;
    assert_true(pv_io_allowed(fx_vcpu, 0xfc, 4));
    assert_false(pv_io_allowed(fx_vcpu, 0xfd, 4)); /* beyond its end */
    assert_false(fx_vcpu->pv->in_kernel);
    assert_int_equal(read_cr3(), ROOT_USER);
    fx_vcpu->pv->iobmp = GUEST_KERNEL - 0x100000; /* not there */
    assert_false(pv_io_allowed(fx_vcpu, 0x80, 1));
}

static void denied_reads_ones(void **state)
{
    assert_int_equal(pv_io_read(fx_vcpu, 0x300, 1), 0xff);
    assert_int_equal(pv_io_read(fx_vcpu, 0x300, 2), 0xffff);
    assert_int_equal(pv_io_read(fx_vcpu, 0x300, 4), 0xffffffff);
    pv_io_write(fx_vcpu, 0x300, 4, 0x12345678);
    assert_int_equal(seen.n, 0);
}

static void allowed_goes_through_whole(void **state)
{
    allow(0x300, 0x303);
    assert_int_equal(pv_io_read(fx_vcpu, 0x300, 4), 0x44332211);
    assert_int_equal(seen.n, 1);
    assert_int_equal(seen.size[0], 4);
    pv_io_write(fx_vcpu, 0x302, 2, 0xabcd);
    assert_int_equal(seen.val[1], 0xabcd);
}

static void across_a_border_is_split(void **state)
{
    allow(0x301, 0x302);
    assert_int_equal(pv_io_read(fx_vcpu, 0x300, 4), 0xff3322ff);
    assert_int_equal(seen.n, 2);
    seen.n = 0;
    pv_io_write(fx_vcpu, 0x300, 4, 0xddccbbaa);
    assert_int_equal(seen.n, 2);
    assert_int_equal(seen.at[0], 0x301);
    assert_int_equal(seen.val[0], 0xbb);
    assert_int_equal(seen.at[1], 0x302);
    assert_int_equal(seen.val[1], 0xcc);
}

static void at_the_end_of_ports(void **state)
{
    allow(0, 0xffff);
    assert_int_equal(pv_io_read(fx_vcpu, 0xffff, 4), 0xffffffff);
}

static void pci_address_is_latched(void **state)
{
    fx_domain->hardware = true;
    host_port_add(0xcf8, 0xcff, (struct host_device){port_read, port_write, NULL});
    pv_io_write(fx_vcpu, 0xcf8, 4, 0x80001234);
    assert_int_equal(seen.n, 0);
    assert_int_equal(fx_domain->pv->cf8, 0x80001234);
    assert_int_equal(pv_io_read(fx_vcpu, 0xcf8, 4), 0x80001234);
    /* A byte of it is another device's: resets by CF9. */
    allow(0xcf9, 0xcf9);
    pv_io_write(fx_vcpu, 0xcf9, 1, 6);
    assert_int_equal(seen.n, 1);
    assert_int_equal(seen.val[0], 6);
    assert_int_equal(fx_domain->pv->cf8, 0x80001234);
    fx_domain->hardware = false;
    assert_int_equal(pv_io_read(fx_vcpu, 0xcf8, 4), 0xffff22ff); /* CF9 alone */
}

static void cmos_index_is_the_domains(void **state)
{
    fx_domain->hardware = true;
    allow(0x70, 0x71); /* even so */
    pv_io_write(fx_vcpu, 0x70, 1, 0x8a);
    assert_int_equal(fx_domain->pv->cmos_index, 0x0a);
    fx_domain->hardware = false;
}

static void port_breakpoints(void **state)
{
    struct pv_vcpu *pv = fx_vcpu->pv;

    pv->cr4 = CR4_DE;
    assert_int_equal(pv_debugreg_set(fx_vcpu, 1, 0x302), 0);
    assert_int_equal(pv_debugreg_set(fx_vcpu, 7, 1 << 2 | 2ul << 20 | 1ul << 22), 0);
    assert_int_equal(pv->dr7 & DR7_ENABLES, 0); /* never in the processor */
    (void)pv_io_read(fx_vcpu, 0x300, 2);
    assert_false(pv->io_breakpoint_hit);
    (void)pv_io_read(fx_vcpu, 0x303, 1);
    assert_true(pv->io_breakpoint_hit);
    assert_int_equal(pv->dr6 & 0xf, 2);
}

#define TEST(f) cmocka_unit_test_setup(f, setup)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(iopl),
        TEST(bitmap),
        TEST(denied_reads_ones),
        TEST(allowed_goes_through_whole),
        TEST(across_a_border_is_split),
        TEST(at_the_end_of_ports),
        TEST(pci_address_is_latched),
        TEST(cmos_index_is_the_domains),
        TEST(port_breakpoints),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
