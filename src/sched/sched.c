/* SPDX-License-Identifier: MIT */
/* Choosing, waking and sleeping. See sched/queue.h for the states of a unit and its lock, and
 * docs/SCHEDULING.md for why the choice is fair. */
#include "sched/queue.h"
#include "base/log.h"
#include "base/panic.h"
#include "base/softirq.h"
#include "time/clock.h"

#define NEVER ~0ull
#define GRAIN 1000ull /* ns: a moment is not computed finer */

PER_CPU_SECTION struct line percpu_line;
const struct sched_upcalls *sched_upcalls;

locks_unchecked struct line *unit_lock(struct sched_unit *u)
{
    for (;;) {
        unsigned cpu = __atomic_load_n(&u->cpu, __ATOMIC_ACQUIRE);
        struct line *l = line_of(cpu);

        lock(&l->cluster->lock);
        if (u->cpu == cpu)
            return l;
        unlock(&l->cluster->lock);
    }
}

/* ---- waiting ---- */

/* When the CPU has to look again by itself: not at all while one unit has it for itself. */
static uint64_t look_at(const struct line *l, const struct sched_unit *cur, uint64_t now)
{
    const struct sched_unit *first = first_waiting(l);
    uint64_t at = NEVER, limit;

    if (cur->idle)
        return NEVER;
    if (first) {
        limit = read_once(l->pool->ratelimit);
        at = l->stint + max(cur->slice, limit);
        if (first->woke) {
            int64_t lead = (int64_t)(first->v - cur->v); /* it may have to be passed first */
            uint64_t ns = (uint64_t)max(lead, 0l) * cur->weight / SCHED_WEIGHT_DEFAULT >> V_BITS;

            at = min(at, max(l->stint + limit, now + ns + GRAIN));
        }
        at = max(at, now);
    }
    if (read_once(cur->group->cap))
        at = min(at, now + (uint64_t)max(cur->quota, 0l));
    return at;
}

/* Is there nothing to choose before the rate limit of the current unit has passed? */
static bool stays(const struct line *l, uint64_t now)
{
    const struct sched_unit *cur = l->current;

    return l->pool && !l->yield && !l->strays && cur->runnable && may_run(cur, l->cpu) &&
           !read_once(cur->group->cap) && now - l->stint < read_once(l->pool->ratelimit);
}

/* Puts u, of which nothing is in any line, in l. Unlocks. */
static void join(struct line *l, struct sched_unit *u, uint64_t now) drops_lock(&l->cluster->lock)
{
    const struct cpu_mask can = u->can;
    struct sched_unit *cur = l->current;
    unsigned cpu = l->cpu;
    bool tell, busy = !cur->idle;

    line_charge(l, now);
    line_enter(l, u, line_floor(l, u));
    line_insert(l, u);
    u->woke = true;
    if (!may_run(u, cpu))
        l->strays = true;
    /* A busy CPU looks by itself for those it knows. */
    tell = !busy || l->strays || first_waiting(l) == u;
    line_mark(l, cur);
    if (tell && busy && l == this_cpu_ptr(line) && stays(l, now)) {
        timer_set(&l->look, look_at(l, cur, now));
        tell = false;
    }
    unlock(&l->cluster->lock);
    if (tell)
        softirq_raise_on(cpu, SOFTIRQ_SCHEDULE);
    if (busy)
        balance_kick(&can);
}

locks_unchecked void unit_start(struct line *l, struct sched_unit *u, uint64_t now)
{
    for (;;) {
        /* While its state is being saved only its own CPU can have it. */
        unsigned cpu = unit_is_off(u) ? balance_place(l, u, now) : u->cpu;

        if (cpu == MAX_CPUS) {
            u->parked = true;
            list_add_tail(&l->parked, &u->link);
            unlock(&l->cluster->lock);
            return;
        }
        if (cpu == u->cpu)
            break;
        /* It stays as far behind as it was at home: the CPUs' clocks are a slice or two apart. */
        u->v += balance_time(line_of(cpu), now) - balance_time(l, now);
        __atomic_store_n(&u->cpu, cpu, __ATOMIC_RELEASE);
        if (line_of(cpu)->cluster == l->cluster) {
            l = line_of(cpu);
            break;
        }
        unlock(&l->cluster->lock);
        l = unit_lock(u);
        /* Meanwhile somebody may have put it to sleep, or in line. */
        if (!u->runnable || !list_empty(&u->link) || l->current == u) {
            unlock(&l->cluster->lock);
            return;
        }
        if (may_run(u, u->cpu))
            break;
    }
    join(l, u, now);
}

void unit_unpark(struct line *l, struct sched_unit *u, uint64_t now)
{
    list_del_init(&u->link);
    u->parked = false;
    unit_start(l, u, now);
}

/* Those who may not run here any more go elsewhere. Afterwards nobody waits here who came before.
 */
