/* SPDX-License-Identifier: MIT */
/*
 * Memory and string functions with the standard names, prototypes and meaning (C11 7.24). The
 * hypervisor links lib/string.c; the host build links libc. Constant small sizes are expanded in
 * place by the compiler although the build is freestanding.
 */
#pragma once

#include "lib/types.h"

void *memcpy(void *restrict to, const void *restrict from, size_t n);
void *memmove(void *to, const void *from, size_t n);
void *memset(void *to, int c, size_t n);
int memcmp(const void *a, const void *b, size_t n);
size_t strlen(const char *s);
size_t strnlen(const char *s, size_t max);
int strcmp(const char *a, const char *b);
int strncmp(const char *a, const char *b, size_t n);
char *strchr(const char *s, int c);

#if !defined(ARGON_HOST) && !defined(LIB_STRING_IMPLEMENTATION)
#define memcpy(to, from, n)  __builtin_memcpy(to, from, n)
#define memmove(to, from, n) __builtin_memmove(to, from, n)
#define memset(to, c, n)     __builtin_memset(to, c, n)
#define memcmp(a, b, n)      __builtin_memcmp(a, b, n)
#define strlen(s)            __builtin_strlen(s)
#endif
