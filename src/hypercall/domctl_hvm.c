/* SPDX-License-Identifier: MIT */
/* domctl: the state of a fully virtual domain as the records of public hvm/save.h. Builders take
 * the header and the memory types from it, change the first vCPU's registers and give them back.
 * Public domctl.h; ABI.md 2.1 and 4.4. */
#include "hypercall/control.h"

#include "base/panic.h"
#include "hvm/hvm.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "memory/heap.h"

#include <xen/hvm/save.h>

/* More than all records of a domain of the most vCPUs. */
#define CONTEXT_MAX (1u << 20)

static int translated(const struct domain *d)
{
    return d->hvm ? 0 : refuse(-EINVAL, "records of domain %u, which is paravirtual", d->id);
}

/* All records in a new buffer. The domain goes on before anybody copies them. */
static int collect(struct domain *d, void **buf, size_t *bytes)
{
    int rc = 0;

    domain_pause(d);
    *bytes = hvm_context_get(d, NULL);
    *buf = heap_alloc(*bytes);
    if (*buf)
        hvm_context_get(d, *buf);
    else
        rc = refuse(-ENOMEM, "no memory for %zu bytes of records", *bytes);
    if (domain_unpause(d))
        BUG();
    return rc;
}

long domctl_gethvmcontext(struct domain *d, struct xen_domctl *op)
{
    struct xen_domctl_hvmcontext *a = &op->u.hvmcontext;
    uint64_t va = handle_va(a->buffer);
    size_t bytes;
    void *buf;
    int rc = translated(d);

    if (!rc)
        rc = collect(d, &buf, &bytes);
    if (rc)
        return rc;
    if (va && a->size < bytes)
        rc = refuse(-ENOSPC, "%zu bytes of records into %u", bytes, a->size);
    else if (va)
        rc = guest_write(va, buf, bytes);
    a->size = (uint32_t)bytes;
    heap_free(buf);
    return rc;
}

long domctl_sethvmcontext(struct domain *d, struct xen_domctl *op)
{
    const struct xen_domctl_hvmcontext *a = &op->u.hvmcontext;
    int rc = translated(d);
    void *buf;

    if (rc)
        return rc;
    if (a->size > CONTEXT_MAX)
        return refuse(-EINVAL, "%u bytes of records", a->size);
    buf = heap_alloc(a->size);
    if (!buf)
        return refuse(-ENOMEM, "no memory for %u bytes of records", a->size);
    if (guest_read(buf, handle_va(a->buffer), a->size)) {
        rc = -EFAULT;
    } else {
        domain_pause(d);
        rc = hvm_context_set(d, buf, a->size);
        if (domain_unpause(d))
            rc = -EINVAL;
    }
    heap_free(buf);
    return rc;
}

/* One record, without its descriptor. */
long domctl_gethvmcontext_partial(struct domain *d, struct xen_domctl *op)
{
    struct xen_domctl_hvmcontext_partial *a = &op->u.hvmcontext_partial;
    const struct hvm_save_descriptor *r = NULL;
    uint64_t va = handle_va(a->buffer);
    size_t bytes;
    void *buf;
    int rc = translated(d);

    if (!rc)
        rc = collect(d, &buf, &bytes);
    if (rc)
        return rc;
    for (size_t at = 0; at < bytes; at += sizeof(*r) + r->length) {
        r = (const void *)((const char *)buf + at);
        if (r->typecode == a->type && r->instance == a->instance)
            break;
    }
    if (!r || r->typecode != a->type || r->instance != a->instance || !a->type)
        rc = refuse(-ENODATA, "no record %u of instance %u", a->type, a->instance);
    else if (va && a->bufsz < r->length)
        rc = refuse(-ENOSPC, "a record of %u bytes into %lu", r->length, a->bufsz);
    else if (va)
        rc = guest_write(va, r + 1, r->length);
    if (!rc)
        a->bufsz = r->length;
    heap_free(buf);
    return rc;
}
