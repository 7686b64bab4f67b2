/* SPDX-License-Identifier: MIT */
/* PCI: configuration space by ports CF8/CFC and by memory (MMCFG), and a record of each device that
 * is known. PCI Local Bus specification 3.0, 3.2.2.3 and 6; PCI Express base specification, 7.2. */
#pragma once

#include "lib/list.h"
#include "lib/types.h"

struct pci_address {
    uint16_t segment;
    uint8_t bus, devfn;
};

struct msi_entry; /* msi.c */

/* Keys: [I] set once; [PCI] by the lock of the list; [caller]: callers of msi.h serialise (under
 * the lock of physical interrupts). */
struct pci_device {
    struct list link;        /* [PCI] */
    struct pci_address addr; /* [I] */
    bool extfn, virtfn;      /* [I] as PHYSDEVOP_pci_device_add said */
    struct pci_address physfn;
    uint8_t class[3];
    uint16_t msi_cap, msix_cap;   /* [I] offsets in configuration space, 0: none */
    uint16_t msix_count;          /* [I] entries of its table */
    paddr_t msix_table, msix_pba; /* [caller] machine addresses; 0 until set up */
    struct list entries;          /* [caller] struct msi_entry in use */
    uint16_t owner;               /* [caller] domain id */
};

#define PCI_VENDOR               0x00
#define PCI_COMMAND              0x04
#define PCI_COMMAND_IO           0x0001
#define PCI_COMMAND_MEMORY       0x0002
#define PCI_COMMAND_INTX_DISABLE 0x0400
#define PCI_STATUS               0x06
#define PCI_STATUS_CAPS          0x0010
#define PCI_CLASS                0x08
#define PCI_HEADER_TYPE          0x0e
#define PCI_BAR0                 0x10
#define PCI_CAP_POINTER          0x34
#define PCI_CAP_MSI              0x05
#define PCI_CAP_MSIX             0x11

/* Memory-mapped configuration space of [first, last]; known from MCFG, or told by domain 0.
 * -ENOMEM; -EINVAL. Told again: 0. */
int must_check pci_mmcfg_add(paddr_t base, uint16_t segment, uint8_t first, uint8_t last);
/* Is the page part of one? Then the guest's writes have to be looked at. */
bool pci_mmcfg_contains(paddr_t address, struct pci_address *addr, unsigned *offset);

/* Reads 1, 2 or 4 aligned bytes; all ones where nothing answers or the offset is out of reach. */
uint32_t pci_read(struct pci_address a, unsigned offset, unsigned size);
void pci_write(struct pci_address a, unsigned offset, unsigned size, uint32_t val);

/* Domain 0's access to CFC-CFF with this value of CF8. */
uint32_t pci_cf8_read(uint32_t cf8, unsigned at, unsigned size);
void pci_cf8_write(uint32_t cf8, unsigned at, unsigned size, uint32_t val);
/* The address that a CF8 value names; false if it enables nothing. */
bool pci_cf8_decode(uint32_t cf8, struct pci_address *addr, unsigned *offset);

/* The offset of a capability, 0 if there is none (or the chain is a loop). */
unsigned pci_find_capability(struct pci_address a, uint8_t id);

/* Records a device that exists; once known: 0. -ENODEV: nothing answers; -ENOMEM. */
int must_check pci_device_add(struct pci_address a, bool extfn, bool virtfn,
                              struct pci_address physfn);
/* -ENODEV: not known. Its MSIs are torn down. */
int must_check pci_device_remove(struct pci_address a);
/* NULL if not known. Devices are removed by domain 0 only, which must not use them meanwhile. */
struct pci_device *pci_device_find(struct pci_address a);
/* Records all functions found by looking on every bus of segment 0. */
void pci_scan(void);
