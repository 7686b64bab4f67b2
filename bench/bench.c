/* SPDX-License-Identifier: MIT */
/* What a paravirtual domain does by itself: hypercalls, page tables, traps, events, grants. It runs
 * as domain 0 on Argon and on Debian's Xen alike; bench/run prints the table of both. */
#include "lib/guest.h"
#include "bench.h"

/* Handlers that do nothing but skip the two-byte instruction (or none) and return by hypercall. */
extern char bench_skip2[], bench_same[], bench_fault[], bench_syscall[], bench_upcall[];
asm(".text\n"
    "bench_skip2: pop %rcx; pop %r11; addq $2, (%rsp); jmp bench_iret\n"
    "bench_fault: pop %rcx; pop %r11; add $8, %rsp; addq $3, (%rsp); jmp bench_iret\n"
    "bench_upcall: mov vcpu_info(%rip), %rcx; movb $0, (%rcx)\n"
    "bench_same: pop %rcx; pop %r11\n"
    "bench_iret: push $0; push %rcx; push %r11; push %rax; mov $23, %eax; syscall\n"
    "bench_syscall: test %rdi, %rdi; jnz 1f\n"
    "    pop %rcx; pop %r11; push $0x100; push %rcx; push %r11; push %rax\n"
    "    mov $23, %eax; syscall\n"
    "1:  jmp trap_stubs + 16 * 258\n");

extern char user_begin[], user_end[];
asm(".section .rodata\n"
    "user_begin: xor %edi, %edi; lfence; rdtsc; mov %rax, %rbx; mov %rdx, %rbp\n"
    "    syscall\n"
    "    lfence; rdtsc; shl $32, %rdx; or %rdx, %rax; shl $32, %rbp; or %rbp, %rbx\n"
    "    sub %rbx, %rax; mov $1, %edi; syscall\n"
    "user_end: .text");

static void bench_calls(void)
{
    static struct multicall_entry calls[10];

    BENCH("null_hypercall", , hc_xen_version(XENVER_version, NULL));
    BENCH("unknown_hypercall", , hypercall0(63));
    BENCH("sched_yield", , hc_sched_op(SCHEDOP_yield, NULL));
    BENCH("fpu_taskswitch", , hc_fpu_taskswitch(0));
    BENCH("stack_switch", , hc_stack_switch(FLAT_KERNEL_SS, UL(calls)));
    BENCH("set_segment_base", , hc_set_segment_base(SEGBASE_FS, 0));
    BENCH("set_timer_op_0", , hc_set_timer_op(0));
    for (unsigned int i = 0; i < 10; i++)
        calls[i].op = __HYPERVISOR_xen_version;
    BENCH("multicall_10", , hc_multicall(calls, 10));
}

static void bench_events(void)
{
    unsigned int port = event_bind_ipi();

    event_send(port);
    BENCH("evtchn_send_pending", , event_send(port));
    BENCH("evtchn_send", event_clear(port), event_send(port));
    BENCH("evtchn_alloc_close", , event_close(event_alloc_self()));
    event_clear(port);
    shared_info->evtchn_mask[port / 64] &= ~(1ul << port % 64);
    {
        struct callback_register cb = {.type = CALLBACKTYPE_event, .address = UL(bench_upcall)};

        hc_callback_op(CALLBACKOP_register, &cb);
        vcpu_info->evtchn_upcall_mask = 0;
        BENCH("evtchn_send_upcall", (event_clear(port), vcpu_info->evtchn_pending_sel = 0),
              event_send(port));
        vcpu_info->evtchn_upcall_mask = 1;
        cb.address = trap_stub(VEC_EVENT);
        hc_callback_op(CALLBACKOP_register, &cb);
    }
    event_mask(port);
    event_close(port);
}

static void bench_mappings(void)
{
    static struct mmu_update reqs[2][128];
    static pte_t *pte;
    uint64_t *page = page_alloc(), entry;
    pte_t *l1 = page_alloc();

    pte = pte_lookup(page, 1);
    entry = mfn_pte(virt_to_mfn(page), PTE_KERNEL);
    BENCH("update_va_none", , hc_update_va_mapping(UL(page), entry, UVMF_NONE));
    BENCH("update_va_invlpg", , hc_update_va_mapping(UL(page), entry, UVMF_INVLPG));
    BENCH("ro_rw_toggle", , (page_set_ro(page), page_set_rw(page)));
    BENCH("pin_unpin_l1", , ({
              page_set_ro(l1);
              mmuext(MMUEXT_PIN_L1_TABLE, virt_to_mfn(l1));
              mmuext(MMUEXT_UNPIN_TABLE, virt_to_mfn(l1));
              page_set_rw(l1);
          }));
    BENCH("mmu_update_1", , mmu_set(pte, entry));
    BENCH("mmu_unmap_map", , (mmu_set(pte, 0), mmu_set(pte, entry)));
    for (unsigned int i = 0; i < 128; i++) {
        void *p = page_alloc();

        reqs[0][i] = (struct mmu_update){virt_to_maddr(pte_lookup(p, 1)), 0};
        reqs[1][i] = reqs[0][i];
        reqs[1][i].val = mfn_pte(virt_to_mfn(p), PTE_KERNEL);
    }
    BENCH("mmu_update_2x128", ,
          (hc_mmu_update(reqs[0], 128, NULL, DOMID_SELF),
           hc_mmu_update(reqs[1], 128, NULL, DOMID_SELF)));
    need_eq(hc_vm_assist(VMASST_CMD_enable, VMASST_TYPE_writable_pagetables), 0);
    BENCH("emulated_l1_write", , *(volatile pte_t *)pte = entry);
    BENCH("tlb_flush_local", , mmuext(MMUEXT_TLB_FLUSH_LOCAL, 0));
    BENCH("new_baseptr_same", , mmuext(MMUEXT_NEW_BASEPTR, virt_to_mfn(kernel_l4())));
}

