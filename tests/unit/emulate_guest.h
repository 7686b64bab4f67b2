/* SPDX-License-Identifier: MIT */
/* A guest for the emulator's tests: registers, a page of memory, and callbacks that write down what
 * they were asked and answer what the test wants. */
#pragma once

#include <stdio.h>
#include <string.h>

#include "emulate/emulate.h"
#include "lib/util.h"

#define RIP 0xffffffff81000000ull

/* One guest. Memory is 4 KiB at linear 0x5000; writing from `write_limit` on faults. */
static struct regs regs;
static uint8_t memory[4096];
static uint64_t write_limit;
static struct emul_ops ops;
static char trace[512]; /* what the callbacks were asked, in order */
static enum emul_result answer;
static unsigned int losses; /* cmpxchg: how many times to lose */

static void printf_like(1, 2) note(const char *fmt, ...)
{
    size_t n = strlen(trace);
    va_list args;

    va_start(args, fmt);
    vsnprintf(trace + n, sizeof(trace) - n, fmt, args);
    va_end(args);
}

static enum emul_result fetch(struct emul_ctxt *c, uint64_t linear, void *buf, unsigned int bytes)
{
    fail();
    return EMUL_UNHANDLEABLE;
}

static enum emul_result read(struct emul_ctxt *c, enum emul_seg seg, uint64_t linear, void *buf,
                             unsigned int bytes)
{
    if (linear < 0x5000 || linear + bytes > 0x6000)
        return emul_raise_pf(c, 0, linear);
    memcpy(buf, memory + linear - 0x5000, bytes);
    return EMUL_OKAY;
}

static enum emul_result probe(struct emul_ctxt *c, enum emul_seg seg, uint64_t linear,
                              unsigned int bytes)
{
    if (linear < 0x5000 || linear + bytes > write_limit)
        return emul_raise_pf(c, PFEC_W, linear);
    return EMUL_OKAY;
}

static enum emul_result write(struct emul_ctxt *c, enum emul_seg seg, uint64_t linear,
                              const void *buf, unsigned int bytes)
{
    enum emul_result rc = probe(c, seg, linear, bytes);

    if (rc == EMUL_OKAY)
        memcpy(memory + linear - 0x5000, buf, bytes);
    return rc;
}

/* A lost race: somebody added 0x100 meanwhile. */
static enum emul_result cmpxchg(struct emul_ctxt *c, enum emul_seg seg, uint64_t linear, void *old,
                                const void *new, unsigned int bytes, bool lock)
{
    uint8_t *at = memory + linear - 0x5000;
    uint64_t val;

    note(lock ? "locked " : "plain ");
    if (losses) {
        losses--;
        memcpy(&val, at, 8);
        val += 0x100;
        memcpy(at, &val, 8);
    }
    if (memcmp(at, old, bytes)) {
        memcpy(old, at, bytes);
        return EMUL_CMPXCHG_FAILED;
    }
    memcpy(at, new, bytes);
    return EMUL_OKAY;
}

static enum emul_result check_io(struct emul_ctxt *c, uint16_t port, unsigned int bytes)
{
    note("check %x/%u ", port, bytes);
    return port == 0x80 ? EMUL_OKAY : emul_raise(c, VEC_GP, 0);
}

static enum emul_result read_io(struct emul_ctxt *c, uint16_t port, unsigned int bytes,
                                uint32_t *val)
{
    note("in %x/%u ", port, bytes);
    *val = 0x87654321;
    return answer;
}

static enum emul_result write_io(struct emul_ctxt *c, uint16_t port, unsigned int bytes,
                                 uint32_t val)
{
    note("out %x/%u=%x ", port, bytes, val);
    return answer;
}

static enum emul_result read_segment(struct emul_ctxt *c, enum emul_seg seg,
                                     struct emul_segment *out)
{
    *out = (struct emul_segment){.sel = 0x10 + seg * 8, .attr = 0xc93, .limit = 0xfffff};
    return EMUL_OKAY;
}

static enum emul_result read_cr(struct emul_ctxt *c, unsigned int nr, uint64_t *val)
{
    note("cr%u? ", nr);
    *val = 0x1234567880050038 | CR0_TS;
    return answer;
}

static enum emul_result write_cr(struct emul_ctxt *c, unsigned int nr, uint64_t val)
{
    note("cr%u=%lx ", nr, val);
    return answer;
}

