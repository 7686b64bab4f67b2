/* SPDX-License-Identifier: MIT */
/*
 * Near branches and the stack. A branch checks its target before anything is written; the stack
 * pointer moves last.
 *
 * Intel SDM vol. 1, 6.2 (stack), 7.3.8 (branches); vol. 2, the instructions.
 */
#include "emulate/internal.h"

/* Leaves the target in retire.rip, or #GP. */
static enum emul_result branch(struct emul_ctxt *c, uint64_t target)
{
    struct emul_segment cs;
    enum emul_result rc;

    target &= mask_of(c->insn.op_bytes);
    if (c->bits == 64) {
        if (!emul_canonical(target))
            return emul_raise(c, VEC_GP, 0);
    } else {
        if (!c->ops->read_segment)
            return EMUL_UNHANDLEABLE;
        rc = c->ops->read_segment(c, EMUL_SEG_CS, &cs);
        if (rc != EMUL_OKAY)
            return rc;
        if (target > cs.limit)
            return emul_raise(c, VEC_GP, 0);
    }
    c->retire.rip = target;
    return EMUL_OKAY;
}

/* The size of the stack pointer: 8, or what the stack segment says. */
static enum emul_result stack_bytes(struct emul_ctxt *c, unsigned int *bytes)
{
    struct emul_segment ss;
    enum emul_result rc;

    *bytes = 8;
    if (c->bits == 64)
        return EMUL_OKAY;
    if (!c->ops->read_segment)
        return EMUL_UNHANDLEABLE;
    rc = c->ops->read_segment(c, EMUL_SEG_SS, &ss);
    *bytes = ss.attr & EMUL_SEG_ATTR_DB ? 4 : 2;
    return rc;
}

static enum emul_result push(struct emul_ctxt *c, uint64_t val)
{
    unsigned int bytes = c->insn.op_bytes, size;
    enum emul_result rc;
    uint64_t sp, linear;

    rc = stack_bytes(c, &size);
    if (rc != EMUL_OKAY)
        return rc;
    sp = (c->regs->rsp - bytes) & mask_of(size);
    rc = emul_linear(c, EMUL_SEG_SS, sp, bytes, true, &linear);
    if (rc == EMUL_OKAY)
        rc = emul_mem_write(c, EMUL_SEG_SS, linear, &val, bytes);
    if (rc == EMUL_OKAY)
        emul_reg_write(c, EMUL_RSP, size, sp);
    return rc;
}

/* Reads the top of a stack at `sp`; the caller moves the pointer by the operand size. */
static enum emul_result top(struct emul_ctxt *c, uint64_t sp, uint64_t *val, unsigned int *size)
{
    unsigned int bytes = c->insn.op_bytes;
    enum emul_result rc;
    uint64_t linear;

    *val = 0;
    rc = stack_bytes(c, size);
    if (rc != EMUL_OKAY)
        return rc;
    rc = emul_linear(c, EMUL_SEG_SS, sp & mask_of(*size), bytes, false, &linear);
    return rc == EMUL_OKAY ? emul_mem_read(c, EMUL_SEG_SS, linear, val, bytes) : rc;
}

static enum emul_result run_jcc(struct emul_ctxt *c)
{
    if (!emul_condition(c->regs->rflags, c->insn.opcode))
        return EMUL_OKAY;
    return branch(c, c->retire.rip + c->insn.imm);
}

static enum emul_result run_jmp_rel(struct emul_ctxt *c)
{
    return branch(c, c->retire.rip + c->insn.imm);
}

static enum emul_result run_jmp(struct emul_ctxt *c)
{
    uint64_t target;
    enum emul_result rc = emul_operand_load(c, O_RM, &target);

    return rc == EMUL_OKAY ? branch(c, target) : rc;
}

static enum emul_result call(struct emul_ctxt *c, uint64_t target)
{
    uint64_t next = c->retire.rip;
    enum emul_result rc = branch(c, target);

    return rc == EMUL_OKAY ? push(c, next) : rc;
}

static enum emul_result run_call_rel(struct emul_ctxt *c)
{
    return call(c, c->retire.rip + c->insn.imm);
}

static enum emul_result run_call(struct emul_ctxt *c)
{
    uint64_t target;
    enum emul_result rc = emul_operand_load(c, O_RM, &target);

