/* SPDX-License-Identifier: MIT */
/* String helpers that libc does not have: bounded copies and the parsing of numbers and sizes. */
#pragma once

#include "lib/types.h"

/*
 * Copies s into to[size], always terminated when size is not 0. Returns strlen(s): the copy was
 * cut if that is >= size.
 */
size_t strlcpy(char *to, const char *s, size_t size);

/*
 * Reads an unsigned number at *s and moves *s behind it. Base 2 to 36; base 0 takes the C prefixes
 * 0x (16) and 0 (8), else 10. No sign, no leading space. -EINVAL without a digit, -ERANGE
 * beyond 64 bits; *s and *out are then untouched.
 */
int must_check parse_uint(const char **s, unsigned int base, uint64_t *out);

/*
 * Reads a size, "<number>[BKMGT]" in either case, moves *s behind it and gives bytes. A number
 * without suffix counts in `unit`, itself one of those letters. Errors as parse_uint().
 */
int must_check parse_size(const char **s, char unit, uint64_t *bytes);
