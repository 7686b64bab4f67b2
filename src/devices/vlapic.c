/* SPDX-License-Identifier: MIT */
/* See vlapic.h. Intel SDM vol. 3A, chapter 11. */
#include "devices/vlapic.h"

#include "hw/msr.h"
#include "hw/nospec.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "lib/util.h"

#define VERSION        0x00050014u /* six LVT entries */
#define LVT_MASKED     0x00010000u
#define LVT_LAST       VLAPIC_LVT_ERROR
#define SVR_ENABLED    0x100u
#define SVR_MASK       0x3ffu
#define DFR_FLAT       0xf
#define ERROR_SEND     (1u << 5) /* a vector below 16 */
#define ERROR_RECEIVE  (1u << 6)
#define ERROR_REGISTER (1u << 7)
#define ICR_BUSY       0x1000u
#define VECTOR_FIRST   16u

/* Bits of the LVT entries from the timer's on, 0x10 apart. */
static const uint32_t lvt_mask[] = {
    0x000710ff, /* timer */
    0x000117ff, /* thermal */
    0x000117ff, /* performance */
    0x0001f7ff, /* LINT0 */
    0x0001f7ff, /* LINT1 */
    0x000110ff, /* error */
};

bool vlapic_hardware_enabled(const struct vlapic *l)
{
    return l->base & APIC_BASE_ENABLE;
}

bool vlapic_enabled(const struct vlapic *l)
{
    return vlapic_hardware_enabled(l) && (vlapic_get(l, VLAPIC_SVR) & SVR_ENABLED);
}

/* ---- vectors in 256-bit registers: a word of 32 each 16 bytes ---- */

static uint32_t *vector_word(struct vlapic *l, uint32_t base, uint8_t vector)
{
    return vlapic_reg(l, base + (vector / 32) * 0x10);
}

static void vector_set(struct vlapic *l, uint32_t base, uint8_t vector)
{
    __atomic_fetch_or(vector_word(l, base, vector), 1u << vector % 32, __ATOMIC_SEQ_CST);
}

static void vector_clear(struct vlapic *l, uint32_t base, uint8_t vector)
{
    __atomic_fetch_and(vector_word(l, base, vector), ~(1u << vector % 32), __ATOMIC_SEQ_CST);
}

static bool vector_test(const struct vlapic *l, uint32_t base, uint8_t vector)
{
    return vlapic_get(l, base + (vector / 32) * 0x10) >> vector % 32 & 1;
}

/* The highest; -1: none. */
static int vector_highest(const struct vlapic *l, uint32_t base)
{
    for (int word = 7; word >= 0; word--) {
        uint32_t w = vlapic_get(l, base + (uint32_t)word * 0x10);

        if (w)
            return word * 32 + 31 - __builtin_clz(w);
    }
    return -1;
}

/* ---- interrupts ---- */

static void error(struct vlapic *l, uint32_t bit)
{
    uint32_t old = __atomic_fetch_or(&l->errors, bit, __ATOMIC_SEQ_CST);
    uint32_t lvt = vlapic_get(l, VLAPIC_LVT_ERROR);

    if (!(old & bit) && !(lvt & LVT_MASKED) && (lvt & 0xff) >= VECTOR_FIRST)
        vlapic_accept(l, (uint8_t)lvt, false);
}

static void put(struct vlapic *l, uint8_t vector, bool level)
{
    if (vector < VECTOR_FIRST) {
        error(l, ERROR_RECEIVE);
        return;
    }
    if (level)
        vector_set(l, VLAPIC_TMR, vector);
    else
        vector_clear(l, VLAPIC_TMR, vector);
    vector_set(l, VLAPIC_IRR, vector);
    __atomic_store_n(&l->waiting, true, __ATOMIC_SEQ_CST);
    l->ops->wake(l);
}

void vlapic_accept(struct vlapic *l, uint8_t vector, bool level)
{
    if (vlapic_enabled(l))
        put(l, vector, level);
}

void vlapic_hold(struct vlapic *l, uint8_t vector)
{
    put(l, vector, false);
}

/* The highest of IRR; -1: none. Whoever finds it empty says so, and looks again: another CPU may
 * have set a bit meanwhile. */
