/* SPDX-License-Identifier: MIT */
/* hypercall/physdev_op and pirq: interrupts from the chip to the event channel and back, by pin
 * (edge, level, shared) and by message; who may map what; the end of domains and devices while
 * interrupts are under way; and random calls, after which nothing is left over. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "guest.h"
#include "event/event.h"
#include "hypercall/ops.h"
#include "hypercall/physdev.h"
#include "hypercall/pirq.h"
#include "lib/errno.h"
#include "platform/ioapic.h"
#include "platform/lapic.h"
#include "pv/pv.h"

#define IOAPIC  0xfec00000u
#define LAPIC   0xfee00000u
#define TABLE   0xfe000000u
#define PINS    24u
#define MASKED  0x10000u
#define VECTORS 8u
#define DEVFN   8u /* bus 0: MSI and MSI-X */
#define ENTRY   4u /* words of an MSI-X table entry */

/* ---- the machine ---- */

static uint32_t ioapic_select, ioapic_reg[0x10 + 2 * PINS];
static uint8_t config[256];
static uint32_t config_address, table[ENTRY * VECTORS];

static uint64_t ioapic_read(void *data, uint64_t at, unsigned size)
{
    if (at != 0x10)
        return ioapic_select;
    return ioapic_select == 1 ? 0x20 | (PINS - 1) << 16 : ioapic_reg[ioapic_select];
}

static void ioapic_write(void *data, uint64_t at, unsigned size, uint64_t val)
{
    if (at == 0)
        ioapic_select = (uint32_t)val;
    else if (at == 0x10)
        ioapic_reg[ioapic_select] = (uint32_t)val;
}

static bool pin_masked(unsigned gsi)
{
    return ioapic_reg[0x10 + 2 * gsi] & MASKED;
}

static uint64_t config_read(void *data, uint64_t port, unsigned size)
{
    uint64_t v = ~0ull;

    if ((config_address & 0xffff00) == DEVFN << 8)
        memcpy(&v, config + (config_address & 0xfc) + (port & 3), size);
    return v;
}

static void config_write(void *data, uint64_t port, unsigned size, uint64_t val)
{
    if (port == 0xcf8 && size == 4)
        config_address = (uint32_t)val;
    else if ((config_address & 0xffff00) == DEVFN << 8)
        memcpy(config + (config_address & 0xfc) + (port & 3), &val, size);
}

static uint64_t table_read(void *data, uint64_t at, unsigned size)
{
    return table[at / 4];
}

static void table_write(void *data, uint64_t at, unsigned size, uint64_t val)
{
    table[at / 4] = (uint32_t)val;
}

static void put(unsigned at, uint32_t v)
{
    memcpy(config + at, &v, sizeof(v));
}

static int set_up_machine(void **state)
{
    guest_machine(2);
    host_mmio_add(LAPIC, 4096, (struct host_device){0});
    host_mmio_add(IOAPIC, 4096, (struct host_device){ioapic_read, ioapic_write, NULL});
    host_mmio_add(TABLE, 4096, (struct host_device){table_read, table_write, NULL});
    host_port_add(0xcf8, 0xcff, (struct host_device){config_read, config_write, NULL});
    put(0x00, 0x12348086);
    put(0x04, 0x00100000);
    put(0x08, 0x02000001);
    put(0x34, 0x50);
    put(0x50, 0x01807005); /* MSI -> 0x70 */
    put(0x70, 0x00070011); /* MSI-X, 8 entries */
    put(0x74, 2);          /* its table: BAR 2 */
    put(0x78, 0x802);
    put(0x18, TABLE | 4);
    event_pirq_ops = &pirq_event_ops;
    if (lapic_init(LAPIC) || ioapic_add(1, IOAPIC, 0))
        return -1;
    return irq_init();
}

/* ---- the guests ---- */

static struct guest *dom0, *domu;

static int set_up(void **state)
{
    dom0 = guest_new(0, 2, true);
    domu = guest_new(5, 1, false);
    if (range_set_add(&dom0->d->irqs, 1, PINS - 1))
        return -1;
    guest_be(dom0, 0);
    return 0;
}

