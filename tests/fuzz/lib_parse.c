/* SPDX-License-Identifier: MIT */
/*
 * Numbers and sizes against libc's strtoull, formatting of arbitrary integer formats, and sets of
 * ranges against a bitmap of 256 numbers.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/printf.h"
#include "lib/range.h"
#include "lib/strutil.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void numbers(const char *text, unsigned int base)
{
    const char *s = text;
    uint64_t v = 0, bytes;
    char *end;
    int rc = parse_uint(&s, base, &v);

    /* strtoull also takes space and signs. */
    if (*text && !strchr(" \t\n\v\f\r+-", *text)) {
        unsigned long long want;

        errno = 0;
        want = strtoull(text, &end, (int)base);
        if (end == text ? rc != -EINVAL : (errno ? rc != -ERANGE : rc || v != want || s != end))
            abort();
    } else if (rc != -EINVAL) {
        abort();
    }
    s = text;
    if (parse_size(&s, "BKMGT?"[base % 6], &bytes) && s != text)
        abort();
}

/* A format of one conversion made of the bytes, of those characters that are ours. */
static void format(const uint8_t *data, size_t size, uint64_t value)
{
    static const char *const tails[] = {"d", "u", "x", "X", "o", "i"};
    char f[40] = "%", own[300], libc[300];
    size_t n = 1;
    int a, b;

    for (size_t i = 0; i < size && i < 5; i++)
        f[n++] = "-0+ #"[data[i] % 5];
    if (size > 6)
        n += (size_t)sprintf(f + n, data[5] & 1 ? "%u" : "%u.%u", data[5] % 100u, data[6] % 100u);
    sprintf(f + n, "ll%s", tails[value % 6]);
    a = fmt_snprintf(own, sizeof(own), f, value);
    b = snprintf(libc, sizeof(libc), f, value);
    if (a != b || strcmp(own, libc) != 0)
        abort();
}

static void ranges(const uint8_t *data, size_t size)
{
    struct range array[16];
    struct range_set set;
    bool in[256] = {false};

    range_set_init(&set, array, 16);
    for (; size >= 3; data += 3, size -= 3) {
        uint8_t first = data[1], last = data[2];
        bool add = data[0] & 1;
        int rc = add ? range_set_add(&set, first, last) : range_set_remove(&set, first, last);

        if ((rc == -EINVAL) != (first > last))
            abort();
        if (!rc)
            memset(in + first, add, (size_t)last - first + 1);
    }
    for (unsigned int i = 0; i < 256; i++)
        if (range_set_contains(&set, i, i) != in[i])
            abort();
    for (unsigned int i = 0; i < set.n; i++)
        if (set.r[i].first > set.r[i].last || (i && set.r[i].first <= set.r[i - 1].last + 1))
            abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint64_t value = 0;
    char text[64];
    size_t n = size < sizeof(text) ? size : sizeof(text) - 1;

    if (size < 2)
        return 0;
    memcpy(text, data, n);
    text[n] = 0;
    numbers(text + 1, data[0] % 4 ? data[0] % 2 ? 0 : 16 : 2 + data[0] / 4 % 35);
    memcpy(&value, data, size < 8 ? size : 8);
    format(data + 1, size - 1, value);
    ranges(data, size);
    return 0;
}
