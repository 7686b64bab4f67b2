/* SPDX-License-Identifier: MIT */
/* hypercall/sysctl*: who may call, versions, each operation's answer and its refusals, lists that
 * are too short, and random structures. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "guest.h"
#include "base/log.h"
#include "boot/boot_info.h"
#include "cpu/policy.h"
#include "hypercall/control.h"
#include "lib/errno.h"
#include "memory/buddy.h"

#define CALL_PAGE 0
#define DATA_PAGE 1

static struct guest *dom0, *domu, *caller;
static struct xen_sysctl op;

static int set_up(void **state)
{
    guest_machine(2);
    dom0 = guest_new(0, 2, true);
    domu = guest_new(5, 1, false);
    caller = dom0;
    guest_be(dom0, 0);
    memset(&op, 0, sizeof(op));
    op.interface_version = XEN_SYSCTL_INTERFACE_VERSION;
    boot_info.nr_memory = 2;
    boot_info.memory[0] = (struct boot_range){0, 0x9f000, BOOT_RAM};
    boot_info.memory[1] = (struct boot_range){0x100000, 0x4000000, BOOT_RAM};
    return 0;
}

static int tear_down(void **state)
{
    boot_info.nr_memory = 0;
    guest_kill(dom0);
    guest_kill(domu);
    return 0;
}

static long call(uint32_t cmd)
{
    long rc;

    op.cmd = cmd;
    memcpy(guest_page(caller, CALL_PAGE), &op, sizeof(op));
    rc = sysctl(guest_va(CALL_PAGE));
    memcpy(&op, guest_page(caller, CALL_PAGE), sizeof(op));
    return rc;
}

#define DATA ((void *)guest_va(DATA_PAGE))

static void who_and_which(void **state)
{
    assert_int_equal(sysctl(HV_VA_START), -EFAULT);
    assert_int_equal(call(0), -ENOSYS);
    assert_int_equal(call(~0u), -ENOSYS);
    assert_int_equal(call(XEN_SYSCTL_perfc_op), -ENOSYS);
    assert_int_equal(call(XEN_SYSCTL_lockprof_op), -ENOSYS);
    assert_int_equal(call(XEN_SYSCTL_tbuf_op), 0);
    assert_int_equal(call(XEN_SYSCTL_get_pmstat), -ENODEV);
    assert_int_equal(call(XEN_SYSCTL_psr_alloc), -EOPNOTSUPP);
    op.interface_version--;
    assert_int_equal(call(XEN_SYSCTL_physinfo), -EACCES);
    caller = domu;
    guest_be(domu, 0);
    assert_int_equal(call(XEN_SYSCTL_physinfo), -EACCES);
    op.interface_version++;
    assert_int_equal(call(XEN_SYSCTL_physinfo), -EPERM);
    assert_int_equal(call(77), -EPERM);
}

/* Somebody else is in a control operation: the call happens again, and the arguments stay. */
static void one_at_a_time(void **state)
{
    uint64_t rip = 0x1000;

    assert_true(control_enter());
    cpu_local()->guest.rip = rip;
    op.u.physinfo.nr_cpus = 77;
    assert_int_equal(call(XEN_SYSCTL_physinfo), 0);
    assert_true(current()->continued);
    assert_int_equal(cpu_local()->guest.rip, rip - 2);
    assert_int_equal(cpu_local()->guest.rax, __HYPERVISOR_sysctl);
    assert_int_equal(cpu_local()->guest.rdi, guest_va(CALL_PAGE));
    assert_int_equal(op.u.physinfo.nr_cpus, 77);
    control_leave();
    current()->continued = false;
    assert_int_equal(call(XEN_SYSCTL_physinfo), 0);
    assert_false(current()->continued);
    assert_int_equal(op.u.physinfo.nr_cpus, 2);
}

