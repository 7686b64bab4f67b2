/* SPDX-License-Identifier: MIT */
/* The devices of the world: an IO-APIC, a PCI device with MSI and MSI-X, the clock's CMOS, what the
 * firmware left in memory. They answer as hardware does and check nothing. */
#include <string.h>

#include "boot/boot_info.h"
#include "hypercall/control.h"
#include "platform/acpi.h"
#include "platform/ioapic.h"
#include "platform/irq.h"
#include "platform/lapic.h"
#include "platform/pci.h"
#include "world.h"

#define IOAPIC     0xfec00000u
#define LAPIC      0xfee00000u
#define MSIX_TABLE WORLD_MSIX_TABLE
#define PINS       24u
#define VECTORS    8u
#define EFI_TABLE  0x9000u /* below what the allocator has */

/* ---- the IO-APIC ---- */

static uint32_t ioapic_select, ioapic_reg[0x10 + 2 * PINS];

static uint64_t ioapic_read(void *data, uint64_t at, unsigned size)
{
    if (at != 0x10)
        return ioapic_select;
    return ioapic_select == 1 ? 0x20 | (PINS - 1) << 16
                              : ioapic_reg[ioapic_select % ARRAY_SIZE(ioapic_reg)];
}

static void ioapic_write(void *data, uint64_t at, unsigned size, uint64_t val)
{
    if (at == 0)
        ioapic_select = (uint32_t)val;
    else if (at == 0x10)
        ioapic_reg[ioapic_select % ARRAY_SIZE(ioapic_reg)] = (uint32_t)val;
}

/* ---- PCI ---- */

static uint8_t config[WORLD_PCI_DEVICES][256];
static uint32_t config_address, msix_table[4 * VECTORS];

/* The register that the ports reach now; NULL: nothing answers. */
static uint8_t *config_at(uint64_t port)
{
    unsigned devfn = config_address >> 8 & 0xffff;

    if (!(config_address >> 31) || devfn % 8 || devfn / 8 - 1 >= WORLD_PCI_DEVICES)
        return NULL;
    return config[devfn / 8 - 1] + (config_address & 0xfc) + (port & 3);
}

static uint64_t config_read(void *data, uint64_t port, unsigned size)
{
    const uint8_t *at = port >= 0xcfc ? config_at(port) : NULL;
    uint64_t v = ~0ull;

    if (at && (port & 3) + size <= 4)
        memcpy(&v, at, size);
    return v;
}

static void config_write(void *data, uint64_t port, unsigned size, uint64_t val)
{
    uint8_t *at = port >= 0xcfc ? config_at(port) : NULL;
    unsigned offset = config_address & 0xfc;

    if (port == 0xcf8 && size == 4)
        config_address = (uint32_t)val;
    else if (at && (port & 3) + size <= 4 && (offset == 4 || offset >= 0x50)) /* else fixed */
        memcpy(at, &val, size);
}

static uint64_t msix_read(void *data, uint64_t at, unsigned size)
{
    return at / 4 < ARRAY_SIZE(msix_table) ? msix_table[at / 4] : 0;
}

static void msix_write(void *data, uint64_t at, unsigned size, uint64_t val)
{
    if (at / 4 < ARRAY_SIZE(msix_table))
        msix_table[at / 4] = (uint32_t)val;
}

static void config_put(uint8_t *c, unsigned at, uint32_t val)
{
    memcpy(c + at, &val, sizeof(val));
}

/* Device 1: MSI and MSI-X, 2: MSI alone, with mask bits, 3: neither. */
static void pci_devices(void)
{
    memset(config, 0, sizeof(config));
    for (unsigned i = 0; i < WORLD_PCI_DEVICES; i++) {
        config_put(config[i], 0x00, 0x12348086 + (i << 16));
        config_put(config[i], 0x04, i < 2 ? 0x00100000 : 0);
        config_put(config[i], 0x08, 0x02000001);
        config_put(config[i], 0x34, 0x50);
    }
    config_put(config[0], 0x50, 0x01807005); /* MSI of 64 bits, then 0x70 */
    config_put(config[0], 0x70, 0x00070011); /* MSI-X of eight entries */
    config_put(config[0], 0x74, 2);          /* its table: BAR 2 */
    config_put(config[0], 0x78, 0x802);
    config_put(config[0], 0x18, MSIX_TABLE | 4);
    config_put(config[1], 0x50, 0x01000005); /* MSI of 32 bits, with mask bits */
    host_mmio_add(MSIX_TABLE, 4096, (struct host_device){msix_read, msix_write, NULL});
    host_port_add(0xcf8, 0xcff, (struct host_device){config_read, config_write, NULL});
}

