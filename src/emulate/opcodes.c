/* SPDX-License-Identifier: MIT */
/*
 * The opcode maps: operands, immediate and execution of every opcode of the integer maps, and at
 * least the length of the others. An entry left zero is not known here: decoding stops there.
 *
 * Intel SDM vol. 2D, appendix A (tables ); AMD APM vol. 3, appendix A.
 */
#include "emulate/internal.h"
#include "lib/util.h"

#define M F_MODRM
#define B F_BYTE
#define L F_LOCK

/* Groups live in the execution field until ModRM.reg has chosen the member. */
enum {
    X_GROUP1 = X_GROUP,
    X_GROUP1A,
    X_GROUP2,
    X_GROUP3,
    X_GROUP4,
    X_GROUP5,
    X_GROUP7,
    X_GROUP8,
    X_GROUP9,
    X_GROUP11,
    X_GROUP_END
};

/* The six regular forms of an arithmetic instruction. */
#define ALU(first, x, f)                                              \
    [(first) + 0] = {O_RM, O_REG, I_NONE, x, M | B | (f)},            \
               [(first) + 1] = {O_RM, O_REG, I_NONE, x, M | (f)},     \
               [(first) + 2] = {O_REG, O_RM, I_NONE, x, M | B | (f)}, \
               [(first) + 3] = {O_REG, O_RM, I_NONE, x, M | (f)},     \
               [(first) + 4] = {O_ACC, O_IMM, I_8, x, B | (f)},       \
               [(first) + 5] = {O_ACC, O_IMM, I_Z, x, (f)}

/* Known for its length. */
#define LENGTH(imm, f)                       \
    {                                        \
        O_NONE, O_NONE, (imm), X_LENGTH, (f) \
    }

