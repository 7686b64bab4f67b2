/* SPDX-License-Identifier: MIT */
/* The small hypercalls: sched_op, stack_switch, fpu_taskswitch, vm_assist, callback_op, physdev
 * and platform operations with bad requests.
 *
 * Cause: each is called by every kernel at boot, and a wrong answer there ends the boot.
 * Steps: each with good arguments, unknown sub-operations, bad values and bad memory.
 * Verdict: the errno values that kernels expect. */
#include "lib/guest.h"

static void check_sched(void)
{
    struct sched_poll poll = {0};

    expect_eq(hc_sched_op(SCHEDOP_yield, NULL), 0);
    expect_eq(hc_sched_op(99, NULL), -XEN_ENOSYS);
    expect_eq(hc_sched_op(SCHEDOP_shutdown, (void *)8), -XEN_EFAULT);
    poll.timeout = time_now() + 1000000;
    expect_eq(hc_sched_op(SCHEDOP_poll, &poll), 0); /* no ports: a sleep */
    expect(time_now() >= poll.timeout);
}

static void check_stack(void)
{
    expect_eq(hc_stack_switch(FLAT_KERNEL_SS, 0x1000), 0);
    expect_eq(hc_stack_switch(0, 0xffffffff80000000), 0);
    expect_eq(hc_stack_switch(FLAT_KERNEL_SS & ~3, 0), 0);
}

static void check_assist(void)
{
    expect_eq(hc_vm_assist(VMASST_CMD_enable, VMASST_TYPE_writable_pagetables), 0);
    expect_eq(hc_vm_assist(VMASST_CMD_enable, VMASST_TYPE_pae_extended_cr3), 0);
    expect_eq(hc_vm_assist(VMASST_CMD_enable, VMASST_TYPE_4gb_segments), 0);
    expect_eq(hc_vm_assist(VMASST_CMD_enable, VMASST_TYPE_runstate_update_flag), 0);
    expect_eq(hc_vm_assist(VMASST_CMD_disable, VMASST_TYPE_runstate_update_flag), 0);
    expect_eq(hc_vm_assist(VMASST_CMD_enable, 63), -XEN_EINVAL);
    expect_eq(hc_vm_assist(VMASST_CMD_enable, 64), -XEN_EINVAL);
    expect_eq(hc_vm_assist(7, VMASST_TYPE_writable_pagetables), -XEN_ENOSYS);
}

static void check_callbacks(void)
{
    struct callback_register cb = {.type = CALLBACKTYPE_event, .address = trap_stub(VEC_EVENT)};
    struct callback_unregister un = {.type = CALLBACKTYPE_nmi};

    expect_eq(hc_callback_op(CALLBACKOP_register, &cb), 0);
    cb.address = 0x8000000000000000;
    expect_eq(hc_callback_op(CALLBACKOP_register, &cb), -XEN_EINVAL);
    cb = (struct callback_register){.type = 99, .address = trap_stub(VEC_EVENT)};
    expect_eq(hc_callback_op(CALLBACKOP_register, &cb), -XEN_ENOSYS);
    expect_eq(hc_callback_op(CALLBACKOP_unregister, &un), 0);
    un.type = CALLBACKTYPE_sysenter;
    expect_eq(hc_callback_op(CALLBACKOP_unregister, &un), -XEN_EINVAL);
    un.type = CALLBACKTYPE_event;
    expect_eq(hc_callback_op(CALLBACKOP_unregister, &un), -XEN_EINVAL);
    expect_eq(hc_callback_op(99, &cb), -XEN_ENOSYS);
    expect_eq(hc_callback_op(CALLBACKOP_register, (void *)8), -XEN_EFAULT);
}

static void check_devices(void)
{
    struct physdev_eoi eoi = {.irq = 0x7fffffff};
    struct physdev_irq irq = {.irq = 9};
    struct xen_platform_op op = {.cmd = XENPF_firmware_info, .interface_version = 1};

    expect_eq(hc_physdev_op(PHYSDEVOP_eoi, &eoi), -XEN_EINVAL);
    expect_eq(hc_physdev_op(99, &eoi), -XEN_ENOSYS);
    expect_eq(hc_physdev_op(PHYSDEVOP_alloc_irq_vector, &irq), 0);
    expect_eq(hc_platform_op(&op), -XEN_EACCES);
    op.interface_version = XENPF_INTERFACE_VERSION;
    op.cmd = 9999;
    expect_eq(hc_platform_op(&op), -XEN_ENOSYS);
    op.cmd = XENPF_firmware_info;
    op.u.firmware_info.type = XEN_FW_DISK_INFO;
    op.u.firmware_info.index = 255;
    expect(hc_platform_op(&op) < 0); /* beyond the last: the loop of Linux must end */
    op.cmd = XENPF_firmware_info;
    op.u.firmware_info.type = XEN_FW_EFI_INFO;
    op.u.firmware_info.index = XEN_FW_EFI_VERSION;
    expect(hc_platform_op(&op) < 0); /* not booted by EFI */
    op = (struct xen_platform_op){.cmd = XENPF_get_cpuinfo,
                                  .interface_version = XENPF_INTERFACE_VERSION};
    expect_eq(hc_platform_op(&op), 0);
    expect_eq(op.u.pcpu_info.flags, XEN_PCPU_FLAGS_ONLINE);
    op.u.pcpu_info.xen_cpuid = 100;
    expect_eq(hc_platform_op(&op), 0);
    expect_eq(op.u.pcpu_info.flags & XEN_PCPU_FLAGS_INVALID, XEN_PCPU_FLAGS_INVALID);
}

void test_main(void)
{
    check_sched();
    check_stack();
    check_assist();
    check_callbacks();
    check_devices();
    expect_eq(hc_set_timer_op(0), 0);
    test_pass();
}
