/* SPDX-License-Identifier: MIT */
/*
 * Why calls failed: records are a few stores; the text is made when somebody reads it.
 *
 * The arguments were stored as 64-bit numbers whatever their type; they go back through "...",
 * where the x86-64 psABI (3.2.3) gives each integer a slot of 8 bytes, so a narrower conversion
 * reads the low part.
 */
#include "base/refuse.h"
#include "base/log.h"
#include "base/panic.h"
#include "lib/printf.h"
#include "lib/string.h"

extern struct refuse_site __start_refuse_sites[] __attribute__((weak));
extern struct refuse_site __stop_refuse_sites[] __attribute__((weak));

struct refuse_ring *(*refuse_current_ring)(void)sealed;
const char *(*refuse_call_name)(uint32_t call)sealed;

const char *errno_name(int error)
{
    static const struct {
        const char *name;
        int value;
    } names[] = {
#undef XEN_ERRNO
#define XEN_ERRNO(name, value) {#name, value},
#include <xen/errno.h>
    };

    for (unsigned i = 0; i < ARRAY_SIZE(names); i++)
        if (names[i].value == error)
            return names[i].name;
    return "E?";
}

void refuse_record(struct refuse_site *site, int rc, unsigned n, const uint64_t *args)
{
    struct refuse_ring *ring = refuse_current_ring ? refuse_current_ring() : NULL;
    struct refusal r = {.site = site, .rc = rc, .call = ring ? ring->call : ~0u};

    ASSERT(n <= REFUSE_ARGS);
    for (unsigned i = 0; i < min(n, (unsigned)REFUSE_ARGS); i++)
        r.arg[i] = args[i];
    __atomic_fetch_add(&site->count, 1, __ATOMIC_RELAXED);
    if (ring)
        ring->entry[ring->next++ % REFUSE_KEPT] = r;
    if (log_guest_enabled(LOG_DEBUG)) {
        char text[200];

        refuse_format(&r, text, sizeof(text));
        log_guest(LOG_DEBUG, "%s", text);
    }
}

void refuse_format(const struct refusal *r, char *buf, size_t len)
{
    const char *name = refuse_call_name ? refuse_call_name(r->call) : NULL;
    const char *file = r->site->file;
    char call[24], text[160];

    if (!strncmp(file, "src/", 4))
        file += 4;
    if (name)
        fmt_snprintf(call, sizeof(call), "%s", name);
    else if (r->call == ~0u)
        fmt_snprintf(call, sizeof(call), "no call");
    else
        fmt_snprintf(call, sizeof(call), "hypercall %u", r->call);
    fmt_snprintf(text, sizeof(text), r->site->fmt, r->arg[0], r->arg[1], r->arg[2], r->arg[3]);
    fmt_snprintf(buf, len, "%s: -%s: %s (%s:%u)", call, errno_name(-r->rc), text, file,
                 r->site->line);
}

void refuse_dump_ring(const struct refuse_ring *ring)
{
    uint32_t end = read_once(ring->next), n = min(end, (uint32_t)REFUSE_KEPT);
    char text[200];

    /* Its vCPU may run, and refusals come faster than text: those of now, no more. */
    for (uint32_t i = end - n; i != end; i++) {
        refuse_format(&ring->entry[i % REFUSE_KEPT], text, sizeof(text));
        log_key("  %s", text);
    }
}

void refuse_dump_sites(void)
{
    for (struct refuse_site *s = __start_refuse_sites; s < __stop_refuse_sites; s++)
        if (s->count)
            log_key("  %8u  %s:%u  %s", s->count, s->file, s->line, s->fmt);
}