static int highest_waiting(struct vlapic *l)
{
    int vector;

    if (likely(!__atomic_load_n(&l->waiting, __ATOMIC_SEQ_CST)))
        return -1;
    vector = vector_highest(l, VLAPIC_IRR);
    if (vector >= 0)
        return vector;
    __atomic_store_n(&l->waiting, false, __ATOMIC_SEQ_CST);
    vector = vector_highest(l, VLAPIC_IRR);
    if (vector >= 0)
        __atomic_store_n(&l->waiting, true, __ATOMIC_SEQ_CST);
    return vector;
}

uint32_t vlapic_priority(const struct vlapic *l)
{
    int in_service = vector_highest(l, VLAPIC_ISR);
    uint32_t tpr = vlapic_get(l, VLAPIC_TPR), isrv = in_service < 0 ? 0 : (uint32_t)in_service;

    return (tpr & 0xf0) >= (isrv & 0xf0) ? tpr & 0xff : isrv & 0xf0;
}

int vlapic_pending(struct vlapic *l)
{
    int vector;

    if (unlikely(__atomic_load_n(&l->timer_fired, __ATOMIC_SEQ_CST)))
        vlapic_timer_due(l);
    vector = highest_waiting(l);
    return vlapic_enabled(l) && vector >= 0 &&
                   ((uint32_t)vector & 0xf0) > (vlapic_priority(l) & 0xf0)
               ? vector
               : -1;
}

bool vlapic_vector_waits(const struct vlapic *l, uint8_t vector)
{
    return vector_test(l, VLAPIC_IRR, vector);
}

bool vlapic_waits(struct vlapic *l)
{
    return highest_waiting(l) >= 0;
}

void vlapic_acknowledge(struct vlapic *l, uint8_t vector)
{
    vector_clear(l, VLAPIC_IRR, vector);
    vector_set(l, VLAPIC_ISR, vector);
}

static void end_of_interrupt(struct vlapic *l)
{
    int vector = vector_highest(l, VLAPIC_ISR);

    if (vector < 0)
        return;
    vector_clear(l, VLAPIC_ISR, (uint8_t)vector);
    if (vector_test(l, VLAPIC_TMR, (uint8_t)vector) && l->ops->eoi)
        l->ops->eoi(l, (uint8_t)vector);
    l->ops->wake(l); /* one of lower priority may go now */
}

static bool matches_logical(const struct vlapic *l, uint32_t dest)
{
    uint32_t ldr = vlapic_get(l, VLAPIC_LDR);

    if (vlapic_x2(l))
        return ldr >> 16 == dest >> 16 && (ldr & dest & 0xffff);
    if (dest == 0xff)
        return true;
    ldr >>= 24;
    if (vlapic_get(l, VLAPIC_DFR) >> 28 == DFR_FLAT)
        return ldr & dest;
    return ldr >> 4 == dest >> 4 && (ldr & dest & 0xf);
}

bool vlapic_matches(const struct vlapic *l, uint32_t dest, bool logical)
{
    if (!vlapic_hardware_enabled(l))
        return false;
    if (logical)
        return matches_logical(l, dest);
    return dest == (vlapic_x2(l) ? ~0u : 0xffu) || dest == l->id;
}

/* ---- registers ---- */

static bool is_lvt(uint32_t offset)
{
    return offset >= VLAPIC_LVT_TIMER && offset <= LVT_LAST;
}

/* Those that the xAPIC has, but for the vectors'. */
static bool readable(uint32_t offset)
{
    switch (offset) {
    case VLAPIC_ID:
    case VLAPIC_VERSION:
    case VLAPIC_TPR:
    case VLAPIC_PPR:
    case VLAPIC_LDR:
    case VLAPIC_DFR:
    case VLAPIC_SVR:
    case VLAPIC_ISR ... VLAPIC_ESR:
    case VLAPIC_ICR:
    case VLAPIC_ICR2:
    case VLAPIC_TMICT:
    case VLAPIC_TMCCT:
    case VLAPIC_TDCR:
        return true;
    default:
        return is_lvt(offset);
    }
}

