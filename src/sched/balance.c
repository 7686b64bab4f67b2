/* SPDX-License-Identifier: MIT */
/* Which line a unit waits in: placing one that wakes, taking over by a CPU that goes idle, and
 * giving away by a CPU that is behind.
 *
 * All lines of a pool measure the same virtual time, line->vtime + line->offset, and it runs the
 * slower the more weight waits there. A unit that is a slice behind a line with less weight goes
 * there: so units take turns on the CPUs where their weights cannot be spread evenly, and each gets
 * its share of the pool, not of one CPU. What is read of other lines without their lock is a hint
 * and is looked at again under it. */
#include "sched/queue.h"
#include "base/softirq.h"

#define NOT_LIKED 4  /* times farther behind has to be who goes where it does not like to be */
#define APART     16 /* slices: lines that orders have driven farther apart give it up */
#define AHEAD     4  /* the same for one that is ahead though it has more weight than the others */

uint64_t balance_time(const struct line *l, uint64_t now)
{
    uint64_t t = read_once(l->vtime) + read_once(l->offset), since = read_once(l->charged);

    /* Who runs alone is not looked at, and is the line's time. */
    if (!read_once(l->length) && now > since)
        t += scale(now - since, read_once(l->inverse));
    return t;
}

/* ---- placing ---- */

static unsigned find_idle(const struct cpu_mask *among, unsigned near)
{
    for (unsigned n = 0, c = near; n < cluster_count; n++, c++) {
        unsigned cpu;

        if (c == cluster_count)
            c = 0;
        cpu = common_cpu(&clusters[c].idle, among);
        if (cpu != MAX_CPUS)
            return cpu;
    }
    return MAX_CPUS;
}

/* Has the set, which has this CPU, no other? */
static bool is_only(const struct cpu_mask *set, unsigned cpu)
{
    unsigned long others = 0;

    for (unsigned i = 0; i < ARRAY_SIZE(set->bits); i++)
        others |= set->bits[i] & ~(i == cpu / BITS_PER_LONG ? 1ul << cpu % BITS_PER_LONG : 0);
    return !others;
}

/* Would u, so far ahead of the line's clock, run on l as soon as the rate limit lets it? */
static bool runs_soon(struct line *l, const struct sched_unit *u, int64_t lead, uint64_t now)
{
    const struct sched_unit *first = first_waiting(l);
    uint64_t v;

    if (l->current->idle)
        return false; /* somebody is under way to it */
    line_charge(l, now);
    v = l->vtime + (uint64_t)max(lead, -(int64_t)u->reach);
    return before(v, l->current->v) && (!first || before(v, first->v));
}

unsigned balance_place(struct line *l, const struct sched_unit *u, uint64_t now)
{
    unsigned near = (unsigned)(l->cluster - clusters), cpu, best = MAX_CPUS;
    bool here = may_run(u, l->cpu);
    uint32_t least = UINT32_MAX;
    int64_t lead;

    if (here && is_only(&u->can, l->cpu))
        return l->cpu;
    if (here && bitmap_test(l->cluster->idle.bits, l->cpu) && bitmap_test(u->like.bits, l->cpu))
        return l->cpu;
    cpu = find_idle(&u->like, near);
    if (cpu == MAX_CPUS)
        cpu = find_idle(&u->can, near);
    if (cpu != MAX_CPUS)
        return cpu;
    lead = (int64_t)(u->v - balance_time(l, now));
    if (here && runs_soon(l, u, lead, now))
        return l->cpu;
    bitmap_for_each (cpu, u->can.bits, MAX_CPUS) {
        struct line *o = line_of(cpu);

        if (o != l && o->cluster == l->cluster && runs_soon(o, u, lead, now))
            return cpu;
        if (read_once(o->weight) < least) {
            least = read_once(o->weight);
            best = cpu;
        }
    }
    return here && least + u->weight > l->weight ? l->cpu : best;
}

void balance_kick(const struct cpu_mask *can)
{
    unsigned cpu;

    if (cpu_count == 1)
        return;
    __atomic_thread_fence(__ATOMIC_SEQ_CST); /* pairs with the one in schedule() */
    cpu = find_idle(can, 0);
    if (cpu != MAX_CPUS)
        softirq_raise_on(cpu, SOFTIRQ_SCHEDULE);
}

/* ---- taking over ---- */

/* The first who waits in `from` and may run on `cpu`. */
static struct sched_unit *find_for(const struct line *from, unsigned cpu)
{
    struct sched_unit *u;

    list_for_each_entry (u, &from->waiting, link)
        if (may_run(u, cpu) && unit_is_off(u))
            return u;
    return NULL;
}

