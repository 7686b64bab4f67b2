/* SPDX-License-Identifier: MIT */
/* What the control hypercall of domains refuses, and with which error.
 *
 * Cause: tools tell "rebuild me", "no such domain" and "not on this machine" apart by errno.
 * Steps: wrong versions, commands, domains and memory; each field of createdomain with a value too
 * many; operations on ourselves; vCPUs that are not there; counts and buffers of wrong sizes.
 * Verdict: the errors that tools rely on, and nothing was made or changed. */
#include "lib/domu.h"

static struct xen_domctl op;
static domid_t id;

static long create_with(void (*change)(struct xen_domctl_createdomain *c))
{
    memset(&op, 0, sizeof(op));
    domu_config(&op.u.createdomain);
    change(&op.u.createdomain);
    return domctl(&op, XEN_DOMCTL_createdomain, 0);
}

static void flag_unknown(struct xen_domctl_createdomain *c)
{
    c->flags = 1u << 31;
}

static void hap_alone(struct xen_domctl_createdomain *c)
{
    c->flags = XEN_DOMCTL_CDF_hap;
}

static void iommu_options(struct xen_domctl_createdomain *c)
{
    c->iommu_opts = XEN_DOMCTL_IOMMU_no_sharept;
}

static void no_vcpus(struct xen_domctl_createdomain *c)
{
    c->max_vcpus = 0;
}

static void many_vcpus(struct xen_domctl_createdomain *c)
{
    c->max_vcpus = 8193;
}

static void emulation(struct xen_domctl_createdomain *c)
{
    c->arch.emulation_flags = XEN_X86_EMU_LAPIC;
}

static void misc(struct xen_domctl_createdomain *c)
{
    c->arch.misc_flags = 2;
}

static void no_grant_version(struct xen_domctl_createdomain *c)
{
    c->grant_opts = 0;
}

static void grant_version_3(struct xen_domctl_createdomain *c)
{
    c->grant_opts = XEN_DOMCTL_GRANT_version(3);
}

static void grant_option(struct xen_domctl_createdomain *c)
{
    c->grant_opts |= 0x10;
}

static void no_grant_frames(struct xen_domctl_createdomain *c)
{
    c->max_grant_frames = 0;
}

static void many_grant_frames(struct xen_domctl_createdomain *c)
{
    c->max_grant_frames = 0x10000000;
}

static void trace(struct xen_domctl_createdomain *c)
{
    c->vmtrace_size = 4096;
}

static void check_create(void)
{
    expect_eq(create_with(flag_unknown), -XEN_EINVAL);
    expect_eq(create_with(hap_alone), -XEN_EINVAL);
    expect_eq(create_with(iommu_options), -XEN_EINVAL);
    expect_eq(create_with(no_vcpus), -XEN_EINVAL);
    expect_eq(create_with(many_vcpus), -XEN_EINVAL);
    expect_eq(create_with(emulation), -XEN_EOPNOTSUPP);
    expect_eq(create_with(misc), -XEN_EINVAL);
    expect_eq(create_with(no_grant_version), -XEN_EINVAL);
    expect_eq(create_with(grant_version_3), -XEN_EINVAL);
    expect_eq(create_with(grant_option), -XEN_EINVAL);
    expect_eq(create_with(no_grant_frames), -XEN_EINVAL);
    expect_eq(create_with(many_grant_frames), -XEN_EINVAL);
    expect_eq(create_with(trace), -XEN_EINVAL);
    memset(&op, 0, sizeof(op));
    domu_config(&op.u.createdomain);
    expect_eq(domctl(&op, XEN_DOMCTL_createdomain, id), -XEN_EEXIST);
    /* None of them left a domain behind. */
    for (domid_t i = 1; i < 64; i++)
        expect_eq(domain_info(i, NULL), i == id ? 0 : -XEN_ESRCH);
}

