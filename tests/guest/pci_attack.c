/* SPDX-License-Identifier: MIT */
/* Domain 0 against the messages of a device: the table of MSI-X, the capability, the window of the
 * interrupt messages, the configuration space by memory.
 *
 * Cause: whoever writes a message chooses an interrupt vector of any processor.
 * Steps: find QEMU's e1000e; map its MSI-X table writable, by each interface, before and after a
 * vector is in use; write the message through what was mapped; write address and data of its MSI
 * capability; map the window of messages at 0xfee00000; map the hypervisor's part of other pages.
 * Verdict: while a vector is in use its table is read-only and its message what the hypervisor
 * wrote; the window is never mapped. Skipped on a machine without that card. */
#include "lib/pci.h"

#define E1000E   0x10d38086
#define CAP_MSIX 0x11
#define MSIX_ON  0x80000000u
#define BAR(n)   (0x10 + 4 * (n))

static unsigned int devfn, capability;
static uint64_t table; /* machine address */
static volatile uint32_t *hole;

static bool find(void)
{
    uint32_t where;
    unsigned int bar;

    for (devfn = 0; devfn < 256; devfn++)
        if (pci_read(devfn, 0) == E1000E)
            break;
    if (devfn == 256)
        return false;
    capability = pci_capability(devfn, CAP_MSIX);
    where = pci_read(devfn, capability + 4);
    bar = where & 7;
    table = (pci_read(devfn, BAR(bar)) & ~15ul) + (where & ~7u);
    if ((pci_read(devfn, BAR(bar)) & 6) == 4)
        table |= (uint64_t)pci_read(devfn, BAR(bar + 1)) << 32;
    return capability && table;
}

static long map(uint64_t flags)
{
    return hc_update_va_mapping(UL(hole), (table & PTE_ADDR) | flags, UVMF_INVLPG);
}

static bool is_writable(void)
{
    pte_t *pte = pte_lookup((void *)hole, 1);

    return *pte & PTE_RW;
}

static void check_in_use(void)
{
    struct physdev_map_pirq m = {.domid = DOMID_SELF,
                                 .type = MAP_PIRQ_TYPE_MSI_SEG,
                                 .index = -1,
                                 .pirq = -1,
                                 .devfn = devfn,
                                 .entry_nr = 0};
    struct physdev_unmap_pirq unmap = {.domid = DOMID_SELF};
    struct evtchn_bind_pirq bind = {0};
    volatile uint32_t *entry = hole + (table % PAGE_SIZE) / 4;
    uint32_t address, data;

    m.table_base = table & PTE_ADDR;
    need_eq(hc_physdev_op(PHYSDEVOP_map_pirq, &m), 0);
    bind.pirq = unmap.pirq = m.pirq;
    need_eq(hc_event_channel_op(EVTCHNOP_bind_pirq, &bind), 0);
    /* Writable is refused, or is not writable. */
    if (map(PTE_KERNEL | PTE_PCD) == 0)
        expect(!is_writable());
    need_eq(map(PTE_RO | PTE_PCD), 0);
    address = entry[0];
    data = entry[2];
    expect_eq(address >> 20, 0xfee);
    if (mmu_set(pte_lookup((void *)hole, 1), (table & PTE_ADDR) | PTE_KERNEL | PTE_PCD) == 0)
        expect(!is_writable());
    /* A store either faults or goes nowhere. */
    try_write(&entry[0], 0xfee00000fee00000);
    try_write(&entry[2], 0x41);
    expect_eq(entry[0], address);
    expect_eq(entry[2], data);
    pci_write(devfn, capability + 4, 0); /* where the table is */
    expect_eq(pci_read(devfn, capability + 4) & ~7u, table & 0xfff);
    expect_eq(event_close(bind.port), 0);
    expect_eq(hc_physdev_op(PHYSDEVOP_unmap_pirq, &unmap), 0);
}

static void check_window(void)
{
    for (unsigned long frame = 0xfee00; frame <= 0xfeeff; frame += 0x33) {
        long ret =
            hc_update_va_mapping(UL(hole), mfn_pte(frame, PTE_KERNEL | PTE_PCD), UVMF_INVLPG);

        if (ret >= 0)
            expect_failed("frame %#lx of the messages: %ld", frame, ret);
    }
    expect_eq(page_unmap((void *)hole), 0);
}

void test_main(void)
{
    pci_init();
    if (!find())
        test_skip("no e1000e");
    hole = hole_alloc();
    {
        struct physdev_pci_device_add add = {.bus = 0, .devfn = devfn};

        hc_physdev_op(PHYSDEVOP_pci_device_add, &add);
    }
    pci_write16(devfn, 4, pci_read(devfn, 4) | 6); /* memory and bus master */
    check_in_use();
    check_window();
    test_pass();
}
