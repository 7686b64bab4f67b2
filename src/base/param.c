/* SPDX-License-Identifier: MIT */
/* The command line. Options are found in the section "params", where param.h puts them; one name
 * may be declared by several modules, and each gets the value. */
#include "base/param.h"
#include "base/log.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "lib/strutil.h"
#include "lib/util.h"

#define WORD_MAX 256

extern const struct param __start_params[], __stop_params[];

int param_parse_bool(const char *value)
{
    static const char *const yes[] = {"", "yes", "on", "true", "enable", "1"};
    static const char *const no[] = {"no", "off", "false", "disable", "0"};

    for (unsigned i = 0; i < ARRAY_SIZE(yes); i++)
        if (!strcmp(value, yes[i]))
            return 1;
    for (unsigned i = 0; i < ARRAY_SIZE(no); i++)
        if (!strcmp(value, no[i]))
            return 0;
    return -EINVAL;
}

const struct param *param_runtime(unsigned n)
{
    for (const struct param *p = __start_params; p < __stop_params; p++)
        if (p->show && n-- == 0)
            return p;
    return NULL;
}

static int set(const struct param *p, const char *value, bool negated)
{
    uint64_t number;
    int rc;

    switch (p->type) {
    case PARAM_TYPE_BOOL:
        rc = param_parse_bool(value);
        if (rc < 0 || (negated && *value))
            return -EINVAL;
        *(bool *)p->var = rc != negated;
        return 0;
    case PARAM_TYPE_UINT:
        if (negated)
            return -EINVAL;
        rc = parse_uint(&value, 0, &number);
        if (rc)
            return rc;
        if (*value)
            return -EINVAL;
        *(uint64_t *)p->var = number;
        return 0;
    case PARAM_TYPE_STRING:
        if (negated || strlen(value) >= p->size)
            return -EINVAL;
        strlcpy(p->var, value, p->size);
        return 0;
    case PARAM_TYPE_CUSTOM:
        return p->parse(value, negated);
    }
    return -EINVAL;
}

/* Gives the value to every option of that name. The number of options, or the first error. */
static int offer(const char *name, const char *value, bool negated)
{
    int found = 0, error = 0;

    for (const struct param *p = __start_params; p < __stop_params; p++) {
        int rc;

        if (strcmp(p->name, name))
            continue;
        found++;
        rc = set(p, value, negated);
        if (rc < 0 && !error)
            error = rc;
    }
    return error ? error : found;
}

static void parse_word(char *word)
{
    char *equals = strchr(word, '=');
    const char *value = equals ? equals + 1 : "";
    int rc;

    if (equals)
        *equals = 0;
    rc = offer(word, value, false);
    if (rc == 0 && !strncmp(word, "no-", 3))
        rc = offer(word + 3, value, true);
    if (rc == 0)
        log_warn("command line: unknown option \"%s\"", word);
    else if (rc < 0)
        log_warn("command line: bad value in \"%s%s%s\"", word, equals ? "=" : "", value);
}

/* Copies the next word without its quotes. What is left of the line, or NULL at its end. */
static const char *next_word(const char *s, char *word, size_t size, bool *cut)
{
    size_t n = 0;
    bool quoted = false;

    while (*s == ' ' || *s == '\t' || *s == '\n')
        s++;
    if (!*s)
        return NULL;
    *cut = false;
    for (; *s && (quoted || (*s != ' ' && *s != '\t' && *s != '\n')); s++) {
        if (*s == '"')
            quoted = !quoted;
        else if (n + 1 < size)
            word[n++] = *s;
        else
            *cut = true;
    }
    word[n] = 0;
    return s;
}

void param_parse(const char *cmdline)
{
    char word[WORD_MAX];
    bool cut;

    while ((cmdline = next_word(cmdline, word, sizeof(word), &cut)) != NULL) {
        if (!strcmp(word, "--"))
            return;
        if (cut)
            log_warn("command line: option of more than %u characters ignored", WORD_MAX - 1);
        else if (*word && strcmp(word, "placeholder"))
            parse_word(word);
    }
}
