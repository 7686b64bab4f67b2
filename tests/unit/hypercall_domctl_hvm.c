/* SPDX-License-Identifier: MIT */
/* What the tools do to a fully virtual domain: its records, whole or not at all, its frames by its
 * own numbers, its making, the limit of its nested page tables. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>

#define FX_VCPUS 2u
#include "hvm_fixture.h"
#include "base/softirq.h"
#include "event/event.h"
#include "grant/table.h"
#include "hypercall/control.h"

#include <xen/event_channel.h>
#include <xen/grant_table.h>
#include <xen/hvm/save.h>

#define CALL_PAGE 0
#define DATA_PAGE 1 /* and the next */
#define DATA      ((char *)guest_page(dom0, DATA_PAGE))

static struct guest *dom0;
static struct xen_domctl op;

static int setup(void **state)
{
    int rc = fx_setup(state);

    dom0 = guest_new(0, 1, true);
    guest_be(dom0, 0);
    memset(&op, 0, sizeof(op));
    op.interface_version = XEN_DOMCTL_INTERFACE_VERSION;
    return rc;
}

static int teardown(void **state)
{
    int rc = (int)frame_audit();

    guest_kill(dom0);
    return rc + fx_teardown(state);
}

static long call(uint32_t cmd)
{
    long rc;

    op.cmd = cmd;
    op.domain = fx_d->id;
    memcpy(guest_page(dom0, CALL_PAGE), &op, sizeof(op));
    rc = domctl(guest_va(CALL_PAGE));
    memcpy(&op, guest_page(dom0, CALL_PAGE), sizeof(op));
    return rc;
}

/* A new domain, of any number. */
static long create(void)
{
    long rc;

    op.cmd = XEN_DOMCTL_createdomain;
    op.domain = 0;
    memcpy(guest_page(dom0, CALL_PAGE), &op, sizeof(op));
    rc = domctl(guest_va(CALL_PAGE));
    memcpy(&op, guest_page(dom0, CALL_PAGE), sizeof(op));
    return rc;
}

/* ---- records ---- */

struct cpu_list {
    struct hvm_save_descriptor header_at;
    struct hvm_save_header header;
    struct hvm_save_descriptor cpu_at;
    struct hvm_hw_cpu cpu;
    struct hvm_save_descriptor mtrr_at;
    struct hvm_hw_mtrr mtrr;
    struct hvm_save_descriptor end_at;
};

/* The registers that libxc's builder gives the first vCPU, and memory types. */
static struct cpu_list list_make(void)
{
    struct cpu_list l = {
        .header_at = {HVM_SAVE_CODE(HEADER), 0, sizeof(l.header)},
        .header = {.magic = HVM_FILE_MAGIC, .version = HVM_FILE_VERSION},
        .cpu_at = {HVM_SAVE_CODE(CPU), 0, sizeof(l.cpu)},
        .mtrr_at = {HVM_SAVE_CODE(MTRR), 1, sizeof(l.mtrr)},
    };

    l.cpu.cr0 = CR0_PE | CR0_ET;
    l.cpu.cs_arbytes = 0xc9b;
    l.cpu.ds_arbytes = l.cpu.es_arbytes = l.cpu.ss_arbytes = 0xc93;
    l.cpu.cs_limit = l.cpu.ds_limit = l.cpu.es_limit = l.cpu.ss_limit = ~0u;
    l.cpu.tr_arbytes = 0x8b;
    l.cpu.tr_limit = 0x67;
    l.cpu.rip = 0x1000000;
    l.cpu.rbx = 0x2345000;
    l.mtrr.msr_pat_cr = 0x0007040600070406;
    l.mtrr.msr_mtrr_def_type = 0xc06;
    return l;
}

static long set_list(const struct cpu_list *l)
{
    memcpy(DATA, l, sizeof(*l));
    op.u.hvmcontext.size = sizeof(*l);
    set_xen_guest_handle(op.u.hvmcontext.buffer, (uint8_t *)guest_va(DATA_PAGE));
    return call(XEN_DOMCTL_sethvmcontext);
}

static long get_list(uint32_t room)
{
    op.u.hvmcontext.size = room;
    set_xen_guest_handle(op.u.hvmcontext.buffer, (uint8_t *)guest_va(DATA_PAGE));
    return call(XEN_DOMCTL_gethvmcontext);
}

