/* SPDX-License-Identifier: MIT */
/*
 * Makes random instructions of a given kind together with registers and memory that suit them: the
 * memory operand lies in an arena, divisions and comparisons succeed half of the time, bit offsets
 * stay in reach. Knows which flags the manual leaves undefined.
 */
#pragma once

#include "emulate/emulate.h"
#include "lib/util.h"

#include "emulate_native.h"

#define CF    RFLAGS_CF
#define PF    RFLAGS_PF
#define AF    RFLAGS_AF
#define ZF    RFLAGS_ZF
#define SF    RFLAGS_SF
#define OF    RFLAGS_OF
#define ARITH (CF | PF | AF | ZF | SF | OF)

#define ARENA_SIZE 8192u

/* Below 4 GiB, so that 32-bit addresses reach it too. */
static uint8_t *arena;
static uint8_t arena_before[ARENA_SIZE], arena_native[ARENA_SIZE];

static uint64_t random_state = 0x9e3779b97f4a7c15;

static uint64_t random_64(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state * 0x2545f4914f6cdd1d;
}

static unsigned int random_below(unsigned int n)
{
    return (random_64() >> 32) % n;
}

/* Values near the edges are as likely as any. */
static uint64_t random_value(void)
{
    static const uint64_t edges[] = {0,         1,      2,          0x7f,       0x80,
                                     0xff,      0x7fff, 0x8000,     0xffff,     0x7fffffff,
                                     ~0ull,     ~1ull,  0x80000000, 0xffffffff, 0x7fffffffffffffff,
                                     1ull << 63};

    if (random_below(3) == 0)
        return edges[random_below(ARRAY_SIZE(edges))];
    return random_64() >> (random_below(2) ? random_below(64) : 0);
}

enum kind {
    K_NONE = 0x000,
    K_BYTE = 0x001, /* the opcode less one is the byte form */
    K_LOCK = 0x002, /* may be locked */
    K_NO_MODRM = 0x004,
    K_IMM8 = 0x008,
    K_IMMZ = 0x010,
    K_IMMV = 0x020,
    K_MEM_ONLY = 0x040,
    K_REG_ONLY = 0x080,
    K_BITOFF = 0x100, /* the register operand is a bit offset */
    K_SHIFT = 0x200,  /* undefined flags depend on the count */
    K_DOUBLE = 0x400, /* shld, shrd */
    K_SCAN = 0x800,   /* undefined result for a source of 0 */
    K_NO16 = 0x1000,
    K_STRING = 0x2000,
    K_PAIR = 0x4000, /* compare-exchange of two words */
    K_ONLY8 = 0x8000,
    K_F3 = 0x10000,
    K_STACK = 0x20000, /* rsp points into the arena */
    K_ACC = 0x40000,   /* rax and rdx are operands */
};

struct sample {
    const char *name;
    unsigned int opcode; /* 0x0fxx and 0x0f38xx for the other maps */
    int digit;           /* ModRM.reg, or -1 for a register */
    unsigned int kind;
    uint64_t undefined; /* flags */
};

/* An instruction under construction with the registers it needs. */
struct trial {
    const struct sample *sample;
    unsigned int bits;  /* mode: 32 or 64 */
    unsigned int width; /* 1, 2, 4, 8 */
    bool mem, lock, skip;
    bool addr32;
    uint8_t code[EMUL_MAX_INSN];
    unsigned int len;
    struct native_state state;
    uint64_t undefined;

    unsigned int reg, rm; /* rm: register, or base of the memory operand */
    unsigned int mod, index, scale;
    bool sib;
    int64_t disp;
    uint64_t at; /* the memory operand */
};

static void emit(struct trial *t, uint64_t val, unsigned int bytes)
{
    memcpy(t->code + t->len, &val, bytes);
    t->len += bytes;
}

static unsigned int registers(const struct trial *t)
{
    return t->bits == 64 ? 16 : 8;
}

static uint64_t arena_middle(void)
{
    return (uint64_t)arena + ARENA_SIZE / 2 + random_below(64);
}

