/* SPDX-License-Identifier: MIT */
/* What the tools in domain 0 do to others (and others try): domctl with arguments of all kinds, and
 * domains that are made, half made, and destroyed by hypercalls. */
#include <string.h>

#include "hypercall/pirq.h"
#include "world.h"

#include <xen/domctl.h>
#include <xen/memory.h>
#include <xen/platform.h>
#include <xen/sysctl.h>

#define XSAVE_AREA_MIN 512u /* where the header of an image is */

static long domctl_of(struct xen_domctl *op, unsigned cmd, domid_t dom, uint64_t *va)
{
    op->cmd = cmd;
    op->domain = dom;
    op->interface_version = XEN_DOMCTL_INTERFACE_VERSION;
    *va = put(op, sizeof(*op));
    return hcall(__HYPERVISOR_domctl, *va, 0, 0, 0);
}

/* ---- any operation, nearly right ---- */

static void aim_state(struct xen_domctl *op, unsigned cmd, uint64_t list)
{
    switch (cmd) {
    case XEN_DOMCTL_set_ext_vcpucontext:
    case XEN_DOMCTL_get_ext_vcpucontext:
        op->u.ext_vcpucontext.vcpu = pvg_random(4);
        op->u.ext_vcpucontext.size = pvg_random(80);
        break;
    case XEN_DOMCTL_setvcpuextstate:
    case XEN_DOMCTL_getvcpuextstate:
        op->u.vcpuextstate.vcpu = pvg_random(4);
        op->u.vcpuextstate.size = chance(4) ? any_u64() : chance(3) ? 0 : 592;
        if (chance(2)) { /* as it is by default */
            memset(list_page(), 0, 2 * XSAVE_AREA_MIN);
            ((uint64_t *)list_page())[0] = ((uint64_t *)list_page())[1] = 3;
            ((uint64_t *)list_page())[2 + XSAVE_AREA_MIN / 8] = pvg_random(8);
        }
        set_xen_guest_handle(op->u.vcpuextstate.buffer, (uint64_t *)list);
        break;
    case XEN_DOMCTL_set_vcpu_msrs:
    case XEN_DOMCTL_get_vcpu_msrs:
        op->u.vcpu_msrs.vcpu = pvg_random(4);
        op->u.vcpu_msrs.msr_count = pvg_random(9);
        for (unsigned i = 0; i < 8; i++)
            ((xen_domctl_vcpu_msr_t *)list_page())[i] = (xen_domctl_vcpu_msr_t){
                .index = chance(4) ? pvg_random(0x200) : 0xc0000103, .value = pvg_random(100)};
        set_xen_guest_handle(op->u.vcpu_msrs.msrs, (xen_domctl_vcpu_msr_t *)(chance(8) ? 0 : list));
        break;
    }
}

