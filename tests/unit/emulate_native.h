/* SPDX-License-Identifier: MIT */
/*
 * Runs one instruction on the processor this test runs on, with given registers and flags, and
 * tells what became of them: the reference that the emulator is compared with. A fault in the
 * instruction comes back as its vector, with the registers as the instruction met them.
 */
#pragma once

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>

#include "hw/regs.h"

struct native_state {
    uint64_t gpr[16]; /* encoding order */
    uint64_t rflags;
};

#define NATIVE_OKAY (-1)

/* Places in the gregs of a signal frame; <ucontext.h> tells them only to GNU sources. */
#define GREG_RIP    16
#define GREG_CSGSFS 18
#define GREG_TRAPNO 20

uint64_t native_stack, native_return, native_scratch;
struct native_state *native_current;
void *native_entry;
static volatile int native_vector;
static uint8_t *native_page; /* one page of code, then one page that cannot be fetched */
static uint8_t *native_low;  /* a page below 4 GiB, for compatibility mode */

void native_enter(struct native_state *state);
void native_leave(void);

/* rdi holds the state outside, everything is the instruction's inside. */
__asm__(".text\n"
        "native_enter:\n"
        "push %rbx\n push %rbp\n push %r12\n push %r13\n push %r14\n push %r15\n pushfq\n"
        "mov %rdi, native_current(%rip)\n"
        "mov %rsp, native_stack(%rip)\n"
        "pushq 128(%rdi)\n popfq\n"
        "mov 0(%rdi), %rax\n mov 8(%rdi), %rcx\n mov 16(%rdi), %rdx\n mov 24(%rdi), %rbx\n"
        "mov 32(%rdi), %rsp\n mov 40(%rdi), %rbp\n mov 48(%rdi), %rsi\n"
        "mov 64(%rdi), %r8\n mov 72(%rdi), %r9\n mov 80(%rdi), %r10\n mov 88(%rdi), %r11\n"
        "mov 96(%rdi), %r12\n mov 104(%rdi), %r13\n mov 112(%rdi), %r14\n mov 120(%rdi), %r15\n"
        "mov 56(%rdi), %rdi\n"
        "jmp *native_entry(%rip)\n"
        "native_leave:\n"
        "mov %rdi, native_scratch(%rip)\n"
        "mov native_current(%rip), %rdi\n"
        "mov %rax, 0(%rdi)\n mov %rcx, 8(%rdi)\n mov %rdx, 16(%rdi)\n mov %rbx, 24(%rdi)\n"
        "mov %rsp, 32(%rdi)\n mov %rbp, 40(%rdi)\n mov %rsi, 48(%rdi)\n"
        "mov %r8, 64(%rdi)\n mov %r9, 72(%rdi)\n mov %r10, 80(%rdi)\n mov %r11, 88(%rdi)\n"
        "mov %r12, 96(%rdi)\n mov %r13, 104(%rdi)\n mov %r14, 112(%rdi)\n mov %r15, 120(%rdi)\n"
        "mov native_scratch(%rip), %rax\n mov %rax, 56(%rdi)\n"
        "mov native_stack(%rip), %rsp\n"
        "pushfq\n popq 128(%rdi)\n"
        "popfq\n pop %r15\n pop %r14\n pop %r13\n pop %r12\n pop %rbp\n pop %rbx\n"
        "ret\n");

static inline bool native_inside(const uint8_t *rip, const uint8_t *page)
{
    return page && rip >= page && rip <= page + PAGE_SIZE;
}

static inline void native_fault(int sig, siginfo_t *info, void *uc)
{
    greg_t *regs = ((ucontext_t *)uc)->uc_mcontext.gregs;
    uint8_t *rip = (uint8_t *)regs[GREG_RIP];

    if (!native_inside(rip, native_page) && !native_inside(rip, native_low)) {
        signal(sig, SIG_DFL); /* the test's own fault */
        return;
    }
    native_vector = regs[GREG_TRAPNO];
    native_return = info->si_addr == native_page + PAGE_SIZE;
    regs[GREG_RIP] = (greg_t)native_leave;
    regs[GREG_CSGSFS] = (regs[GREG_CSGSFS] & ~0xffffll) | 0x33;
}

