/* SPDX-License-Identifier: MIT */
/*
 * Carries out a decoded instruction: loads operands, lets the arithmetic run, stores the result,
 * retires. A read-modify-write of memory is repeated with fresh contents when its cmpxchg lost.
 *
 * Intel SDM vol. 1, 3.4.3 (RF, TF) and 6.4 (what an instruction leaves behind).
 */
#include "emulate/internal.h"

/* How often a read-modify-write is tried before the guest is sent back to try itself. */
#define CMPXCHG_TRIES 8

/* Everything a compute function may change in rflags. */
#define FLAGS_COMPUTED (FLAGS_ARITH | RFLAGS_DF)

typedef void compute_fn(const struct emul_insn *insn, struct emul_alu *a);

static enum emul_result store(struct emul_ctxt *c, const struct emul_alu *a, uint64_t linear,
                              uint64_t *old)
{
    const struct emul_insn *insn = &c->insn;
    unsigned int bytes = emul_operand_bytes(insn, insn->op.dst);
    bool lock = insn->lock || insn->op.exec == X_XCHG; /* xchg with memory is always locked */

    if (insn->op.flags & F_NW)
        return EMUL_OKAY;
    if (insn->op.flags & F_WO)
        return emul_mem_write(c, insn->seg, linear, &a->dst, bytes);
    return emul_mem_cmpxchg(c, insn->seg, linear, old, &a->dst, bytes, lock);
}

static enum emul_result compute_memory(struct emul_ctxt *c, compute_fn *compute, struct emul_alu *a)
{
    const struct emul_insn *insn = &c->insn;
    unsigned int bytes = emul_operand_bytes(insn, insn->op.dst), i;
    uint64_t linear, old = 0;
    enum emul_result rc;
    struct emul_alu try;

    rc = emul_linear(c, insn->seg, emul_offset(c), bytes, !(insn->op.flags & F_NW), &linear);
    if (rc == EMUL_OKAY && !(insn->op.flags & F_WO))
        rc = emul_mem_read(c, insn->seg, linear, &old, bytes);
    if (rc != EMUL_OKAY)
        return rc;

    for (i = 0; i < CMPXCHG_TRIES; i++) {
        try = *a;
        try.dst = old;
        compute(insn, &try);
        rc = store(c, &try, linear, &old);
        if (rc != EMUL_CMPXCHG_FAILED)
            break;
    }
    *a = try;
    return rc == EMUL_CMPXCHG_FAILED ? EMUL_RETRY : rc;
}

static void compute_register(struct emul_ctxt *c, compute_fn *compute, struct emul_alu *a)
{
    const struct emul_insn *insn = &c->insn;
    enum emul_operand dst = insn->op.dst;

    if (dst != O_NONE && !(insn->op.flags & F_WO))
        a->dst = emul_reg_read(c, emul_operand_reg(insn, dst), emul_operand_bytes(insn, dst));
    compute(insn, a);
}

static enum emul_result run_compute(struct emul_ctxt *c, compute_fn *compute)
{
    const struct emul_insn *insn = &c->insn;
    enum emul_operand dst = insn->op.dst, src = insn->op.src;
    struct emul_alu a = {
        .flags = c->regs->rflags,
        .bytes = insn->op_bytes,
        .src_bytes = emul_operand_bytes(insn, src),
        .third = insn->op.imm ? insn->imm : emul_reg_read(c, EMUL_RCX, 8),
    };
    enum emul_result rc = EMUL_OKAY;

    if (!(insn->op.flags & F_NOACC))
        rc = emul_operand_load(c, src, &a.src);
    if (rc != EMUL_OKAY)
        return rc;
    if (emul_operand_is_mem(insn, dst))
        rc = compute_memory(c, compute, &a);
    else
        compute_register(c, compute, &a);
    if (rc != EMUL_OKAY)
        return rc;

    c->regs->rflags = (c->regs->rflags & ~FLAGS_COMPUTED) | (a.flags & FLAGS_COMPUTED);
    if (insn->op.flags & F_SRCOUT)
        emul_reg_write(c, emul_operand_reg(insn, src), a.src_bytes, a.src);
    if (dst != O_NONE && !emul_operand_is_mem(insn, dst) && !(insn->op.flags & F_NW))
        emul_reg_write(c, emul_operand_reg(insn, dst), emul_operand_bytes(insn, dst), a.dst);
    return EMUL_OKAY;
}

enum emul_result emul_execute(struct emul_ctxt *c)
{
    static const struct emul_exec *const families[EXEC_FAMILIES] = {
        NULL,           emul_exec_alu,    emul_exec_shift, emul_exec_move,
        emul_exec_flow, emul_exec_string, emul_exec_io,    emul_exec_system,
    };
    const struct emul_exec *family = families[EXEC_FAMILY(c->insn.op.exec)], *exec;
    bool singlestep = c->regs->rflags & RFLAGS_TF;
    enum emul_result rc;

    if (!family)
        return EMUL_UNHANDLEABLE;
    exec = &family[EXEC_MEMBER(c->insn.op.exec)];
    c->retire.rip = c->regs->rip + c->insn.length;
    if (c->bits != 64)
        c->retire.rip = (uint32_t)c->retire.rip;

    rc = exec->run ? exec->run(c) : run_compute(c, exec->compute);
    if (rc != EMUL_OKAY)
        return rc;
    c->regs->rip = c->retire.rip;
    c->regs->rflags &= ~RFLAGS_RF;
    c->retire.singlestep = singlestep;
    return EMUL_OKAY;
}

enum emul_result emul_instruction(struct emul_ctxt *c)
{
    enum emul_result rc = emul_decode(c);

    return rc == EMUL_OKAY ? emul_execute(c) : rc;
}