/* Both locked: of the lines of c, the one with most weight that has somebody for l. */
static bool pull_from(struct line *l, struct cluster *c, uint64_t now)
{
    struct sched_unit *found = NULL;
    struct line *from = NULL;
    unsigned cpu;

    bitmap_for_each (cpu, c->loaded.bits, MAX_CPUS) {
        struct line *o = line_of(cpu);
        struct sched_unit *u;

        if (o->pool != l->pool || (from && o->weight <= from->weight))
            continue;
        u = find_for(o, l->cpu);
        if (u) {
            found = u;
            from = o;
        }
    }
    if (!found)
        return false;
    (void)line_move(from, l, found, now);
    return true;
}

bool balance_pull(struct line *l, uint64_t now)
{
    unsigned c = (unsigned)(l->cluster - clusters);

    for (unsigned n = 0; n < cluster_count; n++, c++) {
        struct cluster *k;
        bool done;

        if (c == cluster_count)
            c = 0;
        k = &clusters[c];
        if (bitmap_empty(k->loaded.bits, MAX_CPUS))
            continue;
        lock_pair(&l->cluster->lock, &k->lock);
        done = l->length || (l->pool && pull_from(l, k, now));
        unlock_pair(&l->cluster->lock, &k->lock);
        if (done)
            return true;
    }
    return false;
}

/* ---- giving away ---- */

/* The first who waits in l and could go elsewhere. */
static struct sched_unit *find_movable(const struct line *l)
{
    struct sched_unit *u;

    list_for_each_entry (u, &l->waiting, link)
        if (!u->woke && unit_is_off(u) && bitmap_weight(u->can.bits, MAX_CPUS) > 1)
            return u;
    return NULL;
}

/* Is u, of line l, far enough behind the line `to`? `ahead`: how far, if it is. */
static bool is_behind(const struct line *l, const struct sched_unit *u, const struct line *to,
                      uint64_t now, int64_t *ahead)
{
    uint64_t least = u->reach * (bitmap_test(u->like.bits, to->cpu) ? 1 : NOT_LIKED);

    *ahead = (int64_t)(balance_time(to, now) - (u->v + l->offset));
    return *ahead > (int64_t)least && read_once(to->weight) < l->weight;
}

/* A CPU for the first of l that could go: the first that qualifies, from a place that differs each
 * time, or else not all who are behind would choose the same. Lets a line catch up that is
 * hopelessly behind. */
static struct line *find_ahead(struct line *l, uint64_t now)
{
    const struct sched_unit *u = find_movable(l);
    unsigned start = l->switches % MAX_CPUS, cpu;
    int64_t ahead, most = 0, least = 0, slice;

    if (!u)
        return NULL;
    for (unsigned pass = 0; pass < 2; pass++) {
        bitmap_for_each (cpu, u->can.bits, MAX_CPUS) {
            struct line *to = line_of(cpu);

            if ((cpu >= start) == pass || to == l || read_once(to->current)->idle)
                continue;
            if (is_behind(l, u, to, now, &ahead))
                return to;
            if (read_once(to->weight) + u->weight < l->weight)
                most = max(most, ahead);
            if (read_once(to->weight) < l->weight / 2)
                least = min(least, ahead);
        }
    }
    slice = (int64_t)max(u->reach, V_SLICE);
    if (most > APART * slice)
        l->offset += (uint64_t)(most - APART * slice);
    else if (least < -AHEAD * slice)
        l->offset -= (uint64_t)(-AHEAD * slice - least);
    return NULL;
}

void balance_push(struct line *l, uint64_t now)
{
    const struct sched_unit *first;
    struct line *to = NULL;
    struct sched_unit *u;
    bool tell = false;
    int64_t ahead;

    l->push_at = now + SCHED_SLICE;
    lock(&l->cluster->lock);
    if (l->pool) {
        line_charge(l, now);
        to = find_ahead(l, now);
        write_once(l->pool->now, balance_time(l, now));
    }
    unlock(&l->cluster->lock);
    if (!to)
        return;
    lock_pair(&l->cluster->lock, &to->cluster->lock);
    u = find_movable(l);
    first = first_waiting(to);
    /* Nobody comes between one who woke and the end of his short wait. */
    if (u && may_run(u, to->cpu) && to->pool == l->pool && !to->current->idle &&
        !(first && first->woke)) {
        line_charge(to, now);
        if (is_behind(l, u, to, now, &ahead))
            tell = line_move(l, to, u, now);
    }
    unlock_pair(&l->cluster->lock, &to->cluster->lock);
    if (tell)
        softirq_raise_on(to->cpu, SOFTIRQ_SCHEDULE);
}