/* To another L4 and back, as a kernel does between two processes. */
static void bench_base_switch(void)
{
    pte_t *old = kernel_l4(), *l4 = page_alloc();

    for (unsigned int i = 0; i < 512; i++)
        if (i < 256 || i > 271)
            l4[i] = old[i];
    need_eq(page_set_ro(l4), 0);
    need_eq(mmuext(MMUEXT_PIN_L4_TABLE, virt_to_mfn(l4)), 0);
    BENCH("new_baseptr_other", ,
          (mmuext(MMUEXT_NEW_BASEPTR, virt_to_mfn(l4)),
           mmuext(MMUEXT_NEW_BASEPTR, virt_to_mfn(old))));
}

static void bench_emulation(void)
{
    struct physdev_set_iopl iopl = {.iopl = 1};

    hc_physdev_op(PHYSDEVOP_set_iopl, &iopl);
    BENCH("forced_cpuid", ,
          asm volatile(".byte 0x0f, 0x0b, 'x', 'e', 'n'; cpuid" ::"a"(1), "c"(0)
                       : "rbx", "rdx"));
    BENCH("read_cr0", , asm volatile("mov %%cr0, %%rax" ::: "rax"));
    BENCH("rdmsr_efer", , asm volatile("rdmsr" ::"c"(0xc0000080) : "rax", "rdx"));
    BENCH("port_read", , asm volatile("in %%dx, %%al" ::"d"(0x80) : "rax"));
}

static void bench_bounce(void)
{
    static uint64_t *hole;

    need_eq(trap_set(VEC_UD, 0, UL(bench_skip2)), 0);
    need_eq(trap_set(VEC_PF, 0, UL(bench_fault)), 0);
    need_eq(trap_set(VEC_BP, 3, UL(bench_same)), 0);
    hole = hole_alloc();
    BENCH("ud_bounce", , asm volatile("ud2" ::: "memory"));
    BENCH("pf_bounce", , asm volatile("mov (%0), %%rax" ::"b"(hole) : "rax", "memory"));
    BENCH("int3_bounce", , asm volatile("int3" ::: "memory"));
    BENCH("iret", ,
          asm volatile("mov %%rsp, %%rbx; push $0xe02b; push %%rbx; push $0x202; push $0xe030;"
                       "lea 1f(%%rip), %%rax; push %%rax; push $0; push $0; push $0; push $0;"
                       "mov $23, %%eax; syscall; 1:" ::
                           : "rax", "rbx", "rcx", "r11", "memory"));
    trap_init();
}

static void bench_user(void)
{
    struct callback_register cb = {
        .type = CALLBACKTYPE_syscall, .address = UL(bench_syscall), .flags = CALLBACKF_mask_events};
    struct regs regs;

    user_init(user_begin, user_end);
    need_eq(hc_callback_op(CALLBACKOP_register, &cb), 0);
    for (unsigned int i = 0; i < RUNS; i++) {
        user_regs(&regs);
        user_run(&regs);
        record(i, regs.rax);
    }
    printf("BENCH user_syscall %lu %lu\n", best, total / RUNS);
}

#define REF 10

static void bench_grants(void)
{
    struct gnttab_setup_table s = {.dom = DOMID_SELF, .nr_frames = 1};
    struct gnttab_map_grant_ref m = {.flags = GNTMAP_host_map, .ref = REF};
    struct gnttab_unmap_grant_ref u = {0};
    struct gnttab_copy c = {.flags = GNTCOPY_source_gref, .len = 1};
    void *page = page_alloc(), *dest = page_alloc();
    grant_entry_v1_t *table = hole_alloc();
    xen_pfn_t frame = 0;

    set_xen_guest_handle(s.frame_list, &frame);
    need_eq(hc_grant_table_op(GNTTABOP_setup_table, &s, 1), 0);
    need_eq(s.status, GNTST_okay);
    need_eq(hc_update_va_mapping(UL(table), mfn_pte(frame, PTE_KERNEL), UVMF_INVLPG), 0);
    table[REF].frame = virt_to_mfn(page);
    table[REF].flags = GTF_permit_access;
    u.host_addr = m.host_addr = UL(hole_alloc());
    BENCH("grant_map_unmap", , ({
              hc_grant_table_op(GNTTABOP_map_grant_ref, &m, 1);
              u.handle = m.handle;
              hc_grant_table_op(GNTTABOP_unmap_grant_ref, &u, 1);
          }));
    need_eq(m.status, GNTST_okay);
    need_eq(u.status, GNTST_okay);
    c.source.u.ref = REF;
    c.source.domid = 0;
    c.dest.domid = DOMID_SELF;
    c.dest.u.gmfn = virt_to_mfn(dest);
    BENCH("grant_copy_1", , hc_grant_table_op(GNTTABOP_copy, &c, 1));
    c.len = PAGE_SIZE;
    BENCH("grant_copy_4096", , hc_grant_table_op(GNTTABOP_copy, &c, 1));
    need_eq(c.status, GNTST_okay);
}

void test_main(void)
{
    printf("BENCH entry %lu %lu\n", entry_tsc, entry_tsc);
    hc_vcpu_op(VCPUOP_stop_periodic_timer, 0, NULL);
    bench_begin();
    bench_calls();
    bench_events();
    bench_mappings();
    bench_base_switch();
    bench_emulation();
    bench_bounce();
    bench_grants();
    bench_user();
    test_pass();
}
