/* SPDX-License-Identifier: MIT */
/* See sched_machine.h. An event's handler selects the CPU where it happens, does what the machine
 * would do there, and lets the CPU leave by its exit path. Interrupts of others take up to IPI. */
#include <stdarg.h>

#include "sched_machine.h"
#include "base/param.h"

#define IPI   (2 * US)  /* at most, from raising to running */
#define LATE  (12 * US) /* at most, of a timer */
#define SLACK (20 * US)

struct entry {
    uint64_t at;
    enum event what;
    unsigned which;
    uint64_t gen;
};

unsigned long seed, switches, wakes, checks;
bool strict;
uint64_t now, steady, ordered;
unsigned cpus, units, threads;
struct unit unit[MAX_UNITS];
bool there[MAX_CPUS];
unsigned histogram[HISTOGRAM];

static uint64_t random_state;
static unsigned waiting_count, idle_count, looking;
static struct unit *waiting[MAX_UNITS];
static unsigned waiting_at[MAX_UNITS];
static struct sched_unit idle[MAX_CPUS];
static struct sched_unit *current_of[MAX_CPUS];
static const struct sched_unit *holder[MAX_CPUS]; /* by core: whose parts run there, or ran last */
static uint64_t taken[MAX_CPUS], left[MAX_CPUS];  /* since when; when all of them were idle last */
static uint64_t deadline[MAX_CPUS];
static struct entry *heap;
static size_t heap_count, heap_room;

void flaw(const char *fmt, ...)
{
    va_list args;

    printf("seed %lu at %.6f s: ", seed, (double)now / SEC);
    va_start(args, fmt);
    vprintf(fmt, args);
    va_end(args);
    printf("\n");
    exit(1);
}

uint64_t rnd(uint64_t below)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state % below;
}

uint64_t between(uint64_t low, uint64_t high)
{
    return low + rnd(high - low + 1);
}

void rnd_seed(unsigned long s)
{
    seed = s;
    random_state = s * 0x9e3779b97f4a7c15ull + 1;
    for (unsigned i = 0; i < 8; i++)
        (void)rnd(2);
}

/* ---- events ---- */

void post(uint64_t at, enum event what, unsigned which, uint64_t gen)
{
    size_t i = heap_count++;

    if (heap_count > heap_room) {
        heap_room = 2 * heap_room + 1024;
        heap = realloc(heap, heap_room * sizeof(*heap));
    }
    for (; i && heap[(i - 1) / 2].at > at; i = (i - 1) / 2)
        heap[i] = heap[(i - 1) / 2];
    heap[i] = (struct entry){at, what, which, gen};
}

static struct entry take(void)
{
    struct entry top = heap[0], last = heap[--heap_count];
    size_t i = 0, child;

    while ((child = 2 * i + 1) < heap_count) {
        if (child + 1 < heap_count && heap[child + 1].at < heap[child].at)
            child++;
        if (last.at <= heap[child].at)
            break;
        heap[i] = heap[child];
        i = child;
    }
    heap[i] = last;
    return top;
}

static void arm(uint64_t tsc, uint64_t delta_ns)
{
    deadline[cpu_id()] = now + delta_ns + rnd(LATE);
    post(deadline[cpu_id()], TIMER, cpu_id(), 0);
}

static void stop(void)
{
}

static const struct timer_device device = {"simulated", arm, stop};

static void kick(unsigned cpu)
{
    looking++;
    post(now + rnd(IPI), LOOK, cpu, 0);
}

/* What the exit path of a CPU does. */
void run_cpu(unsigned cpu)
{
    host_cpu_select(cpu);
    while (softirq_pending())
        softirq_run();
}

/* ---- loads ---- */

static struct unit *unit_of(struct sched_unit *s)
{
    return container_of(s, struct unit, s);
}

static void begin_wait(struct unit *u)
{
    u->since = now;
    waiting_at[u - unit] = waiting_count;
    waiting[waiting_count++] = u;
}

static void end_wait(struct unit *u)
{
    struct unit *last = waiting[--waiting_count];

    waiting[waiting_at[u - unit]] = last;
    waiting_at[last - unit] = waiting_at[u - unit];
}

static uint64_t burst(const struct unit *u)
{
    switch (u->kind) {
    case INTERACTIVE:
        return between(20 * US, 300 * US);
    case BURSTY:
        return between(100 * US, 60 * MS);
    default:
        return UINT64_MAX;
    }
}

static uint64_t pause_of(const struct unit *u)
{
    return u->kind == INTERACTIVE ? between(8 * MS, 40 * MS) : between(100 * US, 100 * MS);
}

/* ---- what must hold ---- */

