/* SPDX-License-Identifier: MIT */
/*
 * Privileged instructions: control and debug registers, MSRs, caches, the interrupt flag; and
 * those that hypervisors trap at every privilege: cpuid, rdtsc. What they do is the caller's;
 * here are the privilege checks and the registers they move.
 *
 * Intel SDM vol. 2, the instructions; vol. 3A, 5.9 (privileged instructions).
 */
#include "emulate/internal.h"

static enum emul_result privileged(struct emul_ctxt *c)
{
    return c->cpl ? emul_raise(c, VEC_GP, 0) : EMUL_OKAY;
}

/* edx:eax, as rdmsr and rdtsc give and wrmsr and xsetbv take 64 bits. */
static uint64_t edx_eax(const struct emul_ctxt *c)
{
    return c->regs->rdx << 32 | (uint32_t)c->regs->rax;
}

static void set_edx_eax(struct emul_ctxt *c, uint64_t val)
{
    emul_reg_write(c, EMUL_RAX, 4, val);
    emul_reg_write(c, EMUL_RDX, 4, val >> 32);
}

static enum emul_result set_if(struct emul_ctxt *c, bool on)
{
    enum emul_result rc;
    bool was = c->regs->rflags & RFLAGS_IF;

    if (c->cpl > c->iopl)
        return emul_raise(c, VEC_GP, 0);
    if (!c->ops->set_if)
        return EMUL_UNHANDLEABLE;
    rc = c->ops->set_if(c, on);
    c->retire.sti_shadow = rc == EMUL_OKAY && on && !was;
    return rc;
}

static enum emul_result run_cli(struct emul_ctxt *c)
{
    return set_if(c, false);
}

static enum emul_result run_sti(struct emul_ctxt *c)
{
    return set_if(c, true);
}

static enum emul_result run_clts(struct emul_ctxt *c)
{
    enum emul_result rc = privileged(c);
    uint64_t cr0;

    if (rc != EMUL_OKAY)
        return rc;
    if (!c->ops->read_cr || !c->ops->write_cr)
        return EMUL_UNHANDLEABLE;
    rc = c->ops->read_cr(c, 0, &cr0);
    return rc == EMUL_OKAY ? c->ops->write_cr(c, 0, cr0 & ~CR0_TS) : rc;
}

/* Control registers that exist: 0, 2, 3, 4, 8. */
static enum emul_result check_cr(struct emul_ctxt *c)
{
    unsigned int nr = c->insn.reg;

    if (nr > 8 || nr == 1 || (nr > 4 && nr < 8))
        return emul_raise(c, VEC_UD, 0);
    return privileged(c);
}

static enum emul_result run_from_cr(struct emul_ctxt *c)
{
    enum emul_result rc = check_cr(c);
    uint64_t val;

    if (rc != EMUL_OKAY)
        return rc;
    if (!c->ops->read_cr)
        return EMUL_UNHANDLEABLE;
    rc = c->ops->read_cr(c, c->insn.reg, &val);
    if (rc == EMUL_OKAY)
        emul_reg_write(c, c->insn.rm, c->insn.op_bytes, val);
    return rc;
}

static enum emul_result run_to_cr(struct emul_ctxt *c)
{
    enum emul_result rc = check_cr(c);

    if (rc != EMUL_OKAY)
        return rc;
    if (!c->ops->write_cr)
        return EMUL_UNHANDLEABLE;
    return c->ops->write_cr(c, c->insn.reg, emul_reg_read(c, c->insn.rm, c->insn.op_bytes));
}

/* dr4 and dr5 mean dr6 and dr7 or #UD, by CR4.DE: the callback knows. */
static enum emul_result check_dr(struct emul_ctxt *c)
{
    return c->insn.reg > 7 ? emul_raise(c, VEC_UD, 0) : privileged(c);
}

static enum emul_result run_from_dr(struct emul_ctxt *c)
{
    enum emul_result rc = check_dr(c);
    uint64_t val;

    if (rc != EMUL_OKAY)
        return rc;
    if (!c->ops->read_dr)
        return EMUL_UNHANDLEABLE;
    rc = c->ops->read_dr(c, c->insn.reg, &val);
    if (rc == EMUL_OKAY)
        emul_reg_write(c, c->insn.rm, c->insn.op_bytes, val);
    return rc;
}

static enum emul_result run_to_dr(struct emul_ctxt *c)
{
    enum emul_result rc = check_dr(c);

    if (rc != EMUL_OKAY)
        return rc;
    if (!c->ops->write_dr)
        return EMUL_UNHANDLEABLE;
    return c->ops->write_dr(c, c->insn.reg, emul_reg_read(c, c->insn.rm, c->insn.op_bytes));
}

static enum emul_result run_rdmsr(struct emul_ctxt *c)
{
    enum emul_result rc = privileged(c);
    uint64_t val;

    if (rc != EMUL_OKAY)
        return rc;
    if (!c->ops->read_msr)
        return EMUL_UNHANDLEABLE;
    rc = c->ops->read_msr(c, c->regs->rcx, &val);
    if (rc == EMUL_OKAY)
        set_edx_eax(c, val);
    return rc;
}

static enum emul_result run_wrmsr(struct emul_ctxt *c)
{
    enum emul_result rc = privileged(c);

    if (rc != EMUL_OKAY)
        return rc;
    if (!c->ops->write_msr)
        return EMUL_UNHANDLEABLE;
    return c->ops->write_msr(c, c->regs->rcx, edx_eax(c));
}