static const struct emul_opcode map_1[256] = {
    ALU(0x00, X_ADD, L),
    [0x06 ... 0x07] = LENGTH(I_NONE, F_NO64), /* push, pop es */
    ALU(0x08, X_OR, L),
    [0x0e] = LENGTH(I_NONE, F_NO64), /* push cs */
    ALU(0x10, X_ADC, L),
    [0x16 ... 0x17] = LENGTH(I_NONE, F_NO64), /* push, pop ss */
    ALU(0x18, X_SBB, L),
    [0x1e ... 0x1f] = LENGTH(I_NONE, F_NO64), /* push, pop ds */
    ALU(0x20, X_AND, L),
    [0x27] = LENGTH(I_NONE, F_NO64), /* daa */
    ALU(0x28, X_SUB, L),
    [0x2f] = LENGTH(I_NONE, F_NO64), /* das */
    ALU(0x30, X_XOR, L),
    [0x37] = LENGTH(I_NONE, F_NO64), /* aaa */
    ALU(0x38, X_CMP, F_NW),
    [0x3f] = LENGTH(I_NONE, F_NO64), /* aas */
    [0x40 ... 0x47] = {O_OPREG, O_NONE, I_NONE, X_INC, F_NO64},
    [0x48 ... 0x4f] = {O_OPREG, O_NONE, I_NONE, X_DEC, F_NO64},
    [0x50 ... 0x57] = {O_NONE, O_OPREG, I_NONE, X_PUSH, F_D64},
    [0x58 ... 0x5f] = {O_OPREG, O_NONE, I_NONE, X_POP, F_D64 | F_WO},
    [0x60 ... 0x61] = LENGTH(I_NONE, F_NO64),                    /* pusha, popa */
    [0x63] = {O_REG, O_RM32, I_NONE, X_MOVSX, M | F_WO | F_ALT}, /* movsxd; arpl */
    [0x68] = {O_NONE, O_IMM, I_Z, X_PUSH, F_D64},
    [0x69] = {O_REG, O_RM, I_Z, X_IMUL3, M | F_WO},
    [0x6a] = {O_NONE, O_IMM, I_8S, X_PUSH, F_D64},
    [0x6b] = {O_REG, O_RM, I_8S, X_IMUL3, M | F_WO},
    [0x6c] = {O_NONE, O_NONE, I_NONE, X_INS, B},
    [0x6d] = {O_NONE, O_NONE, I_NONE, X_INS, F_IO},
    [0x6e] = {O_NONE, O_NONE, I_NONE, X_OUTS, B},
    [0x6f] = {O_NONE, O_NONE, I_NONE, X_OUTS, F_IO},
    [0x70 ... 0x7f] = {O_NONE, O_IMM, I_8S, X_JCC, F_NEAR},

    [0x80] = {O_RM, O_IMM, I_8, X_GROUP1, M | B},
    [0x81] = {O_RM, O_IMM, I_Z, X_GROUP1, M},
    [0x82] = {O_RM, O_IMM, I_8, X_GROUP1, M | B | F_NO64},
    [0x83] = {O_RM, O_IMM, I_8S, X_GROUP1, M},
    [0x84] = {O_RM, O_REG, I_NONE, X_TEST, M | B | F_NW},
    [0x85] = {O_RM, O_REG, I_NONE, X_TEST, M | F_NW},
    [0x86] = {O_RM, O_REG, I_NONE, X_XCHG, M | B | L | F_SRCOUT},
    [0x87] = {O_RM, O_REG, I_NONE, X_XCHG, M | L | F_SRCOUT},
    [0x88] = {O_RM, O_REG, I_NONE, X_MOV, M | B | F_WO},
    [0x89] = {O_RM, O_REG, I_NONE, X_MOV, M | F_WO},
    [0x8a] = {O_REG, O_RM, I_NONE, X_MOV, M | B | F_WO},
    [0x8b] = {O_REG, O_RM, I_NONE, X_MOV, M | F_WO},
    [0x8c] = {O_RM16, O_SREG, I_NONE, X_MOV, M | F_WO},
    [0x8d] = {O_REG, O_NONE, I_NONE, X_LEA, M | F_WO | F_NOACC | F_MEM},
    [0x8e] = LENGTH(I_NONE, M), /* mov sreg */
    [0x8f] = {O_RM, O_NONE, I_NONE, X_GROUP1A, M | F_D64 | F_WO},

    [0x90] = {O_NONE, O_NONE, I_NONE, X_NOP, F_ALT},
    [0x91 ... 0x97] = {O_OPREG, O_ACC, I_NONE, X_XCHG, F_SRCOUT},
    [0x98] = {O_NONE, O_NONE, I_NONE, X_CBW, 0},
    [0x99] = {O_NONE, O_NONE, I_NONE, X_CWD, 0},
    [0x9a] = LENGTH(I_FAR, F_NO64),          /* call far */
    [0x9b] = LENGTH(I_NONE, 0),              /* fwait */
    [0x9c ... 0x9d] = LENGTH(I_NONE, F_D64), /* pushf, popf */
    [0x9e] = {O_NONE, O_NONE, I_NONE, X_SAHF, 0},
    [0x9f] = {O_NONE, O_NONE, I_NONE, X_LAHF, 0},
    [0xa0] = {O_ACC, O_RM, I_MOFFS, X_MOV, B | F_WO},
    [0xa1] = {O_ACC, O_RM, I_MOFFS, X_MOV, F_WO},
    [0xa2] = {O_RM, O_ACC, I_MOFFS, X_MOV, B | F_WO},
    [0xa3] = {O_RM, O_ACC, I_MOFFS, X_MOV, F_WO},
    [0xa4] = {O_NONE, O_NONE, I_NONE, X_MOVS, B},
    [0xa5] = {O_NONE, O_NONE, I_NONE, X_MOVS, 0},
    [0xa6] = {O_NONE, O_NONE, I_NONE, X_CMPS, B},
    [0xa7] = {O_NONE, O_NONE, I_NONE, X_CMPS, 0},
    [0xa8] = {O_ACC, O_IMM, I_8, X_TEST, B | F_NW},
    [0xa9] = {O_ACC, O_IMM, I_Z, X_TEST, F_NW},
    [0xaa] = {O_NONE, O_NONE, I_NONE, X_STOS, B},
    [0xab] = {O_NONE, O_NONE, I_NONE, X_STOS, 0},
    [0xac] = {O_NONE, O_NONE, I_NONE, X_LODS, B},
    [0xad] = {O_NONE, O_NONE, I_NONE, X_LODS, 0},
    [0xae] = {O_NONE, O_NONE, I_NONE, X_SCAS, B},
    [0xaf] = {O_NONE, O_NONE, I_NONE, X_SCAS, 0},
    [0xb0 ... 0xb7] = {O_OPREG, O_IMM, I_8, X_MOV, B | F_WO},
    [0xb8 ... 0xbf] = {O_OPREG, O_IMM, I_V, X_MOV, F_WO},

    [0xc0] = {O_RM, O_IMM, I_8, X_GROUP2, M | B},
    [0xc1] = {O_RM, O_IMM, I_8, X_GROUP2, M},
    [0xc2] = {O_NONE, O_IMM, I_16, X_RET, F_NEAR},
    [0xc3] = {O_NONE, O_NONE, I_NONE, X_RET, F_NEAR},
    [0xc4 ... 0xc5] = LENGTH(I_NONE, M | F_NO64 | F_MEM), /* les, lds; VEX */
    [0xc6] = {O_RM, O_IMM, I_8, X_GROUP11, M | B | F_WO},
    [0xc7] = {O_RM, O_IMM, I_Z, X_GROUP11, M | F_WO},
    [0xc8] = LENGTH(I_16_8, F_D64), /* enter */
    [0xc9] = {O_NONE, O_NONE, I_NONE, X_LEAVE, F_D64},
    [0xca] = LENGTH(I_16, 0),            /* ret far */
    [0xcb ... 0xcc] = LENGTH(I_NONE, 0), /* ret far, int3 */
    [0xcd] = LENGTH(I_8, 0),             /* int */
    [0xce] = LENGTH(I_NONE, F_NO64),     /* into */
    [0xcf] = LENGTH(I_NONE, 0),          /* iret */
    [0xd0] = {O_RM, O_ONE, I_NONE, X_GROUP2, M | B},
    [0xd1] = {O_RM, O_ONE, I_NONE, X_GROUP2, M},
    [0xd2] = {O_RM, O_CL, I_NONE, X_GROUP2, M | B},
    [0xd3] = {O_RM, O_CL, I_NONE, X_GROUP2, M},
    [0xd4 ... 0xd5] = LENGTH(I_8, F_NO64), /* aam, aad */
    [0xd6] = LENGTH(I_NONE, F_NO64),       /* salc */
    [0xd7] = {O_NONE, O_NONE, I_NONE, X_XLAT, B},
    [0xd8 ... 0xdf] = LENGTH(I_NONE, M), /* x87 */
    [0xe0 ... 0xe2] = {O_NONE, O_IMM, I_8S, X_LOOP, F_NEAR},
    [0xe3] = {O_NONE, O_IMM, I_8S, X_JCXZ, F_NEAR},
    [0xe4] = {O_ACC, O_IMM, I_8, X_IN, B | F_WO},
    [0xe5] = {O_ACC, O_IMM, I_8, X_IN, F_IO | F_WO},
    [0xe6] = {O_NONE, O_IMM, I_8, X_OUT, B},
    [0xe7] = {O_NONE, O_IMM, I_8, X_OUT, F_IO},
    [0xe8] = {O_NONE, O_IMM, I_Z, X_CALL_REL, F_NEAR},
    [0xe9] = {O_NONE, O_IMM, I_Z, X_JMP_REL, F_NEAR},
    [0xea] = LENGTH(I_FAR, F_NO64), /* jmp far */
    [0xeb] = {O_NONE, O_IMM, I_8S, X_JMP_REL, F_NEAR},
    [0xec] = {O_ACC, O_NONE, I_NONE, X_IN, B | F_WO},
    [0xed] = {O_ACC, O_NONE, I_NONE, X_IN, F_IO | F_WO},
    [0xee] = {O_NONE, O_NONE, I_NONE, X_OUT, B},
    [0xef] = {O_NONE, O_NONE, I_NONE, X_OUT, F_IO},
    [0xf1] = LENGTH(I_NONE, 0), /* int1 */
    [0xf4] = {O_NONE, O_NONE, I_NONE, X_HLT, 0},
    [0xf5] = {O_NONE, O_NONE, I_NONE, X_CMC, 0},
    [0xf6] = {O_RM, O_NONE, I_NONE, X_GROUP3, M | B},
    [0xf7] = {O_RM, O_NONE, I_NONE, X_GROUP3, M},
    [0xf8] = {O_NONE, O_NONE, I_NONE, X_CLC, 0},
    [0xf9] = {O_NONE, O_NONE, I_NONE, X_STC, 0},
    [0xfa] = {O_NONE, O_NONE, I_NONE, X_CLI, 0},
    [0xfb] = {O_NONE, O_NONE, I_NONE, X_STI, 0},
    [0xfc] = {O_NONE, O_NONE, I_NONE, X_CLD, 0},
    [0xfd] = {O_NONE, O_NONE, I_NONE, X_STD, 0},
    [0xfe] = {O_NONE, O_NONE, I_NONE, X_GROUP4, M | B},
    [0xff] = {O_NONE, O_NONE, I_NONE, X_GROUP5, M},
};

