/* SPDX-License-Identifier: MIT */
/*
 * The decompressors against what xz, gzip and zstd of this machine write, at many settings; then
 * the same data cut at every byte, with flipped bits, and into buffers that are too small. Input
 * and output are allocated at their exact sizes, so that the sanitizers see each byte beyond.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/decompress.h"

struct bytes {
    uint8_t *p;
    size_t n;
};

static struct bytes read_all(FILE *f)
{
    struct bytes b = {NULL, 0};
    size_t cap = 0, got;

    do {
        if (cap - b.n < 65536)
            b.p = realloc(b.p, cap = 2 * cap + 65536);
        got = fread(b.p + b.n, 1, cap - b.n, f);
        b.n += got;
    } while (got);
    return b;
}

/* What `command` writes when it reads the data. */
static struct bytes filter(const char *command, const uint8_t *data, size_t n)
{
    char path[] = "/tmp/argon-test-XXXXXX", line[256];
    int fd = mkstemp(path);
    struct bytes out;
    FILE *f;

    assert_true(fd >= 0);
    assert_int_equal(write(fd, data, n), n);
    close(fd);
    snprintf(line, sizeof(line), "%s < %s", command, path);
    f = popen(line, "r");
    assert_non_null(f);
    out = read_all(f);
    assert_int_equal(pclose(f), 0);
    unlink(path);
    return out;
}

/* Decompresses an exact copy of in[n] into exactly `cap` bytes, which the caller frees. */
static int run(const uint8_t *in, size_t n, size_t cap, struct bytes *out, const char **why)
{
    uint8_t *copy = malloc(n ? n : 1);
    int rc;

    memcpy(copy, in, n);
    out->p = malloc(cap ? cap : 1);
    *why = NULL;
    rc = decompress(copy, n, out->p, cap, &out->n, why);
    if (rc)
        assert_non_null(*why);
    assert_true(out->n <= cap);
    free(copy);
    return rc;
}

static void expect(struct bytes in, const uint8_t *data, size_t n, size_t cap)
{
    struct bytes out;
    const char *why;
    int rc = run(in.p, in.n, cap, &out, &why);

    if (rc)
        print_error("%s\n", why);
    assert_int_equal(rc, 0);
    assert_int_equal(out.n, n);
    assert_memory_equal(out.p, data, n);
    free(out.p);
}

static void expect_error(struct bytes in, size_t cap, int rc)
{
    struct bytes out;
    const char *why;

    assert_int_equal(run(in.p, in.n, cap, &out, &why), rc);
    free(out.p);
}

/* The data: a text of repeated words, noise, zeros, long runs, and this program's own code. */
enum {
    EMPTY,
    ONE,
    WORDS,
    NOISE,
    ZEROS,
    SKEWED,
    CODE,
    KINDS,
};

static struct bytes make_data(int kind, size_t n)
{
    struct bytes b = {malloc(n + 64), n};

    memset(b.p, 0, n);
    switch (kind) {
    case EMPTY:
        b.n = 0;
        break;
    case ONE:
        b.n = 1;
        break;
    case WORDS:
        for (size_t at = 0; at < n;)
            at += (size_t)sprintf((char *)b.p + at, "%d hypervisor %x ", rand() % 100,
                                  (unsigned int)rand() % 4096);
        break;
    case NOISE:
        for (size_t i = 0; i < n; i++)
            b.p[i] = (uint8_t)rand();
        break;
    case SKEWED:
        for (size_t i = 0; i < n; i++)
            b.p[i] = (uint8_t)__builtin_ctz((unsigned int)rand() | 1u << 20) ^
                     (rand() % 50 ? 0 : (uint8_t)rand());
        break;
    case CODE: {
        FILE *f = fopen("/proc/self/exe", "rb");

        free(b.p);
        b = read_all(f);
        fclose(f);
        b.n = b.n < n ? b.n : n;
        break;
    }
    }
    return b;
}

static const char *const commands[] = {
    "gzip -1c",
    "gzip -9c",
    "gzip -6c --no-name",
    "xz -c",
    "xz -0c --check=crc64",
    "xz -9ec --check=none",
    "xz -6c --check=sha256",
    "xz -c --check=crc32 --x86 --lzma2=preset=6",
    "xz -c --x86=start=4096 --lzma2=lc=0,lp=4,pb=0,dict=64KiB",
    "xz -c --lzma2=lc=4,lp=0,pb=4",
    "xz -c --block-size=30000 --check=crc32",
    "xz -c -T2 --block-size=50000",
    "zstd -qc -1 --no-check",
    "zstd -qc -3",
    "zstd -qc -19",
    "zstd -qc --ultra -22 --long=27",
    "zstd -qc --fast=5",
};
#define COMMANDS (sizeof(commands) / sizeof(commands[0]))

static void round_trips(void **state)
{
    for (int kind = 0; kind < KINDS; kind++) {
        struct bytes data = make_data(kind, 200000);

        for (size_t c = 0; c < COMMANDS; c++) {
            struct bytes in = filter(commands[c], data.p, data.n);

            expect(in, data.p, data.n, data.n);
            expect(in, data.p, data.n, data.n + 1000);
            if (data.n) {
                expect_error(in, data.n - 1, -ENOSPC);
                expect_error(in, 0, -ENOSPC);
                expect_error(in, data.n / 2, -ENOSPC);
            }
            free(in.p);
        }
        free(data.p);
    }
}

