/* SPDX-License-Identifier: MIT */
/*
 * Zstandard frames, after RFC 8878; dictionaries are not supported. This file has the frames, the
 * blocks and the sequences; lib/zstd_entropy.c has the codes.
 *
 * The literals of a block are decoded to the very end of the output buffer, and move forward from
 * there as the sequences use them. What is written never reaches literals not yet used, because
 * every sequence is checked to leave room for them.
 */
#include "lib/crc.h"
#include "lib/zstd_entropy.h"

#define FRAME_MAGIC    0xfd2fb528u
#define SKIP_MAGIC     0x184d2a50u /* to 0x184d2a5f */
#define BLOCK_MAX      (128u << 10)
#define LITERAL_CODES  36
#define OFFSET_CODES   32
#define MATCH_CODES    53
#define LITERAL_LOG    9 /* largest accuracy of the three tables */
#define OFFSET_LOG     8
#define MATCH_LOG      9
#define DEFAULT_LIT    6
#define DEFAULT_OFFSET 5
#define DEFAULT_MATCH  6

/* What lasts from block to block of a frame. */
struct zstd {
    struct fse_cell literal[1 << LITERAL_LOG], offset[1 << OFFSET_LOG], match[1 << MATCH_LOG];
    uint8_t literal_log, offset_log, match_log; /* accuracy */
    bool has_tables, has_huffman;               /* something to repeat */
    uint64_t rep[3];
    uint8_t *frame; /* start of the frame's output */
    struct zstd_huffman huffman;
};

struct literals {
    const uint8_t *p;
    size_t n;
};

static struct zstd init_data scratch;

/* 3.1.1.3.2.1.1: lengths from their codes. */
static const uint32_t literal_base[LITERAL_CODES] = {
    0,  1,  2,  3,  4,  5,  6,  7,  8,   9,   10,  11,   12,   13,   14,   15,    16,    18,
    20, 22, 24, 28, 32, 40, 48, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384, 32768, 65536};
static const uint8_t literal_extra[LITERAL_CODES] = {0, 0, 0, 0, 0, 0,  0,  0,  0,  0,  0,  0,
                                                     0, 0, 0, 0, 1, 1,  1,  1,  2,  2,  3,  3,
                                                     4, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16};
static const uint32_t match_base[MATCH_CODES] = {
    3,  4,  5,  6,  7,  8,  9,  10,  11,  12,  13,   14,   15,   16,   17,    18,    19,   20,
    21, 22, 23, 24, 25, 26, 27, 28,  29,  30,  31,   32,   33,   34,   35,    37,    39,   41,
    43, 47, 51, 59, 67, 83, 99, 131, 259, 515, 1027, 2051, 4099, 8195, 16387, 32771, 65539};
static const uint8_t match_extra[MATCH_CODES] = {
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,  0,  0,  0,  0,  0,  0, 0,
    0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 3, 3, 4, 4, 5, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16};

/* 3.1.1.3.2.2: default distributions. */
static const int16_t literal_default[LITERAL_CODES] = {4, 3, 2, 2, 2, 2, 2, 2, 2,  2,  2,  2,
                                                       2, 1, 1, 1, 2, 2, 2, 2, 2,  2,  2,  2,
                                                       2, 3, 2, 1, 1, 1, 1, 1, -1, -1, -1, -1};
static const int16_t offset_default[29] = {1, 1, 1, 1, 1, 1, 2, 2, 2, 1,  1,  1,  1,  1, 1,
                                           1, 1, 1, 1, 1, 1, 1, 1, 1, -1, -1, -1, -1, -1};
static const int16_t match_default[MATCH_CODES] = {
    1, 4, 3, 2, 2, 2, 2, 2, 2, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,  1,  1,  1,  1,  1,  1, 1,
    1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, -1, -1, -1, -1, -1, -1, -1};

/* 3.1.1.3.1.1: sizes in the header of the literals; false if the header is cut. */
static bool literals_header(struct unpack *u, unsigned int *streams, size_t *size, size_t *coded)
{
    static const uint8_t plain_bytes[4] = {1, 2, 1, 3}, coded_bytes[4] = {3, 3, 4, 5};
    unsigned int type = u->in[0] & 3, format = u->in[0] >> 2 & 3, bits;
    unsigned int bytes = type < 2 ? plain_bytes[format] : coded_bytes[format];
    uint64_t h = 0;

    if (unpack_in_left(u) < bytes)
        return false;
    for (unsigned int i = 0; i < bytes; i++)
        h |= (uint64_t)u->in[i] << (8 * i);
    u->in += bytes;
    *streams = 1;
    *coded = 0;
    if (type < 2) {
        *size = h >> (format & 1 ? 4 : 3);
        return true;
    }
    bits = bytes == 3 ? 10 : bytes == 4 ? 14 : 18;
    *size = h >> 4 & ((1u << bits) - 1);
    *coded = h >> (4 + bits);
    *streams = format ? 4 : 1;
    return true;
}

