/* SPDX-License-Identifier: MIT */
/* lib/bzimage.c: a header of each kind, its fields wrong one by one, and every truncation. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/bzimage.h"

#define SECTS   2
#define OFFSET  40
#define PAYLOAD ((SECTS + 1) * 512 + OFFSET)
#define LENGTH  100
#define SIZE    (PAYLOAD + LENGTH + 30)

static uint8_t image[SIZE];

static void put32(size_t at, uint32_t v)
{
    memcpy(image + at, &v, 4);
}

static void make_image(const char *magic, size_t magic_len)
{
    memset(image, 0x11, sizeof(image));
    image[0x1f1] = SECTS;
    image[0x1fe] = 0x55;
    image[0x1ff] = 0xaa;
    memcpy(image + 0x202, "HdrS", 4);
    image[0x206] = 0x0f;
    image[0x207] = 2;
    put32(0x248, OFFSET);
    put32(0x24c, LENGTH);
    memcpy(image + PAYLOAD, magic, magic_len);
    put32(PAYLOAD + LENGTH - 4, 65906612);
}

static int find(size_t size, struct kernel_payload *k, const char **why)
{
    uint8_t *copy = malloc(size ? size : 1);
    int rc;

    memcpy(copy, image, size);
    *why = NULL;
    rc = kernel_payload_find(copy, size, k, why);
    if (rc) {
        assert_int_equal(rc, -ENOEXEC);
        assert_non_null(*why);
    } else {
        /* The offset within the copy becomes one within the image; the end is checked. */
        size_t at = (size_t)((const uint8_t *)k->data - copy);

        assert_true(at <= size && k->len <= size - at);
        k->data = image + at;
    }
    free(copy);
    return rc;
}

static void expect(enum decompress_format format, size_t len, uint64_t size)
{
    struct kernel_payload k;
    const char *why;

    assert_int_equal(find(SIZE, &k, &why), 0);
    assert_ptr_equal(k.data, image + PAYLOAD);
    assert_int_equal(k.format, format);
    assert_int_equal(k.len, len);
    assert_int_equal(k.size, size);
}

static void payloads(void **state)
{
    make_image("\xfd"
               "7zXZ\0",
               6);
    expect(DECOMPRESS_XZ, LENGTH - 4, 65906612);
    make_image("\x28\xb5\x2f\xfd", 4);
    expect(DECOMPRESS_ZSTD, LENGTH - 4, 65906612);
    make_image("\x1f\x8b", 2);
    expect(DECOMPRESS_GZIP, LENGTH, 65906612);
    make_image("\177ELF", 4);
    expect(DECOMPRESS_NONE, LENGTH, LENGTH);
}

static void plain_elf(void **state)
{
    struct kernel_payload k;
    const char *why;

    memcpy(image, "\177ELF", 4);
    assert_int_equal(find(SIZE, &k, &why), 0);
    assert_ptr_equal(k.data, image);
    assert_int_equal(k.len, SIZE);
    assert_int_equal(k.format, DECOMPRESS_NONE);
}

static void zero_setup_sectors_mean_four(void **state)
{
    struct kernel_payload k;
    const char *why;

    make_image("", 0);
    image[0x1f1] = 0;
    assert_int_equal(find(SIZE, &k, &why), -ENOEXEC);
    assert_string_equal(why, "bzImage: payload lies outside the image");
    put32(0x248, 0);
    put32(0x24c, 0);
    assert_int_equal(find(SIZE, &k, &why), -ENOEXEC);
    assert_string_equal(why, "bzImage: payload lies outside the image");
}

static void refused(const char *reason)
{
    struct kernel_payload k;
    const char *why;

    assert_int_equal(find(SIZE, &k, &why), -ENOEXEC);
    assert_string_equal(why, reason);
    make_image("\x1f\x8b", 2);
}

static void bad_headers(void **state)
{
    make_image("\x1f\x8b", 2);
    image[0x1fe] = 0;
    refused("kernel is neither an ELF image nor a bzImage");
    image[0x202] = 'h';
    refused("kernel is neither an ELF image nor a bzImage");
    image[0x206] = 7;
    refused("bzImage: boot protocol before 2.08");
    put32(0x248, 0xffffffff);
    refused("bzImage: payload lies outside the image");
    put32(0x24c, 0xffffffff);
    refused("bzImage: payload lies outside the image");
    put32(0x24c, 7);
    refused("bzImage: payload is too short");
    put32(0x24c, 1);
    refused("bzImage: payload is neither ELF, gzip, XZ nor zstd");
    image[PAYLOAD] = 0;
    refused("bzImage: payload is neither ELF, gzip, XZ nor zstd");
}

static void truncated_anywhere(void **state)
{
    struct kernel_payload k;
    const char *why;

    make_image("\x1f\x8b", 2);
    for (size_t n = 0; n < PAYLOAD + LENGTH; n++)
        assert_int_equal(find(n, &k, &why), -ENOEXEC);
    assert_int_equal(find(PAYLOAD + LENGTH, &k, &why), 0);
}

static void random_damage(void **state)
{
    for (int i = 0; i < 20000; i++) {
        struct kernel_payload k;
        const char *why;

        make_image("\x1f\x8b", 2);
        for (int j = 0; j < 3; j++)
            image[rand() & 1 ? 0x1f1 + rand() % 0x60 : rand() % SIZE] = (uint8_t)rand();
        (void)!find((size_t)rand() % (SIZE + 1), &k, &why);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(payloads),
        cmocka_unit_test(plain_elf),
        cmocka_unit_test(zero_setup_sectors_mean_four),
        cmocka_unit_test(bad_headers),
        cmocka_unit_test(truncated_anywhere),
        cmocka_unit_test(random_damage),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