static enum emul_result read_dr(struct emul_ctxt *c, unsigned int nr, uint64_t *val)
{
    note("dr%u? ", nr);
    *val = 0xffff0ff0;
    return answer;
}

static enum emul_result write_dr(struct emul_ctxt *c, unsigned int nr, uint64_t val)
{
    note("dr%u=%lx ", nr, val);
    return answer;
}

static enum emul_result read_msr(struct emul_ctxt *c, uint32_t index, uint64_t *val)
{
    note("msr%x? ", index);
    *val = 0x1122334455667788;
    return answer;
}

static enum emul_result write_msr(struct emul_ctxt *c, uint32_t index, uint64_t val)
{
    note("msr%x=%lx ", index, val);
    return answer;
}

static enum emul_result xsetbv(struct emul_ctxt *c, uint32_t index, uint64_t val)
{
    note("xcr%x=%lx ", index, val);
    return answer;
}

static enum emul_result flush_cache(struct emul_ctxt *c, enum emul_cache_op op)
{
    note("cache%d ", op);
    return answer;
}

static enum emul_result invlpg(struct emul_ctxt *c, uint64_t linear)
{
    note("invlpg %lx ", linear);
    return answer;
}

static enum emul_result hlt(struct emul_ctxt *c)
{
    note("hlt ");
    return answer;
}

static enum emul_result set_if(struct emul_ctxt *c, bool on)
{
    note("if=%d ", on);
    return answer;
}

static enum emul_result rdtsc(struct emul_ctxt *c, uint64_t *tsc, uint32_t *aux)
{
    note("tsc ");
    *tsc = 0x1122334455667788;
    if (aux)
        *aux = 0xabcd;
    return answer;
}

static enum emul_result cpuid(struct emul_ctxt *c, uint32_t leaf, uint32_t sub,
                              struct emul_cpuid *out)
{
    note("cpuid %x,%x ", leaf, sub);
    *out = (struct emul_cpuid){1, 2, 3, 4};
    return answer;
}

static const struct emul_ops all_ops = {
    .fetch = fetch,
    .read = read,
    .write = write,
    .cmpxchg = cmpxchg,
    .probe_write = probe,
    .check_io = check_io,
    .read_io = read_io,
    .write_io = write_io,
    .read_segment = read_segment,
    .read_cr = read_cr,
    .write_cr = write_cr,
    .read_dr = read_dr,
    .write_dr = write_dr,
    .read_msr = read_msr,
    .write_msr = write_msr,
    .xsetbv = xsetbv,
    .flush_cache = flush_cache,
    .invlpg = invlpg,
    .hlt = hlt,
    .set_if = set_if,
    .rdtsc = rdtsc,
    .cpuid = cpuid,
};

static struct emul_ctxt guest(const char *bytes, unsigned int n)
{
    struct emul_ctxt c = {.regs = &regs, .ops = &ops, .bits = 64, .fetched = EMUL_MAX_INSN};
    unsigned int i;

    ops = all_ops;
    answer = EMUL_OKAY;
    losses = 0;
    trace[0] = '\0';
    write_limit = 0x6000;
    for (i = 0; i < sizeof(memory); i++)
        memory[i] = i * 7;
    regs = (struct regs){.rip = RIP, .rflags = RFLAGS_MBS | RFLAGS_RF};
    regs.rax = 0xaaaaaaaa00000001;
    regs.rbx = 0x5000;
    regs.rcx = 0xcccccccc00000010;
    regs.rdx = 0xdddddddd00000080;
    regs.rsi = 0x5100;
    regs.rdi = 0x5200;
    regs.rsp = 0x5800;
    memset(c.bytes, 0x90, sizeof(c.bytes));
    memcpy(c.bytes, bytes, n);
    return c;
}

#define GUEST(bytes) guest(bytes, sizeof(bytes) - 1)

static void retires(struct emul_ctxt *c, unsigned int length, const char *expected)
{
    assert_int_equal(emul_instruction(c), EMUL_OKAY);
    assert_string_equal(trace, expected);
    assert_int_equal(regs.rip, RIP + length);
    assert_int_equal(regs.rflags & RFLAGS_RF, 0);
    assert_false(c->retire.singlestep);
}

static void expect_exception(struct emul_ctxt *c, unsigned int vector)
{
    struct regs before = regs;

    assert_int_equal(emul_instruction(c), EMUL_EXCEPTION);
    assert_int_equal(c->event.vector, vector);
    assert_memory_equal(&regs, &before, sizeof(regs));
    assert_string_equal(trace, "");
}
