/* SPDX-License-Identifier: MIT */
/* The hypercall page: code that the hypervisor puts into a page of the guest's, one slot of 32
 * bytes for each hypercall. A slot keeps rcx and r11, which SYSCALL changes; that of iret is jumped
 * to and does not come back. ABI.md 1.1. */
#include "lib/string.h"
#include "lib/util.h"
#include "pv/internal.h"

#define SLOTS      128u
#define SLOT_BYTES 32u
#define INT3       0xcc
#define NUMBER_AT  4u /* of the number in both forms: after the pushes and the opcode of MOV */

static const uint8_t call_code[] = {
    0x51,                /* push %rcx */
    0x41, 0x53,          /* push %r11 */
    0xb8, 0,    0, 0, 0, /* mov $number, %eax */
    0x0f, 0x05,          /* syscall */
    0x41, 0x5b,          /* pop %r11 */
    0x59,                /* pop %rcx */
    0xc3,                /* ret */
};

/* The frame that iret reads begins with rax, r11, rcx. */
static const uint8_t iret_code[] = {
    0x51,       /* push %rcx */
    0x41, 0x53, /* push %r11 */
    0x50,       /* push %rax */
    0xb8, __HYPERVISOR_iret,
    0,    0,
    0,          /* mov $number, %eax */
    0x0f, 0x05, /* syscall */
};

void pv_hypercall_page_fill(void *page)
{
    memset(page, INT3, PAGE_SIZE);
    for (unsigned i = 0; i < SLOTS; i++) {
        uint8_t *slot = (uint8_t *)page + i * SLOT_BYTES;

        if (i == __HYPERVISOR_iret) {
            memcpy(slot, iret_code, sizeof(iret_code));
            continue;
        }
        memcpy(slot, call_code, sizeof(call_code));
        slot[NUMBER_AT] = i;
    }
}
