/* SPDX-License-Identifier: MIT */
/*
 * Operands: registers with their partial names, effective and linear addresses with the checks of
 * segmentation and canonical form, and guest memory through the caller's callbacks.
 *
 * Intel SDM vol. 1, 3.4.1 and 3.7; vol. 3A, 5.3 (limits) and 5.5 (types).
 */
#include "emulate/internal.h"
#include "lib/util.h"

/* Without REX, byte registers 4 to 7 are ah, ch, dh, bh. */
static bool is_high_byte(const struct emul_ctxt *c, unsigned int nr, unsigned int bytes)
{
    return bytes == 1 && !c->insn.rex && nr >= 4;
}

uint64_t emul_reg_read(const struct emul_ctxt *c, unsigned int nr, unsigned int bytes)
{
    if (is_high_byte(c, nr, bytes))
        return *regs_gpr(c->regs, nr - 4) >> 8 & 0xff;
    return *regs_gpr(c->regs, nr) & mask_of(bytes);
}

/* Writing 32 bits clears the upper half; 8 and 16 bits leave the rest alone. */
void emul_reg_write(struct emul_ctxt *c, unsigned int nr, unsigned int bytes, uint64_t val)
{
    uint64_t *reg = regs_gpr(c->regs, is_high_byte(c, nr, bytes) ? nr - 4 : nr);
    uint64_t mask = mask_of(bytes == 4 ? 8 : bytes);
    unsigned int shift = is_high_byte(c, nr, bytes) ? 8 : 0;

    val &= mask_of(bytes);
    *reg = (*reg & ~(mask << shift)) | val << shift;
}

static uint64_t address_reg(const struct emul_ctxt *c, unsigned int nr)
{
    return nr == EMUL_NO_REG ? 0 : *regs_gpr(c->regs, nr);
}

/* How far the bit offset in a register moves the operand of bt, bts, btr, btc. */
static uint64_t bit_displacement(const struct emul_ctxt *c)
{
    unsigned int bytes = c->insn.op_bytes;
    int64_t bit = sign_extend(emul_reg_read(c, c->insn.reg, bytes), bytes);

    return (bit >> 3) & ~(uint64_t)(bytes - 1);
}

/* The effective address: the offset in the segment, of the address size. */
uint64_t emul_offset(const struct emul_ctxt *c)
{
    const struct emul_insn *insn = &c->insn;
    uint64_t offset = insn->disp;

    if (insn->rip_relative)
        offset += c->regs->rip + insn->length;
    offset += address_reg(c, insn->base) + (address_reg(c, insn->index) << insn->scale);
    if (insn->op.flags & F_BITS)
        offset += bit_displacement(c);
    return offset & mask_of(insn->addr_bytes);
}

/* xlat has an address of its own: rbx and al. */
uint64_t emul_xlat_offset(const struct emul_ctxt *c)
{
    return (c->regs->rbx + (c->regs->rax & 0xff)) & mask_of(c->insn.addr_bytes);
}

static enum emul_result segment_fault(struct emul_ctxt *c, enum emul_seg seg)
{
    return emul_raise(c, seg == EMUL_SEG_SS ? VEC_SS : VEC_GP, 0);
}

/* Descriptor types, SDM vol. 3A, table 3-1. */
#define TYPE_CODE   0x8
#define TYPE_DOWN   0x4 /* data: expands down */
#define TYPE_ACCESS 0x2 /* data: writable; code: readable */

static bool type_allows(const struct emul_segment *s, bool write)
{
    unsigned int type = s->attr & EMUL_SEG_ATTR_TYPE;

    if (!(s->attr & EMUL_SEG_ATTR_P) || !(s->attr & EMUL_SEG_ATTR_S))
        return false;
    if (type & TYPE_CODE)
        return !write && (type & TYPE_ACCESS);
    return !write || (type & TYPE_ACCESS);
}

static bool within_limit(const struct emul_segment *s, bool real, uint64_t first, uint64_t last)
{
    unsigned int type = s->attr & EMUL_SEG_ATTR_TYPE;
    uint64_t top = s->attr & EMUL_SEG_ATTR_DB ? 0xffffffffu : 0xffff;

    if (!real && !(type & TYPE_CODE) && (type & TYPE_DOWN))
        return first > s->limit && last <= top;
    return last <= s->limit;
}

static enum emul_result linear_64(struct emul_ctxt *c, enum emul_seg seg, uint64_t offset,
                                  unsigned int bytes, uint64_t *linear)
{
    struct emul_segment s = {0};
    enum emul_result rc;

    if (seg == EMUL_SEG_FS || seg == EMUL_SEG_GS) {
        if (!c->ops->read_segment)
            return EMUL_UNHANDLEABLE;
        rc = c->ops->read_segment(c, seg, &s);
        if (rc != EMUL_OKAY)
            return rc;
    }
    *linear = s.base + offset;
    if (!emul_canonical(*linear) || !emul_canonical(*linear + bytes - 1))
        return segment_fault(c, seg);
    return EMUL_OKAY;
}