enum {
    LITERALS_RAW,
    LITERALS_RLE,
    LITERALS_CODED,
    LITERALS_TREELESS,
};

static int coded_literals(struct unpack *u, struct zstd *z, unsigned int type, unsigned int streams,
                          size_t coded, struct literals *lit)
{
    uint8_t *to = u->out_end - lit->n;
    const uint8_t *end = u->in + coded;

    if (coded > unpack_in_left(u))
        return unpack_fail(u, -EINVAL, "zstd: literals lie outside the block");
    if (type == LITERALS_CODED) {
        z->has_huffman = zstd_huffman_read(&z->huffman, &u->in, end);
        if (!z->has_huffman)
            return unpack_fail(u, -EINVAL, "zstd: bad Huffman tree");
    } else if (!z->has_huffman) {
        return unpack_fail(u, -EINVAL, "zstd: no Huffman tree to repeat");
    }
    if (!zstd_huffman_decode(&z->huffman, u->in, end, to, lit->n, streams))
        return unpack_fail(u, -EINVAL, "zstd: bad literals");
    u->in = end;
    lit->p = to;
    return 0;
}

/* 3.1.1.3.1. In the raw form they are used where they are, else from the end of the output. */
static int read_literals(struct unpack *u, struct zstd *z, struct literals *lit)
{
    unsigned int type, streams;
    size_t coded;

    if (!unpack_in_left(u))
        return unpack_fail(u, -EINVAL, "zstd: empty block");
    type = u->in[0] & 3;
    if (!literals_header(u, &streams, &lit->n, &coded) || lit->n > BLOCK_MAX)
        return unpack_fail(u, -EINVAL, "zstd: bad header of literals");
    if (lit->n > unpack_out_left(u))
        return unpack_fail(u, -ENOSPC, "zstd: output buffer too small");
    if (type >= LITERALS_CODED)
        return coded_literals(u, z, type, streams, coded, lit);
    if (unpack_in_left(u) < (type == LITERALS_RAW ? lit->n : 1))
        return unpack_fail(u, -EINVAL, "zstd: literals lie outside the block");
    if (type == LITERALS_RAW) {
        lit->p = u->in;
        u->in += lit->n;
    } else {
        lit->p = u->out_end - lit->n;
        memset(u->out_end - lit->n, *u->in++, lit->n);
    }
    return 0;
}

struct table_kind {
    const int16_t *defaults;
    unsigned int default_count, default_log, max_count, max_log;
};

/* One table by its mode (3.1.1.3.2.1). */
static bool read_table(struct unpack *u, const struct zstd *z, unsigned int mode,
                       const struct table_kind *kind, struct fse_cell *table, uint8_t *log)
{
    switch (mode) {
    case 0:
        *log = (uint8_t)kind->default_log;
        return zstd_fse_build(table, *log, kind->defaults, kind->default_count);
    case 1:
        *log = 0;
        if (!unpack_in_left(u) || *u->in >= kind->max_count)
            return false;
        table[0] = (struct fse_cell){.symbol = *u->in++};
        return true;
    case 2:
        return zstd_fse_read(table, log, kind->max_log, kind->max_count, &u->in, u->in_end);
    default:
        return z->has_tables;
    }
}

static bool read_tables(struct unpack *u, struct zstd *z, unsigned int modes)
{
    static const struct table_kind literal = {literal_default, LITERAL_CODES, DEFAULT_LIT,
                                              LITERAL_CODES, LITERAL_LOG};
    static const struct table_kind offset = {offset_default, ARRAY_SIZE(offset_default),
                                             DEFAULT_OFFSET, OFFSET_CODES, OFFSET_LOG};
    static const struct table_kind match = {match_default, MATCH_CODES, DEFAULT_MATCH, MATCH_CODES,
                                            MATCH_LOG};
    bool ok = !(modes & 3) && read_table(u, z, modes >> 6, &literal, z->literal, &z->literal_log) &&
              read_table(u, z, modes >> 4 & 3, &offset, z->offset, &z->offset_log) &&
              read_table(u, z, modes >> 2 & 3, &match, z->match, &z->match_log);

    z->has_tables = ok;
    return ok;
}

/* 3.1.1.5: the offset that a value stands for; 0 is corrupt. */
static inline uint64_t take_offset(uint64_t rep[3], uint64_t value, bool no_literals)
{
    uint64_t offset;

    if (value > 3) {
        offset = value - 3;
    } else {
        unsigned int i = (unsigned int)value - 1 + no_literals;

        if (i == 0)
            return rep[0];
        offset = i < 3 ? rep[i] : rep[0] - 1;
        if (i == 1) {
            rep[1] = rep[0];
            rep[0] = offset;
            return offset;
        }
    }
    rep[2] = rep[1];
    rep[1] = rep[0];
    rep[0] = offset;
    return offset;
}

