/* SPDX-License-Identifier: MIT */
/* An audit that never finds anything is worth nothing: each test plants one kind of mistake in a
 * sound machine, sees that the audit tells of it, and takes it away again. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "pvguest.h"
#include "frame/table.h"
#include "memory/buddy.h"
#include "memory/map.h"

#define RW (PTE_P | PTE_RW | PTE_U | PTE_A | PTE_D)
#define RO (PTE_P | PTE_U | PTE_A | PTE_D)

static struct pvguest *g, *other;

static int setup(void **state)
{
    pvg_machine(16u << 20, 1);
    pvg_preempt = 0;
    g = pvg_new(0, 64, true);
    other = pvg_new(1, 64, false);
    pvg_run(g, 0);
    return 0;
}

static int teardown(void **state)
{
    int mistakes = frame_audit();

    if (mistakes)
        print_message("%s", host_log());
    pvg_free(other);
    pvg_free(g);
    return mistakes != 0 || frame_audit() != 0;
}

/* The audit finds at least one, and says these words. */
static void expect(const char *words)
{
    const char *text;

    assert_true(frame_audit() > 0);
    text = host_log();
    if (!strstr(text, words)) {
        print_message("no \"%s\" in:\n%s", words, text);
        fail();
    }
}

/* While `word` has another value, the audit says the words. */
#define PLANT(word, value, words)           \
    do {                                    \
        __typeof__(word) kept_ = (word);    \
        host_log();                         \
        (word) = (value);                   \
        expect(words);                      \
        (word) = kept_;                     \
        assert_int_equal(frame_audit(), 0); \
    } while (0)

static struct frame *plain(void)
{
    return frame_of(g->mfn[20]);
}

static struct frame *free_frame(void)
{
    for (uint64_t i = 256; i < max_mfn; i++)
        if (buddy_is_free(mfn(i)))
            return &FRAMES[i];
    fail();
    return NULL;
}

static void test_sound(void **state)
{
    assert_int_equal(frame_audit(), 0);
    assert_string_equal(host_log(), "");
}

static void test_counts(void **state)
{
    PLANT(plain()->refs, plain()->refs + 1, "has 3 references, counted are 2");
    PLANT(plain()->refs, plain()->refs - 1, "has 1 references, counted are 2");
    PLANT(plain()->type, plain()->type + 1, "is used 2 times as 6, counted are 1");
    PLANT(plain()->type, 0, "is used 0 times as 0, counted are 1");
    PLANT(frame_of(g->mfn[2])->type, frame_of(g->mfn[2])->type + 1, "is used 2 times as 2");
    PLANT(frame_of(g->mfn[0])->type, frame_of(g->mfn[0])->type & ~TYPE_PINNED, "counted are 2");
    PLANT(frame_of(g->mfn[21])->type, frame_of(g->mfn[21])->type | TYPE_PINNED, "references");
    PLANT(plain()->refs, plain()->refs & ~REF_ALLOCATED, "counted are 1");
}

static void test_kinds(void **state)
{
    PLANT(plain()->type, TYPE_OF(FRAME_L1) | 1, "is 1, but used as 6");
    PLANT(plain()->type, plain()->type | TYPE_VALID, "validity");
    PLANT(plain()->type, plain()->type | TYPE_LOCKED, "is locked");
    PLANT(plain()->type, plain()->type | TYPE_PARTIAL, "half a table");
    PLANT(plain()->type, plain()->type | TYPE_STALE, "stale");
    PLANT(frame_of(g->mfn[3])->type, frame_of(g->mfn[3])->type & ~TYPE_VALID, "counted are 0");
    PLANT(frame_of(g->mfn[2])->linear, 1, "1 linear maps, counted are 0");
}

