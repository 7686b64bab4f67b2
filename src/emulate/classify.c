/* SPDX-License-Identifier: MIT */
/*
 * What a decoded instruction is and does to memory, for callers that admit only some: nothing is
 * read or written here but the registers an address is made of.
 */
#include "emulate/internal.h"

enum emul_class emul_insn_class(const struct emul_insn *insn)
{
    static const uint8_t class[EXEC_FAMILIES] = {
        EMUL_CLASS_UNKNOWN, EMUL_CLASS_PLAIN,  EMUL_CLASS_PLAIN, EMUL_CLASS_PLAIN,
        EMUL_CLASS_FLOW,    EMUL_CLASS_STRING, EMUL_CLASS_IO,    EMUL_CLASS_SYSTEM,
    };

    return class[EXEC_FAMILY(insn->op.exec)];
}

/* The register that addresses what a string instruction writes, or else reads. */
static bool string_access(const struct emul_insn *insn, struct emul_access *out, unsigned int *reg)
{
    *reg = EMUL_RDI;
    out->seg = EMUL_SEG_ES;
    out->kind = EMUL_ACCESS_WRITE;
    switch ((enum emul_exec_id)insn->op.exec) {
    case X_MOVS:
    case X_STOS:
    case X_INS:
        return true;
    case X_SCAS:
        out->kind = EMUL_ACCESS_READ;
        return true;
    case X_CMPS:
    case X_LODS:
    case X_OUTS:
        *reg = EMUL_RSI;
        out->seg = insn->seg;
        out->kind = EMUL_ACCESS_READ;
        return true;
    default:
        return false;
    }
}

static enum emul_access_kind written_kind(const struct emul_opcode *op)
{
    if (op->flags & F_NW)
        return EMUL_ACCESS_READ;
    return op->flags & F_WO ? EMUL_ACCESS_WRITE : EMUL_ACCESS_RMW;
}

static void operand_access(const struct emul_insn *insn, struct emul_access *out)
{
    const struct emul_opcode *op = &insn->op;

    out->seg = insn->seg;
    out->kind = EMUL_ACCESS_NONE;
    if (op->flags & F_NOACC)
        return;
    if (emul_operand_is_mem(insn, op->dst)) {
        out->bytes = emul_operand_bytes(insn, op->dst);
        out->kind = written_kind(op);
    } else if (emul_operand_is_mem(insn, op->src) || op->exec == X_XLAT) {
        out->bytes = emul_operand_bytes(insn, op->src);
        out->kind = EMUL_ACCESS_READ;
    }
}

enum emul_result emul_insn_access(struct emul_ctxt *c, struct emul_access *out)
{
    const struct emul_insn *insn = &c->insn;
    uint64_t offset, mask = mask_of(insn->addr_bytes);
    unsigned int reg;

    *out = (struct emul_access){.bytes = insn->op_bytes};
    if (string_access(insn, out, &reg)) {
        offset = *regs_gpr(c->regs, reg) & mask;
        if (insn->rep && !(c->regs->rcx & mask))
            out->kind = EMUL_ACCESS_NONE;
    } else {
        operand_access(insn, out);
        offset = insn->op.exec == X_XLAT ? emul_xlat_offset(c) : emul_offset(c);
    }
    if (out->kind == EMUL_ACCESS_NONE)
        return EMUL_OKAY;
    return emul_linear(c, out->seg, offset, out->bytes, out->kind != EMUL_ACCESS_READ,
                       &out->linear);
}