/*
 * The linear address of `bytes` bytes at an offset in a segment. EMUL_EXCEPTION (#GP, #SS) when
 * the processor would refuse; EMUL_UNHANDLEABLE for an operand that wraps at 4 GiB.
 */
enum emul_result emul_linear(struct emul_ctxt *c, enum emul_seg seg, uint64_t offset,
                             unsigned int bytes, bool write, uint64_t *linear)
{
    struct emul_segment s;
    enum emul_result rc;

    if (c->bits == 64)
        return linear_64(c, seg, offset, bytes, linear);
    if (!c->ops->read_segment)
        return EMUL_UNHANDLEABLE;
    rc = c->ops->read_segment(c, seg, &s);
    if (rc != EMUL_OKAY)
        return rc;
    if ((!c->real && !type_allows(&s, write)) ||
        !within_limit(&s, c->real, offset, offset + bytes - 1))
        return segment_fault(c, seg);
    *linear = (uint32_t)(s.base + offset);
    return *linear + bytes - 1 > 0xffffffffu ? EMUL_UNHANDLEABLE : EMUL_OKAY;
}

enum emul_result emul_mem_read(struct emul_ctxt *c, enum emul_seg seg, uint64_t linear, void *buf,
                               unsigned int bytes)
{
    if (!c->ops->read)
        return EMUL_UNHANDLEABLE;
    return c->ops->read(c, seg, linear, buf, bytes);
}

enum emul_result emul_mem_write(struct emul_ctxt *c, enum emul_seg seg, uint64_t linear,
                                const void *buf, unsigned int bytes)
{
    if (!c->ops->write)
        return EMUL_UNHANDLEABLE;
    return c->ops->write(c, seg, linear, buf, bytes);
}

/* The write of a read-modify-write; see struct emul_ops. */
enum emul_result emul_mem_cmpxchg(struct emul_ctxt *c, enum emul_seg seg, uint64_t linear,
                                  void *old, const void *new, unsigned int bytes, bool lock)
{
    if (c->ops->cmpxchg)
        return c->ops->cmpxchg(c, seg, linear, old, new, bytes, lock);
    return lock ? EMUL_UNHANDLEABLE : emul_mem_write(c, seg, linear, new, bytes);
}

unsigned int emul_operand_bytes(const struct emul_insn *insn, enum emul_operand o)
{
    switch (o) {
    case O_RM8:
        return 1;
    case O_RM16:
        return insn->has_mem || insn->op.dst != O_RM16 ? 2 : insn->op_bytes;
    case O_RM32:
        return min(insn->op_bytes, (uint8_t)4);
    case O_RM_PAIR:
        return insn->op_bytes == 8 ? 16 : 8;
    default:
        return insn->op_bytes;
    }
}

bool emul_operand_is_mem(const struct emul_insn *insn, enum emul_operand o)
{
    return insn->has_mem && o >= O_RM && o <= O_RM_PAIR;
}

/* The number of the register an operand names; not for immediates and memory. */
unsigned int emul_operand_reg(const struct emul_insn *insn, enum emul_operand o)
{
    switch (o) {
    case O_ACC:
        return EMUL_RAX;
    case O_CL:
        return EMUL_RCX;
    case O_REG:
        return insn->reg;
    case O_OPREG:
        return (insn->opcode & 7) | (insn->rex & 1 ? 8 : 0);
    default:
        return insn->rm;
    }
}

static enum emul_result load_memory(struct emul_ctxt *c, unsigned int bytes, uint64_t *val)
{
    enum emul_result rc;
    uint64_t linear;

    *val = 0;
    rc = emul_linear(c, c->insn.seg, emul_offset(c), bytes, false, &linear);
    return rc == EMUL_OKAY ? emul_mem_read(c, c->insn.seg, linear, val, bytes) : rc;
}

static enum emul_result load_selector(struct emul_ctxt *c, uint64_t *val)
{
    struct emul_segment s;
    enum emul_result rc;

    if ((c->insn.reg & 7) > EMUL_SEG_GS)
        return emul_raise(c, VEC_UD, 0);
    if (!c->ops->read_segment)
        return EMUL_UNHANDLEABLE;
    rc = c->ops->read_segment(c, c->insn.reg & 7, &s);
    *val = s.sel;
    return rc;
}

/* Loads an operand, zero-extended. */
enum emul_result emul_operand_load(struct emul_ctxt *c, enum emul_operand o, uint64_t *val)
{
    unsigned int bytes = emul_operand_bytes(&c->insn, o);

    *val = 0;
    switch (o) {
    case O_NONE:
        return EMUL_OKAY;
    case O_IMM:
        *val = c->insn.imm;
        return EMUL_OKAY;
    case O_ONE:
        *val = 1;
        return EMUL_OKAY;
    case O_CL:
        *val = emul_reg_read(c, EMUL_RCX, 1);
        return EMUL_OKAY;
    case O_SREG:
        return load_selector(c, val);
    default:
        if (emul_operand_is_mem(&c->insn, o))
            return load_memory(c, bytes, val);
        *val = emul_reg_read(c, emul_operand_reg(&c->insn, o), bytes);
        return EMUL_OKAY;
    }
}
