/* SPDX-License-Identifier: MIT */
/* The guest's GDT and LDT: installing, using, updating, and every descriptor that gives too
 * much.
 *
 * Cause: a descriptor of ring 0, or a gate or TSS, would hand the machine to the guest.
 * Steps: set_gdt with good and bad frames and counts; load segments from it; update_descriptor
 * with each type and privilege; an LDT; writes to a page in use as GDT.
 * Verdict: flat user segments work, ring 0 is lifted to ring 3, system descriptors and
 * conforming tricks are refused, the page cannot be written. */
#include "lib/guest.h"

#define CODE64 0x00affa000000ffffull /* DPL 3, present, L */
#define DATA   0x00cff2000000ffffull /* DPL 3, present, writable */

static uint64_t *gdt;

static long load_ds(unsigned int selector)
{
    trap_forget();
    asm volatile(TRY("mov %0, %%ds")::"r"(selector));
    if (last_trap.vector == NO_TRAP)
        asm volatile("mov %0, %%ds" ::"r"(0));
    return last_trap.vector;
}

static long update(unsigned int index, uint64_t desc)
{
    return hc_update_descriptor(virt_to_maddr(&gdt[index]), desc);
}

static void check_set_gdt(void)
{
    unsigned long frames[16];

    gdt = page_alloc();
    gdt[1] = DATA;
    gdt[2] = 0x00cf92000000ffff; /* DPL 0 */
    frames[0] = virt_to_mfn(gdt);
    expect(hc_set_gdt(frames, 512) < 0); /* mapped writable */
    need_eq(page_set_ro(gdt), 0);
    expect_eq(hc_set_gdt(frames, 512), 0);
    expect_eq(load_ds(8 | 3), NO_TRAP);
    expect_eq(gdt[2] >> 45 & 3, 3); /* ring 0 became ring 3 */
    expect_eq(load_ds(16 | 3), NO_TRAP);
    expect_eq(load_ds(24 | 3), VEC_GP);
    expect_eq(last_trap.error, 24);
    expect(page_set_rw(gdt) < 0);
    expect_eq(try_write(&gdt[3], DATA), VEC_PF);
    expect_eq(hc_set_gdt(frames, FIRST_RESERVED_GDT_ENTRY + 1), -XEN_EINVAL);
    frames[0] = 0xffffffffful;
    expect_eq(hc_set_gdt(frames, 512), -XEN_EINVAL);
    frames[0] = virt_to_mfn(kernel_l4());
    expect_eq(hc_set_gdt(frames, 512), -XEN_EINVAL);
    frames[0] = 0xfee00;
    expect_eq(hc_set_gdt(frames, 512), -XEN_EINVAL);
    expect_eq(hc_set_gdt((void *)8, 512), -XEN_EFAULT);
    expect_eq(load_ds(8 | 3), NO_TRAP); /* the good one is still there */
}

static void check_updates(void)
{
    static const struct {
        uint64_t desc;
        bool good;
        const char *what;
    } tries[] = {
        {0, true, "null"},
        {DATA, true, "data"},
        {CODE64, true, "64-bit code"},
        {0x00cffa000000ffff, true, "32-bit code"},
        {0x00cf7a000000ffff, true, "code, not present"},
        {0x00cff0000000ffff, true, "read-only data"},
        {0x00cff3000000ffff, true, "data, accessed"},
        {0x0000ee0000000000, false, "interrupt gate"},
        {0x0000890000000067, false, "TSS"},
        {0x0000820000000000, false, "LDT"},
        {0x0000e50000000000, false, "task gate"},
        {0x00009a000000ffff, false, "ring 0 code"},
        {0x00cf92000000ffff, false, "ring 0 data"},
        {0x00cfba000000ffff, false, "ring 1 code"},
    };

    for (unsigned int i = 0; i < sizeof(tries) / sizeof(*tries); i++) {
        long ret = update(5, tries[i].desc);

        if (!ret != tries[i].good && (ret || (gdt[5] >> 45 & 3) != 3))
            expect_failed("%s: %ld, now %#lx", tries[i].what, ret, gdt[5]);
        need_eq(update(5, 0), 0);
    }
    expect_eq(update(5, DATA), 0);
    expect_eq(load_ds(40 | 3), NO_TRAP);
    expect_eq(update(5, DATA & ~(1ull << 47)), 0);
    expect_eq(load_ds(40 | 3), VEC_NP);
    expect_eq(last_trap.error, 40);
    expect_eq(hc_update_descriptor(virt_to_maddr(gdt) + 4, DATA), -XEN_EINVAL);
    expect(hc_update_descriptor(0xfee00000, DATA) < 0);
    expect(hc_update_descriptor(0xffffffffff000, DATA) < 0);
    expect(hc_update_descriptor(virt_to_maddr(kernel_l4()), DATA) < 0);
}

