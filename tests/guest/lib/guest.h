/* SPDX-License-Identifier: MIT */
/* What a guest test uses: results, console, traps with recovery, memory, events, time, user mode.
 *
 * A test is one C file with `void test_main(void)`. It runs as the only thing on vcpu 0 of domain
 * 0, in kernel mode, with a full trap table and all callbacks installed and events masked. It ends
 * by one of test_pass/skip/fail/error, which print one line and leave the machine. */
#ifndef GUEST_LIB_GUEST_H
#define GUEST_LIB_GUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <xen/xen.h>
#include <xen/version.h>
#include <xen/memory.h>
#include <xen/event_channel.h>
#include <xen/grant_table.h>
#include <xen/sched.h>
#include <xen/vcpu.h>
#include <xen/callback.h>
#include <xen/physdev.h>
#include <xen/platform.h>
#include <xen/features.h>
#include <xen/errno.h>
#include "lib/hypercall.h"

/* ---- results (result.c) ---- */

void test_main(void);
void test_pass(void) __attribute__((noreturn));
void test_skip(const char *reason) __attribute__((noreturn));
void test_fail(const char *fmt, ...) __attribute__((noreturn, format(printf, 1, 2)));
void test_error(const char *fmt, ...) __attribute__((noreturn, format(printf, 1, 2)));
/* From here on the right outcome is that the hypervisor ends this domain; the runner knows. */
void test_expect_crash(void);
/* Leave the machine: asks for a reboot, which ends QEMU under -no-reboot. */
void machine_exit(void) __attribute__((noreturn));

/* An expectation that does not hold prints a line that names it and turns the coming test_pass()
 * into a FAIL; the test goes on, so one run shows all that differs. */