static bool allowed(const struct unit *u, unsigned cpu)
{
    const struct sched_pool *p = u->s.group->pool;
    const struct cpu_mask *hard = &whole(u)->hard;
    bool named = false;

    if (!bitmap_test(p->cpus.bits, cpu))
        return false;
    for (unsigned c = cpu - cpu % threads, n = 0; n < threads; n++)
        named |= bitmap_test(hard->bits, c + n);
    return named || !bitmap_intersects(hard->bits, p->cpus.bits, MAX_CPUS);
}

/* How long u may wait at most: until everybody of its pool has had what he may be owed, four
 * slices, and a last one, and his part of u's own slice; spread over its CPUs as unevenly as one is
 * to two.
 */
static uint64_t wait_bound(const struct unit *u)
{
    double owed = 0;
    unsigned n = 0;

    for (unsigned c = 0; c < cpus; c++)
        n += allowed(u, c);
    for (unsigned i = 0; i < units; i++)
        if (unit[i].s.group->pool == u->s.group->pool) {
            const struct sched_unit *s = whole(&unit[i]), *own = whole(u);

            owed += (double)own->slice * s->weight / own->weight + (double)s->slice;
            owed += 4. * (double)max(SCHED_SLICE * s->weight / 256, s->slice);
        }
    return (uint64_t)(2 * owed / n) + 40 * MS;
}

static void check_wait(struct unit *u)
{
    uint64_t waited = now - max(u->since, ordered);

    if (waited <= u->worst || u->s.group->cap)
        return;
    u->worst = waited;
    if (waited > 30 * MS && waited > wait_bound(u))
        flaw("unit %ld of weight %u has waited %.3f ms, the bound is %.3f ms", (long)(u - unit),
             whole(u)->weight, (double)waited / MS, (double)wait_bound(u) / MS);
}

/* No thread of the CPU's core runs anything. */
static bool idles(unsigned cpu)
{
    for (unsigned c = cpu - cpu % threads, n = 0; n < threads; n++)
        if (!current_of[c + n]->idle)
            return false;
    return true;
}

/* When every CPU has done what it was told, no unit waits while a core idles that it may use, nor
 * while others of its bundle run. */
static void check_idle(void)
{
    if (!waiting_count || !idle_count || looking)
        return;
    checks++;
    for (unsigned i = 0; i < waiting_count; i++) {
        const struct sched_unit *s = whole(waiting[i]);

        for (unsigned c = 0; c < cpus; c++) {
            if (there[c] && !s->parked && idles(c) && allowed(waiting[i], c))
                flaw("unit %ld waits for CPU %u, and CPU %u idles", (long)(waiting[i] - unit),
                     s->cpu, c);
            if (threads > 1 && !current_of[c]->idle && current_of[c]->whole == s)
                flaw("unit %ld waits, and its bundle runs", (long)(waiting[i] - unit));
        }
    }
}

/* The threads of a core run units of one group at a time: of one bundle, that is, which runs
 * nowhere else; and each on its own thread. */
static void check_core(unsigned cpu)
{
    const struct sched_unit *s = current_of[cpu]->whole;
    unsigned core = cpu / threads;

    for (unsigned c = 0; c < cpus; c++) {
        const struct sched_unit *other = current_of[c];

        if (c / threads == core ? !other->idle && other->whole != s : other->whole == s)
            flaw("CPU %u runs a unit of group %p, CPU %u one of group %p", cpu,
                 (const void *)s->group, c, (const void *)other->group);
    }
}

/* Nobody who wants to go on is displaced before the rate limit. */
static void check_stint(const struct unit *u, uint64_t since)
{
    uint64_t limit = u->s.group->pool->ratelimit;

    if (u->s.runnable && since > ordered + IPI && !whole(u)->parked && now - since + SLACK < limit)
        flaw("unit %ld was displaced after %.1f us", (long)(u - unit), (double)(now - since) / US);
}

/* A core is somebody's: from now on, if it was not. A pause that is over before it could be noticed
 * is none. */
static void take_core(unsigned core, const struct sched_unit *s)
{
    if (holder[core] != s || (left[core] >= taken[core] && now - left[core] > 3 * IPI))
        taken[core] = now;
    holder[core] = s;
}

/* Interactive units want less than half their share, so they run when the rate limit lets them, or
 * when one or two of their kind have done their bursts. */
static void check_latency(const struct unit *u)
{
    uint64_t waited = now - u->since, bound = u->s.group->pool->ratelimit + 600 * US + SLACK;
    unsigned n = 0;

    if (u->kind != INTERACTIVE || !strict)
        return;
    while (waited / US >> n && n < HISTOGRAM - 1)
        n++;
    histogram[n]++;
    if (waited > bound)
        flaw("interactive unit %ld waited %.3f ms", (long)(u - unit), (double)waited / MS);
}

