/* SPDX-License-Identifier: MIT */
/* The names of the hypercalls, for messages. Public xen.h. */
#include "hypercall/hypercall.h"
#include "lib/util.h"

#define NAME(name) [__HYPERVISOR_##name] = #name

static const char *const names[] = {
    NAME(set_trap_table),
    NAME(mmu_update),
    NAME(set_gdt),
    NAME(stack_switch),
    NAME(set_callbacks),
    NAME(fpu_taskswitch),
    NAME(platform_op),
    NAME(set_debugreg),
    NAME(get_debugreg),
    NAME(update_descriptor),
    NAME(memory_op),
    NAME(multicall),
    NAME(update_va_mapping),
    NAME(set_timer_op),
    NAME(xen_version),
    NAME(console_io),
    NAME(grant_table_op),
    NAME(vm_assist),
    NAME(update_va_mapping_otherdomain),
    NAME(iret),
    NAME(vcpu_op),
    NAME(set_segment_base),
    NAME(mmuext_op),
    NAME(xsm_op),
    NAME(nmi_op),
    NAME(sched_op),
    NAME(callback_op),
    NAME(xenoprof_op),
    NAME(event_channel_op),
    NAME(physdev_op),
    NAME(hvm_op),
    NAME(sysctl),
    NAME(domctl),
    NAME(kexec_op),
    NAME(argo_op),
    NAME(xenpmu_op),
    NAME(dm_op),
    NAME(hypfs_op),
    [__HYPERVISOR_arch_0] = "mca",
};

const char *hypercall_name(uint32_t op)
{
    return op < ARRAY_SIZE(names) ? names[op] : NULL;
}
