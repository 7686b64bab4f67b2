/* SPDX-License-Identifier: MIT */
/* See vpm.h. The timer has 32 bits; its status bit is set whenever the highest of them changes. */
#include "devices/vpm.h"

#include <xen/hvm/ioreq.h>
#include "base/refuse.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "time/clock.h"

#define NS_PER_SEC 1000000000ull
#define TOP_BIT    31

/* Offsets from PM1A_EVT_BLK. */
#define REG_STATUS  0u
#define REG_ENABLE  2u
#define REG_CONTROL 4u
#define REG_TIMER   8u
#define BYTES       12u

#define TIMER        0x0001u
#define POWER_BUTTON 0x0100u
#define SLEEP_BUTTON 0x0200u
#define STATUS_MASK  0x8731u /* timer, bus master, global lock, buttons, RTC, wake */
#define ENABLE_MASK  0x0721u

static uint64_t count(const struct vpm *p)
{
    return (uint64_t)((unsigned __int128)time_now() * VPM_HZ / NS_PER_SEC) + p->offset;
}

static void arm(struct vpm *p)
{
    uint64_t at = ((p->turns + 1) << TOP_BIT) - p->offset;

    if ((p->enable & TIMER) && !(p->status & TIMER))
        timer_set(&p->overflow, (uint64_t)((unsigned __int128)at * NS_PER_SEC / VPM_HZ) + 1);
    else
        timer_stop(&p->overflow);
}

/* What has happened by now, and what follows for the SCI. */
static void settle(struct vpm *p)
{
    uint64_t turns = count(p) >> TOP_BIT;

    if (turns != p->turns)
        p->status |= TIMER;
    p->turns = turns;
    virq_set(p->irqs, VIRQ_CHIP, VIRQ_SCI, p->status & p->enable);
    arm(p);
}

static void overflowed(void *data)
{
    struct vpm *p = data;

    lock(&p->lock);
    settle(p);
    unlock(&p->lock);
}

static bool read_ports(void *data, uint32_t offset, unsigned bytes, uint64_t *val)
{
    struct vpm *p = data;

    if (offset >= REG_CONTROL && offset < REG_TIMER)
        return false;
    lock(&p->lock);
    settle(p);
    if (offset < REG_CONTROL)
        *val = (p->status | (uint64_t)p->enable << 16) >> offset * 8;
    else
        *val = (uint32_t)count(p) >> offset % 4 * 8;
    unlock(&p->lock);
    return true;
}

static bool write_ports(void *data, uint32_t offset, unsigned bytes, uint64_t val)
{
    struct vpm *p = data;
    uint64_t mask;

    if (offset >= REG_CONTROL)
        return offset >= REG_TIMER; /* the timer is read-only */
    mask = ((1ull << bytes * 8) - 1) << offset * 8;
    val = val << offset * 8 & mask;
    lock(&p->lock);
    settle(p);
    p->status &= (uint16_t)~val;
    mask = mask >> REG_ENABLE * 8 & 0xffff;
    p->enable = (uint16_t)((p->enable & ~mask) | (val >> REG_ENABLE * 8 & mask & ENABLE_MASK));
    settle(p);
    unlock(&p->lock);
    return true;
}

void vpm_attach(struct vpm *p, struct vbus *ports)
{
    static const struct vbus_ops ops = {read_ports, write_ports, 4};

    p->range = vbus_add(ports, ACPI_PM1A_EVT_BLK_ADDRESS_V0, BYTES, &ops, p);
}

void vpm_locate(struct vpm *p, unsigned version)
{
    vbus_move(p->range, version ? ACPI_PM1A_EVT_BLK_ADDRESS_V1 : ACPI_PM1A_EVT_BLK_ADDRESS_V0);
}

static void press(struct vpm *p, uint16_t button)
{
    lock(&p->lock);
    p->status |= button;
    settle(p);
    unlock(&p->lock);
}

void vpm_press_power(struct vpm *p)
{
    press(p, POWER_BUTTON);
}

void vpm_press_sleep(struct vpm *p)
{
    press(p, SLEEP_BUTTON);
}

/* ---- life ---- */

void vpm_init(struct vpm *p, struct virqs *irqs)
{
    memset(p, 0, sizeof(*p));
    lock_init(&p->lock, RANK_VCHIP, "PM timer");
    p->irqs = irqs;
    timer_init(&p->overflow, overflowed, p);
    p->turns = count(p) >> TOP_BIT;
}

void vpm_stop(struct vpm *p)
{
    timer_kill(&p->overflow);
}

void vpm_save(struct vpm *p, struct hvm_hw_pmtimer *r)
{
    lock(&p->lock);
    settle(p);
    *r = (struct hvm_hw_pmtimer){(uint32_t)count(p), p->status, p->enable};
    unlock(&p->lock);
}

int vpm_check(const struct hvm_hw_pmtimer *r)
{
    if ((r->pm1a_sts & ~STATUS_MASK) || (r->pm1a_en & ~ENABLE_MASK))
        return refuse(-EINVAL, "PM1a status %#x, enable %#x", r->pm1a_sts, r->pm1a_en);
    return 0;
}

void vpm_load(struct vpm *p, const struct hvm_hw_pmtimer *r)
{
    lock(&p->lock);
    p->offset += r->tmr_val - (uint32_t)count(p);
    p->turns = count(p) >> TOP_BIT;
    p->status = r->pm1a_sts;
    p->enable = r->pm1a_en;
    settle(p);
    unlock(&p->lock);
}
