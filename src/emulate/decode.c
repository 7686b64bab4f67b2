/* SPDX-License-Identifier: MIT */
/*
 * Takes an instruction apart: prefixes, opcode, ModRM and SIB, displacement, immediates. Reads no
 * register but rip and calls nothing but fetch (and read_segment for cs outside 64-bit mode), so a
 * caller can classify cheaply. insn.length grows as bytes are taken and is also the position.
 *
 * Intel SDM vol. 2A, chapter 2; AMD APM vol. 3, chapter 1.
 */
#include "emulate/internal.h"
#include "lib/util.h"

#define REX_W 8
#define REX_R 4
#define REX_X 2
#define REX_B 1

static bool long_mode(const struct emul_ctxt *c)
{
    return c->bits == 64;
}

/* The linear address of the next byte to fetch, and how many may be fetched from there. */
static enum emul_result fetch_window(struct emul_ctxt *c, uint64_t *linear, unsigned int *bytes)
{
    struct emul_segment cs;
    uint64_t offset = c->regs->rip + c->fetched;
    enum emul_result rc;

    *bytes = EMUL_MAX_INSN - c->fetched;
    *linear = offset;
    if (!long_mode(c)) {
        if (!c->ops->read_segment)
            return EMUL_UNHANDLEABLE;
        rc = c->ops->read_segment(c, EMUL_SEG_CS, &cs);
        if (rc != EMUL_OKAY)
            return rc;
        offset = (uint32_t)offset;
        if (offset > cs.limit)
            return emul_raise(c, VEC_GP, 0);
        *bytes = min((uint64_t)*bytes, cs.limit - offset + 1);
        *linear = (uint32_t)(cs.base + offset);
    } else if (!emul_canonical(offset)) {
        return emul_raise(c, VEC_GP, 0);
    }
    *bytes = min((uint64_t)*bytes, PAGE_SIZE - (*linear & ~PAGE_MASK));
    return EMUL_OKAY;
}

/* Takes `n` bytes (up to 8) as a little-endian number. */
static enum emul_result take(struct emul_ctxt *c, unsigned int n, uint64_t *val)
{
    struct emul_insn *insn = &c->insn;
    unsigned int i, bytes;
    enum emul_result rc;
    uint64_t linear;

    if (insn->length + n > EMUL_MAX_INSN)
        return emul_raise(c, VEC_GP, 0);
    while (c->fetched < insn->length + n) {
        rc = fetch_window(c, &linear, &bytes);
        if (rc != EMUL_OKAY)
            return rc;
        if (!c->ops->fetch)
            return EMUL_UNHANDLEABLE;
        rc = c->ops->fetch(c, linear, c->bytes + c->fetched, bytes);
        if (rc != EMUL_OKAY)
            return rc;
        c->fetched += bytes;
    }
    for (*val = 0, i = 0; i < n; i++)
        *val |= (uint64_t)c->bytes[insn->length + i] << (8 * i);
    insn->length += n;
    return EMUL_OKAY;
}

static enum emul_result take_signed(struct emul_ctxt *c, unsigned int n, uint64_t *val)
{
    enum emul_result rc = take(c, n, val);

    if (rc == EMUL_OKAY)
        *val = sign_extend(*val, n);
    return rc;
}

/* Segment overrides are 26, 2e, 36, 3e, 64, 65; 64-bit mode heeds only the last two. */
static void override_segment(struct emul_ctxt *c, uint8_t prefix)
{
    if (long_mode(c) && prefix < 0x64)
        return;
    c->insn.seg = prefix < 0x64 ? prefix >> 3 & 3 : prefix - 0x64 + EMUL_SEG_FS;
    c->insn.seg_set = true;
}