/* Chooses base, index and displacement so that the operand lies near the arena's middle. */
static void choose_memory(struct trial *t)
{
    uint64_t above = t->addr32 ? random_64() << 32 : 0;

    t->at = arena_middle();
    if (t->sample->kind & K_PAIR && t->width == 8)
        t->at = ROUND_DOWN(t->at, 16);
    do
        t->rm = random_below(registers(t));
    while (t->rm == 4 || (t->rm == t->reg && t->sample->kind & K_BITOFF) ||
           (t->sample->kind & (K_PAIR | K_ACC) && t->rm < 4));
    do
        t->index = random_below(registers(t));
    while (t->index == 4 || t->index == t->rm ||
           (t->sample->kind & (K_PAIR | K_ACC) && t->index < 4) ||
           (t->index == t->reg && t->sample->kind & K_BITOFF));
    t->mod = random_below(3);
    if (t->mod == 0 && (t->rm & 7) == 5)
        t->mod = 1;
    t->disp = t->mod == 1 ? (int8_t)random_64() : t->mod == 2 ? (int32_t)random_64() : 0;
    t->sib = (t->rm & 7) == 4 || random_below(2);
    t->scale = random_below(4);
    t->state.gpr[t->rm] = t->at - t->disp + above;
    if (t->sib)
        t->state.gpr[t->rm] -= t->state.gpr[t->index] << t->scale;
}

static void emit_modrm(struct trial *t)
{
    unsigned int reg = t->sample->digit >= 0 ? (unsigned int)t->sample->digit : t->reg & 7;

    if (!t->mem) {
        emit(t, 0xc0 | reg << 3 | (t->rm & 7), 1);
        return;
    }
    emit(t, t->mod << 6 | reg << 3 | (t->sib ? 4 : t->rm & 7), 1);
    if (t->sib)
        emit(t, t->scale << 6 | (t->index & 7) << 3 | (t->rm & 7), 1);
    if (t->mod)
        emit(t, t->disp, t->mod == 1 ? 1 : 4);
}

static void emit_prefixes(struct trial *t, bool rex_free)
{
    uint8_t rex = t->width == 8 ? 0x48 : 0;

    if (t->lock)
        emit(t, 0xf0, 1);
    if (t->addr32)
        emit(t, 0x67, 1);
    if (t->width == 2)
        emit(t, 0x66, 1);
    if (t->sample->kind & K_F3)
        emit(t, 0xf3, 1);
    else if (t->sample->kind & K_STRING && t->sample->opcode != 0xd7 && random_below(3))
        emit(t, 0xf2 + random_below(2), 1);
    if (!(t->sample->kind & K_NO_MODRM) && !rex_free) {
        rex |= 0x40 | t->rm >> 3 | (t->sample->digit < 0 ? t->reg >> 3 << 2 : 0);
        rex |= t->mem && t->sib ? t->index >> 3 << 1 : 0;
    }
    if (rex)
        emit(t, rex, 1);
}

static void emit_opcode(struct trial *t)
{
    unsigned int opcode = t->sample->opcode;

    if ((t->sample->kind & K_BYTE) && t->width == 1)
        opcode--;
    if (opcode > 0xffff)
        emit(t, opcode >> 16 & 0xff, 1);
    if (opcode > 0xff)
        emit(t, opcode >> 8 & 0xff, 1);
    emit(t, opcode, 1);
}

static unsigned int immediate_bytes(const struct trial *t)
{
    if (t->sample->kind & K_IMM8)
        return 1;
    if (t->sample->kind & K_IMMZ)
        return min(t->width, 4u);
    return t->sample->kind & K_IMMV ? t->width : 0;
}

/* What the manual leaves undefined for the count of this shift. */
static void shift_undefined(struct trial *t, uint64_t imm)
{
    unsigned int opcode = t->sample->opcode, bits = t->width * 8, count;
    bool rotate = (t->sample->kind & K_SHIFT) && t->sample->digit < 4;

    count = (opcode | 1) == 0xd1 ? 1 : (t->sample->kind & K_IMM8) ? imm : t->state.gpr[1];
    count &= t->width == 8 ? 63 : 31;
    if (t->sample->kind & K_DOUBLE && count > bits)
        t->skip = true;
    if (count && !rotate)
        t->undefined |= AF;
    if (count > 1)
        t->undefined |= OF;
    if (!rotate && count >= bits && t->sample->digit != 7)
        t->undefined |= CF;
}

