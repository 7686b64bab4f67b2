/* SPDX-License-Identifier: MIT */
/* From SYSCALL to the function that answers: one table, indexed by the number in rax. Arguments are
 * in rdi rsi rdx r10 r8 r9; the result goes to rax. ABI.md 1.1 and 1.2; public xen.h. */
#include "hypercall/hypercall.h"

#include "base/softirq.h"
#include "event/event.h"
#include "grant/grant.h"
#include "hypercall/ops.h"
#include "lib/errno.h"
#include "pv/pv.h"
#include "time/trace.h"

typedef uint64_t u64;

/* One line a hypercall: its name and how its arguments are cut to size. */
#define CALL(name, expression)                                              \
    static long call_##name(u64 a0, u64 a1, u64 a2, u64 a3, u64 a4, u64 a5) \
    {                                                                       \
        return (expression);                                                \
    }

CALL(set_trap_table, pv_set_trap_table(a0))
CALL(mmu_update, pv_mmu_update(a0, (uint32_t)a1, a2, (uint32_t)a3))
CALL(set_gdt, pv_set_gdt(a0, (uint32_t)a1))
CALL(stack_switch, pv_stack_switch(a0, a1))
CALL(set_callbacks, pv_set_callbacks(a0, a1, a2))
CALL(fpu_taskswitch, pv_fpu_taskswitch(a0))
CALL(platform_op, platform_op(a0))
CALL(set_debugreg, pv_set_debugreg((uint32_t)a0, a1))
CALL(get_debugreg, pv_get_debugreg((uint32_t)a0))
CALL(update_descriptor, pv_update_descriptor(a0, a1))
CALL(memory_op, memory_op(a0, a1))
CALL(multicall, multicall(a0, (uint32_t)a1))
CALL(update_va_mapping, pv_update_va_mapping(a0, a1, a2))
CALL(set_timer_op, set_timer_op(a0))
CALL(xen_version, xen_version((uint32_t)a0, a1))
CALL(console_io, console_io((uint32_t)a0, (uint32_t)a1, a2))
CALL(grant_table_op, grant_table_op((uint32_t)a0, a1, (uint32_t)a2))
CALL(vm_assist, vm_assist((uint32_t)a0, (uint32_t)a1))
CALL(update_va_mapping_otherdomain, pv_update_va_mapping_otherdomain(a0, a1, a2, (domid_t)a3))
CALL(iret, pv_iret())
CALL(vcpu_op, vcpu_op((uint32_t)a0, (uint32_t)a1, a2))
CALL(set_segment_base, pv_set_segment_base((uint32_t)a0, a1))
CALL(mmuext_op, pv_mmuext_op(a0, (uint32_t)a1, a2, (uint32_t)a3))
CALL(nmi_op, pv_nmi_op((uint32_t)a0, a1))
CALL(sched_op, sched_op((uint32_t)a0, a1))
CALL(callback_op, pv_callback_op((uint32_t)a0, a1))
CALL(event_channel_op, event_channel_op((uint32_t)a0, a1))
CALL(physdev_op, physdev_op((uint32_t)a0, a1))
CALL(sysctl, sysctl(a0))
CALL(domctl, domctl(a0))
CALL(hypfs_op, hypfs_op((uint32_t)a0, a1, a2, a3, a4))
CALL(hvm_op, hvm_op((uint32_t)a0, a1))

#define ENTRY(name) [__HYPERVISOR_##name] = call_##name

static long no_such_call(u64 a0, u64 a1, u64 a2, u64 a3, u64 a4, u64 a5)
{
    return -ENOSYS;
}

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Woverride-init" /* all first, then those that exist */
const hypercall_fn hypercall_table[HYPERCALLS] = {
    [0 ... HYPERCALLS - 1] = no_such_call,
    ENTRY(set_trap_table),
    ENTRY(mmu_update),
    ENTRY(set_gdt),
    ENTRY(stack_switch),
    ENTRY(set_callbacks),
    ENTRY(fpu_taskswitch),
    ENTRY(platform_op),
    ENTRY(set_debugreg),
    ENTRY(get_debugreg),
    ENTRY(update_descriptor),
    ENTRY(memory_op),
    ENTRY(multicall),
    ENTRY(update_va_mapping),
    ENTRY(set_timer_op),
    ENTRY(xen_version),
    ENTRY(console_io),
    ENTRY(grant_table_op),
    ENTRY(vm_assist),
    ENTRY(update_va_mapping_otherdomain),
    ENTRY(iret),
    ENTRY(vcpu_op),
    ENTRY(set_segment_base),
    ENTRY(mmuext_op),
    ENTRY(nmi_op),
    ENTRY(sched_op),
    ENTRY(callback_op),
    ENTRY(event_channel_op),
    ENTRY(physdev_op),
    ENTRY(sysctl),
    ENTRY(domctl),
    ENTRY(hypfs_op),
    ENTRY(hvm_op),
};

/* Those of fully virtual guests. */
static const hypercall_fn hvm_table[HYPERCALLS] = {
    [0 ... HYPERCALLS - 1] = no_such_call,
    ENTRY(memory_op),
    ENTRY(multicall),
    ENTRY(set_timer_op),
    ENTRY(xen_version),
    ENTRY(console_io),
    ENTRY(grant_table_op),
    ENTRY(vm_assist),
    ENTRY(vcpu_op),
    ENTRY(sched_op),
    ENTRY(event_channel_op),
    ENTRY(hvm_op),
};
#pragma GCC diagnostic pop

/* While hypercalls are traced: records the call, then makes it. */
static long traced(u64 a0, u64 a1, u64 a2, u64 a3, u64 a4, u64 a5)
{
    const struct vcpu *v = current();
    uint32_t op = v->refusals.call;

    TRACE(v->in_multicall ? TRC_PV_HYPERCALL_SUBCALL : TRC_PV_HYPERCALL_V2,
          op | TRC_PV_HYPERCALL_V2_ARG_64(0) | TRC_PV_HYPERCALL_V2_ARG_64(1) |
              TRC_PV_HYPERCALL_V2_ARG_64(2),
          TRACE_LONG(a0), TRACE_LONG(a1), TRACE_LONG(a2));
    return hypercall_table[index_nospec(op, HYPERCALLS)](a0, a1, a2, a3, a4, a5);
}

static const hypercall_fn traced_table[HYPERCALLS] = {[0 ... HYPERCALLS - 1] = traced};
const hypercall_fn *hypercall_calls = hypercall_table;

void hypercall_trace(bool on)
{
    write_once(hypercall_calls, on ? traced_table : hypercall_table);
}

long hypercall_call(u64 op, u64 a0, u64 a1, u64 a2, u64 a3, u64 a4, u64 a5)
{
    const hypercall_fn *table = current()->domain->hvm ? hvm_table : read_once(hypercall_calls);

    if (op >= HYPERCALLS)
        return -ENOSYS;
    return table[index_nospec(op, HYPERCALLS)](a0, a1, a2, a3, a4, a5);
}

long hypercall_of_hvm(u64 op, const u64 args[6])
{
    return hypercall_call(op, args[0], args[1], args[2], args[3], args[4], args[5]);
}

void hypercall_from_user(struct regs *r)
{
    pv_deliver_syscall(current(), r);
}

void guest_exit_work(void)
{
    struct vcpu *v;

    if (softirq_pending())
        softirq_run(); /* may leave for another vCPU */
    v = current();
    if (vcpu_event_pending(v))
        pv_deliver_event(v);
}
