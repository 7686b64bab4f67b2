/* SPDX-License-Identifier: MIT */
/* A fully virtual vCPU on a CPU: coming, staying, leaving. The processor's virtualisation takes
 * most of its state; extended state, TSC_AUX and the debug registers are switched here and in the
 * back end. The hypervisor runs on page tables of its own meanwhile. */
#include "base/softirq.h"
#include "cpu/cpu.h"
#include "cpu/spec.h"
#include "cpu/xstate.h"
#include "hvm/hvm.h"

/* Whose secrets the predictors of this CPU may hold. */
static DEFINE_PER_CPU(struct domain *, last_domain);

void hvm_switch_to(struct vcpu *v)
{
    bit_test_and_set_atomic(v->domain->memory.dirty_cpus.bits, cpu_id());
    if (this_cpu(last_domain) != v->domain) {
        this_cpu(last_domain) = v->domain;
        spec_domain_switch();
    }
    xstate_restore(v->hvm->xstate, v->hvm->xcr0_accum, v->hvm->xcr0);
    cpu_tsc_aux_load((uint32_t)v->hvm->tsc_aux);
    hvm_ops->load(v);
}

void hvm_switch_from(struct vcpu *v)
{
    hvm_ops->save(v);
    xstate_save(v->hvm->xstate, v->hvm->xcr0_accum);
}

void hvm_loop(void)
{
    for (;;) {
        struct vcpu *v = current();

        if (softirq_pending()) {
            softirq_run(); /* may leave for another vCPU */
            continue;
        }
        if (unlikely(read_once(v->hvm->init_pending) || read_once(v->hvm->wait_for_sipi))) {
            hvm_take_init(v);
            continue;
        }
        v->refusals.call = ~0u; /* what is refused now is no hypercall */
        hvm_deliver(v);
        hvm_ops->run(v);
        interrupts_window(); /* what ended the stay, if an interrupt did */
    }
}
