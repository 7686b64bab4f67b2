/* SPDX-License-Identifier: MIT */
/* FIFO event channels whose shared pages the guest scribbles over.
 *
 * Cause: the hypervisor follows links and heads that the guest can write at any moment.
 * Steps: with events queued, write into event words and control block: links to themselves, in a
 * ring, beyond the array; LINKED without a queue, BUSY for ever; heads and ready bits at random;
 * ports masked and unmasked meanwhile; send, unmask, close and bind again after each.
 * Verdict: the hypervisor neither loops nor writes elsewhere; after repair, events arrive again. */
#include "lib/guest.h"

#define PORTS   16
#define PENDING (1u << EVTCHN_FIFO_PENDING)
#define MASKED  (1u << EVTCHN_FIFO_MASKED)
#define LINKED  (1u << EVTCHN_FIFO_LINKED)
#define BUSY    (1u << EVTCHN_FIFO_BUSY)

static struct evtchn_fifo_control_block *control;
static volatile uint32_t *words;
static unsigned int ports[PORTS], delivered;

static bool on_event(struct regs *regs)
{
    vcpu_info->evtchn_upcall_pending = 0;
    delivered++;
    return true;
}

static void init(void)
{
    struct evtchn_init_control init = {.vcpu = 0};
    struct evtchn_expand_array expand;

    control = page_alloc();
    words = page_alloc();
    init.control_gfn = virt_to_mfn(control);
    need_eq(hc_event_channel_op(EVTCHNOP_init_control, &init), 0);
    expand.array_gfn = virt_to_mfn((void *)words);
    need_eq(hc_event_channel_op(EVTCHNOP_expand_array, &expand), 0);
    for (int i = 0; i < PORTS; i++) {
        struct evtchn_bind_ipi ipi = {.vcpu = 0};

        need_eq(hc_event_channel_op(EVTCHNOP_bind_ipi, &ipi), 0);
        ports[i] = ipi.port;
    }
}

static uint32_t random32(void)
{
    static uint64_t state = 0x9e3779b97f4a7c15ul;

    state = state * 6364136223846793005ul + 1442695040888963407ul;
    return state >> 33;
}

/* Everything as after a restart. */
static void repair(void)
{
    for (int i = 0; i < 1024; i++)
        words[i] = 0;
    memset(control, 0, sizeof(*control));
    barrier();
}

static void poke_all(void)
{
    for (int i = 0; i < PORTS; i++) {
        event_send(ports[i]);
        event_unmask(ports[i]);
    }
    /* Close and bind once more: the port's word is reset. */
    expect_eq(event_close(ports[3]), 0);
    {
        struct evtchn_bind_ipi ipi = {.vcpu = 0};
        struct evtchn_set_priority priority = {.priority = random32() % 16};

        need_eq(hc_event_channel_op(EVTCHNOP_bind_ipi, &ipi), 0);
        ports[3] = priority.port = ipi.port;
        expect_eq(hc_event_channel_op(EVTCHNOP_set_priority, &priority), 0);
    }
}

static void check_crafted(void)
{
    static const uint32_t bad[] = {LINKED, LINKED | BUSY,   BUSY, PENDING | LINKED, MASKED | LINKED,
                                   ~0u,    LINKED | 0x1ffff};

    for (unsigned int n = 0; n < sizeof(bad) / sizeof(*bad); n++) {
        for (int i = 0; i < PORTS; i++)
            event_send(ports[i]);
        for (int i = 0; i < PORTS; i++)
            words[ports[i]] = bad[n] | (bad[n] == ~0u ? 0 : ports[i]); /* to itself */
        poke_all();
        for (int i = 0; i < PORTS; i++) /* a ring */
            words[ports[i]] = LINKED | ports[(i + 1) % PORTS];
        poke_all();
        for (int i = 0; i < 16; i++)
            control->head[i] = n % 2 ? 0x1ffff : ~0u;
        control->ready = ~0u;
        poke_all();
        repair();
    }
}

static void check_random(void)
{
    for (int round = 0; round < 1500; round++) {
        unsigned int port = ports[random32() % PORTS];

        switch (random32() % 6) {
        case 0:
            words[port] = random32() << 1 | (random32() & 1);
            break;
        case 1:
            words[port] ^= 1u << (random32() % 32);
            break;
        case 2:
            control->head[random32() % 16] = random32();
            break;
        case 3:
            control->ready = random32();
            break;
        case 4:
            words[random32() % 1024] = random32();
            break;
        }
        event_send(port);
        if (round % 7 == 0)
            event_unmask(port);
        if (round % 50 == 0)
            poke_all();
    }
    repair();
}

/* All ports closed and bound afresh after the repair: then everything must work. */
static void check_works(void)
{
    for (int i = 0; i < PORTS; i++)
        expect_eq(event_close(ports[i]), 0);
    repair();
    for (int i = 0; i < PORTS; i++) {
        struct evtchn_bind_ipi ipi = {.vcpu = 0};

        need_eq(hc_event_channel_op(EVTCHNOP_bind_ipi, &ipi), 0);
        ports[i] = ipi.port;
    }
    repair();
    for (int i = 0; i < PORTS; i++)
        expect_eq(event_send(ports[i]), 0);
    for (int i = 0; i < PORTS; i++)
        if (!(words[ports[i]] & PENDING))
            expect_failed("port %u is not pending", ports[i]);
    delivered = 0;
    events_enable();
    hc_xen_version(XENVER_version, NULL);
    events_disable();
    expect(delivered >= 1);
    expect(control->ready != 0);
}

void test_main(void)
{
    unsigned char *before = page_alloc(), *behind;

    trap_hook(VEC_EVENT, on_event);
    hc_vcpu_op(VCPUOP_stop_periodic_timer, 0, NULL);
    init();
    behind = page_alloc();
    memset(before, 0x5a, PAGE_SIZE);
    memset(behind, 0x5a, PAGE_SIZE);
    check_crafted();
    check_random();
    check_works();
    for (unsigned int i = 0; i < PAGE_SIZE; i++)
        if (before[i] != 0x5a || behind[i] != 0x5a) {
            expect_failed("byte %u beside the shared pages was written", i);
            break;
        }
    test_pass();
}
