/* SPDX-License-Identifier: MIT */
/* See pvguest.h. */
#include "pvguest.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/softirq.h"
#include "cpu/cpu.h"
#include "lib/errno.h"
#include "memory/buddy.h"
#include "memory/heap.h"
#include "memory/map.h"
#include "memory/tlb.h"

void host_memory_init(void);

unsigned pvg_arg_pfn = 12, pvg_preempt;
__thread unsigned pvg_continued;
unsigned pvg_abandon;
__thread uint64_t pvg_seed = 1;

#define CHECK(cond)                                                       \
    do {                                                                  \
        if (!(cond)) {                                                    \
            fprintf(stderr, "pvguest: %s at line %d\n", #cond, __LINE__); \
            abort();                                                      \
        }                                                                 \
    } while (0)

bool (*pvg_random_source)(uint32_t *out);

uint32_t pvg_random(uint32_t below)
{
    uint32_t given;

    if (pvg_random_source && pvg_random_source(&given))
        return given % below;
    pvg_seed ^= pvg_seed << 13; /* xorshift64 */
    pvg_seed ^= pvg_seed >> 7;
    pvg_seed ^= pvg_seed << 17;
    return (uint32_t)(pvg_seed >> 16) % below;
}

/* ---- the machine ---- */

/* Requests to other CPUs are served at once: there is one thread. */
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
    if (pvg_preempt && pvg_random(pvg_preempt) == 0)
        cpu_local()->work |= 1u << SOFTIRQ_RCU;
}

void pvg_machine(size_t ram_bytes, unsigned cpus)
{
    host_machine_init(ram_bytes, cpus);
    host_memory_init();
    frame_table_init(max_mfn);
    frame_table_add_ram(mfn(256), mfn(max_mfn));
    hv_l4 = heap_page();
    for (unsigned i = L4_HV_FIRST; i <= L4_HV_LAST; i++)
        hv_l4[i] = pte_make(mfn(0x1000 + i), PTE_P | PTE_RW | PTE_A | PTE_D);
    cpu_pte_reserved = 0x000fff0000000000ull; /* 40 bits of address */
    tlb_ipi = serve_others;
    lock_spin_poll = tlb_serve;
    host_window_hook = window;
    host_cpu_select(0);
    pv_mm_init();
    domain_list_reset();
}

/* ---- a guest ---- */

static int may_map_device(struct frame_owner *o, mfn_t m, bool *ro)
{
    *ro = m.n == 0xb9; /* one page is read-only */
    return o->domid == 0 && m.n >= 0xa0 && m.n < 0xc0 ? 0 : -EPERM;
}

static const struct frame_owner_ops owner_ops = {.may_map_device = may_map_device};

uint64_t *pvg_l1e(struct pvguest *g, unsigned pfn)
{
    return (uint64_t *)pvg_page(g, 3 + pfn / PT_ENTRIES) + pfn % PT_ENTRIES;
}

static void build_tables(struct pvguest *g)
{
    const uint64_t flags = PTE_P | PTE_RW | PTE_U | PTE_A | PTE_D;
    uint64_t *l4 = pvg_page(g, 0), *l3 = pvg_page(g, 1), *l2 = pvg_page(g, 2);

    l4[pt_index(PVG_DIRECT, 4)] = pte_make(g->mfn[1], flags);
    l3[pt_index(PVG_DIRECT, 3)] = pte_make(g->mfn[2], flags);
    for (unsigned i = 3; i < g->tables; i++)
        l2[pt_index(PVG_DIRECT, 2) + i - 3] = pte_make(g->mfn[i], flags);
    for (unsigned i = 0; i < g->frames; i++)
        *pvg_l1e(g, i) = pte_make(g->mfn[i], i < g->tables ? flags & ~PTE_RW : flags);
}

static void vcpu_make(struct pvguest *g, unsigned i)
{
    struct vcpu *v = &g->v[i];

    g->vcpus[i] = v;
    v->id = i;
    v->domain = &g->d;
    v->pv = &g->pvv[i];
    v->info = &g->d.shared_info->vcpu_info[i];
    v->info->evtchn_upcall_mask = 1;
    v->pv->in_kernel = true;
    v->pv->kernel_l4 = v->pv->user_l4 = INVALID_MFN;
    for (unsigned j = 0; j < GDT_GUEST_FRAMES; j++)
        v->pv->gdt_frame[j] = INVALID_MFN;
    for (unsigned j = 0; j < ARRAY_SIZE(v->pv->ldt_frame); j++)
        v->pv->ldt_frame[j] = INVALID_MFN;
    CHECK(pv_perdomain_vcpu_init(v) == 0);
}

struct pvguest *pvg_new(domid_t id, unsigned frames, bool privileged)
{
    struct pvguest *g = calloc(1, sizeof(*g));
    int rc;

