/* SPDX-License-Identifier: MIT */
/* Event channels of the 2-level kind: bind, send, mask, unmask, close, status, and refusals.
 *
 * Cause: all interrupts of a guest come through here.
 * Steps: an IPI port and an interdomain loop to ourselves; pending while masked by each of the
 * two masks; unmask with and without a pending bit; wrong ports, vcpus, VIRQs and domains.
 * Verdict: upcalls exactly when the header promises them, errno values as kernels expect.
 * Options: dom0_max_vcpus=1 */
#include "lib/guest.h"

static void check_masks(unsigned int port)
{
    /* Masked port: pending bit only. */
    need_eq(event_send(port), 0);
    expect(event_pending(port));
    events_enable();
    expect_eq(event_count[port], 0);
    expect_eq(vcpu_info->evtchn_upcall_pending, 0);

    /* Unmasking by hypercall delivers at once. */
    expect_eq(event_unmask(port), 0);
    expect_eq(event_count[port], 1);
    expect(!event_pending(port));

    /* Unmasked: send delivers at once. */
    expect_eq(event_send(port), 0);
    expect_eq(event_count[port], 2);

    /* Upcalls masked: the bits show, the call comes with the next hypercall after unmasking. */
    events_disable();
    expect_eq(event_send(port), 0);
    expect_eq(event_send(port), 0);
    expect_eq(vcpu_info->evtchn_upcall_pending, 1);
    expect_eq(vcpu_info->evtchn_pending_sel >> (port / 64) & 1, 1);
    expect_eq(event_count[port], 2);
    vcpu_info->evtchn_upcall_mask = 0;
    barrier();
    expect_eq(event_count[port], 2);
    hc_xen_version(XENVER_version, NULL);
    expect_eq(event_count[port], 3);
    expect_eq(event_upcalls, 3);
    event_mask(port);
}

static long status(unsigned int port, struct evtchn_status *out)
{
    *out = (struct evtchn_status){.dom = DOMID_SELF, .port = port};
    return hc_event_channel_op(EVTCHNOP_status, out);
}

static void check_interdomain(void)
{
    struct evtchn_bind_interdomain bind = {.remote_dom = DOMID_SELF};
    struct evtchn_status st;
    unsigned int far = event_alloc_self(), near;

    expect_eq(status(far, &st), 0);
    expect_eq(st.status, EVTCHNSTAT_unbound);
    expect_eq(event_send(far), 0);
    bind.remote_port = far;
    expect_eq(hc_event_channel_op(EVTCHNOP_bind_interdomain, &bind), 0);
    near = bind.local_port;
    expect(near != far && near != 0);
    expect_eq(event_count[near], 1); /* to make up for what was sent before */
    event_mask(near);
    event_mask(far);
    expect_eq(status(near, &st), 0);
    expect_eq(st.status, EVTCHNSTAT_interdomain);
    expect_eq(st.u.interdomain.port, far);
    event_clear(far);
    expect_eq(event_send(near), 0);
    expect(event_pending(far));
    expect(!event_pending(near));
    expect_eq(event_send(far), 0);
    expect(event_pending(near));
    expect_eq(hc_event_channel_op(EVTCHNOP_bind_interdomain, &bind), -XEN_EINVAL);

    /* Closing one end leaves the other unbound. */
    expect_eq(event_close(near), 0);
    expect_eq(status(near, &st), 0);
    expect_eq(st.status, EVTCHNSTAT_closed);
    expect_eq(status(far, &st), 0);
    expect_eq(st.status, EVTCHNSTAT_unbound);
    expect_eq(event_close(near), -XEN_EINVAL);
    expect_eq(event_send(near), -XEN_EINVAL);
    expect_eq(event_close(far), 0);
}

static void check_refusals(unsigned int ipi)
{
    struct evtchn_bind_virq virq = {.virq = VIRQ_DEBUG, .vcpu = 0};
    struct evtchn_bind_ipi far_ipi = {.vcpu = 1};
    struct evtchn_alloc_unbound alloc = {.dom = 77, .remote_dom = 0};
    struct evtchn_bind_vcpu bv = {.port = ipi, .vcpu = 0};
    struct evtchn_status st;
    unsigned int port;

    expect_eq(event_send(0), -XEN_EINVAL);
    expect_eq(event_send(4095), -XEN_EINVAL);
    expect_eq(event_send(0xffffffff), -XEN_EINVAL);
    expect_eq(event_close(0), -XEN_EINVAL);
    expect_eq(event_unmask(0xffffffff), -XEN_EINVAL);
    expect_eq(status(0xffffffff, &st), -XEN_EINVAL);
    expect_eq(hc_event_channel_op(EVTCHNOP_bind_ipi, &far_ipi), -XEN_ENOENT);
    expect_eq(hc_event_channel_op(EVTCHNOP_alloc_unbound, &alloc), -XEN_ESRCH);
    expect_eq(hc_event_channel_op(EVTCHNOP_bind_vcpu, &bv), -XEN_EINVAL);
    expect_eq(hc_event_channel_op(EVTCHNOP_send, (void *)8), -XEN_EFAULT);
    expect_eq(hc_event_channel_op(99, &st), -XEN_ENOSYS);

    expect_eq(hc_event_channel_op(EVTCHNOP_bind_virq, &virq), 0);
    port = virq.port;
    expect_eq(hc_event_channel_op(EVTCHNOP_bind_virq, &virq), -XEN_EEXIST);
    expect_eq(status(port, &st), 0);
    expect_eq(st.status, EVTCHNSTAT_virq);
    expect_eq(st.u.virq, VIRQ_DEBUG);
    expect_eq(event_send(port), -XEN_EINVAL);
    expect_eq(event_close(port), 0);
    virq.virq = NR_VIRQS;
    expect_eq(hc_event_channel_op(EVTCHNOP_bind_virq, &virq), -XEN_EINVAL);
    virq = (struct evtchn_bind_virq){.virq = VIRQ_CONSOLE, .vcpu = 1};
    expect_eq(hc_event_channel_op(EVTCHNOP_bind_virq, &virq), -XEN_EINVAL);
    virq = (struct evtchn_bind_virq){.virq = VIRQ_TIMER, .vcpu = 99};
    expect_eq(hc_event_channel_op(EVTCHNOP_bind_virq, &virq), -XEN_ENOENT);
}

void test_main(void)
{
    unsigned int ipi = event_bind_ipi();
    struct evtchn_status st;

    expect_eq(status(ipi, &st), 0);
    expect_eq(st.status, EVTCHNSTAT_ipi);
    expect_eq(st.vcpu, 0);
    check_masks(ipi);
    check_interdomain();
    check_refusals(ipi);
    events_disable();
    event_clear(ipi);
    expect_eq(event_close(ipi), 0);
    test_pass();
}
