/* SPDX-License-Identifier: MIT */
/* A 16550 serial port: "com1=115200,8n1" or "com2=...", "com1=<baud>[,DPS[,port[,irq]]]"; baud
 * "auto" keeps the firmware's divisor; irq 0 polls. National Semiconductor PC16550D datasheet. */
#pragma once

#include "lib/types.h"

/* Adds each port that "com1=" or "com2=" describes and "console=" asks for ("console=com1,vga",
 * which is also the default), if a chip answers; from here on it transmits by polling. */
void uart_init(void);
/* Receives by interrupt, after irq_init; where that cannot be, uart_poll() from a timer does. */
void uart_init_irq(void);
/* Takes what has been received. True if the port needs polling. */
bool uart_poll(void);
/* What a received character goes to. [I] set by start/ or hypercall/ */
extern void (*uart_receive)(char c);
/* Ports of the UART that is in use, to be denied to guests; 0: none. */
uint16_t uart_port_base(unsigned index);
/* Was the console `name` asked for by "console="? */
bool console_wanted(const char *name);
