/* SPDX-License-Identifier: MIT */
/*
 * Moves, exchanges, conversions, single flags, multiplication and division.
 *
 * Intel SDM vol. 2, the instructions.
 */
#include "emulate/internal.h"

static void move(const struct emul_insn *insn, struct emul_alu *a)
{
    a->dst = a->src;
}

static void move_sign_extended(const struct emul_insn *insn, struct emul_alu *a)
{
    a->dst = sign_extend(a->src, a->src_bytes);
}

static void exchange(const struct emul_insn *insn, struct emul_alu *a)
{
    uint64_t old = a->dst;

    a->dst = a->src;
    a->src = old;
}

/* The destination is written even when the condition is not met: 4 bytes clear the upper half. */
static void move_if(const struct emul_insn *insn, struct emul_alu *a)
{
    if (emul_condition(a->flags, insn->opcode))
        a->dst = a->src;
}

static void set_if(const struct emul_insn *insn, struct emul_alu *a)
{
    a->dst = emul_condition(a->flags, insn->opcode);
}

static void nop(const struct emul_insn *insn, struct emul_alu *a)
{
}

static enum emul_result run_lea(struct emul_ctxt *c)
{
    emul_reg_write(c, c->insn.reg, c->insn.op_bytes, emul_offset(c));
    return EMUL_OKAY;
}

/* cbw, cwde, cdqe: the accumulator from its own lower half. */
static enum emul_result run_cbw(struct emul_ctxt *c)
{
    unsigned int bytes = c->insn.op_bytes, half = bytes / 2;

    emul_reg_write(c, EMUL_RAX, bytes, sign_extend(c->regs->rax, half));
    return EMUL_OKAY;
}

/* cwd, cdq, cqo: the sign of the accumulator spread over rdx. */
static enum emul_result run_cwd(struct emul_ctxt *c)
{
    unsigned int bytes = c->insn.op_bytes;

    emul_reg_write(c, EMUL_RDX, bytes, sign_extend(c->regs->rax, bytes) >> 63);
    return EMUL_OKAY;
}

static enum emul_result run_xlat(struct emul_ctxt *c)
{
    enum emul_result rc;
    uint64_t linear;
    uint8_t val;

    rc = emul_linear(c, c->insn.seg, emul_xlat_offset(c), 1, false, &linear);
    if (rc == EMUL_OKAY)
        rc = emul_mem_read(c, c->insn.seg, linear, &val, 1);
    if (rc == EMUL_OKAY)
        emul_reg_write(c, EMUL_RAX, 1, val);
    return rc;
}

static void multiply_flags(struct emul_ctxt *c, bool overflow)
{
    c->regs->rflags &= ~(RFLAGS_CF | RFLAGS_OF);
    if (overflow)
        c->regs->rflags |= RFLAGS_CF | RFLAGS_OF;
}

/* A product or dividend is twice the operand: ax for bytes, else rdx:rax. */
static void write_pair(struct emul_ctxt *c, unsigned int bytes, uint64_t low, uint64_t high)
{
    if (bytes == 1) {
        emul_reg_write(c, EMUL_RAX, 2, (low & 0xff) | high << 8);
        return;
    }
    emul_reg_write(c, EMUL_RAX, bytes, low);
    emul_reg_write(c, EMUL_RDX, bytes, high);
}

static unsigned __int128 read_pair(const struct emul_ctxt *c, unsigned int bytes)
{
    if (bytes == 1)
        return emul_reg_read(c, EMUL_RAX, 2);
    return (unsigned __int128)emul_reg_read(c, EMUL_RDX, bytes) << bits_of(bytes) |
           emul_reg_read(c, EMUL_RAX, bytes);
}

static enum emul_result run_mul(struct emul_ctxt *c)
{
    unsigned int bytes = c->insn.op_bytes;
    unsigned __int128 product;
    enum emul_result rc;
    uint64_t val, high;

    rc = emul_operand_load(c, O_RM, &val);
    if (rc != EMUL_OKAY)
        return rc;
    product = (unsigned __int128)val * emul_reg_read(c, EMUL_RAX, bytes);
    high = product >> bits_of(bytes);
    write_pair(c, bytes, product, high);
    multiply_flags(c, high);
    return EMUL_OKAY;
}

static enum emul_result run_imul(struct emul_ctxt *c)
{
    unsigned int bytes = c->insn.op_bytes;
    enum emul_result rc;
    __int128 product;
    uint64_t val;

    rc = emul_operand_load(c, O_RM, &val);
    if (rc != EMUL_OKAY)
        return rc;
    val = sign_extend(val, bytes);
    product = (__int128)(int64_t)val * sign_extend(c->regs->rax, bytes);
    write_pair(c, bytes, product, product >> bits_of(bytes));
    multiply_flags(c, product != sign_extend(product, bytes));
    return EMUL_OKAY;
}

/* The two- and three-operand forms keep the lower half only. */
static void multiply(struct emul_alu *a, uint64_t x, uint64_t y)
{
    __int128 product = (__int128)sign_extend(x, a->bytes) * sign_extend(y, a->bytes);

    a->dst = product;
    a->flags &= ~(RFLAGS_CF | RFLAGS_OF);
    if (product != sign_extend(product, a->bytes))
        a->flags |= RFLAGS_CF | RFLAGS_OF;
}

static void multiply_2(const struct emul_insn *insn, struct emul_alu *a)
{
    multiply(a, a->dst, a->src);
}

static void multiply_3(const struct emul_insn *insn, struct emul_alu *a)
{
    multiply(a, a->src, a->third);
}

