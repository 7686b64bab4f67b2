/* SPDX-License-Identifier: MIT */
/* pv/context.c, msr.c (those that are saved), callbacks.c, hypercall_page.c, switch.c: whole
 * contexts in and out, what they may not ask for, what is refused half way, the calls that register
 * handlers, and a vCPU leaving and entering the CPU. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <xen/callback.h>
#include <xen/domctl.h>
#include <xen/nmi.h>

#include "base/softirq.h"
#include "cpu/xstate.h"
#include "pv_fixture.h"

#define HANDLER (GUEST_KERNEL + 0x2000)

static struct vcpu_guest_context ctx, back;

/* A domain of the fixture's whose vCPU does not run and has no tables, and an L4 of its own. */
static mfn_t l4;

static int setup(void **state)
{
    int rc = fx_setup(state);

    fx_domain->memory.max_pages = 16;
    fx_vcpu->pv->kernel_l4 = fx_vcpu->pv->user_l4 = INVALID_MFN;
    cpu_local()->current = fx_idle;
    write_cr3(0);
    if (frame_alloc(&fx_domain->memory, 0, 0, &l4))
        return -1;
    memset(&ctx, 0, sizeof(ctx));
    ctx.flags = VGCF_in_kernel;
    ctx.user_regs.rip = GUEST_KERNEL;
    ctx.user_regs.rsp = KERNEL_STACK;
    ctx.user_regs.rsi = 0x1234;
    ctx.user_regs.rflags = RFLAGS_IF | RFLAGS_IOPL | RFLAGS_VM | RFLAGS_CF;
    ctx.user_regs.cs = 0xe030;
    ctx.ctrlreg[3] = l4.n << PAGE_SHIFT;
    ctx.kernel_ss = 0x18;
    ctx.kernel_sp = KERNEL_STACK;
    ctx.event_callback_eip = HANDLER;
    ctx.failsafe_callback_eip = HANDLER + 1;
    ctx.syscall_callback_eip = HANDLER + 2;
    ctx.fs_base = 5;
    ctx.gs_base_kernel = 6;
    ctx.gs_base_user = 7;
    ctx.vm_assist = ~0ul;
    ctx.trap_ctxt[14] = (struct trap_info){14, 4 | 3, 0x10, HANDLER + 14};
    return rc;
}

static void in_and_out(void **state)
{
    assert_int_equal(pv_vcpu_set_context(fx_vcpu, &ctx), 0);
    assert_true(mfn_eq(fx_vcpu->pv->kernel_l4, l4));
    assert_int_equal(fx_vcpu->regs.rflags, RFLAGS_IF | RFLAGS_MBS | RFLAGS_CF);
    assert_int_equal(fx_vcpu->regs.cs, 0xe033);
    assert_int_equal(fx_vcpu->regs.rsi, 0x1234);
    assert_int_equal(fx_vcpu->pv->iopl, 3);
    assert_int_equal(fx_domain->vm_assist >> 33, 0); /* only those that exist */
    pv_vcpu_get_context(fx_vcpu, &back);
    assert_int_equal(back.ctrlreg[3], ctx.ctrlreg[3]);
    assert_int_equal(back.user_regs.rip, GUEST_KERNEL);
    assert_int_equal(back.event_callback_eip, HANDLER);
    assert_int_equal(back.failsafe_callback_eip, HANDLER + 1);
    assert_int_equal(back.syscall_callback_eip, HANDLER + 2);
    assert_int_equal(back.trap_ctxt[14].address, HANDLER + 14);
    assert_int_equal(back.trap_ctxt[14].flags, 7);
    assert_int_equal(back.fs_base, 5);
    assert_int_equal(back.gs_base_kernel, 6);
    assert_int_equal(back.gs_base_user, 7);
    assert_int_equal(back.kernel_sp, KERNEL_STACK);
    assert_true(back.flags & VGCF_in_kernel);
    /* What came out goes in again. */
    assert_int_equal(pv_vcpu_set_context(fx_vcpu, &back), 0);
}

