/* SPDX-License-Identifier: MIT */
/* The register frame that every entry into the hypervisor leaves, and the bits of the flag and
 * control registers. Intel SDM vol. 3A, 2.3 and 2.5; the frame has the layout of the public
 * `struct cpu_user_regs` up to its ss field, so the two copy in one piece. */
#pragma once

#include "lib/types.h"
#include "lib/util.h"

#ifndef __ASSEMBLY__
struct regs {
    uint64_t r15, r14, r13, r12, rbp, rbx, r11, r10, r9, r8, rax, rcx, rdx, rsi, rdi;
    uint32_t error_code;
    uint32_t entry_vector; /* exception number, or ENTRY_SYSCALL */
    uint64_t rip;
    uint16_t cs;
    uint16_t pad0;
    uint8_t saved_upcall_mask;
    uint8_t pad1[3];
    uint64_t rflags;
    uint64_t rsp;
    uint16_t ss;
    uint16_t pad2[3];
};
_Static_assert(sizeof(struct regs) == 21 * 8, "struct regs must match entry.S");

/* Byte offset of general register n, in the encoding order of ModRM and REX. */
static inline uint64_t *regs_gpr(struct regs *r, unsigned n)
{
    static const uint8_t offset[16] = {
        offsetof(struct regs, rax), offsetof(struct regs, rcx), offsetof(struct regs, rdx),
        offsetof(struct regs, rbx), offsetof(struct regs, rsp), offsetof(struct regs, rbp),
        offsetof(struct regs, rsi), offsetof(struct regs, rdi), offsetof(struct regs, r8),
        offsetof(struct regs, r9),  offsetof(struct regs, r10), offsetof(struct regs, r11),
        offsetof(struct regs, r12), offsetof(struct regs, r13), offsetof(struct regs, r14),
        offsetof(struct regs, r15),
    };
    return (uint64_t *)((char *)r + offset[n & 15]);
}
#endif

#define RFLAGS_CF   0x00000001ul
#define RFLAGS_MBS  0x00000002ul /* must be set */
#define RFLAGS_PF   0x00000004ul
#define RFLAGS_AF   0x00000010ul
#define RFLAGS_ZF   0x00000040ul
#define RFLAGS_SF   0x00000080ul
#define RFLAGS_TF   0x00000100ul
#define RFLAGS_IF   0x00000200ul
#define RFLAGS_DF   0x00000400ul
#define RFLAGS_OF   0x00000800ul
#define RFLAGS_IOPL 0x00003000ul
#define RFLAGS_NT   0x00004000ul
#define RFLAGS_RF   0x00010000ul
#define RFLAGS_VM   0x00020000ul
#define RFLAGS_AC   0x00040000ul
#define RFLAGS_VIF  0x00080000ul
#define RFLAGS_VIP  0x00100000ul
#define RFLAGS_ID   0x00200000ul

#define CR0_PE 0x00000001ul
#define CR0_MP 0x00000002ul
#define CR0_EM 0x00000004ul
#define CR0_TS 0x00000008ul
#define CR0_ET 0x00000010ul
#define CR0_NE 0x00000020ul
#define CR0_WP 0x00010000ul
#define CR0_AM 0x00040000ul
#define CR0_NW 0x20000000ul
#define CR0_CD 0x40000000ul
#define CR0_PG 0x80000000ul

#define CR3_PCID_MASK 0xffful
#define CR3_NOFLUSH   (1ul << 63) /* in a load with CR4.PCIDE; never read back */

/* Types of INVPCID. SDM vol. 3A, 4.10.4.1. */
#define INVPCID_ADDRESS 0ul /* one page of one PCID, not if global */
#define INVPCID_CONTEXT 1ul /* one PCID, but for global pages */
#define INVPCID_ALL     2ul /* all PCIDs, global pages too */

#define CR4_VME        0x00000001ul
#define CR4_PVI        0x00000002ul
#define CR4_TSD        0x00000004ul
#define CR4_DE         0x00000008ul
#define CR4_PSE        0x00000010ul
#define CR4_PAE        0x00000020ul
#define CR4_MCE        0x00000040ul
#define CR4_PGE        0x00000080ul
#define CR4_PCE        0x00000100ul
#define CR4_OSFXSR     0x00000200ul
#define CR4_OSXMMEXCPT 0x00000400ul
#define CR4_UMIP       0x00000800ul
#define CR4_LA57       0x00001000ul
#define CR4_VMXE       0x00002000ul
#define CR4_FSGSBASE   0x00010000ul
#define CR4_PCIDE      0x00020000ul
#define CR4_OSXSAVE    0x00040000ul
#define CR4_SMEP       0x00100000ul
#define CR4_SMAP       0x00200000ul
#define CR4_PKE        0x00400000ul

/* Page-fault error code. */
#define PFEC_P    0x01u
#define PFEC_W    0x02u
#define PFEC_U    0x04u
#define PFEC_RSVD 0x08u
#define PFEC_I    0x10u

/* Exception vectors. */
#define VEC_DE  0
#define VEC_DB  1
#define VEC_NMI 2
#define VEC_BP  3
#define VEC_OF  4
#define VEC_BR  5
#define VEC_UD  6
#define VEC_NM  7
#define VEC_DF  8
#define VEC_CSO 9
#define VEC_TS  10
#define VEC_NP  11
#define VEC_SS  12
#define VEC_GP  13
#define VEC_PF  14
#define VEC_SPV 15
#define VEC_MF  16
#define VEC_AC  17
#define VEC_MC  18
#define VEC_XM  19
#define VEC_VE  20
#define VEC_CP  21

/* Software interrupts that guests raise by INT n through gates of their own. */
#define VEC_INT80 0x80
#define VEC_INT82 0x82

/* Vectors whose exception pushes an error code: 8, 10-14, 17, 21, 29, 30. */
#define VECTORS_WITH_ERROR 0x60227d00ul

/* struct regs.entry_vector of an entry by the SYSCALL instruction. */
#define ENTRY_SYSCALL 0x100
