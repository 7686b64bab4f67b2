/* SPDX-License-Identifier: MIT */
/* One CPU's tables and control registers. The descriptor page holds Argon's own segments at the
 * selectors that are ABI; each vCPU's GDT window shows it behind the guest's frames. */
#include "cpu/cpu.h"

#include "base/log.h"
#include "base/panic.h"
#include "cpu/spec.h"
#include "cpu/spec_site.h"
#include "cpu/traps.h"
#include "cpu/xpti.h"
#include "hw/ops.h"
#include "lib/string.h"
#include "memory/heap.h"
#include "memory/layout.h"
#include "memory/map.h"
#include "memory/tlb.h"

/* What a site of the entry path is, and what it becomes. */
#define JMP_SHORT   0xeb
#define NOP2_FIRST  0x66
#define NOP2_SECOND 0x90

#define STUB_BYTES 64u /* two of these for a CPU: LSTAR and CSTAR */

/* RFLAGS cleared by SYSCALL. */
#define SYSCALL_CLEARS                                                                     \
    (RFLAGS_TF | RFLAGS_IF | RFLAGS_DF | RFLAGS_IOPL | RFLAGS_NT | RFLAGS_RF | RFLAGS_VM | \
     RFLAGS_AC)

struct descriptor_page {
    uint64_t entry[GDT_RESERVED_ENTRIES];
    struct tss tss;
} aligned(4096);

struct gate cpu_idt[256] aligned(4096); /* a page of its own: cpu/xpti.c shows it */
static uint64_t syscall_scratch[MAX_CPUS][8] aligned(4096); /* a cache line each, nothing else */

extern char entry_exceptions[], entry_interrupts[], entry_nmi[], entry_double_fault[];
extern char entry_debug[], entry_machine_check[], entry_syscall[], entry_syscall32[];
extern char __syscall_stubs[];
extern const int32_t __start_smap_sites[], __stop_smap_sites[];
extern const int32_t __start_spec_sites[], __stop_spec_sites[];
extern const int32_t __start_indirect_thunks[], __stop_indirect_thunks[];

static void *text_alias(const void *text)
{
    unsigned level;
    uint64_t va = (uintptr_t)text, pte = map_lookup(va, &level);

    return (char *)mfn_to_virt(pte_mfn(pte)) + (va & ((1ul << PT_SHIFT(level)) - 1));
}

static void gate_set(unsigned vector, const void *handler, unsigned ist, unsigned dpl)
{
    uint64_t a = (uintptr_t)handler;

    cpu_idt[vector] = (struct gate){
        .offset_low = (uint16_t)a,
        .selector = SEL_HV_CS,
        .ist = (uint8_t)ist,
        .type = (uint8_t)(0x8e | dpl << 5),
        .offset_mid = (uint16_t)(a >> 16),
        .offset_high = (uint32_t)(a >> 32),
    };
}

static void idt_build(void)
{
    for (unsigned v = 0; v < 32; v++)
        gate_set(v, entry_exceptions + 16 * v, 0, 0);
    /* Vectors that guests raise by instruction come straight in; pv/ checks the guest's own DPL.
     * An INT n through a DPL-0 gate arrives as #GP, whose error code QEMU before 8.0 gets wrong. */
    gate_set(VEC_BP, entry_exceptions + 16 * VEC_BP, 0, 3);
    gate_set(VEC_OF, entry_exceptions + 16 * VEC_OF, 0, 3);
    for (unsigned v = 32; v < 256; v++)
        gate_set(v, entry_interrupts + 16 * (v - 32), 0, v == 0x80 || v == 0x82 ? 3 : 0);
    gate_set(VEC_DB, entry_debug, IST_DB, 0);
    gate_set(VEC_NMI, entry_nmi, IST_NMI, 0);
    gate_set(VEC_DF, entry_double_fault, IST_DF, 0);
    gate_set(VEC_MC, entry_machine_check, IST_MC, 0);
}

/* SYSCALL leaves the guest's stack pointer in place. The stub keeps it in this CPU's scratch word,
 * takes the stack pointer that makes a frame at cpu_local()->guest, and goes to `target`. */
