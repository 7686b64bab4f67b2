/* SPDX-License-Identifier: MIT */
/* XENPF_firmware_info: what domain 0 would have asked the firmware itself. Of a BIOS, Argon (which
 * a boot loader entered in protected mode) asks nothing: there are no disks and no display data to
 * tell of, and Linux takes the first refusal as the end of its loop. Of EFI, the system table is
 * read in place; it stays in memory that nobody else gets. Public platform.h; BIOS data area: byte
 * 0x417; UEFI specification 2.9, 4.3. */
#include "boot/boot_info.h"
#include "domain/guest_copy.h"
#include "hypercall/platform.h"
#include "base/param.h"
#include "base/refuse.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "memory/map.h"

#define BDA_SHIFT_FLAGS 0x417u

/* GRUB's menu entries for Xen give "no-real-mode edd=off" on EFI machines: nothing else is done. */
static int param_real_mode(const char *value, bool negated)
{
    return 0;
}
PARAM_CUSTOM("real-mode", param_real_mode);

static int param_edd(const char *value, bool negated)
{
    return 0;
}
PARAM_CUSTOM("edd", param_edd);

struct efi_table {
    uint64_t signature;
    uint32_t revision, header_size, crc, reserved;
    uint64_t vendor; /* physical: UTF-16, ends with 0 */
    uint32_t vendor_revision, pad;
    uint64_t console_in_handle, console_in, console_out_handle, console_out, error_handle, error;
    uint64_t runtime; /* physical */
    uint64_t boot;
    uint64_t nr_config;
    uint64_t config;
};
_Static_assert(sizeof(struct efi_table) == 120, "EFI_SYSTEM_TABLE");

#define EFI_SIGNATURE  0x5453595320494249ull /* "IBI SYST" */
#define EFI_VENDOR_MAX 64u                   /* UTF-16 units that are told */

/* Copies from where the firmware lies. -ENOMEM. */
static int must_check read_physical(void *to, paddr_t from, size_t n)
{
    void *p = map_device(from, n, 0);

    if (!p)
        return -ENOMEM;
    memcpy(to, p, n);
    unmap_device(p, n);
    return 0;
}

static int must_check read_table(struct efi_table *t)
{
    int rc = read_physical(t, boot_info.efi_system_table, sizeof(*t));

    if (!rc && t->signature != EFI_SIGNATURE)
        rc = refuse(-EOPNOTSUPP, "no EFI system table at %#lx", boot_info.efi_system_table);
    return rc;
}

static long tell_vendor(union xenpf_efi_info *info, const struct efi_table *t)
{
    uint16_t name[EFI_VENDOR_MAX];
    uint32_t room = info->vendor.bufsz / sizeof(name[0]), n = 0;
    int rc = read_physical(name, t->vendor, sizeof(name));

    if (rc)
        return rc;
    name[EFI_VENDOR_MAX - 1] = 0;
    while (name[n])
        n++;
    info->vendor.revision = t->vendor_revision;
    if (!room)
        return 0;
    if (n >= room)
        name[n = room - 1] = 0;
    return guest_write(handle_va(info->vendor.name), name, (n + 1) * sizeof(name[0]));
}

static long efi_info(uint32_t index, union xenpf_efi_info *info)
{
    struct efi_table t;
    uint32_t word = 0;
    int rc;

    if (!boot_info.efi_system_table)
        return refuse(-EOPNOTSUPP, "EFI information %u: the machine did not start by EFI", index);
    rc = read_table(&t);
    if (rc)
        return rc;
    switch (index) {
    case XEN_FW_EFI_VERSION:
        info->version = t.revision;
        return 0;
    case XEN_FW_EFI_CONFIG_TABLE:
        info->cfg.addr = t.config;
        info->cfg.nent = (uint32_t)t.nr_config;
        return 0;
    case XEN_FW_EFI_VENDOR:
        return tell_vendor(info, &t);
    case XEN_FW_EFI_RT_VERSION: /* the revision of the table's header */
        rc = read_physical(&word, t.runtime + offsetof(struct efi_table, revision), sizeof(word));
        info->version = word;
        return rc;
    default:
        return refuse(-EINVAL, "EFI information %u", index);
    }
}

static uint8_t keyboard_flags(void)
{
    uint8_t flags = 0;

    if (boot_info.efi_system_table || read_physical(&flags, BDA_SHIFT_FLAGS, 1))
        return 0;
    return flags;
}

long platform_firmware_info(struct xen_platform_op *op)
{
    xenpf_firmware_info_t *f = &op->u.firmware_info;

    switch (f->type) {
    case XEN_FW_DISK_INFO:
    case XEN_FW_DISK_MBR_SIGNATURE:
    case XEN_FW_VBEDDC_INFO:
        return refuse(-ESRCH, "firmware information %u has no entry %u", f->type, f->index);
    case XEN_FW_EFI_INFO:
        return efi_info(f->index, &f->u.efi_info);
    case XEN_FW_KBD_SHIFT_FLAGS:
        if (f->index)
            return refuse(-ESRCH, "there is one keyboard, not %u", f->index);
        f->u.kbd_shift_flags = keyboard_flags();
        return 0;
    default:
        return refuse(-EINVAL, "firmware information %u", f->type);
    }
}
