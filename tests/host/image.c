/* SPDX-License-Identifier: MIT */
/* An image of the hypervisor as the linker lays it out (src/argon.lds), with nothing in it: what
 * memory/start.c finds by its symbols. */
asm(".bss\n"
    ".macro symbol name\n"
    ".globl \\name\n"
    "\\name:\n"
    ".endm\n"
    ".balign 4096\n"
    "symbol __image_start\n .skip 1 * 4096\n"
    "symbol __text_start\n .skip 2 * 4096\n"
    " .skip 1 * 4096\n" /* stubs */
    "symbol __stubs_end\n"
    " .skip 3 * 4096\n"
    "symbol __rodata_end\n"
    "symbol __sealed_start\n .skip 1 * 4096\n"
    "symbol __sealed_end\n"
    " .skip 2 * 4096\n" /* .data */
    "symbol __init_start\n .skip 2 * 4096\n"
    "symbol __init_text_end\n .skip 1 * 4096\n"
    "symbol __init_end\n"
    "symbol boot_l4\n .skip 1 * 4096\n"
    "symbol boot_l2\n .skip 4 * 4096\n"
    "symbol boot_l2_image\n .skip 1 * 4096\n"
    ".skip 514 * 4096\n" /* two L1s */
    "symbol __image_end\n"
    ".text\n");