static void test_entries(void **state)
{
    uint64_t *l4 = pvg_page(g, 0), *l3 = pvg_page(g, 1), *l2 = pvg_page(g, 2);
    uint64_t *pe = pvg_l1e(g, 20);

    PLANT(*pe, 0, "counted are 1");
    PLANT(*pe, pte_make(g->mfn[21], RW), "counted are");
    PLANT(*pe, *pe & ~PTE_U, "flags that no entry may have");
    PLANT(*pe, *pe | PTE_G, "flags that no entry may have");
    PLANT(*pe, *pe | 1ull << 50, "flags that no entry may have");
    PLANT(*pe, *pe | PTE_PCD, "chooses caching");
    PLANT(*pe, *pe | PTE_GRANT, "counted are 1");
    PLANT(*pe, pte_make(mfn(0xb8), RW | PTE_GRANT), "grant of no RAM");
    PLANT(*pe, pte_make(frame_mfn(free_frame()), RO), "is free, but 1 references are held");
    PLANT(*pe, pte_make(frame_mfn(free_frame()), RO | PTE_GRANT), "which is free");
    PLANT(*pe, pte_make(g->mfn[0], RW | PTE_GRANT), "writable grant of frame");
    PLANT(*pe, pte_make(g->mfn[0], RW), "too");
    PLANT(*pe, pte_make(other->mfn[20], RO), "which does not know");
    PLANT(l2[0], l2[0] | PTE_PSE, "flags that no entry may have");
    PLANT(l2[0], l2[0] | PTE_PCD, "flags that no entry may have");
    PLANT(l2[1], pte_make(other->mfn[3], RW), "is not domain 0's");
    PLANT(l2[1], pte_make(g->mfn[2], RW), "linear map");
    PLANT(l2[1], pte_make(g->mfn[20], RW), "used as 1 too");
    PLANT(l3[5], pte_make(g->mfn[3], RW), "too");
    PLANT(l4[5], pte_make(g->mfn[0], RO), "linear map");
    PLANT(l4[300], pte_make(g->mfn[1], RW), "counted are 2");
}

static void test_hypervisor_slots(void **state)
{
    uint64_t *l4 = pvg_page(g, 0);

    PLANT(l4[L4_DIRECT_FIRST], 0, "where the hypervisor has");
    PLANT(l4[L4_PERDOMAIN], hv_l4[L4_PERDOMAIN], "where the hypervisor has");
    PLANT(l4[L4_M2P_RO], l4[L4_M2P_RO] | PTE_U, "where the hypervisor has");
    PLANT(hv_l4[L4_DIRECT_FIRST], 0, "where the hypervisor has");
}

static void test_cr3(void **state)
{
    PLANT(g->v[1].pv->kernel_l4, INVALID_MFN, "used 3 times as 4, counted are 2");
    PLANT(g->v[1].pv->user_l4, g->mfn[0], "counted are 4");
    PLANT(g->v[0].pv->gdt_frame[3], g->mfn[20], "used as 5");
    PLANT(g->v[0].pv->ldt_frame[3], mfn(max_mfn), "beyond RAM");
}

static void test_free_frames(void **state)
{
    struct frame *f = free_frame();

    PLANT(f->refs, f->refs | REF_ALLOCATED, "is free, but its record");
    PLANT(f->refs, owner_key(&g->d.memory), "is free, but its record");
    PLANT(f->refs, owner_key(&g->d.memory) | 1, "in the allocator");
    PLANT(f->refs, f->refs | 1, "no owner");
    PLANT(f->type, TYPE_WRITABLE, "is free, but its use");
    PLANT(f->type, TYPE_STALE, "is free, but its use");
    PLANT(M2P[frame_mfn(f).n], 5, "but M2P says 5");
    PLANT(FRAMES[0xb8].refs, FRAMES[0xb8].refs | 1, "no RAM");
    PLANT(FRAMES[0xb8].type, TYPE_WRITABLE, "no RAM");
}

static void test_lists(void **state)
{
    struct frame_owner *o = &g->d.memory;

    PLANT(o->pages, o->pages + 1, "64 frames in a list of 65");
    PLANT(o->heap_pages, 0, "1 frames in a list of 0");
    PLANT(o->first, FRAMES[o->first].next, "in no list");
    PLANT(plain()->next, 0, "in no list");
    PLANT(plain()->prev, 0, "list is broken");
    PLANT(plain()->next, o->first, "twice in lists");
    PLANT(plain()->next, max_mfn, "beyond RAM");
    PLANT(o->first, other->d.memory.first, "lists frame");
    PLANT(o->first_heap, o->first, "twice in lists");
    PLANT(o->first_heap, frame_mfn(free_frame()).n, "lists frame");
    PLANT(plain()->refs, (plain()->refs & ~REF_OWNER) | 1ull << REF_OWNER_SHIFT, "lists frame");
    PLANT(o->claim, 10, "owners claim 10 frames, together 0");
}

