/* SPDX-License-Identifier: MIT */
/* The scheduler's real code in virtual time: CPUs, timers and interrupts are events, units are
 * loads of several kinds. Each run is made from its seed: CPUs, clusters, weights, caps,
 * affinities, pools; first everything changes at random, then nothing, and shares are measured.
 *
 *     sched [--runs N] [--seed S]       the kept seeds, then N runs from S on, and a histogram of
 *                                       how long interactive units waited
 *     sched --only S                    one run, with what it measured
 *
 * Seeds from CORES on: the threads of a core, two to four, run one group at a time.
 *
 * What must hold in every run (docs/SCHEDULING.md): see the functions check_*. */
#include "sched_machine.h"

#define POOLS 3u
#define CORES 100000ul
#define ALONE .85 /* of a CPU: who is owed that much cannot share one for long */

/* Seeds of runs that found a mistake once. */
static const unsigned long kept[] = {1001, 1004, 1007, 1024, 1025};

struct group {
    struct sched_group s;
    unsigned first, count, pool;
};

static unsigned long runs = 12, first_seed = 1000;
static bool verbose;
static unsigned groups, cluster_size;
static struct group group[MAX_GROUPS];
static struct sched_pool *pool[POOLS];

/* ---- making a run ---- */

static uint32_t any_weight(void)
{
    static const uint32_t usual[] = {256, 256, 256, 128, 512, 1024, 64};

    return rnd(4) ? usual[rnd(ARRAY_SIZE(usual))] : (uint32_t)between(32, 2048);
}

static void any_affinity(struct unit *u)
{
    struct cpu_mask hard, soft;

    bitmap_fill(hard.bits, MAX_CPUS);
    bitmap_fill(soft.bits, MAX_CPUS);
    if (rnd(4) == 0) {
        bitmap_zero(hard.bits, MAX_CPUS);
        for (uint64_t n = between(1, cpus); n; n--)
            bitmap_set(hard.bits, rnd(cpus));
    }
    if (rnd(4) == 0) {
        bitmap_zero(soft.bits, MAX_CPUS);
        bitmap_set(soft.bits, rnd(cpus));
    }
    (void)!sched_set_affinity(&u->s, &hard, &soft);
}

static void add_group(unsigned count, uint32_t weight, uint32_t cap)
{
    struct group *g = &group[groups++];

    sched_group_init(&g->s);
    if (sched_group_set(&g->s, weight, cap))
        flaw("weight %u", weight);
    g->first = units;
    g->count = count;
    g->pool = 0;
    for (; count; count--) {
        struct unit *u = &unit[units++];

        *u = (struct unit){.kind = HOG};
        if (sched_unit_init(&u->s, &g->s, (unsigned)rnd(cpus)))
            flaw("no memory");
    }
}

static void change_cpu(void)
{
    unsigned c = (unsigned)rnd(cpus);

    if (!there[c] && rnd(2)) {
        there[c] = true;
        sched_cpu_restore(c);
    } else if (there[c] && bitmap_weight(sched_pool0->cpus.bits, MAX_CPUS) > 2) {
        for (unsigned tries = 0; there[c] && tries < 3; tries++) {
            host_cpu_select(any_cpu());
            there[c] = sched_cpu_remove(c) != 0;
            run_cpu(c);
        }
    }
}

static void change_pool(void)
{
    unsigned i = (unsigned)rnd(POOLS), c = any_cpu();
    struct group *g = &group[rnd(groups)];

    if (!pool[i] && sched_pool_create(i, rnd(8) ? &sched_fair : &sched_null, &pool[i]))
        flaw("pool %u", i);
    switch (rnd(4)) {
    case 0:
        if (bitmap_weight(sched_pool0->cpus.bits, MAX_CPUS) > 2 &&
            !sched_pool_remove_cpu(sched_pool0, c) && sched_pool_add_cpu(pool[i], c))
            flaw("CPU %u goes into no pool", c);
        break;
    case 1:
        if (i && !sched_pool_remove_cpu(pool[i], c) && sched_pool_add_cpu(sched_pool0, c))
            flaw("CPU %u does not come back", c);
        break;
    case 2:
        if (!sched_group_move(&g->s, pool[i]))
            g->pool = i;
        break;
    case 3:
        (void)!sched_group_move(&g->s, sched_pool0);
        break;
    }
}