/* The source of a bit offset stays small enough for the arena. */
static void limit_bit_offset(struct trial *t)
{
    uint64_t bit = (int64_t)random_below(8192) - 4096,
             mask = t->width == 8 ? ~0ull : BIT(t->width * 8) - 1;

    t->state.gpr[t->reg] = (t->state.gpr[t->reg] & ~mask) | (bit & mask);
}

static void point_into_arena(struct trial *t)
{
    uint64_t above = t->addr32 ? random_64() << 32 : 0;

    if (t->sample->kind & K_STRING) {
        t->state.gpr[EMUL_RSI] = arena_middle() + above;
        t->state.gpr[EMUL_RDI] = arena_middle() + above;
        t->state.gpr[EMUL_RCX] = random_below(40) + above;
        if (t->sample->opcode == 0xd7)
            t->state.gpr[EMUL_RBX] = arena_middle() + above;
        if (t->addr32 && !(uint32_t)t->state.gpr[EMUL_RCX])
            t->skip = true; /* processors differ in the upper halves */
    }
    if (t->sample->kind & K_STACK) {
        t->state.gpr[EMUL_RSP] = arena_middle();
        t->state.gpr[EMUL_RBP] = arena_middle();
    }
}

/* Half of the comparisons shall succeed, and half of the divisions fit. */
static void favour_success(struct trial *t)
{
    if (random_below(2))
        return;
    if (t->sample->kind & K_PAIR) {
        memcpy((void *)t->at, &t->state.gpr[EMUL_RAX], t->width == 8 ? 8 : 4);
        memcpy((char *)t->at + (t->width == 8 ? 8 : 4), &t->state.gpr[EMUL_RDX],
               t->width == 8 ? 8 : 4);
    } else if (t->sample->opcode == 0x0fb1 && t->mem) {
        memcpy((void *)t->at, &t->state.gpr[EMUL_RAX], t->width);
    } else if (t->sample->opcode == 0x0fb1) {
        t->state.gpr[t->rm] = t->state.gpr[EMUL_RAX];
    } else if (t->sample->kind & K_ACC) {
        t->state.gpr[EMUL_RDX] = random_below(2) ? 0 : ~0ull;
    }
}

static void choose_registers(struct trial *t)
{
    unsigned int i;

    for (i = 0; i < 16; i++)
        t->state.gpr[i] = random_value();
    t->state.rflags = RFLAGS_MBS | RFLAGS_IF | (random_64() & ARITH);
    if (random_below(2))
        t->state.rflags |= RFLAGS_DF;
    for (i = 0; i < ARENA_SIZE; i += 8)
        *(uint64_t *)(arena + i) = random_64();
    t->reg = random_below(registers(t));
    t->rm = random_below(registers(t));
    if (t->sample->kind & K_BITOFF && t->mem)
        limit_bit_offset(t);
    point_into_arena(t);
}

static void build(struct trial *t)
{
    const struct sample *s = t->sample;
    bool rex_free = t->bits == 32 || (!t->mem && t->width < 8 && random_below(2));
    uint64_t imm = random_value();

    choose_registers(t);
    t->undefined = s->undefined;
    if (rex_free) { /* reaches ah, ch, dh, bh */
        t->reg &= 7;
        t->rm &= 7;
    }
    if (t->mem)
        choose_memory(t);
    favour_success(t);
    emit_prefixes(t, rex_free);
    emit_opcode(t);
    if (!(s->kind & K_NO_MODRM))
        emit_modrm(t);
    emit(t, imm, immediate_bytes(t));
    if (s->kind & (K_SHIFT | K_DOUBLE))
        shift_undefined(t, imm & 0xff);
}

/* bsf and bsr of nothing: the manual promises ZF only. */
static bool scans_nothing(const struct trial *t)
{
    uint64_t val = t->state.gpr[t->rm], mask = t->width == 8 ? ~0ull : BIT(t->width * 8) - 1;

    if (!(t->sample->kind & K_SCAN))
        return false;
    if (t->mem)
        memcpy(&val, (void *)t->at, 8);
    return !(val & mask);
}
