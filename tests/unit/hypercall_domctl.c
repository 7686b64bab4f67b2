/* SPDX-License-Identifier: MIT */
/* hypercall/domctl*: who may call whom, versions, the life of a domain from its making to its end,
 * vCPUs, affinity, limits and permissions, and random structures. What needs the paravirtual part
 * is met by Debian's tools in tests/system. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "guest.h"
#include "hypercall/control.h"
#include "lib/errno.h"
#include "memory/buddy.h"

#define CALL_PAGE 0
#define DATA_PAGE 1
#define DATA      ((void *)guest_va(DATA_PAGE))

static struct guest *dom0, *domu, *caller;
static struct xen_domctl op;

static int set_up(void **state)
{
    guest_machine(2);
    dom0 = guest_new(0, 2, true);
    domu = guest_new(5, 2, false);
    caller = dom0;
    guest_be(dom0, 0);
    memset(&op, 0, sizeof(op));
    op.interface_version = XEN_DOMCTL_INTERFACE_VERSION;
    return 0;
}

static int tear_down(void **state)
{
    guest_kill(dom0);
    guest_kill(domu);
    return 0;
}

static long call(uint32_t cmd, domid_t id)
{
    long rc;

    op.cmd = cmd;
    op.domain = id;
    current()->continued = false;
    do {
        memcpy(guest_page(caller, CALL_PAGE), &op, sizeof(op));
        rc = domctl(guest_va(CALL_PAGE));
        memcpy(&op, guest_page(caller, CALL_PAGE), sizeof(op));
    } while (current()->continued && !(current()->continued = false));
    return rc;
}

static void who_and_whom(void **state)
{
    assert_int_equal(domctl(HV_VA_START), -EFAULT);
    assert_int_equal(call(0, 5), -ENOSYS);
    assert_int_equal(call(6, 5), -ENOSYS);
    assert_int_equal(call(1000, 5), -ENOSYS);
    assert_int_equal(call(~0u, 5), -ENOSYS);
    assert_int_equal(call(XEN_DOMCTL_pausedomain, 4), -ESRCH);
    assert_int_equal(call(XEN_DOMCTL_pausedomain, 0), -EINVAL);
    assert_int_equal(call(XEN_DOMCTL_pausedomain, DOMID_SELF), -EINVAL);
    assert_int_equal(call(XEN_DOMCTL_destroydomain, 0), -EINVAL);
    assert_int_equal(call(XEN_DOMCTL_max_vcpus, 0), -EINVAL);
    assert_int_equal(call(XEN_DOMCTL_assign_device, 5), -EOPNOTSUPP);
    assert_int_equal(call(XEN_DOMCTL_sethvmcontext, 5), -EINVAL);
    assert_int_equal(call(XEN_DOMCTL_psr_cmt_op, 5), -ENODEV);
    op.interface_version++;
    assert_int_equal(call(XEN_DOMCTL_pausedomain, 4), -EACCES);
    caller = domu;
    guest_be(domu, 0);
    assert_int_equal(call(XEN_DOMCTL_pausedomain, 4), -EACCES);
    op.interface_version--;
    assert_int_equal(call(XEN_DOMCTL_pausedomain, 4), -EPERM);
    assert_int_equal(call(XEN_DOMCTL_getdomaininfo, 5), -EPERM);
}

static void pause(void **state)
{
    assert_int_equal(call(XEN_DOMCTL_pausedomain, 5), 0);
    assert_int_equal(call(XEN_DOMCTL_pausedomain, 5), 0);
    assert_int_equal(domu->d->pause_count, 2);
    assert_int_equal(call(XEN_DOMCTL_unpausedomain, 5), 0);
    assert_true(domu->d->vcpu[0]->pause & BIT(VCPU_PAUSED_BIT));
    assert_int_equal(call(XEN_DOMCTL_unpausedomain, 5), 0);
    assert_false(domu->d->vcpu[0]->pause & BIT(VCPU_PAUSED_BIT));
    assert_int_equal(call(XEN_DOMCTL_unpausedomain, 5), -EINVAL);
    domain_shutdown(domu->d, SHUTDOWN_suspend);
    assert_true(domu->d->vcpu[1]->pause & BIT(VCPU_PAUSED_BIT));
    assert_int_equal(call(XEN_DOMCTL_resumedomain, 5), 0);
    assert_false(domu->d->vcpu[1]->pause & BIT(VCPU_PAUSED_BIT));
    assert_false(domu->d->shut_down);
    assert_int_equal(call(XEN_DOMCTL_pausedomain, 5), 0);
}

static void information(void **state)
{
    assert_int_equal(call(XEN_DOMCTL_getdomaininfo, 1), 0); /* the next there is */
    assert_int_equal(op.domain, 5);
    assert_int_equal(op.u.getdomaininfo.domain, 5);
    assert_int_equal(op.u.getdomaininfo.tot_pages, GUEST_FRAMES);
    assert_int_equal(op.u.getdomaininfo.shared_info_frame, virt_to_mfn(domu->d->shared_info).n);
    assert_int_equal(call(XEN_DOMCTL_getdomaininfo, 6), -ESRCH);
    assert_int_equal(call(XEN_DOMCTL_getdomaininfo, DOMID_SELF), -EINVAL);
    op.u.getvcpuinfo.vcpu = 1;
    assert_int_equal(call(XEN_DOMCTL_getvcpuinfo, 5), 0);
    assert_int_equal(op.u.getvcpuinfo.online, 1);
    assert_int_equal(op.u.getvcpuinfo.running, 0);
    op.u.getvcpuinfo.vcpu = 2;
    assert_int_equal(call(XEN_DOMCTL_getvcpuinfo, 5), -EINVAL);
    memset(op.u.setdomainhandle.handle, 0xab, 16);
    assert_int_equal(call(XEN_DOMCTL_setdomainhandle, 5), 0);
    assert_int_equal(domu->d->handle[15], 0xab);
    op.u.settimeoffset.time_offset_seconds = 100;
    assert_int_equal(call(XEN_DOMCTL_settimeoffset, 5), 0);
    assert_int_equal(domu->d->time_offset_s, 100);
}

