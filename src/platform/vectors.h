/* SPDX-License-Identifier: MIT */
/* The use of the 256 interrupt vectors. 0x00-0x1f are exceptions; 0x80 and 0x82 belong to guests.
 */
#pragma once

#define VECTOR_8259           0x20u /* to 0x2f: spurious interrupts of the masked 8259s */
#define VECTOR_DYNAMIC        0x30u /* devices: given out per CPU by irq.c */
#define VECTOR_DYNAMIC_LAST   0xefu
#define VECTOR_LINUX_SYSCALL  0x80u /* INT 0x80 of PV guests has a gate of its own */
#define VECTOR_PV32_HYPERCALL 0x82u

/* Fixed ones, of local APICs and between CPUs; the higher, the more urgent. */
#define VECTOR_FIXED    0xf0u
#define VECTOR_TIMER    0xf8u
#define VECTOR_KICK     0xf9u /* look at cpu_local()->work */
#define VECTOR_CALL     0xfau
#define VECTOR_TLB      0xfbu
#define VECTOR_ERROR    0xfeu
#define VECTOR_SPURIOUS 0xffu
