/* SPDX-License-Identifier: MIT */
/* The life of a PV domain's own part. */
#include "base/log.h"
#include "cpu/cpu.h"
#include "cpu/xstate.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "memory/heap.h"
#include "memory/layout.h"
#include "pv/internal.h"

static void part_domain_free(struct domain *d)
{
    if (!d->pv)
        return;
    pv_perdomain_free(d);
    heap_free(d->pv->pit);
    heap_free(d->pv->policy);
    heap_free(d->pv);
    d->pv = NULL;
}

static void part_vcpu_free(struct vcpu *v)
{
    if (!v->pv)
        return;
    xstate_free(v->pv->xstate);
    heap_free(v->pv);
    v->pv = NULL;
}

static int part_domain_init(struct domain *d, const struct domain_config *config)
{
    struct pv_domain *pv;

    if (d->hvm)
        return 0;
    pv = heap_zalloc(sizeof(*pv));
    if (!pv)
        return -ENOMEM;
    d->pv = pv;
    lock_init(&pv->mmu, RANK_PV, "page tables");
    lock_init(&pv->chip, RANK_CHIP, "domain's PIT");
    pv->policy = heap_alloc(sizeof(*pv->policy));
    pv->pit = d->hardware ? pv_pit_create() : NULL;
    if (!pv->policy || (d->hardware && !pv->pit))
        goto fail;
    *pv->policy = policy_pv_default;
    if (d->hardware) { /* sees the counter as it is: nobody will move it */
        pv->policy->ext[7].d = policy_pv_max.ext[7].d;
        pv->policy->arch_caps = policy_pv_max.arch_caps;
    }
    if (pv_descriptor_init() || pv_perdomain_init(d))
        goto fail;
    return 0;
fail:
    part_domain_free(d);
    return -ENOMEM;
}

static int part_vcpu_init(struct vcpu *v)
{
    struct pv_vcpu *pv;
    int rc;

    if (v->domain->hvm)
        return 0;
    pv = heap_zalloc(sizeof(*pv));
    if (!pv)
        return -ENOMEM;
    v->pv = pv;
    pv->in_kernel = true;
    pv->kernel_l4 = pv->user_l4 = INVALID_MFN;
    for (unsigned i = 0; i < ARRAY_SIZE(pv->gdt_frame); i++)
        pv->gdt_frame[i] = INVALID_MFN;
    for (unsigned i = 0; i < ARRAY_SIZE(pv->ldt_frame); i++)
        pv->ldt_frame[i] = INVALID_MFN;
    pv->dr6 = DR6_DEFAULT;
    pv->dr7 = DR7_DEFAULT;
    pv->xcr0 = pv->xcr0_accum = XCR0_DEFAULT;
    rc = xstate_alloc(&pv->xstate);
    if (!rc)
        rc = pv_perdomain_vcpu_init(v);
    if (rc) {
        part_vcpu_free(v);
        return rc;
    }
    pv_gdt_drop(v); /* the window shows a table without entries */
    return 0;
}

static int part_domain_release(struct domain *d)
{
    struct vcpu *v;

    if (!d->pv)
        return 0;
    for_each_vcpu (d, v) {
        if (!v->pv)
            continue;
        pv_gdt_drop(v);
        pv_ldt_drop(v);
        v->pv->ldt_entries = 0;
    }
    return pv_mm_destroy(d);
}

const struct domain_part pv_part = {
    .name = "pv",
    .domain_init = part_domain_init,
    .vcpu_init = part_vcpu_init,
    .domain_release = part_domain_release,
    .vcpu_free = part_vcpu_free,
    .domain_free = part_domain_free,
};
