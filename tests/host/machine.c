/* SPDX-License-Identifier: MIT */
/* The simulated processors and their memory. RAM is one reserved area that the direct map names;
 * guests' page tables lie in it and are walked here. Intel SDM vol. 3A, 4.5 and 4.6. */
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "machine.h"
#include "base/lock.h"
#include "base/log.h"
#include "base/panic.h"
#include "base/percpu.h"
#include "lib/errno.h"
#include "lib/string.h"

#define MSR_MAX   160
#define CPUID_MAX 64
#define GIB       (1ul << 30)

struct msr {
    uint32_t number;
    bool present;
    uint64_t val;
};

struct cpuid_entry {
    uint32_t leaf, subleaf;
    struct cpuid_leaf val;
};

uintptr_t host_va_m2p_ro, host_va_m2p, host_va_frames, host_va_perdomain, host_va_vmap,
    host_va_direct;
uintptr_t host_va_direct_end;
size_t host_ram_bytes;
__thread struct cpu_local *host_cpu_local;
struct host_cpu host_cpus[HOST_CPUS];
uint64_t host_tsc = 1, host_tsc_step = 1;
void (*host_msr_hook)(uint32_t msr, bool write, uint64_t *val);
void (*host_window_hook)(void);
jmp_buf *host_stop_jump;

static struct msr msrs[HOST_CPUS][MSR_MAX];
static struct cpuid_entry cpuid_table[CPUID_MAX];
static unsigned cpuid_count;
static void *percpu_area[HOST_CPUS], *cpu_block[HOST_CPUS];
static uint32_t log_index;
static __thread uint64_t pauses;

/* ---- expected and unexpected ends ---- */

const char *host_log(void)
{
    static char text[65536 + 1];
    size_t n = log_read(&log_index, text, sizeof(text) - 1);

    text[n] = 0;
    return text;
}

static noreturn void die(const char *why, uint64_t what)
{
    fprintf(stderr, "host machine: %s %#lx\n", why, what);
    abort();
}

noreturn void cpu_stop(void)
{
    panic_reset();
    if (host_stop_jump) {
        lock_checks_reset();
        longjmp(*host_stop_jump, 1);
    }
    fputs(host_log(), stderr);
    die("CPU stopped:", host_cpu_local->id);
}

void hw_triple_fault(void)
{
    cpu_stop();
}

/* ---- the processor ---- */

struct host_cpu *host_cpu(void)
{
    return &host_cpus[host_cpu_local->id];
}

void host_cpu_select(unsigned n)
{
    host_cpu_local = host_cpus[n].local;
}

void cpu_pause(void)
{
    __atomic_add_fetch(&host_tsc, host_tsc_step, __ATOMIC_SEQ_CST);
    /* Other CPUs are threads, maybe more than the host has cores. */
    if (++pauses % 16 == 0)
        sched_yield();
    /* Nobody will ever change what we wait for: a deadlock of the code under test. */
    if (pauses > 200000000)
        die("endless wait on CPU", host_cpu_local->id);
}

void interrupts_disable(void)
{
    host_cpu()->interrupts = false;
}

void interrupts_enable(void)
{
    host_cpu()->interrupts = true;
}

bool interrupts_enabled(void)
{
    return host_cpu()->interrupts;
}

void interrupts_window(void)
{
    host_cpu()->interrupts = true;
    if (host_window_hook)
        host_window_hook();
    host_cpu()->interrupts = false;
}

void cpu_idle_halt(void)
{
    interrupts_window();
}

uint64_t rdtsc(void)
{
    return __atomic_add_fetch(&host_tsc, host_tsc_step, __ATOMIC_SEQ_CST) + host_cpu()->tsc_adjust;
}

uint64_t rdtsc_ordered(void)
{
    return rdtsc();
}

