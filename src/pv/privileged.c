/* SPDX-License-Identifier: MIT */
/* Privileged instructions of a PV kernel, which runs in ring 3: they raise #GP and are carried out
 * here, each against the vCPU's own view of the register. Which ones: ABI.md 3.7; the others (HLT,
 * LGDT, INVLPG, LMSW, RDPMC, SWAPGS and so on) stay #GP for the guest to answer.
 *
 * The instruction is decoded and executed by emulate/; what it means is in the callbacks below. */
#include "cpu/cpu.h"
#include "cpu/xstate.h"
#include "domain/guest_copy.h"
#include "emulate/emulate.h"
#include "lib/string.h"
#include "pv/internal.h"

static struct vcpu *vcpu_of(const struct emul_ctxt *c)
{
    return c->data;
}

static enum emul_result done_or_gp(struct emul_ctxt *c, int rc)
{
    return rc ? emul_raise(c, VEC_GP, 0) : EMUL_OKAY;
}

/* ---- memory ---- */

static enum emul_result memory_fault(struct emul_ctxt *c, uint64_t va, uint32_t error)
{
    if (!vcpu_of(c)->pv->in_kernel)
        error |= PFEC_U;
    return emul_raise_pf(c, error, va);
}

static enum emul_result fetch(struct emul_ctxt *c, uint64_t va, void *buf, unsigned bytes)
{
    return guest_read(buf, va, bytes) ? memory_fault(c, va, PFEC_I) : EMUL_OKAY;
}

static enum emul_result read_memory(struct emul_ctxt *c, enum emul_seg seg, uint64_t va, void *buf,
                                    unsigned bytes)
{
    return guest_read(buf, va, bytes) ? memory_fault(c, va, 0) : EMUL_OKAY;
}

static enum emul_result write_memory(struct emul_ctxt *c, enum emul_seg seg, uint64_t va,
                                     const void *buf, unsigned bytes)
{
    return guest_write(va, buf, bytes) ? memory_fault(c, va, PFEC_W) : EMUL_OKAY;
}

static enum emul_result read_segment(struct emul_ctxt *c, enum emul_seg seg,
                                     struct emul_segment *out)
{
    struct vcpu *v = vcpu_of(c);
    uint64_t desc = 0;

    switch (seg) {
    case EMUL_SEG_ES:
        out->sel = read_es();
        break;
    case EMUL_SEG_CS:
        out->sel = c->regs->cs;
        break;
    case EMUL_SEG_SS:
        out->sel = c->regs->ss;
        break;
    case EMUL_SEG_DS:
        out->sel = read_ds();
        break;
    case EMUL_SEG_FS:
        out->sel = read_fs();
        break;
    case EMUL_SEG_GS:
        out->sel = read_gs();
        break;
    }
    if (c->bits == 64) {
        out->base = seg == EMUL_SEG_FS ? pv_fs_base(v) : seg == EMUL_SEG_GS ? pv_gs_base(v) : 0;
        out->limit = ~0u;
        out->attr = EMUL_SEG_ATTR_P | EMUL_SEG_ATTR_S | 3;
        return EMUL_OKAY;
    }
    if (!pv_read_descriptor(v, out->sel, &desc))
        return emul_raise(c, VEC_GP, out->sel & ~3u);
    out->base = (desc >> 16 & 0xffffff) | (desc >> 32 & 0xff000000);
    out->limit = (desc & 0xffff) | (desc >> 32 & 0xf0000);
    if (desc & DESC_G)
        out->limit = out->limit << 12 | 0xfff;
    out->attr = (desc >> 40 & 0xff) | (desc >> 44 & 0xf00);
    return EMUL_OKAY;
}

/* ---- ports ---- */

static enum emul_result read_io(struct emul_ctxt *c, uint16_t port, unsigned bytes, uint32_t *val)
{
    if (!pv_io_allowed(vcpu_of(c), port, bytes))
        return emul_raise(c, VEC_GP, 0);
    *val = pv_io_read(vcpu_of(c), port, bytes);
    return EMUL_OKAY;
}

