/* SPDX-License-Identifier: MIT */
/* For the tests of timer chips: a clock that the test moves, the interrupt lines, and a count of
 * what comes by each. Include it once, in a test's C file. */
#pragma once

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "machine.h"
#include "base/softirq.h"
#include "devices/virq.h"
#include "lib/errno.h"
#include "lib/util.h"
#include "time/clock.h"
#include "time/timer.h"

#define SECOND 1000000000ull

static struct virqs irqs;
static struct vbus ports, memory;
static unsigned came[256]; /* messages by vector: 0x40 + pin */
static bool taken;         /* by the processors, at once */
static uint64_t timer_mode;

static bool message(void *owner, uint32_t icr, uint8_t dest)
{
    came[icr & 0xff]++;
    return true;
}

static void intr(void *owner, bool high)
{
}

static bool message_waits(void *owner, uint32_t icr, uint8_t dest)
{
    return !taken && came[icr & 0xff];
}

static const struct virq_ops irq_ops = {message, intr, message_waits};

/* Pin `pin` of the IO-APIC is an edge (or a level) with vector 0x40 + pin. */
static inline void open_pin(unsigned pin, bool level)
{
    vbus_write(&memory, VIOAPIC_BASE, 4, 0x10 + 2 * pin);
    vbus_write(&memory, VIOAPIC_BASE + 0x10, 4, (0x40 + pin) | (level ? VIOAPIC_LEVEL : 0));
}

/* How many came by that pin since the last call. */
static inline unsigned by_pin(unsigned pin)
{
    unsigned n = came[0x40 + pin];

    came[0x40 + pin] = 0;
    return n;
}

static void arm_nothing(uint64_t tsc, uint64_t delta_ns)
{
}

static void stop_nothing(void)
{
}

/* Time goes on, and the timers that are due run: at their own time, and once at the end. */
static inline void pass(uint64_t ns)
{
    uint64_t end = time_now() + ns;

    while (timer_next() <= end) {
        if (timer_next() > time_now())
            host_tsc += timer_next() - time_now();
        timer_interrupt();
        softirq_run();
    }
    host_tsc += end - time_now();
}

/* The same, but nobody sees to timers before the end. */
static inline void pass_late(uint64_t ns)
{
    host_tsc += ns;
    timer_interrupt();
    softirq_run();
}

static inline void clock_setup(void)
{
    static const struct timer_device device = {"test", arm_nothing, stop_nothing};

    host_machine_init(1 << 20, 2);
    host_tsc_step = 0;
    host_tsc = 1000;
    clock_init_hz(SECOND);
    timer_start(&device);
    memset(&ports, 0, sizeof(ports));
    memset(&memory, 0, sizeof(memory));
    memset(came, 0, sizeof(came));
    taken = true;
    timer_mode = 0;
    virq_init(&irqs, &irq_ops, NULL, true, true);
    virq_attach(&irqs, &ports, &memory);
}

static inline void out(uint16_t port, uint8_t val)
{
    vbus_write(&ports, port, 1, val);
}

static inline uint8_t in(uint16_t port)
{
    uint64_t val;

    assert_true(vbus_read(&ports, port, 1, &val));
    return (uint8_t)val;
}
