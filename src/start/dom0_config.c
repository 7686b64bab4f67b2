/* SPDX-License-Identifier: MIT */
/* What the command line says of domain 0: "dom0_mem=[min:]<size>|-<size>, max:<size>",
 * "dom0_max_vcpus=<n>" or "<min>-<max>", "dom0=pv" or "dom0=pvh". Sizes without a suffix are KiB. A
 * negative size is all memory but so much. */
#include "base/log.h"
#include "base/panic.h"
#include "base/param.h"
#include "boot/boot_info.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "lib/strutil.h"
#include "memory/buddy.h"
#include "start/dom0.h"

#define MIN_PAGES     (64ull << 20 >> PAGE_SHIFT)  /* no Linux starts in less */
#define RESERVE_SHARE 16                           /* kept free: a sixteenth, */
#define RESERVE_MAX   (128ull << 20 >> PAGE_SHIFT) /* but not more */

struct size_wish {
    uint64_t pages;
    bool negative, set;
};
static struct size_wish wish_nr, wish_min, wish_max;
static uint64_t vcpus_min = 1, vcpus_max = MAX_VCPUS;

static int init_code parse_wish(const char **s, struct size_wish *w)
{
    uint64_t bytes;
    int rc;

    w->negative = **s == '-';
    if (w->negative)
        ++*s;
    rc = parse_size(s, 'K', &bytes);
    if (rc)
        return rc;
    w->pages = bytes >> PAGE_SHIFT;
    w->set = true;
    return 0;
}

static int init_code parse_dom0_mem(const char *s, bool negated)
{
    struct size_wish nr = wish_nr, low = wish_min, high = wish_max;

    if (negated || !*s)
        return -EINVAL;
    while (*s) {
        struct size_wish *w = &nr;
        int rc;

        if (!strncmp(s, "min:", 4))
            w = &low, s += 4;
        else if (!strncmp(s, "max:", 4))
            w = &high, s += 4;
        rc = parse_wish(&s, w);
        if (rc)
            return rc;
        if (*s == ',')
            s++;
        else if (*s)
            return -EINVAL;
    }
    wish_nr = nr;
    wish_min = low;
    wish_max = high;
    return 0;
}
PARAM_CUSTOM("dom0_mem", parse_dom0_mem);

static int init_code parse_dom0_max_vcpus(const char *s, bool negated)
{
    uint64_t a, b;
    int rc = parse_uint(&s, 0, &a);

    if (rc)
        return rc;
    b = a;
    if (*s == '-') {
        s++;
        rc = *s ? parse_uint(&s, 0, &b) : (b = MAX_VCPUS, 0);
        if (rc)
            return rc;
    }
    if (*s || !a || b < a || b > MAX_VCPUS)
        return -EINVAL;
    vcpus_min = a;
    vcpus_max = b;
    return 0;
}
PARAM_CUSTOM("dom0_max_vcpus", parse_dom0_max_vcpus);

bool dom0_pvh;

static int init_code parse_dom0(const char *s, bool negated)
{
    if (negated)
        return -EINVAL;
    if (!strcmp(s, "pvh"))
        dom0_pvh = true;
    else if (!strcmp(s, "pv"))
        dom0_pvh = false;
    else
        return -EINVAL;
    return 0;
}
PARAM_CUSTOM("dom0", parse_dom0);

unsigned init_code dom0_vcpus(void)
{
    uint64_t n = bitmap_weight(cpus_active.bits, MAX_CPUS);

    return (unsigned)min(max(n, vcpus_min), vcpus_max);
}

static uint64_t init_code resolve(const struct size_wish *w, uint64_t avail)
{
    if (w->negative)
        return w->pages < avail ? avail - w->pages : 0;
    return w->pages;
}

void init_code dom0_size(struct dom0 *b)
{
    uint64_t free = buddy_free_frames(), avail = free - min(free / RESERVE_SHARE, RESERVE_MAX);
    uint64_t initrd = b->initrd ? DIV_ROUND_UP(b->initrd->end - b->initrd->start, PAGE_SIZE) : 0;

    avail += initrd; /* its frames become domain 0's */
    b->nr_pages = wish_nr.set ? resolve(&wish_nr, avail) : avail;
    if (wish_min.set)
        b->nr_pages = max(b->nr_pages, resolve(&wish_min, avail));
    b->max_pages = wish_max.set ? resolve(&wish_max, avail) : ~0ull >> PAGE_SHIFT;
    b->nr_pages = min(b->nr_pages, b->max_pages);
    if (b->nr_pages > avail) {
        if (!wish_nr.negative && wish_nr.pages > buddy_total_frames() + initrd)
            fatal("too little memory: dom0_mem asks for %lu MiB, the machine has %lu MiB free; "
                  "give less",
                  b->nr_pages >> 8, avail >> 8);
        log_warn("dom0_mem: %lu MiB are not there, domain 0 gets %lu MiB", b->nr_pages >> 8,
                 avail >> 8);
        b->nr_pages = avail;
    }
    if (b->nr_pages < MIN_PAGES)
        fatal("too little memory: domain 0 would get %lu MiB, it needs %llu at the least; "
              "check dom0_mem and the machine's memory",
              b->nr_pages >> 8, MIN_PAGES >> 8);
}
