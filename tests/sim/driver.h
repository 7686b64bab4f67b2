/* SPDX-License-Identifier: MIT */
/* What every simulation does: count its calls, run them from one seed, say after which call
 * something was wrong, and cut a failing run down to a short script.
 *
 * Each call draws from random numbers of its own, seeded by the run's seed and the call's number.
 * So a run is a list of seeds, and a list with some of them left out is a run too: shrinking leaves
 * out whatever is not needed for the failure, in processes of their own.
 *
 *     [--calls N] [--seed S] [--audit N] [--verbose 1]     run
 *     --shrink FILE      and if it fails, write the shortest script found to FILE
 *     --script FILE      run that script, with an audit after every call */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct sim {
    const char *name;
    void (*begin)(void);  /* the machine and its domains, anew */
    void (*call)(void);   /* one call; draws from pvg_random */
    void (*audit)(void);  /* all that can be checked at rest */
    void (*end)(void);    /* everything goes; what is left is a leak */
    void (*report)(void); /* figures; may be NULL */
};

extern unsigned long sim_calls; /* the one that runs, from 1 on */
extern bool sim_verbose;        /* also: each call says what it does, in a script */
int sim_main(const struct sim *s, int argc, char **argv);

/* Something is wrong: the run ends after this call. */
void sim_flaw(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
bool sim_failed(void);
/* What the present call is, for scripts; the last word counts. */
void sim_doing(const char *what);
