/* SPDX-License-Identifier: MIT */
/* Making the hypervisor write where the guest may not: output buffers in page tables.
 *
 * Cause: the hypervisor writes at supervisor level, and what it writes to is the guest's
 * choice.
 * Steps: pass read-only pages, page tables and descriptor tables as output; register a runstate
 * area, then turn its page into a page table; make hypercalls with the stack pointer in the
 * hypervisor.
 * Verdict: -EFAULT, or silently nothing; no table ever changes. */
#include "lib/guest.h"

static pte_t *table;

static void check_table_unchanged(const char *what)
{
    for (unsigned int i = 0; i < 512; i++)
        if (table[i]) {
            expect_failed("%s: entry %u became %#lx", what, i, table[i]);
            return;
        }
}

static void check_outputs(void)
{
    struct gnttab_query_size *q = (void *)table;
    unsigned int port = event_bind_ipi();
    struct mmu_update req = {virt_to_maddr(page_alloc()), 1};

    expect_eq(hc_xen_version(XENVER_extraversion, table), -XEN_EFAULT);
    expect_eq(hc_xen_version(XENVER_commandline, table), -XEN_EFAULT);
    check_table_unchanged("xen_version");
    expect_eq(hc_memory_op(XENMEM_machphys_mapping, table), -XEN_EFAULT);
    check_table_unchanged("machphys_mapping");
    expect_eq(hc_event_channel_op(EVTCHNOP_alloc_unbound, table), -XEN_EFAULT);
    check_table_unchanged("alloc_unbound");
    expect(hc_grant_table_op(GNTTABOP_query_size, q, 1) < 0);
    check_table_unchanged("query_size");
    hc_mmu_update(&req, 1, (unsigned int *)table, DOMID_SELF);
    check_table_unchanged("mmu_update's count");
    expect(hc_vcpu_op(VCPUOP_get_runstate_info, 0, table) < 0);
    check_table_unchanged("get_runstate_info");
    hc_multicall(table, 1); /* its entry is hypercall 0; the result has to go nowhere */
    check_table_unchanged("multicall");
    trap_init();
    event_close(port);
}

static void check_runstate(void)
{
    uint8_t *page = page_alloc();
    struct vcpu_register_runstate_memory_area reg = {0};
    struct vcpu_set_singleshot_timer t = {0};
    unsigned int port = event_bind_virq(VIRQ_TIMER);

    set_xen_guest_handle(reg.addr.h, (void *)(page + 512));
    need_eq(hc_vcpu_op(VCPUOP_register_runstate_memory_area, 0, &reg), 0);
    expect(page[512] == RUNSTATE_running);
    memset(page, 0, PAGE_SIZE);
    need_eq(page_set_ro(page), 0);
    table = (pte_t *)page;
    /* The area is a virtual address: it keeps no hold of the page. */
    need_eq(page_set_rw(page), 0);
    memset(page, 0, PAGE_SIZE);
    need_eq(page_set_ro(page), 0);
    need_eq(mmuext(MMUEXT_PIN_L1_TABLE, virt_to_mfn(page)), 0);
    hc_vcpu_op(VCPUOP_stop_periodic_timer, 0, NULL);
    event_unmask(port);
    t.timeout_abs_ns = time_now() + 3000000;
    need_eq(hc_vcpu_op(VCPUOP_set_singleshot_timer, 0, &t), 0);
    need_eq(hc_sched_op(SCHEDOP_block, NULL), 0);
    events_disable();
    check_table_unchanged("runstate area");
    expect_eq(mmuext(MMUEXT_UNPIN_TABLE, virt_to_mfn(page)), 0);
}

/* The hypervisor has a stack of its own: ours does not matter to a hypercall. */
static void check_stack_pointer(uint64_t sp)
{
    long ret = __HYPERVISOR_xen_version;

    asm volatile("mov %%rsp, %%rbx; mov %[sp], %%rsp; syscall; mov %%rbx, %%rsp"
                 : "+a"(ret)
                 : [sp] "r"(sp), "D"(XENVER_version), "S"(0)
                 : "rbx", "rcx", "r11", "memory");
    expect_eq(ret, (4 << 16) | 17);
}

void test_main(void)
{
    table = table_alloc();
    need_eq(mmuext(MMUEXT_PIN_L1_TABLE, virt_to_mfn(table)), 0);
    check_outputs();
    check_stack_pointer(0);
    check_stack_pointer(0xffff830000001000);
    check_stack_pointer(0x8000000000000000);
    check_stack_pointer(UL(table));
    check_table_unchanged("stack in a page table");
    check_runstate();
    test_pass();
}
