/* SPDX-License-Identifier: MIT */
/*
 * Arbitrary bytes as an instruction in an arbitrary mode, with arbitrary registers and callbacks
 * that fail at arbitrary times. Checked: what the emulator promises its callbacks (sizes, canonical
 * addresses, fetches within a page) and its caller (nothing changes unless the instruction retires,
 * strings keep whole elements, the access foretold is the access done).
 */
#include <stdlib.h>
#include <string.h>

#include "emulate/emulate.h"
#include "lib/util.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The input: a head, then the instruction. */
struct head {
    uint8_t mode; /* bits 0-1: 16, 32, 64, 64; then real, amd, high, TF */
    uint8_t cpl_iopl;
    uint8_t missing;  /* the callbacks that are NULL */
    uint8_t failures; /* one bit a callback: shifted out at each */
    uint32_t flags;
    uint64_t regs[16];
};

static struct {
    uint8_t failures;
    uint8_t insn[EMUL_MAX_INSN];
    uint64_t rip;
    uint64_t noise;
    unsigned int reads, writes, elements;
} run;

#define REQUIRE(x)   \
    do {             \
        if (!(x))    \
            abort(); \
    } while (0)

static enum emul_result outcome(struct emul_ctxt *c)
{
    bool fails = run.failures & 1;

    run.failures >>= 1;
    if (!fails)
        return EMUL_OKAY;
    if (run.failures & 1)
        return emul_raise_pf(c, PFEC_W, run.noise);
    return run.failures & 2 ? EMUL_RETRY : EMUL_UNHANDLEABLE;
}

static uint64_t noise(void)
{
    run.noise = run.noise * 0x5851f42d4c957f2d + 1;
    return run.noise >> (run.noise & 31);
}

static void check_address(const struct emul_ctxt *c, enum emul_seg seg, uint64_t linear,
                          unsigned int bytes)
{
    uint64_t last = linear + bytes - 1;

    REQUIRE(seg <= EMUL_SEG_GS);
    REQUIRE(bytes >= 1 && bytes <= 16 && (bytes & (bytes - 1)) == 0);
    if (c->bits == 64)
        REQUIRE((linear + (1ull << 47)) >> 48 == 0 && (last + (1ull << 47)) >> 48 == 0);
    else
        REQUIRE(last <= 0xffffffff);
}

static enum emul_result fetch(struct emul_ctxt *c, uint64_t linear, void *buf, unsigned int bytes)
{
    REQUIRE(bytes >= 1 && c->fetched + bytes <= EMUL_MAX_INSN);
    REQUIRE((linear & PAGE_MASK) == ((linear + bytes - 1) & PAGE_MASK));
    memcpy(buf, run.insn + c->fetched, bytes);
    return outcome(c);
}

static enum emul_result read(struct emul_ctxt *c, enum emul_seg seg, uint64_t linear, void *buf,
                             unsigned int bytes)
{
    unsigned int i;

    check_address(c, seg, linear, bytes);
    run.reads++;
    for (i = 0; i < bytes; i++)
        ((uint8_t *)buf)[i] = noise();
    return outcome(c);
}

static volatile uint8_t sum; /* of every byte written: they must be readable */

static enum emul_result write(struct emul_ctxt *c, enum emul_seg seg, uint64_t linear,
                              const void *buf, unsigned int bytes)
{
    enum emul_result rc = outcome(c);
    unsigned int i;

    check_address(c, seg, linear, bytes);
    for (i = 0; i < bytes; i++)
        sum += ((const uint8_t *)buf)[i];
    run.writes += rc == EMUL_OKAY;
    return rc;
}

static enum emul_result cmpxchg(struct emul_ctxt *c, enum emul_seg seg, uint64_t linear, void *old,
                                const void *new, unsigned int bytes, bool lock)
{
    if ((noise() & 3) == 0) {
        *(uint8_t *)old ^= 1 + (noise() & 1);
        return EMUL_CMPXCHG_FAILED;
    }
    return write(c, seg, linear, new, bytes);
}

