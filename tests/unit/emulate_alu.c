/* SPDX-License-Identifier: MIT */
/*
 * The emulator against the processor: every arithmetic, logic, shift, bit, move and string
 * instruction in every width, on registers and on memory, locked where it may be, with random
 * contents. Registers, flags and memory must come out the same, but for the flags the manual
 * leaves undefined.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "emulate/emulate.h"
#include "lib/util.h"

#include "emulate_native.h"

#define ROUNDS 400 /* random cases per opcode, width and form */

#define CF    RFLAGS_CF
#define PF    RFLAGS_PF
#define AF    RFLAGS_AF
#define ZF    RFLAGS_ZF
#define SF    RFLAGS_SF
#define OF    RFLAGS_OF
#define ARITH (CF | PF | AF | ZF | SF | OF)

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

#define ALU_SAMPLES(n, base, digit)                                          \
    {n, (base) + 1, -1, K_BYTE | K_LOCK, 0}, {n, (base) + 3, -1, K_BYTE, 0}, \
        {n, (base) + 5, -1, K_BYTE | K_NO_MODRM | K_IMMZ, 0},                \
        {n, 0x81, digit, K_BYTE | K_LOCK | K_IMMZ, 0},                       \
    {                                                                        \
        n, 0x83, digit, K_LOCK | K_IMM8, 0                                   \
    }
#define SHIFT_SAMPLES(n, digit)                                                            \
    {n, 0xc1, digit, K_BYTE | K_IMM8 | K_SHIFT, 0}, {n, 0xd1, digit, K_BYTE | K_SHIFT, 0}, \
    {                                                                                      \
        n, 0xd3, digit, K_BYTE | K_SHIFT, 0                                                \
    }

