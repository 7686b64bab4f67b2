/* SPDX-License-Identifier: MIT */
/* The same frames from four CPUs at once: each thread is a vCPU of one of two domains, which map
 * one another's frames, make page tables and descriptor pages of them, give them back and take new
 * ones. Between rounds all stop and the audit counts.
 *
 *     race [--calls N] [--seed S]        N: of each thread
 *
 * Which interleavings happen is up to the machine; the audit must agree with all of them. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pvguest.h"
#include "frame/table.h"

#define THREADS 4u
#define ROUND   2000u
#define EACH    128u
#define FIRST   16u /* the frames that all fight for: FIRST to FIRST + FOUGHT - 1 */
#define FOUGHT  12u

static struct pvguest *guest[2];
static unsigned long total = 20000, seed = 1, accepted, refused;
static unsigned waiting, rounds; /* [a] */
static unsigned flaws;

static bool chance(unsigned n)
{
    return pvg_random(n) == 0;
}

static unsigned any_pfn(void)
{
    return FIRST + pvg_random(FOUGHT);
}

static mfn_t frame_at_pfn(struct pvguest *g, unsigned pfn)
{
    return mfn(__atomic_load_n(&g->mfn[pfn].n, __ATOMIC_RELAXED));
}

static uint64_t any_flags(void)
{
    return PTE_P | PTE_A | (chance(2) ? PTE_RW | PTE_D : 0);
}

/* ---- what a thread does; 0 or a negative errno ---- */

static long do_map(struct pvguest *g, struct pvguest *peer)
{
    unsigned pfn = any_pfn();
    uint64_t pte =
        chance(4) ? 0 : pte_make(frame_at_pfn(g, chance(4) ? any_pfn() : pfn), any_flags());

    return pv_update_va_mapping(pvg_va(pfn), pte, chance(4) ? UVMF_TLB_FLUSH | UVMF_ALL : 0);
}

static long do_pin(struct pvguest *g, struct pvguest *peer)
{
    unsigned cmd = chance(2) ? MMUEXT_UNPIN_TABLE : pvg_random(2);

    return pvg_ext(cmd, frame_at_pfn(g, any_pfn()).n);
}

static long do_foreign(struct pvguest *g, struct pvguest *peer)
{
    uint64_t *pe = pvg_l1e(g, 60 + pvg_random(20));
    struct mmu_update u = {pvg_maddr(pe), pte_make(frame_at_pfn(peer, any_pfn()), any_flags())};

    if (chance(3))
        u.val = 0;
    return pvg_mmu_update(&u, 1, NULL, peer->d.id);
}

static long do_hold(struct pvguest *g, struct pvguest *peer)
{
    mfn_t m = frame_at_pfn(peer, any_pfn());
    int rc = frame_get_writable(m, &peer->d.memory);

    if (!rc)
        frame_put_writable(m);
    return rc;
}

static long do_descriptors(struct pvguest *g, struct pvguest *peer)
{
    mfn_t m = frame_at_pfn(g, any_pfn());
    int rc = frame_get(m, &g->d.memory);

    if (rc)
        return rc;
    rc = frame_get_type(m, FRAME_SEGDESC);
    if (!rc)
        frame_put_type(m);
    frame_put(m);
    return rc;
}

static long do_memory(struct pvguest *g, struct pvguest *peer)
{
    unsigned pfn = any_pfn();
    mfn_t old = frame_at_pfn(g, pfn), m;
    int rc = frame_alloc(&g->d.memory, 0, 0, &m);

    if (rc)
        return rc;
    __atomic_store_n(&g->mfn[pfn].n, m.n, __ATOMIC_RELAXED);
    (void)!frame_release(&g->d.memory, old);
    return pv_update_va_mapping(pvg_va(pfn), pte_make(m, PTE_P | PTE_RW), 0);
}

