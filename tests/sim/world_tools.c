/* SPDX-License-Identifier: MIT */
/* What domain 0 asks of the machine (and others try): sysctl, platform_op, physdev_op, hypfs, the
 * console and its keys. */
#include <string.h>

#include "base/softirq.h"
#include "hypercall/console_io.h"
#include "hypercall/debug_keys.h"
#include "hypercall/pirq.h"
#include "world.h"

#include <xen/domctl.h>
#include <xen/event_channel.h>
#include <xen/hypfs.h>
#include <xen/platform.h>
#include <xen/sysctl.h>

/* Mostly of a small number, at times anything. */
static uint32_t about(uint32_t n)
{
    return chance(12) ? (uint32_t)any_u64() : pvg_random(n);
}

/* A page of nonsense, or of zeros: where lists are read from and written to. */
static uint64_t any_list(void)
{
    uint8_t page[1024];

    scramble(page, sizeof(page));
    return chance(10) ? 0 : put_list(page, sizeof(page));
}

/* ---- sysctl ---- */

static void aim_lists(struct xen_sysctl *op, uint64_t list)
{
    switch (op->cmd) {
    case XEN_SYSCTL_readconsole:
        op->u.readconsole.count = about(PAGE_SIZE);
        set_xen_guest_handle(op->u.readconsole.buffer, (char *)list);
        break;
    case XEN_SYSCTL_getdomaininfolist:
        op->u.getdomaininfolist.first_domain = (domid_t)about(20);
        op->u.getdomaininfolist.max_domains = about(30);
        set_xen_guest_handle(op->u.getdomaininfolist.buffer, (void *)list);
        break;
    case XEN_SYSCTL_getcpuinfo:
        op->u.getcpuinfo.max_cpus = about(20);
        set_xen_guest_handle(op->u.getcpuinfo.info, (void *)list);
        break;
    case XEN_SYSCTL_cputopoinfo:
        op->u.cputopoinfo.num_cpus = about(20);
        set_xen_guest_handle(op->u.cputopoinfo.cputopo, (void *)list);
        break;
    case XEN_SYSCTL_numainfo:
        op->u.numainfo.num_nodes = about(3);
        set_xen_guest_handle(op->u.numainfo.meminfo, (void *)list);
        set_xen_guest_handle(op->u.numainfo.distance, (void *)(chance(2) ? list : any_va()));
        break;
    case XEN_SYSCTL_pcitopoinfo:
        op->u.pcitopoinfo.num_devs = about(40);
        set_xen_guest_handle(op->u.pcitopoinfo.devs, (void *)list);
        set_xen_guest_handle(op->u.pcitopoinfo.nodes, (void *)list);
        break;
    case XEN_SYSCTL_get_cpu_featureset:
        op->u.cpu_featureset.index = about(8);
        op->u.cpu_featureset.nr_features = about(40);
        set_xen_guest_handle(op->u.cpu_featureset.features, (uint32_t *)list);
        break;
    case XEN_SYSCTL_get_cpu_policy:
        op->u.cpu_policy.index = about(8);
        op->u.cpu_policy._rsvd = chance(8);
        op->u.cpu_policy.nr_leaves = about(200);
        op->u.cpu_policy.nr_msrs = about(6);
        set_xen_guest_handle(op->u.cpu_policy.leaves, (void *)list);
        set_xen_guest_handle(op->u.cpu_policy.msrs, (void *)(chance(2) ? list : 0));
        break;
    case XEN_SYSCTL_page_offline_op:
        op->u.page_offline.cmd = chance(4) ? about(5) : sysctl_query_page_offline;
        op->u.page_offline.start = chance(4) ? about(0x300) : 0x200 + about(64);
        op->u.page_offline.end = op->u.page_offline.start + about(40) - chance(8);
        set_xen_guest_handle(op->u.page_offline.status, (uint32_t *)list);
        break;
    }
}

/* Keys that only show; some show all, which takes long. What others change meanwhile they do not
 * lock: of CPUs that are threads these are races. */
static char any_key(void)
{
    static const char quick[] = "hq0drategmHiz ?~k";

    if (world_parallel)
        return 'h';
    if (!world_depth && chance(60))
        return "*xf"[pvg_random(3)];
    return chance(100) ? 'F' : quick[pvg_random(sizeof(quick) - 1)];
}

