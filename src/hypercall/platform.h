/* SPDX-License-Identifier: MIT */
/* What the files of platform_op share. */
#pragma once

#include <xen/xen.h>
#include <xen/platform.h>

/* XENPF_firmware_info: -ESRCH past the last index, -EINVAL: no such kind, -EOPNOTSUPP: no EFI. */
long platform_firmware_info(struct xen_platform_op *op);
