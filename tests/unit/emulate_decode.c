/* SPDX-License-Identifier: MIT */
/*
 * The decoder at its boundaries, in every mode: lengths, what is undefined, fetching across pages
 * and limits, effective and linear addresses, and the access a caller classifies by.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "emulate/emulate.h"
#include "lib/util.h"

/* One guest: code at `start`, and segments. */
static uint8_t code[32];
static uint64_t start;
static uint64_t fetch_limit; /* fetching from here on faults */
static unsigned int fetches;
static struct emul_segment segments[6];
static struct regs regs;

static enum emul_result fetch(struct emul_ctxt *c, uint64_t linear, void *buf, unsigned int bytes)
{
    fetches++;
    assert_true((linear & PAGE_MASK) == ((linear + bytes - 1) & PAGE_MASK));
    if (linear + bytes > fetch_limit)
        return emul_raise_pf(c, PFEC_I | PFEC_U, linear);
    assert_true(linear >= start && linear + bytes <= start + sizeof(code));
    memcpy(buf, code + (linear - start), bytes);
    return EMUL_OKAY;
}

static enum emul_result read_segment(struct emul_ctxt *c, enum emul_seg seg,
                                     struct emul_segment *out)
{
    assert_true(c->bits != 64 || seg >= EMUL_SEG_FS);
    *out = segments[seg];
    return EMUL_OKAY;
}

static const struct emul_ops ops = {.fetch = fetch, .read_segment = read_segment};

static struct emul_ctxt guest(unsigned int bits, uint64_t rip, const char *bytes, unsigned int n)
{
    unsigned int i;

    memset(code, 0x90, sizeof(code));
    memcpy(code, bytes, n);
    start = rip;
    fetch_limit = ~0ull;
    fetches = 0;
    regs = (struct regs){.rip = rip, .rflags = RFLAGS_MBS};
    for (i = 0; i < 6; i++)
        segments[i] = (struct emul_segment){.attr = 0xc93, .limit = ~0u};
    segments[EMUL_SEG_CS].attr = bits == 16 ? 0x89b : 0xc9b;
    return (struct emul_ctxt){.regs = &regs, .ops = &ops, .bits = bits};
}

#define GUEST(bits, bytes) guest(bits, 0x1000, bytes, sizeof(bytes) - 1)

static void expect_length(unsigned int bits, const char *bytes, unsigned int n)
{
    struct emul_ctxt c = guest(bits, 0x1000, bytes, n);

    assert_int_equal(emul_decode(&c), EMUL_OKAY);
    assert_int_equal(c.insn.length, n);
}

static void expect_fault(unsigned int bits, const char *bytes, unsigned int n, unsigned int vector)
{
    struct emul_ctxt c = guest(bits, 0x1000, bytes, n);

    assert_int_equal(emul_decode(&c), EMUL_EXCEPTION);
    assert_int_equal(c.event.vector, vector);
    assert_int_equal(c.event.has_error, vector == VEC_GP);
    assert_int_equal(c.event.error, 0);
}

#define LENGTH(bits, bytes) expect_length(bits, bytes, sizeof(bytes) - 1)
#define UD(bits, bytes)     expect_fault(bits, bytes, sizeof(bytes) - 1, VEC_UD)

