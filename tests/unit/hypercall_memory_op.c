/* SPDX-License-Identifier: MIT */
/* hypercall/memory_op and its files: reservations with faults and limits in the middle of a list,
 * continuations, exchange, memory maps, resources, claims; and random calls under the audit. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include <xen/memory.h>
#include "guest.h"
#include "boot/boot_info.h"
#include "grant/grant.h"
#include "hypercall/ops.h"
#include "lib/errno.h"
#include "memory/buddy.h"

#define LIST 1 /* page */

static struct guest *dom0, *domu;

static struct guest *caller(void)
{
    return current()->domain == dom0->d ? dom0 : domu;
}

static uint64_t *list(void)
{
    return guest_page(caller(), LIST);
}

/* A memory_op of the current vCPU with its structure in page 0, continuations included. */
static unsigned continued;

static long call(uint64_t op, void *a, size_t size)
{
    struct guest *g = caller();
    struct vcpu *v = current();
    uint64_t cmd = op;
    long rc;

    memcpy(guest_page(g, 0), a, size);
    for (continued = 0;; continued++) {
        v->continued = false;
        rc = memory_op(cmd, guest_va(0));
        if (!v->continued)
            break;
        cmd = vcpu_regs(v)->rdi;
        assert_int_equal(cmd & 63, op);
        guest_exit();
    }
    memcpy(a, guest_page(g, 0), size);
    return rc;
}
#define CALL(op, a) call(XENMEM_##op, (a), sizeof(*(a)))

static struct xen_memory_reservation reservation(uint64_t n, unsigned order, domid_t domid)
{
    struct xen_memory_reservation r = {.nr_extents = n, .extent_order = order, .domid = domid};

    set_xen_guest_handle(r.extent_start, (xen_pfn_t *)guest_va(LIST));
    return r;
}

static int setup(void **state)
{
    guest_machine(1);
    dom0 = guest_new(0, 1, true);
    domu = guest_new(5, 1, false);
    dom0->d->memory.max_pages = domu->d->memory.max_pages = 1000;
    guest_be(domu, 0);
    return 0;
}

static int teardown(void **state)
{
    assert_int_equal(frame_audit(), 0);
    guest_kill(dom0);
    guest_kill(domu);
    assert_int_equal(frame_audit(), 0);
    return 0;
}

static void test_populate_and_decrease(void **state)
{
    struct xen_memory_reservation r = reservation(100, 0, DOMID_SELF);
    uint64_t before = domu->d->memory.pages;

    for (unsigned i = 0; i < 100; i++)
        list()[i] = 5000 + i;
    guest_preempt = 1;
    assert_int_equal(CALL(populate_physmap, &r), 100);
    guest_preempt = 0;
    assert_int_equal(continued, 3); /* one each 32 */
    assert_int_equal(domu->d->memory.pages, before + 100);
    for (unsigned i = 0; i < 100; i++) {
        assert_ptr_equal(frame_owner_of(mfn(list()[i])), &domu->d->memory);
        assert_int_equal(M2P[list()[i]], 5000 + i);
    }
    list()[60] = dom0->mfn[3].n; /* not ours */
    assert_int_equal(CALL(decrease_reservation, &r), 60);
    assert_int_equal(domu->d->memory.pages, before + 40);
    assert_int_equal(M2P[list()[0]], INVALID_M2P_ENTRY);
    assert_int_equal(CALL(decrease_reservation, &r), 0); /* twice */
    list()[0] = ~0ull;
    assert_int_equal(CALL(decrease_reservation, &r), 0);
}

static void test_orders(void **state)
{
    struct xen_memory_reservation r = reservation(1, 9, DOMID_SELF);

    list()[0] = 512;
    assert_int_equal(CALL(populate_physmap, &r), 1);
    assert_int_equal(M2P[list()[0] + 511], 1023);
    r.extent_order = 10;
    assert_int_equal(CALL(populate_physmap, &r), 0);
    r.extent_order = 64;
    assert_int_equal(CALL(populate_physmap, &r), 0);
    r.extent_order = 9;
    assert_int_equal(CALL(decrease_reservation, &r), 1);
    assert_int_equal(domu->d->memory.pages, GUEST_FRAMES);
}

