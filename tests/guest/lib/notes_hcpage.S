/* SPDX-License-Identifier: MIT */
/* Variant: the kernel asks for a hypercall page, which the builder must fill before its first
 * instruction. */
#include "lib/notes.h"

    note XEN_ELFNOTE_HYPERCALL_PAGE, .quad hypercall_page

    .section .note.GNU-stack, "", @progbits