/* Nothing is requested, protected or mapped once the domains have gone. */
static int tear_down(void **state)
{
    if (dom0)
        guest_kill(dom0);
    if (domu)
        guest_kill(domu);
    dom0 = domu = NULL;
    for (unsigned i = 0; i < PINS; i++)
        if (irq_of_gsi(i)->handler || !pin_masked(i))
            return -1;
    return domain_iomem_protected(mfn(TABLE >> PAGE_SHIFT)) ? -1 : 0;
}

static struct guest *caller(void)
{
    return current()->domain == dom0->d ? dom0 : domu;
}

#define CALL(cmd, a)                                        \
    ({                                                      \
        long rc_;                                           \
        memcpy(guest_page(caller(), 0), (a), sizeof(*(a))); \
        rc_ = physdev_op(PHYSDEVOP_##cmd, guest_va(0));     \
        memcpy((a), guest_page(caller(), 0), sizeof(*(a))); \
        rc_;                                                \
    })

static long map_gsi_for(domid_t domid, int gsi, int *pirq)
{
    struct physdev_map_pirq a = {
        .domid = domid, .type = MAP_PIRQ_TYPE_GSI, .index = gsi, .pirq = *pirq};
    long rc = CALL(map_pirq, &a);

    *pirq = a.pirq;
    return rc;
}

static long map_gsi(int gsi)
{
    return map_gsi_for(DOMID_SELF, gsi, &gsi);
}

static long map_msix(unsigned devfn, int entry, int *pirq)
{
    struct physdev_map_pirq a = {.domid = DOMID_SELF,
                                 .type = MAP_PIRQ_TYPE_MSI_SEG,
                                 .index = -1,
                                 .pirq = PIRQ_ANY,
                                 .devfn = (int)devfn,
                                 .entry_nr = entry,
                                 .table_base = TABLE};
    long rc = CALL(map_pirq, &a);

    *pirq = a.pirq;
    return rc;
}

static long unmap(domid_t domid, int pirq)
{
    struct physdev_unmap_pirq a = {.domid = domid, .pirq = pirq};

    return CALL(unmap_pirq, &a);
}

static long set_up_gsi(int gsi, bool level)
{
    struct physdev_setup_gsi a = {.gsi = gsi, .triggering = level, .polarity = level};

    return CALL(setup_gsi, &a);
}

static long bind_pirq(unsigned pirq, bool share, uint32_t *port)
{
    struct evtchn_bind_pirq a = {.pirq = pirq, .flags = share ? BIND_PIRQ__WILL_SHARE : 0};
    long rc;

    memcpy(guest_page(caller(), 0), &a, sizeof(a));
    rc = event_channel_op(EVTCHNOP_bind_pirq, guest_va(0));
    memcpy(&a, guest_page(caller(), 0), sizeof(a));
    *port = a.port;
    return rc;
}

static void close_port(uint32_t port)
{
    struct evtchn_close a = {.port = port};

    memcpy(guest_page(caller(), 0), &a, sizeof(a));
    assert_int_equal(event_channel_op(EVTCHNOP_close, guest_va(0)), 0);
}

static long eoi(unsigned pirq)
{
    struct physdev_eoi a = {.irq = pirq};

    return CALL(eoi, &a);
}

static uint32_t status(unsigned pirq)
{
    struct physdev_irq_status_query a = {.irq = pirq};

    assert_int_equal(CALL(irq_status_query, &a), 0);
    return a.flags;
}

static bool take_pending(struct guest *g, uint32_t port)
{
    unsigned long *word = &g->d->shared_info->evtchn_pending[port / 64];
    bool was = *word >> port % 64 & 1;

    *word &= ~(1ul << port % 64);
    return was;
}

static void fire(unsigned gsi)
{
    irq_dispatch(irq_of_gsi(gsi)->vector);
}

static long add_device(unsigned devfn)
{
    struct physdev_pci_device_add a = {.devfn = (uint8_t)devfn};

    return CALL(pci_device_add, &a);
}

static long remove_device(unsigned devfn)
{
    struct physdev_pci_device a = {.devfn = (uint8_t)devfn};

    return CALL(pci_device_remove, &a);
}

/* ---- mapping ---- */

static void who_may_map(void **state)
{
    int pirq = PIRQ_ANY;

    assert_int_equal(map_gsi(5), 0);
    assert_int_equal(map_gsi(5), 0);
    assert_int_equal(map_gsi_for(DOMID_SELF, 5, &pirq), 0);
    assert_int_equal(pirq, 5);
    pirq = 6;
    assert_int_equal(map_gsi_for(DOMID_SELF, 5, &pirq), -EEXIST);
    assert_int_equal(map_gsi(6), 0);
    pirq = 6;
    assert_int_equal(map_gsi_for(DOMID_SELF, 7, &pirq), -EINVAL);
    pirq = -7;
    assert_int_equal(map_gsi_for(DOMID_SELF, 7, &pirq), -EINVAL);
    pirq = PIRQ_MAX;
    assert_int_equal(map_gsi_for(DOMID_SELF, 7, &pirq), -EINVAL);
    assert_int_equal(map_gsi(-1), -EINVAL);
    assert_int_equal(map_gsi(PINS), -EINVAL);
    assert_int_equal(map_gsi(0), -EPERM);
    pirq = PIRQ_ANY;
    assert_int_equal(map_gsi_for(77, 7, &pirq), -ESRCH);
    assert_int_equal(map_gsi_for(5, 7, &pirq), 0);
    assert_int_equal(pirq, 7);
    assert_int_equal(unmap(5, 7), 0);
    assert_int_equal(unmap(5, 7), -EINVAL);
    assert_int_equal(unmap(DOMID_SELF, -1), -EINVAL);
    assert_int_equal(unmap(DOMID_SELF, PIRQ_MAX), -EINVAL);
    assert_int_equal(unmap(78, 7), -ESRCH);
    guest_be(domu, 0);
    assert_int_equal(map_gsi(8), -EPERM);
    assert_int_equal(unmap(DOMID_SELF, 7), -EPERM);
    assert_int_equal(set_up_gsi(8, true), -EPERM);
    assert_int_equal(add_device(DEVFN), -EPERM);
}

static void taken_number_is_avoided(void **state)
{
    int pirq = 9;

    assert_int_equal(map_gsi_for(DOMID_SELF, 8, &pirq), 0);
    pirq = PIRQ_ANY;
    assert_int_equal(map_gsi_for(DOMID_SELF, 9, &pirq), 0);
    assert_true(pirq >= (int)PINS);
}

static void reserved_number(void **state)
{
    struct physdev_get_free_pirq a = {.type = MAP_PIRQ_TYPE_MSI}, b = a;
    int pirq;

    assert_int_equal(CALL(get_free_pirq, &a), 0);
    assert_int_equal(CALL(get_free_pirq, &b), 0);
    assert_int_not_equal(a.pirq, b.pirq);
    assert_true(a.pirq >= PINS);
    pirq = (int)a.pirq;
    assert_int_equal(map_gsi_for(DOMID_SELF, 3, &pirq), 0);
    assert_int_equal(unmap(DOMID_SELF, (int)b.pirq), 0);
    b.type = MAP_PIRQ_TYPE_GSI;
    assert_int_equal(CALL(get_free_pirq, &b), -EINVAL);
}

static void nothing_new_for_the_dying(void **state)
{
    int pirq = PIRQ_ANY;

    __atomic_fetch_add(&domu->d->refs, 1, __ATOMIC_RELAXED);
    assert_int_equal(pirq_part.domain_release(domu->d), 0);
    assert_int_equal(map_gsi_for(5, 7, &pirq), -ESRCH);
    domain_put(domu->d);
}

/* ---- pins ---- */

static void edge(void **state)
{
    uint32_t port;

    assert_int_equal(bind_pirq(10, false, &port), -EINVAL);
    assert_int_equal(map_gsi(10), 0);
    assert_int_equal(bind_pirq(10, false, &port), 0);
    assert_int_equal(status(10), 0);
    assert_false(pin_masked(10));
    fire(10);
    assert_true(take_pending(dom0, port));
    assert_false(pin_masked(10));
    assert_int_equal(eoi(10), 0);
    assert_false(take_pending(dom0, port));
    close_port(port);
    assert_true(pin_masked(10));
    assert_null(irq_of_gsi(10)->handler);
}

static void level_waits_for_its_end(void **state)
{
    uint32_t port;

    assert_int_equal(map_gsi(11), 0);
    assert_int_equal(set_up_gsi(11, true), 0);
    assert_int_equal(set_up_gsi(11, false), -EEXIST);
    assert_int_equal(bind_pirq(11, true, &port), 0);
    assert_int_equal(status(11), XENIRQSTAT_needs_eoi | XENIRQSTAT_shared);
    for (unsigned i = 0; i < 3; i++) {
        fire(11);
        assert_true(pin_masked(11));
        assert_true(take_pending(dom0, port));
        assert_int_equal(eoi(11), 0);
        assert_false(pin_masked(11));
        assert_int_equal(eoi(11), 0); /* one too many */
        assert_false(pin_masked(11));
    }
    /* Unbound and bound again while it was under way: it comes again. */
    fire(11);
    close_port(port);
    assert_true(pin_masked(11));
    assert_int_equal(bind_pirq(11, false, &port), 0);
    assert_false(pin_masked(11));
    assert_int_equal(status(11), XENIRQSTAT_needs_eoi);
}

static void shared_by_two_domains(void **state)
{
    uint32_t port0, portu, other;
    int pirq = 30;

    assert_int_equal(set_up_gsi(12, true), 0);
    assert_int_equal(map_gsi(12), 0);
    assert_int_equal(map_gsi_for(5, 12, &pirq), 0);
    assert_int_equal(bind_pirq(12, true, &port0), 0);
    guest_be(domu, 0);
    assert_int_equal(bind_pirq(30, false, &portu), -EBUSY);
    assert_int_equal(bind_pirq(30, true, &portu), 0);
    assert_int_equal(bind_pirq(30, true, &other), -EEXIST);
    assert_int_equal(bind_pirq(12, true, &other), -EPERM); /* dom0's number, not domu's */
    fire(12);
    assert_true(take_pending(domu, portu));
    assert_true(take_pending(dom0, port0));
    assert_int_equal(eoi(30), 0);
    assert_true(pin_masked(12));
    assert_int_equal(eoi(12), 0); /* not ours */
    assert_true(pin_masked(12));
    guest_be(dom0, 0);
    assert_int_equal(eoi(12), 0);
    assert_false(pin_masked(12));
    /* One dies owing its answer. */
    fire(12);
    assert_int_equal(eoi(12), 0);
    assert_true(pin_masked(12));
    guest_kill(domu);
    domu = NULL;
    assert_false(pin_masked(12));
    guest_be(dom0, 0);
    fire(12);
    assert_true(take_pending(dom0, port0));
}

static void not_shareable_means_alone(void **state)
{
    uint32_t port;
    int pirq = PIRQ_ANY;

    assert_int_equal(map_gsi(13), 0);
    assert_int_equal(map_gsi_for(5, 13, &pirq), 0);
    assert_int_equal(bind_pirq(13, false, &port), 0);
    guest_be(domu, 0);
    assert_int_equal(bind_pirq((unsigned)pirq, true, &port), -EBUSY);
}

static void own_interrupt(struct irq *irq, void *data)
{
}

static void argons_own_stays_its_own(void **state)
{
    uint32_t port;

    assert_int_equal(irq_request(irq_of_gsi(4), own_interrupt, NULL), 0);
    assert_int_equal(map_gsi(4), 0);
    assert_int_equal(bind_pirq(4, true, &port), -EBUSY);
    assert_int_equal(unmap(DOMID_SELF, 4), 0);
    assert_ptr_equal(irq_of_gsi(4)->handler, own_interrupt);
    irq_release(irq_of_gsi(4));
}

static void unmapped_while_bound(void **state)
{
    uint32_t port, again;

    assert_int_equal(map_gsi(14), 0);
    assert_int_equal(bind_pirq(14, false, &port), 0);
    assert_int_equal(unmap(DOMID_SELF, 14), 0);
    assert_null(irq_of_gsi(14)->handler);
    assert_int_equal(eoi(14), 0);
    /* The old port still names the number: its end leaves the new mapping alone. */
    assert_int_equal(map_gsi(14), 0);
    assert_int_equal(bind_pirq(14, false, &again), -EEXIST);
    close_port(port);
    assert_int_equal(bind_pirq(14, false, &again), 0);
    fire(14);
    assert_true(take_pending(dom0, again));
}

static void follows_its_vcpu(void **state)
{
    struct evtchn_bind_vcpu a = {.vcpu = 1};
    struct irq *irq = irq_of_gsi(15);

    dom0->d->vcpu[1]->unit.cpu = 1;
    assert_int_equal(map_gsi(15), 0);
    assert_int_equal(bind_pirq(15, false, &a.port), 0);
    assert_int_equal(irq->cpu, 0);
    memcpy(guest_page(dom0, 0), &a, sizeof(a));
    assert_int_equal(event_channel_op(EVTCHNOP_bind_vcpu, guest_va(0)), 0);
    assert_int_equal(irq->cpu, 1);
    dom0->d->vcpu[1]->unit.cpu = 0;
}

/* ---- messages ---- */

static void msix(void **state)
{
    uint32_t port[2];
    int pirq[2], other;

    assert_int_equal(map_msix(DEVFN, 0, &other), -ENODEV);
    assert_int_equal(add_device(DEVFN + 8), -ENODEV);
    assert_int_equal(add_device(DEVFN), 0);
    assert_int_equal(add_device(DEVFN), 0);
    assert_int_equal(map_msix(DEVFN, 0, &pirq[0]), 0);
    assert_int_equal(map_msix(DEVFN, 3, &pirq[1]), 0);
    assert_int_equal(map_msix(DEVFN, 3, &other), -EEXIST);
    assert_int_equal(map_msix(DEVFN, VECTORS, &other), -EINVAL);
    assert_int_equal(map_msix(DEVFN, -1, &other), -EINVAL);
    assert_true(pirq[0] >= (int)PINS && pirq[0] != pirq[1]);
    assert_true(domain_iomem_protected(mfn(TABLE >> PAGE_SHIFT)));
    assert_false(domain_iomem_protected(mfn((TABLE >> PAGE_SHIFT) + 1)));
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(table[ENTRY * 3 * i + 3], 1);
        assert_int_equal(bind_pirq((unsigned)pirq[i], false, &port[i]), 0);
        assert_int_equal(table[ENTRY * 3 * i + 3], 0);
        assert_int_equal(status((unsigned)pirq[i]), 0);
    }
    irq_dispatch(table[ENTRY * 3 + 2]);
    assert_false(take_pending(dom0, port[0]));
    assert_true(take_pending(dom0, port[1]));
    assert_int_equal(unmap(DOMID_SELF, pirq[0]), 0);
    assert_true(domain_iomem_protected(mfn(TABLE >> PAGE_SHIFT)));
    assert_int_equal(table[3], 1);
    /* The device goes with a vector bound. */
    assert_int_equal(remove_device(DEVFN), 0);
    assert_int_equal(remove_device(DEVFN), -ENODEV);
    assert_false(domain_iomem_protected(mfn(TABLE >> PAGE_SHIFT)));
    assert_int_equal(eoi((unsigned)pirq[1]), 0);
    close_port(port[1]);
    close_port(port[0]);
}

