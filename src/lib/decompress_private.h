/* SPDX-License-Identifier: MIT */
/* What the decompressors share: the buffers, the reason of an error, and the scratch area. */
#pragma once

#include "lib/bytes.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "lib/util.h"

/*
 * One decompression. in and out move forward; start..out is what has been written and may be
 * referred to. Invariant: in <= in_end, start <= out <= out_end.
 */
struct unpack {
    const uint8_t *in, *in_end;
    uint8_t *start, *out, *out_end;
    const char *why;
};

static inline size_t unpack_in_left(const struct unpack *u)
{
    return (size_t)(u->in_end - u->in);
}

static inline size_t unpack_out_left(const struct unpack *u)
{
    return (size_t)(u->out_end - u->out);
}

/* Notes the reason and gives the error. */
static inline int must_check unpack_fail(struct unpack *u, int rc, const char *why)
{
    u->why = why;
    return rc;
}

/*
 * Copies a match of len > 0 bytes from dist > 0 bytes before out; the caller has checked both.
 * Up to 7 bytes behind the match are overwritten when they lie before out_end.
 */
static always_inline uint8_t *unpack_copy_match(uint8_t *out, size_t dist, size_t len,
                                                const uint8_t *out_end)
{
    const uint8_t *from = out - dist;
    uint8_t *end = out + len;

    if (likely(dist >= 8 && (size_t)(out_end - end) >= 8)) {
        do {
            uint64_t w;

            __builtin_memcpy(&w, from, 8);
            __builtin_memcpy(out, &w, 8);
            from += 8;
            out += 8;
        } while (out < end);
        return end;
    }
    do
        *out++ = *from++;
    while (out < end);
    return end;
}

int must_check gzip_unpack(struct unpack *u);
int must_check xz_unpack(struct unpack *u);
int must_check zstd_unpack(struct unpack *u);

/* One LZMA2 stream: from its first control byte to behind its end byte. */
int must_check lzma2_unpack(struct unpack *u);
