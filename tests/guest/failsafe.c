/* SPDX-License-Identifier: MIT */
/* The failsafe callback: segment selectors that go stale while the hypervisor has the
 * processor.
 *
 * Cause: on the way back to the guest its DS, ES, FS and GS are loaded again; their descriptors
 * may be gone by then. It is not the fault of an instruction, so it has a callback of its own.
 * Steps: load selectors from our GDT, take the descriptors away, give up the processor.
 * Verdict: either the failsafe callback runs with the stale selectors in its frame, above rcx
 * and r11, or the hypervisor never reloads them and all goes on; in both cases the machine and
 * we survive. */
#include "lib/guest.h"

#define DATA 0x00cff2000000ffffull

extern char failsafe_entry[];
uint64_t failsafe_words[11], failsafe_seen;

/* Frame: rcx, r11, ds, es, fs, gs, rip, cs, rflags, rsp, ss. */
asm(".text; .globl failsafe_entry\n"
    "failsafe_entry: push %rax; push %rbx; lea 16(%rsp), %rbx; incq failsafe_seen(%rip)\n"
    "    .irp i, 0, 8, 16, 24, 32, 40, 48, 56, 64, 72, 80\n"
    "    mov \\i(%rbx), %rax; mov %rax, failsafe_words+\\i(%rip)\n"
    "    .endr\n"
    "    xor %eax, %eax; mov %eax, %ds; mov %eax, %es; mov %eax, %fs; mov %eax, %gs\n"
    "    pop %rbx; pop %rax; pop %rcx; pop %r11; add $32, %rsp\n"
    "    push $0; push %rcx; push %r11; push %rax; mov $23, %eax; syscall");

void test_main(void)
{
    struct callback_register cb = {.type = CALLBACKTYPE_failsafe,
                                   .address = UL(failsafe_entry),
                                   .flags = CALLBACKF_mask_events};
    struct vcpu_set_singleshot_timer t = {0};
    uint64_t *gdt = page_alloc();
    unsigned long frame = virt_to_mfn(gdt), sp;
    unsigned int port = event_bind_virq(VIRQ_TIMER);
    uint16_t ds;

    for (unsigned int i = 1; i < 8; i++)
        gdt[i] = DATA;
    need_eq(page_set_ro(gdt), 0);
    need_eq(hc_set_gdt(&frame, 512), 0);
    need_eq(hc_callback_op(CALLBACKOP_register, &cb), 0);
    asm volatile("mov %0, %%ds; mov %1, %%fs; mov %2, %%gs" ::"r"(0x0b), "r"(0x13), "r"(0x1b));
    for (unsigned int i = 1; i < 8; i++)
        need_eq(hc_update_descriptor(virt_to_maddr(&gdt[i]), 0), 0);

    /* Idle for a while: the selectors are saved when the vcpu leaves and loaded when it returns. */
    hc_vcpu_op(VCPUOP_stop_periodic_timer, 0, NULL);
    event_unmask(port);
    t.timeout_abs_ns = time_now() + 5000000;
    need_eq(hc_vcpu_op(VCPUOP_set_singleshot_timer, 0, &t), 0);
    asm volatile("mov %%rsp, %0" : "=r"(sp));
    need_eq(hc_sched_op(SCHEDOP_block, NULL), 0);
    events_disable();
    asm volatile("mov %%ds, %0" : "=r"(ds));
    printf("failsafe %lu times, ds %#x\n", failsafe_seen, ds);
    expect_eq(event_count[port], 1);
    if (failsafe_seen) {
        expect_eq(failsafe_seen, 1);
        expect_eq(failsafe_words[2] & 0xffff, 0x0b);
        expect_eq(failsafe_words[4] & 0xffff, 0x13);
        expect_eq(failsafe_words[5] & 0xffff, 0x1b);
        expect_eq(failsafe_words[7] & 0xffff, FLAT_KERNEL_CS & ~3);
        expect(failsafe_words[9] - sp < 4096 || sp - failsafe_words[9] < 4096);
        expect_eq(ds, 0);
    }
    /* The last mapping as a descriptor table goes with set_gdt. */
    expect_eq(hc_set_gdt(NULL, 0), 0);
    expect_eq(page_set_rw(gdt), 0);
    test_pass();
}