static void test_lengths_by_mode(void **state)
{
    LENGTH(16, "\x05\x34\x12");             /* add ax, imm16 */
    LENGTH(16, "\x66\x05\x78\x56\x34\x12"); /* add eax, imm32 */
    LENGTH(32, "\x05\x78\x56\x34\x12");
    LENGTH(32, "\x66\x05\x34\x12");
    LENGTH(64, "\x48\x05\x78\x56\x34\x12");
    LENGTH(64, "\x66\x48\x05\x78\x56\x34\x12"); /* REX.W wins */
    LENGTH(64, "\x48\xb8\x01\x02\x03\x04\x05\x06\x07\x08");
    LENGTH(16, "\x8b\x46\x10");     /* [bp+disp8] */
    LENGTH(16, "\x8b\x06\x34\x12"); /* [disp16] */
    LENGTH(16, "\x8b\x86\x34\x12"); /* [bp+disp16] */
    LENGTH(16, "\x67\x8b\x04\x24"); /* [esp] */
    LENGTH(32, "\x67\x8b\x06\x34\x12");
    LENGTH(32, "\x8b\x05\x78\x56\x34\x12");
    LENGTH(64, "\x8b\x04\x25\x78\x56\x34\x12");         /* SIB without base */
    LENGTH(64, "\xa1\x01\x02\x03\x04\x05\x06\x07\x08"); /* moffs64 */
    LENGTH(64, "\x67\xa1\x01\x02\x03\x04");
    LENGTH(32, "\xa1\x01\x02\x03\x04");
    LENGTH(16, "\xa1\x01\x02");
    LENGTH(32, "\x9a\x01\x02\x03\x04\x05\x06"); /* call far */
    LENGTH(16, "\xea\x01\x02\x03\x04");         /* jmp far */
    LENGTH(64, "\xc8\x01\x02\x03");             /* enter */
    LENGTH(64, "\xf6\x00\x01");                 /* test has an immediate, */
    LENGTH(64, "\xf6\x10");                     /* not has none */
    LENGTH(64, "\x66\xf7\x00\x01\x02");
    LENGTH(64, "\x0f\xba\x28\x05");
    LENGTH(64, "\x0f\x20\xc0");
    LENGTH(64, "\x0f\x20\x04"); /* mov from cr: no SIB whatever mod says */
    LENGTH(64, "\x66\x0f\x3a\x0f\xc1\x08");
    LENGTH(32, "\x40"); /* inc eax */
    LENGTH(64, "\x40\x90");
    LENGTH(64, "\xe9\x00\x00\x00\x00");
    LENGTH(32, "\x66\xe9\x00\x00");
    LENGTH(64, "\x66\xe9\x00\x00\x00\x00"); /* Intel ignores 66 here */
}

static void test_near_branch_follows_vendor(void **state)
{
    struct emul_ctxt c = GUEST(64, "\x66\xe9\x00\x00\x00\x00");

    c.amd = true;
    assert_int_equal(emul_decode(&c), EMUL_OKAY);
    assert_int_equal(c.insn.length, 4);
}

static void test_undefined(void **state)
{
    UD(64, "\x06"); /* push es */
    UD(64, "\x60"); /* pusha */
    UD(64, "\x82\xc0\x01");
    UD(64, "\xea\x00\x00\x00\x00\x00\x00");
    UD(64, "\x0f\x0b");         /* ud2 */
    UD(64, "\x8d\xc0");         /* lea of a register */
    UD(64, "\x0f\xc7\xc8");     /* cmpxchg8b of a register */
    UD(64, "\xf0\x89\x03");     /* lock mov */
    UD(64, "\xf0\x01\xc3");     /* lock add to a register */
    UD(64, "\xf0\x03\x03");     /* lock add from memory */
    UD(64, "\xf0\x39\x03");     /* lock cmp */
    UD(64, "\xf0\x0f\xa3\x03"); /* lock bt */
    UD(64, "\xf0\x0f\xba\x23\x01");
    UD(64, "\xf0\x90");
    UD(64, "\xf0\x0f\x20\xc0");
    UD(64, "\xf0\xf6\x03\x01"); /* lock test */
    LENGTH(64, "\xf0\x0f\xb1\x03");
    LENGTH(64, "\xf0\x48\x0f\xc7\x0b");
    LENGTH(64, "\xf0\x87\x03");
    LENGTH(64, "\xf0\x0f\xba\x2b\x01");
}

static void test_unknown_is_not_undefined(void **state)
{
    static const char *const unknown[] = {
        "\xc5\xf8\x28\xc0\x90", "\xc4\xe2\x78\xf2\xc0", "\x62\xf1\x7c\x48\x28", "\x8f\xe8\x78\xc0",
        "\x0f\x0c\x90\x90\x90", "\x0f\x37\x90\x90",     "\xfe\xd0\x90",         "\xff\xf8\x90",
    };
    struct emul_ctxt c;
    unsigned int i;

    for (i = 0; i < ARRAY_SIZE(unknown); i++) {
        c = guest(64, 0x1000, unknown[i], 4);
        assert_int_equal(emul_decode(&c), EMUL_UNHANDLEABLE);
    }
    c = GUEST(64, "\x0f\x28\xc0"); /* movaps: a length and no more */
    assert_int_equal(emul_decode(&c), EMUL_OKAY);
    assert_int_equal(emul_insn_class(&c.insn), EMUL_CLASS_UNKNOWN);
    assert_int_equal(emul_execute(&c), EMUL_UNHANDLEABLE);
    assert_int_equal(regs.rip, 0x1000);
}