static void check_frame(void)
{
    memset(&op, 0, sizeof(op));
    op.cmd = XEN_DOMCTL_pausedomain;
    op.interface_version = XEN_DOMCTL_INTERFACE_VERSION + 1;
    op.domain = 0x7123; /* the version comes first */
    expect_eq(hypercall1(__HYPERVISOR_domctl, &op), -XEN_EACCES);
    op.interface_version = 0;
    expect_eq(hypercall1(__HYPERVISOR_domctl, &op), -XEN_EACCES);
    expect_eq(hypercall1(__HYPERVISOR_domctl, 8), -XEN_EFAULT);
    expect_eq(hypercall1(__HYPERVISOR_domctl, 0xffff830000000000), -XEN_EFAULT);
    expect_eq(domctl(&op, 0, id), -XEN_ENOSYS);
    expect_eq(domctl(&op, 26, id), -XEN_ENOSYS); /* real_mode_area, of another architecture */
    expect_eq(domctl(&op, 81, id), -XEN_ENOSYS);
    expect_eq(domctl(&op, 9999, id), -XEN_ENOSYS);
    expect_eq(domctl(&op, 0xffffffff, id), -XEN_ENOSYS);
}

static void check_nobody(void)
{
    static const unsigned int cmds[] = {
        XEN_DOMCTL_destroydomain,    XEN_DOMCTL_pausedomain,    XEN_DOMCTL_unpausedomain,
        XEN_DOMCTL_max_mem,          XEN_DOMCTL_setvcpucontext, XEN_DOMCTL_getvcpucontext,
        XEN_DOMCTL_getvcpuinfo,      XEN_DOMCTL_max_vcpus,      XEN_DOMCTL_scheduler_op,
        XEN_DOMCTL_iomem_permission, XEN_DOMCTL_resumedomain,   XEN_DOMCTL_sendtrigger,
        XEN_DOMCTL_get_address_size, XEN_DOMCTL_gettscinfo,     XEN_DOMCTL_get_cpu_policy,
    };

    for (unsigned int i = 0; i < sizeof(cmds) / sizeof(*cmds); i++) {
        memset(&op, 0, sizeof(op));
        expect_eq(domctl(&op, cmds[i], 0x7123), -XEN_ESRCH);
        memset(&op, 0, sizeof(op));
        expect_eq(domctl(&op, cmds[i], DOMID_XEN), -XEN_ESRCH);
    }
    memset(&op, 0, sizeof(op));
    expect_eq(domctl(&op, XEN_DOMCTL_getdomaininfo, 0x7000), -XEN_ESRCH);
    expect_eq(domctl(&op, XEN_DOMCTL_getdomaininfo, 0), 0);
    expect_eq(op.domain, 0);
    expect_eq(domctl(&op, XEN_DOMCTL_getdomaininfo, 1), 0);
    expect_eq(op.domain, id);
}

static void check_self(void)
{
    static const unsigned int cmds[] = {XEN_DOMCTL_pausedomain,    XEN_DOMCTL_destroydomain,
                                        XEN_DOMCTL_resumedomain,   XEN_DOMCTL_max_vcpus,
                                        XEN_DOMCTL_getvcpucontext, XEN_DOMCTL_settscinfo};

    for (unsigned int i = 0; i < sizeof(cmds) / sizeof(*cmds); i++) {
        memset(&op, 0, sizeof(op));
        expect_eq(domctl(&op, cmds[i], 0), -XEN_EINVAL);
    }
}

static void check_vcpus(void)
{
    static struct vcpu_guest_context c;

    memset(&op, 0, sizeof(op));
    op.u.getvcpuinfo.vcpu = 1;
    expect_eq(domctl(&op, XEN_DOMCTL_getvcpuinfo, id), -XEN_EINVAL);
    op.u.getvcpuinfo.vcpu = 0x80000000;
    expect_eq(domctl(&op, XEN_DOMCTL_getvcpuinfo, id), -XEN_EINVAL);
    memset(&op, 0, sizeof(op));
    op.u.max_vcpus.max = 2;
    expect_eq(domctl(&op, XEN_DOMCTL_max_vcpus, id), -XEN_EINVAL);
    memset(&op, 0, sizeof(op));
    set_xen_guest_handle(op.u.vcpucontext.ctxt, &c);
    expect_eq(domctl(&op, XEN_DOMCTL_getvcpucontext, id), -XEN_ENODATA);
    op.u.vcpucontext.vcpu = 1;
    expect_eq(domctl(&op, XEN_DOMCTL_getvcpucontext, id), -XEN_EINVAL);
    expect_eq(domctl(&op, XEN_DOMCTL_setvcpucontext, id), -XEN_EINVAL);
    memset(&op, 0, sizeof(op));
    op.u.sendtrigger.trigger = XEN_DOMCTL_SENDTRIGGER_POWER;
    expect_eq(domctl(&op, XEN_DOMCTL_sendtrigger, id), -XEN_EINVAL);
    op.u.sendtrigger.trigger = XEN_DOMCTL_SENDTRIGGER_RESET;
    expect_eq(domctl(&op, XEN_DOMCTL_sendtrigger, id), -XEN_ENOSYS);
    op.u.sendtrigger.vcpu = 7;
    expect_eq(domctl(&op, XEN_DOMCTL_sendtrigger, id), -XEN_ESRCH);
}

