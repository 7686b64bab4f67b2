/* SPDX-License-Identifier: MIT */
/*
 * Formatted output into a buffer; see lib/printf.h. Everything is emitted through put(), which
 * counts all characters and stores those that fit.
 */
#include "lib/printf.h"
#include "lib/string.h"

struct out {
    char *to;
    size_t size;
    size_t len;
};

struct spec {
    bool left, zero, plus, space, alt, upper;
    int width;
    int precision; /* -1: none */
    char length;   /* 'H' for hh, 'h', 'l' for every 64-bit length, 0 for int */
};

static void put(struct out *o, char c)
{
    if (o->len + 1 < o->size)
        o->to[o->len] = c;
    o->len++;
}

static void pad(struct out *o, char c, int n)
{
    while (n-- > 0)
        put(o, c);
}

/* prefix, zeros and digits, in a field of s->width. */
static void put_number(struct out *o, const struct spec *s, const char *prefix, const char *digits,
                       int n)
{
    int prefix_len = (int)strlen(prefix);
    int zeros = s->precision > n ? s->precision - n : 0;
    int fill = s->width - prefix_len - zeros - n;

    if (s->zero && !s->left && s->precision < 0 && fill > 0) {
        zeros = fill;
        fill = 0;
    }
    if (!s->left)
        pad(o, ' ', fill);
    while (*prefix)
        put(o, *prefix++);
    pad(o, '0', zeros);
    while (n--)
        put(o, *digits++);
    if (s->left)
        pad(o, ' ', fill);
}

static void put_uint(struct out *o, struct spec *s, uint64_t v, unsigned int base,
                     const char *prefix)
{
    const char *alphabet = s->upper ? "0123456789ABCDEF" : "0123456789abcdef";
    char buf[24], *p = buf + sizeof(buf); /* 22 octal digits and a 0 */

    if (base == 16) {
        for (uint64_t x = v; x; x >>= 4)
            *--p = alphabet[x & 15];
    } else {
        for (uint64_t x = v; x; x /= base)
            *--p = alphabet[x % base];
    }
    /* Zero has one digit unless the precision is 0; "#o" wants a leading 0 by precision. */
    if (!v && s->precision != 0)
        *--p = '0';
    if (base == 8 && s->alt && (p == buf + sizeof(buf) || *p != '0'))
        *--p = '0';
    put_number(o, s, prefix, p, (int)(buf + sizeof(buf) - p));
}

static void put_int(struct out *o, struct spec *s, int64_t v)
{
    const char *prefix = v < 0 ? "-" : s->plus ? "+" : s->space ? " " : "";

    put_uint(o, s, v < 0 ? -(uint64_t)v : (uint64_t)v, 10, prefix);
}

static void put_string(struct out *o, const struct spec *s, const char *str)
{
    int n;

    if (!str)
        str = "(null)";
    n = (int)strnlen(str, s->precision < 0 ? INT32_MAX : (size_t)s->precision);
    if (!s->left)
        pad(o, ' ', s->width - n);
    for (int i = 0; i < n; i++)
        put(o, str[i]);
    if (s->left)
        pad(o, ' ', s->width - n);
}

static void put_char(struct out *o, const struct spec *s, char c)
{
    pad(o, ' ', s->left ? 0 : s->width - 1);
    put(o, c);
    pad(o, ' ', s->left ? s->width - 1 : 0);
}

/* A decimal width or precision, cut at a million so that it can overflow nothing. */
static const char *read_decimal(const char *f, int *out)
{
    int n = 0;

    for (; *f >= '0' && *f <= '9'; f++)
        n = n < 100000 ? n * 10 + (*f - '0') : 1000000;
    *out = n;
    return f;
}

