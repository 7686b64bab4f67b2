/* SPDX-License-Identifier: MIT */
/* Refusals: why a hypercall failed. `return refuse(-EINVAL, "grant map: ref %u beyond %u", a, b);`
 *
 * The site and up to four integer arguments are kept in a ring of the current vCPU; text is made
 * only when somebody reads it (debug key, guest_loglvl=all). Arguments are integers of at most 64
 * bits, printed with %u %d %x %lx and the like; pointers and strings are not allowed. */
#pragma once

#include "lib/util.h"

#define REFUSE_ARGS 4
#define REFUSE_KEPT 16

struct refuse_site {
    const char *file;
    uint32_t line;
    uint32_t count; /* [a] */
    const char *fmt;
};

struct refusal {
    const struct refuse_site *site;
    uint64_t arg[REFUSE_ARGS];
    int32_t rc;
    uint32_t call; /* hypercall number, or ~0 */
};

/* A vCPU's last refusals; part of struct vcpu. */
struct refuse_ring {
    struct refusal entry[REFUSE_KEPT];
    uint32_t next;
    uint32_t call; /* the hypercall in progress, set by the dispatcher */
};

void refuse_record(struct refuse_site *site, int rc, unsigned n, const uint64_t *args) cold;
/* The ring that refuse_record writes: of the current vCPU; [I] set by domain/. May return NULL. */
extern struct refuse_ring *(*refuse_current_ring)(void);
/* Writes the text of a refusal: "grant_table_op: -22: grant map: ... (file:line)". */
void refuse_format(const struct refusal *r, char *buf, size_t len);
/* The name of hypercall `call`, or NULL; [I] set by hypercall/. */
extern const char *(*refuse_call_name)(uint32_t call);
/* The name of an errno of the public errno.h, "EINVAL" for 22; "E?" if there is none. */
const char *errno_name(int error);
/* Debug key: prints the refusals of a ring, oldest first; and every site that ever refused. */
void refuse_dump_ring(const struct refuse_ring *ring);
void refuse_dump_sites(void);

static inline void refuse_check_format(const char *fmt, ...) printf_like(1, 2);
static inline void refuse_check_format(const char *fmt, ...)
{
}

/* The value is `rc` itself, so that the compiler sees that it is an error. */
#define refuse(rc, fmt_, ...)                                                                     \
    ({                                                                                            \
        static struct refuse_site refuse_site_                                                    \
            __attribute__((__section__("refuse_sites"), __aligned__(8))) = {                      \
                .file = __FILE__, .line = __LINE__, .fmt = (fmt_)};                               \
        const uint64_t refuse_args_[] = {0, ##__VA_ARGS__};                                       \
        const int refuse_rc_ = (rc);                                                              \
        if (0)                                                                                    \
            refuse_check_format(fmt_, ##__VA_ARGS__);                                             \
        refuse_record(&refuse_site_, refuse_rc_, ARRAY_SIZE(refuse_args_) - 1, refuse_args_ + 1); \
        refuse_rc_;                                                                               \
    })
