/* SPDX-License-Identifier: MIT */
/* platform/screen, vga, lfb: text, wrapping, scrolling; pixels of each format; formats to refuse.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "machine.h"
#include "base/log.h"
#include "base/param.h"
#include "lib/errno.h"
#include "platform/display.h"

#define LFB 0xe0000000u

static uint8_t crtc_index, crtc[256];

static void crtc_write(void *data, uint64_t port, unsigned size, uint64_t val)
{
    if (port == 0x3d4)
        crtc_index = (uint8_t)val;
    else
        crtc[crtc_index] = (uint8_t)val;
}

static const char *text_line(unsigned y)
{
    static char line[81];
    const uint8_t *p = (const uint8_t *)host_ram(0xb8000) + 160 * y;

    for (unsigned x = 0; x < 80; x++)
        line[x] = (char)p[2 * x];
    for (unsigned x = 80; x-- > 0 && line[x] == ' ';)
        line[x] = 0;
    return line;
}

static void vga(void **state)
{
    host_machine_init(4 << 20, 1);
    host_port_add(0x3d4, 0x3d5, (struct host_device){NULL, crtc_write, NULL});
    param_parse("console=com1");
    assert_int_equal(vga_init(), -ENODEV);
    param_parse("console=vga");
    log_clear();
    log_info("first");
    assert_int_equal(vga_init(), 0);
    assert_string_equal(text_line(0), "(Argon) first");
    log_raw("a\tb\r\nx\x01y", 8);
    assert_string_equal(text_line(1), "a       b");
    assert_string_equal(text_line(2), "x?y");
    assert_int_equal(crtc[14] << 8 | crtc[15], 2 * 80 + 3);
    log_raw("\n", 1);
    log_info("%0100d", 7); /* wraps */
    assert_int_equal(strlen(text_line(3)), 80);
    assert_int_equal(strlen(text_line(4)), 28);
    for (int i = 0; i < 30; i++)
        log_info("line %d", i);
    assert_string_equal(text_line(23), "(Argon) line 29");
    assert_string_equal(text_line(0), "(Argon) line 6");
    assert_string_equal(text_line(24), "");
    display_release();
    log_info("unseen");
    assert_string_equal(text_line(24), "");
    display_release();
}

static struct lfb_format format(uint8_t bits)
{
    struct lfb_format f = {LFB, 64, 32, 64u * bits / 8, bits, 16, 8, 8, 8, 0, 8};

    if (bits == 16) {
        f.red_pos = 11;
        f.red_size = f.blue_size = 5;
        f.green_pos = 5;
        f.green_size = 6;
    }
    return f;
}

static uint32_t pixel(const struct lfb_format *f, unsigned x, unsigned y)
{
    uint32_t v = 0;

    memcpy(&v, (uint8_t *)host_mmio_memory(LFB) + y * f->pitch + x * f->bits / 8, f->bits / 8);
    return v;
}

static void lfb_one(uint8_t bits, uint32_t ink)
{
    struct lfb_format f = format(bits);

    host_machine_init(4 << 20, 1);
    host_memory_init();
    host_mmio_add(LFB, f.pitch * f.height, (struct host_device){0});
    log_clear();
    assert_int_equal(lfb_init(&f), 0);
    log_raw("T", 1); /* its top row is five dots */
    for (unsigned x = 0; x < 8; x++) {
        assert_int_equal(pixel(&f, x, 0), 0);
        assert_int_equal(pixel(&f, x, 1), x >= 1 && x <= 5 ? ink : 0);
        assert_int_equal(pixel(&f, x, 2), x >= 1 && x <= 5 ? ink : 0);
        assert_int_equal(pixel(&f, x, 3), x == 3 ? ink : 0);
    }
    log_raw("\n\n\n\n", 4);
    assert_int_equal(pixel(&f, 3, 3), 0); /* scrolled away */
    log_raw("12345678901234567890", 20);
    display_release();
}

static void lfb(void **state)
{
    lfb_one(32, 0xaaaaaa);
    lfb_one(24, 0xaaaaaa);
    lfb_one(16, 20 << 11 | 42 << 5 | 20);
}

static void lfb_formats(void **state)
{
    struct lfb_format f;

#define REFUSED(change) \
    f = format(32);     \
    change;             \
    assert_int_equal(lfb_init(&f), -EINVAL)
    REFUSED(f.base = 0);
    REFUSED(f.bits = 8);
    REFUSED(f.bits = 15);
    REFUSED(f.width = 0);
    REFUSED(f.height = 15);
    REFUSED(f.width = 0x40000000);
    REFUSED(f.pitch = 64);
    REFUSED(f.pitch = 64 * 4 + 1);
    REFUSED(f.pitch = 0xfffffffc);
    REFUSED(f.height = 20000);
    REFUSED(f.red_pos = 30);
    REFUSED(f.blue_size = 9);
    f = format(32);
    param_parse("console=none");
    assert_int_equal(lfb_init(&f), -ENODEV);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(vga),
        cmocka_unit_test(lfb),
        cmocka_unit_test(lfb_formats),
    };
    return cmocka_run_group_tests_name("platform_display", tests, NULL, NULL);
}
