/* SPDX-License-Identifier: MIT */
/*
 * The simulation of whole domains (tests/sim/world.h), where the fuzzer's bytes take the place of
 * the random numbers: hypercalls by number with arguments of all kinds, grant entries and the
 * memory of event channels among them. What is new in coverage is kept and mutated.
 */
#include <stdlib.h>

#include "../sim/world.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const uint8_t *at, *end;

static bool next(uint32_t *out)
{
    if (at == end)
        return false;
    *out = *at++;
    for (unsigned i = 0; i < 3 && at < end && *out & 0x80; i++)
        *out = (*out & 0x7f) << 7 | *at++;
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static bool begun;

    pvg_seed = 1;
    if (begun)
        world_again();
    else
        world_begin();
    begun = true;
    world_meanwhile = world_step;
    at = data;
    end = data + size;
    pvg_random_source = next;
    for (unsigned i = 0; i < 60 && at < end && !sim_failed(); i++)
        world_step();
    pvg_random_source = NULL;
    world_meanwhile = NULL;
    world_audit();
    if (sim_failed())
        abort();
    return 0;
}
