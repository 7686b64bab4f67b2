/* SPDX-License-Identifier: MIT */
/* Little-endian numbers at any address. */
#pragma once

#include "lib/types.h"

static inline uint32_t load_le16(const uint8_t *p)
{
    return p[0] | (uint32_t)p[1] << 8;
}

static inline uint32_t load_le32(const uint8_t *p)
{
    return load_le16(p) | load_le16(p + 2) << 16;
}

static inline uint64_t load_le64(const uint8_t *p)
{
    return load_le32(p) | (uint64_t)load_le32(p + 4) << 32;
}
