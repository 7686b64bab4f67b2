/* SPDX-License-Identifier: MIT */
/* See vioapic.h. An edge that meets a masked pin is lost. A level is sent once; Remote IRR holds it
 * back until the local APICs say the end of it. */
#include "devices/vioapic.h"

#include "base/refuse.h"
#include "hw/nospec.h"
#include "lib/errno.h"
#include "lib/string.h"

#define PINS VIOAPIC_NUM_PINS

#define IOREGSEL 0x00u
#define IOWIN    0x10u

#define REG_ID        0x00u
#define REG_VERSION   0x01u
#define REG_ARB       0x02u
#define REG_TABLE     0x10u
#define VERSION       (0x11u | (PINS - 1) << 16)
#define ID_SHIFT      24
#define ID_MASK       0xfu
#define LOW_WRITABLE  0x0001afffu /* not delivery status (12) and Remote IRR (14) */
#define HIGH_WRITABLE 0xff000000u
#define REMOTE_IRR    0x00004000u
#define MODE          0x00000700u
#define MODE_LOWEST   0x00000100u

static uint64_t *entry(struct vioapic *a, unsigned pin)
{
    return &a->hw.redirtbl[index_nospec(pin, PINS)].bits;
}

/* Only fixed and lowest-priority interrupts have a level. */
static bool is_level(uint64_t e)
{
    return (e & VIOAPIC_LEVEL) && (e & MODE) <= MODE_LOWEST;
}

static void send(struct vioapic *a, unsigned pin)
{
    uint64_t *e = entry(a, pin);

    if (*e & (VIOAPIC_MASKED | REMOTE_IRR))
        return;
    if (a->message(a->owner, (uint32_t)*e & VIOAPIC_MESSAGE, (uint8_t)(*e >> 56)) && is_level(*e))
        *e |= REMOTE_IRR;
}

static void send_level(struct vioapic *a, unsigned pin)
{
    if (is_level(*entry(a, pin)) && (a->input >> pin & 1))
        send(a, pin);
}

void vioapic_input(struct vioapic *a, unsigned pin, bool high)
{
    bool was = a->input >> pin & 1;

    a->input = (a->input & ~BIT(pin)) | (uint64_t)high << pin;
    if (high && !was)
        send(a, pin);
}

void vioapic_eoi(struct vioapic *a, uint8_t vector)
{
    for (unsigned pin = 0; pin < PINS; pin++) {
        uint64_t *e = entry(a, pin);

        if (!(*e & REMOTE_IRR) || (uint8_t)*e != vector)
            continue;
        *e &= ~(uint64_t)REMOTE_IRR;
        send_level(a, pin);
    }
}

static uint32_t read_register(struct vioapic *a)
{
    uint32_t reg = a->hw.ioregsel;

    switch (reg) {
    case REG_ID:
    case REG_ARB:
        return a->hw.id << ID_SHIFT;
    case REG_VERSION:
        return VERSION;
    default:
        if (reg < REG_TABLE || reg >= REG_TABLE + 2 * PINS)
            return 0;
        return (uint32_t)(*entry(a, (reg - REG_TABLE) / 2) >> (reg & 1) * 32);
    }
}

static void write_register(struct vioapic *a, uint32_t val)
{
    uint32_t reg = a->hw.ioregsel;
    unsigned pin = (reg - REG_TABLE) / 2;
    uint64_t *e;

    if (reg == REG_ID)
        a->hw.id = val >> ID_SHIFT & ID_MASK;
    if (reg < REG_TABLE || pin >= PINS)
        return;
    e = entry(a, pin);
    if (reg & 1) {
        *e = (uint32_t)*e | (uint64_t)(val & HIGH_WRITABLE) << 32;
    } else {
        *e = (*e & ~(uint64_t)LOW_WRITABLE) | (val & LOW_WRITABLE);
        if (!is_level(*e))
            *e &= ~(uint64_t)REMOTE_IRR;
    }
    send_level(a, pin);
}

uint32_t vioapic_read(struct vioapic *a, uint32_t offset)
{
    switch (offset) {
    case IOREGSEL:
        return a->hw.ioregsel;
    case IOWIN:
        return read_register(a);
    default:
        return 0;
    }
}

void vioapic_write(struct vioapic *a, uint32_t offset, uint32_t val)
{
    switch (offset) {
    case IOREGSEL:
        a->hw.ioregsel = val & 0xff;
        break;
    case IOWIN:
        write_register(a, val);
        break;
    default:
        break;
    }
}

/* ---- life ---- */

void vioapic_reset(struct vioapic *a)
{
    memset(&a->hw, 0, sizeof(a->hw));
    a->hw.base_address = VIOAPIC_BASE;
    for (unsigned pin = 0; pin < PINS; pin++)
        *entry(a, pin) = VIOAPIC_MASKED;
    a->input = 0;
}

int vioapic_check(const struct hvm_hw_vioapic *r)
{
    if (r->base_address != VIOAPIC_BASE || r->ioregsel > 0xff || r->id > ID_MASK)
        return refuse(-EINVAL, "IO-APIC at %#lx, register %#x, id %u", r->base_address, r->ioregsel,
                      r->id);
    return 0;
}

void vioapic_load(struct vioapic *a, const struct hvm_hw_vioapic *r)
{
    a->hw = *r;
    for (unsigned pin = 0; pin < PINS; pin++) {
        uint64_t *e = entry(a, pin);

        *e &= (uint64_t)HIGH_WRITABLE << 32 | LOW_WRITABLE | REMOTE_IRR;
        if (!is_level(*e))
            *e &= ~(uint64_t)REMOTE_IRR;
    }
}

void vioapic_resync(struct vioapic *a, uint64_t inputs)
{
    a->input = inputs & (BIT(PINS) - 1);
    for (unsigned pin = 0; pin < PINS; pin++)
        send_level(a, pin);
}
