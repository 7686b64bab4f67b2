/* SPDX-License-Identifier: MIT */
/* The pieces of the entry and exit paths that only some processors need, by number: for the
 * assembly that has them and for cpu/init.c, which switches them on. */
#pragma once

#define SPEC_SITE_ENTRY 0 /* around all that an entry from a guest may need */
#define SPEC_SITE_EXIT  1 /* around all that an exit may need */
#define SPEC_SITE_XPTI  2 /* the guest runs on page tables of its own */
#define SPEC_SITE_RSB   3 /* fill the predictor of returns */
#define SPEC_SITE_VERW  4 /* empty the processor's buffers */
#define SPEC_SITE_COUNT 5