/* One order of an administrator. */
static void change(void)
{
    struct group *g = &group[rnd(groups)];
    unsigned cpu = any_cpu();

    ordered = now;
    host_cpu_select(cpu);
    switch (rnd(6)) {
    case 0:
        (void)!sched_group_set(&g->s, any_weight(), g->s.cap);
        break;
    case 1:
        if (rnd(4) == 0)
            (void)!sched_group_set(&g->s, g->s.weight, rnd(2) ? (uint32_t)between(5, 150) : 0);
        break;
    case 2:
        any_affinity(&unit[rnd(units)]);
        break;
    case 3:
        change_cpu();
        break;
    case 4:
        change_pool();
        break;
    case 5: {
        struct unit *u = &unit[rnd(units)];

        if (u->runs) {
            host_cpu_select(u->s.cpu);
            sched_unit_yield();
            run_cpu(u->s.cpu);
        }
        break;
    }
    }
    for (unsigned c = 0; c < cpus; c++)
        run_cpu(c);
}

/* All in one pool, everywhere, without caps. */
static void calm_down(void)
{
    struct cpu_mask all;

    ordered = now;
    bitmap_fill(all.bits, MAX_CPUS);
    for (unsigned c = 0; c < cpus; c++) {
        for (unsigned i = 1; i < POOLS; i++)
            if (pool[i] && bitmap_test(pool[i]->cpus.bits, c))
                for (unsigned g = 0; g < groups; g++)
                    if (sched_group_move(&group[g].s, sched_pool0))
                        flaw("group %u stays", g);
        for (unsigned i = 1; i < POOLS; i++)
            if (pool[i] && !sched_pool_remove_cpu(pool[i], c) && sched_pool_add_cpu(pool[0], c))
                flaw("CPU %u does not come back", c);
        if (!there[c]) {
            there[c] = true;
            sched_cpu_restore(c);
        }
        run_cpu(c);
    }
    host_cpu_select(0);
    for (unsigned i = 0; i < units; i++)
        if (sched_set_affinity(&unit[i].s, &all, &all))
            flaw("affinity");
    for (unsigned c = 0; c < cpus; c++)
        run_cpu(c);
}

/* ---- measuring ---- */

static void settle(void)
{
    for (unsigned i = 0; i < units; i++) {
        struct unit *u = &unit[i];

        if (u->runs) {
            u->ran += now - u->since;
            if (u->left != UINT64_MAX)
                u->left -= min(u->left, now - u->since);
            u->since = now;
        }
    }
    ordered = now;
}

static void start_measuring(void)
{
    settle();
    for (unsigned i = 0; i < units; i++)
        unit[i].used = unit[i].ran;
    steady = now;
}

/* Where others come and go, weights are kept over time only if the hogs alone could be served by
 * weight: else it depends on who is awake who gets a CPU for himself. */
static bool feasible(void)
{
    double weight = 0;
    uint32_t most = 0;
    bool all = true;

    for (unsigned i = 0; i < units; i++) {
        all &= unit[i].kind == HOG;
        if (unit[i].kind == HOG) {
            weight += whole(&unit[i])->weight;
            most = max(most, whole(&unit[i])->weight);
        }
    }
    return all || (double)most * cpus < .9 * weight;
}

/* Hogs that do not have a CPU for themselves get the same for the same weight; and nobody, whatever
 * he wants, gets more for his weight than they do. */