/* The record of vCPU 0 in what get_list() brought. */
static const void *record(uint16_t type)
{
    struct hvm_save_descriptor at = {.typecode = ~0};

    for (uint32_t i = 0; i < op.u.hvmcontext.size; i += sizeof(at) + at.length) {
        memcpy(&at, DATA + i, sizeof(at));
        if (at.typecode == type && at.instance == 0)
            return DATA + i + sizeof(at);
    }
    return NULL;
}

static void test_records(void **state)
{
    struct cpu_list l = list_make();
    struct hvm_hw_cpu cpu;
    uint32_t size;

    set_xen_guest_handle(op.u.hvmcontext.buffer, (uint8_t *)NULL);
    assert_int_equal(call(XEN_DOMCTL_gethvmcontext), 0);
    size = op.u.hvmcontext.size;
    assert_int_equal(get_list(size - 1), -ENOSPC);
    assert_int_equal(get_list(size), 0);
    assert_ptr_equal(record(HVM_SAVE_CODE(HEADER)), DATA + 8);
    assert_non_null(record(HVM_SAVE_CODE(MTRR)));
    assert_ptr_equal(record(HVM_SAVE_CODE(END)), DATA + size);
    assert_null(record(HVM_SAVE_CODE(CPU))); /* it is not up */

    l.mtrr_at.instance = 0;
    l.mtrr.msr_mtrr_var[15] = 0x800;
    assert_int_equal(set_list(&l), 0);
    assert_int_equal(fx_v->regs.rip, 0x1000000);
    assert_int_equal(fx_v->regs.rbx, 0x2345000);
    assert_int_equal(fx_v->hvm->cr0, CR0_PE | CR0_ET);
    assert_int_equal(fx_hw.seg[EMUL_SEG_CS].attr, 0xc9b);
    assert_int_equal(fx_hw.seg[HVM_SEG_TR].limit, 0x67);
    assert_int_equal(fx_v->hvm->mtrr_var[15], 0x800);
    assert_true(fx_v->initialised);
    assert_false(fx_v->pause & BIT(VCPU_DOWN_BIT));

    /* What comes out now is what went in. */
    assert_int_equal(get_list(2 * PAGE_SIZE), 0);
    memcpy(&cpu, record(HVM_SAVE_CODE(CPU)), sizeof(cpu));
    assert_int_equal(cpu.rip, 0x1000000);
    assert_int_equal(cpu.cs_arbytes, 0xc9b);
    assert_memory_equal(record(HVM_SAVE_CODE(MTRR)), &l.mtrr,
                        offsetof(struct hvm_hw_mtrr, msr_mtrr_cap));

    op.u.hvmcontext_partial.type = HVM_SAVE_CODE(MTRR);
    op.u.hvmcontext_partial.instance = 0;
    op.u.hvmcontext_partial.bufsz = sizeof(l.mtrr);
    set_xen_guest_handle(op.u.hvmcontext_partial.buffer, (uint8_t *)guest_va(DATA_PAGE));
    assert_int_equal(call(XEN_DOMCTL_gethvmcontext_partial), 0);
    assert_memory_equal(DATA, &l.mtrr, offsetof(struct hvm_hw_mtrr, msr_mtrr_cap));
    op.u.hvmcontext_partial.instance = 1;
    assert_int_equal(call(XEN_DOMCTL_gethvmcontext_partial), -ENODATA);
}

/* Everything of a vCPU that ran, taken out, lost, and put back. */
static void test_saved_and_restored(void **state)
{
    struct vlapic *a = &fx_v->hvm->lapic;
    struct cpu_list l = list_make();
    char all[2 * PAGE_SIZE];
    uint32_t size;

    l.mtrr_at.instance = 0;
    l.cpu.pending_valid = 1;
    l.cpu.pending_type = 3;
    l.cpu.pending_vector = 14;
    l.cpu.pending_error_valid = 1;
    l.cpu.error_code = 2;
    assert_int_equal(set_list(&l), 0);
    vlapic_write(a, VLAPIC_SVR, 0x1ff);
    vlapic_write(a, VLAPIC_TPR, 0x20);
    vlapic_write(a, VLAPIC_LVT_TIMER, 0x40055); /* TSC deadline */
    vlapic_set_deadline(a, 1ull << 40);
    vlapic_accept(a, 0x71, false);
    assert_int_equal(get_list(sizeof(all)), 0);
    size = op.u.hvmcontext.size;
    memcpy(all, DATA, size);

    vlapic_reset(a, true);
    fx_v->hvm->pending.type = HVM_EVENT_NONE;
    fx_v->regs.rip = 0;
    memcpy(DATA, all, size);
    op.u.hvmcontext.size = size;
    assert_int_equal(call(XEN_DOMCTL_sethvmcontext), 0);
    assert_int_equal(fx_v->regs.rip, 0x1000000);
    assert_int_equal(fx_v->hvm->pending.type, HVM_EVENT_EXCEPTION);
    assert_int_equal(fx_v->hvm->pending.vector, 14);
    assert_int_equal(fx_v->hvm->pending.error, 2);
    assert_int_equal(vlapic_read(a, VLAPIC_TPR), 0x20);
    assert_int_equal(vlapic_deadline(a), 1ull << 40);
    assert_int_equal(vlapic_pending(a), 0x71);
    assert_int_equal(get_list(sizeof(all)), 0);
    for (uint32_t i = 0; i < size; i++) /* but for the time stamp */
        if (DATA[i] != all[i])
            assert_ptr_equal(&DATA[i - i % 8], (const char *)record(HVM_SAVE_CODE(CPU)) +
                                                   offsetof(struct hvm_hw_cpu, tsc));
}