/* Takes one prefix into account; false if the byte is none. */
static bool prefix(struct emul_ctxt *c, uint8_t byte)
{
    struct emul_insn *insn = &c->insn;

    switch (byte) {
    case 0x26:
    case 0x2e:
    case 0x36:
    case 0x3e:
    case 0x64:
    case 0x65:
        override_segment(c, byte);
        break;
    case 0x66:
        insn->opsize = true;
        break;
    case 0x67:
        insn->addr_bytes = c->bits == 32 ? 2 : 4;
        break;
    case 0xf0:
        insn->lock = true;
        break;
    case 0xf2:
    case 0xf3:
        insn->rep = byte;
        break;
    default:
        if (!long_mode(c) || (byte & 0xf0) != 0x40)
            return false;
        insn->rex = byte;
        return true;
    }
    insn->rex = 0; /* REX counts only right before the opcode */
    return true;
}

static enum emul_result decode_opcode(struct emul_ctxt *c)
{
    struct emul_insn *insn = &c->insn;
    enum emul_result rc;
    uint64_t byte;

    do {
        rc = take(c, 1, &byte);
        if (rc != EMUL_OKAY)
            return rc;
    } while (prefix(c, byte));

    if (byte == 0x0f) {
        insn->map = EMUL_MAP_0F;
        rc = take(c, 1, &byte);
        if (rc == EMUL_OKAY && (byte == 0x38 || byte == 0x3a)) {
            insn->map = byte == 0x38 ? EMUL_MAP_0F38 : EMUL_MAP_0F3A;
            rc = take(c, 1, &byte);
        }
        if (rc != EMUL_OKAY)
            return rc;
    }
    insn->opcode = byte;
    insn->op = *emul_opcode_find(insn->map, insn->opcode);
    return EMUL_OKAY;
}

/* 16-bit addressing: SDM vol. 2A, table 2-1. */
static enum emul_result decode_address_16(struct emul_ctxt *c, unsigned int mod)
{
    static const uint8_t base[8] = {3, 3, 5, 5, EMUL_NO_REG, EMUL_NO_REG, 5, 3};
    static const uint8_t index[8] = {6, 7, 6, 7, 6, 7, EMUL_NO_REG, EMUL_NO_REG};
    struct emul_insn *insn = &c->insn;
    unsigned int rm = insn->modrm & 7;

    insn->base = base[rm];
    insn->index = index[rm];
    if (mod == 0 && rm == 6) {
        insn->base = EMUL_NO_REG;
        mod = 2;
    }
    if (mod == 0)
        return EMUL_OKAY;
    return take_signed(c, mod, (uint64_t *)&insn->disp);
}

/* 32- and 64-bit addressing: SDM vol. 2A, tables 2-2, 2-3 and 2.2.1. */
static enum emul_result decode_address_32(struct emul_ctxt *c, unsigned int mod)
{
    struct emul_insn *insn = &c->insn;
    unsigned int base = insn->modrm & 7;
    enum emul_result rc;
    uint64_t sib;

    if (base == 4) {
        rc = take(c, 1, &sib);
        if (rc != EMUL_OKAY)
            return rc;
        base = sib & 7;
        insn->scale = sib >> 6;
        insn->index = (sib >> 3 & 7) | (insn->rex & REX_X ? 8 : 0);
        if (insn->index == 4)
            insn->index = EMUL_NO_REG;
    } else if (mod == 0 && base == 5) {
        insn->rip_relative = long_mode(c);
    }
    if (mod == 0 && base != 5) {
        insn->base = base | (insn->rex & REX_B ? 8 : 0);
        return EMUL_OKAY;
    }
    if (mod != 0)
        insn->base = base | (insn->rex & REX_B ? 8 : 0);
    return take_signed(c, mod == 1 ? 1 : 4, (uint64_t *)&insn->disp);
}

static enum emul_result decode_modrm(struct emul_ctxt *c)
{
    struct emul_insn *insn = &c->insn;
    enum emul_result rc;
    unsigned int mod;
    uint64_t byte;

    rc = take(c, 1, &byte);
    if (rc != EMUL_OKAY)
        return rc;
    insn->has_modrm = true;
    insn->modrm = byte;
    insn->reg = (byte >> 3 & 7) | (insn->rex & REX_R ? 8 : 0);
    insn->rm = (byte & 7) | (insn->rex & REX_B ? 8 : 0);
    mod = byte >> 6;
    if (mod == 3 || (insn->op.flags & F_CRDR))
        return EMUL_OKAY;

