/* SPDX-License-Identifier: MIT */
/* See guest.h. */
#include <stdio.h>
#include <stdlib.h>

#include "guest.h"
#include "base/softirq.h"
#include "event/event.h"
#include "grant/grant.h"
#include "hypercall/ops.h"
#include "hypercall/pirq.h"
#include "memory/buddy.h"
#include "memory/heap.h"
#include "memory/map.h"
#include "memory/tlb.h"
#include "time/clock.h"
#include "time/timer.h"

#define TABLE_ORDER 3

unsigned guest_preempt;
unsigned guest_grant_frames = 8;
struct guest_map guest_maps[GUEST_MAPS];
unsigned guest_map_fail;

static struct vcpu *idle[HOST_CPUS];

#define CHECK(cond)                                                     \
    do {                                                                \
        if (!(cond)) {                                                  \
            fprintf(stderr, "guest: %s at line %d\n", #cond, __LINE__); \
            abort();                                                    \
        }                                                               \
    } while (0)

/* ---- the machine ---- */

static void no_switch(struct vcpu *v)
{
}

static void no_idle(void)
{
}

static const struct guest_switch_ops switch_ops = {
    .from = no_switch, .to = no_switch, .idle = no_idle};

static void arm(uint64_t tsc, uint64_t delta_ns)
{
}

static void stop(void)
{
}

static const struct timer_device device = {"test", arm, stop};

static void serve_others(const struct cpu_mask *mask)
{
    unsigned me = cpu_id(), cpu;

    bitmap_for_each (cpu, mask->bits, MAX_CPUS) {
        host_cpu_select(cpu);
        tlb_serve();
    }
    host_cpu_select(me);
}

static void window(void)
{
    static unsigned calls;

    if (guest_preempt && ++calls % guest_preempt == 0)
        softirq_raise(SOFTIRQ_RCU);
}

static void kick(unsigned cpu)
{
}

static struct refuse_ring *ring(void)
{
    struct vcpu *v = current();

    return v ? &v->refusals : NULL;
}

static int map(struct vcpu *v, uint64_t va, mfn_t m, uint32_t flags)
{
    if (guest_map_fail && guest_map_fail--)
        return -22;
    for (unsigned i = 0; i < GUEST_MAPS; i++)
        if (!guest_maps[i].d) {
            guest_maps[i] = (struct guest_map){v->domain, va, m, flags};
            return 0;
        }
    return -12;
}

struct guest_map *guest_map_find(struct domain *d, uint64_t va)
{
    for (unsigned i = 0; i < GUEST_MAPS; i++)
        if (guest_maps[i].d == d && guest_maps[i].va == va)
            return &guest_maps[i];
    return NULL;
}

static int unmap(struct vcpu *v, uint64_t va, mfn_t m, uint32_t flags, uint64_t new_addr)
{
    struct guest_map *e = guest_map_find(v->domain, va);

    if (guest_map_fail && guest_map_fail--)
        return -22;
    if (!e || !mfn_eq(e->m, m))
        return -22;
    *e = (struct guest_map){0};
    return 0;
}

static const struct grant_map_ops map_ops = {.map = map, .unmap = unmap};

void guest_machine(unsigned cpus)
{
    host_machine_init(64 << 20, cpus);
    host_memory_init();
    hv_l4 = heap_page();
    frame_table_init(max_mfn);
    frame_table_add_ram(mfn(256), mfn(max_mfn));
    host_tsc_step = 0;
    host_tsc = 1000000;
    clock_init_hz(1000000000);
    timer_start(&device);
    tlb_ipi = serve_others;
    host_window_hook = window;
    softirq_kick = kick;
    refuse_current_ring = ring;
    guest_switch_ops = &switch_ops;
    grant_map_ops_pv = &map_ops;
    guest_preempt = guest_map_fail = 0;
    for (unsigned i = 0; i < GUEST_MAPS; i++)
        guest_maps[i] = (struct guest_map){0};
    domain_list_reset();
    domain0 = NULL;
    domain_parts[0] = &event_part;
    domain_parts[1] = &grant_part;
    domain_parts[2] = &hypercall_part;
    domain_parts[3] = &pirq_part;
    domain_init();
    for (unsigned i = cpus; i-- > 0;) {
        host_cpu_select(i);
        domain_cpu_init();
        idle[i] = current();
    }
}

/* ---- domains ---- */

struct guest *guest_new(domid_t id, unsigned vcpus, bool privileged)
{
    struct domain_config c = {
        .id = id,
        .privileged = privileged,
        .hardware = id == 0,
        .max_vcpus = vcpus,
        .max_evtchn_port = EVTCHN_FIFO_NR_CHANNELS - 1,
        .max_grant_frames = guest_grant_frames,
        .max_maptrack_frames = 4,
        .max_grant_version = 2,
    };
    struct guest *g = calloc(1, sizeof(*g));
    paddr_t next;
    mfn_t tables;

    CHECK(g && !domain_create(&c, &g->d));
    g->d->memory.max_pages = 4 * GUEST_FRAMES;
    if (id == 0)
        domain0 = g->d;
    CHECK(!buddy_alloc(TABLE_ORDER, 0, &tables));
    g->root = tables.n << PAGE_SHIFT;
    memset(host_ram(g->root), 0, PAGE_SIZE << TABLE_ORDER);
    next = g->root + PAGE_SIZE;
    for (unsigned i = 0; i < GUEST_FRAMES; i++) {
        CHECK(!frame_alloc(&g->d->memory, 0, 0, &g->mfn[i]));
        frame_m2p_set(g->mfn[i], i);
        host_map_guest(g->root, &next, guest_va(i), pte_make(g->mfn[i], PTE_P | PTE_RW | PTE_U));
    }
    CHECK(next <= g->root + (PAGE_SIZE << TABLE_ORDER));
    CHECK(!domain_unpause(g->d));
    for (unsigned i = 0; i < vcpus; i++) {
        struct vcpu *v;

        CHECK(!vcpu_create(g->d, i, &v));
        v->initialised = true;
        __atomic_fetch_and(&v->pause, ~(1u << VCPU_DOWN_BIT), __ATOMIC_SEQ_CST);
    }
    return g;
}

static void be(struct vcpu *v)
{
    cpu_local()->current = v;
    cpu_local()->upcall = (uint64_t *)(void *)v->info;
}

void guest_be(struct guest *g, unsigned vcpu)
{
    be(g->d->vcpu[vcpu]);
    write_cr3(g->root);
    bitmap_set(g->d->memory.dirty_cpus.bits, cpu_id());
}

void guest_be_idle(void)
{
    cpu_local()->current = idle[cpu_id()];
}

void guest_exit(void)
{
    softirq_run();
}

void guest_kill(struct guest *g)
{
    int rc;

    guest_be_idle();
    __atomic_fetch_add(&g->d->refs, 1, __ATOMIC_RELAXED);
    do {
        rc = domain_destroy(g->d);
        softirq_run();
    } while (rc == -85);
    CHECK(!rc);
    if (domain0 == g->d)
        domain0 = NULL;
    domain_put(g->d);
    buddy_free(mfn(g->root >> PAGE_SHIFT), TABLE_ORDER);
    free(g);
}
