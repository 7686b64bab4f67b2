/* SPDX-License-Identifier: MIT */
/* A CPU's line: virtual times, and the order of those who wait.
 *
 * A unit's virtual time runs while it runs, the faster the less its weight; who is farthest behind
 * runs next. The line's clock (vtime) follows the one who is farthest behind. Nobody enters a line
 * more than his `reach`, one slice, away from its clock: who slept long does not keep others
 * waiting for long, and who comes from a line that is ahead does not wait for long. */
#include "sched/queue.h"

/* Who is given away is behind, and keeps what he is owed: in slices, of the default weight at
 * least, since so far the CPUs' clocks may be apart. */
#define MOVE_REACH 4

const struct sched_unit *line_last(const struct line *l)
{
    const struct sched_unit *first = first_waiting(l), *cur = l->current;

    if (cur->idle || (first && before(first->v, cur->v)))
        return first;
    return cur;
}

void line_charge(struct line *l, uint64_t now)
{
    const struct sched_unit *last;
    struct sched_unit *cur = l->current;
    uint64_t ran = now - l->charged;

    if ((int64_t)ran <= 0) /* `now` may have been read before the lock was had */
        return;
    l->charged = now;
    if (!cur->idle) {
        cur->v += scale(ran, cur->inverse);
        if (cur->group->cap)
            cur->quota -= (int64_t)ran;
        last = line_last(l);
        if (before(l->vtime, last->v))
            l->vtime = last->v;
    }
}

uint64_t line_floor(const struct line *l, const struct sched_unit *u)
{
    const struct sched_unit *last = line_last(l);

    return (last && before(last->v, l->vtime) ? last->v : l->vtime) - u->reach;
}

void line_enter(struct line *l, struct sched_unit *u, uint64_t floor)
{

    if (!l->weight) {
        /* It stood still while it was empty. */
        int64_t behind = (int64_t)(read_once(l->pool->now) - (l->vtime + l->offset));

        if (behind > 0)
            l->offset += (uint64_t)behind;
    }
    u->v -= l->offset;
    if (before(u->v, floor))
        u->v = floor;
    else if (before(l->vtime + u->reach, u->v))
        u->v = l->vtime + u->reach;
    l->weight += u->weight;
}

void line_leave(struct line *l, struct sched_unit *u)
{
    u->v += l->offset;
    l->weight -= u->weight;
}

/* Who has slept long belongs to the front, who has used his slice to the end. */
void line_insert(struct line *l, struct sched_unit *u)
{
    struct list *at = &l->waiting;
    struct sched_unit *each = first_waiting(l);

    l->length++;
    if (each && before(u->v, each->v)) {
        list_add(&l->waiting, &u->link);
        return;
    }
    while (at->prev != &l->waiting) {
        each = list_entry(at->prev, struct sched_unit, link);
        if (!before(u->v, each->v))
            break;
        at = at->prev;
    }
    list_add_tail(at, &u->link);
}

void line_remove(struct line *l, struct sched_unit *u)
{
    list_del_init(&u->link);
    l->length--;
}

static void set_hint(struct cpu_mask *m, unsigned cpu, bool on)
{
    unsigned long *word = &m->bits[bitmap_long(cpu)];
    unsigned long bits = on ? *word | bitmap_mask(cpu) : *word & ~bitmap_mask(cpu);

    if (bits != *word)
        write_once(*word, bits);
}

void line_mark(struct line *l, const struct sched_unit *current)
{
    set_hint(&l->cluster->idle, l->cpu, current->idle && !l->length && l->pool);
    set_hint(&l->cluster->loaded, l->cpu, l->length > current->idle);
}

bool line_move(struct line *from, struct line *to, struct sched_unit *u, uint64_t now)
{
    bool tell;

    line_remove(from, u);
    line_leave(from, u);
    line_mark(from, from->current);
    __atomic_store_n(&u->cpu, to->cpu, __ATOMIC_RELEASE);
    line_charge(to, now);
    line_enter(to, u, to->vtime - MOVE_REACH * max(u->reach, V_SLICE));
    line_insert(to, u);
    u->woke = true;
    to->moves++;
    tell = to->length == 1 || first_waiting(to) == u;
    line_mark(to, to->current);
    return tell;
}
