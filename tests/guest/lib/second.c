/* SPDX-License-Identifier: MIT */
/* The second vcpu. Its upcall clears upcall_pending and returns: functions look at the pending bits
 * themselves. */
#include "lib/second.h"

extern char vs_entry[], vs_upcall[];
static char stack[16384] __attribute__((aligned(16)));
static void (*second_function)(void);
vcpu_info_t *second_info; /* evtchn_upcall_pending is its first byte */
void second_begin(void);

asm(".text; vs_entry: call second_begin; ud2\n"
    "vs_upcall: pop %rcx; pop %r11; push $0; push %rcx; push %r11; push %rax;"
    "mov second_info(%rip), %rax; movb $0, (%rax); mov $23, %eax; syscall");

void second_begin(void)
{
    for (;;) {
        second_function();
        hc_vcpu_op(VCPUOP_down, 1, NULL);
    }
}

void second_start(void (*function)(void))
{
    static struct vcpu_guest_context c;
    long ret;

    second_function = function;
    second_info = &shared_info->vcpu_info[1];
    c.flags = VGCF_in_kernel;
    c.user_regs.rip = UL(vs_entry);
    c.user_regs.rsp = UL(stack) + sizeof(stack);
    c.user_regs.cs = FLAT_KERNEL_CS;
    c.user_regs.ss = FLAT_KERNEL_SS;
    c.user_regs.rflags = 0x200;
    c.kernel_ss = FLAT_KERNEL_SS;
    c.kernel_sp = c.user_regs.rsp;
    c.event_callback_eip = UL(vs_upcall);
    c.ctrlreg[3] = xen_pfn_to_cr3(virt_to_mfn(kernel_l4()));
    ret = hc_vcpu_op(VCPUOP_is_up, 1, NULL);
    if (ret == -XEN_ENOENT)
        test_skip("domain 0 has one vcpu");
    ret = hc_vcpu_op(VCPUOP_initialise, 1, &c);
    if (ret != -XEN_EEXIST)
        need_eq(ret, 0);
    need_eq(hc_vcpu_op(VCPUOP_stop_periodic_timer, 1, NULL), 0);
    need_eq(hc_vcpu_op(VCPUOP_up, 1, NULL), 0);
}

bool second_wait(void)
{
    uint64_t end = time_now() + 2000000000ul;

    while (hc_vcpu_op(VCPUOP_is_up, 1, NULL) == 1 && time_now() < end)
        hc_sched_op(SCHEDOP_yield, NULL);
    return hc_vcpu_op(VCPUOP_is_up, 1, NULL) == 0;
}

void wait_until(const volatile unsigned int *what, unsigned int want)
{
    uint64_t end = time_now() + 2000000000ul;

    while (*what < want && time_now() < end)
        hc_sched_op(SCHEDOP_yield, NULL);
    expect(*what >= want);
}

unsigned int second_bind_ipi(void)
{
    struct evtchn_bind_ipi ipi = {.vcpu = 1};

    need_eq(hc_event_channel_op(EVTCHNOP_bind_ipi, &ipi), 0);
    return ipi.port;
}
