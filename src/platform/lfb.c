/* SPDX-License-Identifier: MIT */
/* Text on a linear frame buffer of 16, 24 or 32 bits a pixel. A character takes 8 x 16 pixels: the
 * font's 5 x 7 dots, each two pixels high, with a margin of one pixel to the left and above. */
#include "base/log.h"
#include "hw/ops.h"
#include "lib/errno.h"
#include "lib/util.h"
#include "memory/heap.h"
#include "memory/map.h"
#include "platform/display.h"
#include "platform/screen.h"
#include "platform/uart.h"

#define CELL_WIDTH  8u
#define CELL_HEIGHT 16u
#define FONT_COLS   5u
#define SIZE_MAX_PX 16384u
#define GREY        0xaau /* of 255, in each colour */

static struct lfb_format format;
static unsigned pixel_bytes;
static uint32_t ink;
static uint8_t *memory;

static void set_pixel(uint8_t *p, uint32_t colour)
{
    if (pixel_bytes == 4) {
        mmio_write32(p, colour);
        return;
    }
    if (pixel_bytes == 2) {
        mmio_write16(p, (uint16_t)colour);
        return;
    }
    for (unsigned i = 0; i < 3; i++)
        mmio_write8(p + i, (uint8_t)(colour >> 8 * i));
}

static void draw(struct screen *s, unsigned x, unsigned y, char c)
{
    const uint8_t *dots = font_dots[c - FONT_FIRST];

    for (unsigned row = 0; row < CELL_HEIGHT; row++) {
        uint8_t *p = memory + (size_t)(y * CELL_HEIGHT + row) * format.pitch +
                     (size_t)x * CELL_WIDTH * pixel_bytes;
        unsigned line = row >= 1 && row <= 2 * FONT_ROWS ? dots[(row - 1) / 2] : 0;

        for (unsigned col = 0; col < CELL_WIDTH; col++, p += pixel_bytes) {
            bool on = col >= 1 && col <= FONT_COLS && (line >> (FONT_COLS - col) & 1);

            set_pixel(p, on ? ink : 0);
        }
    }
}

static struct screen screen = {.console.name = "vga", .draw = draw};

static uint32_t component(unsigned pos, unsigned size)
{
    return size ? (GREY * ((1u << size) - 1) / 255) << pos : 0;
}

static bool format_ok(const struct lfb_format *f)
{
    return f->base && (f->bits == 16 || f->bits == 24 || f->bits == 32) && f->width >= CELL_WIDTH &&
           f->height >= CELL_HEIGHT && f->width <= SIZE_MAX_PX && f->height <= SIZE_MAX_PX &&
           f->pitch >= f->width * (f->bits / 8) && f->pitch <= SIZE_MAX_PX * 4 &&
           (f->bits == 24 || f->pitch % (f->bits / 8) == 0) && f->red_size <= 8 &&
           f->green_size <= 8 && f->blue_size <= 8 && f->red_pos + f->red_size <= f->bits &&
           f->green_pos + f->green_size <= f->bits && f->blue_pos + f->blue_size <= f->bits;
}

int lfb_init(const struct lfb_format *f)
{
    size_t size = (size_t)f->pitch * f->height;

    if (!console_wanted("vga"))
        return -ENODEV;
    if (!format_ok(f)) {
        log_warn("frame buffer of %ux%u with %u bits cannot be drawn on", f->width, f->height,
                 f->bits);
        return -EINVAL;
    }
    format = *f;
    pixel_bytes = f->bits / 8;
    ink = component(f->red_pos, f->red_size) | component(f->green_pos, f->green_size) |
          component(f->blue_pos, f->blue_size);
    screen.cols = f->width / CELL_WIDTH;
    screen.rows = f->height / CELL_HEIGHT;
    screen.cells = heap_alloc((size_t)screen.cols * screen.rows);
    if (!screen.cells)
        return -ENOMEM;
    memory = map_device(f->base, size, PTE_CACHE_WC);
    if (!memory) {
        heap_free(screen.cells);
        return -ENOMEM;
    }
    for (unsigned y = 0; y < screen.rows; y++)
        for (unsigned x = 0; x < screen.cols; x++)
            draw(&screen, x, y, ' ');
    screen_start(&screen);
    return 0;
}