static enum emul_result io_check(struct emul_ctxt *c, uint16_t port, unsigned int bytes)
{
    REQUIRE(bytes == 1 || bytes == 2 || bytes == 4);
    return outcome(c);
}

static enum emul_result io_read(struct emul_ctxt *c, uint16_t port, unsigned int bytes,
                                uint32_t *val)
{
    *val = noise();
    return io_check(c, port, bytes);
}

static enum emul_result io_write(struct emul_ctxt *c, uint16_t port, unsigned int bytes,
                                 uint32_t val)
{
    REQUIRE(bytes == 4 || val >> (8 * bytes) == 0);
    return io_check(c, port, bytes);
}

static enum emul_result segment(struct emul_ctxt *c, enum emul_seg seg, struct emul_segment *out)
{
    REQUIRE(seg <= EMUL_SEG_GS);
    *out = (struct emul_segment){.sel = seg, .attr = 0x0c93, .limit = ~0u};
    if (seg == EMUL_SEG_CS || noise() & 1)
        return EMUL_OKAY;
    out->attr = noise();
    out->limit = noise();
    out->base = c->bits == 64 ? noise() : (uint32_t)noise();
    return EMUL_OKAY;
}

static enum emul_result read_number(struct emul_ctxt *c, unsigned int nr, uint64_t *val)
{
    REQUIRE(nr <= 8);
    *val = noise();
    return outcome(c);
}

static enum emul_result write_number(struct emul_ctxt *c, unsigned int nr, uint64_t val)
{
    REQUIRE(nr <= 8);
    return outcome(c);
}

static enum emul_result read_msr(struct emul_ctxt *c, uint32_t index, uint64_t *val)
{
    *val = noise();
    return outcome(c);
}

static enum emul_result write_msr(struct emul_ctxt *c, uint32_t index, uint64_t val)
{
    return outcome(c);
}

static enum emul_result flush_cache(struct emul_ctxt *c, enum emul_cache_op op)
{
    REQUIRE(c->cpl == 0);
    return outcome(c);
}

static enum emul_result set_if(struct emul_ctxt *c, bool on)
{
    REQUIRE(c->cpl <= c->iopl);
    return outcome(c);
}

static enum emul_result rdtsc(struct emul_ctxt *c, uint64_t *tsc, uint32_t *aux)
{
    *tsc = noise();
    return outcome(c);
}

static enum emul_result cpuid(struct emul_ctxt *c, uint32_t leaf, uint32_t sub,
                              struct emul_cpuid *out)
{
    *out = (struct emul_cpuid){.eax = noise()};
    return outcome(c);
}

static struct emul_ops choose_ops(uint8_t missing)
{
    return (struct emul_ops){
        .fetch = fetch,
        .read = missing & 1 ? NULL : read,
        .write = missing & 2 ? NULL : write,
        .cmpxchg = missing & 4 ? NULL : cmpxchg,
        .check_io = missing & 8 ? NULL : io_check,
        .read_io = missing & 16 ? NULL : io_read,
        .write_io = missing & 16 ? NULL : io_write,
        .read_segment = missing & 32 ? NULL : segment,
        .read_cr = missing & 64 ? NULL : read_number,
        .write_cr = missing & 64 ? NULL : write_number,
        .read_dr = missing & 64 ? NULL : read_number,
        .write_dr = missing & 64 ? NULL : write_number,
        .read_msr = missing & 64 ? NULL : read_msr,
        .write_msr = missing & 64 ? NULL : write_msr,
        .xsetbv = write_msr,
        .flush_cache = missing & 64 ? NULL : flush_cache,
        .set_if = missing & 64 ? NULL : set_if,
        .rdtsc = missing & 128 ? NULL : rdtsc,
        .cpuid = missing & 128 ? NULL : cpuid,
    };
}

static bool is_string(const struct emul_insn *insn)
{
    return emul_insn_class(insn) == EMUL_CLASS_STRING ||
           (insn->map == EMUL_MAP_1 && insn->opcode >= 0x6c && insn->opcode <= 0x6f);
}