struct cpuid_leaf hw_cpuid(uint32_t leaf, uint32_t subleaf)
{
    for (unsigned i = 0; i < cpuid_count; i++)
        if (cpuid_table[i].leaf == leaf && cpuid_table[i].subleaf == subleaf)
            return cpuid_table[i].val;
    return (struct cpuid_leaf){0};
}

void host_cpuid_set(uint32_t leaf, uint32_t subleaf, struct cpuid_leaf val)
{
    unsigned i;

    for (i = 0; i < cpuid_count; i++)
        if (cpuid_table[i].leaf == leaf && cpuid_table[i].subleaf == subleaf)
            break;
    if (i == CPUID_MAX)
        die("too many CPUID leaves", leaf);
    cpuid_table[i] = (struct cpuid_entry){leaf, subleaf, val};
    if (i == cpuid_count)
        cpuid_count++;
}

uint64_t *host_cr(unsigned n)
{
    return &host_cpu()->cr[n];
}

uint64_t *host_dr(unsigned n)
{
    return &host_cpu()->dr[n];
}

uint64_t read_cr3(void)
{
    return host_cpu()->cr[3];
}

static bool pcid_on(void)
{
    return host_cpu()->cr[4] & CR4_PCIDE;
}

static unsigned pcid_loaded(void)
{
    return pcid_on() ? (unsigned)(host_cpu()->cr[3] & CR3_PCID_MASK) : 0;
}

/* SDM vol. 3A, 4.10.4.1, of which each function below is a paragraph. */
void write_cr3(uint64_t v)
{
    bool keep = pcid_on() && v & CR3_NOFLUSH;

    if (v & CR3_NOFLUSH && !pcid_on())
        die("bit 63 of CR3 without PCIDs:", v);
    host_cpu()->cr[3] = v & ~CR3_NOFLUSH;
    if (keep)
        return;
    host_cpu()->flushes++;
    host_tlb_drop(pcid_loaded(), false);
}

uint64_t read_cr4(void)
{
    return host_cpu()->cr[4];
}

void write_cr4(uint64_t v)
{
    uint64_t change = v ^ host_cpu()->cr[4];

    if (change & v & CR4_PCIDE && host_cpu()->cr[3] & CR3_PCID_MASK)
        die("CR4.PCIDE is set while CR3 names a PCID:", host_cpu()->cr[3]);
    host_cpu()->cr[4] = v;
    if (!(change & CR4_PGE) && !(change & ~v & CR4_PCIDE))
        return;
    host_cpu()->flushes += !(v & CR4_PGE); /* off and on is one */
    host_tlb_drop(HOST_TLB_ANY, true);
}

void cpu_clts(void)
{
    host_cpu()->cr[0] &= ~CR0_TS;
}

void hw_invlpg(uint64_t va)
{
    host_cpu()->invalidations++;
    host_tlb_drop_page(pcid_loaded(), va, true);
}

void hw_invpcid(uint64_t type, uint64_t pcid, uint64_t va)
{
    if (type > INVPCID_ALL || pcid > CR3_PCID_MASK || (pcid && !pcid_on()))
        die("INVPCID of", pcid);
    if (type == INVPCID_ADDRESS)
        host_tlb_drop_page((unsigned)pcid, va, false);
    else if (type == INVPCID_CONTEXT)
        host_tlb_drop((unsigned)pcid, false);
    else
        host_tlb_drop(HOST_TLB_ANY, true);
    host_cpu()->flushes += type == INVPCID_ALL;
}

void hw_wbinvd(void)
{
}

void hw_copy(void *to, const void *from, size_t n)
{
    memmove(to, from, n);
}

void hw_clear_page(void *page)
{
    memset(page, 0, PAGE_SIZE);
}

/* ---- MSRs ---- */

static struct msr *find_msr(uint32_t number)
{
    struct msr *table = msrs[host_cpu_local->id];

    for (unsigned i = 0; i < MSR_MAX; i++)
        if (table[i].present && table[i].number == number)
            return &table[i];
    return NULL;
}