static void physinfo(void **state)
{
    const struct xen_sysctl_physinfo *p = &op.u.physinfo;

    assert_int_equal(call(XEN_SYSCTL_physinfo), 0);
    assert_int_equal(p->nr_cpus, 2);
    assert_int_equal(p->max_cpu_id, 1);
    assert_int_equal(p->nr_nodes, 1);
    assert_int_equal(p->cpu_khz, 1000000);
    assert_int_equal(p->total_pages, 0x9f + 0x3f00);
    assert_int_equal(p->free_pages, buddy_free_frames());
    assert_int_equal(p->max_mfn, max_mfn - 1);
    assert_int_equal(p->capabilities, XEN_SYSCTL_PHYSCAP_pv | XEN_SYSCTL_PHYSCAP_gnttab_v1 |
                                          XEN_SYSCTL_PHYSCAP_gnttab_v2);
    assert_int_equal(call(XEN_SYSCTL_sched_id), 0);
    assert_int_equal(op.u.sched_id.sched_id, XEN_SCHEDULER_CREDIT2);
    op.u.availheap.node = -1;
    assert_int_equal(call(XEN_SYSCTL_availheap), 0);
    assert_int_equal(op.u.availheap.avail_bytes, buddy_free_frames() * PAGE_SIZE);
    op.u.availheap.node = 1;
    assert_int_equal(call(XEN_SYSCTL_availheap), -EINVAL);
}

static long read_console(uint32_t index, uint32_t count)
{
    op.u.readconsole.incremental = index != 0;
    op.u.readconsole.index = index;
    op.u.readconsole.count = count;
    op.u.readconsole.buffer.p = DATA;
    return call(XEN_SYSCTL_readconsole);
}

static void console(void **state)
{
    char *text = guest_page(dom0, DATA_PAGE);
    uint32_t index;

    log_clear();
    log_print(LOG_ERROR, "one");
    memset(text, 0, PAGE_SIZE);
    assert_int_equal(read_console(0, PAGE_SIZE), 0);
    assert_non_null(strstr(text, "one\n"));
    assert_int_equal(op.u.readconsole.count, strlen(text));
    index = op.u.readconsole.index;
    log_print(LOG_ERROR, "two");
    memset(text, 0, PAGE_SIZE);
    assert_int_equal(read_console(index, PAGE_SIZE), 0);
    assert_null(strstr(text, "one"));
    assert_non_null(strstr(text, "two\n"));
    memset(text, 0, PAGE_SIZE);
    assert_int_equal(read_console(index, 3), 0); /* a short buffer, and on from there */
    assert_int_equal(op.u.readconsole.count, 3);
    assert_int_equal(op.u.readconsole.index, index + 3);
    assert_int_equal(text[3], 0);
    for (unsigned i = 0; i < 100; i++)
        log_print(LOG_ERROR, "a line of text to fill more than one piece of the copy, number %u",
                  i);
    assert_int_equal(read_console(0, PAGE_SIZE), 0);
    assert_int_equal(op.u.readconsole.count, PAGE_SIZE);
    op.u.readconsole.clear = 1;
    assert_int_equal(read_console(0, 1), 0);
    op.u.readconsole.clear = 0;
    assert_int_equal(read_console(0, PAGE_SIZE), 0);
    assert_int_equal(op.u.readconsole.count, 0);
    log_print(LOG_ERROR, "three");
    op.u.readconsole.buffer.p = (void *)HV_VA_START;
    op.u.readconsole.count = 10;
    assert_int_equal(call(XEN_SYSCTL_readconsole), -EFAULT);
}

static long list(domid_t first, uint32_t max)
{
    op.u.getdomaininfolist.first_domain = first;
    op.u.getdomaininfolist.max_domains = max;
    op.u.getdomaininfolist.buffer.p = DATA;
    return call(XEN_SYSCTL_getdomaininfolist);
}

