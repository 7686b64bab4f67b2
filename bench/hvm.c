/* SPDX-License-Identifier: MIT */
/* The same for a fully virtual guest: what it costs to leave it and to come back. It runs as PVH
 * domain 0; see bench.c. */
#include "hvm/lib/hvm.h"
#include "bench.h"

#define APIC      0xfee00000ul
#define MSR_EFER  0xc0000080u
#define MSR_MTRR  0x2ffu
#define CR4_PGE   0x80ul
#define LAPIC_TPR 0x80
#define LAPIC_SVR 0xf0
#define LAPIC_ICR 0x300
#define LAPIC_EOI 0x0b0
#define VECTOR    0x60

static volatile uint32_t *lapic(unsigned int reg)
{
    return (void *)(APIC + reg);
}

static bool interrupt(struct regs *regs)
{
    *lapic(LAPIC_EOI) = 0;
    return true;
}

static void self_interrupt(void)
{
    *lapic(LAPIC_ICR) = 0x40000 | VECTOR;
    asm volatile("nop; nop");
}

static long give_and_take(uint64_t frame)
{
    xen_pfn_t gfn = frame;
    struct xen_memory_reservation r = {.nr_extents = 1, .domid = DOMID_SELF};

    set_xen_guest_handle(r.extent_start, &gfn);
    hc_memory_op(XENMEM_decrease_reservation, &r);
    return hc_memory_op(XENMEM_populate_physmap, &r);
}

void test_main(void)
{
    uint64_t cr4 = read_cr4();

    bench_begin();
    trap_hook(VECTOR, interrupt);
    *lapic(LAPIC_SVR) = 0x1ff;

    BENCH("hvm_null_hypercall", , hc_xen_version(XENVER_version, NULL));
    BENCH("hvm_cpuid", , cpuid(1, 0));
    BENCH("hvm_rdmsr", , asm volatile("rdmsr" ::"c"(MSR_EFER) : "rax", "rdx"));
    BENCH("hvm_wrmsr", , asm volatile("wrmsr" ::"c"(MSR_MTRR), "a"(0xc06), "d"(0)));
    BENCH("hvm_cr4", , asm volatile("mov %0, %%cr4" ::"r"(cr4 ^= CR4_PGE)));
    BENCH("hvm_lapic_read", , (void)*lapic(LAPIC_TPR));
    asm volatile("sti");
    BENCH("hvm_self_ipi", , self_interrupt());
    asm volatile("cli");
    BENCH("hvm_give_and_take", , give_and_take(first_free_frame()));
    test_pass();
}
