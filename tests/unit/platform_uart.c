/* SPDX-License-Identifier: MIT */
/* platform/uart: options, a 16550 that answers, one that is absent, one that hangs; reception. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "machine.h"
#include "base/log.h"
#include "base/param.h"
#include "platform/uart.h"

/* A 16550 with a FIFO that empties at once, unless stuck. */
static struct {
    uint8_t reg[8], divisor[2];
    char sent[4096], input[64];
    unsigned nr_sent, burst, max_burst, in_head, in_tail;
    bool stuck;
} chip;
static char received[2000];
static unsigned nr_received;

static uint64_t chip_read(void *data, uint64_t port, unsigned size)
{
    switch (port & 7) {
    case 0:
        if (chip.reg[3] & 0x80)
            return chip.divisor[0];
        return chip.in_head != chip.in_tail ? (uint8_t)chip.input[chip.in_head++ % 64] : 0;
    case 2:
        return 0xc1;
    case 5:
        chip.burst = 0;
        return (chip.stuck ? 0 : 0x60) | (chip.in_head != chip.in_tail);
    }
    return chip.reg[port & 7];
}

static void chip_write(void *data, uint64_t port, unsigned size, uint64_t val)
{
    if ((port & 7) < 2 && (chip.reg[3] & 0x80)) {
        chip.divisor[port & 7] = (uint8_t)val;
        return;
    }
    if ((port & 7) == 0) {
        chip.sent[chip.nr_sent++ % 4095] = (char)val;
        if (++chip.burst > chip.max_burst)
            chip.max_burst = chip.burst;
        return;
    }
    chip.reg[port & 7] = (uint8_t)val;
}

static void take(char c)
{
    received[nr_received++] = c;
}

static void absent(void **state)
{
    param_parse("com1=115200,8n1 console=com1");
    host_log();
    uart_init();
    assert_non_null(strstr(host_log(), "com1: no serial port at 0x3f8"));
    assert_int_equal(uart_port_base(0), 0);
    assert_false(uart_poll());
}

static void options(void **state)
{
    static const char *const bad[] = {"com1=x",
                                      "com1=0",
                                      "com1=115201",
                                      "com1=9600,9n1",
                                      "com1=9600,8x1",
                                      "com1=9600,8n3",
                                      "com1=9600,8",
                                      "com1=9600,",
                                      "com1=9600,8n1,",
                                      "com1=9600,8n1,70000",
                                      "com1=9600,8n1,1,16",
                                      "com1=9600,8n1,1,4,",
                                      "no-com1=5"};

    for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        host_log();
        param_parse(bad[i]);
        if (!strstr(host_log(), "bad value"))
            fail_msg("%s was accepted", bad[i]);
    }
    param_parse("console=vga,com2");
    assert_true(console_wanted("com2"));
    assert_true(console_wanted("vga"));
    assert_false(console_wanted("com1"));
    assert_false(console_wanted("com"));
    assert_false(console_wanted("vga,com2x"));
}

static void transmit(void **state)
{
    host_port_add(0x2e8, 0x2ef, (struct host_device){chip_read, chip_write, NULL});
    param_parse("com1=9600,7e2,0x2e8,0 console=com1");
    log_clear();
    log_info("early");
    uart_init();
    assert_int_equal(chip.divisor[0] | chip.divisor[1] << 8, 12);
    assert_int_equal(chip.reg[3], 2 | 4 | 3 << 3);
    assert_string_equal(chip.sent, "(Argon) early\r\n");
    chip.nr_sent = 0;
    memset(chip.sent, 0, sizeof(chip.sent));
    log_info("%050d", 1);
    assert_int_equal(chip.nr_sent, 8 + 50 + 2);
    assert_int_equal(chip.max_burst, 16);
    assert_int_equal(uart_port_base(0), 0x2e8);
}

static void stuck_transmitter_is_given_up(void **state)
{
    chip.stuck = true;
    chip.nr_sent = 0;
    log_info("lost");
    assert_int_equal(chip.nr_sent, 0);
    chip.stuck = false;
    log_info("again");
    assert_int_equal(chip.nr_sent, 8 + 5 + 2);
}

static void receive(void **state)
{
    memcpy(chip.input, "hello", 5);
    chip.in_tail = 5;
    uart_receive = NULL;
    assert_true(uart_poll()); /* nobody listens: lost */
    chip.in_tail = 9;
    memcpy(chip.input + 5, "guys", 4);
    uart_receive = take;
    assert_true(uart_poll());
    assert_string_equal(received, "guys");
    /* A port that never ends does not keep us. */
    chip.in_tail = 0x7fffffff;
    nr_received = 0;
    assert_true(uart_poll());
    assert_in_range(nr_received, 1, 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(absent),   cmocka_unit_test(options),
        cmocka_unit_test(transmit), cmocka_unit_test(stuck_transmitter_is_given_up),
        cmocka_unit_test(receive),
    };
    return cmocka_run_group_tests_name("platform_uart", tests, NULL, NULL);
}
