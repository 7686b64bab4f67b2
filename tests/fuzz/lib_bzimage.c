/* SPDX-License-Identifier: MIT */
/*
 * An arbitrary file as a vmlinuz: the payload must lie within it. The bytes are laid over a good
 * setup header from offset 0x1f1 on, and make the payload's start at 2048.
 */
#include <stdlib.h>
#include <string.h>

#include "lib/bzimage.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const uint8_t *image, size_t size)
{
    struct kernel_payload k;
    const char *why = NULL;

    if (kernel_payload_find(image, size, &k, &why)) {
        if (!why)
            abort();
        return;
    }
    if ((const uint8_t *)k.data < image || k.len > size ||
        (size_t)((const uint8_t *)k.data - image) > size - k.len)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t n = 2560;
    uint8_t *image = calloc(1, n);

    check(data, size);
    image[0x1f1] = 3;
    memcpy(image + 0x1fe, "\x55\xaa\xeb\x6aHdrS\x0f\x02", 10);
    memcpy(image + 0x248, "\0\0\0\0\0\1\0\0", 8);
    memcpy(image + 2048, "\x1f\x8b", 2);
    for (size_t i = 0; i < size && i < 0x60; i++)
        image[0x1f1 + i] ^= data[i];
    for (size_t i = 0x60; i < size && i < 0x80; i++)
        image[2048 + i - 0x60] ^= data[i];
    check(image, n);
    free(image);
    return 0;
}
