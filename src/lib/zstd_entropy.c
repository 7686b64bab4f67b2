/* SPDX-License-Identifier: MIT */
/* The codes of Zstandard; see lib/zstd_entropy.h. */
#include "lib/zstd_entropy.h"

#define FSE_LOG_MIN   5
#define FSE_LOG_MAX   9
#define FSE_SYMBOLS   53
#define WEIGHT_LOG    6 /* largest accuracy of the table of weights */
#define WEIGHT_MAX    ZSTD_HUFFMAN_BITS
#define DIRECT_HEADER 128 /* headers from here on: weights of 4 bits each */

/* The position of the highest bit; x is not 0. */
static unsigned int log2_floor(uint32_t x)
{
    return 31 - (unsigned int)__builtin_clz(x);
}

bool rbits_open(struct rbits *b, const uint8_t *start, const uint8_t *end)
{
    size_t n = (size_t)(end - start);

    if (n == 0 || end[-1] == 0)
        return false;
    *b = (struct rbits){.start = start, .p = start};
    /* The highest bit of the last byte is the end mark. */
    b->used = 8 - log2_floor(end[-1]);
    if (n >= 8) {
        b->p = end - 8;
        b->buf = load_le64(b->p);
        return true;
    }
    for (size_t i = 0; i < n; i++)
        b->buf |= (uint64_t)start[i] << (8 * i);
    b->used += 8 * (unsigned int)(8 - n);
    return true;
}

bool zstd_fse_build(struct fse_cell *table, unsigned int log, const int16_t *probability,
                    unsigned int count)
{
    const unsigned int size = 1u << log, step = (size >> 1) + (size >> 3) + 3;
    unsigned int high = size, pos = 0, sum = 0;
    uint16_t next[FSE_SYMBOLS];

    for (unsigned int s = 0; s < count; s++) {
        next[s] = (uint16_t)(probability[s] < 0 ? 1 : probability[s]);
        sum += next[s];
    }
    if (sum != size)
        return false;
    for (unsigned int s = 0; s < count; s++)
        if (probability[s] < 0)
            table[--high].symbol = (uint8_t)s;
    for (unsigned int s = 0; s < count; s++) {
        for (int i = 0; i < probability[s]; i++) {
            table[pos].symbol = (uint8_t)s;
            do
                pos = (pos + step) & (size - 1);
            while (pos >= high && high);
        }
    }
    for (unsigned int i = 0; i < size; i++) {
        unsigned int x = next[table[i].symbol]++;

        table[i].bits = (uint8_t)(log - log2_floor(x));
        table[i].base = (uint16_t)((x << table[i].bits) - size);
    }
    return true;
}

/* Bits read forwards, lowest first; zeros behind the end. */
struct forward_bits {
    const uint8_t *in, *end;
    size_t pos;
};

/* The next n <= 16 bits, without taking them. */
static unsigned int forward_peek(const struct forward_bits *b, unsigned int n)
{
    size_t at = b->pos / 8, left = (size_t)(b->end - b->in);
    uint32_t v = 0;

    for (size_t i = 0; i < 3 && at + i < left; i++)
        v |= (uint32_t)b->in[at + i] << (8 * i);
    return v >> (b->pos % 8) & ((1u << n) - 1);
}

static unsigned int forward_take(struct forward_bits *b, unsigned int n)
{
    unsigned int v = forward_peek(b, n);

    b->pos += n;
    return v;
}

/*
 * A value from 0 to max. There are fewer values than numbers of the bits needed, so the lowest
 * values are coded in one bit less.
 */
static unsigned int forward_take_upto(struct forward_bits *b, unsigned int max)
{
    unsigned int bits = log2_floor(max) + 1;
    unsigned int v = forward_peek(b, bits), spare = (1u << bits) - 1 - max;
    unsigned int low = v & ((1u << (bits - 1)) - 1);

    if (low < spare) {
        b->pos += bits - 1;
        return low;
    }
    b->pos += bits;
    return v == low ? v : v - spare;
}

bool zstd_fse_read(struct fse_cell *table, uint8_t *log, unsigned int max_log,
                   unsigned int max_count, const uint8_t **in, const uint8_t *end)
{
    struct forward_bits b = {.in = *in, .end = end};
    int16_t probability[FSE_SYMBOLS] = {0};
    unsigned int count = 0, left;

    *log = (uint8_t)(forward_take(&b, 4) + FSE_LOG_MIN);
    if (*log > max_log)
        return false;
    for (left = 1u << *log; left; count++) {
        int p;

        if (count >= max_count)
            return false;
        p = (int)forward_take_upto(&b, left + 1) - 1;
        probability[count] = (int16_t)p;
        left -= p < 0 ? 1 : (unsigned int)p;
        if (p == 0) {
            unsigned int zeros;

            do {
                zeros = forward_take(&b, 2);
                count += zeros;
                if (count >= max_count)
                    return false;
            } while (zeros == 3);
        }
    }
    if ((b.pos + 7) / 8 > (size_t)(end - *in))
        return false;
    *in += (b.pos + 7) / 8;
    return zstd_fse_build(table, *log, probability, count);
}

