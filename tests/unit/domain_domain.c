/* SPDX-License-Identifier: MIT */
/* domain/domain: made, found, paused, shut down, torn down; memory that runs out at each step
 * leaves nothing behind, and a part that fails or asks to be called again is heard. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "guest.h"
#include "lib/errno.h"
#include "memory/buddy.h"
#include "memory/heap.h"

static unsigned changes, machine_stops, inits, frees, releases;
static int init_rc, again;

static int part_init(struct domain *d, const struct domain_config *c)
{
    inits++;
    return init_rc;
}

static int part_release(struct domain *d)
{
    releases++;
    return again && again-- ? -ERESTART : 0;
}

static void part_free(struct domain *d)
{
    frees++;
}

static const struct domain_part part = {.name = "test",
                                        .domain_init = part_init,
                                        .domain_release = part_release,
                                        .domain_free = part_free};

static void changed(void)
{
    changes++;
}

static void machine_stop(uint8_t code)
{
    machine_stops++;
}

static int fresh(void **state)
{
    guest_machine(2);
    domain_parts[4] = &part;
    domain_state_changed = changed;
    domain_machine_shutdown = machine_stop;
    changes = machine_stops = inits = frees = releases = 0;
    init_rc = again = 0;
    host_log();
    return 0;
}

static struct domain_config config(domid_t id, uint32_t vcpus)
{
    return (struct domain_config){.id = id,
                                  .max_vcpus = vcpus,
                                  .max_evtchn_port = 1023,
                                  .max_grant_frames = 4,
                                  .max_maptrack_frames = 4,
                                  .max_grant_version = 2};
}

static struct domain *make(domid_t id, uint32_t vcpus)
{
    struct domain_config c = config(id, vcpus);
    struct domain *d = NULL;
    struct vcpu *v;

    assert_int_equal(domain_create(&c, &d), 0);
    for (unsigned i = 0; i < vcpus; i++)
        assert_int_equal(vcpu_create(d, i, &v), 0);
    return d;
}

static void end(struct domain *d)
{
    int rc;

    do {
        rc = domain_destroy(d);
        softirq_run();
    } while (rc == -ERESTART);
    assert_int_equal(rc, 0);
}

static void found_in_order(void **state)
{
    static const domid_t ids[] = {5, 1, 9, 3};
    struct domain *d[4], *other = NULL, *each;
    struct domain_config c = config(3, 1);
    unsigned n = 0;

    for (unsigned i = 0; i < 4; i++)
        d[i] = make(ids[i], 1);
    for_each_domain (each) {
        static const domid_t order[] = {1, 3, 5, 9};

        assert_int_equal(each->id, order[n++]);
    }
    assert_int_equal(n, 4);
    assert_int_equal(domain_create(&c, &other), -EEXIST);
    assert_null(other);
    assert_int_equal(inits, frees + 4);
    frees = 0;
    assert_null(domain_get(4));
    assert_null(domain_get(DOMID_IO));
    each = domain_get(9);
    assert_ptr_equal(each, d[2]);
    assert_int_equal(each->refs, 2);
    end(each);
    assert_null(domain_get(9)); /* not found, but there until the last reference goes */
    assert_int_equal(frees, 0);
    domain_put(each);
    assert_int_equal(frees, 1);
    for (unsigned i = 0; i < 4; i++)
        if (ids[i] != 9)
            end(d[i]);
    assert_true(list_empty(&domain_list));
}

/* The one whose turn it is may end, and others come and go, while the walk goes on. */
static void a_walk_outlives_its_domains(void **state)
{
    struct domain *d[4], *each;
    unsigned n = 0;

    for (domid_t i = 0; i < 4; i++)
        d[i] = make(i * 10 + 1, 1);
    for_each_domain (each) {
        static const domid_t order[] = {1, 11, 21, 25};

        assert_int_equal(each->id, order[n++]);
        if (each->id == 11) {
            end(d[1]); /* it is out of the list, and there until the walk lets go */
            assert_int_equal(frees, 0);
        }
        if (each->id == 21) {
            assert_int_equal(frees, 1);
            end(d[3]);
            d[3] = make(25, 1);
        }
    }
    assert_int_equal(n, 4);
    assert_int_equal(frees, 2);
    for_each_domain (each)
        assert_int_equal(each->refs, 2);
    end(d[0]);
    end(d[2]);
    end(d[3]);
    assert_true(list_empty(&domain_list));
}

