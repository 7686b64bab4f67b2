/* SPDX-License-Identifier: MIT */
/* Messages between the local APICs of a domain, and the start of a vCPU by INIT and SIPI. Intel SDM
 * vol. 3A, 9.4.4 and 11.6.
 *
 * A vCPU's state is changed by itself alone: INIT and SIPI are noted for it, and it sees to them
 * before its next stay. One that waits for its SIPI is down meanwhile. */
#include "hvm/chips.h"
#include "hvm/hvm.h"
#include "lib/string.h"

#define SIPI_CAME 0x100u

static void wake(struct vlapic *l)
{
    vcpu_kick(l->owner);
}

static void send(struct vlapic *l, uint32_t icr, uint32_t dest)
{
    const struct vcpu *v = l->owner;
    struct domain *d = v->domain;
    struct vcpu *to;

    switch (icr & VLAPIC_ICR_SHORTHAND) {
    case 0:
        hvm_ipi(d, icr, dest);
        break;
    case VLAPIC_ICR_SELF:
        vlapic_accept(l, (uint8_t)icr, false);
        break;
    default:
        for_each_vcpu (d, to)
            if (to != v || (icr & VLAPIC_ICR_SHORTHAND) == VLAPIC_ICR_ALL)
                hvm_message(to, icr);
        break;
    }
}

static void nmi(struct vcpu *v)
{
    __atomic_store_n(&v->nmi_pending, true, __ATOMIC_SEQ_CST);
    vcpu_kick(v);
}

static void init(struct vcpu *v, uint32_t icr)
{
    if ((icr & VLAPIC_ICR_LEVEL) && !(icr & VLAPIC_ICR_ASSERT))
        return; /* the end of an INIT: does nothing any more */
    __atomic_store_n(&v->hvm->init_pending, true, __ATOMIC_SEQ_CST);
    vcpu_kick(v);
}

static void startup(struct vcpu *v, uint32_t icr)
{
    struct hvm_vcpu *h = v->hvm;

    if (!read_once(h->wait_for_sipi) && !read_once(h->init_pending))
        return;
    __atomic_store_n(&h->sipi, SIPI_CAME | (icr & 0xff), __ATOMIC_SEQ_CST);
    vcpu_pause_clear(v, VCPU_DOWN_BIT);
}

void hvm_message(struct vcpu *v, uint32_t icr)
{
    if (!v->hvm)
        return;
    switch (icr & VLAPIC_ICR_MODE) {
    case VLAPIC_ICR_FIXED:
    case VLAPIC_ICR_LOWEST:
        vlapic_accept(&v->hvm->lapic, (uint8_t)icr, icr & VLAPIC_ICR_LEVEL);
        break;
    case VLAPIC_ICR_NMI:
        nmi(v);
        break;
    case VLAPIC_ICR_INIT:
        init(v, icr);
        break;
    case VLAPIC_ICR_STARTUP:
        startup(v, icr);
        break;
    default: /* SMI and the reserved ones: nobody is there to take them */
        break;
    }
}

static void eoi(struct vlapic *l, uint8_t vector)
{
    const struct vcpu *v = l->owner;

    hvm_chips_eoi(v->domain, vector);
}

const struct vlapic_ops hvm_lapic_ops = {.wake = wake, .send = send, .eoi = eoi};

bool hvm_ipi(struct domain *d, uint32_t icr, uint32_t dest)
{
    bool lowest = (icr & VLAPIC_ICR_MODE) == VLAPIC_ICR_LOWEST, taken = false;
    struct vcpu *v, *idlest = NULL;

    for_each_vcpu (d, v) {
        const struct vlapic *l = v->hvm ? &v->hvm->lapic : NULL;

        if (!l || !vlapic_matches(l, dest, icr & VLAPIC_ICR_LOGICAL))
            continue;
        if (!lowest)
            hvm_message(v, icr);
        else if (vlapic_enabled(l) &&
                 (!idlest || vlapic_priority(l) < vlapic_priority(&idlest->hvm->lapic)))
            idlest = v;
        taken |= vlapic_enabled(l);
    }
    if (idlest)
        hvm_message(idlest, icr);
    return taken;
}

/* Real mode at page `vector` of the first megabyte. */
static void start_at(struct vcpu *v, uint8_t vector)
{
    const struct emul_segment code = {
        .sel = (uint16_t)(vector << 8),
        .attr = 0x9b,
        .limit = 0xffff,
        .base = (uint64_t)vector << PAGE_SHIFT,
    };

    hvm_ops->set_segment(v, EMUL_SEG_CS, &code);
    vcpu_regs(v)->rip = 0;
    v->initialised = true;
}

void hvm_take_init(struct vcpu *v)
{
    struct hvm_vcpu *h = v->hvm;
    uint32_t sipi;

    if (__atomic_exchange_n(&h->init_pending, false, __ATOMIC_SEQ_CST)) {
        hvm_vcpu_reset(v);
        vlapic_reset(&h->lapic, false);
        if (vcpu_event_pending(v)) /* which is said once: not again after this */
            hvm_upcall(v);
        __atomic_store_n(&h->wait_for_sipi, v->id != 0, __ATOMIC_SEQ_CST);
    }
    if (!h->wait_for_sipi) { /* the first vCPU starts by INIT alone */
        __atomic_store_n(&h->sipi, 0, __ATOMIC_SEQ_CST);
        return;
    }
    sipi = __atomic_exchange_n(&h->sipi, 0, __ATOMIC_SEQ_CST);
    if (sipi) {
        __atomic_store_n(&h->wait_for_sipi, false, __ATOMIC_SEQ_CST);
        start_at(v, (uint8_t)sipi);
        return;
    }
    vcpu_pause_set(v, VCPU_DOWN_BIT);
    if (read_once(h->sipi)) /* came before it was down */
        vcpu_pause_clear(v, VCPU_DOWN_BIT);
}
