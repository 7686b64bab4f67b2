/* SPDX-License-Identifier: MIT */
/* Interrupts of a real device as events: by its pin, by MSI and by MSI-X.
 *
 * Cause: domain 0 drives devices, but interrupt controllers and messages belong to the
 * hypervisor.
 * Steps: find QEMU's e1000e on bus 0, map its registers, and let it interrupt by writing its
 * cause register (82574 data sheet: ICR 0xc0, ICS 0xc8, IMS 0xd0, IMC 0xd8, IVAR 0xe4), each
 * way in turn.
 * Verdict: one event for each message; a pin that stays asserted is neither lost nor a storm;
 * EOI as the status says. Skipped on a machine without that card. */
#include "lib/guest.h"
#include "lib/pci.h"

#define ICR        (0xc0 / 4)
#define ICS        (0xc8 / 4)
#define IMS        (0xd0 / 4)
#define IMC        (0xd8 / 4)
#define IVAR       (0xe4 / 4)
#define LSC        (1u << 2)  /* cause: link status change */
#define OTHER      (1u << 24) /* cause: those without a vector of their own */
#define OTHER_IVAR (1u << 19) /* "other" goes to MSI-X vector 0 */

static volatile uint32_t *nic;
static unsigned int devfn;
static uint64_t bar0;

static void wait_ms(unsigned int ms)
{
    uint64_t end = time_now() + ms * 1000000ul;

    while (time_now() < end)
        hc_sched_op(SCHEDOP_yield, NULL);
}

static bool find_nic(void)
{
    for (devfn = 0; devfn < 256; devfn += 8)
        if (pci_read(devfn, 0) == 0x10d38086)
            return true;
    return false;
}

static void map_nic(void)
{
    struct physdev_pci_device_add add = {.seg = 0, .bus = 0, .devfn = devfn};
    long ret = hc_physdev_op(PHYSDEVOP_pci_device_add, &add);

    expect(ret == 0 || ret == -XEN_EEXIST);
    bar0 = pci_read(devfn, 0x10) & ~0xful;
    pci_write(devfn, 4, (pci_read(devfn, 4) & 0xffff) | 6); /* memory, bus master */
    nic = hole_alloc();
    need_eq(
        hc_update_va_mapping(UL(nic), bar0 | PTE_P | PTE_RW | PTE_PCD | PTE_A | PTE_D, UVMF_INVLPG),
        0);
    nic[IMC] = ~0u;
    (void)nic[ICR];
}

static long map_pirq(int type, int index, int *pirq, unsigned int entry, uint64_t table)
{
    struct physdev_map_pirq map = {.domid = DOMID_SELF,
                                   .type = type,
                                   .index = index,
                                   .pirq = *pirq,
                                   .bus = 0,
                                   .devfn = devfn,
                                   .entry_nr = entry,
                                   .table_base = table};
    long ret = hc_physdev_op(PHYSDEVOP_map_pirq, &map);

    *pirq = map.pirq;
    return ret;
}

static unsigned int bind_pirq(int pirq, unsigned int flags)
{
    struct evtchn_bind_pirq bind = {.pirq = pirq, .flags = flags};

    need_eq(hc_event_channel_op(EVTCHNOP_bind_pirq, &bind), 0);
    expect_eq(hc_event_channel_op(EVTCHNOP_bind_pirq, &bind), -XEN_EEXIST);
    return bind.port;
}

static void eoi(int pirq)
{
    struct physdev_eoi op = {.irq = pirq};

    expect_eq(hc_physdev_op(PHYSDEVOP_eoi, &op), 0);
}

static unsigned int needs_eoi(int pirq)
{
    struct physdev_irq_status_query q = {.irq = pirq};

    need_eq(hc_physdev_op(PHYSDEVOP_irq_status_query, &q), 0);
    return q.flags & XENIRQSTAT_needs_eoi;
}

/* All PCI pins of the q35's IO-APIC: 16 to 23. Which one is ours is told by who fires. */
static void check_pin(void)
{
    unsigned int ports[8], fired = 8, before;
    int pirq;

    for (int gsi = 16; gsi < 24; gsi++) {
        struct physdev_setup_gsi setup = {.gsi = gsi, .triggering = 1, .polarity = 1};

        pirq = gsi;
        expect_eq(map_pirq(MAP_PIRQ_TYPE_GSI, gsi, &pirq, 0, 0), 0);
        expect_eq(pirq, gsi);
        expect_eq(hc_physdev_op(PHYSDEVOP_setup_gsi, &setup), 0);
        ports[gsi - 16] = bind_pirq(gsi, BIND_PIRQ__WILL_SHARE);
        event_unmask(ports[gsi - 16]);
        expect(needs_eoi(gsi));
        eoi(gsi);
    }
    nic[IMS] = LSC;
    nic[ICS] = LSC;
    wait_ms(5);
    for (unsigned int i = 0; i < 8; i++)
        if (event_count[ports[i]])
            fired = i;
    if (fired == 8) {
        expect_failed("no pin interrupt arrived");
        return;
    }
    pirq = 16 + fired;
    /* Asserted and not acknowledged: the hypervisor may try again now and then, but does not storm.
     */
    expect(event_count[ports[fired]] <= 20);
    (void)nic[ICR]; /* reading takes the cause away */
    eoi(pirq);
    wait_ms(5);
    before = event_count[ports[fired]];
    wait_ms(5);
    expect_eq(event_count[ports[fired]], before);
    nic[ICS] = LSC;
    wait_ms(5);
    expect(event_count[ports[fired]] > before);
    (void)nic[ICR];
    eoi(pirq);
    wait_ms(5);

    /* Not acknowledged by its cause: comes again after the EOI. */
    before = event_count[ports[fired]];
    nic[ICS] = LSC;
    wait_ms(5);
    eoi(pirq);
    wait_ms(5);
    expect(event_count[ports[fired]] >= before + 2);
    (void)nic[ICR];
    eoi(pirq);
    nic[IMC] = ~0u;
    for (unsigned int i = 0; i < 8; i++)
        expect_eq(event_close(ports[i]), 0);
}