static void test_fifteen_bytes_and_no_more(void **state)
{
    char bytes[17];

    memset(bytes, 0x66, sizeof(bytes));
    bytes[14] = '\x90';
    expect_length(64, bytes, 15);
    bytes[14] = 0x66;
    bytes[15] = '\x90';
    expect_fault(64, bytes, 16, VEC_GP);
    memcpy(bytes + 10, "\x05\x01\x02\x03\x04\x05\x06", 7);
    expect_length(32, bytes, 13); /* add ax, imm16 */
    memcpy(bytes + 10, "\xc7\x80\x01\x02\x03\x04\x05", 7);
    expect_fault(32, bytes, 16, VEC_GP);
}

static void test_fetches_only_what_it_needs(void **state)
{
    struct emul_ctxt c = guest(64, 0x1ffe, "\x01\xc3", 2);

    fetch_limit = 0x2000; /* the next page faults, and is not needed */
    assert_int_equal(emul_decode(&c), EMUL_OKAY);
    assert_int_equal(c.insn.length, 2);
    assert_int_equal(fetches, 1);

    c = guest(64, 0x1ffe, "\x81\xc3\x01\x00\x00\x00", 6);
    fetch_limit = 0x2000;
    assert_int_equal(emul_decode(&c), EMUL_EXCEPTION);
    assert_int_equal(c.event.vector, VEC_PF);
    assert_int_equal(c.event.cr2, 0x2000);
    assert_int_equal(c.event.error, PFEC_I | PFEC_U);

    c = guest(64, 0x1ffe, "\x81\xc3\x01\x00\x00\x00", 6);
    assert_int_equal(emul_decode(&c), EMUL_OKAY);
    assert_int_equal(fetches, 2);

    c = GUEST(64, "\x01\xc3"); /* bytes already known are not fetched */
    memcpy(c.bytes, code, 2);
    c.fetched = 2;
    assert_int_equal(emul_decode(&c), EMUL_OKAY);
    assert_int_equal(fetches, 0);
}

static void test_fetch_stops_at_the_edge_of_canonical_space(void **state)
{
    struct emul_ctxt c = guest(64, 0x7ffffffffffe, "\x81\xc3\x01\x00", 4);

    assert_int_equal(emul_decode(&c), EMUL_EXCEPTION);
    assert_int_equal(c.event.vector, VEC_GP);
    c = guest(64, 0x7ffffffffffe, "\x01\xc3", 2);
    assert_int_equal(emul_decode(&c), EMUL_OKAY);
    c = guest(64, 0x800000000000, "\x90", 1);
    assert_int_equal(emul_decode(&c), EMUL_EXCEPTION);
}

static void test_fetch_stops_at_the_code_limit(void **state)
{
    struct emul_ctxt c = guest(32, 0x1000, "\x81\xc3\x01\x00\x00\x00", 6);

    segments[EMUL_SEG_CS].limit = 0x1004;
    assert_int_equal(emul_decode(&c), EMUL_EXCEPTION);
    assert_int_equal(c.event.vector, VEC_GP);
    c = guest(32, 0x1000, "\x81\xc3\x01\x00\x00\x00", 6);
    segments[EMUL_SEG_CS].limit = 0x1005;
    assert_int_equal(emul_decode(&c), EMUL_OKAY);

    c = guest(16, 0x21000, "\x90", 1); /* base and offset */
    segments[EMUL_SEG_CS].base = 0x20000;
    regs.rip = 0x1000;
    assert_int_equal(emul_decode(&c), EMUL_OKAY);
}

static struct emul_access access_of(struct emul_ctxt *c, enum emul_result expected)
{
    struct emul_access access;

    assert_int_equal(emul_decode(c), EMUL_OKAY);
    assert_int_equal(emul_insn_access(c, &access), expected);
    return access;
}

static void expect_access(struct emul_ctxt c, enum emul_access_kind kind, unsigned int bytes,
                          uint64_t linear)
{
    struct emul_access access;

    regs.rbx = 0x5000;
    regs.rsi = 0x6000;
    regs.rdi = 0x7000;
    regs.rcx = 3;
    access = access_of(&c, EMUL_OKAY);
    assert_int_equal(access.kind, kind);
    if (kind == EMUL_ACCESS_NONE)
        return;
    assert_int_equal(access.bytes, bytes);
    assert_int_equal(access.linear, linear);
}