void host_msr_set(uint32_t number, uint64_t val)
{
    struct msr *m = find_msr(number), *table = msrs[host_cpu_local->id];

    for (unsigned i = 0; !m && i < MSR_MAX; i++)
        if (!table[i].present)
            m = &table[i];
    if (!m)
        die("too many MSRs", number);
    *m = (struct msr){number, true, val};
}

void host_msr_remove(uint32_t number)
{
    struct msr *m = find_msr(number);

    if (m)
        m->present = false;
}

/* The MSRs that are fields of struct host_cpu. */
static uint64_t *special_msr(uint32_t number)
{
    switch (number) {
    case MSR_FS_BASE:
        return &host_cpu()->fs_base;
    case MSR_GS_BASE:
        return &host_cpu()->gs_base;
    case MSR_KERNEL_GS_BASE:
        return &host_cpu()->gs_kernel;
    case MSR_TSC:
        return &host_tsc;
    case MSR_TSC_ADJUST:
        return &host_cpu()->tsc_adjust;
    }
    return NULL;
}

static bool msr_access(uint32_t number, bool write, uint64_t *val)
{
    struct msr *m = find_msr(number);
    uint64_t *p = special_msr(number);

    if (!p && m)
        p = &m->val;
    if (!p)
        return false;
    if (host_msr_hook)
        host_msr_hook(number, write, write ? val : p);
    if (write)
        *p = *val;
    else
        *val = *p;
    return true;
}

int rdmsr_safe(uint32_t msr, uint64_t *val)
{
    return msr_access(msr, false, val) ? 0 : -EFAULT;
}

int wrmsr_safe(uint32_t msr, uint64_t val)
{
    return msr_access(msr, true, &val) ? 0 : -EFAULT;
}

uint64_t rdmsr(uint32_t msr)
{
    uint64_t val;

    if (!msr_access(msr, false, &val))
        die("read of missing MSR", msr);
    return val;
}

void wrmsr(uint32_t msr, uint64_t val)
{
    if (!msr_access(msr, true, &val))
        die("write of missing MSR", msr);
}

/* ---- segments ---- */

void hw_lgdt(const struct table_register *t)
{
    host_cpu()->gdt = *t;
}

void hw_lidt(const struct table_register *t)
{
    host_cpu()->idt = *t;
}

void hw_lldt(uint16_t sel)
{
    host_cpu()->ldt = sel;
}

void hw_ltr(uint16_t sel)
{
    host_cpu()->tr = sel;
}

/* A selector loads unless its table index lies beyond the GDT; there are no descriptors to see. */
#define SEGMENT(s)                                       \
    uint16_t read_##s(void)                              \
    {                                                    \
        return host_cpu()->s;                            \
    }                                                    \
    int load_##s##_safe(uint16_t sel)                    \
    {                                                    \
        bool good = (sel | 7u) <= host_cpu()->gdt.limit; \
        host_cpu()->s = good ? sel : 0;                  \
        return good ? 0 : -EFAULT;                       \
    }
SEGMENT(ds)
SEGMENT(es)
SEGMENT(fs)
SEGMENT(gs)

void hw_swapgs(void)
{
    uint64_t v = host_cpu()->gs_base;

    host_cpu()->gs_base = host_cpu()->gs_kernel;
    host_cpu()->gs_kernel = v;
}

uint64_t hw_rdfsbase(void)
{
    return host_cpu()->fs_base;
}

uint64_t hw_rdgsbase(void)
{
    return host_cpu()->gs_base;
}

void hw_wrfsbase(uint64_t v)
{
    host_cpu()->fs_base = v;
}

void hw_wrgsbase(uint64_t v)
{
    host_cpu()->gs_base = v;
}

/* ---- extended state: x87 and SSE in the legacy area, AVX behind the header ---- */

uint64_t hw_xgetbv(uint32_t index)
{
    return host_cpu()->xcr0;
}

