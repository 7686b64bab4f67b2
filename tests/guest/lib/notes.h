/* SPDX-License-Identifier: MIT */
/* The macro that builds one Xen ELF note (public header elfnote.h), for the notes*.S files. */
#ifndef GUEST_LIB_NOTES_H
#define GUEST_LIB_NOTES_H

#include <xen/elfnote.h>

/* clang-format off */
    .macro note type, desc:vararg
    .section .note.Xen, "a", @note
    .balign 4
    .long 2f - 1f, 4f - 3f, \type
1:  .asciz "Xen"
2:  .balign 4
3:  \desc
4:  .balign 4
    .previous
    .endm
/* clang-format on */

#endif
