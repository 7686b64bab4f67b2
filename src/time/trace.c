/* SPDX-License-Identifier: MIT */
/* The rings of trace records. `cons` and `prod` count bytes modulo twice the ring's size, so that
 * empty and full differ; a record that does not fit is counted, and a record that tells how many
 * were lost comes before the next that does. Public trace.h, struct t_buf and struct t_rec. */
#include "time/trace.h"

#include "base/softirq.h"
#include "memory/layout.h"

#define CLASS_BITS    0x0fff0000u
#define SUBCLASS_BITS 0x0000f000u
#define HEAD_WORDS    3u /* event and time */
#define LOST_WORDS    4u
#define CYCLES        (1u << 31)

struct trace_ring {
    const uint32_t *mfns; /* [I] its frames */
    uint32_t bytes;       /* [a] of records, without the header; 0: there is no ring */
    uint32_t prod;        /* [p] */
    uint32_t lost;        /* [p] records since the last that fitted */
    uint64_t lost_since;  /* [p] TSC of the first */
    bool told;            /* [p] that it is half full */
    struct task tell;
};

static DEFINE_PER_CPU(struct trace_ring, trace_ring);

uint32_t trace_events;
struct cpu_mask trace_cpus;
void (*trace_half_full)(void) sealed;

static struct t_buf *header(const struct trace_ring *r)
{
    return mfn_to_virt(mfn(r->mfns[0]));
}

/* Bytes that wait for the reader; all, if what it says makes no sense. */
static uint32_t used(const struct trace_ring *r)
{
    uint32_t cons = read_once(header(r)->cons), n;

    /* Pairs with the reader's release: what it has not read is not overwritten. */
    __atomic_thread_fence(__ATOMIC_ACQUIRE);
    if (cons >= 2 * r->bytes)
        return r->bytes;
    n = r->prod >= cons ? r->prod - cons : r->prod + 2 * r->bytes - cons;
    return min(n, r->bytes);
}

static void put(struct trace_ring *r, uint32_t word)
{
    uint32_t at = r->prod % r->bytes + (uint32_t)sizeof(struct t_buf);
    uint32_t *page = mfn_to_virt(mfn(r->mfns[at >> PAGE_SHIFT]));

    page[at % PAGE_SIZE / sizeof(word)] = word;
    r->prod = (r->prod + (uint32_t)sizeof(word)) % (2 * r->bytes);
}

static void put_record(struct trace_ring *r, uint32_t event, uint64_t tsc, unsigned words,
                       const uint32_t *data)
{
    put(r, (event & 0x0fffffff) | words << TRACE_EXTRA_SHIFT | CYCLES);
    put(r, (uint32_t)tsc);
    put(r, (uint32_t)(tsc >> 32));
    for (unsigned i = 0; i < words; i++)
        put(r, data[i]);
}

static void tell(void *data)
{
    if (trace_half_full)
        trace_half_full();
}

static void look_at_level(struct trace_ring *r, uint32_t level)
{
    if (level < r->bytes / 2) {
        r->told = false;
    } else if (!r->told) {
        r->told = true;
        task_queue(&r->tell);
    }
}

void trace_record(uint32_t event, unsigned words, const uint32_t *data)
{
    struct trace_ring *r = this_cpu_ptr(trace_ring);
    uint32_t wanted = read_once(trace_events) & event, need, level;
    uint64_t tsc = rdtsc();

    if (!(wanted & CLASS_BITS) || !(wanted & SUBCLASS_BITS) ||
        !bitmap_test(trace_cpus.bits, cpu_id()) || !__atomic_load_n(&r->bytes, __ATOMIC_ACQUIRE))
        return;
    words = min(words, (unsigned)TRACE_EXTRA_MAX);
    need = HEAD_WORDS + words + (r->lost ? HEAD_WORDS + LOST_WORDS : 0);
    level = used(r);
    if (r->bytes - level < need * sizeof(uint32_t)) {
        if (r->lost++ == 0)
            r->lost_since = tsc;
        return;
    }
    if (r->lost) {
        const uint32_t lost[LOST_WORDS] = {r->lost, DOMID_INVALID, TRACE_LONG(r->lost_since)};

        put_record(r, TRC_LOST_RECORDS, tsc, LOST_WORDS, lost);
        r->lost = 0;
    }
    put_record(r, event, tsc, words, data);
    /* Pairs with the reader's acquire: the records come before their end. */
    __atomic_store_n(&header(r)->prod, r->prod, __ATOMIC_RELEASE);
    look_at_level(r, level + need * (uint32_t)sizeof(uint32_t));
}

void trace_ring_set(unsigned cpu, const uint32_t *mfns, unsigned pages)
{
    struct trace_ring *r = per_cpu_ptr(trace_ring, cpu);

    r->mfns = mfns;
    r->prod = r->lost = 0;
    r->told = false;
    r->tell = (struct task){.fn = tell};
    __atomic_store_n(&r->bytes, pages * (uint32_t)PAGE_SIZE - (uint32_t)sizeof(struct t_buf),
                     __ATOMIC_RELEASE);
}
