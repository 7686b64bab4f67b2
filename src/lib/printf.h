/* SPDX-License-Identifier: MIT */
/*
 * Formatted output into a buffer. As C99's snprintf without floating point: %d i u x X o c s p %%;
 * flags - 0 + space #; width and precision, also *; lengths hh h l ll z j t. %p prints 0x and the
 * digits. An unknown conversion is copied as it stands.
 */
#pragma once

#include <stdarg.h>

#include "lib/types.h"

/*
 * Writes at most size bytes with the terminating NUL (nothing if size is 0). Returns the length
 * that the whole text has without NUL: it was cut if that is >= size.
 */
int fmt_vsnprintf(char *to, size_t size, const char *fmt, va_list args) printf_like(3, 0);
int fmt_snprintf(char *to, size_t size, const char *fmt, ...) printf_like(3, 4);