static unsigned windows;

static void count_window(void)
{
    windows++;
}

/* What takes long has windows: within an extent, and between extents that are large. */
static void test_large_extents(void **state)
{
    struct xen_memory_reservation r = reservation(1, 11, DOMID_SELF);
    void (*hook)(void) = host_window_hook;

    guest_be(dom0, 0);
    dom0->d->memory.max_pages = 4000;
    host_window_hook = count_window;
    windows = 0;
    assert_int_equal(CALL(populate_physmap, &r), 1);
    assert_int_equal(windows, 3);
    assert_int_equal(CALL(decrease_reservation, &r), 1);
    assert_int_equal(windows, 3);
    r = reservation(4, 7, DOMID_SELF);
    assert_int_equal(CALL(populate_physmap, &r), 4);
    assert_int_equal(windows, 6);
    assert_int_equal(CALL(decrease_reservation, &r), 4);
    assert_int_equal(windows, 9);
    host_window_hook = hook;
    guest_be(domu, 0);
}

static void test_limits(void **state)
{
    struct xen_memory_reservation r = reservation(10, 0, DOMID_SELF);

    domu->d->memory.max_pages = GUEST_FRAMES + 4;
    assert_int_equal(CALL(populate_physmap, &r), 4);
    r.domid = 0;
    assert_int_equal(CALL(populate_physmap, &r), 0); /* another's */
    r.domid = 99;
    assert_int_equal(CALL(populate_physmap, &r), 0);
    r = reservation(1ull << 40, 0, DOMID_SELF);
    assert_int_equal(CALL(populate_physmap, &r), 0);
    r = reservation(10, 0, DOMID_SELF);
    r.mem_flags = XENMEMF_populate_on_demand;
    assert_int_equal(CALL(populate_physmap, &r), 0);
    r.mem_flags = XENMEMF_address_bits(12);
    assert_int_equal(CALL(populate_physmap, &r), 0);
    assert_int_equal(memory_op(XENMEM_populate_physmap, 0x1000), 0);
}

/* The list ends at the end of mapped memory: what nobody was told of is taken back. */
static void test_fault_in_the_list(void **state)
{
    struct xen_memory_reservation r = reservation(10, 0, DOMID_SELF);
    uint64_t *tail = (uint64_t *)((char *)guest_page(domu, GUEST_FRAMES - 1) + PAGE_SIZE) - 3;

    set_xen_guest_handle(r.extent_start, (xen_pfn_t *)(guest_va(GUEST_FRAMES) - 24));
    tail[0] = tail[1] = tail[2] = 7;
    assert_int_equal(CALL(populate_physmap, &r), 3);
    assert_int_equal(domu->d->memory.pages, GUEST_FRAMES + 3);
    assert_int_equal(CALL(increase_reservation, &r), 3);
    assert_int_equal(domu->d->memory.pages, GUEST_FRAMES + 6);
}

static void test_address_bits(void **state)
{
    struct xen_memory_reservation r = reservation(5, 0, DOMID_SELF);

    r.mem_flags = XENMEMF_address_bits(22);
    assert_int_equal(CALL(increase_reservation, &r), 5);
    for (unsigned i = 0; i < 5; i++)
        assert_true(list()[i] < 1024);
}

