/* SPDX-License-Identifier: MIT */
/*
 * The XZ container: streams of blocks, each filtered by LZMA2 and perhaps the x86 branch filter.
 * After "The .xz File Format" 1.0.4 (tukaani.org). Headers, the index and the footer are verified
 * wholly; of the checks, CRC-32 and CRC-64 are verified and others skipped, as section 2.1.1.2
 * allows.
 */
#include "lib/crc.h"
#include "lib/decompress_private.h"

#define HEADER_SIZE    12
#define FOOTER_SIZE    12
#define CHECK_CRC32    1
#define CHECK_CRC64    4
#define FILTER_X86     0x04
#define FILTER_LZMA2   0x21
#define BLOCK_FILTERS  0x03 /* number of filters minus 1 */
#define BLOCK_RESERVED 0x3c
#define BLOCK_HAS_IN   0x40
#define BLOCK_HAS_OUT  0x80
#define LZMA2_DICT_MAX 40 /* the largest code of a dictionary size */
#define UNKNOWN_SIZE   UINT64_MAX

/* What the blocks of a stream were, to be compared with what its index says they were. */
struct tally {
    uint64_t blocks, hash, size;
};

struct block {
    uint64_t in_size, out_size; /* as the header says, or UNKNOWN_SIZE */
    bool x86;
    uint32_t x86_start; /* virtual address of the first byte */
};

/* Section 1.2: 7 bits a byte, lowest first, at most 9 bytes, no needless last byte. */
static bool read_number(const uint8_t **p, const uint8_t *end, uint64_t *out)
{
    uint64_t v = 0;

    for (unsigned int shift = 0; shift < 63 && *p < end; shift += 7) {
        uint8_t b = *(*p)++;

        v |= (uint64_t)(b & 0x7f) << shift;
        if (!(b & 0x80)) {
            *out = v;
            return b != 0 || shift == 0;
        }
    }
    return false;
}

static void tally_add(struct tally *t, uint64_t unpadded, uint64_t uncompressed)
{
    uint64_t record[2] = {unpadded, uncompressed};

    t->blocks++;
    t->hash = crc64(t->hash, record, sizeof(record));
}

/* Section 2.1.1.2: sizes of the checks by their type. */
static size_t check_size(unsigned int type)
{
    return type == 0 ? 0 : 4ul << ((type - 1) / 3);
}

/* The address operand's top byte is 0 or 0xff when the filter takes it for a branch's. */
static bool is_branch_top(uint32_t byte)
{
    return (uint8_t)(byte + 1) <= 1;
}

/* The next 0xe8 or 0xe9 at or after i and before end, else end; looks at 8 bytes at a time. */
static size_t find_branch(const uint8_t *b, size_t i, size_t end)
{
    const uint64_t ones = 0x0101010101010101ull;

    for (; i + 8 <= end; i += 8) {
        uint64_t w;

        memcpy(&w, b + i, 8);
        w = (w ^ 0xe8 * ones) & 0xfe * ones;
        w = (w - ones) & ~w & 0x80 * ones;
        if (w) /* the lowest mark is always true, those above it may not be */
            return i + (size_t)__builtin_ctzll(w) / 8;
    }
    while (i < end && (b[i] & 0xfe) != 0xe8)
        i++;
    return min(i, end);
}

/*
 * Undoes the x86 filter: the operands of CALL and JMP were made absolute, and here they become
 * relative again. `recent` has a bit for each of the last three bytes that looked like an opcode
 * but was not converted (bit 0 the last byte); an operand that overlaps one is told by the byte
 * that both could own.
 */
