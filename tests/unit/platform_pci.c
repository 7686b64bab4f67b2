/* SPDX-License-Identifier: MIT */
/* platform/pci and msi: both ways into configuration space, capability chains that lie, MSI and
 * MSI-X from set-up to teardown, and what domain 0 may write. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "machine.h"
#include "lib/errno.h"
#include "platform/lapic.h"
#include "platform/msi.h"

#define ECAM_BASE  0xb0000000u
#define TABLE_BASE 0xfe000000u

/* Bus 0: device 1 with MSI and MSI-X, device 2 with eight functions flagged and two there. */
static uint8_t config[4][4096];
static uint32_t address;
static uint32_t table[64];
static unsigned handled, torn;

static uint8_t *function(unsigned bus, unsigned devfn)
{
    if (bus)
        return NULL;
    return devfn == 8 ? config[0] : devfn == 16 ? config[1] : devfn == 19 ? config[2] : NULL;
}

/* A message of MSI that changes while the device may send it. */
static void watch(const uint8_t *f, unsigned at)
{
    torn += f == config[0] && at >= 0x54 && at < 0x5e && (f[0x52] & 1) && (f[0x53] & 1) &&
            !(f[0x60] & 1);
}

static uint64_t port_read(void *data, uint64_t port, unsigned size)
{
    uint8_t *f = function(address >> 16 & 0xff, address >> 8 & 0xff);
    uint64_t v = ~0ull;

    assert_true(address & 0x80000000u);
    if (f)
        memcpy(&v, f + (address & 0xfc) + (port & 3), size);
    return v;
}

static void port_write(void *data, uint64_t port, unsigned size, uint64_t val)
{
    uint8_t *f;

    if (port == 0xcf8 && size == 4) {
        address = (uint32_t)val;
        return;
    }
    f = function(address >> 16 & 0xff, address >> 8 & 0xff);
    if (!f)
        return;
    watch(f, (address & 0xfc) + (port & 3));
    memcpy(f + (address & 0xfc) + (port & 3), &val, size);
}

static uint64_t ecam_read(void *data, uint64_t at, unsigned size)
{
    uint8_t *f = function((unsigned)(at >> 20), at >> 12 & 0xff);
    uint64_t v = ~0ull;

    if (f)
        memcpy(&v, f + at % 4096, size);
    return v;
}

static void ecam_write(void *data, uint64_t at, unsigned size, uint64_t val)
{
    uint8_t *f = function((unsigned)(at >> 20), at >> 12 & 0xff);

    if (!f)
        return;
    watch(f, at % 4096);
    memcpy(f + at % 4096, &val, size);
}

static uint64_t table_read(void *data, uint64_t at, unsigned size)
{
    return table[at / 4];
}

static void table_write(void *data, uint64_t at, unsigned size, uint64_t val)
{
    /* A message that changes under an entry that is not masked. */
    torn += at / 4 % 4 != 3 && !(table[at / 16 * 4 + 3] & 1);
    table[at / 4] = (uint32_t)val;
}

static void put(unsigned f, unsigned at, unsigned size, uint32_t v)
{
    memcpy(config[f] + at, &v, size);
}

static uint32_t get(unsigned f, unsigned at, unsigned size)
{
    uint32_t v = 0;

    memcpy(&v, config[f] + at, size);
    return v;
}

static int set_up(void **state)
{
    host_machine_init(16 << 20, 2);
    host_memory_init();
    host_port_add(0xcf8, 0xcff, (struct host_device){port_read, port_write, NULL});
    host_mmio_add(ECAM_BASE, 2u << 20, (struct host_device){ecam_read, ecam_write, NULL});
    host_mmio_add(TABLE_BASE, 4096, (struct host_device){table_read, table_write, NULL});
    host_mmio_add(0xfee00000, 4096, (struct host_device){0});
    for (unsigned f = 0; f < 3; f++) {
        memset(config[f], 0, 4096);
        put(f, 0, 4, 0x12348086);
        put(f, 8, 4, 0x02000001);
    }
    put(1, 0x0e, 1, 0x80);
    put(0, 6, 2, 0x10);
    put(0, 0x34, 1, 0x40);
    put(0, 0x40, 2, 0x5001);     /* power management -> 0x50 */
    put(0, 0x50, 4, 0x01807005); /* MSI, 64-bit, maskable -> 0x70 */
    put(0, 0x70, 4, 0x00070011); /* MSI-X, 8 entries, last */
    put(0, 0x74, 4, 0x2);        /* table: BAR 2, offset 0 */
    put(0, 0x78, 4, 0x802);
    put(0, 0x18, 4, TABLE_BASE | 4); /* 64-bit memory */
    return lapic_init(0xfee00000);
}

