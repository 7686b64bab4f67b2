/* SPDX-License-Identifier: MIT */
/* Builds domain 0 from the boot loader's modules: the first is the kernel, the second its initial
 * RAM disk. ABI.md 3.3; public xen.h, struct start_info. */
#include "start/dom0.h"

#include "base/log.h"
#include "base/panic.h"
#include "boot/boot_info.h"
#include "hvm/hvm.h"
#include "hypercall/ops.h"
#include "hypercall/version.h"
#include "lib/errno.h"
#include "lib/printf.h"
#include "lib/string.h"
#include "lib/strutil.h"
#include "memory/buddy.h"
#include "memory/start.h"
#include "pv/pv.h"
#include "start/dom0_devices.h"

#define DOM0_EVTCHN_PORTS  0x1ffff
#define DOM0_GRANT_FRAMES  64
#define DOM0_MAPTRACK      1024
#define DOM0_GRANT_VERSION 2

static struct dom0 builder init_data;

static void init_code load_segments(const struct dom0 *b)
{
    struct elf_segment s;

    for (unsigned i = 0; elf_load_next(&b->elf, &i, &s);) {
        uint64_t paddr = s.paddr - b->notes.paddr_offset;

        for (uint64_t done = 0; done < s.mem_size;) {
            uint64_t at = paddr + done, in_page = at & ~PAGE_MASK;
            uint64_t n = min(PAGE_SIZE - in_page, s.mem_size - done);
            uint64_t from_file = done < s.file_size ? min(n, s.file_size - done) : 0;
            char *to = (char *)dom0_page(b, at >> PAGE_SHIFT) + in_page;

            memcpy(to, s.data + done, from_file);
            memset(to + from_file, 0, n - from_file);
            done += n;
        }
    }
    if (b->notes.has_hypercall_page)
        pv_hypercall_page_fill(dom0_page(b, dom0_pfn_of(b, b->notes.hypercall_page)));
}

static void init_code write_p2m(const struct dom0 *b)
{
    uint64_t *page = NULL;

    for (unsigned i = 0; i < b->nr_extents; i++) {
        const struct extent *e = &b->extent[i];

        for (uint64_t pfn = e->pfn; pfn < e->pfn + e->count; pfn++) {
            if (!page || pfn % PT_ENTRIES == 0)
                page = dom0_page(b, b->p2m_pfn + pfn / PT_ENTRIES);
            page[pfn % PT_ENTRIES] = e->mfn.n + (pfn - e->pfn);
        }
    }
}

/* The kernel's command line: the module's, then what follows " -- " on our own. */
static void init_code write_cmdline(const struct dom0 *b, char *to, size_t size)
{
    const char *extra = NULL;

    for (const char *s = boot_info.cmdline; *s && !extra; s++)
        if (!strncmp(s, " -- ", 4))
            extra = s + 4;
    if (fmt_snprintf(to, size, "%s%s%s", b->kernel->cmdline, extra ? " " : "",
                     extra ? extra : "") >= (int)size)
        log_warn("domain 0's command line is longer than %zu bytes: the rest is left out", size);
}

static void init_code write_start_info(const struct dom0 *b)
{
    start_info_t *si = dom0_page(b, dom0_pfn_of(b, b->v_start_info));

    memset(si, 0, PAGE_SIZE);
    strlcpy(si->magic, "xen-3.0-x86_64p", sizeof(si->magic));
    si->nr_pages = b->nr_pages;
    si->shared_info = virt_to_paddr(b->d->shared_info);
    si->flags = SIF_PRIVILEGED | SIF_INITDOMAIN;
    si->pt_base = b->v_tables;
    si->nr_pt_frames = b->nr_tables;
    si->mfn_list = b->v_p2m;
    if (b->notes.has_init_p2m) {
        si->first_p2m_pfn = b->p2m_pfn;
        si->nr_p2m_frames = b->nr_p2m_pages;
    }
    if (b->initrd) {
        si->mod_len = b->initrd->end - b->initrd->start;
        si->mod_start = b->v_initrd ? b->v_initrd : b->initrd_pfn;
        si->flags |= b->v_initrd ? 0 : SIF_MOD_START_PFN;
    }
    write_cmdline(b, (char *)si->cmd_line, sizeof(si->cmd_line));
    dom0_console_info(si);
}