static void domains(void **state)
{
    const struct xen_domctl_getdomaininfo *info = guest_page(dom0, DATA_PAGE);

    assert_int_equal(list(0, 10), 0);
    assert_int_equal(op.u.getdomaininfolist.num_domains, 2);
    assert_int_equal(info[0].domain, 0);
    assert_int_equal(info[0].max_vcpu_id, 1);
    assert_int_equal(info[0].nr_online_vcpus, 2);
    assert_int_equal(info[0].tot_pages, GUEST_FRAMES);
    assert_int_equal(info[0].flags >> XEN_DOMINF_shutdownshift, 0xff);
    assert_int_equal(info[1].domain, 5);
    domain_pause(domu->d);
    domain_shutdown(domu->d, SHUTDOWN_crash);
    assert_int_equal(list(1, 10), 0);
    assert_int_equal(op.u.getdomaininfolist.num_domains, 1);
    assert_int_equal(info[0].domain, 5);
    assert_true(info[0].flags & XEN_DOMINF_paused);
    assert_true(info[0].flags & XEN_DOMINF_shutdown);
    assert_int_equal(info[0].flags >> XEN_DOMINF_shutdownshift, SHUTDOWN_crash);
    assert_int_equal(list(0, 1), 0);
    assert_int_equal(op.u.getdomaininfolist.num_domains, 1);
    assert_int_equal(list(6, 10), 0);
    assert_int_equal(op.u.getdomaininfolist.num_domains, 0);
    assert_int_equal(list(0xffff, 10), 0);
    assert_int_equal(op.u.getdomaininfolist.num_domains, 0);
    assert_int_equal(list(0, 0), 0);
    op.u.getdomaininfolist.max_domains = 10;
    op.u.getdomaininfolist.buffer.p = (void *)HV_VA_START;
    assert_int_equal(call(XEN_SYSCTL_getdomaininfolist), -EFAULT);
}

static void processors(void **state)
{
    xen_sysctl_cputopo_t *topology = guest_page(dom0, DATA_PAGE);
    xen_sysctl_cpuinfo_t *idle = guest_page(dom0, DATA_PAGE);
    uint32_t *node = guest_page(dom0, DATA_PAGE);

    assert_int_equal(call(XEN_SYSCTL_cputopoinfo), 0);
    assert_int_equal(op.u.cputopoinfo.num_cpus, 2);
    op.u.cputopoinfo.num_cpus = 1;
    op.u.cputopoinfo.cputopo.p = DATA;
    topology[1].core = 77;
    assert_int_equal(call(XEN_SYSCTL_cputopoinfo), 0);
    assert_int_equal(op.u.cputopoinfo.num_cpus, 2);
    assert_int_equal(topology[0].core, 0);
    assert_int_equal(topology[1].core, 77);
    host_tsc += 12345;
    memset(&op.u, 0, sizeof(op.u));
    op.u.getcpuinfo.max_cpus = 100;
    op.u.getcpuinfo.info.p = DATA;
    assert_int_equal(call(XEN_SYSCTL_getcpuinfo), 0);
    assert_int_equal(op.u.getcpuinfo.nr_cpus, 2);
    assert_true(idle[1].idletime >= 12345);
    memset(&op.u, 0, sizeof(op.u));
    assert_int_equal(call(XEN_SYSCTL_numainfo), 0);
    assert_int_equal(op.u.numainfo.num_nodes, 1);
    op.u.numainfo.num_nodes = 5;
    op.u.numainfo.meminfo.p = DATA;
    op.u.numainfo.distance.p = (void *)(guest_va(DATA_PAGE) + 64);
    assert_int_equal(call(XEN_SYSCTL_numainfo), 0);
    assert_int_equal(op.u.numainfo.num_nodes, 1);
    assert_int_equal(node[16], 10);
    memset(&op.u, 0, sizeof(op.u));
    assert_int_equal(call(XEN_SYSCTL_pcitopoinfo), -EINVAL);
    op.u.pcitopoinfo.num_devs = 2;
    op.u.pcitopoinfo.devs.p = DATA;
    op.u.pcitopoinfo.nodes.p = DATA;
    assert_int_equal(call(XEN_SYSCTL_pcitopoinfo), 0);
    assert_int_equal(node[1], XEN_INVALID_NODE_ID);
    op.u.pcitopoinfo.num_devs = ~0u; /* beyond the guest's memory */
    op.u.pcitopoinfo.nodes.p = (void *)guest_va(GUEST_FRAMES - 1);
    assert_int_equal(call(XEN_SYSCTL_pcitopoinfo), -EFAULT);
}

