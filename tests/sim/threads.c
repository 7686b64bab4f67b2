/* SPDX-License-Identifier: MIT */
/* The world of world.h with a thread for each CPU. Rounds: all CPUs make some calls at once, then
 * stop, and what is true at rest is audited. Arguments: driver.h; a call is a round.
 *
 * Linked with ThreadSanitizer's runtime ("threads") the CPUs run as the machine lets them, and data
 * races are found. Linked with interleave.c one runs at a time, and the next goes on at an atomic
 * access that the seed chooses: the same seed, the same run. */
#include "threads.h"

#include <pthread.h>
#include <semaphore.h>

#include "base/softirq.h"
#include "memory/tlb.h"
#include "tlb_model.h"
#include "world.h"

#define STEPS 40u

static sem_t go[WORLD_CPUS], over[WORLD_CPUS];
static uint64_t round_seed;
static unsigned done, out; /* [a] */
static bool ending;

static void no_ipi(const struct cpu_mask *mask)
{
}

/* Others are not done: they may wait for this CPU's flushes, or for what runs on it to stop. */
static void serve_until(unsigned *counter, bool softirqs)
{
    __atomic_add_fetch(counter, 1, __ATOMIC_SEQ_CST);
    while (__atomic_load_n(counter, __ATOMIC_SEQ_CST) < WORLD_CPUS) {
        tlb_serve();
        if (softirqs)
            softirq_run();
        cpu_pause();
    }
}

static void *cpu_main(void *arg)
{
    unsigned n = (unsigned)(uintptr_t)arg;

    host_cpu_select(n);
    for (;;) {
        sem_wait(&go[n]);
        if (ending)
            return NULL;
        threads_enter(n);
        pvg_seed = (round_seed + n) * 0x9e3779b97f4a7c15ull | 1;
        for (unsigned i = 0; i < STEPS; i++) {
            world_step();
            if (threads_alone())
                tlb_model_check();
        }
        serve_until(&done, true);
        serve_until(&out, false);
        threads_leave(n);
        sem_post(&over[n]);
    }
}

static void call(void)
{
    round_seed = pvg_seed;
    done = out = 0;
    world_revive();
    for (unsigned i = 0; i < WORLD_DOMS; i++)
        if (world[i].d->pause_count && chance(3) && domain_unpause(world[i].d))
            sim_flaw("a pause that was counted was none");
    world_focus = pvg_random(9);
    world_parallel = true;
    tlb_ipi = no_ipi;
    lock_spin_poll = tlb_serve;
    threads_begin(round_seed, WORLD_CPUS);
    for (unsigned i = 0; i < WORLD_CPUS; i++)
        sem_post(&go[i]);
    for (unsigned i = 0; i < WORLD_CPUS; i++)
        sem_wait(&over[i]);
    world_parallel = false;
    world_alone();
    host_cpu_select(0);
}

static pthread_t thread[WORLD_CPUS];

static void begin(void)
{
    world_begin();
    for (uintptr_t i = 0; i < WORLD_CPUS; i++) {
        sem_init(&go[i], 0, 0);
        sem_init(&over[i], 0, 0);
        pthread_create(&thread[i], NULL, cpu_main, (void *)i);
    }
}

static void end(void)
{
    ending = true;
    for (unsigned i = 0; i < WORLD_CPUS; i++)
        sem_post(&go[i]);
    for (unsigned i = 0; i < WORLD_CPUS; i++)
        pthread_join(thread[i], NULL);
    world_end();
}

int main(int argc, char **argv)
{
    static const struct sim threads = {"threads", begin, call, world_audit, end, world_report};

    return sim_main(&threads, argc, argv);
}