static void test_whole_or_nothing(void **state)
{
    struct cpu_list good = list_make(), l;
    struct hvm_hw_cpu *c = &l.cpu;

    good.mtrr_at.instance = 0;
#define REFUSED(change)                          \
    do {                                         \
        l = good;                                \
        change;                                  \
        assert_int_equal(set_list(&l), -EINVAL); \
    } while (0)
    REFUSED(l.mtrr_at.instance = 1); /* not made */
    REFUSED(l.mtrr_at.instance = 60000);
    REFUSED(l.mtrr.msr_mtrr_def_type = 0xc02); /* no such type */
    REFUSED(l.mtrr.msr_mtrr_fixed[10] = 2);
    REFUSED(l.mtrr_at.length--);
    REFUSED(l.mtrr_at.typecode = HVM_SAVE_CODE(PIC));
    REFUSED(l.header.magic++);
    REFUSED(l.header_at.typecode = 77);
    REFUSED(l.end_at.typecode = HVM_SAVE_CODE(CPU));
    REFUSED(c->cr0 = CR0_PG | CR0_ET);
    REFUSED(c->cr4 = 1ull << 40);
    REFUSED(c->msr_efer = EFER_LMA);
    REFUSED(c->msr_efer = EFER_SVME);
    REFUSED(c->dr7 = 1ull << 32);
    REFUSED(c->cs_arbytes = 0x10000);
    REFUSED(c->gs_base = 1ull << 63);
    REFUSED(c->msr_lstar = 1ull << 63);
    REFUSED(c->gdtr_base = 1ull << 50);
    REFUSED((c->pending_valid = 1, c->pending_type = 7));
#undef REFUSED
    assert_int_equal(fx_v->regs.rip, 0);
    assert_false(fx_v->initialised);
    assert_int_equal(fx_v->hvm->mtrr_def, 0xc06);
    op.u.hvmcontext.size = ~0u;
    assert_int_equal(call(XEN_DOMCTL_sethvmcontext), -EINVAL);
    op.u.hvmcontext.size = 3;
    assert_int_equal(call(XEN_DOMCTL_sethvmcontext), -EINVAL);
    assert_int_equal(set_list(&good), 0);
}

static void test_random_records(void **state)
{
    struct cpu_list l;

    srand(1);
    for (unsigned i = 0; i < 20000; i++) {
        long rc;

        l = list_make();
        l.mtrr_at.instance = 0;
        for (unsigned n = (unsigned)rand() % 4; n; n--)
            ((uint8_t *)&l)[(unsigned)rand() % sizeof(l)] = (uint8_t)rand();
        rc = set_list(&l);
        assert_true(rc == 0 || rc == -EINVAL);
    }
}

static void test_paravirtual_domains_have_none(void **state)
{
    struct guest *pv = guest_new(9, 1, false);

    op.cmd = XEN_DOMCTL_gethvmcontext;
    op.domain = 9;
    memcpy(guest_page(dom0, CALL_PAGE), &op, sizeof(op));
    assert_int_equal(domctl(guest_va(CALL_PAGE)), -EINVAL);
    op.cmd = XEN_DOMCTL_set_paging_mempool_size;
    memcpy(guest_page(dom0, CALL_PAGE), &op, sizeof(op));
    assert_int_equal(domctl(guest_va(CALL_PAGE)), -EOPNOTSUPP);
    guest_kill(pv);
    guest_be(dom0, 0);
}

