/* SPDX-License-Identifier: MIT */
/* Images of the extended state: their size, and the way in and out of the processor.
 *
 * Images are in the standard format, so a component is always at the offset that CPUID says. XSAVE
 * is asked for what the vCPU has ever enabled, and XRSTOR the same, so what a component holds never
 * comes from another vCPU. Intel SDM vol. 1, 13.4, 13.7, 13.8; vol. 2A, CPUID leaf 0xd. */
#include "cpu/xstate.h"

#include "base/panic.h"
#include "base/percpu.h"
#include "cpu/cpu.h"
#include "cpu/policy.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "memory/heap.h"

struct xstate {
    aligned(64) uint8_t data[XSAVE_MIN]; /* and more */
};

uint64_t xstate_mask;
uint32_t xstate_bytes = XSAVE_MIN;

/* Value of the register on each CPU, so that it is written only when it changes. */
DEFINE_PER_CPU(uint64_t, xcr0_loaded);

/* Legacy area: Intel SDM vol. 1, 10.5.1. */
#define FX_FCW        0
#define FX_FTW        4
#define FX_MXCSR      24
#define FX_MXCSR_MASK 28
/* Header: 13.4.2. */
#define XS_BV    XSAVE_HEADER
#define XS_XCOMP (XSAVE_HEADER + 8)

void xstate_detect(void)
{
    const uint64_t known = XCR0_X87 | XCR0_SSE | XCR0_AVX | XCR0_AVX512;
    const struct cpuid_leaf *l = &policy_raw.xstate[0];

    xstate_mask = 0;
    xstate_bytes = XSAVE_MIN;
    if (!cpu_has(X86_FEATURE_XSAVE))
        return;
    xstate_mask = (l->a | (uint64_t)l->d << 32) & known;
    if ((xstate_mask & XCR0_AVX512) != XCR0_AVX512)
        xstate_mask &= ~XCR0_AVX512;
    if ((xstate_mask & XCR0_DEFAULT) != XCR0_DEFAULT)
        panic("XSAVE without x87 and SSE state");
    xstate_bytes = xstate_size(xstate_mask);
}

uint32_t xstate_size(uint64_t xcr0)
{
    uint32_t size = XSAVE_MIN;

    for (unsigned i = 2; i < POLICY_XSTATE; i++) {
        const struct cpuid_leaf *l = &policy_raw.xstate[i];

        if ((xcr0 >> i & 1) && l->a)
            size = max(size, l->b + l->a);
    }
    return size;
}

uint32_t xstate_compact_size(uint64_t xcr0)
{
    uint32_t size = XSAVE_MIN;

    for (unsigned i = 2; i < POLICY_XSTATE; i++) {
        const struct cpuid_leaf *l = &policy_raw.xstate[i];

        if (!(xcr0 >> i & 1) || !l->a)
            continue;
        if (l->c & 2) /* aligned to 64 */
            size = ROUND_UP(size, 64u);
        size += l->a;
    }
    return size;
}

static inline void xcr0_load(uint64_t xcr0)
{
    if (likely(this_cpu(xcr0_loaded) == xcr0))
        return;
    if (xsetbv_safe(0, xcr0))
        panic("XCR0 does not take %#lx", xcr0);
    this_cpu(xcr0_loaded) = xcr0;
}

int xstate_alloc(struct xstate **out)
{
    struct xstate *x = heap_zalloc(xstate_bytes); /* more than half a KiB: aligned as it must be */

    if (!x)
        return -ENOMEM;
    xstate_reset(x);
    *out = x;
    return 0;
}

void xstate_free(struct xstate *x)
{
    heap_free(x);
}

static void put(struct xstate *x, unsigned at, const void *val, size_t n)
{
    memcpy(x->data + at, val, n);
}

static uint64_t get_u64(const uint8_t *image, unsigned at)
{
    uint64_t v;

    memcpy(&v, image + at, sizeof(v));
    return v;
}

