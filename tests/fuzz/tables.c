/* SPDX-License-Identifier: MIT */
/*
 * Entries of page tables and descriptors of arbitrary bytes: a guest fills pages, six bytes an
 * entry (page, index, frame, flags), then makes tables and descriptor pages of them and changes
 * them. The audit counts after all of it, and after the guest's end.
 */
#include <stdlib.h>
#include <string.h>

#include "frame/table.h"
#include "pvguest.h"

#define PAGES 40u
#define FIRST 16u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint64_t entry(const struct pvguest *g, const uint8_t *b)
{
    mfn_t m = b[2] < PAGES ? g->mfn[b[2]] : mfn((uint64_t)b[2] << (b[3] & 31));

    return pte_make(m, (b[3] & 7) | (uint64_t)b[4] << 3 | (uint64_t)b[5] << 52);
}

static void act(struct pvguest *g, const uint8_t *b)
{
    mfn_t m = g->mfn[FIRST + b[1] % (PAGES - FIRST)];
    uint64_t at = (m.n << PAGE_SHIFT) + 8u * (b[2] % 8u + (b[2] & 0x80 ? 256 : 0));

    switch (b[0] >> 4) {
    case 8:
    case 9:
        (void)!pv_update_va_mapping(pvg_va(FIRST + b[1] % (PAGES - FIRST)),
                                    b[2] & 1 ? pte_make(m, PTE_P | (b[2] & 2)) : 0, 0);
        break;
    case 10:
        (void)pvg_ext(b[2] % 5, m.n);
        break;
    case 11:
        (void)pvg_update(at, entry(g, b));
        break;
    case 12:
        if (!frame_get(m, &g->d.memory)) {
            if (!frame_get_type(m, FRAME_SEGDESC))
                frame_put_type(m);
            frame_put(m);
        }
        break;
    case 13:
        (void)pv_update_descriptor(at, (uint64_t)b[3] << 56 | (uint64_t)b[4] << 40 | b[5]);
        break;
    case 14:
        (void)pvg_ext(b[2] & 1 ? MMUEXT_NEW_BASEPTR : MMUEXT_NEW_USER_BASEPTR, m.n);
        break;
    default: /* a page that it may write to */
        (void)!hw_write_guest_u64(pvg_va(FIRST + b[1] % (PAGES - FIRST)) + (at & ~PAGE_MASK),
                                  entry(g, b));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct pvguest *g;

    pvg_machine(4u << 20, 1);
    g = pvg_new(1, PAGES, false);
    pvg_run(g, 0);
    for (size_t i = 0; i + 6 <= size && i < 6 * 256; i += 6)
        act(g, data + i);
    if (frame_audit())
        abort();
    pvg_free(g);
    if (frame_audit())
        abort();
    return 0;
}