static const struct pci_address nic = {0, 0, 8};

static void two_ways(void **state)
{
    struct pci_address a;
    unsigned offset;

    assert_int_equal(pci_read(nic, 0, 4), 0x12348086);
    assert_int_equal(pci_read(nic, 2, 2), 0x1234);
    assert_int_equal(pci_read(nic, 3, 1), 0x12);
    assert_int_equal(pci_read(nic, 1, 2), 0xffff); /* crooked */
    assert_int_equal(pci_read(nic, 0x100, 4), ~0u);
    assert_int_equal(pci_read((struct pci_address){1, 0, 8}, 0, 4), ~0u);
    put(0, 0x100, 4, 0xabcd);
    assert_int_equal(pci_mmcfg_add(ECAM_BASE, 0, 0, 1), 0);
    assert_int_equal(pci_mmcfg_add(ECAM_BASE, 0, 0, 1), 0);
    assert_int_equal(pci_mmcfg_add(ECAM_BASE + (1 << 20), 0, 1, 2), -EINVAL);
    assert_int_equal(pci_mmcfg_add(ECAM_BASE + 4096, 5, 0, 1), -EINVAL);
    assert_int_equal(pci_mmcfg_add(ECAM_BASE, 5, 2, 1), -EINVAL);
    assert_int_equal(pci_read(nic, 0x100, 4), 0xabcd);
    assert_int_equal(pci_read(nic, 0x1000, 4), ~0u);
    pci_write(nic, 0x102, 2, 0x7777);
    pci_write(nic, 0x104, 1, 0x55);
    assert_int_equal(get(0, 0x100, 4), 0x7777abcd);
    assert_int_equal(get(0, 0x104, 4), 0x55);
    assert_true(pci_mmcfg_contains(ECAM_BASE + 0x108123, &a, &offset));
    assert_int_equal(a.bus, 1);
    assert_int_equal(a.devfn, 8);
    assert_int_equal(offset, 0x123);
    assert_false(pci_mmcfg_contains(ECAM_BASE - 1, &a, &offset));
    assert_false(pci_mmcfg_contains(ECAM_BASE + (2 << 20), &a, &offset));
    assert_int_equal(pci_cf8_read(0x80000800, 2, 2), 0x1234);
    assert_int_equal(pci_cf8_read(0x80000800, 3, 2), 0xffff);
    assert_int_equal(pci_cf8_read(0x80000800, 4, 1), 0xff);
    assert_false(pci_cf8_decode(0x800, &a, &offset));
    assert_true(pci_cf8_decode(0x81000844, &a, &offset));
    assert_int_equal(offset, 0x144);
}

static void capabilities(void **state)
{
    struct pci_address a = {0, 0, 19};

    assert_int_equal(pci_find_capability(nic, PCI_CAP_MSIX), 0x70);
    assert_int_equal(pci_find_capability(nic, 0x99), 0);
    assert_int_equal(pci_find_capability((struct pci_address){0, 0, 32}, PCI_CAP_MSI), 0);
    assert_int_equal(pci_find_capability(a, PCI_CAP_MSI), 0); /* has no list */
    /* A chain that loops, one that leads into the header. */
    put(2, 6, 2, 0x10);
    put(2, 0x34, 1, 0x40);
    put(2, 0x40, 2, 0x4001);
    assert_int_equal(pci_find_capability(a, PCI_CAP_MSI), 0);
    put(2, 0x40, 2, 0x1001);
    put(2, 0x10, 2, 0x0005);
    assert_int_equal(pci_find_capability(a, PCI_CAP_MSI), 0);
    put(2, 0x40, 2, 0xffff);
    assert_int_equal(pci_find_capability(a, PCI_CAP_MSI), 0);
    put(2, 6, 2, 0);
}

static void scan(void **state)
{
    struct pci_address none = {0, 0, 32};

    pci_scan();
    pci_scan();
    assert_non_null(pci_device_find(nic));
    assert_non_null(pci_device_find((struct pci_address){0, 0, 16}));
    assert_non_null(pci_device_find((struct pci_address){0, 0, 19}));
    assert_null(pci_device_find((struct pci_address){0, 0, 17}));
    assert_int_equal(pci_device_find(nic)->msix_count, 8);
    assert_int_equal(pci_device_find(nic)->class[2], 2);
    assert_int_equal(pci_device_add(none, false, false, none), -ENODEV);
    assert_int_equal(pci_device_add(none, false, true, nic), 0);
    assert_int_equal(pci_device_remove(none), 0);
    assert_int_equal(pci_device_remove(none), -ENODEV);
}