static void aim(struct xen_domctl *op, unsigned cmd)
{
    uint8_t page[PAGE_SIZE];
    uint64_t list;

    scramble(page, sizeof(page));
    list = put_list(page, sizeof(page));
    switch (cmd) {
    case XEN_DOMCTL_getvcpucontext:
    case XEN_DOMCTL_setvcpucontext:
        op->u.vcpucontext.vcpu = pvg_random(4);
        if (chance(4)) /* none at all, in the list's place */
            set_xen_guest_handle(op->u.vcpucontext.ctxt, (void *)list);
        else if (chance(4)) /* reset */
            set_xen_guest_handle(op->u.vcpucontext.ctxt, NULL);
        else
            set_xen_guest_handle(op->u.vcpucontext.ctxt, (void *)any_va());
        break;
    case XEN_DOMCTL_getpageframeinfo3:
        op->u.getpageframeinfo3.num = pvg_random(chance(8) ? 2000 : 300);
        for (unsigned i = 0; i < 300; i++)
            ((uint64_t *)list_page())[i] = any_mfn(any_dom()).n;
        set_xen_guest_handle(op->u.getpageframeinfo3.array, (xen_pfn_t *)list);
        break;
    case XEN_DOMCTL_max_mem:
        op->u.max_mem.max_memkb = chance(3) ? any_u64() : 4ul * (WORLD_FRAMES + pvg_random(60));
        break;
    case XEN_DOMCTL_setvcpuaffinity:
    case XEN_DOMCTL_getvcpuaffinity:
        op->u.vcpuaffinity.vcpu = pvg_random(4);
        op->u.vcpuaffinity.flags = pvg_random(chance(8) ? 16 : 4);
        op->u.vcpuaffinity.cpumap_hard.nr_bits = op->u.vcpuaffinity.cpumap_soft.nr_bits =
            pvg_random(100);
        *(uint64_t *)list_page() = 1 + pvg_random(7);
        set_xen_guest_handle(op->u.vcpuaffinity.cpumap_hard.bitmap, (uint8_t *)list);
        set_xen_guest_handle(op->u.vcpuaffinity.cpumap_soft.bitmap, (uint8_t *)list);
        break;
    case XEN_DOMCTL_setnodeaffinity:
    case XEN_DOMCTL_getnodeaffinity:
        op->u.nodeaffinity.nodemap.nr_bits = pvg_random(100);
        set_xen_guest_handle(op->u.nodeaffinity.nodemap.bitmap, (uint8_t *)list);
        break;
    case XEN_DOMCTL_getvcpuinfo:
        op->u.getvcpuinfo.vcpu = pvg_random(4);
        break;
    case XEN_DOMCTL_sendtrigger:
        op->u.sendtrigger.vcpu = pvg_random(4);
        op->u.sendtrigger.trigger = pvg_random(6);
        break;
    case XEN_DOMCTL_hypercall_init:
        op->u.hypercall_init.gmfn = any_mfn(chance(2) ? me : any_dom()).n;
        break;
    case XEN_DOMCTL_shadow_op:
        op->u.shadow_op.op = chance(2) ? XEN_DOMCTL_SHADOW_OP_OFF : pvg_random(40);
        break;
    case XEN_DOMCTL_memory_mapping:
        op->u.memory_mapping.first_mfn = chance(4) ? any_u64() : 0xa0;
        op->u.memory_mapping.nr_mfns = pvg_random(4);
        break;
    case XEN_DOMCTL_set_address_size:
        op->u.address_size.size = chance(2) ? 64 : pvg_random(70);
        break;
    case XEN_DOMCTL_subscribe:
        op->u.subscribe.port = pvg_random(20);
        break;
    case XEN_DOMCTL_set_virq_handler:
        op->u.set_virq_handler.virq = pvg_random(24);
        break;
    case XEN_DOMCTL_iomem_permission:
        op->u.iomem_permission.first_mfn = 0x98 + pvg_random(0x30);
        op->u.iomem_permission.nr_mfns = pvg_random(8);
        op->u.iomem_permission.allow_access = (uint8_t)pvg_random(2);
        break;
    case XEN_DOMCTL_ioport_permission:
        op->u.ioport_permission.first_port = pvg_random(0x10010);
        op->u.ioport_permission.nr_ports = pvg_random(64);
        op->u.ioport_permission.allow_access = (uint8_t)pvg_random(2);
        break;
    case XEN_DOMCTL_irq_permission:
        op->u.irq_permission.pirq = (uint8_t)pvg_random(20);
        op->u.irq_permission.allow_access = (uint8_t)pvg_random(2);
        break;
    case XEN_DOMCTL_scheduler_op:
        op->u.scheduler_op.sched_id = chance(4) ? pvg_random(8) : XEN_SCHEDULER_CREDIT2;
        op->u.scheduler_op.cmd = pvg_random(5);
        break;
    case XEN_DOMCTL_get_cpu_policy:
    case XEN_DOMCTL_set_cpu_policy:
        op->u.cpu_policy.nr_leaves = pvg_random(60);
        op->u.cpu_policy.nr_msrs = pvg_random(6);
        set_xen_guest_handle(op->u.cpu_policy.leaves, (void *)list);
        set_xen_guest_handle(op->u.cpu_policy.msrs, (void *)(list + 2048));
        break;
    case XEN_DOMCTL_settscinfo:
        op->u.tsc_info.tsc_mode = pvg_random(5);
        op->u.tsc_info.gtsc_khz = chance(3) ? (uint32_t)any_u64() : 1000000;
        break;
    default:
        aim_state(op, cmd, list);
        break;
    }
}