/* Nothing but what finished elements of a string may have moved. */
static void check_unchanged(const struct emul_ctxt *c, const struct regs *before)
{
    struct regs now = *c->regs;

    if (is_string(&c->insn) && c->retire.reps) {
        now.rcx = before->rcx;
        now.rsi = before->rsi;
        now.rdi = before->rdi;
        now.rax = before->rax;
    } else {
        REQUIRE(run.writes == 0);
    }
    REQUIRE(!memcmp(&now, before, sizeof(now)));
}

static void check_result(const struct emul_ctxt *c, enum emul_result rc, const struct regs *before)
{
    uint64_t next = before->rip + c->insn.length;

    REQUIRE(rc <= EMUL_RETRY);
    REQUIRE(c->retire.reps <= EMUL_DEFAULT_REPS);
    if (rc == EMUL_EXCEPTION)
        REQUIRE(c->event.vector < 32 &&
                c->event.has_error == (VECTORS_WITH_ERROR >> c->event.vector & 1));
    if (rc != EMUL_OKAY) {
        check_unchanged(c, before);
        return;
    }
    REQUIRE(!(c->regs->rflags & RFLAGS_RF));
    REQUIRE(((c->regs->rflags ^ before->rflags) & (RFLAGS_IF | RFLAGS_IOPL | RFLAGS_TF)) == 0);
    if (emul_insn_class(&c->insn) != EMUL_CLASS_FLOW && !is_string(&c->insn))
        REQUIRE(c->regs->rip == (c->bits == 64 ? next : (uint32_t)next));
}

static void execute(struct emul_ctxt *c, const struct regs *before)
{
    struct emul_access access = {0};
    enum emul_result foretold, rc;

    foretold = emul_insn_access(c, &access);
    REQUIRE(foretold != EMUL_CMPXCHG_FAILED);
    run.reads = run.writes = 0;
    rc = emul_execute(c);
    check_result(c, rc, before);
    if (foretold != EMUL_OKAY || emul_insn_class(&c->insn) == EMUL_CLASS_FLOW)
        return;
    if (access.kind == EMUL_ACCESS_NONE)
        REQUIRE(!run.reads && !run.writes);
    if (access.kind == EMUL_ACCESS_READ)
        REQUIRE(!run.writes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint8_t bits[4] = {16, 32, 64, 64};
    struct emul_ops ops;
    struct regs regs = {0}, before;
    struct head head;
    struct emul_ctxt c;
    unsigned int i;

    if (size < sizeof(head) + 1)
        return 0;
    memcpy(&head, data, sizeof(head));
    memset(&run, 0, sizeof(run));
    memcpy(run.insn, data + sizeof(head), min(size - sizeof(head), sizeof(run.insn)));
    run.failures = head.failures;
    run.noise = head.regs[0] ^ head.flags;
    for (i = 0; i < 16; i++)
        *regs_gpr(&regs, i) = head.regs[i];
    regs.rflags = head.flags | RFLAGS_MBS;
    regs.rip = head.mode & 32 ? 0xffffffff80000ff8 : 0xff8;
    ops = choose_ops(head.missing);
    c = (struct emul_ctxt){.regs = &regs,
                           .ops = &ops,
                           .bits = bits[head.mode & 3],
                           .cpl = head.cpl_iopl & 3,
                           .iopl = head.cpl_iopl >> 2 & 3,
                           .real = (head.mode & 3) < 2 && head.mode & 4,
                           .amd = head.mode & 8};
    before = regs;
    if (emul_decode(&c) == EMUL_OKAY) {
        REQUIRE(c.insn.length >= 1 && c.insn.length <= EMUL_MAX_INSN);
        REQUIRE(c.insn.length <= c.fetched);
        execute(&c, &before);
    } else {
        REQUIRE(!memcmp(&regs, &before, sizeof(regs)));
    }
    return 0;
}
