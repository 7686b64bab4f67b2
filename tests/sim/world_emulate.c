/* SPDX-License-Identifier: MIT */
/* Exceptions of the world's kernels and of their user mode: instructions that only the kernel of a
 * bare machine may execute, ports, software interrupts, returns. */
#include <string.h>

#include "pv/internal.h"
#include "world.h"

#include <xen/physdev.h>

struct code {
    uint8_t n, byte[8];
};

/* The instruction stands in the argument page and raises `vector`; what an exit does follows. */
static long raise_at(const struct code *c, unsigned vector, uint32_t error)
{
    struct regs *r = &cpu_local()->guest;
    uint8_t bytes[16] = {0};

    memcpy(bytes, c->byte, sizeof(c->byte));
    if (chance(40))
        scramble(bytes, sizeof(bytes));
    r->rip = chance(40) ? any_va() : put(bytes, sizeof(bytes));
    if (chance(12))
        r->rflags ^= RFLAGS_TF;
    r->entry_vector = (uint16_t)vector;
    r->error_code = error;
    world_may_fail = true;
    pv_handle_trap(r);
    world_may_fail = false;
    world_exit();
    return 0;
}

/* ---- system registers ---- */

static const struct code privileged[] = {
    {3, {0x0f, 0x20, 0xc0}},       /* mov %cr0,%rax */
    {3, {0x0f, 0x22, 0xc0}},       /* mov %rax,%cr0 */
    {3, {0x0f, 0x20, 0xd0}},       /* mov %cr2,%rax */
    {3, {0x0f, 0x22, 0xd0}},       /* mov %rax,%cr2 */
    {3, {0x0f, 0x20, 0xd8}},       /* mov %cr3,%rax */
    {3, {0x0f, 0x22, 0xd8}},       /* mov %rax,%cr3 */
    {3, {0x0f, 0x20, 0xe0}},       /* mov %cr4,%rax */
    {3, {0x0f, 0x22, 0xe0}},       /* mov %rax,%cr4 */
    {4, {0x44, 0x0f, 0x20, 0xc0}}, /* mov %cr8,%rax */
    {3, {0x0f, 0x21, 0xf8}},       /* mov %dr7,%rax */
    {3, {0x0f, 0x23, 0xf8}},       /* mov %rax,%dr7 */
    {3, {0x0f, 0x23, 0xf0}},       /* mov %rax,%dr6 */
    {3, {0x0f, 0x23, 0xc0}},       /* mov %rax,%dr0 */
    {3, {0x0f, 0x21, 0xe0}},       /* mov %dr4,%rax */
    {2, {0x0f, 0x06}},             /* clts */
    {2, {0x0f, 0x09}},             /* wbinvd */
    {2, {0x0f, 0x08}},             /* invd */
    {2, {0x0f, 0x31}},             /* rdtsc */
    {3, {0x0f, 0x01, 0xf9}},       /* rdtscp */
    {3, {0x0f, 0x01, 0xd1}},       /* xsetbv */
    {3, {0x0f, 0x01, 0xd0}},       /* xgetbv */
    {3, {0x0f, 0x01, 0x38}},       /* invlpg */
    {3, {0x0f, 0x01, 0xe0}},       /* smsw */
    {1, {0xf4}},                   /* hlt */
    {1, {0xfa}},                   /* cli */
    {1, {0xfb}},                   /* sti */
};

static uint64_t any_value(void)
{
    switch (pvg_random(10)) {
    case 0:
        return me->mfn[chance(2) ? PFN_L4 : any_pfn()].n << PAGE_SHIFT;
    case 1: /* DR7: a breakpoint on ports, or another */
        return 0x400 | (chance(2) ? 3 : 0x55) | (uint64_t)pvg_random(0x10000) << 16;
    case 2: /* CR4 */
        return CR4_PAE | CR4_OSXSAVE | (chance(2) ? CR4_DE : 0) | (chance(4) ? CR4_TSD : 0) |
               (chance(2) ? CR4_FSGSBASE : 0);
    case 3:
        return (read_cr0() & ~CR0_TS) | (chance(2) ? CR0_TS : 0);
    case 4:
        return pvg_random(8);
    case 5:
        return pvg_va(any_pfn());
    case 6:
        return 0x42 + pvg_random(0x20);
    default:
        return any_u64();
    }
}