static void msi(void **state)
{
    struct physdev_map_pirq a = {.domid = DOMID_SELF,
                                 .type = MAP_PIRQ_TYPE_MULTI_MSI,
                                 .pirq = PIRQ_ANY,
                                 .devfn = DEVFN,
                                 .entry_nr = 4};
    struct physdev_restore_msi r = {.devfn = DEVFN};
    uint32_t port;

    assert_int_equal(add_device(DEVFN), 0);
    assert_int_equal(CALL(map_pirq, &a), -EOPNOTSUPP);
    assert_int_equal(a.entry_nr, 1);
    assert_int_equal(CALL(map_pirq, &a), 0);
    assert_int_equal(bind_pirq((unsigned)a.pirq, false, &port), 0);
    assert_int_equal(config[0x52] & 1, 1);
    irq_dispatch(config[0x5c]);
    assert_true(take_pending(dom0, port));
    put(0x54, 0);
    assert_int_equal(CALL(restore_msi, &r), 0);
    assert_int_equal(config[0x56], 0xe0);
    r.devfn++;
    assert_int_equal(CALL(restore_msi, &r), -ENODEV);
    a.entry_nr = 0;
    assert_int_equal(CALL(map_pirq, &a), -EINVAL);
    a.type = MAP_PIRQ_TYPE_UNKNOWN;
    assert_int_equal(CALL(map_pirq, &a), -EINVAL);
    assert_int_equal(remove_device(DEVFN), 0);
}