static void test_questions(void **state)
{
    struct xen_memory_domain self = {.domid = DOMID_SELF}, other = {.domid = 0};
    struct xen_add_to_physmap place = {.domid = DOMID_SELF, .space = XENMAPSPACE_shared_info};
    struct xen_pod_target pod = {.domid = DOMID_SELF};

    assert_int_equal(CALL(current_reservation, &self), GUEST_FRAMES);
    assert_int_equal(CALL(maximum_reservation, &self), 1000);
    assert_int_equal(CALL(current_reservation, &other), -EPERM);
    other.domid = 99;
    assert_int_equal(CALL(maximum_reservation, &other), -ESRCH);
    domu->d->shared_info->arch.max_pfn = 1234;
    assert_int_equal(CALL(maximum_gpfn, &self), 1233);
    domu->d->memory.max_pages = ~0ull;
    assert_int_equal(CALL(maximum_reservation, &self), UINT32_MAX);
    assert_int_equal(memory_op(XENMEM_maximum_ram_page, 0), max_mfn - 1);
    assert_int_equal(memory_op(XENMEM_get_sharing_freed_pages, 0), 0);
    assert_int_equal(memory_op(XENMEM_get_vnumainfo, 0), -EOPNOTSUPP);
    assert_int_equal(memory_op(XENMEM_set_pod_target, 0), -EFAULT);
    assert_int_equal(CALL(set_pod_target, &pod), -EPERM);
    assert_int_equal(memory_op(XENMEM_add_to_physmap, 0), -EFAULT);
    assert_int_equal(CALL(add_to_physmap, &place), -EACCES);
    assert_int_equal(memory_op(8, 0), -ENOSYS);
    assert_int_equal(memory_op(63, 0), -ENOSYS);
    assert_int_equal(memory_op(XENMEM_memory_map, 0x1000), -EFAULT);
}

static void test_machphys(void **state)
{
    struct xen_machphys_mapping m = {0};

    assert_int_equal(CALL(machphys_mapping, &m), 0);
    assert_true(m.v_end > m.v_start);
    assert_int_equal(m.max_mfn, max_mfn - 1);
    assert_int_equal(memory_op(XENMEM_machphys_mapping, 0), -EFAULT);
}

/* ---- exchange ---- */

static struct xen_memory_exchange exchange(uint64_t in, unsigned in_order, unsigned out_order)
{
    struct xen_memory_exchange x = {
        .in = reservation(in, in_order, DOMID_SELF),
        .out = reservation((in << in_order) >> out_order, out_order, DOMID_SELF)};

    set_xen_guest_handle(x.out.extent_start, (xen_pfn_t *)guest_va(LIST + 1));
    return x;
}

static void test_exchange(void **state)
{
    struct xen_memory_exchange x = exchange(8, 0, 2);
    uint64_t *out = guest_page(domu, LIST + 1), old[8];

    domu->d->memory.max_pages = GUEST_FRAMES; /* full */
    for (unsigned i = 0; i < 8; i++)
        list()[i] = old[i] = domu->mfn[10 + i].n;
    out[0] = 100;
    out[1] = 200;
    guest_preempt = 1;
    assert_int_equal(CALL(exchange, &x), 0);
    guest_preempt = 0;
    assert_int_equal(continued, 1);
    assert_int_equal(x.nr_exchanged, 8);
    assert_int_equal(domu->d->memory.pages, GUEST_FRAMES);
    assert_int_equal(domu->d->memory.max_pages, GUEST_FRAMES);
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(out[i] & 3, 0);
        for (unsigned j = 0; j < 4; j++) {
            assert_int_equal(M2P[out[i] + j], 100 * (i + 1) + j);
            assert_ptr_equal(frame_owner_of(mfn(out[i] + j)), &domu->d->memory);
        }
    }
    /* And back, in single frames. */
    x = exchange(2, 2, 0);
    set_xen_guest_handle(x.in.extent_start, (xen_pfn_t *)guest_va(LIST + 1));
    set_xen_guest_handle(x.out.extent_start, (xen_pfn_t *)guest_va(LIST));
    for (unsigned i = 0; i < 8; i++)
        list()[i] = 10 + i;
    assert_int_equal(CALL(exchange, &x), 0);
    for (unsigned i = 0; i < 8; i++)
        assert_int_equal(M2P[list()[i]], 10 + i);
    assert_int_equal(frame_audit(), 0);
}

static int allocated;

static void allocate_in_window(void)
{
    mfn_t m;

    interrupts_disable(); /* as another CPU, which has none */
    allocated = frame_alloc(&dom0->d->memory, 0, 0, &m);
    interrupts_enable();
}