static void test_table_pages(void **state)
{
    uint64_t used = fx_d->p2m->pages;
    mfn_t m = {0};

    assert_int_equal(call(XEN_DOMCTL_get_paging_mempool_size), 0);
    assert_int_equal(op.u.paging_mempool.size, 256 << PAGE_SHIFT);
    op.u.paging_mempool.size = 1000;
    assert_int_equal(call(XEN_DOMCTL_set_paging_mempool_size), -EINVAL);
    op.u.paging_mempool.size = 1ull << 45;
    assert_int_equal(call(XEN_DOMCTL_set_paging_mempool_size), -EINVAL);
    op.u.paging_mempool.size = (used - 1) << PAGE_SHIFT;
    assert_int_equal(call(XEN_DOMCTL_set_paging_mempool_size), -EBUSY);
    op.u.paging_mempool.size = used << PAGE_SHIFT;
    assert_int_equal(call(XEN_DOMCTL_set_paging_mempool_size), 0);
    lock(&fx_d->p2m->lock);
    assert_int_equal(p2m_map(fx_d->p2m, 1ull << 30, m, 0, P2M_DEVICE), -ENOMEM);
    unlock(&fx_d->p2m->lock);
}

/* ---- frames ---- */

static mfn_t frame_at_gfn(uint64_t gfn)
{
    mfn_t m;

    assert_int_equal(p2m_lookup(fx_d->p2m, gfn, &m), P2M_RAM);
    return m;
}

static void set_grant(uint32_t ref, uint64_t gfn)
{
    struct grant_entry_v1 *e;
    mfn_t m;

    assert_int_equal(grant_frame(fx_d, false, 0, &m), 0);
    e = mfn_to_virt(m);
    e[ref] = (struct grant_entry_v1){.flags = GTF_permit_access, .frame = (uint32_t)gfn};
}

/* The frame is looked up when the mapping is made; it stays, wherever the guest moves it. */
static void test_grants_by_gfn(void **state)
{
    struct gnttab_map_grant_ref map = {
        .host_addr = 0x7000000,
        .flags = GNTMAP_host_map | GNTMAP_device_map,
        .ref = 9,
        .dom = fx_d->id,
    };
    struct gnttab_unmap_grant_ref unmap = {.host_addr = map.host_addr};
    mfn_t m = frame_at_gfn(700), other = frame_at_gfn(701);

    set_grant(9, 700);
    grant_map_one(dom0->d, &map);
    assert_int_equal(map.status, GNTST_okay);
    assert_int_equal(guest_map_find(dom0->d, map.host_addr)->m.n, m.n);
    assert_int_equal(map.dev_bus_addr, m.n << PAGE_SHIFT);
    lock(&fx_d->p2m->lock);
    assert_int_equal(p2m_map(fx_d->p2m, 700, other, 0, P2M_RAM), 0);
    unlock(&fx_d->p2m->lock);
    assert_int_equal(frame_audit(), 0);
    unmap.handle = map.handle;
    unmap.dev_bus_addr = map.dev_bus_addr;
    memcpy(DATA, &unmap, sizeof(unmap));
    assert_int_equal(grant_table_op(GNTTABOP_unmap_grant_ref, guest_va(DATA_PAGE), 1), 0);
    memcpy(&unmap, DATA, sizeof(unmap));
    assert_int_equal(unmap.status, GNTST_okay);

    set_grant(10, 5000); /* nothing is there */
    map.ref = 10;
    grant_map_one(dom0->d, &map);
    assert_int_equal(map.status, GNTST_general_error);
    set_grant(11, m.n); /* a machine's number is none of the guest's */
    map.ref = 11;
    grant_map_one(dom0->d, &map);
    assert_int_equal(map.status, GNTST_general_error);
}

static void test_copy_by_gfn(void **state)
{
    struct gnttab_copy c = {
        .source = {.u.ref = 9, .domid = fx_d->id, .offset = 8},
        .dest = {.u.gmfn = dom0->mfn[5].n, .domid = DOMID_SELF},
        .len = 6,
        .flags = GNTCOPY_source_gref,
    };

    set_grant(9, 33);
    memcpy((char *)mfn_to_virt(frame_at_gfn(33)) + 8, "hello", 6);
    assert_int_equal(grant_copy_one(dom0->d, &c), GNTST_okay);
    assert_string_equal(guest_page(dom0, 5), "hello");
}