extern unsigned int failures;
extern char first_failure[400];
void expect_failed(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#define expect_eq(expr, want)                                                                   \
    do {                                                                                        \
        long got_ = (long)(expr), want_ = (long)(want);                                         \
        if (got_ != want_)                                                                      \
            expect_failed("%s:%d: %s is %ld (%#lx), not %ld (%#lx)", __FILE__, __LINE__, #expr, \
                          got_, got_, want_, want_);                                            \
    } while (0)

#define expect(cond)                                                             \
    do {                                                                         \
        if (!(cond))                                                             \
            expect_failed("%s:%d: %s does not hold", __FILE__, __LINE__, #cond); \
    } while (0)

/* Steps that only prepare the test: a failure is an error of the test. */
#define need_eq(expr, want)                                                                  \
    do {                                                                                     \
        long got_ = (long)(expr), want_ = (long)(want);                                      \
        if (got_ != want_)                                                                   \
            test_error("%s:%d: %s is %ld, not %ld", __FILE__, __LINE__, #expr, got_, want_); \
    } while (0)

/* ---- console and strings (console.c) ---- */

int printf(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
int vsnprintf(char *buf, size_t size, const char *fmt, __builtin_va_list ap);
void *memset(void *dst, int c, size_t n);
void *memcpy(void *dst, const void *src, size_t n);
int memcmp(const void *a, const void *b, size_t n);
size_t strlen(const char *s);
int strncmp(const char *a, const char *b, size_t n);

/* ---- start of day ---- */

extern start_info_t *start_info;
extern uint64_t entry_tsc, boot_rsp, boot_rflags, boot_regs[12];
extern shared_info_t *shared_info; /* mapped by guest_main() */
extern char hypercall_page[4096];
long hypercall_page_call(unsigned long nr, unsigned long a1, unsigned long a2);

/* Not domain 0, but a guest of the toolstack: what is printed may be seen by nobody, so a test that
 * does not pass ends as a crash. */
extern bool unwatched;

/* vcpu 0's vcpu_info: in shared_info until a test moves it. */
extern vcpu_info_t *vcpu_info;

/* ---- traps (trap.c) ---- */

struct regs {
    uint64_t r15, r14, r13, r12, r11, r10, r9, r8, rdi, rsi, rbp, rbx, rdx, rcx, rax;
    uint64_t vector, error, rip, cs, rflags, rsp, ss;
};

enum vector {
    VEC_DE = 0,
    VEC_DB = 1,
    VEC_NMI = 2,
    VEC_BP = 3,
    VEC_OF = 4,
    VEC_UD = 6,
    VEC_NM = 7,
    VEC_TS = 10,
    VEC_NP = 11,
    VEC_SS = 12,
    VEC_GP = 13,
    VEC_PF = 14,
    VEC_MF = 16,
    VEC_AC = 17,
    VEC_XM = 19,
    VEC_EVENT = 256,
    VEC_FAILSAFE = 257,
    VEC_SYSCALL = 258,
    VEC_SYSCALL32 = 259,
    VEC_SYSENTER = 260,
    VEC_NMI_CALLBACK = 261,
    NR_VECTORS = 262,
};

#define NO_TRAP (-1)

/* What the last recovered or hooked trap looked like. vector is NO_TRAP when there was none since
 * trap_forget(). */
struct trap_record {
    long vector;
    uint64_t error, cr2, rip, cs, rflags, rsp;
    unsigned int count;
};
extern struct trap_record last_trap;
void trap_forget(void);

/* Handler of one vector; return true when dealt with (regs may be changed), false to go on to the
 * exception table and then to a dump and ERROR. NULL takes it away. */
typedef bool (*trap_hook_t)(struct regs *regs);
void trap_hook(unsigned int vector, trap_hook_t hook);

extern char trap_stubs[]; /* 16 bytes each, NR_VECTORS of them */
#define trap_stub(v) ((unsigned long)trap_stubs + 16ul * (v))
/* Install entry `vector` alone. flags: bits 0-1 DPL, 4 masks events. address 0 is not possible. */
long trap_set(unsigned int vector, unsigned int flags, unsigned long address);
void trap_init(void);
void regs_print(const struct regs *regs);
void regs_return(struct regs *regs) __attribute__((noreturn));

/* Inside an asm template: the instruction between the labels may fault and is then skipped. */
#define EX_ENTRY(from, to) \
    ".pushsection .ex_table, \"a\"\n\t.quad " from ", " to "\n\t.popsection\n\t"
#define TRY(insn) "771: " insn "\n772:\n\t" EX_ENTRY("771b", "772b")

/* Run one instruction (no operands) and say which vector it raised, or NO_TRAP. */
#define try_insn(insn)                             \
    ({                                             \
        trap_forget();                             \
        asm volatile(TRY(insn)::: "memory", "cc"); \
        last_trap.vector;                          \
    })

/* One load or store that may fault: NO_TRAP or the vector. */
long try_read(const volatile void *p, uint64_t *val);
long try_write(volatile void *p, uint64_t val);

/* ---- memory (memory.c) ---- */

#define PAGE_SIZE  4096ul
#define PAGE_SHIFT 12
#define PTE_P      (1ul << 0)
#define PTE_RW     (1ul << 1)
#define PTE_US     (1ul << 2)
#define PTE_PWT    (1ul << 3)
#define PTE_PCD    (1ul << 4)
#define PTE_A      (1ul << 5)
#define PTE_D      (1ul << 6)
#define PTE_PSE    (1ul << 7)
#define PTE_G      (1ul << 8)
#define PTE_NX     (1ul << 63)
#define PTE_KERNEL (PTE_P | PTE_RW | PTE_A | PTE_D)
#define PTE_RO     (PTE_P | PTE_A)
#define PTE_TABLE  (PTE_P | PTE_RW | PTE_US | PTE_A)
/* Bits of an L1 entry that the hypervisor sets as it likes: US, and 52, its mark of kernel pages.
 */
#define PTE_HV      (PTE_US | 1ul << 52)
#define PTE_ADDR    0x000ffffffffff000ul
#define VIRT_BASE   0xffffffff80000000ul
#define INVALID_MFN (~0ul)

typedef uint64_t pte_t;

#define pfn_to_mfn(pfn)     (((unsigned long *)start_info->mfn_list)[pfn])
#define mfn_to_pfn(mfn)     (((unsigned long *)0xffff800000000000ul)[mfn])
#define virt_to_pfn(va)     ((UL(va) - VIRT_BASE) >> PAGE_SHIFT)
#define pfn_to_virt(pfn)    ((void *)(VIRT_BASE + ((unsigned long)(pfn) << PAGE_SHIFT)))
#define virt_to_mfn(va)     pfn_to_mfn(virt_to_pfn(va))
#define mfn_to_virt(mfn)    pfn_to_virt(mfn_to_pfn(mfn))
#define mfn_pte(mfn, flags) (((uint64_t)(mfn) << PAGE_SHIFT) | (flags))
#define pte_mfn(pte)        (((pte)&PTE_ADDR) >> PAGE_SHIFT)

/* A zeroed page of the initial mapping that nobody uses; never given back. */
void *page_alloc(void);
/* Address of the entry of va at level 1-4 in the page tables whose root is at virtual address l4,
 * or NULL where an upper level is absent. The result is readable; writing it is an emulated update.
 */
pte_t *pte_lookup_in(pte_t *l4, unsigned long va, int level);
pte_t *pte_lookup(const volatile void *va, int level);
/* Machine address of an entry, as mmu_update wants it. */
uint64_t virt_to_maddr(const volatile void *va);
pte_t *kernel_l4(void);
/* Remap a page of the initial mapping read-only or writable, with INVLPG. Hypercall result. */
long page_set_ro(void *va);
long page_set_rw(void *va);
/* Take away the mapping of the page at va. */
long page_unmap(void *va);
/* mmu_update of one entry; the hypercall's result. */
long mmu_set(const volatile pte_t *pte, uint64_t val);
long mmu_set_cmd(const volatile pte_t *pte, uint64_t val, unsigned int cmd);
/* mmuext_op with one mfn argument. */
long mmuext(unsigned int cmd, unsigned long mfn);
long mmuext_addr(unsigned int cmd, unsigned long addr);
/* Copy a zeroed page's worth of nothing and make it fit to be a page table: RO mapped. */
pte_t *table_alloc(void);
/* An unused virtual page that has an L1 table but no mapping behind it. */
void *hole_alloc(void);
void memory_init(void);

/* ---- events and time (event.c) ---- */

extern unsigned int event_count[4096]; /* upcalls seen per 2-level port */
extern unsigned int event_upcalls;
typedef void (*event_hook_t)(unsigned int port);
extern event_hook_t event_hook; /* called for every port handled, when set */
void events_enable(void);       /* clear the upcall mask, and take what is pending */
void events_disable(void);      /* set the upcall mask */
bool event_pending(unsigned int port);
void event_clear(unsigned int port);
void event_mask(unsigned int port);
long event_unmask(unsigned int port); /* by EVTCHNOP_unmask */
long event_send(unsigned int port);
long event_close(unsigned int port);
unsigned int event_bind_ipi(void); /* masked on return, on vcpu 0 */
unsigned int event_bind_virq(unsigned int virq);
unsigned int event_alloc_self(void);
void event_upcall(struct regs *regs);
uint64_t time_now(void); /* system time, ns */
void sleep_ms(unsigned int ms);
void expect_timer(void); /* that a timer still wakes a blocked vcpu */

static inline uint64_t rdtsc(void)
{
    uint32_t lo, hi;

    asm volatile("lfence; rdtsc" : "=a"(lo), "=d"(hi)::"memory");
    return ((uint64_t)hi << 32) | lo;
}

#define barrier() asm volatile("" ::: "memory")

/* ---- guest user mode (user.c) ---- */

#define USER_CODE  0x400000ul
#define USER_DATA  0x401000ul
#define USER_STACK 0x403000ul /* top */
/* Builds a user L4 with code (the bytes from..to), a data and a stack page, and loads it by
 * NEW_USER_BASEPTR. */
void user_init(const void *from, const void *to);
extern pte_t *user_l4;
extern uint64_t *user_data; /* the kernel's view of USER_DATA */
/* Enter user mode with regs and come back at its first exit of any kind, with regs as they were
 * then; regs->vector says which. CS, SS, flags and stack are set up by user_regs(). */
void user_run(struct regs *regs);
void user_regs(struct regs *regs);
extern bool user_running;
void user_leave(void) __attribute__((noreturn));
void user_enter(struct regs *regs);
void user_trap(struct regs *regs) __attribute__((noreturn));

#endif
