/* SPDX-License-Identifier: MIT */
/* The sub-operations of the grant_table_op hypercall. Public grant_table.h; ABI.md 2.9.
 *
 * The call fails only if the guest's array cannot be read or written, or makes no sense as a whole:
 * kernels treat that as their own bug. What is wrong with one element goes into its status. */
#include "grant/table.h"
#include "domain/continuation.h"
#include "domain/guest_copy.h"
#include "lib/string.h"
#include "memory/layout.h"

/* Elements between two looks at whether something else should run. */
#define PREEMPT_ELEMENTS 16u

/* Runs a function on each element of the guest's array; its result is an errno. */
static long each(uint32_t cmd, uint64_t uop, uint32_t count, size_t size,
                 int (*fn)(struct domain *d, uint64_t va))
{
    struct domain *d = current()->domain;

    for (uint32_t i = 0; i < count; i++) {
        int rc;

        if (i && i % PREEMPT_ELEMENTS == 0 && hypercall_preempt())
            return hypercall_continue_with(__HYPERVISOR_grant_table_op, cmd, uop + i * size,
                                           count - i);
        rc = fn(d, uop + i * size);
        if (rc)
            return rc;
    }
    return 0;
}

static int write_status(uint64_t va, size_t offset, int status)
{
    int16_t s = (int16_t)status;

    return guest_write(va + offset, &s, sizeof(s));
}

/* ---- frames ---- */

static int map_one(struct domain *d, uint64_t va)
{
    struct gnttab_map_grant_ref a;

    if (guest_read(&a, va, sizeof(a)))
        return -EFAULT;
    grant_map_one(d, &a);
    return guest_write(va, &a, sizeof(a));
}

static int copy_one(struct domain *d, uint64_t va)
{
    struct gnttab_copy a;

    if (guest_read(&a, va, sizeof(a)))
        return -EFAULT;
    return write_status(va, offsetof(struct gnttab_copy, status), grant_copy_one(d, &a));
}

static int transfer_one(struct domain *d, uint64_t va)
{
    struct gnttab_transfer a;

    if (guest_read(&a, va, sizeof(a)))
        return -EFAULT;
    return write_status(va, offsetof(struct gnttab_transfer, status), grant_transfer_one(d, &a));
}

static long op_map(uint32_t cmd, uint64_t uop, uint32_t count)
{
    return each(cmd, uop, count, sizeof(struct gnttab_map_grant_ref), map_one);
}

static long op_unmap(uint32_t cmd, uint64_t uop, uint32_t count)
{
    return grant_unmap_batch(uop, count);
}

static long op_replace(uint32_t cmd, uint64_t uop, uint32_t count)
{
    return grant_replace_batch(uop, count);
}

static long op_copy(uint32_t cmd, uint64_t uop, uint32_t count)
{
    return each(cmd, uop, count, sizeof(struct gnttab_copy), copy_one);
}

static long op_transfer(uint32_t cmd, uint64_t uop, uint32_t count)
{
    return each(cmd, uop, count, sizeof(struct gnttab_transfer), transfer_one);
}

/* ---- the table ---- */

static int one_only(const char *what maybe_unused, uint32_t count)
{
    return count == 1 ? 0 : refuse(-EINVAL, "grant table operation on %u elements", count);
}

/* GNTST_*; frames come back in the guest's list, or -EFAULT in *rc. */
static int setup(struct domain *d, const struct gnttab_setup_table *a, int *rc)
{
    struct gnttab *t = d->grants;

    if (d->p2m) {
        refuse(-EOPNOTSUPP, "grant table: domain %u puts its frames where it likes", d->id);
        return GNTST_general_error;
    }
    if (a->nr_frames > t->max_frames) {
        refuse(-EINVAL, "grant table: %u frames, limit %u", a->nr_frames, t->max_frames);
        return GNTST_general_error;
    }
    for (uint32_t i = 0; i < a->nr_frames; i++) {
        mfn_t m;

        if (grant_frame(d, false, i, &m))
            return GNTST_general_error;
        *rc = guest_write_at(handle_va(a->frame_list), i, &m.n);
        if (*rc)
            return GNTST_bad_virt_addr;
    }
    return GNTST_okay;
}