/* What Linux does after each event of a pirq. */
static void acknowledge(int pirq)
{
    nic[ICR] = nic[ICR]; /* with MSI-X, reading alone does not clear */
    if (needs_eoi(pirq))
        eoi(pirq);
}

static void fire_twice(unsigned int port, int pirq, uint32_t cause)
{
    unsigned int before = event_count[port];

    nic[IMS] = cause;
    for (unsigned int i = 1; i < 3; i++) {
        nic[ICS] = cause;
        wait_ms(5);
        expect_eq(event_count[port], before + i);
        acknowledge(pirq);
    }
    event_mask(port);
    nic[ICS] = cause;
    wait_ms(5);
    expect_eq(event_count[port], before + 2);
    expect(event_pending(port));
    event_unmask(port);
    expect_eq(event_count[port], before + 3);
    acknowledge(pirq);
    nic[IMC] = ~0u;
}

static void check_msi(void)
{
    unsigned int cap = pci_capability(devfn, 5), port;
    struct physdev_unmap_pirq unmap = {.domid = DOMID_SELF};
    int pirq = -1;

    need_eq(!cap, 0);
    expect_eq(map_pirq(MAP_PIRQ_TYPE_MSI_SEG, -1, &pirq, 0, 0), 0);
    expect(pirq > 0);
    port = bind_pirq(pirq, 0);
    event_unmask(port);
    pci_write16(devfn, cap + 2, pci_read(devfn, cap) >> 16 | 1); /* enable, as Linux does */
    fire_twice(port, pirq, LSC);
    expect_eq(event_close(port), 0);
    unmap.pirq = pirq;
    expect_eq(hc_physdev_op(PHYSDEVOP_unmap_pirq, &unmap), 0);
    expect(hc_physdev_op(PHYSDEVOP_unmap_pirq, &unmap) < 0);
    pci_write16(devfn, cap + 2, pci_read(devfn, cap) >> 16 & ~1);
}

static void check_msix(void)
{
    unsigned int cap = pci_capability(devfn, 0x11), bir, port;
    struct physdev_unmap_pirq unmap = {.domid = DOMID_SELF};
    volatile uint32_t *table = hole_alloc();
    uint64_t base;
    int pirq = -1;

    need_eq(!cap, 0);
    bir = pci_read(devfn, cap + 4) & 7;
    base = pci_read(devfn, 0x10 + 4 * bir) & ~0xful;
    expect_eq(map_pirq(MAP_PIRQ_TYPE_MSI_SEG, -1, &pirq, 0, base), 0);
    port = bind_pirq(pirq, 0);
    event_unmask(port);
    pci_write16(devfn, cap + 2, 0x8000); /* enable, no mask over all */
    nic[IVAR] = OTHER_IVAR;
    fire_twice(port, pirq, OTHER | LSC);

    /* The table can be looked at, but a store to it changes nothing. */
    base += pci_read(devfn, cap + 4) & ~7u;
    if (!hc_update_va_mapping(UL(table), (base & ~0xffful) | PTE_KERNEL | PTE_PCD, UVMF_INVLPG)) {
        volatile uint32_t *entry = table + (base & 0xfff) / 4;
        uint32_t before = entry[0];

        expect_eq(before >> 20, 0xfee);
        try_write(entry, 0);
        expect_eq(entry[0], before);
    }
    expect_eq(event_close(port), 0);
    unmap.pirq = pirq;
    expect_eq(hc_physdev_op(PHYSDEVOP_unmap_pirq, &unmap), 0);
}

static void check_refusals(void)
{
    int pirq = -1;

    expect_eq(map_pirq(77, 0, &pirq, 0, 0), -XEN_EINVAL);
    pirq = -1;
    expect(map_pirq(MAP_PIRQ_TYPE_GSI, 100000, &pirq, 0, 0) < 0);
    devfn = 0xf8 + 7;
    pirq = -1;
    expect(map_pirq(MAP_PIRQ_TYPE_MSI_SEG, -1, &pirq, 0, 0) < 0);
    devfn = 0xa8;
    pirq = -1;
    expect(map_pirq(MAP_PIRQ_TYPE_MSI_SEG, -1, &pirq, 0, 0) < 0);
}

void test_main(void)
{
    pci_init();
    if (!find_nic())
        test_skip("no e1000e on bus 0");
    hc_vcpu_op(VCPUOP_stop_periodic_timer, 0, NULL);
    map_nic();
    events_enable();
    check_pin();
    check_msi();
    check_msix();
    check_refusals();
    test_pass();
}
