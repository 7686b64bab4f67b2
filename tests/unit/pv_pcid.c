/* SPDX-License-Identifier: MIT */
/* PCIDs under hidden page tables: a page that the guest changes and flushes, by each of the calls
 * that flush, is seen changed in both modes, by the guest and by the hypervisor for it; entering,
 * leaving and changing modes drop nothing. The simulated TLB forgets only what it is told to. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "base/param.h"
#include "cpu/cpu.h"
#include "cpu/policy.h"
#include "cpu/spec.h"
#include "cpu/xpti.h"
#include "domain/guest_copy.h"
#include "lib/errno.h"
#include "memory/heap.h"
#include "memory/layout.h"
#include "memory/map.h"
#include "memory/tlb.h"
#include "pvguest.h"

#define RW (PTE_P | PTE_RW | PTE_U | PTE_A | PTE_D)
#define RO (PTE_P | PTE_U | PTE_A | PTE_D)

/* Tables of the guest, by pfn: its user L4, and what both its L4s show in slot 1. */
#define USER_L4  30u
#define USER_L3  31u
#define USER_L2  32u
#define USER_L1  33u
#define USER_L4B 34u /* another process: its own slot 1 */
#define USER_L3B 35u
#define USER_L2B 36u
#define USER_L1B 37u
#define PAGE_A   100u
#define PAGE_B   101u
#define USER_VA  (1ul << 39)

enum {
    KERNEL = 1,
    USER = 0
};

static struct pvguest *g;

static void chain(unsigned l4, unsigned l3, unsigned l2, unsigned l1, unsigned page)
{
    const unsigned pfn[] = {l4, l3, l2, l1, page};

    for (unsigned i = 0; i < 4; i++)
        memset(pvg_page(g, pfn[i]), 0, PAGE_SIZE);
    for (unsigned i = 0; i < 4; i++)
        *((uint64_t *)pvg_page(g, pfn[i]) + (i == 0)) = pte_make(g->mfn[pfn[i + 1]], RW);
}

static void make_ro(unsigned pfn)
{
    assert_int_equal(pv_update_va_mapping(pvg_va(pfn), pte_make(g->mfn[pfn], RO), 0), 0);
}

static void cpu_start(unsigned n)
{
    uint64_t *base = heap_page();

    assert_non_null(base);
    host_cpu_select(n);
    memcpy(&base[L4_HV_FIRST], &hv_l4[L4_HV_FIRST], 16 * sizeof(*base));
    write_cr4((read_cr4() & ~CR4_PGE) | CR4_PCIDE);
    xpti_cpu_init(base);
}

/* vCPU 0 runs on CPU 0 and vCPU 1 on CPU 1, both with the same process. */
static int setup(void **state)
{
    pvg_machine(64u << 20, 2);
    pvg_seed = 1;
    pvg_preempt = pvg_abandon = 0;
    frame_budget = 4096;
    xpti_active = spec_xpti_domu = tlb_pcid = true;
    for (unsigned cpu = 2; cpu-- > 0;)
        cpu_start(cpu);
    host_tlb = true;
    g = pvg_new(0, 256, true);
    for (unsigned p = PAGE_A; p <= PAGE_B; p++)
        *(unsigned *)pvg_page(g, p) = p;
    chain(USER_L4, USER_L3, USER_L2, USER_L1, PAGE_A);
    chain(USER_L4B, USER_L3B, USER_L2B, USER_L1B, PAGE_B);
    for (unsigned cpu = 2; cpu-- > 0;) {
        host_cpu_select(cpu);
        pvg_run(g, cpu);
    }
    for (unsigned pfn = USER_L4; pfn <= USER_L1B; pfn++)
        make_ro(pfn);
    for (unsigned cpu = 2; cpu-- > 0;) {
        host_cpu_select(cpu);
        assert_int_equal(pv_new_user_l4(&g->v[cpu], g->mfn[USER_L4]), 0);
    }
    assert_int_equal(
        pvg_update(pvg_maddr((uint64_t *)pvg_page(g, 0) + 1), pte_make(g->mfn[USER_L3], RW)), 0);
    assert_int_equal(pvg_ext(MMUEXT_TLB_FLUSH_ALL, 0), 0);
    return 0;
}

