/* SPDX-License-Identifier: MIT */
/* Segment and gate descriptors, the TSS, and Argon's selectors. Intel SDM vol. 3A, 3.4.5, 6.14.1,
 * 7.7. The selectors of the reserved part of the GDT are ABI: public arch-x86/xen-x86_64.h. */
#pragma once

#include "lib/types.h"

/* Frames of a vCPU's GDT that the guest provides; Argon's own page follows at entry 7168. */
#define GDT_GUEST_FRAMES    14u
#define GDT_GUEST_ENTRIES   (GDT_GUEST_FRAMES * 512u)
#define GDT_RESERVED_OFFSET 0xe000
/* Behind these lies the TSS, whose pointers nobody is to take for descriptors. */
#define GDT_RESERVED_ENTRIES 16u
#define GDT_LIMIT            (GDT_RESERVED_OFFSET + GDT_RESERVED_ENTRIES * 8u - 1)

#define SEL_HV_CS      0xe008
#define SEL_HV_SS      0xe010
#define SEL_GUEST_CS32 0xe023
#define SEL_GUEST_SS   0xe02b
#define SEL_GUEST_CS64 0xe033
#define SEL_TSS        0xe040
#define SEL_LDT        0xe050

#ifndef __ASSEMBLY__
/* 8-byte code and data descriptors, as one number. */
#define DESC_HV_CS64    0x00af9b000000ffffull
#define DESC_HV_DATA    0x00cf93000000ffffull
#define DESC_RING3_CS32 0x00cffb000000ffffull
#define DESC_RING3_DATA 0x00cff3000000ffffull
#define DESC_RING3_CS64 0x00affb000000ffffull

struct gate {
    uint16_t offset_low;
    uint16_t selector;
    uint8_t ist;
    uint8_t type; /* P, DPL, type: 0x8e interrupt gate */
    uint16_t offset_mid;
    uint32_t offset_high;
    uint32_t zero;
};
_Static_assert(sizeof(struct gate) == 16, "64-bit gate");

struct packed tss {
    uint32_t reserved0;
    uint64_t rsp[3];
    uint64_t reserved1;
    uint64_t ist[7]; /* ist[0] is IST 1 */
    uint64_t reserved2;
    uint16_t reserved3;
    uint16_t iomap;
};
_Static_assert(sizeof(struct tss) == 104, "64-bit TSS");

struct packed table_register {
    uint16_t limit;
    uint64_t base;
};

#define IST_NMI 1
#define IST_DF  2
#define IST_MC  3
#define IST_DB  4
#endif