/* ---- what the firmware says ---- */

static void firmware(void)
{
    uint8_t *efi = host_ram(EFI_TABLE);
    const uint64_t signature = 0x5453595320494249ull, vendor = EFI_TABLE + 256;
    const uint16_t name[] = {'w', 'o', 'r', 'l', 'd', 0};

    memcpy(efi, &signature, sizeof(signature));
    memcpy(efi + 24, &vendor, sizeof(vendor));
    memcpy(efi + 88, &vendor, sizeof(vendor)); /* the runtime's table: any memory */
    memcpy(efi + 256, name, sizeof(name));
    boot_info.nr_memory = 3;
    boot_info.memory[0] = (struct boot_range){0, 0x9f000, BOOT_RAM};
    boot_info.memory[1] = (struct boot_range){0xf0000, 0x100000, BOOT_RESERVED};
    boot_info.memory[2] = (struct boot_range){0x100000, host_ram_bytes, BOOT_RAM};
    acpi_info.nr_cpus = WORLD_CPUS;
    for (unsigned i = 0; i < WORLD_CPUS; i++) {
        acpi_info.cpu[i].enabled = true;
        acpi_info.cpu[i].apic_id = i;
    }
}

void world_efi(unsigned how)
{
    static const uint64_t at[] = {0, EFI_TABLE, EFI_TABLE + 64};

    boot_info.efi_system_table = at[how % ARRAY_SIZE(at)];
}

bool world_devices(void)
{
    static const struct irq_chip none;
    struct irq *irq;

    host_mmio_add(LAPIC, 4096, (struct host_device){0});
    host_mmio_add(IOAPIC, 4096, (struct host_device){ioapic_read, ioapic_write, NULL});
    pci_devices();
    firmware();
    if (lapic_init(LAPIC) || ioapic_add(1, IOAPIC, 0) || irq_init())
        return false;
    /* Their records are made by the page and stay. */
    irq = irq_msi_get(&none, NULL);
    if (irq)
        irq_msi_put(irq);
    return irq != NULL;
}

/* By a pin, or any vector that devices can have. */
void world_interrupt(void)
{
    unsigned gsi = pvg_random(PINS);

    if (chance(3) && irq_of_gsi(gsi)->handler)
        irq_dispatch(irq_of_gsi(gsi)->vector);
    else
        irq_dispatch(0x20 + pvg_random(0xc0));
}

/* ---- what outlives domains ---- */

static void pools_reset(void)
{
    struct cpu_mask free;
    struct sched_pool *p;
    unsigned cpu;

    while ((p = sched_pool_find(1, false)) != NULL) {
        bitmap_for_each (cpu, p->cpus.bits, MAX_CPUS)
            if (sched_pool_remove_cpu(p, cpu))
                sim_flaw("CPU %u stays in pool %u, which is empty", cpu, p->id);
        if (sched_pool_destroy(p)) {
            sim_flaw("pool %u, which is empty, stays", p->id);
            break;
        }
    }
    sched_free_cpus(&free);
    bitmap_for_each (cpu, free.bits, MAX_CPUS)
        if (sched_pool_add_cpu(sched_pool0, cpu))
            sim_flaw("CPU %u is free and cannot be taken", cpu);
}

/* No domain is left: what domain 0 told the hypervisor of the machine goes. */
void world_devices_forget(void)
{
    pools_reset();
    for (unsigned devfn = 0; devfn < 256; devfn++) {
        struct pci_address a = {0, 0, (uint8_t)devfn};
        struct pci_device *d = pci_device_find(a);

        if (d && !list_empty(&d->entries))
            sim_flaw("device %#x has interrupts when all domains are gone", devfn);
        if (d && pci_device_remove(a))
            sim_flaw("device %#x stays", devfn);
    }
    if (domain_iomem_protected(mfn(MSIX_TABLE >> PAGE_SHIFT)))
        sim_flaw("the table of vectors is protected, and nobody uses it");
}
