/* SPDX-License-Identifier: MIT */
/* sysctl: the console's text, memory and processors in numbers, the list of domains, debug keys.
 * Public sysctl.h; ABI.md 2.2. */
#include "hypercall/control.h"

#include "base/log.h"
#include "boot/boot_info.h"
#include "cpu/policy.h"
#include "cpu/topology.h"
#include "hvm/hvm.h"
#include "hypercall/debug_keys.h"
#include "lib/string.h"
#include "memory/buddy.h"
#include "platform/lapic.h"
#include "time/clock.h"

#define COPY_BYTES 512u
#define KEYS_MAX   64u

/* The ring is read in pieces: text that comes meanwhile is read too. */
long sysctl_readconsole(struct xen_sysctl *op)
{
    struct xen_sysctl_readconsole *a = &op->u.readconsole;
    uint32_t index = a->incremental ? a->index : 0, done = 0;
    char buf[COPY_BYTES];

    while (done < a->count) {
        size_t n = log_read(&index, buf, min(a->count - done, COPY_BYTES));

        if (!n)
            break;
        if (guest_write(handle_va(a->buffer) + done, buf, n))
            return refuse(-EFAULT, "console: text to %#lx", handle_va(a->buffer) + done);
        done += n;
    }
    a->count = done;
    a->index = index;
    if (a->clear)
        log_clear();
    return 0;
}

static uint64_t ram_pages(void)
{
    uint64_t pages = 0;

    for (unsigned i = 0; i < boot_info.nr_memory; i++)
        if (boot_info.memory[i].type == BOOT_RAM)
            pages += (boot_info.memory[i].end - boot_info.memory[i].start) >> PAGE_SHIFT;
    return pages;
}

static uint32_t last_cpu(void)
{
    uint32_t last = 0, cpu;

    bitmap_for_each (cpu, cpus_present.bits, MAX_CPUS)
        last = cpu;
    return last;
}

/* Of CPU 0: the others are taken to be like it. */
static void count_neighbours(uint32_t *threads, uint32_t *cores)
{
    uint32_t in_core = 0, in_socket = 0, apic = cpu_apic_id[0];
    unsigned cpu;

    bitmap_for_each (cpu, cpus_present.bits, MAX_CPUS) {
        if (topology_socket(cpu_apic_id[cpu]) != topology_socket(apic))
            continue;
        in_socket++;
        in_core += topology_core(cpu_apic_id[cpu]) == topology_core(apic);
    }
    *threads = max(in_core, 1u);
    *cores = max(in_socket / *threads, 1u);
}

long sysctl_physinfo(struct xen_sysctl *op)
{
    struct xen_sysctl_physinfo *a = &op->u.physinfo;
    uint32_t words[FEATURE_WORDS];

    memset(a, 0, sizeof(*a));
    count_neighbours(&a->threads_per_core, &a->cores_per_socket);
    a->nr_cpus = (uint32_t)bitmap_weight(cpus_active.bits, MAX_CPUS);
    a->max_cpu_id = last_cpu();
    a->nr_nodes = 1;
    a->cpu_khz = (uint32_t)(time_tsc_hz / 1000);
    a->capabilities =
        XEN_SYSCTL_PHYSCAP_pv | XEN_SYSCTL_PHYSCAP_gnttab_v1 | XEN_SYSCTL_PHYSCAP_gnttab_v2;
    if (hvm_ops)
        a->capabilities |= XEN_SYSCTL_PHYSCAP_hvm | XEN_SYSCTL_PHYSCAP_hap;
    a->total_pages = ram_pages();
    a->free_pages = buddy_free_frames();
    a->outstanding_pages = frame_claims();
    a->max_mfn = max_mfn - 1;
    cpu_policy_featureset(&policy_host, words);
    memcpy(a->hw_cap, words, sizeof(a->hw_cap)); /* the first eight, in this order */
    return 0;
}

long sysctl_getdomaininfolist(struct xen_sysctl *op)
{
    struct xen_sysctl_getdomaininfolist *a = &op->u.getdomaininfolist;
    uint32_t n = 0, next = a->first_domain;
    struct domain *d;

    while (n < a->max_domains && next < DOMID_FIRST_RESERVED &&
           (d = domain_get_from((domid_t)next)) != NULL) {
        struct xen_domctl_getdomaininfo info;

        control_domain_info(d, &info);
        next = d->id + 1u;
        domain_put(d);
        if (guest_write_at(handle_va(a->buffer), n, &info))
            return refuse(-EFAULT, "domain list: record %u", n);
        n++;
    }
    a->num_domains = n;
    return 0;
}

long sysctl_debug_keys(struct xen_sysctl *op)
{
    const struct xen_sysctl_debug_keys *a = &op->u.debug_keys;
    char keys[KEYS_MAX];
    uint32_t n = min(a->nr_keys, KEYS_MAX);

    if (guest_read(keys, handle_va(a->keys), n))
        return -EFAULT;
    for (uint32_t i = 0; i < n; i++)
        console_key(keys[i]);
    return 0;
}

/* One node, and nothing is kept apart by address. */
long sysctl_availheap(struct xen_sysctl *op)
{
    struct xen_sysctl_availheap *a = &op->u.availheap;

    if (a->node != -1 && a->node != 0)
        return refuse(-EINVAL, "free memory of node %d", a->node);
    a->avail_bytes = buddy_free_frames() << PAGE_SHIFT;
    return 0;
}