static long do_domctl(void)
{
    static const uint8_t known[] = {2,  3,  4,  5,  6,  9,  10, 11, 12, 13, 14, 15, 16, 17,
                                    19, 20, 21, 22, 24, 25, 27, 28, 29, 35, 36, 39, 42, 43,
                                    59, 60, 61, 62, 63, 66, 68, 69, 71, 72, 73, 82, 83};
    unsigned cmd = chance(4) ? pvg_random(90) : known[pvg_random(ARRAY_SIZE(known))];
    struct xen_domctl op;
    domid_t dom = any_domid();
    bool privileged = me->d->privileged;
    uint64_t va;
    long rc;

    /* What stops a domain for good is rarer than the rest. */
    if ((cmd == XEN_DOMCTL_destroydomain || cmd == XEN_DOMCTL_createdomain) && !chance(8))
        return -EPERM;
    /* Who looks a permission up holds no lock against its change: docs/TESTING.md, "Not done". */
    if (world_parallel && (cmd == XEN_DOMCTL_iomem_permission ||
                           cmd == XEN_DOMCTL_ioport_permission || cmd == XEN_DOMCTL_irq_permission))
        return -EPERM;
    scramble(&op, sizeof(op));
    aim(&op, cmd);
    if (chance(64))
        op.interface_version++;
    rc = domctl_of(&op, cmd, dom, &va);
    if (rc >= 0 && !privileged)
        world_flaw("an unprivileged domain has got domctl %u done", cmd);
    return rc;
}

/* The whole context of a vCPU is read, changed a little, and given back. It is longer than a page,
 * so it takes both of vCPU 0's; the structure itself stands on the stack. */
static long do_context(void)
{
    struct vcpu_guest_context *c = (void *)pvg_va(PFN_ARG);
    uint64_t at = pvg_va(PFN_STACK) + 1024;
    struct xen_domctl op = {.cmd = XEN_DOMCTL_getvcpucontext,
                            .domain = any_domid(),
                            .interface_version = XEN_DOMCTL_INTERFACE_VERSION};
    struct world_dom *w = me;
    long rc;

    if (current()->id || !me->d->privileged)
        return -EPERM;
    op.u.vcpucontext.vcpu = pvg_random(3);
    set_xen_guest_handle(op.u.vcpucontext.ctxt, (void *)c);
    if (hw_copy_to_guest(at, &op, sizeof(op)))
        return -EFAULT;
    rc = hcall(__HYPERVISOR_domctl, at, 0, 0, 0);
    if (rc || me != w || current()->id)
        return rc;
    if (chance(2))
        *(uint64_t *)arg_at((uint64_t)(uintptr_t)&c->debugreg[pvg_random(8)]) = any_u64();
    if (chance(4))
        *(uint64_t *)arg_at((uint64_t)(uintptr_t)&c->ctrlreg[pvg_random(5)]) = any_u64();
    if (chance(4))
        *(uint64_t *)arg_at((uint64_t)(uintptr_t)&c->event_callback_eip + 8 * pvg_random(3)) =
            any_u64();
    if (chance(6))
        *(uint64_t *)arg_at((uint64_t)(uintptr_t)&c->gdt_ents) = pvg_random(8000);
    if (chance(4)) /* a segment that cannot be loaded */
        *(uint64_t *)arg_at((uint64_t)(uintptr_t)&c->user_regs.es + 8 * pvg_random(4)) =
            pvg_random(0x10000);
    op.cmd = chance(8) ? XEN_DOMCTL_getvcpucontext : XEN_DOMCTL_setvcpucontext;
    if (hw_copy_to_guest(at, &op, sizeof(op)))
        return -EFAULT;
    return hcall(__HYPERVISOR_domctl, at, 0, 0, 0);
}

