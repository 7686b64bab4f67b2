/* SPDX-License-Identifier: MIT */
/* A fully virtual domain in the world: what domain 0's tools do to its physical address space, and
 * the hypercalls of its own kernel. Its processor only remembers (struct hvm_ops), and nothing of
 * it runs but its calls: paging is off, so addresses are physical. */
#include <string.h>

#include "base/softirq.h"
#include "frame/p2m.h"
#include "hvm/hvm.h"
#include "hypercall/hypercall.h"
#include "hypercall/ops.h"
#include "world.h"

#include <xen/hvm/hvm_op.h>
#include <xen/memory.h>
#include <xen/vcpu.h>
#include <xen/version.h>

#define GFNS      48u /* of which most is done */
#define ARG_GFN   2u
#define LARGE_GFN 1024u /* 2-MiB pages go here */

struct world_dom world_hvm;

/* ---- the processor ---- */

static struct emul_segment segment[HVM_SEGS];
static uint64_t cr[5], dr[8], pat = 0x0007040600070406;

static int vcpu_init(struct vcpu *v)
{
    return 0;
}

static void nothing(struct vcpu *v)
{
}

static void get_segment(const struct vcpu *v, unsigned seg, struct emul_segment *s)
{
    *s = segment[seg];
}

static void set_segment(struct vcpu *v, unsigned seg, const struct emul_segment *s)
{
    segment[seg] = *s;
}

static uint64_t get_cr(const struct vcpu *v, unsigned nr)
{
    return cr[nr];
}

static void set_cr(struct vcpu *v, unsigned nr, uint64_t val)
{
    cr[nr] = val;
}

static uint64_t get_dr(const struct vcpu *v, unsigned nr)
{
    return dr[nr];
}

static void set_dr(struct vcpu *v, unsigned nr, uint64_t val)
{
    dr[nr] = val;
}

static uint8_t get_cpl(const struct vcpu *v)
{
    return 0;
}

static bool get_msr(const struct vcpu *v, uint32_t index, uint64_t *val)
{
    *val = pat;
    return index == MSR_PAT;
}

static bool set_msr(struct vcpu *v, uint32_t index, uint64_t val)
{
    if (index == MSR_PAT)
        pat = val;
    return index == MSR_PAT;
}

static bool can_take(const struct vcpu *v, enum hvm_event_type t)
{
    return true;
}

static void inject(struct vcpu *v, const struct hvm_event *e)
{
}

static void set_tpr(struct vcpu *v, uint8_t tpr, bool watch)
{
}

static void request_window(struct vcpu *v, enum hvm_event_type t)
{
}

static const struct hvm_ops processor = {
    .name = "world",
    .vcpu_init = vcpu_init,
    .vcpu_free = nothing,
    .reset = nothing,
    .load = nothing,
    .save = nothing,
    .run = nothing,
    .get_segment = get_segment,
    .set_segment = set_segment,
    .get_cr = get_cr,
    .set_cr = set_cr,
    .get_dr = get_dr,
    .set_dr = set_dr,
    .get_cpl = get_cpl,
    .update_control = nothing,
    .get_msr = get_msr,
    .set_msr = set_msr,
    .can_take = can_take,
    .inject = inject,
    .set_tpr = set_tpr,
    .request_window = request_window,
};

void world_hvm_machine(void)
{
    hvm_ops = &processor;
    memset(&world_hvm, 0, sizeof(world_hvm));
}

bool world_hvm_live(domid_t id)
{
    struct domain_config c = {
        .id = id,
        .hvm = true,
        .max_vcpus = 1,
        .max_evtchn_port = 127,
        .max_grant_frames = 2,
        .max_maptrack_frames = 1,
        .max_grant_version = 2,
    };
    struct vcpu *v;
    mfn_t m;

    memset(&world_hvm, 0, sizeof(world_hvm));
    if (domain_create(&c, &world_hvm.d))
        return false;
    __atomic_fetch_add(&world_hvm.d->refs, 1, __ATOMIC_RELAXED);
    world_hvm.d->memory.max_pages = GFNS + 600;
    if (vcpu_create(world_hvm.d, 0, &v))
        return false;
    lock(&world_hvm.d->p2m->lock);
    for (unsigned i = 0; i < GFNS / 2; i++)
        if (frame_alloc(&world_hvm.d->memory, 0, 0, &m) ||
            p2m_map(world_hvm.d->p2m, i, m, 0, P2M_RAM))
            return false;
        else
            frame_m2p_set(m, i);
    unlock(&world_hvm.d->p2m->lock);
    hvm_vcpu_start_pvh(v, 0x1000, 0x2000);
    v->initialised = true;
    hypercall_vcpu_up(v);
    return !domain_unpause(world_hvm.d);
}

/* ---- arguments ---- */