static enum emul_result write_io(struct emul_ctxt *c, uint16_t port, unsigned bytes, uint32_t val)
{
    if (!pv_io_allowed(vcpu_of(c), port, bytes))
        return emul_raise(c, VEC_GP, 0);
    pv_io_write(vcpu_of(c), port, bytes, val);
    return EMUL_OKAY;
}

/* CLI and STI have no effect on a PV guest, which masks events in memory. */
static enum emul_result set_if(struct emul_ctxt *c, bool on)
{
    return pv_iopl_ok(vcpu_of(c)) ? EMUL_OKAY : emul_raise(c, VEC_GP, 0);
}

/* ---- control and debug registers ---- */

static uint64_t cr0_view(const struct vcpu *v)
{
    return (read_cr0() & ~CR0_TS) | (v->pv->ts ? CR0_TS : 0);
}

static enum emul_result read_cr(struct emul_ctxt *c, unsigned nr, uint64_t *val)
{
    struct vcpu *v = vcpu_of(c);

    switch (nr) {
    case 0:
        *val = cr0_view(v);
        return EMUL_OKAY;
    case 2:
        *val = v->info->arch.cr2;
        return EMUL_OKAY;
    case 3:
        *val = v->pv->kernel_l4.n << PAGE_SHIFT;
        return EMUL_OKAY;
    case 4:
        *val = pv_cr4_view(v);
        return EMUL_OKAY;
    default:
        return EMUL_UNHANDLEABLE;
    }
}

static enum emul_result write_cr3_value(struct emul_ctxt *c, uint64_t val)
{
    int rc = pv_new_kernel_l4(vcpu_of(c), mfn(val >> PAGE_SHIFT));

    return rc == -ERESTART ? EMUL_RETRY : done_or_gp(c, rc);
}

static enum emul_result write_cr(struct emul_ctxt *c, unsigned nr, uint64_t val)
{
    struct vcpu *v = vcpu_of(c);

    switch (nr) {
    case 0:
        if ((val ^ cr0_view(v)) & ~CR0_TS)
            return emul_raise(c, VEC_GP, 0);
        (void)pv_fpu_taskswitch(val & CR0_TS);
        return EMUL_OKAY;
    case 2:
        v->info->arch.cr2 = val;
        return EMUL_OKAY;
    case 3:
        return write_cr3_value(c, val);
    case 4:
        pv_cr4_write(v, val);
        return EMUL_OKAY;
    default:
        return EMUL_UNHANDLEABLE;
    }
}

static enum emul_result read_dr(struct emul_ctxt *c, unsigned nr, uint64_t *val)
{
    return done_or_gp(c, pv_debugreg_get(vcpu_of(c), nr, val));
}

static enum emul_result write_dr(struct emul_ctxt *c, unsigned nr, uint64_t val)
{
    return done_or_gp(c, pv_debugreg_set(vcpu_of(c), nr, val));
}

/* ---- MSRs and the rest ---- */

static enum emul_result read_msr(struct emul_ctxt *c, uint32_t index, uint64_t *val)
{
    struct vcpu *v = vcpu_of(c);

    if (pv_rdmsr(v, index, val) == 0)
        return EMUL_OKAY;
    *val = 0;
    /* A kernel without a #GP handler yet would die of it: public xen.h, set_trap_table. */
    if (v->domain->pv->msr_relaxed || v->pv->trap[VEC_GP].address == 0)
        return EMUL_OKAY;
    return emul_raise(c, VEC_GP, 0);
}

static enum emul_result write_msr(struct emul_ctxt *c, uint32_t index, uint64_t val)
{
    struct vcpu *v = vcpu_of(c);
    int rc = pv_wrmsr(v, index, val);

    return rc && v->domain->pv->msr_relaxed ? EMUL_OKAY : done_or_gp(c, rc);
}

static enum emul_result xsetbv(struct emul_ctxt *c, uint32_t index, uint64_t val)
{
    return done_or_gp(c, index ? -EPERM : pv_xsetbv(vcpu_of(c), val));
}

static enum emul_result flush_cache(struct emul_ctxt *c, enum emul_cache_op op)
{
    const struct domain *d = vcpu_of(c)->domain;

    if (d->iomem.n || d->ioports.n) /* only who drives devices has a reason to */
        hw_wbinvd();
    return EMUL_OKAY;
}

