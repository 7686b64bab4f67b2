/* SPDX-License-Identifier: MIT */
/* A guest that writes to the console without end, and one that makes the hypervisor write.
 *
 * Cause: a serial line is slow; whoever keeps the hypervisor at it keeps the processor from all
 * others, and the ring of messages from what matters.
 * Steps: domain 0 writes 64 KiB in one call, with a timer that fires meanwhile; bytes that are no
 * text; a length that goes on beyond the buffer. A second domain writes, and makes thousands of
 * calls and instructions that are refused, each worth a message.
 * Verdict: the timer's event is delivered while the call goes on; the second domain's writes are
 * all taken or all refused (Xen takes them if built for debugging); time and timers go on.
 */
#include "lib/domu.h"

#define BYTES 65536u
#define CALLS 2000u

static char text[BYTES];
static unsigned int port;
static volatile unsigned int within;

/* An upcall that finds the kernel before a SYSCALL came in the middle of one: it starts again. */
static bool on_upcall(struct regs *regs)
{
    static const uint8_t syscall[2] = {0x0f, 0x05};

    if (event_pending(port) && !memcmp((void *)regs->rip, syscall, sizeof(syscall)))
        within++;
    event_upcall(regs);
    return true;
}

static void check_long(void)
{
    for (unsigned int i = 0; i < BYTES; i++)
        text[i] = i % 64 == 63 ? '\n' : 'a' + i / 64 % 26;
    trap_hook(VEC_EVENT, on_upcall);
    port = event_bind_virq(VIRQ_TIMER);
    hc_vcpu_op(VCPUOP_stop_periodic_timer, 0, NULL);
    need_eq(event_unmask(port), 0);
    events_enable();
    need_eq(hc_set_timer_op(time_now() + 1000000), 0);
    expect_eq(hc_console_io(CONSOLEIO_write, BYTES, text), 0);
    events_disable();
    expect_eq(within, 1);
    trap_hook(VEC_EVENT, NULL);
    need_eq(event_close(port), 0);
}

static void check_bytes(void)
{
    char *page = page_alloc(), *hole = hole_alloc();

    need_eq(hole - page, PAGE_SIZE);
    for (unsigned int i = 0; i < 256; i++)
        text[i] = i;
    text[255] = '\n';
    expect_eq(hc_console_io(CONSOLEIO_write, 256, text), 0);
    memset(page, '.', PAGE_SIZE);
    expect_eq(hc_console_io(CONSOLEIO_write, 0x7fffffff, page), -XEN_EFAULT);
    expect_eq(hc_console_io(CONSOLEIO_write, 1, "\n"), 0);
}

/* ---- in the second domain ---- */

static volatile unsigned int done, refused;

static void flood(void)
{
    for (unsigned int i = 0; i < CALLS; i++) {
        uint64_t bad = mfn_pte(i, PTE_KERNEL);

        refused += hc_console_io(CONSOLEIO_write, 5, "noise") == -XEN_EPERM;
        hc_update_va_mapping(UL(text), bad, 0);
        hc_set_trap_table((void *)0xffff830000000000);
        trap_forget();
        asm volatile(TRY("wrmsr")::"c"(0xc0000080), "a"(i), "d"(i));
        done++;
    }
}

static struct domu d;

void test_main(void)
{
    uint64_t before;

    check_long();
    check_bytes();
    domu_create(&d, flood);
    before = time_now();
    expect_eq(domu_run(&d), SHUTDOWN_poweroff);
    expect(time_now() > before);
    expect_eq(*domu_view(&d, &done), CALLS);
    expect(*domu_view(&d, &refused) == CALLS || *domu_view(&d, &refused) == 0);
    domu_destroy(&d);
    expect_timer();
    test_pass();
}
