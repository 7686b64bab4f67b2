/* SPDX-License-Identifier: MIT */
/* What the kernels of the world do to their vCPUs: descriptor tables, traps, timers, waiting,
 * coming and going. */
#include <string.h>

#include "pv/internal.h"
#include "world.h"

#include <xen/nmi.h>
#include <xen/vcpu.h>
#include <xen/version.h>

/* ---- descriptor tables ---- */

static uint64_t any_descriptor(void)
{
    static const uint64_t good[] = {0, 0x00affb000000ffff, 0x00cff3000000ffff, 0x00cffb000000ffff};
    uint64_t d = good[pvg_random(ARRAY_SIZE(good))];

    if (chance(4))
        d ^= 1ull << pvg_random(64);
    return chance(16) ? any_u64() : d;
}

/* A page of good descriptors that nobody can write to; its frame. */
static bool make_descriptors(unsigned pfn)
{
    struct world_dom *w = me;

    if (!make_plain(pfn) || me != w)
        return false;
    for (unsigned i = 0; i < 4; i++)
        if (hw_write_guest_u64(pvg_va(pfn) + any_index() * 8, any_descriptor()))
            return false;
    return hcall(__HYPERVISOR_update_va_mapping, pvg_va(pfn), pte_make(w->mfn[pfn], PTE_P), 0, 0) ==
               0 &&
           me == w;
}

static long do_gdt(void)
{
    uint64_t list[16];
    unsigned pfn = any_pfn(), entries = 1 + pvg_random(chance(4) ? 8000 : 1100);

    if (pfn >= PFN_FREE && !make_descriptors(pfn))
        return -EBUSY;
    for (unsigned i = 0; i < ARRAY_SIZE(list); i++)
        list[i] = chance(4) ? any_mfn(me).n : me->mfn[pfn].n;
    return hcall(__HYPERVISOR_set_gdt, put_list(list, sizeof(list)), chance(8) ? 0 : entries, 0, 0);
}

static long do_ldt(void)
{
    struct mmuext_op op = {.cmd = MMUEXT_SET_LDT};
    unsigned pfn = any_pfn();
    struct world_dom *w = me;
    struct vcpu *v = current();
    long rc;

    if (pfn >= PFN_FREE && !make_descriptors(pfn))
        return -EBUSY;
    op.arg1.linear_addr = pvg_va(pfn);
    op.arg2.nr_ents = chance(8) ? 0 : 1 + pvg_random(1100);
    rc = hcall(__HYPERVISOR_mmuext_op, put(&op, sizeof(op)), 1, 0, DOMID_SELF);
    if (rc || me != w || current() != v)
        return rc;
    /* The processor looks at it: a fault in the window. */
    write_cr2(pv_ldt_va(v) + pvg_random(4 * PAGE_SIZE));
    (void)!pv_mend_hypervisor_fault(read_cr2(), chance(16) ? PFEC_P : 0);
    return 0;
}

static long do_descriptor(void)
{
    uint64_t maddr = (any_mfn(me).n << PAGE_SHIFT) + 8 * any_index() + (chance(32) ? 3 : 0);

    return hcall(__HYPERVISOR_update_descriptor, maddr, any_descriptor(), 0, 0);
}

/* ---- traps and callbacks ---- */

