/* SPDX-License-Identifier: MIT */
/* Finds the kernel in a bzImage; see lib/bzimage.h. */
#include "lib/bzimage.h"
#include "lib/bytes.h"
#include "lib/errno.h"
#include "lib/string.h"

/* The setup header, by offset in the file. */
#define SETUP_SECTS       0x1f1 /* 1 byte: sectors of setup code behind the boot sector; 0 means 4 */
#define BOOT_FLAG         0x1fe /* 2 bytes */
#define BOOT_FLAG_VALUE   0xaa55
#define HEADER_MAGIC      0x202 /* "HdrS" */
#define PROTOCOL          0x206 /* 2 bytes */
#define PAYLOAD_OFFSET    0x248 /* 4 bytes: from the protected-mode code on; since 2.08 */
#define PAYLOAD_LENGTH    0x24c /* 4 bytes */
#define HEADER_END        0x250
#define PROTOCOL_PAYLOAD  0x208
#define SECTOR            512
#define SETUP_SECTS_UNSET 4

static int fail(const char **why, const char *reason)
{
    *why = reason;
    return -ENOEXEC;
}

static bool is_elf(const uint8_t *p, size_t len)
{
    return len >= 4 && memcmp(p, "\177ELF", 4) == 0;
}

/*
 * Tells what the payload is. Linux appends the size to a compressed payload in 4 bytes; gzip has it
 * there itself.
 */
static int classify(const uint8_t *p, size_t len, struct kernel_payload *out, const char **why)
{
    *out = (struct kernel_payload){.data = p, .len = len, .size = len};
    if (is_elf(p, len))
        return 0;
    out->format = decompress_detect(p, len);
    if (out->format == DECOMPRESS_NONE)
        return fail(why, "bzImage: payload is neither ELF, gzip, XZ nor zstd");
    if (len < 8)
        return fail(why, "bzImage: payload is too short");
    out->size = load_le32(p + len - 4);
    if (out->format != DECOMPRESS_GZIP)
        out->len -= 4;
    return 0;
}

int kernel_payload_find(const void *image, size_t len, struct kernel_payload *out, const char **why)
{
    const uint8_t *h = image;
    uint64_t offset, length, sectors;

    if (is_elf(h, len))
        return classify(h, len, out, why);
    if (len < HEADER_END || load_le16(h + BOOT_FLAG) != BOOT_FLAG_VALUE ||
        memcmp(h + HEADER_MAGIC, "HdrS", 4) != 0)
        return fail(why, "kernel is neither an ELF image nor a bzImage");
    if (load_le16(h + PROTOCOL) < PROTOCOL_PAYLOAD)
        return fail(why, "bzImage: boot protocol before 2.08");
    sectors = h[SETUP_SECTS] ? h[SETUP_SECTS] : SETUP_SECTS_UNSET;
    offset = (sectors + 1) * SECTOR + load_le32(h + PAYLOAD_OFFSET);
    length = load_le32(h + PAYLOAD_LENGTH);
    if (offset > len || length > len - offset)
        return fail(why, "bzImage: payload lies outside the image");
    return classify(h + offset, length, out, why);
}
