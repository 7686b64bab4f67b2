/* SPDX-License-Identifier: MIT */
/*
 * Finds the kernel proper in what a boot loader gives: the payload of a Linux bzImage (Linux
 * Documentation/x86/boot.rst, protocol 2.08 and later), or an ELF image itself. The input is
 * untrusted.
 */
#pragma once

#include "lib/decompress.h"

struct kernel_payload {
    const void *data; /* within the image given */
    size_t len;
    enum decompress_format format; /* DECOMPRESS_NONE: data is the ELF image */
    uint64_t size;                 /* of the ELF image; compressed: as the image claims */
};

/* -ENOEXEC, with the reason in *why, if there is no such kernel. */
int must_check kernel_payload_find(const void *image, size_t len, struct kernel_payload *out,
                                   const char **why);
