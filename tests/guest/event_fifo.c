/* SPDX-License-Identifier: MIT */
/* The FIFO event channels: set-up, delivery by linked queues, priorities, masks, refusals.
 *
 * Cause: Linux uses them whenever init_control succeeds; a wrong link loses or repeats
 * interrupts.
 * Steps: refusals; init_control and expand_array; send on several ports at different priorities
 * and walk the queues as the public header event_channel.h and the FIFO design describe; masked
 * sends; unmask.
 * Verdict: ready bits, heads and links name exactly the sent ports, in order, highest priority
 * first. */
#include "lib/guest.h"

#define WORD_LINK 0x1ffffu

static struct evtchn_fifo_control_block *control;
static volatile event_word_t *words;

static bool word_bit(unsigned int port, unsigned int bit)
{
    barrier();
    return words[port] >> bit & 1;
}

static long init_control(unsigned long gfn, unsigned int offset, unsigned int vcpu)
{
    struct evtchn_init_control op = {.control_gfn = gfn, .offset = offset, .vcpu = vcpu};
    long ret = hc_event_channel_op(EVTCHNOP_init_control, &op);

    if (!ret)
        expect_eq(op.link_bits, EVTCHN_FIFO_LINK_BITS);
    return ret;
}

static long expand_array(unsigned long gfn)
{
    struct evtchn_expand_array op = {.array_gfn = gfn};

    return hc_event_channel_op(EVTCHNOP_expand_array, &op);
}

static long set_priority(unsigned int port, unsigned int priority)
{
    struct evtchn_set_priority op = {.port = port, .priority = priority};

    return hc_event_channel_op(EVTCHNOP_set_priority, &op);
}

static void fifo_mask(unsigned int port)
{
    __atomic_or_fetch(&words[port], 1u << EVTCHN_FIFO_MASKED, __ATOMIC_SEQ_CST);
}

static void fifo_clear(unsigned int port)
{
    __atomic_and_fetch(&words[port], ~(1u << EVTCHN_FIFO_PENDING), __ATOMIC_SEQ_CST);
}

/* Take the next port of a queue, as a kernel does; 0 when it is empty. */
static unsigned int consume(unsigned int priority)
{
    static unsigned int heads[EVTCHN_FIFO_MAX_QUEUES];
    unsigned int head = heads[priority], link;
    event_word_t word;

    if (!head)
        head = control->head[priority];
    if (!head)
        return 0;
    word = __atomic_fetch_and(&words[head], ~((1u << EVTCHN_FIFO_LINKED) | WORD_LINK),
                              __ATOMIC_SEQ_CST);
    link = word & WORD_LINK;
    heads[priority] = link;
    if (!link)
        __atomic_and_fetch(&control->ready, ~(1u << priority), __ATOMIC_SEQ_CST);
    return head;
}

static void set_up(void)
{
    char *page = page_alloc();

    expect_eq(set_priority(1, 3), -XEN_ENOSYS);
    expect_eq(init_control(~0ul >> 12, 0, 0), -XEN_EINVAL);
    expect_eq(init_control(virt_to_mfn(page), 4, 0), -XEN_EINVAL);
    expect_eq(init_control(virt_to_mfn(page), PAGE_SIZE - 8, 0), -XEN_EINVAL);
    expect_eq(init_control(virt_to_mfn(page), 0, 7), -XEN_ENOENT);
    control = (void *)(page + 128);
    need_eq(init_control(virt_to_mfn(page), 128, 0), 0);
    expect_eq(init_control(virt_to_mfn(page), 128, 0), -XEN_EINVAL);
    expect_eq(expand_array(~0ul >> 12), -XEN_EINVAL);
    words = page_alloc();
    need_eq(expand_array(virt_to_mfn(words)), 0);
    expect_eq(control->ready, 0);
}

static void check_queue(const unsigned int *ports)
{
    for (unsigned int i = 0; i < 3; i++) {
        expect_eq(event_unmask(ports[i]), 0);
        expect_eq(event_send(ports[i]), 0);
        expect(word_bit(ports[i], EVTCHN_FIFO_PENDING));
        expect(word_bit(ports[i], EVTCHN_FIFO_LINKED));
    }
    expect_eq(event_send(ports[1]), 0); /* again: stays queued once */
    expect_eq(control->ready, 1u << EVTCHN_FIFO_PRIORITY_DEFAULT);
    expect_eq(vcpu_info->evtchn_upcall_pending, 1);
    for (unsigned int i = 0; i < 3; i++) {
        expect_eq(consume(EVTCHN_FIFO_PRIORITY_DEFAULT), ports[i]);
        expect(!word_bit(ports[i], EVTCHN_FIFO_LINKED));
        fifo_clear(ports[i]);
    }
    expect_eq(control->ready, 0);
    vcpu_info->evtchn_upcall_pending = 0;
}

static void check_masked(unsigned int port)
{
    fifo_mask(port);
    expect_eq(event_send(port), 0);
    expect(word_bit(port, EVTCHN_FIFO_PENDING));
    expect(!word_bit(port, EVTCHN_FIFO_LINKED));
    expect_eq(control->ready, 0);
    expect_eq(vcpu_info->evtchn_upcall_pending, 0);
    expect_eq(event_unmask(port), 0);
    expect(word_bit(port, EVTCHN_FIFO_LINKED));
    expect_eq(vcpu_info->evtchn_upcall_pending, 1);
    expect_eq(consume(EVTCHN_FIFO_PRIORITY_DEFAULT), port);
    fifo_clear(port);
    vcpu_info->evtchn_upcall_pending = 0;
}

static void check_priorities(const unsigned int *ports)
{
    expect_eq(set_priority(ports[0], 16), -XEN_EINVAL);
    expect_eq(set_priority(4000, 3), -XEN_EINVAL);
    expect_eq(set_priority(ports[0], EVTCHN_FIFO_PRIORITY_MIN), 0);
    expect_eq(set_priority(ports[2], EVTCHN_FIFO_PRIORITY_MAX), 0);
    for (unsigned int i = 0; i < 3; i++)
        expect_eq(event_send(ports[i]), 0);
    expect_eq(control->ready, 1u << 15 | 1u << 7 | 1u);
    expect_eq(consume(0), ports[2]);
    expect_eq(consume(7), ports[1]);
    expect_eq(consume(15), ports[0]);
    expect_eq(control->ready, 0);
    for (unsigned int i = 0; i < 3; i++)
        fifo_clear(ports[i]);
    vcpu_info->evtchn_upcall_pending = 0;
}

/* One upcall for what was sent while the upcall mask was set; and one at once when it is clear. */
static void check_upcall(unsigned int port)
{
    unsigned int before = event_upcalls;

    expect_eq(event_send(port), 0);
    expect_eq(event_upcalls, before);
    events_enable();
    expect_eq(event_upcalls, before + 1);
    expect_eq(consume(7), port);
    fifo_clear(port);
    expect_eq(event_send(port), 0);
    expect_eq(event_upcalls, before + 2);
    expect_eq(consume(7), port);
    fifo_clear(port);
    events_disable();
}

void test_main(void)
{
    struct evtchn_bind_ipi bind = {.vcpu = 0};
    unsigned int ports[3];

    set_up();
    for (unsigned int i = 0; i < 3; i++) {
        need_eq(hc_event_channel_op(EVTCHNOP_bind_ipi, &bind), 0);
        ports[i] = bind.port;
    }
    check_queue(ports);
    check_masked(ports[1]);
    check_priorities(ports);
    check_upcall(ports[1]);
    test_pass();
}