static void handler(struct irq *irq, void *data)
{
    handled++;
}

static void msi(void **state)
{
    struct pci_device *d = pci_device_find(nic);
    struct irq *irq, *other;

    assert_int_equal(msi_setup(pci_device_find((struct pci_address){0, 0, 16}), 1, &irq), -ENODEV);
    assert_int_equal(msi_setup(d, 2, &irq), -EINVAL);
    assert_int_equal(msi_setup(d, 1, &irq), 0);
    assert_int_equal(msi_setup(d, 1, &other), -EEXIST);
    assert_int_equal(msix_setup(d, 0, 0, &other), -EEXIST);
    assert_int_equal(get(0, 0x52, 2) & 1, 0); /* no message yet: not enabled */
    assert_int_equal(get(0, 0x60, 4) & 1, 1);
    assert_int_equal(irq_request(irq, handler, NULL), 0);
    assert_int_equal(get(0, 0x54, 4), 0xfee00000 | cpu_apic_id[0] << 12);
    assert_int_equal(get(0, 0x58, 4), 0);
    assert_int_equal(get(0, 0x5c, 2), irq->vector);
    assert_int_equal(get(0, 0x52, 2) & 1, 1);
    assert_int_equal(get(0, 0x60, 4) & 1, 0);
    irq_dispatch(irq->vector);
    assert_int_equal(handled, 1);
    irq_mask(irq);
    assert_int_equal(get(0, 0x60, 4) & 1, 1);
    /* The device forgets everything; it is told again, still masked. */
    put(0, 0x54, 4, 0);
    put(0, 0x52, 2, 0x180);
    put(0, 0x60, 4, 0);
    msi_restore(d);
    assert_int_equal(get(0, 0x54, 4), 0xfee00000 | cpu_apic_id[0] << 12);
    assert_int_equal(get(0, 0x60, 4) & 1, 1);
    msi_teardown(irq);
    assert_int_equal(get(0, 0x52, 2) & 1, 0);
}

/* Another CPU takes it: the device is told where to send, and nothing is unmasked by that. What can
 * be masked is masked while its message changes, or half of a message could be sent. */
static void moved(void **state)
{
    struct pci_device *d = pci_device_find(nic);
    struct irq *irq;
    unsigned before;

    cpu_apic_id[1] = 0x42;
    assert_int_equal(msi_setup(d, 1, &irq), 0);
    assert_int_equal(irq_request(irq, handler, NULL), 0);
    before = torn;
    assert_int_equal(irq_set_cpu(irq, 1), 0);
    assert_int_equal(torn, before);
    assert_int_equal(get(0, 0x54, 4), 0xfee42000);
    assert_int_equal(get(0, 0x58, 4), 0);
    assert_int_equal(get(0, 0x5c, 2), irq->vector);
    assert_int_equal(get(0, 0x60, 4) & 1, 0);
    irq_mask(irq);
    assert_int_equal(irq_set_cpu(irq, 0), 0);
    assert_int_equal(get(0, 0x60, 4) & 1, 1);
    msi_teardown(irq);

    assert_int_equal(msix_setup(d, 2, TABLE_BASE, &irq), 0);
    assert_int_equal(irq_request(irq, handler, NULL), 0);
    before = torn;
    assert_int_equal(irq_set_cpu(irq, 1), 0);
    assert_int_equal(table[2 * 4], 0xfee42000);
    assert_int_equal(table[2 * 4 + 1], 0);
    assert_int_equal(table[2 * 4 + 2], irq->vector);
    assert_int_equal(table[2 * 4 + 3], 0);
    irq_mask(irq);
    assert_int_equal(irq_set_cpu(irq, 0), 0);
    assert_int_equal(table[2 * 4 + 3], 1);
    assert_int_equal(torn, before);
    msi_teardown(irq);
    assert_int_equal(table[2 * 4 + 3], 1); /* it can send nothing any more */
}