static void test_access(void **state)
{
    expect_access(GUEST(64, "\x48\x89\x03"), EMUL_ACCESS_WRITE, 8, 0x5000);
    expect_access(GUEST(64, "\x88\x03"), EMUL_ACCESS_WRITE, 1, 0x5000);
    expect_access(GUEST(64, "\x48\x8b\x03"), EMUL_ACCESS_READ, 8, 0x5000);
    expect_access(GUEST(64, "\x48\x87\x03"), EMUL_ACCESS_RMW, 8, 0x5000);
    expect_access(GUEST(64, "\xf0\x48\x0f\xb1\x13"), EMUL_ACCESS_RMW, 8, 0x5000);
    expect_access(GUEST(64, "\xf0\x48\x0f\xc7\x0b"), EMUL_ACCESS_RMW, 16, 0x5000);
    expect_access(GUEST(32, "\x0f\xc7\x0b"), EMUL_ACCESS_RMW, 8, 0x5000);
    expect_access(GUEST(64, "\x39\x03"), EMUL_ACCESS_READ, 4, 0x5000);
    expect_access(GUEST(64, "\x66\xf7\x03\x01\x00"), EMUL_ACCESS_READ, 2, 0x5000);
    expect_access(GUEST(64, "\x0f\xb6\x03"), EMUL_ACCESS_READ, 1, 0x5000);
    expect_access(GUEST(64, "\x48\x63\x03"), EMUL_ACCESS_READ, 4, 0x5000);
    expect_access(GUEST(64, "\x8c\x03"), EMUL_ACCESS_WRITE, 2, 0x5000);
    expect_access(GUEST(64, "\xff\x33"), EMUL_ACCESS_READ, 8, 0x5000); /* push [rbx] */
    expect_access(GUEST(64, "\x8f\x03"), EMUL_ACCESS_WRITE, 8, 0x5000);
    expect_access(GUEST(64, "\xf7\x23"), EMUL_ACCESS_READ, 4, 0x5000); /* mul */
    expect_access(GUEST(64, "\x8d\x03"), EMUL_ACCESS_NONE, 0, 0);      /* lea */
    expect_access(GUEST(64, "\x0f\x1f\x03"), EMUL_ACCESS_NONE, 0, 0);
    expect_access(GUEST(64, "\x01\xc3"), EMUL_ACCESS_NONE, 0, 0);
    expect_access(GUEST(64, "\x0f\x01\x3b"), EMUL_ACCESS_NONE, 0, 0); /* invlpg */
    expect_access(GUEST(64, "\xf3\x48\xab"), EMUL_ACCESS_WRITE, 8, 0x7000);
    expect_access(GUEST(64, "\xf3\xa4"), EMUL_ACCESS_WRITE, 1, 0x7000);
    expect_access(GUEST(64, "\x26\x48\xad"), EMUL_ACCESS_READ, 8, 0x6000);
    expect_access(GUEST(32, "\x26\xad"), EMUL_ACCESS_READ, 4, 0x6000);
    expect_access(GUEST(64, "\x48\x0f\xab\x0b"), EMUL_ACCESS_RMW, 8, 0x5000); /* bts, bit 3 */
}

static void test_repetition_of_zero_is_no_access(void **state)
{
    struct emul_ctxt c = GUEST(64, "\xf3\xab");

    assert_int_equal(access_of(&c, EMUL_OKAY).kind, EMUL_ACCESS_NONE);
    regs.rcx = 1ull << 32;
    assert_int_equal(access_of(&c, EMUL_OKAY).kind, EMUL_ACCESS_WRITE);
    c = GUEST(64, "\x67\xf3\xab"); /* counts in ecx */
    regs.rcx = 1ull << 32;
    assert_int_equal(access_of(&c, EMUL_OKAY).kind, EMUL_ACCESS_NONE);
}

static void test_bit_offset_moves_the_operand(void **state)
{
    static const struct {
        const char *bytes;
        uint64_t bit, linear;
    } cases[] = {
        {"\x48\x0f\xab\x0b", 64, 0x5008},     {"\x48\x0f\xab\x0b", -1ull, 0x4ff8},
        {"\x48\x0f\xab\x0b", -64ull, 0x4ff8}, {"\x48\x0f\xab\x0b", -65ull, 0x4ff0},
        {"\x40\x0f\xab\x0b", 33, 0x5004},     {"\x40\x0f\xab\x0b", 0xffffffff, 0x4ffc},
        {"\x66\x0f\xab\x0b", 0x7fff, 0x5ffe}, {"\x66\x0f\xab\x0b", 0x8000, 0x4000},
    };
    struct emul_ctxt c;
    unsigned int i;

    for (i = 0; i < ARRAY_SIZE(cases); i++) {
        c = guest(64, 0x1000, cases[i].bytes, 4);
        regs.rbx = 0x5000;
        regs.rcx = cases[i].bit;
        assert_int_equal(access_of(&c, EMUL_OKAY).linear, cases[i].linear);
    }
}

