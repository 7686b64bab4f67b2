/* SPDX-License-Identifier: MIT */
/*
 * String instructions and ports. A repetition is done an element at a time, at most max_reps of
 * them a call; finished elements stay in the registers with rip unmoved, so the guest's own
 * restart of the instruction goes on from there, as after an interrupt on the processor.
 *
 * Intel SDM vol. 1, 7.3.9; vol. 2, rep and the instructions; vol. 1, 19.5 (I/O permission).
 */
#include "emulate/internal.h"
#include "lib/util.h"

struct string_op {
    /* One element at rsi and rdi as they are; the caller advances them. */
    enum emul_result (*element)(struct emul_ctxt *c, uint64_t *flags);
    bool uses_rsi, uses_rdi;
    bool compares; /* repe and repne end it by ZF */
};

static uint64_t string_offset(const struct emul_ctxt *c, unsigned int reg)
{
    return *regs_gpr(c->regs, reg) & mask_of(c->insn.addr_bytes);
}

static enum emul_result source(struct emul_ctxt *c, uint64_t *val)
{
    enum emul_seg seg = c->insn.seg;
    enum emul_result rc;
    uint64_t linear;

    *val = 0;
    rc = emul_linear(c, seg, string_offset(c, EMUL_RSI), c->insn.op_bytes, false, &linear);
    return rc == EMUL_OKAY ? emul_mem_read(c, seg, linear, val, c->insn.op_bytes) : rc;
}

/* The destination is in es whatever override there is. */
static enum emul_result destination(struct emul_ctxt *c, bool write, uint64_t *linear)
{
    return emul_linear(c, EMUL_SEG_ES, string_offset(c, EMUL_RDI), c->insn.op_bytes, write, linear);
}

static enum emul_result store(struct emul_ctxt *c, const uint64_t *val)
{
    uint64_t linear;
    enum emul_result rc = destination(c, true, &linear);

    return rc == EMUL_OKAY ? emul_mem_write(c, EMUL_SEG_ES, linear, val, c->insn.op_bytes) : rc;
}

static enum emul_result load_destination(struct emul_ctxt *c, uint64_t *val)
{
    uint64_t linear;
    enum emul_result rc = destination(c, false, &linear);

    *val = 0;
    return rc == EMUL_OKAY ? emul_mem_read(c, EMUL_SEG_ES, linear, val, c->insn.op_bytes) : rc;
}

static enum emul_result element_movs(struct emul_ctxt *c, uint64_t *flags)
{
    uint64_t val;
    enum emul_result rc = source(c, &val);

    return rc == EMUL_OKAY ? store(c, &val) : rc;
}

static enum emul_result element_cmps(struct emul_ctxt *c, uint64_t *flags)
{
    uint64_t a, b;
    enum emul_result rc = source(c, &a);

    if (rc == EMUL_OKAY)
        rc = load_destination(c, &b);
    if (rc == EMUL_OKAY)
        emul_sub(flags, a, b, false, c->insn.op_bytes);
    return rc;
}

static enum emul_result element_stos(struct emul_ctxt *c, uint64_t *flags)
{
    return store(c, regs_gpr(c->regs, EMUL_RAX));
}

static enum emul_result element_lods(struct emul_ctxt *c, uint64_t *flags)
{
    uint64_t val;
    enum emul_result rc = source(c, &val);

    if (rc == EMUL_OKAY)
        emul_reg_write(c, EMUL_RAX, c->insn.op_bytes, val);
    return rc;
}

static enum emul_result element_scas(struct emul_ctxt *c, uint64_t *flags)
{
    uint64_t val;
    enum emul_result rc = load_destination(c, &val);

    if (rc == EMUL_OKAY)
        emul_sub(flags, *regs_gpr(c->regs, EMUL_RAX), val, false, c->insn.op_bytes);
    return rc;
}