/* A queued task was once the only one who knew the domain. */
static void the_task_keeps_the_domain(void **state)
{
    struct domain *d = make(1, 1);

    assert_int_equal(domain_destroy(d), 0);
    assert_int_equal(d->refs, 2); /* the list's, the task's */
    host_cpu_select(1);
    d->memory.ops->empty(&d->memory); /* queued on the other CPU: nothing to do here */
    assert_int_equal(d->refs, 2);
    assert_int_equal(cpu_local()->work & BIT(SOFTIRQ_TASK), 0);
    host_cpu_select(0);
    assert_int_equal(frees, 0);
    softirq_run();
    assert_int_equal(frees, 1);
    assert_true(list_empty(&domain_list));
}

/* Nobody who met an empty owner brings back one that is being freed. */
static void no_task_for_the_freed(void **state)
{
    struct domain *d = make(1, 1);

    d->refs = 0;
    d->memory.ops->empty(&d->memory);
    assert_int_equal(d->refs, 0);
    assert_int_equal(cpu_local()->work & BIT(SOFTIRQ_TASK), 0);
    d->refs = 1;
    end(d);
}

static void bad_configurations(void **state)
{
    static const uint32_t bad[] = {0, MAX_VCPUS + 1, ~0u};
    struct domain *d = NULL;
    struct vcpu *v, *again_v;

    for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
        struct domain_config c = config(1, bad[i]);

        assert_int_equal(domain_create(&c, &d), -EINVAL);
    }
    init_rc = -EPERM;
    struct domain_config c = config(1, 1);
    assert_int_equal(domain_create(&c, &d), -EPERM);
    assert_int_equal(inits, frees);
    assert_null(domain_get(1));
    init_rc = 0;
    d = make(1, MAX_VCPUS);
    assert_int_equal(vcpu_create(d, MAX_VCPUS, &v), -EINVAL);
    assert_int_equal(vcpu_create(d, ~0u, &v), -EINVAL);
    assert_int_equal(vcpu_create(d, 7, &again_v), 0);
    assert_ptr_equal(again_v, d->vcpu[7]);
    assert_non_null(d->vcpu[LEGACY_VCPUS - 1]->info);
    assert_null(d->vcpu[LEGACY_VCPUS]->info);
    end(d);
}

/* With n frames there is enough at some n; below it all comes back. */
static void no_memory(void **state)
{
    static mfn_t held[16384];
    unsigned n = 0, made = 0;

    while (!buddy_alloc(0, 0, &held[n]))
        n++;
    for (unsigned give = 0; give < 400 && made < 3; give++) {
        struct domain_config c = config(1, 4);
        struct domain *d = NULL;
        struct vcpu *v;
        uint64_t all;
        int rc;

        buddy_free(held[--n], 0);
        all = buddy_free_frames() + heap_frames();
        rc = domain_create(&c, &d);
        if (!rc)
            for (unsigned i = 0; i < 4 && !rc; i++)
                rc = vcpu_create(d, i, &v);
        assert_true(rc == 0 || rc == -ENOMEM);
        made += !rc;
        if (d)
            end(d);
        assert_int_equal(buddy_free_frames() + heap_frames(), all);
        assert_true(list_empty(&domain_list));
    }
    assert_int_equal(made, 3);
}

