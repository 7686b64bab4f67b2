/* SPDX-License-Identifier: MIT */
/* Pools of CPUs, groups and units in them, and their parameters. RANK_POOL guards who is where;
 * what follows for a unit, its mask `can`, is set under the unit's own lock, and the unit moves by
 * itself when that does not fit any more.
 *
 * A unit whose affinity names no CPU of its pool, after CPUs were taken away, may use all of them.
 */
#include "sched/queue.h"
#include "base/log.h"
#include "base/panic.h"
#include "base/param.h"
#include "base/softirq.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "memory/heap.h"

struct cluster clusters[MAX_CPUS];
unsigned cluster_count;
struct sched_pool *sched_pool0;

struct lock pools_lock = LOCK_INIT(RANK_POOL, "CPU pools");
static struct list pools = LIST_INIT(pools); /* [POOL] ascending id */
static struct cpu_mask cpus_here;            /* [POOL] have a line and did not leave */

/* ---- policies and options ---- */

static void fair_confine(struct sched_unit *u, struct cpu_mask *can)
{
}

const struct sched_ops sched_fair = {.name = "credit2", .confine = fair_confine};

/* A unit keeps its CPU while it lives; without one it does not run. */
static void null_confine(struct sched_unit *u, struct cpu_mask *can)
{
    const struct sched_group *g;
    const struct sched_unit *other;
    struct cpu_mask left = *can;

    if (u->own >= 0 && !bitmap_test(can->bits, (size_t)u->own))
        u->own = -1;
    if (u->own < 0) {
        list_for_each_entry (g, &u->group->pool->groups, in_pool)
            list_for_each_entry (other, &g->units, in_group)
                if (other->own >= 0)
                    bitmap_clear(left.bits, (size_t)other->own);
        if (!bitmap_empty(left.bits, MAX_CPUS))
            u->own = (int)bitmap_first(left.bits, MAX_CPUS);
    }
    bitmap_zero(can->bits, MAX_CPUS);
    if (u->own >= 0)
        bitmap_set(can->bits, (size_t)u->own);
}

const struct sched_ops sched_null = {.name = "null", .confine = null_confine};

static const struct sched_ops *policy = &sched_fair; /* [I] of pool 0 */
static uint64_t ratelimit_us = SCHED_RATELIMIT / 1000;

static int parse_sched(const char *value, bool negated)
{
    static const struct sched_ops *const known[] = {&sched_fair, &sched_null};

    for (unsigned i = 0; i < ARRAY_SIZE(known); i++)
        if (!negated && !strcmp(value, known[i]->name)) {
            policy = known[i];
            return 0;
        }
    return -EINVAL;
}
PARAM_CUSTOM("sched", parse_sched);
PARAM_UINT("sched_ratelimit_us", ratelimit_us);

/* ---- who may run where ---- */

static void confine(struct sched_unit *u)
{
    const struct sched_pool *p = u->group->pool;
    struct cpu_mask can, like, soft = u->soft;

    bitmap_and(can.bits, u->hard.bits, p->cpus.bits, MAX_CPUS);
    if (bitmap_empty(can.bits, MAX_CPUS))
        can = p->cpus;
    if (u->pin >= 0 && bitmap_test(p->cpus.bits, (size_t)u->pin)) {
        bitmap_zero(can.bits, MAX_CPUS);
        bitmap_set(can.bits, (size_t)u->pin);
    }
    core_narrow(&can);
    core_narrow(&soft);
    p->ops->confine(u, &can);
    bitmap_and(like.bits, can.bits, soft.bits, MAX_CPUS);
    if (bitmap_empty(like.bits, MAX_CPUS))
        like = can;
    unit_confine(u, &can, &like);
}

static void confine_all(struct sched_pool *p)
{
    struct sched_group *g;
    struct sched_unit *u;

    list_for_each_entry (g, &p->groups, in_pool)
        list_for_each_entry (u, &g->units, in_group)
            confine(u);
}

