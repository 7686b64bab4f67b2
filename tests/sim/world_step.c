/* SPDX-License-Identifier: MIT */
/* One step of whoever runs: which kind of call, by weight. */
#include <stdio.h>

#include "base/refuse.h"
#include "tlb_model.h"
#include "world.h"

static const struct world_kind *const rooms[] = {
    world_memory_kinds, world_grant_kinds,   world_event_kinds, world_control_kinds,
    world_cpu_kinds,    world_emulate_kinds, world_tools_kinds, world_hvm_kinds};

unsigned world_focus;

/* The tools are in domain 0; what others try is refused at the door. */
static unsigned room_weight(unsigned room)
{
    static const uint8_t weight[ARRAY_SIZE(rooms)] = {20, 16, 12, 2, 8, 6, 2, 1},
                         tools[ARRAY_SIZE(rooms)] = {20, 16, 12, 20, 8, 6, 16, 6};

    if (world_parallel && room == world_focus)
        return 200;
    return me->d->privileged ? tools[room] : weight[room];
}

#define KINDS 64u
static struct {
    const struct world_kind *kind;
    unsigned long done, refused, stopped;
} count[KINDS];
static unsigned kinds;

static void count_kinds(void)
{
    unsigned n = 0;

    for (unsigned r = 0; r < ARRAY_SIZE(rooms); r++)
        for (const struct world_kind *k = rooms[r]; k->weight; k++)
            count[n++].kind = k;
    kinds = n;
}

static unsigned pick(void)
{
    unsigned all = 0, room = 0, n, first = 0;

    for (unsigned i = 0; i < ARRAY_SIZE(rooms); i++)
        all += room_weight(i);
    for (n = pvg_random(all); n >= room_weight(room); room++)
        n -= room_weight(room);
    for (unsigned i = 0; i < kinds && count[i].kind != rooms[room]; i++)
        first = i + 1;
    all = 0;
    for (const struct world_kind *k = rooms[room]; k->weight; k++)
        all += k->weight;
    for (n = pvg_random(all); n >= count[first].kind->weight; first++)
        n -= count[first].kind->weight;
    return first;
}

void world_step(void)
{
    unsigned i;
    long rc;

    if (chance(64))
        frame_budget = chance(2) ? 68 + (int)pvg_random(8) : 4096;
    if (!world_choose())
        return;
    if (chance(3))
        tlb_model_touch(any_va());
    if (me->call[current()->id].waits) {
        me->call[current()->id].waits = false;
        if (!chance(4)) {
            (void)hcall_again();
            return;
        }
    }
    if (!kinds)
        count_kinds();
    i = pick();
    if (!world_parallel)
        sim_doing(count[i].kind->name);
    if (!world_depth)
        world_elsewhere = false;
    rc = count[i].kind->run();
    count[i].done += rc >= 0;
    count[i].refused += rc < 0 && rc != -ERESTART;
    count[i].stopped += rc == -ERESTART;
}

void world_report(void)
{
    printf("    %lu hypercalls\n", world_calls);
    for (unsigned i = 0; i < kinds; i++)
        printf("    %-12s %8lu done %8lu refused %6lu stopped\n", count[i].kind->name,
               count[i].done, count[i].refused, count[i].stopped);
    if (sim_verbose) {
        refuse_dump_sites();
        fputs(host_log(), stdout);
    }
}
