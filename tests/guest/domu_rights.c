/* SPDX-License-Identifier: MIT */
/* A guest that is not domain 0: what it may not ask for, touch or see.
 *
 * Cause: isolation between domains is what a hypervisor is for.
 * Steps: in a second domain: control hypercalls; memory, events and grants of domain 0; frames of
 * domain 0, of the hypervisor and of devices, by each mapping interface; ports, MSRs and interrupts
 * of the machine; the contents of its fresh memory.
 * Verdict: everything is refused, and no entry of it is ever present. */
#include "lib/domu.h"

static volatile unsigned long dom0_mfn, reached;
static void *hole;
static pte_t *hole_pte;

static void check_calls(void)
{
    struct xen_domctl domctl_op = {0};
    struct xen_sysctl sysctl_op = {0};
    struct xen_platform_op platform = {.cmd = XENPF_settime64,
                                       .interface_version = XENPF_INTERFACE_VERSION};
    struct sched_remote_shutdown remote = {.domain_id = 0, .reason = SHUTDOWN_crash};
    char text[1024];

    expect_eq(domctl(&domctl_op, XEN_DOMCTL_getdomaininfo, 0), -XEN_EPERM);
    expect_eq(domctl(&domctl_op, XEN_DOMCTL_createdomain, 0), -XEN_EPERM);
    expect_eq(domctl(&domctl_op, XEN_DOMCTL_pausedomain, 0), -XEN_EPERM);
    expect_eq(domctl(&domctl_op, XEN_DOMCTL_destroydomain, 0), -XEN_EPERM);
    expect_eq(sysctl(&sysctl_op, XEN_SYSCTL_physinfo), -XEN_EPERM);
    expect_eq(sysctl(&sysctl_op, XEN_SYSCTL_readconsole), -XEN_EPERM);
    expect_eq(hc_platform_op(&platform), -XEN_EPERM);
    expect_eq(hc_sched_op(SCHEDOP_remote_shutdown, &remote), -XEN_EPERM);
    expect_eq(hc_console_io(CONSOLEIO_read, sizeof(text), text), -XEN_EPERM);
    expect_eq(hc_xen_version(XENVER_commandline, text), 0);
    expect_eq(strncmp(text, "<denied>", 9), 0);
    expect_eq(hc_xen_version(XENVER_build_id, NULL), -XEN_EPERM);
}

static void check_others(void)
{
    struct evtchn_alloc_unbound alloc = {.dom = 0, .remote_dom = DOMID_SELF};
    struct evtchn_bind_interdomain bind = {.remote_dom = 0, .remote_port = 1};
    struct evtchn_status status = {.dom = 0, .port = 1};
    struct evtchn_bind_pirq pirq = {.pirq = 9};
    unsigned long frame = 1;
    struct xen_memory_reservation r = {.nr_extents = 1, .domid = 0};
    struct gnttab_map_grant_ref map = {.host_addr = UL(hole), .flags = GNTMAP_host_map, .ref = 8};
    domid_t dom0 = 0;

    set_xen_guest_handle(r.extent_start, &frame);
    expect_eq(hc_event_channel_op(EVTCHNOP_alloc_unbound, &alloc), -XEN_EPERM);
    expect_eq(hc_event_channel_op(EVTCHNOP_bind_interdomain, &bind), -XEN_EINVAL);
    expect_eq(hc_event_channel_op(EVTCHNOP_status, &status), -XEN_EPERM);
    expect_eq(hc_event_channel_op(EVTCHNOP_bind_pirq, &pirq), -XEN_EPERM);
    expect(hc_memory_op(XENMEM_populate_physmap, &r) <= 0);
    expect(hc_memory_op(XENMEM_decrease_reservation, &r) <= 0);
    expect_eq(hc_memory_op(XENMEM_current_reservation, &dom0), -XEN_EPERM);
    expect_eq(hc_memory_op(XENMEM_machine_memory_map, &r), -XEN_EPERM);
    expect_eq(hc_grant_table_op(GNTTABOP_map_grant_ref, &map, 1), 0);
    expect(map.status < 0);
}