static long pool(uint32_t cmd, uint32_t id)
{
    op.u.cpupool_op.op = cmd;
    op.u.cpupool_op.cpupool_id = id;
    op.u.cpupool_op.cpumap.bitmap.p = DATA;
    return call(XEN_SYSCTL_cpupool_op);
}

static void pools(void **state)
{
    uint8_t *map = guest_page(dom0, DATA_PAGE);

    memset(map, 0xff, 64);
    op.u.cpupool_op.cpumap.nr_bits = 300;
    assert_int_equal(pool(XEN_SYSCTL_CPUPOOL_OP_INFO, 0), 0);
    assert_int_equal(op.u.cpupool_op.n_dom, 2);
    assert_int_equal(op.u.cpupool_op.sched_id, XEN_SCHEDULER_CREDIT2);
    assert_int_equal(map[0], 3);
    assert_int_equal(map[37], 0);
    assert_int_equal(map[38], 0xff);
    op.u.cpupool_op.cpumap.nr_bits = 8;
    map[1] = 0xff;
    assert_int_equal(pool(XEN_SYSCTL_CPUPOOL_OP_FREEINFO, 0), 0);
    assert_int_equal(map[0], 0);
    assert_int_equal(map[1], 0xff);
    op.u.cpupool_op.cpumap.nr_bits = ~0u;
    assert_int_equal(pool(XEN_SYSCTL_CPUPOOL_OP_INFO, 0), -EFAULT);
    assert_int_equal(pool(XEN_SYSCTL_CPUPOOL_OP_INFO, 1), -ENOENT);
    assert_int_equal(pool(XEN_SYSCTL_CPUPOOL_OP_DESTROY, 0), -EBUSY);
    assert_int_equal(pool(XEN_SYSCTL_CPUPOOL_OP_DESTROY, 1), -ENOENT);
    assert_int_equal(pool(99, 0), -ENOSYS);
    assert_int_equal(pool(0, 0), -ENOSYS);
}

static long pool_cpu(uint32_t cmd, uint32_t id, uint32_t cpu)
{
    op.u.cpupool_op.cpu = cpu;
    return pool(cmd, id);
}

static long pool_domain(uint32_t id, uint32_t domid)
{
    op.u.cpupool_op.domid = domid;
    return pool(XEN_SYSCTL_CPUPOOL_OP_MOVEDOMAIN, id);
}

#define ADD    XEN_SYSCTL_CPUPOOL_OP_ADDCPU
#define REMOVE XEN_SYSCTL_CPUPOOL_OP_RMCPU
#define ANY    XEN_SYSCTL_CPUPOOL_PAR_ANY

/* A second pool, from its making to its end. */
static void second_pool(void **state)
{
    const uint8_t *map = guest_page(dom0, DATA_PAGE);

    op.u.cpupool_op.cpumap.nr_bits = 8;
    op.u.cpupool_op.sched_id = XEN_SCHEDULER_CREDIT;
    assert_int_equal(pool(XEN_SYSCTL_CPUPOOL_OP_CREATE, ANY), -ENOENT);
    op.u.cpupool_op.sched_id = XEN_SCHEDULER_CREDIT2;
    assert_int_equal(pool(XEN_SYSCTL_CPUPOOL_OP_CREATE, ANY), 0);
    assert_int_equal(op.u.cpupool_op.cpupool_id, 1);
    assert_int_equal(pool(XEN_SYSCTL_CPUPOOL_OP_CREATE, 1), -EEXIST);
    assert_int_equal(pool_domain(1, 5), -EBUSY);
    assert_int_equal(pool_cpu(ADD, 1, ANY), -EINVAL);
    assert_int_equal(pool_cpu(ADD, 1, 1), -EBUSY);
    assert_int_equal(pool_cpu(REMOVE, 1, 1), -EADDRNOTAVAIL);
    assert_int_equal(pool_cpu(REMOVE, 0, 77), -EINVAL);
    assert_int_equal(pool_cpu(REMOVE, 0, 1), 0);
    assert_int_equal(pool(XEN_SYSCTL_CPUPOOL_OP_FREEINFO, 0), 0);
    assert_int_equal(map[0], 2);
    assert_int_equal(pool_cpu(ADD, 1, 77), -EINVAL);
    assert_int_equal(pool_cpu(ADD, 7, ANY), -ENOENT);
    assert_int_equal(pool_cpu(ADD, 1, ANY), 0);
    assert_int_equal(pool_domain(1, 0), -EINVAL);
    assert_int_equal(pool_domain(7, 5), -ENOENT);
    assert_int_equal(pool_domain(1, 9), -ESRCH);
    assert_int_equal(pool_domain(1, 5), 0);
    assert_int_equal(pool(XEN_SYSCTL_CPUPOOL_OP_INFO, 1), 0);
    assert_int_equal(op.u.cpupool_op.n_dom, 1);
    assert_int_equal(map[0], 2);
    assert_int_equal(pool_cpu(REMOVE, 1, 1), -EBUSY);
    assert_int_equal(pool(XEN_SYSCTL_CPUPOOL_OP_DESTROY, 1), -EBUSY);
    assert_int_equal(pool_domain(0, 5), 0);
    assert_int_equal(pool_cpu(REMOVE, 1, ANY), 0);
    assert_int_equal(pool(XEN_SYSCTL_CPUPOOL_OP_DESTROY, 1), 0);
    assert_int_equal(pool(XEN_SYSCTL_CPUPOOL_OP_INFO, 1), -ENOENT);
    assert_int_equal(pool_cpu(ADD, 0, 1), 0);
}