static long do_traps(void)
{
    struct trap_info t[6];
    uint64_t a[4] = {any_u64(), any_u64(), any_u64(), any_u64()};

    switch (pvg_random(8)) {
    case 0:
        memset(t, 0, sizeof(t));
        for (unsigned i = 0; i < 5; i++) {
            t[i].vector = (uint8_t)pvg_random(256);
            t[i].flags = (uint8_t)pvg_random(8);
            t[i].cs = (uint16_t)(chance(4) ? pvg_random(0x10000) : SEL_GUEST_CS64);
            t[i].address = chance(8) ? any_u64() : pvg_va(PFN_CODE);
        }
        return hcall(__HYPERVISOR_set_trap_table, put(t, sizeof(t)), 0, 0, 0);
    case 1:
        return hcall(__HYPERVISOR_stack_switch, any_u64() & 0xffff,
                     chance(4) ? any_u64() : pvg_va(PFN_STACK) + PAGE_SIZE, 0, 0);
    case 2:
        a[0] = pvg_random(8) | (uint64_t)pvg_random(2) << 16;
        a[1] = chance(4) ? any_u64() : pvg_va(PFN_CODE);
        return hcall(__HYPERVISOR_callback_op, pvg_random(4), put(a, sizeof(a)), 0, 0);
    case 3:
        return hcall(__HYPERVISOR_set_callbacks, pvg_va(PFN_CODE), pvg_va(PFN_CODE),
                     chance(8) ? any_u64() : pvg_va(PFN_CODE), 0);
    case 4:
        a[0] = chance(4) ? any_u64() : pvg_va(PFN_CODE);
        return hcall(__HYPERVISOR_nmi_op, pvg_random(4), put(a, sizeof(a)), 0, 0);
    case 5:
        return hcall(__HYPERVISOR_fpu_taskswitch, pvg_random(2), 0, 0, 0);
    case 6:
        return hcall(__HYPERVISOR_set_segment_base, pvg_random(6), any_u64(), 0, 0);
    default:
        if (chance(2))
            return hcall(__HYPERVISOR_get_debugreg, pvg_random(10), 0, 0, 0);
        return hcall(__HYPERVISOR_set_debugreg, pvg_random(10), any_u64(), 0, 0);
    }
}

static long do_iret(void)
{
    struct regs *r = &cpu_local()->guest;
    uint64_t frame[] = {chance(2) ? 0x100 : 0, /* VGCF_in_syscall */
                        0x11,
                        r->rax,
                        chance(8) ? any_u64() : pvg_va(PFN_CODE),
                        chance(8) ? any_u64() : SEL_GUEST_CS64,
                        any_u64() & 0x3ffff7,
                        chance(8) ? any_u64() : pvg_va(PFN_STACK) + PAGE_SIZE,
                        chance(8) ? any_u64() : SEL_GUEST_SS};

    /* r11, rcx and so on as the public header has them: rax, r11, rcx, flags, rip, cs ... */
    if (hw_copy_to_guest(r->rsp - sizeof(frame), frame, sizeof(frame)))
        return -EFAULT;
    r->rsp -= sizeof(frame);
    if (chance(2)) { /* to user mode: rcx, flags as in struct iret_context */
        uint64_t to[] = {1,
                         2,
                         3,
                         chance(2) ? 0x100 : 0,
                         pvg_va(PFN_CODE),
                         SEL_GUEST_CS64,
                         RFLAGS_IF,
                         pvg_va(PFN_STACK) + PAGE_SIZE,
                         SEL_GUEST_SS};

        if (hw_copy_to_guest(r->rsp, to, sizeof(frame)))
            return -EFAULT;
    }
    return hcall(__HYPERVISOR_iret, 0, 0, 0, 0);
}

/* ---- vCPUs ---- */

/* A context for a vCPU that has none. It is longer than a page, so it takes both of vCPU 0's. */
static long do_initialise(void)
{
    struct vcpu_guest_context *c = (void *)pvg_va(PFN_ARG);
    const struct {
        const void *field;
        uint64_t val;
    } word[] = {
        {&c->flags, VGCF_in_kernel},
        {&c->user_regs.rip, pvg_va(PFN_CODE)},
        {&c->user_regs.rsp, pvg_va(PFN_STACK) + PAGE_SIZE},
        {&c->user_regs.cs, SEL_GUEST_CS64},
        {&c->kernel_sp, pvg_va(PFN_STACK) + PAGE_SIZE},
        {&c->event_callback_eip, pvg_va(PFN_CODE)},
        {&c->syscall_callback_eip, pvg_va(PFN_CODE)},
        {&c->ctrlreg[3], me->mfn[chance(8) ? any_pfn() : PFN_L4].n << PAGE_SHIFT},
        {&c->ctrlreg[1], chance(2) ? 0 : me->mfn[PFN_USER_L4].n << PAGE_SHIFT},
    };
    unsigned id = pvg_random(me->d->max_vcpus);
    struct world_dom *w = me;
    long rc;

    if (current()->id)
        return -EPERM;
    memset(arg_at(pvg_va(PFN_ARG)), 0, PAGE_SIZE);
    memset(arg_at(pvg_va(PFN_ARG + 1)), 0, PAGE_SIZE);
    for (unsigned i = 0; i < ARRAY_SIZE(word); i++)
        *(uint64_t *)arg_at((uint64_t)(uintptr_t)word[i].field) = word[i].val;
    rc = hcall(__HYPERVISOR_vcpu_op, VCPUOP_initialise, id, (uint64_t)(uintptr_t)c, 0);
    return rc || me != w ? rc : hcall(__HYPERVISOR_vcpu_op, VCPUOP_up, id, 0, 0);
}

