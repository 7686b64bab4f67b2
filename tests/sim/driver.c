/* SPDX-License-Identifier: MIT */
/* See driver.h. */
#include "driver.h"

#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "machine.h"
#include "pvguest.h"

unsigned long sim_calls;
bool sim_verbose;
static unsigned long flaws, audit_every = 500;
static const struct sim *sim;
static const char *doing = "";

struct script {
    uint64_t *seed; /* NULL: mixed of the run's seed and the call's number */
    uint64_t from;  /* that seed */
    unsigned long n;
};

void sim_flaw(const char *fmt, ...)
{
    va_list args;

    if (flaws++ >= 8)
        return;
    fprintf(stderr, "%s: after call %lu (%s): ", sim->name, sim_calls, doing);
    va_start(args, fmt);
    vfprintf(stderr, fmt, args);
    va_end(args);
    fputc('\n', stderr);
}

bool sim_failed(void)
{
    return flaws != 0;
}

void sim_doing(const char *what)
{
    doing = what;
}

/* A panic or a sanitizer's finding: where we were, for the report. */
static void died(void)
{
    char text[160];
    int n = snprintf(text, sizeof(text), "%s: died after call %lu (%s)\n", sim ? sim->name : "sim",
                     sim_calls, doing);

    if (write(2, text, (size_t)n) < 0)
        _exit(3);
}

static void aborted(int signal_number)
{
    died();
    _exit(2);
}

void __sanitizer_set_death_callback(void (*fn)(void)) __attribute__((weak));

static uint64_t mix(uint64_t seed, unsigned long i)
{
    uint64_t z = seed * 0x9e3779b97f4a7c15ull + i * 0xbf58476d1ce4e5b9ull;

    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ z >> 27) * 0x94d049bb133111ebull;
    return (z ^ z >> 31) | 1;
}

static void run(const struct script *s, unsigned long every)
{
    flaws = 0;
    pvg_seed = 1;
    sim_calls = 0;
    sim->begin();
    while (sim_calls < s->n && !flaws) {
        pvg_seed = s->seed ? s->seed[sim_calls] : mix(s->from, sim_calls);
        sim_calls++;
        doing = "";
        sim->call();
        if (sim_calls % every == 0 && !flaws)
            sim->audit();
    }
    if (!flaws)
        sim->audit();
    if (!flaws) {
        doing = "the end";
        sim->end();
    }
}

/* ---- shrinking ---- */

/* The seeds one by one, so that some can be left out. */
static void write_out(struct script *s)
{
    if (s->seed)
        return;
    s->seed = malloc(s->n * sizeof(*s->seed));
    for (unsigned long i = 0; i < s->n; i++)
        s->seed[i] = mix(s->from, i);
}

/* Does the script fail, in a process of its own? */
static bool fails(const struct script *s, unsigned long every)
{
    pid_t pid = fork();
    int status = 0;

    if (pid == 0) {
        if (!freopen("/dev/null", "w", stderr) || !freopen("/dev/null", "w", stdout))
            _exit(0);
        alarm(20);
        run(s, every);
        _exit(flaws != 0);
    }
    return pid > 0 && waitpid(pid, &status, 0) == pid && status != 0;
}

/* Leaves out pieces, ever smaller ones, as long as the rest fails. */
static void shrink(struct script *s)
{
    struct script t;

    write_out(s);
    t = (struct script){.seed = malloc(s->n * sizeof(*t.seed))};
    for (unsigned long piece = s->n / 2; piece; piece /= 2) {
        for (unsigned long at = 0; at < s->n && s->n > 1;) {
            unsigned long n = at + piece < s->n ? piece : s->n - at;

            memcpy(t.seed, s->seed, at * sizeof(*t.seed));
            memcpy(t.seed + at, s->seed + at + n, (s->n - at - n) * sizeof(*t.seed));
            t.n = s->n - n;
            if (t.n && fails(&t, s->n < 2000 ? 1 : audit_every))
                memcpy(s->seed, t.seed, (s->n = t.n) * sizeof(*t.seed));
            else
                at += n;
        }
        fprintf(stderr, "%s: %lu calls left\n", sim->name, s->n);
    }
    free(t.seed);
}

static void write_script(const char *name, const struct script *s)
{
    FILE *f = fopen(name, "w");

    if (!f) {
        perror(name);
        return;
    }
    fprintf(f, "# A script of %s: the seed of each call.\n", sim->name);
    for (unsigned long i = 0; i < s->n; i++)
        fprintf(f, "%#lx\n", (unsigned long)s->seed[i]);
    fclose(f);
}

static bool read_script(const char *name, struct script *s)
{
    FILE *f = fopen(name, "r");
    char line[256];

    if (!f) {
        perror(name);
        return false;
    }
    s->n = 0;
    while (fgets(line, sizeof(line), f))
        if (line[0] != '#' && line[0] != '\n') {
            s->seed = realloc(s->seed, (s->n + 1) * sizeof(*s->seed));
            s->seed[s->n++] = strtoull(line, NULL, 0);
        }
    fclose(f);
    return true;
}

/* ---- the program ---- */

int sim_main(const struct sim *s, int argc, char **argv)
{
    unsigned long total = 100000, seed = 1;
    const char *script = NULL, *shortest = NULL;
    struct script all = {0};

    sim = s;
    signal(SIGABRT, aborted);
    signal(SIGALRM, aborted);
    if (__sanitizer_set_death_callback)
        __sanitizer_set_death_callback(died);
    else
        signal(SIGSEGV, aborted);
    for (int i = 1; i + 1 < argc; i += 2) {
        unsigned long n = strtoul(argv[i + 1], NULL, 0);

        if (!strcmp(argv[i], "--calls"))
            total = n;
        else if (!strcmp(argv[i], "--seed"))
            seed = n;
        else if (!strcmp(argv[i], "--audit"))
            audit_every = n ? n : 1;
        else if (!strcmp(argv[i], "--verbose"))
            sim_verbose = n;
        else if (!strcmp(argv[i], "--script"))
            script = argv[i + 1];
        else if (!strcmp(argv[i], "--shrink"))
            shortest = argv[i + 1];
    }
    if (script) {
        audit_every = 1;
        if (!read_script(script, &all))
            return 1;
    } else {
        all = (struct script){.n = total, .from = seed};
    }
    if (shortest && fails(&all, audit_every)) {
        shrink(&all);
        write_script(shortest, &all);
        sim_verbose = true;
        audit_every = 1;
    }
    run(&all, audit_every);
    if (sim->report)
        sim->report();
    printf("%s: %lu calls, seed %lu%s\n", sim->name, sim_calls, seed, flaws ? ", failed" : "");
    printf("%u passed, %u failed\n", flaws ? 0 : 1, flaws ? 1 : 0);
    free(all.seed);
    return flaws != 0;
}