static void check_shares(void)
{
    double time = (double)(now - steady), sum = 0, weight = 0, worst = 0, per;

    for (unsigned i = 0; i < units; i++) {
        double got = (double)(unit[i].ran - unit[i].used);

        if (unit[i].kind == HOG && !unit[i].s.group->cap && got < ALONE * time) {
            sum += got;
            weight += whole(&unit[i])->weight;
        }
    }
    if (!weight || !feasible())
        return;
    per = sum / weight;
    for (unsigned i = 0; i < units; i++) {
        const struct unit *u = &unit[i];
        double got = (double)(u->ran - u->used), due = per * whole(u)->weight, off = got / due - 1;

        if (got >= ALONE * time || due >= ALONE * time || u->s.group->cap || u->kind != HOG)
            off = off > .1 && got < ALONE * time
                      ? off
                      : 0; /* who sleeps may come back with a slice in hand */
        if (due < 100. * (double)whole(u)->slice) /* too short a run for so little a share */
            off = 0;
        worst = off > worst ? off : -off > worst ? -off : worst;
        if (off > .02 || off < -.02)
            flaw("unit %u of weight %u got %.3f ms instead of %.3f ms", i, whole(u)->weight,
                 got / MS, due / MS);
    }
    if (verbose)
        printf("    shares of %u units on %u CPUs (%u a core): %.2f %% off at most\n", units, cpus,
               threads, 100 * worst);
}

/* A capped group gets no more than its cap; and no less if its hogs are owed more. */
static void check_caps(void)
{
    double time = (double)(now - steady), per = 0, weight = 0;

    for (unsigned i = 0; i < units; i++)
        weight += whole(&unit[i])->weight;
    per = cpus * time / weight;
    for (unsigned i = 0; i < groups; i++) {
        const struct group *g = &group[i];
        double cap = g->s.cap * time / 100, got = 0, owed = 0;

        if (!g->s.cap)
            continue;
        for (unsigned k = g->first; k < g->first + g->count; k++) {
            double due = per * whole(&unit[k])->weight;

            got += (double)(unit[k].ran - unit[k].used);
            if (unit[k].kind == HOG)
                owed += due < time ? due : time;
        }
        if (verbose)
            printf("    cap %u: got %.2f, owed %.2f\n", g->s.cap, 100 * got / time,
                   100 * owed / time);
        if (got > 1.01 * cap * threads) /* a core counts as a CPU */
            flaw("group %u of cap %u got %.3f", i, g->s.cap, 100 * got / time);
        if (threads == 1 && owed > 1.5 * cap && got < .99 * cap)
            flaw("group %u of cap %u got only %.3f", i, g->s.cap, 100 * got / time);
    }
}

static void begin(void)
{
    for (unsigned i = 0; i < units; i++) {
        struct unit *u = &unit[i];

        if (u->kind == HOG)
            wake(u);
        else
            post(now + rnd(50 * MS), WAKE, i, 0);
    }
}

static void finish(const char *what)
{
    printf("  seed %lu: %s, %u units, %u CPUs, %.1f s: %lu switches, %lu wakes, %lu checks\n", seed,
           what, units, cpus, (double)now / SEC, switches, wakes, checks);
}

/* ---- kinds of run ---- */

static unsigned any_count(unsigned most)
{
    return (unsigned)between(1, min(most, MAX_CPUS / threads));
}

/* A machine of n cores. */
static void fresh(unsigned n)
{
    cpus = n * threads;
    cluster_size = (unsigned)between(1, 16) * threads;
    units = groups = 0;
    steady = ordered = switches = wakes = checks = 0;
    start_machine(cluster_size);
    memset(pool, 0, sizeof(pool));
    pool[0] = sched_pool0;
}

/* Hogs of any weights: shares. */
static void run_hogs(void)
{
    unsigned n = any_count(rnd(3) ? 16 : 100), per = (unsigned)between(1, 12);

    fresh(n);
    while (units < n * per + 2)
        add_group((unsigned)between(1, 4), any_weight(), 0);
    begin();
    run_until(now + 2 * SEC);
    start_measuring();
    run_until(now + per * 8 * SEC);
    settle();
    check_shares();
    finish("hogs");
}

