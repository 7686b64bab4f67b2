/* SPDX-License-Identifier: MIT */
/* The instructions of AMD-V that stand alone; entering a guest is svm/enter.S. AMD APM vol. 3. */
#pragma once

#include "lib/types.h"

#define MSR_VM_CR       0xc0010114
#define MSR_VM_HSAVE_PA 0xc0010117
#define VM_CR_SVMDIS    (1ul << 4)

/* Stores what VMRUN leaves alone: FS, GS, TR, LDTR, the MSRs of SYSCALL and SYSENTER. */
static inline void hw_vmsave(paddr_t vmcb)
{
    asm volatile("vmsave %%rax" ::"a"(vmcb) : "memory");
}
