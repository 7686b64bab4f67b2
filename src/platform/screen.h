/* SPDX-License-Identifier: MIT */
/* A grid of characters that scrolls, over a screen that can draw one character: what vga.c and
 * lfb.c have in common. */
#pragma once

#include "base/log.h"

#define FONT_CHARS 95
#define FONT_ROWS  7
#define FONT_FIRST ' '
extern const uint8_t font_dots[FONT_CHARS][FONT_ROWS];

struct screen {
    struct log_console console; /* name is set by the owner */
    unsigned cols, rows;        /* [I] */
    unsigned x, y;              /* [LOG] */
    char *cells;                /* [LOG] what is shown, cols * rows; spaces at first */
    void (*draw)(struct screen *s, unsigned x, unsigned y, char c);
    void (*cursor)(struct screen *s); /* NULL: has none */
    bool shown;                       /* is in the list of consoles */
};

/* Clears the grid and adds the console. */
void screen_start(struct screen *s);