static const struct emul_opcode map_0f[256] = {
    [0x00] = LENGTH(I_NONE, M), /* group 6 */
    [0x01] = {O_NONE, O_NONE, I_NONE, X_GROUP7, M | F_ALT},
    [0x02 ... 0x03] = LENGTH(I_NONE, M), /* lar, lsl */
    [0x05] = LENGTH(I_NONE, 0),          /* syscall */
    [0x06] = {O_NONE, O_NONE, I_NONE, X_CLTS, 0},
    [0x07] = LENGTH(I_NONE, 0), /* sysret */
    [0x08] = {O_NONE, O_NONE, I_NONE, X_INVD, 0},
    [0x09] = {O_NONE, O_NONE, I_NONE, X_WBINVD, F_ALT},
    [0x0b] = {O_NONE, O_NONE, I_NONE, X_UD, 0},
    [0x0d] = LENGTH(I_NONE, M), /* prefetchw */
    [0x0e] = LENGTH(I_NONE, 0), /* femms */
    [0x0f] = LENGTH(I_8, M),    /* 3DNow! */
    [0x10 ... 0x17] = LENGTH(I_NONE, M),
    [0x18 ... 0x1f] = {O_NONE, O_RM, I_NONE, X_NOP, M | F_NOACC},
    [0x20] = {O_NONE, O_NONE, I_NONE, X_FROM_CR, M | F_CRDR},
    [0x21] = {O_NONE, O_NONE, I_NONE, X_FROM_DR, M | F_CRDR},
    [0x22] = {O_NONE, O_NONE, I_NONE, X_TO_CR, M | F_CRDR},
    [0x23] = {O_NONE, O_NONE, I_NONE, X_TO_DR, M | F_CRDR},
    [0x28 ... 0x2f] = LENGTH(I_NONE, M),
    [0x30] = {O_NONE, O_NONE, I_NONE, X_WRMSR, 0},
    [0x31] = {O_NONE, O_NONE, I_NONE, X_RDTSC, 0},
    [0x32] = {O_NONE, O_NONE, I_NONE, X_RDMSR, 0},
    [0x33 ... 0x35] = LENGTH(I_NONE, 0), /* rdpmc, sysenter, sysexit */
    [0x40 ... 0x4f] = {O_REG, O_RM, I_NONE, X_CMOV, M},
    [0x50 ... 0x6f] = LENGTH(I_NONE, M),
    [0x70 ... 0x73] = LENGTH(I_8, M),
    [0x74 ... 0x76] = LENGTH(I_NONE, M),
    [0x77] = LENGTH(I_NONE, 0), /* emms */
    [0x79] = LENGTH(I_NONE, M), /* vmwrite */
    [0x7c ... 0x7f] = LENGTH(I_NONE, M),
    [0x80 ... 0x8f] = {O_NONE, O_IMM, I_Z, X_JCC, F_NEAR},
    [0x90 ... 0x9f] = {O_RM8, O_NONE, I_NONE, X_SETCC, M | B | F_WO},
    [0xa0 ... 0xa1] = LENGTH(I_NONE, F_D64), /* push, pop fs */
    [0xa2] = {O_NONE, O_NONE, I_NONE, X_CPUID, 0},
    [0xa3] = {O_RM, O_REG, I_NONE, X_BT, M | F_NW | F_BITS},
    [0xa4] = {O_RM, O_REG, I_8, X_SHLD, M},
    [0xa5] = {O_RM, O_REG, I_NONE, X_SHLD, M},
    [0xa8 ... 0xa9] = LENGTH(I_NONE, F_D64), /* push, pop gs */
    [0xaa] = LENGTH(I_NONE, 0),              /* rsm */
    [0xab] = {O_RM, O_REG, I_NONE, X_BTS, M | L | F_BITS},
    [0xac] = {O_RM, O_REG, I_8, X_SHRD, M},
    [0xad] = {O_RM, O_REG, I_NONE, X_SHRD, M},
    [0xae] = LENGTH(I_NONE, M), /* group 15 */
    [0xaf] = {O_REG, O_RM, I_NONE, X_IMUL2, M},
    [0xb0] = {O_RM, O_REG, I_NONE, X_CMPXCHG, M | B | L},
    [0xb1] = {O_RM, O_REG, I_NONE, X_CMPXCHG, M | L},
    [0xb2] = LENGTH(I_NONE, M | F_MEM), /* lss */
    [0xb3] = {O_RM, O_REG, I_NONE, X_BTR, M | L | F_BITS},
    [0xb4 ... 0xb5] = LENGTH(I_NONE, M | F_MEM), /* lfs, lgs */
    [0xb6] = {O_REG, O_RM8, I_NONE, X_MOV, M | F_WO},
    [0xb7] = {O_REG, O_RM16, I_NONE, X_MOV, M | F_WO},
    [0xb8] = {O_NONE, O_NONE, I_NONE, X_NONE, M | F_ALT},
    [0xb9] = {O_NONE, O_NONE, I_NONE, X_UD, M},
    [0xba] = {O_RM, O_IMM, I_8, X_GROUP8, M},
    [0xbb] = {O_RM, O_REG, I_NONE, X_BTC, M | L | F_BITS},
    [0xbc] = {O_REG, O_RM, I_NONE, X_BSF, M | F_ALT},
    [0xbd] = {O_REG, O_RM, I_NONE, X_BSR, M | F_ALT},
    [0xbe] = {O_REG, O_RM8, I_NONE, X_MOVSX, M | F_WO},
    [0xbf] = {O_REG, O_RM16, I_NONE, X_MOVSX, M | F_WO},
    [0xc0] = {O_RM, O_REG, I_NONE, X_XADD, M | B | L | F_SRCOUT},
    [0xc1] = {O_RM, O_REG, I_NONE, X_XADD, M | L | F_SRCOUT},
    [0xc2] = LENGTH(I_8, M),
    [0xc3] = {O_RM, O_REG, I_NONE, X_MOV, M | F_WO | F_MEM | F_ALT}, /* movnti */
    [0xc4 ... 0xc6] = LENGTH(I_8, M),
    [0xc7] = {O_NONE, O_NONE, I_NONE, X_GROUP9, M},
    [0xc8 ... 0xcf] = {O_OPREG, O_OPREG, I_NONE, X_BSWAP, F_WO},
    [0xd0 ... 0xfe] = LENGTH(I_NONE, M),
    [0xff] = {O_NONE, O_NONE, I_NONE, X_UD, M},
};

