/* SPDX-License-Identifier: MIT */
/*
 * gzip members (RFC 1952) of DEFLATE data (RFC 1951).
 *
 * Bits come from a 64-bit buffer that is filled once a symbol, which takes at most 48. Behind the
 * end of the input it is filled with zeros and `missing` counts those bytes; taking one of them is
 * an error, noticed at the next fill.
 */
#include "lib/crc.h"
#include "lib/decompress_private.h"

#define MAX_BITS    15 /* RFC 1951 3.2.7: longest code */
#define FAST_BITS   10 /* codes up to this length are found in one look */
#define LITERALS    288
#define DISTANCES   32
#define END_SYMBOL  256
#define USED_LENGTH 286 /* symbols from here on never occur */
#define USED_DIST   30

struct bits {
    const uint8_t *in, *end;
    uint64_t buf;
    unsigned int n; /* valid bits in buf */
    unsigned int missing;
    bool overrun;
};

/*
 * A canonical code. fast[next FAST_BITS bits] is symbol << 4 | length, 0 for a longer code. Those
 * are found by their number of codes of each length and the symbols in order of their codes.
 */
struct huffman {
    uint16_t fast[1 << FAST_BITS];
    uint16_t count[MAX_BITS + 1];
    uint16_t symbol[LITERALS];
};

struct inflate {
    struct bits bits;
    struct huffman literal, distance;
    uint8_t lengths[LITERALS + DISTANCES];
};

static struct inflate init_data scratch;

static void bits_fill(struct bits *b)
{
    if (likely(b->end - b->in >= 8)) {
        b->buf |= load_le64(b->in) << b->n;
        b->in += (63 - b->n) >> 3;
        b->n |= 56;
        return;
    }
    if (b->missing * 8 > b->n)
        b->overrun = true;
    for (; b->n <= 56; b->n += 8) {
        if (b->in < b->end)
            b->buf |= (uint64_t)*b->in++ << b->n;
        else
            b->missing++;
    }
}

/* Takes n <= 32 bits that a fill has provided. */
static uint32_t bits_take(struct bits *b, unsigned int n)
{
    uint32_t v = (uint32_t)(b->buf & ((1ull << n) - 1));

    b->buf >>= n;
    b->n -= n;
    return v;
}

/* Goes to the next byte boundary and gives back the whole bytes. False if the input ran out. */
static bool bits_to_bytes(struct bits *b)
{
    if (b->missing * 8 > b->n)
        return false;
    b->in -= b->n / 8 - b->missing;
    b->buf = 0;
    b->n = b->missing = 0;
    return true;
}

static unsigned int reverse(unsigned int code, unsigned int len)
{
    unsigned int r = 0;

    for (; len; len--, code >>= 1)
        r = r << 1 | (code & 1);
    return r;
}

/*
 * Makes a code from the lengths of its n symbols (RFC 1951 3.2.2). False if there are too many
 * codes, or too few: only a code of at most one symbol, of one bit, may be incomplete.
 */
static bool huffman_build(struct huffman *h, const uint8_t *lengths, unsigned int n)
{
    uint16_t next_code[MAX_BITS + 1], next_index[MAX_BITS + 1];
    unsigned int code = 0, index = 0;
    int left = 1;

    memset(h->count, 0, sizeof(h->count));
    memset(h->fast, 0, sizeof(h->fast));
    for (unsigned int i = 0; i < n; i++)
        h->count[lengths[i]]++;
    h->count[0] = 0;
    for (unsigned int len = 1; len <= MAX_BITS; len++) {
        left = left * 2 - h->count[len];
        if (left < 0)
            return false;
        code = (code + h->count[len - 1]) << 1;
        next_code[len] = (uint16_t)code;
        next_index[len] = (uint16_t)index;
        index += h->count[len];
    }
    if (left > 0 && (index > 1 || h->count[1] != index))
        return false;
    for (unsigned int i = 0; i < n; i++) {
        unsigned int len = lengths[i];

        if (!len)
            continue;
        h->symbol[next_index[len]++] = (uint16_t)i;
        code = next_code[len]++;
        if (len > FAST_BITS)
            continue;
        for (unsigned int k = reverse(code, len); k < 1u << FAST_BITS; k += 1u << len)
            h->fast[k] = (uint16_t)(i << 4 | len);
    }
    return true;
}

/* The next symbol, or LITERALS if the bits are no code. */
static inline unsigned int huffman_take(const struct huffman *h, struct bits *b)
{
    unsigned int e = h->fast[b->buf & ((1u << FAST_BITS) - 1)];
    unsigned int code = 0, first = 0, index = 0;

    if (likely(e)) {
        bits_take(b, e & 15);
        return e >> 4;
    }
    for (unsigned int len = 1; len <= MAX_BITS; len++) {
        unsigned int count = h->count[len];

        code = code << 1 | (b->buf >> (len - 1) & 1);
        first <<= 1;
        if (code - first < count) {
            bits_take(b, len);
            return h->symbol[index + code - first];
        }
        index += count;
        first += count;
    }
    return LITERALS;
}