/* ---- the rest ---- */

static void io_privilege(void **state)
{
    static struct pv_vcpu pv;
    struct physdev_set_iopl a = {.iopl = 3};
    struct physdev_set_iobitmap b = {.nr_ports = 65536};

    guest_be(domu, 0);
    current()->pv = &pv;
    assert_int_equal(CALL(set_iopl, &a), 0);
    assert_int_equal(pv.iopl, 3);
    a.iopl = 4;
    assert_int_equal(CALL(set_iopl, &a), -EINVAL);
    assert_int_equal(pv.iopl, 3);
    set_xen_guest_handle(b.bitmap, (uint8_t *)guest_va(1));
    assert_int_equal(CALL(set_iobitmap, &b), 0);
    assert_int_equal(pv.iobmp, guest_va(1));
    assert_int_equal(pv.iobmp_ports, 65536);
    b.nr_ports++;
    assert_int_equal(CALL(set_iobitmap, &b), -EINVAL);
    b.nr_ports = 8;
    set_xen_guest_handle(b.bitmap, (uint8_t *)HV_VA_START);
    assert_int_equal(CALL(set_iobitmap, &b), -EINVAL);
    assert_int_equal(pv.iobmp, guest_va(1));
    current()->pv = NULL;
}

static void io_apic_registers(void **state)
{
    struct physdev_apic a = {.apic_physbase = IOAPIC, .reg = 1};
    struct physdev_irq i = {.irq = 7};

    assert_int_equal(CALL(apic_read, &a), 0);
    assert_int_equal(a.value >> 16, PINS - 1);
    a.reg = 0x10;
    a.value = 0x31;
    assert_int_equal(CALL(apic_write, &a), 0);
    assert_int_not_equal(ioapic_reg[0x10], 0x31);
    a.apic_physbase += 0x1000;
    assert_int_equal(CALL(apic_read, &a), -EINVAL);
    assert_int_equal(CALL(apic_write, &a), -EINVAL);
    assert_int_equal(CALL(alloc_irq_vector, &i), 0);
    assert_int_equal(CALL(free_irq_vector, &i), 0);
    i.irq = PINS;
    assert_int_equal(CALL(alloc_irq_vector, &i), -EINVAL);
    assert_int_equal(CALL(free_irq_vector, &i), -EINVAL);
    assert_int_equal(set_up_gsi(-1, false), -EINVAL);
    assert_int_equal(set_up_gsi(PINS, false), -EINVAL);
    assert_int_equal(eoi(PIRQ_MAX), -EINVAL);
    assert_int_equal(eoi(~0u), -EINVAL);
}

