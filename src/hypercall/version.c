/* SPDX-License-Identifier: MIT */
/* xen_version: who we say we are. The version must be 4.17: Debian's tools choose their directory
 * by it. ABI.md 2.13 and 3.9; public version.h and features.h. */
#include <xen/features.h>
#include <xen/version.h>
#include "domain/guest_copy.h"
#include "hvm/hvm.h"
#include "hypercall/ops.h"
#include "hypercall/version.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "lib/strutil.h"

char version_commandline[1024];

#ifdef ARGON_HOST
static const uint8_t __build_id_start[32], __build_id_end[1];
#else
extern const uint8_t __build_id_start[], __build_id_end[];
#endif

/* Copies a string into a zero-filled array of the public size. */
static long put_string(uint64_t arg, const char *s, size_t size)
{
    char buf[1024] = {0};

    strlcpy(buf, s, min(size, sizeof(buf)));
    return guest_write(arg, buf, min(size, sizeof(buf)));
}

static long op_version(struct vcpu *v, uint64_t arg)
{
    return VERSION_MAJOR << 16 | VERSION_MINOR;
}

static long op_extraversion(struct vcpu *v, uint64_t arg)
{
    return put_string(arg, VERSION_EXTRA, sizeof(xen_extraversion_t));
}

static long op_compile_info(struct vcpu *v, uint64_t arg)
{
    struct xen_compile_info info = {0};

    strlcpy(info.compiler, VERSION_COMPILER, sizeof(info.compiler));
    strlcpy(info.compile_by, VERSION_COMPILE_BY, sizeof(info.compile_by));
    strlcpy(info.compile_domain, VERSION_COMPILE_DOMAIN, sizeof(info.compile_domain));
    strlcpy(info.compile_date, VERSION_COMPILE_DATE, sizeof(info.compile_date));
    return guest_write(arg, &info, sizeof(info));
}

static long op_capabilities(struct vcpu *v, uint64_t arg)
{
    return put_string(arg,
                      hvm_ops ? "xen-3.0-x86_64 hvm-3.0-x86_32 hvm-3.0-x86_32p hvm-3.0-x86_64 "
                              : "xen-3.0-x86_64 ",
                      sizeof(xen_capabilities_info_t));
}

static long op_changeset(struct vcpu *v, uint64_t arg)
{
    return put_string(arg, VERSION_CHANGESET, sizeof(xen_changeset_info_t));
}

static long op_platform_parameters(struct vcpu *v, uint64_t arg)
{
    struct xen_platform_parameters p = {.virt_start = HV_VA_START};

    return guest_write(arg, &p, sizeof(p));
}

static long op_get_features(struct vcpu *v, uint64_t arg)
{
    xen_feature_info_t f;

    if (guest_read(&f, arg, sizeof(f)))
        return -EFAULT;
    if (f.submap_idx != 0)
        return refuse(-EINVAL, "feature submap %u: there is only 0", f.submap_idx);
    f.submap = BIT(XENFEAT_memory_op_vnode_supported);
    if (v->domain->hvm)
        f.submap |= BIT(XENFEAT_writable_page_tables) | BIT(XENFEAT_auto_translated_physmap) |
                    BIT(XENFEAT_hvm_callback_vector) | BIT(XENFEAT_hvm_safe_pvclock) |
                    BIT(XENFEAT_not_direct_mapped);
    else
        f.submap |= BIT(XENFEAT_mmu_pt_update_preserve_ad) | BIT(XENFEAT_highmem_assist) |
                    BIT(XENFEAT_gnttab_map_avail_bits) | BIT(XENFEAT_direct_mapped);
    if (read_once(v->domain->vm_assist) & BIT(VMASST_TYPE_pae_extended_cr3))
        f.submap |= BIT(XENFEAT_pae_pgdir_above_4gb);
    if (v->domain->hardware)
        f.submap |= BIT(XENFEAT_dom0);
    return guest_write(arg, &f, sizeof(f));
}

static long op_pagesize(struct vcpu *v, uint64_t arg)
{
    return arg ? refuse(-EINVAL, "pagesize takes no argument") : (long)PAGE_SIZE;
}

static long op_guest_handle(struct vcpu *v, uint64_t arg)
{
    return guest_write(arg, v->domain->handle, sizeof(v->domain->handle));
}

static long op_commandline(struct vcpu *v, uint64_t arg)
{
    return put_string(arg, v->domain->privileged ? version_commandline : "<denied>",
                      sizeof(xen_commandline_t));
}

/* The note that the linker made: 12 bytes of header, "GNU", then the number. */
static long op_build_id(struct vcpu *v, uint64_t arg)
{
    const uint8_t *id = __build_id_start + 16;
    size_t len = (size_t)(__build_id_end - __build_id_start) - 16;
    xen_build_id_t head;

    if (!v->domain->privileged)
        return refuse(-EPERM, "build id asked for by domain %u", v->domain->id);
    if (__build_id_end - __build_id_start <= 16)
        return -ENODATA;
    if (!arg)
        return (long)len;
    if (guest_read(&head, arg, sizeof(head)))
        return -EFAULT;
    if (head.len == 0)
        return refuse(-EINVAL, "build id into a buffer of no bytes");
    if (head.len < len)
        return refuse(-ENOBUFS, "build id of %lu bytes into %u", len, head.len);
    if (guest_write(arg + offsetof(xen_build_id_t, buf), id, len))
        return -EFAULT;
    return (long)len;
}

static long (*const ops[])(struct vcpu *v, uint64_t arg) = {
    [XENVER_version] = op_version,           [XENVER_extraversion] = op_extraversion,
    [XENVER_compile_info] = op_compile_info, [XENVER_capabilities] = op_capabilities,
    [XENVER_changeset] = op_changeset,       [XENVER_platform_parameters] = op_platform_parameters,
    [XENVER_get_features] = op_get_features, [XENVER_pagesize] = op_pagesize,
    [XENVER_guest_handle] = op_guest_handle, [XENVER_commandline] = op_commandline,
    [XENVER_build_id] = op_build_id,
};

long xen_version(uint32_t cmd, uint64_t arg)
{
    if (cmd >= ARRAY_SIZE(ops)) /* there are no gaps */
        return -ENOSYS;
    return ops[index_nospec(cmd, ARRAY_SIZE(ops))](current(), arg);
}
