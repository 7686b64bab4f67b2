/* SPDX-License-Identifier: MIT */
/* Beats and who listens: see watchdog.h. A CPU's beat is a timer of its own. It counts, and looks
 * whether the next CPU has counted since it looked last. */
#include "start/watchdog.h"

#include "base/log.h"
#include "base/panic.h"
#include "base/param.h"
#include "base/percpu.h"
#include "platform/lapic.h"
#include "time/clock.h"
#include "time/timer.h"

#define SECOND          1000000000ull
#define TIMEOUT_DEFAULT 5u /* seconds */

struct watch {
    struct timer beat;
    uint32_t beats; /* [a] */
    bool stuck;     /* [a] another CPU says so */
    unsigned next;  /* [p] whom this CPU watches */
    uint32_t heard; /* [p] its beats then */
    uint64_t since; /* [p] system time when that number was new */
};

static DEFINE_PER_CPU(struct watch, watch);
static bool wanted;
static uint64_t timeout = TIMEOUT_DEFAULT;
PARAM_BOOL("watchdog", wanted);
PARAM_UINT("watchdog_timeout", timeout);

void (*watchdog_send_nmi)(unsigned cpu) sealed = lapic_send_nmi;

static unsigned next_cpu(unsigned cpu)
{
    unsigned next = (unsigned)bitmap_next(cpus_online.bits, MAX_CPUS, cpu + 1);

    return next < MAX_CPUS ? next : (unsigned)bitmap_first(cpus_online.bits, MAX_CPUS);
}

static void beat(void *data)
{
    struct watch *w = data, *of;
    uint64_t now = time_now();
    unsigned next = next_cpu(cpu_id());
    uint32_t beats;

    timer_set(&w->beat, now + SECOND);
    __atomic_fetch_add(&w->beats, 1, __ATOMIC_RELAXED);
    of = per_cpu_ptr(watch, next);
    beats = __atomic_load_n(&of->beats, __ATOMIC_RELAXED);
    if (next != w->next || beats != w->heard) {
        w->next = next;
        w->heard = beats;
        w->since = now;
    } else if (beats && now - w->since >= timeout * SECOND && next != cpu_id()) {
        write_once(of->stuck, true);
        watchdog_send_nmi(next);
    }
}

void watchdog_add(unsigned cpu)
{
    struct watch *w = per_cpu_ptr(watch, cpu);

    if (!wanted)
        return;
    timer_init(&w->beat, beat, w);
    timer_move(&w->beat, cpu);
    timer_set(&w->beat, time_now() + SECOND);
}

void watchdog_start(void)
{
    unsigned cpu;

    if (!timeout)
        wanted = false;
    for_each_cpu (cpu)
        watchdog_add(cpu);
    if (wanted)
        log_info("watchdog: a CPU that hangs is reported after %lu s%s", timeout,
                 next_cpu(0) ? "" : " by another, and there is none yet");
}

bool watchdog_nmi(struct regs *regs)
{
    if (!this_cpu_ptr(watch)->stuck)
        return false;
    panic_at(regs, "the watchdog has not heard of this CPU for %lu s", timeout);
}
