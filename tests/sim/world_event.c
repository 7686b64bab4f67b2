/* SPDX-License-Identifier: MIT */
/* What the kernels of the world do with event channels, of both kinds, and what they scribble over
 * the memory that they share with the hypervisor for it. */
#include <string.h>

#include "event/table.h"
#include "world.h"

static evtchn_port_t any_port(void)
{
    return chance(16) ? (evtchn_port_t)any_u64() : 1 + pvg_random(chance(8) ? 200 : 20);
}

static uint32_t any_vcpu(void)
{
    return chance(16) ? (uint32_t)any_u64() : pvg_random(WORLD_VCPUS);
}

static long op(unsigned cmd, const void *a, size_t n)
{
    return hcall(__HYPERVISOR_event_channel_op, cmd, put(a, n), 0, 0);
}

/* A port of somebody's that waits for us, if there is one. */
static void any_waiting(domid_t *dom, evtchn_port_t *port)
{
    *dom = any_domid();
    *port = any_port();
    for (unsigned i = 0; i < 24 && !world_parallel; i++) {
        struct world_dom *w = any_dom();
        uint32_t n = 1 + pvg_random(20);
        struct port *p = w->d && w->d->events ? port_find(w->d->events, n) : NULL;

        if (p && p->state == EVTCHNSTAT_unbound && p->remote_id == me->d->id) {
            *dom = w->d->id;
            *port = n;
            return;
        }
    }
}

static bool waits_for_us(domid_t dom, evtchn_port_t port)
{
    struct domain *d;

    list_for_each_entry (d, &domain_list, link) {
        struct port *p = d->events ? port_find(d->events, port) : NULL;

        if (d->id == (dom == DOMID_SELF ? me->d->id : dom))
            return p && p->state == EVTCHNSTAT_unbound && p->remote_id == me->d->id;
    }
    return false;
}

static long alloc_unbound(void)
{
    struct evtchn_alloc_unbound a = {.dom = chance(6) ? any_domid() : DOMID_SELF,
                                     .remote_dom = any_domid()};
    bool asked = !me->d->privileged && a.dom != DOMID_SELF && a.dom != me->d->id;
    long rc = op(EVTCHNOP_alloc_unbound, &a, sizeof(a));

    if (!rc && asked)
        world_flaw("an unprivileged domain has made a port for domain %u", a.dom);
    return rc;
}

static long do_bind(void)
{
    switch (pvg_random(7)) {
    case 0:
    case 1:
        return alloc_unbound();
    case 2:
    case 3: {
        struct evtchn_bind_interdomain a = {0};
        bool waited;
        long rc;

        any_waiting(&a.remote_dom, &a.remote_port);
        waited = world_parallel || waits_for_us(a.remote_dom, a.remote_port);
        rc = op(EVTCHNOP_bind_interdomain, &a, sizeof(a));
        if (!rc && !waited)
            world_flaw("event channel %u of domain %u did not wait for us", a.remote_port,
                       a.remote_dom);
        return rc;
    }
    case 4: {
        struct evtchn_bind_virq a = {.virq = pvg_random(chance(8) ? 40 : 24), .vcpu = any_vcpu()};

        return op(EVTCHNOP_bind_virq, &a, sizeof(a));
    }
    case 5: {
        struct evtchn_bind_ipi a = {.vcpu = any_vcpu()};

        return op(EVTCHNOP_bind_ipi, &a, sizeof(a));
    }
    default: {
        struct evtchn_bind_pirq a = {.pirq = pvg_random(chance(4) ? 40 : 20),
                                     .flags = pvg_random(2)};

        return op(EVTCHNOP_bind_pirq, &a, sizeof(a));
    }
    }
}

static long do_use(void)
{
    struct evtchn_status s = {.dom = any_domid(), .port = any_port()};
    struct evtchn_bind_vcpu b = {.port = any_port(), .vcpu = any_vcpu()};
    struct evtchn_set_priority pr = {.port = any_port(), .priority = pvg_random(18)};
    evtchn_port_t port = any_port();

    switch (pvg_random(9)) {
    case 0:
    case 1:
    case 2:
        return op(EVTCHNOP_send, &port, sizeof(port));
    case 3:
    case 4:
        return op(EVTCHNOP_unmask, &port, sizeof(port));
    case 5:
        return op(EVTCHNOP_status, &s, sizeof(s));
    case 6:
        return op(EVTCHNOP_bind_vcpu, &b, sizeof(b));
    case 7:
        return op(EVTCHNOP_set_priority, &pr, sizeof(pr));
    default:
        return op(EVTCHNOP_close, &port, sizeof(port));
    }
}

