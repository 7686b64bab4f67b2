/* SPDX-License-Identifier: MIT */
/* What sysctl and domctl share: one caller at a time, what is told of a domain, bitmaps and CPU
 * policies in the caller's memory. Public domctl.h; ABI.md 2.1.1 and 2.2. */
#include "hypercall/control.h"

#include "cpu/cpu.h"
#include "cpu/policy.h"
#include "hvm/hvm.h"
#include "lib/string.h"
#include "pv/pv.h"
#include "time/clock.h"

#define BITMAP_MAX_BYTES (MAX_CPUS / 8)
#define NO_SHUTDOWN_CODE 0xffu

static struct lock control_lock = LOCK_INIT(RANK_DOMCTL, "control");

bool control_enter(void)
{
    return lock_try(&control_lock);
}

locks_unchecked void control_leave(void)
{
    unlock(&control_lock);
}

/* ---- domains ---- */

static void vcpus_info(struct domain *d, struct xen_domctl_getdomaininfo *info)
{
    bool all_blocked = true;
    struct vcpu *v;

    info->max_vcpu_id = XEN_INVALID_MAX_VCPU_ID;
    for_each_vcpu (d, v) {
        uint32_t pause = read_once(v->pause);

        info->max_vcpu_id = v->id;
        info->cpu_time += vcpu_run_time(v);
        if (pause & BIT(VCPU_DOWN_BIT))
            continue;
        info->nr_online_vcpus++;
        if (!(pause & (BIT(VCPU_BLOCKED_BIT) | BIT(VCPU_POLLING_BIT))))
            all_blocked = false;
        if (read_once(v->unit.running))
            info->flags |= XEN_DOMINF_running;
    }
    if (all_blocked)
        info->flags |= XEN_DOMINF_blocked;
}

void control_domain_info(struct domain *d, struct xen_domctl_getdomaininfo *info)
{
    uint8_t code = NO_SHUTDOWN_CODE;

    memset(info, 0, sizeof(*info));
    info->domain = d->id;
    /* Who hears that it is shut down goes on to read its memory. */
    if (read_once(d->shut_down))
        domain_wait_stopped(d);
    lock(&d->lock);
    vcpus_info(d, info);
    info->flags |= d->state == DOMAIN_DEAD ? XEN_DOMINF_dying : 0;
    info->flags |= d->pause_count ? XEN_DOMINF_paused : 0;
    info->flags |= d->hvm ? XEN_DOMINF_hvm_guest | XEN_DOMINF_hap : 0;
    if (d->shut_down) {
        info->flags |= XEN_DOMINF_shutdown;
        code = d->shutdown_code;
    }
    info->flags |= (uint32_t)code << XEN_DOMINF_shutdownshift;
    memcpy(info->handle, d->handle, sizeof(info->handle));
    unlock(&d->lock);
    info->cpupool = d->sched.pool->id;
    info->tot_pages = read_once(d->memory.pages);
    info->max_pages = read_once(d->memory.max_pages);
    info->outstanding_pages = read_once(d->memory.claim);
    info->shared_info_frame = virt_to_mfn(d->shared_info).n;
    if (d->hvm) { /* by its own number, once it has put it somewhere */
        info->shared_info_frame = read_once(M2P[info->shared_info_frame]);
        info->arch_config.emulation_flags = d->hvm_domain->emulated;
    }
    info->gpaddr_bits = (uint8_t)cpu_paddr_bits;
}

/* ---- bitmaps ---- */

int control_mask_write(const struct xenctl_bitmap *b, const struct cpu_mask *m)
{
    size_t bytes = DIV_ROUND_UP((size_t)b->nr_bits, 8),
           known = min(bytes, (size_t)BITMAP_MAX_BYTES);
    uint64_t va = handle_va(b->bitmap);
    int rc = guest_write(va, m->bits, known);

    return rc || bytes == known ? rc : guest_clear(va + known, bytes - known);
}

