/* SPDX-License-Identifier: MIT */
/*
 * The x86 decoder and executor: takes the instruction at rip apart and carries it out against
 * callbacks of the caller, who decides what memory, ports and control registers are.
 *
 * It keeps no state of its own and touches nothing but the registers it was given. Protocol:
 *
 *     struct emul_ctxt c = {.regs = regs, .ops = &ops, .bits = 64};
 *     rc = emul_decode(&c);            what is it? how long? see c.insn, emul_insn_access()
 *     rc = emul_execute(&c);           do it: only after emul_decode() said EMUL_OKAY
 *
 * Registers, flags and rip change only when the instruction retires (EMUL_OKAY); a repeated string
 * instruction also keeps the iterations that are complete, as on the processor.
 * A callback that is NULL makes every instruction that needs it EMUL_UNHANDLEABLE.
 *
 * Intel SDM vol. 2 (encoding: chapter 2, appendix A; each instruction), AMD APM vol. 3.
 */
#pragma once

#include "hw/regs.h"
#include "lib/types.h"

enum emul_result {
    EMUL_OKAY,          /* retired; registers are updated */
    EMUL_UNHANDLEABLE,  /* not known here, or a callback is missing or refused; nothing changed */
    EMUL_EXCEPTION,     /* inject ctxt->event; nothing changed but finished string iterations */
    EMUL_RETRY,         /* run the guest at the same rip again: a string's budget was used up,
                           or a callback asked for it */
    EMUL_CMPXCHG_FAILED /* from the cmpxchg callback only: memory held another value */
};

/* Segment registers in encoding order. */
enum emul_seg {
    EMUL_SEG_ES,
    EMUL_SEG_CS,
    EMUL_SEG_SS,
    EMUL_SEG_DS,
    EMUL_SEG_FS,
    EMUL_SEG_GS,
};

/* General registers the executor uses by name, in encoding order. */
enum emul_gpr {
    EMUL_RAX,
    EMUL_RCX,
    EMUL_RDX,
    EMUL_RBX,
    EMUL_RSP,
    EMUL_RBP,
    EMUL_RSI,
    EMUL_RDI,
};

/* A segment as read_segment gives it. attr is the descriptor's bits 40-47 and 52-55, packed into
 * 12 bits as AMD's VMCB holds them (APM vol. 2, 15.5.1 and appendix B). */
struct emul_segment {
    uint16_t sel;
    uint16_t attr;
    uint32_t limit; /* in bytes, granularity applied */
    uint64_t base;
};

#define EMUL_SEG_ATTR_TYPE 0x00f
#define EMUL_SEG_ATTR_S    0x010
#define EMUL_SEG_ATTR_DPL  0x060
#define EMUL_SEG_ATTR_P    0x080
#define EMUL_SEG_ATTR_L    0x200
#define EMUL_SEG_ATTR_DB   0x400
#define EMUL_SEG_ATTR_G    0x800

/* Results of CPUID. */
struct emul_cpuid {
    uint32_t eax, ebx, ecx, edx;
};

enum emul_cache_op {
    EMUL_INVD,
    EMUL_WBINVD,
    EMUL_WBNOINVD,
};

struct emul_ctxt;

/*
 * What the caller supplies. Addresses are linear, already checked for canonical form and segment
 * limits. Each callback returns EMUL_OKAY, EMUL_UNHANDLEABLE, EMUL_RETRY, or EMUL_EXCEPTION after
 * emul_raise(). Accesses can cross a page; a callback that fails must have changed nothing.
 */
struct emul_ops {
    /* Instruction bytes: never across a page boundary, at most 15. */
    enum emul_result (*fetch)(struct emul_ctxt *c, uint64_t linear, void *buf, unsigned int bytes);

    /* Memory, 1 to 16 bytes. */
    enum emul_result (*read)(struct emul_ctxt *c, enum emul_seg seg, uint64_t linear, void *buf,
                             unsigned int bytes);
    enum emul_result (*write)(struct emul_ctxt *c, enum emul_seg seg, uint64_t linear,
                              const void *buf, unsigned int bytes);

    /*
     * The writing half of every read-modify-write: put `new` if memory still holds `old`, else put
     * what it holds into `old` and return EMUL_CMPXCHG_FAILED. `lock` says whether the instruction
     * asked for atomicity (lock prefix, xchg); without it a plain write is right too. If NULL,
     * unlocked instructions use write(), locked ones are unhandleable.
     */
    enum emul_result (*cmpxchg)(struct emul_ctxt *c, enum emul_seg seg, uint64_t linear, void *old,
                                const void *new, unsigned int bytes, bool lock);