static void test_drop_list(void **state)
{
    struct frame_owner *o = &g->d.memory;

    o->drop[0] = g->mfn[20].n;
    PLANT(o->drop_count, 1, "is to be dropped");
    o->drop[0] = other->mfn[20].n;
    PLANT(o->drop_count, 1, "domain 0: drops frame");
    o->drop[0] = max_mfn;
    PLANT(o->drop_count, 1, "domain 0: drops frame");
    o->drop[0] = 0;
}

static bool accept(uint64_t *desc)
{
    return *desc == 0;
}

static void test_descriptors(void **state)
{
    bool (*kept)(uint64_t * desc) = frame_descriptor_ok;
    uint64_t *d = pvg_page(g, 30);

    frame_descriptor_ok = accept;
    assert_int_equal(pv_update_va_mapping(pvg_va(30), 0, 0), 0);
    assert_int_equal(frame_get_type(g->mfn[30], FRAME_SEGDESC), 0);
    g->v[0].pv->gdt_frame[0] = g->mfn[30];
    assert_int_equal(frame_get(g->mfn[30], &g->d.memory), 0);
    PLANT(d[511], 1, "would not be let in");
    g->v[0].pv->gdt_frame[0] = INVALID_MFN;
    expect("used 1 times as 5, counted are 0");
    frame_put_type(g->mfn[30]);
    frame_put(g->mfn[30]);
    frame_descriptor_ok = kept;
}

static void test_half_done(void **state)
{
    struct mmuext_op op = {.cmd = MMUEXT_PIN_L2_TABLE, .arg1.mfn = g->mfn[30].n};
    uint64_t *l2 = pvg_page(g, 30);

    for (unsigned i = 31; i < 40; i++) {
        memset(pvg_page(g, i), 0, PAGE_SIZE);
        l2[i] = pte_make(g->mfn[i], RW);
        assert_int_equal(pv_update_va_mapping(pvg_va(i), 0, 0), 0);
    }
    assert_int_equal(pv_update_va_mapping(pvg_va(30), 0, 0), 0);
    frame_budget = 150;
    pvg_preempt = pvg_abandon = 1;
    assert_int_equal(pvg_mmuext(&op, 1, NULL, DOMID_SELF), -ERESTART);
    pvg_preempt = pvg_abandon = 0;
    frame_budget = 4096;
    assert_true(frame_of(g->mfn[30])->type & TYPE_PARTIAL);
    assert_int_equal(frame_audit(), 0);
    PLANT(frame_of(g->mfn[30])->progress, 0, "counted are 0");
    PLANT(frame_of(g->mfn[30])->refs, frame_of(g->mfn[30])->refs - 1, "references");
    /* Nobody has it as anything else; whoever wants it as that goes on. */
    assert_int_equal(pv_update_va_mapping(pvg_va(20), pte_make(g->mfn[30], RW), 0), -EBUSY);
    assert_int_equal(pvg_ext(MMUEXT_PIN_L1_TABLE, g->mfn[30].n), -EBUSY);
    assert_int_equal(pvg_mmuext(&op, 1, NULL, DOMID_SELF), 0);
    assert_int_equal(frame_type_of(g->mfn[30]), FRAME_L2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_sound, setup, teardown),
        cmocka_unit_test_setup_teardown(test_counts, setup, teardown),
        cmocka_unit_test_setup_teardown(test_kinds, setup, teardown),
        cmocka_unit_test_setup_teardown(test_entries, setup, teardown),
        cmocka_unit_test_setup_teardown(test_hypervisor_slots, setup, teardown),
        cmocka_unit_test_setup_teardown(test_cr3, setup, teardown),
        cmocka_unit_test_setup_teardown(test_free_frames, setup, teardown),
        cmocka_unit_test_setup_teardown(test_lists, setup, teardown),
        cmocka_unit_test_setup_teardown(test_drop_list, setup, teardown),
        cmocka_unit_test_setup_teardown(test_descriptors, setup, teardown),
        cmocka_unit_test_setup_teardown(test_half_done, setup, teardown),
    };

    return cmocka_run_group_tests_name("frame_audit", tests, NULL, NULL);
}
