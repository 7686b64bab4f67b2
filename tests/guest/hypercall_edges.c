/* SPDX-License-Identifier: MIT */
/* Every pointer of every hypercall, at every edge of the address space.
 *
 * Cause: each pointer is the guest's to choose; one copy that is checked by its first byte alone
 * reads or writes the hypervisor.
 * Steps: each operation that takes a pointer, with structures that lie before, across and behind
 * the limits of the user half, of the canonical hole, of the hypervisor's range and of the whole
 * space, and across the end of a mapped page.
 * Verdict: all of them fail (the reservations: nothing done), none changes what lies around. */
#include "lib/guest.h"
#include <xen/sysctl.h>
#include <xen/domctl.h>

/* Which argument is the pointer; the others are as a good call has them. */
struct target {
    const char *what;
    unsigned long nr, a[5];
    unsigned int pointer;
    bool counts; /* 0 means that nothing was done */
};

#define F(name, call, arg, ...)                                                     \
    {                                                                               \
        .what = name, .nr = __HYPERVISOR_##call, .a = {__VA_ARGS__}, .pointer = arg \
    }
#define T(call, sub) F(#call " " #sub, call, 1, sub)
#define R(sub)                                                                               \
    {                                                                                        \
        .what = #sub, .nr = __HYPERVISOR_memory_op, .a = {sub}, .pointer = 1, .counts = true \
    }

static const struct target targets[] = {
    F("set_trap_table", set_trap_table, 0, 0),
    F("mmu_update", mmu_update, 0, 0, 1, 0, DOMID_SELF),
    F("set_gdt", set_gdt, 0, 0, 512),
    R(XENMEM_increase_reservation),
    R(XENMEM_decrease_reservation),
    R(XENMEM_populate_physmap),
    T(memory_op, XENMEM_exchange),
    T(memory_op, XENMEM_machphys_mapping),
    T(memory_op, XENMEM_machphys_mfn_list),
    T(memory_op, XENMEM_current_reservation),
    T(memory_op, XENMEM_maximum_reservation),
    T(memory_op, XENMEM_machine_memory_map),
    T(memory_op, XENMEM_claim_pages),
    T(memory_op, XENMEM_acquire_resource),
    F("multicall", multicall, 0, 0, 1),
    F("mmuext_op", mmuext_op, 0, 0, 1, 0, DOMID_SELF),
    T(xen_version, XENVER_extraversion),
    T(xen_version, XENVER_compile_info),
    T(xen_version, XENVER_capabilities),
    T(xen_version, XENVER_changeset),
    T(xen_version, XENVER_platform_parameters),
    T(xen_version, XENVER_get_features),
    T(xen_version, XENVER_guest_handle),
    T(xen_version, XENVER_commandline),
    F("console_io write", console_io, 2, CONSOLEIO_write, 64),
    F("grant map", grant_table_op, 1, GNTTABOP_map_grant_ref, 0, 1),
    F("grant unmap", grant_table_op, 1, GNTTABOP_unmap_grant_ref, 0, 1),
    F("grant setup", grant_table_op, 1, GNTTABOP_setup_table, 0, 1),
    F("grant copy", grant_table_op, 1, GNTTABOP_copy, 0, 1),
    F("grant size", grant_table_op, 1, GNTTABOP_query_size, 0, 1),
    F("grant version", grant_table_op, 1, GNTTABOP_set_version, 0, 1),
    F("vcpu runstate", vcpu_op, 2, VCPUOP_get_runstate_info, 0),
    F("vcpu area", vcpu_op, 2, VCPUOP_register_runstate_memory_area, 0),
    F("vcpu timer", vcpu_op, 2, VCPUOP_set_singleshot_timer, 0),
    F("vcpu periodic", vcpu_op, 2, VCPUOP_set_periodic_timer, 0),
    F("vcpu info", vcpu_op, 2, VCPUOP_register_vcpu_info, 0),
    T(sched_op, SCHEDOP_poll),
    T(sched_op, SCHEDOP_shutdown),
    T(sched_op, SCHEDOP_remote_shutdown),
    T(sched_op, SCHEDOP_watchdog),
    T(callback_op, CALLBACKOP_register),
    T(callback_op, CALLBACKOP_unregister),
    T(event_channel_op, EVTCHNOP_alloc_unbound),
    T(event_channel_op, EVTCHNOP_bind_interdomain),
    T(event_channel_op, EVTCHNOP_bind_virq),
    T(event_channel_op, EVTCHNOP_bind_ipi),
    T(event_channel_op, EVTCHNOP_bind_pirq),
    T(event_channel_op, EVTCHNOP_close),
    T(event_channel_op, EVTCHNOP_send),
    T(event_channel_op, EVTCHNOP_status),
    T(event_channel_op, EVTCHNOP_unmask),
    T(event_channel_op, EVTCHNOP_bind_vcpu),
    T(event_channel_op, EVTCHNOP_init_control),
    T(physdev_op, PHYSDEVOP_eoi),
    T(physdev_op, PHYSDEVOP_irq_status_query),
    T(physdev_op, PHYSDEVOP_set_iopl),
    T(physdev_op, PHYSDEVOP_set_iobitmap),
    T(physdev_op, PHYSDEVOP_apic_read),
    T(physdev_op, PHYSDEVOP_map_pirq),
    T(physdev_op, PHYSDEVOP_setup_gsi),
    T(physdev_op, PHYSDEVOP_pci_device_add),
    F("platform_op", platform_op, 0, 0),
    F("sysctl", sysctl, 0, 0),
    F("domctl", domctl, 0, 0),
};

static void try_at(const struct target *t, unsigned long address)
{
    unsigned long a[5];
    long ret;

    memcpy(a, t->a, sizeof(a));
    a[t->pointer] = address;
    ret = hypercall(t->nr, a[0], a[1], a[2], a[3], a[4]);
    if (ret > 0 || (ret == 0 && !t->counts))
        expect_failed("%s at %#lx: %ld", t->what, address, ret);
}

void test_main(void)
{
    /* The last mapped page before a hole, all ones; the next page is mapped again. */
    unsigned char *page = page_alloc();
    unsigned long hole = UL(hole_alloc()), edges[24];
    unsigned int n = 0;

    need_eq(hole, UL(page) + PAGE_SIZE);
    memset(page, 0xff, PAGE_SIZE);
    edges[n++] = 8; /* not mapped; 0 is "no pointer" to some */
    edges[n++] = 0x00007ffffffffff8;
    edges[n++] = 0x00007fffffffffff;
    edges[n++] = 0x0000800000000000;
    edges[n++] = 0x8000000000000000;
    edges[n++] = 0xffff7ffffffffff8;
    edges[n++] = 0xffff7fffffffffff;
    edges[n++] = 0xffff800000000000; /* the M2P, which we may read, and hypercalls may not */
    edges[n++] = 0xffff807ffffffff8;
    edges[n++] = 0xffff830000000000;
    edges[n++] = 0xffff87fffffffff8;
    edges[n++] = 0xffff87ffffffffff;
    edges[n++] = 0xfffffffffffffff8;
    edges[n++] = 0xffffffffffffffff;
    edges[n++] = hole;
    edges[n++] = hole - 1;
    for (unsigned int i = 0; i < sizeof(targets) / sizeof(*targets); i++)
        for (unsigned int e = 0; e < n; e++)
            try_at(&targets[i], edges[e]);
    /* The last byte is part of what was asked for. */
    for (unsigned int i = 0; i < PAGE_SIZE - 1; i++)
        if (page[i] != 0xff) {
            expect_failed("byte %u before the hole was written", i);
            break;
        }
    test_pass();
}