void xstate_reset(struct xstate *x)
{
    const uint16_t fcw = FCW_DEFAULT;
    const uint32_t mxcsr = MXCSR_DEFAULT;
    const uint64_t bv = XCR0_DEFAULT;

    memset(x->data, 0, xstate_bytes);
    put(x, FX_FCW, &fcw, sizeof(fcw));
    put(x, FX_MXCSR, &mxcsr, sizeof(mxcsr));
    put(x, XS_BV, &bv, sizeof(bv));
}

void xstate_save(struct xstate *x, uint64_t accum)
{
    if (!xstate_mask) {
        hw_fxsave(x->data);
        return;
    }
    xcr0_load(accum);
    hw_xsave(x->data, accum);
}

static int restore(const struct xstate *x, uint64_t accum)
{
    return xstate_mask ? xrstor_safe(x->data, accum) : fxrstor_safe(x->data);
}

void xstate_restore(struct xstate *x, uint64_t accum, uint64_t xcr0)
{
    if (xstate_mask)
        xcr0_load(accum);
    /* AMD restores the pointers of the last x87 instruction only with a pending exception: else
     * those of the vCPU before stay (APM vol. 2, 11.4.4). */
    if (cpu_vendor == CPU_AMD && !cpu_has(X86_FEATURE_RSTR_FP_ERR_PTRS))
        hw_fninit();
    if (unlikely(restore(x, accum) != 0)) { /* an image that the checks let through */
        xstate_reset(x);
        BUG_ON(restore(x, accum) != 0);
    }
    if (xstate_mask)
        xcr0_load(xcr0);
}

void xstate_get_fxsave(const struct xstate *x, void *fx)
{
    memcpy(fx, x->data, FXSAVE_BYTES);
    if (xstate_mask) { /* a component in its initial state may have stale bytes */
        uint64_t bv = get_u64(x->data, XS_BV);
        uint8_t *p = fx;

        if (!(bv & XCR0_X87)) {
            memset(p, 0, FX_MXCSR);
            p[FX_FCW] = FCW_DEFAULT & 0xff;
            p[FX_FCW + 1] = FCW_DEFAULT >> 8;
            memset(p + 32, 0, 128);
        }
        if (!(bv & XCR0_SSE))
            memset(p + 160, 0, 256);
    }
}

/* Reserved bits of MXCSR make FXRSTOR fault: all but these 16. Each 64-bit processor has "denormals
 * are zeros", which is a program's for good; without it, the restore would begin from reset. */
static void mend_mxcsr(uint8_t *image)
{
    uint32_t mxcsr, mask = 0xffff;

    memcpy(&mxcsr, image + FX_MXCSR, sizeof(mxcsr));
    mxcsr &= mask;
    memcpy(image + FX_MXCSR, &mxcsr, sizeof(mxcsr));
}

void xstate_set_fxsave(struct xstate *x, const void *fx)
{
    const uint64_t bv = get_u64(x->data, XS_BV) | XCR0_DEFAULT;

    memcpy(x->data, fx, FXSAVE_BYTES);
    mend_mxcsr(x->data);
    put(x, XS_BV, &bv, sizeof(bv));
}

const void *xstate_image(const struct xstate *x)
{
    return x->data;
}

int xstate_set_image(struct xstate *x, const void *image, size_t len, uint64_t accum)
{
    const uint8_t *from = image;
    uint64_t bv;

    if (len < XSAVE_MIN)
        return -EINVAL;
    bv = get_u64(from, XS_BV);
    if (bv & ~(accum & xstate_mask))
        return -EINVAL;
    for (unsigned i = 8; i < 64; i += 8)
        if (get_u64(from, XSAVE_HEADER + i))
            return -EINVAL;
    if (len < xstate_size(bv))
        return -EINVAL;
    xstate_reset(x);
    memcpy(x->data, from, min(len, (size_t)xstate_bytes));
    mend_mxcsr(x->data);
    return 0;
}

bool xstate_xcr0_ok(uint64_t xcr0, uint64_t allowed)
{
    if (!(xcr0 & XCR0_X87) || (xcr0 & ~allowed))
        return false;
    if ((xcr0 & XCR0_AVX) && !(xcr0 & XCR0_SSE))
        return false;
    if (xcr0 & XCR0_AVX512)
        return (xcr0 & XCR0_AVX512) == XCR0_AVX512 && (xcr0 & XCR0_AVX);
    return true;
}