int xsetbv_safe(uint32_t index, uint64_t val)
{
    if (index || !(val & 1) || (val & ~7ul) || (val & 6) == 4)
        return -EFAULT;
    host_cpu()->xcr0 = val;
    return 0;
}

void hw_xsave(void *area, uint64_t mask)
{
    uint64_t have = mask & host_cpu()->xcr0;

    memcpy(area, host_cpu()->xstate, have & 4 ? 832 : 512);
    memcpy((char *)area + 512, &have, sizeof(have));
}

void hw_fxsave(void *area)
{
    memcpy(area, host_cpu()->xstate, 512);
}

void hw_fninit(void)
{
}

int xrstor_safe(const void *area, uint64_t mask)
{
    uint64_t header[8];

    memcpy(header, (const char *)area + 512, sizeof(header));
    if (header[0] & ~host_cpu()->xcr0)
        return -EFAULT;
    for (unsigned i = 1; i < 8; i++)
        if (header[i])
            return -EFAULT;
    memcpy(host_cpu()->xstate, area, host_cpu()->xcr0 & 4 ? 832 : 512);
    return 0;
}

int fxrstor_safe(const void *area)
{
    memcpy(host_cpu()->xstate, area, 512);
    return 0;
}

/* ---- guest memory ---- */

void *host_ram(paddr_t p)
{
    if (p >= host_ram_bytes)
        die("no RAM at", p);
    return (void *)(host_va_direct + p);
}

/* The place in RAM of a user page's byte, NULL where the processor would fault. */
static void *walk(uint64_t va, bool write)
{
    paddr_t table = read_cr3() & PTE_ADDR_MASK;
    uint64_t size, rights = PTE_P | PTE_U | (write ? PTE_RW : 0), all = PTE_RW, known;

    if (host_tlb && host_tlb_find(pcid_loaded(), va, &known)) {
        if ((known & rights) == rights)
            return host_ram((known & PTE_ADDR_MASK) | va % PAGE_SIZE);
        host_tlb_drop_page(pcid_loaded(), va, false); /* as every fault does, 4.10.4.1 */
        return NULL;
    }
    for (unsigned level = 4;; level--) {
        uint64_t pte, *p;

        if (table >= host_ram_bytes)
            return NULL;
        p = (uint64_t *)(host_va_direct + table) + pt_index(va, level);
        pte = *p;
        if ((pte & rights) != rights)
            return NULL;
        size = 1ul << PT_SHIFT(level);
        *p |= PTE_A;
        all &= pte;
        if (level == 1 || (pte & PTE_PSE && level < 4)) {
            *p |= write ? PTE_D : 0;
            table = (pte & PTE_ADDR_MASK & ~(size - 1)) | (va & (size - 1));
            if (table >= host_ram_bytes)
                return NULL;
            if (host_tlb)
                host_tlb_fill(pcid_loaded(), va,
                              (table & PTE_ADDR_MASK) | PTE_P | PTE_U | all | (pte & PTE_G));
            return (void *)(host_va_direct + table);
        }
        table = pte & PTE_ADDR_MASK;
    }
}

/* Goes through [va, va + n) page by page; from and to are NULL or this process's end of it. */
static size_t guest_access(uint64_t va, size_t n, void *to, const void *from, bool write)
{
    while (n) {
        size_t part = min(n, PAGE_SIZE - va % PAGE_SIZE);
        void *p = walk(va, write);

        if (!p)
            break;
        if (to)
            memcpy(to, p, part);
        else if (from)
            memcpy(p, from, part);
        else
            memset(p, 0, part);
        to = to ? (char *)to + part : NULL;
        from = from ? (const char *)from + part : NULL;
        va += part;
        n -= part;
    }
    return n;
}

size_t hw_copy_from_guest(void *dst, uint64_t va, size_t n)
{
    return guest_access(va, n, dst, NULL, false);
}

