/* SPDX-License-Identifier: MIT */
/* Building, watching and destroying a second domain. Its layout is that of the builder contract
 * (public header xen.h): the image, start_info, four page tables, the boot stack, spare pages. */
#include "lib/domu.h"

#define SPARE_PAGES 48
#define FIRST_PFN   256 /* of the image: link.ld */

enum {
    PT_L4,
    PT_L3,
    PT_L2,
    PT_L1,
    NR_PT
};

/* In the image, so that the copy has them too. */
static start_info_t domu_start_info;
static unsigned long domu_p2m[512];
static void (*domu_main)(void);
extern char domu_entry[], boot_stack_top[];
void domu_begin(start_info_t *info);

asm(".text; domu_entry: lea boot_stack_top(%rip), %rsp; mov %rsi, %rdi; call domu_begin; ud2");

/* Its first function. */
void domu_begin(start_info_t *info)
{
    struct sched_shutdown end = {.reason = SHUTDOWN_poweroff};

    start_info = info;
    failures = 0;
    trap_init();
    memory_init();
    domu_main();
    hc_sched_op(SCHEDOP_shutdown, &end);
}

/* ---- control hypercalls ---- */

long domctl(struct xen_domctl *op, uint32_t cmd, domid_t id)
{
    op->cmd = cmd;
    op->interface_version = XEN_DOMCTL_INTERFACE_VERSION;
    op->domain = id;
    return hypercall1(__HYPERVISOR_domctl, op);
}

long domctl_plain(uint32_t cmd, domid_t id)
{
    struct xen_domctl op = {0};

    return domctl(&op, cmd, id);
}

long sysctl(struct xen_sysctl *op, uint32_t cmd)
{
    op->cmd = cmd;
    op->interface_version = XEN_SYSCTL_INTERFACE_VERSION;
    return hypercall1(__HYPERVISOR_sysctl, op);
}

uint64_t free_pages(void)
{
    struct xen_sysctl op = {0};

    need_eq(sysctl(&op, XEN_SYSCTL_physinfo), 0);
    return op.u.physinfo.free_pages;
}

uint64_t free_pages_settled(void)
{
    uint64_t before, now = free_pages();

    do {
        before = now;
        sleep_ms(30);
        now = free_pages();
    } while (now != before);
    return now;
}

long domain_info(domid_t id, struct xen_domctl_getdomaininfo *info)
{
    struct xen_domctl op = {0};
    long ret = domctl(&op, XEN_DOMCTL_getdomaininfo, id);

    if (!ret && op.domain != id)
        return -XEN_ESRCH;
    if (info)
        *info = op.u.getdomaininfo;
    return ret;
}

/* ---- making ---- */

void domu_config(struct xen_domctl_createdomain *c)
{
    memset(c, 0, sizeof(*c));
    c->max_vcpus = 1;
    c->max_evtchn_port = 1023;
    c->max_grant_frames = -1;
    c->max_maptrack_frames = -1;
    c->grant_opts = XEN_DOMCTL_GRANT_version(2);
}

domid_t domu_create_empty(void)
{
    struct xen_domctl op = {0};
    domid_t id;

    domu_config(&op.u.createdomain);
    need_eq(domctl(&op, XEN_DOMCTL_createdomain, 0), 0);
    id = op.domain;
    op.u.max_vcpus.max = 1;
    need_eq(domctl(&op, XEN_DOMCTL_max_vcpus, id), 0);
    op.u.max_mem.max_memkb = 4096;
    need_eq(domctl(&op, XEN_DOMCTL_max_mem, id), 0);
    return id;
}

void domu_populate(domid_t id, unsigned long *mfns, unsigned int n)
{
    struct xen_memory_reservation r = {.nr_extents = n, .domid = id};

    for (unsigned int i = 0; i < n; i++)
        mfns[i] = FIRST_PFN + i;
    set_xen_guest_handle(r.extent_start, mfns);
    need_eq(hc_memory_op(XENMEM_populate_physmap, &r), n);
}

long map_foreign(domid_t id, volatile void *va, unsigned long mfn, uint64_t flags)
{
    struct mmu_update req = {virt_to_maddr(pte_lookup(va, 1)), mfn_pte(mfn, flags)};

    return hc_mmu_update(&req, 1, NULL, id);
}

static void open_window(struct domu *d)
{
    if (!d->view) {
        d->view = hole_alloc();
        for (unsigned int i = 1; i < d->nr_pages; i++)
            hole_alloc();
    }
    for (unsigned int i = 0; i < d->nr_pages; i++)
        need_eq(map_foreign(d->id, d->view + i * PAGE_SIZE, d->mfn[i], PTE_KERNEL), 0);
    d->open = true;
}