/* A domain at its limit may exchange, but nothing else may go beyond meanwhile. */
static void test_exchange_at_the_limit(void **state)
{
    struct xen_memory_reservation r = reservation(1, 12, DOMID_SELF);
    struct xen_memory_exchange x = exchange(1, 12, 11);
    void (*hook)(void) = host_window_hook;

    guest_be(dom0, 0);
    dom0->d->memory.max_pages = dom0->d->memory.pages + 4096;
    assert_int_equal(CALL(populate_physmap, &r), 1);
    memset(guest_page(dom0, LIST + 1), 0, 16);
    allocated = 1;
    host_window_hook = allocate_in_window;
    assert_int_equal(CALL(exchange, &x), 0);
    host_window_hook = hook;
    assert_int_equal(x.nr_exchanged, 1);
    assert_int_equal(allocated, -E2BIG);
    assert_int_equal(dom0->d->memory.pages, dom0->d->memory.max_pages);
    guest_be(domu, 0);
}

static void test_exchange_refusals(void **state)
{
    struct xen_memory_exchange x = exchange(4, 0, 2);
    uint64_t pages;

    for (unsigned i = 0; i < 8; i++)
        list()[i] = domu->mfn[10 + i].n;
    x.out.nr_extents = 2;
    assert_int_equal(CALL(exchange, &x), -EINVAL);
    x = exchange(4, 0, 2);
    x.out.domid = 0;
    assert_int_equal(CALL(exchange, &x), -EINVAL);
    x.in.domid = 0;
    assert_int_equal(CALL(exchange, &x), -EPERM);
    x = exchange(1024, 0, 10);
    assert_int_equal(CALL(exchange, &x), -EPERM);
    x = exchange(4, 0, 2);
    x.nr_exchanged = 5;
    assert_int_equal(CALL(exchange, &x), -EINVAL);
    x = exchange(1ull << 40, 0, 0);
    assert_int_equal(CALL(exchange, &x), -EINVAL);
    /* The second chunk is bad: the first is done, and said to be. */
    x = exchange(8, 0, 2);
    list()[6] = dom0->mfn[1].n;
    assert_int_equal(CALL(exchange, &x), -EINVAL);
    assert_int_equal(x.nr_exchanged, 4);
    assert_ptr_equal(frame_owner_of(domu->mfn[15]), &domu->d->memory);
    assert_int_equal(domu->d->memory.pages, GUEST_FRAMES);
    /* In use. */
    x = exchange(1, 0, 0);
    list()[0] = domu->mfn[20].n;
    assert_int_equal(frame_get(domu->mfn[20], &domu->d->memory), 0);
    assert_int_equal(CALL(exchange, &x), -EINVAL);
    frame_put(domu->mfn[20]);
    /* One frame for many: nobody gets more than they gave. */
    x = exchange(4, 0, 2);
    for (unsigned i = 0; i < 4; i++)
        list()[i] = domu->mfn[21].n;
    pages = domu->d->memory.pages;
    assert_int_equal(CALL(exchange, &x), -EINVAL);
    assert_int_equal(x.nr_exchanged, 0);
    assert_true(domu->d->memory.pages <= pages);
    assert_int_equal(domu->d->memory.max_pages, 1000);
}

/* ---- maps ---- */

struct packed entry {
    uint64_t start, len;
    uint32_t type;
};

static void test_memory_map(void **state)
{
    struct xen_memory_map m = {.nr_entries = 8};
    struct xen_foreign_memory_map f = {.domid = 5, .map = {.nr_entries = 2}};
    struct entry *e = guest_page(dom0, LIST);

    set_xen_guest_handle(m.buffer, (void *)guest_va(LIST));
    assert_int_equal(CALL(memory_map, &m), -ENOSYS);
    assert_int_equal(CALL(set_memory_map, &f), -EPERM);
    guest_be(dom0, 0);
    e[0] = (struct entry){0, 0x1000000, 1};
    e[1] = (struct entry){0xf0000000, 0x1000, 2};
    set_xen_guest_handle(f.map.buffer, (void *)guest_va(LIST));
    assert_int_equal(CALL(set_memory_map, &f), 0);
    f.map.nr_entries = 1025;
    assert_int_equal(CALL(set_memory_map, &f), -EINVAL);
    f = (struct xen_foreign_memory_map){.domid = 5, .map = {.nr_entries = 2}};
    assert_int_equal(CALL(set_memory_map, &f), -EFAULT);
    guest_be(domu, 0);
    assert_int_equal(CALL(memory_map, &m), 0);
    assert_int_equal(m.nr_entries, 2);
    assert_memory_equal(guest_page(domu, LIST), e, 40);
    m.nr_entries = 1;
    assert_int_equal(CALL(memory_map, &m), 0);
    assert_int_equal(m.nr_entries, 1);
}

