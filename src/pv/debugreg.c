/* SPDX-License-Identifier: MIT */
/* Debug registers of a PV vCPU. A guest may watch its own addresses only, never the hypervisor's;
 * breakpoints on ports are kept apart, since a guest's port accesses are emulated. The registers
 * are loaded while the vCPU runs and DR7 enables something. Intel SDM vol. 3B, 17.2. */
#include "cpu/cpu.h"
#include "lib/errno.h"
#include "memory/layout.h"
#include "pv/internal.h"

#define DR7_RESERVED_ONE  0x400ul
#define DR7_RESERVED_ZERO 0xffffffff0000d800ul
#define DR7_GD            0x2000ul
#define DR7_RW_IO         2u

static unsigned dr7_rw(uint64_t dr7, unsigned n)
{
    return dr7 >> (16 + 4 * n) & 3;
}

static unsigned dr7_len(uint64_t dr7, unsigned n)
{
    return dr7 >> (18 + 4 * n) & 3;
}

static uint64_t dr7_fields(unsigned n)
{
    return 0xful << (16 + 4 * n) | 3ul << (2 * n);
}

void pv_debug_load(const struct vcpu *v)
{
    const struct pv_vcpu *pv = v->pv;

    write_dr0(pv->dr[0]);
    write_dr1(pv->dr[1]);
    write_dr2(pv->dr[2]);
    write_dr3(pv->dr[3]);
    if (cpu_has(X86_FEATURE_DBEXT)) { /* those of the vCPU before are still there */
        wrmsr(MSR_DR0_MASK, pv->dr_mask[0]);
        for (unsigned n = 1; n < 4; n++)
            wrmsr(MSR_DR1_MASK + n - 1, pv->dr_mask[n]);
    }
    write_dr6(DR6_DEFAULT);
    write_dr7(pv->dr7);
}

static void write_address(unsigned n, uint64_t val)
{
    switch (n) {
    case 0:
        write_dr0(val);
        break;
    case 1:
        write_dr1(val);
        break;
    case 2:
        write_dr2(val);
        break;
    default:
        write_dr3(val);
        break;
    }
}

static int set_address(struct vcpu *v, unsigned n, uint64_t val)
{
    if (!guest_range_ok(val & ~7ul, 8))
        return refuse(-EPERM, "debug register %u: address %#lx is not the guest's", n, val);
    v->pv->dr[n] = val;
    if (v == current() && (v->pv->dr7 & DR7_ENABLES))
        write_address(n, val);
    return 0;
}

static int set_control(struct vcpu *v, uint64_t val)
{
    struct pv_vcpu *pv = v->pv;
    uint64_t io = 0;
    bool was_on = pv->dr7 & DR7_ENABLES;

    val = (val | DR7_RESERVED_ONE) & ~DR7_RESERVED_ZERO;
    if (val & DR7_GD)
        return refuse(-EPERM, "DR7 %#lx: GD is not for guests", val);
    for (unsigned n = 0; n < 4; n++) {
        if (!(val >> (2 * n) & 3))
            continue;
        if (dr7_rw(val, n) == DR7_RW_IO) {
            if (!(pv->cr4 & CR4_DE))
                return refuse(-EPERM, "DR7 %#lx: port breakpoint without CR4.DE", val);
            io |= val & dr7_fields(n);
            continue;
        }
        if (dr7_rw(val, n) == 0 && dr7_len(val, n) != 0)
            return refuse(-EPERM, "DR7 %#lx: execution breakpoint longer than a byte", val);
    }
    pv->dr7_emul = io;
    for (unsigned n = 0; n < 4; n++)
        if (io >> (2 * n) & 3)
            val &= ~dr7_fields(n);
    pv->dr7 = val;
    if (v != current())
        return 0;
    if (!was_on && (val & DR7_ENABLES))
        pv_debug_load(v);
    else
        write_dr7(val);
    return 0;
}

/* 4 and 5 are 6 and 7 under other names, unless CR4.DE makes them invalid. */
static unsigned alias(const struct vcpu *v, unsigned reg)
{
    return (reg == 4 || reg == 5) && !(v->pv->cr4 & CR4_DE) ? reg + 2 : reg;
}

int pv_debugreg_set(struct vcpu *v, unsigned reg, uint64_t val)
{
    reg = alias(v, reg);
    if (reg >= 6 && reg <= 7 && val >> 32)
        return refuse(-EINVAL, "debug register %u: %#lx", reg, val);
    switch (reg) {
    case 0:
    case 1:
    case 2:
    case 3:
        return set_address(v, reg, val);
    case 6:
        v->pv->dr6 = (val & ~0xffffffff00001000ul) | DR6_DEFAULT;
        return 0;
    case 7:
        return set_control(v, val);
    default:
        return refuse(-ENODEV, "debug register %u", reg);
    }
}

int pv_debugreg_get(struct vcpu *v, unsigned reg, uint64_t *val)
{
    reg = alias(v, reg);
    switch (reg) {
    case 0:
    case 1:
    case 2:
    case 3:
        *val = v->pv->dr[reg];
        return 0;
    case 6:
        *val = v->pv->dr6 | DR6_DEFAULT;
        return 0;
    case 7:
        *val = v->pv->dr7 | v->pv->dr7_emul | DR7_RESERVED_ONE;
        return 0;
    default:
        return refuse(-ENODEV, "debug register %u", reg);
    }
}

void pv_debug_port_access(struct vcpu *v, uint16_t port, unsigned bytes)
{
    struct pv_vcpu *pv = v->pv;

    for (unsigned n = 0; pv->dr7_emul && n < 4; n++) {
        uint64_t width;

        if (!(pv->dr7_emul >> (2 * n) & 3))
            continue;
        width = dr7_len(pv->dr7_emul, n) == 2 ? 8 : dr7_len(pv->dr7_emul, n) + 1;
        if (port < pv->dr[n] + width && port + bytes > pv->dr[n]) {
            pv->dr6 |= 1ul << n;
            pv->io_breakpoint_hit = true;
        }
    }
}

long pv_set_debugreg(uint32_t reg, uint64_t value)
{
    return pv_debugreg_set(current(), reg, value);
}

long pv_get_debugreg(uint32_t reg)
{
    uint64_t val;
    int rc = pv_debugreg_get(current(), reg, &val);

    return rc ? rc : (long)val;
}
