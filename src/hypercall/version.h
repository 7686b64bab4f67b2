/* SPDX-License-Identifier: MIT */
/* What xen_version tells that start-up knows. */
#pragma once

extern char version_commandline[1024]; /* [I] as the boot loader gave it */