static long op_setup_table(uint32_t cmd, uint64_t uop, uint32_t count)
{
    struct gnttab_setup_table a;
    struct domain *d;
    int rc = one_only("setup", count), fault = 0;

    if (rc)
        return rc;
    if (guest_read(&a, uop, sizeof(a)))
        return -EFAULT;
    rc = grant_domain(a.dom, &d);
    if (!rc) {
        rc = setup(d, &a, &fault);
        domain_put(d);
    }
    if (fault)
        return fault;
    a.status = (int16_t)rc;
    return guest_write(uop, &a, sizeof(a));
}

static long op_query_size(uint32_t cmd, uint64_t uop, uint32_t count)
{
    struct gnttab_query_size a;
    struct domain *d;
    int rc = one_only("query", count);

    if (rc)
        return rc;
    if (guest_read(&a, uop, sizeof(a)))
        return -EFAULT;
    rc = grant_domain(a.dom, &d);
    if (!rc) {
        a.nr_frames = read_once(d->grants->frames);
        a.max_nr_frames = d->grants->max_frames;
        domain_put(d);
    }
    a.status = (int16_t)rc;
    return guest_write(uop, &a, sizeof(a));
}

static int status_list(struct domain *d, const struct gnttab_get_status_frames *a, int *rc)
{
    struct gnttab *t = d->grants;
    int status = GNTST_okay;

    if (d->p2m || read_once(t->version) != 2 || a->nr_frames > read_once(t->status_frames)) {
        refuse(-EINVAL, "grant table: %u status frames, version %u has %u", a->nr_frames,
               t->version, t->status_frames);
        return GNTST_general_error;
    }
    for (uint32_t i = 0; i < a->nr_frames && !status; i++) {
        mfn_t m;

        if (grant_frame(d, true, i, &m))
            status = GNTST_general_error;
        else if ((*rc = guest_write_at(handle_va(a->frame_list), i, &m.n)) != 0)
            status = GNTST_bad_virt_addr;
    }
    return status;
}

static long op_get_status_frames(uint32_t cmd, uint64_t uop, uint32_t count)
{
    struct gnttab_get_status_frames a;
    struct domain *d;
    int rc = one_only("status frames", count), fault = 0;

    if (rc)
        return rc;
    if (guest_read(&a, uop, sizeof(a)))
        return -EFAULT;
    rc = grant_domain(a.dom, &d);
    if (!rc) {
        rc = status_list(d, &a, &fault);
        domain_put(d);
    }
    if (fault)
        return fault;
    a.status = (int16_t)rc;
    return guest_write(uop, &a, sizeof(a));
}

static long op_set_version(uint32_t cmd, uint64_t uop, uint32_t count)
{
    struct gnttab_set_version a;
    int rc = one_only("set version", count);

    if (rc)
        return rc;
    if (guest_read(&a, uop, sizeof(a)))
        return -EFAULT;
    rc = grant_change_version(current()->domain, a.version);
    a.version = current()->domain->grants->version;
    return guest_write(uop, &a, sizeof(a)) ? -EFAULT : rc;
}

static long op_get_version(uint32_t cmd, uint64_t uop, uint32_t count)
{
    struct gnttab_get_version a;
    struct domain *d;
    int rc = one_only("get version", count);

    if (rc)
        return rc;
    if (guest_read(&a, uop, sizeof(a)))
        return -EFAULT;
    rc = grant_domain(a.dom, &d);
    if (rc)
        return rc == GNTST_bad_domain ? -ESRCH : -EPERM;
    a.version = d->grants->version;
    domain_put(d);
    return guest_write(uop, &a, sizeof(a));
}

static long op_dump_table(uint32_t cmd, uint64_t uop, uint32_t count)
{
    struct gnttab_dump_table a;
    struct domain *d;
    int rc = one_only("dump", count);

    if (rc)
        return rc;
    if (guest_read(&a, uop, sizeof(a)))
        return -EFAULT;
    if (!current()->domain->privileged) {
        a.status = GNTST_permission_denied; /* the console is not every guest's */
        return guest_write(uop, &a, sizeof(a));
    }
    rc = grant_domain(a.dom, &d);
    if (!rc) {
        grant_dump(d);
        domain_put(d);
    }
    a.status = (int16_t)rc;
    return guest_write(uop, &a, sizeof(a));
}

/* ---- swap ---- */