    insn->has_mem = true;
    rc = insn->addr_bytes == 2 ? decode_address_16(c, mod) : decode_address_32(c, mod);
    if (!insn->seg_set && (insn->base == 4 || insn->base == 5))
        insn->seg = EMUL_SEG_SS; /* rsp and rbp; with 16 bits rbp alone can be a base */
    return rc;
}

static unsigned int operand_size(const struct emul_ctxt *c)
{
    const struct emul_insn *insn = &c->insn;
    unsigned int flags = insn->op.flags, bytes;

    if (flags & F_BYTE)
        return 1;
    if (flags & F_CRDR)
        return long_mode(c) ? 8 : 4;
    if ((flags & F_NEAR) && long_mode(c))
        return insn->opsize && c->amd && !(insn->rex & REX_W) ? 2 : 8;
    if (insn->rex & REX_W)
        return flags & F_IO ? 4 : 8;
    bytes = (c->bits == 16) != insn->opsize ? 2 : 4;
    if ((flags & F_D64) && long_mode(c) && bytes == 4)
        return 8;
    return bytes;
}

/* Refuses what the processor refuses and what is not known here. */
static enum emul_result check_opcode(struct emul_ctxt *c)
{
    struct emul_insn *insn = &c->insn;
    const struct emul_opcode *op = &insn->op;

    if (insn->map == EMUL_MAP_1 && (insn->opcode == 0xc4 || insn->opcode == 0xc5) &&
        (long_mode(c) || !insn->has_mem))
        return EMUL_UNHANDLEABLE; /* VEX */
    if (op->exec == X_NONE)
        return EMUL_UNHANDLEABLE;
    if (op->exec == X_UD || ((op->flags & F_NO64) && long_mode(c)) ||
        ((op->flags & F_MEM) && !insn->has_mem))
        return emul_raise(c, VEC_UD, 0);
    if (insn->lock && !((op->flags & F_LOCK) && emul_operand_is_mem(insn, op->dst)))
        return emul_raise(c, VEC_UD, 0);
    return EMUL_OKAY;
}

static enum emul_result decode_immediate(struct emul_ctxt *c)
{
    struct emul_insn *insn = &c->insn;
    unsigned int z = min(insn->op_bytes, (uint8_t)4);
    enum emul_result rc;

    switch ((enum emul_imm)insn->op.imm) {
    case I_NONE:
        return EMUL_OKAY;
    case I_8:
        return take(c, 1, &insn->imm);
    case I_8S:
        return take_signed(c, 1, &insn->imm);
    case I_16:
        return take(c, 2, &insn->imm);
    case I_Z:
        return take_signed(c, z, &insn->imm);
    case I_V:
        return take(c, insn->op_bytes, &insn->imm);
    case I_16_8:
        rc = take(c, 2, &insn->imm);
        return rc == EMUL_OKAY ? take(c, 1, &insn->imm2) : rc;
    case I_MOFFS:
        insn->has_mem = true;
        return take(c, insn->addr_bytes, (uint64_t *)&insn->disp);
    case I_FAR:
        rc = take(c, z, &insn->imm);
        return rc == EMUL_OKAY ? take(c, 2, &insn->imm2) : rc;
    }
    return EMUL_UNHANDLEABLE;
}

enum emul_result emul_decode(struct emul_ctxt *c)
{
    struct emul_insn *insn = &c->insn;
    enum emul_result rc;

    *insn = (struct emul_insn){
        .addr_bytes = c->bits / 8, .seg = EMUL_SEG_DS, .base = EMUL_NO_REG, .index = EMUL_NO_REG};
    c->event = (struct emul_event){0};
    c->retire = (struct emul_retire){0};

    rc = decode_opcode(c);
    if (rc == EMUL_OKAY && (insn->op.flags & F_MODRM))
        rc = decode_modrm(c);
    if (rc != EMUL_OKAY)
        return rc;

    insn->op = emul_opcode_refine(insn, !long_mode(c));
    insn->op_bytes = operand_size(c);
    rc = check_opcode(c);
    if (rc != EMUL_OKAY)
        return rc;
    return decode_immediate(c);
}