/* Permission to use ports: by IOPL, else by the bitmap; virtual-8086 mode asks the bitmap only. */
static enum emul_result io_check(struct emul_ctxt *c, uint16_t port)
{
    if (c->cpl <= c->iopl && !(c->real && c->cpl))
        return EMUL_OKAY;
    if (!c->ops->check_io)
        return emul_raise(c, VEC_GP, 0);
    return c->ops->check_io(c, port, c->insn.op_bytes);
}

static enum emul_result io_read(struct emul_ctxt *c, uint16_t port, uint64_t *val)
{
    enum emul_result rc;
    uint32_t data = 0;

    if (!c->ops->read_io)
        return EMUL_UNHANDLEABLE;
    rc = c->ops->read_io(c, port, c->insn.op_bytes, &data);
    *val = data;
    return rc;
}

static enum emul_result io_write(struct emul_ctxt *c, uint16_t port, uint64_t val)
{
    if (!c->ops->write_io)
        return EMUL_UNHANDLEABLE;
    return c->ops->write_io(c, port, c->insn.op_bytes, val & mask_of(c->insn.op_bytes));
}

/* What a port gave cannot be given back, so everything else is checked first. */
static enum emul_result element_ins(struct emul_ctxt *c, uint64_t *flags)
{
    uint16_t port = *regs_gpr(c->regs, EMUL_RDX);
    enum emul_result rc = io_check(c, port);
    uint64_t linear, val;

    if (rc == EMUL_OKAY)
        rc = destination(c, true, &linear);
    if (rc == EMUL_OKAY && c->ops->probe_write)
        rc = c->ops->probe_write(c, EMUL_SEG_ES, linear, c->insn.op_bytes);
    if (rc == EMUL_OKAY)
        rc = io_read(c, port, &val);
    return rc == EMUL_OKAY ? emul_mem_write(c, EMUL_SEG_ES, linear, &val, c->insn.op_bytes) : rc;
}

static enum emul_result element_outs(struct emul_ctxt *c, uint64_t *flags)
{
    uint16_t port = *regs_gpr(c->regs, EMUL_RDX);
    enum emul_result rc = io_check(c, port);
    uint64_t val;

    if (rc == EMUL_OKAY)
        rc = source(c, &val);
    return rc == EMUL_OKAY ? io_write(c, port, val) : rc;
}

static void advance(struct emul_ctxt *c, unsigned int reg)
{
    unsigned int bytes = c->insn.op_bytes;
    uint64_t step = c->regs->rflags & RFLAGS_DF ? -(uint64_t)bytes : bytes;

    emul_reg_write(c, reg, c->insn.addr_bytes, *regs_gpr(c->regs, reg) + step);
}

/* Does one element with all it changes; `more` falls when it was the last one. */
static enum emul_result step(struct emul_ctxt *c, const struct string_op *op, uint64_t *flags,
                             bool *more)
{
    const struct emul_insn *insn = &c->insn;
    enum emul_result rc = op->element(c, flags);
    uint64_t left;

    if (rc != EMUL_OKAY)
        return rc;
    if (op->uses_rsi)
        advance(c, EMUL_RSI);
    if (op->uses_rdi)
        advance(c, EMUL_RDI);
    c->retire.reps++;
    *more = false;
    if (!insn->rep)
        return EMUL_OKAY;

    left = (c->regs->rcx - 1) & mask_of(insn->addr_bytes);
    emul_reg_write(c, EMUL_RCX, insn->addr_bytes, left);
    *more = left && (!op->compares || !(*flags & RFLAGS_ZF) == (insn->rep == 0xf2));
    return EMUL_OKAY;
}

static enum emul_result run_string(struct emul_ctxt *c, const struct string_op *op)
{
    uint64_t flags = c->regs->rflags;
    uint32_t budget = c->max_reps ? c->max_reps : EMUL_DEFAULT_REPS;
    bool more = !c->insn.rep || (c->regs->rcx & mask_of(c->insn.addr_bytes));
    enum emul_result rc = EMUL_OKAY;