/* What comes late leaves nothing of what came early, and a context that was there before stays. */
static void refused_as_a_whole(void **state)
{
    uint32_t refs = frame_ref_count(l4);
    mfn_t user, gdt;

    frame_descriptor_ok = pv_descriptor_ok;
    assert_int_equal(frame_alloc(&fx_domain->memory, 0, 0, &user), 0);
    assert_int_equal(frame_alloc(&fx_domain->memory, 0, 0, &gdt), 0);
    ctx.gdt_ents = 513;
    ctx.gdt_frames[0] = gdt.n;
    ctx.gdt_frames[1] = 5; /* not the guest's */
    ctx.debugreg[0] = 0x1000;
    ctx.ctrlreg[1] = user.n << PAGE_SHIFT;
    assert_int_equal(pv_vcpu_set_context(fx_vcpu, &ctx), -EINVAL);
    assert_true(mfn_eq(fx_vcpu->pv->kernel_l4, INVALID_MFN));
    assert_true(mfn_eq(fx_vcpu->pv->user_l4, INVALID_MFN));
    assert_int_equal(fx_vcpu->pv->gdt_entries, 0);
    assert_int_equal(fx_vcpu->pv->dr[0], 0);
    assert_int_equal(frame_ref_count(l4), refs);
    assert_int_equal(frame_ref_count(gdt), refs);
    *(uint64_t *)mfn_to_virt(user) = max_mfn << PAGE_SHIFT | PTE_P; /* no table of a guest's */
    ctx.gdt_ents = 1;
    assert_int_equal(pv_vcpu_set_context(fx_vcpu, &ctx), -EINVAL);
    assert_true(mfn_eq(fx_vcpu->pv->kernel_l4, INVALID_MFN));
    assert_int_equal(frame_ref_count(l4), refs);
    ctx.ctrlreg[1] = 0;
    assert_int_equal(pv_vcpu_set_context(fx_vcpu, &ctx), 0);
    assert_int_equal(fx_vcpu->pv->gdt_entries, 1);
}

/* Of a vCPU that has one, a context changes registers; its tables are the guest's own affair. */
static void context_of_one_that_runs(void **state)
{
    assert_int_equal(pv_vcpu_set_context(fx_vcpu, &ctx), 0);
    fx_vcpu->initialised = true;
    memset(&((uint8_t *)(uintptr_t)xstate_image(fx_vcpu->pv->xstate))[576], 0x77, 8); /* AVX */
    ctx.user_regs.rax = 1;
    ctx.flags |= VGCF_i387_valid;
    assert_int_equal(pv_vcpu_set_context(fx_vcpu, &ctx), 0);
    assert_int_equal(fx_vcpu->regs.rax, 1);
    assert_int_equal(((const uint8_t *)xstate_image(fx_vcpu->pv->xstate))[576], 0x77);
    ctx.user_regs.rax = 2;
    ctx.ldt_ents = 1;
    assert_int_equal(pv_vcpu_set_context(fx_vcpu, &ctx), -EOPNOTSUPP);
    ctx.ldt_ents = 0;
    ctx.gdt_ents = 1;
    assert_int_equal(pv_vcpu_set_context(fx_vcpu, &ctx), -EOPNOTSUPP);
    ctx.gdt_ents = 0;
    ctx.ctrlreg[3] += PAGE_SIZE;
    assert_int_equal(pv_vcpu_set_context(fx_vcpu, &ctx), -EOPNOTSUPP);
    ctx.ctrlreg[3] -= PAGE_SIZE;
    ctx.ctrlreg[1] = ctx.ctrlreg[3];
    assert_int_equal(pv_vcpu_set_context(fx_vcpu, &ctx), -EOPNOTSUPP);
    assert_int_equal(fx_vcpu->regs.rax, 1);
}

static void reset(void **state)
{
    uint32_t refs = frame_ref_count(l4);

    ctx.ctrlreg[1] = ctx.ctrlreg[3];
    assert_int_equal(pv_vcpu_set_context(fx_vcpu, &ctx), 0);
    assert_int_equal(frame_ref_count(l4), refs + 2);
    fx_vcpu->pv->xcr0_accum = fx_vcpu->pv->xcr0 = 7;
    assert_int_equal(pv_vcpu_reset(fx_vcpu), 0);
    assert_int_equal(frame_ref_count(l4), refs);
    assert_int_equal(fx_vcpu->pv->trap[14].address, 0);
    assert_int_equal(fx_vcpu->pv->event.address, 0);
    assert_int_equal(fx_vcpu->pv->xcr0, XCR0_DEFAULT);
    assert_int_equal(pv_vcpu_set_context(fx_vcpu, &ctx), 0);
}

