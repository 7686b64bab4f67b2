/* SPDX-License-Identifier: MIT */
/* Screens for the log: the text mode of VGA, and linear frame buffers. Wanted by "console=vga". */
#pragma once

#include "lib/types.h"

/* 80 x 25 characters at physical 0xb8000; needs no memory. -ENODEV: not wanted. */
int must_check vga_init(void);

struct lfb_format {
    paddr_t base;
    uint32_t width, height, pitch; /* pixels, pixels, bytes */
    uint8_t bits;                  /* of a pixel: 16, 24 or 32 */
    uint8_t red_pos, red_size, green_pos, green_size, blue_pos, blue_size;
};
/* Text on the frame buffer. -ENODEV: not wanted; -EINVAL: a format it cannot draw; -ENOMEM. */
int must_check lfb_init(const struct lfb_format *f);

/* Domain 0 takes the screen over: no more output, unless "vga=keep". */
void display_release(void);