    if (flags & RFLAGS_TF)
        budget = 1; /* a trap after each element */
    while (more && c->retire.reps < budget) {
        rc = step(c, op, &flags, &more);
        if (rc == EMUL_OKAY)
            continue;
        /* Let the guest come back and meet the obstacle with its first element. */
        return rc == EMUL_UNHANDLEABLE && c->retire.reps ? EMUL_RETRY : rc;
    }
    if (more && !(flags & RFLAGS_TF))
        return EMUL_RETRY;
    if (more)
        c->retire.rip = c->regs->rip;
    c->regs->rflags = (c->regs->rflags & ~FLAGS_ARITH) | (flags & FLAGS_ARITH);
    return EMUL_OKAY;
}

static const struct string_op op_movs = {element_movs, .uses_rsi = true, .uses_rdi = true};
static const struct string_op op_cmps = {element_cmps, true, true, .compares = true};
static const struct string_op op_stos = {element_stos, .uses_rdi = true};
static const struct string_op op_lods = {element_lods, .uses_rsi = true};
static const struct string_op op_scas = {element_scas, .uses_rdi = true, .compares = true};
static const struct string_op op_ins = {element_ins, .uses_rdi = true};
static const struct string_op op_outs = {element_outs, .uses_rsi = true};

static enum emul_result run_movs(struct emul_ctxt *c)
{
    return run_string(c, &op_movs);
}

static enum emul_result run_cmps(struct emul_ctxt *c)
{
    return run_string(c, &op_cmps);
}

static enum emul_result run_stos(struct emul_ctxt *c)
{
    return run_string(c, &op_stos);
}

static enum emul_result run_lods(struct emul_ctxt *c)
{
    return run_string(c, &op_lods);
}

static enum emul_result run_scas(struct emul_ctxt *c)
{
    return run_string(c, &op_scas);
}

static enum emul_result run_ins(struct emul_ctxt *c)
{
    return run_string(c, &op_ins);
}

static enum emul_result run_outs(struct emul_ctxt *c)
{
    return run_string(c, &op_outs);
}

/* in and out: the port is the immediate, or dx. */
static uint16_t port_of(const struct emul_ctxt *c)
{
    return c->insn.op.imm ? c->insn.imm : *regs_gpr(c->regs, EMUL_RDX);
}

static enum emul_result run_in(struct emul_ctxt *c)
{
    enum emul_result rc = io_check(c, port_of(c));
    uint64_t val;

    if (rc == EMUL_OKAY)
        rc = io_read(c, port_of(c), &val);
    if (rc == EMUL_OKAY)
        emul_reg_write(c, EMUL_RAX, c->insn.op_bytes, val);
    return rc;
}

static enum emul_result run_out(struct emul_ctxt *c)
{
    enum emul_result rc = io_check(c, port_of(c));

    return rc == EMUL_OKAY ? io_write(c, port_of(c), *regs_gpr(c->regs, EMUL_RAX)) : rc;
}

const struct emul_exec emul_exec_string[32] = {
    [EXEC_MEMBER(X_MOVS)] = {.run = run_movs}, [EXEC_MEMBER(X_CMPS)] = {.run = run_cmps},
    [EXEC_MEMBER(X_STOS)] = {.run = run_stos}, [EXEC_MEMBER(X_LODS)] = {.run = run_lods},
    [EXEC_MEMBER(X_SCAS)] = {.run = run_scas},
};

const struct emul_exec emul_exec_io[32] = {
    [EXEC_MEMBER(X_IN)] = {.run = run_in},
    [EXEC_MEMBER(X_OUT)] = {.run = run_out},
    [EXEC_MEMBER(X_INS)] = {.run = run_ins},
    [EXEC_MEMBER(X_OUTS)] = {.run = run_outs},
};
