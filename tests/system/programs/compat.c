/* SPDX-License-Identifier: MIT */
/* A static 32-bit program without a library for domain 0's Linux: system calls by int 0x80 and by
 * the way that the kernel offers (SYSENTER or SYSCALL, through its vDSO), TLS and LDT segments,
 * signals and their return. Built with -m32 -nostdlib. */

typedef unsigned int u32;

enum {
    EXIT = 1,
    FORK = 2,
    WRITE = 4,
    WAITPID = 7,
    GETPID = 20,
    KILL = 37,
    MODIFY_LDT = 123,
    SIGRETURN = 119,
    SIGACTION = 174,
    GETPPID = 64,
    SET_THREAD_AREA = 243,
    YIELD = 158
};
enum {
    AT_NULL = 0,
    AT_SYSINFO = 32
};

struct user_desc {
    u32 entry_number, base_addr, limit, flags;
};
#define SEGMENT_FLAGS 0x51 /* 32 bits, limit in pages, usable */

static u32 sysinfo;
static volatile u32 signals;

static long int80(u32 nr, u32 a, u32 b, u32 c, u32 d)
{
    long ret;

    asm volatile("int $0x80" : "=a"(ret) : "a"(nr), "b"(a), "c"(b), "d"(c), "S"(d) : "memory");
    return ret;
}

/* As libraries do: a call into the page that the kernel named. */
static long fast(u32 nr, u32 a, u32 b, u32 c)
{
    long ret;

    asm volatile("call *%5" : "=a"(ret) : "a"(nr), "b"(a), "c"(b), "d"(c), "m"(sysinfo) : "memory");
    return ret;
}

static void say(const char *text)
{
    u32 n = 0;

    while (text[n])
        n++;
    int80(WRITE, 1, (u32)text, n, 0);
}

static int check(const char *what, int right)
{
    say("compat: ");
    say(what);
    say(right ? ": right\n" : ": WRONG\n");
    return !right;
}

static int test_calls(void)
{
    long pid = int80(GETPID, 0, 0, 0, 0);

    for (int i = 0; i < 20000; i++) {
        long esi;

        if (fast(GETPID, 1, 2, 3) != pid)
            return 0;
        asm volatile("int $0x80" : "=a"(esi) : "a"(GETPID), "b"(1), "c"(2), "d"(3), "S"(4), "D"(5));
        if (esi != pid)
            return 0;
    }
    return fast(9999, 0, 0, 0) == -38 && int80(9999, 0, 0, 0, 0) == -38;
}

static int test_fork(void)
{
    for (int i = 0; i < 20; i++) {
        long pid = fast(FORK, 0, 0, 0);
        u32 status = 0;

        if (!pid) {
            fast(YIELD, 0, 0, 0);
            fast(EXIT, i, 0, 0);
        }
        if (fast(WAITPID, pid, (u32)&status, 0) != pid || status != (u32)i << 8)
            return 0;
    }
    return 1;
}

static int test_segments(void)
{
    static u32 tls[4] = {0xabcd, 1, 2, 3}, ldt[4] = {0x1234, 1, 2, 3};
    struct user_desc d = {~0u, (u32)tls, 0xfffff, SEGMENT_FLAGS};
    u32 v;

    if (int80(SET_THREAD_AREA, (u32)&d, 0, 0, 0))
        return 0;
    for (int i = 0; i < 100; i++) {
        asm volatile("mov %1, %%gs; mov %%gs:0, %0" : "=r"(v) : "r"(d.entry_number << 3 | 3));
        fast(YIELD, 0, 0, 0);
        asm volatile("mov %%gs:0, %0" : "=r"(v));
        if (v != 0xabcd)
            return 0;
    }
    d = (struct user_desc){5, (u32)ldt, 0xfffff, SEGMENT_FLAGS};
    if (int80(MODIFY_LDT, 1, (u32)&d, sizeof(d), 0))
        return 0;
    asm volatile("mov %1, %%fs" : "=r"(v) : "r"(5 << 3 | 7));
    fast(YIELD, 0, 0, 0);
    asm volatile("mov %%fs:0, %0" : "=r"(v));
    return v == 0x1234;
}

static void on_signal(void)
{
    signals++;
}

/* sigreturn without a library's restorer: the kernel's vDSO has one. */
static int test_signals(void)
{
    struct {
        void (*handler)(void);
        u32 flags;
        void *restorer;
        u32 mask[2];
    } action = {on_signal, 0, 0, {0, 0}};
    long pid = int80(GETPID, 0, 0, 0, 0);

    if (int80(SIGACTION, 10, (u32)&action, 0, 8))
        return 0;
    for (int i = 0; i < 200; i++)
        fast(KILL, pid, 10, 0);
    if (int80(SIGACTION, 5, (u32)&action, 0, 8))
        return 0;
    for (int i = 0; i < 50; i++)
        asm volatile("int3");
    return signals == 250;
}

void start(u32 *stack);
asm(".globl _start; _start: mov %esp, %eax; and $-16, %esp; sub $12, %esp; push %eax; call start");

void start(u32 *stack)
{
    u32 *p = stack + 1 + stack[0] + 1;
    int failed = 0;

    while (*p++)
        ;
    for (; p[0] != AT_NULL; p += 2)
        if (p[0] == AT_SYSINFO)
            sysinfo = p[1];
    failed += check("vDSO", sysinfo != 0);
    if (sysinfo) {
        failed += check("system calls", test_calls());
        failed += check("fork", test_fork());
        failed += check("segments", test_segments());
        failed += check("signals", test_signals());
    }
    say(failed ? "compat: failed\n" : "compat: 0 failed\n");
    int80(EXIT, failed != 0, 0, 0, 0);
}
