/* SPDX-License-Identifier: MIT */
/* hypercall/hypfs: who may call, every node of the tree, lists that link up, options read and set,
 * room that is too small, and paths and values that are none. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include <xen/hypfs.h>
#include "guest.h"
#include "base/log.h"
#include "hypercall/control.h"

#define PATH_PAGE 0
#define DATA_PAGE 1

static struct guest *dom0, *domu;

static int set_up(void **state)
{
    guest_machine(2);
    dom0 = guest_new(0, 2, true);
    domu = guest_new(5, 1, false);
    guest_be(dom0, 0);
    return 0;
}

static int tear_down(void **state)
{
    guest_kill(dom0);
    guest_kill(domu);
    return 0;
}

static long read_room(const char *path, uint64_t room)
{
    strcpy(guest_page(dom0, PATH_PAGE), path);
    memset(guest_page(dom0, DATA_PAGE), 0xee, PAGE_SIZE);
    return hypfs_op(XEN_HYPFS_OP_read, guest_va(PATH_PAGE), strlen(path) + 1, guest_va(DATA_PAGE),
                    room);
}

static const struct xen_hypfs_direntry *entry(void)
{
    return guest_page(dom0, DATA_PAGE);
}

static const char *text(const char *path)
{
    assert_int_equal(read_room(path, PAGE_SIZE), 0);
    assert_int_equal(entry()->type, XEN_HYPFS_TYPE_STRING);
    assert_int_equal(entry()->encoding, XEN_HYPFS_ENC_PLAIN);
    assert_int_equal(entry()->content_len, strlen((const char *)(entry() + 1)) + 1);
    return (const char *)(entry() + 1);
}

static long put(const char *path, const char *value, uint64_t len)
{
    strcpy(guest_page(dom0, PATH_PAGE), path);
    memcpy(guest_page(dom0, DATA_PAGE), value, len);
    return hypfs_op(XEN_HYPFS_OP_write_contents, guest_va(PATH_PAGE), strlen(path) + 1,
                    guest_va(DATA_PAGE), len);
}

static void who_and_which(void **state)
{
    assert_int_equal(hypfs_op(XEN_HYPFS_OP_get_version, 0, 0, 0, 0), 1);
    assert_int_equal(hypfs_op(XEN_HYPFS_OP_get_version, 0, 1, 0, 0), -EINVAL);
    assert_int_equal(hypfs_op(7, 0, 0, 0, 0), -EOPNOTSUPP);
    guest_be(domu, 0);
    assert_int_equal(hypfs_op(XEN_HYPFS_OP_get_version, 0, 0, 0, 0), -EPERM);
    assert_int_equal(hypfs_op(XEN_HYPFS_OP_read, 0, 0, 0, 0), -EPERM);
}

/* Every node below `path` can be read, and what its directory says of it is so. Counts them. */
static unsigned walk(const char *path)
{
    uint8_t copy[PAGE_SIZE];
    char below[256];
    unsigned nodes = 0;
    struct xen_hypfs_direntry dir;

    assert_int_equal(read_room(*path ? path : "/", PAGE_SIZE), 0);
    dir = *entry();
    memcpy(copy, entry() + 1, dir.content_len);
    assert_int_equal(dir.type, XEN_HYPFS_TYPE_DIR);
    for (uint32_t at = 0; at < dir.content_len;) {
        struct xen_hypfs_dirlistentry *e = (void *)(copy + at);

        snprintf(below, sizeof(below), "%s/%s", path, e->name);
        assert_int_equal(read_room(below, PAGE_SIZE), 0);
        assert_memory_equal(entry(), &e->e, sizeof(e->e));
        nodes += 1 + (e->e.type == XEN_HYPFS_TYPE_DIR ? walk(below) : 0);
        if (!e->off_next)
            break;
        at += e->off_next;
        assert_true(at + offsetof(struct xen_hypfs_dirlistentry, name) < dir.content_len);
    }
    return nodes;
}

