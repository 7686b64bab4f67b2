/* SPDX-License-Identifier: MIT */
/* Choice of the decompressor by the first bytes. See lib/decompress.h. */
#include "lib/decompress.h"
#include "lib/decompress_private.h"

enum decompress_format decompress_detect(const void *in, size_t in_len)
{
    static const struct {
        enum decompress_format format;
        uint8_t len;
        uint8_t magic[6];
    } formats[] = {
        {DECOMPRESS_GZIP, 2, {0x1f, 0x8b}},
        {DECOMPRESS_XZ, 6, {0xfd, '7', 'z', 'X', 'Z', 0}},
        {DECOMPRESS_ZSTD, 4, {0x28, 0xb5, 0x2f, 0xfd}},
    };

    for (size_t i = 0; i < ARRAY_SIZE(formats); i++)
        if (in_len >= formats[i].len && memcmp(in, formats[i].magic, formats[i].len) == 0)
            return formats[i].format;
    return DECOMPRESS_NONE;
}

int decompress(const void *in, size_t in_len, void *out, size_t out_cap, size_t *out_len,
               const char **why)
{
    struct unpack u = {.in = in, .start = out, .out = out};
    int rc;

    u.in_end = u.in + in_len;
    u.out_end = u.out + out_cap;
    switch (decompress_detect(in, in_len)) {
    case DECOMPRESS_GZIP:
        rc = gzip_unpack(&u);
        break;
    case DECOMPRESS_XZ:
        rc = xz_unpack(&u);
        break;
    case DECOMPRESS_ZSTD:
        rc = zstd_unpack(&u);
        break;
    default:
        rc = unpack_fail(&u, -EINVAL, "neither gzip, XZ nor zstd");
        break;
    }
    *why = u.why;
    *out_len = rc ? 0 : (size_t)(u.out - u.start);
    return rc;
}