static uint32_t read_register(const struct vlapic *l, uint32_t offset)
{
    switch (offset) {
    case VLAPIC_PPR:
        return vlapic_priority(l);
    case VLAPIC_TMCCT:
        return vlapic_timer_count(l);
    default:
        return vlapic_get(l, offset);
    }
}

static void write_lvt(struct vlapic *l, uint32_t offset, uint32_t val)
{
    uint32_t old = vlapic_get(l, offset);

    val &= lvt_mask[index_nospec((offset - VLAPIC_LVT_TIMER) / 0x10, ARRAY_SIZE(lvt_mask))];
    if (!(vlapic_get(l, VLAPIC_SVR) & SVR_ENABLED))
        val |= LVT_MASKED;
    *vlapic_reg(l, offset) = val;
    if (offset == VLAPIC_LVT_TIMER)
        vlapic_timer_mode(l, old);
}

static void write_svr(struct vlapic *l, uint32_t val)
{
    *vlapic_reg(l, VLAPIC_SVR) = val & SVR_MASK;
    for (uint32_t lvt = VLAPIC_LVT_TIMER; !(val & SVR_ENABLED) && lvt <= LVT_LAST; lvt += 0x10)
        *vlapic_reg(l, lvt) |= LVT_MASKED;
}

static void send(struct vlapic *l, uint32_t icr, uint32_t dest)
{
    uint32_t mode = icr & VLAPIC_ICR_MODE;

    if ((mode == VLAPIC_ICR_FIXED || mode == VLAPIC_ICR_LOWEST) && (icr & 0xff) < VECTOR_FIRST)
        error(l, ERROR_SEND);
    else
        l->ops->send(l, icr, dest);
}

/* False: there is no such register to write. */
static bool write_register(struct vlapic *l, uint32_t offset, uint32_t val)
{
    switch (offset) {
    case VLAPIC_TPR:
        *vlapic_reg(l, offset) = val & 0xff;
        l->ops->wake(l);
        return true;
    case VLAPIC_EOI:
        end_of_interrupt(l);
        return true;
    case VLAPIC_SVR:
        write_svr(l, val);
        return true;
    case VLAPIC_ESR:
        *vlapic_reg(l, offset) = __atomic_exchange_n(&l->errors, 0, __ATOMIC_SEQ_CST);
        return true;
    case VLAPIC_TMICT:
        *vlapic_reg(l, offset) = val;
        vlapic_timer_start(l);
        return true;
    case VLAPIC_TDCR:
        *vlapic_reg(l, offset) = val & 0xb;
        vlapic_timer_start(l);
        return true;
    default:
        if (!is_lvt(offset))
            return false;
        write_lvt(l, offset, val);
        return true;
    }
}

uint32_t vlapic_read(struct vlapic *l, uint32_t offset)
{
    offset &= 0xff0;
    if (readable(offset))
        return read_register(l, offset);
    error(l, ERROR_REGISTER);
    return 0;
}

void vlapic_write(struct vlapic *l, uint32_t offset, uint32_t val)
{
    offset &= 0xff0;
    switch (offset) {
    case VLAPIC_ID: /* fixed, as on most processors */
        return;
    case VLAPIC_LDR:
        *vlapic_reg(l, offset) = val & 0xff000000u;
        return;
    case VLAPIC_DFR:
        *vlapic_reg(l, offset) = val | 0x0fffffffu;
        return;
    case VLAPIC_ICR2:
        *vlapic_reg(l, offset) = val & 0xff000000u;
        return;
    case VLAPIC_ICR:
        val &= ~ICR_BUSY; /* sent at once */
        *vlapic_reg(l, offset) = val;
        send(l, val, vlapic_get(l, VLAPIC_ICR2) >> 24);
        return;
    default:
        if (!write_register(l, offset, val))
            error(l, ERROR_REGISTER);
        return;
    }
}

/* ---- x2APIC: SDM vol. 3A, 11.12 ---- */

int vlapic_read_msr(struct vlapic *l, uint32_t n, uint64_t *val)
{
    uint32_t offset = n << 4;

    if (!vlapic_x2(l) || n >= 0x40 || !readable(offset) || offset == VLAPIC_DFR ||
        offset == VLAPIC_ICR2)
        return -EPERM;
    *val = read_register(l, offset);
    if (offset == VLAPIC_ICR)
        *val |= (uint64_t)vlapic_get(l, VLAPIC_ICR2) << 32;
    return 0;
}

