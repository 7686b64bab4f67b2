/* SPDX-License-Identifier: MIT */
/*
 * Memory that guests share with the hypervisor, of arbitrary bytes: entries of grant tables and
 * their status words, event words and control blocks of the FIFO ABI, shared_info. Every domain of
 * the world has them set up; the input writes there as it likes, eight bytes at a time, and between
 * the writes come the calls that read them. Then the audit counts.
 */
#include <stdlib.h>
#include <string.h>

#include "grant/table.h"
#include "../sim/world.h"

#include <xen/event_channel.h>

#define CONTROL PFN_FREE       /* pages of every domain: its control block, */
#define WORDS   (PFN_FREE + 1) /* its event words */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const uint8_t *at, *end;

static bool next(uint32_t *out)
{
    if (at == end)
        return false;
    *out = *at++;
    return true;
}

static uint32_t byte(void)
{
    uint32_t b = 0;

    return next(&b) ? b : 0;
}

/* By whoever runs: its own. */
static void set_up(void)
{
    struct gnttab_setup_table t = {.dom = DOMID_SELF, .nr_frames = 1};
    struct evtchn_init_control c = {.control_gfn = me->mfn[CONTROL].n, .vcpu = current()->id};
    struct evtchn_expand_array a = {.array_gfn = me->mfn[WORDS].n};

    (void)hcall(__HYPERVISOR_grant_table_op, GNTTABOP_setup_table, put(&t, sizeof(t)), 1, 0);
    if (me)
        (void)hcall(__HYPERVISOR_event_channel_op, EVTCHNOP_init_control, put(&c, sizeof(c)), 0, 0);
    if (me)
        (void)hcall(__HYPERVISOR_event_channel_op, EVTCHNOP_expand_array, put(&a, sizeof(a)), 0, 0);
}

/* Eight bytes to one of the places. */
static void scribble(struct world_dom *w)
{
    const struct gnttab *t = w->d->grants;
    unsigned where = byte(), offset = 8 * (byte() % 64);
    uint64_t val = 0;
    uint8_t *to;

    for (unsigned i = 0; i < 8; i++)
        val |= (uint64_t)byte() << 8 * i;
    if (where % 5 == 0)
        to = t->frames ? (uint8_t *)t->shared[0] : NULL;
    else if (where % 5 == 1)
        to = t->status_frames ? (uint8_t *)t->status[0] : NULL;
    else if (where % 5 == 2)
        to = mfn_to_virt(w->mfn[CONTROL]);
    else if (where % 5 == 3)
        to = mfn_to_virt(w->mfn[WORDS]);
    else
        to = (uint8_t *)w->d->shared_info;
    /* Its own frames only: it may have given one back. */
    if (to && (where % 5 < 2 || where % 5 == 4 || frame_owner_of(virt_to_mfn(to)) == &w->d->memory))
        memcpy(to + offset, &val, sizeof(val));
}

static void call(const struct world_kind *kinds)
{
    unsigned n = 0;

    while (kinds[n].weight)
        n++;
    (void)kinds[byte() % n].run();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static bool begun;

    pvg_seed = 1;
    at = end = data;
    if (begun)
        world_again();
    else
        world_begin();
    begun = true;
    for (unsigned i = 0; i < 40; i++)
        if (world_choose())
            set_up();
    end = data + size;
    pvg_random_source = next;
    for (unsigned i = 0; i < 200 && at < end && !sim_failed(); i++) {
        if (byte() & 1)
            scribble(any_dom());
        else if (world_choose())
            call(byte() & 1 ? world_grant_kinds : world_event_kinds);
    }
    pvg_random_source = NULL;
    world_audit();
    if (sim_failed())
        abort();
    return 0;
}
