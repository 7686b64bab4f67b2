/* SPDX-License-Identifier: MIT */
/* 16550 serial ports as consoles. Transmission polls the line status, so it works in any state of
 * the machine; a port that stops taking bytes is given up for the rest of that text only. National
 * Semiconductor PC16550D datasheet, 8.0 (registers). */
#include "platform/uart.h"
#include "base/log.h"
#include "base/param.h"
#include "hw/ops.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "lib/strutil.h"
#include "lib/util.h"
#include "platform/irq.h"

/* Registers, as offsets from the base port. */
#define UART_RBR 0 /* received byte (read) */
#define UART_THR 0 /* byte to send (write) */
#define UART_DLL 0 /* divisor, while LCR.DLAB */
#define UART_IER 1
#define UART_DLM 1
#define UART_IIR 2 /* (read) */
#define UART_FCR 2 /* (write) */
#define UART_LCR 3
#define UART_MCR 4
#define UART_LSR 5
#define UART_SCR 7

#define IER_RECEIVED 0x01
#define IIR_FIFO     0xc0
#define FCR_ENABLE   0x07 /* on, both emptied; interrupt from one byte on */
#define LCR_DLAB     0x80
#define MCR_DTR      0x01
#define MCR_RTS      0x02
#define MCR_OUT2     0x08 /* lets the interrupt out to the bus */
#define LSR_RECEIVED 0x01
#define LSR_EMPTY    0x20

#define UART_CLOCK   1843200u
#define UART_BAUD    (UART_CLOCK / 16)
#define FIFO_SIZE    16
#define SPIN_MAX     200000u
#define RECEIVE_MAX  256u /* bytes taken at once: a broken port may deliver for ever */
#define CONSOLE_LIST 64

struct uart {
    struct log_console console;
    bool wanted, in_use;
    uint16_t port;
    unsigned irq;
    unsigned baud; /* 0: as the firmware left it */
    uint8_t line;  /* LCR: data bits, parity, stop bits */
    unsigned fifo; /* bytes that may be written when it is empty */
    bool polled;
};

static struct uart uarts[2] = {
    {.console.name = "com1", .port = 0x3f8, .irq = 4, .baud = 115200, .line = 3},
    {.console.name = "com2", .port = 0x2f8, .irq = 3, .baud = 115200, .line = 3},
};
static char console_list[CONSOLE_LIST] = "com1,vga";
PARAM_STRING("console", console_list);

void (*uart_receive)(char c) sealed;

/* ---- options ---- */

bool console_wanted(const char *name)
{
    size_t len = strlen(name);
    const char *s = console_list;

    for (;;) {
        const char *end = strchr(s, ',');

        if (!strncmp(s, name, len) && (s[len] == 0 || s[len] == ','))
            return true;
        if (!end)
            return false;
        s = end + 1;
    }
}

/* Data bits 5-8, parity n o e m s, stop bits 1-2: "8n1". */
static int parse_line(const char **s, uint8_t *line)
{
    static const char parity[] = "noems"; /* LCR bits 3-5: none 0, odd 1, even 3, mark 5, space 7 */
    static const uint8_t code[] = {0, 1, 3, 5, 7};
    const char *p = *s, *which;

    if (p[0] < '5' || p[0] > '8' || !p[1])
        return -EINVAL;
    which = strchr(parity, p[1] | 0x20);
    if (!which || !*which || (p[2] != '1' && p[2] != '2'))
        return -EINVAL;
    *line = (uint8_t)((p[0] - '5') | (p[2] - '1') << 2 | code[which - parity] << 3);
    *s = p + 3;
    return 0;
}

static int parse_fields(struct uart *u, const char *s)
{
    uint64_t n;
    int rc;

    if (!strncmp(s, "auto", 4)) {
        u->baud = 0;
        s += 4;
    } else {
        rc = parse_uint(&s, 10, &n);
        if (rc)
            return rc;
        if (n < 2 || n > UART_BAUD)
            return -EINVAL;
        u->baud = (unsigned)n;
    }
    if (*s == ',' && s[1] && s[1] != ',') {
        s++;
        rc = parse_line(&s, &u->line);
        if (rc)
            return rc;
    } else if (*s == ',' && s[1] == ',') {
        s++;
    }
    if (*s == ',') {
        s++;
        rc = parse_uint(&s, 0, &n);
        if (rc || n > 0xfff8)
            return -EINVAL;
        u->port = (uint16_t)n;
    }
    if (*s == ',') {
        s++;
        rc = parse_uint(&s, 0, &n);
        if (rc || n > 15)
            return -EINVAL;
        u->irq = (unsigned)n;
    }
    return *s ? -EINVAL : 0;
}

static int parse_uart(struct uart *u, const char *value, bool negated)
{
    struct uart parsed = *u;
    int rc = 0;

    if (negated) {
        u->wanted = false;
        return *value ? -EINVAL : 0;
    }
    if (*value)
        rc = parse_fields(&parsed, value);
    if (rc)
        return rc;
    *u = parsed;
    u->wanted = true;
    return 0;
}