static void test_addresses(void **state)
{
    struct emul_ctxt c = GUEST(64, "\x8b\x05\x00\x10\x00\x00"); /* [rip+0x1000] */

    assert_int_equal(access_of(&c, EMUL_OKAY).linear, 0x2006);
    c = GUEST(64, "\xc7\x05\x00\x10\x00\x00\x01\x02\x03\x04"); /* the immediate counts too */
    assert_int_equal(access_of(&c, EMUL_OKAY).linear, 0x200a);
    c = GUEST(32, "\x8b\x05\x00\x10\x00\x00");
    assert_int_equal(access_of(&c, EMUL_OKAY).linear, 0x1000);
    c = GUEST(64, "\x67\x8b\x43\xff");
    regs.rbx = 0xffffffff00000000;
    assert_int_equal(access_of(&c, EMUL_OKAY).linear, 0xffffffff);
    c = GUEST(64, "\x65\x8b\x03");
    segments[EMUL_SEG_GS].base = 0xffff800000000000;
    regs.rbx = 0x123;
    assert_int_equal(access_of(&c, EMUL_OKAY).linear, 0xffff800000000123);
    c = GUEST(64, "\x2e\x8b\x03"); /* cs is ignored */
    regs.rbx = 0x123;
    assert_int_equal(access_of(&c, EMUL_OKAY).linear, 0x123);
    c = GUEST(16, "\x8b\x42\xfe"); /* [bp+si-2] wraps in 64 KiB */
    regs.rbp = 0x10001;
    regs.rsi = 0xffff;
    segments[EMUL_SEG_SS].base = 0x30000;
    assert_int_equal(access_of(&c, EMUL_OKAY).linear, 0x3fffe);
    c = GUEST(64, "\x4a\x8b\x04\x63"); /* [rbx+r12*2] */
    regs.rbx = 1;
    regs.r12 = 8;
    assert_int_equal(access_of(&c, EMUL_OKAY).linear, 17);
    c = GUEST(64, "\x41\x8b\x04\x24"); /* [r12] */
    regs.r12 = 8;
    assert_int_equal(access_of(&c, EMUL_OKAY).linear, 8);
    c = GUEST(64, "\x41\x8b\x45\x00"); /* [r13] */
    regs.r13 = 8;
    assert_int_equal(access_of(&c, EMUL_OKAY).linear, 8);
}

static void expect_refusal(struct emul_ctxt *c, unsigned int vector)
{
    access_of(c, EMUL_EXCEPTION);
    assert_int_equal(c->event.vector, vector);
    assert_true(c->event.has_error);
    assert_int_equal(c->event.error, 0);
}

static void test_non_canonical(void **state)
{
    struct emul_ctxt c = GUEST(64, "\x8b\x03");

    regs.rbx = 0x7ffffffffffd; /* the last byte is beyond */
    expect_refusal(&c, VEC_GP);
    regs.rbx = 0x7ffffffffffc;
    access_of(&c, EMUL_OKAY);
    regs.rbx = 0xffff7fffffffffff;
    expect_refusal(&c, VEC_GP);
    c = GUEST(64, "\x8b\x45\x00"); /* rbp means ss */
    regs.rbp = 1ull << 63;
    expect_refusal(&c, VEC_SS);
    c = GUEST(64, "\x65\x8b\x45\x00");
    regs.rbp = 1ull << 63;
    expect_refusal(&c, VEC_GP);
    c = GUEST(64, "\x36\x8b\x03"); /* ss is ignored */
    regs.rbx = 1ull << 63;
    expect_refusal(&c, VEC_GP);
}

