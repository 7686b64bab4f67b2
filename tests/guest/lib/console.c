/* SPDX-License-Identifier: MIT */
/* Text out by CONSOLEIO_write, one hypercall a printf so that lines stay whole; and the few string
 * functions that gcc may call. */
#include <stdarg.h>
#include "lib/guest.h"

void *memset(void *dst, int c, size_t n)
{
    char *d = dst;

    while (n--)
        *d++ = c;
    return dst;
}

void *memcpy(void *dst, const void *src, size_t n)
{
    char *d = dst;
    const char *s = src;

    while (n--)
        *d++ = *s++;
    return dst;
}

int memcmp(const void *a, const void *b, size_t n)
{
    const unsigned char *x = a, *y = b;

    for (; n; n--, x++, y++)
        if (*x != *y)
            return *x - *y;
    return 0;
}

size_t strlen(const char *s)
{
    size_t n = 0;

    while (s[n])
        n++;
    return n;
}

int strncmp(const char *a, const char *b, size_t n)
{
    for (; n; n--, a++, b++)
        if (*a != *b || !*a)
            return (unsigned char)*a - (unsigned char)*b;
    return 0;
}

struct out {
    char *buf;
    size_t size, len;
};

static void put(struct out *o, char c)
{
    if (o->len + 1 < o->size)
        o->buf[o->len] = c;
    o->len++;
}

static void put_number(struct out *o, unsigned long v, unsigned int base, int width, char pad,
                       bool negative, bool prefix)
{
    char digits[24];
    int n = 0;

    do {
        digits[n++] = "0123456789abcdef"[v % base];
        v /= base;
    } while (v);
    if (negative)
        put(o, '-');
    if (prefix) {
        put(o, '0');
        put(o, 'x');
    }
    for (; width > n; width--)
        put(o, pad);
    while (n)
        put(o, digits[--n]);
}

static void put_string(struct out *o, const char *s, int width)
{
    if (!s)
        s = "(null)";
    for (int n = strlen(s); n < width; n++)
        put(o, ' ');
    while (*s)
        put(o, *s++);
}

/* %s %c %d %u %x %p, with width, 0, # and l. */
int vsnprintf(char *buf, size_t size, const char *fmt, va_list ap)
{
    struct out o = {buf, size, 0};

    for (; *fmt; fmt++) {
        int width = 0;
        bool prefix = false, wide = false;
        char pad = ' ';
        unsigned long v;

        if (*fmt != '%') {
            put(&o, *fmt);
            continue;
        }
        fmt++;
        if (*fmt == '#')
            prefix = true, fmt++;
        if (*fmt == '0')
            pad = '0', fmt++;
        for (; *fmt >= '0' && *fmt <= '9'; fmt++)
            width = width * 10 + *fmt - '0';
        for (; *fmt == 'l' || *fmt == 'z'; fmt++)
            wide = true;
        switch (*fmt) {
        case 's':
            put_string(&o, va_arg(ap, const char *), width);
            break;
        case 'c':
            put(&o, va_arg(ap, int));
            break;
        case 'd':
            v = wide ? va_arg(ap, long) : va_arg(ap, int);
            put_number(&o, (long)v < 0 ? -v : v, 10, width, pad, (long)v < 0, false);
            break;
        case 'p':
            put_number(&o, va_arg(ap, unsigned long), 16, 0, pad, false, true);
            break;
        case 'u':
        case 'x':
            v = wide ? va_arg(ap, unsigned long) : va_arg(ap, unsigned int);
            put_number(&o, v, *fmt == 'u' ? 10 : 16, width, pad, false, prefix);
            break;
        default:
            put(&o, *fmt);
        }
    }
    if (size)
        buf[o.len < size ? o.len : size - 1] = 0;
    return o.len;
}

int printf(const char *fmt, ...)
{
    static char buf[1024];
    va_list ap;
    int n;

    va_start(ap, fmt);
    n = vsnprintf(buf, sizeof(buf), fmt, ap);
    va_end(ap);
    if (n > (int)sizeof(buf) - 1)
        n = sizeof(buf) - 1;
    hc_console_io(CONSOLEIO_write, n, buf);
    return n;
}