static void what_is_not_offered(void **state)
{
    uint32_t zero[8] = {0};

    assert_int_equal(CALL(pirq_eoi_gmfn_v1, &zero), -ENOSYS);
    assert_int_equal(CALL(pirq_eoi_gmfn_v2, &zero), -ENOSYS);
    assert_int_equal(CALL(dbgp_op, &zero), -ENOSYS);
    assert_int_equal(physdev_op(0, guest_va(0)), -ENOSYS);
    assert_int_equal(physdev_op(22, guest_va(0)), -ENOSYS);
    assert_int_equal(physdev_op(32, guest_va(0)), -ENOSYS);
    assert_int_equal(physdev_op(~0u, guest_va(0)), -ENOSYS);
}

/* A structure that cannot be read, or (read-only, at the end of the space) not written. */
static void bad_addresses(void **state)
{
    for (uint32_t cmd = 0; cmd < 40; cmd++) {
        long rc = physdev_op(cmd, HV_VA_START);

        assert_true(rc == -EFAULT || rc == -ENOSYS);
        rc = physdev_op(cmd, ~0ull);
        assert_true(rc == -EFAULT || rc == -ENOSYS);
    }
}

static void random_calls(void **state)
{
    static const unsigned cmds[] = {
        PHYSDEVOP_map_pirq,          PHYSDEVOP_unmap_pirq,       PHYSDEVOP_eoi,
        PHYSDEVOP_setup_gsi,         PHYSDEVOP_irq_status_query, PHYSDEVOP_get_free_pirq,
        PHYSDEVOP_pci_device_remove, PHYSDEVOP_pci_device_add};
    unsigned done = 0;

    srand(7);
    for (unsigned i = 0; i < 60000; i++) {
        uint32_t w[12];
        uint32_t port;

        guest_be(rand() % 3 ? dom0 : domu, 0);
        for (unsigned k = 0; k < 12; k++)
            w[k] = (uint32_t)(rand() % 8 ? rand() % 40 : rand());
        switch (rand() % 6) {
        case 0:
            (void)bind_pirq((unsigned)rand() % 40, rand() & 1, &port);
            break;
        case 1: {
            struct evtchn_close a = {.port = (uint32_t)rand() % 60};

            memcpy(guest_page(caller(), 0), &a, sizeof(a));
            (void)event_channel_op(EVTCHNOP_close, guest_va(0));
            break;
        }
        case 2:
            irq_dispatch((unsigned)rand() % 192 + 48);
            break;
        default: {
            struct physdev_map_pirq *m = (void *)w;
            unsigned cmd = cmds[(unsigned)rand() % ARRAY_SIZE(cmds)];

            w[0] = cmd == PHYSDEVOP_pci_device_add || cmd == PHYSDEVOP_pci_device_remove
                       ? DEVFN << 24
                   : rand() & 1 ? DOMID_SELF
                                : w[0] % 6;
            if (cmd == PHYSDEVOP_map_pirq) {
                m->devfn = DEVFN;
                m->bus = 0;
                m->table_base = rand() & 1 ? TABLE : 0;
            }
            memcpy(guest_page(caller(), 0), w, sizeof(w));
            done += physdev_op(cmd, guest_va(0)) == 0;
        }
        }
    }
    assert_true(done > 2000);
    guest_be(dom0, 0);
    (void)remove_device(DEVFN);
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(who_may_map),
        TEST(taken_number_is_avoided),
        TEST(reserved_number),
        TEST(nothing_new_for_the_dying),
        TEST(edge),
        TEST(level_waits_for_its_end),
        TEST(shared_by_two_domains),
        TEST(not_shareable_means_alone),
        TEST(argons_own_stays_its_own),
        TEST(unmapped_while_bound),
        TEST(follows_its_vcpu),
        TEST(msix),
        TEST(msi),
        TEST(io_privilege),
        TEST(io_apic_registers),
        TEST(what_is_not_offered),
        TEST(bad_addresses),
        TEST(random_calls),
    };

    return cmocka_run_group_tests_name("hypercall/physdev", tests, set_up_machine, NULL);
}
