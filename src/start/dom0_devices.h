/* SPDX-License-Identifier: MIT */
/* What domain 0 may touch of the machine, and what it is told of the screen. */
#pragma once

#include <xen/xen.h>
#include "domain/domain.h"

/* Ports, device memory and interrupts: all but what is Argon's. ABI.md 3.4. */
void dom0_permissions(struct domain *d);
/* Fills start_info.console.dom0 and the structure behind it. */
void dom0_console_info(start_info_t *si);