static void switch_to(struct sched_unit *prev, struct sched_unit *next)
{
    unsigned cpu = cpu_id();

    if (current_of[cpu] != prev || !next->running)
        flaw("CPU %u: a switch from who does not run, or to who cannot", cpu);
    switches++;
    current_of[cpu] = next;
    idle_count += next->idle;
    idle_count -= prev->idle;
    if (!prev->idle) {
        struct unit *u = unit_of(prev);

        check_stint(u, threads > 1 ? taken[cpu / threads] : u->since);
        u->runs = false;
        u->ran += now - u->since;
        u->gen++;
        if (u->left != UINT64_MAX)
            u->left -= min(u->left, now - u->since);
        if (prev->runnable)
            begin_wait(u);
    }
    if (!next->idle) {
        struct unit *u = unit_of(next);

        if (u->runs)
            flaw("unit %ld runs twice", (long)(u - unit));
        if (!allowed(u, cpu) && now > ordered + IPI)
            flaw("unit %ld runs on CPU %u", (long)(u - unit), cpu);
        if (threads > 1)
            check_core(cpu);
        take_core(cpu / threads, whole(u));
        check_wait(u);
        check_latency(u);
        end_wait(u);
        u->runs = true;
        u->since = now;
        if (u->left != UINT64_MAX)
            post(now + u->left, BURST, (unsigned)(u - unit), ++u->gen);
    }
    if (idles(cpu))
        left[cpu / threads] = now;
    sched_switched(prev);
}

static const struct sched_upcalls upcalls = {.switch_to = switch_to};

/* ---- the loop ---- */

unsigned any_cpu(void)
{
    unsigned c;

    do
        c = (unsigned)rnd(cpus);
    while (!there[c]);
    return c;
}

void wake(struct unit *u)
{
    unsigned cpu = any_cpu();

    if (u->s.runnable)
        return;
    wakes++;
    host_cpu_select(cpu);
    u->left = burst(u);
    if (u->runs) /* its CPU has not noticed yet that it slept */
        flaw("unit %ld wakes while it runs", (long)(u - unit));
    begin_wait(u);
    sched_wake(&u->s);
    run_cpu(cpu);
}

static void sleep_now(struct unit *u)
{
    unsigned cpu = u->s.cpu;

    host_cpu_select(cpu);
    sched_sleep(&u->s);
    post(now + pause_of(u), WAKE, (unsigned)(u - unit), 0);
    run_cpu(cpu);
}

static void handle(const struct entry *e)
{
    switch (e->what) {
    case TIMER:
        if (deadline[e->which] != e->at)
            return;
        deadline[e->which] = 0;
        host_cpu_select(e->which);
        timer_interrupt();
        run_cpu(e->which);
        break;
    case LOOK:
        looking--;
        run_cpu(e->which);
        break;
    case BURST:
        if (unit[e->which].runs && unit[e->which].gen == e->gen)
            sleep_now(&unit[e->which]);
        break;
    case WAKE:
        wake(&unit[e->which]);
        break;
    }
}

void run_until(uint64_t end)
{
    uint64_t sweep = now;

    while (heap_count && heap[0].at <= end) {
        struct entry e = take();

        now = host_tsc = e.at;
        handle(&e);
        check_idle();
        if (now - sweep > 20 * MS) {
            for (unsigned i = 0; i < waiting_count; i++)
                check_wait(waiting[i]);
            sweep = now;
        }
    }
    now = host_tsc = end;
}

/* ---- the start ---- */

void start_machine(unsigned cluster_size)
{
    uint32_t key[MAX_CPUS];

    param_parse(threads > 1 ? "sched-gran=core" : "sched-gran=cpu");
    host_machine_init(64 << 20, cpus);
    host_memory_init();
    host_tsc_step = 0;
    host_tsc = now = 0;
    clock_init_hz(1000000000);
    host_tsc = now = 1000;
    timer_start(&device);
    softirq_kick = kick;
    sched_init(&upcalls);
    heap_count = 0;
    waiting_count = looking = 0;
    idle_count = cpus;
    for (unsigned i = cpus; i-- > 0;) {
        host_cpu_select(i);
        sched_cpu_init(i, i / cluster_size, &idle[i]);
        current_of[i] = &idle[i];
        there[i] = true;
        deadline[i] = 0;
        holder[i / threads] = NULL;
        taken[i / threads] = left[i / threads] = 0;
        run_cpu(i);
    }
    for (unsigned i = 0; i < MAX_CPUS; i++)
        key[i] = i / threads;
    host_cpu_select(0);
    sched_start_cores(key);
}
