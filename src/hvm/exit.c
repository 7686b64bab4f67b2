/* SPDX-License-Identifier: MIT */
/* Ends of a stay, as every back end tells them. */
#include "hvm/chips.h"
#include "hvm/hvm.h"

#include "base/log.h"
#include "cpu/cpu.h"
#include "lib/errno.h"

static struct regs *regs(void)
{
    return &cpu_local()->guest;
}

void hvm_cpuid_exit(struct vcpu *v)
{
    struct regs *r = regs();
    struct cpuid_leaf l = hvm_cpuid(v, (uint32_t)r->rax, (uint32_t)r->rcx);

    r->rax = l.a;
    r->rbx = l.b;
    r->rcx = l.c;
    r->rdx = l.d;
}

/* A fault is at the instruction: the back end has moved rip on by `length`. */
static void fault_at(struct vcpu *v, unsigned length)
{
    regs()->rip -= length;
    hvm_inject_exception(v, VEC_GP, 0);
}

void hvm_msr_exit(struct vcpu *v, bool write)
{
    struct regs *r = regs();
    uint64_t val = (uint32_t)r->rax | r->rdx << 32;

    if (write ? hvm_wrmsr(v, (uint32_t)r->rcx, val) : hvm_rdmsr(v, (uint32_t)r->rcx, &val)) {
        fault_at(v, 2);
        return;
    }
    if (!write) {
        r->rax = (uint32_t)val;
        r->rdx = val >> 32;
    }
}

void hvm_xsetbv_exit(struct vcpu *v)
{
    struct regs *r = regs();

    if (hvm_ops->get_cpl(v) != 0 || (uint32_t)r->rcx != 0 ||
        hvm_xsetbv(v, (uint32_t)r->rax | r->rdx << 32))
        fault_at(v, 3);
}

void hvm_halt_exit(struct vcpu *v)
{
    /* No interrupt will wake it, so it has gone for good, or until its next INIT. */
    if (!(regs()->rflags & RFLAGS_IF) && !read_once(v->nmi_pending) &&
        !read_once(v->hvm->init_pending)) {
        vcpu_down(v);
        if (read_once(v->hvm->sipi)) /* came before it was down */
            vcpu_pause_clear(v, VCPU_DOWN_BIT);
        return;
    }
    vcpu_pause_set(v, VCPU_BLOCKED_BIT);
    /* What came before the bit was set would never clear it. */
    if (hvm_event_waits(v))
        vcpu_pause_clear(v, VCPU_BLOCKED_BIT);
}

void hvm_port_exit(struct vcpu *v, uint16_t port, unsigned bytes, bool in)
{
    uint64_t mask = bytes == 4 ? 0xffffffffull : (1ull << bytes * 8) - 1;
    struct regs *r = regs();

    if (!in)
        hvm_port_out(v->domain, port, bytes, (uint32_t)r->rax);
    else
        r->rax = (bytes == 4 ? 0 : r->rax & ~mask) | hvm_port_in(v->domain, port, bytes);
}

void hvm_triple_fault(struct vcpu *v)
{
    if (v->hvm->shut_down)
        return;
    v->hvm->shut_down = true;
    log_guest(LOG_INFO, "domain %u: triple fault on vCPU %u at %lx", v->domain->id, v->id,
              regs()->rip);
    domain_shutdown(v->domain, SHUTDOWN_crash);
}

void hvm_memory_exit(struct vcpu *v, uint64_t gpa, bool write)
{
    mfn_t m;

    /* Another vCPU may have mapped it meanwhile. */
    switch (p2m_lookup(&v->domain->hvm_domain->p2m, gpa >> PAGE_SHIFT, &m)) {
    case P2M_NONE:
        break;
    case P2M_RAM_RO:
    case P2M_GRANT_RO:
        if (write)
            break;
        return;
    default:
        return;
    }
    hvm_emulate(v);
}

/* Numbers and arguments in the registers of the mode; public arch-x86/xen-x86_64.h. */
void hvm_hypercall_exit(struct vcpu *v)
{
    struct regs *r = regs();
    bool wide = hvm_code_bits(v) == 64;
    const uint64_t args[6] = {r->rdi, r->rsi, r->rdx, r->r10, r->r8, r->r9};
    long rc;

    if (hvm_ops->get_cpl(v) != 0) {
        r->rax = (uint64_t)(long)-EPERM;
        return;
    }
    if (!wide) {
        r->rax = (uint32_t)-ENOSYS;
        return;
    }
    v->continued = false;
    v->refusals.call = (uint32_t)r->rax;
    rc = hvm_hypercall_call(r->rax, args);
    if (!v->continued)
        r->rax = (uint64_t)rc;
}

/* ---- the hypercall page ---- */

#define SLOT_BYTES 32u
#define SLOTS      128u

void hvm_hypercall_page_fill(void *page)
{
    uint8_t *p = page;

    for (unsigned i = 0; i < PAGE_SIZE; i++)
        p[i] = 0xcc; /* int3 */
    for (unsigned i = 0; i < SLOTS; i++) {
        uint8_t *slot = p + i * SLOT_BYTES;

        if (i == __HYPERVISOR_iret) { /* not for such guests */
            slot[0] = 0x0f;
            slot[1] = 0x0b; /* ud2 */
            continue;
        }
        slot[0] = 0xb8; /* mov $i, %eax */
        slot[1] = (uint8_t)i;
        slot[2] = slot[3] = slot[4] = 0;
        slot[5] = 0x0f;
        slot[6] = 0x01;
        slot[7] = cpu_vendor == CPU_INTEL ? 0xc1 : 0xd9; /* vmcall, vmmcall */
        slot[8] = 0xc3;                                  /* ret */
    }
}
