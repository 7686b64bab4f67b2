/* SPDX-License-Identifier: MIT */
/* The virtual machine control block of AMD-V and the codes of its exits: AMD APM vol. 2, appendix B
 * (layout) and C (exit codes), 15.9 (intercepts). */
#pragma once

#include "lib/types.h"

/* ---- intercepts: word and bit ---- */
#define VMCB_INTERCEPTS 5u
#define INTERCEPT_CR    0u /* bits 0-15 reads of CRn, 16-31 writes */
#define INTERCEPT_DR    1u /* likewise */
#define INTERCEPT_EXC   2u /* bit n: exception n */
#define INTERCEPT_3     3u /* bit n: exit code 0x60 + n */
#define INTERCEPT_4     4u /* bit n: exit code 0x80 + n */

#define INTERCEPT_CR_WRITE(n) (1u << (16 + (n)))
#define INTERCEPT_DR_ALL      0xffffffffu

/* ---- exit codes ---- */
#define EXIT_CR0_READ    0x000
#define EXIT_CR0_WRITE   0x010
#define EXIT_CR4_WRITE   0x014
#define EXIT_CR8_WRITE   0x018
#define EXIT_DR0_READ    0x020
#define EXIT_DR15_WRITE  0x03f
#define EXIT_EXCEPTION   0x040 /* + vector */
#define EXIT_INTR        0x060
#define EXIT_NMI         0x061
#define EXIT_SMI         0x062
#define EXIT_INIT        0x063
#define EXIT_VINTR       0x064
#define EXIT_RDPMC       0x06f
#define EXIT_CPUID       0x072
#define EXIT_IRET        0x074
#define EXIT_INVD        0x076
#define EXIT_HLT         0x078
#define EXIT_INVLPGA     0x07a
#define EXIT_IOIO        0x07b
#define EXIT_MSR         0x07c
#define EXIT_SHUTDOWN    0x07f
#define EXIT_VMRUN       0x080
#define EXIT_VMMCALL     0x081
#define EXIT_VMLOAD      0x082
#define EXIT_VMSAVE      0x083
#define EXIT_STGI        0x084
#define EXIT_CLGI        0x085
#define EXIT_SKINIT      0x086
#define EXIT_WBINVD      0x089
#define EXIT_MONITOR     0x08a
#define EXIT_MWAIT       0x08b
#define EXIT_MWAIT_ARMED 0x08c
#define EXIT_XSETBV      0x08d
#define EXIT_NPF         0x400
#define EXIT_INVALID     (~0ull)

#define INTERCEPT_3_OF(code) (1u << ((code)-0x60))
#define INTERCEPT_4_OF(code) (1u << ((code)-0x80))

/* ---- events: EVENTINJ and EXITINTINFO ---- */
#define EVENT_VALID      (1ull << 31)
#define EVENT_ERROR      (1ull << 11)
#define EVENT_INTR       (0ull << 8)
#define EVENT_NMI        (2ull << 8)
#define EVENT_EXCEPTION  (3ull << 8)
#define EVENT_SOFT       (4ull << 8)
#define EVENT_TYPE       (7ull << 8)
#define EVENT_VECTOR     0xffull
#define EVENT_CODE_SHIFT 32

/* ---- fields ---- */
#define VINTR_TPR       0xffull
#define VINTR_IRQ       (1ull << 8)
#define VINTR_PRIO(n)   ((uint64_t)(n) << 16)
#define VINTR_IGN_TPR   (1ull << 20)
#define VINTR_MASKING   (1ull << 24)
#define VINTR_VECTOR(n) ((uint64_t)(n) << 32)

#define TLB_CONTROL_ALL 1u

#define NPF_WRITE (1ull << 1)

struct vmcb_segment {
    uint16_t sel;
    uint16_t attr; /* bits 40-47 and 52-55 of the descriptor */
    uint32_t limit;
    uint64_t base;
};

struct vmcb {
    uint32_t intercept[VMCB_INTERCEPTS];
    uint8_t reserved0[0x3c - 0x14];
    uint16_t pause_threshold, pause_count;
    uint64_t iopm, msrpm;
    uint64_t tsc_offset;
    uint32_t asid;
    uint8_t tlb_control, reserved1[3];
    uint64_t vintr;
    uint64_t shadow; /* bit 0: the shadow of STI or MOV SS */
    uint64_t exit_code, exit_info1, exit_info2, exit_int_info;
    uint64_t nested; /* bit 0: nested paging */
    uint8_t reserved2[0xa8 - 0x98];
    uint64_t event_inj;
    uint64_t nested_cr3;
    uint64_t lbr;
    uint32_t clean; /* bit n: that group is as the processor knows it */
    uint32_t reserved3;
    uint64_t next_rip;
    uint8_t fetched, bytes[15];
    uint8_t reserved4[0x400 - 0xe0];

    struct vmcb_segment es, cs, ss, ds, fs, gs, gdtr, ldtr, idtr, tr;
    uint8_t reserved5[0x4cb - 0x4a0];
    uint8_t cpl;
    uint32_t reserved6;
    uint64_t efer;
    uint8_t reserved7[0x548 - 0x4d8];
    uint64_t cr4, cr3, cr0, dr7, dr6, rflags, rip;
    uint8_t reserved8[0x5d8 - 0x580];
    uint64_t rsp;
    uint8_t reserved9[0x5f8 - 0x5e0];
    uint64_t rax, star, lstar, cstar, sfmask, kernel_gs_base;
    uint64_t sysenter_cs, sysenter_esp, sysenter_eip, cr2;
    uint8_t reserved10[0x668 - 0x648];
    uint64_t g_pat, debugctl, br_from, br_to, last_excp_from, last_excp_to;
    uint8_t reserved11[0x1000 - 0x698];
};
_Static_assert(offsetof(struct vmcb, iopm) == 0x40, "APM B, control area");
_Static_assert(offsetof(struct vmcb, event_inj) == 0xa8, "APM B, control area");
_Static_assert(offsetof(struct vmcb, es) == 0x400, "APM B, state save area");
_Static_assert(offsetof(struct vmcb, efer) == 0x4d0, "APM B, state save area");
_Static_assert(offsetof(struct vmcb, cr4) == 0x548, "APM B, state save area");
_Static_assert(offsetof(struct vmcb, rsp) == 0x5d8, "APM B, state save area");
_Static_assert(offsetof(struct vmcb, g_pat) == 0x668, "APM B, state save area");
_Static_assert(sizeof(struct vmcb) == 4096, "a page");