static int teardown(void **state)
{
    int mistakes;

    host_tlb = false;
    mistakes = frame_audit();
    pvg_free(g);
    mistakes += frame_audit();
    if (mistakes)
        print_message("%s", host_log());
    xpti_active = spec_xpti_domu = tlb_pcid = false;
    return mistakes != 0;
}

/* ---- who looks ---- */

static unsigned look(void)
{
    unsigned val = 0;

    return hw_copy_from_guest(&val, USER_VA, sizeof(val)) ? 0 : val;
}

/* The guest itself, between the exit and the next entry, as entry.S changes tables. */
static unsigned guest_looks(void)
{
    unsigned val;

    while (cpu_local()->shadow_stale)
        xpti_refill();
    write_cr3(cpu_local()->exit_cr3);
    val = look();
    write_cr3(cpu_local()->hv_cr3);
    return val;
}

/* The page as all four see it: real and hidden tables, in both modes. */
static void all_see(unsigned want)
{
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(look(), want);
        assert_int_equal(guest_looks(), want);
        pv_toggle_mode(current());
    }
}

static void everywhere(unsigned want)
{
    for (unsigned cpu = 2; cpu-- > 0;) {
        host_cpu_select(cpu);
        all_see(want);
    }
}

static unsigned remembered(void)
{
    unsigned n = 0;
    uint64_t pte;

    for (unsigned pcid = 0; pcid < PCID_COUNT; pcid++)
        n += host_tlb_find(pcid, USER_VA, &pte);
    return n;
}

/* The page under USER_VA is another; nobody is told. */
static void change(unsigned page)
{
    assert_int_equal(pvg_update(pvg_maddr(pvg_page(g, USER_L1)), pte_make(g->mfn[page], RW)), 0);
}

/* ---- tests ---- */

static void nothing_is_dropped_on_the_way(void **state)
{
    unsigned flushes;

    all_see(PAGE_A);
    assert_int_equal(remembered(), 4);
    flushes = host_cpu()->flushes;
    all_see(PAGE_A);
    assert_int_equal(host_cpu()->flushes, flushes);
    /* So what is not flushed is seen: the tests below could fail. */
    change(PAGE_B);
    all_see(PAGE_A);
    assert_int_equal(pvg_ext(MMUEXT_TLB_FLUSH_LOCAL, 0), 0);
    assert_int_equal(remembered(), 0);
}

static void local_flushes(void **state)
{
    const unsigned cmds[] = {MMUEXT_INVLPG_LOCAL, MMUEXT_TLB_FLUSH_LOCAL, MMUEXT_INVLPG_ALL,
                             MMUEXT_TLB_FLUSH_ALL};
    unsigned page = PAGE_A;

    for (unsigned i = 0; i < ARRAY_SIZE(cmds); i++) {
        all_see(page);
        page ^= PAGE_A ^ PAGE_B;
        change(page);
        assert_int_equal(pvg_ext(cmds[i], USER_VA), 0);
        all_see(page);
    }
}

static void flushes_everywhere(void **state)
{
    const unsigned cmds[] = {MMUEXT_INVLPG_ALL, MMUEXT_TLB_FLUSH_ALL, MMUEXT_INVLPG_MULTI,
                             MMUEXT_TLB_FLUSH_MULTI};
    unsigned page = PAGE_A;

    *(uint64_t *)pvg_page(g, 60) = 3; /* a mask of vCPUs */
    for (unsigned i = 0; i < ARRAY_SIZE(cmds); i++) {
        struct mmuext_op op = {.cmd = cmds[i], .arg1.linear_addr = USER_VA};

        op.arg2.src_mfn = pvg_va(60);
        everywhere(page);
        page ^= PAGE_A ^ PAGE_B;
        change(page);
        assert_int_equal(pvg_mmuext(&op, 1, NULL, DOMID_SELF), 0);
        everywhere(page);
    }
}

