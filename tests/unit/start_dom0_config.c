/* SPDX-License-Identifier: MIT */
/* start/dom0_config: every form of dom0_mem and dom0_max_vcpus, what is refused, and the sizes that
 * come out of it on a machine of 1 GiB. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "machine.h"
#include "base/param.h"
#include "boot/boot_info.h"
#include "memory/buddy.h"
#include "start/dom0.h"

#define MIB(n) ((uint64_t)(n) << 8) /* in frames */

static struct dom0 *b;

/* A machine; domain 0 can have `avail` of it. What the last test gave on the command line holds
 * on: each test says all it needs. */
static uint64_t machine(size_t mib, unsigned cpus)
{
    uint64_t frames;

    host_machine_init(mib << 20, cpus);
    host_memory_init();
    host_log();
    free(b);
    b = calloc(1, sizeof(*b));
    assert_non_null(b);
    frames = buddy_free_frames();
    return frames - min(frames / 16, MIB(128));
}

static uint64_t size(const char *line)
{
    param_parse(line);
    dom0_size(b);
    return b->nr_pages;
}

static bool logged(const char *what)
{
    return strstr(host_log(), what) != NULL;
}

/* The first test: nothing was given yet. */
static void no_options(void **state)
{
    uint64_t avail = machine(1024, 3);

    dom0_size(b);
    assert_int_equal(b->nr_pages, avail);
    assert_int_equal(avail, MIB(1023) - MIB(1023) / 16);
    assert_int_equal(b->max_pages, ~0ull >> PAGE_SHIFT);
    assert_int_equal(dom0_vcpus(), 3);
    avail = machine(8192, 1); /* no more than 128 MiB are kept */
    dom0_size(b);
    assert_int_equal(b->nr_pages, MIB(8191 - 128));
    /* The initial RAM disk's frames are domain 0's and are not free. */
    struct boot_module initrd = {.start = 0x1000, .end = 0x1000 + 5000};

    avail = machine(1024, 1);
    b->initrd = &initrd;
    dom0_size(b);
    assert_int_equal(b->nr_pages, avail + 2);
    assert_string_equal(host_log(), "");
}

static void vcpus(void **state)
{
    static const struct {
        const char *line;
        unsigned with_1, with_8;
    } cases[] = {
        {"dom0_max_vcpus=4", 4, 4},      {"dom0_max_vcpus=1", 1, 1},
        {"dom0_max_vcpus=2-4", 2, 4},    {"dom0_max_vcpus=2-", 2, 8},
        {"dom0_max_vcpus=0x10", 16, 16}, {"dom0_max_vcpus=128", 128, 128},
        {"dom0_max_vcpus=1-128", 1, 8},
    };

    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
        machine(64, 1);
        param_parse(cases[i].line);
        assert_string_equal(host_log(), "");
        assert_int_equal(dom0_vcpus(), cases[i].with_1);
        machine(64, 8);
        assert_int_equal(dom0_vcpus(), cases[i].with_8);
    }
}

static void bad_vcpus(void **state)
{
    static const char *const bad[] = {"0",
                                      "0-4",
                                      "4-2",
                                      "129",
                                      "1-129",
                                      "",
                                      "-4",
                                      "x",
                                      "4x",
                                      "2-x",
                                      "2-4-6",
                                      "2,4",
                                      " 3",
                                      "+3",
                                      "2 - 4x",
                                      "4294967297",
                                      "18446744073709551617"};

    machine(64, 8);
    param_parse("dom0_max_vcpus=3");
    for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
        char line[80];

        host_log();
        snprintf(line, sizeof(line), "dom0_max_vcpus=\"%s\"", bad[i]);
        param_parse(line);
        assert_true(logged("bad value"));
        assert_int_equal(dom0_vcpus(), 3);
    }
    param_parse("dom0_max_vcpus");
    assert_int_equal(dom0_vcpus(), 3);
}

