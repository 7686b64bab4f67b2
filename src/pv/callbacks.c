/* SPDX-License-Identifier: MIT */
/* Where the guest kernel wants to be entered: the trap table, which is its IDT, and the callbacks
 * for events, failed returns, system calls and NMIs. Public xen.h (set_trap_table), callback.h,
 * nmi.h; ABI.md 3.5. */
#include "domain/continuation.h"
#include "domain/guest_copy.h"
#include "lib/string.h"
#include "pv/internal.h"

#include <xen/callback.h>
#include <xen/nmi.h>

/* The header gives CALLBACKTYPE_sysenter its old number unless asked for a late interface. */
#define TYPE_SYSENTER     5
#define TYPE_SYSENTER_OLD CALLBACKTYPE_sysenter_deprecated

#define TI_DPL       3u
#define TI_MASK      4u
#define PREEMPT_EACH 64u /* entries between two looks at the clock */

int pv_set_trap(struct vcpu *v, const struct trap_info *t)
{
    if (!is_canonical(t->address))
        return refuse(-EINVAL, "trap %u: address %#lx is not canonical", t->vector, t->address);
    v->pv->trap[t->vector] = (struct pv_trap){
        .address = t->address,
        .cs = t->cs | 3,
        .dpl = t->flags & TI_DPL,
        .mask_events = t->flags & TI_MASK,
    };
    return 0;
}

long pv_set_trap_table(uint64_t traps)
{
    struct vcpu *v = current();
    struct trap_info t;

    if (traps == 0) {
        memset(v->pv->trap, 0, sizeof(v->pv->trap));
        return 0;
    }
    for (unsigned i = 0;; i++) {
        int rc;

        if (i && i % PREEMPT_EACH == 0 && hypercall_preempt())
            return hypercall_continue_with(__HYPERVISOR_set_trap_table, traps + i * sizeof(t));
        if (guest_read_at(&t, traps, i))
            return refuse(-EFAULT, "trap table: entry %u at %#lx", i, traps);
        if (t.address == 0)
            return 0;
        rc = pv_set_trap(v, &t);
        if (rc)
            return rc;
    }
}

/* ---- callbacks ---- */

static struct pv_callback *callback_of(struct pv_vcpu *pv, unsigned type)
{
    switch (type) {
    case CALLBACKTYPE_event:
        return &pv->event;
    case CALLBACKTYPE_failsafe:
        return &pv->failsafe;
    case CALLBACKTYPE_syscall:
        return &pv->syscall;
    case CALLBACKTYPE_syscall32:
        return &pv->syscall32;
    case TYPE_SYSENTER:
    case TYPE_SYSENTER_OLD:
        return &pv->sysenter;
    default:
        return NULL;
    }
}

/* The NMI callback is the entry of the trap table; events are masked while it runs. */
static void set_nmi(struct pv_vcpu *pv, uint64_t address)
{
    pv->trap[VEC_NMI] = (struct pv_trap){.address = address, .cs = SEL_GUEST_CS64};
    pv->trap[VEC_NMI].mask_events = address != 0;
}

static long callback_register(uint64_t arg)
{
    struct pv_vcpu *pv = current()->pv;
    struct callback_register r;
    struct pv_callback *cb;

    if (guest_read(&r, arg, sizeof(r)))
        return refuse(-EFAULT, "callback: argument at %#lx", arg);
    if (!is_canonical(r.address))
        return refuse(-EINVAL, "callback %u: address %#lx is not canonical", r.type, r.address);
    if (r.type == CALLBACKTYPE_nmi) {
        set_nmi(pv, r.address);
        return 0;
    }
    cb = callback_of(pv, r.type);
    if (!cb)
        return refuse(-ENOSYS, "callback: no type %u", r.type);
    cb->address = r.address;
    cb->mask_events = cb == &pv->event || (r.flags & CALLBACKF_mask_events);
    return 0;
}

static long callback_unregister(uint64_t arg)
{
    struct pv_vcpu *pv = current()->pv;
    struct callback_unregister r;

    if (guest_read(&r, arg, sizeof(r)))
        return refuse(-EFAULT, "callback: argument at %#lx", arg);
    switch (r.type) {
    case CALLBACKTYPE_nmi:
        set_nmi(pv, 0);
        return 0;
    case CALLBACKTYPE_event:
    case CALLBACKTYPE_failsafe:
    case CALLBACKTYPE_syscall:
    case CALLBACKTYPE_syscall32:
    case TYPE_SYSENTER:
    case TYPE_SYSENTER_OLD:
        return refuse(-EINVAL, "callback %u cannot be unregistered", r.type);
    default:
        return refuse(-ENOSYS, "callback: no type %u", r.type);
    }
}

long pv_callback_op(uint32_t cmd, uint64_t arg)
{
    switch (cmd) {
    case CALLBACKOP_register:
        return callback_register(arg);
    case CALLBACKOP_unregister:
        return callback_unregister(arg);
    default:
        return refuse(-ENOSYS, "callback: no operation %u", cmd);
    }
}

long pv_set_callbacks(uint64_t event, uint64_t failsafe, uint64_t syscall)
{
    struct pv_vcpu *pv = current()->pv;

    if (!is_canonical(event) || !is_canonical(failsafe) || !is_canonical(syscall))
        return refuse(-EINVAL, "callbacks %#lx, %#lx, %#lx: not canonical", event, failsafe,
                      syscall);
    pv->event = (struct pv_callback){.address = event, .mask_events = true};
    pv->failsafe.address = failsafe;
    pv->syscall.address = syscall;
    return 0;
}

long pv_nmi_op(uint32_t cmd, uint64_t arg)
{
    struct vcpu *v = current();
    struct xennmi_callback cb;

    switch (cmd) {
    case XENNMI_register_callback:
        if (!v->domain->hardware || v->id != 0)
            return refuse(-EINVAL, "NMI callback: only vCPU 0 of domain 0 has one");
        if (guest_read(&cb, arg, sizeof(cb)))
            return refuse(-EFAULT, "NMI callback: argument at %#lx", arg);
        if (!is_canonical(cb.handler_address))
            return refuse(-EINVAL, "NMI callback: %#lx is not canonical", cb.handler_address);
        set_nmi(v->pv, cb.handler_address);
        return 0;
    case XENNMI_unregister_callback:
        set_nmi(v->pv, 0);
        return 0;
    default:
        return refuse(-ENOSYS, "NMI: no operation %u", cmd);
    }
}
