/* SPDX-License-Identifier: MIT */
/* A fully virtual domain in the simulated machine: RAM from guest-physical 0 on, FX_VCPUS vCPUs of
 * which the first is made and current, and a back end that only remembers. Include it once, in a
 * test's C file. */
#pragma once

#include "guest.h"
#include "cpu/policy.h"
#include "domain/guest_copy.h"
#include "hvm/hvm.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "memory/buddy.h"

#define FX_FRAMES 1024u /* 4 MiB */
#ifndef FX_VCPUS
#define FX_VCPUS 1u
#endif
#ifndef FX_EMULATED
#define FX_EMULATED XEN_X86_EMU_LAPIC
#endif

static struct {
    struct emul_segment seg[HVM_SEGS];
    uint64_t cr[5], dr[8];
    uint8_t cpl;
    unsigned updates;
    uint8_t tpr;
    bool watch;
    bool can_take;
    struct hvm_event injected; /* the last */
    unsigned injections, windows;
    uint64_t lstar, pat;
} fx_hw;
static struct domain *fx_d;
static struct vcpu *fx_v;

static int fx_vcpu_init(struct vcpu *v)
{
    return 0;
}

static void fx_nothing(struct vcpu *v)
{
}

static void fx_get_segment(const struct vcpu *v, unsigned seg, struct emul_segment *s)
{
    *s = fx_hw.seg[seg];
}

static void fx_set_segment(struct vcpu *v, unsigned seg, const struct emul_segment *s)
{
    fx_hw.seg[seg] = *s;
}

static uint64_t fx_get_cr(const struct vcpu *v, unsigned nr)
{
    return fx_hw.cr[nr];
}

static void fx_set_cr(struct vcpu *v, unsigned nr, uint64_t val)
{
    fx_hw.cr[nr] = val;
}

static uint64_t fx_get_dr(const struct vcpu *v, unsigned nr)
{
    return fx_hw.dr[nr];
}

static void fx_set_dr(struct vcpu *v, unsigned nr, uint64_t val)
{
    fx_hw.dr[nr] = val;
}

static uint8_t fx_get_cpl(const struct vcpu *v)
{
    return fx_hw.cpl;
}

static void fx_update(struct vcpu *v)
{
    fx_hw.updates++;
}

static uint64_t *fx_msr_of(uint32_t index)
{
    return index == MSR_LSTAR ? &fx_hw.lstar : index == MSR_PAT ? &fx_hw.pat : NULL;
}

static bool fx_get_msr(const struct vcpu *v, uint32_t index, uint64_t *val)
{
    const uint64_t *p = fx_msr_of(index);

    if (p)
        *val = *p;
    return p;
}

static bool fx_set_msr(struct vcpu *v, uint32_t index, uint64_t val)
{
    uint64_t *p = fx_msr_of(index);

    if (p)
        *p = val;
    return p;
}

static bool fx_can_take(const struct vcpu *v, enum hvm_event_type t)
{
    return fx_hw.can_take;
}

static void fx_inject(struct vcpu *v, const struct hvm_event *e)
{
    fx_hw.injected = *e;
    fx_hw.injections++;
}

static void fx_set_tpr(struct vcpu *v, uint8_t tpr, bool watch)
{
    fx_hw.tpr = tpr;
    fx_hw.watch = watch;
}

static void fx_window(struct vcpu *v, enum hvm_event_type t)
{
    fx_hw.windows++;
}

static const struct hvm_ops fx_ops = {
    .name = "test",
    .vcpu_init = fx_vcpu_init,
    .vcpu_free = fx_nothing,
    .reset = fx_nothing,
    .load = fx_nothing,
    .save = fx_nothing,
    .run = fx_nothing,
    .get_segment = fx_get_segment,
    .set_segment = fx_set_segment,
    .get_cr = fx_get_cr,
    .set_cr = fx_set_cr,
    .get_dr = fx_get_dr,
    .set_dr = fx_set_dr,
    .get_cpl = fx_get_cpl,
    .update_control = fx_update,
    .get_msr = fx_get_msr,
    .set_msr = fx_set_msr,
    .can_take = fx_can_take,
    .inject = fx_inject,
    .set_tpr = fx_set_tpr,
    .request_window = fx_window,
};

/* Guest-physical memory as the test sees it. */
static inline void *fx_ram(uint64_t gpa)
{
    mfn_t m;

    if (p2m_lookup(fx_d->p2m, gpa >> PAGE_SHIFT, &m) == P2M_NONE)
        return NULL;
    return (char *)mfn_to_virt(m) + (gpa & ~PAGE_MASK);
}

static int fx_setup(void **state)
{
    const struct domain_config c = {
        .id = 3,
        .hvm = true,
        .max_vcpus = FX_VCPUS,
        .max_evtchn_port = 100,
        .max_grant_frames = 4,
        .max_maptrack_frames = 4,
        .max_grant_version = 2,
        .emulated = FX_EMULATED,
    };
    unsigned order = 10;
    mfn_t m;

    guest_machine(1);
    memset(&fx_hw, 0, sizeof(fx_hw));
    domain_parts[4] = &hvm_part;
    hvm_ops = &fx_ops;
    guest_memory_hvm = &hvm_guest_memory;
    policy_hvm_default = (struct cpu_policy){.max_basic = 13};
    if (domain_create(&c, &fx_d) || vcpu_create(fx_d, 0, &fx_v))
        return -1;
    fx_d->memory.max_pages = FX_FRAMES;
    if (frame_alloc(&fx_d->memory, order, 0, &m))
        return -1;
    lock(&fx_d->p2m->lock);
    for (unsigned i = 0; i < FX_FRAMES; i += 512)
        if (p2m_map(fx_d->p2m, i, mfn(m.n + i), 9, P2M_RAM))
            return -1;
    unlock(&fx_d->p2m->lock);
    cpu_local()->current = fx_v;
    memset(&cpu_local()->guest, 0, sizeof(cpu_local()->guest));
    return 0;
}

static int fx_teardown(void **state)
{
    int rc = (int)frame_audit();

    guest_be_idle();
    while (domain_destroy(fx_d) == -ERESTART)
        ;
    softirq_run(); /* the empty domain goes */
    domain_put(fx_d);
    domain_parts[4] = NULL;
    hvm_ops = NULL;
    return rc;
}

#define FX_TEST(f) cmocka_unit_test_setup_teardown(f, fx_setup, fx_teardown)
