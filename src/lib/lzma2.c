/* SPDX-License-Identifier: MIT */
/*
 * LZMA2: chunks of LZMA or plain bytes. After the LZMA specification (Igor Pavlov, 2015) for the
 * range coder, its models and the state machine, and "The .xz File Format" 5.3.1 for the chunks.
 *
 * Nearly all of the time of a kernel's decompression is spent in rc_bit() and rc_tree(), so they
 * are inlined everywhere, the range coder lives in a local copy (in registers), and input is
 * checked once a symbol: a symbol takes at most SYMBOL_DECISIONS decisions of at most one byte
 * each. Near the end of the input the last bytes are moved to a padded buffer, so that a corrupt
 * symbol reads padding there.
 */
#include "lib/decompress_private.h"

#define SYMBOL_DECISIONS 64 /* at most 1 + 1 + 10 for the length, 6 + 26 + 4 for the distance */

#define RC_TOP        (1u << 24)
#define RC_MODEL_BITS 11
#define RC_MODEL_HALF (1u << (RC_MODEL_BITS - 1))
#define RC_MOVE_BITS  5

#define STATES        12
#define LIT_STATES    7 /* states below this follow a literal */
#define POS_STATES    16
#define LEN_STATES    4
#define MATCH_LEN_MIN 2
#define LITERAL_SIZE  0x300
#define LITERAL_MAX   (LITERAL_SIZE << 4) /* lc + lp <= 4 */
#define DIST_SLOTS    64
#define DIST_MODEL    4  /* first distance slot with extra bits */
#define DIST_DIRECT   14 /* first distance slot with direct bits */
#define ALIGN_BITS    4

typedef uint16_t prob_t;

struct length_model {
    prob_t choice, choice2;
    prob_t low[POS_STATES][8], mid[POS_STATES][8], high[256];
};

/* Every probability of the model, so that a reset sets one array of prob_t. */
struct lzma_model {
    prob_t is_match[STATES][POS_STATES];
    prob_t is_rep[STATES], is_rep0[STATES], is_rep1[STATES], is_rep2[STATES];
    prob_t is_rep0_long[STATES][POS_STATES];
    prob_t dist_slot[LEN_STATES][DIST_SLOTS];
    prob_t dist_special[115];
    prob_t dist_align[1 << ALIGN_BITS];
    struct length_model match_len, rep_len;
    prob_t literal[LITERAL_MAX];
};

struct range_coder {
    const uint8_t *in;
    uint32_t range, code;
};

struct lzma {
    struct range_coder rc;
    uint32_t state;
    uint32_t rep0, rep1, rep2, rep3; /* the last distances, minus 1 */
    uint32_t lc, lp_mask, pb_mask;
    uint8_t *dict;    /* start of what may be referred to */
    uint8_t *out_end; /* end of the output buffer */
    bool corrupt;     /* a match beyond the dictionary or the chunk */
    uint8_t tail[2 * SYMBOL_DECISIONS];
    struct lzma_model m;
};

static struct lzma init_data scratch;

static always_inline void rc_normalize(struct range_coder *rc)
{
    if (rc->range < RC_TOP) {
        rc->range <<= 8;
        rc->code = rc->code << 8 | *rc->in++;
    }
}

/*
 * Decodes a bit and moves its probability of being 0 by 1/32 towards what came: for a 0 that is
 * p += (2048 - p) >> 5, written so that it takes one instruction less.
 */
static always_inline bool rc_bit(struct range_coder *rc, prob_t *prob)
{
    uint32_t p, bound;

    rc_normalize(rc);
    p = *prob;
    bound = (rc->range >> RC_MODEL_BITS) * p;
    if (rc->code < bound) {
        rc->range = bound;
        *prob = (prob_t)(p - (uint32_t)((int32_t)(p - 2048 + 31) >> RC_MOVE_BITS));
        return false;
    }
    rc->range -= bound;
    rc->code -= bound;
    *prob = (prob_t)(p - (p >> RC_MOVE_BITS));
    return true;
}

/* One step down a tree of probabilities: the bit is appended to the node's number. */
static always_inline uint32_t rc_tree(struct range_coder *rc, prob_t *tree, uint32_t node)
{
    return rc_bit(rc, tree + node) ? 2 * node + 1 : 2 * node;
}

static always_inline uint32_t rc_tree3(struct range_coder *rc, prob_t *tree)
{
    return rc_tree(rc, tree, rc_tree(rc, tree, rc_tree(rc, tree, 1))) - 8;
}