static long scheduler(uint32_t cmd, uint32_t id, uint32_t us)
{
    op.u.scheduler_op.cpupool_id = 0;
    op.u.scheduler_op.sched_id = id;
    op.u.scheduler_op.cmd = cmd;
    op.u.scheduler_op.u.sched_credit2.ratelimit_us = us;
    return call(XEN_SYSCTL_scheduler_op);
}

static void scheduler_parameters(void **state)
{
    assert_int_equal(scheduler(XEN_SYSCTL_SCHEDOP_putinfo, XEN_SCHEDULER_CREDIT2, 500), 0);
    assert_int_equal(scheduler(XEN_SYSCTL_SCHEDOP_getinfo, XEN_SCHEDULER_CREDIT2, 0), 0);
    assert_int_equal(op.u.scheduler_op.u.sched_credit2.ratelimit_us, 500);
    assert_int_equal(scheduler(XEN_SYSCTL_SCHEDOP_putinfo, XEN_SCHEDULER_CREDIT2, 99), -EINVAL);
    assert_int_equal(scheduler(XEN_SYSCTL_SCHEDOP_putinfo, XEN_SCHEDULER_CREDIT2, ~0u), -EINVAL);
    assert_int_equal(scheduler(XEN_SYSCTL_SCHEDOP_getinfo, XEN_SCHEDULER_CREDIT, 0), -EINVAL);
    assert_int_equal(scheduler(7, XEN_SCHEDULER_CREDIT2, 0), -EINVAL);
}

static void features(void **state)
{
    uint32_t *words = guest_page(dom0, DATA_PAGE);

    assert_int_equal(call(XEN_SYSCTL_get_cpu_featureset), 0);
    assert_int_equal(op.u.cpu_featureset.nr_features, FEATURE_WORDS);
    op.u.cpu_featureset.features.p = DATA;
    op.u.cpu_featureset.nr_features = 2;
    words[2] = 0x77;
    assert_int_equal(call(XEN_SYSCTL_get_cpu_featureset), -ENOBUFS);
    assert_int_equal(op.u.cpu_featureset.nr_features, 2);
    assert_int_equal(words[2], 0x77);
    op.u.cpu_featureset.nr_features = 100;
    assert_int_equal(call(XEN_SYSCTL_get_cpu_featureset), 0);
    assert_int_equal(op.u.cpu_featureset.nr_features, FEATURE_WORDS);
    op.u.cpu_featureset.index = XEN_SYSCTL_cpu_featureset_hvm;
    assert_int_equal(call(XEN_SYSCTL_get_cpu_featureset), -EOPNOTSUPP);
    op.u.cpu_featureset.index = 6;
    assert_int_equal(call(XEN_SYSCTL_get_cpu_featureset), -EINVAL);
}