static void extended_context(void **state)
{
    struct xen_domctl_ext_vcpucontext e, back_e;

    fx_vcpu->pv->syscall32 = (struct pv_callback){HANDLER, true};
    pv_vcpu_get_ext(fx_vcpu, &e);
    assert_int_equal(e.size, sizeof(e));
    assert_int_equal(e.syscall32_callback_eip, HANDLER);
    assert_true(e.syscall32_disables_events);
    assert_false(e.sysenter_disables_events);
    e.sysenter_callback_eip = HANDLER + 1;
    assert_int_equal(pv_vcpu_set_ext(fx_vcpu, &e), 0);
    pv_vcpu_get_ext(fx_vcpu, &back_e);
    assert_memory_equal(&e, &back_e, sizeof(e));
    e.size = 8;
    assert_int_equal(pv_vcpu_set_ext(fx_vcpu, &e), -EINVAL);
    e.size = sizeof(e);
    e.sysenter_callback_eip = 1ul << 63;
    assert_int_equal(pv_vcpu_set_ext(fx_vcpu, &e), -EINVAL);
    e.sysenter_callback_eip = 0;
    e.syscall32_callback_eip = 1ul << 47;
    assert_int_equal(pv_vcpu_set_ext(fx_vcpu, &e), -EINVAL);
    assert_int_equal(fx_vcpu->pv->syscall32.address, HANDLER);
}

static union {
    struct pv_xstate x;
    uint8_t bytes[4096];
} xs;

#define XS_OUT()                            \
    do {                                    \
        memset(&xs, 0xee, sizeof(xs));      \
        pv_vcpu_get_xstate(fx_vcpu, &xs.x); \
    } while (0)
#define XS_REFUSED(change)                                                                 \
    do {                                                                                   \
        XS_OUT();                                                                          \
        change;                                                                            \
        assert_int_equal(pv_vcpu_set_xstate(fx_vcpu, &xs.x, pv_vcpu_xstate_size(fx_vcpu)), \
                         -EINVAL);                                                         \
    } while (0)

static void extended_state(void **state)
{
    struct pv_vcpu *pv = fx_vcpu->pv;
    size_t size;

    if (!pv_vcpu_xstate_mask(fx_vcpu))
        skip();
    size = pv_vcpu_xstate_size(fx_vcpu);
    assert_int_equal(size, sizeof(struct pv_xstate) + XSAVE_MIN);
    XS_OUT();
    assert_int_equal(xs.x.xcr0, XCR0_DEFAULT);
    assert_int_equal(xs.bytes[size], 0xee);
    xs.x.image[200] = 0x5a;
    assert_int_equal(pv_vcpu_set_xstate(fx_vcpu, &xs.x, size), 0);
    assert_int_equal(((const uint8_t *)xstate_image(pv->xstate))[200], 0x5a);
    assert_int_equal(pv_vcpu_set_xstate(fx_vcpu, &xs.x, size - 1), -EINVAL);
    assert_int_equal(pv_vcpu_set_xstate(fx_vcpu, &xs.x, sizeof(xs.x)), -EINVAL);
    XS_REFUSED(xs.x.xcr0 = 0);
    XS_REFUSED(xs.x.xcr0 = XCR0_SSE);
    XS_REFUSED(xs.x.xcr0_accum = XCR0_X87); /* less than what is on */
    XS_REFUSED(xs.x.xcr0_accum |= 1ull << 62);
    XS_REFUSED(xs.x.xcr0 = xs.x.xcr0_accum = ~0ull);
    XS_REFUSED(xs.x.image[XSAVE_HEADER + 1] = 1);     /* a component that was never on */
    XS_REFUSED(xs.x.image[XSAVE_HEADER + 15] = 0x80); /* compacted */
    XS_REFUSED(xs.x.image[XSAVE_HEADER + 63] = 1);    /* reserved */
    assert_int_equal(pv->xcr0, XCR0_DEFAULT);
    assert_int_equal(((const uint8_t *)xstate_image(pv->xstate))[200], 0x5a);
    memset(&xs, 0, sizeof(xs)); /* none was ever on */
    assert_int_equal(pv_vcpu_set_xstate(fx_vcpu, &xs.x, sizeof(xs.x)), 0);
    assert_int_equal(((const uint8_t *)xstate_image(pv->xstate))[200], 0x5a);
}

