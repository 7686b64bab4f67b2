/* SPDX-License-Identifier: MIT */
/* The control hypercall of the machine: what it tells, and what it refuses.
 *
 * Cause: tools size their buffers by asking twice, and end their loops by errno.
 * Steps: wrong versions, commands and memory; each of the two-step queries with no buffer, with one
 * too short and with enough; lists from a number on; pools beyond the last; schedulers that are
 * not there.
 * Verdict: counts that do not depend on the buffer, the errors that end loops, and nothing written
 * beyond what was asked for. */
#include "lib/domu.h"

static struct xen_sysctl op;

static long call(uint32_t cmd)
{
    return sysctl(&op, cmd);
}

static void clear(void)
{
    memset(&op, 0, sizeof(op));
}

static void check_frame(void)
{
    clear();
    op.cmd = XEN_SYSCTL_physinfo;
    op.interface_version = XEN_SYSCTL_INTERFACE_VERSION - 1;
    expect_eq(hypercall1(__HYPERVISOR_sysctl, &op), -XEN_EACCES);
    expect_eq(hypercall1(__HYPERVISOR_sysctl, 8), -XEN_EFAULT);
    expect_eq(call(0), -XEN_ENOSYS);
    expect_eq(call(13), -XEN_ENOSYS);
    expect_eq(call(9999), -XEN_ENOSYS);
    expect_eq(call(0xffffffff), -XEN_ENOSYS);
}

static void check_machine(void)
{
    clear();
    expect_eq(call(XEN_SYSCTL_physinfo), 0);
    expect(op.u.physinfo.nr_cpus >= 1);
    expect_eq(op.u.physinfo.nr_nodes, 1);
    expect(op.u.physinfo.total_pages > op.u.physinfo.free_pages);
    expect(op.u.physinfo.capabilities & XEN_SYSCTL_PHYSCAP_pv);
    clear();
    expect_eq(call(XEN_SYSCTL_sched_id), 0);
    expect_eq(op.u.sched_id.sched_id, XEN_SCHEDULER_CREDIT2);
    clear();
    op.u.availheap.node = -1;
    expect_eq(call(XEN_SYSCTL_availheap), 0);
    expect(op.u.availheap.avail_bytes > 0);
    clear();
    op.u.scheduler_op.sched_id = 99;
    expect_eq(call(XEN_SYSCTL_scheduler_op), -XEN_EINVAL);
}

static void check_lists(void)
{
    static struct xen_domctl_getdomaininfo infos[4];
    domid_t a = domu_create_empty(), b = domu_create_empty();

    memset(infos, 0xee, sizeof(infos));
    clear();
    op.u.getdomaininfolist.max_domains = 2;
    set_xen_guest_handle(op.u.getdomaininfolist.buffer, infos);
    expect_eq(call(XEN_SYSCTL_getdomaininfolist), 0);
    expect_eq(op.u.getdomaininfolist.num_domains, 2);
    expect_eq(infos[0].domain, 0);
    expect_eq(infos[1].domain, a);
    expect_eq(infos[2].domain, 0xeeee);
    op.u.getdomaininfolist.first_domain = a + 1;
    op.u.getdomaininfolist.max_domains = 4;
    expect_eq(call(XEN_SYSCTL_getdomaininfolist), 0);
    expect_eq(op.u.getdomaininfolist.num_domains, 1);
    expect_eq(infos[0].domain, b);
    op.u.getdomaininfolist.first_domain = 0x7000;
    expect_eq(call(XEN_SYSCTL_getdomaininfolist), 0);
    expect_eq(op.u.getdomaininfolist.num_domains, 0);
    op.u.getdomaininfolist.first_domain = 0;
    op.u.getdomaininfolist.buffer.p = (void *)8;
    expect_eq(call(XEN_SYSCTL_getdomaininfolist), -XEN_EFAULT);
    expect_eq(domctl_plain(XEN_DOMCTL_destroydomain, a), 0);
    expect_eq(domctl_plain(XEN_DOMCTL_destroydomain, b), 0);
    sleep_ms(30);
}