static void test_machine_memory_map(void **state)
{
    struct xen_memory_map m = {.nr_entries = 100};
    struct entry *e = guest_page(dom0, LIST);

    boot_info.memory[0] = (struct boot_range){0, 0x9fc00, BOOT_RAM};
    boot_info.memory[1] = (struct boot_range){0x9fc00, 0xa0000, BOOT_RESERVED};
    boot_info.memory[2] = (struct boot_range){0x100000, 0x4000000, BOOT_RAM};
    boot_info.nr_memory = 3;
    assert_int_equal(CALL(machine_memory_map, &m), -EPERM);
    guest_be(dom0, 0);
    set_xen_guest_handle(m.buffer, (void *)guest_va(LIST));
    /* All but the local APIC and one IO-APIC; and a page of RAM, which stays RAM. */
    assert_int_equal(range_set_add(&dom0->d->iomem, 0, 0xfffff), 0);
    assert_int_equal(range_set_remove(&dom0->d->iomem, 0xfec00, 0xfec00), 0);
    assert_int_equal(range_set_remove(&dom0->d->iomem, 0xfee00, 0xfeeff), 0);
    assert_int_equal(range_set_remove(&dom0->d->iomem, 0x200, 0x200), 0);
    assert_int_equal(CALL(machine_memory_map, &m), 0);
    assert_int_equal(m.nr_entries, 5);
    assert_int_equal(e[2].start, 0x100000);
    assert_int_equal(e[2].len, 0x3f00000);
    assert_int_equal(e[3].start, 0xfec00000);
    assert_int_equal(e[3].len, 0x1000);
    assert_int_equal(e[3].type, 2);
    assert_int_equal(e[4].start, 0xfee00000);
    assert_int_equal(e[4].len, 0x100000);
    m.nr_entries = 4;
    assert_int_equal(CALL(machine_memory_map, &m), -EINVAL);
    m = (struct xen_memory_map){0};
    assert_int_equal(CALL(machine_memory_map, &m), 0);
    assert_int_equal(m.nr_entries, 5);
}

/* ---- resources and claims ---- */

static void test_resource(void **state)
{
    struct xen_mem_acquire_resource a = {.domid = 5, .type = XENMEM_resource_grant_table};
    uint64_t *frames = guest_page(dom0, LIST);
    mfn_t m;

    a.domid = 0;
    assert_int_equal(CALL(acquire_resource, &a), -EPERM); /* unprivileged */
    guest_be(dom0, 0);
    assert_int_equal(CALL(acquire_resource, &a), -EPERM); /* itself */
    a.domid = DOMID_SELF;
    assert_int_equal(CALL(acquire_resource, &a), -ESRCH);
    a.domid = 99;
    assert_int_equal(CALL(acquire_resource, &a), -ESRCH);
    a.domid = 5;
    assert_int_equal(CALL(acquire_resource, &a), 0); /* how many? */
    assert_int_equal(a.nr_frames, 8);
    a.nr_frames = 3;
    assert_int_equal(CALL(acquire_resource, &a), -EINVAL); /* no list */
    set_xen_guest_handle(a.frame_list, (xen_pfn_t *)guest_va(LIST));
    a.frame = 1;
    assert_int_equal(CALL(acquire_resource, &a), 0);
    assert_int_equal(grant_frame(domu->d, false, 3, &m), 0);
    assert_int_equal(frames[2], m.n);
    a.frame = 6;
    assert_int_equal(CALL(acquire_resource, &a), -EINVAL);
    a.frame = ~0ull;
    assert_int_equal(CALL(acquire_resource, &a), -EINVAL);
    a.frame = 0;
    a.id = 1; /* status frames, of version 1 */
    a.nr_frames = 1;
    assert_int_equal(CALL(acquire_resource, &a), -EINVAL);
    a.id = 2;
    assert_int_equal(CALL(acquire_resource, &a), -EINVAL);
    a.id = 0;
    a.type = XENMEM_resource_ioreq_server;
    assert_int_equal(CALL(acquire_resource, &a), -EINVAL);
    a.type = 99;
    assert_int_equal(CALL(acquire_resource, &a), -EOPNOTSUPP);
    assert_int_equal(memory_op(XENMEM_exchange | 1 << 6, guest_va(0)), -EINVAL);
    a.type = XENMEM_resource_grant_table;
    a.pad = 1;
    assert_int_equal(CALL(acquire_resource, &a), -EINVAL);
}