/* The records of a fully virtual domain's state, longer than a page as well. */
static long do_records(void)
{
    uint64_t at = pvg_va(PFN_STACK) + 1024, buffer = pvg_va(PFN_ARG);
    struct xen_domctl op = {.cmd = XEN_DOMCTL_gethvmcontext,
                            .domain = chance(8) || !world_hvm.d ? any_domid() : world_hvm.d->id,
                            .interface_version = XEN_DOMCTL_INTERFACE_VERSION};
    struct world_dom *w = me;
    long rc;

    if (current()->id || !me->d->privileged)
        return -EPERM;
    if (chance(4)) {
        op.cmd = XEN_DOMCTL_gethvmcontext_partial;
        op.u.hvmcontext_partial.type = pvg_random(24);
        op.u.hvmcontext_partial.bufsz = chance(8) ? pvg_random(64) : 2 * PAGE_SIZE;
        set_xen_guest_handle(op.u.hvmcontext_partial.buffer, (void *)(chance(8) ? 0 : buffer));
    } else {
        op.u.hvmcontext.size = chance(8) ? pvg_random(64) : 2 * PAGE_SIZE;
        set_xen_guest_handle(op.u.hvmcontext.buffer, (void *)(chance(8) ? 0 : buffer));
    }
    if (hw_copy_to_guest(at, &op, sizeof(op)))
        return -EFAULT;
    rc = hcall(__HYPERVISOR_domctl, at, 0, 0, 0);
    if (rc || me != w || op.cmd != XEN_DOMCTL_gethvmcontext || current()->id)
        return rc;
    op.cmd = XEN_DOMCTL_sethvmcontext;
    if (chance(2))
        *(uint64_t *)arg_at(buffer + 8 * pvg_random(2 * PAGE_SIZE / 8)) = any_u64();
    if (hw_copy_to_guest(at, &op, sizeof(op)))
        return -EFAULT;
    return hcall(__HYPERVISOR_domctl, at, 0, 0, 0);
}

/* The leaves and MSRs of a policy, one changed, of a domain that is being made. */
static long do_policy(void)
{
    struct xen_domctl op = {0};
    uint64_t list = pvg_va(PFN_ARG + 2 * current()->id + 1), va;
    xen_cpuid_leaf_t *leaf = list_page();
    struct world_dom *w = me;
    domid_t id = chance(4) ? any_domid() : world_nursery();
    long rc;

    memset(leaf, 0, PAGE_SIZE);
    op.u.cpu_policy.nr_leaves = 150;
    op.u.cpu_policy.nr_msrs = 2;
    set_xen_guest_handle(op.u.cpu_policy.leaves, (void *)list);
    set_xen_guest_handle(op.u.cpu_policy.msrs, (void *)(list + 150 * sizeof(*leaf)));
    rc = domctl_of(&op, XEN_DOMCTL_get_cpu_policy, id, &va);
    if (rc || me != w || !me->d->privileged)
        return rc;
    op.u.cpu_policy.nr_leaves = ((struct xen_domctl *)arg_at(va))->u.cpu_policy.nr_leaves;
    leaf = list_page();
    leaf += pvg_random(min(op.u.cpu_policy.nr_leaves, 150u) + 1);
    if (chance(2))
        leaf->a ^= 1u << pvg_random(32);
    if (chance(2))
        leaf->d ^= 1u << pvg_random(32);
    if (chance(16))
        leaf->leaf = (uint32_t)any_u64();
    return domctl_of(&op, XEN_DOMCTL_set_cpu_policy, id, &va);
}

