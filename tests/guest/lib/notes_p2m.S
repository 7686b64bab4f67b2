/* SPDX-License-Identifier: MIT */
/* Variant: the kernel asks for the p2m list at a virtual address of its own, outside the initial
 * mapping, and takes an initial module by frame number, as Linux does. */
#include "lib/notes.h"

    note XEN_ELFNOTE_INIT_P2M, .quad 0x8000000000
    note XEN_ELFNOTE_MOD_START_PFN, .long 1

    .section .note.GNU-stack, "", @progbits