static void config(struct xen_domctl_createdomain *c)
{
    memset(&op.u, 0, sizeof(op.u));
    *c = (struct xen_domctl_createdomain){
        .max_vcpus = 2,
        .max_evtchn_port = 1023,
        .max_grant_frames = -1,
        .max_maptrack_frames = -1,
        .grant_opts = 2,
    };
}

/* Made, given memory, ended: nothing is left, and the number is not used again at once. */
static void making_and_ending(void **state)
{
    struct xen_domctl_createdomain *c = &op.u.createdomain;
    uint64_t before = 0;
    struct domain *d;
    domid_t first = 0;
    mfn_t m;

    for (unsigned i = 0; i < 5; i++) {
        if (i == 1) /* the heap keeps some pages of the first */
            before = buddy_free_frames();
        config(c);
        assert_int_equal(call(XEN_DOMCTL_createdomain, 0), 0);
        d = domain_get(op.domain);
        assert_non_null(d);
        assert_true(i == 0 || op.domain > first);
        first = op.domain;
        domain_put(d);
        assert_int_equal(d->pause_count, 1);
        assert_null(d->vcpu[0]);
        op.u.max_vcpus.max = 3;
        assert_int_equal(call(XEN_DOMCTL_max_vcpus, first), -EINVAL);
        op.u.max_vcpus.max = 2;
        assert_int_equal(call(XEN_DOMCTL_max_vcpus, first), 0);
        assert_int_equal(call(XEN_DOMCTL_max_vcpus, first), 0);
        assert_non_null(d->vcpu[1]);
        assert_int_equal(frame_alloc(&d->memory, 0, 0, &m), -E2BIG);
        op.u.max_mem.max_memkb = 64;
        assert_int_equal(call(XEN_DOMCTL_max_mem, first), 0);
        assert_int_equal(frame_alloc(&d->memory, 2, 0, &m), 0);
        config(c);
        assert_int_equal(call(XEN_DOMCTL_createdomain, first), -EEXIST);
        assert_int_equal(call(XEN_DOMCTL_destroydomain, first), 0);
        guest_exit();
        assert_null(domain_get(first));
        assert_int_equal(call(XEN_DOMCTL_destroydomain, first), -ESRCH);
    }
    assert_int_equal(buddy_free_frames(), before);
}

