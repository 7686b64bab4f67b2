/* SPDX-License-Identifier: MIT */
/*
 * Decompression of arbitrary bytes. The first byte chooses what they are: a whole file; or the
 * inside of one behind a good header, so that the checksums of headers do not stop the fuzzer at
 * the door. The second byte is the size of the output buffer in units of 256. What is put out must
 * lie within it, and an error has a reason.
 */
#include <stdlib.h>
#include <string.h>

#include "lib/decompress.h"
#include "lib/decompress_private.h"

static const uint8_t gzip_header[] = {0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3};
static const uint8_t zstd_header[] = {0x28, 0xb5, 0x2f, 0xfd, 0, 0x58};
/* A stream header without check, and a block header for the x86 filter and LZMA2. */
static const uint8_t xz_header[] = {0xfd, '7',  'z',  'X',  'Z',  0,    0,    0,
                                    0xff, 0x12, 0xd9, 0x41, 2,    0x01, 0x04, 0,
                                    0x21, 1,    0x0c, 0,    0xd6, 0x7c, 0x18, 0xaf};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct {
        const uint8_t *p;
        size_t n;
    } headers[] = {{NULL, 0},
                   {gzip_header, sizeof(gzip_header)},
                   {xz_header, sizeof(xz_header)},
                   {zstd_header, sizeof(zstd_header)}};
    unsigned int kind;
    size_t cap, n, out_len;
    const char *why = NULL;
    uint8_t *in, *out;

    if (size < 2)
        return 0;
    kind = data[0] % 5;
    cap = data[1] * 256u;
    data += 2;
    size -= 2;
    n = kind < 4 ? headers[kind].n : 0;
    in = malloc(n + size + 1);
    out = malloc(cap + 1);
    if (n)
        memcpy(in, headers[kind].p, n);
    memcpy(in + n, data, size);
    if (kind == 4) {
        struct unpack u = {.in = in, .in_end = in + size, .start = out, .out = out};

        u.out_end = out + cap;
        if (lzma2_unpack(&u) ? !u.why : u.out > u.out_end)
            abort();
    } else if (decompress(in, n + size, out, cap, &out_len, &why) ? !why : out_len > cap) {
        abort();
    }
    free(in);
    free(out);
    return 0;
}