/* `bits` bits, lowest first, from a tree. */
static always_inline uint32_t rc_reverse(struct range_coder *rc, prob_t *tree, uint32_t bits)
{
    uint32_t node = 1, v = 0;

    for (uint32_t i = 0; i < bits; i++) {
        if (rc_bit(rc, tree + node)) {
            node = 2 * node + 1;
            v |= 1u << i;
        } else {
            node = 2 * node;
        }
    }
    return v;
}

/* `bits` bits of even probability, highest first. */
static always_inline uint32_t rc_direct(struct range_coder *rc, uint32_t bits)
{
    uint32_t v = 0;

    do {
        uint32_t below;

        rc_normalize(rc);
        rc->range >>= 1;
        rc->code -= rc->range;
        below = -(rc->code >> 31); /* all ones: the code was below the half, the bit is 0 */
        rc->code += rc->range & below;
        v = 2 * v + 1 + below;
    } while (--bits);
    return v;
}

static always_inline uint32_t decode_length(struct range_coder *rc, struct length_model *m,
                                            uint32_t pos_state)
{
    uint32_t node = 1;

    if (!rc_bit(rc, &m->choice))
        return MATCH_LEN_MIN + rc_tree3(rc, m->low[pos_state]);
    if (!rc_bit(rc, &m->choice2))
        return MATCH_LEN_MIN + 8 + rc_tree3(rc, m->mid[pos_state]);
    do
        node = rc_tree(rc, m->high, node);
    while (node < 256);
    return MATCH_LEN_MIN + 16 + node - 256;
}

/* A distance minus 1. */
static always_inline uint32_t decode_distance(struct range_coder *rc, struct lzma_model *m,
                                              uint32_t len)
{
    prob_t *tree = m->dist_slot[min(len - MATCH_LEN_MIN, LEN_STATES - 1u)];
    uint32_t slot = 1, bits, dist;

    slot = rc_tree(rc, tree, slot);
    slot = rc_tree(rc, tree, slot);
    slot = rc_tree(rc, tree, slot);
    slot = rc_tree(rc, tree, slot);
    slot = rc_tree(rc, tree, slot);
    slot = rc_tree(rc, tree, slot) - DIST_SLOTS;
    if (slot < DIST_MODEL)
        return slot;
    bits = (slot >> 1) - 1;
    dist = (2 | (slot & 1)) << bits;
    if (slot < DIST_DIRECT)
        return dist + rc_reverse(rc, m->dist_special + dist - slot, bits);
    dist += rc_direct(rc, bits - ALIGN_BITS) << ALIGN_BITS;
    return dist + rc_reverse(rc, m->dist_align, ALIGN_BITS);
}

static always_inline uint8_t decode_literal(struct range_coder *rc, prob_t *tree)
{
    uint32_t node = 1;

    node = rc_tree(rc, tree, node);
    node = rc_tree(rc, tree, node);
    node = rc_tree(rc, tree, node);
    node = rc_tree(rc, tree, node);
    node = rc_tree(rc, tree, node);
    node = rc_tree(rc, tree, node);
    node = rc_tree(rc, tree, node);
    return (uint8_t)rc_tree(rc, tree, node);
}

/*
 * A literal after a match. It differs from the byte that the match would have gone on with; while
 * its bits agree with that byte's, they are coded in two further trees, one for each bit of it.
 */
static always_inline uint8_t decode_matched_literal(struct range_coder *rc, prob_t *tree,
                                                    uint32_t match)
{
    uint32_t node = 1, agree = 0x100;

    do {
        uint32_t bit;

        match <<= 1;
        bit = match & agree;
        if (rc_bit(rc, tree + agree + bit + node)) {
            node = 2 * node + 1;
            agree = bit;
        } else {
            node = 2 * node;
            agree ^= bit;
        }
    } while (node < 0x100);
    return (uint8_t)node;
}

/* Takes one of the four last distances to the front; *len is 1 for a "short rep". */
static always_inline uint32_t decode_rep(struct lzma *l, struct range_coder *rc, uint32_t state,
                                         uint32_t pos_state)
{
    uint32_t dist;

    if (!rc_bit(rc, &l->m.is_rep0[state])) {
        if (!rc_bit(rc, &l->m.is_rep0_long[state][pos_state]))
            return 1;
    } else {
        if (!rc_bit(rc, &l->m.is_rep1[state])) {
            dist = l->rep1;
        } else {
            if (!rc_bit(rc, &l->m.is_rep2[state])) {
                dist = l->rep2;
            } else {
                dist = l->rep3;
                l->rep3 = l->rep2;
            }
            l->rep2 = l->rep1;
        }
        l->rep1 = l->rep0;
        l->rep0 = dist;
    }
    return decode_length(rc, &l->m.rep_len, pos_state);
}

