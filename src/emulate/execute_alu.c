/* SPDX-License-Identifier: MIT */
/*
 * Addition, subtraction and logic with their flags, and compare-and-exchange. The flags of the
 * arithmetic come from the carries of every bit position, as in an adder.
 *
 * Intel SDM vol. 1, 3.4.3.1 (status flags); vol. 2, the instructions.
 */
#include "emulate/internal.h"

/* Sets SF, ZF and PF from a result. */
uint64_t emul_flags_result(uint64_t flags, uint64_t result, unsigned int bytes)
{
    flags &= ~(RFLAGS_SF | RFLAGS_ZF | RFLAGS_PF);
    result &= mask_of(bytes);
    if (!result)
        flags |= RFLAGS_ZF;
    if (result & sign_of(bytes))
        flags |= RFLAGS_SF;
    if (!(__builtin_popcount(result & 0xff) & 1))
        flags |= RFLAGS_PF;
    return flags;
}

/* Sets all six from a result and the carries (or borrows) out of each bit. */
static uint64_t flags_carries(uint64_t flags, uint64_t result, uint64_t carries, unsigned int bytes)
{
    uint64_t sign = sign_of(bytes);

    flags = emul_flags_result(flags, result, bytes) & ~(RFLAGS_CF | RFLAGS_OF | RFLAGS_AF);
    if (carries & sign)
        flags |= RFLAGS_CF;
    if ((carries ^ (carries << 1)) & sign)
        flags |= RFLAGS_OF;
    if (carries & 8)
        flags |= RFLAGS_AF;
    return flags;
}

uint64_t emul_add(uint64_t *flags, uint64_t a, uint64_t b, bool carry, unsigned int bytes)
{
    uint64_t sum = a + b + carry;

    *flags = flags_carries(*flags, sum, (a & b) | ((a | b) & ~sum), bytes);
    return sum;
}

uint64_t emul_sub(uint64_t *flags, uint64_t a, uint64_t b, bool borrow, unsigned int bytes)
{
    uint64_t difference = a - b - borrow;

    *flags = flags_carries(*flags, difference, (~a & b) | ((~a | b) & difference), bytes);
    return difference;
}

/* The condition of jcc, setcc and cmovcc: the low four bits of the opcode. */
bool emul_condition(uint64_t flags, unsigned int cc)
{
    bool less = !(flags & RFLAGS_SF) != !(flags & RFLAGS_OF), met = false;

    switch (cc >> 1 & 7) {
    case 0:
        met = flags & RFLAGS_OF;
        break;
    case 1:
        met = flags & RFLAGS_CF;
        break;
    case 2:
        met = flags & RFLAGS_ZF;
        break;
    case 3:
        met = flags & (RFLAGS_CF | RFLAGS_ZF);
        break;
    case 4:
        met = flags & RFLAGS_SF;
        break;
    case 5:
        met = flags & RFLAGS_PF;
        break;
    case 6:
        met = less;
        break;
    case 7:
        met = less || (flags & RFLAGS_ZF);
        break;
    }
    return met != (cc & 1);
}

static void alu_add(const struct emul_insn *insn, struct emul_alu *a)
{
    a->dst = emul_add(&a->flags, a->dst, a->src, false, a->bytes);
}

static void alu_adc(const struct emul_insn *insn, struct emul_alu *a)
{
    a->dst = emul_add(&a->flags, a->dst, a->src, a->flags & RFLAGS_CF, a->bytes);
}

static void alu_sub(const struct emul_insn *insn, struct emul_alu *a)
{
    a->dst = emul_sub(&a->flags, a->dst, a->src, false, a->bytes);
}

static void alu_sbb(const struct emul_insn *insn, struct emul_alu *a)
{
    a->dst = emul_sub(&a->flags, a->dst, a->src, a->flags & RFLAGS_CF, a->bytes);
}

static void logic(struct emul_alu *a, uint64_t result)
{
    a->dst = result;
    a->flags = emul_flags_result(a->flags, result, a->bytes);
    a->flags &= ~(RFLAGS_CF | RFLAGS_OF | RFLAGS_AF);
}

static void alu_or(const struct emul_insn *insn, struct emul_alu *a)
{
    logic(a, a->dst | a->src);
}

static void alu_and(const struct emul_insn *insn, struct emul_alu *a)
{
    logic(a, a->dst & a->src);
}

static void alu_xor(const struct emul_insn *insn, struct emul_alu *a)
{
    logic(a, a->dst ^ a->src);
}

/* inc and dec leave CF alone. */
static void alu_inc(const struct emul_insn *insn, struct emul_alu *a)
{
    uint64_t carry = a->flags & RFLAGS_CF;

    a->dst = emul_add(&a->flags, a->dst, 1, false, a->bytes);
    a->flags = (a->flags & ~RFLAGS_CF) | carry;
}

static void alu_dec(const struct emul_insn *insn, struct emul_alu *a)
{
    uint64_t carry = a->flags & RFLAGS_CF;

    a->dst = emul_sub(&a->flags, a->dst, 1, false, a->bytes);
    a->flags = (a->flags & ~RFLAGS_CF) | carry;
}

static void alu_not(const struct emul_insn *insn, struct emul_alu *a)
{
    a->dst = ~a->dst;
}

static void alu_neg(const struct emul_insn *insn, struct emul_alu *a)
{
    a->dst = emul_sub(&a->flags, 0, a->dst, false, a->bytes);
}