/* ---- a domain from its making to its end ---- */

struct nursery {
    domid_t id;
    unsigned stage;
    uint64_t frame[16];
};
static struct nursery nursery;

domid_t world_nursery(void)
{
    return nursery.stage ? nursery.id : 0;
}

static long born(void)
{
    struct xen_domctl op = {0};
    struct world_dom *w = me;
    uint64_t va;
    long rc;

    op.u.createdomain.max_vcpus = 1 + pvg_random(3);
    op.u.createdomain.max_evtchn_port = 127;
    op.u.createdomain.max_grant_frames = 2;
    op.u.createdomain.max_maptrack_frames = 1;
    op.u.createdomain.grant_opts = XEN_DOMCTL_GRANT_version(1 + pvg_random(2));
    op.u.createdomain.cpupool_id = chance(4) ? pvg_random(4) : 0;
    if (chance(4)) { /* fully virtual */
        op.u.createdomain.flags = XEN_DOMCTL_CDF_hvm | (chance(8) ? 0 : XEN_DOMCTL_CDF_hap);
        op.u.createdomain.arch.emulation_flags = chance(8) ? pvg_random(64) : XEN_X86_EMU_LAPIC;
    }
    if (chance(8))
        scramble(&op.u.createdomain, sizeof(op.u.createdomain));
    rc = domctl_of(&op, XEN_DOMCTL_createdomain, chance(4) ? (domid_t)(150 + pvg_random(20)) : 0,
                   &va);
    if (rc || me != w)
        return rc;
    nursery = (struct nursery){.id = ((struct xen_domctl *)arg_at(va))->domain, .stage = 1};
    /* As many vCPUs as it was made for, or it stays as it is. */
    op.u.max_vcpus.max = op.u.createdomain.max_vcpus;
    rc = domctl_of(&op, XEN_DOMCTL_max_vcpus, nursery.id, &va);
    if (rc || me != w)
        return rc;
    op.u.max_mem.max_memkb = 4 * 64;
    return domctl_of(&op, XEN_DOMCTL_max_mem, nursery.id, &va);
}

static long fed(void)
{
    struct xen_memory_reservation a = {.nr_extents = ARRAY_SIZE(nursery.frame),
                                       .domid = nursery.id};
    uint64_t list;
    long rc;

    for (unsigned i = 0; i < ARRAY_SIZE(nursery.frame); i++)
        nursery.frame[i] = i;
    list = put_list(nursery.frame, sizeof(nursery.frame));
    set_xen_guest_handle(a.extent_start, (xen_pfn_t *)list);
    rc = hcall(__HYPERVISOR_memory_op, XENMEM_populate_physmap, put(&a, sizeof(a)), 0, 0);
    if (rc > 0 && me && me->d->privileged)
        memcpy(nursery.frame, arg_at(list), (size_t)min(rc, 16l) * 8);
    return rc;
}

/* Its tables, written through a foreign mapping, then made tables. */
static long built(void)
{
    struct world_dom *w = me;
    unsigned pfn = any_pfn(), i = pvg_random(4);
    struct mmu_update u = {virt_to_paddr(world_l1e(me, pfn)),
                           pte_make(mfn(nursery.frame[i]), PTE_P | PTE_RW)};
    struct mmuext_op op = {.cmd = MMUEXT_PIN_L1_TABLE + i};
    uint64_t below = i ? nursery.frame[i - 1] : nursery.frame[8];
    long rc = hcall(__HYPERVISOR_mmu_update, put_list(&u, sizeof(u)), 1, 0, nursery.id);

    if (rc || me != w)
        return rc;
    rc = hw_write_guest_u64(pvg_va(pfn) + 8 * (i == 3 ? 0 : pvg_random(4)),
                            pte_make(mfn(below), PTE_P | PTE_U | PTE_RW));
    if (!rc && !chance(4))
        rc = hcall(__HYPERVISOR_update_va_mapping, pvg_va(pfn), 0, chance(2) ? UVMF_INVLPG : 0, 0);
    if (rc || me != w)
        return rc;
    op.arg1.mfn = nursery.frame[i];
    return hcall(__HYPERVISOR_mmuext_op, put(&op, sizeof(op)), 1, 0, nursery.id);
}

