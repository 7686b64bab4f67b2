/* SPDX-License-Identifier: MIT */
/* console_io: domain 0's share of the serial console, and a trickle of other domains' early output.
 * Input arrives from the console driver by console_input(). Public xen.h, CONSOLEIO_*. */
#include "hypercall/console_io.h"

#include "base/log.h"
#include "domain/continuation.h"
#include "domain/guest_copy.h"
#include "event/event.h"
#include "hypercall/ops.h"
#include "lib/errno.h"

#define INPUT_BYTES 4096u /* a power of two: some screens full that are pasted at once */
#define CHUNK       128u  /* output between two looks for other work, or input at once */

/* Characters that wait for domain 0. Indices run freely. */
static struct lock input_lock = LOCK_INIT(RANK_CHIP, "console input");
static char input[INPUT_BYTES]; /* [CHIP] */
static uint32_t head, tail;     /* [CHIP] */

void console_input(char c)
{
    lock(&input_lock);
    if (head - tail < INPUT_BYTES)
        input[head++ % INPUT_BYTES] = c;
    unlock(&input_lock);
    event_send_global_virq(VIRQ_CONSOLE);
}

/* Another domain's text: printable characters, a line at a time, rate limited, with its name. */
static void guest_text(struct vcpu *v, const char *text, size_t n)
{
    char line[CHUNK + 1];
    size_t len = 0;

    for (size_t i = 0; i < n; i++) {
        if (text[i] >= ' ' && text[i] < 0x7f)
            line[len++] = text[i];
        if (len && (text[i] == '\n' || i + 1 == n)) {
            line[len] = 0;
            log_guest(LOG_INFO, "domain %u: %s", v->domain->id, line);
            len = 0;
        }
    }
}

static long console_write(struct vcpu *v, uint32_t count, uint64_t va)
{
    char buf[CHUNK];

    while (count) {
        uint32_t n = min(count, CHUNK);

        if (guest_read(buf, va, n))
            return -EFAULT;
        if (v->domain->hardware)
            log_raw(buf, n);
        else
            guest_text(v, buf, n);
        va += n;
        count -= n;
        if (count && hypercall_preempt())
            return hypercall_continue_with(__HYPERVISOR_console_io, CONSOLEIO_write, count, va);
    }
    return 0;
}

static long console_read(struct vcpu *v, uint32_t count, uint64_t va)
{
    char buf[CHUNK];
    uint32_t start, n = 0;

    if (!v->domain->hardware)
        return refuse(-EPERM, "console read by domain %u", v->domain->id);
    lock(&input_lock);
    start = tail;
    while (n < count && n < CHUNK && tail + n != head) {
        buf[n] = input[(tail + n) % INPUT_BYTES];
        n++;
    }
    tail += n;
    unlock(&input_lock);
    if (guest_write(va, buf, n) == 0)
        return n;
    /* Nobody has seen them: they may be read again. */
    lock(&input_lock);
    if (tail == start + n && head - start <= INPUT_BYTES)
        tail = start;
    unlock(&input_lock);
    return -EFAULT;
}

long console_io(uint32_t cmd, uint32_t count, uint64_t va)
{
    struct vcpu *v = current();

    switch (cmd) {
    case CONSOLEIO_write:
        return console_write(v, count, va);
    case CONSOLEIO_read:
        return console_read(v, count, va);
    default:
        return -ENOSYS;
    }
}
