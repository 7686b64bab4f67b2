/* SPDX-License-Identifier: MIT */
/*
 * CRC-32, CRC-64 and XXH64; see lib/crc.h.
 *
 * A CRC table is linear: the entry of a byte is the exclusive or of the entries of its bits. So a
 * table is written as the eight constants of the single bits, and the compiler makes the 256
 * entries. Row j of CRC-32 gives the effect of a byte that has j more bytes behind it in a group of
 * eight, which are taken at once (a kernel is checked as a whole, so this loop counts).
 *
 * XXH64: "xxHash fast digest algorithm", version 0.1.1.
 */
#include "lib/crc.h"
#include "lib/string.h"

#define ENTRY(i, c0, c1, c2, c3, c4, c5, c6, c7)                                         \
    (((i)&1 ? (c0) : 0) ^ ((i)&2 ? (c1) : 0) ^ ((i)&4 ? (c2) : 0) ^ ((i)&8 ? (c3) : 0) ^ \
     ((i)&16 ? (c4) : 0) ^ ((i)&32 ? (c5) : 0) ^ ((i)&64 ? (c6) : 0) ^ ((i)&128 ? (c7) : 0))
#define ENTRIES4(i, ...)                                                         \
    ENTRY(i, __VA_ARGS__), ENTRY(i + 1, __VA_ARGS__), ENTRY(i + 2, __VA_ARGS__), \
        ENTRY(i + 3, __VA_ARGS__)
#define ENTRIES16(i, ...)                                                                 \
    ENTRIES4(i, __VA_ARGS__), ENTRIES4(i + 4, __VA_ARGS__), ENTRIES4(i + 8, __VA_ARGS__), \
        ENTRIES4(i + 12, __VA_ARGS__)
#define ENTRIES64(i, ...)                                                                      \
    ENTRIES16(i, __VA_ARGS__), ENTRIES16(i + 16, __VA_ARGS__), ENTRIES16(i + 32, __VA_ARGS__), \
        ENTRIES16(i + 48, __VA_ARGS__)
#define TABLE(...)                                                                          \
    {                                                                                       \
        ENTRIES64(0, __VA_ARGS__), ENTRIES64(64, __VA_ARGS__), ENTRIES64(128, __VA_ARGS__), \
            ENTRIES64(192, __VA_ARGS__)                                                     \
    }

static const uint32_t table32[8][256] = {
    TABLE(0x77073096u, 0xee0e612cu, 0x076dc419u, 0x0edb8832u, 0x1db71064u, 0x3b6e20c8u, 0x76dc4190u,
          0xedb88320u),
    TABLE(0x191b3141u, 0x32366282u, 0x646cc504u, 0xc8d98a08u, 0x4ac21251u, 0x958424a2u, 0xf0794f05u,
          0x3b83984bu),
    TABLE(0x01c26a37u, 0x0384d46eu, 0x0709a8dcu, 0x0e1351b8u, 0x1c26a370u, 0x384d46e0u, 0x709a8dc0u,
          0xe1351b80u),
    TABLE(0xb8bc6765u, 0xaa09c88bu, 0x8f629757u, 0xc5b428efu, 0x5019579fu, 0xa032af3eu, 0x9b14583du,
          0xed59b63bu),
    TABLE(0x3d6029b0u, 0x7ac05360u, 0xf580a6c0u, 0x30704bc1u, 0x60e09782u, 0xc1c12f04u, 0x58f35849u,
          0xb1e6b092u),
    TABLE(0xcb5cd3a5u, 0x4dc8a10bu, 0x9b914216u, 0xec53826du, 0x03d6029bu, 0x07ac0536u, 0x0f580a6cu,
          0x1eb014d8u),
    TABLE(0xa6770bb4u, 0x979f1129u, 0xf44f2413u, 0x33ef4e67u, 0x67de9cceu, 0xcfbd399cu, 0x440b7579u,
          0x8816eaf2u),
    TABLE(0xccaa009eu, 0x4225077du, 0x844a0efau, 0xd3e51bb5u, 0x7cbb312bu, 0xf9766256u, 0x299dc2edu,
          0x533b85dau),
};

