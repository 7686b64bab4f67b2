/* SPDX-License-Identifier: MIT */
/*
 * Decompression of kernels, in one call from memory to memory: gzip, XZ and zstd. The input is
 * untrusted. The output buffer is the dictionary, so there is no heap; the working state is one
 * static scratch area of start-up memory: call it only while starting, from one CPU.
 */
#pragma once

#include "lib/types.h"

/*
 * Recognises the format of in[in_len] and decompresses all of it into out[out_cap]; the length
 * goes to *out_len. Bytes of out beyond *out_len may have been overwritten. Errors, each with a
 * reason of one line in *why (a constant):
 * -EINVAL unknown format or corrupt input, -EOPNOTSUPP a feature of the format that is not
 * supported, -ENOSPC out_cap is too small.
 */
int must_check decompress(const void *in, size_t in_len, void *out, size_t out_cap, size_t *out_len,
                          const char **why);

/* The formats, as told by the first bytes. */
enum decompress_format {
    DECOMPRESS_NONE,
    DECOMPRESS_GZIP,
    DECOMPRESS_XZ,
    DECOMPRESS_ZSTD,
};

enum decompress_format decompress_detect(const void *in, size_t in_len);
