/* SPDX-License-Identifier: MIT */
/* A static program for domain 0's Linux that uses what processes do at the edge of the processor:
 * hardware breakpoints and single steps by ptrace, signals on alternate stacks, vector registers
 * under preemption, LDTs, ports, the vsyscall page. Prints a line for each, and fails as a whole if
 * one fails. */
#define _GNU_SOURCE
#include <asm/ldt.h>
#include <setjmp.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/io.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define DEBUGREG(n) offsetof(struct user, u_debugreg[n])

static volatile uint64_t watched;
static sigjmp_buf out;
static volatile sig_atomic_t caught;

static void handler(int sig)
{
    caught = sig;
    siglongjmp(out, 1);
}

static void on(int sig, void (*fn)(int), int flags)
{
    struct sigaction a = {.sa_handler = fn, .sa_flags = flags};

    sigaction(sig, &a, NULL);
}

/* ---- ptrace ---- */

__attribute__((noinline)) static void touched(void)
{
    asm volatile("nop");
}

/* The traced child: writes, calls, system calls, writes again. */
static void child(void)
{
    ptrace(PTRACE_TRACEME, 0, 0, 0);
    raise(SIGSTOP);
    for (int i = 0; i < 10; i++) {
        watched = i;
        syscall(SYS_getppid);
        touched();
    }
    _exit(7);
}

static const char *test_watchpoints(void)
{
    int status, writes = 0, runs = 0;
    pid_t pid = fork();

    if (!pid)
        child();
    waitpid(pid, &status, 0);
    if (ptrace(PTRACE_POKEUSER, pid, DEBUGREG(0), &watched) ||
        ptrace(PTRACE_POKEUSER, pid, DEBUGREG(1), touched) ||
        ptrace(PTRACE_POKEUSER, pid, DEBUGREG(7), 0x5 | 0x9 << 16))
        return "cannot set breakpoints";
    if (!ptrace(PTRACE_POKEUSER, pid, DEBUGREG(2), 0xffff830000000000))
        return "a breakpoint in the kernel's half";
    for (;;) {
        long dr6;

        ptrace(PTRACE_CONT, pid, 0, 0);
        waitpid(pid, &status, 0);
        if (WIFEXITED(status))
            break;
        if (!WIFSTOPPED(status) || WSTOPSIG(status) != SIGTRAP)
            return "stopped by something else";
        dr6 = ptrace(PTRACE_PEEKUSER, pid, DEBUGREG(6), 0);
        ptrace(PTRACE_POKEUSER, pid, DEBUGREG(6), 0);
        writes += dr6 & 1;
        runs += dr6 >> 1 & 1;
    }
    return WEXITSTATUS(status) == 7 && writes == 10 && runs == 10 ? NULL : "hits were lost";
}

static const char *test_single_steps(void)
{
    unsigned long rip = 0, last, calls = 0, steps = 0;
    struct user_regs_struct regs;
    pid_t pid = fork();
    int status;

    if (!pid)
        child();
    waitpid(pid, &status, 0);
    for (;; steps++) {
        ptrace(PTRACE_SINGLESTEP, pid, 0, 0);
        waitpid(pid, &status, 0);
        if (WIFEXITED(status))
            break;
        last = rip;
        ptrace(PTRACE_GETREGS, pid, 0, &regs);
        rip = regs.rip;
        if (rip == last + 2 && (ptrace(PTRACE_PEEKTEXT, pid, last, 0) & 0xffff) == 0x050f &&
            regs.rax != 0)
            calls++;
        if (rip >> 47)
            return "stepped into the kernel";
    }
    return calls >= 10 && steps > 100 ? NULL : "steps over system calls were lost";
}

/* ---- signals ---- */

static volatile int depth;

__attribute__((noinline)) static int overflow(int n)
{
    volatile char block[4096];

    block[0] = n;
    depth = n;
    return n < 0 ? 0 : overflow(n + 1) + block[0];
}

static const char *test_altstack(void)
{
    static char space[65536];
    stack_t stack = {.ss_sp = space, .ss_size = sizeof(space)};

    sigaltstack(&stack, NULL);
    on(SIGSEGV, handler, SA_ONSTACK | SA_NODEFER);
    for (int i = 0; i < 20; i++) {
        caught = depth = 0;
        if (!sigsetjmp(out, 1))
            overflow(1);
        if (caught != SIGSEGV || depth < 100)
            return "an overflow did not arrive";
    }
    return NULL;
}

static int expect_signal(int sig, void (*fn)(void))
{
    caught = 0;
    on(sig, handler, SA_NODEFER);
    if (!sigsetjmp(out, 1))
        fn();
    on(sig, SIG_DFL, 0);
    return caught == sig;
}

static void divide(void)
{
    volatile int zero = 0;

    caught = 10 / zero;
}

/* By the x87; emulators do not know the exceptions of SSE. */
static void divide_float(void)
{
    uint16_t control = 0x37b;

    asm volatile("fninit; fldcw %0; fldz; fld1; fdivp; fwait" ::"m"(control));
}

static void step_self(void)
{
    asm volatile("pushf; orq $0x100, (%%rsp); popf; nop; nop" ::: "memory", "cc");
}

static void privileged(void)
{
    asm volatile("hlt");
}

static void not_canonical(void)
{
    *(volatile char *)0x8000000000000000;
}

static const char *test_faults(void)
{
    if (!expect_signal(SIGFPE, divide))
        return "no SIGFPE by a division";
    if (!expect_signal(SIGFPE, divide_float))
        return "no SIGFPE by the x87";
    asm volatile("fninit");
    if (!expect_signal(SIGTRAP, step_self))
        return "no SIGTRAP by TF";
    if (!expect_signal(SIGSEGV, privileged))
        return "hlt did not fault";
    return expect_signal(SIGSEGV, not_canonical) ? NULL : "a bad address did not fault";
}

