/* SPDX-License-Identifier: MIT */
/* Ports. Every access of a PV guest faults (there is no I/O bitmap in the TSS) and comes here:
 * first whether the guest's own rules let the code that runs do it (virtual IOPL and I/O bitmap),
 * then byte by byte whether the domain has the port (d->ioports). What it has not reads as all
 * ones, and writes to it vanish. Some ports of domain 0 are shared with the hypervisor and go
 * through it: the PIT and the speaker gate, CMOS, and PCI configuration. ABI.md 3.4. */
#include "domain/guest_copy.h"
#include "platform/pci.h"
#include "platform/rtc.h"
#include "pv/internal.h"

#define PORT_CMOS_INDEX  0x70u
#define PORT_CMOS_DATA   0x71u
#define PORT_PIT_CH2     0x42u
#define PORT_PIT_CONTROL 0x43u
#define PORT_SPEAKER     0x61u
#define PORT_PCI_ADDRESS 0xcf8u
#define PORT_PCI_DATA    0xcfcu

/* ---- the guest's own rules ---- */

bool pv_iopl_ok(const struct vcpu *v)
{
    unsigned need = 3;

    if (v->pv->in_kernel) /* a kernel counts as ring 1, or as ring 0 if it asked for that */
        need = v->domain->vm_assist & BIT(VMASST_TYPE_architectural_iopl) ? 0 : 1;
    return v->pv->iopl >= need;
}

bool pv_io_allowed(struct vcpu *v, uint16_t port, unsigned bytes)
{
    struct pv_vcpu *pv = v->pv;
    uint8_t map[2] = {0xff, 0xff};
    uint32_t mask = (1u << bytes) - 1;
    bool toggled = false;

    if (pv_iopl_ok(v))
        return true;
    if (pv->iobmp == 0 || port + bytes > pv->iobmp_ports)
        return false;
    /* The bitmap is memory of the kernel. */
    if (!pv->in_kernel) {
        pv_toggle_mode(v);
        toggled = true;
    }
    if (guest_read(map, pv->iobmp + port / 8, 1 + (port % 8 + bytes > 8)))
        map[0] = map[1] = 0xff;
    if (toggled)
        pv_toggle_mode(v);
    return ((map[0] | map[1] << 8) >> (port % 8) & mask) == 0;
}

/* ---- the domain's ports ---- */

static bool domain_has(const struct domain *d, uint16_t port, unsigned bytes)
{
    return (uint32_t)port + bytes <= 0x10000 &&
           range_set_contains(&d->ioports, port, port + bytes - 1u);
}

static uint32_t ones(unsigned bytes)
{
    return bytes == 4 ? ~0u : (1u << (8 * bytes)) - 1;
}

static bool is_pit(uint16_t port)
{
    return port == PORT_PIT_CH2 || port == PORT_PIT_CONTROL || port == PORT_SPEAKER;
}

static bool is_cmos(uint16_t port)
{
    return port == PORT_CMOS_INDEX || port == PORT_CMOS_DATA;
}

static bool is_pci_data(uint16_t port)
{
    return (port & ~3u) == PORT_PCI_DATA;
}

/* Ports that go through the hypervisor, whatever d->ioports says; one byte, or PCI data. */
static bool read_shared(struct domain *d, uint16_t port, unsigned bytes, uint32_t *val)
{
    if (!d->hardware)
        return false;
    if (bytes == 1 && is_pit(port) && d->pv->pit) {
        lock(&d->pv->chip);
        *val = pv_pit_read(d->pv->pit, port);
        unlock(&d->pv->chip);
        return true;
    }
    if (bytes == 1 && is_cmos(port)) {
        uint8_t reg = read_once(d->pv->cmos_index);

        *val = port == PORT_CMOS_DATA ? cmos_read(reg & 0x7f) : 0xff;
        return true;
    }
    if (port == PORT_PCI_ADDRESS && bytes == 4) {
        *val = read_once(d->pv->cf8);
        return true;
    }
    if (is_pci_data(port) && (port & 3) + bytes <= 4) {
        *val = pci_cf8_read(read_once(d->pv->cf8), port & 3, bytes);
        return true;
    }
    return false;
}

static bool write_shared(struct domain *d, uint16_t port, unsigned bytes, uint32_t val)
{
    if (!d->hardware)
        return false;
    if (bytes == 1 && is_pit(port) && d->pv->pit) {
        lock(&d->pv->chip);
        pv_pit_write(d->pv->pit, port, val);
        unlock(&d->pv->chip);
        return true;
    }
    if (bytes == 1 && port == PORT_CMOS_INDEX) {
        write_once(d->pv->cmos_index, val & 0x7f);
        return true;
    }
    if (bytes == 1 && port == PORT_CMOS_DATA) {
        cmos_write(read_once(d->pv->cmos_index), val);
        return true;
    }
    if (port == PORT_PCI_ADDRESS && bytes == 4) {
        write_once(d->pv->cf8, val);
        return true;
    }
    if (is_pci_data(port) && (port & 3) + bytes <= 4) {
        pci_cf8_write(read_once(d->pv->cf8), port & 3, bytes, val);
        return true;
    }
    return false;
}

static uint32_t read_hardware(uint16_t port, unsigned bytes)
{
    return bytes == 1 ? in8(port) : bytes == 2 ? in16(port) : in32(port);
}

static void write_hardware(uint16_t port, unsigned bytes, uint32_t val)
{
    if (bytes == 1)
        out8(port, val);
    else if (bytes == 2)
        out16(port, val);
    else
        out32(port, val);
}

/* Does the access touch a port that is shared, without being an access to it alone? */
static bool touches_shared(const struct domain *d, uint16_t port, unsigned bytes)
{
    for (unsigned i = 0; d->hardware && i < bytes; i++)
        if (is_pit(port + i) || is_cmos(port + i) || is_pci_data(port + i))
            return true;
    return false;
}

uint32_t pv_io_read(struct vcpu *v, uint16_t port, unsigned bytes)
{
    struct domain *d = v->domain;
    uint32_t val;

    pv_debug_port_access(v, port, bytes);
    if (read_shared(d, port, bytes, &val))
        return val;
    if (domain_has(d, port, bytes) && !touches_shared(d, port, bytes))
        return read_hardware(port, bytes);
    if (bytes == 1)
        return ones(1);
    bytes = bytes == 4 ? 2 : 1;
    val = port + bytes > UINT16_MAX ? ones(bytes) : pv_io_read(v, port + bytes, bytes);
    return pv_io_read(v, port, bytes) | val << (8 * bytes);
}

void pv_io_write(struct vcpu *v, uint16_t port, unsigned bytes, uint32_t val)
{
    struct domain *d = v->domain;

    pv_debug_port_access(v, port, bytes);
    if (write_shared(d, port, bytes, val))
        return;
    if (domain_has(d, port, bytes) && !touches_shared(d, port, bytes)) {
        write_hardware(port, bytes, val);
        return;
    }
    if (bytes == 1)
        return;
    bytes /= 2;
    pv_io_write(v, port, bytes, val);
    if (port + bytes <= UINT16_MAX) /* behind the last port is nothing, not the first */
        pv_io_write(v, port + bytes, bytes, val >> (8 * bytes));
}
