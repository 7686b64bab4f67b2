/* SPDX-License-Identifier: MIT */
/* Hypercalls of a 64-bit kernel: `syscall` (a fully virtual one, GUEST_HVM: `vmmcall`) with the
 * number in rax and arguments in rdi, rsi, rdx, r10, r8; syscall loses rcx and r11 (public header
 * arch-x86/xen-x86_64.h). Arguments that are
 * guest pointers are plain unsigned long or void *, so tests can pass bad ones. */
#ifndef GUEST_LIB_HYPERCALL_H
#define GUEST_LIB_HYPERCALL_H

#include <stdint.h>
#include <xen/xen.h>

#ifdef GUEST_HVM
#define HYPERCALL_INSTRUCTION "vmmcall"
#else
#define HYPERCALL_INSTRUCTION "syscall"
#endif

static inline long hypercall(unsigned long nr, unsigned long a1, unsigned long a2, unsigned long a3,
                             unsigned long a4, unsigned long a5)
{
    long ret;
    register unsigned long r10 asm("r10") = a4;
    register unsigned long r8 asm("r8") = a5;

    asm volatile(HYPERCALL_INSTRUCTION
                 : "=a"(ret), "+D"(a1), "+S"(a2), "+d"(a3), "+r"(r10), "+r"(r8)
                 : "a"(nr)
                 : "rcx", "r11", "memory");
    return ret;
}

#define UL(x)                      ((unsigned long)(x))
#define hypercall0(nr)             hypercall(nr, 0, 0, 0, 0, 0)
#define hypercall1(nr, a)          hypercall(nr, UL(a), 0, 0, 0, 0)
#define hypercall2(nr, a, b)       hypercall(nr, UL(a), UL(b), 0, 0, 0)
#define hypercall3(nr, a, b, c)    hypercall(nr, UL(a), UL(b), UL(c), 0, 0)
#define hypercall4(nr, a, b, c, d) hypercall(nr, UL(a), UL(b), UL(c), UL(d), 0)

static inline long hc_set_trap_table(const void *table)
{
    return hypercall1(__HYPERVISOR_set_trap_table, table);
}

static inline long hc_mmu_update(const void *req, unsigned int n, unsigned int *done,
                                 unsigned int foreign)
{
    return hypercall4(__HYPERVISOR_mmu_update, req, n, done, foreign);
}

static inline long hc_mmuext_op(const void *op, unsigned int n, unsigned int *done,
                                unsigned int foreign)
{
    return hypercall4(__HYPERVISOR_mmuext_op, op, n, done, foreign);
}

static inline long hc_update_va_mapping(unsigned long va, uint64_t pte, unsigned long flags)
{
    return hypercall3(__HYPERVISOR_update_va_mapping, va, pte, flags);
}

static inline long hc_set_gdt(const void *frames, unsigned int entries)
{
    return hypercall2(__HYPERVISOR_set_gdt, frames, entries);
}

static inline long hc_update_descriptor(uint64_t maddr, uint64_t desc)
{
    return hypercall2(__HYPERVISOR_update_descriptor, maddr, desc);
}

static inline long hc_stack_switch(unsigned long ss, unsigned long sp)
{
    return hypercall2(__HYPERVISOR_stack_switch, ss, sp);
}

static inline long hc_fpu_taskswitch(int set)
{
    return hypercall1(__HYPERVISOR_fpu_taskswitch, set);
}

static inline long hc_set_debugreg(int reg, unsigned long val)
{
    return hypercall2(__HYPERVISOR_set_debugreg, reg, val);
}

static inline long hc_get_debugreg(int reg)
{
    return hypercall1(__HYPERVISOR_get_debugreg, reg);
}

static inline long hc_memory_op(unsigned int cmd, const void *arg)
{
    return hypercall2(__HYPERVISOR_memory_op, cmd, arg);
}

static inline long hc_multicall(const void *calls, unsigned int n)
{
    return hypercall2(__HYPERVISOR_multicall, calls, n);
}

static inline long hc_set_timer_op(uint64_t ns)
{
    return hypercall1(__HYPERVISOR_set_timer_op, ns);
}

static inline long hc_xen_version(int cmd, const void *arg)
{
    return hypercall2(__HYPERVISOR_xen_version, cmd, arg);
}

static inline long hc_console_io(unsigned int cmd, unsigned int n, const void *buf)
{
    return hypercall3(__HYPERVISOR_console_io, cmd, n, buf);
}

static inline long hc_grant_table_op(unsigned int cmd, const void *arg, unsigned int n)
{
    return hypercall3(__HYPERVISOR_grant_table_op, cmd, arg, n);
}

static inline long hc_vm_assist(unsigned int cmd, unsigned int type)
{
    return hypercall2(__HYPERVISOR_vm_assist, cmd, type);
}

static inline long hc_vcpu_op(int cmd, unsigned int vcpu, const void *arg)
{
    return hypercall3(__HYPERVISOR_vcpu_op, cmd, vcpu, arg);
}

static inline long hc_set_segment_base(unsigned int which, unsigned long base)
{
    return hypercall2(__HYPERVISOR_set_segment_base, which, base);
}

static inline long hc_sched_op(int cmd, const void *arg)
{
    return hypercall2(__HYPERVISOR_sched_op, cmd, arg);
}

static inline long hc_callback_op(int cmd, const void *arg)
{
    return hypercall2(__HYPERVISOR_callback_op, cmd, arg);
}

static inline long hc_event_channel_op(int cmd, const void *arg)
{
    return hypercall2(__HYPERVISOR_event_channel_op, cmd, arg);
}

static inline long hc_physdev_op(int cmd, const void *arg)
{
    return hypercall2(__HYPERVISOR_physdev_op, cmd, arg);
}

static inline long hc_platform_op(const void *arg)
{
    return hypercall1(__HYPERVISOR_platform_op, arg);
}

#endif
