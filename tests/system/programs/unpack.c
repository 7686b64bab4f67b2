/* SPDX-License-Identifier: MIT */
/* A program without a library that domain 0 compiles itself, from Argon's decompressors: unpacks
 * standard input, of any of the three formats, to standard output. */
#include "lib/decompress.h"

#define READ  0l
#define WRITE 1l
#define EXIT  60l

static char in[4 << 20], out[16 << 20];

static long syscall3(long n, long a, const void *b, long c)
{
    long ret;

    __asm__ volatile("syscall"
                     : "=a"(ret)
                     : "a"(n), "D"(a), "S"(b), "d"(c)
                     : "rcx", "r11", "memory");
    return ret;
}

/* What this compiler does not have built in. */
int leading_zeros(unsigned v);
int leading_zeros(unsigned v)
{
    int n = 0;

    for (; !(v >> 31); v <<= 1)
        n++;
    return n;
}

int trailing_zeros(unsigned long v);
int trailing_zeros(unsigned long v)
{
    int n = 0;

    for (; !(v & 1); v >>= 1)
        n++;
    return n;
}

void _start(void);
void _start(void)
{
    size_t len = 0, out_len = 0;
    const char *why;
    long n, rc;

    while ((n = syscall3(READ, 0, in + len, (long)(sizeof(in) - len))) > 0)
        len += (size_t)n;
    rc = decompress(in, len, out, sizeof(out), &out_len, &why) ? 1 : 0;
    for (size_t at = 0; !rc && at < out_len; at += (size_t)n)
        if ((n = syscall3(WRITE, 1, out + at, (long)(out_len - at))) <= 0)
            rc = 2;
    syscall3(EXIT, rc, 0, 0);
}
