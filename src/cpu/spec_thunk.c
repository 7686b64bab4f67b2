/* SPDX-License-Identifier: MIT */
/* The code of indirect branches: hw/fault.S has a thunk for each register, which every indirect
 * call of the hypervisor goes through; they start as plain jumps. Here are the bytes of the forms
 * that the processor's predictor cannot be misled by.
 *
 * Intel, "Retpoline: A Branch Target Injection Mitigation", 337131; AMD, "Software techniques for
 * managing speculation", V2-2. */
#include "cpu/spec.h"
#include "lib/errno.h"
#include "lib/string.h"

#define REX_W 0x48
#define REX_R 0x04
#define REX_B 0x41

/* The register of "jmp *%reg": ff e0+n, for r8-r15 after a REX.B. -1: it is something else. */
static int thunk_register(const uint8_t *code)
{
    bool high = code[0] == REX_B;

    code += high;
    if (code[0] != 0xff || (code[1] & 0xf8) != 0xe0)
        return -1;
    return (code[1] & 7) | (high ? 8 : 0);
}

static void put_jmp(uint8_t *p, unsigned reg)
{
    if (reg >= 8)
        *p++ = REX_B;
    *p++ = 0xff;
    *p = 0xe0 | (reg & 7);
}

/* The call pushes an address that only the predictor of returns believes in: there it finds an
 * endless loop. The real return address is written over it. */
static void put_retpoline(uint8_t *p, unsigned reg)
{
    static const uint8_t head[] = {
        0xe8, 0x07, 0,    0, 0, /* call 2f */
        0xf3, 0x90,             /* 1: pause */
        0x0f, 0xae, 0xe8,       /* lfence */
        0xeb, 0xf9,             /* jmp 1b */
    };
    const uint8_t tail[] = {
        REX_W | (reg >= 8 ? REX_R : 0),
        0x89,
        0x04 | (reg & 7) << 3,
        0x24, /* 2: mov %reg, (%rsp) */
        0xc3, /* ret */
    };

    memcpy(p, head, sizeof(head));
    memcpy(p + sizeof(head), tail, sizeof(tail));
}

int spec_thunk_write(enum spec_thunk kind, const uint8_t *now, uint8_t code[SPEC_THUNK_BYTES])
{
    static const uint8_t lfence[] = {0x0f, 0xae, 0xe8};
    int reg = thunk_register(now);

    if (reg < 0)
        return -EINVAL;
    memset(code, 0xcc, SPEC_THUNK_BYTES);
    switch (kind) {
    case SPEC_THUNK_RETPOLINE:
        put_retpoline(code, reg);
        break;
    case SPEC_THUNK_LFENCE:
        memcpy(code, lfence, sizeof(lfence));
        put_jmp(code + sizeof(lfence), reg);
        break;
    case SPEC_THUNK_JMP:
        put_jmp(code, reg);
        break;
    }
    return 0;
}
