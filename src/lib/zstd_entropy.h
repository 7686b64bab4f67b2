/* SPDX-License-Identifier: MIT */
/*
 * The codes of Zstandard (RFC 8878, section 4): bit streams that are read backwards, finite state
 * entropy tables and Huffman trees.
 */
#pragma once

#include "lib/decompress_private.h"

/*
 * A bit stream read from its last byte to its first. buf holds the 8 bytes from p on, of which the
 * `used` highest bits were taken. A fill makes at least 57 bits ready, as far as the stream has
 * them; taking more than it has makes `used` exceed 64, and gives rubbish.
 */
struct rbits {
    const uint8_t *start, *p;
    uint64_t buf;
    unsigned int used;
};

/* Opens the stream [start, end); false if it is empty or has no end mark. */
bool rbits_open(struct rbits *b, const uint8_t *start, const uint8_t *end);

static always_inline void rbits_fill(struct rbits *b)
{
    size_t bytes = b->used >> 3;

    if (unlikely(bytes > (size_t)(b->p - b->start)))
        bytes = (size_t)(b->p - b->start);
    if (bytes) {
        b->p -= bytes;
        b->used -= 8 * (unsigned int)bytes;
        b->buf = load_le64(b->p);
    }
}

/* The next n bits, 1 to 57, without taking them. */
static always_inline uint64_t rbits_peek(const struct rbits *b, unsigned int n)
{
    return b->buf << (b->used & 63) >> (64 - n);
}

/* Takes n bits, 0 to 57. */
static always_inline uint64_t rbits_take(struct rbits *b, unsigned int n)
{
    uint64_t v = b->buf << (b->used & 63) >> 1 >> (63 - n);

    b->used += n;
    return v;
}

static always_inline bool rbits_overrun(const struct rbits *b)
{
    return b->used > 64;
}

/* Was exactly the whole stream taken? */
static always_inline bool rbits_done(const struct rbits *b)
{
    return b->p == b->start && b->used == 64;
}

/* One state: what it stands for, and the next state = base + the next `bits` bits. */
struct fse_cell {
    uint16_t base;
    uint8_t symbol, bits;
};

/*
 * Builds table[1 << log] from the probabilities of `count` symbols (4.1.1; -1 is "less than 1").
 * False if they do not add up to 1 << log.
 */
bool must_check zstd_fse_build(struct fse_cell *table, unsigned int log, const int16_t *probability,
                               unsigned int count);

/*
 * Reads the probabilities of at most max_count <= 53 symbols at *in, with an accuracy of at most
 * max_log, builds the table, and moves *in behind. False if they are bad or run to the end.
 */
bool must_check zstd_fse_read(struct fse_cell *table, uint8_t *log, unsigned int max_log,
                              unsigned int max_count, const uint8_t **in, const uint8_t *end);

#define ZSTD_HUFFMAN_BITS 11 /* 4.2.1: longest code */

struct zstd_huffman {
    unsigned int bits; /* of the longest code: the table has 1 << bits cells */
    struct {
        uint8_t symbol, bits;
    } cell[1 << ZSTD_HUFFMAN_BITS];
};

/* Reads the description of a tree (4.2.1) at *in and moves *in behind it. False if it is bad. */
bool must_check zstd_huffman_read(struct zstd_huffman *h, const uint8_t **in, const uint8_t *end);

/*
 * Decodes exactly [in, end), one stream or four behind their jump table (3.1.1.3.1.6), into n
 * bytes. False if the streams are not of that content.
 */
bool must_check zstd_huffman_decode(const struct zstd_huffman *h, const uint8_t *in,
                                    const uint8_t *end, uint8_t *to, size_t n,
                                    unsigned int streams);