    /* Optional: ins asks before it reads the port whether its memory can be written. */
    enum emul_result (*probe_write)(struct emul_ctxt *c, enum emul_seg seg, uint64_t linear,
                                    unsigned int bytes);

    /* Ports, 1, 2 or 4 bytes. check_io is asked only when cpl > iopl (the TSS bitmap); NULL
     * there means #GP. */
    enum emul_result (*check_io)(struct emul_ctxt *c, uint16_t port, unsigned int bytes);
    enum emul_result (*read_io)(struct emul_ctxt *c, uint16_t port, unsigned int bytes,
                                uint32_t *val);
    enum emul_result (*write_io)(struct emul_ctxt *c, uint16_t port, unsigned int bytes,
                                 uint32_t val);

    /* Asked only for fs and gs in 64-bit mode, for every segment otherwise. */
    enum emul_result (*read_segment)(struct emul_ctxt *c, enum emul_seg seg,
                                     struct emul_segment *out);

    /* Privileged state: cpl 0 was checked (cli and sti: cpl <= iopl). */
    enum emul_result (*read_cr)(struct emul_ctxt *c, unsigned int nr, uint64_t *val);
    enum emul_result (*write_cr)(struct emul_ctxt *c, unsigned int nr, uint64_t val);
    enum emul_result (*read_dr)(struct emul_ctxt *c, unsigned int nr, uint64_t *val);
    enum emul_result (*write_dr)(struct emul_ctxt *c, unsigned int nr, uint64_t val);
    enum emul_result (*read_msr)(struct emul_ctxt *c, uint32_t index, uint64_t *val);
    enum emul_result (*write_msr)(struct emul_ctxt *c, uint32_t index, uint64_t val);
    enum emul_result (*xsetbv)(struct emul_ctxt *c, uint32_t index, uint64_t val);
    enum emul_result (*flush_cache)(struct emul_ctxt *c, enum emul_cache_op op);
    enum emul_result (*invlpg)(struct emul_ctxt *c, uint64_t linear);
    enum emul_result (*hlt)(struct emul_ctxt *c);
    enum emul_result (*set_if)(struct emul_ctxt *c, bool on); /* cli, sti: changes IF itself */

    /* At any cpl: the callback checks CR4.TSD and CPUID faulting. tsc_aux is NULL for rdtsc. */
    enum emul_result (*rdtsc)(struct emul_ctxt *c, uint64_t *tsc, uint32_t *tsc_aux);
    enum emul_result (*cpuid)(struct emul_ctxt *c, uint32_t leaf, uint32_t subleaf,
                              struct emul_cpuid *out);
};

enum emul_map {
    EMUL_MAP_1,    /* one byte */
    EMUL_MAP_0F,   /* 0f xx */
    EMUL_MAP_0F38, /* 0f 38 xx */
    EMUL_MAP_0F3A, /* 0f 3a xx */
};

#define EMUL_NO_REG 0xff

/* What the tables say of an opcode; private to src/emulate. */
struct emul_opcode {
    uint8_t dst, src, imm, exec;
    uint16_t flags;
};

/* A decoded instruction. */
struct emul_insn {
    uint8_t length;     /* bytes, 1 to 15 */
    uint8_t map;        /* enum emul_map */
    uint8_t opcode;     /* last opcode byte */
    uint8_t op_bytes;   /* operand size: 1, 2, 4, 8 (byte forms: 1) */
    uint8_t addr_bytes; /* address size: 2, 4, 8 */

    uint8_t rex;  /* 0: none */
    uint8_t rep;  /* 0, 0xf2 or 0xf3, the last given */
    bool lock;    /* lock prefix, valid here */
    bool opsize;  /* 66 given */
    uint8_t seg;  /* enum emul_seg of the memory operand, override applied */
    bool seg_set; /* an override was given and counts */

    bool has_modrm;
    bool has_mem;  /* the ModRM operand is in memory */
    uint8_t modrm; /* the raw byte */
    uint8_t reg;   /* ModRM.reg with REX.R: 0 to 15 */
    uint8_t rm;    /* ModRM.rm with REX.B: 0 to 15; a register unless has_mem */
    uint8_t base;  /* of the memory operand, or EMUL_NO_REG */
    uint8_t index; /* likewise */
    uint8_t scale; /* shift: 0 to 3 */
    bool rip_relative;
    int64_t disp;  /* sign-extended; the whole offset of moffs forms */
    uint64_t imm;  /* immediate, extended as the instruction wants; branch displacement */
    uint64_t imm2; /* enter's level, a far pointer's selector */

