/* SPDX-License-Identifier: MIT */
/* How late a process runs that asked to be woken at a time: `wake COUNT PERIOD_US`. It computes a
 * little after each waking, as an interactive program does. Prints a line with the median, what 99
 * of 100 stay below, and the worst, in us. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define WORK_NS 100000u

static uint64_t now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static int ascending(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return (x > y) - (x < y);
}

int main(int argc, char **argv)
{
    size_t count = argc == 3 ? strtoul(argv[1], NULL, 10) : 0;
    uint64_t period = argc == 3 ? strtoul(argv[2], NULL, 10) * 1000 : 0, at;
    uint64_t *late = calloc(count + 1, sizeof(*late));

    if (!count || !period || !late) {
        fprintf(stderr, "usage: wake COUNT PERIOD_US\n");
        return 2;
    }
    at = now();
    for (size_t i = 0; i < count; i++) {
        struct timespec t;
        uint64_t woke;

        at += period;
        t = (struct timespec){.tv_sec = (time_t)(at / 1000000000u),
                              .tv_nsec = (long)(at % 1000000000u)};
        clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL);
        woke = now();
        late[i] = (woke - at) / 1000;
        while (now() - woke < WORK_NS)
            ;
        if (now() > at + period) /* it was kept away for longer than that */
            at = now();
    }
    qsort(late, count, sizeof(*late), ascending);
    printf("%lu us, 99 %% within %lu us, most %lu us\n", late[count / 2], late[count * 99 / 100],
           late[count - 1]);
    return 0;
}