static void sizes(void **state)
{
    uint64_t avail = machine(1024, 1);

    assert_int_equal(size("dom0_mem=256M"), MIB(256));
    assert_int_equal(size("dom0_mem=262144"), MIB(256)); /* KiB */
    assert_int_equal(size("dom0_mem=0x40000k"), MIB(256));
    assert_int_equal(size("dom0_mem=268435456B"), MIB(256));
    assert_int_equal(size("dom0_mem=268439551b"), MIB(256)); /* a part of a frame is none */
    assert_int_equal(size("dom0_mem=-256M"), avail - MIB(256));
    assert_int_equal(b->max_pages, ~0ull >> PAGE_SHIFT);
    assert_string_equal(host_log(), "");
    /* More than is free, less than there is: what there is. */
    assert_int_equal(size("dom0_mem=1000M"), avail);
    assert_true(logged("are not there"));
}

static void least_and_most(void **state)
{
    uint64_t avail = machine(1024, 1);

    assert_int_equal(size("dom0_mem=128M,min:256M,max:512M"), MIB(256));
    assert_int_equal(b->max_pages, MIB(512));
    assert_int_equal(size("dom0_mem=min:100M,max:300M,700M"), MIB(300));
    assert_int_equal(b->max_pages, MIB(300));
    /* What is given again replaces what was, the rest stays. */
    assert_int_equal(size("dom0_mem=200M"), MIB(200));
    assert_int_equal(size("dom0_mem=min:400M"), MIB(300));
    assert_int_equal(size("dom0_mem=min:1M,max:-100M dom0_mem=10G-"),
                     MIB(200)); /* the 2nd is bad */
    assert_true(logged("bad value"));
    assert_int_equal(b->max_pages, avail - MIB(100));
    assert_int_equal(size("dom0_mem=min:-1M,max:2048M"), avail - MIB(1));
    assert_int_equal(b->max_pages, MIB(2048));
    assert_int_equal(size("dom0_mem=300M,min:1M,max:100T"), MIB(300));
}

static void bad_sizes(void **state)
{
    static const char *const bad[] = {
        "x",        "1Q",    "--1M",       "min:", "max:,1M", "1M,,2M", "1M 2M",
        "Min:1M",   "1M;2M", "min:max:1M", "1MM",  "-",       ",",      "99999999999999999999",
        "16777216T"};

    machine(1024, 1);
    assert_int_equal(size("dom0_mem=333M,min:1M,max:100T"), MIB(333));
    for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
        char line[80];

        host_log();
        snprintf(line, sizeof(line), "dom0_mem=\"%s\"", bad[i]);
        assert_int_equal(size(line), MIB(333));
        if (!logged("bad value"))
            fail_msg("taken: %s", line);
        /* Nothing of a bad value is taken. */
        snprintf(line, sizeof(line), "dom0_mem=\"128M,max:256M,%s\"", bad[i]);
        assert_int_equal(size(line), MIB(333));
    }
    /* No size at all. */
    static const char *const none[] = {"dom0_mem", "dom0_mem=", "no-dom0_mem", "no-dom0_mem=1G"};

    for (unsigned i = 0; i < ARRAY_SIZE(none); i++) {
        host_log();
        assert_int_equal(size(none[i]), MIB(333));
        if (!logged("bad value"))
            fail_msg("taken: %s", none[i]);
    }
}

static void too_little(void **state)
{
    machine(1024, 1);
    param_parse("dom0_mem=1T,min:1M,max:100T");
    assert_true(host_panics(dom0_size(b)));
    assert_true(logged("too little memory: dom0_mem asks for"));
    param_parse("dom0_mem=63M");
    assert_true(host_panics(dom0_size(b)));
    assert_true(logged("needs 64 at the least"));
    param_parse("dom0_mem=-2000M"); /* all but more than all */
    assert_true(host_panics(dom0_size(b)));
    param_parse("dom0_mem=512M,max:10M");
    assert_true(host_panics(dom0_size(b)));
    param_parse("dom0_mem=0,max:0");
    assert_true(host_panics(dom0_size(b)));
    assert_int_equal(size("dom0_mem=64M,max:64M"), MIB(64));
    machine(48, 1);
    assert_true(host_panics(dom0_size(b)));
    host_log();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_options), cmocka_unit_test(vcpus),          cmocka_unit_test(bad_vcpus),
        cmocka_unit_test(sizes),      cmocka_unit_test(least_and_most), cmocka_unit_test(bad_sizes),
        cmocka_unit_test(too_little),
    };

    return cmocka_run_group_tests_name("start_dom0_config", tests, NULL, NULL);
}