static void bad_configurations(void **state)
{
    struct xen_domctl_createdomain *c = &op.u.createdomain;

#define BAD(error, change)                                            \
    do {                                                              \
        config(c);                                                    \
        change;                                                       \
        assert_int_equal(call(XEN_DOMCTL_createdomain, 0), -(error)); \
    } while (0)
    BAD(EINVAL, c->max_vcpus = 0);
    BAD(EINVAL, c->max_vcpus = ~0u);
    BAD(EINVAL, c->flags = XEN_DOMCTL_CDF_hvm);
    BAD(EINVAL, c->flags = XEN_DOMCTL_CDF_hap);
    BAD(EINVAL, c->flags = XEN_DOMCTL_CDF_iommu);
    BAD(EINVAL, c->flags = 1u << 31);
    BAD(EINVAL, c->iommu_opts = 1);
    BAD(EINVAL, c->grant_opts = 0);
    BAD(EINVAL, c->grant_opts = 3);
    BAD(EINVAL, c->grant_opts = 0x12);
    BAD(EINVAL, c->max_grant_frames = 0);
    BAD(EINVAL, c->max_grant_frames = 65);
    BAD(EINVAL, c->max_maptrack_frames = 1025);
    BAD(EINVAL, c->cpupool_id = 1);
    BAD(EINVAL, c->vmtrace_size = 4096);
    BAD(EOPNOTSUPP, c->arch.emulation_flags = 1);
    BAD(EINVAL, c->arch.misc_flags = 2);
}

static long affinity(uint32_t cmd, uint32_t vcpu, uint32_t flags)
{
    struct xen_domctl_vcpuaffinity *a = &op.u.vcpuaffinity;

    a->vcpu = vcpu;
    a->flags = flags;
    a->cpumap_hard.nr_bits = a->cpumap_soft.nr_bits = 16;
    a->cpumap_hard.bitmap.p = DATA;
    a->cpumap_soft.bitmap.p = (void *)(guest_va(DATA_PAGE) + 8);
    return call(cmd, 5);
}

static void where_vcpus_run(void **state)
{
    uint8_t *map = guest_page(dom0, DATA_PAGE);
    uint32_t both = XEN_VCPUAFFINITY_HARD | XEN_VCPUAFFINITY_SOFT;

    assert_int_equal(affinity(XEN_DOMCTL_getvcpuaffinity, 0, both), 0);
    assert_int_equal(map[0] & map[1] & map[8] & map[9], 0xff);
    map[0] = 0xfe;
    map[1] = 0xff;
    map[8] = 0x02;
    map[9] = 0;
    assert_int_equal(affinity(XEN_DOMCTL_setvcpuaffinity, 0, both), 0);
    assert_int_equal(map[0], 2); /* what it comes to */
    assert_int_equal(map[1], 0);
    assert_int_equal(domu->d->vcpu[0]->unit.cpu, 1);
    assert_int_equal(affinity(XEN_DOMCTL_getvcpuaffinity, 0, both), 0);
    assert_int_equal(map[0], 0xfe); /* what was asked for */
    assert_int_equal(map[8], 2);
    map[0] = 0xfc; /* no such CPUs */
    assert_int_equal(affinity(XEN_DOMCTL_setvcpuaffinity, 0, XEN_VCPUAFFINITY_HARD), -EINVAL);
    assert_int_equal(affinity(XEN_DOMCTL_setvcpuaffinity, 0, 0), -EINVAL);
    assert_int_equal(affinity(XEN_DOMCTL_setvcpuaffinity, 0, 8), -EINVAL);
    assert_int_equal(affinity(XEN_DOMCTL_setvcpuaffinity, 2, both), -EINVAL);
    map[0] = 1;
    op.u.nodeaffinity.nodemap.nr_bits = 8;
    op.u.nodeaffinity.nodemap.bitmap.p = DATA;
    assert_int_equal(call(XEN_DOMCTL_setnodeaffinity, 5), 0);
    map[0] = 2;
    assert_int_equal(call(XEN_DOMCTL_setnodeaffinity, 5), -EINVAL);
    assert_int_equal(call(XEN_DOMCTL_getnodeaffinity, 5), 0);
    assert_int_equal(map[0], 1);
}