/* RFC 1951 3.2.5. */
static const uint16_t length_base[] = {3,  4,  5,  6,   7,   8,   9,   10,  11, 13,
                                       15, 17, 19, 23,  27,  31,  35,  43,  51, 59,
                                       67, 83, 99, 115, 131, 163, 195, 227, 258};
static const uint8_t length_extra[] = {0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2,
                                       2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0};

static inline unsigned int take_length(struct bits *b, unsigned int symbol)
{
    symbol -= END_SYMBOL + 1;
    return length_base[symbol] + bits_take(b, length_extra[symbol]);
}

/* Two codes for each number of extra bits from 1 on. */
static inline unsigned int take_distance(struct bits *b, unsigned int symbol)
{
    unsigned int extra;

    if (symbol < 4)
        return symbol + 1;
    extra = symbol / 2 - 1;
    return ((2 + symbol % 2) << extra) + 1 + bits_take(b, extra);
}

/* The symbols of one block, with the codes in `in`. */
static int inflate_symbols(struct unpack *u, struct inflate *in)
{
    struct bits b = in->bits;
    uint8_t *out = u->out;
    int rc = 0;

    for (;;) {
        unsigned int symbol, len, dist;

        bits_fill(&b);
        symbol = huffman_take(&in->literal, &b);
        if (symbol < END_SYMBOL) {
            if (out == u->out_end) {
                rc = unpack_fail(u, -ENOSPC, "gzip: output buffer too small");
                break;
            }
            *out++ = (uint8_t)symbol;
            if (unlikely(b.overrun))
                break;
            continue;
        }
        if (symbol == END_SYMBOL || b.overrun)
            break;
        if (symbol >= USED_LENGTH) {
            rc = unpack_fail(u, -EINVAL, "gzip: bad literal or length code");
            break;
        }
        len = take_length(&b, symbol);
        symbol = huffman_take(&in->distance, &b);
        if (symbol >= USED_DIST) {
            rc = unpack_fail(u, -EINVAL, "gzip: bad distance code");
            break;
        }
        dist = take_distance(&b, symbol);
        if (dist > (size_t)(out - u->start)) {
            rc = unpack_fail(u, -EINVAL, "gzip: distance before the start");
            break;
        }
        if (len > (size_t)(u->out_end - out)) {
            rc = unpack_fail(u, -ENOSPC, "gzip: output buffer too small");
            break;
        }
        out = unpack_copy_match(out, dist, len, u->out_end);
    }
    in->bits = b;
    u->out = out;
    if (!rc && b.missing * 8 > b.n)
        rc = unpack_fail(u, -EINVAL, "gzip: input ends in a block");
    return rc;
}

/* RFC 1951 3.2.4. */
static int stored_block(struct unpack *u, struct bits *b)
{
    size_t n;

    if (!bits_to_bytes(b) || b->end - b->in < 4)
        return unpack_fail(u, -EINVAL, "gzip: input ends in a stored block");
    n = load_le16(b->in);
    if ((n ^ load_le16(b->in + 2)) != 0xffff)
        return unpack_fail(u, -EINVAL, "gzip: bad length of a stored block");
    b->in += 4;
    if (n > (size_t)(b->end - b->in))
        return unpack_fail(u, -EINVAL, "gzip: input ends in a stored block");
    if (n > unpack_out_left(u))
        return unpack_fail(u, -ENOSPC, "gzip: output buffer too small");
    memcpy(u->out, b->in, n);
    b->in += n;
    u->out += n;
    return 0;
}

/* RFC 1951 3.2.6. */
static void fixed_codes(struct inflate *in)
{
    memset(in->lengths, 8, 144);
    memset(in->lengths + 144, 9, 256 - 144);
    memset(in->lengths + 256, 7, 280 - 256);
    memset(in->lengths + 280, 8, LITERALS - 280);
    (void)huffman_build(&in->literal, in->lengths, LITERALS);
    memset(in->lengths, 5, DISTANCES);
    (void)huffman_build(&in->distance, in->lengths, DISTANCES);
}

/* Reads the n lengths of both codes, which are themselves coded in in->literal. */
static bool read_lengths(struct inflate *in, unsigned int n)
{
    unsigned int i = 0;

    while (i < n) {
        unsigned int symbol, times;
        uint8_t value = 0;

        bits_fill(&in->bits);
        symbol = huffman_take(&in->literal, &in->bits);
        if (symbol < 16) {
            in->lengths[i++] = (uint8_t)symbol;
            continue;
        }
        if (symbol == 16 && i > 0) {
            value = in->lengths[i - 1];
            times = 3 + bits_take(&in->bits, 2);
        } else if (symbol == 17) {
            times = 3 + bits_take(&in->bits, 3);
        } else if (symbol == 18) {
            times = 11 + bits_take(&in->bits, 7);
        } else {
            return false;
        }
        if (times > n - i)
            return false;
        memset(in->lengths + i, value, times);
        i += times;
    }
    return true;
}

