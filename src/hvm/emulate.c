/* SPDX-License-Identifier: MIT */
/* Instructions that the hypervisor executes for a fully virtual guest: those that touch what is not
 * RAM, move control registers, or repeat port accesses. The emulator is emulate/'s; here is the
 * machine that it works on. */
#include "cpu/cpu.h"
#include "hvm/chips.h"
#include "hvm/hvm.h"
#include "lib/errno.h"
#include "lib/string.h"

static struct vcpu *vcpu_of(const struct emul_ctxt *c)
{
    return c->data;
}

static unsigned walk_user(const struct emul_ctxt *c)
{
    return c->cpl == 3 ? HVM_WALK_USER : 0;
}

static bool is_lapic(const struct vcpu *v, uint64_t gpa)
{
    const struct vlapic *l = &v->hvm->lapic;

    return vlapic_hardware_enabled(l) && !vlapic_x2(l) &&
           (gpa & PAGE_MASK) == (l->base & PTE_ADDR_MASK);
}

/* Aligned accesses of 32 bits are defined; of others, parts of a register are read, and writes go
 * nowhere. SDM vol. 3A, 11.4.1. */
static void access_lapic(struct vcpu *v, uint32_t offset, void *to, const void *from,
                         unsigned bytes)
{
    uint32_t val;

    if (to) {
        val = vlapic_read(&v->hvm->lapic, offset & ~3u) >> offset % 4 * 8;
        memset(to, 0, bytes);
        memcpy(to, &val, min(bytes, 4 - offset % 4));
    } else if (from && bytes == 4 && offset % 4 == 0) {
        memcpy(&val, from, 4);
        vlapic_write(&v->hvm->lapic, offset, val);
    }
}

/* Page by page: `to` is filled, or `from` is written. Nothing is written unless all pages can be.
 */
static enum emul_result access(struct emul_ctxt *c, uint64_t linear, void *to, const void *from,
                               unsigned bytes, unsigned how)
{
    unsigned first = min(bytes, (unsigned)(PAGE_SIZE - (linear & ~PAGE_MASK)));
    uint64_t gpa[2] = {0};
    uint32_t error;

    for (unsigned i = 0; i < (first < bytes ? 2u : 1u); i++) {
        uint64_t va = linear + (i ? first : 0);

        if (hvm_translate(vcpu_of(c), va, how | walk_user(c), &gpa[i], &error))
            return emul_raise_pf(c, error, va);
    }
    for (unsigned i = 0, at = 0, n = first; at < bytes; i++, at += n, n = bytes - first) {
        struct domain *d = vcpu_of(c)->domain;

        if (is_lapic(vcpu_of(c), gpa[i])) {
            access_lapic(vcpu_of(c), (uint32_t)(gpa[i] & ~PAGE_MASK), to ? (char *)to + at : NULL,
                         from ? (const char *)from + at : NULL, n);
            continue;
        }
        if (hvm_chip_access(d, gpa[i], to ? (char *)to + at : NULL,
                            from ? (const char *)from + at : NULL, n))
            continue;
        if (to && hvm_read_physical(d, gpa[i], (char *)to + at, n))
            memset((char *)to + at, 0xff, n);
        if (from && hvm_write_physical(d, gpa[i], (const char *)from + at, n))
            continue;
    }
    return EMUL_OKAY;
}

static enum emul_result fetch(struct emul_ctxt *c, uint64_t linear, void *buf, unsigned bytes)
{
    return access(c, linear, buf, NULL, bytes, HVM_WALK_FETCH);
}

static enum emul_result read_memory(struct emul_ctxt *c, enum emul_seg seg, uint64_t linear,
                                    void *buf, unsigned bytes)
{
    return access(c, linear, buf, NULL, bytes, 0);
}

static enum emul_result write_memory(struct emul_ctxt *c, enum emul_seg seg, uint64_t linear,
                                     const void *buf, unsigned bytes)
{
    return access(c, linear, NULL, buf, bytes, HVM_WALK_WRITE);
}

static enum emul_result read_segment(struct emul_ctxt *c, enum emul_seg seg,
                                     struct emul_segment *out)
{
    hvm_ops->get_segment(vcpu_of(c), seg, out);
    return EMUL_OKAY;
}