static void x86_unfilter(uint8_t *b, size_t size, uint32_t address)
{
    uint32_t recent = 0;
    size_t end, i = 0;

    if (size < 5)
        return;
    end = size - 4;
    for (;;) {
        size_t at = find_branch(b, i, end);
        unsigned int shared; /* how far back the overlapping opcode is, 0 if none */
        uint32_t v;

        if (at == end)
            return;
        recent = at - i < 3 ? recent << (at - i) & 7 : 0;
        shared = recent ? 32 - (unsigned int)__builtin_clz(recent) : 0;
        i = at + 1;
        if (!is_branch_top(b[at + 4]) ||
            (shared && ((recent & (recent - 1)) || is_branch_top(b[at + 4 - shared])))) {
            recent = (recent << 1 | 1) & 7;
            continue;
        }
        v = load_le32(b + at + 1);
        for (;;) {
            v -= address + (uint32_t)at + 5;
            if (!shared || !is_branch_top(v >> (24 - 8 * shared)))
                break;
            v ^= (uint32_t)((1ull << (32 - 8 * shared)) - 1);
        }
        v = v & 0x1000000 ? v | 0xff000000 : v & 0xffffff;
        memcpy(b + at + 1, &v, 4);
        i = at + 5;
        recent = 0;
    }
}

/* One filter's flags (section 3.1.5) from *p on. */
static int read_filter(struct unpack *u, struct block *b, const uint8_t **p, const uint8_t *end,
                       bool last)
{
    uint64_t id, size;

    if (!read_number(p, end, &id) || !read_number(p, end, &size) || size > (uint64_t)(end - *p))
        return unpack_fail(u, -EINVAL, "xz: bad filter flags");
    if (last != (id == FILTER_LZMA2) || (!last && (id != FILTER_X86 || b->x86)))
        return unpack_fail(u, -EOPNOTSUPP, "xz: filters other than x86 and LZMA2");
    if (last) {
        if (size != 1 || (*p)[0] > LZMA2_DICT_MAX)
            return unpack_fail(u, -EINVAL, "xz: bad LZMA2 properties");
    } else {
        if (size != 0 && size != 4)
            return unpack_fail(u, -EINVAL, "xz: bad x86 filter properties");
        b->x86 = true;
        b->x86_start = size ? load_le32(*p) : 0;
    }
    *p += size;
    return 0;
}

/* Section 3.1; the input is at the block's first byte, its size, and moves behind the header. */
static int read_block_header(struct unpack *u, struct block *b)
{
    size_t size = ((size_t)u->in[0] + 1) * 4;
    const uint8_t *p = u->in, *end = p + size - 4;
    unsigned int filters;
    int rc;

    *b = (struct block){.in_size = UNKNOWN_SIZE, .out_size = UNKNOWN_SIZE};
    if (size > unpack_in_left(u))
        return unpack_fail(u, -EINVAL, "xz: input ends in a block header");
    if (crc32(0, p, size - 4) != load_le32(end))
        return unpack_fail(u, -EINVAL, "xz: block header CRC mismatch");
    if (p[1] & BLOCK_RESERVED)
        return unpack_fail(u, -EOPNOTSUPP, "xz: unknown block flags");
    filters = (p[1] & BLOCK_FILTERS) + 1u;
    p += 2;
    if ((u->in[1] & BLOCK_HAS_IN && (!read_number(&p, end, &b->in_size) || !b->in_size)) ||
        (u->in[1] & BLOCK_HAS_OUT && !read_number(&p, end, &b->out_size)))
        return unpack_fail(u, -EINVAL, "xz: bad size in a block header");
    for (unsigned int i = 0; i < filters; i++) {
        rc = read_filter(u, b, &p, end, i == filters - 1);
        if (rc)
            return rc;
    }
    while (p < end)
        if (*p++)
            return unpack_fail(u, -EOPNOTSUPP, "xz: block header padding is not zero");
    u->in += size;
    return 0;
}

static bool check_matches(const struct unpack *u, const uint8_t *data, unsigned int type)
{
    size_t n = (size_t)(u->out - data);

    if (type == CHECK_CRC32)
        return crc32(0, data, n) == load_le32(u->in);
    if (type == CHECK_CRC64)
        return crc64(0, data, n) == load_le64(u->in);
    return true;
}

