/* SPDX-License-Identifier: MIT */
/* Who we say we are: xen_version and hypfs. */
#pragma once

#define VERSION_MAJOR          4u /* 4.17: Debian's tools choose their directory by it */
#define VERSION_MINOR          17u
#define VERSION_EXTRA          ".7-argon"
#define VERSION_CHANGESET      "Argon"
#define VERSION_COMPILER       "gcc " __VERSION__
#define VERSION_COMPILE_BY     "argon"
#define VERSION_COMPILE_DOMAIN "localhost"
#define VERSION_COMPILE_DATE   "reproducible"

extern char version_commandline[1024]; /* [I] as the boot loader gave it */