static void stub_write(void *at, const void *target, uint64_t *scratch, uint64_t frame_end)
{
    uint8_t *code = text_alias(at), *p = code;
    uintptr_t base = (uintptr_t)at;

#define EMIT(...)                               \
    do {                                        \
        const uint8_t bytes_[] = {__VA_ARGS__}; \
        memcpy(p, bytes_, sizeof(bytes_));      \
        p += sizeof(bytes_);                    \
    } while (0)
#define EMIT_REL32(to)                                                                  \
    do {                                                                                \
        int32_t rel_ = (int32_t)((uintptr_t)(to) - (base + (uintptr_t)(p - code) + 4)); \
        memcpy(p, &rel_, 4);                                                            \
        p += 4;                                                                         \
    } while (0)
    EMIT(0x48, 0x89, 0x25); /* mov %rsp, scratch(%rip) */
    EMIT_REL32(scratch);
    EMIT(0x48, 0xbc); /* movabs $frame_end, %rsp */
    memcpy(p, &frame_end, 8);
    p += 8;
    EMIT(0x68, SEL_GUEST_SS & 0xff, SEL_GUEST_SS >> 8, 0, 0); /* push $SEL_GUEST_SS */
    EMIT(0xff, 0x35);                                         /* push scratch(%rip) */
    EMIT_REL32(scratch);
    EMIT(0x41, 0x53); /* push %r11 */
    EMIT(0xe9);       /* jmp target */
    EMIT_REL32(target);
    BUG_ON(p - code > (int)STUB_BYTES);
#undef EMIT
#undef EMIT_REL32
}

static void patch_smap_sites(void)
{
    for (const int32_t *s = __start_smap_sites; s < __stop_smap_sites; s += 2) {
        uint8_t *code = text_alias((const char *)s + s[0]);

        code[0] = 0x0f;
        code[1] = 0x01;
        code[2] = (uint8_t)s[1];
    }
}

/* Switches on the pieces of entry and exit that this processor needs. */
static void patch_spec_sites(void)
{
    const bool on[SPEC_SITE_COUNT] = {
        [SPEC_SITE_ENTRY] = xpti_active || spec_rsb,
        [SPEC_SITE_EXIT] = xpti_active || spec_verw,
        [SPEC_SITE_XPTI] = xpti_active,
        [SPEC_SITE_RSB] = spec_rsb,
        [SPEC_SITE_VERW] = spec_verw,
    };

    for (const int32_t *s = __start_spec_sites; s < __stop_spec_sites; s += 2) {
        uint8_t *code = text_alias((const char *)s + s[0]);

        if (code[0] != JMP_SHORT)
            panic("a site of the entry path is not what it should be");
        if (on[s[1]]) {
            code[0] = NOP2_FIRST;
            code[1] = NOP2_SECOND;
        }
    }
}

static void patch_thunks(void)
{
    for (const int32_t *s = __start_indirect_thunks; s < __stop_indirect_thunks; s++) {
        uint8_t *code = text_alias((const char *)s + *s), form[SPEC_THUNK_BYTES];

        if (spec_thunk_write(spec_thunk, code, form))
            panic("an indirect thunk is not what it should be");
        memcpy(code, form, sizeof(form));
    }
}

static struct descriptor_page *descriptors_make(struct cpu_local *cpu)
{
    struct descriptor_page *page = heap_page();
    uintptr_t block = (uintptr_t)(cpu + 1) - CPU_BLOCK_SIZE;
    uint64_t tss;

    BUG_ON(!page);
    page->entry[(SEL_HV_CS - GDT_RESERVED_OFFSET) / 8] = DESC_HV_CS64;
    page->entry[(SEL_HV_SS - GDT_RESERVED_OFFSET) / 8] = DESC_HV_DATA;
    page->entry[(SEL_GUEST_CS32 - GDT_RESERVED_OFFSET) / 8] = DESC_RING3_CS32;
    page->entry[(SEL_GUEST_SS - GDT_RESERVED_OFFSET) / 8] = DESC_RING3_DATA;
    page->entry[(SEL_GUEST_CS64 - GDT_RESERVED_OFFSET) / 8] = DESC_RING3_CS64;

    page->tss.rsp[0] = (uintptr_t)&cpu->guest + sizeof(cpu->guest);
    page->tss.ist[IST_NMI - 1] = block + CPU_STACK_NMI * PAGE_SIZE;
    page->tss.ist[IST_DB - 1] = block + CPU_STACK_DB * PAGE_SIZE;
    page->tss.ist[IST_DF - 1] = block + CPU_STACK_DF * PAGE_SIZE;
    page->tss.ist[IST_MC - 1] = block + CPU_STACK_MC * PAGE_SIZE;
    page->tss.iomap = sizeof(page->tss); /* no bitmap: every port access of a guest faults */