static void check_memory(void)
{
    memset(&op, 0, sizeof(op));
    op.u.getpageframeinfo3.num = 1025;
    expect_eq(domctl(&op, XEN_DOMCTL_getpageframeinfo3, id), -XEN_E2BIG);
    memset(&op, 0, sizeof(op));
    op.u.ioport_permission = (struct xen_domctl_ioport_permission){0xffff, 2, 1};
    expect_eq(domctl(&op, XEN_DOMCTL_ioport_permission, id), -XEN_EINVAL);
    memset(&op, 0, sizeof(op));
    op.u.iomem_permission.first_mfn = ~0ul;
    op.u.iomem_permission.nr_mfns = 2;
    expect_eq(domctl(&op, XEN_DOMCTL_iomem_permission, id), -XEN_EINVAL);
    memset(&op, 0, sizeof(op));
    op.u.iomem_permission.first_mfn = 0xfee00; /* the local APIC: not ours to give */
    op.u.iomem_permission.nr_mfns = 1;
    op.u.iomem_permission.allow_access = 1;
    expect_eq(domctl(&op, XEN_DOMCTL_iomem_permission, id), -XEN_EPERM);
    memset(&op, 0, sizeof(op));
    op.u.hypercall_init.gmfn = ~0ul >> 12;
    expect_eq(domctl(&op, XEN_DOMCTL_hypercall_init, id), -XEN_EINVAL);
}

static void check_buffers(void)
{
    memset(&op, 0, sizeof(op));
    expect_eq(domctl(&op, XEN_DOMCTL_get_cpu_policy, id), 0); /* how many there are */
    expect(op.u.cpu_policy.nr_leaves > 0);
    expect(op.u.cpu_policy.nr_msrs > 0);
    op.u.cpu_policy.nr_leaves = 1;
    op.u.cpu_policy.leaves.p = (void *)&op;
    expect_eq(domctl(&op, XEN_DOMCTL_get_cpu_policy, id), -XEN_ENOBUFS);
}

static void check_not_there(void)
{
    memset(&op, 0, sizeof(op));
    expect_eq(domctl(&op, XEN_DOMCTL_gethvmcontext, id), -XEN_EINVAL);
    memset(&op, 0, sizeof(op));
    op.u.address_size.size = 32;
    expect(domctl(&op, XEN_DOMCTL_set_address_size, id) < 0);
    op.u.address_size.size = 16;
    expect_eq(domctl(&op, XEN_DOMCTL_set_address_size, id), -XEN_EINVAL);
    memset(&op, 0, sizeof(op));
    op.u.shadow_op.op = 999;
    expect(domctl(&op, XEN_DOMCTL_shadow_op, id) < 0);
    memset(&op, 0, sizeof(op));
    expect_eq(domctl(&op, XEN_DOMCTL_get_paging_mempool_size, id), -XEN_EOPNOTSUPP);
    memset(&op, 0, sizeof(op));
    op.u.scheduler_op.sched_id = 99;
    expect_eq(domctl(&op, XEN_DOMCTL_scheduler_op, id), -XEN_EINVAL);
}

void test_main(void)
{
    id = domu_create_empty();
    check_create();
    check_frame();
    check_nobody();
    check_self();
    check_vcpus();
    check_memory();
    check_buffers();
    check_not_there();
    memset(&op, 0, sizeof(op));
    expect_eq(domctl(&op, XEN_DOMCTL_unpausedomain, id), 0);
    expect_eq(domctl(&op, XEN_DOMCTL_unpausedomain, id), -XEN_EINVAL); /* counted */
    expect_eq(domctl_plain(XEN_DOMCTL_destroydomain, id), 0);
    test_pass();
}