/* The filter once searched on behind the end when the last bytes were a branch. */
static void x86_filter_ends_with_a_branch(void **state)
{
    static const uint8_t bytes[] = {0xe8, 0xe9, 0, 0xff, 0x12};
    static const char *const filters[] = {"xz -c --x86 --lzma2=preset=0",
                                          "xz -c --x86=start=4294963200 --lzma2=preset=0"};

    for (size_t n = 1; n < 80; n++) {
        uint8_t data[400];
        size_t len = n < 40 ? n : n * 5;
        struct bytes in;

        for (size_t i = 0; i < len; i++)
            data[i] = bytes[rand() % 5];
        if (n >= 5)
            memcpy(data + len - 5, "\xe8\x12\0\0\0", 5);
        in = filter(filters[n & 1], data, len);
        expect(in, data, len, len);
        free(in.p);
    }
}

static void joined_files(void **state)
{
    static const char *const twice[] = {
        "sh -c 'f=$(mktemp); cat > $f; gzip -c $f; gzip -1c $f; rm $f'",
        "sh -c 'f=$(mktemp); cat > $f; xz -c $f; printf \"\\0\\0\\0\\0\"; xz -0c $f; rm $f'",
        "sh -c 'f=$(mktemp); cat > $f; zstd -qc $f; "
        "printf \"\\120\\052\\115\\030\\003\\0\\0\\0abc\"; zstd -1qc $f; rm $f'",
    };
    struct bytes data = make_data(WORDS, 20000);

    data.p = realloc(data.p, 2 * data.n);
    memcpy(data.p + data.n, data.p, data.n);
    for (size_t c = 0; c < 3; c++) {
        struct bytes in = filter(twice[c], data.p, data.n);

        expect(in, data.p, 2 * data.n, 2 * data.n);
        in.p[in.n++] = 0;
        expect_error(in, 2 * data.n, -EINVAL);
        free(in.p);
    }
    free(data.p);
}

static void truncated_at_every_byte(void **state)
{
    struct bytes data = make_data(WORDS, 3000);

    memset(data.p + 500, 'x', 300);
    for (size_t c = 0; c < COMMANDS; c++) {
        struct bytes in = filter(commands[c], data.p, data.n);

        for (size_t n = 0; n < in.n; n++) {
            struct bytes out;
            const char *why;

            assert_int_not_equal(run(in.p, n, data.n, &out, &why), 0);
            free(out.p);
        }
        free(in.p);
    }
    free(data.p);
}

/* A whole file has a checksum over its content: damage is found, or made no difference. */
static bool is_checked(const char *command)
{
    return !strstr(command, "none") && !strstr(command, "sha256") && !strstr(command, "no-check");
}

static void damage(const struct bytes *data, int rounds, int most_flips)
{
    for (size_t c = 0; c < COMMANDS; c++) {
        struct bytes in = filter(commands[c], data->p, data->n);
        uint8_t *good = malloc(in.n);
        int caught = 0;

        memcpy(good, in.p, in.n);
        for (int i = 0; i < rounds; i++) {
            struct bytes out;
            const char *why;

            for (int k = 1 + rand() % most_flips; k; k--) {
                size_t at = (size_t)rand() % (rand() & 1 && in.n > 64 ? 64 : in.n);

                in.p[at] ^= (uint8_t)(1u << (rand() & 7));
            }
            if (run(in.p, in.n, data->n + (size_t)(rand() & 1023), &out, &why)) {
                caught++;
            } else if (is_checked(commands[c])) {
                assert_int_equal(out.n, data->n);
                assert_memory_equal(out.p, data->p, data->n);
            }
            free(out.p);
            memcpy(in.p, good, in.n);
        }
        assert_true(caught > rounds / 4);
        free(good);
        free(in.p);
    }
}

static void flipped_bits(void **state)
{
    struct bytes words = make_data(WORDS, 3000), code = make_data(CODE, 30000);

    damage(&words, 700, 1);
    damage(&words, 300, 6);
    damage(&code, 100, 2);
    free(words.p);
    free(code.p);
}

static void garbage_behind_a_magic(void **state)
{
    static const struct {
        uint8_t b[8];
        size_t n;
    } starts[] = {{{0x1f, 0x8b, 8, 0}, 4},
                  {{0xfd, '7', 'z', 'X', 'Z', 0}, 6},
                  {{0x28, 0xb5, 0x2f, 0xfd, 0x20}, 5},
                  {{0x28, 0xb5, 0x2f, 0xfd, 0, 0x58}, 6}};

    for (int i = 0; i < 20000; i++) {
        size_t s = (size_t)i % 4, n = starts[s].n + (size_t)rand() % 300;
        uint8_t in[320];
        struct bytes out;
        const char *why;

        for (size_t k = 0; k < n; k++)
            in[k] = (uint8_t)(rand() & (i & 64 ? 255 : 15));
        memcpy(in, starts[s].b, starts[s].n);
        (void)!run(in, n, 1000, &out, &why);
        free(out.p);
    }
}

static void unknown_formats(void **state)
{
    static const char *const not [] = {"", "\x1f", "BZh9", "\xfd\x37zXZ", "\x28\xb5\x2f"};

    for (size_t i = 0; i < 5; i++) {
        struct bytes out;
        const char *why;

        assert_int_equal(run((const uint8_t *)not [i], strlen(not [i]), 10, &out, &why), -EINVAL);
        assert_string_equal(why, "neither gzip, XZ nor zstd");
        free(out.p);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(round_trips),     cmocka_unit_test(x86_filter_ends_with_a_branch),
        cmocka_unit_test(joined_files),    cmocka_unit_test(truncated_at_every_byte),
        cmocka_unit_test(flipped_bits),    cmocka_unit_test(garbage_behind_a_magic),
        cmocka_unit_test(unknown_formats),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