    return rc == EMUL_OKAY ? call(c, target) : rc;
}

static enum emul_result run_ret(struct emul_ctxt *c)
{
    enum emul_result rc;
    unsigned int size;
    uint64_t target;

    rc = top(c, c->regs->rsp, &target, &size);
    if (rc == EMUL_OKAY)
        rc = branch(c, target);
    if (rc == EMUL_OKAY)
        emul_reg_write(c, EMUL_RSP, size, c->regs->rsp + c->insn.op_bytes + c->insn.imm);
    return rc;
}

static enum emul_result run_push(struct emul_ctxt *c)
{
    uint64_t val;
    enum emul_result rc = emul_operand_load(c, c->insn.op.src, &val);

    return rc == EMUL_OKAY ? push(c, val) : rc;
}

/* An address based on rsp uses its value after the pop; so does a pop into rsp itself. */
static enum emul_result run_pop(struct emul_ctxt *c)
{
    const struct emul_insn *insn = &c->insn;
    uint64_t val, linear, before = c->regs->rsp;
    enum emul_result rc;
    unsigned int size;

    rc = top(c, before, &val, &size);
    if (rc != EMUL_OKAY)
        return rc;
    emul_reg_write(c, EMUL_RSP, size, before + insn->op_bytes);
    if (!insn->has_mem) {
        emul_reg_write(c, emul_operand_reg(insn, insn->op.dst), insn->op_bytes, val);
        return EMUL_OKAY;
    }
    rc = emul_linear(c, insn->seg, emul_offset(c), insn->op_bytes, true, &linear);
    if (rc == EMUL_OKAY)
        rc = emul_mem_write(c, insn->seg, linear, &val, insn->op_bytes);
    if (rc != EMUL_OKAY)
        c->regs->rsp = before;
    return rc;
}

static enum emul_result run_leave(struct emul_ctxt *c)
{
    uint64_t val, frame = c->regs->rbp;
    enum emul_result rc;
    unsigned int size;

    rc = top(c, frame, &val, &size);
    if (rc != EMUL_OKAY)
        return rc;
    emul_reg_write(c, EMUL_RSP, size, frame + c->insn.op_bytes);
    emul_reg_write(c, EMUL_RBP, c->insn.op_bytes, val);
    return EMUL_OKAY;
}

/* e0 loopne, e1 loope, e2 loop; the counter has the address size. */
static enum emul_result run_loop(struct emul_ctxt *c)
{
    const struct emul_insn *insn = &c->insn;
    uint64_t count = (c->regs->rcx - 1) & mask_of(insn->addr_bytes);
    bool zero = c->regs->rflags & RFLAGS_ZF, taken = count;
    enum emul_result rc = EMUL_OKAY;

    if (insn->opcode != 0xe2)
        taken = taken && zero == (insn->opcode == 0xe1);
    if (taken)
        rc = branch(c, c->retire.rip + insn->imm);
    if (rc == EMUL_OKAY)
        emul_reg_write(c, EMUL_RCX, insn->addr_bytes, count);
    return rc;
}

static enum emul_result run_jcxz(struct emul_ctxt *c)
{
    if (c->regs->rcx & mask_of(c->insn.addr_bytes))
        return EMUL_OKAY;
    return branch(c, c->retire.rip + c->insn.imm);
}

const struct emul_exec emul_exec_flow[32] = {
    [EXEC_MEMBER(X_JCC)] = {.run = run_jcc},     [EXEC_MEMBER(X_JMP_REL)] = {.run = run_jmp_rel},
    [EXEC_MEMBER(X_JMP)] = {.run = run_jmp},     [EXEC_MEMBER(X_CALL_REL)] = {.run = run_call_rel},
    [EXEC_MEMBER(X_CALL)] = {.run = run_call},   [EXEC_MEMBER(X_RET)] = {.run = run_ret},
    [EXEC_MEMBER(X_PUSH)] = {.run = run_push},   [EXEC_MEMBER(X_POP)] = {.run = run_pop},
    [EXEC_MEMBER(X_LOOP)] = {.run = run_loop},   [EXEC_MEMBER(X_JCXZ)] = {.run = run_jcxz},
    [EXEC_MEMBER(X_LEAVE)] = {.run = run_leave},
};