static void line_to_pool(struct line *l, struct sched_pool *p)
{
    lock(&l->cluster->lock);
    l->pool = p;
    l->strays = true;
    if (p)
        l->offset = read_once(p->now) - l->vtime;
    line_mark(l, l->current);
    unlock(&l->cluster->lock);
}

/* p NULL: none. With all of its core. What waits in the CPU's line goes elsewhere, what runs leaves
 * when the CPU looks. */
static void cpu_to_pool(unsigned cpu, struct sched_pool *p)
{
    const struct cpu_mask cpus = core_cpus(cpu);
    struct sched_pool *old = line_of(cpu)->pool;
    unsigned each;

    bitmap_for_each (each, cpus.bits, MAX_CPUS)
        line_to_pool(line_of(each), p);
    if (old) {
        bitmap_andnot(old->cpus.bits, old->cpus.bits, cpus.bits, MAX_CPUS);
        confine_all(old);
    }
    if (p) {
        bitmap_or(p->cpus.bits, p->cpus.bits, cpus.bits, MAX_CPUS);
        confine_all(p);
    }
    softirq_raise_on(core_first(cpu), SOFTIRQ_SCHEDULE);
}

static int may_leave(const struct sched_pool *p, unsigned cpu)
{
    const struct cpu_mask cpus = core_cpus(cpu);
    bool last = bitmap_subset(p->cpus.bits, cpus.bits, MAX_CPUS);

    return last && !list_empty(&p->groups) ? -EBUSY : 0;
}

/* ---- CPUs ---- */

void sched_cpu_init(unsigned cpu, unsigned cluster, struct sched_unit *idle)
{
    struct line *l = line_of(cpu);

    ASSERT(cpu < MAX_CPUS && cluster < MAX_CPUS && cpu == cpu_id());
    *idle = (struct sched_unit){
        .cpu = cpu, .idle = true, .runnable = true, .running = true, .own = -1, .pin = -1};
    list_init(&idle->link);
    lock(&pools_lock);
    line_init(l);
    l->cpu = cpu;
    l->cluster = &clusters[cluster];
    l->current = l->idle = idle;
    cluster_count = max(cluster_count, cluster + 1);
    bitmap_set(cpus_here.bits, cpu);
    cpu_to_pool(cpu, sched_pool0);
    unlock(&pools_lock);
}

void sched_cpu_restore(unsigned cpu)
{
    lock(&pools_lock);
    if (!bitmap_test(cpus_here.bits, cpu)) {
        bitmap_set(cpus_here.bits, cpu);
        cpu_to_pool(cpu, sched_pool0);
    }
    unlock(&pools_lock);
}

int sched_cpu_remove(unsigned cpu)
{
    struct line *l = line_of(cpu);
    int rc = 0;

    if (core_threads > 1)
        return -EOPNOTSUPP;
    lock(&pools_lock);
    if (l->pool) {
        rc = may_leave(l->pool, cpu);
        if (!rc)
            cpu_to_pool(cpu, NULL);
    }
    if (!rc)
        bitmap_clear(cpus_here.bits, cpu);
    unlock(&pools_lock);
    if (rc)
        return rc;
    return read_once(l->current)->idle && !read_once(l->length) ? 0 : -ERESTART;
}

/* ---- groups ---- */

static void group_insert(struct sched_group *g, struct sched_pool *p)
{
    g->pool = p;
    list_add_tail(&p->groups, &g->in_pool);
}

void sched_group_init(struct sched_group *g)
{
    *g = (struct sched_group){.weight = SCHED_WEIGHT_DEFAULT};
    list_init(&g->units);
    cap_group_init(g);
    lock(&pools_lock);
    group_insert(g, sched_pool0);
    unlock(&pools_lock);
}

void sched_group_destroy(struct sched_group *g)
{
    if (!g->pool)
        return; /* never initialised */
    ASSERT(list_empty(&g->units));
    lock(&pools_lock);
    list_del(&g->in_pool);
    unlock(&pools_lock);
    timer_kill(&g->refill);
}

