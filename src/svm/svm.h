/* SPDX-License-Identifier: MIT */
/* AMD-V: the back end of fully virtual guests on processors of AMD. APM vol. 2, chapter 15. */
#pragma once

#include "hvm/hvm.h"
#include "hw/vmcb.h"

struct svm_vcpu {
    struct vmcb *vmcb;    /* [I] */
    uint32_t asid_of_cpu; /* [p] where `asid` counts, plus 1; 0: nowhere */
    uint32_t generation;  /* [p] of that CPU's ASIDs when it was given */
    uint32_t stamp;       /* [p] of that CPU's last flush when it was given */
    bool dr_loaded;       /* [p] DR0-3 hold the guest's */
};

/* What the processor did on the way out, in terms of hvm/: exit.c. */
void svm_exit(struct vcpu *v, struct svm_vcpu *s);
/* Puts the guest's DR0-3 into the processor; its accesses do not exit any more. */
void svm_load_debug(struct vcpu *v, struct svm_vcpu *s);

/* enter.S: loads the guest's state, runs it to its next exit and saves its registers. Interrupts
 * that come meanwhile wait until it has returned. `host`: the block that VMLOAD restores. */
void svm_enter(paddr_t vmcb, paddr_t host, struct regs *regs);

/* ---- state.c: see struct hvm_ops ---- */
void svm_get_segment(const struct vcpu *v, unsigned seg, struct emul_segment *s);
void svm_set_segment(struct vcpu *v, unsigned seg, const struct emul_segment *s);
uint64_t svm_get_cr(const struct vcpu *v, unsigned nr);
void svm_set_cr(struct vcpu *v, unsigned nr, uint64_t val);
uint64_t svm_get_dr(const struct vcpu *v, unsigned nr);
void svm_set_dr(struct vcpu *v, unsigned nr, uint64_t val);
uint8_t svm_get_cpl(const struct vcpu *v);
void svm_update_control(struct vcpu *v);
bool svm_get_msr(const struct vcpu *v, uint32_t index, uint64_t *val);
bool svm_set_msr(struct vcpu *v, uint32_t index, uint64_t val);
bool svm_can_take(const struct vcpu *v, enum hvm_event_type t);
void svm_inject(struct vcpu *v, const struct hvm_event *e);
void svm_set_tpr(struct vcpu *v, uint8_t tpr, bool watch);
void svm_request_window(struct vcpu *v, enum hvm_event_type t);