/* Copies out the literals and then the match; all were checked but the room. */
static inline int put_sequence(struct unpack *u, struct zstd *z, struct literals *lit,
                               size_t literals, size_t match, uint64_t offset)
{
    if (literals > lit->n)
        return unpack_fail(u, -EINVAL, "zstd: sequence of more literals than there are");
    if (lit->n + match > unpack_out_left(u))
        return unpack_fail(u, -ENOSPC, "zstd: output buffer too small");
    memmove(u->out, lit->p, literals);
    u->out += literals;
    lit->p += literals;
    lit->n -= literals;
    if (offset == 0 || offset > (uint64_t)(u->out - z->frame))
        return unpack_fail(u, -EINVAL, "zstd: offset before the start");
    u->out = unpack_copy_match(u->out, offset, match, u->out_end - lit->n);
    return 0;
}

/* 3.1.1.4: the sequences' bits, from u->in to its end. */
static int run_sequences(struct unpack *u, struct zstd *z, struct literals *lit, unsigned int n)
{
    struct rbits b;
    unsigned int ls, os, ms;

    if (!rbits_open(&b, u->in, u->in_end))
        return unpack_fail(u, -EINVAL, "zstd: sequences without bits");
    ls = (unsigned int)rbits_take(&b, z->literal_log);
    os = (unsigned int)rbits_take(&b, z->offset_log);
    ms = (unsigned int)rbits_take(&b, z->match_log);
    while (n--) {
        const struct fse_cell l = z->literal[ls], o = z->offset[os], m = z->match[ms];
        uint64_t offset, literals, match;
        int rc;

        rbits_fill(&b);
        offset = (1ull << o.symbol) + rbits_take(&b, o.symbol);
        match = match_base[m.symbol] + rbits_take(&b, match_extra[m.symbol]);
        rbits_fill(&b);
        literals = literal_base[l.symbol] + rbits_take(&b, literal_extra[l.symbol]);
        if (n) {
            ls = l.base + (unsigned int)rbits_take(&b, l.bits);
            ms = m.base + (unsigned int)rbits_take(&b, m.bits);
            os = o.base + (unsigned int)rbits_take(&b, o.bits);
        }
        if (rbits_overrun(&b))
            return unpack_fail(u, -EINVAL, "zstd: input ends in the sequences");
        offset = take_offset(z->rep, offset, literals == 0);
        rc = put_sequence(u, z, lit, literals, match, offset);
        if (rc)
            return rc;
    }
    rbits_fill(&b);
    if (!rbits_done(&b))
        return unpack_fail(u, -EINVAL, "zstd: bits behind the sequences");
    return 0;
}

/* A compressed block: exactly the input of u. */
static int coded_block(struct unpack *u, struct zstd *z)
{
    struct literals lit;
    unsigned int n;
    int rc = read_literals(u, z, &lit);

    if (rc)
        return rc;
    if (!unpack_in_left(u))
        return unpack_fail(u, -EINVAL, "zstd: block without sequences");
    n = *u->in++;
    if (n >= 128) {
        size_t more = n == 255 ? 2 : 1;

        if (unpack_in_left(u) < more)
            return unpack_fail(u, -EINVAL, "zstd: block without sequences");
        n = n == 255 ? load_le16(u->in) + 0x7f00 : ((n - 128) << 8) + u->in[0];
        u->in += more;
    }
    if (n) {
        if (!unpack_in_left(u))
            return unpack_fail(u, -EINVAL, "zstd: block without sequences");
        if (!read_tables(u, z, *u->in++))
            return unpack_fail(u, -EINVAL, "zstd: bad table of sequences");
        rc = run_sequences(u, z, &lit, n);
        if (rc)
            return rc;
    } else if (unpack_in_left(u)) {
        return unpack_fail(u, -EINVAL, "zstd: bytes behind the literals");
    }
    memmove(u->out, lit.p, lit.n);
    u->out += lit.n;
    return 0;
}

enum {
    BLOCK_RAW,
    BLOCK_RLE,
    BLOCK_CODED,
    BLOCK_RESERVED,
};

