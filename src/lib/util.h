/* SPDX-License-Identifier: MIT */
/* Small arithmetic that everybody needs. Alignments are powers of two. */
#pragma once

#include "lib/types.h"

#define BIT(n)             (1ull << (n))
#define ARRAY_SIZE(a)      (sizeof(a) / sizeof((a)[0]))
#define ROUND_UP(x, a)     (((x) + ((typeof(x))(a)-1)) & ~((typeof(x))(a)-1))
#define ROUND_DOWN(x, a)   ((x) & ~((typeof(x))(a)-1))
#define IS_ALIGNED(x, a)   (((x) & ((typeof(x))(a)-1)) == 0)
#define DIV_ROUND_UP(x, d) (((x) + (d)-1) / (d))

#define container_of(p, type, member) ((type *)((char *)(p)-offsetof(type, member)))

#define min(a, b)                          \
    ({                                     \
        typeof(a) min_a_ = (a);            \
        typeof(b) min_b_ = (b);            \
        min_a_ < min_b_ ? min_a_ : min_b_; \
    })
#define max(a, b)                          \
    ({                                     \
        typeof(a) max_a_ = (a);            \
        typeof(b) max_b_ = (b);            \
        max_a_ > max_b_ ? max_a_ : max_b_; \
    })

/* A shared word is read or written exactly once, whole. */
#define read_once(x)     (*(const volatile typeof(x) *)&(x))
#define write_once(x, v) (*(volatile typeof(x) *)&(x) = (v))