static void send_strays(struct line *l)
{
    struct sched_unit *u;
    bool found;

    do {
        found = false;
        lock(&l->cluster->lock);
        l->strays = false;
        list_for_each_entry (u, &l->waiting, link) {
            found = !may_run(u, l->cpu) && unit_is_off(u);
            if (found)
                break;
        }
        if (found) {
            line_remove(l, u);
            line_leave(l, u);
            line_mark(l, l->current);
            unit_start(l, u, time_now());
        } else {
            unlock(&l->cluster->lock);
        }
    } while (found);
}

/* ---- choosing ---- */

static void park(struct line *l, struct sched_unit *u)
{
    line_leave(l, u);
    u->parked = true;
    u->woke = false;
    list_add_tail(&l->parked, &u->link);
}

/* The first who waits, may run here and has budget; those without are parked. */
static struct sched_unit *first_with_budget(struct line *l, uint64_t now)
{
    struct sched_unit *u, *next;

    list_for_each_entry_safe (u, next, &l->waiting, link) {
        if (unlikely(!may_run(u, l->cpu)))
            continue; /* its core has not let go of it yet */
        if (cap_allows(u, now))
            return u;
        line_remove(l, u);
        park(l, u);
    }
    return NULL;
}

/* The unit to run now. Only l->stint and who is parked change: the choice may be made again. */
static struct sched_unit *choose(struct line *l, uint64_t now)
{
    struct sched_unit *cur = l->current, *first;
    bool yield = l->yield, keep = !cur->idle && cur->runnable && may_run(cur, l->cpu);
    uint64_t ran = now - l->stint, limit;

    l->yield = false;
    if (!l->pool)
        return l->idle;
    limit = read_once(l->pool->ratelimit);
    if (keep) {
        cur->spent = !cap_allows(cur, now);
        keep = !cur->spent;
    }
    first = first_with_budget(l, now);
    if (!keep)
        return first ? first : l->idle;
    if (!first)
        return cur;
    if (yield)
        return first;
    if (ran < limit)
        return cur;
    if (first->woke && before(first->v, cur->v)) /* it used less than its share */
        return first;
    if (ran < cur->slice)
        return cur;
    if (before(first->v, cur->v))
        return first;
    l->stint = now;
    return cur;
}

/* prev is current no more. */
static void put_back(struct line *l, struct sched_unit *prev)
{
    cap_give_back(prev);
    if (!prev->runnable) {
        line_leave(l, prev);
    } else if (prev->spent) {
        park(l, prev);
    } else {
        prev->woke = false;
        line_insert(l, prev);
        if (!may_run(prev, l->cpu)) {
            l->strays = true;
            softirq_raise(SOFTIRQ_SCHEDULE);
        }
    }
    prev->spent = false;
}

static void commit(struct line *l, struct sched_unit *next, uint64_t now)
{
    struct sched_unit *prev = l->current;
    uint64_t at;

    if (next != prev) {
        if (!next->idle)
            line_remove(l, next);
        l->current = next;
        next->running = true;
        next->woke = false;
        if (!prev->idle)
            put_back(l, prev);
        l->inverse = next->inverse;
        l->charged = l->stint = now;
        l->switches++;
    }
    at = look_at(l, next, now);
    if (at != NEVER)
        timer_set(&l->look, at);
    else if (timer_active(&l->look))
        timer_stop(&l->look);
    line_mark(l, next);
}

struct sched_unit *line_choose(struct line *l)
{
    struct sched_unit *prev, *next;
    uint64_t now;
    bool search = true;

    if (unlikely(read_once(l->strays)))
        send_strays(l);
    now = time_now();
    if (read_once(l->length) && now >= l->push_at)
        balance_push(l, now);
    for (;;) {
        lock(&l->cluster->lock);
        line_charge(l, now);
        prev = l->current;
        next = choose(l, now);
        if (!next->idle || !search || !l->pool || cpu_count == 1 || l->length)
            break;
        /* First to say that this CPU is idle, then to look: who wakes somebody does it in the
         * other order, so one of the two sees the other. */
        line_mark(l, l->idle);
        unlock(&l->cluster->lock);
        __atomic_thread_fence(__ATOMIC_SEQ_CST);
        search = balance_pull(l, now);
    }
    commit(l, next, now);
    return prev;
}

/* SOFTIRQ_SCHEDULE. */
static void schedule(void)
{
    struct line *l = this_cpu_ptr(line);
    struct sched_unit *prev, *next;

    if (unlikely(core_threads > 1)) {
        core_schedule();
        return;
    }
    prev = line_choose(l);
    next = l->current;
    unlock(&l->cluster->lock);
    if (next != prev)
        sched_upcalls->switch_to(prev, next);
}

static void look(void *data)
{
    softirq_raise(SOFTIRQ_SCHEDULE);
}