/* A member says what differs from the group's entry: its nonzero fields replace, flags add up. */
static const struct emul_opcode groups[X_GROUP_END - X_GROUP][8] = {
    [X_GROUP1 - X_GROUP] = {{.exec = X_ADD, .flags = L},
                            {.exec = X_OR, .flags = L},
                            {.exec = X_ADC, .flags = L},
                            {.exec = X_SBB, .flags = L},
                            {.exec = X_AND, .flags = L},
                            {.exec = X_SUB, .flags = L},
                            {.exec = X_XOR, .flags = L},
                            {.exec = X_CMP, .flags = F_NW}},
    [X_GROUP1A - X_GROUP] = {{.exec = X_POP}}, /* the others are XOP */
    [X_GROUP2 - X_GROUP] = {{.exec = X_ROL},
                            {.exec = X_ROR},
                            {.exec = X_RCL},
                            {.exec = X_RCR},
                            {.exec = X_SHL},
                            {.exec = X_SHR},
                            {.exec = X_SAL},
                            {.exec = X_SAR}},
    [X_GROUP3 - X_GROUP] = {{.src = O_IMM, .imm = I_Z, .exec = X_TEST, .flags = F_NW},
                            {.src = O_IMM, .imm = I_Z, .exec = X_TEST, .flags = F_NW},
                            {.exec = X_NOT, .flags = L},
                            {.exec = X_NEG, .flags = L},
                            {.exec = X_MUL, .flags = F_NW},
                            {.exec = X_IMUL, .flags = F_NW},
                            {.exec = X_DIV, .flags = F_NW},
                            {.exec = X_IDIV, .flags = F_NW}},
    [X_GROUP4 - X_GROUP] = {{.dst = O_RM, .exec = X_INC, .flags = L},
                            {.dst = O_RM, .exec = X_DEC, .flags = L}},
    [X_GROUP5 - X_GROUP] = {{.dst = O_RM, .exec = X_INC, .flags = L},
                            {.dst = O_RM, .exec = X_DEC, .flags = L},
                            {.src = O_RM, .exec = X_CALL, .flags = F_NEAR},
                            {.exec = X_LENGTH, .flags = F_MEM}, /* call far */
                            {.src = O_RM, .exec = X_JMP, .flags = F_NEAR},
                            {.exec = X_LENGTH, .flags = F_MEM}, /* jmp far */
                            {.src = O_RM, .exec = X_PUSH, .flags = F_D64}},
    [X_GROUP7 - X_GROUP] = {{.exec = X_LENGTH},
                            {.exec = X_LENGTH},
                            {.exec = X_LENGTH},
                            {.exec = X_LENGTH},
                            {.exec = X_LENGTH},
                            {.exec = X_LENGTH},
                            {.exec = X_LENGTH}, /* lmsw */
                            {.src = O_RM, .exec = X_INVLPG, .flags = F_NOACC | F_MEM}},
    [X_GROUP8 - X_GROUP] = {[4] = {.exec = X_BT, .flags = F_NW},
                            [5] = {.exec = X_BTS, .flags = L},
                            [6] = {.exec = X_BTR, .flags = L},
                            [7] = {.exec = X_BTC, .flags = L}},
    [X_GROUP9 - X_GROUP] = {[1] = {.dst = O_RM_PAIR, .exec = X_CMPXCHG8B, .flags = L | F_MEM},
                            [2 ... 7] = {.exec = X_LENGTH}},
    [X_GROUP11 - X_GROUP] = {{.exec = X_MOV}},
};

