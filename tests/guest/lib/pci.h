/* SPDX-License-Identifier: MIT */
/* PCI configuration space by the ports 0xcf8 and 0xcfc, and the ports themselves. Needs virtual I/O
 * privilege level 1 (pci_init). */
#ifndef GUEST_LIB_PCI_H
#define GUEST_LIB_PCI_H

#include "lib/guest.h"

static inline void outl(uint16_t port, uint32_t v)
{
    asm volatile("outl %%eax, %%dx" ::"a"(v), "d"(port));
}

static inline uint32_t inl(uint16_t port)
{
    uint32_t v;

    asm volatile("inl %%dx, %%eax" : "=a"(v) : "d"(port));
    return v;
}

static inline void pci_init(void)
{
    struct physdev_set_iopl iopl = {.iopl = 1};

    need_eq(hc_physdev_op(PHYSDEVOP_set_iopl, &iopl), 0);
}

/* A function of bus 0; offset in bytes, a multiple of 4. */
static inline uint32_t pci_read(unsigned int devfn, unsigned int offset)
{
    outl(0xcf8, 0x80000000u | devfn << 8 | offset);
    return inl(0xcfc);
}

static inline void pci_write(unsigned int devfn, unsigned int offset, uint32_t v)
{
    outl(0xcf8, 0x80000000u | devfn << 8 | offset);
    outl(0xcfc, v);
}

/* 16 bits at an even offset: control words of MSI and MSI-X are only written so. */
static inline void pci_write16(unsigned int devfn, unsigned int offset, uint16_t v)
{
    outl(0xcf8, 0x80000000u | devfn << 8 | (offset & ~3u));
    asm volatile("outw %%ax, %%dx" ::"a"(v), "d"((uint16_t)(0xcfc + (offset & 2))));
}

/* Offset of a capability, 0 when the function does not have it. */
static inline unsigned int pci_capability(unsigned int devfn, uint8_t id)
{
    unsigned int at = pci_read(devfn, 0x34) & 0xfc;

    for (int n = 0; at && n < 48; n++, at = pci_read(devfn, at) >> 8 & 0xfc)
        if ((pci_read(devfn, at) & 0xff) == id)
            return at;
    return 0;
}

#endif