static long do_fifo(void)
{
    switch (pvg_random(12)) {
    case 0: {
        struct evtchn_reset a = {.dom = any_domid()};

        return op(EVTCHNOP_reset, &a, sizeof(a));
    }
    case 1:
        return op(pvg_random(20), &(uint64_t[4]){any_u64(), any_u64()}, 32);
    case 2:
    case 3:
    case 4:
    case 5: {
        struct evtchn_init_control a = {.control_gfn = any_mfn(me).n,
                                        .offset = 8 * pvg_random(chance(2) ? 600 : 480),
                                        .vcpu = any_vcpu()};
        long rc = op(EVTCHNOP_init_control, &a, sizeof(a));

        if (!rc && a.offset > PAGE_SIZE - sizeof(evtchn_fifo_control_block_t))
            world_flaw("a control block at offset %u", a.offset);
        return rc;
    }
    default: {
        struct evtchn_expand_array a = {.array_gfn = any_mfn(me).n};

        return op(EVTCHNOP_expand_array, &a, sizeof(a));
    }
    }
}

/* The guest writes where the hypervisor reads: into frames that are writable to it. */
static long do_scribble(void)
{
    uint8_t *s = (uint8_t *)me->d->shared_info;
    unsigned pfn = any_pfn();
    struct vcpu *v = current();

    switch (pvg_random(4)) {
    case 0: /* not arch: the kernel would believe it */
        scramble(s + pvg_random(2048), 1 + pvg_random(64));
        break;
    case 1:
        s[pvg_random(2)] ^= (uint8_t)(1u << pvg_random(8));
        break;
    case 2:
        if (v->info)
            v->info->evtchn_upcall_mask = (uint8_t)pvg_random(2);
        break;
    default:
        if (pfn >= PFN_FREE) {
            uint32_t w[24];

            if (hw_copy_from_guest(w, pvg_va(pfn), sizeof(w)))
                return -EFAULT;
            for (unsigned i = 0; i < 24; i++)
                w[i] = chance(3) ? w[i] ^ 1u << pvg_random(32) : pvg_random(64);
            if (hw_copy_to_guest(pvg_va(pfn), w, sizeof(w)))
                return -EFAULT;
        }
    }
    return 0;
}

static void consume(struct vcpu *v, uint32_t port)
{
}

/* The hypervisor's own end of a connection, as a device model's would have one. */
static void own_port(void)
{
    static uint32_t port; /* of the fully virtual domain; 0: none */
    static const struct domain *of;
    struct domain *d = world_hvm.d;

    if (world_parallel || !d || d->state != DOMAIN_ALIVE)
        return;
    if (of != d)
        port = 0;
    of = d;
    if (!port && event_alloc_hypervisor_port(d, chance(8), any_domid(), consume, &port))
        port = 0;
    else if (port && chance(2))
        event_notify_hypervisor_port(d, port);
    else if (port) {
        event_close_hypervisor_port(d, port);
        port = 0;
    }
}

/* From outside: interrupts and VIRQs at any moment. */
static long do_raise(void)
{
    struct world_dom *w = any_dom();

    if (!w->d || w->d->state != DOMAIN_ALIVE)
        return -ESRCH;
    switch (pvg_random(5)) {
    case 3:
        world_interrupt();
        break;
    case 4:
        own_port();
        break;
    case 0:
        event_send_global_virq(pvg_random(24));
        break;
    case 1:
        if (w->d->vcpu[0])
            event_send_vcpu_virq(w->d->vcpu[0], pvg_random(24));
        break;
    default:
        event_send_pirq(w->d, pvg_random(20));
    }
    return 0;
}

const struct world_kind world_event_kinds[] = {
    {"event bind", do_bind, 10},  {"event", do_use, 14},  {"event fifo", do_fifo, 4},
    {"scribble", do_scribble, 8}, {"raise", do_raise, 4}, {NULL, NULL, 0},
};
