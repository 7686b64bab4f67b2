/* SPDX-License-Identifier: MIT */
/* Extended processor state: x87, SSE, AVX and so on. Each vCPU has an image in the standard format
 * of XSAVE (or FXSAVE, where there is no XSAVE). Saved and restored at every context switch; the
 * hypervisor itself uses none of it. Intel SDM vol. 1, chapter 13. */
#pragma once

#include "hw/ops.h"

#define XCR0_X87     0x001ull
#define XCR0_SSE     0x002ull
#define XCR0_AVX     0x004ull
#define XCR0_BNDREGS 0x008ull
#define XCR0_BNDCSR  0x010ull
#define XCR0_OPMASK  0x020ull
#define XCR0_ZMM     0x040ull
#define XCR0_HI_ZMM  0x080ull
#define XCR0_PKRU    0x200ull
#define XCR0_AVX512  (XCR0_OPMASK | XCR0_ZMM | XCR0_HI_ZMM)
#define XCR0_DEFAULT (XCR0_X87 | XCR0_SSE)

#define FXSAVE_BYTES  512u
#define XSAVE_HEADER  512u /* offset; 64 bytes */
#define XSAVE_MIN     (FXSAVE_BYTES + 64u)
#define MXCSR_DEFAULT 0x1f80u
#define FCW_DEFAULT   0x037fu

/* An image; `data` is aligned to 64. */
struct xstate;

extern uint64_t xstate_mask;  /* [I] components that PV guests may enable; 0: no XSAVE */
extern uint32_t xstate_bytes; /* [I] of an image with all of them */

void xstate_detect(void);

/* A new image in the state of reset. -ENOMEM. */
int must_check xstate_alloc(struct xstate **out);
void xstate_free(struct xstate *x);
void xstate_reset(struct xstate *x);
/* Between the processor and the image. `accum` is every component the vCPU has ever enabled (at
 * least XCR0_DEFAULT), xcr0 what is enabled now. CR0.TS is clear. Interrupts off. */
void xstate_save(struct xstate *x, uint64_t accum);
void xstate_restore(struct xstate *x, uint64_t accum, uint64_t xcr0);
/* The 512 bytes of the legacy area, as FXSAVE makes them; the other components stay. */
void xstate_get_fxsave(const struct xstate *x, void *fx);
void xstate_set_fxsave(struct xstate *x, const void *fx);
/* The whole image of xstate_bytes, for getvcpuextstate; and back: -EINVAL if the header asks for
 * components beyond `accum`, or has reserved bits or the compact form. */
const void *xstate_image(const struct xstate *x);
int must_check xstate_set_image(struct xstate *x, const void *image, size_t len, uint64_t accum);

/* Is this a value that XSETBV takes, within `allowed`? */
bool xstate_xcr0_ok(uint64_t xcr0, uint64_t allowed);
/* Bytes of a standard image with these components. */
uint32_t xstate_size(uint64_t xcr0);
/* Bytes of a compacted one. */
uint32_t xstate_compact_size(uint64_t xcr0);
