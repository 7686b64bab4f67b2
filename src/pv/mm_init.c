/* SPDX-License-Identifier: MIT */
/* Start and end of the page-table half of pv/: what PV guests hold beside their page tables, for
 * the audit, and how a domain lets go of its tables. */
#include "pv/pv.h"

#include "lib/errno.h"

static void count_table(mfn_t m, enum frame_type t)
{
    if (!mfn_eq(m, INVALID_MFN))
        frame_audit_use(m, t);
}

static void count_vcpu(const struct vcpu *v)
{
    count_table(v->pv->kernel_l4, FRAME_L4);
    count_table(v->pv->user_l4, FRAME_L4);
    for (unsigned i = 0; i < GDT_GUEST_FRAMES; i++)
        count_table(v->pv->gdt_frame[i], FRAME_SEGDESC);
    for (unsigned i = 0; i < ARRAY_SIZE(v->pv->ldt_frame); i++)
        count_table(v->pv->ldt_frame[i], FRAME_SEGDESC);
}

static void count(void)
{
    struct domain *d;
    struct vcpu *v;

    for_each_domain (d)
        for_each_vcpu (d, v)
            if (v->pv)
                count_vcpu(v);
}

void pv_mm_init(void)
{
    static struct frame_audit_source source sealed = {.name = "PV vCPUs", .count = count};

    frame_audit_register(&source);
    frame_descriptor_ok = pv_descriptor_ok;
}

int pv_mm_destroy(struct domain *d)
{
    struct vcpu *v;
    int rc;

    for_each_vcpu (d, v) {
        if (!v->pv)
            continue;
        if (pv_new_kernel_l4(v, INVALID_MFN) || pv_new_user_l4(v, INVALID_MFN))
            return -ERESTART;
    }
    lock(&d->pv->mmu);
    rc = frame_owner_release_all(&d->memory);
    unlock(&d->pv->mmu);
    return rc;
}
