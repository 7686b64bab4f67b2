/* SPDX-License-Identifier: MIT */
/* Model-specific registers: Intel SDM vol. 4; AMD APM vol. 2, appendix A. */
#pragma once

#define MSR_TSC                  0x00000010
#define MSR_PLATFORM_ID          0x00000017
#define MSR_APIC_BASE            0x0000001b
#define MSR_TSC_ADJUST           0x0000003b
#define MSR_SPEC_CTRL            0x00000048
#define MSR_PRED_CMD             0x00000049
#define MSR_UCODE_WRITE          0x00000079
#define MSR_UCODE_REV            0x0000008b
#define MSR_PLATFORM_INFO        0x000000ce
#define MSR_MPERF                0x000000e7
#define MSR_APERF                0x000000e8
#define MSR_MTRRCAP              0x000000fe
#define MSR_ARCH_CAPABILITIES    0x0000010a
#define MSR_FLUSH_CMD            0x0000010b
#define MSR_TSX_CTRL             0x00000122
#define MSR_MISC_FEATURES        0x00000140
#define MSR_SYSENTER_CS          0x00000174
#define MSR_SYSENTER_ESP         0x00000175
#define MSR_SYSENTER_EIP         0x00000176
#define MSR_MCG_CAP              0x00000179
#define MSR_MCG_STATUS           0x0000017a
#define MSR_PERF_STATUS          0x00000198
#define MSR_PERF_CTL             0x00000199
#define MSR_THERM_CONTROL        0x0000019a
#define MSR_THERM_STATUS         0x0000019c
#define MSR_MISC_ENABLE          0x000001a0
#define MSR_PACKAGE_THERM_STATUS 0x000001b1
#define MSR_DEBUGCTL             0x000001d9
#define MSR_MTRR_PHYSBASE0       0x00000200
#define MSR_PAT                  0x00000277
#define MSR_MTRR_DEF_TYPE        0x000002ff
#define MSR_PERF_CAPABILITIES    0x00000345
#define MSR_RAPL_UNIT            0x00000606
#define MSR_TSC_DEADLINE         0x000006e0
#define MSR_X2APIC_BASE          0x00000800
#define MSR_XSS                  0x00000da0
#define MSR_EFER                 0xc0000080
#define MSR_STAR                 0xc0000081
#define MSR_LSTAR                0xc0000082
#define MSR_CSTAR                0xc0000083
#define MSR_SYSCALL_MASK         0xc0000084
#define MSR_FS_BASE              0xc0000100
#define MSR_GS_BASE              0xc0000101
#define MSR_KERNEL_GS_BASE       0xc0000102
#define MSR_TSC_AUX              0xc0000103
#define MSR_SYSCFG               0xc0010010
#define MSR_HWCR                 0xc0010015
#define MSR_NB_CFG               0xc001001f
#define MSR_PATCH_LOADER         0xc0010020
#define MSR_MMIO_CONF            0xc0010058
#define MSR_PSTATE_LIMIT         0xc0010061
#define MSR_PSTATE_CTL           0xc0010062
#define MSR_PSTATE_STATUS        0xc0010063
#define MSR_PSTATE_DEF0          0xc0010064
#define MSR_PSTATE_DEF7          0xc001006b
#define MSR_VIRT_SPEC_CTRL       0xc001011f
#define MSR_DR0_MASK             0xc0011027
#define MSR_DR1_MASK             0xc0011019 /* DR1-DR3: c0011019 to c001101b */

#define EFER_SCE   0x0001ul
#define EFER_LME   0x0100ul
#define EFER_LMA   0x0400ul
#define EFER_NX    0x0800ul
#define EFER_SVME  0x1000ul
#define EFER_FFXSR 0x4000ul

#define APIC_BASE_BSP    0x00000100ul
#define APIC_BASE_X2APIC 0x00000400ul
#define APIC_BASE_ENABLE 0x00000800ul
