/* SPDX-License-Identifier: MIT */
/* Pointers inside of what pointers point to, and machine addresses, at every edge.
 *
 * Cause: the structure of a call is checked once; the addresses in it are used much later, some of
 * them by the continuation of a call, some as frames.
 * Steps: each structure with a pointer in it, with that pointer across and behind the limits of the
 * user half, of the canonical hole, of the hypervisor's range and of the whole space; each
 * operation that takes a frame or an entry's machine address, with those at the limits of memory,
 * of physical addresses and of 64 bits; virtual addresses and devices to be mapped. Verdict: an
 * error, or nothing done; no byte around changes.
 */
#include "lib/domu.h"

static domid_t other;

/* ---- pointers: 0 or less is right where nothing was to be counted ---- */

static long poll_ports(unsigned long a)
{
    struct sched_poll poll = {.nr_ports = 2, .timeout = 1};

    set_xen_guest_handle(poll.ports, (evtchn_port_t *)a);
    return hc_sched_op(SCHEDOP_poll, &poll);
}

static long reservation(unsigned int cmd, unsigned long a)
{
    struct xen_memory_reservation r = {.nr_extents = 2, .domid = DOMID_SELF};

    set_xen_guest_handle(r.extent_start, (xen_pfn_t *)a);
    return hc_memory_op(cmd, &r) ?: -1; /* nothing done */
}

static long populate(unsigned long a)
{
    return reservation(XENMEM_populate_physmap, a);
}

static long decrease(unsigned long a)
{
    return reservation(XENMEM_decrease_reservation, a);
}

static long exchange_in(unsigned long a)
{
    static xen_pfn_t out[2];
    struct xen_memory_exchange x = {.in = {.nr_extents = 2, .domid = DOMID_SELF},
                                    .out = {.nr_extents = 2, .domid = DOMID_SELF}};
    long ret;

    set_xen_guest_handle(x.in.extent_start, (xen_pfn_t *)a);
    set_xen_guest_handle(x.out.extent_start, out);
    ret = hc_memory_op(XENMEM_exchange, &x);
    return x.nr_exchanged ? 1 : ret;
}

static long machphys(unsigned long a)
{
    struct xen_machphys_mfn_list x = {.max_extents = 4};

    set_xen_guest_handle(x.extent_start, (xen_pfn_t *)a);
    return hc_memory_op(XENMEM_machphys_mfn_list, &x);
}

static long memory_map(unsigned long a)
{
    struct xen_memory_map x = {.nr_entries = 100};

    set_xen_guest_handle(x.buffer, (void *)a);
    return hc_memory_op(XENMEM_machine_memory_map, &x);
}

static long inner_call(unsigned long a)
{
    multicall_entry_t call = {.op = __HYPERVISOR_xen_version, .args = {XENVER_extraversion, a}};

    need_eq(hc_multicall(&call, 1), 0);
    return call.result;
}

static long grant_frames(unsigned long a)
{
    struct gnttab_setup_table x = {.dom = DOMID_SELF, .nr_frames = 1};
    long ret;

    set_xen_guest_handle(x.frame_list, (xen_pfn_t *)a);
    ret = hc_grant_table_op(GNTTABOP_setup_table, &x, 1);
    return ret ?: x.status;
}

static long flush_mask(unsigned long a)
{
    struct mmuext_op op = {.cmd = MMUEXT_TLB_FLUSH_MULTI};

    op.arg2.vcpumask.p = (void *)a;
    return hc_mmuext_op(&op, 1, NULL, DOMID_SELF);
}

static long domain_list(unsigned long a)
{
    struct xen_sysctl op = {0};

    op.u.getdomaininfolist.max_domains = 2;
    set_xen_guest_handle(op.u.getdomaininfolist.buffer, (struct xen_domctl_getdomaininfo *)a);
    return sysctl(&op, XEN_SYSCTL_getdomaininfolist);
}