static uint64_t any_gfn(void)
{
    switch (pvg_random(24)) {
    case 0:
        return any_u64();
    case 1:
        return P2M_GFNS - pvg_random(3);
    case 2:
    case 3:
        return LARGE_GFN + 512 * pvg_random(2) + pvg_random(6);
    case 4:
        return 1ull << 18 * pvg_random(2); /* other tables on the way */
    default:
        return pvg_random(GFNS);
    }
}

static unsigned aim_place(uint8_t *a, domid_t id)
{
    struct xen_add_to_physmap add = {
        .domid = id,
        .space = chance(8) ? pvg_random(7) : pvg_random(3),
        .idx = pvg_random(3),
        .gpfn = any_gfn(),
    };
    struct xen_remove_from_physmap remove = {.domid = id, .gpfn = any_gfn()};

    if (chance(4)) {
        memcpy(a, &remove, sizeof(remove));
        return XENMEM_remove_from_physmap;
    }
    if (add.space == XENMAPSPACE_gmfn)
        add.idx = any_gfn();
    else if (add.space == XENMAPSPACE_grant_table && chance(2))
        add.idx |= XENMAPIDX_grant_table_status;
    memcpy(a, &add, sizeof(add));
    return XENMEM_add_to_physmap;
}

/* A reservation's operation, its list at `list`. */
static unsigned aim_extents(uint8_t *a, domid_t id, uint64_t list, uint64_t *gfn)
{
    static const uint8_t cmds[] = {XENMEM_populate_physmap, XENMEM_populate_physmap,
                                   XENMEM_decrease_reservation, XENMEM_increase_reservation};
    struct xen_memory_reservation r = {.nr_extents = 1 + pvg_random(6), .domid = id};

    for (unsigned i = 0; i < 8; i++)
        gfn[i] = any_gfn();
    if (chance(12)) {
        r.extent_order = chance(2) ? 9 : pvg_random(12);
        r.nr_extents = 1;
        gfn[0] = LARGE_GFN + 512 * pvg_random(3) + chance(4);
    }
    set_xen_guest_handle(r.extent_start, (xen_pfn_t *)list);
    memcpy(a, &r, sizeof(r));
    return cmds[pvg_random(ARRAY_SIZE(cmds))];
}

static unsigned aim_param(uint8_t *a, domid_t id)
{
    static const uint8_t index[] = {
        HVM_PARAM_CALLBACK_IRQ, HVM_PARAM_STORE_PFN, HVM_PARAM_STORE_EVTCHN, HVM_PARAM_IOREQ_PFN,
        HVM_PARAM_TIMER_MODE,   HVM_PARAM_VIRIDIAN,  HVM_PARAM_CONSOLE_PFN,  HVM_PARAM_IDENT_PT};
    struct xen_hvm_param p = {.domid = id,
                              .index =
                                  chance(4) ? pvg_random(50) : index[pvg_random(ARRAY_SIZE(index))],
                              .value = chance(3) ? any_u64() : pvg_random(8)};
    struct xen_hvm_evtchn_upcall_vector u = {.vcpu = pvg_random(3),
                                             .vector = (uint8_t)pvg_random(256)};
    if (chance(5)) {
        memcpy(a, &u, sizeof(u));
        return HVMOP_set_evtchn_upcall_vector;
    }
    memcpy(a, &p, sizeof(p));
    return chance(16) ? pvg_random(30) : chance(2) ? HVMOP_set_param : HVMOP_get_param;
}

/* ---- what others do to it ---- */

static domid_t target(void)
{
    return chance(12) || !world_hvm.d ? any_domid() : world_hvm.d->id;
}

static long do_physmap(void)
{
    bool privileged = me->d->privileged;
    uint8_t a[64] = {0};
    domid_t id = target();
    long rc = hcall(__HYPERVISOR_memory_op, aim_place(a, id), put(a, sizeof(a)), 0, 0);

    if (!rc && !privileged)
        world_flaw("an unprivileged domain has changed the address space of domain %u", id);
    return rc;
}

static long do_populate(void)
{
    uint64_t gfn[8], list = pvg_va(PFN_ARG + 2 * current()->id + 1);
    uint8_t a[64] = {0};
    unsigned cmd = aim_extents(a, target(), list, gfn);

    (void)put_list(gfn, sizeof(gfn));
    return hcall(__HYPERVISOR_memory_op, cmd, put(a, sizeof(a)), 0, 0);
}

static long do_param(void)
{
    uint8_t a[64] = {0};
    unsigned cmd = aim_param(a, chance(6) ? DOMID_SELF : target());

    return hcall(__HYPERVISOR_hvm_op, cmd, put(a, sizeof(a)), 0, 0);
}

const struct world_kind world_hvm_kinds[] = {
    {"physmap", do_physmap, 6},
    {"populate", do_populate, 4},
    {"hvm param", do_param, 2},
    {NULL, NULL, 0},
};

/* ---- what its own kernel does ---- */

