/* SPDX-License-Identifier: MIT */
/* Shoot-down of translations. The initiator writes each target's request and interrupts it; a
 * target serves its request from the interrupt, from a lock it spins on, or from its own wait here,
 * so two CPUs that flush each other make progress. */
#include "memory/tlb.h"

#include "lib/string.h"

struct flush_request {
    uint32_t flags; /* [a] 0: none; merged when several come */
    uint64_t va;
    uint32_t done;    /* [a] counts served requests */
    uint32_t asked;   /* [a] */
    struct lock lock; /* RANK_FLUSH: of `flags` and `va` */
};

uint32_t tlb_now = 1;

static DEFINE_PER_CPU(uint32_t, tlb_stamp); /* clock of this CPU's last full flush */
static DEFINE_PER_CPU(struct flush_request,
                      flush_request) = {.lock = LOCK_INIT(RANK_FLUSH, "flush")};

void (*tlb_ipi)(const struct cpu_mask *mask) sealed;

bool tlb_pcid;

/* ---- this CPU. SDM vol. 3A, 4.10.4.1 ---- */

void tlb_flush_cpu(void)
{
    uint64_t cr4 = read_cr4();

    if (cr4 & CR4_PCIDE) {
        hw_invpcid(INVPCID_ALL, 0, 0);
    } else if (cr4 & CR4_PGE) {
        write_cr4(cr4 & ~CR4_PGE);
        write_cr4(cr4);
    } else {
        write_cr3(read_cr3());
    }
}

static void flush_address(uint64_t va)
{
    hw_invlpg(va); /* of the PCID that is loaded; global entries too */
    if (tlb_pcid)
        for (unsigned pcid = 0; pcid < PCID_COUNT; pcid++)
            hw_invpcid(INVPCID_ADDRESS, pcid, va);
}

void tlb_flush_local(unsigned flags, uint64_t va)
{
    if (flags & TLB_VA) {
        flush_address(va);
        return;
    }
    /* The stamp is taken before the flush: a frame freed after it is not covered. */
    write_once(this_cpu(tlb_stamp), __atomic_add_fetch(&tlb_now, 1, __ATOMIC_ACQ_REL));
    if (flags & TLB_GLOBAL || tlb_pcid)
        tlb_flush_cpu();
    else
        write_cr3(read_cr3());
}

uint32_t tlb_cpu_stamp(void)
{
    return this_cpu(tlb_stamp);
}

/* ---- many CPUs ---- */

void tlb_filter(struct cpu_mask *mask, uint32_t stamp)
{
    unsigned cpu;

    bitmap_for_each (cpu, mask->bits, MAX_CPUS) {
        /* Signed difference: the clock may wrap. */
        if ((int32_t)(read_once(per_cpu(tlb_stamp, cpu)) - stamp) > 0)
            bitmap_clear(mask->bits, cpu);
    }
}

void tlb_serve(void)
{
    struct flush_request *r = this_cpu_ptr(flush_request);
    uint32_t flags, asked;
    uint64_t va;

    if (likely(!__atomic_load_n(&r->flags, __ATOMIC_ACQUIRE)))
        return;
    while (!lock_try(&r->lock))
        cpu_pause();
    flags = r->flags;
    va = r->va;
    asked = r->asked;
    r->flags = 0;
    unlock(&r->lock);
    tlb_flush_local(flags, va);
    __atomic_store_n(&r->done, asked, __ATOMIC_RELEASE);
}

static uint32_t request(struct flush_request *r, unsigned flags, uint64_t va)
{
    uint32_t ticket;

    while (!lock_try(&r->lock)) {
        tlb_serve();
        cpu_pause();
    }
    if (r->flags && (r->flags != flags || r->va != va))
        flags = ((r->flags | flags) & ~TLB_VA) | TLB_ALL | TLB_GLOBAL; /* two wishes: all of it */
    r->va = va;
    ticket = ++r->asked;
    __atomic_store_n(&r->flags, flags, __ATOMIC_RELEASE);
    unlock(&r->lock);
    return ticket;
}

void tlb_flush_mask(const struct cpu_mask *mask, unsigned flags, uint64_t va)
{
    struct cpu_mask now = cpu_mask_read(mask), others; /* `mask` may change meanwhile */
    uint32_t ticket[MAX_CPUS];
    unsigned me = cpu_id(), cpu;

    if (bitmap_test(now.bits, me))
        tlb_flush_local(flags, va);
    for (unsigned i = 0; i < ARRAY_SIZE(now.bits); i++)
        others.bits[i] = now.bits[i] & read_once(cpus_online.bits[i]);
    bitmap_clear(others.bits, me);
    if (cpu_mask_empty(&others))
        return;
    bitmap_for_each (cpu, others.bits, MAX_CPUS) {
        ticket[cpu] = request(per_cpu_ptr(flush_request, cpu), flags, va);
    }
    tlb_ipi(&others);
    bitmap_for_each (cpu, others.bits, MAX_CPUS) {
        struct flush_request *r = per_cpu_ptr(flush_request, cpu);

        while ((int32_t)(__atomic_load_n(&r->done, __ATOMIC_ACQUIRE) - ticket[cpu]) < 0) {
            tlb_serve();
            cpu_pause();
        }
    }
}
