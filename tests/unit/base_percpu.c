/* SPDX-License-Identifier: MIT */
/* base/percpu: each CPU has its own copy, which starts as the master is. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "machine.h"
#include "base/percpu.h"

static DEFINE_PER_CPU(uint64_t, number) = 42;
static DEFINE_PER_CPU(uint8_t, bytes[100]) = {[99] = 7};

static void own_copies(void **state)
{
    host_machine_init(1 << 20, 4);
    for (unsigned i = 0; i < 4; i++) {
        host_cpu_select(i);
        assert_int_equal(cpu_id(), i);
        assert_int_equal(this_cpu(number), 42);
        assert_int_equal((*this_cpu_ptr(bytes))[99], 7);
        this_cpu(number) += i;
        (*this_cpu_ptr(bytes))[99] = (uint8_t)i;
    }
    host_cpu_select(0);
    for (unsigned i = 0; i < 4; i++) {
        assert_int_equal(per_cpu(number, i), 42 + i);
        assert_int_equal((*per_cpu_ptr(bytes, i))[99], i);
    }
    assert_int_equal(percpu_number, 42);
}

static void a_late_cpu(void **state)
{
    size_t size = percpu_size();
    uint8_t *mem = aligned_alloc(64, size + 64);

    assert_non_null(mem);
    assert_true(IS_ALIGNED(size, 64));
    memset(mem, 0xff, size + 64);
    percpu_init(MAX_CPUS - 1, mem);
    assert_int_equal(per_cpu(number, MAX_CPUS - 1), 42);
    assert_true((uint8_t *)per_cpu_ptr(number, MAX_CPUS - 1) >= mem);
    assert_true((uint8_t *)per_cpu_ptr(number, MAX_CPUS - 1) < mem + size);
    assert_int_equal(mem[size], 0xff); /* not beyond its size */
    assert_true(host_panics(percpu_init(MAX_CPUS, mem)));
    assert_true(host_panics(percpu_init(0, mem + 8)));
    host_log();
    free(mem);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(own_copies),
        cmocka_unit_test(a_late_cpu),
    };

    return cmocka_run_group_tests_name("base_percpu", tests, NULL, NULL);
}