static void flushes_of_update_va_mapping(void **state)
{
    const unsigned long flags[] = {UVMF_INVLPG | UVMF_LOCAL, UVMF_TLB_FLUSH | UVMF_LOCAL,
                                   UVMF_INVLPG | UVMF_ALL, UVMF_TLB_FLUSH | UVMF_ALL};
    unsigned page = PAGE_A;

    for (unsigned i = 0; i < ARRAY_SIZE(flags); i++) {
        everywhere(page);
        page ^= PAGE_A ^ PAGE_B;
        assert_int_equal(pv_update_va_mapping(USER_VA, pte_make(g->mfn[page], RW), flags[i]), 0);
        all_see(page);
        assert_int_equal(pvg_ext(MMUEXT_TLB_FLUSH_ALL, 0), 0);
    }
}

/* A kernel reloads CR3, the same or another: nothing of before remains, in user mode neither. */
static void loads_of_the_base(void **state)
{
    all_see(PAGE_A);
    change(PAGE_B);
    assert_int_equal(pvg_ext(MMUEXT_NEW_BASEPTR, g->mfn[0].n), 0);
    assert_int_equal(remembered(), 0);
    all_see(PAGE_B);
    change(PAGE_A);
    assert_int_equal(pv_new_kernel_l4(&g->v[0], g->mfn[USER_L4]), 0);
    assert_int_equal(remembered(), 0);
    assert_int_equal(look(), PAGE_A);
    assert_int_equal(pv_new_kernel_l4(&g->v[0], g->mfn[0]), 0);
    all_see(PAGE_A);
}

static void another_process(void **state)
{
    all_see(PAGE_A);
    assert_int_equal(pvg_ext(MMUEXT_NEW_USER_BASEPTR, g->mfn[USER_L4B].n), 0);
    assert_int_equal(look(), PAGE_A); /* the kernel's table is what it was */
    pv_toggle_mode(current());
    assert_int_equal(look(), PAGE_B);
    assert_int_equal(guest_looks(), PAGE_B);
    pv_toggle_mode(current());
}

/* The guest's own view of a slot changes at once: its L4 is a copy, made anew. */
static void a_slot_of_a_loaded_l4(void **state)
{
    all_see(PAGE_A);
    assert_int_equal(
        pvg_update(pvg_maddr((uint64_t *)pvg_page(g, 0) + 1), pte_make(g->mfn[USER_L3B], RW)), 0);
    assert_int_equal(guest_looks(), PAGE_B);
    assert_int_equal(pvg_ext(MMUEXT_TLB_FLUSH_LOCAL, 0), 0);
    assert_int_equal(look(), PAGE_B);
}

static void another_vcpu_on_the_same_cpu(void **state)
{
    assert_int_equal(pvg_ext(MMUEXT_TLB_FLUSH_LOCAL, 0), 0);
    all_see(PAGE_A);
    pvg_run(g, 1);
    assert_int_equal(remembered(), 0);
}

/* A frame that both CPUs may write to becomes a table: nobody may write to it any more. */
static void before_a_frame_is_a_table(void **state)
{
    uint64_t pte;

    memset(pvg_page(g, PAGE_A), 0, PAGE_SIZE);
    for (unsigned cpu = 2; cpu-- > 0;) {
        unsigned val = 0;

        host_cpu_select(cpu);
        for (unsigned i = 0; i < 2; i++) {
            assert_int_equal(hw_copy_to_guest(USER_VA, &val, sizeof(val)), 0);
            while (cpu_local()->shadow_stale)
                xpti_refill();
            write_cr3(cpu_local()->exit_cr3);
            assert_int_equal(hw_copy_to_guest(USER_VA, &val, sizeof(val)), 0);
            write_cr3(cpu_local()->hv_cr3);
            pv_toggle_mode(current());
        }
        assert_int_equal(remembered(), 4);
    }
    make_ro(PAGE_A);
    change(PAGE_B);
    assert_int_equal(pvg_ext(MMUEXT_PIN_L1_TABLE, g->mfn[PAGE_A].n), 0);
    for (unsigned cpu = 2; cpu-- > 0;) {
        host_cpu_select(cpu);
        for (unsigned pcid = 0; pcid < PCID_COUNT; pcid++)
            assert_false(host_tlb_find(pcid, USER_VA, &pte));
    }
}