int control_mask_read(const struct xenctl_bitmap *b, struct cpu_mask *m)
{
    uint32_t bits = min(b->nr_bits, (uint32_t)MAX_CPUS);

    memset(m, 0, sizeof(*m));
    if (guest_read(m->bits, handle_va(b->bitmap), DIV_ROUND_UP(bits, 8)))
        return -EFAULT;
    if (bits < MAX_CPUS)
        bitmap_clear_range(m->bits, bits, MAX_CPUS - bits);
    return 0;
}

/* ---- policies ---- */

struct leaf_list {
    uint64_t va; /* 0: only count */
    uint32_t room, n;
};

static int put_leaf(void *data, uint32_t leaf, uint32_t subleaf, const struct cpuid_leaf *l)
{
    struct leaf_list *list = data;
    const xen_cpuid_leaf_t out = {
        .leaf = leaf, .subleaf = subleaf, .a = l->a, .b = l->b, .c = l->c, .d = l->d};

    if (list->va) {
        if (list->n == list->room)
            return -ENOBUFS;
        if (guest_write_at(list->va, list->n, &out))
            return -EFAULT;
    }
    list->n++;
    return 0;
}

int control_policy_write(const struct cpu_policy *p, uint64_t leaves, uint32_t *nr_leaves,
                         uint64_t msrs, uint32_t *nr_msrs)
{
    struct leaf_list list = {.va = leaves, .room = *nr_leaves};
    const xen_msr_entry_t msr[POLICY_MSRS] = {
        {.idx = MSR_PLATFORM_INFO, .val = p->platform_info},
        {.idx = MSR_ARCH_CAPABILITIES, .val = p->arch_caps},
    };
    int rc = 0;

    if (leaves)
        rc = cpu_policy_for_each_leaf(p, put_leaf, &list);
    *nr_leaves = leaves ? list.n : POLICY_LEAVES_MAX;
    if (rc)
        return refuse(rc, "CPU policy: leaf %u of room for %u", list.n, list.room);
    if (msrs && *nr_msrs < POLICY_MSRS)
        return refuse(-ENOBUFS, "CPU policy: room for %u MSRs", *nr_msrs);
    *nr_msrs = POLICY_MSRS;
    return msrs ? guest_write(msrs, msr, sizeof(msr)) : 0;
}

static int read_leaves(struct cpu_policy *p, struct xen_domctl_cpu_policy *a)
{
    for (uint32_t i = 0; i < a->nr_leaves; i++) {
        xen_cpuid_leaf_t in;
        int rc;

        if (guest_read_at(&in, handle_va(a->leaves), i))
            return -EFAULT;
        rc = cpu_policy_set_leaf(p, in.leaf, in.subleaf,
                                 &(struct cpuid_leaf){.a = in.a, .b = in.b, .c = in.c, .d = in.d});
        if (rc) {
            a->err_leaf = in.leaf;
            a->err_subleaf = in.subleaf;
            return refuse(rc, "CPU policy: leaf %#x, subleaf %#x", in.leaf, in.subleaf);
        }
    }
    return 0;
}

int control_policy_read(struct cpu_policy *p, struct xen_domctl_cpu_policy *a)
{
    int rc;

    a->err_leaf = a->err_subleaf = a->err_msr = ~0u;
    if (a->nr_leaves > POLICY_LEAVES_MAX || a->nr_msrs > POLICY_MSRS)
        return refuse(-E2BIG, "CPU policy of %u leaves, %u MSRs", a->nr_leaves, a->nr_msrs);
    rc = read_leaves(p, a);
    for (uint32_t i = 0; !rc && i < a->nr_msrs; i++) {
        xen_msr_entry_t in;

        if (guest_read_at(&in, handle_va(a->msrs), i))
            return -EFAULT;
        if (in.flags)
            rc = refuse(-EINVAL, "CPU policy: MSR %#x has flags %#x", in.idx, in.flags);
        else if (in.idx == MSR_PLATFORM_INFO)
            p->platform_info = in.val;
        else if (in.idx == MSR_ARCH_CAPABILITIES)
            p->arch_caps = in.val;
        else
            rc = refuse(-ERANGE, "CPU policy: MSR %#x", in.idx);
        if (rc)
            a->err_msr = in.idx;
    }
    return rc;
}