void sched_switched(struct sched_unit *prev)
{
    struct cpu_mask can;
    bool waits;

    if (prev->idle)
        return;
    if (unlikely(prev->whole)) {
        core_switched(prev);
        return;
    }
    /* A hint, and the last look: it may be gone when it is off. */
    waits = read_once(prev->link.next) != &prev->link && !read_once(prev->parked);
    can = prev->can;
    /* Pairs with the acquire in unit_is_off: whoever loads the saved state sees all of it. */
    __atomic_store_n(&prev->running, false, __ATOMIC_RELEASE);
    if (waits && cpu_count > 1)
        balance_kick(&can); /* who looked before passed it over */
}

/* ---- waking and sleeping ---- */

void unit_wake(struct line *l, struct sched_unit *u)
{
    if (u->runnable || l->current == u) { /* the CPU has not noticed yet that it fell asleep */
        u->runnable = true;
        unlock(&l->cluster->lock);
        return;
    }
    u->runnable = true;
    unit_start(l, u, time_now());
}

void sched_wake(struct sched_unit *u)
{
    struct line *l;

    if (unlikely(u->whole)) {
        core_wake(u);
        return;
    }
    l = unit_lock(u);
    lock_assert(&l->cluster->lock);
    unit_wake(l, u);
}

void unit_sleep(struct line *l, struct sched_unit *u)
{
    unsigned cpu = l->cpu;
    bool current = l->current == u;

    u->runnable = false;
    if (u->parked) {
        list_del_init(&u->link);
        u->parked = false;
    } else if (!list_empty(&u->link)) {
        line_remove(l, u);
        line_leave(l, u);
        line_mark(l, l->current);
    }
    unlock(&l->cluster->lock);
    if (current)
        softirq_raise_on(cpu, SOFTIRQ_SCHEDULE);
}

void sched_sleep(struct sched_unit *u)
{
    struct line *l;

    if (unlikely(u->whole)) {
        core_sleep(u);
        return;
    }
    l = unit_lock(u);
    lock_assert(&l->cluster->lock);
    unit_sleep(l, u);
}

void sched_sleep_sync(struct sched_unit *u)
{
    ASSERT(u != sched_current());
    sched_sleep(u);
    while (!unit_is_off(u)) {
        if (lock_spin_poll)
            lock_spin_poll();
        cpu_pause();
    }
}

void sched_unit_yield(void)
{
    struct line *l = this_cpu_ptr(line);

    if (core_threads > 1) {
        core_yield();
        return;
    }
    if (!read_once(l->length))
        return;
    l->yield = true;
    softirq_raise(SOFTIRQ_SCHEDULE);
}

/* ---- changes ---- */

void unit_confine(struct sched_unit *u, const struct cpu_mask *can, const struct cpu_mask *like)
{
    struct line *l = unit_lock(u);
    uint64_t now = time_now();
    unsigned cpu = l->cpu;

    lock_assert(&l->cluster->lock);
    u->can = *can;
    u->like = *like;
    if (u->parked) {
        unit_unpark(l, u, now);
    } else if (is_waiting(u) && !may_run(u, cpu) && unit_is_off(u)) {
        line_remove(l, u);
        line_leave(l, u);
        line_mark(l, l->current);
        unit_start(l, u, now);
    } else {
        bool away = (is_waiting(u) || l->current == u) && !may_run(u, cpu), waits = is_waiting(u);

        l->strays |= away;
        if (!u->runnable && unit_is_off(u) && !may_run(u, cpu) &&
            bitmap_weight(like->bits, MAX_CPUS))
            __atomic_store_n(&u->cpu, (unsigned)bitmap_first(like->bits, MAX_CPUS),
                             __ATOMIC_RELEASE);
        unlock(&l->cluster->lock);
        if (away)
            softirq_raise_on(cpu, SOFTIRQ_SCHEDULE);
        else if (waits)
            balance_kick(can);
    }
}

void unit_set_weight(struct sched_unit *u, uint32_t weight)
{
    struct line *l = unit_lock(u);

    lock_assert(&l->cluster->lock);
    line_charge(l, time_now());
    if (is_waiting(u) || l->current == u)
        l->weight += weight - u->weight;
    u->weight = weight;
    u->inverse = ((uint64_t)SCHED_WEIGHT_DEFAULT << (32 + V_BITS)) / weight;
    u->slice = min(SCHED_SLICE, SCHED_SLICE * weight / SCHED_WEIGHT_DEFAULT);
    u->slice = max(u->slice, SCHED_SLICE_MIN);
    u->reach = scale(u->slice, u->inverse);
    if (l->current == u)
        l->inverse = u->inverse;
    unlock(&l->cluster->lock);
}

struct sched_unit *sched_current(void)
{
    return core_threads > 1 ? core_current() : this_cpu(line).current;
}

void sched_start(const struct sched_upcalls *calls)
{
    sched_upcalls = calls;
    softirq_register(SOFTIRQ_SCHEDULE, schedule);
}

void line_init(struct line *l)
{
    list_init(&l->waiting);
    list_init(&l->parked);
    timer_init(&l->look, look, NULL);
    l->length = l->weight = 0;
    l->yield = l->strays = false;
    l->charged = l->stint = l->push_at = time_now();
}