static long policy(uint32_t index, uint32_t leaves, uint32_t msrs)
{
    op.u.cpu_policy.index = index;
    op.u.cpu_policy.nr_leaves = leaves;
    op.u.cpu_policy.nr_msrs = msrs;
    return call(XEN_SYSCTL_get_cpu_policy);
}

static void policies(void **state)
{
    const xen_cpuid_leaf_t *leaf = guest_page(dom0, DATA_PAGE);

    policy_pv_max.max_basic = policy_pv_max.basic[0].a = 1;
    policy_pv_max.basic[1].d = 0x12345;
    assert_int_equal(policy(XEN_SYSCTL_cpu_policy_pv_max, 0, 0), 0);
    assert_int_equal(op.u.cpu_policy.nr_leaves, POLICY_LEAVES_MAX);
    assert_int_equal(op.u.cpu_policy.nr_msrs, POLICY_MSRS);
    op.u.cpu_policy.leaves.p = DATA;
    op.u.cpu_policy.msrs.p = (void *)guest_va(DATA_PAGE + 1);
    assert_int_equal(policy(XEN_SYSCTL_cpu_policy_pv_max, 1, 9), -ENOBUFS);
    assert_int_equal(policy(XEN_SYSCTL_cpu_policy_pv_max, POLICY_LEAVES_MAX, 1), -ENOBUFS);
    assert_int_equal(policy(XEN_SYSCTL_cpu_policy_pv_max, POLICY_LEAVES_MAX, 9), 0);
    assert_true(op.u.cpu_policy.nr_leaves >= 2);
    assert_int_equal(op.u.cpu_policy.nr_msrs, POLICY_MSRS);
    assert_int_equal(leaf[1].leaf, 1);
    assert_int_equal(leaf[1].d, 0x12345);
    assert_int_equal(policy(XEN_SYSCTL_cpu_policy_hvm_default, 1, 9), -EOPNOTSUPP);
    assert_int_equal(policy(6, 1, 9), -EINVAL);
    op.u.cpu_policy._rsvd = 1;
    assert_int_equal(policy(0, 1, 9), -EINVAL);
}

static long hotplug(uint32_t cpu, uint32_t what)
{
    op.u.cpu_hotplug.cpu = cpu;
    op.u.cpu_hotplug.op = what;
    return call(XEN_SYSCTL_cpu_hotplug);
}

static long frames(uint32_t cmd, uint32_t start, uint32_t end)
{
    op.u.page_offline.cmd = cmd;
    op.u.page_offline.start = start;
    op.u.page_offline.end = end;
    op.u.page_offline.status.p = DATA;
    return call(XEN_SYSCTL_page_offline_op);
}

static void hot_plug(void **state)
{
    const uint32_t *status = guest_page(dom0, DATA_PAGE), query = sysctl_query_page_offline;

    assert_int_equal(hotplug(1, XEN_SYSCTL_CPU_HOTPLUG_ONLINE), -EEXIST);
    assert_int_equal(hotplug(0, XEN_SYSCTL_CPU_HOTPLUG_OFFLINE), -EINVAL);
    assert_int_equal(hotplug(1, XEN_SYSCTL_CPU_HOTPLUG_OFFLINE), -EOPNOTSUPP);
    assert_int_equal(hotplug(77, XEN_SYSCTL_CPU_HOTPLUG_ONLINE), -EINVAL);
    assert_int_equal(hotplug(~0u, XEN_SYSCTL_CPU_HOTPLUG_OFFLINE), -EINVAL);
    assert_int_equal(hotplug(~0u, XEN_SYSCTL_CPU_HOTPLUG_SMT_DISABLE), -EOPNOTSUPP);
    assert_int_equal(frames(query, 0x300, 0x301), 0);
    assert_int_equal(status[0], PG_OFFLINE_STATUS_ONLINE);
    assert_int_equal(status[1], PG_OFFLINE_STATUS_ONLINE);
    assert_int_equal(frames(sysctl_page_offline, 0x300, 0x300), -EOPNOTSUPP);
    assert_int_equal(frames(query, 0x301, 0x300), -EINVAL);
    assert_int_equal(frames(query, 0, ~0u), -EINVAL);
    assert_int_equal(frames(query, ~0u, ~0u), -EINVAL);
}