static enum emul_result run_rdtsc(struct emul_ctxt *c)
{
    enum emul_result rc;
    uint64_t tsc;

    if (!c->ops->rdtsc)
        return EMUL_UNHANDLEABLE;
    rc = c->ops->rdtsc(c, &tsc, NULL);
    if (rc == EMUL_OKAY)
        set_edx_eax(c, tsc);
    return rc;
}

static enum emul_result run_rdtscp(struct emul_ctxt *c)
{
    enum emul_result rc;
    uint32_t aux = 0;
    uint64_t tsc;

    if (!c->ops->rdtsc)
        return EMUL_UNHANDLEABLE;
    rc = c->ops->rdtsc(c, &tsc, &aux);
    if (rc == EMUL_OKAY) {
        set_edx_eax(c, tsc);
        emul_reg_write(c, EMUL_RCX, 4, aux);
    }
    return rc;
}

static enum emul_result run_cpuid(struct emul_ctxt *c)
{
    struct emul_cpuid r;
    enum emul_result rc;

    if (!c->ops->cpuid)
        return EMUL_UNHANDLEABLE;
    rc = c->ops->cpuid(c, c->regs->rax, c->regs->rcx, &r);
    if (rc == EMUL_OKAY) {
        emul_reg_write(c, EMUL_RAX, 4, r.eax);
        emul_reg_write(c, EMUL_RBX, 4, r.ebx);
        emul_reg_write(c, EMUL_RCX, 4, r.ecx);
        emul_reg_write(c, EMUL_RDX, 4, r.edx);
    }
    return rc;
}

/* Any of 66, f2, f3 makes it another, undefined opcode. */
static enum emul_result run_xsetbv(struct emul_ctxt *c)
{
    enum emul_result rc;

    if (c->insn.opsize || c->insn.rep)
        return emul_raise(c, VEC_UD, 0);
    rc = privileged(c);
    if (rc != EMUL_OKAY)
        return rc;
    if (!c->ops->xsetbv)
        return EMUL_UNHANDLEABLE;
    return c->ops->xsetbv(c, c->regs->rcx, edx_eax(c));
}

static enum emul_result flush_cache(struct emul_ctxt *c, enum emul_cache_op op)
{
    enum emul_result rc = privileged(c);

    if (rc != EMUL_OKAY)
        return rc;
    return c->ops->flush_cache ? c->ops->flush_cache(c, op) : EMUL_UNHANDLEABLE;
}

static enum emul_result run_invd(struct emul_ctxt *c)
{
    return flush_cache(c, EMUL_INVD);
}

static enum emul_result run_wbinvd(struct emul_ctxt *c)
{
    return flush_cache(c, EMUL_WBINVD);
}

static enum emul_result run_wbnoinvd(struct emul_ctxt *c)
{
    return flush_cache(c, EMUL_WBNOINVD);
}

/* A non-canonical address makes invlpg a no-operation, not a fault. */
static enum emul_result run_invlpg(struct emul_ctxt *c)
{
    enum emul_result rc = privileged(c);
    uint64_t linear;

    if (rc != EMUL_OKAY)
        return rc;
    if (!c->ops->invlpg)
        return EMUL_UNHANDLEABLE;
    rc = emul_linear(c, c->insn.seg, emul_offset(c), 1, false, &linear);
    if (rc == EMUL_EXCEPTION && c->bits == 64) {
        c->event = (struct emul_event){0};
        return EMUL_OKAY;
    }
    return rc == EMUL_OKAY ? c->ops->invlpg(c, linear) : rc;
}

static enum emul_result run_hlt(struct emul_ctxt *c)
{
    enum emul_result rc = privileged(c);

    if (rc != EMUL_OKAY)
        return rc;
    return c->ops->hlt ? c->ops->hlt(c) : EMUL_UNHANDLEABLE;
}

const struct emul_exec emul_exec_system[32] = {
    [EXEC_MEMBER(X_CLI)] = {.run = run_cli},
    [EXEC_MEMBER(X_STI)] = {.run = run_sti},
    [EXEC_MEMBER(X_CLTS)] = {.run = run_clts},
    [EXEC_MEMBER(X_FROM_CR)] = {.run = run_from_cr},
    [EXEC_MEMBER(X_TO_CR)] = {.run = run_to_cr},
    [EXEC_MEMBER(X_FROM_DR)] = {.run = run_from_dr},
    [EXEC_MEMBER(X_TO_DR)] = {.run = run_to_dr},
    [EXEC_MEMBER(X_RDMSR)] = {.run = run_rdmsr},
    [EXEC_MEMBER(X_WRMSR)] = {.run = run_wrmsr},
    [EXEC_MEMBER(X_RDTSC)] = {.run = run_rdtsc},
    [EXEC_MEMBER(X_RDTSCP)] = {.run = run_rdtscp},
    [EXEC_MEMBER(X_CPUID)] = {.run = run_cpuid},
    [EXEC_MEMBER(X_XSETBV)] = {.run = run_xsetbv},
    [EXEC_MEMBER(X_INVD)] = {.run = run_invd},
    [EXEC_MEMBER(X_WBINVD)] = {.run = run_wbinvd},
    [EXEC_MEMBER(X_WBNOINVD)] = {.run = run_wbnoinvd},
    [EXEC_MEMBER(X_INVLPG)] = {.run = run_invlpg},
    [EXEC_MEMBER(X_HLT)] = {.run = run_hlt},
};