/* FIFO events: the control block and the array are the guest's, by its own numbers. */
static void test_event_pages_by_gfn(void **state)
{
    struct evtchn_init_control *a = fx_ram(0x3000);
    struct evtchn_expand_array *e = fx_ram(0x3100);
    mfn_t control = frame_at_gfn(100), array = frame_at_gfn(101);

    cpu_local()->current = fx_v; /* without paging: addresses are guest-physical */
    fx_v->hvm->cr0 = CR0_PE | CR0_ET;
    *a = (struct evtchn_init_control){.control_gfn = 5000};
    assert_int_equal(event_channel_op(EVTCHNOP_init_control, 0x3000), -EINVAL);
    *a = (struct evtchn_init_control){.control_gfn = 100, .offset = 64};
    assert_int_equal(event_channel_op(EVTCHNOP_init_control, 0x3000), 0);
    *e = (struct evtchn_expand_array){.array_gfn = 101};
    assert_int_equal(event_channel_op(EVTCHNOP_expand_array, 0x3100), 0);
    assert_int_equal(frame_type_count(control), 1);
    assert_int_equal(frame_type_count(array), 1);
    guest_be(dom0, 0);
}

/* ---- making ---- */

static void test_making(void **state)
{
    struct xen_domctl_createdomain *a = &op.u.createdomain;
    struct domain *d;

#define CREATE(change)                                                                        \
    (memset(a, 0, sizeof(*a)), a->flags = XEN_DOMCTL_CDF_hvm | XEN_DOMCTL_CDF_hap,            \
     a->arch.emulation_flags = XEN_X86_EMU_LAPIC, a->max_vcpus = 2, a->max_evtchn_port = 100, \
     a->max_grant_frames = a->max_maptrack_frames = 4, a->grant_opts = 1, change, create())
    assert_int_equal(CREATE(a->flags &= ~XEN_DOMCTL_CDF_hap), -EINVAL); /* no shadows */
    assert_int_equal(CREATE(a->flags &= ~XEN_DOMCTL_CDF_hvm), -EINVAL);
    assert_int_equal(CREATE(a->flags |= XEN_DOMCTL_CDF_nested_virt), -EINVAL);
    assert_int_equal(CREATE(a->arch.emulation_flags = 0), -EOPNOTSUPP);
    assert_int_equal(CREATE(a->arch.emulation_flags = XEN_X86_EMU_ALL), -EOPNOTSUPP);
    hvm_ops = NULL;
    assert_int_equal(CREATE(a->flags |= 0), -EINVAL);
    hvm_ops = &fx_ops;
    assert_int_equal(CREATE(a->flags |= 0), 0);
#undef CREATE
    d = domain_get(op.domain);
    op.u.getdomaininfo.domain = d->id;
    op.cmd = XEN_DOMCTL_getdomaininfo;
    memcpy(guest_page(dom0, CALL_PAGE), &op, sizeof(op));
    assert_int_equal(domctl(guest_va(CALL_PAGE)), 0);
    memcpy(&op, guest_page(dom0, CALL_PAGE), sizeof(op));
    assert_true(op.u.getdomaininfo.flags & XEN_DOMINF_hvm_guest);
    assert_true(op.u.getdomaininfo.flags & XEN_DOMINF_hap);
    assert_int_equal(op.u.getdomaininfo.arch_config.emulation_flags, XEN_X86_EMU_LAPIC);
    assert_int_equal(op.u.getdomaininfo.shared_info_frame, INVALID_M2P_ENTRY);
    op.cmd = XEN_DOMCTL_destroydomain;
    memcpy(guest_page(dom0, CALL_PAGE), &op, sizeof(op));
    assert_int_equal(domctl(guest_va(CALL_PAGE)), 0);
    domain_put(d);
    softirq_run();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_records, setup, teardown),
        cmocka_unit_test_setup_teardown(test_saved_and_restored, setup, teardown),
        cmocka_unit_test_setup_teardown(test_whole_or_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(test_random_records, setup, teardown),
        cmocka_unit_test_setup_teardown(test_paravirtual_domains_have_none, setup, teardown),
        cmocka_unit_test_setup_teardown(test_table_pages, setup, teardown),
        cmocka_unit_test_setup_teardown(test_grants_by_gfn, setup, teardown),
        cmocka_unit_test_setup_teardown(test_copy_by_gfn, setup, teardown),
        cmocka_unit_test_setup_teardown(test_event_pages_by_gfn, setup, teardown),
        cmocka_unit_test_setup_teardown(test_making, setup, teardown),
    };

    return cmocka_run_group_tests_name("hypercall_domctl_hvm", tests, NULL, NULL);
}