static void saved_msrs(void **state)
{
    struct xen_domctl_vcpu_msr m[PV_MSRS] = {{0}}, bad[2] = {{0}};
    struct pv_vcpu *pv = fx_vcpu->pv;
    unsigned n;

    assert_int_equal(pv_vcpu_get_msrs(fx_vcpu, m), 0);
    pv->msr_tsc_aux = 7;
    for (unsigned i = 0; i < 4; i++)
        pv->dr_mask[i] = i + 1;
    n = pv_vcpu_get_msrs(fx_vcpu, m);
    assert_true(n >= 1);
    assert_int_equal(m[0].index, MSR_TSC_AUX);
    pv->msr_tsc_aux = 0;
    memset(pv->dr_mask, 0, sizeof(pv->dr_mask));
    wrmsr(MSR_TSC_AUX, 99);
    assert_int_equal(pv_vcpu_set_msrs(fx_vcpu, m, &n), 0);
    assert_int_equal(pv->msr_tsc_aux, 7);
    assert_int_equal(rdmsr(MSR_TSC_AUX), 99); /* the vCPU does not run */
    bad[0] = (struct xen_domctl_vcpu_msr){.index = MSR_TSC_AUX, .value = 8};
    bad[1] = (struct xen_domctl_vcpu_msr){.index = MSR_TSC_AUX, .value = 1ull << 32};
    n = 2;
    assert_int_equal(pv_vcpu_set_msrs(fx_vcpu, bad, &n), -EINVAL);
    assert_int_equal(n, 1);
    assert_int_equal(pv->msr_tsc_aux, 7); /* the first went back */
    bad[1] = (struct xen_domctl_vcpu_msr){.index = MSR_LSTAR, .value = 5};
    n = 2;
    assert_int_equal(pv_vcpu_set_msrs(fx_vcpu, bad, &n), -EINVAL);
    bad[1] = (struct xen_domctl_vcpu_msr){.index = MSR_TSC_AUX, .reserved = 1};
    n = 2;
    assert_int_equal(pv_vcpu_set_msrs(fx_vcpu, bad, &n), -EINVAL);
    assert_int_equal(pv->msr_tsc_aux, 7);
}

#define REFUSED(change)                                                \
    do {                                                               \
        setup(NULL);                                                   \
        change;                                                        \
        assert_int_equal(pv_vcpu_set_context(fx_vcpu, &ctx), -EINVAL); \
        assert_true(mfn_eq(fx_vcpu->pv->user_l4, INVALID_MFN));        \
    } while (0)

static void contexts_that_lie(void **state)
{
    REFUSED(ctx.user_regs.rip = 1ul << 63);
    REFUSED(ctx.event_callback_eip = 1ul << 47);
    REFUSED(ctx.gs_base_user = 1ul << 63);
    REFUSED(ctx.trap_ctxt[255].address = 1ul << 63);
    REFUSED(ctx.gdt_ents = GDT_GUEST_ENTRIES + 1);
    REFUSED(ctx.ldt_ents = 8193);
    REFUSED((ctx.ldt_ents = 1, ctx.ldt_base = HV_VA_START));
    REFUSED((ctx.ldt_ents = 1, ctx.ldt_base = GUEST_KERNEL + 8));
    REFUSED(ctx.ctrlreg[3] = 0);
    REFUSED(ctx.ctrlreg[3] = 0x5000);                /* the hypervisor's */
    REFUSED(ctx.ctrlreg[3] = max_mfn << PAGE_SHIFT); /* no memory */
    REFUSED(ctx.flags = 0);                          /* user mode without tables */
    REFUSED(ctx.debugreg[0] = HV_VA_START + 8);
    REFUSED(ctx.debugreg[7] = 0x2000);
    REFUSED(ctx.debugreg[7] = 1ul << 32);
    REFUSED((ctx.gdt_ents = 1, ctx.gdt_frames[0] = 5));
}