int sched_group_set(struct sched_group *g, uint32_t weight, uint32_t cap)
{
    struct sched_unit *u;

    if (!weight || weight > SCHED_WEIGHT_MAX)
        return -EINVAL;
    lock(&pools_lock);
    if (weight != g->weight) {
        g->weight = weight;
        list_for_each_entry (u, &g->units, in_group)
            unit_set_weight(u, weight);
    }
    if (cap != g->cap)
        cap_group_set(g, cap);
    unlock(&pools_lock);
    return 0;
}

int sched_group_move(struct sched_group *g, struct sched_pool *p)
{
    struct sched_pool *old;
    struct sched_unit *u;

    lock(&pools_lock);
    old = g->pool;
    if (bitmap_empty(p->cpus.bits, MAX_CPUS)) {
        unlock(&pools_lock);
        return -EBUSY;
    }
    if (old != p) {
        list_del(&g->in_pool);
        group_insert(g, p);
        list_for_each_entry (u, &g->units, in_group) {
            u->own = -1;
            confine(u);
        }
        confine_all(old); /* somebody may have waited for a CPU of his own */
    }
    unlock(&pools_lock);
    return 0;
}

/* ---- units ---- */

void unit_add(struct sched_unit *u, struct sched_group *g, unsigned cpu)
{
    *u = (struct sched_unit){.cpu = cpu, .group = g, .own = -1, .pin = -1};
    bitmap_fill(u->hard.bits, MAX_CPUS);
    bitmap_fill(u->soft.bits, MAX_CPUS);
    list_init(&u->link);
    list_add_tail(&g->units, &u->in_group);
    unit_set_weight(u, g->weight);
    confine(u);
}

void unit_drop(struct sched_unit *u)
{
    list_del(&u->in_group);
    if (u->own >= 0)
        confine_all(u->group->pool);
}

int sched_unit_init(struct sched_unit *u, struct sched_group *g, unsigned cpu)
{
    if (core_threads > 1) {
        *u = (struct sched_unit){.cpu = cpu, .own = -1, .pin = -1};
        list_init(&u->link);
        return core_join(u, g, cpu);
    }
    lock(&pools_lock);
    unit_add(u, g, cpu);
    unlock(&pools_lock);
    return 0;
}

void sched_unit_destroy(struct sched_unit *u)
{
    if (u->whole) {
        core_part(u);
    } else if (u->group) { /* else never initialised */
        lock(&pools_lock);
        unit_drop(u);
        unlock(&pools_lock);
    }
}

/* Whose affinity is that of u. */
static struct sched_unit *whole_of(struct sched_unit *u)
{
    return u->whole ? u->whole : u;
}

int sched_set_affinity(struct sched_unit *u, const struct cpu_mask *hard,
                       const struct cpu_mask *soft)
{
    int rc = -EINVAL;

    u = whole_of(u);
    lock(&pools_lock);
    if (bitmap_intersects(hard->bits, u->group->pool->cpus.bits, MAX_CPUS)) {
        u->hard = *hard;
        u->soft = *soft;
        confine(u);
        rc = 0;
    }
    unlock(&pools_lock);
    return rc;
}

int sched_pin(struct sched_unit *u, int cpu)
{
    int rc = -EINVAL;

    u = whole_of(u);
    lock(&pools_lock);
    if (cpu < 0 || (cpu < (int)MAX_CPUS && bitmap_test(u->group->pool->cpus.bits, (size_t)cpu))) {
        u->pin = max(cpu, -1);
        confine(u);
        rc = 0;
    }
    unlock(&pools_lock);
    return rc;
}

/* ---- pools ---- */

/* The first whose number is not below id, NULL. */
static struct sched_pool *pool_from(uint32_t id)
{
    struct sched_pool *p;

    list_for_each_entry (p, &pools, link)
        if (p->id >= id)
            return p;
    return NULL;
}

struct sched_pool *sched_pool_find(uint32_t id, bool exact)
{
    struct sched_pool *p;

    lock(&pools_lock);
    p = pool_from(id);
    unlock(&pools_lock);
    return p && exact && p->id != id ? NULL : p;
}