/*
 * Weights coded by two states that take turns, until the bits run out (4.2.1.2). Returns their
 * number, 0 if they are bad.
 */
static unsigned int read_weights_fse(uint8_t weight[256], const uint8_t *in, const uint8_t *end)
{
    struct fse_cell table[1 << WEIGHT_LOG];
    unsigned int state[2], n = 0;
    struct rbits b;
    uint8_t log;

    if (!zstd_fse_read(table, &log, WEIGHT_LOG, WEIGHT_MAX + 1, &in, end) ||
        !rbits_open(&b, in, end))
        return 0;
    state[0] = (unsigned int)rbits_take(&b, log);
    state[1] = (unsigned int)rbits_take(&b, log);
    rbits_fill(&b);
    if (rbits_overrun(&b))
        return 0;
    for (;; n++) {
        const struct fse_cell *c = &table[state[n & 1]];

        if (n >= 254)
            return 0;
        weight[n] = c->symbol;
        state[n & 1] = c->base + (unsigned int)rbits_take(&b, c->bits);
        if (rbits_overrun(&b))
            break;
        rbits_fill(&b);
    }
    weight[n + 1] = table[state[~n & 1]].symbol;
    return n + 2;
}

static unsigned int read_weights(uint8_t weight[256], const uint8_t **in, const uint8_t *end)
{
    unsigned int header, bytes, n;

    if (*in == end)
        return 0;
    header = *(*in)++;
    n = header >= DIRECT_HEADER ? header - DIRECT_HEADER + 1 : 0;
    bytes = n ? (n + 1) / 2 : header;
    if (bytes > (size_t)(end - *in))
        return 0;
    if (!n)
        n = read_weights_fse(weight, *in, *in + bytes);
    else
        for (unsigned int i = 0; i < n; i++)
            weight[i] = i & 1 ? (*in)[i / 2] & 15 : (*in)[i / 2] >> 4;
    *in += bytes;
    return n;
}

bool zstd_huffman_read(struct zstd_huffman *h, const uint8_t **in, const uint8_t *end)
{
    uint8_t weight[256];
    unsigned int n = read_weights(weight, in, end), sum = 0, rest, at = 0;

    for (unsigned int i = 0; i < n; i++) {
        if (weight[i] > WEIGHT_MAX)
            return false;
        sum += weight[i] ? 1u << (weight[i] - 1) : 0;
    }
    if (!n || !sum)
        return false;
    /* The last weight is not written: it makes the sum a power of two (4.2.1.1). */
    h->bits = log2_floor(sum) + 1;
    rest = (1u << h->bits) - sum;
    if (h->bits > ZSTD_HUFFMAN_BITS || (rest & (rest - 1)))
        return false;
    weight[n++] = (uint8_t)(log2_floor(rest) + 1);
    /* The longest codes come first, and among codes of one length the lowest symbols. */
    for (unsigned int w = 1; w <= h->bits; w++) {
        for (unsigned int i = 0; i < n; i++) {
            if (weight[i] != w)
                continue;
            for (unsigned int k = 0; k < 1u << (w - 1); k++, at++) {
                h->cell[at].symbol = (uint8_t)i;
                h->cell[at].bits = (uint8_t)(h->bits + 1 - w);
            }
        }
    }
    return true;
}

static always_inline uint8_t take_symbol(const struct zstd_huffman *h, struct rbits *b,
                                         unsigned int bits)
{
    uint64_t i = rbits_peek(b, bits);

    b->used += h->cell[i].bits;
    return h->cell[i].symbol;
}

static bool decode_stream(const struct zstd_huffman *h, const uint8_t *in, const uint8_t *end,
                          uint8_t *to, size_t n)
{
    const unsigned int bits = h->bits;
    uint8_t *to_end = to + n;
    struct rbits b;

    if (!rbits_open(&b, in, end))
        return false;
    while (to_end - to >= 5 && !rbits_overrun(&b)) {
        rbits_fill(&b);
        to[0] = take_symbol(h, &b, bits);
        to[1] = take_symbol(h, &b, bits);
        to[2] = take_symbol(h, &b, bits);
        to[3] = take_symbol(h, &b, bits);
        to[4] = take_symbol(h, &b, bits);
        to += 5;
    }
    rbits_fill(&b);
    while (to < to_end && !rbits_overrun(&b))
        *to++ = take_symbol(h, &b, bits);
    rbits_fill(&b);
    return rbits_done(&b);
}

bool zstd_huffman_decode(const struct zstd_huffman *h, const uint8_t *in, const uint8_t *end,
                         uint8_t *to, size_t n, unsigned int streams)
{
    const uint8_t *jump = in;
    size_t part = (n + 3) / 4;

    if (streams == 1)
        return decode_stream(h, in, end, to, n);
    if (end - in < 6 || n < 3 * part)
        return false;
    in += 6;
    for (unsigned int i = 0; i < 3; i++) {
        size_t len = load_le16(jump + 2 * i);

        if (len > (size_t)(end - in) || !decode_stream(h, in, in + len, to, part))
            return false;
        in += len;
        to += part;
    }
    return decode_stream(h, in, end, to, n - 3 * part);
}