/* 3.1.1.2. */
static int read_block(struct unpack *u, struct zstd *z, bool *last)
{
    struct unpack block = *u;
    unsigned int type, size, taken;
    int rc;

    if (unpack_in_left(u) < 3)
        return unpack_fail(u, -EINVAL, "zstd: input ends in a block header");
    size = load_le16(u->in) | (uint32_t)u->in[2] << 16;
    *last = size & 1;
    type = size >> 1 & 3;
    size >>= 3;
    u->in += 3;
    if (type == BLOCK_RESERVED || size > BLOCK_MAX)
        return unpack_fail(u, -EINVAL, "zstd: bad block header");
    taken = type == BLOCK_RLE ? 1 : size;
    if (taken > unpack_in_left(u))
        return unpack_fail(u, -EINVAL, "zstd: input ends in a block");
    if (type == BLOCK_CODED) {
        block.in = u->in;
        block.in_end = u->in + size;
        rc = coded_block(&block, z);
        if (rc)
            return unpack_fail(u, rc, block.why);
        if (block.out - u->out > BLOCK_MAX)
            return unpack_fail(u, -EINVAL, "zstd: block is too large");
        u->out = block.out;
    } else {
        if (size > unpack_out_left(u))
            return unpack_fail(u, -ENOSPC, "zstd: output buffer too small");
        if (type == BLOCK_RAW)
            memcpy(u->out, u->in, size);
        else
            memset(u->out, *u->in, size);
        u->out += size;
    }
    u->in += taken;
    return 0;
}

/* The frame header's descriptor (3.1.1.1.1). */
#define HAS_CHECKSUM   0x04
#define RESERVED       0x08
#define SINGLE_SEGMENT 0x20

/* 3.1.1.1: from the descriptor on; gives the size of the content if it is there. */
static int frame_header(struct unpack *u, uint8_t *descriptor, bool *has_size, uint64_t *size)
{
    static const uint8_t id_bytes[4] = {0, 1, 2, 4}, size_bytes[4] = {0, 2, 4, 8};
    unsigned int window, id, content;
    uint32_t dictionary = 0;

    if (!unpack_in_left(u))
        return unpack_fail(u, -EINVAL, "zstd: input ends in a frame header");
    *descriptor = *u->in++;
    window = !(*descriptor & SINGLE_SEGMENT);
    id = id_bytes[*descriptor & 3];
    content = *descriptor >> 6 || window ? size_bytes[*descriptor >> 6] : 1;
    if (*descriptor & RESERVED)
        return unpack_fail(u, -EOPNOTSUPP, "zstd: unknown frame flags");
    if (unpack_in_left(u) < window + id + content)
        return unpack_fail(u, -EINVAL, "zstd: input ends in a frame header");
    u->in += window;
    for (unsigned int i = 0; i < id; i++)
        dictionary |= (uint32_t)u->in[i] << (8 * i);
    if (dictionary)
        return unpack_fail(u, -EOPNOTSUPP, "zstd: needs a dictionary");
    u->in += id;
    *has_size = content;
    *size = content == 2 ? 256 : 0;
    for (unsigned int i = 0; i < content; i++)
        *size += (uint64_t)u->in[i] << (8 * i);
    u->in += content;
    return 0;
}

/* A frame behind its magic. */
static int read_frame(struct unpack *u)
{
    struct zstd *z = &scratch;
    uint8_t descriptor;
    bool has_size, last;
    uint64_t size;
    int rc = frame_header(u, &descriptor, &has_size, &size);

    if (rc)
        return rc;
    if (has_size && size > unpack_out_left(u))
        return unpack_fail(u, -ENOSPC, "zstd: output buffer too small");
    z->has_tables = z->has_huffman = false;
    z->rep[0] = 1;
    z->rep[1] = 4;
    z->rep[2] = 8;
    z->frame = u->out;
    do {
        rc = read_block(u, z, &last);
        if (rc)
            return rc;
    } while (!last);
    if (has_size && size != (uint64_t)(u->out - z->frame))
        return unpack_fail(u, -EINVAL, "zstd: frame is not of the size its header gives");
    if (descriptor & HAS_CHECKSUM) {
        if (unpack_in_left(u) < 4)
            return unpack_fail(u, -EINVAL, "zstd: input ends without a checksum");
        if ((uint32_t)xxh64(z->frame, (size_t)(u->out - z->frame)) != load_le32(u->in))
            return unpack_fail(u, -EINVAL, "zstd: checksum mismatch");
        u->in += 4;
    }
    return 0;
}

int zstd_unpack(struct unpack *u)
{
    while (unpack_in_left(u) >= 4) {
        uint32_t magic = load_le32(u->in);
        int rc;

        u->in += 4;
        if (magic == FRAME_MAGIC) {
            rc = read_frame(u);
            if (rc)
                return rc;
        } else if ((magic & ~15u) == SKIP_MAGIC) {
            if (unpack_in_left(u) < 4 || load_le32(u->in) > unpack_in_left(u) - 4)
                return unpack_fail(u, -EINVAL, "zstd: input ends in a skippable frame");
            u->in += 4 + (size_t)load_le32(u->in);
        } else {
            return unpack_fail(u, -EINVAL, "zstd: no frame");
        }
    }
    return u->in == u->in_end ? 0 : unpack_fail(u, -EINVAL, "zstd: bytes behind the last frame");
}