int sched_pool_create(uint32_t id, const struct sched_ops *ops, struct sched_pool **out)
{
    struct sched_pool *p = heap_zalloc(sizeof(*p)), *next;
    int rc = -EEXIST;

    if (!p)
        return -ENOMEM;
    p->id = id;
    p->ops = ops;
    p->ratelimit = sched_pool0->ratelimit;
    list_init(&p->groups);
    lock(&pools_lock);
    next = pool_from(id);
    if (!next || next->id != id) {
        list_add_tail(next ? &next->link : &pools, &p->link);
        *out = p;
        rc = 0;
    }
    unlock(&pools_lock);
    if (rc)
        heap_free(p);
    return rc;
}

int sched_pool_destroy(struct sched_pool *p)
{
    int rc = -EBUSY;

    lock(&pools_lock);
    if (p != sched_pool0 && list_empty(&p->groups) && bitmap_empty(p->cpus.bits, MAX_CPUS)) {
        list_del(&p->link);
        rc = 0;
    }
    unlock(&pools_lock);
    if (!rc)
        heap_free(p);
    return rc;
}

int sched_pool_add_cpu(struct sched_pool *p, unsigned cpu)
{
    int rc = 0;

    lock(&pools_lock);
    if (cpu >= MAX_CPUS || !bitmap_test(cpus_here.bits, cpu))
        rc = -ENODEV;
    else if (line_of(cpu)->pool)
        rc = -EBUSY;
    else
        cpu_to_pool(cpu, p);
    unlock(&pools_lock);
    return rc;
}

int sched_pool_remove_cpu(struct sched_pool *p, unsigned cpu)
{
    int rc = -ENOENT;

    lock(&pools_lock);
    if (cpu < MAX_CPUS && bitmap_test(p->cpus.bits, cpu)) {
        rc = may_leave(p, cpu);
        if (!rc)
            cpu_to_pool(cpu, NULL);
    }
    unlock(&pools_lock);
    return rc;
}

void sched_free_cpus(struct cpu_mask *cpus)
{
    unsigned cpu;

    lock(&pools_lock);
    *cpus = cpus_here;
    bitmap_for_each (cpu, cpus_here.bits, MAX_CPUS)
        if (line_of(cpu)->pool)
            bitmap_clear(cpus->bits, cpu);
    unlock(&pools_lock);
}

int sched_pool_set_ratelimit(struct sched_pool *p, uint64_t ns)
{
    if (ns && (ns < SCHED_RATELIMIT_MIN || ns > SCHED_RATELIMIT_MAX))
        return -EINVAL;
    write_once(p->ratelimit, ns);
    return 0;
}

/* ---- start-up ---- */

void sched_init(const struct sched_upcalls *calls)
{
    static struct sched_pool first;

    sched_start(calls);
    list_init(&pools);
    bitmap_zero(cpus_here.bits, MAX_CPUS);
    cluster_count = 0;
    core_threads = 1;
    memset(clusters, 0, sizeof(clusters));
    for (unsigned i = 0; i < MAX_CPUS; i++)
        lock_init(&clusters[i].lock, RANK_SCHED, "run queues");
    first = (struct sched_pool){.ops = policy, .ratelimit = SCHED_RATELIMIT};
    list_init(&first.groups);
    list_add(&pools, &first.link);
    sched_pool0 = &first;
    if (sched_pool_set_ratelimit(sched_pool0, ratelimit_us * 1000))
        log_warn("sched_ratelimit_us: %lu is not possible", ratelimit_us);
}

void sched_dump(void)
{
    struct sched_pool *p;
    unsigned cpu;

    for (uint32_t id = 0; (p = sched_pool_find(id, false)) != NULL; id = p->id + 1) {
        log_key("pool %u: %s, rate limit %lu us", p->id, p->ops->name, p->ratelimit / 1000);
        bitmap_for_each (cpu, p->cpus.bits, MAX_CPUS) {
            const struct line *l = line_of(cpu);

            if (core_first(cpu) != cpu)
                continue;
            log_key("  CPU %u: %s, %u waiting, weight %u, %u switches, %u taken over", cpu,
                    read_once(l->current)->idle ? "idle" : "busy", read_once(l->length), l->weight,
                    l->switches, l->moves);
        }
    }
}
