/* SPDX-License-Identifier: MIT */
/*
 * The standard memory and string functions, as plain C loops over 8-byte words. The compiler may
 * call these four memory functions on its own account, so none of them may be turned into a call
 * of itself: loop pattern recognition is off in this file. The word type may alias anything and
 * need not be aligned (x86 allows both).
 */
#define LIB_STRING_IMPLEMENTATION
#include "lib/string.h"

#ifdef __clang__
#define plain_loops
#else
#define plain_loops __attribute__((optimize("no-tree-loop-distribute-patterns")))
#endif

typedef uint64_t __attribute__((__may_alias__, __aligned__(1))) word_t;

plain_loops static inline void copy_up(unsigned char *d, const unsigned char *s, size_t n)
{
    for (; n >= 32; d += 32, s += 32, n -= 32) {
        word_t *dw = (word_t *)d;
        const word_t *sw = (const word_t *)s;
        uint64_t a = sw[0], b = sw[1], c = sw[2], e = sw[3];

        dw[0] = a;
        dw[1] = b;
        dw[2] = c;
        dw[3] = e;
    }
    for (; n >= 8; d += 8, s += 8, n -= 8)
        *(word_t *)d = *(const word_t *)s;
    while (n--)
        *d++ = *s++;
}

plain_loops void *memcpy(void *restrict to, const void *restrict from, size_t n)
{
    copy_up(to, from, n);
    return to;
}

plain_loops void *memmove(void *to, const void *from, size_t n)
{
    unsigned char *d = to;
    const unsigned char *s = from;

    /* Upwards is right when the target lies below the source: each block is read before written. */
    if ((uintptr_t)d - (uintptr_t)s >= n) {
        copy_up(d, s, n);
        return to;
    }
    while (n >= 8) {
        n -= 8;
        *(word_t *)(d + n) = *(const word_t *)(s + n);
    }
    while (n--)
        d[n] = s[n];
    return to;
}

plain_loops void *memset(void *to, int c, size_t n)
{
    unsigned char *d = to;
    uint64_t w = (unsigned char)c * 0x0101010101010101ull;

    for (; n >= 32; d += 32, n -= 32) {
        word_t *dw = (word_t *)d;

        dw[0] = w;
        dw[1] = w;
        dw[2] = w;
        dw[3] = w;
    }
    for (; n >= 8; d += 8, n -= 8)
        *(word_t *)d = w;
    while (n--)
        *d++ = (unsigned char)c;
    return to;
}

plain_loops int memcmp(const void *a, const void *b, size_t n)
{
    const unsigned char *p = a, *q = b;

    for (; n >= 8 && *(const word_t *)p == *(const word_t *)q; n -= 8) {
        p += 8;
        q += 8;
    }
    for (; n; n--, p++, q++)
        if (*p != *q)
            return *p < *q ? -1 : 1;
    return 0;
}

plain_loops size_t strlen(const char *s)
{
    size_t n = 0;

    while (s[n])
        n++;
    return n;
}

size_t strnlen(const char *s, size_t max)
{
    size_t n = 0;

    while (n < max && s[n])
        n++;
    return n;
}

int strcmp(const char *a, const char *b)
{
    return strncmp(a, b, PTRDIFF_MAX);
}

int strncmp(const char *a, const char *b, size_t n)
{
    for (; n; n--, a++, b++) {
        if (*a != *b)
            return (unsigned char)*a < (unsigned char)*b ? -1 : 1;
        if (!*a)
            break;
    }
    return 0;
}

char *strchr(const char *s, int c)
{
    for (;; s++) {
        if (*s == (char)c)
            return (char *)s;
        if (!*s)
            return NULL;
    }
}