static void run(void)
{
    assert_int_equal(pv_vcpu_set_context(fx_vcpu, &ctx), 0);
    cpu_local()->current = fx_vcpu;
    pv_switch_to(fx_vcpu);
}

static void leaving_and_entering(void **state)
{
    ctx.debugreg[0] = 0x1000;
    ctx.debugreg[7] = 1 | 1 << 16;
    ctx.ctrlreg[0] = CR0_TS;
    run();
    assert_int_equal(read_cr3(), l4.n << PAGE_SHIFT);
    assert_int_equal(host_cpu()->gdt.base, pv_gdt_va(fx_vcpu));
    assert_int_equal(host_cpu()->gdt.limit, 0xe07f); /* what lies behind is no descriptor */
    assert_int_equal(rdmsr(MSR_FS_BASE), 5);
    assert_int_equal(rdmsr(MSR_GS_BASE), 6);
    assert_int_equal(rdmsr(MSR_KERNEL_GS_BASE), 7);
    assert_int_equal(read_dr0(), 0x1000);
    assert_true(read_dr7() & 1);
    assert_true(read_cr0() & CR0_TS);
    assert_true(bitmap_test(fx_domain->memory.dirty_cpus.bits, 0));
    wrmsr(MSR_FS_BASE, 55); /* the guest changes them itself */
    wrmsr(MSR_GS_BASE, 66);
    memset(host_cpu()->xstate, 0x33, 512);
    pv_switch_from(fx_vcpu);
    assert_false(read_dr7() & DR7_ENABLES);
    assert_false(read_cr0() & CR0_TS);
    assert_int_not_equal(host_cpu()->gdt.base, pv_gdt_va(fx_vcpu));
    assert_int_equal(fx_vcpu->pv->fs_base, 55);
    assert_int_equal(fx_vcpu->pv->gs_base_kernel, 66);
    assert_int_equal(fx_vcpu->pv->gs_base_user, 7);
    pv_switch_idle();
    assert_int_equal(read_cr3(), hv_cr3());
    assert_false(bitmap_test(fx_domain->memory.dirty_cpus.bits, 0));
    memset(host_cpu()->xstate, 0, 512);
    pv_switch_to(fx_vcpu);
    assert_int_equal(host_cpu()->xstate[200], 0x33);
    assert_int_equal(rdmsr(MSR_GS_BASE), 66);
}

/* A second vCPU of the same kind, that takes turns with the first on one CPU. */
static struct vcpu *second(void)
{
    static struct vcpu v;
    static struct pv_vcpu pv;

    v = *fx_vcpu;
    pv = *fx_vcpu->pv;
    v.pv = &pv;
    if (xstate_alloc(&pv.xstate))
        fail();
    return &v;
}

static void turn(struct vcpu *from, struct vcpu *to)
{
    pv_switch_from(from);
    cpu_local()->current = to;
    pv_switch_to(to);
}

/* What a guest writes to an MSR that is kept for each vCPU is gone when another runs. */
static void msrs_stay_with_their_vcpu(void **state)
{
    struct vcpu *other;

    run();
    other = second();
    assert_int_equal(pv_wrmsr(fx_vcpu, MSR_TSC_AUX, 0x1234), 0);
    assert_int_equal(rdmsr(MSR_TSC_AUX), 0x1234);
    turn(fx_vcpu, other);
    assert_int_equal(rdmsr(MSR_TSC_AUX), 0);
    turn(other, fx_vcpu);
    assert_int_equal(rdmsr(MSR_TSC_AUX), 0x1234);
    assert_int_equal(pv_wrmsr(fx_vcpu, MSR_TSC_AUX, 0), 0);
    other->pv->msr_tsc_aux = 0x1234;
    turn(fx_vcpu, other);
    assert_int_equal(rdmsr(MSR_TSC_AUX), 0x1234);
}

