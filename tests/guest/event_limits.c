/* SPDX-License-Identifier: MIT */
/* All the ports there are, and what happens behind the last.
 *
 * Cause: ports are an array of the hypervisor's, indexed by the guest.
 * Steps: allocate until there are no more; send to the last; close all; ports and words at the
 * limits of the 2-level ABI; bindings to vcpus that are not there; reset; scribble over the pending
 * and mask words. Verdict: -ENOSPC behind the last, the same number of ports again after closing,
 * and no port beyond the limit is ever valid. */
#include "lib/guest.h"

static unsigned int fill(unsigned int *last)
{
    unsigned int n = 0;

    for (;; n++) {
        struct evtchn_bind_ipi op = {.vcpu = 0};
        long ret = hc_event_channel_op(EVTCHNOP_bind_ipi, &op);

        if (ret) {
            expect_eq(ret, -XEN_ENOSPC);
            return n;
        }
        *last = op.port;
        if (n > 5000)
            test_fail("no end of ports");
    }
}

static void check_beyond(unsigned int port)
{
    struct evtchn_status status = {.dom = DOMID_SELF, .port = port};
    struct evtchn_bind_vcpu move = {.port = port, .vcpu = 0};

    expect_eq(event_send(port), -XEN_EINVAL);
    expect_eq(event_close(port), -XEN_EINVAL);
    expect_eq(event_unmask(port), -XEN_EINVAL);
    expect_eq(hc_event_channel_op(EVTCHNOP_status, &status), -XEN_EINVAL);
    expect_eq(hc_event_channel_op(EVTCHNOP_bind_vcpu, &move), -XEN_EINVAL);
}

static void check_scribbles(unsigned int port)
{
    unsigned int n;

    need_eq(event_unmask(port), 0);
    events_enable();
    for (int i = 0; i < 64; i++) {
        shared_info->evtchn_pending[i] = i % 3 ? ~0ul : 0;
        shared_info->evtchn_mask[i] = i % 2 ? ~0ul : 0x5555555555555555;
    }
    events_disable();
    expect_eq(event_send(port), 0);
    for (int i = 0; i < 64; i++)
        shared_info->evtchn_pending[i] = shared_info->evtchn_mask[i] = 0;
    vcpu_info->evtchn_pending_sel = 0;
    n = event_count[port];
    expect_eq(event_send(port), 0);
    events_enable();
    hc_xen_version(XENVER_version, NULL);
    events_disable();
    expect_eq(event_count[port], n + 1);
}

void test_main(void)
{
    struct evtchn_reset reset = {.dom = DOMID_SELF};
    struct evtchn_bind_ipi nobody = {.vcpu = 77};
    struct evtchn_bind_virq virq = {.virq = 24, .vcpu = 0};
    unsigned int last = 0, again = 0, n;

    hc_vcpu_op(VCPUOP_stop_periodic_timer, 0, NULL);
    /* A guest of the toolstack has ports for its console and the store. */
    need_eq(hc_event_channel_op(EVTCHNOP_reset, &reset), 0);
    expect_eq(hc_event_channel_op(EVTCHNOP_bind_ipi, &nobody), -XEN_ENOENT);
    expect_eq(hc_event_channel_op(EVTCHNOP_bind_virq, &virq), -XEN_EINVAL);
    virq.virq = 0xffffffff;
    expect_eq(hc_event_channel_op(EVTCHNOP_bind_virq, &virq), -XEN_EINVAL);
    n = fill(&last);
    expect(n > 4000);
    expect_eq(last, 4095);
    check_beyond(4096);
    expect_eq(event_send(0), -XEN_EINVAL);
    expect_eq(event_close(0), -XEN_EINVAL);
    check_beyond(131072);
    check_beyond(0x80000000);
    check_beyond(0xffffffff);
    check_scribbles(4095);
    for (unsigned int port = 1; port <= last; port++)
        event_close(port);
    expect_eq(fill(&again), n);
    expect_eq(again, 4095);
    expect_eq(hc_event_channel_op(EVTCHNOP_reset, &reset), 0);
    expect_eq(event_send(4095), -XEN_EINVAL);
    expect_eq(fill(&again), n);
    test_pass();
}