static enum emul_result read_io(struct emul_ctxt *c, uint16_t port, unsigned bytes, uint32_t *val)
{
    *val = hvm_port_in(vcpu_of(c)->domain, port, bytes);
    return EMUL_OKAY;
}

static enum emul_result write_io(struct emul_ctxt *c, uint16_t port, unsigned bytes, uint32_t val)
{
    hvm_port_out(vcpu_of(c)->domain, port, bytes, val);
    return EMUL_OKAY;
}

static enum emul_result read_cr(struct emul_ctxt *c, unsigned nr, uint64_t *val)
{
    const struct vcpu *v = vcpu_of(c);

    switch (nr) {
    case 0:
        *val = v->hvm->cr0;
        return EMUL_OKAY;
    case 2:
    case 3:
        *val = hvm_ops->get_cr(v, nr);
        return EMUL_OKAY;
    case 4:
        *val = v->hvm->cr4;
        return EMUL_OKAY;
    case 8:
        *val = vlapic_cr8(&v->hvm->lapic);
        return EMUL_OKAY;
    default:
        return emul_raise(c, VEC_UD, 0);
    }
}

static enum emul_result write_cr(struct emul_ctxt *c, unsigned nr, uint64_t val)
{
    struct vcpu *v = vcpu_of(c);
    int rc;

    switch (nr) {
    case 0:
        rc = hvm_write_cr0(v, val);
        break;
    case 2:
        hvm_ops->set_cr(v, 2, val);
        return EMUL_OKAY;
    case 3:
        rc = hvm_write_cr3(v, val);
        break;
    case 4:
        rc = hvm_write_cr4(v, val);
        break;
    case 8:
        rc = val >> 4 ? -EPERM : 0;
        if (!rc)
            vlapic_set_cr8(&v->hvm->lapic, (uint8_t)val);
        break;
    default:
        return emul_raise(c, VEC_UD, 0);
    }
    return rc ? emul_raise(c, VEC_GP, 0) : EMUL_OKAY;
}

static enum emul_result read_msr(struct emul_ctxt *c, uint32_t index, uint64_t *val)
{
    return hvm_rdmsr(vcpu_of(c), index, val) ? emul_raise(c, VEC_GP, 0) : EMUL_OKAY;
}

static enum emul_result write_msr(struct emul_ctxt *c, uint32_t index, uint64_t val)
{
    return hvm_wrmsr(vcpu_of(c), index, val) ? emul_raise(c, VEC_GP, 0) : EMUL_OKAY;
}

static enum emul_result flush_cache(struct emul_ctxt *c, enum emul_cache_op op)
{
    return EMUL_OKAY;
}

static const struct emul_ops ops = {
    .fetch = fetch,
    .read = read_memory,
    .write = write_memory,
    .read_segment = read_segment,
    .read_io = read_io,
    .write_io = write_io,
    .read_cr = read_cr,
    .write_cr = write_cr,
    .read_msr = read_msr,
    .write_msr = write_msr,
    .flush_cache = flush_cache,
};

void hvm_emulate(struct vcpu *v)
{
    struct regs *r = &cpu_local()->guest;
    struct emul_ctxt c = {
        .regs = r,
        .ops = &ops,
        .data = v,
        .bits = hvm_code_bits(v),
        .cpl = hvm_ops->get_cpl(v),
        .iopl = (r->rflags & RFLAGS_IOPL) >> 12,
        .real = !(v->hvm->cr0 & CR0_PE) || r->rflags & RFLAGS_VM,
        .amd = cpu_vendor == CPU_AMD,
    };

    switch (emul_instruction(&c)) {
    case EMUL_OKAY:
        if (c.retire.singlestep) {
            hvm_ops->set_dr(v, 6, hvm_ops->get_dr(v, 6) | 1ull << 14);
            hvm_inject_exception(v, VEC_DB, 0);
        }
        break;
    case EMUL_EXCEPTION:
        if (c.event.vector == VEC_PF)
            hvm_inject_page_fault(v, c.event.cr2, c.event.error);
        else
            hvm_inject_exception(v, c.event.vector, c.event.error);
        break;
    case EMUL_RETRY:
    case EMUL_CMPXCHG_FAILED:
        break;
    case EMUL_UNHANDLEABLE:
        domain_crash(v->domain, "instruction at %lx (opcode %02x) cannot be emulated", r->rip,
                     c.insn.opcode);
        break;
    }
}
