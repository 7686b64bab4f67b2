/* SPDX-License-Identifier: MIT */
/* mark b | mark e: a NOP that bench/count.c knows, with the letter in it. */
    .globl _start
_start:
    mov 16(%rsp), %rdi
    cmpb $'b', (%rdi)
    jne 1f
    .byte 0x0f, 0x1f, 0x80
    .long 0x4d524b00 | 'b'
    jmp 2f
1:  .byte 0x0f, 0x1f, 0x80
    .long 0x4d524b00 | 'e'
2:  xor %edi, %edi
    mov $60, %eax
    syscall
    .section .note.GNU-stack, "", @progbits
