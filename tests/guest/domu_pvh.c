/* SPDX-License-Identifier: MIT */
/* A fully virtual domain, made by a paravirtual domain 0 as the toolstack makes a PVH guest.
 *
 * Cause: its frames have numbers of its own, and its registers come as records; its tables and its
 * processor state are the hypervisor's to give back.
 * Steps: make one, put a program of three instructions into its memory by foreign maps, set its
 * registers, let it run until it halts without interrupts; destroy it while a frame is mapped.
 * Also records that are none, and frames that are not there.
 * Verdict: what the program wrote is there, the halt is a power-off, and all memory comes back. */
#include "lib/domu.h"

#include <xen/hvm/save.h>
#include <xen/memory.h>

#define FRAMES    8u
#define CODE_GFN  1u
#define DATA_GFN  2u
#define MAGIC     0x600du
#define POOL      (1ul << 20)
#define SOME_TYPE 77u /* of no record */

/* movl $MAGIC, 0x2000; cli; hlt */
static const uint8_t program[] = {0xc7,         0x05,       0x00, 0x20, 0x00, 0x00,
                                  MAGIC & 0xff, MAGIC >> 8, 0,    0,    0xfa, 0xf4};

static struct {
    struct hvm_save_descriptor header_at;
    struct hvm_save_header header;
    struct hvm_save_descriptor cpu_at;
    struct hvm_hw_cpu cpu;
    struct hvm_save_descriptor end_at;
} records;
static uint8_t buffer[16384] __attribute__((aligned(8)));
static xen_pfn_t gfns[FRAMES];
static char *code;
static volatile uint32_t *data;

static long context(uint32_t cmd, domid_t id, void *at, uint32_t *size)
{
    struct xen_domctl op = {.u.hvmcontext.size = *size};
    long ret;

    set_xen_guest_handle(op.u.hvmcontext.buffer, (uint8_t *)at);
    ret = domctl(&op, cmd, id);
    *size = op.u.hvmcontext.size;
    return ret;
}

static domid_t create(void)
{
    struct xen_domctl op = {0};
    domid_t id;

    domu_config(&op.u.createdomain);
    op.u.createdomain.flags = XEN_DOMCTL_CDF_hvm | XEN_DOMCTL_CDF_hap;
    op.u.createdomain.arch.emulation_flags = XEN_X86_EMU_LAPIC;
    need_eq(domctl(&op, XEN_DOMCTL_createdomain, 0), 0);
    id = op.domain;
    op.u.max_vcpus.max = 1;
    need_eq(domctl(&op, XEN_DOMCTL_max_vcpus, id), 0);
    op.u.max_mem.max_memkb = 4096;
    need_eq(domctl(&op, XEN_DOMCTL_max_mem, id), 0);
    op.u.paging_mempool.size = POOL;
    need_eq(domctl(&op, XEN_DOMCTL_set_paging_mempool_size, id), 0);
    return id;
}

static void fill(domid_t id)
{
    struct xen_memory_reservation r = {.nr_extents = FRAMES, .domid = id};

    for (unsigned int i = 0; i < FRAMES; i++)
        gfns[i] = i;
    set_xen_guest_handle(r.extent_start, gfns);
    need_eq(hc_memory_op(XENMEM_populate_physmap, &r), FRAMES);
    expect_eq(gfns[FRAMES - 1], FRAMES - 1); /* its own numbers stay */
    expect(map_foreign(id, code, FRAMES, PTE_KERNEL) < 0);
    expect(map_foreign(id, code, 1ul << 30, PTE_KERNEL) < 0);
    need_eq(map_foreign(id, code, CODE_GFN, PTE_KERNEL), 0);
    need_eq(map_foreign(id, data, DATA_GFN, PTE_KERNEL), 0);
    memcpy(code, program, sizeof(program));
}

static void set_registers(domid_t id)
{
    uint32_t size = 0, room;

    need_eq(context(XEN_DOMCTL_gethvmcontext, id, NULL, &size), 0);
    need_eq(size <= sizeof(buffer), true);
    room = 3;
    expect_eq(context(XEN_DOMCTL_gethvmcontext, id, buffer, &room), -XEN_ENOSPC);
    room = size;
    need_eq(context(XEN_DOMCTL_gethvmcontext, id, buffer, &room), 0);
    memcpy(&records.header_at, buffer, sizeof(records.header_at) + sizeof(records.header));
    expect_eq(records.header_at.typecode, HVM_SAVE_CODE(HEADER));
    records.cpu_at = (struct hvm_save_descriptor){SOME_TYPE, 0, sizeof(records.cpu)};
    records.cpu.cr0 = 0x11; /* PE, ET */
    records.cpu.cs_limit = records.cpu.ds_limit = records.cpu.es_limit = records.cpu.ss_limit = ~0u;
    records.cpu.tr_limit = 0x67;
    records.cpu.cs_arbytes = 0xc9b;
    records.cpu.ds_arbytes = records.cpu.es_arbytes = records.cpu.ss_arbytes = 0xc93;
    records.cpu.tr_arbytes = 0x8b;
    records.cpu.rip = CODE_GFN * PAGE_SIZE;
    records.cpu.rflags = 2;
    room = sizeof(records);
    expect(context(XEN_DOMCTL_sethvmcontext, id, &records, &room) < 0);
    records.cpu_at.typecode = HVM_SAVE_CODE(CPU);
    records.cpu_at.instance = 1; /* there is none */
    expect(context(XEN_DOMCTL_sethvmcontext, id, &records, &room) < 0);
    records.cpu_at.instance = 0;
    need_eq(context(XEN_DOMCTL_sethvmcontext, id, &records, &room), 0);
}

static void live(void)
{
    struct domu d = {.id = create()};
    struct xen_domctl_getdomaininfo info;

    need_eq(domain_info(d.id, &info), 0);
    expect(info.flags & XEN_DOMINF_hvm_guest);
    expect_eq(info.arch_config.emulation_flags, XEN_X86_EMU_LAPIC);
    fill(d.id);
    set_registers(d.id);
    need_eq(domctl_plain(XEN_DOMCTL_unpausedomain, d.id), 0);
    expect_eq(domu_wait(&d), SHUTDOWN_poweroff);
    expect_eq(*data, MAGIC);
    expect_eq(domctl_plain(XEN_DOMCTL_destroydomain, d.id), 0);
    expect_eq(*data, MAGIC); /* ours as long as it is mapped */
    need_eq(page_unmap(code), 0);
    need_eq(page_unmap((void *)data), 0);
    for (int i = 0; i < 100 && domain_info(d.id, NULL) == 0; i++)
        sleep_ms(5);
    expect_eq(domain_info(d.id, NULL), -XEN_ESRCH);
}

void test_main(void)
{
    struct xen_sysctl op = {0};
    uint64_t before;

    need_eq(sysctl(&op, XEN_SYSCTL_physinfo), 0);
    if (!(op.u.physinfo.capabilities & XEN_SYSCTL_PHYSCAP_hap))
        test_skip("no fully virtual guests here");
    code = hole_alloc();
    data = hole_alloc();
    live();
    before = free_pages_settled();
    live();
    expect_eq(free_pages_settled(), before);
    test_pass();
}
