/* SPDX-License-Identifier: MIT */
/* A second vcpu: initialise, up, events between the two, down and up again.
 *
 * Cause: each CPU of a kernel starts this way, and stops when it is unplugged.
 * Steps: refuse bad contexts; start vcpu 1 in C code of ours; send it events and take its
 * answers; look at its runstate; take it down and bring it back; flush its TLB by mask.
 * Verdict: it runs where its context says, with its registers; refusals are as the header says.
 * Options: dom0_max_vcpus=2
 */
#include "lib/guest.h"

static volatile unsigned int stage;
static volatile uint64_t seen_rsi, seen_fs;
static unsigned int to_second, to_first;
static uint64_t fs_word = 0xf5;
extern char second_entry[], second_upcall[];
void second_main(uint64_t rsi);

asm(".text; second_entry: mov %rsi, %rdi; call second_main; ud2\n"
    "second_upcall: pop %rcx; pop %r11; push $0; push %rcx; push %r11; push %rax; mov $23, %eax;"
    "syscall");

/* Runs on vcpu 1: answers each event with one, goes down when told. */
void second_main(uint64_t rsi)
{
    vcpu_info_t *info = &shared_info->vcpu_info[1];
    uint64_t v;

    seen_rsi = rsi;
    asm volatile("mov %%fs:0, %0" : "=r"(v));
    seen_fs = v;
    for (;;) {
        stage++;
        while (!event_pending(to_second)) {
            info->evtchn_upcall_pending = 0;
            info->evtchn_pending_sel = 0;
            barrier();
            if (!event_pending(to_second))
                hc_sched_op(SCHEDOP_yield, NULL);
        }
        event_clear(to_second);
        event_send(to_first);
        if (stage == 3)
            hc_vcpu_op(VCPUOP_down, 1, NULL);
    }
}

/* Yield until stage is reached, a second at most. */
static void wait_stage(unsigned int want)
{
    uint64_t end = time_now() + 1000000000ul;

    while (stage < want && time_now() < end)
        hc_sched_op(SCHEDOP_yield, NULL);
    expect_eq(stage, want);
}

static void fill(struct vcpu_guest_context *c)
{
    static char stack[8192] __attribute__((aligned(16)));

    memset(c, 0, sizeof(*c));
    c->flags = VGCF_in_kernel;
    c->user_regs.rip = UL(second_entry);
    c->user_regs.rsp = UL(stack) + sizeof(stack);
    c->user_regs.rsi = 0x51515151;
    c->user_regs.cs = FLAT_KERNEL_CS;
    c->user_regs.ss = FLAT_KERNEL_SS;
    c->user_regs.rflags = 0x200;
    c->kernel_ss = FLAT_KERNEL_SS;
    c->kernel_sp = c->user_regs.rsp;
    c->event_callback_eip = UL(second_upcall);
    c->failsafe_callback_eip = trap_stub(VEC_FAILSAFE);
    c->syscall_callback_eip = trap_stub(VEC_SYSCALL);
    c->fs_base = UL(&fs_word);
    c->ctrlreg[0] = 0x80050033;
    c->ctrlreg[3] = xen_pfn_to_cr3(virt_to_mfn(kernel_l4()));
}

static void check_refusals(struct vcpu_guest_context *c)
{
    expect_eq(hc_vcpu_op(VCPUOP_is_up, 1, NULL), 0);
    expect_eq(hc_vcpu_op(VCPUOP_up, 1, NULL), -XEN_EINVAL); /* not initialised */
    expect_eq(hc_vcpu_op(VCPUOP_initialise, 2, c), -XEN_ENOENT);
    expect_eq(hc_vcpu_op(VCPUOP_initialise, 1, (void *)8), -XEN_EFAULT);
    fill(c);
    c->event_callback_eip = 0x8000000000000000;
    expect_eq(hc_vcpu_op(VCPUOP_initialise, 1, c), -XEN_EINVAL);
    fill(c);
    c->fs_base = 0x8000000000000000;
    expect_eq(hc_vcpu_op(VCPUOP_initialise, 1, c), -XEN_EINVAL);
    fill(c);
    c->gdt_ents = 8000;
    expect_eq(hc_vcpu_op(VCPUOP_initialise, 1, c), -XEN_EINVAL);
    fill(c);
    c->ctrlreg[3] = xen_pfn_to_cr3(virt_to_mfn(page_alloc()));
    expect(hc_vcpu_op(VCPUOP_initialise, 1, c) < 0);
    expect_eq(hc_vcpu_op(VCPUOP_initialise, 0, c), -XEN_EEXIST);
}

static void bind_ports(void)
{
    struct evtchn_bind_ipi ipi = {.vcpu = 1};

    to_first = event_bind_ipi();
    need_eq(hc_event_channel_op(EVTCHNOP_bind_ipi, &ipi), 0);
    to_second = ipi.port;
}

static void check_running(void)
{
    struct vcpu_runstate_info info;
    struct mmuext_op flush = {.cmd = MMUEXT_TLB_FLUSH_MULTI};
    static unsigned long mask = 3;
    unsigned int n;

    expect_eq(seen_rsi, 0x51515151);
    expect_eq(seen_fs, 0xf5);
    expect_eq(hc_vcpu_op(VCPUOP_is_up, 1, NULL), 1);
    expect_eq(hc_vcpu_op(VCPUOP_get_runstate_info, 1, &info), 0);
    expect(info.state == RUNSTATE_runnable || info.state == RUNSTATE_running);
    event_unmask(to_first);
    events_enable();
    n = event_count[to_first];
    expect_eq(event_send(to_second), 0);
    wait_stage(2);
    expect_eq(event_count[to_first], n + 1);
    set_xen_guest_handle(flush.arg2.vcpumask, &mask);
    expect_eq(hc_mmuext_op(&flush, 1, NULL, DOMID_SELF), 0);
}

static void check_down(void)
{
    uint64_t end = time_now() + 1000000000ul;

    event_send(to_second);
    wait_stage(3);
    event_send(to_second);
    while (hc_vcpu_op(VCPUOP_is_up, 1, NULL) == 1 && time_now() < end)
        hc_sched_op(SCHEDOP_yield, NULL);
    expect_eq(hc_vcpu_op(VCPUOP_is_up, 1, NULL), 0);
    expect_eq(stage, 3);
    expect_eq(hc_vcpu_op(VCPUOP_up, 1, NULL), 0);
    wait_stage(4); /* goes on behind its own "down" */
}

void test_main(void)
{
    static struct vcpu_guest_context context;

    if (hc_vcpu_op(VCPUOP_is_up, 1, NULL) == -XEN_ENOENT)
        test_skip("domain 0 has one vcpu");
    hc_vcpu_op(VCPUOP_stop_periodic_timer, 0, NULL);
    check_refusals(&context);
    bind_ports();
    fill(&context);
    expect_eq(hc_vcpu_op(VCPUOP_initialise, 1, &context), 0);
    expect_eq(hc_vcpu_op(VCPUOP_initialise, 1, &context), -XEN_EEXIST);
    expect_eq(hc_vcpu_op(VCPUOP_is_up, 1, NULL), 0);
    expect_eq(stage, 0);
    expect_eq(hc_vcpu_op(VCPUOP_up, 1, NULL), 0);
    wait_stage(1);
    check_running();
    check_down();
    test_pass();
}