static void tree(void **state)
{
    assert_true(walk("") >= 15);
    assert_int_equal(read_room("/buildinfo/version/major", PAGE_SIZE), 0);
    assert_int_equal(entry()->type, XEN_HYPFS_TYPE_UINT);
    assert_int_equal(entry()->content_len, 4);
    assert_int_equal(*(const uint32_t *)(entry() + 1), 4);
    assert_string_equal(text("/cpupool/0/sched-gran"), "cpu");
    assert_int_equal(read_room("/nothing", PAGE_SIZE), -ENOENT);
    assert_int_equal(read_room("/params/loglvl/x", PAGE_SIZE), -ENOENT);
    assert_int_equal(read_room("/param", PAGE_SIZE), -ENOENT);
    assert_int_equal(read_room("params", PAGE_SIZE), -EINVAL);
}

static void options(void **state)
{
    assert_int_equal(put("/params/loglvl", "error/info", 11), 0);
    assert_string_equal(text("/params/loglvl"), "error/info");
    assert_int_equal(put("/params/loglvl", "banana", 7), -EINVAL);
    assert_string_equal(text("/params/loglvl"), "error/info");
    assert_int_equal(put("/params/loglvl", "all", 4), 0);
    assert_string_equal(text("/params/loglvl"), "all/all");
    assert_int_equal(put("/params/guest_loglvl", "none", 5), 0);
    assert_string_equal(text("/params/guest_loglvl"), "none/none");
}

static void values_that_are_none(void **state)
{
    static const char many[PAGE_SIZE];

    assert_int_equal(put("/params/loglvl", "all", 3), -EINVAL);
    assert_int_equal(put("/params/loglvl", "all\0", 5), -EINVAL);
    assert_int_equal(put("/params/loglvl", "", 0), -EINVAL);
    assert_int_equal(put("/params/loglvl", many, 1000), -ENOSPC);
    assert_int_equal(put("/buildinfo/changeset", "x", 2), -EACCES);
    assert_int_equal(put("/params", "x", 2), -EACCES);
    assert_int_equal(put("/params/frobnicate", "1", 2), -ENOENT);
}

static void room(void **state)
{
    const uint32_t head = sizeof(struct xen_hypfs_direntry);

    assert_int_equal(read_room("/cpupool/0/sched-gran", head - 1), -EINVAL);
    assert_int_equal(read_room("/cpupool/0/sched-gran", head + 3), -ENOBUFS);
    assert_int_equal(entry()->content_len, 4);
    assert_int_equal(*(const uint8_t *)(entry() + 1), 0xee);
    assert_int_equal(read_room("/cpupool/0/sched-gran", head + 4), 0);
    assert_int_equal(*((const uint8_t *)(entry() + 1) + 4), 0xee);
}

static void addresses(void **state)
{
    const uint64_t path = guest_va(PATH_PAGE), data = guest_va(DATA_PAGE);

    strcpy(guest_page(dom0, PATH_PAGE), "/params/loglvl");
    assert_int_equal(hypfs_op(XEN_HYPFS_OP_read, HV_VA_START, 5, data, 99), -EFAULT);
    assert_int_equal(hypfs_op(XEN_HYPFS_OP_read, path, 15, HV_VA_START, 99), -EFAULT);
    assert_int_equal(hypfs_op(XEN_HYPFS_OP_write_contents, path, 15, HV_VA_START, 4), -EFAULT);
    assert_int_equal(hypfs_op(XEN_HYPFS_OP_read, path, 0, data, 99), -EINVAL);
    assert_int_equal(hypfs_op(XEN_HYPFS_OP_read, path, 14, data, 99), -EINVAL);
    assert_int_equal(hypfs_op(XEN_HYPFS_OP_read, path, 16, data, 99), -EINVAL);
    assert_int_equal(hypfs_op(XEN_HYPFS_OP_read, path, ~0ul, data, 99), -ENAMETOOLONG);
}

/* Somebody else is in a control operation: the call happens again. */
static void one_at_a_time(void **state)
{
    assert_true(control_enter());
    assert_int_equal(hypfs_op(XEN_HYPFS_OP_read, 1, 2, 3, 4), 0);
    assert_true(current()->continued);
    assert_int_equal(cpu_local()->guest.rax, __HYPERVISOR_hypfs_op);
    assert_int_equal(cpu_local()->guest.r8, 4);
    control_leave();
    current()->continued = false;
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(who_and_which), TEST(tree),      TEST(options),       TEST(values_that_are_none),
        TEST(room),          TEST(addresses), TEST(one_at_a_time),
    };

    return cmocka_run_group_tests_name("hypercall/hypfs", tests, NULL, NULL);
}