static long weight(uint32_t cmd, uint32_t id, uint16_t w, uint16_t cap)
{
    op.u.scheduler_op.sched_id = id;
    op.u.scheduler_op.cmd = cmd;
    op.u.scheduler_op.u.credit2.weight = w;
    op.u.scheduler_op.u.credit2.cap = cap;
    return call(XEN_DOMCTL_scheduler_op, 5);
}

static void weights(void **state)
{
    assert_int_equal(weight(XEN_DOMCTL_SCHEDOP_getinfo, XEN_SCHEDULER_CREDIT2, 0, 0), 0);
    assert_int_equal(op.u.scheduler_op.u.credit2.weight, 256);
    assert_int_equal(weight(XEN_DOMCTL_SCHEDOP_putinfo, XEN_SCHEDULER_CREDIT2, 512, 50), 0);
    assert_int_equal(weight(XEN_DOMCTL_SCHEDOP_putinfo, XEN_SCHEDULER_CREDIT2, 0, 0xffff), 0);
    assert_int_equal(weight(XEN_DOMCTL_SCHEDOP_getinfo, XEN_SCHEDULER_CREDIT2, 0, 0), 0);
    assert_int_equal(op.u.scheduler_op.u.credit2.weight, 512);
    assert_int_equal(op.u.scheduler_op.u.credit2.cap, 50);
    assert_int_equal(weight(XEN_DOMCTL_SCHEDOP_getinfo, XEN_SCHEDULER_CREDIT, 0, 0), -EINVAL);
    assert_int_equal(weight(XEN_DOMCTL_SCHEDOP_getvcpuinfo, XEN_SCHEDULER_CREDIT2, 0, 0), -EINVAL);
}

static long ports(uint32_t first, uint32_t nr, uint8_t allow)
{
    op.u.ioport_permission.first_port = first;
    op.u.ioport_permission.nr_ports = nr;
    op.u.ioport_permission.allow_access = allow;
    return call(XEN_DOMCTL_ioport_permission, 5);
}

static long frames(uint64_t first, uint64_t nr, uint8_t allow)
{
    op.u.iomem_permission.first_mfn = first;
    op.u.iomem_permission.nr_mfns = nr;
    op.u.iomem_permission.allow_access = allow;
    return call(XEN_DOMCTL_iomem_permission, 5);
}

/* Nobody can give what he has not himself; a range that wraps is none. */
static void permissions(void **state)
{
    assert_int_equal(range_set_add(&dom0->d->ioports, 0x100, 0x1ff), 0);
    assert_int_equal(range_set_add(&dom0->d->iomem, 0xf0000, 0xfffff), 0);
    assert_int_equal(ports(0x100, 0x100, 1), 0);
    assert_true(range_set_contains(&domu->d->ioports, 0x100, 0x1ff));
    assert_int_equal(ports(0x100, 0x101, 1), -EPERM);
    assert_int_equal(ports(0x110, 0x10, 0), 0);
    assert_false(range_set_overlaps(&domu->d->ioports, 0x110, 0x11f));
    assert_int_equal(ports(0x10000, 1, 0), -EINVAL);
    assert_int_equal(ports(0xffff, 2, 0), -EINVAL);
    assert_int_equal(ports(1, ~0u, 0), -EINVAL);
    assert_int_equal(frames(0xf0000, 0x10000, 1), 0);
    assert_int_equal(frames(0xeffff, 2, 1), -EPERM);
    assert_int_equal(frames(~0ull, 2, 1), -EINVAL);
    assert_int_equal(frames(5, 0, 1), -EINVAL);
    op.u.irq_permission.pirq = 9;
    op.u.irq_permission.allow_access = 1;
    assert_int_equal(call(XEN_DOMCTL_irq_permission, 5), -EPERM);
}