static long set_off(void)
{
    struct vcpu_guest_context *c = (void *)pvg_va(PFN_ARG); /* two pages: not the list's */
    struct xen_domctl op = {0};
    uint64_t va;
    long rc;

    op.u.vcpucontext.vcpu = pvg_random(2);
    /* 5 KiB do not fit an argument page: they stand over both. */
    if (current()->id == 0) {
        struct vcpu_guest_context *at = arg_at((uint64_t)(uintptr_t)c);

        memset(at, 0, PAGE_SIZE);
        at->flags = VGCF_in_kernel | (chance(2) ? VGCF_online : 0);
        at->user_regs.rip = pvg_va(0);
        memset(arg_at((uint64_t)(uintptr_t)c + PAGE_SIZE), 0, PAGE_SIZE);
        /* ctrlreg lies in the second page */
        *(uint64_t *)arg_at((uint64_t)(uintptr_t)&c->ctrlreg[3]) = nursery.frame[3] << PAGE_SHIFT;
        if (chance(4))
            *(uint64_t *)arg_at((uint64_t)(uintptr_t)&c->gdt_ents) = 1 + pvg_random(600);
        *(uint64_t *)arg_at((uint64_t)(uintptr_t)&c->gdt_frames[0]) = nursery.frame[9];
        *(uint64_t *)arg_at((uint64_t)(uintptr_t)&c->gdt_frames[1]) = nursery.frame[10];
    }
    set_xen_guest_handle(op.u.vcpucontext.ctxt, (void *)c);
    /* The structure itself elsewhere. */
    op.cmd = XEN_DOMCTL_setvcpucontext;
    op.domain = nursery.id;
    op.interface_version = XEN_DOMCTL_INTERFACE_VERSION;
    if (hw_copy_to_guest(pvg_va(PFN_STACK) + 1024, &op, sizeof(op)))
        return -EFAULT;
    rc = hcall(__HYPERVISOR_domctl, pvg_va(PFN_STACK) + 1024, 0, 0, 0);
    if (!rc && me && me->d->privileged && chance(2))
        rc = domctl_of(&op, XEN_DOMCTL_unpausedomain, nursery.id, &va);
    return rc;
}

static long gone(void)
{
    struct xen_domctl op = {0};
    domid_t id = nursery.id;
    uint64_t va;
    long rc = domctl_of(&op, XEN_DOMCTL_destroydomain, id, &va);

    if (rc != -ERESTART)
        nursery.stage = 0;
    return rc;
}

static long do_nursery(void)
{
    static long (*const stages[])(void) = {born, fed, built, built, built, built, set_off, gone};

    if (!me->d->privileged || current()->id > 1)
        return -EPERM;
    if (nursery.stage >= ARRAY_SIZE(stages) || chance(12))
        nursery.stage = nursery.stage ? ARRAY_SIZE(stages) - 1 : 0;
    if (nursery.stage == 0 || nursery.stage == ARRAY_SIZE(stages) - 1)
        return stages[nursery.stage]();
    return stages[nursery.stage++]();
}

const struct world_kind world_control_kinds[] = {
    {"domctl", do_domctl, 8},   {"nursery", do_nursery, 8}, {"context", do_context, 1},
    {"records", do_records, 1}, {"policy", do_policy, 1},   {NULL, NULL, 0},
};