static long console_ring(unsigned long a)
{
    struct xen_sysctl op = {0};

    op.u.readconsole.count = 64;
    set_xen_guest_handle(op.u.readconsole.buffer, (char *)a);
    return sysctl(&op, XEN_SYSCTL_readconsole);
}

static long topology(unsigned long a)
{
    struct xen_sysctl op = {0};

    op.u.cputopoinfo.num_cpus = 1;
    set_xen_guest_handle(op.u.cputopoinfo.cputopo, (xen_sysctl_cputopo_t *)a);
    return sysctl(&op, XEN_SYSCTL_cputopoinfo);
}

static long context_set(unsigned long a)
{
    struct xen_domctl op = {0};

    set_xen_guest_handle(op.u.vcpucontext.ctxt, (vcpu_guest_context_t *)a);
    return domctl(&op, XEN_DOMCTL_setvcpucontext, other);
}

static long context_get(unsigned long a)
{
    struct xen_domctl op = {0};

    set_xen_guest_handle(op.u.vcpucontext.ctxt, (vcpu_guest_context_t *)a);
    return domctl(&op, XEN_DOMCTL_getvcpucontext, other);
}

static long frame_types(unsigned long a)
{
    struct xen_domctl op = {0};

    op.u.getpageframeinfo3.num = 2;
    set_xen_guest_handle(op.u.getpageframeinfo3.array, (xen_pfn_t *)a);
    return domctl(&op, XEN_DOMCTL_getpageframeinfo3, other);
}

static long affinity(unsigned long a)
{
    struct xen_domctl op = {0};

    op.u.vcpuaffinity.flags = XEN_VCPUAFFINITY_HARD;
    op.u.vcpuaffinity.cpumap_hard.nr_bits = 64;
    set_xen_guest_handle(op.u.vcpuaffinity.cpumap_hard.bitmap, (uint8_t *)a);
    return domctl(&op, XEN_DOMCTL_setvcpuaffinity, other);
}

/* ---- virtual addresses and frames ---- */

static long va_mapping(unsigned long a)
{
    return hc_update_va_mapping(a, 0, 0);
}

static long trap_address(unsigned long a)
{
    struct trap_info t[2] = {{.vector = 77, .cs = FLAT_KERNEL_CS, .address = a}};

    return (long)(a << 16) >> 16 == (long)a ? -1 : hc_set_trap_table(t);
}

static long callback(unsigned long a)
{
    struct callback_register c = {.type = CALLBACKTYPE_failsafe, .address = a};

    return (long)(a << 16) >> 16 == (long)a ? -1 : hc_callback_op(CALLBACKOP_register, &c);
}

static long update_at(unsigned long a)
{
    return hc_mmu_update(&(mmu_update_t){.ptr = a & ~7ul, .val = 0}, 1, NULL, DOMID_SELF);
}

static long update_to(unsigned long a)
{
    static void *hole;

    hole = hole ?: hole_alloc();
    return mmu_set(pte_lookup(hole, 1), (a & PTE_ADDR) | PTE_KERNEL);
}

static long machphys_at(unsigned long a)
{
    return hc_mmu_update(&(mmu_update_t){.ptr = (a & ~7ul) | MMU_MACHPHYS_UPDATE, .val = 0}, 1,
                         NULL, DOMID_SELF);
}

static long descriptor_at(unsigned long a)
{
    return hc_update_descriptor(a & ~7ul, 0);
}

static long pin(unsigned long a)
{
    return mmuext(MMUEXT_PIN_L1_TABLE, a);
}

static long pin_address(unsigned long a)
{
    return mmuext(MMUEXT_PIN_L4_TABLE, a >> PAGE_SHIFT);
}

static long base_pointer(unsigned long a)
{
    return mmuext(MMUEXT_NEW_BASEPTR, a >> PAGE_SHIFT);
}

