/* SPDX-License-Identifier: MIT */
/* See world.h: the machine, its domains, their end. */
#include "world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/softirq.h"
#include "cpu/cpu.h"
#include "cpu/policy.h"
#include "cpu/spec.h"
#include "cpu/traps.h"
#include "event/event.h"
#include "grant/grant.h"
#include "hypercall/control.h"
#include "hypercall/debug_keys.h"
#include "hypercall/hypercall.h"
#include "hypercall/ops.h"
#include "hypercall/pirq.h"
#include "memory/buddy.h"
#include "memory/heap.h"
#include "memory/map.h"
#include "memory/tlb.h"
#include "pv/internal.h"
#include "start/cpus.h"
#include "start/hooks.h"
#include "time/clock.h"
#include "time/timer.h"
#include "tlb_model.h"

struct world_dom world[WORLD_DOMS];
__thread struct world_dom *me;

/* Of files that are left out. */
const struct trap_ops *trap_ops;

int cpus_online_one(unsigned cpu)
{
    return -EOPNOTSUPP;
}

int cpus_offline_one(unsigned cpu)
{
    return -EOPNOTSUPP;
}
void (*world_meanwhile)(void);
static uint64_t free_at_start;
static unsigned heap_at_start;
__thread unsigned world_depth;
#define depth world_depth