/* Made writable without a flush, which a native kernel need not do either. */
static void a_stale_right_is_no_error(void **state)
{
    unsigned val = 7;

    assert_int_equal(pvg_update(pvg_maddr(pvg_page(g, USER_L1)), pte_make(g->mfn[PAGE_A], RO)), 0);
    assert_int_equal(pvg_ext(MMUEXT_TLB_FLUSH_LOCAL, 0), 0);
    assert_int_equal(guest_write(USER_VA, &val, sizeof(val)), -EFAULT);
    assert_int_equal(look(), PAGE_A);
    change(PAGE_A);
    assert_int_equal(guest_write(USER_VA, &val, sizeof(val)), 0);
    assert_int_equal(look(), 7);
}

/* Addresses of the hypervisor's own go from all of them, and a CPU without PCIDs does as before. */
static void the_hypervisors_own(void **state)
{
    uint64_t pte, va = USER_VA + (1ul << 30);

    for (unsigned pcid = 0; pcid < PCID_COUNT; pcid++)
        host_tlb_fill(pcid, va, PTE_P);
    tlb_flush_local(TLB_VA | TLB_GLOBAL, va);
    for (unsigned pcid = 0; pcid < PCID_COUNT; pcid++)
        assert_false(host_tlb_find(pcid, va, &pte));
    for (unsigned pcid = 0; pcid < PCID_COUNT; pcid++)
        host_tlb_fill(pcid, va, PTE_P);
    tlb_flush_local(TLB_ALL, 0);
    for (unsigned pcid = 0; pcid < PCID_COUNT; pcid++)
        assert_false(host_tlb_find(pcid, va, &pte));
    write_cr3(hv_cr3());
    tlb_pcid = false;
    write_cr4((read_cr4() & ~CR4_PCIDE) | CR4_PGE);
    host_tlb_fill(0, va, PTE_P | PTE_G);
    tlb_flush_local(TLB_ALL, 0);
    assert_true(host_tlb_find(0, va, &pte));
    tlb_flush_local(TLB_ALL | TLB_GLOBAL, 0);
    assert_false(host_tlb_find(0, va, &pte));
    write_cr4((read_cr4() & ~CR4_PGE) | CR4_PCIDE);
}

static void where_it_is_used(void **state)
{
    struct cpuid_leaf one = hw_cpuid(1, 0), seven = hw_cpuid(7, 0);
    const uint32_t pcid = 1u << (X86_FEATURE_PCID % 32), invpcid = 1u << (X86_FEATURE_INVPCID % 32);

    for (unsigned i = 0; i < 8; i++) {
        struct cpuid_leaf l1 = one, l7 = seven;

        l1.c = (one.c & ~pcid) | (i & 1 ? pcid : 0);
        l7.b = (seven.b & ~invpcid) | (i & 2 ? invpcid : 0);
        host_cpuid_set(1, 0, l1);
        host_cpuid_set(7, 0, l7);
        cpu_detect();
        xpti_active = i & 4;
        assert_int_equal(xpti_wants_pcid(), i == 7);
    }
    param_parse("pcid=no-xpti");
    assert_false(xpti_wants_pcid());
    param_parse("pcid=xpti");
    assert_true(xpti_wants_pcid());
    param_parse("no-pcid");
    assert_false(xpti_wants_pcid());
    param_parse("pcid=sometimes");
    assert_non_null(strstr(host_log(), "pcid"));
    assert_false(xpti_wants_pcid());
    param_parse("pcid");
    assert_true(xpti_wants_pcid());
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(nothing_is_dropped_on_the_way),
        TEST(local_flushes),
        TEST(flushes_everywhere),
        TEST(flushes_of_update_va_mapping),
        TEST(loads_of_the_base),
        TEST(another_process),
        TEST(a_slot_of_a_loaded_l4),
        TEST(another_vcpu_on_the_same_cpu),
        TEST(before_a_frame_is_a_table),
        TEST(a_stale_right_is_no_error),
        TEST(the_hypervisors_own),
        TEST(where_it_is_used),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