static int read_block(struct unpack *u, unsigned int check, struct tally *t)
{
    const uint8_t *header = u->in, *data;
    uint8_t *out = u->out;
    uint64_t in_size, out_size;
    struct block b;
    int rc;

    rc = read_block_header(u, &b);
    if (rc)
        return rc;
    data = u->in;
    rc = lzma2_unpack(u);
    if (rc)
        return rc;
    in_size = (uint64_t)(u->in - data);
    out_size = (uint64_t)(u->out - out);
    if ((b.in_size != UNKNOWN_SIZE && b.in_size != in_size) ||
        (b.out_size != UNKNOWN_SIZE && b.out_size != out_size))
        return unpack_fail(u, -EINVAL, "xz: block is not of the size its header gives");
    if (b.x86)
        x86_unfilter(out, out_size, b.x86_start);
    tally_add(t, (uint64_t)(u->in - header) + check_size(check), out_size);
    if (unpack_in_left(u) < -in_size % 4 + check_size(check))
        return unpack_fail(u, -EINVAL, "xz: input ends in a block");
    for (unsigned int i = -in_size % 4; i; i--)
        if (*u->in++)
            return unpack_fail(u, -EINVAL, "xz: block padding is not zero");
    if (!check_matches(u, out, check))
        return unpack_fail(u, -EINVAL, "xz: block CRC mismatch");
    u->in += check_size(check);
    return 0;
}

/* Section 4: the input is at the index indicator. */
static int read_index(struct unpack *u, struct tally *t)
{
    const uint8_t *p = u->in + 1;
    struct tally said = {0};
    uint64_t records;

    if (!read_number(&p, u->in_end, &records) || records != t->blocks)
        return unpack_fail(u, -EINVAL, "xz: index does not count the blocks");
    while (said.blocks < records) {
        uint64_t unpadded, uncompressed;

        if (!read_number(&p, u->in_end, &unpadded) || !read_number(&p, u->in_end, &uncompressed))
            return unpack_fail(u, -EINVAL, "xz: bad record in the index");
        tally_add(&said, unpadded, uncompressed);
    }
    if (said.hash != t->hash)
        return unpack_fail(u, -EINVAL, "xz: index does not match the blocks");
    while ((p - u->in) % 4) {
        if (p == u->in_end || *p++)
            return unpack_fail(u, -EINVAL, "xz: index padding is not zero");
    }
    t->size = (uint64_t)(p - u->in) + 4;
    if (u->in_end - p < 4 || crc32(0, u->in, (size_t)(p - u->in)) != load_le32(p))
        return unpack_fail(u, -EINVAL, "xz: index CRC mismatch");
    u->in = p + 4;
    return 0;
}

static int read_stream(struct unpack *u)
{
    static const uint8_t magic[6] = {0xfd, '7', 'z', 'X', 'Z', 0};
    const uint8_t *h = u->in, *f;
    struct tally t = {0};
    int rc;

    if (unpack_in_left(u) < HEADER_SIZE || memcmp(h, magic, sizeof(magic)) != 0)
        return unpack_fail(u, -EINVAL, "xz: no stream header");
    if (crc32(0, h + 6, 2) != load_le32(h + 8))
        return unpack_fail(u, -EINVAL, "xz: stream header CRC mismatch");
    if (h[6] || h[7] > 15)
        return unpack_fail(u, -EOPNOTSUPP, "xz: unknown stream flags");
    u->in += HEADER_SIZE;
    while (u->in < u->in_end && *u->in) {
        rc = read_block(u, h[7], &t);
        if (rc)
            return rc;
    }
    if (u->in == u->in_end)
        return unpack_fail(u, -EINVAL, "xz: input ends without an index");
    rc = read_index(u, &t);
    if (rc)
        return rc;
    f = u->in;
    if (unpack_in_left(u) < FOOTER_SIZE || f[10] != 'Y' || f[11] != 'Z')
        return unpack_fail(u, -EINVAL, "xz: no stream footer");
    if (crc32(0, f + 4, 6) != load_le32(f))
        return unpack_fail(u, -EINVAL, "xz: stream footer CRC mismatch");
    if (f[8] || f[9] != h[7] || (load_le32(f + 4) + 1ull) * 4 != t.size)
        return unpack_fail(u, -EINVAL, "xz: stream footer does not match");
    u->in += FOOTER_SIZE;
    return 0;
}

int xz_unpack(struct unpack *u)
{
    int rc;

    do {
        rc = read_stream(u);
        if (rc)
            return rc;
        /* Stream padding: zeros, four at a time. */
        while (unpack_in_left(u) >= 4 && load_le32(u->in) == 0)
            u->in += 4;
    } while (u->in < u->in_end);
    return 0;
}