static void aim_machine(struct xen_sysctl *op, uint64_t list)
{
    char keys[4] = {any_key(), any_key()};

    switch (op->cmd) {
    case XEN_SYSCTL_debug_keys:
        op->u.debug_keys.nr_keys = pvg_random(3);
        set_xen_guest_handle(op->u.debug_keys.keys, (char *)put(keys, sizeof(keys)));
        break;
    case XEN_SYSCTL_cpu_hotplug:
        op->u.cpu_hotplug.cpu = about(5);
        op->u.cpu_hotplug.op = about(6);
        break;
    case XEN_SYSCTL_pm_op:
        op->u.pm_op.cmd = chance(4) ? about(0x30) : 0x20 + pvg_random(8);
        op->u.pm_op.cpuid = about(3);
        op->u.pm_op.u.set_max_cstate = about(3);
        break;
    case XEN_SYSCTL_livepatch_op:
        op->u.livepatch.cmd = about(5);
        op->u.livepatch.pad = chance(8);
        op->u.livepatch.u.list.pad = chance(4);
        if (op->u.livepatch.cmd != XEN_SYSCTL_LIVEPATCH_LIST)
            op->u.livepatch.u.get.name.size = (uint16_t)about(200);
        break;
    case XEN_SYSCTL_cpupool_op:
        op->u.cpupool_op.op = chance(8) ? about(9) : 1 + pvg_random(7);
        op->u.cpupool_op.cpupool_id = chance(8) ? XEN_SYSCTL_CPUPOOL_PAR_ANY : about(4);
        op->u.cpupool_op.sched_id = chance(3)   ? about(10)
                                    : chance(3) ? XEN_SCHEDULER_NULL
                                                : XEN_SCHEDULER_CREDIT2;
        op->u.cpupool_op.domid = any_domid();
        op->u.cpupool_op.cpu = chance(3) ? XEN_SYSCTL_CPUPOOL_PAR_ANY : about(4);
        op->u.cpupool_op.cpumap.nr_bits = about(300);
        set_xen_guest_handle(op->u.cpupool_op.cpumap.bitmap, (uint8_t *)list);
        break;
    case XEN_SYSCTL_scheduler_op:
        op->u.scheduler_op.cpupool_id = about(4);
        op->u.scheduler_op.sched_id = chance(4) ? about(10) : XEN_SCHEDULER_CREDIT2;
        op->u.scheduler_op.cmd = about(3);
        op->u.scheduler_op.u.sched_credit2.ratelimit_us = chance(2) ? about(100) : 1000;
        break;
    case XEN_SYSCTL_tbuf_op:
        op->u.tbuf_op.cmd = about(8);
        op->u.tbuf_op.evt_mask = chance(2) ? ~0u : (uint32_t)any_u64();
        op->u.tbuf_op.size = about(4);
        op->u.tbuf_op.cpu_mask.nr_bits = about(40);
        set_xen_guest_handle(op->u.tbuf_op.cpu_mask.bitmap, (uint8_t *)list);
        break;
    }
}

static long do_sysctl(void)
{
    static const uint8_t known[] = {1,  2,  3,  4,  6,  7,  8,  9,  11, 12, 14, 16, 17,
                                    18, 18, 18, 18, 19, 22, 23, 24, 25, 26, 27, 29};
    bool privileged = me->d->privileged;
    struct xen_sysctl op;
    uint64_t list;
    long rc;

    memset(&op, 0, sizeof(op));
    if (chance(4))
        scramble(&op, sizeof(op));
    op.cmd = chance(8) ? pvg_random(40) : known[pvg_random(ARRAY_SIZE(known))];
    op.interface_version = XEN_SYSCTL_INTERFACE_VERSION + chance(64);
    list = any_list();
    if (!chance(16) || op.cmd == XEN_SYSCTL_debug_keys) {
        aim_lists(&op, list);
        aim_machine(&op, list);
    }
    /* CPUs stay among those that the world's vCPUs may have, when others are in the middle. */
    if (op.cmd == XEN_SYSCTL_cpupool_op && (world_parallel || world_depth))
        return -EPERM;
    rc = hcall(__HYPERVISOR_sysctl, put(&op, sizeof(op)), 0, 0, 0);
    if (rc >= 0 && !privileged)
        world_flaw("an unprivileged domain has got sysctl %u done", op.cmd);
    return rc;
}

/* ---- platform_op ---- */

