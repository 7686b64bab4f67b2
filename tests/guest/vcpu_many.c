/* SPDX-License-Identifier: MIT */
/* Forty vcpus: those beyond the 32 that shared_info has room for.
 *
 * Cause: a vcpu whose vcpu_info is nowhere must not run, and its events must not go astray.
 * Steps: bring vcpu 33 up without and with a registered vcpu_info; bring all others up; each sends
 * us one event and gets one; flush the TLB of all by mask; ask for vcpus beyond the last.
 * Verdict: refused before registration, fine after; forty answers, no event lost.
 * Options: dom0_max_vcpus=40
 */
#include "lib/guest.h"

#define NR 40u

static vcpu_info_t infos[64] __attribute__((aligned(4096)));
static char stacks[NR][1024] __attribute__((aligned(16)));
static volatile unsigned int started, answered;
static unsigned int to_first, to[NR];
extern char many_entry[];
void many_main(unsigned long id);

asm(".text; many_entry: call many_main; ud2");

static vcpu_info_t *info_of(unsigned int id)
{
    return id < 32 ? &shared_info->vcpu_info[id] : &infos[id];
}

/* Takes its event, answers it, goes down. */
void many_main(unsigned long id)
{
    struct sched_poll poll = {.nr_ports = 1};
    evtchn_port_t port = to[id];

    set_xen_guest_handle(poll.ports, &port);
    __atomic_fetch_add(&started, 1, __ATOMIC_SEQ_CST);
    while (!event_pending(to[id]))
        hc_sched_op(SCHEDOP_poll, &poll);
    event_clear(to[id]);
    __atomic_fetch_add(&answered, 1, __ATOMIC_SEQ_CST);
    event_send(to_first);
    hc_vcpu_op(VCPUOP_down, id, NULL);
}

static void fill(struct vcpu_guest_context *c, unsigned int id)
{
    memset(c, 0, sizeof(*c));
    c->flags = VGCF_in_kernel;
    c->user_regs.rip = UL(many_entry);
    c->user_regs.rsp = UL(stacks[id]) + sizeof(stacks[id]);
    c->user_regs.rdi = id;
    c->user_regs.cs = FLAT_KERNEL_CS;
    c->user_regs.ss = FLAT_KERNEL_SS;
    c->user_regs.rflags = 0x200;
    c->kernel_ss = FLAT_KERNEL_SS;
    c->kernel_sp = c->user_regs.rsp;
    c->ctrlreg[3] = xen_pfn_to_cr3(virt_to_mfn(kernel_l4()));
}

static long register_info(unsigned int id)
{
    struct vcpu_register_vcpu_info r = {.mfn = virt_to_mfn(infos),
                                        .offset = (UL(&infos[id]) - UL(infos)) % PAGE_SIZE};

    return hc_vcpu_op(VCPUOP_register_vcpu_info, id, &r);
}

static void wait_for(const volatile unsigned int *what, unsigned int want)
{
    uint64_t end = time_now() + 1000000000ul;

    while (*what < want && time_now() < end)
        hc_sched_op(SCHEDOP_yield, NULL);
    expect_eq(*what, want);
}

void test_main(void)
{
    static struct vcpu_guest_context c;
    static unsigned long mask[1] = {~0ul};
    struct mmuext_op flush = {.cmd = MMUEXT_TLB_FLUSH_MULTI};

    if (hc_vcpu_op(VCPUOP_is_up, NR - 1, NULL) == -XEN_ENOENT)
        test_skip("domain 0 has fewer vcpus");
    hc_vcpu_op(VCPUOP_stop_periodic_timer, 0, NULL);
    expect_eq(hc_vcpu_op(VCPUOP_is_up, NR, NULL), -XEN_ENOENT);
    expect_eq(hc_vcpu_op(VCPUOP_is_up, 8191, NULL), -XEN_ENOENT);
    expect_eq(hc_vcpu_op(VCPUOP_is_up, 0xffffffff, NULL), -XEN_ENOENT);
    fill(&c, 33);
    expect(hc_vcpu_op(VCPUOP_initialise, 33, &c) < 0);
    expect_eq(hc_vcpu_op(VCPUOP_up, 33, NULL), -XEN_EINVAL);
    to_first = event_bind_ipi();
    need_eq(event_unmask(to_first), 0);
    for (unsigned int id = 1; id < NR; id++) {
        struct evtchn_bind_ipi ipi = {.vcpu = id};

        if (id >= 32)
            expect_eq(register_info(id), 0);
        info_of(id)->evtchn_upcall_mask = 1;
        need_eq(hc_event_channel_op(EVTCHNOP_bind_ipi, &ipi), 0);
        to[id] = ipi.port;
        fill(&c, id);
        expect_eq(hc_vcpu_op(VCPUOP_initialise, id, &c), 0);
        expect_eq(hc_vcpu_op(VCPUOP_up, id, NULL), 0);
    }
    wait_for(&started, NR - 1);
    set_xen_guest_handle(flush.arg2.vcpumask, mask);
    expect_eq(hc_mmuext_op(&flush, 1, NULL, DOMID_SELF), 0);
    for (unsigned int id = 1; id < NR; id++)
        expect_eq(event_send(to[id]), 0);
    events_enable();
    wait_for(&answered, NR - 1);
    expect(event_count[to_first] >= 1);
    for (unsigned int id = 1; id < NR; id++) {
        uint64_t end = time_now() + 100000000ul;

        while (hc_vcpu_op(VCPUOP_is_up, id, NULL) == 1 && time_now() < end)
            hc_sched_op(SCHEDOP_yield, NULL);
        expect_eq(hc_vcpu_op(VCPUOP_is_up, id, NULL), 0);
    }
    test_pass();
}
