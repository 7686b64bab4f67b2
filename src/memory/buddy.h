/* SPDX-License-Identifier: MIT */
/* The allocator of machine frames: blocks of 2^order frames, aligned to their size. */
#pragma once

#include "lib/types.h"

#define BUDDY_ORDERS 19 /* 0 to 18: 4 KiB to 1 GiB */

/* A block all below physical address 2^addr_bits (0: anywhere); the highest that fits is taken.
 * Contents undefined. -ENOMEM. Takes the buddy lock. */
int must_check buddy_alloc(unsigned order, unsigned addr_bits, mfn_t *out);
/* Gives back 2^order frames from `m` on; need not be one allocated block, must be aligned. */
void buddy_free(mfn_t m, unsigned order);
/* Gives back n frames from `m` on. */
void buddy_free_range(mfn_t m, uint64_t n);
/* Gives [first, end) to the allocator; for start-up. */
void buddy_add(mfn_t first, mfn_t end);

uint64_t buddy_free_frames(void);
uint64_t buddy_total_frames(void); /* all that was ever added */

/* Zeroes n frames that the caller has from the allocator and has not touched; quick where they are
 * zero already. */
void buddy_zero(mfn_t m, uint64_t n);
/* For idle CPUs: zeroes a free frame at most. Is there more to do? */
bool buddy_scrub(void);

/* Start-up: per-frame state for frames below `max` lives at `state` (one byte each, zeroed). */
void buddy_init(uint8_t *state, uint64_t max);
/* Is the frame free in the allocator? For audits. */
bool buddy_is_free(mfn_t m);

/* A small number (1 to 31) that the owner of an allocated frame keeps with it. */
void buddy_tag(mfn_t m, uint8_t tag);
uint8_t buddy_tag_of(mfn_t m);