static void frame_types(void **state)
{
    uint64_t *list = guest_page(dom0, DATA_PAGE);

    list[0] = domu->mfn[3].n;
    list[1] = dom0->mfn[3].n; /* another's */
    list[2] = ~0ull;
    op.u.getpageframeinfo3.num = 3;
    op.u.getpageframeinfo3.array.p = DATA;
    assert_int_equal(call(XEN_DOMCTL_getpageframeinfo3, 5), 0);
    assert_int_equal(list[0], XEN_DOMCTL_PFINFO_NOTAB);
    assert_int_equal(list[1], XEN_DOMCTL_PFINFO_XTAB);
    assert_int_equal(list[2], XEN_DOMCTL_PFINFO_XTAB);
    op.u.getpageframeinfo3.num = 1025;
    assert_int_equal(call(XEN_DOMCTL_getpageframeinfo3, 5), -E2BIG);
    op.u.hypercall_init.gmfn = domu->mfn[3].n;
    assert_int_equal(call(XEN_DOMCTL_hypercall_init, 5), 0);
    assert_int_equal(*(uint8_t *)guest_page(domu, 3), 0x51); /* push rcx */
    op.u.hypercall_init.gmfn = dom0->mfn[3].n;
    assert_int_equal(call(XEN_DOMCTL_hypercall_init, 5), -EINVAL);
    op.u.hypercall_init.gmfn = ~0ull;
    assert_int_equal(call(XEN_DOMCTL_hypercall_init, 5), -EINVAL);
    op.u.shadow_op.op = XEN_DOMCTL_SHADOW_OP_OFF;
    assert_int_equal(call(XEN_DOMCTL_shadow_op, 5), 0);
    op.u.shadow_op.op = XEN_DOMCTL_SHADOW_OP_ENABLE_LOGDIRTY;
    assert_int_equal(call(XEN_DOMCTL_shadow_op, 5), -EOPNOTSUPP);
    op.u.address_size.size = 32;
    assert_int_equal(call(XEN_DOMCTL_set_address_size, 5), -EINVAL);
    op.u.address_size.size = 64;
    assert_int_equal(call(XEN_DOMCTL_set_address_size, 5), 0);
}

static void random_structures(void **state)
{
    unsigned good = 0;

    srand(11);
    for (unsigned i = 0; i < 20000; i++) {
        uint8_t *p = (uint8_t *)&op;
        uint32_t cmd = (uint32_t)rand() % 90;

        for (unsigned k = 16; k < sizeof(op); k++)
            p[k] = rand() % 4 ? 0 : (uint8_t)rand();
        if (rand() % 2)
            memcpy(p + 24, &(uint64_t){guest_va(DATA_PAGE)}, 8);
        if (cmd == XEN_DOMCTL_createdomain || cmd == XEN_DOMCTL_destroydomain)
            continue;
        op.interface_version = XEN_DOMCTL_INTERFACE_VERSION;
        good += call(cmd, (domid_t)(rand() % 7)) == 0;
    }
    assert_true(good > 500);
    domain_pause(domu->d); /* nobody is to be scheduled while the test ends */
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(who_and_whom),
        TEST(pause),
        TEST(information),
        TEST(making_and_ending),
        TEST(bad_configurations),
        TEST(where_vcpus_run),
        TEST(weights),
        TEST(permissions),
        TEST(frame_types),
        TEST(random_structures),
    };

    return cmocka_run_group_tests_name("hypercall/domctl", tests, NULL, NULL);
}
