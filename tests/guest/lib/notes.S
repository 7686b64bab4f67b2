/* SPDX-License-Identifier: MIT */
/* The ELF notes that every guest test kernel carries. Variants add notes_hcpage.S or notes_p2m.S. */
#include "lib/notes.h"

    note XEN_ELFNOTE_GUEST_OS, .asciz "argon-guest-test"
    note XEN_ELFNOTE_GUEST_VERSION, .asciz "1"
    note XEN_ELFNOTE_XEN_VERSION, .asciz "xen-3.0"
    note XEN_ELFNOTE_VIRT_BASE, .quad 0xffffffff80000000
    note XEN_ELFNOTE_PADDR_OFFSET, .quad 0
    note XEN_ELFNOTE_ENTRY, .quad _start
    note XEN_ELFNOTE_PAE_MODE, .asciz "yes"
    note XEN_ELFNOTE_LOADER, .asciz "generic"
    note XEN_ELFNOTE_HV_START_LOW, .quad 0xffff800000000000
    note XEN_ELFNOTE_FEATURES, .asciz "!writable_page_tables|pae_pgdir_above_4gb"
    note XEN_ELFNOTE_SUPPORTED_FEATURES, .long 0x8801

    .section .note.GNU-stack, "", @progbits
