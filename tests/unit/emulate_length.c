/* SPDX-License-Identifier: MIT */
/*
 * The decoder's lengths against the processor's. An instruction is put at the end of a page with
 * nothing fetchable behind it and stepped once: with all its bytes it must not reach for the next
 * page, with one less it must. Registers hold non-canonical addresses, so what the instruction
 * does ends in a fault or in registers. Those that could harm this process are left out.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <cpuid.h>

#include "emulate/emulate.h"
#include "lib/util.h"

#include "emulate_native.h"

#define ROUNDS  30000
#define POISON  0x5a5a5a5a5a5a5a5aull
#define TRAP_DB 1

/* More places in the gregs of a signal frame. */
#define GREG_EFL 17
#define GREG_ERR 19
#define GREG_CR2 22

enum {
    IDLE,
    STEPPING
};

static volatile int phase;
static const uint8_t *volatile step_at;
static ucontext_t outside;

static struct {
    int vector;
    uint64_t error, cr2, rip;
} outcome;

/* First comes the ud2 of step(): go to the instruction. Then whatever it met: go back. */
static void step_signal(int sig, siginfo_t *info, void *uc)
{
    greg_t *regs = ((ucontext_t *)uc)->uc_mcontext.gregs;
    unsigned int i;

    if (phase == IDLE) {
        memcpy(outside.uc_mcontext.gregs, regs, sizeof(outside.uc_mcontext.gregs));
        for (i = 0; i < GREG_RIP; i++)
            regs[i] = POISON;
        regs[GREG_RIP] = (greg_t)step_at;
        regs[GREG_EFL] |= RFLAGS_TF;
        phase = STEPPING;
        return;
    }
    outcome.vector = regs[GREG_TRAPNO];
    outcome.error = regs[GREG_ERR];
    outcome.cr2 = regs[GREG_CR2];
    outcome.rip = regs[GREG_RIP];
    memcpy(regs, outside.uc_mcontext.gregs, sizeof(outside.uc_mcontext.gregs));
    regs[GREG_RIP] += 2; /* over the ud2 */
    phase = IDLE;
}

/* Steps the first `bytes` bytes; true if the processor wanted more. */
static bool wants_more(const uint8_t *code, unsigned int bytes)
{
    uint8_t *end = native_page + PAGE_SIZE;

    memcpy(end - bytes, code, bytes);
    step_at = end - bytes;
    __asm__ volatile("ud2" ::
                         : "memory", "cc", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6",
                           "xmm7", "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14",
                           "xmm15");
    return outcome.vector == VEC_PF && (outcome.error & PFEC_I) && outcome.cr2 == (uint64_t)end &&
           outcome.rip == (uint64_t)step_at;
}

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

/* Random prefixes, an opcode of one of the maps, random bytes behind. */
static void generate(uint8_t *code)
{
    static const uint8_t prefixes[] = {0x66, 0x67, 0xf2, 0xf3, 0x2e, 0x65, 0xf0};
    unsigned int len = 0, i;

    while (random_below(3) == 0 && len < 4)
        code[len++] = prefixes[random_below(ARRAY_SIZE(prefixes) - random_below(2))];
    if (random_below(3) == 0)
        code[len++] = 0x40 | random_below(16);
    if (random_below(2))
        code[len++] = 0x0f;
    for (i = len; i < EMUL_MAX_INSN; i++)
        code[i] = random_64() >> 32;
}

/* What must not run here: system calls, breakpoints, segment loads, WRFSBASE and its like, and
 * all of 0f 01 on registers (it has wrpkru, clzero and mwaitx). */
static bool harmful(const struct emul_insn *insn)
{
    bool reg = insn->has_modrm && !insn->has_mem;

    if (insn->map == EMUL_MAP_1)
        return insn->opcode == 0x8e || insn->opcode == 0xcc || insn->opcode == 0xcd ||
               insn->opcode == 0xf1;
    if (insn->map != EMUL_MAP_0F)
        return false;
    return insn->opcode == 0x05 || insn->opcode == 0x34 || (insn->opcode == 0x01 && reg) ||
           (insn->opcode == 0xae && reg && insn->rep);
}

static void report(const uint8_t *code, const struct emul_insn *insn, const char *what)
{
    unsigned int i;

    fprintf(stderr, "%s, length %u:", what, insn->length);
    for (i = 0; i < EMUL_MAX_INSN; i++)
        fprintf(stderr, " %02x", code[i]);
    fprintf(stderr, "\n  vector %d at %#lx\n", outcome.vector, outcome.rip);
    fail();
}

static bool is_amd(void)
{
    unsigned int a, b = 0, c, d;

    __get_cpuid(0, &a, &b, &c, &d);
    return b == signature_AMD_ebx;
}

/* What depends on a feature, or becomes #UD only when executed: segment registers 6 and 7. */
static bool undefined_later(const struct emul_insn *insn)
{
    return insn->map == EMUL_MAP_0F38 || (insn->map == EMUL_MAP_1 && insn->opcode == 0x8c);
}

/* Returns whether anything could be compared. */
static bool try_one(bool amd)
{
    struct regs regs = {.rip = (uint64_t)native_page};
    struct emul_ops ops = {0};
    struct emul_ctxt c = {
        .regs = &regs, .ops = &ops, .bits = 64, .amd = amd, .fetched = EMUL_MAX_INSN};
    enum emul_result rc;

    generate(c.bytes);
    rc = emul_decode(&c);
    if (rc == EMUL_UNHANDLEABLE || harmful(&c.insn))
        return false;
    if (rc == EMUL_EXCEPTION) {
        /* those known for their length only may meet another fault before they mind a lock */
        if (c.event.vector == VEC_UD &&
            (!c.insn.lock || emul_insn_class(&c.insn) != EMUL_CLASS_UNKNOWN)) {
            wants_more(c.bytes, EMUL_MAX_INSN);
            if (outcome.vector != VEC_UD)
                report(c.bytes, &c.insn, "#UD, but the processor knows it");
        }
        return false;
    }
    if (wants_more(c.bytes, c.insn.length))
        report(c.bytes, &c.insn, "too short");
    if (outcome.vector == VEC_UD) {
        if (emul_insn_class(&c.insn) == EMUL_CLASS_PLAIN && !undefined_later(&c.insn))
            report(c.bytes, &c.insn, "the processor does not know it");
        return false;
    }
    if (c.insn.length > 1 && !wants_more(c.bytes, c.insn.length - 1))
        report(c.bytes, &c.insn, "too long");
    return true;
}

static void test_lengths(void **state)
{
    unsigned int i, compared = 0;
    bool amd = is_amd();

    assert_int_equal(native_init(), 0);
    native_catch(step_signal);
    for (i = 0; i < ROUNDS; i++)
        compared += try_one(amd);
    assert_true(compared > ROUNDS / 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_lengths)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
