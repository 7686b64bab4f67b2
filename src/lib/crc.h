/* SPDX-License-Identifier: MIT */
/*
 * Checksums of the compressed formats: CRC-32 (ISO 3309, as gzip and XZ use it), CRC-64 (ECMA-182,
 * reflected, XZ) and XXH64 with seed 0 (zstd).
 */
#pragma once

#include "lib/types.h"

/* The CRC of n more bytes after those that gave `crc`; start with 0. */
uint32_t crc32(uint32_t crc, const void *data, size_t n);
uint64_t crc64(uint64_t crc, const void *data, size_t n);

/* The hash of all of data[n]. */
uint64_t xxh64(const void *data, size_t n);