static const struct sample samples[] = {
    ALU_SAMPLES("add", 0x00, 0),
    ALU_SAMPLES("or", 0x08, 1),
    ALU_SAMPLES("adc", 0x10, 2),
    ALU_SAMPLES("sbb", 0x18, 3),
    ALU_SAMPLES("and", 0x20, 4),
    ALU_SAMPLES("sub", 0x28, 5),
    ALU_SAMPLES("xor", 0x30, 6),
    {"cmp", 0x39, -1, K_BYTE, 0},
    {"cmp", 0x3b, -1, K_BYTE, 0},
    {"cmp", 0x81, 7, K_BYTE | K_IMMZ, 0},
    {"cmp", 0x83, 7, K_IMM8, 0},
    {"test", 0x85, -1, K_BYTE, AF},
    {"test", 0xf7, 0, K_BYTE | K_IMMZ, AF},
    {"test", 0xf7, 1, K_BYTE | K_IMMZ, AF},
    {"test", 0xa9, -1, K_BYTE | K_NO_MODRM | K_IMMZ, AF},
    {"inc", 0xff, 0, K_BYTE | K_LOCK, 0},
    {"dec", 0xff, 1, K_BYTE | K_LOCK, 0},
    {"not", 0xf7, 2, K_BYTE | K_LOCK, 0},
    {"neg", 0xf7, 3, K_BYTE | K_LOCK, 0},
    {"mul", 0xf7, 4, K_BYTE, SF | ZF | AF | PF},
    {"imul", 0xf7, 5, K_BYTE, SF | ZF | AF | PF},
    {"div", 0xf7, 6, K_BYTE | K_ACC, ARITH},
    {"idiv", 0xf7, 7, K_BYTE | K_ACC, ARITH},
    {"imul", 0x0faf, -1, K_NONE, SF | ZF | AF | PF},
    {"imul", 0x69, -1, K_IMMZ, SF | ZF | AF | PF},
    {"imul", 0x6b, -1, K_IMM8, SF | ZF | AF | PF},
    {"xchg", 0x87, -1, K_BYTE | K_LOCK, 0},
    {"xchg", 0x91, -1, K_NO_MODRM, 0},
    {"xchg", 0x97, -1, K_NO_MODRM, 0},
    {"nop", 0x90, -1, K_NO_MODRM, 0},
    {"xadd", 0x0fc1, -1, K_BYTE | K_LOCK, 0},
    {"cmpxchg", 0x0fb1, -1, K_BYTE | K_LOCK | K_ACC, 0},
    {"cmpxchg8b", 0x0fc7, 1, K_LOCK | K_MEM_ONLY | K_PAIR, 0},
    {"mov", 0x89, -1, K_BYTE, 0},
    {"mov", 0x8b, -1, K_BYTE, 0},
    {"mov", 0xc7, 0, K_BYTE | K_IMMZ, 0},
    {"mov", 0xb9, -1, K_NO_MODRM | K_IMMV, 0},
    {"mov", 0xb6, -1, K_NO_MODRM | K_IMM8 | K_ONLY8, 0},
    {"movnti", 0x0fc3, -1, K_MEM_ONLY | K_NO16, 0},
    {"movbe", 0x0f38f0, -1, K_MEM_ONLY, 0},
    {"movbe", 0x0f38f1, -1, K_MEM_ONLY, 0},
    {"movzx", 0x0fb6, -1, K_NONE, 0},
    {"movzx", 0x0fb7, -1, K_NONE, 0},
    {"movsx", 0x0fbe, -1, K_NONE, 0},
    {"movsx", 0x0fbf, -1, K_NONE, 0},
    {"movsxd", 0x63, -1, K_NONE, 0},
    {"lea", 0x8d, -1, K_MEM_ONLY, 0},
    {"cbw", 0x98, -1, K_NO_MODRM, 0},
    {"cwd", 0x99, -1, K_NO_MODRM, 0},
    {"xlat", 0xd7, -1, K_NO_MODRM | K_STRING | K_ONLY8, 0},
    {"lahf", 0x9f, -1, K_NO_MODRM, 0},
    {"sahf", 0x9e, -1, K_NO_MODRM, 0},
    {"cmc", 0xf5, -1, K_NO_MODRM, 0},
    {"clc", 0xf8, -1, K_NO_MODRM, 0},
    {"stc", 0xf9, -1, K_NO_MODRM, 0},
    {"cld", 0xfc, -1, K_NO_MODRM, 0},
    {"std", 0xfd, -1, K_NO_MODRM, 0},
    SHIFT_SAMPLES("rol", 0),
    SHIFT_SAMPLES("ror", 1),
    SHIFT_SAMPLES("rcl", 2),
    SHIFT_SAMPLES("rcr", 3),
    SHIFT_SAMPLES("shl", 4),
    SHIFT_SAMPLES("shr", 5),
    SHIFT_SAMPLES("sal", 6),
    SHIFT_SAMPLES("sar", 7),
    {"shld", 0x0fa4, -1, K_IMM8 | K_DOUBLE, 0},
    {"shld", 0x0fa5, -1, K_DOUBLE, 0},
    {"shrd", 0x0fac, -1, K_IMM8 | K_DOUBLE, 0},
    {"shrd", 0x0fad, -1, K_DOUBLE, 0},
    {"bt", 0x0fa3, -1, K_BITOFF, OF | SF | AF | PF},
    {"bts", 0x0fab, -1, K_BITOFF | K_LOCK, OF | SF | AF | PF},
    {"btr", 0x0fb3, -1, K_BITOFF | K_LOCK, OF | SF | AF | PF},
    {"btc", 0x0fbb, -1, K_BITOFF | K_LOCK, OF | SF | AF | PF},
    {"bt", 0x0fba, 4, K_IMM8, OF | SF | AF | PF},
    {"bts", 0x0fba, 5, K_IMM8 | K_LOCK, OF | SF | AF | PF},
    {"btr", 0x0fba, 6, K_IMM8 | K_LOCK, OF | SF | AF | PF},
    {"btc", 0x0fba, 7, K_IMM8 | K_LOCK, OF | SF | AF | PF},
    {"bsf", 0x0fbc, -1, K_SCAN, ARITH & ~ZF},
    {"bsr", 0x0fbd, -1, K_SCAN, ARITH & ~ZF},
    {"tzcnt", 0x0fbc, -1, K_F3, OF | SF | PF | AF},
    {"lzcnt", 0x0fbd, -1, K_F3, OF | SF | PF | AF},
    {"popcnt", 0x0fb8, -1, K_F3, 0},
    {"bswap", 0x0fcb, -1, K_NO_MODRM | K_NO16, 0},
    {"push", 0x53, -1, K_NO_MODRM | K_STACK, 0},
    {"push rsp", 0x54, -1, K_NO_MODRM | K_STACK, 0},
    {"push", 0x68, -1, K_NO_MODRM | K_IMMZ | K_STACK, 0},
    {"push", 0x6a, -1, K_NO_MODRM | K_IMM8 | K_STACK, 0},
    {"push", 0xff, 6, K_STACK, 0},
    {"pop", 0x59, -1, K_NO_MODRM | K_STACK, 0},
    {"pop rsp", 0x5c, -1, K_NO_MODRM | K_STACK, 0},
    {"pop", 0x8f, 0, K_STACK, 0},
    {"leave", 0xc9, -1, K_NO_MODRM | K_STACK, 0},
    {"movs", 0xa5, -1, K_BYTE | K_NO_MODRM | K_STRING, 0},
    {"cmps", 0xa7, -1, K_BYTE | K_NO_MODRM | K_STRING, 0},
    {"stos", 0xab, -1, K_BYTE | K_NO_MODRM | K_STRING, 0},
    {"lods", 0xad, -1, K_BYTE | K_NO_MODRM | K_STRING, 0},
    {"scas", 0xaf, -1, K_BYTE | K_NO_MODRM | K_STRING, 0},
};

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