struct alternative {
    uint8_t map, opcode;
    uint8_t rep;   /* needs this prefix */
    uint8_t modrm; /* needs this ModRM byte */
    uint8_t rex;   /* needs this bit of REX */
    bool opsize;   /* needs 66 */
    bool legacy;   /* needs a mode other than 64-bit */
    struct emul_opcode op;
};

static const struct alternative alternatives[] = {
    {EMUL_MAP_1, 0x63, .legacy = true, .op = LENGTH(I_NONE, M)}, /* arpl */
    {EMUL_MAP_1, 0x90, .rex = 1, .op = {O_OPREG, O_ACC, I_NONE, X_XCHG, F_SRCOUT}},
    {EMUL_MAP_0F, 0x01, .modrm = 0xd1, .op = {O_NONE, O_NONE, I_NONE, X_XSETBV, M}},
    {EMUL_MAP_0F, 0x01, .modrm = 0xf8, .op = LENGTH(I_NONE, M)}, /* swapgs */
    {EMUL_MAP_0F, 0x01, .modrm = 0xf9, .op = {O_NONE, O_NONE, I_NONE, X_RDTSCP, M}},
    {EMUL_MAP_0F, 0x09, .rep = 0xf3, .op = {O_NONE, O_NONE, I_NONE, X_WBNOINVD, 0}},
    {EMUL_MAP_0F, 0xb8, .rep = 0xf3, .op = {O_REG, O_RM, I_NONE, X_POPCNT, M | F_WO}},
    {EMUL_MAP_0F, 0xbc, .rep = 0xf3, .op = {O_REG, O_RM, I_NONE, X_TZCNT, M | F_WO}},
    {EMUL_MAP_0F, 0xbd, .rep = 0xf3, .op = {O_REG, O_RM, I_NONE, X_LZCNT, M | F_WO}},
    {EMUL_MAP_0F, 0xc3, .rep = 0xf2, .op = {.exec = X_UD, .flags = M}}, /* movnti takes none */
    {EMUL_MAP_0F, 0xc3, .rep = 0xf3, .op = {.exec = X_UD, .flags = M}},
    {EMUL_MAP_0F, 0xc3, .opsize = true, .op = {.exec = X_UD, .flags = M}},
    {EMUL_MAP_0F38, 0xf0, .rep = 0xf2, .op = LENGTH(I_NONE, M)}, /* crc32 */
    {EMUL_MAP_0F38, 0xf1, .rep = 0xf2, .op = LENGTH(I_NONE, M)},
};

