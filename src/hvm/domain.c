/* SPDX-License-Identifier: MIT */
/* The life of a fully virtual domain's own part: its physical address space, its CPU policy, and
 * the state of its vCPUs after reset. AMD APM vol. 2, 14.1.3; public arch-x86/hvm/start_info.h. */
#include "cpu/xstate.h"
#include "hvm/chips.h"
#include "hvm/hvm.h"
#include "lib/errno.h"
#include "memory/heap.h"

#define TABLES_UNLIMITED (1ull << 20)
#define TABLES_DEFAULT   256u /* until the tools say: set_paging_mempool_size */
#define MTRR_TYPE_WB     6u
#define MTRR_ENABLED     0xc00u

const struct hvm_ops *hvm_ops sealed;
long (*hvm_hypercall_call)(uint64_t op, const uint64_t args[6]) sealed;

static void audit_count(void)
{
    struct domain *d;

    for_each_domain (d)
        if (d->hvm_domain)
            p2m_audit(&d->hvm_domain->p2m);
}

static void part_domain_free(struct domain *d)
{
    struct hvm_domain *h = d->hvm_domain;

    if (!h)
        return;
    hvm_chips_free(d);
    if (h->p2m.owner)
        p2m_free(&h->p2m);
    heap_free(h->policy);
    heap_free(h);
    d->hvm_domain = NULL;
    d->p2m = NULL;
}

static int part_domain_init(struct domain *d, const struct domain_config *c)
{
    static struct frame_audit_source source sealed = {.name = "p2m", .count = audit_count};
    static bool known;
    struct hvm_domain *h;

    /* With the first domain of any kind: the list is read-only once all is started. */
    if (!__atomic_exchange_n(&known, true, __ATOMIC_RELAXED))
        frame_audit_register(&source);
    if (!d->hvm)
        return 0;
    if (!hvm_ops)
        return refuse(-EINVAL, "this machine has no fully virtual guests");
    h = heap_zalloc(sizeof(*h));
    if (!h)
        return -ENOMEM;
    d->hvm_domain = h;
    h->policy = heap_alloc(sizeof(*h->policy));
    h->emulated = c->emulated;
    if (!h->policy ||
        p2m_init(&h->p2m, &d->memory, d->hardware ? TABLES_UNLIMITED : TABLES_DEFAULT) ||
        hvm_chips_create(d)) {
        part_domain_free(d);
        return -ENOMEM;
    }
    d->p2m = &h->p2m;
    *h->policy = policy_hvm_default;
    return 0;
}

static void part_vcpu_free(struct vcpu *v)
{
    if (!v->hvm)
        return;
    vlapic_stop(&v->hvm->lapic);
    hvm_ops->vcpu_free(v);
    xstate_free(v->hvm->xstate);
    heap_free(v->hvm);
    v->hvm = NULL;
}

static int part_vcpu_init(struct vcpu *v)
{
    struct hvm_vcpu *h;
    int rc;

    if (!v->domain->hvm)
        return 0;
    h = heap_zalloc(sizeof(*h));
    if (!h)
        return -ENOMEM;
    v->hvm = h;
    h->cr0 = CR0_ET | CR0_CD | CR0_NW;
    h->wait_for_sipi = v->id != 0;
    vlapic_init(&h->lapic, &hvm_lapic_ops, v, v->id * 2);
    h->xcr0 = XCR0_X87;
    h->xcr0_accum = XCR0_DEFAULT;
    h->mtrr_def = MTRR_ENABLED | MTRR_TYPE_WB;
    rc = xstate_alloc(&h->xstate);
    if (!rc)
        rc = hvm_ops->vcpu_init(v);
    if (rc)
        part_vcpu_free(v);
    return rc;
}

static int part_domain_release(struct domain *d)
{
    struct vcpu *v;

    for_each_vcpu (d, v)
        if (v->hvm)
            vlapic_stop(&v->hvm->lapic);
    hvm_chips_stop(d);
    return d->hvm_domain ? p2m_release(&d->hvm_domain->p2m) : 0;
}

const struct domain_part hvm_part = {
    .name = "hvm",
    .domain_init = part_domain_init,
    .vcpu_init = part_vcpu_init,
    .domain_release = part_domain_release,
    .vcpu_free = part_vcpu_free,
    .domain_free = part_domain_free,
};

/* Extended state, memory types and the time stamp stay, as the manual says of INIT. */
void hvm_vcpu_reset(struct vcpu *v)
{
    struct hvm_vcpu *h = v->hvm;

    h->cr0 = CR0_ET | (h->cr0 & (CR0_CD | CR0_NW));
    h->cr4 = h->efer = 0;
    h->pending.type = HVM_EVENT_NONE;
    h->nmi_masked = false;
    hvm_ops->reset(v);
    hvm_ops->update_control(v);
    *vcpu_regs(v) =
        (struct regs){.rip = 0xfff0, .rflags = RFLAGS_MBS, .rdx = policy_host.basic[1].a};
}

void hvm_vcpu_start_pvh(struct vcpu *v, uint32_t entry, uint32_t start_info)
{
    const struct emul_segment code = {.attr = 0xc9b, .limit = ~0u};
    const struct emul_segment data = {.attr = 0xc93, .limit = ~0u};
    const struct emul_segment task = {.attr = 0x08b, .limit = 0x67};
    const unsigned flat[] = {EMUL_SEG_DS, EMUL_SEG_ES, EMUL_SEG_SS};

    hvm_ops->set_segment(v, EMUL_SEG_CS, &code);
    for (unsigned i = 0; i < ARRAY_SIZE(flat); i++)
        hvm_ops->set_segment(v, flat[i], &data);
    hvm_ops->set_segment(v, HVM_SEG_TR, &task);
    v->hvm->cr0 = CR0_PE | CR0_ET;
    v->hvm->cr4 = v->hvm->efer = 0;
    hvm_ops->update_control(v);
    v->regs = (struct regs){.rip = entry, .rbx = start_info, .rflags = RFLAGS_MBS};
}