static void check_two_steps(void)
{
    static struct xen_sysctl_cputopo topo[8];
    static struct xen_sysctl_meminfo meminfo[8];
    static uint32_t features[64];
    unsigned int n;

    clear();
    expect_eq(call(XEN_SYSCTL_cputopoinfo), 0);
    n = op.u.cputopoinfo.num_cpus;
    expect(n >= 1 && n <= 8);
    memset(topo, 0xee, sizeof(topo));
    op.u.cputopoinfo.num_cpus = n;
    set_xen_guest_handle(op.u.cputopoinfo.cputopo, topo);
    expect_eq(call(XEN_SYSCTL_cputopoinfo), 0);
    expect_eq(op.u.cputopoinfo.num_cpus, n);
    expect(topo[n - 1].core != 0xeeeeeeee);
    expect_eq(topo[n].core, 0xeeeeeeee);

    clear();
    expect_eq(call(XEN_SYSCTL_numainfo), 0);
    expect_eq(op.u.numainfo.num_nodes, 1);
    memset(meminfo, 0xee, sizeof(meminfo));
    set_xen_guest_handle(op.u.numainfo.meminfo, meminfo);
    expect_eq(call(XEN_SYSCTL_numainfo), 0);
    expect(meminfo[0].memsize >= meminfo[0].memfree);
    expect_eq(meminfo[1].memsize, 0xeeeeeeeeeeeeeeee);

    clear();
    expect_eq(call(XEN_SYSCTL_get_cpu_featureset), 0);
    n = op.u.cpu_featureset.nr_features;
    expect(n > 8 && n < 64);
    memset(features, 0xee, sizeof(features));
    op.u.cpu_featureset.nr_features = 2;
    op.u.cpu_featureset.index = XEN_SYSCTL_cpu_featureset_host;
    set_xen_guest_handle(op.u.cpu_featureset.features, features);
    expect_eq(call(XEN_SYSCTL_get_cpu_featureset), -XEN_ENOBUFS);
    expect_eq(features[2], 0xeeeeeeee);
    op.u.cpu_featureset.nr_features = 64;
    expect_eq(call(XEN_SYSCTL_get_cpu_featureset), 0);
    expect_eq(op.u.cpu_featureset.nr_features, n);
    expect_eq(features[n], 0xeeeeeeee);
    expect(features[0] & 1); /* there is an x87 */
    op.u.cpu_featureset.index = 99;
    expect_eq(call(XEN_SYSCTL_get_cpu_featureset), -XEN_EINVAL);

    clear();
    op.u.cpu_policy.index = XEN_SYSCTL_cpu_policy_host;
    expect_eq(call(XEN_SYSCTL_get_cpu_policy), 0);
    expect(op.u.cpu_policy.nr_leaves > 8);
    op.u.cpu_policy.nr_leaves = 1;
    set_xen_guest_handle(op.u.cpu_policy.leaves, (void *)features);
    expect_eq(call(XEN_SYSCTL_get_cpu_policy), -XEN_ENOBUFS);
    op.u.cpu_policy.index = 99;
    expect_eq(call(XEN_SYSCTL_get_cpu_policy), -XEN_EINVAL);
}

static void check_pools(void)
{
    uint8_t map[32];

    clear();
    op.u.cpupool_op.op = XEN_SYSCTL_CPUPOOL_OP_INFO;
    op.u.cpupool_op.cpumap.nr_bits = 256;
    set_xen_guest_handle(op.u.cpupool_op.cpumap.bitmap, map);
    expect_eq(call(XEN_SYSCTL_cpupool_op), 0);
    expect_eq(op.u.cpupool_op.cpupool_id, 0);
    expect_eq(op.u.cpupool_op.n_dom, 1);
    expect(map[0] & 1);
    op.u.cpupool_op.cpupool_id = 1;
    expect_eq(call(XEN_SYSCTL_cpupool_op), -XEN_ENOENT);
    clear();
    op.u.cpupool_op.op = XEN_SYSCTL_CPUPOOL_OP_DESTROY;
    op.u.cpupool_op.cpupool_id = 7;
    expect_eq(call(XEN_SYSCTL_cpupool_op), -XEN_ENOENT);
    clear();
    op.u.cpupool_op.op = 99;
    expect(call(XEN_SYSCTL_cpupool_op) < 0);
}

static void check_console(void)
{
    static char text[65536];
    uint32_t index, count;

    clear();
    op.u.readconsole.incremental = 1;
    op.u.readconsole.count = sizeof(text);
    set_xen_guest_handle(op.u.readconsole.buffer, text);
    expect_eq(call(XEN_SYSCTL_readconsole), 0);
    expect(op.u.readconsole.count > 100);
    index = op.u.readconsole.index;
    /* From there on: nothing, or what was logged in between. */
    op.u.readconsole.count = sizeof(text);
    expect_eq(call(XEN_SYSCTL_readconsole), 0);
    expect(op.u.readconsole.index - index == op.u.readconsole.count);
    op.u.readconsole.incremental = 0;
    op.u.readconsole.count = 10;
    memset(text, 0x7f, 16);
    expect_eq(call(XEN_SYSCTL_readconsole), 0);
    count = op.u.readconsole.count;
    expect(count <= 10);
    expect_eq(text[10], 0x7f);
    op.u.readconsole.buffer.p = (void *)8;
    op.u.readconsole.count = 10;
    expect_eq(call(XEN_SYSCTL_readconsole), -XEN_EFAULT);
}

void test_main(void)
{
    check_frame();
    check_machine();
    check_lists();
    check_two_steps();
    check_pools();
    check_console();
    test_pass();
}