/* ---- vector registers ---- */

static volatile sig_atomic_t ticks;

static void tick(int sig)
{
    double d = ticks; /* dirties registers of its own */

    ticks = d + 1;
    asm volatile("vxorps %%ymm0, %%ymm0, %%ymm0; vxorps %%ymm15, %%ymm15, %%ymm15" ::
                     : "xmm0", "xmm15");
}

__attribute__((target("avx"))) static int vectors(uint32_t pattern)
{
    struct itimerval often = {{0, 3000}, {0, 3000}};
    uint32_t p[8], q[8];

    for (int i = 0; i < 8; i++)
        p[i] = pattern * (i + 1);
    on(SIGALRM, tick, SA_RESTART);
    setitimer(ITIMER_REAL, &often, NULL);
    while (ticks < 40) {
        asm volatile(
            "vmovups %1, %%ymm0; vmovups %1, %%ymm7; vmovups %1, %%ymm15; mov $20000, %%ecx;"
            "1: dec %%ecx; jnz 1b; vandps %%ymm0, %%ymm7, %%ymm7; vandps %%ymm15, %%ymm7, "
            "%%ymm7; vmovups %%ymm7, %0"
            : "=m"(q)
            : "m"(p)
            : "ecx", "xmm0", "xmm7", "xmm15", "cc");
        if (memcmp(p, q, sizeof(p)))
            return 1;
    }
    return 0;
}

static const char *test_vectors(void)
{
    const char *complaint = NULL;
    int status;

    if (!__builtin_cpu_supports("avx"))
        return NULL;
    for (uint32_t i = 1; i <= 4; i++)
        if (!fork())
            _exit(vectors(0x1010101 * i));
    while (wait(&status) > 0)
        if (status)
            complaint = "registers changed";
    return complaint;
}

/* ---- segments, ports, the vsyscall page ---- */

static const char *test_ldt(void)
{
    static uint32_t words[4] = {0x12345678, 2, 3, 4};
    struct user_desc desc = {.entry_number = 3,
                             .base_addr = (uintptr_t)words,
                             .limit = 15,
                             .seg_32bit = 1,
                             .useable = 1};
    uint32_t v;

    for (int i = 0; i < 50; i++) {
        if (syscall(SYS_modify_ldt, 1, &desc, sizeof(desc)))
            return "modify_ldt";
        asm volatile("mov %1, %%gs; mov %%gs:0, %0" : "=r"(v) : "r"(3 << 3 | 7));
        asm volatile("mov %0, %%es; sub %%eax, %%eax; mov %%eax, %%es" ::"r"(3 << 3 | 7) : "eax");
        if (v != 0x12345678)
            return "the segment shows something else";
        if (i % 10 == 0 && !fork()) {
            asm volatile("mov %%gs:4, %0" : "=r"(v)); /* the child has the LDT too */
            _exit(v != 2);
        }
    }
    for (int status; wait(&status) > 0;)
        if (status)
            return "a child sees something else";
    return NULL;
}

static void port_in(void)
{
    inb(0x80);
}

static const char *test_ports(void)
{
    if (!expect_signal(SIGSEGV, port_in))
        return "a port without permission";
    if (ioperm(0x80, 1, 1))
        return "ioperm";
    outb(1, 0x80);
    inb(0x80);
    ioperm(0x80, 1, 0);
    if (!expect_signal(SIGSEGV, port_in))
        return "a port after permission ended";
    if (iopl(3))
        return "iopl";
    outb(2, 0x80);
    if (inb(0x21) != 0xff)
        return "the interrupt controller can be read";
    iopl(0);
    return expect_signal(SIGSEGV, port_in) ? NULL : "a port after iopl(0)";
}

static const char *test_vsyscall(void)
{
    time_t (*vtime)(time_t *) = (void *)0xffffffffff600400;
    time_t a = time(NULL), b = vtime(NULL);

    return b - a <= 1 ? NULL : "another time";
}

static const char *test_clock(void)
{
    struct timespec before, now;

    clock_gettime(CLOCK_MONOTONIC, &before);
    for (int i = 0; i < 20000; i++) {
        clock_gettime(CLOCK_MONOTONIC, &now);
        if (now.tv_sec < before.tv_sec ||
            (now.tv_sec == before.tv_sec && now.tv_nsec < before.tv_nsec))
            return "went backwards";
        before = now;
    }
    return NULL;
}

int main(void)
{
    static const struct {
        const char *name;
        const char *(*run)(void);
    } tests[] = {
        {"watchpoints", test_watchpoints},
        {"single steps", test_single_steps},
        {"alternate stack", test_altstack},
        {"faults", test_faults},
        {"vector registers", test_vectors},
        {"ports", test_ports},
        {"vsyscall page", test_vsyscall},
        {"clock", test_clock},
        {"LDT", test_ldt},
    };
    int failed = 0;

    setbuf(stdout, NULL);
    for (unsigned i = 0; i < sizeof(tests) / sizeof(*tests); i++) {
        pid_t pid = fork();
        int status;

        if (!pid) {
            const char *complaint = tests[i].run();

            printf("processes: %s: %s\n", tests[i].name, complaint ? complaint : "right");
            _exit(complaint != NULL);
        }
        waitpid(pid, &status, 0);
        if (WIFSIGNALED(status))
            printf("processes: %s: killed by signal %d\n", tests[i].name, WTERMSIG(status));
        failed += status != 0;
    }
    printf("processes: %d failed\n", failed);
    return failed != 0;
}