static int param_com1(const char *value, bool negated)
{
    return parse_uart(&uarts[0], value, negated);
}
PARAM_CUSTOM("com1", param_com1);

static int param_com2(const char *value, bool negated)
{
    return parse_uart(&uarts[1], value, negated);
}
PARAM_CUSTOM("com2", param_com2);

/* ---- the chip ---- */

static uint8_t get(const struct uart *u, unsigned reg)
{
    return in8((uint16_t)(u->port + reg));
}

static void set(const struct uart *u, unsigned reg, uint8_t val)
{
    out8((uint16_t)(u->port + reg), val);
}

/* Whether a chip answers: the scratch register keeps what is written. */
static bool present(const struct uart *u)
{
    if (get(u, UART_LSR) == 0xff)
        return false;
    set(u, UART_SCR, 0x5a);
    if (get(u, UART_SCR) != 0x5a)
        return false;
    set(u, UART_SCR, 0xa5);
    return get(u, UART_SCR) == 0xa5;
}

static void set_up(struct uart *u)
{
    set(u, UART_IER, 0);
    set(u, UART_LCR, u->line);
    if (u->baud) {
        unsigned divisor = UART_BAUD / u->baud;

        set(u, UART_LCR, u->line | LCR_DLAB);
        set(u, UART_DLL, divisor & 0xff);
        set(u, UART_DLM, (uint8_t)(divisor >> 8));
        set(u, UART_LCR, u->line);
    }
    set(u, UART_FCR, FCR_ENABLE);
    u->fifo = (get(u, UART_IIR) & IIR_FIFO) == IIR_FIFO ? FIFO_SIZE : 1;
    set(u, UART_MCR, MCR_DTR | MCR_RTS);
}

/* Waits until the chip takes `fifo` bytes; false if it does not in time. */
static bool wait_empty(const struct uart *u)
{
    for (unsigned n = 0; n < SPIN_MAX; n++) {
        if (get(u, UART_LSR) & LSR_EMPTY)
            return true;
        cpu_pause();
    }
    return false;
}

static void uart_write(struct log_console *c, const char *text, size_t len)
{
    struct uart *u = container_of(c, struct uart, console);
    unsigned room = 0;

    for (size_t i = 0; i < len; i++) {
        bool newline = text[i] == '\n';

        /* A newline takes two bytes; one chip without FIFO takes them one by one. */
        for (unsigned part = newline ? 0 : 1; part < 2; part++) {
            if (!room) {
                if (!wait_empty(u))
                    return;
                room = u->fifo;
            }
            set(u, UART_THR, part == 0 ? '\r' : (uint8_t)text[i]);
            room--;
        }
    }
}

static void receive(const struct uart *u)
{
    for (unsigned n = 0; n < RECEIVE_MAX && (get(u, UART_LSR) & LSR_RECEIVED); n++) {
        char c = (char)get(u, UART_RBR);

        if (uart_receive)
            uart_receive(c);
    }
}

static void interrupt(struct irq *irq, void *data)
{
    struct uart *u = data;

    /* The read acknowledges causes that we never asked for. */
    (void)get(u, UART_IIR);
    receive(u);
}

/* ---- public ---- */

void uart_init(void)
{
    for (unsigned i = 0; i < ARRAY_SIZE(uarts); i++) {
        struct uart *u = &uarts[i];

        if (!u->wanted || !console_wanted(u->console.name))
            continue;
        if (!present(u)) {
            log_warn("%s: no serial port at %#x", u->console.name, u->port);
            continue;
        }
        set_up(u);
        u->in_use = u->polled = true;
        u->console.write = uart_write;
        log_console_add(&u->console);
    }
}

void uart_init_irq(void)
{
    for (unsigned i = 0; i < ARRAY_SIZE(uarts); i++) {
        struct uart *u = &uarts[i];
        struct irq *irq;

        if (!u->in_use || !u->irq)
            continue;
        irq = irq_of_gsi(irq_isa_to_gsi(u->irq));
        if (!irq || irq_request(irq, interrupt, u)) {
            log_warn("%s: no interrupt, polling", u->console.name);
            continue;
        }
        u->polled = false;
        set(u, UART_MCR, MCR_DTR | MCR_RTS | MCR_OUT2);
        set(u, UART_IER, IER_RECEIVED);
        /* What came before gave no edge. */
        receive(u);
    }
}

bool uart_poll(void)
{
    bool needed = false;

    for (unsigned i = 0; i < ARRAY_SIZE(uarts); i++) {
        if (!uarts[i].in_use)
            continue;
        if (uarts[i].polled) {
            needed = true;
            receive(&uarts[i]);
        }
    }
    return needed;
}

uint16_t uart_port_base(unsigned index)
{
    return index < ARRAY_SIZE(uarts) && uarts[index].in_use ? uarts[index].port : 0;
}