size_t hw_copy_to_guest(uint64_t va, const void *src, size_t n)
{
    return guest_access(va, n, NULL, src, true);
}

size_t hw_clear_guest(uint64_t va, size_t n)
{
    return guest_access(va, n, NULL, NULL, true);
}

int hw_read_guest_u64(uint64_t va, uint64_t *val)
{
    return hw_copy_from_guest(val, va, sizeof(*val)) ? -EFAULT : 0;
}

int hw_write_guest_u64(uint64_t va, uint64_t val)
{
    return hw_copy_to_guest(va, &val, sizeof(val)) ? -EFAULT : 0;
}

void host_map_guest(paddr_t root, paddr_t *next_table, uint64_t va, uint64_t pte)
{
    uint64_t *table = host_ram(root);

    for (unsigned level = 4; level > 1; level--) {
        uint64_t *p = &table[pt_index(va, level)];

        if (!(*p & PTE_P)) {
            *p = *next_table | PTE_P | PTE_RW | PTE_U;
            *next_table += PAGE_SIZE;
        }
        table = host_ram(*p & PTE_ADDR_MASK);
    }
    table[pt_index(va, 1)] = pte;
}

/* ---- start ---- */

static uintptr_t reserve(size_t size)
{
    /* Aligned to 2 MiB, as the real regions are. */
    void *p = mmap(NULL, size + 0x200000, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    if (p == MAP_FAILED)
        die("cannot reserve", size);
    return ROUND_UP((uintptr_t)p, 0x200000ul);
}

static void drop(uintptr_t start, size_t size)
{
    if (start && madvise((void *)start, size, MADV_DONTNEED))
        die("cannot empty", start);
}

static void init_memory(size_t ram_bytes)
{
    if (!host_va_m2p) {
        host_va_m2p_ro = reserve(GIB);
        host_va_m2p = reserve(GIB);
        host_va_frames = reserve(4 * GIB);
        host_va_perdomain = reserve(GIB);
        host_va_vmap = reserve(GIB);
        host_va_direct = reserve(16 * GIB);
    } else {
        drop(host_va_m2p, GIB);
        drop(host_va_frames, 4 * GIB);
        drop(host_va_perdomain, GIB);
        drop(host_va_vmap, GIB);
        drop(host_va_direct, 16 * GIB);
    }
    host_ram_bytes = ram_bytes;
    host_va_direct_end = host_va_direct + 16 * GIB;
}

static void init_msrs(void)
{
    static const uint32_t zero[] = {
        MSR_TSC_ADJUST,   MSR_SPEC_CTRL,    MSR_PRED_CMD,      MSR_UCODE_REV,  MSR_SYSENTER_CS,
        MSR_SYSENTER_ESP, MSR_SYSENTER_EIP, MSR_MCG_CAP,       MSR_MCG_STATUS, MSR_MISC_ENABLE,
        MSR_DEBUGCTL,     MSR_MTRRCAP,      MSR_MTRR_DEF_TYPE, MSR_STAR,       MSR_LSTAR,
        MSR_CSTAR,        MSR_SYSCALL_MASK, MSR_TSC_AUX,       MSR_SYSCFG,     MSR_HWCR,
        MSR_NB_CFG,       MSR_TSC_DEADLINE, MSR_PLATFORM_ID,   MSR_XSS,        MSR_DR0_MASK,
        MSR_DR1_MASK,     MSR_DR1_MASK + 1, MSR_DR1_MASK + 2,
    };

    memset(msrs[host_cpu_local->id], 0, sizeof(msrs[0]));
    for (unsigned i = 0; i < ARRAY_SIZE(zero); i++)
        host_msr_set(zero[i], 0);
    host_msr_set(MSR_EFER, EFER_SCE | EFER_LME | EFER_LMA | EFER_NX);
    host_msr_set(MSR_PAT, PAT_VALUE);
    host_msr_set(MSR_APIC_BASE, 0xfee00000 | APIC_BASE_ENABLE);
}

/* A family 17h processor of AMD without surprises. */
static void init_cpuid(void)
{
    cpuid_count = 0;
    host_cpuid_set(0, 0, (struct cpuid_leaf){0xd, 0x68747541, 0x444d4163, 0x69746e65});
    host_cpuid_set(1, 0, (struct cpuid_leaf){0x00800f12, 0x00010800, 0x76f83203, 0x178bfbff});
    host_cpuid_set(6, 0, (struct cpuid_leaf){4, 0, 0, 0});
    host_cpuid_set(7, 0, (struct cpuid_leaf){0, 0x209c01a9, 0, 0});
    host_cpuid_set(0xd, 0, (struct cpuid_leaf){7, 832, 832, 0});
    host_cpuid_set(0xd, 2, (struct cpuid_leaf){256, 576, 0, 0});
    host_cpuid_set(0x80000000, 0,
                   (struct cpuid_leaf){0x80000008, 0x68747541, 0x444d4163, 0x69746e65});
    host_cpuid_set(0x80000001, 0, (struct cpuid_leaf){0x00800f12, 0, 0x35c233ff, 0x2fd3fbff});
    host_cpuid_set(0x80000007, 0, (struct cpuid_leaf){0, 0, 0, 0x100});
    host_cpuid_set(0x80000008, 0, (struct cpuid_leaf){0x3030, 0, 0, 0});
}

static void init_cpu(unsigned n)
{
    struct host_cpu *c = &host_cpus[n];

    free(cpu_block[n]);
    free(percpu_area[n]);
    cpu_block[n] = aligned_alloc(CPU_BLOCK_SIZE, CPU_BLOCK_SIZE);
    percpu_area[n] = aligned_alloc(64, max(percpu_size(), (size_t)64));
    if (!cpu_block[n] || !percpu_area[n])
        die("no memory for CPU", n);
    memset(cpu_block[n], 0, CPU_BLOCK_SIZE);
    percpu_init(n, percpu_area[n]);
    *c = (struct host_cpu){
        .cr = {CR0_PE | CR0_PG | CR0_WP | CR0_NE | CR0_ET | CR0_MP, 0, 0, 0,
               CR4_PAE | CR4_PGE | CR4_OSFXSR | CR4_OSXMMEXCPT | CR4_OSXSAVE},
        .dr = {[6] = 0xffff0ff0, [7] = 0x400},
        .gdt.limit = 0xffff,
        .xcr0 = 7,
    };
    c->local =
        (struct cpu_local *)((char *)cpu_block[n] + CPU_BLOCK_SIZE - sizeof(struct cpu_local));
    c->local->id = n;
    c->local->percpu_offset = percpu_offset[n];
    cpu_locals[n] = c->local;
    bitmap_set(cpus_present.bits, n);
    bitmap_set(cpus_online.bits, n);
    bitmap_set(cpus_active.bits, n);
}

void host_machine_init(size_t ram_bytes, unsigned cpus)
{
    if (cpus < 1 || cpus > HOST_CPUS || ram_bytes > 16 * GIB)
        die("a machine cannot have this many CPUs:", cpus);
    bitmap_zero(cpus_present.bits, MAX_CPUS);
    bitmap_zero(cpus_online.bits, MAX_CPUS);
    bitmap_zero(cpus_active.bits, MAX_CPUS);
    init_memory(ram_bytes);
    host_tlb_reset();
    init_cpuid();
    host_devices_reset();
    for (unsigned n = 0; n < cpus; n++) {
        init_cpu(n);
        host_cpu_select(n);
        init_msrs();
    }
    cpu_count = cpus;
    host_cpu_select(0);
    host_tsc = host_tsc_step = 1;
    host_msr_hook = NULL;
    host_window_hook = NULL;
    host_stop_jump = NULL;
    lock_checks_reset();
}

static __attribute__((constructor)) void start(void)
{
    host_machine_init(64 << 20, 1);
}