static long do_link(struct pvguest *g, struct pvguest *peer)
{
    uint64_t *l2e = (uint64_t *)pvg_page(g, 2) + 50 + pvg_random(4);

    return pvg_update(pvg_maddr(l2e),
                      chance(2) ? 0 : pte_make(frame_at_pfn(g, any_pfn()), PTE_P | PTE_RW));
}

static long do_flush(struct pvguest *g, struct pvguest *peer)
{
    return pvg_ext(chance(2) ? MMUEXT_TLB_FLUSH_ALL : MMUEXT_NEW_BASEPTR, g->mfn[0].n);
}

static long (*const kinds[])(struct pvguest *g, struct pvguest *peer) = {
    do_map,  do_map,         do_map,    do_pin,  do_pin,   do_foreign,
    do_hold, do_descriptors, do_memory, do_link, do_flush, do_foreign,
};

/* ---- threads ---- */

/* All wait for all; the last one audits first. Flushes that others want are served meanwhile. */
static void barrier(void)
{
    unsigned round = __atomic_load_n(&rounds, __ATOMIC_ACQUIRE);

    if (__atomic_add_fetch(&waiting, 1, __ATOMIC_ACQ_REL) == THREADS) {
        if (frame_audit()) {
            flaws++;
            fprintf(stderr, "race: the audit disagrees in round %u\n%s", round, host_log());
        }
        __atomic_store_n(&waiting, 0, __ATOMIC_RELAXED);
        __atomic_store_n(&rounds, round + 1, __ATOMIC_RELEASE);
    }
    while (__atomic_load_n(&rounds, __ATOMIC_ACQUIRE) == round) {
        tlb_serve();
        cpu_pause();
    }
}

static void *cpu_main(void *arg)
{
    unsigned n = (uintptr_t)arg;
    struct pvguest *g = guest[n / 2], *peer = guest[1 - n / 2];
    unsigned long done = 0, i;

    host_cpu_select(n);
    pvg_seed = (seed * THREADS + n + 1) * 0x9e3779b97f4a7c15ull | 1;
    pvg_run(g, n % 2);
    for (i = 0; i < total && !flaws; i++) {
        tlb_serve();
        done += kinds[pvg_random(ARRAY_SIZE(kinds))](g, peer) == 0;
        if (i % ROUND == ROUND - 1)
            barrier();
    }
    __atomic_fetch_add(&accepted, done, __ATOMIC_RELAXED);
    __atomic_fetch_add(&refused, i - done, __ATOMIC_RELAXED);
    return NULL;
}

/* The request is seen when the thread looks: it polls. */
static void no_ipi(const struct cpu_mask *mask)
{
}

int main(int argc, char **argv)
{
    pthread_t thread[THREADS];

    for (int i = 1; i + 1 < argc; i += 2) {
        if (!strcmp(argv[i], "--calls"))
            total = strtoul(argv[i + 1], NULL, 0);
        else if (!strcmp(argv[i], "--seed"))
            seed = strtoul(argv[i + 1], NULL, 0);
    }
    total -= total % ROUND;
    pvg_machine(16u << 20, THREADS);
    tlb_ipi = no_ipi;
    for (unsigned i = 0; i < 2; i++)
        guest[i] = pvg_new(i, EACH, true);
    for (uintptr_t i = 0; i < THREADS; i++)
        pthread_create(&thread[i], NULL, cpu_main, (void *)i);
    for (unsigned i = 0; i < THREADS; i++)
        pthread_join(thread[i], NULL);
    cpus_online = (struct cpu_mask){{1}}; /* the others have gone */
    if (!flaws) {
        pvg_kill(guest[0]);
        pvg_kill(guest[1]);
        pvg_free(guest[0]);
        pvg_free(guest[1]);
        if (frame_audit()) {
            flaws++;
            fputs(host_log(), stderr);
        }
    }
    printf("race: %lu done, %lu refused, seed %lu\n", accepted, refused, seed);
    printf("%u passed, %u failed\n", flaws ? 0 : 1, flaws ? 1 : 0);
    return flaws != 0;
}
