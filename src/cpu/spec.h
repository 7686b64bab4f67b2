/* SPDX-License-Identifier: MIT */
/* Speculation: which mitigations this processor needs and which are in force ("spec-ctrl=",
 * "xpti=", "pv-l1tf="). Chosen at start, summarised in the log. */
#pragma once

#include "hw/ops.h"

enum spec_thunk {
    SPEC_THUNK_RETPOLINE,
    SPEC_THUNK_LFENCE,
    SPEC_THUNK_JMP,
};

extern enum spec_thunk spec_thunk; /* [I] how indirect branches are made */
extern bool spec_ibpb;             /* [I] a barrier when another domain's vCPU comes */
extern bool spec_ibrs;             /* [I] SPEC_CTRL.IBRS while the hypervisor runs */
extern bool spec_ssbd;             /* [I] SPEC_CTRL.SSBD while the hypervisor runs */
extern bool spec_verw;             /* [I] VERW on the way out to guests */
extern bool spec_rsb;              /* [I] RSB filled on entry from a guest: see spec_init() */
extern bool spec_xpti_dom0, spec_xpti_domu; /* [I] hidden page tables for PV guests */
extern bool spec_l1tf_dom0, spec_l1tf_domu; /* [I] check non-present entries */

#define SPEC_CTRL_IBRS  1ull
#define SPEC_CTRL_STIBP 2ull
#define SPEC_CTRL_SSBD  4ull
#define SPEC_CTRL_PSFD  0x80ull
#define PRED_CMD_IBPB   1ull

void spec_detect(void);
/* Command line read: decides, and says so. */
void spec_init(void);
/* The bytes of a thunk as `kind`, from those there are now (a plain jump): -EINVAL if that is not
 * what `now` is. */
#define SPEC_THUNK_BYTES 32u
int must_check spec_thunk_write(enum spec_thunk kind, const uint8_t *now,
                                uint8_t code[SPEC_THUNK_BYTES]);
/* Another domain is about to run on this CPU. */
void spec_domain_switch(void);
/* Bits of SPEC_CTRL that a guest may set. */
uint64_t spec_ctrl_guest_mask(void);

/* May this non-present entry stand in a page table? False where its address bits name memory that
 * could lie in the first-level cache: RAM below `ram_end` (bytes), on a processor with the flaw. */
bool spec_l1tf_pte_ok(uint64_t pte, paddr_t ram_end);
