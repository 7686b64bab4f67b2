/* SPDX-License-Identifier: MIT */
/* console_io: text out, nothing in, bad requests.
 *
 * Cause: it is a kernel's first voice, and the hvc0 console of domain 0.
 * Steps: write nothing, a line, a line across a page; read without input; unknown commands, bad
 * memory.
 * Verdict: 0 for writes, 0 bytes read, -ENOSYS and -EFAULT. */
#include "lib/guest.h"

void test_main(void)
{
    static char buf[64];
    char *page = page_alloc(), *hole = hole_alloc();

    need_eq(hole - page, PAGE_SIZE);
    expect_eq(hc_console_io(CONSOLEIO_write, 5, "five\n"), 0);
    expect_eq(hc_console_io(CONSOLEIO_write, 0, NULL), 0);
    expect_eq(hc_console_io(CONSOLEIO_write, 0, (void *)8), 0);
    memcpy(hole - 5, "edge\n", 5);
    expect_eq(hc_console_io(CONSOLEIO_write, 5, hole - 5), 0);
    expect_eq(hc_console_io(CONSOLEIO_write, 5, hole), -XEN_EFAULT);
    expect_eq(hc_console_io(CONSOLEIO_write, 5, (void *)0xffff830000000000), -XEN_EFAULT);
    expect_eq(hc_console_io(CONSOLEIO_read, sizeof(buf), buf), 0);
    expect_eq(hc_console_io(CONSOLEIO_read, 0, buf), 0);
    expect_eq(hc_console_io(2, 5, "five\n"), -XEN_ENOSYS);
    expect_eq(hc_console_io(-1, 5, "five\n"), -XEN_ENOSYS);
    test_pass();
}
