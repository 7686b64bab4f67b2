/* SPDX-License-Identifier: MIT */
/* A day of the clock beside a day of the machine's own.
 *
 * Cause: time is the time stamp counter times a factor that start-up measured; an error of a
 * millionth is a twelfth of a second a day.
 * Steps: note the clock at the moment when the RTC's second changes; sleep an hour, 24 times; note
 * it again at such a moment. The emulator's RTC runs on its virtual time.
 * Verdict: sleeps are not short, and the clock has gone wrong by less than a millionth.
 * Machine: -rtc clock=vm
 */
#include "lib/guest.h"

#define SECOND  1000000000ul
#define HOUR    (3600 * SECOND)
#define MILLION 1000000ul

static unsigned int rtc_second(void)
{
    uint8_t v = 0;

    asm volatile("outb %%al, $0x70; inb $0x71, %%al" : "+a"(v));
    return v;
}

/* The clock when a second of the RTC begins. */
static uint64_t at_second(void)
{
    unsigned int first = rtc_second();

    while (rtc_second() == first)
        ;
    return time_now();
}

static void sleep_until(uint64_t when)
{
    evtchn_port_t nobody = event_bind_ipi();
    struct sched_poll poll = {.nr_ports = 1, .timeout = when};

    set_xen_guest_handle(poll.ports, &nobody);
    while (time_now() < when)
        need_eq(hc_sched_op(SCHEDOP_poll, &poll), 0);
}

void test_main(void)
{
    struct physdev_set_iopl iopl = {.iopl = 1};
    uint64_t begun, passed, seconds, off;

    need_eq(hc_physdev_op(PHYSDEVOP_set_iopl, &iopl), 0);
    hc_vcpu_op(VCPUOP_stop_periodic_timer, 0, NULL);
    begun = at_second();
    for (unsigned int hour = 1; hour <= 24; hour++)
        sleep_until(begun + hour * HOUR);
    passed = at_second() - begun;
    seconds = (passed + SECOND / 2) / SECOND;
    off = passed > seconds * SECOND ? passed - seconds * SECOND : seconds * SECOND - passed;
    printf("%lu seconds of the RTC, the clock is %lu us off\n", seconds, off / 1000);
    expect(seconds >= 24 * 3600);
    expect(off * MILLION < passed);
    test_pass();
}