/* The rest of the initrd's last page is not the file's. */
static void init_code clear_initrd_tail(const struct dom0 *b)
{
    uint64_t len = b->initrd ? b->initrd->end - b->initrd->start : 0;

    if (len & ~PAGE_MASK)
        memset((char *)dom0_page(b, b->initrd_pfn + len / PAGE_SIZE) + (len & ~PAGE_MASK), 0,
               PAGE_SIZE - (len & ~PAGE_MASK));
}

/* The kernel unpins the first tables when it has made better ones. */
static void init_code pin_tables(struct domain *d, mfn_t l4)
{
    int rc;

    lock(&d->pv->mmu);
    do
        rc = frame_pin(&d->memory, l4, FRAME_L4);
    while (rc == -ERESTART);
    unlock(&d->pv->mmu);
    if (rc)
        fatal("domain 0's first page tables were refused (%d)", rc);
}

static void init_code set_registers(struct vcpu *v, const struct dom0 *b, mfn_t l4)
{
    static struct vcpu_guest_context c init_data;
    int rc;

    memset(&c, 0, sizeof(c));
    c.flags = VGCF_in_kernel | VGCF_online;
    c.user_regs.rip = b->notes.entry;
    c.user_regs.rsp = b->v_stack + PAGE_SIZE;
    c.user_regs.rsi = b->v_start_info;
    c.user_regs.rflags = RFLAGS_IF;
    c.user_regs.cs = SEL_GUEST_CS64;
    c.user_regs.ss = SEL_GUEST_SS;
    c.kernel_ss = SEL_GUEST_SS;
    c.kernel_sp = b->v_stack + PAGE_SIZE;
    c.ctrlreg[3] = l4.n << PAGE_SHIFT;
    do
        rc = pv_vcpu_set_context(v, &c);
    while (rc == -ERESTART);
    if (rc)
        fatal("domain 0's first registers were refused (%d)", rc);
    v->initialised = true;
    hypercall_vcpu_up(v);
}

static void init_code make_domain(struct dom0 *b)
{
    struct domain_config c = {
        .id = 0,
        .privileged = true,
        .hardware = true,
        .hvm = dom0_pvh,
        .max_vcpus = dom0_vcpus(),
        .max_evtchn_port = DOM0_EVTCHN_PORTS,
        .max_grant_frames = DOM0_GRANT_FRAMES,
        .max_maptrack_frames = DOM0_MAPTRACK,
        .max_grant_version = DOM0_GRANT_VERSION,
    };
    struct vcpu *v;

    if (dom0_pvh && !hvm_ops)
        fatal("dom0=pvh: this machine has no AMD-V with nested paging, or it is switched off");
    if (domain_create(&c, &b->d))
        fatal("too little memory for the structures of domain 0");
    domain0 = b->d;
    b->d->memory.any_cache = true;
    for (unsigned i = 0; i < c.max_vcpus; i++)
        if (vcpu_create(b->d, i, &v))
            fatal("too little memory for vCPU %u of domain 0", i);
    dom0_permissions(b->d);
}

static void init_code build_pv(struct dom0 *b)
{
    mfn_t l4;

    dom0_layout(b);
    dom0_populate(b);
    load_segments(b);
    clear_initrd_tail(b);
    write_p2m(b);
    l4 = dom0_make_tables(b);
    write_start_info(b);
    pin_tables(b->d, l4);
    set_registers(b->d->vcpu[0], b, l4);
    log_info("domain 0: kernel \"%s %s\", %lu MiB, %u vCPUs, entry %#lx", b->notes.guest_os,
             b->notes.guest_version, b->nr_pages >> 8, b->d->max_vcpus, b->notes.entry);
}

void init_code dom0_build(void)
{
    struct dom0 *b = &builder;

    if (!boot_info.nr_modules)
        fatal("no kernel for domain 0: give it as the boot loader's first module");
    b->kernel = &boot_info.module[0];
    b->initrd = boot_info.nr_modules > 1 ? &boot_info.module[1] : NULL;
    if (b->initrd && b->initrd->end == b->initrd->start)
        b->initrd = NULL;

    dom0_load_kernel(b);
    make_domain(b);
    dom0_size(b);
    if (dom0_pvh)
        dom0_build_pvh(b);
    else
        build_pv(b);
    domain_wallclock_update(b->d);
    if (b->image_owned)
        buddy_free(b->image_mfn, b->image_order);
    memory_give(b->kernel->start, b->kernel->end);
}