static long power(uint32_t cmd, uint32_t which, uint32_t value)
{
    op.u.pm_op.cmd = cmd;
    op.u.pm_op.cpuid = which;
    op.u.pm_op.u.set_max_cstate = value;
    return call(XEN_SYSCTL_pm_op);
}

static void power_management(void **state)
{
    assert_int_equal(power(XEN_SYSCTL_pm_op_get_max_cstate, 0, 9), 0);
    assert_int_equal(op.u.pm_op.u.get_max_cstate, 1);
    assert_int_equal(power(XEN_SYSCTL_pm_op_get_max_cstate, 2, 9), -EINVAL);
    assert_int_equal(power(XEN_SYSCTL_pm_op_set_max_cstate, 0, 1), 0);
    assert_int_equal(power(XEN_SYSCTL_pm_op_set_max_cstate, 0, XEN_SYSCTL_CX_UNLIMITED), 0);
    assert_int_equal(power(XEN_SYSCTL_pm_op_set_max_cstate, 1, 0), 0);
    assert_int_equal(power(XEN_SYSCTL_pm_op_set_max_cstate, 0, 0), -EINVAL);
    assert_int_equal(power(XEN_SYSCTL_pm_op_set_sched_opt_smt, 0, 1), 0);
    assert_int_equal(power(XEN_SYSCTL_pm_op_set_sched_opt_smt, 0, 0), 0);
    assert_int_equal(op.u.pm_op.u.set_sched_opt_smt, 1);
    assert_int_equal(power(GET_CPUFREQ_PARA, 0, 0), -ENODEV);
}

static void live_patches(void **state)
{
    struct xen_sysctl_livepatch_op *a = &op.u.livepatch;

    a->cmd = XEN_SYSCTL_LIVEPATCH_LIST;
    a->u.list.nr = 7;
    assert_int_equal(call(XEN_SYSCTL_livepatch_op), 0);
    assert_int_equal(a->u.list.nr, 0);
    a->u.list.pad = 1;
    assert_int_equal(call(XEN_SYSCTL_livepatch_op), -EINVAL);
    memset(a, 0, sizeof(*a));
    a->cmd = XEN_SYSCTL_LIVEPATCH_GET;
    assert_int_equal(call(XEN_SYSCTL_livepatch_op), -EINVAL);
    a->u.get.name.size = 5;
    assert_int_equal(call(XEN_SYSCTL_livepatch_op), -ENOENT);
    a->cmd = XEN_SYSCTL_LIVEPATCH_UPLOAD;
    assert_int_equal(call(XEN_SYSCTL_livepatch_op), -EOPNOTSUPP);
    a->pad = 1;
    assert_int_equal(call(XEN_SYSCTL_livepatch_op), -EINVAL);
}

static void random_structures(void **state)
{
    unsigned good = 0;

    srand(5);
    for (unsigned i = 0; i < 20000; i++) {
        uint8_t *p = (uint8_t *)&op;

        for (unsigned k = 8; k < sizeof(op); k++)
            p[k] = rand() % 3 ? 0 : (uint8_t)rand();
        if (rand() % 2)
            memcpy(p + 16, &(uint64_t){guest_va(DATA_PAGE)}, 8);
        op.interface_version = XEN_SYSCTL_INTERFACE_VERSION;
        op.u.debug_keys.nr_keys &= 1;
        good += call((uint32_t)rand() % 32) == 0;
    }
    assert_true(good > 500);
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(who_and_which),
        TEST(one_at_a_time),
        TEST(physinfo),
        TEST(console),
        TEST(domains),
        TEST(processors),
        TEST(pools),
        TEST(second_pool),
        TEST(scheduler_parameters),
        TEST(features),
        TEST(policies),
        TEST(hot_plug),
        TEST(power_management),
        TEST(live_patches),
        TEST(random_structures),
    };

    return cmocka_run_group_tests_name("hypercall/sysctl", tests, NULL, NULL);
}
