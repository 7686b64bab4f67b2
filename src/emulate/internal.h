/* SPDX-License-Identifier: MIT */
/*
 * What the files of src/emulate share: the vocabulary of the opcode tables, and the access to
 * operands. An instruction runs in one of two ways: a `compute` function is pure arithmetic on
 * values that the driver in execute.c loads and stores (so it can be repeated when a cmpxchg lost
 * a race); a `run` function does everything itself and changes registers only when it can no
 * longer fail.
 */
#pragma once

#include "emulate/emulate.h"

/* Operands. Sizes are the operand size but where the name says otherwise. */
enum emul_operand {
    O_NONE,
    O_RM, /* ModRM.rm: register or memory */
    O_RM8,
    O_RM16,
    O_RM32,
    O_RM_PAIR, /* memory of twice the operand size, at least 8 bytes */
    O_REG,     /* ModRM.reg */
    O_ACC,     /* al, ax, eax, rax */
    O_OPREG,   /* the opcode's low three bits */
    O_IMM,
    O_ONE,
    O_CL,
    O_SREG, /* selector of the segment register in ModRM.reg */
};

/* Immediates. */
enum emul_imm {
    I_NONE,
    I_8,     /* zero-extended */
    I_8S,    /* sign-extended */
    I_16,    /* zero-extended */
    I_Z,     /* 2 or 4 bytes by operand size, sign-extended */
    I_V,     /* 2, 4 or 8 bytes by operand size */
    I_16_8,  /* enter */
    I_MOFFS, /* an address: makes the O_RM operand memory */
    I_FAR,   /* offset of 2 or 4 bytes, then a selector */
};

/* Flags of an opcode. */
enum emul_opcode_flag {
    F_BYTE = 0x001,   /* operand size 1 */
    F_D64 = 0x002,    /* operand size 8 by default in 64-bit mode */
    F_NEAR = 0x004,   /* near branch: 8 in 64-bit mode, but AMD heeds 66 */
    F_CRDR = 0x008,   /* operand size is the mode's; ModRM.mod is ignored */
    F_IO = 0x010,     /* operand size at most 4 */
    F_NO64 = 0x020,   /* undefined in 64-bit mode */
    F_MODRM = 0x040,  /* has a ModRM byte */
    F_LOCK = 0x080,   /* may be locked when its destination is memory */
    F_WO = 0x100,     /* destination is not read */
    F_NW = 0x200,     /* destination is not written */
    F_SRCOUT = 0x400, /* source is written too (xchg, xadd) */
    F_NOACC = 0x800,  /* the memory operand is only an address */
    F_BITS = 0x1000,  /* the source is a bit offset that moves the memory operand */
    F_ALT = 0x2000,   /* other meanings by prefix or ModRM: emul_opcode_refine() */
    F_MEM = 0x4000,   /* a register operand is undefined */
};

/* How to execute: a family (upper three bits) and a member (its place in the family's table). */
#define EXEC_FAMILY(x) ((x) >> 5)
#define EXEC_MEMBER(x) ((x)&31)
#define EXEC_FAMILIES  8

enum emul_exec_id {
    X_NONE,   /* not in the tables: the length is unknown */
    X_LENGTH, /* known for its length only */
    X_UD,     /* defined to raise #UD */
    X_GROUP,  /* ModRM.reg chooses; the groups follow up to X_ALU */

    X_ALU = 1 << 5, /* the first eight in the order of their encoding */
    X_ADD = X_ALU,
    X_OR,
    X_ADC,
    X_SBB,
    X_AND,
    X_SUB,
    X_XOR,
    X_CMP,
    X_INC,
    X_DEC,
    X_NOT,
    X_NEG,
    X_TEST,
    X_XADD,
    X_CMPXCHG,
    X_CMPXCHG8B,

    X_SHIFT = 2 << 5, /* the first eight in the order of their encoding */
    X_ROL = X_SHIFT,
    X_ROR,
    X_RCL,
    X_RCR,
    X_SHL,
    X_SHR,
    X_SAL,
    X_SAR,
    X_SHLD,
    X_SHRD,
    X_BT,
    X_BTS,
    X_BTR,
    X_BTC,
    X_BSF,
    X_BSR,
    X_TZCNT,
    X_LZCNT,
    X_POPCNT,
    X_BSWAP,

    X_MOVE = 3 << 5,
    X_MOV = X_MOVE,
    X_MOVSX,
    X_XCHG,
    X_CMOV,
    X_SETCC,
    X_LEA,
    X_NOP,
    X_CBW,
    X_CWD,
    X_XLAT,
    X_MUL,
    X_IMUL,
    X_DIV,
    X_IDIV,
    X_IMUL2,
    X_IMUL3,
    X_LAHF,
    X_SAHF,
    X_CMC,
    X_CLC,
    X_STC,
    X_CLD,
    X_STD,

    X_FLOW = 4 << 5,
    X_JCC = X_FLOW,
    X_JMP_REL,
    X_JMP,
    X_CALL_REL,
    X_CALL,
    X_RET,
    X_PUSH,
    X_POP,
    X_LOOP,
    X_JCXZ,
    X_LEAVE,