static long clear_page(unsigned long a)
{
    return mmuext(MMUEXT_CLEAR_PAGE, a);
}

static long give_back(unsigned long a)
{
    xen_pfn_t frame = a;
    struct xen_memory_reservation r = {.nr_extents = 1, .domid = DOMID_SELF};

    set_xen_guest_handle(r.extent_start, &frame);
    return hc_memory_op(XENMEM_decrease_reservation, &r) ?: -1;
}

struct target {
    const char *what;
    long (*call)(unsigned long address);
};

#define T(f)  \
    {         \
#f, f \
    }

static const struct target pointers[] = {
    T(poll_ports),   T(populate),   T(decrease),     T(exchange_in), T(machphys),
    T(memory_map),   T(inner_call), T(grant_frames), T(flush_mask),  T(domain_list),
    T(console_ring), T(topology),   T(context_set),  T(context_get), T(frame_types),
    T(affinity),     T(va_mapping), T(trap_address), T(callback),
};
static const struct target frames[] = {
    T(update_at),   T(machphys_at),  T(descriptor_at), T(pin),
    T(pin_address), T(base_pointer), T(clear_page),    T(give_back),
};

static const struct target mapping = T(update_to);

static const unsigned long virtual_edges[] = {
    0x00007ffffffffff8, 0x00007fffffffffff, 0x0000800000000000, 0x8000000000000000,
    0xffff7ffffffffff8, 0xffff7fffffffffff, 0xffff800000000000, 0xffff807ffffffff8,
    0xffff820000000000, 0xffff828000001000, 0xffff830000000000, 0xffff87fffffffff8,
    0xffff87ffffffffff, 0xfffffffffffffff8, 0xffffffffffffffff,
};
static const unsigned long machine_edges[] = {
    0x00000000000a0000, 0x00000000fee00000, 0x00000000fffff000, 0x000000ffffffffff,
    0x0000010000000000, 0x0000400000000000, 0x000fffffffffffff, 0x0010000000000000,
    0x7ffffffffffffff8, 0x8000000000000000, 0xfffffffffffff000, 0xffffffffffffffff,
};

/* The local interrupt controllers', what AMD's processors keep for themselves (there, too,
 * interrupts are written to), and what is beyond physical addresses. */
static const unsigned long device_edges[] = {
    0x00000000fee00000, 0x00000000feeff000, 0x000000fd00000000, 0x000000fdf8000000,
    0x000000fffffff000, 0x0000010000000000, 0x0000400000000000, 0x000ffffffffff000,
};

static void try_all(const struct target *t, unsigned int nr, const unsigned long *edge,
                    unsigned int edges)
{
    for (unsigned int i = 0; i < nr; i++)
        for (unsigned int e = 0; e < edges; e++) {
            long ret = t[i].call(edge[e]);

            if (ret >= 0)
                expect_failed("%s at %#lx: %ld", t[i].what, edge[e], ret);
        }
}

#define COUNT(a) (sizeof(a) / sizeof(*(a)))

void test_main(void)
{
    unsigned char *page = page_alloc();
    unsigned long hole = UL(hole_alloc()), around[] = {hole, hole - 1, hole - 7};

    need_eq(hole, UL(page) + PAGE_SIZE);
    memset(page, 0xff, PAGE_SIZE);
    other = domu_create_empty();
    try_all(pointers, COUNT(pointers), virtual_edges, COUNT(virtual_edges));
    /* All but the last three, which take any address that can be. */
    try_all(pointers, COUNT(pointers) - 3, around, COUNT(around));
    try_all(frames, COUNT(frames), machine_edges, COUNT(machine_edges));
    try_all(&mapping, 1, device_edges, COUNT(device_edges));
    for (unsigned int i = 0; i < PAGE_SIZE - 7; i++)
        if (page[i] != 0xff) {
            expect_failed("byte %u before the hole was written", i);
            break;
        }
    expect_timer();
    test_pass();
}