/* The same of the masks of breakpoints, which count while DR7 enables one. */
static void breakpoint_masks_stay_with_their_vcpu(void **state)
{
    struct vcpu *other;

    ctx.debugreg[0] = 0x1000;
    ctx.debugreg[7] = 1 | 1 << 16;
    run();
    other = second();
    for (unsigned n = 0; n < 4; n++) {
        uint32_t msr = n ? MSR_DR1_MASK + n - 1 : MSR_DR0_MASK;

        assert_int_equal(pv_wrmsr(fx_vcpu, msr, 0xf00 + n), 0);
        assert_int_equal(rdmsr(msr), 0xf00 + n);
    }
    turn(fx_vcpu, other);
    assert_int_equal(rdmsr(MSR_DR0_MASK), 0);
    assert_int_equal(rdmsr(MSR_DR1_MASK + 2), 0);
    turn(other, fx_vcpu);
    assert_int_equal(rdmsr(MSR_DR0_MASK), 0xf00);
    assert_int_equal(rdmsr(MSR_DR1_MASK + 2), 0xf03);
}

/* It may leave again before its exit has looked: then the callback comes at the next one. */
static void failsafe_waits_for_its_vcpu(void **state)
{
    struct vcpu *other;

    run();
    other = second();
    fx_vcpu->pv->failsafe_pending = true;
    turn(fx_vcpu, other);
    cpu_local()->work = 0; /* the exit of the other one has looked, and found nothing */
    turn(other, fx_vcpu);
    assert_true(cpu_local()->work & 1u << SOFTIRQ_GUEST);
}

/* ---- calls that register handlers; the fixture's own page tables are back for them ---- */

static int calls(void **state)
{
    return fx_setup(state);
}

static void *put(const void *what, size_t n)
{
    return memcpy(fx_memory(GUEST_KERNEL + 0x4000), what, n);
}

static void trap_table(void **state)
{
    struct trap_info t[4] = {
        {3, 3, 0x10, HANDLER}, {14, 4, 0x10, HANDLER + 16}, {0, 0, 0, 0}, {1, 0, 0x10, HANDLER}};

    put(t, sizeof(t));
    assert_int_equal(pv_set_trap_table(GUEST_KERNEL + 0x4000), 0);
    assert_int_equal(fx_vcpu->pv->trap[3].dpl, 3);
    assert_false(fx_vcpu->pv->trap[3].mask_events);
    assert_true(fx_vcpu->pv->trap[14].mask_events);
    assert_int_equal(fx_vcpu->pv->trap[1].address, 0); /* behind the end */
    t[0].address = 1ul << 63;
    put(t, sizeof(t));
    assert_int_equal(pv_set_trap_table(GUEST_KERNEL + 0x4000), -EINVAL);
    assert_int_equal(pv_set_trap_table(8), -EFAULT);
    assert_int_equal(pv_set_trap_table(HV_VA_START), -EFAULT);
    assert_int_equal(pv_set_trap_table(0), 0);
    assert_int_equal(fx_vcpu->pv->trap[14].address, 0);
}

static long callback(uint16_t type, uint16_t flags, uint64_t address)
{
    struct callback_register r = {type, flags, address};

    put(&r, sizeof(r));
    return pv_callback_op(CALLBACKOP_register, GUEST_KERNEL + 0x4000);
}