static void aim_platform(struct xen_platform_op *op)
{
    uint32_t word[4] = {chance(8) ? 2 : 1, !chance(8), pvg_random(0x10000)};

    switch (op->cmd) {
    case XENPF_settime32:
        op->u.settime32 = (struct xenpf_settime32){
            .secs = pvg_random(4), .nsecs = about(1000000000), .system_time = any_u64()};
        break;
    case XENPF_settime64:
        op->u.settime64 = (struct xenpf_settime64){.secs = 1000,
                                                   .nsecs = about(1000000000),
                                                   .mbz = chance(8),
                                                   .system_time = about(100000)};
        break;
    case XENPF_platform_quirk:
        op->u.platform_quirk.quirk_id = about(5);
        break;
    case XENPF_get_cpu_version:
        op->u.pcpu_version.xen_cpuid = about(5);
        break;
    case XENPF_get_cpuinfo:
        op->u.pcpu_info.xen_cpuid = about(5);
        break;
    case XENPF_cpu_online:
    case XENPF_cpu_offline:
        op->u.cpu_ol.cpuid = about(5);
        break;
    case XENPF_firmware_info:
        if (!world_parallel)
            world_efi(pvg_random(3));
        op->u.firmware_info.type = chance(3) ? about(7) : XEN_FW_EFI_INFO;
        op->u.firmware_info.index = about(6);
        op->u.firmware_info.u.efi_info.vendor.bufsz = about(20);
        set_xen_guest_handle(op->u.firmware_info.u.efi_info.vendor.name, (void *)any_list());
        break;
    case XENPF_enter_acpi_sleep: /* there is no register that would end the machine */
        op->u.enter_acpi_sleep = (struct xenpf_enter_acpi_sleep){
            .sleep_state = (uint16_t)about(7), .val_a = about(0x10000), .flags = about(3)};
        break;
    case XENPF_set_processor_pminfo:
        op->u.set_pminfo.type = about(5);
        set_xen_guest_handle(op->u.set_pminfo.u.pdc, (uint32_t *)put_list(word, sizeof(word)));
        break;
    case XENPF_core_parking:
        op->u.core_parking.type = about(4);
        break;
    case XENPF_get_symbol:
        op->u.symdata.symnum = about(10);
        op->u.symdata.namelen = about(100);
        set_xen_guest_handle(op->u.symdata.name, (char *)any_list());
        break;
    }
}

static long do_platform(void)
{
    static const uint8_t known[] = {XENPF_settime32,        XENPF_settime64,
                                    XENPF_platform_quirk,   XENPF_get_cpu_version,
                                    XENPF_firmware_info,    XENPF_firmware_info,
                                    XENPF_enter_acpi_sleep, XENPF_set_processor_pminfo,
                                    XENPF_get_cpuinfo,      XENPF_cpu_online,
                                    XENPF_cpu_offline,      XENPF_core_parking,
                                    XENPF_get_symbol};
    bool hardware = me->d->hardware;
    struct xen_platform_op op;
    long rc;

    memset(&op, 0, sizeof(op));
    if (chance(4))
        scramble(&op, sizeof(op));
    op.cmd = chance(8) ? 17 + pvg_random(50) : known[pvg_random(ARRAY_SIZE(known))];
    op.interface_version = XENPF_INTERFACE_VERSION + chance(64);
    aim_platform(&op);
    rc = hcall(__HYPERVISOR_platform_op, put(&op, sizeof(op)), 0, 0, 0);
    if (rc >= 0 && !hardware)
        world_flaw("a domain without hardware has got platform_op %u done", op.cmd);
    return rc;
}

/* ---- physdev_op ---- */

static uint8_t any_devfn(void)
{
    return (uint8_t)(chance(8) ? pvg_random(256) : 8 * pvg_random(WORLD_PCI_DEVICES + 2));
}

static unsigned any_pirq(void)
{
    return about(20) + (chance(3) ? 20 : 0);
}

static unsigned aim_map(uint8_t *a)
{
    struct physdev_map_pirq m = {.domid = any_domid(),
                                 .type = (int)pvg_random(5),
                                 .index = (int)pvg_random(20),
                                 .pirq = chance(2) ? PIRQ_ANY : (int)any_pirq(),
                                 .bus = chance(16) ? (int)any_u64() : 0,
                                 .devfn = any_devfn(),
                                 .entry_nr = (int)pvg_random(12) - 1,
                                 .table_base = chance(2) ? WORLD_MSIX_TABLE : 0};
    struct physdev_unmap_pirq u = {.domid = any_domid(), .pirq = (int)any_pirq()};

    if (m.type == MAP_PIRQ_TYPE_MULTI_MSI && chance(2))
        m.table_base = 0;
    if (chance(3)) {
        memcpy(a, &u, sizeof(u));
        return PHYSDEVOP_unmap_pirq;
    }
    memcpy(a, &m, sizeof(m));
    return PHYSDEVOP_map_pirq;
}