#define CHECK(cond)                                                     \
    do {                                                                \
        if (!(cond)) {                                                  \
            fprintf(stderr, "world: %s at line %d\n", #cond, __LINE__); \
            abort();                                                    \
        }                                                               \
    } while (0)

/* ---- the machine ---- */

static void arm(uint64_t tsc, uint64_t delta_ns)
{
}

static void disarm(void)
{
}

static const struct timer_device device = {"simulated", arm, disarm};

static void serve_others(const struct cpu_mask *mask)
{
    unsigned here = cpu_id(), cpu;

    bitmap_for_each (cpu, mask->bits, MAX_CPUS) {
        host_cpu_select(cpu);
        tlb_serve();
    }
    host_cpu_select(here);
}

/* Somebody waits for the other CPUs: they do what interrupts have told them. */
static void others_run(void)
{
    unsigned here = cpu_id();

    for (unsigned cpu = 0; cpu < cpu_count; cpu++) {
        if (cpu == here)
            continue;
        host_cpu_select(cpu);
        tlb_serve();
        if (!interrupts_enabled()) /* else it is in a window itself */
            softirq_run();
    }
    host_cpu_select(here);
}

/* No lock is held here: anything may happen on other CPUs, and preemption may be asked for. */
static void window(void)
{
    if (chance(3))
        cpu_local()->work |= 1u << SOFTIRQ_RCU;
    if (world_meanwhile && depth < 2 && chance(6)) {
        unsigned here = cpu_id();
        struct world_dom *mine = me;
        bool fail = world_may_fail;

        depth++;
        host_cpu_select((here + 1 + pvg_random(WORLD_CPUS - 1)) % WORLD_CPUS);
        tlb_serve();
        if (!interrupts_enabled()) /* else it is in a window itself */
            world_meanwhile();
        depth--;
        host_cpu_select(here);
        me = mine;
        world_may_fail = fail;
        tlb_serve();
    }
}

static void no_kick(unsigned cpu)
{
}

static void no_machine_end(uint8_t code)
{
}

void world_alone(void)
{
    tlb_ipi = serve_others;
    lock_spin_poll = others_run;
}

/* An AMD processor that can do what guests ask for by MSRs. */
static void processor(void)
{
    static const uint32_t msrs[] = {MSR_SPEC_CTRL,    MSR_PRED_CMD,       MSR_TSC_AUX,
                                    MSR_DR0_MASK,     MSR_DR1_MASK,       MSR_DR1_MASK + 1,
                                    MSR_DR1_MASK + 2, MSR_KERNEL_GS_BASE, MSR_HWCR};

    host_cpuid_set(7, 0, (struct cpuid_leaf){0, 0x209c01a9, 0, 0x8c000000});
    host_cpuid_set(0x80000008, 0, (struct cpuid_leaf){0x3030, 0x0100d000, 0, 0});
    for (unsigned i = WORLD_CPUS; i-- > 0;) {
        host_cpu_select(i);
        for (unsigned k = 0; k < ARRAY_SIZE(msrs); k++)
            host_msr_set(msrs[k], 0);
    }
    cpu_detect();
    spec_l1tf_domu = true; /* of others' processors; domain 0 has none */
}

static void machine(void)
{
    host_machine_init(32u << 20, WORLD_CPUS);
    host_memory_init();
    frame_table_init(max_mfn);
    frame_table_add_ram(mfn(256), mfn(max_mfn));
    host_tsc_step = 3;
    host_tsc = 1000000;
    processor();
    clock_init_hz(1000000000);
    timer_start(&device);
    hv_l4 = heap_page();
    for (unsigned i = L4_HV_FIRST; i <= L4_HV_LAST; i++)
        hv_l4[i] = pte_make(mfn(0x1000 + i), PTE_P | PTE_RW | PTE_A | PTE_D);
    CHECK(world_devices());
    world_hvm_machine();
    world_alone();
    softirq_kick = no_kick;
    host_window_hook = window;
    domain_list_reset();
    domain0 = NULL;
    for (unsigned i = WORLD_CPUS; i-- > 0;) {
        host_cpu_select(i);
        this_cpu(gdt_mfn) = virt_to_mfn(heap_page());
    }
    hooks_init_domains();
    for (unsigned i = WORLD_CPUS; i-- > 0;) { /* the first is the last: it stays selected */
        host_cpu_select(i);
        if (i)
            domain_cpu_init();
    }
    domain_machine_shutdown = no_machine_end;
    softirq_register(SOFTIRQ_CONSOLE, console_softirq);
}

/* ---- a domain ---- */

mfn_t world_l1e_mfn(struct world_dom *w, unsigned pfn)
{
    return w->mfn[PFN_L1];
}

uint64_t *world_l1e(struct world_dom *w, unsigned pfn)
{
    return (uint64_t *)mfn_to_virt(w->mfn[PFN_L1]) + pfn;
}

static void build_tables(struct world_dom *w)
{
    const uint64_t flags = PTE_P | PTE_RW | PTE_U | PTE_A | PTE_D;
    uint64_t *l4 = mfn_to_virt(w->mfn[PFN_L4]), *l3 = mfn_to_virt(w->mfn[PFN_L3]),
             *l2 = mfn_to_virt(w->mfn[PFN_L2]), *user = mfn_to_virt(w->mfn[PFN_USER_L4]);

    l4[pt_index(PVG_DIRECT, 4)] = pte_make(w->mfn[PFN_L3], flags);
    user[pt_index(PVG_DIRECT, 4)] = l4[pt_index(PVG_DIRECT, 4)];
    l3[pt_index(PVG_DIRECT, 3)] = pte_make(w->mfn[PFN_L2], flags);
    l2[pt_index(PVG_DIRECT, 2)] = pte_make(w->mfn[PFN_L1], flags);
    for (unsigned i = 0; i < WORLD_FRAMES; i++)
        *world_l1e(w, i) = pte_make(w->mfn[i], i <= PFN_USER_L4 ? flags & ~PTE_RW : flags);
}

static void start_vcpu(struct world_dom *w, unsigned id)
{
    struct vcpu_guest_context *c = calloc(1, sizeof(*c));
    struct vcpu *v = w->d->vcpu[id];
    int rc;

    c->flags = VGCF_in_kernel;
    c->user_regs.rip = pvg_va(PFN_CODE);
    c->user_regs.rsp = pvg_va(PFN_STACK) + PAGE_SIZE;
    c->user_regs.cs = SEL_GUEST_CS64;
    c->user_regs.ss = SEL_GUEST_SS;
    c->kernel_ss = SEL_GUEST_SS;
    c->kernel_sp = pvg_va(PFN_STACK) + PAGE_SIZE;
    c->event_callback_eip = c->failsafe_callback_eip = c->syscall_callback_eip = pvg_va(PFN_CODE);
    c->ctrlreg[3] = w->mfn[PFN_L4].n << PAGE_SHIFT;
    c->ctrlreg[1] = w->mfn[PFN_USER_L4].n << PAGE_SHIFT;
    c->ctrlreg[4] = CR4_PAE | CR4_OSXSAVE;
    c->vm_assist = BIT(VMASST_TYPE_writable_pagetables);
    for (unsigned i = 0; i < 32; i++) {
        c->trap_ctxt[i].vector = (uint8_t)i;
        c->trap_ctxt[i].cs = SEL_GUEST_CS64;
        c->trap_ctxt[i].address = pvg_va(PFN_CODE);
    }
    while ((rc = pv_vcpu_set_context(v, c)) == -ERESTART)
        ;
    CHECK(rc == 0);
    v->initialised = true;
    free(c);
    hypercall_vcpu_up(v);
}

/* Numbers in turn. Who is dead may have left frames that others map. */
static domid_t free_id(void)
{
    static domid_t last;

    do
        last = last % 100 + 1;
    while (frame_owner_known(last));
    return last;
}

static void live(unsigned n)
{
    static const unsigned vcpus[WORLD_DOMS] = {2, WORLD_VCPUS, 1, 2};
    struct world_dom *w = &world[n];
    struct domain_config c = {
        .privileged = n == 0,
        .hardware = n == 0,
        .max_vcpus = vcpus[n],
        .max_evtchn_port = n == 2 ? 127 : EVTCHN_FIFO_NR_CHANNELS - 1,
        .max_grant_frames = 3,
        .max_maptrack_frames = 1,
        .max_grant_version = n == 3 ? 1 : 2,
    };
    struct vcpu *v;

    c.id = n ? free_id() : 0;
    memset(w, 0, sizeof(*w));
    CHECK(!domain_create(&c, &w->d));
    __atomic_fetch_add(&w->d->refs, 1, __ATOMIC_RELAXED);
    w->d->memory.max_pages = WORLD_FRAMES + 24;
    if (n == 0) {
        domain0 = w->d;
        w->d->memory.any_cache = true;
        CHECK(!range_set_add(&w->d->iomem, 0xa0, 0xbf) && !range_set_add(&w->d->irqs, 0, 15) &&
              !range_set_add(&w->d->ioports, 0, 0xffff));
    }
    for (unsigned i = 0; i < WORLD_FRAMES; i++) {
        CHECK(!frame_alloc(&w->d->memory, 0, 0, &w->mfn[i]));
        frame_m2p_set(w->mfn[i], i);
    }
    build_tables(w);
    for (unsigned i = 0; i < c.max_vcpus; i++) {
        CHECK(!vcpu_create(w->d, i, &v));
        if (i == 0 || !chance(3)) /* else its kernel may start it */
            start_vcpu(w, i);
    }
    lock(&w->d->pv->mmu);
    CHECK(frame_pin(&w->d->memory, w->mfn[PFN_L4], FRAME_L4) == 0);
    unlock(&w->d->pv->mmu);
    CHECK(!domain_unpause(w->d));
}

/* Nobody runs it any more. */
static void stop(struct domain *d)
{
    unsigned here = cpu_id();

    domain_shutdown(d, SHUTDOWN_crash);
    for (unsigned cpu = 0; cpu < WORLD_CPUS; cpu++) {
        host_cpu_select(cpu);
        tlb_serve();
        softirq_run();
        CHECK(current()->domain != d);
    }
    host_cpu_select(here);
}

static void kill(struct world_dom *w)
{
    struct domain *d = w->d;
    bool fail = world_may_fail;
    int rc;

    world_may_fail = false;
    stop(d);
    while ((rc = domain_destroy(d)) == -ERESTART)
        softirq_run();
    CHECK(!rc);
    if (d == domain0)
        domain0 = NULL;
    softirq_run();
    domain_put(d);
    w->d = NULL;
    world_may_fail = fail;
}

/* Domains that domain 0 made. */
static void kill_others(void)
{
    struct domain *d;

    while ((d = domain_get_from(0)) != NULL) {
        struct world_dom w = {.d = d};

        if (d->state == DOMAIN_DEAD) {
            sim_flaw("domain %u is dead and stays, with %lu frames", d->id, d->memory.pages);
            return;
        }
        kill(&w);
    }
}

static void kill_all(void)
{
    for (unsigned i = 0; i < WORLD_DOMS; i++)
        if (world[i].d)
            kill(&world[i]);
    if (world_hvm.d)
        kill(&world_hvm);
    for (unsigned cpu = 0; cpu < WORLD_CPUS; cpu++) {
        host_cpu_select(cpu);
        softirq_run();
    }
    kill_others();
    world_devices_forget();
    if (read_once(heap_at_start) && world_heap_out(false) != heap_at_start) {
        sim_flaw("%u objects are lost from the heap", world_heap_out(true) - heap_at_start);
        heap_at_start = 0;
    }
    if (free_at_start && buddy_free_frames() + heap_frames() != free_at_start)
        sim_flaw("%ld frames are lost",
                 (long)(free_at_start - buddy_free_frames() - heap_frames()));
}

/* Nobody of it can ever run again: tools have reset its vCPUs. */
static bool is_useless(const struct domain *d)
{
    bool any = false;
    const struct vcpu *v;

    for_each_vcpu (d, v)
        any = any || v->initialised;
    return d->shutting_down || d->state != DOMAIN_ALIVE || !any;
}

void world_revive(void)
{
    bool fail = world_may_fail;

    /* One call at a time is stopped for others: nobody is in the middle of one of a dead domain. */
    if (depth)
        return;
    depth = 2;
    world_may_fail = false;
    if (world[0].d && world[0].d->shutting_down)
        kill_all(); /* the machine starts again */
    for (unsigned i = 0; i < WORLD_DOMS; i++)
        if (world[i].d && is_useless(world[i].d))
            kill(&world[i]);
    if (world_hvm.d && is_useless(world_hvm.d))
        kill(&world_hvm);
    for (unsigned i = 0; i < WORLD_DOMS; i++)
        if (!world[i].d)
            live(i);
    if (!world_hvm.d)
        CHECK(world_hvm_live(free_id()));
    world_may_fail = fail;
    depth = 0;
}

/* ---- who runs ---- */

static struct world_dom *world_of(const struct domain *d)
{
    for (unsigned i = 0; i < WORLD_DOMS; i++)
        if (world[i].d == d)
            return &world[i];
    return NULL;
}

/* Does the kernel reach its argument pages and its stack? */
static bool is_usable(const struct world_dom *w, const struct vcpu *v)
{
    const unsigned pfn[] = {PFN_STACK, PFN_ARG + 2 * v->id, PFN_ARG + 2 * v->id + 1};

    for (unsigned i = 0; i < ARRAY_SIZE(pfn); i++) {
        mfn_t m = v->pv->kernel_l4;
        uint64_t e = 0;

        for (unsigned level = 4; level; level--, m = pte_mfn(e)) {
            e = ((uint64_t *)mfn_to_virt(m))[pt_index(pvg_va(pfn[i]), level)];
            if ((e & (PTE_P | PTE_RW)) != (PTE_P | PTE_RW))
                return false;
        }
        if (!mfn_eq(m, w->mfn[pfn[i]]))
            return false;
    }
    return true;
}

/* Something for those that wait: an event that is none, the CPU's coming up, the end of a pause. */
static void nudge(void)
{
    struct world_dom *w = chance(8) ? &world_hvm : any_dom();
    struct vcpu *v = w->d->vcpu[pvg_random(w->d->max_vcpus)];
    uint32_t pause;

    if (!v)
        return;
    pause = read_once(v->pause);
    if (pause & (BIT(VCPU_BLOCKED_BIT) | BIT(VCPU_POLLING_BIT)))
        vcpu_kick(v);
    if (pause & BIT(VCPU_DOWN_BIT) && v->initialised)
        hypercall_vcpu_up(v);
    /* Not while another tool may count on it. */
    if (!world_parallel && pause & BIT(VCPU_PAUSED_BIT) && w->d->pause_count && chance(4) &&
        domain_unpause(w->d))
        sim_flaw("a pause that was counted was none");
}

static void timers(void)
{
    host_tsc += chance(8) ? 2000000 : pvg_random(2000);
    if (world_parallel ? chance(4) : timer_next() <= time_now())
        timer_interrupt();
}

/* Softirqs may leave a fully virtual guest here, where the way out is another. */
void world_exit(void)
{
    if (softirq_pending())
        softirq_run();
    if (!world_parallel && !current()->domain->hvm && !softirq_pending())
        guest_exit_work();
    else if (!current()->domain->hvm && vcpu_event_pending(current()))
        pv_deliver_event(current());
    me = world_of(current()->domain);
}

bool world_choose(void)
{
    struct vcpu *v;
    struct regs *r = &cpu_local()->guest;

    if (!world_parallel) {
        if (!depth && chance(3))
            host_cpu_select(pvg_random(WORLD_CPUS));
        world_revive();
    }
    timers();
    tlb_serve();
    if (chance(8))
        nudge();
    if (chance(20))
        softirq_raise(SOFTIRQ_SCHEDULE);
    softirq_run();
    v = current();
    me = world_of(v->domain);
    if (vcpu_is_idle(v))
        nudge();
    if (v->domain->hvm)
        world_hvm_step();
    if (!me || v->domain->hvm)
        return false;
    if (!is_usable(me, v)) {
        domain_crash(me->d, "it has lost its memory");
        world_exit();
        return false;
    }
    r->rsp = pvg_va(PFN_STACK) + PAGE_SIZE - 16 * (1 + v->id * 8);
    r->rip = pvg_va(PFN_CODE) + 0x80;
    r->cs = SEL_GUEST_CS64;
    r->ss = SEL_GUEST_SS;
    if (!v->pv->in_kernel)
        world_user_step();
    else
        world_exit();
    return me && current() == v && v->pv->in_kernel;
}

/* ---- begin and end ---- */

void world_begin(void)
{
    world_may_fail = false;
    depth = 0;
    memset(world, 0, sizeof(world));
    free_at_start = heap_at_start = 0;
    world_heap_reset();
    machine();
    tlb_model_reset();
    /* Once and away again: what is made once for all does not count as lost at the end. */
    world_revive();
    CHECK(!sysctl_tbuf_op(
        &(struct xen_sysctl){.u.tbuf_op = {.cmd = XEN_SYSCTL_TBUFOP_set_size, .size = 1}}));
    kill_all();
    free_at_start = buddy_free_frames() + heap_frames();
    heap_at_start = world_heap_out(false);
    world_heap_old();
    world_revive();
}

void world_again(void)
{
    world_may_fail = false;
    host_cpu_select(0);
    kill_all();
    memset(world, 0, sizeof(world));
    world_hvm.d = NULL;
    world_revive();
}

void world_end(void)
{
    world_may_fail = false;
    world_meanwhile = NULL;
    host_cpu_select(0);
    kill_all();
    world_audit();
}