static long do_vcpu(void)
{
    unsigned id = chance(16) ? (unsigned)any_u64() : pvg_random(me->d->max_vcpus), cmd;
    struct vcpu_register_vcpu_info info = {.mfn = any_mfn(me).n, .offset = 8 * pvg_random(520)};
    struct vcpu_set_singleshot_timer once = {.timeout_abs_ns = any_u64(), .flags = pvg_random(2)};
    uint64_t a[8] = {any_va(), any_u64()};

    switch (pvg_random(9)) {
    case 0:
    case 1:
        return hcall(__HYPERVISOR_vcpu_op, VCPUOP_register_vcpu_info, id, put(&info, sizeof(info)),
                     0);
    case 2:
        return hcall(__HYPERVISOR_vcpu_op, VCPUOP_set_singleshot_timer, id,
                     put(&once, sizeof(once)), 0);
    case 3:
        a[0] = chance(2) ? any_u64() : 1000000 + pvg_random(5000000);
        return hcall(__HYPERVISOR_vcpu_op, VCPUOP_set_periodic_timer, id, put(a, sizeof(a)), 0);
    case 4:
        return hcall(__HYPERVISOR_vcpu_op, VCPUOP_register_runstate_memory_area, id,
                     put(a, sizeof(a)), 0);
    case 5:
        return hcall(__HYPERVISOR_vcpu_op, VCPUOP_register_vcpu_time_memory_area, id,
                     put(a, sizeof(a)), 0);
    case 6:
        if (!chance(4))
            return do_initialise();
        return hcall(__HYPERVISOR_vcpu_op, VCPUOP_initialise, id, any_va(), 0);
    default:
        cmd = pvg_random(16);
        if (cmd == VCPUOP_down && !chance(4))
            cmd = VCPUOP_up;
        return hcall(__HYPERVISOR_vcpu_op, cmd, id, put(a, sizeof(a)), 0);
    }
}

static long do_sched(void)
{
    struct sched_poll poll = {.nr_ports = pvg_random(4), .timeout = chance(2) ? 0 : any_u64()};
    struct sched_shutdown end = {.reason = pvg_random(8)};
    struct sched_watchdog dog = {.id = pvg_random(4), .timeout = pvg_random(3)};
    struct sched_pin_override pin = {.pcpu = (int)pvg_random(6) - 2};
    evtchn_port_t port[4];

    switch (pvg_random(10)) {
    case 0:
    case 1:
        return hcall(__HYPERVISOR_sched_op, SCHEDOP_yield, 0, 0, 0);
    case 2:
        return hcall(__HYPERVISOR_sched_op, SCHEDOP_block, 0, 0, 0);
    case 3:
    case 4:
        for (unsigned i = 0; i < 4; i++)
            port[i] = pvg_random(20);
        set_xen_guest_handle(poll.ports, (evtchn_port_t *)put_list(port, sizeof(port)));
        return hcall(__HYPERVISOR_sched_op, SCHEDOP_poll, put(&poll, sizeof(poll)), 0, 0);
    case 5:
        if (!chance(60))
            return hcall(__HYPERVISOR_sched_op, SCHEDOP_shutdown_code, put(&end, sizeof(end)), 0,
                         0);
        return hcall(__HYPERVISOR_sched_op, SCHEDOP_shutdown, put(&end, sizeof(end)), 0, 0);
    case 6: {
        struct sched_remote_shutdown a = {.domain_id = any_domid(), .reason = pvg_random(8)};

        return chance(8)
                   ? hcall(__HYPERVISOR_sched_op, SCHEDOP_remote_shutdown, put(&a, sizeof(a)), 0, 0)
                   : -EPERM;
    }
    case 7:
        if (!chance(10))
            dog.timeout = dog.timeout ? 100000 : 0;
        return hcall(__HYPERVISOR_sched_op, SCHEDOP_watchdog, put(&dog, sizeof(dog)), 0, 0);
    case 8:
        return hcall(__HYPERVISOR_sched_op, SCHEDOP_pin_override, put(&pin, sizeof(pin)), 0, 0);
    default:
        return hcall(__HYPERVISOR_set_timer_op, any_u64(), 0, 0, 0);
    }
}

