/* SPDX-License-Identifier: MIT */
/* sysctl: trace buffers. A ring for each CPU, made once, of frames that DOMID_XEN owns and domain 0
 * maps; a table of numbers and lists, which domain 0 may only read, says which frames. Public
 * sysctl.h (XEN_SYSCTL_tbuf_op) and trace.h. */
#include "hypercall/control.h"

#include "event/event.h"
#include "hypercall/hypercall.h"
#include "lib/string.h"
#include "memory/buddy.h"
#include "memory/heap.h"
#include "time/trace.h"

#define PAGES_MAX    1024u /* of a CPU's ring */
#define OFFSET_MAX   65535u
#define TRC_PV_CLASS 0x00200000u /* of TRC_PV, without its sub-classes */

/* [control] */
static uint32_t *info; /* struct t_info, in the direct map; [I] once it is there */
static unsigned info_order;
static uint32_t events = TRC_ALL; /* wanted, whether tracing is on or off */
static bool enabled;

void sysctl_trace_half_full(void)
{
    event_send_global_virq(VIRQ_TBUF);
}

/* Words of struct t_info before the lists of frames. */
static unsigned head_words(void)
{
    return DIV_ROUND_UP((1 + cpu_count) * (uint32_t)sizeof(uint16_t), (uint32_t)sizeof(uint32_t));
}

static void apply(void)
{
    uint32_t wanted = enabled ? events : 0;

    __atomic_store_n(&trace_events, wanted, __ATOMIC_RELEASE);
    hypercall_trace((wanted & TRC_PV_CLASS) != 0);
}

static void free_lists(const uint32_t *list, unsigned frames)
{
    while (frames--)
        heap_page_free(mfn_to_virt(mfn(list[frames])));
}

/* The frames of all rings, in one list; -ENOMEM. */
static int alloc_lists(uint32_t *list, unsigned frames)
{
    for (unsigned i = 0; i < frames; i++) {
        void *page = heap_page();

        if (!page) {
            free_lists(list, i);
            return refuse(-ENOMEM, "trace buffers: %u frames of %u", i, frames);
        }
        list[i] = (uint32_t)virt_to_mfn(page).n;
        (void)!hypercall_preempt(); /* a window; the lock of control operations stays ours */
    }
    return 0;
}

static void share(const uint32_t *lists, unsigned pages)
{
    uint16_t *t = (uint16_t *)info;
    unsigned n = 0, cpu;

    t[0] = (uint16_t)pages; /* tbuf_size, then mfn_offset of each CPU */
    bitmap_for_each (cpu, cpus_present.bits, MAX_CPUS) {
        const uint32_t *list = lists + n * pages;

        t[1 + cpu] = (uint16_t)(list - info);
        for (unsigned i = 0; i < pages; i++)
            frame_share(&frame_owner_xen, mfn_to_virt(mfn(list[i])), true);
        trace_ring_set(cpu, list, pages);
        n++;
    }
    for (unsigned i = 0; i < 1u << info_order; i++)
        frame_share(&frame_owner_xen, (uint8_t *)info + i * PAGE_SIZE, false);
}

static long set_size(uint32_t pages)
{
    unsigned cpus = (unsigned)bitmap_weight(cpus_present.bits, MAX_CPUS), words, order = 0;
    mfn_t m;
    int rc;

    if (info)
        return refuse(-EINVAL, "trace buffers have their size");
    if (!pages)
        return refuse(-EINVAL, "trace buffers of no pages");
    /* The lists are found by 16-bit offsets. */
    pages = min(pages, PAGES_MAX);
    pages = min(pages, (OFFSET_MAX - head_words()) / cpus);
    words = head_words() + pages * cpus;
    while (PAGE_SIZE << order < words * sizeof(uint32_t))
        order++;
    if (buddy_alloc(order, 0, &m))
        return refuse(-ENOMEM, "trace buffers: a block of order %u", order);
    memset(mfn_to_virt(m), 0, PAGE_SIZE << order);
    rc = alloc_lists((uint32_t *)mfn_to_virt(m) + head_words(), pages * cpus);
    if (rc) {
        buddy_free(m, order);
        return rc;
    }
    info = mfn_to_virt(m);
    info_order = order;
    trace_cpus = cpus_present;
    share(info + head_words(), pages);
    return 0;
}

long sysctl_tbuf_op(struct xen_sysctl *op)
{
    struct xen_sysctl_tbuf_op *a = &op->u.tbuf_op;
    struct cpu_mask cpus;

    switch (a->cmd) {
    case XEN_SYSCTL_TBUFOP_get_info:
        a->evt_mask = events;
        a->buffer_mfn = info ? virt_to_mfn(info).n : 0;
        a->size = info ? (uint32_t)(PAGE_SIZE << info_order) : 0;
        return 0;
    case XEN_SYSCTL_TBUFOP_set_cpu_mask:
        if (control_mask_read(&a->cpu_mask, &cpus))
            return -EFAULT;
        trace_cpus = cpus;
        return 0;
    case XEN_SYSCTL_TBUFOP_set_evt_mask:
        events = a->evt_mask;
        apply();
        return 0;
    case XEN_SYSCTL_TBUFOP_set_size:
        return set_size(a->size);
    case XEN_SYSCTL_TBUFOP_enable:
        if (!info)
            return refuse(-EINVAL, "there are no trace buffers");
        enabled = true;
        apply();
        return 0;
    case XEN_SYSCTL_TBUFOP_disable:
        enabled = false;
        apply();
        return 0;
    default:
        return refuse(-EINVAL, "trace buffers: operation %u", a->cmd);
    }
}