static void callbacks(void **state)
{
    const struct pv_vcpu *pv = fx_vcpu->pv;

    assert_int_equal(callback(CALLBACKTYPE_event, 0, HANDLER), 0);
    assert_true(pv->event.mask_events); /* always */
    assert_int_equal(callback(CALLBACKTYPE_failsafe, CALLBACKF_mask_events, HANDLER), 0);
    assert_true(pv->failsafe.mask_events);
    assert_int_equal(callback(CALLBACKTYPE_syscall, 0, HANDLER), 0);
    assert_false(pv->syscall.mask_events);
    assert_int_equal(callback(CALLBACKTYPE_syscall32, 0, HANDLER), 0);
    assert_int_equal(callback(5, 0, HANDLER), 0);
    assert_int_equal(pv->sysenter.address, HANDLER);
    assert_int_equal(callback(CALLBACKTYPE_nmi, 0, HANDLER + 3), 0);
    assert_int_equal(pv->trap[VEC_NMI].address, HANDLER + 3);
    assert_int_equal(callback(6, 0, HANDLER), -ENOSYS);
    assert_int_equal(callback(99, 0, HANDLER), -ENOSYS);
    assert_int_equal(callback(CALLBACKTYPE_event, 0, 1ul << 47), -EINVAL);
    assert_int_equal(pv_callback_op(CALLBACKOP_register, 0), -EFAULT);
    assert_int_equal(pv_callback_op(2, 0), -ENOSYS);
    assert_int_equal(pv_set_callbacks(1, 2, 1ul << 63), -EINVAL);
    assert_int_equal(pv_set_callbacks(1, 2, 3), 0);
    assert_int_equal(pv->syscall.address, 3);
    assert_int_equal(pv_nmi_op(XENNMI_register_callback, GUEST_KERNEL), -EINVAL);
    assert_int_equal(pv_nmi_op(9, 0), -ENOSYS);
}

/* The areas lie in kernel memory: what user mode missed comes with the next entry to the kernel. */
static void areas_of_the_kernel(void **state)
{
    const uint64_t runstate = GUEST_KERNEL + 0x5000, time = GUEST_KERNEL + 0x5800;
    struct vcpu_runstate_info *r = fx_memory(runstate);
    struct vcpu_time_info *t = fx_memory(time);
    uint32_t version;

    memset(r, 0x77, sizeof(*r));
    fx_vcpu->runstate_va = runstate;
    fx_vcpu->time_info_va = time;
    fx_vcpu->pause = 0;
    vcpu_runstate_leave(fx_vcpu);
    vcpu_time_update(fx_vcpu);
    assert_int_equal(r->state, RUNSTATE_runnable);
    version = t->version;
    pv_toggle_mode(fx_vcpu);
    vcpu_runstate_enter(fx_vcpu);
    vcpu_time_update(fx_vcpu);
    assert_int_equal(r->state, RUNSTATE_runnable); /* not to be reached */
    assert_int_equal(t->version, version);
    pv_toggle_mode(fx_vcpu);
    assert_int_equal(r->state, RUNSTATE_running);
    assert_true(t->version > version && t->version % 2 == 0);
    /* Nowhere to be found: tried once. */
    fx_vcpu->runstate_va = GUEST_KERNEL + 0x100000;
    vcpu_runstate_leave(fx_vcpu);
    assert_true(fx_vcpu->areas_stale);
    pv_toggle_mode(fx_vcpu);
    pv_toggle_mode(fx_vcpu);
    assert_false(fx_vcpu->areas_stale);
}

static void hypercall_page(void **state)
{
    static uint8_t page[PAGE_SIZE];

    pv_hypercall_page_fill(page);
    assert_memory_equal(page + 17 * 32, "\x51\x41\x53\xb8\x11\0\0\0\x0f\x05\x41\x5b\x59\xc3\xcc",
                        15);
    assert_memory_equal(page + 23 * 32, "\x51\x41\x53\x50\xb8\x17\0\0\0\x0f\x05\xcc", 12);
    assert_int_equal(page[4095], 0xcc);
}

#define TEST(f)  cmocka_unit_test_setup(f, setup)
#define CALLS(f) cmocka_unit_test_setup(f, calls)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(in_and_out),
        TEST(contexts_that_lie),
        TEST(refused_as_a_whole),
        TEST(context_of_one_that_runs),
        TEST(reset),
        TEST(extended_context),
        TEST(extended_state),
        TEST(saved_msrs),
        TEST(leaving_and_entering),
        TEST(msrs_stay_with_their_vcpu),
        TEST(breakpoint_masks_stay_with_their_vcpu),
        TEST(failsafe_waits_for_its_vcpu),
        CALLS(trap_table),
        CALLS(callbacks),
        CALLS(hypercall_page),
        CALLS(areas_of_the_kernel),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