/* ---- the rest ---- */

static long do_misc(void)
{
    uint8_t a[256];

    scramble(a, sizeof(a));
    switch (pvg_random(4)) {
    case 0:
        return hcall(__HYPERVISOR_xen_version, pvg_random(14), put(a, sizeof(a)), 0, 0);
    case 1:
        return hcall(__HYPERVISOR_console_io, pvg_random(3), pvg_random(200), put(a, sizeof(a)), 0);
    case 2: {
        unsigned type = pvg_random(40);

        if (type == VMASST_TYPE_writable_pagetables && !chance(8))
            type = VMASST_TYPE_runstate_update_flag;
        return hcall(__HYPERVISOR_vm_assist, pvg_random(3), type, 0, 0);
    }
    default:
        return hcall(pvg_random(80), any_va(), any_u64(), any_va(), any_u64());
    }
}

/* Several calls in one, continued ones among them. */
static long do_multicall(void)
{
    struct multicall_entry e[12];
    unsigned n = 1 + pvg_random(12);

    memset(e, 0, sizeof(e));
    for (unsigned i = 0; i < n; i++) {
        unsigned pfn = any_pfn();

        switch (pvg_random(5)) {
        case 0:
        case 1:
            e[i].op = __HYPERVISOR_update_va_mapping;
            e[i].args[0] = pvg_va(pfn);
            e[i].args[1] = chance(4) ? 0 : pte_make(me->mfn[pfn], any_flags());
            e[i].args[2] = pvg_random(3);
            break;
        case 2: {
            struct mmuext_op op = {.cmd = chance(2) ? MMUEXT_UNPIN_TABLE : pvg_random(4)};

            op.arg1.mfn = me->mfn[pfn].n;
            e[i].op = __HYPERVISOR_mmuext_op;
            e[i].args[0] = put(&op, sizeof(op));
            e[i].args[1] = 1;
            e[i].args[3] = DOMID_SELF;
            break;
        }
        case 3:
            e[i].op = __HYPERVISOR_sched_op;
            e[i].args[0] = SCHEDOP_yield;
            break;
        default:
            e[i].op = pvg_random(64);
            for (unsigned j = 0; j < 6; j++)
                e[i].args[j] = any_u64();
            /* Not by nonsense out of the kernel. */
            if (e[i].op == __HYPERVISOR_iret || e[i].op == __HYPERVISOR_set_callbacks ||
                e[i].op == __HYPERVISOR_domctl)
                e[i].op = __HYPERVISOR_multicall;
        }
    }
    return hcall(__HYPERVISOR_multicall, put_list(e, n * sizeof(*e)), n, 0, 0);
}

const struct world_kind world_cpu_kinds[] = {
    {"gdt", do_gdt, 3},     {"ldt", do_ldt, 3},   {"descriptor", do_descriptor, 4},
    {"traps", do_traps, 3}, {"iret", do_iret, 2}, {"vcpu", do_vcpu, 5},
    {"sched", do_sched, 5}, {"misc", do_misc, 3}, {"multicall", do_multicall, 5},
    {NULL, NULL, 0},
};