    g->frames = frames;
    g->tables = 3 + (frames + PT_ENTRIES - 1) / PT_ENTRIES;
    CHECK(frames <= PVG_MAX && pvg_arg_pfn >= g->tables && pvg_arg_pfn < frames);
    g->d.id = id;
    g->d.refs = 1;
    g->d.privileged = privileged;
    g->d.vcpu = g->vcpus;
    g->d.max_vcpus = PVG_VCPUS;
    g->d.pv = &g->pvd;
    g->d.vm_assist = BIT(VMASST_TYPE_writable_pagetables);
    lock_init(&g->pvd.mmu, RANK_PV, "page tables");
    frame_owner_init(&g->d.memory, id, &owner_ops);
    g->d.memory.max_pages = 2 * frames;
    g->d.shared_info = heap_page();
    CHECK(g->d.shared_info);
    frame_share(&g->d.memory, g->d.shared_info, true);
    CHECK(pv_perdomain_init(&g->d) == 0);
    for (unsigned i = 0; i < frames; i++) {
        CHECK(frame_alloc(&g->d.memory, 0, 0, &g->mfn[i]) == 0);
        frame_m2p_set(g->mfn[i], i);
    }
    build_tables(g);
    for (unsigned i = 0; i < PVG_VCPUS; i++)
        vcpu_make(g, i);
    CHECK(domain_list_add(&g->d) == 0);
    for (unsigned i = 0; i < PVG_VCPUS; i++) {
        while ((rc = pv_new_kernel_l4(&g->v[i], g->mfn[0])) == -ERESTART)
            ;
        CHECK(rc == 0);
    }
    lock(&g->pvd.mmu);
    CHECK(frame_pin(&g->d.memory, g->mfn[0], FRAME_L4) == 0);
    unlock(&g->pvd.mmu);
    return g;
}

void pvg_run(struct pvguest *g, unsigned n)
{
    struct vcpu *v = &g->v[n], *before = current();

    cpu_local()->current = v;
    v->unit.cpu = cpu_id();
    bit_test_and_set_atomic(g->d.memory.dirty_cpus.bits, cpu_id());
    v->pv->in_kernel = true;
    pv_load_cr3(v);
    if (before && before->domain != &g->d)
        bit_test_and_clear_atomic(before->domain->memory.dirty_cpus.bits, cpu_id());
}

/* CPUs that run the guest run nothing from now on. */
static void stop(struct pvguest *g)
{
    unsigned me = cpu_id();

    for (unsigned cpu = 0; cpu < cpu_count; cpu++) {
        if (!cpu_locals[cpu]->current || cpu_locals[cpu]->current->domain != &g->d)
            continue;
        host_cpu_select(cpu);
        cpu_local()->current = NULL;
        write_cr3(hv_cr3());
        bit_test_and_clear_atomic(g->d.memory.dirty_cpus.bits, cpu);
    }
    host_cpu_select(me);
}

void pvg_kill(struct pvguest *g)
{
    stop(g);
    g->d.memory.dying = true;
    while (pv_mm_destroy(&g->d) == -ERESTART)
        ;
}

void pvg_free(struct pvguest *g)
{
    pvg_kill(g);
    CHECK(frame_owner_is_empty(&g->d.memory));
    domain_list_del(&g->d);
    pv_perdomain_free(&g->d);
    frame_owner_destroy(&g->d.memory);
    heap_page_free(g->d.shared_info);
    free(g);
}

/* ---- calls ---- */

static struct pvguest *running(void)
{
    return container_of(current()->domain, struct pvguest, d);
}

/* As the guest would execute the call again and again until it is done. */
static long call(long (*fn)(uint64_t, uint32_t, uint64_t, uint32_t), uint64_t a, uint32_t b,
                 uint64_t c, uint32_t d)
{
    struct vcpu *v = current();
    struct regs *r = &cpu_local()->guest;
    long rc;

    v->continued = false; /* as on the way in: calls made otherwise may have left it */
    rc = fn(a, b, c, d);
    while (v->continued) {
        v->continued = false;
        cpu_local()->work = 0;
        pvg_continued++;
        if (pvg_abandon && pvg_random(pvg_abandon) == 0)
            return -ERESTART;
        rc = fn(r->rdi, r->rsi, r->rdx, r->r10);
    }
    cpu_local()->work = 0;
    return rc;
}

static long call_array(long (*fn)(uint64_t, uint32_t, uint64_t, uint32_t), const void *args,
                       size_t bytes, unsigned n, unsigned *done, uint32_t foreigndom)
{
    unsigned pfn = pvg_arg_pfn + current()->id;
    char *page = pvg_page(running(), pfn);
    uint64_t va = pvg_va(pfn);
    uint32_t did = ~0u;
    long rc;

    CHECK(bytes <= PAGE_SIZE - 8);
    memcpy(page, args, bytes);
    memcpy(page + PAGE_SIZE - 8, &did, 4);
    rc = call(fn, va, n, va + PAGE_SIZE - 8, foreigndom);
    memcpy(&did, page + PAGE_SIZE - 8, 4);
    if (done)
        *done = did;
    return rc;
}

long pvg_mmu_update(const struct mmu_update *u, unsigned n, unsigned *done, uint32_t foreigndom)
{
    return call_array(pv_mmu_update, u, n * sizeof(*u), n, done, foreigndom);
}

long pvg_mmuext(const struct mmuext_op *op, unsigned n, unsigned *done, uint32_t foreigndom)
{
    return call_array(pv_mmuext_op, op, n * sizeof(*op), n, done, foreigndom);
}

long pvg_update(uint64_t ptr, uint64_t val)
{
    return pvg_mmu_update(&(struct mmu_update){ptr, val}, 1, NULL, DOMID_SELF);
}

long pvg_ext(unsigned cmd, uint64_t arg)
{
    struct mmuext_op op = {.cmd = cmd};

    op.arg1.mfn = arg;
    return pvg_mmuext(&op, 1, NULL, DOMID_SELF);
}