static void refuse_frame(unsigned long mfn, domid_t owner, const char *what)
{
    uint64_t entry = mfn_pte(mfn, PTE_KERNEL);
    struct mmu_update req = {virt_to_maddr(hole_pte), entry};
    long rw = hc_mmu_update(&req, 1, NULL, owner), ro, va;

    req.val &= ~PTE_RW;
    ro = hc_mmu_update(&req, 1, NULL, owner);
    va = hc_update_va_mapping(UL(hole), entry, UVMF_INVLPG);
    if (rw >= 0 || ro >= 0 || va >= 0)
        expect_failed("%s: %ld %ld %ld", what, rw, ro, va);
    expect_eq(*hole_pte, 0);
}

static void check_frames(void)
{
    hc_vm_assist(VMASST_CMD_enable, VMASST_TYPE_writable_pagetables);
    refuse_frame(dom0_mfn, DOMID_SELF, "a frame of domain 0 as our own");
    refuse_frame(dom0_mfn, 0, "a frame of domain 0 as its");
    refuse_frame(dom0_mfn, DOMID_IO, "a frame of domain 0 as device memory");
    refuse_frame(0, DOMID_IO, "the first frame");
    refuse_frame(0xb8, DOMID_SELF, "the screen");
    refuse_frame(0xb8, DOMID_IO, "the screen as device memory");
    refuse_frame(0xfee00, DOMID_SELF, "the local APIC");
    refuse_frame(0xfec00, DOMID_IO, "the IO-APIC");
    refuse_frame(0xfed00, DOMID_SELF, "the HPET");
    refuse_frame(0xf0, DOMID_SELF, "the firmware");
    expect_eq(try_write(hole_pte, mfn_pte(dom0_mfn, PTE_KERNEL)), VEC_PF);
    expect_eq(*hole_pte, 0);
    expect(mmuext(MMUEXT_PIN_L1_TABLE, dom0_mfn) < 0);
    expect(mmuext(MMUEXT_NEW_BASEPTR, dom0_mfn) < 0);
    expect(mmuext(MMUEXT_NEW_USER_BASEPTR, dom0_mfn) < 0);
    expect(hc_set_gdt((void *)&dom0_mfn, 8) < 0);
    expect(hc_update_descriptor(dom0_mfn << PAGE_SHIFT, 0) < 0);
}

static void check_machine(void)
{
    struct physdev_set_iopl iopl = {.iopl = 3};
    struct physdev_pci_device_add add = {.bus = 0, .devfn = 8};
    uint32_t lo = 0, hi = 0;

    expect_eq(hc_physdev_op(PHYSDEVOP_set_iopl, &iopl), 0);
    trap_forget();
    asm volatile(TRY("inb %%dx, %%al") : "+a"(lo) : "d"(0x64));
    expect(last_trap.vector == VEC_GP || (last_trap.vector == NO_TRAP && (lo & 0xff) == 0xff));
    trap_forget();
    asm volatile(TRY("outb %%al, %%dx")::"a"(0xfe), "d"(0x64)); /* would reset the machine */
    asm volatile(TRY("outb %%al, %%dx")::"a"(0x6), "d"(0xcf9));
    asm volatile(TRY("inl %%dx, %%eax") : "+a"(lo) : "d"(0xcfc));
    trap_forget();
    asm volatile(TRY("wrmsr")::"c"(0x1b), "a"(0), "d"(0));             /* the local APIC off */
    asm volatile(TRY("wrmsr")::"c"(0xc0000082), "a"(0), "d"(0));       /* LSTAR */
    asm volatile(TRY("rdmsr") : "+a"(lo), "+d"(hi) : "c"(0xc0010015)); /* HWCR */
    expect_eq(hc_physdev_op(PHYSDEVOP_pci_device_add, &add), -XEN_EPERM);
}

static void guest(void)
{
    hole = hole_alloc();
    hole_pte = pte_lookup(hole, 1);
    check_calls();
    check_others();
    check_frames();
    check_machine();
    reached = 1;
}

void test_main(void)
{
    static struct domu d;
    unsigned long *secret = page_alloc();

    domu_create(&d, guest);
    *domu_view(&d, &dom0_mfn) = virt_to_mfn(secret);
    expect_eq(domu_run(&d), SHUTDOWN_poweroff);
    expect_eq(*domu_view(&d, &reached), 1);
    expect_eq(*secret, 0);
    domu_destroy(&d);
    test_pass();
}
