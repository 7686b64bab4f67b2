/* SPDX-License-Identifier: MIT */
/* Several hypercalls in one. Each entry's result is in the guest's list before the next begins; a
 * failing one does not stop the rest. Preempted, the call goes on with the first entry that is not
 * done. ABI.md 2.5; public xen.h, struct multicall_entry. */
#include "domain/continuation.h"
#include "domain/guest_copy.h"
#include "hypercall/hypercall.h"
#include "hypercall/ops.h"
#include "lib/errno.h"

#define ENTRIES_MAX (1u << 20)

static int write_back(uint64_t va, const struct multicall_entry *e, bool continued)
{
    /* A continued entry gets its rewritten number and arguments; a finished one its result. */
    return continued ? guest_write(va, e, sizeof(*e))
                     : guest_write(va + offsetof(struct multicall_entry, result), &e->result,
                                   sizeof(e->result));
}

long multicall(uint64_t va, uint32_t count)
{
    struct vcpu *v = current();
    struct multicall_entry e;
    long rc = 0;
    uint32_t i;

    if (v->in_multicall)
        return refuse(-EINVAL, "multicall within a multicall");
    if (count > ENTRIES_MAX || !guest_range_ok(va, count * sizeof(e)))
        return refuse(-EFAULT, "multicall: list of %u entries at %lx", count, va);

    v->in_multicall = true;
    for (i = 0; i < count && !rc; i++, va += sizeof(e)) {
        if (i && hypercall_preempt())
            break;
        if (guest_read(&e, va, sizeof(e))) {
            rc = refuse(-EFAULT, "multicall: entry at %lx cannot be read", va);
            break;
        }
        v->mc = &e;
        v->continued = false;
        v->refusals.call = (uint32_t)e.op;
        e.result = (xen_ulong_t)hypercall_call(e.op, e.args[0], e.args[1], e.args[2], e.args[3],
                                               e.args[4], e.args[5]);
        if (write_back(va, &e, v->continued))
            rc = refuse(-EFAULT, "multicall: entry at %lx cannot be written", va);
        if (v->continued)
            break;
    }
    v->in_multicall = false;
    v->mc = NULL;
    v->continued = false;
    if (i < count && !rc)
        return hypercall_continue_with(__HYPERVISOR_multicall, va, count - i);
    return rc;
}