/* A far jump through our own code descriptor, as kernels do for their own CS. */
static void check_code(void)
{
    uint16_t cs;

    need_eq(update(6, CODE64), 0);
    asm volatile("push $0x33; lea 1f(%%rip), %%rax; push %%rax; lretq; 1: mov %%cs, %0;"
                 "push $0xe033; lea 2f(%%rip), %%rax; push %%rax; lretq; 2:"
                 : "=r"(cs)::"rax", "memory");
    expect_eq(cs, 0x33);
}

static void check_ldt(void)
{
    uint64_t *ldt = page_alloc();
    struct mmuext_op op = {.cmd = MMUEXT_SET_LDT, .arg1.linear_addr = UL(ldt), .arg2.nr_ents = 8};

    ldt[1] = DATA;
    ldt[2] = 0x0000890000000067; /* a TSS: such a page never becomes an LDT */
    need_eq(page_set_ro(ldt), 0);
    expect_eq(hc_mmuext_op(&op, 1, NULL, DOMID_SELF), 0);
    expect_eq(load_ds(8 | 7), VEC_PF); /* refused when its page is first looked at */
    expect_eq(last_trap.cr2, UL(ldt) + 8);
    expect_eq(last_trap.error & ~1ul, 0);
    need_eq(page_set_rw(ldt), 0);
    ldt[2] = 0;
    need_eq(page_set_ro(ldt), 0);
    expect_eq(load_ds(8 | 7), NO_TRAP);
    expect_eq(load_ds(16 | 7), VEC_GP);
    expect_eq(last_trap.error, 16 | 4);
    expect(page_set_rw(ldt) < 0);
    expect_eq(hc_update_descriptor(virt_to_maddr(&ldt[3]), DATA), 0);
    expect_eq(load_ds(24 | 7), NO_TRAP);
    op.arg2.nr_ents = 8193;
    expect_eq(hc_mmuext_op(&op, 1, NULL, DOMID_SELF), -XEN_EINVAL);
    op.arg2.nr_ents = 8;
    op.arg1.linear_addr = UL(ldt) + 8;
    expect_eq(hc_mmuext_op(&op, 1, NULL, DOMID_SELF), -XEN_EINVAL);
    op.arg1.linear_addr = 0xffff830000000000;
    expect_eq(hc_mmuext_op(&op, 1, NULL, DOMID_SELF), -XEN_EINVAL);
    op.arg1.linear_addr = 0;
    op.arg2.nr_ents = 0;
    expect_eq(hc_mmuext_op(&op, 1, NULL, DOMID_SELF), 0);
    expect_eq(load_ds(8 | 7), VEC_GP);
    expect_eq(page_set_rw(ldt), 0);
}

void test_main(void)
{
    check_set_gdt();
    check_updates();
    check_code();
    check_ldt();
    expect_eq(hc_set_gdt(NULL, 0), 0);
    expect_eq(load_ds(8 | 3), VEC_GP);
    expect_eq(page_set_rw(gdt), 0);
    test_pass();
}
