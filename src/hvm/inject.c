/* SPDX-License-Identifier: MIT */
/* What waits for a guest, put into it in the processor's order: the event whose delivery was
 * interrupted or that an exit raised, then NMI, then the event channels' upcall. AMD APM vol.
 * 2, 8.5; public hvm/params.h, HVM_PARAM_CALLBACK_IRQ. */
#include "hvm/chips.h"
#include "hvm/hvm.h"

#define CALLBACK_TYPE_SHIFT 56u

/* Contributory exceptions: APM vol. 2, table 8-3. */
static bool contributory(uint8_t vector)
{
    return vector == VEC_DE || (vector >= VEC_TS && vector <= VEC_GP);
}

static bool makes_double_fault(uint8_t first, uint8_t second)
{
    return (contributory(first) && contributory(second)) ||
           (first == VEC_PF && (second == VEC_PF || contributory(second)));
}

void hvm_inject_exception(struct vcpu *v, uint8_t vector, uint32_t error)
{
    struct hvm_event *e = &v->hvm->pending;

    if (e->type == HVM_EVENT_EXCEPTION && e->vector == VEC_DF) {
        hvm_triple_fault(v);
        return;
    }
    if (e->type == HVM_EVENT_EXCEPTION && makes_double_fault(e->vector, vector)) {
        vector = VEC_DF;
        error = 0;
    }
    *e = (struct hvm_event){
        .type = HVM_EVENT_EXCEPTION,
        .vector = vector,
        .has_error = vector < 32 && (VECTORS_WITH_ERROR >> vector & 1),
        .error = error,
    };
}

void hvm_inject_page_fault(struct vcpu *v, uint64_t cr2, uint32_t error)
{
    hvm_ops->set_cr(v, 2, cr2);
    hvm_inject_exception(v, VEC_PF, error);
}

/* The vector of the upcall, 0: none is set. */
static uint8_t upcall_vector(const struct vcpu *v)
{
    uint64_t via = read_once(v->domain->hvm_domain->param[HVM_PARAM_CALLBACK_IRQ]);

    return via >> CALLBACK_TYPE_SHIFT == HVM_PARAM_CALLBACK_TYPE_VECTOR ? (uint8_t)via : 0;
}

bool hvm_event_waits(const struct vcpu *v)
{
    struct hvm_vcpu *h = v->hvm;

    return h->pending.type != HVM_EVENT_NONE || read_once(v->nmi_pending) ||
           read_once(h->init_pending) || vlapic_pending(&h->lapic) >= 0 || hvm_pic_asks(v) ||
           hvm_callback_changes(v) || (upcall_vector(v) && vcpu_event_pending(v));
}

void hvm_upcall(struct vcpu *v)
{
    uint8_t vector = read_once(v->hvm->upcall_vector);

    if (vector)
        vlapic_hold(&v->hvm->lapic, vector);
}

/* What the PICs have comes first: the local APIC passes it on without a priority. */
static void deliver_interrupt(struct vcpu *v)
{
    struct vlapic *l = &v->hvm->lapic;
    int vector = vlapic_pending(l);
    bool pic = hvm_pic_asks(v);

    if (vector < 0 && !pic)
        return;
    if (!hvm_ops->can_take(v, HVM_EVENT_INTERRUPT)) {
        hvm_ops->request_window(v, HVM_EVENT_INTERRUPT);
        return;
    }
    if (pic)
        vector = hvm_pic_acknowledge(v);
    else
        vlapic_acknowledge(l, (uint8_t)vector);
    if (vector >= 0) /* else another vCPU was faster */
        hvm_ops->inject(
            v, &(struct hvm_event){.type = HVM_EVENT_INTERRUPT, .vector = (uint8_t)vector});
}

static void deliver_one(struct vcpu *v)
{
    struct hvm_vcpu *h = v->hvm;
    struct hvm_event e = h->pending;

    if (e.type != HVM_EVENT_NONE) {
        h->pending.type = HVM_EVENT_NONE;
        hvm_ops->inject(v, &e);
        return;
    }
    if (read_once(v->nmi_pending)) {
        if (hvm_ops->can_take(v, HVM_EVENT_NMI)) {
            __atomic_store_n(&v->nmi_pending, false, __ATOMIC_SEQ_CST);
            hvm_ops->inject(v, &(struct hvm_event){.type = HVM_EVENT_NMI, .vector = VEC_NMI});
            return;
        }
        hvm_ops->request_window(v, HVM_EVENT_NMI);
    }
    if (upcall_vector(v) && vcpu_event_pending(v)) {
        if (hvm_ops->can_take(v, HVM_EVENT_INTERRUPT))
            hvm_ops->inject(
                v, &(struct hvm_event){.type = HVM_EVENT_INTERRUPT, .vector = upcall_vector(v)});
        else
            hvm_ops->request_window(v, HVM_EVENT_INTERRUPT);
        return;
    }
    deliver_interrupt(v);
}

void hvm_deliver(struct vcpu *v)
{
    struct vlapic *l = &v->hvm->lapic;

    hvm_callback_update(v);
    deliver_one(v);
    /* While a vector waits the guest is watched: a lower priority may let it in. */
    hvm_ops->set_tpr(v, vlapic_cr8(l), vlapic_waits(l));
}
