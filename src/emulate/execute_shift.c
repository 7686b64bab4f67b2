/* SPDX-License-Identifier: MIT */
/*
 * Shifts, rotations, bit tests and bit scans. Counts are taken modulo 32, or 64 for 8-byte
 * operands; a count of zero leaves every flag alone. Where the manual leaves a flag undefined, it
 * is what the same formula gives beyond its defined range.
 *
 * Intel SDM vol. 2, the instructions.
 */
#include "emulate/internal.h"

static unsigned int masked_count(const struct emul_alu *a, uint64_t count)
{
    return count & (a->bytes == 8 ? 63 : 31);
}

static void set_flag(struct emul_alu *a, uint64_t flag, bool on)
{
    a->flags = on ? a->flags | flag : a->flags & ~flag;
}

static bool top_bit(const struct emul_alu *a, uint64_t val)
{
    return val & sign_of(a->bytes);
}

/* Rotations: only CF and OF change. `carry` is the last bit that went round. */
static void rotated(struct emul_alu *a, uint64_t result, bool carry, bool overflow)
{
    a->dst = result;
    set_flag(a, RFLAGS_CF, carry);
    set_flag(a, RFLAGS_OF, overflow);
}

static uint64_t rotate_left(uint64_t val, unsigned int n, unsigned int width, uint64_t mask)
{
    val &= mask;
    n %= width;
    return n ? (val << n | val >> (width - n)) & mask : val;
}

static void shift_rol(const struct emul_insn *insn, struct emul_alu *a)
{
    unsigned int n = masked_count(a, a->src);
    uint64_t r = rotate_left(a->dst, n, bits_of(a->bytes), mask_of(a->bytes));

    if (n)
        rotated(a, r, r & 1, top_bit(a, r) != (r & 1));
}

static void shift_ror(const struct emul_insn *insn, struct emul_alu *a)
{
    unsigned int n = masked_count(a, a->src), width = bits_of(a->bytes);
    uint64_t r = rotate_left(a->dst, width - n % width, width, mask_of(a->bytes));

    if (n)
        rotated(a, r, top_bit(a, r), top_bit(a, r) != top_bit(a, r << 1));
}

/* rcl and rcr go round through CF, one bit a step: at most 63 steps. */
static void shift_rcl(const struct emul_insn *insn, struct emul_alu *a)
{
    unsigned int n = masked_count(a, a->src), i;
    bool carry = a->flags & RFLAGS_CF, out;
    uint64_t r = a->dst;

    for (i = 0; i < n % (bits_of(a->bytes) + 1); i++) {
        out = top_bit(a, r);
        r = r << 1 | carry;
        carry = out;
    }
    if (n)
        rotated(a, r, carry, top_bit(a, r) != carry);
}

static void shift_rcr(const struct emul_insn *insn, struct emul_alu *a)
{
    unsigned int n = masked_count(a, a->src), i;
    bool carry = a->flags & RFLAGS_CF, out;
    uint64_t r = a->dst;

    for (i = 0; i < n % (bits_of(a->bytes) + 1); i++) {
        out = r & 1;
        r = r >> 1 | (carry ? sign_of(a->bytes) : 0);
        carry = out;
    }
    if (n)
        rotated(a, r, carry, top_bit(a, r) != top_bit(a, r << 1));
}

static void shifted(struct emul_alu *a, uint64_t result, bool carry, bool overflow)
{
    a->dst = result;
    a->flags = emul_flags_result(a->flags, result, a->bytes) & ~RFLAGS_AF;
    set_flag(a, RFLAGS_CF, carry);
    set_flag(a, RFLAGS_OF, overflow);
}

/* One step less, so that the bit that falls out can be seen; never more than 63 places. */
static void shift_shl(const struct emul_insn *insn, struct emul_alu *a)
{
    unsigned int n = masked_count(a, a->src);
    uint64_t before = a->dst << ((n - 1) & 63);

    if (n)
        shifted(a, before << 1, top_bit(a, before), top_bit(a, before) != top_bit(a, before << 1));
}

static void shift_shr(const struct emul_insn *insn, struct emul_alu *a)
{
    unsigned int n = masked_count(a, a->src);
    uint64_t before = a->dst >> ((n - 1) & 63);

    if (n)
        shifted(a, before >> 1, before & 1, top_bit(a, a->dst));
}

static void shift_sar(const struct emul_insn *insn, struct emul_alu *a)
{
    unsigned int n = masked_count(a, a->src);
    int64_t before = sign_extend(a->dst, a->bytes) >> ((n - 1) & 63);

    if (n)
        shifted(a, before >> 1, before & 1, false);
}

/* Two registers shifted as one. Counts beyond 16 of 2-byte operands are undefined; here the
 * source comes round again, as processors do. */
static void shift_shld(const struct emul_insn *insn, struct emul_alu *a)
{
    unsigned int n = masked_count(a, a->third), width = bits_of(a->bytes), i;
    uint64_t r = a->dst, in = a->src;
    bool carry = false, bit;

    for (i = 0; i < n; i++) {
        carry = top_bit(a, r);
        bit = top_bit(a, in);
        r = r << 1 | bit;
        in = in << 1 | bit;
    }
    if (n)
        shifted(a, r, carry, top_bit(a, r) != (n <= width && top_bit(a, a->dst << (n - 1))));
}

