/* SPDX-License-Identifier: MIT */
/* Offsets of C structures for the assembly files: compiled to assembly, then turned into defines by
 * mk/image.mk. Not part of any program. */
#include "domain/domain.h"
#include "hw/cpu_local.h"
#include "hw/desc.h"
#include "hw/msr.h"
#include "hw/regs.h"
#include "hypercall/hypercall.h"
#include "pv/pv.h"

#define VALUE(name, value) asm volatile("\n#define " #name " %0" ::"i"(value))

void asm_offsets(void);
void asm_offsets(void)
{
    VALUE(CPU_LOCAL_SIZE, sizeof(struct cpu_local));
    VALUE(CPU_GUEST_END, offsetof(struct cpu_local, guest) + sizeof(struct regs));
    VALUE(CPU_WORK, offsetof(struct cpu_local, work));
    VALUE(CPU_UPCALL, offsetof(struct cpu_local, upcall));
    VALUE(CPU_EXIT_CR3, offsetof(struct cpu_local, exit_cr3));
    VALUE(CPU_HV_CR3, offsetof(struct cpu_local, hv_cr3));
    VALUE(CPU_SHADOW_STALE, offsetof(struct cpu_local, shadow_stale));
    VALUE(CPU_VERW_SELECTOR, offsetof(struct cpu_local, verw_selector));
    VALUE(CPU_CURRENT, offsetof(struct cpu_local, current));
    VALUE(VCPU_PV, offsetof(struct vcpu, pv));
    VALUE(VCPU_CONTINUED, offsetof(struct vcpu, continued));
    VALUE(VCPU_CALL, offsetof(struct vcpu, refusals) + offsetof(struct refuse_ring, call));
    VALUE(PV_IN_KERNEL, offsetof(struct pv_vcpu, in_kernel));
    VALUE(HYPERCALLS, HYPERCALLS);
    VALUE(REGS_R15, offsetof(struct regs, r15));
    VALUE(REGS_R14, offsetof(struct regs, r14));
    VALUE(REGS_R13, offsetof(struct regs, r13));
    VALUE(REGS_R12, offsetof(struct regs, r12));
    VALUE(REGS_R11, offsetof(struct regs, r11));
    VALUE(REGS_RCX, offsetof(struct regs, rcx));
    VALUE(REGS_RBP, offsetof(struct regs, rbp));
    VALUE(REGS_RBX, offsetof(struct regs, rbx));
    VALUE(REGS_R10, offsetof(struct regs, r10));
    VALUE(REGS_R9, offsetof(struct regs, r9));
    VALUE(REGS_R8, offsetof(struct regs, r8));
    VALUE(REGS_RAX, offsetof(struct regs, rax));
    VALUE(REGS_RDX, offsetof(struct regs, rdx));
    VALUE(REGS_RSI, offsetof(struct regs, rsi));
    VALUE(REGS_RDI, offsetof(struct regs, rdi));
    VALUE(REGS_RIP, offsetof(struct regs, rip));
    VALUE(REGS_CS, offsetof(struct regs, cs));
    VALUE(REGS_RFLAGS, offsetof(struct regs, rflags));
    VALUE(REGS_RSP, offsetof(struct regs, rsp));
    VALUE(REGS_VECTOR, offsetof(struct regs, entry_vector));
    VALUE(REGS_SIZE, sizeof(struct regs));
    VALUE(DESC_HV_CS64_, DESC_HV_CS64);
    VALUE(DESC_HV_DATA_, DESC_HV_DATA);
    VALUE(CPU_BLOCK_SIZE, CPU_BLOCK_SIZE);
    VALUE(VECTORS_WITH_ERROR, VECTORS_WITH_ERROR);
    VALUE(SEL_HV_CS, SEL_HV_CS);
    VALUE(SEL_HV_SS, SEL_HV_SS);
    VALUE(SEL_GUEST_SS, SEL_GUEST_SS);
    VALUE(SEL_GUEST_CS64, SEL_GUEST_CS64);
    VALUE(SEL_GUEST_CS32, SEL_GUEST_CS32);
    VALUE(ENTRY_SYSCALL, ENTRY_SYSCALL);
    VALUE(RFLAGS_ID, RFLAGS_ID);
    VALUE(MSR_EFER, MSR_EFER);
    VALUE(BOOT_EFER, EFER_LME | EFER_NX | EFER_SCE);
    VALUE(BOOT_CR4, CR4_PAE | CR4_PGE | CR4_PSE);
    VALUE(BOOT_CR0_PE, CR0_ET | CR0_PE);
    VALUE(BOOT_CR0, CR0_PG | CR0_WP | CR0_NE | CR0_ET | CR0_MP | CR0_PE);
}