static enum emul_result read_tsc(struct emul_ctxt *c, uint64_t *tsc, uint32_t *tsc_aux)
{
    struct vcpu *v = vcpu_of(c);

    if (!v->pv->in_kernel && (v->pv->cr4 & CR4_TSD))
        return emul_raise(c, VEC_GP, 0);
    *tsc = pv_rdtsc(v);
    if (tsc_aux)
        *tsc_aux = v->pv->msr_tsc_aux;
    return EMUL_OKAY;
}

static enum emul_result cpuid(struct emul_ctxt *c, uint32_t leaf, uint32_t subleaf,
                              struct emul_cpuid *out)
{
    struct vcpu *v = vcpu_of(c);
    struct cpuid_leaf l;

    if (!v->pv->in_kernel && (v->pv->msr_misc_features & MISC_FEATURES_CPUID_FAULT))
        return emul_raise(c, VEC_GP, 0);
    l = pv_cpuid(v, leaf, subleaf, PV_CPUID_FAULTED);
    *out = (struct emul_cpuid){.eax = l.a, .ebx = l.b, .ecx = l.c, .edx = l.d};
    return EMUL_OKAY;
}

static const struct emul_ops privileged_ops = {
    .fetch = fetch,
    .read = read_memory,
    .write = write_memory,
    .read_io = read_io,
    .write_io = write_io,
    .read_segment = read_segment,
    .read_cr = read_cr,
    .write_cr = write_cr,
    .read_dr = read_dr,
    .write_dr = write_dr,
    .read_msr = read_msr,
    .write_msr = write_msr,
    .xsetbv = xsetbv,
    .flush_cache = flush_cache,
    .set_if = set_if,
    .rdtsc = read_tsc,
    .cpuid = cpuid,
};

/* Debug exceptions that the processor would have raised for the instruction itself. */
static void after(struct vcpu *v, const struct emul_ctxt *c)
{
    if (unlikely(c->retire.singlestep))
        v->pv->dr6 |= DR6_BS | DR6_DEFAULT;
    if (unlikely(c->retire.singlestep || v->pv->io_breakpoint_hit)) {
        v->pv->io_breakpoint_hit = false;
        pv_inject_trap(v, VEC_DB, 0);
    }
}

/* The eight bytes at rip at once, which is most often all there is to fetch; 0: not so. */
static unsigned prefetch(uint64_t rip, unsigned bits, uint8_t *bytes)
{
    uint64_t code;

    if (bits != 64 || (rip & ~PAGE_MASK) > PAGE_SIZE - sizeof(code) ||
        !guest_range_ok(rip, sizeof(code)) || hw_read_guest_u64(rip, &code))
        return 0;
    memcpy(bytes, &code, sizeof(code));
    return sizeof(code);
}

bool pv_emulate_privileged(struct vcpu *v, struct regs *regs)
{
    struct emul_ctxt c; /* emul_decode() clears the rest */
    enum emul_result rc;

    c.regs = regs;
    c.ops = &privileged_ops;
    c.data = v;
    c.bits = pv_code_bits(v, regs->cs);
    c.cpl = v->pv->in_kernel ? 0 : 3;
    c.iopl = 3; /* ports, CLI and STI: the callbacks ask pv_iopl_ok() */
    c.real = false;
    c.amd = cpu_vendor == CPU_AMD;
    c.max_reps = 0;
    c.fetched = prefetch(regs->rip, c.bits, c.bytes);
    rc = emul_decode(&c);
    v->refusals.call = ~0u; /* what is refused from here on is no hypercall */
    if (rc == EMUL_OKAY) {
        enum emul_class class = emul_insn_class(&c.insn);

        if (class != EMUL_CLASS_SYSTEM && class != EMUL_CLASS_IO)
            return false;
        rc = emul_execute(&c);
    }
    switch (rc) {
    case EMUL_OKAY:
        after(v, &c);
        return true;
    case EMUL_RETRY:
        return true;
    case EMUL_EXCEPTION:
        if (c.event.vector == VEC_PF)
            pv_inject_page_fault(v, c.event.cr2, c.event.error);
        else
            pv_inject_trap(v, c.event.vector, c.event.error);
        return true;
    default:
        return false;
    }
}