static unsigned aim_device(uint8_t *a)
{
    static const uint8_t cmds[] = {
        PHYSDEVOP_pci_device_add,    PHYSDEVOP_pci_device_add,     PHYSDEVOP_manage_pci_add,
        PHYSDEVOP_manage_pci_remove, PHYSDEVOP_manage_pci_add_ext, PHYSDEVOP_pci_device_remove,
        PHYSDEVOP_restore_msi,       PHYSDEVOP_restore_msi_ext,    PHYSDEVOP_prepare_msix,
        PHYSDEVOP_release_msix,
    };
    unsigned cmd = cmds[pvg_random(ARRAY_SIZE(cmds))];
    struct physdev_pci_device_add add = {.devfn = any_devfn(), .flags = pvg_random(4)};
    struct physdev_manage_pci_ext ext = {.devfn = any_devfn(), .is_extfn = pvg_random(2)};
    struct physdev_pci_device dev = {.devfn = any_devfn(), .seg = chance(16)};

    if (cmd == PHYSDEVOP_pci_device_add)
        memcpy(a, &add, sizeof(add));
    else if (cmd == PHYSDEVOP_pci_device_remove || cmd == PHYSDEVOP_restore_msi_ext ||
             cmd == PHYSDEVOP_prepare_msix || cmd == PHYSDEVOP_release_msix)
        memcpy(a, &dev, sizeof(dev));
    else
        memcpy(a, &ext, sizeof(ext)); /* the older ones begin alike */
    return cmd;
}

static unsigned aim_interrupt(uint8_t *a)
{
    static const uint8_t cmds[] = {
        PHYSDEVOP_eoi,           PHYSDEVOP_eoi,         PHYSDEVOP_irq_status_query,
        PHYSDEVOP_setup_gsi,     PHYSDEVOP_setup_gsi,   PHYSDEVOP_alloc_irq_vector,
        PHYSDEVOP_get_free_pirq, PHYSDEVOP_apic_read,   PHYSDEVOP_apic_write,
        PHYSDEVOP_set_iopl,      PHYSDEVOP_set_iobitmap};
    unsigned cmd = cmds[pvg_random(ARRAY_SIZE(cmds))];
    struct physdev_setup_gsi gsi = {(int)about(26), (uint8_t)chance(2), (uint8_t)chance(2)};
    struct physdev_apic apic = {.apic_physbase = chance(4) ? any_u64() : 0xfec00000,
                                .reg = about(0x50)};
    struct physdev_get_free_pirq pirq = {.type = chance(4) ? about(4) : MAP_PIRQ_TYPE_MSI};
    struct physdev_set_iobitmap ports = {.nr_ports = chance(2) ? 65536 : about(70000)};
    uint32_t n = any_pirq();

    set_xen_guest_handle(ports.bitmap, (uint8_t *)(chance(2) ? pvg_va(any_pfn()) : any_va()));
    if (cmd == PHYSDEVOP_setup_gsi)
        memcpy(a, &gsi, sizeof(gsi));
    else if (cmd == PHYSDEVOP_apic_read || cmd == PHYSDEVOP_apic_write)
        memcpy(a, &apic, sizeof(apic));
    else if (cmd == PHYSDEVOP_get_free_pirq)
        memcpy(a, &pirq, sizeof(pirq));
    else if (cmd == PHYSDEVOP_set_iobitmap)
        memcpy(a, &ports, sizeof(ports));
    else
        memcpy(a, &n, sizeof(n));
    return cmd;
}

static long do_physdev(void)
{
    unsigned cmd = pvg_random(34), how = pvg_random(8);
    uint8_t a[64];

    scramble(a, sizeof(a));
    if (how < 3)
        cmd = aim_map(a);
    else if (how < 5)
        cmd = aim_device(a);
    else if (how < 7)
        cmd = aim_interrupt(a);
    else if (cmd == PHYSDEVOP_pci_device_add || cmd == PHYSDEVOP_manage_pci_add_ext)
        return -EPERM; /* a virtual function anywhere would be believed */
    if (cmd == PHYSDEVOP_pci_mmcfg_reserved &&
        a[offsetof(struct physdev_pci_mmcfg_reserved, flags)])
        return -EPERM; /* a region that is known stays so */
    return hcall(__HYPERVISOR_physdev_op, cmd, put(a, sizeof(a)), 0, 0);
}

