/* SPDX-License-Identifier: MIT */
/* The scrolling grid. What the screen shows is kept in RAM: a line that moves up is compared with
 * what stood there, and only the cells that differ are drawn, since device memory is slow. */
#include "platform/screen.h"
#include "base/param.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "lib/util.h"
#include "platform/display.h"

#define SCREENS 2
#define TAB     8

static struct screen *screens[SCREENS];
static unsigned nr_screens;
static bool keep;

static int param_vga(const char *value, bool negated)
{
    if (negated || strcmp(value, "keep"))
        return -EINVAL;
    keep = true;
    return 0;
}
PARAM_CUSTOM("vga", param_vga);

static void put(struct screen *s, unsigned x, unsigned y, char c)
{
    char *cell = &s->cells[y * s->cols + x];

    if (*cell == c)
        return;
    *cell = c;
    s->draw(s, x, y, c);
}

static void scroll(struct screen *s)
{
    for (unsigned y = 0; y + 1 < s->rows; y++)
        for (unsigned x = 0; x < s->cols; x++)
            put(s, x, y, s->cells[(y + 1) * s->cols + x]);
    for (unsigned x = 0; x < s->cols; x++)
        put(s, x, s->rows - 1, ' ');
}

static void new_line(struct screen *s)
{
    s->x = 0;
    if (s->y + 1 < s->rows)
        s->y++;
    else
        scroll(s);
}

static void screen_write(struct log_console *c, const char *text, size_t len)
{
    struct screen *s = container_of(c, struct screen, console);

    for (size_t i = 0; i < len; i++) {
        if (text[i] == '\n') {
            new_line(s);
            continue;
        }
        if (text[i] == '\r') {
            s->x = 0;
            continue;
        }
        if (s->x == s->cols)
            new_line(s);
        if (text[i] == '\t') {
            s->x = min((s->x / TAB + 1) * TAB, s->cols);
            continue;
        }
        put(s, s->x++, s->y, text[i] >= ' ' && text[i] <= '~' ? text[i] : '?');
    }
    if (s->cursor)
        s->cursor(s);
}

void screen_start(struct screen *s)
{
    memset(s->cells, ' ', (size_t)s->cols * s->rows);
    s->x = s->y = 0;
    s->console.write = screen_write;
    if (nr_screens < SCREENS)
        screens[nr_screens++] = s;
    s->shown = true;
    log_console_add(&s->console);
}

void display_release(void)
{
    for (unsigned i = 0; i < nr_screens; i++)
        if (screens[i]->shown && !keep) {
            screens[i]->shown = false;
            log_console_remove(&screens[i]->console);
        }
}