/* By the instruction where it faults, or by the prefix that every processor lets us answer. */
static long do_cpuid(void)
{
    static const uint32_t base[] = {0, 0x40000000, 0x40000000, 0x80000000, 0x80000018};
    static const struct code code[] = {{2, {0x0f, 0xa2}},
                                       {7, {0x0f, 0x0b, 'x', 'e', 'n', 0x0f, 0xa2}}};
    const struct code *c = &code[pvg_random(2)];
    struct regs *r = &cpu_local()->guest;

    r->rax = base[pvg_random(ARRAY_SIZE(base))] + pvg_random(chance(2) ? 6 : 16);
    r->rcx = pvg_random(4);
    return raise_at(c, c->n == 7 ? VEC_UD : VEC_GP, 0);
}

/* Mostly 64-bit code; the other selectors are those of the hypervisor's table, and the guest's. */
static uint16_t any_cs(void)
{
    static const uint16_t other[] = {SEL_GUEST_CS32, 0x0b, 0x13, 0x0f, 0x17, SEL_GUEST_SS, 0xe05b};

    return chance(4) ? other[pvg_random(ARRAY_SIZE(other))] : SEL_GUEST_CS64;
}

static long do_privileged(void)
{
    const struct code *c = &privileged[pvg_random(ARRAY_SIZE(privileged))];
    struct regs *r = &cpu_local()->guest;

    r->rax = any_value();
    r->rcx = pvg_random(chance(4) ? 100 : 3);
    r->cs = any_cs();
    r->rdx = chance(3) ? any_u64() : 0;
    return raise_at(c, VEC_GP, chance(32) ? pvg_random(0x10000) : 0);
}

static long do_msr(void)
{
    static const uint32_t msr[] = {
        0x10,       0x17,       0x1b,       0x48,       0x49,       0x79,       0x8b,
        0xce,       0xe7,       0xe8,       0xfe,       0x10a,      0x140,      0x179,
        0x17a,      0x198,      0x199,      0x19a,      0x19c,      0x1a0,      0x1b1,
        0x1d9,      0x277,      0x345,      0x606,      0xc0000080, 0xc0000100, 0xc0000101,
        0xc0000102, 0xc0000103, 0xc0010010, 0xc0010015, 0xc001001f, 0xc0010020, 0xc0010058,
        0xc0010061, 0xc0010064, 0xc0011019, 0xc001101a, 0xc0011027, 0x40000000, 0xc0000081};
    static const struct code code[] = {{2, {0x0f, 0x32}}, {2, {0x0f, 0x30}}};
    struct regs *r = &cpu_local()->guest;
    uint64_t val = chance(3) ? any_u64() : chance(3) ? pvg_va(any_pfn()) : pvg_random(8);

    r->rcx = chance(16) ? (uint32_t)any_u64() : msr[pvg_random(ARRAY_SIZE(msr))];
    if (r->rcx == 0x277 && chance(2))
        val = PAT_VALUE;
    r->rax = (uint32_t)val;
    r->rdx = val >> 32;
    return raise_at(&code[pvg_random(2)], VEC_GP, 0);
}

/* ---- ports ---- */

static uint16_t any_port(void)
{
    static const uint16_t port[] = {0x40,  0x42,  0x42,  0x43,  0x43,  0x60,   0x61,  0x61,  0x70,
                                    0x71,  0x80,  0x3f8, 0xcf8, 0xcf8, 0xcf9,  0xcfc, 0xcfc, 0xcfd,
                                    0xcfe, 0xcff, 0xcfb, 0x6f,  0x41,  0xffff, 0xfffe};

    return chance(8) ? (uint16_t)pvg_random(0x10000) : port[pvg_random(ARRAY_SIZE(port))];
}