int vlapic_write_msr(struct vlapic *l, uint32_t n, uint64_t val)
{
    uint32_t offset = n << 4;

    if (!vlapic_x2(l) || n >= 0x40)
        return -EPERM;
    if (offset == VLAPIC_ICR) {
        *vlapic_reg(l, VLAPIC_ICR) = (uint32_t)val & ~ICR_BUSY;
        *vlapic_reg(l, VLAPIC_ICR2) = (uint32_t)(val >> 32);
        send(l, (uint32_t)val & ~ICR_BUSY, (uint32_t)(val >> 32));
        return 0;
    }
    if (val >> 32)
        return -EPERM;
    if (offset == VLAPIC_SELF_IPI) {
        if (val > 0xff)
            return -EPERM;
        send(l, (uint32_t)val | VLAPIC_ICR_SELF | VLAPIC_ICR_ASSERT, 0);
        return 0;
    }
    if ((offset == VLAPIC_EOI || offset == VLAPIC_ESR) && val)
        return -EPERM;
    return write_register(l, offset, (uint32_t)val) ? 0 : -EPERM;
}

/* x2APIC ids: 16 bits of cluster, one bit within. */
static void set_x2_ids(struct vlapic *l)
{
    *vlapic_reg(l, VLAPIC_ID) = l->id;
    *vlapic_reg(l, VLAPIC_LDR) = (l->id >> 4) << 16 | 1u << (l->id & 15);
}

int vlapic_set_base(struct vlapic *l, uint64_t val)
{
    uint64_t known = 0x000ffffffffff000ull | APIC_BASE_BSP | APIC_BASE_X2APIC | APIC_BASE_ENABLE;
    bool on = val & APIC_BASE_ENABLE, x2 = val & APIC_BASE_X2APIC;

    if (val & ~known || (x2 && !on))
        return -EPERM;
    /* From x2APIC only to off, from off only to xAPIC. */
    if (vlapic_x2(l) ? on && !x2 : x2 && !vlapic_hardware_enabled(l))
        return -EPERM;
    if (!on && vlapic_hardware_enabled(l)) {
        l->base = val;
        vlapic_reset(l, false);
        return 0;
    }
    l->base = val;
    if (x2)
        set_x2_ids(l);
    return 0;
}

uint8_t vlapic_cr8(const struct vlapic *l)
{
    return (uint8_t)(vlapic_get(l, VLAPIC_TPR) >> 4 & 0xf);
}

void vlapic_set_cr8(struct vlapic *l, uint8_t val)
{
    if (vlapic_cr8(l) != (val & 0xf))
        *vlapic_reg(l, VLAPIC_TPR) = (uint32_t)(val & 0xf) << 4;
}

/* ---- life ---- */

void vlapic_reset(struct vlapic *l, bool power_on)
{
    timer_stop(&l->timer);
    memset(l->reg, 0, sizeof(l->reg));
    l->waiting = false;
    l->errors = 0;
    l->tsc_deadline = 0;
    if (power_on)
        l->base = 0xfee00000ull | APIC_BASE_ENABLE | (l->id == 0 ? APIC_BASE_BSP : 0);
    *vlapic_reg(l, VLAPIC_VERSION) = VERSION;
    *vlapic_reg(l, VLAPIC_ID) = l->id << 24;
    *vlapic_reg(l, VLAPIC_DFR) = ~0u;
    *vlapic_reg(l, VLAPIC_SVR) = 0xff;
    for (uint32_t lvt = VLAPIC_LVT_TIMER; lvt <= LVT_LAST; lvt += 0x10)
        *vlapic_reg(l, lvt) = LVT_MASKED;
    if (vlapic_x2(l))
        set_x2_ids(l);
}

void vlapic_init(struct vlapic *l, const struct vlapic_ops *ops, void *owner, uint32_t id)
{
    l->ops = ops;
    l->owner = owner;
    l->id = id;
    vlapic_timer_init(l);
    vlapic_reset(l, true);
}

void vlapic_stop(struct vlapic *l)
{
    if (l->ops)
        timer_kill(&l->timer);
}
