/* SPDX-License-Identifier: MIT */
/* Errors: the values of the public errno.h (those of Linux) under their usual names. Functions
 * return 0 or a negative one. */
#pragma once

#ifdef ARGON_HOST
#include <errno.h>
#else
#define XEN_ERRNO(name, value) name = value,
enum xen_errno {
#include <xen/errno.h>
};
#endif

/* A long operation stopped half way with its progress saved: the caller makes it continue. Never
 * seen by a guest. */
#ifndef ERESTART
#define ERESTART 85
#endif
