/* SPDX-License-Identifier: MIT */
/* Random hypercalls of every kind, by whole domains: world.h, driver.h. */
#include "tlb_model.h"
#include "world.h"

static void call(void)
{
    world_step();
    tlb_model_check();
}

static bool still_granted(const struct domain *d, uint64_t frame)
{
    return world_still_granted(d, mfn(frame));
}

static void begin(void)
{
    world_begin();
    tlb_model_granted = still_granted;
    world_meanwhile = world_step;
}

int main(int argc, char **argv)
{
    static const struct sim whole = {"whole", begin, call, world_audit, world_end, world_report};

    return sim_main(&whole, argc, argv);
}