static void msi_without_mask_bit(void **state)
{
    struct pci_device *d = pci_device_find(nic);
    struct irq *irq;

    put(0, 0x52, 2, 0x0000); /* 32-bit, not maskable */
    assert_int_equal(msi_setup(d, 1, &irq), 0);
    assert_int_equal(irq_request(irq, handler, NULL), 0);
    assert_int_equal(get(0, 0x58, 2), irq->vector);
    assert_int_equal(get(0, 0x52, 2) & 1, 1);
    irq_mask(irq);
    assert_int_equal(get(0, 0x52, 2) & 1, 0);
    irq_unmask(irq);
    assert_int_equal(get(0, 0x52, 2) & 1, 1);
    msi_teardown(irq);
    put(0, 0x52, 2, 0x0180);
}

static void msix(void **state)
{
    struct pci_device *d = pci_device_find(nic);
    struct irq *a, *b;
    unsigned mappings = host_mappings;

    assert_int_equal(msix_setup(d, 8, 0, &a), -EINVAL);
    assert_int_equal(msix_setup(d, 0, TABLE_BASE + 16, &a), -EINVAL);
    assert_int_equal(msix_setup(d, 3, TABLE_BASE, &a), 0);
    assert_int_equal(msix_setup(d, 3, TABLE_BASE, &b), -EEXIST);
    assert_int_equal(msix_setup(d, 0, 0, &b), 0);
    assert_int_equal(d->msix_table, TABLE_BASE);
    assert_int_equal(d->msix_pba, TABLE_BASE + 0x800);
    assert_int_equal(get(0, 0x72, 2) & 0xc000, 0x8000);
    assert_int_equal(table[3 * 4 + 3], 1);
    assert_int_equal(irq_request(a, handler, NULL), 0);
    assert_int_equal(table[3 * 4], 0xfee00000 | cpu_apic_id[0] << 12);
    assert_int_equal(table[3 * 4 + 2], a->vector);
    assert_int_equal(table[3 * 4 + 3], 0);
    irq_mask(a);
    assert_int_equal(table[3 * 4 + 3], 1);
    memset(table, 0, sizeof(table));
    msi_restore(d);
    assert_int_equal(table[3 * 4 + 2], a->vector);
    assert_int_equal(table[3 * 4 + 3], 1);
    assert_int_equal(table[3], 1);
    msi_teardown(a);
    assert_int_equal(get(0, 0x72, 2) & 0xc000, 0x8000);
    msi_teardown_device(d);
    assert_int_equal(get(0, 0x72, 2) & 0xc000, 0);
    assert_int_equal(host_mappings, mappings);
    /* A table in an I/O BAR, in no BAR, behind a missing BAR. */
    put(0, 0x74, 4, 0x7);
    assert_int_equal(msix_setup(d, 0, 0, &a), -EINVAL);
    put(0, 0x74, 4, 0x1);
    put(0, 0x14, 4, 0xc001);
    assert_int_equal(msix_setup(d, 0, 0, &a), -EINVAL);
    put(0, 0x74, 4, 0x5);
    put(0, 0x24, 4, 4);
    assert_int_equal(msix_setup(d, 0, 0, &a), -EINVAL);
    put(0, 0x74, 4, 0x2);
}

static void filter(void **state)
{
    struct pci_device *d = pci_device_find(nic);
    uint32_t v = 0xffffffff;

    assert_true(msi_filter_write(d, 4, 2, &v));
    assert_int_equal(v, 0xffffffff);
    assert_false(msi_filter_write(d, 0x54, 4, &v));
    assert_false(msi_filter_write(d, 0x5d, 1, &v));
    assert_false(msi_filter_write(d, 0x60, 4, &v));
    assert_true(msi_filter_write(d, 0x64, 4, &v)); /* pending bits: read only */
    /* The enable bit stays as it is, in every width. */
    put(0, 0x52, 2, 0x0181);
    v = 0;
    assert_true(msi_filter_write(d, 0x52, 2, &v));
    assert_int_equal(v, 1);
    v = 0;
    assert_true(msi_filter_write(d, 0x50, 4, &v));
    assert_int_equal(v, 0x10000);
    v = 0;
    assert_true(msi_filter_write(d, 0x52, 1, &v));
    assert_int_equal(v, 1);
    put(0, 0x52, 2, 0x0180);
    v = 0xffff;
    assert_true(msi_filter_write(d, 0x72, 2, &v));
    assert_int_equal(v, 0x3fff);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_ways), cmocka_unit_test(capabilities),
        cmocka_unit_test(scan),     cmocka_unit_test(msi),
        cmocka_unit_test(msix),     cmocka_unit_test(msi_without_mask_bit),
        cmocka_unit_test(moved),    cmocka_unit_test(filter),
    };
    return cmocka_run_group_tests_name("platform_pci", tests, set_up, NULL);
}