static const uint64_t table64[256] = TABLE(
    0xb32e4cbe03a75f6full, 0xf4843657a840a05bull, 0x7bd0c384ff8f5e33ull, 0xf7a18709ff1ebc66ull,
    0x7d9ba13851336649ull, 0xfb374270a266cc92ull, 0x64b62bcaebc387a1ull, 0xc96c5795d7870f42ull);

uint32_t crc32(uint32_t crc, const void *data, size_t n)
{
    const uint8_t *p = data;

    crc = ~crc;
    for (; n >= 8; n -= 8, p += 8) {
        uint64_t w;

        memcpy(&w, p, 8);
        w ^= crc;
        crc = table32[7][w & 255] ^ table32[6][w >> 8 & 255] ^ table32[5][w >> 16 & 255] ^
              table32[4][w >> 24 & 255] ^ table32[3][w >> 32 & 255] ^ table32[2][w >> 40 & 255] ^
              table32[1][w >> 48 & 255] ^ table32[0][w >> 56];
    }
    while (n--)
        crc = table32[0][(crc ^ *p++) & 255] ^ crc >> 8;
    return ~crc;
}

uint64_t crc64(uint64_t crc, const void *data, size_t n)
{
    const uint8_t *p = data;

    crc = ~crc;
    while (n--)
        crc = table64[(crc ^ *p++) & 255] ^ crc >> 8;
    return ~crc;
}

#define XXH_PRIME1 0x9e3779b185ebca87ull
#define XXH_PRIME2 0xc2b2ae3d27d4eb4full
#define XXH_PRIME3 0x165667b19e3779f9ull
#define XXH_PRIME4 0x85ebca77c2b2ae63ull
#define XXH_PRIME5 0x27d4eb2f165667c5ull

static uint64_t rotate_left(uint64_t x, unsigned int n)
{
    return x << n | x >> (64 - n);
}

static uint64_t load64(const uint8_t *p)
{
    uint64_t v;

    memcpy(&v, p, 8);
    return v;
}

static uint64_t xxh_round(uint64_t acc, uint64_t lane)
{
    return rotate_left(acc + lane * XXH_PRIME2, 31) * XXH_PRIME1;
}

static uint64_t xxh_merge(uint64_t acc, uint64_t lane)
{
    return (acc ^ xxh_round(0, lane)) * XXH_PRIME1 + XXH_PRIME4;
}

uint64_t xxh64(const void *data, size_t n)
{
    const uint8_t *p = data, *end = p + n;
    uint64_t acc = XXH_PRIME5;

    if (n >= 32) {
        uint64_t a = XXH_PRIME1 + XXH_PRIME2, b = XXH_PRIME2, c = 0, d = -XXH_PRIME1;

        for (; end - p >= 32; p += 32) {
            a = xxh_round(a, load64(p));
            b = xxh_round(b, load64(p + 8));
            c = xxh_round(c, load64(p + 16));
            d = xxh_round(d, load64(p + 24));
        }
        acc = rotate_left(a, 1) + rotate_left(b, 7) + rotate_left(c, 12) + rotate_left(d, 18);
        acc = xxh_merge(xxh_merge(xxh_merge(xxh_merge(acc, a), b), c), d);
    }
    acc += n;
    for (; end - p >= 8; p += 8)
        acc = rotate_left(acc ^ xxh_round(0, load64(p)), 27) * XXH_PRIME1 + XXH_PRIME4;
    if (end - p >= 4) {
        uint32_t w;

        memcpy(&w, p, 4);
        acc = rotate_left(acc ^ w * XXH_PRIME1, 23) * XXH_PRIME2 + XXH_PRIME3;
        p += 4;
    }
    while (p < end)
        acc = rotate_left(acc ^ *p++ * XXH_PRIME5, 11) * XXH_PRIME1;
    acc = (acc ^ acc >> 33) * XXH_PRIME2;
    acc = (acc ^ acc >> 29) * XXH_PRIME3;
    return acc ^ acc >> 32;
}
