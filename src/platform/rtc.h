/* SPDX-License-Identifier: MIT */
/* The CMOS clock. Motorola MC146818A datasheet; the century byte of PCs is not believed. */
#pragma once

#include "lib/types.h"

/* UTC seconds since 1970 (the clock is taken to run in UTC). -ENODEV: nothing sensible there. */
int must_check rtc_read(uint64_t *sec);
/* Sets it; years 1970 to 2069. -EINVAL beyond, -ENODEV. */
int must_check rtc_write(uint64_t sec);
/* One CMOS register for domain 0, whose index and data accesses come through us: register 0-127. */
uint8_t cmos_read(uint8_t reg);
void cmos_write(uint8_t reg, uint8_t val);