static void alu_xadd(const struct emul_insn *insn, struct emul_alu *a)
{
    uint64_t old = a->dst;

    a->dst = emul_add(&a->flags, old, a->src, false, a->bytes);
    a->src = old;
}

/* The destination of cmpxchg: where it is, and what it holds. */
struct place {
    bool mem;
    enum emul_seg seg;
    uint64_t linear;
};

static enum emul_result find(struct emul_ctxt *c, struct place *p, unsigned int bytes, void *old)
{
    enum emul_result rc;

    *p = (struct place){.mem = c->insn.has_mem, .seg = c->insn.seg};
    if (!p->mem)
        return emul_operand_load(c, O_RM, old);
    rc = emul_linear(c, p->seg, emul_offset(c), bytes, true, &p->linear);
    if (rc != EMUL_OKAY)
        return rc;
    if (bytes == 16 && (p->linear & 15))
        return emul_raise(c, VEC_GP, 0);
    return emul_mem_read(c, p->seg, p->linear, old, bytes);
}

static enum emul_result run_cmpxchg(struct emul_ctxt *c)
{
    unsigned int bytes = c->insn.op_bytes;
    uint64_t old = 0, acc = emul_reg_read(c, EMUL_RAX, bytes), flags = c->regs->rflags;
    uint64_t new = emul_reg_read(c, c->insn.reg, bytes);
    enum emul_result rc;
    struct place p;

    rc = find(c, &p, bytes, &old);
    if (rc != EMUL_OKAY)
        return rc;
    if (old == acc && p.mem) {
        rc = emul_mem_cmpxchg(c, p.seg, p.linear, &old, &new, bytes, c->insn.lock);
        if (rc == EMUL_CMPXCHG_FAILED && old == acc)
            return EMUL_RETRY;
        if (rc != EMUL_OKAY && rc != EMUL_CMPXCHG_FAILED)
            return rc;
    }
    emul_sub(&flags, acc, old, false, bytes);
    c->regs->rflags = (c->regs->rflags & ~FLAGS_ARITH) | (flags & FLAGS_ARITH);
    if (old != acc)
        emul_reg_write(c, EMUL_RAX, bytes, old);
    else if (!p.mem)
        emul_reg_write(c, c->insn.rm, bytes, new);
    return EMUL_OKAY;
}

/* The accumulator pair against memory: edx:eax with ecx:ebx, or rdx:rax with rcx:rbx. */
static enum emul_result run_cmpxchg8b(struct emul_ctxt *c)
{
    unsigned int half = c->insn.op_bytes == 8 ? 8 : 4, bytes = half * 2;
    uint64_t acc[2] = {emul_reg_read(c, EMUL_RAX, half), emul_reg_read(c, EMUL_RDX, half)};
    uint64_t new[2] = {emul_reg_read(c, EMUL_RBX, half), emul_reg_read(c, EMUL_RCX, half)};
    uint64_t old[2] = {0};
    enum emul_result rc;
    struct place p;
    bool equal;

    if (half == 4) {
        acc[0] |= acc[1] << 32;
        new[0] |= new[1] << 32;
        acc[1] = new[1] = 0;
    }
    rc = find(c, &p, bytes, old);
    if (rc != EMUL_OKAY)
        return rc;
    equal = old[0] == acc[0] && old[1] == acc[1];
    if (equal) {
        rc = emul_mem_cmpxchg(c, p.seg, p.linear, old, new, bytes, c->insn.lock);
        if (rc != EMUL_OKAY && rc != EMUL_CMPXCHG_FAILED)
            return rc;
        equal = rc == EMUL_OKAY;
    }
    if (equal) {
        c->regs->rflags |= RFLAGS_ZF;
        return EMUL_OKAY;
    }
    c->regs->rflags &= ~RFLAGS_ZF;
    emul_reg_write(c, EMUL_RAX, half, old[0]);
    emul_reg_write(c, EMUL_RDX, half, half == 4 ? old[0] >> 32 : old[1]);
    return EMUL_OKAY;
}

const struct emul_exec emul_exec_alu[32] = {
    [EXEC_MEMBER(X_ADD)] = {.compute = alu_add},
    [EXEC_MEMBER(X_OR)] = {.compute = alu_or},
    [EXEC_MEMBER(X_ADC)] = {.compute = alu_adc},
    [EXEC_MEMBER(X_SBB)] = {.compute = alu_sbb},
    [EXEC_MEMBER(X_AND)] = {.compute = alu_and},
    [EXEC_MEMBER(X_SUB)] = {.compute = alu_sub},
    [EXEC_MEMBER(X_XOR)] = {.compute = alu_xor},
    [EXEC_MEMBER(X_CMP)] = {.compute = alu_sub},
    [EXEC_MEMBER(X_INC)] = {.compute = alu_inc},
    [EXEC_MEMBER(X_DEC)] = {.compute = alu_dec},
    [EXEC_MEMBER(X_NOT)] = {.compute = alu_not},
    [EXEC_MEMBER(X_NEG)] = {.compute = alu_neg},
    [EXEC_MEMBER(X_TEST)] = {.compute = alu_and},
    [EXEC_MEMBER(X_XADD)] = {.compute = alu_xadd},
    [EXEC_MEMBER(X_CMPXCHG)] = {.run = run_cmpxchg},
    [EXEC_MEMBER(X_CMPXCHG8B)] = {.run = run_cmpxchg8b},
};
