/* SPDX-License-Identifier: MIT */
/*
 * Arbitrary bytes as an instruction that met an exception in a guest, kernel or user, with
 * arbitrary registers: emulation of what only ring 0 may do, page faults and software interrupts.
 * However it ends, the guest is left in a state that the processor takes.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "../unit/pv_fixture.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint8_t vectors[] = {VEC_GP, VEC_GP, VEC_PF, VEC_UD, VEC_NM, VEC_DB, 0x80, 3};
    struct regs *r;

    if (size < 12 || fx_setup(NULL))
        return 0;
    r = fx_regs;
    for (unsigned i = 0; i < 32; i++)
        fx_handler(i, GUEST_KERNEL + 0x800, i & 1);
    if (data[0] & 1)
        fx_user();
    fx_vcpu->pv->iopl = data[0] >> 1 & 3;
    r->entry_vector = vectors[data[0] >> 3 & 7];
    r->error_code = data[1];
    memcpy(&r->rax, data + 2, 4);
    memcpy(&r->rcx, data + 6, 4);
    r->rdx = (uint64_t)data[10] << 8 | data[11];
    r->rdi = r->rsi = (data[0] & 0x40 ? GUEST_USER : GUEST_KERNEL) + data[10] * 64u;
    r->rbx = GUEST_KERNEL + data[11] * 256u;
    write_cr2(r->rbx);
    r->rflags |= data[1] & 0x80 ? RFLAGS_TF : 0;
    fx_code(data + 12, size - 12 < 15 ? size - 12 : 15);
    pv_handle_trap(r);
    if (!is_canonical(r->rip) || (r->cs & 3) != 3 || (r->ss & 3) != 3 || !(r->rflags & RFLAGS_IF) ||
        r->rflags & RFLAGS_IOPL)
        abort();
    return 0;
}