/* The state after a literal, and after each kind of match when a literal was (not) before it. */
static const uint8_t after_literal[STATES] = {0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 4, 5};

/*
 * Decodes symbols from out to end, or until the input passes in_limit; in_limit has room for one
 * symbol behind it. Returns the new out; l->corrupt tells of a bad match.
 */
static uint8_t *decode_symbols(struct lzma *l, uint8_t *out, uint8_t *const end,
                               const uint8_t *const in_limit)
{
    struct range_coder rc = l->rc;
    uint32_t state = l->state;
    uint8_t *const dict = l->dict;
    uint32_t prev = out > dict ? out[-1] : 0;

    while (out < end && rc.in <= in_limit) {
        uint32_t pos = (uint32_t)(out - dict), pos_state = pos & l->pb_mask, len;

        if (!rc_bit(&rc, &l->m.is_match[state][pos_state])) {
            uint32_t context = ((pos & l->lp_mask) << l->lc) + (prev << l->lc >> 8);
            prob_t *tree = l->m.literal + LITERAL_SIZE * context;

            if (state < LIT_STATES)
                prev = decode_literal(&rc, tree);
            else
                prev = decode_matched_literal(&rc, tree, *(out - l->rep0 - 1));
            state = after_literal[state];
            *out++ = (uint8_t)prev;
            continue;
        }
        if (!rc_bit(&rc, &l->m.is_rep[state])) {
            l->rep3 = l->rep2;
            l->rep2 = l->rep1;
            l->rep1 = l->rep0;
            len = decode_length(&rc, &l->m.match_len, pos_state);
            l->rep0 = decode_distance(&rc, &l->m, len);
            state = state < LIT_STATES ? 7 : 10;
        } else {
            len = decode_rep(l, &rc, state, pos_state);
            state = (state < LIT_STATES ? 8 : 11) + (len == 1 && state < LIT_STATES);
        }
        if (unlikely(l->rep0 >= pos || len > (size_t)(end - out))) {
            l->corrupt = true;
            break;
        }
        out = unpack_copy_match(out, (size_t)l->rep0 + 1, len, l->out_end);
        prev = out[-1];
    }
    l->rc = rc;
    l->state = state;
    return out;
}

/* One chunk of LZMA: in_len bytes to out_len bytes, both within their buffers. */
static int decode_chunk(struct unpack *u, struct lzma *l, size_t in_len, size_t out_len)
{
    const uint8_t *in_end = u->in + in_len;
    uint8_t *end = u->out + out_len;
    size_t left;

    if (in_len < 5 || u->in[0] != 0)
        return unpack_fail(u, -EINVAL, "lzma: range coder does not start");
    l->rc.code = (uint32_t)u->in[1] << 24 | u->in[2] << 16 | u->in[3] << 8 | u->in[4];
    l->rc.range = UINT32_MAX;
    l->rc.in = u->in + 5;
    if (unpack_in_left(u) - 5 >= SYMBOL_DECISIONS) {
        const uint8_t *safe = u->in_end - SYMBOL_DECISIONS;

        u->out = decode_symbols(l, u->out, end, min(safe, in_end));
    }
    left = l->rc.in <= in_end ? (size_t)(in_end - l->rc.in) : 0;
    if (u->out < end && !l->corrupt && l->rc.in <= in_end && left < SYMBOL_DECISIONS) {
        memset(l->tail, 0, sizeof(l->tail));
        memcpy(l->tail, l->rc.in, left);
        l->rc.in = l->tail;
        in_end = l->tail + left;
        u->out = decode_symbols(l, u->out, end, in_end);
    }
    if (l->corrupt)
        return unpack_fail(u, -EINVAL, "lzma: match beyond the dictionary or the chunk");
    if (l->rc.in <= in_end)
        rc_normalize(&l->rc);
    if (u->out != end || l->rc.in != in_end || l->rc.code != 0)
        return unpack_fail(u, -EINVAL, "lzma: chunk does not end where it says");
    u->in += in_len;
    return 0;
}