static const struct emul_opcode map_0f38 = LENGTH(I_NONE, M);
static const struct emul_opcode map_0f3a = LENGTH(I_8, M);
static const struct emul_opcode movbe[2] = {
    {O_REG, O_RM, I_NONE, X_BSWAP, M | F_WO | F_MEM | F_ALT},
    {O_RM, O_REG, I_NONE, X_BSWAP, M | F_WO | F_MEM | F_ALT},
};

const struct emul_opcode *emul_opcode_find(unsigned int map, uint8_t opcode)
{
    if (map == EMUL_MAP_1)
        return &map_1[opcode];
    if (map == EMUL_MAP_0F)
        return &map_0f[opcode];
    if (map == EMUL_MAP_0F3A)
        return &map_0f3a;
    if (opcode == 0xf0 || opcode == 0xf1)
        return &movbe[opcode - 0xf0];
    return &map_0f38;
}

static bool alternative_fits(const struct alternative *a, const struct emul_insn *insn, bool legacy)
{
    return a->map == insn->map && a->opcode == insn->opcode && (!a->rep || a->rep == insn->rep) &&
           (!a->modrm || a->modrm == insn->modrm) && (!a->rex || (a->rex & insn->rex)) &&
           (!a->opsize || insn->opsize) && (!a->legacy || legacy);
}

struct emul_opcode emul_opcode_refine(const struct emul_insn *insn, bool legacy)
{
    struct emul_opcode op = insn->op;
    const struct emul_opcode *member;
    unsigned int i;

    if (op.flags & F_ALT)
        for (i = 0; i < ARRAY_SIZE(alternatives); i++)
            if (alternative_fits(&alternatives[i], insn, legacy))
                return alternatives[i].op;

    if (op.exec < X_GROUP || op.exec >= X_GROUP_END)
        return op;

    member = &groups[op.exec - X_GROUP][insn->modrm >> 3 & 7];
    op.exec = member->exec;
    op.dst = member->dst ? member->dst : op.dst;
    op.src = member->src ? member->src : op.src;
    op.imm = member->imm ? member->imm : op.imm;
    op.flags |= member->flags;
    return op;
}
