/* SPDX-License-Identifier: MIT */
/* CPUID, forced by the Xen prefix and plain: the hypervisor's leaves, and what a PV guest may
 * not see.
 *
 * Cause: a kernel decides by these bits which instructions and registers it will touch.
 * Steps: forced CPUID of the leaves 0, 1, 7, 0x40000000 and up, 0x80000001; a prefix followed
 * by something else; plain CPUID.
 * Verdict: signature and version right; features that belong to the hypervisor are hidden; a
 * half prefix is #UD. */
#include "lib/guest.h"

struct leaf {
    uint32_t a, b, c, d;
};

static struct leaf forced(uint32_t leaf, uint32_t sub)
{
    struct leaf l = {.a = leaf, .c = sub};

    trap_forget();
    asm volatile(".byte 0x0f, 0x0b, 'x', 'e', 'n'; cpuid"
                 : "+a"(l.a), "=b"(l.b), "+c"(l.c), "=d"(l.d));
    expect_eq(last_trap.vector, NO_TRAP);
    return l;
}

static void check_hypervisor_leaves(void)
{
    struct leaf l = forced(0x40000000, 0);

    expect(l.a >= 0x40000003 && l.a <= 0x400000ff);
    expect_eq(l.b, 0x566e6558); /* "XenVMMXenVMM" */
    expect_eq(l.c, 0x65584d4d);
    expect_eq(l.d, 0x4d4d566e);
    l = forced(0x40000001, 0);
    expect_eq(l.a, (4 << 16) | 17);
    l = forced(0x40000002, 0);
    expect_eq(l.a, 1);
    expect_eq(l.b, 0x40000000);
    expect_eq(l.c & 1, 1); /* MMU_PT_UPDATE_PRESERVE_AD works */
    l = forced(0x40000003, 0);
    expect_eq(l.a & 1, 0);     /* TSC is not emulated */
    l = forced(0x40000005, 0); /* width of machine addresses, of what memory there is */
    expect((l.b & 0xff) >= 29 && (l.b & 0xff) <= 52);
}

static void check_hidden(void)
{
    struct leaf l = forced(1, 0);

    expect_eq(l.d >> 1 & 1, 0);              /* VME */
    expect_eq(l.d >> 3 & 1, 0);              /* PSE */
    expect_eq(l.d >> 13 & 1, 0);             /* PGE */
    expect_eq(l.d >> 17 & 1, 0);             /* PSE36 */
    expect_eq(l.d >> 6 & 1, 1);              /* PAE */
    expect_eq(l.d >> 9 & 1, 1);              /* APIC */
    expect_eq(l.d >> 26 & 1, 1);             /* SSE2 */
    expect_eq(l.c >> 5 & 1, 0);              /* VMX */
    expect_eq(l.c >> 17 & 1, 0);             /* PCID */
    expect_eq(l.c >> 21 & 1, 0);             /* x2APIC */
    expect_eq(l.c >> 24 & 1, 0);             /* TSC deadline */
    expect_eq(l.c >> 31, 1);                 /* hypervisor */
    expect_eq(l.c >> 26 & 1, l.c >> 27 & 1); /* OSXSAVE reads as XSAVE, before CR4 is set */
    l = forced(7, 0);
    expect_eq(l.b >> 1 & 1, 0);  /* TSC_ADJUST */
    expect_eq(l.b >> 7 & 1, 0);  /* SMEP */
    expect_eq(l.b >> 10 & 1, 0); /* INVPCID */
    expect_eq(l.b >> 14 & 1, 0); /* MPX */
    expect_eq(l.b >> 20 & 1, 0); /* SMAP */
    expect_eq(l.c >> 2 & 1, 0);  /* UMIP */
    expect_eq(l.c >> 3 & 1, 0);  /* PKU */
    expect_eq(l.c >> 16 & 1, 0); /* LA57 */
    l = forced(0x80000001, 0);
    expect_eq(l.c >> 2 & 1, 0);  /* SVM */
    expect_eq(l.c >> 4 & 1, 0);  /* CR8 legacy */
    expect_eq(l.d >> 11 & 1, 1); /* SYSCALL */
    expect_eq(l.d >> 20 & 1, 1); /* NX */
    expect_eq(l.d >> 26 & 1, 0); /* 1 GiB pages */
    expect_eq(l.d >> 29 & 1, 1); /* long mode */
}

static void check_odd(void)
{
    struct leaf max = forced(0, 0), l = forced(0x50000000, 0);
    uint64_t rip;

    expect(max.a >= 1 && max.a < 0x100);
    expect_eq(l.a | l.b | l.c | l.d, 0);
    l = forced(0x40000100, 0);
    expect_eq(l.b, 0); /* no second set of hypervisor leaves */

    /* ud2 and "xen" with another instruction behind is a plain #UD at the ud2. */
    trap_forget();
    asm volatile("lea 1f(%%rip), %0; 1: " TRY(".byte 0x0f, 0x0b, 'x', 'e', 'n', 0x0f, 0xa3")
                 : "=r"(rip));
    expect_eq(last_trap.vector, VEC_UD);
    expect_eq(last_trap.rip, rip);

    l = (struct leaf){0};
    trap_forget();
    asm volatile("cpuid" : "+a"(l.a), "=b"(l.b), "+c"(l.c), "=d"(l.d));
    expect_eq(last_trap.vector, NO_TRAP);
    expect_eq(l.b, max.b);
}

void test_main(void)
{
    check_hypervisor_leaves();
    check_hidden();
    check_odd();
    test_pass();
}