/* Hogs and loads that sleep, while orders come; then calm, and shares. */
static void run_mixed(void)
{
    unsigned n = any_count(rnd(3) ? 16 : 100), per = (unsigned)between(1, 8);

    bool busy;

    fresh(n);
    while (units < n * per + 2)
        add_group((unsigned)between(1, 4), any_weight(), 0);
    busy = rnd(3);
    for (unsigned i = 0; i < units; i++)
        unit[i].kind = (busy ? rnd(3) : !rnd(5)) ? HOG : rnd(2) ? INTERACTIVE : BURSTY;
    begin();
    for (unsigned i = 0; i < 300; i++) {
        run_until(now + rnd(10 * MS));
        change();
    }
    for (unsigned i = 0; i < groups; i++)
        (void)!sched_group_set(&group[i].s, group[i].s.weight, 0);
    calm_down();
    run_until(now + 3 * SEC);
    start_measuring();
    run_until(now + per * 8 * SEC);
    settle();
    check_shares();
    finish("mixed");
}

/* Some groups are capped. */
static void run_caps(void)
{
    unsigned n = any_count(12);

    fresh(n);
    for (unsigned i = 0; i < n + 2; i++)
        add_group((unsigned)between(1, 4), any_weight(), rnd(2) ? (uint32_t)between(2, 250) : 0);
    for (unsigned i = 0; i < units; i++)
        unit[i].kind = rnd(4) ? HOG : BURSTY;
    begin();
    run_until(now + SEC);
    start_measuring();
    run_until(now + 20 * SEC);
    settle();
    check_caps();
    finish("caps");
}

/* Two hogs a CPU, and interactive units that must not notice. */
static void run_latency(void)
{
    unsigned n = any_count(32);

    fresh(n);
    add_group(2 * cpus, 256, 0);
    for (unsigned i = 0; i < (n + 1) / 2; i++) { /* not bundled: they would keep a core together */
        add_group(1, 256, 0);
        unit[2 * cpus + i].kind = INTERACTIVE;
    }
    begin();
    run_until(now + SEC);
    start_measuring();
    strict = true;
    run_until(now + 10 * SEC);
    strict = false;
    finish("latency");
}

static void run_one(unsigned long s)
{
    static void (*const run[])(void) = {run_hogs, run_mixed, run_caps, run_latency};

    rnd_seed(s);
    threads = s < CORES ? 1 : (unsigned)between(2, 4);
    run[s % ARRAY_SIZE(run)]();
}

static void print_histogram(void)
{
    unsigned long all = 0, sum = 0;

    for (unsigned i = 0; i < HISTOGRAM; i++)
        all += histogram[i];
    for (unsigned i = 0; i < HISTOGRAM && sum < all; i++) {
        sum += histogram[i];
        printf("LATENCY below %u us: %.3f %%\n", 1u << i, 100. * (double)sum / (double)all);
    }
}

int main(int argc, char **argv)
{
    bool only = false;

    setvbuf(stdout, NULL, _IOLBF, 0);
    for (int i = 1; i < argc; i++) {
        if (!strcmp(argv[i], "--runs") && i + 1 < argc) {
            runs = strtoul(argv[++i], NULL, 0);
        } else if (!strcmp(argv[i], "--seed") && i + 1 < argc) {
            first_seed = strtoul(argv[++i], NULL, 0);
        } else if (!strcmp(argv[i], "--only") && i + 1 < argc) {
            first_seed = strtoul(argv[++i], NULL, 0);
            only = verbose = true;
        } else if (!strcmp(argv[i], "--calls") && i + 1 < argc) { /* as tests/mutants/run says it */
            runs = strtoul(argv[++i], NULL, 0) / 10000;
        } else if (!strcmp(argv[i], "--audit") && i + 1 < argc) {
            i++;
        } else {
            fprintf(stderr, "usage: sched [--runs N] [--seed S] [--only S]\n");
            return 2;
        }
    }
    if (only) {
        run_one(first_seed);
        print_histogram();
        return 0;
    }
    for (unsigned i = 0; i < ARRAY_SIZE(kept); i++)
        run_one(kept[i]);
    for (unsigned long i = 0; i < runs; i++) {
        run_one(first_seed + i);
        if (i % 3 == 0)
            run_one(CORES + first_seed + i + i / 3);
    }
    print_histogram();
    printf("scheduler: %lu runs, no flaw\n", runs + ARRAY_SIZE(kept));
    return 0;
}