    tss = (uintptr_t)&page->tss;
    page->entry[(SEL_TSS - GDT_RESERVED_OFFSET) / 8] =
        (sizeof(page->tss) - 1) | (tss & 0xffffff) << 16 | 0x89ull << 40 | (tss >> 24 & 0xff) << 56;
    page->entry[(SEL_TSS - GDT_RESERVED_OFFSET) / 8 + 1] = tss >> 32;
    return page;
}

static uint64_t cr4_wanted(void)
{
    uint64_t cr4 = CR4_PAE | CR4_PSE | CR4_OSFXSR | CR4_OSXMMEXCPT | CR4_MCE;

    cr4 |= cpu_has(X86_FEATURE_PGE) && !xpti_active ? CR4_PGE : 0;
    cr4 |= cpu_has(X86_FEATURE_XSAVE) ? CR4_OSXSAVE : 0;
    cr4 |= cpu_has(X86_FEATURE_SMEP) ? CR4_SMEP : 0;
    cr4 |= cpu_has(X86_FEATURE_UMIP) ? CR4_UMIP : 0;
    cr4 |= cpu_has(X86_FEATURE_FSGSBASE) ? CR4_FSGSBASE : 0;
    cr4 |= cpu_smap ? CR4_SMAP : 0;
    cr4 |= tlb_pcid ? CR4_PCIDE : 0; /* cr3 names no PCID yet: SDM vol. 3A, 4.10.1 */
    return cr4;
}

void cpu_init_tables(void)
{
    struct cpu_local *cpu = cpu_local();
    struct descriptor_page *page = descriptors_make(cpu);
    char *stub = __syscall_stubs + cpu->id * 2 * STUB_BYTES;
    uint64_t frame_end = (uintptr_t)&cpu->guest + sizeof(cpu->guest);
    uint64_t *scratch = syscall_scratch[cpu->id];

    if (!cpu_cr4) { /* the boot CPU decides for all */
        idt_build();
        cpu_smap = cpu_has(X86_FEATURE_SMAP);
        xpti_active = spec_xpti_dom0 || spec_xpti_domu;
        tlb_pcid = xpti_wants_pcid();
        if (xpti_active)
            log_info("hidden page tables: %s", tlb_pcid ? "PCIDs keep translations apart"
                                                        : "each change of tables drops the TLB");
        cpu_cr4 = cr4_wanted();
        cpu_efer = EFER_SCE | EFER_LME | EFER_LMA | EFER_NX;
        if (cpu_smap)
            patch_smap_sites();
        patch_spec_sites();
        patch_thunks();
    }
    this_cpu(gdt_mfn) = virt_to_mfn(page);
    hw_lgdt(&(struct table_register){.limit = GDT_LIMIT,
                                     .base = (uintptr_t)page - GDT_RESERVED_OFFSET});
    hw_reload_segments(SEL_HV_CS, SEL_HV_SS);
    hw_ltr(SEL_TSS);
    hw_lldt(0);
    hw_lidt(&(struct table_register){.limit = sizeof(cpu_idt) - 1, .base = (uintptr_t)cpu_idt});

    wrmsr(MSR_EFER, cpu_efer);
    write_cr0(CR0_PG | CR0_WP | CR0_NE | CR0_ET | CR0_MP | CR0_PE | CR0_AM);
    write_cr4(cpu_cr4);
    if (cpu_has(X86_FEATURE_PAT))
        wrmsr(MSR_PAT, PAT_VALUE);
    stub_write(stub, entry_syscall, scratch, frame_end);
    stub_write(stub + STUB_BYTES, entry_syscall32, scratch, frame_end);
    wrmsr(MSR_STAR, (uint64_t)SEL_GUEST_CS32 << 48 | (uint64_t)SEL_HV_CS << 32);
    wrmsr(MSR_LSTAR, (uintptr_t)stub);
    wrmsr(MSR_CSTAR, (uintptr_t)(stub + STUB_BYTES));
    wrmsr(MSR_SYSCALL_MASK, SYSCALL_CLEARS);
    cpu->verw_selector = SEL_HV_SS;
    if (xpti_active)
        xpti_cpu_init(xpti_tables_make(page, stub, scratch));
    if (cpu_vendor == CPU_INTEL || cpu_has(X86_FEATURE_SEP)) {
        wrmsr(MSR_SYSENTER_CS, 0); /* SYSENTER raises #GP: no guest has it */
    }
}