/* An interrupt from its mapping to its end, by pin or by message, unless somebody is in the way. */
static long do_interrupt(void)
{
    struct physdev_map_pirq m = {.domid = DOMID_SELF, .pirq = PIRQ_ANY};
    struct physdev_pci_device_add add = {.devfn = 8};
    struct physdev_setup_gsi gsi = {.gsi = (int)pvg_random(16), .triggering = (uint8_t)chance(2)};
    struct evtchn_bind_pirq b = {.flags = pvg_random(2)};
    struct physdev_eoi end = {0};
    struct world_dom *w = me;
    uint64_t va;

    if (chance(2)) {
        m.type = MAP_PIRQ_TYPE_GSI;
        m.index = gsi.gsi;
        (void)hcall(__HYPERVISOR_physdev_op, PHYSDEVOP_setup_gsi, put(&gsi, sizeof(gsi)), 0, 0);
    } else {
        m.type = chance(2) ? MAP_PIRQ_TYPE_MSI : MAP_PIRQ_TYPE_MSI_SEG;
        m.devfn = add.devfn = (uint8_t)(8 * (1 + pvg_random(2)));
        m.entry_nr = (int)pvg_random(8);
        m.table_base = chance(2) && m.devfn == 8 ? WORLD_MSIX_TABLE : 0;
        (void)hcall(__HYPERVISOR_physdev_op, PHYSDEVOP_pci_device_add, put(&add, sizeof(add)), 0,
                    0);
    }
    if (me != w)
        return -ERESTART;
    va = put(&m, sizeof(m));
    if (hcall(__HYPERVISOR_physdev_op, PHYSDEVOP_map_pirq, va, 0, 0) || me != w)
        return -EPERM;
    b.pirq = end.irq = (uint32_t)((struct physdev_map_pirq *)arg_at(va))->pirq;
    if (hcall(__HYPERVISOR_event_channel_op, EVTCHNOP_bind_pirq, put(&b, sizeof(b)), 0, 0) ||
        me != w)
        return -EBUSY;
    world_interrupt();
    return hcall(__HYPERVISOR_physdev_op, PHYSDEVOP_eoi, put(&end, sizeof(end)), 0, 0);
}

/* ---- hypfs ---- */

static long do_hypfs(void)
{
    static const char *const paths[] = {"/",
                                        "/buildinfo/compileinfo",
                                        "/buildinfo/version/major",
                                        "/buildinfo/changeset",
                                        "/cpupool",
                                        "/cpupool/0/sched-gran",
                                        "/params",
                                        "/params/guest_loglvl",
                                        "/nothing",
                                        "/params/conswitch",
                                        "/buildinfo/version/major/",
                                        "/params/guest_loglvl"};
    static const char *const values[] = {"none", "error", "", "a", "ax", "none/none", "nonsense"};
    const char *path = paths[pvg_random(ARRAY_SIZE(paths))],
               *value = values[pvg_random(ARRAY_SIZE(values))];
    unsigned cmd = chance(8) ? pvg_random(5) : chance(3) ? 2 : 1;
    struct regs *r = &cpu_local()->guest;
    char text[160] = "", data[1024] = "";
    uint64_t len = strlen(path) + 1, room = cmd == 2 ? strlen(value) + 1 : pvg_random(1100), at;

    if (world_parallel && strstr(path, "conswitch"))
        return -EPERM; /* it is set without a lock */
    strcpy(text, path);
    strcpy(data, value);
    if (chance(12))
        len += pvg_random(3) - 1;
    if (chance(12))
        room = about(300);
    if (cmd == XEN_HYPFS_OP_get_version && !chance(4))
        return hcall(__HYPERVISOR_hypfs_op, 0, 0, 0, 0);
    at = put(text, sizeof(text));
    r->r8 = chance(16) ? any_u64() : room;
    return hcall(__HYPERVISOR_hypfs_op, cmd, at, chance(32) ? any_u64() : len,
                 put_list(data, sizeof(data)));
}

/* ---- the console ---- */

static long do_console(void)
{
    char text[600];
    uint64_t at;

    for (unsigned i = 0; i < sizeof(text); i++)
        text[i] = (char)(chance(20) ? '\n' : chance(20) ? pvg_random(256) : 'a' + pvg_random(26));
    if (chance(2)) { /* somebody types */
        if (chance(4))
            for (unsigned i = 0; i < 1 + pvg_random(4); i++)
                console_receive('a' & 0x1f);
        console_receive(any_key());
    }
    at = put_list(text, sizeof(text));
    return hcall(__HYPERVISOR_console_io, chance(16) ? pvg_random(4) : chance(2), about(600), at,
                 0);
}

const struct world_kind world_tools_kinds[] = {
    {"sysctl", do_sysctl, 6},
    {"platform", do_platform, 4},
    {"physdev", do_physdev, 8},
    {"interrupt", do_interrupt, 3},
    {"hypfs", do_hypfs, 2},
    {"console", do_console, 1},
    {NULL, NULL, 0},
};
