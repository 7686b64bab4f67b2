/* SPDX-License-Identifier: MIT */
/* Every sub-operation of xen_version, and pointers that no copy may go through.
 *
 * Cause: the version decides which directory Debian's tools run from; kernels read features
 * first.
 * Steps: all sub-operations with good arguments, with bad ones, and with pointers that are
 * unmapped, read-only, inside the hypervisor's hole or not canonical.
 * Verdict: 4.17, well-formed answers, -ENOSYS and -EINVAL for bad requests, -EFAULT for bad
 * pointers, and nothing is written outside the buffer. */
#include "lib/guest.h"

static char buffer[4096];

static void check_answers(void)
{
    struct xen_feature_info fi = {.submap_idx = 0};
    struct xen_platform_parameters pp = {0};

    expect_eq(hc_xen_version(XENVER_version, NULL), (4 << 16) | 17);
    expect_eq(hc_xen_version(XENVER_extraversion, buffer), 0);
    expect(buffer[0] == '.' || buffer[0] == '-' || buffer[0] == '\0');
    expect_eq(hc_xen_version(XENVER_compile_info, buffer), 0);
    expect(buffer[0] != '\0');
    memset(buffer, 0, sizeof(buffer));
    expect_eq(hc_xen_version(XENVER_capabilities, buffer), 0);
    expect(strncmp(buffer, "xen-3.0-x86_64", 14) == 0);
    expect_eq(hc_xen_version(XENVER_changeset, buffer), 0);
    expect_eq(hc_xen_version(XENVER_platform_parameters, &pp), 0);
    expect_eq(pp.virt_start, 0xffff800000000000);
    expect_eq(hc_xen_version(XENVER_get_features, &fi), 0);
    expect_eq(fi.submap >> XENFEAT_writable_page_tables & 1, 0);
    expect_eq(fi.submap >> XENFEAT_auto_translated_physmap & 1, 0);
    expect_eq(fi.submap >> XENFEAT_writable_descriptor_tables & 1, 0);
    expect_eq(fi.submap >> XENFEAT_mmu_pt_update_preserve_ad & 1, 1);
    expect_eq(fi.submap >> XENFEAT_dom0 & 1, 1);
    expect_eq(fi.submap >> XENFEAT_gnttab_map_avail_bits & 1, 1);
    expect_eq(hc_xen_version(XENVER_pagesize, NULL), 4096);
    expect_eq(hc_xen_version(XENVER_guest_handle, buffer), 0);
    expect_eq(hc_xen_version(XENVER_commandline, buffer), 0);
    expect(strncmp(buffer, "com1=115200", 11) == 0);
}

static void check_refusals(void)
{
    struct xen_feature_info fi = {.submap_idx = 1};
    long len = hc_xen_version(XENVER_build_id, NULL);

    expect_eq(hc_xen_version(XENVER_get_features, &fi), -XEN_EINVAL);
    expect_eq(hc_xen_version(XENVER_pagesize, buffer), -XEN_EINVAL);
    expect_eq(hc_xen_version(11, buffer), -XEN_ENOSYS);
    expect_eq(hc_xen_version(-1, buffer), -XEN_ENOSYS);
    expect_eq(hc_xen_version(0x7fffffff, NULL), -XEN_ENOSYS);
    if (len > 0) {
        struct xen_build_id *id = (void *)buffer;

        id->len = 0;
        expect_eq(hc_xen_version(XENVER_build_id, id), -XEN_EINVAL);
        id->len = 1;
        expect_eq(hc_xen_version(XENVER_build_id, id), -XEN_ENOBUFS);
        id->len = 64;
        expect_eq(hc_xen_version(XENVER_build_id, id), len);
    } else {
        expect_eq(len, -XEN_ENODATA);
    }
}

static void check_pointer(const void *p)
{
    static const int cmds[] = {XENVER_extraversion, XENVER_compile_info,        XENVER_capabilities,
                               XENVER_changeset,    XENVER_platform_parameters, XENVER_get_features,
                               XENVER_guest_handle, XENVER_commandline};

    for (unsigned int i = 0; i < sizeof(cmds) / sizeof(*cmds); i++) {
        long ret = hc_xen_version(cmds[i], p);

        if (ret != -XEN_EFAULT)
            expect_failed("sub-operation %d on %p gives %ld", cmds[i], p, ret);
    }
}

/* The answer ends where it should, also at the end of a page whose successor is absent. */
static void check_edges(void)
{
    char *page = page_alloc(), *hole = hole_alloc();

    need_eq(hole - page, PAGE_SIZE);
    memset(page, 0x5a, PAGE_SIZE);
    expect_eq(hc_xen_version(XENVER_extraversion, hole - 16), 0);
    expect_eq(hole[-17], 0x5a);
    expect_eq(hc_xen_version(XENVER_extraversion, hole - 15), -XEN_EFAULT);
    need_eq(page_set_ro(page), 0);
    expect_eq(hc_xen_version(XENVER_extraversion, page), -XEN_EFAULT);
}

void test_main(void)
{
    check_answers();
    check_refusals();
    check_pointer(hole_alloc());
    check_pointer((void *)0xffff800000000000);
    check_pointer((void *)0xffff82d080200000);
    check_pointer((void *)0xffff87fffffff000);
    check_pointer((void *)0xffff830000000000);
    check_pointer((void *)0x8000000000000000);
    check_pointer((void *)0x0000800000000000);
    check_pointer((void *)8);
    check_pointer((void *)0xfffffffffffffff8);
    check_edges();
    test_pass();
}
