/* SPDX-License-Identifier: MIT */
/* What the loader would have told: tests fill it. */
#include "boot/boot_info.h"

struct boot_info boot_info;