static int swap(struct gnttab *t, uint32_t a, uint32_t b)
{
    const struct active *aa, *ab;

    if (a >= grant_count(t) || b >= grant_count(t)) {
        refuse(-EINVAL, "grant swap: %u and %u beyond the table of %u", a, b, grant_count(t));
        return GNTST_bad_gntref;
    }
    a = (uint32_t)index_nospec(a, grant_count(t));
    b = (uint32_t)index_nospec(b, grant_count(t));
    aa = active_at(t, a);
    ab = active_at(t, b);
    if (a == b)
        return GNTST_okay;
    if (aa->readers || aa->writers || ab->readers || ab->writers) {
        refuse(-EAGAIN, "grant swap: %u or %u is in use", a, b);
        return GNTST_eagain;
    }
    if (t->version == 1) {
        struct grant_entry_v1 x = *entry_v1(t, a);

        *entry_v1(t, a) = *entry_v1(t, b);
        *entry_v1(t, b) = x;
    } else {
        union grant_entry_v2 x = *entry_v2(t, a);

        *entry_v2(t, a) = *entry_v2(t, b);
        *entry_v2(t, b) = x;
    }
    return GNTST_okay;
}

static int swap_one(struct domain *d, uint64_t va)
{
    struct gnttab_swap_grant_ref a;
    int status;

    if (guest_read(&a, va, sizeof(a)))
        return -EFAULT;
    lock(&d->grants->lock);
    status = swap(d->grants, a.ref_a, a.ref_b);
    unlock(&d->grants->lock);
    return write_status(va, offsetof(struct gnttab_swap_grant_ref, status), status);
}

static long op_swap(uint32_t cmd, uint64_t uop, uint32_t count)
{
    return each(cmd, uop, count, sizeof(struct gnttab_swap_grant_ref), swap_one);
}

/* Devices see the caches of x86 processors: there is nothing to do once it is asked rightly. */
static int flush_one(struct domain *d, uint64_t va)
{
    const uint32_t known = GNTTAB_CACHE_CLEAN | GNTTAB_CACHE_INVAL | GNTTAB_CACHE_SOURCE_GREF;
    struct gnttab_cache_flush a;

    if (guest_read(&a, va, sizeof(a)))
        return -EFAULT;
    if (a.offset > PAGE_SIZE || a.length > PAGE_SIZE - a.offset || a.op & ~known)
        return refuse(-EINVAL, "grant cache flush: bytes %u and %u more, op %x", a.offset, a.length,
                      a.op);
    if (a.op & GNTTAB_CACHE_SOURCE_GREF)
        return refuse(-EOPNOTSUPP, "grant cache flush: by reference %u", a.a.ref);
    return 0;
}

static long op_cache_flush(uint32_t cmd, uint64_t uop, uint32_t count)
{
    return each(cmd, uop, count, sizeof(struct gnttab_cache_flush), flush_one);
}

static long (*const ops[])(uint32_t cmd, uint64_t uop, uint32_t count) = {
    [GNTTABOP_map_grant_ref] = op_map,       [GNTTABOP_unmap_grant_ref] = op_unmap,
    [GNTTABOP_setup_table] = op_setup_table, [GNTTABOP_dump_table] = op_dump_table,
    [GNTTABOP_transfer] = op_transfer,       [GNTTABOP_copy] = op_copy,
    [GNTTABOP_query_size] = op_query_size,   [GNTTABOP_unmap_and_replace] = op_replace,
    [GNTTABOP_set_version] = op_set_version, [GNTTABOP_get_status_frames] = op_get_status_frames,
    [GNTTABOP_get_version] = op_get_version, [GNTTABOP_swap_grant_ref] = op_swap,
    [GNTTABOP_cache_flush] = op_cache_flush,
};

long grant_table_op(uint32_t cmd, uint64_t uop, uint32_t count)
{
    if (cmd >= ARRAY_SIZE(ops))
        return refuse(-ENOSYS, "grant_table_op %u", cmd);
    if ((int32_t)count < 0)
        return refuse(-EINVAL, "grant_table_op %u on %u elements", cmd, count);
    if (!current()->domain->grants)
        return refuse(-ENOSYS, "domain without a grant table");
    return ops[index_nospec(cmd, ARRAY_SIZE(ops))](cmd, uop, count);
}