static void reset_state(struct lzma *l)
{
    prob_t *p = (prob_t *)&l->m;

    for (size_t i = 0; i < sizeof(l->m) / sizeof(prob_t); i++)
        p[i] = RC_MODEL_HALF;
    l->state = 0;
    l->rep0 = l->rep1 = l->rep2 = l->rep3 = 0;
}

/* The properties byte: (pb * 5 + lp) * 9 + lc, where LZMA2 demands lc + lp <= 4. */
static bool set_properties(struct lzma *l, uint32_t byte)
{
    uint32_t lc = byte % 9, lp = byte / 9 % 5, pb = byte / 45;

    l->lc = lc;
    l->lp_mask = (1u << lp) - 1;
    l->pb_mask = (1u << (pb & 7)) - 1;
    return pb <= 4 && lc + lp <= 4;
}

/* Control bytes of LZMA2. */
#define LZMA2_END         0x00
#define LZMA2_PLAIN_RESET 0x01 /* plain bytes, dictionary reset */
#define LZMA2_PLAIN       0x02
#define LZMA2_LZMA        0x80 /* LZMA; bits 0-4 are bits 16-20 of the length minus 1 */
#define LZMA2_STATE       0xa0 /* ... and state reset */
#define LZMA2_PROPS       0xc0 /* ... and new properties */
#define LZMA2_DICT        0xe0 /* ... and dictionary reset */

static int plain_chunk(struct unpack *u)
{
    size_t n;

    if (unpack_in_left(u) < 2)
        return unpack_fail(u, -EINVAL, "lzma2: input ends in a chunk header");
    n = ((size_t)u->in[0] << 8 | u->in[1]) + 1;
    u->in += 2;
    if (n > unpack_in_left(u))
        return unpack_fail(u, -EINVAL, "lzma2: input ends in a chunk");
    if (n > unpack_out_left(u))
        return unpack_fail(u, -ENOSPC, "lzma2: output buffer too small");
    memcpy(u->out, u->in, n);
    u->in += n;
    u->out += n;
    return 0;
}

static int lzma_chunk(struct unpack *u, struct lzma *l, uint8_t control)
{
    size_t header = control >= LZMA2_PROPS ? 5 : 4, in_len, out_len;

    if (unpack_in_left(u) < header)
        return unpack_fail(u, -EINVAL, "lzma2: input ends in a chunk header");
    out_len = ((size_t)(control & 0x1f) << 16 | u->in[0] << 8 | u->in[1]) + 1;
    in_len = ((size_t)u->in[2] << 8 | u->in[3]) + 1;
    if (control >= LZMA2_PROPS && !set_properties(l, u->in[4]))
        return unpack_fail(u, -EINVAL, "lzma2: bad properties");
    if (control >= LZMA2_STATE)
        reset_state(l);
    u->in += header;
    if (in_len > unpack_in_left(u))
        return unpack_fail(u, -EINVAL, "lzma2: input ends in a chunk");
    if (out_len > unpack_out_left(u))
        return unpack_fail(u, -ENOSPC, "lzma2: output buffer too small");
    return decode_chunk(u, l, in_len, out_len);
}

int lzma2_unpack(struct unpack *u)
{
    struct lzma *l = &scratch;
    uint8_t need = LZMA2_DICT; /* the resets that must come before the next LZMA chunk */

    l->out_end = u->out_end;
    l->corrupt = false;
    for (;;) {
        uint8_t control;
        int rc;

        if (u->in == u->in_end)
            return unpack_fail(u, -EINVAL, "lzma2: input ends without an end mark");
        control = *u->in++;
        if (control == LZMA2_END)
            return 0;
        if (control >= LZMA2_DICT || control == LZMA2_PLAIN_RESET)
            l->dict = u->out;
        else if (need == LZMA2_DICT)
            return unpack_fail(u, -EINVAL, "lzma2: no dictionary reset at the start");
        if (control < LZMA2_LZMA) {
            if (control > LZMA2_PLAIN)
                return unpack_fail(u, -EINVAL, "lzma2: unknown control byte");
            if (control == LZMA2_PLAIN_RESET)
                need = LZMA2_PROPS;
            rc = plain_chunk(u);
        } else {
            if (control < need)
                return unpack_fail(u, -EINVAL, "lzma2: chunk without properties");
            need = LZMA2_LZMA;
            rc = lzma_chunk(u, l, control);
        }
        if (rc)
            return rc;
    }
}
