/* SPDX-License-Identifier: MIT */
/* See tlb_model.h. */
#include "tlb_model.h"

#include <string.h>

#include "driver.h"
#include "frame/table.h"
#include "machine.h"
#include "pvguest.h"

bool world_parallel;

#define REMEMBERED 24u

static struct memory {
    bool used, rw;
    const struct domain *by_grant; /* whose entry was a grant's */
    mfn_t m;
    struct frame_owner *owner;
    mfn_t table[4]; /* on the way: the processor keeps those too */
} remembered[TLB_MODEL_CPUS][REMEMBERED];
bool (*tlb_model_granted)(const struct domain *d, uint64_t frame);
static unsigned flushes_seen[TLB_MODEL_CPUS];

void tlb_model_reset(void)
{
    memset(remembered, 0, sizeof(remembered));
    memset(flushes_seen, 0, sizeof(flushes_seen));
}

static void forget_flushed(void)
{
    for (unsigned cpu = 0; cpu < TLB_MODEL_CPUS; cpu++)
        if (flushes_seen[cpu] != host_cpus[cpu].flushes) {
            memset(remembered[cpu], 0, sizeof(remembered[cpu]));
            flushes_seen[cpu] = host_cpus[cpu].flushes;
        }
}

void tlb_model_touch(uint64_t va)
{
    struct memory *e = &remembered[cpu_id()][pvg_random(REMEMBERED)];
    mfn_t m = mfn(host_cpu()->cr[3] >> PAGE_SHIFT);
    struct memory seen;
    uint64_t all = PTE_P | PTE_RW | PTE_U, entry = 0;

    memset(&seen, 0, sizeof(seen));
    seen.used = true;
    forget_flushed();
    for (unsigned level = 4; level; level--) {
        if (level == 4 && l4_slot_is_ours(pt_index(va, 4)))
            return;
        entry = ((uint64_t *)mfn_to_virt(m))[pt_index(va, level)];
        seen.table[level - 1] = m;
        all &= entry;
        if (!(all & PTE_P))
            return;
        m = pte_mfn(entry);
        if (m.n >= max_mfn || (level > 1 && !frame_owner_of(m)))
            return; /* a device */
    }
    seen.m = m;
    seen.owner = frame_owner_of(m);
    seen.rw = all & PTE_RW;
    if (entry & PTE_GRANT)
        seen.by_grant = current()->domain;
    *e = seen; /* at once, for those that look */
}

/* What is wrong with remembering that, or NULL. */
static const char *judge(const struct memory *e)
{
    uint64_t w = read_once(frame_of(e->m)->type);
    /* On its way to become a table, or back: the flush may be under way. */
    unsigned kind = w & (TYPE_PARTIAL | TYPE_LOCKED) ? FRAME_NONE : type_kind(w);

    if (frame_owner_of(e->m) != e->owner)
        return "which has changed hands";
    if (e->by_grant && tlb_model_granted && !tlb_model_granted(e->by_grant, e->m.n))
        return "whose grant has ended";
    if (e->rw && kind >= FRAME_L1 && kind <= FRAME_SEGDESC)
        return "writable, which is a table";
    for (unsigned j = 0; j < 4; j++)
        if (frame_type_of(e->table[j]) == FRAME_WRITABLE || !frame_owner_of(e->table[j]))
            return "by way of one that is no table";
    return NULL;
}

static void check(unsigned cpu, const struct memory *e)
{
    struct memory was = *e;
    const char *wrong = judge(&was);

    /* Others may have run while we looked: it is wrong if the CPU knows it still. */
    forget_flushed();
    if (wrong && !memcmp(&was, e, sizeof(was)))
        sim_flaw("CPU %u remembers frame %lx, %s", cpu, was.m.n, wrong);
}

/* What cr3 holds must be what the vCPU there is to run on, and an L4. */
static void check_root(unsigned cpu)
{
    mfn_t m = mfn(host_cpus[cpu].cr[3] >> PAGE_SHIFT);
    const struct vcpu *v = cpu < cpu_count ? cpu_locals[cpu]->current : NULL;

    /* Between the two stores other CPUs may look. */
    if (v && v->pv && !world_parallel &&
        m.n != (v->pv->in_kernel ? v->pv->kernel_l4 : v->pv->user_l4).n)
        sim_flaw("CPU %u runs on frame %lx, which is not its vCPU's base", cpu, m.n);

    if (m.n && m.n < max_mfn && frame_owner_of(m) && frame_type_of(m) != FRAME_L4)
        sim_flaw("CPU %u runs on frame %lx, which is no L4", cpu, m.n);
}

void tlb_model_check(void)
{
    forget_flushed();
    for (unsigned cpu = 0; cpu < TLB_MODEL_CPUS; cpu++) {
        check_root(cpu);
        for (unsigned i = 0; i < REMEMBERED; i++)
            if (remembered[cpu][i].used)
                check(cpu, &remembered[cpu][i]);
    }
}