/* Maps the code page where nothing else is within reach of a displacement. */
static int native_init(void)
{
    native_page = mmap((void *)0x200000000000, 2 * PAGE_SIZE, PROT_READ | PROT_WRITE | PROT_EXEC,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (native_page == MAP_FAILED)
        return -1;
    return mprotect(native_page + PAGE_SIZE, PAGE_SIZE, PROT_NONE);
}

/* Takes the faults. Each test has to: cmocka takes them itself when a test begins. */
static void native_catch(void (*handler)(int, siginfo_t *, void *))
{
    static const int signals[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP};
    static uint8_t stack[64 * 1024];
    stack_t alternate = {.ss_sp = stack, .ss_size = sizeof(stack)};
    struct sigaction action = {.sa_sigaction = handler,
                               .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER};
    unsigned int i;

    assert_return_code(sigaltstack(&alternate, NULL), 0);
    for (i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
        assert_return_code(sigaction(signals[i], &action, NULL), 0);
}

/* Where the instruction stands while it runs: its rip. */
static inline uint64_t native_rip(void)
{
    return (uint64_t)native_page;
}

/* Runs it; NATIVE_OKAY or the vector of its fault. */
static inline int native_run(const uint8_t *insn, unsigned int bytes, struct native_state *state)
{
    static const uint8_t jump[6] = {0xff, 0x25}; /* jmp *0(%rip), the address behind it */
    void *back = native_leave;

    memcpy(native_page, insn, bytes);
    memcpy(native_page + bytes, jump, sizeof(jump));
    memcpy(native_page + bytes + sizeof(jump), &back, sizeof(back));
    native_entry = native_page;
    native_vector = NATIVE_OKAY;
    native_enter(state);
    return native_vector;
}

/* Maps the page for 32-bit code, and loads the data segments, which must not be null there. */
static inline int native_init_32(void)
{
    uint16_t user_ds = 0x2b;

    native_low = mmap(NULL, PAGE_SIZE, PROT_READ | PROT_WRITE | PROT_EXEC,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
    if (native_low == MAP_FAILED)
        return -1;
    __asm__ volatile("mov %0, %%ds\n mov %0, %%es" ::"r"(user_ds));
    return 0;
}

/* Where native_run_32() puts the instruction. */
static inline uint64_t native_rip_32(void)
{
    return (uint64_t)native_low + 64;
}

/* As native_run(), in 32-bit mode: far jumps lead there and back. */
static inline int native_run_32(const uint8_t *insn, unsigned int bytes, struct native_state *state)
{
    static const uint8_t enter[6] = {0xff, 0x2d}; /* ljmp *0(%rip), 32-bit offset and selector */
    static const uint8_t leave[6] = {0xff, 0x25}; /* jmp *0(%rip) */
    uint32_t there = native_rip_32(), back = (uint64_t)native_low + 128;
    uint16_t user_cs32 = 0x23, user_cs64 = 0x33;
    void *out = native_leave;
    uint8_t *at = (uint8_t *)native_rip_32();

    memcpy(native_low, enter, 6);
    memcpy(native_low + 6, &there, 4);
    memcpy(native_low + 10, &user_cs32, 2);
    memcpy(at, insn, bytes);
    at[bytes] = 0xea; /* ljmp to the 64-bit code below */
    memcpy(at + bytes + 1, &back, 4);
    memcpy(at + bytes + 5, &user_cs64, 2);
    memcpy(native_low + 128, leave, 6);
    memcpy(native_low + 134, &out, 8);
    native_entry = native_low;
    native_vector = NATIVE_OKAY;
    native_enter(state);
    return native_vector;
}
