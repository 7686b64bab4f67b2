/* SPDX-License-Identifier: MIT */
/* String helpers that libc does not have. See lib/strutil.h. */
#include "lib/strutil.h"
#include "lib/string.h"

#include "lib/errno.h"

size_t strlcpy(char *to, const char *s, size_t size)
{
    size_t len = strlen(s);

    if (size) {
        size_t n = len < size ? len : size - 1;

        memcpy(to, s, n);
        to[n] = 0;
    }
    return len;
}

/* The value of a digit in any base to 36, or 99. */
static unsigned int digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'Z')
        return c - 'A' + 10;
    return 99;
}

int parse_uint(const char **s, unsigned int base, uint64_t *out)
{
    const char *p = *s, *first;
    uint64_t v = 0;

    if (p[0] == '0' && (p[1] | 0x20) == 'x' && (base == 0 || base == 16) && digit(p[2]) < 16) {
        base = 16;
        p += 2;
    } else if (base == 0) {
        base = p[0] == '0' ? 8 : 10;
    }
    for (first = p; digit(*p) < base; p++) {
        if (__builtin_mul_overflow(v, (uint64_t)base, &v) ||
            __builtin_add_overflow(v, (uint64_t)digit(*p), &v))
            return -ERANGE;
    }
    if (p == first)
        return -EINVAL;
    *s = p;
    *out = v;
    return 0;
}

/* The power of two that a size letter stands for, or -1. */
static int unit_shift(char c)
{
    switch (c) {
    case 'B':
    case 'b':
        return 0;
    case 'K':
    case 'k':
        return 10;
    case 'M':
    case 'm':
        return 20;
    case 'G':
    case 'g':
        return 30;
    case 'T':
    case 't':
        return 40;
    }
    return -1;
}

int parse_size(const char **s, char unit, uint64_t *bytes)
{
    const char *p = *s;
    uint64_t v;
    int shift, rc;

    rc = parse_uint(&p, 0, &v);
    if (rc)
        return rc;
    shift = unit_shift(*p);
    if (shift >= 0)
        p++;
    else
        shift = unit_shift(unit);
    if (shift < 0)
        return -EINVAL;
    if (v > UINT64_MAX >> shift)
        return -ERANGE;
    *s = p;
    *bytes = v << shift;
    return 0;
}
