/* SPDX-License-Identifier: MIT */
/* The console for the one who looks after the machine: whose the typed characters are, and single
 * letters that show the hypervisor's state. */
#pragma once

/* A character came from the console: to domain 0, or to the debug keys. Three times the switch
 * character ("conswitch=") changes that. Any context. */
void console_receive(char c);
/* Executes key `c` on the way out to the guest, on this CPU (the console; `xl debug-keys`). Any
 * context. Keys beyond those that wait already are dropped. */
void console_key(char c);

/* What a key does; interrupts are off, no lock is held. */
void debug_key_run(char c);

/* SOFTIRQ_CONSOLE: the keys that wait, and VIRQ_CON_RING if text entered the log. */
void console_softirq(void);
/* log_ring_notify: the above has something to do. */
void console_ring_changed(void);