static void test_segments(void **state)
{
    struct emul_ctxt c = GUEST(32, "\x89\x03");

    segments[EMUL_SEG_DS].limit = 0xfff;
    regs.rbx = 0xffc;
    access_of(&c, EMUL_OKAY);
    regs.rbx = 0xffd;
    expect_refusal(&c, VEC_GP);
    regs.rbx = 0xffffffff;
    expect_refusal(&c, VEC_GP);
    segments[EMUL_SEG_DS] = (struct emul_segment){.attr = 0xc97, .limit = 0xfff}; /* down */
    regs.rbx = 0xfff;
    expect_refusal(&c, VEC_GP);
    regs.rbx = 0x1000;
    access_of(&c, EMUL_OKAY);
    segments[EMUL_SEG_DS] = (struct emul_segment){.attr = 0xc91, .limit = ~0u}; /* read only */
    expect_refusal(&c, VEC_GP);
    segments[EMUL_SEG_DS].attr = 0xc13; /* not present */
    expect_refusal(&c, VEC_GP);
    c = GUEST(32, "\x2e\x8b\x03");
    segments[EMUL_SEG_CS].attr = 0xc99; /* execute only */
    expect_refusal(&c, VEC_GP);
    c = GUEST(32, "\x8b\x45\x00");
    segments[EMUL_SEG_SS].limit = 0;
    expect_refusal(&c, VEC_SS);

    c = GUEST(16, "\x89\x07"); /* real mode: limits only */
    c.real = true;
    memset(segments, 0, sizeof(segments));
    segments[EMUL_SEG_CS].limit = segments[EMUL_SEG_DS].limit = 0xffff;
    segments[EMUL_SEG_DS].base = 0xffff0;
    regs.rbx = 0xfffe;
    assert_int_equal(access_of(&c, EMUL_OKAY).linear, 0x10ffee);
    regs.rbx = 0xffff;
    expect_refusal(&c, VEC_GP);
}

static void test_rex_counts_only_before_the_opcode(void **state)
{
    struct emul_ctxt c = GUEST(64, "\x48\x66\x89\x03");

    assert_int_equal(emul_decode(&c), EMUL_OKAY);
    assert_int_equal(c.insn.op_bytes, 2);
    c = GUEST(64, "\x66\x48\x89\x03");
    assert_int_equal(emul_decode(&c), EMUL_OKAY);
    assert_int_equal(c.insn.op_bytes, 8);
}

static void test_classes(void **state)
{
    static const struct {
        const char *bytes;
        enum emul_class class;
    } cases[] = {
        {"\xec\x90\x90", EMUL_CLASS_IO},      {"\x6f\x90\x90", EMUL_CLASS_IO},
        {"\xfa\x90\x90", EMUL_CLASS_SYSTEM},  {"\x0f\x20\xc0", EMUL_CLASS_SYSTEM},
        {"\x0f\x32\x90", EMUL_CLASS_SYSTEM},  {"\x0f\x01\xd1", EMUL_CLASS_SYSTEM},
        {"\x0f\x01\xf9", EMUL_CLASS_SYSTEM},  {"\x0f\xa2\x90", EMUL_CLASS_SYSTEM},
        {"\x0f\x09\x90", EMUL_CLASS_SYSTEM},  {"\x0f\x01\xf0", EMUL_CLASS_UNKNOWN}, /* lmsw */
        {"\x0f\x01\xf8", EMUL_CLASS_UNKNOWN}, {"\x0f\x33\x90", EMUL_CLASS_UNKNOWN}, /* rdpmc */
        {"\xa4\x90\x90", EMUL_CLASS_STRING},  {"\x74\x00\x90", EMUL_CLASS_FLOW},
        {"\x01\xc3\x90", EMUL_CLASS_PLAIN},   {"\x90\x90\x90", EMUL_CLASS_PLAIN},
    };
    struct emul_ctxt c;
    unsigned int i;

    for (i = 0; i < ARRAY_SIZE(cases); i++) {
        c = guest(64, 0x1000, cases[i].bytes, 3);
        assert_int_equal(emul_decode(&c), EMUL_OKAY);
        assert_int_equal(emul_insn_class(&c.insn), cases[i].class);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lengths_by_mode),
        cmocka_unit_test(test_near_branch_follows_vendor),
        cmocka_unit_test(test_undefined),
        cmocka_unit_test(test_unknown_is_not_undefined),
        cmocka_unit_test(test_fifteen_bytes_and_no_more),
        cmocka_unit_test(test_fetches_only_what_it_needs),
        cmocka_unit_test(test_fetch_stops_at_the_edge_of_canonical_space),
        cmocka_unit_test(test_fetch_stops_at_the_code_limit),
        cmocka_unit_test(test_access),
        cmocka_unit_test(test_repetition_of_zero_is_no_access),
        cmocka_unit_test(test_bit_offset_moves_the_operand),
        cmocka_unit_test(test_addresses),
        cmocka_unit_test(test_non_canonical),
        cmocka_unit_test(test_segments),
        cmocka_unit_test(test_rex_counts_only_before_the_opcode),
        cmocka_unit_test(test_classes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