/* RFC 1951 3.2.7. */
static bool dynamic_codes(struct inflate *in)
{
    static const uint8_t order[19] = {16, 17, 18, 0, 8,  7, 9,  6, 10, 5,
                                      11, 4,  12, 3, 13, 2, 14, 1, 15};
    unsigned int literals, distances, n;

    bits_fill(&in->bits);
    literals = 257 + bits_take(&in->bits, 5);
    distances = 1 + bits_take(&in->bits, 5);
    n = 4 + bits_take(&in->bits, 4);
    memset(in->lengths, 0, ARRAY_SIZE(order));
    for (unsigned int i = 0; i < n; i++) {
        bits_fill(&in->bits);
        in->lengths[order[i]] = (uint8_t)bits_take(&in->bits, 3);
    }
    return literals <= USED_LENGTH && distances <= USED_DIST &&
           huffman_build(&in->literal, in->lengths, ARRAY_SIZE(order)) &&
           read_lengths(in, literals + distances) && in->lengths[END_SYMBOL] &&
           huffman_build(&in->literal, in->lengths, literals) &&
           huffman_build(&in->distance, in->lengths + literals, distances);
}

/* DEFLATE data from u->in on; moves behind it. */
static int inflate(struct unpack *u)
{
    struct inflate *in = &scratch;
    bool last;

    in->bits = (struct bits){.in = u->in, .end = u->in_end};
    do {
        unsigned int type;
        int rc = 0;

        bits_fill(&in->bits);
        last = bits_take(&in->bits, 1);
        type = bits_take(&in->bits, 2);
        if (type == 0) {
            rc = stored_block(u, &in->bits);
        } else if (type == 1) {
            fixed_codes(in);
            rc = inflate_symbols(u, in);
        } else if (type == 2) {
            if (!dynamic_codes(in))
                return unpack_fail(u, -EINVAL, "gzip: bad description of codes");
            rc = inflate_symbols(u, in);
        } else {
            return unpack_fail(u, -EINVAL, "gzip: unknown type of block");
        }
        if (rc)
            return rc;
    } while (!last);
    if (!bits_to_bytes(&in->bits))
        return unpack_fail(u, -EINVAL, "gzip: input ends in a block");
    u->in = in->bits.in;
    return 0;
}

/* RFC 1952 2.3.1: flags. */
#define FLAG_HEADER_CRC 0x02
#define FLAG_EXTRA      0x04
#define FLAG_NAME       0x08
#define FLAG_COMMENT    0x10
#define FLAG_RESERVED   0xe0
#define HEADER_SIZE     10
#define TRAILER_SIZE    8

static bool skip(struct unpack *u, size_t n)
{
    if (n > unpack_in_left(u))
        return false;
    u->in += n;
    return true;
}

static bool skip_string(struct unpack *u)
{
    size_t n = strnlen((const char *)u->in, unpack_in_left(u));

    return skip(u, n + 1);
}

static int read_header(struct unpack *u)
{
    const uint8_t *h = u->in;
    bool whole = skip(u, HEADER_SIZE);

    if (!whole || h[0] != 0x1f || h[1] != 0x8b || h[2] != 8)
        return unpack_fail(u, -EINVAL, "gzip: no member header");
    if (h[3] & FLAG_RESERVED)
        return unpack_fail(u, -EOPNOTSUPP, "gzip: unknown flags");
    if (h[3] & FLAG_EXTRA)
        whole = unpack_in_left(u) >= 2 && skip(u, 2 + load_le16(u->in));
    if (whole && h[3] & FLAG_NAME)
        whole = skip_string(u);
    if (whole && h[3] & FLAG_COMMENT)
        whole = skip_string(u);
    if (whole && h[3] & FLAG_HEADER_CRC) {
        uint32_t crc = crc32(0, h, (size_t)(u->in - h)) & 0xffff;

        whole = skip(u, 2);
        if (whole && load_le16(u->in - 2) != crc)
            return unpack_fail(u, -EINVAL, "gzip: header CRC mismatch");
    }
    return whole ? 0 : unpack_fail(u, -EINVAL, "gzip: input ends in a header");
}

int gzip_unpack(struct unpack *u)
{
    uint8_t *first = u->start;
    int rc = 0;

    do {
        u->start = u->out; /* members do not refer to each other */
        rc = read_header(u);
        if (!rc)
            rc = inflate(u);
        if (rc)
            break;
        if (!skip(u, TRAILER_SIZE))
            rc = unpack_fail(u, -EINVAL, "gzip: input ends without a trailer");
        else if (crc32(0, u->start, (size_t)(u->out - u->start)) != load_le32(u->in - 8))
            rc = unpack_fail(u, -EINVAL, "gzip: CRC mismatch");
        else if ((uint32_t)(u->out - u->start) != load_le32(u->in - 4))
            rc = unpack_fail(u, -EINVAL, "gzip: length mismatch");
    } while (!rc && u->in < u->in_end);
    u->start = first;
    return rc;
}