/* Fills in the tables (their pages are frames pt, pt + 1...) as plain memory. */
static void fill_tables(struct domu *d, unsigned int pt)
{
    pte_t *t[NR_PT];

    for (int i = 0; i < NR_PT; i++) {
        t[i] = (pte_t *)(d->view + (pt + i) * PAGE_SIZE);
        memset(t[i], 0, PAGE_SIZE);
    }
    t[PT_L4][511] = mfn_pte(d->mfn[pt + PT_L3], PTE_TABLE);
    t[PT_L3][510] = mfn_pte(d->mfn[pt + PT_L2], PTE_TABLE);
    t[PT_L2][0] = mfn_pte(d->mfn[pt + PT_L1], PTE_TABLE);
    for (unsigned int i = 0; i < d->nr_pages; i++)
        t[PT_L1][FIRST_PFN + i] =
            mfn_pte(d->mfn[i], i >= pt && i < pt + NR_PT ? PTE_RO : PTE_KERNEL);
}

static void fill_start_info(struct domu *d, unsigned int pt)
{
    start_info_t *si = domu_view(d, &domu_start_info);

    memset(si, 0, sizeof(*si));
    si->nr_pages = FIRST_PFN + d->nr_pages;
    si->shared_info = d->shared_info << PAGE_SHIFT;
    si->pt_base = UL(_kernel_start) + pt * PAGE_SIZE;
    si->nr_pt_frames = NR_PT;
    si->mfn_list = UL(domu_p2m);
    for (unsigned int i = 0; i < d->nr_pages; i++)
        domu_view(d, domu_p2m)[FIRST_PFN + i] = d->mfn[i];
}

void domu_context(const struct domu *d, void (*start)(void), struct vcpu_guest_context *c)
{
    memset(c, 0, sizeof(*c));
    c->flags = VGCF_in_kernel | VGCF_online;
    c->user_regs.rip = UL(start);
    c->user_regs.rsi = UL(&domu_start_info);
    c->user_regs.rsp = UL(boot_stack_top);
    c->user_regs.rflags = 0x200;
    c->user_regs.cs = FLAT_KERNEL_CS;
    c->user_regs.ss = FLAT_KERNEL_SS;
    c->kernel_ss = FLAT_KERNEL_SS;
    c->kernel_sp = UL(boot_stack_top);
    c->ctrlreg[3] = xen_pfn_to_cr3(d->cr3);
}

void domu_create(struct domu *d, void (*start)(void))
{
    static struct vcpu_guest_context context;
    struct xen_domctl op = {0};
    struct xen_domctl_getdomaininfo info;
    unsigned int image = (UL(_kernel_end) - UL(_kernel_start)) / PAGE_SIZE;
    struct mmuext_op pin = {.cmd = MMUEXT_PIN_L4_TABLE};

    d->nr_pages = image + NR_PT + 1 + SPARE_PAGES;
    if (d->nr_pages > DOMU_PAGES_MAX)
        test_error("an image of %u pages", image);
    d->id = domu_create_empty();
    domu_populate(d->id, d->mfn, d->nr_pages);
    need_eq(domain_info(d->id, &info), 0);
    d->shared_info = info.shared_info_frame;
    open_window(d);
    domu_main = start;
    memcpy(d->view, _kernel_start, image * PAGE_SIZE);
    fill_start_info(d, image);
    fill_tables(d, image);
    d->cr3 = d->mfn[image + PT_L4];
    for (unsigned int i = image; i < image + NR_PT; i++)
        need_eq(page_unmap(d->view + i * PAGE_SIZE), 0);
    pin.arg1.mfn = d->cr3;
    need_eq(hc_mmuext_op(&pin, 1, NULL, d->id), 0);
    domu_context(d, (void (*)(void))domu_entry, &context);
    op.u.vcpucontext.vcpu = 0;
    set_xen_guest_handle(op.u.vcpucontext.ctxt, &context);
    need_eq(domctl(&op, XEN_DOMCTL_setvcpucontext, d->id), 0);
}

/* ---- running and ending ---- */

void domu_close(struct domu *d)
{
    if (d->open)
        for (unsigned int i = 0; i < d->nr_pages; i++)
            need_eq(page_unmap(d->view + i * PAGE_SIZE), 0);
    d->open = false;
}

long domu_wait(struct domu *d)
{
    uint64_t end = time_now() + 2000000000ul;
    struct xen_domctl_getdomaininfo info;

    while (time_now() < end) {
        need_eq(domain_info(d->id, &info), 0);
        if (info.flags & XEN_DOMINF_shutdown)
            return info.flags >> XEN_DOMINF_shutdownshift & XEN_DOMINF_shutdownmask;
        hc_sched_op(SCHEDOP_yield, NULL);
    }
    return -1;
}

long domu_run(struct domu *d)
{
    long reason;

    need_eq(domctl_plain(XEN_DOMCTL_unpausedomain, d->id), 0);
    reason = domu_wait(d);
    if (*domu_view(d, &failures))
        expect_failed("in the second domain: %s", domu_view(d, first_failure));
    return reason;
}

void domu_gone(struct domu *d)
{
    domu_close(d);
    for (int i = 0; i < 100 && domain_info(d->id, NULL) == 0; i++)
        sleep_ms(5);
    expect_eq(domain_info(d->id, NULL), -XEN_ESRCH);
}

void domu_destroy(struct domu *d)
{
    expect_eq(domctl_plain(XEN_DOMCTL_destroydomain, d->id), 0);
    domu_gone(d);
}
