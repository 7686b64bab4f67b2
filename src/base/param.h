/* SPDX-License-Identifier: MIT */
/* Command-line options: each module declares its own beside the variable, gathered in a section.
 *
 *     static bool noreboot;
 *     PARAM_BOOL("noreboot", noreboot);
 *
 * Booleans: "x", "x=yes/on/true/enable/1", "no-x", "x=no/off/false/disable/0". */
#pragma once

#include "lib/types.h"

enum param_type {
    PARAM_TYPE_BOOL,
    PARAM_TYPE_UINT,
    PARAM_TYPE_STRING,
    PARAM_TYPE_CUSTOM,
};

struct param {
    const char *name;
    enum param_type type;
    uint32_t size; /* of the string buffer */
    void *var;     /* bool *, uint64_t *, char[] */
    /* Custom: the value after "=", "" if none; a negative errno means malformed. A name may occur
     * several times. `negated`: came as "no-x". */
    int (*parse)(const char *value, bool negated);
    /* Custom, may be NULL: the value as text, for one that may change while the machine runs. */
    void (*show)(char *text, size_t size);
};

#define PARAM_ENTRY(id, ...)     \
    static const struct param id \
        __attribute__((used, __section__("params"), __aligned__(8))) = {__VA_ARGS__}
#define PARAM_BOOL(name_, var_) \
    PARAM_ENTRY(param_##var_, .name = name_, .type = PARAM_TYPE_BOOL, .var = &(var_))
#define PARAM_UINT(name_, var_) \
    PARAM_ENTRY(param_##var_, .name = name_, .type = PARAM_TYPE_UINT, .var = &(var_))
#define PARAM_STRING(name_, var_)                                                      \
    PARAM_ENTRY(param_##var_, .name = name_, .type = PARAM_TYPE_STRING, .var = (var_), \
                .size = sizeof(var_))
#define PARAM_CUSTOM(name_, fn_) \
    PARAM_ENTRY(param_##fn_, .name = name_, .type = PARAM_TYPE_CUSTOM, .parse = (fn_))
/* One that may change at any time: `xl set-parameters`. */
#define PARAM_RUNTIME(name_, fn_, show_)                                               \
    PARAM_ENTRY(param_##fn_, .name = name_, .type = PARAM_TYPE_CUSTOM, .parse = (fn_), \
                .show = (show_))

/* Parses the whole line; an unknown or malformed option gets one line in the log and is passed
 * over. Words "placeholder" and "--" with all that follows are not ours. Words are separated by
 * spaces; double quotes keep spaces in a value. */
void param_parse(const char *cmdline);

/* 1, 0, or -EINVAL: "yes", "on", "true", "enable", "1" or nothing; "no", "off", ... For custom
 * options with boolean parts. */
int must_check param_parse_bool(const char *value);

/* The n-th of the options that may change while the machine runs, from 0 on; NULL beyond. */
const struct param *param_runtime(unsigned n);