static uint64_t give(const void *p, size_t n, unsigned page)
{
    uint64_t gpa = (ARG_GFN + page) << PAGE_SHIFT;

    if (hvm_write_physical(current()->domain, gpa, p, n))
        return gpa; /* domain 0 has taken the page: a fault */
    return chance(100) ? any_u64() : gpa;
}

static long call(uint64_t op, uint64_t a0, uint64_t a1, uint64_t a2)
{
    struct regs *r = &cpu_local()->guest;
    struct vcpu *v = current();
    long rc = -ERESTART;

    r->rax = op;
    r->rdi = a0;
    r->rsi = a1;
    r->rdx = a2;
    world_may_fail = true;
    for (unsigned i = 0; current() == v && i < 1000; i++) {
        const uint64_t args[6] = {r->rdi, r->rsi, r->rdx, r->r10, r->r8, r->r9};

        v->continued = false;
        v->refusals.call = (uint32_t)r->rax;
        __atomic_fetch_add(&world_calls, 1, __ATOMIC_RELAXED);
        rc = hypercall_of_hvm(r->rax, args);
        if (!v->continued)
            break;
        v->continued = false;
        r->rip += 3;
        world_exit();
    }
    world_may_fail = false;
    if (current() == v)
        world_exit();
    return rc;
}

static long own_event(void)
{
    uint64_t a[3] = {pvg_random(8), any_domid(), pvg_random(8)};

    return call(__HYPERVISOR_event_channel_op, pvg_random(14), give(a, sizeof(a), 0), 0);
}

static long own_sched(void)
{
    struct sched_poll poll = {.nr_ports = pvg_random(3)};
    evtchn_port_t port[4] = {1, 2, 3};

    switch (pvg_random(6)) {
    case 0:
        set_xen_guest_handle(poll.ports, (evtchn_port_t *)give(port, sizeof(port), 1));
        return call(__HYPERVISOR_sched_op, SCHEDOP_poll, give(&poll, sizeof(poll), 0), 0);
    case 1:
        return call(__HYPERVISOR_sched_op, SCHEDOP_block, 0, 0);
    case 2:
        if (chance(40))
            return call(__HYPERVISOR_sched_op, SCHEDOP_shutdown, give(port, sizeof(port), 0), 0);
        return call(__HYPERVISOR_set_timer_op, chance(2) ? 0 : any_u64(), 0, 0);
    case 3:
        return call(__HYPERVISOR_vm_assist, pvg_random(2), pvg_random(8), 0);
    default:
        return call(__HYPERVISOR_sched_op, SCHEDOP_yield, 0, 0);
    }
}

static long own_vcpu(void)
{
    struct vcpu_register_vcpu_info info = {.mfn = any_gfn(), .offset = 8 * pvg_random(520)};
    uint64_t a[8] = {any_u64(), any_u64()};

    if (chance(3))
        return call(__HYPERVISOR_vcpu_op, VCPUOP_register_vcpu_info, 0,
                    give(&info, sizeof(info), 0));
    return call(__HYPERVISOR_vcpu_op, chance(2) ? VCPUOP_initialise : 3 + pvg_random(11), 0,
                give(a, sizeof(a), 0));
}

static long own_memory(void)
{
    uint64_t gfn[8];
    uint8_t a[64] = {0};
    unsigned cmd;

    if (chance(2)) {
        cmd = aim_place(a, chance(8) ? any_domid() : DOMID_SELF);
    } else {
        cmd =
            aim_extents(a, chance(8) ? any_domid() : DOMID_SELF, (ARG_GFN + 1) << PAGE_SHIFT, gfn);
        (void)give(gfn, sizeof(gfn), 1);
    }
    return call(__HYPERVISOR_memory_op, chance(16) ? pvg_random(32) : cmd, give(a, sizeof(a), 0),
                0);
}

static long own_misc(void)
{
    struct multicall_entry e[2] = {{.op = __HYPERVISOR_xen_version, .args = {XENVER_version}},
                                   {.op = pvg_random(64), .args = {any_u64(), any_u64()}}};
    uint8_t a[64] = {0};
    unsigned cmd;

    switch (pvg_random(4)) {
    case 0:
        return call(__HYPERVISOR_multicall, give(e, sizeof(e), 0), 2, 0);
    case 1:
        return call(__HYPERVISOR_xen_version, pvg_random(12), give(a, sizeof(a), 0), 0);
    case 2:
        return call(pvg_random(70), any_u64(), any_u64(), any_u64());
    default:
        cmd = aim_param(a, DOMID_SELF);
        return call(__HYPERVISOR_hvm_op, cmd, give(a, sizeof(a), 0), 0);
    }
}

void world_hvm_step(void)
{
    static long (*const own[])(void) = {own_event,  own_sched,  own_vcpu,
                                        own_memory, own_memory, own_misc};

    (void)own[pvg_random(ARRAY_SIZE(own))]();
}
