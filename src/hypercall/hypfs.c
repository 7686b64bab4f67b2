/* SPDX-License-Identifier: MIT */
/* The hypervisor's file system: a small tree that domain 0 reads, and in which it sets options
 * (`xenhypfs`, `xl set-parameters`). Nothing is kept: a node is made from what it shows whenever it
 * is asked for. Public hypfs.h. */
#include <xen/hypfs.h>
#include "base/param.h"
#include "domain/guest_copy.h"
#include "hypercall/control.h"
#include "hypercall/version.h"
#include "lib/printf.h"
#include "lib/string.h"
#include "lib/strutil.h"
#include "memory/heap.h"

#define HYPFS_VERSION 1
#define PATH_BYTES    256u
#define NAME_BYTES    32u
#define TEXT_BYTES    128u /* of a string and its end */

struct node {
    char name[NAME_BYTES];
    uint8_t type;               /* XEN_HYPFS_TYPE_DIR, _STRING or _UINT */
    uint32_t number;            /* of _UINT */
    const char *text;           /* of _STRING that does not change */
    const struct param *option; /* of _STRING that may be set */
    /* Of a directory: makes the n-th node in it; false: there are not so many. */
    bool (*entry)(const struct node *dir, unsigned n, struct node *out);
    const struct node *fixed; /* of a directory of fixed_entry */
    unsigned nr_fixed;
};

/* ---- the tree ---- */

static bool fixed_entry(const struct node *dir, unsigned n, struct node *out)
{
    if (n >= dir->nr_fixed)
        return false;
    *out = dir->fixed[n];
    return true;
}

static bool params_entry(const struct node *dir, unsigned n, struct node *out)
{
    const struct param *p = param_runtime(n);

    if (!p)
        return false;
    *out = (struct node){.type = XEN_HYPFS_TYPE_STRING, .option = p};
    strlcpy(out->name, p->name, sizeof(out->name));
    return true;
}

#define STRING(name_, text_)                                            \
    {                                                                   \
        .name = (name_), .type = XEN_HYPFS_TYPE_STRING, .text = (text_) \
    }
#define UINT(name_, number_)                                              \
    {                                                                     \
        .name = (name_), .type = XEN_HYPFS_TYPE_UINT, .number = (number_) \
    }
#define FIXED(name_, list_)                                                                  \
    {                                                                                        \
        .name = (name_), .type = XEN_HYPFS_TYPE_DIR, .entry = fixed_entry, .fixed = (list_), \
        .nr_fixed = ARRAY_SIZE(list_)                                                        \
    }
#define DIRECTORY(name_, entry_)                                       \
    {                                                                  \
        .name = (name_), .type = XEN_HYPFS_TYPE_DIR, .entry = (entry_) \
    }

static const struct node compileinfo[] = {
    STRING("compile_by", VERSION_COMPILE_BY),
    STRING("compile_date", VERSION_COMPILE_DATE),
    STRING("compile_domain", VERSION_COMPILE_DOMAIN),
    STRING("compiler", VERSION_COMPILER),
};

static const struct node version[] = {
    STRING("extra", VERSION_EXTRA),
    UINT("major", VERSION_MAJOR),
    UINT("minor", VERSION_MINOR),
};

static const struct node buildinfo[] = {
    STRING("changeset", VERSION_CHANGESET),
    FIXED("compileinfo", compileinfo),
    FIXED("version", version),
};

/* Of every pool the same. */
static const struct node pool[] = {STRING("sched-gran", "cpu")};
static const struct node pool_by_core[] = {STRING("sched-gran", "core")};

static bool cpupool_entry(const struct node *dir, unsigned n, struct node *out)
{
    const struct sched_pool *p = sched_pool_find(0, false);

    while (p && n--)
        p = sched_pool_find(p->id + 1, false);
    if (!p)
        return false;
    if (sched_threads() > 1)
        *out = (struct node)FIXED("", pool_by_core);
    else
        *out = (struct node)FIXED("", pool);
    fmt_snprintf(out->name, sizeof(out->name), "%u", p->id);
    return true;
}

static const struct node top[] = {
    FIXED("buildinfo", buildinfo),
    DIRECTORY("cpupool", cpupool_entry),
    DIRECTORY("params", params_entry),
};

static const struct node root = FIXED("", top);

/* The node that an absolute path names. */
static int find(const char *path, struct node *out)
{
    *out = root;
    while (*path) {
        struct node dir = *out;
        size_t len = 0;

        while (*path == '/')
            path++;
        while (path[len] && path[len] != '/')
            len++;
        if (!len)
            break;
        for (unsigned n = 0;; n++) {
            if (!dir.entry || !dir.entry(&dir, n, out))
                return refuse(-ENOENT, "hypfs: the path has no part of that name");
            if (strlen(out->name) == len && !strncmp(out->name, path, len))
                break;
        }
        path += len;
    }
    return 0;
}

/* ---- what a node shows ---- */

static uint32_t content(const struct node *node, uint8_t *buf, uint32_t room);

