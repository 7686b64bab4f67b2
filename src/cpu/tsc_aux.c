/* SPDX-License-Identifier: MIT */
/* TSC_AUX, which RDTSCP and RDPID show to whoever runs: written when it changes. Intel SDM vol. 3B,
 * 17.17.2. */
#include "cpu/cpu.h"
#include "hw/ops.h"

struct tsc_aux {
    uint32_t value;
    bool known;
};
static DEFINE_PER_CPU(struct tsc_aux, tsc_aux);

void cpu_tsc_aux_load(uint32_t value)
{
    struct tsc_aux *t = this_cpu_ptr(tsc_aux);

    if (!cpu_has(X86_FEATURE_RDTSCP) || (t->known && t->value == value))
        return;
    wrmsr(MSR_TSC_AUX, value);
    *t = (struct tsc_aux){.value = value, .known = true};
}
