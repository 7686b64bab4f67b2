/* SPDX-License-Identifier: MIT */
/* hypercall/version: what each sub-operation tells, to whom, and how much of the guest's memory it
 * writes. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include <xen/features.h>
#include <xen/version.h>

#include "guest.h"
#include "hypercall/ops.h"
#include "hypercall/version.h"
#include "lib/errno.h"

static struct guest *dom0, *domu;

static int setup(void **state)
{
    guest_machine(1);
    dom0 = guest_new(0, 1, true);
    domu = guest_new(5, 1, false);
    guest_be(domu, 0);
    return 0;
}

static int teardown(void **state)
{
    guest_kill(dom0);
    guest_kill(domu);
    return 0;
}

static void numbers(void **state)
{
    assert_int_equal(xen_version(XENVER_version, ~0ul), 4 << 16 | 17);
    assert_int_equal(xen_version(XENVER_pagesize, 0), 4096);
    assert_int_equal(xen_version(XENVER_pagesize, guest_va(0)), -EINVAL);
    assert_int_equal(xen_version(11, guest_va(0)), -ENOSYS);
    assert_int_equal(xen_version(~0u, guest_va(0)), -ENOSYS);
}

/* Exactly `size` bytes are written, ended by a zero within them. */
static void writes(unsigned cmd, size_t size)
{
    char *page = guest_page(domu, 1);

    memset(page, 0x7e, PAGE_SIZE);
    assert_int_equal(xen_version(cmd, guest_va(1) + 8), 0);
    for (unsigned i = 0; i < 8; i++)
        assert_int_equal(page[i], 0x7e);
    for (size_t i = 8 + size; i < PAGE_SIZE; i++)
        assert_int_equal(page[i], 0x7e);
    assert_int_equal(page[8 + size - 1] == 0x7e, 0);
}

static void sizes(void **state)
{
    writes(XENVER_extraversion, 16);
    writes(XENVER_compile_info, 64 + 16 + 32 + 32);
    writes(XENVER_capabilities, 1024);
    writes(XENVER_changeset, 64);
    writes(XENVER_platform_parameters, 8);
    writes(XENVER_guest_handle, 16);
    writes(XENVER_commandline, 1024);
}

static void contents(void **state)
{
    const char *text = guest_page(domu, 1);
    uint64_t start;

    assert_int_equal(xen_version(XENVER_extraversion, guest_va(1)), 0);
    assert_int_equal(text[0], '.'); /* tools put it behind "4.17" */
    assert_int_equal(xen_version(XENVER_capabilities, guest_va(1)), 0);
    assert_non_null(strstr(text, "xen-3.0-x86_64"));
    assert_int_equal(xen_version(XENVER_platform_parameters, guest_va(1)), 0);
    memcpy(&start, text, sizeof(start));
    assert_int_equal(start, 0xffff800000000000);
    memset(domu->d->handle, 0xa5, 16);
    assert_int_equal(xen_version(XENVER_guest_handle, guest_va(1)), 0);
    assert_memory_equal(text, domu->d->handle, 16);
}

static void command_line_is_for_the_privileged(void **state)
{
    const char *text = guest_page(domu, 1);

    strcpy(version_commandline, "console=com1");
    assert_int_equal(xen_version(XENVER_commandline, guest_va(1)), 0);
    assert_string_equal(text, "<denied>");
    guest_be(dom0, 0);
    assert_int_equal(xen_version(XENVER_commandline, guest_va(1)), 0);
    assert_string_equal((const char *)guest_page(dom0, 1), "console=com1");
    /* As long as the array: the last byte is still a zero. */
    memset(version_commandline, 'x', sizeof(version_commandline) - 1);
    assert_int_equal(xen_version(XENVER_commandline, guest_va(1)), 0);
    assert_int_equal(strlen(guest_page(dom0, 1)), 1023);
    memset(version_commandline, 0, sizeof(version_commandline));
}

static uint32_t features(struct guest *g)
{
    xen_feature_info_t f = {.submap_idx = 0, .submap = ~0u};

    guest_be(g, 0);
    memcpy(guest_page(g, 1), &f, sizeof(f));
    assert_int_equal(xen_version(XENVER_get_features, guest_va(1)), 0);
    memcpy(&f, guest_page(g, 1), sizeof(f));
    return f.submap;
}

static void features_of_pv(void **state)
{
    xen_feature_info_t f = {.submap_idx = 1, .submap = 7};
    uint32_t u = features(domu), zero = features(dom0);

    /* Linux images say "!writable_page_tables|pae_pgdir_above_4gb": the first must be off. */
    assert_false(u & BIT(XENFEAT_writable_page_tables));
    assert_false(u & BIT(XENFEAT_auto_translated_physmap));
    assert_false(u & BIT(XENFEAT_hvm_callback_vector));
    assert_true(u & BIT(XENFEAT_mmu_pt_update_preserve_ad));
    assert_int_equal(zero ^ u, BIT(XENFEAT_dom0));
    assert_false(u & BIT(XENFEAT_dom0));
    assert_false(u & BIT(XENFEAT_pae_pgdir_above_4gb));
    guest_be(domu, 0);
    assert_int_equal(vm_assist(VMASST_CMD_enable, VMASST_TYPE_pae_extended_cr3), 0);
    assert_int_equal(features(domu) ^ u, BIT(XENFEAT_pae_pgdir_above_4gb));
    memcpy(guest_page(domu, 1), &f, sizeof(f));
    assert_int_equal(xen_version(XENVER_get_features, guest_va(1)), -EINVAL);
    assert_int_equal(((xen_feature_info_t *)guest_page(domu, 1))->submap, 7);
}

/* The double's image has no note to show. */
static void build_id_is_for_the_privileged(void **state)
{
    assert_int_equal(xen_version(XENVER_build_id, 0), -EPERM);
    assert_int_equal(xen_version(XENVER_build_id, guest_va(1)), -EPERM);
    guest_be(dom0, 0);
    assert_int_not_equal(xen_version(XENVER_build_id, 0), -EPERM);
}

static void faults(void **state)
{
    static const uint64_t bad[] = {0x1000, HV_VA_START, 1ul << 63, ~0ul};

    for (unsigned cmd = XENVER_extraversion; cmd <= XENVER_commandline; cmd++)
        for (unsigned i = 0; i < ARRAY_SIZE(bad) && cmd != XENVER_pagesize; i++)
            assert_int_equal(xen_version(cmd, bad[i]), -EFAULT);
    /* Across the end of what is mapped. */
    assert_int_equal(xen_version(XENVER_capabilities, guest_va(GUEST_FRAMES) - 1023), -EFAULT);
    assert_int_equal(xen_version(XENVER_capabilities, guest_va(GUEST_FRAMES) - 1024), 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(numbers),        TEST(sizes),
        TEST(contents),       TEST(command_line_is_for_the_privileged),
        TEST(features_of_pv), TEST(build_id_is_for_the_privileged),
        TEST(faults),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