static void pause_is_counted(void **state)
{
    struct domain *d = make(1, 2);

    assert_int_equal(d->pause_count, 1);
    vcpu_pause_clear(d->vcpu[0], VCPU_DOWN_BIT);
    assert_false(d->vcpu[0]->unit.runnable);
    domain_pause(d);
    assert_int_equal(domain_unpause(d), 0);
    assert_false(d->vcpu[0]->unit.runnable);
    assert_int_equal(domain_unpause(d), 0);
    assert_true(d->vcpu[0]->unit.runnable);
    assert_false(d->vcpu[1]->unit.runnable); /* not up */
    assert_int_equal(domain_unpause(d), -EINVAL);
    assert_int_equal(d->pause_count, 0);
    domain_pause(d);
    assert_false(d->vcpu[0]->unit.runnable);
    end(d);
}

static void shutdown_is_final(void **state)
{
    struct domain *d = make(1, 1);

    vcpu_pause_clear(d->vcpu[0], VCPU_DOWN_BIT);
    assert_int_equal(domain_unpause(d), 0);
    domain_shutdown(d, SHUTDOWN_reboot);
    domain_shutdown(d, SHUTDOWN_poweroff);
    assert_int_equal(d->shutdown_code, SHUTDOWN_reboot); /* the first counts */
    assert_int_equal(changes, 1);
    assert_int_equal(machine_stops, 0);
    domain_pause(d);
    assert_int_equal(domain_unpause(d), 0);
    assert_false(d->vcpu[0]->unit.runnable); /* unpause does not bring it back */
    domain_crash(d, "after %s", "the end");
    assert_int_equal(d->shutdown_code, SHUTDOWN_reboot);
    end(d);
}

static void crash(void **state)
{
    struct domain *d = make(7, 1);

    domain_crash(d, "because of %u", 42u);
    assert_true(d->shut_down);
    assert_int_equal(d->shutdown_code, SHUTDOWN_crash);
    assert_non_null(strstr(host_log(), "domain 7 crashed on vCPU 0: because of 42"));
    end(d);
    d = make(8, 1);
    d->hardware = true;
    domain_shutdown(d, SHUTDOWN_poweroff);
    assert_int_equal(machine_stops, 1);
    end(d);
}

static void destroy_in_steps(void **state)
{
    struct domain *d = make(1, 1);
    unsigned calls = 1;

    again = 5;
    while (domain_destroy(d) == -ERESTART)
        calls++;
    assert_int_equal(calls, 6);
    assert_int_equal(releases, 6);
    assert_int_equal(frees, 0);
    softirq_run();
    assert_int_equal(frees, 1);
    assert_null(domain_get(1));
}

/* A frame that somebody still holds keeps the dead domain, and its number, until it is let go. */
static void a_frame_outlives_it(void **state)
{
    struct domain *d = make(1, 1);
    struct domain_config c = config(1, 1);
    struct domain *other;
    mfn_t m;

    d->memory.max_pages = 10;
    assert_int_equal(frame_alloc(&d->memory, 0, 0, &m), 0);
    assert_int_equal(frame_get(m, &d->memory), 0);
    end(d);
    assert_int_equal(d->state, DOMAIN_DEAD);
    assert_int_equal(domain_destroy(d), 0); /* again is nothing */
    softirq_run();
    assert_int_equal(frees, 0);
    assert_int_equal(domain_create(&c, &other), -EEXIST);
    assert_int_equal(inits, frees + 1);
    frame_put(m);
    softirq_run();
    assert_int_equal(inits, frees);
    assert_null(domain_get(1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(found_in_order, fresh),
        cmocka_unit_test_setup(a_walk_outlives_its_domains, fresh),
        cmocka_unit_test_setup(the_task_keeps_the_domain, fresh),
        cmocka_unit_test_setup(no_task_for_the_freed, fresh),
        cmocka_unit_test_setup(bad_configurations, fresh),
        cmocka_unit_test_setup(no_memory, fresh),
        cmocka_unit_test_setup(pause_is_counted, fresh),
        cmocka_unit_test_setup(shutdown_is_final, fresh),
        cmocka_unit_test_setup(crash, fresh),
        cmocka_unit_test_setup(destroy_in_steps, fresh),
        cmocka_unit_test_setup(a_frame_outlives_it, fresh),
    };

    return cmocka_run_group_tests_name("domain_domain", tests, NULL, NULL);
}
