/* SPDX-License-Identifier: MIT */
/* Softirqs and deferred functions. A bit in cpu_local()->work is set by anybody and cleared by its
 * own CPU alone, just before the handler runs, so a raise during the handler is not lost. */
#include "base/softirq.h"
#include "base/panic.h"

struct task_queue {
    struct list tasks; /* next == NULL: never used yet (the master copy cannot point to itself) */
};

static DEFINE_PER_CPU(struct task_queue, task_queue);
static void (*handlers[SOFTIRQ_COUNT])(void) sealed; /* [I] */
void (*softirq_kick)(unsigned cpu) sealed;

void softirq_register(enum softirq n, void (*fn)(void))
{
    ASSERT(!handlers[n] || handlers[n] == fn);
    handlers[n] = fn;
}

void softirq_raise(enum softirq n)
{
    __atomic_fetch_or(&cpu_local()->work, 1u << n, __ATOMIC_RELAXED);
}

void softirq_raise_on(unsigned cpu, enum softirq n)
{
    uint32_t old;

    if (cpu == cpu_id()) {
        softirq_raise(n);
        return;
    }
    /* Pairs with the acquire in softirq_run: what was written before is seen by the handler. */
    old = __atomic_fetch_or(&cpu_locals[cpu]->work, 1u << n, __ATOMIC_RELEASE);
    if (!(old & (1u << n)) && softirq_kick)
        softirq_kick(cpu);
}

static void run_tasks(void)
{
    struct task_queue *q = this_cpu_ptr(task_queue);

    if (!q->tasks.next)
        return;
    /* One pass over what is queued now: a task that queues itself again waits for the next round.
     */
    struct list now;

    list_init(&now);
    list_splice_tail_init(&now, &q->tasks);
    while (!list_empty(&now)) {
        struct task *t = list_first_entry(&now, struct task, link);

        list_del(&t->link);
        /* Before anything that fn reads; pairs with the exchange in task_queue(). */
        (void)__atomic_exchange_n(&t->queued, false, __ATOMIC_SEQ_CST);
        t->fn(t->data);
    }
}

void softirq_run(void)
{
    struct cpu_local *self = cpu_local();
    uint32_t work;

    while ((work = read_once(self->work)) != 0) {
        unsigned n = (unsigned)__builtin_ctz(work);

        __atomic_fetch_and(&self->work, ~(1u << n), __ATOMIC_ACQUIRE);
        if (n == SOFTIRQ_TASK)
            run_tasks();
        else if (n < SOFTIRQ_COUNT && handlers[n])
            handlers[n]();
    }
}

bool task_queue(struct task *t)
{
    struct task_queue *q = this_cpu_ptr(task_queue);

    if (__atomic_exchange_n(&t->queued, true, __ATOMIC_SEQ_CST)) /* here or on another CPU */
        return false;
    if (!q->tasks.next)
        list_init(&q->tasks);
    list_add_tail(&q->tasks, &t->link);
    softirq_raise(SOFTIRQ_TASK);
    return true;
}
