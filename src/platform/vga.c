/* SPDX-License-Identifier: MIT */
/* The text mode of VGA as the BIOS left it: 80 x 25 cells of character and colour. IBM VGA hardware
 * interface, alphanumeric modes; CRT controller registers 0e and 0f hold the cursor. */
#include "hw/ops.h"
#include "lib/errno.h"
#include "memory/layout.h"
#include "platform/display.h"
#include "platform/screen.h"
#include "platform/uart.h"

#define TEXT_BASE   0xb8000u
#define COLS        80u
#define ROWS        25u
#define COLOUR      0x0700u /* light grey on black */
#define CRTC_INDEX  0x3d4
#define CRTC_DATA   0x3d5
#define CURSOR_HIGH 0x0e
#define CURSOR_LOW  0x0f

static uint8_t *memory;
static char cells[COLS * ROWS];

static void draw(struct screen *s, unsigned x, unsigned y, char c)
{
    mmio_write16(memory + (y * COLS + x) * 2, (uint16_t)(COLOUR | (uint8_t)c));
}

static void cursor(struct screen *s)
{
    unsigned at = s->y * COLS + (s->x < COLS ? s->x : COLS - 1);

    out8(CRTC_INDEX, CURSOR_HIGH);
    out8(CRTC_DATA, (uint8_t)(at >> 8));
    out8(CRTC_INDEX, CURSOR_LOW);
    out8(CRTC_DATA, (uint8_t)at);
}

static struct screen screen = {
    .console.name = "vga",
    .cols = COLS,
    .rows = ROWS,
    .cells = cells,
    .draw = draw,
    .cursor = cursor,
};

int vga_init(void)
{
    if (!console_wanted("vga"))
        return -ENODEV;
    /* The first 2 MiB are in the direct map from the first instruction on; MTRRs make it uncached.
     */
    memory = paddr_to_virt(TEXT_BASE);
    for (unsigned y = 0; y < ROWS; y++)
        for (unsigned x = 0; x < COLS; x++)
            draw(&screen, x, y, ' ');
    screen_start(&screen);
    return 0;
}