/* The callbacks: memory of this process, arena only. */
static bool inside(uint64_t linear, unsigned int bytes)
{
    return linear >= (uint64_t)arena && linear + bytes <= (uint64_t)arena + ARENA_SIZE;
}

static enum emul_result read_arena(struct emul_ctxt *c, enum emul_seg seg, uint64_t linear,
                                   void *buf, unsigned int bytes)
{
    if (!inside(linear, bytes))
        return EMUL_UNHANDLEABLE;
    memcpy(buf, (void *)linear, bytes);
    return EMUL_OKAY;
}

static enum emul_result write_arena(struct emul_ctxt *c, enum emul_seg seg, uint64_t linear,
                                    const void *buf, unsigned int bytes)
{
    if (!inside(linear, bytes))
        return EMUL_UNHANDLEABLE;
    memcpy((void *)linear, buf, bytes);
    return EMUL_OKAY;
}

/* Now and then the value changed since it was read, and changes back before it is asked again:
 * the result must be that of the second reading. */
static bool lose;

static enum emul_result cmpxchg_arena(struct emul_ctxt *c, enum emul_seg seg, uint64_t linear,
                                      void *old, const void *new, unsigned int bytes, bool lock)
{
    bool implicit = c->insn.map == EMUL_MAP_1 && (c->insn.opcode & 0xfe) == 0x86;

    if (!inside(linear, bytes))
        return EMUL_UNHANDLEABLE;
    assert_int_equal(lock, c->insn.lock || implicit);
    if (lose) {
        lose = false;
        return EMUL_CMPXCHG_FAILED; /* old is what memory holds */
    }
    if (memcmp((void *)linear, old, bytes)) {
        memcpy(old, (void *)linear, bytes);
        return EMUL_CMPXCHG_FAILED;
    }
    memcpy((void *)linear, new, bytes);
    return EMUL_OKAY;
}

static enum emul_result fetch_code(struct emul_ctxt *c, uint64_t linear, void *buf,
                                   unsigned int bytes)
{
    memcpy(buf, (void *)linear, bytes);
    return EMUL_OKAY;
}

static const struct emul_ops ops = {
    .fetch = fetch_code,
    .read = read_arena,
    .write = write_arena,
    .cmpxchg = cmpxchg_arena,
};

/* An instruction under construction with the registers it needs. */
struct trial {
    const struct sample *sample;
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
        t->rm = random_below(16);
    while (t->rm == 4 || (t->rm == t->reg && t->sample->kind & K_BITOFF) ||
           (t->sample->kind & (K_PAIR | K_ACC) && t->rm < 4));
    do
        t->index = random_below(16);
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
    t->reg = random_below(16);
    t->rm = random_below(16);
    if (t->sample->kind & K_BITOFF && t->mem)
        limit_bit_offset(t);
    point_into_arena(t);
}