static void test_claim(void **state)
{
    struct xen_memory_reservation r = {.nr_extents = 500, .domid = 5};
    uint64_t all = buddy_free_frames();

    assert_int_equal(CALL(claim_pages, &r), -EPERM);
    guest_be(dom0, 0);
    assert_int_equal(CALL(claim_pages, &r), 0);
    assert_int_equal(frame_claims(), 500 - GUEST_FRAMES);
    assert_int_equal(CALL(claim_pages, &r), -EINVAL); /* a second one */
    r.nr_extents = 0;
    assert_int_equal(CALL(claim_pages, &r), 0);
    assert_int_equal(frame_claims(), 0);
    r.nr_extents = GUEST_FRAMES;
    assert_int_equal(CALL(claim_pages, &r), -EINVAL);
    r.nr_extents = all + 1000;
    domu->d->memory.max_pages = 1ull << 40;
    assert_int_equal(CALL(claim_pages, &r), -ENOMEM);
    r = reservation(1, 0, 5);
    assert_int_equal(CALL(claim_pages, &r), -EINVAL);
}

static void test_random(void **state)
{
    srand(5);
    for (unsigned n = 0; n < 20000; n++) {
        struct xen_memory_exchange x;
        struct guest *g = rand() % 2 ? dom0 : domu;
        uint64_t *w;

        guest_be(g, 0);
        x = exchange((uint64_t)rand() % 9, (unsigned)rand() % 3, (unsigned)rand() % 3);
        x.in.domid = x.out.domid = rand() % 4 ? DOMID_SELF : (domid_t)(rand() % 6);
        x.in.mem_flags = rand() % 8 ? 0 : (unsigned)rand() % 70;
        w = list();
        for (unsigned i = 0; i < 32; i++)
            if (rand() % 4 == 0)
                w[i] = rand() % 3 ? (uint64_t)rand() % (max_mfn + 10) : domu->mfn[rand() % 32].n;
        /* The pages that the test itself lives in stay. */
        for (unsigned i = 0; i < 3 * 512; i++) {
            uint64_t *e = (uint64_t *)guest_page(g, LIST + i / 512 % 2) + i % 512;

            for (unsigned j = 0; j < 16; j++)
                if (*e <= dom0->mfn[j].n + 4 && *e + 4 >= dom0->mfn[j].n)
                    *e = 0;
            for (unsigned j = 0; j < 16; j++)
                if (*e <= domu->mfn[j].n + 4 && *e + 4 >= domu->mfn[j].n)
                    *e = 0;
        }
        guest_preempt = (unsigned)rand() % 5;
        switch (rand() % 4) {
        case 0:
            CALL(exchange, &x);
            break;
        case 1:
            CALL(populate_physmap, &x.in);
            break;
        case 2:
            CALL(decrease_reservation, &x.in);
            break;
        case 3:
            CALL(increase_reservation, &x.in);
            break;
        }
        if (n % 2000 == 0)
            assert_int_equal(frame_audit(), 0);
    }
    guest_preempt = 0;
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_populate_and_decrease),
        TEST(test_orders),
        TEST(test_large_extents),
        TEST(test_limits),
        TEST(test_fault_in_the_list),
        TEST(test_address_bits),
        TEST(test_questions),
        TEST(test_machphys),
        TEST(test_exchange),
        TEST(test_exchange_at_the_limit),
        TEST(test_exchange_refusals),
        TEST(test_memory_map),
        TEST(test_machine_memory_map),
        TEST(test_resource),
        TEST(test_claim),
        TEST(test_random),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