    struct emul_opcode op;
};

struct emul_event {
    uint8_t vector;
    bool has_error;
    uint32_t error;
    uint64_t cr2; /* for VEC_PF */
};

/* What the caller has to do after EMUL_OKAY, besides resuming the guest. RF is already cleared. */
struct emul_retire {
    uint64_t rip;    /* the next instruction; already in regs */
    bool singlestep; /* TF was set: raise #DB with DR6.BS */
    bool sti_shadow; /* interrupts stay off for one instruction */
    uint32_t reps;   /* string iterations done by this call */
};

#define EMUL_MAX_INSN     15
#define EMUL_DEFAULT_REPS 256

struct emul_ctxt {
    /* Set by the caller before emul_decode(). */
    struct regs *regs;
    const struct emul_ops *ops;
    void *data;        /* the caller's own */
    uint8_t bits;      /* code segment: 16, 32 or 64 */
    uint8_t cpl;       /* privilege to check against (virtual, for PV) */
    uint8_t iopl;      /* likewise */
    bool real;         /* real or virtual-8086 mode: selectors without descriptors */
    bool amd;          /* follow AMD where the vendors differ (66 on near branches) */
    uint32_t max_reps; /* string iterations per call; 0 means EMUL_DEFAULT_REPS */

    /* Bytes at rip already known (a decode assist), or none; completed through ops->fetch. */
    uint8_t fetched;
    uint8_t bytes[EMUL_MAX_INSN];

    /* Results. */
    struct emul_insn insn;
    struct emul_event event;
    struct emul_retire retire;
};

/* What an instruction does with its (main) memory operand, and how many bytes of it. */
enum emul_access_kind {
    EMUL_ACCESS_NONE,
    EMUL_ACCESS_READ,
    EMUL_ACCESS_WRITE, /* without reading */
    EMUL_ACCESS_RMW,
};

struct emul_access {
    enum emul_access_kind kind;
    enum emul_seg seg;
    uint8_t bytes;
    uint64_t linear;
};

/* What an instruction is for: lets a caller admit only what it means to emulate. */
enum emul_class {
    EMUL_CLASS_UNKNOWN, /* decoded for its length; emul_execute() says EMUL_UNHANDLEABLE */
    EMUL_CLASS_PLAIN,   /* registers and memory */
    EMUL_CLASS_FLOW,    /* branches and the stack */
    EMUL_CLASS_STRING,  /* movs, stos, lods, scas, cmps */
    EMUL_CLASS_IO,      /* in, out, ins, outs */
    EMUL_CLASS_SYSTEM,  /* control registers, MSRs, cpuid, tsc, flags' IF, caches */
};

/*
 * Fetches and decodes the instruction at rip into c->insn. EMUL_EXCEPTION: #UD, #GP (over 15
 * bytes, rip outside its segment) or what the fetch met. Undefined opcodes that may be newer than
 * this table are EMUL_UNHANDLEABLE.
 */
enum emul_result emul_decode(struct emul_ctxt *c) must_check;

/* Carries out c->insn, once. */
enum emul_result emul_execute(struct emul_ctxt *c) must_check;

/* Both. */
enum emul_result emul_instruction(struct emul_ctxt *c) must_check;

enum emul_class emul_insn_class(const struct emul_insn *insn);

/*
 * The access of the decoded instruction with the registers as they are: for string instructions
 * the next iteration's write (else its read). Stack pushes are not counted. EMUL_EXCEPTION when
 * the address is not canonical or beyond its segment.
 */
enum emul_result emul_insn_access(struct emul_ctxt *c, struct emul_access *out) must_check;

/* For callbacks: `return emul_raise(c, VEC_GP, 0);` Error codes are kept only for vectors
 * that have one. */
static inline enum emul_result emul_raise(struct emul_ctxt *c, uint8_t vector, uint32_t error)
{
    bool has_error = vector < 32 && (VECTORS_WITH_ERROR >> vector & 1);

    c->event = (struct emul_event){
        .vector = vector, .has_error = has_error, .error = has_error ? error : 0};
    return EMUL_EXCEPTION;
}

static inline enum emul_result emul_raise_pf(struct emul_ctxt *c, uint32_t error, uint64_t cr2)
{
    c->event = (struct emul_event){.vector = VEC_PF, .has_error = true, .error = error, .cr2 = cr2};
    return EMUL_EXCEPTION;
}