/* Long division, a bit a step: there is no 128-bit division without a run-time library. */
static unsigned __int128 divide(unsigned __int128 dividend, uint64_t divisor, uint64_t *remainder)
{
    unsigned __int128 rest = 0, quotient = 0;
    int bit;

    for (bit = 127; bit >= 0; bit--) {
        rest = rest << 1 | (dividend >> bit & 1);
        quotient <<= 1;
        if (rest >= divisor) {
            rest -= divisor;
            quotient |= 1;
        }
    }
    *remainder = rest;
    return quotient;
}

static enum emul_result run_div(struct emul_ctxt *c)
{
    unsigned int bytes = c->insn.op_bytes;
    unsigned __int128 quotient;
    uint64_t divisor, remainder;
    enum emul_result rc;

    rc = emul_operand_load(c, O_RM, &divisor);
    if (rc != EMUL_OKAY)
        return rc;
    if (!divisor)
        return emul_raise(c, VEC_DE, 0);
    quotient = divide(read_pair(c, bytes), divisor, &remainder);
    if (quotient > mask_of(bytes))
        return emul_raise(c, VEC_DE, 0);
    write_pair(c, bytes, quotient, remainder);
    return EMUL_OKAY;
}

/* Divides magnitudes; the remainder has the sign of the dividend. */
static enum emul_result run_idiv(struct emul_ctxt *c)
{
    unsigned int bytes = c->insn.op_bytes, unused = 128 - 2 * bits_of(bytes);
    bool negative, opposite;
    unsigned __int128 magnitude, quotient;
    uint64_t divisor, remainder;
    enum emul_result rc;
    __int128 dividend;

    rc = emul_operand_load(c, O_RM, &divisor);
    if (rc != EMUL_OKAY)
        return rc;
    if (!divisor)
        return emul_raise(c, VEC_DE, 0);
    dividend = (__int128)(read_pair(c, bytes) << unused) >> unused;
    divisor = sign_extend(divisor, bytes);
    negative = dividend < 0;
    opposite = negative != ((int64_t)divisor < 0);
    magnitude = negative ? -(unsigned __int128)dividend : (unsigned __int128)dividend;
    quotient = divide(magnitude, (int64_t)divisor < 0 ? -divisor : divisor, &remainder);
    if (quotient > mask_of(bytes) / 2 + opposite)
        return emul_raise(c, VEC_DE, 0);
    write_pair(c, bytes, opposite ? -quotient : quotient, negative ? -remainder : remainder);
    return EMUL_OKAY;
}

/* SF, ZF, AF, PF, CF: the low byte of the flags without its constant bits. */
#define FLAGS_AH (FLAGS_ARITH & 0xff)

static enum emul_result run_lahf(struct emul_ctxt *c)
{
    uint64_t *rax = &c->regs->rax;
    uint64_t ah = (c->regs->rflags & FLAGS_AH) | RFLAGS_MBS;

    *rax = (*rax & ~0xff00ull) | ah << 8;
    return EMUL_OKAY;
}

static enum emul_result run_sahf(struct emul_ctxt *c)
{
    uint64_t ah = c->regs->rax >> 8;

    c->regs->rflags = (c->regs->rflags & ~FLAGS_AH) | (ah & FLAGS_AH);
    return EMUL_OKAY;
}

static void flag_cmc(const struct emul_insn *insn, struct emul_alu *a)
{
    a->flags ^= RFLAGS_CF;
}

static void flag_clc(const struct emul_insn *insn, struct emul_alu *a)
{
    a->flags &= ~RFLAGS_CF;
}

static void flag_stc(const struct emul_insn *insn, struct emul_alu *a)
{
    a->flags |= RFLAGS_CF;
}

static void flag_cld(const struct emul_insn *insn, struct emul_alu *a)
{
    a->flags &= ~RFLAGS_DF;
}

static void flag_std(const struct emul_insn *insn, struct emul_alu *a)
{
    a->flags |= RFLAGS_DF;
}

const struct emul_exec emul_exec_move[32] = {
    [EXEC_MEMBER(X_MOV)] = {.compute = move},
    [EXEC_MEMBER(X_MOVSX)] = {.compute = move_sign_extended},
    [EXEC_MEMBER(X_XCHG)] = {.compute = exchange},
    [EXEC_MEMBER(X_CMOV)] = {.compute = move_if},
    [EXEC_MEMBER(X_SETCC)] = {.compute = set_if},
    [EXEC_MEMBER(X_LEA)] = {.run = run_lea},
    [EXEC_MEMBER(X_NOP)] = {.compute = nop},
    [EXEC_MEMBER(X_CBW)] = {.run = run_cbw},
    [EXEC_MEMBER(X_CWD)] = {.run = run_cwd},
    [EXEC_MEMBER(X_XLAT)] = {.run = run_xlat},
    [EXEC_MEMBER(X_MUL)] = {.run = run_mul},
    [EXEC_MEMBER(X_IMUL)] = {.run = run_imul},
    [EXEC_MEMBER(X_DIV)] = {.run = run_div},
    [EXEC_MEMBER(X_IDIV)] = {.run = run_idiv},
    [EXEC_MEMBER(X_IMUL2)] = {.compute = multiply_2},
    [EXEC_MEMBER(X_IMUL3)] = {.compute = multiply_3},
    [EXEC_MEMBER(X_LAHF)] = {.run = run_lahf},
    [EXEC_MEMBER(X_SAHF)] = {.run = run_sahf},
    [EXEC_MEMBER(X_CMC)] = {.compute = flag_cmc},
    [EXEC_MEMBER(X_CLC)] = {.compute = flag_clc},
    [EXEC_MEMBER(X_STC)] = {.compute = flag_stc},
    [EXEC_MEMBER(X_CLD)] = {.compute = flag_cld},
    [EXEC_MEMBER(X_STD)] = {.compute = flag_std},
};