static long do_port(void)
{
    static const struct code code[] = {
        {1, {0xec}},       {1, {0xed}},       {2, {0x66, 0xed}}, {1, {0xee}},
        {1, {0xef}},       {2, {0x66, 0xef}}, {2, {0xe4, 0x61}}, {2, {0xe6, 0x43}},
        {2, {0xf3, 0x6c}}, {2, {0xf3, 0x6e}}, {1, {0x6d}},       {1, {0x6f}},
    };
    struct regs *r = &cpu_local()->guest;

    if (chance(4)) { /* the right to do so, first */
        struct physdev_set_iopl a = {.iopl = chance(4) ? pvg_random(5) : 1 + 2 * pvg_random(2)};
        struct world_dom *w = me;
        long rc = hcall(__HYPERVISOR_physdev_op, PHYSDEVOP_set_iopl, put(&a, sizeof(a)), 0, 0);

        if (rc || me != w)
            return rc;
    }
    r->rdx = any_port();
    r->rax = chance(3) ? 0x80000000u | pvg_random(4) << 11 | pvg_random(64) << 2 : any_u64();
    if (chance(2)) /* the interval timer: modes, latches, counts */
        r->rax = pvg_random(256);
    r->rcx = pvg_random(6);
    r->cs = any_cs();
    r->rsi = r->rdi = chance(4) ? any_va() : pvg_va(any_pfn());
    return raise_at(&code[pvg_random(ARRAY_SIZE(code))], VEC_GP, 0);
}

/* ---- other exceptions ---- */

/* A return that faulted on its stack with the rights of ring 0, as one emulator has it. */
static long do_far_return(void)
{
    static const struct code code[] = {
        {2, {0x48, 0xcf}}, {1, {0xcf}}, {1, {0xcb}}, {3, {0xca, 8, 0}}, {2, {0x48, 0xcb}}};
    struct regs *r = &cpu_local()->guest;
    uint64_t stack[] = {pvg_va(PFN_CODE), chance(4) ? pvg_random(0x10000) : SEL_GUEST_CS64,
                        any_u64(), pvg_va(PFN_STACK) + PAGE_SIZE, SEL_GUEST_SS};

    r->rsp -= sizeof(stack);
    if (hw_copy_to_guest(r->rsp, stack, sizeof(stack)))
        return -EFAULT;
    write_cr2(chance(16) ? any_va() : r->rsp);
    return raise_at(&code[pvg_random(ARRAY_SIZE(code))], VEC_PF, PFEC_P);
}

static long do_exception(void)
{
    static const struct code none = {0};
    static const struct code interrupt = {2, {0xcd, 0x80}};
    unsigned vector = pvg_random(40);

    if (chance(6)) {
        pv_iret_failed(current(), VEC_GP, pvg_random(0x10000));
        world_exit();
        return 0;
    }
    if (chance(4))
        return raise_at(&interrupt, VEC_GP, chance(2) ? 0x80 << 3 | 2 : pvg_random(0x10000));
    if (chance(3))
        vector = VEC_PF;
    if (vector == VEC_PF)
        write_cr2(any_va());
    return raise_at(&none, vector, pvg_random(chance(2) ? 0x10000 : 32));
}

const struct world_kind world_emulate_kinds[] = {
    {"privileged", do_privileged, 6},
    {"cpuid", do_cpuid, 2},
    {"msr", do_msr, 4},
    {"port", do_port, 4},
    {"exception", do_exception, 3},
    {"far return", do_far_return, 1},
    {NULL, NULL, 0},
};

/* User mode runs: it goes back into its kernel, by one of the ways that there are. */
void world_user_step(void)
{
    static const struct code code[] = {
        {2, {0x0f, 0x34}}, {2, {0x0f, 0xa2}}, {2, {0xcd, 0x80}}, {2, {0x0f, 0x31}}, {1, {0xec}},
        {1, {0xef}},       {1, {0xfa}},       {2, {0x0f, 0x32}}, {1, {0xcf}},       {1, {0xf4}},
    };
    struct regs *r = &cpu_local()->guest;
    unsigned vector = pvg_random(34);

    r->rdx = any_port();
    r->rax = any_u64();
    switch (pvg_random(6)) {
    case 0:
    case 1:
        (void)raise_at(&code[pvg_random(ARRAY_SIZE(code))], VEC_GP, chance(4) ? 0x80 << 3 | 2 : 0);
        break;
    case 2:
        write_cr2(any_va());
        (void)raise_at(&code[0],
                       vector > 31 ? vector
                       : chance(2) ? VEC_PF
                                   : vector,
                       pvg_random(32));
        break;
    case 3:
        r->cs = SEL_GUEST_CS32;
        /* fall through */
    default:
        r->rip = pvg_va(PFN_CODE) + 0x80;
        pv_deliver_syscall(current(), r);
        world_exit();
    }
}