static struct xen_hypfs_direntry describe(const struct node *node, uint32_t len)
{
    return (struct xen_hypfs_direntry){
        .type = node->type,
        .encoding = XEN_HYPFS_ENC_PLAIN,
        .content_len = len,
        .max_write_len = node->option ? TEXT_BYTES : 0,
    };
}

static uint32_t list(const struct node *dir, uint8_t *buf, uint32_t room)
{
    struct xen_hypfs_dirlistentry *e = NULL;
    struct node node;
    uint32_t at = 0;

    for (unsigned n = 0; dir->entry(dir, n, &node); n++) {
        size_t name = strlen(node.name) + 1;
        uint32_t size = (uint32_t)ROUND_UP(offsetof(struct xen_hypfs_dirlistentry, name) + name, 4);

        if (at + size <= room) {
            if (e)
                e->off_next = (uint16_t)(buf + at - (uint8_t *)e);
            e = (void *)(buf + at);
            memset(e, 0, size);
            e->e = describe(&node, content(&node, NULL, 0));
            memcpy(e->name, node.name, name);
        }
        at += size;
    }
    return at;
}

/* Fills in at most `room` bytes, and only what is whole; how many bytes there are. */
static uint32_t content(const struct node *node, uint8_t *buf, uint32_t room)
{
    char text[TEXT_BYTES];
    uint32_t len;

    switch (node->type) {
    case XEN_HYPFS_TYPE_DIR:
        return list(node, buf, room);
    case XEN_HYPFS_TYPE_UINT:
        if (room >= sizeof(node->number))
            memcpy(buf, &node->number, sizeof(node->number));
        return sizeof(node->number);
    default:
        if (node->option)
            node->option->show(text, sizeof(text));
        else
            strlcpy(text, node->text, sizeof(text));
        len = (uint32_t)strlen(text) + 1;
        if (room >= len)
            memcpy(buf, text, len);
        return len;
    }
}

/* ---- the call ---- */

/* One string that ends with the buffer. */
static bool is_string(const char *text, uint64_t len)
{
    return len && !text[len - 1] && strlen(text) == len - 1;
}

static long read_node(const struct node *node, uint64_t va, uint64_t room)
{
    struct xen_hypfs_direntry e;
    uint8_t *buf = heap_page();
    uint32_t len;
    long rc = 0;

    if (!buf)
        return -ENOMEM;
    len = content(node, buf, PAGE_SIZE);
    e = describe(node, len);
    if (guest_write(va, &e, sizeof(e)))
        rc = -EFAULT;
    else if (room - sizeof(e) < len || len > PAGE_SIZE)
        rc = refuse(-ENOBUFS, "hypfs: %u bytes into room for %lu", len, room - sizeof(e));
    else if (guest_write(va + sizeof(e), buf, len))
        rc = -EFAULT;
    heap_page_free(buf);
    return rc;
}

static long write_node(const struct node *node, uint64_t va, uint64_t len)
{
    char text[TEXT_BYTES];

    if (!node->option)
        return refuse(-EACCES, "hypfs: the node is only read");
    if (len > sizeof(text))
        return refuse(-ENOSPC, "hypfs: a value of %lu bytes", len);
    if (guest_read(text, va, len))
        return -EFAULT;
    if (!is_string(text, len))
        return refuse(-EINVAL, "hypfs: the value is no string");
    return node->option->parse(text, false);
}

static long with_path(uint32_t cmd, uint64_t path_va, uint64_t path_len, uint64_t buf, uint64_t len)
{
    char path[PATH_BYTES];
    struct node node;
    long rc;

    if (path_len > sizeof(path))
        return refuse(-ENAMETOOLONG, "hypfs: a path of %lu bytes", path_len);
    if (guest_read(path, path_va, path_len))
        return -EFAULT;
    if (!is_string(path, path_len) || path[0] != '/')
        return refuse(-EINVAL, "hypfs: not an absolute path");
    if (cmd == XEN_HYPFS_OP_read && len < sizeof(struct xen_hypfs_direntry))
        return refuse(-EINVAL, "hypfs: room for %lu bytes", len);
    rc = find(path, &node);
    if (rc)
        return rc;
    return cmd == XEN_HYPFS_OP_read ? read_node(&node, buf, len) : write_node(&node, buf, len);
}

long hypfs_op(uint32_t cmd, uint64_t path, uint64_t path_len, uint64_t buf, uint64_t buf_len)
{
    long rc;

    if (!current()->domain->privileged)
        return refuse(-EPERM, "hypfs operation %u of domain %u", cmd, current()->domain->id);
    switch (cmd) {
    case XEN_HYPFS_OP_get_version:
        if (path || path_len || buf || buf_len)
            return refuse(-EINVAL, "hypfs: the version takes no arguments");
        return HYPFS_VERSION;
    case XEN_HYPFS_OP_read:
    case XEN_HYPFS_OP_write_contents:
        if (!control_enter()) {
            (void)!hypercall_preempt();
            return hypercall_continue_with(__HYPERVISOR_hypfs_op, cmd, path, path_len, buf,
                                           buf_len);
        }
        rc = with_path(cmd, path, path_len, buf, buf_len);
        control_leave();
        return rc;
    default:
        return refuse(-EOPNOTSUPP, "hypfs operation %u", cmd);
    }
}
