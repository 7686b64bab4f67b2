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

#include "emulate_trial.h"

#define ROUNDS 400 /* random cases per opcode, width and form */

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

/* Asked in 32-bit mode only: flat, as this process has them. */
static enum emul_result flat_segment(struct emul_ctxt *c, enum emul_seg seg,
                                     struct emul_segment *out)
{
    *out = (struct emul_segment){.attr = seg == EMUL_SEG_CS ? 0xcfb : 0xcf3, .limit = ~0u};
    return EMUL_OKAY;
}

static const struct emul_ops ops = {
    .read_segment = flat_segment,
    .fetch = fetch_code,
    .read = read_arena,
    .write = write_arena,
    .cmpxchg = cmpxchg_arena,
};

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

    /* the upper halves do not survive 32-bit mode */
    for (i = 0; i < registers(t); i++) {
        val = *regs_gpr((struct regs *)regs, i);
        if (t->bits == 64 ? val != native->gpr[i] : (uint32_t)val != (uint32_t)native->gpr[i])
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
    uint64_t rip = t->bits == 64 ? native_rip() : native_rip_32();
    struct regs regs = {.rip = rip, .rflags = t->state.rflags};
    struct emul_ctxt c = {.regs = &regs, .ops = &ops, .bits = t->bits};
    enum emul_result rc;
    unsigned int i;
    int vector;

    if (t->skip || scans_nothing(t))
        return;
    for (i = 0; i < 16; i++)
        *regs_gpr(&regs, i) = t->state.gpr[i];
    memcpy(arena_before, arena, ARENA_SIZE);
    vector = (t->bits == 64 ? native_run : native_run_32)(t->code, t->len, &native);
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
        if (regs.rip != rip + t->len)
            report(t, "length", regs.rip - rip, t->len);
    }
    compare(t, &native, &regs);
}

static void run_sample(const struct sample *s, unsigned int bits)
{
    static const unsigned int widths[] = {1, 2, 4, 8};
    unsigned int i, round;
    struct trial t;

    for (i = 0; i < ARRAY_SIZE(widths); i++) {
        if ((widths[i] == 1) != !!(s->kind & K_ONLY8) && !(s->kind & K_BYTE && widths[i] == 1))
            continue;
        if ((s->kind & K_NO16 && widths[i] == 2) || (widths[i] == 8 && bits == 32) ||
            (s->kind & K_STACK && widths[i] == 4 && bits == 64))
            continue;
        for (round = 0; round < ROUNDS; round++) {
            t = (struct trial){.sample = s, .bits = bits, .width = widths[i]};
            t.mem = !(s->kind & (K_NO_MODRM | K_REG_ONLY)) && (s->kind & K_MEM_ONLY || round & 1);
            t.lock = t.mem && s->kind & K_LOCK && round & 2;
            t.addr32 =
                (t.mem || s->kind & K_STRING) && !(s->kind & K_STACK) && bits == 64 && round & 4;
            build(&t);
            run_trial(&t);
        }
    }
}

static void run_conditions(unsigned int bits)
{
    struct sample s;
    unsigned int cc;

    for (cc = 0; cc < 16; cc++) {
        s = (struct sample){"cmovcc", 0x0f40 + cc, -1, K_NONE, 0};
        run_sample(&s, bits);
        s = (struct sample){"setcc", 0x0f90 + cc, -1, K_ONLY8, 0};
        run_sample(&s, bits);
    }
}

static void test_64_bit(void **state)
{
    unsigned int i;

    native_catch(native_fault);
    for (i = 0; i < ARRAY_SIZE(samples); i++)
        run_sample(&samples[i], 64);
    run_conditions(64);
}

/* movsxd is of 64-bit mode; inc and dec have short forms here instead. */
static void test_32_bit(void **state)
{
    static const struct sample more[] = {
        {"inc", 0x43, -1, K_NO_MODRM, 0},
        {"dec", 0x4e, -1, K_NO_MODRM, 0},
        {"add", 0x82, 0, K_ONLY8 | K_LOCK | K_IMM8, 0},
    };
    unsigned int i;

    native_catch(native_fault);
    for (i = 0; i < ARRAY_SIZE(samples); i++)
        if (samples[i].opcode != 0x63)
            run_sample(&samples[i], 32);
    for (i = 0; i < ARRAY_SIZE(more); i++)
        run_sample(&more[i], 32);
    run_conditions(32);
}

static int setup(void **state)
{
    if (native_init() || native_init_32())
        return -1;
    arena = mmap(NULL, ARENA_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT,
                 -1, 0);
    return arena == MAP_FAILED ? -1 : 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_64_bit),
        cmocka_unit_test(test_32_bit),
    };

    return cmocka_run_group_tests(tests, setup, NULL);
}