    X_STRING = 5 << 5,
    X_MOVS = X_STRING,
    X_CMPS,
    X_STOS,
    X_LODS,
    X_SCAS,

    X_IO = 6 << 5,
    X_IN = X_IO,
    X_OUT,
    X_INS,
    X_OUTS,

    X_SYSTEM = 7 << 5,
    X_CLI = X_SYSTEM,
    X_STI,
    X_CLTS,
    X_FROM_CR,
    X_TO_CR,
    X_FROM_DR,
    X_TO_DR,
    X_RDMSR,
    X_WRMSR,
    X_RDTSC,
    X_RDTSCP,
    X_CPUID,
    X_XSETBV,
    X_INVD,
    X_WBINVD,
    X_WBNOINVD,
    X_INVLPG,
    X_HLT,
};

/* Values in flight. Those above `bytes` are garbage in dst and src, ignored on the way out. */
struct emul_alu {
    uint64_t dst, src;
    uint64_t third;    /* the immediate, or cl if there is none */
    uint64_t flags;    /* rflags; only arithmetic flags and DF are taken over */
    uint8_t bytes;     /* operand size */
    uint8_t src_bytes; /* the source's own, for sign extension */
};

struct emul_exec {
    void (*compute)(const struct emul_insn *insn, struct emul_alu *a);
    enum emul_result (*run)(struct emul_ctxt *c);
};

/* opcodes.c */
const struct emul_opcode *emul_opcode_find(unsigned int map, uint8_t opcode);
/* What the opcode means with its ModRM byte and prefixes: group members and other meanings. */
struct emul_opcode emul_opcode_refine(const struct emul_insn *insn, bool legacy);

/* execute_*.c: the families, indexed by EXEC_MEMBER(). */
extern const struct emul_exec emul_exec_alu[32];
extern const struct emul_exec emul_exec_shift[32];
extern const struct emul_exec emul_exec_move[32];
extern const struct emul_exec emul_exec_flow[32];
extern const struct emul_exec emul_exec_string[32];
extern const struct emul_exec emul_exec_io[32];
extern const struct emul_exec emul_exec_system[32];

/* execute_alu.c */
#define FLAGS_ARITH (RFLAGS_CF | RFLAGS_PF | RFLAGS_AF | RFLAGS_ZF | RFLAGS_SF | RFLAGS_OF)

uint64_t emul_flags_result(uint64_t flags, uint64_t result, unsigned int bytes);
uint64_t emul_add(uint64_t *flags, uint64_t a, uint64_t b, bool carry, unsigned int bytes);
uint64_t emul_sub(uint64_t *flags, uint64_t a, uint64_t b, bool borrow, unsigned int bytes);
bool emul_condition(uint64_t flags, unsigned int cc);

/* operand.c */
uint64_t emul_reg_read(const struct emul_ctxt *c, unsigned int nr, unsigned int bytes);
void emul_reg_write(struct emul_ctxt *c, unsigned int nr, unsigned int bytes, uint64_t val);
uint64_t emul_offset(const struct emul_ctxt *c);
uint64_t emul_xlat_offset(const struct emul_ctxt *c);
enum emul_result emul_linear(struct emul_ctxt *c, enum emul_seg seg, uint64_t offset,
                             unsigned int bytes, bool write, uint64_t *linear) must_check;
enum emul_result emul_mem_read(struct emul_ctxt *c, enum emul_seg seg, uint64_t linear, void *buf,
                               unsigned int bytes) must_check;
enum emul_result emul_mem_write(struct emul_ctxt *c, enum emul_seg seg, uint64_t linear,
                                const void *buf, unsigned int bytes) must_check;
enum emul_result emul_mem_cmpxchg(struct emul_ctxt *c, enum emul_seg seg, uint64_t linear,
                                  void *old, const void *new, unsigned int bytes,
                                  bool lock) must_check;
unsigned int emul_operand_bytes(const struct emul_insn *insn, enum emul_operand o);
bool emul_operand_is_mem(const struct emul_insn *insn, enum emul_operand o);
unsigned int emul_operand_reg(const struct emul_insn *insn, enum emul_operand o);
enum emul_result emul_operand_load(struct emul_ctxt *c, enum emul_operand o,
                                   uint64_t *val) must_check;

static inline bool emul_canonical(uint64_t linear)
{
    return (uint64_t)((int64_t)(linear << 16) >> 16) == linear;
}

/* A count of 1, 2, 4 or 8 bytes as bits, as the mask of its value, and as its sign bit. */
static inline unsigned int bits_of(unsigned int bytes)
{
    return bytes * 8;
}

static inline uint64_t mask_of(unsigned int bytes)
{
    return bytes >= 8 ? ~0ull : (1ull << bits_of(bytes)) - 1;
}

static inline uint64_t sign_of(unsigned int bytes)
{
    return (mask_of(bytes) >> 1) + 1;
}

static inline int64_t sign_extend(uint64_t val, unsigned int bytes)
{
    unsigned int shift = 64 - bits_of(bytes);

    return (int64_t)(val << shift) >> shift;
}