static const char *read_flags(const char *f, struct spec *s)
{
    for (;; f++) {
        if (*f == '-')
            s->left = true;
        else if (*f == '0')
            s->zero = true;
        else if (*f == '+')
            s->plus = true;
        else if (*f == ' ')
            s->space = true;
        else if (*f == '#')
            s->alt = true;
        else
            return f;
    }
}

static const char *read_length(const char *f, struct spec *s)
{
    if (*f == 'h') {
        s->length = f[1] == 'h' ? 'H' : 'h';
        return f + (f[1] == 'h' ? 2 : 1);
    }
    if (*f == 'l' || *f == 'z' || *f == 'j' || *f == 't') {
        s->length = 'l';
        return f + (f[0] == 'l' && f[1] == 'l' ? 2 : 1);
    }
    return f;
}

static int64_t narrow_int(int64_t v, char length)
{
    return length == 'H' ? (signed char)v : length == 'h' ? (short)v : v;
}

static uint64_t narrow_uint(uint64_t v, char length)
{
    return length == 'H' ? (unsigned char)v : length == 'h' ? (unsigned short)v : v;
}

/* One integer conversion; the caller has fetched the argument as 64 bits. */
static void put_integer(struct out *o, struct spec *s, char conversion, uint64_t v)
{
    switch (conversion) {
    case 'd':
    case 'i':
        put_int(o, s, narrow_int((int64_t)v, s->length));
        break;
    case 'u':
        put_uint(o, s, narrow_uint(v, s->length), 10, "");
        break;
    case 'o':
        put_uint(o, s, narrow_uint(v, s->length), 8, "");
        break;
    default:
        s->upper = conversion == 'X';
        v = narrow_uint(v, s->length);
        put_uint(o, s, v, 16, s->alt && v ? (s->upper ? "0X" : "0x") : "");
        break;
    }
}

int fmt_vsnprintf(char *to, size_t size, const char *fmt, va_list args)
{
    struct out o = {.to = to, .size = size};
    const char *f = fmt;

    while (*f) {
        struct spec s = {.precision = -1};
        const char *start = f;

        if (*f++ != '%') {
            put(&o, *start);
            continue;
        }
        f = read_flags(f, &s);
        if (*f == '*') {
            s.width = va_arg(args, int);
            if (s.width < 0) {
                s.left = true;
                s.width = s.width == INT32_MIN ? 0 : -s.width;
            }
            f++;
        } else {
            f = read_decimal(f, &s.width);
        }
        if (*f == '.') {
            if (*++f == '*') {
                s.precision = va_arg(args, int);
                f++;
            } else {
                f = read_decimal(f, &s.precision);
            }
            if (s.precision < 0)
                s.precision = -1;
        }
        f = read_length(f, &s);
        switch (*f) {
        case 'd':
        case 'i':
            put_integer(&o, &s, 'd',
                        s.length == 'l' ? (uint64_t)va_arg(args, int64_t)
                                        : (uint64_t)(int64_t)va_arg(args, int));
            break;
        case 'u':
        case 'o':
        case 'x':
        case 'X':
            put_integer(&o, &s, *f,
                        s.length == 'l' ? va_arg(args, uint64_t) : va_arg(args, unsigned int));
            break;
        case 'c':
            put_char(&o, &s, (char)va_arg(args, int));
            break;
        case 's':
            put_string(&o, &s, va_arg(args, const char *));
            break;
        case 'p':
            put_uint(&o, &s, (uintptr_t)va_arg(args, void *), 16, "0x");
            break;
        case '%':
            put(&o, '%');
            break;
        default: /* unknown: shown as written */
            while (start < f)
                put(&o, *start++);
            continue;
        }
        f++;
    }
    if (size)
        to[o.len < size ? o.len : size - 1] = 0;
    return (int)o.len;
}

int fmt_snprintf(char *to, size_t size, const char *fmt, ...)
{
    va_list args;
    int n;

    va_start(args, fmt);
    n = fmt_vsnprintf(to, size, fmt, args);
    va_end(args);
    return n;
}