static void shift_shrd(const struct emul_insn *insn, struct emul_alu *a)
{
    unsigned int n = masked_count(a, a->third), i;
    uint64_t r = a->dst, in = a->src, sign = sign_of(a->bytes);
    bool carry = false, bit;

    for (i = 0; i < n; i++) {
        carry = r & 1;
        bit = in & 1;
        r = r >> 1 | (bit ? sign : 0);
        in = in >> 1 | (bit ? sign : 0);
    }
    if (n)
        shifted(a, r, carry, top_bit(a, r) != top_bit(a, r << 1));
}

/* Bit tests: the offset within the operand. Memory operands were moved by the rest of it. */
static uint64_t test_bit(struct emul_alu *a)
{
    uint64_t bit = 1ull << (a->src & (bits_of(a->bytes) - 1));

    set_flag(a, RFLAGS_CF, a->dst & bit);
    return bit;
}

static void bit_test(const struct emul_insn *insn, struct emul_alu *a)
{
    test_bit(a);
}

static void bit_set(const struct emul_insn *insn, struct emul_alu *a)
{
    a->dst |= test_bit(a);
}

static void bit_reset(const struct emul_insn *insn, struct emul_alu *a)
{
    a->dst &= ~test_bit(a);
}

static void bit_complement(const struct emul_insn *insn, struct emul_alu *a)
{
    a->dst ^= test_bit(a);
}

/* bsf and bsr leave the destination alone when there is no bit: documented by AMD, done by both. */
static void bit_forward(const struct emul_insn *insn, struct emul_alu *a)
{
    set_flag(a, RFLAGS_ZF, !a->src);
    if (a->src)
        a->dst = __builtin_ctzll(a->src);
}

static void bit_reverse(const struct emul_insn *insn, struct emul_alu *a)
{
    set_flag(a, RFLAGS_ZF, !a->src);
    if (a->src)
        a->dst = 63 - __builtin_clzll(a->src);
}

static void counted(struct emul_alu *a, uint64_t n)
{
    set_flag(a, RFLAGS_CF, !a->src);
    set_flag(a, RFLAGS_ZF, !n);
    a->dst = n;
}

static void bit_tzcnt(const struct emul_insn *insn, struct emul_alu *a)
{
    counted(a, a->src ? (unsigned int)__builtin_ctzll(a->src) : bits_of(a->bytes));
}

static void bit_lzcnt(const struct emul_insn *insn, struct emul_alu *a)
{
    unsigned int unused = 64 - bits_of(a->bytes);

    counted(a, a->src ? (unsigned int)__builtin_clzll(a->src) - unused : bits_of(a->bytes));
}

static void bit_popcnt(const struct emul_insn *insn, struct emul_alu *a)
{
    uint64_t n = a->src;

    a->flags &= ~FLAGS_ARITH;
    set_flag(a, RFLAGS_ZF, !n);
    for (a->dst = 0; n; n &= n - 1)
        a->dst++;
}

/* bswap of 2 bytes is undefined, movbe of 2 bytes is not. */
static void bit_bswap(const struct emul_insn *insn, struct emul_alu *a)
{
    a->dst = __builtin_bswap64(a->src) >> (64 - bits_of(a->bytes));
}

const struct emul_exec emul_exec_shift[32] = {
    [EXEC_MEMBER(X_ROL)] = {.compute = shift_rol},
    [EXEC_MEMBER(X_ROR)] = {.compute = shift_ror},
    [EXEC_MEMBER(X_RCL)] = {.compute = shift_rcl},
    [EXEC_MEMBER(X_RCR)] = {.compute = shift_rcr},
    [EXEC_MEMBER(X_SHL)] = {.compute = shift_shl},
    [EXEC_MEMBER(X_SHR)] = {.compute = shift_shr},
    [EXEC_MEMBER(X_SAL)] = {.compute = shift_shl},
    [EXEC_MEMBER(X_SAR)] = {.compute = shift_sar},
    [EXEC_MEMBER(X_SHLD)] = {.compute = shift_shld},
    [EXEC_MEMBER(X_SHRD)] = {.compute = shift_shrd},
    [EXEC_MEMBER(X_BT)] = {.compute = bit_test},
    [EXEC_MEMBER(X_BTS)] = {.compute = bit_set},
    [EXEC_MEMBER(X_BTR)] = {.compute = bit_reset},
    [EXEC_MEMBER(X_BTC)] = {.compute = bit_complement},
    [EXEC_MEMBER(X_BSF)] = {.compute = bit_forward},
    [EXEC_MEMBER(X_BSR)] = {.compute = bit_reverse},
    [EXEC_MEMBER(X_TZCNT)] = {.compute = bit_tzcnt},
    [EXEC_MEMBER(X_LZCNT)] = {.compute = bit_lzcnt},
    [EXEC_MEMBER(X_POPCNT)] = {.compute = bit_popcnt},
    [EXEC_MEMBER(X_BSWAP)] = {.compute = bit_bswap},
};