static void build(struct trial *t)
{
    const struct sample *s = t->sample;
    bool rex_free = !t->mem && t->width < 8 && random_below(2);
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

static void report(const struct trial *t, const char *what, uint64_t ours, uint64_t theirs)
{
    unsigned int i;

    fprintf(stderr, "%s %s, width %u:", t->sample->name, t->mem ? "memory" : "register", t->width);
    for (i = 0; i < t->len; i++)
        fprintf(stderr, " %02x", t->code[i]);
    fprintf(stderr, "\n  %s: emulated %#lx, processor %#lx\n", what, ours, theirs);
    for (i = 0; i < 16; i++)
        fprintf(stderr, "  r%-2u %016lx%s", i, t->state.gpr[i], i % 4 == 3 ? "\n" : "");
    fprintf(stderr, "  rflags %lx\n", t->state.rflags);
    fail();
}

static void compare(const struct trial *t, const struct native_state *native,
                    const struct regs *regs)
{
    static const char *const names[16] = {"rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi",
                                          "r8",  "r9",  "r10", "r11", "r12", "r13", "r14", "r15"};
    uint64_t flags = (native->rflags ^ regs->rflags) & (ARITH | RFLAGS_DF) & ~t->undefined, val;
    unsigned int i;

    for (i = 0; i < 16; i++) {
        val = *regs_gpr((struct regs *)regs, i);
        if (val != native->gpr[i])
            report(t, names[i], val, native->gpr[i]);
    }
    if (flags)
        report(t, "rflags", regs->rflags, native->rflags);
    for (i = 0; memcmp(arena, arena_native, ARENA_SIZE) && i < ARENA_SIZE; i++)
        if (arena[i] != arena_native[i])
            report(t, "memory", arena[i], arena_native[i]);
}

static void run_trial(struct trial *t)
{
    struct native_state native = t->state;
    struct regs regs = {.rip = native_rip(), .rflags = t->state.rflags};
    struct emul_ctxt c = {.regs = &regs, .ops = &ops, .bits = 64};
    enum emul_result rc;
    unsigned int i;
    int vector;

    if (t->skip || scans_nothing(t))
        return;
    for (i = 0; i < 16; i++)
        *regs_gpr(&regs, i) = t->state.gpr[i];
    memcpy(arena_before, arena, ARENA_SIZE);
    vector = native_run(t->code, t->len, &native);
    memcpy(arena_native, arena, ARENA_SIZE);
    memcpy(arena, arena_before, ARENA_SIZE);

    lose = t->lock && random_below(4) == 0;
    if (t->sample->opcode == 0x0fb1 || t->sample->kind & K_PAIR)
        lose = false;
    rc = emul_instruction(&c);
    if (vector != NATIVE_OKAY) {
        if (rc != EMUL_EXCEPTION || c.event.vector != vector)
            report(t, "result", rc, vector);
        t->undefined = ARITH;
    } else {
        if (rc != EMUL_OKAY)
            report(t, "result", rc, EMUL_OKAY);
        if (regs.rip != native_rip() + t->len)
            report(t, "length", regs.rip - native_rip(), t->len);
    }
    compare(t, &native, &regs);
}

static void run_sample(const struct sample *s)
{
    static const unsigned int widths[] = {1, 2, 4, 8};
    unsigned int i, round;
    struct trial t;

    for (i = 0; i < ARRAY_SIZE(widths); i++) {
        if ((widths[i] == 1) != !!(s->kind & K_ONLY8) && !(s->kind & K_BYTE && widths[i] == 1))
            continue;
        if ((s->kind & K_NO16 && widths[i] == 2) || (s->kind & K_STACK && widths[i] == 4))
            continue;
        for (round = 0; round < ROUNDS; round++) {
            t = (struct trial){.sample = s, .width = widths[i]};
            t.mem = !(s->kind & (K_NO_MODRM | K_REG_ONLY)) && (s->kind & K_MEM_ONLY || round & 1);
            t.lock = t.mem && s->kind & K_LOCK && round & 2;
            t.addr32 = (t.mem || s->kind & K_STRING) && !(s->kind & K_STACK) && round & 4;
            build(&t);
            run_trial(&t);
        }
    }
}

static void test_samples(void **state)
{
    unsigned int i;

    native_catch(native_fault);
    for (i = 0; i < ARRAY_SIZE(samples); i++)
        run_sample(&samples[i]);
}

static void test_conditions(void **state)
{
    struct sample s = {0};
    unsigned int cc;

    native_catch(native_fault);
    for (cc = 0; cc < 16; cc++) {
        s = (struct sample){"cmovcc", 0x0f40 + cc, -1, K_NONE, 0};
        run_sample(&s);
        s = (struct sample){"setcc", 0x0f90 + cc, -1, K_ONLY8, 0};
        run_sample(&s);
    }
}

static int setup(void **state)
{
    if (native_init())
        return -1;
    arena = mmap(NULL, ARENA_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT,
                 -1, 0);
    return arena == MAP_FAILED ? -1 : 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_samples),
        cmocka_unit_test(test_conditions),
    };

    return cmocka_run_group_tests(tests, setup, NULL);
}
